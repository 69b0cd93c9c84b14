//! `explain`: why something ran, from the action down to the file that changed, and why other actions did not run.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use taut_testkit::{Tool, Workspace, without_ages};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

const TARGETS: &str = r#"{
  "all": {"type": "install", "files": {"shout": ["m", "shout"], "sample": "sample", "whisper": ["m", "whisper"]}},
  "sample": {"type": "say", "name": ["sample"], "srcs": ["a.txt"]}
}"#;

const MODULE: &str = r#"{
  "shout": {"type": "generic", "outs": ["shout"], "deps": ["u.txt"], "cmds": ["tr a-z A-Z < u.txt > shout"]},
  "whisper": {"type": "generic", "outs": ["whisper"], "deps": ["shout"], "cmds": ["tr A-Z a-z < shout > whisper"]}
}"#;

const RULES: &str = r#"{"say": {"string_fields": ["name"], "target_fields": ["srcs"], "config_vars": ["V"],
  "expression": {"type": "let*", "bindings": [
     ["in", {"type": "map_union", "$1": {"type": "foreach", "var": "s", "range": {"type": "FIELD", "name": "srcs"},
        "body": {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "s"}}}}],
     ["out", {"type": "ACTION", "outs": {"type": "FIELD", "name": "name"}, "inputs": {"type": "var", "name": "in"},
        "cmd": ["sh", "-c", {"type": "join", "$1": ["cat a.txt > sample; echo ",
           {"type": "var", "name": "V", "default": "none"}, " >> sample"]}]}]],
   "body": {"type": "RESULT", "artifacts": {"type": "var", "name": "out"}}}}}"#;

fn project() -> Workspace {
    let workspace = Workspace::new();
    workspace.file("TARGETS", TARGETS).file("RULES", RULES).file("m/TARGETS", MODULE);
    workspace.file("a.txt", "a\n").file("m/u.txt", "u\n");
    workspace
}

fn build(workspace: &Workspace, more: &[&str]) {
    let words = [&["build", "all", "--log-limit", "1"], more].concat();
    workspace.run(&taut(), words).exits(0);
}

/// The output of `explain`, with `ID` for each id, and as if the call had just ended.
fn explained(workspace: &Workspace, words: &[&str]) -> String {
    let text = without_ages(&workspace.run(&taut(), [&["explain"], words].concat()).exits(0).stdout);
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let len = rest[at..].find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len() - at);
        out.push_str(&rest[..at]);
        out.push_str(if len >= 12 { "ID" } else { &rest[at..at + len] });
        rest = &rest[at + len..];
    }
    out + rest
}

#[track_caller]
fn has(text: &str, lines: &str) {
    assert!(text.contains(lines.trim_matches('\n')), "{lines}\n--- is not in\n{text}");
}

#[test]
fn without_a_build_there_is_nothing_to_explain() {
    let workspace = project();
    let ran = workspace.run(&taut(), ["explain", "all"]).exits(16);
    assert!(ran.stderr.contains("there is no build root"), "{}", ran.stderr);
    assert!(!workspace.build_root().exists(), "a query creates no build root");
    workspace.run(&taut(), ["analyse", "all"]).exits(0);
    let ran = workspace.run(&taut(), ["explain", "all"]).exits(1);
    assert!(ran.stdout.contains("No build with work to do is recorded here"), "{}", ran.stdout);
}

