//! The object database of a repository, from a path that the user wrote.
//!
//! Layout: `gitrepository-layout(5)`, and `git-worktree(1)` for what a linked worktree has in place of a directory.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use taut_sys::{Named, if_exists};

use crate::{Error, Result};

/// The directories of a repository.
pub(crate) struct Directories {
    /// The git directory: of a linked worktree its own.
    pub(crate) git: PathBuf,
    /// The git directory of the main worktree, which has the objects and most references.
    pub(crate) common: PathBuf,
}

/// The directories of the repository at a path: a worktree, a `.git` directory or file, or a bare repository.
pub(crate) fn directories(path: &Path) -> Result<Directories> {
    let no_repository = |why: String| Error::NoRepository { path: path.to_owned(), why };
    let refused = |error: taut_sys::Error| no_repository(error.to_string());
    let kind = |path: &Path| if_exists(Named::stat(path)).map_err(refused);
    let there = kind(path)?.ok_or_else(|| no_repository("it does not exist".to_owned()))?;
    let dot_git = path.join(".git");
    // A file is what `.git` is in a linked worktree or a submodule; without `.git` the path itself may be bare.
    let git_directory = if there.is_file() {
        gitdir(path).map_err(no_repository)?
    } else {
        match kind(&dot_git)? {
            Some(stat) if stat.is_file() => gitdir(&dot_git).map_err(no_repository)?,
            Some(_) => dot_git,
            None => path.to_owned(),
        }
    };
    // A linked worktree has a git directory of its own, and shares the objects of the main one.
    let common = match if_exists(Named::read(&git_directory.join("commondir"))).map_err(refused)? {
        Some(content) => git_directory.join(written_path(&content)),
        None => git_directory.clone(),
    };
    // git, too, takes no directory without `HEAD` for a git directory.
    if kind(&git_directory.join("HEAD"))?.is_none() {
        return Err(no_repository(format!("{} has no HEAD", git_directory.display())));
    }
    let objects = common.join("objects");
    if !kind(&objects)?.is_some_and(|stat| stat.is_dir()) {
        return Err(no_repository(format!("{} is not a directory", objects.display())));
    }
    Ok(Directories { git: git_directory, common })
}

/// The directory with the objects of the repository at a path.
pub(crate) fn objects_directory(path: &Path) -> Result<PathBuf> {
    Ok(directories(path)?.common.join("objects"))
}

/// The git directory that a `.git` file leads to.
fn gitdir(file: &Path) -> std::result::Result<PathBuf, String> {
    let content = Named::read(file).map_err(|error| error.to_string())?;
    let target = content.strip_prefix(b"gitdir:").ok_or_else(|| {
        format!("the file {} does not lead to a git directory (\"gitdir: …\")", file.display())
    })?;
    // Relative paths are relative to the file; `join` takes an absolute one as it is.
    Ok(file.parent().unwrap_or(Path::new("")).join(written_path(target)))
}

/// A path that git wrote as a line.
fn written_path(content: &[u8]) -> PathBuf {
    std::ffi::OsStr::from_bytes(content.trim_ascii()).into()
}
