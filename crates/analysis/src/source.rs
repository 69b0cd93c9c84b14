//! Source files, directories, links and patterns as targets. They depend on no configuration.

use std::{collections::HashMap, sync::Arc};

use taut_digest::Hash;
use taut_engine::{Cx, Faceted, Fail};
use taut_repos::{DirRule, Entry, Listed, Listing, Root, RootPath};
use taut_syntax::{
    Diagnostic, Diagnostics, Note, containing, did_you_mean, enumeration, named as listed, quoted,
};
use taut_value::path::{is_non_upwards, join, normal_path};
use taut_value::{Artifact, EntityName, Map, NamedTarget, ReferenceType, Str, TargetResult, Tree, Value};

use crate::{
    AnalysedTarget, DefinitionNames, Dependencies, ModuleKey, ModuleRule, StrSet, Workspace, fnmatch,
    problem::{below, fail, settle},
    undefined_name,
};

// A source depends on no variable, so one result serves all configurations.
fn analysed(stage: Map, defined: DefinitionNames) -> AnalysedTarget {
    AnalysedTarget {
        result: TargetResult::of_artifacts(stage),
        defined,
        vars: StrSet::empty(),
        tainted: StrSet::empty(),
        dependencies: Dependencies::default(),
        warnings: Default::default(),
        is_defined: false,
        provides_null: false,
        export: None,
    }
}

/// A listing whose reads are recorded by facet.
pub(crate) type ListingRead = Faceted<Arc<Listing>>;

/// The listing of a directory; fails if it cannot be read.
pub(crate) async fn listing(
    workspace: &Workspace,
    cx: &Cx,
    named: &NamedTarget,
    path: &str,
) -> Result<ListingRead, Fail> {
    let root = &workspace.repository(&named.repository)?.workspace_root;
    // The root directory has the empty path in keys, so each directory has one key.
    let place = RootPath { root: root.name, path: if path == "." { Str::default() } else { path.into() } };
    // By facets: a target that names one file is not invalidated by others that come and go beside it.
    let listing = cx.facets::<DirRule>(vec![place]).await.pop().expect("one answer for one question")?;
    match &**listing.at(Listing::READABLE) {
        Listing::Unreadable(why) => {
            let shown = if path.is_empty() { "." } else { path };
            let message = format!("Failed to read directory {shown}{}: {why}", in_repository(named));
            let reference = format!(
                "While reading contents of directory {}: Failed to read directory {shown} from repository {}",
                quoted(&path),
                named.repository
            );
            Err(fail(Diagnostic::error(message).reference(reference).help(without_special(named, root))))
        }
        _ => Ok(listing),
    }
}

/// The repository, as the end of a message; empty for the one without a name.
fn in_repository(named: &NamedTarget) -> String {
    match named.repository.as_str() {
        "" => String::new(),
        repository => format!(" in repository {}", quoted(&repository)),
    }
}

/// A description of the repository without a name in which links and entries of other special kinds are ignored.
pub const WITHOUT_SPECIAL: &str = r#"{"main": "", "repositories": {"": {"repository": {"type": "file", "path": ".", "pragma": {"special": "ignore"}}}}}"#;

/// What to do about an entry that makes its directory unreadable.
fn without_special(named: &NamedTarget, root: &Root) -> String {
    let (special, scheme) = match root.source.directory() {
        Some(_) if named.repository.is_empty() => {
            return format!(
                "remove it, or have links and what is neither a file nor a directory ignored, by this in a file repos.json:\n\
                 {WITHOUT_SPECIAL}"
            );
        }
        Some(_) => ("links and what is neither a file nor a directory", "file ignore-special"),
        None => ("links and submodules", "git tree ignore-special"),
    };
    format!(
        "remove it, or have {special} ignored, by \"pragma\": {{\"special\": \"ignore\"}} of \
         the repository in repos.json, or by a root [\"{scheme}\", …]"
    )
}

