//! A server on 127.0.0.1 that behaves as a test wants, badly too.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::JoinHandle,
};

/// A request as the server received it.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The first byte that is asked for.
    pub(crate) fn range(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// Answers one request; the connection is closed afterwards.
pub(crate) type Answer = dyn Fn(&Received, &mut dyn Write) + Send + Sync;

/// A running server; it ends when it is dropped.
pub(crate) struct Server {
    address: std::net::SocketAddr,
    scheme: &'static str,
    requests: Arc<Mutex<Vec<Received>>>,
    is_ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// A server for http.
    pub(crate) fn new(answer: impl Fn(&Received, &mut dyn Write) + Send + Sync + 'static) -> Server {
        Server::start("http", Arc::new(answer), |stream| Box::new(stream))
    }

    /// A server for https with a certificate that is signed by `tests/tls/ca.pem`.
    pub(crate) fn tls(answer: impl Fn(&Received, &mut dyn Write) + Send + Sync + 'static) -> Server {
        Server::with_certificate("cert.pem", "key.pem", answer)
    }

    /// A server for https with a certificate of `tests/tls`.
    pub(crate) fn with_certificate(
        certificate: &str,
        key: &str,
        answer: impl Fn(&Received, &mut dyn Write) + Send + Sync + 'static,
    ) -> Server {
        use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

        let file = |name: &str| format!("{}/tests/tls/{name}", env!("CARGO_MANIFEST_DIR"));
        let certificate = CertificateDer::from_pem_file(file(certificate)).unwrap();
        let key = PrivateKeyDer::from_pem_file(file(key)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let config = Arc::new(config);
        Server::start("https", Arc::new(answer), move |stream| {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            Box::new(rustls::StreamOwned::new(connection, stream))
        })
    }

    fn start(
        scheme: &'static str,
        answer: Arc<Answer>,
        wrap: impl Fn(TcpStream) -> Box<dyn Stream> + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let is_ending = Arc::new(AtomicBool::new(false));
        let thread = {
            let (requests, is_ending, wrap) = (requests.clone(), is_ending.clone(), Arc::new(wrap));
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    if is_ending.load(SeqCst) {
                        return;
                    }
                    let (requests, answer, wrap) = (requests.clone(), answer.clone(), wrap.clone());
                    // Not waited for: a client may keep a connection for as long as it lives.
                    std::thread::spawn(move || serve(wrap(stream.unwrap()), &requests, &*answer));
                }
            })
        };
        Server { address, scheme, requests, is_ending, thread: Some(thread) }
    }

    /// The URL of a path, which begins with `/`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// What was asked so far.
    pub(crate) fn requests(&self) -> Vec<Received> {
        self.requests.lock().unwrap().clone()
    }
}

trait Stream: Read + Write + Send {
    /// Ends the connection as the protocol wants it.
    fn end(&mut self) {
        let _ = self.flush();
    }
}

impl Stream for TcpStream {}

impl Stream for rustls::StreamOwned<rustls::ServerConnection, TcpStream> {
    fn end(&mut self) {
        self.conn.send_close_notify();
        let _ = self.flush();
    }
}

fn serve(stream: Box<dyn Stream>, requests: &Mutex<Vec<Received>>, answer: &Answer) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    if stream.read_line(&mut line).is_err() || line.is_empty() {
        return;
    }
    let word = |index| line.split(' ').nth(index).unwrap_or_default().to_owned();
    let (method, path) = (word(0), word(1));
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).is_err() || line.trim_end().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap();
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let mut received = Received { method, path, headers, body: Vec::new() };
    if let Some(length) = received.header("content-length").and_then(|length| length.parse().ok()) {
        let _ = stream.by_ref().take(length).read_to_end(&mut received.body);
    }
    requests.lock().unwrap().push(received.clone());
    answer(&received, stream.get_mut());
    stream.get_mut().end();
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_ending.store(true, SeqCst);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().unwrap().join();
    }
}

/// An answer with a status, headers and a body; errors of the connection are the client's affair.
pub(crate) fn reply(out: &mut dyn Write, status: &str, headers: &[String], body: &[u8]) {
    let mut text = format!("HTTP/1.1 {status}\r\nconnection: close\r\n");
    for header in headers {
        text += &format!("{header}\r\n");
    }
    let _ = out.write_all((text + "\r\n").as_bytes());
    let _ = out.write_all(body);
}

/// A whole content, with its length.
pub(crate) fn whole(out: &mut dyn Write, body: &[u8]) {
    reply(out, "200 OK", &[format!("content-length: {}", body.len())], body);
}
