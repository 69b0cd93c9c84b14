//! Numbers of files of traces. A process that has read a part of a file knows by its number whether what lies at the
//! same name later is the same file, with more behind what was read: names and inodes are used again.

use super::snapshot::{HEADER_SIZE, Header};
use crate::graph::core::nonce;

/// From the clock, the process and a counter: not secret, only unlike the number of every other file.
pub(super) fn new_number() -> [u8; 16] {
    // Two calls, since one has 64 bits. Rotated, so that the counter is in other bits of the second half.
    let halves = [nonce(), nonce().rotate_left(32)];
    std::array::from_fn(|at| halves[at / 8].to_le_bytes()[at % 8])
}

/// Makes the bytes of a file of traces those of another file with the same content, as a copy needs it: what is
/// appended to the two differs. Returns whether it is such a file, as far as its header says.
pub fn renumber(bytes: &mut [u8]) -> bool {
    let Some(head) = bytes.first_chunk_mut::<HEADER_SIZE>() else { return false };
    let Some(header) = Header::decode(head) else { return false };
    *head = Header { number: new_number(), ..header }.encode();
    true
}
