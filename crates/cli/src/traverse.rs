//! `traverse`: from a graph file to installed artifacts.

use std::{path::Path, sync::Arc};

use taut_driver::{
    Overrides, RepoConfig, ResolveRoots as _, Session, WantedArtifacts,
    event::{Event, Origins, Sink},
    graph::{ActionGraph, NamedGraph},
};
use taut_setup::{TakeError, take_from_repository};
use taut_store::Store;
use taut_syntax::{Dialect, Document};
use taut_sys::Named;
use taut_value::Artifact;

use crate::{
    call,
    diagnostics::report,
    environment::open_store,
    exit::Exit,
    interruption::Interruption,
    log::{Level, Log},
    options::{self, Traverse},
    progress::{Display, Progress},
    remote_execution::attach,
    reporting::{Reporting, reported},
    repositories,
    reproduce::Reproduction,
    request,
    results::{self, Delivery, Destination},
    root_options::RootOptions,
    roots::Roots,
    settings::build_options,
    setup_error::report_error,
    tool_name::Name,
    voice::{self, ActionOrigins, BuildContext},
};

/// Runs `traverse`.
pub(crate) fn run(name: Name, o: &Traverse, log: &Arc<Log>) -> Exit {
    reported("traverse", false, None, log, |reporting| run_command(name, o, log, reporting))
}

fn run_command(name: Name, o: &Traverse, log: &Arc<Log>, reporting: &Reporting) -> Result<Exit, Exit> {
    request::check(&o.common, &o.stores, &o.execution, log)?;
    let interruption = Interruption::watch(log);
    interruption.finish_log_on_signal(&reporting.log);
    // Before the build root is opened: a wrong graph leaves nothing behind.
    let (mut named, wanted) = read_graph(o, log)?;
    if !voice::of(log).names_targets_of_graphs() {
        named.graph.actions.values_mut().for_each(|action| action.origins.clear());
    }
    let label = o.graph_file.display();
    let analysis = options::Analysis::default();
    let of = RootOptions {
        name,
        common: &o.common,
        stores: &o.stores,
        analysis: &analysis,
        execution: &o.execution,
    };
    let repositories = repositories_of(of, &interruption, log, reporting)?;
    let store = open_store(name, &o.stores, log).ok_or(Exit::Environment)?;
    if let Some(path) = &o.git_cas {
        take_known_objects(path, &named.graph, &wanted, &store, log)?;
    }
    reporting.requested_graph(&repositories);
    reporting.keep_in(&store);
    let context = BuildContext::of_call(&of, &o.results, &store, Reproduction::none());
    let messages = call::messages(context, log, &interruption);
    messages.requested(&repositories, format!("graph {label}"));
    let progress = Arc::new(Progress::default());
    let graph = Arc::new(named.graph);
    let defined = graph.clone();
    let origins: Origins = Arc::new(move |id| defined.origin(id));
    let events = call::sinks([messages.clone() as Arc<dyn Sink>], &progress, reporting);
    let options = build_options(&o.common, (&o.execution, &o.stores), &o.results, false, log)?;
    attach(&options, &store, log)?;
    let session = Session::of_graph(&graph, repositories, &store, &options, &events).map_err(|error| {
        log.say(Level::Error, format!("Cannot use the build root: {error}"));
        Exit::Environment
    })?;
    interruption.stop_on_signal(&session)?;

    events.event(&Event::BuildBegan { actions: graph.actions.len(), origins: &origins });
    let display = Display::start(&progress, log, None);
    let built = session.build(&wanted);
    drop(display);
    // The engine is closed before the outcome is reported: messages look nothing up in it, since
    // the graph has all origins.
    session.close();
    messages.executed(&*graph);
    interruption.reported(interruption.check())?;
    let built = match built {
        Ok(built) => built,
        Err(failure) => {
            messages.failed(&failure, &*graph);
            return Err(Exit::BuildFailure);
        }
    };
    let hits = session.cache_hits(built.actions);
    messages.processed(built.actions, hits, None);
    let destination =
        Destination::Directory { path: &o.output_directory, prune: false, remember: o.remember };
    // An owner of its own in the install record: a graph has no targets whose earlier results could be pruned.
    let delivery = Delivery { store: &store, results: &built, owner: "traverse", o: &o.results, log };
    results::deliver(&delivery, &destination, &*messages).map_err(results::give_up)?;
    Ok(Exit::Success)
}

