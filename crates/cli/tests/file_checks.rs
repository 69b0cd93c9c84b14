//! Each file is checked at most once in a call: one `stat`, and no open unless it changed. `sys` logs its system calls
//! (`TAUT_TEST_CALLS`), and they are counted for each file, for every way to make the call, for edits, and with several
//! recorded runs.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, SystemTime},
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use taut_testkit::{Tool, Workspace, processed};

const MODULES: usize = 4;
const TARGETS: usize = 10;

/// How long ago a change has to be for evidence of it to be trusted: longer than `sys` demands.
const MARGIN: Duration = Duration::from_millis(2_300);

/// Waits until the last change is old enough.
fn settle() {
    thread::sleep(MARGIN);
}

/// How often a call accessed a path.
#[derive(Clone, Copy, Default, Debug)]
struct Checks {
    /// `stat` of a name.
    stats: usize,
    /// Opened, or listed.
    opens: usize,
}

/// Unchanged files.
const ONCE: Checks = Checks { stats: 1, opens: 0 };

/// Files that are read: `stat` to compare evidence, to find the kind, after reading, and when the task takes the
/// content; opened for reading, and, since they changed in the last minute, to have the system write them back, so that
/// later writes through a mapping change their times.
const READ: Checks = Checks { stats: 4, opens: 2 };

/// Forty targets in four modules, each with a source of its own and one of each module with a variable; and one above
/// all.
struct Project(Workspace);

/// A target that reads its source and the targets before it.
fn target(module: usize, number: usize) -> String {
    let own = format!("s{number}");
    let mut deps = vec![format!("{own:?}")];
    if number > 1 {
        deps.push(format!("\"t{}\", \"t{}\"", number - 1, number - 2));
    }
    if module > 0 {
        deps.push(format!("[\"m{}\", \"t{number}\"]", module - 1));
    }
    let variable = if number == 3 {
        r#", "arguments_config": ["V"], "env": {"type": "singleton_map", "key": "V", "value": {"type": "var", "name": "V", "default": "0"}}"#
    } else {
        ""
    };
    let command = format!("(cat s{number}; echo $V) > o{number}.{module}");
    format!(
        r#""t{number}": {{"type": "generic", "outs": ["o{number}.{module}"], "deps": [{}], "cmds": ["{command}"]{variable}}}"#,
        deps.join(", ")
    )
}

fn module(module: usize, targets: usize) -> String {
    let all: Vec<String> = (0..targets).map(|number| target(module, number)).collect();
    format!("{{{}}}", all.join(",\n"))
}

