//! Maps from objects to digests that are kept between calls: standard names (`standard_names.rs`), and what servers
//! have (`server_objects.rs`).
//!
//! They are blobs of the store, so their checksums and their lifetime are those of objects. A map is an entry of the
//! action cache under a key that no action has: the digest of an `Action` message with nothing but a salt. The result
//! there has *lists* as its output files, the latest first. A list is a `Directory` message: the name of each node is
//! that of an object as messages have it (in native mode with `62` in front for a blob and `74` for a tree), its digest
//! is what the map has for the object.
//!
//! The hash of each list is checked when it is read, and one that is damaged counts as absent. A new list takes in
//! those before it that are not much longer, so there are few.

use std::collections::HashMap;

use taut_digest::{Digest, Hash, HashFunction, ObjectType};
use taut_proto::{
    self as proto, Action, ActionResult, Directory, DirectoryNode, FileNode, Message, OutputFile,
};

use crate::{Result, Store};

/// Whether it is a tree, and its hash.
pub(crate) type Key = (bool, Hash);

/// What lists have entries of.
pub(crate) trait Listed: Copy + Ord + std::hash::Hash {
    /// Whether it is among the directories, and its name.
    fn name(&self, store: &Store) -> (bool, String);

    /// From these; `None` if it is something else.
    fn of_name(store: &Store, is_tree: bool, name: String) -> Option<Self>;
}

impl Listed for Key {
    fn name(&self, store: &Store) -> (bool, String) {
        let (is_tree, hash) = *self;
        (is_tree, store.to_wire(&Digest { hash, size: 0 }, is_tree).hash)
    }

    fn of_name(store: &Store, is_tree: bool, name: String) -> Option<Key> {
        let object = store.from_wire(&proto::Digest { hash: name, size_bytes: 0 })?;
        Some((is_tree, object.hash))
    }
}

/// The lists of one entry.
pub(crate) struct Lists {
    entry: Hash,
    /// The lists that could be read, the latest first.
    // Not those that could not be read: the next write leaves them out, and so repairs the entry.
    whole: Vec<Digest>,
}

impl Lists {
    /// Reads the lists under a salt, and gives what they have.
    pub(crate) fn read<K: Listed>(
        store: &Store,
        salt: Vec<u8>,
        mut give: impl FnMut(K, Digest),
    ) -> Result<Lists> {
        let entry = key_of(store.hash_function(), salt);
        let mut whole = Vec::new();
        for list in lists(store, &entry)?.unwrap_or_default() {
            let Some(known) = read_list(store, &list)? else { continue };
            known.into_iter().for_each(|(key, digest)| give(key, digest));
            whole.push(list);
        }
        Ok(Lists { entry, whole })
    }

    /// Adds something.
    pub(crate) fn add<K: Listed>(&mut self, store: &Store, mut new: HashMap<K, Digest>) -> Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        // Another process may have added lists. If the entry is damaged, what was read before is still good.
        let lists = lists(store, &self.entry)?.unwrap_or_else(|| std::mem::take(&mut self.whole));
        let mut kept = Vec::new();
        for list in lists {
            let taken_in = kept.is_empty().then(|| read_list(store, &list)).transpose()?;
            match taken_in {
                None => kept.push(list),
                // In the order from the latest on, they become longer.
                // Merging lists of about equal length, as a log-structured merge tree does: the number of lists is
                // logarithmic, and each entry is written again only a few times.
                Some(Some(older)) if older.len() > 2 * new.len() => kept.push(list),
                Some(older) => {
                    for (key, digest) in older.unwrap_or_default() {
                        // The later record holds.
                        new.entry(key).or_insert(digest);
                    }
                }
            }
        }
        self.write(store, &new, kept)
    }

    /// Replaces everything.
    pub(crate) fn replace<K: Listed>(&mut self, store: &Store, all: &HashMap<K, Digest>) -> Result<()> {
        self.write(store, all, Vec::new())
    }

    fn write<K: Listed>(
        &mut self,
        store: &Store,
        latest: &HashMap<K, Digest>,
        mut kept: Vec<Digest>,
    ) -> Result<()> {
        kept.insert(0, store.put_blob(&encode(store, latest), false)?);
        let entry = |(number, list): (usize, &Digest)| OutputFile {
            // The paths only have to differ.
            path: format!("names-{number}"),
            digest: Some(store.to_wire(list, false)),
            is_executable: false,
        };
        let output_files = kept.iter().enumerate().map(entry).collect();
        self.whole = kept;
        store.cache_action(&self.entry, &ActionResult { output_files, ..ActionResult::default() })
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.whole.len()
    }
}

/// The key of an entry.
pub(crate) fn key_of(function: HashFunction, salt: Vec<u8>) -> Hash {
    function.blob(&Action { salt, ..Action::default() }.encode_to_vec())
}

/// The lists of an entry, the latest first; `None` if there is no entry.
fn lists(store: &Store, entry: &Hash) -> Result<Option<Vec<Digest>>> {
    let Some(entry) = store.cached_action(entry)? else { return Ok(None) };
    let digests = entry.output_files.iter().filter_map(|file| store.from_wire(file.digest.as_ref()?));
    Ok(Some(digests.collect()))
}

/// What is in a list; `None` if it is lost.
fn read_list<K: Listed>(store: &Store, list: &Digest) -> Result<Option<Vec<(K, Digest)>>> {
    let bytes = store.read(&list.hash, ObjectType::File)?;
    Ok(bytes.and_then(|bytes| decode(store, &bytes)))
}

/// A list as bytes.
pub(crate) fn encode<K: Listed>(store: &Store, known: &HashMap<K, Digest>) -> Vec<u8> {
    let mut known: Vec<(&K, &Digest)> = known.iter().collect();
    known.sort_unstable_by_key(|(key, _)| **key);
    let mut list = Directory::default();
    for (key, digest) in known {
        let size_bytes = i64::try_from(digest.size).unwrap_or(i64::MAX);
        let digest = Some(proto::Digest { hash: digest.hash.to_hex(), size_bytes });
        let (is_tree, name) = key.name(store);
        match is_tree {
            true => list.directories.push(DirectoryNode { name, digest }),
            false => list.files.push(FileNode { name, digest, is_executable: false }),
        }
    }
    list.files.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    list.directories.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    list.encode_to_vec()
}

fn decode<K: Listed>(store: &Store, bytes: &[u8]) -> Option<Vec<(K, Digest)>> {
    let list = Directory::decode(bytes).ok()?;
    let files = list.files.into_iter().map(|file| (false, file.name, file.digest));
    let trees = list.directories.into_iter().map(|tree| (true, tree.name, tree.digest));
    let one = |(is_tree, name, digest): (bool, String, Option<proto::Digest>)| {
        let key = K::of_name(store, is_tree, name)?;
        let digest = digest?;
        let hash = Hash::from_hex(&digest.hash).ok()?;
        Some((key, Digest { hash, size: digest.size_bytes.try_into().ok()? }))
    };
    files.chain(trees).map(one).collect()
}
