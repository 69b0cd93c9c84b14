//! The hash by which the engine compares two versions of a task.
//!
//! The engine never computes one from bytes: rules do (with whatever hash function suits them), or
//! the engine takes the number of the build in which the task executed. So this crate needs no
//! hash function, and a rule may hand over a digest it has anyway.

use std::fmt;

/// 32 bytes that identify a task's result: results with the same hash are the same for dependents.
///
/// Shorter digests are padded with zeros ([`Hash::from_slice`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
// A fixed size, and 32 bytes since that is the longest digest in use here (SHA-256): versions lie side by side in
// arrays, in memory and in the file.
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Takes up to 32 bytes, padded with zeros at the end. `None` for more than 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Hash> {
        let mut all = [0; 32];
        all.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Hash(all))
    }

    /// A hash that no task ever has, for a version whose hash is not known, or no longer.
    pub(crate) fn lost(number: u32) -> Hash {
        // A text in place of a digest: a rule returns it by chance as rarely as any collision happens.
        let mut all = *b"taut: the hash of a lost trace..";
        all[28..].copy_from_slice(&number.to_le_bytes());
        Hash(all)
    }

    /// The hash of a result that has none of its own: the build in which it was made.
    pub(crate) fn of_build(build: u64) -> Hash {
        // The text leaves room for the number at its end. An engine with a file counts its builds from a start that
        // no other process has (`nonce`), so results of two processes are not equal by chance.
        let mut all = *b"taut: made in build number......";
        all[24..].copy_from_slice(&build.to_le_bytes());
        Hash(all)
    }
}

impl From<[u8; 32]> for Hash {
    fn from(bytes: [u8; 32]) -> Hash {
        Hash(bytes)
    }
}

impl From<u64> for Hash {
    /// For small values that are their own hash (a flag, a size, a count).
    fn from(small: u64) -> Hash {
        let mut all = [0; 32];
        all[..8].copy_from_slice(&small.to_le_bytes());
        Hash(all)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
