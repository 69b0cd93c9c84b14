//! What is wrong with files, told on the log: rendered for people, and collected for `--diagnostics FILE`.

use std::{collections::HashSet, path::Path};

use taut_driver::{Diagnostic, Diagnostics, Group, Renderer};
use taut_sys::Named;

use crate::diagnostics_file::diagnostic_as_json;
use crate::log::{Level, Log};

/// A text that stands in no file, for example a word of the command line, by the name that diagnostics
/// have for it.
pub(crate) type Inline = Option<(std::sync::Arc<str>, std::sync::Arc<str>)>;

/// Tells what is wrong.
pub(crate) fn tell(diagnostics: &Diagnostics, level: Level, log: &Log) {
    tell_with(diagnostics, &None, level, log);
}

/// The texts that tell what is wrong, without colour.
pub(crate) fn plain(diagnostics: &Diagnostics) -> Vec<String> {
    let here = std::env::current_dir().unwrap_or_default();
    let plain = Renderer::new(&text_of, false).relative_to(&here.to_string_lossy());
    let mut plain = plain.with_names(taut_value::names_as_typed);
    Group::all(diagnostics).iter().map(|group| plain.render_group(group)).collect()
}

/// The text of a file.
fn text_of(file: &str) -> Option<std::sync::Arc<str>> {
    let bytes = Named::of_user(Path::new(file)).ok()?.at().read_followed().ok()??;
    Some(String::from_utf8_lossy(&bytes).into_owned().into())
}

/// The same, where some of it is about a text that is in no file.
pub(crate) fn tell_with(diagnostics: &Diagnostics, inline: &Inline, level: Level, log: &Log) {
    let text = |file: &str| {
        if let Some((name, text)) = inline
            && **name == *file
        {
            return Some(text.clone());
        }
        text_of(file)
    };
    let here = std::env::current_dir().unwrap_or_default();
    let renderer = |color| {
        let renderer = Renderer::new(&text, color).relative_to(&here.to_string_lossy());
        match log.is_as_reference() {
            true => renderer,
            false => renderer.with_names(taut_value::names_as_typed),
        }
    };
    let mut plain = renderer(false);
    if log.is_as_reference() {
        let mut shown: HashSet<String> = HashSet::new();
        for message in diagnostics.referenced().iter().flat_map(Diagnostic::reference_messages) {
            if message.once.iter().any(|name| shown.contains(name)) {
                continue;
            }
            shown.extend(message.once);
            let level = if message.is_warning { Level::Warn } else { level };
            log.say_of_files(level, message.text);
        }
    } else {
        let mut colored = renderer(log.color());
        for group in Group::all(diagnostics) {
            log.say_of_files(level, colored.render_group(&group));
        }
    }
    if log.is_collecting() {
        for diagnostic in diagnostics.iter() {
            log.collect(diagnostic_as_json(diagnostic, &mut plain));
        }
    }
}
