//! Where the runs of tasks are kept: one file for each set of circumstances that tasks take for granted, and the roots.
//!
//! Where nothing is kept of these roots, but of others of the same shape, what is known of those is what is known at
//! first: another checkout of the same.

use std::collections::HashSet;
use std::sync::Arc;

use taut_analysis::module_file;
use taut_engine::{Builder, Committed, Engine, FileTrouble};
use taut_repos::{Place, RepoConfig, Roots};
use taut_store::{OwnDirectory, Store};
use taut_value::{Id, NamedTarget};

use crate::{Meaning, Request, RequestKey, recent, runs_file::RunsFile, talkers, trouble::Trouble};

/// The name of the file beside a file of runs that says of which modules there are runs.
fn marks_of(name: &str) -> String {
    format!("{name}.of")
}

/// A file of targets.
#[derive(Clone, Debug)]
struct Module {
    roots: Arc<Roots>,
    place: Place,
}

impl Module {
    fn of(repositories: &RepoConfig, target: &NamedTarget) -> Option<Module> {
        let repository = repositories.repositories.get(&target.repository)?;
        let name = &repository.target_file_name;
        let place = module_file(&repository.target_root, &target.module, name);
        Some(Module { roots: repositories.roots.clone(), place })
    }

    /// What tells it from others: what it says.
    fn mark(&self) -> Option<Id> {
        Some(Id::of(self.place.read(&self.roots).ok()??))
    }
}

/// What tells several from others: of one, its own mark; else the hash of all marks, in order. `None` if there is none,
/// or one cannot be read.
fn mark_of(modules: &[Module]) -> Option<Id> {
    match modules {
        [] => None,
        [one] => one.mark(),
        several => {
            let marks: Vec<[u8; 32]> =
                several.iter().map(|module| Some(module.mark()?.0)).collect::<Option<_>>()?;
            Some(Id::of(marks.as_flattened()))
        }
    }
}

/// Where the runs of tasks are kept, if anywhere.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    file: Option<RunsFile>,
    /// The files of targets that the request is about.
    modules: Vec<Module>,
    is_collected: bool,
    trouble: Trouble,
}

impl Runs {
    /// Nowhere: nothing is believed, and nothing kept.
    pub fn none() -> Runs {
        Runs::default()
    }

    /// In a store; `meaning` is everything that tasks take for granted, but for the repositories. Where nothing is
    /// kept of these, but of others of the same shape that lie elsewhere and had the same targets in the module of
    /// the request, that is what is known at first: as with any change, every file is looked at, and what has the
    /// same content is as it was.
    pub fn of(store: &Store, meaning: &Meaning, request: &Request) -> Runs {
        let trouble = Trouble::default();
        let modules = request.targets.iter().map(|target| Module::of(&request.repositories, target));
        let modules: Vec<Module> = modules.collect::<Option<_>>().unwrap_or_default();
        let directory = store.own_directory("runs").map_err(|error| trouble.unreadable(error));
        let mut is_collected = false;
        let file = || {
            let directory = Arc::new(directory.ok()?);
            let shape = RequestKey::of_shape(meaning, request)?.0.to_hex();
            let here = Id::of(request.repositories.identity()).to_hex();
            let name = format!("{}-{}", &shape[..32], &here[..32]);
            let file = RunsFile::new(directory.clone(), name);
            if file.file().lstat().is_err() {
                is_collected = bring(&directory, file.name()).unwrap_or_else(|error| {
                    trouble.unreadable(error);
                    false
                });
                // What is not found there costs time, not more.
                let known = || take_over(&directory, &shape[..32], mark_of(&modules)?, &file);
                // A call that only analyses has no runs of actions with output.
                let fresh = || {
                    let begun = talkers::begin(file.dir(), file.name(), HashSet::new());
                    begun.map_err(|error| trouble.unkept(error)).ok()
                };
                is_collected.then_some(()).or_else(known).or_else(fresh)?;
                recent::drop_old(file.dir(), MOST, MOST_BYTES);
            } else {
                recent::touch(file.file());
            }
            Some(file)
        };
        let file = file();
        Runs { file, modules, is_collected, trouble }
    }

