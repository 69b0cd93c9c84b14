//! A service behind a network, as a `Cas`, an `ActionCache` and an `Executor`.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use taut_digest::{Digest, HashFunction};
use taut_proto::{
    ActionResult,
    cache::{GetActionResultRequest, UpdateActionResultRequest},
};
use taut_service::{
    ActionCache, Answer, Blob, Callers, Cas, Error, Execute, Executed, Executor, Progress, Receiver, Result,
};
use taut_sys::in_words;
use tokio::sync::{OnceCell, oneshot};

use crate::{
    Patience, Setup,
    blobs::Blobs,
    call::{Link, Method},
    capabilities::{self, Capabilities},
    execute,
    give_up::GiveUp,
    network::Network,
    wire,
};

const LOOK_UP: Method = Method {
    name: "GetActionResult",
    path: "/build.bazel.remote.execution.v2.ActionCache/GetActionResult",
    is_write: false,
};

const STORE: Method = Method {
    name: "UpdateActionResult",
    path: "/build.bazel.remote.execution.v2.ActionCache/UpdateActionResult",
    is_write: true,
};

/// How long a service is waited for that was given up in the build before and can be done without.
// A build after one in which the service failed: it is probably still gone, and the build can do without.
const MAX_PROBE: Duration = Duration::from_secs(2);

/// A service behind a network.
pub struct Client {
    setup: Setup,
    // Begun by the first question: most builds ask nothing, and a thread costs more than a null build may.
    network: OnceLock<Result<Network>>,
    /// The callers that are about to ask.
    callers: Callers,
    /// Replaced when it was given up and is tried again.
    // Locked only to clone or replace the `Arc`: a question keeps the server with which it began, also when a new one
    // is put in its place meanwhile.
    server: Mutex<Arc<Server>>,
}

/// A server, as far as it is known.
struct Server {
    setup: Setup,
    callers: Callers,
    /// Whether it was given up in an earlier build.
    was_given_up: bool,
    give_up: Arc<GiveUp>,
    // Tokio's cell, not that of `std`: initialising it awaits, and calls that come meanwhile have to wait without
    // blocking the thread of the network.
    /// Asked for once; an error if the server cannot be used.
    known: OnceCell<Result<AnsweredServer>>,
    /// Whether that error was returned: once, as any other for which a service is given up.
    is_reported: AtomicBool,
}

/// What is known of a server that has answered.
struct AnsweredServer {
    link: Arc<Link>,
    can: Capabilities,
    blobs: Blobs,
}

impl AnsweredServer {
    fn takes_results(&self) -> Result<()> {
        let why = || "the server takes no results".to_owned();
        self.can.takes_results.then_some(()).ok_or_else(|| Error::Final { call: STORE.name, why: why() })
    }
}

impl Server {
    fn new(setup: &Setup, callers: &Callers, was_given_up: bool) -> Server {
        let give_up = Arc::new(GiveUp::new(setup.patience.max_slow));
        let (known, is_reported) = Default::default();
        let callers = callers.clone();
        Server { setup: setup.clone(), callers, was_given_up, give_up, known, is_reported }
    }

    async fn known(&self) -> Result<&AnsweredServer> {
        let ask = || async {
            let Setup { naming, executes, .. } = self.setup;
            let link = Arc::new(Link::new(&self.setup, self.give_up.clone())?);
            // A service that executes is needed for the build to go on, so it gets its full patience.
            let can = if self.was_given_up && !executes {
                let patience = Patience { attempts: 1, ..self.setup.patience.clone() };
                let patience = Patience { deadline: patience.deadline.min(MAX_PROBE), ..patience };
                // A link of its own, whose patience is short; the one that is kept has the normal one.
                let probing = Link::new(&Setup { patience, ..self.setup.clone() }, self.give_up.clone())?;
                capabilities::ask(&probing, naming, executes).await?
            } else {
                capabilities::ask(&link, naming, executes).await?
            };
            // Relaxed: it is read when a later call fails, to decide whether to wait, and a call that misses it
            // fails as one to a server that was never there.
            link.has_answered.store(true, Relaxed);
            let blobs = Blobs::new(&link, &can, &self.callers);
            Ok(AnsweredServer { link, can, blobs })
        };
        self.known.get_or_init(ask).await.as_ref().map_err(|error| {
            // Relaxed: only that a single caller gets `false` matters, not which one, and nothing else is read because
            // of it.
            // To a build that cannot go on without the service, each action fails with the reason; for a cache it is
            // one warning.
            if !self.setup.executes && self.is_reported.swap(true, Relaxed) {
                Error::Off
            } else {
                error.clone()
            }
        })
    }
}

impl Client {
    /// Nothing is connected, and no thread started, before something is asked.
    pub fn new(setup: Setup) -> Client {
        let callers = Callers::default();
        let server = Mutex::new(Arc::new(Server::new(&setup, &callers, false)));
        Client { setup, network: OnceLock::new(), callers, server }
    }

