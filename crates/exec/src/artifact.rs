//! Artifacts as tasks: the object that a definition stands for.

use taut_digest::{ObjectInfo, ObjectType};
use taut_engine::{Agreement, Cx, Fail, Failure, Hash, Policy, Rule};
use taut_graph::{Definition, DefinitionKey};
use taut_value::{Artifact, Id};

use crate::{
    ActionKey, ActionRule, ArtifactKey, ArtifactRule, Built, Execution,
    built::{all, decode},
    inputs, lost, transient,
    trees::{self, TreeError},
};

/// Trees that must not disagree do.
#[derive(Clone, Debug)]
pub struct OverlayConflict {
    /// The overlay.
    pub id: Id,
    /// Where they do.
    pub path: String,
}

impl std::fmt::Display for OverlayConflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Naming conflict detected at path {:?} of disjoint tree overlay {}", self.path, self.id)
    }
}

impl Failure for OverlayConflict {}

impl Rule for ArtifactRule {
    type Key = ArtifactKey;
    type Value = Built;
    const NAME: &'static str = "artifact";

    fn policy(&self, ArtifactKey(artifact): &ArtifactKey) -> Policy {
        match artifact {
            Artifact::Local { .. } => Policy { leaf: true, ..Policy::constructive(1) },
            _ => Policy::constructive(4),
        }
    }

    async fn value(&self, key: &ArtifactKey, cx: Cx) -> Result<Built, Fail> {
        let execution = &*self.0;
        if execution.halt.is_halted() {
            return Err(Fail::Cancelled);
        }
        let sound = |info| Built { info, failed: false };
        match &key.0 {
            Artifact::Local { path, repository } => execution.source(&cx, (&self.1, key), repository, path),
            Artifact::Known(info) => execution.known(&cx, info).await.map(sound),
            Artifact::Action { id, path } => {
                let outcome = cx.get::<ActionRule>(ActionKey(*id)).await?;
                let info = outcome.ran.outputs.get(path).ok_or_else(|| {
                    transient(format_args!("action {id} has no output {:?}", path.as_str()))
                })?;
                Ok(Built { info: *info, failed: outcome.failed })
            }
            Artifact::Tree(id) => {
                let definition = execution.definition(&cx, DefinitionKey::tree(id)).await;
                let Some(Definition::Tree(tree)) = definition.as_deref() else {
                    return Err(execution.undefined(format_args!("tree {id} is not defined")));
                };
                let inputs = inputs::build(&cx, tree.stage()).await?;
                inputs.into_tree(&execution.store, format_args!("tree {id}"))
            }
            Artifact::TreeOverlay(id) => {
                let definition = execution.definition(&cx, DefinitionKey::overlay(id)).await;
                let Some(Definition::Overlay(overlay)) = definition.as_deref() else {
                    return Err(execution.undefined(format_args!("tree overlay {id} is not defined")));
                };
                let keys = overlay.trees().iter().cloned().map(ArtifactKey).collect();
                let built = all(cx.all::<ArtifactRule>(keys).await)?;
                let hashes: Vec<_> = built.iter().map(|built| built.info.digest.hash).collect();
                let digest = trees::overlay(&execution.store, &hashes, overlay.disjoint()).map_err(
                    |error| match error {
                        TreeError::Conflict(path) => Fail::transient(OverlayConflict { id: *id, path }),
                        TreeError::Store(error) => {
                            let trees = built.iter().map(|built| built.info);
                            transient(lost(&execution.store, &execution.halt, error, trees))
                        }
                        other => transient(other),
                    },
                )?;
                let failed = built.iter().any(|built| built.failed);
                Ok(Built { info: ObjectInfo { digest, object_type: ObjectType::Tree }, failed })
            }
        }
    }

    fn content_hash(&self, _: &ArtifactKey, built: &Built) -> Option<Hash> {
        Some(built.hash())
    }

    fn encode_value(&self, _: &ArtifactKey, built: &Built) -> Option<Vec<u8>> {
        built.encode()
    }

    fn decode_value(&self, _: &ArtifactKey, bytes: &[u8]) -> Option<Built> {
        decode(&self.0.store, bytes)
    }

    fn agrees(&self, key: &ArtifactKey, witness: &[u8], hash: Hash) -> Agreement {
        let Artifact::Local { path, repository } = &key.0 else { return Agreement::No };
        self.0.source_agrees((&self.1, key), repository, path, witness, |built| built.hash() == hash)
    }
}

impl Execution {
    /// What is to be built is in no definition that can be found. Where analysis found it, the description has changed
    /// since.
    pub(crate) fn undefined(&self, what: impl std::fmt::Display) -> Fail {
        self.halt.note_undefined();
        transient(what)
    }

    async fn known(&self, cx: &Cx, info: &ObjectInfo) -> Result<ObjectInfo, Fail> {
        if self.store.contains(&info.digest.hash, info.object_type).map_err(transient)? {
            return Ok(*info);
        }
        let missing = || self.undefined(taut_store::Error::Missing(*info));
        let hash = &info.digest.hash;
        let definition = self.definition(cx, DefinitionKey::blob(hash)).await;
        let Some(Definition::Blob(_, content)) = definition.as_deref() else { return Err(missing()) };
        let executable = info.object_type == ObjectType::Executable;
        self.store.put_blob(content.as_bytes(), executable).map_err(transient)?;
        Ok(*info)
    }
}
