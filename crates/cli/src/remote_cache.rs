//! The cache that other builds use, too: what the options say of it, then rc files.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use taut_digest::HashFunction;
use taut_driver::SharedService;
use taut_remote::{Address, Client, Patience, Setup, Tls};
use taut_setup::{Rc, RemoteCacheRc};
use taut_syntax::quoted;

use crate::{
    diagnostics,
    options::{Common, Execution, Stores},
    repositories::Workspace,
};

/// The cache of this process. All builds of a call have the same options, those of computed roots among them: what one
/// finds out about the cache, the others know, be it that it is gone.
static CACHE: OnceLock<Result<Option<SharedService>, String>> = OnceLock::new();

/// The cache that the options or rc files name, if they name one. Nothing is connected yet.
///
/// # Errors
/// What is wrong with the options, or with what rc files say.
pub(crate) fn remote_cache(
    common: &Common,
    execution: &Execution,
    stores: &Stores,
) -> Result<Option<SharedService>, String> {
    CACHE.get_or_init(|| of(common, execution, stores)).clone()
}

fn of(common: &Common, execution: &Execution, stores: &Stores) -> Result<Option<SharedService>, String> {
    let (rc, other) = rc(common)?;
    // An address on the command line is not that which the rest is about.
    let rc = if execution.remote_cache.is_some() { RemoteCacheRc::default() } else { rc };
    // Without a value: none, also if rc files name one.
    let address = execution.remote_cache.as_ref().or(rc.address.as_ref()).filter(|text| !text.is_empty());
    let Some(text) = address else {
        return match execution.remote_cache_write && execution.remote_cache.is_none() {
            true => Err("--remote-cache-write: no remote cache is named\nhelp: --remote-cache ADDRESS, or \"remote cache\" in an rc file".to_owned()),
            false => Ok(None),
        };
    };
    let place = if rc.address.is_some() { "\"remote cache\" in an rc file:" } else { "--remote-cache" };
    let address = Address::parse(text).map_err(|why| {
        format!(
            "{place} {}: {why}\nhelp: grpc://HOST:PORT, or grpcs://HOST:PORT for an encrypted connection",
            quoted(text)
        )
    })?;
    let given = [&stores.tls_ca_cert, &stores.tls_client_cert, &stores.tls_client_key];
    if given.iter().any(|file| file.is_some()) && address.is_plain() {
        return Err(format!(
            "{place} {address}: the connection is not encrypted, and certificates (--tls-…) have no use\nhelp: grpcs://… is encrypted"
        ));
    }
    let files = [&other.tls_ca_cert, &other.tls_client_cert, &other.tls_client_key];
    let [authorities, certificate, key] = [0, 1, 2].map(|at| given[at].clone().or(files[at].clone()));
    let has_files = [&authorities, &certificate, &key].iter().any(|file| file.is_some());
    let stores = &Stores {
        max_attempts: stores.max_attempts.or(other.max_attempts),
        initial_backoff_seconds: stores.initial_backoff_seconds.or(other.initial_backoff_seconds),
        max_backoff_seconds: stores.max_backoff_seconds.or(other.max_backoff_seconds),
        tls_ca_cert: authorities,
        tls_client_cert: certificate,
        tls_client_key: key,
        remote_instance_name: stores.remote_instance_name.clone().or(rc.instance_name),
        ..Stores::default()
    };
    let tls = if address.is_encrypted(has_files) { Some(tls(stores)?) } else { None };
    let patience = patience(stores);
    let deadline = execution.remote_cache_timeout.or(rc.timeout);
    let deadline = deadline.map_or(patience.deadline, |seconds| Duration::from_secs(seconds.into()));
    let patience = Patience { deadline, ..patience };
    let instance = stores.remote_instance_name.clone().unwrap_or_default();
    let name = address.to_string();
    // Results are shared in the standard form, whatever the names of the build root are.
    let (naming, executes) = (HashFunction::Sha256, false);
    let client = Arc::new(Client::new(Setup { address, instance, tls, naming, executes, patience }));
    let may_write = execution.remote_cache_write || rc.write;
    Ok(Some(SharedService { name, cas: client.clone(), results: client, may_write }))
}

/// What rc files say of the cache, and of connections; nothing under the name `just`, which has no rc file.
fn rc(common: &Common) -> Result<(RemoteCacheRc, Rc), String> {
    if !common.set_up.is_done {
        return Ok(Default::default());
    }
    let cwd = std::env::current_dir().unwrap_or_else(|_| "/".into());
    let read = Workspace::of(common, &cwd).remote_cache();
    read.map_err(|problem| diagnostics::plain(&std::iter::once(*problem).collect()).join("\n"))
}

/// How long servers are waited for.
pub(crate) fn patience(stores: &Stores) -> Patience {
    let usual = Patience::default();
    let pause = |seconds: Option<u32>| seconds.map(|seconds| Duration::from_secs(seconds.into()));
    Patience {
        attempts: stores.max_attempts.unwrap_or(usual.attempts).max(1),
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
