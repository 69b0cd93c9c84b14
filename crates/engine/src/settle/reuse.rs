//! A cache of each thread: frames, computations and buffers for reads of finished tasks, to be used again. A small task
//! then allocates nothing.

use std::cell::RefCell;

use crate::graph::erased::Computation;
use crate::graph::ids::NodeId;
use crate::schedule::inner::Inner;
use crate::schedule::reads::Read;
use crate::settle::frame::{Frame, RUNNING};
use crate::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU8, AtomicU32},
};

/// The cache of a thread for the build that it works on.
#[derive(Default)]
struct ThreadCache {
    /// Address of the build; 0: it works on none.
    build: usize,
    /// Frames, and computations by rule.
    frames: Vec<Arc<Frame>>,
    computations: Vec<Vec<Computation>>,
    /// Empty buffers for reads.
    reads: Vec<Vec<Read>>,
}

/// How many of each kind are kept.
// More computations are rarely open at once on one thread; the rest is freed.
const MAX_CACHED: usize = 64;

crate::sync::thread_local! {
    static CACHE: RefCell<ThreadCache> = RefCell::default();
}

/// While it lives, the calling thread has a cache for this build; after that, the cache that it had before for another.
pub(crate) struct CacheScope {
    outer: ThreadCache,
}

impl CacheScope {
    pub(crate) fn begin(build: &Arc<Inner>) -> CacheScope {
        let cache = ThreadCache { build: Arc::as_ptr(build).addr(), ..ThreadCache::default() };
        CacheScope { outer: CACHE.with(|known| known.replace(cache)) }
    }
}

impl Drop for CacheScope {
    fn drop(&mut self) {
        let outer = std::mem::take(&mut self.outer);
        let cached = CACHE.with(|known| known.replace(outer));
        // Outside of `with`: what is dropped may run code of rules, which may use the cache again.
        drop(cached);
    }
}

/// A cached frame and a buffer for reads.
fn cached_frame() -> Option<(Arc<Frame>, Vec<Read>)> {
    CACHE.with(|cache| {
        let cache = &mut *cache.borrow_mut();
        let frame = cache.frames.pop()?;
        Some((frame, cache.reads.pop().unwrap_or_default()))
    })
}

/// Keeps a buffer for reads.
pub(crate) fn recycle_reads(mut reads: Vec<Read>) {
    /// Buffers of the few tasks with very many reads are not kept.
    // 256 reads take a few kilobytes.
    const MAX_KEPT_READS: usize = 256;
    if reads.capacity() == 0 || reads.capacity() > MAX_KEPT_READS {
        return;
    }
    reads.clear();
    CACHE.with(|cache| {
        let cache = &mut *cache.borrow_mut();
        // A thread that works on no build would never use the buffer.
        if cache.build != 0 && cache.reads.len() < MAX_CACHED {
            cache.reads.push(reads);
        }
    });
}

/// A cached computation of the rule.
pub(crate) fn cached_computation(rule: u16) -> Option<Computation> {
    CACHE.with(|cache| cache.borrow_mut().computations.get_mut(rule as usize)?.pop())
}

impl Frame {
    /// A frame for a task, from the cache if there is one.
    pub(crate) fn new(build: &Arc<Inner>, node: NodeId) -> Arc<Frame> {
        if let Some((mut frame, reads)) = cached_frame() {
            // A cached frame is referred to by nothing else, and belongs to the build that the thread works on.
            if let Some(own) = Arc::get_mut(&mut frame).filter(|frame| Arc::ptr_eq(&frame.build, build)) {
                own.node = node;
                own.seen.get_mut().unwrap_or_else(PoisonError::into_inner).reads = reads;
                return frame;
            }
        }
        Arc::new(Frame {
            build: build.clone(),
            node,
            state: AtomicU8::new(RUNNING),
            known: AtomicBool::new(false),
            waits: AtomicU32::new(0),
            is_hash: AtomicBool::new(false),
            computation: Mutex::new(None),
            seen: Mutex::default(),
        })
    }

    /// Keeps a frame that is over, if nothing else refers to it, and its computation.
    pub(super) fn recycle(self: Arc<Frame>, rule: u16, computation: Computation) {
        let mut frame = self;
        // A waker that was cloned and outlives the computation refers to the frame: then it is not used again, or the
        // waker would wake another task.
        let is_spare = Arc::get_mut(&mut frame).is_some_and(Frame::renew);
        let too_many = CACHE.with(|cache| {
            let cache = &mut *cache.borrow_mut();
            // A thread can work on another build within this one; a frame keeps its build alive, so it is kept for that
            // build only.
            if cache.build != Arc::as_ptr(&frame.build).addr()
                || cache.frames.len() >= MAX_CACHED
                || !is_spare
            {
                return Some((frame, computation));
            }
            cache.frames.push(frame);
            let rule = rule as usize;
            if cache.computations.len() <= rule {
                cache.computations.resize_with(rule + 1, Vec::new);
            }
            let computations = &mut cache.computations[rule];
            if computations.len() < MAX_CACHED {
                computations.push(computation);
            }
            None
        });
        // Dropped only here, where the cache is not borrowed: user code may run when a computation is dropped.
        drop(too_many);
    }
}
