//! `taut test`: which tests are found, when they run again, and how often.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{fs, os::unix::fs::PermissionsExt, process::Command, thread, time::Duration};

use taut_testkit::{Tool, ToolResult, Workspace};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

fn run(workspace: &Workspace, words: &[&str]) -> ToolResult {
    workspace.run(&taut(), [&["test"], words].concat())
}

/// A test by a shell script, which adds a line to a file beside the workspace whenever it runs.
fn counted(workspace: &Workspace, module: &str, name: &str, script: &str) -> String {
    let runs = workspace.beside(&format!("runs-{name}")).display().to_string();
    let path = if module.is_empty() { format!("{name}.sh") } else { format!("{module}/{name}.sh") };
    workspace.file(&path, format!("echo run >> {runs}\nruns=$(wc -l < {runs})\n{script}\n"));
    format!(
        r#""{name}": {{"type": ["@", "std", "shell", "test"], "tainted": ["test"], "name": ["{name}"], "src": ["{name}.sh"], "data": ["data"]}}"#
    )
}

fn runs(workspace: &Workspace, name: &str) -> usize {
    fs::read_to_string(workspace.beside(&format!("runs-{name}"))).map_or(0, |text| text.lines().count())
}

/// A workspace with these scripts as tests of the root module.
fn project(scripts: &[(&str, &str)]) -> Workspace {
    let workspace = Workspace::new();
    let tests: Vec<String> =
        scripts.iter().map(|(name, script)| counted(&workspace, "", name, script)).collect();
    workspace.file("TARGETS", format!("{{{}}}", tests.join(",\n"))).file("data", "1");
    workspace
}

#[test]
fn the_command_of_a_test_is_shown_with_the_name_of_its_target() {
    let workspace = project(&[("a", "true")]);
    let of_build = workspace.run(&taut(), ["build", "-v", "--no-trace", "a"]).exits(0).stderr;
    let line = of_build.lines().find(|line| line.contains("run-test.sh")).unwrap();
    assert!(line.contains("] :a: sh ./run-test.sh "), "{of_build}");
    // `--runs` is without the cache, so that the action runs again.
    let of_test = run(&workspace, &["-v", "--runs", "1"]).exits(0).stderr;
    assert!(of_test.lines().any(|other| other == line), "{of_test}");
}

#[test]
fn a_test_runs_again_only_if_something_changed_that_it_depends_on() {
    let workspace = project(&[("a", "true"), ("b", "test $(cat data) = 1")]);
    assert!(run(&workspace, &[]).exits(0).stderr.contains("2 tests: 2 passed in "));
    assert!(run(&workspace, &[]).exits(0).stderr.contains("2 tests: 2 passed (cached) in "));
    assert_eq!((runs(&workspace, "a"), runs(&workspace, "b")), (1, 1));
    // The other call finds it, too, and the other way round.
    workspace.run(&taut(), ["build", "a"]).exits(0);
    assert_eq!(runs(&workspace, "a"), 1);
    workspace.file("data", "2");
    workspace.run(&taut(), ["build", "a"]).exits(0);
    let failed = run(&workspace, &[]).exits(1);
    assert!(failed.stderr.contains(":a passed (cached)\n"), "{}", failed.stderr);
    assert!(failed.stderr.contains("error: :b failed in "), "{}", failed.stderr);
    // A failure is not cached.
    run(&workspace, &[]).exits(1);
    assert_eq!((runs(&workspace, "a"), runs(&workspace, "b")), (2, 3));
    workspace.file("data", "1");
    run(&workspace, &["--no-trace"]).exits(0);
    assert_eq!((runs(&workspace, "a"), runs(&workspace, "b")), (2, 3));
}

