//! The engine: the rules, what is kept from build to build, and declaring changes ([`Begin`]).

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use crate::api::build::Build;
use crate::api::options::Options;
use crate::api::part::PartRule;
use crate::api::typed::{RuleKind, Typed};
use crate::graph::core::Core;
use crate::graph::erased::ErasedRule;
use crate::graph::ids::{AnyValue, NodeId};
use crate::graph::intern::{BuildFastHasher, Interner};
use crate::graph::node::Node;
use crate::graph::traces::Traces;
use crate::persist::Persist;
use crate::sync::{Arc, atomic::Ordering, lock};
use crate::{Content, Interned, Part, PathFile, Rule, TraceFile};

/// Holds the rules and, for each task that was ever requested, the kept runs.
///
/// Cheap to clone; all clones are the same engine. What it keeps ends with the process, unless it was
/// opened with a file ([`Builder::open`]).
#[derive(Clone)]
pub struct Engine {
    core: Arc<Core>,
}

/// Collects the rules of an engine.
pub struct Builder {
    rules: Vec<Box<dyn ErasedRule>>,
    by_type: HashMap<TypeId, u16, BuildFastHasher>,
    days: u32,
}

impl Builder {
    /// Adds a rule.
    ///
    /// # Panics
    /// One of that type, or of that name, is there already.
    pub fn rule<R: Rule>(self, rule: R) -> Builder {
        self.add::<R>(rule, RuleKind::Plain)
    }

    /// Adds a kind of parts.
    ///
    /// # Panics
    /// As [`Builder::rule`].
    pub fn part<P: Part>(self) -> Builder {
        self.add(PartRule::<P>(PhantomData), RuleKind::Part)
    }

    /// Adds a kind of content that tasks mention.
    ///
    /// # Panics
    /// As [`Builder::rule`].
    pub fn interned<I: Interned>(self) -> Builder {
        self.add(Content::<I>(PhantomData), RuleKind::Interned)
    }

    fn add<R: Rule>(mut self, rule: R, kind: RuleKind) -> Builder {
        // 16 bits: each node and each entry of the file has one.
        let id = u16::try_from(self.rules.len()).expect("fewer than 65,536 rules");
        assert!(self.rules.iter().all(|known| known.name() != R::NAME), "two rules named {:?}", R::NAME);
        assert!(self.by_type.insert(TypeId::of::<R>(), id).is_none(), "rule {:?} is there twice", R::NAME);
        self.rules.push(Box::new(Typed { rule: Arc::new(rule), interner: Interner::new(), kind }));
        self
    }

    /// An engine with these rules, without runs and without a file.
    pub fn build(self) -> Engine {
        self.with(None)
    }

    /// An engine with these rules and the runs in the file at a path, which [`Engine::commit`] adds to. The
    /// directory exists. A file that is corrupt, foreign or of another format counts as absent.
    pub fn open(self, file: &Path) -> Engine {
        self.open_with(PathFile::new(file))
    }

    /// The same for a file that is accessed otherwise than by its path.
    pub fn open_with(self, file: impl TraceFile + 'static) -> Engine {
        let persist = Persist::new(Box::new(file), self.days);
        self.with(Some(persist))
    }

    /// For how many days the file keeps tasks that no request needs: 30 by default; less if they take more room than a
    /// few builds. They are removed when the file is written anew, which is when much of it was replaced.
    pub fn keep_unwanted(self, days: u32) -> Builder {
        Builder { days, ..self }
    }

    fn with(self, persist: Option<Persist>) -> Engine {
        let traces = persist.map(|persist| Box::new(persist) as Box<dyn Traces>);
        let core = Core::new(self.rules, self.by_type, traces);
        Engine { core: Arc::new(core) }
    }
}

impl Engine {
    /// An engine is made of rules.
    pub fn builder() -> Builder {
        // A month: a branch that was left for a holiday is still known.
        Builder { rules: Vec::new(), by_type: HashMap::default(), days: 30 }
    }

    /// Begins an epoch: first declare what changed in the world, then [`Begin::commit`].
    pub fn begin(&self) -> Begin<'_> {
        let core = &self.core;
        let (keys, values, rules, leaf_sets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Begin { core, keys, values, rules, leaf_sets, scan: false }
    }

    /// Drops the values held in memory, and nothing else: values that are wanted again are found or computed again.
    pub fn evict_values(&self) {
        // The value of a content is kept: before it is in the file there is no other copy.
        let is_made = |node: &Node| !self.core.rule(node).is_interned();
        for (_, node) in self.core.all_nodes().filter(|(_, node)| is_made(node)) {
            let mut hist = lock(&node.hist);
            hist.memory = None;
            for run in hist.runs.iter_mut() {
                run.evict();
            }
        }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// How many tasks have a node: all that were ever requested or loaded, parts included.
    pub fn tasks(&self) -> usize {
        self.core.count.load(Ordering::Acquire) as usize
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<&str> = self.core.rules.iter().map(|rule| rule.name()).collect();
        f.debug_struct("Engine").field("rules", &rules).field("tasks", &self.tasks()).finish()
    }
}

/// The changes of the world since the last epoch, being declared. Nothing takes effect before [`Begin::commit`].
#[must_use = "nothing is declared before it is committed"]
pub struct Begin<'a> {
    core: &'a Arc<Core>,
    keys: Vec<NodeId>,
    values: Vec<(NodeId, AnyValue)>,
    rules: Vec<u16>,
    /// Rules with a declared change of a task that is not a leaf.
    leaf_sets: Vec<u16>,
    scan: bool,
}

