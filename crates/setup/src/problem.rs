//! Errors about a description, at the places of its values.

use taut_expr::json_to_value;
use taut_syntax::{Diagnostic, Location, Node, did_you_mean, quoted};

/// Why something cannot be done, and where that is written.
// Boxed: a `Result` of a small value should not be as large as an error with its notes.
pub type Problem = Box<Diagnostic>;

/// The place of a value.
pub(crate) fn place(node: Node<'_>) -> Location {
    Location::value(node.document().label().clone(), node.path())
}

/// A value as compact JSON.
pub(crate) fn text(node: Node<'_>) -> String {
    json_to_value(node).to_json()
}

/// The key that another one is probably meant to be: one with few other letters, or another form of the same word, as
/// `repository` of `repositories`.
pub(crate) fn meant<'k>(key: &str, known: impl IntoIterator<Item = &'k str> + Clone) -> Option<&'k str> {
    let is_form = |known: &&str| {
        let common = known.bytes().zip(key.bytes()).take_while(|(one, other)| one == other).count();
        // At least four letters in common at the beginning, and three quarters of the longer word: `repository` for
        // `repositories`, but not `target` for `target_root`.
        common >= 4 && 4 * common >= 3 * known.len().max(key.len())
    };
    did_you_mean(key, known.clone()).or_else(|| known.into_iter().find(is_form))
}

/// An error about a missing key: at the key that is probably meant to be it, if there is one, with the right word.
pub(crate) fn missing(problem: Diagnostic, object: Node<'_>, key: &str) -> Diagnostic {
    // A value of null counts as none.
    if let Some(null) = object.get(key) {
        return problem.at(place(null)).note(format!("{} is null", quoted(key)));
    }
    let is_meant = |(word, _): &(&str, Node<'_>)| meant(word, [key]).is_some();
    match object.entries().find(is_meant) {
        Some((_, value)) => {
            let label = object.document().label().clone();
            problem.at(Location::key(label, value.path())).suggest(Some(key))
        }
        None => problem.at(place(object)),
    }
}
