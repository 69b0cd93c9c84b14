//! How large what an expression makes can become: doubling a string sixty times is to be an error that names its place,
//! not the end of memory. What would be too large is not made.

use taut_value::{JsonSize, Map, Node, Value};

use crate::error::EvalError;

/// The longest string, in bytes: far more than what is written into a file or passed to a command.
const MAX_STRING: u64 = 256 << 20;

/// The most items of a list and entries of a map.
pub(super) const MAX_ITEMS: usize = 100_000_000;

/// The longest JSON text of a node, in bytes; the text names the node.
const MAX_NODE: u64 = 1 << 30;

/// Whether a string made from pieces of these lengths is possible.
pub(super) fn string(what: &str, pieces: impl IntoIterator<Item = usize>) -> Result<(), EvalError> {
    let length = pieces.into_iter().fold(0_u64, |sum, length| sum.saturating_add(length as u64));
    if length <= MAX_STRING {
        return Ok(());
    }
    let message = format!("{what} would have {length} bytes; at most {MAX_STRING} are possible");
    Err(EvalError::plain(message).help("does something grow with each step, or each level?"))
}

/// Whether a list or map made from others of these lengths is possible.
pub(super) fn items(what: &str, lengths: impl IntoIterator<Item = usize>) -> Result<(), EvalError> {
    let length = lengths.into_iter().fold(0_usize, usize::saturating_add);
    if length <= MAX_ITEMS {
        return Ok(());
    }
    let message = format!("{what} would have {length} entries; at most {MAX_ITEMS} are possible");
    Err(EvalError::plain(message).help("does something grow with each step, or each level?"))
}

/// Whether a value has a JSON text that is possible as a string.
pub(super) fn json(what: &str, value: &Value) -> Result<(), EvalError> {
    string(what, [JsonSize::default().of(value).try_into().unwrap_or(usize::MAX)])
}

/// Whether a node can be named.
pub(super) fn node(node: Node) -> Result<Node, EvalError> {
    let length = JsonSize::default().node(&node);
    if length <= MAX_NODE {
        return Ok(node);
    }
    let message = format!("the node would have {length} bytes as text; at most {MAX_NODE} are possible");
    Err(EvalError::plain(message)
        .help("a node is named by its text, in which shared parts occur again and again"))
}

/// Whether words and variables can be those of a command.
pub(super) fn command(words: &[taut_value::Str], env: &Map) -> Result<(), EvalError> {
    let variables = env.iter().map(|(name, value)| name.len() + value.as_str().map_or(0, |text| text.len()));
    string("the command with its environment", words.iter().map(|word| word.len()).chain(variables))
}
