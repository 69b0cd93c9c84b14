//! Batches from concurrent callers.
//!
//! A batch waits a moment for callers that are about to ask ([`Callers`]), and is sent when all of them are in it. So a
//! single caller, or a chain of actions that need each other, is never delayed, and many callers need few calls,
//! however fast the server answers. While the maximum number of calls is under way, later questions gather, too.

use std::{sync::Arc, time::Duration};

use taut_service::Callers;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::spawn_local,
    time::timeout,
};

// Enough to hide one round trip behind another; what does not get a permit gathers into larger batches, so more calls
// would make them smaller, not faster.
/// How many calls of a kind are under way at the same time.
const CALLS: usize = 4;

/// How often a batch waits for further callers, and how long each time.
// Bounded: a caller that is counted may turn out to have no question.
const MAX_WAITS: usize = 4;
const WAIT_TIME: Duration = Duration::from_millis(1);

/// An item, and where its answer goes.
pub(crate) type BatchItem<I, O> = (I, oneshot::Sender<O>);

/// Takes items and sends them in batches. One message has all questions of one caller at one time.
pub(crate) struct Batches<I, O>(mpsc::UnboundedSender<Vec<BatchItem<I, O>>>);

// Each question is answered by a channel of its own, so the questions of one batch can come from different callers.
/// The next batch, as it grows.
struct Gathering<I, O> {
    items: Vec<BatchItem<I, O>>,
    total: u64,
    /// How many callers have something in it.
    callers: usize,
    /// What does not fit.
    left_over: std::vec::IntoIter<BatchItem<I, O>>,
}

impl<I, O> Gathering<I, O> {
    /// Adds what a caller asks, as far as it fits; what fits into one batch is not divided.
    fn add(
        &mut self,
        mut asked: std::vec::IntoIter<BatchItem<I, O>>,
        limit: u64,
        weight: impl Fn(&I) -> u64,
    ) {
        self.callers += 1;
        let whole = asked.as_slice().iter().map(|item| weight(&item.0)).fold(0, u64::saturating_add);
        // A question that fits into a batch of its own is not cut in two: its caller waits for the last answer, which
        // would be in the second call.
        if whole <= limit && self.total.saturating_add(whole) > limit {
            self.left_over = asked;
            return;
        }
        while let Some(next) = asked.as_slice().first() {
            let total = self.total.saturating_add(weight(&next.0));
            // The first item always goes, however large it is: otherwise the loop of the sender would never end.
            if total > limit && !self.items.is_empty() {
                break;
            }
            self.total = total;
            self.items.extend(asked.next());
        }
        self.left_over = asked;
    }

    fn is_full(&self, limit: u64) -> bool {
        self.total >= limit || !self.left_over.as_slice().is_empty()
    }
}

