//! The event log: every call leaves one that follows the schema and is complete however the call ends; old ones are
//! removed; `explain` reads them.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use taut_testkit::{StartedTool, Tool, Workspace};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

const TARGETS: &str = r#"{
  "all": {"type": "install", "files": {"last": "last", "spoken": "spoken"}},
  "first": {"type": "generic", "outs": ["first"], "deps": ["a.txt"], "cmds": ["cat a.txt a.txt > first"]},
  "tree": {"type": "tree", "name": "d", "deps": ["first"]},
  "last": {"type": "generic", "outs": ["last"], "deps": ["tree"], "cmds": ["cat d/first > last"]},
  "spoken": {"type": "generic", "outs": ["spoken"], "cmds": ["echo something; touch spoken"]}
}"#;

fn project() -> Workspace {
    let workspace = Workspace::new();
    workspace.file("TARGETS", TARGETS).file("a.txt", "a\n");
    workspace
}

/// The files of all logs, earliest first.
fn files(workspace: &Workspace) -> Vec<PathBuf> {
    let below = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let own = below(workspace.build_root().join("taut"));
    let mut files: Vec<PathBuf> = own.flat_map(|epoch| below(epoch.join("events"))).collect();
    files.sort_by_key(|path| path.file_name().unwrap().to_owned());
    files
}

/// A log, as long as all of its lines are as the schema says.
#[track_caller]
fn read(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.ends_with('\n'), "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let schema = Schema::read();
    for line in &lines {
        schema.check(line);
    }
    assert_eq!(lines[0]["event"], "call");
    lines
}

/// The log of the last call.
#[track_caller]
fn last(workspace: &Workspace) -> Vec<Value> {
    read(files(workspace).last().expect("a log"))
}

/// The kinds of events, each with how many there are.
fn kinds(lines: &[Value]) -> BTreeMap<&str, usize> {
    let mut kinds = BTreeMap::new();
    for line in lines {
        *kinds.entry(line["event"].as_str().unwrap()).or_default() += 1;
    }
    kinds
}

fn of_kind<'l>(lines: &'l [Value], kind: &str) -> Vec<&'l Value> {
    lines.iter().filter(|line| line["event"] == kind).collect()
}

/// The action of a target.
#[track_caller]
fn action<'l>(lines: &'l [Value], target: &str) -> &'l Value {
    let origin = format!(r#"["@","","","{target}"]#0"#);
    of_kind(lines, "action").into_iter().find(|line| line["origin"] == origin).expect("an action")
}

#[track_caller]
fn summary(lines: &[Value]) -> &Value {
    let last = lines.last().unwrap();
    assert_eq!(last["event"], "summary");
    last
}

/// A validator for what the schema uses, and nothing else.
struct Schema(Value);

impl Schema {
    fn read() -> Schema {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/events.schema.json");
        Schema(serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
    }

    /// The line fits the schema of its kind, and has no field that this does not describe.
    #[track_caller]
    fn check(&self, line: &Value) {
        let kind = line["event"].as_str().unwrap_or_else(|| panic!("{line}"));
        if let Err(why) = self.fits(&self.0["$defs"][kind], line) {
            panic!("{why} in {line}");
        }
        assert!(self.fits(&self.0, line).is_ok(), "no other kind: {line}");
    }

    fn fits(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{what}: {value} against {schema}"));
        let schema = schema.as_object().ok_or_else(|| format!("no schema for {value}"))?;
        let number = |is: &Value| is.as_u64().expect("a count") as usize;
        for (keyword, is) in schema {
            let fits = match keyword.as_str() {
                "$schema" | "title" | "description" | "$defs" => true,
                "$ref" => {
                    let name = is.as_str().unwrap().strip_prefix("#/$defs/").expect("a definition");
                    self.fits(&self.0["$defs"][name], value)?;
                    true
                }
                "oneOf" => {
                    is.as_array().unwrap().iter().filter(|one| self.fits(one, value).is_ok()).count() == 1
                }
                "type" => match is {
                    Value::String(one) => is_of_type(value, one),
                    many => {
                        many.as_array().unwrap().iter().any(|one| is_of_type(value, one.as_str().unwrap()))
                    }
                },
                "const" => value == is,
                "enum" => is.as_array().unwrap().contains(value),
                "minimum" => value.as_f64().is_none_or(|number| number >= is.as_f64().unwrap()),
                "minLength" => value.as_str().is_none_or(|text| text.len() >= number(is)),
                "maxLength" => value.as_str().is_none_or(|text| text.len() <= number(is)),
                "minItems" => value.as_array().is_none_or(|items| items.len() >= number(is)),
                "maxItems" => value.as_array().is_none_or(|items| items.len() <= number(is)),
                "items" => {
                    for item in value.as_array().into_iter().flatten() {
                        self.fits(is, item)?;
                    }
                    true
                }
                "required" => {
                    is.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some())
                }
                "properties" => {
                    for (key, inner) in value.as_object().into_iter().flatten() {
                        let Some(schema) = is.get(key) else {
                            return wrong(&format!("{key} is not described"));
                        };
                        self.fits(schema, inner)?;
                    }
                    true
                }
                "additionalProperties" => {
                    for inner in value.as_object().into_iter().flat_map(|object| object.values()) {
                        self.fits(is, inner)?;
                    }
                    true
                }
                other => panic!("the schema uses {other:?}, which the validator does not know"),
            };
            if !fits {
                return wrong(keyword);
            }
        }
        Ok(())
    }
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("the schema uses no type {other}"),
    }
}

