//! What a build did: noted in numbers, spelled out when somebody asks.

pub(crate) mod entries;
pub(crate) mod reason;
