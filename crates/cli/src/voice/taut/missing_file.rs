//! Advice for an action that fails because a file of the workspace, such as a header, is not among its inputs.
//! Compilers and other tools report only that the file does not exist.

use std::{collections::BTreeSet, path::Path};

use taut_driver::{RepoConfig, event::Origin, targets_with_file};
use taut_syntax::{did_you_mean, quoted, with_and};
use taut_sys::{Dir, FileKind};
use taut_value::path::{is_non_upwards, normal_path};
use taut_value::{ActionDescription, Artifact, NamedTarget, Str, Value, named_as_typed};

/// How many files that a tool did not find are looked for.
// One missing header may cause an error in each of thousands of sources.
const MAX_LOOKED_FOR: usize = 20;

/// How many directories are listed to find a header.
const MAX_LISTED: usize = 50;

/// What helps if a tool did not find a file that is one of the repository of the target.
pub(super) fn hint(
    action: &ActionDescription,
    printed: &[String],
    origin: &Origin,
    repositories: &RepoConfig,
) -> Option<String> {
    let Value::Name(target) = &origin.target else { return None };
    let target = target.as_named()?;
    let lines = printed.iter().flat_map(|text| text.lines());
    let mut named = lines.filter_map(named_in).take(MAX_LOOKED_FOR);
    named.find_map(|missing| hint_about(missing, action, printed, target, repositories))
}

/// A file that was not found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Missing<'l> {
    name: &'l str,
    is_header: bool,
}

fn hint_about(
    missing: Missing<'_>,
    action: &ActionDescription,
    printed: &[String],
    target: &NamedTarget,
    repositories: &RepoConfig,
) -> Option<String> {
    let name = missing.name;
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
        // The usual names of directories from which headers are included.
        ["", "include", "src"].map(|below| normal_path(&directory.join(below).join(name).to_string_lossy()))
    });
    let places: Vec<String> = found.filter(|path| is_non_upwards(path)).collect();
    let is_file = |path: &&String| taut_sys::Named::stat(&root.join(path)).is_ok_and(|stat| stat.is_file());
    let mut found: Vec<&String> = places.iter().filter(is_file).collect();
    // What it was to make itself is nothing that others have to give it.
    let is_own = action.outs.iter().any(|out| out.as_str() == name);
    if found.is_empty() && !is_own {
        let mut made = places.iter().filter(|path| !is_input(path)).take(MAX_LOOKED_FOR);
        if let Some(hint) = made.find_map(|path| made_by(path, target, repositories)) {
            return Some(hint);
        }
    }
    // A header in a directory that is not searched, whatever that is called.
    let deeper = match found.is_empty() && missing.is_header {
        true => one_deeper(root, &directories, name),
        false => Vec::new(),
    };
    found.extend(deeper.iter().filter(is_file));
    let Some(path) = found.iter().find(|path| !is_input(path)) else {
        if !missing.is_header {
            return None;
        }
        let angled = format!("<{name}>");
        let is_angled = printed.iter().any(|text| text.contains(&angled));
        let written = if is_angled { angled } else { format!("\"{name}\"") };
        let of_other_name = found.iter().find_map(|path| other_name(action, path, &written));
        return of_other_name.or_else(|| similar_name(action, name, is_angled));
    };
    let shown = |(having, field): &(NamedTarget, String)| {
        format!("{} has it in {}", typed(having, repositories), quoted(field))
    };
    let named_in = targets_with_file(repositories, &target.repository, path);
    let others = named_in.iter().filter(|(having, _)| having != target);
    let named_in: Vec<String> = others.take(MAX_NAMED).map(shown).collect();
    let named_in = if named_in.is_empty() { String::new() } else { format!(" ({})", with_and(&named_in)) };
    Some(format!(
        "help: {path} is there, but is not an input of the action: name it, or a target that has it, in the target{named_in}"
    ))
}

/// The paths that a name may have one directory below some others, and below their usual directories for headers.
fn one_deeper(root: &Path, directories: &BTreeSet<&Path>, name: &str) -> Vec<String> {
    let mut places = Vec::new();
    let above =
        directories.iter().flat_map(|directory| ["", "include", "src"].map(|below| directory.join(below)));
    for directory in above.take(MAX_LISTED) {
        // What is not a directory, or cannot be listed, has nothing to suggest.
        let listed =
            Dir::of_user(&root.join(&directory)).and_then(|opened| opened.list()).unwrap_or_default();
        let below = listed.into_iter().filter(|(_, kind)| *kind == FileKind::Directory);
        places.extend(below.filter_map(|(below, _)| {
            let path = directory.join(below).join(name);
            path.to_str().map(normal_path).filter(|path| is_non_upwards(path))
        }));
    }
    places
}

/// What helps if a target makes the file, which is not an input.
fn made_by(path: &str, target: &NamedTarget, repositories: &RepoConfig) -> Option<String> {
    let named_in = targets_with_file(repositories, &target.repository, path);
    let (maker, _) = named_in.iter().find(|(having, field)| having != target && field == "outs")?;
    let maker = typed(maker, repositories);
    Some(format!(
        "help: {maker} makes {path}, which is not an input of the action: name that target, or one that has it, in the target"
    ))
}

