//! Objects that servers have and this build root may lack: what is known of them, and the trees that contain some.
//!
//! An object that is noted for a server counts as present ([`Store::contains`]) without a question to the server. That
//! is a claim and no proof: when it turns out wrong, because the server has collected the object, the note is removed
//! and the object is lost like one of the build root. What is used in this process was checked in it
//! ([`Store::is_checked`]).
//!
//! A tree in the build root has everything below it there, too. So a tree with entries that only a server has is kept
//! apart, as a file of its own; it counts as present as long as all its entries do.
//!
//! Both are kept between calls in lists (`lists.rs`), under the name of the epoch, so they are collected with the
//! objects. For each server there are the noted objects, with hash and size (0 if it is not known). For each tree that
//! is kept apart there is the digest of the blob with its bytes. That blob is a `Tree` message with the directory
//! alone: in compatible mode the bare bytes would be the tree itself. Entries of the older epoch that are used are
//! written into the younger.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ffi::OsStr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use taut_digest::{Digest, Hash, HashFunction, ObjectInfo, ObjectType, TreeEntry};
use taut_proto::{Message as _, TreeBytes};
use taut_service::Cas;

use crate::{
    Error, FailedCall, RemoteFault, Result, Store,
    arriving::Arriving,
    lists::{Key, Lists},
};

/// In front of the id of a server and the name of the epoch; and of the latter alone, for trees. The numbers are raised
/// when lists get another meaning.
// A salt ends with a zero byte, which neither an id nor an epoch has, so no two of them make the same key.
const OBJECTS_SALT: &str = "taut held 1\0";
const TREES_SALT: &str = "taut trees 1\0";

/// A server that has objects.
#[derive(Clone)]
pub struct ObjectServer {
    /// Identifies it in what is kept between calls: letters and digits.
    pub id: String,
    /// How messages name it.
    pub name: String,
    /// Its CAS. In native mode, names say what they are about ([`Hash::tagged`]).
    pub cas: Arc<dyn Cas>,
}

impl std::fmt::Debug for ObjectServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectServer").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Servers as bits, by number.
// A word for each object in place of a list: a build may know a million objects, and has a few servers.
type ServerSet = u64;

/// How many servers a store may have at once.
pub const MAX_SERVERS: usize = ServerSet::BITS as usize;

/// What is known of an object.
#[derive(Default)]
struct KnownObject {
    /// `None` if it is not known: entries of git trees have none.
    size: Option<u64>,
    // A claim of an earlier process, or of this one.
    at: ServerSet,
    /// Where it was seen or put in this process.
    // Never written down: what holds is what this process has seen.
    checked: ServerSet,
    /// In whose lists of the youngest epoch it is, or will be.
    // Set when it is queued, not when it is on disk: a list that could not be written costs a question to the server
    // later.
    written: ServerSet,
}

/// The bytes of a tree that is kept apart.
struct SeparateTree {
    blob: Digest,
    /// Whether a list of the youngest epoch has it, or will have.
    is_young: bool,
}

#[derive(Default)]
struct ServerIndex {
    held: HashMap<Key, KnownObject>,
    /// Trees that were found complete; emptied when something is forgotten.
    // So that each tree is walked once, however many trees contain it.
    sound: HashSet<Hash>,
    trees: HashMap<Hash, SeparateTree>,
    /// What no list has yet, by server; and trees.
    new: Vec<Vec<Key>>,
    new_trees: Vec<Hash>,
    /// Servers whose lists contain something that was forgotten.
    stale: ServerSet,
    /// The lists of the older epoch, by server, if there is one.
    older: Vec<Option<Lists>>,
    /// The lists of the youngest epoch, by server; and of trees.
    lists: Vec<Lists>,
    lists_of_trees: Option<Lists>,
}

