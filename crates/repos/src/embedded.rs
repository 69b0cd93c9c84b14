//! The library of rules in the binary as a root: a tree of known objects. Nothing is read from a disk.
//!
//! The evidence of anything that is read is the id of the tree, as for a git tree: a later build by the same binary
//! compares ids, and one by a binary with other rules compares contents.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use taut_digest::{Hash, ObjectType};

use crate::{Entry, Listed, Listing, Observation, Result, Source, SourceRoot, Symlinks};

/// The number of this kind of root in identities and evidence.
const KIND: u8 = 5;

/// The library of rules in the binary.
pub struct EmbeddedRoot;

impl EmbeddedRoot {
    fn evidence() -> Vec<u8> {
        [&[KIND], taut_rules::tree().as_bytes()].concat()
    }
}

impl SourceRoot for EmbeddedRoot {
    /// 5 and the id of the tree, as hexadecimal digits.
    fn identity(&self) -> Vec<u8> {
        EmbeddedRoot::evidence()
    }

    fn shown(&self, path: &str) -> PathBuf {
        let root = PathBuf::from(format!("built-in {}", taut_rules::NAME));
        if path.is_empty() { root } else { root.join(path) }
    }

    fn directory(&self) -> Option<&Path> {
        None
    }

    fn list(&self, path: &str, ignore_special: bool) -> Result<Listing> {
        let node = taut_rules::at(path).filter(|node| node.object.object_type == ObjectType::Tree);
        let Some(node) = node else { return Ok(Listing::Absent) };
        let entries = node.entries.iter().map(|(name, object)| match object.object_type {
            // Of a directory, the listing of itself has the object.
            ObjectType::Tree => Listed::new(*name, Entry::Directory),
            _ => Listed { known: Some(Box::new(*object)), ..Listed::new(*name, Entry::File) },
        });
        // As for a git tree: without special entries, the directory would be another object.
        Ok(Listing::of(entries.collect(), Some(node.object).filter(|_| !ignore_special)))
    }

    fn is_file(&self, path: &Path) -> bool {
        let path = std::str::from_utf8(path.as_os_str().as_bytes());
        path.is_ok_and(|path| matches!(self.read(path), Ok(Some(_))))
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let node = taut_rules::at(path).filter(|node| node.object.object_type != ObjectType::Tree);
        Ok(node.map(|node| node.content.clone()))
    }

    fn source<'p>(&self, path: &'p str) -> Result<Source<'p>> {
        Ok(taut_rules::at(path).map_or(Source::Absent, |node| Source::Known(node.object)))
    }

    fn object(&self, hash: &Hash, object_type: ObjectType) -> Result<Option<Vec<u8>>> {
        Ok(taut_rules::object(hash, object_type).map(<[u8]>::to_vec))
    }

    /// No repository on disk has this path: it is relative.
    fn object_origin(&self) -> Option<&Path> {
        Some(Path::new(taut_rules::NAME))
    }

    fn fixed_content(&self) -> Option<String> {
        Some(taut_rules::tree().to_owned())
    }

    fn observe(&self, path: &str, symlinks: Symlinks, read: &mut dyn FnMut()) -> Result<Observation> {
        read();
        // A binary does not change while it runs.
        Ok(Observation { witness: Some(self.witness(path, symlinks)?), is_steady: true })
    }

    fn witness(&self, _: &str, _: Symlinks) -> Result<Vec<u8>> {
        Ok(EmbeddedRoot::evidence())
    }

    fn holds(&self, _: &str, _: Symlinks, witness: &[u8]) -> bool {
        witness == EmbeddedRoot::evidence()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_objects_and_directories_are_listed() {
        let Listing::Entries(top) = EmbeddedRoot.list("", false).unwrap() else { panic!("a listing") };
        let itself = top.itself.as_deref().unwrap();
        assert_eq!(itself.digest.hash.to_hex(), taut_rules::tree());
        let rules = top.iter().find(|listed| listed.name.as_str() == "RULES").unwrap();
        assert_eq!(rules.entry, Entry::File);
        let known = **rules.known.as_ref().unwrap();
        assert!(matches!(EmbeddedRoot.source("RULES"), Ok(Source::Known(info)) if info == known));
        let content = EmbeddedRoot.read("RULES").unwrap().unwrap();
        assert_eq!(EmbeddedRoot.object(&known.digest.hash, ObjectType::File).unwrap(), Some(content));
        // With the kind of the object, its bytes are those of that kind.
        assert_eq!(EmbeddedRoot.object(&known.digest.hash, ObjectType::Tree).unwrap(), None);
        let tree = EmbeddedRoot.object(&itself.digest.hash, ObjectType::Tree).unwrap().unwrap();
        assert_eq!(taut_digest::HashFunction::GitSha1.tree(&tree), itself.digest.hash);
        for (path, is_file) in [("RULES", true), ("python", false), ("python/zip.py", true), ("none", false)]
        {
            assert_eq!(EmbeddedRoot.is_file(Path::new(path)), is_file, "{path}");
        }
        for path in ["none", "RULES", "python/none"] {
            assert_eq!(EmbeddedRoot.list(path, false).unwrap(), Listing::Absent, "{path}");
        }
        assert!(EmbeddedRoot.read("python").unwrap().is_none());
    }

    #[test]
    fn evidence_is_the_id_of_the_tree() {
        let witness = EmbeddedRoot.witness("RULES", Symlinks::Follow).unwrap();
        assert!(EmbeddedRoot.holds("none", Symlinks::NoFollow, &witness));
        assert_eq!(witness, EmbeddedRoot.identity());
        for other in [&b""[..], b"\x05", &[&[1], &witness[1..]].concat()] {
            assert!(!EmbeddedRoot.holds("RULES", Symlinks::Follow, other));
        }
    }
}
