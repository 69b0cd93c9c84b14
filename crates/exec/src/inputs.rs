//! Building the artifacts of a stage: for actions, for trees, and for the directories that they share.
//!
//! The value of a shared directory is the digest of its tree, which is in the store, so its entries need not be kept in
//! memory. Where they are needed, since the action is not cached or has failed, the tree is read as for any other input
//! that is one.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
    future::Future,
    pin::pin,
    sync::Arc,
    task::Poll,
};

use taut_digest::{Hash as ObjectHash, ObjectInfo, ObjectType, TreeEntry};
use taut_engine::{Cx, Fail, Hash, Policy, Rule};
use taut_store::Store;
use taut_value::{Map, Str};

use crate::{
    ArtifactKey, ArtifactRule, Built, Cause, Execution, built,
    cause::all,
    lost, split,
    stage_key::{Parts, StageKey},
    trees::{self, TreeError},
};

/// Builds directories that are parts of stages.
pub struct StageRule(pub Arc<Execution>);

impl Rule for StageRule {
    type Key = StageKey;
    type Value = Built;
    const NAME: &'static str = "stage";

    fn policy(&self, _: &StageKey) -> Policy {
        // As many runs as for actions: a shared directory goes back and forth with the sources in it.
        Policy::constructive(4)
    }

    async fn value(&self, key: &StageKey, cx: Cx) -> Result<Built, Fail> {
        // Stored, unlike the tree of an action's inputs: its value is the digest, and actions that run read the tree
        // by it.
        build_parts(&cx, key.parts()).await?.into_tree(&self.0.store, "directory")
    }

    fn content_hash(&self, _: &StageKey, built: &Built) -> Option<Hash> {
        Some(built.hash())
    }

    fn encode_value(&self, _: &StageKey, built: &Built) -> Option<Vec<u8>> {
        built.encode()
    }

    fn decode_value(&self, _: &StageKey, bytes: &[u8]) -> Option<Built> {
        built::decode(&self.0.store, bytes)
    }
}

/// The built artifacts of a stage.
pub(crate) struct Inputs {
    /// By path; shared directories as trees.
    pub(crate) objects: Vec<(Str, ObjectInfo)>,
    /// Whether any of them depends on an action that failed and is allowed to.
    pub(crate) failed: bool,
}

impl Inputs {
    /// All of them as one tree, which is added to the store. `what` names it in messages.
    pub(crate) fn into_tree(self, store: &Store, what: impl Display) -> Result<Built, Fail> {
        let why = |error| match error {
            TreeError::Store(error) => {
                Cause::of_store(lost(store, error, self.objects.iter().map(|(_, object)| *object)))
            }
            other => Cause::of_tree(what, other),
        };
        let digest = trees::from_stage(store, &self.objects).map_err(|error| why(error).fail())?;
        Ok(Built { info: ObjectInfo { digest, object_type: ObjectType::Tree }, failed: self.failed })
    }
}

/// Builds all artifacts of a stage, in parallel.
pub(crate) async fn build(cx: &Cx, stage: &Map) -> Result<Inputs, Fail> {
    let parts =
        split::split(stage).expect("only artifacts are staged: analysis and graphs from files check it");
    build_parts(cx, &parts).await
}

async fn build_parts(cx: &Cx, Parts { entries, below }: &Parts) -> Result<Inputs, Fail> {
    // The order is that of `paths` below, so results are matched by position.
    let artifacts = entries.iter().map(|(_, artifact)| ArtifactKey((**artifact).clone())).collect();
    let stages = below.iter().map(|(_, key)| key.clone()).collect();
    // Single artifacts and shared directories at the same time, since their actions are independent.
    let (mut built, stages) = join(cx.all::<ArtifactRule>(artifacts), cx.all::<StageRule>(stages)).await;
    built.extend(stages);
    let built = all(built)?;
    let failed = built.iter().any(|built| built.failed);
    let paths = entries.iter().map(|(path, _)| path).chain(below.iter().map(|(path, _)| path));
    let objects = paths.cloned().zip(built.iter().map(|built| built.info)).collect();
    Ok(Inputs { objects, failed })
}

/// Waits for two futures at the same time.
async fn join<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut first, mut second) = (None, None);
    // A finished future must not be polled again, so each result is kept until both are there.
    std::future::poll_fn(|cx| {
        if first.is_none()
            && let Poll::Ready(done) = a.as_mut().poll(cx)
        {
            first = Some(done);
        }
        if second.is_none()
            && let Poll::Ready(done) = b.as_mut().poll(cx)
        {
            second = Some(done);
        }
        match (first.take(), second.take()) {
            (Some(first), Some(second)) => Poll::Ready((first, second)),
            waiting => {
                (first, second) = waiting;
                Poll::Pending
            }
        }
    })
    .await
}

/// The objects of a stage one by one: those in shared directories are looked up in their trees.
pub(crate) fn one_by_one(
    store: &Store,
    stage: &Map,
    objects: &[(Str, ObjectInfo)],
) -> taut_store::Result<Vec<(Str, ObjectInfo)>> {
    let objects: HashMap<&str, ObjectInfo> =
        objects.iter().map(|(path, info)| (path.as_str(), *info)).collect();
    let mut trees = Trees { store, read: HashMap::new() };
    let mut found = Vec::with_capacity(stage.len());
    for path in stage.keys() {
        let info = match objects.get(path.as_str()) {
            Some(info) => Some(*info),
            None => {
                let mut slashes = path.match_indices('/').map(|(at, _)| at);
                // The outermost one: what was split off inside of a shared directory is part of its tree.
                let shared = slashes.find_map(|at| Some((at, objects.get(&path[..at])?)));
                match shared {
                    Some((at, tree)) => trees.look_up(tree, &path[at + 1..])?,
                    None => None,
                }
            }
        };
        found.extend(info.map(|info| (path.clone(), info)));
    }
    Ok(found)
}

/// Stored trees, each read once.
struct Trees<'s> {
    store: &'s Store,
    read: HashMap<ObjectHash, BTreeMap<Vec<u8>, TreeEntry>>,
}

impl Trees<'_> {
    fn look_up(&mut self, tree: &ObjectInfo, path: &str) -> taut_store::Result<Option<ObjectInfo>> {
        let mut at = TreeEntry { hash: tree.digest.hash, object_type: tree.object_type };
        for name in path.split('/') {
            if !self.read.contains_key(&at.hash) {
                // A tree that is lost leaves out paths; the caller only reports them with a failure.
                let entries = self.store.read_tree(&at.hash)?.unwrap_or_default();
                self.read.insert(at.hash, entries);
            }
            match self.read[&at.hash].get(name.as_bytes()) {
                Some(entry) => at = *entry,
                None => return Ok(None),
            }
        }
        // Entries of a git tree have no sizes, and digests need them. That of what only a server has may be unknown.
        let size = match self.store.size(&at.hash, at.object_type)? {
            None if self.store.contains(&at.hash, at.object_type)? => Some(0),
            size => size,
        };
        let digest = |size| taut_digest::Digest { hash: at.hash, size };
        Ok(size.map(|size| ObjectInfo { digest: digest(size), object_type: at.object_type }))
    }
}
