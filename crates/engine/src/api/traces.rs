//! The file that outlives the process, as users see it.

use std::io;

use crate::{Build, Committed, Engine, FileId, FileTrouble, Hash, Rule};

impl Engine {
    /// What was wrong with the file that the engine was opened with, as far as it was looked at; told once.
    pub fn trouble(&self) -> Option<FileTrouble> {
        self.core().trouble()
    }

    /// Writes what is new to the file that the engine was opened with; nothing if it has none. To be called
    /// when no build runs, after whatever the values refer to is where it will be looked for.
    ///
    /// # Errors
    /// The file cannot be written; nothing of this commit counts then, and the next one tries again.
    pub fn commit(&self) -> io::Result<Committed> {
        self.core().commit()
    }

    /// The file that the engine goes by, if there is one that can be read. Another process or a commit may put
    /// another one in its place.
    pub fn file(&self) -> Option<FileId> {
        self.core().file()
    }

    /// The place of a task in that file, if it has one that this process knows.
    pub fn place_of<R: Rule>(&self, key: &R::Key) -> Option<u32> {
        self.core().place_of(self.core().find::<R>(key)?)
    }
}

impl Build {
    /// The hashes of the tasks at these places of a file, as far as this build found them good by what the file
    /// says alone. `None` for all others: they changed, or nobody asked, or it is another file.
    pub fn hashes_at(&self, file: FileId, places: &[u32]) -> Vec<Option<Hash>> {
        self.inner().hashes_at(file, places)
    }
}
