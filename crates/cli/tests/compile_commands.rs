//! `taut compile-commands`: the commands have the paths of the workspace, and compile there.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use taut_testkit::{Ran, Tool, Workspace};

fn run(workspace: &Workspace, words: &[&str]) -> Ran {
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
fn a_generated_header_is_new_after_the_next_call() {
    let workspace = project();
    run(&workspace, &["-o", "a.json"]).exits(0);
    let targets = fs::read_to_string(workspace.root().join("TARGETS")).unwrap();
    workspace.file("TARGETS", targets.replace("#define SIZE 3", "#define SIZE wrong"));
    let text = run(&workspace, &["-o", "-"]).exits(0).stdout;
    let found = commands(&text);
    let (_, app) = found.iter().find(|(file, _)| file.ends_with("/app.cc")).unwrap();
    let generated = app.iter().find_map(|word| fs::read_to_string(Path::new(word).join("table.h")).ok());
    assert_eq!(generated.as_deref(), Some("#define SIZE wrong\n"));
}

#[test]
fn what_cannot_be_built_does_not_keep_the_file_from_being_written() {
    let workspace = project();
    let targets = fs::read_to_string(workspace.root().join("TARGETS")).unwrap();
    workspace.file("TARGETS", targets.replace("echo '#define SIZE 3'", "exit 1; echo"));
    let ran = run(&workspace, &["-o", "all.json"]).exits(1);
    assert!(ran.stderr.contains(":table: building table.c"), "{}", ran.stderr);
    assert_eq!(commands(&fs::read_to_string(workspace.root().join("all.json")).unwrap()).len(), 3);
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
