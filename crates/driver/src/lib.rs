//! One request, start to finish; emits events, prints nothing.
//!
//! What this crate does not know: terminals, environment variables, exit codes' numbers.

mod analyse;
mod basis;
mod build;
pub mod cas;
mod census;
mod defined;
mod describe;

mod dump;
pub mod graph;
mod history;
mod install;
mod leaves;
mod meaning;
mod recent;
mod request;
mod rounds;
mod runs;
mod runs_file;
mod survey;
mod talkers;
mod targets;
mod traces;
mod trouble;
mod what_if;

pub use analyse::{Analyser, Analysis, AnalysisOptions, Reached};
pub use basis::{Basis, Known};
pub use build::{BuildFailure, BuildOptions, Interrupter, Located, Results, Session, Wanted, find};
pub use census::Counts;
pub use describe::{DescribeOptions, Description};
pub use history::{Ended, Explanation, History, Question, explain};
pub use install::{Installed, install};
pub use leaves::{Leaves, Signatures, Touched, roots};
pub use meaning::{Meaning, RequestKey, Shown};
pub use request::{Request, SetupError, Words};
pub use rounds::{Again, Done};
pub use runs::Runs;
pub use survey::Survey;
pub use targets::{Targets, joined};
pub use taut_analysis::{AnalysedTarget, ConfiguredTarget};
pub use taut_engine::KeyRef;
pub use taut_exec::{ActionFailure, ActionOutcome, Built, Events, MissingOutput, Ran};
pub use taut_expr::json_to_value;
pub use taut_repos::{Overrides, RepoConfig};
pub use taut_syntax::{
    Diagnostic, Diagnostics, Location,
    diagnostic::{Group, Renderer},
};
pub use taut_sys::process::{GRACE, helper_main_if_requested, on_termination, raise_open_file_limit};
pub use taut_value::path::normal_path;
pub use traces::Traces;
pub use trouble::is_about_traces;
pub use what_if::{Reach, what_if};
