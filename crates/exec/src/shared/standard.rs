//! Objects of the store in the form of the standard protocol: named by SHA-256, directories as `Directory` messages.
//!
//! A name is computed once, and kept by the store. Some directories have no such form: names that are not UTF-8.
//! Actions that have one among inputs or outputs are not shared.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use taut_digest::{Digest, Hash, HashFunction, ObjectInfo, ObjectType, TreeEntry};
use taut_proto::{self as proto, Directory, DirectoryNode, FileNode, Message, SymlinkNode, TreeBytes};
use taut_store::{Error, Result, StandardNames, Store};
use taut_value::Str;

use crate::trees::{self, TreeError};

/// An entry of a directory.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    File { digest: Digest, executable: bool },
    Directory(Digest),
    Link(String),
}

/// A digest as standard messages have it.
pub(crate) fn to_wire(digest: &Digest) -> proto::Digest {
    proto::Digest { hash: digest.hash.to_hex(), size_bytes: i64::try_from(digest.size).unwrap_or(i64::MAX) }
}

/// From a standard message; `None` if it is not a SHA-256 digest.
pub(crate) fn from_wire(digest: &proto::Digest) -> Option<Digest> {
    // 32 bytes are SHA-256: a digest of another function would be compared with nothing here.
    let hash = Hash::from_hex(&digest.hash).ok().filter(|hash| hash.as_bytes().len() == 32)?;
    Some(Digest { hash, size: digest.size_bytes.try_into().ok()? })
}

/// The name of bytes.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest { hash: HashFunction::Sha256.blob(bytes), size: bytes.len() as u64 }
}

/// A directory as bytes.
fn encode<'n>(entries: impl Iterator<Item = (&'n str, Node)>) -> Vec<u8> {
    let mut directory = Directory::default();
    // Entries come sorted by name, and so each kind of them is.
    for (name, node) in entries {
        let name = name.to_owned();
        match node {
            Node::File { digest, executable } => {
                let digest = Some(to_wire(&digest));
                directory.files.push(FileNode { name, digest, is_executable: executable });
            }
            Node::Directory(digest) => {
                directory.directories.push(DirectoryNode { name, digest: Some(to_wire(&digest)) });
            }
            Node::Link(target) => directory.symlinks.push(SymlinkNode { name, target }),
        }
    }
    directory.encode_to_vec()
}

/// The standard form of the objects of a store.
pub(crate) struct Standard {
    store: Store,
    pub(crate) names: Arc<StandardNames>,
}

/// If a tree among the inputs has more directories, none of them is sent.
const MAX_DIRECTORIES: usize = 4096;

/// Steps of a walk over trees without recursion.
enum WalkStep {
    Open(Hash),
    Close(Hash, BTreeMap<Vec<u8>, TreeEntry>),
}

/// A `Tree` message, and what is in it.
pub(crate) struct WholeTree {
    pub(crate) message: Vec<u8>,
    /// The `Directory` messages: some servers look for these, too, before they give a result away.
    pub(crate) directories: Vec<Vec<u8>>,
    pub(crate) files: Vec<(ObjectInfo, Digest)>,
}

impl Standard {
    pub(crate) fn open(store: &Store) -> Result<Standard> {
        Ok(Standard { store: store.clone(), names: Arc::new(StandardNames::open(store)?) })
    }

    /// An object as an entry; `None` if it has no standard form.
    pub(crate) fn node(&self, object: &ObjectInfo) -> Result<Option<Node>> {
        Ok(match object.object_type {
            ObjectType::Tree => self.tree(&object.digest.hash)?.map(Node::Directory),
            ObjectType::Symlink => {
                let target = self.store.read(&object.digest.hash, ObjectType::Symlink)?;
                String::from_utf8(target.ok_or(Error::Missing(*object))?).ok().map(Node::Link)
            }
            object_type => {
                let digest = self.names.of_blob(object)?.ok_or(Error::Missing(*object))?;
                Some(Node::File { digest, executable: object_type == ObjectType::Executable })
            }
        })
    }

