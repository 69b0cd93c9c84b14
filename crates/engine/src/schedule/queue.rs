//! The threads that work on one build.
//!
//! Work stealing: a stack of jobs for each of up to `jobs` threads (last in, first out: depth first, so few
//! computations are open at once); an idle thread takes jobs from the others. A thread that needs a task runs it on its
//! own stack, as far as there is room, so that most tasks are never in a queue. A thread that calls `Build::get` is a
//! worker until its answer is there; the others are started when there is a second job, so that a small build never
//! starts a thread.
//!
//! A task that awaits something foreign (a process, a timer) occupies no thread: its waker pushes it again. When all
//! threads are idle and no task awaits something foreign, the unfinished tasks wait for each other: only then are
//! cycles searched ([`QueueOwner::break_cycle`]), so that waiting needs no bookkeeping.
//!
//! Locks: `roots` is taken under `ready`; no other lock is taken under `ready`, and rules do not run under it.
//! Everything that decides whether a thread sleeps is read and written under `ready`, so no wake-up is lost; the one
//! exception is the count of foreign waits, see `Frame::wake_by_ref`.

use std::cell::RefCell;
use std::collections::VecDeque;

use crate::graph::ids::NodeId;
use crate::schedule::slot::NextStep;
use crate::schedule::wait::{Suspended, Wait};
use crate::sync::{
    Arc, Condvar, Mutex, PoisonError,
    atomic::{AtomicIsize, Ordering},
    lock,
    thread::{self, JoinHandle},
};

/// A step of work on a task.
pub(crate) enum Job {
    /// Begin something.
    Step(NodeId, NextStep),
    /// Go on with what waited for other tasks' hashes.
    Resume(NodeId),
    /// Poll a computation that was woken.
    Run(Arc<dyn Suspended>),
}

/// What the threads of a queue work on: by this trait the queue depends on neither tasks nor builds.
pub(crate) trait QueueOwner: Send + Sync + Sized + 'static {
    /// Held by a thread while it works.
    type WorkGuard;
    /// Its queue.
    fn queue(&self) -> &Queue;
    /// Called on a thread that begins to work.
    fn begin_work(self: &Arc<Self>) -> Self::WorkGuard;
    fn run(self: &Arc<Self>, job: Job);
    /// All threads are idle. Returns whether a cycle was broken, so that work can go on.
    fn break_cycle(self: &Arc<Self>) -> bool;
}

/// How many bytes of stack tasks may use that are run on the stack of the thread that needs them. Much less than a
/// thread has: a task that begins just below the limit needs room for its own code.
// A thread of the standard library has 2 MiB, the main thread 8 MiB as a rule.
const MAX_NESTED_STACK: usize = 256 << 10;

/// The state of a thread that works on a build.
#[derive(Default)]
struct Worker {
    /// Address of the build; 0: it works on none.
    build: usize,
    /// The address of its stack when it began.
    // The depth is measured by addresses, not counted: how much stack a task needs depends on its rule.
    base: usize,
    /// The index of its stack of jobs.
    stack: usize,
}

crate::sync::thread_local! {
    // By thread, so that a task finds out without an argument whether it may nest. Saved and restored by
    // `Queue::work`, since a rule may request from another build.
    static WORKER: RefCell<Worker> = RefCell::default();
}

/// An address on the calling thread's stack.
fn here() -> usize {
    // Stacks grow downwards on all machines of interest; `may_nest` compares the distance only, so that does not
    // matter.
    let local = 0_u8;
    (&raw const local).addr()
}

impl Worker {
    fn works_on<W>(&self, build: &Arc<W>) -> bool {
        self.build == Arc::as_ptr(build).addr()
    }
}

#[derive(Default)]
struct QueueState {
    /// A stack for each thread that works, and the jobs in all of them.
    // All under one lock, unlike the lock-free deques of rayon or tokio: most tasks never come here, since they run
    // on the stack of the thread that needs them.
    stacks: Vec<Stack>,
    jobs: usize,
    /// Threads in [`Queue::work`], and how many of them have nothing to do.
    active: usize,
    parked: usize,
    /// Cycles were searched since the last job.
    searched: bool,
    shut: bool,
    threads: Vec<JoinHandle<()>>,
    /// All threads that the queue may start run, or no more can be started.
    full: bool,
    /// How many groups of jobs were pushed.
    // By it `take_back` recognises its own jobs among those that were pushed later.
    groups: u64,
}

