//! Entries appear, vanish, are damaged, and lose what they refer to: each build has the right result, and writes again
//! what is missing.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf};

use serde_json::{Value, json};
use taut_testkit::{Rng, ToolResult, processed, times};

use crate::project::{Project, exports_found, lines_of_exports, taut};

const LIB: &[(&str, &str)] = &[
    (
        "TARGETS",
        r#"
{ "low": {"type": "r", "name": ["low"], "deps": ["s"]}
, "low exported": {"type": "export", "target": "low"}
, "high": {"type": "r", "name": ["high"], "deps": ["low exported"]}
, "high exported": {"type": "export", "target": "high"}
}"#,
    ),
    ("s", "source\n"),
];

const MAIN: &str = r#"
{ "all": {"type": "install", "dirs": [[["@", "lib", "", "high exported"], "high"], ["own", "own"]]}
, "own": {"type": "generic", "outs": ["own"], "cmds": ["cat o-high t/o-high own.txt >own"], "deps": [["@", "lib", "", "high exported"], "own.txt"]}
}"#;

fn project() -> Project {
    let project = Project::new();
    configure(&project, LIB);
    project.workspace.file("TARGETS", MAIN).file("own.txt", "own\n");
    project
}

fn configure(project: &Project, lib: &[(&str, &str)]) {
    let tree = project.tree(lib);
    project.configure(&[("lib", json!({"workspace_root": project.root(&tree)}))]);
}

fn is_hit(ran: &ToolResult) -> bool {
    exports_found(ran) == Some("1 cached, 0 uncached, 0 not eligible for caching")
}

fn is_miss(ran: &ToolResult) -> bool {
    exports_found(ran) == Some("0 cached, 2 uncached, 0 not eligible for caching")
}

/// The lines about what was built.
fn artifacts(ran: &ToolResult) -> String {
    let at = ran.stderr.find("Artifacts built").unwrap_or_else(|| panic!("{}", ran.stderr));
    ran.stderr[at..].lines().filter(|line| !line.contains("Backing up")).collect::<Vec<_>>().join("\n")
}

/// The key of the export target that the main repository uses.
fn key_of_high(ran: &ToolResult) -> String {
    let line = lines_of_exports(ran).into_iter().find(|line| line.contains("high exported"));
    let line = line.unwrap_or_else(|| panic!("{}", ran.stderr));
    let at = line.find(": [").unwrap() + 3;
    line[at..at + 40].to_owned()
}

#[test]
fn the_second_build_is_a_hit_and_the_third_a_null_build() {
    let project = project();
    let first = project.build();
    assert!(is_miss(&first), "{}", first.stderr);
    assert!(first.stderr.contains("Backing up artifacts of 2 export targets"), "{}", first.stderr);
    // What depends on it is defined differently now, and has the same inputs: nothing runs.
    let second = project.build();
    assert!(is_hit(&second) && !second.stderr.contains("Backing up"), "{}", second.stderr);
    assert_eq!(artifacts(&second), artifacts(&first));
    assert!(second.stderr.contains("Processed 1 actions, 1 cache hits."), "{}", second.stderr);
    // Actions run in other surroundings under this name, so the first of these calls looks them up.
    project.run(&taut(), &["build", "all"]).exits(0);
    let third = project.run(&taut(), &["build", "all"]).exits(0);
    assert!(third.stderr.contains("is up to date (1 action, "), "{}", third.stderr);
    // Now neither needs the repository.
    fs::rename(project.git.path(), project.workspace.beside("moved")).unwrap();
    project.workspace.file("own.txt", "changed\n");
    let fourth = project.build();
    assert!(is_hit(&fourth), "{}", fourth.stderr);
    let without = project.run(&taut(), &["build", "--no-trace", "all"]);
    // The target file of the repository, by which the key is known, is read of course.
    assert_ne!(without.code, 0, "{}", without.stderr);
}

