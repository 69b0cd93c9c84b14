//! Keys, entries and messages are the reference's, byte for byte.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use serde_json::{Value, json};
use taut_testkit::{Rng, Tool, ToolResult, times};

use crate::project::{Project, files, lines_of_exports, taut};

const LIB: &[(&str, &str)] = &[
    (
        "TARGETS",
        r#"
{ "base": {"type": "r", "name": ["base"], "deps": ["s"]}
, "plain": {"type": "export", "target": "base", "flexible_config": ["A"]}
, "over": {"type": "r", "name": ["over"], "deps": ["plain", "base", ["m", "inner"]]}
, "over both": {"type": "export", "target": "over", "flexible_config": ["A", "B"]}
, "fixed": {"type": "export", "target": "over", "fixed_config": {"A": {"x": [1.5, null]}}}
, "source": {"type": "export", "target": "s"}
, "of export": {"type": "export", "target": "fixed", "flexible_config": ["Z"]}
, "other repository": {"type": "r", "name": ["other"], "deps": [["@", "o", "", "e"], "plain"]}
, "through": {"type": "export", "target": "other repository", "flexible_config": ["B"]}
}"#,
    ),
    ("s", "source\n"),
    (
        "m/TARGETS",
        r#"
{ "t": {"type": "r", "name": ["in \"m\""], "deps": ["s"]}
, "inner": {"type": "export", "target": "t", "flexible_config": []}
}"#,
    ),
    ("m/s", "other source\n"),
];

