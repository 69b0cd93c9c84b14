//! Cached build state never changes an answer: after random edits of a project, a call with it and one without
//! (`--no-trace`) give the same answer. Damage and missing objects cost a warning and time.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command, time::SystemTime};

use taut_testkit::{Rng, Tool, ToolResult, Workspace, listing, processed, times};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

const TARGETS: &str = r#"{
  "all": {"type": "install", "deps": ["tree"], "files": {"cat": "cat", "x/made": "made", "x/sample": "says"}},
  "cat": {"type": "generic", "outs": ["cat"], "deps": [["GLOB", null, "*.txt"], "lib"],
          "cmds": ["cat *.txt > cat; ls -l *.txt | cut -c1-10 >> cat; cat lib >> cat"]},
  "tree": {"type": "install", "dirs": [[["TREE", null, "sub"], "t"]]},
  "made": {"type": "lib", "srcs": ["a.txt", "sub/deep/d"], "name": ["made"]},
  "lib": {"type": "file_gen", "name": "lib", "data": {"type": "join", "$1": ["v=", {"type": "var", "name": "V", "default": "none"}, "\n"]},
          "arguments_config": ["V"]},
  "says": {"type": "generic", "outs": ["sample"], "deps": ["b.txt"], "cmds": ["cat b.txt; touch sample"]}
}"#;

const RULES: &str = r#"{"lib": {"string_fields": ["name"], "target_fields": ["srcs"], "config_vars": ["V"],
  "expression": {"type": "let*", "bindings": [
     ["in", {"type": "map_union", "$1": {"type": "foreach", "var": "s", "range": {"type": "FIELD", "name": "srcs"},
        "body": {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "s"}}}}],
     ["out", {"type": "ACTION", "outs": {"type": "FIELD", "name": "name"}, "inputs": {"type": "var", "name": "in"},
        "cmd": ["sh", "-c", "find . -type f | sort | xargs cat > made 2>/dev/null || true"]}]],
   "body": {"type": "RESULT", "artifacts": {"type": "var", "name": "out"}}}}}"#;

fn project() -> Workspace {
    let workspace = Workspace::new();
    workspace.file("TARGETS", TARGETS).file("RULES", RULES);
    workspace.file("a.txt", "a\n").file("b.txt", "b\n").file("sub/s", "s\n").file("sub/deep/d", "d\n");
    workspace
}

