//! What actions wrote to their standard output and error, shown in bounded memory: read from the store piece by piece.
//!
//! The reference shows all of it. Under the name `taut`, of an output that is larger than twice [`MAX_END_BYTES`]
//! its beginning and its end are shown, and how to see the rest.

use std::{
    fs::File,
    io::{ErrorKind, Read, Seek, SeekFrom},
};

use taut_digest::Digest;
use taut_store::Store;

/// How many bytes of each end of a large output are shown.
const MAX_END_BYTES: u64 = 64 << 10;

/// How many bytes are read at once.
const BUFFER_BYTES: usize = 64 << 10;

/// One output of an action, open for reading.
pub(crate) struct Stream {
    file: File,
    size: u64,
    digest: Digest,
}

impl Stream {
    /// The output with this digest; `None` if there is none, or it is not in the store any more.
    pub(crate) fn open(store: &Store, digest: &Option<Digest>) -> Option<Stream> {
        let digest = (*digest)?;
        let (file, size) = store.open_file(&digest.hash).ok()??;
        (size > 0).then_some(Stream { file, size, digest })
    }

    /// At most so many bytes of its beginning.
    pub(crate) fn beginning(mut self, bytes: usize) -> String {
        let mut text = Vec::new();
        // An error leaves the text incomplete.
        let _ = Read::by_ref(&mut self.file).take(bytes as u64).read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Passes the text to `give` in pieces, each line indented, without the line feed at the end. With `to_see_all`, the
    /// command that shows all of it, up to the name of the object, the middle of a large output is left out.
    pub(crate) fn show(mut self, to_see_all: Option<&str>, give: &mut dyn FnMut(&str)) {
        let mut text = Indented { give, is_pending: false, is_begun: false };
        match to_see_all.filter(|_| self.size > 2 * MAX_END_BYTES) {
            None => self.copy(self.size, &mut text),
            Some(command) => {
                self.copy(MAX_END_BYTES, &mut text);
                let left_out = self.size - 2 * MAX_END_BYTES;
                let hash = self.digest.hash;
                text.add(&format!("\n[… {left_out} bytes left out; all of it: {command} {hash} …]\n"));
                if self.file.seek(SeekFrom::Start(self.size - MAX_END_BYTES)).is_ok() {
                    self.copy(MAX_END_BYTES, &mut text);
                }
            }
        }
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

/// How many bytes there are before the character that is cut off at the end, if one is.
fn complete_characters(bytes: &[u8]) -> usize {
    match bytes.utf8_chunks().last() {
        // A character that may go on is at most three bytes long, and nothing follows it.
        Some(last) => {
            let cut = last.invalid();
            let may_go_on =
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
        let lines: String = (0..100_000).map(|line| format!("line {line}\n")).collect();
        let text = shown(lines.as_bytes(), Some("taut install-cas"));
        assert!(text.len() < 3 * MAX_END_BYTES as usize, "{}", text.len());
        assert!(text.starts_with("  line 0\n  line 1\n"));
        assert!(text.ends_with("\n  line 99998\n  line 99999"));
        let left_out = lines.len() as u64 - 2 * MAX_END_BYTES;
        assert!(text.contains(&format!("\n  [… {left_out} bytes left out; all of it: taut install-cas ")));
        let small = "y".repeat(2 * MAX_END_BYTES as usize);
        assert_eq!(shown(small.as_bytes(), Some("taut install-cas")).len(), small.len() + 2);
    }
}
