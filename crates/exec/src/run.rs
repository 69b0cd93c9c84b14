//! Runs of actions, identified extensionally: by the digest of command and input contents.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc, time::Duration};

use taut_digest::{Digest, Hash, ObjectInfo, ObjectType};
use taut_engine::{Cx, Fail, Key, Policy, Rule};
use taut_proto::{ActionResult, OutputDirectory, OutputFile, OutputSymlink};
use taut_value::{ActionDescription, Id, Str};

use crate::{Execution, MissingOutput, Phase, message::rebased};

/// Identifies a run by the digest of its `Action` message. The other fields are those of one of the definitions with
/// that digest; they do not count for equality.
#[derive(Clone, Debug)]
pub struct RunKey {
    /// The digest.
    pub digest: Hash,
    /// A definition.
    pub action: Arc<ActionDescription>,
    /// The definition's id.
    pub id: Id,
    /// The inputs by path, large directories as trees; all of them are in the store.
    pub inputs: Arc<[(Str, ObjectInfo)]>,
    /// The time limit that is enforced, before scaling, in place of that of the executor. It is no part of the digest:
    /// a result is the same under every limit that it met.
    pub limit: Option<Duration>,
    /// The output that says what the action reads, which may be left out; known only where the action cache has no
    /// result.
    pub depfile: Option<Str>,
}

impl PartialEq for RunKey {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for RunKey {}

impl std::hash::Hash for RunKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl Key for RunKey {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.digest.as_bytes());
    }

    // A key needs the definition, which its bytes do not contain. Runs are not recorded by the engine: the action cache
    // has them.
    fn decode(_: &[u8]) -> Option<RunKey> {
        None
    }
}

/// The result of a run.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    /// By path, as in the definition; of a run that failed, those before the first one that is missing.
    pub outputs: BTreeMap<Str, ObjectInfo>,
    /// As a shell gives it: 128 + n for signal n.
    pub exit_code: i32,
    /// Standard output, unless empty.
    pub stdout: Option<Digest>,
    /// Standard error, unless empty.
    pub stderr: Option<Digest>,
    /// Declared outputs that were not produced, and what is there instead.
    pub missing: Vec<MissingOutput>,
    /// The first output that could not be collected, also of a command that failed: its path and what is there, in the
    /// words of the reference, and whether it is a directory.
    pub not_collected: Option<(Str, &'static str, bool)>,
    /// What is wrong with outputs that were.
    pub invalid: Vec<String>,
    /// Why the command was not started, if it was not; the exit code is made up then.
    pub not_started: Option<String>,
    /// Whether the process was killed because its time limit was exceeded.
    pub timed_out: bool,
    /// The id of the definition by which it was run; `None` if nothing had to run.
    pub run_as: Option<Id>,
    /// Whether it is the result of a run with other inputs that read the same of them.
    pub by_reads: bool,
    /// How long it ran.
    pub duration: Duration,
    /// User and system time of its processes, as far as they were waited for.
    pub cpu: Duration,
}

impl Ran {
    /// Whether the command succeeded with all its outputs.
    pub fn is_success(&self) -> bool {
        self.exit_code == 0 && self.is_complete()
    }

    /// Whether all outputs are there, and nothing is wrong with them.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.invalid.is_empty()
    }
}

/// Runs one action whose result is not cached.
pub trait Executor: Send + Sync {
    /// Runs the action and stores its outputs. The future is woken when the action is done; it occupies no
    /// thread meanwhile. Dropping it ends the action.
    ///
    /// # Errors
    /// An error of the system, as made by [`Phase::failed`]; a command that fails is no error here.
    fn run<'e>(&'e self, key: &'e RunKey) -> Pin<Box<dyn Future<Output = Result<Ran, Fail>> + Send + 'e>>;

    /// Removes the directories that actions ran in; no action is run afterwards.
    fn close(&self) {}
}

/// Runs actions, or takes their results from the action cache.
pub struct RunRule(pub Arc<Execution>);

impl Rule for RunRule {
    type Key = RunKey;
    type Value = Arc<Ran>;
    const NAME: &'static str = "run";

    fn policy(&self, _: &RunKey) -> Policy {
        Policy::always()
    }

    async fn value(&self, key: &RunKey, _: Cx) -> Result<Arc<Ran>, Fail> {
        let execution = &*self.0;
        if execution.stop.is_stopped() {
            return Err(Fail::Cancelled);
        }
        // `rebuild` compares with the cache, so it must neither use nor change it.
        let cacheable = !key.action.no_cache && !execution.compare;
        let lookup = |error| Phase::Lookup.failed_in_store(error);
        if cacheable && let Some(ran) = execution.cached(&key.action, &key.digest).map_err(lookup)? {
            return Ok(Arc::new(ran));
        }
        let key = &execution.with_depfile(key);
        if cacheable && let Some(ran) = execution.cached_by_reads(key).map_err(lookup)? {
            return Ok(Arc::new(ran));
        }
        // The engine runs one task per digest, so two definitions with one digest in flight share this execution.
        let mut ran = Ran { run_as: Some(key.id), ..execution.executor.run(key).await? };
        execution.counters.run_one();
        let recording = |error| Phase::Recording.failed_in_store(error);
        if ran.is_success() {
            ran.invalid.extend(execution.wrong_depfile(key, &ran).map_err(recording)?);
        }
        if cacheable && ran.is_success() {
            let result = execution.as_message(&key.action, &ran).map_err(recording)?;
            execution.store.cache_action(&key.digest, &result).map_err(recording)?;
            execution.record_reads(key, &ran, &result).map_err(recording)?;
        }
        Ok(Arc::new(ran))
    }
}

