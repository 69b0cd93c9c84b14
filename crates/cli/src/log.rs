//! Messages: levels, standard error, log files.
//!
//! All messages go through here, to standard error and log files, so that standard output has nothing but requested
//! data, which another program may read. Colour is a property of standard error alone. An error while a message is
//! written never fails a build.

mod escapes;
pub(crate) mod layout;
mod level;
mod pieces;
mod target_names;

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use taut_driver::{RepoConfig, RootTexts, root_texts};
use taut_syntax::Severity;
use taut_sys::Named;
use taut_value::Str;

use crate::{diagnostics_file, options, tool_name::Name, utc::Utc};

pub(crate) use escapes::{Escapes, plain};
pub(crate) use layout::Layout;
pub use level::Level;
pub(crate) use target_names::Names;

/// A message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// How important it is.
    pub level: Level,
    /// What it is about, if that has a name.
    pub name: Option<String>,
    /// Its text.
    pub text: String,
    /// Whether it came in pieces, which have the indentation of their lines in them.
    pub in_pieces: bool,
}

/// Where messages go.
pub struct Log {
    /// The name by which the tool was called.
    tool: Name,
    layout: &'static dyn Layout,
    names: Names,
    /// When the call began.
    begin: Instant,
    /// Whether messages are only recorded.
    is_nested: bool,
    limit: Level,
    console_limit: Level,
    color: bool,
    live: bool,
    // One lock for all files, so that a message is at the same place in each.
    files: Mutex<Vec<File>>,
    /// The lines that are drawn below all messages, as they are on the terminal now.
    // Held while anything is written to the terminal: it orders messages and frames.
    shown: Mutex<Vec<String>>,
    /// Whether no more lines are drawn there.
    is_display_over: AtomicBool,
    /// Diagnostics for programs, as JSON, and the file for them.
    collected: Option<(PathBuf, Mutex<Vec<String>>)>,
    /// The texts of files that are not files of the system, by their paths in messages.
    root_texts: Mutex<Option<RootTexts>>,
    /// The messages since [`Log::record`].
    record: Mutex<Option<Vec<Message>>>,
    /// Whether there was a warning that build state cannot be kept, or could not be used: one in a call is enough.
    pub(crate) has_cache_warning: AtomicBool,
}

impl Log {
    /// The log for these options. Log files are created here.
    ///
    /// # Errors
    ///
    /// A text that names the log file which cannot be written.
    pub(crate) fn open(options: &options::Log, tool: Name) -> Result<Log, String> {
        let (limit, console_limit) = limits(options);
        let mut files = Vec::new();
        for path in &options.log_file {
            let named = Named::of_user(path);
            // Created at the beginning: a path that cannot be written is an error of the call, not of a message hours
            // later.
            let file = named.and_then(|named| Ok(named.write(options.log_append)?.into_std()));
            files.push(file.map_err(|e| format!("Cannot write log file {}: {e}", path.display()))?);
        }
        // Of standard error alone: standard output may go to a file while a person watches.
        let terminal = io::stderr().is_terminal();
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let live = terminal && !dumb && !options.plain_log && console_limit >= Level::Progress;
        let color = match (options.plain_log, options.color.as_deref()) {
            // justbuild colours whatever standard error is, and asks no environment.
            (plain, _) if tool == Name::Just => !plain,
            // What the command line says comes before the environment and the kind of terminal.
            (true, _) | (_, Some("never")) => false,
            (_, Some("always")) => true,
            _ => wants_color(|name| std::env::var(name).ok(), terminal),
        };
        Ok(Log {
            tool,
            layout: layout::of(tool),
            names: Names::default(),
            begin: Instant::now(),
            is_nested: false,
            limit,
            console_limit,
            color,
            live,
            files: Mutex::new(files),
            shown: Mutex::default(),
            is_display_over: AtomicBool::new(false),
            collected: options.diagnostics.clone().map(|path| (path, Mutex::default())),
            root_texts: Mutex::default(),
            record: Mutex::default(),
            has_cache_warning: AtomicBool::new(false),
        })
    }

    /// The name by which the tool was called.
    pub(crate) fn tool(&self) -> Name {
        self.tool
    }

    /// A log in the same form whose messages are only recorded, with what this one shows or writes to files.
    /// `main`: the main repository, for names of targets.
    pub(crate) fn nested(&self, main: &Str) -> Log {
        let names = Names::default();
        names.set_main(main);
        Log {
            tool: self.tool,
            layout: layout::of(self.tool),
            names,
            begin: Instant::now(),
            is_nested: true,
            limit: self.limit,
            // Everything that log files of the call get is recorded, whatever standard error shows.
            console_limit: self.limit,
            color: false,
            live: false,
            files: Mutex::default(),
            shown: Mutex::default(),
            is_display_over: AtomicBool::new(false),
            collected: None,
            root_texts: Mutex::default(),
            record: Mutex::new(Some(Vec::new())),
            has_cache_warning: AtomicBool::new(false),
        }
    }

