//! Messages that need not fit into memory, and messages with lines to be copied.

use std::io::Write as _;

use super::{Escapes, Level, Log, Message, erasure, file_lines, now};

impl Log {
    /// Writes a message of several lines about something, which is produced piece by piece, without a line feed at the
    /// end. Nothing is produced if it would not be seen.
    pub(crate) fn say_in_pieces(&self, level: Level, name: &str, produce: impl FnOnce(&mut dyn FnMut(&str))) {
        // The locks are taken in the order record, shown, files, and held to the end: other messages wait.
        let mut record = self.record.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if record.is_none() && !self.wants(level) {
            return;
        }
        let shown = self.shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (is_seen, is_filed) = (level <= self.console_limit && !self.is_nested, level <= self.limit);
        let mut files = self.lock();
        // Errors are ignored if standard error is closed or a disk is full, as for other messages.
        let mut write = |console: &str, file: &str| {
            if is_seen {
                let _ = std::io::stderr().lock().write_all(console.as_bytes());
            }
            for to in files.iter_mut().filter(|_| is_filed) {
                let _ = to.write_all(file.as_bytes());
            }
        };
        let (seconds, nanos) = now();
        let head = file_lines(level, Some(name), "", seconds, nanos);
        let (before, line_feed) = self.layout.layout_in_pieces(level, name, self.color);
        write(&format!("{}{before}", erasure(&shown)), head.trim_end_matches('\n'));
        let mut text = String::new();
        // On the terminal colour stays if it is shown at all; nowhere else.
        let filters = self.layout.filters_escapes();
        let (mut for_terminal, mut for_files) = (Escapes::new(self.color), Escapes::new(false));
        produce(&mut |piece| {
            let (shown, plain) = match filters {
                true => (for_terminal.pass(piece), for_files.pass(piece)),
                false => (piece.into(), piece.into()),
            };
            if record.is_some() {
                text.push_str(&plain);
            }
            // A line feed is followed by the indentation of its message, also where a piece begins with it.
            write(&shown.replace('\n', line_feed), &plain.replace('\n', "\n   "));
        });
        let below: String = shown.iter().map(|line| format!("{line}\n")).collect();
        // An action that was killed may have left its colour on.
        write(&format!("{}\n{below}", for_terminal.end()), "\n");
        if let Some(record) = &mut *record {
            record.push(Message { level, name: Some(name.to_owned()), text, in_pieces: true });
        }
    }
}
