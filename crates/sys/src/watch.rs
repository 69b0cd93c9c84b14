//! Notification of changes below directories, instead of looking for them (inotify(7)).
//!
//! An event is a hint at where to look, never what is there. Events can get lost: the queue overflows, a file system is
//! mounted over a directory, another machine changes a network file system. All of that is reported, too
//! ([`Noticed::lost`], [`Coverage::Polled`]), and the caller answers it by looking everywhere.
//!
//! inotify watches an inode, while the caller wants events for a path. So each path is kept with the inode that it led
//! to, and watched again when that may have changed ([`Watch::refresh`]).
#![allow(
    clippy::disallowed_methods,
    reason = "what a name leads to is what watching asks; nothing is read or changed"
)]

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ffi::OsStr,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    fs::{FileType, Mode, OFlags, Stat, inotify, lstat, open, stat, statfs},
    io::{Errno, read, write},
};

use crate::{Error, Result, evidence::is_remote, fault};

mod resolution;
#[cfg(test)]
mod tests;

pub use resolution::{Missing, Resolution};

/// For how long nothing must happen before a batch of changes counts as complete: tools that save a file, or switch a
/// branch, do several things in a row.
const QUIET_PERIOD: Duration = Duration::from_millis(30);

/// A batch of changes is reported after this time even if more keep coming.
const MAX_BATCH_DELAY: Duration = Duration::from_millis(500);

/// How often a path is watched again that leads elsewhere by the time the watch is there.
const MAX_ATTEMPTS: usize = 5;

/// How many files are watched individually at most.
// The kernel keeps the inode of each in memory.
const MAX_FILE_WATCHES: usize = 1 << 14;

/// The fraction of the user's inotify watches (one in so many) that is used for files: other programs need some, too.
const FILE_WATCHES_DIVISOR: usize = 8;

/// Watches directories and files.
pub struct Watch {
    inotify: Option<OwnedFd>,
    /// Why there is no inotify instance.
    refused: Option<Unwatched>,
    /// Readable (POLLPRI) when something was mounted or unmounted, which changes directories without an event in them.
    // Without it (no `/proc`) changes by mounts go unnoticed until the next full look.
    mounts: Option<OwnedFd>,
    // An eventfd, since a wait is a `poll(2)`: a condition variable would not end it.
    wake: Arc<OwnedFd>,
    /// The paths that each watch was requested by.
    paths: HashMap<i32, Vec<PathBuf>>,
    watched: HashMap<PathBuf, Watched>,
    /// How many files may be watched.
    max_files: usize,
    files: usize,
    /// The files whose watch is gone and may be requested again.
    dropped: BTreeSet<PathBuf>,
}

/// What is to be reported of a path; a later variant includes the earlier ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Interest {
    /// Changes of this very file, by whatever name.
    File,
    /// Entries of the directory that appear, disappear, or get other permissions.
    Entries,
    /// These, and changes of the content of its files.
    Content,
}

struct Watched {
    coverage: Coverage,
    interest: Interest,
    number: Option<i32>,
    /// Device and inode.
    identity: Option<(u64, u64)>,
}

/// Whether changes of a path will be reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coverage {
    /// They will.
    Watched,
    /// There is no such directory or file; the directory above reports its creation.
    Absent,
    /// They may not be: the caller has to look from time to time.
    Polled(Unwatched),
}

/// Why changes may not be reported.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Unwatched {
    /// Nothing is to be watched.
    ByRequest,
    /// The user has no inotify instances left.
    Instances,
    /// The user has no inotify watches left.
    Watches,
    /// More files with several names than may have a watch of their own.
    Files,
    /// Another machine may change the file system.
    Remote,
    /// The directory may not be read.
    Permission,
    /// The system gives no reason.
    Refused,
}

/// How a path changed, as far as the events show.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ChangeKind {
    /// It appeared, disappeared, or was replaced: the listing of its directory shows that.
    pub entry: bool,
    /// It was created or moved here.
    pub came: bool,
    /// It is a directory.
    pub is_directory: bool,
    /// Its permissions or times were set.
    pub attributes: bool,
}

/// Changes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Noticed {
    /// Where.
    pub paths: BTreeMap<PathBuf, ChangeKind>,
    /// Whether there may be more of them.
    pub lost: bool,
}

