//! What the options of a subcommand mean for `driver`: how to analyse, and how to build.

use std::{
    sync::{Once, OnceLock},
    time::Duration,
};

use taut_driver::{AnalysisOptions, BuildOptions, GRACE, WriteStrategy};

use crate::{
    environment::hash_function,
    exit::Exit,
    given_server::server_of,
    log::{Level, Log},
    options,
    remote_cache::remote_cache,
    remote_execution::remote_execution,
};

/// The words in front of commands that are executed, if there is no other launcher.
pub(crate) const USUAL_LAUNCHER: [&str; 2] = ["env", "--"];

/// How many jobs to run.
fn jobs(common: &options::Common) -> usize {
    // Determined once, since the system reads a dozen files for it.
    static CORES: OnceLock<usize> = OnceLock::new();
    let cores = || *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from));
    common.jobs.unwrap_or_else(cores)
}

/// How much of a value messages show, in bytes.
pub(crate) fn log_limit(words: &options::Analysis) -> usize {
    // The reference's default.
    words.expression_log_limit.unwrap_or(320)
}

/// How to analyse.
pub(crate) fn analysis_options(
    common: &options::Common,
    words: &options::Analysis,
    stores: &options::Stores,
) -> AnalysisOptions {
    let hash_function = hash_function(stores);
    AnalysisOptions { jobs: jobs(common), log_limit: log_limit(words), hash_function }
}

/// A time that an option sets.
pub(crate) fn seconds(number: u32) -> Duration {
    Duration::from_secs(number.into())
}

/// What actions require of the platform, `NAME:VALUE` each.
pub(crate) fn properties(execution: &options::Execution) -> Vec<(String, String)> {
    let split =
        |property: &String| property.split_once(':').map(|(name, value)| (name.to_owned(), value.to_owned()));
    execution.remote_execution_property.iter().filter_map(split).collect()
}

/// How results of export targets are cached. An unknown strategy is that which is the default.
pub(crate) fn write_strategy(results: &options::Results) -> WriteStrategy {
    match results.target_cache_write_strategy.as_deref() {
        // `sync` and `split` both write entries; how the reference differs in doing so makes no difference here.
        Some("disable") => WriteStrategy::Disable,
        _ => WriteStrategy::Write,
    }
}

/// How to build.
///
/// # Errors
///
/// The exit code; the errors have been reported.
pub(crate) fn build_options(
    common: &options::Common,
    (execution, stores): (&options::Execution, &options::Stores),
    results: &options::Results,
    compare: bool,
    log: &Log,
) -> Result<BuildOptions, Exit> {
    let launcher = match &execution.local_launcher {
        None => USUAL_LAUNCHER.map(str::to_owned).to_vec(),
        Some(text) => launcher(text).map_err(|why| {
            log.say(Level::Error, why);
            Exit::Syntax
        })?,
    };
    warn_of_useless_cache(execution, stores, log);
    Ok(BuildOptions {
        // Zero means the same as no -J; `request` warns of it.
        jobs: execution.build_jobs.filter(|jobs| *jobs > 0).unwrap_or_else(|| jobs(common)),
        launcher,
        timeout: execution.time_limit(),
        grace: execution.termination_grace.map_or(GRACE, seconds),
        properties: properties(execution),
        keep_going: results.keep_going,
        compare,
        write_strategy: write_strategy(results),
        remote_cache: remote_cache(execution, stores).map_err(|why| {
            log.say(Level::Error, why);
            Exit::Environment
        })?,
        remote_execution: remote_execution(execution, stores, log).map_err(|why| {
            log.say(Level::Error, why);
            Exit::Environment
        })?,
    })
}

/// Warns of a remote cache that has no effect, since a server executes: one that an rc file names is left out before.
fn warn_of_useless_cache(execution: &options::Execution, stores: &options::Stores, log: &Log) {
    let cache = execution.remote_cache.as_ref().filter(|cache| !cache.is_empty());
    let (Some(_), Some(server)) = (cache, &stores.server.remote_execution_address) else { return };
    let words: Vec<_> = std::env::args_os().collect();
    let text = match server_of(&words) {
        Some(_) => {
            format!("--remote-cache has no effect with -r: results are those that server {server} has")
        }
        None => format!(
            "--remote-cache has no effect: the rc file names server {server}, which executes, and results are those that it \
             has\nhelp: -r '' is not a server"
        ),
    };
    // Once, though computed roots have options of their own.
    static WARNED: Once = Once::new();
    WARNED.call_once(|| log.say(Level::Warn, text));
}

/// Reads a launcher: a JSON list of strings.
pub(crate) fn launcher(text: &str) -> Result<Vec<String>, String> {
    let document = taut_syntax::json::Document::parse("--local-launcher", text)
        .map_err(|error| format!("--local-launcher: column {}: {}", error.column, error.message))?;
    let words = document
        .root()
        .as_list()
        .and_then(|items| items.map(|item| item.as_str().map(str::to_owned)).collect());
    words.ok_or_else(|| "--local-launcher: expected a JSON list of strings".to_owned())
}

#[cfg(test)]
mod tests {
    use super::launcher;

    #[test]
    fn a_launcher_is_a_list_of_words() {
        assert_eq!(launcher(r#"["env", "--"]"#), Ok(vec!["env".to_owned(), "--".to_owned()]));
        for bad in ["[", "{}", "[1]"] {
            assert!(launcher(bad).is_err(), "{bad}");
        }
    }
}
