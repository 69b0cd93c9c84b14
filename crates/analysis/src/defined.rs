//! The definitions that the evaluation of a target makes: actions, contents, trees. Each is mentioned to the engine,
//! which has it by name from then on; the target itself holds names only.

use std::sync::Arc;

use taut_digest::{Digest, Hash, ObjectType};
use taut_engine::Cx;
use taut_graph::{Definition, DefinitionKey};
use taut_value::{ActionDescription, Artifact, Id, Str, Tree, TreeOverlay};

use crate::Workspace;

/// The names of the definitions of a target, by kind, in the order of evaluation.
#[derive(Clone, Debug, Default)]
pub struct DefinitionNames {
    /// The actions.
    pub actions: Vec<Id>,
    /// The contents, by their hashes in the store.
    pub blobs: Vec<Hash>,
    /// The trees.
    pub trees: Vec<Id>,
    /// The overlays of trees.
    pub overlays: Vec<Id>,
}

impl DefinitionNames {
    pub(crate) fn action(&mut self, cx: &Cx, action: ActionDescription) -> Id {
        let id = action.id();
        // Mentioned, not only returned: with the run of this target the engine keeps which definitions it mentions, so
        // a build that replays the target finds the action without decoding the target.
        cx.mention(Definition::Action(Arc::new(action)));
        self.actions.push(id);
        id
    }

    pub(crate) fn blob(
        &mut self,
        workspace: &Workspace,
        cx: &Cx,
        content: &Str,
        object_type: ObjectType,
    ) -> Artifact {
        // By the hash of the store, as the artifact names it, and not by the id of the value.
        let hash = workspace.hash_function.blob(content.as_bytes());
        cx.mention(Definition::Blob(hash, content.clone()));
        self.blobs.push(hash);
        Artifact::known(Digest { hash, size: content.len() as u64 }, object_type)
    }

    pub(crate) fn tree(&mut self, cx: &Cx, tree: Tree) -> Artifact {
        let artifact = tree.artifact();
        self.trees.push(tree.id());
        cx.mention(Definition::Tree(tree));
        artifact
    }

    pub(crate) fn overlay(&mut self, cx: &Cx, overlay: TreeOverlay) -> Artifact {
        let artifact = overlay.artifact();
        self.overlays.push(overlay.id());
        cx.mention(Definition::Overlay(overlay));
        artifact
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = DefinitionKey> {
        let actions = self.actions.iter().map(DefinitionKey::action);
        let trees = self.trees.iter().map(DefinitionKey::tree);
        let overlays = self.overlays.iter().map(DefinitionKey::overlay);
        actions.chain(trees).chain(overlays).chain(self.blobs.iter().map(DefinitionKey::blob))
    }
}
