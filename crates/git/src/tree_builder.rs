//! A tree that is put together path by path, in any order, and written bottom-up.
//!
//! The directories are in one vector, in which each comes after the one above it: nothing here recurses, however deep a
//! path is.

use std::collections::BTreeMap;

use taut_digest::{Hash, ObjectType, TreeEntry, validate_entry_name};

use crate::{Error, HashOnly, ObjectSink, PathFault, Result, encode::encode_tree};

/// What is at a path of a [`TreeBuilder`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Node {
    /// A file, link or tree that is stored already.
    Object(TreeEntry),
    /// A commit of another repository.
    Submodule(Hash),
    /// A directory that is being put together.
    Directory,
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    Object(TreeEntry),
    Submodule(Hash),
    /// Its index.
    Directory(usize),
}

impl Entry {
    fn node(self) -> Node {
        match self {
            Entry::Object(entry) => Node::Object(entry),
            Entry::Submodule(commit) => Node::Submodule(commit),
            Entry::Directory(_) => Node::Directory,
        }
    }
}

/// A tree that is put together path by path. Paths are sequences of components.
#[derive(Clone, Debug)]
pub struct TreeBuilder {
    /// The first one is the whole tree.
    directories: Vec<BTreeMap<Vec<u8>, Entry>>,
}

impl Default for TreeBuilder {
    fn default() -> TreeBuilder {
        TreeBuilder { directories: vec![BTreeMap::new()] }
    }
}

impl TreeBuilder {
    /// The empty tree.
    pub fn new() -> TreeBuilder {
        TreeBuilder::default()
    }

    /// Puts an object at a path, in place of what is there. Directories above it are made. Returns what was there.
    ///
    /// # Errors
    /// [`Error::Path`]: a component is not a name, or something above is not a directory.
    pub fn put<C: AsRef<[u8]>>(&mut self, path: &[C], entry: TreeEntry) -> Result<Option<Node>> {
        self.insert(path, Entry::Object(entry))
    }

    /// Puts a submodule at a path, as [`TreeBuilder::put`] does.
    ///
    /// # Errors
    /// As for [`TreeBuilder::put`].
    pub fn put_submodule<C: AsRef<[u8]>>(&mut self, path: &[C], commit: Hash) -> Result<Option<Node>> {
        self.insert(path, Entry::Submodule(commit))
    }

    /// Makes a directory at a path, unless there is one. Anything else there is replaced, and returned.
    ///
    /// # Errors
    /// As for [`TreeBuilder::put`].
    pub fn directory<C: AsRef<[u8]>>(&mut self, path: &[C]) -> Result<Option<Node>> {
        let Some((last, above)) = path.split_last() else { return Ok(None) };
        let directory = self.make(path, above)?;
        let name = checked(path, last)?;
        // Archives repeat the entries of directories; such an entry must not drop what is in the directory already.
        match self.directories[directory].get(name) {
            Some(Entry::Directory(_)) => Ok(None),
            found => {
                let found = found.map(|entry| entry.node());
                self.add(directory, name);
                Ok(found)
            }
        }
    }

    /// How many directories there are, the whole tree among them; and those that were replaced.
    pub fn directory_count(&self) -> usize {
        self.directories.len()
    }

    /// What is at a path.
    pub fn get<C: AsRef<[u8]>>(&self, path: &[C]) -> Option<Node> {
        let mut node = Node::Directory;
        let mut directory = Some(0);
        for component in path {
            let entry = self.directories[directory?].get(component.as_ref())?;
            node = entry.node();
            directory = if let Entry::Directory(index) = entry { Some(*index) } else { None };
        }
        Some(node)
    }

    /// Writes all trees, those below first, and returns the id of the whole.
    ///
    /// # Errors
    /// The sink fails.
    pub fn write(&self, sink: &mut (impl ObjectSink + ?Sized)) -> Result<Hash> {
        Ok(self.write_each(sink)?[0].expect("the first one is used"))
    }

