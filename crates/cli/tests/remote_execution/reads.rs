//! Actions with a depfile that a server executes: only what they read makes them run again, in every checkout.

use taut_digest::HashFunction;
use taut_remote::server::{Offer, Server};
use taut_testkit::Workspace;

use super::{BOTH, at, start, taut};

/// An action on the files `a` and `b`, on a generated one, `made`, and on what is in `more`; SCRIPT writes `out` and
/// `d`.
fn workspace(script: &str) -> Workspace {
    let workspace = Workspace::new();
    let rules = r#"{"read": {"target_fields": ["deps"], "expression": {"type": "RESULT", "artifacts":
      {"type": "ACTION", "outs": ["out", "d"], "depfile": "d", "cmd": ["sh", "-c", "SCRIPT"],
       "inputs": {"type": "map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "deps"}, "body":
         {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}}}}}"#;
    workspace.file("RULES", rules.replace("SCRIPT", script));
    workspace.file(
        "TARGETS",
        r#"{"made": {"type": "generic", "outs": ["made.h"], "cmds": ["cat source > made.h"], "deps": ["source"]},
            "all": {"type": "read", "deps": [["GLOB", null, "*.h"], "made", ["TREE", null, "tree"]]}}"#,
    );
    workspace.file("source", "generated").file("a.h", "a").file("b.h", "b").file("tree/x", "x");
    workspace
}

/// What a compiler does, which names no input in its command.
const READS_A: &str = "cat [a]*[h] > out; echo out: [a]*[h] > d; echo";

/// The same of the generated file, too.
const READS_MADE: &str = "cat [am]*[h] > out; echo out: [am]*[h] > d; echo";

/// Builds all, and returns how many actions ran.
#[track_caller]
fn ran(workspace: &Workspace, words: &[String]) -> u64 {
    let call = ["build"].into_iter().chain(words.iter().map(String::as_str)).chain(["all"]);
    workspace.run(&taut(), call).exits(0);
    workspace.actions_run()
}

fn executions(server: &Server) -> u64 {
    server.calls().get("Execute").copied().unwrap_or_default()
}

/// Takes no results, as justbuild's.
fn closed(naming: HashFunction) -> Server {
    Server::start(Offer { takes_results: false, ..Offer::executing(naming, Vec::new()) }).unwrap()
}

#[test]
fn what_was_not_read_may_change() {
    for naming in BOTH {
        for server in [start(naming, &[]), closed(naming)] {
            let workspace = workspace(READS_A);
            let words = at(&server, naming);
            assert_eq!(ran(&workspace, &words), 2);
            workspace.file("b.h", "another");
            assert_eq!(ran(&workspace, &words), 0);
            let shown = workspace.run(&taut(), ["explain"]).exits(0).stdout;
            assert!(shown.contains("none of the inputs that it read has changed"), "{shown}");
            let calls = server.total();
            assert_eq!((ran(&workspace, &words), server.total()), (0, calls), "nothing is asked");
            workspace.file("a.h", "another");
            assert_eq!(ran(&workspace, &words), 1);
            // Another name, which could shadow one that was read; another kind; and what always counts.
            workspace.file("c.h", "");
            assert_eq!(ran(&workspace, &words), 1);
            workspace.executable("b.h", "another");
            assert_eq!(ran(&workspace, &words), 1);
            workspace.file("tree/x", "another");
            assert_eq!(ran(&workspace, &words), 1);
            workspace.remove("c.h");
            assert_eq!(ran(&workspace, &words), 1);
            assert_eq!(executions(&server), 7);
        }
    }
}

#[test]
fn the_results_of_one_server_are_no_others() {
    let (first, second) = (start(BOTH[0], &[]), start(BOTH[0], &[]));
    let workspace = workspace(READS_A);
    assert_eq!(ran(&workspace, &at(&first, BOTH[0])), 2);
    workspace.file("b.h", "another");
    assert_eq!(ran(&workspace, &at(&second, BOTH[0])), 2);
    // Nor those of this machine.
    workspace.file("b.h", "third");
    assert_eq!(ran(&workspace, &[]), 2);
    workspace.file("b.h", "fourth");
    assert_eq!(ran(&workspace, &[]), 0);
    assert_eq!(ran(&workspace, &at(&first, BOTH[0])), 0);
}

