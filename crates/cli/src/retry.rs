//! Messages about builds that are started again.

/// The warning when objects of the store are lost.
pub(crate) const LOST_OBJECTS: &str = "Objects in the build root were lost or damaged: they are made again";
