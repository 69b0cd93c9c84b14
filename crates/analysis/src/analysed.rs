//! What analysis yields: results of targets, and the definitions they refer to.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use taut_digest::Hash;
use taut_syntax::Diagnostics;
use taut_value::{ActionDescription, Id, Str, TargetResult, Tree, TreeOverlay};

use crate::{ConfiguredTarget, StrSet};

/// A configured target, analysed.
#[derive(Clone, Debug)]
pub struct AnalysedTarget {
    /// What it offers to others.
    pub result: TargetResult,
    /// The actions it defines, in the order of evaluation.
    pub actions: Vec<Arc<ActionDescription>>,
    /// The contents it defines, in the order of evaluation.
    pub blobs: Vec<Str>,
    /// The trees it defines, in the order of evaluation.
    pub trees: Vec<Tree>,
    /// The overlays it defines, in the order of evaluation.
    pub overlays: Vec<TreeOverlay>,
    /// The configuration variables it depends on, directly or through others.
    pub vars: StrSet,
    /// What it is tainted with.
    pub tainted: StrSet,
    /// The targets it asked for.
    pub dependencies: Dependencies,
    /// What is not wrong, but probably not meant.
    pub warnings: Diagnostics,
    /// Whether it is a target that descriptions define, not a source file.
    pub is_defined: bool,
    /// Whether it is an export target.
    pub is_export: bool,
}

/// The configured targets that a target asked for, by how it came to.
#[derive(Clone, Debug, Default)]
pub struct Dependencies {
    /// Named in the target's definition.
    pub declared: Vec<ConfiguredTarget>,
    /// Named by the rule.
    pub implicit: Vec<ConfiguredTarget>,
    /// Made from nodes.
    pub anonymous: Vec<ConfiguredTarget>,
}

impl Dependencies {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &ConfiguredTarget> {
        self.declared.iter().chain(&self.implicit).chain(&self.anonymous)
    }
}

/// Definitions by their id: what artifacts refer to. Content-named, so adding is idempotent and nothing
/// is ever changed.
#[derive(Default)]
pub struct Definitions(Mutex<Tables>);

#[derive(Default)]
struct Tables {
    actions: HashMap<Id, Arc<ActionDescription>>,
    trees: HashMap<Id, Tree>,
    overlays: HashMap<Id, TreeOverlay>,
    blobs: HashMap<Hash, Str>,
}

impl Definitions {
    /// The action with this id.
    pub fn action(&self, id: &Id) -> Option<Arc<ActionDescription>> {
        self.tables().actions.get(id).cloned()
    }

    /// The tree with this id.
    pub fn tree(&self, id: &Id) -> Option<Tree> {
        self.tables().trees.get(id).cloned()
    }

    /// The overlay with this id.
    pub fn overlay(&self, id: &Id) -> Option<TreeOverlay> {
        self.tables().overlays.get(id).cloned()
    }

    /// The content with this hash.
    pub fn blob(&self, hash: &Hash) -> Option<Str> {
        self.tables().blobs.get(hash).cloned()
    }

    /// Adds an action; returns the one that is known by its id.
    pub fn add_action(&self, action: ActionDescription) -> Arc<ActionDescription> {
        let id = action.id();
        self.tables().actions.entry(id).or_insert_with(|| Arc::new(action)).clone()
    }

    /// Adds a tree.
    pub fn add_tree(&self, tree: &Tree) {
        self.tables().trees.entry(tree.id()).or_insert_with(|| tree.clone());
    }

    /// Adds an overlay.
    pub fn add_overlay(&self, overlay: &TreeOverlay) {
        self.tables().overlays.entry(overlay.id()).or_insert_with(|| overlay.clone());
    }

    /// Adds a content.
    pub fn add_blob(&self, hash: Hash, content: &Str) {
        self.tables().blobs.entry(hash).or_insert_with(|| content.clone());
    }

    fn tables(&self) -> std::sync::MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
