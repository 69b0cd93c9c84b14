//! What holds blobs and results of actions, wherever it is: in memory, in a build root, behind a network.
//!
//! Three traits; blobs in batches, since a round trip costs as much for a thousand blobs as for one. Answers are
//! futures that any executor can wait for: an implementation that needs a runtime brings it along, and none is seen
//! here. The crate is apart from `store` so that what speaks a protocol does not depend on how blobs lie on disk,
//! and from `exec` so that a store does not depend on how actions run.
//!
//! Blobs that arrive have been compared with their digest by the implementation: what a [`Cas`] gives is right, or
//! an error. Results have nothing to be compared with: to use them is to trust all that may store them.

#![deny(missing_docs)]

mod blob;
mod callers;
mod error;
mod execution;
mod memory;
mod wait;

use std::{future::Future, pin::Pin, sync::Arc};

pub use blob::{Blob, Buffer, Receiver, Source};
pub use callers::{Caller, Callers};
pub use error::{Error, ReportedIn, Result};
pub use execution::{Execute, Executed, Executor, NoProgress, Progress, Stage};
pub use memory::Memory;
use taut_digest::{Digest, HashFunction};
use taut_proto::ActionResult;
pub use wait::wait;

/// What will come, in some other thread or at once.
// Boxed, since the traits are used as objects: a trait with an `async fn` is not dyn compatible.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Blobs by digest.
pub trait Cas: Send + Sync {
    /// How blobs are named here.
    fn hash_function(&self) -> HashFunction;

    /// Which of these blobs are not here, in their order, each once.
    // Owned arguments, here and below: an answer may outlive the call that asked for it.
    fn missing(&self, digests: Vec<Digest>) -> Answer<'_, Vec<Digest>>;

    /// Gives blobs, each to its receiver; one answer for each, in order. A receiver whose answer is not an error has
    /// got all bytes, and they match the digest.
    fn get(&self, wanted: Vec<(Digest, Arc<dyn Receiver>)>) -> Answer<'_, Vec<Result<()>>>;

    /// Takes blobs; one answer for each, in order.
    fn put(&self, blobs: Vec<Blob>) -> Answer<'_, Vec<Result<()>>>;

    /// Takes blobs by levels: those of one may refer to those before, which are there first. Small ones share a
    /// round trip all the same, where what is put together is put in order.
    ///
    /// # Errors
    /// The error of the first blob that could not be put.
    fn put_levels(&self, levels: Vec<Vec<Blob>>) -> Answer<'_, ()> {
        Box::pin(async move {
            for level in levels {
                self.put(level).await?.into_iter().collect::<Result<()>>()?;
            }
            Ok(())
        })
    }

    /// The callers that are about to ask: batches wait a moment for them. Without effect if there are no batches.
    fn callers(&self) -> Callers {
        Callers::default()
    }

    /// Answers at once, with [`Error::Off`], all that is under way and all that comes. Without effect where nothing is
    /// waited for.
    // Of interest only behind a network: memory and disks answer at once.
    fn give_up(&self) {}

    /// Another build begins, for which what was given up is tried again. Without effect where nothing is given up.
    fn begin_anew(&self) {}
}

/// Results of actions, by the digest of the `Action` message.
pub trait ActionCache: Send + Sync {
    /// Whether results are stored at all. To be asked before blobs are sent that nothing else needs.
    ///
    /// An error: they are not, and why.
    fn takes_results(&self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// The result of an action, if there is one.
    fn look_up(&self, action: Digest) -> Answer<'_, Option<ActionResult>>;

    /// Stores the result of an action, in the place of an earlier one. All that it refers to must be there.
    fn store(&self, action: Digest, result: ActionResult) -> Answer<'_, ()>;
}
