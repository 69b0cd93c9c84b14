//! The compression of a tar archive, found by the first bytes.
//!
//! An archive may consist of several compressed parts, one after the other, as the tools themselves write and read
//! them. What follows the last part is ignored, except in the formats that do not allow it (xz and zstd).

use std::io::{self, BufRead, BufReader, Read};

use liblzma::stream::Stream;

/// How much memory a decoder may need, in bytes. `xz -9` needs 65 MiB; the largest dictionary of lzip is 512 MiB.
// An archive that needs more is refused by the decoder before it allocates.
const MAX_MEMORY: u64 = 1 << 30;

/// The base-2 logarithm of the largest window of zstd in bytes: that of `zstd --ultra -22`, and the library's default.
const MAX_ZSTD_WINDOW: u32 = 27;

/// A compression format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Compression {
    Gzip,
    Bzip2,
    Xz,
    Lzip,
    Lzma,
    Zstd,
}

impl Compression {
    /// The format of a file that begins in this way; `None` if it is not compressed.
    pub(crate) fn of(start: &[u8]) -> Option<Compression> {
        Some(match start {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Compression::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
            [b'L', b'Z', b'I', b'P', ..] => Compression::Lzip,
            // The second form is a skippable frame of zstd (RFC 8878, 3.1.2), which tools for parallel compression
            // write first.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            // Last, since it is a guess: the other formats have magic numbers.
            _ if is_lzma(start) => Compression::Lzma,
            _ => return None,
        })
    }
}

/// Whether a file begins with a header of the format `.lzma`, which has no magic number: properties, size of the
/// dictionary, size of the content (`lzma-file-format.txt` of XZ Utils).
fn is_lzma(start: &[u8]) -> bool {
    let Some(header) = start.first_chunk::<13>() else { return false };
    let dictionary = u32::from_le_bytes([header[1], header[2], header[3], header[4]]);
    let size = u64::from_le_bytes(*header.last_chunk().expect("it is longer"));
    // XZ Utils, too, accepts only sizes of dictionaries that tools write, and no file of 256 GiB or more.
    let is_usual = dictionary == u32::MAX
        || dictionary >= 1 << 12 && {
            let top = 1 << dictionary.ilog2();
            dictionary == top || dictionary == top | top >> 1
        };
    header[0] < 9 * 5 * 5 && is_usual && (size == u64::MAX || size < 1 << 38)
}

/// A reader of the decompressed bytes of all parts.
pub(crate) struct Decompressed<R: Read> {
    compression: Compression,
    part: Part<BufReader<R>>,
}

/// A part that is being read.
enum Part<R: BufRead> {
    Gzip(Box<flate2::bufread::GzDecoder<R>>),
    Bzip2(bzip2::bufread::BzDecoder<R>),
    Lzma(liblzma::bufread::XzDecoder<R>),
    Zstd(zstd::stream::read::Decoder<'static, R>),
    /// Nothing more comes.
    End,
}

impl<R: Read> Decompressed<R> {
    /// Nothing is read before the first call of `read`.
    pub(crate) fn new(compression: Compression, source: R) -> io::Result<Decompressed<R>> {
        let part = open(compression, BufReader::with_capacity(1 << 16, source))?;
        Ok(Decompressed { compression, part })
    }

    /// Goes on to the next part; returns whether there is one.
    fn next_part(&mut self) -> io::Result<bool> {
        let mut source = match std::mem::replace(&mut self.part, Part::End) {
            Part::Gzip(decoder) => decoder.into_inner(),
            Part::Bzip2(decoder) => decoder.into_inner(),
            Part::Lzma(decoder) => decoder.into_inner(),
            Part::Zstd(decoder) => decoder.finish(),
            Part::End => return Ok(false),
        };
        let garbage = || io::Error::new(io::ErrorKind::InvalidData, "something follows its compressed data");
        // Padding is in units of four bytes.
        if self.compression == Compression::Xz && !skip_zeros(&mut source)?.is_multiple_of(4) {
            return Err(garbage());
        }
        // The beginning of a part may be cut off by the end of the buffer: only then it is longer than what is there.
        let start = source.fill_buf()?;
        let is_part = Compression::of(start) == Some(self.compression) || is_begun(self.compression, start);
        // The format .lzma has no magic number, so a further part could not be distinguished from garbage.
        if is_part && self.compression != Compression::Lzma {
            self.part = open(self.compression, source)?;
            return Ok(true);
        }
        match self.compression {
            Compression::Xz | Compression::Zstd if !start.is_empty() => Err(garbage()),
            _ => Ok(false),
        }
    }
}

/// Whether less than a magic number is in the buffer, and all of it belongs to one.
fn is_begun(compression: Compression, start: &[u8]) -> bool {
    let magic: &[u8] = match compression {
        Compression::Gzip => &[0x1f, 0x8b],
        Compression::Bzip2 => b"BZh",
        Compression::Xz => b"\xfd7zXZ\0",
        Compression::Lzip => b"LZIP",
        Compression::Zstd => &[0x28, 0xb5, 0x2f, 0xfd],
        Compression::Lzma => return false,
    };
    !start.is_empty() && start.len() < magic.len() && magic.starts_with(start)
}

/// Skips padding, which xz allows behind each part; returns its length.
fn skip_zeros(source: &mut impl BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = source.fill_buf()?;
        let zeros = buffer.iter().take_while(|&&byte| byte == 0).count();
        let is_all = zeros > 0 && zeros == buffer.len();
        source.consume(zeros);
        skipped += zeros as u64;
        if !is_all {
            return Ok(skipped);
        }
    }
}

fn open<R: BufRead>(compression: Compression, source: R) -> io::Result<Part<R>> {
    let lzma = |stream: Result<Stream, liblzma::stream::Error>, source| {
        Ok(Part::Lzma(liblzma::bufread::XzDecoder::new_stream(source, stream?)))
    };
    match compression {
        Compression::Gzip => Ok(Part::Gzip(Box::new(flate2::bufread::GzDecoder::new(source)))),
        Compression::Bzip2 => Ok(Part::Bzip2(bzip2::bufread::BzDecoder::new(source))),
        Compression::Xz => lzma(Stream::new_stream_decoder(MAX_MEMORY, 0), source),
        Compression::Lzip => lzma(Stream::new_lzip_decoder(MAX_MEMORY, 0), source),
        Compression::Lzma => lzma(Stream::new_lzma_decoder(MAX_MEMORY), source),
        Compression::Zstd => {
            // One frame at a time as for the others, so that what follows the last one has a message of this tool.
            let mut decoder = zstd::stream::read::Decoder::with_buffer(source)?.single_frame();
            decoder.window_log_max(MAX_ZSTD_WINDOW)?;
            Ok(Part::Zstd(decoder))
        }
    }
}

impl<R: Read> Read for Decompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let read = match &mut self.part {
                Part::Gzip(decoder) => decoder.read(buffer)?,
                Part::Bzip2(decoder) => decoder.read(buffer)?,
                Part::Lzma(decoder) => decoder.read(buffer)?,
                Part::Zstd(decoder) => decoder.read(buffer)?,
                Part::End => return Ok(0),
            };
            // A part may be empty: then the next one is tried, as zero bytes would mean the end to the caller.
            if read > 0 || !self.next_part()? {
                return Ok(read);
            }
        }
    }
}
