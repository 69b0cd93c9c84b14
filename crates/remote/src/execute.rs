//! Executions: a stream that says how far an action has come, and at last how it ended.
//!
//! A stream that is cut goes on with `WaitExecution`; if the server has forgotten the operation, has reported that it
//! failed, or answers nothing about it for very long, the action is executed once more. A server may be silent as long
//! as an action takes, so a stream has no deadline; but a server that has sent nothing at all for a while is asked for
//! a sign of life, and that has one. A sign of life on one connection says nothing of another, so a stream on a
//! connection that was given up is as good as cut.

use std::{
    cell::RefCell,
    future::poll_fn,
    task::Poll,
    time::{Duration, Instant},
};

use http::uri::PathAndQuery;
use taut_digest::Digest;
use taut_proto::{
    cache::{self, GetCapabilitiesRequest, ServerCapabilities},
    execution::{
        Any, CancelOperationRequest, EXECUTE_METADATA, EXECUTE_RESPONSE, EXECUTING, Empty,
        ExecuteOperationMetadata, ExecuteRequest, ExecuteResponse, Operation, PRECONDITION_FAILURE,
        PreconditionFailure, QUEUED, WaitExecutionRequest,
    },
};
use taut_service::{Error, Execute, Executed, Progress, ReportedIn, Result, Stage};
use tokio::{sync::oneshot, task::spawn_local};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::{
    call::{Failure, Link, is_transient, status_of_proxy, text},
    capabilities,
    waits::Waiting,
    wire,
};

const EXECUTE: &str = "Execute";
const CANCEL: &str = "CancelOperation";
const EXECUTE_PATH: &str = "/build.bazel.remote.execution.v2.Execution/Execute";
const WAIT_PATH: &str = "/build.bazel.remote.execution.v2.Execution/WaitExecution";
const CANCEL_PATH: &str = "/google.longrunning.Operations/CancelOperation";

/// How long is waited for the answer that an execution is ended.
// A courtesy to the server: the call has ended for its caller, which should not wait for it.
const MAX_CANCEL_WAIT: Duration = Duration::from_secs(1);

/// For how many times the usual silence an operation is waited for about which the server says nothing; twice as long
/// after each further execution.
// By the API a server answers `WaitExecution` at once with the state of the operation, and may be silent only then.
// justbuild's server answers when the action has ended, which may take long, and never if the operation failed. So too
// short a bound costs another execution, and without a bound the build would hang.
const MAX_UNHEARD_SILENCES: u32 = 30;

/// How long a stream may go on after its last message.
const MAX_STREAM_END_WAIT: Duration = Duration::from_secs(1);

/// How an attempt ended that did not fail.
enum AttemptEnd {
    // Boxed, so that the other variant is not as large as a result.
    Done(Box<Executed>),
    /// The server no longer knows the operation.
    Forgotten,
}

/// One execution.
struct Execution<'e> {
    link: &'e Link,
    action: Execute,
    progress: &'e dyn Progress,
    /// The name of the operation, once the server has sent it.
    operation: Option<String>,
    /// Where the server says how this attempt has failed; `None` if it does not, or with what it leaves out.
    reported_in: Option<ReportedIn>,
    /// The number of the connection of this attempt.
    connection: u64,
    /// When something was heard last in this attempt, before the end of the action.
    heard: Option<Instant>,
    /// Since when an operation is waited for about which nothing was heard: in all attempts in a row.
    unheard_since: Option<Instant>,
    /// How long that may last.
    max_unheard: Duration,
    /// Whether a stage was reported.
    stage: Option<Stage>,
    /// Since an attempt failed, until the server is there again.
    // Not a lock: an execution is driven by one task in one thread, and is borrowed for moments only.
    waiting: RefCell<Option<Waiting>>,
}

