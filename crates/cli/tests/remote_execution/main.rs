//! Builds whose actions a server executes: results are those of a build without it, and what is lost or goes wrong on
//! the way costs time only.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

mod calls;
mod commands;
mod faults;
#[path = "../remote_cache/golden.rs"]
mod golden;
mod misses;
mod reads;
mod set_ups;
mod settings;
#[path = "../remote_cache/whole.rs"]
mod whole;

use std::collections::BTreeMap;

use serde_json::Value;
use taut_digest::{Hash, HashFunction};
use taut_remote::server::{ExecutionEnding, Offer, Server};
use taut_testkit::{Installed, Tool, ToolResult, Workspace};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

/// Results of every kind: files, an executable, a link, a tree, output, more than one batch; and inputs of every kind.
const TARGETS: &str = r#"{
  "files": {"type": "generic", "outs": ["file", "program", "link", "empty"],
    "cmds": ["tr a-z A-Z < source > file", "printf '#!/bin/sh\\necho yes\\n' > program", "chmod +x program",
             "ln -s file link", ": > empty", "echo made files", "echo with care >&2"], "deps": ["source"]},
  "tree": {"type": "generic", "out_dirs": ["tree"],
    "cmds": ["mkdir -p tree/a/b", "cp file tree/a/b/x", "cp program tree/a/p", "ln -s a/b/x tree/l", "cp file tree/y"],
    "deps": ["files"]},
  "staged": {"type": "install", "dirs": [["tree", "in/here"]]},
  "again": {"type": "generic", "outs": ["again"], "cmds": ["cat in/here/tree/l in/here/tree/a/b/x > again", "in/here/tree/a/p >> again"],
    "deps": ["staged"]},
  "large": {"type": "generic", "outs": ["large"], "cmds": ["yes \"$(cat source)\" | head -c 5000000 > large"], "deps": ["source"]},
  "extra": {"type": "generic", "outs": ["extra"], "cmds": ["cat again more > extra"], "deps": ["again", "more"]},
  "all": {"type": "install", "dirs": [["files", "files"], ["tree", "tree"], ["large", "large"], ["extra", "extra"]]}
}"#;

/// How many actions these have.
const ACTIONS: u64 = 5;

/// The two protocols.
const BOTH: [HashFunction; 2] = [HashFunction::GitSha1, HashFunction::Sha256];

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.file("TARGETS", TARGETS).file("source", "some text\n").file("more", "more\n");
    workspace
}

fn start(naming: HashFunction, endings: &[ExecutionEnding]) -> Server {
    Server::start(Offer::executing(naming, endings.to_vec())).unwrap()
}

/// The options for a server.
fn at(server: &Server, naming: HashFunction) -> Vec<String> {
    let mut words = vec!["-r".to_owned(), server.address()];
    words.extend((naming == HashFunction::Sha256).then(|| "--compatible".to_owned()));
    words
}

/// Installs everything, with more words on the command line.
#[track_caller]
fn install(workspace: &Workspace, words: &[String]) -> Installed {
    workspace.install(&taut(), words, "all").succeeded()
}

#[track_caller]
fn build(workspace: &Workspace, words: &[String]) -> ToolResult {
    workspace.run(&taut(), ["build"].into_iter().chain(words.iter().map(String::as_str)).chain(["all"]))
}

#[track_caller]
fn here(workspace: &Workspace) -> BTreeMap<String, String> {
    let other = Workspace::new();
    for name in ["TARGETS", "source", "more"] {
        other.file(name, std::fs::read_to_string(workspace.root().join(name)).unwrap());
    }
    install(&other, &[]).files
}

#[test]
fn results_are_those_of_a_build_here_and_nothing_is_fetched_that_is_not_read() {
    for naming in BOTH {
        let (server, workspace) = (start(naming, &[]), workspace());
        let words = at(&server, naming);
        let text = build(&workspace, &words).exits(0).stderr;
        assert!(text.contains("5 actions run remotely") && text.contains("made files"), "{text}");
        assert_eq!(workspace.actions_run(), ACTIONS);
        // Only what was printed is shown, and in compatible mode a description of the directory is needed.
        let traffic = &workspace.events("build_finished")[0]["remote_cache"];
        assert!(traffic["fetched"].as_u64() < Some(1000), "{traffic}");
        let calls = server.total();
        build(&workspace, &words).exits(0);
        assert_eq!(server.total(), calls, "a build with nothing to do asks nothing");

        let installed = install(&workspace, &words);
        assert_eq!((&installed.files, workspace.actions_run()), (&here(&workspace), 0));
        let calls = server.total();
        install(&workspace, &words);
        assert_eq!(server.total(), calls, "what is installed is not asked for");

        // Another build root takes all results from the server.
        let other = self::workspace();
        assert_eq!(install(&other, &words).files, installed.files);
        assert_eq!(other.actions_run(), 0);
        let from: Vec<Value> = other.events("action").iter().map(|action| action["from"].clone()).collect();
        assert_eq!(from, vec![Value::from("remote"); ACTIONS as usize]);
    }
}