    /// The `Directory` of a stage; `None` if it has no standard form.
    pub(crate) fn stage(&self, stage: &[(Str, ObjectInfo)]) -> Result<Option<Digest>> {
        // What forms no directory has been reported with the action's own digest.
        let Ok(stage) = trees::normalised_stage(stage) else { return Ok(None) };
        if let Some(tree) = trees::whole(&stage) {
            return self.tree(&tree.digest.hash);
        }
        let mut nodes = Vec::with_capacity(stage.len());
        for (path, object) in &stage {
            let Some(node) = self.node(object)? else { return Ok(None) };
            nodes.push((&**path, node));
        }
        let make = |entries: &BTreeMap<&str, Node>| {
            let entries = entries.iter().map(|(name, node)| (*name, node.clone()));
            Ok(digest_of(&encode(entries)))
        };
        match trees::build_tree(&nodes, make, |directory| Node::Directory(*directory)) {
            Ok(digest) => Ok(Some(digest)),
            Err(TreeError::Store(error)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// The `Directory` messages of a stage and of the trees in it, without trees that are among `done`; the others are
    /// added there. They are for people and tools that look for the difference between two actions, so trees that are
    /// lost or have very many directories are left out.
    pub(crate) fn directories(
        &self,
        stage: &[(Str, ObjectInfo)],
        done: &mut HashSet<Hash>,
    ) -> Result<Vec<Vec<u8>>> {
        let Ok(stage) = trees::normalised_stage(stage) else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        let trees = stage.iter().filter(|(_, object)| object.object_type == ObjectType::Tree);
        for hash in trees.map(|(_, object)| object.digest.hash) {
            if done.insert(hash) {
                all.extend(self.directories_of(&hash)?.unwrap_or_default());
            }
        }
        if trees::whole(&stage).is_some() {
            return Ok(all);
        }
        let mut nodes = Vec::with_capacity(stage.len());
        for (path, object) in &stage {
            let Some(node) = self.node(object)? else { return Ok(all) };
            nodes.push((&**path, node));
        }
        let made = RefCell::new(Vec::new());
        let make = |entries: &BTreeMap<&str, Node>| {
            let bytes = encode(entries.iter().map(|(name, node)| (*name, node.clone())));
            let digest = digest_of(&bytes);
            made.borrow_mut().push(bytes);
            Ok(digest)
        };
        match trees::build_tree(&nodes, make, |directory| Node::Directory(*directory)) {
            Ok(_) => all.extend(made.into_inner()),
            Err(TreeError::Store(error)) => return Err(error),
            Err(_) => {}
        }
        Ok(all)
    }

    /// The `Directory` messages of a stored tree; `None` if it is lost, has no standard form, or has very many
    /// directories.
    pub(crate) fn directories_of(&self, root: &Hash) -> Result<Option<Vec<Vec<u8>>>> {
        let mut directories = Vec::new();
        let named = match self.tree(root) {
            Err(Error::Missing(_)) => None,
            named => named?,
        };
        // Entries need the names of all directories in it.
        if named.is_none() {
            return Ok(None);
        }
        let walked = self.each_directory(root, false, |_, bytes, _| {
            directories.push(bytes);
            // Ends the walk.
            if directories.len() > MAX_DIRECTORIES { Err(Error::Missing(of_tree(root))) } else { Ok(()) }
        });
        match walked {
            Ok(true) => Ok(Some(directories)),
            Ok(false) | Err(Error::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The `Directory` of a stored tree; `None` if it has no standard form.
    fn tree(&self, root: &Hash) -> Result<Option<Digest>> {
        if let Some(known) = self.names.known(&of_tree(root)) {
            return Ok(Some(known));
        }
        let done = self.each_directory(root, true, |tree, bytes, _| {
            // Named in post-order, so the names of all directories below are known when one is encoded.
            self.names.add(&of_tree(tree), digest_of(&bytes));
            Ok(())
        })?;
        Ok(if done { self.names.known(&of_tree(root)) } else { None })
    }

    /// A stored tree as one message; `None` if it has no standard form.
    pub(crate) fn whole_tree(&self, root: &Hash) -> Result<Option<WholeTree>> {
        // First the names of all directories in it, which entries need.
        if self.tree(root)?.is_none() {
            return Ok(None);
        }
        let (mut message, mut directories, mut files) = (TreeBytes::default(), Vec::new(), Vec::new());
        let done = self.each_directory(root, false, |tree, bytes, nodes| {
            files.extend(nodes);
            directories.push(bytes.clone());
            if tree == root {
                message.root = bytes
            } else {
                message.children.push(bytes)
            }
            Ok(())
        })?;
        Ok(done.then(|| WholeTree { message: message.encode_to_vec(), directories, files }))
    }

    /// Visits the directories of a tree, each once and after those in it, as bytes and with the files in it. Returns
    /// whether all have a standard form. `only_new`: leaves out those whose name is known.
    fn each_directory(
        &self,
        root: &Hash,
        only_new: bool,
        mut visit: impl FnMut(&Hash, Vec<u8>, Vec<(ObjectInfo, Digest)>) -> Result<()>,
    ) -> Result<bool> {
        let mut seen = HashSet::new();
        let mut steps = vec![WalkStep::Open(*root)];
        while let Some(step) = steps.pop() {
            match step {
                WalkStep::Open(tree) => {
                    if !seen.insert(tree) || (only_new && self.names.known(&of_tree(&tree)).is_some()) {
                        continue;
                    }
                    let entries = self.store.read_tree(&tree)?.ok_or(Error::Missing(of_tree(&tree)))?;
                    let below = entries.values().filter(|entry| entry.object_type == ObjectType::Tree);
                    let below: Vec<Hash> = below.map(|entry| entry.hash).collect();
                    // Pushed before its entries, so popped after them.
                    steps.push(WalkStep::Close(tree, entries));
                    steps.extend(below.into_iter().map(WalkStep::Open));
                }
                WalkStep::Close(tree, entries) => {
                    let (mut nodes, mut files) = (BTreeMap::new(), Vec::new());
                    for (name, entry) in &entries {
                        let digest = Digest { hash: entry.hash, size: 0 };
                        let object = ObjectInfo { digest, object_type: entry.object_type };
                        let node = match entry.object_type {
                            ObjectType::Tree => self.names.known(&object).map(Node::Directory),
                            _ => self.node(&object)?,
                        };
                        let (Ok(name), Some(node)) = (std::str::from_utf8(name), node) else {
                            return Ok(false);
                        };
                        if let Node::File { digest, .. } = node {
                            files.push((object, digest));
                        }
                        nodes.insert(name, node);
                    }
                    visit(&tree, encode(nodes.into_iter()), files)?;
                }
            }
        }
        Ok(true)
    }
}

fn of_tree(hash: &Hash) -> ObjectInfo {
    ObjectInfo { digest: Digest { hash: *hash, size: 0 }, object_type: ObjectType::Tree }
}