/// Adds the reference's text to the failure for a directory of a git tree with an entry that makes it unreadable, such
/// as a submodule.
fn in_git_tree(
    workspace: &Workspace,
    named: &NamedTarget,
    listing: Result<ListingRead, Fail>,
    reference: impl Fn() -> String,
) -> Result<ListingRead, Fail> {
    listing.map_err(|failure| {
        let repository = workspace.repository(&named.repository);
        let is_tree = repository.is_ok_and(|of| of.workspace_root.source.fixed_content().is_some());
        if is_tree { settle(failure, |problem| problem.reference(reference())) } else { failure }
    })
}

/// The beginning of the message about a name of neither a target nor a source file.
pub const NO_SOURCE: &str = "No target or file ";
/// The beginning of the message about a name that leads out of its module.
pub const OUTSIDE: &str = "Source file reference outside current module: ";

fn outside(named: &NamedTarget) -> Diagnostic {
    let name = named.name.as_str();
    Diagnostic::error(format!("{OUTSIDE}{name}")).help(
        match name.starts_with('/') {
            true if name.starts_with("//") => "a target of another module is named [\"module\", \"name\"]",
            true => "only files of a repository can be named; commands can use others by their absolute paths",
            false => {
                "a source file belongs to the module it lies in; name it as a target of that module: [\"module\", \"name\"]"
            }
        },
    )
}

/// The error for a file or directory that cannot be named in the language.
fn not_utf8(directory: &str, name: &str) -> Diagnostic {
    let directory = if directory.is_empty() { "." } else { directory };
    Diagnostic::error(format!(
        "The name of {} in directory {} is not UTF-8",
        quoted(&name),
        quoted(&directory)
    ))
    .help("rename it, or leave it out of what the target is made from")
}

fn is_source(listed: &Listed) -> bool {
    matches!(listed.entry, Entry::File | Entry::Symlink)
}

/// The artifact of an entry: the object if the root knows it, else the file at a path.
fn artifact(workspace: &Workspace, named: &NamedTarget, listed: &Listed, path: &str) -> Result<Value, Fail> {
    Ok(Value::artifact(match &listed.known {
        Some(known) => Artifact::Known(workspace.in_store(known)?),
        None => Artifact::Local { path: path.into(), repository: named.repository.clone() },
    }))
}

/// `FILE`, `SYMLINK`, `TREE`, `GLOB`.
pub(crate) async fn explicit(
    workspace: &Workspace,
    cx: &Cx,
    named: &NamedTarget,
) -> Result<AnalysedTarget, Fail> {
    let (result, what) = match named.reference {
        ReferenceType::Tree => (tree(workspace, cx, named).await, "tree reference"),
        ReferenceType::Glob => (glob(workspace, cx, named).await, "glob"),
        ReferenceType::Symlink => (file(workspace, cx, named, Targets::default).await, "symlink"),
        _ => (file(workspace, cx, named, Targets::default).await, "source target"),
    };
    result.map_err(|failure| {
        let name = EntityName::Named(named.clone()).to_json();
        below(failure, || match named.reference {
            ReferenceType::Tree => format!("While analysing {name} as explicit {what}:"),
            ReferenceType::Glob => format!("While analysing {name} as {what}:"),
            ReferenceType::Symlink => format!("While analysing target {name} as {what}:"),
            _ => format!("While analysing target {name} as explicit {what}:"),
        })
    })
}

/// Whether the target of a source file, directory, link or pattern may have another result if a file appears under a
/// name in a directory whose listing it read; or a directory, unless `is_file`.
pub fn notices_entry(source: &NamedTarget, name: &str, is_file: bool) -> bool {
    match source.reference {
        ReferenceType::Tree => true,
        // A pattern matches files and links only.
        ReferenceType::Glob => is_file && fnmatch::matches(source.name.as_bytes(), name.as_bytes()),
        _ => source.name.trim_end_matches("/.").rsplit('/').next() == Some(name),
    }
}

