//! Servers that are gone in one round and there in another.

use taut_digest::HashFunction;
use taut_remote::server::{Offer, Server};

use super::*;

/// One source that each round changes.
fn project() -> Workspace {
    let workspace = Workspace::new();
    let made = r#"{"all": {"type": "generic", "outs": ["o"], "deps": ["a.txt"], "cmds": ["cat a.txt > o"]}}"#;
    workspace.file("TARGETS", made).file("a.txt", "0\n");
    workspace
}

/// A server on the port of one that has ended.
fn again(offer: Offer, port: u16) -> Server {
    let end = Instant::now() + PATIENCE;
    let memory = Server::start(offer.clone()).unwrap().memory().clone();
    loop {
        match Server::with(offer.clone(), memory.clone(), port) {
            Ok(server) => return server,
            // Connections of the one before may still hold the port.
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_cache_that_was_given_up_is_tried_again_in_the_next_round() {
    let (server, workspace) = (Server::start(Offer::default()).unwrap(), project());
    let (address, port) = (server.address(), server.port());
    let mut watching = Watching::start(
        &workspace,
        &["--remote-cache", &address, "--remote-cache-write", "--max-attempts", "1"],
    );
    watching.round("");
    let results = server.memory().results().len();
    assert!(results > 0);
    drop(server);
    for text in ["1\n", "2\n"] {
        workspace.file("a.txt", text);
        watching.until("the build goes on without it");
        has(&watching.round(""), "1 action of 1 run");
    }
    let server = again(Offer::default(), port);
    workspace.file("a.txt", "3\n");
    has(&watching.round("a.txt"), "1 action of 1 run");
    assert_eq!(server.memory().results().len(), results, "{}", watching.all());
    assert_eq!(watching.all().matches("goes on without it").count(), 2, "{}", watching.all());
    watching.interrupt();
}

/// The other server has nothing of what the first one had, so all of it is sent again.
#[test]
fn what_a_cache_had_in_an_earlier_round_is_sent_to_its_successor() {
    let (server, workspace) = (Server::start(Offer::default()).unwrap(), project());
    let (address, port) = (server.address(), server.port());
    let mut watching = Watching::start(&workspace, &["--remote-cache", &address, "--remote-cache-write"]);
    watching.round("");
    drop(server);
    let server = again(Offer::default(), port);
    workspace.file("a.txt", "1\n");
    watching.round("a.txt");
    for (_, result) in server.memory().results() {
        for file in result.output_files {
            let hash = taut_digest::Hash::from_hex(&file.digest.unwrap().hash).unwrap();
            assert!(server.memory().blob(&hash).is_some(), "{} is not there", file.path);
        }
    }
    watching.interrupt();
}

#[test]
fn a_server_that_executes_is_tried_again_in_the_next_round() {
    let offer = Offer::executing(HashFunction::Sha256, Vec::new());
    let (server, workspace) = (Server::start(offer.clone()).unwrap(), project());
    let (address, port) = (server.address(), server.port());
    let mut watching = Watching::start(&workspace, &["-r", &address, "--compatible", "--max-attempts", "1"]);
    watching.round("");
    drop(server);
    workspace.file("a.txt", "1\n");
    watching.until("error: server");
    let server = again(offer, port);
    workspace.file("a.txt", "2\n");
    has(&watching.round("a.txt"), "1 action of 1 run");
    assert!(server.calls()["Execute"] > 0);
    watching.interrupt();
}
