//! Removal of damaged objects, together with the trees that are useless without them.
//!
//! Whether a tree is present is decided by its own bytes, without a look at what is below it, since that is asked
//! often. So when something below a tree turns out to be lost, the tree has to be removed: otherwise it would count as
//! present, and would never be made again.

use std::collections::{HashMap, HashSet};

use taut_digest::{Hash, ObjectInfo, ObjectType};
use taut_sys::if_exists;

use crate::{Result, Store, layout::Kind};

/// A depth-first walk without recursion: a tree is opened before its entries, and closed when all of them are decided.
enum DiscardStep {
    Open(Hash, ObjectType),
    Close(Hash),
}

impl Store {
    /// Removes from an object, and from all that it refers to, what is damaged, and each tree of which something is
    /// missing. Returns whether the object is whole. Reads and hashes all of it, so it is meant for the case that
    /// something is known to be missing.
    ///
    /// # Errors
    /// Something cannot be read or removed.
    pub fn discard_unsound(&self, object: &ObjectInfo) -> Result<bool> {
        // Each object is read once (`seen`), however many trees contain it.
        let root = object.digest.hash;
        let mut steps = vec![DiscardStep::Open(root, object.object_type)];
        let mut seen: HashSet<(Hash, ObjectType)> = HashSet::new();
        // By hash, so that closing a tree does not read it a second time.
        let mut children: HashMap<Hash, Vec<Hash>> = HashMap::new();
        let mut unsound: HashSet<Hash> = HashSet::new();
        while let Some(step) = steps.pop() {
            match step {
                DiscardStep::Open(hash, object_type) if !seen.insert((hash, object_type)) => {}
                // What servers have is not fetched to be looked at: it is compared with its name when it comes.
                DiscardStep::Open(hash, object_type)
                    if !self.is_here(&hash, object_type)? && self.is_at_server(&hash, object_type)? => {}
                DiscardStep::Open(hash, ObjectType::Tree) => match self.read_tree(&hash)? {
                    None => {
                        self.remove_tree(&hash)?;
                        unsound.insert(hash);
                    }
                    Some(entries) => {
                        steps.push(DiscardStep::Close(hash));
                        steps.extend(
                            entries.values().map(|entry| DiscardStep::Open(entry.hash, entry.object_type)),
                        );
                        children.insert(hash, entries.values().map(|entry| entry.hash).collect());
                    }
                },
                DiscardStep::Open(hash, object_type) => {
                    if !self.is_sound(&hash, object_type)? {
                        self.remove_damaged(Kind::of(object_type), &hash)?;
                        unsound.insert(hash);
                    }
                }
                DiscardStep::Close(tree) => {
                    if children[&tree].iter().any(|child| unsound.contains(child)) {
                        self.remove_tree(&tree)?;
                        unsound.insert(tree);
                    }
                }
            }
        }
        Ok(!unsound.contains(&root))
    }

    /// Removes a tree, also in chunks: it would be put together again otherwise.
    fn remove_tree(&self, tree: &Hash) -> Result<()> {
        self.remove_damaged(Kind::LargeTree, tree)?;
        self.remove_damaged(Kind::Tree, tree)
    }

    /// Whether a file or link is stored with the content that its name requires.
    fn is_sound(&self, hash: &Hash, object_type: ObjectType) -> Result<bool> {
        if !self.is_whole_here(hash, object_type)? {
            return Ok(false);
        }
        let kind = Kind::of(object_type);
        let Some(object) = self.object(0, kind, hash)? else { return Ok(false) };
        let Some(mut file) = if_exists(object.at().open())? else { return Ok(false) };
        Ok(self.hash_open(&mut file)? == Some(*hash))
    }
}
