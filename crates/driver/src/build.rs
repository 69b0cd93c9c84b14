//! Building artifacts: those that analysis found, on the same engine, or those of a graph that was read.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use taut_digest::Hash;
use taut_engine::{Build, Builder, Engine, Fail};
use taut_exec::{
    ActionFailure, ActionKey, ActionRule, ArtifactKey, ArtifactRule, Built, Definitions, Events, Execution,
    Halt, KeepKey, KeepRule, LocalExecutor, LocalSetup, OverlayConflict, Sources,
};
use taut_repos::{RepoConfig, SourceRoot};
use taut_store::Store;
use taut_syntax::Diagnostics;
use taut_sys::process::{HelperStart, Processes};
use taut_value::path::{normal_path, relative};
use taut_value::{ActionDescription, Artifact, Id, Map, Str, TargetResult, Tree, TreeOverlay};

use crate::{
    Analysis, AnalysisOptions, Basis, Ended, History, Request, Runs,
    analyse::{analyse_in, begin, workspace},
    cas::{Found, below},
    census::short,
    defined::InWorkspace,
    graph::ActionGraph,
    history::{self, Ends},
    survey::part,
    talkers::Talkers,
};

/// How to build.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// How many actions run at once.
    pub jobs: usize,
    /// Words in front of each command.
    pub launcher: Vec<String>,
    /// The time limit of actions; none is enforced unless one is given.
    pub timeout: Option<Duration>,
    /// How long an action that is to end may take before it is killed.
    pub grace: Duration,
    /// Properties that all actions ask of the executing platform.
    pub properties: Vec<(String, String)>,
    /// Whether to go on after a failure with all that does not depend on it.
    pub keep_going: bool,
    /// Whether all actions are run, to be compared with what is cached.
    pub compare: bool,
}

/// What is to be built, by path; sorted, and no path twice.
#[derive(Clone, Default, Debug)]
pub struct Wanted {
    /// What was asked for.
    pub artifacts: Vec<(Str, Artifact)>,
    /// What is needed to run it, unless it is asked for anyway.
    pub runfiles: Vec<(Str, Artifact)>,
}

impl Wanted {
    /// What a target offers.
    pub(crate) fn of(result: &TargetResult) -> Wanted {
        let stage = |stage: &Map| -> Vec<(Str, Artifact)> {
            // Stages can be large, and a vector that grows would be twice as large.
            let mut wanted = Vec::with_capacity(stage.len());
            wanted.extend(
                stage.iter().filter_map(|(path, value)| Some((path.clone(), value.as_artifact()?.clone()))),
            );
            wanted
        };
        let mut runfiles = stage(&result.runfiles);
        runfiles.retain(|(path, _)| !result.artifacts.contains_key(path));
        runfiles.shrink_to_fit();
        Wanted { artifacts: stage(&result.artifacts), runfiles }
    }

    fn iter(&self) -> impl Iterator<Item = &Artifact> {
        self.artifacts.iter().chain(&self.runfiles).map(|(_, artifact)| artifact)
    }
}

/// An engine that can build.
pub struct Session {
    pub(crate) engine: Engine,
    pub(crate) build: Build,
    pub(crate) jobs: usize,
    pub(crate) execution: Arc<Execution>,
    processes: Processes,
    grace: Duration,
    pub(crate) ends: Arc<Ends>,
    pub(crate) runs: Runs,
    talkers: Arc<Talkers>,
    /// Where files are taken from.
    pub(crate) roots: Arc<taut_repos::Roots>,
    /// Where definitions are, in sessions that analyse.
    world: Option<Arc<InWorkspace>>,
    /// How many actions there are, if all have a result.
    processed: OnceLock<usize>,
    /// Whether objects of the request may be in the older generation of the store only.
    pub(crate) is_collected: AtomicBool,
}

/// What was built.
pub struct Results {
    /// The artifacts that were wanted, by path.
    pub artifacts: Vec<(Str, Built)>,
    /// The runfiles, by path.
    pub runfiles: Vec<(Str, Built)>,
}

/// Why a build has no results. Events told about actions that failed.
#[derive(Default)]
pub struct BuildFailure {
    /// Overlays of trees that disagree.
    pub conflicts: Vec<OverlayConflict>,
    /// Other reasons.
    pub others: BTreeSet<String>,
    /// Whether something was not defined: the description changed after it was analysed.
    pub is_undefined: bool,
    /// Whether something was not in the store that was taken to be there. It counts as absent now.
    pub is_lost: bool,
    /// Wanted paths that could not be built.
    pub not_built: Vec<Str>,
}

/// Ends a session's build from another thread.
#[derive(Clone)]
pub struct Interrupter {
    halt: Arc<Halt>,
    processes: Processes,
    grace: Duration,
}

