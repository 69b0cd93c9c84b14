//! Which actions have a depfile in a build: what the targets of the request mention, found in one pass over the numbers of
//! their good runs when the first action is not in the action cache.
//!
//! Rejected: to ask for the content by its name alone. It is kept as long as any recorded run of a target mentions it, so
//! a rule that has lost the key would go on having it.

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

/// The depfiles of a request.
pub(crate) struct RequestDepfiles {
    /// The request; `None` if no action has a depfile.
    key: Option<RequestKey>,
    /// Those of the present build; `None` before the first one.
    present: Mutex<Option<Arc<Present>>>,
}

struct Present {
    engine: Engine,
    build: Arc<Build>,
    found: OnceLock<Option<HashSet<Hash>>>,
}

impl RequestDepfiles {
    /// Those of the targets of a request.
    pub(crate) fn of_request(request: &Request) -> RequestDepfiles {
        // In the reference's language there are none, so nothing is looked for.
        let has_any = request.repositories.dialect.is_extended();
        RequestDepfiles { key: has_any.then(|| RequestKey::of(request)), present: Mutex::default() }
    }

    /// None: graphs in files say nothing of them.
    pub(crate) fn none() -> RequestDepfiles {
        RequestDepfiles { key: None, present: Mutex::default() }
    }

    /// Forgets the build before, since its targets may have been others.
    pub(crate) fn begin(&self, engine: &Engine, build: &Arc<Build>) {
        let (engine, build) = (engine.clone(), build.clone());
        self.set(Some(Arc::new(Present { engine, build, found: OnceLock::new() })));
    }

    /// Lets go of the engine, whose rules hold this.
    pub(crate) fn end(&self) {
        self.set(None);
    }

    fn set(&self, present: Option<Arc<Present>>) {
        *self.present.lock().unwrap_or_else(PoisonError::into_inner) = present;
    }

    /// The depfiles that targets mention in a build; `None` if it is not known which runs of the targets are good.
    fn found(key: &RequestKey, Present { engine, build, .. }: &Present) -> Option<HashSet<Hash>> {
        let below = |roots: Vec<TaskId>| build.collect::<Content<Depfile>>(roots);
        let of_request = || below(vec![engine.task::<AnalysisRule>(key.clone())]);
        // `test` analyses the targets one by one.
        let targets = || {
            let targets = key.targets.in_configuration(&key.configuration).into_iter();
            below(targets.map(|target| engine.task::<TargetRule>(target)).collect())
        };
        let names = of_request().or_else(targets)?;
        Some(names.into_iter().collect())
    }
}

impl Depfiles for RequestDepfiles {
    fn of(&self, id: &Id, action: &ActionDescription) -> Option<Str> {
        let key = self.key.as_ref()?;
        let present = self.present.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let found = present.found.get_or_init(|| RequestDepfiles::found(key, &present));
        let is_mentioned = |out: &&Str| {
            let name = Depfile::name(id, out);
            match found {
                Some(found) => found.contains(&name),
                // Then what earlier builds had is the best that is known: it decides what is looked up, not what results are.
                None => !present.engine.kept::<Content<Depfile>>(&name).is_empty(),
            }
        };
        // If targets define the same action with different ones, each is right.
        action.outs.iter().find(is_mentioned).cloned()
    }
}
