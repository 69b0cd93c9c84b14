//! Analysis of a request, for calls that have to show it target by target.
//!
//! What a build needs of analysis is one task (`analysis.rs`). Dumps, `--request-action-input` and `what-if` want every
//! target in the closure of the request, which decodes all of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use taut_analysis::{AnalysedTarget, ConfiguredTarget, TargetRule, located};
use taut_engine::{Build, Content};
use taut_graph::{ActionGraph, Definition, DefinitionKey, GraphAction, Origin};
use taut_repos::Roots;
use taut_syntax::Diagnostics;
use taut_value::{ActionDescription, Artifact, Id, Map, MapBuilder, Str, TargetResult, Tree, Value};

use crate::analysis_setup::{analyse_targets, diagnostics};
use crate::exports::exported;
use crate::reached::{Order, ReachedTarget};
use crate::targets::union_of_targets;
use crate::{Exports, Request, WantedArtifacts};

/// The export targets among some targets.
fn exports(reached: &[ReachedTarget]) -> Exports {
    let export = |reached: &ReachedTarget| Some((reached.target.clone(), reached.analysed.export?));
    Exports::of(reached.iter().filter_map(export))
}

/// What analysis of a request yields.
pub struct Analysis {
    /// The requested targets, in the configuration without variables that are null.
    pub requested: Vec<ReachedTarget>,
    /// What they are together.
    pub analysed: Arc<AnalysedTarget>,
    /// All configured targets that were needed, each once, in a stable order: by name, then by the part
    /// of the configuration that they depend on.
    pub reached: Vec<ReachedTarget>,
    /// What they define.
    definitions: HashMap<DefinitionKey, Arc<Definition>>,
}

/// All configured targets below those of a request, with what they define. Unlike [`Analysis`] it says nothing of what
/// the requested targets are union_of_targets, so these may have different artifacts at one path.
pub struct Closure {
    /// The requested targets, in their configuration.
    pub requested: Vec<ReachedTarget>,
    /// All configured targets that were needed, each once, in a stable order: by name, then by the part
    /// of the configuration that they depend on.
    pub reached: Vec<ReachedTarget>,
    /// What they define.
    definitions: HashMap<DefinitionKey, Arc<Definition>>,
}

impl Closure {
    pub(crate) fn of(build: &Build, request: &Request) -> Result<Closure, Diagnostics> {
        let as_diagnostics = |fail| diagnostics(fail, build, &request.repositories);
        let requested = analyse_targets(build, request)?;
        let mut reached = BTreeMap::new();
        // What changes inside a key are hashes that were not computed yet.
        #[allow(clippy::mutable_key_type)]
        let mut seen: HashSet<ConfiguredTarget> = requested.iter().map(|of| of.target.clone()).collect();
        let mut pending: Vec<ConfiguredTarget> = requested.iter().map(|of| of.target.clone()).collect();
        // All are settled by now. A layer at a time, since each call into the engine has a fixed cost.
        while !pending.is_empty() {
            let layer = std::mem::take(&mut pending);
            let answers = build.all::<TargetRule>(layer.iter().cloned());
            for (target, analysed) in layer.into_iter().zip(answers) {
                let analysed = analysed.map_err(as_diagnostics)?;
                pending.extend(
                    analysed.dependencies.iter().filter(|next| seen.insert((*next).clone())).cloned(),
                );
                let target =
                    ConfiguredTarget { config: target.config.prune(&analysed.vars), name: target.name };
                // Configurations that agree on these variables are one target here.
                reached.entry(Order::of(&target)).or_insert(ReachedTarget { target, analysed });
            }
        }
        let reached: Vec<ReachedTarget> = reached.into_values().collect();
        let names: BTreeSet<DefinitionKey> =
            reached.iter().flat_map(|reached| reached.analysed.defined.names()).collect();
        // One call for all, for the same reason.
        let contents = build.all::<Content<Definition>>(names.iter().map(|name| name.0));
        let definitions = names
            .into_iter()
            .zip(contents)
            .filter_map(|(name, content)| Some((name, content.ok()?)))
            .collect();
        Ok(Closure { requested, reached, definitions })
    }