impl Interrupter {
    /// Begins nothing new, and asks the actions that run to end. Those that have not ended within
    /// [`Interrupter::grace`] are killed.
    pub fn interrupt(&self) {
        self.halt.stop();
        self.processes.end_all();
    }

    /// How long actions may take to end.
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// Kills everything that was started, whatever state it is in; waits for that at most the given time.
    pub fn kill(&self, within: Duration) {
        self.halt.stop();
        self.processes.kill_now(within);
    }
}

impl Definitions for ActionGraph {
    fn action(&self, id: &Id) -> Option<Arc<ActionDescription>> {
        self.actions.get(id).map(|action| action.description.clone())
    }

    fn tree(&self, id: &Id) -> Option<Tree> {
        self.trees.get(id).cloned()
    }

    fn overlay(&self, id: &Id) -> Option<TreeOverlay> {
        self.overlays.get(id).cloned()
    }

    /// The blobs of a graph are put into the store before anything is built.
    fn blob(&self, _: &Hash) -> Option<Str> {
        None
    }
}

struct Roots(RepoConfig);

impl Sources for Roots {
    fn root(&self, repository: &str) -> Option<&dyn SourceRoot> {
        self.0.repositories.get(repository).map(|repository| &*repository.workspace_root.source)
    }
}

impl Session {
    /// Is ready to analyse a request and to build it in `store`; nothing is read yet.
    pub fn of_request(
        request: &Request,
        how: AnalysisOptions,
        store: &Store,
        runs: &Runs,
        options: &BuildOptions,
        events: &Arc<dyn Events>,
    ) -> Session {
        let workspace = workspace(request, how);
        let world = Arc::new(InWorkspace::new(workspace.clone()));
        let builder = taut_analysis::register(Engine::builder(), &workspace);
        let roots = Roots(request.repositories.clone());
        let mut session = Session::new(builder, how.jobs, world.clone(), roots, store, runs, options, events);
        session.world = Some(world);
        session
    }

    /// Analyses the targets of the request.
    ///
    /// # Errors
    /// Everything that is wrong with the description; at least one diagnostic.
    pub fn analyse(&self, request: &Request) -> Result<Analysis, Diagnostics> {
        analyse_in(&self.build, request)
    }

    /// Is ready to build what a graph defines. Its source files lie in `repositories`, if anywhere.
    ///
    /// # Errors
    /// What is wrong with the build root.
    pub fn of_graph(
        graph: &Arc<ActionGraph>,
        repositories: RepoConfig,
        store: &Store,
        options: &BuildOptions,
        events: &Arc<dyn Events>,
    ) -> taut_store::Result<Session> {
        for blob in &graph.blobs {
            store.put_blob(blob.as_bytes(), false)?;
        }
        let roots = Roots(repositories);
        let (builder, runs) = (Engine::builder(), Runs::none());
        Ok(Session::new(builder, options.jobs, graph.clone(), roots, store, &runs, options, events))
    }

    #[allow(clippy::too_many_arguments, reason = "all that differs between the kinds of sessions")]
    fn new(
        builder: Builder,
        jobs: usize,
        definitions: Arc<dyn Definitions>,
        roots: Roots,
        store: &Store,
        runs: &Runs,
        options: &BuildOptions,
        events: &Arc<dyn Events>,
    ) -> Session {
        let open_roots = roots.0.roots.clone();
        let ends: Arc<Ends> = Arc::default();
        let talkers = Arc::new(Talkers::new(runs.file(), runs.trouble()));
        let all: Vec<Arc<dyn Events>> = vec![events.clone(), ends.clone(), talkers.clone()];
        let events: &Arc<dyn Events> = &(Arc::new(all) as Arc<dyn Events>);
        let processes = Processes::new(HelperStart::this_program());
        let halt = Arc::new(Halt::new(options.keep_going));
        let executor = LocalExecutor::new(LocalSetup {
            store: store.clone(),
            processes: processes.clone(),
            events: events.clone(),
            launcher: options.launcher.clone(),
            timeout: options.timeout,
            grace: options.grace,
            jobs: options.jobs,
            halt: halt.clone(),
        });
        let execution = Arc::new(Execution {
            store: store.clone(),
            definitions,
            sources: Arc::new(roots),
            events: events.clone(),
            executor: Arc::new(executor),
            properties: options.properties.clone(),
            timeout: options.timeout.unwrap_or(Duration::from_secs(300)),
            compare: options.compare,
            halt,
            counters: Default::default(),
        });
        let engine = runs.open(taut_exec::register(builder, &execution));
        let build = begin(engine.begin(), jobs);
        let (is_collected, processed) = (AtomicBool::new(runs.is_collected()), OnceLock::new());
        let (runs, world) = (runs.clone(), None);
        Session {
            build,
            jobs,
            engine,
            execution,
            processes,
            grace: options.grace,
            ends,
            runs,
            talkers,
            roots: open_roots,
            world,
            processed,
            is_collected,
        }
    }

