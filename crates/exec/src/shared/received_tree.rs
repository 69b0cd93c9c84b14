//! A `Tree` message from a server: checked like the output directories of local actions, before any of it is fetched or
//! stored.

use std::collections::{BTreeMap, HashMap, HashSet};

use taut_digest::{Digest, Hash, validate_entry_name};
use taut_proto::{self as proto, Directory, Message, TreeBytes};
use taut_value::path::is_non_upwards;

use super::standard::{Node, digest_of, from_wire};

/// How many bytes a path below an output directory may have, as for the outputs of local actions.
const PATH_MAX: usize = 4096;

/// A directory with all that is below it.
#[derive(Debug)]
pub struct ReceivedTree {
    /// Each directory once, and after those in it: its name, and its entries.
    pub(crate) directories: Vec<(Hash, BTreeMap<String, Node>)>,
}

/// Why a message is not a directory that an action may leave behind.
#[derive(Debug, PartialEq, Eq)]
pub enum TreeFault {
    /// A link in it leads out of the directory.
    Outwards {
        /// Where the link is, below the directory.
        path: String,
        /// Where it leads to.
        target: String,
    },
    /// A path below it is too long.
    LongPath,
    /// The message is malformed or incomplete.
    Malformed,
    /// The message is too large to be read at all.
    TooLarge,
}

impl TreeFault {
    /// The fault in a message, of the directory at a path.
    pub(crate) fn at(&self, path: &str) -> String {
        let why = match self {
            TreeFault::Outwards { path: below, target } => {
                return format!("found invalid symlink at {path}/{below}: it leads outwards, to {target}");
            }
            // As for local actions.
            TreeFault::LongPath => format!("a path below it has more than {PATH_MAX} bytes"),
            TreeFault::Malformed => "the server's description of it is malformed".to_owned(),
            TreeFault::TooLarge => "the server's description of it is too large".to_owned(),
        };
        format!("found invalid output directory at {path}: {why}")
    }
}

impl ReceivedTree {
    /// Reads a message.
    ///
    /// # Errors
    /// It is malformed, incomplete, or something that no action may produce.
    pub fn parse(bytes: &[u8]) -> Result<ReceivedTree, TreeFault> {
        let mut above = HashMap::new();
        Self::parse_below(bytes, &mut above).map_err(|(directory, fault)| match fault {
            TreeFault::Outwards { path, target } => {
                let path = path_of(directory, path, &above);
                TreeFault::Outwards { path, target }
            }
            other => other,
        })
    }

