//! Artifacts by their definition: a definition is made without reading or running anything.

use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};

use taut_digest::{Digest, ObjectInfo, ObjectType};

use crate::{Id, JsonWriter, Str};

/// A file, link or tree, identified by its definition.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Artifact {
    /// A source file of a repository whose root is a directory.
    Local {
        /// Path below the root.
        path: Str,
        /// Global name of the repository.
        repository: Str,
    },
    /// A known content.
    Known(ObjectInfo),
    /// An output of an action.
    Action {
        /// The action's id.
        id: Id,
        /// The output's normalised path, as the action declares it.
        path: Str,
    },
    /// A tree composed of artifacts, by the id of its definition.
    Tree(Id),
    /// Trees merged over each other, by the id of the definition.
    TreeOverlay(Id),
}

impl Artifact {
    /// A known content.
    pub fn known(digest: Digest, object_type: ObjectType) -> Artifact {
        Artifact::Known(ObjectInfo { digest, object_type })
    }

    /// Writes the JSON object that describes the artifact in dumps and graph files.
    pub fn write_json<'w>(&self, writer: &'w mut JsonWriter) -> &'w mut JsonWriter {
        writer.object(|w| {
            // All keys here are in byte order, since the text is hashed.
            w.key("data").object(|w| match self {
                Artifact::Local { path, repository } => {
                    w.key("path").string(path).key("repository").string(repository);
                }
                Artifact::Known(ObjectInfo { digest, object_type }) => {
                    w.key("file_type").string(object_type.as_str());
                    w.key("id").hex(digest.hash.as_bytes());
                    // The size is part of the text, and so of the id: it has to be known for every content that is
                    // named.
                    w.key("size").integer(digest.size);
                }
                Artifact::Action { id, path } => {
                    w.key("id").hex(&id.0).key("path").string(path);
                }
                Artifact::Tree(id) | Artifact::TreeOverlay(id) => {
                    w.key("id").hex(&id.0);
                }
            });
            w.key("type").string(match self {
                Artifact::Local { .. } => "LOCAL",
                Artifact::Known(_) => "KNOWN",
                Artifact::Action { .. } => "ACTION",
                Artifact::Tree(_) => "TREE",
                Artifact::TreeOverlay(_) => "TREE_OVERLAY",
            });
        })
    }

    /// Minimal JSON text of the description.
    pub fn to_json(&self) -> String {
        let mut writer = JsonWriter::compact();
        self.write_json(&mut writer);
        writer.finish()
    }
}

/// An artifact within values: shared by all maps that contain it, and with its id.
// One allocation for both: millions of stage entries refer to the same artifacts.
#[derive(Clone, Debug)]
pub struct SharedArtifact(Arc<(Artifact, OnceLock<Id>)>);

impl SharedArtifact {
    /// SHA-256 of `@` and the description.
    pub(crate) fn id(&self) -> Id {
        let (artifact, id) = &*self.0;
        *id.get_or_init(|| {
            let mut writer = JsonWriter::continuing(String::from("@"));
            artifact.write_json(&mut writer);
            Id::of(writer.finish())
        })
    }
}

impl From<Artifact> for SharedArtifact {
    fn from(artifact: Artifact) -> Self {
        SharedArtifact(Arc::new((artifact, OnceLock::new())))
    }
}

impl Deref for SharedArtifact {
    type Target = Artifact;
    fn deref(&self) -> &Artifact {
        &self.0.0
    }
}

impl PartialEq for SharedArtifact {
    fn eq(&self, other: &Self) -> bool {
        // Definitions are short: to compare them is cheaper than to hash two texts, and gives the same answer.
        Arc::ptr_eq(&self.0, &other.0) || **self == **other
    }
}

impl Eq for SharedArtifact {}
