//! Why an archive cannot be read.

use std::{borrow::Cow, error, fmt};

/// Why an archive cannot be read, and at which of its entries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    /// The name of the entry, as text; `None` if it is about the whole archive.
    pub entry: Option<String>,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with an archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Its content is that of none of the formats.
    UnknownFormat,
    /// It is truncated or damaged, or uses a feature that is not supported; the reader's words.
    Corrupt(String),
    /// It needs something that is not supported, or not allowed, as a whole sentence.
    Unsupported(String),
    /// It can only be read with a password.
    Encrypted,
    /// The name is absolute.
    AbsoluteName,
    /// The name has a component `..`.
    Upwards,
    /// The name is empty, or has a null character.
    BadName,
    /// The name has more components than the limit; the limit.
    TooDeep(usize),
    /// A symbolic link has no target, or one with a null character.
    BadTarget,
    /// The name leads through an entry that is a symbolic link or a file.
    Below(String),
    /// The entry is a device, fifo or socket, or of a type that is not known; the type.
    SpecialFile(&'static str),
    /// A hard link to a name that no entry before has, or that a directory has; the name.
    HardLink(String),
    /// There are more entries than the limit; the limit.
    TooMany(u64),
    /// The contents are larger than the limit, in bytes; the limit.
    TooLarge(u64),
    /// The contents are more times larger than the archive than the limit; the limit.
    TooDense(u64),
    /// The objects cannot be stored.
    Store(taut_git::Error),
}

impl Error {
    /// An error about the whole archive.
    pub(crate) fn new(fault: Fault) -> Error {
        Error { entry: None, fault }
    }

    /// The same error, about an entry if it is not about one already.
    pub(crate) fn of(self, entry: &[u8]) -> Error {
        if self.entry.is_some() { self } else { Error::at(entry, self.fault) }
    }

    /// An error about an entry.
    pub(crate) fn at(entry: &[u8], fault: Fault) -> Error {
        Error { entry: Some(shown(entry)), fault }
    }
}

impl Fault {
    /// What a reader or decoder reports, in plain words: those of the libraries are about their streams and frames.
    pub(crate) fn of_reader(text: &str) -> Fault {
        const WORDS_OF_EARLY_ENDS: [&str; 10] = [
            "incomplete deflate stream",
            "premature eof",
            "incomplete frame",
            "decompression not finished but EOF reached",
            "failed to fill whole buffer",
            "unexpected end of file",
            "unexpected end of LZMA input",
            "decoded data shorter than declared size",
            // Of the list of the entries of a 7z archive, which is at its end.
            "next header offset out of range",
            "Cannot handle next_header_size",
        ];
        const WORDS_OF_DAMAGE: [&str; 17] = [
            "corrupt deflate stream",
            "deflate decompression error",
            "bzip2: ",
            "corrupt xz stream",
            "xz ",
            "lzma data error",
            "dist overflow",
            "LZMA",
            "bcj2 ",
            "corrupted input data (LZMA2",
            "end reached but not decoder finished",
            "first byte is 0",
            "invalid LZMA2 control byte",
            "range decoder first byte is not zero",
            "rc not finished",
            "Could not initialize the range decoder",
            "Error during PPMd decoding",
        ];
        let why = match text {
            "corrupt gzip stream does not have a matching checksum"
            | "Invalid checksum"
            | "ChecksumVerificationFailed" => "its content has another checksum than it says",
            "invalid options" => "its compression is of a version or has a filter that is not known",
            _ if WORDS_OF_EARLY_ENDS.contains(&text) => "it ends too early",
            "File is larger than its declared uncompressed size" => "it is longer than its size",
            "Archive contains file with streams but no subStreamsInfo" => {
                "the list of its entries is damaged"
            }
            _ if WORDS_OF_DAMAGE.iter().any(|begin| text.starts_with(begin)) => {
                "its compressed data are damaged"
            }
            _ => text,
        };
        Fault::Corrupt(why.to_owned())
    }

    /// The fault of an entry whose kind, by the bits of its Unix mode (`S_IFMT`, inode(7)), is not allowed.
    pub(crate) fn of_special(kind: u32) -> Option<Fault> {
        Some(Fault::SpecialFile(match kind {
            0o010000 => "a fifo",
            0o020000 => "a character device",
            0o060000 => "a block device",
            0o140000 => "a socket",
            _ => return None,
        }))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::UnknownFormat => f.write_str("it is in no known archive format"),
            Fault::Corrupt(why) => write!(f, "it is truncated or corrupt: {why}"),
            Fault::Unsupported(why) => f.write_str(why),
            Fault::Encrypted => f.write_str("it is encrypted"),
            Fault::AbsoluteName => f.write_str("its name is an absolute path"),
            Fault::Upwards => f.write_str("its name leads upwards"),
            Fault::BadName => f.write_str("its name is empty or has a null character"),
            Fault::TooDeep(limit) => write!(f, "its name has more than {limit} components"),
            Fault::BadTarget => {
                f.write_str("it is a symbolic link whose target is empty or has a null character")
            }
            Fault::Below(above) => write!(f, "its name leads through {above:?}, which is not a directory"),
            Fault::SpecialFile(kind) => write!(f, "it is not a file, directory or link, but {kind}"),
            Fault::HardLink(target) => {
                write!(
                    f,
                    "it is a hard link to {target:?}, which is not a file or link before it in the archive"
                )
            }
            Fault::TooMany(limit) => write!(f, "there are more than {limit} entries"),
            Fault::TooLarge(limit) => write!(f, "the contents are larger than {limit} bytes"),
            Fault::TooDense(limit) => {
                write!(f, "the contents are more than {limit} times as large as the archive")
            }
            Fault::Store(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.entry {
            Some(entry) => write!(f, "entry {:?}: {}", shortened(entry), self.fault),
            None => self.fault.fmt(f),
        }
    }
}

/// A name as messages have it: of one that no system would take, the beginning.
fn shortened(name: &str) -> Cow<'_, str> {
    const MAX_SHOWN: usize = 255;
    match name.len() {
        0..=MAX_SHOWN => Cow::Borrowed(name),
        _ => Cow::Owned(format!("{}…", &name[..name.floor_char_boundary(MAX_SHOWN)])),
    }
}

impl error::Error for Error {}

/// The error for a file that a sink did not take.
pub(crate) fn store(entry: &[u8], error: taut_git::Error) -> Error {
    match error {
        // It could not be read, so the archive is at fault.
        taut_git::Error::Content { why } => Error::at(entry, Fault::of_reader(&why)),
        error => Error::at(entry, Fault::Store(error)),
    }
}

/// A name in an archive as messages have it. A hostile archive has names of any length: the middle of a long one is
/// left out.
pub(crate) fn shown(name: &[u8]) -> String {
    const MAX_SHOWN: usize = 160;
    let name = String::from_utf8_lossy(name);
    let count = name.chars().count();
    if count <= MAX_SHOWN {
        return name.into_owned();
    }
    let end = |from: usize| name.char_indices().nth(from).map_or(name.len(), |(at, _)| at);
    let half = MAX_SHOWN / 2;
    format!("{}…{}", &name[..end(half)], &name[end(count - half)..])
}

/// The result of reading an archive.
pub type Result<T> = std::result::Result<T, Error>;
