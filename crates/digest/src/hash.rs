//! A content hash of either length taut knows, as plain copyable data.

use std::fmt;

/// A content hash: 20 bytes (SHA-1, git) or 32 bytes (SHA-256).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// The text has another length, or a character that is no hexadecimal digit.
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

    /// The raw bytes: 20 or 32 of them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len as usize]
    }

    /// Lower-case hexadecimal text.
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

impl fmt::Display for ParseHashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a hash has 40 or 64 hexadecimal digits")
    }
}

impl std::error::Error for ParseHashError {}
