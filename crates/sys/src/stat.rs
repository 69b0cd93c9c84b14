//! The result of `stat`: the kind of a file, its identity, and the fields that change with it.

use std::time::{Duration, SystemTime};

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

/// The result of `stat`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// How many names (hard links) it has.
    pub links: u64,
    /// The number of the user it belongs to.
    pub owner: u32,
    /// The fields that a change alters.
    pub signature: StatSignature,
}

/// Device and inode number of a file or directory: no other file of this machine has the same while it exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
// Both numbers: an inode number is unique within one file system only. Inodes are used again, so this holds for what
// exists.
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Stat {
    /// From the result of the system call.
    #[allow(clippy::unnecessary_cast, reason = "the types differ between architectures")]
    pub(crate) fn of(stat: &rustix::fs::Stat) -> Stat {
        use rustix::fs::FileType;
        let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Stat {
            kind: match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => FileKind::File,
                FileType::Directory => FileKind::Directory,
                FileType::Symlink => FileKind::Symlink,
                _ => FileKind::Special,
            },
            links: stat.st_nlink as u64,
            owner: stat.st_uid,
            signature: StatSignature {
                size: stat.st_size as u64,
                mtime: nanos(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
                ctime: nanos(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
                device: stat.st_dev as u64,
                inode: stat.st_ino as u64,
                mode: stat.st_mode,
            },
        }
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.signature.size
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == FileKind::File
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == FileKind::Directory
    }

    /// Whether it is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.kind == FileKind::Symlink
    }

    /// Permission bits.
    pub fn mode(&self) -> u32 {
        self.signature.mode & 0o7777
    }

    /// Whether any user may execute it.
    pub fn is_executable(&self) -> bool {
        self.mode() & 0o111 != 0
    }

    /// Whether it belongs to the effective user of this process.
    pub fn is_own(&self) -> bool {
        // Asked for once: this process never changes its user.
        static USER: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
        self.owner == *USER.get_or_init(|| rustix::process::geteuid().as_raw())
    }

    /// When the content was changed last.
    pub fn modified(&self) -> SystemTime {
        let nanos = self.signature.mtime;
        let length = Duration::from_nanos(u64::try_from(nanos.unsigned_abs()).unwrap_or(u64::MAX));
        if nanos < 0 { SystemTime::UNIX_EPOCH - length } else { SystemTime::UNIX_EPOCH + length }
    }

    /// Device and inode number.
    pub fn identity(&self) -> Identity {
        Identity { device: self.signature.device, inode: self.signature.inode }
    }
}

/// Size, times, inode and mode of a file. Equal signatures are evidence of equal contents, unless the file's change
/// time falls into the clock tick in which the signature was taken ([`StatSignature::is_racy`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct StatSignature {
    /// Size in bytes.
    pub size: u64,
    /// Modification time, nanoseconds since the epoch.
    // 128 bits: seconds of `stat` times 10^9 do not fit into 64 for all dates that a file system can have.
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
    /// Appends its fields in the order of their declaration, little-endian, 60 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.size.to_le_bytes());
        out.extend(self.mtime.to_le_bytes());
        out.extend(self.ctime.to_le_bytes());
        out.extend(self.device.to_le_bytes());
        out.extend(self.inode.to_le_bytes());
        out.extend(self.mode.to_le_bytes());
    }

    /// Whether it is one of a directory.
    pub fn is_directory(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }

    /// Whether a change right after the signature was taken could have left it as it is: its change time is not older
    /// than `now`, a time of the file system's own clock (the change time of a file just touched).
    pub fn is_racy(&self, now: i128) -> bool {
        self.ctime >= now
    }
}
