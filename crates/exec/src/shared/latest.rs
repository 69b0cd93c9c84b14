//! Results under which a shared cache has the latest of something: lists of what was read, and actions that made the
//! same outputs.

use taut_digest::Digest;
use taut_proto::{self as proto, Action, ActionResult, Command, Message, OutputFile};
use taut_service::{Error, wait};
use taut_value::{ActionDescription, Str};

use super::{
    Shared,
    packed::{Latest, Packed},
    standard::{digest_of, to_wire},
};
use crate::message::rebased;

/// How many actions are kept that make the same outputs.
pub(super) const MAX_ACTIONS: usize = 8;

/// Sets the keys of [`key_of_outputs`] apart from those of actions. What follows changes with the meaning.
const SALT: &[u8] = b"taut actions 1";

/// Adds the results with what is the latest. All are asked for at the same time.
///
/// # Errors
/// The cache does not answer.
pub(super) fn add_latest(shared: &Shared, all: &mut [Packed]) -> Result<(), Error> {
    let mut asked = Vec::new();
    for packed in all {
        let latest = std::mem::take(&mut packed.latest).into_iter();
        let latest: Vec<_> =
            // All calls are started before the first is awaited, so the latency is paid once.
            latest.map(|latest| (shared.service.results.look_up(latest.key), latest)).collect();
        asked.push((packed, latest));
    }
    for (packed, latest) in asked {
        for (there, Latest { key, new, as_result }) in latest {
            let (there, new) = (wait(there)?, to_wire(&new));
            let older = there.clone().unwrap_or_default().output_files.into_iter();
            // The new one moves to the front: the order is that of the latest use.
            let older = older.filter_map(|file| file.digest).filter(|older| *older != new);
            let result = as_result(&mut std::iter::once(new.clone()).chain(older));
            // An equal result is not written again: most builds change nothing here, and servers count writes.
            if there.is_none_or(|there| there.output_files != result.output_files) {
                packed.results.push((key, result));
            }
        }
    }
    Ok(())
}

/// An action as the latest of those that make its outputs. `digest`: of its `Action` message.
pub(super) fn of_action(action: &ActionDescription, digest: Digest) -> Latest {
    let paths = |paths: &[Str]| paths.iter().map(|path| rebased(path, &action.cwd)).collect();
    let key = key_of_outputs(paths(&action.outs), paths(&action.out_dirs), action.cwd.to_string());
    Latest { key, new: digest, as_result: result_of_actions }
}

/// The key under which are the latest actions with these outputs, as a command has them. It has nothing of what may
/// differ from machine to machine.
pub(super) fn key_of_outputs(
    files: Vec<String>,
    directories: Vec<String>,
    working_directory: String,
) -> Digest {
    let command = Command {
        output_files: files,
        output_directories: directories,
        working_directory,
        ..Command::default()
    };
    let command = to_wire(&digest_of(&command.encode_to_vec()));
    let action = Action { command_digest: Some(command), salt: SALT.to_vec(), ..Action::default() };
    digest_of(&action.encode_to_vec())
}

fn result_of_actions(actions: &mut dyn Iterator<Item = proto::Digest>) -> ActionResult {
    let file = |(number, digest)| OutputFile {
        path: format!("action-{number}"),
        digest: Some(digest),
        is_executable: false,
    };
    let output_files = actions.take(MAX_ACTIONS).enumerate().map(file).collect();
    ActionResult { output_files, ..ActionResult::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes are what `docs/store.md` says.
    #[test]
    fn the_key_of_outputs_is_specified() {
        let key = key_of_outputs(vec!["o".into()], vec!["d".into()], "w".into());
        let command = digest_of(b"\x1a\x01o\x22\x01d\x32\x01w");
        let named = [b"\x0a\x40", command.hash.to_hex().as_bytes(), b"\x10\x09"].concat();
        let action = [b"\x0a\x44", &named[..], b"\x4a\x0etaut actions 1"].concat();
        assert_eq!(key, digest_of(&action));
    }
}