/// A target of so many targets of each module.
fn all(targets: [usize; MODULES]) -> String {
    let names = targets.into_iter().enumerate().flat_map(|(module, targets)| {
        (0..targets).map(move |target| format!(r#""{module}.{target}": ["m{module}", "t{target}"]"#))
    });
    let files: Vec<String> = names.collect();
    format!(r#"{{"all": {{"type": "install", "files": {{{}}}}}}}"#, files.join(", "))
}

impl Project {
    fn new() -> Project {
        let workspace = Workspace::new();
        for number in 0..MODULES {
            workspace.file(&format!("m{number}/TARGETS"), module(number, TARGETS));
            for own in 0..TARGETS {
                workspace.file(&format!("m{number}/s{own}"), format!("{number} {own}\n"));
            }
        }
        workspace.file("TARGETS", all([TARGETS; MODULES]));
        settle();
        Project(workspace)
    }

    /// The same, built.
    fn built() -> Project {
        let project = Project::new();
        project.call(&[]);
        project
    }

    fn calls(&self) -> PathBuf {
        self.0.beside("calls")
    }

    /// A call that is logged.
    fn command(&self, directory: &Path, words: &[&str]) -> Command {
        self.command_about(&["", "all"], directory, words)
    }

    /// The same about other targets.
    fn command_about(&self, targets: &[&str], directory: &Path, words: &[&str]) -> Command {
        let mut command = Tool::at(env!("CARGO_BIN_EXE_taut")).command(directory);
        command.args(["build", "--local-build-root"]).arg(self.0.build_root());
        command.args(["-J", "2"]).args(words).args(targets);
        let _ = fs::remove_file(self.calls());
        command.env("TAUT_TEST_CALLS", self.calls());
        command
    }

    /// The accesses of the last call to paths in the workspace.
    fn checks(&self) -> BTreeMap<String, Checks> {
        let mut checks: BTreeMap<String, Checks> = BTreeMap::new();
        let log = fs::read_to_string(self.calls()).unwrap();
        for line in log.lines() {
            let (by, rest) = line.split_once(' ').unwrap();
            let (op, path) = rest.split_once(' ').unwrap();
            let Ok(path) = Path::new(path).strip_prefix(self.0.root()) else { continue };
            let path = path.to_str().unwrap().to_owned();
            let is_place = self.0.root().join(&path).is_dir() && op == "open";
            // An attempt to open what is not there is a check of its absence.
            let is_absent = !self.0.root().join(&path).exists();
            match (by, op) {
                // Calls on open descriptors look no name up, and neither do directories that are only held open.
                ("descriptor", _) => {}
                _ if is_place || op == "resolve" => {}
                (_, op) if op == "stat" || is_absent => checks.entry(path).or_default().stats += 1,
                _ => checks.entry(path).or_default().opens += 1,
            }
        }
        // These are accessed to find the workspace.
        checks.retain(|path, _| !["", "ROOT"].contains(&&**path));
        checks
    }

    fn call(&self, words: &[&str]) -> String {
        self.call_in(&self.0.root(), words)
    }

    fn call_in(&self, directory: &Path, words: &[&str]) -> String {
        succeeds(self.command(directory, words), words)
    }

    /// A call about other targets.
    fn call_about(&self, targets: &[&str], directory: &Path) -> String {
        succeeds(self.command_about(targets, directory, &[]), targets)
    }

    /// Asserts that each source was checked, each path once, and that only paths in `read` were opened: those changed,
    /// or their targets are analysed again.
    #[track_caller]
    fn assert_checked_once_except(&self, read: &[&str]) {
        let checks = self.checks();
        for (path, Checks { stats, opens }) in &checks {
            let limit = if read.contains(&&**path) { READ } else { ONCE };
            assert!(*stats <= limit.stats && *opens <= limit.opens, "{path}: {stats} stats, {opens} opens");
        }
        for path in self.sources() {
            assert!(checks.contains_key(&path), "{path} was not checked");
        }
    }

    /// All source files.
    fn sources(&self) -> Vec<String> {
        let all = (0..MODULES).flat_map(|module| {
            let entries = fs::read_dir(self.0.root().join(format!("m{module}"))).into_iter().flatten();
            entries.map(move |entry| format!("m{module}/{}", entry.unwrap().file_name().to_str().unwrap()))
        });
        all.filter(|path| path.contains("/s")).collect()
    }

    /// Makes a call, and asserts that it checked each path once and opened none.
    #[track_caller]
    fn call_checking_once(&self, words: &[&str]) -> String {
        let stderr = self.call(words);
        self.assert_checked_once_except(&[]);
        stderr
    }
}

#[test]
fn a_null_build_checks_each_file_once_for_every_way_to_call_it() {
    let project = Project::built();
    let diagnostics = project.0.beside("diagnostics").display().to_string();
    let profile = project.0.beside("profile").display().to_string();
    for words in [
        &[][..],
        &["--profile", &profile],
        &["--diagnostics", &diagnostics],
        &["--expression-log-limit", "50"],
        &["--log-limit", "5"],
        &["--plain-log"],
        &["--color", "always"],
    ] {
        let stderr = project.call_checking_once(words);
        assert!(processed(&stderr) == Some((40, 40)), "{words:?}: {stderr}");
    }
    project.call_in(&project.0.root().join("m1"), &[]);
    project.assert_checked_once_except(&[]);
    let stderr = on_terminal(project.command(&project.0.root(), &[]));
    assert!(processed(&stderr) == Some((40, 40)), "{stderr}");
    project.assert_checked_once_except(&[]);
}

/// What a call that succeeds prints.
#[track_caller]
fn succeeds(mut command: Command, words: &[&str]) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words:?}: {stderr}");
    stderr
}

/// What a call shows on a terminal.
fn on_terminal(mut command: Command) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let end = fs::File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let mut child = command.stderr(end).spawn().unwrap();
    // The end that it inherited is the only one left, so that reading ends with it.
    drop(command);
    let (mut shown, mut terminal) = (Vec::new(), fs::File::from(terminal));
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = terminal.read(&mut buffer) {
        shown.extend(&buffer[..read]);
    }
    assert!(child.wait().unwrap().success());
    String::from_utf8_lossy(&shown).into_owned()
}

