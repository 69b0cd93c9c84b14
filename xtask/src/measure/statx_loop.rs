//! `xtask statx-loop LIST FILE`: a bare `statx` loop, as a lower bound of the cost of a null build.
//!
//! Files are looked up relative to their open directories, as a build tool can do. Only the loop and the opening of the
//! directories count, not the start of the process and the reading of the list; so the figure is the least that
//! checking the files can cost on one processor.

use super::{look_at, own_times};
use anyhow::{Context as _, Result, bail};
use rustix::fs::{CWD, Mode, OFlags};
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Instant;

/// Calls `statx` for every file in the list, one per line; `args` are the list and the file for the report.
///
/// # Errors
///
/// If the list cannot be read, or a file in it does not exist.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let [list, report] = args else { bail!("statx-loop LIST FILE") };
    let groups = by_directory(&fs::read_to_string(list)?)?;
    let (before, start) = (own_times(), Instant::now());
    for (dir, names) in &groups {
        // `O_PATH`: the directory is only a beginning for names, and need not be readable.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened =
            rustix::fs::openat(CWD, dir, flags, Mode::empty()).with_context(|| format!("{dir:?}"))?;
        for name in names {
            look_at(opened.as_fd(), name).with_context(|| format!("{name:?} in {dir:?}"))?;
        }
    }
    let (times, wall) = (own_times().since(before), start.elapsed().as_secs_f64() * 1e3);
    let cost = json!({
        // The form of all reports of `measure`, with zeros for what one loop in one process cannot have.
        "user": times.user, "system": times.system, "unwaited": 0.0, "wall": wall, "late": 0.0, "peak": 0,
    });
    fs::write(report, cost.to_string())?;
    Ok(())
}

/// The names of a list of paths, by their directories.
fn by_directory(list: &str) -> Result<BTreeMap<CString, Vec<CString>>> {
    // C strings are made before the clock starts: conversion is not part of checking.
    let mut groups: BTreeMap<CString, Vec<CString>> = BTreeMap::new();
    for path in list.lines() {
        let parts = || Some((Path::new(path).parent()?.to_str()?, Path::new(path).file_name()?.to_str()?));
        let (dir, name) = parts().with_context(|| format!("{path:?} is not the path of a file"))?;
        let dir = if dir.is_empty() { "." } else { dir };
        groups.entry(CString::new(dir)?).or_default().push(CString::new(name)?);
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::{by_directory, run};
    use crate::measure::Cost;
    use std::fs;

    #[test]
    fn each_directory_is_opened_once() {
        let groups = by_directory("/a/b/x\n/a/c/x\n/a/b/y\nz\n").unwrap();
        let counts: Vec<(&str, usize)> =
            groups.iter().map(|(dir, names)| (dir.to_str().unwrap(), names.len())).collect();
        assert_eq!(counts, [(".", 1), ("/a/b", 2), ("/a/c", 1)]);
        assert!(by_directory("/\n").is_err());
    }

    #[test]
    fn a_file_that_is_missing_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        fs::write(path("there"), "").unwrap();
        let looked_at = |list: String| {
            fs::write(path("list"), list).unwrap();
            run(&[path("list"), path("report")])
        };
        looked_at(format!("{}\n", path("there"))).unwrap();
        let report = fs::read(path("report")).unwrap();
        assert!(Cost::of(&serde_json::from_slice(&report).unwrap()).is_ok());
        assert!(looked_at(format!("{}\n{}\n", path("there"), path("missing"))).is_err());
    }
}
