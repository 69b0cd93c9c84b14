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
        Lock::take(path, FlockOperation::LockShared)
    }

    /// Waits for a lock that nobody shares; creates the file if need be.
    pub fn exclusive(path: &Path) -> Result<Lock> {
        Lock::take(path, FlockOperation::LockExclusive)
    }

    /// Lets others share the lock from now on. Between the two states nobody may hold it at all.
    pub fn downgrade(&self) -> Result<()> {
        self.operate(FlockOperation::LockShared)
    }

    fn take(path: &Path, operation: FlockOperation) -> Result<Lock> {
        let file = fs::open_lock_file(path)?;
        let lock = Lock { file, path: path.to_owned() };
        lock.operate(operation)?;
        Ok(lock)
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