/// A name without a target in its module: a source file.
pub(crate) async fn implicit(
    workspace: &Workspace,
    cx: &Cx,
    named: &NamedTarget,
    module: &ModuleKey,
) -> Result<AnalysedTarget, Fail> {
    // First without the names of targets, which only the error message needs.
    let found = file(workspace, cx, named, Targets::default).await;
    if found.is_ok() {
        return found;
    }
    // The other targets of the module are needed for the message only.
    let targets = cx.get::<ModuleRule>(module.clone()).await?;
    let step = || {
        let name = EntityName::Named(named.clone()).to_json();
        format!("While analysing target {name} as implicit source target:")
    };
    let file_name = workspace.shown_file(module, &named.repository);
    let found = file(workspace, cx, named, || Targets {
        file: file_name,
        names: targets.names().map(str::to_owned).collect(),
    })
    .await;
    match found {
        Ok(found) => Ok(found),
        Err(failure) => {
            let meant = undefined_name::suggested(workspace, cx, named).await;
            let module = undefined_name::if_module(workspace, cx, named).await;
            let is_same = meant.as_ref().is_some_and(|meant| meant.is_same);
            let meant = meant.map(|meant| meant.written);
            let failure = settle(failure, |mut problem| {
                let is_outside = problem.message.starts_with(OUTSIDE);
                // A file whose name is similar is less likely than a target of this name.
                if problem.suggestion.is_some() && !is_same {
                    return problem;
                }
                if !problem.help.is_empty() && !is_outside {
                    problem.help.extend(module.clone());
                    return problem;
                }
                match (&meant, &module) {
                    (Some(_), _) => {
                        problem.help.clear();
                        if named.name.contains([':', '/']) {
                            problem.notes.clear();
                        }
                        problem.suggest(meant.clone())
                    }
                    (None, Some(module)) => {
                        problem.help = vec![module.clone()];
                        problem.notes.clear();
                        problem
                    }
                    (None, None) => problem,
                }
            });
            Err(below(failure, step))
        }
    }
}

/// The names among which a target was looked for.
#[derive(Default)]
struct Targets {
    file: String,
    names: Vec<String>,
}

async fn file(
    workspace: &Workspace,
    cx: &Cx,
    named: &NamedTarget,
    targets: impl FnOnce() -> Targets,
) -> Result<AnalysedTarget, Fail> {
    if !is_non_upwards(&named.name) {
        return Err(fail(outside(named)));
    }
    let path = normal_path(&join(&named.module, &named.name));
    // A name with a trailing slash names no file in the directory above.
    let is_directory = named.name.ends_with('/') || named.name.ends_with("/.");
    let (directory, base) =
        if is_directory { (&*path, "") } else { path.rsplit_once('/').unwrap_or(("", &path)) };
    let entries = listing(workspace, cx, named, directory).await;
    let entries = in_git_tree(workspace, named, entries, || no_source(named))?;
    // Only the facet that has this name is read: most other names may come and go in the directory.
    if let Some(listed) = entries.at(Listing::facet_of(base)).find(base).filter(|listed| is_source(listed)) {
        let stage = [(named.name.clone(), artifact(workspace, named, listed, &path)?)].into_iter().collect();
        return Ok(analysed(stage, DefinitionNames::default()));
    }
    // From here on the message depends on the whole listing.
    let entries = entries.whole();
    let explicit = named.reference != ReferenceType::Target;
    let Targets { file, names: targets } = targets();
    let message = if explicit {
        format!("There is no file {}{}", quoted(&path), in_repository(named))
    } else {
        // Behind the file of targets, with which its repository is named.
        let there = if named.repository.is_empty() { "" } else { " there" };
        format!(
            "{NO_SOURCE}{}: {file} defines no such target, and there is no file {path}{there}",
            quoted(&named.name)
        )
    };
    let mut diagnostic = Diagnostic::error(message).reference(no_source(named));
    match (&**entries, entries.get(base)) {
        (_, Some(Entry::Directory)) => {
            let name = quoted(&named.name);
            let help = format!("it is a directory, which is named like this: [\"TREE\", null, {name}]");
            diagnostic = diagnostic.help(help);
        }
        (Listing::Entries(_), _) if base.contains(['*', '?']) && !explicit && named.name.as_str() == base => {
            let name = quoted(&base);
            let help = format!("a pattern is named like this: [\"GLOB\", null, {name}]");
            diagnostic = diagnostic.help(help);
        }
        (Listing::Entries(entries), _) => {
            // As written in this module, and normalised: a name with dots is another name.
            let name = if is_directory { named.name.to_string() } else { normal_path(&named.name) };
            let above = name.strip_suffix(base).unwrap_or_default();
            let files = entries.iter().filter(|listed| is_source(listed));
            let files: Vec<String> = files.map(|listed| format!("{above}{}", listed.name)).collect();
            let names = files.iter().map(String::as_str).chain(targets.iter().map(String::as_str));
            diagnostic = diagnostic.suggest(nearest(&name, above.len(), names));
            if diagnostic.suggestion.is_none() {
                diagnostic.notes.extend(defined_targets(&file, &targets, &named.name).map(Note::from));
            }
        }
        (Listing::Absent, _) => {
            diagnostic.notes.extend(absent(workspace, cx, named, directory).await.map(Note::from));
        }
        _ => {}
    }
    Err(fail(diagnostic))
}

