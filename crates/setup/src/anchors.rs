//! Locations: files that an rc file names relative to the workspace, the home directory or the system's root.

use std::path::{Path, PathBuf};

use taut_expr::{json_to_value, kind_of};
use taut_syntax::{Diagnostic, Node, quoted};
use taut_sys::{Named, canonical, normal};

use crate::{
    problem::{Problem, missing, place, text},
    reachable::Remark,
};

/// The directories that locations are relative to.
#[derive(Clone, Debug, Default)]
pub struct Anchors {
    /// The root of the workspace that the call is made in, if it is made in one.
    pub workspace: Option<PathBuf>,
    /// The user's home directory.
    pub home: PathBuf,
    /// The working directory.
    pub cwd: PathBuf,
    /// Whether nothing is remarked if a location is ignored since the call is made in no workspace.
    pub is_quiet: bool,
}

/// A location: a path, and what relative paths in the file at that path are relative to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnchoredPath {
    /// The file or directory.
    pub path: PathBuf,
    /// What relative paths in it are relative to.
    pub base: PathBuf,
}

impl Anchors {
    /// The place of a path below a directory.
    fn place(&self, root: &Path, path: &str, base: &str) -> AnchoredPath {
        // As the reference does: paths appear in the configuration, whose bytes have to be the same from everywhere.
        AnchoredPath { path: weakly_canonical(&root.join(path)), base: weakly_canonical(&root.join(base)) }
    }

    /// Reads a location object: `root`, `path` and, if it is not `.`, `base`. `None` for one in the workspace of a call
    /// that is made in none, which is a remark.
    ///
    /// # Errors
    /// It has another form.
    pub(crate) fn read(
        &self,
        node: Node<'_>,
        remarks: &mut Vec<Remark>,
    ) -> Result<Option<AnchoredPath>, Problem> {
        let field = |key: &str| node.get(key).and_then(Node::as_str);
        // A value that is not a string counts as a missing one, since the reference has one message for both.
        let (Some(root), Some(path)) = (field("root"), field("path")) else {
            let lacking = if field("root").is_none() { "root" } else { "path" };
            let problem = Diagnostic::error("a location has a \"root\" and a \"path\"")
                .reference(format!("Malformed location object: {}", text(node)));
            return Err(missing(problem, node, lacking)
                .help("{\"root\": \"workspace\", \"path\": \"directory/file\"}")
                .into());
        };
        let base = match node.get("base") {
            None => ".",
            Some(base) => match base.as_str() {
                Some(base) => base,
                None => return Err(not_string(base)),
            },
        };
        let directory = match root {
            "workspace" => match &self.workspace {
                Some(workspace) => workspace,
                None => {
                    self.note_outside(&text(node), remarks);
                    return Ok(None);
                }
            },
            "home" => &self.home,
            "system" => Path::new("/"),
            // As in the reference, another word is the working directory.
            _ => &self.cwd,
        };
        Ok(Some(self.place(directory, path, base)))
    }

    /// Notes that a location in the workspace is ignored.
    fn note_outside(&self, location: &str, remarks: &mut Vec<Remark>) {
        if !self.is_quiet {
            let text = format!("Not in workspace root, ignoring location {location}.");
            let finding = Diagnostic::warning(text);
            remarks.push(Remark { finding, is_detail: false });
        }
    }

    /// Where a description of repositories is looked for, if no rc file says so.
    pub(crate) fn usual(&self, remarks: &mut Vec<Remark>) -> Vec<AnchoredPath> {
        let mut places = Vec::new();
        // The order of just-mrrc(5): the workspace, then the user, then the system.
        for path in ["repos.json", "etc/repos.json"] {
            match &self.workspace {
                Some(workspace) => places.push(self.place(workspace, path, ".")),
                None => {
                    let location = format!("{{\"path\":{},\"root\":\"workspace\"}}", quoted(path));
                    self.note_outside(&location, remarks);
                }
            }
        }
        places.push(self.place(&self.home, ".just-repos.json", "."));
        places.push(self.place(Path::new("/"), "etc/just-repos.json", "."));
        places
    }
}

fn not_string(node: Node<'_>) -> Problem {
    let kind = kind_of(&json_to_value(node));
    Diagnostic::error(format!("the base of a location is a path, not {kind}")).at(place(node)).into()
}

/// A path without links as far as it exists, and without `.` and `..`.
// The name and the behaviour are those of C++'s `std::filesystem::weakly_canonical`, which the reference uses.
pub fn weakly_canonical(path: &Path) -> PathBuf {
    let path = normal_absolute(path);
    // The longest part that exists; the rest has no links, since nothing is there.
    // From the whole path upwards, so that the first part that exists is the longest.
    for above in path.ancestors() {
        if let Ok(real) = canonical(above) {
            let below = path.strip_prefix(above).unwrap_or(Path::new(""));
            return match below.as_os_str().is_empty() {
                true => real,
                false => real.join(below),
            };
        }
    }
    path
}

/// As [`weakly_canonical`], but a relative path of which nothing exists stays one. The reference treats the paths of
/// its command line like this, and shows them so.
pub fn canonical_if_begun(path: &Path) -> PathBuf {
    let begins = path.components().next().is_some_and(|first| canonical(first.as_os_str().as_ref()).is_ok());
    match begins {
        true => weakly_canonical(path),
        false => normal(path),
    }
}

/// An absolute path, `..` removed by the text alone behind what exists: before that, `..` is that of the directory a
/// link leads to.
fn normal_absolute(path: &Path) -> PathBuf {
    // It fails only for an empty path, or without a working directory; then the path is used as it was given.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // Without `..` the text is the path, and no look at the file system is needed.
    let has_upwards = path.components().any(|part| part == std::path::Component::ParentDir);
    if !has_upwards {
        return path;
    }
    let mut done = PathBuf::from("/");
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                done = canonical(&done).unwrap_or(done);
                done.pop();
            }
            part => done.push(part),
        }
    }
    normal(&done)
}

/// Whether a path leads to a file.
pub(crate) fn is_file(path: &Path) -> bool {
    Named::stat(path).is_ok_and(|stat| stat.is_file())
}

/// Whether a path leads to a directory.
pub(crate) fn is_directory(path: &Path) -> bool {
    Named::stat(path).is_ok_and(|stat| stat.is_dir())
}
