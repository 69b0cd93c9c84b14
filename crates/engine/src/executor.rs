//! The threads that work on one build.
//!
//! One stack of jobs (last in, first out: depth first, so few computations are open at once), taken from by
//! up to `jobs` threads. A thread that calls `Build::get` is one of them until its answer is there; the others
//! are started when there is a second thing to do, so that a small build never starts a thread.
//!
//! A task that waits for something foreign (a process, a timer) occupies no thread: its waker brings it back.
//! When all threads find nothing to do, and no task waits for something foreign, whatever is unfinished
//! waits for itself: only then are cycles searched ([`crate::cycle`]), so that edges cost nothing.

use std::cell::Cell;
use std::collections::VecDeque;

use crate::build::Inner;
use crate::frame::Frame;
use crate::node::NodeId;
use crate::slot::Wait;
use crate::sync::{
    Arc, Condvar, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicIsize, Ordering},
    lock,
    thread::{self, JoinHandle},
};

/// A step of work on a task.
pub(crate) enum Job {
    /// Settle the hash.
    Begin(NodeId),
    /// Go on with what waited for other tasks' hashes.
    Resume(NodeId),
    /// The hash is good: get hold of the value.
    Fetch(NodeId),
    /// Make the value, whatever is known of the hash.
    Construct(NodeId),
    /// Poll a computation that was woken.
    Run(Arc<Frame>),
}

/// How deep tasks are run on the stack of those that wait for them.
const IN_PLACE: u32 = 24;

crate::sync::thread_local! {
    /// Address of the build that this thread works on, and how deep in place it is.
    static WORKS_ON: Cell<(usize, u32)> = const { Cell::new((0, 0)) };
}

#[derive(Default)]
struct Ready {
    jobs: VecDeque<Job>,
    /// Threads in [`Queue::work`], and how many of them have nothing to do.
    active: usize,
    parked: usize,
    /// Cycles were searched since the last job.
    searched: bool,
    shut: bool,
    threads: Vec<JoinHandle<()>>,
}

pub(crate) struct Queue {
    ready: Mutex<Ready>,
    more: Condvar,
    /// Threads wanted besides those that call.
    extra: usize,
    /// Tasks that wait for something foreign.
    pub(crate) foreign: AtomicIsize,
    /// Whether all `extra` threads run, to be asked without the lock.
    full: AtomicBool,
    /// The waits of those who ask from outside.
    pub(crate) roots: Mutex<Vec<Arc<Wait>>>,
}

impl Queue {
    pub(crate) fn new(jobs: usize) -> Queue {
        let extra = jobs.max(1) - 1;
        Queue {
            ready: Mutex::default(),
            more: Condvar::new(),
            extra,
            foreign: AtomicIsize::new(0),
            full: AtomicBool::new(extra == 0),
            roots: Mutex::default(),
        }
    }

    /// Adds a job that some thread may take at once.
    pub(crate) fn push(&self, build: &Arc<Inner>, job: Job) {
        self.push_all(build, std::iter::once(job), 0);
    }

    /// Adds jobs, the first to be taken first. `own`: how many of them the caller is about to take itself.
    pub(crate) fn push_all(
        &self,
        build: &Arc<Inner>,
        jobs: impl DoubleEndedIterator<Item = Job>,
        own: usize,
    ) {
        let mut ready = lock(&self.ready);
        if ready.shut {
            drop(ready);
            return;
        }
        let before = ready.jobs.len();
        ready.jobs.extend(jobs.rev());
        let added = ready.jobs.len() - before;
        ready.searched = false;
        if added <= own {
            return;
        }
        let wanted = added - own;
        if ready.parked > 0 {
            if wanted > 1 { self.more.notify_all() } else { self.more.notify_one() }
        } else if !self.full.load(Ordering::Relaxed) {
            self.start_thread(build, &mut ready);
        }
    }

    fn start_thread(&self, build: &Arc<Inner>, ready: &mut Ready) {
        if ready.threads.len() >= self.extra {
            self.full.store(true, Ordering::Relaxed);
            return;
        }
        let build = build.clone();
        let spawned = thread::Builder::new().name("build".into()).spawn(move || {
            build.queue.work(&build, &mut || false);
        });
        match spawned {
            Ok(thread) => ready.threads.push(thread),
            // Fewer threads: slower, not wrong.
            Err(_) => self.full.store(true, Ordering::Relaxed),
        }
    }

    /// Whether the calling thread may run a job of `build` on its stack, and runs it if so.
    pub(crate) fn in_place(&self, build: &Arc<Inner>, job: Job) -> Option<Job> {
        let (works_on, depth) = WORKS_ON.with(Cell::get);
        if works_on != Arc::as_ptr(build) as usize || depth >= IN_PLACE {
            return Some(job);
        }
        WORKS_ON.with(|works| works.set((works_on, depth + 1)));
        build.run(job);
        WORKS_ON.with(|works| works.set((works_on, depth)));
        None
    }

    /// Whether the calling thread works on `build`, hence will take a job soon.
    pub(crate) fn is_worker(build: &Arc<Inner>) -> bool {
        WORKS_ON.with(Cell::get).0 == Arc::as_ptr(build) as usize
    }

    /// Works until `enough` says so or the queue is shut.
    pub(crate) fn work(&self, build: &Arc<Inner>, enough: &mut dyn FnMut() -> bool) {
        let outer = WORKS_ON.with(|works| works.replace((Arc::as_ptr(build) as usize, 0)));
        let mut ready = lock(&self.ready);
        ready.active += 1;
        while !enough() && !ready.shut {
            if let Some(job) = ready.jobs.pop_back() {
                drop(ready);
                build.run(job);
                ready = lock(&self.ready);
                continue;
            }
            let last = ready.parked + 1 == ready.active;
            // Whoever asked and has the answer, but has not woken up yet, waits for nobody.
            let somebody_waits = || lock(&self.roots).iter().any(|wait| !wait.is_over());
            if last && !ready.searched && self.foreign.load(Ordering::Acquire) == 0 && somebody_waits() {
                ready.searched = true;
                drop(ready);
                let broken = build.break_cycle();
                ready = lock(&self.ready);
                // Those who wait for this cycle may wait for another one too: nothing went on, look again.
                ready.searched &= !broken;
                continue;
            }
            ready.parked += 1;
            ready = self.more.wait(ready).unwrap_or_else(PoisonError::into_inner);
            ready.parked -= 1;
        }
        ready.active -= 1;
        // Whoever stays may now be the last one, who has to look for cycles.
        if ready.active > 0 && (ready.active == ready.parked || !ready.jobs.is_empty()) {
            self.more.notify_one();
        }
        drop(ready);
        WORKS_ON.with(|works| works.set(outer));
    }

    /// Wakes all threads, so that they look whether they have had enough.
    pub(crate) fn look_up(&self) {
        drop(lock(&self.ready));
        self.more.notify_all();
    }

    /// Ends all threads. Jobs not taken are dropped.
    pub(crate) fn shut(&self) {
        let (jobs, threads) = {
            let mut ready = lock(&self.ready);
            ready.shut = true;
            (std::mem::take(&mut ready.jobs), std::mem::take(&mut ready.threads))
        };
        self.more.notify_all();
        for thread in threads {
            // A rule that holds the last handle of its own build must not wait for itself.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
        drop(jobs);
    }
}
