//! Readers of facets in the walk: another version of a task may be equal in the facets that were read.

use super::{OTHER_VERSION, Walker};
use crate::Facets;
use crate::graph::core::Core;
use crate::graph::facet::FacetHashes;
use crate::graph::ids::{NodeId, Seq};
use crate::graph::run::Edge;
use crate::persist::stored_run::StoredEdge;
use crate::sync::lock;

impl Walker<'_> {
    /// Whether the version `now` is equal to the one that was read in the facets that were read; not if one of them has
    /// no facet hashes. `None`: that is not known.
    pub(super) fn is_equal_in_facets(&mut self, edge: &StoredEdge, now: u32) -> Option<bool> {
        if !edge.has_facets() {
            return Some(false);
        }
        let is = match now {
            OTHER_VERSION => {
                self.facets_here(edge.dep, self.inner.clean_version(*self.walk.bound.get(&edge.dep)?)?)
            }
            // The file has facet hashes of the versions of kept runs and of those that a reader of facets has read; the
            // version that is good in this process may be another one.
            now => match self.facets_of(edge.dep, now)? {
                None if self.is_seq_here(edge.dep, now) => self.facets_here(edge.dep, Seq::new(now)),
                known => known,
            },
        };
        let was = self.facets_of(edge.dep, edge.seq)?;
        let is_same = was.zip(is).is_some_and(|(was, is)| edge.facets.are_equal_in(&was, &is));
        // Noted, since the run has the number of another version than the one that is good (`version_when_clean`).
        if is_same && now != OTHER_VERSION {
            self.walk.equal_in_facets.insert(edge.dep, now);
        }
        Some(is_same)
    }

    /// The facet hashes of a version by its number in this process, of a task that has a node.
    fn facets_here(&self, task: u32, seq: Seq) -> Option<FacetHashes> {
        let node = *self.walk.bound.get(&task)?;
        lock(&self.inner.engine.node(node).hist).facets_of(seq).cloned()
    }

    /// Whether the task has a node, in which the version has the same number as in the file.
    fn is_seq_here(&self, task: u32, seq: u32) -> bool {
        let hist = |node: &NodeId| lock(&self.inner.engine.node(*node).hist);
        let is_seq = |node| hist(node).is_seq_of(self.walk.generation, task, Seq::new(seq));
        self.walk.bound.get(&task).is_some_and(is_seq)
    }

    /// The facet hashes of a version in the file, if it has any. `None`: the file is corrupt.
    fn facets_of(&mut self, task: u32, seq: u32) -> Option<Option<FacetHashes>> {
        let known = |all: &Vec<Option<FacetHashes>>| all.get(seq as usize).cloned().flatten();
        if let Some(known) = self.walk.facets.get(&task).and_then(known) {
            return Some(Some(known));
        }
        // A commit may have added some since.
        let all = self.stored.facets(task)?;
        let found = known(&all);
        self.walk.facets.insert(task, all);
        Some(found)
    }
}

impl Core {
    /// The version of a task that was good when a walk found a reader of it good; `None` if that is no longer known. A
    /// reader of facets may have read another version.
    pub(crate) fn version_when_clean(&self, edge: &Edge) -> Option<Seq> {
        if edge.facets == Facets::WHOLE {
            return Some(edge.seq);
        }
        let persist = self.persist()?;
        let place = lock(&self.node(edge.dep).hist).place()?;
        let now = {
            let walk = lock(&persist.walk);
            if walk.generation != place.generation {
                return None;
            }
            walk.equal_in_facets.get(&place.number).copied()
        };
        let Some(now) = now else { return Some(edge.seq) };
        let hist = &self.node(edge.dep).hist;
        if lock(hist).is_seq_of(place.generation, place.number, Seq::new(now)) {
            return Some(Seq::new(now));
        }
        let hash = persist.stored_of(place.generation)?.hash(place.number, now)?;
        lock(hist).seq_with(hash)
    }
}
