//! A value in memory, its hash on the wire: a page is a parsed response, its hash is the entity tag, which a
//! `HEAD` request returns without the page. `cargo run -p taut-engine --example etag` starts a server of its own.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use taut_engine::{Cx, Engine, Fail, Hash, HashCx, Options, Policy, Rule};

/// A parsed response.
struct Page {
    headers: BTreeMap<String, String>,
    body: String,
}

fn fetch(server: SocketAddr, method: &str, path: &str) -> std::io::Result<Page> {
    let mut stream = TcpStream::connect(server)?;
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    Ok(Page { headers, body: body.to_owned() })
}

/// The pages of a server.
struct PageRule(SocketAddr);

impl Rule for PageRule {
    type Key = String;
    type Value = Arc<Page>;
    const NAME: &'static str = "page";

    fn policy(&self, _: &String) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, path: &String, _: Cx) -> Result<Arc<Page>, Fail> {
        fetch(self.0, "GET", path).map(Arc::new).map_err(|error| Fail::transient(error.to_string()))
    }

    /// Does not request the value: a dependent that wants only the hash does not fetch the page.
    async fn hash(&self, path: &String, _: HashCx<PageRule>) -> Result<Hash, Fail> {
        let page = fetch(self.0, "HEAD", path).map_err(|error| Fail::transient(error.to_string()))?;
        let tag = page.headers.get("etag").ok_or_else(|| Fail::task(format!("{path} has no entity tag")))?;
        Hash::from_slice(tag.as_bytes()).ok_or_else(|| Fail::task(format!("{tag} is too long")))
    }
}

/// How many words a page has.
struct Words;

impl Rule for Words {
    type Key = String;
    type Value = usize;
    const NAME: &'static str = "words";

    async fn value(&self, path: &String, cx: Cx) -> Result<usize, Fail> {
        Ok(cx.get::<PageRule>(path.clone()).await?.body.split_whitespace().count())
    }

    fn content_hash(&self, _: &String, words: &usize) -> Option<Hash> {
        Some(Hash::from(*words as u64))
    }
}

/// Serves one page; prints the requests.
fn serve(listener: &TcpListener, page: &Mutex<(u32, String)>) {
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { return };
        let mut request = String::new();
        let _ = BufReader::new(&stream).read_line(&mut request);
        println!("  server: {}", request.trim_end());
        let (tag, body) = page.lock().expect("no panic").clone();
        let body = if request.starts_with("HEAD") { String::new() } else { body };
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nETag: \"{tag}\"\r\nConnection: close\r\n\r\n{body}");
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let page = Arc::new(Mutex::new((1, "three little words".to_owned())));
    let served = page.clone();
    std::thread::Builder::new().spawn(move || serve(&listener, &served))?;

    let engine = Engine::builder().rule(PageRule(address)).rule(Words).build();
    let count = |what: &str| -> Result<usize, Fail> {
        println!("{what}");
        let build = engine.begin().scan().commit(Options::default());
        let words = build.get::<Words>("/".to_owned())?;
        println!("  {words} words; ran: {:?}", build.ran());
        Ok(words)
    };
    assert_eq!(count("The first time, tag and page are asked for:")?, 3);
    assert_eq!(count("Nothing changed: the tag says so, the page is not fetched:")?, 3);
    *page.lock().expect("no panic") = (2, "three other words".to_owned());
    assert_eq!(count("Another page: it is fetched, and counted again:")?, 3);
    Ok(())
}
