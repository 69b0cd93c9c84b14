//! Where the address of the cache comes from: the command line, or an rc file that a team shares.

use taut_remote::server::{Offer, Server};
use taut_testkit::{GitRepository, Proxy, Workspace};

use super::{ACTIONS, install, taut, workspace};

/// A workspace with an rc file.
fn with_rc(rc: &str) -> Workspace {
    let workspace = workspace();
    workspace.file("rc.json", rc);
    workspace
}

#[test]
fn an_rc_file_names_the_cache() {
    let server = Server::start(Offer { instance: "team".to_owned(), ..Offer::default() }).unwrap();
    let address = server.address();
    let rc = format!(
        r#"{{"remote cache": {{"address": "grpc://{address}", "instance name": "team", "write": true, "timeout": 5}}}}"#
    );
    let (first, second) = (with_rc(&rc), with_rc(&rc));
    install(&first, &["--rc", "rc.json"]);
    install(&second, &["--rc", "rc.json"]);
    assert_eq!((first.actions_run(), second.actions_run()), (ACTIONS as u64, 0));
    // The command line counts, and may turn the cache off.
    let calls = server.total();
    for words in [&["--rc", "rc.json", "--remote-cache", ""][..], &["--norc"]] {
        let third = with_rc(&rc);
        install(&third, words);
        assert_eq!((third.actions_run(), server.total()), (ACTIONS as u64, calls), "{words:?}");
    }
    // Only looked up there, since the command line names another cache.
    let other = Server::start(Offer { instance: "team".to_owned(), ..Offer::default() }).unwrap();
    install(
        &with_rc(&rc),
        &["--rc", "rc.json", "--remote-cache", &other.address(), "--remote-instance-name", "team"],
    );
    assert!(other.total() > 0 && other.memory().results().is_empty());
    assert_eq!(server.total(), calls);
}

#[test]
fn an_rc_file_may_leave_storing_to_the_command_line() {
    let server = Server::start(Offer::default()).unwrap();
    let rc = format!(r#"{{"remote cache": {{"address": "{}"}}}}"#, server.address());
    install(&with_rc(&rc), &["--rc", "rc.json"]);
    assert!(server.memory().results().is_empty());
    install(&with_rc(&rc), &["--rc", "rc.json", "--remote-cache-write"]);
    // Of each action, and the latest action with its outputs.
    assert_eq!(server.memory().results().len(), 2 * ACTIONS);
}

#[test]
fn what_is_wrong_with_an_rc_file_is_reported() {
    for (rc, text) in [
        (r#"{"remote cache": "a:1"}"#, "\"remote cache\" is a map"),
        (r#"{"remote cache": {"address": 1}}"#, "\"address\" is a string"),
        (r#"{"remote cache": {"write": "yes"}}"#, "\"write\" is true or false"),
        (r#"{"remote cache": {"timeout": 0}}"#, "\"timeout\" is a number of seconds, at least 1"),
        (r#"{"remote cache": {"adress": "a:1"}}"#, "\"remote cache\" has no entry \"adress\""),
        (r#"{"remote cache": {"address": "http://a:1"}}"#, "http:// is neither grpc:// nor grpcs://"),
    ] {
        let ran = with_rc(rc).run(&taut(), ["build", "--rc", "rc.json", "all"]);
        assert!([1, 16].contains(&ran.code), "{}", ran.stderr);
        assert!(ran.stderr.contains(text), "{rc}: {}", ran.stderr);
    }
    let ran = workspace().run(&taut(), ["build", "--norc", "--remote-cache-write", "all"]).exits(16);
    assert!(ran.stderr.contains("no remote cache is named"), "{}", ran.stderr);
    let ran = workspace().run(&taut(), ["build", "--remote-cache-timeout", "0", "all"]).exits(16);
    assert!(ran.stderr.contains("--remote-cache-timeout has to be at least 1"), "{}", ran.stderr);
}

/// Roots that are computed before the build, and the build, are one call: what is found out about the cache is known to
/// all.
#[test]
fn a_cache_that_is_gone_is_asked_once_by_a_call_with_computed_roots() {
    let server = Server::start(Offer::default()).unwrap();
    let proxy = Proxy::always(
        (std::net::Ipv4Addr::LOCALHOST, server.port()).into(),
        taut_testkit::LinkFault::Refused,
    )
    .unwrap();
    let workspace = Workspace::new();
    let git = GitRepository::new(workspace.beside("repository.git"));
    let targets = r#"{"": {"type": "export", "target": "make"}, "make": {"type": "generic", "outs": ["TARGETS"],
        "cmds": ["echo '{\"t\": {\"type\": \"generic\", \"outs\": [\"o\"], \"cmds\": [\"echo made > o\"]}}' > TARGETS"]}}"#;
    let root = git.tree(&[("100644", b"TARGETS".as_slice(), &git.blob(targets))]);
    workspace.file(
        "repos.json",
        format!(
            r#"{{"main": "main", "repositories":
              {{ "base": {{"workspace_root": ["git tree", "{root}", "{}"]}}
              , "main": {{"workspace_root": ["computed", "base", "", "", {{}}]}} }}}}"#,
            git.path().display()
        ),
    );
    let words = ["build", "-C", "repos.json", "--remote-cache", &proxy.address(), "--max-attempts", "2", "t"];
    let built = workspace.run(&taut(), words).exits(0);
    let warnings = built.stderr.lines().filter(|line| line.contains("the build goes on without it")).count();
    assert_eq!(warnings, 1, "{}", built.stderr);
    assert!(built.stderr.contains("1 action run"), "{}", built.stderr);
    let connections = proxy.connections();
    assert!(connections <= 3, "{connections}");
    assert_eq!(workspace.events("remote_cache_failed").len(), 0, "the build itself asks nothing");
}
