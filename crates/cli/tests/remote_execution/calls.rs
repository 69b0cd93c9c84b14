//! How many calls a build makes: as few as its actions need, and none of them later for the sake of others.

use std::collections::BTreeMap;

use taut_digest::HashFunction;
use taut_remote::server::Server;
use taut_testkit::Workspace;

use super::{BOTH, at, build, start};

/// The calls of a build in which one action runs at a time.
fn calls(server: &Server, naming: HashFunction, workspace: &Workspace) -> BTreeMap<&'static str, u64> {
    let words = [at(server, naming), vec!["-J".to_owned(), "1".to_owned()]].concat();
    build(workspace, &words).exits(0);
    server.calls()
}

/// Actions each of which reads what the one before has made, or a source if there is none before.
fn actions(count: usize, are_chained: bool) -> Workspace {
    let workspace = Workspace::new();
    let target = |number: usize| {
        let reads = match number {
            0 => "source".to_owned(),
            _ if are_chained => format!("t{}", number - 1),
            _ => format!("s{number}"),
        };
        workspace.file(&format!("s{number}"), format!("{number}\n"));
        format!(
            r#""t{number}": {{"type": "generic", "outs": ["t{number}"], "cmds": ["cat {reads} > t{number}", "echo {number} >> t{number}"], "deps": ["{reads}"]}}"#
        )
    };
    let targets: Vec<String> = (0..count).map(target).collect();
    let all: Vec<String> = (0..count).map(|number| format!(r#""t{number}": "t{number}""#)).collect();
    let (targets, all) = (targets.join(","), all.join(","));
    workspace
        .file("source", "text\n")
        .file("TARGETS", format!(r#"{{{targets}, "all": {{"type": "install", "files": {{{all}}}}}}}"#));
    workspace
}

/// Each action has four round trips, one after the other: is there a result; what is missing; here it is; execute. The
/// calls of a chain show that there are no others, and that no question was divided. The tests of batches show that no
/// call waits for others.
#[test]
fn an_action_of_a_chain_has_four_round_trips() {
    for naming in BOTH {
        let (server, workspace) = (start(naming, &[]), actions(10, true));
        let found = calls(&server, naming, &workspace);
        let mut expected = BTreeMap::from(
            ["GetActionResult", "FindMissingBlobs", "BatchUpdateBlobs", "Execute"].map(|call| (call, 10)),
        );
        expected.insert("GetCapabilities", 1);
        if naming == HashFunction::Sha256 {
            // At the end of the build what was executed is reported to the server, for explanations.
            for call in ["GetActionResult", "BatchUpdateBlobs", "UpdateActionResult"] {
                *expected.entry(call).or_default() += 1;
            }
        }
        assert_eq!(found, expected, "{naming:?}");

        // Known results have one question for the result, and one for what it refers to.
        let other = actions(10, true);
        let before = server.calls();
        let found = calls(&server, naming, &other);
        let of = |call: &str| found[call] - before[call];
        assert_eq!((of("GetActionResult"), of("FindMissingBlobs")), (10, 10), "{naming:?}");
        assert_eq!((of("BatchUpdateBlobs"), of("Execute")), (0, 0), "{naming:?}");
    }
}

#[test]
fn where_many_results_in_a_row_are_unknown_most_are_not_asked_for() {
    for naming in BOTH {
        let (server, workspace) = (start(naming, &[]), actions(100, false));
        let found = calls(&server, naming, &workspace);
        // 64 unknown results; then one of sixteen; and the results of earlier builds, if a server keeps them.
        let reports = u64::from(naming == HashFunction::Sha256);
        assert_eq!((found["GetActionResult"], found["Execute"]), (64 + 3 + reports, 100), "{naming:?}");

        // What is known is taken all the same, wherever it comes among what is not.
        let other = actions(100, false);
        let known = std::fs::read_to_string(other.root().join("TARGETS")).unwrap();
        let unknown = known.replace("cat ", "cat < ");
        other.file("unknown/TARGETS", unknown);
        for number in 0..100 {
            other.file(&format!("unknown/s{number}"), "other\n");
        }
        other.file("unknown/source", "other\n");
        let both = r#"{"type": "install", "dirs": [["known", "known"], [["unknown", "all"], "unknown"]]}"#;
        other.file(
            "TARGETS",
            known.replacen(r#""all""#, r#""known""#, 1).replacen('{', &format!(r#"{{"all": {both}, "#), 1),
        );
        calls(&server, naming, &other);
        let hits = &other.events("build_finished")[0]["remote_cache"]["hits"];
        assert_eq!((other.actions_run(), hits), (100, &100.into()), "{naming:?}");
    }
}
