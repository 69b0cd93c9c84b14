//! The picture in the README shows what this taut prints. `cargo xtask recording` draws it.

use std::{fs, path::Path};

use taut_testkit::terminal::{assert_readable, first_steps};

use crate::without_times;

/// The text in a picture, one line for each of its rows.
fn text_of(svg: &str) -> String {
    let mut text = String::new();
    let mut row = "";
    for element in svg.split("<text ").skip(1) {
        let y = element.split("y=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        let content = element.split_once('>').and_then(|(_, rest)| rest.split_once("</text>"));
        if y != row && !text.is_empty() {
            text.push('\n');
        }
        row = y;
        text += &content.unwrap_or_default().0.replace("&lt;", "<").replace("&amp;", "&");
    }
    text
}

/// The text without the digits of short ids of actions: each change of a rule in the box makes other ids.
fn without_ids(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push('%');
        out += part.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    }
    out
}

#[test]
fn the_picture_in_the_readme_is_true() {
    // The rules in the box look for a compiler there.
    if !["/usr/local/bin/cc", "/usr/bin/cc", "/bin/cc"].iter().any(|cc| Path::new(cc).exists()) {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/first-steps.svg");
    let drawn = fs::read_to_string(path).unwrap();
    let steps = first_steps(Path::new(env!("CARGO_BIN_EXE_taut"))).unwrap();
    assert_readable(steps.screen());
    assert_eq!(
        without_ids(&without_times(&text_of(&drawn))),
        without_ids(&without_times(&text_of(&steps.picture()))),
        "`cargo xtask recording` draws it anew"
    );
}