    /// What an action is defined as.
    pub fn action(&self, id: &Id) -> Option<&Arc<ActionDescription>> {
        self.definitions.get(&DefinitionKey::action(id))?.as_action()
    }

    /// The export targets.
    pub(crate) fn exports(&self) -> Exports {
        exports(&self.reached)
    }

    /// How many actions the targets define.
    pub fn number_of_actions(&self) -> usize {
        self.definitions.values().filter(|definition| definition.as_action().is_some()).count()
    }

    /// What a definition is.
    pub(crate) fn definition(&self, name: DefinitionKey) -> Option<&Arc<Definition>> {
        self.definitions.get(&name)
    }

    /// All warnings, each once, with the places of files in these roots.
    pub fn warnings(&self, roots: &Roots) -> Diagnostics {
        located(&Diagnostics::merge(self.reached.iter().map(|reached| &reached.analysed.warnings)), roots)
    }

    /// The actions that some artifacts need, each once.
    pub fn actions_of<'a>(&self, artifacts: impl IntoIterator<Item = &'a Artifact>) -> BTreeSet<Id> {
        let mut actions = BTreeSet::new();
        // A definition may be part of many others: without this, the walk would take exponential time.
        let mut seen: HashSet<DefinitionKey> = HashSet::new();
        let mut pending: Vec<Artifact> = artifacts.into_iter().cloned().collect();
        while let Some(artifact) = pending.pop() {
            if let Artifact::Action { id, .. } = &artifact {
                actions.insert(*id);
            }
            let name = DefinitionKey::of_artifact(&artifact).filter(|name| seen.insert(*name));
            let definition = name.and_then(|name| self.definition(name));
            pending.extend(definition.iter().flat_map(|definition| definition.parts()).cloned());
        }
        actions
    }
}

pub(crate) fn analyse_all(build: &Build, request: &Request) -> Result<Analysis, Diagnostics> {
    let Closure { requested, reached, definitions } = Closure::of(build, request)?;
    let analysed = union_of_targets(&requested);
    let requested = requested.into_iter().map(ReachedTarget::without_nulls).collect();
    Ok(Analysis { requested, analysed, reached, definitions })
}

impl Analysis {
    /// What an action is defined as.
    pub fn action(&self, id: &Id) -> Option<&Arc<ActionDescription>> {
        self.definitions.get(&DefinitionKey::action(id))?.as_action()
    }

