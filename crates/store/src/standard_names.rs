//! The names that objects have in the standard protocol, which is SHA-256, where the store has git's. A store in compatible
//! mode has these names itself: there they are computed, and nothing is written.
//!
//! A file of the youngest epoch, so that it is collected with the objects: what is used of the older epoch is written
//! again into the younger. It is a sequence of records of [`RECORD_BYTES`] bytes, which are only ever appended:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | `b` for a blob, `t` for a tree |
//! | 20 | its id in git |
//! | 32 | SHA-256: of a blob of the content, of a tree of its `Directory` message |
//! | 8 | the size of what that is the hash of, little-endian |
//! | 8 | the first bytes of the SHA-256 of all before |
//!
//! Each record can be computed again from the object alone. One whose check fails, and all behind it, count as absent; the
//! file is then written anew. Nothing is lost by that but time.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use taut_digest::{Digest, Hash, HashFunction, ObjectInfo, ObjectType};
use taut_sys::{At, if_exists};

use crate::{EpochDir, Result, Store};

const RECORD_BYTES: usize = 69;

/// The kind of the epoch directory, and the name of the file in it.
const DIRECTORY: &str = "standard";
const FILE: &str = "names";

/// How many bytes of new records are kept in memory before they are written.
const MAX_NEW_BYTES: usize = 1 << 20;

/// The names of objects in the standard protocol. Not all are known; those that are need not be computed again.
pub struct StandardNames {
    store: Store,
    dir: EpochDir,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    names: HashMap<Key, Known>,
    /// Blobs by their standard name.
    blobs: HashMap<Digest, Hash>,
    /// Records that are not written yet.
    new: Vec<u8>,
    /// Whether the file has to be written anew.
    is_damaged: bool,
}

/// Whether it is a tree, and its id.
type Key = (bool, Hash);

struct Known {
    digest: Digest,
    /// Whether the younger epoch has it.
    is_young: bool,
}

impl State {
    fn add(&mut self, (is_tree, hash): Key, digest: Digest, is_young: bool) {
        if !is_tree {
            self.blobs.insert(digest, hash);
        }
        self.names.insert((is_tree, hash), Known { digest, is_young });
    }

    /// Reads records up to the first damaged one.
    fn read(&mut self, bytes: &[u8], is_young: bool) {
        for record in bytes.chunks(RECORD_BYTES) {
            let Some((key, digest)) = parse(record) else {
                self.is_damaged |= is_young;
                return;
            };
            self.add(key, digest, is_young);
        }
    }

    fn note(&mut self, key: Key) {
        if let Some(known) = self.names.get_mut(&key).filter(|known| !known.is_young) {
            known.is_young = true;
            let record = record(key, &known.digest);
            self.new.extend(record);
        }
    }
}

fn record((is_tree, hash): Key, digest: &Digest) -> Vec<u8> {
    let mut record = Vec::with_capacity(RECORD_BYTES);
    record.push(if is_tree { b't' } else { b'b' });
    record.extend(hash.as_bytes());
    record.extend(digest.hash.as_bytes());
    record.extend(digest.size.to_le_bytes());
    record.extend(check(&record));
    record
}

fn check(record: &[u8]) -> [u8; 8] {
    let mut check = [0; 8];
    check.copy_from_slice(&HashFunction::Sha256.blob(record).as_bytes()[..8]);
    check
}

fn parse(record: &[u8]) -> Option<(Key, Digest)> {
    let (content, found) = record.split_at_checked(RECORD_BYTES - 8)?;
    if found != check(content) {
        return None;
    }
    let is_tree = match content[0] {
        b't' => true,
        b'b' => false,
        _ => return None,
    };
    let hash = Hash::from_bytes(&content[1..21])?;
    let size = u64::from_le_bytes(content[53..61].try_into().ok()?);
    Some(((is_tree, hash), Digest { hash: Hash::from_bytes(&content[21..53])?, size }))
}

fn key(object: &ObjectInfo) -> Key {
    (object.object_type == ObjectType::Tree, object.digest.hash)
}

