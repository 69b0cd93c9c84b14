//! The leaves of every build: listings of directories, contents of files.
//!
//! Keys contain the number of a root. They do not contain the repository that uses it, so repositories with a common
//! root share its tasks; nor its location, so state recorded for one checkout is valid for another one.

use std::{path::PathBuf, sync::Arc};

use taut_digest::HashFunction;
use taut_engine::{Agreement, Cx, Fail, Hash, Key, Policy, Rule};
use taut_value::Str;

use crate::{LeafRead, Listing, Result, RootError, RootName, Roots, SourceRoot, Symlinks};

/// A path below a root: the key of a leaf.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RootPath {
    /// The root.
    pub root: RootName,
    /// Normalised path below it; "" for the root itself.
    pub path: Str,
}

impl RootPath {
    /// The path in messages.
    pub fn full(&self, roots: &Roots) -> PathBuf {
        roots.get(self.root).map_or_else(|| self.path.as_str().into(), |root| root.shown(&self.path))
    }

    /// The path in the file system, if the root is a directory.
    pub fn on_disk(&self, roots: &Roots) -> Option<PathBuf> {
        let root = roots.get(self.root)?;
        root.directory().map(|_| root.shown(&self.path))
    }

    /// The path in messages, as text.
    pub fn label(&self, roots: &Roots) -> Arc<str> {
        self.full(roots).to_string_lossy().into()
    }

    /// The content of a regular file, or of what a link there leads to; `None` if that does not exist.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, roots: &Roots) -> Result<Option<Vec<u8>>> {
        roots.get(self.root).map_or(Ok(None), |root| root.read(&self.path))
    }

    fn list(&self, roots: &Roots) -> Result<Listing> {
        let list = |root: &dyn SourceRoot| root.list(&self.path, self.root.ignore_special);
        roots.get(self.root).map_or(Ok(Listing::Absent), list)
    }

    /// The read that leaves do, if the root is known.
    fn leaf_read<'p>(&'p self, roots: &'p Roots) -> Option<LeafRead<'p>> {
        let root = roots.get(self.root)?;
        Some(LeafRead { root, path: &self.path, symlinks: Symlinks::Follow })
    }
}

/// In keys, in place of a number of a root that is this one or greater; eight bytes with the number follow.
// An escape in the two bytes: nearly all configurations have fewer roots, and a key is stored for each leaf.
const ROOT_ESCAPE: u16 = u16::MAX;

/// The bytes are specified in docs/store.md (keys of `dir` and `file`).
impl Key for RootPath {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.root.ignore_special));
        // Big endian: keys are ordered by root, then by path, so leaves of one directory are close together in the
        // engine's file.
        // Two bytes as a rule, since a file of build state has many keys.
        match u16::try_from(self.root.number) {
            Ok(number) if number != ROOT_ESCAPE => out.extend(number.to_be_bytes()),
            _ => {
                out.extend(ROOT_ESCAPE.to_be_bytes());
                out.extend((self.root.number as u64).to_be_bytes());
            }
        }
        out.extend(self.path.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<RootPath> {
        let (special, rest) = bytes.split_first()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (number, path) = match u16::from_be_bytes(*number) {
            ROOT_ESCAPE => {
                let (number, path) = rest.split_first_chunk()?;
                (usize::try_from(u64::from_be_bytes(*number)).ok()?, path)
            }
            number => (usize::from(number), rest),
        };
        let root = RootName { number, ignore_special: *special == 1 };
        Some(RootPath { root, path: std::str::from_utf8(path).ok()?.into() })
    }
}

fn refused(error: RootError) -> Fail {
    // Not recorded: the next build looks again, as the cause may be gone without a trace in the file.
    Fail::transient(error.to_string())
}

/// The listing of a directory.
pub struct DirRule(pub Arc<Roots>);

impl Rule for DirRule {
    type Key = RootPath;
    type Value = Arc<Listing>;
    const NAME: &'static str = "dir";

    fn policy(&self, _: &RootPath) -> Policy {
        // A leaf: a witness decides whether it is good, and the value is not kept, as the file system has it.
        Policy::leaf()
    }