    /// How messages name targets.
    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// When the call began.
    pub(crate) fn begin(&self) -> Instant {
        self.begin
    }

    /// How many columns a line on standard error may have.
    pub(crate) fn width(&self) -> usize {
        /// Where there is no terminal.
        const WIDTH: usize = 120;
        match rustix::termios::tcgetwinsize(io::stderr()) {
            // Below that nothing can be laid out; some terminals report nonsense for a moment.
            Ok(size) if size.ws_col > 0 => usize::from(size.ws_col).max(20),
            _ => WIDTH,
        }
    }

    /// How many rows the terminal has.
    pub(crate) fn rows(&self) -> usize {
        Screen::now().rows
    }

    /// Whether standard error is a terminal on which lines can be drawn over.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Shows lines below all messages, instead of those shown before. Only for terminals.
    pub fn show(&self, lines: &[String]) {
        if !self.live {
            return;
        }
        let mut shown = self.shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Read under the lock of `shown`: a frame that is drawn late cannot come after the erasing one.
        let lines = if self.is_display_over.load(Relaxed) { &[] } else { lines };
        let Screen { columns, rows } = Screen::now();
        let mut text = back_to_top(&shown);
        // The last column stays free, since some terminals begin a new line behind it, and so does the last row.
        let cut = |line: &String| cut(line, columns.saturating_sub(1));
        *shown = lines.iter().take(rows.saturating_sub(1)).map(cut).collect();
        // Line by line over the old ones, and the rest only then: a screen that is empty in between flickers.
        text.extend(shown.iter().map(|line| format!("{line}\x1b[K\n")));
        if !text.is_empty() {
            text.push_str("\x1b[J");
            let _ = io::stderr().lock().write_all(text.as_bytes());
        }
    }

    /// Erases the lines below all messages. From now on, there are none.
    pub(crate) fn end_display(&self) {
        // Relaxed: the lock that `show` takes next orders this for all other threads that draw.
        self.is_display_over.store(true, Relaxed);
        self.show(&[]);
    }

    /// From now on, messages show the texts of files in the roots of repositories.
    pub(crate) fn shows_texts_in(&self, repositories: &RepoConfig) {
        let texts = root_texts(repositories);
        *self.root_texts.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(texts);
    }

    /// The text of a file in a root that is not a directory, by its path in messages.
    pub(crate) fn root_text(&self, file: &str) -> Option<Arc<str>> {
        let texts = self.root_texts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        texts.and_then(|texts| texts(file))
    }

    /// Whether diagnostics on standard error may be coloured.
    pub fn color(&self) -> bool {
        self.color
    }

    /// Whether a message of this level is written anywhere.
    pub fn wants(&self, level: Level) -> bool {
        level <= self.console_limit || (level <= self.limit && !self.lock().is_empty())
    }

