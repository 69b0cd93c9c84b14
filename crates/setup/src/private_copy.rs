//! A file of this call that is not in the store yet, and where it is from.

use std::{fs, path::PathBuf};

use taut_fetch::without_password;

use crate::{cancellation::Scratch, source::Content};

/// A private copy of a file, in a directory that is removed with it.
pub(crate) struct PrivateCopy {
    pub(crate) directory: Scratch,
    /// Its name there.
    pub(crate) name: &'static str,
    /// The file, open.
    pub(crate) file: fs::File,
    /// Where it is from.
    pub(crate) origin: Origin,
}

/// Where a file is from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// It was fetched from a URL, which is without a password.
    Url(String),
    /// It was in a directory of archives.
    Distdir(PathBuf),
    /// An earlier call, or another one at the same time, had it.
    Earlier,
}

impl Origin {
    /// The text about it in a note.
    pub(crate) fn note(&self, content: &Content) -> String {
        match self {
            Origin::Url(url) => format!("it came from {url}"),
            Origin::Distdir(path) => format!("it came from {}", path.display()),
            Origin::Earlier => {
                format!("it was in the build root; its URL is {}", without_password(&content.fetch))
            }
        }
    }
}
