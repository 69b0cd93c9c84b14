//! What at most would be done if some files changed, without changing anything.
//!
//! The description is analysed in memory, almost all of it by replaying kept runs. Two graphs are followed then. What
//! the runs of analysis read is followed backwards, from the leaves that look at the files to targets. The inputs of
//! actions are followed from three places: the source files, the targets that were reached, and the actions that every
//! build runs (they must not be cached, or no outcome of them is kept). An action whose depfile says that it did not
//! read a file is not followed from it. That is at most what would be done: a result that comes out the same ends it
//! sooner.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use taut_analysis::{AnalysedTarget, ConfiguredTarget, TargetRule, notices_entry};
use taut_engine::{Content, Engine, Hash, KeyRef};
use taut_graph::{ActionGraph, Depfile};
use taut_repos::{RepoConfig, RootPath};
use taut_syntax::Diagnostics;
use taut_sys::Named;
use taut_value::{Artifact, EntityName, Id, Str, Value};

use crate::full_analysis::analyse_all;
use crate::history::{below_roots, source_file};
use crate::outcomes::Outcomes;
use crate::reached::Order;
use crate::{Analyser, Analysis, Request};

/// What at most would be done.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Impact {
    /// The configured targets that would be analysed again.
    pub targets: Vec<ConfiguredTarget>,
    /// How many configured targets there are.
    pub all_targets: usize,
    /// The actions that would run: the target that defines each, what it makes, its id.
    pub actions: Vec<(String, Vec<String>, Id)>,
    /// The actions that run whether or not the files change: no valid result of them is recorded, or they depend on
    /// such an action.
    pub in_any_case: BTreeSet<Id>,
    /// The actions with a path among their inputs that do not run, because they did not read it.
    pub not_reading: BTreeSet<Id>,
    /// How many actions the request needs.
    pub all_actions: usize,
    /// The paths that nothing reads.
    pub unread: Vec<PathBuf>,
}

/// What may have happened to a path.
struct Change<'p> {
    path: &'p Path,
    is_directory: bool,
    /// The directories whose listing shows it, and the name that they get.
    listings: Vec<(PathBuf, String)>,
}

