//! The engine's access to its file of traces: by name below a directory that is held open. So no rename and no link
//! redirects it meanwhile (docs/security.md).
//!
//! An append is not synced, since a journal that was cut short costs only time; a replacement is, before its rename.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use taut_engine::{TraceFile, TraceRead, TraceWrite};
use taut_store::EpochDir;
use taut_sys::{At, Dir, Lock};

/// A file of traces, in a directory that is open.
#[derive(Clone, Debug)]
pub(crate) struct StoredTraces {
    directory: Arc<EpochDir>,
    /// Whether it lies in the older generation, and is only read.
    is_older: bool,
    name: String,
}

impl StoredTraces {
    pub(crate) fn new(directory: Arc<EpochDir>, name: String) -> StoredTraces {
        StoredTraces { directory, is_older: false, name }
    }

    /// One of the older generation, to be read.
    pub(crate) fn older(directory: Arc<EpochDir>, name: String) -> StoredTraces {
        StoredTraces { is_older: true, ..StoredTraces::new(directory, name) }
    }

    pub(crate) fn dir(&self) -> &Dir {
        let older = self.directory.older().filter(|_| self.is_older);
        older.unwrap_or(self.directory.dir())
    }

    /// Identifies the generation of the store.
    pub(crate) fn generation(&self) -> &[u8] {
        self.directory.generation().as_encoded_bytes()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn file(&self) -> At<'_> {
        self.dir().at(&self.name)
    }
}

/// An error as one of the kinds that the engine distinguishes.
fn as_io(error: taut_sys::Error) -> io::Error {
    let kind = match () {
        () if error.is_absent() => io::ErrorKind::NotFound,
        // Something else than a file under the name: the engine treats it as damaged, and replaces it.
        () if error.is_other_kind() => io::ErrorKind::InvalidData,
        () => error.source.kind(),
    };
    io::Error::new(kind, error.to_string())
}

impl TraceFile for StoredTraces {
    fn open(&self) -> io::Result<Box<dyn TraceRead>> {
        Ok(Box::new(self.file().open().map_err(as_io)?.into_std()))
    }

    fn lock(&self) -> io::Result<Box<dyn TraceWrite + '_>> {
        // A file of its own: the file of traces is replaced by rename, and a lock on the replaced inode excludes
        // nothing.
        let name = format!("{}.lock", self.name);
        let lock = Lock::exclusive(self.dir().at(&name), || {}).map_err(as_io)?;
        Ok(Box::new(Locked { file: self, _lock: lock }))
    }
}

struct Locked<'f> {
    file: &'f StoredTraces,
    _lock: Lock,
}

impl TraceWrite for Locked<'_> {
    fn append(&mut self, end: u64, bytes: &[u8]) -> io::Result<()> {
        let opened = self.file.file().open_for_update().map_err(as_io)?;
        let has_other_names = opened.stat().map_err(as_io)?.links > 1;
        let mut file = opened.into_std();
        if has_other_names {
            // Another name of the inode, as in a copy of the build root by links, must keep its content: no append in
            // place.
            return self.replace(&mut |new| {
                file.rewind()?;
                io::copy(&mut (&mut file).take(end), new)?;
                new.write_all(bytes)
            });
        }
        // What follows `end` is an append that was cut short.
        file.set_len(end)?;
        file.seek(SeekFrom::End(0))?;
        file.write_all(bytes)
    }

    fn replace(&mut self, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        // One name is enough: the lock keeps all other writers away.
        let name = format!("{}.new", self.file.name);
        let temporary = self.file.dir().at(&name);
        // A process that was killed may have left one.
        temporary.remove_all().map_err(as_io)?;
        let mut file: File = temporary.create_new(0o644).map_err(as_io)?.into_std();
        let mut put = || {
            write(&mut file)?;
            // Before the rename: after a crash of the system, the name could exist without the content.
            file.sync_all()?;
            temporary.rename(self.file.file()).map_err(as_io)
        };
        put().inspect_err(|_| {
            // The first error is the one to report.
            let _ = temporary.remove_file();
        })
    }
}
