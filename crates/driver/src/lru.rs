//! Least-recently-used eviction of the entries of a directory.
//!
//! Entries that belong together have names that are equal up to the first dot. The time of the last use is the
//! modification time, which is set on use, but at most once an hour, so that a null build writes nothing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::{Duration, SystemTime};

use taut_sys::{At, Dir};

/// How precisely the time of the last use is recorded.
const TOUCH_INTERVAL: Duration = Duration::from_secs(3600);

/// Records that an entry is used. If that fails, it is evicted sooner.
pub(crate) fn touch(at: At<'_>) {
    let used = at.lstat().ok().map(|stat| stat.modified());
    // A time in the future is replaced, too: until then the entry would count as the latest.
    let is_noted = |used: SystemTime| used.elapsed().is_ok_and(|age| age < TOUCH_INTERVAL);
    if used.is_some_and(|used| !is_noted(used)) {
        let _ = at.set_mtime_now();
    }
}

/// Entries that belong together.
#[derive(Default)]
struct Group {
    used: Option<SystemTime>,
    bytes: u64,
    names: Vec<OsString>,
}

/// Leaves the latest few, at most `max_groups`, and no more than have so many bytes together; but at least one.
pub(crate) fn drop_old(directory: &Dir, max_groups: usize, bytes: u64) {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for (name, _) in directory.list().unwrap_or_default() {
        let at = directory.at(&name);
        let Ok(stat) = at.lstat() else { continue };
        let text = name.to_string_lossy();
        let group = groups.entry(text.split('.').next().unwrap_or_default().to_owned()).or_default();
        // The latest use of any member is that of the group.
        group.used = group.used.max(Some(stat.modified()));
        group.bytes += if stat.is_dir() { bytes_below(at) } else { stat.size() };
        group.names.push(name);
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.used));
    let mut sum = 0;
    for (at, group) in groups.iter().enumerate() {
        // Removed ones count, too, so no group is kept that was used before a removed one.
        sum += group.bytes;
        if at > 0 && (at >= max_groups || sum > bytes) {
            // Errors are ignored: another process may have removed them, and the next call tries again.
            group.names.iter().for_each(|name| drop(directory.at(name).remove_all()));
        }
    }
}

/// The sizes of the files in a directory.
fn bytes_below(at: At<'_>) -> u64 {
    let Ok(directory) = at.open_dir() else { return 0 };
    let names = directory.list().unwrap_or_default().into_iter();
    names.filter_map(|(name, _)| Some(directory.at(&name).lstat().ok()?.size())).sum()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use super::*;

    fn open(dir: &tempfile::TempDir) -> Dir {
        Dir::of_user(dir.path()).unwrap()
    }

    fn names(dir: &tempfile::TempDir) -> Vec<String> {
        let list = open(dir).list().unwrap().into_iter();
        list.map(|(name, _)| name.into_string().unwrap()).collect()
    }

    #[test]
    fn the_least_recently_used_group_is_removed_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(100_000);
        for (age, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("file"), vec![0; 1000]).unwrap();
            std::fs::write(dir.path().join(format!("{name}.more")), "").unwrap();
            for name in [name.to_owned(), format!("{name}.more")] {
                let file = std::fs::File::open(dir.path().join(name)).unwrap();
                file.set_modified(long_ago - Duration::from_secs(age as u64)).unwrap();
            }
        }
        touch(open(&dir).at("c"));
        drop_old(&open(&dir), 3, u64::MAX);
        assert_eq!(names(&dir), ["a", "a.more", "b", "b.more", "c", "c.more"]);
        drop_old(&open(&dir), 3, 2500);
        assert_eq!(names(&dir), ["a", "a.more", "c", "c.more"]);
        drop_old(&open(&dir), 3, 0);
        assert_eq!(names(&dir), ["c", "c.more"]);
    }

    #[test]
    fn use_is_recorded_once_per_interval() {
        let dir = tempfile::tempdir().unwrap();
        let used = || open(&dir).at("f").lstat().unwrap().modified();
        let file = std::fs::File::create(dir.path().join("f")).unwrap();
        let recently = SystemTime::now() - Duration::from_secs(600);
        file.set_modified(recently).unwrap();
        touch(open(&dir).at("f"));
        assert_eq!(used(), recently);
        for odd in [recently - Duration::from_secs(86_400), recently + Duration::from_secs(86_400)] {
            file.set_modified(odd).unwrap();
            touch(open(&dir).at("f"));
            assert!(used().elapsed().unwrap() < TOUCH_INTERVAL);
        }
    }
}
