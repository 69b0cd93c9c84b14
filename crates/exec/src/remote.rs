//! Execution of actions by servers.
//!
//! An action is described in the form of the store, so that in either mode the names of the build root are those of the
//! protocol. If the server knows no result (`look_ups`), it gets what it lacks of the inputs (`upload`), and executes
//! the action. The outputs stay there (`result`): the store notes where they are, and fetches what is read. So a build
//! of which nothing is read moves descriptions only.
//!
//! The presence of an object at a server is checked before it is relied upon: inputs before an execution, outputs of
//! results that were known. What turns out to be lost is lost like an object of the store: the build makes it again.
//!
//! Actions may go to several servers by their properties, or stay here; then inputs go where they are needed.

mod claims;
mod inputs;
mod lacked;
mod look_ups;
mod reads;
mod result;
mod upload;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use taut_digest::{Digest, ObjectInfo};
use taut_engine::Fail;
use taut_service::{ActionCache, Cas, Error, Execute, Executed, Executor as Service, Progress, Stage};
use taut_store::{ObjectServer, Store};
use taut_value::{ActionDescription, Artifact, Id, Str};

use crate::{
    ActionError, AtServer, Cause, DepfileInputs, Events, ExecutionFailure, Executor, KnownFuture,
    KnownResult, LocalExecutor, Missed, Phase, ResultSource, RunEnd, RunKey, RunResult, Step, StopSwitch,
    Traffic,
    message::{Demands, properties},
    reads::KeptReads,
    run::with_end,
    server_fault::{ServerFault, Unreached, Unsent, with_first},
    shared::ExecutedActions,
    slots::Slots,
};
use claims::Claims;
use inputs::RemoteAction;
use lacked::LackedObjects;
pub use lacked::{CommandPart, Lacked, command_parts};
use look_ups::LookUps;
use reads::ServerReads;

/// A server that executes actions.
#[derive(Clone)]
pub struct Endpoint {
    /// Identifies it in what is kept between calls: letters and digits.
    pub id: String,
    /// How messages name it.
    pub name: Arc<str>,
    /// Its CAS. In native mode, names say what they are about.
    pub cas: Arc<dyn Cas>,
    /// The results that it knows.
    pub results: Arc<dyn ActionCache>,
    /// What executes.
    pub executor: Arc<dyn Service>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// The server as one that has objects.
    pub fn object_server(&self) -> ObjectServer {
        ObjectServer { id: self.id.clone(), name: self.name.to_string(), cas: self.cas.clone() }
    }
}

/// What results of actions that run again are compared with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compared {
    /// The action cache of the build root.
    Local,
    /// What a server knows, by number.
    Server(usize),
    /// Nothing: no result is known.
    Nothing,
}

/// The configuration of execution by servers.
pub struct RemoteSetup {
    /// Where objects are looked up and noted; the servers are attached to it, in this order.
    pub store: Store,
    /// The servers.
    pub endpoints: Vec<Endpoint>,
    /// The one for actions that `dispatch` says nothing of, by number; `None` if they run here.
    pub main: Option<usize>,
    /// Properties, and the server for actions that have them all; the first that fits counts.
    pub dispatch: Vec<(BTreeMap<String, String>, usize)>,
    /// The server with the results for comparison when actions run again; `None`: those of the place of execution.
    pub compared_with: Option<Compared>,
    /// Runs what runs here.
    pub local: LocalExecutor,
    /// Properties that all actions require, sorted by name.
    pub properties: Vec<(String, String)>,
    /// The time limit that is part of an action's identity.
    pub timeout: Duration,
    /// How many actions are executed at once.
    pub jobs: usize,
    /// Where starts are reported.
    pub events: Arc<dyn Events>,
    /// Whether anything new may begin.
    pub stop: Arc<StopSwitch>,
}

/// Has actions executed by servers.
pub struct RemoteExecutor {
    setup: RemoteSetup,
    transfers: Transfers,
    slots: Slots<()>,
    // Relaxed, as `Transfers::sent`: counts for one line at the end, read after all tasks have ended.
    hits: AtomicU64,
    /// By server, what it has executed in this build.
    executed: Vec<ExecutedActions>,
    /// By server.
    look_ups: Vec<LookUps>,
    /// By server.
    reads: Vec<ServerReads>,
}

/// What passes between a store and servers.
struct Transfers {
    store: Store,
    endpoints: Vec<Endpoint>,
    stop: Arc<StopSwitch>,
    /// What is being sent, by server.
    claims: Vec<Claims>,
    /// What was missing, by server.
    lacked: Vec<LackedObjects>,
    sent: AtomicU64,
}

