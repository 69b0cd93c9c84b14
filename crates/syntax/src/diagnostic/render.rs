//! Rendering of diagnostics as text: message, location with excerpt and carets, suggestion, notes, chain.
//!
//! Own code instead of a crate for annotated snippets: descriptions are often generated, with the whole file on one
//! line, so the excerpt must be cut to a window while line and column remain those of the file.

use std::{borrow::Cow, collections::HashMap, fmt::Write, sync::Arc};

use super::{Diagnostic, Group, Location, LocationPart, Severity, suggested};
use crate::json::{Dialect, Document, Span};
use crate::seen_from;

/// Access to the text of files when diagnostics are shown.
pub trait Sources {
    /// The present text of a file, by the name that locations use; `None` if it cannot be read. With or without byte
    /// order mark.
    fn text(&self, file: &str) -> Option<Arc<str>>;
}

impl<F: Fn(&str) -> Option<Arc<str>>> Sources for F {
    fn text(&self, file: &str) -> Option<Arc<str>> {
        self(file)
    }
}

/// Styles, as the parameters of escape codes. There are no other colours: yellow and cyan cannot be read on a light
/// background, nor blue on a dark one.
const ERROR: &str = "1;31";
const WARNING: &str = "1;35";
const BOLD: &str = "1";

fn paint(color: bool, style: &str, text: &str) -> String {
    if color { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
}

/// How many characters of a line an excerpt shows at most, and at least if lines are short.
const MAX_EXCERPT: usize = 100;
const MIN_EXCERPT: usize = 20;

/// The author of a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Author {
    /// This program: the text can be put into the form that all its messages have.
    Program,
    /// A user, for example as the message of `fail`.
    User,
}

/// A text as it is shown.
type ShownText<'s> = dyn Fn(&str, Author) -> Cow<'_, str> + 's;

/// Renders diagnostics, reading each file once.
pub struct Renderer<'s> {
    sources: &'s dyn Sources,
    color: bool,
    base: String,
    texts: Box<ShownText<'s>>,
    /// How many characters of a line an excerpt shows.
    excerpt: usize,
    files: HashMap<Arc<str>, Option<File>>,
}

struct File {
    text: Arc<str>,
    document: Option<Document>,
    /// The offsets at which lines begin.
    lines: Vec<usize>,
}

impl File {
    fn new(name: &Arc<str>, text: &Arc<str>) -> File {
        // Spans are those of the text without the mark (`Document::text`).
        let text: Arc<str> = text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), Arc::from);
        // The present text may differ from the one that was analysed: paths are looked up as far as they exist.
        // Whatever dialect it was read in, the extended one gives the same places.
        let document = Document::parse_as(Dialect::Extended, name.clone(), text.as_bytes()).ok();
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        // An index of lines, since a file of many errors is asked for many positions.
        let lines = std::iter::once(0).chain(ends).collect();
        File { text, document, lines }
    }

    /// The number of the line that contains an offset, from 0.
    fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset) - 1
    }

    /// Line and column, from 1, of an offset.
    fn position(&self, offset: usize) -> (u32, u32) {
        // The offset may be that of an earlier text, and lie within a character of this one.
        let offset = self.text.floor_char_boundary(offset);
        let line = self.line(offset);
        let column = self.text[self.lines[line]..offset].chars().count();
        (line as u32 + 1, column as u32 + 1)
    }
}

/// The extent of a location: lines and columns, in characters, from 1; `end` is the first position behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Line and column of the first character.
    pub start: (u32, u32),
    /// Line and column of the first character behind it.
    pub end: (u32, u32),
}

/// Renders one diagnostic; see [`Renderer`] for many.
pub fn render(diagnostic: &Diagnostic, sources: &dyn Sources, color: bool) -> String {
    Renderer::new(sources, color).render(diagnostic)
}

impl<'s> Renderer<'s> {
    /// A renderer that looks files up in `sources` and may colour its text for a terminal.
    pub fn new(sources: &'s dyn Sources, color: bool) -> Self {
        let base = String::new();
        let excerpt = MAX_EXCERPT;
        Renderer {
            sources,
            color,
            base,
            texts: Box::new(|text, _| text.into()),
            excerpt,
            files: HashMap::new(),
        }
    }

