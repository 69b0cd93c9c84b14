//! Actions as tasks, by their definition.
//!
//! The task builds the inputs, computes the digest of the Remote Execution `Action` message, and asks for the run of
//! that digest ([`RunRule`]). So an action whose definition is new but whose command and input contents are known does
//! not run.

use std::sync::Arc;

use taut_digest::{ObjectInfo, ObjectType};
use taut_engine::{Cx, Fail, Hash, Key, Policy, Rule};
use taut_graph::{Definition, DefinitionKey};
use taut_value::{ActionDescription, Artifact, Decoder, Encoder, Id, Str};

use crate::{
    ActionFailure, Cause, Context, ContextRule, EachTime, EachTimeRule, Execution, KnownResult, Phase,
    Printed, RunResult, Undefined,
    inputs::{self, Inputs},
    message::action_digest,
    run::RunRule,
    run_result::RunKey,
    trees::{self, TreeError},
};

/// Identifies an action by its definition.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ActionKey(pub Id);

impl Key for ActionKey {
    fn encode(&self, out: &mut Vec<u8>) {
        // The bare hash: its length is fixed, and the rule's name is kept beside the key.
        out.extend(self.0.0);
    }

    fn decode(bytes: &[u8]) -> Option<ActionKey> {
        bytes.try_into().ok().map(|id| ActionKey(Id(id)))
    }
}

/// The outcome of an action that has all its outputs.
#[derive(Clone, Debug)]
pub struct ActionOutcome {
    /// The result of its run, or of an earlier one.
    pub ran: Arc<RunResult>,
    /// Whether nothing had to run for this definition: the result was cached, or another definition's run had the same
    /// digest.
    pub cached: bool,
    /// Whether this action failed and is allowed to, or an input comes from such an action.
    pub failed: bool,
}

/// Executes actions.
pub struct ActionRule(pub Arc<Execution>);

impl ActionRule {
    async fn outcome(
        &self,
        id: &Id,
        action: &Arc<ActionDescription>,
        cx: &Cx,
    ) -> Result<Arc<ActionOutcome>, Fail> {
        let execution = &*self.0;
        let Inputs { objects, failed: tainted_inputs } = inputs::build(cx, &action.inputs).await?;
        let tree = trees::digest_of_stage(&execution.store, &objects).map_err(|error| match error {
            TreeError::Store(error) => Phase::Inputs.failed_in_store(error),
            other => Phase::Inputs.failed(other),
        })?;
        // The tree is not stored: only its digest is needed locally, and storing it would cost writes for each action.
        let digest = action_digest(execution, action, &tree);
        let objects: Arc<[(Str, ObjectInfo)]> = objects.into();
        // Of a plain build only the digest counts; the depfile is found later (`with_depfile`), since looking for it
        // loads definitions.
        let (action_of_key, inputs) = (action.clone(), objects.clone());
        let (limit, is_fresh, depfile) = (None, execution.compare, None);
        let key = RunKey { digest, action: action_of_key, id: *id, inputs, limit, is_fresh, depfile };
        // From here on the action counts as begun, even if its result is cached.
        execution.events.begun(id, action);
        // `call`, not `get`: the run is determined by its digest, so it is not a dependency that could be found changed
        // later.
        let ran = cx.call::<RunRule>(key.clone()).await?;
        execution.counters.processed_one(id);
        if execution.compare {
            let key = execution.with_depfile(&key);
            let lookup = |error| Phase::Lookup.failed_in_store(error);
            let names = execution.names(&key).map_err(lookup)?;
            let names = names.as_ref();
            let cached = match execution.executor.known(&key, names).await? {
                KnownResult::Local => execution.known_result(&key, names).map_err(lookup)?,
                KnownResult::AtServer(known) => known.map(|known| *known),
            };
            execution.events.compared(id, action, &ran, cached.as_ref());
        }
        // `may_fail` covers the command's own exit code, not the end that an interruption causes.
        if ran.is_failure_of(action) || (ran.exit_code != 0 && execution.stop.is_interrupted()) {
            // If objects of a shared directory are lost by now, the failure is reported with the directories as trees.
            let inputs =
                inputs::one_by_one(&execution.store, &action.inputs, &objects).map_or(objects, Arc::from);
            let (action, digest) = (action.clone(), Some(digest));
            return Err(execution.fail(ActionFailure { id: *id, action, digest, inputs, ran, error: None }));
        }
        // A run that another definition with the same digest started counts as a hit for this one.
        let cached = ran.run_as != Some(*id);
        let failed = tainted_inputs || ran.exit_code != 0;
        // Read after the inputs: the first read that differs is reported as the reason, and a changed input is the
        // better one.
        cx.depend::<ContextRule>(Context);
        if failed || action.no_cache {
            // Neither a failure that is allowed nor a result that must not be cached is replayed: this read makes the
            // recorded run invalid in every later build.
            cx.depend::<EachTimeRule>(EachTime);
        }
        if ran.stdout.is_some() || ran.stderr.is_some() {
            cx.mention(Printed { action: *id, stdout: ran.stdout, stderr: ran.stderr });
        }
        let outcome = ActionOutcome { ran, cached, failed };
        execution.events.finished(id, action, &digest, &outcome);
        Ok(Arc::new(outcome))
    }
}