    /// From now on, records all messages, of whatever level.
    pub fn record(&self) {
        *self.record.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Vec::new());
    }

    /// The messages since [`Log::record`]; ends recording.
    pub fn recorded(&self) -> Vec<Message> {
        let recorded = self.record.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        recorded.unwrap_or_default()
    }

    /// Writes a message that was recorded.
    pub fn repeat(&self, message: &Message) {
        match (&message.name, message.in_pieces) {
            (Some(name), true) => self.say_in_pieces(message.level, name, |give| give(&message.text)),
            (name, _) => self.write(message.level, name.as_deref(), &message.text),
        }
    }

    /// Writes a message.
    pub fn say(&self, level: Level, text: impl AsRef<str>) {
        self.note(level, None, text.as_ref());
        self.write(level, None, &self.layout.own_text(level, text.as_ref().trim_end_matches('\n')));
    }

    /// Writes a message about something that has a name, for example an action.
    pub fn say_about(&self, level: Level, name: &str, text: impl AsRef<str>) {
        self.note(level, Some(name), text.as_ref());
        self.write(level, Some(name), &self.layout.own_text(level, text.as_ref().trim_end_matches('\n')));
    }

    /// Writes a message that is collected in another form. Its text is shown as it is: a user may have written it.
    pub fn say_of_files(&self, level: Level, text: impl AsRef<str>) {
        self.write(level, None, text.as_ref());
    }

    /// Collects a message that is shown in another form.
    pub(crate) fn note(&self, level: Level, name: Option<&str>, text: &str) {
        // Messages below are not diagnostics.
        if level <= Level::Warn && self.is_collecting() {
            let severity = if level == Level::Error { Severity::Error } else { Severity::Warning };
            self.collect(diagnostics_file::message_as_json(severity, name, text.trim_end_matches('\n')));
        }
    }

    /// Whether diagnostics are collected for programs.
    pub fn is_collecting(&self) -> bool {
        self.collected.is_some()
    }

    /// Collects a diagnostic, as JSON.
    pub(crate) fn collect(&self, diagnostic: String) {
        if let Some((_, collected)) = &self.collected {
            collected.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(diagnostic);
        }
    }

    /// The file of `--diagnostics`, and what belongs there: the diagnostics that were collected.
    pub(crate) fn collected(&self) -> Option<(&Path, String)> {
        let (path, collected) = self.collected.as_ref()?;
        let collected = collected.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Some((path, diagnostics_file::file_of(&collected)))
    }

    fn write(&self, level: Level, name: Option<&str>, text: &str) {
        let text = text.trim_end_matches('\n');
        let (shown, text) = self.filtered(text);
        let text = &*text;
        if let Some(record) = &mut *self.record.lock().unwrap_or_else(std::sync::PoisonError::into_inner) {
            record.push(Message {
                level,
                name: name.map(str::to_owned),
                text: text.to_owned(),
                in_pieces: false,
            });
        }
        if level <= self.console_limit && !self.is_nested {
            let lines = self.layout.layout(level, name, &shown, self.color);
            // Held while the message is written, so that no frame is drawn into its middle.
            let shown = self.shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let below: String = shown.iter().map(|line| format!("{line}\n")).collect();
            // In one write: with several, another process on the same terminal could print between them.
            let lines = erasure(&shown) + &lines + &below;
            // If standard error is closed, there is no place for an error message.
            let _ = io::stderr().lock().write_all(lines.as_bytes());
        }
        if level <= self.limit {
            let mut files = self.lock();
            if !files.is_empty() {
                let (seconds, nanos) = now();
                let lines = file_lines(level, name, text, seconds, nanos);
                for file in files.iter_mut() {
                    // A full disk is reported by what writes results; a log is not worth a failure.
                    let _ = file.write_all(lines.as_bytes());
                }
            }
        }
    }

    /// A text as the terminal gets it, and as files do.
    fn filtered<'t>(&self, text: &'t str) -> (Cow<'t, str>, Cow<'t, str>) {
        if !self.layout.filters_escapes() {
            return (text.into(), text.into());
        }
        let plain = plain(text);
        let shown = if self.color { Escapes::new(true).pass(text) } else { plain.clone() };
        (shown, plain)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<File>> {
        self.files.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// How much of the log goes to files, and how much to standard error: as `--log-limit` and
/// `--restrict-stderr-log-limit` say. `--verbose` asks for no less than commands and figures, and `--quiet` for errors
/// only on standard error.
fn limits(options: &options::Log) -> (Level, Level) {
    let limit = options.log_limit.map_or(Level::Progress, Level::from_number);
    let limit = if options.verbose { limit.max(Level::Debug) } else { limit };
    let restricted = options.restrict_stderr_log_limit.map_or(limit, Level::from_number).min(limit);
    (limit, if options.quiet { Level::Error } else { restricted })
}

/// The size of the terminal.
#[derive(Clone, Copy)]
struct Screen {
    columns: usize,
    rows: usize,
}

impl Screen {
    fn now() -> Screen {
        let size = rustix::termios::tcgetwinsize(io::stderr()).ok();
        // 0: the terminal does not know its size.
        let known = |number: Option<u16>, usual: usize| match number {
            None | Some(0) => usual,
            Some(number) => usize::from(number),
        };
        Screen { columns: known(size.map(|s| s.ws_col), 80), rows: known(size.map(|s| s.ws_row), 24) }
    }
}

/// Escape codes that erase the lines drawn last. If it has become narrower since they were drawn, each takes as
/// many rows as it is wide.
fn erasure(shown: &[String]) -> String {
    if shown.is_empty() { String::new() } else { back_to_top(shown) + "\x1b[J" }
}

/// Moves the cursor to the first of the lines that are shown last.
fn back_to_top(shown: &[String]) -> String {
    if shown.is_empty() {
        return String::new();
    }
    let Screen { columns, rows } = Screen::now();
    let taken: usize = shown.iter().map(|line| width(line).div_ceil(columns).max(1)).sum();
    // Lines that have scrolled off the screen cannot be reached.
    // `CPL` of ECMA-48 (8.3.13): up so many lines, to the first column.
    format!("\x1b[{}F", taken.min(rows.saturating_sub(1).max(1)))
}

/// A line in at most so many columns: of a longer one the beginning, with `…` at its end.
fn cut(line: &str, columns: usize) -> String {
    if width(line) <= columns {
        return line.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let fits = |c: &char| match left.checked_sub(columns_of(*c)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    line.chars().take_while(fits).chain(std::iter::once('…')).collect()
}

fn width(line: &str) -> usize {
    line.chars().map(columns_of).sum()
}

/// How many columns a terminal gives a character: two for those of East Asian scripts and for pictures, none for marks
/// that are put on the character before.
// A short table in place of a library: a wrong width costs a badly cut line, and only in names of files.
fn columns_of(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f => 2,
        0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

// The conventions of no-color.org and of CLICOLOR, which compilers and build tools follow.
/// Whether to colour if the command line does not decide it: NO_COLOR beats CLICOLOR_FORCE and FORCE_COLOR, which beat
/// the kind of terminal.
fn wants_color(environment: impl Fn(&str) -> Option<String>, terminal: bool) -> bool {
    let set = |name| environment(name).filter(|value| !value.is_empty());
    if set("NO_COLOR").is_some() {
        return false;
    }
    if ["CLICOLOR_FORCE", "FORCE_COLOR"].iter().any(|name| set(name).is_some_and(|value| value != "0")) {
        return true;
    }
    terminal && environment("TERM").is_none_or(|term| term != "dumb")
}

/// Seconds and nanoseconds since the epoch.
fn now() -> (u64, u32) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now.as_secs(), now.subsec_nanos())
}

/// Messages as a log file has them. `about`: what those are about that have no name.
pub(crate) fn as_file(messages: &[Message], about: &str) -> String {
    let (seconds, nanos) = now();
    let lines = |message: &Message| {
        let name = message.name.as_deref().unwrap_or(about);
        file_lines(message.level, Some(name), &message.text, seconds, nanos)
    };
    messages.iter().map(lines).collect()
}

/// The format of log files: thread, time, level, name; further lines indented.
fn file_lines(level: Level, name: Option<&str>, text: &str, seconds: u64, nanos: u32) -> String {
    let moment = Utc::at(seconds);
    // The number as `Debug` shows it, since the number itself has no stable function.
    let thread = format!("{:?}", std::thread::current().id());
    let thread = thread.trim_matches(|c: char| !c.is_ascii_digit());
    let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
    let mut lines = format!(
        "thread:{thread}, [{} {}.{nanos:09} UTC] {}{name}:",
        moment.date(),
        moment.time(),
        level.word()
    );
    for (number, line) in text.split('\n').enumerate() {
        lines.push_str(if number == 0 { " " } else { "   " });
        lines.push_str(line);
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_where_the_terminal_ends() {
        assert_eq!(
            (cut("abc", 3), cut("abcd", 3), cut("a漢b", 2)),
            ("abc".into(), "ab…".into(), "a…".into())
        );
        assert_eq!((width("a漢b"), width("e\u{301}")), (4, 1));
    }

    #[test]
    fn quiet_and_verbose_set_the_limits() {
        let limits = |log_limit, verbose, quiet| {
            limits(&options::Log { log_limit, verbose, quiet, ..options::Log::default() })
        };
        assert_eq!(limits(None, false, false), (Level::Progress, Level::Progress));
        assert_eq!(limits(None, true, false), (Level::Debug, Level::Debug));
        assert_eq!(limits(None, false, true), (Level::Progress, Level::Error));
        assert_eq!(limits(Some(6), true, true), (Level::Trace, Level::Error));
        assert_eq!(limits(Some(1), true, false), (Level::Debug, Level::Debug));
    }

    #[test]
    fn lines_of_log_files_have_thread_and_time() {
        let lines = file_lines(Level::Info, None, "a\nb", 951_782_400, 7);
        let (thread, rest) = lines.split_once(", ").unwrap();
        assert!(thread.starts_with("thread:"), "{thread}");
        assert_eq!(rest, "[2000-02-29 00:00:00.000000007 UTC] INFO: a\n   b\n");
    }

    #[test]
    fn colour_follows_the_terminal_unless_the_environment_decides() {
        let with = |set: &[(&str, &str)], terminal| {
            let find = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
            wants_color(find, terminal)
        };
        assert!(with(&[], true));
        assert!(!with(&[], false));
        assert!(!with(&[("TERM", "dumb")], true));
        for name in ["CLICOLOR_FORCE", "FORCE_COLOR"] {
            assert!(with(&[(name, "1")], false));
            assert!(!with(&[(name, "0")], false));
        }
        assert!(!with(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true));
    }
}
