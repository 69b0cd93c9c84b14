//! What becomes of links in the trees of repositories: the field `special` of a repository description.
//!
//! The results are those of just-mr 1.6.5 (`tests/special.txt`). Paths of links are taken by their text, so `x/../f` is
//! `f` whatever `x` is. A link that leads upwards is one whose target then begins with `..`, even if it leads back into
//! the directory of the link. What replaces a link is itself resolved in the same way; if that is a link that stays, it
//! is copied as it is.

use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};
use taut_digest::{Hash, ObjectType, parse_git_tree};

use crate::{Batch, Error, Kind, LinkFault, ObjectSink, Repository, Result, encode::encode_tree};

/// How links of a tree are treated.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Special {
    /// Symbolic links and submodules are dropped.
    Ignore,
    /// Links that lead upwards are replaced by what they lead to; others stay.
    ResolvePartially,
    /// All links are replaced by what they lead to.
    ResolveCompletely,
}

impl Batch<'_> {
    /// A tree of the repository with its links treated in a way. Only trees are written: the blobs are there already.
    ///
    /// # Errors
    /// The tree is not complete, or a link cannot be replaced ([`Error::Link`]).
    pub fn transform(&mut self, tree: &Hash, special: Special) -> Result<Hash> {
        let repository = self.writer().repository();
        let mut trees = Trees { repository, parsed: FxHashMap::default() };
        let with_links = trees.with_links(tree)?;
        // The usual case: nothing is written, and the id is the one that was there before.
        if !with_links.contains(tree) {
            return Ok(*tree);
        }
        match special {
            Special::Ignore => without_links(&mut trees, &with_links, tree, self),
            Special::ResolvePartially | Special::ResolveCompletely => {
                let is_complete = special == Special::ResolveCompletely;
                let resolved = FxHashMap::default();
                Resolver { trees, with_links, root: *tree, is_complete, sink: self, resolved }.run()
            }
        }
    }
}

/// An entry of a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    name: Vec<u8>,
    hash: Hash,
    /// `None` for a submodule.
    object_type: Option<ObjectType>,
}

/// The trees of a repository and those that were made of them, each parsed once.
struct Trees<'r> {
    repository: &'r Repository,
    parsed: FxHashMap<Hash, Rc<[Entry]>>,
}

impl Trees<'_> {
    fn get(&mut self, tree: &Hash) -> Result<Rc<[Entry]>> {
        if let Some(entries) = self.parsed.get(tree) {
            return Ok(entries.clone());
        }
        let content = self.repository.require(tree, Kind::Tree)?;
        let entries = parse_git_tree(&content, 20).map_err(|error| self.repository.damaged(tree, error))?;
        let entries: Rc<[Entry]> = entries
            .into_iter()
            .map(|entry| Entry {
                name: entry.name.to_vec(),
                hash: entry.hash,
                object_type: entry.object_type,
            })
            .collect();
        self.parsed.insert(*tree, entries.clone());
        Ok(entries)
    }

    /// Writes a tree.
    fn make(&mut self, entries: Vec<Entry>, sink: &mut Batch<'_>) -> Result<Hash> {
        let parts = entries.iter().map(|entry| (entry.name.as_slice(), entry.hash, entry.object_type));
        let tree = sink.tree(&encode_tree(parts.collect()))?;
        self.parsed.entry(tree).or_insert_with(|| entries.into());
        Ok(tree)
    }

    /// The trees at or below a tree that have links or submodules at any depth.
    fn with_links(&mut self, root: &Hash) -> Result<FxHashSet<Hash>> {
        enum WalkStep {
            Enter(Hash),
            Leave(Hash),
        }
        let mut with_links = FxHashSet::default();
        // By id, not by path: a subtree that occurs at many places is looked at once.
        let mut seen = FxHashSet::default();
        let mut todo = vec![WalkStep::Enter(*root)];
        while let Some(step) = todo.pop() {
            match step {
                WalkStep::Enter(tree) => {
                    if !seen.insert(tree) {
                        continue;
                    }
                    // Below the entries on the stack, so all of them have been decided when it is reached.
                    todo.push(WalkStep::Leave(tree));
                    let below = self.get(&tree)?;
                    let below = below.iter().filter(|entry| entry.object_type == Some(ObjectType::Tree));
                    todo.extend(below.map(|entry| WalkStep::Enter(entry.hash)));
                }
                WalkStep::Leave(tree) => {
                    let has_links = self.get(&tree)?.iter().any(|entry| match entry.object_type {
                        None | Some(ObjectType::Symlink) => true,
                        Some(ObjectType::Tree) => with_links.contains(&entry.hash),
                        Some(_) => false,
                    });
                    if has_links {
                        with_links.insert(tree);
                    }
                }
            }
        }
        Ok(with_links)
    }
}

