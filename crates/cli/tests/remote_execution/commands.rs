//! Each command that may use a server, in both protocols: it does what it does without one.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use taut_digest::HashFunction;
use taut_testkit::{ToolResult, Workspace, listing};

use super::{ACTIONS, BOTH, at, build, golden::golden, here, install, start, taut, workspace};

#[track_caller]
fn run(workspace: &Workspace, command: &str, words: &[String], more: &[&str]) -> ToolResult {
    let words = words.iter().map(String::as_str);
    workspace.run(&taut(), [command].into_iter().chain(words).chain(more.iter().copied()))
}

#[test]
fn tests_run_at_the_server() {
    for naming in BOTH {
        let server = start(naming, &[]);
        let workspace = Workspace::new();
        let test = |name: &str| {
            format!(
                r#""{name}": {{"type": ["@", "std", "shell", "test"], "tainted": ["test"], "name": ["{name}"], "src": ["{name}.sh"], "data": ["data"]}}"#
            )
        };
        workspace.file("TARGETS", format!("{{{}, {}}}", test("good"), test("bad")));
        workspace
            .file("good.sh", "test $(cat data) = 1\n")
            .file("bad.sh", "echo because of $(cat data)\nfalse\n");
        workspace.file("data", "1\n");
        let words = at(&server, naming);
        let text = run(&workspace, "test", &words, &[]).exits(1).stderr;
        assert!(text.contains("because of 1") && text.contains("1 passed"), "{text}");
        let executed = server.calls()["Execute"];
        // The one that passed is known; a failure is not.
        let text = run(&workspace, "test", &words, &[]).exits(1).stderr;
        assert!(text.contains(":good passed (cached)"), "{text}");
        assert_eq!(server.calls()["Execute"], executed + 1);
        // Each run is one there.
        run(&workspace, "test", &words, &["--runs", "3", "good"]).exits(0);
        assert_eq!(server.calls()["Execute"], executed + 4);
    }
}

#[test]
fn a_graph_from_a_file_is_executed_at_the_server() {
    for naming in BOTH {
        let (server, workspace) = (start(naming, &[]), workspace());
        let words = at(&server, naming);
        let dumps = ["--dump-graph", "g", "--dump-artifacts-to-build", "a", "all"];
        run(&workspace, "analyse", &words, &dumps).exits(0);
        assert_eq!(server.total(), 0, "analysis asks nothing");
        let wanted = fs::read_to_string(workspace.root().join("a")).unwrap();
        let to = workspace.beside("out").to_string_lossy().into_owned();
        run(&workspace, "traverse", &words, &["-g", "g", "-a", &wanted, "-o", &to]).exits(0);
        assert_eq!(server.calls()["Execute"], ACTIONS);
        assert_eq!(listing(Path::new(&to)).unwrap(), here(&workspace));
    }
}

