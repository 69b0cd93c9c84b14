//! The repository that a directory is part of, and its commit `HEAD`, read without opening an object.

use std::path::{Path, PathBuf};

use taut_digest::Hash;
use taut_sys::{Named, if_exists};

use crate::{
    Error, Result,
    locate::{Directories, directories},
};

/// How many symbolic references may lead to each other; git follows as many.
const MAX_SYMBOLIC_REFS: usize = 5;

/// Where a directory belongs.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Enclosing {
    /// The top directory of the repository that it is part of: the nearest one upwards that is a worktree, or a bare
    /// repository. `None` outside of any repository.
    pub top: Option<PathBuf>,
    /// What looks like a repository on the way there but is incomplete, with what is missing: git passes over it, too.
    pub passed_over: Vec<Error>,
}

/// The repository that a directory is part of.
///
/// # Errors
/// A file `.git` in a directory upwards is malformed. As in git, a file that refers to a directory which is not a
/// repository, or no longer one, is ignored.
pub fn enclosing(directory: &Path) -> Result<Enclosing> {
    let mut found = Enclosing::default();
    for above in directory.ancestors() {
        let is_there = |name: &str| Named::lstat(&above.join(name)).is_ok();
        let is_bare = || is_there("HEAD") && is_there("objects") && is_there("refs");
        if !is_there(".git") && !is_bare() {
            continue;
        }
        check_form(&above.join(".git"))?;
        match directories(above).and_then(|directories| has_references(above, &directories)) {
            Ok(()) => {
                found.top = Some(above.to_owned());
                return Ok(found);
            }
            Err(error) => found.passed_over.push(error),
        }
    }
    Ok(found)
}

/// A file `.git` has the form of a reference to another directory.
fn check_form(dot_git: &Path) -> Result<()> {
    match Named::read(dot_git) {
        Ok(content) if !content.trim_ascii_end().starts_with(b"gitdir:") => {
            Err(Error::Malformed { path: dot_git.to_owned() })
        }
        // A directory, nothing, or what cannot be read.
        _ => Ok(()),
    }
}

/// That a git directory has references, without which git does not take it for a repository; its objects could be read
/// all the same.
fn has_references(path: &Path, directories: &Directories) -> Result<()> {
    let refs = directories.common.join("refs");
    match Named::stat(&refs).is_ok_and(|stat| stat.is_dir()) {
        true => Ok(()),
        false => Err(Error::NoRepository {
            path: path.to_owned(),
            why: format!("{} is not a directory", refs.display()),
        }),
    }
}

/// What `HEAD` of a repository leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Head {
    /// A commit.
    Commit(Hash),
    /// This reference, which has no commit yet.
    Unborn(String),
}

/// What `HEAD` of the repository at a path leads to.
///
/// # Errors
/// There is no repository, or its references cannot be read.
pub fn head(path: &Path) -> Result<Head> {
    let directories = directories(path)?;
    let unreadable = |why: String| Error::NoRepository { path: path.to_owned(), why };
    let mut name = "HEAD".to_owned();
    // The bound also ends cycles of references, which a damaged repository may have.
    for _ in 0..=MAX_SYMBOLIC_REFS {
        let Some(content) = reference(&directories, &name).map_err(unreadable)? else {
            return Ok(Head::Unborn(name));
        };
        match content.strip_prefix("ref:") {
            Some(target) => name = target.trim().to_owned(),
            None => {
                let id = Hash::from_hex(content.trim()).ok().filter(|id| id.as_bytes().len() == 20);
                return id
                    .map(Head::Commit)
                    .ok_or_else(|| unreadable(format!("its reference {name} is damaged")));
            }
        }
    }
    Err(unreadable("its HEAD leads to too many other references".to_owned()))
}

/// The content of a reference: an id, or `ref: ` and the name of another one.
fn reference(directories: &Directories, name: &str) -> std::result::Result<Option<String>, String> {
    // The name comes from a file: with `..` it could lead to a file outside of the repository.
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    if !name.split('/').all(is_plain) {
        return Err(format!("{name} is not the name of a reference"));
    }
    // A linked worktree has its own HEAD, and the branches of the main one.
    for directory in [&directories.git, &directories.common] {
        let content = match if_exists(Named::read(&directory.join(name))) {
            Err(error) if error.is_absent() => None,
            other => other.map_err(|error| error.to_string())?,
        };
        if let Some(content) = content {
            return Ok(Some(String::from_utf8_lossy(&content).into_owned()));
        }
    }
    // Last, as in git: a loose reference overrides the packed one, which may be older.
    let packed = if_exists(Named::read(&directories.common.join("packed-refs")));
    let packed = packed.map_err(|error| error.to_string())?.unwrap_or_default();
    let packed = String::from_utf8_lossy(&packed);
    // Lines that begin with `#` or `^` never have the name of a reference behind their first blank.
    let found = packed.lines().filter_map(|line| line.split_once(' ')).find(|(_, of)| *of == name);
    Ok(found.map(|(id, _)| id.to_owned()))
}
