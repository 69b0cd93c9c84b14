//! Builds that share a cache: what one has run, the others take from there. Whatever is wrong with the cache, results
//! are those of a build without it.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

mod encrypted;
mod faults;
mod figures;
mod golden;
mod misses;
mod page;
mod settings;
mod whole;

use std::collections::BTreeMap;

use serde_json::Value;
use taut_proto::{Directory, Message, OutputDirectory, OutputSymlink, SymlinkNode, TreeBytes};
use taut_remote::server::{Fault, Faults, Offer, Server};
use taut_testkit::{Installed, Tool, Workspace};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

/// Results of every kind: files, an executable, a link, a tree with an empty directory, output, more than one batch.
const TARGETS: &str = r#"{
  "files": {"type": "generic", "outs": ["file", "program", "link", "empty"],
    "cmds": ["tr a-z A-Z < source > file", "printf '#!/bin/sh\\necho yes\\n' > program", "chmod +x program",
             "ln -s file link", ": > empty", "echo made files", "echo with care >&2"], "deps": ["source"]},
  "tree": {"type": "generic", "out_dirs": ["tree"],
    "cmds": ["mkdir -p tree/a/b tree/empty", "cp file tree/a/b/x", "cp program tree/a/p", "ln -s a/b/x tree/l",
             "cp file tree/y"], "deps": ["files"]},
  "large": {"type": "generic", "outs": ["large"], "cmds": ["yes \"$(cat source)\" | head -c 5000000 > large"], "deps": ["source"]},
  "all": {"type": "install", "dirs": [["files", "files"], ["tree", "tree"], ["large", "large"]]}
}"#;

/// How many actions these have.
const ACTIONS: usize = 3;

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.file("TARGETS", TARGETS).file("source", "some text\n");
    workspace
}

/// Installs everything, with more words on the command line.
#[track_caller]
fn install(workspace: &Workspace, words: &[&str]) -> Installed {
    workspace.install(&taut(), words, "all").succeeded()
}

#[track_caller]
fn without_cache() -> BTreeMap<String, String> {
    install(&workspace(), &[]).files
}

fn writing(server: &Server) -> [String; 3] {
    ["--remote-cache".to_owned(), server.address(), "--remote-cache-write".to_owned()]
}

#[track_caller]
fn sharing(workspace: &Workspace, server: &Server) -> Installed {
    install(workspace, &writing(server).each_ref().map(String::as_str))
}

#[test]
fn what_one_build_has_run_the_next_one_takes() {
    let server = Server::start(Offer::default()).unwrap();
    let (first, second) = (workspace(), workspace());
    let expected = without_cache();
    let built = sharing(&first, &server);
    assert_eq!(built.files, expected);
    assert_eq!(first.actions_run(), ACTIONS as u64);
    let traffic = &first.events("build_finished")[0]["remote_cache"];
    assert_eq!((&traffic["hits"], &traffic["stored"]), (&0.into(), &ACTIONS.into()));
    assert!(traffic["sent"].as_u64() > Some(5_000_000), "{traffic}");

    // A build that may only read.
    let built = install(&second, &["--remote-cache", &server.address()]);
    assert_eq!(built.files, expected);
    assert_eq!(second.actions_run(), 0);
    let traffic = &second.events("build_finished")[0]["remote_cache"];
    assert_eq!(
        (&traffic["hits"], &traffic["stored"], &traffic["sent"]),
        (&ACTIONS.into(), &0.into(), &0.into())
    );
    let from: Vec<Value> = second.events("action").iter().map(|action| action["from"].clone()).collect();
    assert_eq!(from, vec![Value::from("remote"); ACTIONS]);
    // What was printed there is shown here, since it has not been shown yet.
    assert!(
        built.ran.stderr.contains("made files") && built.ran.stderr.contains("with care"),
        "{}",
        built.ran.stderr
    );
    assert!(built.ran.stderr.contains("3 actions from the remote cache"), "{}", built.ran.stderr);

    // From now on the results are here, also without the cache.
    let calls = server.total();
    install(&second, &[]);
    std::fs::remove_dir_all(second.build_root().join("taut")).unwrap();
    install(&second, &[]);
    assert_eq!((second.actions_run(), server.total()), (0, calls));
}

