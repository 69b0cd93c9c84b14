//! One session, many builds: what the engine knows stays in memory, and the world says what changed.
//!
//! A round is a build that takes everything as valid but what was named. What is to be named for a change in the file
//! system, `leaves` knows.

use std::collections::HashSet;
use std::sync::Arc;

use taut_analysis::ConfiguredTarget;
use taut_engine::KeyRef;
use taut_exec::{ActionKey, ArtifactKey, ArtifactRule};
use taut_repos::{DirRule, FileRule, Place};
use taut_syntax::Diagnostics;
use taut_value::Id;

use crate::analyse::{asked, begin};
use crate::history::{How, Subject};
use crate::{Analysis, BuildFailure, Reached, Request, Results, Session, Wanted};

/// What to look at again.
#[derive(Debug)]
pub enum Again {
    /// Everything: what changed is not known.
    Everything,
    /// Only this.
    Only(Vec<KeyRef>),
}

/// What a round did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Done {
    /// The targets that were analysed, source files among them; as JSON, with their configuration.
    pub analysed: HashSet<(String, String)>,
    /// The actions that were run, failed ones included, in the order in which they began.
    pub ran: Vec<Id>,
    /// How many actions the action cache knew.
    pub cached: usize,
}

impl Session {
    /// Closes the directories of roots until the next round: while they are open, they can neither be unmounted nor
    /// does their space come back when they are removed.
    pub fn close_directories(&self) {
        self.roots.forget();
    }

    /// Begins another round; everything but what is named is believed.
    pub fn begin_again(&mut self, again: &Again) {
        self.roots.forget();
        let mut next = self.engine.begin();
        match again {
            Again::Everything => next = next.scan(),
            Again::Only(leaves) => {
                // Whoever only has another time, or was written again, is no change to anybody above.
                let engine = &self.engine;
                for leaf in leaves {
                    if let Some(artifact) = leaf.downcast::<ArtifactKey>() {
                        if !engine.confirms::<ArtifactRule>(artifact) {
                            next = next.changed::<ArtifactRule>(artifact);
                        }
                    } else if let Some(place) = leaf.downcast::<Place>() {
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
        self.build = begin(next, self.jobs);
        self.execution.halt.reset();
        self.execution.counters.reset();
        self.ends.reset();
    }

    /// Analyses the targets of the request. What an earlier round came to is taken over if no target had to be
    /// analysed again, so that a round costs what the change demands, however large the request is.
    ///
    /// # Errors
    /// Everything that is wrong; at least one diagnostic.
    pub fn analyse_again(
        &self,
        request: &Request,
        before: Option<Arc<Analysis>>,
    ) -> Result<Arc<Analysis>, Diagnostics> {
        let asked: Vec<Reached> =
            asked(&self.build, request)?.into_iter().map(Reached::without_nulls).collect();
        let is_same = |(before, now): (&Reached, &Reached)| {
            before.target == now.target && Arc::ptr_eq(&before.analysed, &now.analysed)
        };
        let is_of_this = |before: &Arc<Analysis>| {
            before.asked.len() == asked.len() && before.asked.iter().zip(&asked).all(is_same)
        };
        match before.filter(is_of_this) {
            Some(before) if self.done().analysed.is_empty() => Ok(before),
            _ => self.analyse(request).map(Arc::new),
        }
    }

    /// Whether the present round may have looked where no round before did: it did anything but look at sources
    /// and run actions, which look where their definitions say.
    pub fn looked_around(&self) -> bool {
        self.build.log().iter().any(|ran| {
            let key = &ran.key;
            let is_execution =
                key.downcast::<ArtifactKey>().is_some() || key.downcast::<ActionKey>().is_some();
            !is_execution && !matches!(key.rule(), "stage" | "run")
        })
    }

    /// Builds what is wanted; unlike [`Session::build`], tells nothing of actions that nobody had to look at.
    ///
    /// # Errors
    /// Everything that failed.
    pub fn build_again(&self, wanted: &Wanted) -> Result<Results, BuildFailure> {
        let built = self.build_all(wanted);
        self.refresh(wanted);
        self.commit();
        built
    }

    /// What the present round did so far.
    pub fn done(&self) -> Done {
        let mut done = Done::default();
        for ran in self.build.log() {
            if let Some(target) = ran.key.downcast::<ConfiguredTarget>() {
                if let Subject::Target { name, config } = Subject::target(target) {
                    done.analysed.insert((name.to_string(), config.to_string()));
                }
            } else if let Some(ActionKey(id)) = ran.key.downcast::<ActionKey>() {
                match self.ends.of(id) {
                    Some(How::Cached) => done.cached += 1,
                    Some(_) => done.ran.push(*id),
                    None => {}
                }
            }
        }
        done
    }
}
