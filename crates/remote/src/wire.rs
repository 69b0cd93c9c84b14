//! Digests as messages of the protocol have them, and the names of streams.

use taut_digest::{Digest, Hash};
use taut_proto as proto;

/// As a message has it.
pub(crate) fn digest(digest: &Digest) -> proto::Digest {
    // No content has 2^63 bytes.
    proto::Digest { hash: digest.hash.to_hex(), size_bytes: i64::try_from(digest.size).unwrap_or(i64::MAX) }
}

/// From a message; `None` if it is no digest by SHA-256.
pub(crate) fn parse(message: &proto::Digest) -> Option<Digest> {
    if message.hash.len() != 64 {
        return None;
    }
    Some(Digest { hash: Hash::from_hex(&message.hash).ok()?, size: message.size_bytes.try_into().ok()? })
}

/// Which form of a content a stream has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Plain,
    Zstd,
}

impl Form {
    fn segment(self) -> &'static str {
        match self {
            Form::Plain => "blobs",
            Form::Zstd => "compressed-blobs/zstd",
        }
    }
}

/// The name of a content as a stream to be read.
pub(crate) fn read_name(instance: &str, of: &Digest, form: Form) -> String {
    format!("{}{}/{}/{}", prefix(instance), form.segment(), of.hash, of.size)
}

/// The name of a content as a stream to be written. `transfer`: chosen by the client for each.
pub(crate) fn write_name(instance: &str, of: &Digest, form: Form, transfer: &str) -> String {
    format!("{}uploads/{transfer}/{}/{}/{}", prefix(instance), form.segment(), of.hash, of.size)
}

fn prefix(instance: &str) -> String {
    if instance.is_empty() { String::new() } else { format!("{instance}/") }
}
