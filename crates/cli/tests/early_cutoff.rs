//! Early cutoff: which targets are analysed and which actions run after an edit.
//!
//! Every call is a `build`. The counts are those of `explain` for the last build with work to do, if there was one
//! since the call before.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use taut_testkit::{Tool, Workspace};

const TARGETS: &str = r#"{
  "all": {"type": "install", "files": {"cat": "cat", "exp": "exp", "one": "one", "two": "two", "mod": ["sub", "made"]}},
  "cat": {"type": "generic", "outs": ["cat"], "deps": [["GLOB", null, "*.txt"]], "cmds": ["cat *.txt > cat"]},
  "exp": {"type": "export", "target": "inner", "doc": ["an export"], "flexible_config": ["V"],
    "config_doc": {"V": ["a word"]}},
  "inner": {"type": "configure", "target": "v", "doc": ["in between"]},
  "v": {"type": "generic", "outs": ["v"], "arguments_config": ["V"],
    "cmds": [{"type": "join", "$1": ["echo ", {"type": "var", "name": "V", "default": "none"}, " > v"]}]},
  "one": {"type": "lib", "name": ["one"], "srcs": ["a.txt"]},
  "two": {"type": "lib", "name": ["two"], "srcs": ["sub/b.dat"]},
  "unrequested": {"type": "lib", "name": ["unrequested"], "srcs": ["a.txt"]}
}"#;

const MODULE: &str = r#"{"made": {"type": "install", "files": {"made": "implicit.dat"}}}"#;

const RULES: &str = r#"{
  "lib": {"doc": ["a library"], "field_doc": {"name": ["its name"]}, "artifacts_doc": ["one file"],
    "string_fields": ["name"], "target_fields": ["srcs"], "imports": {"e": "ending"},
    "expression": {"type": "let*", "bindings": [
      ["in", {"type": "map_union", "$1": {"type": "foreach", "var": "s", "range": {"type": "FIELD", "name": "srcs"},
        "body": {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "s"}}}}],
      ["name", {"type": "join", "$1": {"type": "FIELD", "name": "name"}}]],
    "body": {"type": "RESULT", "artifacts": {"type": "ACTION", "outs": [{"type": "var", "name": "name"}],
      "inputs": {"type": "var", "name": "in"}, "cmd": ["sh", "-c", {"type": "join", "$1":
        ["find . -type f | xargs cat > ", {"type": "var", "name": "name"}, {"type": "CALL_EXPRESSION", "name": "e"}]}]}}}},
  "unused": {"expression": {"type": "RESULT"}}
}"#;

const EXPRESSIONS: &str = r#"{
  "ending": {"doc": ["what commands end with"], "vars": ["Z"], "vars_doc": {"Z": ["not used"]}, "expression": "; true"},
  "unused": {"expression": null}
}"#;

struct Project {
    workspace: Workspace,
    taut: Tool,
}

/// What a call did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Did {
    Nothing,
    /// This many targets were analysed, and this many actions ran.
    Work(usize, usize),
}

use Did::{Nothing, Work};

impl Project {
    fn new() -> Project {
        let workspace = Workspace::new();
        workspace.file("TARGETS", TARGETS).file("RULES", RULES).file("EXPRESSIONS", EXPRESSIONS);
        workspace.file("sub/TARGETS", MODULE).file("sub/b.dat", "b\n").file("sub/implicit.dat", "i\n");
        workspace.file("a.txt", "a\n").file("c.txt", "c\n");
        let project = Project { workspace, taut: Tool::at(env!("CARGO_BIN_EXE_taut")) };
        assert_eq!(project.build(), Work(13, 4));
        assert_eq!(project.build(), Nothing);
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.workspace.root().join(name)
    }

    /// The logs of calls with work to do.
    fn logs(&self) -> Vec<PathBuf> {
        let below =
            |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        let logs =
            below(self.workspace.build_root().join("taut")).flat_map(|epoch| below(epoch.join("events")));
        let mut logs: Vec<PathBuf> =
            logs.filter(|log| log.to_string_lossy().ends_with("-work.jsonl")).collect();
        logs.sort();
        logs
    }

