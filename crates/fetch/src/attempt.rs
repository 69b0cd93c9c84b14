//! One attempt to download from one URL.
//!
//! What came before a connection was cut is kept, and the next request asks for the rest, if the server can do that
//! (RFC 9110, sections 13.1.5 and 14: `Accept-Ranges`, `Range`, `If-Range`). The content may have changed in between
//! without another tag or date; then the hashes differ, and the download begins anew once.

use std::{
    fs,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use taut_sys::{Dir, FileKind, Named, fault, in_words};

use crate::{
    Cause, Client, Download, Expected, Options, Progress, Update,
    download::TemporaryFile,
    url::{UrlTarget, place},
    words::{no_answer, stream},
};

/// How often a transfer is resumed in one attempt, if more came each time.
// It bounds a server that sends a few bytes each time; a transfer without any progress ends at once.
const MAX_RESUMES: u32 = 50;

/// A download from one URL, with what earlier attempts left.
pub(crate) struct Transfer<'r, 'd> {
    client: &'r Client,
    url: &'r str,
    expected: &'r Expected,
    directory: &'d Dir,
    file: Option<TemporaryFile<'d>>,
    /// How many bytes are in the file.
    bytes: u64,
    /// What identifies the content on the server: an entity tag or a date, for `If-Range`. Only with it can a transfer
    /// be resumed.
    validator: Option<String>,
    was_resumed: bool,
}

impl<'r, 'd> Transfer<'r, 'd> {
    pub(crate) fn new(
        client: &'r Client,
        url: &'r str,
        expected: &'r Expected,
        directory: &'d Dir,
    ) -> Transfer<'r, 'd> {
        Transfer {
            client,
            url,
            expected,
            directory,
            file: None,
            bytes: 0,
            validator: None,
            was_resumed: false,
        }
    }

    /// Downloads and verifies.
    pub(crate) fn attempt(&mut self, progress: &dyn Progress) -> Result<Download<'d>, Cause> {
        let place = place(self.url)?;
        loop {
            match &place {
                UrlTarget::File(path) => self.copy(path, progress)?,
                UrlTarget::Http => self.transfer_and_resume(progress)?,
            }
            // Taken out, so that the next round of the loop and the next attempt begin with an empty file.
            let mut temporary = self.file.take().expect("a transfer makes it");
            let size = std::mem::take(&mut self.bytes);
            self.validator = None;
            match self.expected.verify(&mut temporary.file, size) {
                Ok(blob) => return Ok(Download { temporary, size, blob, url: self.url.to_owned() }),
                // Only once, as the flag is gone: a file that came in one piece with another hash is the server's.
                Err(Cause::Mismatch { .. }) if std::mem::take(&mut self.was_resumed) => {}
                Err(cause) => return Err(cause),
            }
        }
    }

    /// Transfers, and resumes as long as each connection brings something.
    fn transfer_and_resume(&mut self, progress: &dyn Progress) -> Result<(), Cause> {
        let mut resumes = 0;
        loop {
            let before = self.bytes;
            match self.transfer(progress) {
                // Other failures end the attempt: what comes next, a pause or another URL, is decided in `rounds.rs`.
                Err(Cause::Cut { .. })
                    // Without a validator nothing shows that the rest belongs to what is there.
                    if self.bytes > before && self.validator.is_some() && resumes < MAX_RESUMES =>
                {
                    resumes += 1;
                }
                done => return done,
            }
        }
    }

    /// One request, with what its answer brings.
    fn transfer(&mut self, progress: &dyn Progress) -> Result<(), Cause> {
        // `If-Range`: if the file has changed, the server answers 200 with all of it in place of 206.
        // Taken, not copied: after an answer of another kind the old validator must not name the new content.
        let validator = self.validator.take().filter(|_| self.bytes > 0);
        let options = self.options();
        let request = self.client.agent.get(self.url).config();
        let mut request = request.timeout_connect(Some(options.connect_timeout)).build();
        if let Some(validator) = &validator {
            // Both fields are needed: `Range` alone would append the rest of a content that has changed meanwhile.
            request = request.header("range", format!("bytes={}-", self.bytes)).header("if-range", validator);
        }
        // Before there is an answer, so that what is waited for can be shown.
        progress.update(Update { url: self.url, bytes: self.bytes, total: None });
        let response = request.call().map_err(|error| no_answer(&error, &options))?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        match response.status().as_u16() {
            // Whatever was asked for: the answer begins at the first byte, and `receive` cuts the file accordingly.
            200 => self.bytes = 0,
            206 if validator.is_some() => {
                let first = header("content-range").and_then(first_byte);
                // A server may answer with another part (RFC 9110, 15.3.7); appended there, it would only be found by
                // the hash.
                if first != Some(self.bytes) {
                    self.bytes = 0;
                    return Err(Cause::Protocol(
                        "the server sent another part than it was asked for".to_owned(),
                    ));
                }
                self.was_resumed = true;
            }
            // The file on the server is shorter than what was received, so that was not its beginning.
            416 if validator.is_some() => {
                self.bytes = 0;
                // Ends after one step: without bytes no range is asked for, and 416 is then an error like any status.
                return self.transfer(progress);
            }
            status => return Err(Cause::Status(status)),
        }
        // A server that has just answered with a range does accept them, even if it does not say so.
        let accepts_ranges = self.bytes > 0 || header("accept-ranges") == Some("bytes");
        // A weak tag may be that of a content with other bytes.
        let tag = header("etag").filter(|tag| !tag.starts_with("W/"));
        self.validator =
            // A date is weaker than a tag, as it counts whole seconds; the hash at the end decides in any case.
            tag.or_else(|| header("last-modified")).filter(|_| accepts_ranges).map(str::to_owned);
        // A length that is not a number counts as none: the stream then ends where the connection does.
        let length = header("content-length").and_then(|length| length.parse::<u64>().ok());
        let total = length.map(|length| self.bytes.saturating_add(length));
        // The library's own limit is for bodies that are held in memory; `receive` has that of the options.
        let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let received = self.receive(&mut body, total, progress);
        received.map_err(|error| match error {
            StreamFailure::Read(error) => {
                Cause::Cut { bytes: self.bytes, total, why: stream(&error, &self.client.options) }
            }
            StreamFailure::Other(cause) => cause,
        })
    }

    /// How the next request is made: a server that is known to be down is not waited for as long as others are.
    fn options(&self) -> Options {
        let mut options = self.client.options.clone();
        options.connect_timeout = self.client.servers.of(self.url).patience(options.connect_timeout);
        options
    }

    /// Copies a local file.
    fn copy(&mut self, path: &Path, progress: &dyn Progress) -> Result<(), Cause> {
        let file_error = |error: taut_sys::Error| Cause::File(error.to_string());
        // Before it is opened, since opening a fifo would wait for a writer.
        if Named::stat(path).map_err(file_error)?.kind != FileKind::File {
            return Err(Cause::File(format!("{} is not a file", path.display())));
        }
        let named = Named::of_user(path).map_err(file_error)?;
        let mut source = named.at().open_followed().map_err(file_error)?;
        let total = source.stat().map_err(file_error)?.size();
        let mut source = ReadOpen(&mut source);
        self.bytes = 0;
        self.receive(&mut source, Some(total), progress).map_err(|error| match error {
            StreamFailure::Read(error) => Cause::File(error.to_string()),
            StreamFailure::Other(cause) => cause,
        })
    }

    /// Appends a stream to what is there.
    fn receive(
        &mut self,
        source: &mut dyn Read,
        total: Option<u64>,
        progress: &dyn Progress,
    ) -> Result<(), StreamFailure> {
        let limit = self.client.options.max_size;
        // Before anything is written, if the length is known: a disk should not fill up for a file that is too large
        // anyway.
        if total.is_some_and(|total| total > limit) {
            return Err(StreamFailure::Other(Cause::TooLarge(limit)));
        }
        let temporary = match &mut self.file {
            Some(temporary) => temporary,
            None => self.file.insert(TemporaryFile::create(self.directory).map_err(StreamFailure::Other)?),
        };
        let written = |error: io::Error| {
            StreamFailure::Other(Cause::File(format!("cannot write the download: {}", in_words(&error))))
        };
        // Removes what came beyond the bytes that count, such as the beginning of a file that the server has
        // replaced.
        let may_write = fault::point("write", Path::new("download"));
        may_write.and_then(|()| cut(&mut temporary.file, self.bytes)).map_err(written)?;
        let update = |bytes| progress.update(Update { url: self.url, bytes, total });
        update(self.bytes);
        // What a socket buffer has as a rule; larger reads would only make the display coarser.
        let mut buffer = vec![0; 1 << 16];
        loop {
            // Checked for each piece; a server that sends nothing is ended by the time limit of reading.
            if progress.is_cancelled() {
                return Err(StreamFailure::Other(Cause::Cancelled));
            }
            let read = match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(StreamFailure::Read(error)),
            };
            temporary.file.write_all(&buffer[..read]).map_err(written)?;
            self.bytes += read as u64;
            // Checked again since the length may be missing, or wrong.
            if self.bytes > limit {
                return Err(StreamFailure::Other(Cause::TooLarge(limit)));
            }
            update(self.bytes);
        }
        match total {
            // A body that ends early is a cut transfer, whether the library reports it or not.
            Some(total) if self.bytes < total => {
                Err(StreamFailure::Read(io::ErrorKind::UnexpectedEof.into()))
            }
            _ => Ok(()),
        }
    }
}

/// Why a stream could not be stored.
enum StreamFailure {
    Read(io::Error),
    Other(Cause),
}

/// An open file of the file layer as a stream.
struct ReadOpen<'f, 'd>(&'f mut taut_sys::File<'d>);

impl Read for ReadOpen<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_some(buffer).map_err(io::Error::other)
    }
}

/// Leaves so many bytes in a file, and sets the position behind them.
fn cut(file: &mut fs::File, bytes: u64) -> io::Result<()> {
    file.set_len(bytes)?;
    file.seek(SeekFrom::Start(bytes)).map(drop)
}

/// The number of the first byte in a `Content-Range`.
fn first_byte(range: &str) -> Option<u64> {
    // `bytes FIRST-LAST/LENGTH` (RFC 9110, 14.4); the unit is the one that was asked for.
    range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}