    /// The names of all definitions.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = DefinitionKey> {
        self.definitions.keys().copied()
    }

    /// What the requested targets define as actions, in order.
    pub fn own_actions(&self) -> Vec<Arc<ActionDescription>> {
        self.analysed.defined.actions.iter().filter_map(|id| self.action(id).cloned()).collect()
    }

    /// A tree.
    pub(crate) fn tree(&self, id: &Id) -> Option<&Tree> {
        match &**self.definitions.get(&DefinitionKey::tree(id))? {
            Definition::Tree(tree) => Some(tree),
            _ => None,
        }
    }

    /// All trees that are defined, such as directories that are sources as a whole.
    pub(crate) fn trees(&self) -> impl Iterator<Item = &Tree> {
        self.definitions.values().filter_map(|definition| match &**definition {
            Definition::Tree(tree) => Some(tree),
            _ => None,
        })
    }

    /// A content that the description holds.
    pub(crate) fn blob(&self, hash: &taut_digest::Hash) -> Option<&Str> {
        match &**self.definitions.get(&DefinitionKey::blob(hash))? {
            Definition::Blob(_, content) => Some(content),
            _ => None,
        }
    }

    /// All warnings, each once.
    pub fn warnings(&self) -> Diagnostics {
        Diagnostics::merge(self.reached.iter().map(|reached| &reached.analysed.warnings))
    }

    /// Replaces the target's own result by the inputs of one of its actions: `%id` of any action that is needed, or the
    /// beginning of its id as messages show it, `#number` of the target's own (negative: from the end), or either
    /// without mark. Returns the name that messages have for that action, and the action.
    ///
    /// # Errors
    ///
    /// Why there is no such action.
    pub fn turn_to_input_of(&mut self, wanted: &str) -> Result<(String, Arc<ActionDescription>), NoAction> {
        let defined = || self.reached.iter().flat_map(|reached| &reached.analysed.defined.actions);
        let by_id = |id: &str| {
            let id = Id::from_hex(id)?;
            defined().find(|action| **action == id).and_then(|id| self.action(id)).cloned()
        };
        let by_number = |text: &str| {
            let number = leading_number(text);
            let own = self.own_actions();
            // From the end, as in the reference: -1 is the last one.
            let place = if number < 0 { own.len() as i64 + number } else { number };
            let found = usize::try_from(place).ok().and_then(|place| own.get(place)).cloned();
            let missing = || NoAction::OutOfRange { number, count: own.len() };
            found.map(|action| (action, format!("#{number}"))).ok_or_else(missing)
        };
        let named = |id: &str| by_id(id).map(|action| (action, format!("%{id}")));
        // With a mark, only what it says is tried; without one an id has priority over a number, as
        // digits alone may be either.
        let (action, name) = if let Some(id) = wanted.strip_prefix('%') {
            let missing = || NoAction::Unknown(id.to_owned());
            let begun = id_with_prefix(id, defined())?;
            named(&begun.map_or_else(|| id.to_owned(), |id| id.to_hex())).ok_or_else(missing)?
        } else if let Some(number) = wanted.strip_prefix('#') {
            by_number(number)?
        } else {
            named(wanted).map_or_else(|| by_number(wanted), Ok)?
        };
        let mut analysed = (*self.analysed).clone();
        analysed.result = TargetResult::new(action.inputs.clone(), Map::default(), parts_of(&action));
        self.analysed = Arc::new(analysed);
        Ok((name, action))
    }

    /// What is to be built.
    pub fn wanted(&self) -> WantedArtifacts {
        WantedArtifacts::of(&self.analysed.result, &self.exported())
    }

    /// The artifacts of export targets whose results are to be cached.
    pub(crate) fn exported(&self) -> Vec<Artifact> {
        exported(self.reached.iter().map(|reached| &*reached.analysed))
    }

    /// The export targets.
    pub(crate) fn exports(&self) -> Exports {
        exports(&self.reached)
    }

    /// The definitions of all targets that were needed.
    pub fn graph(&self) -> ActionGraph {
        let mut graph = ActionGraph::default();
        for ReachedTarget { target, analysed } in &self.reached {
            for (subtask, id) in analysed.defined.actions.iter().enumerate() {
                let Some(action) = self.action(id) else { continue };
                let origin = Origin {
                    target: Value::Name(target.name.clone()),
                    subtask: subtask as u64,
                    config: target.config.map().clone(),
                };
                let new = || GraphAction { description: Arc::clone(action), origins: Vec::new() };
                // Targets may define the same action: it is one node with several origins.
                graph.actions.entry(*id).or_insert_with(new).origins.push(origin);
            }
        }
        for definition in self.definitions.values() {
            match &**definition {
                Definition::Action(_) => {}
                Definition::Tree(tree) => drop(graph.trees.insert(tree.id(), tree.clone())),
                Definition::Overlay(overlay) => drop(graph.overlays.insert(overlay.id(), overlay.clone())),
                Definition::Blob(_, content) => drop(graph.blobs.insert(content.clone())),
            }
        }
        // The text of a graph has to be the same in each call, whatever the order in which targets
        // were reached.
        graph.sort_origins();
        graph
    }
}

/// Why no action is named by some words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoAction {
    /// The target defines fewer actions.
    OutOfRange {
        /// The number that was given.
        number: i64,
        /// How many actions it defines.
        count: usize,
    },
    /// No action below the target has this id, or one that begins with it.
    Unknown(String),
    /// Several actions have ids that begin with these digits.
    Several {
        /// The digits.
        digits: String,
        /// The ids.
        ids: Vec<Id>,
    },
}