impl Noticed {
    fn at(&mut self, path: PathBuf) -> &mut ChangeKind {
        self.paths.entry(path).or_default()
    }

    /// Adds other changes to these.
    pub fn merge(&mut self, other: Noticed) {
        self.lost |= other.lost;
        for (path, how) in other.paths {
            let all = self.at(path);
            all.entry |= how.entry;
            all.came |= how.came;
            all.is_directory |= how.is_directory;
            all.attributes |= how.attributes;
        }
    }
}

/// What ended a wait.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WakeReason {
    /// Something changed.
    Changed(Noticed),
    /// Nothing changed in the given time.
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
        // The counter is full: the wait has been ended already.
        let _ = write(&*self.0, &1_u64.to_ne_bytes());
    }
}

fn error(op: &'static str, path: &Path) -> impl Fn(Errno) -> Error {
    move |errno| Error::new(op, path, errno)
}

/// A call of the system that tests can have fail.
fn fallible<T>(
    op: &'static str,
    path: &Path,
    call: impl FnOnce() -> rustix::io::Result<T>,
) -> rustix::io::Result<T> {
    let point = fault::point(op, path).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
    point.and_then(|()| call())
}

fn instance() -> std::result::Result<OwnedFd, Unwatched> {
    let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
    let begin = || inotify::init(flags);
    fallible("begin", Path::new("watching"), begin).map_err(|errno| match errno {
        Errno::MFILE => Unwatched::Instances,
        _ => Unwatched::Refused,
    })
}

/// The value of a limit of inotify, if the system shows it.
pub fn limit(name: &str) -> Option<usize> {
    let text = crate::Named::read(&Path::new("/proc/sys/fs/inotify").join(name)).ok()?;
    std::str::from_utf8(&text).ok()?.trim().parse().ok()
}

impl Watch {
    /// Watches nothing yet. If the system has no inotify instances left, it never will.
    ///
    /// # Errors
    /// The process has no descriptors left.
    pub fn new() -> Result<Watch> {
        let mut watch = Watch::polling()?;
        watch.refused = Some(Unwatched::Instances);
        watch.retry();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        watch.mounts = open("/proc/self/mountinfo", flags, Mode::empty()).ok();
        // 8192 is the kernel's old default.
        let most = limit("max_user_watches").unwrap_or(8192);
        watch.max_files = (most / FILE_WATCHES_DIVISOR).min(MAX_FILE_WATCHES);
        Ok(watch)
    }

    /// Watches nothing ever, and asks the system for nothing: for directories whose changes it fails to report.
    ///
    /// # Errors
    /// As for [`Watch::new`].
    pub fn polling() -> Result<Watch> {
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
        let wake = eventfd(0, flags).map_err(error("watch", Path::new("anything")))?;
        Ok(Watch {
            inotify: None,
            refused: Some(Unwatched::ByRequest),
            mounts: None,
            wake: Arc::new(wake),
            paths: HashMap::new(),
            watched: HashMap::new(),
            max_files: 0,
            files: 0,
            dropped: BTreeSet::new(),
        })
    }

    /// Requests an inotify instance again if there was none left. Paths have to be added again.
    pub fn retry(&mut self) {
        if matches!(self.refused, None | Some(Unwatched::ByRequest)) {
            return;
        }
        match instance() {
            Ok(inotify) => (self.inotify, self.refused) = (Some(inotify), None),
            Err(why) => self.refused = Some(why),
        }
    }

    /// A handle that ends waits.
    pub fn waker(&self) -> Waker {
        Waker(self.wake.clone())
    }

    /// How many directories are watched with their content.
    pub fn len(&self) -> usize {
        let counts = |watched: &&Watched| {
            watched.coverage == Coverage::Watched && watched.interest == Interest::Content
        };
        self.watched.values().filter(counts).count()
    }

    /// Whether [`Watch::len`] is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Why some changes may go unnoticed.
    pub fn unwatched(&self) -> BTreeSet<Unwatched> {
        let why = |watched: &Watched| match watched.coverage {
            Coverage::Polled(why) => Some(why),
            Coverage::Watched | Coverage::Absent => None,
        };
        self.watched.values().filter_map(why).chain(self.refused).collect()
    }