/// A tree without links and submodules. Directories that become empty stay.
fn without_links(
    trees: &mut Trees<'_>,
    with_links: &FxHashSet<Hash>,
    root: &Hash,
    sink: &mut Batch<'_>,
) -> Result<Hash> {
    let mut done: FxHashMap<Hash, Hash> = FxHashMap::default();
    let mut todo = vec![*root];
    // A tree stays on the stack until all below it are done; by id, since the result does not depend on the place.
    while let Some(tree) = todo.last().copied() {
        let entries = trees.get(&tree)?;
        // The set has only trees, so blobs and submodules are never pushed.
        let is_to_do = |entry: &&Entry| with_links.contains(&entry.hash) && !done.contains_key(&entry.hash);
        let before = todo.len();
        todo.extend(entries.iter().filter(is_to_do).map(|entry| entry.hash));
        if todo.len() > before {
            continue;
        }
        todo.pop();
        let kept =
            entries.iter().filter(|entry| !matches!(entry.object_type, None | Some(ObjectType::Symlink)));
        let kept = kept.map(|entry| Entry {
            hash: done.get(&entry.hash).copied().unwrap_or(entry.hash),
            ..entry.clone()
        });
        let made = trees.make(kept.collect(), sink)?;
        done.insert(tree, made);
    }
    Ok(done[root])
}

/// Replaces links. What a link leads to may have links itself, and a path may lead through links: all of that is a
/// stack of frames, not recursion, since descriptions and archives of others decide its depth.
struct Resolver<'r, 'b, 'w> {
    trees: Trees<'r>,
    with_links: FxHashSet<Hash>,
    root: Hash,
    is_complete: bool,
    sink: &'b mut Batch<'w>,
    /// By path; `None` while it is being resolved. Not by tree: the same tree at another place has other targets.
    resolved: FxHashMap<Path, Option<Object>>,
}

/// Components from the root.
type Path = Vec<Vec<u8>>;

/// What is at a path.
type Object = (Hash, Option<ObjectType>);

/// What waits for the object of the frame above it.
enum Frame {
    /// A directory, whose entries are resolved one by one.
    Directory { path: Path, todo: Rc<[Entry]>, done: Vec<Entry> },
    /// A link: the object is what it leads to.
    Link { path: Path },
    /// A path that leads through a link: the object is the directory, in which the name is looked up.
    Inside { path: Path },
}

impl Frame {
    fn path(&self) -> &Path {
        let (Frame::Directory { path, .. } | Frame::Link { path } | Frame::Inside { path }) = self;
        path
    }
}

