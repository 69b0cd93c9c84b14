//! Files, directories, locks, clocks and the process helper: every system call, with faults to inject.
//!
//! Files are reached beneath directories that are held open ([`Dir`], [`At`]), processes by handles; a path or a number
//! that others can take over is never looked up again. What this crate does not know: what files mean.

mod at;
mod beneath;
mod dir;
mod error;
mod evidence;
pub mod fault;
mod file;
mod limits;
mod lock;
mod named;
mod output;
mod permission;
pub mod process;
mod removal;
mod stat;
mod thread;
pub mod watch;
mod writeback;

pub use at::At;
pub use beneath::Links;
pub use dir::Dir;
pub use error::{Error, Result, if_exists, in_words};
pub use evidence::{Evidence, Reading, settled_age};
pub use file::File;
pub use limits::CachedDir;
pub use lock::Lock;
pub use named::{Named, canonical, is_program, normal};
pub use output::Output;
pub use permission::BELONGS_TO;
pub use stat::{FileKind, Identity, Stat, StatSignature};
pub use thread::{on_own_thread, on_threads};
