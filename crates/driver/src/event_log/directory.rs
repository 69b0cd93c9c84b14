//! The directory of logs: how they are named, and which of them are removed when there are too many.
//!
//! A name has the time at which the log began, its process and workspace, and whether `explain` can use it. So the
//! listing of the directory shows which file to read and which to remove. The latest log with work of each workspace is
//! removed last: null builds are many, and must not evict the reasons of a build that executed something.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use taut_store::{EpochDir, Store};
use taut_sys::{Dir, Result};

/// How many logs are kept, in a generation, of calls that `explain` can use, of all workspaces.
pub(crate) const MAX_WORK_LOGS: usize = 96;

/// How many of other calls.
pub(crate) const MAX_OTHER_LOGS: usize = 32;

/// How many bytes all logs of a generation may have together. Those of at most [`MAX_UNCHECKED_BYTES`] bytes that were
/// written since the last check are not counted.
pub(crate) const MAX_TOTAL_BYTES: u64 = 256 << 20;

/// A log that is larger is a reason to check the sizes of all: a small one costs no `stat` of others.
pub(crate) const MAX_UNCHECKED_BYTES: u64 = 64 << 10;

/// What kind of call a log is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// It executed something for a reason that is known, and did not fail in analysis.
    Work,
    /// Any other, or one that has not ended.
    Other,
}

/// The first 16 digits of a workspace's identity.
pub(crate) type Workspace = [u8; 16];

/// The name of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Name {
    /// When it began, in microseconds since 1970.
    pub(crate) micros: u64,
    pub(crate) process: u32,
    pub(crate) workspace: Workspace,
    pub(crate) kind: Kind,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let workspace = std::str::from_utf8(&self.workspace).unwrap_or_default();
        let kind = match self.kind {
            Kind::Work => "work",
            Kind::Other => "other",
        };
        // Padded, so that a sorted listing is in the order of time.
        // Sixteen digits of microseconds last until the year 2286; the largest process number of Linux (2^22) has
        // seven digits.
        write!(f, "{:016}-{:07}-{workspace}-{kind}.jsonl", self.micros, self.process)
    }
}

impl Name {
    /// Parses the name of a log; `None` for any other name.
    pub(crate) fn parse(name: &str) -> Option<Name> {
        let mut parts = name.strip_suffix(".jsonl")?.split('-');
        let (micros, process) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let workspace = parts.next()?.as_bytes().try_into().ok()?;
        let kind = match parts.next()? {
            "work" => Kind::Work,
            "other" => Kind::Other,
            _ => return None,
        };
        // Other spellings of the same numbers are not names of logs: files are opened and removed by this one.
        let parsed = Name { micros, process, workspace, kind };
        (parts.next().is_none() && parsed.to_string() == name).then_some(parsed)
    }
}

/// The directory of the logs in a build root: they age as objects do.
#[derive(Debug)]
pub(crate) struct LogDirectory(EpochDir);

impl LogDirectory {
    /// The one in a store.
    ///
    /// # Errors
    /// The build root cannot be written to.
    pub(crate) fn of(store: &Store) -> taut_store::Result<LogDirectory> {
        Ok(LogDirectory(store.epoch_directory("events")?))
    }

    fn dirs(&self) -> impl Iterator<Item = &Dir> {
        [Some(self.0.dir()), self.0.older()].into_iter().flatten()
    }

    /// Makes a file under a name, or under one that is a little later.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn create(&self, mut name: Name) -> Result<(Name, std::fs::File)> {
        // Rounds of `watch` are of one process, and two may begin in the same microsecond.
        loop {
            match self.0.dir().at(&name.to_string()).create_new(0o644) {
                // `create_new` decides, not a listing: two processes cannot get the same file.
                Err(error) if error.is_exists() => name.micros += 1,
                other => return Ok((name, other?.into_std())),
            }
        }
    }

    /// Gives a log another kind.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub(crate) fn rename(&self, name: Name, kind: Kind) -> Result<()> {
        let to = Name { kind, ..name }.to_string();
        self.0.dir().at(&name.to_string()).rename(self.0.dir().at(&to))
    }

    /// All logs, latest first. What cannot be listed has none.
    pub(crate) fn names(&self) -> Vec<Name> {
        self.dirs().flat_map(names).collect()
    }

    /// The beginning of a log, at most `limit` bytes. That counts as use: the log moves to the youngest generation.
    pub(crate) fn read(&self, name: &Name, limit: u64) -> Option<Vec<u8>> {
        let name = name.to_string();
        // If it cannot be moved, it is read where it is.
        let _ = self.0.move_up(&name);
        self.dirs().find_map(|dir| dir.at(&name).open().ok()?.read_up_to(limit).ok())
    }

    /// Removes a log, if it is still there.
    pub(crate) fn remove(&self, name: &Name) {
        // Another process may have removed it; what cannot be removed now is an excess for the next call, too.
        let _ = self.0.dir().at(&name.to_string()).remove_file();
    }

    /// Removes logs beyond the limits, after a log of this size was added.
    pub(crate) fn drop_old(&self, added: u64) {
        let names = names(self.0.dir());
        let count = |kind| names.iter().filter(|name| name.kind == kind).count();
        // The common case costs one listing, and no `stat` of other logs.
        if count(Kind::Work) <= MAX_WORK_LOGS
            && count(Kind::Other) <= MAX_OTHER_LOGS
            && added <= MAX_UNCHECKED_BYTES
        {
            return;
        }
        let size = |name: &Name| {
            self.0.dir().at(&name.to_string()).lstat().map(|stat| stat.size()).unwrap_or_default()
        };
        let sized: Vec<(Name, u64)> = names.into_iter().map(|name| (name, size(&name))).collect();
        excess_logs(&sized).iter().for_each(|name| self.remove(name));
    }
}

