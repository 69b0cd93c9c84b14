//! The compilation database of a request: every action that compiles C or C++, with the paths of the workspace.
//!
//! An action compiles in a directory of its own, in which headers lie where its rule put them. An editor needs the files
//! that people edit. So directories of includes are replaced by the directories of the sources that are staged there,
//! where a source keeps the end of its path; and by one directory, a *view*, with all that lies elsewhere: generated
//! files, and sources under other names, as links. A view is named by the definitions of what is in it, so its path stays
//! the same when a generator makes something else.
//!
//! Rules are not asked: an action compiles if a word of its command names a compiler and `-c` and a source follow it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use taut_repos::RepoConfig;
use taut_value::{ActionDescription, Artifact, Encoder, Id, Map, Str, path::normal_path};

use crate::{Closure, Wanted, graph::Definition, graph::DefinitionKey, join};

/// The command that compiles one file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct CompileCommand {
    /// The source: an absolute path.
    pub file: String,
    /// The command, with absolute paths.
    pub arguments: Vec<String>,
}

/// What is in a view, by path.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct View {
    /// What has to be built.
    pub artifacts: BTreeMap<String, Artifact>,
    /// Links to files of the workspace, by their absolute paths.
    pub links: BTreeMap<String, PathBuf>,
}

/// All commands, and the directories that they refer to.
#[derive(Default, Debug)]
pub struct CompileCommands {
    /// Sorted, each once.
    pub commands: BTreeSet<CompileCommand>,
    /// By the names of their directories.
    pub views: BTreeMap<String, View>,
}

impl CompileCommands {
    /// The commands of all targets below a request. `views`: the absolute path of the directory in which views will be.
    pub fn of(closure: &Closure, repositories: &RepoConfig, views: &Path) -> CompileCommands {
        let mut found = CompileCommands::default();
        let ids: BTreeSet<&Id> =
            closure.reached.iter().flat_map(|reached| &reached.analysed.defined.actions).collect();
        for action in ids.into_iter().filter_map(|id| closure.action(id)) {
            if let Some(compile) = Compile::of(action) {
                let inputs = expanded(closure, &action.inputs);
                Mapped { action, inputs, repositories, views }.add(&compile, &mut found);
            }
        }
        found
    }

    /// What has to be built for the views.
    pub fn wanted(&self) -> Wanted {
        let all = self.views.iter().flat_map(|(view, of)| {
            of.artifacts.iter().map(move |(path, artifact)| (Str::from(join(view, path)), artifact.clone()))
        });
        Wanted { artifacts: all.collect(), ..Wanted::default() }
    }
}

/// Where in a command a compiler and its source are.
struct Compile {
    /// The words from the compiler on.
    words: Vec<Str>,
    /// The place of the source among these.
    source: usize,
}

impl Compile {
    fn of(action: &ActionDescription) -> Option<Compile> {
        let command = match &action.command[..] {
            [shell, option, script]
                if is_shell(shell) && option.starts_with('-') && option.ends_with('c') =>
            {
                simple_command(script)?
            }
            command => command.to_vec(),
        };
        let begin = command.iter().position(|word| is_compiler(word))?;
        let words = command[begin..].to_vec();
        if !words.iter().any(|word| word.as_str() == "-c") {
            return None;
        }
        let mut place = 1;
        let mut source = None;
        while place < words.len() {
            let word = words[place].as_str();
            if takes_value(word) {
                place += 1;
            } else if !word.starts_with(['-', '@']) && is_source(word) {
                source = Some(place);
            }
            place += 1;
        }
        source.map(|source| Compile { words, source })
    }
}

fn is_shell(word: &str) -> bool {
    matches!(word.rsplit('/').next(), Some("sh" | "bash" | "dash"))
}

/// The words of a script that is one command and has nothing that a shell treats in a special way.
fn simple_command(script: &str) -> Option<Vec<Str>> {
    let is_plain = |c: char| c.is_alphanumeric() || " \t-_./+=,:@%".contains(c);
    let script = script.trim();
    script.chars().all(is_plain).then(|| script.split_whitespace().map(Str::from).collect())
}

/// Whether a word names a compiler of C or C++: `cc`, `c++`, `gcc`, `g++`, `clang`, `clang++`, in a directory or not, with
/// a machine in front or not, and with a version behind or not.
fn is_compiler(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or(word);
    let unversioned = match name.rsplit_once('-') {
        Some((front, version)) if version.starts_with(|c: char| c.is_ascii_digit()) => front,
        _ => name,
    };
    let last = unversioned.rsplit('-').next().unwrap_or(unversioned);
    matches!(last, "cc" | "c++" | "gcc" | "g++" | "clang" | "clang++")
}

fn is_source(word: &str) -> bool {
    let ending = word.rsplit_once('.').map(|(_, ending)| ending);
    matches!(ending, Some("c" | "cc" | "cpp" | "cxx" | "c++" | "C" | "cu" | "m" | "mm"))
}

