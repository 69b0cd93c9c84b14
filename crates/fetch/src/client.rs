//! Downloads of files, from one of several URLs.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use taut_sys::{Dir, Named};
use ureq::{
    Agent,
    tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem},
};

use crate::{
    Cause, Download, Error, Expected, Options, Progress, Result, Tried, attempt::Transfer,
    url::without_password,
};

/// What to download.
#[derive(Clone, Debug)]
pub struct Request<'r> {
    /// Where it may be, the best place first.
    pub urls: &'r [String],
    /// The hashes that it must have.
    pub expected: &'r Expected,
}

/// Downloads files. Any number of threads can use it at the same time, and share its connections.
pub struct Client {
    pub(crate) agent: Agent,
    pub(crate) options: Options,
}

impl Client {
    /// A client; it makes no connection yet.
    ///
    /// # Errors
    /// The file with certificates cannot be read, or has none.
    pub fn new(options: Options) -> std::result::Result<Client, Cause> {
        let roots = match &options.ca_file {
            _ if !options.verify_tls => Vec::new(),
            Some(path) => certificates_in(path)?,
            // Certificates of the system that cannot be read are not trusted, and that is all.
            None => rustls_native_certs::load_native_certs()
                .certs
                .iter()
                .map(|certificate| Certificate::from_der(certificate).to_owned())
                .collect(),
        };
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .disable_verification(!options.verify_tls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .user_agent(concat!("taut/", env!("CARGO_PKG_VERSION")))
            // The bytes of an archive are wanted as they are, not compressed once more.
            .accept_encoding("identity")
            // Statuses are judged in `attempt`: 206 and 416 belong to the protocol there.
            .http_status_as_error(false)
            .timeout_connect(Some(options.connect_timeout))
            .timeout_recv_response(Some(options.stall_timeout))
            // No limit for a whole transfer: a large archive over a slow line is no fault as long as bytes come.
            .timeout_per_read(Some(options.stall_timeout))
            .build()
            .new_agent();
        Ok(Client { agent, options })
    }

    /// Downloads a file into a directory, under a temporary name. Each URL is tried, then after a pause again those whose
    /// failure may pass.
    ///
    /// # Errors
    /// No URL has the content; nothing is left in the directory then.
    pub fn fetch<'d>(
        &self,
        request: &Request<'_>,
        directory: &'d Dir,
        progress: &dyn Progress,
    ) -> Result<Download<'d>> {
        let mut attempts: Vec<Attempts<'_, 'd>> = Vec::new();
        for url in request.urls {
            // A mirror that is listed twice is one.
            if attempts.iter().all(|other| other.url != url) {
                let transfer = Transfer::new(self, url, request.expected, directory);
                attempts.push(Attempts { url, transfer: Some(transfer), count: 0, cause: None });
            }
        }
        let rounds = self.options.attempts.max(1);
        let mut backoff = self.options.initial_backoff;
        // All mirrors before any of them again: another server is more likely to answer than the same one after a
        // pause.
        'rounds: for round in 1..=rounds {
            for attempts in &mut attempts {
                // Put back only if another attempt makes sense; what it received stays with it, to be resumed.
                let Some(mut transfer) = attempts.transfer.take() else { continue };
                attempts.count += 1;
                let cause = match transfer.attempt(progress) {
                    Ok(download) => return Ok(download),
                    Err(cause) => attempts.cause.insert(cause),
                };
                // No other URL would do better.
                if cause.is_final() {
                    break 'rounds;
                }
                if cause.may_pass() && round < rounds {
                    progress.retry(attempts.url, cause);
                    attempts.transfer = Some(transfer);
                }
            }
            if attempts.iter().all(|attempts| attempts.transfer.is_none()) || !sleep(backoff, progress) {
                break;
            }
            backoff = (backoff * 2).min(self.options.max_backoff);
        }
        let tried = attempts.into_iter().filter_map(|attempts| {
            let url = without_password(attempts.url);
            Some(Tried { url, attempts: attempts.count, cause: attempts.cause? })
        });
        Err(Error { tried: tried.collect() })
    }
}

/// What has been done with a URL.
struct Attempts<'r, 'd> {
    url: &'r str,
    /// Absent if another attempt would fail, too.
    transfer: Option<Transfer<'r, 'd>>,
    count: u32,
    cause: Option<Cause>,
}

/// Waits; returns whether the fetch is still wanted.
fn sleep(time: Duration, progress: &dyn Progress) -> bool {
    let end = Instant::now() + time;
    while !progress.is_cancelled() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        // In short steps, as a cancellation does not wake the thread.
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
    false
}

/// The certificates in a file in PEM format.
fn certificates_in(path: &Path) -> std::result::Result<Vec<Certificate<'static>>, Cause> {
    let content = Named::read(path).map_err(|error| Cause::File(error.to_string()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&content) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(Cause::File(format!("{}: {error}", path.display()))),
        }
    }
    if certificates.is_empty() {
        return Err(Cause::File(format!("{} has no certificate in PEM format", path.display())));
    }
    Ok(certificates)
}