#[test]
fn an_entry_that_vanishes_is_written_again() {
    let project = project();
    let first = project.build();
    project.build();
    let entries = project.stored("tc");
    assert_eq!(entries.len(), 2);
    let high = &entries[&key_of_high(&first)];
    let text = fs::read_to_string(high).unwrap();
    fs::remove_file(high).unwrap();
    let again = project.build();
    // What it exported is found in the cache where it is exported itself.
    assert_eq!(exports_found(&again), Some("1 cached, 1 uncached, 0 not eligible for caching"));
    assert_eq!(artifacts(&again), artifacts(&first));
    assert!(project.stored("tc").contains_key(&key_of_high(&first)));
    // Its labels are others, since an artifact below it is known now; what it says is the same.
    assert_ne!(fs::read_to_string(high).unwrap(), text);
    assert!(is_hit(&project.build()));
    let without = project.without_state(|| project.build());
    assert_eq!(artifacts(&without), artifacts(&first));
}

#[test]
fn a_damaged_entry_is_a_miss_with_a_warning_and_written_again() {
    for (spoil_value, damage) in
        [(false, &b"garbage"[..]), (false, b""), (true, b"{}"), (true, b"\xff"), (true, b"")]
    {
        let project = project();
        let first = project.build();
        let entry = project.stored("tc")[&key_of_high(&first)].clone();
        let spoilt = if spoil_value { project.value_of(&entry) } else { entry };
        fs::remove_file(&spoilt).unwrap();
        fs::write(&spoilt, damage).unwrap();
        let again = project.run(&taut(), &["build", "all"]).exits(0);
        let why =
            if spoil_value { "the file with its result is damaged" } else { "its file names no result" };
        let warning = format!(
            "warning: the cached result of export target '@lib//:high exported' cannot be used, so it is built again: {why}"
        );
        assert!(again.stderr.contains(&warning), "{damage:?}: {}", again.stderr);
        let after = project.build();
        assert!(is_hit(&after), "{damage:?}: {}", after.stderr);
        assert!(!after.stderr.contains("WARN"), "{}", after.stderr);
        assert_eq!(artifacts(&after), artifacts(&first));
    }
    // The words of the reference.
    let project = project();
    let key = key_of_high(&project.build());
    let entry = project.stored("tc")[&key].clone();
    fs::remove_file(&entry).unwrap();
    fs::write(&entry, "[]").unwrap();
    let again = project.build();
    let warning = format!("WARN (TargetCache): Reading entry for key [{key}:");
    let lines: Vec<&str> = again.stderr.lines().filter(|line| line.starts_with(&warning)).collect();
    assert!(matches!(lines[..], [line] if line.ends_with(":f] failed")), "{}", again.stderr);
}

#[test]
fn a_malformed_entry_is_a_miss_with_the_reason() {
    let project = project();
    let key = key_of_high(&project.build());
    let entry = project.stored("tc")[&key].clone();
    // A valid object, and no result.
    let other = project.workspace.beside("other");
    fs::write(&other, "{\"artifacts\": {}}").unwrap();
    let added = project.workspace.run(&taut(), ["add-to-cas", &other.display().to_string()]).exits(0);
    fs::remove_file(&entry).unwrap();
    fs::write(&entry, format!("[{}:17:f]", added.stdout.trim())).unwrap();
    let again = project.run(&taut(), &["build", "all"]).exits(0);
    assert!(again.stderr.contains("so it is built again: it has no \"runfiles\""), "{}", again.stderr);
    assert!(is_hit(&project.build()));
}

/// Whatever object is lost: the build is right, and so is the next one.
#[test]
fn lost_objects_of_a_hit_are_made_again() {
    let mut rng = Rng::new(11);
    for round in 0..times(8) {
        let project = project();
        let first = project.build();
        project.build();
        let mut lost = Vec::new();
        for kind in ["casf", "cast"] {
            let all = project.stored(kind);
            let number = if round == 0 { all.len() } else { 1 + rng.below(all.len()) };
            for _ in 0..number {
                let path = all.values().nth(rng.below(all.len())).unwrap();
                if fs::remove_file(path).is_ok() {
                    lost.push(path.clone());
                }
            }
        }
        if rng.chance(50) {
            project.workspace.file("own.txt", format!("{round}\n"));
        }
        let again = project.build();
        let installed = project.run(&taut(), &["install", "-o", "out", "all"]).exits(0);
        let out = project.workspace.root().join("out");
        let own = fs::read_to_string(project.workspace.root().join("own.txt")).unwrap();
        let high = "source\nnow lownull\nnow highnull\n";
        assert_eq!(
            fs::read_to_string(out.join("own/own")).unwrap(),
            format!("{high}{high}{own}"),
            "{lost:?} {}{}",
            again.stderr,
            installed.stderr
        );
        assert_eq!(fs::read_to_string(out.join("high/o-high")).unwrap(), high);
        assert_eq!(artifacts(&project.build()).contains("o-high"), artifacts(&first).contains("o-high"));
    }
}

