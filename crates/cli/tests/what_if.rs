//! `what-if` names all that a change may invalidate, and writes nothing.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use taut_testkit::{Tool, Workspace, listing};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

const TARGETS: &str = r#"{
  "all": {"type": "install", "files": {"shout": ["m", "shout"], "whisper": ["m", "whisper"], "texts": "texts"}},
  "texts": {"type": "generic", "outs": ["texts"], "deps": [["GLOB", null, "*.txt"], "tree"], "cmds": ["cat *.txt t/sub/s > texts"]},
  "tree": {"type": "install", "dirs": [[["TREE", null, "sub"], "t"]]},
  "unrelated": {"type": "generic", "outs": ["u"], "deps": ["m/u.txt"], "cmds": ["cat m/u.txt > u"]}
}"#;

const MODULE: &str = r#"{
  "shout": {"type": "generic", "outs": ["shout"], "deps": ["u.txt"], "cmds": ["tr a-z A-Z < u.txt > shout"]},
  "whisper": {"type": "generic", "outs": ["whisper"], "deps": ["shout"], "cmds": ["tr A-Z a-z < shout > whisper"]}
}"#;

fn project() -> Workspace {
    let workspace = Workspace::new();
    workspace.file("TARGETS", TARGETS).file("m/TARGETS", MODULE);
    workspace.file("a.txt", "a\n").file("m/u.txt", "u\n").file("sub/s", "s\n");
    workspace
}

fn asked(workspace: &Workspace, words: &[&str]) -> String {
    workspace.run(&taut(), [&["what-if"], words].concat()).exits(0).stdout
}

