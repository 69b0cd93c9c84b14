//! What can go wrong with a store.

use std::{fmt, path::PathBuf};

use taut_digest::{ObjectInfo, TreeError};

/// A failed operation of the store.
#[derive(Debug)]
pub enum Error {
    /// The system refused something.
    Sys(taut_sys::Error),
    /// An object that is needed is in no generation.
    Missing(ObjectInfo),
    /// An object is there, but its bytes are not what its name says; it has been removed.
    Damaged(ObjectInfo),
    /// The file that was to be added changed while it was read.
    Changed(PathBuf),
    /// A tree is there, but has an entry that nothing can be done with.
    Unusable {
        /// The tree.
        tree: ObjectInfo,
        /// The entry, and the reason.
        why: TreeError,
    },
    /// A server that should have objects does not answer for them.
    Remote(RemoteFault),
    /// Bytes on their way could not be read or written on this machine; what could not be done, and why.
    Transfer(String),
    /// What a server has under the name of an object is wrong, also after the object was made again.
    WrongAtServer {
        /// As messages name it.
        server: String,
        /// The object.
        object: ObjectInfo,
    },
    /// A path at which nothing may be written.
    Refused {
        /// The path as it was asked for.
        path: String,
        /// Why.
        reason: String,
    },
}

/// Why a server does not answer for objects.
#[derive(Clone, Debug)]
pub struct RemoteFault {
    /// The server and the reason.
    pub why: String,
    /// The call that failed, if it may work later. Boxed, since it is large and rare.
    pub call: Option<Box<FailedCall>>,
    /// Whether it is about directories.
    pub is_of_trees: bool,
}

/// A call that may work later.
#[derive(Clone, Debug)]
pub struct FailedCall {
    /// Its name, in the words of the protocol.
    pub name: &'static str,
    /// The status by the numbers of gRPC.
    pub code: i32,
    /// How it failed, without the server.
    pub why: String,
}

impl FailedCall {
    pub(crate) fn of(error: &taut_service::Error) -> Option<Box<FailedCall>> {
        let taut_service::Error::Transient { call: name, code, why, .. } = error else { return None };
        Some(Box::new(FailedCall { name, code: *code, why: why.clone() }))
    }
}

impl fmt::Display for RemoteFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// The result of a store operation.
pub type Result<T> = std::result::Result<T, Error>;

impl From<taut_sys::Error> for Error {
    fn from(error: taut_sys::Error) -> Self {
        Error::Sys(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Sys(error) => error.fmt(f),
            // A damaged one has been removed.
            Error::Missing(object) | Error::Damaged(object) => {
                write!(f, "object {object} is not in the store")
            }
            Error::Changed(path) => {
                write!(f, "cannot store {}: the file changed while it was being read", path.display())
            }
            Error::Unusable { tree, why } => write!(f, "tree {tree} cannot be used: {why}"),
            Error::Remote(fault) => fault.fmt(f),
            Error::Transfer(why) => f.write_str(why),
            Error::WrongAtServer { server, object } => {
                write!(
                    f,
                    "server {server} has a wrong blob for object {object}, also after it was made again"
                )
            }
            Error::Refused { path, reason } => write!(f, "refusing to write at {path}: {reason}"),
        }
    }
}

impl std::error::Error for Error {}
