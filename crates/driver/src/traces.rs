//! Reports of requests, each with what it follows from.
//!
//! A request is the root of everything a call does; its deep trace says what the leaves saw. That of a build is
//! in two parts, what analysis saw and what execution saw, each with what that came to: where only sources
//! changed, there is nothing to analyse. Where neither holds, the runs of all tasks in between are there (`runs.rs`).
//!
//! All of it ages as the objects of the store do. A report says of what its build is made that it is there, which is
//! true as long as that is in the youngest generation. So the first build of a request after a collection does not
//! believe its report: it brings what it is made from into that generation. A trace that cannot be read costs time,
//! nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use taut_engine::{Build, DeepTrace, Engine, Hash, Terminal, Verdict};
use taut_store::{OwnDirectory, Store};
use taut_sys::{At, if_exists};
use taut_value::Id;

use crate::{RequestKey, census::Census, recent, trouble::Trouble};

/// How many results are kept of one request: switching back to an earlier state finds its report.
const KEPT: usize = 4;

/// How many requests there are results of: each configuration of a target is one.
const MOST: usize = 64;

/// How many bytes they may have together, unless those of the latest request alone have more.
const MOST_BYTES: u64 = 1 << 29;

/// The place of all traces of a store.
#[derive(Clone, Debug)]
pub struct Traces {
    /// `None` if the build root has no room for it.
    directory: Option<Arc<OwnDirectory>>,
    trouble: Trouble,
}

fn seal(bytes: &[u8]) -> Hash {
    Hash(Id::of(bytes).0)
}

impl Traces {
    /// The traces kept in a store. If it can keep none, that is told.
    pub fn of(store: &Store) -> Traces {
        let trouble = Trouble::default();
        let directory = store.own_directory("requests").map_err(|error| trouble.unreadable(error));
        Traces { directory: directory.ok().map(Arc::new), trouble }
    }

    /// What went wrong with them.
    pub(crate) fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    /// The directory of a request, below that of all.
    fn of_request(&self, key: RequestKey) -> PathBuf {
        key.0.to_hex().into()
    }

    fn at<'p>(&'p self, path: &'p Path) -> Option<At<'p>> {
        Some(self.directory.as_ref()?.dir().at(path))
    }

    /// Moves up what is kept of a request, if that lies in the older generation.
    fn bring(&self, key: RequestKey) {
        let (name, to) = (key.0.to_hex(), self.of_request(key));
        let (Some(directory), Some(place)) = (&self.directory, self.at(&to)) else { return };
        recent::touch(place);
        let Some(older) = directory.older() else { return };
        let bring = || {
            if place.exists()? || !older.at(&name).exists()? {
                return Ok(());
            }
            // In this order: whoever finds the one finds the other.
            older.at(&name).open_dir()?.at(COLLECTED).append()?;
            directory.bring(&name).map(drop)
        };
        if let Err(error) = bring() {
            let error: taut_store::Error = error;
            self.trouble.unreadable(error);
        }
    }

    /// Whether garbage was collected since all that the build of a request is made from was last looked after.
    fn is_collected(&self, key: RequestKey) -> bool {
        self.at(&self.of_request(key).join(COLLECTED)).is_some_and(|at| at.lstat().is_ok())
    }

    /// Notes that all of it is in the youngest generation.
    pub(crate) fn is_refreshed(&self, key: RequestKey) {
        self.forget(&self.of_request(key).join(COLLECTED));
    }

