//! Servers and networks of documents: what one offers, and what goes wrong with it, in a sentence.
//!
//! A line that begins with `` `$NAME` `` and a verb is about a server of the case. From there on `$NAME` is its
//! address, `HOST:PORT` on this machine, in calls, files and scripts, and answers have `$NAME` for it. All that follows
//! the kind of the server is clauses, each after `that` (`` , that `` before all but the first). A sentence about an
//! existing server ends it, and begins another one with the same address and the same contents.
//!
//! - `` `$CACHE` is a cache … ``: one of the Remote Execution API, which executes nothing. `` `$SERVER` is a server
//!   that executes actions … ``: one with the names of justbuild (native); `` `$SERVER` is a compatible server that
//!   executes actions … ``: with SHA-256. Its clauses:
//!   - `` answers `METHOD` with `STATUS: message` ``, `` answers the first `METHOD` with … ``: a status of gRPC
//!     (`UNAVAILABLE`,
//!     `NOT_FOUND`, `PERMISSION_DENIED` …); `` `502 <html>` `` is one of HTTP with a page, from a proxy in front of it.
//!   - `` never answers `METHOD` ``; `` damages what `METHOD` sends ``; `` shortens what `METHOD` sends ``;
//!     `` lengthens what `METHOD` sends ``; `` mistakes digests in `METHOD` ``; `` cuts the connection in `METHOD` ``;
//!     `` does not take what `METHOD` is given ``.
//!   - `` ends executions as `END, END` ``: the first ones, by the names of `ENDINGS` in this file.
//!   - `takes no results`; `holds no blobs`; `executes no actions`; `names blobs by MD5`; `compresses nothing`;
//!     `speaks version N of the API`; `` knows only the instance `NAME` ``; `encrypts`, with the certificate `good`;
//!     `` encrypts with the certificate `NAME` ``; `encrypts and asks for certificates`.
//! - `` `$SERVER` loses all blobs. ``, `` … damages all blobs. ``, `` `$SERVER` ends. ``
//! - `` `$HTTP` is a web server … ``: it has the files of `$OUT`. `` `$HTTP` is a web server with the certificate
//!   `NAME` … ``: by https, with one of `tests/certificates` (`$CERTIFICATES`), or `none`. Its clauses have a path, or
//!   `*` for all:
//!   - `` answers `PATH` with N ``, a status; `` answers `PATH` with N and `header: value` ``.
//!   - `` answers `PATH` with the bytes `…` ``: these and nothing else, with `\r`, `\n` and `\xHH`.
//!   - `` redirects `PATH` to `URL` ``; `` cuts `PATH` after N bytes ``; `` halts `PATH` after N bytes ``;
//!     `` cuts `PATH` after N bytes and resumes it elsewhere ``; `` announces N bytes for `PATH` ``;
//!     `` sends N headers with `PATH` ``; `` sends a header of N bytes with `PATH` ``; `` never answers `PATH` ``.
//! - `` `$PORT` is a port that answers with the bytes `…` ``: whatever comes first; `… that never answers`;
//!   `… that resets connections`; `… that accepts no connections`.
//! - `` `$WAY` leads to `$NAME`, and flips a bit after N bytes. ``, `` … and cuts connections after N bytes. ``: on the
//!   way back.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use taut_digest::HashFunction;
use taut_proto::cache::SHA1;
use taut_remote::server::{Encryption, ExecutionEnding, Fault, Offer, Override, ScriptedAnswer, Server};
use taut_testkit::{Direction, HttpRequest, HttpServer, LinkFault, Proxy, reply};

/// The names of ends of executions.
const ENDINGS: &[(&str, ExecutionEnding)] = &[
    ("usual", ExecutionEnding::Usual),
    ("cut", ExecutionEnding::Cut),
    ("forgotten", ExecutionEnding::Forgotten),
    ("disowned", ExecutionEnding::Disowned),
    ("worker lost", ExecutionEnding::WorkerLost),
    ("exhausted", ExecutionEnding::Exhausted),
    ("inputs missing", ExecutionEnding::Evicted),
    ("all inputs missing", ExecutionEnding::AllEvicted),
    ("outputs missing", ExecutionEnding::OutputLost),
    ("malformed tree", ExecutionEnding::MalformedTree),
    ("huge tree", ExecutionEnding::HugeTree),
    ("silent", ExecutionEnding::Silent),
    ("timed out", ExecutionEnding::TimedOut),
    ("refused", ExecutionEnding::Refused),
    ("unexplained", ExecutionEnding::Unexplained),
    ("without result", ExecutionEnding::WithoutResult),
    ("unimplemented", ExecutionEnding::Unimplemented),
];

