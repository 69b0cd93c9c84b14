//! Actions of the last builds, as messages name them: `%` and the beginning of the id. The newest event logs of the
//! workspace have them; no store is opened.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use taut_digest::ID_DIGITS;
use taut_driver::{EventLogs, Overrides, RepoConfig, find_workspace_root};
use taut_syntax::json::{Dialect, Document, Node};
use taut_sys::{Dir, Named};

use super::Candidate;
use crate::tool_name::Name;

/// How many logs of each kind are read at most: a shell waits.
const MAX_LOGS: usize = 8;

/// The actions of the newest log of the workspace that has any.
pub(super) fn candidates(cwd: &Path, values: &BTreeMap<&str, String>) -> Vec<Candidate> {
    let root = match values.get("workspace_root") {
        Some(root) => Some(cwd.join(root)),
        None => find_workspace_root(cwd).ok(),
    };
    let root = root.and_then(|root| taut_sys::canonical(&root).ok());
    let (Some(root), Some(build_root)) = (root, build_root(cwd, values)) else { return Vec::new() };
    let mut logs = logs(&build_root.join("taut"));
    // The names begin with the time.
    logs.sort_by(|a, b| b.file_name().cmp(&a.file_name()));
    // Where repositories are described, their identity is known only after a set-up; then a log is of this workspace if
    // it names a file of it that was read.
    let identity = identity(cwd, values);
    // Found as text, without parsing: a log may have a line for each of thousands of actions.
    let mark = format!("\"path\":{}", taut_value::Value::string(format!("{}/", root.display())).to_json());
    let mark = mark.strip_suffix('"').unwrap_or(&mark);
    let is_named =
        |path: &PathBuf| identity.as_ref().is_some_and(|identity| path.to_string_lossy().contains(identity));
    // First those that are of this workspace by their names: with one build root for many, the newest are of others.
    let (named, others): (Vec<PathBuf>, Vec<PathBuf>) = logs.into_iter().partition(&is_named);
    let of_log = |path: &PathBuf| {
        let is_named = is_named(path);
        let text = String::from_utf8(Named::read(path).ok()?).ok()?;
        let is_of_workspace = is_named || text.contains(mark);
        let found: Vec<Candidate> = is_of_workspace.then(|| text.lines().filter_map(action).collect())?;
        Some(found).filter(|found| !found.is_empty())
    };
    let newest = named.iter().take(MAX_LOGS).chain(others.iter().take(MAX_LOGS));
    newest.into_iter().find_map(of_log).unwrap_or_default()
}

fn build_root(cwd: &Path, values: &BTreeMap<&str, String>) -> Option<PathBuf> {
    let stores = crate::options::Stores {
        local_build_root: values.get("local_build_root").map(|path| cwd.join(path)),
        ..crate::options::Stores::default()
    };
    crate::environment::build_root(Name::Taut, &stores).ok()
}

/// The part of the names of logs that is the workspace's.
fn identity(cwd: &Path, values: &BTreeMap<&str, String>) -> Option<String> {
    let path = |option: &str| values.get(option).map(|path| cwd.join(path));
    let overrides = Overrides {
        main: values.get("main").cloned(),
        workspace_root: path("workspace_root"),
        target_root: path("target_root"),
        target_file_name: values.get("target_file_name").cloned(),
        has_rules: true,
        dialect: Dialect::Extended,
        ..Overrides::default()
    };
    let mut config = RepoConfig::read(path("repository_config").as_deref(), &overrides, cwd).ok()?;
    config.bind_rules();
    Some(EventLogs::mark(&config))
}

/// The logs of calls with work to do, of all generations.
fn logs(state: &Path) -> Vec<PathBuf> {
    let list = |path: &Path| Dir::of_user(path).and_then(|directory| directory.list()).unwrap_or_default();
    let generations = list(state).into_iter().map(|(name, _)| state.join(name).join("events"));
    let logs =
        generations.flat_map(|events| list(&events).into_iter().map(move |(name, _)| events.join(name)));
    logs.filter(|path| path.to_string_lossy().ends_with("-work.jsonl")).collect()
}

/// The action that a line is about, with its target and its first output.
fn action(line: &str) -> Option<Candidate> {
    // The writer puts the kind of event first, so other lines are passed over without parsing.
    if !line.starts_with(r#"{"event":"action","#) {
        return None;
    }
    let document = Document::parse("", line.to_owned()).ok()?;
    let event = document.root();
    let id = event.get("action").and_then(Node::as_str)?.get(..ID_DIGITS)?.to_owned();
    let origin = event.get("origin").and_then(Node::as_str).unwrap_or_default();
    let origin = origin.rsplit_once('#').map_or(origin, |(target, _)| target);
    let target = taut_value::names_as_typed(origin, "").into_owned();
    let output =
        event.get("outputs").and_then(|outputs| outputs.entries().next().map(|(path, _)| path.to_owned()));
    Some(Candidate::new(
        format!("%{id}"),
        [Some(target), output].into_iter().flatten().collect::<Vec<_>>().join(" "),
    ))
}
