//! An engine with the rules of analysis and execution, on which one request runs, or under `watch` many in a row.
//!
//! It owns what a build needs beside the engine: processes, sinks of events, open roots, the file of traces.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use taut_analysis::CacheKey;
use taut_digest::ObjectInfo;
use taut_engine::{Build, Builder, Content, Engine};
use taut_exec::{
    ActionKey, ActionRule, ArtifactKey, ArtifactRule, Endpoint, Execution, Executor, LocalExecutor,
    LocalSetup, Printed, RemoteExecutor, RemoteSetup, SharedCache, SharedService, StopSwitch, Traffic,
    with_artifact,
};
use taut_graph::{ActionGraph, Definition, DefinitionKey, LoadedGraph, LoadedGraphRule};
use taut_repos::RepoConfig;
use taut_store::Store;
use taut_syntax::Diagnostics;
use taut_sys::process::{HelperStart, Processes};
use taut_value::{Artifact, Id};

use crate::{
    Analysed, Analysis, AnalysisOptions, BuildFailure, BuildOptions, Closure, Event, ExportCache,
    RemoteExecution, Request, Results, SetupError, Sink, Traces, UnresolvedRequest, WantedArtifacts,
    WriteStrategy,
    analysis::{AnalysisRule, analyse_request},
    analysis_pass::AnalysisPass,
    analysis_setup::{begin, register, workspace},
    closure_actions::ClosureActions,
    context::execution_context,
    depfiles::RequestDepfiles,
    event::{self, EngineTrees, ExecutionEvents},
    full_analysis::analyse_all,
    history::{self, ActionEnds},
    origins::Origins,
    request_key::RequestKey,
    result::ResultRule,
    sources::RootSources,
    test_rule::TestRule,
};

/// An engine that can build.
pub struct Session {
    pub(crate) engine: Engine,
    pub(crate) build: Arc<Build>,
    pub(crate) jobs: usize,
    pub(crate) execution: Arc<Execution>,
    processes: Processes,
    grace: Duration,
    services: Services,
    /// Where events go.
    pub(crate) sink: Arc<dyn Sink>,
    /// Where the trees among inputs are looked up for events.
    trees: Arc<EngineTrees>,
    /// Where depfiles of actions are looked up.
    depfiles: Arc<RequestDepfiles>,
    pub(crate) ends: Arc<ActionEnds>,
    traces: Traces,
    /// The repositories.
    pub(crate) repositories: Arc<RepoConfig>,
    /// Where files are taken from.
    pub(crate) roots: Arc<taut_repos::Roots>,
    /// Where results of export targets are looked up.
    pub(crate) exports: ExportCache,
    /// Whether they are added there.
    pub(crate) writes_exports: bool,
    /// The keys of those that were added since the present round began.
    pub(crate) new_entries: Mutex<Vec<CacheKey>>,
}

/// Ends a session's build from another thread.
#[derive(Clone)]
pub struct Interrupter {
    stop: Arc<StopSwitch>,
    processes: Processes,
    grace: Duration,
    services: Services,
}

/// What is asked no more when a build is interrupted.
#[derive(Clone)]
struct Services {
    cache: Option<SharedService>,
    endpoints: Vec<Endpoint>,
}

impl Services {
    fn give_up(&self) {
        if let Some(cache) = &self.cache {
            cache.cas.give_up();
        }
        self.endpoints.iter().for_each(|endpoint| endpoint.cas.give_up());
    }
}

impl Services {
    /// Tries again what an earlier build of this session has given up.
    fn begin_anew(&self) {
        if let Some(cache) = &self.cache {
            cache.cas.begin_anew();
        }
        self.endpoints.iter().for_each(|endpoint| endpoint.cas.begin_anew());
    }
}