/// As the reference says it, where it has such an error.
impl fmt::Display for NoAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoAction::OutOfRange { number, .. } => {
                write!(f, "Action #{number} out of range for the requested target")
            }
            NoAction::Unknown(id) => {
                write!(f, "Action {id} not part of the action graph of the requested target")
            }
            NoAction::Several { digits, ids } => {
                let ids: Vec<String> = ids.iter().map(|id| format!("%{}", id.to_hex())).collect();
                write!(f, "Several actions have an id that begins with {digits}: {}", ids.join(", "))
            }
        }
    }
}

/// How many digits of an id name it at least.
pub const MIN_ID_DIGITS: usize = 6;

/// The one id of all that begins with these digits, if these are enough.
///
/// # Errors
/// There are several.
fn id_with_prefix<'i>(digits: &str, all: impl Iterator<Item = &'i Id>) -> Result<Option<Id>, NoAction> {
    // Looked up as a whole id, then, and not found, as in the reference.
    if digits.len() < MIN_ID_DIGITS {
        return Ok(None);
    }
    let lower = digits.to_ascii_lowercase();
    let found: BTreeSet<&Id> = all.filter(|id| id.to_hex().starts_with(&lower)).collect();
    if found.len() > 1 {
        let ids = found.into_iter().copied().collect();
        return Err(NoAction::Several { digits: digits.to_owned(), ids });
    }
    Ok(found.first().map(|id| **id))
}

/// The number that a text begins with, as C's `atoi` has it: 0 if it begins with something else.
fn leading_number(text: &str) -> i64 {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    // Too many digits for the type: 0, where `atoi` is undefined.
    let number: i64 = digits[..end].parse().unwrap_or(0);
    if text.starts_with('-') { -number } else { number }
}

/// An action's parts but for its inputs, as provided data.
fn parts_of(action: &ActionDescription) -> Map {
    let texts = |texts: &[Str]| Value::list(texts.iter().cloned().map(Value::String));
    let mut parts = MapBuilder::default();
    // The names of the fields are the reference's (`--request-action-input`).
    parts.insert("cmd", texts(&action.command));
    parts.insert("env", action.env.clone());
    parts.insert("output", texts(&action.outs));
    parts.insert("output_dirs", texts(&action.out_dirs));
    // Default values are left out, as in dumps.
    if !action.cwd.is_empty() {
        parts.insert("cwd", Value::String(action.cwd.clone()));
    }
    if !action.execution_properties.is_empty() {
        parts.insert("execution properties", action.execution_properties.clone());
    }
    if let Some(message) = &action.may_fail {
        parts.insert("may_fail", Value::String(message.clone()));
    }
    if action.no_cache {
        parts.insert("no_cache", Value::Bool(true));
    }
    if action.timeout_scale != 1.0 {
        parts.insert("timeout scaling", Value::Number(action.timeout_scale));
    }
    parts.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unique_prefix_of_an_id_names_it() {
        let id = |last: u8| {
            let mut bytes = [0xab; 32];
            bytes[8] = last;
            Id(bytes)
        };
        let (one, other) = (id(1), id(2));
        let all = [&one, &other, &one];
        let found = |digits: &str| id_with_prefix(digits, all.into_iter());
        assert_eq!(found("abababababababab01"), Ok(Some(one)));
        assert_eq!(found("ABABABABABABABAB02"), Ok(Some(other)));
        assert_eq!(found("ababac"), Ok(None));
        assert_eq!(found("ababa"), Ok(None), "too short");
        let ambiguous = found("ababab").unwrap_err().to_string();
        let named = format!("that begins with ababab: %{}, %{}", one.to_hex(), other.to_hex());
        assert!(ambiguous.ends_with(&named), "{ambiguous}");
        assert_eq!(id_with_prefix("ababab", [&one, &one].into_iter()), Ok(Some(one)));
    }
}
