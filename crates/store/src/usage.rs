//! How much a build root holds.

use std::{collections::HashSet, path::Path};

use taut_digest::HashFunction;
use taut_sys::{Dir, FileKind};

use crate::{Result, layout::Layout};

/// How much a build root or directories in it hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Files. One with several names counts once.
    pub files: u64,
    /// Their sizes together, in bytes.
    pub bytes: u64,
}

impl Usage {
    /// Counts what directories hold. Those that cannot be read are not counted.
    pub fn below(directories: impl IntoIterator<Item = Dir>) -> Usage {
        let mut usage = Usage::default();
        let mut seen = HashSet::new();
        let mut pending: Vec<Dir> = directories.into_iter().collect();
        while let Some(dir) = pending.pop() {
            for (name, kind) in dir.list().unwrap_or_default() {
                let at = dir.at(&name);
                match kind {
                    FileKind::Directory => pending.extend(at.open_dir().ok()),
                    _ => {
                        let Ok(stat) = at.lstat() else { continue };
                        if seen.insert(stat.identity()) {
                            usage.files += 1;
                            usage.bytes += stat.size();
                        }
                    }
                }
            }
        }
        usage
    }

    /// What was there and is no longer.
    pub fn minus(self, left: Usage) -> Usage {
        Usage { files: self.files.saturating_sub(left.files), bytes: self.bytes.saturating_sub(left.bytes) }
    }
}

/// Counts what a build root holds: objects, cached results and build state of all generations. Walks all of it; what
/// other processes add or remove meanwhile may be counted or not.
///
/// # Errors
/// The build root cannot be opened. Directories below that cannot be read are not counted.
pub fn usage(build_root: &Path) -> Result<Usage> {
    let layout = Layout::open(build_root, HashFunction::GitSha1)?;
    let own = layout.taut_directory().open_dir().ok();
    Ok(Usage::below([layout.protocol().try_clone()?].into_iter().chain(own)))
}
