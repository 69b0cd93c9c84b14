//! What is wrong with a description, for the people who wrote it.
//!
//! A diagnostic is a value: it can be compared, hashed, kept and shown again later. It points into
//! files by (name, JSON path), never by offsets, so that re-formatting a file changes no diagnostic;
//! lines, columns and excerpts are looked up when it is rendered (see [`Renderer`]). The one exception
//! are syntax errors, since a file that is no JSON has no paths.

mod render;
mod suggest;

use std::{collections::HashSet, sync::Arc};

pub use render::{Renderer, Sources, render};
pub use suggest::did_you_mean;

use crate::json::{Document, JsonPath, Span, SyntaxError};

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// There is no result.
    Error,
    /// There is a result, but maybe not the wanted one.
    Warning,
}

/// What of a file a location means.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Place {
    /// The file as such.
    File,
    /// The value at a path.
    Value(JsonPath),
    /// The key under which the value at a path stands.
    Key(JsonPath),
    /// A piece of text; only for files that are no JSON, and for keys that occur twice.
    Text(Span),
}

/// A place in a file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Location {
    /// The file, by the name that messages use and [`Sources`] knows.
    pub file: Arc<str>,
    /// What of it.
    pub place: Place,
}

impl Location {
    /// The value at a path of a file.
    pub fn value(file: impl Into<Arc<str>>, path: JsonPath) -> Location {
        Location { file: file.into(), place: Place::Value(path) }
    }

    /// The key of the value at a path of a file.
    pub fn key(file: impl Into<Arc<str>>, path: JsonPath) -> Location {
        Location { file: file.into(), place: Place::Key(path) }
    }

    /// A file as such.
    pub fn file(file: impl Into<Arc<str>>) -> Location {
        Location { file: file.into(), place: Place::File }
    }
}

/// One step of the way that led to an error, for example "in field deps of target x".
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Frame {
    /// What was being done there, on one line.
    pub message: String,
    /// Where that is written.
    pub location: Option<Location>,
    /// What helps to understand it, for example the values of variables: one line each.
    pub details: Vec<String>,
}

impl Frame {
    /// A frame without place and details.
    pub fn new(message: impl Into<String>) -> Frame {
        Frame { message: message.into(), location: None, details: Vec::new() }
    }

    /// The frame with its place.
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

/// One independent problem.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong. May have several lines; if the author of a rule has a message for its users, it
    /// comes first.
    pub message: String,
    /// Where.
    pub location: Option<Location>,
    /// What else there is to know: facts, other places, advice.
    pub notes: Vec<String>,
    /// What was probably meant.
    pub suggestion: Option<String>,
    /// How one came there, innermost first: expression, rule, field, target.
    pub chain: Vec<Frame>,
}

impl Diagnostic {
    fn new(severity: Severity, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity,
            message: message.into(),
            location: None,
            notes: Vec::new(),
            suggestion: None,
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

    /// The diagnostic with its place.
    pub fn at(mut self, location: Location) -> Diagnostic {
        self.location = Some(location);
        self
    }

    /// The diagnostic with one more note.
    pub fn note(mut self, note: impl Into<String>) -> Diagnostic {
        self.notes.push(note.into());
        self
    }

    /// The diagnostic with what was probably meant, if there is an idea.
    pub fn suggest(mut self, meant: Option<impl Into<String>>) -> Diagnostic {
        self.suggestion = meant.map(Into::into);
        self
    }

    /// The diagnostic seen from one step further out.
    pub fn within(mut self, frame: Frame) -> Diagnostic {
        self.chain.push(frame);
        self
    }

    /// Warnings about keys that occur more than once in an object of the document, as far as the ones
    /// that count lie in a part of its text.
    pub fn of_duplicates(document: &Document, part: Span) -> impl Iterator<Item = Diagnostic> {
        let inside = move |span: Span| part.start <= span.start && span.end <= part.end;
        document.duplicates().iter().filter(move |duplicate| inside(duplicate.used)).map(|duplicate| {
            let (line, column) = crate::json::line_and_column(document.text(), duplicate.used.start as usize);
            Diagnostic::warning(format!(
                "key {:?} occurs twice in one object; this one is ignored",
                duplicate.key
            ))
            .at(Location { file: document.label().clone(), place: Place::Text(duplicate.ignored) })
            .note(format!("the last one counts: {}:{line}:{column}", document.label()))
        })
    }
}

impl From<SyntaxError> for Diagnostic {
    fn from(error: SyntaxError) -> Diagnostic {
        let SyntaxError { label, message, span, line, column } = error;
        Diagnostic::error(format!("{label} is not valid JSON: line {line}, column {column}: {message}"))
            .at(Location { file: label, place: Place::Text(span) })
    }
}

/// Several independent problems, in the order in which they were found, each once. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Diagnostics(Arc<Vec<Arc<Diagnostic>>>);

impl Diagnostics {
    /// No problem.
    pub fn none() -> Diagnostics {
        Diagnostics::default()
    }

    /// Whether there is no problem.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many problems there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The problems.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Diagnostic> {
        self.0.iter().map(|diagnostic| &**diagnostic)
    }

    /// Whether there is an error among them.
    pub fn has_errors(&self) -> bool {
        self.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// All problems of several sets, each once, where it occurs first.
    pub fn merge<'a>(sets: impl IntoIterator<Item = &'a Diagnostics>) -> Diagnostics {
        let mut filled = sets.into_iter().filter(|set| !set.is_empty());
        let Some(first) = filled.next() else { return Diagnostics::none() };
        let mut others = filled.filter(|set| !Arc::ptr_eq(&set.0, &first.0)).peekable();
        if others.peek().is_none() {
            return first.clone();
        }
        let mut merged: Vec<Arc<Diagnostic>> = first.0.to_vec();
        let mut seen: HashSet<Arc<Diagnostic>> = merged.iter().cloned().collect();
        for set in others {
            merged.extend(set.0.iter().filter(|diagnostic| seen.insert(Arc::clone(diagnostic))).cloned());
        }
        Diagnostics(Arc::new(merged))
    }

    /// These problems seen from one step further out.
    pub fn within(&self, frame: &Frame) -> Diagnostics {
        self.iter().map(|diagnostic| diagnostic.clone().within(frame.clone())).collect()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Diagnostics {
        Diagnostics(Arc::new(vec![Arc::new(diagnostic)]))
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(diagnostics: I) -> Diagnostics {
        let mut seen = HashSet::new();
        let all = diagnostics.into_iter().map(Arc::new).filter(|d| seen.insert(Arc::clone(d)));
        Diagnostics(Arc::new(all.collect()))
    }
}