/// What servers have.
pub(crate) struct ServerObjects {
    pub(crate) servers: Vec<ObjectServer>,
    state: Mutex<ServerIndex>,
    losses: Mutex<Losses>,
    // Relaxed wherever it is used: a statistic.
    fetched_bytes: AtomicU64,
    /// Of transfers that have not ended.
    pub(crate) arriving: Arriving,
}

/// What servers turned out not to have in this process.
#[derive(Default)]
struct Losses {
    /// The last server that did not have something since objects were made again.
    server: Option<usize>,
    /// What came wrong since then.
    wrong: HashSet<(usize, Key)>,
    /// What came wrong before, and not right since.
    wrong_before: HashSet<(usize, Key)>,
    /// Trees that a server has without something that is below them, in native mode.
    incomplete: HashSet<(usize, Key)>,
    /// What some server did not have, in compatible mode.
    gone: HashSet<Key>,
}

fn key(object: &ObjectInfo) -> Key {
    (object.object_type == ObjectType::Tree, object.digest.hash)
}

/// Whether an object without a size is one that has none, and not one of unknown size.
fn is_empty(function: HashFunction, (is_tree, hash): Key) -> bool {
    hash == if is_tree { function.tree(b"") } else { function.blob(b"") }
}

fn salt(server: &ObjectServer, epoch: &OsStr) -> Vec<u8> {
    [OBJECTS_SALT.as_bytes(), server.id.as_bytes(), b"\0", epoch.as_encoded_bytes()].concat()
}

fn salt_of_trees(epoch: &OsStr) -> Vec<u8> {
    [TREES_SALT.as_bytes(), epoch.as_encoded_bytes()].concat()
}

impl ServerIndex {
    fn read(&mut self, function: HashFunction, key: Key, digest: Digest, server: usize, is_young: bool) {
        let held = self.held.entry(key).or_default();
        let size = Some(digest.size).filter(|size| *size > 0 || is_empty(function, key));
        // The first known size holds: a later record without one must not erase it.
        held.size = held.size.or(size);
        held.at |= 1 << server;
        if is_young {
            held.written |= 1 << server;
        }
    }

    /// Writes down, next time, where an object that is used is.
    fn keep(&mut self, key: Key) {
        let Some(held) = self.held.get_mut(&key) else { return };
        let unwritten = held.at & !held.written;
        if unwritten == 0 {
            return;
        }
        held.written |= unwritten;
        for (server, new) in self.new.iter_mut().enumerate() {
            if unwritten & (1 << server) != 0 {
                new.push(key);
            }
        }
    }
}

impl ServerObjects {
    pub(crate) fn open(store: &Store, servers: Vec<ObjectServer>) -> Result<ServerObjects> {
        assert!(servers.len() <= MAX_SERVERS, "a set of servers has a bit for each");
        let (young, older) = store.epochs()?;
        let mut state = ServerIndex { new: vec![Vec::new(); servers.len()], ..ServerIndex::default() };
        let function = store.hash_function();
        for (number, server) in servers.iter().enumerate() {
            let mut read = |epoch: &OsStr, is_young| {
                Lists::read(store, salt(server, epoch), |key, digest| {
                    state.read(function, key, digest, number, is_young);
                })
            };
            let older = older.as_ref().map(|older| read(older, false)).transpose()?;
            let lists = read(&young, true)?;
            state.older.push(older);
            state.lists.push(lists);
        }
        let mut read = |epoch: &OsStr, is_young| {
            Lists::read(store, salt_of_trees(epoch), |(_, hash), blob| {
                state.trees.insert(hash, SeparateTree { blob, is_young });
            })
        };
        if let Some(older) = &older {
            read(older, false)?;
        }
        state.lists_of_trees = Some(read(&young, true)?);
        Ok(ServerObjects {
            servers,
            state: Mutex::new(state),
            losses: Mutex::default(),
            fetched_bytes: AtomicU64::new(0),
            arriving: Arriving::default(),
        })
    }

