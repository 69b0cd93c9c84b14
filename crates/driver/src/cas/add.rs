//! Adding files and directories of the disk to the store.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use taut_digest::{Hash, ObjectInfo, ObjectType, TreeEntry};
use taut_store::{AddMode, Store};
use taut_sys::{At, Dir, FileKind, Named, canonical, if_exists, normal};

/// What becomes of directory entries that are neither files nor directories.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SpecialEntries {
    /// Links that cannot lead upwards are kept as links, everything else is refused.
    #[default]
    KeepNonUpwards,
    /// They are left out.
    Ignore,
    /// Links that lead upwards are replaced by what they point to, which must be inside.
    ResolveUpwards,
    /// All links are replaced by what they point to, which must be inside.
    ResolveInside,
    /// All links are replaced by what they point to.
    ResolveAll,
}

/// Why something was not added.
#[derive(Debug)]
pub enum AddError {
    /// There is nothing, also where a link leads.
    Absent(PathBuf),
    /// Nothing that a store can hold: a device, a pipe or a socket.
    Unsupported(PathBuf),
    /// An entry of the added directory, or what a link there leads to, that a store cannot hold.
    UnsupportedEntry(PathBuf),
    /// A link, which was to be replaced by what it leads to, that leads nowhere.
    Dangling {
        /// The link.
        link: PathBuf,
        /// Where it leads to.
        target: PathBuf,
    },
    /// A link that may lead upwards.
    Upwards(PathBuf),
    /// A link that leads out of the added directory.
    Outside(PathBuf),
    /// A link to a directory that contains it.
    Endless(PathBuf),
    /// The system or the store refused.
    Store(taut_store::Error),
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddError::Absent(path) | AddError::Unsupported(path) => {
                write!(f, "Non existent or unsupported file-system entry at {}", path.display())
            }
            AddError::UnsupportedEntry(path) => {
                write!(f, "unsupported type for dir entry {}", path.display())
            }
            AddError::Dangling { target, .. } => {
                write!(f, "Failed getting type of entry {}", target.display())
            }
            AddError::Upwards(path) => {
                write!(f, "Failed storing symlink {} -- not non-upwards", path.display())
            }
            AddError::Outside(path) => {
                write!(f, "Failed resolving symlink {} -- not resolving inside root tree", path.display())
            }
            AddError::Endless(path) => {
                write!(
                    f,
                    "Failed resolving symlink {} -- it points to a directory it lies in",
                    path.display()
                )
            }
            AddError::Store(error) => error.fmt(f),
        }
    }
}

impl AddError {
    /// What could not be added, if it is known.
    pub fn path(&self) -> Option<&Path> {
        match self {
            AddError::Absent(path)
            | AddError::Unsupported(path)
            | AddError::UnsupportedEntry(path)
            | AddError::Dangling { link: path, .. }
            | AddError::Upwards(path)
            | AddError::Outside(path)
            | AddError::Endless(path) => Some(path),
            AddError::Store(_) => None,
        }
    }
}

impl std::error::Error for AddError {}

impl From<taut_store::Error> for AddError {
    fn from(error: taut_store::Error) -> AddError {
        AddError::Store(error)
    }
}

impl From<taut_sys::Error> for AddError {
    fn from(error: taut_sys::Error) -> AddError {
        AddError::Store(error.into())
    }
}

/// A directory that is being added.
struct OpenDirectory {
    /// Under which name the parent has it.
    name: Vec<u8>,
    dir: Dir,
    /// Where it really is; only if links are resolved, to notice endless ones.
    real: Option<PathBuf>,
    /// The entries that are not added yet, the next one last.
    todo: Vec<(std::ffi::OsString, FileKind)>,
    done: BTreeMap<Vec<u8>, TreeEntry>,
}

/// Adds a file, a link (as such) or a directory with everything in it.
///
/// # Errors
///
/// [`AddError`]; objects that were added before the error stay in the store.
pub fn add(store: &Store, location: &Path, special: SpecialEntries) -> Result<ObjectInfo, AddError> {
    let absent = || AddError::Absent(location.to_owned());
    // The link itself, not what it leads to: the caller decides by `special`.
    let kind = if_exists(Named::lstat(location))?.ok_or_else(absent)?.kind;
    if kind == FileKind::Directory {
        return add_directory(store, location, special);
    }
    let named = Named::of_user(location)?;
    match kind {
        FileKind::File => file(store, named.at()),
        FileKind::Symlink => link(store, named.at().read_link()?),
        _ => Err(AddError::Unsupported(location.to_owned())),
    }
}

