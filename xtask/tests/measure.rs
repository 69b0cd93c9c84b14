//! The processes that `xtask measure` counts: all of a tree, also those that outlive the command.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test of a development tool")]

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Measures a script of the shell; returns the report.
fn measure(dir: &Path, script: &str) -> Value {
    let report = dir.join("report");
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("measure").arg(&report).args(["sh", "-c", script]).current_dir(dir);
    assert!(command.status().unwrap().success());
    serde_json::from_slice(&fs::read(report).unwrap()).unwrap()
}

/// Uses processor time, then writes its own account of it, as `0m0.12s 0m0.01s`.
const WORK: &str = "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; times > used";

/// The milliseconds that a process recorded.
fn noted(dir: &Path) -> f64 {
    let text = fs::read_to_string(dir.join("used")).unwrap();
    let times = text.lines().next().unwrap().split_whitespace().map(|time| {
        let (minutes, seconds) = time.trim_end_matches('s').split_once('m').unwrap();
        minutes.parse::<f64>().unwrap() * 60e3 + seconds.parse::<f64>().unwrap() * 1e3
    });
    times.sum()
}

/// User and system time of a report, with the possible error of rounding to clock ticks.
fn counted(report: &Value) -> f64 {
    const TICKS: f64 = 20.0;
    report["user"].as_f64().unwrap() + report["system"].as_f64().unwrap() + TICKS
}

#[test]
fn a_process_that_outlives_the_command_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    // It reads from another process, so that the command ends long before.
    let report =
        measure(dir.path(), &format!("mkfifo go; (read x < go; {WORK}) & (sleep 0.2; echo > go) & exit 3"));
    assert_eq!(report["code"], 3);
    assert!(report["late"].as_f64().unwrap() > 0.0, "{report}");
    assert!(counted(&report) >= noted(dir.path()), "{report}");
}

#[test]
fn grandchildren_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let report = measure(dir.path(), &format!("sh -c 'sh -c \"{}\"'", WORK.replace('$', "\\$")));
    assert_eq!(report["code"], 0);
    assert!(counted(&report) >= noted(dir.path()), "{report}");
}
