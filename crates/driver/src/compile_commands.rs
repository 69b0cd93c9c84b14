//! The compilation database of a request: every action that compiles C or C++, with the paths of the workspace.
//!
//! An action compiles in a directory of its own, in which headers lie where its rule put them. An editor needs the
//! files that people edit. So a directory of includes is replaced by the directories of the sources that are staged in
//! it, if these keep the end of their path. Everything else (generated files, and sources under other names) is linked
//! from one more directory, a *view*. A view is named by the definitions of its contents, so its path stays the same
//! when the output of a generator changes.
//!
//! Rules are not asked: `compile_commands/compiler.rs` finds what the command of an action compiles, and
//! `compile_commands/shell.rs` reads scripts for it. An action that may compile and cannot be read is named in the
//! result.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use taut_analysis::ConfiguredTarget;
use taut_digest::ObjectType;
use taut_repos::RepoConfig;
use taut_value::{ActionDescription, Artifact, Encoder, Id, Map, Str, path::normal_path};

use crate::{Closure, ReachedTarget, WantedArtifacts, graph::Definition, graph::DefinitionKey, join};

mod compiler;
mod shell;

use compiler::{Argument, Compile, Compiles, Files, is_header, is_source};

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
    // Sorted, so an unchanged database is the same file.
    pub commands: BTreeSet<CompileCommand>,
    /// By the names of their directories.
    pub views: BTreeMap<String, View>,
    /// The actions whose commands could not be read, or only in part, although they may compile something; each with a
    /// target that defines it.
    pub partial: BTreeMap<Id, ConfiguredTarget>,
    /// Whether scripts of the workspace were read for it, which analysis does not depend on.
    pub read_scripts: bool,
}

impl CompileCommands {
    /// The commands of all targets below a request. `views`: the absolute path of the directory in which views will be.
    pub fn of(closure: &Closure, repositories: &RepoConfig, views: &Path) -> CompileCommands {
        let mut found = CompileCommands::default();
        let mut defined: BTreeMap<&Id, &ConfiguredTarget> = BTreeMap::new();
        for ReachedTarget { target, analysed } in &closure.reached {
            for id in &analysed.defined.actions {
                // The first target in the order of names, so the one that messages name is always the same.
                defined.entry(id).or_insert(target);
            }
        }
        for (id, target) in defined {
            let Some(action) = closure.action(id) else { continue };
            let inputs = expanded(closure, &action.inputs);
            // What generates no source and is given none compiles nothing.
            if !inputs.iter().any(|(path, artifact)| is_source(path) || is_header(path) || is_tree(artifact))
                && !action.outs.iter().any(|path| is_source(path))
            {
                continue;
            }
            let has_sources = inputs.keys().any(|path| is_source(path));
            let reads_script = Cell::new(false);
            let mut mapped =
                Mapped { action, inputs, repositories, closure, views, reads_script: &reads_script };
            let compiles = Compiles::of(action, &mapped);
            // After the command was read: patterns in it match inputs only, as outputs are not
            // there when it begins.
            mapped.add_own_outputs();
            // Reported only if a source is among its inputs: most other actions compile nothing, and a report
            // about each would hide those that matter.
            let mut is_partial = compiles.is_partial && has_sources;
            for compile in &compiles.all {
                for (number, source) in compile.sources().enumerate() {
                    is_partial |= !mapped.add(compile, number, source, &mut found);
                }
            }
            if is_partial {
                found.partial.insert(*id, target.clone());
            }
            found.read_scripts |= reads_script.get();
        }
        found
    }

