//! Why a build has no results: the causes of failure that reached the requested artifacts, each once with all that it
//! affects, since one lost object or full disk can fail thousands of actions.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use taut_engine::Fail;
use taut_exec::{ActionFailure, Cause, ExecutionFailure};
use taut_value::{ActionDescription, Id, Str};

use crate::Retry;

/// Why a build has no results. Actions that failed themselves are not in here: they have events.
#[derive(Default, Debug)]
pub struct BuildFailure {
    /// Everything else that failed, in the order of what is wanted.
    pub unbuilt: Vec<Unbuilt>,
    /// What is wanted and has no result, whatever the reason.
    pub not_built: Vec<MissingPath>,
    /// Of an interrupted build, how many actions have a result, from this build or an earlier one.
    pub done: Option<usize>,
    /// The server that turned out not to have something that it had, if one did.
    pub losing_server: Option<String>,
    /// Whether objects of export targets that were taken from the target-level cache are lost: their entries were
    /// removed, so the next try analyses and builds these targets.
    pub has_lost_entries: bool,
}

/// A wanted path without a result.
#[derive(Debug)]
pub struct MissingPath {
    /// The path.
    pub path: Str,
    /// The action that it is an output of, or something in a tree; `None` for sources.
    pub maker: Option<Id>,
    /// Whether nothing that it depends on has failed: the build stopped before, since something else did.
    pub is_stopped: bool,
}

/// A cause of failure, with what has no result because of it, as far as it is known: of several reasons that an
/// action has none, one is.
#[derive(Debug)]
pub struct Unbuilt {
    /// What is wrong.
    pub cause: Cause,
    /// The actions that met it directly, each once.
    pub actions: Vec<(Id, Arc<ActionDescription>)>,
    /// The wanted paths that met it without an action in between.
    pub paths: Vec<Str>,
}

impl BuildFailure {
    /// Groups wanted paths, and why each could not be built, by cause.
    pub(crate) fn of<'f>(failed: impl IntoIterator<Item = (&'f Str, Option<Id>, &'f Fail)>) -> BuildFailure {
        let mut failure = BuildFailure::default();
        // Where each cause is, and the actions that are there already.
        // A list beside the map: causes are reported in the order in which they were met.
        let (mut places, mut met) = (HashMap::new(), HashSet::new());
        for (path, maker, fail) in failed {
            // An artifact with several failures below it reports the worst, and this is the least of them.
            let is_stopped = matches!(fail, Fail::Cancelled);
            failure.not_built.push(MissingPath { path: path.clone(), maker, is_stopped });
            let of_action = fail.downcast_ref::<ActionFailure>().is_some();
            let (cause, action) = match fail.downcast_ref::<ExecutionFailure>() {
                Some(ExecutionFailure { cause, action }) => (cause.clone(), action.as_ref()),
                // A failed action has an event of its own, and what was cancelled is not a cause.
                None if of_action || is_stopped => continue,
                None => (Cause::Fault(fail.to_string()), None),
            };
            let unbuilt = &mut failure.unbuilt;
            let place = *places.entry(cause.clone()).or_insert_with(|| {
                unbuilt.push(Unbuilt { cause, actions: Vec::new(), paths: Vec::new() });
                unbuilt.len() - 1
            });
            match action {
                Some((id, action)) if met.insert((place, *id)) => {
                    unbuilt[place].actions.push((*id, action.clone()));
                }
                Some(_) => {}
                None => unbuilt[place].paths.push(path.clone()),
            }
        }
        failure
    }

    /// Adds the failure that stopped the build, unless its cause is there already. A source that cannot be stored, say,
    /// is found while the leaves of an earlier run are compared: what would have reported it is cancelled.
    pub(crate) fn add_first(&mut self, fail: &Fail) {
        if let Some(ExecutionFailure { cause, action }) = fail.downcast_ref::<ExecutionFailure>()
            && self.unbuilt.iter().all(|unbuilt| unbuilt.cause != *cause)
        {
            let actions = action.clone().into_iter().collect();
            self.unbuilt.push(Unbuilt { cause: cause.clone(), actions, paths: Vec::new() });
        }
    }

    /// Whether something was not defined: cached build state or a git repository lost it, or a graph is not complete.
    pub fn is_undefined(&self) -> bool {
        self.unbuilt.iter().any(|unbuilt| unbuilt.cause.is_undefined())
    }

    /// Whether an object that was recorded as stored is missing or damaged. It counts as absent now.
    pub fn is_lost(&self) -> bool {
        self.has_lost_entries || self.unbuilt.iter().any(|unbuilt| unbuilt.cause.is_lost())
    }

    /// Whether something that is lost of a root may be the cause: not of actions that failed themselves, nor of what
    /// the store has lost. `why`: [`BuildFailure::retry_reason`].
    pub(crate) fn may_be_of_roots(&self, why: Option<Retry>) -> bool {
        !self.unbuilt.is_empty() && why != Some(Retry::Lost)
    }

    /// Why the request is worth another try, if it is.
    pub fn retry_reason(&self) -> Option<Retry> {
        if self.has_lost_entries {
            // An object that is neither defined nor stored is one of an entry.
            return Some(Retry::Lost);
        }
        let lost = || self.is_lost().then_some(Retry::Lost);
        // If both hold, the definition counts: the try after it also analyses every target (`Run::run`).
        self.is_undefined().then_some(Retry::Undefined).or_else(lost)
    }
}

#[cfg(test)]
mod tests {
    use taut_digest::{Digest, HashFunction, ObjectInfo, ObjectType};

    use super::*;

    fn fail(cause: &Cause, action: Option<&str>) -> Fail {
        let action = action.map(|name| (Id::of(name), Arc::default()));
        Fail::transient(ExecutionFailure { cause: cause.clone(), action })
    }

    #[test]
    fn each_cause_is_there_once_with_all_that_it_affects() {
        let full = Cause::Store("full".into());
        let digest = Digest { hash: HashFunction::GitSha1.blob(b""), size: 0 };
        let lost = Cause::Lost(ObjectInfo { digest, object_type: ObjectType::File });
        let mut failed = vec![
            ("1", fail(&full, Some("a"))),
            ("2", fail(&full, Some("b"))),
            ("3", fail(&full, Some("a"))),
            ("4", fail(&full, None)),
            ("5", Fail::Cancelled),
        ];
        let of = |failed: &[(&str, Fail)]| {
            let failed: Vec<(Str, Fail)> =
                failed.iter().map(|(path, fail)| ((*path).into(), fail.clone())).collect();
            BuildFailure::of(failed.iter().map(|(path, fail)| (path, None, fail)))
        };
        let failure = of(&failed);
        let [only] = &failure.unbuilt[..] else { panic!("{failure:?}") };
        let ids: Vec<Id> = only.actions.iter().map(|(id, _)| *id).collect();
        assert_eq!((ids, &only.paths[..]), (vec![Id::of("a"), Id::of("b")], &["4".into()][..]));
        let stopped: Vec<bool> = failure.not_built.iter().map(|path| path.is_stopped).collect();
        assert_eq!((stopped, failure.retry_reason()), (vec![false, false, false, false, true], None));
        failed.push(("6", fail(&lost, Some("a"))));
        assert_eq!(of(&failed).retry_reason(), Some(Retry::Lost));
    }
}
