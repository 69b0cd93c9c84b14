//! Where the runs of tasks are kept: one file for each set of circumstances that tasks take for granted, and the roots.
//!
//! Where nothing is kept of these roots, but of others of the same shape, what is known of those is what is known at
//! first: another checkout of the same.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use taut_analysis::module_file;
use taut_engine::{Builder, Committed, Engine, FileTrouble};
use taut_store::{OwnDirectory, Store};
use taut_sys::fs;
use taut_value::Id;

use crate::{Request, RequestKey, recent, talkers, trouble::Trouble};

/// Where the runs of tasks are kept, if anywhere.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    file: Option<PathBuf>,
    /// The file of targets that the request is about.
    module: Option<PathBuf>,
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
    pub fn of(store: &Store, meaning: &str, request: &Request) -> Runs {
        let repositories = &request.repositories;
        let module = || {
            let repository = repositories.repositories.get(&request.target.repository)?;
            let file = &repository.target_file_name;
            Some(module_file(&repository.target_root, &request.target.module, file).full(&repositories.roots))
        };
        let module = module();
        let directory = || {
            let directory = store.own_directory("runs")?;
            fs::create_dir_all(directory.path())?;
            Ok(directory)
        };
        let trouble = Trouble::default();
        let directory = directory().map_err(|error: taut_store::Error| trouble.unreadable(error));
        let mut is_collected = false;
        let file = || {
            let directory = directory.ok()?;
            let shape = RequestKey::new(&format!("{meaning}\n{}", repositories.shape()))?.0.to_hex();
            let here = Id::of(format!("{repositories:?}")).to_hex();
            let name = format!("{}-{}", &shape[..32], &here[..32]);
            let file = directory.path().join(&name);
            if fs::lstat(&file).is_err() {
                is_collected = bring(&directory, &name).unwrap_or_else(|error| {
                    trouble.unreadable(error);
                    false
                });
                // What is not found there costs time, not more.
                let known = || take_over(&directory, &shape[..32], module.as_ref()?, &file);
                // Who only analyses has no runs in which anybody speaks.
                let fresh =
                    || talkers::begin(&file, HashSet::new()).map_err(|error| trouble.unkept(error)).ok();
                is_collected.then_some(()).or_else(known).or_else(fresh)?;
                recent::drop_old(directory.path(), MOST, MOST_BYTES);
            } else {
                recent::touch(&file);
            }
            Some(file)
        };
        let file = file();
        Runs { file, module, is_collected, trouble }
    }

    /// Whether garbage was collected since they were last used.
    pub(crate) fn is_collected(&self) -> bool {
        self.is_collected
    }

    /// Notes what the module of the request says, so that other checkouts of it find these runs.
    fn mark(&self) {
        let (Some(file), Some(module)) = (&self.file, &self.module) else { return };
        let (Some(mark), marks) = (mark(module), file.with_extension(MARKS)) else { return };
        let known = fs::read(&marks).unwrap_or_default();
        if has_mark(&known, &mark) {
            return;
        }
        let is_full = known.len() >= 32 * MOST_MARKS;
        let out = if is_full { fs::create(&marks) } else { fs::append(&marks) };
        // Who is not found is not of use.
        let _ = out.and_then(|mut out| fs::write_all(&mut out, &marks, &mark.0));
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
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// An engine that knows these runs.
    pub(crate) fn open(&self, builder: Builder) -> Engine {
        match &self.file {
            Some(file) => builder.open(file),
            None => builder.build(),
        }
    }
}

/// How many files are kept, one for each of some circumstances: checkouts, programs, how actions are to be run.
const MOST: usize = 32;

/// How many bytes they may have together, unless the latest alone has more.
const MOST_BYTES: u64 = 1 << 30;

/// Ends the names of files that say of which modules there are runs.
const MARKS: &str = "of";

/// How many of these are noted.
const MOST_MARKS: usize = 64;

/// What tells a module from others.
fn mark(module: &Path) -> Option<Id> {
    Some(Id::of(fs::read_regular(module).ok()??))
}

fn has_mark(marks: &[u8], mark: &Id) -> bool {
    marks.as_chunks::<32>().0.contains(&mark.0)
}

/// Moves a file of runs up, with what lies beside it, if it lies in the older generation.
fn bring(directory: &OwnDirectory, name: &str) -> taut_store::Result<bool> {
    // In this order: that somebody speaks is there before the run in which he does.
    for path in [Path::new(name).with_extension(MARKS), talkers::beside(Path::new(name))] {
        directory.bring(&path.to_string_lossy())?;
    }
    directory.bring(name)
}

/// Begins a file of runs as the latest one of the same shape and module is; `None` if there is none.
fn take_over(directory: &OwnDirectory, shape: &str, module: &Path, file: &Path) -> Option<()> {
    let mark = mark(module)?;
    let is_of_shape = |name: &str| name.strip_prefix(shape).is_some_and(|rest| rest.len() == 33);
    let found = [Some(directory.path()), directory.older()].into_iter().flatten().flat_map(|directory| {
        let names = fs::list(directory).unwrap_or_default().into_iter();
        let names = names.filter_map(|(name, _)| name.into_string().ok());
        names.filter(|name| is_of_shape(name)).map(|name| directory.join(name)).collect::<Vec<_>>()
    });
    let found =
        found.filter(|path| fs::read(&path.with_extension(MARKS)).is_ok_and(|marks| has_mark(&marks, &mark)));
    let latest = found.filter_map(|path| Some((fs::stat(&path).ok()?.modified().ok()?, path))).max()?.1;
    let runs = fs::read(&latest).ok()?;
    // In this order, as above.
    talkers::begin(file, talkers::read(&latest)?).ok()?;
    let temporary = file.with_extension(format!("{}", std::process::id()));
    let mut out = fs::create(&temporary).ok()?;
    fs::write_all(&mut out, &temporary, &runs).ok()?;
    fs::rename(&temporary, file).ok()
}
