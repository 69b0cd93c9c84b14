//! What a server can do, checked before anything else is asked.

use taut_proto::cache::{GetCapabilitiesRequest, SHA256, SemVer, ServerCapabilities, ZSTD};
use taut_service::{Error, Result};

use crate::call::{Link, Method};

const GET: Method = Method {
    name: "GetCapabilities",
    path: "/build.bazel.remote.execution.v2.Capabilities/GetCapabilities",
    is_write: false,
};

/// The most bytes of contents in one batch, whatever the server says: gRPC servers refuse messages of more than 4 MiB
/// unless they are configured otherwise.
const MAX_BATCH_BYTES: u64 = 3 << 20;

/// The major version of the API that taut speaks.
const MAJOR: i32 = 2;

#[derive(Clone, Debug)]
pub(crate) struct Capabilities {
    /// Contents from this size on go by stream.
    pub(crate) max_batch_bytes: u64,
    /// Whether results may be stored.
    pub(crate) takes_results: bool,
    /// Whether streams, and contents of batches that are read, may be compressed.
    pub(crate) has_zstd: bool,
    /// Whether contents of batches that are put may be.
    pub(crate) takes_zstd: bool,
    /// Whether a content can be asked for in chunks.
    pub(crate) splits: bool,
    /// Whether a content can be put as chunks.
    pub(crate) splices: bool,
}

/// Asks the server, and gives it up if it is none that can be used.
pub(crate) async fn ask(link: &Link) -> Result<Capabilities> {
    let request = GetCapabilitiesRequest { instance_name: link.instance.clone() };
    let answer = link.unary(&GET, &request, 0).await?;
    let found = answer.ok_or_else(|| match link.instance.as_str() {
        "" => "the server knows no cache without an instance name".to_owned(),
        instance => format!("the server knows no instance {instance:?}"),
    });
    found.and_then(of).map_err(|why| {
        link.give_up.give_up();
        Error::Final { call: GET.name, why }
    })
}

fn of(server: ServerCapabilities) -> std::result::Result<Capabilities, String> {
    let ServerCapabilities { cache_capabilities, low_api_version, high_api_version } = server;
    let major = |version: Option<SemVer>| version.map_or(MAJOR, |version| version.major);
    let (low, high) = (major(low_api_version), major(high_api_version));
    if !(low..=high).contains(&MAJOR) {
        return Err(format!(
            "the server speaks versions {low} to {high} of the API, and taut version {MAJOR}"
        ));
    }
    let cache = cache_capabilities.ok_or("the server is no cache")?;
    if !cache.digest_functions.contains(&SHA256) {
        return Err("the server does not name contents by SHA-256".to_owned());
    }
    let max = u64::try_from(cache.max_batch_total_size_bytes).unwrap_or(0);
    Ok(Capabilities {
        max_batch_bytes: if max == 0 { MAX_BATCH_BYTES } else { max.min(MAX_BATCH_BYTES) },
        takes_results: cache.action_cache_update_capabilities.is_some_and(|can| can.update_enabled),
        has_zstd: cache.supported_compressors.contains(&ZSTD),
        splits: cache.blob_split_support,
        splices: cache.blob_splice_support,
        takes_zstd: cache.supported_batch_update_compressors.contains(&ZSTD),
    })
}

#[cfg(test)]
mod tests {
    use taut_proto::cache::CacheCapabilities;

    use super::*;

    fn server() -> ServerCapabilities {
        let cache_capabilities =
            Some(CacheCapabilities { digest_functions: vec![2, SHA256], ..CacheCapabilities::default() });
        let version = |minor| Some(SemVer { major: 2, minor });
        ServerCapabilities { cache_capabilities, low_api_version: version(0), high_api_version: version(12) }
    }

    #[test]
    fn a_server_has_to_be_a_cache_for_sha256_that_speaks_version_2() {
        assert!(of(server()).is_ok());
        assert!(of(ServerCapabilities { cache_capabilities: None, ..server() }).is_err());
        assert!(
            of(ServerCapabilities { low_api_version: Some(SemVer { major: 3, minor: 0 }), ..server() })
                .is_err()
        );
        let old = Some(SemVer { major: 1, minor: 9 });
        assert!(
            of(ServerCapabilities { low_api_version: old.clone(), high_api_version: old, ..server() })
                .is_err()
        );
        assert!(of(ServerCapabilities { low_api_version: None, high_api_version: None, ..server() }).is_ok());
        let other = CacheCapabilities { digest_functions: vec![2], ..CacheCapabilities::default() };
        assert!(of(ServerCapabilities { cache_capabilities: Some(other), ..server() }).is_err());
    }

    #[test]
    fn the_size_of_batches_is_bounded_by_both_sides() {
        for (limit, is) in
            [(0, MAX_BATCH_BYTES), (-1, MAX_BATCH_BYTES), (1000, 1000), (i64::MAX, MAX_BATCH_BYTES)]
        {
            let mut server = server();
            server.cache_capabilities.as_mut().unwrap().max_batch_total_size_bytes = limit;
            assert_eq!(of(server).unwrap().max_batch_bytes, is);
        }
    }
}
