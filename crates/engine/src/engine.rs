//! The engine: the rules, and what is remembered from build to build.

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use crate::build::{Build, Options};
use crate::erased::{AnyKey, ErasedRule, RuleKind, Typed};
use crate::intern::{BuildMix, Interner};
use crate::kin::Kinships;
use crate::node::{AnyValue, Hist, Node, NodeId, Unloaded};
use crate::part::PartRule;
use crate::persist::Persist;
use crate::standing::Standing;
use crate::sync::{
    Arc, Mutex, OnceLock,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    lock,
};
use crate::table::Table;
use crate::{Content, Interned, Key, KeyRef, Part, PathFile, Policy, Rule, Store, TraceFile};

/// A number that no other process has, nor any that counts up from another process's.
pub(crate) fn nonce() -> u64 {
    static CALLS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let calls = CALLS.fetch_add(1 << 40, Ordering::Relaxed);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let process = u64::from(std::process::id()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // The low bits are left to count builds.
    (((since.as_nanos() as u64) ^ process) << 16).wrapping_add(calls)
}

/// Holds the rules and, for each task that was ever asked for, the runs that are kept of it.
///
/// Cheap to clone; all clones are the same engine. What it remembers ends with the process, unless it was
/// opened with a file ([`Builder::open`]).
#[derive(Clone)]
pub struct Engine {
    core: Arc<Core>,
}

/// What all builds of an engine share.
pub(crate) struct Core {
    rules: Vec<Box<dyn ErasedRule>>,
    by_type: HashMap<TypeId, u16, BuildMix>,
    nodes: Table<OnceLock<Node>>,
    count: AtomicU32,
    builds: AtomicU64,
    inputs: Mutex<Inputs>,
    pub(crate) kinships: Kinships,
    /// Whether there are tasks that are stored nowhere.
    has_unstored: AtomicBool,
    /// Whether any task was ever given its value: most engines need not look for each.
    has_given: AtomicBool,
    /// By rule, the latest epoch in which all its tasks were declared changed, for those that become nodes while the
    /// others are marked.
    changed_rules: Box<[AtomicU64]>,
    /// Whether any task stands from a build before.
    pub(crate) stands: AtomicBool,
    /// Whether it is noted who reads whom.
    pub(crate) notes_dependents: AtomicBool,
    /// The epochs of the builds there are, and how many of each.
    live: Mutex<BTreeMap<u64, usize>>,
    /// How many they are.
    live_builds: AtomicU64,
    /// What outlives the process.
    pub(crate) persist: Option<Persist>,
}

/// What the outside world was said to have done, by epoch.
#[derive(Clone)]
pub(crate) struct Inputs {
    pub(crate) epoch: u64,
    /// The last epoch in which all leaves became doubtful.
    pub(crate) scanned: u64,
    /// No task stands since before this epoch.
    pub(crate) floor: u64,
    /// The last epoch in which all tasks of a rule were declared changed.
    pub(crate) rules: Arc<[u64]>,
    /// The last epoch in which something was declared of a task of a rule that is no leaf, by rule: a run above such a
    /// task does not follow from the leaves it had before.
    pub(crate) between: Arc<[u64]>,
}

/// Collects the rules of an engine.
pub struct Builder {
    rules: Vec<Box<dyn ErasedRule>>,
    by_type: HashMap<TypeId, u16, BuildMix>,
    days: u32,
}

impl Builder {
    /// Adds a rule. Panics if one of that type, or of that name, is there already.
    pub fn rule<R: Rule>(self, rule: R) -> Builder {
        self.add::<R>(rule, RuleKind::Plain)
    }

    /// Adds a kind of parts. Panics like [`Builder::rule`].
    pub fn part<P: Part>(self) -> Builder {
        self.add(PartRule::<P>(PhantomData), RuleKind::Part)
    }

    /// Adds a kind of content that tasks mention. Panics like [`Builder::rule`].
    pub fn interned<I: Interned>(self) -> Builder {
        self.add(Content::<I>(PhantomData), RuleKind::Interned)
    }

    fn add<R: Rule>(mut self, rule: R, kind: RuleKind) -> Builder {
        let id = u16::try_from(self.rules.len()).expect("fewer than 65,536 rules");
        assert!(self.rules.iter().all(|known| known.name() != R::NAME), "two rules named {:?}", R::NAME);
        assert!(self.by_type.insert(TypeId::of::<R>(), id).is_none(), "rule {:?} is there twice", R::NAME);
        self.rules.push(Box::new(Typed { rule: Arc::new(rule), interner: Interner::new(), kind }));
        self
    }

    /// An engine with these rules that knows of no runs, and forgets them with the process.
    pub fn build(self) -> Engine {
        self.with(None)
    }

    /// An engine with these rules that knows the runs in the file at a path, and adds to them ([`Engine::commit`]). The
    /// directory exists. A file that is damaged, foreign or of another format is as good as none.
    pub fn open(self, file: &Path) -> Engine {
        self.open_with(PathFile::new(file))
    }

    /// The same for a file that is reached otherwise than by its path.
    pub fn open_with(self, file: impl TraceFile + 'static) -> Engine {
        let persist = Persist::new(Box::new(file), self.days);
        self.with(Some(persist))
    }

    /// For how many days the file keeps what nothing was made from that anybody asked for: 30 unless said
    /// otherwise; less long if it takes more room than some builds. It goes when the file is written anew, which is when
    /// much in it was replaced.
    pub fn keep_unwanted(self, days: u32) -> Builder {
        Builder { days, ..self }
    }

    fn with(self, persist: Option<Persist>) -> Engine {
        let rules: Arc<[u64]> = vec![0; self.rules.len()].into();
        let changed_rules = rules.iter().map(|_| AtomicU64::new(0)).collect();
        let core = Core {
            rules: self.rules,
            by_type: self.by_type,
            nodes: Table::new(),
            count: AtomicU32::new(0),
            // Numbers of builds stand for results without a hash: those of no other process.
            builds: AtomicU64::new(if persist.is_some() { nonce() } else { 0 }),
            // What happened while no process ran is not known: leaves have to be looked at.
            inputs: Mutex::new(Inputs {
                epoch: 1,
                scanned: u64::from(persist.is_some()),
                floor: 0,
                between: rules.clone(),
                rules,
            }),
            kinships: Kinships::default(),
            has_unstored: AtomicBool::new(false),
            has_given: AtomicBool::new(false),
            changed_rules,
            stands: AtomicBool::new(false),
            notes_dependents: AtomicBool::new(false),
            live: Mutex::default(),
            live_builds: AtomicU64::new(0),
            persist,
        };
        Engine { core: Arc::new(core) }
    }
}

impl Engine {
    /// An engine is made of rules.
    pub fn builder() -> Builder {
        Builder { rules: Vec::new(), by_type: HashMap::default(), days: 30 }
    }

    /// Begins an epoch: first say what changed in the world, then [`Begin::commit`].
    pub fn begin(&self) -> Begin<'_> {
        let core = &self.core;
        let (keys, values, rules, between) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Begin { core, keys, values, rules, between, scan: false }
    }

    /// Drops the values held in memory, and nothing else: what is wanted again is found or made again.
    pub fn evict_values(&self) {
        // A content has no other place before it is in the file.
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

    /// How many tasks the engine has ever been asked for, parts included.
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

/// What happened in the world since the last epoch. Nothing takes effect before [`Begin::commit`].
#[must_use = "nothing is declared before it is committed"]
pub struct Begin<'a> {
    core: &'a Arc<Core>,
    keys: Vec<NodeId>,
    values: Vec<(NodeId, AnyValue)>,
    rules: Vec<u16>,
    /// Rules of which something is declared of a task that is no leaf.
    between: Vec<u16>,
    scan: bool,
}

impl Begin<'_> {
    /// What this task saw of the outside world may have changed: no run of it made before is believed.
    pub fn changed<R: Rule>(mut self, key: &R::Key) -> Self {
        let rule = self.core.rule_id::<R>();
        if self.core.rule_at(rule).is_interned() {
            return self;
        }
        if !self.core.rule_at(rule).policy_of(key).leaf {
            self.between.push(rule);
        }
        // A task that was never asked for has no runs, unless a file knows it.
        if self.core.persist.is_some() {
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
        self.between.push(rule);
        self
    }

    /// Gives a task its value from outside: from this epoch on the rule is not asked for it.
    pub fn set<R: Rule>(mut self, key: R::Key, value: R::Value) -> Self {
        if self.core.rule_at(self.core.rule_id::<R>()).is_interned() {
            return self;
        }
        let node = self.core.intern::<R>(key);
        let entry = self.core.node(node);
        if !entry.policy.leaf {
            self.between.push(entry.rule);
        }
        self.values.push((node, Arc::new(value)));
        self
    }

    /// Anything outside may have changed: every leaf ([`Policy::leaf`]) that is wanted is looked at again.
    pub fn scan(mut self) -> Self {
        self.scan = true;
        self
    }

    /// Begins the epoch and a build in it. The build sees the inputs as declared up to here, whatever is
    /// declared later; builds of several epochs may run at once.
    pub fn commit(self, options: Options) -> Build {
        let mut inputs = lock(&self.core.inputs);
        let is_declared = !(self.keys.is_empty() && self.values.is_empty() && self.rules.is_empty());
        if self.scan || is_declared || !self.between.is_empty() {
            inputs.epoch += 1;
        }
        let epoch = inputs.epoch;
        let oldest = self.core.oldest_live(epoch);
        let mut changed = Vec::with_capacity(self.keys.len() + self.values.len());
        self.core.disturb(&mut inputs, self.between);
        for node in self.keys {
            let mut hist = lock(&self.core.node(node).hist);
            hist.declare_changed(epoch);
            hist.forget_before(oldest);
            drop(hist);
            self.core.touch(node);
            changed.push(node);
        }
        if !self.values.is_empty() {
            self.core.has_given.store(true, Ordering::Release);
        }
        for (node, value) in self.values {
            let mut hist = lock(&self.core.node(node).hist);
            hist.inject(epoch, value);
            hist.forget_before(oldest);
            changed.push(node);
        }
        let mut is_known = true;
        if !self.rules.is_empty() {
            // What stands may have been made from tasks that only the file tells of: they become nodes here, before the
            // declaration, which marks them and what was made from them.
            is_known = self.core.note_dependents_of_standing();
            let mut stamps = inputs.rules.to_vec();
            for rule in &self.rules {
                stamps[*rule as usize] = epoch;
                self.core.changed_rules[*rule as usize].store(epoch, Ordering::SeqCst);
            }
            if let Some(persist) = &self.core.persist {
                persist.void_rules(&self.rules);
            }
            let of_rules = |(node, entry): (NodeId, &Node)| self.rules.contains(&entry.rule).then_some(node);
            changed.extend(self.core.all_nodes().filter_map(of_rules));
            inputs.rules = stamps.into();
        }
        if self.scan {
            (inputs.scanned, inputs.floor) = (epoch, epoch);
        }
        if !(self.core.reach(changed, epoch) && is_known) {
            inputs.floor = epoch;
        }
        *lock(&self.core.live).entry(epoch).or_default() += 1;
        self.core.live_builds.fetch_add(1, Ordering::AcqRel);
        let seen = inputs.clone();
        drop(inputs);
        let number = self.core.builds.fetch_add(1, Ordering::Relaxed) + 1;
        Build::new(self.core.clone(), seen, number, options)
    }
}

impl Core {
    /// Notes of which rules something is declared in an epoch that leaves do not tell.
    fn disturb(&self, inputs: &mut Inputs, mut rules: Vec<u16>) {
        if rules.is_empty() {
            return;
        }
        rules.sort_unstable();
        rules.dedup();
        let mut between = inputs.between.to_vec();
        rules.iter().for_each(|rule| between[*rule as usize] = inputs.epoch);
        inputs.between = between.into();
        if let Some(persist) = &self.persist {
            persist.disturb(rules);
        }
    }

    pub(crate) fn rule_id<R: Rule>(&self) -> u16 {
        match self.by_type.get(&TypeId::of::<R>()) {
            Some(id) => *id,
            None => panic!("rule {:?} was not given to the engine", R::NAME),
        }
    }

    fn interner<R: Rule>(&self, rule: u16) -> &Interner<R::Key> {
        let interner = self.rules[rule as usize].interner();
        interner.downcast_ref().expect("a rule's interner has the rule's key type")
    }

    pub(crate) fn find<R: Rule>(&self, key: &R::Key) -> Option<NodeId> {
        self.interner::<R>(self.rule_id::<R>()).find(key)
    }

    /// The node of a task of which something is known, if only from the file.
    pub(crate) fn find_known<R: Rule>(&self, key: &R::Key) -> Option<NodeId> {
        self.find::<R>(key).or_else(|| {
            let encoded = || {
                let mut bytes = Vec::new();
                Key::encode(key, &mut bytes);
                bytes
            };
            self.persist.as_ref()?.find(R::NAME, encoded)?;
            Some(self.intern::<R>(key.clone()))
        })
    }

    /// The node of the task.
    pub(crate) fn intern<R: Rule>(&self, key: R::Key) -> NodeId {
        let rule = self.rule_id::<R>();
        self.interner::<R>(rule).intern(key, |key| self.add(rule, key))
    }

    /// The node of a request for the task in an epoch: one of its own for each if the task is stored nowhere, since
    /// each then executes it; unless its value was given ([`Begin::set`]), since then none does.
    pub(crate) fn request<R: Rule>(&self, key: R::Key, epoch: u64) -> NodeId {
        let id = self.intern::<R>(key);
        if !self.has_unstored.load(Ordering::Relaxed) {
            return id;
        }
        let node = self.node(id);
        let is_executed = node.policy.store == Store::None && !self.is_given(id, epoch);
        if is_executed { self.add(node.rule, node.key.clone()) } else { id }
    }

    /// Whether the task has a value given from outside in an epoch.
    pub(crate) fn is_given(&self, id: NodeId, epoch: u64) -> bool {
        self.has_given.load(Ordering::Acquire) && lock(&self.node(id).hist).injected(epoch).is_some()
    }

    fn add(&self, rule: u16, key: AnyKey) -> NodeId {
        let unloaded = self.persist.as_ref().and_then(|persist| {
            let rule = &self.rules[rule as usize];
            persist.find(rule.name(), || rule.encode(&key))
        });
        self.add_node(rule, key, unloaded)
    }

    /// Adds a task that the file tells of.
    pub(crate) fn add_stored(&self, rule: u16, key: AnyKey, place: Unloaded) -> NodeId {
        self.add_node(rule, key, Some(place))
    }

    fn add_node(&self, rule: u16, key: AnyKey, unloaded: Option<Unloaded>) -> NodeId {
        let mut policy = self.rules[rule as usize].policy(&key);
        if policy.store == Store::None {
            policy = Policy { runs: 0, ..policy };
            self.has_unstored.store(true, Ordering::Relaxed);
        }
        let unloaded = unloaded.filter(|_| policy.store != Store::None);
        let id = self.count.fetch_add(1, Ordering::AcqRel);
        let node =
            Node { rule, key, policy, hist: Mutex::new(Hist::new(unloaded)), standing: Standing::default() };
        let fresh = self.nodes.at(id).set(node).is_ok();
        assert!(fresh, "each node is made once");
        // Either the declaration that all tasks of the rule changed sees this one, or this one sees it.
        self.node(id).standing.is_reached(self.changed_rules[rule as usize].load(Ordering::SeqCst));
        if let (Some(persist), Some(place)) = (&self.persist, unloaded) {
            persist.note(place, id);
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

    /// The epoch of the oldest build there is, or `epoch`.
    fn oldest_live(&self, epoch: u64) -> u64 {
        lock(&self.live).first_key_value().map_or(epoch, |(oldest, _)| *oldest)
    }

    /// Whether there is no second build that could be asked about what it did.
    pub(crate) fn is_only_build(&self) -> bool {
        self.live_builds.load(Ordering::Acquire) <= 1
    }

    /// A build of `epoch` is no more.
    pub(crate) fn build_ended(&self, epoch: u64) {
        self.live_builds.fetch_sub(1, Ordering::AcqRel);
        let mut live = lock(&self.live);
        if let Some(count) = live.get_mut(&epoch) {
            *count -= 1;
            if *count == 0 {
                live.remove(&epoch);
            }
        }
    }

    /// Does something in an epoch, unless there is a later one.
    pub(crate) fn in_latest(&self, epoch: u64, what: impl FnOnce()) {
        let inputs = lock(&self.inputs);
        if inputs.epoch == epoch {
            what();
        }
        drop(inputs);
    }

    /// From the next build on, no task stands since before.
    pub(crate) fn doubt_all(&self) {
        let mut inputs = lock(&self.inputs);
        inputs.epoch += 1;
        inputs.floor = inputs.epoch;
    }

    pub(crate) fn rule(&self, node: &Node) -> &dyn ErasedRule {
        &*self.rules[node.rule as usize]
    }

    /// Notes that what is known of a task's runs has changed.
    pub(crate) fn touch(&self, node: NodeId) {
        if let Some(persist) = &self.persist {
            persist.touch(node);
        }
    }

    /// By rule, the last change that was declared of all its tasks.
    pub(crate) fn declared_of_rules(&self) -> Arc<[u64]> {
        lock(&self.inputs).rules.clone()
    }

    /// By rule, the last time that something was declared of a task that is no leaf.
    pub(crate) fn disturbed_rules(&self) -> Arc<[u64]> {
        lock(&self.inputs).between.clone()
    }

    pub(crate) fn rule_number(&self, name: &str) -> Option<u16> {
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