/// The reference's text about a source file that is not there.
fn no_source(named: &NamedTarget) -> String {
    // The reference normalises the directory, and not the name in it.
    let joined = join(&named.module, &named.name);
    let (in_directory, last) = joined.rsplit_once('/').unwrap_or(("", &joined));
    let in_directory = normal_path(in_directory);
    let in_directory = if in_directory == "." { "" } else { &in_directory };
    format!(
        "Cannot determine source file {} in directory {} of repository {}",
        Value::string(last).to_json(),
        Value::string(in_directory).to_json(),
        Value::string(named.repository.clone()).to_json()
    )
}

/// How many targets are listed at most.
const MAX_LISTED: usize = 12;

/// What a message says between the name of a targets file and the targets in it.
pub const DEFINES: &str = " defines the ";

/// The targets of a file, if they are few; else those whose names resemble the one that was looked for.
fn defined_targets(file: &str, targets: &[String], name: &str) -> Option<String> {
    match targets.len() {
        0 => None,
        1..=MAX_LISTED => Some(format!("{file}{DEFINES}{}", listed("target", targets))),
        count => {
            let similar: Vec<&str> =
                containing(name, targets.iter().map(String::as_str)).take(MAX_LISTED).collect();
            Some(match similar.len() {
                0 => format!("{file} defines {count} targets, none of a similar name"),
                _ => format!("{file} defines {count} targets, among them {}", enumeration(&similar)),
            })
        }
    }
}

/// What was probably meant by a path whose last component begins at an offset: a file beside it, or a target.
fn nearest<'n>(path: &str, last: usize, names: impl Iterator<Item = &'n str> + Clone) -> Option<String> {
    let (above, base) = path.split_at(last);
    let beside = names.clone().filter_map(|name| name.strip_prefix(above).filter(|_| !above.is_empty()));
    match did_you_mean(base, beside) {
        Some(base) => Some(format!("{above}{base}")),
        None => did_you_mean(path, names).map(str::to_owned),
    }
}

