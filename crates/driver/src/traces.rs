//! The engine's file of traces for a request: one for each version of the program, shape of the repositories, and set
//! of roots.
//!
//! A new checkout begins with a copy of the file of another checkout of the same shape whose target files have the same
//! content, so its first build compares contents instead of analysing and running everything.

use std::sync::Arc;

use taut_analysis::module_file;
use taut_engine::{Builder, Engine, FileProblem, Options, renumber};
use taut_repos::{FileRule, RootPath};
use taut_store::{EpochDir, Store};
use taut_value::Id;

use crate::{
    UnresolvedRequest,
    cache_warning::CacheWarning,
    context::{program_key, shape_key},
    lru,
    trace_file::StoredTraces,
};

/// The file of traces of a request, if cached build state is used.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    file: Option<StoredTraces>,
    warning: CacheWarning,
}

/// How many files are kept: one for each checkout and program.
// A file has megabytes, and a program that was built anew begins another one for each checkout.
const MAX_FILES: usize = 32;

/// How many files of requests that roots are computed from are kept.
const MAX_ROOT_FILES: usize = 256;

/// The number of versions of the program whose files of computed roots are kept.
const MAX_PROGRAMS: usize = 4;

/// What a file of traces is of.
enum TraceKind {
    Requests,
    Roots,
}

/// How many bytes they may have together, unless the latest alone has more.
const MAX_TOTAL_BYTES: u64 = 1 << 30;

impl Traces {
    /// No file: cached build state is ignored, and none is written.
    pub fn none() -> Traces {
        Traces::default()
    }

    /// The file in a store. If no file is kept for the roots of the request, but one for other roots of the same shape
    /// with the same target files, it begins as a copy of that: every file is looked at, and what has the same content
    /// is unchanged.
    pub fn of(store: &Store, request: &UnresolvedRequest) -> Traces {
        Traces::of_kind(store, request, TraceKind::Requests)
    }

    /// The same for the request that a root is computed from. These files are kept apart, so that many roots do not
    /// displace what is built from them.
    pub(crate) fn of_root(store: &Store, request: &UnresolvedRequest) -> Traces {
        Traces::of_kind(store, request, TraceKind::Roots)
    }

    fn of_kind(store: &Store, request: &UnresolvedRequest, kind: TraceKind) -> Traces {
        let (name, max_files) = match kind {
            TraceKind::Requests => ("runs", MAX_FILES),
            TraceKind::Roots => ("root-runs", MAX_ROOT_FILES),
        };
        let warning = CacheWarning::default();
        let directory = store.epoch_directory(name).map_err(|error| warning.unreadable(error));
        let file = || {
            let directory = Arc::new(directory.ok()?);
            let shape = shape_key(&request.repositories, store.hash_function())?.to_hex();
            let here = Id::of(request.repositories.identity()).to_hex();
            // 128 bits of each hash are enough against accidental collisions.
            let name = format!("{}-{}", &shape[..32], &here[..32]);
            let file = StoredTraces::new(directory.clone(), name);
            if file.file().lstat().is_err() {
                let is_there = directory.move_up(file.name()).unwrap_or_else(|error| {
                    warning.unreadable(error);
                    false
                });
                if !is_there {
                    // If there is no other checkout, the first build does all the work.
                    let _ = copy_from_other_checkout(&directory, &shape[..32], request, &file);
                }
                // Only here, where a file is about to be added: a null build lists no directory.
                lru::drop_old(file.dir(), max_files, MAX_TOTAL_BYTES);
            } else {
                lru::touch(file.file());
            }
            Some(file)
        };
        let file = file();
        Traces { file, warning }
    }

    /// The file of all computed roots in a store, whatever workspace they are of: their tasks are named by content.
    pub(crate) fn of_roots(store: &Store) -> Traces {
        let warning = CacheWarning::default();
        let directory = store.epoch_directory("roots").map_err(|error| warning.unreadable(error));
        let file = || {
            let directory = Arc::new(directory.ok()?);
            let name = program_key()?.to_hex()[..32].to_owned();
            let file = StoredTraces::new(directory.clone(), name);
            if file.file().lstat().is_err() {
                // A file of the older generation is used again, and does not go with it.
                directory.move_up(file.name()).map_err(|error| warning.unreadable(error)).ok();
                lru::drop_old(file.dir(), MAX_PROGRAMS, MAX_TOTAL_BYTES);
            } else {
                lru::touch(file.file());
            }
            Some(file)
        };
        let file = file();
        Traces { file, warning }
    }