    /// What ends the build from another thread.
    pub fn interrupter(&self) -> Interrupter {
        let halt = self.execution.halt.clone();
        Interrupter { halt, processes: self.processes.clone(), grace: self.grace }
    }

    /// Builds what is wanted.
    ///
    /// # Errors
    /// Everything that failed.
    pub fn build(&self, wanted: &Wanted) -> Result<Results, BuildFailure> {
        let built = self.build_all(wanted);
        self.refresh(wanted);
        if self.is_through() {
            self.recall(wanted.iter());
        }
        self.commit();
        built
    }

    /// Builds what is wanted by a description; of actions that nobody has to look at, only those are told of that
    /// may have said something.
    ///
    /// # Errors
    /// Everything that failed.
    pub fn build_described(&self, wanted: &Wanted, basis: &Basis) -> Result<Results, BuildFailure> {
        let (Some(census), Some(world)) = (&basis.census, &self.world) else { return self.build(wanted) };
        world.look_up_in(&self.engine, census);
        let built = self.build_all(wanted);
        self.refresh(wanted);
        if self.is_through() {
            let needed = census.needed(wanted.iter().filter_map(part));
            match self.talkers.known() {
                Some(talkers) => {
                    let counters = &self.execution.counters;
                    let is_open =
                        |id: &Id| census.is_among(&needed, &short(&id.0)) && !counters.has_processed(id);
                    self.tell_of(talkers.into_iter().filter(is_open).collect());
                    // Whoever asks twice hears the same.
                    let _ = self.processed.set(census.actions_among(&needed));
                }
                None => self.recall(wanted.iter()),
            }
        }
        self.commit();
        built
    }

    pub(crate) fn build_all(&self, wanted: &Wanted) -> Result<Results, BuildFailure> {
        let all = || wanted.artifacts.iter().chain(&wanted.runfiles);
        let keys: Vec<ArtifactKey> = all().map(|(_, artifact)| ArtifactKey(artifact.clone())).collect();
        let mut built = Vec::with_capacity(keys.len());
        let mut failure = BuildFailure::default();
        for ((path, _), result) in all().zip(self.build.all::<ArtifactRule>(keys)) {
            match result {
                Ok(object) => built.push((path.clone(), object)),
                Err(fail) => failure.add(path, &fail),
            }
        }
        if !failure.not_built.is_empty() {
            failure.is_undefined = self.execution.halt.is_undefined();
            failure.is_lost = self.execution.halt.is_lost();
            return Err(failure);
        }
        let runfiles = built.split_off(wanted.artifacts.len());
        Ok(Results { artifacts: built, runfiles })
    }