impl Interrupter {
    /// Begins nothing new, and asks the actions that run to end. Those that have not ended within
    /// [`Interrupter::grace`] are killed.
    pub fn interrupt(&self) {
        // First the flag: an action that started after `end_all` would not be ended.
        self.stop.interrupt();
        self.services.give_up();
        // Last: a process that ends by the signal must find the flag set, so that its exit code is not taken for a
        // failure.
        self.processes.end_all();
    }

    /// How long actions may take to end.
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// Kills everything that was started, whatever state it is in; waits for that at most the given time.
    pub fn kill(&self, within: Duration) {
        self.stop.interrupt();
        self.processes.kill_now(within);
    }
}

/// Where a session finds what it builds.
struct Definitions {
    /// The rules that compute the definitions of actions.
    rules: Builder,
    /// How many computations run at once.
    jobs: usize,
    /// Where source files lie.
    repositories: RepoConfig,
}

impl Session {
    /// A session that can analyse targets of some repositories and build them in `store`; nothing is read yet.
    pub fn of(
        repositories: &RepoConfig,
        how: AnalysisOptions,
        store: &Store,
        traces: &Traces,
        options: &BuildOptions,
        sink: &Arc<dyn Sink>,
    ) -> Session {
        let workspace = workspace(repositories, how);
        let at = options.remote_execution.as_ref().map(|remote| remote.backend.clone()).unwrap_or_default();
        let exports = ExportCache::of(store, &options.properties, &at);
        let rules = register(Engine::builder(), &workspace, exports.lookups())
            .rule(AnalysisRule)
            .rule(ResultRule(store.clone()));
        let definitions = Definitions { rules, jobs: how.jobs, repositories: repositories.clone() };
        let session = Session::new(definitions, store, traces, options, sink);
        Session { exports, ..session }
    }

    /// A session that can build what a graph defines. Its source files lie in `repositories`, if anywhere.
    ///
    /// # Errors
    /// What is wrong with the build root.
    pub fn of_graph(
        graph: &Arc<ActionGraph>,
        repositories: RepoConfig,
        store: &Store,
        options: &BuildOptions,
        sink: &Arc<dyn Sink>,
    ) -> taut_store::Result<Session> {
        // At once, not on demand: a graph from a file is used by one call.
        for blob in &graph.blobs {
            store.put_blob(blob.as_bytes(), false)?;
        }
        let rule = LoadedGraphRule { graph: graph.clone(), hash_function: store.hash_function() };
        let rules = taut_graph::register(Engine::builder()).rule(rule);
        let definitions = Definitions { rules, jobs: options.jobs, repositories };
        let session = Session::new(definitions, store, &Traces::none(), options, sink);
        // It cannot fail by itself; an artifact that is missing afterwards is reported where it is requested.
        let _ = session.build.get::<LoadedGraphRule>(LoadedGraph);
        Ok(session)
    }

