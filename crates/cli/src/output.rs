//! What actions wrote to their standard output and error, shown in bounded memory: read from the store piece by piece.
//!
//! The reference shows all of it. Under the name `taut`, of a long output its first and last lines are shown, of a long
//! line its ends, and how to see the rest; of an output that is not a text only its size; of a line that a command
//! wrote again and again, as progress is shown on a terminal, what it came to.

use std::{
    collections::VecDeque,
    fs::File,
    io::{ErrorKind, Read, Seek, SeekFrom},
};

use taut_digest::Digest;
use taut_store::Store;

use crate::{log::plain, voice::figures::size};

/// How many lines of each end of a long output are shown, and how many bytes at most.
// What fits on a screen together with the failure around it.
const LINES_AT_EACH_END: usize = 20;
const MAX_END_BYTES: u64 = 64 << 10;

/// Fewer lines than these are not left out: that would save little.
const MIN_LINES_LEFT_OUT: u64 = 5;

/// How many characters of a line are shown at most, and how many of them at its end.
const MAX_LINE: usize = 2000;
const MAX_LINE_END: usize = 500;

/// How many bytes of a line are held to find its end and its length; of a longer one the beginning is shown as it is
/// read.
const MAX_HELD_BYTES: usize = 512 << 10;

/// How much of an output is looked at to tell whether it is text.
const MAX_LOOKED_AT: usize = 8 << 10;

/// How many bytes are read at once.
const BUFFER_BYTES: usize = 64 << 10;

/// One output of an action, open for reading.
pub(crate) struct Stream {
    file: File,
    size: u64,
    digest: Digest,
}

impl Stream {
    /// The output with this digest; `None` without a digest, or if the store has it no longer.
    pub(crate) fn open(store: &Store, digest: &Option<Digest>) -> Option<Stream> {
        let digest = (*digest)?;
        // Opened at once: a `gc` in another process cannot take an open file away.
        let (file, size) = store.open_file(&digest.hash).ok()??;
        // An empty output is none to show.
        (size > 0).then_some(Stream { file, size, digest })
    }

    /// The same for people: `None` also if nothing but blank lines would be shown.
    pub(crate) fn open_unless_blank(store: &Store, digest: &Option<Digest>) -> Option<Stream> {
        let mut stream = Stream::open(store, digest)?;
        // Blank lines by the thousand say something, too.
        if stream.size <= MAX_LOOKED_AT as u64 && stream.first_bytes().iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        Some(stream)
    }

    /// What is looked at of its beginning. What cannot be read is found where it is shown.
    fn first_bytes(&mut self) -> Vec<u8> {
        let mut beginning = Vec::new();
        let _ = Read::by_ref(&mut self.file).take(MAX_LOOKED_AT as u64).read_to_end(&mut beginning);
        let _ = self.file.seek(SeekFrom::Start(0));
        beginning
    }