/// The logs in a directory, latest first.
fn names(dir: &Dir) -> Vec<Name> {
    let names = dir.list().unwrap_or_default().into_iter();
    let mut names: Vec<Name> =
        names.filter_map(|(name, _): (OsString, _)| Name::parse(name.to_str()?)).collect();
    // The clock may go backwards. The order is that of the names, and no other order is guaranteed.
    names.sort_unstable_by_key(|name| std::cmp::Reverse((name.micros, name.process)));
    names
}

/// The logs to remove of these, given with their sizes, latest first.
fn excess_logs(logs: &[(Name, u64)]) -> Vec<Name> {
    // In the order of their value: the latest of each workspace with work, then the others with work, then the rest.
    let mut seen = HashSet::new();
    let (work, other): (Vec<_>, Vec<_>) = logs.iter().partition(|(name, _)| name.kind == Kind::Work);
    let (first, more): (Vec<_>, Vec<_>) = work.into_iter().partition(|(name, _)| seen.insert(name.workspace));
    let work = first.into_iter().chain(more).enumerate().map(|(at, log)| (at < MAX_WORK_LOGS, log));
    let other = other.into_iter().enumerate().map(|(at, log)| (at < MAX_OTHER_LOGS, log));
    // It stays however large it is: it was just added, or its call still runs.
    let newest = logs.first().map(|(name, _)| *name);
    let (mut sum, mut removed) = (0, Vec::new());
    for (is_within, (name, size)) in work.chain(other) {
        if Some(name) == newest || (is_within && sum + size <= MAX_TOTAL_BYTES) {
            sum += size;
        } else {
            removed.push(name);
        }
    }
    removed
}

/// Microseconds since 1970.
pub(crate) fn micros(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Writes bytes to a log.
///
/// # Errors
/// The error of the system.
pub(crate) fn write(file: &mut std::fs::File, bytes: &[u8]) -> std::result::Result<(), String> {
    file.write_all(bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(micros: u64, workspace: u8, kind: Kind) -> Name {
        Name { micros, process: 7, workspace: [b'a' + workspace; 16], kind }
    }

    #[test]
    fn names_are_parsed_as_written_and_sort_by_time() {
        let one = name(1_700_000_000_000_000, 3, Kind::Work);
        assert_eq!(one.to_string(), "1700000000000000-0000007-dddddddddddddddd-work.jsonl");
        assert_eq!(Name::parse(&one.to_string()), Some(one));
        let later = Name { micros: one.micros + 1, kind: Kind::Other, ..one };
        assert!(later.to_string() > one.to_string());
        for other in
            ["", "x.jsonl", "1-7-dddddddddddddddd-work.jsonl", "1700000000000000-0000007-d-work.jsonl"]
        {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_latest_log_with_work_of_a_workspace_is_removed_last() {
        // One workspace that is built all the time, and one that was built long ago.
        let mut logs: Vec<(Name, u64)> =
            (0..500).rev().map(|at| (name(1000 + at, 0, Kind::Work), 10)).collect();
        logs.extend((0..100).rev().map(|at| (name(at, 0, Kind::Other), 10)));
        logs.push((name(0, 1, Kind::Work), 10));
        let removed = excess_logs(&logs);
        let kept: Vec<&Name> =
            logs.iter().map(|(name, _)| name).filter(|name| !removed.contains(name)).collect();
        assert_eq!(kept.len(), MAX_WORK_LOGS + MAX_OTHER_LOGS);
        assert!(kept.contains(&&name(0, 1, Kind::Work)));
        assert!(kept.contains(&&name(1499, 0, Kind::Work)) && !kept.contains(&&name(1000, 0, Kind::Work)));
    }

    #[test]
    fn all_logs_together_stay_within_the_limit_of_bytes() {
        let logs = [
            (name(9, 0, Kind::Other), MAX_TOTAL_BYTES / 4),
            (name(8, 0, Kind::Work), MAX_TOTAL_BYTES / 2),
            (name(7, 0, Kind::Work), MAX_TOTAL_BYTES / 2),
            (name(6, 0, Kind::Other), 10),
        ];
        assert_eq!(excess_logs(&logs), [name(6, 0, Kind::Other)]);
        let logs = [(name(9, 0, Kind::Work), 2 * MAX_TOTAL_BYTES), (name(8, 1, Kind::Work), 1)];
        assert_eq!(excess_logs(&logs), [name(8, 1, Kind::Work)]);
    }
}
