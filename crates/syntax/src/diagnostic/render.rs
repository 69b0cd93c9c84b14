//! Diagnostics as text: message, place with excerpt and caret, suggestion, notes, chain.
//!
//! Own code instead of a crate for annotated snippets: descriptions are often generated, with the
//! whole file on one line, so the excerpt must be cut to a window while line and column stay those of
//! the file.

use std::{collections::HashMap, fmt::Write, sync::Arc};

use super::{Diagnostic, Location, Place, Severity};
use crate::json::{Document, Span, line_and_column};

/// Where the text of files comes from when diagnostics are shown.
pub trait Sources {
    /// The present text of a file, by the name that locations use; none if it cannot be had. Without
    /// or with byte order mark.
    fn text(&self, file: &str) -> Option<Arc<str>>;
}

impl<F: Fn(&str) -> Option<Arc<str>>> Sources for F {
    fn text(&self, file: &str) -> Option<Arc<str>> {
        self(file)
    }
}

/// Columns of an excerpt that are shown at most.
const WIDTH: usize = 100;

/// Renders diagnostics, reading each file once.
pub struct Renderer<'s> {
    sources: &'s dyn Sources,
    color: bool,
    files: HashMap<Arc<str>, Option<File>>,
}

struct File {
    text: Arc<str>,
    document: Option<Document>,
}

/// Renders one diagnostic; see [`Renderer`] for many.
pub fn render(diagnostic: &Diagnostic, sources: &dyn Sources, color: bool) -> String {
    Renderer::new(sources, color).render(diagnostic)
}

impl<'s> Renderer<'s> {
    /// A renderer that looks files up in `sources` and may colour its text for a terminal.
    pub fn new(sources: &'s dyn Sources, color: bool) -> Self {
        Renderer { sources, color, files: HashMap::new() }
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.color { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// The text of a diagnostic: lines without a final newline, without the word for its severity.
    pub fn render(&mut self, diagnostic: &Diagnostic) -> String {
        let mut out = self.paint("1", &diagnostic.message);
        if let Some(location) = &diagnostic.location {
            let style = match diagnostic.severity {
                Severity::Error => "1;31",
                Severity::Warning => "1;33",
            };
            self.excerpt(location, style, &mut out);
        }
        if let Some(meant) = &diagnostic.suggestion {
            let _ = write!(out, "\n  {} did you mean {meant:?}?", self.paint("1;36", "help:"));
        }
        for note in &diagnostic.notes {
            let note = note.trim_end().replace('\n', "\n        ");
            let _ = write!(out, "\n  {} {note}", self.paint("1", "note:"));
        }
        for frame in &diagnostic.chain {
            let _ = write!(out, "\n  {}", frame.message.replace('\n', "\n  "));
            if let Some(location) = &frame.location
                && frame.location != diagnostic.location
            {
                let place = self.place(location);
                let _ = write!(out, "\n    {} {place}", self.paint("1;34", "-->"));
            }
            for detail in &frame.details {
                let _ = write!(out, "\n      {}", detail.replace('\n', "\n      "));
            }
        }
        out
    }

    /// `file:line:column`, as far as that is known.
    pub fn place(&mut self, location: &Location) -> String {
        match self.find(location) {
            Some((text, span)) => {
                let (line, column) = line_and_column(&text, span.start as usize);
                format!("{}:{line}:{column}", location.file)
            }
            None => location.file.to_string(),
        }
    }

    fn find(&mut self, location: &Location) -> Option<(Arc<str>, Span)> {
        let sources = self.sources;
        let file = self.files.entry(location.file.clone()).or_insert_with(|| {
            let text = sources.text(&location.file)?;
            let text = text.strip_prefix('\u{feff}').map(Arc::from).unwrap_or(text);
            let document = Document::parse(location.file.clone(), text.as_bytes()).ok();
            Some(File { text, document })
        });
        let file = file.as_ref()?;
        let document = file.document.as_ref();
        let span = match &location.place {
            Place::File => return None,
            Place::Text(span) => {
                let end = file.text.len() as u32;
                Span { start: span.start.min(end), end: span.end.min(end) }
            }
            Place::Value(path) => document?.nearest(path).span(),
            Place::Key(path) => document?.nearest_key(path),
        };
        Some((file.text.clone(), span))
    }

    fn excerpt(&mut self, location: &Location, style: &str, out: &mut String) {
        let place = self.place(location);
        let Some((text, span)) = self.find(location) else {
            let _ = write!(out, "\n {} {place}", self.paint("1;34", "-->"));
            return;
        };
        let start = text.floor_char_boundary(span.start as usize);
        let end = text.ceil_char_boundary(span.end as usize).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |n| n + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |n| start + n);
        let marked_end = end.min(line_end);
        // The window of the line that is shown, in characters around the marked piece.
        let back = text[line_start..start].char_indices().rev().nth(WIDTH / 2 - 1);
        let from = match back {
            Some((offset, _)) if text[line_start..line_end].chars().count() > WIDTH => line_start + offset,
            _ => line_start,
        };
        let to = text[from..line_end].char_indices().nth(WIDTH).map_or(line_end, |(n, _)| from + n);
        let shown =
            |piece: &str| -> String { piece.chars().map(|c| if c.is_control() { ' ' } else { c }).collect() };
        let left = if from > line_start { "…" } else { "" };
        let right = if to < line_end { "…" } else { "" };
        let excerpt = format!("{left}{}{right}", shown(text[from..to].trim_end()));
        let skipped = left.chars().count() + text[from..start].chars().count();
        let marked = text[start..marked_end.min(to).max(start)].trim_end().chars().count().max(1);
        let number = line_and_column(&text, start).0.to_string();
        let gap = " ".repeat(number.len());
        let bar = self.paint("1;34", "|");
        let _ = write!(out, "\n{gap}{} {place}", self.paint("1;34", "-->"));
        let _ = write!(out, "\n{gap} {bar}\n{} {bar} {excerpt}", self.paint("1;34", &number));
        let carets = self.paint(style, &"^".repeat(marked));
        let _ = write!(out, "\n{gap} {bar} {}{carets}", " ".repeat(skipped));
    }
}
