//! Diagnostics about files, written to the log: rendered for people, and collected for `--diagnostics FILE`.

use std::path::Path;

use taut_driver::{Diagnostics, Group, Renderer};
use taut_sys::Named;

use crate::diagnostics_file::diagnostic_as_json;
use crate::log::{Level, Log};
use crate::voice::{self, as_under_taut, renderer};

/// A text that is in no file, for example a word of the command line, by the name that diagnostics
/// have for it.
pub(crate) type Inline = Option<(std::sync::Arc<str>, std::sync::Arc<str>)>;

/// Writes diagnostics to the log.
pub(crate) fn report(diagnostics: &Diagnostics, level: Level, log: &Log) {
    report_with(diagnostics, &None, level, log);
}

/// Collects diagnostics for `--diagnostics FILE` that are not shown, and counts the messages that they would be.
pub(crate) fn only_collect(diagnostics: &Diagnostics, inline: &Inline, log: &Log) -> usize {
    if log.is_collecting() {
        let text = |file: &str| text_in(inline, file, log);
        let mut plain = renderer(&text, false, log);
        for diagnostic in diagnostics.iter() {
            log.collect(diagnostic_as_json(diagnostic, &mut plain));
        }
    }
    // As people would count them: several diagnostics of one kind are one message.
    Group::all(diagnostics).len()
}

/// The rendered diagnostics, without colour.
pub(crate) fn plain(diagnostics: &Diagnostics) -> Vec<String> {
    // Without a working directory, paths are shown as they are.
    let here = std::env::current_dir().unwrap_or_default();
    let plain = Renderer::new(&text_of, false).relative_to(&here.to_string_lossy());
    let mut plain = plain.with_texts(|text, author| as_under_taut(text, author, ""));
    Group::all(diagnostics).iter().map(|group| plain.render_group(group)).collect()
}

/// The text of a file.
fn text_of(file: &str) -> Option<std::sync::Arc<str>> {
    let bytes = Named::of_user(Path::new(file)).ok()?.at().read_followed().ok()??;
    Some(String::from_utf8_lossy(&bytes).into_owned().into())
}

/// The same, or the text that is in no file of the system.
fn text_in(inline: &Inline, file: &str, log: &Log) -> Option<std::sync::Arc<str>> {
    match inline {
        Some((name, text)) if **name == *file => Some(text.clone()),
        // Files of the system first: labels of other roots, such as `git tree …`, are hardly ever names of files.
        _ => text_of(file).or_else(|| log.root_text(file)),
    }
}

/// The same, where some of it is about a text that is in no file.
pub(crate) fn report_with(diagnostics: &Diagnostics, inline: &Inline, level: Level, log: &Log) {
    let text = |file: &str| text_in(inline, file, log);
    voice::of(log).diagnostics(diagnostics, &text, level, log);
    // One by one and without colour, however they were shown.
    only_collect(diagnostics, inline, log);
}