    fn network(&self) -> Result<&Network> {
        // Kept if it failed, too: a thread that could not be had once is not tried for each action.
        let start = || {
            let failed = |error: std::io::Error| Error::Final { call: "connect", why: in_words(&error) };
            Network::start().map_err(failed)
        };
        self.network.get_or_init(start).as_ref().map_err(Clone::clone)
    }

    fn server(&self) -> MutexGuard<'_, Arc<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a question in the thread of the network.
    fn ask<T: Send + 'static, F: Future<Output = Result<T>> + 'static>(
        &self,
        question: impl FnOnce(Arc<Server>) -> F + Send + 'static,
    ) -> Answer<'static, T> {
        match self.network() {
            Ok(network) => {
                let server = self.server().clone();
                Box::pin(network.run(move || question(server)))
            }
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

impl Cas for Client {
    fn hash_function(&self) -> HashFunction {
        self.setup.naming
    }

    fn missing(&self, digests: Vec<Digest>) -> Answer<'_, Vec<Digest>> {
        self.ask(|server| async move { server.known().await?.blobs.missing(digests).await })
    }

    fn get(&self, wanted: Vec<(Digest, Arc<dyn Receiver>)>) -> Answer<'_, Vec<Result<()>>> {
        let executes = self.setup.executes;
        self.ask(move |server| async move {
            let answers = server.known().await?.blobs.get(wanted).await;
            // The call that failed may be one whose error is not shown, for example of an upload in the background.
            // What cannot be read then fails with the reason. For a cache it is one warning.
            let with_reason = |answer| if executes { server.give_up.with_reason(answer) } else { answer };
            Ok(answers.into_iter().map(with_reason).collect())
        })
    }

    fn put(&self, blobs: Vec<Blob>) -> Answer<'_, Vec<Result<()>>> {
        self.ask(|server| async move { Ok(server.known().await?.blobs.put(blobs).await) })
    }

    fn put_levels(&self, levels: Vec<Vec<Blob>>) -> Answer<'_, ()> {
        self.ask(|server| async move { server.known().await?.blobs.put_levels(levels).await })
    }

    fn callers(&self) -> Callers {
        self.callers.clone()
    }

    fn give_up(&self) {
        self.server().give_up.give_up();
    }

    fn begin_anew(&self) {
        let mut server = self.server();
        // Only what failed is asked again. A server that works keeps its connection, but what was slow in the build
        // before does not count in this one.
        let is_unusable = server.known.get().is_some_and(Result::is_err);
        if is_unusable || server.give_up.is_given_up() {
            *server = Arc::new(Server::new(&self.setup, &self.callers, true));
        } else {
            server.give_up.forget_slow();
        }
    }
}

impl ActionCache for Client {
    fn takes_results(&self) -> Answer<'_, ()> {
        self.ask(|server| async move { server.known().await?.takes_results() })
    }

    fn look_up(&self, action: Digest) -> Answer<'_, Option<ActionResult>> {
        self.ask(move |server| async move {
            let begin = Instant::now();
            let AnsweredServer { link, .. } = server.known().await?;
            let request = GetActionResultRequest {
                instance_name: link.instance.clone(),
                action_digest: Some(wire::digest(&action)),
                digest_function: link.digest_function,
            };
            let found = link.unary(&LOOK_UP, &request, 0).await;
            // Counted whether or not it was found, and with the wait for the connection: the action has waited for
            // both.
            link.give_up.count_look_up(begin, Instant::now())?;
            found
        })
    }

    fn store(&self, action: Digest, result: ActionResult) -> Answer<'_, ()> {
        self.ask(move |server| async move {
            let known = server.known().await?;
            known.takes_results()?;
            let link = &known.link;
            let request = UpdateActionResultRequest {
                instance_name: link.instance.clone(),
                action_digest: Some(wire::digest(&action)),
                action_result: Some(result),
                digest_function: link.digest_function,
            };
            // The answer repeats the result; what counts is that there is one.
            let stored: Option<ActionResult> = link.unary(&STORE, &request, 0).await?;
            let why = "the server has no such method or instance".to_owned();
            stored.map(drop).ok_or(Error::Final { call: STORE.name, why })
        })
    }
}

impl Executor for Client {
    fn execute(&self, action: Execute, progress: Arc<dyn Progress>) -> Answer<'_, Executed> {
        // Dropped with the answer, which ends the execution. A dropped future runs nothing more, but the task in the
        // network's thread would go on: the closed channel is what ends it there.
        let (waits, dropped) = oneshot::channel::<()>();
        let executed = self.ask(move |server| async move {
            let AnsweredServer { link, .. } = server.known().await?;
            execute::execute(link, action, &*progress, dropped).await
        });
        Box::pin(async move {
            let _waits = waits;
            executed.await
        })
    }
}
