//! What outlives the process: reports of requests, each with what it follows from, and the runs of tasks.
//!
//! A request is the root of everything a call does; its deep trace says what the leaves saw. Where that does
//! not hold, the runs of all tasks in between are there, in one file for each set of circumstances that
//! tasks take for granted. All of it ages with the youngest generation of the store: garbage collection that
//! could take away an object which a trace names takes the trace first. A trace that cannot be read costs
//! time, nothing else.

use std::path::{Path, PathBuf};

use taut_engine::{Build, Builder, DeepTrace, Engine, Hash, Verdict};
use taut_store::Store;
use taut_sys::{StatSignature, fs};
use taut_value::Id;

/// Where the runs of tasks are kept, if anywhere.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    file: Option<PathBuf>,
}

impl Runs {
    /// Nowhere: nothing is believed, and nothing kept.
    pub fn none() -> Runs {
        Runs::default()
    }

    /// In a store; `meaning` is everything that tasks take for granted.
    pub fn of(store: &Store, meaning: &str) -> Runs {
        let file = || {
            let directory = store.own_directory().ok()?.join("runs");
            fs::create_dir_all(&directory).ok()?;
            Some(directory.join(RequestKey::new(meaning)?.0.to_hex()))
        };
        Runs { file: file() }
    }

    /// An engine that knows these runs.
    pub(crate) fn open(&self, builder: Builder) -> Engine {
        match &self.file {
            Some(file) => builder.open(file),
            None => builder.build(),
        }
    }
}

/// How many results are kept of one request: switching back to an earlier state finds its report.
const KEPT: usize = 4;

/// The place of all traces of a store.
#[derive(Clone, Debug)]
pub struct Traces {
    directory: PathBuf,
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
        Some(Traces { directory: store.own_directory().ok()?.join("requests") })
    }

    fn of_request(&self, key: RequestKey) -> PathBuf {
        self.directory.join(key.0.to_hex())
    }

    /// The traces of a request, latest first.
    fn kept(&self, key: RequestKey) -> Vec<PathBuf> {
        let directory = self.of_request(key);
        let names = fs::if_exists(fs::list(&directory)).ok().flatten().unwrap_or_default();
        let mut kept: Vec<(std::time::SystemTime, PathBuf)> = (names.into_iter())
            .map(|(name, _)| directory.join(name))
            .filter(|path| path.extension().is_none())
            .filter_map(|path| Some((fs::stat(&path).ok()?.modified().ok()?, path)))
            .collect();
        kept.sort_by(|a, b| b.cmp(a));
        kept.into_iter().map(|(_, path)| path).collect()
    }

    /// The report of a request, if what it follows from is as it was.
    pub(crate) fn find(&self, engine: &Engine, key: RequestKey) -> Option<Vec<u8>> {
        for (age, path) in self.kept(key).into_iter().enumerate() {
            let trace = fs::read(&path).ok().and_then(|bytes| DeepTrace::decode(&bytes, seal));
            let Some(mut trace) = trace else {
                // Damaged, or of another version: nobody will ever want it.
                let _ = fs::remove_file(&path);
                continue;
            };
            if let Verdict::Holds { refreshed } = engine.agrees(&mut trace) {
                if refreshed || age > 0 {
                    self.write(key, &path, &trace);
                }
                return Some(trace.value);
            }
        }
        None
    }

    /// Keeps a report with what it follows from, if all of that can be checked later.
    pub(crate) fn keep(&self, build: &Build, key: RequestKey, value: Vec<u8>) {
        let Some(terminals) = build.terminals() else { return };
        let mut seen = Vec::new();
        for terminal in &terminals {
            seen.extend(terminal.key.iter().chain(&terminal.hash.0));
        }
        let path = self.of_request(key).join(Id::of(seen).to_hex());
        self.write(key, &path, &DeepTrace { terminals, value });
        for old in self.kept(key).into_iter().skip(KEPT) {
            let _ = fs::remove_file(&old);
        }
    }

    /// Writes a trace, as a whole or not at all. A trace that is not kept costs time, not more.
    fn write(&self, key: RequestKey, path: &Path, trace: &DeepTrace) {
        let temporary = path.with_extension(format!("{}", std::process::id()));
        let written = fs::create_dir_all(&self.of_request(key)).and_then(|()| {
            let mut file = fs::create(&temporary)?;
            fs::write_all(&mut file, &temporary, &trace.encode(seal))?;
            fs::rename(&temporary, path)
        });
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
    }
}