/// What was transferred for one action, and how long that took.
#[derive(Default)]
struct ActionTransfer {
    sent_objects: u64,
    sent_bytes: u64,
    fetched_bytes: u64,
    uploading: Duration,
    downloading: Duration,
}

impl Transfers {
    fn new(store: &Store, endpoints: &[Endpoint], stop: &Arc<StopSwitch>) -> Transfers {
        let claims = endpoints.iter().map(|_| Claims::default()).collect();
        let lacked = endpoints.iter().map(|_| LackedObjects::default()).collect();
        let (store, endpoints, stop) = (store.clone(), endpoints.to_vec(), stop.clone());
        Transfers { store, endpoints, stop, claims, lacked, sent: AtomicU64::new(0) }
    }

    /// The failure of an action because a server did not answer as it should.
    fn failed(&self, number: usize, error: Error) -> Fail {
        let why = format!("server {}: {error}", self.endpoints[number].name);
        match error {
            // Another call failed before, and its error is reported.
            Error::Off => Fail::Cancelled,
            // Not the server's.
            Error::Local(why) => Cause::Store(why).fail(),
            // About this action, and not about others.
            Error::Final { call: EXECUTE, .. }
            | Error::Transient { call: EXECUTE, .. }
            | Error::NotExecuted { .. }
            | Error::InputsMissing(_) => Phase::Remote.failed(why),
            error => Cause::Server(ServerFault { why, unreached: Unreached::of(&error) }).fail(),
        }
    }

    /// The failure of an action, by its name at the server, that was not executed there.
    fn not_executed(&self, number: usize, action: Digest, error: Error) -> Fail {
        let at_server = AtServer::of(action, &error);
        let fail = self.failed(number, error);
        match fail.downcast_ref::<ActionError>() {
            Some(failed) => Fail::transient(ActionError { at_server, ..failed.clone() }),
            None => fail,
        }
    }

    /// The failure of an action because of the store, or a server behind it.
    fn failed_in_store(&self, error: taut_store::Error) -> Fail {
        match error {
            taut_store::Error::Missing(object) | taut_store::Error::Damaged(object) => {
                Cause::Lost(object).fail()
            }
            // It names the server.
            taut_store::Error::Remote(_) if self.stop.is_interrupted() => Fail::Cancelled,
            taut_store::Error::Remote(fault) => Cause::Server(fault.why.into()).fail(),
            error @ taut_store::Error::WrongAtServer { .. } => Cause::Server(error.to_string().into()).fail(),
            // A disk that is full, or a build root that may not be written to: so it is for the next action, too.
            error @ (taut_store::Error::Sys(_) | taut_store::Error::Transfer(_)) => {
                Cause::of_store(error).fail()
            }
            error => Phase::Remote.failed(error),
        }
    }
}

/// What a server lacked, and got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SentObjects {
    /// How many objects.
    pub count: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

/// Sends an object, with everything below it, to the only server attached to the store; what the server has already is
/// not sent.
///
/// # Errors
/// What is wrong with the object or the server.
pub fn send(store: &Store, endpoint: &Endpoint, object: &ObjectInfo) -> Result<SentObjects, ServerFault> {
    let transfers = Transfers::new(store, std::slice::from_ref(endpoint), &Arc::default());
    let caller = endpoint.cas.callers().enter();
    let (objects, mut moved) = (RemoteAction::of_objects(vec![*object]), ActionTransfer::default());
    let sent = taut_service::wait(transfers.provide(0, &caller, &objects, &|_, _| (), &mut moved));
    let sent = sent.map(|()| SentObjects { count: moved.sent_objects, bytes: moved.sent_bytes });
    sent.map_err(|fail| {
        let fail = with_first(fail, || Some(Unsent::Result(*object)));
        match fail.downcast_ref() {
            Some(ExecutionFailure { cause: Cause::Server(fault), .. }) => fault.clone(),
            _ => fail.to_string().into(),
        }
    })
}

/// The call that executes, in errors.
const EXECUTE: &str = "Execute";

/// How often an action is executed again because inputs or outputs turned out not to be at the server.
// A server that loses objects as fast as they come would be asked for ever; three is what the whole build has, too.
const MAX_REPEATS: usize = 3;

