//! An engine for incremental computation: demand-driven, parallel tasks with a value and, apart from it, a hash, which
//! execute only if no recorded run shows that the result is known.
//!
//! A [`Rule`] computes the values of the tasks of one kind; a task is a rule and a [`Key`]. What a task requests from
//! others through its [`Cx`] is recorded, in order, with the hashes that it saw: its *trace*. When the task is wanted
//! again and all reads of a recorded run agree with the present (*replay*), its hash is good without executing it; its
//! value is taken from where it lies if it has that hash (*verify*), and computed again only if it is not there.
//!
//! An [`Engine`] keeps runs from [`Build`] to build, and beyond the process if it has a file for them
//! ([`Builder::open`]). The crate does not depend on processes, build descriptions, or the purpose of its tasks.
//!
//! In terms of *Build Systems à la Carte* (Mokhov, Mitchell, Peyton Jones, 2018): a suspending scheduler with
//! verifying, constructive or deep constructive traces for each rule, early cutoff, and monadic (dynamic) dependencies.
//! The invalidation of transitive dependents in memory is that of Adapton (Hammer et al., 2014) and salsa.

#![deny(missing_docs)]

// Layers, lowest first: graph, log, schedule, persist, settle, api. A file uses only files of its own layer and lower
// ones. Calls upwards go through a trait or a closure that the lower layer defines (`Traces`, `QueueOwner`,
// `Suspended`, `Cancellable`, `AnyFrame`), or the upper layer adds methods to a type of a lower one.
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
pub use api::history::KeptRun;
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
pub use log::reason::{Differs, ExecutedTask, Reason};
#[doc(hidden)]
pub use persist::reseal;
pub use persist::{Committed, FileProblem, PathFile, TraceFile, TraceRead, TraceWrite, renumber};
pub use schedule::cancel::Cancel;

/// The guide's examples, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/engine.md")]
struct Guide;
