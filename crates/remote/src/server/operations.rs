//! Executions at the server: each in a thread of its own, and with the end that the test wants.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use taut_digest::{Digest, HashFunction};
use taut_proto::{
    cache::Status,
    execution::{
        Any, EXECUTE_METADATA, EXECUTE_RESPONSE, EXECUTING, ExecuteOperationMetadata, ExecuteResponse,
        Operation, PRECONDITION_FAILURE, PreconditionFailure, QUEUED, Violation,
    },
};
use taut_service::{Error, Execute, Executed, Executor as _, Memory, NoProgress, wait};
use tokio::sync::{Semaphore, oneshot};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Code, Status as Failed};

use super::{SimulatedExecution, Worker};
use crate::wire;

/// How long a proxy waits that cuts silent streams.
pub const CUT_AFTER: Duration = Duration::from_millis(100);

/// What is not a `Tree` message, and nothing else of the protocol.
const NO_MESSAGE: &[u8] = b"\xff";

/// How an execution ends.
// Each is what some server does, or what a failing network makes of it: what the client has to cope with is listed
// here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExecutionEnding {
    /// With its result.
    Usual,
    /// The stream ends before the action does; the result is there for those that wait.
    Cut,
    /// The same, but the operation is forgotten.
    Forgotten,
    /// The same, and that it is forgotten is an internal error, as justbuild's server has it.
    ForgottenAsInternal,
    /// With an internal error after the first messages, and those that wait for the operation get no answer at all, as
    /// with justbuild's server.
    Abandoned,
    /// The same, but the stream is cut.
    CutAndAbandoned,
    /// As with a proxy that cuts silent streams: this one, and so many of those that wait for the result.
    CutOften(u32),
    /// The stream is cut before the operation has a name.
    CutUnnamed,
    /// The worker is lost.
    WorkerLost,
    /// The server says that it is too busy.
    Exhausted,
    /// An input is gone by then, whichever.
    Evicted,
    /// All inputs are gone by then, and all else that the server had.
    AllEvicted,
    /// The server says only that something is wrong, since an input is gone.
    EvictedSilently,
    /// An output is gone as soon as the result is known.
    OutputLost,
    /// Directories among the outputs are described by what is not a message.
    MalformedTree,
    /// The same, and it is larger, as the server says, than what any client takes.
    HugeTree,
    /// The action exceeds its time.
    TimedOut,
    /// The server refuses it.
    Refused,
    /// The server says nothing more.
    Silent,
    /// The stream ends with the answer that there is no such operation.
    Disowned,
    /// With the message that it is over, and nothing else.
    Unexplained,
    /// Well, as the server says, and without a result.
    WithoutResult,
    /// Not at all: the server says that it has no such method.
    Unimplemented,
}

pub(crate) type Updates = Pin<Box<dyn Stream<Item = Result<Operation, Failed>> + Send>>;

/// What is executed.
pub(crate) struct Operations {
    memory: Arc<Memory>,
    endings: Mutex<VecDeque<ExecutionEnding>>,
    /// Operations that are over, by name.
    done: Mutex<HashMap<String, Result<Operation, Failed>>>,
    /// How many of the streams that wait for an operation are still to be cut.
    cuts: Mutex<HashMap<String, u32>>,
    /// Operations whose waiting clients get no messages.
    abandoned: Mutex<HashSet<String>>,
    /// The cores that are free, and how long a simulated execution takes.
    simulated: Option<(Semaphore, Duration)>,
}

