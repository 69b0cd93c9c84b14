//! The newest commit of a branch or tag, by `git ls-remote`.

use std::{ffi::OsString, sync::Mutex};

use taut_digest::Hash;
use taut_sys::Dir;

use super::{
    Programs, Tagged,
    commit::ENVIRONMENT,
    failure,
    run::{CommandWatch, run},
};
use crate::{Cause, Silent};

/// See [`super::newest_commit`].
pub(super) fn newest(
    programs: &Programs,
    url: &str,
    branch: &str,
    tagged: Tagged,
    cwd: &Dir,
) -> Result<Hash, Cause> {
    // The first that is there counts.
    let tag = format!("refs/tags/{branch}");
    let mut references = vec![format!("refs/heads/{branch}"), format!("{tag}^{{}}"), tag];
    if tagged == Tagged::Itself {
        references.remove(1);
    }
    if branch == "HEAD" {
        references.insert(0, branch.to_owned());
    }
    // The lines come from the thread that reads the pipe.
    let found: Mutex<Option<(usize, Hash)>> = Mutex::default();
    let line = |line: &str| {
        // `<id>\t<reference>`; what git says beside that has another form.
        let Some((id, name)) = line.trim_end().split_once('\t') else { return };
        // A repository with SHA-256 has ids that no description can name.
        let id = Hash::from_hex(id).ok().filter(|id| id.as_bytes().len() == 20);
        // The pattern of `ls-remote` matches the end of names, so other references may be listed, too.
        let Some((rank, id)) = references.iter().position(|reference| reference == name).zip(id) else {
            return;
        };
        let mut found = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if found.is_none_or(|(other, _)| rank < other) {
            *found = Some((rank, id));
        }
    };
    let git = programs.git.as_os_str().to_owned();
    let words = ["ls-remote", "--", url].into_iter().chain(references.iter().map(String::as_str));
    let command: Vec<OsString> = std::iter::once(git).chain(words.map(OsString::from)).collect();
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
    found.map(|(_, id)| id).ok_or_else(|| Cause::NotContained(format!("a branch {branch}")))
}
