//! Definitions of actions, trees and contents, by what artifacts call them.

use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;
use taut_digest::Hash;
use taut_value::{ActionDescription, Id, Str, Tree, TreeOverlay};

/// Definitions by their id: what artifacts refer to. Content-named, so adding is idempotent and nothing
/// is ever changed.
#[derive(Default)]
pub struct Definitions(Mutex<Tables>);

#[derive(Default)]
struct Tables {
    actions: FxHashMap<Id, Arc<ActionDescription>>,
    trees: FxHashMap<Id, Tree>,
    overlays: FxHashMap<Id, TreeOverlay>,
    blobs: FxHashMap<Hash, Str>,
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
