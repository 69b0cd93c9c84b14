//! Installation into a directory that the target reads: the result is a source of itself.
//!
//! Without this module, `watch -o DIR` with a DIR among the sources would build without end.
//!
//! A change that taut itself made starts a round like any other, since the result may become stable: a generated file
//! that another part of the target reads. If a round installs a path anew that an earlier round installed, without
//! another change in between, it does not become stable. Then changes that taut made start no round until there is
//! another one.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    path::{Path, PathBuf},
};

use taut_digest::ObjectInfo;
use taut_driver::{Analysis, Leaves, RepoConfig, normal_path, roots};
use taut_sys::{
    Dir, Named, StatSignature, canonical, normal,
    watch::{ChangeKind, Noticed},
};
use taut_value::{EntityName, Map, ReferenceType, Str};

use super::{Watcher, paths::shown};

/// How many readers of an installed path are named in the warning.
const MAX_SHOWN_READERS: usize = 3;

/// What is known of installations into, or above, directories of sources; empty if the output directory is elsewhere.
#[derive(Default)]
pub(super) struct Feedback {
    /// The output directory, without links on the way to it.
    output: PathBuf,
    /// The roots that lie below it, or above it; as they are written, and without links.
    roots: Vec<(PathBuf, PathBuf)>,
    /// The state of what was installed: files, the directories above them, and, as `None`, what was removed.
    // By path without links, as installations write; changes are noticed under any name.
    signatures: HashMap<PathBuf, Option<StatSignature>>,
    /// What the last installation changed, without directories in which something else changed meanwhile.
    changed: HashSet<PathBuf>,
    /// What the directories above installed paths held before the last installation.
    names: HashMap<PathBuf, HashSet<OsString>>,
    /// What the last round installed.
    installed: HashMap<Str, ObjectInfo>,
    /// What was installed anew by the rounds since the last other change.
    chain: HashSet<Str>,
    /// What was installed more than once by these rounds, and is not yet reported.
    repeated: Vec<Str>,
    /// Results that do not become stable.
    unstable: HashSet<Str>,
    /// Whether changes that taut made start no round.
    is_stopped: bool,
    /// These changes.
    held_back: Noticed,
}

/// A change that an installation made.
enum InstallChange {
    /// What it left.
    Left,
    /// A temporary file, which is gone.
    Passing,
}

impl Feedback {
    /// For results that are installed into a directory.
    pub(super) fn new(repositories: &RepoConfig, output: &Path) -> Feedback {
        let output = real(output);
        let overlapping =
            |(_, real): &(PathBuf, PathBuf)| output.starts_with(real) || real.starts_with(&output);
        let roots = roots(repositories);
        let roots = roots.into_iter().map(|root| (root.clone(), real(&root))).filter(overlapping).collect();
        Feedback { output, roots, ..Feedback::default() }
    }

    fn is_possible(&self) -> bool {
        !self.roots.is_empty()
    }

    /// Records the state of the directories that an installation may change.
    pub(super) fn before_install(&mut self) {
        // Their times change with entries of others, too, which must not count as changes by this installation.
        for (path, seen) in &mut self.signatures {
            if seen.is_some_and(|seen| seen.is_directory()) {
                *seen = signature(path);
            }
        }
        // Read before the installation, so that names it adds are distinguished from those of others.
        let above = std::mem::take(&mut self.names).into_keys();
        self.names = above.map(|path| (path.clone(), names(&path))).collect();
    }