#[test]
fn lost_objects_of_a_hit_are_made_again_for_tests_and_compilation_databases() {
    for (words, name) in [(&["test"][..], "low"), (&["compile-commands", "-o", "-"], "low.h")] {
        let project = Project::new();
        let lib = format!(
            r#"{{"low": {{"type": "r", "name": ["{name}"], "deps": ["s"]}}, "e": {{"type": "export", "target": "low"}}}}"#
        );
        configure(&project, &[("TARGETS", &lib), ("s", "source\n")]);
        project
            .workspace
            .file(
                "TARGETS",
                r#"{"all": {"type": "install", "deps": [["@", "lib", "", "e"]]},
                    "t": {"type": ["@", "std", "shell", "test"], "tainted": ["test"], "name": ["t"], "src": ["t.sh"],
                      "data": [["@", "lib", "", "e"]]},
                    "c": {"type": ["@", "std", "cc", "library"], "name": ["c"], "srcs": ["c.c"], "hdrs": [["@", "lib", "", "e"]]}}"#,
            )
            .file("t.sh", "cat o-low\n")
            .file("c.c", "int c;\n");
        project.run(&taut(), &["build", "all"]).exits(0);
        project.run(&taut(), words).exits(0);
        let lost = format!("source\nnow {name}null\n");
        let is_lost = |path: &&PathBuf| fs::read_to_string(path).is_ok_and(|text| text == lost);
        let all = project.stored("casf");
        fs::remove_file(all.values().find(is_lost).unwrap()).unwrap();
        let _ = fs::remove_dir_all(project.workspace.build_root().join("compile-commands"));
        // Only the entry says what the artifact is.
        let words = [words, &["--no-trace"]].concat();
        let again = project.run(&taut(), &words).exits(0);
        assert!(again.stderr.contains("they are made again"), "{}", again.stderr);
    }
}

#[test]
fn collections_keep_what_is_used_with_all_that_it_refers_to() {
    let project = project();
    let gc = || project.workspace.run(&taut(), ["gc"]).exits(0);
    let first = project.build();
    let expected = artifacts(&first);
    gc();
    assert_eq!(project.stored("tc").len(), 0);
    let older = project.stored_in(1, "tc");
    assert_eq!(older.len(), 2);
    // A hit brings the entry up, the one that it implies before, and the objects of both.
    let again = project.build();
    assert!(is_hit(&again), "{}", again.stderr);
    assert_eq!(artifacts(&again), expected);
    let entries = project.stored("tc");
    assert_eq!(entries.keys().collect::<Vec<_>>(), older.keys().collect::<Vec<_>>());
    for (key, entry) in &entries {
        assert_eq!(fs::metadata(entry).unwrap().nlink(), 2);
        let text: Value =
            serde_json::from_str(&fs::read_to_string(project.value_of(entry)).unwrap()).unwrap();
        let implied = text["implied export targets"].as_array().unwrap();
        assert!(implied.iter().any(|implied| implied == key.as_str()));
        assert!(implied.iter().all(|implied| entries.contains_key(implied.as_str().unwrap())));
        for part in ["artifacts", "runfiles"] {
            for artifact in text[part].as_object().unwrap().values() {
                let (id, kind) = (&artifact["data"]["id"], &artifact["data"]["file_type"]);
                let kind = if kind == "t" { "cast" } else { "casf" };
                assert!(project.stored(kind).contains_key(id.as_str().unwrap()), "{id}");
            }
        }
    }
    // So it survives the next collection, and each one that a build precedes.
    for _ in 0..3 {
        gc();
        let again = project.build();
        assert!(is_hit(&again), "{}", again.stderr);
        assert_eq!(artifacts(&again), expected);
    }
    // Without a build in between nothing is kept.
    gc();
    gc();
    let anew = project.build();
    assert!(is_miss(&anew), "{}", anew.stderr);
    assert_eq!(artifacts(&anew), expected);
    // An entry of the older generation that lacks something is absent.
    gc();
    let lost = key_of_high(&anew);
    let value = fs::read_to_string(&project.stored_in(1, "tc")[&lost]).unwrap();
    fs::remove_file(&project.stored_in(1, "casf")[&value[1..41]]).unwrap();
    let again = project.build();
    assert_eq!(
        exports_found(&again),
        Some("1 cached, 1 uncached, 0 not eligible for caching"),
        "{}",
        again.stderr
    );
    assert_eq!(artifacts(&again), expected);
    assert!(!again.stderr.contains("WARN"), "{}", again.stderr);
}