/// The names of statuses of gRPC, in the order of their numbers.
const STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// What a clause of a web server is about.
#[derive(Clone)]
enum Page {
    Status(u64, Option<String>),
    Bytes(Vec<u8>),
    Cut(usize),
    Announced(u64),
    Headers(u64),
    /// How many bytes one header has.
    Header(usize),
    Halted(usize),
    /// Cut, and the rest begins with another byte.
    Misled(usize),
    Never,
}

/// A server that runs.
enum Running {
    /// With what it offers, to be begun again with the same blobs.
    Remote(Server),
    Http(HttpServer),
    Port(SocketAddr),
    Proxy(Proxy),
}

/// The servers of a case, by name, without the `$`.
#[derive(Default)]
pub(crate) struct Servers(BTreeMap<String, Running>);

/// The name of the server that a line is about, and what it says of it.
pub(crate) fn sentence(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.strip_prefix("`$")?.split_once("` ")?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_uppercase());
    let verb = rest.split([' ', '.']).next().unwrap_or_default();
    let is_sentence = match verb {
        "is" => rest.starts_with("is a "),
        "loses" | "damages" | "ends" | "leads" => true,
        _ => false,
    };
    Some((name, rest.strip_suffix('.')?)).filter(|_| is_name && is_sentence)
}

/// A clause: its form, with `…` for each quoted text and `N` for each number, and these.
struct Clause {
    form: String,
    texts: Vec<String>,
    numbers: Vec<u64>,
}

impl Clause {
    fn of(text: &str) -> Clause {
        let mut clause = Clause { form: String::new(), texts: Vec::new(), numbers: Vec::new() };
        for (at, part) in text.split('`').enumerate() {
            if at % 2 == 1 {
                clause.form.push('…');
                clause.texts.push(part.to_owned());
                continue;
            }
            for (at, word) in part.split(' ').enumerate() {
                let number: Option<u64> = word.parse().ok();
                clause.form += if at > 0 { " " } else { "" };
                clause.form += if number.is_some() { "N" } else { word };
                clause.numbers.extend(number);
            }
        }
        clause
    }

    fn text(&self, at: usize) -> String {
        self.texts[at].clone()
    }
}

/// The kind of a server, and its clauses.
fn clauses(rest: &str) -> (Clause, Vec<Clause>) {
    // Not within a quoted text.
    let mut parts: Vec<String> = vec![String::new()];
    for (at, part) in rest.split('`').enumerate() {
        let last = parts.last_mut().expect("never empty");
        if at % 2 == 1 {
            *last += &format!("`{part}`");
            continue;
        }
        let mut begins = part.split(" that ");
        *last += begins.next().unwrap_or_default();
        parts.extend(begins.map(str::to_owned));
    }
    let mut all = parts.iter().map(|part| Clause::of(part.strip_suffix(',').unwrap_or(part)));
    let kind = all.next().expect("never empty");
    (kind, all.collect())
}

/// A status of gRPC or, by its number, one of HTTP.
fn status(text: &str) -> Override {
    let (number, page) = text.split_once(' ').unwrap_or((text, ""));
    if let Ok(status) = number.parse() {
        return Override::Http(status, page.to_owned());
    }
    let (name, message) = text.split_once(": ").unwrap_or((text, ""));
    let number = STATUSES.iter().position(|status| *status == name);
    let number = number.unwrap_or_else(|| panic!("{name} is not a status of gRPC"));
    Override::Status(i32::try_from(number).expect("there are 17"), message.to_owned())
}

