//! What a call of `just-mr` goes by: its command line, then the rc file, then what is usual.

use std::{collections::BTreeMap, path::PathBuf};

use taut_setup::{AnchoredPath, Anchors, InvocationLog, Locations, Rc, Remark, weakly_canonical};
use taut_syntax::Dialect;

use super::command_line::{CommandLine, Options};
use crate::{options::Log, repositories::defaults};

/// The settings of a call.
#[derive(Default, Debug)]
pub(crate) struct Settings {
    /// The description of repositories, if there is one.
    pub(crate) description: Option<AnchoredPath>,
    /// The list of absent repositories.
    pub(crate) absent: Option<PathBuf>,
    /// The build root.
    pub(crate) build_root: PathBuf,
    /// The same, if it is not the usual one.
    pub(crate) given_build_root: Option<PathBuf>,
    /// The file of checkout locations.
    pub(crate) checkout_locations: Option<PathBuf>,
    pub(crate) launcher: Vec<String>,
    /// Where archives are looked for, in this order.
    pub(crate) distdirs: Vec<PathBuf>,
    pub(crate) no_ssl_verify: bool,
    pub(crate) ca_bundle: Option<PathBuf>,
    pub(crate) just: PathBuf,
    pub(crate) git: PathBuf,
    pub(crate) main: Option<String>,
    pub(crate) jobs: Option<usize>,
    pub(crate) defines: Vec<String>,
    pub(crate) config: Option<PathBuf>,
    pub(crate) endpoint_configuration: Option<PathBuf>,
    pub(crate) just_args: BTreeMap<String, Vec<String>>,
    pub(crate) properties: Vec<String>,
    pub(crate) remote_address: Option<String>,
    pub(crate) remote_instance_name: Option<String>,
    pub(crate) compatible: bool,
    pub(crate) serve_address: Option<String>,
    pub(crate) fetch_absent: bool,
    pub(crate) tls_ca_cert: Option<PathBuf>,
    pub(crate) tls_client_cert: Option<PathBuf>,
    pub(crate) tls_client_key: Option<PathBuf>,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) initial_backoff_seconds: Option<u32>,
    pub(crate) max_backoff_seconds: Option<u32>,
    pub(crate) log: Log,
    pub(crate) invocation_log: Option<InvocationLog>,
}

impl Settings {
    /// The settings of a command line with what rc files say.
    pub(crate) fn of(line: CommandLine, rc: Rc, anchors: &Anchors) -> Settings {
        let CommandLine { options: o, mut log, .. } = line;
        let Options { repository_config, local_build_root, .. } = &o;
        // A description that is named is relative to the working directory, wherever it is.
        let named = |path: &PathBuf| AnchoredPath { path: path.clone(), base: anchors.cwd.clone() };
        let description = repository_config.as_ref().map(named).or(rc.description);
        let given_build_root = local_build_root.clone().or(rc.local_build_root);
        let build_root =
            // The build root of the reference, since scripts share it under that name.
            given_build_root.clone().unwrap_or_else(|| weakly_canonical(&anchors.home.join(".cache/just")));
        log.log_limit = log.log_limit.or(rc.log_limit);
        log.restrict_stderr_log_limit = log.restrict_stderr_log_limit.or(rc.restrict_stderr_log_limit);
        // Both: a file that the user's rc file names is written whatever the command line adds.
        log.log_file.extend(rc.log_files);
        let locations = o.checkout_locations.or(rc.checkout_locations);
        Settings {
            description,
            absent: o.absent.or(rc.absent),
            build_root,
            given_build_root,
            checkout_locations: locations.or_else(|| defaults::checkout_locations(anchors)),
            launcher: o.local_launcher.or(rc.local_launcher).unwrap_or_else(defaults::launcher),
            distdirs: defaults::distdirs(rc.distdirs, o.distdirs, anchors),
            no_ssl_verify: o.no_ssl_verify,
            ca_bundle: o.ca_bundle,
            just: o.just.or(rc.just).unwrap_or_else(|| "just".into()),
            git: o.git.or(rc.git).unwrap_or_else(defaults::git),
            main: o.main,
            jobs: o.jobs,
            defines: o.defines,
            config: rc.config,
            endpoint_configuration: rc.endpoint_configuration,
            just_args: rc.just_args,
            properties: rc.properties,
            remote_address: o.remote_execution_address.or(rc.remote_address),
            remote_instance_name: o.remote_instance_name.or(rc.remote_instance_name),
            compatible: o.compatible || rc.compatible,
            serve_address: o.remote_serve_address.or(rc.serve_address),
            fetch_absent: o.fetch_absent,
            tls_ca_cert: o.tls_ca_cert.or(rc.tls_ca_cert),
            tls_client_cert: o.tls_client_cert.or(rc.tls_client_cert),
            tls_client_key: o.tls_client_key.or(rc.tls_client_key),
            max_attempts: o.max_attempts.or_else(|| rc.max_attempts.map(wrapped)),
            initial_backoff_seconds: o
                .initial_backoff_seconds
                .or_else(|| rc.initial_backoff_seconds.map(wrapped)),
            max_backoff_seconds: o.max_backoff_seconds.or_else(|| rc.max_backoff_seconds.map(wrapped)),
            log,
            invocation_log: rc.invocation_log,
        }
    }

    /// The checkout locations and mirrors.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn locations(&self, remarks: &mut Vec<Remark>) -> Result<Locations, taut_setup::Problem> {
        match &self.checkout_locations {
            Some(path) => Locations::read(Dialect::Strict, path, remarks),
            None => Ok(Locations::default()),
        }
    }
}

/// A number of an rc file as the reference takes it: without the bits that it has too many.
fn wrapped(number: i64) -> u32 {
    // What does not even fit into 64 bits is zero there.
    if number == i64::MAX { 0 } else { number as u32 }
}
