//! A directory as a root: it is looked at in each build, and the evidence of what was read is the result of `stat`.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use taut_sys::{At, Dir, Evidence, FileKind, Named, Reading, if_exists};

use crate::{
    Entry, Listed, Listing, Observation, Result, Source, SourceFile, SourceRoot, Symlinks,
    open_dirs::OpenDirs, root::stays_inside,
};

/// A directory that provides files.
pub struct DirectoryRoot {
    /// Its path: any bytes.
    path: Arc<Path>,
    open: OpenDirs,
}

impl DirectoryRoot {
    /// The directory at an absolute path, which need not exist.
    pub fn new(path: impl Into<Arc<Path>>) -> DirectoryRoot {
        DirectoryRoot { path: path.into(), open: OpenDirs::default() }
    }

    /// The directory of a path, open, if it exists, and the name in it; for the root itself (""), the name is "".
    fn locate<'p>(&self, path: &'p str) -> taut_sys::Result<(Option<Arc<Dir>>, &'p str)> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.open.get(&self.path, above)?, name))
    }

    fn listing(&self, path: &str, ignore_special: bool) -> taut_sys::Result<Listing> {
        // The last component is not followed if it is a link: a link to a directory is listed as a link by the
        // directory above.
        let (above, name) = self.locate(path)?;
        let Some(above) = above else { return Ok(Listing::Absent) };
        if !name.is_empty() && if_exists(above.at(name).lstat())?.is_none_or(|stat| !stat.is_dir()) {
            return Ok(Listing::Absent);
        }
        let directory = if name.is_empty() { Some(above) } else { self.open.get(&self.path, path)? };
        let Some(directory) = directory else { return Ok(Listing::Absent) };
        let Some(found) = if_exists(directory.list())? else { return Ok(Listing::Absent) };
        let mut entries = Vec::with_capacity(found.len());
        // From the root, since the reason is hashed: it is the same in another checkout.
        let shown = |name: &Path| Path::new(path).join(name).display().to_string();
        for (name, kind) in found {
            let at = directory.at(&name);
            let Some(text) = name.to_str() else {
                if !ignore_special {
                    let is_directory = kind == FileKind::Directory;
                    entries
                        .push(Listed::new(name.to_string_lossy().as_ref(), Entry::NotUtf8 { is_directory }));
                }
                continue;
            };
            let entry = match kind {
                FileKind::File => Entry::File,
                FileKind::Directory => Entry::Directory,
                _ if ignore_special => continue,
                FileKind::Symlink => {
                    let target = at.read_link()?;
                    if !stays_inside(target.as_os_str().as_bytes()) {
                        return Ok(Listing::Unreadable(format!(
                            "{} is a symbolic link that leads outwards (to {})",
                            shown(name.as_ref()),
                            target.display()
                        )));
                    }
                    Entry::Symlink
                }
                FileKind::Special => {
                    let shown = shown(name.as_ref());
                    return Ok(Listing::Unreadable(format!("{shown} is not a file, link or directory")));
                }
            };
            entries.push(Listed::new(text, entry));
        }
        // Names with replacement characters may sort differently than their bytes did.
        entries.sort_by(|a: &Listed, b| a.name.as_str().cmp(b.name.as_str()));
        Ok(Listing::of(entries, None))
    }
}

impl SourceRoot for DirectoryRoot {
    /// 0 and the bytes of the path.
    fn identity(&self) -> Vec<u8> {
        // The bytes and not a text: a path need not be UTF-8, and two of them must not become one.
        [&[0], self.path.as_os_str().as_bytes()].concat()
    }

