//! A root that was not computed yet, in the place of the root: nothing of it can be read.

use std::path::{Path, PathBuf};

use crate::{
    Listing, Observation, Result, RootError, Source, SourceRoot, Symlinks, computed_root::UnresolvedRoot,
};

/// The number of this kind of root in identities; a directory is 0, a git tree 1, an absent one 2.
const KIND: u8 = 3;

impl UnresolvedRoot {
    // A call computes roots before it reads, so this is only met where that failed.
    fn cannot<T>(&self) -> Result<T> {
        Err(RootError::new("the root was not computed yet"))
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

    fn list(&self, _: &str, _: bool) -> Result<Listing> {
        self.cannot()
    }

    fn is_file(&self, _: &Path) -> bool {
        false
    }

    fn read(&self, _: &str) -> Result<Option<Vec<u8>>> {
        self.cannot()
    }

    fn source<'p>(&self, _: &'p str) -> Result<Source<'p>> {
        self.cannot()
    }

    fn observe(&self, _: &str, _: Symlinks, read: &mut dyn FnMut()) -> Result<Observation> {
        // What is read is an error, which is not recorded.
        read();
        Ok(Observation { witness: None, is_steady: true })
    }

    fn witness(&self, _: &str, _: Symlinks) -> Result<Vec<u8>> {
        self.cannot()
    }

    fn holds(&self, _: &str, _: Symlinks, _: &[u8]) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use taut_syntax::Location;

    use super::*;
    use crate::{ComputedRoot, RootContent};

    fn unresolved(taken: RootContent, is_absent: bool) -> UnresolvedRoot {
        let root = ComputedRoot { repository: "r".into(), taken, is_absent };
        UnresolvedRoot { root, place: Location::file("f"), what: "x".to_owned() }
    }

    /// docs/store.md, ROOTS.
    #[test]
    fn identities_are_written_as_specified() {
        let configuration = "{\"a\":1}".to_owned();
        let artifacts = RootContent::Artifacts { module: "m".into(), target: "t".into(), configuration };
        let written = |taken, is_absent| unresolved(taken, is_absent).identity();
        assert_eq!(written(RootContent::Structure, true), b"\x03\x01\x01\x00\x01r");
        assert_eq!(written(artifacts, false), b"\x03\x00\x00\x00\x01r\x00\x01m\x00\x01t\x07{\"a\":1}");
    }

    #[test]
    fn nothing_can_be_read() {
        let root = unresolved(RootContent::Structure, false);
        assert!(root.list("", false).is_err() && root.read("f").is_err() && root.source("f").is_err());
        assert!(!root.is_file(Path::new("f")) && !root.holds("", Symlinks::Follow, b""));
        assert_eq!(root.fixed_content(), None);
    }
}
