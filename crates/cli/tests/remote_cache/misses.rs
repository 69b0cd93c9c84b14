//! `explain` of an action that ran although others have run one like it: which input, variable, property or word
//! differs.

use taut_remote::server::{Offer, Server};
use taut_testkit::{Workspace, without_ages};

use super::{golden::golden, taut};

/// An action with a variable, a tool that is a tree, and many headers, which become a directory of their own.
const RULES: &str = r#"{"made": {"target_fields": ["deps"], "config_vars": ["MODE", "WORD", "WORDS"],
  "expression": {"type": "RESULT", "artifacts": {"type": "ACTION", "outs": ["out"],
    "cmd": {"type": "++", "$1": [["sh", "-c", "tr 1 3 < h/1.h > out", {"type": "var", "name": "WORD", "default": "one"}],
      {"type": "var", "name": "WORDS", "default": []}]},
    "env": {"type": "singleton_map", "key": "MODE", "value": {"type": "var", "name": "MODE", "default": "fast"}},
    "inputs": {"type": "map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "deps"}, "body":
      {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}}}}}"#;

fn machine() -> Workspace {
    let workspace = Workspace::new();
    workspace.file("RULES", RULES);
    let headers: Vec<String> = (0..40).map(|number| format!("h/{number}.h")).collect();
    headers.iter().for_each(|path| _ = workspace.file(path, "1\n"));
    let headers: Vec<String> = headers.iter().map(|path| format!("{path:?}")).collect();
    let deps = format!(r#"["source", ["TREE", null, "tool"], {}]"#, headers.join(", "));
    workspace.file("TARGETS", format!(r#"{{"all": {{"type": "made", "deps": {deps}}}}}"#));
    workspace.file("source", "text").file("tool/etc/version", "1").file("tool/bin/run", "run");
    workspace
}

/// Builds with a cache that others have written to, and returns what `explain` says about it.
fn missed(workspace: &Workspace, server: &Server, words: &[&str]) -> String {
    let address = server.address();
    let all = [&["build", "--remote-cache", &address], words, &["all"]].concat();
    workspace.run(&taut(), all).exits(0);
    explained(workspace, &["--remote-cache", &address])
}

/// The lines of `explain` about the cache.
fn explained(workspace: &Workspace, words: &[&str]) -> String {
    let text = workspace.run(&taut(), [&["explain"], words, &["all"]].concat()).exits(0).stdout;
    let text = without_ages(&text);
    let at = text.find("  The remote cache").unwrap_or_else(|| panic!("{text}"));
    text[at..].to_owned()
}

/// What the one machine has, after the other one has built with these words, or with this change.
#[track_caller]
fn differs(situation: &str, words: &[&str], change: impl Fn(&Workspace)) {
    for is_compatible in [false, true] {
        let server = Server::start(Offer::default()).unwrap();
        let address = server.address();
        machine().run(&taut(), ["build", "--remote-cache", &address, "--remote-cache-write", "all"]).exits(0);
        let other = machine();
        change(&other);
        // What one machine has in either mode is compared with what the other has in its own.
        let mode: &[&str] = if is_compatible { &["--compatible"] } else { &[] };
        let all = [&["build", "--remote-cache", &address], mode, words, &["all"]].concat();
        other.run(&taut(), all).exits(0);
        golden(situation, &explained(&other, &[&["--remote-cache", &address], mode].concat()));
    }
}

#[test]
fn a_variable_that_differs_is_named() {
    differs("A variable differs", &["-D", r#"{"MODE": "slow"}"#], |_| {});
}

#[test]
fn a_word_of_the_command_that_differs_is_named() {
    differs("A word of the command differs", &["-D", r#"{"WORD": "two"}"#], |_| {});
    differs("The command has more words", &["-D", r#"{"WORDS": ["more"]}"#], |_| {});
    differs("The command has a word twice", &["-D", r#"{"WORDS": ["one"]}"#], |_| {});
}

#[test]
fn another_version_of_a_tool_is_named_by_its_file() {
    differs("A file of a tool differs, and one is new", &[], |workspace| {
        workspace.file("tool/etc/version", "2").file("tool/bin/more", "more");
    });
    differs("A file of a tool has another name", &[], |workspace| {
        workspace.remove("tool/bin/run").file("tool/bin/walk", "");
    });
}

#[test]
fn a_header_that_differs_is_named_among_many() {
    differs("A header differs", &[], |workspace| _ = workspace.file("h/17.h", "2\n"));
    differs("Many headers differ", &[], |workspace| {
        (10..30).for_each(|number| _ = workspace.file(&format!("h/{number}.h"), "2\n"));
    });
}

#[test]
fn properties_launcher_and_time_limit_are_compared() {
    differs("A property differs", &["--remote-execution-property", "image:13"], |_| {});
    differs("Launcher and time limit differ", &["-L", r#"["nice"]"#, "--action-timeout", "9"], |_| {});
}

/// A directory of inputs whose list the cache has lost is named.
#[test]
fn what_is_lost_of_the_lists_of_inputs_is_not_guessed() {
    for (situation, names) in [
        ("The list of a directory of inputs is lost", ["etc", "bin"]),
        ("The list of all inputs is lost", ["source", "tool"]),
    ] {
        let server = Server::start(Offer::default()).unwrap();
        let address = server.address();
        machine().run(&taut(), ["build", "--remote-cache", &address, "--remote-cache-write", "all"]).exits(0);
        for hash in server.memory().blobs() {
            let text = String::from_utf8_lossy(&server.memory().blob(&hash).unwrap()).into_owned();
            if names.iter().all(|name| text.contains(name)) {
                server.memory().remove(&hash);
            }
        }
        let other = machine();
        other.file("tool/etc/version", "2");
        golden(situation, &missed(&other, &server, &[]));
    }
}

#[test]
fn the_nearest_of_several_actions_is_compared() {
    let server = Server::start(Offer::default()).unwrap();
    let address = server.address();
    for mode in ["a", "b", "c"] {
        let writing = machine();
        writing.file("source", mode);
        let define = format!(r#"{{"MODE": "{mode}", "WORD": "{mode}"}}"#);
        writing
            .run(&taut(), ["build", "--remote-cache", &address, "--remote-cache-write", "-D", &define, "all"])
            .exits(0);
    }
    let other = machine();
    other.file("source", "b");
    let text = missed(&other, &server, &["-D", r#"{"MODE": "b", "WORD": "d"}"#]);
    golden("The nearest of several differs in a word", &text);
}

#[test]
fn a_cache_that_knows_nothing_like_it_or_has_lost_the_result_says_so() {
    let server = Server::start(Offer::default()).unwrap();
    let text = missed(&machine(), &server, &[]);
    golden("The cache knows no such action", &text);
    // A machine that writes finds its own result from then on.
    let text = missed(&machine(), &server, &["--remote-cache-write"]);
    golden("The build has stored the result itself", &text);
    // Contents are lost: the result is of no use. Both are lost: what is known of the action shows it.
    let content = |hash: &_| server.memory().blob(hash).unwrap();
    let lost = server.memory().blobs().into_iter().find(|hash| *content(hash) == *b"3\n").unwrap();
    server.memory().remove(&lost);
    let text = missed(&machine(), &server, &[]);
    golden("Contents of the result are gone", &text);
    let forgetful = Server::start(Offer::default()).unwrap();
    server.memory().blobs().iter().for_each(|hash| _ = forgetful.memory().add(content(hash).to_vec()));
    let results = server.memory().results().into_iter();
    for (action, result) in results.filter(|(_, result)| result.output_files[0].path != "out") {
        forgetful.memory().add_result(action, result);
    }
    let text = missed(&machine(), &forgetful, &[]);
    golden("The result is gone", &text);
}

#[test]
fn without_the_cache_the_answer_says_what_is_missing() {
    let server = Server::start(Offer::default()).unwrap();
    let other = machine();
    missed(&other, &server, &[]);
    golden("The call names no cache", &explained(&other, &[]));
    let address = server.address();
    drop(server);
    let gone = explained(&other, &["--remote-cache", &address, "--max-attempts", "1"]);
    golden("The cache does not answer", &gone);
    std::fs::remove_dir_all(other.build_root().join("protocol-dependent/generation-0/git-sha1/casf"))
        .unwrap();
    let lost = explained(&other, &["--remote-cache", &address, "--max-attempts", "1"]);
    golden("The build root no longer has the action", &lost);
}

/// What the cache has may be anything: it is shown without a character that a terminal obeys, and in bounds.
#[test]
fn what_a_hostile_cache_knows_is_shown_in_quotes() {
    let server = Server::start(Offer::default()).unwrap();
    let address = server.address();
    let define = r#"{"MODE": "\u001b]0;owned\u0007", "WORD": "\u001b[2J"}"#;
    machine()
        .run(&taut(), ["build", "--remote-cache", &address, "--remote-cache-write", "-D", define, "all"])
        .exits(0);
    let text = missed(&machine(), &server, &[]);
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    assert!(text.contains(r"\u001b[2J"), "{text}");
}