fn offer(kind: &Clause, clauses: &[Clause]) -> Option<Offer> {
    let executes = clauses.first().is_some_and(|clause| clause.form == "executes actions");
    let mut offer = match kind.form.as_str() {
        "is a cache" => Offer::default(),
        "is a server" if executes => Offer::executing(HashFunction::GitSha1, Vec::new()),
        "is a compatible server" if executes => Offer::executing(HashFunction::Sha256, Vec::new()),
        _ => return None,
    };
    for clause in &clauses[usize::from(executes)..] {
        let mut script = |times, instead| {
            offer.scripted.push(ScriptedAnswer { method: clause.text(0), times, instead });
        };
        match clause.form.as_str() {
            "answers … with …" => script(None, status(&clause.texts[1])),
            "answers the first … with …" => script(Some(1), status(&clause.texts[1])),
            "never answers …" => script(None, Override::Fault(Fault::Hang)),
            "damages what … sends" => script(None, Override::Fault(Fault::Flipped)),
            "shortens what … sends" => script(None, Override::Fault(Fault::Truncated)),
            "lengthens what … sends" => script(None, Override::Fault(Fault::Longer)),
            "mistakes digests in …" => script(None, Override::Fault(Fault::Mistaken)),
            "cuts the connection in …" => script(None, Override::Fault(Fault::Cut)),
            "ends executions as …" => {
                let ending = |name: &str| {
                    let found = ENDINGS.iter().find(|(known, _)| *known == name);
                    found.unwrap_or_else(|| panic!("no execution ends as {name}")).1
                };
                offer.executes = Some(clause.texts[0].split(", ").map(ending).collect());
            }
            "does not take what … is given" => script(None, Override::Fault(Fault::NotTaken)),
            "encrypts" => offer.tls = Some(encryption("good", false)),
            "encrypts with the certificate …" => offer.tls = Some(encryption(&clause.texts[0], false)),
            "encrypts and asks for certificates" => offer.tls = Some(encryption("good", true)),
            "takes no results" => offer.takes_results = false,
            "holds no blobs" => offer.is_cache = false,
            "executes no actions" => offer.executes = None,
            // By the number of the protocol.
            "names blobs by MD5" => offer.digest_functions = vec![3],
            "names blobs by SHA-1" => offer.digest_functions = vec![SHA1],
            "compresses nothing" => offer.has_zstd = false,
            "speaks version N of the API" => {
                let version = i32::try_from(clause.numbers[0]).expect("a small number");
                offer.versions = (version, version);
            }
            "knows only the instance …" => offer.instance = clause.text(0),
            form => panic!("no server of the Remote Execution API {form}"),
        }
    }
    Some(offer)
}

/// With one of the certificates for this machine. `asks`: whether clients need one of the same authority.
fn encryption(certificate: &str, asks: bool) -> Encryption {
    let read = |name: &str| fs::read(certificates().join(name)).unwrap();
    let authority = asks.then(|| read("ca.pem"));
    Encryption { certificate: read(&format!("{certificate}.pem")), key: read("server.key"), authority }
}

/// Bytes as a clause has them.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut parts = text.split('\\');
    out.extend(parts.next().unwrap_or_default().bytes());
    for part in parts {
        let (byte, rest) = match part.as_bytes().first() {
            Some(b'r') => (b'\r', &part[1..]),
            Some(b'n') => (b'\n', &part[1..]),
            Some(b'x') => (u8::from_str_radix(&part[1..3], 16).expect("two digits after \\x"), &part[3..]),
            _ => panic!("\\{part}: the escapes are \\r, \\n and \\xHH"),
        };
        out.push(byte);
        out.extend(rest.bytes());
    }
    out
}

/// What a web server has at a path of its own.
fn page(clause: &Clause) -> (String, Page) {
    let number = || clause.numbers[0];
    let size = || usize::try_from(number()).expect("a size of this machine");
    let page = match clause.form.as_str() {
        "answers … with N" => Page::Status(number(), None),
        "answers … with N and …" => Page::Status(number(), Some(clause.text(1))),
        "answers … with the bytes …" => Page::Bytes(bytes(&clause.texts[1])),
        "redirects … to …" => Page::Status(302, Some(format!("location: {}", clause.texts[1]))),
        "cuts … after N bytes" => Page::Cut(size()),
        "announces N bytes for …" => Page::Announced(number()),
        "cuts … after N bytes and resumes it elsewhere" => Page::Misled(size()),
        "halts … after N bytes" => Page::Halted(size()),
        "sends N headers with …" => Page::Headers(number()),
        "sends a header of N bytes with …" => Page::Header(size()),
        "never answers …" => Page::Never,
        form => panic!("no web server {form}"),
    };
    (clause.text(0), page)
}