impl<'p> Change<'p> {
    /// A file that is there changes its content. A directory may change in any way. What is not there comes
    /// into being as a file, with the directories that it lies in.
    fn of(path: &'p Path) -> Change<'p> {
        let is_directory = Named::stat(path).is_ok_and(|stat| stat.is_dir());
        let mut listings = Vec::new();
        let mut below = path;
        // By `lstat`: a link that leads nowhere is there, and its directory lists it.
        while let (Err(_), Some(above)) = (Named::lstat(below), below.parent()) {
            let name = below.file_name().unwrap_or_default().to_string_lossy().into_owned();
            listings.push((above.to_owned(), name));
            below = above;
        }
        Change { path, is_directory, listings }
    }

    fn touches_file(&self, file: &Path) -> bool {
        file == self.path || (self.is_directory && file.starts_with(self.path))
    }

    /// Whether a task that read the listing of a directory may come to something else.
    fn is_noticed(&self, directory: &Path, reader: &KeyRef) -> bool {
        if self.is_directory && directory.starts_with(self.path) {
            return true;
        }
        let Some((_, name)) = self.listings.iter().find(|(listing, _)| listing == directory) else {
            return false;
        };
        let is_file = directory.join(name) == self.path;
        match reader.downcast::<ConfiguredTarget>().map(|target| &target.name) {
            // A target of a source file reads the listing for one name only; other tasks may depend
            // on any name in it.
            Some(EntityName::Named(source)) => notices_entry(source, name, is_file),
            _ => true,
        }
    }
}

/// What at most would be done for a request if these absolute paths changed. `outcomes`: what a build would find of
/// earlier ones.
///
/// # Errors
/// What is wrong with the description as it is.
pub fn what_if(
    paths: &[PathBuf],
    request: &Request,
    analyser: &Analyser,
    outcomes: &Outcomes,
) -> Result<Impact, Diagnostics> {
    let Analyser { engine, build, .. } = analyser;
    let analysis = analyse_all(build, request)?;
    let named: Vec<PathBuf> = paths.iter().map(|path| below_roots(&request.repositories, path)).collect();
    let changes: Vec<Change<'_>> = named.iter().map(|path| Change::of(path)).collect();
    let mut read = vec![false; paths.len()];

    // Runs may have been taken over from targets that this request does not need.
    let known: BTreeSet<Order> = analysis.reached.iter().map(|reached| Order::of(&reached.target)).collect();
    let mut targets: BTreeMap<Order, (ConfiguredTarget, Arc<AnalysedTarget>)> = BTreeMap::new();
    for target in readers(engine, request, &changes, &mut read) {
        // The latest kept run first: it has the value without another analysis.
        let kept = engine.kept::<TargetRule>(&target).into_iter().next().and_then(|kept| kept.value);
        let Some(analysed) = kept.or_else(|| build.get::<TargetRule>(target.clone()).ok()) else { continue };
        let target = ConfiguredTarget { config: target.config.prune(&analysed.vars), ..target };
        let order = Order::of(&target);
        // Source files are not counted as targets.
        if analysed.is_defined && known.contains(&order) {
            targets.insert(order, (target, analysed));
        }
    }
    let mut begin: HashSet<Id> =
        targets.values().flat_map(|(_, analysed)| analysed.defined.actions.iter().copied()).collect();
    let graph = analysis.graph();
    let needed = needed(&graph, &analysis);
    let requested = request.targets.in_configuration(&request.configuration).into_iter();
    let roots = requested.map(|target| engine.task::<TargetRule>(target));
    let depfiles = build.collect::<Content<Depfile>>(roots).unwrap_or_default().into_iter().collect();
    let known = ActionFacts { graph: &graph, depfiles, outcomes };
    let unknown: HashSet<Id> = needed.iter().copied().filter(|id| !known.has_outcome(id)).collect();
    // Followed apart, to distinguish what runs without any change from what the change causes.
    let in_any_case = above(&parts(&graph), unknown.iter().copied().map(Node::Action).collect());
    begin.extend(unknown);
    let changed = known.changed(&request.repositories, &changes, &mut read);
    let from = begin.into_iter().map(Node::Action).chain(changed.reached).collect();
    let reached = above(&parts(&graph), from);

    let mut actions: Vec<(String, Vec<String>, Id)> = (graph.actions.iter())
        .filter(|(id, _)| needed.contains(id) && reached.contains(id))
        .map(|(id, action)| {
            let outs = action.description.outs.iter().chain(&action.description.out_dirs);
            (graph.first_origin(id), outs.map(|out| out.to_string()).collect(), *id)
        })
        .collect();
    // By target, and by id where one target defines several: `graph.actions` has them by id alone.
    actions.sort_by(|a, b| (&a.0, a.2.0).cmp(&(&b.0, b.2.0)));
    let unread = paths.iter().zip(&read).filter(|(_, read)| !**read).map(|(path, _)| path.clone());
    let defined = analysis.reached.iter().filter(|reached| reached.analysed.is_defined);
    Ok(Impact {
        targets: targets.into_values().map(|(target, _)| target).collect(),
        all_targets: defined.count(),
        actions,
        in_any_case: in_any_case.into_iter().filter(|id| needed.contains(id)).collect(),
        not_reading: (changed.not_reading.into_iter())
            .filter(|id| needed.contains(id) && !reached.contains(id))
            .collect(),
        all_actions: needed.len(),
        unread: unread.collect(),
    })
}

/// The configured targets whose recorded reads lead to something that changes.
fn readers(
    engine: &Engine,
    request: &Request,
    changes: &[Change<'_>],
    read: &mut [bool],
) -> Vec<ConfiguredTarget> {
    let requested = request.targets.in_configuration(&request.configuration);
    let roots: Vec<_> = requested.into_iter().map(|target| engine.task::<TargetRule>(target)).collect();
    // What is recorded of a task is what it read. The reverse, its readers, is gathered in one walk from the request.
    let mut readers: HashMap<_, Vec<_>> = roots.iter().map(|root| (*root, Vec::new())).collect();
    // Walks with a list in place of recursion: chains of targets may be of any length.
    let (mut pending, mut leaves) = (roots, Vec::new());
    while let Some(task) = pending.pop() {
        // Without known reads a task is passed over: it has no run that could be invalidated.
        for dep in engine.reads_of(task).unwrap_or_default() {
            let known = readers.entry(dep).or_insert_with(|| {
                pending.push(dep);
                Vec::new()
            });
            known.push(task);
        }
        if engine.is_leaf(task) {
            leaves.push(task);
        }
    }
    let mut reached = Vec::new();
    for leaf in leaves {
        let key = engine.key_of(leaf);
        let Some(place) = key.downcast::<RootPath>() else { continue };
        let place = place.full(&request.repositories.roots);
        // Listings and files have keys of the same type; only the rule distinguishes them.
        let is_listing = key.rule() == "dir";
        for reader in &readers[&leaf] {
            let by = engine.key_of(*reader);
            for (change, read) in changes.iter().zip(&mut *read) {
                // A name that appears or disappears changes the listing of its directory, but not for readers of
                // other names.
                let is_reached =
                    if is_listing { change.is_noticed(&place, &by) } else { change.touches_file(&place) };
                *read |= is_reached;
                if is_reached {
                    reached.push(*reader);
                }
            }
        }
    }
    let mut seen: HashSet<_> = reached.iter().copied().collect();
    let mut targets = Vec::new();
    while let Some(task) = reached.pop() {
        let key = engine.key_of(task);
        targets.extend(key.downcast::<ConfiguredTarget>().cloned());
        reached.extend(readers[&task].iter().copied().filter(|reader| seen.insert(*reader)));
    }
    targets
}

/// A definition in an action graph that others refer to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Node {
    Action(Id),
    Tree(Id),
}

impl Node {
    fn of(artifact: &Artifact) -> Option<Node> {
        match artifact {
            Artifact::Action { id, .. } => Some(Node::Action(*id)),
            // The texts that ids are hashes of begin with the kind, so trees and overlays can share a name
            // space.
            Artifact::Tree(id) | Artifact::TreeOverlay(id) => Some(Node::Tree(*id)),
            Artifact::Local { .. } | Artifact::Known(_) => None,
        }
    }
}

/// What each definition consists of.
fn parts(graph: &ActionGraph) -> BTreeMap<Node, Vec<&Artifact>> {
    let mut parts = BTreeMap::new();
    for (id, action) in &graph.actions {
        let inputs = action.description.inputs.values().filter_map(|value| value.as_artifact());
        parts.insert(Node::Action(*id), inputs.collect());
    }
    for (id, tree) in &graph.trees {
        let stage = tree.stage().values().filter_map(|value| value.as_artifact());
        parts.insert(Node::Tree(*id), stage.collect());
    }
    for (id, overlay) in &graph.overlays {
        parts.insert(Node::Tree(*id), overlay.trees().iter().collect());
    }
    parts
}

/// The actions that the result of a request needs.
fn needed(graph: &ActionGraph, analysis: &Analysis) -> HashSet<Id> {
    let (parts, wanted) = (parts(graph), analysis.wanted());
    let all = wanted.artifacts.iter().chain(&wanted.runfiles);
    let mut pending: Vec<Node> = all.filter_map(|(_, artifact)| Node::of(artifact)).collect();
    let mut seen: HashSet<Node> = pending.iter().copied().collect();
    while let Some(node) = pending.pop() {
        let below = parts.get(&node).into_iter().flatten().filter_map(|artifact| Node::of(artifact));
        pending.extend(below.filter(|node| seen.insert(*node)));
    }
    let actions = seen.into_iter().filter_map(|node| match node {
        Node::Action(id) => Some(id),
        Node::Tree(_) => None,
    });
    actions.collect()
}

/// What is known of actions.
struct ActionFacts<'k> {
    graph: &'k ActionGraph,
    /// The definitions that targets mention.
    depfiles: HashSet<Hash>,
    outcomes: &'k Outcomes,
}

