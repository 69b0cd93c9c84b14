//! Digests in messages of the protocol, and the resource names of `ByteStream`, in the forms that the API specifies.

use taut_digest::{ContentHasher, Digest, Hash, HashFunction};
use taut_proto as proto;

/// A digest as a message.
pub(crate) fn digest(digest: &Digest) -> proto::Digest {
    // Saturating is harmless: no object has 2^63 bytes.
    proto::Digest { hash: digest.hash.to_hex(), size_bytes: i64::try_from(digest.size).unwrap_or(i64::MAX) }
}

/// A digest from a message; `None` if it is neither a digest by SHA-256 nor one of the native protocol.
pub(crate) fn parse(message: &proto::Digest) -> Option<Digest> {
    let size = message.size_bytes.try_into().ok()?;
    Some(Digest { hash: Hash::from_protocol_hex(&message.hash)?, size })
}

/// Whether the size is not known: entries of git trees have none, nor have objects that a user names by their hash.
pub(crate) fn is_unmeasured(digest: &Digest) -> bool {
    // The empty blob is the only one whose size is known to be 0; any other name with size 0 lacks its size.
    digest.size == 0 && !is_name_of(digest, b"")
}

/// Whether a name is that of these bytes.
pub(crate) fn is_name_of(digest: &Digest, bytes: &[u8]) -> bool {
    let mut hasher = hasher(&Digest { size: bytes.len() as u64, ..*digest });
    hasher.update(bytes);
    is_right(digest, hasher)
}

/// The hasher for an object of known size: its kind follows from the hash.
pub(crate) fn hasher(digest: &Digest) -> ContentHasher {
    match digest.hash.untagged() {
        None => HashFunction::Sha256.blob_hasher(digest.size),
        Some((_, false)) => HashFunction::GitSha1.blob_hasher(digest.size),
        Some((_, true)) => HashFunction::GitSha1.tree_hasher(digest.size),
    }
}

/// Whether the hasher has got the bytes that the digest names.
pub(crate) fn is_right(digest: &Digest, hasher: ContentHasher) -> bool {
    // justbuild's native protocol has a byte in front of git's ids: 62 for a blob, 74 for a tree. The hash itself is of
    // the blob alone.
    let wanted = digest.hash.untagged().map_or(digest.hash, |(hash, _)| hash);
    hasher.finish() == wanted
}

/// The encoding of the bytes of a stream.
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

/// The resource name for reading an object.
pub(crate) fn read_name(instance: &str, of: &Digest, form: Form) -> String {
    // `ByteStream` names: `{instance}/blobs/{hash}/{size}`, with `compressed-blobs/zstd` for compressed ones
    // (remote_execution.proto, above `ContentAddressableStorage`).
    format!("{}{}/{}/{}", prefix(instance), form.segment(), of.hash, of.size)
}

/// The resource name for writing an object. `transfer`: an id that the client chooses, another one for each transfer.
pub(crate) fn write_name(instance: &str, of: &Digest, form: Form, transfer: &str) -> String {
    format!("{}uploads/{transfer}/{}/{}/{}", prefix(instance), form.segment(), of.hash, of.size)
}

fn prefix(instance: &str) -> String {
    // An empty instance has no segment of its own, by the API.
    if instance.is_empty() { String::new() } else { format!("{instance}/") }
}