    fn losses(&self) -> MutexGuard<'_, Losses> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts bytes that were fetched, and returns how many.
    pub(crate) fn add_fetched(&self, bytes: u64) -> u64 {
        self.fetched_bytes.fetch_add(bytes, Relaxed);
        bytes
    }

    /// Notes that an object came from a server, and whether it was right. Returns whether it is wrong although it was
    /// made again.
    pub(crate) fn note_fetched(&self, server: usize, object: &ObjectInfo, is_right: bool) -> bool {
        let (mut losses, one) = (self.losses(), (server, key(object)));
        if is_right {
            losses.wrong_before.remove(&one);
            return false;
        }
        losses.wrong.insert(one);
        losses.wrong_before.contains(&one)
    }

    fn state(&self) -> MutexGuard<'_, ServerIndex> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where an object is, and its size, if that is known.
    pub(crate) fn find(&self, key: Key) -> Option<(usize, Option<u64>)> {
        let mut state = self.state();
        state.keep(key);
        let held = state.held.get(&key).filter(|held| held.at != 0)?;
        // What was seen in this process first.
        let at = if held.at & held.checked != 0 { held.at & held.checked } else { held.at };
        // The first server in the order of the configuration.
        Some((at.trailing_zeros() as usize, held.size))
    }

    fn note(
        &self,
        store: &Store,
        server: usize,
        is_checked: bool,
        objects: impl Iterator<Item = ObjectInfo>,
    ) {
        let mut state = self.state();
        for object in objects {
            let key = key(&object);
            let size =
                Some(object.digest.size).filter(|size| *size > 0 || is_empty(store.hash_function(), key));
            let held = state.held.entry(key).or_default();
            if held.size.is_none() && size.is_some() {
                held.size = size;
                // The record without the size is of less use.
                held.written = 0;
            }
            held.at |= 1 << server;
            if is_checked {
                held.checked |= 1 << server;
            }
            state.keep(key);
        }
    }

    fn forget(&self, server: usize, keys: impl Iterator<Item = Key>) {
        let mut state = self.state();
        for key in keys {
            if let Some(held) = state.held.get_mut(&key) {
                held.at &= !(1 << server);
                held.checked &= !(1 << server);
                held.written &= !(1 << server);
            }
        }
        // All of it, since which trees contain what was forgotten is not indexed; losses are rare.
        state.sound.clear();
        state.stale |= 1 << server;
    }

    fn save(&self, store: &Store) -> Result<()> {
        let state = &mut *self.state();
        for (number, lists) in state.lists.iter_mut().enumerate() {
            let new = std::mem::take(&mut state.new[number]);
            let known = |key: &Key| {
                let size = state.held.get(key).and_then(|held| held.size).unwrap_or(0);
                (*key, Digest { hash: key.1, size })
            };
            let is_here = |key: &Key| state.held.get(key).is_some_and(|held| held.at & (1 << number) != 0);
            if state.stale & (1 << number) != 0 {
                // With what only the older epoch had, whose lists have what was forgotten, too.
                // As a whole, since lists are only added to: an entry cannot be taken out of one.
                let all = state.held.keys().filter(|key| is_here(key)).map(known).collect();
                lists.replace(store, &all)?;
                if let Some(older) = &mut state.older[number] {
                    older.replace(store, &HashMap::<Key, Digest>::new())?;
                }
            } else {
                lists.add(store, new.iter().filter(|key| is_here(key)).map(known).collect())?;
            }
        }
        state.stale = 0;
        let new = std::mem::take(&mut state.new_trees);
        let trees =
            new.iter().filter_map(|hash| Some(((true, *hash), state.trees.get(hash)?.blob))).collect();
        state.lists_of_trees.as_mut().map_or(Ok(()), |lists| lists.add(store, trees))
    }

