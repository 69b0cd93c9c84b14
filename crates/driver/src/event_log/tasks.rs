//! Which tasks of the engine were executed, and why, as lines: from a task and its cause to JSON, and back.
//!
//! What is executed for the first time has no cause, and a first build has much of it. So such targets share lines, and
//! an action that has a line, but no cause, ran for the first time.

use taut_syntax::json::Node;
use taut_value::{Id, Str};

use super::line::Line;
use super::{LogState, MAX_EXTRA_BYTES};
use crate::{RecordedReason, Subject};

/// How many targets share a line.
// Few enough that a damaged line, which readers pass over, does not hide much.
const MAX_SHARED_TARGETS: usize = 256;

impl LogState {
    pub(super) fn task(&mut self, subject: &Subject, why: &RecordedReason) {
        // Other settings alone may lead to nothing but cache hits, which is not work that needs an explanation.
        self.has_executed |= *why != RecordedReason::Settings;
        if let Subject::Target { name, config } = subject {
            self.analysed += 1;
            if *why == RecordedReason::New {
                let (of, fresh) = &self.new_targets;
                // By configuration, since that is written once for a line and may be longer than all names.
                if of != config || fresh.len() >= MAX_SHARED_TARGETS {
                    self.write_new_targets();
                    self.new_targets.0 = config.clone();
                }
                self.new_targets.1.push(name.clone());
                return;
            }
        }
        // Reasons are what `explain` needs, so they have room that first executions may not fill.
        let more = if *why == RecordedReason::New { 0 } else { MAX_EXTRA_BYTES };
        // An action that did not end has no other line.
        let origin = match subject {
            Subject::Action(id) => self.origin(id),
            _ => None,
        };
        self.bounded_line(more, "cause", |line| {
            cause(line, subject, why);
            if let Some(origin) = &origin {
                line.text("origin", origin);
            }
        });
    }

    pub(super) fn write_new_targets(&mut self) {
        let (config, names) = std::mem::take(&mut self.new_targets);
        if !names.is_empty() {
            self.line("new_targets", |line| {
                label(line, "configuration", &config);
                line.list("targets", names.iter().map(|name| name.as_str()));
            });
        }
    }
}

/// Writes a label: as JSON if it is the whole text, as a string if it is abbreviated, since that is not JSON.
fn label(line: &mut Line<'_>, key: &str, text: &str) {
    match text.ends_with(['}', ']']) {
        true => line.json(key, text),
        false => line.text(key, text),
    };
}

fn cause(line: &mut Line<'_>, subject: &Subject, why: &RecordedReason) {
    to_json(&mut line.object("task"), subject);
    let word = match why {
        RecordedReason::New => "new",
        RecordedReason::Always => "always",
        RecordedReason::Settings => "settings",
        RecordedReason::Program => "program",
        RecordedReason::Changed => "changed",
        RecordedReason::Lost => "lost",
        RecordedReason::Read { .. } => "read",
        RecordedReason::Redefined { .. } => "redefined",
    };
    line.shown("why", word);
    match why {
        RecordedReason::Read { what, was, is } => {
            to_json(&mut line.object("what"), what);
            for (key, text) in [("was", was), ("is", is)] {
                if let Some(text) = text {
                    line.text(key, text);
                }
            }
        }
        RecordedReason::Redefined { target, difference } => {
            to_json(&mut line.object("what"), target);
            line.texts("difference", difference.iter().map(|text| text.as_str()));
        }
        _ => {}
    }
}

// The words are specified in `schemas/events.schema.json`; `from_json` reads the same ones.
fn to_json(line: &mut Line<'_>, subject: &Subject) {
    let mut of = |kind: &str| {
        line.shown("kind", kind);
    };
    match subject {
        Subject::Target { name, config } => {
            of("target");
            line.json("name", name);
            label(line, "configuration", config);
        }
        Subject::Action(id) => {
            of("action");
            line.id("action", id);
        }
        Subject::Output { action, path } => {
            of("output");
            line.id("action", action).text("path", path);
        }
        Subject::Source(path) => {
            of("source");
            line.text("path", path);
        }
        Subject::File(path) => {
            of("file");
            line.text("path", path);
        }
        Subject::Directory(path) => {
            of("directory");
            line.text("path", path);
        }
        Subject::Entry { file, name } => {
            of("entry");
            line.text("path", file).text("entry", name);
        }
        Subject::Rule(name) => {
            of("rule");
            line.json("name", name);
        }
        Subject::Expression(name) => {
            of("expression");
            line.json("name", name);
        }
        Subject::Tree(id) => {
            of("tree");
            line.id("id", id);
        }
        Subject::Inputs(id) => {
            of("inputs");
            line.id("id", id);
        }
        Subject::Other(text) => {
            of("other");
            line.text("text", text);
        }
    }
}

