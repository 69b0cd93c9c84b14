//! Keys and values of the tasks that build artifacts; the rule is in `artifact`.

use std::sync::Arc;

use taut_digest::ObjectInfo;
use taut_engine::{Hash, Key};
use taut_store::Store;
use taut_value::{Artifact, Decoder, Encoder, Id};

use crate::{Execution, source::TakenSources};

/// Identifies an artifact by its definition.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ArtifactKey(pub Artifact);

impl Key for ArtifactKey {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::new();
        // The same encoding as inside of other values, so an artifact has one form everywhere in the engine's file.
        encoder.artifact(&self.0);
        out.extend(encoder.finish());
    }

    fn decode(bytes: &[u8]) -> Option<ArtifactKey> {
        let mut decoder = Decoder::new(bytes);
        let artifact = decoder.artifact()?;
        decoder.is_done().then_some(ArtifactKey(artifact))
    }
}

/// A built artifact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Built {
    /// The object; it is in the store.
    pub info: ObjectInfo,
    /// Whether the artifact depends on the failure of an action that is allowed to fail.
    pub failed: bool,
}

impl Built {
    pub(crate) fn hash(&self) -> Hash {
        // With the flag, since dependents of a tainted artifact are tainted, too. The text is part of recorded
        // hashes.
        Hash(Id::of(format!("{}{}", self.info, self.failed)).0)
    }

    /// The encoding, unless a later build must not replay it.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let mut encoder = Encoder::new();
        encoder.artifact(&Artifact::Known(self.info));
        // Its action runs again in the next build that wants it (`EachTimeRule`), so this would be of no use.
        (!self.failed).then(|| encoder.finish())
    }
}

/// Decodes [`Built::encode`]. An object counts only while it is in the store.
pub(crate) fn decode(store: &Store, bytes: &[u8]) -> Option<Built> {
    let Artifact::Known(info) = Decoder::new(bytes).artifact()? else { return None };
    let is_there = store.contains(&info.digest.hash, info.object_type).ok()?;
    is_there.then_some(Built { info, failed: false })
}

/// Builds artifacts.
pub struct ArtifactRule(pub(crate) Arc<Execution>, pub(crate) TakenSources);