const OTHER: &[(&str, &str)] =
    &[("TARGETS", r#"{"t": {"type": "r", "name": ["o"]}, "e": {"type": "export", "target": "t"}}"#)];

const MAIN: &str = r#"
{ "all":
  { "type": "install"
  , "dirs":
    [ [["@", "lib", "", "over both"], "both"]
    , [["@", "lib", "", "of export"], "of"]
    , [["@", "lib", "", "source"], "source"]
    , [["@", "lib", "", "through"], "through"]
    , [["@", "same", "", "plain"], "same"]
    , ["local", "local"]
    ]
  }
, "local": {"type": "export", "target": "generated"}
, "generated": {"type": "file_gen", "name": "local", "data": "local"}
}"#;

fn project() -> Project {
    let project = Project::new();
    let (lib, other) = (project.tree(LIB), project.tree(OTHER));
    let bindings = json!({"o": "other", "self": "lib"});
    project.configure(&[
        ("lib", json!({"workspace_root": project.root(&lib), "bindings": bindings})),
        // The same repository by another name, in a cycle with the first.
        ("same", json!({"workspace_root": project.root(&lib), "bindings": {"o": "other", "self": "lib"}})),
        ("other", json!({"workspace_root": project.root(&other)})),
    ]);
    project.workspace.file("TARGETS", MAIN);
    project
}

/// What scripts can see of a call, as far as the reference has it in the same order each time.
fn report(out: &mut String, words: &[&str], ran: &ToolResult) {
    writeln!(out, "=== {}: {}", words.join(" "), ran.code).unwrap();
    lines_of_exports(ran).iter().for_each(|line| writeln!(out, "{line}").unwrap());
    let marks = [
        "Export targets found",
        "Discovered",
        "Processed",
        "Backing up",
        "Target-level",
        "target-level",
        "        ",
    ];
    for line in ran.stderr.lines().filter(|line| marks.iter().any(|mark| line.contains(mark))) {
        // The reference colours what it says before it has read all options.
        let plain = line.split('\u{1b}').map(|part| match part.split_once('m') {
            Some((code, rest)) if code.starts_with('[') => rest,
            _ => part,
        });
        writeln!(out, "{}", plain.collect::<String>()).unwrap();
    }
    out.push_str(&ran.stdout);
}

/// How long the text of an entry is at most that the transcript has.
const MAX_SHOWN_BYTES: usize = 6000;

/// The target-level cache, with the texts of keys and entries.
fn contents(project: &Project) -> String {
    let mut entries = Vec::new();
    let top = project.store(0, "tc");
    files(&top, &mut |path| {
        let name = path.strip_prefix(&top).unwrap().to_str().unwrap().to_owned();
        entries.push((name, path.to_owned()));
    });
    entries.sort();
    let object =
        |hash: &str| fs::read_to_string(project.store(0, "casf").join(&hash[..2]).join(&hash[2..])).unwrap();
    let mut out = String::new();
    for (name, path) in entries {
        let (shard, key) = name.split_once('/').unwrap();
        let entry = fs::read_to_string(path).unwrap();
        let mut texts = vec![object(shard), object(&key.replace('/', ""))];
        // The hash is enough to compare long ones.
        texts.extend(Some(object(&entry[1..41])).filter(|text| text.len() < MAX_SHOWN_BYTES));
        writeln!(out, "--- {name}: {entry}\n{}", texts.join("\n")).unwrap();
    }
    out
}

fn transcript(tool: &Tool) -> String {
    let mut out = String::new();
    let calls = |project: &Project, out: &mut String, calls: &[&[&str]]| {
        for words in calls {
            let all = [words, &["--log-limit", "4", "--plain-log", "all"][..]].concat();
            report(out, words, &project.run(tool, &all));
        }
    };
    let configured = ["-D", r#"{"A": "x86", "Z": [1, 2]}"#];
    let [build, analyse] = ["build", "analyse"].map(|command| [&[command], &configured[..]].concat());
    let first = project();
    calls(
        &first,
        &mut out,
        &[&analyse, &build, &build, &analyse, &["build"], &["build", "-D", r#"{"Q": 1}"#]],
    );
    out.push_str(&contents(&first));
    let dumps =
        ["--dump-export-targets", "--dump-targets", "--dump-targets-graph", "--dump-graph", "--dump-result"];
    for dump in dumps {
        let ran = first.run(tool, &["analyse", dump, "dump", "--log-limit", "0", "all"]);
        writeln!(out, "=== {dump}: {}", ran.code).unwrap();
        out.push_str(&fs::read_to_string(first.workspace.root().join("dump")).unwrap());
        out.push('\n');
    }
    // Where actions run is part of what an entry is found by.
    let properties = ["--remote-execution-property", "os:b", "--remote-execution-property", "os:c:d"];
    let with_properties = [&["build"], &properties[..]].concat();
    calls(&first, &mut out, &[&with_properties, &with_properties, &[&["analyse"], &properties[..]].concat()]);
    let shards = fs::read_dir(first.store(0, "tc")).unwrap().map(|shard| shard.unwrap().file_name());
    let mut shards: Vec<String> = shards.map(|shard| shard.into_string().unwrap()).collect();
    shards.sort();
    writeln!(out, "=== shards: {}", shards.join(", ")).unwrap();
    for strategy in ["disable", "split", "sync", "other", ""] {
        let other = project();
        let words = ["build", "--target-cache-write-strategy", strategy];
        calls(&other, &mut out, &[&words, &words]);
    }
    let other = project();
    calls(&other, &mut out, &[&["rebuild"], &["rebuild"]]);
    out
}

/// `transcript.txt` has the answers of the reference, version 1.6.5. With `TAUT_REFERENCE` it is compared with that,
/// and with `TAUT_RECORD` written.
#[test]
fn keys_entries_and_messages_are_those_of_the_reference() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export_cache/transcript.txt");
    if let Some(reference) = Tool::reference() {
        let theirs = transcript(&reference);
        if std::env::var_os("TAUT_RECORD").is_some() {
            fs::write(&file, &theirs).unwrap();
        }
        assert!(theirs == fs::read_to_string(&file).unwrap(), "the reference answers otherwise:\n{theirs}");
    }
    let (ours, theirs) = (transcript(&taut().called("just")), fs::read_to_string(&file).unwrap());
    if let Some(at) = ours.lines().zip(theirs.lines()).position(|(ours, theirs)| ours != theirs) {
        let part =
            |text: &str| text.lines().skip(at.saturating_sub(8)).take(12).collect::<Vec<_>>().join("\n");
        panic!("line {}: taut has\n{}\n\nthe reference\n{}", at + 1, part(&ours), part(&theirs));
    }
    assert_eq!(ours, theirs);
}

/// What just 1.6.5 writes for a source tree: `null` in place of what it provides, which `configure` and `export` pass
/// on, and a rule does not.
#[test]
fn entries_of_source_trees_provide_null_as_those_of_the_reference() {
    const TREES: &[(&str, &str)] = &[
        (
            "TARGETS",
            r#"
{ "direct": {"type": "export", "target": ["TREE", null, "d"]}
, "c": {"type": "configure", "target": ["TREE", null, "d"]}
, "configured": {"type": "export", "target": "c"}
, "again": {"type": "export", "target": "direct", "flexible_config": ["B"]}
, "i": {"type": "install", "deps": [["TREE", null, "d"]]}
, "installed": {"type": "export", "target": "i"}
}"#,
        ),
        ("d/x", "x\n"),
    ];
    let provided = |project: &Project| {
        let text = contents(project);
        let (mut names, mut found) = (Vec::new(), BTreeMap::new());
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("\"target_name\": ") {
                names.push(name.to_owned());
            }
            if let (Some(id), Some(name)) = (line.strip_prefix("\"entry\": "), names.last()) {
                found.insert(name.clone(), id.trim_matches(['"', ',']).to_owned());
            }
        }
        found
    };
    // SHA-256 of `null` and of the empty map, as just 1.6.5 has them.
    let null = "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b";
    let empty = "021fb596db81e6d02bf3d2586ee3981fe519f275c0ac9ca76bbcf2ebb4097d96";
    let expected = [("again", null), ("configured", null), ("direct", null), ("installed", empty)];
    let expected: BTreeMap<String, String> =
        expected.map(|(name, id)| (format!(r#""[\"\",\"{name}\"]""#), id.to_owned())).into_iter().collect();
    let tools = Tool::reference().into_iter().chain([taut(), taut().called("just")]);
    for tool in tools {
        let project = Project::new();
        let tree = project.tree(TREES);
        project.configure(&[("lib", json!({"workspace_root": project.root(&tree)}))]);
        let all = r#"{"all": {"type": "install", "dirs": [
            [["@", "lib", "", "configured"], "c"], [["@", "lib", "", "again"], "a"],
            [["@", "lib", "", "installed"], "i"]]}}"#;
        let direct = r#"{"all": {"type": "install", "deps": [["@", "lib", "", "direct"]]}}"#;
        // First only the inner one, so that the outer one is made from an entry that was read.
        for targets in [direct, all] {
            project.workspace.file("TARGETS", targets);
            project.run(&tool, &["build", "all"]).exits(0);
        }
        assert_eq!(provided(&project), expected);
    }
}

/// A build root that one tool filled is used by the other. Needs the reference (`TAUT_REFERENCE`).
#[test]
fn an_entry_that_one_tool_wrote_is_a_hit_for_the_other() {
    let Some(reference) = Tool::reference() else { return };
    let just = taut().called("just");
    for (first, second) in [(&reference, &just), (&just, &reference)] {
        let project = project();
        let words = ["build", "--log-limit", "4", "--plain-log", "all"];
        project.run(first, &words).exits(0);
        let again = project.run(second, &words).exits(0);
        assert!(again.stderr.contains("5 cached, 0 uncached, 1 not eligible"), "{}", again.stderr);
        assert!(again.stderr.contains("Processed 0 actions"), "{}", again.stderr);
    }
}

/// Random repositories, bound to each other in any way, also in cycles; targets depend on export targets of
/// repositories with higher numbers. Each is a root of one of two kinds, and few are directories.
fn random_project(rng: &mut Rng) -> Project {
    let project = Project::new();
    let count = 1 + rng.below(4);
    let mut repositories = Vec::new();
    let mut dirs = Vec::new();
    for number in 0..count {
        let name = format!("r{number}");
        let bindings: BTreeMap<String, usize> =
            (0..rng.below(4)).map(|local| (format!("b{local}"), rng.below(count))).collect();
        let mut targets = serde_json::Map::new();
        for at in 0..1 + rng.below(3) {
            let mut deps: Vec<Value> = Vec::new();
            for other in 0..at {
                deps.extend(rng.chance(40).then(|| json!(format!("t{other}"))));
                deps.extend(rng.chance(50).then(|| json!(format!("e{other}"))));
            }
            let higher = bindings.iter().filter(|(_, to)| **to > number);
            deps.extend(higher.filter(|_| rng.chance(70)).map(|(local, _)| json!(["@", local, "", "e0"])));
            deps.extend(rng.chance(50).then(|| json!("s")));
            let flexible = [&[][..], &["A"], &["B"], &["A", "B"]][rng.below(4)];
            let mut export =
                json!({"type": "export", "target": format!("t{at}"), "flexible_config": flexible});
            if !flexible.contains(&"B") && rng.chance(30) {
                export["fixed_config"] = json!({"B": [null, 1.5, {"x": []}]});
            }
            targets.insert(format!("t{at}"), json!({"type": "r", "name": [format!("t{at}")], "deps": deps}));
            targets.insert(format!("e{at}"), export);
            if rng.chance(70) {
                dirs.push(json!([["@", name, "", format!("e{at}")], format!("{name}{at}")]));
            }
        }
        let tree = project.tree(&[
            ("TARGETS", &Value::Object(targets.clone()).to_string()),
            ("s", ["x", "y"][rng.below(2)]),
        ]);
        let mut root = project.root(&tree);
        if rng.chance(20) {
            root[0] = json!("git tree ignore-special");
        }
        if rng.chance(10) {
            project.workspace.file(&format!("{name}/TARGETS"), Value::Object(targets).to_string());
            project.workspace.file(&format!("{name}/RULES"), crate::project::RULES);
            project.workspace.file(&format!("{name}/s"), "s");
            root = json!(["file", name]);
        }
        let bindings: BTreeMap<String, String> =
            bindings.into_iter().map(|(local, to)| (local, format!("r{to}"))).collect();
        repositories.push((name, json!({"workspace_root": root, "bindings": bindings})));
    }
    let repositories: Vec<(&str, Value)> =
        repositories.iter().map(|(name, repository)| (name.as_str(), repository.clone())).collect();
    project.configure(&repositories);
    project.workspace.file("TARGETS", json!({"all": {"type": "install", "dirs": dirs}}).to_string());
    project
}

/// Needs the reference (`TAUT_REFERENCE`).
#[test]
fn random_repositories_have_the_keys_and_entries_of_the_reference() {
    let Some(reference) = Tool::reference() else { return };
    let just = taut().called("just");
    for seed in 0..times(8) as u64 {
        let defines =
            [r#"{}"#, r#"{"A": 1, "C": 2}"#, r#"{"A": "v", "B": {"x": [true]}}"#][seed as usize % 3];
        let words = ["build", "-D", defines, "--log-limit", "4", "--plain-log", "all"];
        let both: Vec<Project> =
            [(); 2].into_iter().map(|()| random_project(&mut Rng::new(1000 + seed))).collect();
        let first = [both[0].run(&reference, &words), both[1].run(&just, &words)];
        assert_eq!(first[0].code, first[1].code, "seed {seed}: {}{}", first[0].stderr, first[1].stderr);
        let lines = |rans: &[ToolResult; 2]| {
            let [theirs, ours] = [&rans[0], &rans[1]].map(|ran| lines_of_exports(ran).join("\n"));
            assert_eq!(ours, theirs, "seed {seed}");
        };
        lines(&first);
        let names = |project: &Project| {
            let entries = project.stored("tc").into_iter();
            entries.map(|(key, path)| (key, fs::read_to_string(path).unwrap())).collect::<Vec<_>>()
        };
        assert_eq!(names(&both[1]), names(&both[0]), "seed {seed}");
        // Each goes on with what the other wrote.
        lines(&[both[1].run(&reference, &words), both[0].run(&just, &words)]);
    }
}
