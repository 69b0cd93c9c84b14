//! Collection of the outputs of an action that has ended: from its directory into the store.
//!
//! Everything is reached beneath the directory, which is held open. A link on the way to an output is followed as long
//! as it stays beneath (`lib64 -> lib`); one that leads out is refused. Files and directories without permissions for
//! their owner get them, since they belong to the action, which has ended.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use taut_digest::{Digest, ObjectInfo, ObjectType, TreeEntry};
use taut_store::{AddMode, Result, Store};
use taut_sys::{At, Dir, FileKind, Links, if_exists};
use taut_value::path::is_non_upwards;

use crate::{ActualEntry, missing_output};

/// What is at the path of an output.
pub(crate) enum OutputAtPath {
    Object(ObjectInfo),
    /// Nothing, or something of another kind.
    Missing(ActualEntry),
    /// Something that cannot be an output, and why.
    Invalid(String),
}

impl OutputAtPath {
    /// Why it cannot be collected, in the words of the reference.
    pub(crate) fn in_reference(&self, path: &str) -> Option<&'static str> {
        // The texts are those of `CollectOutputs` in the reference's local_action.cpp; they are shown only under its
        // name.
        Some(match self {
            OutputAtPath::Object(_) => return None,
            OutputAtPath::Missing(ActualEntry::Directory) => "expected file or symlink",
            OutputAtPath::Missing(ActualEntry::File) => "expected directory or symlink",
            OutputAtPath::Invalid(why) if why.starts_with(&format!("found invalid symlink at {path}:")) => {
                "found invalid symlink"
            }
            // Of something in it.
            OutputAtPath::Invalid(why)
                if why.contains(&format!(" at {path}/")) || why.contains("output directory") =>
            {
                "found invalid entries in directory"
            }
            OutputAtPath::Missing(_) | OutputAtPath::Invalid(_) => "expected known type",
        })
    }
}

/// Splits a path into the directory and the name.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Finds the outputs of one action.
pub(crate) struct Collector<'c> {
    store: &'c Store,
    root: &'c Dir,
    take: AddMode,
    /// The directories of outputs, by path, opened once each.
    parents: HashMap<&'c str, Parent>,
}

impl<'c> Collector<'c> {
    /// `paths` are the normalised paths of all outputs below the action's directory.
    pub(crate) fn new(
        store: &'c Store,
        root: &'c Dir,
        take: AddMode,
        paths: impl Iterator<Item = &'c str>,
    ) -> Result<Collector<'c>> {
        let mut collector = Collector { store, root, take, parents: HashMap::new() };
        let paths: Vec<&str> = paths.collect();
        // A file that is in several outputs cannot be moved into the store for the first of them.
        if overlap(&paths) {
            // Decided for all outputs at once: which of them share a file is not known before they are opened.
            collector.take = AddMode::Copy;
        }
        for (above, _) in paths.into_iter().map(split) {
            if collector.parents.contains_key(above) {
                continue;
            }
            // Opened before any output is moved: with a link, none may be.
            let (parent, is_linked) = open_parent(root, above)?;
            if is_linked {
                // Behind a link, one file may be an output by two paths: then none can be moved into the store.
                collector.take = AddMode::Copy;
            }
            collector.parents.insert(above, parent);
        }
        Ok(collector)
    }

    /// The output at one of the paths.
    pub(crate) fn output(&self, path: &str, is_directory: bool) -> Result<OutputAtPath> {
        let (above, _) = split(path);
        match self.parents.get(above) {
            Some(parent) => output(self.store, self.root, parent, path, is_directory, self.take),
            None => Ok(missing(None, path)),
        }
    }
}

/// Whether one of some paths is another one, or below it.
fn overlap(paths: &[&str]) -> bool {
    // Prefixes are looked up in a set, so the cost is the length of all paths, not the square of their number.
    let all: HashSet<&str> = paths.iter().copied().collect();
    let is_below = |path: &str| path.match_indices('/').any(|(end, _)| all.contains(&path[..end]));
    all.len() < paths.len() || (all.contains(".") && all.len() > 1) || all.iter().any(|path| is_below(path))
}

