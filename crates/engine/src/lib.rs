//! Tasks with a value and, apart from it, a hash: demand-driven, parallel, and run only where no derivation
//! says that the result is known.
//!
//! A [`Rule`] says how the tasks of one kind get their value; a task is a rule and a [`Key`]. What a task asks
//! of others through its [`Cx`] is recorded, in order, with the hashes it saw. When the task is wanted again
//! and a recorded run agrees with the present (*replay*), its hash is good without running it; its value is
//! taken from where it lies if its hash is the right one (*verify*), and made again only if it is not there.
//!
//! An [`Engine`] remembers runs from [`Build`] to build, and beyond the process if it has a file for them
//! ([`Builder::open`]). What this crate does not know: processes, descriptions, and what any of its tasks is for.

mod agree;
mod below;
mod build;
mod check;
mod collect;
mod confirm;
mod cx;
mod cycle;
mod demand;
mod engine;
mod erased;
mod execute;
mod executor;
mod facet;
mod fail;
mod few;
#[cfg(feature = "files")]
mod files;
mod frame;
mod hash;
mod intern;
mod interned;
mod key;
mod kin;
mod leaves;
mod log;
mod mentions;
mod node;
mod part;
mod persist;
mod policy;
mod rule;
mod slot;
mod standing;
mod sync;
mod table;

pub use build::{Build, Cancel, Options, WhatIf};
pub use cx::{Cx, HashCx, Pending};
pub use cycle::Cycle;
pub use engine::{Begin, Builder, Engine};
pub use facet::{Faceted, Facets};
pub use fail::{Fail, Failure, Panicked};
#[cfg(feature = "files")]
pub use files::{Files, StatWitness};
pub use hash::Hash;
pub use interned::{Content, Interned};
pub use key::{Key, KeyRef};
pub use log::{Derivation, Differs, Executed, Kept, Ran, Reason, TaskId};
pub use mentions::Mentions;
pub use part::Part;
#[doc(hidden)]
pub use persist::reseal;
pub use persist::{Committed, FileTrouble, PathFile, TraceFile, TraceRead, TraceWrite};
pub use policy::{Deep, Policy, Rebuild, Store, Trace};
pub use rule::{Agreement, Curr, Rule};

/// The guide's examples, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/engine.md")]
struct Guide;