/// The numbers of targets and actions.
fn counts(text: &str) -> (usize, usize) {
    let number = |after: &str| {
        let rest = &text[text.find(after).unwrap() + after.len()..];
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    (number("analyse at most "), number("run at most "))
}

#[test]
fn a_source_invalidates_the_actions_above_it_and_no_target() {
    let workspace = project();
    workspace.run(&taut(), ["build", "all"]).exits(0);
    let text = asked(&workspace, &["m/u.txt"]);
    assert!(text.starts_with("If m/u.txt changed, building :all would\n"), "{text}");
    assert!(text.contains("analyse at most 0 of 5 targets,\nrun at most 2 of 3 actions.\n"), "{text}");
    assert!(text.contains("m:shout#0: shout)\n"), "{text}");
    assert!(!text.contains("unrelated"), "it was not requested: {text}");
    assert_eq!(counts(&asked(&workspace, &["sub/s"])), (0, 1));
    // The same target and file, written in another way.
    assert_eq!(counts(&asked(&workspace, &["--of", "[\"m\", \"shout\"]", "./m/../m/u.txt"])), (0, 1));
}

#[test]
fn a_description_invalidates_what_it_defines_and_a_new_file_what_reads_its_name() {
    let workspace = project();
    workspace.run(&taut(), ["build", "all"]).exits(0);
    assert_eq!(counts(&asked(&workspace, &["m/TARGETS"])), (3, 2));
    assert_eq!(counts(&asked(&workspace, &["sub"])), (3, 1));
    assert_eq!(counts(&asked(&workspace, &["new.txt"])), (2, 1), "the pattern matches");
    assert_eq!(counts(&asked(&workspace, &["sub/new"])), (3, 1), "all of the directory is wanted");
    assert_eq!(counts(&asked(&workspace, &["sub/deep/new"])), (3, 1), "and what lies below it");
    for other in ["new.md", "m/u.md", "m/new.txt", "new.txt/x", "elsewhere/x"] {
        let text = asked(&workspace, &[other]);
        assert_eq!(counts(&text), (0, 0), "{other}");
        assert!(text.contains(&format!("Nothing reads {other}, which does not exist")), "{text}");
    }
    workspace.file("elsewhere/x", "");
    let text = asked(&workspace, &["elsewhere/x"]);
    assert!(text.contains("analyse at most 0 of") && text.contains("Nothing reads elsewhere/x.\n"), "{text}");
}

#[test]
fn nothing_is_written_nor_run() {
    let workspace = project();
    // Except the log of each call.
    let listing = |path: &std::path::Path| {
        let mut listing = listing(path)?;
        listing.retain(|path, _| !path.contains("/events/"));
        Ok::<_, std::io::Error>(listing)
    };
    let asked_first = asked(&workspace, &["--of", "all", "m/u.txt"]);
    assert_eq!(counts(&asked_first), (0, 3), "without any build before, all has to run");
    assert!(!workspace.build_root().exists());
    workspace.run(&taut(), ["build", "all"]).exits(0);
    workspace.file("TARGETS", TARGETS.replace("cat *.txt t/sub/s", "cat t/sub/s *.txt"));
    let before = listing(&workspace.build_root()).unwrap();
    assert_eq!(counts(&asked(&workspace, &["m/u.txt"])), (0, 3), "as the description is now");
    assert_eq!(listing(&workspace.build_root()).unwrap(), before);
    workspace.file("TARGETS", "{");
    workspace.run(&taut(), ["what-if", "m/u.txt"]).exits(8);
    assert_eq!(listing(&workspace.build_root()).unwrap(), before);
}

#[test]
fn a_build_executes_no_more_than_what_if_named() {
    let workspace = project();
    workspace.run(&taut(), ["build", "all"]).exits(0);
    let edits = [
        ("m/u.txt", "v\n".to_owned()),
        ("a.txt", "b\n".to_owned()),
        ("sub/new", "n\n".to_owned()),
        ("m/TARGETS", MODULE.replace("tr A-Z a-z < shout", "cat shout")),
        ("TARGETS", TARGETS.replace("cat *.txt", "cat -n *.txt")),
        ("RULES", "{}".to_owned()),
        ("b.txt", "b\n".to_owned()),
        ("b.md", "b\n".to_owned()),
        ("m/b.txt", "b\n".to_owned()),
        ("sub/b/c/d", "d\n".to_owned()),
    ];
    for (path, content) in edits {
        let expected = counts(&asked(&workspace, &[path]));
        let checked = workspace.run(&taut(), ["what-if", path, "--check-traces"]).exits(0);
        assert_eq!(counts(&checked.stdout), expected);
        assert!(checked.stderr.contains("Cache check passed"), "{}", checked.stderr);
        workspace.file(path, content);
        workspace.run(&taut(), ["build", "all"]).exits(0);
        let text = workspace.run(&taut(), ["explain", path]).stdout;
        if text.contains(&format!("{path} was unchanged")) || path == "RULES" {
            continue;
        }
        let mut numbers = text.lines().nth(1).unwrap().split_whitespace();
        let targets: usize = numbers.next().unwrap().parse().unwrap();
        let actions: usize = numbers.nth(2).unwrap().parse().unwrap();
        // Files and patterns count as targets only in the log.
        assert!(actions <= expected.1, "{path}: {expected:?}\n{text}");
        assert!(targets <= expected.0 + 2, "{path}: {expected:?}\n{text}");
    }
}

#[test]
fn targets_in_other_configurations_are_not_counted() {
    let workspace = Workspace::new();
    workspace.file(
        "TARGETS",
        r#"{
          "all": {"type": "install", "deps": ["first", "second"], "arguments_config": ["V"]},
          "first": {"type": "configure", "target": "lib", "config": {"type": "'", "$1": {"W": "1"}}},
          "second": {"type": "configure", "target": "lib", "config": {"type": "'", "$1": {"W": "2"}}},
          "lib": {"type": "file_gen", "name": "lib", "name": "lib", "data": "lib"}
        }"#,
    );
    let asked = |value: &str| {
        let config = format!("{{\"V\": {value}}}");
        let words = ["what-if", "--of", "all", "-D", &config, "--check-traces", "TARGETS"];
        let text = workspace.run(&taut(), words).exits(0).stdout;
        let numbers: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        (numbers[3].parse::<usize>().unwrap(), numbers[5].parse::<usize>().unwrap())
    };
    for value in ["1", "2", "3"] {
        workspace.run(&taut(), ["build", "all", "-D", &format!("{{\"V\": {value}}}")]).exits(0);
        let (reached, all) = asked(value);
        assert_eq!((reached, all), (4, 4), "every target is defined there");
    }
    assert_eq!(asked("1"), asked("3"));
}

