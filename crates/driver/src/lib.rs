//! One request, start to finish; emits events, prints nothing.
//!
//! What this crate does not know: terminals, environment variables, exit codes' numbers.

mod added_exports;
mod analyser;
mod analysis;
mod analysis_pass;
mod analysis_setup;
mod blocking_work;
mod build_failure;
mod cache_warning;
pub mod cas;
mod closure_actions;
mod closure_pass;
mod commands_pass;
mod compile_commands;
mod computed_roots;
mod computed_tree;
mod configured_text;
mod context;
mod defined_at;
mod depfiles;
mod describe;
mod dump;
mod eligibility;
pub mod event;
pub mod event_log;
mod export_cache;
mod exports;
mod find;
mod full_analysis;
mod history;
mod install;
mod leaves;
mod lru;
mod options;
mod origins;
mod outcomes;
mod reached;
mod request;
mod request_key;
mod result;
mod root_definition;
mod root_failure;
mod root_tree;
mod root_work;
mod rounds;
mod run;
mod session;
mod setup_error;
mod sources;
mod target_words;
mod targets;
mod targets_below;
mod targets_with_file;
mod test_pass;
mod test_rule;
mod tests;
mod trace_file;
mod traces;
mod tree_structure;
mod unresolved_request;
mod what_if;
mod words;

pub use added_exports::Added;
pub use analyser::Analyser;
pub use analysis::{Analysed, Counts};
pub use analysis_setup::AnalysisOptions;
pub use build_failure::{BuildFailure, MissingPath, Unbuilt};
pub use cache_warning::is_cache_warning;
pub use closure_pass::ClosureClient;
pub use commands_pass::CommandsClient;
pub use compile_commands::{CompileCommand, CompileCommands, View};
pub use defined_at::{DefinedAt, defined_at};
pub use describe::{DescribeOptions, Description};
pub use dump::too_long_as_text;
pub use event::{Event, Sink};
pub use event_log::{EventLog, EventLogs, Timings};
pub use export_cache::{EntryProblem, ExportCache, WriteStrategy, backend_description};
pub use exports::Exports;
pub use find::{Located, find};
pub use full_analysis::{Analysis, Closure, MIN_ID_DIGITS, NoAction};
pub use history::{Explanation, Presentation, Question, RecordedReason, Records, Subject, explain};
pub use install::{Installed, install};
pub use leaves::{ChangedLeaves, Leaves, Signatures, roots};
pub use options::{Backend, BuildOptions, RemoteExecution, WantedArtifacts};
pub use origins::Origins;
pub use outcomes::Outcomes;
pub use reached::ReachedTarget;
pub use request::{Request, RootTexts, root_texts};
pub use result::Results;
pub use root_definition::{as_configured as root_as_configured, logged as logged_root, shown as shown_root};
pub use root_failure::RootsFailed;
pub use root_work::{BuiltTarget, NotBuilt, RootComputer, RootOutcome, RootTargets};
pub use rounds::{Recheck, RoundSummary};
pub use run::{BuildPass, Caller, Failed, MAX_TRIES, Pass, Retry, Run, Undelivered};
pub use session::{Interrupter, Session};
pub use setup_error::{SetupError, SetupFailure};
pub use target_words::words_of_list;
pub use targets::{Targets, ambiguous, joined};
pub use targets_with_file::targets_with_file;
pub use taut_analysis::{
    AnalysedTarget, CacheKey, ConfiguredTarget, DEFINES, Export, IS_MODULE, NO_MODULE, NO_SOURCE, OUTSIDE,
    RULES_IN_THE_BOX, UNKNOWN_RULE, WITHOUT_SPECIAL,
};
pub use taut_engine::KeyRef;
pub use taut_exec::{
    ActionFailure, ActionOutcome, ActualEntry, Built, Cause, Compared, Endpoint, MissingOutput, NotExecuted,
    ResultSource, RunResult, SentObjects, ServerFault, SharedService, Step, Traffic, Unreached, Unsent, send,
};
pub use taut_expr::json_to_value;
pub use taut_graph as graph;
pub use taut_repos::{
    ComputedRoot, ConfigError, Origin, Overrides, RULES, RepoConfig, RootContent, UnresolvedRoot,
    find_workspace_root, plain_json,
};
pub use taut_syntax::{
    Diagnostic, Diagnostics, Dialect, Location,
    diagnostic::{Group, Renderer},
};
pub use taut_sys::process::{GRACE, helper_main_if_requested, on_termination, raise_open_file_limit};
pub use taut_value::path::{join, normal_path};
pub use test_pass::TestClient;
pub use test_rule::{FailedRun, TestOptions, TestPlan, TestReport, TestRuns, Verdict};
pub use tests::{Shard, Test, tests};
pub use traces::Traces;
pub use unresolved_request::{NoComputedRoots, ResolveRoots, UnresolvedRequest, Words};
pub use what_if::{Impact, what_if};
