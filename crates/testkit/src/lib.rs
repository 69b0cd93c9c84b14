//! Test fixtures: a throw-away workspace, a build tool to run in it, a terminal, random projects, and a shrinker
//! for those that show a difference.
//!
//! It sees a build tool as its users do: a binary, a command line, files, an exit code. So the same fixture runs taut
//! and the reference, and the tests of every crate can use it. The feature `services` alone uses other crates of the
//! project: the lowest ones, whose tests use nothing of testkit but that.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

mod attacks;
mod case;
mod expression;
mod git;
mod harness;
mod http_server;
mod mutate;
mod page;
mod proxy;
mod random;
mod repositories;
mod rng;
mod rules;
#[cfg(feature = "services")]
pub mod services;
mod shrink;
mod soak;
pub mod terminal;
mod tool;
mod workspace;

pub use attacks::{ATTACKS, Attack, Decoy, Exchange, can_mount, is_root};
pub use case::Case;
pub use expression::{ExpressionKind, random_expression};
pub use git::GitRepository;
pub use harness::run_tests;
pub use http_server::{HttpAnswer, HttpRequest, HttpServer, reply, whole};
pub use mutate::mutated;
pub use page::{PageSection, commands_of_page};
pub use proxy::{Direction, LinkFault, Proxy};
pub use random::{random_case, random_config};
pub use repositories::random_repositories;
pub use rng::Rng;
pub use rules::expressions_case;
pub use shrink::shrink;
pub use soak::{for_seeds, seeds, times};
pub use tool::{StartedTool, Tool, ToolResult, processed, without_ages, without_colors};
pub use workspace::{Installed, Workspace, files_below, listing};
