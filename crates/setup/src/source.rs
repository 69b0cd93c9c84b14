//! What a repository is made from: the types of `just-mr-repository-config(5)`, read and checked.

use std::{collections::BTreeMap, path::PathBuf};

use taut_digest::Hash;
use taut_syntax::{Location, Node, quoted_list};
use taut_value::{Encoder, Map};

use crate::problem::place;

/// What a repository is made from.
#[derive(Clone, Debug)]
// One variant for each type of the manual page, with all of its fields read, so that what uses a source reads
// no JSON.
pub enum Source {
    /// A directory here.
    File(Directory),
    /// A directory of a commit.
    Git(Commit),
    /// A tree that a command makes.
    GitTree(MadeTree),
    /// A directory of an archive.
    Archive(Archive),
    /// A file.
    ForeignFile(ForeignFile),
    /// The archives of other repositories.
    Distdir(Distdir),
    /// The artifacts of a target.
    Computed(Computed),
    /// The names of the files of another repository.
    TreeStructure(TreeStructure),
}

/// What a repository is made from, with the place where that is written.
#[derive(Clone, Debug)]
pub struct SourceOf<'d> {
    /// What it is made from.
    pub source: Source,
    /// The object that says so.
    pub node: Node<'d>,
}

impl SourceOf<'_> {
    /// The place of the object that says what the repository is made from.
    pub fn place(&self) -> Location {
        place(self.node)
    }

    /// The place of one of its fields; that of the object if it does not have the field.
    pub fn field(&self, key: &str) -> Location {
        place(self.node.get(key).unwrap_or(self.node))
    }
}

/// What is done with the entries of a root that are neither files nor directories.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Special {
    /// They are left out.
    Ignore,
    /// Links that lead upwards within the root are replaced by what they lead to.
    ResolvePartially,
    /// All links within the root are replaced by what they lead to.
    ResolveCompletely,
}

impl Special {
    /// All of them.
    pub(crate) const ALL: [Special; 3] =
        [Special::Ignore, Special::ResolvePartially, Special::ResolveCompletely];

    /// The word for it in descriptions, and for the directory of the map of resolved trees.
    pub fn word(self) -> &'static str {
        match self {
            Special::Ignore => "ignore",
            Special::ResolvePartially => "resolve-partially",
            Special::ResolveCompletely => "resolve-completely",
        }
    }

    /// What a word means; the reference ignores other words.
    pub fn of_word(word: &str) -> Option<Special> {
        Special::ALL.into_iter().find(|special| special.word() == word)
    }
}

/// A directory here.
#[derive(Clone, Debug)]
pub struct Directory {
    /// Its absolute path, without `.` and `..`.
    pub path: PathBuf,
    /// What is done with special entries.
    pub special: Option<Special>,
    /// Whether the root is a git tree of what is in the directory now.
    pub to_git: bool,
    /// Whether only the id of the tree is needed. Without `to_git` it means nothing.
    pub absent: bool,
}

/// A directory within contents.
#[derive(Clone, Debug)]
pub struct Subdir {
    /// Its path in normal form, `.` for all.
    pub path: String,
    /// The path in the reference's messages.
    pub reference: String,
}

/// A directory of a commit.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The URL, as it is written.
    pub repository: String,
    /// The id of the commit.
    pub commit: Hash,
    /// The branch that has it.
    pub branch: String,
    /// Other URLs.
    pub mirrors: Vec<String>,
    /// The directory.
    pub subdir: Subdir,
    /// Variables of the environment that git needs.
    pub inherit_env: Vec<String>,
    /// Whether special entries are ignored.
    pub ignore_special: bool,
    /// Whether only the id of the tree is needed.
    pub absent: bool,
}

/// A tree that a command makes.
#[derive(Clone, Debug)]
pub struct MadeTree {
    /// The id of the tree.
    pub id: Hash,
    /// The command.
    pub command: Vec<String>,
    /// Variables of its environment.
    pub env: BTreeMap<String, String>,
    /// Variables that it has from the environment of the call.
    pub inherit_env: Vec<String>,
    /// Whether special entries are ignored.
    pub ignore_special: bool,
    /// Whether only the id of the tree is needed.
    pub absent: bool,
}

impl MadeTree {
    /// The command in one line, as it is written.
    pub(crate) fn shown_command(&self) -> String {
        quoted_list(&self.command).to_string()
    }
}

/// A file by its content, and where it is fetched from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content {
    /// The git blob id of the content.
    pub id: Hash,
    /// The URL.
    pub fetch: String,
    /// Other URLs.
    pub mirrors: Vec<String>,
    /// Its name in directories of archives.
    pub distfile: String,
    /// The SHA-256 that a download must have, in hexadecimal digits.
    pub sha256: Option<String>,
    /// The SHA-512 that a download must have, in hexadecimal digits.
    pub sha512: Option<String>,
}

// Apart from each other since equal bytes may be read in two ways, with two trees.
/// The kind of an archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArchiveKind {
    /// `archive`: tar, compressed or not.
    Tar,
    /// `zip`: zip or 7z.
    Zip,
}

impl ArchiveKind {
    /// The type of a repository, and the name of the map of its trees.
    pub fn word(self) -> &'static str {
        match self {
            ArchiveKind::Tar => "archive",
            ArchiveKind::Zip => "zip",
        }
    }
}

