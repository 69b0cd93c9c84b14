//! Where execution finds what analysis defined.
//!
//! What analysis made or read in this process is at hand. The rest, where a census says what is where, lies in
//! the kept values of targets, and is read from there when somebody needs it: of all actions of a large project,
//! the few that run. A definition is named by what it says, so whatever run it comes from, it is the right one.
//! If it is not there (values of some targets are not kept), the target is asked for as by any reader.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use taut_analysis::{ConfiguredTarget, TargetRule, Workspace};
use taut_digest::Hash;
use taut_engine::{Cx, Engine, Key};
use taut_exec::Definitions;
use taut_value::{ActionDescription, Id, Str, Tree, TreeOverlay};

use crate::census::{Census, short};

/// The definitions of a request.
pub(crate) struct InWorkspace {
    workspace: Arc<Workspace>,
    elsewhere: Mutex<Option<Elsewhere>>,
}

/// Where definitions are that are not at hand.
#[derive(Clone)]
struct Elsewhere {
    engine: Engine,
    census: Arc<Census>,
}

impl InWorkspace {
    pub(crate) fn new(workspace: Arc<Workspace>) -> InWorkspace {
        InWorkspace { workspace, elsewhere: Mutex::default() }
    }

    /// From now on, what is not at hand is looked for where the census says.
    pub(crate) fn look_up_in(&self, engine: &Engine, census: &Arc<Census>) {
        let elsewhere = Elsewhere { engine: engine.clone(), census: census.clone() };
        *self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner) = Some(elsewhere);
    }

    /// Ends that; the engine is not kept for it.
    pub(crate) fn forget(&self) {
        *self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn elsewhere(&self) -> Option<Elsewhere> {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The target that defines this, by the census.
    fn owner(elsewhere: &Elsewhere, what: &[u8]) -> Option<ConfiguredTarget> {
        ConfiguredTarget::decode(elsewhere.census.owner(&short(what))?.0)
    }

    fn find<T>(&self, what: &[u8], find: impl Fn(&taut_analysis::Definitions) -> Option<T>) -> Option<T> {
        let definitions = &self.workspace.definitions;
        if let Some(found) = find(definitions) {
            return Some(found);
        }
        let elsewhere = self.elsewhere()?;
        // What is read is at hand from then on.
        let _ = elsewhere.engine.kept::<TargetRule>(&InWorkspace::owner(&elsewhere, what)?);
        find(definitions)
    }
}

impl Definitions for InWorkspace {
    fn action(&self, id: &Id) -> Option<Arc<ActionDescription>> {
        self.find(&id.0, |definitions| definitions.action(id))
    }

    fn tree(&self, id: &Id) -> Option<Tree> {
        self.find(&id.0, |definitions| definitions.tree(id))
    }

    fn overlay(&self, id: &Id) -> Option<TreeOverlay> {
        self.find(&id.0, |definitions| definitions.overlay(id))
    }

    fn blob(&self, hash: &Hash) -> Option<Str> {
        self.find(hash.as_bytes(), |definitions| definitions.blob(hash))
    }

    /// Asked of every action there is, so nothing is read for it.
    fn is_believed(&self, action: &Id) -> bool {
        if let Some(action) = self.workspace.definitions.action(action) {
            return action.may_fail.is_none() && !action.no_cache;
        }
        self.elsewhere().and_then(|elsewhere| elsewhere.census.is_believed(action)).unwrap_or(false)
    }

    fn seek<'s>(&'s self, cx: &'s Cx, what: &'s [u8]) -> Pin<Box<dyn Future<Output = ()> + Send + 's>> {
        Box::pin(async move {
            if let Some(elsewhere) = self.elsewhere()
                && let Some(target) = InWorkspace::owner(&elsewhere, what)
            {
                // What is wrong with it is told by who asks next.
                let _ = cx.call::<TargetRule>(target).await;
            }
        })
    }
}