/// The targets of a line that several share.
pub(super) fn new_targets_of(line: Node<'_>) -> Option<Vec<Subject>> {
    // One allocation for all targets of the line.
    let config = label_of(line.get("configuration")?);
    let names = line.get("targets")?.as_list()?;
    Some(names.map(|name| Subject::Target { name: name.source().into(), config: config.clone() }).collect())
}

fn label_of(node: Node<'_>) -> Str {
    // A string is an abbreviated label, anything else is the configuration itself (`label`).
    node.as_str().unwrap_or_else(|| node.source()).into()
}

/// The task that a line is about, and why it was executed.
pub(super) fn cause_of(line: Node<'_>) -> Option<(Subject, RecordedReason)> {
    let subject = from_json(line.get("task")?)?;
    let text = |key: &str| line.get(key).and_then(|node| node.as_str()).map(Str::from);
    let why = match line.get("why")?.as_str()? {
        "new" => RecordedReason::New,
        "always" => RecordedReason::Always,
        "settings" => RecordedReason::Settings,
        "program" => RecordedReason::Program,
        "changed" => RecordedReason::Changed,
        "lost" => RecordedReason::Lost,
        "read" => {
            RecordedReason::Read { what: from_json(line.get("what")?)?, was: text("was"), is: text("is") }
        }
        "redefined" => {
            let texts = line.get("difference")?.as_list()?.map(|item| item.as_str().map(Str::from));
            RecordedReason::Redefined {
                target: from_json(line.get("what")?)?,
                difference: texts.collect::<Option<_>>()?,
            }
        }
        _ => return None,
    };
    Some((subject, why))
}

/// An id written as digits.
pub(super) fn id_of(node: Node<'_>) -> Option<Id> {
    Id::from_hex(node.as_str()?)
}

fn from_json(node: Node<'_>) -> Option<Subject> {
    let text = |key: &str| node.get(key).and_then(|node| node.as_str()).map(Str::from);
    let id = |key: &str| node.get(key).and_then(id_of);
    let name = || node.get("name").map(|name| Str::from(name.source()));
    Some(match node.get("kind")?.as_str()? {
        "target" => Subject::Target { name: name()?, config: label_of(node.get("configuration")?) },
        "action" => Subject::Action(id("action")?),
        "output" => Subject::Output { action: id("action")?, path: text("path")? },
        "source" => Subject::Source(text("path")?),
        "file" => Subject::File(text("path")?),
        "directory" => Subject::Directory(text("path")?),
        "entry" => Subject::Entry { file: text("path")?, name: text("entry")? },
        "rule" => Subject::Rule(name()?),
        "expression" => Subject::Expression(name()?),
        "tree" => Subject::Tree(id("id")?),
        "inputs" => Subject::Inputs(id("id")?),
        "other" => Subject::Other(text("text")?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use taut_syntax::json::Document;

    #[test]
    fn values_are_decoded_as_they_were_encoded() {
        let (id, name): (Id, Str) = (Id::of("x"), r#"["@","","m","t"]"#.into());
        let config: Str = r#"{"A":[1.0,"\n"]}"#.into();
        let target = Subject::Target { name: name.clone(), config };
        let long = Subject::Target { name: name.clone(), config: "{\"A… (the whole of it is 5)".into() };
        let subjects = [
            target.clone(),
            long,
            Subject::Action(id),
            Subject::Output { action: id, path: "o\"/p".into() },
            Subject::Source("/s".into()),
            Subject::File("/f".into()),
            Subject::Directory("/d".into()),
            Subject::Entry { file: "/f".into(), name: "e".into() },
            Subject::Rule(name.clone()),
            Subject::Expression(name),
            Subject::Tree(id),
            Subject::Inputs(id),
            Subject::Other("else".into()),
        ];
        let read =
            |what: &Subject| RecordedReason::Read { what: what.clone(), was: Some("[a]".into()), is: None };
        let redefined = RecordedReason::Redefined { target, difference: vec!["- x".into(), "".into()] };
        let whys = subjects.iter().map(read).chain([
            RecordedReason::New,
            RecordedReason::Always,
            RecordedReason::Settings,
            RecordedReason::Program,
            RecordedReason::Changed,
            RecordedReason::Lost,
            redefined,
        ]);
        for (at, why) in whys.enumerate() {
            let subject = &subjects[at % subjects.len()];
            let mut text = String::new();
            cause(&mut Line::begin(&mut text, "cause"), subject, &why);
            let document =
                Document::parse("line", text.clone().into_bytes()).unwrap_or_else(|_| panic!("{text}"));
            assert_eq!(cause_of(document.root()), Some((subject.clone(), why)), "{text}");
        }
    }
}
