//! Artifacts as tasks: the object that a definition stands for.

use std::{os::unix::ffi::OsStrExt, sync::Arc};

use taut_digest::{ObjectInfo, ObjectType};
use taut_engine::{Cx, Fail, Failure, Hash, Key, Policy, Rule};
use taut_store::Take;
use taut_sys::{FileKind, fs};
use taut_value::{Artifact, Id, Str, Value};

use crate::{
    ActionKey, ActionRule, Execution, transient,
    trees::{self, TreeError},
};

/// Names an artifact by its definition.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ArtifactKey(pub Artifact);

impl Key for ArtifactKey {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.0.to_json().as_bytes());
    }

    fn decode(_: &[u8]) -> Option<ArtifactKey> {
        None
    }
}

/// A built artifact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Built {
    /// The object; it is in the store.
    pub info: ObjectInfo,
    /// Whether an action that may fail did so on the way.
    pub failed: bool,
}

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

/// Builds artifacts.
pub struct ArtifactRule(pub Arc<Execution>);

impl Rule for ArtifactRule {
    type Key = ArtifactKey;
    type Value = Built;
    const NAME: &'static str = "artifact";

    fn policy(&self, ArtifactKey(artifact): &ArtifactKey) -> Policy {
        match artifact {
            Artifact::Local { .. } => Policy::leaf(),
            _ => Policy::default(),
        }
    }

    async fn value(&self, ArtifactKey(artifact): &ArtifactKey, cx: Cx) -> Result<Built, Fail> {
        let execution = &*self.0;
        if execution.halt.is_halted() {
            return Err(Fail::Cancelled);
        }
        let sound = |info| Built { info, failed: false };
        match artifact {
            Artifact::Local { path, repository } => execution.source(repository, path).map(sound),
            Artifact::Known(info) => execution.known(info).map(sound),
            Artifact::Action { id, path } => {
                let outcome = cx.get::<ActionRule>(ActionKey(*id)).await?;
                let info = outcome.ran.outputs.get(path).ok_or_else(|| {
                    transient(format_args!("action {id} has no output {:?}", path.as_str()))
                })?;
                Ok(Built { info: *info, failed: outcome.failed })
            }
            Artifact::Tree(id) => {
                let tree = execution.definitions.tree(id).ok_or_else(|| undefined("tree", id))?;
                let (stage, failed) = build_stage(&cx, tree.stage()).await?;
                let digest = trees::from_stage(&execution.store, &stage).map_err(transient)?;
                Ok(Built { info: ObjectInfo { digest, object_type: ObjectType::Tree }, failed })
            }
            Artifact::TreeOverlay(id) => {
                let overlay =
                    execution.definitions.overlay(id).ok_or_else(|| undefined("tree overlay", id))?;
                let keys = overlay.trees().iter().cloned().map(ArtifactKey).collect();
                let built = all(cx.all::<ArtifactRule>(keys).await)?;
                let hashes: Vec<_> = built.iter().map(|built| built.info.digest.hash).collect();
                let digest = trees::overlay(&execution.store, &hashes, overlay.disjoint()).map_err(
                    |error| match error {
                        TreeError::Store(error) => transient(error),
                        TreeError::Conflict(path) => Fail::transient(OverlayConflict { id: *id, path }),
                    },
                )?;
                let failed = built.iter().any(|built| built.failed);
                Ok(Built { info: ObjectInfo { digest, object_type: ObjectType::Tree }, failed })
            }
        }
    }

    fn content_hash(&self, _: &ArtifactKey, built: &Built) -> Option<Hash> {
        let text = format!("{}{}", built.info, built.failed);
        Some(Hash(taut_value::Id::of(text).0))
    }
}

fn undefined(kind: &str, id: &taut_value::Id) -> Fail {
    transient(format_args!("{kind} {id} is not defined"))
}

/// All values, or the failure that says most: a cancelled task is not the reason for anything.
pub(crate) fn all<T>(results: Vec<Result<T, Fail>>) -> Result<Vec<T>, Fail> {
    let mut values = Vec::with_capacity(results.len());
    let mut worst: Option<Fail> = None;
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(fail) if matches!(worst, None | Some(Fail::Cancelled)) => worst = Some(fail),
            Err(_) => {}
        }
    }
    worst.map_or(Ok(values), Err)
}

/// Builds all artifacts of a stage, at once.
pub(crate) async fn build_stage(
    cx: &Cx,
    stage: &taut_value::Map,
) -> Result<(Vec<(Str, ObjectInfo)>, bool), Fail> {
    let mut paths = Vec::with_capacity(stage.len());
    let mut keys = Vec::with_capacity(stage.len());
    for (path, value) in stage.iter() {
        let Value::Artifact(artifact) = value else {
            return Err(transient(format_args!("what is staged at {path:?} is no artifact")));
        };
        paths.push(path.clone());
        keys.push(ArtifactKey(artifact.clone()));
    }
    let built = all(cx.all::<ArtifactRule>(keys).await)?;
    let failed = built.iter().any(|built| built.failed);
    Ok((paths.into_iter().zip(built.into_iter().map(|built| built.info)).collect(), failed))
}

impl Execution {
    fn source(&self, repository: &str, path: &str) -> Result<ObjectInfo, Fail> {
        let file = self.sources.file(repository, path);
        let file = file
            .ok_or_else(|| transient(format_args!("no source file {path:?} in repository {repository:?}")))?;
        let metadata = fs::lstat(&file).map_err(transient)?;
        match FileKind::from(metadata.file_type()) {
            FileKind::Symlink => {
                let target = fs::read_link(&file).map_err(transient)?;
                let digest = self.store.put_blob(target.as_os_str().as_bytes(), false).map_err(transient)?;
                Ok(ObjectInfo { digest, object_type: ObjectType::Symlink })
            }
            FileKind::File => {
                let executable = std::os::unix::fs::MetadataExt::mode(&metadata) & 0o111 != 0;
                let digest = self.store.put_file(&file, executable, Take::Copy).map_err(transient)?;
                let object_type = if executable { ObjectType::Executable } else { ObjectType::File };
                Ok(ObjectInfo { digest, object_type })
            }
            _ => Err(transient(format_args!("source {} is no file and no link", file.display()))),
        }
    }

    fn known(&self, info: &ObjectInfo) -> Result<ObjectInfo, Fail> {
        if self.store.contains(&info.digest.hash, info.object_type).map_err(transient)? {
            return Ok(*info);
        }
        let missing = || transient(taut_store::Error::Missing(*info));
        let content = self.definitions.blob(&info.digest.hash).ok_or_else(missing)?;
        let executable = info.object_type == ObjectType::Executable;
        self.store.put_blob(content.as_bytes(), executable).map_err(transient)?;
        Ok(*info)
    }
}
