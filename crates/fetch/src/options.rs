//! How transfers are made.

use std::{path::PathBuf, time::Duration};

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

// As long as a user would wait without seeing what is going on; each may be set (`--fetch-timeout`,
// `--fetch-attempts`).
impl Default for Options {
    fn default() -> Options {
        Options {
            ca_file: None,
            verify_tls: true,
            retries: Retries::default(),
            connect_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(60),
            // A bound against a server that sends without end, and larger than any archive of sources known.
            max_size: 16 << 30,
        }
    }
}
