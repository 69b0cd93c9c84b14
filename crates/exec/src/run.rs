//! Runs of actions, identified extensionally: by the digest of command and input contents.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc};

use taut_digest::{Digest, Hash, ObjectInfo, ObjectType};
use taut_engine::{Cx, Fail, Policy, Rule};
use taut_proto::{ActionResult, OutputDirectory, OutputFile, OutputSymlink};
use taut_value::ActionDescription;

use crate::{
    Execution, Missed, Phase, RunKey, RunResult, Traffic, failure::fail_at, message::rebased,
    shared::StandardAction,
};

/// What is known of a run.
pub enum KnownResult {
    /// What the action cache of the build root has.
    Local,
    /// The result that a server has, if it has one.
    AtServer(Option<Box<RunResult>>),
}

/// What will be known of a run.
pub type KnownFuture<'e> = Pin<Box<dyn Future<Output = Result<KnownResult, Fail>> + Send + 'e>>;

/// Runs one action whose result is not cached.
pub trait Executor: Send + Sync {
    /// Runs the action and stores its outputs, or notes where they are. The future is woken when the action is done; it occupies no
    /// thread meanwhile. Dropping it ends the action.
    ///
    /// # Errors
    /// An error of the system, as made by [`Phase::failed`]; a command that fails is no error here.
    fn run<'e>(
        &'e self,
        key: &'e RunKey,
    ) -> Pin<Box<dyn Future<Output = Result<RunResult, Fail>> + Send + 'e>>;

    /// Whether results of an action belong into the action cache of the build root, and into one that others use: not if
    /// it is executed elsewhere, where results are kept.
    fn is_local(&self, _action: &ActionDescription) -> bool {
        true
    }

    /// What is known of a run that is repeated for comparison.
    fn known<'e>(&'e self, _key: &'e RunKey) -> KnownFuture<'e> {
        Box::pin(std::future::ready(Ok(KnownResult::Local)))
    }

    /// Sees to it that what was built is at the server that executes, also what no action has as input. Waits; without effect if
    /// there is no server.
    ///
    /// # Errors
    /// The server does not answer, or something is lost here.
    fn offer(&self, _built: Vec<ObjectInfo>) -> Result<(), Fail> {
        Ok(())
    }

    /// A build is over: what was executed is reported to the servers that keep that for others.
    fn finish(&self) {}

    /// What passed between this machine and others for it since this was called before; `None` if it is all local.
    fn take_traffic(&self) -> Option<Traffic> {
        None
    }

    /// Removes the directories that actions ran in; no action is run afterwards.
    fn close(&self) {}
}

/// Runs actions, or takes their results from the action cache.
pub struct RunRule(pub Arc<Execution>);

impl Rule for RunRule {
    type Key = RunKey;
    type Value = Arc<RunResult>;
    const NAME: &'static str = "run";

    fn policy(&self, _: &RunKey) -> Policy {
        // The digest decides, and the action cache remembers: a record in the engine's file would be the same
        // information twice.
        Policy::always()
    }

    async fn value(&self, key: &RunKey, _: Cx) -> Result<Arc<RunResult>, Fail> {
        // Here and not only where the action is known to the engine: the first failure of a build is this one, also if all
        // that waits for it is cancelled.
        self.ran(key).await.map_err(|fail| fail_at(&key.id, &key.action, fail))
    }
}

impl RunRule {
    async fn ran(&self, key: &RunKey) -> Result<Arc<RunResult>, Fail> {
        let execution = &*self.0;
        if execution.stop.is_stopped() {
            return Err(Fail::Cancelled);
        }
        // `rebuild` compares with the cache, so it must neither use nor change it.
        let is_local = execution.executor.is_local(&key.action);
        let cacheable = !key.action.no_cache && !execution.compare && is_local;
        let lookup = |error| Phase::Lookup.failed_in_store(error);
        if cacheable && let Some(ran) = execution.cached(&key.action, &key.digest).map_err(lookup)? {
            return Ok(Arc::new(ran));
        }
        let key = &execution.with_depfile(key);
        let mut described = None;
        if cacheable {
            let found;
            (found, described) = execution.look_further(key).await?;
            if let Some(ran) = found {
                return Ok(Arc::new(ran));
            }
        }
        // The engine runs one task per digest, so two definitions with one digest in flight share this execution.
        let mut ran = execution.executed(key).await?;
        // A server may have answered from its cache; then nothing ran.
        if ran.run_as.is_some() {
            execution.counters.run_one();
        }
        let recording = |error| Phase::Recording.failed_in_store(error);
        if let Some(described) = described.as_ref().filter(|_| ran.is_success()) {
            ran.missed = Missed::keep(&execution.store, key, described);
        }
        if cacheable && ran.is_success() {
            execution.record(key, &ran, described).map_err(recording)?;
        }
        Ok(Arc::new(ran))
    }
}

