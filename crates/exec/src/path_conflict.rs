//! The message for a path of an action that is below an input file: it names both paths, before anything is staged.

use std::borrow::Cow;

use taut_digest::ObjectInfo;
use taut_value::{ActionDescription, Str};

use crate::stage::StageContent;

/// The reason why the directory cannot be made, if a file is at a path where a directory has to be.
pub(crate) fn reason(
    wanted: &StageContent,
    action: &ActionDescription,
    inputs: &[(Cow<'_, str>, ObjectInfo)],
) -> Option<String> {
    let file = String::from_utf8_lossy(wanted.blocked()?).into_owned();
    // An output directory conflicts with a file at its own path, too; an output file only with one above it.
    let lies_there = |path: &str| path == file || is_below(path, &file);
    let normal = |path: &Str| taut_value::path::normal_path(path);
    let (outs, out_dirs) = (action.outs.iter(), action.out_dirs.iter());
    // In the order in which a rule's author would look: outputs are what the rule declares itself.
    let (what, path) = if let Some(path) = outs.map(normal).find(|path| is_below(path, &file)) {
        ("output", path)
    } else if let Some(path) = out_dirs.map(normal).find(|path| lies_there(path)) {
        ("output directory", path)
    } else if lies_there(&normal(&action.cwd)) {
        ("working directory", normal(&action.cwd))
    } else if let Some((path, _)) = inputs.iter().find(|(path, _)| is_below(path, &file)) {
        ("input", path.to_string())
    } else {
        ("directory", file.clone())
    };
    Some(match path == file {
        true => format!("{what} {path} is an input that is a file"),
        false => format!("{what} {path} lies below {file}, which is an input that is a file"),
    })
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}