/// Why there is no directory at a path, if one of its components is something else.
async fn absent(workspace: &Workspace, cx: &Cx, named: &NamedTarget, path: &str) -> Option<String> {
    // From the top down: the message names the first wrong component.
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    for end in ends {
        let (above, name) = path[..end].rsplit_once('/').unwrap_or(("", &path[..end]));
        let entries = listing(workspace, cx, named, above).await.ok()?;
        let there = &path[..end];
        match entries.at(Listing::facet_of(name)).get(name) {
            Some(Entry::Directory) => {}
            Some(Entry::Symlink) => {
                return Some(format!("{there} is a symbolic link, which is not followed to a directory"));
            }
            Some(Entry::File) => return Some(format!("{there} is a file, not a directory")),
            None | Some(Entry::NotUtf8 { .. }) => return Some(format!("there is no directory {there}")),
        }
    }
    None
}

async fn glob(workspace: &Workspace, cx: &Cx, named: &NamedTarget) -> Result<AnalysedTarget, Fail> {
    let entries = listing(workspace, cx, named, &named.module).await?;
    // A directory that is not there has no matches, which is not an error.
    let Listing::Entries(entries) = &**entries.whole() else {
        return Ok(analysed(Map::default(), DefinitionNames::default()));
    };
    // Bytes, not characters: that is what `fnmatch(3)` does in the C locale.
    let matches = |name: &Str| fnmatch::matches(named.name.as_bytes(), name.as_bytes());
    if let Some(Listed { name, .. }) = entries.iter().find(|Listed { name, entry, .. }| {
        matches!(entry, Entry::NotUtf8 { is_directory: false }) && matches(name)
    }) {
        return Err(fail(not_utf8(&named.module, name)));
    }
    let matching = entries.iter().filter(|listed| is_source(listed) && matches(&listed.name));
    let stage = matching.map(|listed| {
        let path = normal_path(&join(&named.module, &listed.name));
        Ok((listed.name.clone(), artifact(workspace, named, listed, &path)?))
    });
    let stage: Result<Vec<_>, Fail> = stage.collect();
    Ok(analysed(Map::from_entries(stage?), DefinitionNames::default()))
}

/// A warning about a pattern for what is in another directory, which matches nothing. The reference has none.
pub(crate) fn beyond_directory(named: &NamedTarget) -> Option<Diagnostic> {
    let (directory, pattern) =
        named.name.rsplit_once('/').filter(|_| named.reference == ReferenceType::Glob)?;
    let name = EntityName::Named(named.clone()).to_json();
    let message =
        format!("{name} matches nothing: a pattern is for names in the directory of its module, without /");
    let help = format!(
        "in a targets file of {}, {} matches them; other modules name a target there that has them",
        normal_path(&join(&named.module, directory)),
        Value::list([Value::string("GLOB"), Value::Null, Value::string(pattern)]).to_json()
    );
    Some(Diagnostic::warning(message).reference("").help(help))
}

/// What is known of a directory within a tree.
enum Directory {
    /// What is in it: sources, and directories by their numbers.
    Listed(Vec<(Str, Value)>, Vec<(Str, usize)>),
    /// All below is the same as in the one with this number.
    Same(usize),
}