#[test]
fn rounds_of_watch_are_executed_at_the_server() {
    for naming in BOTH {
        let (server, workspace) = (start(naming, &[]), workspace());
        let to = workspace.beside("out");
        let to_text = to.to_string_lossy().into_owned();
        let words = at(&server, naming);
        let words = words.iter().map(String::as_str).chain(["-o", &to_text, "--plain-log", "all"]);
        let mut watching = workspace.start(&taut(), ["watch"].into_iter().chain(words));
        let is_there = |text: &str| {
            let begin = Instant::now();
            let file = to.join("extra/extra");
            while !fs::read_to_string(&file).is_ok_and(|found| found.contains(text)) {
                assert!(begin.elapsed() < Duration::from_secs(60), "{text} does not come");
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        is_there("SOME TEXT");
        let executed = server.calls()["Execute"];
        // At once, so that there is one round.
        fs::write(workspace.beside("new"), "even more\n").unwrap();
        fs::rename(workspace.beside("new"), workspace.root().join("more")).unwrap();
        is_there("even more");
        assert_eq!(server.calls()["Execute"], executed + 1);
        watching.kill().unwrap();
        watching.wait().unwrap();
    }
}

#[test]
fn generated_headers_of_a_compilation_database_come_from_the_server() {
    for naming in BOTH {
        let server = start(naming, &[]);
        let workspace = Workspace::new();
        workspace.file(
            "TARGETS",
            r#"{"app": {"type": ["@", "std", "cc", "binary"], "name": ["app"], "srcs": ["app.cc", "size"]},
                "size": {"type": ["@", "std", "", "genrule"], "outs": ["size.h"], "cmds": ["echo '#define SIZE 3' > size.h"]}}"#,
        );
        workspace.file("app.cc", "#include \"size.h\"\nint main() { return SIZE; }\n");
        let text = run(&workspace, "compile-commands", &at(&server, naming), &["-o", "-"]).exits(0).stdout;
        let all: serde_json::Value = serde_json::from_str(&text).unwrap();
        let words = all[0]["arguments"].as_array().unwrap().iter().filter_map(|word| word.as_str());
        let headers: Vec<String> =
            words.filter_map(|word| fs::read_to_string(Path::new(word).join("size.h")).ok()).collect();
        assert_eq!(headers, ["#define SIZE 3\n"]);
        assert_eq!(server.calls()["Execute"], 1);
    }
}

#[test]
fn a_description_of_a_target_asks_the_server_nothing() {
    for naming in BOTH {
        let (server, workspace) = (start(naming, &[]), workspace());
        let text = run(&workspace, "describe", &at(&server, naming), &["files"]).exits(0).stdout;
        assert!(text.contains("generic"), "{text}");
        assert_eq!(server.total(), 0);
    }
}

#[test]
fn an_object_comes_from_a_server_and_goes_to_it() {
    for naming in BOTH {
        let server = start(naming, &[]);
        let (here, there) = (Workspace::new(), Workspace::new());
        here.file("d/a/x", "x\n").file("d/y", "y\n").link("d/l", "y");
        let words = at(&server, naming);
        let added = run(&here, "add-to-cas", &words, &["d"]).exits(0);
        let hash = added.stdout.trim().to_owned();
        let mode = if naming == HashFunction::GitSha1 { "native" } else { "compatible" };
        golden(&format!("A directory is added, {mode}"), &added.stderr);
        golden("It is added again", &run(&here, "add-to-cas", &words, &["d"]).exits(0).stderr);
        // Servers of the standard protocol find contents by hash and size.
        let raw = ["install-cas", "--compatible", "--raw-tree", &format!("{hash}::t")];
        let id = match naming {
            HashFunction::GitSha1 => format!("{hash}::t"),
            HashFunction::Sha256 => format!("{hash}:{}:t", here.run(&taut(), raw).exits(0).stdout.len()),
        };
        run(&there, "install-cas", &words, &[&id, "-o", "copy"]).exits(0);
        assert_eq!(listing(&there.root().join("copy")).unwrap(), listing(&here.root().join("d")).unwrap());
        let absent = "1".repeat(hash.len());
        let text = run(&there, "install-cas", &words, &[&absent]).exits(16).stderr;
        assert!(text.contains("there is no object"), "{text}");
        assert!(text.contains(&format!("in the store, nor at server {}", server.address())), "{text}");
        let has_hint = text.contains("most servers need it: HASH:SIZE:TYPE");
        assert_eq!(has_hint, naming == HashFunction::Sha256, "{text}");
    }
}

fn compatible(naming: HashFunction) -> Vec<&'static str> {
    (naming == HashFunction::Sha256).then_some("--compatible").into_iter().collect()
}

