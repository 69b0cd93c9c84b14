//! The directories of a root, held open.
//!
//! A build looks at thousands of files below a root. Each directory is opened once, beneath the root, and every file in
//! it is one component of a path away. A directory that was removed meanwhile is looked up again; one that was exchanged
//! is noticed by the next build, which begins anew ([`OpenDirs::forget`]) and sees another inode.
//!
//! Links on the way to a directory are followed, as the reference does, also where they lead out of the root: what lies
//! below a root is the user's, and is only read.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use taut_sys::{Dir, Links, Result, if_exists};

/// How many directories of a root are kept open.
const MAX_OPEN: usize = 256;

/// For how long a directory that was there is taken to be there.
const TRUSTED: Duration = Duration::from_millis(50);

/// The open directories of one root.
#[derive(Default)]
pub(crate) struct OpenDirs(Mutex<Known>);

#[derive(Default)]
struct Known {
    root: Option<Open>,
    /// By path below the root.
    below: HashMap<Box<str>, Open>,
}

#[derive(Clone)]
struct Open {
    dir: Arc<Dir>,
    /// When it was seen to have a name.
    seen: Instant,
}

impl Open {
    fn new(dir: Dir) -> Open {
        Open { dir: Arc::new(dir), seen: Instant::now() }
    }
}

impl OpenDirs {
    /// The directory at a path below the root, "" for the root itself; `None` if there is none.
    pub(crate) fn get(&self, root: &Path, path: &str) -> Result<Option<Arc<Dir>>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = known.known(path) {
            if open.seen.elapsed() < TRUSTED {
                return Ok(Some(open.dir.clone()));
            }
            // A directory that was removed has no name any more; another one may have taken its place.
            if open.dir.stat()?.links > 0 {
                open.seen = Instant::now();
                return Ok(Some(open.dir.clone()));
            }
            *known = Known::default();
        }
        let top = match &known.root {
            Some(top) => top.dir.clone(),
            None => {
                let Some(top) = if_exists(Dir::of_user(root))? else { return Ok(None) };
                known.root.insert(Open::new(top)).dir.clone()
            }
        };
        if path.is_empty() {
            return Ok(Some(top));
        }
        let Some(dir) = open(&top, path)? else { return Ok(None) };
        if known.below.len() >= MAX_OPEN {
            // What is wanted again comes back.
            known.below.clear();
        }
        let open = Open::new(dir);
        known.below.insert(path.into(), open.clone());
        Ok(Some(open.dir))
    }

    /// Another build begins: names may lead elsewhere now.
    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Known::default();
    }
}

impl Known {
    fn known(&mut self, path: &str) -> Option<&mut Open> {
        if path.is_empty() { self.root.as_mut() } else { self.below.get_mut(path) }
    }
}

fn open(top: &Dir, path: &str) -> Result<Option<Dir>> {
    // The dot makes the last component one to be followed.
    let through = format!("{path}/.");
    match top.sub(&through, Links::Beneath) {
        Err(error) if error.is_link_in_the_way() => if_exists(top.sub_anywhere(Path::new(path))),
        other => if_exists(other),
    }
}
