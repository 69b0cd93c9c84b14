//! How transfers are made.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use crate::Retries;

/// How transfers are made: certificates, time limits, retries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// A file with certificates in PEM format that are trusted in place of the system's (`--fetch-cacert`).
    pub ca_file: Option<PathBuf>,
    /// Whether the certificates of servers are verified (not so with `--no-fetch-ssl-verify`).
    pub verify_tls: bool,
    /// How often URLs are tried.
    pub retries: Retries,
    /// How long making a connection may take.
    pub connect_timeout: Duration,
    /// How long a server may send nothing.
    pub stall_timeout: Duration,
    /// The largest download in bytes.
    pub max_size: u64,
}

impl Options {
    /// Variables by which `git` treats certificates in the same way: for [`crate::git::Programs::environment`].
    pub fn git_environment(&self) -> Vec<(OsString, OsString)> {
        let mut variables = Vec::new();
        if !self.verify_tls {
            variables.push(("GIT_SSL_NO_VERIFY".into(), "1".into()));
        }
        if let Some(path) = &self.ca_file {
            variables.push(("GIT_SSL_CAINFO".into(), path.into()));
        }
        variables
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            ca_file: None,
            verify_tls: true,
            retries: Retries::default(),
            connect_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(60),
            max_size: 16 << 30,
        }
    }
}
