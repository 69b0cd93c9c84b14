//! Moving what is still used from the older generation to the youngest.
//!
//! Every object that a build uses gets a second name (a hard link) in the youngest generation, and everything it refers
//! to gets one before it: children before trees, blobs before cache entries. So an object of the youngest generation
//! is complete whenever a process dies, and after each garbage collection.

use taut_digest::{Hash, ObjectType};
use taut_sys::if_exists;

use crate::{
    Result, Store,
    layout::{GENERATIONS, Kind},
    splice::ignore_exists,
};

impl Store {
    /// Brings an object of exactly this kind into the youngest generation. Returns whether there was one, of this size
    /// if one is given.
    pub(crate) fn uplink(&self, kind: Kind, hash: &Hash, size: Option<u64>) -> Result<bool> {
        if kind == Kind::Tree {
            return self.uplink_tree(hash);
        }
        self.uplink_alone(kind, hash, size)
    }

    fn uplink_alone(&self, kind: Kind, hash: &Hash, size: Option<u64>) -> Result<bool> {
        if self.splice(0, kind, hash)? {
            return Ok(true);
        }
        for generation in 1..GENERATIONS {
            if self.splice(generation, kind, hash)? {
                return Ok(true);
            }
            let Some(old) = self.object(generation, kind, hash)? else { continue };
            if if_exists(old.at().lstat())?
                .is_some_and(|stat| stat.is_file() && size.is_none_or(|size| size == stat.size()))
            {
                let new = self.object_to_make(kind, hash)?;
                // `EEXIST`: another process has linked it meanwhile, which is as good.
                old.at().hard_link(new.at()).or_else(ignore_exists)?;
                self.set_known(kind, hash);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A tree with all that is below it, children first, without recursion: depth is data.
    fn uplink_tree(&self, root: &Hash) -> Result<bool> {
        enum LinkStep {
            Open(Hash),
            Close(Hash),
        }
        // No set of those seen: a tree that was closed is known (`is_in_youngest`), so it is not opened again.
        let mut steps = vec![LinkStep::Open(*root)];
        while let Some(step) = steps.pop() {
            match step {
                LinkStep::Close(tree) => {
                    // Another process may have made it meanwhile, also where the older generation has it no more.
                    if !self.is_in_youngest(&tree)? && !self.uplink_alone(Kind::Tree, &tree, None)? {
                        return Ok(false);
                    }
                }
                LinkStep::Open(tree) => {
                    // It is complete there: all that is below was linked before it.
                    if self.is_in_youngest(&tree)? {
                        continue;
                    }
                    // Checked against its name, since its entries are about to be trusted.
                    let Some(encoded) = self.read_old_tree(&tree)? else { return Ok(false) };
                    let Ok(entries) = self.decode_tree(&encoded)? else { return Ok(false) };
                    // Pushed before its entries, so popped after them.
                    steps.push(LinkStep::Close(tree));
                    for entry in entries.values() {
                        match entry.object_type {
                            ObjectType::Tree => steps.push(LinkStep::Open(entry.hash)),
                            // `contains` links a leaf into the youngest generation.
                            leaf if !self.contains(&entry.hash, leaf)? => return Ok(false),
                            _ => {}
                        }
                    }
                }
            }
        }
        Ok(true)
    }

    /// Whether the youngest generation has a tree as a whole.
    fn is_in_youngest(&self, tree: &Hash) -> Result<bool> {
        if self.is_known(Kind::Tree, tree) {
            return Ok(true);
        }
        let Some(object) = self.object(0, Kind::Tree, tree)? else { return Ok(false) };
        let is_there = if_exists(object.at().lstat())?.is_some_and(|stat| stat.is_file());
        if is_there {
            self.set_known(Kind::Tree, tree);
        }
        Ok(is_there)
    }

    /// The bytes of a tree, wherever they are; it comes into the youngest generation later, after what is below it.
    fn read_old_tree(&self, tree: &Hash) -> Result<Option<Vec<u8>>> {
        for generation in 0..GENERATIONS {
            if let Some(encoded) = self.read_small(generation, Kind::Tree, tree)? {
                return Ok((self.hash_function().tree(&encoded) == *tree).then_some(encoded));
            }
            if let Some(whole) = self.put_together(generation, Kind::Tree, tree)? {
                return Ok(Some(whole.at().read()?));
            }
        }
        Ok(None)
    }
}
