//! How many descriptors may be kept open because they are likely to be of use again.
//!
//! A handle that is at hand saves looking a directory up; one too many makes something else fail. So caches of handles
//! ask here first, and open for the moment what they may not keep.

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use rustix::process::{Resource, getrlimit};

use crate::Dir;

static KEPT: AtomicUsize = AtomicUsize::new(0);
static LIMIT: OnceLock<usize> = OnceLock::new();

/// Half of what the process may have open; the other half is for what is at work.
fn limit() -> usize {
    *LIMIT.get_or_init(|| {
        let current = getrlimit(Resource::Nofile).current;
        current.map_or(1 << 16, |limit| usize::try_from(limit / 2).unwrap_or(usize::MAX).min(1 << 16))
    })
}

/// An open directory that counts among those that are kept.
#[derive(Debug)]
pub struct Kept(Dir);

impl Kept {
    /// Keeps a directory, if there is room; else gives it back.
    ///
    /// # Errors
    /// The directory, for the moment.
    pub fn new(dir: Dir) -> Result<Kept, Dir> {
        if KEPT.fetch_add(1, Relaxed) < limit() {
            return Ok(Kept(dir));
        }
        KEPT.fetch_sub(1, Relaxed);
        Err(dir)
    }
}

impl std::ops::Deref for Kept {
    type Target = Dir;

    fn deref(&self) -> &Dir {
        &self.0
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        KEPT.fetch_sub(1, Relaxed);
    }
}
