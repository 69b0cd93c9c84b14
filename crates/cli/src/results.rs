//! Delivery of the results of a build: list of artifacts, installation, contents on standard output.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use taut_digest::{ObjectInfo, ObjectType};
use taut_driver::{
    Installed, Located, Results, Undelivered, ambiguous, cas::PathLookup, find, install, normal_path,
};
use taut_store::Store;
use taut_syntax::quoted;
use taut_sys::Dir;

use crate::{
    exit::Exit,
    log::{Level, Log},
    options,
    progress::Fetching,
    report::{self, Built},
    retry::nor_at,
    standard_streams::print,
    text_file,
    voice::{self, BuildMessages, Delivered},
};

/// Where artifacts go.
pub(crate) enum Destination<'o> {
    /// They stay in the store.
    Nowhere,
    /// Below a directory.
    Directory {
        path: &'o Path,
        /// Whether to remove what was installed there for the same target before and is no longer part of the result.
        prune: bool,
        /// Whether all of it is in the store afterwards, also what is installed already and servers have.
        remember: bool,
    },
}

/// The reason why results are not delivered, for an error of the store. If an object is missing, the build can make it
/// again.
pub(crate) fn undelivered<'b>(
    error: &taut_store::Error,
    text: String,
    exit: Exit,
    store: &Store,
    built: impl IntoIterator<Item = &'b ObjectInfo>,
    log: &Arc<Log>,
) -> Undelivered<Exit> {
    // What is damaged is discarded, so that the next try makes it again instead of finding it.
    if matches!(error, taut_store::Error::Missing(_)) {
        for object in built {
            // An error here is ignored; the first error is the one to report.
            let _ = store.discard_unsound(object);
        }
        let (log, text) = (log.clone(), text + &nor_at(store.losing_server()));
        // Not reported yet: another try may succeed, and then there was no error.
        return Undelivered::Lost(Box::new(move || {
            log.say(Level::Error, text);
            exit
        }));
    }
    log.say(Level::Error, text);
    Undelivered::Stopped(exit)
}

/// All objects of a result.
fn objects_of(results: &Results) -> impl Iterator<Item = &ObjectInfo> {
    results.artifacts.iter().chain(&results.runfiles).map(|(_, built)| &built.info)
}

/// Reports why results were not delivered, and returns the exit code.
pub(crate) fn give_up(undelivered: Undelivered<Exit>) -> Exit {
    match undelivered {
        Undelivered::Lost(stop) => stop(),
        Undelivered::Stopped(exit) => exit,
    }
}

/// Results that are to be delivered.
pub(crate) struct Delivery<'d> {
    pub(crate) store: &'d Store,
    pub(crate) results: &'d Results,
    /// The owner in the install record: paths that were installed for other owners are not removed.
    pub(crate) owner: &'d str,
    pub(crate) o: &'d options::Results,
    pub(crate) log: &'d Arc<Log>,
}

/// Installs and shows what was built. The exit code is another one if artifacts come from failed actions.
///
/// # Errors
///
/// What is wrong.
pub(crate) fn deliver(
    delivery: &Delivery<'_>,
    destination: &Destination<'_>,
    messages: &dyn BuildMessages,
) -> Result<Exit, Undelivered<Exit>> {
    let Delivery { store, results, owner, o, log } = *delivery;
    let (directory, written, built) = match destination {
        Destination::Nowhere => (None, 0, shown(results, o.show_runfiles, |path| path.to_owned())),
        Destination::Directory { path, prune, remember } => {
            if *remember {
                let all: Vec<ObjectInfo> = objects_of(results).copied().collect();
                store.bring(&all).map_err(|error| {
                    if voice::of(log).not_delivered(&error, true, log) {
                        return Undelivered::Stopped(Exit::BuildFailure);
                    }
                    let text = format!("Cannot keep the results in the store: {error}");
                    undelivered(&error, text, Exit::BuildFailure, store, &all, log)
                })?;
            }
            let (directory, written) = put(store, results, path, owner, *prune, log)?;
            let place = |path: &str| directory.join(path).display().to_string();
            let built = shown(results, o.show_runfiles, place);
            (Some(directory), written, built)
        }
    };
    // Runfiles are installed in any case; the option is only about what is listed.
    let omitted = if o.show_runfiles { 0 } else { results.runfiles.len() };
    let all = results.artifacts.iter().chain(&results.runfiles);
    // A path may be among both.
    let paths = all.map(|(path, _)| path).collect::<HashSet<_>>().len();
    messages.delivered(&Delivered {
        directory: directory.as_deref(),
        built: &built,
        omitted,
        paths,
        written,
    });
    for path in &o.dump_artifacts {
        text_file::write_or_print(path, &report::dump_artifacts(&built), log)?;
    }
    print_requested(o, store, results, log)?;
    let any_failed = results.artifacts.iter().chain(&results.runfiles).any(|(_, built)| built.failed);
    Ok(if any_failed { Exit::FailedArtifacts } else { Exit::Success })
}