/// Makes a random edit, and returns what it is.
fn edit(workspace: &Workspace, rng: &mut Rng) -> String {
    let root = workspace.root();
    let files = ["a.txt", "b.txt", "c.txt", "sub/s", "sub/deep/d", "sub/new", "other/f"];
    let name = files[rng.below(files.len())];
    let path = root.join(name);
    let content = format!("{}\n", rng.below(3));
    match rng.below(12) {
        0..=3 => {
            workspace.file(name, &content);
            format!("write {name}")
        }
        4 => {
            // The same size and an old modification time: only the change time differs.
            workspace.file(name, &content);
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
            format!("write {name} with an old time")
        }
        5 => {
            let _ = fs::remove_file(&path);
            format!("remove {name}")
        }
        6 if path.is_file() => {
            let mode = if rng.chance(50) { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            format!("mode of {name}: {mode:o}")
        }
        7 => {
            let other = root.join("moved");
            fs::write(&other, &content).unwrap();
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::rename(other, &path).unwrap();
            format!("rename something to {name}")
        }
        8 => {
            let blanks = " ".repeat(rng.below(3));
            workspace.file("TARGETS", TARGETS.replace("\"cat\": {", &format!("\"cat\":{blanks} {{")));
            "format TARGETS".into()
        }
        9 => {
            let word = ["cat lib", "tac lib"][rng.below(2)];
            workspace.file("TARGETS", TARGETS.replace("cat lib", word));
            format!("{word} in TARGETS")
        }
        10 => {
            let word = ["sort", "sort -r", "broken'"][rng.below(3)];
            workspace.file("RULES", RULES.replace("| sort", &format!("| {word}")));
            format!("{word} in RULES")
        }
        _ => {
            let _ = fs::remove_file(root.join("sub/deep/link"));
            workspace.link("sub/deep/link", ["d", "nowhere"][rng.below(2)]);
            "a link in sub/deep".into()
        }
    }
}

/// Parts of the warnings about state that is damaged, and that cannot be written.
const CACHE_WARNING: &str = "cached build state";
const NOT_KEPT: &str = "What this call found out cannot be kept";

/// The part of an answer that does not depend on cached build state: no counts, no progress.
fn answer(ran: ToolResult) -> (i32, String, Vec<String>) {
    let mut lines: Vec<String> = ran.stderr.lines().map(str::to_owned).collect();
    // On a busy machine, there are lines about progress.
    let varies = |line: &String| {
        line.starts_with('[')
            || line.starts_with("Built ")
            || line.contains(" up to date (")
            || line.contains(" failed after ")
            || line.starts_with("  reproduce: ")
    };
    lines.retain(|line| !varies(line));
    lines.retain(|line| !line.contains(CACHE_WARNING) && !line.contains(NOT_KEPT));
    lines.sort();
    (ran.code, ran.stdout, lines)
}

#[test]
fn after_random_edits_every_call_gives_the_same_answer_with_and_without_cached_state() {
    for seed in 0..times(4) as u64 {
        let (workspace, mut rng) = (project(), Rng::new(seed));
        let mut history = Vec::new();
        for round in 0..20 {
            for _ in 0..rng.below(3) {
                history.push(edit(&workspace, &mut rng));
            }
            let define = format!("{{\"V\": \"{}\"}}", rng.below(2));
            let out = workspace.beside(&format!("out-{round}")).display().to_string();
            let fresh = workspace.beside(&format!("fresh-{round}")).display().to_string();
            let words = |subcommand: &str, more: &[&str]| -> Vec<String> {
                let all = [&[subcommand, "all", "-D", &define, "--plain-log"], more].concat();
                all.into_iter().map(str::to_owned).collect()
            };
            for (subcommand, more) in [
                ("build", &["--keep-going", "--show-cached-output", "--dump-artifacts", "-", "-s"][..]),
                ("analyse", &[]),
                ("install", &["--keep-going", "--show-cached-output", "-o", &out]),
            ] {
                let cached = answer(workspace.run(&taut(), words(subcommand, more)));
                let mut anew = words(subcommand, more);
                anew.push("--no-trace".into());
                anew.iter_mut().filter(|word| **word == out).for_each(|word| word.clone_from(&fresh));
                let mut anew = answer(workspace.run(&taut(), anew));
                anew.2.iter_mut().for_each(|line| *line = line.replace(&fresh, &out));
                anew.2.sort();
                assert_eq!(cached, anew, "seed {seed}, round {round}: {history:#?}");
            }
            let installed = |path: &str| listing(&PathBuf::from(path)).unwrap_or_default();
            assert_eq!(installed(&out), installed(&fresh), "seed {seed}, round {round}: {history:#?}");
        }
    }
}

#[test]
fn a_null_build_runs_nothing_and_needs_no_action_cache() {
    let workspace = project();
    let first = workspace.run(&taut(), ["build", "all"]).exits(0);
    assert!(processed(&first.stderr) == Some((3, 0)), "{}", first.stderr);
    // The action cache is not needed, nor are the objects of the actions in between.
    let generation = workspace.build_root().join("protocol-dependent/generation-0/git-sha1");
    fs::remove_dir_all(generation.join("ac")).unwrap();
    let second = workspace.run(&taut(), ["build", "all"]).exits(0);
    assert!(processed(&second.stderr) == Some((3, 3)), "{}", second.stderr);
    assert!(!second.stderr.contains("output of building"), "shown when it is new only: {}", second.stderr);
    let shown = workspace.run(&taut(), ["build", "all", "--show-cached-output"]).exits(0).stderr;
    assert!(shown.contains("output of building"), "what actions printed is kept: {shown}");
    let anew = workspace.run(&taut(), ["build", "all", "--no-trace"]).exits(0);
    assert!(processed(&anew.stderr) == Some((3, 0)), "{}", anew.stderr);
    // Going back to an earlier state finds its report.
    workspace.file("a.txt", "changed\n");
    workspace.run(&taut(), ["build", "all"]).exits(0);
    workspace.file("a.txt", "a\n");
    fs::remove_dir_all(generation.join("ac")).unwrap();
    let back = workspace.run(&taut(), ["build", "all"]).exits(0);
    assert!(processed(&back.stderr) == Some((3, 3)), "{}", back.stderr);
}

#[test]
fn output_shown_again_belongs_to_the_present_inputs_although_artifacts_are_the_same() {
    let workspace = project();
    for content in ["first\n", "second\n", "first\n", "second\n"] {
        workspace.file("b.txt", content);
        for _ in 0..2 {
            let ran = workspace.run(&taut(), ["build", "says", "--show-cached-output"]).exits(0);
            assert!(ran.stderr.contains(content), "{content}: {}", ran.stderr);
        }
    }
}

#[test]
fn missing_objects_of_a_replayed_result_are_made_again() {
    let workspace = project();
    workspace.run(&taut(), ["build", "all"]).exits(0);
    let root = workspace.build_root().join("protocol-dependent/generation-0/git-sha1");
    for kind in ["casf", "casx", "cast", "ac"] {
        let _ = fs::remove_dir_all(root.join(kind));
    }
    let out = workspace.beside("out");
    let ran = workspace.run(&taut(), ["install", "all", "-o", &out.to_string_lossy()]).exits(0);
    assert!(processed(&ran.stderr) == Some((3, 0)), "{}", ran.stderr);
    assert!(out.join("cat").is_file() && out.join("t/sub/deep/d").is_file());
    // After two rotations no state is left.
    for _ in 0..2 {
        workspace.run(&taut(), ["gc"]).exits(0);
    }
    workspace.run(&taut(), ["build", "all"]).exits(0);
}

#[test]
fn damaged_state_is_rebuilt_with_one_warning() {
    let workspace = project();
    workspace.run(&taut(), ["build", "all"]).exits(0);
    let right = answer(workspace.run(&taut(), ["build", "all"]).exits(0));
    let own = workspace.build_root().join("taut");
    let epoch = || fs::read_dir(&own).unwrap().next().unwrap().unwrap().path();
    let runs = || -> PathBuf {
        let files = fs::read_dir(epoch().join("runs")).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_none()).max().expect("runs are kept")
    };
    let check_warnings = |what: &str, count: usize| {
        let ran = workspace.run(&taut(), ["build", "all"]).exits(0);
        let lines = ran.stderr.lines().filter(|line| line.contains(CACHE_WARNING) || line.contains(NOT_KEPT));
        assert_eq!(lines.count(), count, "{what}: {}", ran.stderr);
        assert_eq!(answer(ran), right, "{what}");
    };
    let remove = |path: &PathBuf| {
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    };
    type Damage = dyn Fn(&PathBuf);
    let damages: [(&str, &Damage); 5] = [
        ("garbage", &|path| fs::write(path, [7; 5000]).unwrap()),
        ("nothing in it", &|path| fs::write(path, "").unwrap()),
        ("cut off", &|path| {
            let whole = fs::read(path).unwrap();
            fs::write(path, &whole[..whole.len() / 2]).unwrap();
        }),
        ("a text", &|path| fs::write(path, "{}\n").unwrap()),
        ("other bytes", &|path| {
            let mut bytes = fs::read(path).unwrap();
            bytes.iter_mut().skip(7).step_by(40).for_each(|byte| *byte ^= 0x55);
            fs::write(path, bytes).unwrap();
        }),
    ];
    for (what, damage) in damages {
        damage(&runs());
        check_warnings(&format!("runs: {what}"), 1);
        check_warnings("rebuilt", 0);
        for log in fs::read_dir(epoch().join("events")).unwrap() {
            damage(&log.unwrap().path());
        }
        let explained = workspace.run(&taut(), ["explain", "all"]).exits(1).stdout;
        assert!(explained.contains("is corrupt; the next build writes a new one."), "{explained}");
        check_warnings("the log is for explain only", 0);
    }
    // An obstacle that remains is reported by each call.
    let places = [runs(), epoch().join("runs"), epoch(), own.clone()];
    for place in places {
        let aside = workspace.beside("aside");
        fs::rename(&place, &aside).unwrap();
        if aside.is_dir() {
            fs::write(&place, "a file").unwrap()
        } else {
            fs::create_dir(&place).unwrap()
        }
        check_warnings(&format!("{} is in the way", place.display()), 1);
        remove(&place);
        fs::rename(&aside, &place).unwrap();
    }
    check_warnings("without the obstacle", 0);
}