impl Rule for ActionRule {
    type Key = ActionKey;
    type Value = Arc<ActionOutcome>;
    const NAME: &'static str = "action";

    fn policy(&self, _: &ActionKey) -> Policy {
        // Four runs with their values: so many versions of a source, or branches, can alternate without executing
        // anything.
        Policy::constructive(4)
    }

    async fn value(&self, ActionKey(id): &ActionKey, cx: Cx) -> Result<Arc<ActionOutcome>, Fail> {
        // A definition that is gone is not an internal error: cached build state may have lost it, and the request is
        // read again.
        let definition = self.0.definition(&cx, DefinitionKey::action(id)).await;
        let Some(action) = definition.as_deref().and_then(Definition::as_action) else {
            return Err(Cause::Undefined(Undefined::Action(*id)).fail());
        };
        self.outcome(id, action, &cx).await.map_err(|fail| self.0.of_action(id, action, fail))
    }

    fn content_hash(&self, _: &ActionKey, outcome: &Arc<ActionOutcome>) -> Option<Hash> {
        // Lengths in front make the text unambiguous; the format is part of recorded hashes.
        let mut text = String::new();
        for (path, info) in &outcome.ran.outputs {
            text.push_str(&format!("{}:{path}{info}", path.len()));
        }
        // Not the exit code: what reads the outputs sees only whether the action failed.
        text.push_str(&outcome.failed.to_string());
        // A version has one value: what was printed is part of it. Readers of artifacts are cut off at these.
        for (name, stream) in [("stdout", &outcome.ran.stdout), ("stderr", &outcome.ran.stderr)] {
            if let Some(digest) = stream {
                text.push_str(&format!("{name}{}", digest.hash));
            }
        }
        Some(Hash(Id::of(text).0))
    }

    // Failures are not recorded: they may be transient.
    fn encode_value(&self, _: &ActionKey, outcome: &Arc<ActionOutcome>) -> Option<Vec<u8>> {
        let ran = &outcome.ran;
        if !ran.is_success() || outcome.failed {
            return None;
        }
        // How many outputs there are; the path and the object of each; then for standard output and standard error
        // whether there is one, and the object.
        let mut encoder = Encoder::new();
        encoder.number(ran.outputs.len() as u64);
        for (path, info) in &ran.outputs {
            encoder.text(path);
            encoder.artifact(&Artifact::Known(*info));
        }
        for stream in [ran.stdout, ran.stderr] {
            encoder.bool(stream.is_some());
            if let Some(digest) = stream {
                encoder.artifact(&Artifact::known(digest, ObjectType::File));
            }
        }
        Some(encoder.finish())
    }

    /// An outcome is valid only while all its objects are in the store.
    fn decode_value(&self, _: &ActionKey, bytes: &[u8]) -> Option<Arc<ActionOutcome>> {
        let store = &self.0.store;
        let mut decoder = Decoder::new(bytes);
        let object = |decoder: &mut Decoder<'_>| match decoder.artifact()? {
            Artifact::Known(info) => {
                // This also brings the object into the youngest generation, so that the next collection keeps it.
                store.contains(&info.digest.hash, info.object_type).ok()?.then_some(info)
            }
            _ => None,
        };
        let mut ran = RunResult::default();
        for _ in 0..decoder.number()? {
            let path = decoder.text()?;
            ran.outputs.insert(path, object(&mut decoder)?);
        }
        let mut stream = || match decoder.bool()? {
            true => Some(Some(object(&mut decoder)?.digest)),
            false => Some(None),
        };
        (ran.stdout, ran.stderr) = (stream()?, stream()?);
        // Bytes left over mean another version's format, or damage: then the recorded run does not count.
        decoder.is_done().then(|| Arc::new(ActionOutcome { ran: Arc::new(ran), cached: true, failed: false }))
    }
}
