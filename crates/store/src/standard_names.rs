//! The names of objects in the standard protocol (SHA-256), for a store that names objects as git does. A store in
//! compatible mode has these names itself: there they are computed, and nothing is kept.
//!
//! They are kept in lists (`lists.rs`), under the name of the epoch: for each object its standard digest, of a tree
//! that of its own `Directory` message. Parts of large blobs have names, too: that of the blob, `+`, and the offset of
//! the part. So a chunk that a service names for another blob is found here. A lost name costs only time: it can be
//! computed again from the object. Names of the older epoch that are used are written into the younger; the rest is
//! collected with its objects.

use std::{
    collections::HashMap,
    ffi::OsStr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use taut_digest::{Digest, Hash, HashFunction, ObjectInfo, ObjectType};

use crate::{
    Result, Store,
    lists::{self, Listed, Lists},
};

/// In front of the name of the epoch. The number is raised when lists get another meaning.
const SALT: &str = "taut standard names 1\0";

/// The names of objects in the standard protocol. Not all are known; those that are need not be computed again.
pub struct StandardNames {
    store: Store,
    state: Mutex<NameIndex>,
}

#[derive(Default)]
struct NameIndex {
    names: HashMap<Key, KnownName>,
    /// Blobs and parts of blobs by their standard name.
    // The other direction, for what a server names and this machine may have already.
    blobs: HashMap<Digest, Key>,
    /// The names that no list of the youngest epoch has.
    new: Vec<Key>,
    /// The lists of the youngest epoch; `None` if nothing is kept.
    lists: Option<Lists>,
}

/// What has a name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Key {
    Blob(Hash),
    /// A part of a blob, and where it begins.
    Part(Hash, u64),
    Tree(Hash),
}

impl Listed for Key {
    fn name(&self, store: &Store) -> (bool, String) {
        match *self {
            Key::Tree(hash) => (true, hash).name(store),
            Key::Blob(hash) => (false, hash).name(store),
            // All digits, so that names are in the order of their bytes.
            Key::Part(hash, at) => (false, format!("{}+{at:020}", (false, hash).name(store).1)),
        }
    }

    fn of_name(store: &Store, is_tree: bool, name: String) -> Option<Key> {
        // `+` is in no hash: it marks parts.
        if let Some((blob, at)) = name.split_once('+') {
            let (_, hash) = lists::Key::of_name(store, is_tree, blob.to_owned())?;
            return Some(Key::Part(hash, at.parse().ok()?));
        }
        let (is_tree, hash) = lists::Key::of_name(store, is_tree, name)?;
        Some(if is_tree { Key::Tree(hash) } else { Key::Blob(hash) })
    }
}

struct KnownName {
    digest: Digest,
    /// Whether it is in a list of the youngest epoch, or will be.
    is_young: bool,
}

impl NameIndex {
    fn add(&mut self, key: Key, digest: Digest, is_young: bool) {
        match key {
            Key::Blob(_) => drop(self.blobs.insert(digest, key)),
            // A blob of its own is read faster.
            Key::Part(..) => drop(self.blobs.entry(digest).or_insert(key)),
            Key::Tree(_) => {}
        }
        self.names.insert(key, KnownName { digest, is_young });
    }

    // What is used of the older epoch goes to the younger, so its lifetime is that of its objects (`epoch_dirs.rs`).
    fn note(&mut self, key: Key) {
        if let Some(known) = self.names.get_mut(&key).filter(|known| !known.is_young) {
            known.is_young = true;
            self.new.push(key);
        }
    }
}

fn key(object: &ObjectInfo) -> Key {
    match object.object_type {
        ObjectType::Tree => Key::Tree(object.digest.hash),
        _ => Key::Blob(object.digest.hash),
    }
}

/// The salt of the lists of an epoch.
fn salt_of_epoch(name: &OsStr) -> Vec<u8> {
    [SALT.as_bytes(), name.as_encoded_bytes()].concat()
}

