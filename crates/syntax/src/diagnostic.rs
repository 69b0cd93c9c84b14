//! Diagnostics: errors and warnings about descriptions, as values.
//!
//! A diagnostic can be compared, hashed, stored and shown again later. It points into files by (name, JSON path), never
//! by offsets, so that re-formatting a file changes no diagnostic; lines, columns and excerpts are looked up when it is
//! rendered (see [`Renderer`]). The one exception are syntax errors, since a file that is not JSON has no paths.

mod decode;
mod encode;
mod group;
mod render;
mod set;
mod suggest;

use std::sync::Arc;

pub use group::Group;
pub use render::{Author, Extent, Renderer, Sources, render};
pub use set::Diagnostics;
pub use suggest::{containing, did_you_mean, suggested};

use crate::json::{Document, JsonPath, Span, SyntaxError};
use crate::quoted;

/// How severe a diagnostic is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// There is no result.
    Error,
    /// There is a result, but maybe not the wanted one.
    Warning,
}

/// The part of a file that a location refers to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LocationPart {
    /// The file as such.
    File,
    /// The value at a path.
    Value(JsonPath),
    /// The key of the value at a path.
    Key(JsonPath),
    /// A piece of text; only for files that are not JSON, and for keys that occur twice.
    Text(Span),
}

/// A location in a file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Location {
    /// The file, by its name in messages, which [`Sources`] knows.
    pub file: Arc<str>,
    /// The part of it.
    pub place: LocationPart,
}

impl Location {
    /// The value at a path of a file.
    pub fn value(file: impl Into<Arc<str>>, path: JsonPath) -> Location {
        Location { file: file.into(), place: LocationPart::Value(path) }
    }

    /// The key of the value at a path of a file.
    pub fn key(file: impl Into<Arc<str>>, path: JsonPath) -> Location {
        Location { file: file.into(), place: LocationPart::Key(path) }
    }

    /// A file as such.
    pub fn file(file: impl Into<Arc<str>>) -> Location {
        Location { file: file.into(), place: LocationPart::File }
    }
}

/// One step of the chain that led to an error, for example "in field deps of target x".
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Frame {
    /// What was being done, on one line.
    pub message: String,
    /// Where that is written.
    pub location: Option<Location>,
    /// Details that help to understand it, for example the values of variables: one line each.
    pub details: Vec<String>,
    /// The target of this step, as shown in messages. It completes the chain: the dependents of that target add
    /// nothing.
    pub target: Option<String>,
}

impl Frame {
    /// A frame without location and details.
    pub fn new(message: impl Into<String>) -> Frame {
        Frame { message: message.into(), location: None, details: Vec::new(), target: None }
    }

    /// The outermost step: in a target.
    pub fn of_target(target: impl Into<String>) -> Frame {
        let target = target.into();
        Frame { message: format!("in target {target}"), target: Some(target), ..Frame::new("") }
    }

    /// The frame with its location.
    pub fn at(mut self, location: Location) -> Frame {
        self.location = Some(location);
        self
    }

    /// The frame with one more detail.
    pub fn detail(mut self, detail: impl Into<String>) -> Frame {
        self.details.push(detail.into());
        self
    }
}

/// Additional information: a fact, another location.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Note {
    /// The information. May have several lines.
    pub message: String,
    /// The location it is about.
    pub location: Option<Location>,
    /// Whether an excerpt of the file is shown, as for the diagnostic itself.
    pub with_excerpt: bool,
}

impl<S: Into<String>> From<S> for Note {
    fn from(message: S) -> Note {
        Note { message: message.into(), location: None, with_excerpt: false }
    }
}

impl Note {
    /// A note with a location.
    pub fn at(message: impl Into<String>, location: Location) -> Note {
        Note { location: Some(location), ..Note::from(message) }
    }

    /// A note that shows an excerpt of a file.
    pub fn showing(message: impl Into<String>, location: Location) -> Note {
        Note { with_excerpt: true, ..Note::at(message, location) }
    }
}

/// What separates the messages of the reference about one problem.
// Control characters as marks: texts of the reference are one string on all ways, and no description can have these
// unescaped in a message.
pub const NEXT_MESSAGE: &str = "\u{1e}";

/// At the beginning of a message of the reference: it is a warning.
// Device controls (DC1, DC2) and separators (RS, GS, US) of ASCII.
const AS_WARNING: char = '\u{11}';

/// At the beginning of a message of the reference: it is given below no step.
const BELOW_NOTHING: char = '\u{12}';

/// Around the name of what is tried once, however many ways lead there; what follows is shown on the first way only.
const ONCE_MARKS: [char; 2] = ['\u{1d}', '\u{1f}'];

