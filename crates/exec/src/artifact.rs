//! Artifacts as tasks: the object that a definition stands for.

use std::{os::unix::ffi::OsStrExt, sync::Arc};

use taut_digest::{Digest, ObjectInfo, ObjectType};
use taut_engine::{Agreement, Cx, Fail, Failure, Hash, Policy, Rule};
use taut_store::Take;
use taut_sys::{At, Dir, Evidence, FileKind, Stat, if_exists};
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

    async fn value(&self, ArtifactKey(artifact): &ArtifactKey, cx: Cx) -> Result<Built, Fail> {
        let execution = &*self.0;
        if execution.halt.is_halted() {
            return Err(Fail::Cancelled);
        }
        let sound = |info| Built { info, failed: false };
        match artifact {
            Artifact::Local { path, repository } => {
                let (directory, name) = execution.place(repository, path).map_err(transient)?;
                let at = directory.as_ref().map(|directory| directory.at(name));
                let Some(at) = at else { return Err(no_source(repository, path)) };
                let reading =
                    Evidence::of_reading(Some(at), false, || execution.source(at, repository, path));
                if let Some(evidence) = reading.evidence {
                    cx.witness(evidence.encode());
                }
                if reading.content.is_ok() && !reading.is_steady {
                    return Err(transient(format_args!(
                        "source {} keeps changing while it is read",
                        at.path().display()
                    )));
                }
                reading.content.map(sound)
            }
            Artifact::Known(info) => execution.known(&cx, info).await.map(sound),
            Artifact::Action { id, path } => {
                let outcome = cx.get::<ActionRule>(ActionKey(*id)).await?;
                let info = outcome.ran.outputs.get(path).ok_or_else(|| {
                    transient(format_args!("action {id} has no output {:?}", path.as_str()))
                })?;
                Ok(Built { info: *info, failed: outcome.failed })
            }
            Artifact::Tree(id) => {
                let tree = execution.defined(&cx, &id.0, |definitions| definitions.tree(id)).await;
                let tree =
                    tree.ok_or_else(|| execution.undefined(format_args!("tree {id} is not defined")))?;
                let inputs = inputs::build(&cx, tree.stage()).await?;
                inputs.into_tree(&execution.store, format_args!("tree {id}"))
            }
            Artifact::TreeOverlay(id) => {
                let overlay = execution.defined(&cx, &id.0, |definitions| definitions.overlay(id)).await;
                let overlay = overlay
                    .ok_or_else(|| execution.undefined(format_args!("tree overlay {id} is not defined")))?;
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
        let Ok((directory, name)) = self.0.place(repository, path) else { return Agreement::No };
        let at = directory.as_ref().map(|directory| directory.at(name));
        let Some(then) = Evidence::decode(witness) else { return Agreement::No };
        if then.still_holds(at, false) {
            return Agreement::Yes;
        }
        let Ok(now) = Evidence::gather(at, false) else { return Agreement::No };
        let built = at.and_then(|at| self.0.source_now(at)).map(|info| Built { info, failed: false });
        match built.and_then(|built| self.content_hash(key, &built)) {
            Some(same) if same == hash && then == now => Agreement::Yes,
            Some(same) if same == hash => Agreement::YesBy(now.encode()),
            _ => Agreement::No,
        }
    }
}

fn type_of_file(stat: &Stat) -> ObjectType {
    if stat.is_executable() { ObjectType::Executable } else { ObjectType::File }
}

fn no_source(repository: &str, path: &str) -> Fail {
    transient(format_args!("no source file {path:?} in repository {repository:?}"))
}

impl Execution {
    /// What is to be built is in no definition that can be found. Where analysis found it, the description has changed
    /// since.
    pub(crate) fn undefined(&self, what: impl std::fmt::Display) -> Fail {
        self.halt.note_undefined();
        transient(what)
    }
}

impl Execution {
    /// The directory that a source lies in, if it is there, and the source's name in it.
    fn place<'p>(&self, repository: &str, path: &'p str) -> taut_sys::Result<(Option<Arc<Dir>>, &'p str)> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.sources.directory(repository, above)?, name))
    }

    /// What a source file is now, without adding it to the store.
    fn source_now(&self, at: At<'_>) -> Option<ObjectInfo> {
        let stat = at.lstat().ok()?;
        let (digest, object_type) = match stat.kind {
            FileKind::Symlink => {
                let target = at.read_link().ok()?;
                let target = target.as_os_str().as_bytes();
                let hash = self.store.hash_function().blob(target);
                (Digest { hash, size: target.len() as u64 }, ObjectType::Symlink)
            }
            FileKind::File => (self.store.digest_of_file(at).ok()?, type_of_file(&stat)),
            _ => return None,
        };
        Some(ObjectInfo { digest, object_type })
    }

    fn source(&self, at: At<'_>, repository: &str, path: &str) -> Result<ObjectInfo, Fail> {
        let stat = if_exists(at.lstat()).map_err(transient)?.ok_or_else(|| no_source(repository, path))?;
        match stat.kind {
            FileKind::Symlink => {
                let target = at.read_link().map_err(transient)?;
                let digest = self.store.put_blob(target.as_os_str().as_bytes(), false).map_err(transient)?;
                Ok(ObjectInfo { digest, object_type: ObjectType::Symlink })
            }
            FileKind::File => {
                let file = at.open().map_err(transient)?;
                let object_type = type_of_file(&file.stat().map_err(transient)?);
                let executable = object_type == ObjectType::Executable;
                let digest = self.store.put_open_file(file, at, executable, Take::Copy).map_err(transient)?;
                Ok(ObjectInfo { digest, object_type })
            }
            _ => Err(transient(format_args!("source {} is no file and no link", at.path().display()))),
        }
    }

    async fn known(&self, cx: &Cx, info: &ObjectInfo) -> Result<ObjectInfo, Fail> {
        if self.store.contains(&info.digest.hash, info.object_type).map_err(transient)? {
            return Ok(*info);
        }
        let missing = || self.undefined(taut_store::Error::Missing(*info));
        let hash = &info.digest.hash;
        let content = self.defined(cx, hash.as_bytes(), |definitions| definitions.blob(hash)).await;
        let content = content.ok_or_else(missing)?;
        let executable = info.object_type == ObjectType::Executable;
        self.store.put_blob(content.as_bytes(), executable).map_err(transient)?;
        Ok(*info)
    }
}
