//! Temporary files of the store: a file is completed under a temporary name and then renamed, or removed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use taut_sys::{At, Dir, File};

use crate::{Result, Store, layout::Kind};

/// The name of a temporary file below the build root; the file is removed when this is dropped.
pub(crate) struct Temporary<'s> {
    dir: &'s Dir,
    name: String,
    is_moved: bool,
}

impl<'s> Temporary<'s> {
    /// The temporary name that [`Temporary::keep`] returned.
    fn of_name(store: &'s Store, name: String) -> Result<Temporary<'s>> {
        Ok(Temporary { dir: store.ephemeral()?, name, is_moved: false })
    }
}

impl Temporary<'_> {
    /// Leaves the file there, for [`Temporary::of_name`].
    fn keep(mut self) -> String {
        self.is_moved = true;
        std::mem::take(&mut self.name)
    }

    pub(crate) fn at(&self) -> At<'_> {
        self.dir.at(&self.name)
    }

    pub(crate) fn create(&self, mode: u32) -> Result<File<'_>> {
        Ok(self.at().create_new(mode)?)
    }

    /// Gives the file its final name.
    pub(crate) fn rename(mut self, to: At<'_>) -> Result<()> {
        let renamed = match self.at().rename(to) {
            // A directory in the place of an object counts as absent, and is removed.
            Err(_) if to.lstat().is_ok_and(|there| there.is_dir()) => {
                to.remove_all()?;
                self.at().rename(to)
            }
            other => other,
        };
        renamed?;
        self.is_moved = true;
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.is_moved {
            // So that a full disk is not made worse. The first error is the one to report.
            let _ = self.at().remove_file();
        }
    }
}

/// A blob that comes piece by piece, in a temporary file that stays open meanwhile. Its owner calls
/// [`PartialFile::discard`] when it is dropped.
// It does not borrow the store, as a `Temporary` does: its owner has the store.
#[derive(Default)]
pub(crate) struct PartialFile(Option<(String, fs::File)>);

impl PartialFile {
    /// Begins, also anew: what came before is cut off.
    pub(crate) fn begin(&mut self, store: &Store, mode: u32) -> Result<()> {
        if self.0.is_some() {
            return self.change(store, |file| {
                file.truncate(0)?;
                file.rewind()
            });
        }
        let temporary = store.temporary()?;
        let file = temporary.create(mode)?.into_std();
        self.0 = Some((temporary.keep(), file));
        Ok(())
    }

    /// Appends the next bytes.
    pub(crate) fn write(&mut self, store: &Store, bytes: &[u8]) -> Result<()> {
        self.change(store, |file| file.write_all(bytes))
    }

    /// Changes the file, which has begun. An error names it.
    fn change(
        &mut self,
        store: &Store,
        change: impl FnOnce(&mut File<'_>) -> taut_sys::Result<()>,
    ) -> Result<()> {
        let dir = store.ephemeral()?;
        // Taken apart and put together again, since what an error names borrows the name.
        let Some((name, file)) = self.0.take() else { return Ok(()) };
        let mut file = File::new(file, dir.at(&name));
        let changed = change(&mut file);
        let file = file.into_std();
        self.0 = Some((name, file));
        Ok(changed?)
    }

    /// Its temporary name, if it has begun.
    pub(crate) fn name(&self) -> Option<&str> {
        self.0.as_ref().map(|(name, _)| &**name)
    }

    /// Takes the file out, if it has begun.
    pub(crate) fn take<'s>(&mut self, store: &'s Store) -> Result<Option<(Temporary<'s>, fs::File)>> {
        let Some((name, file)) = self.0.take() else { return Ok(None) };
        Ok(Some((Temporary::of_name(store, name)?, file)))
    }

    /// Removes the file. Where that fails, garbage collection does it.
    pub(crate) fn discard(&mut self, store: &Store) {
        // Removed when it is dropped.
        drop(self.take(store));
    }
}

/// A directory for temporary files of one process.
#[derive(Debug)]
pub struct TemporaryDir {
    above: Dir,
    name: String,
    dir: Dir,
}

impl TemporaryDir {
    /// Removes the directory with everything in it; what cannot be removed is left to the next garbage collection.
    pub fn remove(&self) {
        if let Ok(made) = self.dir.identity() {
            let _ = self.above.at(&self.name).remove_made(made);
        }
    }

    /// Its path, for programs that take one.
    pub fn path(&self) -> PathBuf {
        self.above.path().join(Path::new(&self.name))
    }
}

impl std::ops::Deref for TemporaryDir {
    type Target = Dir;

    fn deref(&self) -> &Dir {
        &self.dir
    }
}

impl Store {
    /// A temporary name that no other process uses.
    pub(crate) fn temporary(&self) -> Result<Temporary<'_>> {
        // Unique by itself, so `create_new` never meets a file that a killed process left.
        let name = format!("tmp-{}-{}", self.nonce(), self.next_number());
        Ok(Temporary { dir: self.ephemeral()?, name, is_moved: false })
    }

    pub(crate) fn write_temporary(&self, content: &[u8], mode: u32) -> Result<Temporary<'_>> {
        let temporary = self.temporary()?;
        let mut file = temporary.create(mode)?;
        file.write_all(content)?;
        // Before the rename, so that the final name never has another time.
        file.set_mtime_epoch()?;
        drop(file);
        Ok(temporary)
    }

    /// Moves a complete file to the location of an object: the commit of docs/store.md. `rename` is atomic, so the
    /// final name never names an incomplete file, and it does not matter if another process does the same.
    pub(crate) fn commit(
        &self,
        temporary: Temporary<'_>,
        kind: Kind,
        hash: &taut_digest::Hash,
    ) -> Result<()> {
        // Not synced first (docs/store.md, "Power loss"): an object that a crash of the system truncates has another
        // size or hash than its name says, and counts as absent.
        temporary.rename(self.object_to_make(kind, hash)?.at())?;
        self.set_known(kind, hash);
        Ok(())
    }

    /// A fresh directory of the given kind ("exec_root") for this process.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn temporary_directory(&self, kind: &str) -> Result<TemporaryDir> {
        let above = self.ephemeral()?.make_all(kind)?;
        let name = format!("{}-{}", self.nonce(), self.next_number());
        let dir = above.at(&name).make_dir()?;
        Ok(TemporaryDir { above, name, dir })
    }
}