    /// The files of a request whose names are of a kind, latest first.
    fn kept(&self, key: RequestKey, is_of_kind: impl Fn(&str) -> bool) -> Vec<PathBuf> {
        let directory = self.of_request(key);
        let Some(at) = self.at(&directory) else { return Vec::new() };
        let open = if_exists(at.open_dir());
        let names = open.and_then(|open| open.map(|open| open.list()).transpose()).unwrap_or_else(|error| {
            self.trouble.unreadable(error);
            None
        });
        let names = names.unwrap_or_default();
        let mut kept: Vec<(std::time::SystemTime, PathBuf)> = (names.into_iter())
            .filter(|(name, _)| name.to_str().is_some_and(&is_of_kind))
            .map(|(name, _)| directory.join(name))
            .filter_map(|path| Some((self.at(&path)?.lstat().ok()?.modified(), path)))
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
        // Leaves that see something else now than in an earlier trace: the others likely differ there, too. To look at
        // one leaf first spares a look at all that come before it.
        let mut differing: Vec<((String, u32), Vec<u8>)> = Vec::new();
        for (age, path) in self.kept(key, is_of_kind).into_iter().enumerate() {
            let Some(bytes) = self.read(&path) else { continue };
            let differs = |(rule, key): &((String, u32), Vec<u8>)| {
                let terminal = DeepTrace::terminal_of(&bytes, rule, key);
                terminal.is_some_and(|terminal| {
                    let mut one = DeepTrace { terminals: vec![terminal], value: Vec::new() };
                    matches!(engine.agrees(&mut one), Verdict::Differs { .. })
                })
            };
            if differing.iter().any(differs) {
                continue;
            }
            let Some(mut trace) = DeepTrace::decode(&bytes, seal) else {
                self.trouble.damaged("requests");
                self.forget(&path);
                continue;
            };
            match engine.agrees(&mut trace) {
                Verdict::Holds { refreshed } => {
                    if refreshed || age > 0 {
                        self.write(key, &path, &trace.encode(seal));
                    }
                    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    return Some((name, trace.value));
                }
                Verdict::Differs { terminal } => {
                    let terminal = trace.terminals.swap_remove(terminal);
                    differing.push((terminal.rule, terminal.key));
                }
            }
        }
        None
    }

    /// The report of a request, if what it follows from is as it was.
    pub(crate) fn find(&self, engine: &Engine, key: RequestKey) -> Option<Vec<u8>> {
        self.bring(key);
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
        self.bring(key);
        let nothing = Recalled { is_collected: self.is_collected(key), ..Recalled::default() };
        let Some((name, described)) = self.holding(engine, key, is_of_description) else {
            return Recalled { census: census().map(|(_, census)| census), ..nothing };
        };
        if !nothing.is_collected {
            let of_it = |other: &str| is_of_build(other, &name);
            let report = self.holding(engine, key, of_it).map(|(_, report)| report);
            let report = report.filter(|report| is_sound(report));
            if report.is_some() {
                return Recalled { described: Some((described, name)), report, ..nothing };
            }
        }
        match census() {
            Some((of, census)) => {
                let described = (of == name).then_some((described, name));
                Recalled { census: Some(census), described, ..nothing }
            }
            None => nothing,
        }
    }

    /// Keeps what analysis of a request came to, if it is not that which was recalled, and what its build came to.
    /// `census`: as bytes.
    pub(crate) fn keep_build(
        &self,
        build: &Build,
        key: RequestKey,
        census: impl FnOnce() -> Vec<u8>,
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
                let census = [name.as_bytes(), &census()].concat();
                // Who finds the one without the other, or with another one's, does without.
                self.write(
                    key,
                    &self.of_request(key).join(CENSUS),
                    &[&seal(&census).0[..], &census].concat(),
                );
                self.write(key, &path, &DeepTrace { terminals: of_description, value }.encode(seal));
                for old in self.drop_old(key, is_of_description) {
                    self.kept(key, |other| is_of_build(other, &old))
                        .iter()
                        .for_each(|path| self.forget(path));
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
        if_exists(self.at(path)?.read()).unwrap_or_else(|error| {
            self.trouble.unreadable(error);
            None
        })
    }

    /// Removes what is too much of a kind; returns the names.
    fn drop_old(&self, key: RequestKey, is_of_kind: impl Fn(&str) -> bool) -> Vec<String> {
        let old = self.kept(key, is_of_kind).into_iter().skip(KEPT);
        old.map(|path| {
            self.forget(&path);
            path.file_name().unwrap_or_default().to_string_lossy().into_owned()
        })
        .collect()
    }

    /// Writes a file, as a whole or not at all. One that is not kept costs time, not more.
    fn write(&self, key: RequestKey, path: &Path, bytes: &[u8]) {
        let of_request = self.of_request(key);
        let (Some(all), Some(directory), Some(file)) = (&self.directory, self.at(&of_request), self.at(path))
        else {
            return;
        };
        let is_new = directory.lstat().is_err();
        if let Err(error) = directory.make_dir_if_absent().and_then(|_| file.replace(bytes)) {
            self.trouble.unkept(error);
        }
        if is_new {
            recent::drop_old(all.dir(), MOST, MOST_BYTES);
        }
    }

    /// What is not there any more is as good as removed.
    fn forget(&self, path: &Path) {
        let _ = self.at(path).map(|at| at.remove_file());
    }
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
    /// Whether objects that it is made from may be in the older generation only.
    pub(crate) is_collected: bool,
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

/// The file that is there from the first use after a collection until a build has looked after its objects.
const COLLECTED: &str = "collected";

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
