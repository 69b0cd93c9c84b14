//! The options about the cache that other builds use, too.

use std::{path::Path, sync::Arc, time::Duration};

use taut_digest::HashFunction;
use taut_driver::SharedService;
use taut_remote::{Address, Client, Patience, Setup, Tls};
use taut_syntax::quoted;

use crate::options::{Execution, Stores};

/// The cache that the options name, if they name one. Nothing is connected yet.
///
/// # Errors
/// What is wrong with the options.
pub(crate) fn remote_cache(execution: &Execution, stores: &Stores) -> Result<Option<SharedService>, String> {
    let Some(text) = &execution.remote_cache else { return Ok(None) };
    let address = Address::parse(text)
        .map_err(|why| format!("--remote-cache {}: {why}\nhelp: grpc://HOST:PORT, or grpcs://HOST:PORT for an encrypted connection", quoted(text)))?;
    let names_files = [&stores.tls_ca_cert, &stores.tls_client_cert, &stores.tls_client_key];
    let has_files = names_files.iter().any(|file| file.is_some());
    if has_files && address.is_plain() {
        return Err(format!(
            "--remote-cache {address}: the connection is not encrypted, and certificates (--tls-…) have no use\nhelp: grpcs://… is encrypted"
        ));
    }
    let tls = match address.is_encrypted(has_files) {
        true => Some(tls(stores)?),
        false => None,
    };
    let patience = patience(stores);
    let instance = stores.remote_instance_name.clone().unwrap_or_default();
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
        attempts: stores.max_attempts.unwrap_or(usual.attempts),
        first_pause: pause(stores.initial_backoff_seconds).unwrap_or(usual.first_pause),
        max_pause: pause(stores.max_backoff_seconds).unwrap_or(usual.max_pause),
        ..usual
    }
}

/// The files about encryption.
///
/// # Errors
/// One cannot be read.
pub(crate) fn tls(stores: &Stores) -> Result<Tls, String> {
    let read = |path: &Path| taut_sys::Named::read(path).map_err(|error| error.to_string());
    let authorities = stores.tls_ca_cert.as_deref().map(read).transpose()?;
    let identity = match (&stores.tls_client_cert, &stores.tls_client_key) {
        (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?)),
        _ => None,
    };
    Ok(Tls { authorities, identity })
}
