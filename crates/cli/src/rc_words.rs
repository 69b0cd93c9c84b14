//! The rc file of just-mr under the name `taut`: its settings become options in front of those of the call.
//!
//! So it has the meaning that it has for just-mr, which passes the same options to the build tool, and the words of a
//! call win. Where descriptions, archives and checkouts are is read by the set-up itself (`repositories/workspace.rs`).

use std::{ffi::OsString, path::Path};

use taut_driver::SetupError;
use taut_setup::{Rc, RemoteCacheRc};
use taut_value::Value;

use crate::{
    given_server::{last_value, server_of},
    options::{Command, RcFile, SetUp, definition, is_refused},
    repositories::Workspace,
};

/// The words of a call with those of the rc file; `None` if there are none of it. `command`: what the words alone are,
/// if they are complete without.
///
/// # Errors
/// The rc file cannot be read, or is wrong.
pub(crate) fn with_rc(
    words: &[OsString],
    command: Option<&Command>,
) -> Result<Option<Vec<OsString>>, SetupError> {
    let [tool, subcommand, given @ ..] = words else { return Ok(None) };
    // `do` is a call of its own, which comes here again.
    let Some(name) = subcommand.to_str().filter(|name| *name != "do") else { return Ok(None) };
    let rc_file = match command {
        Some(command) => command.rc_file().cloned().unwrap_or_default(),
        // An option that has to be there may come from the usual rc file; with another one the call is wrong as it is.
        None if given.iter().any(is_about_rc) => return Ok(None),
        None => RcFile::default(),
    };
    // First, as most users have none: the look at one name is all that it costs them.
    if !Workspace::has_rc(&rc_file) {
        return Ok(None);
    }
    let options = Options::of(name);
    // Subcommands that have nothing to do with a build root go without, even if the rc file is wrong.
    if !options.has("local-build-root") {
        return Ok(None);
    }
    let cwd = std::env::current_dir().unwrap_or_else(|_| "/".into());
    // What there is to remark, the set-up does.
    let set_up = SetUp { rc_file, ..SetUp::default() };
    let (rc, cache) = Workspace::new(&set_up, None, None, &cwd).rc_in_silence()?;
    // Another server than that of the call: nothing of it counts. With one that executes, the cache has no effect.
    let server = server_of(given);
    let executes = server.as_ref().or(rc.remote_address.as_ref()).is_some_and(|server| !server.is_empty());
    let names_cache = last_value(given, "--remote-cache", None).is_some();
    let cache = if names_cache || executes { RemoteCacheRc::default() } else { cache };
    let own = options.words(&rc, &cache, server.is_none());
    if own.is_empty() {
        return Ok(None);
    }
    Ok(Some([&[tool.clone(), subcommand.clone()], &own[..], given].concat()))
}

fn is_about_rc(word: &OsString) -> bool {
    let word = word.to_string_lossy();
    word == "--norc" || word == "--rc" || word.starts_with("--rc=")
}

/// The options of a subcommand.
struct Options {
    subcommand: String,
    definition: clap::Command,
}

impl Options {
    fn of(subcommand: &str) -> Options {
        Options { subcommand: subcommand.to_owned(), definition: definition("taut") }
    }

    fn has(&self, long: &str) -> bool {
        let found = self.definition.find_subcommand(&self.subcommand).and_then(|subcommand| {
            subcommand.get_arguments().find(|argument| argument.get_long() == Some(long))
        });
        found.is_some_and(|argument| !is_refused(&self.subcommand, argument.get_id().as_str()))
    }

    /// The words for the settings of an rc file, as far as the subcommand has the options.
    fn words(&self, rc: &Rc, cache: &RemoteCacheRc, with_server: bool) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        let mut add = |option: &str, value: Option<OsString>| {
            if let Some(value) = value.filter(|_| self.has(option)) {
                words.extend([format!("--{option}").into(), value]);
            }
        };
        let path = |path: &Option<std::path::PathBuf>| path.as_deref().map(|path: &Path| path.into());
        let number = |number: Option<u64>| number.map(|number| OsString::from(number.to_string()));
        let counted = |number: i64| number.clamp(0, u32::MAX.into()) as u64;
        add("local-build-root", path(&rc.local_build_root));
        let launcher = rc.local_launcher.as_ref().map(|words| Value::list(words.iter().map(Value::string)));
        add("local-launcher", launcher.map(|launcher| launcher.to_json().into()));
        add("log-limit", number(rc.log_limit.map(|limit| limit.min(6))));
        add("restrict-stderr-log-limit", number(rc.restrict_stderr_log_limit.map(|limit| limit.min(6))));
        rc.log_files.iter().for_each(|file| add("log-file", Some(file.into())));
        add("config", path(&rc.config));
        rc.properties.iter().for_each(|property| add("remote-execution-property", Some(property.into())));
        // Of the remote cache and of remote execution, which have the same certificates and attempts.
        add("tls-ca-cert", path(&rc.tls_ca_cert));
        add("tls-client-cert", path(&rc.tls_client_cert));
        add("tls-client-key", path(&rc.tls_client_key));
        add("max-attempts", number(rc.max_attempts.map(counted)));
        add("initial-backoff-seconds", number(rc.initial_backoff_seconds.map(counted)));
        add("max-backoff-seconds", number(rc.max_backoff_seconds.map(counted)));
        if let Some(address) = rc.remote_address.as_ref().filter(|_| with_server) {
            add("remote-execution-address", Some(address.into()));
            add("remote-instance-name", rc.remote_instance_name.as_ref().map(OsString::from));
        }
        add("remote-cache", cache.address.as_ref().map(OsString::from));
        add("remote-instance-name", cache.instance_name.as_ref().map(OsString::from));
        add("remote-cache-timeout", number(cache.timeout.map(u64::from)));
        if cache.write && self.has("remote-cache-write") {
            words.push("--remote-cache-write".into());
        }
        if rc.compatible && self.has("compatible") {
            words.push("--compatible".into());
        }
        // Last among these, as they are words for that subcommand alone, and override the general ones.
        words.extend(rc.just_args.get(&self.subcommand).into_iter().flatten().map(OsString::from));
        words
    }
}
