//! Failures of actions: how the command ended, or what the system refused before or after that.
//!
//! Both are one type, since both are reported alike: with the target, the command and how to run it by hand. A fault of
//! an action's inputs is not its failure: see [`crate::ExecutionFailure`]. An error of the system begins as an
//! [`ActionError`] without the action; [`crate::ActionRule`] adds the action.

use std::{fmt, sync::Arc};

use taut_digest::{Digest, Hash, ObjectInfo};
use taut_engine::{Fail, Failure};
use taut_service::{Error, ReportedIn};
use taut_value::{ActionDescription, Id, Str};

use crate::{Cause, Execution, ExecutionFailure, RunResult};

/// What was being done for an action when the system refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Arranging its inputs as a directory.
    Inputs,
    /// Looking for an earlier result.
    Lookup,
    /// Filling its directory.
    Staging,
    /// Starting its process, or waiting for it.
    Running,
    /// Having it executed by a server.
    Remote,
    /// Storing its outputs.
    Collecting,
    /// Writing its result to the action cache.
    Recording,
}

impl Phase {
    /// The failure of an action in this phase. It is transient: not recorded, and another build tries again.
    pub fn failed(self, why: impl fmt::Display) -> Fail {
        Fail::transient(ActionError { phase: self, why: why.to_string(), at_server: None })
    }

    /// As [`Phase::failed`], for an error of the store. A lost object is not a failure of the action, since it is made
    /// again.
    pub(crate) fn failed_in_store(self, error: taut_store::Error) -> Fail {
        match error {
            taut_store::Error::Missing(object) | taut_store::Error::Damaged(object) => {
                Cause::Lost(object).fail()
            }
            taut_store::Error::Remote(fault) => Cause::Server(fault.why.into()).fail(),
            // A server that answers with wrong bytes is unusable for all actions, not only for this one.
            error @ taut_store::Error::WrongAtServer { .. } => Cause::Server(error.to_string().into()).fail(),
            error => self.failed(error),
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Inputs => "was not run: its inputs do not fit into one directory",
            Phase::Lookup => "was not run: the action cache cannot be read",
            Phase::Staging => "was not run: its directory cannot be prepared",
            Phase::Running => "has no result: its process could not be started, or its end is not known",
            Phase::Remote => "has no result: the server that was to execute it did not",
            Phase::Collecting => "was run, but what it left cannot be collected",
            Phase::Recording => "was run, but its result cannot be recorded",
        })
    }
}

/// An error of the system in the course of an action.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ActionError {
    /// What was being done.
    pub phase: Phase,
    /// The reason, as the system or the description gives it.
    pub why: String,
    /// What the reference reports in its place, if that is about a server.
    pub at_server: Option<AtServer>,
}

/// What the reference reports of an action that has no result from a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AtServer {
    /// The action was not executed.
    NotExecuted(NotExecuted),
    /// The outputs are missing.
    NoOutputs,
}

/// What the reference reports of an action that a server did not execute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotExecuted {
    /// The `Action` message, by its name at the server.
    pub action: Digest,
    /// What is wrong, as its client of servers shows it.
    pub error: Option<String>,
    /// What it says of progress before that.
    pub progress: Option<String>,
}

/// A message of a status as the reference shows it where it shows the status as a whole: with C's escapes.
fn escaped(text: &str) -> String {
    let mut shown = String::new();
    for byte in text.bytes() {
        match byte {
            b'\n' => shown += "\\n",
            b'\r' => shown += "\\r",
            b'\t' => shown += "\\t",
            b'"' | b'\'' | b'\\' => shown.extend(['\\', char::from(byte)]),
            b' '..=b'~' => shown.push(char::from(byte)),
            other => shown += &format!("\\{other:03o}"),
        }
    }
    shown
}

impl AtServer {
    /// Of an error of the call that was to execute an action.
    pub(crate) fn of(action: Digest, error: &Error) -> Option<AtServer> {
        match error {
            Error::Final { .. } => Some(AtServer::NoOutputs),
            error => NotExecuted::of(action, error).map(AtServer::NotExecuted),
        }
    }
}

impl NotExecuted {
    fn of(action: Digest, error: &Error) -> Option<NotExecuted> {
        let no_more = NotExecuted { action, error: None, progress: None };
        let (code, reported_in, why) = match error {
            Error::NotExecuted { code, reported_in, why } => (*code, *reported_in, why),
            // Its client tries again, and then has nothing to add.
            Error::InputsMissing(_) | Error::Transient { .. } => return Some(no_more),
            _ => return None,
        };
        let shown = || Some(format!("{code}: {why}"));
        Some(match (reported_in, code) {
            (ReportedIn::Call, UNAVAILABLE | DEADLINE_EXCEEDED)
            | (ReportedIn::Response, UNAVAILABLE)
            | (ReportedIn::Operation, _) => no_more,
            (ReportedIn::Response, FAILED_PRECONDITION) => {
                let progress = Some(format!("Some precondition for the action failed.\n{why}"));
                // As often as the reference tries by default. Here it is not asked again.
                let error = format!("After 1 attempts: code: {code} message: \"{}\"", escaped(why));
                NotExecuted { progress, error: Some(error), ..no_more }
            }
            (ReportedIn::Nothing, _) => {
                NotExecuted { error: Some("Corrupted ExecuteResponse".to_owned()), ..no_more }
            }
            (ReportedIn::Call | ReportedIn::Response, _) => NotExecuted { error: shown(), ..no_more },
        })
    }
}