fn file(store: &Store, at: At<'_>) -> Result<ObjectInfo, AddError> {
    let file = at.open()?;
    let executable = file.stat()?.is_executable();
    // Never as a link into the store: the file is the user's, and may be written to later.
    let digest = store.put_open_file(file, at, executable, AddMode::Copy)?;
    let object_type = if executable { ObjectType::Executable } else { ObjectType::File };
    Ok(ObjectInfo { digest, object_type })
}

fn link(store: &Store, target: PathBuf) -> Result<ObjectInfo, AddError> {
    let digest = store.put_blob(&target.into_os_string().into_vec(), false)?;
    Ok(ObjectInfo { digest, object_type: ObjectType::Symlink })
}

fn add_directory(store: &Store, root: &Path, special: SpecialEntries) -> Result<ObjectInfo, AddError> {
    let resolves = !matches!(special, SpecialEntries::KeepNonUpwards | SpecialEntries::Ignore);
    // Without links in it, since paths are compared with it component by component.
    let real_root = if resolves { Some(canonical(root)?) } else { None };
    // An explicit stack, since users decide how deep directories are.
    let open = |name, dir, real| open(name, dir, real, special);
    let mut stack = vec![open(Vec::new(), Dir::of_user(root)?, real_root.clone())?];
    loop {
        let last = stack.len() - 1;
        let Some((name, kind)) = stack[last].todo.pop() else {
            let done = stack.swap_remove(last);
            let digest = store.put_tree(&done.done)?;
            match stack.last_mut() {
                None => return Ok(ObjectInfo { digest, object_type: ObjectType::Tree }),
                Some(parent) => {
                    parent.done.insert(done.name, entry(digest.hash, ObjectType::Tree));
                    continue;
                }
            }
        };
        let here = stack[last].dir.at(&name);
        let path = here.path();
        let entry_name = name.as_bytes().to_vec();
        let object = match kind {
            FileKind::File => file(store, here)?,
            FileKind::Directory => {
                // A directory is not a link, so its name below the resolved parent is resolved already.
                let real = stack[last].real.as_ref().map(|real| real.join(&name));
                let opened = open(entry_name, here.open_dir()?, real)?;
                stack.push(opened);
                continue;
            }
            _ if special == SpecialEntries::Ignore => continue,
            FileKind::Special => return Err(AddError::UnsupportedEntry(path)),
            FileKind::Symlink => {
                let target = here.read_link()?;
                let harmless = non_upwards(&target);
                match special {
                    SpecialEntries::KeepNonUpwards if !harmless => return Err(AddError::Upwards(path)),
                    SpecialEntries::KeepNonUpwards => link(store, target)?,
                    SpecialEntries::ResolveUpwards if harmless => link(store, target)?,
                    _ => {
                        let real = if_exists(canonical(&path))?;
                        // A link that leads nowhere has nothing to be replaced by.
                        let real = real.ok_or_else(|| AddError::Dangling {
                            target: normal(&path.parent().unwrap_or(&path).join(&target)),
                            link: path.clone(),
                        })?;
                        let inside = real_root.as_ref().is_some_and(|root| real.starts_with(root));
                        if special != SpecialEntries::ResolveAll && !inside {
                            return Err(AddError::Outside(path));
                        }
                        match Named::lstat(&real)?.kind {
                            FileKind::File => file(store, Named::of_user(&real)?.at())?,
                            FileKind::Directory => {
                                // Only the directories around this one count: what two links lead to is simply added
                                // twice.
                                if stack.iter().any(|open| open.real.as_ref() == Some(&real)) {
                                    return Err(AddError::Endless(path));
                                }
                                let opened = open(entry_name, Dir::of_user(&real)?, Some(real))?;
                                stack.push(opened);
                                continue;
                            }
                            _ => return Err(AddError::UnsupportedEntry(path)),
                        }
                    }
                }
            }
        };
        stack[last].done.insert(entry_name, entry(object.digest.hash, object.object_type));
    }
}

