//! Features that the reference does not have, as users see them.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command, thread, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use taut_testkit::{Tool, ToolResult, Workspace, processed};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

fn workspace(targets: &str) -> Workspace {
    let workspace = Workspace::new();
    workspace.file("TARGETS", targets);
    workspace
}

fn run(workspace: &Workspace, words: &[&str]) -> ToolResult {
    workspace.run(&taut(), words)
}

#[test]
fn with_keep_going_everything_that_can_be_built_is_and_the_rest_is_listed() {
    let workspace = workspace(
        r#"{"a": {"type": "generic", "outs": ["a"], "cmds": ["exit 1"]},
            "b": {"type": "generic", "outs": ["b"], "cmds": ["exit 2"]},
            "on a": {"type": "generic", "outs": ["on a"], "deps": ["a"], "cmds": ["touch 'on a'"]},
            "c": {"type": "generic", "outs": ["c"], "cmds": ["sleep 0.2; echo built > c"]},
            "on c": {"type": "generic", "outs": ["on c"], "deps": ["c"], "cmds": ["cp c 'on c'"]},
            "all": {"type": "install", "files": {"x/1": "on a", "x/2": "b", "x/3": "on c"}}}"#,
    );
    let ran = run(&workspace, &["build", "--keep-going", "-J", "2", "all"]).exits(1);
    assert!(ran.stderr.contains("building a failed (exit code 1)"), "{}", ran.stderr);
    assert!(ran.stderr.contains("building b failed (exit code 2)"), "{}", ran.stderr);
    // The two run at the same time, and either may fail first.
    let summaries = [":a (a), :b (b)", ":b (b), :a (a)"]
        .map(|failed| format!("2 actions failed: {failed}; 2 actions run; not built: ':on a'\n"));
    assert!(summaries.iter().any(|summary| ran.stderr.contains(summary)), "{}", ran.stderr);
    let again = run(&workspace, &["build", "on c"]).exits(0);
    assert!(processed(&again.stderr) == Some((2, 2)), "{}", again.stderr);
}

#[test]
fn the_command_shown_for_a_failed_action_fails_in_the_same_way() {
    let workspace = workspace(
        r#"{"in": {"type": "generic", "outs": ["made"], "cmds": ["echo 'made of' > made"]},
            "t": {"type": "generic", "outs": ["d/out"], "deps": ["in", "it's"], "env": {"type": "'", "$1": {"A": "b c"}},
                  "cmds": ["cat made it\\'s; echo $A; touch d/out", "cat << EOF", "here", "EOF", "exit 5"]}}"#,
    );
    workspace.file("it's", "a source\n");
    let ran = run(&workspace, &["build", "t", "-D", r#"{"V": "x y"}"#]).exits(1);
    let (_, shown) = ran.stderr.split_once("\n  reproduce: ").expect("a command is shown");
    let (script, _) = shown.split_once('\n').unwrap();
    let temporary = workspace.beside("temporary");
    fs::create_dir(&temporary).unwrap();
    let mut by_hand = Command::new("sh");
    by_hand.arg("-c").arg(script).current_dir(workspace.root()).env("TMPDIR", &temporary);
    let by_hand = by_hand.output().unwrap();
    let made: Vec<_> =
        fs::read_dir(&temporary).unwrap().map(|entry| entry.unwrap().metadata().unwrap()).collect();
    assert_eq!(made.len(), 1, "all is done in one new directory");
    assert_eq!(made[0].permissions().mode() & 0o777, 0o700, "which is the user's alone");
    let stderr = String::from_utf8_lossy(&by_hand.stderr);
    assert_eq!(by_hand.status.code(), Some(1), "{script}\n{stderr}");
    assert!(stderr.contains("error: the action failed (exit code 5); its directory is kept: "), "{stderr}");
    assert_eq!(String::from_utf8_lossy(&by_hand.stdout), "made of\na source\nb c\nhere\n");
}

#[test]
fn a_key_that_occurs_twice_causes_a_warning_in_targets_that_it_affects() {
    let targets = "{\"t\": {\"type\": \"file_gen\", \"name\": \"a\", \"name\": \"b\"},\n \
         \"u\": {\"type\": \"install\"},\n \"u\": {\"type\": \"install\", \"deps\": [\"t\"]},\n \
         \"v\": {\"type\": \"install\"}}";
    let workspace = workspace(targets);
    let warnings = |target: &str| {
        let ran = run(&workspace, &["analyse", target]).exits(0);
        ran.stderr.matches("occurs twice in one object").count()
    };
    assert_eq!((warnings("t"), warnings("u"), warnings("v")), (1, 2, 0));
}

#[test]
fn a_signal_ends_the_actions_and_removes_their_directories() {
    let workspace = workspace(
        r#"{"t": {"type": "generic", "outs": ["t"], "cmds": ["touch started; sleep 100 & sleep 100; touch t"]}}"#,
    );
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut build = workspace.start(&taut(), ["build", "t"]);
        let stages = workspace.build_root().join("protocol-dependent/generation-0/ephemeral/exec_root");
        let started = || {
            let homes = fs::read_dir(&stages).into_iter().flatten().flatten();
            homes
                .flat_map(|home| fs::read_dir(home.path()).into_iter().flatten().flatten())
                .any(|place| place.path().join("root/started").exists())
        };
        while !started() {
            thread::sleep(Duration::from_millis(5));
        }
        kill_process(Pid::from_child(&build), signal).unwrap();
        assert_eq!(build.wait().unwrap().code(), Some(code));
        assert_eq!(fs::read_dir(&stages).unwrap().count(), 0);
    }
}

