//! What actions wrote to their standard output and error, shown in bounded memory: read from the store piece by piece.
//!
//! The reference shows all of it. Under the name `taut`, of a long output its first and last lines are shown, and how to
//! see the rest.

use std::{
    collections::VecDeque,
    fs::File,
    io::{ErrorKind, Read, Seek, SeekFrom},
};

use taut_digest::Digest;
use taut_store::Store;

/// How many lines of each end of a long output are shown, and how many bytes at most.
// What fits on a screen together with the failure around it.
const LINES_AT_EACH_END: usize = 20;
const MAX_END_BYTES: u64 = 64 << 10;

/// Fewer lines than these are not left out: that would save little.
const MIN_LINES_LEFT_OUT: u64 = 5;

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

    /// At most so many bytes of its beginning.
    pub(crate) fn beginning(mut self, bytes: usize) -> String {
        let mut text = Vec::new();
        // An error leaves the text incomplete.
        let _ = Read::by_ref(&mut self.file).take(bytes as u64).read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Gives out the text in pieces, each line indented, without the line feed at the end. `to_see_all`: whether to leave
    /// out the middle of a long output, and the words of the command, up to the object's name, that shows all of it.
    pub(crate) fn show(mut self, to_see_all: Option<&str>, give: &mut dyn FnMut(&str)) {
        let mut text = Indented { give, is_pending: false, is_begun: false };
        // One pass finds the lines, a second one prints: the output may be larger than memory.
        let middle = to_see_all.and_then(|command| Some((command, self.middle()?)));
        if self.file.seek(SeekFrom::Start(0)).is_err() {
            return;
        }
        let Some((command, OmittedPart { begin, end, lines })) = middle else {
            return self.copy(self.size, &mut text);
        };
        self.copy(begin, &mut text);
        let left_out = match lines {
            0 => format!("{} bytes", end - begin),
            1 => "1 line".to_owned(),
            _ => format!("{lines} lines"),
        };
        let (feed, hash) = (if text.is_pending { "" } else { "\n" }, self.digest.hash);
        text.add(&format!("{feed}[… {left_out} left out; -v shows all, and so does: {command} {hash} …]\n"));
        if self.file.seek(SeekFrom::Start(end)).is_ok() {
            self.copy(self.size - end, &mut text);
        }
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
}

impl Indented<'_> {
    fn add(&mut self, text: &str) {
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

    fn shown(content: &[u8], to_see_all: Option<&str>) -> String {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), HashFunction::GitSha1).unwrap();
        let digest = store.put_blob(content, false).unwrap();
        let mut text = String::new();
        Stream::open(&store, &Some(digest)).unwrap().show(to_see_all, &mut |piece| text.push_str(piece));
        text
    }

    #[test]
    fn lines_are_indented_and_the_last_line_feed_dropped() {
        assert_eq!(shown(b"a\n\nb\n", None), "  a\n  \n  b");
        assert_eq!(shown(b"\n\n", None), "  \n  ");
        assert_eq!(shown("ä\u{ff}".as_bytes(), None), "  ä\u{ff}");
        assert_eq!(shown(b"\xe4x\xc3", None), "  \u{fffd}x\u{fffd}");
    }

    #[test]
    fn characters_and_lines_survive_the_ends_of_pieces() {
        let text = "x€\n".repeat(100_000);
        let expected: Vec<&str> = std::iter::repeat_n("  x€", 100_000).collect();
        assert!(shown(text.as_bytes(), None) == expected.join("\n"));
    }

    #[test]
    fn of_a_large_output_both_ends_are_shown_and_how_to_see_the_rest() {
        let shown = |content: &str| shown(content.as_bytes(), Some("taut install-cas"));
        let lines = |number: usize| (0..number).map(|line| format!("line {line}\n")).collect::<String>();
        for (number, end) in [(45, ""), (100_000, ""), (99_999, "line 99999")] {
            let text = shown(&(lines(number) + end));
            let all = number + usize::from(!end.is_empty());
            assert_eq!(text.lines().count(), 41, "{text}");
            assert!(text.starts_with("  line 0\n  line 1\n"), "{text}");
            assert!(text.ends_with(&format!("\n  line {}\n  line {}", all - 2, all - 1)), "{text}");
            let left_out =
                format!("\n  line 19\n  [… {} lines left out; -v shows all, and so does: taut ", all - 40);
            assert!(text.contains(&left_out), "{text}");
            assert!(text.contains(&format!(" …]\n  line {}\n", all - 20)), "{text}");
        }
        assert_eq!(shown(&lines(44)).lines().count(), 44);
        let small = "y".repeat(2 * MAX_END_BYTES as usize);
        assert_eq!(shown(&small).len(), small.len() + 2);
        let wide = shown(&format!("{small}y\n{small}"));
        assert!(wide.len() < 3 * MAX_END_BYTES as usize, "{}", wide.len());
        assert!(wide.contains(&format!("y\n  [… {} bytes left out; ", small.len() + 2)), "{wide}");
    }
}
