//! The Remote Execution message of an action, whose digest identifies its run.
//!
//! Its content is fixed by compatibility with the reference, so that both tools share one action cache: outputs are
//! relative to the working directory, the time limit is part of the identity even where nothing enforces it, and the
//! platform is always present. Source: `build.bazel.remote.execution.v2`, messages `Action` and `Command`.

use taut_digest::{Digest, Hash, HashFunction};
use taut_proto::{Action, Command, Duration, EnvironmentVariable, Message, Platform, Property};
use taut_value::path::relative;
use taut_value::{ActionDescription, Str, Value};

use crate::Execution;

/// A path relative to an action's working directory, as messages contain it.
pub(crate) fn rebased(path: &str, cwd: &str) -> String {
    if cwd.is_empty() {
        return path.to_owned();
    }
    relative(path, cwd).unwrap_or_else(|| path.to_owned())
}

/// The properties of the command line, overridden by those of the action.
fn platform(execution: &Execution, action: &ActionDescription) -> Platform {
    let mut properties: std::collections::BTreeMap<String, String> =
        execution.properties.iter().cloned().collect();
    for (name, value) in action.execution_properties.iter() {
        if let Value::String(value) = value {
            properties.insert(name.to_string(), value.to_string());
        }
    }
    Platform { properties: properties.into_iter().map(|(name, value)| Property { name, value }).collect() }
}

/// The digest of the action's message.
pub(crate) fn action_digest(execution: &Execution, action: &ActionDescription, inputs: &Digest) -> Hash {
    salted_digest(execution, action, inputs, Vec::new())
}

/// The digest of the action's message with a salt, which makes it that of no action: the keys of [`crate::reads`].
pub(crate) fn salted_digest(
    execution: &Execution,
    action: &ActionDescription,
    inputs: &Digest,
    salt: Vec<u8>,
) -> Hash {
    let function = execution.store.hash_function();
    let paths =
        |paths: &[Str]| -> Vec<String> { paths.iter().map(|path| rebased(path, &action.cwd)).collect() };
    // In compatible mode outputs are named in the form of version 2.1, too; in native mode they never were, and a value would
    // change every digest.
    let output_paths = match function {
        HashFunction::GitSha1 => Vec::new(),
        HashFunction::Sha256 => {
            let mut all = [paths(&action.outs), paths(&action.out_dirs)].concat();
            all.sort_unstable();
            all
        }
    };
    let command = Command {
        arguments: action.command.iter().map(Str::to_string).collect(),
        environment_variables: (action.env.iter())
            .map(|(name, value)| EnvironmentVariable {
                name: name.to_string(),
                value: value.as_str().map(Str::to_string).unwrap_or_default(),
            })
            .collect(),
        output_files: paths(&action.outs),
        output_directories: paths(&action.out_dirs),
        platform: Some(platform(execution, action)),
        working_directory: action.cwd.to_string(),
        output_paths,
    }
    .encode_to_vec();
    let command_digest = Digest { hash: function.blob(&command), size: command.len() as u64 };
    // The configured limit, not the enforced one: the digest must not depend on whether limits are enforced.
    let timeout = action.time_limit(execution.timeout);
    let message = Action {
        command_digest: Some(execution.store.to_wire(&command_digest, false)),
        input_root_digest: Some(execution.store.to_wire(inputs, true)),
        timeout: Some(Duration { seconds: timeout.as_secs() as i64, nanos: timeout.subsec_nanos() as i32 }),
        do_not_cache: action.no_cache,
        salt,
        platform: Some(platform(execution, action)),
    }
    .encode_to_vec();
    function.blob(&message)
}