impl StandardNames {
    /// Reads the names that are known.
    ///
    /// # Errors
    /// The build root cannot be read.
    pub fn open(store: &Store) -> Result<StandardNames> {
        let mut state = NameIndex::default();
        if store.hash_function() == HashFunction::GitSha1 {
            let (young, older) = store.epochs()?;
            let mut read = |name: &OsStr, is_young| {
                Lists::read(store, salt_of_epoch(name), |key, digest| {
                    // Standard names are SHA-256; an entry with another digest is something else.
                    if digest.hash.as_bytes().len() == 32 {
                        state.add(key, digest, is_young);
                    }
                })
            };
            if let Some(older) = older {
                read(&older, false)?;
            }
            let lists = read(&young, true)?;
            state.lists = Some(lists);
        }
        Ok(StandardNames { store: store.clone(), state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, NameIndex> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of an object, if it is known.
    pub fn known(&self, object: &ObjectInfo) -> Option<Digest> {
        let (mut state, key) = (self.state(), key(object));
        state.note(key);
        state.names.get(&key).map(|known| known.digest)
    }

    /// The name of a blob, computed from its content if need be; `None` if it is lost.
    ///
    /// # Errors
    /// The build root cannot be read.
    pub fn of_blob(&self, object: &ObjectInfo) -> Result<Option<Digest>> {
        if let Some(digest) = self.known(object) {
            return Ok(Some(digest));
        }
        let Some(digest) = self.store.sha256(&object.digest.hash, object.object_type)? else {
            return Ok(None);
        };
        self.add(object, digest);
        Ok(Some(digest))
    }

    /// The object of a blob that is stored here.
    ///
    /// # Errors
    /// The build root cannot be read.
    pub fn blob(&self, digest: &Digest, executable: bool) -> Result<Option<ObjectInfo>> {
        let Some(Key::Blob(hash)) = self.state().blobs.get(digest).copied() else { return Ok(None) };
        let object_type = if executable { ObjectType::Executable } else { ObjectType::File };
        if !self.store.contains(&hash, object_type)? {
            return Ok(None);
        }
        self.state().note(Key::Blob(hash));
        Ok(Some(ObjectInfo { digest: Digest { hash, size: digest.size }, object_type }))
    }

    /// Adds the names of the parts of a blob, which are in their order.
    pub fn add_parts(&self, blob: &Hash, parts: &[Digest]) {
        let (mut state, mut at) = (self.state(), 0);
        for part in parts {
            let key = Key::Part(*blob, at);
            state.add(key, *part, false);
            state.note(key);
            at += part.size;
        }
    }

    /// The bytes of a part of a blob that is stored here, or of a blob; not compared with the name.
    pub fn part(&self, digest: &Digest) -> Option<Vec<u8>> {
        let key = self.state().blobs.get(digest).copied()?;
        let (hash, at) = match key {
            Key::Blob(hash) => (hash, 0),
            Key::Part(hash, at) => (hash, at),
            Key::Tree(_) => return None,
        };
        // With either mode it is one blob.
        let object = [ObjectType::File, ObjectType::Executable].into_iter().find_map(|object_type| {
            let is_there = self.store.contains(&hash, object_type).ok()?;
            is_there.then_some(ObjectInfo { digest: Digest { hash, size: 0 }, object_type })
        })?;
        let source = self.store.source(&object);
        let (mut bytes, mut filled) = (vec![0; usize::try_from(digest.size).ok()?], 0);
        while filled < bytes.len() {
            match source.read_at(at + filled as u64, &mut bytes[filled..]).ok()? {
                0 => return None,
                count => filled += count,
            }
        }
        self.state().note(key);
        Some(bytes)
    }

    /// Adds the name of an object, which the caller has computed.
    pub fn add(&self, object: &ObjectInfo, digest: Digest) {
        let mut state = self.state();
        state.add(key(object), digest, false);
        state.note(key(object));
    }

    /// Writes what is new.
    ///
    /// # Errors
    /// The build root cannot be written to.
    pub fn save(&self) -> Result<()> {
        let state = &mut *self.state();
        let new = std::mem::take(&mut state.new);
        let Some(lists) = &mut state.lists else { return Ok(()) };
        lists.add(&self.store, new.into_iter().map(|key| (key, state.names[&key].digest)).collect())
    }
}

impl Store {
    /// The SHA-256 of a blob; `None` if the blob is absent, or damaged, and then removed.
    fn sha256(&self, hash: &Hash, object_type: ObjectType) -> Result<Option<Digest>> {
        // The size does not matter: SHA-256 names have no header.
        let mut hasher = HashFunction::Sha256.blob_hasher(0);
        let size = self.each_piece(hash, object_type, |piece| {
            hasher.update(piece);
            Ok(())
        })?;
        Ok(size.map(|size| Digest { hash: hasher.finish(), size }))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use super::*;
    use crate::{
        GcMode, gc,
        lists::{encode, key_of},
    };

    fn blob(store: &Store, content: &[u8]) -> ObjectInfo {
        ObjectInfo { digest: store.put_blob(content, false).unwrap(), object_type: ObjectType::File }
    }

    fn sha256(content: &[u8]) -> Digest {
        Digest { hash: HashFunction::Sha256.blob(content), size: content.len() as u64 }
    }

    #[test]
    fn a_name_is_computed_once_and_found_in_both_directions() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), HashFunction::GitSha1).unwrap();
        let object = blob(&store, b"content");
        let names = StandardNames::open(&store).unwrap();
        assert_eq!(names.known(&object), None);
        assert_eq!(names.of_blob(&object).unwrap(), Some(sha256(b"content")));
        names.save().unwrap();
        let names = StandardNames::open(&store).unwrap();
        assert_eq!(names.known(&object), Some(sha256(b"content")));
        assert_eq!(names.blob(&sha256(b"content"), false).unwrap(), Some(object));
        let lost =
            ObjectInfo { digest: Digest { hash: HashFunction::GitSha1.blob(b"no"), size: 2 }, ..object };
        assert_eq!(names.of_blob(&lost).unwrap(), None);
    }

    #[test]
    fn keys_and_lists_have_a_golden_form() {
        let (blob, tree) = (HashFunction::GitSha1.blob(b""), HashFunction::GitSha1.tree(b""));
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), HashFunction::GitSha1).unwrap();
        let list = encode(
            &store,
            &[
                (Key::Tree(tree), sha256(b"t")),
                (Key::Part(blob, 7), sha256(b"p")),
                (Key::Blob(blob), sha256(b"b")),
            ]
            .into(),
        );
        let text = |tag: u8, name: &str| [&[tag, name.len() as u8], name.as_bytes()].concat();
        let node = |tag: u8, name: String, content: &[u8]| {
            let digest = [text(0x0a, &sha256(content).hash.to_hex()), vec![0x10, 1]].concat();
            let node = [text(0x0a, &name), vec![0x12, digest.len() as u8], digest].concat();
            let length = match node.len() {
                short @ ..128 => vec![short as u8],
                long => vec![long as u8 | 0x80, (long >> 7) as u8],
            };
            [vec![tag], length, node].concat()
        };
        let expected = [
            node(0x0a, "62e69de29bb2d1d6434b8b29ae775ad8c2e48c5391".to_owned(), b"b"),
            node(0x0a, "62e69de29bb2d1d6434b8b29ae775ad8c2e48c5391+00000000000000000007".to_owned(), b"p"),
            node(0x12, "744b825dc642cb6eb9a060e54bf8d69288fbee4904".to_owned(), b"t"),
        ]
        .concat();
        assert_eq!(list, expected);
        let action = b"\x4a\x1dtaut standard names 1\0epoch-1".as_slice();
        let key = key_of(HashFunction::GitSha1, salt_of_epoch(OsStr::new("epoch-1")));
        assert_eq!(key, HashFunction::GitSha1.blob(action));
    }

    #[test]
    fn parts_of_blobs_are_found_by_their_names() {
        let root = tempfile::tempdir().unwrap();
        let open = || Store::open(root.path(), HashFunction::GitSha1).unwrap();
        let object = blob(&open(), b"onetwothree");
        let parts = [b"one".as_slice(), b"two", b"three"];
        let names = StandardNames::open(&open()).unwrap();
        names.add_parts(&object.digest.hash, &parts.map(sha256));
        names.save().unwrap();
        let names = StandardNames::open(&open()).unwrap();
        assert_eq!(parts.map(|part| names.part(&sha256(part))), parts.map(|part| Some(part.to_vec())));
        assert_eq!((names.part(&sha256(b"four")), names.blob(&sha256(b"two"), false).unwrap()), (None, None));
        assert_eq!(names.known(&object), None);
    }

    #[test]
    fn there_are_few_lists_and_they_have_all_names() {
        let root = tempfile::tempdir().unwrap();
        let open = || Store::open(root.path(), HashFunction::GitSha1).unwrap();
        let mut objects = Vec::new();
        for number in 0..100 {
            let store = open();
            objects.push(blob(&store, format!("{number}").as_bytes()));
            let names = StandardNames::open(&store).unwrap();
            names.of_blob(&objects[number]).unwrap();
            names.save().unwrap();
            assert!(names.state().lists.as_ref().unwrap().len() <= 7, "{number}");
        }
        let names = StandardNames::open(&open()).unwrap();
        assert!(objects.iter().all(|object| names.known(object).is_some()));
        names.save().unwrap();
    }

    #[test]
    fn two_processes_keep_what_both_found() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), HashFunction::GitSha1).unwrap();
        let objects = ["a", "b"].map(|text| blob(&store, text.as_bytes()));
        let both = [(); 2].map(|()| StandardNames::open(&store).unwrap());
        for (names, object) in both.iter().zip(&objects) {
            names.of_blob(object).unwrap();
            names.save().unwrap();
        }
        let names = StandardNames::open(&store).unwrap();
        assert!(objects.iter().all(|object| names.known(object).is_some()));
    }

    /// Whichever byte of whichever file is another one, names are right or not known, and kept from then on.
    #[test]
    fn what_is_damaged_is_not_used_and_is_written_anew() {
        let root = tempfile::tempdir().unwrap();
        let open = || Store::open(root.path(), HashFunction::GitSha1).unwrap();
        let contents = ["a", "b", "c", "d"].map(str::as_bytes);
        let objects = contents.map(|content| blob(&open(), content));
        // Two lists.
        for objects in [&objects[..3], &objects[3..]] {
            let names = StandardNames::open(&open()).unwrap();
            objects.iter().for_each(|object| _ = names.of_blob(object).unwrap());
            names.save().unwrap();
        }
        let generation = root.path().join("protocol-dependent/generation-0/git-sha1");
        let files = |kind: &str| {
            let shards = std::fs::read_dir(generation.join(kind)).unwrap();
            let files = shards.flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap());
            files.map(|file| file.unwrap().path()).collect::<Vec<_>>()
        };
        let originals: Vec<_> = [files("ac"), files("casf")].concat();
        let originals: Vec<(_, Vec<u8>)> =
            originals.into_iter().map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect();
        let restore = |path: &std::path::Path, bytes: &[u8]| {
            let _ = std::fs::remove_file(path);
            std::fs::write(path, bytes).unwrap();
        };
        let own = originals.iter().filter(|(_, bytes)| !contents.contains(&bytes.as_slice()));
        let mut unknown = 0;
        for (path, good) in own {
            for at in (0..good.len()).step_by(7) {
                let mut bad = good.clone();
                bad[at] ^= 1;
                restore(path, &bad);
                let names = StandardNames::open(&open()).unwrap();
                for (object, content) in objects.iter().zip(contents) {
                    let known = names.known(object);
                    unknown += usize::from(known.is_none());
                    assert!(known.is_none_or(|known| known == sha256(content)), "{path:?} {at}");
                    assert_eq!(names.of_blob(object).unwrap(), Some(sha256(content)));
                }
                names.save().unwrap();
                let names = StandardNames::open(&open()).unwrap();
                assert!(objects.iter().all(|object| names.known(object).is_some()), "{path:?} {at}");
                originals.iter().for_each(|(path, bytes)| restore(path, bytes));
            }
        }
        assert!(unknown > 0);
    }

    #[test]
    fn names_that_are_not_used_are_collected() {
        let root = tempfile::tempdir().unwrap();
        let open = || Store::open(root.path(), HashFunction::GitSha1).unwrap();
        let (used, unused) = (blob(&open(), b"used"), blob(&open(), b"unused"));
        {
            let names = StandardNames::open(&open()).unwrap();
            names.of_blob(&used).unwrap();
            names.of_blob(&unused).unwrap();
            names.save().unwrap();
        }
        for _ in 0..3 {
            gc(root.path(), GcMode::Rotate, || {}).unwrap();
            let names = StandardNames::open(&open()).unwrap();
            assert!(names.known(&used).is_some());
            names.save().unwrap();
        }
        assert_eq!(StandardNames::open(&open()).unwrap().known(&unused), None);
    }

    #[test]
    fn in_compatible_mode_nothing_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), HashFunction::Sha256).unwrap();
        let object = blob(&store, b"content");
        let names = StandardNames::open(&store).unwrap();
        assert_eq!(names.of_blob(&object).unwrap(), Some(sha256(b"content")));
        names.save().unwrap();
        assert_eq!(StandardNames::open(&store).unwrap().known(&object), None);
        assert!(!root.path().join("protocol-dependent/generation-0/compatible-sha256/ac").exists());
    }
}
