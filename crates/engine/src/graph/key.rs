//! Identity of tasks: what a key is, and how it becomes bytes that mean the same in every process.
//!
//! A key is plain data. What it *means* is its type's business: a name (the same place), a Merkle hash
//! (the same definition), or a content hash. The engine compares keys with `Eq` while it runs; the bytes
//! are for what outlives the process and for putting keys in an order that no hash map disturbs.

use std::any::Any;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The arguments of a task; together with the rule they are the task's identity.
// No serialisation framework: the bytes are an identity and an order, so each type states them itself, and no library
// changes them.
pub trait Key: Clone + Eq + std::hash::Hash + fmt::Debug + Send + Sync + 'static {
    /// Appends this key as bytes, the same in every process and every version of the program.
    /// Two keys have the same bytes if and only if they are equal.
    fn encode(&self, out: &mut Vec<u8>);

    /// The key that [`Key::encode`] wrote; all of `bytes` belongs to it. `None` if they are damaged,
    /// foreign, or name something that no longer has a meaning: the engine then drops its records.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

/// Reads a `u32` length in little endian and as many bytes; returns them and what follows.
fn framed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    // Of fixed length, unlike the numbers of the file's format: the length is written before the key is there.
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*len) as usize)
}

/// Appends `key` in a frame, so that something can follow it.
fn frame(key: &impl Key, out: &mut Vec<u8>) {
    let at = out.len();
    // Room for the length, which is known only behind the key: no key is encoded into a buffer of its own.
    out.extend([0; 4]);
    key.encode(out);
    let len = u32::try_from(out.len() - at - 4).expect("a key is shorter than 4 GiB");
    out[at..at + 4].copy_from_slice(&len.to_le_bytes());
}

impl Key for () {
    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(bytes: &[u8]) -> Option<()> {
        bytes.is_empty().then_some(())
    }
}

impl Key for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn decode(bytes: &[u8]) -> Option<bool> {
        match bytes {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }
}

macro_rules! integers {
    ($($t:ty),*) => {$(
        /// Big endian, so that the order of the bytes is the order of the numbers.
        impl Key for $t {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend(self.to_be_bytes());
            }

            fn decode(bytes: &[u8]) -> Option<$t> {
                bytes.try_into().ok().map(<$t>::from_be_bytes)
            }
        }
    )*};
}
integers!(u8, u16, u32, u64, u128);

impl Key for String {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<String> {
        String::from_utf8(bytes.to_vec()).ok()
    }
}

impl Key for Arc<str> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Arc<str>> {
        std::str::from_utf8(bytes).ok().map(Arc::from)
    }
}

impl Key for Vec<u8> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self);
    }

    fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
        Some(bytes.to_vec())
    }
}

impl<const N: usize> Key for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self);
    }

    fn decode(bytes: &[u8]) -> Option<[u8; N]> {
        bytes.try_into().ok()
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        frame(&self.0, out);
        // The last part has no frame: whatever is left belongs to it.
        self.1.encode(out);
    }

    fn decode(bytes: &[u8]) -> Option<(A, B)> {
        let (a, b) = framed(bytes)?;
        Some((A::decode(a)?, B::decode(b)?))
    }
}

impl<A: Key, B: Key, C: Key> Key for (A, B, C) {
    fn encode(&self, out: &mut Vec<u8>) {
        frame(&self.0, out);
        frame(&self.1, out);
        self.2.encode(out);
    }

    fn decode(bytes: &[u8]) -> Option<(A, B, C)> {
        let (a, rest) = framed(bytes)?;
        let (b, c) = framed(rest)?;
        Some((A::decode(a)?, B::decode(b)?, C::decode(c)?))
    }
}

/// A key of some rule, its type erased: for logs, cycles, explanations.
#[derive(Clone)]
pub struct KeyRef {
    pub(crate) rule: &'static str,
    pub(crate) key: Arc<dyn Any + Send + Sync>,
    pub(crate) bytes: Vec<u8>,
    // A function, not a text: most keys of a log are never shown.
    pub(crate) debug: fn(&dyn Any, &mut fmt::Formatter<'_>) -> fmt::Result,
}

impl KeyRef {
    /// The name of the rule (`Rule::NAME`) or of the part (`Part::NAME`).
    pub fn rule(&self) -> &'static str {
        self.rule
    }

    /// The key as [`Key::encode`] writes it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The key itself, if it is a `K`. Parts have the key `(key of the whole, part)`.
    pub fn downcast<K: Key>(&self) -> Option<&K> {
        (*self.key).downcast_ref()
    }
}

// By the bytes, since keys of different types cannot be compared otherwise.
impl PartialEq for KeyRef {
    fn eq(&self, other: &KeyRef) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for KeyRef {}

impl std::hash::Hash for KeyRef {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.rule, &self.bytes).hash(state);
    }
}

impl PartialOrd for KeyRef {
    fn partial_cmp(&self, other: &KeyRef) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for KeyRef {
    /// By rule name, then by encoded bytes: an order that does not depend on when a key was first seen.
    fn cmp(&self, other: &KeyRef) -> Ordering {
        (self.rule, &self.bytes).cmp(&(other.rule, &other.bytes))
    }
}

impl fmt::Debug for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.rule)?;
        (self.debug)(&*self.key, f)?;
        f.write_str(")")
    }
}

impl fmt::Display for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
