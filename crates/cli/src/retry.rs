//! Messages about builds that are started again.

/// The warning when objects of the store are lost.
pub(crate) const LOST_OBJECTS: &str = "Objects in the build root were lost or damaged: they are made again";

/// The warning when something of the roots of repositories is lost.
pub(crate) const LOST_ROOTS: &str = "Contents of repositories were lost or damaged: they are set up again";
