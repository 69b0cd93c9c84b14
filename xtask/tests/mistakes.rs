//! Mistakes in the words of a development command: one line about the mistake.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::process::Command;

#[test]
fn a_mistake_in_the_words_is_one_line_without_a_backtrace() {
    for (words, expected) in [
        (&["edits", "headers", "--seconds", "soon"][..], "error: --seconds wants a number\n"),
        (&["edits", "headers", "--edits"], "error: --edits wants a number\n"),
        (&["edits", "lua", "--batch", "x"], "error: --batch wants a number\n"),
        (&["edits", "headers", "--other", "1"], "error: unknown word --other\n"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        // As developers have it.
        let output = command.args(words).env("RUST_BACKTRACE", "1").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), expected, "{words:?}");
        assert_eq!(output.status.code(), Some(1), "{words:?}");
    }
}
