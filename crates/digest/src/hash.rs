//! A content hash of either length taut knows, as plain copyable data.

use std::fmt;

/// In ASCII `b` and `t`.
const BLOB_TAG: u8 = 0x62;
const TREE_TAG: u8 = 0x74;

/// A content hash: 20 bytes (SHA-1, git) or 32 bytes (SHA-256). As a name in the native protocol of justbuild, it has
/// 21 bytes: one for the kind of the object in front of git's ([`Hash::tagged`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
// Plain bytes with a length, not an enum: comparing and hashing have no branch, and unused bytes are zero, so equal
// hashes are equal in all of them.
pub struct Hash {
    bytes: [u8; 32],
    len: u8,
}

impl Hash {
    /// A 20-byte hash.
    pub const fn sha1(bytes: [u8; 20]) -> Self {
        let mut all = [0; 32];
        let mut i = 0;
        while i < 20 {
            all[i] = bytes[i];
            i += 1;
        }
        Hash { bytes: all, len: 20 }
    }

    /// A 32-byte hash.
    pub const fn sha256(bytes: [u8; 32]) -> Self {
        Hash { bytes, len: 32 }
    }

    /// The name of a git object in the native protocol, which says whether it is a tree.
    pub fn tagged(self, is_tree: bool) -> Self {
        let mut bytes = [0; 32];
        bytes[0] = if is_tree { TREE_TAG } else { BLOB_TAG };
        bytes[1..21].copy_from_slice(&self.bytes[..20]);
        Hash { bytes, len: 21 }
    }

    /// The git object that a name in the native protocol is about, and whether it is a tree; `None` for other hashes.
    pub fn untagged(&self) -> Option<(Hash, bool)> {
        let (tag, id) = self.as_bytes().split_first().filter(|_| self.len == 21)?;
        Some((Hash::from_bytes(id)?, *tag == TREE_TAG))
    }

    /// A name in a protocol, by its digits: 64 of them, or 42 in the native one.
    pub fn from_protocol_hex(hex: &str) -> Option<Self> {
        if hex.len() != 42 {
            return Hash::from_hex(hex).ok().filter(|hash| hash.len == 32);
        }
        let tag = u8::from_str_radix(hex.get(..2)?, 16).ok()?;
        let id = Hash::from_hex(hex.get(2..)?).ok()?;
        matches!(tag, BLOB_TAG | TREE_TAG).then(|| id.tagged(tag == TREE_TAG))
    }

    /// A hash from raw bytes; `None` unless there are 20 or 32 of them.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes.len() {
            20 => Some(Hash::sha1(bytes.try_into().ok()?)),
            32 => Some(Hash::sha256(bytes.try_into().ok()?)),
            _ => None,
        }
    }

    /// A hash from 40 or 64 hexadecimal digits, of either case.
    ///
    /// # Errors
    /// The text has another length, or a character that is not a hexadecimal digit.
    pub fn from_hex(hex: &str) -> Result<Self, ParseHashError> {
        let digits = hex.as_bytes();
        if digits.len() != 40 && digits.len() != 64 {
            return Err(ParseHashError);
        }
        let mut bytes = [0; 32];
        for (i, pair) in digits.chunks_exact(2).enumerate() {
            bytes[i] = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Hash { bytes, len: (digits.len() / 2) as u8 })
    }

    /// The raw bytes: 20, 21 or 32 of them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len as usize]
    }

    /// Lower-case hexadecimal text.
    // By hand, since it is called for each entry of each message.
    pub fn to_hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut out = String::with_capacity(2 * self.len as usize);
        for byte in self.as_bytes() {
            out.push(DIGITS[(byte >> 4) as usize] as char);
            out.push(DIGITS[(byte & 15) as usize] as char);
        }
        out
    }
}

fn nibble(digit: u8) -> Result<u8, ParseHashError> {
    (digit as char).to_digit(16).map(|d| d as u8).ok_or(ParseHashError)
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

/// The text is not 40 or 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParseHashError;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HashFunction;

    #[test]
    fn a_name_in_the_native_protocol_says_what_it_is_about() {
        let id = HashFunction::GitSha1.tree(b"");
        let hex = id.tagged(true).to_hex();
        assert_eq!(hex, "744b825dc642cb6eb9a060e54bf8d69288fbee4904");
        assert_eq!(Hash::from_protocol_hex(&hex).and_then(|name| name.untagged()), Some((id, true)));
        assert_eq!(id.tagged(false).untagged(), Some((id, false)));
        assert_eq!(id.untagged(), None);
        for bad in ["", &hex[2..], &format!("63{}", &hex[2..]), "+4", &format!("+{}", &hex[1..])] {
            assert_eq!(Hash::from_protocol_hex(bad), None, "{bad}");
        }
    }
}
