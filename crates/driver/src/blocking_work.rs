//! Blocking work for a task: on a thread of its own, so that no thread of the engine waits for it, if one can be had.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use taut_sys::on_own_thread;

struct ThreadState<T> {
    result: Option<std::thread::Result<T>>,
    waker: Option<Waker>,
}

struct Finished<T>(Arc<Mutex<ThreadState<T>>>);

impl<T> Future for Finished<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.result.take() {
            Some(Ok(result)) => Poll::Ready(result),
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => {
                // Under the lock under which the result is set: either this poll sees it, or the thread finds the
                // waker.
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Begins some work on a new thread. A panic there is one of the task that awaits it.
pub(crate) fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = T> + Send {
    let state = Arc::new(Mutex::new(ThreadState { result: None, waker: None }));
    let finished = Finished(state.clone());
    on_own_thread("task", move || {
        // Caught, since a thread that ends without a result would leave the task waiting for ever.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.result = Some(result);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    });
    finished
}
