//! Collecting: which tasks of a rule lie below some tasks, by the runs that are good in a build (`settle/below.rs`).

use std::collections::HashSet;
use std::future::Future;

use crate::api::build::Build;
use crate::graph::ids::{NodeId, TaskId};
use crate::schedule::inner::Inner;
use crate::settle::below::{Incomplete, Met, Visit};
use crate::{Cx, Key, Rule};

/// The keys of the tasks of a rule.
struct Keys<K> {
    rule: u16,
    keys: Vec<K>,
}

impl<K: Key> Keys<K> {
    fn of<R: Rule<Key = K>>(inner: &Inner) -> Keys<K> {
        Keys { rule: inner.engine.rule_id::<R>(), keys: Vec::new() }
    }
}

impl<K: Key> Visit for Keys<K> {
    fn wants(&self, rule: u16) -> bool {
        rule == self.rule
    }

    fn met(&mut self, met: &Met<'_>) -> Option<()> {
        self.keys.push(met.key()?);
        Some(())
    }
}

/// Those of two rules.
impl<A: Key, B: Key> Visit for (Keys<A>, Keys<B>) {
    fn wants(&self, rule: u16) -> bool {
        self.0.wants(rule) || self.1.wants(rule)
    }

    fn met(&mut self, met: &Met<'_>) -> Option<()> {
        if self.0.wants(met.rule) {
            self.0.met(met)?;
        }
        if self.1.wants(met.rule) { self.1.met(met) } else { Some(()) }
    }
}

impl Build {
    /// The tasks of a rule that these tasks were made from, themselves included, by the runs that are good in this
    /// build, which settled them; contents that were mentioned, too ([`crate::Content`]). Each once, in the order in which
    /// a run without any memory, one task after the other, would come to them first; so the order does not depend on
    /// threads, nor on what was known before. Nothing is executed for it.
    ///
    /// `None`: of some task it is not known (any more) what it was made from. That is so of roots that this build was not
    /// asked for, of questions (what-if), and may be so below a task that is good by its leaves
    /// ([`crate::Policy::deep`]), if something in between keeps no run of that state.
    pub fn collect<R: Rule>(&self, roots: impl IntoIterator<Item = TaskId>) -> Option<Vec<R::Key>> {
        let keys = self.below(roots, Keys::of::<R>(self.inner()))?;
        Some(keys.keys)
    }

    /// The same for two rules, in one pass.
    #[allow(clippy::type_complexity, reason = "two lists")]
    pub fn collect_two<A: Rule, B: Rule>(
        &self,
        roots: impl IntoIterator<Item = TaskId>,
    ) -> Option<(Vec<A::Key>, Vec<B::Key>)> {
        let inner = self.inner();
        let (a, b) = self.below(roots, (Keys::of::<A>(inner), Keys::of::<B>(inner)))?;
        Some((a.keys, b.keys))
    }

    pub(crate) fn below<V: Visit>(&self, roots: impl IntoIterator<Item = TaskId>, mut visit: V) -> Option<V> {
        let roots: Vec<NodeId> = roots.into_iter().map(TaskId::node).collect();
        self.inner().visit_below(&roots, false, &mut visit).is_ok().then_some(visit)
    }
}

impl Cx {
    /// The tasks of a rule that these tasks were made from, themselves included, as [`Build::collect`] has them: each
    /// once, in the order in which a run without any memory would come to them first. The roots are tasks of which this
    /// task has asked for the value, the hash or facets before, and has the answer ([`Cx::task`] names them); what only
    /// waited, was called, or was asked for by [`Cx::depend`] does not count. A root that failed counts.
    ///
    /// What lies below the roots is settled for it: below a root that is good by its leaves ([`crate::Policy::deep`]), a
    /// task of which no kept run is good executes. That is not recorded, since it follows from what was read, and from
    /// the leaves below that.
    ///
    /// Sound only in tasks that go by leaves only ([`crate::Policy::only_by_leaves`]), so there is no answer in any other:
    /// what it would tell is not told by the hashes that the task read. `None` also: a root was not asked for; the build
    /// is a question (what-if); or of something it is not known what it was made from (a build that is given up, or
    /// others that replace its runs meanwhile; something that is not deterministic). No run is kept of a task that was told
    /// the last of these, nor of one below whose roots something that had to be settled failed for now.
    pub fn collect<R: Rule>(
        &self,
        roots: Vec<TaskId>,
    ) -> impl Future<Output = Option<Vec<R::Key>>> + Send + use<R> {
        let (cx, roots) = (self.clone(), self.roots(roots));
        async move {
            let keys = cx.below(roots?, |inner| Keys::of::<R>(inner)).await?;
            Some(keys.keys)
        }
    }

    /// The same for two rules, in one pass.
    #[allow(clippy::type_complexity, reason = "two lists")]
    pub fn collect_two<A: Rule, B: Rule>(
        &self,
        roots: Vec<TaskId>,
    ) -> impl Future<Output = Option<(Vec<A::Key>, Vec<B::Key>)>> + Send + use<A, B> {
        let (cx, roots) = (self.clone(), self.roots(roots));
        async move {
            let both = |inner: &Inner| (Keys::of::<A>(inner), Keys::of::<B>(inner));
            let (a, b) = cx.below(roots?, both).await?;
            Some((a.keys, b.keys))
        }
    }

    /// The roots, if this task may collect what lies below them once it is polled.
    fn roots(&self, roots: Vec<TaskId>) -> Option<Vec<NodeId>> {
        let roots: Vec<NodeId> = roots.into_iter().map(TaskId::node).collect();
        self.may_collect().then_some(roots)
    }

    async fn below<V: Visit>(&self, roots: Vec<NodeId>, visit: impl Fn(&Inner) -> V) -> Option<V> {
        if !self.has_read(&roots) {
            return None;
        }
        let mut settled: HashSet<NodeId> = HashSet::new();
        loop {
            // Apart, so that no guard is held while it waits.
            let unsettled = {
                let mut visit = visit(self.build());
                match self.build().visit_below(&roots, true, &mut visit) {
                    Ok(()) => return Some(visit),
                    Err(Incomplete::Unknown) => Vec::new(),
                    Err(Incomplete::Unsettled(nodes)) => nodes,
                }
            };
            let unsettled: Vec<NodeId> = unsettled.into_iter().filter(|node| settled.insert(*node)).collect();
            if unsettled.is_empty() {
                self.has_missed(roots.first().copied());
                return None;
            }
            self.settle(unsettled).await;
        }
    }
}