/// A message of the reference, as it is shown.
pub struct ReferenceMessage {
    /// Whether it is only a warning, though it belongs to an error.
    pub is_warning: bool,
    /// The text.
    pub text: String,
    /// What is shown only once: if one of these was shown, the message is not.
    pub once: Vec<String>,
}

/// One independent problem.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong. May have several lines; a message that the author of a rule wrote for its users comes first.
    pub message: String,
    /// Whether a user wrote the message, with `fail` or the like: then it is shown as it is written.
    pub is_of_user: bool,
    /// The complete text of the reference, for calls under its name: its message below the lines of the steps that led
    /// there. Empty if it says nothing of this problem, absent if it is the message. Several messages about the same
    /// problem are separated by [`NEXT_MESSAGE`].
    pub reference: Option<String>,
    /// The location.
    pub location: Option<Location>,
    /// What was probably meant, to be written in place of what the location means: the content of a string, or a JSON
    /// list for a name of several words.
    pub suggestion: Option<String>,
    /// What can be done about it.
    pub help: Vec<String>,
    /// Additional information.
    pub notes: Vec<Note>,
    /// The steps that led to it, innermost first: expression, rule, field, target.
    pub chain: Vec<Frame>,
}

impl Diagnostic {
    fn new(severity: Severity, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity,
            message: message.into(),
            is_of_user: false,
            reference: None,
            location: None,
            suggestion: None,
            help: Vec::new(),
            notes: Vec::new(),
            chain: Vec::new(),
        }
    }

    /// An error.
    pub fn error(message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, message)
    }

    /// A warning.
    pub fn warning(message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Warning, message)
    }

    /// The diagnostic with what the reference says in place of its message; empty if it says nothing.
    pub fn reference(mut self, message: impl Into<String>) -> Diagnostic {
        self.reference = Some(message.into());
        self
    }

    /// The text of the reference.
    pub fn reference_text(&self) -> &str {
        self.reference.as_deref().unwrap_or(&self.message)
    }

    /// The diagnostic with one more line above the reference's text, the step that led there.
    #[must_use]
    pub fn below(mut self, step: &str) -> Diagnostic {
        // Chains of anonymous targets can have any length, and each step copies the text.
        const MAX_REFERENCE_BYTES: usize = 1 << 16;
        let text = self.reference_text();
        if !self.is_own() && text.len() < MAX_REFERENCE_BYTES {
            // Each of the messages was given below this step, so each gets the line.
            let below: Vec<String> = text
                .split(NEXT_MESSAGE)
                .map(|text| match text.strip_prefix(AS_WARNING) {
                    _ if text.starts_with(BELOW_NOTHING) => text.to_owned(),
                    Some(text) => format!("{AS_WARNING}{step}\n{text}"),
                    None => format!("{step}\n{text}"),
                })
                .collect();
            self.reference = Some(below.join(NEXT_MESSAGE));
        }
        self
    }

    /// Marks the diagnostic of something that the reference evaluates only once, and that several dependents share: it
    /// is shown for the first of them. `name` identifies it.
    #[must_use]
    pub fn once(mut self, name: &str) -> Diagnostic {
        if !self.is_own() {
            let [begin, end] = ONCE_MARKS;
            let texts = self.reference_text().split(NEXT_MESSAGE);
            let texts: Vec<String> = texts
                .map(|text| {
                    // What a text begins with says how all of it is shown.
                    let rest = text.trim_start_matches([AS_WARNING, BELOW_NOTHING]);
                    let how = &text[..text.len() - rest.len()];
                    format!("{how}{begin}{name}{end}{rest}")
                })
                .collect();
            self.reference = Some(texts.join(NEXT_MESSAGE));
        }
        self
    }

    /// The diagnostic of an error with warnings that the reference gives before it.
    #[must_use]
    pub fn after_warnings<'w>(mut self, warnings: impl Iterator<Item = &'w Diagnostic>) -> Diagnostic {
        if !self.is_own() {
            let warnings = warnings.filter(|warning| !warning.is_own());
            let texts: String = warnings
                .map(|warning| format!("{AS_WARNING}{}{NEXT_MESSAGE}", warning.reference_text()))
                .collect();
            // In front: the reference writes a warning when it finds it, and the error ends the call.
            self.reference = Some(texts + self.reference_text());
        }
        self
    }

    /// The diagnostic of an error with a message that the reference gives before it, below none of the steps.
    #[must_use]
    pub fn after_message(mut self, message: &str) -> Diagnostic {
        if !self.is_own() {
            self.reference = Some(format!("{BELOW_NOTHING}{message}{NEXT_MESSAGE}{}", self.reference_text()));
        }
        self
    }

    /// The diagnostic of an error with what the reference says after it of another one, which is reported with this
    /// one.
    #[must_use]
    pub fn before_messages_of(mut self, other: &Diagnostic) -> Diagnostic {
        if !self.is_own() && !other.is_own() {
            self.reference =
                Some(format!("{}{NEXT_MESSAGE}{}", self.reference_text(), other.reference_text()));
        }
        self
    }

    /// The messages of the reference, as they are shown; none if it says nothing.
    pub fn reference_messages(&self) -> Vec<ReferenceMessage> {
        let texts = self.reference_text().split(NEXT_MESSAGE).filter(|text| !text.is_empty());
        let message = |text: &str| {
            let is_warning = text.starts_with(AS_WARNING);
            // The mark may be there several times, if warnings were put before warnings.
            let mut rest = text.trim_start_matches([AS_WARNING, BELOW_NOTHING]);
            let (mut text, mut once) = (String::new(), Vec::new());
            let [begin, end] = ONCE_MARKS;
            while let Some((before, inside)) = rest.split_once(begin) {
                text += before;
                once.push(inside.to_owned());
                rest = inside.split_once(end).map_or("", |(_, rest)| rest);
            }
            text += rest;
            ReferenceMessage { is_warning, text, once }
        };
        texts.map(message).collect()
    }

    /// Whether the reference says nothing of this problem.
    pub fn is_own(&self) -> bool {
        self.reference.as_ref().is_some_and(String::is_empty)
    }

    /// The diagnostic with its location.
    pub fn at(mut self, location: Location) -> Diagnostic {
        self.location = Some(location);
        self
    }

    /// The diagnostic with one more note.
    pub fn note(mut self, note: impl Into<Note>) -> Diagnostic {
        self.notes.push(note.into());
        self
    }

    /// The diagnostic with advice.
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help.push(help.into());
        self
    }

    /// The diagnostic with other names for files.
    #[must_use]
    pub fn with_files_named(mut self, name: &impl Fn(&Arc<str>) -> Arc<str>) -> Diagnostic {
        // All places, also those of notes and steps: a diagnostic is either relative to its roots
        // as a whole, or not at all.
        let own = self.location.iter_mut();
        let of_notes = self.notes.iter_mut().filter_map(|note| note.location.as_mut());
        let of_frames = self.chain.iter_mut().filter_map(|frame| frame.location.as_mut());
        own.chain(of_notes).chain(of_frames).for_each(|location| location.file = name(&location.file));
        self
    }

    /// Whether its chain ends at a target.
    pub fn is_settled(&self) -> bool {
        // The last frame is the outermost, and only that of a target completes the chain.
        self.chain.last().is_some_and(|frame| frame.target.is_some())
    }

    /// The diagnostic with what was probably meant, if that is known.
    pub fn suggest(mut self, meant: Option<impl Into<String>>) -> Diagnostic {
        self.suggestion = meant.map(Into::into);
        self
    }

    /// The diagnostic with one more step of its chain.
    pub fn within(mut self, frame: Frame) -> Diagnostic {
        self.chain.push(frame);
        self
    }

    /// Warnings about keys that occur more than once in an object of the document, if the occurrence that counts is
    /// within a part of its text.
    pub fn of_duplicates(document: &Document, part: Span) -> impl Iterator<Item = Diagnostic> {
        let inside = move |span: Span| part.start <= span.start && span.end <= part.end;
        document.duplicates().iter().filter(move |duplicate| inside(duplicate.used)).map(|duplicate| {
            let at = |span| Location { file: document.label().clone(), place: LocationPart::Text(span) };
            let key = &duplicate.key;
            Diagnostic::warning(format!(
                "key {} occurs twice in one object; this one is ignored",
                quoted(&key)
            ))
            // The reference's library takes the last one without a word.
            .reference("")
            .at(at(duplicate.ignored))
            .note(Note::at("the last one counts", at(duplicate.used)))
        })
    }
}

impl From<SyntaxError> for Diagnostic {
    fn from(error: SyntaxError) -> Diagnostic {
        let SyntaxError { label, message, span, line, help, opened, .. } = error;
        let at = |span| Location { file: label.clone(), place: LocationPart::Text(span) };
        let diagnostic = Diagnostic::error(format!("Invalid JSON in line {line}: {message}")).at(at(span));
        let opened = opened.map(|(what, span)| Note::at(what, at(span)));
        let diagnostic = opened.into_iter().fold(diagnostic, Diagnostic::note);
        help.into_iter().fold(diagnostic, Diagnostic::help)
    }
}