    /// The same; an error has the directory with the fault. `above`: for each directory, a directory that contains it,
    /// and its name there.
    // A path is composed only for a fault: the paths of all directories would take the square of the message's size.
    fn parse_below(
        bytes: &[u8],
        above: &mut HashMap<Hash, (Hash, String)>,
    ) -> Result<ReceivedTree, (Hash, TreeFault)> {
        // Children are kept as bytes: encoding a decoded message again might give other bytes, and so another digest.
        let decoded = TreeBytes::decode(bytes);
        let TreeBytes { root, children } =
            decoded.map_err(|_| (digest_of(bytes).hash, TreeFault::Malformed))?;
        // By the hash of the bytes as they came: a directory is what its name says, or it is not found.
        let children: HashMap<Hash, Vec<u8>> =
            children.into_iter().map(|child| (digest_of(&child).hash, child)).collect();
        let mut directories: Vec<(Hash, BTreeMap<String, Node>)> = Vec::new();
        // How long the longest path below a directory is; also marks it as done.
        let mut longest: HashMap<Hash, usize> = HashMap::new();
        let mut opened = HashSet::new();
        let top = digest_of(&root).hash;
        let mut steps: Vec<(Hash, Option<BTreeMap<String, Node>>)> = vec![(top, None)];
        while let Some((hash, entries)) = steps.pop() {
            let Some(entries) = entries else {
                if !opened.insert(hash) {
                    continue;
                }
                let bytes = if hash == top { Some(&root) } else { children.get(&hash) };
                let directory = bytes.and_then(|bytes| Directory::decode(&bytes[..]).ok());
                let entries = directory.ok_or(TreeFault::Malformed).and_then(entries_of);
                let entries = entries.map_err(|fault| (hash, fault))?;
                let mut below = Vec::new();
                for (name, node) in &entries {
                    if let Node::Directory(digest) = node {
                        // The first parent counts. It was opened before its children, so the way up ends.
                        above.entry(digest.hash).or_insert_with(|| (hash, name.clone()));
                        below.push((digest.hash, None));
                    }
                }
                // Pushed before the ones in it, so popped after them.
                steps.push((hash, Some(entries)));
                steps.extend(below);
                continue;
            };
            let length = |(name, node): (&String, &Node)| {
                let below = match node {
                    Node::Directory(digest) => longest.get(&digest.hash).copied()?,
                    _ => 0,
                };
                Some(1 + name.len() + below)
            };
            // A directory that contains itself is still open here, so `longest` lacks it and the message is refused.
            let longest_here = entries.iter().map(length).try_fold(0, |most, one| Some(most.max(one?)));
            let longest_here = longest_here.ok_or((hash, TreeFault::Malformed))?;
            if longest_here >= PATH_MAX {
                return Err((hash, TreeFault::LongPath));
            }
            longest.insert(hash, longest_here);
            directories.push((hash, entries));
        }
        Ok(ReceivedTree { directories })
    }

    /// The names in its directories, and what links lead to, for those that check the parser.
    pub fn names_and_links(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.directories.iter().flat_map(|(_, entries)| entries).map(|(name, node)| match node {
            Node::Link(target) => (name.as_str(), Some(target.as_str())),
            _ => (name.as_str(), None),
        })
    }

    /// The files in it.
    pub(crate) fn files(&self) -> impl Iterator<Item = (Digest, bool)> {
        self.directories.iter().flat_map(|(_, entries)| entries.values()).filter_map(|node| match node {
            Node::File { digest, executable } => Some((*digest, *executable)),
            _ => None,
        })
    }
}

/// The path of an entry of a directory, from the top.
fn path_of(mut directory: Hash, name: String, above: &HashMap<Hash, (Hash, String)>) -> String {
    let mut names = vec![name];
    while let Some((parent, name)) = above.get(&directory) {
        names.push(name.clone());
        directory = *parent;
    }
    names.reverse();
    names.join("/")
}

