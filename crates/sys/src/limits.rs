//! A limit to the number of descriptors that caches hold open.
//!
//! An open directory saves looking it up again; too many of them make other calls fail with EMFILE. So caches of
//! directories ask here, and open a directory for one use only when the limit is reached.

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use rustix::process::{Resource, getrlimit};

use crate::Dir;

/// How many directories are held by caches. Relaxed: it only counts, and a momentary excess is taken back.
static CACHED_DIRS: AtomicUsize = AtomicUsize::new(0);
static MAX_CACHED_DIRS: OnceLock<usize> = OnceLock::new();

/// Half of what the process may have open; the other half is for files in use.
fn max_cached_dirs() -> usize {
    *MAX_CACHED_DIRS.get_or_init(|| {
        let current = getrlimit(Resource::Nofile).current;
        // 65,536 at most, also without a limit of the process: the system as a whole has one, too (`fs.file-max`).
        current.map_or(1 << 16, |limit| usize::try_from(limit / 2).unwrap_or(usize::MAX).min(1 << 16))
    })
}

/// An open directory that counts against the limit.
#[derive(Debug)]
pub struct CachedDir(Dir);

impl CachedDir {
    /// Takes a place for a directory, if there is one.
    ///
    /// # Errors
    /// Gives the directory back if the limit is reached.
    pub fn new(dir: Dir) -> Result<CachedDir, Dir> {
        // Added first and taken back if there are too many, so that two threads cannot both take the last place.
        if CACHED_DIRS.fetch_add(1, Relaxed) < max_cached_dirs() {
            return Ok(CachedDir(dir));
        }
        CACHED_DIRS.fetch_sub(1, Relaxed);
        Err(dir)
    }
}

impl std::ops::Deref for CachedDir {
    type Target = Dir;

    fn deref(&self) -> &Dir {
        &self.0
    }
}

impl Drop for CachedDir {
    fn drop(&mut self) {
        // The descriptor is closed after this, so for a moment there may be a few more than the limit, which has room
        // for that.
        CACHED_DIRS.fetch_sub(1, Relaxed);
    }
}