    fn new(
        definitions: Definitions,
        store: &Store,
        traces: &Traces,
        options: &BuildOptions,
        sink: &Arc<dyn Sink>,
    ) -> Session {
        let Definitions { rules, jobs, repositories } = definitions;
        // The order of construction is that of dependence: sinks, then what sends to them, then the
        // engine that calls it.
        let repositories = Arc::new(repositories);
        let sources = RootSources::new(repositories.clone());
        let roots = sources.roots();
        let ends: Arc<ActionEnds> = Arc::default();
        let all: Vec<Arc<dyn Sink>> = vec![sink.clone(), ends.clone()];
        let (sink, trees): (Arc<dyn Sink>, Arc<EngineTrees>) = (Arc::new(all), Arc::default());
        let depfiles: Arc<RequestDepfiles> = Arc::default();
        let stop = Arc::new(StopSwitch::new(options.keep_going));
        let events =
            Arc::new(ExecutionEvents { sink: sink.clone(), trees: trees.clone(), stop: stop.clone() });
        let processes = Processes::new(HelperStart::this_program());
        let local = LocalExecutor::new(LocalSetup {
            store: store.clone(),
            processes: processes.clone(),
            events: events.clone(),
            launcher: options.launcher.clone(),
            timeout: options.timeout,
            grace: options.grace,
            jobs: options.jobs,
            stop: stop.clone(),
        });
        // Part of the identity of actions, as in the reference, also where no limit is enforced.
        let timeout = options.timeout.unwrap_or(Duration::from_secs(300));
        let executor = executor(local, options, timeout, store, &events);
        // A comparison with cached results neither uses nor changes them.
        let shared = options.remote_cache.clone().filter(|_| !options.compare);
        let shared = shared.map(|service| SharedCache::new(service, store, &options.launcher, &stop));
        let execution = Arc::new(Execution {
            store: store.clone(),
            context: execution_context(options, traces.generation()),
            sources: Arc::new(sources),
            events,
            executor,
            properties: options.properties.clone(),
            timeout,
            compare: options.compare,
            depfiles: depfiles.clone(),
            shared,
            stop,
            counters: Default::default(),
        });
        let rules = rules.rule(TestRule(execution.clone()));
        let engine = traces.open(taut_exec::register(rules, &execution));
        // The rules of the engine need the sinks of events, and these look trees up in the engine: the cell is filled
        // when both exist.
        trees.set(Some(engine.clone()));
        let build = Arc::new(begin(engine.begin(), jobs));
        let endpoints = options.remote_execution.iter().flat_map(|remote| remote.endpoints.clone()).collect();
        let services = Services { cache: options.remote_cache.clone(), endpoints };
        let (traces, grace) = (traces.clone(), options.grace);
        let (exports, new_entries) = Default::default();
        let writes_exports = options.write_strategy != WriteStrategy::Disable;
        Session {
            build,
            jobs,
            engine,
            execution,
            processes,
            grace,
            services,
            sink,
            trees,
            depfiles,
            ends,
            traces,
            repositories,
            roots,
            exports,
            writes_exports,
            new_entries,
        }
    }

    /// What ends the build from another thread.
    pub fn interrupter(&self) -> Interrupter {
        let stop = self.execution.stop.clone();
        let services = self.services.clone();
        Interrupter { stop, processes: self.processes.clone(), grace: self.grace, services }
    }

    /// The request that a call asks for.
    ///
    /// # Errors
    /// Its words name no target.
    pub fn request(&self, unresolved: &UnresolvedRequest) -> Result<Request, SetupError> {
        unresolved.resolve(&self.build)
    }

    /// Analyses the targets of a request.
    ///
    /// # Errors
    /// Everything that is wrong with the description; at least one diagnostic.
    pub fn analysed(&self, request: &Request) -> Result<Arc<Analysed>, Diagnostics> {
        analyse_request(&self.build, request)
    }

    /// Whether the analysis of a request was executed in this build, at least in part; else it was replayed.
    pub fn has_analysed(&self, request: &Request) -> bool {
        self.build.explain::<AnalysisRule>(&RequestKey::of(request)).is_some()
    }

    /// The result of analysis for every target in the closure of a request: decodes all of them.
    ///
    /// # Errors
    /// Everything that is wrong with the description; at least one diagnostic.
    pub fn whole_analysis(&self, request: &Request) -> Result<Analysis, Diagnostics> {
        analyse_all(&self.build, request)
    }

    /// Drops from memory what only analysis needs.
    pub(crate) fn release_analysis(&self) {
        taut_analysis::release(&self.build);
    }

    /// Builds what a request asks for.
    ///
    /// # Errors
    /// Everything that failed.
    pub fn result(&self, request: &Request, wanted: &WantedArtifacts) -> Result<Arc<Results>, BuildFailure> {
        match self.build.get::<ResultRule>(RequestKey::of(request)) {
            Ok(results) => {
                self.replay_printed(&results.printed);
                Ok(results)
            }
            // The artifacts are settled by now: this collects the errors of all of them.
            Err(_) => self.build(wanted).map(Arc::new),
        }
    }