fn output(
    store: &Store,
    root: &Dir,
    parent: &Parent,
    path: &str,
    is_directory: bool,
    take: AddMode,
) -> Result<OutputAtPath> {
    let (_, name) = split(path);
    let parent = match parent {
        Parent::Dir(dir) => dir,
        Parent::Absent => return Ok(missing(None, path)),
        Parent::Outside(link, target) => {
            return Ok(OutputAtPath::Invalid(format!(
                "found invalid output at {path}: it lies below the link {link}, which leads outwards, to {target}"
            )));
        }
    };
    let parent = parent.as_ref().unwrap_or(root);
    if !is_directory {
        return file(store, parent.at(name), path, take);
    }
    // The action's own directory is an output: it has no name in a directory above.
    if matches!(name, "" | ".") {
        return directory(store, parent.try_clone()?, path, take);
    }
    let at = parent.at(name);
    match if_exists(at.lstat())?.map(|stat| stat.kind) {
        Some(FileKind::Directory) => {
            directory(store, at.open_dir_of_mount().map_err(entering_error)?, path, take)
        }
        // The reference takes a link as an output directory, too.
        Some(FileKind::Symlink) => link(store, at, path),
        // A file of the wrong kind is a mistake of the rule, and reported with what is there; a fifo or device can
        // never be stored.
        Some(FileKind::File) => Ok(OutputAtPath::Missing(ActualEntry::File)),
        Some(FileKind::Special) => Ok(OutputAtPath::Invalid(format!("found invalid special file at {path}"))),
        None => Ok(missing(Some(parent), path)),
    }
}

/// Nothing is at the path of an output; the names of that directory may show what was meant.
fn missing(parent: Option<&Dir>, path: &str) -> OutputAtPath {
    // Only for the message, so a directory that cannot be listed is not a further error.
    let there = parent.and_then(|parent| parent.list().ok()).unwrap_or_default();
    let there = there.into_iter().map(|(name, _)| name.to_string_lossy().into_owned());
    let (above, name) = split(path);
    let prefix = if above.is_empty() { String::new() } else { format!("{above}/") };
    let similar =
        missing_output::similar(name, there).into_iter().map(|name| format!("{prefix}{name}")).collect();
    OutputAtPath::Missing(ActualEntry::Nothing { similar })
}

/// The directory of an output.
enum Parent {
    /// Open; `None` for the action's directory itself.
    Dir(Option<Dir>),
    Absent,
    /// A link that leads out of the action's directory: its path and its target.
    Outside(String, String),
}

/// Opens the directory of an output. Returns also whether a link leads there.
fn open_parent(root: &Dir, path: &str) -> Result<(Parent, bool)> {
    if path.is_empty() {
        return Ok((Parent::Dir(None), false));
    }
    // The common case first: no link, permissions as created.
    let opened = match root.sub_of_mount(path, Links::Refused) {
        Err(error) if error.is_denied() => {
            make_searchable(root, path)?;
            root.sub_of_mount(path, Links::Refused)
        }
        other => other,
    };
    match opened {
        Ok(dir) => return Ok((Parent::Dir(Some(dir)), false)),
        Err(error) if error.is_absent() || error.is_link_in_the_way() => {}
        Err(error) => return Err(error.into()),
    }
    // The dot makes the last component a middle one, in which links are followed.
    match root.sub_of_mount(&format!("{path}/."), Links::Beneath) {
        Ok(dir) => Ok((Parent::Dir(Some(dir)), true)),
        Err(error) if error.is_absent() => Ok((Parent::Absent, false)),
        Err(error) if error.is_link_in_the_way() => {
            // Refused, so some prefix is a link that leads out; the first one is named in the message.
            let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
            for end in ends {
                if let Ok(target) = root.at(&path[..end]).read_link() {
                    return Ok((Parent::Outside(path[..end].to_owned(), target.display().to_string()), true));
                }
            }
            Err(mount_error(error))
        }
        Err(error) => Err(error.into()),
    }
}

