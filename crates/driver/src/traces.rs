//! What outlives the process: reports of requests, each with what it follows from, and the runs of tasks.
//!
//! A request is the root of everything a call does; its deep trace says what the leaves saw. That of a build is
//! in two parts, what analysis saw and what execution saw, each with what that came to: where only sources
//! changed, there is nothing to analyse. Where neither holds, the runs of all tasks in between are there, in one file for each set of circumstances that
//! tasks take for granted. All of it ages with the youngest generation of the store: garbage collection that
//! could take away an object which a trace names takes the trace first. A trace that cannot be read costs
//! time, nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use taut_analysis::module_file;
use taut_engine::{Build, Builder, Committed, DeepTrace, Engine, FileTrouble, Hash, Terminal, Verdict};
use taut_store::Store;
use taut_sys::{StatSignature, fs};
use taut_value::Id;

use crate::{Request, census::Census, talkers::Talkers, trouble::Trouble};

/// Where the runs of tasks are kept, if anywhere.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    file: Option<PathBuf>,
    /// The file of targets that the request is about.
    module: Option<PathBuf>,
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
            let directory = store.own_directory()?.join("runs");
            fs::create_dir_all(&directory)?;
            Ok(directory)
        };
        let trouble = Trouble::default();
        let directory = directory().map_err(|error: taut_store::Error| trouble.unreadable(error));
        let file = || {
            let directory = directory.ok()?;
            let shape = RequestKey::new(&format!("{meaning}\n{}", repositories.shape()))?.0.to_hex();
            let here = Id::of(format!("{repositories:?}")).to_hex();
            let file = directory.join(format!("{}-{}", &shape[..32], &here[..32]));
            if fs::lstat(&file).is_err() {
                // What is not found there costs time, not more.
                let known =
                    module.as_ref().and_then(|module| take_over(&directory, &shape[..32], module, &file));
                // Who only analyses has no runs in which anybody speaks.
                known.or_else(|| Talkers::new(Some(&file)).keep().then_some(()))?;
            }
            Some(file)
        };
        Runs { file: file(), module, trouble }
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

/// Ends the names of files that say of which modules there are runs.
const MARKS: &str = "of";

/// How many of these are noted.
const MOST_MARKS: usize = 64;

/// What tells a module from others.
fn mark(module: &Path) -> Option<Id> {
    Some(Id::of(fs::read(module).ok()?))
}

fn has_mark(marks: &[u8], mark: &Id) -> bool {
    marks.as_chunks::<32>().0.contains(&mark.0)
}

/// Begins a file of runs as the latest one of the same shape and module is; `None` if there is none.
fn take_over(directory: &Path, shape: &str, module: &Path, file: &Path) -> Option<()> {
    let mark = mark(module)?;
    let is_of_shape = |name: &str| name.strip_prefix(shape).is_some_and(|rest| rest.len() == 33);
    let names = fs::list(directory).ok()?.into_iter().filter_map(|(name, _)| name.into_string().ok());
    let found = names.filter(|name| is_of_shape(name)).map(|name| directory.join(name));
    let found =
        found.filter(|path| fs::read(&path.with_extension(MARKS)).is_ok_and(|marks| has_mark(&marks, &mark)));
    let latest = found.filter_map(|path| Some((fs::stat(&path).ok()?.modified().ok()?, path))).max()?.1;
    // In this order: that somebody speaks is written before the run in which he does.
    let runs = fs::read(&latest).ok()?;
    let talkers = fs::read(&Talkers::beside(&latest)).ok()?;
    for (path, bytes) in [(Talkers::beside(file), talkers), (file.to_owned(), runs)] {
        let temporary = path.with_extension(format!("{}", std::process::id()));
        let mut out = fs::create(&temporary).ok()?;
        fs::write_all(&mut out, &temporary, &bytes).ok()?;
        fs::rename(&temporary, &path).ok()?;
    }
    Some(())
}

/// How many results are kept of one request: switching back to an earlier state finds its report.
const KEPT: usize = 4;

/// The place of all traces of a store.
#[derive(Clone, Debug)]
pub struct Traces {
    directory: PathBuf,
    trouble: Trouble,
}

/// Names a request by everything that its report depends on, but for what leaves see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestKey(Id);

