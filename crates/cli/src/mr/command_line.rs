//! The command line of `just-mr`.

use std::{ffi::OsString, path::PathBuf};

use taut_setup::{canonical_if_begun, weakly_canonical};
use taut_syntax::{
    Document,
    json::{reference_error, reference_type},
};

use super::words::{
    GivenOption, NotSorted, SortedWords, Spec, SubcommandKind, SubcommandSpec, help, shown, sort,
};
use crate::{options::Log, settings};

const fn flag(long: &'static str, help: &'static str) -> Spec {
    Spec { short: None, long, value: None, help }
}

const fn option(short: Option<char>, long: &'static str, value: &'static str, help: &'static str) -> Spec {
    Spec { short, long, value: Some(value), help }
}

/// The options in front of a subcommand.
// In the order of the reference's help.
pub(crate) const OPTIONS: [Spec; 32] = [
    option(Some('C'), "repository-config", "FILE", "Description of the repositories"),
    option(
        None,
        "absent",
        "FILE",
        "List of the repositories that are absent, in place of what the description says",
    ),
    option(None, "local-build-root", "PATH", "Root for stored objects, repositories, etc."),
    option(None, "checkout-locations", "CHECKOUT_LOCATIONS", "File with checkout locations and mirrors"),
    option(
        Some('L'),
        "local-launcher",
        "JSON",
        "Command that starts local actions, a JSON list (default: [\"env\", \"--\"])",
    ),
    option(None, "distdir", "PATH", "Directory to look for archives before fetching (accumulates)"),
    flag("no-fetch-ssl-verify", "Do not verify certificates of servers that archives are fetched from"),
    option(None, "fetch-cacert", "CA_BUNDLE", "Certificates to trust when archives are fetched"),
    option(None, "just", "PATH", "The build tool to launch (default: just)"),
    option(None, "main", "MAIN", "The main repository"),
    option(None, "rc", "RCFILE", "The rc file (default: ~/.just-mrrc)"),
    option(None, "git", "PATH", "The git program (default: git)"),
    option(None, "dump-rc", "PATH", "Write what the rc files say together"),
    flag("norc", "Read no rc file"),
    option(Some('j'), "jobs", "NUM", "How much to do at once (default: number of cores)"),
    option(Some('D'), "defines", "JSON", "Configuration variables for the build tool (accumulates)"),
    option(Some('r'), "remote-execution-address", "NAME:PORT", "Address of a remote-execution service"),
    option(None, "remote-instance-name", "STRING", "Instance name at that service"),
    flag("compatible", "Be compatible with the original remote-execution protocol"),
    option(Some('R'), "remote-serve-address", "NAME:PORT", "Address of a target-serving service"),
    flag("fetch-absent", "Set up repositories that are absent as if they were not"),
    option(Some('f'), "log-file", "PATH", "Write messages to a file, too (accumulates)"),
    option(None, "log-limit", "NUM", "How much to log, from 0 to 6 (default: 3)"),
    option(None, "restrict-stderr-log-limit", "NUM", "How much to print on standard error, if less"),
    flag("plain-log", "No colours on standard error"),
    flag("log-append", "Append to log files"),
    option(None, "tls-ca-cert", "TEXT", "Certificate of the authority to trust"),
    option(None, "tls-client-cert", "TEXT", "Certificate of this client"),
    option(None, "tls-client-key", "TEXT", "Key of this client"),
    option(None, "max-attempts", "UINT", "How often to try a call of a service (default: 1)"),
    option(
        None,
        "initial-backoff-seconds",
        "UINT",
        "How long to wait before the second attempt (default: 1)",
    ),
    option(None, "max-backoff-seconds", "UINT", "How long to wait between attempts at most (default: 60)"),
];

const ALL: Spec = flag("all", "All repositories of the description");

static SUBCOMMANDS: [SubcommandSpec; 16] = [
    own("mrversion", "Print version information in JSON format of this tool", &[], "", 0),
    own(
        "setup",
        "Set up repositories and print the configuration for the build tool",
        &[ALL],
        " [main-repo]",
        1,
    ),
    own("setup-env", "The same without the root of the main repository", &[ALL], " [main-repo]", 1),
    own(
        "fetch",
        "Fetch archives and store them in a directory",
        &[
            ALL,
            option(Some('o'), "", "PATH", "The directory to write archives to"),
            flag("backup-to-remote", "Store archives at the remote-execution service, too"),
        ],
        " [main-repo]",
        1,
    ),
    own("update", "Print the description with the newest commits of branches", &[], " [repo...]", usize::MAX),
    forwarded("do", "Launch the build tool with any words"),
    own(
        "gc-repo",
        "Remove repositories that were not used recently",
        &[flag("drop-only", "Only remove what is old already")],
        "",
        0,
    ),
    forwarded("add-to-cas", "Launch \"add-to-cas\" of the build tool"),
    forwarded("analyse", "Set up, and launch \"analyse\" of the build tool"),
    forwarded("build", "Set up, and launch \"build\" of the build tool"),
    forwarded("describe", "Set up, and launch \"describe\" of the build tool"),
    forwarded("gc", "Launch \"gc\" of the build tool"),
    forwarded("install", "Set up, and launch \"install\" of the build tool"),
    forwarded("install-cas", "Launch \"install-cas\" of the build tool"),
    forwarded("rebuild", "Set up, and launch \"rebuild\" of the build tool"),
    forwarded("version", "Launch \"version\" of the build tool"),
];

