//! A leaf for what results of actions depend on besides their definitions and inputs: launcher, time limit, properties,
//! and the generation of the store. Only actions read it, so a change of it invalidates no analysis.

use taut_engine::{Agreement, Cx, Fail, Hash, Key, Policy, Rule};
use taut_value::Id;

/// Identifies the context of a build.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Context;

// There is one context in a build, so the key is empty.
impl Key for Context {
    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(bytes: &[u8]) -> Option<Context> {
        bytes.is_empty().then_some(Context)
    }
}

/// Provides the context, as bytes that are equal only if the contexts are.
pub struct ContextRule(pub Vec<u8>);

impl ContextRule {
    fn hash(&self) -> Hash {
        Hash(Id::of(&self.0).0)
    }
}

impl Rule for ContextRule {
    type Key = Context;
    type Value = ();
    const NAME: &'static str = "context";

    fn policy(&self, _: &Context) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, _: &Context, cx: Cx) -> Result<(), Fail> {
        // Empty, since `agrees` needs only the hash; but without a witness the leaf would execute in each process.
        cx.witness(Vec::new());
        Ok(())
    }

    fn content_hash(&self, _: &Context, (): &()) -> Option<Hash> {
        Some(self.hash())
    }

    fn agrees(&self, _: &Context, _: &[u8], hash: Hash) -> Agreement {
        if hash == self.hash() { Agreement::Yes } else { Agreement::No }
    }
}