/// Executes an action, until `dropped` ends or the service is given up.
pub(crate) async fn execute(
    link: &Link,
    action: Execute,
    progress: &dyn Progress,
    dropped: oneshot::Receiver<()>,
) -> Result<Executed> {
    let (operation, heard, stage, connection) = (None, None, None, link.connection());
    let waiting = RefCell::default();
    let reported_in = None;
    let (unheard_since, max_unheard) = (None, link.patience.silence * MAX_UNHEARD_SILENCES);
    let mut execution = Execution {
        link,
        action,
        progress,
        operation,
        reported_in,
        connection,
        heard,
        unheard_since,
        max_unheard,
        stage,
        waiting,
    };
    let ended = link.give_up.or_off(async {
        tokio::select! {
            // The caller first: if it is gone, the operation is cancelled even if an answer came at the same moment.
            biased;
            _ = dropped => Err(Error::Off),
            // Boxed: a future of this size for each of thousands of executions would be moved around.
            ended = Box::pin(execution.until_the_end()) => ended,
        }
    });
    let ended = ended.await;
    // Only if the execution was given up on this side; otherwise the server knows that it is over.
    if let (Err(Error::Off), Some(name)) = (&ended, execution.operation) {
        // What comes of that changes nothing.
        let _ = link.within(CANCEL, MAX_CANCEL_WAIT, cancel(link, name)).await;
    }
    ended
}

/// Leaves a stream to its end, whose last message has come.
// If it were closed from here while its end is on the way, that end would arrive for an unknown stream. For the library
// (h2) this is an error of the server, and after a thousand of them it cuts the connection, with all that goes on
// there.
async fn let_end(mut stream: Streaming<Operation>) {
    let mut end = Box::pin(async move { while let Ok(Some(_)) = stream.message().await {} });
    // Mostly it has come together with the message. Else nothing waits for it.
    let is_pending = poll_fn(|cx| Poll::Ready(end.as_mut().poll(cx).is_pending())).await;
    if is_pending {
        spawn_local(tokio::time::timeout(MAX_STREAM_END_WAIT, end));
    }
}

async fn cancel(link: &Link, name: String) -> std::result::Result<(), Failure> {
    let codec = ProstCodec::<CancelOperationRequest, Empty>::default();
    let request = Request::new(CancelOperationRequest { name });
    link.grpc().await?.unary(request, PathAndQuery::from_static(CANCEL_PATH), codec).await?;
    Ok(())
}

