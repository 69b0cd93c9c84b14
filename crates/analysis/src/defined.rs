//! What the evaluation of one target defines: actions, contents, trees.

use std::sync::Arc;

use taut_value::{ActionDescription, Artifact, Id, Str, Tree, TreeOverlay};

use crate::Workspace;

/// What a target defines, in the order of evaluation.
#[derive(Default)]
pub(crate) struct Defined {
    pub(crate) actions: Vec<Arc<ActionDescription>>,
    pub(crate) blobs: Vec<Str>,
    pub(crate) trees: Vec<Tree>,
    pub(crate) overlays: Vec<TreeOverlay>,
}

impl Defined {
    pub(crate) fn action(&mut self, workspace: &Workspace, action: ActionDescription) -> Id {
        let action = workspace.definitions.add_action(action);
        let id = action.id();
        self.actions.push(action);
        id
    }

    pub(crate) fn blob(
        &mut self,
        workspace: &Workspace,
        content: &Str,
        object_type: taut_digest::ObjectType,
    ) -> Artifact {
        let hash = workspace.hash_function.blob(content.as_bytes());
        workspace.definitions.add_blob(hash, content);
        self.blobs.push(content.clone());
        let digest = taut_digest::Digest { hash, size: content.len() as u64 };
        Artifact::known(digest, object_type)
    }

    pub(crate) fn tree(&mut self, workspace: &Workspace, tree: Tree) -> Artifact {
        workspace.definitions.add_tree(&tree);
        let artifact = tree.artifact();
        self.trees.push(tree);
        artifact
    }

    pub(crate) fn overlay(&mut self, workspace: &Workspace, overlay: TreeOverlay) -> Artifact {
        workspace.definitions.add_overlay(&overlay);
        let artifact = overlay.artifact();
        self.overlays.push(overlay);
        artifact
    }
}
