//! A root that was not computed yet, in the place of the root: nothing of it can be read.

use std::path::{Path, PathBuf};

use crate::{
    Listing, Observation, Result, RootError, Source, SourceRoot, Symlinks, computed_root::UnresolvedRoot,
};

/// The number of this kind of root in identities; a directory is 0, a git tree 1, an absent one 2.
const KIND: u8 = 3;

impl UnresolvedRoot {
    fn cannot<T>(&self, path: &str) -> Result<T> {
        Err(RootError::new(format!("Cannot read {path:?} of {}, which was not computed", self.root)))
    }
}

impl SourceRoot for UnresolvedRoot {
    /// 3, and its definition as it is encoded here: whether it is a structure, whether it is absent, the repository,
    /// module, target and configuration.
    fn identity(&self) -> Vec<u8> {
        [&[KIND][..], &self.root.encode()].concat()
    }

    fn shown(&self, path: &str) -> PathBuf {
        let root = PathBuf::from(format!("computed root {}", self.root));
        if path.is_empty() { root } else { root.join(path) }
    }

    fn directory(&self) -> Option<&Path> {
        None
    }

    fn unresolved(&self) -> Option<&UnresolvedRoot> {
        Some(self)
    }

    fn list(&self, path: &str, _: bool) -> Result<Listing> {
        self.cannot(path)
    }

    fn is_file(&self, _: &Path) -> bool {
        false
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.cannot(path)
    }

    fn source<'p>(&self, path: &'p str) -> Result<Source<'p>> {
        self.cannot(path)
    }

    fn observe(&self, _: &str, _: Symlinks, read: &mut dyn FnMut()) -> Result<Observation> {
        // What is read is an error, which is not recorded.
        read();
        Ok(Observation { witness: None, is_steady: true })
    }

    fn witness(&self, path: &str, _: Symlinks) -> Result<Vec<u8>> {
        self.cannot(path)
    }

    fn holds(&self, _: &str, _: Symlinks, _: &[u8]) -> bool {
        false
    }
}