impl StandardNames {
    /// Reads the names that are known.
    ///
    /// # Errors
    /// The build root cannot be read.
    pub fn open(store: &Store) -> Result<StandardNames> {
        let dir = store.epoch_directory(DIRECTORY)?;
        let mut state = State::default();
        let read = |at: At<'_>| if_exists(at.read());
        if store.hash_function() != HashFunction::GitSha1 {
            return Ok(StandardNames { store: store.clone(), dir, state: Mutex::new(state) });
        }
        if let Some(older) = dir.older() {
            state.read(&read(older.at(FILE))?.unwrap_or_default(), false);
        }
        state.read(&read(dir.dir().at(FILE))?.unwrap_or_default(), true);
        Ok(StandardNames { store: store.clone(), dir, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
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
        self.add(object, digest)?;
        Ok(Some(digest))
    }

    /// The object of a blob that is stored here.
    ///
    /// # Errors
    /// The build root cannot be read.
    pub fn blob(&self, digest: &Digest, executable: bool) -> Result<Option<ObjectInfo>> {
        let Some(hash) = self.state().blobs.get(digest).copied() else { return Ok(None) };
        let object_type = if executable { ObjectType::Executable } else { ObjectType::File };
        if !self.store.contains(&hash, object_type)? {
            return Ok(None);
        }
        self.state().note((false, hash));
        Ok(Some(ObjectInfo { digest: Digest { hash, size: digest.size }, object_type }))
    }

    /// Adds the name of an object, which the caller has computed.
    ///
    /// # Errors
    /// The build root cannot be written to.
    pub fn add(&self, object: &ObjectInfo, digest: Digest) -> Result<()> {
        let mut state = self.state();
        state.add(key(object), digest, false);
        state.note(key(object));
        if state.new.len() >= MAX_NEW_BYTES { self.write(&mut state) } else { Ok(()) }
    }

    /// Writes what is new.
    ///
    /// # Errors
    /// The build root cannot be written to.
    pub fn save(&self) -> Result<()> {
        self.write(&mut self.state())
    }

    fn write(&self, state: &mut State) -> Result<()> {
        let at = self.dir.dir().at(FILE);
        if std::mem::take(&mut state.is_damaged) {
            let young = state.names.iter().filter(|(_, known)| known.is_young);
            let all: Vec<u8> = young.flat_map(|(key, known)| record(*key, &known.digest)).collect();
            state.new.clear();
            let temporary = self.store.write_temporary(&all, 0o644)?;
            return temporary.rename(at);
        }
        let new = std::mem::take(&mut state.new);
        if self.store.hash_function() != HashFunction::GitSha1 {
            return Ok(());
        }
        // In one piece, so that records of several processes do not mix.
        if new.is_empty() { Ok(()) } else { Ok(at.append()?.write_all(&new)?) }
    }
}

impl Store {
    /// The SHA-256 of a blob; `None` if there is none, or only a damaged one, which is removed.
    fn sha256(&self, hash: &Hash, object_type: ObjectType) -> Result<Option<Digest>> {
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
    use crate::{GcMode, gc};

    fn blob(store: &Store, content: &[u8]) -> ObjectInfo {
        ObjectInfo { digest: store.put_blob(content, false).unwrap(), object_type: ObjectType::File }
    }

    fn file(store: &Store) -> std::path::PathBuf {
        store.epoch_directory(DIRECTORY).unwrap().dir().path().join(FILE)
    }

    #[test]
    fn a_name_is_computed_once_and_found_in_both_directions() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), HashFunction::GitSha1).unwrap();
        let object = blob(&store, b"content");
        let names = StandardNames::open(&store).unwrap();
        assert_eq!(names.known(&object), None);
        let digest = Digest { hash: HashFunction::Sha256.blob(b"content"), size: 7 };
        assert_eq!(names.of_blob(&object).unwrap(), Some(digest));
        names.save().unwrap();
        let names = StandardNames::open(&store).unwrap();
        assert_eq!(names.known(&object), Some(digest));
        assert_eq!(names.blob(&digest, false).unwrap(), Some(object));
        names.save().unwrap();
        assert_eq!(std::fs::read(file(&store)).unwrap().len(), RECORD_BYTES);
        let lost =
            ObjectInfo { digest: Digest { hash: HashFunction::GitSha1.blob(b"no"), size: 2 }, ..object };
        assert_eq!(names.of_blob(&lost).unwrap(), None);
    }

    #[test]
    fn a_record_has_a_golden_form() {
        let hash = HashFunction::GitSha1.tree(b"");
        let digest = Digest { hash: HashFunction::Sha256.blob(b""), size: 258 };
        let record = record((true, hash), &digest);
        assert_eq!(parse(&record), Some(((true, hash), digest)));
        let hex: String = record.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex[..122],
            *"744b825dc642cb6eb9a060e54bf8d69288fbee4904\
              e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8550201000000000000"
        );
    }

    #[test]
    fn damaged_records_are_dropped_and_the_file_is_written_anew() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), HashFunction::GitSha1).unwrap();
        let objects = ["a", "b", "c"].map(|text| blob(&store, text.as_bytes()));
        let names = StandardNames::open(&store).unwrap();
        objects.iter().for_each(|object| assert!(names.of_blob(object).unwrap().is_some()));
        names.save().unwrap();
        let good = std::fs::read(file(&store)).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(file(&store), &bad).unwrap();
            let names = StandardNames::open(&store).unwrap();
            let known = objects.iter().filter(|object| names.known(object).is_some()).count();
            assert_eq!(known, at / RECORD_BYTES);
        }
        std::fs::write(file(&store), &good[..good.len() - 1]).unwrap();
        let names = StandardNames::open(&store).unwrap();
        names.of_blob(&objects[2]).unwrap();
        names.save().unwrap();
        let names = StandardNames::open(&store).unwrap();
        assert!(objects.iter().all(|object| names.known(object).is_some()));
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
}
