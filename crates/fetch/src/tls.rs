//! TLS of downloads: which certificates of servers are accepted, and how a connection is made with them.
//!
//! The library for HTTP brings a connection of its own, whose rules cannot be changed. They refuse the certificate of
//! an authority in the place of a server's, which `openssl req -x509` makes when it is asked for a self-signed one.
//! OpenSSL accepts it if it is itself among those that are trusted, and so does [`Verifier`].

use std::{
    collections::HashSet,
    io::{self, Read as _, Write as _},
    sync::Arc,
};

use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme, StreamOwned,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

/// How connections are made: with certificates that lead to one of these, or with any if there are none.
pub(crate) fn config(trusted: Option<Vec<CertificateDer<'static>>>) -> Arc<ClientConfig> {
    // Named here rather than installed for the process, so that the choice does not depend on which client is made
    // first.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier { trusted: trusted.map(Trusted::of), provider: provider.clone() };
    // TLS 1.2 and 1.3: older ones are deprecated (RFC 8996), and the library does not have them.
    let versions = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the usual versions");
    let verified = versions.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Arc::new(verified.with_no_client_auth())
}

/// Certificates that are trusted.
#[derive(Debug)]
struct Trusted {
    /// As issuers of others.
    roots: RootCertStore,
    /// As they are.
    // Compared by their bytes: a certificate with the same name and another key is another one.
    themselves: HashSet<CertificateDer<'static>>,
}

impl Trusted {
    fn of(certificates: Vec<CertificateDer<'static>>) -> Trusted {
        let mut roots = RootCertStore::empty();
        // One that cannot be read is not trusted, and that is all.
        let _ = roots.add_parsable_certificates(certificates.iter().cloned());
        Trusted { roots, themselves: certificates.into_iter().collect() }
    }
}

/// Decides about certificates of servers.
#[derive(Debug)]
struct Verifier {
    /// `None` to accept any.
    trusted: Option<Trusted>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// Whether a certificate is signed by, or is, one that is trusted.
    fn verify_chain(
        &self,
        trusted: &Trusted,
        server: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(server)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let signed_by = |roots, between: &[_]| {
            verify_server_cert_signed_by_trust_anchor(&parsed, roots, between, now, algorithms)
        };
        match signed_by(&trusted.roots, between) {
            // Only after the usual check, so a certificate that is signed by a trusted authority is never judged by
            // this exception.
            Err(_) if trusted.themselves.contains(server) => {
                // Without any issuer, the errors that come before the missing one are those of the certificate itself,
                // such as its time.
                match signed_by(&RootCertStore::empty(), &[]) {
                    Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => Ok(()),
                    Err(error) if is_of_authority(&error) => Ok(()),
                    other => other,
                }
            }
            other => other,
        }
    }

    /// Whether the server has the key of its certificate, by the check of one version of TLS.
    fn verify_signature(
        &self,
        check: SignatureCheck,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // Where any certificate is accepted, any server may have made it, so that it has the key says nothing.
        if self.trusted.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        check(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }
}

/// What the library checks signatures with: `verify_tls12_signature`, or that for the next version.
type SignatureCheck = fn(
    &[u8],
    &CertificateDer<'_>,
    &DigitallySignedStruct,
    &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error>;

/// Whether a certificate is refused since it is one of an authority, in the place of a server's.
pub(crate) fn is_of_authority(error: &Error) -> bool {
    matches!(
        error,
        // Of a crate that the library does not show: only its words tell it from other faults.
        Error::InvalidCertificate(CertificateError::Other(other)) if other.to_string().contains("CaUsedAsEndEntity")
    )
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        // Not used, as in OpenSSL's and curl's default: most servers staple nothing, and a missing answer could not
        // be an error.
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(trusted) = &self.trusted {
            self.verify_chain(trusted, end_entity, intermediates, now)?;
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(verify_tls12_signature, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(verify_tls13_signature, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Puts TLS on top of a connection if the URL asks for it.
#[derive(Debug)]
pub(crate) struct TlsConnector(pub(crate) Arc<ClientConfig>);

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else { return Ok(None) };
        // As the library's own connector does it: no second layer on a transport that has one.
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default();
        // Addresses of version 6 are in brackets in a URL.
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| ureq::Error::BadUri(host.to_owned()))?;
        let mut connection = ClientConnection::new(self.0.clone(), name).map_err(io::Error::other)?;
        let below: Box<dyn Transport> = Box::new(transport);
        let mut below = TransportAdapter::new(below, details.current_time.clone());
        below.set_timeout(details.timeout);
        // Here, not with the first request: what is wrong with a certificate is not a fault of the request.
        connection.complete_io(&mut below)?;
        let buffers =
            LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(TlsTransport { buffers, stream: StreamOwned::new(connection, below) })))
    }
}

/// A connection with TLS.
pub(crate) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        Ok(self.stream.write_all(&self.buffers.output()[..amount])?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl std::fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without keys and buffers.
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}