    /// Builds what is wanted, whatever it is part of.
    ///
    /// # Errors
    /// Everything that failed.
    pub fn build(&self, wanted: &WantedArtifacts) -> Result<Results, BuildFailure> {
        let mut built = Vec::with_capacity(wanted.len());
        let mut failed = Vec::new();
        // The engine goes on after failures (`begin`), so each artifact has an answer of its own.
        let answers = self.build.all::<ArtifactRule>(wanted.keys());
        for ((path, artifact), answer) in wanted.iter().zip(answers) {
            match answer {
                Ok(object) => built.push((path.clone(), object)),
                Err(fail) => failed.push((path, artifact, fail)),
            }
        }
        let ClosureActions { actions, printed } = ClosureActions::of(&self.engine, &self.build, wanted);
        // Also if something failed: what an action printed may be the reason.
        self.replay_printed(&printed);
        if !failed.is_empty() {
            let failed = failed.iter().map(|(path, artifact, fail)| (*path, self.maker(artifact), fail));
            let mut failure = BuildFailure::of(failed);
            failure.losing_server = self.execution.store.losing_server().map(str::to_owned);
            // What failed first may lie below several artifacts and be the failure of none of them.
            if let Some(first) = self.build.first_failure() {
                failure.add_first(&first);
            }
            if self.execution.stop.is_interrupted() {
                // Whatever is not settled yet is cancelled, so this runs nothing.
                let is_done = |id: &&Id| self.build.get::<ActionRule>(ActionKey(**id)).is_ok();
                failure.done = Some(actions.iter().filter(is_done).count());
            }
            failure.unbuilt.iter().for_each(|unbuilt| self.sink.event(&Event::Unbuilt(unbuilt)));
            return Err(failure);
        }
        // The rest was built for the target-level cache only.
        built.truncate(wanted.artifacts.len() + wanted.runfiles.len());
        let runfiles = built.split_off(wanted.artifacts.len());
        Ok(Results { artifacts: built, runfiles, actions: actions.len(), printed })
    }

    /// The action whose failure keeps an artifact from being built; for a tree, the action of its first such entry.
    fn maker(&self, artifact: &Artifact) -> Option<Id> {
        let mut artifact = artifact.clone();
        loop {
            if let Artifact::Action { id, .. } = artifact {
                return Some(id);
            }
            let contents: Vec<Artifact> = match &*self.definition(DefinitionKey::of_artifact(&artifact)?)? {
                Definition::Tree(tree) => {
                    tree.stage().values().filter_map(|value| value.as_artifact().cloned()).collect()
                }
                Definition::Overlay(overlay) => overlay.trees().to_vec(),
                _ => return None,
            };
            let is_missing =
                |inside: &Artifact| self.build.get::<ArtifactRule>(ArtifactKey(inside.clone())).is_err();
            artifact = contents.into_iter().find(is_missing)?;
        }
    }

    /// Sends the events of all actions in the closure of what is wanted that had none yet: they did not have to be
    /// looked at.
    pub fn report_all_actions(&self, wanted: &WantedArtifacts) {
        // The result may have been replayed as a whole, so that no artifact below it was settled in this build.
        let _ = self.build.all::<ArtifactRule>(wanted.keys());
        self.report_actions(ClosureActions::of(&self.engine, &self.build, wanted).actions);
    }

    /// Sends the events of the actions that printed something and did not run, so that it is shown again.
    fn replay_printed(&self, printed: &[Printed]) {
        self.report_actions(printed.iter().map(|printed| printed.action));
    }