#[test]
fn each_content_is_sent_once_however_many_actions_want_it() {
    for naming in BOTH {
        let server = start(naming, &[]);
        let workspace = Workspace::new();
        let action = |number: usize| {
            format!(
                r#""t{number}": {{"type": "generic", "outs": ["o{number}"], "cmds": ["wc -c < d/shared > o{number}"], "deps": ["staged"]}}"#
            )
        };
        let targets: Vec<String> = (0..40).map(action).collect();
        let deps: Vec<String> = (0..40).map(|number| format!("\"o{number}\": \"t{number}\"")).collect();
        workspace.file(
            "TARGETS",
            format!(
                r#"{{"staged": {{"type": "install", "dirs": [["shared", "d"]]}}, {}, "all": {{"type": "install", "files": {{{}}}}}}}"#,
                targets.join(","),
                deps.join(",")
            ),
        );
        workspace.file("shared", "x".repeat(100_000));
        install(&workspace, &at(&server, naming));
        let sent = workspace.events("build_finished")[0]["remote_cache"]["sent"].as_u64().unwrap();
        assert!((100_000..150_000).contains(&sent), "{sent}");
        let batches = server.calls()["FindMissingBlobs"];
        assert!(batches <= 80, "{batches} questions for 40 actions");
    }
}

#[test]
fn the_event_log_says_where_an_action_was_executed() {
    let (server, workspace) = (start(BOTH[0], &[]), workspace());
    build(&workspace, &at(&server, BOTH[0])).exits(0);
    let by = format!("{} (worker-1)", server.address());
    for action in workspace.events("action") {
        assert_eq!(action["executed_by"].as_str(), Some(&*by));
        // Servers report no times of processors.
        assert!(action.get("cpu").is_none(), "{action}");
    }
    let stages: Vec<Value> =
        workspace.events("action_stage").iter().map(|line| line["stage"].clone()).collect();
    assert_eq!(stages.iter().filter(|stage| *stage == "queued").count() as u64, ACTIONS);
    assert_eq!(stages.iter().filter(|stage| *stage == "running").count() as u64, ACTIONS);
}

#[test]
fn a_failing_action_fails_as_it_does_here() {
    for naming in BOTH {
        let server = start(naming, &[]);
        let workspace = Workspace::new();
        workspace.file(
            "TARGETS",
            r#"{"fails": {"type": "generic", "outs": ["o"], "cmds": ["echo because >&2", "exit 3"]},
                "lacks": {"type": "generic", "outs": ["o"], "cmds": [": > other"]},
                "leads": {"type": "generic", "outs": ["o"], "cmds": ["ln -s ../../decoy o"]}}"#,
        );
        let build = |target: &str| {
            let words = at(&server, naming);
            workspace
                .run(&taut(), ["build"].into_iter().chain(words.iter().map(String::as_str)).chain([target]))
                .exits(1)
                .stderr
        };
        let text = build("fails");
        assert!(text.contains("exit code 3") && text.contains("because"), "{text}");
        assert!(build("lacks").contains("did not create o"), "{}", build("lacks"));
        assert!(build("leads").contains("leads outwards"), "{}", build("leads"));
    }
}

