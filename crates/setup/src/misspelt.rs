//! Keys that look misspelt. The reference passes over unknown keys in silence, and people keep notes in them; one that
//! is nearly a known one is a setting that has no effect, and gets a warning.

use taut_syntax::{Diagnostic, Kind, Location, Node, did_you_mean, quoted};

use crate::{
    fields::{LOCATION, RC, RcForm},
    problem::{meant, place},
    reachable::Remark,
};

/// The words for the directory that a location is relative to.
const ROOTS: [&str; 3] = ["workspace", "home", "system"];

/// Warnings about the keys of an object that look like one of `known`; `of` names the object.
pub(crate) fn keys<'k>(
    object: Node<'_>,
    of: &str,
    known: impl Iterator<Item = &'k str> + Clone,
    remarks: &mut Vec<Remark>,
) {
    for (key, value) in object.entries() {
        if known.clone().any(|known| known == key) {
            continue;
        }
        // A key that resembles no known one is a note; a warning for each would make people remove their notes.
        let Some(meant) = meant(key, known.clone()) else { continue };
        let label = object.document().label().clone();
        let finding = Diagnostic::warning(format!("unknown key {} in {of}", quoted(key)))
            .at(Location::key(label, value.path()))
            .suggest(Some(meant));
        remarks.push(of_taut(finding));
    }
}

/// The same for an rc file, with all that is in it. `subcommands`: those that `just args` may have.
pub(crate) fn in_rc(root: Node<'_>, subcommands: &[&str], remarks: &mut Vec<Remark>) {
    object_of_rc(root, "the rc file", RC, subcommands, remarks);
}

fn object_of_rc(
    object: Node<'_>,
    of: &str,
    known: &[(&str, RcForm)],
    subcommands: &[&str],
    remarks: &mut Vec<Remark>,
) {
    keys(object, of, known.iter().map(|(key, _)| *key), remarks);
    for (key, form) in known {
        let Some(value) = object.get(key) else { continue };
        let of = quoted(key).to_string();
        match form {
            RcForm::Plain => {}
            RcForm::Keys(known) => object_of_rc(value, &of, known, subcommands, remarks),
            RcForm::Subcommands => keys(value, &of, subcommands.iter().copied(), remarks),
            RcForm::Locations if value.kind() == Kind::List => {
                value.items().for_each(|item| location(item, &of, remarks));
            }
            RcForm::Locations => location(value, &of, remarks),
        }
    }
}

fn location(node: Node<'_>, of: &str, remarks: &mut Vec<Remark>) {
    keys(node, &format!("a location of {of}"), LOCATION.iter().copied(), remarks);
    let root = node.get("root");
    let Some((root, word)) = root.and_then(|root| Some((root, root.as_str()?))) else { return };
    if !ROOTS.contains(&word) {
        let words = ROOTS.map(|word| quoted(word).to_string()).join(", ");
        let finding = Diagnostic::warning(format!(
            "{} is no \"root\" of a location; it is taken for the working directory",
            quoted(word)
        ));
        let finding = finding.at(place(root)).suggest(did_you_mean(word, ROOTS));
        remarks.push(of_taut(finding.help(format!("words are {words}"))));
    }
}

/// A warning that the reference does not have.
fn of_taut(finding: Diagnostic) -> Remark {
    Remark { finding: finding.reference(""), is_detail: false }
}
