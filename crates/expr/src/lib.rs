//! The expression language: a pure function from expression and environment to value.
//!
//! An [`Expr`] is compiled once and evaluated many times. Evaluation is deterministic and total except for errors,
//! which are values ([`EvalError`]). It does no I/O and knows no targets, rules or stores. Everything else that an
//! expression may use comes from a [`Host`]. The host also determines the available contextual constructs.
//!
//! Depth is data: compiling and evaluating recurse over expressions of any depth, with stack segments on the heap.

mod abbreviate;
mod compile;
mod construct;
mod error;
mod eval;
mod host;
mod program;
pub mod stage;
mod user_message;

pub use abbreviate::{abbreviate, kind_of};
pub use construct::vocabulary;
pub use error::{ErrorKind, EvalError};
pub use eval::{MAX_STRING_BYTES, evaluate};
pub use host::{Context, Host, NoName, Offer, Pure};
pub use program::{Expr, Function, Imports, MisspeltPart, MisspeltVariable, json_to_value, literal_value};
