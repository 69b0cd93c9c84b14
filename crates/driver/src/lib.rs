//! One request, start to finish; emits events, prints nothing.
//!
//! What this crate does not know: terminals, environment variables, exit codes' numbers.

pub mod cas;
pub mod graph;
mod request;

pub use request::{Request, SetupError, Words};
pub use taut_expr::json_to_value;
pub use taut_repos::Overrides;
