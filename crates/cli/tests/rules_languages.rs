//! The rules in the binary for shell, Python and Rust: programs, libraries and tests.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{fs, path::PathBuf, process::Command};

use taut_testkit::{Tool, ToolResult, Workspace, processed};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

#[track_caller]
fn install(workspace: &Workspace, target: &str, more: &[&str]) -> ToolResult {
    let out = workspace.beside("out").display().to_string();
    workspace.run(&taut(), [&["install", target, "-o", &out][..], more].concat())
}

fn out(workspace: &Workspace, name: &str) -> String {
    fs::read_to_string(workspace.beside("out").join(name)).unwrap()
}

const SHELL: &str = r#"{
  "tool": {"type": ["@", "std", "shell", "script"], "name": ["tool"], "src": ["tool.sh"], "data": ["data.txt"]},
  "passes": {"type": ["@", "std", "shell", "test"], "tainted": ["test"], "name": ["passes"], "src": ["test.sh"], "data": ["tool"], "args": ["data"]},
  "fails": {"type": ["@", "std", "shell", "test"], "tainted": ["test"], "name": ["fails"], "src": ["test.sh"], "data": ["tool"], "args": ["other"]},
  "all": {"type": ["@", "std", "", "suite"], "tainted": ["test"], "tests": ["passes", "fails"]},
  "untainted": {"type": "install", "deps": ["passes"]}
}"#;