#[test]
fn uncached_actions_and_failed_ones_run_in_each_build() {
    let workspace = Workspace::new();
    let log = workspace.beside("log");
    let rule = |key: &str, end: &str| {
        format!(
            r#"{{"tainted": ["test"], "expression": {{"type": "RESULT", "artifacts": {{"type": "ACTION",
                 "outs": ["out"], "{key}": ["test"], "cmd": ["sh", "-c", "echo ran >> {}; touch out; {end}"]}}}}}}"#,
            log.display()
        )
    };
    workspace.file(
        "RULES",
        format!("{{\"n\": {}, \"m\": {}}}", rule("no_cache", "true"), rule("may_fail", "exit 1")),
    );
    workspace.file(
        "TARGETS",
        r#"{"n": {"type": "n", "tainted": ["test"]}, "m": {"type": "m", "tainted": ["test"]},
            "after": {"type": "generic", "tainted": ["test"], "deps": ["n"], "outs": ["copy"], "cmds": ["cp out copy"]}}"#,
    );
    let times = || fs::read_to_string(&log).unwrap_or_default().lines().count();
    for (target, code) in [("n", 0), ("m", 2), ("after", 0)] {
        let before = times();
        for round in 1..=3 {
            let ran = workspace.run(&taut(), ["build", target]).exits(code);
            assert_eq!(times() - before, round, "{target}: {}", ran.stderr);
        }
    }
}

