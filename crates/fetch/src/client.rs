//! Downloads of files, from one of several URLs.

use std::path::Path;

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use taut_sys::{Dir, Named};
use ureq::{
    Agent,
    unversioned::{
        resolver::DefaultResolver,
        transport::{ConnectProxyConnector, Connector as _, TcpConnector},
    },
};

use crate::{
    Cause, Download, Expected, Options, Progress, Result, Servers,
    attempt::Transfer,
    tls::{self, TlsConnector},
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
    pub(crate) servers: Servers,
}

impl Client {
    /// A client; it makes no connection yet. `servers`: what is known of them already.
    ///
    /// # Errors
    /// The file with certificates cannot be read, or has none.
    pub fn new(options: Options, servers: Servers) -> std::result::Result<Client, Cause> {
        let trusted = match &options.ca_file {
            _ if !options.verify_tls => None,
            Some(path) => Some(certificates_in(path)?),
            // Certificates of the system that cannot be read are not trusted, and that is all.
            None => Some(rustls_native_certs::load_native_certs().certs),
        };
        let config = Agent::config_builder()
            .user_agent(concat!("taut/", env!("CARGO_PKG_VERSION")))
            // The bytes of an archive are wanted as they are, not compressed once more.
            .accept_encoding("identity")
            // Statuses are judged in `attempt`: 206 and 416 belong to the protocol there.
            .http_status_as_error(false)
            .timeout_connect(Some(options.connect_timeout))
            .timeout_recv_response(Some(options.stall_timeout))
            // No limit for a whole transfer: a large archive over a slow line is not a fault as long as bytes come.
            .timeout_per_read(Some(options.stall_timeout))
            .build();
        let connector = ()
            .chain(ConnectProxyConnector::default())
            // The proxy first: if there is one for the URL, the others work on its tunnel. This is the order of
            // the library's own chain.
            .chain(TcpConnector::default())
            .chain(TlsConnector(tls::config(trusted)));
        let agent = Agent::with_parts(config, connector, DefaultResolver::default());
        Ok(Client { agent, options, servers })
    }

    /// Downloads a file into a directory, under a temporary name. Each URL is tried, then after a pause again those
    /// whose failure may pass.
    ///
    /// # Errors
    /// No URL has the content; nothing is left in the directory then.
    pub fn fetch<'d>(
        &self,
        request: &Request<'_>,
        directory: &'d Dir,
        progress: &dyn Progress,
    ) -> Result<Download<'d>> {
        let begin = |url| Transfer::new(self, url, request.expected, directory);
        let attempt = |_: &str, transfer: &mut Transfer<'_, 'd>| transfer.attempt(progress);
        self.options.retries.run(request.urls, &self.servers, progress, begin, attempt)
    }
}

/// The certificates in a file in PEM format.
fn certificates_in(path: &Path) -> std::result::Result<Vec<CertificateDer<'static>>, Cause> {
    let content = Named::read(path).map_err(|error| Cause::File(error.to_string()))?;
    let certificates: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    let certificates =
        certificates.map_err(|_| Cause::File(format!("a certificate in {} is damaged", path.display())))?;
    if certificates.is_empty() {
        return Err(Cause::File(format!("{} has no certificate in PEM format", path.display())));
    }
    Ok(certificates)
}