/// The jobs that a thread has pushed, each with the number of its group. The thread takes the last one first; idle
/// threads take the first one, which probably has the most work below it.
#[derive(Default)]
struct Stack {
    jobs: VecDeque<(u64, Job)>,
    /// Whether a thread owns it.
    owned: bool,
}

impl QueueState {
    /// The next job for the thread with this stack.
    fn pop(&mut self, own: usize) -> Option<Job> {
        if self.jobs == 0 {
            return None;
        }
        let job = self.stacks[own].jobs.pop_back();
        // Steals the oldest, as in Blumofe and Leiserson, *Scheduling Multithreaded Computations by Work Stealing*,
        // 1999.
        let job = job.or_else(|| self.stacks.iter_mut().find_map(|stack| stack.jobs.pop_front()));
        self.jobs -= usize::from(job.is_some());
        job.map(|(_, job)| job)
    }

    /// A stack that no thread owns.
    fn own_stack(&mut self) -> usize {
        let free = self.stacks.iter().position(|stack| !stack.owned).unwrap_or_else(|| {
            self.stacks.push(Stack::default());
            self.stacks.len() - 1
        });
        self.stacks[free].owned = true;
        free
    }
}

pub(crate) struct Queue {
    ready: Mutex<QueueState>,
    // One for all threads: what they wait for (a job, the answer of one of them, the end) is decided by each for
    // itself.
    more: Condvar,
    /// How many threads may be started besides those that call.
    extra: usize,
    /// How many tasks await something foreign.
    pub(crate) foreign: AtomicIsize,
    /// The waits of requests from outside.
    pub(crate) roots: Mutex<Vec<Arc<Wait>>>,
}

impl Queue {
    pub(crate) fn new(jobs: usize) -> Queue {
        let extra = jobs.max(1) - 1;
        Queue {
            ready: Mutex::new(QueueState { full: extra == 0, ..QueueState::default() }),
            more: Condvar::new(),
            extra,
            foreign: AtomicIsize::new(0),
            roots: Mutex::default(),
        }
    }

    /// Adds a job that some thread may take at once.
    pub(crate) fn push<W: QueueOwner>(&self, build: &Arc<W>, job: Job) {
        self.push_all(build, std::iter::once(job), 0);
    }

    /// Adds jobs, the first to be taken first, and returns what [`Queue::take_back`] wants. `own`: how many of them
    /// the caller is about to take itself.
    pub(crate) fn push_all<W: QueueOwner>(
        &self,
        build: &Arc<W>,
        jobs: impl DoubleEndedIterator<Item = Job>,
        own: usize,
    ) -> u64 {
        let mut ready = lock(&self.ready);
        ready.groups += 1;
        let group = ready.groups;
        // Unlocked before the jobs are dropped: with them, computations may be dropped, which runs code of rules.
        if ready.shut {
            drop(ready);
            return group;
        }
        let own_stack = WORKER.with(|worker| {
            let worker = worker.borrow();
            worker.works_on(build).then_some(worker.stack)
        });
        if ready.stacks.is_empty() {
            ready.stacks.push(Stack::default());
        }
        // A thread that does not work on the build (a waker) has no stack: any will do, idle threads take from all.
        let stack = &mut ready.stacks[own_stack.unwrap_or(0)].jobs;
        let before = stack.len();
        // Reversed: the owner takes the last one first.
        stack.extend(jobs.rev().map(|job| (group, job)));
        let added = stack.len() - before;
        ready.jobs += added;
        ready.searched = false;
        if added <= own {
            return group;
        }
        // Parked threads are woken before another one is started. The condition variable is notified under the lock, so
        // a thread that is about to park sees the job or the notification.
        let wanted = added - own;
        if ready.parked > 0 {
            if wanted > 1 { self.more.notify_all() } else { self.more.notify_one() }
        } else if !ready.full {
            self.start_thread(build, &mut ready);
        }
        group
    }

    /// The next job of a group for the calling thread, if no other thread has taken it and none was pushed after it.
    pub(crate) fn take_back(&self, group: u64) -> Option<Job> {
        let own = WORKER.with(|worker| worker.borrow().stack);
        let mut ready = lock(&self.ready);
        let (_, job) = ready.stacks.get_mut(own)?.jobs.pop_back_if(|(of, _)| *of == group)?;
        ready.jobs -= 1;
        Some(job)
    }