    /// Whether garbage was collected since they were last used.
    pub(crate) fn is_collected(&self) -> bool {
        self.is_collected
    }

    /// Notes what the module of the request says, so that other checkouts of it find these runs.
    fn mark(&self) {
        let (Some(file), Some(mark)) = (&self.file, mark_of(&self.modules)) else {
            return;
        };
        let name = marks_of(file.name());
        let at = file.dir().at(&name);
        let known = at.read().unwrap_or_default();
        if has_mark(&known, &mark) {
            return;
        }
        // A checkout that is not found is analysed anew, not more.
        let _ = if known.len() >= 32 * MOST_MARKS {
            at.replace(&mark.0)
        } else {
            at.append().and_then(|mut out| out.write_all(&mark.0))
        };
    }

    /// What went wrong with all that outlives the call.
    pub(crate) fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    /// What went wrong with the engine's file, too.
    pub(crate) fn troubled(&self, engine: &Engine) -> Option<String> {
        match engine.trouble() {
            Some(FileTrouble::Damaged) => self.trouble.damaged("runs"),
            Some(FileTrouble::Unreadable(error)) => self.trouble.unreadable(error),
            None => {}
        }
        self.trouble.take()
    }

    /// Keeps the runs of tasks. Those that are not kept cost time, not more.
    pub(crate) fn commit(&self, engine: &Engine) {
        let Committed { bytes, .. } = engine.commit().unwrap_or_else(|error| {
            self.trouble.unkept(error);
            Committed::default()
        });
        if bytes > 0 {
            self.mark();
        }
    }

    /// The file, if there is one.
    pub(crate) fn file(&self) -> Option<&RunsFile> {
        self.file.as_ref()
    }

    /// An engine that knows these runs.
    pub(crate) fn open(&self, builder: Builder) -> Engine {
        match &self.file {
            Some(file) => builder.open_with(file.clone()),
            None => builder.build(),
        }
    }
}

/// How many files are kept, one for each of some circumstances: checkouts, programs, how actions are to be run.
const MOST: usize = 32;

/// How many bytes they may have together, unless the latest alone has more.
const MOST_BYTES: u64 = 1 << 30;

/// How many of these are noted.
const MOST_MARKS: usize = 64;

fn has_mark(marks: &[u8], mark: &Id) -> bool {
    marks.as_chunks::<32>().0.contains(&mark.0)
}

/// Moves a file of runs up, with what lies beside it, if it lies in the older generation.
fn bring(directory: &OwnDirectory, name: &str) -> taut_store::Result<bool> {
    // In this order: that an action has output is there before the run in which it has.
    for name in [marks_of(name), talkers::beside(name)] {
        directory.bring(&name)?;
    }
    directory.bring(name)
}

/// Begins a file of runs as the latest one of the same shape and module is; `None` if there is none.
fn take_over(directory: &OwnDirectory, shape: &str, mark: Id, file: &RunsFile) -> Option<()> {
    let is_of_shape = |name: &str| name.strip_prefix(shape).is_some_and(|rest| rest.len() == 33);
    let mut latest = None;
    for directory in [Some(directory.dir()), directory.older()].into_iter().flatten() {
        let names = directory.list().unwrap_or_default().into_iter();
        let names = names.filter_map(|(name, _)| name.into_string().ok());
        for name in names.filter(|name| is_of_shape(name)) {
            let marks = directory.at(&marks_of(&name)).read();
            if marks.is_ok_and(|marks| has_mark(&marks, &mark))
                && let Ok(stat) = directory.at(&name).lstat()
            {
                let (when, found) = (stat.modified(), (directory, name));
                if latest.as_ref().is_none_or(|(before, _)| *before < when) {
                    latest = Some((when, found));
                }
            }
        }
    }
    let (_, (from, name)) = latest?;
    let runs = from.at(&name).read().ok()?;
    // In this order, as above.
    talkers::begin(file.dir(), file.name(), talkers::read(from, &name)?).ok()?;
    file.file().replace(&runs).ok()
}