impl RequestKey {
    /// The key for a meaning in words. This program is part of it: another one may come to other results.
    /// `None` if it cannot tell which program it is.
    pub fn new(meaning: &str) -> Option<RequestKey> {
        let program = StatSignature::of(&fs::stat(Path::new("/proc/self/exe")).ok()?);
        Some(RequestKey(Id::of(format!("{} {program:?}\n{meaning}", env!("CARGO_PKG_VERSION")))))
    }
}

fn seal(bytes: &[u8]) -> Hash {
    Hash(Id::of(bytes).0)
}

impl Traces {
    /// The traces kept in a store; `None` if it can keep none.
    pub fn of(store: &Store) -> Option<Traces> {
        let directory = store.own_directory().ok()?.join("requests");
        Some(Traces { directory, trouble: Trouble::default() })
    }

    /// What went wrong with them.
    pub(crate) fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    fn of_request(&self, key: RequestKey) -> PathBuf {
        self.directory.join(key.0.to_hex())
    }

    /// The files of a request whose names are of a kind, latest first.
    fn kept(&self, key: RequestKey, is_of_kind: impl Fn(&str) -> bool) -> Vec<PathBuf> {
        let directory = self.of_request(key);
        let names = fs::if_exists(fs::list(&directory)).unwrap_or_else(|error| {
            self.trouble.unreadable(error);
            None
        });
        let names = names.unwrap_or_default();
        let mut kept: Vec<(std::time::SystemTime, PathBuf)> = (names.into_iter())
            .filter(|(name, _)| name.to_str().is_some_and(&is_of_kind))
            .map(|(name, _)| directory.join(name))
            .filter_map(|path| Some((fs::stat(&path).ok()?.modified().ok()?, path)))
            .collect();
        kept.sort_by(|a, b| b.cmp(a));
        kept.into_iter().map(|(_, path)| path).collect()
    }

    /// The first of the files of a request, latest first, that holds; the name of that file, and what it holds.
    fn holding(
        &self,
        engine: &Engine,
        key: RequestKey,
        is_of_kind: impl Fn(&str) -> bool,
    ) -> Option<(String, Vec<u8>)> {
        for (age, path) in self.kept(key, is_of_kind).into_iter().enumerate() {
            let Some(bytes) = self.read(&path) else { continue };
            let Some(mut trace) = DeepTrace::decode(&bytes, seal) else {
                self.trouble.damaged("requests");
                forget(&path);
                continue;
            };
            if let Verdict::Holds { refreshed } = engine.agrees(&mut trace) {
                if refreshed || age > 0 {
                    self.write(key, &path, &trace.encode(seal));
                }
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                return Some((name, trace.value));
            }
        }
        None
    }

    /// The report of a request, if what it follows from is as it was.
    pub(crate) fn find(&self, engine: &Engine, key: RequestKey) -> Option<Vec<u8>> {
        self.holding(engine, key, is_of_description).map(|(_, report)| report)
    }

    /// Keeps a report with what it follows from, if all of that can be checked later.
    pub(crate) fn keep(&self, build: &Build, key: RequestKey, value: Vec<u8>) {
        let Some(terminals) = build.terminals() else { return };
        let path = self.of_request(key).join(name_of(&terminals));
        self.write(key, &path, &DeepTrace { terminals, value }.encode(seal));
        self.drop_old(key, is_of_description);
    }

    /// What earlier calls left of a build's request. A report for which `is_sound` says no does not count.
    pub(crate) fn recall(
        &self,
        engine: &Engine,
        key: RequestKey,
        is_sound: impl FnOnce(&[u8]) -> bool,
    ) -> Recalled {
        let sound = |bytes: &[u8]| -> Option<(String, Arc<Census>)> {
            let (sealed, rest) = bytes.split_first_chunk::<32>()?;
            let (name, census) = rest.split_at_checked(64)?;
            let name = String::from_utf8(name.to_vec()).ok()?;
            let is_sound = seal(rest).0 == *sealed;
            Some((name, Arc::new(Census::decode(census).filter(|_| is_sound)?)))
        };
        let census = || {
            let path = self.of_request(key).join(CENSUS);
            let bytes = self.read(&path)?;
            sound(&bytes).or_else(|| {
                self.trouble.damaged("requests");
                None
            })
        };
        let Some((name, described)) = self.holding(engine, key, is_of_description) else {
            return Recalled { census: census().map(|(_, census)| census), described: None, report: None };
        };
        let report = self.holding(engine, key, |other| is_of_build(other, &name)).map(|(_, report)| report);
        let report = report.filter(|report| is_sound(report));
        if report.is_some() {
            return Recalled { census: None, described: Some((described, name)), report };
        }
        match census() {
            Some((of, census)) => {
                let described = (of == name).then_some((described, name));
                Recalled { census: Some(census), described, report: None }
            }
            None => Recalled::default(),
        }
    }