    /// Records the state that an installation of these objects left.
    pub(super) fn after_install(&mut self, objects: HashMap<Str, ObjectInfo>) {
        if !self.is_possible() {
            return;
        }
        // Built anew: paths that are no longer installed are sources like any other.
        let before = std::mem::take(&mut self.signatures);
        let mut pending: Vec<PathBuf> = Vec::new();
        for path in objects.keys() {
            // Directories between a root and an installed file are changed by the installation, too, as entries are
            // added to them.
            let place = self.output.join(normal_path(path));
            let above = place.ancestors().skip(1);
            pending.extend(above.take_while(|above| self.is_below_root(above)).map(Path::to_owned));
            self.note_below(place);
        }
        let above: HashSet<PathBuf> = pending.into_iter().collect();
        for path in &above {
            self.signatures.insert(path.clone(), signature(path));
        }
        // What the installation removed.
        for path in before.keys() {
            if !self.signatures.contains_key(path) && signature(path).is_none() {
                self.signatures.insert(path.clone(), None);
            }
        }
        let is_changed = |(path, seen): &(&PathBuf, &Option<StatSignature>)| {
            before.get(*path) != Some(*seen) && !self.has_others(path)
        };
        self.changed = self.signatures.iter().filter(is_changed).map(|(path, _)| path.clone()).collect();
        // For the next `before_install`, which reads what these directories hold.
        above.into_iter().for_each(|path| {
            self.names.entry(path).or_default();
        });
        let installed = std::mem::take(&mut self.installed);
        for path in
            // Compared by content: what is installed with the same content changes nothing that is read.
            objects
                .iter()
                .filter(|(path, info)| installed.get(*path) != Some(info))
                .map(|(path, _)| path)
        {
            // Installed anew a second time without another change in between.
            if !self.chain.insert(path.clone()) || self.unstable.contains(path) {
                self.repeated.push(path.clone());
            }
        }
        self.installed = objects;
    }

    /// Whether a name that is not installed was added to a directory, or removed, since the installation began.
    fn has_others(&self, directory: &Path) -> bool {
        let Some(before) = self.names.get(directory) else { return false };
        let now = names(directory);
        before.symmetric_difference(&now).any(|name| !self.signatures.contains_key(&directory.join(name)))
    }

    fn note_below(&mut self, place: PathBuf) {
        let mut pending = vec![place];
        while let Some(path) = pending.pop() {
            let seen = signature(&path);
            if seen.is_some_and(|seen| seen.is_directory()) {
                pending.extend(list(&path).into_iter().map(|(name, _)| path.join(name)));
            }
            self.signatures.insert(path, seen);
        }
    }

    fn is_below_root(&self, path: &Path) -> bool {
        self.roots.iter().any(|(_, real)| path.starts_with(real))
    }

    /// The path without symbolic links above it.
    fn place(&self, path: &Path) -> PathBuf {
        let below = |(root, real): &(PathBuf, PathBuf)| Some(real.join(path.strip_prefix(root).ok()?));
        self.roots.iter().find_map(below).unwrap_or_else(|| path.to_owned())
    }

    /// The kind of a noticed change, if an installation made it: the path is as the installation left it, or was the
    /// name of a temporary file.
    fn made(&self, path: &Path, how: &ChangeKind) -> Option<InstallChange> {
        let place = self.place(path);
        let now = signature(&place);
        let (is_made, made) = match self.signatures.get(&place) {
            // Changes of what is in a directory are noticed for the names there.
            Some(Some(then)) if then.is_directory() => {
                // The times of a directory change with each of its entries; the inode shows that it is still the same
                // one.
                let is_same = |now: StatSignature| (now.device, now.inode) == (then.device, then.inode);
                (now.is_some_and(is_same), InstallChange::Left)
            }
            Some(then) => (now == *then, InstallChange::Left),
            // Files are installed under temporary names first, which are gone when the change is looked at.
            None => (how.came && now.is_none() && place.starts_with(&self.output), InstallChange::Passing),
        };
        is_made.then_some(made)
    }

    /// Whether a path is exactly as an installation left it.
    pub(super) fn left(&self, path: &Path) -> bool {
        let place = self.place(path);
        self.is_possible()
            && self.signatures.get(&place).is_some_and(|then| {
                *then == signature(&place)
                    && (self.changed.contains(&place) || then.is_none_or(|then| !then.is_directory()))
            })
    }

    /// Whether the changes that installations made start no round.
    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Splits changes into those that installations made and others.
    pub(super) fn split(&self, noticed: Noticed) -> (Noticed, Noticed) {
        if !self.is_possible() {
            return (Noticed::default(), noticed);
        }
        let (mut made, mut others) =
            (Noticed::default(), Noticed { lost: noticed.lost, ..Noticed::default() });
        for (path, how) in noticed.paths {
            match self.made(&path, &how) {
                Some(InstallChange::Left) => made.paths.insert(path, how),
                Some(InstallChange::Passing) => None,
                None => others.paths.insert(path, how),
            };
        }
        (made, others)
    }

