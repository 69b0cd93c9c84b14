//! An action as a server gets it: its messages, the directories of its inputs, and which objects are in these.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use taut_digest::{Digest, Hash, HashFunction, ObjectInfo, ObjectType, TreeEntry};
use taut_engine::Fail;
use taut_proto::{Action, Message as _};
use taut_store::{Error, Result, Store};

use super::claims::Key;
use crate::{
    Missed, Phase, RunKey,
    message::{Demands, messages},
    trees::{self, TreeError, build_tree, normalised_stage},
};

/// Something that is in memory only.
pub(super) struct GeneratedObject {
    pub(super) bytes: Arc<Vec<u8>>,
    entries: Vec<TreeEntry>,
}

/// An action with what it needs.
pub(super) struct RemoteAction {
    /// The messages, the action first, and the directory of its inputs.
    tops: Vec<ObjectInfo>,
    made: HashMap<Key, GeneratedObject>,
}

/// An object that a server has to have.
pub(super) struct Part {
    pub(super) object: ObjectInfo,
    /// How many levels are below it.
    pub(super) height: usize,
    /// Whether it was noted for the server before, so that nothing below it is listed.
    pub(super) is_noted: bool,
}

pub(super) fn key(object: &ObjectInfo) -> Key {
    (object.object_type == ObjectType::Tree, object.digest.hash)
}

fn of_tree(digest: Digest) -> ObjectInfo {
    ObjectInfo { digest, object_type: ObjectType::Tree }
}

impl RemoteAction {
    /// Only objects.
    pub(super) fn of_objects(tops: Vec<ObjectInfo>) -> RemoteAction {
        RemoteAction { tops, made: HashMap::new() }
    }

    pub(super) fn action(&self) -> &ObjectInfo {
        &self.tops[0]
    }

    /// The directory of its inputs.
    pub(super) fn inputs(&self) -> Option<&ObjectInfo> {
        self.tops.get(2)
    }

    /// How explanations find it at the server that has it: nothing of it is kept here.
    pub(super) fn missed(&self, is_incomplete: bool) -> Option<Missed> {
        // Only what `describe` made has three; bare objects have no explanation.
        let [action, command, inputs] = *self.tops else { return None };
        Some(Missed { action, command, inputs, is_incomplete })
    }

    /// Describes the action as one of which no result is taken from the server's cache, nor kept there. Returns whether
    /// that changes anything.
    pub(super) fn set_uncached(&mut self, store: &Store) -> bool {
        // Of the messages that `describe` made, so it is there and can be read.
        let made = self.tops.first().and_then(|action| self.made.get(&key(action)));
        let Some(Ok(action)) = made.map(|made| Action::decode(&made.bytes[..])) else { return false };
        if action.do_not_cache {
            return false;
        }
        let bytes = Action { do_not_cache: true, ..action }.encode_to_vec();
        let digest = Digest { hash: store.hash_function().blob(&bytes), size: bytes.len() as u64 };
        let object = ObjectInfo { digest, object_type: ObjectType::File };
        self.made.insert(key(&object), GeneratedObject { bytes: Arc::new(bytes), entries: Vec::new() });
        self.tops[0] = object;
        true
    }

    pub(super) fn made(&self, key: &Key) -> Option<&GeneratedObject> {
        self.made.get(key)
    }
}

