//! Beginning anew: a build whose descriptions change meanwhile, or that finds objects of the store lost.

/// The warning when objects of the store are lost.
pub(crate) const LOST_OBJECTS: &str = "Objects in the build root were lost or damaged: they are made again.";