    /// Whether the build may use no thread but the calling one.
    pub(crate) fn is_alone(&self) -> bool {
        self.extra == 0
    }

    fn start_thread<W: QueueOwner>(&self, build: &Arc<W>, ready: &mut QueueState) {
        // One thread for each push: more work leads to more pushes, and a short build does not start all threads.
        if ready.threads.len() >= self.extra {
            ready.full = true;
            return;
        }
        let build = build.clone();
        let spawned = thread::Builder::new().name("build".into()).spawn(move || {
            build.queue().work(&build, &mut || false);
        });
        match spawned {
            // Joined when the queue is shut, so no thread of a build outlives it.
            Ok(thread) => ready.threads.push(thread),
            // With fewer threads the build is slower, not wrong.
            Err(_) => ready.full = true,
        }
    }

    /// Whether the calling thread may run a job of `build` on its stack.
    pub(crate) fn may_nest<W>(build: &Arc<W>) -> bool {
        WORKER.with(|worker| {
            let worker = worker.borrow();
            worker.works_on(build) && worker.base.abs_diff(here()) < MAX_NESTED_STACK
        })
    }

    /// Whether the calling thread works on `build`, hence will take a job soon.
    pub(crate) fn is_worker<W>(build: &Arc<W>) -> bool {
        WORKER.with(|worker| worker.borrow().works_on(build))
    }

    /// Works until `enough` returns true or the queue is shut.
    pub(crate) fn work<W: QueueOwner>(&self, build: &Arc<W>, enough: &mut dyn FnMut() -> bool) {
        let mut ready = lock(&self.ready);
        let stack = ready.own_stack();
        ready.active += 1;
        let worker = Worker { build: Arc::as_ptr(build).addr(), base: here(), stack };
        let outer = WORKER.with(|known| known.replace(worker));
        let guard = build.begin_work();
        while !enough() && !ready.shut {
            if let Some(job) = ready.pop(stack) {
                drop(ready);
                build.run(job);
                ready = lock(&self.ready);
                continue;
            }
            // All others are parked, so no job is in progress that could push another one.
            let last = ready.parked + 1 == ready.active;
            // A request that has its answer is not waiting, even if its thread has not woken up yet.
            let has_open_request = || lock(&self.roots).iter().any(|wait| !wait.is_over());
            if last && !ready.searched && self.foreign.load(Ordering::Acquire) == 0 && has_open_request() {
                ready.searched = true;
                drop(ready);
                let broken = build.break_cycle();
                ready = lock(&self.ready);
                // There may be another cycle, for which the tasks of this one were not responsible: search again.
                ready.searched &= !broken;
                continue;
            }
            ready.parked += 1;
            ready = self.more.wait(ready).unwrap_or_else(PoisonError::into_inner);
            ready.parked -= 1;
        }
        ready.active -= 1;
        ready.stacks[stack].owned = false;
        // A parked thread may now be the last active one, which has to search for cycles.
        if ready.active > 0 && (ready.active == ready.parked || ready.jobs > 0) {
            self.more.notify_one();
        }
        drop(ready);
        WORKER.with(|known| known.replace(outer));
        drop(guard);
    }

    /// Wakes all threads, so that they call `enough` again.
    pub(crate) fn wake_all(&self) {
        // A thread between its check and its wait holds the lock: after this it is parked, and is notified.
        drop(lock(&self.ready));
        self.more.notify_all();
    }

    /// Ends all threads. Jobs not taken are dropped.
    pub(crate) fn shut(&self) {
        let (jobs, threads) = {
            let mut ready = lock(&self.ready);
            ready.shut = true;
            ready.jobs = 0;
            let jobs: Vec<_> = ready.stacks.iter_mut().map(|stack| std::mem::take(&mut stack.jobs)).collect();
            (jobs, std::mem::take(&mut ready.threads))
        };
        // Without the lock: `shut` was set under it, so a thread that is not parked yet sees it before it parks.
        self.more.notify_all();
        for thread in threads {
            // If a rule drops the last handle of its own build, this is one of the threads: it must not join itself.
            if thread.thread().id() != thread::current().id() {
                // Panics of rules are caught where the task runs; a thread that ended by another one has nothing to
                // hand over.
                let _ = thread.join();
            }
        }
        // Without the lock, since dropping computations runs code of rules.
        drop(jobs);
    }
}