/// Reads the graph, and what is wanted of it.
///
/// # Errors
/// The exit code; the errors have been reported.
fn read_graph(o: &Traverse, log: &Arc<Log>) -> Result<(NamedGraph, WantedArtifacts), Exit> {
    let fail = |exit, text: String| {
        log.say(Level::Error, text);
        exit
    };
    let wanted = o.artifacts.as_deref().unwrap_or("{}");
    // Before the graph is read, which may be large.
    if let Err(error) = Document::parse("--artifacts", wanted) {
        return Err(fail(Exit::Syntax, voice::of(log).bad_artifacts(wanted, error.column, &error.message)));
    }
    let label = o.graph_file.display().to_string();
    let no_graph = |text: Option<&[u8]>, why: String| {
        voice::of(log).bad_graph(&label, text, why, log);
        Exit::BuildFailure
    };
    let bytes = Named::read(&o.graph_file).map_err(|error| no_graph(None, error.to_string()))?;
    let named = NamedGraph::read(&label, bytes).map_err(|error| {
        // Read again: a graph is large, and the text is needed for the message only.
        let text = Named::read(&o.graph_file).ok();
        no_graph(text.as_deref(), error.to_string())
    })?;
    let artifacts = named
        .stage("--artifacts", wanted.as_bytes().to_vec())
        .map_err(|error| fail(Exit::BuildFailure, error.to_string()))
        .inspect_err(|_| {
            if let Some(text) = voice::of(log).no_artifacts_to_build() {
                log.say(Level::Error, text);
            }
        })?;
    Ok((named, WantedArtifacts { artifacts, ..WantedArtifacts::default() }))
}

/// The repositories that the files of a graph are in.
///
/// # Errors
/// The exit code; the errors have been reported.
fn repositories_of(
    of: RootOptions<'_>,
    interruption: &Interruption,
    log: &Arc<Log>,
    reporting: &Reporting,
) -> Result<RepoConfig, Exit> {
    let RootOptions { name, common, .. } = of;
    let overrides = Overrides {
        main: common.main.clone(),
        workspace_root: common.workspace_root.clone(),
        // A graph may have files of the library of rules, which the store may lack.
        has_rules: name == Name::Taut,
        dialect: if name == Name::Taut { Dialect::Extended } else { Dialect::Strict },
        ..Overrides::default()
    };
    let cwd = std::env::current_dir().unwrap_or_else(|_| "/".into());
    let configured =
        repositories::configured(common, false, &cwd, log).map_err(|error| report_error(&error, log))?;
    match configured.read(&overrides, &cwd) {
        Ok(repositories) => {
            // As in the reference, whether the graph needs them or not.
            let roots = Roots::new(of, Some(interruption), log).reported_to(reporting);
            let main = repositories.main.clone();
            let resolved = roots.resolve(repositories, &main).map_err(|error| roots.report(&error));
            interruption.reported(resolved)
        }
        Err(error) if configured.file.is_some() || common.workspace_root.is_some() => {
            report(&(*error.problem).into(), Level::Error, log);
            Err(Exit::BuildFailure)
        }
        // Only source files need a workspace; a graph may well have none.
        Err(_) => Ok(RepoConfig::default()),
    }
}

/// Takes the objects that a graph refers to by their identifiers from a git repository, as far as the store lacks them.
fn take_known_objects(
    path: &Path,
    graph: &ActionGraph,
    wanted: &WantedArtifacts,
    store: &Store,
    log: &Log,
) -> Result<(), Exit> {
    let of_artifact = |artifact: &Artifact| match artifact {
        Artifact::Known(object) => Some(*object),
        _ => None,
    };
    let wanted = wanted.artifacts.iter().filter_map(|(_, artifact)| of_artifact(artifact));
    match take_from_repository(path, store, graph.known_objects().chain(wanted)) {
        Ok(()) => Ok(()),
        // The store may have all that is needed.
        Err(TakeError::NoRepository(why)) => {
            voice::of(log).no_git_cas(path, &why.to_string(), log);
            Ok(())
        }
        Err(TakeError::Store(why)) => {
            log.say(Level::Error, why);
            Err(Exit::Environment)
        }
    }
}
