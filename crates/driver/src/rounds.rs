//! `watch`: many builds on one session, so that what the engine knows stays in memory.
//!
//! A round is a build that takes every leaf for valid except those that are named as changed. `leaves.rs` has the
//! leaves that a change of the file system concerns.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError},
};

use taut_analysis::{CacheEntryRule, ConfiguredTarget, TargetRule};
use taut_engine::KeyRef;
use taut_exec::{ActionKey, ArtifactKey, ArtifactRule};
use taut_repos::{DirRule, FileRule, RootPath};
use taut_value::Id;

use crate::Session;
use crate::analysis_setup::begin;
use crate::history::ActionEnd;

/// What to look at again.
#[derive(Debug)]
pub enum Recheck {
    /// Everything: what changed is not known.
    Everything,
    /// Only this.
    Only(Vec<KeyRef>),
}

/// What a round did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RoundSummary {
    /// How many targets were analysed, source files aside.
    pub analysed: usize,
    /// The actions that were run, failed ones included, in the order in which they began.
    pub ran: Vec<Id>,
    /// The failed ones among them.
    pub failed: HashSet<Id>,
    /// How many actions the action cache knew.
    pub cached: usize,
}

impl Session {
    /// Whether something that belongs to a root was found to be missing or damaged.
    pub fn has_lost_roots(&self) -> bool {
        self.roots.has_lost()
    }

    /// Closes the directories of roots until the next round: while they are open, they can neither be unmounted nor
    /// does their space come back when they are removed.
    pub fn close_directories(&self) {
        self.roots.forget();
    }

    /// Begins another round; everything but what is named is taken for valid.
    pub fn begin_round(&mut self, again: &Recheck) {
        // An open directory that was replaced would be read as it was before.
        self.roots.forget();
        let mut next = self.engine.begin();
        // Other results of these lookups are known than the round before found.
        for key in std::mem::take(&mut *self.new_entries.lock().unwrap_or_else(PoisonError::into_inner)) {
            // Otherwise the entry would count as absent in all rounds, since no event of the file system is about it.
            next = next.changed::<CacheEntryRule>(&key);
        }
        match again {
            Recheck::Everything => next = next.scan(),
            Recheck::Only(leaves) => {
                // A file that only has another time, or was written with the same content, invalidates nothing.
                let engine = &self.engine;
                for leaf in leaves {
                    if let Some(artifact) = leaf.downcast::<ArtifactKey>() {
                        if !engine.confirms::<ArtifactRule>(artifact) {
                            next = next.changed::<ArtifactRule>(artifact);
                        }
                    } else if let Some(place) = leaf.downcast::<RootPath>() {
                        next = match leaf.rule() {
                            "dir" if engine.confirms::<DirRule>(place) => next,
                            "dir" => next.changed::<DirRule>(place),
                            _ if engine.confirms::<FileRule>(place) => next,
                            _ => next.changed::<FileRule>(place),
                        };
                    }
                }
            }
        }
        self.build = Arc::new(begin(next, self.jobs));
        // After the engine's build has begun, before any task of it runs: tasks begin when they are requested.
        self.begin_sharing_anew();
        self.execution.stop.reset();
        self.execution.counters.reset();
        self.ends.reset();
    }

    /// Whether this round may have looked at a path that no earlier round did. Looking at sources and running actions
    /// does not count: their paths follow from their definitions.
    pub fn may_have_new_leaves(&self) -> bool {
        self.build.log().iter().any(|ran| {
            let key = &ran.key;
            let is_execution =
                key.downcast::<ArtifactKey>().is_some() || key.downcast::<ActionKey>().is_some();
            !is_execution && !matches!(key.rule(), "stage" | "run")
        })
    }

    /// What the present round did so far.
    pub fn done(&self) -> RoundSummary {
        let (mut done, mut ran_at) = (RoundSummary::default(), Vec::new());
        for ran in self.build.log() {
            if let Some(target) = ran.key.downcast::<ConfiguredTarget>() {
                // It is settled: nothing is analysed for the answer.
                let analysed = self.build.get::<TargetRule>(target.clone());
                done.analysed += usize::from(analysed.is_ok_and(|analysed| analysed.is_defined));
            } else if let Some(ActionKey(id)) = ran.key.downcast::<ActionKey>() {
                // By how the action ended: that its task was executed does not say whether the command ran.
                match self.ends.placed(id) {
                    Some((_, ActionEnd::Cached | ActionEnd::Unread)) => done.cached += 1,
                    Some((place, how)) => {
                        ran_at.push((place, *id));
                        if how == ActionEnd::Failed {
                            done.failed.insert(*id);
                        }
                    }
                    None => {}
                }
            }
        }
        // The log has tasks in the order in which they began, and an action begins before its inputs are built.
        ran_at.sort_unstable_by_key(|(place, _)| *place);
        done.ran = ran_at.into_iter().map(|(_, id)| id).collect();
        done
    }
}