/// In the native protocol. In compatible mode a directory of inputs is stored here, with all that is in it.
#[test]
fn sources_that_only_the_server_reads_are_not_stored_here_and_not_missed() {
    let (naming, workspace) = (BOTH[0], workspace());
    let server = start(naming, &[]);
    let words = at(&server, naming);
    let is_stored = |workspace: &Workspace, text: &str| {
        let name = naming.blob(text.as_bytes()).to_hex();
        let kinds = workspace.build_root().join("protocol-dependent/generation-0/git-sha1/casf");
        kinds.join(&name[..2]).join(&name[2..]).exists()
    };
    build(&workspace, &words).exits(0);
    assert!(!is_stored(&workspace, "some text\n") && !is_stored(&workspace, "more\n"));
    // The server loses a source that the next execution needs.
    let named = |of: &str| naming.blob(of.as_bytes()).tagged(false);
    assert!(server.memory().blob(&named("some text\n")).is_some());
    server.memory().remove(&named("some text\n"));
    let targets = TARGETS.replace("tr a-z A-Z", "tr a-y A-Y");
    workspace.file("TARGETS", &targets);
    assert_eq!(install(&workspace, &words).files, here(&workspace));

    // What is installed is stored, and what an action reads that runs here.
    let other = self::workspace();
    other.file(
        "TARGETS",
        targets.replace(r#"["extra", "extra"]]"#, r#"["extra", "extra"], ["more", "more"]]"#),
    );
    assert_eq!(install(&other, &words).files, here(&other));
    assert!(is_stored(&other, "more\n") && !is_stored(&other, "some text\n"));
    other.file("source", "another text\n");
    install(&other, &[]);
    assert!(is_stored(&other, "another text\n"));
}

#[test]
fn what_the_server_loses_is_made_again_however_deep_it_is() {
    for naming in BOTH {
        let (server, workspace) = (start(naming, &[]), workspace());
        let words = at(&server, naming);
        build(&workspace, &words).exits(0);
        for content in server.memory().blobs() {
            server.memory().remove(&content);
        }
        // An action at the end of the chain runs; all others before it have lost their outputs.
        workspace.file("more", "changed\n");
        let installed = install(&workspace, &words);
        assert_eq!(installed.files, here(&workspace), "{naming:?}");

        // The same between a build and its installation.
        let fresh = self::workspace();
        build(&fresh, &words).exits(0);
        for content in server.memory().blobs().iter().step_by(2) {
            server.memory().remove(content);
        }
        assert_eq!(install(&fresh, &words).files, here(&fresh), "{naming:?}");
    }
}

#[test]
fn no_actions_at_once_are_as_many_as_usual() {
    let (server, workspace) = (start(BOTH[0], &[]), workspace());
    let words = [at(&server, BOTH[0]), vec!["-J".to_owned(), "0".to_owned()]].concat();
    let text = build(&workspace, &words).exits(0).stderr;
    assert!(text.contains("-J 0 is ignored: 256 actions are given to servers at once"), "{text}");
}

/// As justbuild's: then an output that it lost can only be made by an action of another name.
#[test]
fn outputs_are_made_again_by_a_server_that_insists_on_its_results() {
    for naming in BOTH {
        let offer = Offer { insists_on_cache: true, ..Offer::executing(naming, Vec::new()) };
        let (server, workspace) = (Server::start(offer).unwrap(), workspace());
        let words = at(&server, naming);
        build(&workspace, &words).exits(0);
        let memory = server.memory();
        let is_output = |hash: &&Hash| memory.blob(hash).is_some_and(|bytes| bytes.starts_with(b"SOME TEXT"));
        let contents = memory.blobs();
        let output = contents.iter().find(is_output).unwrap();
        for other in [self::workspace(), workspace, self::workspace()] {
            memory.remove(output);
            assert_eq!(install(&other, &words).files, here(&other), "{naming:?}");
        }
    }
}

/// The directories are here in the standard protocol, so only the server lacks something.
#[test]
fn a_file_deep_in_an_output_directory_is_made_again_for_the_next_action_if_the_server_lost_it() {
    for naming in BOTH {
        let (server, workspace) = (start(naming, &[]), Workspace::new());
        workspace.file(
            "TARGETS",
            r#"{"tree": {"type": "generic", "out_dirs": ["d"], "cmds": ["mkdir -p d/x/y", "echo deep > d/x/y/f"]},
                "all": {"type": "generic", "outs": ["o"], "cmds": ["cat d/x/y/f > o"], "deps": ["tree"]}}"#,
        );
        let words = at(&server, naming);
        let of_tree = ["build"].into_iter().chain(words.iter().map(String::as_str)).chain(["tree"]);
        workspace.run(&taut(), of_tree).exits(0);
        let memory = server.memory();
        let is_deep = |hash: &&Hash| memory.blob(hash).is_some_and(|bytes| &*bytes == b"deep\n");
        memory.remove(memory.blobs().iter().find(is_deep).unwrap());
        assert!(install(&workspace, &words).files["o"].contains("deep"), "{naming:?}");
    }
}

