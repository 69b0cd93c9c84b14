//! Source files, directories, links and patterns as targets. They depend on no configuration.

use taut_engine::{Cx, Fail};
use taut_expr::path::{is_non_upwards, join, normal_path};
use taut_repos::{DirRule, Entry, Listing, Place};
use taut_syntax::{Diagnostic, did_you_mean};
use taut_value::{Artifact, Map, NamedTarget, ReferenceType, Str, TargetResult, Tree, Value};

use crate::{AnalysedTarget, Dependencies, ModuleKey, ModuleRule, StrSet, Workspace, fnmatch, problem::fail};

fn analysed(stage: Map, trees: Vec<Tree>) -> AnalysedTarget {
    AnalysedTarget {
        result: TargetResult::new(stage.clone(), stage, Map::default()),
        actions: Vec::new(),
        blobs: Vec::new(),
        trees,
        overlays: Vec::new(),
        vars: StrSet::empty(),
        tainted: StrSet::empty(),
        dependencies: Dependencies::default(),
        warnings: Default::default(),
        is_defined: false,
        is_export: false,
    }
}

/// The listing of a directory; fails if it cannot be read.
async fn listing(
    workspace: &Workspace,
    cx: &Cx,
    named: &NamedTarget,
    path: &str,
) -> Result<std::sync::Arc<Listing>, Fail> {
    let root = workspace.repository(&named.repository)?.workspace_root.clone();
    let place = Place { root, path: if path == "." { Str::default() } else { path.into() } };
    let listing = cx.get::<DirRule>(place).await?;
    match &*listing {
        Listing::Unreadable(why) => {
            let shown = if path.is_empty() { "." } else { path };
            let message =
                format!("Failed to read directory {shown} from repository {:?}", named.repository.as_str());
            Err(fail(Diagnostic::error(message).note(why)))
        }
        _ => Ok(listing),
    }
}

fn local(named: &NamedTarget, path: &str) -> Value {
    Value::Artifact(Artifact::Local { path: path.into(), repository: named.repository.clone() })
}

/// `FILE`, `SYMLINK`, `TREE`, `GLOB`.
pub(crate) async fn explicit(
    workspace: &Workspace,
    cx: &Cx,
    named: &NamedTarget,
) -> Result<AnalysedTarget, Fail> {
    match named.reference {
        ReferenceType::Tree => tree(workspace, cx, named).await,
        ReferenceType::Glob => glob(workspace, cx, named).await,
        _ => file(workspace, cx, named, Vec::new).await,
    }
}

/// A name that no target has.
pub(crate) async fn implicit(
    workspace: &Workspace,
    cx: &Cx,
    named: &NamedTarget,
    module: &ModuleKey,
) -> Result<AnalysedTarget, Fail> {
    let found = file(workspace, cx, named, Vec::new).await;
    if found.is_ok() {
        return found;
    }
    // Only now is anybody interested in the other targets of the module.
    let targets = cx.get::<ModuleRule>(module.clone()).await?;
    file(workspace, cx, named, || targets.names().map(str::to_owned).collect()).await
}

async fn file(
    workspace: &Workspace,
    cx: &Cx,
    named: &NamedTarget,
    targets: impl FnOnce() -> Vec<String>,
) -> Result<AnalysedTarget, Fail> {
    if !is_non_upwards(&named.name) {
        let message = format!("Source file reference outside current module: {}", named.name.as_str());
        return Err(fail(Diagnostic::error(message)));
    }
    let path = normal_path(&join(&named.module, &named.name));
    let (directory, base) = path.rsplit_once('/').unwrap_or(("", &path));
    let entries = listing(workspace, cx, named, directory).await?;
    if matches!(entries.get(base), Some(Entry::File | Entry::Symlink)) {
        let stage = [(named.name.clone(), local(named, &path))].into_iter().collect();
        return Ok(analysed(stage, Vec::new()));
    }
    let message = format!(
        "Cannot determine source file {:?} in directory {directory:?} of repository {:?}",
        base,
        named.repository.as_str()
    );
    let mut diagnostic = Diagnostic::error(message);
    if let Listing::Entries(entries) = &*entries {
        let targets = targets();
        let names = entries.iter().map(|(name, _)| name.as_str()).chain(targets.iter().map(String::as_str));
        let meant = did_you_mean(base, names).map(str::to_owned);
        diagnostic = diagnostic.suggest(meant);
    }
    Err(fail(diagnostic))
}

async fn glob(workspace: &Workspace, cx: &Cx, named: &NamedTarget) -> Result<AnalysedTarget, Fail> {
    let entries = listing(workspace, cx, named, &named.module).await?;
    let Listing::Entries(entries) = &*entries else { return Ok(analysed(Map::default(), Vec::new())) };
    let matching = entries.iter().filter(|(name, kind)| {
        *kind != Entry::Directory && fnmatch::matches(named.name.as_bytes(), name.as_bytes())
    });
    let stage =
        matching.map(|(name, _)| (name.clone(), local(named, &normal_path(&join(&named.module, name)))));
    Ok(analysed(stage.collect(), Vec::new()))
}

/// A directory with all that is below it; each sub-directory is a tree of its own. Without recursion.
async fn tree(workspace: &Workspace, cx: &Cx, named: &NamedTarget) -> Result<AnalysedTarget, Fail> {
    if !is_non_upwards(&named.name) {
        let message = format!("Source file reference outside current module: {}", named.name.as_str());
        return Err(fail(Diagnostic::error(message)));
    }
    let top = normal_path(&join(&named.module, &named.name));
    // All directories, each after the one it lies in; then trees from the last to the first.
    let mut directories = vec![top];
    let mut contents = Vec::new();
    while contents.len() < directories.len() {
        let path = directories[contents.len()].clone();
        let entries = listing(workspace, cx, named, &path).await?;
        let mut stage: Vec<(Str, Value)> = Vec::new();
        let mut below: Vec<(Str, usize)> = Vec::new();
        if let Listing::Entries(entries) = &*entries {
            for (name, kind) in entries {
                let full = if path == "." { name.to_string() } else { format!("{path}/{name}") };
                match kind {
                    Entry::Directory => {
                        below.push((name.clone(), directories.len()));
                        directories.push(full);
                    }
                    Entry::File | Entry::Symlink => stage.push((name.clone(), local(named, &full))),
                }
            }
        }
        contents.push((stage, below));
    }
    let mut trees: Vec<Option<Tree>> = vec![None; contents.len()];
    for (at, (mut stage, below)) in contents.into_iter().enumerate().rev() {
        stage.extend(below.into_iter().map(|(name, child)| {
            let tree = trees[child].as_ref().expect("made after its directory, hence before it from the end");
            (name, Value::Artifact(tree.artifact()))
        }));
        let tree = Tree::new(Map::from_entries(stage));
        workspace.definitions.add_tree(&tree);
        trees[at] = Some(tree);
    }
    let trees: Vec<Tree> = trees.into_iter().flatten().rev().collect();
    let top = trees.last().expect("at least the top").artifact();
    let stage = [(named.name.clone(), Value::Artifact(top))].into_iter().collect();
    Ok(analysed(stage, trees))
}