/// The files of the workspace that a call opens, as the system sees it; `None` where it cannot be asked.
fn opened(workspace: &Workspace, words: &[&str]) -> Option<Vec<String>> {
    let log = workspace.beside("strace");
    let mut strace = Command::new("strace");
    // Descriptors with their paths: files are opened beneath directories.
    strace.args(["-f", "-y", "-e", "trace=openat,openat2", "-o"]).arg(&log).arg(taut().path()).args(words);
    strace.current_dir(workspace.root()).arg("--local-build-root").arg(workspace.build_root());
    strace.output().ok().filter(|output| output.status.success())?;
    let root = workspace.root().display().to_string();
    let text = fs::read_to_string(&log).unwrap();
    // A directory that is only opened for lookups below it is not read.
    let is_read = |line: &&str| {
        let result = line.rsplit_once(" = ").map(|(_, result)| result).unwrap_or_default();
        result.contains(&root) && !line.contains("O_PATH")
    };
    let opened = text.lines().filter(is_read);
    Some(opened.map(str::to_owned).collect())
}

#[test]
fn subcommands_share_recorded_runs() {
    let workspace = project();
    // Files that changed recently are read again.
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    let counts = || {
        let explained = workspace.run(&taut(), ["explain", "all"]).exits(0).stdout;
        explained.lines().nth(1).unwrap_or_default().to_owned()
    };
    let dump = workspace.beside("dump").display().to_string();
    workspace.run(&taut(), ["analyse", "all"]).exits(0);
    workspace.run(&taut(), ["build", "all"]).exits(0);
    assert_eq!(counts(), "0 targets analysed, 3 actions run, 0 from cache.");
    workspace.file("TARGETS", TARGETS.replace("cat lib", "tac lib"));
    workspace.run(&taut(), ["analyse", "all"]).exits(0);
    let out = workspace.beside("out").display().to_string();
    workspace.run(&taut(), ["install", "all", "-o", &out]).exits(0);
    assert_eq!(counts(), "0 targets analysed, 1 action run, 0 from cache.");
    workspace.file("TARGETS", TARGETS);
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    let describe = workspace.run(&taut(), ["describe", "made"]).exits(0).stdout;
    for words in [
        &["analyse", "all", "--dump-graph", &dump][..],
        &["analyse", "all", "--dump-targets", "-", "--dump-result", "-"],
        &["analyse", "all", "--dump-actions", "-", "--dump-nodes", "-", "--dump-vars", "-"],
        &["analyse", "all", "--dump-artifacts-to-build", &dump],
        &["build", "all", "--dump-artifacts", "-"],
        &["analyse", "all"],
        &["describe", "made"],
        &["install", "all", "-o", &out],
    ] {
        workspace.run(&taut(), words).exits(0);
        let Some(opened) = opened(&workspace, words) else { return };
        assert_eq!(opened, [""; 0], "{words:?} opens files that did not change");
    }
    assert_eq!(workspace.run(&taut(), ["describe", "made"]).exits(0).stdout, describe);
    workspace.file("RULES", RULES.replace("{\"lib\": {", "{\"lib\": {\"doc\": [\"new\"], "));
    assert!(workspace.run(&taut(), ["describe", "made"]).exits(0).stdout.contains(" | new\n"));
}