/// A target as one types it.
fn typed(target: &NamedTarget, repositories: &RepoConfig) -> String {
    let is_main = target.repository == repositories.main;
    let repository = if is_main { Str::default() } else { target.repository.clone() };
    named_as_typed(&NamedTarget::new(repository, target.module.clone(), target.name.clone()))
}

/// How many targets that have the header are named.
const MAX_NAMED: usize = 3;

/// Where rules put headers that are included by their public names.
const PUBLIC: &str = ".include/";

/// What helps if a header is an input, but is not found as it is included.
fn other_name(action: &ActionDescription, path: &str, written: &str) -> Option<String> {
    let is_file = |value: &Value| match value.as_artifact() {
        Some(Artifact::Local { path: local, .. }) => local.as_str() == path,
        _ => false,
    };
    let places = action.inputs.iter().filter(|(_, value)| is_file(value)).map(|(at, _)| at.as_str());
    // The public name, if it has one: that is how others include it.
    let at = places.max_by_key(|at| at.starts_with(PUBLIC))?;
    let include = match at.strip_prefix(PUBLIC) {
        Some(public) => format!("<{public}>"),
        None => format!("\"{at}\""),
    };
    (include != written)
        .then(|| format!("help: {path} is an input of the action; it is included by #include {include}"))
}

/// What helps if no header is called as it is included, but one of the inputs almost is.
fn similar_name(action: &ActionDescription, name: &str, is_angled: bool) -> Option<String> {
    let names = action.inputs.keys().map(|at| at.strip_prefix(PUBLIC).unwrap_or(at));
    let is_public = |meant: &str| action.inputs.contains_key(format!("{PUBLIC}{meant}").as_str());
    let meant = did_you_mean(name, names)?;
    let include = match is_angled && is_public(meant) {
        true => format!("<{meant}>"),
        false => format!("\"{meant}\""),
    };
    Some(format!("help: no input of the action is called {name}; did you mean #include {include}?"))
}

/// The file that a line reports as not found, in the formats of compilers and other tools; only a path with a
/// directory.
fn named_in(line: &str) -> Option<Missing<'_>> {
    let (name, is_header) = match line.split_once("fatal error: ") {
        Some((_, rest)) => match rest.strip_suffix(": No such file or directory") {
            Some(name) => (name, true),
            None => (rest.strip_suffix(" file not found")?, true),
        },
        // Python has the name behind it.
        None => match line.split_once("No such file or directory: ") {
            Some((_, name)) => (name, false),
            None => {
                // The last two are of GNU as and of shells; the first is what `strerror` prints.
                let endings = [": No such file or directory", ": No such file", ": not found"];
                let before = endings.iter().find_map(|ending| line.strip_suffix(ending))?;
                (before.rsplit(' ').next()?, false)
            }
        },
    };
    let name = name.trim_matches(QUOTES);
    let name = name.strip_prefix("./").unwrap_or(name);
    let is_below = !name.is_empty() && !Path::new(name).is_absolute() && !name.starts_with('-');
    // Compilers print the same of programs and of arguments.
    let is_path =
        is_below && !name.contains(char::is_whitespace) && !name.contains(QUOTES) && !name.contains(':');
    is_path.then_some(Missing { name, is_header })
}

/// What tools put names in.
const QUOTES: [char; 5] = ['\'', '"', '‘', '’', '`'];

#[cfg(test)]
mod tests {
    use super::named_in;

    #[test]
    fn what_tools_print_names_the_file() {
        for (line, header) in [
            ("main.c:1:10: fatal error: a/b.h: No such file or directory", Some(("a/b.h", true))),
            ("main.c:1:10: fatal error: 'a/b.h' file not found", Some(("a/b.h", true))),
            ("main.c:1:10: fatal error: /decoy/b.h: No such file or directory", None),
            ("gcc: fatal error: cannot execute 'cc1': execvp: No such file or directory", None),
            ("cc1: fatal error: main.c: No such file or directory", Some(("main.c", true))),
            ("cat: a.txt: No such file or directory", Some(("a.txt", false))),
            ("ls: cannot access 'd/a.txt': No such file or directory", Some(("d/a.txt", false))),
            ("FileNotFoundError: [Errno 2] No such file or directory: 'a.txt'", Some(("a.txt", false))),
            ("sh: 1: cannot open a.txt: No such file", Some(("a.txt", false))),
            ("sh: 1: ./a.sh: not found", Some(("a.sh", false))),
            ("/usr/bin/ld: cannot find -lm: No such file or directory", None),
            ("main.c:1:10: error: b.h", None),
            ("", None),
        ] {
            let found = named_in(line).map(|missing| (missing.name, missing.is_header));
            assert_eq!(found, header, "{line}");
        }
    }
}
