//! Runs of actions, identified by the digest of command and input contents: definitions of one digest share a run.

use std::{collections::BTreeSet, future::Future, pin::Pin, sync::Arc};

use taut_digest::ObjectInfo;
use taut_engine::{Cx, Fail, Policy, Rule};
use taut_value::{ActionDescription, Str};

use crate::{
    DepfileInputs, Execution, Missed, Phase, RunKey, RunResult, Traffic,
    failure::fail_at,
    result_message::{as_message, cached_result},
    shared::StandardAction,
};

/// A result that is known before a run.
pub enum KnownResult {
    /// Only the action cache of the build root can have one.
    Local,
    /// The result that a server has, if it has one.
    AtServer(Option<Box<RunResult>>),
}

/// A lookup of a [`KnownResult`].
pub type KnownFuture<'e> = Pin<Box<dyn Future<Output = Result<KnownResult, Fail>> + Send + 'e>>;

/// What is done with the result of a run while no other action gets its slot: whether an action failed may be known
/// only then, and after a failure none may start.
pub trait RunEnd: Send + Sync {
    /// Completes the result of a run that ended.
    fn ended<'r>(
        &'r self,
        ran: &'r mut RunResult,
    ) -> Pin<Box<dyn Future<Output = Result<(), Fail>> + Send + 'r>>;
}

/// How a run ended, with what is done at its end.
pub(crate) async fn with_end(mut ran: RunResult, end: &dyn RunEnd) -> Result<RunResult, Fail> {
    end.ended(&mut ran).await?;
    Ok(ran)
}

/// Runs one action whose result is not cached.
pub trait Executor: Send + Sync {
    /// Runs the action and stores its outputs, or notes where they are. The future is woken when the action is done; it
    /// occupies no thread meanwhile. Dropping it ends the action. `names`: its inputs, if a server that executes it may
    /// take a result by what was read. `end`: what to do with its result before another action starts in its place.
    ///
    /// # Errors
    /// An error of the system, as made by [`Phase::failed`]; a command that fails is not an error here.
    fn run<'e>(
        &'e self,
        key: &'e RunKey,
        names: Option<&'e DepfileInputs<'e>>,
        end: &'e dyn RunEnd,
    ) -> Pin<Box<dyn Future<Output = Result<RunResult, Fail>> + Send + 'e>>;

    /// The id of the server that executes an action and keeps its result; `None` if the action runs here, and its
    /// result is kept in the action cache of the build root and in the remote cache.
    fn server_of(&self, _action: &ActionDescription) -> Option<&str> {
        None
    }

    /// Stores a result at the server that made it, under a key of the inputs that were read, for other builds.
    ///
    /// # Errors
    /// The store cannot be read.
    fn keep_reads(
        &self,
        _names: &DepfileInputs<'_>,
        _read: &BTreeSet<Str>,
        _ran: &RunResult,
    ) -> taut_store::Result<()> {
        Ok(())
    }

    /// The earlier result of a run that is repeated for comparison. `names`: as for [`Executor::run`].
    fn known<'e>(&'e self, _key: &'e RunKey, _names: Option<&'e DepfileInputs<'e>>) -> KnownFuture<'e> {
        Box::pin(std::future::ready(Ok(KnownResult::Local)))
    }

    /// Uploads those of the built objects that the executing server lacks, as what is not the input of an action may
    /// not be there. Blocks until that is done; without effect if there is no server.
    ///
    /// # Errors
    /// The server does not answer, or something is lost here.
    fn offer(&self, _built: Vec<ObjectInfo>) -> Result<(), Fail> {
        Ok(())
    }

    /// Called at the end of a build: reports what was executed to the servers that keep it for other builds.
    fn finish(&self) {}

    /// What was transferred from and to servers since the last call; `None` if no server is used.
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
        // The action is added to the failure here and not only in the task of the action: the first failure of a build
        // is this one, even if all tasks that wait for it are cancelled.
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
        let is_local = execution.executor.server_of(&key.action).is_none();
        let cacheable = !key.action.no_cache && !execution.compare && is_local;
        let lookup = |error| Phase::Lookup.failed_in_store(error);
        if cacheable
            && let Some(ran) = cached_result(&execution.store, &key.action, &key.digest).map_err(lookup)?
        {
            return Ok(Arc::new(ran));
        }
        let key = &execution.with_depfile(key);
        let names = execution.names(key).map_err(lookup)?;
        let names = names.as_ref();
        let mut described = None;
        if cacheable {
            let found;
            (found, described) = execution.look_further(key, names).await?;
            if let Some(ran) = found {
                return Ok(Arc::new(ran));
            }
        }
        // The engine runs one task per digest, so two definitions with one digest in flight share this execution.
        let mut ran = execution.executed(key, names).await?;
        // A server may have answered from its cache; then nothing ran.
        if ran.run_as.is_some() {
            execution.counters.run_one();
        }
        let recording = |error| Phase::Recording.failed_in_store(error);
        if let Some(described) = described.as_ref().filter(|_| ran.is_success()) {
            ran.missed = Missed::keep(&execution.store, key, described);
        }
        if cacheable && ran.is_success() {
            execution.record(key, names, &ran, described).map_err(recording)?;
        }
        Ok(Arc::new(ran))
    }
}

