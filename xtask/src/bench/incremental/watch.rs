//! Incremental builds under `watch`, a long-running process: the cost of a round must not depend on the size.

use super::{Bench, taut_command};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// The time limit of all rounds.
const TIMEOUT: Duration = Duration::from_secs(300);

impl Bench<'_> {
    /// Rounds under `watch` after a source was touched: their cost must not depend on the size.
    pub(super) fn watch(&self, report: &mut Vec<Value>) -> Result<()> {
        const ROUNDS: u32 = 10;
        let (taut, dir) = (self.rivals[0], self.dir(self.rivals[0]));
        let mut command = taut_command(taut, "watch", &dir, &dir.join("build-root"), self.options.jobs)?;
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).stdin(Stdio::null()).spawn()?;
        let pid = rustix::process::Pid::from_child(&child);
        let over = Arc::new(AtomicBool::new(false));
        let (late, patience) = (over.clone(), Instant::now() + TIMEOUT);
        // Waiting for a line that never comes must end.
        let guard = thread::spawn(move || {
            // A flag that no other memory depends on.
            while !late.load(Relaxed) && Instant::now() < patience {
                thread::sleep(Duration::from_millis(100));
            }
            if !late.load(Relaxed) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        });
        let mut lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
        let mut until = |text: &str| -> Result<()> {
            loop {
                let line = lines.next().context("watch ended")??;
                if line.contains(text) {
                    return Ok(());
                }
            }
        };
        until("Interrupt to end.")?;
        let before = cpu_of(child.id())?;
        let begin = Instant::now();
        for _ in 0..ROUNDS {
            self.graph.touch(&taut.source(&dir))?;
            until(" from cache, ")?;
        }
        let wall = begin.elapsed().as_secs_f64() * 1e3 / f64::from(ROUNDS);
        let cpu = (cpu_of(child.id())? - before) / f64::from(ROUNDS);
        rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
        child.wait()?;
        over.store(true, Relaxed);
        // It only sleeps.
        let _ = guard.join();
        println!("  -- a source touched under watch");
        println!(
            "  watch    taut   cpu {cpu:9.1} ms  wall {wall:9.1} ms a round (of {ROUNDS}; clock ticks of 10 ms)"
        );
        report.push(json!({
            "graph": self.graph.shape.name(), "size": self.graph.size, "phase": "watch", "tool": "taut",
            "cpu_ms": cpu, "wall_ms": wall,
        }));
        Ok(())
    }
}

/// The processor time of a process and of those that it waited for, in milliseconds.
fn cpu_of(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let rest = &stat[stat.rfind(')').context("no name")? + 1..];
    // After the name, which may have blanks and parentheses: utime, stime, cutime, cstime (proc(5)).
    let ticks: f64 = rest.split_whitespace().skip(11).take(4).filter_map(|n| n.parse::<f64>().ok()).sum();
    // The kernel shows ticks of a hundredth of a second (`USER_HZ`).
    Ok(ticks * 10.0)
}
