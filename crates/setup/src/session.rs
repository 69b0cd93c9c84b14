//! What a set-up works with: a build root, the network, and an observer.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use taut_digest::Hash;
use taut_fetch::{Client, Servers, git::Programs};
use taut_git::Writer;
use taut_store::Store;

use crate::{
    cache::Cache,
    cancellation::{Cancellation, Scratch},
    event::{Observer, TransferOf},
    locations::Locations,
    private_copy::PrivateCopy,
    server::Server,
    source::{Content, Source},
};

/// How a set-up is done.
#[derive(Clone, Default, Debug)]
pub struct Options {
    /// Repositories that are here, and mirrors.
    pub locations: Locations,
    /// Directories that archives are looked for in, in this order.
    pub distdirs: Vec<PathBuf>,
    /// The program `git`: a path, or a name that is searched in `PATH`.
    pub git: PathBuf,
    /// The words in front of the commands of `git tree` repositories.
    pub launcher: Vec<String>,
    /// How many repositories to set up at a time; at least one.
    pub jobs: usize,
    /// Whether values that the reference passes over though they mean nothing are errors, and keys that look misspelt
    /// have warnings.
    pub is_strict: bool,
    /// Whether trees count as there only if all that is below them is intact: something was found to be lost.
    pub verifies: bool,
    /// Whether an archive that cannot be unpacked stays in the store, as the reference leaves it there.
    pub keeps_unusable: bool,
    /// Whether repositories that are absent are set up as if they were not.
    pub fetch_absent: bool,
    /// The call of the build tool that a set-up under the reference's name precedes. If it is set, importing a
    /// directory that is not part of a git repository is a warning.
    pub launches: Option<String>,
    /// How files are downloaded.
    pub transfers: taut_fetch::Options,
    /// A server that may have contents, so that they need not be fetched.
    pub server: Option<Arc<dyn Server>>,
    /// Whether it is given copies of what is fetched for set-ups without a network.
    pub backs_up: bool,
    /// The environment of the call.
    pub environment: Vec<(OsString, OsString)>,
}

/// What is fetched or made: its id, and all else that the outcome depends on.
pub(crate) type FetchKey = (Hash, Vec<Vec<String>>);

/// A set-up in progress.
pub struct Session<'s> {
    pub(crate) options: &'s Options,
    pub(crate) store: &'s Store,
    pub(crate) cache: &'s Cache,
    pub(crate) observer: &'s dyn Observer,
    pub(crate) cancellation: Cancellation,
    // Opened by the first root that has to be made; the error is kept, so that all roots fail with the same one.
    writer: OnceLock<Result<Writer, taut_git::Error>>,
    /// Which servers do not answer: the same for archives and commits.
    servers: Servers,
    client: OnceLock<Result<Client, taut_fetch::Cause>>,
    /// The directories whose import had a warning.
    pub(crate) warned: Mutex<HashSet<PathBuf>>,
    /// Whether there was a warning that the server does not answer.
    pub(crate) has_warned_of_server: AtomicBool,
    /// Files of this set-up that have their ids, and could not be used for what was wanted of them.
    pub(crate) unusable: Mutex<HashMap<Hash, PrivateCopy>>,
    /// What all repositories of this set-up say of the contents that they are made from, by id.
    described: Mutex<HashMap<Hash, Vec<Content>>>,
    /// What could not be fetched or made, by all that it depends on.
    failed: Mutex<HashMap<FetchKey, taut_fetch::Error>>,
    /// The contents that a thread works on.
    // One lock for each content: two repositories of one archive fetch it once, and others are not held up.
    busy: Mutex<HashMap<Hash, Arc<Mutex<()>>>>,
}