#[test]
fn builds_in_native_and_in_compatible_mode_share_results() {
    for modes in [[false, true], [true, false], [true, true]] {
        let server = Server::start(Offer::default()).unwrap();
        for (is_compatible, runs) in modes.into_iter().zip([ACTIONS as u64, 0]) {
            let workspace = workspace();
            let mut words = writing(&server).to_vec();
            words.extend(is_compatible.then(|| "--compatible".to_owned()));
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            assert_eq!(install(&workspace, &words).files, without_cache(), "{modes:?}");
            assert_eq!(workspace.actions_run(), runs, "{modes:?}");
        }
    }
}

#[test]
fn a_build_with_nothing_to_do_asks_nothing() {
    let server = Server::start(Offer::default()).unwrap();
    let workspace = workspace();
    sharing(&workspace, &server);
    let calls = server.total();
    sharing(&workspace, &server);
    assert_eq!(server.total(), calls);
}

#[test]
fn each_content_is_sent_at_most_once_and_asked_for_in_batches() {
    let server = Server::start(Offer::default()).unwrap();
    let workspace = Workspace::new();
    let target = |number: usize| {
        format!(
            r#""t{number}": {{"type": "generic", "outs": ["o{number}", "same{number}"], "cmds": ["echo {number} > o{number}", "echo same > same{number}"]}}"#
        )
    };
    let all: Vec<String> = (0..60).map(target).collect();
    let names: Vec<String> = (0..60).map(|number| format!(r#"["t{number}", "t{number}"]"#)).collect();
    workspace.file(
        "TARGETS",
        format!(r#"{{{}, "all": {{"type": "install", "dirs": [{}]}}}}"#, all.join(","), names.join(",")),
    );
    sharing(&workspace, &server);
    let traffic = &workspace.events("build_finished")[0]["remote_cache"];
    assert_eq!(traffic["stored"], 60, "{traffic}");
    // Each has an Action, a Command, a blob of its own, and two that all have: the empty directory of inputs is one.
    assert_eq!(server.memory().blobs().len(), 3 * 60 + 2);
    let calls = server.calls();
    // Each has a result, and is the latest action with its outputs.
    assert_eq!((calls["GetActionResult"], calls["UpdateActionResult"]), (2 * 60, 2 * 60));
    assert!(calls["FindMissingBlobs"] + calls["BatchUpdateBlobs"] <= 2 * 60, "{calls:?}");
    assert_eq!(calls.get("Write"), None);
}

#[test]
fn results_whose_contents_are_gone_are_made_again() {
    let server = Server::start(Offer::default()).unwrap();
    sharing(&workspace(), &server);
    let expected = without_cache();
    for gone in server.memory().blobs() {
        let bytes = server.memory().blob(&gone).unwrap();
        server.memory().remove(&gone);
        let workspace = workspace();
        assert_eq!(install(&workspace, &["--remote-cache", &server.address()]).files, expected);
        server.memory().add(bytes.to_vec());
    }
    // And they are stored again.
    for gone in server.memory().blobs() {
        server.memory().remove(&gone);
    }
    sharing(&workspace(), &server);
    let last = workspace();
    assert_eq!(sharing(&last, &server).files, expected);
    assert_eq!(last.actions_run(), 0);
}

#[test]
fn what_is_read_alone_counts_where_there_is_a_depfile() {
    let server = Server::start(Offer::default()).unwrap();
    let workspace = |unread: &str| {
        let workspace = Workspace::new();
        workspace.file("RULES", r#"{"made": {"target_fields": ["deps"], "expression": {"type": "RESULT", "artifacts":
          {"type": "ACTION", "outs": ["out", "out.d"], "depfile": "out.d", "cmd": ["sh", "-c", "cat a > out; echo 'out: a' > out.d"],
           "inputs": {"type": "map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "deps"}, "body":
             {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}}}}}"#);
        workspace.file("TARGETS", r#"{"all": {"type": "made", "deps": ["a", "b"]}}"#);
        workspace.file("a", "text").file("b", unread);
        workspace
    };
    for (unread, runs) in [("one", 1), ("two", 0), ("three", 0)] {
        let workspace = workspace(unread);
        sharing(&workspace, &server);
        assert_eq!(workspace.actions_run(), runs, "{unread}");
    }
    let other = workspace("two");
    other.file("a", "other text");
    assert_eq!(sharing(&other, &server).files["out"], "file 644 other text");
    assert_eq!(other.actions_run(), 1);
}

#[test]
fn actions_that_must_not_be_cached_are_not_shared() {
    let server = Server::start(Offer::default()).unwrap();
    let workspace = || {
        let workspace = Workspace::new();
        workspace.file(
            "RULES",
            r#"{"made": {"string_fields": ["n"], "tainted": ["x"], "expression": {"type": "RESULT", "artifacts":
          {"type": "ACTION", "outs": ["out"], "cmd": ["sh", "-c", "echo made > out"], "no_cache": ["x"]}}}}"#,
        );
        workspace.file("TARGETS", r#"{"all": {"type": "made", "tainted": ["x"]}}"#);
        workspace
    };
    sharing(&workspace(), &server);
    let second = workspace();
    sharing(&second, &server);
    assert_eq!((second.actions_run(), server.total()), (1, 0));
}

#[test]
fn failures_are_not_stored() {
    let server = Server::start(Offer::default()).unwrap();
    let workspace = Workspace::new();
    workspace
        .file("TARGETS", r#"{"t": {"type": "generic", "outs": ["o"], "cmds": ["echo x > o", "false"]}}"#);
    let [a, b, c] = &writing(&server);
    let ran = workspace.run(&taut(), ["build", a, b, c, "t"]).exits(1);
    assert!(ran.stderr.contains("exit code 1"), "{}", ran.stderr);
    assert!(server.memory().results().is_empty());
}

#[test]
fn a_cache_that_is_gone_costs_one_line() {
    let server = Server::start(Offer::default()).unwrap();
    let address = server.address();
    drop(server);
    let workspace = workspace();
    let words = ["--remote-cache", &address, "--remote-cache-write"];
    let built = install(&workspace, &words);
    assert_eq!(built.files, without_cache());
    let warnings: Vec<&str> = built.ran.stderr.lines().filter(|line| line.contains("remote cache")).collect();
    let [warning] = &warnings[..] else { panic!("{}", built.ran.stderr) };
    assert!(warning.contains(&address) && warning.contains("Connection refused"), "{warning}");
    assert!(warning.contains("the build goes on without it"), "{warning}");
    assert_eq!(workspace.events("remote_cache_failed").len(), 1);
}

#[test]
fn a_cache_that_takes_nothing_is_read_and_says_so_once() {
    let server = Server::start(Offer::default()).unwrap();
    sharing(&workspace(), &server);
    let offer = Offer { takes_results: false, ..Offer::default() };
    let strict = Server::with(offer, server.memory().clone(), 0).unwrap();
    let workspace = workspace();
    workspace.file("source", "another text\n");
    sharing(&workspace, &strict);
    assert_eq!(workspace.actions_run(), ACTIONS as u64);
    let failed = workspace.events("remote_cache_failed");
    let text = failed[0]["error"].as_str().unwrap();
    assert!(text.contains("the server takes no results; no more results are stored there"), "{text}");
}

/// A server that answers, but not what it should: results that no action may have.
#[test]
fn results_that_no_action_may_have_are_not_taken() {
    let server = Server::start(Offer::default()).unwrap();
    sharing(&workspace(), &server);
    let expected = without_cache();
    let true_results = server.memory().results();
    let add_tree = |directory: Directory| {
        let tree = TreeBytes { root: directory.encode_to_vec(), children: vec![] };
        let digest = server.memory().add(tree.encode_to_vec());
        let digest = taut_proto::Digest { hash: digest.hash.to_hex(), size_bytes: digest.size as i64 };
        OutputDirectory { path: "tree".to_owned(), tree_digest: Some(digest) }
    };
    let link = |name: &str, target: &str| SymlinkNode { name: name.to_owned(), target: target.to_owned() };
    let bad_trees = [
        Directory { symlinks: vec![link("l", "/etc/passwd")], ..Directory::default() },
        Directory { symlinks: vec![link("../l", "x")], ..Directory::default() },
        Directory { symlinks: vec![link("..", "x")], ..Directory::default() },
    ];
    for (bad, bad_tree) in bad_trees.into_iter().map(Some).chain([const { None }; 5]).enumerate() {
        for (action, result) in &true_results {
            let mut result = result.clone();
            match bad {
                0..3 if !result.output_directories.is_empty() => {
                    result.output_directories = bad_tree.clone().map(add_tree).into_iter().collect();
                }
                3 => result.exit_code = 1,
                4 => {
                    result.output_files.pop();
                    result.output_directories.clear();
                }
                5 => {
                    let target = "../../outside".to_owned();
                    let link = |path: &str| OutputSymlink { path: path.to_owned(), target: target.clone() };
                    result.output_symlinks = ["link", "large", "tree"].map(link).into();
                    result.output_directories.clear();
                    result.output_files.retain(|file| file.path != "large");
                }
                6 => result.output_files.iter_mut().for_each(|file| file.digest = None),
                7 => result.output_files.iter_mut().for_each(|file| {
                    if let Some(digest) = &mut file.digest {
                        digest.size_bytes += 1;
                    }
                }),
                _ => {}
            }
            server.memory().add_result(*action, result);
        }
        let workspace = workspace();
        assert_eq!(install(&workspace, &["--remote-cache", &server.address()]).files, expected, "{bad}");
        assert!(workspace.actions_run() > 0, "{bad}");
    }
}

#[test]
fn contents_that_do_not_match_are_not_used_and_reported() {
    let server = Server::start(Offer::default()).unwrap();
    sharing(&workspace(), &server);
    let offer = Offer { faults: Faults::always(Fault::Flipped), has_zstd: false, ..Offer::default() };
    let lying = Server::with(offer, server.memory().clone(), 0).unwrap();
    let workspace = workspace();
    let built = install(&workspace, &["--remote-cache", &lying.address(), "--max-attempts", "1"]);
    assert_eq!(built.files, without_cache());
    assert_eq!(workspace.actions_run(), ACTIONS as u64);
    assert!(
        built.ran.stderr.contains("do not match their digests; they were not used"),
        "{}",
        built.ran.stderr
    );
}

#[test]
fn a_server_that_is_lost_in_the_middle_is_done_without() {
    let server = Server::start(Offer::default()).unwrap();
    let workspace = workspace();
    // The action in between ends the server: it waits until the test has done that.
    let (gate, begun) = (workspace.beside("gate"), workspace.beside("begun"));
    let wait = format!(
        r#"{{"slow": {{"type": "generic", "outs": ["slow"], "cmds": [": > {}", "while ! test -e {}; do sleep 0.01; done", ": > slow"]}},
          "after": {{"type": "generic", "outs": ["after"], "cmds": ["cp slow after"], "deps": ["slow"]}},
          "all": {{"type": "install", "files": {{"after": "after"}}}}}}"#,
        begun.display(),
        gate.display()
    );
    workspace.file("TARGETS", wait);
    let [a, b, c] = writing(&server);
    let mut build = workspace.start(&taut(), ["build", &a, &b, &c, "all"]);
    while !begun.exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    drop(server);
    std::fs::write(&gate, "").unwrap();
    assert!(build.wait().unwrap().success());
    assert_eq!(workspace.actions_run(), 2);
    assert_eq!(workspace.events("remote_cache_failed").len(), 1);
}

