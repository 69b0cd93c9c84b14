//! `compile-commands`: how each C and C++ file is compiled, for editors and other tools.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use taut_driver::{Built, CompileCommands, Request, Session, Sink, Traces, install};
use taut_store::Store;
use taut_sys::Dir;
use taut_value::{JsonWriter, Str};

use crate::{
    diagnostics,
    environment::{build_root, build_root_option, open_store},
    exit::Exit,
    interruption::Interruption,
    log::{Level, Log},
    options,
    profile::Profile,
    reporting::{Reporting, reported, warn_of_cache},
    reproduce::Reproduction,
    request,
    roots::{RootOptions, Roots},
    settings::{analysis_options, build_options, time_limit},
    setup_error::report_error,
    testing::all_targets,
    text_file,
    tool_name::Name,
    voice::{self, BuildContext, BuildMessages, count},
};

/// The directory of views in the build root.
const VIEWS: &str = "compile-commands";

/// The usual name of the file.
const FILE: &str = "compile_commands.json";

/// Runs `compile-commands`.
pub(crate) fn run(name: Name, o: &options::CompileCommands, log: &Arc<Log>) -> Exit {
    let profile = Profile::from_options("compile-commands", &o.build.analysis, &o.build.execution);
    reported("compile-commands", !o.build.analysis.no_trace, profile, log, |reporting| {
        go(name, o, log, reporting)
    })
}

fn go(
    name: Name,
    options: &options::CompileCommands,
    log: &Arc<Log>,
    reporting: &Reporting,
) -> Result<Exit, Exit> {
    let o = &options.build;
    request::check(&o.common, &o.stores, &o.execution, log)?;
    let interruption = Interruption::watch(log);
    interruption.finish_log_on_signal(&reporting.log);
    let of = RootOptions {
        name,
        common: &o.common,
        stores: &o.stores,
        analysis: &o.analysis,
        execution: &o.execution,
    };
    let roots = Roots::new(of, Some(&interruption), log).reported_to(reporting);
    let unresolved = match o.analysis.target.is_empty() {
        true => all_targets(o, &roots, log)?,
        false => request::request(&o.common, &o.analysis, &roots, log)?,
    };
    let store = open_store(name, &o.stores, log).ok_or(Exit::Environment)?;
    reporting.keep_in(&store);
    let messages = voice::of(log).build(BuildContext {
        log,
        store: &store,
        build_root_option: build_root_option(&o.stores),
        build_root: build_root(name, &o.stores).unwrap_or_default(),
        shows_cached_output: false,
        again: Reproduction::of_call(std::env::args()),
        is_rebuild: false,
        time_limit: time_limit(&o.execution),
        begin: log.begin(),
    });
    interruption.report_by(&messages);
    let sink_of_messages: Arc<dyn Sink> = messages.clone();
    let mut all: Vec<Arc<dyn Sink>> = vec![sink_of_messages];
    all.extend(reporting.sinks());
    let sink: Arc<dyn Sink> = Arc::new(all);
    let mut how = build_options(&o.common, (&o.execution, &o.stores), &o.results, false, log)?;
    how.keep_going = true;
    let traces = if reporting.uses_state { Traces::of(&store, &unresolved) } else { Traces::none() };
    let analysis = analysis_options(&o.common, &o.analysis, &o.stores);
    let session = Session::of(&unresolved.repositories, analysis, &store, &traces, &how, &sink);
    interruption.stop_on_signal(&session)?;
    let request = session.request(&unresolved).map_err(|error| report_error(&error, log))?;
    voice::of(log).requested(&request, log);
    reporting.requested(&request);
    messages.requested(&request.repositories, "the files that sources include".to_owned());
    let closure = session
        .closure(&request)
        .map_err(|problems| request::report_problems(&problems, &request, &o.analysis.target, log))?;
    diagnostics::report(&closure.warnings(&request.repositories.roots), Level::Warn, log);
    let views = views(name, &o.stores)?;
    let all = CompileCommands::of(&closure, &request.repositories, &views);
    drop(closure);
    let made = Database { session: &session, request: &request, store: &store, views: &views, log }
        .make(&all, Some(&messages));
    session.commit();
    warn_of_cache(session.cache_warning(), log);
    session.close();
    interruption.stop_on_signal(&session)?;
    let (text, is_complete) = made?;
    let number = all.commands.len();
    let place = place(options.output.as_deref(), &request);
    text_file::write_or_print(&place, &text, log)?;
    if place.as_os_str() != "-" {
        log.say(Level::Info, format!("{}: {}", place.display(), count(number, "command")));
    }
    session.forget();
    Ok(if is_complete { Exit::Success } else { Exit::BuildFailure })
}