    /// What has to be built for the views.
    pub fn wanted(&self) -> WantedArtifacts {
        let all = self.views.iter().flat_map(|(view, of)| {
            of.artifacts.iter().map(move |(path, artifact)| (Str::from(join(view, path)), artifact.clone()))
        });
        WantedArtifacts { artifacts: all.collect(), ..WantedArtifacts::default() }
    }
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

/// Whether an artifact is known to be a tree, or may be one.
fn is_tree(artifact: &Artifact) -> bool {
    match artifact {
        Artifact::Known(info) => info.object_type == ObjectType::Tree,
        Artifact::Tree(_) | Artifact::TreeOverlay(_) => true,
        Artifact::Local { .. } | Artifact::Action { .. } => false,
    }
}

/// A compile action with its inputs.
struct Mapped<'m> {
    action: &'m ActionDescription,
    inputs: BTreeMap<String, Artifact>,
    repositories: &'m RepoConfig,
    closure: &'m Closure,
    views: &'m Path,
    reads_script: &'m Cell<bool>,
}

/// The directory of the view, before its name is known.
// A zero byte occurs in no word of a command, so the replacement below finds nothing else.
const VIEW: &str = "\u{0}view";

impl Files for Mapped<'_> {
    // Inputs are sorted by bytes, as a shell in the C locale sorts what it finds.
    fn matching(&self, directory: &str, pattern: &str) -> Vec<String> {
        let Some(staged) = staged(directory, pattern) else { return Vec::new() };
        let below = pattern.rsplit_once('/').map_or("", |(above, _)| above);
        let matches = self.inputs.keys().filter(|path| is_match(&staged, path));
        matches
            .map(|path| {
                let name = path.rsplit('/').next().unwrap_or(path);
                if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") }
            })
            .collect()
    }

    fn is_input(&self, directory: &str, path: &str) -> bool {
        staged(directory, path).is_some_and(|path| self.inputs.contains_key(&path))
    }

    fn script(&self, directory: &str, path: &str) -> Option<String> {
        match self.inputs.get(&staged(directory, path)?)? {
            Artifact::Local { path, repository } => {
                let root = &self.repositories.repositories.get(repository)?.workspace_root;
                self.reads_script.set(true);
                String::from_utf8(root.source.read(path).ok()??).ok()
            }
            Artifact::Known(info) => {
                match &**self.closure.definition(DefinitionKey::blob(&info.digest.hash))? {
                    Definition::Blob(_, content) => Some(content.to_string()),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// A path in the directory of the action, from a word in one of its directories.
fn staged(directory: &str, word: &str) -> Option<String> {
    (!word.starts_with('/')).then(|| normal_path(&join(directory, word)))
}

/// Whether a pattern of a shell matches a path: `*` and `?` match no `/`.
fn is_match(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern, path);
    // Where the last `*` was, and how far it reached.
    let mut back: Option<(&str, &str)> = None;
    loop {
        let (wanted, found) = (pattern.chars().next(), path.chars().next());
        let rest = |text: &'_ str, c: char| text.len() - c.len_utf8();
        match (wanted, found) {
            // With one place to return to (the last `*`), matching takes quadratic time at worst, and not
            // exponential.
            (None, None) => return true,
            (Some('*'), _) => {
                pattern = &pattern[1..];
                back = Some((pattern, path));
            }
            (Some(w), Some(f)) if w == f || (w == '?' && f != '/') => {
                pattern = &pattern[pattern.len() - rest(pattern, w)..];
                path = &path[path.len() - rest(path, f)..];
            }
            _ => match back {
                Some((after, from)) if from.chars().next().is_some_and(|c| c != '/') => {
                    let length = from.chars().next().map_or(0, char::len_utf8);
                    path = &from[length..];
                    (pattern, back) = (after, Some((after, path)));
                }
                _ => return false,
            },
        }
    }
}

impl Mapped<'_> {
    /// Sources and headers that the action makes itself, and then compiles, are at the same places as those of other
    /// actions.
    fn add_own_outputs(&mut self) {
        for path in self.action.outs.iter().filter(|path| is_source(path) || is_header(path)) {
            let output = Artifact::Action { id: self.action.id(), path: path.clone() };
            self.inputs.entry(path.to_string()).or_insert(output);
        }
    }

    /// The file of the workspace that is staged as an input.
    fn source(&self, artifact: &Artifact) -> Option<PathBuf> {
        let Artifact::Local { path, repository } = artifact else { return None };
        let root = &self.repositories.repositories.get(repository)?.workspace_root;
        Some(root.directory()?.join(path.as_str()))
    }

    /// The place of an input.
    fn file(&self, directory: &str, word: &str, view: &mut View) -> Option<String> {
        let staged = staged(directory, word)?;
        let Some(artifact) = self.inputs.get(&staged) else {
            let (path, tree) = self.tree_around(&staged)?;
            view.artifacts.insert(path.to_owned(), tree.clone());
            return Some(format!("{VIEW}/{staged}"));
        };
        // The file that is edited, not a copy: an editor asks for commands by its path.
        if let Some(path) = self.source(artifact) {
            return Some(path.to_string_lossy().into_owned());
        }
        view.artifacts.insert(staged.clone(), artifact.clone());
        Some(format!("{VIEW}/{staged}"))
    }

    /// An input above a path: a directory that an action makes, or one that is known as a whole.
    fn tree_around(&self, staged: &str) -> Option<(&str, &Artifact)> {
        let mut above = staged;
        while let Some((next, _)) = above.rsplit_once('/') {
            above = next;
            if let Some((path, artifact)) = self.inputs.get_key_value(above) {
                return Some((path, artifact));
            }
        }
        None
    }

    /// The directories that have what is staged below a directory.
    fn directories(&self, directory: &str, word: &str, view: &mut View) -> Vec<String> {
        let Some(staged) = staged(directory, word) else { return vec![word.to_owned()] };
        let mut directories: Vec<String> = Vec::new();
        let mut is_in_view = false;
        if let Some((path, tree)) = self
            .inputs
            .get_key_value(&staged)
            .map(|(path, tree)| (&**path, tree))
            .or(self.tree_around(&staged))
        {
            view.artifacts.insert(path.to_owned(), tree.clone());
            is_in_view = true;
        }
        for (path, below, artifact) in self.below(&staged) {
            let source = self.source(artifact);
            let base = source.as_ref().and_then(|source| base_of(source, below));
            match (base, source) {
                (Some(base), _) if directories.contains(&base) => {}
                (Some(base), _) => directories.push(base),
                (None, source) => {
                    is_in_view = true;
                    view.add(path, artifact, source);
                }
            }
        }
        if is_in_view {
            directories.push(in_view(&staged));
        }
        directories
    }

    /// The one directory that has all that is staged below a directory.
    fn directory(&self, directory: &str, word: &str, view: &mut View) -> String {
        let Some(staged) = staged(directory, word) else { return word.to_owned() };
        let mut apart = View::default();
        // If all lies in one directory of the workspace, that one will do; otherwise a view with
        // everything is the only single directory.
        let bases = self.directories(directory, word, &mut apart);
        if let [base] = &bases[..]
            && apart == View::default()
        {
            return base.clone();
        }
        for (path, _, artifact) in self.below(&staged) {
            view.add(path, artifact, self.source(artifact));
        }
        view.artifacts.extend(apart.artifacts);
        in_view(&staged)
    }

    /// The inputs below a directory: their paths, these from the directory on, and what they are. Hidden directories
    /// are where rules keep what has a directory of its own among the options.
    fn below<'p>(&'p self, staged: &str) -> impl Iterator<Item = (&'p str, &'p str, &'p Artifact)> {
        let staged = staged.to_owned();
        self.inputs.iter().filter_map(move |(path, artifact)| {
            let below = match staged.as_str() {
                "." => path.as_str(),
                staged => path.strip_prefix(staged)?.strip_prefix('/')?,
            };
            (!below.starts_with('.')).then_some((path.as_str(), below, artifact))
        })
    }

    /// Adds the command for one of the sources of a call; whether it is known where that is.
    fn add(&self, compile: &Compile, number: usize, source: &str, found: &mut CompileCommands) -> bool {
        let mut view = View::default();
        let here = &compile.directory;
        let Some(file) = self.file(here, source, &mut view) else { return false };
        let program = self.file(here, &compile.program, &mut view);
        let mut arguments = vec![program.unwrap_or_else(|| compile.program.clone())];
        // A source finds generated files beside it without an option.
        // A compiler looks for `#include "x"` beside the file that includes it, before all options.
        let beside = source.rsplit_once('/').map_or(".", |(directory, _)| directory);
        let own = self.directories(here, beside, &mut view);
        let mut extra: Vec<String> = own.into_iter().filter(|path| path.starts_with(VIEW)).collect();
        let (mut of_source, mut searched) = (0, BTreeSet::new());
        for argument in &compile.arguments {
            match argument {
                Argument::Plain(word) => arguments.push(word.clone()),
                Argument::Source(_) => {
                    if of_source == number {
                        if !compile.has_mode {
                            arguments.push("-c".to_owned());
                        }
                        arguments.push(file.clone());
                    }
                    of_source += 1;
                }
                Argument::Includes { option, directory } => {
                    for directory in self.directories(here, directory, &mut view) {
                        // Several directories of the action may be one of the workspace; compilers ignore all but the
                        // first.
                        if searched.insert((option, directory.clone())) {
                            arguments.extend([option.clone(), directory]);
                        }
                    }
                }
                Argument::Root { option, directory, is_joined } => {
                    let directory = self.directory(here, directory, &mut view);
                    push(&mut arguments, option, directory, *is_joined);
                }
                Argument::File { option, path, is_joined } => {
                    let path = self.file(here, path, &mut view).unwrap_or_else(|| path.clone());
                    push(&mut arguments, option, path, *is_joined);
                }
            }
        }
        extra.retain(|path| !arguments.contains(path));
        for path in extra {
            // In front of all other options, as the directory of the source is searched first; `-iquote` is for
            // quoted names only, as that is.
            arguments.splice(1..1, ["-iquote".to_owned(), path]);
        }
        let name = view.name();
        let directory = self.views.join(&name).to_string_lossy().into_owned();
        // The name of the view is a hash of its content, known only when all arguments have been read.
        let placed = |text: &String| text.replace(VIEW, &directory);
        found.commands.insert(CompileCommand {
            file: placed(&file),
            arguments: arguments.iter().map(placed).collect(),
        });
        if view != View::default() {
            found.views.insert(name, view);
        }
        true
    }
}

fn push(arguments: &mut Vec<String>, option: &str, value: String, is_joined: bool) {
    match is_joined {
        true => arguments.push(format!("{option}{value}")),
        false => arguments.extend([option.to_owned(), value]),
    }
}

/// The directory in which a source has a path, if it keeps the end of its own.
fn base_of(source: &Path, below: &str) -> Option<String> {
    // `/w/include/a/b.h` staged as `a/b.h` is found through `-I /w/include`.
    Some(source.to_str()?.strip_suffix(below)?.strip_suffix('/')?.to_owned())
}

/// A staged directory in the view.
fn in_view(staged: &str) -> String {
    if staged == "." { VIEW.to_owned() } else { format!("{VIEW}/{staged}") }
}

impl View {
    /// Adds an input: a link to its source, if it has one.
    fn add(&mut self, path: &str, artifact: &Artifact, source: Option<PathBuf>) {
        match source {
            Some(source) => drop(self.links.insert(path.to_owned(), source)),
            None => drop(self.artifacts.insert(path.to_owned(), artifact.clone())),
        }
    }

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
        // 80 bits: enough for the views of one workspace, and short enough for paths in commands.
        name.truncate(20);
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_names_in_one_directory() {
        for (pattern, path, expected) in [
            ("*.c", "a.c", true),
            ("*.c", "d/a.c", false),
            ("d/*.c", "d/a.c", true),
            ("*a*b?.c", "xaybab1.c", true),
            ("*a*b?.c", "xayb.c", false),
            ("?.c", "\u{e4}.c", true),
            ("a.c", "a.cc", false),
            ("*", "", true),
            ("a/*/c", "a/b/c", true),
            ("a/*/c", "a/b/b/c", false),
        ] {
            assert_eq!(is_match(pattern, path), expected, "{pattern} {path}");
        }
    }
}
