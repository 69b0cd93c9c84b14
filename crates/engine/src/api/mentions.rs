//! Reverse lookup of mentions: from a content to the tasks that mention it.

use std::marker::PhantomData;

use crate::api::build::Build;
use crate::graph::core::Core;
use crate::graph::ids::{NodeId, TaskId};
use crate::schedule::inner::Inner;
use crate::settle::below::{TaskRef, Visit, VisitedTask};
use crate::sync::Arc;
use crate::{Content, Hash, Interned, Rule};

/// Which tasks of a rule mention which contents of a kind ([`Build::mentions`]). Eight bytes for each mention; a key is
/// decoded when it is asked for.
pub struct Mentions<I, R> {
    core: Arc<Core>,
    /// The generation of the file that the numbers belong to.
    generation: u64,
    /// Pairs of content and mentioning task, ascending by the content, else in order.
    // A sorted vector, not a map: it is made once, and a map would take several times the room.
    pairs: Vec<(Id, Id)>,
    kinds: PhantomData<fn() -> (I, R)>,
}

/// A task: its number in the file, or that of its node with the highest bit set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Id(u32);

// One bit in place of an enum halves the table, which has an entry for each action of the largest builds.
const NODE: u32 = 1 << 31;

impl Id {
    /// `None`: the number has the highest bit set.
    fn of(place: TaskRef) -> Option<Id> {
        match place {
            TaskRef::Number(number) => (number < NODE).then_some(Id(number)),
            TaskRef::Node(node) => (node < NODE).then_some(Id(node | NODE)),
        }
    }
}

struct Gather {
    rule: u16,
    kind: u16,
    by: Option<Id>,
    pairs: Vec<(Id, Id)>,
    /// Some number has the highest bit set.
    overflows: bool,
}

impl Visit for Gather {
    fn collects(&self, rule: u16) -> bool {
        rule == self.rule
    }

    fn visit(&mut self, task: &VisitedTask<'_>) -> Option<()> {
        self.by = Some(Id::of(task.place)?);
        Some(())
    }

    fn reads(&self) -> Option<u16> {
        Some(self.kind)
    }

    fn read(&mut self, read: TaskRef) {
        match (Id::of(read), self.by) {
            (Some(content), Some(by)) => self.pairs.push((content, by)),
            _ => self.overflows = true,
        }
    }
}

impl Build {
    /// Which tasks of the rule `R` in the closure of the roots mention which contents of the kind `I`, in one traversal
    /// like that of [`Build::collect`]. Requesting a content counts as mentioning it. `None`: as there.
    pub fn mentions<I: Interned, R: Rule>(
        &self,
        roots: impl IntoIterator<Item = TaskId>,
    ) -> Option<Mentions<I, R>> {
        let inner: &Inner = self.inner();
        let (rule, kind) = (inner.engine.rule_id::<R>(), inner.engine.rule_id::<Content<I>>());
        let generation = inner.engine.persist().map_or(0, |persist| persist.generation());
        let gather = Gather { rule, kind, by: None, pairs: Vec::new(), overflows: false };
        // The generation was taken before: numbers of a file that is replaced meanwhile are then looked up in the old
        // one.
        let Gather { mut pairs, overflows, .. } = self.below(roots, gather)?;
        // Stable, so the first stays the first.
        pairs.sort_by_key(|(content, _)| *content);
        pairs.shrink_to_fit();
        (!overflows).then(|| Mentions { core: inner.engine.clone(), generation, pairs, kinds: PhantomData })
    }
}

impl<I: Interned, R: Rule> Mentions<I, R> {
    /// How many mentions there are.
    pub fn count(&self) -> usize {
        self.pairs.len()
    }

    /// The first task that mentions the content with this hash, in the order of [`Build::collect`]. `None`: none does,
    /// or the file that it was in was replaced since.
    pub fn first(&self, content: &Hash) -> Option<R::Key> {
        self.key(self.of(content).next()?.1)
    }

    /// All of them, in that order.
    pub fn all<'m>(&'m self, content: &Hash) -> impl Iterator<Item = R::Key> + use<'m, I, R> {
        self.of(content).filter_map(|(_, by)| self.key(*by))
    }

    /// The mentions of a content, which may be there both by its node and by its number in the file, if it was written
    /// to the file since.
    fn of<'m>(&'m self, content: &Hash) -> impl Iterator<Item = &'m (Id, Id)> + use<'m, I, R> {
        let of = |id: Id| {
            let first = self.pairs.partition_point(|(content, _)| *content < id);
            let rest = &self.pairs[first..];
            &rest[..rest.partition_point(|(content, _)| *content == id)]
        };
        let numbered = self.core.persist().and_then(|persist| {
            persist
                .number_of(self.generation, I::NAME, &content.0)
                .and_then(|number| Id::of(TaskRef::Number(number)))
        });
        let known = || self.core.find::<Content<I>>(content).and_then(|node| Id::of(TaskRef::Node(node)));
        let [numbered, known] = [numbered, known()].map(|id| id.map_or(&[][..], of));
        numbered.iter().chain(known)
    }

    fn key(&self, Id(id): Id) -> Option<R::Key> {
        if id & NODE != 0 {
            let node: NodeId = id & !NODE;
            return (*self.core.node(node).key).downcast_ref::<R::Key>().cloned();
        }
        let stored = self.core.persist()?.stored_of(self.generation)?;
        let mut key = Vec::new();
        stored.key(id, &mut key)?;
        <R::Key as crate::Key>::decode(&key)
    }
}
