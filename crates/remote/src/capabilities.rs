//! What a server can do, checked before anything else is asked.

use taut_digest::HashFunction;
use taut_proto::cache::{GetCapabilitiesRequest, SHA1, SHA256, SemVer, ServerCapabilities, ZSTD};
use taut_service::{Error, Result};

use crate::{
    Tls,
    call::{HTTP_STATUS, Link, Method},
    certificates::{CERTIFICATE_WANTED, UNKNOWN_AUTHORITY},
};

pub(crate) const PATH: &str = "/build.bazel.remote.execution.v2.Capabilities/GetCapabilities";

pub(crate) const NAME: &str = "GetCapabilities";

const GET: Method = Method { name: NAME, path: PATH, is_write: false };

/// The most bytes of blobs in one batch, whatever the server says: gRPC servers refuse messages of more than 4 MiB
/// unless they are configured otherwise.
// One MiB below the limit of gRPC, for the digests and the frame of each blob.
const MAX_BATCH_BYTES: u64 = 3 << 20;

/// The major version of the API that taut speaks.
const MAJOR: i32 = 2;

#[derive(Clone, Debug)]
pub(crate) struct Capabilities {
    /// Blobs from this size on go by stream.
    pub(crate) max_batch_bytes: u64,
    /// Whether results may be stored.
    pub(crate) takes_results: bool,
    /// Whether streams, and blobs of batches that are read, may be compressed.
    pub(crate) has_zstd: bool,
    /// Whether blobs of batches that are put may be.
    pub(crate) takes_zstd: bool,
    /// Whether a blob can be asked for in chunks.
    pub(crate) splits: bool,
    /// Whether a blob can be put as chunks.
    pub(crate) splices: bool,
}

/// Asks the server, and gives it up if it cannot be used.
pub(crate) async fn ask(link: &Link, naming: HashFunction, executes: bool) -> Result<Capabilities> {
    let request = GetCapabilitiesRequest { instance_name: link.instance.clone() };
    // The first call to a server: so here, and only here, a failure may come from the way it is addressed.
    let answer = link.unary(&GET, &request, 0).await.map_err(|error| with_guess(link, error))?;
    let found = answer.ok_or_else(|| match link.instance.as_str() {
        "" => "the server knows no cache without an instance name".to_owned(),
        instance => format!("the server knows no instance {instance:?}"),
    });
    found.and_then(|server| of(server, naming, executes)).map_err(|why| {
        link.give_up.give_up();
        Error::Final { call: GET.name, why }
    })
}

/// What the libraries below report of a connection that the other side has ended.
// Which of these a system reports is a race between the RST of the other side and what was still to be read or
// written.
const WORDS_OF_CLOSED_CONNECTIONS: [&str; 4] = ["closed", "reset", "broken pipe", "handshake eof"];

/// What the library reports of a server that ends the handshake.
const HANDSHAKE_REFUSED: &str = "HandshakeFailure";

/// What is reported in their place: which of them it is depends on which side is faster.
const ENDED: &str = "the connection ended before there was an answer";

/// A failure to connect with what may be wrong with the encryption, which neither end says in words of its own.
fn with_guess(link: &Link, error: Error) -> Error {
    let guessed = |why: String| match guess(link.encryption(), &why) {
        Some((words, guess)) => format!("{}; {guess}", words.unwrap_or(&why)),
        None => why,
    };
    match error {
        Error::Final { call, why } => Error::Final { call, why: guessed(why) },
        Error::Transient { call, attempts, code, why } => {
            Error::Transient { call, attempts, code, why: guessed(why) }
        }
        other => other,
    }
}

