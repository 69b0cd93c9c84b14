//! `explain` of an action that a server executed although a similar one was executed before. It shows which input,
//! variable, property or server differs from the nearest run that the build root knows.

use std::path::Path;

use taut_digest::HashFunction;
use taut_remote::server::{Offer, Server};
use taut_testkit::{ToolResult, Workspace, without_ages};

use super::{BOTH, at, golden::golden, start, taut};

/// An action with a variable, a file and a directory as inputs.
const RULES: &str = r#"{"made": {"target_fields": ["deps"], "config_vars": ["MODE", "WORD"],
  "expression": {"type": "RESULT", "artifacts": {"type": "ACTION", "outs": ["out \"put"],
    "cmd": ["sh", "-c", "cat tool/etc/version source > 'out \"put'", {"type": "var", "name": "WORD", "default": "one"}],
    "env": {"type": "singleton_map", "key": "MODE", "value": {"type": "var", "name": "MODE", "default": "fast"}},
    "inputs": {"type": "map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "deps"}, "body":
      {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}}}}}"#;

fn checkout() -> Workspace {
    let workspace = Workspace::new();
    workspace.file("RULES", RULES);
    workspace.file("TARGETS", r#"{"all": {"type": "made", "deps": ["source", ["TREE", null, "tool"]]}}"#);
    workspace.file("source", "text").file("tool/etc/version", "1").file("tool/bin/run", "run");
    workspace
}

/// Calls a subcommand on all, in a checkout, with this build root.
#[track_caller]
fn call(subcommand: &str, checkout: &Workspace, root: &Path, words: &[String]) -> ToolResult {
    let root = root.to_string_lossy().into_owned();
    let all =
        [&[subcommand.to_owned(), "--local-build-root".into(), root], words, &["all".to_owned()]].concat();
    taut().run(&checkout.root(), all).exits(0)
}

/// The lines of `explain` about the server.
#[track_caller]
fn explained(checkout: &Workspace, root: &Path, words: &[String]) -> String {
    let text = without_ages(&call("explain", checkout, root, words).stdout);
    let at = text.find("  Server ").unwrap_or_else(|| panic!("{text}"));
    text[at..].to_owned()
}

/// The options for a server, and more.
fn with(server: &Server, naming: HashFunction, more: &[&str]) -> Vec<String> {
    let more: Vec<String> = more.iter().map(|word| (*word).to_owned()).collect();
    [at(server, naming), more].concat()
}

/// What `explain` says in a second checkout, with these words or this change, after a first one has built.
#[track_caller]
fn differs(situation: &str, words: &[&str], change: impl Fn(&Workspace)) {
    for naming in BOTH {
        let (server, first, second) = (start(naming, &[]), checkout(), checkout());
        let root = first.build_root();
        call("build", &first, &root, &at(&server, naming));
        change(&second);
        call("build", &second, &root, &with(&server, naming, words));
        golden(situation, &explained(&second, &root, &at(&server, naming)));
    }
}

#[test]
fn what_differs_from_another_checkout_is_named() {
    differs("A variable differs", &["-D", r#"{"MODE": "slow"}"#], |_| {});
    differs("A word of the command differs", &["-D", r#"{"WORD": "two"}"#], |_| {});
    differs(
        "A property and the time limit differ",
        &["--remote-execution-property", "image:13", "--action-timeout", "9"],
        |_| {},
    );
    differs("Inputs differ", &[], |second| {
        second.file("source", "other").file("tool/etc/version", "2").file("tool/bin/more", "");
        second.remove("tool/bin/run");
    });
}

/// Another property invalidates what was built in this checkout: it is compared with what it was before.
#[test]
fn settings_that_differ_from_those_of_an_earlier_call_are_named() {
    for naming in BOTH {
        let (server, only) = (start(naming, &[]), checkout());
        let root = only.build_root();
        call("build", &only, &root, &at(&server, naming));
        call("build", &only, &root, &with(&server, naming, &["--remote-execution-property", "image:13"]));
        golden("A property is new", &explained(&only, &root, &at(&server, naming)));
    }
}

/// A change that is explained needs no comparison with what was before.
#[test]
fn an_edit_in_the_same_checkout_is_not_compared() {
    let (server, only) = (start(BOTH[0], &[]), checkout());
    let root = only.build_root();
    let words = at(&server, BOTH[0]);
    call("build", &only, &root, &words);
    golden("Nothing was built before", &explained(&only, &root, &words));
    golden("Nothing was built before, and the call names no server", &explained(&only, &root, &[]));
    only.file("source", "other");
    call("build", &only, &root, &words);
    golden("A source was edited", &explained(&only, &root, &words));
}

#[test]
fn the_nearest_of_several_runs_is_compared() {
    let (server, first, second) = (start(BOTH[0], &[]), checkout(), checkout());
    let root = first.build_root();
    for mode in ["a", "b", "c"] {
        first.file("source", mode);
        let define = format!(r#"{{"MODE": "{mode}", "WORD": "{mode}"}}"#);
        call("build", &first, &root, &with(&server, BOTH[0], &["-D", &define]));
    }
    second.file("source", "b");
    call("build", &second, &root, &with(&server, BOTH[0], &["-D", r#"{"MODE": "b", "WORD": "d"}"#]));
    golden("The nearest of several runs", &explained(&second, &root, &at(&server, BOTH[0])));
}

/// The same action has other results elsewhere: at another server, on this machine, or at this server, which lost it.
#[test]
fn the_same_action_elsewhere_is_named_with_the_place() {
    for naming in BOTH {
        let (one, two, first, second) = (start(naming, &[]), start(naming, &[]), checkout(), checkout());
        let root = first.build_root();
        call("build", &first, &root, &at(&one, naming));
        call("build", &second, &root, &at(&two, naming));
        golden("Another server had the result", &explained(&second, &root, &at(&two, naming)));

        one.memory().results().into_iter().for_each(|(action, _)| one.memory().remove_result(&action));
        // From then on results are looked up again.
        taut().run(&first.root(), ["gc", "--local-build-root", &*root.to_string_lossy()]).exits(0);
        call("build", &first, &root, &at(&one, naming));
        golden("The server has removed the result", &explained(&first, &root, &at(&one, naming)));
    }
    let (server, first, second) = (start(BOTH[0], &[]), checkout(), checkout());
    let root = first.build_root();
    call("build", &first, &root, &[]);
    call("build", &second, &root, &at(&server, BOTH[0]));
    golden("It was built on this machine", &explained(&second, &root, &at(&server, BOTH[0])));
}

/// A result of which something is gone is none.
#[test]
fn a_result_that_is_incomplete_is_named_as_the_reason() {
    for naming in BOTH {
        let (server, first, second) = (start(naming, &[]), checkout(), checkout());
        let words = at(&server, naming);
        call("build", &first, &first.build_root(), &words);
        let made = naming.blob(b"1text");
        server
            .memory()
            .blobs()
            .iter()
            .filter(|hash| **hash == made || hash.untagged() == Some((made, false)))
            .for_each(|hash| server.memory().remove(hash));
        let root = second.build_root();
        call("build", &second, &root, &words);
        golden("Contents of the result are gone", &explained(&second, &root, &words));
    }
}

#[test]
fn another_server_is_among_what_differs() {
    let (one, two, first, second) = (start(BOTH[0], &[]), start(BOTH[0], &[]), checkout(), checkout());
    let root = first.build_root();
    call("build", &first, &root, &at(&one, BOTH[0]));
    call("build", &second, &root, &with(&two, BOTH[0], &["-D", r#"{"MODE": "slow"}"#]));
    // Only what the servers that are named have can be compared.
    let dispatch = first.beside("servers.json");
    std::fs::write(&dispatch, format!(r#"[[{{"nothing": "has this"}}, "{}"]]"#, one.address())).unwrap();
    let both = with(&two, BOTH[0], &["--endpoint-configuration", &dispatch.to_string_lossy()]);
    golden("The other server is not named", &explained(&second, &root, &at(&two, BOTH[0])));
    golden("Another server and a variable differ", &explained(&second, &root, &both));
}

#[test]
fn without_the_server_the_answer_says_what_is_missing() {
    let (server, first, second) = (start(BOTH[0], &[]), checkout(), checkout());
    let root = first.build_root();
    let words = at(&server, BOTH[0]);
    call("build", &first, &root, &words);
    call("build", &second, &root, &with(&server, BOTH[0], &["-D", r#"{"MODE": "slow"}"#]));
    golden("The call names no server", &explained(&second, &root, &[]));
    server.memory().blobs().iter().for_each(|hash| server.memory().remove(hash));
    golden("The server no longer has any of it", &explained(&second, &root, &words));
    drop(server);
    let once = [words, vec!["--max-attempts".to_owned(), "1".to_owned()]].concat();
    golden("The server does not answer", &explained(&second, &root, &once));
}

/// Another machine has another build root: a standard server that takes results has a report of what it executed for
/// that one.
#[test]
fn what_differs_from_another_machine_is_named_if_the_server_takes_results() {
    let naming = HashFunction::Sha256;
    let explained_there = |server: &Server, words: &[&str]| {
        let (first, second) = (checkout(), checkout());
        for source in ["text", "more", "text"] {
            first.file("source", source);
            call("build", &first, &first.build_root(), &at(server, naming));
        }
        let root = second.build_root();
        call("build", &second, &root, &with(server, naming, words));
        (explained(&second, &root, &at(server, naming)), second)
    };
    let server = start(naming, &[]);
    let (text, second) = explained_there(&server, &["-D", r#"{"MODE": "slow"}"#]);
    golden("A variable differs from another machine", &text);
    // An edit that leads to what the other one had, but for the variable: not compared with what was here before.
    second.file("source", "more");
    let root = second.build_root();
    call("build", &second, &root, &with(&server, naming, &["-D", r#"{"MODE": "slow"}"#]));
    golden(
        "A variable differs from another machine after an edit",
        &explained(&second, &root, &at(&server, naming)),
    );
    golden("Without the server nothing is known of another machine", &explained(&second, &root, &[]));

    let refuses = Offer { takes_results: false, ..Offer::executing(naming, Vec::new()) };
    let server = Server::start(refuses).unwrap();
    let (text, _) = explained_there(&server, &["-D", r#"{"MODE": "slow"}"#]);
    golden("The server takes no results", &text);
    assert_eq!(server.calls().get("UpdateActionResult"), None);
}

/// Where no other run is known, as with an empty build root at a server that takes no results, what the server lacked
/// names what is different.
#[test]
fn what_was_new_to_the_server_is_named_if_there_is_nothing_to_compare_with() {
    let explained_there = |situation: &str, words: &[&str], change: &dyn Fn(&Workspace)| {
        for naming in BOTH {
            let refuses = Offer { takes_results: false, ..Offer::executing(naming, Vec::new()) };
            let (server, first, second) = (Server::start(refuses).unwrap(), checkout(), checkout());
            call("build", &first, &first.build_root(), &at(&server, naming));
            change(&second);
            let root = second.build_root();
            call("build", &second, &root, &with(&server, naming, words));
            golden(situation, &explained(&second, &root, &at(&server, naming)));
        }
    };
    explained_there("New to the server: inputs", &[], &|second| {
        second.file("source", "other").file("tool/etc/version", "2").file("tool/bin/more", "");
        second.remove("tool/bin/run");
    });
    explained_there("New to the server: a value of a variable", &["-D", r#"{"MODE": "slow"}"#], &|_| {});
    explained_there(
        "New to the server: a property",
        &["--remote-execution-property", "image:13", "-D", r#"{"MODE": "fast"}"#],
        &|_| {},
    );
    // Nothing else: the file is there under another name.
    explained_there("New to the server: a path", &[], &|second| {
        second.file("tool/etc/more", "1");
    });
    explained_there("New to the server: the time limit", &["--action-timeout", "9"], &|_| {});
    let names: Vec<String> = (0..14).map(|number| format!("p{number:02}:1")).collect();
    let properties: Vec<&str> =
        names.iter().flat_map(|name| ["--remote-execution-property", name.as_str()]).collect();
    explained_there("New to the server: many inputs and properties", &properties, &|second| {
        for number in 0..20 {
            second.file(&format!("tool/{number:02}"), format!("new {number}"));
        }
    });
}

/// An action of which a server had no result since an action before it made something else.
#[test]
fn an_action_that_made_inputs_anew_is_named() {
    let chain = || {
        let workspace = Workspace::new();
        workspace.file("source", "text").file(
            "TARGETS",
            r#"{"made": {"type": "generic", "outs": ["made"], "cmds": ["tr a-z A-Z < source > made"], "deps": ["source"]},
                "all": {"type": "generic", "outs": ["out"], "cmds": ["cat made > out"], "deps": ["made"]}}"#,
        );
        workspace
    };
    for naming in BOTH {
        let refuses = Offer { takes_results: false, ..Offer::executing(naming, Vec::new()) };
        let (server, first, second) = (Server::start(refuses).unwrap(), chain(), chain());
        call("build", &first, &first.build_root(), &at(&server, naming));
        second.file("source", "other");
        let root = second.build_root();
        call("build", &second, &root, &at(&server, naming));
        golden("New to the server: what an action made", &explained(&second, &root, &at(&server, naming)));
    }
}

/// However many actions a build has executed, it reports them with three calls; and with none if there were none.
#[test]
fn all_executed_actions_are_reported_at_once() {
    let (server, workspace) = (start(HashFunction::Sha256, &[]), Workspace::new());
    let targets: Vec<String> = (0..30)
        .map(|number| format!(r#""{number}": {{"type": "generic", "outs": ["o{number}"], "cmds": ["echo {number} > o{number}"]}}"#))
        .collect();
    let all: Vec<String> = (0..30).map(|number| format!(r#""o{number}": "{number}""#)).collect();
    workspace.file(
        "TARGETS",
        format!(r#"{{{}, "all": {{"type": "install", "files": {{{}}}}}}}"#, targets.join(","), all.join(",")),
    );
    let root = workspace.build_root();
    let words = at(&server, HashFunction::Sha256);
    call("build", &workspace, &root, &words);
    assert_eq!((server.calls()["Execute"], server.calls()["UpdateActionResult"]), (30, 1));
    // At most one question for each action, and one for the reports that are there.
    assert!(server.calls()["GetActionResult"] <= 31, "{:?}", server.calls());
    let before = server.total();
    call("build", &workspace, &root, &words);
    assert_eq!(server.total(), before);
}

/// A result that came from elsewhere is one of that server; the next build has it in its records.
#[test]
fn the_server_that_had_a_result_is_named() {
    let first_line = |text: &str| {
        let at = text.find("Action %").unwrap_or_else(|| panic!("{text}"));
        let line = text[at..].lines().next().unwrap_or_default().to_owned();
        let (id, rest) = line.split_once(" (").unwrap();
        assert!(id.len() > "Action %".len(), "{line}");
        format!("Action %… ({rest}")
    };
    let (server, first, second) = (start(BOTH[0], &[]), checkout(), checkout());
    let words = at(&server, BOTH[0]);
    call("build", &first, &first.build_root(), &words);
    let root = second.build_root();
    call("build", &second, &root, &words);
    golden("The server had the result", &first_line(&call("explain", &second, &root, &words).stdout));

    let cache = Server::start(Offer::default()).unwrap();
    let (first, second) = (checkout(), checkout());
    let words = ["--remote-cache".to_owned(), cache.address()].to_vec();
    let writes = [words.clone(), vec!["--remote-cache-write".to_owned()]].concat();
    call("build", &first, &first.build_root(), &writes);
    let root = second.build_root();
    call("build", &second, &root, &words);
    golden("The remote cache had the result", &first_line(&call("explain", &second, &root, &[]).stdout));
}