    /// Tells of the actions that nobody had to look at, as of any that is known from before: what they said is
    /// to be shown, and their outputs are to be kept.
    fn recall<'a>(&self, wanted: impl Iterator<Item = &'a Artifact>) {
        let mut actions = self.needed(wanted);
        actions.retain(|id| !self.execution.counters.has_processed(id));
        self.tell_of(actions);
    }

    /// Garbage collection takes what nobody uses. What was recorded spares the use of most of what a request is made
    /// from; so once after each collection, all of it is used.
    pub(crate) fn refresh(&self, wanted: &Wanted) {
        if self.is_through() && self.is_collected.load(SeqCst) {
            let keys = self.needed(wanted.iter()).into_iter().map(KeepKey);
            let all = self.build.all::<KeepRule>(keys).iter().all(Result::is_ok);
            self.is_collected.store(!all, SeqCst);
        }
    }

    /// All actions that take part in what is wanted.
    fn needed<'a>(&self, wanted: impl Iterator<Item = &'a Artifact>) -> HashSet<Id> {
        let definitions = &self.execution.definitions;
        let mut pending: Vec<Artifact> = wanted.cloned().collect();
        let mut seen: HashSet<Artifact> = HashSet::new();
        let mut actions: HashSet<Id> = HashSet::new();
        while let Some(artifact) = pending.pop() {
            let stage = match &artifact {
                Artifact::Local { .. } | Artifact::Known(_) => continue,
                Artifact::Action { id, .. } if actions.contains(id) => continue,
                Artifact::Action { id, .. } => definitions.action(id).map(|action| {
                    actions.insert(*id);
                    action.inputs.clone()
                }),
                other if !seen.insert(other.clone()) => continue,
                Artifact::Tree(id) => definitions.tree(id).map(|tree| tree.stage().clone()),
                Artifact::TreeOverlay(id) => {
                    let overlay = definitions.overlay(id);
                    pending.extend(overlay.iter().flat_map(|overlay| overlay.trees().iter().cloned()));
                    None
                }
            };
            let stage = stage.iter().flat_map(|stage| stage.values());
            pending.extend(stage.filter_map(|value| value.as_artifact().cloned()));
        }
        actions
    }

    /// Whether everything was tried: nothing failed, or other things were done all the same.
    fn is_through(&self) -> bool {
        !self.execution.halt.is_halted()
    }

    /// Tells of actions whose results are known, in the order of their ids.
    fn tell_of(&self, actions: HashSet<Id>) {
        let mut actions: Vec<Id> = actions.into_iter().collect();
        actions.sort_unstable();
        let keys: Vec<ActionKey> = actions.iter().map(|id| ActionKey(*id)).collect();
        for (id, outcome) in actions.iter().zip(self.build.all::<ActionRule>(keys)) {
            if let Ok(outcome) = outcome
                && self.execution.counters.processed_one(id)
                && let Some(action) = self.execution.definitions.action(id)
            {
                self.execution.events.begun(id, &action);
                self.execution.events.finished(id, &action, &outcome);
            }
        }
    }

    /// Keeps the runs of tasks. Those that are not kept cost time, not more.
    pub(crate) fn commit(&self) {
        if self.talkers.keep() {
            self.runs.commit(&self.engine);
        }
    }

    /// What went wrong with what outlives calls, if anything; told once.
    pub fn trouble(&self) -> Option<String> {
        self.runs.troubled(&self.engine)
    }

    /// Leaves a record of why things ran, if anything did that is worth telling. `command`: the word for
    /// what the request is for.
    pub fn note(&self, history: &History, request: &Request, command: &str, ended: Ended) {
        history::note(history, &self.engine, &self.build, &self.ends, request, command, ended);
    }

    /// Removes what was made for running actions, none of which runs any more.
    pub fn close(&self) {
        if let Some(world) = &self.world {
            world.forget();
        }
        self.execution.executor.close();
    }

    /// Ends the session of a process that is about to end: what the system takes back is not taken apart.
    pub fn leave(self) {
        std::mem::forget(self);
    }

    /// How many actions have a result, and how many of those were cached.
    pub fn counts(&self) -> (usize, usize) {
        let counters = &self.execution.counters;
        let processed = self.processed.get().copied().unwrap_or_else(|| counters.processed());
        (processed, processed.saturating_sub(counters.ran()))
    }
}

impl BuildFailure {
    fn add(&mut self, path: &Str, fail: &Fail) {
        self.not_built.push(path.clone());
        if let Some(conflict) = fail.downcast_ref::<OverlayConflict>() {
            if self.conflicts.iter().all(|known| known.id != conflict.id) {
                self.conflicts.push(conflict.clone());
            }
        } else if fail.downcast_ref::<ActionFailure>().is_none() && !matches!(fail, Fail::Cancelled) {
            self.others.insert(fail.to_string());
        }
    }
}

/// What [`find`] found.
pub struct Located {
    /// The object, or the last one on the way to it, and why the way ends there.
    pub found: Found,
    /// The artifact from which the way begins, and the way, unless the path is that of an artifact.
    pub from: Option<(String, String)>,
}

/// The object at a path of the result, or the last one on the way there: from the first artifact whose path leads
/// there, down its trees. `None` if no artifact leads there, or the store cannot tell.
pub fn find(store: &Store, results: &Results, path: &str) -> Option<Located> {
    let all = || results.artifacts.iter().chain(&results.runfiles);
    let wanted = steps(path);
    if let Some((_, built)) = all().find(|(known, _)| steps(known) == wanted) {
        return Some(Located { found: Found { object: built.info, ends: None }, from: None });
    }
    let normal = normal_path(path);
    let normal = normal.trim_start_matches('/');
    let normal = if normal.is_empty() { "." } else { normal };
    let (start, built, rest) = all().find_map(|(known, built)| {
        let rest = relative(normal, known).filter(|rest| rest != ".." && !rest.starts_with("../"))?;
        Some((known, built, rest))
    })?;
    let found = below(store, built.info, &rest).ok()?;
    Some(Located { found, from: Some((start.to_string(), rest)) })
}

/// What makes two paths the same place at first sight: however many slashes separate the elements.
fn steps(path: &str) -> Vec<&str> {
    let mut steps: Vec<&str> = path.split('/').collect();
    let ends = steps.len();
    let mut at = 0;
    steps.retain(|step| {
        at += 1;
        !step.is_empty() || at == 1 || at == ends
    });
    steps
}
