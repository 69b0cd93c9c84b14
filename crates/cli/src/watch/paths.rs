//! Paths in the messages of `watch`, as seen from the directory in which it was started.

use std::path::{Path, PathBuf};

use super::MAX_SHOWN;

/// In words; paths below `here` are shown from there.
pub(super) fn what_changed(here: &Path, paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().take(MAX_SHOWN).map(|path| shown(here, path)).collect();
    match paths.len() {
        0 => "Something changed; checking everything.".to_owned(),
        n if n > MAX_SHOWN => format!("{} and {} more changed.", names.join(", "), n - MAX_SHOWN),
        _ => format!("{} changed.", names.join(", ")),
    }
}

/// A path as seen from a directory.
pub(super) fn shown(here: &Path, path: &Path) -> String {
    match path.strip_prefix(here) {
        Ok(below) if !below.as_os_str().is_empty() && here != Path::new("/") => below.display().to_string(),
        _ => path.display().to_string(),
    }
}
