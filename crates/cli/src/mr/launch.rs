//! The words by which `just-mr` calls the build tool: their order is the reference's, and scripts that stand in for the
//! build tool rely on it.

use std::{ffi::OsString, path::Path};

use taut_setup::InvocationLog;
use taut_value::{JsonWriter, Map, Value};

use super::settings::Settings;
use crate::settings::USUAL_LAUNCHER;

/// The options that a subcommand of the build tool accepts.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct AcceptedOptions {
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

impl AcceptedOptions {
    /// The options of a subcommand; none if it is unknown.
    pub(crate) fn of(subcommand: &str) -> AcceptedOptions {
        let analyses = AcceptedOptions {
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
            "build" | "install" | "rebuild" => AcceptedOptions { builds: true, ..analyses },
            // The reference passes on other options for each subcommand; these are its rows.
            "describe" => AcceptedOptions { launcher: false, properties: false, dispatch: false, ..analyses },
            "add-to-cas" | "install-cas" => {
                AcceptedOptions { build_root: true, remote: true, ..AcceptedOptions::default() }
            }
            "gc" => AcceptedOptions { build_root: true, ..AcceptedOptions::default() },
            // Other subcommands get no options at all, since any of them may be refused.
            _ => AcceptedOptions::default(),
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
    let takes = AcceptedOptions::of(subcommand.unwrap_or_default());
    let mut words = Words(vec![name_of(&settings.just)]);
    words.0.extend(subcommand.map(OsString::from));
    // The order of what follows is the reference's.
    words.option("-C", config);
    words.option("--local-build-root", settings.given_build_root.as_ref().filter(|_| takes.build_root));
    if takes.launcher && settings.launcher != USUAL_LAUNCHER {
        let launcher = Value::list(settings.launcher.iter().map(Value::string));
        words.option("--local-launcher", Some(launcher.to_json()));
    }
    words.log(settings);
    if takes.defines {
        words.option("-c", settings.config.as_ref());
        // One option in place of several: the build tool gets the definitions merged, and errors are reported before
        // it starts.
        let defined = defined(&settings.defines)?;
        words.option("-D", (!defined.is_empty()).then(|| Value::Map(defined).to_json()));
    }
    if takes.remote {
        words.remote(settings);
    }
    let dispatch = settings.endpoint_configuration.as_ref().filter(|_| takes.dispatch);
    words.option("--endpoint-configuration", dispatch);
    words.option("-R", settings.serve_address.as_ref().filter(|_| takes.serve));
    if takes.properties {
        for property in &settings.properties {
            words.option("--remote-execution-property", Some(property));
        }
    }
    let of_rc = subcommand.and_then(|name| settings.just_args.get(name));
    words.0.extend(of_rc.into_iter().flatten().map(OsString::from));
    Ok(words.0)
}

/// The name by which the build tool is called. This binary acts by its name, and an rc file leads to it through links
/// whose names are lost: for `just-mr` it is `just`, whatever its file is called.
fn name_of(program: &Path) -> OsString {
    let own = std::env::current_exe().ok().and_then(|own| taut_sys::canonical(&own).ok());
    // A plain name is searched in PATH, and stays what the user wrote.
    let is_own = program.components().nth(1).is_some()
        && own.is_some_and(|own| taut_sys::canonical(program).is_ok_and(|path| path == own));
    if is_own { "just".into() } else { program.into() }
}

/// The words of a command line.
struct Words(Vec<OsString>);

impl Words {
    /// Adds an option, if there is a value for it.
    fn option(&mut self, option: &str, value: Option<impl Into<OsString>>) {
        if let Some(value) = value {
            self.0.extend([option.into(), value.into()]);
        }
    }

    fn flag(&mut self, flag: &str, is_set: bool) {
        self.0.extend(is_set.then(|| flag.into()));
    }

    /// The options for messages.
    fn log(&mut self, settings: &Settings) {
        let log = &settings.log;
        // The files have the messages of the set-up already.
        self.flag("--log-append", !log.log_file.is_empty());
        for file in &log.log_file {
            self.option("-f", Some(file));
        }
        // As in the reference, the usual limit is not passed on.
        let limit = log.log_limit.map(|limit| limit.min(6)).filter(|limit| *limit != 3);
        self.option("--log-limit", limit.map(|limit| limit.to_string()));
        let restricted = log.restrict_stderr_log_limit.map(|limit| limit.min(6).to_string());
        self.option("--restrict-stderr-log-limit", restricted);
        self.flag("--plain-log", log.plain_log);
    }

    /// How a remote service is reached.
    fn remote(&mut self, settings: &Settings) {
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        self.flag("--compatible", settings.compatible);
        if let Some(address) = &settings.remote_address {
            self.option("-r", Some(address));
            self.option("--remote-instance-name", settings.remote_instance_name.as_ref());
        }
        self.option("--tls-ca-cert", settings.tls_ca_cert.as_ref());
        self.option("--tls-client-cert", settings.tls_client_cert.as_ref());
        self.option("--tls-client-key", settings.tls_client_key.as_ref());
        self.option("--max-attempts", number(settings.max_attempts));
        self.option("--initial-backoff-seconds", number(settings.initial_backoff_seconds));
        self.option("--max-backoff-seconds", number(settings.max_backoff_seconds));
    }
}

/// The options that make the build tool write its files of the invocation log, if the subcommand has them.
///
/// # Errors
/// One of the names cannot be that of a file.
pub(crate) fn logged(
    log: &InvocationLog,
    directory: &Path,
    subcommand: Option<&str>,
) -> Result<Vec<OsString>, String> {
    let takes = AcceptedOptions::of(subcommand.unwrap_or_default());
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

/// Words as JSON, for the message that announces a call.
pub(crate) fn as_json(words: &[OsString]) -> String {
    let mut json = JsonWriter::compact();
    json.strings(words.iter().map(|word| word.to_string_lossy().into_owned()));
    json.finish()
}
