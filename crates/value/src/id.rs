//! Intensional identity: the Merkle hash of a definition.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The SHA-256 hash of a definition. Equal ids mean: defined in the same way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; 32]);

impl Id {
    /// The id of a plain text.
    pub fn of(bytes: impl AsRef<[u8]>) -> Id {
        Id(Sha256::digest(bytes.as_ref()).into())
    }

    /// The id of a sequence of pieces, concatenated.
    pub(crate) fn of_pieces<P: AsRef<[u8]>>(pieces: impl IntoIterator<Item = P>) -> Id {
        let mut hasher = Sha256::new();
        for piece in pieces {
            hasher.update(piece.as_ref());
        }
        Id(hasher.finalize().into())
    }

    /// The id of a text as a JSON string literal.
    pub(crate) fn of_json_string(text: &str) -> Id {
        // Most texts are short and need no escapes: then the literal is put together where it costs nothing.
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

    /// Reads the form that [`Id::to_hex`] writes.
    pub fn from_hex(hex: &str) -> Option<Id> {
        let hash = taut_digest::Hash::from_hex(hex).ok()?;
        Some(Id(hash.as_bytes().try_into().ok()?))
    }
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
