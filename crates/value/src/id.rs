//! Intensional identity: the Merkle hash of a definition.

use std::fmt;

use sha2::{Digest as _, Sha256, block_api::compress256};

/// The SHA-256 hash of a definition. Equal ids mean equal definitions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; 32]);

impl Id {
    /// The id of a plain text.
    pub fn of(bytes: impl AsRef<[u8]>) -> Id {
        let bytes = bytes.as_ref();
        if bytes.len() <= MAX_SHORT_BYTES { short(bytes) } else { Id(Sha256::digest(bytes).into()) }
    }

    /// The id of a text as a JSON string literal.
    pub(crate) fn of_json_string(text: &str) -> Id {
        // Most texts are short and need no escapes: then the literal is composed in a buffer on the stack.
        // Filled with quotation marks, so the two at the ends are in place.
        let mut literal = [b'"'; 120];
        let plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
        if text.len() + 2 <= literal.len() && text.as_bytes().iter().all(plain) {
            literal[1..=text.len()].copy_from_slice(text.as_bytes());
            return Id::of(&literal[..text.len() + 2]);
        }
        let mut literal = String::with_capacity(text.len() + 16);
        crate::escape_into(text, &mut literal);
        Id::of(literal)
    }

    /// Lower-case hexadecimal text, the form in which users see ids.
    pub fn to_hex(&self) -> String {
        taut_digest::Hash::sha256(self.0).to_hex()
    }

    /// Reads the form of [`Id::to_hex`].
    pub fn from_hex(hex: &str) -> Option<Id> {
        let hash = taut_digest::Hash::from_hex(hex).ok()?;
        Some(Id(hash.as_bytes().try_into().ok()?))
    }
}

/// The longest message that fits into two blocks, with the terminating bit and its length.
const MAX_SHORT_BYTES: usize = 128 - 9;

/// SHA-256 of a short message. Most messages here are short, and the general interface, made for messages in pieces,
/// costs more than their one or two blocks.
fn short(message: &[u8]) -> Id {
    // The initial hash value of SHA-256 (FIPS 180-4, section 5.3.3).
    let mut state = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];
    let mut blocks = [[0; 64]; 2];
    // Nine bytes of the last block are taken: the terminating bit and the length.
    let count = if message.len() <= 64 - 9 { 1 } else { 2 };
    let padded = blocks.as_flattened_mut();
    padded[..message.len()].copy_from_slice(message);
    // Padding as in FIPS 180-4, section 5.1.1: a single bit, zeros, and the number of bits as the last eight bytes.
    padded[message.len()] = 0x80;
    padded[64 * count - 8..64 * count].copy_from_slice(&(8 * message.len() as u64).to_be_bytes());
    compress256(&mut state, &blocks[..count]);
    let mut hash = [0; 32];
    for (bytes, word) in hash.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    Id(hash)
}

impl AsRef<[u8]> for Id {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_messages_are_hashed_alike() {
        for length in 0..=MAX_SHORT_BYTES {
            let message: Vec<u8> = (0..length).map(|at| at as u8).collect();
            assert_eq!(short(&message), Id(Sha256::digest(&message).into()), "{length} bytes");
        }
    }

    #[test]
    fn texts_are_hashed_as_json_literals() {
        let long = "x".repeat(200);
        for text in ["", "plain", "ü", "a\"b", "a\\b", "a\nb", "\u{1}", &long] {
            let mut literal = String::new();
            crate::escape_into(text, &mut literal);
            assert_eq!(Id::of_json_string(text), Id(Sha256::digest(literal).into()), "{text:?}");
        }
    }
}
