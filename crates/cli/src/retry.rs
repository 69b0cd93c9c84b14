//! Messages about builds that are started again.

/// The end of each warning of [`lost_objects`].
pub(crate) const MADE_AGAIN: &str = ": they are made again";

/// The warning when objects of the store are lost, or `server` does not have what it should.
pub(crate) fn lost_objects(server: Option<&str>) -> String {
    match server {
        Some(server) => format!("Server {server} lost, or has wrong, contents{MADE_AGAIN}"),
        None => format!("Objects in the build root were lost or damaged{MADE_AGAIN}"),
    }
}

/// The warning when something of the roots of repositories is lost.
pub(crate) const LOST_ROOTS: &str = "Contents of repositories were lost or damaged: they are set up again";
