//! Collecting: the tasks of a rule in the closure of some tasks, by the runs that are good in a build
//! (`settle/below.rs`).

use std::collections::HashSet;
use std::future::Future;

use crate::api::build::Build;
use crate::graph::ids::{NodeId, TaskId};
use crate::schedule::inner::Inner;
use crate::settle::below::{Incomplete, Visit, VisitedTask};
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
    fn collects(&self, rule: u16) -> bool {
        rule == self.rule
    }

    fn visit(&mut self, task: &VisitedTask<'_>) -> Option<()> {
        self.keys.push(task.key()?);
        Some(())
    }
}

/// The number of tasks of a rule.
// Apart from `Keys`: counting decodes no key.
struct Count {
    rule: u16,
    number: usize,
}

impl Visit for Count {
    fn collects(&self, rule: u16) -> bool {
        rule == self.rule
    }

    fn visit(&mut self, _: &VisitedTask<'_>) -> Option<()> {
        self.number += 1;
        Some(())
    }
}

/// What two visitors collect, in one pass.
// Pairs, which nest, in place of a list of visitors: each is typed, and called without indirection.
impl<A: Visit, B: Visit> Visit for (A, B) {
    fn collects(&self, rule: u16) -> bool {
        self.0.collects(rule) || self.1.collects(rule)
    }

    fn visit(&mut self, task: &VisitedTask<'_>) -> Option<()> {
        if self.0.collects(task.rule) {
            self.0.visit(task)?;
        }
        if self.1.collects(task.rule) { self.1.visit(task) } else { Some(()) }
    }
}

impl Build {
    /// The tasks of a rule in the closure of these tasks, themselves included, and contents that were mentioned
    /// ([`crate::Content`]). The closure follows the good runs by which this build settled the tasks. Each once, in the
    /// order in which a build from scratch on one thread would first request them; so the order does not depend on
    /// threads, nor on what was known before. Nothing is executed for it.
    ///
    /// `None`: the reads of some task are not known, or no longer. So it is for roots that were not requested from this
    /// build, and in what-if builds. It may be so below a task that is good by its leaves ([`crate::Policy::deep`]), if
    /// a task in between keeps no run of that state.
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
    /// The tasks of a rule in the closure of these tasks, themselves included, as [`Build::collect`] has them: each
    /// once, in the order in which a build from scratch on one thread would first request them. The roots are tasks of
    /// which this task has requested the value, the hash or facets before, and has the answer ([`Cx::task`] names
    /// them); a task that was requested by [`Cx::order`], [`Cx::call`] or [`Cx::depend`] does not count. A root that
    /// failed counts.
    ///
    /// The closure of the roots is settled for it: below a root that is good by its leaves ([`crate::Policy::deep`]), a
    /// task without a good kept run executes. That is not recorded, since it follows from the reads and the leaves
    /// below them.
    ///
    /// Sound only in tasks that are verified by leaves only ([`crate::Policy::only_by_leaves`]), since the answer does
    /// not follow from the hashes that the task read; in all others the answer is `None`. It is `None` also if a root
    /// was not requested; in a what-if build; or if the reads of some task are not known (the build is cancelled,
    /// another build replaces the runs meanwhile, or a rule is not deterministic). In the last case no run of the task
    /// is kept, nor if something below the roots had to be settled and had a transient failure.
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

    /// The same, and how many tasks of a third rule there are.
    #[allow(clippy::type_complexity, reason = "two lists and a number")]
    pub fn collect_two_and_count<A: Rule, B: Rule, C: Rule>(
        &self,
        roots: Vec<TaskId>,
    ) -> impl Future<Output = Option<(Vec<A::Key>, Vec<B::Key>, usize)>> + Send + use<A, B, C> {
        let (cx, roots) = (self.clone(), self.roots(roots));
        async move {
            let all = |inner: &Inner| {
                let count = Count { rule: inner.engine.rule_id::<C>(), number: 0 };
                ((Keys::of::<A>(inner), Keys::of::<B>(inner)), count)
            };
            let ((a, b), count) = cx.below(roots?, all).await?;
            Some((a.keys, b.keys, count.number))
        }
    }

    /// The roots, if this task may collect from their closure.
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
            // In a block of its own, so that no lock is held while it waits.
            let unsettled = {
                let mut visit = visit(self.build());
                match self.build().visit_below(&roots, true, &mut visit) {
                    Ok(()) => return Some(visit),
                    Err(Incomplete::Unknown) => Vec::new(),
                    Err(Incomplete::Unsettled(nodes)) => nodes,
                }
            };
            // Each task is settled once: if it is unsettled again, another round would not end either.
            let unsettled: Vec<NodeId> = unsettled.into_iter().filter(|node| settled.insert(*node)).collect();
            if unsettled.is_empty() {
                self.note_missed(roots.first().copied());
                return None;
            }
            self.settle(unsettled).await;
        }
    }
}
