//! Being told of changes below directories, instead of looking for them.
//!
//! What is told is a hint at where to look, never what is there. Hints can get lost: the queue overflows, a
//! directory goes away with its watch, another machine changes a network file system. All of that is told, too
//! ([`Noticed::lost`], [`Heard::Deaf`]), and is answered by looking everywhere.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsStr,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    fs::{inotify, statfs},
    io::{Errno, read, write},
};

use crate::{Error, Result, evidence::is_remote};

/// For how long nothing must happen before changes count as complete: tools that save a file, or switch a
/// branch, do several things in a row.
const QUIET: Duration = Duration::from_millis(30);

/// Changes are told after this time even if more keep coming.
const PATIENCE: Duration = Duration::from_millis(500);

/// Watches directories.
pub struct Watch {
    inotify: OwnedFd,
    wake: Arc<OwnedFd>,
    paths: HashMap<i32, Vec<PathBuf>>,
    watched: HashMap<PathBuf, Heard>,
    /// Whether not to ask the system at all.
    is_deaf: bool,
}

/// Whether changes in a directory will be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// They will.
    Yes,
    /// There is no such directory; that it comes into being is told by the one above.
    Absent,
    /// They may not: one has to look from time to time.
    Deaf,
}

/// How a path changed, as far as one can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct How {
    /// It came, went, or was replaced: the listing of its directory shows that.
    pub entry: bool,
    /// It is a directory.
    pub is_directory: bool,
}

/// Changes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Noticed {
    /// Where.
    pub paths: BTreeMap<PathBuf, How>,
    /// There may be more of them.
    pub lost: bool,
}

/// What ended a wait.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Woken {
    /// Something changed.
    Changed(Noticed),
    /// Nothing did for the time that was given.
    Nothing,
    /// [`Waker::wake`] was called.
    ByWaker,
}

/// Ends waits from another thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// Ends the present wait, or the next one.
    pub fn wake(&self) {
        // Full means that it is awake already.
        let _ = write(&*self.0, &1_u64.to_ne_bytes());
    }
}

fn error(op: &'static str, path: &Path) -> impl Fn(Errno) -> Error {
    move |errno| Error::new(op, path, errno)
}

impl Watch {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// The system has no watches left.
    pub fn new() -> Result<Watch> {
        let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
        let inotify = inotify::init(flags).map_err(error("watch", Path::new("anything")))?;
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
        let wake = eventfd(0, flags).map_err(error("watch", Path::new("anything")))?;
        Ok(Watch {
            inotify,
            wake: Arc::new(wake),
            paths: HashMap::new(),
            watched: HashMap::new(),
            is_deaf: false,
        })
    }

    /// Watches nothing ever: for directories whose changes the system does not tell although it should.
    ///
    /// # Errors
    /// As for [`Watch::new`].
    pub fn deaf() -> Result<Watch> {
        Ok(Watch { is_deaf: true, ..Watch::new()? })
    }

    /// What ends waits.
    pub fn waker(&self) -> Waker {
        Waker(self.wake.clone())
    }