/// A directory of an archive.
#[derive(Clone, Debug)]
pub struct Archive {
    /// The archive.
    pub content: Content,
    /// Its kind.
    pub kind: ArchiveKind,
    /// The directory.
    pub subdir: Subdir,
    /// What is done with special entries.
    pub special: Option<Special>,
    /// Whether only the id of the tree is needed.
    pub absent: bool,
}

/// A file under a name.
#[derive(Clone, Debug)]
pub struct ForeignFile {
    /// The file.
    pub content: Content,
    /// Its name in the root.
    pub name: String,
    /// Whether it is executable there.
    pub executable: bool,
    /// Whether only the id of the tree is needed.
    pub absent: bool,
}

/// The archives of other repositories.
#[derive(Clone, Debug)]
pub struct Distdir {
    /// By their names in the root.
    pub files: BTreeMap<String, Distfile>,
    /// Whether only the id of the tree is needed.
    pub absent: bool,
}

/// The archive of a repository, as a file of a distdir.
#[derive(Clone, Debug)]
pub struct Distfile {
    /// Its place in the list.
    pub number: usize,
    /// The repository.
    pub repository: String,
    /// What the archive is.
    pub content: Content,
    /// The place of the repository's source.
    pub place: Location,
    /// The place of its URL.
    pub url: Location,
}

/// The artifacts of a target.
#[derive(Clone, Debug)]
pub struct Computed {
    /// The repository of the target.
    pub repository: String,
    /// Its module.
    pub module: String,
    /// Its name.
    pub name: String,
    /// Its configuration.
    pub config: Map,
    /// Whether only the id of the tree is needed.
    pub absent: bool,
}

/// The names of the files of another repository.
#[derive(Clone, Debug)]
pub struct TreeStructure {
    /// The repository.
    pub repository: String,
    /// Whether only the id of the tree is needed.
    pub absent: bool,
}

impl Source {
    /// The type, as it is written.
    pub fn type_name(&self) -> &'static str {
        match self {
            Source::File(_) => "file",
            Source::Git(_) => "git",
            Source::GitTree(_) => "git tree",
            Source::Archive(archive) => archive.kind.word(),
            Source::ForeignFile(_) => "foreign file",
            Source::Distdir(_) => "distdir",
            Source::Computed(_) => "computed",
            Source::TreeStructure(_) => "tree structure",
        }
    }

    /// The repository whose target or root this is made from, which is to be set up, too.
    pub fn referenced(&self) -> Option<&str> {
        match self {
            Source::Computed(computed) => Some(&computed.repository),
            Source::TreeStructure(structure) => Some(&structure.repository),
            _ => None,
        }
    }

    /// Whether only the id of the tree is needed.
    pub fn is_absent(&self) -> bool {
        match self {
            // A directory that is used as it is has no id, so no other source can name it.
            Source::File(Directory { absent, to_git, .. }) => *absent && *to_git,
            Source::Git(Commit { absent, .. })
            | Source::GitTree(MadeTree { absent, .. })
            | Source::Archive(Archive { absent, .. })
            | Source::ForeignFile(ForeignFile { absent, .. })
            | Source::Distdir(Distdir { absent, .. })
            | Source::Computed(Computed { absent, .. })
            | Source::TreeStructure(TreeStructure { absent, .. }) => *absent,
        }
    }

    pub(crate) fn set_absent(&mut self, is_absent: bool) {
        match self {
            Source::File(Directory { absent, .. })
            | Source::Git(Commit { absent, .. })
            | Source::GitTree(MadeTree { absent, .. })
            | Source::Archive(Archive { absent, .. })
            | Source::ForeignFile(ForeignFile { absent, .. })
            | Source::Distdir(Distdir { absent, .. })
            | Source::Computed(Computed { absent, .. })
            | Source::TreeStructure(TreeStructure { absent, .. }) => *absent = is_absent,
        }
    }

    /// What identifies the tree of the root, if its content is fixed by the description: equal bytes are equal trees.
    /// URLs, checksums and commands are not part of it. In the encoding of [`Encoder`]: the type; for git the commit
    /// and the directory; for a tree its id; for an archive its id, the directory, the word for special entries; for a
    /// file its id, name, and whether it is executable; for a distdir the number of files, and of each the name and the
    /// id.
    pub fn identity(&self) -> Option<Vec<u8>> {
        let mut e = Encoder::new();
        // The type first: what follows has another meaning for each.
        e.bytes(self.type_name().as_bytes());
        match self {
            // A directory may change at any time, and the others depend on what other repositories come to.
            Source::File(_) | Source::Computed(_) | Source::TreeStructure(_) => return None,
            Source::Git(git) => {
                e.bytes(git.commit.as_bytes());
                e.bytes(git.subdir.path.as_bytes());
            }
            // Whether special entries are ignored is not part of the tree, but of how the root reads it.
            Source::GitTree(tree) => e.bytes(tree.id.as_bytes()),
            Source::Archive(archive) => {
                // Not the kind by itself: the type is at the beginning of the encoding.
                e.bytes(archive.content.id.as_bytes());
                e.bytes(archive.subdir.path.as_bytes());
                e.bytes(archive.special.map_or("", Special::word).as_bytes());
            }
            Source::ForeignFile(file) => {
                e.bytes(file.content.id.as_bytes());
                e.bytes(file.name.as_bytes());
                e.bool(file.executable);
            }
            Source::Distdir(distdir) => {
                // The count makes the encoding of a list unambiguous.
                e.number(distdir.files.len() as u64);
                for (name, file) in &distdir.files {
                    e.bytes(name.as_bytes());
                    e.bytes(file.content.id.as_bytes());
                }
            }
        }
        Some(e.finish())
    }
}
