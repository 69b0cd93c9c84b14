//! A cache that answers from memory, for tests: the whole protocol as far as the client speaks it, in the same process,
//! with faults on demand.
#![allow(clippy::disallowed_methods, reason = "a test tool")]

mod connection;
mod faults;
mod handler;
mod operations;
mod worker;

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub use faults::{Fault, Faults, Override, ScriptedAnswer};
pub use operations::{CUT_AFTER, ExecutionEnding};
use taut_digest::HashFunction;
use taut_proto::cache::{SHA1, SHA256};
use taut_service::Memory;
use tokio::{runtime::Builder, sync::oneshot};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};
pub use worker::Worker;

use connection::{ConnectionCuts, Connections};
use handler::Handler;

/// What a server offers.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The most bytes of a batch; 0 for no answer to that.
    pub max_batch_bytes: i64,
    /// Whether blobs may be compressed.
    pub has_zstd: bool,
    /// Whether results may be stored.
    pub takes_results: bool,
    /// Whether blobs may be asked for, and put, in chunks.
    pub has_chunks: bool,
    /// How blobs are named, as numbers of the protocol.
    pub digest_functions: Vec<i32>,
    /// The name that a client has to use.
    pub instance: String,
    /// Faults.
    pub faults: Faults,
    /// Answers by method, which come before random faults. Of several for one method the first counts until it was
    /// given often enough.
    pub scripted: Vec<ScriptedAnswer>,
    /// The lowest and the highest major version of the protocol.
    pub versions: (i32, i32),
    /// Whether it says that it holds blobs.
    pub is_cache: bool,
    /// Encryption.
    pub tls: Option<Encryption>,
    /// How executions end, one after the other, and from then on as usual; `None` if nothing is executed.
    pub executes: Option<Vec<ExecutionEnding>>,
    /// Whether it never executes an action whose result it has, even if a client wants that; as justbuild's server.
    pub insists_on_cache: bool,
    /// Whether executions only look like some: no command runs, and outputs are what their paths say. For measurements.
    pub simulated: Option<SimulatedExecution>,
    /// How long after its last message the stream of an execution ends.
    pub ends_streams_after: Duration,
}

/// Executions that run nothing.
#[derive(Clone, Copy, Debug)]
pub struct SimulatedExecution {
    /// How many go on at a time.
    pub cores: usize,
    /// How long each takes.
    pub takes: Duration,
}

/// How connections are encrypted; all of it as PEM.
#[derive(Clone, Debug)]
pub struct Encryption {
    /// The certificate of the server.
    pub certificate: Vec<u8>,
    /// Its key.
    pub key: Vec<u8>,
    /// The authority that clients need a certificate of, if they need one.
    pub authority: Option<Vec<u8>>,
}

impl Default for Offer {
    fn default() -> Offer {
        Offer {
            max_batch_bytes: 0,
            has_zstd: true,
            takes_results: true,
            has_chunks: false,
            digest_functions: vec![taut_proto::cache::SHA256],
            instance: String::new(),
            faults: Faults::default(),
            scripted: Vec::new(),
            versions: (2, 2),
            is_cache: true,
            tls: None,
            executes: None,
            insists_on_cache: false,
            simulated: None,
            ends_streams_after: Duration::ZERO,
        }
    }
}

impl Offer {
    /// A server that executes: with blobs named as git does, as justbuild's own has it, or in the standard form.
    pub fn executing(naming: HashFunction, endings: Vec<ExecutionEnding>) -> Offer {
        let function = if naming == HashFunction::GitSha1 { SHA1 } else { SHA256 };
        Offer { digest_functions: vec![function], executes: Some(endings), ..Offer::default() }
    }

    fn naming(&self) -> HashFunction {
        match self.digest_functions.contains(&SHA1) {
            true => HashFunction::GitSha1,
            false => HashFunction::Sha256,
        }
    }
}

/// What happened at a server, by method.
pub(crate) type Calls = Mutex<BTreeMap<&'static str, u64>>;

/// A running server; it ends when this is dropped.
pub struct Server {
    address: SocketAddr,
    memory: Arc<Memory>,
    calls: Arc<Calls>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Starts a server on this machine, which remembers nothing yet.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(offer: Offer) -> io::Result<Server> {
        let memory = Arc::new(Memory::new(offer.naming()));
        Server::with(offer, memory, 0)
    }

    /// Starts a server that remembers what another one has learnt, on a port, or any if that is 0.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn with(offer: Offer, memory: Arc<Memory>, port: u16) -> io::Result<Server> {
        // A given port is for a server that is started again at the same address, after a fault.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (calls, cuts, (end, ended)) =
            (Arc::<Calls>::default(), Arc::<ConnectionCuts>::default(), oneshot::channel());
        let handler = Handler::new(offer.clone(), memory.clone(), calls.clone(), cuts.clone());
        // One thread for all connections: `connection.rs` relies on it.
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let thread = std::thread::spawn(move || {
            let serve = async {
                let connections = Connections::new(listener, cuts)?;
                let mut server = tonic::transport::Server::builder();
                if let Some(Encryption { certificate, key, authority }) = &offer.tls {
                    let mut tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
                    if let Some(authority) = authority {
                        tls = tls.client_ca_root(Certificate::from_pem(authority));
                    }
                    server = server.tls_config(tls).map_err(io::Error::other)?;
                }
                let serving = server.serve_with_incoming(handler, connections);
                tokio::select! {
                    served = serving => served.map_err(io::Error::other),
                    _ = ended => Ok(()),
                }
            };
            let served: io::Result<()> = runtime.block_on(serve);
            // Connections are dropped, as when a process ends.
            runtime.shutdown_background();
            if let Err(error) = served {
                panic!("the server ended: {error}");
            }
        });
        Ok(Server { address, memory, calls, end: Some(end), thread: Some(thread) })
    }

    /// Its address, as an option has it.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The same, to connect to.
    pub fn socket(&self) -> SocketAddr {
        self.address
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What it remembers.
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// How often each method was called.
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many calls there were in all.
    pub fn total(&self) -> u64 {
        self.calls().values().sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Dropping the sender ends `ended`, and with it the server.
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // If it has panicked, the test has failed already.
            let _ = thread.join();
        }
    }
}
