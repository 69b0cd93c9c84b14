//! Sizes on disk, the number of cached results of actions, and dropping files from the page cache.

use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};

/// Drops the files below a directory from the page cache.
pub(super) fn forget(dir: &Path) -> Result<()> {
    for file in files_below(dir)? {
        let file = fs::File::open(file)?;
        // The kernel drops only pages that are on disk (posix_fadvise(2)).
        file.sync_all()?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    }
    Ok(())
}

/// The number of bytes of the files below a directory.
pub(super) fn size_of(dir: &Path) -> Result<u64> {
    let sizes = files_below(dir)?.into_iter().map(|file| Ok(fs::metadata(file)?.len()));
    sizes.sum()
}

/// The files below a directory, if there is one.
fn files_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut pending) = (Vec::new(), vec![dir.to_owned()]);
    pending.retain(|dir| dir.is_dir());
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                pending.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}

/// The number of results in the action caches below a build root.
pub(super) fn cached_actions(root: &Path) -> Result<u64> {
    let is_result = |file: &PathBuf| file.components().any(|part| part.as_os_str() == "ac");
    Ok(files_below(root)?.iter().filter(|file| is_result(file)).count() as u64)
}