/// Better words for a failure to connect, if there are some, and what may be wrong.
fn guess(encryption: Option<&Tls>, why: &str) -> Option<(Option<&'static str>, &'static str)> {
    let is_closed = WORDS_OF_CLOSED_CONNECTIONS.iter().any(|word| why.contains(word));
    match encryption {
        // What an encrypted answer looks like.
        // A TLS alert, taken for the length of an HTTP/2 frame.
        None if is_closed || why.contains("frame with invalid size") => {
            Some((Some(ENDED), "does the server want an encrypted connection, grpcs://…?"))
        }
        // A plain HTTP/2 answer, taken for a TLS record.
        Some(_) if why.contains("corrupt message") => Some((None, "does the server not encrypt, grpc://…?")),
        // In TLS 1.3 a server refuses a client without a certificate only after the handshake, so what arrives is an
        // alert or a cut.
        Some(tls) if (is_closed || why.contains(CERTIFICATE_WANTED)) && tls.identity.is_none() => {
            Some((Some(ENDED), "does the server ask for a certificate of the client, --tls-client-cert?"))
        }
        // In TLS 1.2 during it; but so it refuses all that the two sides do not have in common.
        Some(tls) if why.contains(HANDSHAKE_REFUSED) && tls.identity.is_none() => Some((
            Some("the server refuses the handshake of TLS"),
            "does it ask for a certificate of the client, --tls-client-cert?",
        )),
        // A server that does not accept a certificate may close the connection before its alert has arrived.
        Some(_) if is_closed => {
            Some((Some(ENDED), "does the server accept the certificate of the client, --tls-client-cert?"))
        }
        Some(tls) if why.contains(HTTP_STATUS) && tls.identity.is_none() => {
            Some((None, "a proxy answers; does it ask for a certificate of the client, --tls-client-cert?"))
        }
        _ if why.contains(HTTP_STATUS) => Some((None, "a proxy answers in the place of the server")),
        Some(tls) if why.contains(UNKNOWN_AUTHORITY) && tls.authorities.is_none() => {
            Some((None, "--tls-ca-cert names the authority to trust"))
        }
        _ => None,
    }
}

fn of(
    server: ServerCapabilities,
    naming: HashFunction,
    executes: bool,
) -> std::result::Result<Capabilities, String> {
    let ServerCapabilities { cache_capabilities, execution_capabilities, low_api_version, high_api_version } =
        server;
    // A server that leaves these fields out is taken to speak this version.
    let major = |version: Option<SemVer>| version.map_or(MAJOR, |version| version.major);
    let (low, high) = (major(low_api_version), major(high_api_version));
    if !(low..=high).contains(&MAJOR) {
        let theirs = if low == high { format!("version {low}") } else { format!("versions {low} to {high}") };
        return Err(format!("the server speaks {theirs} of the API, and taut version {MAJOR}"));
    }
    let cache = cache_capabilities.ok_or("the server is not a cache")?;
    match naming {
        // An empty list is refused, too: names by another function would never be found, and each look-up would be a
        // silent miss.
        HashFunction::Sha256 if !cache.digest_functions.contains(&SHA256) => {
            let mut why = "the server does not name blobs by SHA-256".to_owned();
            if executes {
                why += "\nhelp: a server of justbuild that was started without --compatible is for calls without it";
            }
            return Err(why);
        }
        // It announces what its names are made of; standard servers with SHA-1 do not announce an execution of git
        // trees.
        HashFunction::GitSha1 if !cache.digest_functions.contains(&SHA1) => {
            return Err("the server does not name blobs as git does, as only justbuild's own does\nhelp: for all other \
                        servers there is --compatible"
                .to_owned());
        }
        _ => {}
    }
    if executes && !execution_capabilities.is_some_and(|can| can.exec_enabled) {
        return Err("the server executes no actions: it is a cache only\nhelp: --remote-cache uses it, and actions run here"
            .to_owned());
    }
    // Zero means no limit in the protocol; a negative number means nothing, and is taken for that.
    let max = u64::try_from(cache.max_batch_total_size_bytes).unwrap_or(0);
    Ok(Capabilities {
        max_batch_bytes: if max == 0 { MAX_BATCH_BYTES } else { max.min(MAX_BATCH_BYTES) },
        takes_results: cache.action_cache_update_capabilities.is_some_and(|can| can.update_enabled),
        // The two lists are two fields of the API: what a server accepts in streams (6) and in batches that are put
        // (7).
        has_zstd: cache.supported_compressors.contains(&ZSTD),
        // Chunks are named by SHA-256 (`chunks.rs`), so they can be blobs only where all others are named so, too.
        splits: cache.blob_split_support && naming == HashFunction::Sha256,
        splices: cache.blob_splice_support && naming == HashFunction::Sha256,
        takes_zstd: cache.supported_batch_update_compressors.contains(&ZSTD),
    })
}

#[cfg(test)]
mod tests {
    use taut_proto::{cache::CacheCapabilities, execution::ExecutionCapabilities};

