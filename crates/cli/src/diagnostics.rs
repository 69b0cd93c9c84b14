//! What is wrong with files, for people and for programs: text on the log, and `--diagnostics FILE`.
//!
//! docs/diagnostics.md specifies the file's format; a test holds this file to it.

use std::path::Path;

use taut_driver::{Diagnostic, Diagnostics, Group, Location, Renderer};
use taut_syntax::{Place, Severity, Step, diagnostic::Extent};
use taut_sys::Named;
use taut_value::JsonWriter;

use crate::log::{Level, Log};

/// A text that stands in no file, for example a word of the command line, by the name that diagnostics
/// have for it.
pub(crate) type Inline = Option<(std::sync::Arc<str>, std::sync::Arc<str>)>;

/// Tells what is wrong; the texts are also given back, without colour.
pub(crate) fn tell(diagnostics: &Diagnostics, level: Level, log: &Log) -> Vec<String> {
    tell_with(diagnostics, &None, level, log)
}

/// The same, where some of it is about a text that is in no file.
pub(crate) fn tell_with(diagnostics: &Diagnostics, inline: &Inline, level: Level, log: &Log) -> Vec<String> {
    let text = |file: &str| {
        if let Some((name, text)) = inline
            && **name == *file
        {
            return Some(text.clone());
        }
        let bytes = Named::of_user(Path::new(file)).ok()?.at().read_followed().ok()??;
        Some(String::from_utf8_lossy(&bytes).into_owned().into())
    };
    let here = std::env::current_dir().unwrap_or_default();
    let renderer = |color| Renderer::new(&text, color).relative_to(&here.to_string_lossy());
    let mut colored = renderer(log.color());
    let mut plain = renderer(false);
    let mut texts = Vec::new();
    for group in Group::all(diagnostics) {
        log.say_of_files(level, colored.render_group(&group));
        texts.push(plain.render_group(&group));
    }
    if log.is_collecting() {
        for diagnostic in diagnostics.iter() {
            log.collect(as_json(diagnostic, &mut plain));
        }
    }
    texts
}

/// A message that is about no file, as a diagnostic for programs.
pub(crate) fn message_as_json(level: Level, about: Option<&str>, text: &str) -> String {
    let mut writer = JsonWriter::compact();
    writer.object(|w| {
        w.key("severity").string(if level == Level::Error { "error" } else { "warning" });
        w.key("message").string(text);
        if let Some(about) = about {
            w.key("about").string(about);
        }
        w.key("rendered").string(text);
    });
    writer.finish()
}

/// A whole file of diagnostics.
pub(crate) fn file_of(diagnostics: &[String]) -> String {
    let mut text = "{\"version\":1,\"diagnostics\":[".to_owned();
    for (number, diagnostic) in diagnostics.iter().enumerate() {
        text.push_str(if number == 0 { "\n" } else { ",\n" });
        text.push_str(diagnostic);
    }
    text + "\n]}\n"
}

fn as_json(diagnostic: &Diagnostic, renderer: &mut Renderer<'_>) -> String {
    let rendered = renderer.render(diagnostic);
    let mut writer = JsonWriter::compact();
    let Diagnostic { severity, message, location: place, suggestion, help, notes, chain } = diagnostic;
    writer.object(|w| {
        w.key("severity").string(if *severity == Severity::Error { "error" } else { "warning" });
        w.key("message").string(message);
        location(w, place.as_ref(), renderer);
        if let Some(suggestion) = suggestion {
            w.key("suggestion").string(suggestion);
        }
        w.key("help").strings(help);
        w.key("notes").list(|w| {
            for note in notes {
                w.object(|w| {
                    w.key("message").string(&note.message);
                    location(w, note.location.as_ref(), renderer);
                });
            }
        });
        w.key("chain").list(|w| {
            for frame in chain {
                w.object(|w| {
                    w.key("message").string(&frame.message);
                    location(w, frame.location.as_ref(), renderer);
                    if let Some(target) = &frame.target {
                        w.key("target").string(target);
                    }
                });
            }
        });
        w.key("rendered").string(rendered);
    });
    writer.finish()
}

fn location(w: &mut JsonWriter, location: Option<&Location>, renderer: &mut Renderer<'_>) {
    let Some(at) = location else { return };
    w.key("location").object(|w| {
        w.key("file").string(&*at.file);
        let path = match &at.place {
            Place::Value(path) => Some(("value", path)),
            Place::Key(path) => Some(("key", path)),
            Place::File | Place::Text(_) => None,
        };
        if let Some((part, path)) = path {
            w.key("part").string(part);
            w.key("path").list(|w| {
                for step in path.steps() {
                    match step {
                        Step::Key(key) => w.string(&**key),
                        Step::Index(index) => w.integer(*index),
                    };
                }
            });
        }
        if let Some(Extent { start, end }) = renderer.extent(at) {
            for (key, (line, column)) in [("start", start), ("end", end)] {
                w.key(key).object(|w| {
                    w.key("line").integer(line);
                    w.key("column").integer(column);
                });
            }
        }
    });
}
