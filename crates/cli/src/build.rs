//! `build` and `install`: from a request to artifacts, and what is told on the way.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI32, Ordering::SeqCst},
    },
    time::Duration,
};

use taut_digest::{Digest, ObjectType};
use taut_driver::{
    ActionFailure, ActionOutcome, BuildOptions, Events, Results, Session, SessionError, find, on_termination,
};
use taut_store::Store;
use taut_sys::fs;
use taut_value::{ActionDescription, Id, JsonWriter};

use crate::{
    analyse::{self, dump_graphs},
    exit::Exit,
    log::{Level, Log},
    options::{Build, Install},
    report::{self, Built},
    request,
    surroundings::{Name, open_store},
};

/// Runs `build`.
pub(crate) fn build(name: Name, o: &Build, log: &Arc<Log>) -> Exit {
    go(name, o, None, log).unwrap_or_else(|exit| exit)
}

/// Runs `install`.
pub(crate) fn install(name: Name, o: &Install, log: &Arc<Log>) -> Exit {
    go(name, &o.build, Some(&o.output_dir), log).unwrap_or_else(|exit| exit)
}

fn go(name: Name, o: &Build, install_to: Option<&Path>, log: &Arc<Log>) -> Result<Exit, Exit> {
    request::check(&o.stores, &o.execution, log)?;
    let interrupted = interruption(log);
    let request = request::request(&o.common, &o.analysis, log)?;
    let store = open_store(name, &o.stores, log).ok_or(Exit::Environment)?;
    let printer = Arc::new(Printer { log: log.clone(), store: store.clone(), failures: Mutex::default() });
    let how = analyse::options(&o.common, &o.analysis);
    let session = Session::new(&request, how, &store, options(o, log)?, printer.clone());
    let mut session = session.map_err(|error| match error {
        SessionError::Analysis(problems) => {
            analyse::tell(&problems, Level::Error, log);
            Exit::AnalysisFailure
        }
        SessionError::Store(error) => {
            log.say(Level::Error, format!("Cannot use the build root: {error}"));
            Exit::Environment
        }
    })?;
    interrupted.watch(&session);
    let action = analyse::tell_analysed(&mut session.analysis, &o.analysis, log)?;
    let mut target = request.target_text();
    if let Some(action) = action {
        target = format!("input of action {action} of target {target}");
    }
    let graph = session.analysis.graph();
    let (actions, overlays, trees) = (graph.actions.len(), graph.overlays.len(), graph.trees.len());
    log.say(Level::Info, report::discovered(actions, overlays, trees, graph.blobs.len()));
    dump_graphs(&session.analysis, &o.graph, log)?;
    log.say(Level::Info, format!("Building {target}."));

    let built = session.build();
    interrupted.exit_if_signalled();
    let results = match built {
        Ok(results) => results,
        Err(failure) => {
            printer.tell_failures(&session);
            for text in &failure.others {
                log.say(Level::Error, text);
            }
            if o.results.keep_going && !failure.not_built.is_empty() {
                let paths: Vec<String> = failure.not_built.iter().map(|path| format!("\n  {path}")).collect();
                log.say(Level::Error, format!("Not built because of that:{}", paths.concat()));
            }
            log.say(Level::Error, "Build failed.");
            return Err(Exit::BuildFailure);
        }
    };
    let (processed, hits) = session.counts();
    log.say(Level::Info, report::processed(processed, hits));
    let shown = match install_to {
        None => shown(&results, o.results.show_runfiles, |path| path.to_owned()),
        Some(directory) => {
            let directory = put(&store, &results, directory, log)?;
            shown(&results, o.results.show_runfiles, |path| directory.join(path).display().to_string())
        }
    };
    let heading = if install_to.is_some() {
        "Artifacts can be found in:"
    } else {
        "Artifacts built, logical paths are:"
    };
    let omitted = if o.results.show_runfiles { 0 } else { results.runfiles.len() };
    log.say(Level::Info, report::artifacts(heading, &shown, omitted));
    for path in &o.results.dump_artifacts {
        analyse::dump_text(path, &report::dump_artifacts(&shown), log)?;
    }
    print_requested(o, &store, &results, log)?;
    let tainted: Vec<&str> = session.analysis.analysed.tainted.iter().map(|taint| taint.as_str()).collect();
    if !tainted.is_empty() {
        log.say(Level::Info, report::tainted(&tainted));
    }
    if results.artifacts.iter().chain(&results.runfiles).any(|(_, built)| built.failed) {
        log.say(Level::Warn, "Build result contains failed artifacts.");
        return Ok(Exit::FailedArtifacts);
    }
    Ok(Exit::Success)
}

fn options(o: &Build, log: &Log) -> Result<BuildOptions, Exit> {
    let launcher = match &o.execution.local_launcher {
        None => vec!["env".to_owned(), "--".to_owned()],
        Some(text) => request::launcher(text).map_err(|why| {
            log.say(Level::Error, why);
            Exit::Syntax
        })?,
    };
    let split =
        |property: &String| property.split_once(':').map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(BuildOptions {
        jobs: o.execution.build_jobs.unwrap_or_else(|| analyse::jobs(&o.common)),
        launcher,
        timeout: o.execution.action_timeout.map(Duration::from_secs),
        properties: o.execution.remote_execution_property.iter().filter_map(split).collect(),
        keep_going: o.results.keep_going,
    })
}

