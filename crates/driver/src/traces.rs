//! Where the engine keeps what builds found out: one file for each program, shape of the repositories, and set of roots.
//!
//! Where there is none of these roots, but one of others of the same shape that knows the target files of the request as
//! they are, that is what is known at first: another checkout of the same.

use std::sync::Arc;

use taut_analysis::module_file;
use taut_engine::{Builder, Engine, FileProblem, Options};
use taut_repos::{FileRule, Place};
use taut_store::{OwnDirectory, Store};
use taut_value::Id;

use crate::{Request, cache_warning::CacheWarning, context::shape_key, lru, trace_file::StoredTraces};

/// Where what builds found out is kept, if anywhere.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    file: Option<StoredTraces>,
    warning: CacheWarning,
}

/// How many files are kept: one for each checkout and program.
const MAX_FILES: usize = 32;

/// How many bytes they may have together, unless the latest alone has more.
const MAX_BYTES: u64 = 1 << 30;

impl Traces {
    /// Nowhere: cached build state is ignored, and none is left.
    pub fn none() -> Traces {
        Traces::default()
    }

    /// In a store. Where nothing is kept of the roots of the request, but of others of the same shape that had the same
    /// target files, that is what is known at first: as with any change, every file is looked at, and what has the same
    /// content is unchanged.
    pub fn of(store: &Store, request: &Request) -> Traces {
        let warning = CacheWarning::default();
        let directory = store.own_directory("runs").map_err(|error| warning.unreadable(error));
        let file = || {
            let directory = Arc::new(directory.ok()?);
            let shape = shape_key(request)?.to_hex();
            let here = Id::of(request.repositories.identity()).to_hex();
            let name = format!("{}-{}", &shape[..32], &here[..32]);
            let file = StoredTraces::new(directory.clone(), name);
            if file.file().lstat().is_err() {
                let is_there = directory.bring(file.name()).unwrap_or_else(|error| {
                    warning.unreadable(error);
                    false
                });
                if !is_there {
                    // What is not found there costs time, not more.
                    let _ = take_over(&directory, &shape[..32], request, &file);
                }
                lru::drop_old(file.dir(), MAX_FILES, MAX_BYTES);
            } else {
                lru::touch(file.file());
            }
            Some(file)
        };
        let file = file();
        Traces { file, warning }
    }

    /// What tells the generation of the store from all others there were.
    pub(crate) fn generation(&self) -> &[u8] {
        self.file.as_ref().map(StoredTraces::generation).unwrap_or_default()
    }

    /// What went wrong, the engine's file included.
    pub(crate) fn take_warning(&self, engine: &Engine) -> Option<String> {
        match engine.file_problem() {
            Some(FileProblem::Damaged) => self.warning.damaged("runs"),
            Some(FileProblem::Unreadable(error)) => self.warning.unreadable(error),
            None => {}
        }
        self.warning.take()
    }

    /// Keeps what the engine found out. What is not kept costs time, not more.
    pub(crate) fn commit(&self, engine: &Engine) {
        if let Err(error) = engine.commit() {
            self.warning.unkept(error);
        }
    }

    /// An engine that knows what earlier calls found out.
    pub(crate) fn open(&self, builder: Builder) -> Engine {
        match &self.file {
            Some(file) => builder.open_with(file.clone()),
            None => builder.build(),
        }
    }
}

/// How many files of other checkouts are looked into.
const MAX_CANDIDATES: usize = 4;

/// Begins a file as the latest one of the same shape is that knows the target files of the request as they are; `None` if
/// there is none.
fn take_over(
    directory: &Arc<OwnDirectory>,
    shape: &str,
    request: &Request,
    file: &StoredTraces,
) -> Option<()> {
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
    found.sort_by_key(|(when, _)| std::cmp::Reverse(*when));
    let mut candidates = found.into_iter().take(MAX_CANDIDATES).map(|(_, candidate)| candidate);
    let known: StoredTraces = candidates.find(|candidate| knows(candidate, request))?;
    file.file().replace(&known.file().read().ok()?).ok()
}

/// Whether a file knows the target files of a request as they are.
fn knows(candidate: &StoredTraces, request: &Request) -> bool {
    let repositories = &request.repositories;
    let engine = Engine::builder().rule(FileRule(repositories.roots.clone())).open_with(candidate.clone());
    // The engine reads its file when a build begins.
    let _build = engine.begin().commit(Options::default());
    request.targets.iter().all(|target| {
        let repository = repositories.repositories.get(&target.repository);
        repository.is_some_and(|repository| {
            let name = &repository.target_file_name;
            let place: Place = module_file(&repository.target_root, &target.module, name);
            engine.confirms::<FileRule>(&place)
        })
    })
}