/// An answer of a web server with the files of a directory.
fn answer(pages: &[(String, Page)], files: &Path, request: &HttpRequest, out: &mut dyn Write) {
    let path = request.path.split('?').next().unwrap_or_default();
    let content = fs::read(files.join(path.trim_start_matches('/')));
    let length = |bytes: u64| format!("content-length: {bytes}");
    let page = pages.iter().find(|(at, _)| at == "*" || *at == path);
    let body = content.as_deref().unwrap_or_default();
    match page.map(|(_, page)| page) {
        Some(Page::Status(status, header)) => {
            let mut headers = vec![length(0)];
            headers.extend(header.clone());
            reply(out, &format!("{status} Status"), &headers, b"");
        }
        Some(Page::Bytes(bytes)) => _ = out.write_all(bytes),
        Some(Page::Cut(after)) => {
            reply(out, "200 OK", &[length(body.len() as u64)], &body[..body.len().min(*after)]);
        }
        Some(Page::Misled(after)) => match request.range() {
            None => {
                let headers =
                    [length(body.len() as u64), "etag: \"1\"".into(), "accept-ranges: bytes".into()];
                reply(out, "200 OK", &headers, &body[..body.len().min(*after)]);
            }
            Some(_) => {
                let headers = [length(1), format!("content-range: bytes 0-0/{}", body.len())];
                reply(out, "206 Partial Content", &headers, &body[..1]);
            }
        },
        Some(Page::Halted(after)) => {
            let head = format!("HTTP/1.1 200 OK\r\n{}\r\n\r\n", length(body.len() as u64));
            // At once, so that there is an answer with some bytes however busy the machine is.
            let _ = out.write_all(&[head.as_bytes(), &body[..body.len().min(*after)]].concat());
            let _ = out.flush();
            wait();
        }
        Some(Page::Announced(bytes)) => reply(out, "200 OK", &[length(*bytes)], body),
        Some(Page::Headers(count)) => {
            let lines: Vec<String> = (0..*count).map(|number| format!("x-{number}: 1")).collect();
            reply(out, "200 OK", &lines, body);
        }
        Some(Page::Header(bytes)) => reply(out, "200 OK", &[format!("x: {}", "y".repeat(*bytes))], body),
        Some(Page::Never) => wait(),
        None => match content {
            Ok(content) => reply(out, "200 OK", &[length(content.len() as u64)], &content),
            Err(_) => reply(out, "404 Not Found", &[length(0)], b""),
        },
    }
}

/// Waits longer than any call takes; the thread ends with the process.
fn wait() {
    thread::sleep(Duration::from_secs(3600));
}

/// A port that answers the first bytes of each connection with these, and ends it.
fn port(answer: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the process.
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let answer = answer.clone();
            thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(&answer);
                // The rest is read, so that the end is an end and no reset, which would take the answer away.
                let _ = stream.shutdown(Shutdown::Write);
                while let Ok(1..) = stream.read(&mut [0; 4096]) {}
            });
        }
    });
    address
}

/// A port that ends each connection with a reset as soon as something comes.
fn resetting_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // What came and was not read makes the end a reset.
            let _ = stream.peek(&mut [0]);
        }
    });
    address
}

/// A port at which connections are made, and nothing comes.
fn silent_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        wait();
        drop(listener);
    });
    address
}

/// A port whose queue of connections is full: the system answers no more.
fn full_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok();
    let queue: Vec<TcpStream> = std::iter::from_fn(connect).collect();
    thread::spawn(move || {
        wait();
        drop((listener, queue));
    });
    address
}

/// Where the certificates are.
fn certificates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates")
}

impl Running {
    fn address(&self) -> String {
        match self {
            Running::Remote(server) => server.address(),
            Running::Http(server) => server.address().to_string(),
            Running::Port(address) => address.to_string(),
            Running::Proxy(proxy) => proxy.address(),
        }
    }
}

