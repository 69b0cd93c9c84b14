//! The server that executes actions, as set-ups use it: they may find objects there, and keep copies there.

use std::{fmt, path::PathBuf, sync::OnceLock};

use taut_digest::{HashFunction, ObjectInfo};
use taut_driver::{Endpoint, send};
use taut_setup::Server;
use taut_store::{Error, Store};

/// A server of objects, and the build root that they are in here.
pub(crate) struct SetUpServer {
    pub(crate) endpoint: Endpoint,
    pub(crate) build_root: PathBuf,
    /// How the server names objects; set-ups name them as git does.
    pub(crate) naming: HashFunction,
    /// Opened for the first object: mostly nothing is missing.
    stores: OnceLock<Result<Stores, String>>,
}

struct Stores {
    /// Not that of the set-up, where what only the server has would count as present.
    of_server: Store,
    of_set_up: Store,
}

impl SetUpServer {
    pub(crate) fn new(endpoint: Endpoint, build_root: PathBuf, naming: HashFunction) -> SetUpServer {
        SetUpServer { endpoint, build_root, naming, stores: OnceLock::new() }
    }

    fn stores(&self) -> Result<&Stores, String> {
        let open = || {
            let of_server = Store::open(&self.build_root, self.naming)?;
            of_server.attach(vec![self.endpoint.object_server()])?;
            Ok(Stores { of_server, of_set_up: Store::open(&self.build_root, HashFunction::GitSha1)? })
        };
        let failed = |error: Error| error.to_string();
        self.stores.get_or_init(|| open().map_err(failed)).as_ref().map_err(Clone::clone)
    }
}

impl fmt::Debug for SetUpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetUpServer").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Server for SetUpServer {
    fn name(&self) -> &str {
        &self.endpoint.name
    }

    fn bring(&self, object: &ObjectInfo) -> Result<bool, String> {
        // As in the reference: there is no way from an id of git to the name that a standard server has for it.
        if self.naming != HashFunction::GitSha1 {
            return Ok(false);
        }
        let store = &self.stores()?.of_server;
        // Only the question shows whether it is there; the answer is not recorded.
        store.note_at_server(0, false, [*object]);
        match store.bring(&[*object]) {
            Ok(()) => Ok(true),
            Err(Error::Missing(_)) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    fn back_up(&self, object: &ObjectInfo) -> Result<(), String> {
        let Stores { of_server, of_set_up } = self.stores()?;
        let copy = match self.naming {
            HashFunction::GitSha1 => Ok(*object),
            HashFunction::Sha256 => of_server.copy_from(of_set_up, object),
        };
        send(of_server, &self.endpoint, &copy.map_err(|error| error.to_string())?)
            .map(drop)
            .map_err(|fault| fault.why)
    }
}