    fn shown(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.path.to_path_buf() } else { self.path.join(path) }
    }

    fn directory(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn list(&self, path: &str, ignore_special: bool) -> Result<Listing> {
        Ok(self.listing(path, ignore_special)?)
    }

    fn is_file(&self, path: &Path) -> bool {
        // Not by the directories held open, which have paths in UTF-8.
        Named::stat(&self.path.join(path)).is_ok_and(|stat| stat.is_file())
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let (directory, name) = self.locate(path)?;
        match directory {
            Some(directory) => Ok(directory.at(name).read_followed()?),
            None => Ok(None),
        }
    }

    fn source<'p>(&self, path: &'p str) -> Result<Source<'p>> {
        let (Some(above), name) = self.locate(path)? else { return Ok(Source::Absent) };
        let at = above.at(name);
        let Some(stat) = if_exists(at.lstat())? else { return Ok(Source::Absent) };
        Ok(match stat.kind {
            FileKind::Symlink => Source::Link(at.read_link()?.as_os_str().as_bytes().to_vec()),
            FileKind::File => {
                let is_executable = stat.is_executable();
                Source::File(SourceFile { above, name, is_executable })
            }
            _ => Source::Other,
        })
    }

    fn observe(&self, path: &str, symlinks: Symlinks, read: &mut dyn FnMut()) -> Result<Observation> {
        let (directory, name) = self.locate(path)?;
        let at = directory.as_ref().map(|directory| directory.at(name));
        let Reading { evidence, is_steady, .. } =
            // Looked at before and after, so a change during the read is noticed (`sys/src/evidence.rs`).
            Evidence::of_reading(at, symlinks == Symlinks::Follow, read);
        Ok(Observation { witness: evidence.map(|evidence| evidence.encode()), is_steady })
    }

    fn observe_unless(
        &self,
        path: &str,
        symlinks: Symlinks,
        witness: &[u8],
        read: &mut dyn FnMut(),
    ) -> Result<Option<Observation>> {
        let (directory, name) = self.locate(path)?;
        let at = directory.as_ref().map(|directory| directory.at(name));
        // Evidence of another version or kind cannot be decoded, and then does not hold.
        let then = Evidence::decode(witness);
        let reading = Evidence::of_reading_unless(then.as_ref(), at, symlinks == Symlinks::Follow, read);
        Ok(reading.map(|Reading { evidence, is_steady, .. }| {
            let witness = evidence.map(|evidence| evidence.encode());
            Observation { witness, is_steady }
        }))
    }

    fn holds_in_process(&self, path: &str, symlinks: Symlinks, witness: &[u8]) -> bool {
        let Some(then) = Evidence::decode(witness) else { return false };
        let Ok((directory, name)) = self.locate(path) else { return false };
        let at = directory.as_ref().map(|directory| directory.at(name));
        then.still_holds_in_process(at, symlinks == Symlinks::Follow)
    }

    fn witness(&self, path: &str, symlinks: Symlinks) -> Result<Vec<u8>> {
        let (directory, name) = self.locate(path)?;
        let at = directory.as_ref().map(|directory| directory.at(name));
        Ok(Evidence::gather(at, symlinks == Symlinks::Follow)?.encode())
    }

    fn holds(&self, path: &str, symlinks: Symlinks, witness: &[u8]) -> bool {
        let Some(then) = Evidence::decode(witness) else { return false };
        // What cannot be looked at counts as changed: the task then runs, and reports the error.
        let Ok((directory, name)) = self.locate(path) else { return false };
        let at: Option<At<'_>> = directory.as_ref().map(|directory| directory.at(name));
        then.still_holds(at, symlinks == Symlinks::Follow)
    }

    fn forget(&self) {
        self.open.forget();
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use super::*;

    #[test]
    fn the_reason_why_a_directory_cannot_be_listed_is_the_same_in_another_checkout() {
        let reason = || {
            let checkout = tempfile::tempdir().unwrap();
            std::fs::create_dir(checkout.path().join("m")).unwrap();
            std::os::unix::fs::symlink("/elsewhere", checkout.path().join("m/link")).unwrap();
            DirectoryRoot::new(checkout.path()).list("m", false).unwrap()
        };
        let text = "m/link is a symbolic link that leads outwards (to /elsewhere)";
        assert_eq!(reason(), Listing::Unreadable(text.to_owned()));
        assert_eq!(reason().hash(), reason().hash());
    }
}
