//! One session, many builds: what the engine knows stays in memory, and the world says what changed.
//!
//! A round is a build that believes everything but what was named. Which leaves look at a path, and which
//! directories have to be watched so that no change of what they see goes unnoticed, follows from what the
//! rounds so far looked at.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use taut_analysis::{Config, ConfiguredTarget, TargetRule};
use taut_engine::KeyRef;
use taut_exec::{ActionKey, ArtifactKey, ArtifactRule};
use taut_repos::{DirRule, FileRule, Place, RepoConfig};
use taut_syntax::Diagnostics;
use taut_sys::{StatSignature, fs, watch::Noticed};
use taut_value::{Artifact, EntityName, Id};

use crate::analyse::{begin, diagnostics};
use crate::history::{How, Subject, source_file};
use crate::{Analysis, BuildFailure, Request, Results, Session, Wanted};

/// What to look at again.
#[derive(Debug)]
pub enum Again {
    /// Everything: what changed is not known.
    Everything,
    /// Only this.
    Only(Vec<KeyRef>),
}

/// What looks at the world, by where it looks.
#[derive(Debug, Default)]
pub struct Leaves {
    known: HashSet<KeyRef>,
    files: HashMap<PathBuf, Vec<KeyRef>>,
    listings: HashMap<PathBuf, Vec<KeyRef>>,
    /// All directories that lead to those, and theirs.
    directories: BTreeSet<PathBuf>,
}

/// What can be seen of paths, themselves and where they lead.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Signatures(HashMap<PathBuf, [Option<StatSignature>; 2]>);

impl Signatures {
    /// Takes over what is known of paths that were not looked at before.
    pub fn learn(&mut self, now: Signatures) {
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

/// How many links lead to a file at most, as for the system.
const MOST_LINKS: usize = 40;

/// How far the clock of a file system may be behind.
const MARGIN: Duration = Duration::from_secs(2);

fn signatures(path: &Path) -> [Option<StatSignature>; 2] {
    [fs::lstat(path), fs::stat(path)].map(|found| found.ok().map(|metadata| StatSignature::of(&metadata)))
}

/// What changed, as far as anybody looks at it.
#[derive(Debug)]
pub struct Touched {
    /// What to look at again.
    pub again: Again,
    /// Which paths changed, in order.
    pub paths: Vec<PathBuf>,
}

/// What a round did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Done {
    /// The targets that were analysed, source files among them; as JSON, with their configuration.
    pub analysed: HashSet<(String, String)>,
    /// The actions that were run, failed ones included, in the order in which they began.
    pub ran: Vec<Id>,
    /// How many actions the action cache knew.
    pub cached: usize,
}

impl Leaves {
    /// Notes what a session looked at so far.
    pub fn note(&mut self, session: &Session, repositories: &RepoConfig) {
        let roots: Vec<PathBuf> = (repositories.repositories.values())
            .flat_map(|r| [&r.workspace_root, &r.target_root, &r.rule_root, &r.expression_root])
            .map(|root| PathBuf::from(root.path.as_str()))
            .collect();
        for leaf in session.build.leaves() {
            // Where a file's links lead may have changed since.
            if !self.known.insert(leaf.clone()) && leaf.rule() != "file" {
                continue;
            }
            let place = leaf.downcast::<Place>().map(|place| place.full(&repositories.roots));
            let of_artifact = || match &leaf.downcast::<ArtifactKey>()?.0 {
                Artifact::Local { path, repository } => source_file(repositories, repository, path),
                _ => None,
            };
            let Some(path) = place.or_else(of_artifact) else { continue };
            let is_listing = leaf.rule() == "dir";
            if leaf.rule() == "file" {
                self.follow(&path, &leaf);
            }
            // What lies above is watched as far as the root goes: links and directories there may change, too.
            let inside = |above: &&Path| roots.iter().any(|root| above.starts_with(root));
            let first = usize::from(!is_listing);
            let above = path.ancestors().skip(first).take_while(inside).map(Path::to_owned);
            self.directories.extend(above);
            self.directories.extend(path.ancestors().nth(first).map(Path::to_owned));
            let leaves = if is_listing { &mut self.listings } else { &mut self.files };
            let leaves = leaves.entry(path).or_default();
            if !leaves.contains(&leaf) {
                leaves.push(leaf);
            }
        }
    }