#[test]
fn another_build_root_takes_the_result_from_the_server() {
    for naming in BOTH {
        let server = start(naming, &[]);
        let words = at(&server, naming);
        assert_eq!(ran(&workspace(READS_A), &words), 2);
        let other = workspace(READS_A);
        other.file("b.h", "another");
        let executed = executions(&server);
        assert_eq!((ran(&other, &words), executions(&server)), (0, executed), "{naming:?}");
        let shown = other.run(&taut(), ["explain", ":all"]).exits(0).stdout;
        assert!(shown.contains("none of the inputs that it read has changed"), "{shown}");
        // From now on it is recorded here.
        let calls = server.total();
        other.file("b.h", "third");
        assert_eq!((ran(&other, &words), server.total()), (0, calls), "{naming:?}");
        other.file("a.h", "third");
        assert_eq!(ran(&other, &words), 1);
        assert_eq!(other.install(&taut(), &words, "all").succeeded().files["out"], "file 644 third");
    }
}

#[test]
fn a_server_that_takes_no_results_has_those_of_equal_inputs_only() {
    for naming in BOTH {
        let server = closed(naming);
        let words = at(&server, naming);
        assert_eq!(ran(&workspace(READS_A), &words), 2);
        // Its result is known, and what was read is recorded with it.
        let other = workspace(READS_A);
        assert_eq!(ran(&other, &words), 0);
        other.file("b.h", "another");
        assert_eq!(ran(&other, &words), 0);
        let third = workspace(READS_A);
        third.file("b.h", "another");
        assert_eq!(ran(&third, &words), 1);
    }
}

/// What the assembler reads is in no depfile, so the texts that were read are searched here.
#[test]
fn a_text_that_only_the_server_has_is_searched_for_what_no_compiler_reports() {
    for naming in BOTH {
        let server = start(naming, &[]);
        let words = at(&server, naming);
        let plain = workspace(READS_MADE);
        assert_eq!(ran(&plain, &words), 2);
        plain.file("b.h", "another");
        assert_eq!(ran(&plain, &words), 0);
        for path in ["source", "a.h"] {
            let reads_more = workspace(READS_MADE);
            reads_more.file(path, "asm(\".inc\" \"bin \\\"b.h\\\"\")");
            ran(&reads_more, &words);
            reads_more.file("b.h", "another");
            assert_eq!(ran(&reads_more, &words), 1, "{path}");
        }
    }
}

#[test]
fn of_texts_that_are_large_and_at_the_server_nothing_is_fetched_and_all_counts() {
    for naming in BOTH {
        let server = start(naming, &[]);
        let words = at(&server, naming);
        let workspace = workspace(READS_MADE);
        let targets = std::fs::read_to_string(workspace.root().join("TARGETS")).unwrap();
        workspace.file("TARGETS", targets.replace("cat source", "yes | head -c 9000000"));
        assert_eq!(ran(&workspace, &words), 2);
        let fetched = workspace.events("build_finished")[0]["remote_cache"]["fetched"].as_u64();
        assert!(fetched < Some(10_000), "{fetched:?}");
        workspace.file("b.h", "another");
        assert_eq!(ran(&workspace, &words), 1);
    }
}

/// Sources of earlier builds are at the server and where they always were, but not in the build root.
#[test]
fn sources_are_searched_where_they_are() {
    let naming = BOTH[0];
    let server = start(naming, &[]);
    let words = at(&server, naming);
    let workspace = workspace(READS_MADE);
    let text = "/* a text that is long enough */\n".repeat(100);
    workspace.file("a.h", &text);
    assert_eq!(ran(&workspace, &words), 2);
    workspace.file("source", "another");
    assert_eq!(ran(&workspace, &words), 2);
    let fetched = workspace.events("build_finished")[0]["remote_cache"]["fetched"].as_u64().unwrap();
    assert!(fetched < text.len() as u64, "{fetched}");
}