    /// Watches a directory, or a file, by this name; `None` if that changed nothing.
    pub fn add(&mut self, path: &Path, interest: Interest) -> Option<Coverage> {
        let known = self.watched.get(path);
        if known.is_some_and(|known| known.number.is_some() && known.interest >= interest) {
            return None;
        }
        let interest = known.map_or(interest, |known| known.interest.max(interest));
        let watched = self.cover(path, interest);
        if watched.number.is_none() && known.is_some_and(|known| known.number.is_some()) {
            // It is a file now, and was a directory before.
            return None;
        }
        let coverage = watched.coverage;
        let is_new = known.is_none_or(|known| known.coverage != coverage || known.interest < interest);
        self.insert(path, watched);
        is_new.then_some(coverage)
    }

    /// Watches a file itself, so that changes by its other names (hard links) are reported, including names that it
    /// gets later. The number of such watches is bounded: half of it is reserved for files that have other names.
    /// Returns whether this is such a file and its watch is new.
    pub fn add_file(&mut self, path: &Path) -> bool {
        let is_file = |found: &Stat| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        let Some(found) = lstat(path).ok().filter(is_file) else { return false };
        let has_names = found.st_nlink > 1;
        let is_known = self.watched.get(path).is_some_and(|known| known.number.is_some());
        if is_known || (!has_names && (self.inotify.is_none() || self.files >= self.max_files / 2)) {
            return false;
        }
        let watched = match self.files < self.max_files || self.inotify.is_none() {
            true => self.cover(path, Interest::File),
            false => Watched {
                coverage: Coverage::Polled(Unwatched::Files),
                interest: Interest::File,
                number: None,
                identity: None,
            },
        };
        if !has_names && watched.number.is_none() {
            return false;
        }
        let is_new = watched.number.is_some();
        self.insert(path, watched);
        is_new && has_names
    }

    /// The files that lost their watches since the last call.
    pub fn dropped(&mut self) -> BTreeSet<PathBuf> {
        std::mem::take(&mut self.dropped)
    }

    fn insert(&mut self, path: &Path, watched: Watched) {
        if let Some(number) = watched.number {
            let paths = self.paths.entry(number).or_default();
            if !paths.iter().any(|known| known == path) {
                paths.push(path.to_owned());
            }
        }
        let is_file = |watched: &Watched| watched.interest == Interest::File && watched.number.is_some();
        self.files += usize::from(is_file(&watched));
        // Added before the old entry is taken off, so that a file that is watched again never makes the count
        // negative.
        let before = self.watched.insert(path.to_owned(), watched);
        self.files -= usize::from(before.is_some_and(|before| is_file(&before)));
    }

    fn cover(&self, path: &Path, interest: Interest) -> Watched {
        let without = |coverage| Watched { coverage, interest, number: None, identity: None };
        let Some(inotify) = &self.inotify else {
            return without(Coverage::Polled(self.refused.unwrap_or(Unwatched::Refused)));
        };
        use inotify::WatchFlags as F;
        let entries = F::CREATE | F::DELETE | F::MOVED_FROM | F::MOVED_TO | F::ATTRIB | F::ONLYDIR;
        let content = F::MODIFY | F::CLOSE_WRITE | F::ATTRIB;
        // `MASK_ADD`: two paths may lead to one inode, and the second request must not replace the flags of the first.
        let flags = F::DELETE_SELF | F::MOVE_SELF | F::MASK_ADD;
        let flags = match interest {
            Interest::File => flags | content | F::DONT_FOLLOW,
            Interest::Entries => flags | entries,
            Interest::Content => flags | entries | content,
        };
        for _ in 0..MAX_ATTEMPTS {
            let before = identity(path, interest);
            let number = match fallible("watch", path, || inotify::add_watch(inotify, path, flags)) {
                Ok(number) => number,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return without(Coverage::Absent),
                // ENOSPC: the limit `max_user_watches`; there is no more specific error number.
                Err(Errno::NOSPC) => return without(Coverage::Polled(Unwatched::Watches)),
                Err(Errno::ACCESS) => return without(Coverage::Polled(Unwatched::Permission)),
                Err(_) => return without(Coverage::Polled(Unwatched::Refused)),
            };
            // The inode before and after: only if both are the same, the watch is on the inode that the path leads to.
            if before.is_some() && before == identity(path, interest) {
                // One that does not answer may be of any kind.
                let is_local = fallible("statfs", path, || statfs(path)).is_ok_and(|on| !is_remote(&on));
                let coverage = if is_local { Coverage::Watched } else { Coverage::Polled(Unwatched::Remote) };
                return Watched { coverage, interest, number: Some(number), identity: before };
            }
            // A watch that no path uses; one that another path uses must stay.
            if !self.paths.contains_key(&number) {
                let _ = inotify::remove_watch(inotify, number);
            }
        }
        without(Coverage::Polled(Unwatched::Refused))
    }

