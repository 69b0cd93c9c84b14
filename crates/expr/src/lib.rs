//! The expression language: a pure function from expression and environment to value.
//!
//! An [`Expr`] is compiled once and evaluated many times. Evaluation is deterministic and total but for
//! errors, which are values ([`EvalError`]). It does no I/O and knows no targets, rules or stores: what
//! an expression may ask of its surroundings goes through a [`Host`], which also says which of the
//! contextual constructs exist there.
//!
//! Depth is data: compiling and evaluating recurse over expressions as deep as users like, on a stack
//! that grows on the heap.

mod abbreviate;
mod compile;
mod construct;
mod error;
mod eval;
mod host;
mod program;
pub mod stage;

pub use abbreviate::{abbreviate, kind_of};
pub use construct::vocabulary;
pub use error::{ErrorKind, EvalError};
pub use eval::evaluate;
pub use host::{Context, Host, Offer, Pure};
pub use program::{Expr, Function, Imports, MisspeltVariable, json_to_value, literal_value};
