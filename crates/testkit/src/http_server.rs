//! A server for HTTP on 127.0.0.1 that behaves as a test wants, badly too.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::JoinHandle,
};

/// A request as the server received it.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// Such as `GET`.
    pub method: String,
    /// What follows it: a path, mostly.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// What follows the headers.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// The value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The first byte that is asked for.
    #[must_use]
    pub fn range(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// Answers one request; the connection is closed afterwards.
pub type HttpAnswer = dyn Fn(&HttpRequest, &mut dyn Write) + Send + Sync;

/// A running server; it ends when it is dropped.
pub struct HttpServer {
    address: SocketAddr,
    scheme: &'static str,
    requests: Arc<Mutex<Vec<HttpRequest>>>,
    is_ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// A server for http.
    ///
    /// # Panics
    /// The system refuses a socket; so do all functions here.
    pub fn new(answer: impl Fn(&HttpRequest, &mut dyn Write) + Send + Sync + 'static) -> HttpServer {
        HttpServer::start("http", Arc::new(answer), |stream| Box::new(stream))
    }

    /// A server for https with a certificate, if with any, and its key, of files in PEM format.
    ///
    /// # Panics
    /// They cannot be read.
    pub fn with_certificate(
        certificate: Option<&Path>,
        key: &Path,
        answer: impl Fn(&HttpRequest, &mut dyn Write) + Send + Sync + 'static,
    ) -> HttpServer {
        use rustls::{
            pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
            sign::{CertifiedKey, SingleCertAndKey},
        };

        let certificates = certificate.map(|file| CertificateDer::from_pem_file(file).unwrap());
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
        // Not compared with the key: what is wrong with a certificate is for the client to find out.
        let presented = SingleCertAndKey::from(CertifiedKey::new(certificates.into_iter().collect(), key));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(presented));
        let config = Arc::new(config);
        HttpServer::start("https", Arc::new(answer), move |stream| {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            Box::new(rustls::StreamOwned::new(connection, stream))
        })
    }

    fn start(
        scheme: &'static str,
        answer: Arc<HttpAnswer>,
        wrap: impl Fn(TcpStream) -> Box<dyn Stream> + Send + Sync + 'static,
    ) -> HttpServer {
        // Any free port, since tests run in parallel.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let is_ending = Arc::new(AtomicBool::new(false));
        let thread = {
            let (requests, is_ending, wrap) = (requests.clone(), is_ending.clone(), Arc::new(wrap));
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    // Checked after a connection was accepted: the one that wakes this thread at the end carries no
                    // request.
                    if is_ending.load(SeqCst) {
                        return;
                    }
                    let (requests, answer, wrap) = (requests.clone(), answer.clone(), wrap.clone());
                    // Not waited for: a client may keep a connection for as long as it lives.
                    std::thread::spawn(move || serve(wrap(stream.unwrap()), &requests, &*answer));
                }
            })
        };
        HttpServer { address, scheme, requests, is_ending, thread: Some(thread) }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path, which begins with `/`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// What was asked so far.
    ///
    /// # Panics
    /// An answer panicked.
    #[must_use]
    pub fn requests(&self) -> Vec<HttpRequest> {
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
        // Without the closing message of TLS a client has to take the end for a truncation (RFC 8446, 6.1).
        self.conn.send_close_notify();
        let _ = self.flush();
    }
}

fn serve(stream: Box<dyn Stream>, requests: &Mutex<Vec<HttpRequest>>, answer: &HttpAnswer) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    // Clients also connect and then ask for nothing.
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
        // What is not HTTP ends here, and is answered all the same.
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let mut received = HttpRequest { method, path, headers, body: Vec::new() };
    if let Some(length) = received.header("content-length").and_then(|length| length.parse().ok()) {
        let _ = stream.by_ref().take(length).read_to_end(&mut received.body);
    }
    // Noted before it is answered: a test that has the answer finds the request in the list.
    requests.lock().unwrap().push(received.clone());
    answer(&received, stream.get_mut());
    stream.get_mut().end();
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.is_ending.store(true, SeqCst);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().unwrap().join();
    }
}

/// An answer with a status, headers and a body; errors of the connection are the client's affair.
pub fn reply(out: &mut dyn Write, status: &str, headers: &[String], body: &[u8]) {
    // One request for each connection: a fault of a connection concerns exactly one request.
    let mut text = format!("HTTP/1.1 {status}\r\nconnection: close\r\n");
    for header in headers {
        text += &format!("{header}\r\n");
    }
    let _ = out.write_all((text + "\r\n").as_bytes());
    let _ = out.write_all(body);
}

/// A whole body, with its length.
pub fn whole(out: &mut dyn Write, body: &[u8]) {
    reply(out, "200 OK", &[format!("content-length: {}", body.len())], body);
}
