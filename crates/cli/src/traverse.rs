//! `traverse`: from a graph file to installed artifacts.

use std::sync::Arc;

use taut_driver::{
    Overrides, RepoConfig, Session, Wanted,
    event::{Event, Origins, Sink},
    graph::NamedGraph,
};
use taut_syntax::json::Document;
use taut_sys::Named;

use crate::{
    diagnostics::tell,
    exit::Exit,
    failures::{self, Defined},
    interruption::Interruption,
    log::{Level, Log},
    options::Traverse,
    printer::Printer,
    progress::{Display, Progress},
    report,
    reporting::{Reporting, reported},
    reproduce::Reproduction,
    request,
    results::{self, Destination},
    settings::build_options,
    surroundings::{Name, open_store},
};

/// Runs `traverse`.
pub(crate) fn run(name: Name, o: &Traverse, log: &Arc<Log>) -> Exit {
    reported("traverse", false, None, log, |reporting| go(name, o, log, reporting))
}

fn go(name: Name, o: &Traverse, log: &Arc<Log>, reporting: &Reporting) -> Result<Exit, Exit> {
    let fail = |exit, text: String| {
        log.say(Level::Error, text);
        exit
    };
    request::check(&o.common, &o.stores, &o.execution, log)?;
    if let Some(path) = &o.git_cas {
        let text =
            format!("Objects of a git repository (--git-cas {}) are not supported yet.", path.display());
        return Err(fail(Exit::Environment, text));
    }
    let wanted = o.artifacts.as_deref().unwrap_or("{}");
    if let Err(error) = Document::parse("--artifacts", wanted) {
        let (column, why) = (error.column, error.message);
        return Err(fail(
            Exit::Syntax,
            format!("Command line parse error: --artifacts: column {column}: {why}"),
        ));
    }
    let interruption = Interruption::watch(log);
    interruption.ends_log(&reporting.log);
    let label = o.graph_file.display().to_string();
    let bytes = Named::read(&o.graph_file)
        .map_err(|error| fail(Exit::BuildFailure, format!("parsing graph from {label}\n{error}")))?;
    let named = NamedGraph::read(&label, bytes)
        .map_err(|error| fail(Exit::BuildFailure, format!("parsing graph from {label}\n{error}")))?;
    let artifacts = named
        .stage("--artifacts", wanted.as_bytes().to_vec())
        .map_err(|error| fail(Exit::BuildFailure, error.to_string()))
        .inspect_err(|_| log.say(Level::Error, "Build failed."))?;
    let wanted = Wanted { artifacts, runfiles: Vec::new() };

    let overrides = Overrides {
        main: o.common.main.clone(),
        workspace_root: o.common.workspace_root.clone(),
        ..Overrides::default()
    };
    let cwd = std::env::current_dir().unwrap_or_else(|_| "/".into());
    // Only source files need a workspace; a graph may well have none.
    let repositories = match RepoConfig::read(o.common.repository_config.as_deref(), &overrides, &cwd) {
        Ok(repositories) => repositories,
        Err(error) if o.common.repository_config.is_some() || o.common.workspace_root.is_some() => {
            tell(&(*error.problem).into(), Level::Error, log);
            return Err(Exit::BuildFailure);
        }
        Err(_) => RepoConfig::default(),
    };

    let store = open_store(name, &o.stores, log).ok_or(Exit::Environment)?;
    reporting.requested_graph(&repositories);
    reporting.keep_in(&store);
    let printer = Printer::new(name, &o.stores, log, &store);
    let progress = Arc::new(Progress::default());
    let graph = Arc::new(named.graph);
    let defined = graph.clone();
    let origins: Origins = Arc::new(move |id| Some(defined.first_origin(id)));
    let mut all: Vec<Arc<dyn Sink>> = vec![printer.clone(), progress.clone()];
    all.extend(reporting.sinks());
    let events: Arc<dyn Sink> = Arc::new(all);
    let options = build_options(&o.common, &o.execution, &o.results, false, log)?;
    let session = Session::of_graph(&graph, repositories, &store, &options, &events)
        .map_err(|error| fail(Exit::Environment, format!("Cannot use the build root: {error}")))?;
    interruption.ends(&session)?;

    events.event(&Event::BuildBegan { actions: graph.actions.len(), origins: &origins });
    let display = Display::start(&progress, log);
    let built = session.build(&wanted);
    drop(display);
    interruption.check()?;
    let built = match built {
        Ok(built) => built,
        Err(failure) => {
            let defined = Defined {
                action: &|id| graph.origins(id),
                overlay: &|_| Vec::new(),
                requested: format!("the graph {label}"),
            };
            let by_hand = Reproduction::none();
            failures::tell(&failure, &defined, &printer, &by_hand, o.results.keep_going);
            return Err(Exit::BuildFailure);
        }
    };
    let hits = session.cache_hits(built.actions);
    log.say(Level::Info, report::processed(built.actions, hits));
    let destination = Destination::Directory { path: &o.output_directory, prune: false };
    results::deliver(&store, &built, &destination, "traverse", &o.results, log).map_err(results::give_up)?;
    Ok(Exit::Success)
}