/// Reports how far an execution has come.
struct Reports {
    /// When it was given to the server, and when that reported that it runs.
    times: Mutex<(Instant, Option<Instant>)>,
    events: Arc<dyn Events>,
    id: Id,
    action: Arc<ActionDescription>,
    at: Arc<str>,
}

impl Progress for Reports {
    fn stage(&self, stage: Stage) {
        if stage == Stage::Running {
            self.times().1.get_or_insert_with(Instant::now);
        }
        self.events.remote(&self.id, &self.action, &self.at, stage.into());
    }
}

impl Reports {
    fn times(&self) -> MutexGuard<'_, (Instant, Option<Instant>)> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_given(&self) {
        // Each try starts anew: a server that was lost may have reported that the first one runs.
        *self.times() = (Instant::now(), None);
    }

    /// How long the action has waited at the server, as far as that reported when it runs.
    fn queued(&self) -> Option<Duration> {
        let (given, runs) = *self.times();
        Some(runs?.duration_since(given))
    }
}

impl RemoteExecutor {
    /// Asks nothing before there is an action to execute.
    pub fn new(setup: RemoteSetup) -> RemoteExecutor {
        let transfers = Transfers::new(&setup.store, &setup.endpoints, &setup.stop);
        let slots = Slots::new((), setup.jobs.max(1));
        let executed = setup.endpoints.iter().map(|_| ExecutedActions::default()).collect();
        let look_ups = setup.endpoints.iter().map(|_| LookUps::default()).collect();
        let reads = setup.endpoints.iter().map(|_| ServerReads::default()).collect();
        RemoteExecutor { setup, transfers, slots, hits: AtomicU64::new(0), executed, look_ups, reads }
    }

    fn count_hit(&self, number: usize) {
        self.hits.fetch_add(1, Relaxed);
        self.look_ups[number].count_hit();
    }

