//! `taut compile-commands`: the commands have the paths of the workspace, and compile there.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use taut_testkit::{Tool, ToolResult, Workspace};

fn run(workspace: &Workspace, words: &[&str]) -> ToolResult {
    workspace.run(&Tool::at(env!("CARGO_BIN_EXE_taut")), [&["compile-commands"], words].concat())
}

fn project() -> Workspace {
    let workspace = Workspace::new();
    workspace.file(
        "TARGETS",
        r#"{"app": {"type": ["@", "std", "cc", "binary"], "name": ["app"], "srcs": ["app.cc", "table"], "deps": [["lib", "shape"], "units"]},
           "table": {"type": ["@", "std", "", "genrule"], "outs": ["table.c", "table.h"],
             "cmds": ["echo '#define SIZE 3' > table.h", "echo '#include \"table.h\"' > table.c", "echo 'int size = SIZE;' >> table.c"]},
           "units": {"type": ["@", "std", "cc", "library"], "hdrs": ["units.h"], "include prefix": ["units"]}}"#,
    );
    workspace.file(
        "lib/TARGETS",
        r#"{"shape": {"type": ["@", "std", "cc", "library"], "name": ["shape"], "srcs": ["shape.cc"], "hdrs": ["inc/shape/shape.h"],
             "include dirs": ["inc"], "defines": ["SIDES=4"]}}"#,
    );
    workspace
        .file("app.cc", "#include <shape/shape.h>\n#include <units/units.h>\n#include \"table.h\"\nint main() { return area(SIZE) - UNIT; }\n")
        .file("units.h", "#define UNIT 12\n")
        .file("lib/inc/shape/shape.h", "int area(int a);\n")
        .file("lib/shape.cc", "#include <shape/shape.h>\nint area(int a) { return a * SIDES; }\n");
    workspace
}

fn commands(text: &str) -> Vec<(String, Vec<String>)> {
    let all: Value = serde_json::from_str(text).unwrap();
    let string = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |entry: &Value| {
        (string(&entry["file"]), entry["arguments"].as_array().unwrap().iter().map(string).collect())
    };
    all.as_array().unwrap().iter().map(of).collect()
}

