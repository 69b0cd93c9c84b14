//! Advisory locks on files, released when dropped or when the process ends, however it ends.

use std::{
    fs::File,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use crate::{Error, Result, fs};

/// A held lock.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Waits for a lock that others may share; creates the file if need be.
    pub fn shared(path: &Path) -> Result<Lock> {
        let lock = Lock::unheld(path)?;
        lock.operate(FlockOperation::LockShared)?;
        Ok(lock)
    }

    /// A lock that nobody shares; creates the file if need be. Calls `busy` before it waits, if it has to.
    pub fn exclusive(path: &Path, busy: impl FnOnce()) -> Result<Lock> {
        let lock = Lock::unheld(path)?;
        match lock.operate(FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(lock),
            Err(error) if error.source.kind() == std::io::ErrorKind::WouldBlock => busy(),
            Err(error) => return Err(error),
        }
        lock.operate(FlockOperation::LockExclusive)?;
        Ok(lock)
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

    fn unheld(path: &Path) -> Result<Lock> {
        Ok(Lock { file: fs::open_lock_file(path)?, path: path.to_owned() })
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