    fn demands(&self) -> Demands<'_> {
        Demands { properties: &self.setup.properties, timeout: self.setup.timeout }
    }

    /// Results of a server by what was read, in the action cache here.
    fn kept_here(&self, number: usize) -> KeptReads<'_> {
        KeptReads { server: Some(&self.setup.endpoints[number].id), ..self.kept_there() }
    }

    /// The same, under the keys that servers have.
    fn kept_there(&self) -> KeptReads<'_> {
        KeptReads { store: &self.setup.store, demands: self.demands(), server: None }
    }

    /// The server for an action; `None` if it runs here.
    fn endpoint_of(&self, action: &ActionDescription) -> Option<usize> {
        let RemoteSetup { dispatch, main, .. } = &self.setup;
        // The usual case needs no map of properties.
        if dispatch.is_empty() {
            return *main;
        }
        let has = properties(self.demands(), action);
        // All properties of the entry, not all of the action: an entry without properties fits everything.
        let fits = |wanted: &BTreeMap<String, String>| {
            wanted.iter().all(|(name, value)| has.get(name) == Some(value))
        };
        // The order of the file decides, as in the reference's `--endpoint-configuration`.
        let chosen = dispatch.iter().find(|(wanted, _)| fits(wanted)).map(|(_, endpoint)| *endpoint);
        chosen.or(*main)
    }

    async fn run_somewhere(
        &self,
        key: &RunKey,
        names: Option<&DepfileInputs<'_>>,
        end: &dyn RunEnd,
    ) -> Result<RunResult, Fail> {
        if let Some(number) = self.endpoint_of(&key.action) {
            return self.run_at(number, key, names, end).await;
        }
        // What other actions have left at servers is read here.
        let inputs: Vec<_> = key.inputs.iter().map(|(_, object)| *object).collect();
        let in_staging = |error| Phase::Staging.failed_in_store(error);
        let mut moved = ActionTransfer::default();
        if let Some(server) = self.setup.store.server_of(&inputs).map_err(in_staging)? {
            self.setup.events.remote(&key.id, &key.action, &server.into(), Step::Downloading);
            let begin = Instant::now();
            moved.fetched_bytes = self.setup.store.fetch(&inputs).await.map_err(in_staging)?;
            moved.downloading = begin.elapsed();
        }
        let ran = self.setup.local.run(key, None, end).await?;
        let ActionTransfer { fetched_bytes, downloading, .. } = moved;
        Ok(RunResult { fetched_bytes, downloading, ..ran })
    }

    async fn run_at(
        &self,
        number: usize,
        key: &RunKey,
        names: Option<&DepfileInputs<'_>>,
        end: &dyn RunEnd,
    ) -> Result<RunResult, Fail> {
        // A slot without a value: only the number of executions in flight is limited.
        let _slot = self.slots.take(|_| Some(())).await;
        // The build may have been stopped while this waited.
        if self.setup.stop.is_stopped() {
            return Err(Fail::Cancelled);
        }
        let ended = match self.run_in_slot(number, key, names).await {
            Ok(ran) => with_end(ran, end).await,
            Err(fail) => Err(with_first(fail, || self.first_unsent(key))),
        };
        // While this has the slot: the action that gets it next has to see the failure.
        self.setup.stop.note_end(&key.action, &ended);
        ended
    }

    /// What a server gets first for an action, in the order of the reference: inputs that no action makes, then the
    /// directory of all.
    fn first_unsent(&self, key: &RunKey) -> Option<Unsent> {
        let store = &self.setup.store;
        let object = |path: &str| key.inputs.iter().find(|(at, _)| **at == *path).map(|(_, object)| *object);
        let given = (key.action.inputs.iter()).find_map(|(path, value)| match value.as_artifact()? {
            artifact @ Artifact::Known(known) => Some(Unsent::Input(artifact.clone(), *known)),
            artifact @ Artifact::Local { .. } => Some(Unsent::Input(artifact.clone(), object(path)?)),
            _ => None,
        });
        if given.is_some() {
            return given;
        }
        let described = inputs::describe(store, self.demands(), key).ok()?;
        Some(Unsent::Directory(*described.inputs()?))
    }

    async fn run_in_slot(
        &self,
        number: usize,
        key: &RunKey,
        names: Option<&DepfileInputs<'_>>,
    ) -> Result<RunResult, Fail> {
        let endpoint = &self.setup.endpoints[number];
        let caller = endpoint.cas.callers().enter();
        let mut run = RemoteRun::new(
            &self.setup,
            number,
            key,
            inputs::describe(&self.setup.store, self.demands(), key)?,
        );
        let (mut skips_cache, missed) = match self.look_up(&run).await? {
            LookedUp::Known(ran) => return Ok(*ran),
            LookedUp::Unknown { missed, skips_cache } => (skips_cache, missed),
        };
        if let Some(names) = names
            && let Some(ran) = self.by_reads(&run, names).await?
        {
            return Ok(ran);
        }
        let (mut repeats, mut moved) = (0, ActionTransfer::default());
        loop {
            let report = |at: &Arc<str>, step| self.setup.events.remote(&key.id, &key.action, at, step);
            self.transfers.provide(number, &caller, &run.described, &report, &mut moved).await?;
            if self.setup.stop.is_stopped() {
                return Err(Fail::Cancelled);
            }
            if repeats == 0 {
                report(&endpoint.name, Step::Given);
            }
            run.reports.note_given();
            let execute = Execute { action: run.executed, skips_cache };
            repeats += 1;
            let executed = endpoint.executor.execute(execute, run.reports.clone());
            let executed = match caller.without_counting(executed).await {
                Ok(executed) => executed,
                // Another action may have sent them meanwhile.
                Err(Error::InputsMissing(_)) if repeats <= MAX_REPEATS => {
                    self.transfers.has_lost(number, &run.described).await?;
                    continue;
                }
                // Servers have many words for inputs that are missing.
                Err(Error::Final { .. } | Error::NotExecuted { .. } | Error::Transient { .. })
                    if repeats <= MAX_REPEATS && self.transfers.has_lost(number, &run.described).await? =>
                {
                    continue;
                }
                Err(error) => return Err(self.transfers.not_executed(number, run.executed, error)),
            };
            // justbuild's server gives a result that it has all the same. It has none under another name: so it
            // executes.
            if skips_cache && executed.was_cached && run.set_uncached(&self.setup.store) {
                continue;
            }
            let is_bad = executed.was_cached && executed.result.exit_code != 0;
            let ran = if is_bad { None } else { self.transfers.taken(number, key, &executed).await? };
            // A result of another client may be wrong where that of this run would not be.
            let is_own = !executed.was_cached || skips_cache;
            let ran = ran.filter(|ran| is_own || ran.invalid.is_empty());
            match ran {
                Some(ran) => return Ok(self.finished(&run, executed.was_cached, ran, moved, missed)),
                None if repeats <= MAX_REPEATS => skips_cache = true,
                None => {
                    let why = "outputs of the action are not there when it has ended";
                    let error = Error::Final { call: EXECUTE, why: why.to_owned() };
                    return Err(self.transfers.not_executed(number, run.executed, error));
                }
            }
        }
    }

    /// Asks the server for the result of an action before it gets the inputs, unless it executes all the same.
    async fn look_up(&self, run: &RemoteRun<'_>) -> Result<LookedUp, Fail> {
        let (number, key) = (run.number, run.key);
        let skips_cache = key.is_fresh || key.action.no_cache;
        // A server that is not asked looks its results up all the same before it executes.
        let missed = if skips_cache { None } else { run.described.missed(false) };
        if skips_cache || !self.look_ups[number].is_next_asked() {
            return Ok(LookedUp::Unknown { missed, skips_cache });
        }
        let known = run.endpoint.results.look_up(run.action).await;
        let known = known.map_err(|error| self.transfers.failed(number, error))?;
        let Some(result) = known.filter(|result| result.exit_code == 0) else {
            self.look_ups[number].count_miss();
            return Ok(LookedUp::Unknown { missed, skips_cache });
        };
        let executed = Executed { result, was_cached: true, ..Executed::default() };
        match self.transfers.taken(number, key, &executed).await? {
            Some(ran) if ran.is_complete() => {
                self.count_hit(number);
                Ok(LookedUp::Known(Box::new(RunResult { taken_from: ResultSource::RemoteCache, ..ran })))
            }
            // A result that is incomplete by now, or was never valid.
            _ => Ok(LookedUp::Unknown { missed: run.described.missed(true), skips_cache: true }),
        }
    }

    /// The result of an execution, with what it took.
    fn finished(
        &self,
        run: &RemoteRun<'_>,
        was_cached: bool,
        mut ran: RunResult,
        moved: ActionTransfer,
        missed: Option<Missed>,
    ) -> RunResult {
        if was_cached && !run.key.is_fresh {
            if ran.is_success() {
                self.count_hit(run.number);
                return RunResult { taken_from: ResultSource::RemoteCache, ..ran };
            }
        } else if ran.duration.is_zero() {
            ran.duration = run.begin.elapsed();
        }
        // By the clocks of the server, else by the one here.
        let queued = match ran.queued.is_zero() {
            true => run.reports.queued().unwrap_or_default(),
            false => ran.queued,
        };
        if missed.is_some() && ran.is_success() {
            self.executed[run.number].add(&run.key.action, run.message);
        }
        let lacked = missed.and_then(|missed| self.transfers.lacked(run.number, &missed, &run.key.inputs));
        let ActionTransfer { sent_bytes, fetched_bytes, uploading, downloading, .. } = moved;
        RunResult {
            run_as: Some(run.key.id),
            action_at_server: Some(run.executed),
            sent_bytes,
            uploading,
            fetched_bytes: fetched_bytes + ran.fetched_bytes,
            downloading: downloading + ran.downloading,
            queued,
            missed,
            lacked: lacked.map(Arc::new),
            ..ran
        }
    }
}

