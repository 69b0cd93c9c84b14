//! Whether what a tree leads to is still there, for a repository that is to be repaired.

use rustc_hash::FxHashSet;
use taut_digest::{Hash, ObjectType, parse_git_tree};
use taut_sys::if_exists;

use crate::{Error, Kind, Object, Result, Writer};

impl Writer {
    /// Whether a tree and all that is below it is there and has the right hash. A loose object with a wrong hash is
    /// removed: it would hide its replacement, if that is written into a pack.
    ///
    /// # Errors
    /// The repository cannot be read, or a damaged object cannot be removed.
    pub fn verify(&self, tree: &Hash) -> Result<bool> {
        let mut is_intact = true;
        let mut seen = FxHashSet::from_iter([*tree]);
        let mut todo = vec![(*tree, Kind::Tree)];
        while let Some((id, kind)) = todo.pop() {
            let object = match self.repository().read(&id) {
                Ok(object) => object.filter(|object| object.kind == kind),
                Err(Error::Damaged { .. }) => {
                    self.remove_loose(&id)?;
                    None
                }
                Err(error) => return Err(error),
            };
            // The walk goes on, so that all that is damaged is removed.
            let Some(Object { content, .. }) = object else {
                is_intact = false;
                continue;
            };
            if kind == Kind::Tree {
                for entry in
                    parse_git_tree(&content, 20).map_err(|error| self.repository().damaged(&id, error))?
                {
                    let kind = match entry.object_type {
                        None => continue,
                        Some(ObjectType::Tree) => Kind::Tree,
                        Some(_) => Kind::Blob,
                    };
                    if seen.insert(entry.hash) {
                        todo.push((entry.hash, kind));
                    }
                }
            }
        }
        self.repository().forget();
        Ok(is_intact)
    }

    fn remove_loose(&self, id: &Hash) -> Result<()> {
        let hex = id.to_hex();
        let (shard, rest) = hex.split_at(2);
        let removed = self.objects().at(&format!("{shard}/{rest}")).remove_file();
        if_exists(removed).map(drop).map_err(|error| self.unwritable(error))
    }
}
