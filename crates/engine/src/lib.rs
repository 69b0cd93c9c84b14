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

// A file names only files of its own folder and of those before it in this order: graph, log, schedule, persist,
// settle, api. What goes up, goes through a trait or a closure that the lower one states (`Traces`, `Works`,
// `Suspended`, `Cancellable`, `AnyFrame`), or is a method that an upper file adds to a type of a lower one.
mod api;
mod graph;
mod log;
mod persist;
mod schedule;
mod settle;
mod sync;

pub use api::ask::{Faceted, Pending};
pub use api::build::Build;
pub use api::cx::{Cx, HashCx};
pub use api::derivation::Derivation;
pub use api::engine::{Begin, Builder, Engine};
#[cfg(feature = "files")]
pub use api::files::{Files, StatWitness};
pub use api::history::Kept;
pub use api::interned::{Content, Interned};
pub use api::mentions::Mentions;
pub use api::options::{Options, WhatIf};
pub use api::part::Part;
pub use api::rule::{Curr, Rule};
pub use graph::agreement::Agreement;
pub use graph::cycle::Cycle;
pub use graph::facet::Facets;
pub use graph::fail::{Fail, Failure, Panicked};
pub use graph::hash::Hash;
pub use graph::ids::TaskId;
pub use graph::key::{Key, KeyRef};
pub use graph::policy::{Deep, Policy, Rebuild, Store, Trace};
pub use log::entries::Executed;
pub use log::reason::{Differs, Ran, Reason};
#[doc(hidden)]
pub use persist::reseal;
pub use persist::{Committed, FileProblem, PathFile, TraceFile, TraceRead, TraceWrite};
pub use schedule::cancel::Cancel;

/// The guide's examples, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/engine.md")]
struct Guide;
