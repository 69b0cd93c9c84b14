//! Completion in shells: scripts that ask this program what may stand at the cursor.
//!
//! The scripts know nothing of the command line. They pass on the words before the cursor, so that what is offered
//! comes from the definition that words are parsed by, and names of targets from the targets file of one module. A
//! question is answered without the store and the engine. An error is not an answer: then nothing is offered.

mod actions;
mod bash;
mod repositories;
mod targets;
mod words;

pub use bash::answer as complete_line;

use std::{ffi::OsString, path::Path};

use crate::{exit::Exit, standard_streams::print};
use words::{Offer, ShellFallback, offer};

/// The word with which scripts ask; not for users, and so not in the definition of the command line.
pub(crate) const COMMAND: &str = "complete-words";

/// The shells that there are scripts for.
pub(crate) const SHELLS: [&str; 3] = ["bash", "fish", "zsh"];

/// Something that may stand at the cursor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    text: String,
    /// What it is, for shells that show it.
    help: String,
}

impl Candidate {
    fn new(text: impl Into<String>, help: impl Into<String>) -> Candidate {
        Candidate { text: text.into(), help: help.into() }
    }

    /// Whether the word goes on behind it.
    fn is_open(&self) -> bool {
        self.text.ends_with(['/', ':', '='])
    }
}

/// Whether a word names a target of the workspace that the working directory is in.
pub(crate) fn is_target(word: &str) -> bool {
    std::env::current_dir().is_ok_and(|cwd| targets::is_target(word, &cwd))
}

/// Prints the script for a shell.
pub(crate) fn print_script(shell: &str) -> Exit {
    let script = match shell {
        "bash" => include_str!("../completions/taut.bash"),
        "zsh" => include_str!("../completions/taut.zsh"),
        // The parser takes no other name.
        _ => include_str!("../completions/taut.fish"),
    };
    print(script.as_bytes())
}

/// Answers the question of a script: the shell, then for bash the line up to the cursor and the characters at which
/// bash breaks words, for others the words up to the cursor, without the name of the tool.
pub(crate) fn complete(question: &[OsString]) -> Exit {
    let words: Option<Vec<&str>> = question.iter().map(|word| word.to_str()).collect();
    let cwd = std::env::current_dir().unwrap_or_else(|_| Path::new("/").to_owned());
    // Words that are not UTF-8 get no answer: the scripts could not pass one on.
    let answer = match words.as_deref() {
        Some(["bash", line, breaks]) => bash::answer(line, breaks, &cwd),
        Some([_, before @ .., current]) => lines(&offer(before, current, &cwd)),
        _ => String::new(),
    };
    print(answer.as_bytes())
}

/// An answer as the scripts for zsh and fish read it: what the shell is to offer itself, then candidates, each with
/// what it is behind a tab.
fn lines(offer: &Offer) -> String {
    let mut lines = match offer.otherwise {
        ShellFallback::Nothing => "\n",
        ShellFallback::Files => "files\n",
        ShellFallback::Directories => "directories\n",
    }
    .to_owned();
    for Candidate { text, help } in &offer.candidates {
        lines += &format!("{text}\t{help}\n");
    }
    lines
}