/// An action that a server is to execute.
struct RemoteRun<'r> {
    /// The number of the server.
    number: usize,
    endpoint: &'r Endpoint,
    key: &'r RunKey,
    described: RemoteAction,
    /// The digest of its message.
    message: Digest,
    /// The same, as the server names it.
    action: Digest,
    /// What the server executes: mostly that, else the same without its cache.
    executed: Digest,
    reports: Arc<Reports>,
    begin: Instant,
}

impl<'r> RemoteRun<'r> {
    fn new(setup: &'r RemoteSetup, number: usize, key: &'r RunKey, described: RemoteAction) -> RemoteRun<'r> {
        let (endpoint, begin) = (&setup.endpoints[number], Instant::now());
        let message = described.action().digest;
        let action = setup.store.name_at_servers(&message, false);
        let reports = Arc::new(Reports {
            times: Mutex::new((begin, None)),
            events: setup.events.clone(),
            id: key.id,
            action: key.action.clone(),
            at: endpoint.name.clone(),
        });
        RemoteRun { number, endpoint, key, described, message, action, executed: action, reports, begin }
    }

    /// From now on the server executes the action under a name whose result it does not keep. Returns whether it did
    /// not before.
    fn set_uncached(&mut self, store: &Store) -> bool {
        let is_new = self.described.set_uncached(store);
        self.executed = store.name_at_servers(&self.described.action().digest, false);
        is_new
    }
}

/// What a server knows of an action before it executes it.
enum LookedUp {
    Known(Box<RunResult>),
    Unknown {
        /// How the action is described there, if it counts as one that the server had no result of.
        missed: Option<Missed>,
        /// Whether the server is to execute it even if it has a result.
        skips_cache: bool,
    },
}

