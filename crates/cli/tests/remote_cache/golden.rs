//! The document with the messages of these tests, `messages.md` in their directory: a heading and a text for each
//! situation. With `UPDATE_EXPECT` set, what differs is written there.

use std::{path::PathBuf, sync::Mutex};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Compares a text with that of a situation. Ports are replaced.
#[track_caller]
pub(crate) fn golden(situation: &str, text: &str) {
    let _lock = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/", env!("CARGO_CRATE_NAME"), "/messages.md");
    let file = PathBuf::from(file);
    let document = std::fs::read_to_string(&file).unwrap_or_default();
    let heading = format!("\n## {situation}\n");
    let section =
        format!("{heading}\n`$ taut …` prints:\n\n```\n{}\n```\n", without_ports(text).trim_matches('\n'));
    let found = document.find(&heading).map(|at| {
        let end = document[at + heading.len()..]
            .find("\n## ")
            .map_or(document.len(), |end| at + heading.len() + end);
        at..end
    });
    let there = found.clone().map(|range| &document[range]).unwrap_or_default();
    if there == section {
        return;
    }
    assert!(std::env::var_os("UPDATE_EXPECT").is_some(), "{situation}:\n{section}\n--- is not\n{there}");
    let document = match found {
        Some(range) => format!("{}{section}{}", &document[..range.start], &document[range.end..]),
        None => document + &section,
    };
    std::fs::write(file, document).unwrap();
}

/// A text with `PORT` in place of each number behind the name of this machine.
fn without_ports(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) =
        ["127.0.0.1:", "localhost:"].iter().filter_map(|name| Some(rest.find(name)? + name.len())).min()
    {
        out += &rest[..at];
        rest = rest[at..].trim_start_matches(|c: char| c.is_ascii_digit());
        out += "PORT";
    }
    out + rest
}