    async fn value(&self, place: &RootPath, cx: Cx) -> std::result::Result<Arc<Listing>, Fail> {
        // A listing that keeps changing is used all the same: each name existed at some moment, and the missing witness
        // makes the next build read it again.
        let Some(leaf_read) = place.leaf_read(&self.0) else { return Ok(Arc::new(Listing::Absent)) };
        let (handover, read) = ((&self.0.listings, place), || place.list(&self.0));
        let (listing, _) = leaf_read.read_with_witness(&cx, handover, read).map_err(refused)?;
        listing.map(Arc::new).map_err(refused)
    }

    fn content_hash(&self, _: &RootPath, listing: &Arc<Listing>) -> Option<Hash> {
        Some(listing.hash())
    }

    fn facets(&self, _: &RootPath, listing: &Arc<Listing>) -> Vec<Hash> {
        listing.facets()
    }

    fn agrees(&self, place: &RootPath, witness: &[u8], hash: Hash) -> Agreement {
        let Some(leaf_read) = place.leaf_read(&self.0) else { return Agreement::No };
        let (handover, read) = ((&self.0.listings, place), || place.list(&self.0));
        leaf_read.agrees(witness, handover, read, |listing| listing.hash() == hash)
    }
}

/// The content of a file; `None` if it does not exist.
pub struct FileRule(pub Arc<Roots>);

impl FileRule {
    /// Whether a hash is that of the absence of a file: so a task can find out whether there is one without its
    /// content.
    pub fn is_absence(hash: Hash) -> bool {
        hash == ABSENT
    }
}

/// The hash of no file. No content has it: SHA-256 is never zero in practice.
const ABSENT: Hash = Hash([0; 32]);

fn content_hash(content: Option<&[u8]>) -> Option<Hash> {
    match content {
        None => Some(ABSENT),
        Some(content) => Hash::from_slice(HashFunction::Sha256.blob(content).as_bytes()),
    }
}

impl Rule for FileRule {
    type Key = RootPath;
    type Value = Option<Arc<[u8]>>;
    const NAME: &'static str = "file";

    fn policy(&self, _: &RootPath) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, place: &RootPath, cx: Cx) -> std::result::Result<Option<Arc<[u8]>>, Fail> {
        let Some(leaf_read) = place.leaf_read(&self.0) else { return Ok(None) };
        let (handover, read) = ((&self.0.contents, place), || place.read(&self.0));
        match leaf_read.read_with_witness(&cx, handover, read).map_err(refused)? {
            (Ok(content), true) => Ok(content.map(Arc::from)),
            // Unlike a listing it cannot be used: a mixture of two contents may never have existed.
            (Ok(_), false) => {
                let path = place.full(&self.0);
                Err(Fail::transient(format!("{} keeps changing while it is read", path.display())))
            }
            (Err(error), _) => Err(refused(error)),
        }
    }

    fn content_hash(&self, _: &RootPath, content: &Option<Arc<[u8]>>) -> Option<Hash> {
        content_hash(content.as_deref())
    }

    fn agrees(&self, place: &RootPath, witness: &[u8], hash: Hash) -> Agreement {
        let Some(leaf_read) = place.leaf_read(&self.0) else { return Agreement::No };
        let (handover, read) = ((&self.0.contents, place), || place.read(&self.0));
        leaf_read.agrees(witness, handover, read, |content| content_hash(content.as_deref()) == Some(hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_leaves_are_stable() {
        let wide = |number: u64| [b"\x01\xff\xff", &number.to_be_bytes()[..], b"a/b"].concat();
        for (number, bytes) in [
            (258, b"\x01\x01\x02a/b".to_vec()),
            (65_534, b"\x01\xff\xfea/b".to_vec()),
            (65_535, wide(65_535)),
            (1_000_000, wide(1_000_000)),
        ] {
            let root = RootName { number, ignore_special: true };
            let place = RootPath { root, path: "a/b".into() };
            let mut key = Vec::new();
            place.encode(&mut key);
            assert_eq!(key, bytes);
            assert_eq!(RootPath::decode(&key), Some(place));
        }
    }
}
