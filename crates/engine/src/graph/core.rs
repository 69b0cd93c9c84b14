//! The tables of an engine: rules, tasks, and what was declared of the outside world.
//!
//! Lock order, where several are held: `inputs`; the walk over the file (`Persist::walk`); a shard of an interner; the
//! state of the file (`Persist::state`); the `hist` of a task, one at a time; the `dependents` of a task. All others
//! are held for a few statements that take no further lock.

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};

use crate::graph::clean::CleanState;
use crate::graph::erased::ErasedRule;
use crate::graph::ids::{AnyKey, NodeId, Unloaded};
use crate::graph::intern::BuildFastHasher;
use crate::graph::node::{Hist, Node};
use crate::graph::siblings::Siblings;
use crate::graph::table::Table;
use crate::graph::traces::Traces;
use crate::sync::{
    Arc, Mutex, OnceLock,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    lock,
};
use crate::{KeyRef, Policy, Store};

/// A number from which a process counts its builds, such that the ranges of two processes do not overlap.
pub(crate) fn nonce() -> u64 {
    // Of the standard library also under `shuttle`, which forbids its own atomics in statics that outlive one
    // schedule.
    static CALLS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    // Relaxed: only that each call gets another number matters.
    // In steps so large that no engine makes as many builds.
    let calls = CALLS.fetch_add(1 << 40, Ordering::Relaxed);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    // The clock alone would be the same for two processes that start within one tick of it.
    let process = u64::from(std::process::id()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // The low bits are left to count builds.
    (((since.as_nanos() as u64) ^ process) << 16).wrapping_add(calls)
}

/// What all builds of an engine share.
pub(crate) struct Core {
    pub(crate) rules: Vec<Box<dyn ErasedRule>>,
    pub(crate) by_type: HashMap<TypeId, u16, BuildFastHasher>,
    pub(crate) nodes: Table<OnceLock<Node>>,
    // How many nodes there are, so the number of the next one.
    pub(crate) count: AtomicU32,
    pub(crate) builds: AtomicU64,
    pub(crate) inputs: Mutex<Inputs>,
    pub(crate) siblings: Siblings,
    /// Whether there are tasks that are stored nowhere ([`Store::None`]). Only ever set; a hint that saves lookups.
    pub(crate) has_unstored: AtomicBool,
    /// Whether the value of any task was ever set from outside. Most engines have none: this spares them a look at each
    /// task.
    pub(crate) has_given: AtomicBool,
    /// By rule, the latest epoch in which all its tasks were declared changed. A task that becomes a node while the
    /// others are marked reads it after it is in the table; the declaration is written before the table is read. Both
    /// are `SeqCst`, so one of the two sees the other.
    pub(crate) changed_rules: Box<[AtomicU64]>,
    /// Whether any task is clean since an earlier build.
    pub(crate) has_clean: AtomicBool,
    /// Whether dependents are recorded: from the first change on that follows a build (`settle/clean.rs`).
    pub(crate) notes_dependents: AtomicBool,
    /// The epochs of the builds that exist, and how many builds each has.
    pub(crate) live: Mutex<BTreeMap<u64, usize>>,
    /// How many builds exist: the sum of `live`, readable without the lock.
    pub(crate) live_builds: AtomicU64,
    /// The file of traces, if the engine was opened with one.
    pub(crate) traces: Option<Box<dyn Traces>>,
}

/// The changes of the outside world that were declared, by epoch. A build has a copy from when it began.
#[derive(Clone)]
pub(crate) struct Inputs {
    pub(crate) epoch: u64,
    /// The last epoch in which all leaves became stale ([`crate::Begin::scan`]).
    pub(crate) scanned: u64,
    /// No task is clean since before this epoch.
    pub(crate) floor: u64,
    /// The last epoch in which all tasks of a rule were declared changed.
    // Behind `Arc`, as the list below: every build has a copy of `Inputs`.
    pub(crate) rules: Arc<[u64]>,
    /// By rule, the last epoch in which a change was declared of a task that is not a leaf. The leaf sets of runs above
    /// such a task that are older are no longer valid, since the change is in no leaf.
    pub(crate) leaf_sets_invalidated: Arc<[u64]>,
}

impl Core {
    /// An engine with these rules, whose only tasks are those in `traces`.
    pub(crate) fn new(
        rules: Vec<Box<dyn ErasedRule>>,
        by_type: HashMap<TypeId, u16, BuildFastHasher>,
        traces: Option<Box<dyn Traces>>,
    ) -> Core {
        let never: Arc<[u64]> = vec![0; rules.len()].into();
        let changed_rules = rules.iter().map(|_| AtomicU64::new(0)).collect();
        Core {
            rules,
            by_type,
            nodes: Table::new(),
            count: AtomicU32::new(0),
            // The number of a build is the hash of results that have none of their own; in a file it must not equal
            // that of another process.
            builds: AtomicU64::new(if traces.is_some() { nonce() } else { 0 }),
            // What changed while no process ran is not known, so all leaves of the file are stale.
            inputs: Mutex::new(Inputs {
                epoch: 1,
                scanned: u64::from(traces.is_some()),
                floor: 0,
                leaf_sets_invalidated: never.clone(),
                rules: never,
            }),
            siblings: Siblings::default(),
            has_unstored: AtomicBool::new(false),
            has_given: AtomicBool::new(false),
            changed_rules,
            has_clean: AtomicBool::new(false),
            notes_dependents: AtomicBool::new(false),
            live: Mutex::default(),
            live_builds: AtomicU64::new(0),
            traces,
        }
    }

    /// Invalidates the leaf sets of all runs above tasks of these rules, of which a change was declared that is in no
    /// leaf.
    pub(crate) fn invalidate_leaf_sets(&self, inputs: &mut Inputs, mut rules: Vec<u16>) {
        if rules.is_empty() {
            return;
        }
        rules.sort_unstable();
        rules.dedup();
        let mut leaf_sets_invalidated = inputs.leaf_sets_invalidated.to_vec();
        rules.iter().for_each(|rule| leaf_sets_invalidated[*rule as usize] = inputs.epoch);
        inputs.leaf_sets_invalidated = leaf_sets_invalidated.into();
        if let Some(traces) = &self.traces {
            traces.invalidate_leaf_sets(&rules);
        }
    }

    /// Whether the value of the task is set from outside in an epoch.
    pub(crate) fn is_given(&self, id: NodeId, epoch: u64) -> bool {
        self.has_given.load(Ordering::Acquire) && lock(&self.node(id).hist).given_value(epoch).is_some()
    }

    pub(crate) fn add(&self, rule: u16, key: AnyKey) -> NodeId {
        let unloaded = self.traces.as_ref().and_then(|traces| {
            let rule = &self.rules[rule as usize];
            traces.find(rule.name(), &|| rule.encode(&key))
        });
        self.add_node(rule, key, unloaded)
    }

    /// The node of a task of the file, by the bytes of its key. `None` if they cannot be decoded.
    pub(crate) fn intern_stored(&self, rule: u16, key: &[u8], place: Unloaded) -> Option<NodeId> {
        self.rule_at(rule).intern_bytes(key, &|key| self.add_node(rule, key, Some(place)))
    }

    fn add_node(&self, rule: u16, key: AnyKey, unloaded: Option<Unloaded>) -> NodeId {
        let mut policy = self.rules[rule as usize].policy(&key);
        if policy.store == Store::None {
            policy = Policy { runs: 0, ..policy };
            // Relaxed: published with the node, by the lock of the interner (`Core::request`).
            self.has_unstored.store(true, Ordering::Relaxed);
        }
        let unloaded = unloaded.filter(|_| policy.store != Store::None);
        // A number is visible to other threads only by what is published after the node: the interner's shard, or a
        // `OnceLock` of the table.
        let id = self.count.fetch_add(1, Ordering::AcqRel);
        let node =
            Node { rule, key, policy, hist: Mutex::new(Hist::new(unloaded)), clean: CleanState::default() };
        let fresh = self.nodes.at(id).set(node).is_ok();
        assert!(fresh, "each node is made once");
        // Either `changed_all` of the rule finds this node in the table, or this thread finds its epoch here.
        self.node(id).clean.invalidate(self.changed_rules[rule as usize].load(Ordering::SeqCst));
        if let (Some(traces), Some(place)) = (&self.traces, unloaded) {
            traces.note(place, id);
        }
        id
    }

    /// How many tasks there are.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire) as usize
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        self.nodes.at(id).get().expect("numbers are given out after the node is there")
    }

    pub(crate) fn all_nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.seen().filter_map(|(id, node)| Some((id, node.get()?)))
    }

    /// The epoch of the oldest build that exists, or `epoch`.
    pub(crate) fn oldest_live(&self, epoch: u64) -> u64 {
        lock(&self.live).first_key_value().map_or(epoch, |(oldest, _)| *oldest)
    }

    /// Whether no second build exists, which could be asked about what it did.
    pub(crate) fn is_only_build(&self) -> bool {
        // A build that begins right after this has used none of the runs that are replaced now.
        self.live_builds.load(Ordering::Acquire) <= 1
    }

    /// A build of `epoch` was dropped.
    pub(crate) fn build_ended(&self, epoch: u64) {
        // Before the lock: at worst `live` still has a build that has ended, and what it could see is kept longer.
        self.live_builds.fetch_sub(1, Ordering::AcqRel);
        let mut live = lock(&self.live);
        if let Some(count) = live.get_mut(&epoch) {
            *count -= 1;
            if *count == 0 {
                live.remove(&epoch);
            }
        }
    }

    /// Calls `what`, unless a later epoch has begun; none begins meanwhile.
    pub(crate) fn in_latest(&self, epoch: u64, what: impl FnOnce()) {
        let inputs = lock(&self.inputs);
        if inputs.epoch == epoch {
            what();
        }
        drop(inputs);
    }

    /// Makes all tasks not clean, from the next build on.
    pub(crate) fn invalidate_all(&self) {
        let mut inputs = lock(&self.inputs);
        inputs.epoch += 1;
        // Each look at a clean task compares the floor, so no task has to be visited.
        inputs.floor = inputs.epoch;
    }

    pub(crate) fn rule(&self, node: &Node) -> &dyn ErasedRule {
        &*self.rules[node.rule as usize]
    }

    /// Notes that the kept runs of a task differ from those in the file.
    pub(crate) fn touch(&self, node: NodeId) {
        if let Some(traces) = &self.traces {
            traces.touch(node);
        }
    }

    /// By rule, the last epoch in which all its tasks were declared changed.
    pub(crate) fn declared_of_rules(&self) -> Arc<[u64]> {
        lock(&self.inputs).rules.clone()
    }

    /// By rule, the last epoch in which a change was declared of a task that is not a leaf.
    pub(crate) fn leaf_sets_invalidated(&self) -> Arc<[u64]> {
        lock(&self.inputs).leaf_sets_invalidated.clone()
    }

    pub(crate) fn rule_number(&self, name: &str) -> Option<u16> {
        // A scan: there are a few dozen rules, and callers look each up once for a file.
        self.rules.iter().position(|rule| rule.name() == name).map(|at| at as u16)
    }

    pub(crate) fn rule_at(&self, number: u16) -> &dyn ErasedRule {
        &*self.rules[number as usize]
    }

    pub(crate) fn rule_named(&self, name: &str) -> Option<&dyn ErasedRule> {
        self.rules.iter().find(|rule| rule.name() == name).map(|rule| &**rule)
    }

    pub(crate) fn key_ref(&self, id: NodeId) -> KeyRef {
        let node = self.node(id);
        let rule = self.rule(node);
        KeyRef {
            rule: rule.name(),
            key: node.key.clone(),
            bytes: rule.encode(&node.key),
            debug: rule.debug(),
        }
    }
}