/// Conversion between results and the messages of the action cache.
impl Execution {
    /// The cached result of a run with these contents, or with these as far as they were read.
    pub(crate) fn known_result(&self, key: &RunKey) -> taut_store::Result<Option<Ran>> {
        match self.cached(&key.action, &key.digest)? {
            Some(ran) => Ok(Some(ran)),
            None => self.cached_by_reads(&self.with_depfile(key)),
        }
    }

    /// The same run with its depfile.
    pub(crate) fn with_depfile(&self, key: &RunKey) -> RunKey {
        RunKey { depfile: self.depfiles.of(&key.id, &key.action), ..key.clone() }
    }

    /// The cached result in terms of the definition; `None` if there is none with all outputs.
    pub(crate) fn cached(
        &self,
        action: &ActionDescription,
        digest: &Hash,
    ) -> taut_store::Result<Option<Ran>> {
        // A cached failure is not replayed: the action runs again.
        let Some(result) = self.store.cached_action(digest)?.filter(|result| result.exit_code == 0) else {
            return Ok(None);
        };
        let mut found: BTreeMap<&str, ObjectInfo> = BTreeMap::new();
        for file in &result.output_files {
            let object_type = if file.is_executable { ObjectType::Executable } else { ObjectType::File };
            let digest = file.digest.as_ref().and_then(|digest| self.store.from_wire(digest));
            found.extend(digest.map(|digest| (file.path.as_str(), ObjectInfo { digest, object_type })));
        }
        for directory in &result.output_directories {
            let digest = directory.tree_digest.as_ref().and_then(|digest| self.store.from_wire(digest));
            let info = digest.map(|digest| ObjectInfo { digest, object_type: ObjectType::Tree });
            found.extend(info.map(|info| (directory.path.as_str(), info)));
        }
        // In the protocol `output_symlinks` replaces the two fields by kind, which `as_message` fills: results with
        // either are read.
        let links = result.output_symlinks.iter().chain(&result.output_file_symlinks);
        for link in links.chain(&result.output_directory_symlinks) {
            // A message has the target of a link, not its object.
            let digest = self.store.put_blob(link.target.as_bytes(), false)?;
            found.insert(&link.path, ObjectInfo { digest, object_type: ObjectType::Symlink });
        }
        let mut outputs = BTreeMap::new();
        for path in action.outs.iter().chain(&action.out_dirs) {
            match found.get(rebased(path, &action.cwd).as_str()) {
                Some(info) => outputs.insert(path.clone(), *info),
                // A result without one of the outputs counts as absent; the next run replaces it.
                None => return Ok(None),
            };
        }
        let stream = |digest: &Option<taut_proto::Digest>| {
            // An empty stream is none, as after a run.
            digest.as_ref().and_then(|digest| self.store.from_wire(digest)).filter(|digest| digest.size > 0)
        };
        let (stdout, stderr) = (stream(&result.stdout_digest), stream(&result.stderr_digest));
        Ok(Some(Ran { outputs, stdout, stderr, ..Ran::default() }))
    }

    /// The message for a result.
    ///
    /// # Errors
    /// The object of a link is lost, of which the message has the content, or the store cannot be read.
    pub(crate) fn as_message(
        &self,
        action: &ActionDescription,
        ran: &Ran,
    ) -> taut_store::Result<ActionResult> {
        let mut result = ActionResult { exit_code: ran.exit_code, ..ActionResult::default() };
        for (path, info) in &ran.outputs {
            let name = rebased(path, &action.cwd);
            match info.object_type {
                ObjectType::Tree => result.output_directories.push(OutputDirectory {
                    path: name,
                    tree_digest: Some(self.store.to_wire(&info.digest, true)),
                }),
                ObjectType::Symlink => {
                    let target = self.store.read(&info.digest.hash, ObjectType::Symlink)?;
                    // All links that are collected are text.
                    let target = target.and_then(|target| String::from_utf8(target).ok());
                    let target = target.ok_or(taut_store::Error::Missing(*info))?;
                    let link = OutputSymlink { path: name, target };
                    if action.out_dirs.contains(path) {
                        result.output_directory_symlinks.push(link);
                    } else {
                        result.output_file_symlinks.push(link);
                    }
                }
                object_type => result.output_files.push(OutputFile {
                    path: name,
                    digest: Some(self.store.to_wire(&info.digest, false)),
                    is_executable: object_type == ObjectType::Executable,
                }),
            }
        }
        let stream =
            |digest: &Option<Digest>| digest.as_ref().map(|digest| self.store.to_wire(digest, false));
        result.stdout_digest = stream(&ran.stdout);
        result.stderr_digest = stream(&ran.stderr);
        Ok(result)
    }
}
