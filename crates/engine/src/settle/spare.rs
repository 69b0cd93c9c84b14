//! What a thread keeps of tasks that are over for the next ones: frames, computations, room for reads.

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

/// What a thread has for the build that it works on.
#[derive(Default)]
struct Desk {
    /// Address of the build; 0: it works on none.
    build: usize,
    /// Frames, and computations by rule, to be used again.
    frames: Vec<Arc<Frame>>,
    computations: Vec<Vec<Computation>>,
    /// Room for reads.
    reads: Vec<Vec<Read>>,
}

/// So many of each are kept to be used again.
const MAX_SPARE: usize = 64;

crate::sync::thread_local! {
    static DESK: RefCell<Desk> = RefCell::default();
}

/// While it lives, the calling thread keeps things for a build; then those that it kept before for another one.
pub(crate) struct Working {
    outer: Desk,
}

impl Working {
    pub(crate) fn on(build: &Arc<Inner>) -> Working {
        let desk = Desk { build: Arc::as_ptr(build).addr(), ..Desk::default() };
        Working { outer: DESK.with(|known| known.replace(desk)) }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let outer = std::mem::take(&mut self.outer);
        let spare = DESK.with(|known| known.replace(outer));
        drop(spare);
    }
}

/// A frame that was used before by this thread, and room for what is read.
fn spare_frame() -> Option<(Arc<Frame>, Vec<Read>)> {
    DESK.with(|desk| {
        let desk = &mut *desk.borrow_mut();
        let frame = desk.frames.pop()?;
        Some((frame, desk.reads.pop().unwrap_or_default()))
    })
}

/// Keeps the room that reads took.
pub(crate) fn keep_reads(mut reads: Vec<Read>) {
    /// Not that of the few tasks that read very much.
    const MAX_KEPT_READS: usize = 256;
    if reads.capacity() == 0 || reads.capacity() > MAX_KEPT_READS {
        return;
    }
    reads.clear();
    DESK.with(|desk| {
        let desk = &mut *desk.borrow_mut();
        if desk.build != 0 && desk.reads.len() < MAX_SPARE {
            desk.reads.push(reads);
        }
    });
}

/// A computation of a task of the rule, which was used before by this thread.
pub(crate) fn spare_computation(rule: u16) -> Option<Computation> {
    DESK.with(|desk| desk.borrow_mut().computations.get_mut(rule as usize)?.pop())
}

impl Frame {
    /// For a computation of a task; one that was used before, if there is any.
    pub(crate) fn new(build: &Arc<Inner>, node: NodeId) -> Arc<Frame> {
        if let Some((mut frame, reads)) = spare_frame() {
            // Spare ones are the thread's alone, and of the build that it works on.
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

    /// Keeps a frame that is over for the next task, if nobody else has it, and its computation.
    pub(super) fn keep(self: Arc<Frame>, rule: u16, computation: Computation) {
        let mut frame = self;
        let is_spare = Arc::get_mut(&mut frame).is_some_and(Frame::renew);
        let too_many = DESK.with(|desk| {
            let desk = &mut *desk.borrow_mut();
            if desk.build != Arc::as_ptr(&frame.build).addr() || desk.frames.len() >= MAX_SPARE || !is_spare {
                return Some((frame, computation));
            }
            desk.frames.push(frame);
            let rule = rule as usize;
            if desk.computations.len() <= rule {
                desk.computations.resize_with(rule + 1, Vec::new);
            }
            let computations = &mut desk.computations[rule];
            if computations.len() < MAX_SPARE {
                computations.push(computation);
            }
            None
        });
        // Not while the desk is borrowed: nobody knows what this drops.
        drop(too_many);
    }
}
