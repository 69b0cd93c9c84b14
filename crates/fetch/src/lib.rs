//! Contents from elsewhere: downloads, git fetches, and commands that make trees.
//!
//! Everything is verified before it is handed out: a [`Download`] has the hashes that were asked for, a fetched commit
//! has its id. What fails leaves nothing behind, and its [`Error`] lists what was tried, each with its cause.
//!
//! - [`Client`] downloads files by http, https and from `file` URLs: resumed after a cut connection, retried, from the
//!   next mirror.
//! - [`git::fetch`] fetches a commit by the installed `git`, and [`git::tree_of_command`] runs a command that makes a
//!   tree.
//!
//! This is the only crate that uses the network. What it does not know: repository descriptions, build roots, and where
//! contents are cached.

#![deny(missing_docs)]

mod attempt;
mod checks;
mod client;
mod download;
mod error;
pub mod git;
mod options;
mod progress;
mod rounds;
mod servers;
mod tls;
mod url;
mod words;

pub use checks::Expected;
pub use client::{Client, Request};
pub use download::Download;
pub use error::{Cause, Error, Result, TriedUrl};
pub use options::Options;
pub use progress::{Progress, Silent, Update};
pub use rounds::Retries;
pub use servers::Servers;
pub use url::without_password;
