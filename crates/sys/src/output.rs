//! Files that receive what processes print.
//!
//! They never have a name that a process could replace by a link before it is read back. To create
//! such a file costs more than all the rest of starting a process, so one serves many processes in turn, each of which
//! gets an open file description of its own.

use std::{
    fs,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use rustix::{
    fs::{Mode, OFlags, openat},
    io::Errno,
};

use crate::{Dir, File, Result, dir::call, fault};

/// A file for the output of one process at a time.
#[derive(Debug)]
pub struct Output {
    directory: Dir,
    /// Empty, unless a process is writing to it.
    file: Option<fs::File>,
}

// Not readable by other users: what actions print may be secret.
const MODE: u32 = 0o600;

impl Output {
    /// Files will be on the file system of this directory.
    pub fn new(directory: Dir) -> Output {
        Output { directory, file: None }
    }

    fn shown(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// An empty file, open for writing.
    ///
    /// # Errors
    /// There is no room for one.
    #[allow(clippy::disallowed_methods, reason = "the entry below /proc leads to the very file that is open")]
    pub fn writer(&mut self) -> Result<OwnedFd> {
        let file = match self.file.take() {
            Some(file) => file,
            None => call("create a file in", || self.shown(), || nameless_file(&self.directory))?.into(),
        };
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let open = || rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
        // Opened anew rather than duplicated: a duplicate would share the offset with earlier processes.
        let writer = call("open a file in", || self.shown(), open)?;
        self.file = Some(file);
        Ok(writer)
    }

    /// Reads what was written by processes that have ended; `None` if that is nothing. The file is empty afterwards.
    ///
    /// # Errors
    /// Those of `read`, or the system refuses the call.
    pub fn take<T, E: From<crate::Error>>(
        &mut self,
        read: impl FnOnce(File<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<Option<T>, E> {
        let Some(file) = self.file.take() else { return Ok(None) };
        let error = |source| crate::Error { op: "read output in", path: self.shown(), source };
        let metadata = fault::point("read output in", self.directory.path()).and_then(|()| file.metadata());
        let metadata = metadata.map_err(error)?;
        let mut content = None;
        if metadata.len() > 0 {
            let mut readable = File::new(file.try_clone().map_err(error)?, self.directory.itself());
            readable.rewind()?;
            content = Some(read(readable)?);
            // All writers have ended, or this function would not have been called: nothing is written behind the new
            // end.
            file.set_len(0).map_err(error)?;
        }
        // A process that changed the mode of its standard output must not affect the next one: such a file is dropped.
        if metadata.mode() & 0o7777 == MODE {
            self.file = Some(file);
        }
        Ok(content)
    }
}

/// An empty file without a name that cannot be given one: `O_EXCL` with `O_TMPFILE` forbids `linkat(2)`.
fn nameless_file(directory: &Dir) -> rustix::io::Result<OwnedFd> {
    let mode = Mode::from_bits_truncate(MODE);
    let flags = OFlags::RDWR | OFlags::EXCL | OFlags::CLOEXEC;
    match openat(directory.as_fd(), ".", flags | OFlags::TMPFILE, mode) {
        // The file system does not support such files, or the kernel takes the flag for `O_DIRECTORY` (open(2),
        // ERRORS).
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {}
        other => return other,
    }
    // Relaxed: only that each name is another one matters.
    static OPENED: AtomicU64 = AtomicU64::new(0);
    let name = format!(".nameless-{}-{}", std::process::id(), OPENED.fetch_add(1, Relaxed));
    let file = openat(directory.as_fd(), &name, flags | OFlags::CREATE | OFlags::NOFOLLOW, mode)?;
    rustix::fs::unlinkat(directory.as_fd(), &name, rustix::fs::AtFlags::empty())?;
    Ok(file)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use std::io::Write;

    use super::*;

    fn taken(output: &mut Output) -> Option<Vec<u8>> {
        output.take(|mut file| file.read_all()).unwrap()
    }

    #[test]
    fn each_process_finds_an_empty_file() {
        let directory = tempfile::tempdir().unwrap();
        let mut output = Output::new(Dir::of_user(directory.path()).unwrap());
        assert_eq!(taken(&mut output), None);
        for text in ["a", "", "longer than before", "b"] {
            let mut writer = fs::File::from(output.writer().unwrap());
            assert_eq!(writer.metadata().unwrap().len(), 0);
            assert_eq!(writer.metadata().unwrap().mode() & 0o7777, MODE);
            writer.write_all(text.as_bytes()).unwrap();
            if text.is_empty() {
                let changed = std::os::unix::fs::PermissionsExt::from_mode(0o444);
                writer.set_permissions(changed).unwrap();
            }
            assert_eq!(taken(&mut output).unwrap_or_default(), text.as_bytes());
        }
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn an_output_file_cannot_be_given_a_name() {
        let directory = tempfile::tempdir().unwrap();
        let mut output = Output::new(Dir::of_user(directory.path()).unwrap());
        let writer = output.writer().unwrap();
        let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
        let (here, name) = (rustix::fs::CWD, directory.path().join("name"));
        let linked = rustix::fs::linkat(here, path, here, name, rustix::fs::AtFlags::SYMLINK_FOLLOW);
        assert_eq!(linked, Err(Errno::NOENT));
    }
}