    use super::*;

    fn server() -> ServerCapabilities {
        let cache_capabilities =
            Some(CacheCapabilities { digest_functions: vec![2, SHA256], ..CacheCapabilities::default() });
        let version = |minor| Some(SemVer { major: 2, minor });
        ServerCapabilities {
            cache_capabilities,
            execution_capabilities: None,
            low_api_version: version(0),
            high_api_version: version(12),
        }
    }

    fn of_cache(server: ServerCapabilities) -> std::result::Result<Capabilities, String> {
        of(server, HashFunction::Sha256, false)
    }

    /// Which of the words arrive is up to the version of TLS and to which side is faster.
    #[test]
    fn what_may_be_wrong_with_a_certificate_of_the_client_is_guessed_from_how_the_connection_ends() {
        let with = Tls { authorities: None, identity: Some((Vec::new(), Vec::new())) };
        let without = Tls { authorities: None, identity: None };
        let refused = "received fatal alert: HandshakeFailure";
        let guess = |tls, why| guess(Some(tls), why).map_or("", |(_, guess)| guess);
        for why in ["connection closed", "Connection reset by peer", CERTIFICATE_WANTED] {
            assert!(guess(&without, why).contains("ask for a certificate of the client"), "{why}");
        }
        assert!(guess(&without, refused).contains("ask for a certificate of the client"));
        assert_eq!(guess(&with, refused), "");
        assert!(guess(&with, "connection closed").contains("accept the certificate of the client"));
    }

    #[test]
    fn a_server_that_executes_has_to_say_so_and_to_name_contents_as_the_call_does() {
        let execution = |exec_enabled| {
            Some(ExecutionCapabilities { exec_enabled, digest_function: SHA256, digest_functions: vec![] })
        };
        let server = |functions: &[i32], enabled: Option<bool>| {
            let functions = functions.to_vec();
            let cache = CacheCapabilities { digest_functions: functions, ..CacheCapabilities::default() };
            ServerCapabilities {
                cache_capabilities: Some(cache),
                execution_capabilities: enabled.and_then(execution),
                ..server()
            }
        };
        let native = |server| of(server, HashFunction::GitSha1, true);
        let standard = |server| of(server, HashFunction::Sha256, true);
        assert!(standard(server(&[SHA256], Some(true))).is_ok());
        assert!(standard(server(&[SHA256], Some(false))).unwrap_err().contains("executes no actions"));
        assert!(standard(server(&[SHA256], None)).unwrap_err().contains("executes no actions"));
        assert!(standard(server(&[SHA1], Some(true))).unwrap_err().contains("SHA-256"));
        assert!(native(server(&[SHA1], Some(true))).is_ok());
        assert!(native(server(&[SHA256], Some(true))).unwrap_err().contains("--compatible"));
    }

    #[test]
    fn a_server_has_to_be_a_cache_for_sha256_that_speaks_version_2() {
        assert!(of_cache(server()).is_ok());
        assert!(of_cache(ServerCapabilities { cache_capabilities: None, ..server() }).is_err());
        assert!(
            of_cache(ServerCapabilities { low_api_version: Some(SemVer { major: 3, minor: 0 }), ..server() })
                .is_err()
        );
        let old = Some(SemVer { major: 1, minor: 9 });
        assert!(
            of_cache(ServerCapabilities { low_api_version: old.clone(), high_api_version: old, ..server() })
                .is_err()
        );
        assert!(
            of_cache(ServerCapabilities { low_api_version: None, high_api_version: None, ..server() })
                .is_ok()
        );
        let other = CacheCapabilities { digest_functions: vec![2], ..CacheCapabilities::default() };
        assert!(of_cache(ServerCapabilities { cache_capabilities: Some(other), ..server() }).is_err());
    }

    #[test]
    fn the_size_of_batches_is_bounded_by_both_sides() {
        for (limit, is) in
            [(0, MAX_BATCH_BYTES), (-1, MAX_BATCH_BYTES), (1000, 1000), (i64::MAX, MAX_BATCH_BYTES)]
        {
            let mut server = server();
            server.cache_capabilities.as_mut().unwrap().max_batch_total_size_bytes = limit;
            assert_eq!(of_cache(server).unwrap().max_batch_bytes, is);
        }
    }
}