impl Servers {
    /// Does what a sentence says. `files`: what web servers have.
    pub(crate) fn obey(&mut self, name: &str, rest: &str, files: &Path) {
        let rest = self.with_addresses(rest);
        let before = self.0.remove(name);
        let (kind, clauses) = clauses(&rest);
        let running = if let Some(offer) = offer(&kind, &clauses) {
            match before {
                Some(Running::Remote(server)) => {
                    let (memory, port) = (server.memory().clone(), server.port());
                    drop(server);
                    Running::Remote(Server::with(offer, memory, port).unwrap())
                }
                _ => Running::Remote(Server::start(offer).unwrap()),
            }
        } else {
            match (kind.form.as_str(), before) {
                ("is a web server" | "is a web server with the certificate …", _) => {
                    let pages: Vec<_> = clauses.iter().map(page).collect();
                    let files = files.to_owned();
                    let answer = move |request: &HttpRequest, out: &mut dyn Write| {
                        answer(&pages, &files, request, out);
                    };
                    Running::Http(match kind.texts.first().map(String::as_str) {
                        None => HttpServer::new(answer),
                        Some(certificate) => {
                            let file = certificates().join(format!("{certificate}.pem"));
                            let file = (certificate != "none").then_some(&*file);
                            HttpServer::with_certificate(file, &certificates().join("server.key"), answer)
                        }
                    })
                }
                ("is a port", _) => {
                    let [Clause { form, texts, .. }] = &clauses[..] else { panic!("{rest}: one clause") };
                    Running::Port(match form.as_str() {
                        "answers with the bytes …" => port(bytes(&texts[0])),
                        "never answers" => silent_port(),
                        "resets connections" => resetting_port(),
                        "accepts no connections" => full_port(),
                        form => panic!("no port {form}"),
                    })
                }
                ("leads to …, and flips a bit after N bytes", _) => {
                    self.proxy(&kind, LinkFault::Flipped(Direction::Down, kind.numbers[0]))
                }
                ("leads to …, and cuts connections after N bytes", _) => {
                    self.proxy(&kind, LinkFault::Cut(Direction::Down, kind.numbers[0]))
                }
                ("ends", Some(_)) => return,
                (form, Some(Running::Remote(server))) => {
                    change(&server, form);
                    Running::Remote(server)
                }
                _ => panic!("{rest}: see the header of {}", file!()),
            }
        };
        self.0.insert(name.to_owned(), running);
    }

    fn proxy(&self, kind: &Clause, fault: LinkFault) -> Running {
        let to =
            kind.texts[0].parse().unwrap_or_else(|_| panic!("{} is not a server of the case", kind.texts[0]));
        Running::Proxy(Proxy::always(to, fault).unwrap())
    }

    /// A text with the addresses of servers.
    pub(crate) fn with_addresses(&self, text: &str) -> String {
        let mut text = text.replace("$CERTIFICATES", &certificates().to_string_lossy());
        for (name, running) in &self.0 {
            text = text.replace(&format!("${name}"), &running.address());
        }
        text
    }

    /// A text with the names of servers.
    pub(crate) fn without_addresses(&self, text: &str) -> String {
        let mut text = text.replace(&*certificates().to_string_lossy(), "$CERTIFICATES");
        for (name, running) in &self.0 {
            text = text.replace(&running.address(), &format!("${name}"));
        }
        match text.contains("no more results are stored there") {
            true => without_sent_bytes(&text),
            false => text,
        }
    }
}

/// A text without how much was sent before a failure: blobs are sent at the same time.
fn without_sent_bytes(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        match line.strip_suffix(" sent\n").and_then(|line| line.rsplit_once(", ")) {
            Some((before, _)) => out += &format!("{before}\n"),
            None => out += line,
        }
    }
    out
}

/// Changes what a server has.
fn change(server: &Server, form: &str) {
    let memory = server.memory();
    match form {
        "loses all blobs" => memory.blobs().iter().for_each(|content| memory.remove(content)),
        "damages all blobs" => {
            for content in memory.blobs() {
                let mut bytes = memory.blob(&content).map(|bytes| bytes.to_vec()).unwrap_or_default();
                if let Some(first) = bytes.first_mut() {
                    *first ^= 1;
                    memory.remove(&content);
                    memory.insert(content, bytes);
                }
            }
        }
        form => panic!("no server {form}"),
    }
}

#[test]
fn sentences_have_clauses() {
    assert_eq!(
        sentence("`$HTTP` is a web server that answers `/a` with 404."),
        Some(("HTTP", "is a web server that answers `/a` with 404"))
    );
    for line in ["`$BUILD` is removed", "`$OUT/a` is a file.", "`path` is a server.", "`$A` is there."] {
        assert_eq!(sentence(line), None, "{line}");
    }
    let (kind, clauses) = clauses("is a port that answers `a that b` with 10 bytes, that ends");
    let forms: Vec<&str> = [&kind].into_iter().chain(&clauses).map(|clause| &*clause.form).collect();
    assert_eq!(forms, ["is a port", "answers … with N bytes", "ends"]);
    assert_eq!((&clauses[0].texts[..], &clauses[0].numbers[..]), (&["a that b".to_owned()][..], &[10][..]));
    assert_eq!(bytes(r"a\r\n\x15b"), b"a\r\n\x15b");
}