impl Execution<'_> {
    async fn until_the_end(&mut self) -> Result<Executed> {
        // Failures in a row; and how often the server has forgotten the operation.
        let (mut failed, mut forgotten) = (0, 0);
        let mut failing_since = None;
        loop {
            (self.heard, self.connection) = (None, self.link.connection());
            if self.operation.is_none() {
                self.unheard_since = None;
            } else {
                self.unheard_since.get_or_insert_with(Instant::now);
            }
            self.reported_in = Some(ReportedIn::Call);
            let begin = Instant::now();
            let why = match self.attempt().await {
                Ok(AttemptEnd::Done(executed)) => return Ok(*executed),
                Ok(AttemptEnd::Forgotten) => {
                    // Without a name the next attempt executes anew. That is safe: an action has no effect but its
                    // outputs.
                    self.operation = None;
                    if self.unheard_since.is_some_and(|since| since.elapsed() >= self.max_unheard) {
                        self.max_unheard *= 2;
                    }
                    forgotten += 1;
                    if forgotten <= self.link.patience.attempts {
                        continue;
                    }
                    Status::aborted("the server forgets what it executes")
                }
                Err(Failure::Status(status)) if is_transient(status.code()) => status,
                Err(Failure::Status(status)) => {
                    // About this action alone: the server may well execute others.
                    return Err(self.not_executed(&status));
                }
                Err(Failure::Wrong(error) | Failure::Here(error)) => return Err(error),
            };
            self.waiting.borrow_mut().get_or_insert_with(|| self.link.waits(EXECUTE, Instant::now()));
            // A server that was there for a while, and reported something, is there again, as a rule.
            let steady = self.link.patience.steady;
            // Then the failures before this one do not count: only failures in a row mean that the server is gone.
            // In the answer that ends an operation any status is the server's own, also one that proxies have.
            let is_in_answer = self.reported_in != Some(ReportedIn::Call);
            let is_verdict = is_in_answer || is_verdict(&why);
            if is_verdict {
                // `WaitExecution` could only say the same; justbuild's server would not answer it at all, since it
                // never marks such an operation as done.
                self.operation = None;
            }
            let mut was_there = self.heard.is_some_and(|heard| heard.duration_since(begin) > steady);
            // A silent stream may be cut, too: proxies cut streams on which nothing passes for some time.
            // DEADLINE_EXCEEDED is what the question for a sign of life ends with itself (`while_alive`).
            if !was_there && begin.elapsed() > steady && why.code() != Code::DeadlineExceeded {
                was_there = self.sign_of_life().await.is_ok();
            }
            // What the server itself says of the action counts, however long that took: else one that fails late each
            // time would be executed for ever. So does a cut before the server has named the operation: there is
            // nothing to wait for, and the action begins anew.
            failed = if was_there && !is_verdict && self.operation.is_some() { 1 } else { failed + 1 };
            if why.code() == Code::DeadlineExceeded {
                self.link.renew(self.connection);
            }
            if failed == 1 {
                failing_since = Some(Instant::now());
            }
            let since = *failing_since.get_or_insert_with(Instant::now);
            let may_restart = !is_in_answer && self.link.may_restart(&why, since);
            let is_gone = !is_in_answer && matches!(why.code(), Code::Unavailable | Code::DeadlineExceeded);
            if (failed >= self.link.patience.attempts && !may_restart)
                || forgotten > self.link.patience.attempts
            {
                if is_gone {
                    // Only if it cannot be reached. A server that answers, but cannot execute this action, may
                    // execute the next one.
                    self.link.give_up.give_up();
                }
                if is_in_answer
                    || !matches!(why.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Aborted)
                {
                    // It may be about this action alone: some servers have no other word for what they cannot execute.
                    return Err(self.not_executed(&why));
                }
                let code = why.code().into();
                return Err(Error::Transient { call: EXECUTE, attempts: failed, code, why: text(&why) });
            }
            tokio::time::sleep(self.link.pause(failed)).await;
        }
    }

    async fn attempt(&mut self) -> std::result::Result<AttemptEnd, Failure> {
        // Whether the question is about an operation that the server should know: only then "not found" means
        // forgotten.
        let waits = self.operation.is_some();
        let mut stream = match self.open().await {
            Err(Failure::Status(status)) if waits && is_forgotten(&status, true) => {
                return Ok(AttemptEnd::Forgotten);
            }
            opened => opened?,
        };
        self.waiting.take();
        loop {
            let operation = match self.while_alive(async { Ok(stream.message().await?) }).await {
                // Some servers open the stream before they look for the operation.
                Err(Failure::Status(status))
                    if self.operation.is_some() && is_forgotten(&status, waits && self.heard.is_none()) =>
                {
                    return Ok(AttemptEnd::Forgotten);
                }
                next => next?,
            };
            let Some(operation) = operation else {
                // The end of a stream without the end of the operation is not an error in gRPC, but the API promises
                // the latter.
                return Err(Status::unavailable("the stream ended before the action did").into());
            };
            // A message with the end says nothing about how long the server has been there: a cached result comes at
            // once.
            if !operation.done {
                self.heard = Some(Instant::now());
                self.unheard_since = None;
            }
            // The API sends the name in the first message. With it, a stream that is cut goes on by `WaitExecution`,
            // and nothing is executed twice.
            if !operation.name.is_empty() {
                self.operation = Some(operation.name.clone());
            }
            self.report(&operation);
            if operation.done {
                let_end(stream).await;
                return self.done(operation);
            }
        }
    }

    /// Opens the stream. A server may answer even that only when the action has ended.
    async fn open(&self) -> std::result::Result<Streaming<Operation>, Failure> {
        let opening = async {
            let link = self.link;
            let mut grpc =
                // A deadline for the connection only: the answer to the call itself may take as long as the action.
                link.within(EXECUTE, link.patience.deadline, async { Ok(link.grpc().await?) }).await?;
            let stream = match &self.operation {
                Some(name) => {
                    let codec = ProstCodec::<WaitExecutionRequest, Operation>::default();
                    let request = Request::new(WaitExecutionRequest { name: name.clone() });
                    grpc.server_streaming(request, PathAndQuery::from_static(WAIT_PATH), codec).await?
                }
                None => {
                    let codec = ProstCodec::<ExecuteRequest, Operation>::default();
                    let request = Request::new(ExecuteRequest {
                        instance_name: self.link.instance.clone(),
                        skip_cache_lookup: self.action.skips_cache,
                        action_digest: Some(wire::digest(&self.action.action)),
                        digest_function: self.link.digest_function,
                    });
                    grpc.server_streaming(request, PathAndQuery::from_static(EXECUTE_PATH), codec).await?
                }
            };
            Ok(stream.into_inner())
        };
        self.while_alive(opening).await
    }

    fn not_executed(&self, status: &Status) -> Error {
        let why = text(status);
        match self.reported_in {
            Some(reported_in) => Error::NotExecuted { code: status.code() as i32, reported_in, why },
            None => Error::Final { call: EXECUTE, why },
        }
    }

    /// Waits as long as the server gives signs of life.
    async fn while_alive<T>(
        &self,
        call: impl Future<Output = std::result::Result<T, Failure>>,
    ) -> std::result::Result<T, Failure> {
        let mut call = std::pin::pin!(call);
        loop {
            match tokio::time::timeout(self.link.patience.silence, call.as_mut()).await {
                Ok(answer) => return answer,
                // Another execution has found that the connection is dead; this one may be waiting on it.
                Err(_) if self.link.connection() != self.connection => {
                    let silence = self.link.patience.silence.as_secs_f32();
                    return Err(Status::unavailable(format!("no answer within {silence} s")).into());
                }
                Err(_) => {
                    self.sign_of_life().await?;
                    self.waiting.take();
                    if self.unheard_since.is_some_and(|since| since.elapsed() >= self.max_unheard) {
                        // It counts as one that the server does not know (`is_forgotten`), so no message has it.
                        return Err(Status::not_found("").into());
                    }
                }
            }
        }
    }

    /// Asks the server for a sign of life, unless there was one in another call.
    async fn sign_of_life(&self) -> std::result::Result<(), Failure> {
        let link = self.link;
        // Held during the question: of all executions that wait, one asks, and the others then find its answer. The
        // lock is tokio's, so it may be held across a wait.
        let asks = link.heard.lock().await;
        // Another execution has asked meanwhile.
        if asks.elapsed() < link.patience.silence {
            return Ok(());
        }
        let mut asks = asks;
        let asked = link.within(capabilities::NAME, link.patience.deadline, async {
            let codec = ProstCodec::<GetCapabilitiesRequest, ServerCapabilities>::default();
            let request = Request::new(GetCapabilitiesRequest { instance_name: link.instance.clone() });
            // A call that every server of the API has, and that costs it next to nothing.
            let path = PathAndQuery::from_static(capabilities::PATH);
            link.grpc().await?.unary(request, path, codec).await?;
            Ok(())
        });
        asked.await?;
        *asks = Instant::now();
        Ok(())
    }

    fn report(&mut self, operation: &Operation) {
        let metadata: Option<ExecuteOperationMetadata> =
            operation.metadata.as_ref().and_then(|any| any.get(EXECUTE_METADATA));
        // `CACHE_CHECK` and `COMPLETED` are not stages that a display would tell apart from what comes next.
        let stage = match metadata.map(|metadata| metadata.stage) {
            Some(QUEUED) => Some(Stage::Queued),
            Some(EXECUTING) => Some(Stage::Running),
            _ => None,
        };
        // A server may repeat the stage, as a sign of life; displays count changes.
        if let Some(stage) = stage.filter(|stage| self.stage != Some(*stage)) {
            self.stage = Some(stage);
            self.progress.stage(stage);
        }
    }

    fn done(&mut self, operation: Operation) -> std::result::Result<AttemptEnd, Failure> {
        // Code 0 is success in gRPC: a status that is there may still mean success.
        if let Some(error) = operation.error.filter(|error| error.code != 0) {
            (self.operation, self.reported_in) = (None, Some(ReportedIn::Operation));
            return Err(failure(error));
        }
        let response: Option<ExecuteResponse> = operation.response.and_then(|any| any.get(EXECUTE_RESPONSE));
        let Some(ExecuteResponse { result, cached_result, status, message }) = response else {
            // `Internal` counts as transient, so the action is tried again rather than failed for what the server
            // left out.
            (self.operation, self.reported_in) = (None, Some(ReportedIn::Nothing));
            return Err(Status::internal("the server says that the action has ended, and not how").into());
        };
        // The API allows a result besides DEADLINE_EXCEEDED (the outputs so far), and servers differ in whether they
        // send one. Either is the action's failure, not the server's.
        let (status, timed_out) = match (status.unwrap_or_default(), &result) {
            (status, Some(_)) if status.code == Code::DeadlineExceeded as i32 => (Default::default(), true),
            (status, None) if status.code == Code::DeadlineExceeded as i32 => (Default::default(), true),
            (status, _) => (status, false),
        };
        if status.code != 0 {
            (self.operation, self.reported_in) = (None, Some(ReportedIn::Response));
            return Err(failure(status));
        }
        let result = match result {
            Some(result) => result,
            None if timed_out => Default::default(),
            None => {
                self.reported_in = None;
                return Err(Status::internal("the server has no result of the action").into());
            }
        };
        let was_cached = cached_result;
        Ok(AttemptEnd::Done(Box::new(Executed { result, was_cached, timed_out, message })))
    }
}