impl<I: 'static, O: 'static> Batches<I, O> {
    /// Starts a task that sends batches by calling `send`; the sum of `weight` of a batch is at most `limit`, unless it
    /// is one item. It waits for those of `callers` that have not asked yet.
    pub(crate) fn start<F: Future<Output = ()> + 'static>(
        limit: u64,
        callers: Callers,
        weight: impl Fn(&I) -> u64 + 'static,
        send: impl Fn(Vec<BatchItem<I, O>>) -> F + 'static,
    ) -> Batches<I, O> {
        // Unbounded: callers never wait to hand a question over. What is in the channel is bounded by what the build
        // has under way.
        let (sender, mut asked) = mpsc::unbounded_channel::<Vec<BatchItem<I, O>>>();
        spawn_local(async move {
            let calls = Arc::new(Semaphore::new(CALLS));
            let mut left_over = Vec::new().into_iter();
            // First the permission, then the items: what comes meanwhile is in the same batch.
            while let Ok(permit) = calls.clone().acquire_owned().await {
                let first = match left_over.as_slice().is_empty() {
                    true => match asked.recv().await {
                        Some(first) => first.into_iter(),
                        None => return,
                    },
                    false => left_over,
                };
                let nothing = Vec::new().into_iter();
                let mut batch = Gathering { items: Vec::new(), total: 0, callers: 0, left_over: nothing };
                batch.add(first, limit, &weight);
                let mut waits = 0;
                while !batch.is_full(limit) {
                    // What has been asked already costs no wait, so it is taken before the decision whether to wait.
                    if let Ok(next) = asked.try_recv() {
                        batch.add(next.into_iter(), limit, &weight);
                    // All that may ask are in it, or the waits are used up: another wait would only add delay.
                    } else if batch.callers >= callers.count() || waits == MAX_WAITS {
                        break;
                    } else {
                        match timeout(WAIT_TIME, asked.recv()).await {
                            Ok(Some(next)) => batch.add(next.into_iter(), limit, &weight),
                            Ok(None) => break,
                            Err(_) => waits += 1,
                        }
                    }
                }
                left_over = batch.left_over;
                let sent = send(batch.items);
                // In a task of its own, so that the next batch gathers while this one is on its way. The permit ends
                // with the call.
                spawn_local(async move {
                    sent.await;
                    drop(permit);
                });
            }
        });
        Batches(sender)
    }

    /// Asks for all items of a caller. An answer is an error only if the task has ended.
    pub(crate) fn ask(&self, items: impl IntoIterator<Item = I>) -> Vec<oneshot::Receiver<O>> {
        let (items, answers): (Vec<_>, Vec<_>) = items
            .into_iter()
            .map(|item| {
                let (sender, receiver) = oneshot::channel();
                ((item, sender), receiver)
            })
            .unzip();
        // If the task has ended, the senders of the answers are dropped, which is the answer.
        if !items.is_empty() {
            let _ = self.0.send(items);
        }
        answers
    }

    /// The same for one item.
    pub(crate) fn ask_one(&self, item: I) -> oneshot::Receiver<O> {
        self.ask([item]).pop().expect("an answer for each item")
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use tokio::{
        runtime::Builder,
        task::LocalSet,
        time::{Instant, sleep},
    };

    use super::*;

    /// The batches that were sent, each with when, in milliseconds.
    type Sent = Rc<RefCell<Vec<(u128, Vec<u32>)>>>;

    /// Runs a test with a clock that goes on only when there is nothing else to do.
    fn with_batches<F: Future<Output = ()>>(test: impl FnOnce(Rc<Batches<u32, ()>>, Callers, Sent) -> F) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let (callers, sent, begin) = (Callers::default(), Sent::default(), Instant::now());
            let log = sent.clone();
            let send = move |batch: Vec<BatchItem<u32, ()>>| {
                let items = batch.iter().map(|(item, _)| *item).collect();
                log.borrow_mut().push((begin.elapsed().as_millis(), items));
                batch.into_iter().for_each(|(_, answer)| answer.send(()).unwrap());
                async {}
            };
            let batches = Batches::start(5, callers.clone(), |_| 1, send);
            test(Rc::new(batches), callers, sent).await;
        });
    }

    async fn answered(answers: Vec<oneshot::Receiver<()>>) {
        for answer in answers {
            answer.await.unwrap();
        }
    }

    #[test]
    fn nothing_waits_where_no_other_caller_can_ask() {
        with_batches(async |batches, callers, sent| {
            answered(batches.ask([1])).await;
            let _caller = callers.enter();
            // A chain: each question after the answer to the one before.
            for number in 2..6 {
                answered(batches.ask([number])).await;
            }
            assert_eq!(*sent.borrow(), [1, 2, 3, 4, 5].map(|number| (0, vec![number])));
        });
    }

    #[test]
    fn callers_that_are_about_to_ask_are_in_one_batch() {
        with_batches(async |batches, callers, sent| {
            let entered: Vec<_> = (0..3).map(|_| callers.enter()).collect();
            let late = batches.clone();
            let third = spawn_local(async move {
                sleep(Duration::from_millis(2)).await;
                answered(late.ask([3])).await;
            });
            answered([batches.ask([1]), batches.ask([2])].into_iter().flatten().collect()).await;
            third.await.unwrap();
            assert_eq!(*sent.borrow(), [(2, vec![1, 2, 3])]);
            drop(entered);
        });
    }

    #[test]
    fn a_caller_that_does_not_ask_is_waited_for_only_a_moment() {
        with_batches(async |batches, callers, sent| {
            let _callers = [callers.enter(), callers.enter()];
            answered(batches.ask([1])).await;
            assert_eq!(*sent.borrow(), [(4, vec![1])]);
        });
    }

    #[test]
    fn one_that_leaves_is_not_waited_for() {
        with_batches(async |batches, callers, sent| {
            let (_stays, leaves) = (callers.enter(), callers.enter());
            spawn_local(async move {
                sleep(Duration::from_millis(1)).await;
                drop(leaves);
            });
            answered(batches.ask([1])).await;
            assert!(sent.borrow()[0].0 < 4, "{sent:?}");
        });
    }

    #[test]
    fn what_a_caller_asks_at_once_is_divided_only_if_it_does_not_fit() {
        with_batches(async |batches, _, sent| {
            let asked = [batches.ask(0..3), batches.ask(3..6), batches.ask(6..13)];
            answered(asked.into_iter().flatten().collect()).await;
            let sent: Vec<Vec<u32>> = sent.borrow().iter().map(|(_, items)| items.clone()).collect();
            assert_eq!(sent, [vec![0, 1, 2], vec![3, 4, 5, 6, 7], vec![8, 9, 10, 11, 12]]);
        });
    }

    #[test]
    fn a_full_batch_waits_for_none() {
        with_batches(async |batches, callers, sent| {
            let _callers: Vec<_> = (0..9).map(|_| callers.enter()).collect();
            answered(batches.ask(0..12)).await;
            assert_eq!(*sent.borrow(), [(0, (0..5).collect()), (0, (5..10).collect()), (4, vec![10, 11])]);
        });
    }
}
