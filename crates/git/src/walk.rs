//! What trees and commits lead to.

use rustc_hash::FxHashSet;
use taut_digest::{Hash, ObjectType, parse_git_tree, validate_entry_name};

use crate::{Batch, Error, Kind, Object, ObjectSink, Repository, Result};

impl Repository {
    /// An object of a kind.
    ///
    /// # Errors
    /// It is not there ([`Error::Missing`]), damaged, or of another kind.
    pub fn require(&self, id: &Hash, kind: Kind) -> Result<Vec<u8>> {
        match self.read(id)? {
            Some(Object { kind: found, content }) if found == kind => Ok(content),
            Some(Object { kind: found, .. }) => {
                Err(self.damaged(id, format!("it is a {}, not a {}", found.name(), kind.name())))
            }
            None => Err(Error::Missing { path: self.path().to_owned(), id: *id, kind: kind.name() }),
        }
    }

    /// The tree of a commit; `None` if the repository does not have the commit. Whether it has the tree is not checked.
    ///
    /// # Errors
    /// The repository is damaged, or the id is that of something else.
    pub fn tree_of_commit(&self, commit: &Hash) -> Result<Option<Hash>> {
        let content = match self.read(commit)? {
            None => return Ok(None),
            Some(Object { kind: Kind::Commit, content }) => content,
            Some(Object { kind, .. }) => {
                return Err(self.damaged(commit, format!("it is a {}, not a commit", kind.name())));
            }
        };
        // `gitformat-commit`: the first line names the tree.
        let hex = content.strip_prefix(b"tree ").and_then(|rest| rest.split(|&byte| byte == b'\n').next());
        let tree = hex.and_then(|hex| Hash::from_hex(std::str::from_utf8(hex).ok()?).ok());
        tree.map(Some).ok_or_else(|| self.damaged(commit, "it names no tree"))
    }

    /// The tree at a path below a tree; `None` if there is no directory. Components that are empty or `.` count for
    /// nothing; a path with `..` is that of no directory.
    ///
    /// # Errors
    /// A tree on the way is missing or damaged.
    pub fn subtree(&self, tree: &Hash, path: &[u8]) -> Result<Option<Hash>> {
        let mut tree = *tree;
        for name in path.split(|&byte| byte == b'/').filter(|name| !matches!(*name, b"" | b".")) {
            if !validate_entry_name(name) {
                return Ok(None);
            }
            let content = self.require(&tree, Kind::Tree)?;
            let entries = parse_git_tree(&content, 20).map_err(|error| self.damaged(&tree, error))?;
            match entries.iter().find(|entry| entry.name == name) {
                Some(entry) if entry.object_type == Some(ObjectType::Tree) => tree = entry.hash,
                _ => return Ok(None),
            }
        }
        Ok(Some(tree))
    }

    /// Whether the repository has a tree and all that is below it. Blobs are looked up and not read. Commits of
    /// submodules are not looked for: they are in other repositories.
    ///
    /// # Errors
    /// A tree is damaged.
    pub fn is_complete(&self, tree: &Hash) -> Result<bool> {
        self.has_all_below(tree, |blob| Ok(self.header(blob)?.map(|header| header.kind)))
    }

    /// The same, and all of it is read and has the right hash.
    ///
    /// # Errors
    /// Something is damaged.
    pub fn is_intact(&self, tree: &Hash) -> Result<bool> {
        self.has_all_below(tree, |blob| Ok(self.read(blob)?.map(|object| object.kind)))
    }

    /// `kind_of`: the kind of an object, if it is there.
    fn has_all_below(&self, tree: &Hash, kind_of: impl Fn(&Hash) -> Result<Option<Kind>>) -> Result<bool> {
        let mut seen = FxHashSet::from_iter([*tree]);
        let mut todo = vec![*tree];
        while let Some(tree) = todo.pop() {
            let Some(Object { kind: Kind::Tree, content }) = self.read(&tree)? else { return Ok(false) };
            for entry in parse_git_tree(&content, 20).map_err(|error| self.damaged(&tree, error))? {
                let Some(object_type) = entry.object_type else { continue };
                if !seen.insert(entry.hash) {
                    continue;
                }
                if object_type == ObjectType::Tree {
                    todo.push(entry.hash);
                } else if kind_of(&entry.hash)? != Some(Kind::Blob) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

impl Batch<'_> {
    /// Copies a tree with all below it from another repository. What is there already is not read.
    ///
    /// # Errors
    /// Something is missing or damaged there, or cannot be written.
    pub fn copy_tree(&mut self, from: &Repository, tree: &Hash) -> Result<()> {
        enum WalkStep {
            Enter(Hash),
            /// Everything below was copied.
            Leave(Vec<u8>),
        }
        // A tree is written after what it names: also a batch that is not finished must not say that it has a tree
        // without its contents.
        let mut seen = FxHashSet::default();
        let mut todo = vec![WalkStep::Enter(*tree)];
        while let Some(step) = todo.pop() {
            let tree = match step {
                WalkStep::Enter(tree) => tree,
                WalkStep::Leave(content) => {
                    self.tree(&content)?;
                    continue;
                }
            };
            // A tree that is there has all below it, as trees get there last; so the walk can end.
            if !seen.insert(tree) || self.has(&tree)? {
                continue;
            }
            let content = from.require(&tree, Kind::Tree)?;
            let mut below = Vec::new();
            for entry in parse_git_tree(&content, 20).map_err(|error| from.damaged(&tree, error))? {
                match entry.object_type {
                    Some(ObjectType::Tree) => below.push(WalkStep::Enter(entry.hash)),
                    Some(_) if !self.has(&entry.hash)? => {
                        self.blob(&from.require(&entry.hash, Kind::Blob)?)?;
                    }
                    _ => {}
                }
            }
            todo.push(WalkStep::Leave(content));
            todo.append(&mut below);
        }
        Ok(())
    }
}