    /// The renderer whose excerpts fit into lines of so many columns, unless these are very short.
    pub fn for_columns(mut self, columns: usize) -> Self {
        // In front of it are the number of the line and a bar, around it two ellipses.
        const EXTRA_COLUMNS: usize = 10;
        self.excerpt = columns.saturating_sub(EXTRA_COLUMNS).clamp(MIN_EXCERPT, MAX_EXCERPT);
        self
    }

    /// The renderer that shows the names of files below a directory relative to it.
    pub fn relative_to(mut self, directory: &str) -> Self {
        self.base = format!("{}/", directory.trim_end_matches('/'));
        self
    }

    /// The renderer that shows texts as the function has it, which is given their authors.
    pub fn with_texts(mut self, shown: impl Fn(&str, Author) -> Cow<'_, str> + 's) -> Self {
        self.texts = Box::new(shown);
        self
    }

    /// A text as it is shown: in it, the names of targets as people type them, if that is wanted.
    pub fn shown<'t>(&self, text: &'t str) -> Cow<'t, str> {
        (self.texts)(text, Author::Program)
    }

    /// The message of a diagnostic as it is shown.
    pub fn shown_message<'d>(&self, diagnostic: &'d Diagnostic) -> Cow<'d, str> {
        let author = if diagnostic.is_of_user { Author::User } else { Author::Program };
        (self.texts)(&diagnostic.message, author)
    }

    fn paint(&self, style: &str, text: &str) -> String {
        paint(self.color, style, text)
    }

    /// The text of a diagnostic: lines without a final newline, without the word for its severity.
    pub fn render(&mut self, diagnostic: &Diagnostic) -> String {
        let mut out = self.paint(BOLD, &self.shown_message(diagnostic));
        if let Some(location) = &diagnostic.location {
            let style = match diagnostic.severity {
                Severity::Error => ERROR,
                Severity::Warning => WARNING,
            };
            self.excerpt(location, style, &mut out);
        }
        let help = self.paint(BOLD, "help:");
        if let Some(meant) = &diagnostic.suggestion {
            let meant = suggested(meant);
            let _ = write!(out, "\n  {help} did you mean {meant}?");
        }
        for advice in &diagnostic.help {
            let _ = write!(out, "\n  {help} {}", self.shown(advice).replace('\n', "\n        "));
        }
        for note in &diagnostic.notes {
            let text = self.shown(&note.message).trim_end().replace('\n', "\n        ");
            let _ = write!(out, "\n  {} {text}", self.paint(BOLD, "note:"));
            match &note.location {
                Some(location) if note.with_excerpt => self.excerpt(location, BOLD, &mut out),
                location => self.write_place(":", location.as_ref(), &mut out),
            }
        }
        let mut separator = "\n  ";
        for frame in &diagnostic.chain {
            let message = self.shown(&frame.message);
            let _ = write!(out, "{separator}{}", message.replace('\n', "\n  "));
            self.write_place(",", frame.location.as_ref(), &mut out);
            // A short frame without location is on one line with the next frame.
            const MAX_SHORT_FRAME_BYTES: usize = 60;
            let long = message.len() > MAX_SHORT_FRAME_BYTES;
            let alone = frame.location.is_some() || !frame.details.is_empty() || long;
            separator = if alone { "\n  " } else { ", " };
            for detail in &frame.details {
                let _ = write!(out, "\n    {}", self.shown(detail).replace('\n', "\n    "));
            }
        }
        out
    }

    /// The text of a group: the first diagnostic, then the other targets in which it occurs.
    pub fn render_group(&mut self, group: &Group<'_>) -> String {
        const MAX_SHOWN_CONTEXTS: usize = 3;
        let mut out = self.render(group.first);
        for other in group.others.iter().take(MAX_SHOWN_CONTEXTS) {
            let Some(outermost) = other.chain.last() else { continue };
            let _ = write!(out, "\n  also {}", self.shown(&outermost.message));
            self.write_place(",", outermost.location.as_ref(), &mut out);
        }
        if group.others.len() > MAX_SHOWN_CONTEXTS {
            let _ = write!(out, "\n  and in {} more", group.others.len() - MAX_SHOWN_CONTEXTS);
        }
        out
    }

    fn write_place(&mut self, separator: &str, location: Option<&Location>, out: &mut String) {
        if let Some(location) = location {
            let place = self.place(location);
            let _ = write!(out, "{separator} {}", place);
        }
    }

    /// The name of a file in messages.
    pub fn file_name<'f>(&self, file: &'f str) -> Cow<'f, str> {
        match self.base.len() > 1 {
            true => seen_from(file, &self.base).into(),
            false => file.into(),
        }
    }

    /// `file:line:column`, as far as that is known.
    pub fn place(&mut self, location: &Location) -> String {
        let name = self.file_name(&location.file).into_owned();
        match self.extent(location) {
            Some(Extent { start: (line, column), .. }) => format!("{name}:{line}:{column}"),
            None => name,
        }
    }

    /// The extent of a location, if it is known.
    pub fn extent(&mut self, location: &Location) -> Option<Extent> {
        let (file, span) = self.find(location)?;
        Some(Extent { start: file.position(span.start as usize), end: file.position(span.end as usize) })
    }

    fn find(&mut self, location: &Location) -> Option<(&File, Span)> {
        let sources = self.sources;
        // A file that cannot be read is noted as well, and not tried again for each location.
        let file = self.files.entry(location.file.clone()).or_insert_with(|| {
            let text = sources.text(&location.file)?;
            Some(File::new(&location.file, &text))
        });
        let file = file.as_ref()?;
        let document = file.document.as_ref();
        let span = match &location.place {
            LocationPart::File => return None,
            LocationPart::Text(span) => {
                let end = file.text.len() as u32;
                Span { start: span.start.min(end), end: span.end.min(end) }
            }
            LocationPart::Value(path) => document?.nearest(path).span(),
            LocationPart::Key(path) => document?.nearest_key(path),
        };
        Some((file, span))
    }

    fn excerpt(&mut self, location: &Location, style: &str, out: &mut String) {
        let place = self.place(location);
        let (color, columns) = (self.color, self.excerpt);
        let Some((file, span)) = self.find(location) else {
            let _ = write!(out, "\n --> {place}");
            return;
        };
        let text = &file.text;
        let start = text.floor_char_boundary(span.start as usize);
        let end = text.ceil_char_boundary(span.end as usize).max(start);
        let line = file.line(start);
        let line_start = file.lines[line];
        // Of an extent over several lines, only the part in the first one is shown.
        let line_end = file.lines.get(line + 1).map_or(text.len(), |next| next - 1);
        // The window of the line that is shown: up to half of the width before the marked part.
        let back = text[line_start..start].char_indices().rev().nth(columns / 2 - 1);
        let from = match back {
            // A line that fits is shown from its beginning, wherever the marked part is.
            Some((offset, _)) if text[line_start..line_end].chars().nth(columns).is_some() => {
                line_start + offset
            }
            _ => line_start,
        };
        let to = text[from..line_end].char_indices().nth(columns).map_or(line_end, |(n, _)| from + n);
        let shown =
            // One blank for each, also for a tab, so that the carets are below their characters.
            |piece: &str| -> String { piece.chars().map(|c| if c.is_control() { ' ' } else { c }).collect() };
        let left = if from > line_start { "…" } else { "" };
        let right = if to < line_end { "…" } else { "" };
        let excerpt = format!("{left}{}{right}", shown(text[from..to].trim_end()));
        let skipped = left.chars().count() + text[from..start].chars().count();
        // At least one caret, also for an empty extent such as the end of the file.
        let marked = text[start..end.min(to).max(start)].trim_end().chars().count().max(1);
        let number = (line + 1).to_string();
        let gap = " ".repeat(number.len());
        let carets = paint(color, style, &"^".repeat(marked));
        let _ = write!(out, "\n{gap}--> {place}\n{gap} |\n{number} | {excerpt}");
        let _ = write!(out, "\n{gap} | {}{carets}", " ".repeat(skipped));
    }
}