    /// Keeps changes that installations made until there are others.
    pub(super) fn hold_back(&mut self, made: Noticed) {
        self.held_back.merge(made);
    }

    /// Something else changed: rounds start again. Returns the changes that were held back.
    pub(super) fn begin_anew(&mut self) -> Noticed {
        self.chain.clear();
        self.repeated.clear();
        self.is_stopped = false;
        std::mem::take(&mut self.held_back)
    }

    /// The description changed: results that did not become stable may do so now.
    pub(super) fn forget_unstable(&mut self) {
        self.unstable.clear();
    }

    /// Decides whether the last round shows that a result does not become stable. Returns the warning, if it is new.
    pub(super) fn check(
        &mut self,
        leaves: &Leaves,
        analysis: impl FnOnce() -> Option<Analysis>,
        repositories: &RepoConfig,
        watcher: &Watcher<'_>,
    ) -> Option<String> {
        let mut read = Vec::new();
        // A path that changes with each round but is not read by the target does no harm.
        for artifact in std::mem::take(&mut self.repeated) {
            let place = self.output.join(normal_path(&artifact));
            let as_read = |(root, real): &(PathBuf, PathBuf)| Some(root.join(place.strip_prefix(real).ok()?));
            let paths: Vec<PathBuf> = self.roots.iter().filter_map(as_read).collect();
            let found = paths.into_iter().find(|path| leaves.is_file(path) || leaves.any_below(path));
            read.extend(found.map(|path| (artifact, path)));
        }
        let (first, path) = read.first()?.clone();
        // Also for a result that was reported before: the warning is given once, the loop is ended each time.
        self.is_stopped = true;
        let mut is_new = false;
        for (artifact, _) in read {
            is_new |= self.unstable.insert(artifact);
        }
        let here = &watcher.here;
        let readers: Vec<String> = match analysis() {
            Some(analysis) => readers(&analysis, repositories, &path)
                .map(|name| watcher.log.names().typed(name, &Map::default()))
                .take(MAX_SHOWN_READERS)
                .collect(),
            None => Vec::new(),
        };
        let readers = match readers.len() {
            0 => String::new(),
            _ => format!(" (by {})", readers.join(", ")),
        };
        is_new.then(|| {
            format!(
                "The output directory {output} is part of what the target is made from: {path} is installed by each \
                 round and read by the next{readers}, so that the result {first} does not become stable. Changes \
                 that only taut made there start no further round.\n\
                 help: choose an output directory outside of the sources, or leave it out of what the target reads",
                output = shown(here, &self.output),
                path = shown(here, &path),
            )
        })
    }
}

/// The names of the source targets that contain a path.
fn readers<'a>(
    analysis: &'a Analysis,
    repositories: &'a RepoConfig,
    path: &'a Path,
) -> impl Iterator<Item = &'a EntityName> {
    analysis.reached.iter().filter_map(move |reached| {
        let EntityName::Named(named) = &reached.target.name else { return None };
        let repository = repositories.repositories.get(&named.repository)?;
        let root = repository.workspace_root.directory()?;
        let name = normal(&root.join(named.module.as_str()).join(named.name.as_str()));
        let reads = match named.reference {
            ReferenceType::Tree => path.starts_with(&name),
            ReferenceType::Glob => path.parent() == name.parent(),
            _ => !reached.analysed.is_defined && path == name,
        };
        reads.then_some(&reached.target.name)
    })
}

/// A path without symbolic links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let path = normal(path);
    for above in path.ancestors() {
        if let (Ok(real), Ok(below)) = (canonical(above), path.strip_prefix(above)) {
            return if below.as_os_str().is_empty() { real } else { real.join(below) };
        }
    }
    path
}

/// What is in a directory; nothing if it cannot be read.
fn list(directory: &Path) -> Vec<(OsString, taut_sys::FileKind)> {
    Dir::of_user(directory).and_then(|directory| directory.list()).unwrap_or_default()
}

fn names(directory: &Path) -> HashSet<OsString> {
    list(directory).into_iter().map(|(name, _)| name).collect()
}

fn signature(path: &Path) -> Option<StatSignature> {
    Named::lstat(path).ok().map(|stat| stat.signature)
}
