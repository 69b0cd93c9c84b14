//! Which targets define an action or an overlay, for messages: found below the request by one pass over what its
//! targets mention, when the first message needs it. Nothing is analysed for it.

use std::{
    collections::HashSet,
    sync::{Arc, OnceLock},
};

use taut_analysis::{AnalysedTarget, ConfiguredTarget, TargetRule};
use taut_engine::{Build, Engine, Mentions};
use taut_graph::{ActionGraph, Definition, DefinitionKey, GraphAction, Origin};
use taut_value::{ActionDescription, EntityName, Id, Value};

use crate::{
    ReachedTarget, Request, analysis::AnalysisRule, full_analysis::Closure, request_key::RequestKey,
};

/// Which targets define what.
#[derive(Clone)]
pub struct Origins(Arc<Inner>);

struct Inner {
    engine: Engine,
    build: Arc<Build>,
    request: Request,
    /// Whether the targets were analysed one by one, and not as the task of the request.
    is_by_target: bool,
    // `None` within: the good runs are not known, as after a failure; then the slow way is taken.
    mentions: OnceLock<Option<Mentions<Definition, TargetRule>>>,
}

impl Origins {
    pub(crate) fn new(engine: &Engine, build: &Arc<Build>, request: &Request) -> Origins {
        Origins::found_from(engine, build, request, false)
    }

    /// The same where the targets were analysed one by one ([`Closure`]).
    pub(crate) fn of_targets(engine: &Engine, build: &Arc<Build>, request: &Request) -> Origins {
        Origins::found_from(engine, build, request, true)
    }

    fn found_from(engine: &Engine, build: &Arc<Build>, request: &Request, is_by_target: bool) -> Origins {
        let (engine, build, request) = (engine.clone(), build.clone(), request.clone());
        Origins(Arc::new(Inner { engine, build, request, is_by_target, mentions: OnceLock::new() }))
    }

    fn mentions(&self) -> Option<&Mentions<Definition, TargetRule>> {
        let Inner { engine, build, request, is_by_target, mentions } = &*self.0;
        let targets = || {
            let targets = request.targets.in_configuration(&request.configuration).into_iter();
            targets.map(|target| engine.task::<TargetRule>(target)).collect()
        };
        let roots = || match is_by_target {
            true => targets(),
            false => vec![engine.task::<AnalysisRule>(RequestKey::of(request))],
        };
        let find = || build.mentions::<Definition, TargetRule>(roots());
        // One pass for all messages of a build, and none in a build without messages.
        mentions.get_or_init(find).as_ref()
    }

    /// A requested target, and its value in the latest kept run.
    fn analysed(&self, target: ConfiguredTarget) -> Option<(ConfiguredTarget, Arc<AnalysedTarget>)> {
        let analysed = self.0.engine.kept::<TargetRule>(&target).into_iter().next()?.value?;
        Some((target, analysed))
    }

    /// The targets that define something. Not to be called from within a task, since it may wait for tasks.
    fn defining(&self, name: DefinitionKey) -> Vec<(ConfiguredTarget, Arc<AnalysedTarget>)> {
        let found = self.mentions().into_iter().flat_map(|mentions| mentions.all(&name.0));
        let found: Vec<_> = found.filter_map(|target| self.analysed(target)).collect();
        if !found.is_empty() {
            return found;
        }
        // The run that mentioned it may have been replaced meanwhile: then all targets are analysed.
        let whole = Closure::of(&self.0.build, &self.0.request).into_iter().flat_map(|whole| whole.reached);
        let defines = |of: &ReachedTarget| of.analysed.defined.names().any(|known| known == name);
        whole.filter(defines).map(|of| (of.target, of.analysed)).collect()
    }

    /// The configured targets that define an action, as messages name them.
    pub fn of(&self, action: &Id) -> Vec<String> {
        let defining = self.defining(DefinitionKey::action(action));
        let mut origins: Vec<Origin> = Vec::new();
        for (target, analysed) in &defining {
            let origin = origin(target, analysed, action);
            origins.extend(origin.filter(|origin| !origins.contains(origin)));
        }
        let action_of = GraphAction { description: Arc::new(ActionDescription::default()), origins };
        let mut graph = ActionGraph::default();
        graph.actions.insert(*action, action_of);
        // The graph has the order and the form of origins in messages, so they are written in one place.
        graph.sort_origins();
        graph.origins(action)
    }

    /// A target that defines an action, and the action's number there; `None` if none is known.
    pub fn first(&self, action: &Id) -> Option<Origin> {
        let target = self.mentions()?.first(&DefinitionKey::action(action).0)?;
        // The run that is good need not be the latest one.
        let kept = self.0.engine.kept::<TargetRule>(&target).into_iter();
        kept.filter_map(|kept| kept.value).find_map(|analysed| origin(&target, &analysed, action))
    }

    /// Like [`Origins::first`], outside of tasks: if kept runs do not have it, all targets are analysed.
    pub fn first_of_all(&self, action: &Id) -> Option<Origin> {
        self.first(action).or_else(|| {
            let defining = self.defining(DefinitionKey::action(action));
            let (target, analysed) = defining.first()?;
            origin(target, analysed, action)
        })
    }

    /// A target that defines an overlay; 0 is the number of every one.
    pub fn first_of_overlay(&self, id: &Id) -> Option<Origin> {
        let (target, analysed) = self.defining(DefinitionKey::overlay(id)).into_iter().next()?;
        let config = target.config.prune(&analysed.vars).map().clone();
        Some(Origin { target: Value::Name(target.name), subtask: 0, config })
    }

    /// A named target for which an anonymous one was made: it depends on that one, directly or through other anonymous
    /// targets.
    pub fn named_dependent(&self, anonymous: &EntityName) -> Option<EntityName> {
        let whole = Closure::of(&self.0.build, &self.0.request).ok()?;
        let (mut seen, mut pending) = (HashSet::new(), vec![anonymous.clone()]);
        while let Some(name) = pending.pop() {
            let depends = |of: &&ReachedTarget| {
                of.analysed.dependencies.anonymous.iter().any(|other| other.name == name)
            };
            for dependent in whole.reached.iter().filter(depends) {
                match &dependent.target.name {
                    EntityName::Named(_) => return Some(dependent.target.name.clone()),
                    other if seen.insert(other.id()) => pending.push(other.clone()),
                    EntityName::Anonymous(_) => {}
                }
            }
        }
        None
    }

    /// The configured targets that define an overlay, as messages name them.
    pub fn of_overlay(&self, id: &Id) -> Vec<String> {
        let shown = |(target, analysed): (ConfiguredTarget, Arc<AnalysedTarget>)| {
            let config = target.config.prune(&analysed.vars).without_nulls();
            ConfiguredTarget { name: target.name, config }.to_string()
        };
        let mut shown: Vec<String> =
            self.defining(DefinitionKey::overlay(id)).into_iter().map(shown).collect();
        shown.sort();
        shown.dedup();
        shown
    }
}

fn origin(target: &ConfiguredTarget, analysed: &AnalysedTarget, action: &Id) -> Option<Origin> {
    let place = analysed.defined.actions.iter().position(|known| known == action)?;
    let config = target.config.prune(&analysed.vars).map().clone();
    Some(Origin { target: Value::Name(target.name.clone()), subtask: place as u64, config })
}
