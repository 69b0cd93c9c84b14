//! Artifacts as tasks: the object for the definition of an artifact.

use taut_digest::{ObjectInfo, ObjectType};
use taut_engine::{Agreement, Cx, Fail, Hash, Policy, Rule};
use taut_graph::{Definition, DefinitionKey};
use taut_value::Artifact;

use crate::{
    ActionKey, ActionRule, ArtifactKey, ArtifactRule, Built, Cause, Execution, Undefined,
    built::decode,
    cause::all,
    inputs, lost,
    trees::{self, TreeError},
};

impl Rule for ArtifactRule {
    type Key = ArtifactKey;
    type Value = Built;
    const NAME: &'static str = "artifact";

    fn policy(&self, ArtifactKey(artifact): &ArtifactKey) -> Policy {
        // Sources are leaves: one recorded run, checked by `agrees`. Results of actions and trees keep the last four
        // runs, so that switching back and forth between branches or configurations replays.
        match artifact {
            Artifact::Local { .. } => Policy { leaf: true, ..Policy::constructive(1) },
            _ => Policy::constructive(4),
        }
    }

    async fn value(&self, key: &ArtifactKey, cx: Cx) -> Result<Built, Fail> {
        let execution = &*self.0;
        // Cancelled, not failed: the failure that stopped the build is reported by the task that had it.
        if execution.stop.is_stopped() {
            return Err(Fail::Cancelled);
        }
        // Only actions that may fail taint what depends on them; sources and known objects never do.
        let sound = |info| Built { info, failed: false };
        match &key.0 {
            Artifact::Local { path, repository } => execution.source(&cx, (&self.1, key), repository, path),
            Artifact::Known(info) => execution.known(&cx, info).await.map(sound),
            Artifact::Action { id, path } => {
                // The whole outcome is read; what depends on this artifact is cut off by its object.
                let outcome = cx.get::<ActionRule>(ActionKey(*id)).await?;
                let info = outcome
                    .ran
                    .outputs
                    .get(path)
                    .ok_or_else(|| Cause::NoOutput { action: *id, path: path.clone() }.fail())?;
                Ok(Built { info: *info, failed: outcome.failed })
            }
            Artifact::Tree(id) => {
                let definition = execution.definition(&cx, DefinitionKey::tree(id)).await;
                let Some(Definition::Tree(tree)) = definition.as_deref() else {
                    return Err(Cause::Undefined(Undefined::Tree(*id)).fail());
                };
                let inputs = inputs::build(&cx, tree.stage()).await?;
                inputs.into_tree(&execution.store, format_args!("tree {id}"))
            }
            Artifact::TreeOverlay(id) => {
                let definition = execution.definition(&cx, DefinitionKey::overlay(id)).await;
                let Some(Definition::Overlay(overlay)) = definition.as_deref() else {
                    return Err(Cause::Undefined(Undefined::Overlay(*id)).fail());
                };
                let keys = overlay.trees().iter().cloned().map(ArtifactKey).collect();
                // Requested together, so that the trees are built in parallel.
                let built = all(cx.all::<ArtifactRule>(keys).await)?;
                let hashes: Vec<_> = built.iter().map(|built| built.info.digest.hash).collect();
                let why = |error| match error {
                    TreeError::Conflict(path) => Cause::Conflict { overlay: *id, path },
                    TreeError::Store(error) => {
                        let trees = built.iter().map(|built| built.info);
                        Cause::of_store(lost(&execution.store, error, trees))
                    }
                    other => Cause::of_tree(format_args!("tree overlay {id}"), other),
                };
                let digest = trees::overlay(&execution.store, &hashes, overlay.disjoint())
                    .map_err(|error| why(error).fail())?;
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
        // Only sources are leaves; the engine does not ask for others, and the safe answer is to execute.
        let Artifact::Local { path, repository } = &key.0 else { return Agreement::No };
        self.0.source_agrees((&self.1, key), repository, path, witness, |built| built.hash() == hash)
    }
}

impl Execution {
    async fn known(&self, cx: &Cx, info: &ObjectInfo) -> Result<ObjectInfo, Fail> {
        let of_store = |error| Cause::of_store(error).fail();
        if self.store.contains(&info.digest.hash, info.object_type).map_err(of_store)? {
            return Ok(*info);
        }
        let missing = || Cause::Undefined(Undefined::Object(*info)).fail();
        let hash = &info.digest.hash;
        // Analysis does not use the store: contents of the description, and objects that a root names, are stored
        // when something needs them.
        let definition = self.definition(cx, DefinitionKey::blob(hash)).await;
        let Some(Definition::Blob(_, content)) = definition.as_deref() else {
            return if self.store_known(info)? { Ok(*info) } else { Err(missing()) };
        };
        // A blob is defined without its mode; the artifact says whether the stored object is executable.
        let executable = info.object_type == ObjectType::Executable;
        self.store.put_blob(content.as_bytes(), executable).map_err(of_store)?;
        Ok(*info)
    }
}