/// What source files that change are parts of.
#[derive(Default)]
struct ChangedSources {
    /// What other content of a file changes.
    reached: HashSet<Node>,
    /// The actions that have such a file as an input, and did not read it.
    not_reading: HashSet<Id>,
}

impl ActionFacts<'_> {
    /// The definitions that have changed files as parts. Notes which of the changes are read by any.
    fn changed(
        &self,
        repositories: &RepoConfig,
        changes: &[Change<'_>],
        read: &mut [bool],
    ) -> ChangedSources {
        let mut all = ChangedSources::default();
        for (node, parts) in parts(self.graph) {
            for artifact in parts {
                let Artifact::Local { path, repository } = artifact else { continue };
                let Some(file) = source_file(repositories, repository, path) else { continue };
                for (change, read) in changes.iter().zip(&mut *read) {
                    if !change.touches_file(&file) {
                        continue;
                    }
                    *read = true;
                    match node {
                        // A directory may change in any way: files may go, or become something else.
                        Node::Action(id) if !change.is_directory && self.does_not_read(&id, artifact) => {
                            all.not_reading.insert(id);
                        }
                        _ => drop(all.reached.insert(node)),
                    }
                }
            }
        }
        all
    }

    /// The output of an action that says what it reads.
    fn depfile(&self, id: &Id) -> Option<&Str> {
        let outs = &self.graph.actions[id].description.outs;
        outs.iter().find(|out| self.depfiles.contains(&Depfile::name(id, out)))
    }

    /// Whether a build has no need to run an action if nothing changes.
    fn has_outcome(&self, id: &Id) -> bool {
        let action = &self.graph.actions[id].description;
        // An action that is not to be cached runs in each build.
        !action.no_cache && self.outcomes.has(id, action, self.depfile(id))
    }

    /// Whether an earlier run of an action reported that it reads none of the inputs that are this artifact.
    fn does_not_read(&self, id: &Id, artifact: &Artifact) -> bool {
        let action = &self.graph.actions[id].description;
        let counting = self.depfile(id).and_then(|depfile| self.outcomes.counting_inputs(action, depfile));
        let is_input = |value: &Value| value.as_artifact() == Some(artifact);
        counting.is_some_and(|counting| {
            !action.inputs.iter().any(|(path, value)| is_input(value) && counting.contains(path))
        })
    }
}

/// The actions among some definitions, and among those that consist of them.
fn above(parts: &BTreeMap<Node, Vec<&Artifact>>, from: HashSet<Node>) -> HashSet<Id> {
    // Turned around once: definitions name their parts, and not what they are parts of.
    let mut users: HashMap<Node, Vec<Node>> = HashMap::new();
    for (node, parts) in parts {
        for part in parts.iter().filter_map(|artifact| Node::of(artifact)) {
            users.entry(part).or_default().push(*node);
        }
    }
    let mut pending: Vec<Node> = from.iter().copied().collect();
    let mut seen = from;
    while let Some(node) = pending.pop() {
        let above = users.get(&node).into_iter().flatten().copied();
        pending.extend(above.filter(|node| seen.insert(*node)));
    }
    let actions = seen.into_iter().filter_map(|node| match node {
        Node::Action(id) => Some(id),
        Node::Tree(_) => None,
    });
    actions.collect()
}