/// A directory with everything below it: the object, if the root knows it; else each sub-directory is a tree of its
/// own. Of directories that are known to be the same, one is read: a git tree can have far more paths than objects.
/// Without recursion.
async fn tree(workspace: &Workspace, cx: &Cx, named: &NamedTarget) -> Result<AnalysedTarget, Fail> {
    if !is_non_upwards(&named.name) {
        return Err(fail(outside(named)));
    }
    let top = normal_path(&join(&named.module, &named.name));
    let entries = listing(workspace, cx, named, &top).await;
    let entries = in_git_tree(workspace, named, entries, || {
        let name = EntityName::Named(named.clone()).to_json();
        let repository = &named.repository;
        format!(
            "While analysing entries of {name}: Failed to read directory {top} from repository {repository}"
        )
    })?;
    // In a git tree the id is known, so nothing below is read.
    if workspace.uses_ids_of_git()
        && let Some(known) = entries.at(Listing::facet_of_itself()).itself()
    {
        let stage = [(named.name.clone(), Value::artifact(Artifact::Known(known)))].into_iter().collect();
        return Ok(AnalysedTarget { provides_null: true, ..analysed(stage, DefinitionNames::default()) });
    }
    // Breadth first by index: each directory comes after the one that contains it.
    let mut directories = vec![top.clone()];
    let mut warnings = Diagnostics::default();
    let mut contents = Vec::new();
    let mut first: HashMap<Hash, usize> = HashMap::new();
    while contents.len() < directories.len() {
        let path = directories[contents.len()].clone();
        let entries = listing(workspace, cx, named, &path).await?;
        if let Some(id) = entries.at(Listing::facet_of_itself()).id_of_all_below() {
            // The first directory with this id is read, later ones refer to it.
            let same = *first.entry(id).or_insert(contents.len());
            if same < contents.len() {
                contents.push(Directory::Same(same));
                continue;
            }
        }
        let mut stage: Vec<(Str, Value)> = Vec::new();
        let mut below: Vec<(Str, usize)> = Vec::new();
        if let Listing::Entries(entries) = &**entries.whole() {
            for listed @ Listed { name, entry: kind, .. } in entries.iter() {
                let full = if path == "." { name.to_string() } else { format!("{path}/{name}") };
                match kind {
                    Entry::Directory => {
                        below.push((name.clone(), directories.len()));
                        directories.push(full);
                    }
                    Entry::NotUtf8 { .. } => return Err(fail(not_utf8(&path, name))),
                    Entry::File | Entry::Symlink => {
                        stage.push((name.clone(), artifact(workspace, named, listed, &full)?))
                    }
                }
            }
        } else if contents.is_empty() {
            // A directory further below may have been removed since the one above was read, which is not an error here.
            let why = absent(workspace, cx, named, &top).await;
            let why = why.unwrap_or_else(|| format!("there is no directory {top}"));
            let name = EntityName::Named(named.clone()).to_json();
            let warning = Diagnostic::warning(format!("{name} is empty: {why}"));
            warnings = warning.reference("").into();
        }
        contents.push(Directory::Listed(stage, below));
    }
    let trees = trees_of(contents);
    let mut defined = DefinitionNames::default();
    // The top comes last: it is the artifact of the target, and the others are part of it.
    let trees = trees.into_iter().rev().map(|tree| defined.tree(cx, tree));
    let top = trees.last().expect("at least the top");
    let stage = [(named.name.clone(), Value::artifact(top))].into_iter().collect();
    Ok(AnalysedTarget { warnings, provides_null: true, ..analysed(stage, defined) })
}

/// The trees of listed directories, in their order; the directory with number 0 contains all others.
fn trees_of(mut directories: Vec<Directory>) -> Vec<Tree> {
    let number = |directories: &[Directory], at: usize| match directories[at] {
        // The first of its kind, which is listed.
        Directory::Same(first) => first,
        Directory::Listed(..) => at,
    };
    let mut trees: Vec<Option<Tree>> = vec![None; directories.len()];
    let mut pending = vec![0];
    // A tree needs the ids of those in it, which are made before it. No directory contains itself, by the ids of trees.
    while let Some(&at) = pending.last() {
        let before = pending.len();
        if trees[at].is_none()
            && let Directory::Listed(_, below) = &directories[at]
        {
            let missing = below.iter().map(|(_, child)| number(&directories, *child));
            pending.extend(missing.filter(|child| trees[*child].is_none()));
        }
        if pending.len() > before {
            continue;
        }
        pending.pop();
        let contents = std::mem::replace(&mut directories[at], Directory::Same(at));
        if let Directory::Listed(mut stage, below) = contents {
            stage.extend(below.into_iter().map(|(name, child)| {
                let tree = trees[number(&directories, child)].as_ref().expect("made before");
                (name, Value::artifact(tree.artifact()))
            }));
            trees[at] = Some(Tree::new(Map::from_entries(stage)));
        }
    }
    trees.into_iter().flatten().collect()
}