// Statuses by the numbers of gRPC.
const DEADLINE_EXCEEDED: i32 = 4;
const FAILED_PRECONDITION: i32 = 9;
const UNAVAILABLE: i32 = 14;

impl fmt::Display for ActionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "action {}\n{}", self.phase, self.why)
    }
}

impl Failure for ActionError {}

/// An action that failed the build.
#[derive(Clone, Debug)]
pub struct ActionFailure {
    /// The action's id.
    pub id: Id,
    /// Its definition.
    pub action: Arc<ActionDescription>,
    /// The digest of its `Action` message, which names its inputs by content, if that was known.
    pub digest: Option<Hash>,
    /// Its inputs by path; all of them are in the store. Empty if `error` says that it was not run.
    pub inputs: Arc<[(Str, ObjectInfo)]>,
    /// The result of its run; meaningless if there is an `error`.
    pub ran: Arc<RunResult>,
    /// The error of the system, if the failure is not the command's.
    pub error: Option<ActionError>,
}

impl ActionFailure {
    /// The failure in the lines that the reference prints.
    pub fn as_reference(&self) -> String {
        let (ran, action) = (&self.ran, &self.action);
        let is_allowed = action.may_fail.is_some();
        match &self.error {
            Some(ActionError { at_server: Some(AtServer::NoOutputs), .. }) => {}
            None if !ran.timed_out => {}
            _ => return self.text(),
        }
        if ran.leads_outwards {
            return "Executed action produced invalid outputs -- upwards symlinks".to_owned();
        }
        // Then the reference prints nothing of missing outputs.
        if ran.exit_code != 0 && !is_allowed {
            return format!("action returned non-zero exit code {}", ran.exit_code);
        }
        let mut text = match &action.may_fail {
            Some(message) if ran.exit_code != 0 => {
                format!("{message} (exit code {})\nMoreover ", ran.exit_code)
            }
            _ => String::new(),
        };
        text += "action executed with missing outputs.\nAction outputs should be the following artifacts:";
        action.outs.iter().for_each(|path| text += &format!("\n  - file: {path}"));
        action.out_dirs.iter().for_each(|path| text += &format!("\n  - dir: {path}"));
        text
    }

    /// What the reference reports first, if a server did not execute the action.
    pub fn not_executed(&self) -> Option<NotExecuted> {
        match &self.error {
            Some(ActionError { at_server: Some(AtServer::NotExecuted(one)), .. }) => Some(one.clone()),
            Some(_) => None,
            None => {
                let action = self.ran.action_at_server.filter(|_| self.ran.timed_out)?;
                Some(NotExecuted { action, error: Some("Execution timed out.".to_owned()), progress: None })
            }
        }
    }

    fn text(&self) -> String {
        if let Some(error) = &self.error {
            return error.to_string();
        }
        let RunResult { exit_code, timed_out, missing, invalid, not_started, .. } = &*self.ran;
        let mut text = match not_started {
            Some(why) => format!("action could not be started: {why}"),
            _ if *timed_out => "action exceeded its time limit".to_owned(),
            _ if *exit_code != 0 => format!("action returned non-zero exit code {exit_code}"),
            _ => String::new(),
        };
        if !missing.is_empty() {
            let also = if *exit_code != 0 { "\nMoreover " } else { "" };
            text += &format!("{also}action executed with missing outputs.");
            for output in missing {
                text += &format!("\n - {output}");
            }
        }
        invalid.iter().for_each(|what| text += &format!("\n{what}"));
        text
    }
}

impl ActionFailure {
    /// Whether it is the failure of a process: how that ended, or that it was not started.
    pub fn is_of_process(&self) -> bool {
        self.error.as_ref().is_none_or(|error| error.phase == Phase::Running)
    }
}

impl fmt::Display for ActionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl Failure for ActionFailure {}

/// Whether the build fails with what an action met before it had a result: not if it was cancelled, nor if an object is
/// lost, which is made again.
pub(crate) fn fails_build(fail: &Fail) -> bool {
    match fail.downcast_ref::<ExecutionFailure>() {
        // Other actions would fail for the same reason.
        Some(failure) => matches!(failure.cause, Cause::Store(_) | Cause::Server(_)),
        None => fail.downcast_ref::<ActionError>().is_some(),
    }
}