fn shown(results: &Results, runfiles: bool, place: impl Fn(&str) -> String) -> Vec<Built> {
    let more = results.runfiles.iter().filter(|_| runfiles);
    let mut all: Vec<Built> = (results.artifacts.iter().chain(more))
        .map(|(path, built)| Built { path: place(path), object: built.info, failed: built.failed })
        .collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

/// Installs everything; artifacts win over runfiles of the same path.
fn put(store: &Store, results: &Results, directory: &Path, log: &Log) -> Result<PathBuf, Exit> {
    let failed = |text: String| {
        log.say(Level::Error, format!("Cannot install: {text}"));
        Exit::Environment
    };
    let directory = std::path::absolute(directory).map_err(|error| failed(error.to_string()))?;
    fs::create_dir_all(&directory).map_err(|error| failed(error.to_string()))?;
    for (path, built) in results.runfiles.iter().chain(&results.artifacts) {
        store.install(&built.info, &directory, path).map_err(|error| failed(error.to_string()))?;
    }
    Ok(directory)
}

/// `-P` and `-p`.
fn print_requested(o: &Build, store: &Store, results: &Results, log: &Log) -> Result<(), Exit> {
    let wanted = match (&o.results.print_to_stdout, o.results.print_unique_artifact) {
        (Some(path), _) => path.clone(),
        (None, true) => match &results.artifacts[..] {
            [(path, _)] => path.to_string(),
            _ => {
                log.say(Level::Info, "Target does not have precisely one artifact.");
                return Ok(());
            }
        },
        (None, false) => return Ok(()),
    };
    let Some(object) = find(store, results, &wanted) else {
        log.say(Level::Warn, format!("{wanted} not a logical path of the specified target"));
        return Ok(());
    };
    let content = match object.object_type {
        ObjectType::Tree => taut_driver::cas::listing(store, object).map(String::into_bytes),
        object_type => store
            .read(&object.digest.hash, object_type)
            .and_then(|content| content.ok_or(taut_store::Error::Missing(object))),
    };
    match content {
        Ok(bytes) => match crate::print(&bytes) {
            Exit::Success => Ok(()),
            exit => Err(exit),
        },
        Err(error) => {
            log.say(Level::Error, error.to_string());
            Err(Exit::Environment)
        }
    }
}

/// Tells of actions as they end.
struct Printer {
    log: Arc<Log>,
    store: Store,
    failures: Mutex<Vec<ActionFailure>>,
}

impl Printer {
    fn text(&self, digest: &Option<Digest>) -> String {
        let content =
            digest.and_then(|digest| self.store.read(&digest.hash, ObjectType::File).ok().flatten());
        content.map(|content| String::from_utf8_lossy(&content).into_owned()).unwrap_or_default()
    }

    fn output(&self, id: &Id, action: &ActionDescription, stdout: &Option<Digest>, stderr: &Option<Digest>) {
        let (stdout, stderr) = (self.text(stdout), self.text(stderr));
        if let Some(text) = report::output_of_command(&action.command, &action.env, &stdout, &stderr) {
            self.log.say_about(Level::Info, &format!("action:{id}"), text);
        }
    }

    /// Each failed action: what it said, how it ended, who wanted it, how to see it again.
    fn tell_failures(&self, session: &Session) {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        for failure in failures.iter() {
            let name = format!("action:{}", failure.id);
            let action = &failure.action;
            let message = match &action.may_fail {
                Some(message) if failure.exit_code != 0 => {
                    format!("{message} (exit code {})\nMoreover {}", failure.exit_code, missing(failure))
                }
                _ => failure.to_string(),
            };
            self.log.say_about(Level::Error, &name, message);
            let origins = session.origins(&failure.id);
            self.log.say_about(
                Level::Error,
                &name,
                report::failed_command(&action.command, &action.env, &origins),
            );
        }
    }
}

fn missing(failure: &ActionFailure) -> String {
    let paths: Vec<String> = failure.missing.iter().map(|path| format!("\n - {path}")).collect();
    format!("action executed with missing outputs.{}", paths.concat())
}

impl Events for Printer {
    fn finished(&self, id: &Id, action: &Arc<ActionDescription>, outcome: &ActionOutcome) {
        self.output(id, action, &outcome.stdout, &outcome.stderr);
        if outcome.exit_code != 0
            && let Some(message) = &action.may_fail
        {
            let mut text = format!("{message} (exit code {}); outputs:", outcome.exit_code);
            for (path, info) in &outcome.outputs {
                let mut quoted = JsonWriter::compact();
                quoted.string(path);
                text.push_str(&format!("\n - {} {info}", quoted.finish()));
            }
            self.log.say_about(Level::Warn, &format!("action:{id}"), text);
        }
    }

    fn failed(&self, failure: &ActionFailure) {
        self.output(&failure.id, &failure.action, &failure.stdout, &failure.stderr);
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure.clone());
    }
}

/// Ctrl-C and its like: actions are ended, the build notices, and the exit code is 128 + n.
#[derive(Clone)]
struct Interruption(Arc<(AtomicI32, Mutex<Option<taut_driver::Processes>>)>);

fn interruption(log: &Log) -> Interruption {
    let state = Interruption(Arc::new((AtomicI32::new(0), Mutex::new(None))));
    let handler = state.clone();
    let handle = move |signal| {
        handler.0.0.store(signal, SeqCst);
        loop {
            let processes = handler.0.1.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match processes {
                // The build ends with its actions; a second signal ends it at once.
                Some(processes) => processes.kill_all(),
                None => std::process::exit(128 + signal),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    if let Err(error) = on_termination(handle) {
        log.say(Level::Warn, format!("Cannot handle signals: {error}"));
    }
    state
}

impl Interruption {
    fn watch(&self, session: &Session) {
        *self.0.1.lock().unwrap_or_else(PoisonError::into_inner) = Some(session.processes());
        self.exit_if_signalled();
    }

    fn exit_if_signalled(&self) {
        match self.0.0.load(SeqCst) {
            0 => {}
            signal => std::process::exit(128 + signal),
        }
    }
}
