//! The words by which `just-mr` calls the build tool: their order is the reference's, and scripts that stand in for the
//! build tool rely on it.

use std::{ffi::OsString, path::Path};

use taut_setup::InvocationLog;
use taut_value::{JsonWriter, Map, Value};

use super::settings::Settings;
use crate::repositories::USUAL_LAUNCHER;

/// Which options a subcommand of the build tool takes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Takes {
    /// A configuration of repositories, which is set up first.
    pub(crate) config: bool,
    build_root: bool,
    launcher: bool,
    defines: bool,
    remote: bool,
    /// Properties of remote execution and dumps of graphs.
    properties: bool,
    serve: bool,
    dispatch: bool,
    builds: bool,
}

impl Takes {
    /// Those of a subcommand; none of one that is not known.
    pub(crate) fn of(subcommand: &str) -> Takes {
        let analyses = Takes {
            config: true,
            build_root: true,
            launcher: true,
            defines: true,
            remote: true,
            properties: true,
            serve: true,
            dispatch: true,
            builds: false,
        };
        match subcommand {
            "analyse" => analyses,
            "build" | "install" | "rebuild" => Takes { builds: true, ..analyses },
            "describe" => Takes { launcher: false, properties: false, dispatch: false, ..analyses },
            "add-to-cas" | "install-cas" => Takes { build_root: true, remote: true, ..Takes::default() },
            "gc" => Takes { build_root: true, ..Takes::default() },
            // Other subcommands get no options at all, since any of them may be refused.
            _ => Takes::default(),
        }
    }
}

/// The words that come before those of rc files and of the user. `config`: the file with the configuration.
///
/// # Errors
/// What is wrong with the variables that were defined.
pub(crate) fn words(
    settings: &Settings,
    subcommand: Option<&str>,
    config: Option<&Path>,
) -> Result<Vec<OsString>, String> {
    let takes = Takes::of(subcommand.unwrap_or_default());
    let mut words: Vec<OsString> = vec![settings.just.clone().into()];
    words.extend(subcommand.map(OsString::from));
    let mut add = |option: &str, value: OsString| {
        words.push(option.into());
        words.push(value);
    };
    if let Some(config) = config {
        add("-C", config.into());
    }
    if let Some(root) = settings.given_build_root.as_ref().filter(|_| takes.build_root) {
        add("--local-build-root", root.into());
    }
    if takes.launcher && settings.launcher != USUAL_LAUNCHER {
        let launcher = Value::list(settings.launcher.iter().map(Value::string));
        add("--local-launcher", launcher.to_json().into());
    }
    if !settings.log.log_file.is_empty() {
        // The files have the messages of the set-up already.
        words.push("--log-append".into());
        for file in &settings.log.log_file {
            words.push("-f".into());
            words.push(file.into());
        }
    }
    let mut add = |option: &str, value: OsString| {
        words.push(option.into());
        words.push(value);
    };
    // As in the reference, the usual limit is not passed on.
    if let Some(limit) = settings.log.log_limit.map(|limit| limit.min(6)).filter(|limit| *limit != 3) {
        add("--log-limit", limit.to_string().into());
    }
    if let Some(limit) = settings.log.restrict_stderr_log_limit {
        add("--restrict-stderr-log-limit", limit.min(6).to_string().into());
    }
    if settings.log.plain_log {
        words.push("--plain-log".into());
    }
    let mut add = |option: &str, value: OsString| {
        words.push(option.into());
        words.push(value);
    };
    if takes.defines {
        if let Some(config) = &settings.config {
            add("-c", config.into());
        }
        // One option in place of several: the build tool gets the definitions merged, and errors are reported before
        // it starts.
        let defined = defined(&settings.defines)?;
        if !defined.is_empty() {
            add("-D", Value::Map(defined).to_json().into());
        }
    }
    if takes.remote {
        if settings.compatible {
            words.push("--compatible".into());
        }
        let mut add = |option: &str, value: Option<OsString>| {
            if let Some(value) = value {
                words.push(option.into());
                words.push(value);
            }
        };
        let text = |text: &Option<String>| text.as_ref().map(OsString::from);
        let number = |number: Option<u32>| number.map(|number| OsString::from(number.to_string()));
        if let Some(address) = &settings.remote_address {
            add("-r", Some(address.into()));
            add("--remote-instance-name", text(&settings.remote_instance_name));
        }
        add("--tls-ca-cert", settings.tls_ca_cert.clone().map(Into::into));
        add("--tls-client-cert", settings.tls_client_cert.clone().map(Into::into));
        add("--tls-client-key", settings.tls_client_key.clone().map(Into::into));
        add("--max-attempts", number(settings.max_attempts));
        add("--initial-backoff-seconds", number(settings.initial_backoff_seconds));
        add("--max-backoff-seconds", number(settings.max_backoff_seconds));
    }
    let mut add = |option: &str, value: OsString| {
        words.push(option.into());
        words.push(value);
    };
    if let Some(path) = settings.endpoint_configuration.as_ref().filter(|_| takes.dispatch) {
        add("--endpoint-configuration", path.into());
    }
    if let Some(address) = settings.serve_address.as_ref().filter(|_| takes.serve) {
        add("-R", address.into());
    }
    if takes.properties {
        settings.properties.iter().for_each(|property| add("--remote-execution-property", property.into()));
    }
    let of_rc = subcommand.and_then(|name| settings.just_args.get(name));
    words.extend(of_rc.into_iter().flatten().map(OsString::from));
    Ok(words)
}

/// The options by which the build tool writes what is logged of a call, for a subcommand that has them.
///
/// # Errors
/// The name of a file is none.
pub(crate) fn logged(
    log: &InvocationLog,
    directory: &Path,
    subcommand: Option<&str>,
) -> Result<Vec<OsString>, String> {
    let takes = Takes::of(subcommand.unwrap_or_default());
    let mut words = Vec::new();
    for option in taut_setup::LOGGED_OPTIONS {
        let Some(name) = log.files.get(option) else { continue };
        if !takes.properties || (option == "--dump-artifacts" && !takes.builds) {
            continue;
        }
        if !is_file_name(name) {
            // The reference spells the option so here.
            let option = option.replace("artifacts-to-build", "artifacts_to_build");
            let name = taut_value::quoted(name);
            return Err(format!("Invalid file name for option {option}: {name}"));
        }
        words.push(option.into());
        words.push(directory.join(name).into());
    }
    Ok(words)
}

/// Whether a text is the name of a file in a directory.
pub(crate) fn is_file_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

/// The variables that were defined, later definitions over earlier ones.
fn defined(defines: &[String]) -> Result<Map, String> {
    let mut all = Map::default();
    for text in defines {
        let entry = taut_value::quoted(text);
        let document = taut_syntax::Document::parse("-D", text.as_bytes().to_vec()).map_err(|_| {
            let why = taut_syntax::json::reference_error(text.as_bytes());
            format!("Parsing defines entry {entry} failed with error:\n{why}")
        })?;
        match taut_driver::json_to_value(document.root()) {
            Value::Map(map) if document.root().kind() == taut_syntax::Kind::Object => all = all.union(&map),
            _ => return Err(format!("Defines entry {entry} does not contain a map.")),
        }
    }
    Ok(all)
}

/// Words as JSON, as the message that announces a call has them.
pub(crate) fn as_json(words: &[OsString]) -> String {
    let mut json = JsonWriter::compact();
    json.strings(words.iter().map(|word| word.to_string_lossy().into_owned()));
    json.finish()
}