/// Whether an operation that was waited for is no longer known. `is_first`: whether this is the first answer to the
/// question for it.
fn is_forgotten(status: &Status, is_first: bool) -> bool {
    match status.code() {
        // Servers without `WaitExecution`, and those that refuse a name which they do not know, count as having
        // forgotten.
        Code::NotFound | Code::Unimplemented | Code::InvalidArgument => true,
        // The words of justbuild's server, unless a cut connection, or the answer of a proxy, appears so.
        Code::Internal | Code::Unknown => is_first && is_verdict(status),
        _ => false,
    }
}

/// Whether a server itself says that an execution has failed, so that nothing more comes of its operation.
fn is_verdict(status: &Status) -> bool {
    // A connection that is cut has a source below it, and what a proxy answers has a status by HTTP. UNAVAILABLE,
    // DEADLINE_EXCEEDED, CANCELLED and RESOURCE_EXHAUSTED are also the words of proxies, and of servers that shut down:
    // the operation may well go on.
    matches!(status.code(), Code::Internal | Code::Unknown | Code::DataLoss | Code::Aborted)
        && std::error::Error::source(status).is_none()
        && status_of_proxy(status).is_none()
}

/// What an error in an answer means.
fn failure(status: cache::Status) -> Failure {
    // The API names missing inputs in a detail of type PreconditionFailure; the caller sends them and tries again,
    // which another attempt here could not.
    let missing: Vec<Digest> = status.details.iter().filter_map(missing_inputs).flatten().collect();
    if !missing.is_empty() {
        return Failure::Here(Error::InputsMissing(missing));
    }
    Failure::Status(Status::new(Code::from_i32(status.code), status.message))
}

