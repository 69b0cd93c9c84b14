//! Files, directories, locks, clocks and the process helper: every system call, with faults to inject.
//!
//! What this crate does not know: what files mean.

mod error;
mod evidence;
pub mod fault;
pub mod fs;
mod lock;
pub mod process;
mod refused;
mod stat;
pub mod watch;

pub use error::{Error, Result};
pub use evidence::{Evidence, Reading};
pub use lock::Lock;
pub use refused::BELONGS;
pub use stat::{FileKind, StatSignature};
