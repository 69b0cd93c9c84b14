//! What to do about a compilation that misses a header which is in the workspace: an action sees only the files that are its
//! inputs, which compilers do not mention.

use std::{collections::BTreeSet, path::Path};

use taut_driver::{RepoConfig, event::Origin};
use taut_value::{ActionDescription, Artifact, Value};

/// What helps if a compiler did not find a header that is a file of the repository of the target.
pub(super) fn hint(
    action: &ActionDescription,
    printed: &[String],
    origin: &Origin,
    repositories: &RepoConfig,
) -> Option<String> {
    let name = printed.iter().flat_map(|text| text.lines()).find_map(named_in)?;
    let Value::Name(target) = &origin.target else { return None };
    let target = target.as_named()?;
    let root = repositories.repositories.get(&target.repository)?.workspace_root.directory()?;
    let staged = || action.inputs.iter().map(|(at, value)| (at.as_str(), value.as_artifact()));
    let inputs: BTreeSet<&str> = staged()
        .filter_map(|(_, artifact)| match artifact? {
            Artifact::Local { path, .. } => Some(path.as_str()),
            _ => None,
        })
        .collect();
    let is_input = |path: &str| {
        // Below a directory that is an input as a whole.
        let is_in = |(at, artifact): (&str, Option<&Artifact>)| {
            !matches!(artifact, Some(Artifact::Local { .. })) && Path::new(path).starts_with(at)
        };
        inputs.contains(path) || staged().any(is_in)
    };
    // Where its name may begin: the directories of the target and of the inputs, and those above them.
    let places = inputs.iter().copied().chain([target.module.as_str()]);
    let directories: BTreeSet<&Path> = places.flat_map(|place| Path::new(place).ancestors()).collect();
    let found = directories.iter().flat_map(|directory| {
        ["", "include", "src"].map(|below| directory.join(below).join(name).to_string_lossy().into_owned())
    });
    let is_file = |path: &String| taut_sys::Named::stat(&root.join(path)).is_ok_and(|stat| stat.is_file());
    let path = found.filter(|path| !is_input(path)).find(is_file)?;
    Some(format!(
        "help: {path} is there, but is no input of the action: name it, or a target that has it, in the target"
    ))
}

/// The header that a line names as one that was not found, as compilers print it; one that is below some directory.
fn named_in(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("fatal error: ")?;
    let name = match rest.strip_suffix(": No such file or directory") {
        Some(name) => name,
        None => rest.strip_suffix(" file not found")?.trim_matches(['\'', '"']),
    };
    let is_below = !name.is_empty() && !Path::new(name).is_absolute();
    // Compilers print the same of programs and of arguments.
    (is_below && !name.contains(char::is_whitespace) && !name.contains(['\'', '‘', ':'])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::named_in;

    #[test]
    fn what_compilers_print_names_the_header() {
        for (line, header) in [
            ("main.c:1:10: fatal error: a/b.h: No such file or directory", Some("a/b.h")),
            ("main.c:1:10: fatal error: 'a/b.h' file not found", Some("a/b.h")),
            ("main.c:1:10: fatal error: /decoy/b.h: No such file or directory", None),
            ("gcc: fatal error: cannot execute 'cc1': execvp: No such file or directory", None),
            ("cc1: fatal error: main.c: No such file or directory", Some("main.c")),
            ("main.c:1:10: error: b.h", None),
            ("", None),
        ] {
            assert_eq!(named_in(line), header, "{line}");
        }
    }
}
