//! Advisory locks on files (`flock(2)`), released when dropped or when the process ends, however it ends.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
};

use rustix::fs::{FlockOperation, flock};

use crate::{At, Error, Result, dir::call, fault, if_exists, stat::Stat};

/// A held lock.
#[derive(Debug)]
pub struct Lock {
    file: OwnedFd,
    path: PathBuf,
}

impl Lock {
    /// Waits for a shared lock; creates the file if need be.
    ///
    /// # Errors
    /// The file cannot be opened, or the file system has no locks.
    pub fn shared(place: At<'_>) -> Result<Lock> {
        let lock = Lock::open_unlocked(place)?;
        lock.operate(FlockOperation::LockShared)?;
        Ok(lock)
    }

    /// An exclusive lock; creates the file if need be. Calls `busy` before it waits, if it has to.
    ///
    /// # Errors
    /// As for [`Lock::shared`].
    pub fn exclusive(place: At<'_>, busy: impl FnOnce()) -> Result<Lock> {
        let lock = Lock::open_unlocked(place)?;
        // First without waiting, so that a message about waiting appears only where it is true.
        match lock.operate(FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(lock),
            Err(error) if error.source.kind() == std::io::ErrorKind::WouldBlock => busy(),
            Err(error) => return Err(error),
        }
        lock.operate(FlockOperation::LockExclusive)?;
        Ok(lock)
    }

    /// An exclusive lock, if it can be had without waiting; creates the file if need be.
    ///
    /// # Errors
    /// As for [`Lock::shared`].
    pub fn try_exclusive(place: At<'_>) -> Result<Option<Lock>> {
        let lock = Lock::open_unlocked(place)?;
        match lock.operate(FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(lock)),
            Err(error) if error.source.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the file at a place is the one that is locked. Another process may have removed or replaced it between
    /// its opening and the lock; then the lock excludes nothing.
    ///
    /// # Errors
    /// The place cannot be looked at.
    pub fn is_of(&self, place: At<'_>) -> Result<bool> {
        let stat = rustix::fs::fstat(&self.file).map_err(|errno| Error::new("stat", &self.path, errno))?;
        let there = if_exists(place.lstat())?;
        Ok(there.is_some_and(|there| there.identity() == Stat::of(&stat).identity()))
    }

    /// Turns the lock into a shared one. The kernel releases it first, so another process may get the exclusive lock in
    /// between.
    ///
    /// # Errors
    /// As for [`Lock::shared`].
    pub fn downgrade(&self) -> Result<()> {
        self.operate(FlockOperation::LockShared)
    }

    /// Releases the lock, to be taken again later.
    ///
    /// # Errors
    /// As for [`Lock::shared`].
    pub fn release(&self) -> Result<()> {
        self.operate(FlockOperation::Unlock)
    }

    /// Waits for the shared lock again.
    ///
    /// # Errors
    /// As for [`Lock::shared`].
    pub fn acquire_shared(&self) -> Result<()> {
        self.operate(FlockOperation::LockShared)
    }

    /// Leaves the file open, and locked, in a program that this process becomes.
    ///
    /// # Errors
    /// The system refuses the call.
    pub fn keep_over_exec(&self) -> Result<()> {
        // Without close-on-exec: the lock belongs to the open file, and lasts until the last descriptor of it is
        // closed.
        let keep = || rustix::io::fcntl_setfd(&self.file, rustix::io::FdFlags::empty());
        call("keep open", || self.path.clone(), keep)
    }

    fn open_unlocked(place: At<'_>) -> Result<Lock> {
        // `flock` needs no right to write: with read access to another user's build root, its lock can be shared.
        let file = match place.open_or_create() {
            Err(error) if error.is_denied() => place.open().map_err(|_| error),
            other => other,
        }?;
        Ok(Lock { file: file.into_std().into(), path: place.path() })
    }

    fn operate(&self, operation: FlockOperation) -> Result<()> {
        loop {
            match fault::point("lock", &self.path).and_then(|()| Ok(flock(self.file.as_fd(), operation)?)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map_err(|error| Error::new("lock", &self.path, error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dir;

    #[test]
    fn a_lock_is_of_its_file_until_that_is_removed_or_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let top = Dir::of_user(directory.path()).unwrap();
        let lock = Lock::exclusive(top.at("note"), || {}).unwrap();
        assert!(lock.is_of(top.at("note")).unwrap());
        assert!(Lock::try_exclusive(top.at("note")).unwrap().is_none());
        top.at("note").remove_file().unwrap();
        assert!(!lock.is_of(top.at("note")).unwrap());
        let other = Lock::try_exclusive(top.at("note")).unwrap().expect("another file is not locked");
        assert!(other.is_of(top.at("note")).unwrap());
        assert!(!lock.is_of(top.at("note")).unwrap());
    }
}
