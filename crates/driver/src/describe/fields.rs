//! The part of a description that only taut shows, not the reference: where a target is defined, what it has in its
//! fields, and what the fields of a built-in rule mean.

use std::fmt::Write as _;

use taut_analysis::{Manual, ModuleEntry, manual};
use taut_repos::RootPath;
use taut_syntax::{Kind, Node, quoted};

use super::{doc, items};

/// The longest value that is shown, in bytes.
const MAX_VALUE_BYTES: usize = 400;

/// Where a target is defined: the file, between zero bytes, by the number of its root and the path below it.
fn place(file: &RootPath, entry: &ModuleEntry) -> String {
    let (line, column) = entry.position();
    format!("\0{}/{}\0:{line}:{column}", file.root.number, file.path)
}

/// A target of a built-in rule.
pub(super) fn builtin_target(
    rule: &str,
    shown: &str,
    file: &RootPath,
    entry: &ModuleEntry,
) -> Option<String> {
    let manual = manual(rule)?;
    let (place, quoted_rule) = (place(file, entry), quoted(rule));
    let mut text = format!("{shown}, {place}, is a target of the built-in rule {quoted_rule}.\n");
    doc(entry.json().get("doc"), " | ", &mut text);
    builtin_rule(rule, &manual, Some(entry.json()), &mut text);
    Some(text)
}

/// A target of a rule that is described apart: its fields.
pub(super) fn target(rule: &str, shown: &str, file: &RootPath, entry: &ModuleEntry) -> String {
    let mut text = format!("{shown}, {}, is a target of rule {rule}.\n", place(file, entry));
    let fields = entry.json().entries().filter(|(field, _)| *field != "type");
    for (number, (field, json)) in fields.enumerate() {
        if number == 0 {
            text.push_str(" Fields that it has\n");
        }
        let _ = writeln!(text, " - {}", quoted(field));
        value(json, &mut text);
    }
    text
}

/// A built-in rule; with the fields of a target of it, if one is given.
pub(super) fn builtin_rule(rule: &str, manual: &Manual, target: Option<Node<'_>>, text: &mut String) {
    let _ = writeln!(text, " {}: {}", quoted(rule), manual.doc);
    text.push_str(" Fields\n");
    let written = |field: &str| target.and_then(|target| target.get(field));
    // What the target has comes first.
    let (set, unset): (Vec<_>, Vec<_>) =
        manual.fields.iter().partition(|(field, _)| written(field).is_some());
    for (field, meaning) in set.into_iter().chain(unset) {
        let _ = writeln!(text, " - {}\n   | {meaning}", quoted(field));
        if let Some(json) = written(field) {
            value(json, text);
        }
    }
    let is_known = |field: &str| field == "type" || manual.fields.iter().any(|(known, _)| *known == field);
    let unknown =
        target.into_iter().flat_map(|target| target.entries()).filter(|(field, _)| !is_known(field));
    for (number, (field, json)) in unknown.enumerate() {
        if number == 0 {
            text.push_str(" Fields that mean nothing to the rule\n");
        }
        let _ = writeln!(text, " - {}", quoted(field));
        value(json, text);
    }
    let Manual { artifacts, runfiles, .. } = manual;
    let _ = writeln!(text, " Result\n - Artifacts\n   | {artifacts}\n - Runfiles\n   | {runfiles}");
}

/// What a target has in a field: as it is written, an item a line if it is a list that does not fit into one.
fn value(json: Node<'_>, text: &mut String) {
    const MAX_LINE_BYTES: usize = 96;
    let one_line = |json: Node<'_>| taut_expr::abbreviate(&taut_expr::json_to_value(json), MAX_VALUE_BYTES);
    let whole = one_line(json);
    if whole.len() <= MAX_LINE_BYTES || json.kind() != Kind::List {
        let _ = writeln!(text, "   = {whole}");
        return;
    }
    for (number, item) in items(Some(json)).into_iter().enumerate() {
        let _ = writeln!(text, "   {} {}", if number == 0 { "= [" } else { "  ," }, one_line(item));
    }
    text.push_str("     ]\n");
}
