//! A run and its result, as data: what identifies it, and what came out.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use taut_digest::{Digest, Hash, ObjectInfo};
use taut_engine::Key;
use taut_proto::ActionResult;
use taut_value::{ActionDescription, Id, Str};

use crate::{Lacked, Missed, MissingOutput};

/// Identifies a run by the digest of its `Action` message. The other fields are those of one of the definitions with
/// that digest; they do not count for equality.
#[derive(Clone, Debug)]
pub struct RunKey {
    /// The digest.
    pub digest: Hash,
    /// A definition.
    pub action: Arc<ActionDescription>,
    /// The definition's id.
    pub id: Id,
    /// The inputs by path, large directories as trees; all of them are in the store.
    pub inputs: Arc<[(Str, ObjectInfo)]>,
    /// The time limit that is enforced, before scaling, in place of that of the executor. It is not part of the digest:
    /// a result is the same under every limit that it met.
    pub limit: Option<Duration>,
    /// Whether a result that is known elsewhere is of no use: the action is to run again.
    pub is_fresh: bool,
    /// The output with the names of the files that the action read; it may be absent. Set only if the action cache has
    /// no result.
    pub depfile: Option<Str>,
}

impl PartialEq for RunKey {
    fn eq(&self, other: &Self) -> bool {
        // Inputs and definitions with equal digests give equal results, so one run serves all of them.
        self.digest == other.digest
    }
}

impl Eq for RunKey {}

impl std::hash::Hash for RunKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl Key for RunKey {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.digest.as_bytes());
    }

    // A key needs the definition, which its bytes do not contain. Runs are not recorded by the engine: the action cache
    // has them.
    fn decode(_: &[u8]) -> Option<RunKey> {
        None
    }
}

/// The source of a result that was not made in this build.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ResultSource {
    /// The action cache of the build root.
    #[default]
    LocalCache,
    /// A cache that others use, too.
    RemoteCache,
}

/// The result of a run.
#[derive(Clone, Debug, Default)]
pub struct RunResult {
    /// By path, as in the definition; of a run that failed, those before the first one that is missing.
    pub outputs: BTreeMap<Str, ObjectInfo>,
    /// As a shell gives it: 128 + n for signal n.
    pub exit_code: i32,
    /// Standard output, unless empty.
    pub stdout: Option<Digest>,
    /// Standard error, unless empty.
    pub stderr: Option<Digest>,
    /// Declared outputs that were not produced, and what is there instead.
    pub missing: Vec<MissingOutput>,
    /// The first output that could not be collected, also of a command that failed: its path and what is there, in the
    /// words of the reference, and whether it is a directory.
    pub not_collected: Option<(Str, &'static str, bool)>,
    /// Whether a link that leads outwards is among what a server with the standard protocol returned. The reference
    /// takes nothing of such a result, and reports nothing else of it.
    pub leads_outwards: bool,
    /// What is wrong with outputs that were.
    pub invalid: Vec<String>,
    /// Why the command was not started, if it was not; the exit code is made up then.
    pub not_started: Option<String>,
    /// Whether the process was killed because its time limit was exceeded.
    pub timed_out: bool,
    /// The id of the definition by which it was run; `None` if nothing had to run.
    pub run_as: Option<Id>,
    /// The directory that was that of the action, if it ran on this machine and has a depfile.
    pub ran_in: Option<PathBuf>,
    /// Whether the action saw the files of this machine by the same names, as far as is known: no launcher of the
    /// user's was in between.
    pub is_seen_here: bool,
    /// Whether it is the result of a run with other inputs that read the same of them.
    pub by_reads: bool,
    /// Where it comes from, if nothing had to run.
    pub taken_from: ResultSource,
    /// The remote cache that had it, if one did.
    pub had_by: Option<Arc<str>>,
    /// What executed it, if that was not this machine: the server, and the worker if the server says it.
    pub executed_by: Option<Arc<str>>,
    /// The `Action` message by which that executed it, by its name there.
    pub action_at_server: Option<Digest>,
    /// What that has as its result, if it has a depfile.
    pub at_server: Option<Arc<ActionResult>>,
    /// How many bytes of blobs came for it from servers: with a result from a remote cache, as inputs of an action
    /// that runs here, or to be sent to the server that executes it.
    pub fetched_bytes: u64,
    /// How long it waited for these.
    pub downloading: Duration,
    /// How many bytes of blobs were sent to the server that executed it.
    pub sent_bytes: u64,
    /// How long it waited until that had all inputs, without the time for what had to be fetched first.
    pub uploading: Duration,
    /// How long it waited there, as far as the server says it.
    pub queued: Duration,
    /// How it is described at the server that was asked and had no result: a remote cache, or the one that executed it.
    pub missed: Option<Missed>,
    /// What that server did not have of it before, if it executed it and that is known.
    pub lacked: Option<Arc<Lacked>>,
    /// How long it ran.
    pub duration: Duration,
    /// User and system time of its processes, as far as they were waited for.
    pub cpu: Duration,
}

impl RunResult {
    /// Whether the command succeeded with all its outputs.
    pub fn is_success(&self) -> bool {
        self.exit_code == 0 && self.is_complete()
    }

    /// Whether all outputs are there, and nothing is wrong with them.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.invalid.is_empty()
    }

    /// Whether a build fails with it: outputs are missing or invalid, or the command failed and must not.
    pub(crate) fn is_failure_of(&self, action: &ActionDescription) -> bool {
        !self.is_complete() || (self.exit_code != 0 && action.may_fail.is_none())
    }
}