    /// Sends the events of actions whose results are known, each once in a build.
    fn report_actions(&self, actions: impl IntoIterator<Item = Id>) {
        let counters = &self.execution.counters;
        let actions: Vec<Id> = actions.into_iter().filter(|id| !counters.has_processed(id)).collect();
        let keys: Vec<ActionKey> = actions.iter().map(|id| ActionKey(*id)).collect();
        for (id, outcome) in actions.iter().zip(self.build.all::<ActionRule>(keys)) {
            let definition = self.definition(DefinitionKey::action(id));
            if let (Ok(outcome), Some(Definition::Action(action))) = (outcome, definition.as_deref())
                // The counter decides, not the filter above: another thread may have reported the
                // action meanwhile.
                && counters.processed_one(id)
            {
                let (action, trees) = (event::Action { id, description: action }, None);
                // Sinks expect a beginning for each end.
                self.sink.event(&Event::ActionBegun(action));
                let (inputs, outcome, is_replayed) = (None, &*outcome, true);
                let finished = event::Finished { action, inputs, outcome, is_replayed, trees };
                self.sink.event(&Event::ActionFinished(&finished));
            }
        }
    }

    /// A definition; `None` if none of that name is known.
    pub(crate) fn definition(&self, name: DefinitionKey) -> Option<Arc<Definition>> {
        self.build.get::<Content<Definition>>(name.0).ok()
    }

    /// Which targets define what, for messages.
    pub fn origins(&self, request: &Request) -> Origins {
        Origins::new(&self.engine, &self.build, request)
    }

    /// All configured targets below those of a request.
    ///
    /// # Errors
    /// Everything that is wrong with the description; at least one diagnostic.
    pub fn closure(&self, request: &Request) -> Result<Closure, Diagnostics> {
        self.use_depfiles_of(request);
        Closure::of(&self.build, request)
    }

    /// Which targets define what, for messages, where the targets were analysed one by one ([`Session::closure`]).
    pub fn origins_of_targets(&self, request: &Request) -> Origins {
        Origins::of_targets(&self.engine, &self.build, request)
    }

    /// Appends the new runs to the engine's file. If that fails, there is a warning, and later builds repeat the work.
    pub fn commit(&self) {
        self.traces.commit(&self.engine);
    }

    /// What went wrong with cached build state, if anything; returned once.
    pub fn cache_warning(&self) -> Option<String> {
        self.traces.take_warning(&self.engine)
    }

    /// Sends an event for each task that was executed, with the reason. To be called when the build is over, or
    /// analysis has failed, of sessions that use cached build state: without it there are no reasons.
    pub fn report_tasks(&self, repositories: &RepoConfig) {
        history::report(&*self.sink, &self.engine, &self.build, &self.ends, repositories, false);
    }

