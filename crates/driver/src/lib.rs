//! One request, start to finish; emits events, prints nothing.
//!
//! What this crate does not know: terminals, environment variables, exit codes' numbers.

pub mod cas;
pub mod graph;