/// The server never answers, and a day of attempts is allowed.
#[test]
fn an_interrupted_build_does_not_wait_for_the_cache() {
    let server = Server::start(Offer { faults: Faults::always(Fault::Hang), ..Offer::default() }).unwrap();
    let workspace = workspace();
    let words = ["build", "--remote-cache", &server.address(), "--max-attempts", "10000", "all"];
    let mut build = workspace.start(&taut(), words);
    while server.total() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let pid = rustix::process::Pid::from_child(&build);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(build.wait().unwrap().code(), Some(130));
}

#[test]
fn options_that_fit_nothing_are_refused() {
    let workspace = workspace();
    for (words, text) in [
        (&["--remote-cache", "nowhere"][..], "it has no port"),
        (&["--remote-cache", "http://a:1"], "http:// is neither grpc:// nor grpcs://"),
        (&["--remote-cache", "grpc://a:1", "--tls-ca-cert", "/dev/null"], "the connection is not encrypted"),
    ] {
        let call = ["build"].into_iter().chain(words.iter().copied()).chain(["all"]);
        let ran = workspace.run(&taut(), call).exits(16);
        assert!(ran.stderr.contains(text), "{}", ran.stderr);
    }
}

#[test]
fn under_the_name_just_there_is_no_such_option() {
    let ran = workspace().run(&taut().called("just"), ["build", "--remote-cache", "a:1", "all"]).exits(32);
    assert!(ran.stderr.contains("The following argument was not expected: --remote-cache"), "{}", ran.stderr);
}
