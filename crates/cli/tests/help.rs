//! Help in the terminal and manual pages, which are made from the definition of the command line. `UPDATE_EXPECT=1`
//! writes the texts in `help/`.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{fs, path::Path, process::Command};

/// What a call prints on standard output.
fn printed(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_taut")).args(words).output().expect("taut runs");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The commands that the help of the tool lists.
fn commands() -> Vec<String> {
    let help = printed(&["--help"]);
    let sections = help.split("\n\n").filter(|section| !section.starts_with("Options:"));
    sections
        .flat_map(str::lines)
        .filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')))
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect()
}

#[test]
fn help_is_the_text_in_the_files() {
    for (name, words) in [
        ("taut", &["--help"][..]),
        ("build", &["build", "--help"]),
        ("build-all", &["build", "--help-all"]),
        ("test", &["test", "-h"]),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help").join(format!("{name}.txt"));
        expect_test::expect_file![path].assert_eq(&printed(words));
    }
}

#[test]
fn every_command_shows_what_is_supported_and_its_own_options_first() {
    let commands = commands();
    assert!(commands.len() > 20, "{commands:?}");
    for command in commands {
        let (own, all) = (printed(&[&command, "--help"]), printed(&[&command, "--help-all"]));
        for text in [&own, &all] {
            assert!(!text.contains("not supported"), "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
        }
        assert!(all.len() >= own.len(), "{command}");
        let last = own.rsplit("\n\n").next().unwrap_or_default();
        assert!(last.starts_with("Common options:\n"), "{own}");
    }
}

#[test]
fn a_call_without_a_command_lists_the_commands() {
    let output = Command::new(env!("CARGO_BIN_EXE_taut")).output().expect("taut runs");
    assert_eq!(output.status.code(), Some(32));
    let text = String::from_utf8(output.stderr).expect("text");
    assert_eq!(text, format!("error: no command is given\n\n{}", printed(&["--help"])));
}

#[test]
fn manual_pages_are_written_for_the_tool_and_each_command() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path().join("share/man");
    assert_eq!(printed(&["man", place.to_str().expect("text")]), "");
    let mut expected: Vec<String> =
        commands().iter().map(|command| format!("taut-{command}.1")).chain(["taut.1".to_owned()]).collect();
    expected.sort();
    let mut found: Vec<String> = fs::read_dir(place.join("man1"))
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    found.sort();
    assert_eq!(found, expected);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    let version = format!("\"taut {}\"", env!("CARGO_PKG_VERSION"));
    for page in &found {
        let text = fs::read_to_string(place.join("man1").join(page)).expect("a page");
        expect_test::expect_file![golden.join(page)].assert_eq(&text.replace(&version, "\"taut VERSION\""));
    }
    for page in found {
        let page = place.join("man1").join(page);
        // Each is there on some systems only, and some have another `man`.
        if let Ok(output) =
            Command::new("man").args(["--warnings", "-l"]).arg(&page).env("MANPAGER", "cat").output()
        {
            assert!(!output.status.success() || output.stderr.is_empty(), "{output:?}");
        }
        if let Ok(output) = Command::new("mandoc").args(["-Tlint", "-Werror"]).arg(&page).output() {
            assert!(output.status.success(), "{output:?}");
        }
    }
}

#[test]
fn under_the_name_just_nothing_of_this_is_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let just = directory.path().join("just");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_taut"), &just).expect("a link");
    let run = |words: &[&str]| Command::new(&just).args(words).output().expect("just runs");
    for words in [&["completions", "bash"][..], &["man", "d"], &["complete-words", "bash", "just ", ""]] {
        assert_eq!(run(words).status.code(), Some(32), "{words:?}");
    }
    assert_eq!(run(&["build", "--help-all"]).status.code(), Some(32));
    let help = String::from_utf8(run(&["build", "--help"]).stdout).expect("text");
    assert!(help.contains("--remote-execution-address") && !help.contains("--help-all"), "{help}");
    let help = String::from_utf8(run(&["--help"]).stdout).expect("text");
    assert!(help.contains("  serve ") && !help.contains("completions"), "{help}");
}