const fn own(
    name: &'static str,
    help: &'static str,
    options: &'static [Spec],
    names: &'static str,
    max_names: usize,
) -> SubcommandSpec {
    SubcommandSpec { name, help, kind: SubcommandKind::Own { options, names, max_names } }
}

const fn forwarded(name: &'static str, help: &'static str) -> SubcommandSpec {
    SubcommandSpec { name, help, kind: SubcommandKind::Forwarded }
}

/// A call of `just-mr`.
#[derive(Debug)]
pub(crate) struct CommandLine {
    pub(crate) options: Options,
    pub(crate) log: Log,
    pub(crate) subcommand: Subcommand,
}

/// What to do.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Subcommand {
    /// `mrversion`
    Version,
    /// `setup` and `setup-env`
    Setup { without_root: bool, all: bool, main: Option<String> },
    /// `fetch`
    Fetch { all: bool, main: Option<String>, directory: Option<PathBuf>, backup: bool },
    /// `update`
    Update { repositories: Vec<String> },
    /// `gc-repo`
    CollectRepositories { drop_only: bool },
    /// `do` with its words, and the subcommands of the build tool, whose name is the first of the words.
    Launch { words: Vec<OsString>, is_do: bool },
}

/// The options in front of a subcommand. Paths are absolute if the reference makes them so.
#[derive(Default, Debug)]
pub(crate) struct Options {
    pub(crate) repository_config: Option<PathBuf>,
    pub(crate) absent: Option<PathBuf>,
    pub(crate) local_build_root: Option<PathBuf>,
    pub(crate) checkout_locations: Option<PathBuf>,
    pub(crate) local_launcher: Option<Vec<String>>,
    pub(crate) distdirs: Vec<PathBuf>,
    pub(crate) no_ssl_verify: bool,
    pub(crate) ca_bundle: Option<PathBuf>,
    pub(crate) just: Option<PathBuf>,
    pub(crate) main: Option<String>,
    pub(crate) rc: Option<PathBuf>,
    pub(crate) git: Option<PathBuf>,
    pub(crate) dump_rc: Option<PathBuf>,
    pub(crate) norc: bool,
    pub(crate) jobs: Option<usize>,
    pub(crate) defines: Vec<String>,
    pub(crate) remote_execution_address: Option<String>,
    pub(crate) remote_instance_name: Option<String>,
    pub(crate) compatible: bool,
    pub(crate) remote_serve_address: Option<String>,
    pub(crate) fetch_absent: bool,
    pub(crate) tls_ca_cert: Option<PathBuf>,
    pub(crate) tls_client_cert: Option<PathBuf>,
    pub(crate) tls_client_key: Option<PathBuf>,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) initial_backoff_seconds: Option<u32>,
    pub(crate) max_backoff_seconds: Option<u32>,
}

/// Why there is nothing to do.
pub(crate) enum NoCall {
    /// The text of the help that was asked for.
    Help(String),
    /// What is wrong, as it is printed.
    Wrong(String),
    /// What is wrong, as an error of the log.
    Error(String),
}

fn wrong(text: impl std::fmt::Display) -> NoCall {
    NoCall::Wrong(format!("{text}\nRun with --help for more information.\n"))
}

/// Parses the words of a call; the first is the name of the tool.
pub(crate) fn parse(words: &[OsString]) -> Result<CommandLine, NoCall> {
    let words = words.get(1..).unwrap_or_default();
    let SortedWords { options, subcommand, own, names } =
        sort(words, &OPTIONS, &SUBCOMMANDS).map_err(|why| match why {
            NotSorted::Wrong(text) => wrong(text),
            NotSorted::Help(about) => {
                let what = "just-mr, a multi-repository configuration tool and launcher for the build tool";
                NoCall::Help(help(about, "just-mr", what, &OPTIONS, &SUBCOMMANDS))
            }
        })?;
    let (options, log) = typed(&options)?;
    let is_set = |long: &str| -> Result<bool, NoCall> {
        // The last occurrence counts, as of the options in front of the subcommand.
        let found = own.iter().rev().find(|(spec, _)| spec.long == long);
        found.map_or(Ok(false), truth)
    };
    let text = |name: &OsString| name.to_string_lossy().into_owned();
    let subcommand = match subcommand.name {
        "mrversion" => Subcommand::Version,
        name @ ("setup" | "setup-env") => Subcommand::Setup {
            without_root: name == "setup-env",
            all: is_set("all")?,
            main: names.first().map(text),
        },
        "fetch" => Subcommand::Fetch {
            all: is_set("all")?,
            main: names.first().map(text),
            directory: own
                .iter()
                .rev()
                .find(|(spec, _)| spec.short == Some('o'))
                .map(|(_, path)| canonical_if_begun(path.as_ref())),
            backup: is_set("backup-to-remote")?,
        },
        "update" => Subcommand::Update { repositories: names.iter().map(text).collect() },
        "gc-repo" => Subcommand::CollectRepositories { drop_only: is_set("drop-only")? },
        "do" => Subcommand::Launch { words: names, is_do: true },
        name => {
            let words = std::iter::once(OsString::from(name)).chain(names).collect();
            Subcommand::Launch { words, is_do: false }
        }
    };
    Ok(CommandLine { options, log, subcommand })
}