    /// Removes the watches of paths that lead elsewhere by now, because a directory or link on the way to them was
    /// replaced. They have to be added again.
    pub fn refresh(&mut self) {
        self.refresh_into(&mut Noticed::default());
    }

    fn refresh_into(&mut self, noticed: &mut Noticed) {
        let leads_elsewhere = |(path, watched): &(&PathBuf, &Watched)| {
            watched.number.is_some() && identity(path, watched.interest) != watched.identity
        };
        let others: Vec<PathBuf> =
            self.watched.iter().filter(leads_elsewhere).map(|(path, _)| path.clone()).collect();
        for path in others {
            self.forget(&path);
            noticed.at(path).entry = true;
        }
    }

    fn forget(&mut self, path: &Path) {
        let Some(watched) = self.watched.remove(path) else { return };
        let Some(number) = watched.number else { return };
        if watched.interest == Interest::File {
            self.files -= 1;
            self.dropped.insert(path.to_owned());
        }
        let Some(paths) = self.paths.get_mut(&number) else { return };
        paths.retain(|known| known != path);
        if paths.is_empty() {
            self.paths.remove(&number);
            if let Some(inotify) = &self.inotify {
                // The system may have removed it already.
                let _ = inotify::remove_watch(inotify, number);
            }
        }
    }

