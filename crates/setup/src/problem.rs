//! Errors about a description, at the places of its values.

use taut_expr::json_to_value;
use taut_syntax::{Diagnostic, Location, Node};

/// Why something cannot be done, and where that is written.
pub type Problem = Box<Diagnostic>;

/// The place of a value.
pub(crate) fn place(node: Node<'_>) -> Location {
    Location::value(node.document().label().clone(), node.path())
}

/// A value as compact JSON.
pub(crate) fn text(node: Node<'_>) -> String {
    json_to_value(node).to_json()
}