fn shown(results: &Results, runfiles: bool, place: impl Fn(&str) -> String) -> Vec<Built> {
    let more = results.runfiles.iter().filter(|_| runfiles);
    let mut all: Vec<Built> = (results.artifacts.iter().chain(more))
        .map(|(path, built)| Built { path: place(path), object: built.info, failed: built.failed })
        .collect();
    // Artifacts and runfiles come in two sorted lists; the reference prints one.
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

/// The path of the object that a server has wrong, if it is not one within a tree.
fn path_of_wrong<'r>(error: &taut_store::Error, results: &'r Results) -> Option<&'r str> {
    let taut_store::Error::WrongAtServer { object, .. } = error else { return None };
    let mut all = results.artifacts.iter().chain(&results.runfiles);
    // By the hash alone: the same blob may be a file in one place and an executable in another.
    let found = all.find(|(_, built)| built.info.digest.hash == object.digest.hash);
    found.map(|(path, _)| path.as_str())
}

/// Installs everything; artifacts win over runfiles of the same path. Returns the directory as messages show it,
/// and how many paths were written.
pub(crate) fn put(
    store: &Store,
    results: &Results,
    directory: &Path,
    owner: &str,
    prune: bool,
    log: &Arc<Log>,
) -> Result<(PathBuf, usize), Undelivered<Exit>> {
    let failed = |text: String| {
        log.say(Level::Error, format!("Cannot install: {text}"));
        Exit::BuildFailure
    };
    let paths = results.artifacts.iter().chain(&results.runfiles).map(|(path, _)| path.as_str());
    // Several targets may be requested together without being installed together.
    if let [one, others @ ..] = &ambiguous(paths)[..] {
        let more = if others.is_empty() { String::new() } else { format!(" (and {} more)", others.len()) };
        return Err(Undelivered::Stopped(failed(format!(
            "several targets have different things at one path: {one}{more}\nhelp: install them one by one, into \
             directories of their own"
        ))));
    }
    // What is made and shown is the normal path; from it the working directory itself keeps its name, ".".
    let normal = directory.to_str().map(|path| PathBuf::from(normal_path(path)));
    let normal = normal.unwrap_or_else(|| directory.to_owned());
    let shown = std::env::current_dir().map_or_else(|_| normal.clone(), |here| here.join(&normal));
    let directory = std::path::absolute(&normal).map_err(|error| failed(error.to_string()))?;
    let directory = Dir::made_of_user(&directory).map_err(|error| {
        voice::of(log).no_directory(&shown, &error, log);
        Exit::BuildFailure
    })?;
    // Later entries replace earlier ones of the same path, which is how artifacts win.
    let all = results.runfiles.iter().chain(&results.artifacts);
    let objects = all.map(|(path, built)| (path.as_str(), built.info));
    // Shows what comes from servers, as long as it lives.
    let _fetching = Fetching::start(store, log);
    let Installed { written, removed, kept } =
        install(store, objects, &directory, owner, prune).map_err(|error| {
            if voice::of(log).not_delivered(&error, false, log) {
                return Undelivered::Stopped(Exit::BuildFailure);
            }
            let text = match path_of_wrong(&error, results) {
                Some(path) => format!("Cannot install {}: {error}", quoted(path)),
                None => format!("Cannot install: {error}"),
            };
            undelivered(&error, text, Exit::BuildFailure, store, objects_of(results), log)
        })?;
    if !removed.is_empty() {
        voice::of(log).removed(&removed, log);
    }
    for path in kept {
        log.say(
            Level::Warn,
            format!(
                "{path} is no longer part of the result, but was changed since it was installed: it stays."
            ),
        );
    }
    Ok((shown, written))
}

/// `-P` and `-p`.
fn print_requested(
    o: &options::Results,
    store: &Store,
    results: &Results,
    log: &Arc<Log>,
) -> Result<(), Undelivered<Exit>> {
    let wanted = match (&o.print_to_stdout, o.print_unique_artifact) {
        (Some(path), _) => path.clone(),
        (None, true) => match &results.artifacts[..] {
            [(path, _)] => path.to_string(),
            _ => {
                voice::of(log).not_one_artifact(results, log);
                return Ok(());
            }
        },
        (None, false) => return Ok(()),
    };
    let Some(Located { found: PathLookup { object, ends }, from }) = find(store, results, &wanted) else {
        voice::of(log).not_in_result(&wanted, results, log);
        return Ok(());
    };
    if let Some((artifact, way)) = from {
        voice::of(log).within_artifact(&wanted, &artifact, &way, log);
        if let Some(end) = ends {
            // As in the reference, the last object on the way is printed.
            voice::of(log).artifact_ends(&wanted, &artifact, &end, log);
        }
    }
    let content = match object.object_type {
        ObjectType::Tree => taut_driver::cas::listing(store, object).map(String::into_bytes),
        object_type => store
            .read(&object.digest.hash, object_type)
            .and_then(|content| content.ok_or(taut_store::Error::Missing(object))),
    };
    match content {
        Ok(bytes) => match print(&bytes) {
            Exit::Success => Ok(()),
            exit => Err(exit.into()),
        },
        Err(error @ taut_store::Error::Missing(_)) => {
            Err(undelivered(&error, error.to_string(), Exit::BuildFailure, store, objects_of(results), log))
        }
        Err(error) => {
            log.say(Level::Error, error.to_string());
            Err(Exit::Environment.into())
        }
    }
}
