//! The actions in the closure of what is wanted, and what they printed, after a build.

use std::collections::BTreeSet;

use taut_engine::{Build, Content, Engine, TaskId};
use taut_exec::{ActionKey, ActionRule, ArtifactRule, Printed};
use taut_graph::{Definition, DefinitionKey};
use taut_value::{Artifact, Id};

use crate::WantedArtifacts;

/// Actions, and what some of them printed; both in the order of the ids.
#[derive(Default)]
pub(crate) struct ClosureActions {
    pub(crate) actions: BTreeSet<Id>,
    pub(crate) printed: Vec<Printed>,
}

impl ClosureActions {
    /// Below what is wanted: collected, or found definition by definition where that is not possible.
    pub(crate) fn of(engine: &Engine, build: &Build, wanted: &WantedArtifacts) -> ClosureActions {
        let roots: Vec<TaskId> = wanted.keys().map(|key| engine.task::<ArtifactRule>(key)).collect();
        let mut found = match build.collect_two::<ActionRule, Content<Printed>>(roots) {
            Some((actions, names)) => {
                let contents = build.all::<Content<Printed>>(names).into_iter().flatten();
                let printed = contents.map(|printed| (*printed).clone()).collect();
                ClosureActions { actions: actions.into_iter().map(|ActionKey(id)| id).collect(), printed }
            }
            // The reads of some task are not known, as when cached build state is damaged: definitions lead to the
            // same actions.
            None => ClosureActions::one_by_one(build, wanted),
        };
        // The two ways above find them in different orders.
        found.printed.sort_by_key(|printed| printed.action);
        found
    }

    fn one_by_one(build: &Build, wanted: &WantedArtifacts) -> ClosureActions {
        let mut found = ClosureActions::default();
        let mut seen: BTreeSet<DefinitionKey> = BTreeSet::new();
        let mut pending: Vec<Artifact> = wanted.iter().map(|(_, artifact)| artifact.clone()).collect();
        while let Some(artifact) = pending.pop() {
            // By definition, so a tree that many actions share is opened once.
            let name = DefinitionKey::of_artifact(&artifact).filter(|name| seen.insert(*name));
            let definition = name.and_then(|name| build.get::<Content<Definition>>(name.0).ok());
            pending.extend(definition.iter().flat_map(|definition| definition.parts()).cloned());
            let Artifact::Action { id, .. } = artifact else { continue };
            if found.actions.insert(id)
                && let Ok(outcome) = build.get::<ActionRule>(ActionKey(id))
            {
                let printed = Printed { action: id, stdout: outcome.ran.stdout, stderr: outcome.ran.stderr };
                found.printed.extend(Some(printed).filter(|printed| printed.objects().next().is_some()));
            }
        }
        found
    }
}
