//! Batches from concurrent callers, without waiting for more of them.
//!
//! As long as few calls are under way, what comes is sent at once. Otherwise it gathers, and the next call takes all of
//! it, up to a limit. So a single caller is not delayed, and many callers need few calls.

use std::sync::Arc;

use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::spawn_local,
};

/// How many calls of a kind are under way at the same time.
const CALLS: usize = 4;

/// An item, and where its answer goes.
pub(crate) type BatchItem<I, O> = (I, oneshot::Sender<O>);

/// Takes items one by one and sends them in batches.
pub(crate) struct Batches<I, O>(mpsc::UnboundedSender<BatchItem<I, O>>);

impl<I: 'static, O: 'static> Batches<I, O> {
    /// Starts a task that sends batches by calling `send`; the sum of `weight` of a batch is at most `limit`, unless it
    /// is one item.
    pub(crate) fn start<F: Future<Output = ()> + 'static>(
        limit: u64,
        weight: impl Fn(&I) -> u64 + 'static,
        send: impl Fn(Vec<BatchItem<I, O>>) -> F + 'static,
    ) -> Batches<I, O> {
        let (sender, mut items) = mpsc::unbounded_channel::<BatchItem<I, O>>();
        spawn_local(async move {
            let calls = Arc::new(Semaphore::new(CALLS));
            let mut left_over: Option<BatchItem<I, O>> = None;
            // First the permission, then the items: what comes meanwhile is in the same batch.
            while let Ok(permit) = calls.clone().acquire_owned().await {
                let first = match left_over.take() {
                    Some(first) => first,
                    None => match items.recv().await {
                        Some(first) => first,
                        None => return,
                    },
                };
                let mut total = weight(&first.0);
                let mut batch = vec![first];
                while let Ok(next) = items.try_recv() {
                    total = total.saturating_add(weight(&next.0));
                    if total > limit {
                        left_over = Some(next);
                        break;
                    }
                    batch.push(next);
                }
                let sent = send(batch);
                spawn_local(async move {
                    sent.await;
                    drop(permit);
                });
            }
        });
        Batches(sender)
    }

    /// Adds an item. The answer is an error only if the task has ended.
    pub(crate) fn ask(&self, item: I) -> oneshot::Receiver<O> {
        let (sender, receiver) = oneshot::channel();
        // If the task has ended, the sender of the answer is dropped, which is the answer.
        let _ = self.0.send((item, sender));
        receiver
    }
}