    /// At most so many bytes of its beginning.
    pub(crate) fn beginning(mut self, bytes: usize) -> String {
        let mut text = Vec::new();
        // An error leaves the text incomplete.
        let _ = Read::by_ref(&mut self.file).take(bytes as u64).read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Gives out the text in pieces, each line indented, without the line feed at the end: all of it.
    pub(crate) fn show(self, give: &mut dyn FnMut(&str)) {
        let mut text = Indented { give, is_pending: false, is_begun: false, lines: None };
        self.copy_all(&mut text);
    }

    /// The same as people read it. `to_see_all`: whether to leave out what is long or no text, and the words of the
    /// command, up to the object's name, that shows all of it.
    pub(crate) fn show_lines(mut self, to_see_all: Option<&str>, give: &mut dyn FnMut(&str)) {
        let lines = Lines { held: String::new(), blank: 0, is_cut: to_see_all.is_some() };
        let mut text = Indented { give, is_pending: false, is_begun: false, lines: Some(lines) };
        if let Some(command) = to_see_all
            && !self.is_text()
        {
            let (size, hash) = (size(self.size), self.digest.hash);
            text.add(&format!("[… {size} that are not text; they are shown by: {command} {hash} …]"));
            text.end();
            return;
        }
        // One pass finds the lines, a second one prints: the output may be larger than memory.
        let middle = to_see_all.and_then(|command| Some((command, self.middle()?)));
        if self.file.seek(SeekFrom::Start(0)).is_err() {
            return;
        }
        let Some((command, OmittedPart { begin, end, lines })) = middle else {
            self.copy_all(&mut text);
            return;
        };
        self.copy(begin, &mut text);
        let left_out = match lines {
            0 => format!("{} bytes", end - begin),
            1 => "1 line".to_owned(),
            _ => format!("{lines} lines"),
        };
        let (feed, hash) = (if text.is_at_line() { "" } else { "\n" }, self.digest.hash);
        text.add(&format!("{feed}[… {left_out} left out; -v shows all, and so does: {command} {hash} …]\n"));
        if self.file.seek(SeekFrom::Start(end)).is_ok() {
            self.copy(self.size - end, &mut text);
        }
        text.end();
    }

    fn copy_all(mut self, text: &mut Indented<'_>) {
        self.copy(self.size, text);
        text.end();
    }

    /// Whether it seems to be text: few of its first characters are control characters that texts do not have.
    fn is_text(&mut self) -> bool {
        const MIN_BYTES_PER_CONTROL: usize = 20;
        let beginning = self.first_bytes();
        // From the bell to the carriage return, and the escape: what terminals know.
        let is_control = |byte: &&u8| matches!(byte, 0..=6 | 14..=26 | 28..=31);
        beginning.iter().filter(is_control).count() * MIN_BYTES_PER_CONTROL <= beginning.len()
    }

    /// The part between the first and the last lines, if it is worth leaving out.
    fn middle(&mut self) -> Option<OmittedPart> {
        let mut buffer = vec![0; BUFFER_BYTES];
        // Where lines begin: the first one behind the beginning, and as many as the end has.
        // The places where the last lines begin; nothing else of the text is held.
        let (mut begin, mut last) = (None, VecDeque::with_capacity(LINES_AT_EACH_END + 2));
        let (mut at, mut lines) = (0u64, 0u64);
        loop {
            let read = match self.file.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Ok(0) | Err(_) => break,
                Ok(read) => read,
            };
            for (place, _) in buffer[..read].iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
                let next = at + place as u64 + 1;
                lines += 1;
                if lines == LINES_AT_EACH_END as u64 {
                    begin = Some(next);
                }
                last.push_back(next);
                // One more than are shown, for the line feed at the very end, which begins no line.
                if last.len() > LINES_AT_EACH_END + 1 {
                    last.pop_front();
                }
            }
            at += read as u64;
        }
        // The line feed at the very end begins no line.
        let has_rest = last.back().is_some_and(|next| *next < at);
        if !has_rest {
            last.pop_back();
        }
        let first_of_end = last.len().checked_sub(LINES_AT_EACH_END).and_then(|place| last.get(place));
        let lines = lines + u64::from(has_rest);
        let shown = 2 * LINES_AT_EACH_END as u64;
        if at <= 2 * MAX_END_BYTES && lines < shown + MIN_LINES_LEFT_OUT {
            return None;
        }
        // Lines may be longer than what is shown at all; then bytes bound it.
        let begin = begin.unwrap_or(at).min(MAX_END_BYTES);
        let end = first_of_end.copied().unwrap_or(0).max(at.saturating_sub(MAX_END_BYTES));
        // Where bytes bound what is shown, lines are shown in part, and their number says little.
        let is_by_lines = begin < MAX_END_BYTES && at - end < MAX_END_BYTES;
        let lines = if is_by_lines { lines.saturating_sub(shown) } else { 0 };
        (begin < end).then_some(OmittedPart { begin, end, lines })
    }

    /// Copies at most so many bytes; bytes that are not UTF-8 are replaced. What cannot be read is not shown.
    fn copy(&mut self, mut left: u64, text: &mut Indented<'_>) {
        let mut buffer = vec![0; BUFFER_BYTES];
        // The beginning of a character that the next piece goes on with.
        let mut kept = 0;
        while left > 0 {
            let end = buffer.len().min(kept + usize::try_from(left).unwrap_or(usize::MAX));
            let read = match self.file.read(&mut buffer[kept..end]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Ok(0) | Err(_) => break,
                Ok(read) => read,
            };
            left -= read as u64;
            let end = kept + read;
            let complete = complete_characters(&buffer[..end]);
            text.add(&String::from_utf8_lossy(&buffer[..complete]));
            buffer.copy_within(complete..end, 0);
            kept = end - complete;
        }
        text.add(&String::from_utf8_lossy(&buffer[..kept]));
    }
}

/// A part of an output that is left out.
struct OmittedPart {
    /// From this byte, up to that one.
    begin: u64,
    end: u64,
    /// How many lines it has; 0 if it is counted in bytes.
    lines: u64,
}

/// How many bytes there are before the character that is cut off at the end, if one is.
fn complete_characters(bytes: &[u8]) -> usize {
    match bytes.utf8_chunks().last() {
        // A character that may go on is at most three bytes long, and nothing follows it.
        Some(last) => {
            let cut = last.invalid();
            let may_go_on =
                // `None` means that the bytes end within a character, and any other value that they are wrong.
                !cut.is_empty() && std::str::from_utf8(cut).is_err_and(|error| error.error_len().is_none());
            bytes.len() - if may_go_on { cut.len() } else { 0 }
        }
        None => 0,
    }
}

