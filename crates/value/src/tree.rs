//! Trees composed of artifacts, and overlays of trees.

use std::sync::{Arc, OnceLock};

use crate::{Artifact, Id, JsonWriter, Map};

/// A directory, defined path by path. The stage is normalised and has no conflicts.
#[derive(Clone, Debug)]
pub struct Tree(Arc<(Map, OnceLock<Id>)>);

impl Tree {
    /// A tree of the given stage: path to artifact.
    pub fn new(stage: Map) -> Tree {
        Tree(Arc::new((stage, OnceLock::new())))
    }

    /// Path to artifact.
    pub fn stage(&self) -> &Map {
        &self.0.0
    }

    /// SHA-256 of `TREE:` and the stage's JSON text.
    pub fn id(&self) -> Id {
        // The whole text, and no hashes of parts: the recipe is the reference's.
        let text = || format!("TREE:{}", crate::Value::Map(self.stage().clone()).to_json());
        *self.0.1.get_or_init(|| Id::of(text()))
    }

    /// The tree as an artifact.
    pub fn artifact(&self) -> Artifact {
        Artifact::Tree(self.id())
    }
}

/// Trees to be merged at build time, later ones over earlier ones.
#[derive(Clone, Debug)]
pub struct TreeOverlay(Arc<OverlayData>);

#[derive(Debug)]
struct OverlayData {
    trees: Vec<Artifact>,
    disjoint: bool,
    id: OnceLock<Id>,
}

impl TreeOverlay {
    /// An overlay of artifacts that are trees; if `disjoint`, conflicting contents fail the build.
    pub fn new(trees: Vec<Artifact>, disjoint: bool) -> TreeOverlay {
        TreeOverlay(Arc::new(OverlayData { trees, disjoint, id: OnceLock::new() }))
    }

    /// The trees, lowest first.
    pub fn trees(&self) -> &[Artifact] {
        &self.0.trees
    }

    /// Whether conflicting contents are an error.
    pub fn disjoint(&self) -> bool {
        self.0.disjoint
    }

    /// Writes the definition in the form of dumps.
    pub fn write_json<'w>(&self, writer: &'w mut JsonWriter) -> &'w mut JsonWriter {
        writer.object(|w| {
            w.key("disjoint").bool(self.disjoint());
            w.key("trees").list(|w| {
                for tree in self.trees() {
                    tree.write_json(w);
                }
            });
        })
    }

    /// SHA-256 of `TREE_OVERLAY:` and the definition's JSON text.
    pub fn id(&self) -> Id {
        *self.0.id.get_or_init(|| {
            let mut writer = JsonWriter::compact();
            self.write_json(&mut writer);
            Id::of(format!("TREE_OVERLAY:{}", writer.finish()))
        })
    }

    /// The merged tree as an artifact.
    pub fn artifact(&self) -> Artifact {
        Artifact::TreeOverlay(self.id())
    }
}