/// Adds the action to a fault of its inputs, of the store or of a server, unless that names one.
pub(crate) fn fail_at(id: &Id, action: &Arc<ActionDescription>, fail: Fail) -> Fail {
    let named = fail.downcast_ref::<ExecutionFailure>().and_then(|failure| failure.at(id, action));
    named.unwrap_or(fail)
}

impl Execution {
    /// Adds the action to a failure met before it has a result: an error of the system becomes a failure of the action,
    /// and a fault of its inputs is reported with it.
    pub(crate) fn of_action(&self, id: &Id, action: &Arc<ActionDescription>, fail: Fail) -> Fail {
        if fail.downcast_ref::<ExecutionFailure>().is_some() {
            if fails_build(&fail) {
                self.stop.note_failure();
            }
            // If it names an action already, that is the first one that is affected.
            return fail_at(id, action, fail);
        }
        // Cancellation and failures that are complete already pass unchanged.
        let Some(error) = fail.downcast_ref::<ActionError>() else { return fail };
        let action = action.clone();
        let (ran, error) = (Arc::default(), Some(error.clone()));
        self.fail(ActionFailure { id: *id, action, digest: None, inputs: Arc::new([]), ran, error })
    }

    /// Reports a failure; no new work begins, unless the user wants to keep going.
    pub(crate) fn fail(&self, failure: ActionFailure) -> Fail {
        // Before the report, so no new action begins while a sink writes the message.
        self.stop.note_failure();
        self.events.failed(&failure);
        // Not recorded, whatever the reason: the action runs again in the next build.
        Fail::transient(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ActualEntry, MissingOutput};

    fn failure(ran: RunResult, error: Option<ActionError>) -> ActionFailure {
        let action = Arc::new(ActionDescription::default());
        let (inputs, ran, digest) = (Arc::new([]), Arc::new(ran), None);
        ActionFailure { id: Id::of("a"), action, digest, inputs, ran, error }
    }

    #[test]
    fn a_missing_output_is_reported_with_what_is_in_its_place() {
        let missing = |path: &str, found| MissingOutput { path: path.into(), found };
        let left = ActualEntry::Nothing { similar: vec!["out.txt".into()] };
        let missing = vec![
            missing("o", ActualEntry::Directory),
            missing("d", ActualEntry::File),
            missing("Out.txt", left),
            missing("n", ActualEntry::Nothing { similar: vec![] }),
        ];
        let failure = failure(RunResult { missing, ..RunResult::default() }, None);
        assert_eq!(
            failure.to_string(),
            "action executed with missing outputs.\n - o is a directory (out_dirs is for those)\n \
             - d is a file (outs is for those)\n - Out.txt; there is out.txt\n \
             - n"
        );
        let reference =
            "action executed with missing outputs.\nAction outputs should be the following artifacts:";
        assert_eq!(failure.as_reference(), reference);
    }

    #[test]
    fn a_command_that_was_not_started_has_no_exit_code_of_its_own() {
        let why = Some("Argument list too long".to_owned());
        let failure = failure(RunResult { exit_code: 1, not_started: why, ..RunResult::default() }, None);
        let text = "action could not be started: Argument list too long";
        assert_eq!(failure.to_string(), text);
        assert_eq!(failure.as_reference(), "action returned non-zero exit code 1");
    }

    #[test]
    fn what_a_server_says_of_an_action_is_reported_as_by_the_reference() {
        let action = Digest { hash: taut_digest::HashFunction::Sha256.blob(b"a"), size: 7 };
        let of = |code, reported_in| {
            let error = Error::NotExecuted { code, reported_in, why: "why \"é\"\n".to_owned() };
            let NotExecuted { error, progress, .. } = NotExecuted::of(action, &error).unwrap();
            (error, progress)
        };
        let shown = |text: &str| Some(text.to_owned());
        assert_eq!(of(12, ReportedIn::Call), (shown("12: why \"é\"\n"), None));
        assert_eq!(of(13, ReportedIn::Response), (shown("13: why \"é\"\n"), None));
        for (code, reported_in) in [
            (14, ReportedIn::Call),
            (4, ReportedIn::Call),
            (14, ReportedIn::Response),
            (13, ReportedIn::Operation),
        ] {
            assert_eq!(of(code, reported_in), (None, None), "{code} {reported_in:?}");
        }
        assert_eq!(of(13, ReportedIn::Nothing), (shown("Corrupted ExecuteResponse"), None));
        let after = r#"After 1 attempts: code: 9 message: "why \"\303\251\"\n""#;
        let progress = "Some precondition for the action failed.\nwhy \"é\"\n";
        assert_eq!(of(9, ReportedIn::Response), (shown(after), shown(progress)));
        let error = Error::Final { call: "Execute", why: String::new() };
        assert_eq!(AtServer::of(action, &error), Some(AtServer::NoOutputs));
    }
}