#[test]
fn a_chain_leads_from_an_action_to_the_changed_source() {
    let workspace = project();
    build(&workspace, &[]);
    has(&explained(&workspace, &["all"]), "was analysed for the first time");
    workspace.file("m/u.txt", "v w\n");
    build(&workspace, &[]);
    // Calls that execute nothing are not builds to be explained.
    build(&workspace, &[]);
    has(
        &explained(&workspace, &["whisper"]),
        r#"
0 targets analysed, 2 actions run, 0 from cache.

Action %ID (m:whisper#0: whisper) ran:
  since shout, made by action %ID (m:shout#0: shout), differs: [ID:2:f] before, now [ID:4:f]
    since the source file m/u.txt changed: it is [ID:4:f] now
"#,
    );
    let source = explained(&workspace, &["m/u.txt"]);
    has(&source, "The source file m/u.txt changed. Because of that\n  2 actions were invalidated:");
    has(&explained(&workspace, &["sample"]), "did not run: its recorded run was replayed");
    has(&explained(&workspace, &["a.txt"]), "a.txt was unchanged: nothing ran because of it.");
    workspace.run(&taut(), ["explain", "nowhere"]).exits(1);
    let misspelt = workspace.run(&taut(), ["explain", "samble"]).exits(1).stdout;
    has(
        &misspelt,
        "The last build with work to do had no target :samble, and nothing at samble. Did you mean :sample?",
    );
}

#[test]
fn a_build_root_that_cannot_be_used_is_an_error() {
    let workspace = project();
    std::fs::write(workspace.build_root(), "a file").unwrap();
    let ran = workspace.run(&taut(), ["explain", "all"]).exits(16);
    assert!(ran.stderr.contains("cannot use the build root"), "{}", ran.stderr);
}

#[test]
fn an_action_can_be_named_by_the_beginning_of_its_id() {
    let workspace = project();
    build(&workspace, &[]);
    let text = workspace.run(&taut(), ["explain", "whisper"]).exits(0).stdout;
    let at = text.find('%').expect("an action is named");
    let id = &text[at..at + 9];
    has(&explained(&workspace, &[id]), r#"(m:whisper#0: whisper) ran:"#);
    workspace.run(&taut(), ["explain", "%0g"]).exits(1);
    let just = workspace.beside("just");
    std::os::unix::fs::symlink(taut().path(), &just).unwrap();
    let place = workspace.beside("input");
    for (tool, shown) in [(taut(), "the inputs of action"), (Tool::at(&just), "Request is input of action")] {
        let words = ["install", "all", "--request-action-input", id, "-o", place.to_str().unwrap()];
        let text = workspace.run(&tool, words).exits(0).stderr;
        has(&text, &format!("{shown} {id}"));
        assert_eq!(std::fs::read_to_string(place.join("shout")).unwrap(), "U\n");
        std::fs::remove_dir_all(&place).unwrap();
    }
}

#[test]
fn a_file_in_a_directory_that_actions_share_is_a_reason() {
    let workspace = Workspace::new();
    let headers: Vec<String> = (0..20).map(|number| format!("h/{number}.h")).collect();
    for path in &headers {
        workspace.file(path, "1\n");
    }
    let targets = format!(
        r#"{{"all": {{"type": "generic", "outs": ["out"], "cmds": ["cat h/*.h > out"], "deps": {headers:?}}}}}"#
    );
    workspace.file("TARGETS", targets);
    build(&workspace, &[]);
    workspace.file("h/7.h", "2\n");
    build(&workspace, &[]);
    has(
        &explained(&workspace, &["all"]),
        r#"
  since a directory among the inputs differs
    since the source file h/7.h changed"#,
    );
}

#[test]
fn definitions_rules_and_configuration_are_reasons() {
    let workspace = project();
    build(&workspace, &[]);
    workspace.file("RULES", RULES.replace("cat a.txt > sample", "cat a.txt a.txt > sample"));
    build(&workspace, &[]);
    has(
        &explained(&workspace, &["sample"]),
        r#"
Target :sample was analysed again:
  since rule :say is defined differently
    since the entry "say" of RULES changed

It defines 1 action.
Action %ID (:sample#0: sample) ran:
  - its command was ["sh","-c","cat a.txt > sample; echo none >> sample"]
  -              is ["sh","-c","cat a.txt a.txt > sample; echo none >> sample"]
  since target :sample defines it differently
    since rule :say is defined differently
      since the entry "say" of RULES changed
"#,
    );
    workspace.file("TARGETS", TARGETS.replace("[\"a.txt\"]", "[\"a.txt\", \"b.txt\"]")).file("b.txt", "b\n");
    build(&workspace, &[]);
    let text = explained(&workspace, &["sample"]);
    has(&text, "  since the entry \"sample\" of TARGETS changed");
    has(&text, "  - it has a new input b.txt");
    // With one thread: a result is not taken over from a target that another thread just checks.
    build(&workspace, &["-j", "1", "-D", r#"{"V": "x"}"#]);
    has(
        &explained(&workspace, &["sample"]),
        r#"
  since no run in this configuration is recorded; the build before had another one:
    V was unset, now it is "x"
"#,
    );
    has(
        &explained(&workspace, &["m", "shout"]),
        r#"was not analysed in this configuration: it has the result of m:shout, since it depends on no variable that differs."#,
    );
}

#[test]
fn actions_in_the_action_cache_did_not_run() {
    let workspace = project();
    build(&workspace, &[]);
    // What comes first is defined differently, and comes to the same.
    workspace
        .file("m/TARGETS", MODULE.replace("tr a-z A-Z < u.txt > shout", "cat u.txt | tr a-z A-Z > shout"));
    build(&workspace, &[]);
    let text = explained(&workspace, &["whisper"]);
    has(&text, "1 action run, 1 from cache.");
    has(
        &text,
        "the action cache has a result of the same command on the same inputs. It was looked up again\n  - its input shout comes from an action that is defined differently\n",
    );
    has(
        &text,
        "since target m:shout came out differently\n      since the entry \"shout\" of m/TARGETS changed",
    );
}

#[test]
fn a_failed_build_is_explained_too() {
    let workspace = project();
    build(&workspace, &[]);
    workspace.file("m/TARGETS", MODULE.replace("tr A-Z a-z < shout > whisper", "false"));
    workspace.run(&taut(), ["build", "all"]).exits(1);
    let text = explained(&workspace, &["whisper"]);
    has(&text, "just now; it failed.");
    has(&text, "(m:whisper#0: whisper)");
    has(&text, "ran, and failed:\n  - its command was");
    workspace.file("m/TARGETS", "{");
    workspace.run(&taut(), ["build", "all"]).exits(8);
    has(&explained(&workspace, &["m/TARGETS"]), "m/TARGETS");
}

#[test]
fn the_documentation_of_a_rule_is_no_reason() {
    let workspace = project();
    build(&workspace, &[]);
    let with_doc =
        RULES.replacen('{', "{\n  ", 1).replacen("{\"string", "{\"doc\": [\"Says.\"], \"string", 1);
    workspace.file("RULES", &with_doc).file("m/u.txt", "other\n");
    build(&workspace, &[]);
    let text = explained(&workspace, &["sample"]);
    has(&text, "0 targets analysed");
    has(&text, "was not analysed again: nothing that it reads has changed");
    workspace.file("RULES", RULES.replace("echo", "echo -n"));
    build(&workspace, &[]);
    has(&explained(&workspace, &["sample"]), "since rule :say is defined differently");
}

#[test]
fn a_new_file_is_not_reported_as_unchanged() {
    let workspace = Workspace::new();
    let targets = r#"{"t": {"type": "generic", "outs": ["t"], "deps": [["GLOB", null, "*.txt"]], "cmds": ["cat *.txt > t"]}}"#;
    workspace.file("TARGETS", targets).file("a.txt", "a\n");
    workspace.run(&taut(), ["build", "t"]).exits(0);
    workspace.file("b.txt", "b\n");
    workspace.run(&taut(), ["build", "t"]).exits(0);
    let text = explained(&workspace, &["b.txt"]);
    has(&text, "b.txt was unchanged, unless it was new; its directory changed:");
    has(&text, "1 action was invalidated:");
}

/// Targets `t0` to `t19`, each with an action that reads `h.txt`, and `all` of them. All are built after a change of
/// the file to a content for which the action cache has the results of all but the last.
fn one_of_many_ran() -> Workspace {
    let workspace = Workspace::new();
    let names: Vec<String> = (0..20).map(|at| format!("t{at}")).collect();
    let target = |name: &String| {
        format!(
            r#""{name}": {{"type": "generic", "outs": ["{name}"], "deps": ["h.txt"], "cmds": ["cat h.txt > {name}"]}}"#
        )
    };
    let targets: Vec<String> = names.iter().map(target).collect();
    let files: Vec<String> = names.iter().map(|name| format!(r#""{name}": "{name}""#)).collect();
    let all = format!(r#""all": {{"type": "install", "files": {{{}}}}}"#, files.join(", "));
    workspace.file("TARGETS", format!("{{{}, {all}}}", targets.join(", ")));
    workspace.file("h.txt", "1\n");
    let some: Vec<&str> = names[..19].iter().map(String::as_str).collect();
    workspace.run(&taut(), [&["build", "--no-trace"], &some[..]].concat()).exits(0);
    workspace.file("h.txt", "2\n");
    workspace.run(&taut(), ["build", "all"]).exits(0);
    workspace.file("h.txt", "1\n");
    workspace.run(&taut(), ["build", "all"]).exits(0);
    workspace
}

#[test]
fn what_ran_because_of_a_source_is_not_hidden_by_what_came_from_the_cache() {
    let workspace = one_of_many_ran();
    let because = r#"
The source file h.txt changed. Because of that
  20 actions were invalidated:
    action %ID (:t19#0: t19)
"#;
    let short = explained(&workspace, &["h.txt"]);
    has(&short, &format!("{}\n    and 19 actions from cache: -v shows which\n", because.trim()));
    let long = explained(&workspace, &["h.txt", "-v"]);
    has(&long, because);
    assert_eq!(long.matches(", from cache\n").count(), 19, "{long}");
    assert!(!long.contains("-v shows which"), "{long}");
}

#[test]
fn of_the_actions_of_a_target_those_that_ran_come_first() {
    let workspace = Workspace::new();
    let rules = r#"{"many": {"string_fields": ["names"], "target_fields": ["srcs"],
      "expression": {"type": "let*", "bindings": [
         ["in", {"type": "map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "srcs"},
            "body": {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}],
         ["out", {"type": "map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "names"},
            "body": {"type": "ACTION", "outs": [{"type": "var", "name": "_"}], "inputs": {"type": "var", "name": "in"},
               "cmd": ["cp", "h.txt", {"type": "var", "name": "_"}]}}}]],
       "body": {"type": "RESULT", "artifacts": {"type": "var", "name": "out"}}}}}"#;
    workspace.file("RULES", rules);
    let build = |content: &str, count: usize| {
        let names: Vec<String> = (0..count).map(|at| format!("o{at}")).collect();
        workspace.file("h.txt", content);
        workspace.file(
            "TARGETS",
            format!(r#"{{"t": {{"type": "many", "names": {names:?}, "srcs": ["h.txt"]}}}}"#),
        );
        workspace.run(&taut(), ["build", "t"]).exits(0);
    };
    build("1", 20);
    build("2", 20);
    // Of two, neither of which is the first one by accident.
    build("1", 22);
    let text = explained(&workspace, &["t"]);
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("Action ")).collect();
    let ran = lines.iter().filter(|line| line.contains(" ran")).count();
    assert_eq!((lines.len(), ran), (12, 2), "{text}");
    assert!(lines[..2].iter().all(|line| line.contains(" ran")), "{text}");
    has(&text, "And 10 more actions");
    let text = explained(&workspace, &["t", "-v"]);
    assert_eq!(text.lines().filter(|line| line.starts_with("Action ")).count(), 22, "{text}");
}

#[test]
fn of_many_targets_of_a_build_the_first_ones_are_named() {
    let workspace = Workspace::new();
    let targets = |count: usize| -> Vec<String> {
        (0..count)
            .map(|at| format!(r#""t{at:03}": {{"type": "file_gen", "name": "t{at:03}", "data": "1"}}"#))
            .collect()
    };
    workspace.file("TARGETS", format!("{{{}}}", targets(200).join(", ")));
    workspace.run(&taut(), ["build", "..."]).exits(0);
    let text = explained(&workspace, &["t001"]);
    let first = text.lines().next().unwrap();
    assert!(
        first.starts_with(
            "Last build with work to do: build :t000, :t001, :t002, :t003, :t004 and 195 more targets, "
        ),
        "{first}"
    );
}

const CHAIN: &str = r#"{
  "d": {"type": "generic", "outs": ["d.out"], "deps": ["c"], "cmds": ["cp c.out d.out"]},
  "c": {"type": "generic", "outs": ["c.out"], "deps": ["b"], "cmds": ["false"]},
  "b": {"type": "generic", "outs": ["b.out"], "deps": ["b.txt"], "cmds": ["cp b.txt b.out"]}
}"#;

/// A build of `c` or `d`, which fails, after one of `b`.
fn failed(target: &str) -> Workspace {
    let workspace = Workspace::new();
    workspace.file("TARGETS", CHAIN).file("b.txt", "1\n");
    workspace.run(&taut(), ["build", "b"]).exits(0);
    workspace.file("b.txt", "2\n");
    workspace.run(&taut(), ["build", target]).exits(1);
    workspace
}

const FROM_LOGS_ALONE: &str =
    "The description as it is now cannot be analysed: what follows is from event logs alone.";

#[test]
fn an_error_in_the_description_since_the_build_hides_no_explanation() {
    let because = r#"
The event log names 1 action of it.
Action %ID (:b#0: b.out) ran:
  since the source file b.txt changed"#;
    for broken in ["{", &CHAIN.replace("[\"b\"]", "[\"b\", \"nowhere\"]")] {
        let workspace = failed("d");
        has(&explained(&workspace, &["b"]), &because[because.find("Action").unwrap()..]);
        workspace.file("TARGETS", broken);
        workspace.run(&taut(), ["build", "c"]).exits(8);
        let b = explained(&workspace, &["b"]);
        has(&b, FROM_LOGS_ALONE);
        has(&b, because);
        has(&explained(&workspace, &["c"]), r#"Action %ID (:c#0) ran, and failed:"#);
        // It has no line of its own, but a reason.
        let d = explained(&workspace, &["d"]);
        has(&d, r#"Action %ID (:d#0) was scheduled but not started:"#);
        let call = explained(&workspace, &[]);
        assert!(call.starts_with(&d), "what the call was for: {call}");
        // What that target depends on, and the cause of the failure first.
        has(&call, "2 actions of other targets ran.\nAction %ID (:c#0) ran, and failed:");
        has(&explained(&workspace, &["b.out"]), r#"(:b#0: b.out) ran:"#);
        has(&explained(&workspace, &["b.txt"]), "The source file b.txt changed.");
        let unknown = workspace.run(&taut(), ["explain", "e"]).exits(1).stdout;
        has(
            &unknown,
            r#"No event log names target :e, nor e. If the build had it, nothing was done for it."#,
        );
    }
}

#[test]
fn a_target_that_is_defined_differently_since_is_explained_as_it_was() {
    let workspace = failed("c");
    workspace.file("TARGETS", CHAIN.replace("cp b.txt b.out", "cat b.txt > b.out"));
    let b = explained(&workspace, &["b"]);
    assert!(!b.contains(FROM_LOGS_ALONE), "{b}");
    has(
        &b,
        r#"
The event log names 1 action of it.
Action %ID (:b#0: b.out), which is no longer defined, ran:
  since the source file b.txt changed"#,
    );
    workspace.file("TARGETS", r#"{"c": {"type": "install"}}"#);
    has(&explained(&workspace, &["b"]), r#"Action %ID (:b#0: b.out), which is no longer defined, ran:"#);
}

#[test]
fn replayed_actions_are_known_from_earlier_logs_if_the_description_was_broken_since() {
    let workspace = Workspace::new();
    workspace.file(
        "TARGETS",
        CHAIN.replace("\"b\"]", "\"b\", \"c.txt\"]").replace("false", "cat b.out c.txt > c.out"),
    );
    workspace.file("b.txt", "1\n").file("c.txt", "1\n");
    workspace.run(&taut(), ["build", "c"]).exits(0);
    workspace.file("c.txt", "2\n");
    workspace.run(&taut(), ["build", "d"]).exits(0);
    workspace.file("c.txt", "3\n");
    workspace.run(&taut(), ["build", "d"]).exits(0);
    workspace.file("TARGETS", "{");
    for word in ["b", "b.out"] {
        has(
            &explained(&workspace, &[word]),
            r#"
Action %ID (:b#0: b.out) did not run: its recorded run was replayed, since none of its inputs changed."#,
        );
    }
}

/// A target that only collects has no reasons of its own: the answer leads to those of what ran.
#[test]
fn a_requested_target_without_actions_leads_to_what_ran_below() {
    let workspace = project();
    build(&workspace, &[]);
    let below = "It defines no action. 3 actions of other targets ran: explain without a target shows them.";
    has(&explained(&workspace, &["all"]), below);
    assert!(!explained(&workspace, &[]).contains("It defines no action"));
    assert!(!explained(&workspace, &["sample"]).contains("It defines no action"));
}
