//! The key of a repository as a leaf: what identifies its content, if that is fixed.
//!
//! It follows from the configuration, which is outside of the engine: the file of one configuration may be used for
//! another one of the same shape, and under `watch` it may change. The witness is the identity of the whole
//! configuration: as long as it is the same, no key is computed.

use std::sync::{Arc, OnceLock};

use taut_digest::Hash as ContentHash;
use taut_engine::{Agreement, Cx, Fail, Hash, Key, Policy, Rule};
use taut_repos::ContentFixed;
use taut_value::{Id, Str};

use crate::Workspace;

/// A repository, by its global name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RepositoryName(pub Str);

impl Key for RepositoryName {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.0.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<RepositoryName> {
        Some(RepositoryName(std::str::from_utf8(bytes).ok()?.into()))
    }
}

/// Provides the keys of repositories; `None` for a repository that is not content-fixed.
pub struct RepositoryKeyRule {
    workspace: Arc<Workspace>,
    // Locks that are set once: rules are called from all threads, and both values follow from the configuration
    // alone.
    fixed: OnceLock<ContentFixed>,
    identity: OnceLock<Id>,
}

impl RepositoryKeyRule {
    /// For the repositories of a workspace.
    pub fn new(workspace: Arc<Workspace>) -> RepositoryKeyRule {
        RepositoryKeyRule { workspace, fixed: OnceLock::new(), identity: OnceLock::new() }
    }

    fn key(&self, repository: &RepositoryName) -> Option<ContentHash> {
        // Once for all repositories, and only if a key is needed: a null build compares the identity.
        let fixed = self.fixed.get_or_init(|| ContentFixed::of(&self.workspace.repositories));
        fixed.key(&repository.0, self.workspace.hash_function)
    }

    /// Identifies the configuration and the hash function.
    fn identity(&self) -> &Id {
        self.identity.get_or_init(|| {
            let Workspace { repositories, hash_function, .. } = &*self.workspace;
            Id::of([repositories.identity(), hash_function.layout_name().into()].concat())
        })
    }
}

fn hash_of(key: Option<ContentHash>) -> Hash {
    // No key has this hash: SHA-256 is never zero in practice.
    key.map_or_else(|| Hash::from(0), |key| Hash(Id::of(key.as_bytes()).0))
}

impl Rule for RepositoryKeyRule {
    type Key = RepositoryName;
    type Value = Option<ContentHash>;
    const NAME: &'static str = "repository key";

    fn policy(&self, _: &RepositoryName) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, repository: &RepositoryName, cx: Cx) -> Result<Option<ContentHash>, Fail> {
        // The key is computed from this configuration; as long as its identity is the same, so is the key.
        cx.witness(self.identity().0);
        Ok(self.key(repository))
    }

    fn content_hash(&self, _: &RepositoryName, key: &Option<ContentHash>) -> Option<Hash> {
        Some(hash_of(*key))
    }

    fn agrees(&self, repository: &RepositoryName, witness: &[u8], hash: Hash) -> Agreement {
        if witness == self.identity().0 {
            return Agreement::Yes;
        }
        match hash_of(self.key(repository)) == hash {
            // Noted, so that the next build compares the configuration only.
            true => Agreement::YesBy(self.identity().0.into()),
            false => Agreement::No,
        }
    }
}
