//! How a service is reached, and the thread that the network lives in.

use std::{fmt, time::Duration};

use taut_digest::HashFunction;
use taut_service::{Error, Result};
use taut_sys::{fault::time_limit, in_words};
use tokio::{
    runtime::Builder,
    sync::{mpsc, oneshot},
    task::{LocalSet, spawn_local},
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::{Address, certificates};

/// How to reach a service.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Where it listens.
    pub address: Address,
    /// Which of several caches there; mostly empty.
    pub instance: String,
    /// How to encrypt, if at all.
    pub tls: Option<Tls>,
    /// How blobs are named: by SHA-256 as in the standard protocol, or by git's ids as in justbuild's native one.
    pub naming: HashFunction,
    /// Whether actions are executed there.
    pub executes: bool,
    /// How long to wait for it.
    pub patience: Patience,
}

/// How connections are encrypted.
#[derive(Clone, Default)]
pub struct Tls {
    /// Certificates of authorities to trust, as PEM, in the place of those of the system.
    pub authorities: Option<Vec<u8>>,
    /// The certificate of this client and its key, as PEM.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

// Debug texts end up in logs, and a private key must not.
impl fmt::Debug for Tls {
    // Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// How long a service is waited for.
#[derive(Clone, Debug)]
pub struct Patience {
    /// How often a call is tried, at least once.
    pub attempts: u32,
    /// How long to wait before the second attempt; twice as long before each further one.
    pub first_pause: Duration,
    /// How long to wait at most.
    pub max_pause: Duration,
    /// How long one attempt may take; of a stream, until the next piece.
    pub deadline: Duration,
    /// How long a build waits for look-ups that are slow but answered.
    pub max_slow: Duration,
    /// How long a server may say nothing about an execution before it is asked for a sign of life.
    pub silence: Duration,
    /// How long a server that has answered before is waited for when it cannot be reached, however many attempts that
    /// takes: it may be restarted.
    pub restart: Duration,
    /// How long the stream of an execution has to last, so that its end is not a failure in a row with those before.
    pub steady: Duration,
}

// For a cache: few attempts with short pauses, since a build can do without it.
impl Default for Patience {
    fn default() -> Patience {
        Patience {
            attempts: 3,
            first_pause: Duration::from_millis(200),
            max_pause: Duration::from_secs(5),
            deadline: Duration::from_secs(10),
            max_slow: time_limit("slow", Duration::from_secs(20)),
            silence: time_limit("silence", Duration::from_secs(20)),
            // Nothing: a caller that wants to wait for restarts says so.
            restart: Duration::ZERO,
            // Shorter than the time after which usual proxies cut silent streams (nginx: 60 s), and longer than an
            // attempt that fails at once.
            steady: Duration::from_secs(5),
        }
    }
}

impl Setup {
    /// The channel. Nothing is connected before the first call.
    pub(crate) fn channel(&self) -> Result<Channel> {
        let refused = |why: tonic::transport::Error| Error::Final { call: "connect", why: innermost(&why) };
        let uri = self.address.uri(self.tls.is_some());
        let mut endpoint = Endpoint::from_shared(uri)
            .map_err(refused)?
            // Not longer than the deadline of a call, so that an address where nothing answers fails as unreachable,
            // and not as slow.
            .connect_timeout(self.patience.deadline.min(Duration::from_secs(5)))
            // Questions are small and answers are waited for: Nagle's algorithm would add a delayed acknowledgement
            // to each.
            .tcp_nodelay(true)
            // More than a round trip's worth of a fast network, so that large blobs are not held up by windows.
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(16 << 20);
        if let Some(tls) = &self.tls {
            // Otherwise the library trusts none, and says of each certificate that it is not trusted.
            if tls.authorities.as_deref().is_some_and(|pem| !certificates::are_in(pem)) {
                let why = "the file of certificates to trust has none (--tls-ca-cert takes PEM)".to_owned();
                return Err(Error::Final { call: "connect", why });
            }
            let mut config = ClientTlsConfig::new();
            config = match &tls.authorities {
                // In the place of the system's, not in addition: a call that names an authority trusts no other.
                Some(authorities) => config.ca_certificate(Certificate::from_pem(authorities)),
                None => config.with_native_roots(),
            };
            if let Some((certificate, key)) = &tls.identity {
                if let Some(why) = certificates::unusable(certificate, key) {
                    return Err(Error::Final { call: "connect", why: why.to_owned() });
                }
                config = config.identity(Identity::from_pem(certificate, key));
            }
            endpoint = endpoint.tls_config(config).map_err(refused)?;
        }
        // Lazily, so that an address which is wrong is reported by the first call, with its attempts and in its
        // words.
        Ok(endpoint.connect_lazy())
    }
}

/// The reason at the bottom: the layers above say only that something did not work.
pub(crate) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    let in_plain_words = certificates::of_keys(last).or_else(|| last.downcast_ref().map(in_words));
    in_plain_words.unwrap_or_else(|| last.to_string())
}

/// Something to begin in the thread of the network.
type Job = Box<dyn FnOnce() + Send>;

/// A thread that drives the network until this is dropped. All that goes on there is of one thread, so nothing of it is
/// locked, and futures need not be passed between threads.
pub(crate) struct Network(mpsc::UnboundedSender<Job>);

impl Network {
    /// Starts the thread.
    pub(crate) fn start() -> std::io::Result<Network> {
        // One thread: what it does is wait. Work that takes time (hashing, chunking) goes to the blocking pool.
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        // Unbounded, since callers are threads of the engine, which must not block here. What is under way is bounded
        // by the jobs of the build, and by the batches that calls are put into.
        let (jobs, mut begin) = mpsc::unbounded_channel::<Job>();
        std::thread::Builder::new().name("network".to_owned()).spawn(move || {
            let local = LocalSet::new();
            local.block_on(&runtime, async {
                // Ends when the last `Network` is dropped, since that has the only sender.
                while let Some(job) = begin.recv().await {
                    job();
                }
            });
            // What is under way is dropped, which answers those that wait for it.
            drop(local);
            // In the background: a thread of the blocking pool that reads a slow disk must not hold up the end of the
            // call.
            runtime.shutdown_background();
        })?;
        Ok(Network(jobs))
    }

    /// Runs something in the thread; the answer can be waited for anywhere.
    pub(crate) fn run<T: Send + 'static, F: Future<Output = Result<T>> + 'static>(
        &self,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send + 'static {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move || {
            let work = work();
            // A caller that no longer waits is passed over.
            spawn_local(async move { drop(sender.send(work.await)) });
        });
        // If the thread is gone, so is the sender of the answer.
        let _ = self.0.send(job);
        async { receiver.await.unwrap_or(Err(Error::Off)) }
    }
}
