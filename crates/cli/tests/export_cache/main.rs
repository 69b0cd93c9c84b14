//! Results of export targets in the target-level cache: the reference's keys and entries, and what happens when entries
//! appear, vanish, are damaged, or lose what they refer to.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

mod eligibility;
mod explained;
mod histories;
mod lifetime;
mod null_build;
mod project;
mod reference;