#[test]
fn a_workspace_by_another_name_is_the_same() {
    let workspace = project();
    let (root, other) = (workspace.root(), workspace.beside("other-name"));
    std::os::unix::fs::symlink(&root, &other).unwrap();
    let by = |place: &std::path::Path, path: &std::path::Path| {
        let words = ["what-if", "-w", place.to_str().unwrap(), "--of", "all", path.to_str().unwrap()];
        counts(&asked(&workspace, &words))
    };
    for place in [&root, &other] {
        workspace.run(&taut(), ["build", "-w", place.to_str().unwrap(), "all"]).exits(0);
    }
    let right = by(&root, &root.join("TARGETS"));
    assert_ne!(right, (0, 0));
    for place in [&root, &other] {
        for path in [&root, &other] {
            assert_eq!(by(place, &path.join("TARGETS")), right);
            assert_eq!(by(place, &path.join("nowhere/new")), (0, 0));
        }
    }
}

#[test]
fn actions_that_run_in_each_build_are_counted_for_every_change() {
    let workspace = Workspace::new();
    let rule = |more: &str, command: &str| {
        format!(
            r#"{{"tainted": ["test"], "expression": {{"type": "RESULT", "artifacts": {{"type": "ACTION", "outs": ["out"],
                 "inputs": {{"type": "empty_map"}}, "cmd": ["sh", "-c", "{command}"]{more}}}}}}}"#
        )
    };
    let rules = [
        ("uncached", rule(r#", "no_cache": ["test"]"#, "echo uncached > out")),
        ("failing", rule(r#", "may_fail": ["test"]"#, "echo failing > out; exit 1")),
        ("passing", rule(r#", "may_fail": ["test"]"#, "echo passing > out")),
    ];
    let rules: Vec<String> = rules.iter().map(|(name, rule)| format!("\"{name}\": {rule}")).collect();
    workspace.file("RULES", format!("{{{}}}", rules.join(", "))).file("x", "x");
    let target = |name: &str| {
        format!(
            r#""{name}": {{"type": "{name}", "tainted": ["test"]}},
               "after {name}": {{"type": "generic", "tainted": ["test"], "deps": ["{name}"], "outs": ["copy"], "cmds": ["cp out copy"]}}"#
        )
    };
    let targets = ["uncached", "failing", "passing"].map(target);
    workspace.file("TARGETS", format!("{{{}}}", targets.join(", ")));
    for (name, code, expected) in [
        ("uncached", 0, (0, 1)),
        ("after uncached", 0, (0, 2)),
        ("failing", 2, (0, 1)),
        ("after failing", 2, (0, 2)),
        ("passing", 0, (0, 0)),
        ("after passing", 0, (0, 0)),
    ] {
        workspace.run(&taut(), ["build", name]).exits(code);
        let text = asked(&workspace, &["--check-traces", "--of", name, "x"]);
        assert_eq!(counts(&text), expected, "{name}: {text}");
        assert!(text.ends_with("Nothing reads x.\n"), "{text}");
    }
}

#[test]
fn a_test_that_passed_does_not_run_in_any_case() {
    let workspace = Workspace::new();
    let test = |name: &str| {
        format!(
            r#""{name}": {{"type": ["@", "std", "shell", "test"], "name": ["{name}"], "src": ["{name}.sh"], "data": ["made"]}}"#
        )
    };
    let made = r#""made": {"type": "generic", "outs": ["made"], "deps": ["x"], "cmds": ["cat x > made"]}"#;
    workspace.file("TARGETS", format!("{{{}, {}, {made}}}", test("passes"), test("fails")));
    workspace.file("passes.sh", "true\n").file("fails.sh", "false\n").file("x", "").file("other", "");
    workspace.run(&taut(), ["test"]).exits(1);
    let asked = |name: &str, path: &str| asked(&workspace, &["--of", name, path]);
    let text = asked("passes", "other");
    assert!(text.contains("run at most 0 of 2 actions"), "{text}");
    let text = asked("passes", "passes.sh");
    assert!(text.contains("run at most 1 of 2 actions") && !text.contains("in any case"), "{text}");
    assert_eq!(counts(&asked("passes", "x")).1, 2);
    // What the next call of `test` says.
    let again = workspace.run(&taut(), ["test"]).exits(1).stderr;
    assert!(again.contains(":passes passed (cached)\n"), "{again}");
    // A failure is not cached, so the test runs whatever is changed.
    let text = asked("fails", "other");
    assert!(text.contains("run at most 1 of 2 actions") && text.contains("in any case"), "{text}");
    workspace.file("fails.sh", "true\n");
    workspace.run(&taut(), ["test"]).exits(0);
    assert_eq!(counts(&asked("fails", "other")).1, 0);
}
