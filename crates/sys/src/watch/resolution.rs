//! The resolution of a path: each directory above it and each link on the way, one component at a time.
//!
//! A watch of a directory reports nothing of the directory's own name: it can be moved away, removed and made again, or
//! reached by a link that is changed. All of that happens in the directories of the steps that are listed here.
#![allow(
    clippy::disallowed_methods,
    reason = "what a name leads to is what watching asks; nothing is read or changed"
)]

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{FileType, lstat, readlink},
    io::Errno,
};

use crate::in_words;

/// How many links are followed at most, as in the kernel.
// `MAXSYMLINKS` of the kernel (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// The steps to a directory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resolution {
    steps: Vec<ResolvedEntry>,
    missing: Option<Missing>,
}

/// An entry that was resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
struct ResolvedEntry {
    /// Where it is: a path without links.
    entry: PathBuf,
    /// Device and inode of what is there.
    // Compared when something changed: a directory that was replaced by another one of the same name is noticed.
    identity: Option<(u64, u64)>,
    /// The target, if it is a link.
    link: Option<OsString>,
}

/// Why a path leads nowhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missing {
    /// The first entry that does not lead on.
    pub entry: PathBuf,
    /// What is wrong with it, as the end of a sentence that begins with it.
    pub why: String,
}

impl Resolution {
    /// Resolves an absolute path to a directory.
    pub fn of(path: &Path) -> Resolution {
        let (mut resolution, mut links) = (Resolution::default(), 0);
        let mut here = PathBuf::from("/");
        // In place of recursion: a link puts the components of its target in front of the rest.
        let mut pending: VecDeque<OsString> = parts(path).collect();
        while let Some(part) = pending.pop_front() {
            if part == ".." {
                // This path contains no links, so `..` is the component before.
                here.pop();
                continue;
            }
            let entry = here.join(&part);
            let found = lstat(&entry);
            let kind = found.map(|found| FileType::from_raw_mode(found.st_mode));
            let is_link = kind == Ok(FileType::Symlink);
            let link = if is_link { Some(readlink(&entry, Vec::new())) } else { None };
            let (link, kind) = match link.transpose() {
                Ok(link) => (link.map(|link| OsString::from_vec(link.into_bytes())), kind),
                Err(errno) => (None, Err(errno)),
            };
            resolution.steps.push(ResolvedEntry {
                entry: entry.clone(),
                identity: found.ok().map(|found| (found.st_dev, found.st_ino)),
                link: link.clone(),
            });
            let why = match (kind, link) {
                (Ok(FileType::Directory), _) => {
                    here = entry;
                    continue;
                }
                (Ok(FileType::Symlink), Some(link)) if links < MAX_LINKS => {
                    links += 1;
                    if link.as_bytes().starts_with(b"/") {
                        here = PathBuf::from("/");
                    }
                    parts(Path::new(&link)).rev().for_each(|part| pending.push_front(part));
                    continue;
                }
                (Ok(FileType::Symlink), Some(_)) => "is reached by too many links".to_owned(),
                (Ok(_), _) => "is not a directory".to_owned(),
                (Err(Errno::NOENT), _) => "does not exist".to_owned(),
                (Err(errno), _) => format!("cannot be looked at ({})", in_words(&errno.into())),
            };
            resolution.missing = Some(Missing { entry, why });
            break;
        }
        resolution
    }

    /// The entries whose change alters where the path leads, each in a directory without links.
    pub fn entries(&self) -> impl Iterator<Item = &Path> {
        self.steps.iter().map(|step| step.entry.as_path())
    }

    /// Why there is no directory at the path.
    pub fn missing(&self) -> Option<&Missing> {
        self.missing.as_ref()
    }
}

fn parts(path: &Path) -> impl DoubleEndedIterator<Item = OsString> + '_ {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsStr::new("..").to_owned()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn each_directory_and_each_link_is_a_step_of_the_resolution() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("a/b")).unwrap();
        std::fs::create_dir(base.join("links")).unwrap();
        symlink("../a", base.join("links/second")).unwrap();
        symlink(base.join("links/second"), base.join("first")).unwrap();
        let resolution = Resolution::of(&base.join("first/b"));
        let below: Vec<&Path> =
            resolution.entries().filter_map(|entry| entry.strip_prefix(&base).ok()).collect();
        let expected = ["", "first", "", "links", "links/second", "a", "a/b"];
        assert_eq!(below, expected.map(Path::new), "{resolution:?}");
        assert_eq!(resolution.missing(), None);

        std::fs::remove_file(base.join("links/second")).unwrap();
        let broken = Resolution::of(&base.join("first/b"));
        assert_ne!(broken, resolution);
        assert_eq!(broken.missing().unwrap().entry, base.join("links/second"));
        assert_eq!(broken.missing().unwrap().why, "does not exist");

        symlink("second", base.join("links/second")).unwrap();
        assert_eq!(
            Resolution::of(&base.join("first")).missing().unwrap().why,
            "is reached by too many links"
        );
        std::fs::write(base.join("file"), "").unwrap();
        assert_eq!(Resolution::of(&base.join("file")).missing().unwrap().why, "is not a directory");
    }
}