    /// How many directories are watched.
    pub fn len(&self) -> usize {
        self.watched.values().filter(|heard| **heard == Heard::Yes).count()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether some change may go unnoticed.
    pub fn is_deaf(&self) -> bool {
        self.watched.values().any(|heard| *heard == Heard::Deaf)
    }

    /// Watches a directory, by this name; `None` if it was watched before.
    pub fn add(&mut self, directory: &Path) -> Option<Heard> {
        if self.watched.get(directory).is_some_and(|heard| *heard != Heard::Absent) {
            return None;
        }
        use inotify::WatchFlags as F;
        let content = F::MODIFY | F::CLOSE_WRITE | F::ATTRIB;
        let entries = F::CREATE | F::DELETE | F::MOVED_FROM | F::MOVED_TO;
        let flags = content | entries | F::DELETE_SELF | F::MOVE_SELF | F::ONLYDIR;
        let added = if self.is_deaf {
            Err(Errno::OPNOTSUPP)
        } else {
            inotify::add_watch(&self.inotify, directory, flags)
        };
        let heard = match added {
            Ok(number) => {
                self.paths.entry(number).or_default().push(directory.to_owned());
                let is_remote = statfs(directory).is_ok_and(|on| is_remote(&on));
                if is_remote { Heard::Deaf } else { Heard::Yes }
            }
            Err(Errno::NOENT | Errno::NOTDIR) => Heard::Absent,
            Err(_) => Heard::Deaf,
        };
        let before = self.watched.insert(directory.to_owned(), heard);
        (before != Some(heard)).then_some(heard)
    }

    /// Waits for changes, for a waker, or for a time. Changes that come in quick succession are told together.
    ///
    /// # Errors
    /// The system refuses to tell.
    pub fn wait(&mut self, limit: Option<Duration>) -> Result<Woken> {
        match self.poll(limit)? {
            Ready { waker: true, .. } => return Ok(Woken::ByWaker),
            Ready { events: false, .. } => return Ok(Woken::Nothing),
            Ready { .. } => {}
        }
        let begin = Instant::now();
        let mut noticed = Noticed::default();
        loop {
            self.read(&mut noticed)?;
            let ready = self.poll(Some(QUIET))?;
            if ready.waker {
                return Ok(Woken::ByWaker);
            }
            if !ready.events || begin.elapsed() > PATIENCE {
                return Ok(Woken::Changed(noticed));
            }
        }
    }

    fn poll(&self, limit: Option<Duration>) -> Result<Ready> {
        let limit = limit.map(|limit| Timespec {
            tv_sec: limit.as_secs() as i64,
            tv_nsec: i64::from(limit.subsec_nanos()) as _,
        });
        let mut fds = [PollFd::new(&self.inotify, PollFlags::IN), PollFd::new(&*self.wake, PollFlags::IN)];
        match poll(&mut fds, limit.as_ref()) {
            Err(Errno::INTR) => return Ok(Ready { events: false, waker: false }),
            other => other.map_err(error("wait for changes of", Path::new("directories")))?,
        };
        let ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let (events, waker) = (ready(&fds[0]), ready(&fds[1]));
        if waker {
            // It is awake now.
            let _ = read(&*self.wake, &mut [0; 8]);
        }
        Ok(Ready { events, waker })
    }

    /// Takes what there is to be read.
    fn read(&mut self, noticed: &mut Noticed) -> Result<()> {
        use inotify::ReadFlags as F;
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        loop {
            let event = match reader.next() {
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => continue,
                other => other.map_err(error("read changes of", Path::new("directories")))?,
            };
            let flags = event.events();
            if flags.intersects(F::QUEUE_OVERFLOW | F::UNMOUNT | F::DELETE_SELF | F::MOVE_SELF) {
                noticed.lost = true;
            }
            if flags.intersects(F::IGNORED | F::MOVE_SELF) {
                // The names it had may be others' from now on.
                for path in self.paths.remove(&event.wd()).unwrap_or_default() {
                    self.watched.remove(&path);
                }
                if flags.contains(F::MOVE_SELF) {
                    let _ = inotify::remove_watch(&self.inotify, event.wd());
                }
                continue;
            }
            let Some(name) = event.file_name() else { continue };
            let name = OsStr::from_bytes(name.to_bytes());
            for path in self.paths.get(&event.wd()).into_iter().flatten() {
                let how = noticed.paths.entry(path.join(name)).or_default();
                how.entry |= flags.intersects(F::CREATE | F::DELETE | F::MOVED_FROM | F::MOVED_TO);
                how.is_directory |= flags.contains(F::ISDIR);
            }
        }
    }
}

struct Ready {
    events: bool,
    waker: bool,
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use super::*;

    fn changed(watch: &mut Watch) -> Noticed {
        match watch.wait(Some(Duration::from_secs(20))).unwrap() {
            Woken::Changed(noticed) => noticed,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn changes_are_named_and_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("there"), "1").unwrap();
        let mut watch = Watch::new().unwrap();
        assert_eq!(watch.add(directory.path()), Some(Heard::Yes));
        assert_eq!(watch.add(directory.path()), None);
        assert_eq!(watch.add(&path("absent")), Some(Heard::Absent));
        assert_eq!((watch.len(), watch.is_deaf()), (1, false));
        std::fs::write(path("there"), "2").unwrap();
        std::fs::write(path("new"), "").unwrap();
        std::fs::create_dir(path("sub")).unwrap();
        let noticed = changed(&mut watch);
        let how = |entry, is_directory| How { entry, is_directory };
        let expected = [
            (path("new"), how(true, false)),
            (path("sub"), how(true, true)),
            (path("there"), How::default()),
        ];
        assert_eq!(noticed, Noticed { paths: expected.into(), lost: false });
        assert_eq!(watch.wait(Some(Duration::ZERO)).unwrap(), Woken::Nothing);
    }

    #[test]
    fn what_goes_away_with_its_watch_is_lost_and_can_be_watched_again() {
        let directory = tempfile::tempdir().unwrap();
        let sub = directory.path().join("sub");
        for move_away in [false, true] {
            std::fs::create_dir(&sub).unwrap();
            let mut watch = Watch::new().unwrap();
            assert_eq!(watch.add(&sub), Some(Heard::Yes));
            if move_away {
                std::fs::rename(&sub, directory.path().join("moved")).unwrap();
            } else {
                std::fs::remove_dir(&sub).unwrap();
            }
            assert!(changed(&mut watch).lost);
            std::fs::create_dir_all(&sub).unwrap();
            assert_eq!(watch.add(&sub), Some(Heard::Yes));
            std::fs::write(sub.join("f"), "").unwrap();
            assert!(changed(&mut watch).paths.contains_key(&sub.join("f")));
            std::fs::remove_dir_all(&sub).unwrap();
        }
    }

    #[test]
    fn a_waker_ends_the_wait() {
        let mut watch = Watch::new().unwrap();
        let waker = watch.waker();
        waker.wake();
        assert_eq!(watch.wait(None).unwrap(), Woken::ByWaker);
        let thread = std::thread::spawn(move || waker.wake());
        assert_eq!(watch.wait(None).unwrap(), Woken::ByWaker);
        thread.join().unwrap();
        assert_eq!(watch.wait(Some(Duration::ZERO)).unwrap(), Woken::Nothing);
    }
}
