//! Entries of an archive as a tree: names, duplicates, links.

use taut_digest::{Hash, ObjectType, TreeEntry};
use taut_git::{Node, ObjectSink, PathFault, TreeBuilder};

use crate::{Error, Fault, Limits, Result, Unpacked, Warning, error::shown};

/// The tree of the entries so far.
pub(crate) struct Layout {
    tree: TreeBuilder,
    warnings: Vec<Warning>,
    max_depth: usize,
    /// As [`Limits::directories`].
    max_directories: u64,
    /// How many names were noted.
    names: u64,
}

impl Layout {
    /// No entries.
    pub(crate) fn new(limits: &Limits) -> Layout {
        Layout {
            tree: TreeBuilder::new(),
            warnings: Vec::new(),
            max_depth: limits.depth,
            max_directories: limits.directories,
            names: 0,
        }
    }

    /// A file or link with this content.
    pub(crate) fn object(&mut self, name: &[u8], hash: Hash, object_type: ObjectType) -> Result<()> {
        let path = self.components(name)?;
        // A name such as `.` or `./`: a directory may have it, a file would replace the whole tree.
        if path.is_empty() {
            return Err(Error::at(name, Fault::BadName));
        }
        let replaced = self.tree.put(&path, TreeEntry { hash, object_type });
        self.note(name, &path, replaced)
    }

    /// A directory. It replaces a link of its name: what follows is below the directory, not where the link leads to.
    pub(crate) fn directory(&mut self, name: &[u8]) -> Result<()> {
        let path = self.components(name)?;
        let replaced = self.tree.directory(&path);
        self.note(name, &path, replaced)
    }

    /// A hard link to an entry before.
    pub(crate) fn hard_link(&mut self, name: &[u8], target: &[u8]) -> Result<()> {
        let missing = || Error::at(name, Fault::HardLink(shown(target)));
        // The target is a name in the archive, not relative to the link, so it is looked up among the entries so far.
        let path = components(target, self.max_depth).map_err(|_| missing())?;
        let Some(Node::Object(there)) = self.tree.get(&path) else { return Err(missing()) };
        if path == self.components(name)? {
            // A link to itself changes nothing.
            return Ok(());
        }
        self.object(name, there.hash, there.object_type)
    }

    fn components<'n>(&self, name: &'n [u8]) -> Result<Vec<&'n [u8]>> {
        components(name, self.max_depth).map_err(|fault| Error::at(name, fault))
    }

    fn note(&mut self, name: &[u8], path: &[&[u8]], replaced: taut_git::Result<Option<Node>>) -> Result<()> {
        self.names += 1;
        let most = self.max_directories.max(4 * self.names);
        if self.tree.directory_count() as u64 > most {
            return Err(Error::at(name, Fault::TooMany(most)));
        }
        match replaced {
            Ok(None) => Ok(()),
            Ok(Some(_)) => {
                self.warnings.push(Warning::Duplicate { name: shown(&path.join(&b'/')) });
                Ok(())
            }
            // The message names the entry that is not a directory; the error has only the whole path.
            Err(taut_git::Error::Path { fault: PathFault::Below(_) | PathFault::BelowSubmodule, .. }) => {
                let above = (1..path.len()).find(|&length| {
                    matches!(self.tree.get(&path[..length]), Some(Node::Object(_) | Node::Submodule(_)))
                });
                let above = shown(&path[..above.unwrap_or(path.len())].join(&b'/'));
                Err(Error::at(name, Fault::Below(above)))
            }
            Err(taut_git::Error::Path { .. }) => Err(Error::at(name, Fault::BadName)),
            Err(error) => Err(Error::at(name, Fault::Store(error))),
        }
    }

    /// Writes the trees.
    pub(crate) fn finish(self, sink: &mut dyn ObjectSink) -> Result<Unpacked> {
        let tree = self.tree.write(sink).map_err(|error| Error::new(Fault::Store(error)))?;
        Ok(Unpacked { tree, warnings: self.warnings })
    }
}

/// The components of a name. `.` and empty components count for nothing.
fn components(name: &[u8], max_depth: usize) -> std::result::Result<Vec<&[u8]>, Fault> {
    if name.first() == Some(&b'/') {
        return Err(Fault::AbsoluteName);
    }
    let mut path = Vec::new();
    for component in name.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            // Even where it would lead back into the archive: tools differ in what they make of such names.
            b".." => return Err(Fault::Upwards),
            _ => path.push(component),
        }
    }
    if path.len() > max_depth { Err(Fault::TooDeep(max_depth)) } else { Ok(path) }
}