    #[track_caller]
    fn build_with(&self, more: &[&str]) -> Did {
        self.call(0, more)
    }

    #[track_caller]
    fn call(&self, code: i32, more: &[&str]) -> Did {
        let before = self.logs();
        self.workspace.run(&self.taut, [&["build", "all", "--log-limit", "1"], more].concat()).exits(code);
        if self.logs() == before {
            return Nothing;
        }
        let explained = self.workspace.run(&self.taut, ["explain", "all"]).stdout;
        let counts = explained.lines().nth(1).unwrap_or_default();
        let number = |text: &str| text.split(' ').next().and_then(|word| word.parse().ok()).expect("a count");
        let (targets, rest) = counts.split_once(" analysed, ").expect(counts);
        Work(number(targets), number(rest))
    }

    #[track_caller]
    fn build(&self) -> Did {
        self.build_with(&[])
    }

    /// Replaces a text, which is there, in a file.
    #[track_caller]
    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{from} is in {name}");
        self.workspace.file(name, text.replacen(from, to, 1));
    }

    fn git(&self, words: &[&str]) -> bool {
        let mut git = Command::new("git");
        git.current_dir(self.workspace.root()).env("HOME", self.workspace.root());
        git.args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=first"]).args(words);
        git.output().is_ok_and(|output| output.status.success())
    }
}

fn touch(path: &Path) {
    let file = fs::File::open(path).unwrap();
    file.set_modified(std::time::SystemTime::now()).unwrap();
}