/// The error of entering a directory that is a mount point or another kind of file.
fn entering_error(error: taut_sys::Error) -> taut_store::Error {
    if error.is_link_in_the_way() { mount_error(error) } else { error.into() }
}

/// If no link is in the way, a directory that may not be entered is a mount point.
fn mount_error(error: taut_sys::Error) -> taut_store::Error {
    let source = std::io::Error::other("something is mounted there, which is left alone");
    taut_sys::Error { op: "take outputs from", source, ..error }.into()
}

/// Gives the owner all permissions for the directories on the way, where they are lacking.
fn make_searchable(root: &Dir, path: &str) -> Result<()> {
    // From the top down, since each level has to be searchable before the next can be opened.
    make_accessible(root)?;
    let mut here: Option<Dir> = None;
    for name in path.split('/') {
        let Ok(dir) = here.as_ref().unwrap_or(root).at(name).open_dir_of_mount() else { break };
        make_accessible(&dir)?;
        here = Some(dir);
    }
    Ok(())
}

fn make_accessible(dir: &Dir) -> Result<()> {
    let stat = dir.stat()?;
    // Another user's directory cannot be changed; the operation that needs it then reports the error.
    // Only bits of the owner are added: the mode of a directory is not part of a stored tree.
    if stat.is_own() && stat.mode() & 0o700 != 0o700 {
        dir.set_mode(stat.mode() | 0o700)?;
    }
    Ok(())
}

/// The file or link at a place.
fn file(store: &Store, at: At<'_>, shown: &str, take: AddMode) -> Result<OutputAtPath> {
    // Opened once; kind, mode and content are those of the open file, not of a name that could be exchanged.
    let opened = match at.open_of_mount() {
        Err(error) if error.is_denied() => {
            make_accessible(at.dir())?;
            let stat = at.lstat()?;
            if stat.is_file() && stat.is_own() && stat.mode() & 0o400 == 0 {
                // By its identity, and only if it has no other name, which might be outside of the stage.
                at.set_mode_of(stat.identity(), stat.mode() | 0o400)?;
            }
            at.open_of_mount()
        }
        other => other,
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(error) if error.is_absent() => return Ok(missing(Some(at.dir()), shown)),
        // The open refuses links, directories and special files without side effects (a fifo would block); the kind
        // is looked up after it, for the message only.
        Err(error) if error.is_other_kind() => {
            return match if_exists(at.lstat())?.map(|stat| stat.kind) {
                Some(FileKind::Symlink) => link(store, at, shown),
                Some(FileKind::Special) => {
                    Ok(OutputAtPath::Invalid(format!("found invalid special file at {shown}")))
                }
                Some(FileKind::Directory) => Ok(OutputAtPath::Missing(ActualEntry::Directory)),
                _ => Ok(missing(Some(at.dir()), shown)),
            };
        }
        Err(error) if error.is_other_file_system() => return Err(mount_error(error)),
        Err(error) => return Err(error.into()),
    };
    // Any of the three bits counts: what is stored has one bit only.
    let executable = opened.stat()?.is_executable();
    let digest = match store.put_open_file(opened, at, executable, take) {
        // Moving a file out of a directory needs the right to write to the directory.
        Err(taut_store::Error::Sys(error)) if error.is_denied() => {
            make_accessible(at.dir())?;
            // By its name: the first try has consumed the open file.
            store.put_file(at, executable, take)?
        }
        other => other?,
    };
    let object_type = if executable { ObjectType::Executable } else { ObjectType::File };
    Ok(OutputAtPath::Object(ObjectInfo { digest, object_type }))
}

