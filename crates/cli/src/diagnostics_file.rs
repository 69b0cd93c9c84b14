//! The format of `--diagnostics FILE`: errors and warnings as JSON, for programs.
//!
//! docs/diagnostics.md specifies it; `tests/diagnostics_json.rs` runs the example there.

use taut_driver::{Diagnostic, Location, Renderer};
use taut_syntax::{LocationPart, PathStep, Severity, diagnostic::Extent};
use taut_value::JsonWriter;

use crate::log::layout::sentence;

/// A message that is about no file, as a diagnostic for programs.
pub(crate) fn message_as_json(severity: Severity, about: Option<&str>, text: &str) -> String {
    let text = &*sentence(text);
    let mut writer = JsonWriter::compact();
    writer.object(|w| {
        w.key("severity").string(word(severity));
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
    // The number is raised when a program that reads the present form could misread the next one.
    let mut text = "{\"version\":1,\"diagnostics\":[".to_owned();
    for (number, diagnostic) in diagnostics.iter().enumerate() {
        text.push_str(if number == 0 { "\n" } else { ",\n" });
        text.push_str(diagnostic);
    }
    text + "\n]}\n"
}

/// A diagnostic, with the text that people are shown.
pub(crate) fn diagnostic_as_json(diagnostic: &Diagnostic, renderer: &mut Renderer<'_>) -> String {
    let rendered = renderer.render(diagnostic);
    let mut writer = JsonWriter::compact();
    let Diagnostic { severity, location: place, suggestion, help, notes, chain, .. } = diagnostic;
    // Texts are for people; the names of targets in them are as people type them.
    let shown = |renderer: &Renderer<'_>, text: &str| renderer.shown(text).into_owned();
    writer.object(|w| {
        w.key("severity").string(word(*severity));
        w.key("message").string(renderer.shown_message(diagnostic));
        location(w, place.as_ref(), renderer);
        if let Some(suggestion) = suggestion {
            w.key("suggestion").string(suggestion);
        }
        w.key("help").list(|w| {
            for help in help {
                w.string(shown(renderer, help));
            }
        });
        w.key("notes").list(|w| {
            for note in notes {
                w.object(|w| {
                    w.key("message").string(shown(renderer, &note.message));
                    location(w, note.location.as_ref(), renderer);
                });
            }
        });
        w.key("chain").list(|w| {
            for frame in chain {
                w.object(|w| {
                    w.key("message").string(shown(renderer, &frame.message));
                    location(w, frame.location.as_ref(), renderer);
                    if let Some(target) = &frame.target {
                        w.key("target").string(target);
                    }
                });
            }
        });
        // The text as it is shown, for programs that only pass it on.
        w.key("rendered").string(rendered);
    });
    writer.finish()
}

fn word(severity: Severity) -> &'static str {
    if severity == Severity::Error { "error" } else { "warning" }
}

fn location(w: &mut JsonWriter, location: Option<&Location>, renderer: &mut Renderer<'_>) {
    let Some(at) = location else { return };
    w.key("location").object(|w| {
        w.key("file").string(&*at.file);
        let path = match &at.place {
            LocationPart::Value(path) => Some(("value", path)),
            LocationPart::Key(path) => Some(("key", path)),
            // A file that is not JSON has no paths; its place is in lines and columns below.
            LocationPart::File | LocationPart::Text(_) => None,
        };
        if let Some((part, path)) = path {
            w.key("part").string(part);
            w.key("path").list(|w| {
                for step in path.steps() {
                    match step {
                        PathStep::Key(key) => w.string(&**key),
                        PathStep::Index(index) => w.integer(*index),
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