#[test]
fn an_entry_needs_those_that_it_implies() {
    let project = project();
    let first = project.build();
    let key = key_of_high(&first);
    let gc = || project.workspace.run(&taut(), ["gc"]).exits(0);
    gc();
    let low = project.stored_in(1, "tc").into_iter().find(|(name, _)| *name != key).unwrap().1;
    fs::remove_file(low).unwrap();
    let again = project.build();
    assert!(is_miss(&again), "{}", again.stderr);
    assert_eq!(project.stored("tc").len(), 2);
    assert!(is_hit(&project.build()));
}

/// One that is lost below a hit does not keep what is above from being cached.
#[test]
fn an_entry_can_be_added_above_one_that_is_lost() {
    let project = project();
    let key = key_of_high(&project.build());
    let entries = project.stored("tc");
    for (name, text) in [("low", "low exported"), ("above", "high exported")] {
        // A target of the main repository's own above the hit, in a repository that is pinned, too.
        let targets = format!(
            r#"{{"t": {{"type": "r", "name": ["{name}"], "deps": [["@", "lib", "", "{text}"]]}}, "e": {{"type": "export", "target": "t"}}}}"#
        );
        let (lib, above) = (project.tree(LIB), project.tree(&[("TARGETS", &targets)]));
        project.configure(&[
            ("lib", json!({"workspace_root": project.root(&lib)})),
            ("above", json!({"workspace_root": project.root(&above), "bindings": {"lib": "lib"}})),
        ]);
        project
            .workspace
            .file("TARGETS", r#"{"all": {"type": "install", "dirs": [[["@", "above", "", "e"], "e"]]}}"#);
        let low = entries.iter().find(|(other, _)| **other != key).unwrap().1;
        fs::remove_file(low).ok();
        let built = project.build();
        assert!(built.stderr.contains("Backing up") && !built.stderr.contains("WARN"), "{}", built.stderr);
        assert!(is_hit(&project.build()));
    }
}

#[test]
fn analysis_looks_up_and_writes_nothing() {
    let project = project();
    let analyse = |tool: &taut_testkit::Tool| {
        project.run(tool, &["analyse", "--log-limit", "4", "--plain-log", "all"]).exits(0)
    };
    let just = taut().called("just");
    assert!(is_miss(&analyse(&just)));
    assert!(is_miss(&analyse(&just)));
    assert!(project.stored("tc").is_empty() && project.stored("casf").is_empty());
    project.build();
    assert!(is_hit(&analyse(&just)));
    let dumped = project.run(&taut(), &["analyse", "--dump-export-targets", "-", "all"]).exits(0);
    assert!(dumped.stdout.contains("high exported") && !dumped.stdout.contains("low exported"));
}

#[test]
fn strategies_and_build_roots_that_cannot_be_written_to() {
    let project = project();
    let just = taut().called("just");
    let build = |words: &[&str]| project.run(&just, &[&["build"], words, &["all"]].concat()).exits(0);
    let disabled = ["--target-cache-write-strategy", "disable"];
    let first = build(&disabled);
    assert!(!first.stderr.contains("Backing up"), "{}", first.stderr);
    let second = build(&disabled);
    assert!(
        is_miss(&second) && second.stderr.contains("Processed 3 actions, 3 cache hits"),
        "{}",
        second.stderr
    );
    assert!(project.stored("tc").is_empty());
    // A null build adds what an earlier one was not to add.
    let third = build(&[]);
    assert!(third.stderr.contains("Backing up artifacts of 2 export targets"), "{}", third.stderr);
    assert!(is_hit(&build(&disabled)));
    // A file is where the directory of entries has to be.
    fs::remove_dir_all(project.store(0, "tc")).unwrap();
    fs::write(project.store(0, "tc"), "").unwrap();
    let refused = project.run(&taut(), &["build", "all"]).exits(0);
    let warnings = refused.stderr.lines().filter(|line| line.contains("cannot be cached")).count();
    assert_eq!(warnings, 2, "{}", refused.stderr);
}

/// What earlier calls recorded agrees with what is found without it, also where a call adds entries; and the reason why
/// a target was analysed again is that its entry is there now.
#[test]
fn records_agree_with_the_cache_and_explain_it() {
    let project = project();
    let checked = |words: &[&str]| {
        let ran = project.run(&taut(), &[words, &["--check-traces", "all"]].concat()).exits(0);
        assert!(ran.stderr.contains("Cache check passed."), "{}", ran.stderr);
    };
    let explained = |what: &str| {
        let words = ["explain", "--local-build-root"];
        let mut command = taut().command(&project.workspace.root());
        command.args(words).arg(project.workspace.build_root()).args(["-C", "repos.json", what]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    project.run(&taut(), &["build", "all"]).exits(0);
    let first = explained("@lib//:low");
    assert!(first.contains("Target @lib//:low was analysed for the first time"), "{first}");
    project.run(&taut(), &["build", "all"]).exits(0);
    let second = explained("all");
    let reason = "since target-level cache entry ";
    assert!(second.contains("since target '@lib//:high exported' came out differently"), "{second}");
    assert!(second.contains(reason) && second.contains(" changed: absent before, now there"), "{second}");
    checked(&["build"]);
    checked(&["analyse", "--dump-graph", "graph", "--dump-targets", "-"]);
    fs::remove_dir_all(project.store(0, "tc")).unwrap();
    checked(&["build"]);
    project.workspace.file("own.txt", "another\n");
    checked(&["install", "-o", "out"]);
    let what_if = project.run(&taut(), &["what-if", "own.txt"]);
    assert!(what_if.stdout.contains("run at most 1 of 1 action"), "{}", what_if.stdout);
}

/// What is exported is built, whatever of it is requested; but only where it is to be cached.
#[test]
fn export_is_strict_where_it_is_cached() {
    let rules = r#"{"r": {"expression": {"type": "let*", "bindings":
        [["good", {"type": "ACTION", "outs": ["good"], "cmd": ["sh", "-c", "echo good >good"], "inputs": {"type": "empty_map"}}],
         ["bad", {"type": "ACTION", "outs": ["bad"], "cmd": ["sh", "-c", "exit 3"], "inputs": {"type": "empty_map"}}]],
        "body": {"type": "RESULT", "artifacts": {"type": "var", "name": "good"}, "provides": {"type": "env", "vars": ["bad"]}}}}}"#;
    let targets = r#"{"t": {"type": ["./", "m", "r"]}, "e": {"type": "export", "target": "t"}}"#;
    let project = Project::new();
    let tree = project.tree(&[("TARGETS", targets), ("m/RULES", rules)]);
    project.configure(&[("lib", json!({"workspace_root": project.root(&tree)}))]);
    project
        .workspace
        .file("TARGETS", r#"{"all": {"type": "install", "dirs": [[["@", "lib", "", "e"], "."]]}}"#);
    let failed = project.run(&taut(), &["build", "all"]).exits(1);
    assert!(failed.stderr.contains("exit"), "{}", failed.stderr);
    assert!(project.stored("tc").is_empty());
    project.workspace.file("lib/TARGETS", targets).file("lib/m/RULES", rules);
    project.configure(&[("lib", json!({"workspace_root": ["file", "lib"]}))]);
    // One action, which ran before.
    let built = project.run(&taut(), &["build", "all"]).exits(0);
    assert_eq!(processed(&built.stderr), Some((1, 1)), "{}", built.stderr);
}

/// A graph of nodes of sixty levels, each of two children that are the same, is exported, cached and read back; the
/// anonymous targets made from it are the same, and what they do does not run again.
#[test]
fn nodes_are_cached_without_being_unfolded() {
    const TARGETS: &str = r#"{"t": {"type": "r", "deep": ["x"]}, "e": {"type": "export", "target": "t"}}"#;
    const RULES: &str = r#"
{ "r":
  { "string_fields": ["deep"]
  , "expression":
    { "type": "RESULT"
    , "provides":
      { "type": "singleton_map", "key": "nodes", "value":
        [{ "type": "foldl", "range": {"type": "range", "$1": 60}
         , "start": {"type": "ABSTRACT_NODE", "node_type": "n", "string_fields": {"type": "singleton_map", "key": "name", "value": ["0"]}}
         , "body": {"type": "ABSTRACT_NODE", "node_type": "n"
           , "string_fields": {"type": "singleton_map", "key": "name", "value": ["inner"]}
           , "target_fields": {"type": "singleton_map", "key": "deps", "value": [{"type": "var", "name": "$1"}, {"type": "var", "name": "$1"}]}}}]}}}
}"#;
    const OWN_RULES: &str = r#"
{ "n":
  { "string_fields": ["name"], "target_fields": ["deps"]
  , "expression":
    { "type": "let*"
    , "bindings":
      [["below", {"type": "disjoint_map_union", "$1":
        {"type": "foreach", "range": {"type": "FIELD", "name": "deps"}, "body": {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}]]
    , "body": {"type": "RESULT", "artifacts": {"type": "ACTION", "inputs": {"type": "var", "name": "below"}, "outs": ["out"]
      , "cmd": ["sh", "-c", "(cat out 2>/dev/null; echo) >new; rm -f out; mv new out"]}}}}
, "use":
  { "target_fields": ["deps"]
  , "anonymous": {"made": {"target": "deps", "provider": "nodes", "rule_map": {"n": "n"}}}
  , "expression":
    { "type": "let*"
    , "bindings": [["made", {"type": "[]", "index": 0, "list": {"type": "FIELD", "name": "made"}}]]
    , "body": {"type": "RESULT", "artifacts": {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "made"}}}}}
}"#;
    let project = Project::new();
    let git = &project.git;
    let tree =
        git.tree(&[("100644", b"RULES", &git.blob(RULES)), ("100644", b"TARGETS", &git.blob(TARGETS))]);
    project.configure(&[("lib", json!({"workspace_root": project.root(&tree)}))]);
    project.workspace.file("RULES", OWN_RULES);
    project.workspace.file("TARGETS", r#"{"all": {"type": "use", "deps": [["@", "lib", "", "e"]]}}"#);
    let anonymous = || {
        project
            .run(&taut(), &["analyse", "--dump-anonymous", "-", "--dump-graph", "graph", "all"])
            .exits(0)
            .stdout
    };
    let before = anonymous();
    let first = project.run(&taut(), &["build", "all"]).exits(0);
    assert_eq!(processed(&first.stderr), Some((61, 0)), "{}", first.stderr);
    let (_, entry) = project.stored("tc").pop_first().unwrap();
    let size = fs::metadata(project.value_of(&entry)).unwrap().len();
    assert!(size < 200_000, "{size}");
    let second = project.run(&taut(), &["build", "-v", "all"]).exits(0);
    assert!(second.stderr.contains("1 export target (1 cached)"), "{}", second.stderr);
    assert_eq!(processed(&second.stderr), Some((61, 61)), "{}", second.stderr);
    assert_eq!(anonymous(), before);
}

/// The reference puts objects of cached export targets together in each build, and scripts of its users may look at
/// that. Nothing needs it, so under the name `taut` they stay in pieces, which take less room.
#[test]
fn what_gc_has_split_is_put_together_for_cached_export_targets_under_the_name_just_only() {
    let project = Project::new();
    let large = r#"{"made": {"type": "generic", "outs": ["large"], "cmds": ["seq 1 700000 >large"]},
                    "large": {"type": "export", "target": "made"}}"#;
    configure(&project, &[("TARGETS", large)]);
    let main = r#"{"all": {"type": "generic", "outs": ["two"], "cmds": ["cat large large >two"],
                           "deps": [["@", "lib", "", "large"]]}}"#;
    project.workspace.file("TARGETS", main);
    let whole = || {
        let sizes = project.stored("casf").into_values().map(|path| fs::metadata(path).unwrap().len());
        sizes.filter(|size| *size > 4 << 20).count()
    };
    let (taut, just) = (taut(), taut().called("just"));
    // The second build takes the target from the cache.
    for _ in 0..2 {
        project.run(&just, &["build", "all"]).exits(0);
    }
    assert_eq!(whole(), 2);
    project.workspace.run(&just, ["gc", "--no-rotate"]).exits(0);
    assert_eq!(whole(), 0);
    project.run(&taut, &["build", "all"]).exits(0);
    assert_eq!(whole(), 0);
    for _ in 0..2 {
        project.run(&just, &["build", "all"]).exits(0);
        assert_eq!(whole(), 1);
    }
}