impl Begin<'_> {
    /// Declares that what this task read of the outside world may have changed: its earlier runs are no longer valid.
    pub fn changed<R: Rule>(mut self, key: &R::Key) -> Self {
        let rule = self.core.rule_id::<R>();
        if self.core.rule_at(rule).is_interned() {
            return self;
        }
        if !self.core.rule_at(rule).policy_of(key).leaf {
            self.leaf_sets.push(rule);
        }
        // A task without a node has no runs, unless it is in the file.
        if self.core.traces.is_some() {
            self.keys.push(self.core.intern::<R>(key.clone()));
        } else {
            self.keys.extend(self.core.find::<R>(key));
        }
        self
    }

    /// The same for all tasks of a rule.
    pub fn changed_all<R: Rule>(mut self) -> Self {
        let rule = self.core.rule_id::<R>();
        if self.core.rule_at(rule).is_interned() {
            return self;
        }
        self.rules.push(rule);
        self.leaf_sets.push(rule);
        self
    }

    /// Sets the value of a task from outside: from this epoch on the rule is not asked for it.
    pub fn set<R: Rule>(mut self, key: R::Key, value: R::Value) -> Self {
        if self.core.rule_at(self.core.rule_id::<R>()).is_interned() {
            return self;
        }
        let node = self.core.intern::<R>(key);
        let entry = self.core.node(node);
        if !entry.policy.leaf {
            self.leaf_sets.push(entry.rule);
        }
        self.values.push((node, Arc::new(value)));
        self
    }

    /// Declares that anything outside may have changed: every leaf ([`crate::Policy::leaf`]) is stale until it is
    /// verified.
    pub fn scan(mut self) -> Self {
        self.scan = true;
        self
    }

    /// Begins the epoch and a build in it. The build sees the inputs as declared up to here, whatever is
    /// declared later; builds of several epochs may run at once.
    pub fn commit(self, options: Options) -> Build {
        // Held until the build is counted: a build that begins in another thread sees all of these changes or none.
        let mut inputs = lock(&self.core.inputs);
        let is_declared = !(self.keys.is_empty() && self.values.is_empty() && self.rules.is_empty());
        if self.scan || is_declared || !self.leaf_sets.is_empty() {
            // Without changes the epoch stays.
            inputs.epoch += 1;
        }
        let epoch = inputs.epoch;
        let oldest = self.core.oldest_live(epoch);
        let mut changed = Vec::with_capacity(self.keys.len() + self.values.len());
        self.core.invalidate_leaf_sets(&mut inputs, self.leaf_sets);
        for node in self.keys {
            let mut hist = lock(&self.core.node(node).hist);
            hist.declare_changed(epoch);
            hist.forget_before(oldest);
            drop(hist);
            // Its runs in the file are invalid for later processes, too, once this is committed.
            self.core.touch(node);
            changed.push(node);
        }
        if !self.values.is_empty() {
            self.core.has_given.store(true, Ordering::Release);
        }
        for (node, value) in self.values {
            let mut hist = lock(&self.core.node(node).hist);
            // Not noted for the file: a set value says nothing about what the rule would compute in another process.
            hist.give(epoch, value);
            hist.forget_before(oldest);
            changed.push(node);
        }
        let mut is_known = true;
        if !self.rules.is_empty() {
            // There may be tasks in the closure of clean tasks that are only in the file. They become nodes here,
            // before the declaration, which then invalidates them and their dependents.
            is_known = self.core.note_dependents_of_clean();
            let mut stamps = inputs.rules.to_vec();
            for rule in &self.rules {
                stamps[*rule as usize] = epoch;
                self.core.changed_rules[*rule as usize].store(epoch, Ordering::SeqCst);
            }
            if let Some(persist) = self.core.persist() {
                persist.invalidate_rules(&self.rules);
            }
            let of_rules = |(node, entry): (NodeId, &Node)| self.rules.contains(&entry.rule).then_some(node);
            changed.extend(self.core.all_nodes().filter_map(of_rules));
            inputs.rules = stamps.into();
        }
        if self.scan {
            (inputs.scanned, inputs.floor) = (epoch, epoch);
        }
        if !(self.core.invalidate(changed, epoch) && is_known) {
            inputs.floor = epoch;
        }
        // Under the lock on the inputs, so that the next declaration keeps what this build can see (`forget_before`).
        *lock(&self.core.live).entry(epoch).or_default() += 1;
        self.core.live_builds.fetch_add(1, Ordering::AcqRel);
        // A copy, so that builds of several epochs can run at once.
        let seen = inputs.clone();
        drop(inputs);
        // Relaxed: only that each build has its own number matters.
        let number = self.core.builds.fetch_add(1, Ordering::Relaxed) + 1;
        Build::new(self.core.clone(), seen, number, options)
    }
}