#[test]
fn the_log_of_a_first_build_has_the_inputs_and_the_resources_of_each_action() {
    let workspace = project();
    workspace.run(&taut(), ["build", "all"]).exits(0);
    let log = last(&workspace);
    let expected = [
        ("action", 3),
        ("action_started", 3),
        ("analysis_began", 1),
        ("analysis_finished", 1),
        ("build_began", 1),
        ("build_finished", 1),
        ("call", 1),
        ("new_targets", 1),
        ("summary", 1),
    ];
    assert_eq!(kinds(&log), BTreeMap::from(expected));
    let call = &log[0];
    assert_eq!((&call["command"], &call["schema"]), (&"build".into(), &1.into()));
    assert_eq!(call["targets"], serde_json::json!([["@", "", "", "all"]]));
    let (first, last_action, spoken) = (action(&log, "first"), action(&log, "last"), action(&log, "spoken"));
    assert_eq!(last_action["needs"], serde_json::json!([first["action"]]), "through a tree");
    assert_eq!(first["needs"], serde_json::json!([]));
    for action in [first, last_action, spoken] {
        assert_eq!(action["end"], "ran");
        assert!(action["wall"].as_f64() > Some(0.0) && action["inputs"].is_string(), "{action}");
        assert!(action["cpu"].as_f64() > Some(0.0), "{action}");
    }
    assert_eq!(first["outputs"]["first"], last_action["outputs"]["last"]);
    assert!(spoken["stdout"].as_str().unwrap().ends_with(":10:f]"), "{spoken}");
    let summary = summary(&log);
    assert_eq!((&summary["status"], &summary["ran"]), (&"success".into(), &3.into()));
}

#[test]
fn the_log_of_a_null_build_is_short_and_hides_no_earlier_reason() {
    let workspace = project();
    workspace.run(&taut(), ["build", "all"]).exits(0);
    std::thread::sleep(Duration::from_millis(2_100));
    workspace.run(&taut(), ["build", "all"]).exits(0);
    let explained = workspace.run(&taut(), ["explain", "last"]).exits(0).stdout;
    for _ in 0..3 {
        workspace.run(&taut(), ["build", "all"]).exits(0);
        let log = last(&workspace);
        let all = ["call", "analysis_began", "analysis_finished", "build_began", "build_finished", "summary"];
        assert_eq!(kinds(&log), BTreeMap::from(all.map(|kind| (kind, 1))));
        assert_eq!(of_kind(&log, "analysis_finished")[0]["known"], true);
        assert_eq!(summary(&log)["ran"], 0);
        assert_eq!(summary(&log)["processed"], 3);
    }
    let again = workspace.run(&taut(), ["explain", "last"]).exits(0).stdout;
    assert_eq!(again.lines().skip(1).collect::<Vec<_>>(), explained.lines().skip(1).collect::<Vec<_>>());
}

