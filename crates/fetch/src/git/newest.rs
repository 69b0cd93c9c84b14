//! The newest commit of a branch, by `git ls-remote`.

use std::{ffi::OsString, sync::Mutex};

use taut_digest::Hash;
use taut_sys::Dir;

use super::{
    Programs,
    commit::ENVIRONMENT,
    failure,
    run::{CommandWatch, run},
};
use crate::{Cause, Silent};

/// See [`super::newest_commit`].
pub(super) fn newest(programs: &Programs, url: &str, branch: &str, cwd: &Dir) -> Result<Hash, Cause> {
    let reference = format!("refs/heads/{branch}");
    // The lines come from the thread that reads the pipe.
    let found: Mutex<Option<Hash>> = Mutex::default();
    let line = |line: &str| {
        // `<id>\t<reference>`; what git says beside that has another form.
        let Some((id, name)) = line.trim_end().split_once('\t') else { return };
        // A repository with SHA-256 has ids that no description can name.
        let id = Hash::from_hex(id).ok().filter(|id| id.as_bytes().len() == 20);
        // The pattern of `ls-remote` matches the end of names, so other references may be listed, too.
        if name == reference && id.is_some() {
            *found.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = id;
        }
    };
    let git = programs.git.as_os_str().to_owned();
    let words = ["ls-remote", "--", url, &reference].map(OsString::from);
    let command: Vec<OsString> = std::iter::once(git).chain(words).collect();
    let server = programs.servers.of(url);
    let stall = Some(server.patience(programs.stall_timeout));
    let watch = CommandWatch { progress: &Silent, line: &line, stall };
    let ended = run(programs, &command, ENVIRONMENT, cwd, &watch);
    let ended = ended.and_then(|end| end.succeeded(&programs.git.to_string_lossy()));
    let ended = ended.map_err(failure::of);
    server.note(ended.as_ref().err());
    if matches!(ended, Err(Cause::Unreachable(_))) {
        // There is one attempt.
        server.note_down();
    }
    ended?;
    let found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    found.ok_or_else(|| Cause::NotContained(format!("a branch {branch}")))
}