impl Resolver<'_, '_, '_> {
    fn run(&mut self) -> Result<Hash> {
        let mut stack = Vec::new();
        let mut found = self.resolve(Vec::new(), &mut stack)?;
        loop {
            let Some(frame) = stack.pop() else {
                return Ok(found.expect("without frames there is an object").0);
            };
            let path = frame.path().clone();
            let object = match frame {
                Frame::Link { .. } => found.expect("a frame above yields an object"),
                Frame::Inside { .. } => {
                    let name = path.last().expect("it is inside of something");
                    let object = found.expect("a frame above yields an object");
                    match self.inside(object, name)? {
                        Some(object) => object,
                        None => return Err(self.dangling(&stack)?),
                    }
                }
                Frame::Directory { todo, mut done, .. } => {
                    if let Some((hash, object_type)) = found.take() {
                        let name = todo[done.len()].name.clone();
                        done.push(Entry { name, hash, object_type });
                    }
                    if done.len() < todo.len() {
                        let below = [path.clone(), vec![todo[done.len()].name.clone()]].concat();
                        stack.push(Frame::Directory { path, todo, done });
                        found = self.resolve(below, &mut stack)?;
                        continue;
                    }
                    (self.trees.make(done, self.sink)?, Some(ObjectType::Tree))
                }
            };
            self.resolved.insert(path, Some(object));
            found = Some(object);
        }
    }

    /// The object at a path, if it is known or stays as it is; else what has to be done for it is pushed, with a
    /// directory on top.
    fn resolve(&mut self, mut path: Path, stack: &mut Vec<Frame>) -> Result<Option<Object>> {
        loop {
            match self.resolved.get(&path) {
                Some(Some(object)) => return Ok(Some(*object)),
                // It is being resolved in a frame below: the link leads to itself or to a directory around it, which
                // would be infinite.
                Some(None) => return Err(self.fault(stack, LinkFault::Cycle(cycle(stack, &path)))),
                None => {}
            }
            let (frame, next) = match self.lookup(&path)? {
                // Trees without links below are taken over as they are, without being read.
                Lookup::Found((hash, Some(ObjectType::Tree))) if self.with_links.contains(&hash) => {
                    let todo = self.trees.get(&hash)?;
                    self.resolved.insert(path.clone(), None);
                    stack.push(Frame::Directory { path, todo, done: Vec::new() });
                    return Ok(None);
                }
                Lookup::Found((hash, Some(ObjectType::Symlink))) => {
                    let target = self.trees.repository.require(&hash, Kind::Blob)?;
                    let Some((to, is_upwards)) = followed(&path, &target) else {
                        let fault = LinkFault::Outside(text(&target));
                        return Err(self.fault(&[Frame::Link { path }], fault));
                    };
                    if !is_upwards && !self.is_complete {
                        return Ok(Some((hash, Some(ObjectType::Symlink))));
                    }
                    (Frame::Link { path: path.clone() }, to)
                }
                Lookup::Found(object) => return Ok(Some(object)),
                Lookup::Through => {
                    // One component less each time, down to the link itself.
                    let above = path[..path.len() - 1].to_vec();
                    (Frame::Inside { path: path.clone() }, above)
                }
                Lookup::Nothing => return Err(self.dangling(stack)?),
            };
            self.resolved.insert(path, None);
            stack.push(frame);
            path = next;
        }
    }

    /// What the tree has at a path, before links are replaced.
    fn lookup(&mut self, path: &Path) -> Result<Lookup> {
        let mut object = (self.root, Some(ObjectType::Tree));
        for name in path {
            match object.1 {
                Some(ObjectType::Tree) => {}
                Some(ObjectType::Symlink) => return Ok(Lookup::Through),
                _ => return Ok(Lookup::Nothing),
            }
            match self.inside(object, name)? {
                Some(found) => object = found,
                None => return Ok(Lookup::Nothing),
            }
        }
        Ok(Lookup::Found(object))
    }

    /// What a directory has under a name; `None` also if it is not a directory.
    fn inside(&mut self, (hash, object_type): Object, name: &[u8]) -> Result<Option<Object>> {
        if object_type != Some(ObjectType::Tree) {
            return Ok(None);
        }
        let entries = self.trees.get(&hash)?;
        let entry = entries.iter().find(|entry| entry.name == name);
        Ok(entry.map(|entry| (entry.hash, entry.object_type)))
    }

    /// An error about the link that is being followed: the last one of the frames.
    fn fault(&self, stack: &[Frame], fault: LinkFault) -> Error {
        let link = stack.iter().rev().find(|frame| matches!(frame, Frame::Link { .. }));
        let path = link.map_or_else(Vec::new, |link| link.path().join(&b'/'));
        Error::Link { tree: self.root, link: text(&path), fault }
    }

    /// The error that the link that is being followed leads to nothing.
    fn dangling(&mut self, stack: &[Frame]) -> Result<Error> {
        let link = stack.iter().rev().find(|frame| matches!(frame, Frame::Link { .. }));
        let target = match link {
            Some(link) => match self.lookup(link.path())? {
                Lookup::Found((hash, _)) => text(&self.trees.repository.require(&hash, Kind::Blob)?),
                Lookup::Through | Lookup::Nothing => String::new(),
            },
            None => String::new(),
        };
        Ok(self.fault(stack, LinkFault::Dangling(target)))
    }
}

enum Lookup {
    Found(Object),
    /// The path leads through a link.
    Through,
    Nothing,
}

/// The links that lead from what is being resolved at a path back to it.
fn cycle(stack: &[Frame], path: &Path) -> Vec<String> {
    let begin = stack.iter().position(|frame| frame.path() == path).unwrap_or_default();
    let links = stack[begin..].iter().filter(|frame| matches!(frame, Frame::Link { .. }));
    links.map(|link| text(&link.path().join(&b'/'))).collect()
}

/// Where a link at a path leads, by the text of its target, and whether that leads upwards; `None` if it leads out of
/// the tree.
fn followed(link: &Path, target: &[u8]) -> Option<(Path, bool)> {
    if target.first() == Some(&b'/') {
        return None;
    }
    let mut path = link[..link.len() - 1].to_vec();
    // How many components of the target itself are in the path.
    let mut own = 0_usize;
    let mut is_upwards = false;
    for component in target.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                path.pop()?;
                // `a/../..` leads upwards, `a/..` does not: only components of the target itself may be taken back.
                is_upwards |= own == 0;
                own = own.saturating_sub(1);
            }
            name => {
                path.push(name.to_vec());
                own += 1;
            }
        }
    }
    Some((path, is_upwards))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