fn missing_inputs(detail: &Any) -> Option<Vec<Digest>> {
    let failure: PreconditionFailure = detail.get(PRECONDITION_FAILURE)?;
    let missing = failure.violations.iter().filter(|violation| violation.r#type == "MISSING");
    let digests = missing.filter_map(|violation| {
        // By the last `blobs/`: as in names of streams, an instance may come before it.
        let (hash, size) = violation.subject.rsplit_once("blobs/")?.1.split_once('/')?;
        let digest = taut_proto::Digest { hash: hash.to_owned(), size_bytes: size.parse().ok()? };
        wire::parse(&digest)
    });
    Some(digests.collect())
}

#[cfg(test)]
mod tests {
    use taut_digest::HashFunction;
    use taut_proto::execution::Violation;

    use super::*;

    #[test]
    fn inputs_that_a_server_misses_are_named() {
        let digest = Digest { hash: HashFunction::Sha256.blob(b"a"), size: 1 };
        let violation = |kind: &str, subject: String| Violation { r#type: kind.to_owned(), subject };
        let failure = PreconditionFailure {
            violations: vec![
                violation("MISSING", format!("blobs/{}/1", digest.hash)),
                violation("MISSING", format!("main/blobs/{}/1", digest.hash)),
                violation("OTHER", format!("blobs/{}/1", digest.hash)),
                violation("MISSING", "blobs/x".to_owned()),
            ],
        };
        let any = Any::of(PRECONDITION_FAILURE, &failure);
        assert_eq!(missing_inputs(&any), Some(vec![digest, digest]));
    }
}
