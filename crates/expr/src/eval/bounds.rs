//! Limits of the size of computed values: a string that is doubled sixty times is an error with a location, not the end
//! of memory. A value that would be too large is not made.

use taut_value::{JsonSize, Map, Node, Value};

use crate::error::EvalError;

/// The longest string, in bytes: much more than is ever written into a file or passed to a command.
pub const MAX_STRING_BYTES: u64 = 256 << 20;

/// The most items of a list and entries of a map.
// An item takes 24 bytes at least, so this is some gigabytes.
pub(super) const MAX_ITEMS: usize = 100_000_000;

/// The longest JSON text of a node, in bytes; the text identifies the node.
const MAX_NODE_BYTES: u64 = 1 << 30;

/// Advice where a value is too large.
const GROWTH_HELP: &str = "does something grow with each step, or each level?";

/// Checks the size of a string made from pieces of these lengths.
pub(super) fn string(what: &str, pieces: impl IntoIterator<Item = usize>) -> Result<(), EvalError> {
    let length = pieces.into_iter().fold(0_u64, |sum, length| sum.saturating_add(length as u64));
    if length <= MAX_STRING_BYTES {
        return Ok(());
    }
    let message = format!("{what} would have {length} bytes; at most {MAX_STRING_BYTES} are possible");
    Err(EvalError::plain(message).help(GROWTH_HELP))
}

/// Checks the size of a list or map made from others of these lengths.
pub(super) fn items(what: &str, lengths: impl IntoIterator<Item = usize>) -> Result<(), EvalError> {
    let length = lengths.into_iter().fold(0_usize, usize::saturating_add);
    if length <= MAX_ITEMS {
        return Ok(());
    }
    let message = format!("{what} would have {length} entries; at most {MAX_ITEMS} are possible");
    Err(EvalError::plain(message).help(GROWTH_HELP))
}

/// Checks that the JSON text of a value is not too long for a string.
pub(super) fn json(what: &str, value: &Value) -> Result<(), EvalError> {
    string(what, [JsonSize::default().of(value).try_into().unwrap_or(usize::MAX)])
}

/// Checks that a node is not too large to be identified.
pub(super) fn node(node: Node) -> Result<Node, EvalError> {
    // When the node is made, not when its id is needed: here the error has a place.
    let length = JsonSize::default().node(&node);
    if length <= MAX_NODE_BYTES {
        return Ok(node);
    }
    let message =
        format!("the node would have {length} bytes as text; at most {MAX_NODE_BYTES} are possible");
    Err(EvalError::plain(message)
        .help("a node is named by its text, in which shared parts occur again and again"))
}

/// Checks the size of the words and variables of a command.
pub(super) fn command(words: &[taut_value::Str], env: &Map) -> Result<(), EvalError> {
    let variables = env.iter().map(|(name, value)| name.len() + value.as_str().map_or(0, |text| text.len()));
    string("the command with its environment", words.iter().map(|word| word.len()).chain(variables))
}