/// Look-ups, first in the build root, then elsewhere; and conversion between results and messages of the action cache.
impl Execution {
    /// Looks the result of a run up that is not cached here by its digest: by what was read, then in the remote cache. If
    /// neither has one, returns how the action is described there, if there is a remote cache. The run has its depfile.
    pub(crate) async fn look_further(
        &self,
        key: &RunKey,
    ) -> Result<(Option<RunResult>, Option<StandardAction>), Fail> {
        let lookup = |error| Phase::Lookup.failed_in_store(error);
        let local = self.cached_by_reads(key).map_err(lookup)?;
        let (None, Some(shared)) = (&local, &self.shared) else { return Ok((local, None)) };
        let (found, described) = shared.look_up(self, key).await.map_err(lookup)?;
        let Some(ran) = found else { return Ok((None, described)) };
        // From now on it is like one of this machine; the other side has it already.
        self.record(key, &ran, None).map_err(|error| Phase::Recording.failed_in_store(error))?;
        Ok((Some(ran), None))
    }

    /// Records the result of a successful run, also elsewhere if it is described for that.
    pub(crate) fn record(
        &self,
        key: &RunKey,
        ran: &RunResult,
        described: Option<StandardAction>,
    ) -> taut_store::Result<()> {
        // Outputs are in the store before the result that names them, so a reader never finds a result without its
        // objects.
        let result = self.as_message(&key.action, ran)?;
        self.store.cache_action(&key.digest, &result)?;
        let recorded = self.record_reads(key, ran, &result)?;
        match (&self.shared, described) {
            (Some(shared), Some(described)) => shared.store(self, key, described, ran, recorded),
            _ => Ok(()),
        }
    }

    /// Has a run executed, whose depfile is known. The result of one that succeeded names what is wrong with its depfile. Also
    /// if a server knew it: nothing has looked at the depfile there.
    ///
    /// # Errors
    /// As for [`Executor::run`].
    pub(crate) async fn executed(&self, key: &RunKey) -> Result<RunResult, Fail> {
        let mut ran = self.executor.run(key).await?;
        if ran.is_success() {
            let recording = |error| Phase::Recording.failed_in_store(error);
            if !self.executor.is_local(&key.action) {
                ran.fetched_bytes += self.fetch_depfile(key, &ran).await.map_err(recording)?;
            }
            ran.invalid.extend(self.wrong_depfile(key, &ran).map_err(recording)?);
        }
        Ok(ran)
    }

    /// The cached result of a run with these contents, or with these as far as they were read.
    pub(crate) fn known_result(&self, key: &RunKey) -> taut_store::Result<Option<RunResult>> {
        match self.cached(&key.action, &key.digest)? {
            Some(ran) => Ok(Some(ran)),
            None => self.cached_by_reads(&self.with_depfile(key)),
        }
    }

    /// The same run with its depfile.
    pub(crate) fn with_depfile(&self, key: &RunKey) -> RunKey {
        RunKey { depfile: self.depfiles.of(&key.id, &key.action), ..key.clone() }
    }

    /// The cached result in terms of the definition, if one with all outputs is cached.
    pub(crate) fn cached(
        &self,
        action: &ActionDescription,
        digest: &Hash,
    ) -> taut_store::Result<Option<RunResult>> {
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
            // An empty stream counts as absent, as after a run.
            digest.as_ref().and_then(|digest| self.store.from_wire(digest)).filter(|digest| digest.size > 0)
        };
        let (stdout, stderr) = (stream(&result.stdout_digest), stream(&result.stderr_digest));
        Ok(Some(RunResult { outputs, stdout, stderr, ..RunResult::default() }))
    }

    /// The message for a result.
    ///
    /// # Errors
    /// The object of a link is lost, of which the message has the content, or the store cannot be read.
    pub(crate) fn as_message(
        &self,
        action: &ActionDescription,
        ran: &RunResult,
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
                        // By kind, in the older fields: in native mode the reference writes these, and both tools
                        // share the cache.
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
