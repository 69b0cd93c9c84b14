//! From typed keys to the numbers of tasks.

use std::any::TypeId;

use crate::graph::core::Core;
use crate::graph::ids::NodeId;
use crate::graph::intern::Interner;
use crate::sync::atomic::Ordering;
use crate::{Key, Rule, Store};

impl Core {
    pub(crate) fn rule_id<R: Rule>(&self) -> u16 {
        match self.by_type.get(&TypeId::of::<R>()) {
            Some(id) => *id,
            // A mistake in the program, not in what it builds: no failure of a task.
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

    /// The node of a task that has one or is in the file.
    pub(crate) fn find_known<R: Rule>(&self, key: &R::Key) -> Option<NodeId> {
        self.find::<R>(key).or_else(|| {
            let encoded = || {
                let mut bytes = Vec::new();
                Key::encode(key, &mut bytes);
                bytes
            };
            self.persist()?.find(R::NAME, encoded)?;
            Some(self.intern::<R>(key.clone()))
        })
    }

    /// The node of the task.
    pub(crate) fn intern<R: Rule>(&self, key: R::Key) -> NodeId {
        let rule = self.rule_id::<R>();
        self.interner::<R>(rule).intern(key, |key| self.add(rule, key))
    }

    /// The node of a request for the task in an epoch. A task that is stored nowhere gets a new node for each request,
    /// since each request executes it; unless its value is set ([`crate::Begin::set`]), since then none does.
    pub(crate) fn request<R: Rule>(&self, key: R::Key, epoch: u64) -> NodeId {
        let id = self.intern::<R>(key);
        // Relaxed: it is set before the node is in the interner, whose lock both threads took.
        if !self.has_unstored.load(Ordering::Relaxed) {
            return id;
        }
        let node = self.node(id);
        let is_executed = node.policy.store == Store::None && !self.is_given(id, epoch);
        if is_executed { self.add(node.rule, node.key.clone()) } else { id }
    }
}