/// Look-ups, first in the build root, then elsewhere.
impl Execution {
    /// Looks up the result of a run whose digest the local action cache does not have: by the inputs that were read,
    /// then in the remote cache. Without a result, returns the action as the remote cache describes it, if there is
    /// one. `key` has the depfile ([`Execution::with_depfile`]).
    pub(crate) async fn look_further(
        &self,
        key: &RunKey,
        names: Option<&DepfileInputs<'_>>,
    ) -> Result<(Option<RunResult>, Option<StandardAction>), Fail> {
        let lookup = |error| Phase::Lookup.failed_in_store(error);
        let local = names.map(|names| self.kept_reads(None).result(names)).transpose().map_err(lookup)?;
        let local = local.flatten().map(|(_, ran)| ran);
        let (None, Some(shared)) = (&local, &self.shared) else { return Ok((local, None)) };
        let (found, described) = shared.look_up(self, key, names).await.map_err(lookup)?;
        let Some(ran) = found else { return Ok((None, described)) };
        // Recorded as a local result, and not sent to the remote cache, which has it.
        self.record(key, names, &ran, None).map_err(|error| Phase::Recording.failed_in_store(error))?;
        Ok((Some(ran), None))
    }

    /// Records the result of a successful run here, and in the remote cache if the action is described for it.
    pub(crate) fn record(
        &self,
        key: &RunKey,
        names: Option<&DepfileInputs<'_>>,
        ran: &RunResult,
        described: Option<StandardAction>,
    ) -> taut_store::Result<()> {
        // Outputs are in the store before the result that names them, so a reader never finds a result without its
        // objects.
        let result = as_message(&self.store, &key.action, ran)?;
        self.store.cache_action(&key.digest, &result)?;
        let recorded = names.map(|names| self.record_reads(names, ran, &result)).transpose()?.flatten();
        match (&self.shared, described) {
            (Some(shared), Some(described)) => shared.store(self, key, described, ran, recorded),
            _ => Ok(()),
        }
    }

    /// Executes a run; `key` has the depfile. The result of a successful run lists the faults of its depfile, also if
    /// the server had it cached: servers do not read depfiles.
    ///
    /// For an action that a server executes, results by the inputs that were read are looked up and recorded here; the
    /// server has caches of its own for all other lookups.
    ///
    /// # Errors
    /// As for [`Executor::run`].
    pub(crate) async fn executed(
        &self,
        key: &RunKey,
        names: Option<&DepfileInputs<'_>>,
    ) -> Result<RunResult, Fail> {
        let server = self.executor.server_of(&key.action);
        let is_kept = server.is_some() && !key.is_fresh && !key.action.no_cache;
        let kept = names.filter(|_| is_kept);
        if let Some(names) = kept {
            let found = self.kept_reads(server).result(names);
            if let Some((_, ran)) = found.map_err(|error| Phase::Lookup.failed_in_store(error))? {
                return Ok(ran);
            }
        }
        let end = DepfileEnd { execution: self, names, server, is_kept };
        self.executor.run(key, kept, &end).await
    }

    /// The cached result of a run with the same inputs, or with the same inputs among those that were read.
    pub(crate) fn known_result(
        &self,
        key: &RunKey,
        names: Option<&DepfileInputs<'_>>,
    ) -> taut_store::Result<Option<RunResult>> {
        if let Some(ran) = cached_result(&self.store, &key.action, &key.digest)? {
            return Ok(Some(ran));
        }
        let Some(names) = names else { return Ok(None) };
        Ok(self.kept_reads(None).result(names)?.map(|(_, ran)| ran))
    }

    /// The same run with its depfile.
    pub(crate) fn with_depfile(&self, key: &RunKey) -> RunKey {
        RunKey { depfile: self.depfiles.of(&key.id, &key.action), ..key.clone() }
    }
}

/// Reads the depfile of a run that succeeded.
struct DepfileEnd<'e> {
    execution: &'e Execution,
    names: Option<&'e DepfileInputs<'e>>,
    server: Option<&'e str>,
    is_kept: bool,
}

impl RunEnd for DepfileEnd<'_> {
    fn ended<'r>(
        &'r self,
        ran: &'r mut RunResult,
    ) -> Pin<Box<dyn Future<Output = Result<(), Fail>> + Send + 'r>> {
        Box::pin(async move {
            // Of a result by what was read, the depfile was read when that was recorded.
            let Some(names) = self.names.filter(|_| ran.is_success() && !ran.by_reads) else { return Ok(()) };
            let recording = |error| Phase::Recording.failed_in_store(error);
            match self.server {
                Some(server) => {
                    let read = self.execution.read_depfile(names, server, ran, self.is_kept);
                    read.await.map_err(recording)?;
                }
                None => ran.invalid.extend(self.execution.wrong_depfile(names, ran).map_err(recording)?),
            }
            Ok(())
        })
    }
}