impl Executor for RemoteExecutor {
    fn run<'e>(
        &'e self,
        key: &'e RunKey,
        names: Option<&'e DepfileInputs<'e>>,
        end: &'e dyn RunEnd,
    ) -> Pin<Box<dyn Future<Output = Result<RunResult, Fail>> + Send + 'e>> {
        Box::pin(self.run_somewhere(key, names, end))
    }

    fn server_of(&self, action: &ActionDescription) -> Option<&str> {
        self.endpoint_of(action).map(|number| &*self.setup.endpoints[number].id)
    }

    fn keep_reads(
        &self,
        names: &DepfileInputs<'_>,
        read: &BTreeSet<Str>,
        ran: &RunResult,
    ) -> taut_store::Result<()> {
        let (Some(number), Some(result)) = (self.endpoint_of(names.action), &ran.at_server) else {
            return Ok(());
        };
        self.reads[number].add(&self.kept_there(), names, read, result)
    }

    fn known<'e>(&'e self, key: &'e RunKey, names: Option<&'e DepfileInputs<'e>>) -> KnownFuture<'e> {
        let server = match self.setup.compared_with {
            Some(Compared::Local) => None,
            Some(Compared::Server(number)) => Some(number),
            Some(Compared::Nothing) => return Box::pin(async { Ok(KnownResult::AtServer(None)) }),
            None => self.endpoint_of(&key.action),
        };
        Box::pin(async move {
            let Some(number) = server else { return Ok(KnownResult::Local) };
            let described = inputs::describe(&self.setup.store, self.demands(), key)?;
            let action = self.setup.store.name_at_servers(&described.action().digest, false);
            let found = self.setup.endpoints[number].results.look_up(action).await;
            let Some(result) = found.map_err(|error| self.transfers.failed(number, error))? else {
                // It may have been taken by what was read.
                let names = names.filter(|_| self.setup.compared_with.is_none());
                let found = names.map(|names| self.kept_here(number).result(names)).transpose();
                let found = found.map_err(|error| self.transfers.failed_in_store(error))?.flatten();
                return Ok(KnownResult::AtServer(found.map(|(_, ran)| Box::new(ran))));
            };
            let executed = Executed { result, was_cached: true, ..Executed::default() };
            Ok(KnownResult::AtServer(
                self.transfers
                    .taken(number, key, &executed)
                    .await?
                    .filter(RunResult::is_success)
                    .map(Box::new),
            ))
        })
    }

    fn offer(&self, built: Vec<ObjectInfo>) -> Result<(), Fail> {
        let RemoteSetup { store, endpoints, main, .. } = &self.setup;
        let Some(main) = *main else { return Ok(()) };
        // What any server has can be had by all builds that use these servers.
        // A note is enough here: a loss shows at the next use, and then the object is made again.
        let is_noted = |object: &ObjectInfo| (0..endpoints.len()).any(|place| store.is_noted(place, object));
        let here: Vec<ObjectInfo> = built.into_iter().filter(|object| !is_noted(object)).collect();
        match here.is_empty() {
            true => Ok(()),
            false => {
                let caller = endpoints[main].cas.callers().enter();
                let first = here.first().copied();
                let (objects, mut moved) = (RemoteAction::of_objects(here), ActionTransfer::default());
                let provided = self.transfers.provide(main, &caller, &objects, &|_, _| (), &mut moved);
                taut_service::wait(provided).map_err(|fail| with_first(fail, || first.map(Unsent::Result)))
            }
        }
    }

    fn finish(&self) {
        let of_servers = self.executed.iter().zip(&self.reads);
        for (endpoint, (executed, reads)) in self.setup.endpoints.iter().zip(of_servers) {
            if !self.setup.stop.is_interrupted() {
                // Without it, actions are executed that need not be.
                let _ = taut_service::wait(reads.store(endpoint, &self.setup.store));
                // It is for explanations only.
                let _ = taut_service::wait(executed.report(&*endpoint.cas, &*endpoint.results));
            }
        }
        self.transfers.lacked.iter().for_each(LackedObjects::clear);
    }

    fn take_traffic(&self) -> Option<Traffic> {
        Some(Traffic {
            hits: self.hits.swap(0, Relaxed),
            stored: 0,
            fetched_bytes: self.setup.store.take_fetched_bytes(),
            sent_bytes: self.transfers.sent.swap(0, Relaxed),
        })
    }

    fn close(&self) {
        self.setup.local.close();
    }
}
