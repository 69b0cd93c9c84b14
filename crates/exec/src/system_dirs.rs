//! Which files a depfile may name although they are not inputs: those of the system and of the tool chain.
//!
//! Compilers report the headers of the C library, their own ones, and those of installed libraries. An edit of one of
//! these is not noticed, as no tool of this kind notices it; so which directories that holds for is a list, and every
//! other file outside of the action is an error. The list has the directories that belong to the system's packages, and
//! what inputs of the action say, which rules make from the answers of compilers and of pkg-config.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use taut_sys::normal;

use crate::Sources;

/// How the names of inputs end that list such directories: absolute paths, one a line.
const LIST: &str = ".system-dirs";

/// Where packages of the system are installed.
const OF_PACKAGES: [&str; 7] = ["/usr", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"];

/// Where people have sources all the same.
const USER_SOURCE_DIRECTORIES: [&str; 3] = ["/usr/src", "/usr/local/src", "/usr/home"];

/// Files without a content that could change.
const DEVICES: [&str; 2] = ["/dev/null", "/dev/stdin"];

/// What to do about a file that is not among these.
pub(crate) const HELP: &str = "help: an edit of it would not be noticed. Make it an input of the action, or, if it belongs to the tool chain,\n\
     say so: rules of std/cc take its directory from the variable SYSTEM_DIRS, others from an input *.system-dirs";

/// Whether an input is such a list.
pub(crate) fn is_list(path: &str) -> bool {
    path.ends_with(LIST)
}

/// The directories.
pub(crate) struct SystemDirs<'a> {
    listed: Vec<PathBuf>,
    sources: &'a dyn Sources,
}

impl<'a> SystemDirs<'a> {
    /// `lists`: the contents of the inputs that are lists. Lines that are not absolute paths are ignored.
    pub(crate) fn new(lists: &[Vec<u8>], sources: &'a dyn Sources) -> SystemDirs<'a> {
        let lines = lists.iter().flat_map(|list| list.split(|byte| *byte == b'\n'));
        let named = lines.map(|line| Path::new(OsStr::from_bytes(line))).filter(|path| path.is_absolute());
        // By either name, since a list may be of another machine.
        let listed = named.flat_map(|path| [Some(normal(path)), sources.real_path(path)]).flatten().collect();
        SystemDirs { listed, sources }
    }

    /// The path of a file or directory of this machine without links; `None` if nothing is there.
    pub(crate) fn real_path(&self, path: &Path) -> Option<PathBuf> {
        self.sources.real_path(path)
    }

    /// Whether a file is in one of the directories; by its path without links.
    pub(crate) fn has(&self, path: &Path) -> bool {
        let is_below = |directories: &[&str]| directories.iter().any(|directory| path.starts_with(directory));
        // `starts_with` of `Path` compares whole components: `/usr2` is not below `/usr`.
        self.listed.iter().any(|directory| path.starts_with(directory))
            || DEVICES.iter().any(|device| path == Path::new(device))
            || (is_below(&OF_PACKAGES) && !is_below(&USER_SOURCE_DIRECTORIES) && !self.sources.has(path))
    }
}
