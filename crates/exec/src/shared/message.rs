//! An action as standard messages describe it.

use taut_digest::Digest;
use taut_proto::Message;
use taut_sys::fault;
use taut_value::ActionDescription;

use super::standard::{digest_of, to_wire};
use crate::{Execution, message};

/// An action in the standard form.
pub(crate) struct StandardAction {
    /// The digest of its `Action` message: the key of its result.
    pub(crate) action: Digest,
    /// The messages themselves, `Action` and `Command`, which are stored beside the result for people and tools that
    /// look for the difference between two actions.
    pub(crate) messages: [Vec<u8>; 2],
    /// What the cache answered when it was asked for a result, if it did.
    pub(crate) answer: Option<NoResult>,
}

/// How a cache answered that has no result of use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoResult {
    /// It has none.
    Unknown,
    /// The result is incomplete, or cannot be one of this action.
    Incomplete,
}

/// What results of local actions depend on that no standard message says, as part of the key: the kind of machine, and
/// the words in front of each command unless they are the usual ones.
pub(super) fn salt(launcher: &[String]) -> Vec<u8> {
    // The version in front changes when the meaning of results does; no result under an older one is found then.
    let machine = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
    let mut salt = fault::salt("taut 1\0", &machine);
    if !launcher.iter().map(String::as_str).eq(["env", "--"]) {
        salt.push_str("\0launcher");
        launcher.iter().for_each(|word| salt.extend(["\0", word]));
    }
    salt.into_bytes()
}

/// Describes an action with these inputs. `salt`: sets actions apart that are otherwise equal.
pub(super) fn describe(
    execution: &Execution,
    action: &ActionDescription,
    inputs: &Digest,
    salt: &[u8],
) -> StandardAction {
    // Newer servers look at the common list of outputs only, older ones at the others only.
    let command = message::command(execution.demands(), action, true);
    let command = command.encode_to_vec();
    let digest = to_wire(&digest_of(&command));
    let action = message::message(execution.demands(), action, digest, to_wire(inputs), salt.to_vec());
    let action = action.encode_to_vec();
    StandardAction { action: digest_of(&action), messages: [action, command], answer: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_salt_has_the_machine_and_an_unusual_launcher() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let usual = salt(&words(&["env", "--"]));
        assert_eq!(
            usual,
            format!("taut 1\0{}-{}", std::env::consts::OS, std::env::consts::ARCH).into_bytes()
        );
        assert_ne!(salt(&[]), usual);
        assert_ne!(salt(&words(&["a", "b"])), salt(&words(&["a b"])));
    }
}
