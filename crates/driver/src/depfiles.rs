//! Which actions have a depfile in a build: what the targets of the request mention, found in one pass over the numbers
//! of their good runs when the first action is not in the action cache.
//!
//! Rejected: to ask for the content by its name alone. It is kept as long as any recorded run of a target mentions it,
//! so a rule that has lost the key would go on having it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use taut_analysis::TargetRule;
use taut_engine::{Build, Content, Engine, Hash, TaskId};
use taut_exec::Depfiles;
use taut_graph::Depfile;
use taut_value::{ActionDescription, Id, Str};

use crate::{Request, analysis::AnalysisRule, request_key::RequestKey};

/// The depfiles of the present request.
#[derive(Default)]
pub(crate) struct RequestDepfiles(Mutex<Option<Arc<BuildDepfiles>>>);

struct BuildDepfiles {
    engine: Engine,
    build: Arc<Build>,
    request: RequestKey,
    /// The depfiles that targets mention; `None` if it is not known which runs of the targets are good.
    // Set by the first action that asks: the walk takes time, and a build from the action cache needs none.
    found: OnceLock<Option<HashSet<Hash>>>,
}

impl RequestDepfiles {
    /// Looks in what the targets of a request mention in a build from now on.
    pub(crate) fn look_in(&self, engine: &Engine, build: &Arc<Build>, request: &Request) {
        // In the reference's language there are none, so nothing is looked for.
        let has_any = request.repositories.dialect.is_extended();
        let (engine, build, request) = (engine.clone(), build.clone(), RequestKey::of(request));
        self.set(has_any.then(|| Arc::new(BuildDepfiles { engine, build, request, found: OnceLock::new() })));
    }

    /// Lets go of the engine, whose rules hold this.
    pub(crate) fn end(&self) {
        self.set(None);
    }

    fn set(&self, present: Option<Arc<BuildDepfiles>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = present;
    }
}

impl BuildDepfiles {
    fn found(&self) -> Option<HashSet<Hash>> {
        let BuildDepfiles { engine, build, request, .. } = self;
        let below = |roots: Vec<TaskId>| build.collect::<Content<Depfile>>(roots);
        let of_request = || below(vec![engine.task::<AnalysisRule>(request.clone())]);
        // `test` analyses the targets one by one.
        let targets = || {
            let targets = request.targets.in_configuration(&request.configuration).into_iter();
            below(targets.map(|target| engine.task::<TargetRule>(target)).collect())
        };
        let names = of_request().or_else(targets)?;
        Some(names.into_iter().collect())
    }
}

impl Depfiles for RequestDepfiles {
    fn of(&self, id: &Id, action: &ActionDescription) -> Option<Str> {
        // The lock is released before the walk, so that other actions wait for the cell and not for the lock.
        let present = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let found = present.found.get_or_init(|| present.found());
        let is_mentioned = |out: &&Str| {
            let name = Depfile::name(id, out);
            match found {
                Some(found) => found.contains(&name),
                // Then what earlier builds had is the best that is known: it decides what is looked up, not what
                // results are.
                None => !present.engine.kept::<Content<Depfile>>(&name).is_empty(),
            }
        };
        // If targets define the same action with different ones, each is right.
        action.outs.iter().find(is_mentioned).cloned()
    }
}