#[test]
fn what_the_server_lost_or_damaged_of_it_costs_a_run() {
    for naming in BOTH {
        for is_damaged in [false, true] {
            let server = start(naming, &[]);
            let words = at(&server, naming);
            assert_eq!(ran(&workspace(READS_A), &words), 2);
            let memory = server.memory();
            let content = |hash: &taut_digest::Hash| memory.blob(hash).unwrap().to_vec();
            let contents = memory.blobs();
            let list = *contents.iter().find(|hash| content(hash) == b"a.h\0").expect("a list");
            memory.remove(&list);
            if is_damaged {
                memory.insert(list, b"b.h\0".to_vec());
            }
            let other = workspace(READS_A);
            other.file("b.h", "another");
            assert_eq!(ran(&other, &words), 1, "{naming:?}");
            assert_eq!(other.install(&taut(), &words, "all").succeeded().files["out"], "file 644 a");
        }
    }
}

#[test]
fn a_result_that_was_recorded_and_lost_is_made_again() {
    for naming in BOTH {
        let server = start(naming, &[]);
        let words = at(&server, naming);
        let workspace = workspace(READS_A);
        assert_eq!(ran(&workspace, &words), 2);
        let memory = server.memory();
        for hash in memory.blobs() {
            memory.remove(&hash);
        }
        workspace.file("b.h", "another");
        assert_eq!(workspace.install(&taut(), &words, "all").succeeded().files["out"], "file 644 a");
    }
}

#[test]
fn a_test_does_not_run_again_for_what_it_did_not_read() {
    let (naming, workspace) = (BOTH[1], Workspace::new());
    let server = start(naming, &[]);
    let words = at(&server, naming);
    workspace.file("RULES", r#"{"test": {"target_fields": ["deps"], "tainted": ["test"], "expression": {"type": "let*",
      "bindings": [["made", {"type": "ACTION", "outs": ["result", "stdout", "stderr", "time-start", "time-stop", "pwd", "d"],
        "depfile": "d", "may_fail": ["test"],
        "cmd": ["sh", "-c", "for file in stdout stderr pwd time-start time-stop; do : > $file; done; cat [a]*[h]; echo PASS > result; echo d: [a]*[h] > d"],
        "inputs": {"type": "map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "deps"}, "body":
          {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}}]],
      "body": {"type": "RESULT", "artifacts": {"type": "var", "name": "made"}}}}}"#);
    workspace.file("TARGETS", r#"{"t": {"type": "test", "deps": ["a.h", "b.h"]}}"#);
    workspace.file("a.h", "a").file("b.h", "b");
    let test = || {
        let call = ["test"].into_iter().chain(words.iter().map(String::as_str)).chain(["t"]);
        workspace.run(&taut(), call).exits(0);
        executions(&server)
    };
    assert_eq!(test(), 1);
    workspace.file("b.h", "another");
    assert_eq!(test(), 1);
    workspace.file("a.h", "another");
    assert_eq!(test(), 2);
}

#[test]
fn what_was_taken_by_what_was_read_is_compared_when_it_runs_again() {
    for naming in BOTH {
        let server = closed(naming);
        let words = at(&server, naming);
        let workspace = workspace("cat [a]*[h] > out; echo out: [a]*[h] > d; echo $$ >> out; echo");
        ran(&workspace, &words);
        workspace.file("b.h", "another");
        assert_eq!(ran(&workspace, &words), 0);
        let call = ["rebuild"].into_iter().chain(words.iter().map(String::as_str)).chain(["all"]);
        let answer = workspace.run(&taut(), call).stderr;
        assert!(answer.contains("flaky") || answer.contains("differ"), "{answer}");
    }
}