/// Compiles as the commands say, without an output.
fn compile(root: &Path, commands: &[(String, Vec<String>)]) {
    for (file, arguments) in commands {
        let done = Command::new(&arguments[0])
            .args(&arguments[1..])
            .arg("-fsyntax-only")
            .current_dir(root)
            .output()
            .unwrap();
        assert!(done.status.success(), "{file}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

#[test]
fn files_of_the_workspace_compile_where_they_are() {
    let workspace = project();
    let ran = run(&workspace, &[]).exits(0);
    assert!(ran.stderr.contains("compile_commands.json: 3 commands\n"), "{}", ran.stderr);
    let root = workspace.root();
    let text = fs::read_to_string(root.join("compile_commands.json")).unwrap();
    let all = commands(&text);
    let root_text = root.display().to_string();
    let files: Vec<&str> = all.iter().map(|(file, _)| &**file).collect();
    assert!(files.contains(&&*format!("{root_text}/app.cc")), "{files:?}");
    assert!(files.contains(&&*format!("{root_text}/lib/shape.cc")), "{files:?}");
    for (_, arguments) in &all {
        let of_action = |word: &String| {
            ["-ffile-prefix-map", "-frandom-seed", "-o"].iter().any(|option| word.starts_with(option))
        };
        assert!(!arguments.iter().any(of_action), "{arguments:?}");
    }
    let (_, app) = all.iter().find(|(file, _)| file.ends_with("/app.cc")).unwrap();
    assert!(app.contains(&format!("{root_text}/lib/inc")), "{app:?}");
    assert!(app.contains(&"-DSIDES=4".to_owned()), "{app:?}");
    compile(&root, &all);
    // A header under another name is the one of the workspace.
    workspace.file("units.h", "#error changed\n");
    let views = workspace.build_root().join("compile-commands");
    let changed = fs::read_dir(views)
        .unwrap()
        .filter_map(|view| fs::read_to_string(view.unwrap().path().join(".include/units/units.h")).ok());
    assert!(changed.collect::<Vec<_>>().iter().all(|text| text == "#error changed\n"));
    // Again, it is the same, byte for byte.
    workspace.file("units.h", "#define UNIT 12\n");
    assert_eq!(run(&workspace, &["-o", "-"]).exits(0).stdout, text);
}

#[test]
fn a_directory_is_searched_once_however_many_directories_of_the_action_it_is() {
    let workspace = Workspace::new();
    workspace
        .file(
            "TARGETS",
            r#"{"p": {"type": ["@", "std", "cc", "binary"], "name": ["p"], "srcs": ["p.c"], "deps": ["l"]},
                "l": {"type": ["@", "std", "cc", "library"], "name": ["l"], "srcs": ["l.c"], "hdrs": ["l.h"],
                  "private hdrs": ["own.h"], "include dirs": ["."]}}"#,
        )
        .file("p.c", "#include <l.h>\nint main(void) { return L; }\n")
        .file("l.c", "#include <l.h>\n#include <own.h>\nint l = L + OWN;\n")
        .file("l.h", "#define L 0\n")
        .file("own.h", "#define OWN 0\n");
    let all = commands(&run(&workspace, &["-o", "-"]).exits(0).stdout);
    let root = workspace.root().display().to_string();
    for (file, arguments) in &all {
        let searched = arguments.windows(2).filter(|pair| pair[0] == "-I" && pair[1] == root).count();
        assert_eq!(searched, 1, "{file}: {arguments:?}");
    }
    assert_eq!(all.len(), 2);
    compile(&workspace.root(), &all);
}

#[test]
fn a_generated_header_is_new_after_the_next_call() {
    let workspace = project();
    run(&workspace, &["-o", "a.json"]).exits(0);
    let targets = fs::read_to_string(workspace.root().join("TARGETS")).unwrap();
    workspace.file("TARGETS", targets.replace("#define SIZE 3", "#define SIZE wrong"));
    let text = run(&workspace, &["-o", "-"]).exits(0).stdout;
    let is_change = |line: &Value| line["event"] == "cause" && line["why"] == "changed";
    assert!(events(&workspace).iter().any(is_change), "what was done again has its cause");
    let found = commands(&text);
    let (_, app) = found.iter().find(|(file, _)| file.ends_with("/app.cc")).unwrap();
    let generated = app.iter().find_map(|word| fs::read_to_string(Path::new(word).join("table.h")).ok());
    assert_eq!(generated.as_deref(), Some("#define SIZE wrong\n"));
}

fn below(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// The event log of the last call.
fn events(workspace: &Workspace) -> Vec<Value> {
    let epochs = below(&workspace.build_root().join("taut"));
    let last = epochs
        .flat_map(|epoch| below(&epoch.join("events")))
        .max_by_key(|path| path.file_name().map(ToOwned::to_owned));
    let text = fs::read_to_string(last.expect("a log")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_damaged_header_is_made_again_and_the_event_log_is_that_of_a_build() {
    let workspace = project();
    let text = run(&workspace, &["-o", "-"]).exits(0).stdout;
    let of_kind =
        |kind: &str| events(&workspace).into_iter().filter(|line| line["event"] == kind).collect::<Vec<_>>();
    let [action] = &of_kind("action")[..] else { panic!("{:?}", events(&workspace)) };
    let origin = action["origin"].as_str().unwrap().to_owned();
    assert!(origin.contains("\"table\""), "{origin}");
    assert_eq!(of_kind("summary")[0]["status"], "success");
    for kind in ["call", "analysis_began", "analysis_finished", "build_began", "build_finished"] {
        assert_eq!(of_kind(kind).len(), 1, "{kind}");
    }
    // "#define SIZE 3\n"; the view is removed, too, so that the object is needed.
    let store = workspace.build_root().join("protocol-dependent/generation-0/git-sha1/casf");
    let lost = below(&store)
        .flat_map(|path| below(&path))
        .find(|path| fs::read_to_string(path).is_ok_and(|text| text == "#define SIZE 3\n"));
    // Of the same size: it is noticed only when the object is read.
    let damaged = lost.expect("the header");
    fs::remove_file(&damaged).unwrap();
    fs::write(&damaged, "#define SIZE 4\n").unwrap();
    fs::remove_dir_all(workspace.build_root().join("compile-commands")).unwrap();
    let again = run(&workspace, &["-o", "-"]).exits(0);
    assert_eq!(again.stdout, text);
    let warning = "objects in the build root were lost or damaged: they are made again";
    assert_eq!(again.stderr.matches(warning).count(), 1, "{}", again.stderr);
    assert_eq!(of_kind("begun_anew").len(), 1);
    let [action] = &of_kind("action")[..] else { panic!("{:?}", events(&workspace)) };
    assert_eq!((&action["origin"], &of_kind("summary")[0]["status"]), (&origin.into(), &"success".into()));
    let found = commands(&text);
    let words = found.iter().flat_map(|(_, arguments)| arguments);
    let headers = words.filter_map(|word| fs::read_to_string(Path::new(word).join("table.h")).ok());
    assert!(headers.into_iter().any(|header| header == "#define SIZE 3\n"));
    // Again, nothing is lost.
    assert!(!run(&workspace, &["-o", "-"]).exits(0).stderr.contains(warning));
}

#[test]
fn what_cannot_be_built_does_not_keep_the_file_from_being_written() {
    let workspace = project();
    let targets = fs::read_to_string(workspace.root().join("TARGETS")).unwrap();
    workspace.file("TARGETS", targets.replace("echo '#define SIZE 3'", "exit 1; echo"));
    let ran = run(&workspace, &["-o", "all.json"]).exits(0);
    assert!(ran.stderr.contains("warning: TARGETS:2: :table: building table.c"), "{}", ran.stderr);
    assert_eq!(commands(&fs::read_to_string(workspace.root().join("all.json")).unwrap()).len(), 3);
}

#[test]
fn what_is_missing_is_one_warning_for_each_cause() {
    let workspace = Workspace::new();
    workspace.file(
        "TARGETS",
        r#"{"default": {"type": "install", "deps": ["a"]},
            "a": {"type": ["@", "std", "cc", "binary"], "name": ["a"], "srcs": ["a.c"]},
            "b": {"type": ["@", "std", "cc", "binary"], "name": ["b"], "srcs": ["b.c"], "deps": ["none"]},
            "c": {"type": ["@", "std", "cc", "library"], "name": ["c"], "srcs": ["b.c", "a.c"], "deps": ["none"]},
            "none": {"type": ["@", "std", "cc", "system library"], "pkg-config": ["no-such-library"]}}"#,
    );
    workspace.file("a.c", "int main(void) { return 0; }\n").file("b.c", "int b;\n");
    let ran = run(&workspace, &[]).exits(0);
    assert_eq!(ran.stderr.matches("warning: ").count(), 2, "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("does not find the library no-such-library").count(), 1, "{}", ran.stderr);
    assert!(!ran.stderr.contains("error: "), "{}", ran.stderr);
    let all = commands(&fs::read_to_string(workspace.root().join("compile_commands.json")).unwrap());
    assert_eq!(all.len(), 4, "{all:?}");
}

#[test]
fn targets_that_cannot_be_analysed_are_left_out() {
    let workspace = project();
    let wrong = r#"{"wrong": {"type": ["@", "std", "cc", "binary"], "name": ["w"], "srcs": ["missing.c"]},
                    "also": {"type": "install", "deps": ["wrong"]}}"#;
    workspace.file("other/TARGETS", wrong);
    let ran = run(&workspace, &[]).exits(0);
    assert!(ran.stderr.contains("warning: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("missing.c"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("warning: 2 targets of 6 cannot be analysed and are left out\n"),
        "{}",
        ran.stderr
    );
    let all = commands(&fs::read_to_string(workspace.root().join("compile_commands.json")).unwrap());
    assert_eq!(all.len(), 3, "{all:?}");
    compile(&workspace.root(), &all);
    // Nothing is left of a request for these alone.
    let ran = run(&workspace, &["other:wrong", "-o", "none.json"]).exits(8);
    assert!(ran.stderr.contains("error: "), "{}", ran.stderr);
    assert!(!workspace.root().join("none.json").exists());
}

#[test]
fn commands_of_any_rules_are_found() {
    let workspace = Workspace::new();
    workspace.file("src/a.c", "#include <h.h>\nint a = A;\n").file("inc/deep/h.h", "#define A 1\n");
    workspace.file(
        "RULES",
        r#"{"object": {"target_fields": ["src", "hdrs"], "expression": {"type": "let*", "bindings": [
            ["src", {"type": "map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "src"}, "body": {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}],
            ["hdrs", {"type": "map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "hdrs"}, "body": {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}]],
            "body": {"type": "RESULT", "artifacts": {"type": "ACTION", "outs": ["work/a.o"],
              "inputs": {"type": "map_union", "$1": [{"type": "to_subdir", "subdir": "work", "$1": {"type": "var", "name": "src"}},
                {"type": "singleton_map", "key": "include", "value": {"type": "TREE", "$1": {"type": "to_subdir", "subdir": ".", "flat": true, "$1": {"type": "var", "name": "hdrs"}}}}]},
              "cmd": ["env", "LC_ALL=C", "/usr/bin/cc", "-I", "work", "-isystem", "include", "-MD", "-MF", "work/a.d", "-c", "work/src/a.c", "-o", "work/a.o"]}}}}}"#,
    );
    workspace.file("TARGETS", r#"{"a": {"type": "object", "src": ["src/a.c"], "hdrs": ["inc/deep/h.h"]}}"#);
    let found = commands(&run(&workspace, &["a", "-o", "-"]).exits(0).stdout);
    let root = workspace.root().display().to_string();
    let [(file, arguments)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(file, &format!("{root}/src/a.c"));
    let words = [
        "/usr/bin/cc",
        "-I",
        &root,
        "-isystem",
        &format!("{root}/inc/deep"),
        "-c",
        &format!("{root}/src/a.c"),
    ];
    assert_eq!(arguments, &words);
    compile(&workspace.root(), &found);
}

/// Each file of the workspace, its arguments without the directory of the workspace.
fn below_root(workspace: &Workspace, found: &[(String, Vec<String>)]) -> Vec<(String, Vec<String>)> {
    let root = format!("{}/", workspace.root().display());
    let shown = |text: &String| text.replace(&root, "");
    found.iter().map(|(file, words)| (shown(file), words.iter().map(shown).collect())).collect()
}

#[test]
fn commands_that_also_link_and_scripts_are_found() {
    let workspace = Workspace::new();
    workspace
        .file("a.c", "#include \"h.h\"\nint main(void) { return b(); }\n")
        .file("b.c", "#include \"h.h\"\nint b(void) { return SIZE; }\n")
        .file("h.h", "int b(void);\n")
        .file("d/c.cc", "#include <x.h>\nint c = X + Y;\n")
        .file("inc/x.h", "#define X 1\n")
        .file("build.sh", "#!/bin/sh -e\nfor f in \"$@\"; do\n  cc -DSIZE=4 -c \"$f\" -o ${f%.c}.o\ndone\n")
        .file("TARGETS", r#"{
            "linked": {"type": "generic", "outs": ["prog"], "deps": ["a.c", "b.c", "h.h"], "env": {"type": "'", "$1": {"PATH": "/usr/bin:/bin"}},
              "cmds": ["cc -DSIZE=1 -o prog a.c b.c -lm"]},
            "script": {"type": "generic", "outs": ["b.o", "c.o"], "deps": ["b.c", "h.h", "d/c.cc", "inc/x.h"], "env": {"type": "'", "$1": {"PATH": "/usr/bin:/bin"}},
              "cmds": ["set -e", "F='-DSIZE=2 -g'", "cc $F -c \"b.c\" -o b.o && cd d", "c++ -I../inc '-DY=3' -c c.cc -o ../c.o"]},
            "file": {"type": "generic", "outs": ["a.o", "b.o"], "deps": ["build.sh", "a.c", "b.c", "h.h"], "env": {"type": "'", "$1": {"PATH": "/usr/bin:/bin"}},
              "cmds": ["sh ./build.sh a.c b.c"]}
        }"#);
    let ran = run(&workspace, &["-o", "-"]).exits(0);
    let found = commands(&ran.stdout);
    let shown = below_root(&workspace, &found);
    let of = |file: &str, flag: &str| {
        shown
            .iter()
            .find(|(of, words)| of == file && words.contains(&flag.to_owned()))
            .map(|(_, words)| words.join(" "))
    };
    assert_eq!(of("a.c", "-DSIZE=1").as_deref(), Some("cc -DSIZE=1 -c a.c"));
    assert_eq!(of("b.c", "-DSIZE=1").as_deref(), Some("cc -DSIZE=1 -c b.c"));
    assert_eq!(of("b.c", "-DSIZE=2").as_deref(), Some("cc -DSIZE=2 -g -c b.c"));
    assert_eq!(of("d/c.cc", "-DY=3").as_deref(), Some("c++ -I inc -DY=3 -c d/c.cc"));
    assert_eq!(of("a.c", "-DSIZE=4").as_deref(), Some("cc -DSIZE=4 -c a.c"));
    assert_eq!(shown.len(), 6, "{shown:?}");
    compile(&workspace.root(), &found);
    // They are real commands: the build makes the same.
    for target in ["linked", "script", "file"] {
        workspace.run(&Tool::at(env!("CARGO_BIN_EXE_taut")), ["build", target]).exits(0);
    }
}

#[test]
fn what_cannot_be_read_is_counted_and_named_with_v() {
    let workspace = Workspace::new();
    workspace.file("a.c", "int a;\n").file("data.c", "");
    workspace.file("TARGETS", r#"{
        "flags": {"type": "generic", "outs": ["a.o"], "deps": ["a.c"], "cmds": ["cc -c $(cat flags) a.c -o a.o"]},
        "make": {"type": "generic", "outs": ["b.o"], "deps": ["a.c"], "cmds": ["make b.o"]},
        "copy": {"type": "generic", "outs": ["copy"], "deps": ["data.c"], "cmds": ["cat data.c > copy"]},
        "link": {"type": "generic", "outs": ["prog"], "deps": ["flags"], "cmds": ["cc -o prog a.o $(cat flags)"]}
    }"#);
    let ran = run(&workspace, &["-o", "all.json"]).exits(0);
    let line =
        "all.json: 1 command; 2 actions that may compile cannot be read, or not as a whole: -v shows which\n";
    assert!(ran.stderr.contains(line), "{}", ran.stderr);
    let ran = run(&workspace, &["-v", "-o", "all.json"]).exits(0);
    let named = |target: &str| ran.stderr.contains(&format!("\n  :{target}: %"));
    assert!(named("flags") && named("make") && !named("copy") && !named("link"), "{}", ran.stderr);
}

#[test]
fn sources_and_headers_that_the_same_action_or_another_one_makes_as_a_directory_are_found() {
    let workspace = Workspace::new();
    workspace.file("main.c", "#include <gen.h>\n#include \"own.h\"\nint main(void) { return A - B; }\n");
    workspace.file("TARGETS", r#"{
        "gen": {"type": "generic", "out_dirs": ["gen"], "cmds": ["mkdir -p gen", "echo '#define A 1' > gen/gen.h", "echo 'int g;' > gen/g.c"],
          "env": {"type": "'", "$1": {"PATH": "/usr/bin:/bin"}}},
        "prog": {"type": "generic", "outs": ["prog", "own.h", "made.c"], "deps": ["gen", "main.c"], "env": {"type": "'", "$1": {"PATH": "/usr/bin:/bin"}},
          "cmds": ["set -e", "echo '#define B 1' > own.h", "echo 'int made;' > made.c", "cc -I gen -o prog main.c made.c gen/g.c"]}
    }"#);
    let ran = run(&workspace, &["-o", "-"]).exits(0);
    let found = commands(&ran.stdout);
    let mut names: Vec<&str> = found.iter().filter_map(|(file, _)| file.rsplit('/').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["g.c", "made.c", "main.c"], "{}", ran.stderr);
    compile(&workspace.root(), &found);
}
