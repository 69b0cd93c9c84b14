//! Calls: deadlines, attempts, and what a failure means.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use http::uri::PathAndQuery;
use taut_digest::HashFunction;
use taut_proto::{Message, cache::SHA256};
use taut_service::{Error, Result};
use tonic::{Code, Request, Status, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;

use crate::{
    Setup, Tls, certificates,
    give_up::GiveUp,
    network::{Patience, innermost},
    waits::Waiting,
};

// gRPC's default of 4 MiB is less than the result of an action with tens of thousands of outputs. Blobs never need
// it: taut's batches are smaller (`capabilities.rs`).
/// The largest message that is taken: a batch of blobs, or the result of an action with very many outputs.
const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// How many bytes a second a connection has to carry at least; else a batch exceeds its deadline.
const MIN_BYTES_PER_SECOND: u64 = 128 << 10;

/// How an answer of a proxy is shown.
pub(crate) const HTTP_STATUS: &str = "HTTP status ";

/// A method of the protocol.
pub(crate) struct Method {
    /// As messages show it.
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    // Decides what a refusal is worth: a cache without write access is a common set-up, and reads go on.
    /// Whether it stores something. If a server takes nothing, it may be read all the same.
    pub(crate) is_write: bool,
}

// Three kinds because they have three consequences: a status may be transient, wrong blobs are asked for again,
// and an error of this side ends the call at once.
/// Why an attempt failed.
pub(crate) enum Failure {
    /// By the answer of the server, or for lack of one.
    Status(Status),
    /// What came is wrong; another attempt may be better.
    Wrong(Error),
    /// For a reason on this side.
    Here(Error),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Failure {
        // Some certificates are refused only in the answer.
        let refused = std::error::Error::source(&status).and_then(certificates::refusal);
        Failure::Status(refused.unwrap_or(status))
    }
}

/// A connection and what is allowed on it.
pub(crate) struct Link {
    setup: Setup,
    /// How displays name the server.
    server: Arc<str>,
    /// How many connections were given up before, and the one in use.
    // Locked only to be copied or replaced, never across a wait: clones of a channel share its connection.
    channel: Mutex<(u64, Channel)>,
    pub(crate) instance: String,
    /// How blobs are named, as a number of the protocol; 0 where it has none.
    pub(crate) digest_function: i32,
    pub(crate) patience: Patience,
    pub(crate) give_up: Arc<GiveUp>,
    /// Whether the server has answered.
    pub(crate) has_answered: AtomicBool,
    /// When the server gave the last sign of life to those that wait for executions; one asks at a time.
    // Tokio's lock: it is held while the question is under way, so that the others wait for its answer and do not
    // ask, too.
    pub(crate) heard: tokio::sync::Mutex<Instant>,
}

impl Link {
    pub(crate) fn new(setup: &Setup, give_up: Arc<GiveUp>) -> Result<Link> {
        let Setup { instance, patience, .. } = setup.clone();
        let channel = Mutex::new((0, setup.channel()?));
        // The API has no number for git's ids; 0, the default of protobuf, leaves the field out.
        let digest_function = if setup.naming == HashFunction::Sha256 { SHA256 } else { 0 };
        let (has_answered, heard) = (AtomicBool::new(false), Instant::now().into());
        let (setup, server) = (setup.clone(), setup.address.to_string().into());
        Ok(Link { setup, server, channel, instance, digest_function, patience, give_up, has_answered, heard })
    }

    fn channel(&self) -> MutexGuard<'_, (u64, Channel)> {
        self.channel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the connection is encrypted, if it is.
    pub(crate) fn encryption(&self) -> Option<&Tls> {
        self.setup.tls.as_ref()
    }

    /// The number of the connection in use.
    pub(crate) fn connection(&self) -> u64 {
        self.channel().0
    }

    /// Deals with an attempt that failed before the last one may: makes another connection if there was no answer on
    /// the one of this number, and counts the time since the call began, or since it last got on.
    ///
    /// # Errors
    /// The service is given up.
    pub(crate) fn count_failed(
        &self,
        method: &Method,
        status: &Status,
        connection: u64,
        begin: Instant,
    ) -> Result<()> {
        // No answer at all on a connection that seems open. After any other failure the library connects anew by
        // itself.
        if status.code() == Code::DeadlineExceeded {
            self.renew(connection);
        }
        // A build does not wait for ever for calls that succeed each time, but late.
        self.give_up.count_failed(method.name, begin, Instant::now())
    }

    /// Makes another connection for the calls to come, unless that was done since there was the one of this number. One
    /// on which no answers come may be dead without either end knowing.
    pub(crate) fn renew(&self, number: u64) {
        let mut channel = self.channel();
        // When a connection dies, all calls on it fail at once. The first of them replaces it; to the others the number
        // shows that this was done.
        if channel.0 == number
            && let Ok(new) = self.setup.channel()
        {
            *channel = (number + 1, new);
        }
    }

    /// A client for one attempt, once the connection is there.
    pub(crate) async fn grpc(&self) -> std::result::Result<Grpc<Channel>, Status> {
        let channel = self.channel().1.clone();
        let mut grpc = Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let unreachable =
            |error| certificates::refusal(&error).unwrap_or_else(|| Status::unavailable(innermost(&error)));
        grpc.ready().await.map_err(unreachable)?;
        Ok(grpc)
    }

    /// One question and one answer; `None` if the server answers that there is no such thing. `bytes`: how many
    /// blobs pass, which takes time.
    pub(crate) async fn unary<Q, A>(&self, method: &Method, request: &Q, bytes: u64) -> Result<Option<A>>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        // The deadline grows with the size: a fixed one would refuse slow links just when large blobs pass.
        let deadline = self.patience.deadline + Duration::from_secs(bytes / MIN_BYTES_PER_SECOND);
        let attempt = async || {
            let call = async {
                let mut request = Request::new(request.clone());
                // The server gets the deadline, too, so that it does not go on when the answer is no longer wanted. A
                // little more, so that it is noticed here that there was no answer, whatever the connection makes of
                // it.
                request.set_timeout(deadline + Duration::from_secs(1));
                let codec = ProstCodec::<Q, A>::default();
                let answer =
                    self.grpc().await?.unary(request, PathAndQuery::from_static(method.path), codec).await?;
                Ok(answer.into_inner())
            };
            self.within(method.name, deadline, call).await
        };
        self.tried(method, attempt).await
    }

    /// Makes attempts until one succeeds, or enough have failed; `None` if there is no such thing. A failure for good
    /// of what is needed to go on gives the service up.
    pub(crate) async fn tried<T>(
        &self,
        method: &Method,
        mut attempt: impl AsyncFnMut() -> std::result::Result<T, Failure>,
    ) -> Result<Option<T>> {
        let attempts = async {
            let begin = Instant::now();
            let (mut failing_since, mut waiting) = (None, None);
            // No upper bound here: the last attempt depends on whether the server may be restarting.
            for number in 1.. {
                let (connection, attempted) = (self.connection(), Instant::now());
                let failure = match attempt().await {
                    Ok(done) => return Ok(Some(done)),
                    Err(failure) => failure,
                };
                // From the first failure on the call counts as waiting, the pauses between attempts included: the
                // display shows what holds up the build.
                waiting.get_or_insert_with(|| self.waits(method.name, attempted));
                let since = *failing_since.get_or_insert_with(Instant::now);
                let may_restart =
                    matches!(&failure, Failure::Status(status) if self.may_restart(status, since));
                let is_last = number >= self.patience.attempts && !may_restart;
                match failure {
                    Failure::Here(error) => return Err(error),
                    Failure::Wrong(error) if is_last => return Err(error),
                    Failure::Wrong(_) => {}
                    // An answer, not a failure: the API has NOT_FOUND for a result, blob or operation that is not
                    // there.
                    Failure::Status(status) if status.code() == Code::NotFound => return Ok(None),
                    // The server would answer the next call of any kind in the same way (no permission, no such
                    // method). If it refuses only writes, reads go on.
                    Failure::Status(status) if !is_transient(status.code()) => {
                        // A refused write says nothing of reads.
                        let error = Error::Final { call: method.name, why: text(&status) };
                        return Err(if method.is_write { error } else { self.give_up.give_up_for(error) });
                    }
                    Failure::Status(status) if is_last => {
                        let error = Error::Transient {
                            call: method.name,
                            attempts: number,
                            code: status.code().into(),
                            why: text(&status),
                        };
                        // A server that is full can still be read.
                        let is_full = method.is_write && status.code() == Code::ResourceExhausted;
                        return Err(if is_full { error } else { self.give_up.give_up_for(error) });
                    }
                    Failure::Status(status) => self.count_failed(method, &status, connection, begin)?,
                }
                tokio::time::sleep(self.pause(number)).await;
            }
            unreachable!("the last attempt returns")
        };
        // Boxed: a future of this size for each of thousands of calls would be moved around.
        self.give_up.or_off(Box::pin(attempts)).await
    }

    /// Waits for an answer, or the next piece of a stream; an attempt that takes too long has failed.
    pub(crate) async fn within<T>(
        &self,
        name: &'static str,
        deadline: Duration,
        call: impl Future<Output = std::result::Result<T, Failure>>,
    ) -> std::result::Result<T, Failure> {
        // Bound to a name, since `_` would drop it at once.
        let _waiting = self.waits(name, Instant::now());
        tokio::time::timeout(deadline, call).await.unwrap_or_else(|_| {
            let text = format!("no answer within {} s", deadline.as_secs_f32());
            Err(Failure::Status(Status::deadline_exceeded(text)))
        })
    }

    /// Notes for displays that an answer is waited for since some time, until that is dropped.
    pub(crate) fn waits(&self, call: &'static str, since: Instant) -> Waiting {
        Waiting::begin(&self.server, call, since)
    }

    /// Whether a server that cannot be reached since some time is waited for, as it may be restarted.
    pub(crate) fn may_restart(&self, status: &Status, since: Instant) -> bool {
        // Only a server that has answered before: an address at which nothing ever was is reported at once.
        status.code() == Code::Unavailable
            // Relaxed: a single flag that goes from false to true once; a call that misses it fails as it would have
            // a moment earlier.
            && self.has_answered.load(Relaxed)
            && since.elapsed() < self.patience.restart
    }

    /// How long to wait after the attempt of this number.
    pub(crate) fn pause(&self, number: u32) -> Duration {
        let Patience { first_pause, max_pause, .. } = self.patience;
        // Bounded before it is shifted: a larger number of attempts would overflow.
        let pause = first_pause.saturating_mul(1 << (number - 1).min(16)).min(max_pause);
        // Half of it is random, so that clients which failed at the same time do not come back at the same time.
        // The only source of randomness in the standard library: each instance is seeded by the system. Good enough
        // for a pause.
        let random = RandomState::new().build_hasher().finish() % 1024;
        pause / 2 + pause.mul_f64(random as f64 / 2048.0)
    }
}