#[test]
fn tests_of_all_modules_are_found_but_not_those_of_other_workspaces() {
    let workspace = project(&[("a", "true")]);
    for module in ["deep/er", ".hidden", "other"] {
        let test = counted(&workspace, module, module.rsplit('/').next().unwrap(), "true");
        workspace.file(&format!("{module}/TARGETS"), format!("{{{test}}}"));
        workspace.file(&format!("{module}/data"), "");
    }
    workspace.file("other/ROOT", "");
    let ran = run(&workspace, &["-J", "1"]).exits(0);
    assert!(
        ran.stderr.contains("deep/er:er passed in ") && ran.stderr.contains("2 tests: "),
        "{}",
        ran.stderr
    );
    // From within a module as well.
    let tool = taut();
    let root = workspace.build_root();
    let there = tool.run(
        &workspace.root().join("deep"),
        ["test".as_ref(), "--local-build-root".as_ref(), root.as_os_str()],
    );
    assert!(there.exits(0).stderr.contains("2 tests: 2 passed (cached)"));
    workspace.file("deep/er/TARGETS", "{");
    let wrong = run(&workspace, &[]);
    assert_ne!(wrong.code, 0);
    assert!(wrong.stderr.contains("deep/er/TARGETS:1"), "{}", wrong.stderr);
}

#[test]
fn a_flaky_test_is_tried_again_and_not_cached() {
    let workspace = project(&[("a", "echo try $runs; test $((runs % 3)) = 0")]);
    let flaky = run(&workspace, &["--flaky-attempts", "5"]).exits(0);
    assert!(
        flaky.stderr.contains("warning: :a is flaky: it passed in run 3, after 2 failures"),
        "{}",
        flaky.stderr
    );
    assert!(flaky.stderr.contains("  run 2:\n  try 2\n"), "{}", flaky.stderr);
    assert_eq!(runs(&workspace, "a"), 3);
    let failed = run(&workspace, &["--flaky-attempts", "2"]).exits(1);
    assert!(failed.stderr.contains("in 2 of 2 runs"), "{}", failed.stderr);
    assert_eq!(runs(&workspace, "a"), 5);
}

#[test]
fn tests_can_be_repeated() {
    let workspace = project(&[("a", "true"), ("b", "test $runs != 7")]);
    run(&workspace, &[]).exits(0);
    run(&workspace, &["--runs", "4", "--filter", "*:a"]).exits(0);
    assert_eq!((runs(&workspace, "a"), runs(&workspace, "b")), (5, 1));
    let failed = run(&workspace, &["--until-fail", "--filter", "b"]).exits(1);
    assert!(failed.stderr.contains("error: :b failed in "), "{}", failed.stderr);
    assert_eq!(runs(&workspace, "b"), 7);
    // A failure of one test ends the repetition of others.
    let workspace = project(&[("a", "true"), ("b", "test $runs != 3")]);
    run(&workspace, &["--until-fail"]).exits(1);
    run(&workspace, &["--until-fail", "--runs", "2"]).exits(0);
    assert_eq!(runs(&workspace, "b"), 5);
}