/// Indents each line by two columns and drops the line feed at the end.
struct Indented<'g> {
    give: &'g mut dyn FnMut(&str),
    /// Whether the text so far ends with a line feed, which counts only if something follows.
    is_pending: bool,
    is_begun: bool,
    /// What makes lines as people read them, if it is for people.
    lines: Option<Lines>,
}

/// Lines whose final state is shown, and not more of them than fit on a screen.
struct Lines {
    /// The beginning of a line whose end has not come yet.
    held: String,
    /// How many blank lines came last: they count only between others.
    blank: usize,
    is_cut: bool,
}

impl Lines {
    /// A line without its line feed.
    fn shown(&self, line: &str) -> String {
        let written = line.trim_end_matches('\r');
        let line = written.rsplit_once('\r').map_or(written, |(_, last)| last);
        if !self.is_cut || line.len() <= MAX_LINE {
            return line.to_owned();
        }
        // A code of colour must not be cut in two.
        let line = plain(line);
        let length = line.chars().count();
        if length <= MAX_LINE {
            return line.into_owned();
        }
        let begin: String = line.chars().take(MAX_LINE - MAX_LINE_END).collect();
        let end: String = line.chars().skip(length - MAX_LINE_END).collect();
        format!("{begin}[… {} characters left out; -v shows all …]{end}", length - MAX_LINE)
    }
}

/// Another line follows the blank ones; these are left out if they are the first.
fn end_blank(blank: &mut usize, is_begun: bool, complete: &mut String) {
    let blank = std::mem::take(blank);
    if is_begun || !complete.is_empty() {
        complete.extend(std::iter::repeat_n('\n', blank));
    }
}