#[test]
fn after_an_edit_each_executed_task_has_its_cause() {
    let workspace = project();
    workspace.run(&taut(), ["build", "all"]).exits(0);
    workspace.file("a.txt", "other\n");
    workspace.run(&taut(), ["build", "all"]).exits(0);
    let log = last(&workspace);
    assert_eq!(of_kind(&log, "action").len(), 2);
    let cause = |of: &Value| {
        let causes = of_kind(&log, "cause");
        let found = causes
            .into_iter()
            .find(|line| line["task"]["action"] == of["action"] && line["task"]["kind"] == "action");
        found.expect("a cause").clone()
    };
    let of_first = cause(action(&log, "first"));
    assert_eq!((&of_first["why"], &of_first["what"]["kind"]), (&"read".into(), &"source".into()));
    assert!(of_first["what"]["path"].as_str().unwrap().ends_with("/a.txt"));
    assert_eq!(cause(action(&log, "last"))["what"]["kind"], "tree");
    // A target that is defined differently.
    workspace.file("TARGETS", TARGETS.replace("echo something", "echo else"));
    workspace.run(&taut(), ["build", "all"]).exits(0);
    let log = last(&workspace);
    let causes = of_kind(&log, "cause");
    let redefined = causes.iter().find(|line| line["why"] == "redefined").expect("an action is redefined");
    assert_eq!(redefined["what"]["name"], serde_json::json!(["@", "", "", "spoken"]));
    let of_target = causes.iter().find(|line| line["task"] == redefined["what"]).expect("its target");
    assert_eq!(
        (&of_target["what"]["kind"], &of_target["what"]["entry"]),
        (&"entry".into(), &"spoken".into())
    );
}

#[test]
fn actions_have_their_target_after_a_description_was_changed_and_changed_back_beside_a_new_file() {
    let workspace = project();
    let build = || drop(workspace.run(&taut(), ["build", "all"]).exits(0));
    build();
    workspace.file("TARGETS", TARGETS.replace("cat d/first", "cat d/first d/first")).file("other", "");
    build();
    workspace.file("TARGETS", TARGETS);
    build();
    workspace.file("a.txt", "other\n");
    build();
    let log = last(&workspace);
    assert_eq!(of_kind(&log, "action").len(), 2);
    action(&log, "first");
    action(&log, "last");
}

#[test]
fn failures_of_actions_and_of_analysis_are_in_the_log() {
    let workspace = project();
    workspace.file("TARGETS", TARGETS.replace("cat d/first > last", "exit 3"));
    workspace.run(&taut(), ["build", "all"]).exits(1);
    let log = last(&workspace);
    let failed = action(&log, "last");
    assert_eq!((&failed["end"], &failed["exit_code"]), (&"failed".into(), &3.into()));
    assert!(failed["error"].as_str().unwrap().contains("exit code 3"), "{failed}");
    assert_eq!(failed["needs"], serde_json::json!([action(&log, "first")["action"]]));
    assert_eq!(summary(&log)["status"], "build_failed");
    assert_eq!(summary(&log)["failed"], 1);
    let why = workspace.run(&taut(), ["explain", "last"]).exits(0).stdout;
    workspace.file("TARGETS", TARGETS.replace("\"tree\"]", "\"tee\"]"));
    workspace.run(&taut(), ["build", "all"]).exits(8);
    let log = last(&workspace);
    assert_eq!(summary(&log)["status"], "analysis_failed");
    assert_eq!(of_kind(&log, "diagnostic")[0]["severity"], "error");
    // The call before is explained.
    let still = workspace.run(&taut(), ["explain", "last"]).exits(0).stdout;
    let head = |text: &str| text.lines().nth(1).map(str::to_owned);
    assert_eq!(head(&still), head(&why));
    assert!(still.contains("it failed"), "{still}");
}

