//! Dependency cycles: the search for tasks that wait for each other.
//!
//! There is no search when an edge is added. When all threads are idle, the remaining waits contain a cycle; it is
//! found in time linear in the waiting tasks, and it is always the same one, whatever the schedule was: through the
//! least key of all tasks on cycles, and from there a shortest path back, least keys first.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::graph::ids::NodeId;
use crate::schedule::inner::Inner;
use crate::schedule::slot::Part;
use crate::schedule::wait::Waiter;
use crate::schedule::work::Work;
use crate::sync::{Arc, atomic::Ordering, lock};
use crate::{Cycle, Fail};

/// By task, the tasks that it waits for.
// Made only when all threads are idle, so nothing changes while it is read, and its cost is paid only by builds with
// a cycle.
type Waits = HashMap<NodeId, BTreeSet<NodeId>>;

impl Inner {
    /// All threads are idle: fails the tasks of one cycle; returns whether there was one.
    pub(crate) fn break_waits(self: &Arc<Inner>) -> bool {
        let waits = self.waits();
        let Some(nodes) = self.find_cycle(&waits) else { return false };
        if nodes.iter().any(|node| self.execute_instead(*node)) {
            return true;
        }
        let keys = nodes.iter().map(|node| self.engine.key_ref(*node)).collect();
        self.end(nodes, &Fail::Cycle(Arc::new(Cycle { keys })));
        true
    }

    /// If the task waits for a sibling only to take its result over: executes the task instead. A wait that
    /// is not needed makes no cycle.
    fn execute_instead(self: &Arc<Inner>, node: NodeId) -> bool {
        let slot = self.slots.at(node);
        let work = {
            let mut state = lock(&slot.state);
            let Some(open) = state.opened() else { return false };
            let for_sibling = match &open.work {
                Some(Work::TakeOver(_)) => true,
                Some(Work::Check(check)) => self.engine.is_taken_over(node, check.edges()),
                _ => false,
            };
            open.work.take_if(|_| for_sibling)
        };
        let Some(work) = work else { return false };
        // All threads are idle, so nothing is notified meanwhile: its waiters can be removed.
        for (_, slot) in self.slots.seen() {
            let mut state = lock(&slot.state);
            let Some(open) = state.opened() else { continue };
            open.waiters.retain(|(_, waiter)| !matches!(waiter, Waiter::Node(waiting) if *waiting == node));
        }
        slot.pending.store(0, Ordering::Release);
        let cause = match work {
            Work::TakeOver(other) => other.cause,
            Work::Check(check) => check.into_cause(),
            Work::Finish(_) | Work::Agree(_) => unreachable!("not taken"),
        };
        self.execute(self.task(node), cause);
        true
    }

    fn waits(&self) -> Waits {
        let mut waits = Waits::new();
        for (node, slot) in self.slots.seen() {
            let mut state = lock(&slot.state);
            let Some(open) = state.opened() else { continue };
            // A request for `Own` is that of a task's hash function for its own value, which is not a cycle.
            for (_, waiter) in open.waiters.iter().filter(|(part, _)| *part != Part::Own) {
                let waiting = match waiter {
                    Waiter::Node(waiting) => *waiting,
                    Waiter::Wait(wait) => match &wait.frame {
                        Some(frame) => frame.node(),
                        // A request from outside: no task waits for it.
                        None => continue,
                    },
                };
                waits.entry(waiting).or_default().insert(node);
            }
        }
        waits
    }

    /// The canonical cycle: shortest through the least key that lies on any.
    fn find_cycle(&self, waits: &Waits) -> Option<Vec<NodeId>> {
        // Kahn's algorithm from both ends: tasks without a remaining dependency, and tasks without a remaining
        // dependent, are removed until there are none. The rest lies on a cycle or on a path between two cycles. A
        // search for strongly connected components would need recursion.
        let mut left = trim(waits);
        while !left.is_empty() {
            let least = *left.iter().min_by_key(|node| self.engine.key_ref(**node))?;
            if let Some(cycle) = self.way_back(waits, &left, least) {
                return Some(cycle);
            }
            // It lies only on a path between cycles.
            left.remove(&least);
        }
        None
    }

    /// A shortest path from `start` to itself; of several, the one whose keys are least from the start on.
    fn way_back(&self, waits: &Waits, left: &BTreeSet<NodeId>, start: NodeId) -> Option<Vec<NodeId>> {
        let mut from = HashMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            let mut next: Vec<NodeId> =
                waits.get(&node)?.iter().copied().filter(|n| left.contains(n)).collect();
            if next.contains(&start) {
                let mut cycle = vec![node];
                while let Some(before) = from.get(cycle.last().expect("not empty")) {
                    cycle.push(*before);
                }
                cycle.reverse();
                return Some(cycle);
            }
            // By key: the numbers of tasks depend on the schedule.
            next.sort_by_cached_key(|node| self.engine.key_ref(*node));
            for next in next {
                if next != start && !from.contains_key(&next) {
                    from.insert(next, node);
                    queue.push_back(next);
                }
            }
        }
        None
    }
}

/// The nodes that lie on a cycle or on a path from one to another.
fn trim(waits: &Waits) -> BTreeSet<NodeId> {
    let mut reversed = Waits::new();
    for (node, deps) in waits {
        for dep in deps {
            reversed.entry(*dep).or_default().insert(*node);
        }
    }
    let mut left: BTreeSet<NodeId> = waits.keys().chain(reversed.keys()).copied().collect();
    let none = BTreeSet::new();
    // First removes what waits for nothing that is left, then what nothing that is left waits for.
    for (forward, backward) in [(waits, &reversed), (&reversed, waits)] {
        let mut open: HashMap<NodeId, usize> = (left.iter())
            .map(|node| {
                let next = forward.get(node).unwrap_or(&none);
                (*node, next.iter().filter(|next| left.contains(next)).count())
            })
            .collect();
        let mut free: Vec<NodeId> =
            open.iter().filter(|(_, open)| **open == 0).map(|(node, _)| *node).collect();
        while let Some(node) = free.pop() {
            left.remove(&node);
            for before in backward.get(&node).unwrap_or(&none) {
                let Some(open) = open.get_mut(before) else { continue };
                *open -= 1;
                if *open == 0 {
                    free.push(*before);
                }
            }
        }
    }
    left
}
