//! Errors about a description, at the places of its values.

use taut_expr::json_to_value;
use taut_syntax::{Diagnostic, Location, Node, did_you_mean};

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

/// An error about a missing key: at the key that is probably meant to be it, if there is one, with the right word.
pub(crate) fn missing(problem: Diagnostic, object: Node<'_>, key: &str) -> Diagnostic {
    let is_meant = |(word, _): &(&str, Node<'_>)| did_you_mean(word, [key]).is_some();
    match object.entries().find(is_meant) {
        Some((_, value)) => {
            let label = object.document().label().clone();
            problem.at(Location::key(label, value.path())).suggest(Some(key))
        }
        None => problem.at(place(object)),
    }
}