fn open(
    name: Vec<u8>,
    dir: Dir,
    real: Option<PathBuf>,
    special: SpecialEntries,
) -> Result<OpenDirectory, AddError> {
    let mut todo = dir.list()?;
    // Before anything in it is read, as in the reference.
    // A device or pipe must not even be opened.
    let refused = todo.iter().find(|(_, kind)| *kind == FileKind::Special);
    if let Some((name, _)) = refused.filter(|_| special != SpecialEntries::Ignore) {
        return Err(AddError::UnsupportedEntry(dir.at(name).path()));
    }
    // The last one is taken first, so that entries are read in the order of the listing.
    todo.reverse();
    Ok(OpenDirectory { name, dir, real, todo, done: BTreeMap::new() })
}

fn entry(hash: Hash, object_type: ObjectType) -> TreeEntry {
    TreeEntry { hash, object_type }
}

/// Whether a link with this target stays at or below the directory it lies in, as far as its text shows.
fn non_upwards(target: &Path) -> bool {
    let mut depth = 0_i64;
    for part in target.components() {
        match part {
            // Only by the text: what the names on the way are does not matter, as the tree may be
            // checked out anywhere.
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => depth -= 1,
            _ => return false,
        }
        // At any point of the path, not only at its end: `a/../../b` leaves the directory on the way.
        if depth < 0 {
            return false;
        }
    }
    true
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use taut_digest::HashFunction;

    fn hash_of(build: impl FnOnce(&Path), special: SpecialEntries) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("root"), HashFunction::GitSha1).unwrap();
        let tree = dir.path().join("d");
        std::fs::create_dir(&tree).unwrap();
        std::fs::write(dir.path().join("outside"), "hello\n").unwrap();
        build(&tree);
        let shown = dir.path().display().to_string();
        let added = add(&store, &tree, special).map_err(|error| error.to_string().replace(&shown, ""))?;
        Ok(added.digest.hash.to_hex())
    }

    fn sample(dir: &Path) {
        std::fs::create_dir(dir.join("e")).unwrap();
        std::fs::write(dir.join("e/f"), "x\n").unwrap();
        std::fs::set_permissions(dir.join("e/f"), std::fs::Permissions::from_mode(0o755)).unwrap();
        symlink("e/f", dir.join("l")).unwrap();
    }

    /// The hashes are the reference's answers.
    #[test]
    fn a_directory_becomes_the_tree_that_the_reference_makes_of_it() {
        let plain = hash_of(sample, SpecialEntries::KeepNonUpwards);
        assert_eq!(plain.as_deref(), Ok("4bc89592ea24553faa9a44f2aa26cc659083310d"));
        let with_upward = |dir: &Path| {
            sample(dir);
            symlink("../outside", dir.join("up")).unwrap();
        };
        assert_eq!(
            hash_of(with_upward, SpecialEntries::Ignore).as_deref(),
            Ok("720f1e3fb8308ea42a820d67e14e4d48f84169fa")
        );
        assert_eq!(
            hash_of(with_upward, SpecialEntries::ResolveAll).as_deref(),
            Ok("9e0eed35eb3f6c720f9100467f0c16400e276cad")
        );
        assert_eq!(
            hash_of(with_upward, SpecialEntries::KeepNonUpwards),
            Err("Failed storing symlink /d/up -- not non-upwards".to_owned())
        );
        assert_eq!(
            hash_of(with_upward, SpecialEntries::ResolveInside),
            Err("Failed resolving symlink /d/up -- not resolving inside root tree".to_owned())
        );
    }

    #[test]
    fn a_link_to_a_directory_around_it_is_refused_when_links_are_resolved() {
        let endless = |dir: &Path| {
            std::fs::create_dir(dir.join("e")).unwrap();
            symlink("..", dir.join("e/up")).unwrap();
        };
        let error = hash_of(endless, SpecialEntries::ResolveInside).unwrap_err();
        assert!(error.contains("/d/e/up -- it points to a directory it lies in"), "{error}");
    }

    #[test]
    fn a_target_is_upwards_if_any_part_of_it_leaves_the_directory() {
        for (target, harmless) in [
            ("a/b", true),
            ("a/../b", true),
            ("../a", false),
            ("a/../../b", false),
            ("/a", false),
            (".", true),
        ] {
            assert_eq!(non_upwards(Path::new(target)), harmless, "{target}");
        }
    }
}
