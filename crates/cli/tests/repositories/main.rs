//! Set-ups of repositories, through the binary: under the name `just-mr` compared with recorded answers of just-mr
//! 1.6.5, and under the name `taut`.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

mod golden;
mod interrupted;
mod listed;
mod lost;
mod mistakes;
mod newest_commits;
mod project;
mod server;
mod workspaces;
