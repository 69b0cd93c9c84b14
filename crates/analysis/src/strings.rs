//! Lists of strings, the form of most fields.

use taut_value::{Str, Value};

/// The strings of a list, if it contains nothing else.
pub(crate) fn strings(list: &[Value]) -> Option<Vec<Str>> {
    list.iter().map(|item| item.as_str().cloned()).collect()
}
