//! A server that does not answer, in the lines of the reference: it asks for what is missing, takes usual values for
//! what the server can do, sends the object all the same, and reports each of these steps. With many objects it does so
//! for some of them, in any order; here it is the first.

use std::{
    fmt::Write as _,
    hash::{BuildHasher as _, RandomState},
};

use taut_digest::{Digest, HashFunction, ObjectInfo, ObjectType, TreeEntry};
use taut_driver::{Unreached, Unsent};
use taut_store::Store;
use taut_value::{Artifact, JsonWriter};

use crate::log::{Level, Log};

/// Where objects are sent to.
pub(crate) struct Receiver<'r> {
    pub(crate) store: &'r Store,
    /// The instance at the server.
    pub(crate) instance: &'r str,
}

/// The steps of sending the first object, without what comes of it.
pub(in crate::voice) fn say_not_sent(server: &Unreached, to: &Receiver<'_>, log: &Log) {
    const CONTENTS: &str = "RemoteCasClient";
    let Unreached { code, why, is_new, .. } = server;
    let say_no_capabilities = || {
        let text = "Failed to obtain Capabilities. Falling back to default values.";
        log.say_about(Level::Warn, "RemoteCapabilitiesClient", text);
    };
    let object = server.first.as_ref().map(object);
    let (object, directories) = match object {
        Some(object) if is_descended(server) => lowest(to.store, *object),
        other => (other.copied(), 0),
    };
    // The sizes of its messages depend on what the server takes.
    let is_of_messages = matches!(server.first, Some(Unsent::Directory(_)));
    if *is_new && is_of_messages && to.store.hash_function() == HashFunction::Sha256 {
        say_no_capabilities();
    }
    for _ in 0..=directories {
        log.say_about(Level::Error, CONTENTS, format!("FindMissingBlobs: {code}: {why}"));
    }
    if *is_new {
        say_no_capabilities();
    }
    let Some(object) = object else { return };
    let Digest { hash, size } = object.digest;
    let named = to.store.name_at_servers(&object.digest, object.object_type == ObjectType::Tree).hash;
    let instance = if to.instance.is_empty() { String::new() } else { format!("{}/", to.instance) };
    let uuid = any_uuid();
    let text =
        format!("broken stream for upload to resource name {instance}uploads/{uuid}/blobs/{named}/{size}");
    log.say_about(Level::Warn, "ByteStreamClient", text);
    log.say_about(Level::Error, CONTENTS, format!("Failed to write {hash}:{size}"));
}

fn object(unsent: &Unsent) -> &ObjectInfo {
    match unsent {
        Unsent::Input(_, object) | Unsent::Directory(object) | Unsent::Result(object) => object,
    }
}

/// Whether directories are asked for one by one, from above.
fn is_descended(server: &Unreached) -> bool {
    matches!(server.first, Some(Unsent::Result(_)))
}

/// What of an object is sent first, and how many directories it is in: each is asked for before what is in it, and
/// directories before files.
fn lowest(store: &Store, mut object: ObjectInfo) -> (Option<ObjectInfo>, usize) {
    let mut directories = 0;
    while object.object_type == ObjectType::Tree {
        // What cannot be read is a directory that is sent itself.
        let Ok(Some(entries)) = store.read_tree(&object.digest.hash) else { break };
        let is_tree = |entry: &&TreeEntry| entry.object_type == ObjectType::Tree;
        let Some(entry) = entries.values().find(is_tree).or_else(|| entries.values().next()) else { break };
        let size = store.known_size(&entry.hash, entry.object_type).ok().flatten().unwrap_or_default();
        object = ObjectInfo { digest: Digest { hash: entry.hash, size }, object_type: entry.object_type };
        directories += 1;
    }
    (Some(object), directories)
}

/// What an input that is not at the server is called, and what is wrong with it.
pub(super) fn of_input(artifact: &Artifact) -> (String, String) {
    let mut json = JsonWriter::compact();
    artifact.write_json(&mut json);
    let id = HashFunction::Sha256.blob(json.finish().as_bytes());
    let text = match artifact {
        Artifact::Local { path, .. } => format!("artifact in {path} could not be uploaded to CAS."),
        _ => format!("artifact {id} should be present in CAS but is missing."),
    };
    (format!("artifact:{id}"), text)
}

/// The name of a transfer, another one for each.
fn any_uuid() -> String {
    let [a, b] = [0, 1].map(|part| RandomState::new().hash_one(part));
    let mut digits = String::new();
    // Writing to a string cannot fail. The version, 4, and the variant of a UUID at their places.
    let _ = write!(digits, "{:016x}{:016x}", a & !0xf000 | 0x4000, b >> 2 | 1 << 63);
    let (x, y, z) = (&digits[..8], &digits[8..12], &digits[12..16]);
    format!("{x}-{y}-{z}-{}-{}", &digits[16..20], &digits[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_has_the_id_of_its_description() {
        let artifact = Artifact::Local { path: "in".into(), repository: "".into() };
        let name = "artifact:c926bfa06c32165839335c5e5bc5e526ab270aadd791ea059d3298bf2e581b7d";
        let text = "artifact in in could not be uploaded to CAS.";
        assert_eq!(of_input(&artifact), (name.to_owned(), text.to_owned()));
    }

    #[test]
    fn the_name_of_a_transfer_is_a_random_uuid() {
        let (one, other) = (any_uuid(), any_uuid());
        assert_ne!(one, other);
        let lengths: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{one}");
        assert!(one[14..].starts_with('4') && one[19..].starts_with(['8', '9', 'a', 'b']), "{one}");
    }
}