#[test]
fn a_test_may_be_repeated_any_number_of_times() {
    let most = u64::MAX.to_string();
    let workspace = project(&[("a", "test $runs -lt 3")]);
    let failed = run(&workspace, &["--runs", &most, "--until-fail"]).exits(1);
    assert!(failed.stderr.contains(", in 1 of 3 runs"), "{}", failed.stderr);
    let failed = run(&workspace, &["--runs", "5"]).exits(1);
    assert!(failed.stderr.contains(", in 5 of 5 runs"), "{}", failed.stderr);
    assert!(failed.stderr.contains("2 more failed runs"), "{}", failed.stderr);
    assert_eq!(runs(&workspace, "a"), 8);
    let mut child = workspace.start(&taut(), ["test", "--runs", &most]);
    while runs(&workspace, "a") < 20 {
        assert_eq!(child.try_wait().unwrap(), None, "it goes on");
        thread::sleep(Duration::from_millis(2));
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_cached_result_that_is_damaged_is_not_taken_for_a_success() {
    let workspace = project(&[("a", "true")]);
    run(&workspace, &[]).exits(0);
    let objects = workspace.build_root().join("protocol-dependent/generation-0/git-sha1/casf");
    let files = fs::read_dir(objects).unwrap().flat_map(|shard| fs::read_dir(shard.unwrap().path()).unwrap());
    let of_result = |path: &std::path::PathBuf| fs::read(path).unwrap().trim_ascii() == b"PASS";
    let result = files.map(|file| file.unwrap().path()).find(of_result).expect("a result");
    fs::set_permissions(&result, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&result, "FAIL\n").unwrap();
    let again = run(&workspace, &[]).exits(1);
    assert!(again.stderr.contains(":a could not be run"), "{}", again.stderr);
    assert!(run(&workspace, &[]).exits(0).stderr.contains(":a passed in "));
}

#[test]
fn a_time_limit_concerns_tests_only() {
    let workspace = Workspace::new();
    workspace.file("t.sh", "echo begun; sleep 60").file(
        "TARGETS",
        r#"{"t": {"type": ["@", "std", "shell", "test"], "tainted": ["test"], "name": ["t"], "src": ["t.sh"], "data": ["made"]},
           "made": {"type": "generic", "outs": ["made"], "cmds": ["sleep 1.5; echo > made"]}}"#,
    );
    let slow = run(&workspace, &["--timeout", "1"]).exits(1);
    assert!(slow.stderr.contains("error: :t exceeded its time limit of 1 s\n  begun\n"), "{}", slow.stderr);
    assert!(
        slow.stderr.ends_with(" s\n") && slow.stderr.contains("1 test: 1 timed out in "),
        "{}",
        slow.stderr
    );
    let built = workspace.run(&taut(), ["build", "made"]).exits(0);
    assert!(
        built.stderr.contains("up to date") || built.stderr.contains("1 action from cache"),
        "{}",
        built.stderr
    );
}

#[test]
fn shards_are_cached_one_by_one() {
    let workspace = Workspace::new();
    let runs_file = workspace.beside("runs").display().to_string();
    workspace
        .file("t.sh", format!("echo $TEST_SHARD_INDEX >> {runs_file}; test ! -e {runs_file}-$TEST_SHARD_INDEX"))
        .file(
            "TARGETS",
            r#"{"t": {"type": ["@", "std", "shell", "test"], "tainted": ["test"], "name": ["t"], "src": ["t.sh"], "shards": ["12"]}}"#,
        );
    fs::write(workspace.beside("runs-10"), "").unwrap();
    let failed = run(&workspace, &[]).exits(1);
    assert!(failed.stderr.contains("1 of 12 shards\n  shard-10 of 12:\n"), "{}", failed.stderr);
    fs::remove_file(workspace.beside("runs-10")).unwrap();
    run(&workspace, &[]).exits(0);
    let mut ran: Vec<usize> =
        fs::read_to_string(runs_file).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    ran.sort_unstable();
    assert_eq!(ran, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 11]);
    let out = workspace.beside("out").display().to_string();
    workspace.run(&taut(), ["install", "t", "-o", &out]).exits(0);
    assert_eq!(fs::read_to_string(workspace.beside("out/shard-11/result")).unwrap(), "PASS\n");
}

#[test]
fn results_are_written_as_xml() {
    let workspace = project(&[("a", "true"), ("b", "printf '<&\\033\\n' >&2; exit 2")]);
    let file = workspace.beside("junit.xml");
    run(&workspace, &["--junit", &file.display().to_string()]).exits(1);
    let text = fs::read_to_string(file).unwrap();
    assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"taut test\" tests=\"2\" failures=\"1\" errors=\"0\""), "{text}");
    assert!(text.contains("<testcase classname=\".\" name=\"a\" time=\""), "{text}");
    assert!(
        text.contains(">&lt;&amp;\u{fffd}&#10;The test ended with exit code 2.&#10;</failure>"),
        "{text}"
    );
    assert!(text.ends_with("</testsuite>\n</testsuites>\n"), "{text}");
    // What cannot be written is an error, after all tests.
    let failed = run(&workspace, &["--junit", "/proc/none/x"]).exits(16);
    assert!(failed.stderr.contains("cannot write /proc/none/x"), "{}", failed.stderr);
}

#[test]
fn what_cannot_be_built_concerns_only_the_tests_that_need_it() {
    let workspace = project(&[("a", "true")]);
    let targets = fs::read_to_string(workspace.root().join("TARGETS")).unwrap();
    let more = r#""b": {"type": ["@", "std", "shell", "test"], "tainted": ["test"], "name": ["b"], "src": ["a.sh"], "data": ["made"]},
        "made": {"type": "generic", "outs": ["made"], "cmds": ["exit 1"]}, "#;
    workspace.file("TARGETS", targets.replacen('{', &format!("{{{more}"), 1));
    let ran = run(&workspace, &[]).exits(1);
    assert!(ran.stderr.contains(":a passed in "), "{}", ran.stderr);
    assert!(ran.stderr.contains("2 tests: 1 passed, 1 not run (:b) in "), "{}", ran.stderr);
}

