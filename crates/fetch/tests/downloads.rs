//! Downloads from servers that cut, stall, redirect, resume, lie and fail.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use taut_digest::HashFunction;
use taut_fetch::{
    Cause, Client, Download, Error, Expected, Options, Progress, Request, Servers, Silent, Update,
};
use taut_sys::Dir;
use taut_testkit::{HttpRequest as Received, HttpServer as Server, reply, whole};
use tempfile::TempDir;

/// A file of certificates that are good for nothing else.
fn tls(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

fn retries(attempts: u32) -> taut_fetch::Retries {
    let [initial_backoff, max_backoff] = [1, 5].map(Duration::from_millis);
    taut_fetch::Retries { attempts, initial_backoff, max_backoff }
}

/// Short pauses, so that tests do not take long, and time limits that a busy machine does not reach.
fn options() -> Options {
    Options { retries: retries(3), ..Options::default() }
}

/// The first answer with growing time limits that is a right one, or the last: how soon a server that will stall has
/// sent what it sends depends on the machine.
fn with_patience<T>(attempt: impl Fn(Options) -> T, is_right: impl Fn(&T) -> bool) -> T {
    let options =
        |millis| Options { retries: retries(1), stall_timeout: Duration::from_millis(millis), ..options() };
    let first = attempt(options(400));
    if is_right(&first) { first } else { attempt(options(30_000)) }
}

/// An answer that does not go on; the connection stays open.
fn hold() -> ! {
    loop {
        std::thread::park();
    }
}

fn content() -> Vec<u8> {
    (0..300_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()).collect()
}

fn expected(content: &[u8]) -> Expected {
    Expected { blob: Some(HashFunction::GitSha1.blob(content)), ..Expected::default() }
}

struct Case {
    top: TempDir,
    dir: Dir,
    client: Client,
}

impl Case {
    fn new(options: Options) -> Case {
        let top = TempDir::new().unwrap();
        let dir = Dir::of_user(top.path()).unwrap();
        Case { top, dir, client: Client::new(options, Servers::default()).unwrap() }
    }

    fn fetch_with(
        &self,
        urls: &[String],
        expected: &Expected,
        progress: &dyn Progress,
    ) -> Result<Download<'_>, Error> {
        self.client.fetch(&Request { urls, expected }, &self.dir, progress)
    }

    fn fetch(&self, urls: &[String], expected: &Expected) -> Result<Download<'_>, Error> {
        self.fetch_with(urls, expected, &Silent)
    }

    /// The cause for the only URL; nothing is left.
    fn cause(&self, url: String, expected: &Expected) -> Cause {
        let error = self.fetch(&[url], expected).expect_err("it fails");
        assert_eq!(fs::read_dir(self.top.path()).unwrap().count(), 0, "{error}");
        let [tried] = <[_; 1]>::try_from(error.tried).unwrap();
        tried.cause
    }
}

fn read(download: &mut Download<'_>) -> Vec<u8> {
    let mut content = Vec::new();
    download.file().unwrap().read_to_end(&mut content).unwrap();
    content
}

/// Answers as a good server does: with the part that is asked for, if the tag is right.
fn ranged(request: &Received, out: &mut dyn Write, content: &[u8], sent: usize) {
    let tag = "etag: \"v1\"".to_owned();
    let accepts = "accept-ranges: bytes".to_owned();
    match request.range().filter(|_| request.header("if-range") == Some("\"v1\"")) {
        Some(first) if first >= content.len() => reply(out, "416 Range Not Satisfiable", &[], b""),
        Some(first) => {
            let range = format!("content-range: bytes {first}-{}/{}", content.len() - 1, content.len());
            let length = format!("content-length: {}", content.len() - first);
            let end = content.len().min(first.saturating_add(sent));
            reply(out, "206 Partial Content", &[tag, range, length], &content[first..end]);
        }
        None => {
            let length = format!("content-length: {}", content.len());
            reply(out, "200 OK", &[tag, accepts, length], &content[..content.len().min(sent)]);
        }
    }
}