#[test]
fn another_checkout_of_the_same_contents_executes_nothing() {
    let workspace = project();
    workspace.run(&taut(), ["build", "all"]).exits(0);
    let other = Workspace::new();
    for entry in fs::read_dir(workspace.root()).unwrap() {
        let from = entry.unwrap().path();
        let copied = Command::new("cp").arg("-R").arg(&from).arg(other.root()).status().unwrap();
        assert!(copied.success());
    }
    let root = workspace.build_root().display().to_string();
    let build = || {
        let ran = other.run(&taut(), ["build", "all", "--local-build-root", &root]).exits(0);
        let why = other.run(&taut(), ["explain", "all", "--local-build-root", &root]);
        (ran.stderr, why.stdout + &why.stderr)
    };
    let (ran, why) = build();
    assert!(processed(&ran) == Some((3, 3)), "{ran}");
    assert!(why.contains("No build with work to do is recorded here."), "{why}");
    // From then on, the two checkouts have separate state.
    other.file("a.txt", "other\n");
    let (ran, why) = build();
    assert!(processed(&ran) != Some((3, 3)), "{ran}");
    assert!(why.contains("0 targets analysed"), "{why}");
    let anew = other.run(&taut(), ["build", "all", "--no-trace", "--local-build-root", &root]);
    assert!(processed(&anew.stderr) == Some((3, 3)), "{}", anew.stderr);
    let first = workspace.run(&taut(), ["build", "all"]).exits(0);
    assert!(processed(&first.stderr) == Some((3, 3)), "{}", first.stderr);
}

