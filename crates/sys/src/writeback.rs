//! Making the kernel date writes through mappings.
//!
//! A page that is written to through a mapping dates its file when it becomes dirty, and not again before it has been
//! written back: until then, further writes through the mapping leave no trace in the file's times. Starting the
//! write-back cleans the pages, so the next write faults, and dates the file. Databases, linkers, numpy and download
//! tools write in this way. Source: `Documentation/filesystems/vfs.rst` of Linux (`page_mkwrite`), sync_file_range(2).
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd};

/// Starts writing dirty pages of a file back, without waiting for the disk. If that fails, only this protection is
/// lost.
pub(crate) fn start(file: impl AsFd) {
    // SAFETY: no memory is involved; the descriptor is open for the duration of the call.
    let _ = unsafe { libc::sync_file_range(file.as_fd().as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
}