    /// Waits for changes, for a waker, or for a time. Changes that come in quick succession are reported together.
    ///
    /// # Errors
    /// The system refuses the call.
    pub fn wait(&mut self, limit: Option<Duration>) -> Result<WakeReason> {
        let end = limit.map(|limit| Instant::now() + limit);
        let mut noticed = Noticed::default();
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let ready = self.poll(left)?;
            if ready.waker {
                return Ok(WakeReason::ByWaker);
            }
            if ready.mounts {
                self.refresh_into(&mut noticed);
            }
            if ready.events || !noticed.paths.is_empty() {
                break;
            }
            // A signal, or a mount elsewhere, does not end the wait.
            if end.is_some_and(|end| Instant::now() >= end) {
                return Ok(WakeReason::Nothing);
            }
        }
        let begin = Instant::now();
        loop {
            self.read(&mut noticed)?;
            let ready = self.poll(Some(QUIET_PERIOD))?;
            if ready.waker {
                return Ok(WakeReason::ByWaker);
            }
            if ready.mounts {
                self.refresh_into(&mut noticed);
            }
            // Quiet for long enough, or long enough since the first event: a tool that writes without pause is not
            // waited for.
            if !ready.events || begin.elapsed() > MAX_BATCH_DELAY {
                return Ok(WakeReason::Changed(noticed));
            }
        }
    }

    /// Waits for a waker or for a time, whatever changes meanwhile; changes are reported by the next [`Watch::wait`].
    /// Returns whether it was a waker.
    ///
    /// # Errors
    /// The system refuses the call.
    pub fn pause(&self, time: Duration) -> Result<bool> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let ready = self.poll_some(Some(left), false)?;
            if ready.waker || left.is_zero() {
                return Ok(ready.waker);
            }
        }
    }

    fn poll(&self, limit: Option<Duration>) -> Result<ReadySources> {
        self.poll_some(limit, true)
    }

    /// Waits for the waker and, if `all`, for everything else.
    fn poll_some(&self, limit: Option<Duration>, all: bool) -> Result<ReadySources> {
        // Descriptors are polled in one call: the waker first, so that an interruption is never delayed by events.
        let limit = limit.map(|limit| Timespec {
            tv_sec: limit.as_secs() as i64,
            tv_nsec: i64::from(limit.subsec_nanos()) as _,
        });
        let mut fds = vec![PollFd::new(&*self.wake, PollFlags::IN)];
        let (inotify, mounts) = (self.inotify.as_ref().filter(|_| all), self.mounts.as_ref().filter(|_| all));
        fds.extend(inotify.map(|inotify| PollFd::new(inotify, PollFlags::IN)));
        fds.extend(mounts.map(|mounts| PollFd::new(mounts, PollFlags::PRI)));
        let directories = Path::new("directories");
        match fallible("wait for changes of", directories, || poll(&mut fds, limit.as_ref())) {
            Err(Errno::INTR) => return Ok(ReadySources::default()),
            other => other.map_err(error("wait for changes of", directories))?,
        };
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
        let waker = ready.next().unwrap_or_default();
        let events = inotify.is_some() && ready.next().unwrap_or_default();
        let mounts = mounts.is_some() && ready.next().unwrap_or_default();
        if waker {
            // Resets the counter, so that the next wait blocks again.
            let _ = read(&*self.wake, &mut [0; 8]);
        }
        Ok(ReadySources { events, waker, mounts })
    }

    /// Reads the events that are queued.
    fn read(&mut self, noticed: &mut Noticed) -> Result<()> {
        use inotify::ReadFlags as F;
        let Some(inotify) = &self.inotify else { return Ok(()) };
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut reader = inotify::Reader::new(inotify, &mut buffer);
        // Handled after all events were read: the maps must not change while `paths` borrows from them. `moved` are
        // paths that may no longer lead to the inode that is watched for them.
        let (mut moved, mut ended): (BTreeSet<PathBuf>, Vec<PathBuf>) = Default::default();
        loop {
            let directories = Path::new("directories");
            let event = match fallible("read changes of", directories, || reader.next()) {
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => continue,
                other => other.map_err(error("read changes of", directories))?,
            };
            // As if the queue had been full.
            if fault::point("keep", Path::new("events")).is_err() {
                noticed.lost = true;
                continue;
            }
            let flags = event.events();
            // IN_Q_OVERFLOW has no watch; IN_UNMOUNT ends watches of a whole file system.
            noticed.lost |= flags.intersects(F::QUEUE_OVERFLOW | F::UNMOUNT);
            let paths = self.paths.get(&event.wd()).into_iter().flatten();
            // The last event of a watch: its inode is gone, or has another watch by now.
            if flags.contains(F::IGNORED) {
                ended.extend(paths.cloned());
                self.paths.remove(&event.wd());
                continue;
            }
            let has_gone = flags.intersects(F::DELETE_SELF | F::MOVE_SELF);
            let is_entry = flags.intersects(F::CREATE | F::DELETE | F::MOVED_FROM | F::MOVED_TO);
            for path in paths {
                let path = match event.file_name() {
                    Some(name) => path.join(OsStr::from_bytes(name.to_bytes())),
                    None => path.clone(),
                };
                if (has_gone || is_entry) && self.watched.contains_key(&path) {
                    moved.insert(path.clone());
                }
                let how = noticed.at(path);
                how.entry |= is_entry || has_gone;
                how.came |= flags.intersects(F::CREATE | F::MOVED_TO);
                how.is_directory |= flags.contains(F::ISDIR);
                how.attributes |= flags.contains(F::ATTRIB);
            }
        }
        for path in ended {
            // The system has removed the watch (IN_IGNORED), and may give its number to another one.
            if let Some(watched) = self.watched.get_mut(&path) {
                if watched.number.take().is_some() && watched.interest == Interest::File {
                    self.files -= 1;
                }
                self.watched.remove(&path);
                self.dropped.insert(path.clone());
            }
            noticed.at(path).entry = true;
        }
        let is_file =
            |path: &PathBuf| self.watched.get(path).is_some_and(|watched| watched.interest == Interest::File);
        let (files, directories): (Vec<PathBuf>, Vec<PathBuf>) = moved.into_iter().partition(is_file);
        for path in files {
            let known = self.watched.get(&path).and_then(|watched| watched.identity);
            if identity(&path, Interest::File) != known {
                self.forget(&path);
            }
        }
        if noticed.lost || !directories.is_empty() {
            // Paths below a directory that moved lead elsewhere, too.
            self.refresh_into(noticed);
        }
        Ok(())
    }
}

/// Device and inode that a path leads to.
fn identity(path: &Path, interest: Interest) -> Option<(u64, u64)> {
    let found = if interest == Interest::File { lstat(path) } else { stat(path) }.ok()?;
    Some((found.st_dev, found.st_ino))
}

#[derive(Default)]
struct ReadySources {
    events: bool,
    waker: bool,
    mounts: bool,
}
