//! The data model: tasks, their versions and runs, the tables of them, and plain types of the public interface.
//!
//! The lowest layer; no decision of a build is made here.

pub(crate) mod agreement;
pub(crate) mod bits;
pub(crate) mod clean;
pub(crate) mod core;
pub(crate) mod cycle;
pub(crate) mod erased;
pub(crate) mod facet;
pub(crate) mod fail;
pub(crate) mod hash;
pub(crate) mod ids;
pub(crate) mod inline_vec;
pub(crate) mod intern;
pub(crate) mod key;
pub(crate) mod leaves;
pub(crate) mod node;
pub(crate) mod policy;
pub(crate) mod run;
pub(crate) mod siblings;
pub(crate) mod table;
pub(crate) mod traces;