impl Indented<'_> {
    fn add(&mut self, text: &str) {
        let Some(lines) = &mut self.lines else { return self.give(text) };
        lines.held.push_str(text);
        let mut complete = String::new();
        let mut rest = lines.held.as_str();
        while let Some((line, next)) = rest.split_once('\n') {
            let line = lines.shown(line);
            if line.trim().is_empty() {
                lines.blank += 1;
            } else {
                end_blank(&mut lines.blank, self.is_begun, &mut complete);
                complete.push_str(&line);
                complete.push('\n');
            }
            rest = next;
        }
        let rest = rest.to_owned();
        lines.held = rest;
        // The output may have no line feed at all, and be larger than memory.
        if lines.held.len() > MAX_HELD_BYTES {
            end_blank(&mut lines.blank, self.is_begun, &mut complete);
            complete.push_str(&std::mem::take(&mut lines.held));
        }
        self.give(&complete);
    }

    /// Whether what comes next begins a line.
    fn is_at_line(&self) -> bool {
        match &self.lines {
            Some(lines) if !lines.held.is_empty() => false,
            Some(lines) if lines.blank > 0 => true,
            _ => self.is_pending,
        }
    }

    /// Gives out what is left of the last line.
    fn end(&mut self) {
        if let Some(mut lines) = self.lines.take() {
            let (mut text, last) = (String::new(), lines.shown(&lines.held));
            if !last.trim().is_empty() {
                end_blank(&mut lines.blank, self.is_begun, &mut text);
                self.give(&(text + &last));
            }
        }
    }

    fn give(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let begin = if self.is_begun { "" } else { "  " };
        let feed = if self.is_pending { "\n" } else { "" };
        let body = text.strip_suffix('\n');
        self.is_pending = body.is_some();
        (self.give)(&format!("{begin}{feed}{}", body.unwrap_or(text)).replace('\n', "\n  "));
        self.is_begun = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taut_digest::HashFunction;

    fn with_stream(content: &[u8], show: impl FnOnce(Stream, &mut dyn FnMut(&str))) -> String {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), HashFunction::GitSha1).unwrap();
        let digest = store.put_blob(content, false).unwrap();
        let mut text = String::new();
        show(Stream::open(&store, &Some(digest)).unwrap(), &mut |piece| text.push_str(piece));
        text
    }

    fn whole(content: &[u8]) -> String {
        with_stream(content, |stream, give| stream.show(give))
    }

    fn shortened(content: &str) -> String {
        with_stream(content.as_bytes(), |stream, give| stream.show_lines(Some("taut install-cas"), give))
    }

    #[test]
    fn lines_are_indented_and_the_last_line_feed_dropped() {
        for (content, expected) in [
            (b"a\n\nb\n".as_slice(), "  a\n  \n  b"),
            ("ä\u{ff}".as_bytes(), "  ä\u{ff}"),
            (b"\xe4x\xc3", "  \u{fffd}x\u{fffd}"),
        ] {
            assert_eq!(whole(content), expected);
            assert_eq!(with_stream(content, |stream, give| stream.show_lines(None, give)), expected);
        }
    }

    #[test]
    fn blank_lines_at_the_ends_are_not_shown_to_people() {
        assert_eq!(whole(b"\n\n"), "  \n  ");
        assert_eq!(shortened("\n \n  a\n\n\nb\n\t\n\n"), "    a\n  \n  \n  b");
        assert_eq!(shortened("\n\nlast \n  "), "  last ");
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), HashFunction::GitSha1).unwrap();
        let is_shown = |text: &str| {
            let digest = store.put_blob(text.as_bytes(), false).unwrap();
            Stream::open_unless_blank(&store, &Some(digest)).is_some()
        };
        assert_eq!(["", "\n", " \r\n\t\n", "\nx\n"].map(is_shown), [false, false, false, true]);
    }

    #[test]
    fn characters_and_lines_survive_the_ends_of_pieces() {
        let text = "x€\n".repeat(100_000);
        let expected: Vec<&str> = std::iter::repeat_n("  x€", 100_000).collect();
        assert!(whole(text.as_bytes()) == expected.join("\n"));
        let lines = with_stream(text.as_bytes(), |stream, give| stream.show_lines(None, give));
        assert!(lines == expected.join("\n"));
    }

    #[test]
    fn of_a_large_output_both_ends_are_shown_and_how_to_see_the_rest() {
        let lines = |number: usize| (0..number).map(|line| format!("line {line}\n")).collect::<String>();
        for (number, end) in [(45, ""), (100_000, ""), (99_999, "line 99999")] {
            let text = shortened(&(lines(number) + end));
            let all = number + usize::from(!end.is_empty());
            assert_eq!(text.lines().count(), 41, "{text}");
            assert!(text.starts_with("  line 0\n  line 1\n"), "{text}");
            assert!(text.ends_with(&format!("\n  line {}\n  line {}", all - 2, all - 1)), "{text}");
            let left_out =
                format!("\n  line 19\n  [… {} lines left out; -v shows all, and so does: taut ", all - 40);
            assert!(text.contains(&left_out), "{text}");
            assert!(text.contains(&format!(" …]\n  line {}\n", all - 20)), "{text}");
        }
        assert_eq!(shortened(&lines(44)).lines().count(), 44);
        let small = "y".repeat(2 * MAX_END_BYTES as usize);
        assert_eq!(whole(small.as_bytes()).len(), small.len() + 2);
        let wide = shortened(&format!("{small}y\n{small}"));
        assert!(wide.contains(&format!("y\n  [… {} bytes left out; ", small.len() + 2)), "{wide}");
    }

    #[test]
    fn of_a_long_line_both_ends_are_shown() {
        let text = shortened(&format!("a\n{}END\nb", "ü".repeat(5000)));
        let [first, middle, last] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        assert_eq!((first, last), ("  a", "  b"));
        assert!(middle.contains("ü[… 3003 characters left out; -v shows all …]ü"), "{middle}");
        assert!(middle.ends_with("üEND"), "{middle}");
        let at_the_limit = "x".repeat(MAX_LINE);
        assert_eq!(shortened(&at_the_limit), format!("  {at_the_limit}"));
        let colored = format!("\x1b[31m{at_the_limit}\x1b[0m");
        assert_eq!(shortened(&colored), format!("  {at_the_limit}"));
    }

    #[test]
    fn of_what_is_written_over_the_last_is_shown() {
        assert_eq!(shortened("1%\r20%\r100%\r\ndone\r\n\r\n"), "  100%\n  done");
        assert_eq!(shortened("1%\r2%"), "  2%");
        assert_eq!(whole(b"1%\r2%"), "  1%\r2%");
        let pieces = "1%\r".repeat(100_000) + "end\nnext";
        assert_eq!(shortened(&pieces).lines().last(), Some("  next"));
    }

    #[test]
    fn what_is_no_text_is_not_shown() {
        let text = shortened("a\0b\n");
        assert!(
            text.starts_with("  [… 4 bytes that are not text; they are shown by: taut install-cas "),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1);
        let with_colors = "\x1b[31mred\x1b[0m\t\x07\x08\n";
        assert_eq!(shortened(with_colors), format!("  {}", with_colors.trim_end()));
        assert_eq!(shortened("a line with one \0 in it"), "  a line with one \0 in it");
    }
}
