//! What users of the engine see: rules, what a running task may ask, builds, and questions to them.

pub(crate) mod ask;
pub(crate) mod build;
pub(crate) mod collect;
pub(crate) mod confirm;
pub(crate) mod cx;
pub(crate) mod derivation;
pub(crate) mod engine;
#[cfg(feature = "files")]
pub(crate) mod files;
pub(crate) mod history;
pub(crate) mod interned;
pub(crate) mod keys;
pub(crate) mod mentions;
pub(crate) mod options;
pub(crate) mod part;
pub(crate) mod request;
pub(crate) mod rule;
pub(crate) mod traces;
pub(crate) mod typed;
