//! Lists of strings, as most fields of targets and rules are.

use taut_value::{Str, Value};

/// The strings of a list, if it holds nothing else.
pub(crate) fn strings(list: &[Value]) -> Option<Vec<Str>> {
    list.iter().map(|item| item.as_str().cloned()).collect()
}
