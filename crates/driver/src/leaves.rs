//! Which leaves of a build read a path, and which directories and files have to be watched so that no change of what
//! they read goes unnoticed. Both follow from the leaves of the rounds so far.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use taut_engine::KeyRef;
use taut_exec::ArtifactKey;
use taut_repos::{RepoConfig, Repository, Root, RootPath};
use taut_sys::{Named, StatSignature, canonical, fault, normal, watch::Noticed};
use taut_value::Artifact;

use crate::history::source_file;
use crate::{Recheck, Session};

/// The leaves of a session's builds, by the paths that they read.
#[derive(Debug, Default)]
pub struct Leaves {
    known: HashSet<KeyRef>,
    // Sorted, for `any_below`; a list of leaves, since a file may be a source and a module at once.
    files: BTreeMap<PathBuf, Vec<KeyRef>>,
    listings: BTreeMap<PathBuf, Vec<KeyRef>>,
    /// All directories that lead to those, and theirs.
    directories: BTreeSet<PathBuf>,
    /// The roots that any of these lie below.
    roots: BTreeSet<PathBuf>,
    /// The files that are links.
    links: BTreeSet<PathBuf>,
    /// The files that [`Leaves::new_files`] has not returned yet.
    new_files: BTreeSet<PathBuf>,
}

/// The `stat` signatures of paths: of each path itself, and of what it leads to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Signatures(HashMap<PathBuf, [Option<StatSignature>; 2]>);

impl Signatures {
    /// Adds the signatures of paths that have none yet.
    pub fn add_new(&mut self, now: Signatures) {
        now.0.into_iter().for_each(|(path, seen)| {
            self.0.entry(path).or_insert(seen);
        });
    }

    /// The paths that look different in `now`, in order.
    pub fn differing(&self, now: &Signatures) -> Vec<PathBuf> {
        let differs =
            |(path, seen): &(&PathBuf, &[Option<StatSignature>; 2])| self.0.get(*path) != Some(*seen);
        let mut paths: Vec<PathBuf> = now.0.iter().filter(differs).map(|(path, _)| path.clone()).collect();
        paths.sort();
        paths
    }
}

/// How many symbolic links are followed, as Linux does (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// How far the clock of a file system may be behind the system's: times of files on network file systems are the
/// server's.
const MAX_CLOCK_LAG: Duration = Duration::from_secs(2);

fn signatures(path: &Path) -> [Option<StatSignature>; 2] {
    [Named::lstat(path), Named::stat(path)].map(|found| found.ok().map(|stat| stat.signature))
}

/// What changed, as far as a leaf reads it.
#[derive(Debug)]
pub struct ChangedLeaves {
    /// What to look at again.
    pub again: Recheck,
    /// Which paths changed, in order.
    pub paths: Vec<PathBuf>,
}

impl Leaves {
    /// Adds the leaves that a session has read so far. Returns whether they are known: not if cached build state turned
    /// out to be damaged.
    pub fn note(&mut self, session: &Session, repositories: &RepoConfig) -> bool {
        let roots = roots(repositories);
        let is_damaged = fault::point("collect", Path::new("leaves")).is_err();
        let Some(leaves) = session.build.leaves().filter(|_| !is_damaged) else { return false };
        for leaf in leaves {
            // Where a file's links lead may have changed since.
            if !self.known.insert(leaf.clone()) && leaf.rule() != "file" {
                continue;
            }
            let place = leaf.downcast::<RootPath>().and_then(|place| place.on_disk(&repositories.roots));
            let of_artifact = || match &leaf.downcast::<ArtifactKey>()?.0 {
                Artifact::Local { path, repository } => source_file(repositories, repository, path),
                _ => None,
            };
            let Some(path) = place.or_else(of_artifact) else { continue };
            let is_listing = leaf.rule() == "dir";
            if leaf.rule() == "file" {
                self.follow(&path, &leaf);
            }
            // The directories above are watched, up to the root: they may be replaced by others, or by links.
            let inside = |above: &&Path| roots.iter().any(|root| above.starts_with(root));
            // A listing is invalidated by changes in the directory itself, a file by those in the one above.
            let first = usize::from(!is_listing);
            if let Some(last) = path.ancestors().take_while(inside).last()
                && !self.roots.contains(last)
            {
                self.roots.insert(last.to_owned());
            }
            let above = path.ancestors().skip(first).take_while(inside).map(Path::to_owned);
            self.directories.extend(above);
            self.directories.extend(path.ancestors().nth(first).map(Path::to_owned));
            if !is_listing && !self.files.contains_key(&path) {
                self.new_files.insert(path.clone());
            }
            let leaves = if is_listing { &mut self.listings } else { &mut self.files };
            let leaves = leaves.entry(path).or_default();
            if !leaves.contains(&leaf) {
                leaves.push(leaf);
            }
        }
        true
    }

