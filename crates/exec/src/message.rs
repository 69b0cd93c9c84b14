//! The Remote Execution message of an action, whose digest identifies its run.
//!
//! Its content is fixed by compatibility with the reference, so that both tools share one action cache: outputs are
//! relative to the working directory, the time limit is part of the identity even where nothing enforces it, and the
//! platform is always present. Source: `build.bazel.remote.execution.v2`, messages `Action` and `Command`.

use taut_digest::{Digest, Hash, HashFunction};
use taut_proto::{Action, Command, Duration, EnvironmentVariable, Message, Platform, Property};
use taut_store::Store;
use taut_value::path::relative;
use taut_value::{ActionDescription, Str, Value};

use crate::Execution;

/// A path relative to an action's working directory, as messages contain it.
pub(crate) fn rebased(path: &str, cwd: &str) -> String {
    if cwd.is_empty() {
        return path.to_owned();
    }
    // Both lie below the action's root, so there always is a relative path; a graph from a file may say otherwise,
    // and its path is kept.
    relative(path, cwd).unwrap_or_else(|| path.to_owned())
}

/// What a call demands of all actions.
#[derive(Clone, Copy)]
pub(crate) struct Demands<'d> {
    /// Properties of the executing platform.
    pub(crate) properties: &'d [(String, String)],
    /// The time limit before scaling.
    pub(crate) timeout: std::time::Duration,
}

impl Execution {
    pub(crate) fn demands(&self) -> Demands<'_> {
        Demands { properties: &self.properties, timeout: self.timeout }
    }
}

/// The properties of the command line, overridden by those of the action.
pub(crate) fn properties(
    demands: Demands<'_>,
    action: &ActionDescription,
) -> std::collections::BTreeMap<String, String> {
    let mut properties: std::collections::BTreeMap<String, String> =
        demands.properties.iter().cloned().collect();
    for (name, value) in action.execution_properties.iter() {
        if let Value::String(value) = value {
            // A map: the protocol requires properties sorted by name, and each name once here.
            properties.insert(name.to_string(), value.to_string());
        }
    }
    properties
}

fn platform(demands: Demands<'_>, action: &ActionDescription) -> Platform {
    let properties = properties(demands, action).into_iter();
    Platform { properties: properties.map(|(name, value)| Property { name, value }).collect() }
}

/// The digest of the action's message.
pub(crate) fn action_digest(execution: &Execution, action: &ActionDescription, inputs: &Digest) -> Hash {
    messages(&execution.store, execution.demands(), action, inputs, Vec::new())[0].0.hash
}

/// The messages `Action` and `Command` of an action in the form of a store, each with its digest. A salt makes it that
/// of no action: the keys of [`crate::reads`].
pub(crate) fn messages(
    store: &Store,
    demands: Demands<'_>,
    action: &ActionDescription,
    inputs: &Digest,
    salt: Vec<u8>,
) -> [(Digest, Vec<u8>); 2] {
    let function = store.hash_function();
    let named = |bytes: Vec<u8>| (Digest { hash: function.blob(&bytes), size: bytes.len() as u64 }, bytes);
    // In compatible mode outputs are named in the form of version 2.1, too; in native mode they never were, and a value
    // would change every digest.
    let command = named(command(demands, action, function == HashFunction::Sha256).encode_to_vec());
    let (of_command, inputs) = (store.to_wire(&command.0, false), store.to_wire(inputs, true));
    [named(message(demands, action, of_command, inputs, salt).encode_to_vec()), command]
}

/// The command of an action. `has_output_paths`: whether outputs are named in the form of version 2.1, too.
pub(crate) fn command(demands: Demands<'_>, action: &ActionDescription, has_output_paths: bool) -> Command {
    let paths =
        |paths: &[Str]| -> Vec<String> { paths.iter().map(|path| rebased(path, &action.cwd)).collect() };
    let mut output_paths = Vec::new();
    if has_output_paths {
        output_paths = [paths(&action.outs), paths(&action.out_dirs)].concat();
        // The protocol requires this list to be sorted.
        output_paths.sort_unstable();
    }
    Command {
        arguments: action.command.iter().map(Str::to_string).collect(),
        // Sorted by name, as the protocol requires: the map of the definition is.
        environment_variables: (action.env.iter())
            .map(|(name, value)| EnvironmentVariable {
                name: name.to_string(),
                value: value.as_str().map(Str::to_string).unwrap_or_default(),
            })
            .collect(),
        output_files: paths(&action.outs),
        output_directories: paths(&action.out_dirs),
        platform: Some(platform(demands, action)),
        working_directory: action.cwd.to_string(),
        output_paths,
    }
}

/// An action with its command and its inputs by digest.
pub(crate) fn message(
    demands: Demands<'_>,
    action: &ActionDescription,
    command: taut_proto::Digest,
    inputs: taut_proto::Digest,
    salt: Vec<u8>,
) -> Action {
    // The configured limit, not the enforced one: the digest must not depend on whether limits are enforced.
    let timeout = action.time_limit(demands.timeout);
    Action {
        command_digest: Some(command),
        input_root_digest: Some(inputs),
        timeout: Some(Duration { seconds: timeout.as_secs() as i64, nanos: timeout.subsec_nanos() as i32 }),
        do_not_cache: action.no_cache,
        salt,
        // Since version 2.2 in both messages: servers read either.
        platform: Some(platform(demands, action)),
    }
}