/// How the stream of an execution ends whose action is not run.
enum EndOfStream {
    /// With a message, or an error.
    Message(Box<Result<Operation, Failed>>),
    /// Not at all, and without another message.
    Silence,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn at_stage(name: &str, stage: i32) -> Operation {
    let metadata = Some(Any::of(EXECUTE_METADATA, &ExecuteOperationMetadata { stage }));
    Operation { name: name.to_owned(), metadata, ..Operation::default() }
}

fn done(name: &str, response: &ExecuteResponse) -> Operation {
    let response = Some(Any::of(EXECUTE_RESPONSE, response));
    Operation { name: name.to_owned(), done: true, response, ..Operation::default() }
}

fn with_status(code: Code, message: &str) -> ExecuteResponse {
    let status = Status { code: code as i32, message: message.to_owned(), ..Status::default() };
    ExecuteResponse { status: Some(status), ..ExecuteResponse::default() }
}

fn missing(digests: &[Digest]) -> ExecuteResponse {
    let mut response = with_status(Code::FailedPrecondition, "inputs are missing");
    let subject = |digest: &Digest| format!("blobs/{}/{}", digest.hash, digest.size);
    let violation = |digest| Violation { r#type: "MISSING".to_owned(), subject: subject(digest) };
    let failure = PreconditionFailure { violations: digests.iter().map(violation).collect() };
    let details = vec![Any::of(PRECONDITION_FAILURE, &failure)];
    response.status = response.status.map(|status| Status { details, ..status });
    response
}

/// The same updates, and an end that comes so much later.
pub(crate) fn ending_after(updates: Updates, late: Duration) -> Updates {
    if late.is_zero() {
        return updates;
    }
    let nothing = tokio_stream::iter([()]).then(move |()| tokio::time::sleep(late));
    Box::pin(updates.chain(nothing.filter_map(|()| None)))
}

impl Operations {
    pub(crate) fn new(
        memory: &Arc<Memory>,
        endings: Vec<ExecutionEnding>,
        simulated: Option<SimulatedExecution>,
    ) -> Operations {
        Operations {
            memory: memory.clone(),
            endings: Mutex::new(endings.into()),
            done: Mutex::default(),
            cuts: Mutex::default(),
            abandoned: Mutex::default(),
            simulated: simulated.map(|SimulatedExecution { cores, takes }| (Semaphore::new(cores), takes)),
        }
    }

    pub(crate) async fn execute(&self, action: Digest, skips_cache: bool) -> Result<Updates, Failed> {
        let ending = lock(&self.endings).pop_front().unwrap_or(ExecutionEnding::Usual);
        let name = format!("operation-{}", action.hash);
        let shown = if ending == ExecutionEnding::CutUnnamed { "" } else { &name };
        let first = [at_stage(shown, QUEUED), at_stage(shown, EXECUTING)].map(Ok);
        if let Some(last) = self.without_execution(ending, &name, &action)? {
            return Ok(match last {
                EndOfStream::Message(last) => Box::pin(tokio_stream::iter(first.into_iter().chain([*last]))),
                EndOfStream::Silence => Box::pin(tokio_stream::iter(first).chain(tokio_stream::pending())),
            });
        }
        let executed = self.executed(action, skips_cache).await?;
        let last = done(&name, &self.response(ending, executed));
        let is_cut = self.note_cut(ending, name, &last);
        // The result is there already; only this stream does not get it.
        let last = (!is_cut).then_some(Ok(last));
        Ok(Box::pin(tokio_stream::iter(first.into_iter().chain(last))))
    }

    /// The end of the stream for an execution that ends without the action being run; `None` if the action runs.
    fn without_execution(
        &self,
        ending: ExecutionEnding,
        name: &str,
        action: &Digest,
    ) -> Result<Option<EndOfStream>, Failed> {
        let last = match ending {
            ExecutionEnding::Exhausted => return Err(Failed::resource_exhausted("too busy")),
            ExecutionEnding::Unimplemented => return Err(Failed::unimplemented("no such method")),
            ExecutionEnding::WorkerLost => {
                Ok(done(name, &with_status(Code::Unavailable, "the worker is lost")))
            }
            ExecutionEnding::AllEvicted => {
                let gone = self.memory.blobs();
                gone.iter().for_each(|hash| self.memory.remove(hash));
                let gone: Vec<Digest> = gone.into_iter().map(|hash| Digest { hash, size: 1 }).collect();
                Ok(done(name, &missing(&gone)))
            }
            ExecutionEnding::Abandoned => {
                lock(&self.abandoned).insert(name.to_owned());
                Err(Failed::internal("Execution failed"))
            }
            ExecutionEnding::CutAndAbandoned => {
                lock(&self.abandoned).insert(name.to_owned());
                Err(Failed::unavailable("the connection is cut"))
            }
            ExecutionEnding::CutUnnamed => Err(Failed::unavailable("the connection is cut")),
            ExecutionEnding::Disowned => Err(Failed::not_found("no such operation")),
            ExecutionEnding::Unexplained => {
                Ok(Operation { name: name.to_owned(), done: true, ..Operation::default() })
            }
            ExecutionEnding::WithoutResult => Ok(done(name, &ExecuteResponse::default())),
            ExecutionEnding::Silent => return Ok(Some(EndOfStream::Silence)),
            ExecutionEnding::Evicted | ExecutionEnding::EvictedSilently => {
                // The action itself is an input, too.
                self.memory.remove(&action.hash);
                return Ok(None);
            }
            _ => return Ok(None),
        };
        Ok(Some(EndOfStream::Message(Box::new(last))))
    }

    /// Runs an action, or pretends to.
    async fn executed(
        &self,
        action: Digest,
        skips_cache: bool,
    ) -> Result<taut_service::Result<Executed>, Failed> {
        let worker = Worker(self.memory.clone());
        let Some((cores, takes)) = &self.simulated else {
            // In a thread, so that many are executed at a time.
            let (sender, receiver) = oneshot::channel();
            std::thread::spawn(move || {
                let execute = Execute { action, skips_cache };
                // The receiver is gone if the client has given up.
                let _ = sender.send(wait(worker.execute(execute, Arc::new(NoProgress))));
            });
            return receiver.await.map_err(|_| Failed::internal("the worker panicked"));
        };
        // The semaphore is never closed.
        let _core = cores.acquire().await;
        if !takes.is_zero() {
            tokio::time::sleep(*takes).await;
        }
        Ok(worker.pretend(&action).map(|result| Executed { result, ..Executed::default() }))
    }

    /// The response for an action that was run, as the ending has it.
    fn response(&self, ending: ExecutionEnding, executed: taut_service::Result<Executed>) -> ExecuteResponse {
        match (ending, executed) {
            (ExecutionEnding::Refused, _) => {
                with_status(Code::FailedPrecondition, "no worker has these properties")
            }
            (ExecutionEnding::TimedOut, _) => with_status(Code::DeadlineExceeded, "it took too long"),
            (ExecutionEnding::EvictedSilently, Err(_)) => with_status(Code::Internal, "cannot execute"),
            (_, Err(Error::InputsMissing(digests))) => missing(&digests),
            (_, Err(error)) => with_status(Code::Internal, &error.to_string()),
            (_, Ok(Executed { mut result, was_cached, .. })) => {
                if let Some(size) = match ending {
                    ExecutionEnding::MalformedTree => Some(NO_MESSAGE.len() as u64),
                    ExecutionEnding::HugeTree => Some(1 << 40),
                    _ => None,
                } {
                    let digest = Digest { hash: HashFunction::Sha256.blob(NO_MESSAGE), size };
                    self.memory.insert(digest.hash, NO_MESSAGE.to_vec());
                    let directories = result.output_directories.iter_mut();
                    directories.for_each(|directory| directory.tree_digest = Some(wire::digest(&digest)));
                }
                if ending == ExecutionEnding::OutputLost {
                    let file = result.output_files.first().and_then(|file| file.digest.as_ref());
                    let tree = result.output_directories.first().and_then(|tree| tree.tree_digest.as_ref());
                    let lost = file.or(tree).and_then(wire::parse);
                    lost.into_iter().for_each(|digest| self.memory.remove(&digest.hash));
                }
                ExecuteResponse { result: Some(result), cached_result: was_cached, ..Default::default() }
            }
        }
    }

    /// Notes the result of an execution whose stream is cut, for those that wait for it. Returns whether it is cut.
    fn note_cut(&self, ending: ExecutionEnding, name: String, last: &Operation) -> bool {
        match ending {
            ExecutionEnding::CutOften(count) => {
                lock(&self.cuts).insert(name.clone(), count);
                lock(&self.done).insert(name, Ok(last.clone()));
            }
            ExecutionEnding::Cut => drop(lock(&self.done).insert(name, Ok(last.clone()))),
            ExecutionEnding::ForgottenAsInternal => {
                let why = Failed::internal("Executing action not found in internal cache.");
                drop(lock(&self.done).insert(name, Err(why)));
            }
            ExecutionEnding::Forgotten => {}
            _ => return false,
        }
        true
    }

    pub(crate) async fn wait(&self, name: &str) -> Result<Updates, Failed> {
        let is_cut =
            lock(&self.cuts).get_mut(name).filter(|left| **left > 0).map(|left| *left -= 1).is_some();
        if is_cut {
            tokio::time::sleep(CUT_AFTER).await;
            return Err(Failed::unavailable("no answer from the server behind this proxy"));
        }
        if lock(&self.abandoned).contains(name) {
            return Ok(Box::pin(tokio_stream::pending()));
        }
        let last = lock(&self.done).get(name).cloned();
        let last = last.ok_or_else(|| Failed::not_found("no such operation"))??;
        Ok(Box::pin(tokio_stream::iter([Ok(last)])))
    }
}
