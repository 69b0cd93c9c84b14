//! The log of a build: recorded as numbers, and turned into keys and hashes on request.

pub(crate) mod entries;
pub(crate) mod reason;