fn link(store: &Store, at: At<'_>, shown: &str) -> Result<OutputAtPath> {
    let target = at.read_link()?;
    match target.to_str() {
        // A target that leads out would mean something else wherever the object is staged; the reference refuses it,
        // too.
        Some(text) if is_non_upwards(text) => {
            let digest = store.put_blob(text.as_bytes(), false)?;
            Ok(OutputAtPath::Object(ObjectInfo { digest, object_type: ObjectType::Symlink }))
        }
        _ => Ok(OutputAtPath::Invalid(format!(
            "found invalid symlink at {shown}: it leads outwards, to {}",
            target.display()
        ))),
    }
}

/// How many bytes a path below an output directory may have: a longer one could not be opened (`PATH_MAX` of Linux,
/// `limits.h`). It bounds the number of directories that an action can make this process hold open.
const PATH_MAX: usize = 4096;

/// A directory that is being collected.
struct OpenDirectory {
    /// Its name in the directory above.
    name: OsString,
    dir: Dir,
    /// The length of its path in messages.
    shown: usize,
    /// The entries that remain, the next one last.
    // A stack: taking the last one costs nothing.
    todo: Vec<(OsString, FileKind)>,
    done: BTreeMap<Vec<u8>, TreeEntry>,
}

impl OpenDirectory {
    fn new(name: &OsStr, shown: &str, dir: Dir) -> Result<OpenDirectory> {
        let todo = match dir.list() {
            Err(error) if error.is_denied() => {
                make_accessible(&dir)?;
                dir.list()
            }
            other => other,
        }?;
        // In reverse, so that `pop` returns the entries in order.
        let todo = todo.into_iter().rev().collect();
        Ok(OpenDirectory { name: name.to_owned(), dir, shown: shown.len(), todo, done: BTreeMap::new() })
    }
}

/// A directory with all that is below it. Without recursion; the directories on the path from the top are open.
fn directory(store: &Store, dir: Dir, output: &str, take: AddMode) -> Result<OutputAtPath> {
    let mut shown = output.to_owned();
    let mut stack = vec![OpenDirectory::new(OsStr::new(""), &shown, dir)?];
    loop {
        let here = stack.last_mut().expect("the last one returns");
        shown.truncate(here.shown);
        // All entries are done, so the tree can be stored: the store requires that what is below is there before.
        let Some((name, kind)) = here.todo.pop() else {
            let done = stack.pop().expect("there is one");
            let digest: Digest = store.put_tree(&done.done)?;
            let Some(above) = stack.last_mut() else {
                return Ok(OutputAtPath::Object(ObjectInfo { digest, object_type: ObjectType::Tree }));
            };
            let entry = TreeEntry { hash: digest.hash, object_type: ObjectType::Tree };
            above.done.insert(done.name.as_bytes().to_vec(), entry);
            continue;
        };
        shown.push('/');
        // One buffer for all paths, cut back when a directory is left; the text is for messages only, so it may be
        // lossy.
        shown.push_str(&name.to_string_lossy());
        if shown.len() - output.len() >= PATH_MAX {
            let why = format!("a path below it has more than {PATH_MAX} bytes");
            return Ok(OutputAtPath::Invalid(format!("found invalid output directory at {output}: {why}")));
        }
        if kind == FileKind::Directory {
            let dir = match here.dir.at(&name).open_dir_of_mount() {
                Err(error) if error.is_denied() => {
                    make_accessible(&here.dir)?;
                    here.dir.at(&name).open_dir_of_mount()
                }
                other => other,
            };
            let open = OpenDirectory::new(&name, &shown, dir.map_err(entering_error)?)?;
            stack.push(open);
            continue;
        }
        match file(store, here.dir.at(Path::new(&name)), &shown, take)? {
            OutputAtPath::Object(ObjectInfo { digest, object_type }) => {
                here.done.insert(name.as_bytes().to_vec(), TreeEntry { hash: digest.hash, object_type });
            }
            // No process of the action is left; an entry that is gone since the listing counts as never made.
            OutputAtPath::Missing(_) => {}
            invalid => return Ok(invalid),
        }
    }
}