#[test]
fn repositories_and_configurations_are_those_of_builds() {
    let workspace = Workspace::new();
    let root = workspace.root().display().to_string();
    workspace.file("lib/t.sh", "test \"$WANTED\" = yes").file(
        "lib/TARGETS",
        r#"{"t": {"type": ["@", "std", "shell", "test"], "tainted": ["test"], "name": ["t"], "src": ["t.sh"], "env": ["WANTED=yes"]},
            "both": {"type": "install", "tainted": ["test"], "dirs": [["t", "x"], ["other", "y"]]},
            "other": {"type": "configure", "tainted": ["test"], "target": "t",
                "config": {"type": "'", "$1": {"TIMEOUT_SCALE": 2}}}}"#,
    );
    workspace.file(
        "repos.json",
        format!(
            r#"{{"main": "app", "repositories": {{
            "app": {{"workspace_root": ["file", "{root}/app"], "bindings": {{"lib": "lib"}}}},
            "lib": {{"workspace_root": ["file", "{root}/lib"]}}}}}}"#
        ),
    );
    workspace.file(
        "app/TARGETS",
        r#"{"all": {"type": "install", "tainted": ["test"], "dirs": [[["@", "lib", "", "t"], "x"]]}}"#,
    );
    let ran = run(&workspace, &["-C", "repos.json"]).exits(0);
    assert!(ran.stderr.contains("@lib//:t passed in "), "{}", ran.stderr);
    // One test in two configurations is two tests.
    let both = run(&workspace, &["-C", "repos.json", "--main", "lib", "both"]);
    assert!(both.stderr.contains(":t -D '{\"TIMEOUT_SCALE\":2}' passed"), "{}", both.stderr);
}

