//! Parts: a dependency on one part of a value is not invalidated by changes elsewhere in it.
//!
//! A part is a task of its own, made by the engine: it reads the whole and projects (a *firewall* task, as users of
//! salsa call it). Since it has a content hash, early cutoff applies: a task that reads only this part does not execute
//! while the part stays the same, although the whole did. While the whole is unchanged, the part's hash is known
//! without any value.

use std::marker::PhantomData;

use crate::{Cx, Fail, Hash, Key, Policy, Rule, Trace};

/// A part of a value, itself a key: which part (a field, the entry of that name).
pub trait Part: Key {
    /// The rule whose values have this part.
    type Of: Rule;
    /// The part's value.
    type Value: Clone + Send + Sync + 'static;
    /// Stable name, unique in the engine among rules and parts.
    const NAME: &'static str;

    /// Takes the part out of the whole. Pure; called at most once per build and part.
    fn project(&self, whole: &<Self::Of as Rule>::Value) -> Self::Value;

    /// Content hash of the part.
    fn content_hash(&self, part: &Self::Value) -> Hash;
}

/// The rule that makes the parts `P`.
pub(crate) struct PartRule<P>(pub(crate) PhantomData<fn() -> P>);

impl<P: Part> Rule for PartRule<P> {
    // The whole first, so that the parts of one whole lie side by side where keys are ordered by their bytes.
    type Key = (<P::Of as Rule>::Key, P);
    type Value = P::Value;

    const NAME: &'static str = P::NAME;

    fn policy(&self, _: &Self::Key) -> Policy {
        // As many runs as a whole is likely to keep: a switch back must find the part's hash again.
        Policy { trace: Trace::Constructive, ..Policy::verifying(4) }
    }

    async fn value(&self, (whole, part): &Self::Key, cx: Cx) -> Result<Self::Value, Fail> {
        Ok(part.project(&cx.get::<P::Of>(whole.clone()).await?))
    }

    fn content_hash(&self, (_, part): &Self::Key, value: &Self::Value) -> Option<Hash> {
        Some(part.content_hash(value))
    }
}
