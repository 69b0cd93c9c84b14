//! A control group for one measured process tree: it also counts processor time that no parent waits for.
//!
//! Version 2 is tried first, then `cpuacct` of version 1; neither needs a controller to be enabled. On most machines
//! only root can make groups: without one, only the time of processes that were waited for counts.

use super::Times;
use std::fs;
use std::path::{Path, PathBuf};

/// A group that this process entered, and leaves when this is dropped.
pub(super) struct Group {
    parent: PathBuf,
    own: PathBuf,
}

impl Group {
    /// Makes a group below the present one and enters it; `None` if that is not possible here.
    pub(super) fn enter() -> Option<Self> {
        let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
        candidates(&membership).into_iter().find_map(|parent| Self::below(&parent))
    }

    fn below(parent: &Path) -> Option<Self> {
        // Two measurements at the same time have different groups.
        let own = parent.join(format!("taut-bench-{}", std::process::id()));
        fs::create_dir(&own).ok()?;
        let group = Self { parent: parent.to_owned(), own };
        // A group that cannot be read or entered is removed when this is dropped.
        group.times()?;
        move_to(&group.own).then_some(group)
    }

    /// The processor time of the processes of the group, including those that have ended.
    pub(super) fn times(&self) -> Option<Times> {
        let read = |file: &str| fs::read_to_string(self.own.join(file)).ok();
        if let Some(stat) = read("cpu.stat") {
            return of_stat(&stat);
        }
        of_cpuacct(&read("cpuacct.usage")?, &read("cpuacct.usage_user")?, &read("cpuacct.usage_sys")?)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The group is removed when its last process has left; if this process cannot leave, it stays, which does no
        // harm.
        if move_to(&self.parent) {
            let _ = fs::remove_dir(&self.own);
        }
    }
}

fn move_to(group: &Path) -> bool {
    fs::write(group.join("cgroup.procs"), std::process::id().to_string()).is_ok()
}

/// The directories of the groups that a process is in, by its `/proc/self/cgroup`.
fn candidates(membership: &str) -> Vec<PathBuf> {
    // Where systemd and most others mount it; elsewhere nothing is found, and there is no group.
    let root = Path::new("/sys/fs/cgroup");
    let (mut second, mut first) = (Vec::new(), Vec::new());
    for line in membership.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let path = path.trim_start_matches('/');
        if controllers.is_empty() {
            second.extend([root.join(path), root.join("unified").join(path)]);
        } else if controllers.split(',').any(|name| name == "cpuacct") {
            first.extend([root.join("cpuacct").join(path), root.join(controllers).join(path)]);
        }
    }
    [second, first].concat()
}

/// From `cpu.stat`, which counts microseconds.
fn of_stat(text: &str) -> Option<Times> {
    let millis = |key: &str| -> Option<f64> {
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
        Some(value.trim().parse::<f64>().ok()? / 1e3)
    };
    Some(Times { user: millis("user_usec")?, system: millis("system_usec")? })
}

/// From the files of `cpuacct`, which count nanoseconds. The sum is exact, the parts come from clock ticks.
fn of_cpuacct(all: &str, user: &str, system: &str) -> Option<Times> {
    let millis = |text: &str| -> Option<f64> { Some(text.trim().parse::<f64>().ok()? / 1e6) };
    let (all, user, system) = (millis(all)?, millis(user)?, millis(system)?);
    // As good as the parts are, which come from clock ticks.
    let share = if user + system > 0.0 { user / (user + system) } else { 0.0 };
    Some(Times { user: all * share, system: all * (1.0 - share) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_both_versions_are_found() {
        let found = candidates("4:memory:/a\n2:cpu,cpuacct:/b\n0::/c/d\n");
        let found: Vec<&str> = found.iter().filter_map(|path| path.to_str()).collect();
        let expected = [
            "/sys/fs/cgroup/c/d",
            "/sys/fs/cgroup/unified/c/d",
            "/sys/fs/cgroup/cpuacct/b",
            "/sys/fs/cgroup/cpu,cpuacct/b",
        ];
        assert_eq!(found, expected);
        assert!(candidates("4:memory:/a\n").is_empty());
    }

    #[test]
    fn times_are_converted_to_milliseconds() {
        let stat = of_stat("usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\nnice_usec 0\n");
        assert_eq!(stat, Some(Times { user: 3.0, system: 2.0 }));
        assert_eq!(of_stat("usage_usec 5000\n"), None);
        let accounted = of_cpuacct("8000000\n", "3000000\n", "1000000\n");
        assert_eq!(accounted, Some(Times { user: 6.0, system: 2.0 }));
    }
}