/// Rules for tests in the form of those of justbuild's rule sets, in a repository of rules: a program of C and a
/// script, each run by a runner that is a source of the rules, which writes how the test ended, and when; a failed test
/// is not a failed action.
const TESTS_OF_A_RULE_SET: [(&str, &str); 4] = [
    (
        "rules/CC/test/RULES",
        r#"{"test": {
        "doc": ["A test of C"], "tainted": ["test"],
        "target_fields": ["srcs", "private-hdrs", "data"], "string_fields": ["name", "args"],
        "config_vars": ["CC", "ENV", "RUNS_PER_TEST", "TEST_ENV"],
        "implicit": {"runner": ["runner"]},
        "imports": {"run": ["./", "..", "run test"]},
        "expression": {"type": "let*", "bindings": [
            ["name", {"type": "join", "$1": {"type": "FIELD", "name": "name"}}],
            ["srcs", {"type": "disjoint_map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "srcs"},
              "body": {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}],
            ["hdrs", {"type": "disjoint_map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "private-hdrs"},
              "body": {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}],
            ["program", {"type": "ACTION", "outs": ["test"],
              "inputs": {"type": "map_union", "$1": [{"type": "var", "name": "srcs"}, {"type": "var", "name": "hdrs"}]},
              "env": {"type": "'", "$1": {"PATH": "/usr/bin:/bin"}},
              "cmd": {"type": "++", "$1": [["cc", "-I", ".", "-o", "test"], {"type": "keys", "$1": {"type": "var", "name": "srcs"}}]}}],
            ["data", {"type": "disjoint_map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "data"},
              "body": {"type": "DEP_RUNFILES", "dep": {"type": "var", "name": "_"}}}}]],
          "body": {"type": "CALL_EXPRESSION", "name": "run"}}}}"#,
    ),
    (
        "rules/shell/test/RULES",
        r#"{"script": {
        "doc": ["A test by a script"], "tainted": ["test"],
        "target_fields": ["test", "deps"], "string_fields": ["keep", "name"],
        "config_vars": ["RUNS_PER_TEST", "TEST_ENV"],
        "implicit": {"runner": ["runner"]},
        "imports": {"run": ["CC", "run test"]},
        "expression": {"type": "let*", "bindings": [
            ["name", {"type": "join", "$1": {"type": "FIELD", "name": "name"}}],
            ["keep", {"type": "FIELD", "name": "keep"}],
            ["program", {"type": "map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "test"},
              "body": {"type": "to_subdir", "subdir": ".", "flat": true,
                "$1": {"type": "singleton_map", "key": "test", "value": {"type": "[]", "index": 0,
                  "list": {"type": "values", "$1": {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}}}}}],
            ["data", {"type": "disjoint_map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "deps"},
              "body": {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}]],
          "body": {"type": "CALL_EXPRESSION", "name": "run"}}}}"#,
    ),
    (
        "rules/CC/EXPRESSIONS",
        r#"{"run test": {
        "vars": ["name", "program", "data", "keep", "RUNS_PER_TEST", "TEST_ENV"], "imports": {"one run": "one run"},
        "expression": {"type": "let*", "bindings": [
            ["runs", {"type": "if", "cond": {"type": "var", "name": "RUNS_PER_TEST"},
              "then": {"type": "foreach", "var": "number", "range": {"type": "range", "$1": {"type": "var", "name": "RUNS_PER_TEST"}},
                "body": {"type": "to_subdir", "subdir": {"type": "var", "name": "number"}, "$1": {"type": "CALL_EXPRESSION", "name": "one run"}}},
              "else": {"type": "let*", "bindings": [["number", null]], "body": [{"type": "CALL_EXPRESSION", "name": "one run"}]}}],
            ["staged", {"type": "to_subdir", "subdir": {"type": "var", "name": "name"},
              "$1": {"type": "disjoint_map_union", "$1": {"type": "var", "name": "runs"}}}]],
          "body": {"type": "RESULT", "artifacts": {"type": "var", "name": "staged"},
            "runfiles": {"type": "singleton_map", "key": {"type": "var", "name": "name"},
              "value": {"type": "TREE", "$1": {"type": "disjoint_map_union", "$1": {"type": "var", "name": "runs"}}}}}}},
      "one run": {
        "vars": ["name", "program", "data", "keep", "number", "TEST_ENV"],
        "expression": {"type": "ACTION",
          "outs": {"type": "++", "$1": [["result", "stdout", "stderr", "time-start", "time-stop"],
            {"type": "foreach", "range": {"type": "var", "name": "keep", "default": []},
              "body": {"type": "join", "$1": ["work/", {"type": "var", "name": "_"}]}}]},
          "inputs": {"type": "map_union", "$1": [
            {"type": "to_subdir", "subdir": "work", "$1": {"type": "var", "name": "data"}}, {"type": "var", "name": "program"},
            {"type": "map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "runner"},
              "body": {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}]},
          "env": {"type": "map_union", "$1": [{"type": "'", "$1": {"PATH": "/usr/bin:/bin"}},
            {"type": "var", "name": "TEST_ENV", "default": {"type": "empty_map"}},
            {"type": "if", "cond": {"type": "==", "$1": {"type": "var", "name": "number"}, "$2": null}, "then": {"type": "empty_map"},
              "else": {"type": "singleton_map", "key": "TEST_RUN_NUMBER", "value": {"type": "var", "name": "number"}}}]},
          "cmd": ["sh", "./runner"], "may_fail": ["test"],
          "fail_message": {"type": "join", "$1": ["test ", {"type": "var", "name": "name"}, " failed"]}}}}"#,
    ),
    (
        "rules/runner",
        "result=FAIL\n\
        date +%s > time-start\n\
        mkdir -p work\n\
        chmod +x test\n\
        if (cd work && TEST_TMPDIR=. ../test) > stdout 2> stderr; then result=PASS; fi\n\
        date +%s > time-stop\n\
        echo $result > result\n\
        [ $result = PASS ]\n",
    ),
];