#[test]
fn a_download_is_verified_and_removed_when_it_is_dropped() {
    let server = Server::new(|_, out| whole(out, &content()));
    let case = Case::new(options());
    let expected =
        Expected { sha256: Some("9e107d9d372bb6826bd81d3542a419d6".to_owned()), ..expected(&content()) };
    let cause = case.cause(server.url("/a"), &expected);
    assert!(matches!(cause, Cause::Mismatch { hash: "SHA-256", .. }), "{cause}");
    let sha256 = cause_actual(cause).to_uppercase();
    let expected = Expected { sha256: Some(sha256), sha512: Some("0".repeat(128)), ..expected };
    let cause = case.cause(server.url("/a"), &expected);
    let expected = Expected { sha512: Some(cause_actual(cause)), ..expected };
    let mut download = case.fetch(&[server.url("/a")], &expected).unwrap();
    assert_eq!(read(&mut download), content());
    assert_eq!((download.size, download.blob), (content().len() as u64, expected.blob.unwrap()));
    assert_eq!(download.at().read().unwrap(), content());
    drop(download);
    assert_eq!(fs::read_dir(case.top.path()).unwrap().count(), 0);
    let other = Expected { blob: Some(HashFunction::GitSha1.blob(b"other")), ..Expected::default() };
    let cause = case.cause(server.url("/a"), &other);
    let shown = format!(
        "its git blob id is {}, not {}",
        HashFunction::GitSha1.blob(&content()).to_hex(),
        HashFunction::GitSha1.blob(b"other").to_hex()
    );
    assert_eq!(cause.to_string(), shown);
}

fn cause_actual(cause: Cause) -> String {
    match cause {
        Cause::Mismatch { actual, .. } => actual,
        other => panic!("{other}"),
    }
}

#[test]
fn what_was_cut_is_resumed() {
    // 300,000 bytes for each connection.
    let server = Server::new(|request, out| ranged(request, out, &content(), 300_000));
    let case = Case::new(options());
    let mut download = case.fetch(&[server.url("/a")], &expected(&content())).unwrap();
    assert_eq!(read(&mut download), content());
    let ranges: Vec<_> = server.requests().iter().map(Received::range).collect();
    assert_eq!(ranges, [None, Some(300_000), Some(600_000), Some(900_000)]);
}

#[test]
fn without_ranges_it_begins_anew() {
    let count = AtomicUsize::new(0);
    let server = Server::new(move |_, out| {
        let cut = count.fetch_add(1, SeqCst) < 2;
        let content = content();
        let length = format!("content-length: {}", content.len());
        reply(out, "200 OK", &[length], if cut { &content[..100_000] } else { &content });
    });
    let case = Case::new(options());
    let mut download = case.fetch(&[server.url("/a")], &expected(&content())).unwrap();
    assert_eq!(read(&mut download), content());
    assert!(server.requests().iter().all(|request| request.range().is_none()));
    assert_eq!(server.requests().len(), 3);
}

/// The content changes between two parts although the tag does not; and a server that sends another part.
#[test]
fn wrong_parts_do_no_harm() {
    let server = Server::new(|request, out| {
        let is_first = request.range().is_none();
        let (old, new) = (vec![7; content().len()], content());
        let sent = if is_first { 100_000 } else { usize::MAX };
        // The second whole download is good.
        static WHOLE: AtomicUsize = AtomicUsize::new(0);
        if is_first && WHOLE.fetch_add(1, SeqCst) > 0 {
            return ranged(request, out, &content(), usize::MAX);
        }
        ranged(request, out, if is_first { &old } else { &new }, sent);
    });
    let case = Case::new(options());
    let mut download = case.fetch(&[server.url("/a")], &expected(&content())).unwrap();
    assert_eq!(read(&mut download), content());
    drop(download);
    let lies = Server::new(|request, out| match request.range() {
        None => ranged(request, out, &content(), 1000),
        Some(_) => {
            let range = "content-range: bytes 5-9/1200000".to_owned();
            reply(out, "206 Partial Content", &[range, "content-length: 5".to_owned()], b"12345");
        }
    });
    let cause = case.cause(lies.url("/a"), &expected(&content()));
    assert_eq!(cause.to_string(), "the server sent another part than it was asked for");
}

