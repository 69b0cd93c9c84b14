//! What `lstat` tells of a file, as evidence that it is unchanged.

use std::{fs::Metadata, os::unix::fs::MetadataExt};

/// Kind of a directory entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A fifo, socket or device.
    Special,
}

impl From<std::fs::FileType> for FileKind {
    fn from(file_type: std::fs::FileType) -> Self {
        if file_type.is_file() {
            FileKind::File
        } else if file_type.is_dir() {
            FileKind::Directory
        } else if file_type.is_symlink() {
            FileKind::Symlink
        } else {
            FileKind::Special
        }
    }
}

/// Size, times, inode and mode of a file. Equal signatures are evidence of equal contents, unless the
/// file's change time falls into the clock tick in which the signature was taken ([`StatSignature::is_racy`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct StatSignature {
    /// Size in bytes.
    pub size: u64,
    /// Modification time, nanoseconds since the epoch.
    pub mtime: i128,
    /// Change time, nanoseconds since the epoch. No user call sets it.
    pub ctime: i128,
    /// Device and inode number.
    pub device: u64,
    /// See `device`.
    pub inode: u64,
    /// Type and permission bits.
    pub mode: u32,
}

impl StatSignature {
    /// The signature that `metadata` holds.
    pub fn of(metadata: &Metadata) -> StatSignature {
        let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        StatSignature {
            size: metadata.size(),
            mtime: nanos(metadata.mtime(), metadata.mtime_nsec()),
            ctime: nanos(metadata.ctime(), metadata.ctime_nsec()),
            device: metadata.dev(),
            inode: metadata.ino(),
            mode: metadata.mode(),
        }
    }

    /// Whether it is one of a directory.
    pub fn is_directory(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }

    /// Whether a change right after the signature was taken could have left it as it is: its change time
    /// is not older than `now`, the file system's own clock (the change time of a file just touched).
    pub fn is_racy(&self, now: i128) -> bool {
        self.ctime >= now
    }
}