impl<'s> Session<'s> {
    /// A set-up with a store and the repositories of its build root.
    pub fn new(
        options: &'s Options,
        store: &'s Store,
        cache: &'s Cache,
        observer: &'s dyn Observer,
    ) -> Session<'s> {
        Session {
            options,
            store,
            cache,
            observer,
            cancellation: Cancellation::default(),
            writer: OnceLock::new(),
            servers: Servers::default(),
            client: OnceLock::new(),
            warned: Mutex::default(),
            has_warned_of_server: AtomicBool::default(),
            unusable: Mutex::default(),
            described: Mutex::default(),
            failed: Mutex::default(),
            busy: Mutex::default(),
        }
    }

    /// The git repository of the youngest generation, which is made if need be.
    pub(crate) fn writer(&self) -> Result<&Writer, taut_git::Error> {
        let open = || {
            let writer = Writer::open(&self.cache.git())?.rewriting(self.options.verifies);
            // Only in a call that repairs: it reads each pack as a whole.
            if self.options.verifies {
                writer.remove_damaged_packs()?;
            }
            Ok(writer)
        };
        self.writer.get_or_init(open).as_ref().map_err(Clone::clone)
    }

    pub(crate) fn client(&self) -> Result<&Client, taut_fetch::Cause> {
        let client =
            self.client.get_or_init(|| Client::new(self.options.transfers.clone(), self.servers.clone()));
        client.as_ref().map_err(Clone::clone)
    }

    /// How `git` is run. Beside what the description and the site name it has `PATH` and `HOME`: it starts other
    /// programs, and its settings for servers are below the home directory. What it fetches has the id of the commit
    /// all the same.
    pub(crate) fn git_programs(&self, inherited: &[String]) -> Programs {
        let always = ["PATH", "HOME"].into_iter().filter_map(|name| self.of_call(name).cloned());
        self.programs(inherited, always.collect())
    }

    /// How the command of a `git tree` repository is run: it sees `own` variables and those that the description and
    /// the site name, and nothing else.
    pub(crate) fn command_programs(
        &self,
        inherited: &[String],
        own: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Programs {
        self.programs(inherited, own.into_iter().collect())
    }

    fn programs(&self, inherited: &[String], mut environment: Vec<(OsString, OsString)>) -> Programs {
        for name in inherited.iter().chain(&self.options.locations.inherit_env) {
            let Some(found) = self.of_call(name) else { continue };
            // What is inherited has precedence over what the repository sets itself, as in the reference.
            match environment.iter_mut().find(|(given, _)| given == name.as_str()) {
                Some(given) => given.1.clone_from(&found.1),
                None => environment.push(found.clone()),
            }
        }
        Programs {
            processes: self.cancellation.processes(),
            git: self.options.git.clone(),
            search_path: self.of_call("PATH").map(|(_, path)| path.clone()),
            environment,
            // `git` counts in whole seconds, and zero would mean no limit there.
            stall_timeout: self.options.transfers.stall_timeout.max(Duration::from_secs(1)),
            retries: self.options.transfers.retries,
            servers: self.servers.clone(),
        }
    }

    /// A variable of the environment of the call.
    fn of_call(&self, name: &str) -> Option<&(OsString, OsString)> {
        self.options.environment.iter().find(|(key, _)| key == name)
    }

    /// Ends it, from another thread.
    pub fn cancellation(&self) -> Cancellation {
        self.cancellation.clone()
    }

    /// The progress of transfers for a repository.
    pub(crate) fn progress_of<'p>(&'p self, repository: &'p str, root_of: &'p str) -> TransferOf<'p> {
        TransferOf { observer: self.observer, cancellation: &self.cancellation, repository, root_of }
    }

    /// A fresh directory for temporary files, which is removed in the end.
    pub(crate) fn scratch(&self, kind: &str) -> taut_store::Result<Scratch> {
        self.cancellation.scratch(self.store, kind)
    }

    /// Notes what a source says of contents, for other repositories of the same ones. Under the reference's name each
    /// content is had only as one repository describes it.
    pub(crate) fn note_contents(&self, source: &Source) {
        if !self.options.is_strict {
            return;
        }
        let contents: Vec<&Content> = match source {
            Source::Archive(archive) => vec![&archive.content],
            Source::ForeignFile(file) => vec![&file.content],
            Source::Distdir(distdir) => distdir.files.values().map(|file| &file.content).collect(),
            _ => Vec::new(),
        };
        let mut described = self.described.lock().unwrap_or_else(PoisonError::into_inner);
        for content in contents {
            let known = described.entry(content.id).or_default();
            if !known.contains(content) {
                known.push(content.clone());
            }
        }
    }

    /// A content as other repositories describe it: with their URLs and names, but its own checksums.
    pub(crate) fn described_otherwise(&self, content: &Content) -> Vec<Content> {
        let described = self.described.lock().unwrap_or_else(PoisonError::into_inner);
        let known = described.get(&content.id).into_iter().flatten();
        let checked = known.map(|known| Content {
            sha256: content.sha256.clone(),
            sha512: content.sha512.clone(),
            ..known.clone()
        });
        checked.filter(|known| known != content).collect()
    }

    /// Fetches or makes something, unless the same failed before in this set-up.
    pub(crate) fn unless_failed<T>(
        &self,
        what: FetchKey,
        task: impl FnOnce() -> taut_fetch::Result<T>,
    ) -> taut_fetch::Result<T> {
        let failed = || self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = failed().get(&what) {
            return Err(error.clone());
        }
        task().inspect_err(|error| drop(failed().insert(what, error.clone())))
    }

    /// Runs a task that no other thread has for the same content.
    pub(crate) fn alone_with<T>(&self, content: &Hash, task: impl FnOnce() -> T) -> T {
        let lock = {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            // The lock of the map is released before the task's is waited for, so that other contents are not held
            // up.
            busy.entry(*content).or_default().clone()
        };
        let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
        task()
    }
}