/// The options with their types; of each the last occurrence counts, unless it accumulates.
fn typed(given: &[GivenOption]) -> Result<(Options, Log), NoCall> {
    let (mut o, mut log) = (Options::default(), Log::default());
    for given in given {
        let (spec, value) = given;
        let text = || value.to_string_lossy().into_owned();
        let path = || Some(PathBuf::from(value));
        let canonical = || Some(canonical_if_begun(value.as_ref()));
        // For commands that run elsewhere.
        let absolute = || Some(weakly_canonical(value.as_ref()));
        match spec.long {
            "repository-config" => o.repository_config = canonical(),
            "absent" => o.absent = canonical(),
            "local-build-root" => o.local_build_root = canonical(),
            "checkout-locations" => o.checkout_locations = canonical(),
            // Parsed at once: the reference reports a wrong launcher as an error of the command line.
            "local-launcher" => o.local_launcher = Some(launcher(&text())?),
            "distdir" => o.distdirs.extend(absolute()),
            "no-fetch-ssl-verify" => o.no_ssl_verify = truth(given)?,
            "fetch-cacert" => o.ca_bundle = absolute(),
            // As written: a name without a slash is searched for in PATH when it is launched.
            "just" => o.just = path(),
            "main" => o.main = Some(text()),
            "rc" => o.rc = canonical(),
            "git" => o.git = path(),
            "dump-rc" => o.dump_rc = path(),
            "norc" => o.norc = truth(given)?,
            "jobs" => o.jobs = Some(number(given)?),
            "defines" => o.defines.push(text()),
            "remote-execution-address" => o.remote_execution_address = Some(text()),
            "remote-instance-name" => o.remote_instance_name = Some(text()),
            "compatible" => o.compatible = truth(given)?,
            "remote-serve-address" => o.remote_serve_address = Some(text()),
            "fetch-absent" => o.fetch_absent = truth(given)?,
            "log-file" => log.log_file.extend(path()),
            "log-limit" => log.log_limit = Some(number(given)?),
            "restrict-stderr-log-limit" => log.restrict_stderr_log_limit = Some(number(given)?),
            "plain-log" => log.plain_log = truth(given)?,
            "log-append" => log.log_append = truth(given)?,
            "tls-ca-cert" => o.tls_ca_cert = path(),
            "tls-client-cert" => o.tls_client_cert = path(),
            "tls-client-key" => o.tls_client_key = path(),
            "max-attempts" => o.max_attempts = Some(number(given)?),
            "initial-backoff-seconds" => o.initial_backoff_seconds = Some(number(given)?),
            "max-backoff-seconds" => o.max_backoff_seconds = Some(number(given)?),
            other => unreachable!("--{other} is in the table of options"),
        }
    }
    Ok((o, log))
}

fn not_converted((spec, value): &GivenOption) -> NoCall {
    wrong(format!("Could not convert: {} = {}", shown(spec), value.display()))
}

fn truth(given: &GivenOption) -> Result<bool, NoCall> {
    // The words that the reference's parser (CLI11) takes for booleans.
    match given.1.to_str().map(str::to_ascii_lowercase).as_deref() {
        Some("true" | "on" | "yes" | "enable" | "1") => Ok(true),
        Some("false" | "off" | "no" | "disable" | "0" | "-1") => Ok(false),
        _ => Err(not_converted(given)),
    }
}

fn number<N: std::str::FromStr>(given: &GivenOption) -> Result<N, NoCall> {
    // Rust accepts a plus sign, which the reference does not.
    let text = given.1.to_str().map(str::trim).filter(|text| !text.starts_with('+'));
    text.and_then(|text| text.parse().ok()).ok_or_else(|| not_converted(given))
}

fn launcher(text: &str) -> Result<Vec<String>, NoCall> {
    settings::launcher(text).map_err(|_| {
        let syntax = reference_error(text.as_bytes());
        let text = match syntax.is_empty() {
            // The number is that of the JSON library of the reference (nlohmann/json,
            // `type_error`), whose text it prints.
            true => format!("[json.exception.type_error.302] {}", launcher_type(text)),
            false => syntax,
        };
        NoCall::Error(format!("Command line parse error: {text}"))
    })
}

/// The reference's words for a launcher that is not a list of strings.
fn launcher_type(text: &str) -> String {
    let Ok(document) = Document::parse("", text.as_bytes().to_vec()) else { return String::new() };
    let root = document.root();
    match root.items().find(|item| item.as_str().is_none()) {
        // The library converts item by item, so the first wrong one decides.
        Some(item) => format!("type must be string, but is {}", reference_type(item.kind())),
        None => format!("type must be array, but is {}", reference_type(root.kind())),
    }
}