#[test]
fn the_next_mirror_is_used() {
    let missing = Server::new(|_, out| reply(out, "404 Not Found", &["content-length: 0".to_owned()], b""));
    let wrong = Server::new(|_, out| whole(out, b"something else"));
    let good = Server::new(|_, out| whole(out, &content()));
    let case = Case::new(options());
    let urls = [
        "ftp://example.org/a".to_owned(),
        missing.url("/a"),
        missing.url("/a"),
        wrong.url("/a"),
        good.url("/a"),
        good.url("/b"),
    ];
    let mut download = case.fetch(&urls, &expected(&content())).unwrap();
    assert_eq!(read(&mut download), content());
    assert_eq!(download.url, good.url("/a"));
    assert_eq!(good.requests().len(), 1);
    drop(download);
    let error = case.fetch(&urls[..4], &expected(&content())).unwrap_err();
    let tried: Vec<_> = error.tried.iter().map(|tried| (tried.url.clone(), tried.attempts)).collect();
    // A mirror that is listed twice is tried once, and what cannot pass is not repeated.
    assert_eq!(tried, [(urls[0].clone(), 1), (urls[1].clone(), 1), (urls[3].clone(), 1)]);
    assert_eq!(error.tried[1].cause, Cause::Status(404));
    let text = error.to_string();
    assert!(text.contains(&format!("{}: the server answered 404 (not found)", urls[1])), "{text}");
    assert!(text.contains("the scheme ftp is not supported"), "{text}");
    assert_eq!(fs::read_dir(case.top.path()).unwrap().count(), 0);
}

#[test]
fn failures_that_may_pass_are_retried() {
    let count = AtomicUsize::new(0);
    let server = Server::new(move |_, out| match count.fetch_add(1, SeqCst) {
        0 => reply(out, "503 Service Unavailable", &["content-length: 0".to_owned()], b""),
        // No answer at all.
        1 => {}
        _ => whole(out, &content()),
    });
    let retries = Retries::default();
    let case = Case::new(options());
    case.fetch_with(&[server.url("/a")], &expected(&content()), &retries).unwrap();
    assert_eq!(server.requests().len(), 3);
    assert_eq!(retries.0.lock().unwrap().len(), 2);
    let always = Server::new(|_, out| reply(out, "502 Bad Gateway", &["content-length: 0".to_owned()], b""));
    let error = case.fetch(&[always.url("/a")], &Expected::default()).unwrap_err();
    assert_eq!(error.tried[0].attempts, 3);
    assert!(error.to_string().ends_with("the server answered 502 (bad gateway) (3 attempts)"), "{error}");
    // A port at which nothing listens.
    let gone = Server::new(|_, _| {}).url("/a");
    let error = case.fetch(&[gone], &Expected::default()).unwrap_err();
    assert!(matches!(error.tried[0].cause, Cause::Unreachable(_)), "{error}");
    assert_eq!(error.tried[0].attempts, 3);
}

/// A call has one client: what a file showed of a server holds for the next one.
#[test]
fn a_server_that_is_down_is_tried_once_for_further_files_and_after_the_mirrors() {
    let case = Case::new(options());
    let down = Server::new(|_, _| {}).url("");
    let mirror = Server::new(|_, out| whole(out, &content()));
    let attempts = |urls: &[String]| -> Vec<u32> {
        let error = case.fetch(urls, &Expected::default()).unwrap_err();
        error.tried.iter().map(|tried| tried.attempts).collect()
    };
    assert_eq!(attempts(&[format!("{down}/a")]), [3]);
    assert_eq!(attempts(&[format!("{down}/b")]), [1]);
    let missing = Server::new(|_, out| reply(out, "404 Not Found", &["content-length: 0".to_owned()], b""));
    // The order of what was tried is that of the description all the same.
    assert_eq!(attempts(&[format!("{down}/c"), missing.url("/c")]), [1, 1]);
    let retries = Retries::default();
    let urls = [format!("{down}/d"), mirror.url("/d")];
    let download = case.fetch_with(&urls, &expected(&content()), &retries).unwrap();
    assert_eq!(download.url, urls[1]);
    assert_eq!(*retries.0.lock().unwrap(), [""; 0]);
}

