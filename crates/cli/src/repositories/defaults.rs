//! The defaults of a set-up, if neither the command line nor an rc file sets a value; the same under both names.

use std::path::PathBuf;

use taut_setup::{Anchors, weakly_canonical};

use crate::settings::USUAL_LAUNCHER;

/// Where archives are looked for: the directories of rc files or the usual one, then those of the command line. They
/// are added, not put in place of them: the order is the reference's.
pub(crate) fn distdirs(
    of_rc: Vec<PathBuf>,
    given: impl IntoIterator<Item = PathBuf>,
    anchors: &Anchors,
) -> Vec<PathBuf> {
    let mut distdirs = of_rc;
    if distdirs.is_empty() {
        distdirs.push(anchors.home.join(".distfiles"));
    }
    distdirs.extend(given);
    distdirs
}

/// The file of checkout locations, if it is there.
pub(crate) fn checkout_locations(anchors: &Anchors) -> Option<PathBuf> {
    let path = weakly_canonical(&anchors.home.join(".just-local.json"));
    let is_there = taut_sys::Named::stat(&path).is_ok_and(|stat| stat.is_file());
    is_there.then_some(path)
}

/// The words in front of commands.
pub(crate) fn launcher() -> Vec<String> {
    USUAL_LAUNCHER.map(str::to_owned).to_vec()
}

/// The program for git.
pub(crate) fn git() -> PathBuf {
    "git".into()
}