/// The entries of a directory. The error for a link that leads outwards has the link's name, not yet its path.
fn entries_of(directory: Directory) -> Result<BTreeMap<String, Node>, TreeFault> {
    let mut entries = BTreeMap::new();
    let digest = |digest: Option<proto::Digest>| {
        digest.and_then(|digest| from_wire(&digest)).ok_or(TreeFault::Malformed)
    };
    let mut add = |name: String, node: Node| {
        // A name with a slash, `..` or an empty one would escape the directory when it is staged.
        let is_good = validate_entry_name(name.as_bytes());
        if is_good && entries.insert(name, node).is_none() { Ok(()) } else { Err(TreeFault::Malformed) }
    };
    for file in directory.files {
        let node = Node::File { digest: digest(file.digest)?, executable: file.is_executable };
        add(file.name, node)?;
    }
    for below in directory.directories {
        add(below.name, Node::Directory(digest(below.digest)?))?;
    }
    for link in directory.symlinks {
        let is_inside = is_non_upwards(&link.target);
        add(link.name.clone(), Node::Link(link.target.clone()))?;
        if !is_inside {
            return Err(TreeFault::Outwards { path: link.name, target: link.target });
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use taut_proto::{DirectoryNode, FileNode, SymlinkNode};

    use super::*;
    use crate::shared::standard::to_wire;

    fn file(name: &str) -> FileNode {
        FileNode {
            name: name.to_owned(),
            digest: Some(to_wire(&digest_of(b"content"))),
            is_executable: false,
        }
    }

    fn link(name: &str, target: &str) -> SymlinkNode {
        SymlinkNode { name: name.to_owned(), target: target.to_owned() }
    }

    fn below(name: &str, directory: &Directory) -> DirectoryNode {
        let digest = digest_of(&directory.encode_to_vec());
        DirectoryNode { name: name.to_owned(), digest: Some(to_wire(&digest)) }
    }

    fn parse(root: &Directory, children: &[&Directory]) -> Result<ReceivedTree, TreeFault> {
        let children = children.iter().map(|child| child.encode_to_vec()).collect();
        ReceivedTree::parse(&TreeBytes { root: root.encode_to_vec(), children }.encode_to_vec())
    }

    #[test]
    fn a_tree_has_each_directory_once_and_after_those_in_it() {
        let leaf = Directory { files: vec![file("a")], ..Directory::default() };
        let middle =
            Directory { directories: vec![below("x", &leaf), below("y", &leaf)], ..Directory::default() };
        let root = Directory {
            directories: vec![below("l", &leaf), below("m", &middle)],
            symlinks: vec![link("s", "l/a")],
            ..Directory::default()
        };
        let tree = parse(&root, &[&middle, &leaf]).unwrap();
        let all: Vec<Vec<&str>> = (tree.directories.iter())
            .map(|(_, entries)| entries.keys().map(String::as_str).collect())
            .collect();
        assert_eq!(all, [vec!["a"], vec!["x", "y"], vec!["l", "m", "s"]]);
        assert_eq!(tree.files().count(), 1);
        assert_eq!(parse(&Directory::default(), &[]).unwrap().directories.len(), 1);
    }

    #[test]
    fn what_no_action_may_produce_is_refused() {
        for name in ["", ".", "..", "a/b", "/", "a\0"] {
            assert!(
                parse(&Directory { files: vec![file(name)], ..Directory::default() }, &[]).is_err(),
                "{name:?}"
            );
        }
        for target in ["/etc/passwd", "../out", "a/../../out"] {
            let root = Directory { symlinks: vec![link("a", target)], ..Directory::default() };
            assert!(parse(&root, &[]).is_err(), "{target}");
        }
        let twice =
            Directory { files: vec![file("a")], symlinks: vec![link("a", "b")], ..Directory::default() };
        assert!(parse(&twice, &[]).is_err());
        let absent = Directory { directories: vec![below("d", &twice)], ..Directory::default() };
        assert!(parse(&absent, &[]).is_err());
        let none = FileNode { digest: None, ..file("a") };
        assert!(parse(&Directory { files: vec![none], ..Directory::default() }, &[]).is_err());
        assert!(ReceivedTree::parse(b"\xff").is_err());
    }

    #[test]
    fn a_link_that_leads_outwards_is_named_with_its_path() {
        let leaf = Directory { symlinks: vec![link("l", "../../x")], ..Directory::default() };
        let middle = Directory { directories: vec![below("b", &leaf)], ..Directory::default() };
        let root = Directory { directories: vec![below("a", &middle)], ..Directory::default() };
        let fault = parse(&root, &[&leaf, &middle]).unwrap_err();
        assert_eq!(fault.at("p"), "found invalid symlink at p/a/b/l: it leads outwards, to ../../x");
        assert_eq!(parse(&root, &[&middle]).unwrap_err(), TreeFault::Malformed);
    }

    #[test]
    fn paths_are_not_longer_than_those_of_local_outputs() {
        let chain = |depth: usize| {
            let mut all = vec![Directory { files: vec![file("f")], ..Directory::default() }];
            for _ in 0..depth {
                let last = all.last().unwrap();
                all.push(Directory { directories: vec![below("d", last)], ..Directory::default() });
            }
            let (root, children) = all.split_last().unwrap();
            parse(root, &children.iter().collect::<Vec<_>>()).is_ok()
        };
        assert!(chain(2040));
        assert!(!chain(2060));
        assert!(!chain(20_000));
    }
}
