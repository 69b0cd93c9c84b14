//! A file that was downloaded, under a temporary name.

use std::{
    fs,
    io::Seek,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use taut_digest::Hash;
use taut_sys::{At, Dir, if_exists};

use crate::Cause;

/// Numbers the downloads of this process.
// Relaxed: only that no two get the same number matters.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A file that was downloaded and verified. It is removed when this is dropped, unless it was renamed before.
#[derive(Debug)]
pub struct Download<'d> {
    pub(crate) temporary: TemporaryFile<'d>,
    /// Its size in bytes.
    pub size: u64,
    /// Its id as a git blob.
    pub blob: Hash,
    /// The URL that it is from.
    pub url: String,
}

impl Download<'_> {
    /// Its location.
    pub fn at(&self) -> At<'_> {
        self.temporary.at()
    }

    /// The open file, at its beginning.
    ///
    /// # Errors
    /// It cannot be rewound.
    pub fn file(&mut self) -> std::io::Result<&mut fs::File> {
        self.temporary.file.rewind()?;
        Ok(&mut self.temporary.file)
    }
}

/// An open file that is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct TemporaryFile<'d> {
    directory: &'d Dir,
    name: String,
    pub(crate) file: fs::File,
}

impl<'d> TemporaryFile<'d> {
    /// An empty file, open for reading and writing.
    pub(crate) fn create(directory: &'d Dir) -> Result<TemporaryFile<'d>, Cause> {
        loop {
            // Unique in this process by the counter; other processes that use the directory have another number.
            let name = format!("download-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
            // `O_EXCL`: the name can be guessed, and a link that lies there must not lead the download elsewhere.
            let created = directory.at(&name).create_new_for_update(0o600).map(taut_sys::File::into_std);
            match created {
                Ok(file) => return Ok(TemporaryFile { directory, name, file }),
                // A process with the same number left it.
                Err(error) if error.is_exists() => {}
                Err(error) => return Err(Cause::File(error.to_string())),
            }
        }
    }

    pub(crate) fn at(&self) -> At<'_> {
        self.directory.at(&self.name)
    }
}

impl Drop for TemporaryFile<'_> {
    fn drop(&mut self) {
        // A file that is left is removed with its directory.
        let _ = if_exists(self.at().remove_file());
    }
}
