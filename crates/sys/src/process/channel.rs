//! Bytes and descriptors over a socket between processes of one call (`SCM_RIGHTS`, unix(7)).
//!
//! The files of an action (its directory, its outputs) are passed as open descriptors, never as paths: between the
//! check of a path and its use, an earlier action could have replaced it by a link.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// At most this many descriptors go with one message.
// Those of `Streams`; the space for them is on the stack.
pub(super) const MAX_DESCRIPTORS: usize = 3;

/// Sends all the bytes; the descriptors are attached to the first of them.
/// The system attaches descriptors to the first byte of a `sendmsg`, and delivers them with it. So a partial write must
/// not send them again.
pub(super) fn send(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut sent = 0;
    while sent < bytes.len() {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if sent == 0 && !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        // `NOSIGNAL`: a closed socket is an error here, not a SIGPIPE.
        match sendmsg(socket.as_fd(), &[IoSlice::new(&bytes[sent..])], &mut control, SendFlags::NOSIGNAL) {
            Ok(n) => sent += n,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Waits for bytes, and takes the descriptors that come with them. Returns 0 if the other end is closed.
pub(super) fn receive(
    socket: impl AsFd,
    buffer: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(buffer)];
        // `CMSG_CLOEXEC`: no process that is started at the same moment inherits the descriptors.
        match recvmsg(socket.as_fd(), &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(message) => {
                for received in control.drain() {
                    if let RecvAncillaryMessage::ScmRights(received) = received {
                        descriptors.extend(received);
                    }
                }
                return Ok(message.bytes);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