fn with_rule_set(targets: &str) -> Workspace {
    let workspace = Workspace::new();
    for (path, text) in TESTS_OF_A_RULE_SET {
        workspace.file(path, text);
    }
    for module in ["rules/CC/test", "rules/shell/test"] {
        workspace
            .file(&format!("{module}/TARGETS"), "{}")
            .file(&format!("{module}/runner"), TESTS_OF_A_RULE_SET[3].1);
    }
    workspace.file(
        "repos.json",
        r#"{"main": "m", "repositories": {
            "m": {"repository": {"type": "file", "path": "."}, "bindings": {"rules": "rules"}},
            "rules": {"repository": {"type": "file", "path": "rules"}}}}"#,
    );
    workspace.file("TARGETS", targets);
    workspace
}

#[test]
fn tests_by_rules_in_the_form_of_justbuild_s_rule_sets_are_found_and_run() {
    let workspace = with_rule_set(
        r#"{
        "adds": {"type": ["@", "rules", "CC/test", "test"], "name": ["adds"], "srcs": ["adds.c"], "private-hdrs": ["adds.h"]},
        "script": {"type": ["@", "rules", "shell/test", "script"], "name": ["script"], "test": ["script.sh"], "deps": ["data"], "keep": ["kept"]},
        "fails": {"type": ["@", "rules", "shell/test", "script"], "name": ["fails"], "test": ["fails.sh"]},
        "ALL": {"type": "install", "tainted": ["test"], "deps": ["adds", "script"]},
        "no test": {"type": "generic", "outs": ["result"], "cmds": ["echo PASS > result"]}
    }"#,
    );
    workspace
        .file("adds.h", "#define SUM(a, b) ((a) + (b))\n")
        .file("adds.c", "#include <adds.h>\nint main(void) { return SUM(1, 2) != 3; }\n")
        .file("script.sh", "#!/bin/sh\ntest \"$(cat data)\" = 1 && echo done > kept\n")
        .file("data", "1")
        .file("fails.sh", "#!/bin/sh\necho what went wrong\nexit 1\n");
    let ran = run(&workspace, &[]).exits(1);
    assert!(ran.stderr.contains("3 tests: 2 passed, 1 failed (:fails)"), "{}", ran.stderr);
    for line in [":adds passed in ", ":script passed in ", "error: :fails failed in ", "what went wrong"] {
        assert!(ran.stderr.contains(line), "{line}: {}", ran.stderr);
    }
    // A suite has the tests that it installs, and nothing else is run again.
    let suite = run(&workspace, &["ALL"]).exits(0);
    assert!(suite.stderr.contains("2 tests: 2 passed (cached)"), "{}", suite.stderr);
    // A build of a failing test is what the rule set makes of it: its results are there, and tainted.
    let out = workspace.beside("out").display().to_string();
    assert_eq!(workspace.run(&taut(), ["install", "fails", "-o", &out]).code, 2);
    assert_eq!(fs::read_to_string(workspace.beside("out/fails/result")).unwrap(), "FAIL\n");
    // Header and data count.
    workspace.file("adds.h", "#define SUM(a, b) ((a) - (b))\n");
    let edited = run(&workspace, &["ALL"]).exits(1);
    assert!(
        edited.stderr.contains("error: :adds failed in ")
            && edited.stderr.contains(":script passed (cached)"),
        "{}",
        edited.stderr
    );
}

#[test]
fn the_variables_of_justbuild_s_rule_sets_for_tests_work() {
    let workspace = with_rule_set(
        r#"{"runs": {"type": ["@", "rules", "shell/test", "script"], "name": ["runs"], "test": ["runs.sh"]}}"#,
    );
    workspace
        .file("runs.sh", "#!/bin/sh\necho run $TEST_RUN_NUMBER of $WHAT\ntest \"$TEST_RUN_NUMBER\" != 2\n");
    run(&workspace, &[]).exits(0);
    // Each run is an action of the one test, and one of them fails.
    let several = run(&workspace, &["-D", r#"{"RUNS_PER_TEST": 3, "TEST_ENV": {"WHAT": "these"}}"#]).exits(1);
    assert!(several.stderr.contains("1 test: 1 failed"), "{}", several.stderr);
    assert!(
        several.stderr.contains("run 2 of these") && !several.stderr.contains("run 1 of these"),
        "{}",
        several.stderr
    );
    run(&workspace, &["-D", r#"{"RUNS_PER_TEST": 2}"#]).exits(0);
}
