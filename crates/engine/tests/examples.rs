//! The examples do what their headers describe.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An example, which cargo builds before it runs this test.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let target: &Path = test.parent().and_then(Path::parent).expect("tests lie in target/PROFILE/deps");
    Command::new(target.join("examples").join(name))
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The files that make compiled, and whether it linked.
fn make(directory: &Path) -> (Vec<String>, bool) {
    let printed = output(example("make").arg(directory));
    let sources = printed.lines().filter_map(|line| line.split("\"-c\" \"").nth(1)?.split('"').next());
    let name = |path: &str| PathBuf::from(path).file_name().unwrap().to_string_lossy().into_owned();
    let mut compiled: Vec<String> = sources.map(name).collect();
    compiled.sort();
    (compiled, printed.lines().any(|line| line.starts_with("\"cc\"") && !line.contains("\"-c\"")))
}

#[test]
fn make_compiles_what_changed_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("h.h", "int f(void);\n#define X 3\n");
    write("a.c", "#include \"h.h\"\nint main(void) { return f() - X; }\n");
    write("b.c", "#include \"h.h\"\nint f(void) { return X; }\n");
    write("c.c", "int g;\n");
    let made = |names: &[&str], linked| (names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>(), linked);
    assert_eq!(make(directory.path()), made(&["a.c", "b.c", "c.c"], true));
    assert_eq!(make(directory.path()), made(&[], false));
    write("h.h", "int f(void);\n#define X 4\n");
    assert_eq!(make(directory.path()), made(&["a.c", "b.c"], true));
    // A comment changes no object: the program is not linked again.
    write("c.c", "int g; // commented\n");
    assert_eq!(make(directory.path()), made(&["c.c"], false));
    // An output that was edited is made again.
    write("program", "tampered with");
    assert!(make(directory.path()).1);
    assert!(Command::new(directory.path().join("program")).status().unwrap().success());
    assert_eq!(make(directory.path()), made(&[], false));
}

#[test]
fn a_page_is_not_fetched_while_its_etag_is_the_same() {
    let printed = output(&mut example("etag"));
    let asked: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("  server: ")).collect();
    let (head, get) = ("HEAD / HTTP/1.1", "GET / HTTP/1.1");
    assert_eq!(asked, [head, get, head, head, get]);
}

#[test]
fn a_what_if_build_reports_what_would_run_and_changes_nothing() {
    let printed = output(&mut example("what_if"));
    assert!(
        printed.contains("it would take [\"price(\\\"milk\\\")\", \"dish(\\\"pancakes\\\")\"]"),
        "{printed}"
    );
    assert!(printed.ends_with("now: [600, 1300]\n"), "{printed}");
}
