//! Descriptors for processes that are started: their directory, and files for what they print.
//!
//! Files for output have no name and never get one, so there is nothing that a process could replace by a link
//! before it is read back. Making such a file costs more than all the rest of starting a process, so it serves
//! many, each of which gets a description of its own.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::{Error, Result, fault};

/// Opens a directory. A link in its place is an error.
pub fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = fault::check().and_then(|()| Ok(rustix::fs::open(path, flags, Mode::empty())?));
    opened.map_err(|error| Error::new("open directory", path, error))
}

/// What processes print, one after the other.
#[derive(Debug)]
pub struct Output {
    directory: PathBuf,
    /// Empty, unless a process has it.
    file: Option<File>,
}

const MODE: u32 = 0o600;

impl Output {
    /// Files will be on the file system of this directory.
    pub fn new(directory: &Path) -> Output {
        Output { directory: directory.to_owned(), file: None }
    }

    /// An empty file, open for writing.
    pub fn writer(&mut self) -> Result<OwnedFd> {
        let mut open = || {
            let file = match self.file.take() {
                Some(file) => file,
                None => nameless_file(&self.directory)?,
            };
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            let writer = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
            self.file = Some(file);
            Ok(writer)
        };
        fault::check().and_then(|()| open()).map_err(|error| self.error("create file in", error))
    }

    /// What was written to it, by processes that have ended.
    pub fn take(&mut self) -> Result<Vec<u8>> {
        let mut take = || {
            let Some(mut file) = self.file.take() else { return Ok(Vec::new()) };
            let metadata = file.metadata()?;
            let mut content = Vec::with_capacity(metadata.len() as usize);
            if metadata.len() > 0 {
                file.rewind()?;
                file.read_to_end(&mut content)?;
                file.set_len(0)?;
            }
            // The next one is to find what this one found.
            if metadata.mode() & 0o7777 == MODE {
                self.file = Some(file);
            }
            Ok(content)
        };
        fault::check().and_then(|()| take()).map_err(|error| self.error("read output in", error))
    }

    fn error(&self, what: &'static str, error: io::Error) -> Error {
        Error::new(what, &self.directory, error)
    }
}

/// An empty file that cannot be given a name.
fn nameless_file(directory: &Path) -> io::Result<File> {
    let mode = Mode::from_bits_truncate(MODE);
    let flags = OFlags::RDWR | OFlags::EXCL | OFlags::CLOEXEC;
    match rustix::fs::open(directory, flags | OFlags::TMPFILE, mode) {
        Ok(file) => return Ok(file.into()),
        // The file system has no such files.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR | rustix::io::Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    let flags_of_directory = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(directory, flags_of_directory, Mode::empty())?;
    let name = format!(".nameless-{}-{:?}", std::process::id(), std::thread::current().id());
    let file = rustix::fs::openat(&directory, &name, flags | OFlags::CREATE | OFlags::NOFOLLOW, mode)?;
    rustix::fs::unlinkat(&directory, &name, AtFlags::empty())?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn each_process_finds_an_empty_file() {
        let directory = tempfile::tempdir().unwrap();
        let mut output = Output::new(directory.path());
        assert_eq!(output.take().unwrap(), b"");
        for text in ["a", "", "longer than before", "b"] {
            let mut writer = File::from(output.writer().unwrap());
            assert_eq!(writer.metadata().unwrap().len(), 0);
            assert_eq!(writer.metadata().unwrap().mode() & 0o7777, MODE);
            writer.write_all(text.as_bytes()).unwrap();
            if text.is_empty() {
                let changed = std::os::unix::fs::PermissionsExt::from_mode(0o444);
                File::set_permissions(&writer, changed).unwrap();
            }
            assert_eq!(output.take().unwrap(), text.as_bytes());
        }
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn what_a_process_prints_to_cannot_be_given_a_name() {
        let directory = tempfile::tempdir().unwrap();
        let mut output = Output::new(directory.path());
        let writer = output.writer().unwrap();
        let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
        let name = directory.path().join("name");
        let linked =
            rustix::fs::linkat(rustix::fs::CWD, path, rustix::fs::CWD, name, AtFlags::SYMLINK_FOLLOW);
        assert_eq!(linked, Err(rustix::io::Errno::NOENT));
    }
}