#[test]
fn other_failures_are_in_the_log_once_with_the_actions_that_needed_them() {
    let workspace = project();
    let source = r#"{"type": "LOCAL", "data": {"path": "none", "repository": ""}}"#;
    let action = |name: &str| {
        format!(
            r#""{name}": {{"command": ["cp", "in", "{name}"], "output": ["{name}"], "input": {{"in": {source}}},
                "origins": [{{"target": ["@", "", "", "{name}"], "subtask": 0, "config": {{}}}}]}}"#
        )
    };
    let graph = format!(r#"{{"actions": {{{}, {}}}, "blobs": [], "trees": {{}}}}"#, action("x"), action("y"));
    workspace.file("g", graph);
    let output = |name: &str| {
        format!(r#""{name}": {{"type": "ACTION", "data": {{"id": "{name}", "path": "{name}"}}}}"#)
    };
    let wanted = format!(r#"{{"s": {source}, {}, {}}}"#, output("x"), output("y"));
    let out = workspace.beside("out").display().to_string();
    workspace.run(&taut(), ["traverse", "-g", "g", "-a", &wanted, "-o", &out]).exits(1);
    let log = last(&workspace);
    let [unbuilt] = of_kind(&log, "unbuilt")[..] else { panic!("{log:?}") };
    assert_eq!(unbuilt["error"], "no source file \"none\" in repository \"\"");
    assert_eq!(unbuilt["actions"].as_array().unwrap().len(), 2);
    assert_eq!(unbuilt["origin"], r##"["@","","","x"]#0"##);
    assert_eq!(unbuilt["paths"], serde_json::json!(["s"]));
}

#[test]
fn an_action_that_read_no_changed_input_is_unread() {
    let workspace = Workspace::new();
    workspace.file(
        "RULES",
        r#"{"made": {"target_fields": ["deps"], "expression": {"type": "RESULT", "artifacts":
          { "type": "ACTION", "outs": ["out", "out.d"], "depfile": "out.d"
          , "cmd": ["sh", "-c", "cat read > out; echo 'out: read' > out.d"]
          , "inputs": {"type": "map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "deps"}
          , "body": {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}}}}}"#,
    );
    workspace.file("TARGETS", r#"{"t": {"type": "made", "deps": ["read", "left"]}}"#);
    workspace.file("read", "1").file("left", "1");
    workspace.run(&taut(), ["build", "t"]).exits(0);
    workspace.file("left", "2");
    workspace.run(&taut(), ["build", "t"]).exits(0);
    assert_eq!(action(&last(&workspace), "t")["end"], "unread");
}

#[test]
fn every_subcommand_that_makes_a_request_leaves_a_log() {
    let workspace = project();
    let (out, graph) = (workspace.beside("out"), workspace.beside("graph"));
    let artifacts = workspace.beside("artifacts");
    let path = |path: &PathBuf| path.display().to_string();
    let (out, graph, artifacts) = (path(&out), path(&graph), path(&artifacts));
    let dumps = ["--dump-graph", &graph, "--dump-artifacts-to-build", &artifacts];
    let calls: [&[&str]; 7] = [
        &["build", "all", dumps[0], dumps[1], dumps[2], dumps[3]],
        &["install", "all", "-o", &out],
        &["rebuild", "all"],
        &["analyse", "all"],
        &["describe", "spoken"],
        &["what-if", "a.txt"],
        &["build", "all", "--no-trace"],
    ];
    for words in calls {
        workspace.run(&taut(), words).exits(0);
        let log = last(&workspace);
        assert_eq!((&log[0]["command"], &summary(&log)["status"]), (&words[0].into(), &"success".into()));
    }
    let wanted = fs::read_to_string(&artifacts).unwrap();
    workspace.run(&taut(), ["traverse", "-a", &wanted, "-o", &out, "-g", &graph]).exits(0);
    assert_eq!(last(&workspace)[0]["command"], "traverse");
    assert_eq!(files(&workspace).len(), calls.len() + 1);
    workspace.run(&taut(), ["explain", "last"]).exits(0);
    assert_eq!(files(&workspace).len(), calls.len() + 1, "a question about logs leaves none");
}

#[test]
fn the_examples_of_the_manual_follow_the_schema() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events.md");
    let (manual, schema) = (fs::read_to_string(manual).unwrap(), Schema::read());
    let blocks = manual.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap());
    let mut described: Vec<String> = Vec::new();
    for line in blocks.flat_map(str::lines) {
        let line: Value = serde_json::from_str(line).expect(line);
        schema.check(&line);
        described.push(line["event"].as_str().unwrap().to_owned());
    }
    let kinds = schema.0["oneOf"].as_array().unwrap().iter();
    for kind in kinds.map(|kind| kind["$ref"].as_str().unwrap().rsplit('/').next().unwrap()) {
        assert!(manual.contains(&format!("**`{kind}`**")), "{kind} is described");
    }
    assert!(described.len() >= 9, "{described:?}");
}