    /// The analysis of a request on this session. `is_cached`: whether cached build state is used and written.
    pub(crate) fn analysis_pass(&self, is_cached: bool) -> AnalysisPass<'_> {
        let Session { engine, build, traces, ends, sink, .. } = self;
        AnalysisPass { engine, build, traces, ends, sink: &**sink, is_cached }
    }

    /// Looks for the depfiles of actions in what the targets of a request mention. To be called before anything is
    /// executed for it, in each build.
    pub(crate) fn use_depfiles_of(&self, request: &Request) {
        self.depfiles.look_in(&self.engine, &self.build, request);
    }

    /// Sends the event that execution begins. `actions`: how many there are.
    pub(crate) fn report_build_begin(&self, request: &Request, actions: usize) {
        self.use_depfiles_of(request);
        let origins = self.origins(request);
        let origins: event::Origins = Arc::new(move |id: &Id| origins.first(id));
        self.sink.event(&Event::BuildBegan { actions, origins: &origins });
    }

    /// Tries servers again that were given up, for another try of the same build. A cache stays given up: its delay is
    /// paid once.
    pub(crate) fn try_servers_again(&self) {
        if !self.execution.stop.is_interrupted() {
            self.services.endpoints.iter().for_each(|endpoint| endpoint.cas.begin_anew());
        }
    }

    /// Tries services again that were given up, for another build.
    pub(crate) fn begin_sharing_anew(&self) {
        if self.execution.stop.is_interrupted() {
            return;
        }
        self.services.begin_anew();
        if let Some(shared) = &self.execution.shared {
            shared.begin_anew();
        }
    }

    /// Waits until the results of this build are in the remote cache, and reports what went wrong with it. Returns what
    /// passed between this machine and others; `None` if none takes part.
    fn finish_sharing(&self) -> Option<Traffic> {
        // Before the traffic is taken: transfers in the background count for this build.
        self.execution.executor.finish();
        let remote = self.execution.executor.take_traffic();
        if remote.is_some()
            && let Err(error) = self.execution.store.save_server_objects()
        {
            // What is not known is asked again.
            self.sink.event(&Event::RemoteCacheFailed(&error.to_string()));
        }
        let Some(shared) = &self.execution.shared else { return remote };
        shared.finish();
        if let Some(problem) = shared.take_problem() {
            self.sink.event(&Event::RemoteCacheFailed(&problem));
        }
        Some(shared.take_traffic() + remote.unwrap_or_default())
    }

    /// Uploads the objects of the result that the executing server lacks, if there is one: also sources and trees,
    /// which may not be the input of any action there. Objects that are recorded as present are not asked for.
    ///
    /// # Errors
    /// The server does not answer, or something is lost here.
    pub(crate) fn offer(&self, results: &Results, wanted: &WantedArtifacts) -> Result<(), BuildFailure> {
        let built = results.artifacts.iter().chain(&results.runfiles).map(|(_, built)| built.info).collect();
        let artifact = |object: &ObjectInfo| {
            let mut built = results.artifacts.iter().chain(&results.runfiles);
            let (path, _) = built.find(|(_, built)| built.info == *object)?;
            let mut wanted = wanted.artifacts.iter().chain(&wanted.runfiles);
            Some(wanted.find(|(at, _)| at == path)?.1.clone())
        };
        self.execution.executor.offer(built).map_err(|fail| {
            let fail = with_artifact(fail, artifact);
            let mut failure = BuildFailure::default();
            failure.add_first(&fail);
            failure.unbuilt.iter().for_each(|unbuilt| self.sink.event(&Event::Unbuilt(unbuilt)));
            failure
        })
    }

    /// Sends the event that execution has ended.
    pub fn report_end(&self, built: Result<&Results, &BuildFailure>) {
        let counters = &self.execution.counters;
        let processed = match built {
            Ok(results) => results.actions,
            Err(failure) => failure.done.unwrap_or_else(|| counters.processed()),
        };
        let (is_complete, ran) = (built.is_ok(), counters.ran());
        let built = event::Built { is_complete, processed, ran, traffic: self.finish_sharing() };
        self.sink.event(&Event::BuildFinished(built));
    }

    /// Removes what was made for running actions; all of them have ended.
    pub fn close(&self) {
        // Some callers report no end.
        self.finish_sharing();
        // The engine owns the sinks and rules, which look things up in it: without this, each keeps the other in
        // memory.
        self.trees.set(None);
        self.depfiles.end();
        self.execution.executor.close();
    }

    /// Ends the session without freeing its memory, in a process that is about to exit.
    pub fn forget(self) {
        // Freeing all values takes time, and the system takes the memory back at once.
        std::mem::forget(self);
    }

    /// How many of so many actions did not have to run.
    pub fn cache_hits(&self, actions: usize) -> usize {
        actions.saturating_sub(self.execution.counters.ran())
    }
}

/// What executes actions: this machine, or the servers of the options with this machine for what they do not take.
fn executor(
    local: LocalExecutor,
    options: &BuildOptions,
    timeout: Duration,
    store: &Store,
    events: &Arc<ExecutionEvents>,
) -> Arc<dyn Executor> {
    let Some(remote) = options.remote_execution.clone() else { return Arc::new(local) };
    let RemoteExecution { endpoints, main, dispatch, compared_with, jobs, .. } = remote;
    Arc::new(RemoteExecutor::new(RemoteSetup {
        store: store.clone(),
        endpoints,
        main,
        dispatch,
        compared_with,
        local,
        properties: options.properties.clone(),
        timeout,
        jobs,
        events: events.clone(),
        stop: events.stop.clone(),
    }))
}