#[test]
fn of_a_long_cycle_only_both_ends_are_shown() {
    let count = 20_000;
    let targets =
        (0..count).map(|n| format!(r#""t{n}": {{"type": "install", "deps": ["t{}"]}}"#, (n + 1) % count));
    let workspace = workspace(&format!("{{{}}}", targets.collect::<Vec<_>>().join(",\n")));
    let ran = run(&workspace, &["analyse", "t0"]).exits(8);
    assert!(ran.stderr.contains("|   … 19900 more …\n"), "{}", &ran.stderr[..9_000.min(ran.stderr.len())]);
    assert!(ran.stderr.len() < 20_000, "{} bytes", ran.stderr.len());
}

#[test]
fn a_stored_tree_with_an_entry_that_leads_out_of_it_is_refused_with_the_reason() {
    let workspace = workspace("{}");
    workspace.file("sub/name", "x\n");
    let tree = run(&workspace, &["add-to-cas", "sub"]).exits(0).stdout;
    let cast = workspace.build_root().join("protocol-dependent/generation-0/git-sha1/cast");
    let bytes = fs::read(cast.join(&tree[..2]).join(tree[2..].trim())).unwrap();
    // An entry of a git tree that leads out of it.
    let at = bytes.windows(4).position(|name| name == b"name").unwrap();
    let bad = [&bytes[..at], b"..", &bytes[at + 4..]].concat();
    let id = taut_digest::HashFunction::GitSha1.tree(&bad).to_hex();
    let place = cast.join(&id[..2]);
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join(&id[2..]), &bad).unwrap();
    for words in [
        &["install-cas"][..],
        &["install-cas", "-o", "out"],
        &["install-cas", "-P", "x"],
        &["install-cas", "--archive"],
    ] {
        let object = format!("{id}::t");
        let ran = run(&workspace, &[words, &[&object]].concat()).exits(16);
        let why = "cannot be used: git tree has an entry named \"..\"";
        assert!(ran.stderr.contains(why), "{words:?}: {}", ran.stderr);
    }
}

#[test]
fn comments_are_read_under_the_name_taut_alone_also_where_both_share_a_build_root() {
    let workspace = workspace(r#"{"t": {"type": "generic", "outs": ["o"], "cmds": ["echo o > o"]}}"#);
    // With a repository `std` of its own, a configuration is the same for both.
    workspace.file("std/TARGETS", "{}");
    let root = workspace.root();
    let config = format!(
        r#"{{"repositories": {{"": {{"workspace_root": ["file", "{0}"]}}, "std": {{"workspace_root": ["file", "{0}/std"]}}}}}}"#,
        root.display()
    );
    workspace.file("config.json", &config);
    let just = taut().called("just");
    let build = |tool: &Tool| workspace.run(tool, ["build", "-C", "config.json", "t"]);
    build(&just).exits(0);
    build(&taut()).exits(0);
    let strict = fs::read_to_string(root.join("TARGETS")).unwrap();
    workspace.file("TARGETS", strict.replace("{", "{ // a comment\n"));
    build(&taut()).exits(0);
    let refused = build(&just).exits(8);
    assert!(refused.stderr.contains("parse error at line 1, column 3"), "{}", refused.stderr);
    build(&taut()).exits(0);
    build(&just).exits(8);
    workspace.file("TARGETS", strict);
    build(&just).exits(0);

    workspace.file("config.json", config.replace("]}}", "],/* none */}}"));
    build(&taut()).exits(0);
    let refused = build(&just).exits(1);
    assert!(
        refused.stderr.contains("Parsing repository configuration file config.json failed"),
        "{refused:?}"
    );
}

#[test]
fn a_path_with_dots_is_one_from_the_current_directory_and_for_just_a_name_in_the_module() {
    let workspace = workspace(r#"{"t": {"type": "install"}}"#);
    workspace.file("c.c", "").file("inc/TARGETS", r#"{"./n.c": {"type": "install"}}"#).file("inc/d.c", "");
    workspace.file("inc/n.c", "").file("inc/sub/e.c", "").file("inc/x:y", "");
    let root = workspace.root();
    let builds = |tool: &Tool, directory: &str, word: &str| {
        let build_root = workspace.build_root().to_string_lossy().into_owned();
        tool.run(&root.join(directory), ["build", "--local-build-root", &build_root, word])
    };
    for (directory, word, target) in [
        ("", "./c.c", ":c.c"),
        ("", "inc/../c.c", ":c.c"),
        ("", "./inc/d.c", "inc:d.c"),
        ("inc", "../c.c", ":c.c"),
        ("inc", "./d.c", "inc:d.c"),
        ("inc", "sub/../d.c", "inc:d.c"),
        ("inc", "../inc/d.c", "inc:d.c"),
        ("inc", "./sub//e.c", "inc:sub/e.c"),
        // A colon in the name of a file does not separate module and name.
        ("inc", "./x:y", "inc:x:y"),
        // A target of that name is preferred, as under the name `just`.
        ("inc", "./n.c", "inc:./n.c"),
        ("inc/sub", "./e.c", "inc:sub/e.c"),
        ("inc/sub", "../d.c", "inc:d.c"),
        ("inc/sub", "../../c.c", ":c.c"),
    ] {
        let built = builds(&taut(), directory, word).exits(0);
        let expected = format!("{target} is up to date");
        assert!(built.stderr.starts_with(&expected), "{directory} {word}: {}", built.stderr);
    }
    for (directory, word) in [("inc", "../../c.c"), ("inc", "./c.c"), ("", "../c.c")] {
        let refused = builds(&taut(), directory, word).exits(8);
        assert!(refused.stderr.contains("no target or file"), "{directory} {word}: {}", refused.stderr);
    }
    let just = taut().called("just");
    let built = builds(&just, "inc", "./d.c").exits(0);
    assert!(built.stderr.contains("        ./d.c ["), "{}", built.stderr);
    let refused = builds(&just, "inc", "../c.c").exits(8);
    assert!(refused.stderr.contains("Source file reference outside current module"), "{}", refused.stderr);
}