/// Options whose value is the next word.
fn takes_value(word: &str) -> bool {
    matches!(
        word,
        "-o" | "-x" | "-MF" | "-MT" | "-MQ" | "-D" | "-U" | "-arch" | "-target" | "-Xclang" | "--param"
    ) || INCLUDES.contains(&word)
        || FILES.contains(&word)
}

/// Options with a directory of includes.
const INCLUDES: [&str; 5] = ["-I", "-iquote", "-isystem", "-idirafter", "-F"];

/// Options with a file.
const FILES: [&str; 3] = ["-include", "-imacros", "-include-pch"];

/// Options that only concern what a compiler writes, and that name the directory of the action or files in it.
fn is_left_out(word: &str) -> bool {
    const PREFIXES: [&str; 5] = [
        "-ffile-prefix-map=",
        "-fdebug-prefix-map=",
        "-fmacro-prefix-map=",
        "-frandom-seed=",
        "-fdebug-compilation-dir=",
    ];
    const FLAGS: [&str; 6] = ["-M", "-MM", "-MD", "-MMD", "-MP", "-MG"];
    FLAGS.contains(&word) || PREFIXES.iter().any(|prefix| word.starts_with(prefix))
}

/// A stage without trees: what is in them lies beside the rest. Trees that are known objects stay.
fn expanded(closure: &Closure, stage: &Map) -> BTreeMap<String, Artifact> {
    let mut all = BTreeMap::new();
    let mut pending: Vec<(String, Artifact)> = stage
        .iter()
        .filter_map(|(path, value)| Some((normal_path(path), value.as_artifact()?.clone())))
        .collect();
    while let Some((path, artifact)) = pending.pop() {
        let definition = DefinitionKey::of_artifact(&artifact).and_then(|name| closure.definition(name));
        match definition.map(|definition| &**definition) {
            Some(Definition::Tree(tree)) => {
                pending.extend(tree.stage().iter().filter_map(|(below, value)| {
                    Some((normal_path(&join(&path, below)), value.as_artifact()?.clone()))
                }))
            }
            // A disjoint overlay has nothing twice; of another one the latter is above, and is handled last.
            Some(Definition::Overlay(overlay)) => {
                pending.extend(overlay.trees().iter().rev().map(|tree| (path.clone(), tree.clone())));
            }
            _ => drop(all.insert(path, artifact)),
        }
    }
    all
}

/// A compile action with its inputs.
struct Mapped<'m> {
    action: &'m ActionDescription,
    inputs: BTreeMap<String, Artifact>,
    repositories: &'m RepoConfig,
    views: &'m Path,
}

/// The directory of the view, before its name is known.
const VIEW: &str = "\u{0}view";