#[test]
fn tests_of_a_suite_are_results_by_name() {
    let workspace = Workspace::new();
    workspace.file("TARGETS", SHELL).file("data.txt", "data\n").file("tool.sh", "#!/bin/sh\ncat data.txt\n");
    workspace.file(
        "test.sh",
        "test \"$(./tool)\" = \"$1\" && echo > \"$TMPDIR/file\" && test \"$(ls)\" = \"data.txt\ntool\"\n",
    );
    install(&workspace, "passes", &[]).exits(0);
    assert_eq!(out(&workspace, "result"), "PASS\n");
    let failed = install(&workspace, "all", &[]).exits(1);
    assert!(failed.stderr.contains("The test ended with exit code 1."), "{}", failed.stderr);
    install(&workspace, "all", &["-D", r#"{"TEST_MAY_FAIL": true}"#]).exits(2);
    assert_eq!([out(&workspace, "passes/result"), out(&workspace, "fails/result")], ["PASS\n", "FAIL\n"]);
    install(&workspace, "untainted", &[]).exits(8);
}

#[test]
fn what_does_not_belong_in_a_field_of_dependencies_is_named() {
    let workspace = Workspace::new();
    workspace.file("a.c", "int a;\n").file("a.py", "").file("test.sh", "true\n").file("words.rs", "");
    let of_python = "takes targets of the rule `library` of std/python (modules and what they read belong in its \"srcs\", files \
                     for a test in \"data\"), not";
    let of_suite = "takes targets of the rules `test` and `suite`, not";
    let of_rust = "takes targets of the rule `library` of std/rust, not";
    for (consumer, expected) in [
        (r#"{"type": ["@", "std", "python", "library"], "srcs": ["a.py"], "deps": ["WRONG"]}"#, of_python),
        (
            r#"{"type": ["@", "std", "python", "binary"], "name": ["p"], "main": ["a.py"], "deps": ["WRONG"]}"#,
            of_python,
        ),
        (
            r#"{"type": ["@", "std", "python", "test"], "tainted": ["test"], "name": ["p"], "srcs": ["a.py"], "deps": ["WRONG"]}"#,
            of_python,
        ),
        (
            r#"{"type": ["@", "std", "", "suite"], "tainted": ["test"], "tests": ["good", "WRONG", "more"]}"#,
            of_suite,
        ),
        (
            r#"{"type": ["@", "std", "rust", "library"], "name": ["r"], "srcs": ["words.rs"], "deps": ["WRONG"]}"#,
            of_rust,
        ),
    ] {
        for wrong in ["a.py", "lib", "made"] {
            let consumer = consumer.replace("WRONG", wrong);
            workspace.file(
                "TARGETS",
                format!(
                    r#"{{"x": {consumer},
                "lib": {{"type": ["@", "std", "cc", "library"], "name": ["a"], "srcs": ["a.c"]}},
                "made": {{"type": ["@", "std", "", "genrule"], "outs": ["out.py"], "cmds": ["touch out.py"]}},
                "good": {{"type": ["@", "std", "shell", "test"], "tainted": ["test"], "name": ["g"], "src": ["test.sh"]}},
                "more": {{"type": ["@", "std", "", "suite"], "tainted": ["test"], "tests": ["sharded"]}},
                "sharded":
                  {{"type": ["@", "std", "shell", "test"], "tainted": ["test"], "name": ["s"], "src": ["test.sh"], "shards": ["2"]}}}}"#
                ),
            );
            let failed = install(&workspace, "x", &[]).exits(8).stderr;
            let shown = if wrong == "a.py" { wrong.to_owned() } else { format!(":{wrong}") };
            assert!(
                failed.contains(&format!("{expected} {shown}\n"))
                    || failed.contains(&format!("{expected} :{wrong}\n")),
                "{consumer}: {failed}"
            );
        }
    }
}

/// The definition of PYTHON as an interpreter of this machine, if it has one.
fn python() -> Option<String> {
    let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| format!(r#"{{"PYTHON": "{}"}}"#, path.trim_end()))
}

const PYTHON: &str = r#"{
  "lib": {"type": ["@", "std", "python", "library"], "srcs": ["src/pkg/__init__.py", "src/pkg/data.txt"], "strip": ["src"]},
  "app": {"type": ["@", "std", "python", "binary"], "name": ["app"], "main": ["main.py"], "deps": ["lib"]},
  "entry": {"type": ["@", "std", "python", "binary"], "name": ["entry"], "entry": ["pkg:main"], "deps": ["lib"]},
  "both": {"type": ["@", "std", "python", "binary"], "name": ["both"], "main": ["main.py"], "entry": ["pkg:main"]},
  "test": {"type": ["@", "std", "python", "test"], "tainted": ["test"], "name": ["test"], "srcs": ["tests/test_pkg.py"], "deps": ["lib"]}
}"#;

#[test]
fn python_programs_are_one_file() {
    let Some(define) = python() else { return };
    let workspace = Workspace::new();
    workspace
        .file("TARGETS", PYTHON)
        .file("src/pkg/data.txt", "data")
        .file("main.py", "import pkg\nprint(pkg.text())\n");
    workspace.file("src/pkg/__init__.py", "import pkgutil\ndef text():\n    return pkgutil.get_data('pkg', 'data.txt').decode()\ndef main():\n    print(text())\n    return 3\n");
    let test = |expected: &str| {
        format!(
            "import unittest, pkg\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(pkg.text(), '{expected}')\n"
        )
    };
    workspace.file("tests/test_pkg.py", test("data"));
    let with = ["-D", define.as_str()];
    for (program, code) in [("app", 0), ("entry", 3)] {
        install(&workspace, program, &with).exits(0);
        let output = Command::new(workspace.beside("out").join(program)).output().unwrap();
        assert_eq!((output.status.code(), &*output.stdout), (Some(code), &b"data\n"[..]), "{output:?}");
    }
    let failed = install(&workspace, "both", &with).exits(8);
    assert!(failed.stderr.contains("either"), "{}", failed.stderr);
    install(&workspace, "test", &with).exits(0);
    assert!(out(&workspace, "stderr").contains("Ran 1 test"));
    workspace.file("tests/test_pkg.py", test("other"));
    let failed = install(&workspace, "test", &with).exits(1);
    assert!(failed.stderr.contains("AssertionError"), "{}", failed.stderr);
    let failed = install(&workspace, "app", &["-D", r#"{"PYTHON": "no-such-python"}"#]).exits(1);
    assert!(failed.stderr.contains("There is no no-such-python in "), "{}", failed.stderr);
}

/// The definition of RUSTC as the compiler of this machine; what cargo calls may need variables of rustup.
fn rustc() -> String {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().unwrap();
    let sysroot = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end());
    format!(r#"{{"RUSTC": "{}"}}"#, sysroot.join("bin/rustc").display())
}

const RUST: &str = r#"{
  "base": {"type": ["@", "std", "rust", "library"], "name": ["base"], "srcs": ["base/src/lib.rs", "base/src/words.rs"], "root": ["base/src/lib.rs"]},
  "mid": {"type": ["@", "std", "rust", "library"], "name": ["mid"], "srcs": ["mid.rs"], "deps": ["base"]},
  "app": {"type": ["@", "std", "rust", "binary"], "name": ["my-app"], "srcs": ["main.rs"], "deps": ["mid"]},
  "test": {"type": ["@", "std", "rust", "test"], "tainted": ["test"], "name": ["base-test"], "srcs": ["base/src/lib.rs", "base/src/words.rs"], "root": ["base/src/lib.rs"]},
  "rootless": {"type": ["@", "std", "rust", "binary"], "name": ["x"], "srcs": ["mid.rs", "base/src/lib.rs"]},
  "wrong": {"type": ["@", "std", "rust", "binary"], "name": ["x"], "srcs": ["main.rs"], "deps": ["mid.rs"]}
}"#;

fn rust_project() -> Workspace {
    let workspace = Workspace::new();
    workspace.file("TARGETS", RUST).file("base/src/words.rs", "pub const WORD: &str = \"word\";\n");
    workspace.file(
        "base/src/lib.rs",
        "mod words;\npub fn word() -> &'static str { words::WORD }\n\
        #[cfg(test)]\nmod tests { #[test] fn is_a_word() { assert_eq!(super::word(), \"word\"); } }\n",
    );
    workspace.file("mid.rs", "pub fn words() -> String { format!(\"{} in {}\", base::word(), file!()) }\n");
    workspace.file("main.rs", "fn main() { println!(\"{}\", mid::words()) }\n");
    workspace
}

#[test]
fn crates_are_compiled_with_those_that_they_use() {
    let (one, other) = (rust_project(), rust_project());
    let define = rustc();
    let with = ["-D", define.as_str()];
    for workspace in [&one, &other] {
        install(workspace, "app", &with).exits(0);
    }
    let program = one.beside("out/my-app");
    let output = Command::new(&program).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "word in mid.rs\n");
    let [a, b] = [&one, &other].map(|workspace| fs::read(workspace.beside("out/my-app")).unwrap());
    assert!(a == b, "the same program in both");
    assert!(!String::from_utf8_lossy(&a).contains("taut-test-"));
    install(&one, "test", &with).exits(0);
    assert!(out(&one, "stdout").contains("1 passed"));
    // An edit of one crate compiles it and those that use it.
    one.file("mid.rs", "pub fn words() -> String { \"other\".to_owned() }\n");
    let (actions, not_run) = processed(&install(&one, "app", &with).exits(0).stderr).unwrap();
    assert_eq!(actions - not_run, 2);
    for (target, expected) in [
        ("rootless", "which of the sources is the root of the crate?"),
        ("wrong", "takes targets of the rule `library` of std/rust, not"),
    ] {
        let failed = install(&one, target, &with).exits(8);
        assert!(failed.stderr.contains(expected), "{}", failed.stderr);
    }
}

const PROTO: &str = r#"{
  "point": {"type": ["@", "std", "proto", "library"], "srcs": ["proto/geo/point.proto"], "strip": ["proto"]},
  "path": {"type": ["@", "std", "proto", "library"], "srcs": ["path.proto"], "dir": ["geo"], "deps": ["point"]},
  "area": {"type": ["@", "std", "proto", "library"], "srcs": ["area.proto"], "dir": ["geo"], "deps": ["point"]},
  "length": {"type": ["@", "std", "cc", "library"], "name": ["length"], "srcs": ["length.cc"], "hdrs": ["length.h"], "protos": ["path"]},
  "app": {"type": ["@", "std", "cc", "binary"], "name": ["app"], "srcs": ["app.cc"], "deps": ["length"], "protos": ["area"]},
  "py": {"type": ["@", "std", "python", "binary"], "name": ["py"], "main": ["main.py"], "protos": ["area", "path"]},
  "wrong": {"type": ["@", "std", "proto", "library"], "srcs": ["path.proto"], "deps": ["length"]}
}"#;