fn spawn(workspace: &Workspace, words: &[&str]) -> StartedTool {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taut"));
    command.arg(words[0]).arg("--local-build-root").arg(workspace.build_root()).args(&words[1..]);
    command.current_dir(workspace.root()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap().into()
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A project with an action that runs until it is ended, and makes a file when it has begun.
fn endless() -> (Workspace, PathBuf) {
    let workspace = Workspace::new();
    let mark = workspace.beside("mark");
    let targets = format!(
        r#"{{"quick": {{"type": "generic", "outs": ["q"], "cmds": ["touch q"]}},
            "endless": {{"type": "generic", "outs": ["o"], "deps": ["quick"], "cmds": ["touch {}; sleep 1000"]}}}}"#,
        mark.display()
    );
    workspace.file("TARGETS", targets);
    (workspace, mark)
}

#[test]
fn a_call_that_is_interrupted_ends_its_log_and_one_that_is_killed_does_not() {
    let (workspace, mark) = endless();
    let mut child = spawn(&workspace, &["build", "endless"]);
    eventually("it runs", || mark.exists());
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let log = last(&workspace);
    assert_eq!((&summary(&log)["status"], &summary(&log)["signal"]), (&"interrupted".into(), &15.into()));
    assert_eq!(action(&log, "quick")["end"], "ran");
    let endless = action(&log, "endless");
    assert_eq!((&endless["end"], &summary(&log)["failed"]), (&"unfinished".into(), &0.into()), "{endless}");
    assert_eq!((&endless["exit_code"], &endless["error"]), (&Value::Null, &Value::Null));
    assert!(endless["inputs"].is_string() && endless["wall"].as_f64() > Some(0.0), "{endless}");
    let explained = workspace.run(&taut(), ["explain", "endless"]).exits(0).stdout;
    assert!(explained.lines().next().unwrap().ends_with("; it was interrupted."), "{explained}");
    assert!(explained.contains(" was running when the call was interrupted:"), "{explained}");
    let explained = workspace.run(&taut(), ["explain", "quick"]).exits(0).stdout;
    assert!(explained.contains("2 actions run (1 stopped by the interruption), 0 from cache"), "{explained}");

    fs::remove_file(&mark).unwrap();
    let before = files(&workspace);
    let mut child = spawn(&workspace, &["build", "endless"]);
    eventually("it runs", || mark.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    // The incomplete log is not a log of a call that ended.
    let files = files(&workspace);
    let new: Vec<_> = files.iter().filter(|file| !before.contains(file)).collect();
    let [file] = new[..] else { panic!("{new:?}") };
    assert!(file.to_string_lossy().ends_with("-other.jsonl"), "{}", file.display());
    let log = read(file);
    assert_eq!(log[0]["command"], "build");
    let [started] = of_kind(&log, "action_started")[..] else { panic!("{log:?}") };
    assert_eq!(started["origin"], r##"["@","","","endless"]#0"##);
    assert_eq!((of_kind(&log, "action").len(), of_kind(&log, "summary").len()), (0, 0));
    let again = workspace.run(&taut(), ["explain", "quick"]).exits(0).stdout;
    assert_eq!(again.lines().nth(1), explained.lines().nth(1));
    let later = "A later call ran actions and has not ended: build :endless, ";
    assert!(again.lines().nth(2).unwrap().starts_with(later) && !explained.contains(later), "{again}");
}

#[test]
fn an_action_that_may_fail_and_one_that_ends_with_its_own_code_are_unfinished_after_an_interruption() {
    let workspace = Workspace::new();
    let (mark, out) = (workspace.beside("mark"), workspace.beside("out").display().to_string());
    let (shown, own) = (mark.display(), "trap 'kill $!; exit 3' TERM; ");
    let action = |name: &str, first: &str, more: &str| {
        let command = format!("{first}touch {name} {shown}-{name}; sleep 1000 & wait");
        format!(
            r#""{name}": {{"command": ["sh", "-c", "{command}"], "output": ["{name}"]{more},
                "origins": [{{"target": ["@", "", "", "{name}"], "subtask": 0, "config": {{}}}}]}}"#
        )
    };
    let actions = [action("x", "", r#", "may_fail": "it may""#), action("y", own, "")];
    workspace.file("g", format!(r#"{{"actions": {{{}}}, "blobs": [], "trees": {{}}}}"#, actions.join(",")));
    let output = |name: &str| {
        format!(r#""{name}": {{"type": "ACTION", "data": {{"id": "{name}", "path": "{name}"}}}}"#)
    };
    let wanted = format!("{{{}, {}}}", output("x"), output("y"));
    let mut child = spawn(&workspace, &["traverse", "-J", "2", "-g", "g", "-a", &wanted, "-o", &out]);
    let run = |name: &str| workspace.beside(&format!("mark-{name}")).exists();
    eventually("they run", || run("x") && run("y"));
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let log = last(&workspace);
    for name in ["x", "y"] {
        assert_eq!(self::action(&log, name)["end"], "unfinished");
    }
    assert_eq!((&summary(&log)["status"], &summary(&log)["failed"]), (&"interrupted".into(), &0.into()));
}

#[test]
fn finished_and_running_actions_are_in_the_log_while_a_long_action_runs() {
    let (workspace, mark) = endless();
    let mut child = spawn(&workspace, &["build", "endless"]);
    eventually("it runs", || mark.exists());
    // `quick` started first, so the line about `endless` comes a second later.
    let text = || fs::read_to_string(&files(&workspace)[0]).unwrap();
    eventually("it is written", || text().matches(r#"{"event":"action_started""#).count() == 2);
    child.kill().unwrap();
    child.wait().unwrap();
    let log = last(&workspace);
    assert_eq!(action(&log, "quick")["end"], "ran");
    assert_eq!((of_kind(&log, "action").len(), of_kind(&log, "summary").len()), (1, 0));
    let explained = workspace.run(&taut(), ["explain", "quick"]).exits(1).stdout;
    assert!(
        explained.contains("is recorded here") && explained.contains("has not ended: build"),
        "{explained}"
    );
}

#[test]
fn an_incomplete_line_is_skipped() {
    let workspace = project();
    workspace.run(&taut(), ["build", "all"]).exits(0);
    let explain = || workspace.run(&taut(), ["explain", "last"]);
    let right = explain().exits(0).stdout;
    let file = files(&workspace).into_iter().find(|file| file.to_string_lossy().contains("-work")).unwrap();
    let whole = fs::read_to_string(&file).unwrap();
    let others = "{\"event\":\"of a later version\"}\n[]\n7\nno JSON\n";
    fs::write(&file, whole.replacen('\n', &format!("\n{others}"), 1) + "{\"event\":\"act").unwrap();
    assert_eq!(
        explain().exits(0).stdout.lines().skip(1).collect::<Vec<_>>(),
        right.lines().skip(1).collect::<Vec<_>>()
    );
    let end = whole.trim_end().rfind('\n').unwrap();
    fs::write(&file, &whole[..end + 20]).unwrap();
    assert!(explain().exits(1).stdout.contains("corrupt"), "without its end it is of no call that ended");
}

#[test]
fn old_logs_are_removed_but_not_the_last_one_with_work() {
    let workspace = project();
    workspace.run(&taut(), ["build", "all"]).exits(0);
    let work = files(&workspace);
    for _ in 0..40 {
        workspace.run(&taut(), ["analyse", "spoken"]).exits(0);
    }
    let files = files(&workspace);
    assert_eq!(files.len(), 1 + 32);
    assert_eq!(files[0], work[0]);
    workspace.run(&taut(), ["explain", "last"]).exits(0);
}

#[test]
fn a_log_that_cannot_be_written_causes_one_warning() {
    let workspace = project();
    workspace.run(&taut(), ["build", "all"]).exits(0);
    let directory = files(&workspace)[0].parent().unwrap().to_owned();
    fs::remove_dir_all(&directory).unwrap();
    fs::write(&directory, "in the way").unwrap();
    workspace.file("a.txt", "other\n");
    let ran = workspace.run(&taut(), ["build", "all"]).exits(0);
    assert_eq!(ran.stderr.matches("the event log cannot be written").count(), 1, "{}", ran.stderr);
}

#[test]
fn each_round_of_watch_has_a_log() {
    let workspace = project();
    let mut child = spawn(&workspace, &["watch", "all"]);
    let ended = || files(&workspace).iter().filter(|file| file.to_string_lossy().contains("-work")).count();
    eventually("the first round", || ended() == 1);
    workspace.file("a.txt", "other\n");
    eventually("the second round", || ended() == 2);
    let log = read(files(&workspace).iter().rfind(|file| file.to_string_lossy().contains("-work")).unwrap());
    assert_eq!((&log[0]["command"], &summary(&log)["status"]), (&"watch".into(), &"success".into()));
    assert_eq!(of_kind(&log, "action").len(), 2);
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
    child.wait().unwrap();
}
