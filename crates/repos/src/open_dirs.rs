//! The directories of a root, held open.
//!
//! A build looks at thousands of files below a root. Each directory is opened once, beneath the root, so that each of
//! its files is reached by one path component. A directory that was removed meanwhile is looked up again; if one was
//! replaced, the next build notices, which begins with [`OpenDirs::forget`] and sees another inode.
//!
//! Links on the way to a directory are followed, as the reference does, even if they lead out of the root: sources
//! belong to the user, and are only read.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use taut_sys::{Dir, Links, Result, if_exists};

/// How many directories of a root are held open.
// Well below the usual limit of 1024 descriptors for a process, of which actions and the store need some.
const MAX_OPEN: usize = 256;

/// For how long a directory that existed is assumed to exist without another `stat`.
// A directory is asked for once for each file in it; a `stat` each time would double the system calls of a null
// build.
const MAX_UNCHECKED_AGE: Duration = Duration::from_millis(50);

/// The open directories of one root. The lock is held while a directory is opened, so that each is opened once.
#[derive(Default)]
pub(crate) struct OpenDirs(Mutex<OpenDirectories>);

#[derive(Default)]
struct OpenDirectories {
    root: Option<OpenDirectory>,
    /// By path below the root.
    below: HashMap<Box<str>, OpenDirectory>,
}

#[derive(Clone)]
struct OpenDirectory {
    dir: Arc<Dir>,
    /// When it was last known to have a name.
    seen: Instant,
}

impl OpenDirectory {
    fn new(dir: Dir) -> OpenDirectory {
        OpenDirectory { dir: Arc::new(dir), seen: Instant::now() }
    }
}

impl OpenDirs {
    /// The directory at a path below the root, "" for the root itself; `None` if it does not exist.
    pub(crate) fn get(&self, root: &Path, path: &str) -> Result<Option<Arc<Dir>>> {
        // Held while directories are opened, so that each is opened once.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = state.open_dir(path) {
            if open.seen.elapsed() < MAX_UNCHECKED_AGE {
                return Ok(Some(open.dir.clone()));
            }
            // A directory that was removed has no links left; another one may have taken its place, and the
            // directories below it may be others, too.
            if open.dir.stat()?.links > 0 {
                open.seen = Instant::now();
                return Ok(Some(open.dir.clone()));
            }
            *state = OpenDirectories::default();
        }
        let top = match &state.root {
            Some(top) => top.dir.clone(),
            None => {
                let Some(top) = if_exists(Dir::of_user(root))? else { return Ok(None) };
                state.root.insert(OpenDirectory::new(top)).dir.clone()
            }
        };
        if path.is_empty() {
            return Ok(Some(top));
        }
        let Some(dir) = open(&top, path)? else { return Ok(None) };
        if state.below.len() >= MAX_OPEN {
            // Emptied rather than ordered by use: directories that are wanted again are opened again.
            state.below.clear();
        }
        let open = OpenDirectory::new(dir);
        state.below.insert(path.into(), open.clone());
        Ok(Some(open.dir))
    }

    /// Closes all directories, since another build begins and names may lead elsewhere.
    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = OpenDirectories::default();
    }
}

impl OpenDirectories {
    fn open_dir(&mut self, path: &str) -> Option<&mut OpenDirectory> {
        if path.is_empty() { self.root.as_mut() } else { self.below.get_mut(path) }
    }
}

fn open(top: &Dir, path: &str) -> Result<Option<Dir>> {
    // The dot makes the last component a middle one, in which links are followed.
    let through = format!("{path}/.");
    // First beneath the root, in one call; only a link that leads out of it is followed without that restriction.
    // `openat2` with `RESOLVE_BENEATH`: the kernel refuses a way out of the root, whatever is renamed meanwhile.
    match top.sub(&through, Links::Beneath) {
        Err(error) if error.is_link_in_the_way() => if_exists(top.sub_anywhere(Path::new(path))),
        other => if_exists(other),
    }
}