impl Mapped<'_> {
    /// A path in the directory of the action, from a word of the command.
    fn staged(&self, word: &str) -> Option<String> {
        (!word.starts_with('/')).then(|| normal_path(&join(&self.action.cwd, word)))
    }

    /// The file of the workspace that is staged as an input.
    fn source(&self, artifact: &Artifact) -> Option<PathBuf> {
        let Artifact::Local { path, repository } = artifact else { return None };
        let root = &self.repositories.repositories.get(repository)?.workspace_root;
        Some(root.directory()?.join(path.as_str()))
    }

    /// The place of an input that a command names.
    fn file(&self, word: &str, view: &mut View) -> Option<String> {
        let staged = self.staged(word)?;
        let artifact = self.inputs.get(&staged)?;
        if let Some(path) = self.source(artifact) {
            return Some(path.to_string_lossy().into_owned());
        }
        view.artifacts.insert(staged.clone(), artifact.clone());
        Some(format!("{VIEW}/{staged}"))
    }

    /// The directories that have what is staged below a directory.
    fn directories(&self, word: &str, view: &mut View) -> Vec<String> {
        let Some(staged) = self.staged(word) else { return vec![word.to_owned()] };
        let mut directories: Vec<String> = Vec::new();
        let mut is_in_view = false;
        for (path, artifact) in &self.inputs {
            let below = match staged.as_str() {
                "." => Some(path.as_str()),
                staged => path.strip_prefix(staged).and_then(|rest| rest.strip_prefix('/')),
            };
            // Hidden directories are where rules keep what has a directory of its own among the options.
            let Some(below) = below.filter(|below| !below.starts_with('.')) else { continue };
            let source = self.source(artifact);
            let base = source.as_ref().and_then(|source| {
                let source = source.to_str()?;
                Some(source.strip_suffix(below)?.strip_suffix('/')?.to_owned())
            });
            match (base, source) {
                (Some(base), _) if directories.contains(&base) => {}
                (Some(base), _) => directories.push(base),
                (None, Some(source)) => {
                    is_in_view = true;
                    view.links.insert(path.clone(), source);
                }
                (None, None) => {
                    is_in_view = true;
                    view.artifacts.insert(path.clone(), artifact.clone());
                }
            }
        }
        if is_in_view {
            directories.push(if staged == "." { VIEW.to_owned() } else { format!("{VIEW}/{staged}") });
        }
        directories
    }

    fn add(&self, compile: &Compile, found: &mut CompileCommands) {
        let mut view = View::default();
        let words = &compile.words;
        let Some(file) = self.file(&words[compile.source], &mut view) else { return };
        let mut arguments = vec![words[0].to_string()];
        // A source finds generated files beside it without an option.
        let beside = words[compile.source].rsplit_once('/').map_or(".", |(directory, _)| directory);
        let own = self.directories(beside, &mut view);
        let mut extra: Vec<String> = own.into_iter().filter(|path| path.starts_with(VIEW)).collect();
        let mut place = 1;
        while place < words.len() {
            let word = words[place].as_str();
            let next = words.get(place + 1).map(Str::as_str);
            place += 1;
            let joined = INCLUDES.iter().find_map(|option| Some((*option, word.strip_prefix(option)?)));
            match (joined, next) {
                _ if place - 1 == compile.source => arguments.push(file.clone()),
                (Some((option, "")), Some(directory)) => {
                    place += 1;
                    for directory in self.directories(directory, &mut view) {
                        arguments.extend([option.to_owned(), directory]);
                    }
                }
                (Some((option, directory)), _) if !directory.is_empty() => {
                    for directory in self.directories(directory, &mut view) {
                        arguments.extend([option.to_owned(), directory]);
                    }
                }
                (_, Some(_)) if matches!(word, "-o" | "-MF" | "-MT" | "-MQ") => place += 1,
                (_, Some(path)) if FILES.contains(&word) => {
                    place += 1;
                    let path = self.file(path, &mut view).unwrap_or_else(|| path.to_owned());
                    arguments.extend([word.to_owned(), path]);
                }
                _ if is_left_out(word) || word.starts_with("-MF") => {}
                _ => match word.strip_prefix('@') {
                    Some(path) => {
                        let path = self.file(path, &mut view).unwrap_or_else(|| path.to_owned());
                        arguments.push(format!("@{path}"));
                    }
                    None => arguments.push(self.file(word, &mut view).unwrap_or_else(|| word.to_owned())),
                },
            }
        }
        extra.retain(|path| !arguments.contains(path));
        for path in extra {
            arguments.splice(1..1, ["-iquote".to_owned(), path]);
        }
        let name = view.name();
        let directory = self.views.join(&name).to_string_lossy().into_owned();
        let placed = |text: &String| text.replace(VIEW, &directory);
        found.commands.insert(CompileCommand {
            file: placed(&file),
            arguments: arguments.iter().map(placed).collect(),
        });
        if view != View::default() {
            found.views.insert(name, view);
        }
    }
}

impl View {
    /// The beginning of the hash of all paths, and of the definition, or the file, at each.
    fn name(&self) -> String {
        let mut e = Encoder::new();
        e.number(self.artifacts.len() as u64);
        for (path, artifact) in &self.artifacts {
            e.text(&Str::from(path.as_str()));
            e.artifact(artifact);
        }
        for (path, source) in &self.links {
            e.text(&Str::from(path.as_str()));
            e.bytes(source.to_string_lossy().as_bytes());
        }
        let mut name = Id::of(e.finish()).to_hex();
        name.truncate(20);
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilers_are_recognised_by_name() {
        for (word, expected) in [
            ("cc", true),
            ("/usr/bin/c++", true),
            ("aarch64-linux-gnu-g++-12", true),
            ("clang-18", true),
            ("x86_64-w64-mingw32-gcc", true),
            ("ar", false),
            ("ccache", false),
            ("cc1", false),
            ("sh", false),
        ] {
            assert_eq!(is_compiler(word), expected, "{word}");
        }
    }

    #[test]
    fn an_action_compiles_if_a_source_follows_a_compiler() {
        let source = |words: &[&str]| {
            let mut action = ActionDescription::default();
            action.command = words.iter().map(|word| Str::from(*word)).collect();
            Compile::of(&action).map(|compile| compile.words[compile.source].to_string())
        };
        assert_eq!(source(&["env", "A=b", "cc", "-c", "a.c", "-o", "b.c"]).as_deref(), Some("a.c"));
        assert_eq!(
            source(&["c++", "-include", "x.cc", "-c", "-o", "o", "d/y.cc"]).as_deref(),
            Some("d/y.cc")
        );
        assert_eq!(source(&["cc", "a.c", "-o", "a"]), None);
        assert_eq!(source(&["cc", "-c", "a.s"]), None);
        assert_eq!(source(&["sh", "-c", "a.c"]), None);
        assert_eq!(source(&["sh", "-c", "cc -O1 -c d/a.c -o a.o\n"]).as_deref(), Some("d/a.c"));
        assert_eq!(source(&["sh", "-c", "cc -c \"$1\" -o a.o a.c"]), None);
        assert_eq!(source(&["sh", "-c", "cd d && cc -c a.c"]), None);
    }
}