#[test]
fn a_server_that_answers_again_is_one_like_the_others() {
    let is_down = Arc::new(AtomicBool::new(true));
    let answers = is_down.clone();
    let server = Server::new(move |_, out| match answers.load(SeqCst) {
        true => {}
        false => whole(out, &content()),
    });
    let case = Case::new(options());
    let error = case.fetch(&[server.url("/a")], &Expected::default()).unwrap_err();
    assert_eq!((error.tried[0].attempts, server.requests().len()), (3, 3));
    is_down.store(false, SeqCst);
    case.fetch(&[server.url("/b")], &expected(&content())).unwrap();
    // It counts as up: a file that has no answer is tried three times again.
    is_down.store(true, SeqCst);
    let error = case.fetch(&[server.url("/c")], &Expected::default()).unwrap_err();
    assert_eq!((error.tried[0].attempts, server.requests().len()), (3, 7));
}

#[derive(Default)]
struct Retries(Mutex<Vec<String>>);

impl Progress for Retries {
    fn update(&self, _: Update<'_>) {}

    fn retry(&self, url: &str, cause: &Cause) {
        self.0.lock().unwrap().push(format!("{url}: {cause}"));
    }
}

#[test]
fn a_server_that_stalls_is_given_up() {
    let server = Server::new(|request, out| {
        let content = content();
        if request.path == "/header" {
            hold();
        }
        let length = format!("content-length: {}", content.len());
        reply(out, "200 OK", &[length], &content[..70_000]);
        let _ = out.flush();
        hold();
    });
    let cause = |path: &str, options| Case::new(options).cause(server.url(path), &expected(&content()));
    let is_cut = |cause: &Cause| matches!(cause, Cause::Cut { bytes: 70_000, total: Some(1_200_000), .. });
    let cut = with_patience(|options| cause("/body", options), is_cut);
    assert!(is_cut(&cut), "{cut:?}");
    assert!(cut.to_string().contains(": nothing came for "), "{cut}");
    let silent = with_patience(|options| cause("/header", options), |_| true);
    assert_eq!(silent, Cause::Unreachable("no answer within 0.4 s".to_owned()));
}

#[test]
fn lengths_that_are_wrong_are_noticed() {
    let server = Server::new(|request, out| {
        let content = content();
        let length = match request.path.as_str() {
            "/longer" => content.len() + 10,
            "/huge" => 1 << 50,
            "/shorter" => content.len() - 10,
            _ => return reply(out, "200 OK", &[], &content),
        };
        reply(out, "200 OK", &[format!("content-length: {length}")], &content);
    });
    let case = Case::new(Options { max_size: 2_000_000, ..options() });
    // Without a length the end of the connection is the end of the content.
    case.fetch(&[server.url("/none")], &expected(&content())).unwrap();
    let cause = case.cause(server.url("/longer"), &expected(&content()));
    assert!(matches!(cause, Cause::Cut { bytes: 1_200_000, total: Some(1_200_010), .. }), "{cause:?}");
    let cause = case.cause(server.url("/shorter"), &expected(&content()));
    assert!(matches!(cause, Cause::Mismatch { .. }), "{cause:?}");
    assert_eq!(case.cause(server.url("/huge"), &expected(&content())), Cause::TooLarge(2_000_000));
    let small = Case::new(Options { max_size: 1000, ..options() });
    assert_eq!(small.cause(server.url("/none"), &expected(&content())), Cause::TooLarge(1000));
}

#[test]
fn redirects_are_followed_within_limits() {
    let server = Server::new(|request, out| match request.path.as_str() {
        "/a" => reply(out, "302 Found", &["location: /b".to_owned(), "content-length: 0".to_owned()], b""),
        "/b" => whole(out, &content()),
        _ => reply(out, "302 Found", &["location: /loop".to_owned(), "content-length: 0".to_owned()], b""),
    });
    let case = Case::new(options());
    case.fetch(&[server.url("/a")], &expected(&content())).unwrap();
    let cause = case.cause(server.url("/loop"), &expected(&content()));
    assert!(matches!(cause, Cause::Protocol(_) | Cause::Status(302)), "{cause:?}");
}

#[test]
fn a_redirection_that_leads_nowhere_is_the_fault_of_the_server() {
    let to = |out: &mut dyn Write, location: &str| {
        reply(out, "302 Found", &[format!("location: {location}"), "content-length: 0".to_owned()], b"");
    };
    let server = Server::new(move |request, out| match request.path.as_str() {
        "/ftp" => to(out, "ftp://x/"),
        "/spaces" => to(out, "http://a b/"),
        "/none" => reply(out, "302 Found", &["content-length: 0".to_owned()], b""),
        _ => {
            let lines: Vec<String> = (0..1000).map(|number| format!("x-{number}: 1")).collect();
            reply(out, "200 OK", &lines, b"");
        }
    });
    let case = Case::new(options());
    for (path, words) in [
        ("/ftp", "the server redirects to a URL of the scheme ftp, which is not supported"),
        ("/spaces", "the server redirects to something that is not a URL: http://a b/"),
        ("/none", "the server redirects, and does not say where to"),
        ("/headers", "the server's answer has more lines in its header than are accepted"),
    ] {
        assert_eq!(case.cause(server.url(path), &expected(&content())).to_string(), words, "{path}");
    }
}

#[test]
fn what_is_no_http_is_refused() {
    let server = Server::new(|_, out| drop(out.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")));
    let case = Case::new(options());
    let error = case.fetch(&[server.url("/a")], &Expected::default()).unwrap_err();
    assert!(matches!(error.tried[0].cause, Cause::Protocol(_)), "{error:?}");
}

#[test]
fn local_files_are_copied() {
    let case = Case::new(options());
    let sources = TempDir::new().unwrap();
    let path = sources.path().join("a b.tar");
    fs::write(&path, content()).unwrap();
    let url = format!("file://{}/a%20b.tar", sources.path().display());
    let mut download = case.fetch(&[url], &expected(&content())).unwrap();
    assert_eq!(read(&mut download), content());
    assert_eq!(fs::read(&path).unwrap(), content());
    drop(download);
    for bad in ["file:///", "file:///nothing/here", "relative", "file://host/x"] {
        let cause = case.cause(bad.to_owned(), &Expected::default());
        assert!(matches!(cause, Cause::File(_) | Cause::Url(_)), "{bad}: {cause:?}");
    }
}

#[test]
fn progress_is_reported_and_a_download_can_be_cancelled() {
    #[derive(Default)]
    struct Watch {
        seen: Mutex<Vec<(u64, Option<u64>)>>,
        cancels: AtomicBool,
    }
    impl Progress for Watch {
        fn update(&self, update: Update<'_>) {
            self.seen.lock().unwrap().push((update.bytes, update.total));
        }
        fn is_cancelled(&self) -> bool {
            self.cancels.load(SeqCst) && self.seen.lock().unwrap().len() > 3
        }
    }
    let server = Server::new(|_, out| whole(out, &content()));
    let case = Case::new(options());
    let watch = Watch::default();
    case.fetch_with(&[server.url("/a")], &expected(&content()), &watch).unwrap();
    let seen = watch.seen.lock().unwrap().clone();
    // The first one is from before the answer, which says how much there is.
    assert_eq!(seen.get(..2), Some(&[(0, None), (0, Some(1_200_000))][..]));
    assert_eq!(seen.last(), Some(&(1_200_000, Some(1_200_000))));
    assert!(seen.is_sorted());
    let watch = Watch { cancels: true.into(), ..Watch::default() };
    let urls = [server.url("/a"), server.url("/b")];
    let error = case.fetch_with(&urls, &expected(&content()), &watch).unwrap_err();
    assert_eq!(error.tried.len(), 1);
    assert_eq!(error.tried[0].cause, Cause::Cancelled);
    assert_eq!(fs::read_dir(case.top.path()).unwrap().count(), 0);
}

#[test]
fn certificates_are_verified_unless_that_is_switched_off() {
    let server =
        Server::with_certificate(Some(&tls("cert.pem")), &tls("key.pem"), |_, out| whole(out, &content()));
    let with = |ca_file: Option<&str>, verify_tls| {
        let ca_file = ca_file.map(tls);
        Case::new(Options { ca_file, verify_tls, ..options() })
    };
    with(Some("ca.pem"), true).fetch(&[server.url("/a")], &expected(&content())).unwrap();
    with(None, false).fetch(&[server.url("/a")], &expected(&content())).unwrap();
    // The authorities of the system did not sign it; and it is not retried.
    let error = with(None, true).fetch(&[server.url("/a")], &expected(&content())).unwrap_err();
    assert!(matches!(error.tried[0].cause, Cause::Tls(_)), "{error:?}");
    assert_eq!(error.tried[0].attempts, 1);
    for bad in ["key.pem", "nothing.pem"] {
        let options = Options { ca_file: Some(tls(bad)), ..options() };
        let cause = Client::new(options, Servers::default()).map(drop).unwrap_err();
        assert!(cause.to_string().contains(bad), "{cause}");
    }
}

/// A server's certificate may itself be one that the caller names, also one of an authority, as OpenSSL has it. What
/// else is wrong with it counts all the same.
#[test]
fn certificates_are_accepted_or_the_error_says_what_is_wrong_with_them() {
    const ACCEPTED: Result<(), &str> = Ok(());
    for (certificate, key, trusted, expected_result) in [
        ("self-server.pem", "self-key.pem", "self-server.pem", ACCEPTED),
        ("self-ca.pem", "self-key.pem", "self-ca.pem", ACCEPTED),
        // Signed by an authority that is not named; it is named itself.
        ("cert.pem", "key.pem", "cert.pem", ACCEPTED),
        ("self-server.pem", "self-key.pem", "ca.pem", Err("it is signed by none that is trusted here")),
        ("self-ca.pem", "self-key.pem", "ca.pem", Err("and none that is trusted here; --fetch-cacert FILE")),
        ("self-ca-expired.pem", "self-key.pem", "self-ca-expired.pem", Err("it has expired")),
        (
            "self-ca-elsewhere.pem",
            "self-key.pem",
            "self-ca-elsewhere.pem",
            Err("it is for servers of other names"),
        ),
        // The authority has the name, and another key.
        ("cert.pem", "key.pem", "ca-other-key.pem", Err("that of --fetch-cacert may be an older one")),
    ] {
        let server =
            Server::with_certificate(Some(&tls(certificate)), &tls(key), |_, out| whole(out, &content()));
        let case = Case::new(Options { ca_file: Some(tls(trusted)), ..options() });
        let done = case.fetch(&[server.url("/a")], &expected(&content()));
        let done = done.map(drop).map_err(|error| error.tried[0].cause.to_string());
        match (&done, expected_result) {
            (Ok(()), Ok(())) => {}
            (Err(text), Err(part)) => assert!(
                text.starts_with("the certificate of the server is not accepted: ") && text.contains(part),
                "{certificate}, {trusted}: {text}"
            ),
            _ => panic!("{certificate}, {trusted}: {done:?}"),
        }
    }
}

/// The words are those of a person, not of the libraries below.
#[test]
fn causes_are_in_plain_words() {
    let cause = |options: Options, url: String| {
        let error = Case::new(options).fetch(&[url], &expected(&content())).unwrap_err();
        error.tried[0].cause.to_string()
    };
    let once = || Options { retries: retries(1), ..options() };
    let answering = |bytes: &'static [u8]| Server::new(move |_, out| drop(out.write_all(bytes)));

    let server = answering(b"SSH-2.0-OpenSSH_9.6\r\n");
    let text = cause(once(), server.url("/a"));
    assert!(
        text.starts_with("the server's answer is not HTTP; is the port that of another service"),
        "{text}"
    );
    // It answers to the first bytes of TLS, which are not a request.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://127.0.0.1:{}/a", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    assert_eq!(cause(once(), url), "the server does not speak TLS; is the port one of http?");

    let server = answering(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n");
    let text = cause(once(), server.url("/a"));
    assert_eq!(text, "the server's answer is not as HTTP wants it: content-length header not a number");

    let server = answering(b"");
    assert_eq!(cause(once(), server.url("/a")), "the server closed the connection");

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = cause(once(), format!("http://127.0.0.1:{free}/a"));
    assert_eq!(text, "connection refused: no server listens there");

    let text = cause(once(), "http://no-such-host.invalid/a".to_owned());
    assert_eq!(text, "there is no server of that name");
}

#[test]
fn several_downloads_run_at_the_same_time() {
    let server = Server::new(|request, out| whole(out, request.path.repeat(1000).as_bytes()));
    let case = Case::new(options());
    std::thread::scope(|scope| {
        for n in 0..16 {
            let (case, server) = (&case, &server);
            scope.spawn(move || {
                let path = format!("/{n}");
                let content = path.repeat(1000).into_bytes();
                let mut download = case.fetch(&[server.url(&path)], &expected(&content)).unwrap();
                assert_eq!(read(&mut download), content);
            });
        }
    });
    assert_eq!(fs::read_dir(case.top.path()).unwrap().count(), 0);
}