/// Where views are, as an absolute path.
///
/// # Errors
/// There is no build root; then no store can be opened, either, which was reported.
pub(crate) fn views(name: Name, stores: &options::Stores) -> Result<PathBuf, Exit> {
    build_root(name, stores).map(|root| root.join(VIEWS)).map_err(|_| Exit::Environment)
}

/// The file to write: the one that is named, else the usual one in the root of the workspace.
pub(crate) fn place(named: Option<&Path>, request: &Request) -> PathBuf {
    named.map_or_else(|| workspace(request).join(FILE), Path::to_owned)
}

/// The root of the main repository; of one that is no directory, the working directory.
fn workspace(request: &Request) -> PathBuf {
    let main = request.repositories.repositories.get(&request.repositories.main);
    let root = main.and_then(|main| main.workspace_root.directory()).map(Path::to_owned);
    root.unwrap_or_else(|| std::env::current_dir().unwrap_or_else(|_| "/".into()))
}

/// What a database is made with.
pub(crate) struct Database<'d> {
    pub(crate) session: &'d Session,
    pub(crate) request: &'d Request,
    pub(crate) store: &'d Store,
    pub(crate) views: &'d Path,
    pub(crate) log: &'d Arc<Log>,
}

impl Database<'_> {
    /// Builds what sources include, and puts it in place. Gives the text, and whether all is built.
    ///
    /// # Errors
    /// The exit code; the error has been reported.
    pub(crate) fn make(
        &self,
        all: &CompileCommands,
        messages: Option<&Arc<dyn BuildMessages>>,
    ) -> Result<(String, bool), Exit> {
        let Database { session, request, store, views, log } = self;
        let wanted = all.wanted();
        let mut failure = None;
        // One by one: whatever fails, the rest is of use.
        let built: Vec<(Str, Built)> = match session.build(&wanted) {
            Ok(results) => results.artifacts,
            Err(why) => {
                let origins = session.origins_of_targets(request);
                if let Some(messages) = messages {
                    messages.executed(&origins);
                    messages.failed(&why, &origins, true);
                }
                let not_built: std::collections::BTreeSet<_> = why.not_built.iter().cloned().collect();
                failure = Some(why);
                let mut rest = wanted.clone();
                rest.artifacts.retain(|(path, _)| !not_built.contains(path));
                session.build(&rest).map(|results| results.artifacts).unwrap_or_default()
            }
        };
        let failed = |error: String| {
            log.say(Level::Error, format!("cannot write generated files below {}: {error}", views.display()));
            Exit::Environment
        };
        if !all.views.is_empty() {
            let directory = Dir::made_of_user(views).map_err(|error| failed(error.to_string()))?;
            let objects = built.iter().map(|(path, built)| (path.as_str(), built.info));
            install(store, objects, &directory, VIEWS, false).map_err(|error| failed(error.to_string()))?;
            for (view, links) in all.views.iter().map(|(name, view)| (name, &view.links)) {
                for (path, target) in links {
                    let place = format!("{view}/{path}");
                    let (above, name) = place.rsplit_once('/').unwrap_or(("", &place));
                    let above = directory.make_all(above).map_err(|error| failed(error.to_string()))?;
                    match above.at(name).symlink(target) {
                        Err(error) if !error.is_exists() => return Err(failed(error.to_string())),
                        // The name of a view has the targets of its links: one that is there is this one.
                        _ => {}
                    }
                }
            }
        }
        let directory = workspace(request).to_string_lossy().into_owned();
        let mut w = JsonWriter::pretty(2);
        w.list(|w| {
            for command in &all.commands {
                w.object(|w| {
                    w.key("arguments").strings(&command.arguments);
                    w.key("directory").string(&directory);
                    w.key("file").string(&command.file);
                });
            }
        });
        Ok((w.finish() + "\n", failure.is_none()))
    }
}
