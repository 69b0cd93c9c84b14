//! What is lost or damaged, with everything that is of no use without it.
//!
//! Whether an object is there is asked often, and of a tree only its own bytes are looked for. So when it turns out
//! that something below a tree is lost, the tree has to go: else everybody would go on believing that it can be had,
//! and nobody would make it again.

use std::collections::{HashMap, HashSet};

use taut_digest::{Hash, ObjectInfo, ObjectType};
use taut_sys::if_exists;

use crate::{Result, Store, layout::Kind};

/// A tree is looked at before what is in it, and again after that.
enum Step {
    Open(Hash, ObjectType),
    Close(Hash),
}

impl Store {
    /// Removes of an object, and of all that it refers to, what is damaged, and each tree of which something is
    /// missing. Reads all of it: for who found that something is. Tells whether the object is whole. Without recursion.
    ///
    /// # Errors
    /// What keeps one from looking, or from removing.
    pub fn discard_unsound(&self, object: &ObjectInfo) -> Result<bool> {
        let root = object.digest.hash;
        let mut steps = vec![Step::Open(root, object.object_type)];
        let mut seen: HashSet<(Hash, ObjectType)> = HashSet::new();
        let mut children: HashMap<Hash, Vec<Hash>> = HashMap::new();
        let mut unsound: HashSet<Hash> = HashSet::new();
        while let Some(step) = steps.pop() {
            match step {
                Step::Open(hash, object_type) if !seen.insert((hash, object_type)) => {}
                Step::Open(hash, ObjectType::Tree) => match self.read_tree(&hash)? {
                    None => {
                        self.remove_damaged(Kind::of(ObjectType::Tree, self.hash_function()), &hash)?;
                        unsound.insert(hash);
                    }
                    Some(entries) => {
                        steps.push(Step::Close(hash));
                        steps.extend(entries.values().map(|entry| Step::Open(entry.hash, entry.object_type)));
                        children.insert(hash, entries.values().map(|entry| entry.hash).collect());
                    }
                },
                Step::Open(hash, object_type) => {
                    if !self.is_sound(&hash, object_type)? {
                        self.remove_damaged(Kind::of(object_type, self.hash_function()), &hash)?;
                        unsound.insert(hash);
                    }
                }
                Step::Close(tree) => {
                    if children[&tree].iter().any(|child| unsound.contains(child)) {
                        self.remove_damaged(Kind::of(ObjectType::Tree, self.hash_function()), &tree)?;
                        unsound.insert(tree);
                    }
                }
            }
        }
        Ok(!unsound.contains(&root))
    }

    /// Whether a file or link is there with the content that its name says.
    fn is_sound(&self, hash: &Hash, object_type: ObjectType) -> Result<bool> {
        if !self.is_whole(hash, object_type)? {
            return Ok(false);
        }
        let kind = Kind::of(object_type, self.hash_function());
        let Some(object) = self.object(0, kind, hash)? else { return Ok(false) };
        let Some(mut file) = if_exists(object.at().open())? else { return Ok(false) };
        Ok(self.hash_open(&mut file)? == Some(*hash))
    }
}
