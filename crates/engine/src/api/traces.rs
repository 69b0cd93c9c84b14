//! The public operations on the file of traces.

use std::io;

use crate::{Committed, Engine, FileProblem};

impl Engine {
    /// What is wrong with the file that the engine was opened with, as far as it was read; returned once.
    pub fn file_problem(&self) -> Option<FileProblem> {
        self.core().file_problem()
    }

    /// Writes what is new to the file that the engine was opened with; does nothing if it has none. To be called
    /// when no build runs, and after the objects that values refer to are stored, since a later process relies on them.
    ///
    /// # Errors
    /// The file cannot be written. Then nothing of this commit counts, and the next one tries again.
    ///
    /// # Panics
    /// A rule's code panics when a key, value or failure is encoded. The engine must not be used after that.
    pub fn commit(&self) -> io::Result<Committed> {
        self.core().commit()
    }
}