#[test]
fn an_edit_without_effect_on_the_request_analyses_and_runs_nothing() {
    let project = Project::new();
    for name in ["a.txt", "TARGETS", "sub/TARGETS", "RULES", "EXPRESSIONS", "sub", "sub/implicit.dat", ""] {
        touch(&project.path(name));
        assert_eq!(project.build(), Nothing, "{name} is touched");
    }
    // The same content in another file.
    fs::copy(project.path("TARGETS"), project.path("copy")).unwrap();
    fs::rename(project.path("copy"), project.path("TARGETS")).unwrap();
    assert_eq!(project.build(), Nothing);
    for name in ["TARGETS", "sub/TARGETS", "RULES", "EXPRESSIONS"] {
        let text = fs::read_to_string(project.path(name)).unwrap();
        project.workspace.file(name, text.replace(": {", " :\n {\t").replace("\"cat\"", "\"c\\u0061t\""));
        assert_eq!(project.build(), Nothing, "{name} is formatted");
    }
    project.edit("TARGETS", "\"unrequested\"]", "\"unrequested too\"]");
    assert_eq!(project.build(), Nothing, "a target that was not requested");
    project.edit("TARGETS", "{", r#"{"more": {"type": "no such rule"},"#);
    assert_eq!(project.build(), Nothing, "a new target that was not requested");
    project.workspace.file("sub/other", "not matched, and in another directory\n");
    assert_eq!(project.build(), Nothing);
}

#[test]
fn comments_and_trailing_commas_invalidate_no_target() {
    let project = Project::new();
    for name in ["TARGETS", "sub/TARGETS", "RULES", "EXPRESSIONS"] {
        let text = fs::read_to_string(project.path(name)).unwrap();
        project.workspace.file(name, format!("// {name}\n{}", text.replace("]", "/* the last */,]")));
        assert_eq!(project.build(), Nothing, "{name} has comments");
        project.edit(name, "// ", "// another remark on ");
        assert_eq!(project.build(), Nothing, "a comment in {name} changes");
    }
    project.edit("TARGETS", "\"cat *.txt > cat\"", "/* all */ \"cat *.txt > cat # all\"");
    assert_eq!(project.build(), Work(2, 1), "a change beside a comment");
}

#[test]
fn documentation_fields_invalidate_no_target() {
    let project = Project::new();
    for (name, from, to) in [
        ("TARGETS", "an export", "an exported target"),
        ("TARGETS", "\"config_doc\": {\"V\": [\"a word\"]}", "\"config_doc\": {}"),
        ("TARGETS", ", \"doc\": [\"in between\"]", ""),
    ] {
        project.edit(name, from, to);
        assert_eq!(project.build(), Nothing, "{from}");
    }
    for (name, from, to) in [
        ("RULES", "a library", "a small library"),
        ("RULES", "its name", "the name"),
        ("RULES", ", \"artifacts_doc\": [\"one file\"]", ""),
        ("EXPRESSIONS", "what commands end with", "an ending"),
        ("EXPRESSIONS", "not used", "never used"),
        ("RULES", "\"unused\"", "\"unused still\""),
        ("EXPRESSIONS", "\"unused\"", "\"unused still\""),
    ] {
        project.edit(name, from, to);
        let did = project.build();
        assert!(matches!(did, Nothing | Work(0, 0)), "{from}: {did:?}");
    }
}

#[test]
fn a_change_invalidates_only_dependents_whose_inputs_differ() {
    let project = Project::new();
    project.edit("TARGETS", "cat *.txt > cat", "cat ./*.txt > cat");
    assert_eq!(project.build(), Work(2, 1), "a definition, and the target that installs it");
    project.edit("TARGETS", r#"["cat ./*.txt > cat"]"#, r#"{"type": "'", "$1": ["cat ./*.txt > cat"]}"#);
    assert_eq!(project.build(), Work(1, 0), "a definition that comes to the same");
    project.edit("EXPRESSIONS", "; true", ";  true");
    assert_eq!(
        project.build(),
        Work(3, 2),
        "an expression: the targets of the rule, and the target that installs them"
    );
    project.edit("EXPRESSIONS", "\";  true\"", r#"{"type": "join", "$1": [";  ", "true"]}"#);
    assert_eq!(project.build(), Work(2, 0), "an expression that comes to the same");
    project.edit("RULES", "xargs cat", "xargs cat /dev/null");
    assert_eq!(project.build(), Work(3, 2), "a rule");
    // The actions see the same contents before the last of them.
    project.workspace.file("a.txt", "A\n");
    assert_eq!(project.build(), Work(0, 2), "a source of two actions");
    project.workspace.file("sub/b.dat", "B\n");
    assert_eq!(project.build(), Work(0, 1), "a source of one action");
    project.workspace.file("sub/implicit.dat", "I\n");
    assert_eq!(project.build(), Nothing, "a source that is installed as it is");
}

#[test]
fn new_and_removed_files_invalidate_what_reads_their_names() {
    let project = Project::new();
    project.workspace.file("b.txt", "b\n");
    assert_eq!(
        project.build(),
        Work(3, 1),
        "a file that a pattern finds: the pattern, the file, the dependent of the pattern"
    );
    project.workspace.remove("b.txt");
    assert_eq!(project.build(), Nothing, "as it was");
    project.workspace.remove("sub/implicit.dat");
    let error = project.workspace.run(&project.taut, ["build", "all"]).exits(8).stderr;
    assert!(error.contains("implicit.dat"), "{error}");
    project.workspace.file("sub/implicit.dat", "i\n");
    assert_eq!(project.build(), Nothing, "as it was");
    // A source file becomes a target, and is one again.
    project.edit(
        "sub/TARGETS",
        "{",
        r#"{"implicit.dat": {"type": "file_gen", "name": "implicit.dat", "data": "made"},"#,
    );
    assert_eq!(
        project.build(),
        Work(3, 0),
        "the name, the other target of the module, and the target that installs that"
    );
    let made = project.workspace.run(&project.taut, ["build", "all", "-P", "mod"]).exits(0);
    assert_eq!(made.stdout, "made");
    project.workspace.file("sub/TARGETS", MODULE);
    assert_eq!(project.build(), Nothing, "as it was");
}

#[test]
fn a_new_targets_file_makes_its_directory_a_module() {
    let workspace = Workspace::new();
    let taut = Tool::at(env!("CARGO_BIN_EXE_taut"));
    workspace
        .file("TARGETS", r#"{"all": {"type": "install", "files": {"x": ["sub", "x"]}}}"#)
        .file("sub/x", "source\n");
    let build = |code, stdout: &str| {
        let ran = workspace.run(&taut, ["build", "all", "-P", "x"]).exits(code);
        assert_eq!(ran.stdout, stdout, "{}", ran.stderr);
    };
    for _ in 0..2 {
        build(8, "");
        workspace.file("sub/TARGETS", "{}");
        build(0, "source\n");
        workspace.file("sub/TARGETS", r#"{"x": {"type": "file_gen", "name": "x", "data": "target"}}"#);
        build(0, "target");
        workspace.remove("sub/TARGETS");
    }
    // The working directory decides which module has the target that a word names.
    let inner = |text: &str| {
        let mut command = taut.command(&workspace.root().join("sub"));
        command.args(["analyse", "inner", "--local-build-root"]).arg(workspace.build_root());
        let stderr = String::from_utf8(command.output().unwrap().stderr).unwrap();
        assert!(stderr.contains(text), "{stderr}");
    };
    // The root module is meant, which has no such target.
    inner("no target or file \"inner\" in the root module");
    workspace.file("sub/TARGETS", r#"{"inner": {"type": "install"}}"#);
    inner("Result of target sub:inner: {");
}

#[test]
fn returning_to_an_earlier_configuration_or_branch_runs_nothing() {
    let project = Project::new();
    let has_git = project.git(&["init", "-q"]);
    assert!(matches!(project.build(), Nothing | Work(1, 0)), "patterns look at the new directory");
    let one = &["-D", r#"{"V": "1"}"#][..];
    assert_eq!(project.build_with(one), Work(4, 1), "v, and those it goes through: inner, exp, all");
    for config in [&[], one, &["-D", r#"{"V": null}"#], &["-D", r#"{"UNUSED": 1}"#], one, &[]] {
        assert_eq!(project.build_with(config), Nothing, "{config:?}");
    }
    if !has_git {
        return;
    }
    assert!(project.git(&["add", "-A"]) && project.git(&["commit", "-q", "-m", "first"]));
    assert!(project.git(&["checkout", "-q", "-b", "second"]));
    project.edit("RULES", "xargs cat", "xargs cat /dev/null");
    project.edit("TARGETS", "echo ", "echo second ");
    project.workspace.file("a.txt", "second\n").file("d.txt", "second\n");
    assert!(project.git(&["mv", "sub", "sub2"]) && project.git(&["add", "-A"]));
    project.edit("TARGETS", "[\"sub\", \"made\"]", "[\"sub2\", \"made\"]");
    project.edit("TARGETS", "sub/b.dat", "sub2/b.dat");
    assert!(project.git(&["commit", "-q", "-a", "-m", "second"]));
    assert!(matches!(project.build(), Work(_, 4)));
    for branch in ["first", "second", "first", "second"] {
        assert!(project.git(&["checkout", "-q", branch]));
        assert_eq!(project.build(), Nothing, "{branch}");
        assert_eq!(project.build_with(&["-D", r#"{"UNUSED": 1}"#]), Nothing, "{branch}");
    }
}

#[test]
fn another_version_of_taut_analyses_everything_again_and_uses_the_action_cache() {
    let mut project = Project::new();
    let other = project.workspace.beside("other-taut");
    // By a process of its own: while this one writes a program, a fork of another test keeps it open for a moment.
    assert!(Command::new("cp").args([project.taut.path(), &other]).status().unwrap().success());
    let this = std::mem::replace(&mut project.taut, Tool::at(other));
    assert_eq!(project.build(), Work(13, 0));
    assert_eq!(project.build(), Nothing);
    project.taut = this;
    assert_eq!(project.build(), Nothing);
}
