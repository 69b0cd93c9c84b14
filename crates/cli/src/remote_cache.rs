//! The options about the cache that other builds use, too.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use taut_digest::HashFunction;
use taut_driver::SharedService;
use taut_remote::{Address, Client, Patience, Setup, Tls};
use taut_syntax::quoted;

use crate::options::{Execution, Stores};

/// The cache of this process. All builds of a call have the same options, those of computed roots among them: what one
/// finds out about the cache, the others know, be it that it is gone.
// The first call decides: all have the same options, as those of the command line do not change.
static CACHE: OnceLock<Result<Option<SharedService>, String>> = OnceLock::new();

/// The cache that the options name, if they name one. Nothing is connected yet.
///
/// # Errors
/// What is wrong with the options.
pub(crate) fn remote_cache(execution: &Execution, stores: &Stores) -> Result<Option<SharedService>, String> {
    CACHE.get_or_init(|| of(execution, stores)).clone()
}

fn of(execution: &Execution, stores: &Stores) -> Result<Option<SharedService>, String> {
    let given = execution.remote_cache.as_ref();
    // Without a value: none, also if an rc file names one.
    let Some(text) = given.filter(|text| !text.is_empty()) else {
        return match execution.remote_cache_write && given.is_none() {
            true => Err("--remote-cache-write: no remote cache is named\nhelp: --remote-cache ADDRESS, or \"remote cache\" in an rc file".to_owned()),
            false => Ok(None),
        };
    };
    let address = Address::parse(text)
        .map_err(|why| format!("--remote-cache {}: {why}\nhelp: grpc://HOST:PORT, or grpcs://HOST:PORT for an encrypted connection", quoted(text)))?;
    let has_files = names_certificates(&address, stores).map_err(|why| format!("--remote-cache {why}"))?;
    let tls = if address.is_encrypted(has_files) { Some(tls(stores)?) } else { None };
    let patience = patience(stores);
    let deadline = execution.remote_cache_timeout.map(|seconds| Duration::from_secs(seconds.into()));
    let patience = Patience { deadline: deadline.unwrap_or(patience.deadline), ..patience };
    let instance = stores.server.remote_instance_name.clone().unwrap_or_default();
    let name = address.to_string();
    // Results are shared in the standard form, whatever the names of the build root are.
    let (naming, executes) = (HashFunction::Sha256, false);
    let client = Arc::new(Client::new(Setup { address, instance, tls, naming, executes, patience }));
    let may_write = execution.remote_cache_write;
    Ok(Some(SharedService { name, cas: client.clone(), results: client, may_write }))
}

/// How long servers are waited for.
pub(crate) fn patience(stores: &Stores) -> Patience {
    let usual = Patience::default();
    let pause = |seconds: Option<u32>| seconds.map(|seconds| Duration::from_secs(seconds.into()));
    Patience {
        attempts: stores.server.max_attempts.unwrap_or(usual.attempts).max(1),
        first_pause: pause(stores.server.initial_backoff_seconds).unwrap_or(usual.first_pause),
        max_pause: pause(stores.server.max_backoff_seconds).unwrap_or(usual.max_pause),
        ..usual
    }
}

/// Whether the options name files about encryption, which `address` has to have a use for.
///
/// # Errors
/// Its connection is not encrypted.
pub(crate) fn names_certificates(address: &Address, stores: &Stores) -> Result<bool, String> {
    let files = [&stores.server.tls_ca_cert, &stores.server.tls_client_cert, &stores.server.tls_client_key];
    let has_files = files.iter().any(|file| file.is_some());
    if has_files && address.is_plain() {
        return Err(format!(
            "{address}: the connection is not encrypted, and certificates (--tls-…) have no use\nhelp: grpcs://… is encrypted"
        ));
    }
    Ok(has_files)
}

/// The files about encryption.
///
/// # Errors
/// One cannot be read.
pub(crate) fn tls(stores: &Stores) -> Result<Tls, String> {
    let read = |path: &Path| taut_sys::Named::read(path).map_err(|error| error.to_string());
    let authorities = stores.server.tls_ca_cert.as_deref().map(read).transpose()?;
    let identity = match (&stores.server.tls_client_cert, &stores.server.tls_client_key) {
        (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?)),
        _ => None,
    };
    Ok(Tls { authorities, identity })
}
