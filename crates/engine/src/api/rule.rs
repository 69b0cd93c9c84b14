//! The trait that users of the engine implement: how the tasks of one kind get their value and, apart from it, their
//! hash.

use std::future::Future;
use std::sync::Arc;

use crate::{Agreement, Cx, Fail, Failure, Hash, HashCx, Key, Policy};

/// The tasks of one kind. The object holds what its tasks need of the world (a store, the roots, …);
/// what distinguishes one task from another is in the key.
///
/// A task must read other tasks only through [`Cx`], and a task that reads the outside world must be a leaf
/// ([`Policy::leaf`]): the engine replays runs on that condition.
pub trait Rule: Send + Sync + Sized + 'static {
    /// The arguments of a task.
    type Key: Key;
    /// What dependents get. Cheap to clone (an `Arc`, a descriptor).
    type Value: Clone + Send + Sync + 'static;

    /// Stable name of the rule, unique in the engine: identity of its tasks beyond this process.
    const NAME: &'static str;
    /// Raise it when the code of the rule changes its results, or [`Rule::policy`] which tasks are leaves or compared
    /// by times: all recorded runs of its tasks become invalid.
    const VERSION: u32 = 0;

    /// What is kept of the task's runs, and where its value lies.
    fn policy(&self, _key: &Self::Key) -> Policy {
        Policy::default()
    }

    /// Computes the value. Called at most once per build, and only if a value is needed that is not known.
    fn value(&self, key: &Self::Key, cx: Cx) -> impl Future<Output = Result<Self::Value, Fail>> + Send;

    /// Content hash of a value: equal hash means that dependents cannot distinguish the values, so they need not
    /// execute if the task did and has an equal result (early cutoff). `None`: the value has no hash; it counts as new
    /// whenever the task executed.
    fn content_hash(&self, _key: &Self::Key, _value: &Self::Value) -> Option<Hash> {
        None
    }

    /// Hashes of the facets of a value, at most [`crate::Facets::MAX_COUNT`], always the same ones in the same order;
    /// none by default. A change of something that is in no facet invalidates only readers of the whole.
    fn facets(&self, _key: &Self::Key, _value: &Self::Value) -> Vec<Hash> {
        Vec::new()
    }

    /// Computes the task's hash. By default this computes the value and takes its [`Rule::content_hash`]. A rule that
    /// has its hash without the value (an ETag, a declared digest) overrides it; then a dependent that reads only the
    /// hash does not cause the value to be computed. [`HashCx::value`] requests the value.
    fn hash(&self, _key: &Self::Key, cx: HashCx<Self>) -> impl Future<Output = Result<Hash, Fail>> + Send {
        cx.by_store()
    }

    /// The modification time of what lies in the task's place, in any unit that all rules of an engine share; `None` if
    /// nothing does. For [`crate::Rebuild::Times`]: called for the task itself and for what it read.
    fn modtime(&self, _key: &Self::Key) -> Option<u128> {
        None
    }

    /// The share key: a number that is equal for all tasks of the rule that may have the same value under different
    /// keys, its *siblings*. It may be equal for others, too: [`Rule::serves`] decides. `None`: the task has no
    /// siblings. For rules that take the hash from the value.
    fn share_key(&self, _key: &Self::Key) -> Option<u64> {
        None
    }

    /// Whether `value`, that of the task `other` with the same [`Rule::share_key`], is the value of the task `key`,
    /// too. Must follow from the keys and the value alone, whatever the world is like.
    fn serves(&self, _key: &Self::Key, _other: &Self::Key, _value: &Self::Value) -> bool {
        false
    }

    /// A value as bytes, for runs whose values are kept beyond the process. `None`: it is computed again there.
    fn encode_value(&self, _key: &Self::Key, _value: &Self::Value) -> Option<Vec<u8>> {
        None
    }

    /// The value that [`Rule::encode_value`] wrote. `None` if the bytes cannot be decoded, or no longer.
    fn decode_value(&self, _key: &Self::Key, _bytes: &[u8]) -> Option<Self::Value> {
        None
    }

    /// The failure of a task of this rule that [`Failure::encode`] wrote.
    fn decode_failure(&self, _bytes: &[u8]) -> Option<Arc<dyn Failure>> {
        None
    }

    /// For leaves: whether the task would have the result with this hash if it executed now, judged by the witness that
    /// it set ([`Cx::witness`]) when it had that result. Should be cheap if the world is unchanged.
    fn agrees(&self, _key: &Self::Key, _witness: &[u8], _hash: Hash) -> Agreement {
        Agreement::No
    }

    /// What lies in the task's place now, good or not. Called for tasks stored in files or a
    /// content-addressed store, when their hash is good and the value is wanted.
    fn curr(&self, _key: &Self::Key) -> Curr<Self::Value> {
        Curr::None
    }
}

/// The result of [`Rule::curr`].
pub enum Curr<V> {
    /// Nothing.
    None,
    /// Something; it is the task's value if its hash is the one wanted.
    There {
        /// The value that describes it.
        value: V,
        /// Its content hash; called only if the value is about to be used. `None`: it cannot be read.
        hash: Box<dyn FnOnce() -> Option<Hash> + Send>,
    },
}