/// Whether another attempt may succeed. Connections that are cut in the middle of an answer appear as internal errors.
// The codes that depend on the state of server and network, by gRPC's definition of them. INVALID_ARGUMENT,
// UNIMPLEMENTED, PERMISSION_DENIED, FAILED_PRECONDITION and the like follow from the call, and would be repeated.
pub(crate) fn is_transient(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Cancelled
            | Code::Internal
            | Code::Unknown
            | Code::DataLoss
    )
}

// The words are those of tonic 0.14; an answer in other words is shown with its whole text.
/// What the library reports before the status by HTTP.
const WORDS_OF_PROXIES: [&str; 2] =
    ["while receiving response with status: ", "mapped from HTTP status code "];

/// The status by HTTP, if a proxy answers in the place of the server: its page is not a message.
pub(crate) fn status_of_proxy(status: &Status) -> Option<&str> {
    let message = status.message();
    // With a page, which is not a message of the protocol, and without.
    WORDS_OF_PROXIES.iter().find_map(|form| Some(message.split_once(form)?.1))
}

pub(crate) fn text(status: &Status) -> String {
    if let Some(by_http) = status_of_proxy(status) {
        return format!("{HTTP_STATUS}{by_http}");
    }
    // For a connection that fails, tonic's own message is only "transport error"; what the system reported is below it.
    let reason = std::error::Error::source(status).map(innermost).filter(|reason| !reason.is_empty());
    let text = reason.unwrap_or_else(|| status.message().to_owned());
    match status.code() {
        _ if !text.is_empty() => text,
        Code::Unimplemented => "the server has no such method".to_owned(),
        code => code.description().to_owned(),
    }
}
