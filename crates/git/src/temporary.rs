//! Files under temporary names, which are removed unless they are renamed.
//!
//! The names begin as those of git's own temporary files do, so `git gc` removes what a killed process left.

use std::{
    fs, io,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use taut_sys::{Dir, Error, Result, if_exists};

/// Numbers the temporary files of this process.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A file that this process made in a directory and has not renamed yet.
#[derive(Debug)]
pub(crate) struct Temporary<'d> {
    directory: &'d Dir,
    name: String,
    is_renamed: bool,
}

impl<'d> Temporary<'d> {
    /// Creates an empty file, open for reading and writing; it is read-only for all that open it later.
    pub(crate) fn create(directory: &'d Dir, prefix: &str) -> Result<(Temporary<'d>, fs::File)> {
        loop {
            // Only uniqueness counts, so no ordering with other memory is needed.
            let number = NUMBER.fetch_add(1, Relaxed);
            let name = format!("{prefix}{}_{number}", std::process::id());
            let created = directory.at(&name).create_new_for_update(0o444).map(taut_sys::File::into_std);
            match created {
                Ok(file) => return Ok((Temporary { directory, name, is_renamed: false }, file)),
                // An earlier process with the same number left it, perhaps one in another namespace that still runs.
                Err(error) if error.is_exists() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// An error of an operation on the open file.
    pub(crate) fn error(&self, op: &'static str, error: io::Error) -> Error {
        Error::new(op, &self.directory.at(&self.name).path(), error)
    }

    /// Gives it its name in the same directory, in place of what is there.
    pub(crate) fn rename(self, name: &str) -> Result<()> {
        let directory = self.directory;
        self.rename_to(directory, name)
    }

    /// Gives it its name in another directory, in place of what is there.
    pub(crate) fn rename_to(mut self, directory: &Dir, name: &str) -> Result<()> {
        self.directory.at(&self.name).rename(directory.at(name))?;
        // Only after success: a file whose rename failed is removed when this is dropped.
        self.is_renamed = true;
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.is_renamed {
            // The error that led here is the one to report.
            let _ = if_exists(self.directory.at(&self.name).remove_file());
        }
    }
}
