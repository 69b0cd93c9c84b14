//! Actions as tasks, by their definition.

use std::{collections::BTreeMap, fmt, sync::Arc};

use taut_digest::{Digest, ObjectInfo};
use taut_engine::{Cx, Fail, Failure, Hash, Key, Rule};
use taut_value::{ActionDescription, Id, Str};

use crate::{
    Execution,
    artifact::build_stage,
    message::action_digest,
    run::{RunKey, RunRule},
    transient, trees,
};

/// Names an action by its definition.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ActionKey(pub Id);

impl Key for ActionKey {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.0.0);
    }

    fn decode(bytes: &[u8]) -> Option<ActionKey> {
        bytes.try_into().ok().map(|id| ActionKey(Id(id)))
    }
}

/// What an action came to: all its outputs are there.
#[derive(Clone, Debug)]
pub struct ActionOutcome {
    /// By path, as the definition names them.
    pub outputs: BTreeMap<Str, ObjectInfo>,
    /// The process's exit code.
    pub exit_code: i32,
    /// Standard output, unless empty.
    pub stdout: Option<Digest>,
    /// Standard error, unless empty.
    pub stderr: Option<Digest>,
    /// Whether nothing had to run.
    pub cached: bool,
    /// Whether this action failed, as it may, or an input comes from one that did.
    pub failed: bool,
    /// How long it ran, in seconds.
    pub duration: f64,
}

/// An action that failed the build.
#[derive(Clone, Debug)]
pub struct ActionFailure {
    /// The action's id.
    pub id: Id,
    /// Its definition.
    pub action: Arc<ActionDescription>,
    /// The process's exit code.
    pub exit_code: i32,
    /// Standard output, unless empty.
    pub stdout: Option<Digest>,
    /// Standard error, unless empty.
    pub stderr: Option<Digest>,
    /// Declared outputs that were not produced.
    pub missing: Vec<Str>,
    /// What is wrong with outputs that were.
    pub invalid: Vec<String>,
    /// Whether the process was killed since its time was over.
    pub timed_out: bool,
}

impl fmt::Display for ActionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.timed_out {
            f.write_str("action exceeded its time limit")?;
        } else if self.exit_code != 0 {
            write!(f, "action returned non-zero exit code {}", self.exit_code)?;
        }
        if !self.missing.is_empty() {
            let also = if self.exit_code != 0 { "\nMoreover " } else { "" };
            write!(f, "{also}action executed with missing outputs.")?;
            for path in &self.missing {
                write!(f, "\n - {path}")?;
            }
        }
        self.invalid.iter().try_for_each(|what| write!(f, "\n{what}"))
    }
}

impl Failure for ActionFailure {}

/// Executes actions.
pub struct ActionRule(pub Arc<Execution>);

impl Rule for ActionRule {
    type Key = ActionKey;
    type Value = Arc<ActionOutcome>;
    const NAME: &'static str = "action";

    async fn value(&self, ActionKey(id): &ActionKey, cx: Cx) -> Result<Arc<ActionOutcome>, Fail> {
        let execution = &*self.0;
        let action = execution.definitions.action(id);
        let action = action.ok_or_else(|| transient(format_args!("action {id} is not defined")))?;
        let (inputs, tainted_inputs) = build_stage(&cx, &action.inputs).await?;
        let inputs = trees::from_stage(&execution.store, &inputs).map_err(transient)?;
        let digest = action_digest(execution, &action, &inputs);
        let key = RunKey { digest, action: action.clone(), id: *id, inputs };
        let ran = cx.get::<RunRule>(key).await?;
        execution.counters.processed_one();
        let complete = ran.missing.is_empty() && ran.invalid.is_empty();
        if !complete || (ran.exit_code != 0 && action.may_fail.is_none()) {
            let failure = ActionFailure {
                id: *id,
                action,
                exit_code: ran.exit_code,
                stdout: ran.stdout,
                stderr: ran.stderr,
                missing: ran.missing.clone(),
                invalid: ran.invalid.clone(),
                timed_out: ran.timed_out,
            };
            execution.events.failed(&failure);
            return Err(Fail::transient(failure));
        }
        let outcome = ActionOutcome {
            outputs: ran.outputs.clone(),
            exit_code: ran.exit_code,
            stdout: ran.stdout,
            stderr: ran.stderr,
            cached: ran.cached,
            failed: tainted_inputs || ran.exit_code != 0,
            duration: ran.duration.as_secs_f64(),
        };
        execution.events.finished(id, &action, &outcome);
        Ok(Arc::new(outcome))
    }

    fn content_hash(&self, _: &ActionKey, outcome: &Arc<ActionOutcome>) -> Option<Hash> {
        let text = format!("{:?}{}", outcome.outputs, outcome.failed);
        Some(Hash(Id::of(text).0))
    }
}