#[test]
fn other_execution_options_open_no_file() {
    let project = Project::built();
    for words in [
        &["--remote-execution-property", "a:b"][..],
        &["--local-launcher", r#"["env"]"#],
        &["--action-timeout", "100"],
    ] {
        let stderr = project.call_checking_once(words);
        assert!(processed(&stderr).is_some_and(|(all, _)| all == 40), "{words:?}: {stderr}");
    }
    project.call_checking_once(&[]);
}

#[test]
fn an_edited_file_is_read_once_and_all_others_are_checked_once() {
    let project = Project::built();
    let edited = "m1/s3";
    let path = project.0.root().join(edited);

    fs::File::options().write(true).open(path).unwrap().set_modified(SystemTime::now()).unwrap();
    settle();
    let stderr = project.call(&[]);
    assert!(processed(&stderr) == Some((40, 40)), "{stderr}");
    project.assert_checked_once_except(&[edited]);
    project.call_checking_once(&[]);

    project.0.file(edited, "edited\n");
    settle();
    let stderr = project.call(&[]);
    assert!(processed(&stderr).is_some_and(|(_, hits)| hits < 40), "{stderr}");
    project.assert_checked_once_except(&[edited]);
    project.call_checking_once(&[]);

    // A file that changed shortly before it was read is read once more.
    project.0.file(edited, "edited again\n");
    project.call(&[]);
    assert_eq!(project.checks()[edited].opens, READ.opens);
    settle();
    project.call(&[]);
    project.assert_checked_once_except(&[edited]);
    project.call_checking_once(&[]);

    // A target and its source are added: their directory and the descriptions changed.
    project.0.file("m0/s10", "new\n").file("m0/TARGETS", module(0, TARGETS + 1));
    project.0.file("TARGETS", all([TARGETS + 1, TARGETS, TARGETS, TARGETS]));
    settle();
    let stderr = project.call(&[]);
    assert!(processed(&stderr) == Some((41, 40)), "{stderr}");
    project.assert_checked_once_except(&["m0", "m0/s10", "m0/TARGETS", "TARGETS"]);
    project.call_checking_once(&[]);
}

/// All descriptions.
const DESCRIPTIONS: [&str; 5] = ["TARGETS", "m0/TARGETS", "m1/TARGETS", "m2/TARGETS", "m3/TARGETS"];

/// What words mean depends on the files of the workspace, which are checked once for this and for analysis.
#[test]
fn words_whose_meaning_depends_on_files_check_each_of_them_once() {
    let project = Project::built();
    let root = project.0.root();
    let ways: [(&[&str], &str); 9] = [
        (&[], ""),
        (&["..."], "m1"),
        (&["//..."], "m2"),
        (&["m0/...", "m1/...", "m2/...", "m3/..."], ""),
        (&[":all"], "m3"),
        (&["//:all"], ""),
        (&["m3:t9", ":all"], ""),
        (&["all"], ""),
        (&["all", "m2/s3"], ""),
    ];
    for (words, here) in ways {
        let here = root.join(here);
        project.call_about(words, &here);
        project.call_about(words, &here);
        project.assert_checked_once_except(&[]);
    }
    // An edited source is read, and nothing else.
    project.0.file("m1/s3", "edited\n");
    settle();
    for (words, here) in ways {
        project.call_about(words, &root.join(here));
        project.assert_checked_once_except(&["m1/s3"]);
        project.call_about(words, &root.join(here));
        project.assert_checked_once_except(&[]);
    }
    // A module that is added belongs to what patterns mean; of the others, no description is read.
    project.0.file("m4/deep/TARGETS", r#"{"new": {"type": "file_gen", "name": "new", "data": "new"}}"#);
    settle();
    let stderr = project.call_about(&["-v", "..."], &root);
    assert!(stderr.contains("  new ["), "{stderr}");
    project.assert_checked_once_except(&["m4/deep/TARGETS", "m4/deep", "m4", ""]);
    project.call_about(&["..."], &root);
    project.assert_checked_once_except(&[]);
    // One that is removed does not.
    std::fs::remove_file(root.join("m4/deep/TARGETS")).unwrap();
    settle();
    let stderr = project.call_about(&["-v", "..."], &root);
    assert!(!stderr.contains("  new ["), "{stderr}");
}

#[test]
fn recorded_runs_of_four_configurations_check_each_file_once() {
    let project = Project::built();
    for round in 0..3 {
        for value in 0..4 {
            let configuration = format!(r#"{{"V": "{value}"}}"#);
            project.call(&["-D", &configuration]);
            // In a new configuration, targets are analysed.
            let read = if round == 0 { &DESCRIPTIONS[..] } else { &[] };
            project.assert_checked_once_except(read);
        }
    }
}

#[test]
fn recorded_runs_of_four_branches_check_each_file_once() {
    let project = Project::built();
    let changed = ["m0/TARGETS", "m1/s3", "m2/s7"];
    for round in 0..2 {
        for branch in 0..4 {
            project.0.file("m0/TARGETS", module(0, TARGETS).replace("echo $V", &format!("echo {branch}")));
            project.0.file("m1/s3", format!("{branch}\n")).file("m2/s7", format!("{branch}\n"));
            settle();
            let stderr = project.call(&[]);
            let mut read = changed.to_vec();
            if round == 0 {
                // What depends on a changed target is analysed anew.
                read.extend(DESCRIPTIONS);
            } else {
                assert!(processed(&stderr) == Some((40, 40)), "{branch}: {stderr}");
            }
            project.assert_checked_once_except(&read);
            project.call_checking_once(&[]);
        }
    }
}

/// How deep the node is.
const LEVELS: usize = 300;

/// A node of a source and the node below it, which is so again.
const NODES: &str = r#"
{ "describe":
  { "target_fields": ["srcs"]
  , "expression": {"type": "RESULT", "provides": {"type": "singleton_map", "key": "nodes", "value":
      [{ "type": "foldl", "range": {"type": "FIELD", "name": "srcs"}
       , "start": {"type": "ABSTRACT_NODE", "node_type": "n"}
       , "body": {"type": "ABSTRACT_NODE", "node_type": "n", "target_fields": {"type": "map_union", "$1":
           [ {"type": "singleton_map", "key": "srcs", "value": [{"type": "VALUE_NODE", "$1":
               {"type": "RESULT", "artifacts": {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}]}
           , {"type": "singleton_map", "key": "deps", "value": [{"type": "var", "name": "$1"}]}]}}}]}}}
, "n":
  { "target_fields": ["deps", "srcs"]
  , "expression":
    { "type": "let*"
    , "bindings":
      [ ["below", {"type": "disjoint_map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "deps"}, "body":
          {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}]
      , ["own", {"type": "disjoint_map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "srcs"}, "body":
          {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}]]
    , "body": {"type": "RESULT", "artifacts": {"type": "ACTION", "outs": ["o"], "cmd": ["sh", "-c", "cat s* > o 2> /dev/null; true"]
      , "inputs": {"type": "map_union", "$1":
          [{"type": "var", "name": "own"}, {"type": "to_subdir", "subdir": "below", "$1": {"type": "var", "name": "below"}}]}}}}}
, "use":
  { "target_fields": ["deps"]
  , "anonymous": {"made": {"target": "deps", "provider": "nodes", "rule_map": {"n": "n"}}}
  , "expression": {"type": "RESULT", "artifacts": {"type": "DEP_ARTIFACTS", "dep":
      {"type": "[]", "index": 0, "list": {"type": "FIELD", "name": "made"}}}}}
}"#;

#[test]
fn a_node_of_hundreds_of_levels_needs_no_more_checks_than_a_target() {
    let workspace = Workspace::new();
    let sources: Vec<String> = (0..LEVELS).map(|level| format!("\"s{level}\"")).collect();
    for level in 0..LEVELS {
        workspace.file(&format!("m0/s{level}"), format!("{level}\n"));
    }
    let describe = format!(r#""describe": {{"type": ["", "describe"], "srcs": [{}]}}"#, sources.join(", "));
    workspace.file("RULES", NODES).file("m0/TARGETS", format!("{{{describe}}}"));
    workspace.file("TARGETS", r#"{"all": {"type": "use", "deps": [["m0", "describe"]]}}"#);
    settle();
    let project = Project(workspace);
    project.call(&[]);
    let expected = Some((LEVELS + 1, LEVELS + 1));
    let is_null = |stderr: &str| {
        assert_eq!(processed(stderr), expected, "{stderr}");
        project.assert_checked_once_except(&[]);
        assert!(project.checks()["RULES"].stats == 1);
    };
    is_null(&project.call(&[]));
    is_null(&on_terminal(project.command(&project.0.root(), &[])));
    is_null(&project.call_in(&project.0.root().join("m0"), &[]));
    let profile = project.0.beside("profile").display().to_string();
    is_null(&project.call(&["--profile", &profile]));
}
