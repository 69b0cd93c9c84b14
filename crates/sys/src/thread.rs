//! Work on a thread of its own, which is done all the same where no thread can be had: limits of users and of
//! containers are reached at any moment, and `std::thread::spawn` panics then.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread::Builder,
};

type Start<'s> = &'s dyn Fn(Box<dyn FnOnce() + Send>) -> io::Result<()>;

/// Does something on a new thread; if none can be started, on this one, before it returns. So it must not wait for what
/// the caller does afterwards.
pub fn on_own_thread(name: &str, work: impl FnOnce() + Send + 'static) {
    let start = |work: Box<dyn FnOnce() + Send>| Builder::new().name(name.to_owned()).spawn(work).map(drop);
    do_on(&start, work);
}

fn do_on(start: Start<'_>, work: impl FnOnce() + Send + 'static) {
    // Shared, since what a thread was to do is lost with it.
    let here = Arc::new(Mutex::new(Some(work)));
    let there = here.clone();
    let take = |work: &Mutex<Option<_>>| work.lock().unwrap_or_else(PoisonError::into_inner).take();
    let started = start(Box::new(move || {
        let work = take(&there);
        work.into_iter().for_each(|work| work());
    }));
    if started.is_err() {
        let work = take(&here);
        work.into_iter().for_each(|work| work());
    }
}

/// Does something on several threads at the same time, of which this is one, and returns when all are done. Where fewer
/// can be started, it is done by these.
pub fn on_threads(count: usize, work: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        for _ in 1..count {
            // The next one would fail, too.
            if Builder::new().spawn_scoped(scope, &work).is_err() {
                break;
            }
        }
        work();
    });
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc,
        thread::{ThreadId, current},
    };

    use super::*;

    fn thread_of(start: impl FnOnce(Box<dyn FnOnce() + Send>)) -> ThreadId {
        let (sender, receiver) = mpsc::channel();
        start(Box::new(move || sender.send(current().id()).unwrap()));
        let thread = receiver.recv().unwrap();
        assert!(receiver.recv().is_err(), "it is done once");
        thread
    }

    #[test]
    fn work_is_done_once_on_a_thread_of_its_own_or_here() {
        assert_ne!(thread_of(|work| on_own_thread("other", work)), current().id());
        let refused = |_| Err(io::Error::from_raw_os_error(libc::EAGAIN));
        assert_eq!(thread_of(|work| do_on(&refused, work)), current().id());
    }

    #[test]
    fn several_threads_do_the_same() {
        for count in [0, 1, 3] {
            let done = Mutex::new(Vec::new());
            on_threads(count, || done.lock().unwrap().push(current().id()));
            let done = done.into_inner().unwrap();
            assert!(done.len() == count.max(1) && done.contains(&current().id()), "{done:?}");
        }
    }
}