/// Describes an action.
pub(super) fn describe(
    store: &Store,
    demands: Demands<'_>,
    run: &RunKey,
) -> std::result::Result<RemoteAction, Fail> {
    let in_inputs = |error| match error {
        TreeError::Store(error) => Phase::Inputs.failed_in_store(error),
        other => Phase::Inputs.failed(other),
    };
    let mut made = HashMap::new();
    let stage = normalised_stage(&run.inputs).map_err(in_inputs)?;
    let inputs = match trees::whole(&stage) {
        Some(tree) => tree.digest,
        None => {
            let entry =
                |info: &ObjectInfo| TreeEntry { hash: info.digest.hash, object_type: info.object_type };
            let above = |tree: &Digest| TreeEntry { hash: tree.hash, object_type: ObjectType::Tree };
            let stage: Vec<(&str, TreeEntry)> =
                stage.iter().map(|(path, info)| (&**path, entry(info))).collect();
            // The closure is called in turn, never twice at a time; `build_tree` takes a `Fn`.
            let directories = RefCell::new(HashMap::new());
            // In compatible mode a directory has the sizes of its entries, which those in memory have, too.
            let make = |entries: &BTreeMap<&str, TreeEntry>| {
                let (digest, bytes) = match store.hash_function() {
                    // Only in memory: a server gets it, and nothing here reads it again.
                    HashFunction::GitSha1 => store.tree_bytes(entries)?,
                    HashFunction::Sha256 => {
                        let digest = store.put_tree(entries)?;
                        let missing = || Error::Missing(of_tree(digest));
                        (digest, store.read(&digest.hash, ObjectType::Tree)?.ok_or_else(missing)?)
                    }
                };
                let entries = entries.values().copied().collect();
                let one = GeneratedObject { bytes: Arc::new(bytes), entries };
                directories.borrow_mut().insert((true, digest.hash), one);
                Ok(digest)
            };
            let digest = build_tree(&stage, make, above).map_err(in_inputs)?;
            made.extend(directories.into_inner());
            digest
        }
    };
    let mut add = |(digest, bytes): (Digest, Vec<u8>)| {
        let object = ObjectInfo { digest, object_type: ObjectType::File };
        made.insert(key(&object), GeneratedObject { bytes: Arc::new(bytes), entries: Vec::new() });
        object
    };
    let [action, command] = messages(store, demands, &run.action, &inputs, Vec::new());
    let tops = vec![add(action), add(command), of_tree(inputs)];
    Ok(RemoteAction { tops, made })
}

/// Lists all that a server has to have for an action and was not seen there yet, each once. `all`: also what was.
pub(super) fn parts(store: &Store, server: usize, described: &RemoteAction, all: bool) -> Result<Vec<Part>> {
    let mut parts: HashMap<Key, Part> = HashMap::new();
    let mut opened = HashSet::new();
    // An iterative walk in post-order: the height of a directory follows from those of its entries.
    let mut steps: Vec<(ObjectInfo, Option<Vec<Key>>)> =
        described.tops.iter().map(|top| (*top, None)).collect();
    while let Some((object, below)) = steps.pop() {
        let its_key = key(&object);
        if let Some(below) = below {
            // Inputs for which nothing has to be done do not count.
            let height = below.iter().filter_map(|key| Some(parts.get(key)?.height + 1)).max().unwrap_or(0);
            parts.insert(its_key, Part { object, height, is_noted: false });
            continue;
        }
        if (!all && store.is_checked(server, &object)) || !opened.insert(its_key) {
            continue;
        }
        let leaf = |is_noted| Part { object, height: 0, is_noted };
        if object.object_type != ObjectType::Tree {
            parts.insert(its_key, leaf(false));
            continue;
        }
        // In native mode a server has all that is below a tree that it has.
        let has_all_below = store.hash_function() == HashFunction::GitSha1 && store.is_noted(server, &object);
        // With all: also what is below those that can be sent again.
        let can_be_sent =
            described.made(&its_key).is_some() || store.has_bytes_of_tree(&object.digest.hash)?;
        if has_all_below && !(all && can_be_sent) {
            parts.insert(its_key, leaf(true));
            continue;
        }
        let entries: Vec<TreeEntry> = match described.made(&its_key) {
            Some(made) => made.entries.clone(),
            None => {
                let entries = store.read_tree(&object.digest.hash)?.ok_or(Error::Missing(object))?;
                entries.into_values().collect()
            }
        };
        let entries: Vec<ObjectInfo> = entries.iter().map(|entry| of_entry(&entry.hash, entry)).collect();
        // Pushed before its entries, so popped after them.
        steps.push((object, Some(entries.iter().map(key).collect())));
        steps.extend(entries.into_iter().map(|entry| (entry, None)));
    }
    Ok(parts.into_values().collect())
}

/// An entry as an object of unknown size.
fn of_entry(hash: &Hash, entry: &TreeEntry) -> ObjectInfo {
    ObjectInfo { digest: Digest { hash: *hash, size: 0 }, object_type: entry.object_type }
}