    /// Adds the files that a path leads to by links: a leaf reads the last of them, in whatever directory.
    fn follow(&mut self, path: &Path, leaf: &KeyRef) {
        let mut path = path.to_owned();
        // Links may lead to each other: the system gives up after as many.
        for _ in 0..MAX_LINKS {
            let (Ok(target), Some(above)) = (Named::read_link(&path), path.parent()) else { return };
            self.links.insert(path.clone());
            // Resolved first: what `..` in the target means depends on links on the way to it.
            let Ok(above) = canonical(above) else { return };
            path = normal(&above.join(target));
            self.directories.extend(path.parent().map(Path::to_owned));
            if !self.files.contains_key(&path) {
                self.new_files.insert(path.clone());
            }
            let leaves = self.files.entry(path.clone()).or_default();
            if !leaves.contains(leaf) {
                leaves.push(leaf.clone());
            }
        }
    }

    /// The directories in which a change may matter.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.directories.iter().map(PathBuf::as_path)
    }

    /// The signatures of all paths that were read; no content is read for it.
    pub fn signatures(&self) -> Signatures {
        let paths = self.files.keys().chain(self.listings.keys());
        Signatures(paths.map(|path| (path.clone(), signatures(path))).collect())
    }

    /// The roots below which anything was read.
    pub fn roots(&self) -> impl Iterator<Item = &Path> {
        self.roots.iter().map(PathBuf::as_path)
    }

    /// The files that were read since the last call.
    pub fn new_files(&mut self) -> BTreeSet<PathBuf> {
        std::mem::take(&mut self.new_files)
    }

    /// The files that are links. As for a root, a change anywhere on the path to the target counts.
    pub fn links(&self) -> impl Iterator<Item = &Path> {
        self.links.iter().map(PathBuf::as_path)
    }

    /// Whether the content of a file is read.
    pub fn is_file(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }

    /// Whether anything below a directory is read.
    pub fn any_below(&self, directory: &Path) -> bool {
        // In the order of paths, what is below a directory follows it directly: the first path suffices.
        let from = (Bound::Included(directory), Bound::Unbounded);
        let below = |path: Option<&PathBuf>| path.is_some_and(|path| path.starts_with(directory));
        below(self.files.range::<Path, _>(from).next().map(|(path, _)| path))
            || below(self.listings.range::<Path, _>(from).next().map(|(path, _)| path))
    }

    /// Whether anything in some directories, or these, may have changed since a time; paths that are `known` to be
    /// as they should aside.
    pub fn changed_since(
        &self,
        directories: &HashSet<PathBuf>,
        since: SystemTime,
        known: impl Fn(&Path) -> bool,
    ) -> bool {
        // Too early rather than too late: that only costs a build in which nothing has changed.
        let since = since.checked_sub(MAX_CLOCK_LAG).unwrap_or(since);
        let since = since.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as i128;
        let inside = |path: &&PathBuf| path.parent().is_some_and(|above| directories.contains(above));
        let files = self.files.keys().filter(inside).chain(self.listings.keys().filter(inside));
        files
            .chain(directories)
            // The change time, since tools set the modification time.
            .any(|path| signatures(path).iter().flatten().any(|s| s.ctime >= since) && !known(path))
    }

    /// What is to be read again after some changes; `None` if no leaf reads what changed.
    pub fn touched(&self, noticed: &Noticed) -> Option<ChangedLeaves> {
        let (mut leaves, mut paths, mut everything) = (Vec::new(), Vec::new(), noticed.lost);
        for (path, how) in &noticed.paths {
            let of_file = self.files.get(path);
            let of_listing = path.parent().filter(|_| how.entry).and_then(|above| self.listings.get(above));
            // Everything below it may be another file now, or may have become readable or unreadable.
            let is_above = (how.entry || how.attributes) && self.directories.contains(path);
            everything |= is_above;
            if of_file.is_some() || of_listing.is_some() || is_above {
                paths.push(path.clone());
            }
            leaves.extend(of_file.into_iter().chain(of_listing).flatten().cloned());
        }
        if everything {
            return Some(ChangedLeaves { again: Recheck::Everything, paths });
        }
        (!leaves.is_empty()).then_some(ChangedLeaves { again: Recheck::Only(leaves), paths })
    }
}

/// The roots of all repositories that are directories, each once.
pub fn roots(repositories: &RepoConfig) -> Vec<PathBuf> {
    let all = repositories.repositories.values().flat_map(Repository::roots);
    let each: BTreeSet<&Path> = all.filter_map(Root::directory).collect();
    each.into_iter().map(PathBuf::from).collect()
}
