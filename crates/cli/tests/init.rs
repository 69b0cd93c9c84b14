//! `init`: the projects that it writes build, pass their tests and install; what exists is not touched.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use taut_testkit::{Tool, ToolResult, listing};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

/// A directory that vanishes on drop.
fn directory() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("taut-init-").tempdir().unwrap()
}

fn init(at: &Path, words: &[&str]) -> ToolResult {
    taut().run(at, [&["init"], words].concat())
}

/// The output of the program that was installed.
fn greeting(program: &mut Command) -> String {
    let output = program.arg("you").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Writes the template, builds and tests it, runs what is installed, and lets its test fail by an edit of the first
/// greeting.
#[track_caller]
fn goes_round(template: &str, definition: &str, edited: &str) {
    let top = directory();
    let written = init(top.path(), &["--template", template, "new/project"]).exits(0);
    let project = top.path().join("new/project");
    for path in ["new/project/ROOT", "new/project/TARGETS"] {
        assert!(written.stdout.contains(path), "{}", written.stdout);
    }
    for command in ["cd new/project\n", "taut test", "taut install -o out"] {
        assert!(written.stdout.contains(command), "{}", written.stdout);
    }
    let call = |words: &[&str]| {
        let root = top.path().join("build-root").display().to_string();
        let (command, rest) = words.split_first().unwrap();
        let all = [&[*command, "--local-build-root", &root, "-D", definition], rest].concat();
        taut().run(&project, all)
    };
    call(&["test"]).exits(0);
    call(&["install", "-o", "out"]).exits(0);
    let program = project.join("out/bin/hello");
    let printed = match template {
        "python" => greeting(Command::new("python3").arg(&program)),
        _ => greeting(&mut Command::new(&program)),
    };
    assert_eq!(printed, "Hello, you!\n");
    let source = fs::read_to_string(project.join(edited)).unwrap();
    fs::write(project.join(edited), source.replacen("Hello", "Goodbye", 1)).unwrap();
    call(&["test"]).exits(1);
}

/// Whether the rules find Python where they look for it.
fn has_python() -> bool {
    ["/usr/local/bin", "/usr/bin", "/bin"].iter().any(|path| Path::new(path).join("python3").exists())
}

#[test]
fn a_project_in_c_builds_tests_and_installs() {
    goes_round("c", "{}", "greet.c");
}

#[test]
fn a_project_in_cxx_builds_tests_and_installs() {
    goes_round("c++", "{}", "greet.cc");
}

#[test]
fn a_project_in_shell_builds_tests_and_installs() {
    goes_round("shell", "{}", "hello.sh");
}

#[test]
fn a_project_in_python_builds_tests_and_installs() {
    if has_python() {
        goes_round("python", "{}", "src/greet/__init__.py");
    }
}

#[test]
fn a_mixed_project_builds_tests_and_installs() {
    if has_python() {
        goes_round("mixed", "{}", "words.txt");
    }
}

#[test]
fn a_project_in_rust_builds_tests_and_installs() {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().unwrap();
    let sysroot = String::from_utf8(output.stdout).unwrap();
    goes_round("rust", &format!(r#"{{"RUSTC": "{}/bin/rustc"}}"#, sysroot.trim_end()), "greet.rs");
}

#[test]
fn without_words_it_is_c_in_the_working_directory() {
    let top = directory();
    let written = init(top.path(), &[]).exits(0);
    assert!(written.stdout.contains("  main.c\n") && !written.stdout.contains("cd "), "{}", written.stdout);
    assert!(top.path().join("main.c").is_file());
}

#[test]
fn what_exists_is_named_and_nothing_is_written() {
    let top = directory();
    fs::write(top.path().join("TARGETS"), "mine").unwrap();
    symlink("nowhere", top.path().join("greet.c")).unwrap();
    let before = listing(top.path()).unwrap();
    let refused = init(top.path(), &["."]).exits(16);
    assert!(refused.stderr.contains("these files exist: TARGETS, greet.c\n"), "{}", refused.stderr);
    assert_eq!((refused.stdout.as_str(), listing(top.path()).unwrap()), ("", before));
}

#[test]
fn a_file_in_the_place_of_a_directory_is_named_and_nothing_is_written() {
    let top = directory();
    fs::write(top.path().join("src"), "mine").unwrap();
    let before = listing(top.path()).unwrap();
    let refused = init(top.path(), &["--template", "python"]).exits(16);
    assert!(refused.stderr.contains("these files exist: src\n"), "{}", refused.stderr);
    init(top.path(), &["src"]).exits(16);
    init(top.path(), &["src/below"]).exits(16);
    assert_eq!(listing(top.path()).unwrap(), before);
}

#[test]
fn another_template_or_name_of_the_tool_is_an_error_of_the_command_line() {
    let top = directory();
    let wrong = init(top.path(), &["--template", "cobol"]);
    assert!(wrong.code != 0 && wrong.stderr.contains("mixed"), "{}", wrong.stderr);
    let just = taut().called("just").run(top.path(), ["init"]);
    assert!(just.code != 0 && just.stderr.contains("A subcommand is required"), "{}", just.stderr);
    assert!(!taut().called("just").run(top.path(), ["--help"]).stdout.contains("init"));
    assert!(listing(top.path()).unwrap().is_empty());
}