#[test]
fn a_link_that_leads_out_of_an_output_directory_is_named_and_the_action_sent_once() {
    let (server, workspace) = (start(BOTH[1], &[]), Workspace::new());
    let cmds = r#"["mkdir -p p/q", "ln -s ../../../x p/q/l"]"#;
    workspace
        .file("TARGETS", format!(r#"{{"all": {{"type": "generic", "out_dirs": ["p"], "cmds": {cmds}}}}}"#));
    let wrong = "found invalid symlink at p/q/l: it leads outwards, to ../../../x";
    for words in [Vec::new(), at(&server, BOTH[1])] {
        let text = build(&workspace, &words).exits(1).stderr;
        assert!(text.contains(wrong), "{text}");
    }
    assert_eq!(server.calls()["Execute"], 1);
}

/// Executions do not help, since it keeps what it has.
#[test]
fn a_server_with_wrong_contents_is_named_with_the_object() {
    for naming in BOTH {
        let (server, workspace) = (start(naming, &[]), workspace());
        let words = at(&server, naming);
        build(&workspace, &words).exits(0);
        let memory = server.memory();
        // The large one, which comes as a stream.
        let size = |hash: &Hash| memory.blob(hash).unwrap().len();
        let large = memory.blobs().into_iter().max_by_key(size).unwrap();
        let mut bytes = memory.blob(&large).unwrap().to_vec();
        bytes[4_000_000] ^= 1;
        memory.remove(&large);
        memory.insert(large, bytes);

        let mut call: Vec<&str> = vec!["install", "-o", "out"];
        call.extend(words.iter().map(String::as_str));
        call.push("all");
        let text = workspace.run(&taut(), call).exits(1).stderr;
        let address = server.address();
        let warning = format!("server {address} lost objects, or has wrong ones: they are made again");
        assert_eq!(text.matches(&warning).count(), 1, "{text}");
        let error = format!("cannot install \"large/large\": server {address} has a wrong blob for object [");
        assert!(text.contains(&error), "{text}");
        assert!(!text.contains("build root") && !text.contains("in the store"), "{text}");

        // With the right ones it goes on.
        memory.remove(&large);
        assert_eq!(install(&workspace, &words).files, here(&workspace));
    }
}

#[test]
fn executions_that_end_badly_are_tried_again() {
    use ExecutionEnding::{
        Abandoned, Cut, Evicted, EvictedSilently, Exhausted, Forgotten, OutputLost, Usual, WorkerLost,
    };
    for naming in BOTH {
        for ending in [Abandoned, Cut, Forgotten, WorkerLost, Exhausted, Evicted, EvictedSilently, OutputLost]
        {
            let (server, workspace) = (start(naming, &[Usual, ending, Usual, ending]), workspace());
            let installed = install(&workspace, &at(&server, naming));
            assert_eq!(installed.files, here(&workspace), "{naming:?} {ending:?}: {}", installed.ran.stderr);
        }
    }
}

#[test]
fn a_server_that_refuses_an_action_is_named_with_the_action() {
    let (server, workspace) = (start(BOTH[1], &[ExecutionEnding::Refused; 20]), workspace());
    let text = build(&workspace, &at(&server, BOTH[1])).exits(1).stderr;
    assert!(text.contains(&server.address()) && text.contains("no worker has these properties"), "{text}");
    assert!(text.contains(":files") && text.contains("Execute"), "{text}");
}

#[test]
fn a_server_that_cannot_be_used_is_one_error() {
    let (native, standard, cache) =
        (start(BOTH[0], &[]), start(BOTH[1], &[]), Server::start(Offer::default()).unwrap());
    let gone = {
        let server = start(BOTH[0], &[]);
        server.address()
    };
    for (address, compatible, why) in [
        (native.address(), true, "SHA-256"),
        (standard.address(), false, "--compatible"),
        (cache.address(), true, "it is a cache only"),
        (gone, false, "Connection refused"),
    ] {
        let workspace = workspace();
        let mut words = vec!["-r".to_owned(), address.clone()];
        words.extend(compatible.then(|| "--compatible".to_owned()));
        let text = build(&workspace, &words).exits(1).stderr;
        assert!(text.contains(why) && text.contains(&address), "{text}");
        assert_eq!(text.matches("GetCapabilities").count(), 1, "{text}");
    }
}

#[test]
fn actions_go_where_their_properties_say() {
    for naming in BOTH {
        let (first, second) = (start(naming, &[]), start(naming, &[]));
        let workspace = Workspace::new();
        workspace.file(
            "TARGETS",
            r#"{"a": {"type": "generic", "outs": ["a"], "cmds": ["tr a-z A-Z < source > a"], "deps": ["source"]},
                "b": {"type": "generic", "outs": ["b"], "cmds": ["cat a a > b"], "deps": ["a"],
                      "execution properties": {"type": "'", "$1": {"where": "there"}}},
                "all": {"type": "generic", "outs": ["c"], "cmds": ["cat b b > c"], "deps": ["b"]}}"#,
        );
        workspace.file("source", "text\n");
        workspace.file("dispatch", format!(r#"[[{{"where": "there"}}, "{}"]]"#, second.address()));
        let mut words = at(&first, naming);
        words.extend(["--endpoint-configuration".to_owned(), "dispatch".to_owned()]);
        let installed = install(&workspace, &words);
        assert_eq!(installed.files["c"].matches("TEXT").count(), 4, "{:?}", installed.files);
        assert_eq!((first.calls()["Execute"], second.calls()["Execute"]), (2, 1));
        // What the one server made and the other needs came through here: `a` and `b`.
        let fetched = fetched_by_output(&workspace);
        assert_eq!(fetched, [("a", None), ("b", Some(5)), ("c", Some(10))].map(of_output).into());

        // Without a usual server, the rest runs here.
        let other = Workspace::new();
        for name in ["TARGETS", "source", "dispatch"] {
            other.file(name, std::fs::read_to_string(workspace.root().join(name)).unwrap());
        }
        let mut words = words[2..].to_vec();
        words.insert(0, "-J2".to_owned());
        assert_eq!(install(&other, &words).files, installed.files);
        assert_eq!((other.actions_run(), first.calls()["Execute"]), (2, 2));
        // The action that ran here had to have what the server made.
        let fetched = fetched_by_output(&other);
        assert_eq!(fetched, [("a", None), ("c", Some(10))].map(of_output).into());
        let traffic = &other.events("build_finished")[0]["remote_cache"];
        assert_eq!(traffic["fetched"].as_u64(), Some(10), "{traffic}");
    }
}

fn of_output((output, bytes): (&str, Option<u64>)) -> (String, Option<u64>) {
    (output.to_owned(), bytes)
}

/// By output of the actions that ran, how many bytes came for them, if any did: then there is also how long that took.
fn fetched_by_output(workspace: &Workspace) -> BTreeMap<String, Option<u64>> {
    let actions = workspace.events("action").into_iter().filter(|action| action["end"] == "ran");
    let fetched = |action: Value| {
        let bytes = action["fetched"].as_u64();
        assert_eq!(
            bytes.is_some(),
            action["downloading"].as_f64().is_some_and(|time| time > 0.0),
            "{action}"
        );
        let output = action["outputs"].as_object().unwrap().keys().next().unwrap().clone();
        (output, bytes)
    };
    actions.map(fetched).collect()
}

#[test]
fn wrong_configurations_are_explained() {
    let workspace = workspace();
    for (content, why) in [
        ("{", "dispatch:1:1"),
        ("1", "expected a list of pairs"),
        ("[1]", "expected a list of pairs"),
        (r#"[[1, "a:1"]]"#, "an object of strings"),
        (r#"[[{"a": 1}, "a:1"]]"#, "an object of strings"),
        (r#"[[{}, 1]]"#, "an address as a string"),
        (r#"[[{}, "a"]]"#, "it has no port"),
    ] {
        workspace.file("dispatch", content);
        let words = ["build", "--endpoint-configuration", "dispatch", "all"];
        let text = workspace.run(&taut(), words).exits(16).stderr;
        assert!(text.contains(why) && text.contains("--endpoint-configuration"), "{content}: {text}");
    }
    let text = workspace.run(&taut(), ["build", "-r", "nowhere", "all"]).exits(16).stderr;
    assert!(text.contains("-r") && text.contains("it has no port"), "{text}");
}

#[test]
fn with_one_job_no_action_is_sent_after_the_one_that_failed() {
    for naming in BOTH {
        let (server, workspace) = (start(naming, &[]), Workspace::new());
        let target = |name: usize| {
            format!(
                r#""t{name}": {{"type": "generic", "outs": ["{name}"], "cmds": ["echo {name}; exit 1"]}}"#
            )
        };
        workspace.file("TARGETS", format!("{{{}}}", (0..6).map(target).collect::<Vec<_>>().join(", ")));
        let targets = (0..6).map(|name| format!("t{name}"));
        let words: Vec<String> = ["build", "-J", "1"].map(str::to_owned).into_iter().chain(targets).collect();
        let words = [words, at(&server, naming)].concat();
        let failures = |words: &[String]| {
            let ran = workspace.run(&taut(), words).exits(1);
            (ran.stderr.matches(" failed (exit code 1)").count(), ran.stderr)
        };
        for _ in 0..3 {
            let (count, messages) = failures(&words);
            assert_eq!(count, 1, "{messages}");
        }
        let (count, messages) = failures(&[words, vec!["--keep-going".to_owned()]].concat());
        assert_eq!(count, 6, "{messages}");
    }
}