    /// Keeps a tree whose contents are partly elsewhere.
    pub(crate) fn keep_tree(&self, store: &Store, hash: &Hash, encoded: &[u8]) -> Result<()> {
        if self.has_kept(store, hash)? {
            return Ok(());
        }
        // Wrapped in a message, so that in compatible mode its name is not that of the tree itself.
        let message = TreeBytes { root: encoded.to_vec(), children: Vec::new() };
        let blob = store.put_blob(&message.encode_to_vec(), false)?;
        let mut state = self.state();
        state.trees.insert(*hash, SeparateTree { blob, is_young: true });
        state.new_trees.push(*hash);
        Ok(())
    }

    /// Where the bytes of a tree that is kept here are.
    fn blob_of_tree(&self, hash: &Hash) -> Option<Digest> {
        let state = &mut *self.state();
        let kept = state.trees.get_mut(hash)?;
        if !std::mem::replace(&mut kept.is_young, true) {
            state.new_trees.push(*hash);
        }
        Some(kept.blob)
    }

    /// Whether a tree is kept here.
    pub(crate) fn has_kept(&self, store: &Store, hash: &Hash) -> Result<bool> {
        self.blob_of_tree(hash).map_or(Ok(false), |blob| store.is_here(&blob.hash, ObjectType::File))
    }

    /// The bytes of a tree that is kept here.
    fn kept_tree(&self, store: &Store, hash: &Hash) -> Result<Option<Vec<u8>>> {
        let Some(blob) = self.blob_of_tree(hash) else { return Ok(None) };
        if !store.is_here(&blob.hash, ObjectType::File)? {
            return Ok(None);
        }
        let message = store.read(&blob.hash, ObjectType::File)?;
        let tree = message.and_then(|bytes| TreeBytes::decode(&bytes[..]).ok()).map(|message| message.root);
        Ok(tree.filter(|bytes| store.hash_function().tree(bytes) == *hash))
    }
}

impl Store {
    /// The name of an object at servers: as in messages.
    pub fn name_at_servers(&self, digest: &Digest, is_tree: bool) -> Digest {
        match self.hash_function() {
            HashFunction::GitSha1 => Digest { hash: digest.hash.tagged(is_tree), size: digest.size },
            HashFunction::Sha256 => *digest,
        }
    }

    /// Notes objects of an attached server. `is_checked`: that they were seen there, or put there, in this process; of
    /// a tree with all that is below it.
    pub fn note_at_server(
        &self,
        server: usize,
        is_checked: bool,
        objects: impl IntoIterator<Item = ObjectInfo>,
    ) {
        if let Some(servers) = self.server_objects() {
            let mut trees = Vec::new();
            let objects = objects.into_iter().inspect(|object| {
                if is_checked && object.object_type == ObjectType::Tree {
                    trees.push(key(object));
                }
            });
            servers.note(self, server, is_checked, objects);
            let mut losses = servers.losses();
            if !losses.incomplete.is_empty() {
                for tree in trees {
                    losses.incomplete.remove(&(server, tree));
                }
            }
        }
    }

    /// Forgets objects that a server turned out not to have; in native mode also the trees that have them in it, as far
    /// as their entries are known here: else these would count as complete, and what is lost would not be made again.
    pub fn forget_at_server(&self, server: usize, objects: impl IntoIterator<Item = ObjectInfo>) {
        let Some(servers) = self.server_objects() else { return };
        // For the message: the pass is repeated later, by a caller that did not see the loss.
        servers.losses().server = Some(server);
        let gone: Vec<Key> = objects.into_iter().map(|object| key(&object)).collect();
        servers.forget(server, gone.iter().copied());
        if self.hash_function() == HashFunction::GitSha1 {
            let above = self.trees_above(servers, gone);
            servers.forget(server, above.iter().copied());
            servers.losses().incomplete.extend(above.into_iter().map(|tree| (server, tree)));
        } else {
            servers.losses().gone.extend(gone);
        }
    }