    /// The path of a directory whose tree has an id, the first one that was made; nothing is written.
    ///
    /// # Errors
    /// A tree is too large.
    pub fn find(&self, id: &Hash) -> Result<Option<Vec<Vec<u8>>>> {
        let trees = self.write_each(&mut HashOnly)?;
        let Some(mut index) = trees.iter().position(|tree| *tree == Some(*id)) else { return Ok(None) };
        let mut path = Vec::new();
        while index > 0 {
            // A directory comes after the one above it, so only earlier ones are searched. Links upwards would not
            // pay: this is done for one path, if at all.
            let above = self.directories[..index].iter().enumerate().find_map(|(above, directory)| {
                let is_it = |entry: &Entry| matches!(entry, Entry::Directory(below) if *below == index);
                let name = directory.iter().find(|(_, entry)| is_it(entry))?.0;
                Some((above, name.clone()))
            });
            let (above, name) = above.expect("a directory with a tree is in another one");
            path.push(name);
            index = above;
        }
        path.reverse();
        Ok(Some(path))
    }

    /// Writes all trees, and returns their ids; `None` for directories that were replaced.
    fn write_each(&self, sink: &mut (impl ObjectSink + ?Sized)) -> Result<Vec<Option<Hash>>> {
        // A directory that was replaced is still in the vector; nothing names it.
        let mut is_used = vec![false; self.directories.len()];
        is_used[0] = true;
        for (index, directory) in self.directories.iter().enumerate() {
            for entry in directory.values() {
                if let Entry::Directory(below) = entry {
                    // Forwards: whether a directory is used is decided before those in it are looked at.
                    is_used[*below] = is_used[index];
                }
            }
        }
        let mut trees: Vec<Option<Hash>> = vec![None; self.directories.len()];
        // Backwards: an entry always has a higher index than its directory, so what a tree names is written before
        // it.
        for (index, directory) in self.directories.iter().enumerate().rev() {
            if !is_used[index] {
                continue;
            }
            let entries = directory.iter().map(|(name, entry)| {
                let (hash, object_type) = match entry {
                    Entry::Object(entry) => (entry.hash, Some(entry.object_type)),
                    Entry::Submodule(commit) => (*commit, None),
                    Entry::Directory(below) => {
                        (trees[*below].expect("it comes later, so it is written"), Some(ObjectType::Tree))
                    }
                };
                (name.as_slice(), hash, object_type)
            });
            let encoded = encode_tree(entries.collect());
            trees[index] = Some(sink.tree(&encoded)?);
        }
        Ok(trees)
    }

    fn insert<C: AsRef<[u8]>>(&mut self, path: &[C], entry: Entry) -> Result<Option<Node>> {
        let Some((last, above)) = path.split_last() else { return Err(refused(path, PathFault::Empty)) };
        let directory = self.make(path, above)?;
        let name = checked(path, last)?;
        // A directory that is replaced is not removed from the vector, since that would change the indices of others.
        let replaced = self.directories[directory].insert(name.to_owned(), entry);
        Ok(replaced.map(Entry::node))
    }

    /// The index of the directory at a path, which is made if need be; `path` is for messages.
    fn make<C: AsRef<[u8]>>(&mut self, path: &[C], directories: &[C]) -> Result<usize> {
        let mut directory = 0;
        for component in directories {
            let name = checked(path, component)?;
            directory = match self.directories[directory].get(name) {
                Some(Entry::Directory(index)) => *index,
                Some(Entry::Object(entry)) => return Err(refused(path, PathFault::Below(entry.object_type))),
                Some(Entry::Submodule(_)) => return Err(refused(path, PathFault::BelowSubmodule)),
                None => self.add(directory, name),
            };
        }
        Ok(directory)
    }

    fn add(&mut self, directory: usize, name: &[u8]) -> usize {
        let index = self.directories.len();
        self.directories.push(BTreeMap::new());
        self.directories[directory].insert(name.to_owned(), Entry::Directory(index));
        index
    }
}

fn checked<'c, C: AsRef<[u8]>>(path: &[C], component: &'c C) -> Result<&'c [u8]> {
    let name = component.as_ref();
    if validate_entry_name(name) { Ok(name) } else { Err(refused(path, PathFault::BadName)) }
}

fn refused<C: AsRef<[u8]>>(path: &[C], fault: PathFault) -> Error {
    let components: Vec<&[u8]> = path.iter().map(AsRef::as_ref).collect();
    Error::Path { path: String::from_utf8_lossy(&components.join(&b'/')).into_owned(), fault }
}
