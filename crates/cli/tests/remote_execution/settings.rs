//! Where the address of the server comes from, the command line or an rc file, and what a remote cache is beside it.

use taut_remote::server::{Offer, Server};
use taut_testkit::{ToolResult, Workspace};

use super::{BOTH, golden::golden, start, taut};

fn project(rc: &str) -> Workspace {
    let workspace = Workspace::new();
    workspace.file("TARGETS", r#"{"all": {"type": "generic", "outs": ["o"], "cmds": ["echo > o"]}}"#);
    workspace.file("rc.json", rc);
    workspace
}

#[track_caller]
fn build(workspace: &Workspace, words: &[&str]) -> ToolResult {
    workspace.run(&taut(), [&["build", "--rc", "rc.json"], words, &["all"]].concat()).exits(0)
}

fn executed(server: &Server) -> u64 {
    server.calls().get("Execute").copied().unwrap_or_default()
}

#[test]
fn an_rc_file_names_the_server_and_the_call_another_one_or_none() {
    let (one, other) = (start(BOTH[1], &[]), start(BOTH[0], &[]));
    let rc = format!(r#"{{"remote execution": {{"address": "{}", "compatible": true}}}}"#, one.address());
    build(&project(&rc), &[]);
    assert_eq!((executed(&one), executed(&other)), (1, 0));
    let native = format!(r#"{{"remote execution": {{"address": "{}"}}}}"#, other.address());
    build(&project(&native), &[]);
    build(&project(&native), &["-r", &one.address(), "--compatible"]);
    assert_eq!((executed(&one), executed(&other)), (1, 1), "the other one has the result already");
    build(&project(&rc), &["-r", ""]);
    build(&project(&rc), &["--norc"]);
    assert_eq!((executed(&one), executed(&other)), (1, 1));
}

/// What an rc file says of a cache is for builds without a server that executes, and no contradiction. What a call says
/// of one is.
#[test]
fn a_remote_cache_without_effect_is_a_warning_if_the_call_names_it() {
    let (server, cache) = (start(BOTH[0], &[]), Server::start(Offer::default()).unwrap());
    let (at, of_cache) = (server.address(), cache.address());
    let execution = format!(r#""remote execution": {{"address": "{at}"}}"#);
    let caching = format!(r#""remote cache": {{"address": "{of_cache}"}}"#);
    let warning = |text: &str| {
        text.lines().take_while(|line| !line.starts_with("Built")).collect::<Vec<_>>().join("\n")
    };
    let both = build(&project(&format!("{{{execution}, {caching}}}")), &[]).stderr;
    let option = build(&project(&format!("{{{caching}}}")), &["-r", &at]).stderr;
    assert_eq!((warning(&both), warning(&option)), Default::default());
    let text = build(&project("{}"), &["-r", &at, "--remote-cache", &of_cache]).stderr;
    golden("A remote cache beside -r", &warning(&text));
    let text = build(&project(&format!("{{{execution}}}")), &["--remote-cache", &of_cache]).stderr;
    golden("A remote cache beside a server of the rc file", &warning(&text));
    assert_eq!(cache.total(), 0);

    // Without a server, the cache counts again.
    build(&project(&format!("{{{execution}, {caching}}}")), &["-r", ""]);
    assert!(cache.total() > 0);
}