    /// Keeps what analysis of a request came to, if it is not that which was recalled, and what its build came to.
    pub(crate) fn keep_build(
        &self,
        build: &Build,
        key: RequestKey,
        census: &Census,
        described: Described<'_>,
        report: Option<Vec<u8>>,
    ) {
        let Some(terminals) = build.terminals() else { return };
        let is_seen_by_analysis = |terminal: &Terminal| matches!(&*terminal.rule.0, "dir" | "file");
        let (of_description, of_build): (Vec<_>, Vec<_>) =
            terminals.into_iter().partition(is_seen_by_analysis);
        let name = match described {
            Described::Before(name) => name.to_owned(),
            Described::Now(value) => {
                let name = name_of(&of_description);
                let path = self.of_request(key).join(&name);
                let census = [name.as_bytes(), &census.encode()].concat();
                // Who finds the one without the other, or with another one's, does without.
                self.write(
                    key,
                    &self.of_request(key).join(CENSUS),
                    &[&seal(&census).0[..], &census].concat(),
                );
                self.write(key, &path, &DeepTrace { terminals: of_description, value }.encode(seal));
                for old in self.drop_old(key, is_of_description) {
                    self.kept(key, |other| is_of_build(other, &old)).iter().for_each(|path| forget(path));
                }
                name
            }
        };
        if let Some(value) = report {
            let path = self.of_request(key).join(format!("{name}-{}", &name_of(&of_build)[..32]));
            self.write(key, &path, &DeepTrace { terminals: of_build, value }.encode(seal));
            self.drop_old(key, |other| is_of_build(other, &name));
        }
    }

    /// What is in a file, if there is one.
    fn read(&self, path: &Path) -> Option<Vec<u8>> {
        fs::if_exists(fs::read(path)).unwrap_or_else(|error| {
            self.trouble.unreadable(error);
            None
        })
    }

    /// Removes what is too much of a kind; returns the names.
    fn drop_old(&self, key: RequestKey, is_of_kind: impl Fn(&str) -> bool) -> Vec<String> {
        let old = self.kept(key, is_of_kind).into_iter().skip(KEPT);
        old.map(|path| {
            forget(&path);
            path.file_name().unwrap_or_default().to_string_lossy().into_owned()
        })
        .collect()
    }

    /// Writes a file, as a whole or not at all. One that is not kept costs time, not more.
    fn write(&self, key: RequestKey, path: &Path, bytes: &[u8]) {
        let temporary = path.with_extension(format!("{}", std::process::id()));
        let written = fs::create_dir_all(&self.of_request(key)).and_then(|()| {
            let mut file = fs::create(&temporary)?;
            fs::write_all(&mut file, &temporary, bytes)?;
            fs::rename(&temporary, path)
        });
        if let Err(error) = written {
            self.trouble.unkept(error);
            forget(&temporary);
        }
    }
}

/// What is not there any more is as good as removed.
fn forget(path: &Path) {
    let _ = fs::remove_file(path);
}

/// What is known of a request before anything is done for it.
#[derive(Default)]
pub(crate) struct Recalled {
    /// Who was reached by an earlier call; if there is a description: by analysis of just that.
    pub(crate) census: Option<Arc<Census>>,
    /// What analysis comes to, and under which name that is kept.
    pub(crate) described: Option<(Vec<u8>, String)>,
    /// What the build comes to; then nothing has to be done.
    pub(crate) report: Option<Vec<u8>>,
}

/// Where what analysis came to is kept.
pub(crate) enum Described<'d> {
    /// Under this name, by an earlier call.
    Before(&'d str),
    /// Nowhere yet.
    Now(Vec<u8>),
}

/// The file of the census that goes with the latest description.
const CENSUS: &str = "census";

/// Whether this is a file of what analysis came to.
fn is_of_description(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether this is a file of what a build of a description came to.
fn is_of_build(name: &str, description: &str) -> bool {
    let rest = name.strip_prefix(description).and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A name for what leaves saw.
fn name_of(terminals: &[Terminal]) -> String {
    let mut seen = Vec::new();
    for terminal in terminals {
        seen.extend(terminal.key.iter().chain(&terminal.hash.0));
    }
    Id::of(seen).to_hex()
}