    /// Whether something below a directory that is here was lost by a server, and is nowhere else, in compatible mode.
    // There, directories are kept in this build root while their files are at servers: so the directory alone says
    // nothing. Only after a loss, since it looks at all that is below.
    pub(crate) fn lacks_below(&self, tree: &Hash) -> Result<bool> {
        let Some(servers) = self.server_objects() else { return Ok(false) };
        // Copied, so that the lock is not held while directories are read.
        let gone = servers.losses().gone.clone();
        if gone.is_empty() {
            return Ok(false);
        }
        let (mut opened, mut pending) = (HashSet::from([*tree]), vec![*tree]);
        while let Some(hash) = pending.pop() {
            let Some(entries) = self.read_tree(&hash)? else { return Ok(true) };
            for entry in of_entries(&entries) {
                let ObjectInfo { digest: Digest { hash, .. }, object_type } = entry;
                if object_type == ObjectType::Tree {
                    if opened.insert(hash) {
                        pending.push(hash);
                    }
                } else if gone.contains(&key(&entry))
                    && !self.is_here(&hash, object_type)?
                    && !self.is_at_server(&hash, object_type)?
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The trees kept here that have one of some objects somewhere below them.
    fn trees_above(&self, servers: &ServerObjects, objects: Vec<Key>) -> HashSet<Key> {
        // Copied, so that the lock is not held while files are read.
        let kept: Vec<Hash> = servers.state().trees.keys().copied().collect();
        // The edges turned round, then a search upwards: trees refer to what is below them only.
        let mut parents: HashMap<Key, Vec<Key>> = HashMap::new();
        for tree in kept {
            // One that cannot be read is not there, and counts as lost itself.
            let Ok(Some(encoded)) = servers.kept_tree(self, &tree) else { continue };
            let Ok(Ok(entries)) = self.decode_tree(&encoded) else { continue };
            for entry in of_entries(&entries) {
                parents.entry(key(&entry)).or_default().push((true, tree));
            }
        }
        let (mut above, mut pending) = (HashSet::new(), objects);
        while let Some(object) = pending.pop() {
            for parent in parents.get(&object).into_iter().flatten() {
                if above.insert(*parent) {
                    pending.push(*parent);
                }
            }
        }
        above
    }

    /// Whether a server turned out to have this tree without something that is below it.
    pub fn is_incomplete(&self, server: usize, tree: &ObjectInfo) -> bool {
        self.server_objects()
            .is_some_and(|servers| servers.losses().incomplete.contains(&(server, key(tree))))
    }

    /// What is lost is made again from now on: what a server has wrong then is not worth another try. Returns the
    /// server that turned out not to have something since the last time, if one did.
    pub fn make_lost_again(&self) -> Option<&str> {
        let servers = self.server_objects()?;
        let mut losses = servers.losses();
        // From "wrong once" to "wrong before": if it comes wrong again although it was made again, the server is at
        // fault.
        let wrong = std::mem::take(&mut losses.wrong);
        losses.wrong_before.extend(wrong);
        losses.server.take().map(|server| &*servers.servers[server].name)
    }

    /// The server that turned out not to have something since [`Store::make_lost_again`], if one did.
    pub fn losing_server(&self) -> Option<&str> {
        let servers = self.server_objects()?;
        let server = servers.losses().server;
        server.map(|server| &*servers.servers[server].name)
    }

    /// The name of a server that has something else under the name of this object.
    pub fn wrong_at(&self, object: &ObjectInfo) -> Option<&str> {
        let servers = self.server_objects()?;
        let losses = servers.losses();
        let is_wrong = |number: &usize| {
            let one = (*number, key(object));
            losses.wrong.contains(&one) || losses.wrong_before.contains(&one)
        };
        (0..servers.servers.len()).find(is_wrong).map(|number| &*servers.servers[number].name)
    }

    /// The names of the servers that are asked for objects.
    pub fn object_servers(&self) -> impl Iterator<Item = &str> {
        self.server_objects().into_iter().flat_map(|servers| &servers.servers).map(|server| &*server.name)
    }

    /// Whether the bytes of a tree are on this machine, whatever is with what is below it.
    ///
    /// # Errors
    /// The build root cannot be read.
    pub fn has_bytes_of_tree(&self, hash: &Hash) -> Result<bool> {
        let kept = |servers: &ServerObjects| servers.has_kept(self, hash);
        Ok(self.is_here(hash, ObjectType::Tree)? || self.server_objects().map_or(Ok(false), kept)?)
    }

    /// Writes down what was noted.
    ///
    /// # Errors
    /// The build root cannot be written to.
    pub fn save_server_objects(&self) -> Result<()> {
        self.server_objects().map_or(Ok(()), |servers| servers.save(self))
    }

    /// Whether an object was seen in this process at an attached server, or put there.
    pub fn is_checked(&self, server: usize, object: &ObjectInfo) -> bool {
        self.server_objects().is_some_and(|servers| {
            servers.state().held.get(&key(object)).is_some_and(|held| held.checked & (1 << server) != 0)
        })
    }

    /// Whether an object was noted for an attached server, in this process or before.
    pub fn is_noted(&self, server: usize, object: &ObjectInfo) -> bool {
        self.server_objects().is_some_and(|servers| {
            servers.state().held.get(&key(object)).is_some_and(|held| held.at & (1 << server) != 0)
        })
    }

    /// Counts bytes that came from attached servers on another way than by the store.
    pub fn count_fetched(&self, bytes: u64) {
        if let Some(servers) = self.server_objects() {
            servers.add_fetched(bytes);
        }
    }

    /// How many bytes came from attached servers, with those of transfers that have not ended.
    pub fn fetched_so_far(&self) -> u64 {
        self.server_objects()
            .map_or(0, |servers| servers.fetched_bytes.load(Relaxed) + servers.arriving.bytes())
    }

    /// How many bytes came from attached servers since this was called before.
    pub fn take_fetched_bytes(&self) -> u64 {
        self.server_objects().map_or(0, |servers| servers.fetched_bytes.swap(0, Relaxed))
    }

    /// The objects that were noted for a server in earlier processes, and not seen in this one.
    pub(crate) fn unchecked(&self, server: usize) -> Vec<ObjectInfo> {
        let Some(servers) = self.server_objects() else { return Vec::new() };
        let state = servers.state();
        let bit = 1 << server;
        let unchecked = state.held.iter().filter(|(_, held)| held.at & bit != 0 && held.checked & bit == 0);
        unchecked
            .map(|((is_tree, hash), held)| ObjectInfo {
                digest: Digest { hash: *hash, size: held.size.unwrap_or(0) },
                object_type: if *is_tree { ObjectType::Tree } else { ObjectType::File },
            })
            .collect()
    }

    /// Whether servers have an object; a tree, also if it is kept here and all its entries are here or there.
    pub(crate) fn is_at_server(&self, hash: &Hash, object_type: ObjectType) -> Result<bool> {
        let Some(servers) = self.server_objects() else { return Ok(false) };
        let is_tree = object_type == ObjectType::Tree;
        if servers.find((is_tree, *hash)).is_some() {
            return Ok(true);
        }
        if !is_tree {
            return Ok(false);
        }
        // All trees that are kept here and reached from this one, without recursion.
        let (mut seen, mut pending) = (HashSet::from([*hash]), vec![*hash]);
        while let Some(tree) = pending.pop() {
            // Locked for each look, not for the walk: `kept_tree` and `find` take the same lock.
            if servers.state().sound.contains(&tree) {
                continue;
            }
            let Some(encoded) = servers.kept_tree(self, &tree)? else { return Ok(false) };
            let Ok(entries) = self.decode_tree(&encoded)? else { return Ok(false) };
            for entry in entries.values() {
                if self.is_here(&entry.hash, entry.object_type)?
                    || servers.find((entry.object_type == ObjectType::Tree, entry.hash)).is_some()
                {
                    continue;
                }
                if entry.object_type != ObjectType::Tree {
                    return Ok(false);
                }
                if seen.insert(entry.hash) {
                    pending.push(entry.hash);
                }
            }
        }
        // All that were walked are below the one that turned out sound, so each of them is.
        servers.state().sound.extend(seen);
        Ok(true)
    }

    /// The bytes of a tree that is not in the store itself; `None` if it is nowhere.
    pub(crate) fn tree_from_server(&self, hash: &Hash) -> Result<Option<Vec<u8>>> {
        let Some(servers) = self.server_objects() else { return Ok(None) };
        if let Some(encoded) = servers.kept_tree(self, hash)? {
            if let Some((server, _)) = servers.find((true, *hash)) {
                self.note_entries(server, &encoded)?;
            }
            return Ok(Some(encoded));
        }
        let tree = ObjectInfo { digest: Digest { hash: *hash, size: 0 }, object_type: ObjectType::Tree };
        taut_service::wait(self.fetch_trees(&[tree]))?;
        servers.kept_tree(self, hash)
    }

    /// Notes the entries of a tree that a server has: in native mode it has all that is below.
    pub(crate) fn note_entries(&self, server: usize, encoded: &[u8]) -> Result<()> {
        let (Some(servers), HashFunction::GitSha1) = (self.server_objects(), self.hash_function()) else {
            return Ok(());
        };
        let Ok(entries) = self.decode_tree(encoded)? else { return Ok(()) };
        // Not as checked: that the server has them follows from its protocol, and it may have lost some since.
        servers.note(self, server, false, of_entries(&entries));
        Ok(())
    }

    /// The size of an object, if it is known without a question to a server.
    ///
    /// # Errors
    /// The build root cannot be read.
    pub fn known_size(&self, hash: &Hash, object_type: ObjectType) -> Result<Option<u64>> {
        if let Some(content) = self.withheld_content(hash, object_type) {
            return Ok(Some(content.len() as u64));
        }
        if self.is_here(hash, object_type)? {
            return self.size(hash, object_type);
        }
        let Some(servers) = self.server_objects() else { return Ok(None) };
        let is_tree = object_type == ObjectType::Tree;
        if let Some((_, Some(size))) = servers.find((is_tree, *hash)) {
            return Ok(Some(size));
        }
        let kept = if is_tree { servers.kept_tree(self, hash)? } else { None };
        Ok(kept.map(|encoded| encoded.len() as u64))
    }

    /// The size of an object that is not in the store itself.
    pub(crate) fn size_at_server(&self, hash: &Hash, object_type: ObjectType) -> Result<Option<u64>> {
        let Some(servers) = self.server_objects() else { return Ok(None) };
        let is_tree = object_type == ObjectType::Tree;
        match servers.find((is_tree, *hash)) {
            Some((_, Some(size))) => Ok(Some(size)),
            _ if is_tree => Ok(self.tree_from_server(hash)?.map(|encoded| encoded.len() as u64)),
            Some((_, None)) if self.fetch_blob(hash, object_type)? => self.size(hash, object_type),
            _ => Ok(None),
        }
    }
}

/// The entries of a tree as objects of unknown size.
fn of_entries(entries: &BTreeMap<Vec<u8>, TreeEntry>) -> impl Iterator<Item = ObjectInfo> {
    entries.values().map(|entry| ObjectInfo {
        digest: Digest { hash: entry.hash, size: 0 },
        object_type: entry.object_type,
    })
}

/// Why something was not answered: mostly by a server.
pub(crate) fn unanswered(server: &ObjectServer, error: &taut_service::Error, is_of_trees: bool) -> Error {
    match error {
        // The server has done its part.
        taut_service::Error::Local(why) => Error::Transfer(why.clone()),
        error => Error::Remote(RemoteFault {
            why: format!("server {}: {error}", server.name),
            call: FailedCall::of(error),
            is_of_trees,
        }),
    }
}
