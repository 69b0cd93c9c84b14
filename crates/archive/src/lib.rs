//! Archives read straight into git trees.
//!
//! [`read`] takes the bytes of an archive and gives blobs and trees to an [`ObjectSink`]; no entry ever becomes a file
//! on the disk, so there is nothing that a name could escape to. The tree is the one that just-mr 1.6 makes of the same
//! archive by unpacking it.
//!
//! What this crate does not know: where archives come from, and repositories.

#![deny(missing_docs)]

mod compression;
mod error;
mod layout;
mod limits;
mod seven_zip;
mod sparse;
mod tar_header;
mod tarball;
mod zip_file;

use std::io::{Read, Seek};

use taut_digest::Hash;
use taut_git::ObjectSink;

pub use error::{Error, Fault, Result};
pub use limits::Limits;

/// The kind of an archive, from the description of a repository. The content decides between the formats of a kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A tar archive: plain, or compressed by gzip, bzip2, xz, lzma, lzip or zstd. The type `archive`.
    Tar,
    /// A zip or 7z archive. The type `zip`.
    Zip,
}

/// The tree of an archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unpacked {
    /// Its id.
    pub tree: Hash,
    /// What is dubious in the archive but does not prevent its use.
    pub warnings: Vec<Warning>,
}

/// What is dubious in an archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Warning {
    /// The archive has several entries of a name; the last one counts.
    Duplicate {
        /// The name, as text.
        name: String,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Warning::Duplicate { name } => {
                write!(f, "the archive has several entries {name:?}; the last one is used")
            }
        }
    }
}

/// Reads an archive from its beginning, and gives all its contents to `sink`, trees last.
///
/// # Errors
/// The archive is truncated, corrupt, encrypted or of an unknown format; an entry has a name that leads out of the
/// archive, or is not a file, directory or link; it exceeds `limits`; the sink fails. The sink may have been given a
/// part then, which the caller drops.
pub fn read(
    source: &mut (impl Read + Seek),
    kind: Kind,
    limits: &Limits,
    sink: &mut dyn ObjectSink,
) -> Result<Unpacked> {
    match kind {
        Kind::Tar => tarball::read(source, limits, sink),
        Kind::Zip if seven_zip::is_seven_zip(source)? => seven_zip::read(source, limits, sink),
        Kind::Zip => zip_file::read(source, limits, sink),
    }
}
