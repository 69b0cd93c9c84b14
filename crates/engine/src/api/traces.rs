//! The file that outlives the process, as users see it.

use std::io;

use crate::{Committed, Engine, FileProblem};

impl Engine {
    /// What was wrong with the file that the engine was opened with, as far as it was looked at; told once.
    pub fn file_problem(&self) -> Option<FileProblem> {
        self.core().file_problem()
    }

    /// Writes what is new to the file that the engine was opened with; nothing if it has none. To be called
    /// when no build runs, after whatever the values refer to is where it will be looked for.
    ///
    /// # Errors
    /// The file cannot be written; nothing of this commit counts then, and the next one tries again.
    pub fn commit(&self) -> io::Result<Committed> {
        self.core().commit()
    }
}