    /// Identifies the generation of the store; empty without a file.
    pub(crate) fn generation(&self) -> &[u8] {
        self.file.as_ref().map(StoredTraces::generation).unwrap_or_default()
    }

    /// What went wrong, the engine's file included.
    pub(crate) fn take_warning(&self, engine: &Engine) -> Option<String> {
        match engine.file_problem() {
            // The engine begins anew without it, so this is a warning.
            Some(FileProblem::Damaged) => self.warning.damaged("runs"),
            Some(FileProblem::Unreadable(error)) => self.warning.unreadable(error),
            None => {}
        }
        self.warning.take()
    }

    /// Appends the new runs to the engine's file. If that fails, there is a warning, and later builds repeat the work.
    pub(crate) fn commit(&self, engine: &Engine) {
        if let Err(error) = engine.commit() {
            self.warning.not_written(error);
        }
    }

    /// Opens an engine on the traces of earlier calls.
    pub(crate) fn open(&self, builder: Builder) -> Engine {
        match &self.file {
            Some(file) => builder.open_with(file.clone()),
            None => builder.build(),
        }
    }
}

/// How many files of other checkouts are opened to find one with the same target files.
// Each is opened and compared, before the first build of a checkout begins.
const MAX_CANDIDATES: usize = 4;

/// Begins a file as a copy of the latest one of the same shape that was recorded with the present target files of the
/// request, if there is such a file.
fn copy_from_other_checkout(
    directory: &Arc<EpochDir>,
    shape: &str,
    request: &UnresolvedRequest,
    file: &StoredTraces,
) -> Option<()> {
    // A dash and 32 digits: names of locks and temporary files are longer.
    let is_of_shape = |name: &str| name.strip_prefix(shape).is_some_and(|rest| rest.len() == 33);
    let mut found = Vec::new();
    for (generation, open) in [
        (Some(directory.dir()), StoredTraces::new as fn(_, _) -> _),
        (directory.older(), StoredTraces::older),
    ] {
        let Some(generation) = generation else { continue };
        let names = generation.list().unwrap_or_default().into_iter();
        let names = names.filter_map(|(name, _)| name.into_string().ok());
        for name in names.filter(|name| is_of_shape(name)) {
            if let Ok(stat) = generation.at(&name).lstat() {
                found.push((stat.modified(), open(directory.clone(), name)));
            }
        }
    }
    // The latest first: it is the most likely one to have the present contents.
    found.sort_by_key(|(when, _)| std::cmp::Reverse(*when));
    let mut candidates = found.into_iter().take(MAX_CANDIDATES).map(|(_, candidate)| candidate);
    let known: StoredTraces = candidates.find(|candidate| has_same_target_files(candidate, request))?;
    // Without the lock on it: what another process appends meanwhile is cut short here at worst, and a batch that is
    // cut short does not count.
    let mut content = known.file().read().ok()?;
    // A process may still know an earlier file of this name, which this one may be a copy of a copy of.
    renumber(&mut content).then_some(())?;
    file.file().replace(&content).ok()
}

/// Whether a file was recorded with the present content of a targets file that a request is likely to need.
fn has_same_target_files(candidate: &StoredTraces, request: &UnresolvedRequest) -> bool {
    let repositories = &request.repositories;
    let engine = Engine::builder().rule(FileRule(repositories.roots.clone())).open_with(candidate.clone());
    // The engine reads its file when a build begins.
    let _build = engine.begin().commit(Options::default());
    request.likely_modules().iter().any(|(repository, module)| {
        let repository = repositories.repositories.get(repository);
        repository.is_some_and(|repository| {
            let name = &repository.target_file_name;
            let place: RootPath = module_file(&repository.target_root, module, name);
            engine.confirms::<FileRule>(&place)
        })
    })
}