/// Generates a function for each description: the number of its lines, and what those that it imports return.
const PROTOC: &str = r##"#!/bin/sh
option=$1
shift
for src; do
  stem=${src%.proto} name=$(basename "${src%.proto}") lines=$(($(wc -l < "$src")))
  imports=$(sed -n 's/^import "\(.*\)\.proto";$/\1/p' "$src")
  case $option in
    --cpp_out=.)
      { echo "#pragma once"; for i in $imports; do echo "#include \"$i.pb.h\""; done; echo "int $name();"; } > "$stem.pb.h"
      { echo "#include \"$stem.pb.h\""; printf "int $name() { return $lines"; for i in $imports; do printf " + $(basename $i)()"; done; echo "; }"; } > "$stem.pb.cc" ;;
    --python_out=.)
      { for i in $imports; do echo "from geo import $(basename $i)_pb2"; done; echo "def value():"
        printf "    return $lines"; for i in $imports; do printf " + $(basename $i)_pb2.value()"; done; echo; } > "${stem}_pb2.py" ;;
  esac
done
"##;

#[test]
fn protocol_buffers_are_generated_once_for_all_that_need_them() {
    if Command::new("pkg-config").arg("--version").output().is_err() {
        return;
    }
    let workspace = Workspace::new();
    workspace.file("TARGETS", PROTO).file("proto/geo/point.proto", "x\ny\n");
    workspace
        .file("path.proto", "import \"geo/point.proto\";\n")
        .file("area.proto", "\n\nimport \"geo/point.proto\";\n");
    workspace.file("length.h", "#include \"geo/path.pb.h\"\nint length();\n");
    workspace.file("length.cc", "#include \"length.h\"\nint length() { return 100 * path(); }\n");
    workspace.file("app.cc", "#include <iostream>\n#include <length.h>\n#include \"geo/area.pb.h\"\nint main() { std::cout << length() + area() << '\\n'; }\n");
    workspace.file(
        "main.py",
        "from geo import area_pb2, path_pb2\nprint(100 * path_pb2.value() + area_pb2.value())\n",
    );
    let tools = workspace.beside("tools");
    fs::create_dir(&tools).unwrap();
    fs::write(
        tools.join("protobuf.pc"),
        "Name: protobuf\nDescription: for a test\nVersion: 1\nCflags: -DPROTOBUF\nLibs: -lm\n",
    )
    .unwrap();
    workspace.executable("protoc", PROTOC);
    let protoc = workspace.root().join("protoc").display().to_string();
    let define = format!(r#"{{"PROTOC": "{protoc}", "PKG_CONFIG_PATH": "{}"}}"#, tools.display());
    let built = install(&workspace, "app", &["-D", &define]).exits(0);
    let output = Command::new(workspace.beside("out/app")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "305\n");
    // The point is generated and compiled once: 3 calls of protoc, 5 of the compiler, an archive, a link, pkg-config,
    // and 4 programs that are looked for.
    assert_eq!(processed(&built.stderr), Some((15, 0)));
    let failed = install(&workspace, "wrong", &["-D", &define]).exits(8);
    assert!(
        failed.stderr.contains("takes targets of the rule `library` of std/proto, not"),
        "{}",
        failed.stderr
    );
    let failed = install(&workspace, "app", &["-D", r#"{"PROTOC": "no-such-protoc"}"#]).exits(1);
    assert!(failed.stderr.contains("There is no no-such-protoc in "), "{}", failed.stderr);
    let Some(python) = python() else { return };
    install(&workspace, "py", &["-D", &define, "-D", &python]).exits(0);
    let output = Command::new("python3").arg(workspace.beside("out/py")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "305\n", "{output:?}");
}

#[test]
fn a_program_in_rust_may_have_the_name_of_the_directory_of_its_sources() {
    let workspace = Workspace::new();
    let targets =
        r#"{"app": {"type": ["@", "std", "rust", "binary"], "name": ["app"], "srcs": ["app/src/main.rs"]}}"#;
    workspace.file("TARGETS", targets);
    workspace.file("app/src/main.rs", "fn main() { println!(\"{}\", file!()); }\n");
    let out = workspace.beside("out").display().to_string();
    workspace.run(&taut(), ["install", "app", "-o", &out, "-D", &rustc()]).exits(0);
    let printed = Command::new(workspace.beside("out/app")).output().unwrap().stdout;
    assert_eq!(String::from_utf8(printed).unwrap(), "app/src/main.rs\n");
}

#[test]
fn what_a_test_prints_holds_no_directory_of_the_action() {
    let Some(define) = python() else { return };
    let workspace = Workspace::new();
    workspace.file("TARGETS", r#"{
  "python": {"type": ["@", "std", "python", "test"], "tainted": ["test"], "name": ["python"], "srcs": ["tests/test_a.py"]},
  "shell": {"type": ["@", "std", "shell", "test"], "tainted": ["test"], "name": ["shell"], "src": ["a.sh"]}
}"#);
    workspace.file(
        "tests/test_a.py",
        "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(1, 2)\n",
    );
    workspace
        .file("a.sh", "echo \"$PWD/out: $TMPDIR/file\"\necho \"$PWD: err: $PWD/out: $PWD\" >&2\nexit 1\n");
    let failed = workspace.run(&taut(), ["test", "-D", &define]).exits(1).stderr;
    assert!(failed.contains("  File \"tests/test_a.py\", line 3, in test\n"), "{failed}");
    assert!(failed.contains("  out: ../scratch/file\n") && failed.contains("  .: err: out: .\n"), "{failed}");
    assert!(!failed.contains("exec_root"), "{failed}");
    // The files that it leaves have the same, so that a second run gives the same bytes.
    install(&workspace, "shell", &["-D", r#"{"TEST_MAY_FAIL": true}"#]).exits(2);
    assert_eq!(
        [out(&workspace, "stdout"), out(&workspace, "stderr")],
        ["out: ../scratch/file\n", ".: err: out: .\n"]
    );
}

#[test]
fn a_missing_pytest_is_one_message_that_says_what_to_do() {
    let workspace = Workspace::new();
    let targets = r#"{"t": {"type": ["@", "std", "python", "test"], "tainted": ["test"], "name": ["t"], "srcs": ["test_t.py"],
        "framework": ["pytest"]}}"#;
    workspace.file("TARGETS", targets).file("test_t.py", "def test_t(): pass\n");
    workspace.executable("python", "#!/bin/sh\nexit 1\n");
    let python = workspace.root().join("python").display().to_string();
    let ran = workspace.run(&taut(), ["test", "t", "-D", &format!("PYTHON={python}")]).exits(1);
    let install = format!("{python} -m pip install pytest");
    assert!(ran.stderr.contains(&install) && ran.stderr.contains("the variable PYTHON"), "{}", ran.stderr);
}
