//! Services behind a network, over the Remote Execution API: caches, and those that execute actions.
//!
//! [`Client`] is a [`Cas`](taut_service::Cas), an [`ActionCache`](taut_service::ActionCache) and an
//! [`Executor`](taut_service::Executor). The network lives in a
//! thread of its own, which begins with the first question: a build that asks nothing opens no connection. The caller
//! gets a future that any executor can wait for.
//!
//! Every call has a deadline and a bounded number of attempts. When one fails for good, all waiting and all later calls
//! are answered at once ([`Error::Off`](taut_service::Error::Off)). So an unreachable or slow cache costs its delay
//! once. Every byte that arrives is hashed before the caller has its answer.
//!
//! What this crate does not know: files, actions, and what a result is good for.

#![deny(missing_docs)]

mod address;
mod batches;
mod blobs;
mod call;
mod capabilities;
mod certificates;
mod chunks;
mod client;
mod compression;
mod execute;
mod give_up;
mod network;
mod read_stream;
#[cfg(feature = "server")]
pub mod server;
mod unmeasured;
mod waits;
mod wire;
mod write_stream;

pub use address::Address;
pub use client::Client;
pub use network::{Patience, Setup, Tls};
pub use waits::{Wait, longest_wait};