#[test]
fn describe_shows_present_paths_and_creates_no_build_root() {
    let (workspace, other) = (Workspace::new(), Workspace::new());
    for one in [&workspace, &other] {
        one.file("TARGETS", r#"{"odd": {"no": "type"}, "good": {"type": "install"}}"#);
    }
    let root = workspace.build_root().display().to_string();
    let describe = |of: &Workspace, target: &str, code| {
        let ran = of.run(&taut(), ["describe", target, "--local-build-root", &root]).exits(code);
        ran.stdout + &ran.stderr
    };
    describe(&workspace, "good", 0);
    assert!(!workspace.build_root().exists(), "a query creates no build root");
    workspace.run(&taut(), ["build", "good"]).exits(0);
    let wrong = describe(&workspace, "odd", 8);
    // Relative to the working directory, which is the root here.
    assert!(wrong.contains("--> TARGETS:1:2"), "{wrong}");
    assert_eq!(describe(&workspace, "odd", 8), wrong);
    assert_eq!(describe(&other, "odd", 8), wrong);
    other.file("TARGETS", r#"{"odd": {"type": "install"}}"#);
    assert!(describe(&other, "odd", 0).contains("built-in rule \"install\""));
}

#[test]
fn large_targets_and_outputs_are_replayed() {
    let workspace = Workspace::new();
    workspace.file("ROOT", "").file(
        "TARGETS",
        r#"{"all": {"type": "install", "files": {"sum": "sum", "small": "small", "tree": "tree"}},
            "sum": {"type": "generic", "outs": ["sum"], "deps": [["GLOB", null, "*.txt"]],
                    "cmds": ["cat *.txt > sum; tail -n 1 sum"]},
            "small": {"type": "generic", "outs": ["small"], "deps": ["text", ["GLOB", null, "*7.txt"]],
                      "cmds": ["cat text *.txt > small"]},
            "text": {"type": "file_gen", "name": "text", "data": "a text\n"},
            "tree": {"type": "tree", "name": "tree", "deps": [["GLOB", null, "*.txt"]]}}"#,
    );
    let long = "x".repeat(60);
    let name = |number: usize| format!("{long}-{number:03}.txt");
    for number in 0..600 {
        workspace.file(&name(number), format!("{number}\n"));
    }
    workspace.run(&taut(), ["build", "all"]).exits(0);
    for (changed, ran) in [(598, 1), (597, 2), (599, 1)] {
        workspace.file(&name(changed), "changed\n");
        let text = workspace.run(&taut(), ["build", "all", "--show-cached-output"]).exits(0);
        assert!(processed(&text.stderr) == Some((2, 2 - ran)), "{}", text.stderr);
        let anew = workspace.run(&taut(), ["build", "all", "--no-trace", "--show-cached-output"]).exits(0);
        assert_eq!(answer(text), answer(anew));
    }
}

/// The messages of a call, and its counts as `explain` shows them; `None` if the call executed nothing.
fn done(workspace: &Workspace, words: &[&str]) -> (String, Option<String>) {
    let records = || {
        let own = fs::read_dir(workspace.build_root().join("taut")).into_iter().flatten().flatten();
        let all = own.flat_map(|epoch| fs::read_dir(epoch.path().join("events")).into_iter().flatten());
        let mut names: Vec<_> = all.flatten().map(|log| log.file_name().into_string().unwrap()).collect();
        names.retain(|name| name.ends_with("-work.jsonl"));
        names.sort();
        names
    };
    let before = records();
    let ran = workspace.run(&taut(), words).exits(0);
    let explained = (records() != before).then(|| workspace.run(&taut(), ["explain", "all"]).exits(0).stdout);
    (ran.stderr, explained.map(|text| text.lines().nth(1).unwrap_or_default().to_owned()))
}

#[test]
fn state_that_is_used_between_collections_is_kept() {
    let workspace = project();
    workspace.run(&taut(), ["build", "all"]).exits(0);
    let right = answer(workspace.run(&taut(), ["build", "all"]).exits(0));
    for _ in 0..4 {
        workspace.run(&taut(), ["gc"]).exits(0);
        let (stderr, did) = done(&workspace, &["build", "all"]);
        assert!(processed(&stderr) == Some((3, 3)), "{stderr}");
        assert_eq!(did, None, "{stderr}");
        assert_eq!(answer(workspace.run(&taut(), ["build", "all"]).exits(0)), right);
    }
    // That includes intermediate actions and the action cache.
    workspace.file("a.txt", "changed\n");
    let (stderr, did) = done(&workspace, &["build", "all"]);
    assert_eq!(did.as_deref(), Some("0 targets analysed, 2 actions run, 0 from cache."), "{stderr}");
    workspace.file("a.txt", "a\n");
    let anew = workspace.run(&taut(), ["build", "all", "--no-trace"]).exits(0);
    assert!(processed(&anew.stderr) == Some((3, 3)), "{}", anew.stderr);
    let own = fs::read_dir(workspace.build_root().join("taut")).unwrap();
    assert_eq!(own.count(), 2, "one for each generation");
}

#[test]
fn state_that_is_not_used_between_two_collections_is_removed() {
    let workspace = project();
    workspace.run(&taut(), ["build", "all"]).exits(0);
    for _ in 0..2 {
        workspace.run(&taut(), ["gc"]).exits(0);
    }
    let own = workspace.build_root().join("taut");
    assert_eq!(fs::read_dir(&own).unwrap().count(), 0, "at once");
    let (stderr, did) = done(&workspace, &["build", "all"]);
    assert_eq!(did.as_deref(), Some("11 targets analysed, 3 actions run, 0 from cache."), "{stderr}");
    workspace.run(&taut(), ["gc", "--all"]).exits(0);
    assert!(!own.exists());
}

#[test]
fn runs_whose_objects_were_collected_are_executed_again() {
    let workspace = project();
    let out = workspace.beside("out");
    let directory = out.display().to_string();
    let install = ["install", "all", "-o", &directory, "--dump-artifacts", "-", "--show-cached-output"];
    let right = answer(workspace.run(&taut(), install).exits(0));
    let installed = listing(&out).unwrap();
    for round in 0..3 {
        // The analysis is used; its runs are in one file with those of execution.
        for _ in 0..2 {
            workspace.run(&taut(), ["gc"]).exits(0);
            workspace.run(&taut(), ["analyse", "all"]).exits(0);
        }
        if round == 1 {
            workspace.file("b.txt", "other\n");
        }
        let (stderr, did) = done(&workspace, &["build", "all"]);
        assert_eq!(did.as_deref(), Some("0 targets analysed, 3 actions run, 0 from cache."), "{stderr}");
        fs::remove_dir_all(&out).unwrap();
        workspace.run(&taut(), [&install[..], &["--check-traces"]].concat()).exits(0);
        if round == 0 {
            assert_eq!(listing(&out).unwrap(), installed);
            assert_eq!(answer(workspace.run(&taut(), install).exits(0)), right);
        }
    }
}