    /// Notes the files that one leads to by links: who reads it reads the last of them, wherever that lies.
    fn follow(&mut self, path: &Path, leaf: &KeyRef) {
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            let (Ok(target), Some(above)) = (fs::read_link(&path), path.parent()) else { return };
            // By the directory as it is, since what `..` means depends on links there.
            let Ok(above) = fs::canonicalize(above) else { return };
            path = fs::normal(&above.join(target));
            self.directories.extend(path.parent().map(Path::to_owned));
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

    /// What can be seen of everything that was looked at, without looking into it.
    pub fn signatures(&self) -> Signatures {
        let paths = self.files.keys().chain(self.listings.keys());
        Signatures(paths.map(|path| (path.clone(), signatures(path))).collect())
    }

    /// Whether anything in some directories, or these, may have changed since a time.
    pub fn changed_since(&self, directories: &HashSet<PathBuf>, since: SystemTime) -> bool {
        let since = since.checked_sub(MARGIN).unwrap_or(since);
        let since = since.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as i128;
        let inside = |path: &&PathBuf| path.parent().is_some_and(|above| directories.contains(above));
        let files = self.files.keys().filter(inside).chain(self.listings.keys().filter(inside));
        files.chain(directories).any(|path| signatures(path).iter().flatten().any(|s| s.ctime >= since))
    }

    /// What is to be looked at again after some changes; `None` if they matter to nobody.
    pub fn touched(&self, noticed: &Noticed) -> Option<Touched> {
        let (mut leaves, mut paths, mut everything) = (Vec::new(), Vec::new(), noticed.lost);
        for (path, how) in &noticed.paths {
            let of_file = self.files.get(path);
            let of_listing = path.parent().filter(|_| how.entry).and_then(|above| self.listings.get(above));
            // Whatever lies below it looks different now.
            everything |= how.entry && self.directories.contains(path);
            if of_file.is_some() || how.entry {
                paths.push(path.clone());
            }
            leaves.extend(of_file.into_iter().chain(of_listing).flatten().cloned());
        }
        if everything {
            return Some(Touched { again: Again::Everything, paths });
        }
        (!leaves.is_empty()).then_some(Touched { again: Again::Only(leaves), paths })
    }
}

impl Session {
    /// Begins another round; everything but what is named is believed.
    pub fn begin_again(&mut self, again: &Again) {
        let mut next = self.engine.begin();
        match again {
            Again::Everything => next = next.scan(),
            Again::Only(leaves) => {
                // Whoever only has another time, or was written again, is no change to anybody above.
                let engine = &self.engine;
                for leaf in leaves {
                    if let Some(artifact) = leaf.downcast::<ArtifactKey>() {
                        if !engine.confirms::<ArtifactRule>(artifact) {
                            next = next.changed::<ArtifactRule>(artifact);
                        }
                    } else if let Some(place) = leaf.downcast::<Place>() {
                        next = match leaf.rule() {
                            "dir" if engine.confirms::<DirRule>(place) => next,
                            "dir" => next.changed::<DirRule>(place),
                            _ if engine.confirms::<FileRule>(place) => next,
                            _ => next.changed::<FileRule>(place),
                        };
                    }
                }
            }
        }
        self.build = begin(next, self.jobs);
        self.execution.halt.reset();
        self.execution.counters.reset();
        self.ends.reset();
    }

    /// Analyses the target of the request. What an earlier round came to is taken over if no target had to be
    /// analysed again, so that a round costs what the change demands, however large the request is.
    ///
    /// # Errors
    /// Everything that is wrong; at least one diagnostic.
    pub fn analyse_again(
        &self,
        request: &Request,
        before: Option<Arc<Analysis>>,
    ) -> Result<Arc<Analysis>, Diagnostics> {
        let asked = ConfiguredTarget {
            name: EntityName::Named(request.target.clone()),
            config: Config::new(request.configuration.clone()),
        };
        let analysed = self.build.get::<TargetRule>(asked.clone());
        let analysed = analysed.map_err(|fail| diagnostics(fail, &self.build, &request.repositories))?;
        let is_of_this = |before: &Arc<Analysis>| {
            before.target.name == asked.name
                && before.target.config == asked.config.without_nulls()
                && Arc::ptr_eq(&before.analysed, &analysed)
        };
        match before.filter(is_of_this) {
            Some(before) if self.done().analysed.is_empty() => Ok(before),
            _ => self.analyse(request).map(Arc::new),
        }
    }

    /// Whether the present round may have looked where no round before did: it did anything but look at sources
    /// and run actions, which look where their definitions say.
    pub fn looked_around(&self) -> bool {
        self.build.log().iter().any(|ran| {
            let key = &ran.key;
            let is_execution =
                key.downcast::<ArtifactKey>().is_some() || key.downcast::<ActionKey>().is_some();
            !is_execution && !matches!(key.rule(), "stage" | "run")
        })
    }

    /// Builds what is wanted; unlike [`Session::build`], tells nothing of actions that nobody had to look at.
    ///
    /// # Errors
    /// Everything that failed.
    pub fn build_again(&self, wanted: &Wanted) -> Result<Results, BuildFailure> {
        let built = self.build_all(wanted);
        self.refresh(wanted);
        self.commit();
        built
    }

    /// What the present round did so far.
    pub fn done(&self) -> Done {
        let mut done = Done::default();
        for ran in self.build.log() {
            if let Some(target) = ran.key.downcast::<ConfiguredTarget>() {
                if let Subject::Target { name, config } = Subject::target(target) {
                    done.analysed.insert((name.to_string(), config.to_string()));
                }
            } else if let Some(ActionKey(id)) = ran.key.downcast::<ActionKey>() {
                match self.ends.of(id) {
                    Some(How::Cached) => done.cached += 1,
                    Some(_) => done.ran.push(*id),
                    None => {}
                }
            }
        }
        done
    }
}