#[test]
fn what_is_remembered_is_in_the_store_without_the_server() {
    for naming in BOTH {
        let (server, workspace) = (start(naming, &[]), workspace());
        let words = at(&server, naming);
        build(&workspace, &[&words[..], &["--dump-artifacts".to_owned(), "artifacts".to_owned()]].concat())
            .exits(0);
        let text = fs::read_to_string(workspace.root().join("artifacts")).unwrap();
        let all: serde_json::Value = serde_json::from_str(&text).unwrap();
        let id = |path: &str| {
            let of = |field: &str| all[path][field].to_string().replace('"', "");
            format!("{}:{}:{}", of("id"), of("size"), of("file_type"))
        };
        let local = |id: &str, to: &str| {
            let words = [&["install-cas", id, "-o", to], &compatible(naming)[..]].concat();
            workspace.run(&taut(), words).code == 0
        };
        let (tree, large) = (id("tree/tree"), id("large/large"));
        assert!(!local(&tree, "absent") && !local(&large, "absent"));
        // By itself, shown in another way than it is kept; and what is installed.
        run(&workspace, "install-cas", &words, &[&tree, "--remember"]).exits(0);
        assert!(local(&tree, "tree") && !local(&large, "absent"));
        let to = workspace.beside("out").to_string_lossy().into_owned();
        run(&workspace, "install", &words, &["-o", &to, "--remember", "all"]).exits(0);
        assert!(local(&large, "large"));
    }
}

#[test]
fn what_is_built_is_at_the_server_also_what_no_action_reads() {
    for naming in BOTH {
        let server = start(naming, &[]);
        let (here, there) = (Workspace::new(), Workspace::new());
        here.file(
            "TARGETS",
            r#"{"": {"type": "install", "dirs": [[["TREE", null, "d"], "d"], ["file", "f"]]}}"#,
        );
        here.file("d/a/x", "x\n").file("d/y", "y\n").file("file", "text\n");
        // Built before without a server, so that nothing has to be executed with it.
        here.run(&taut(), [&["build"], &compatible(naming)[..], &[""]].concat()).exits(0);
        let words = at(&server, naming);
        let dump = ["--dump-artifacts", "artifacts", ""];
        run(&here, "build", &words, &dump).exits(0);
        let text = fs::read_to_string(here.root().join("artifacts")).unwrap();
        let all: serde_json::Value = serde_json::from_str(&text).unwrap();
        let tree = format!("{}:{}:t", all["d/d"]["id"].as_str().unwrap(), all["d/d"]["size"]);
        run(&there, "install-cas", &words, &[&tree, "-o", "copy"]).exits(0);
        let copy = listing(&there.root().join("copy")).unwrap();
        assert!(copy.values().any(|content| content.contains("x\n")), "{copy:?}");
        // Sizes of entries are in the directory, wherever these are.
        if naming == HashFunction::Sha256 {
            let (elsewhere, hash) = (Workspace::new(), tree.split(':').next().unwrap());
            run(&elsewhere, "install-cas", &words, &[hash]).exits(0);
            let shown = run(&elsewhere, "install-cas", &words, &[&format!("{hash}::t")]).exits(0).stdout;
            assert!(shown.contains(":2:f]") && !shown.contains("::"), "{shown}");
        }
        let calls = server.total();
        run(&here, "build", &words, &dump).exits(0);
        assert_eq!(server.total(), calls, "what is known to be there is not asked for");
    }
}

#[test]
fn a_rebuild_compares_with_what_a_server_knows() {
    for naming in BOTH {
        let (server, workspace) = (start(naming, &[]), workspace());
        let words = at(&server, naming);
        build(&workspace, &words).exits(0);
        let (address, compatible) = (server.address(), compatible(naming));
        for more in [vec!["-r", &address], vec!["--vs", &address]] {
            let call = [&["rebuild"], &more[..], &compatible[..], &["all"]].concat();
            let text = workspace.run(&taut(), call).exits(0).stderr;
            assert!(text.contains("5 actions run again and compared with the cache, none differs"), "{text}");
        }
        let text = run(&workspace, "rebuild", &words, &["--vs", "local", "all"]).exits(0).stderr;
        assert!(text.contains("5 actions run that the cache did not know"), "{text}");
    }
}

#[test]
fn an_installation_fetches_what_was_built_before() {
    for naming in BOTH {
        let (server, workspace) = (start(naming, &[]), workspace());
        let words = at(&server, naming);
        build(&workspace, &words).exits(0);
        let installed = install(&workspace, &words);
        assert_eq!((&installed.files, workspace.actions_run()), (&here(&workspace), 0));
        let traffic = &workspace.events("build_finished")[0]["remote_cache"];
        assert_eq!(traffic["sent"], 0, "{traffic}");
    }
}
