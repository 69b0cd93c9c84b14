//! Advisory locks on files, released when dropped or when the process ends, however it ends.

use std::{
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
};

use rustix::fs::{FlockOperation, flock};

use crate::{At, Error, Result};

/// A held lock.
#[derive(Debug)]
pub struct Lock {
    file: OwnedFd,
    path: PathBuf,
}

impl Lock {
    /// Waits for a lock that others may share; creates the file if need be.
    pub fn shared(place: At<'_>) -> Result<Lock> {
        let lock = Lock::unheld(place)?;
        lock.operate(FlockOperation::LockShared)?;
        Ok(lock)
    }

    /// A lock that nobody shares; creates the file if need be. Calls `busy` before it waits, if it has to.
    pub fn exclusive(place: At<'_>, busy: impl FnOnce()) -> Result<Lock> {
        let lock = Lock::unheld(place)?;
        match lock.operate(FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(lock),
            Err(error) if error.source.kind() == std::io::ErrorKind::WouldBlock => busy(),
            Err(error) => return Err(error),
        }
        lock.operate(FlockOperation::LockExclusive)?;
        Ok(lock)
    }

    /// An exclusive lock, if that can be had without waiting; creates the file if need be.
    pub fn try_exclusive(place: At<'_>) -> Result<Option<Lock>> {
        let lock = Lock::unheld(place)?;
        match lock.operate(FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(lock)),
            Err(error) if error.source.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets others share the lock from now on. Between the two states nobody may hold it at all.
    pub fn downgrade(&self) -> Result<()> {
        self.operate(FlockOperation::LockShared)
    }

    /// Gives the lock up, to be shared again later.
    pub fn give_up(&self) -> Result<()> {
        self.operate(FlockOperation::Unlock)
    }

    /// Waits for the lock again, as others may share it.
    pub fn share_again(&self) -> Result<()> {
        self.operate(FlockOperation::LockShared)
    }

    fn unheld(place: At<'_>) -> Result<Lock> {
        // A user who may only read the build root of another can still share the lock.
        let file = match place.open_or_create() {
            Err(error) if error.is_denied() => place.open().map_err(|_| error),
            other => other,
        }?;
        Ok(Lock { file: file.into_std().into(), path: place.path() })
    }

    fn operate(&self, operation: FlockOperation) -> Result<()> {
        loop {
            match flock(self.file.as_fd(), operation) {
                Err(rustix::io::Errno::INTR) => {}
                other => return other.map_err(|errno| Error::new("lock", &self.path, errno)),
            }
        }
    }
}
