//! Objects on their way from attached servers: trees level by level, then all files in one question.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use taut_digest::{Digest, Hash, HashFunction, ObjectInfo, ObjectType, TreeEntry};
use taut_service::{Buffer, Error as Unanswered, Receiver};

use crate::{
    Error, Incoming, RemoteFault, Result, Store,
    arriving::Counting,
    cas::{kind_of_file, mode_of},
    layout::Kind,
    server_objects::{ServerObjects, unanswered},
    temporary::PartialFile,
    trees::measured_entries,
};

/// How many digests are in one question about what is still there.
// The service divides it further into messages; this bounds what is in memory for one question.
const MAX_DIGESTS: usize = 50_000;

/// A file of unknown size on its way, which is hashed when all of it is here.
struct Unmeasured {
    store: Store,
    kind: Kind,
    file: Mutex<PartialFile>,
}

impl Unmeasured {
    fn file(&self) -> MutexGuard<'_, PartialFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores it; its size, unless it is another blob than expected.
    fn finish(&self, expected: &Hash) -> Result<Option<u64>> {
        let Some((temporary, file)) = self.file().take(&self.store)? else { return Ok(None) };
        drop(file);
        let mut written = temporary.at().open()?;
        if self.store.hash_open(&mut written)? != Some(*expected) {
            return Ok(None);
        }
        let size = written.stat()?.size();
        written.set_mtime_epoch()?;
        drop(written);
        self.store.commit(temporary, self.kind, expected)?;
        Ok(Some(size))
    }
}

impl Receiver for Unmeasured {
    fn begin(&self) -> io::Result<()> {
        self.file().begin(&self.store, mode_of(self.kind)).map_err(io::Error::other)
    }

    fn piece(&self, bytes: &[u8]) -> io::Result<()> {
        self.file().write(&self.store, bytes).map_err(io::Error::other)
    }

    fn again(&self, take: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        let partial = self.file();
        let Some(name) = partial.name() else { return Ok(false) };
        // The open file can only be written to.
        let dir = self.store.ephemeral().map_err(io::Error::other)?;
        let mut file = dir.at(name).open().map_err(io::Error::other)?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            match file.read_some(&mut buffer).map_err(io::Error::other)? {
                0 => return Ok(true),
                count => take(&buffer[..count]),
            }
        }
    }
}

impl Drop for Unmeasured {
    fn drop(&mut self) {
        self.file().discard(&self.store);
    }
}

/// A file on its way.
enum IncomingFile {
    Measured(Arc<Incoming>),
    Unmeasured(Arc<Unmeasured>),
}

impl IncomingFile {
    fn receiver(&self) -> Arc<dyn Receiver> {
        match self {
            IncomingFile::Measured(incoming) => incoming.clone(),
            IncomingFile::Unmeasured(incoming) => incoming.clone(),
        }
    }

    /// Stores it; the bytes that were not counted when they came, unless it is another blob.
    fn finish(&self, hash: &Hash) -> Result<Option<u64>> {
        match self {
            IncomingFile::Measured(incoming) => Ok(incoming.finish(Some(hash))?.map(|_| 0)),
            IncomingFile::Unmeasured(incoming) => incoming.finish(hash),
        }
    }
}

/// What of some objects is not in the store itself.
#[derive(Default)]
struct MissingObjects {
    /// The trees among the objects.
    tops: Vec<Hash>,
    /// These, and all below.
    trees: HashMap<Hash, BTreeMap<Vec<u8>, TreeEntry>>,
    files: HashSet<(Hash, ObjectType)>,
    /// How many bytes of trees came when they were looked for.
    bytes: u64,
}

/// What is asked of one server.
type ServerRequest = Vec<(ObjectInfo, Digest, Arc<dyn Receiver>)>;

impl Store {
    /// Brings objects into the store itself, trees with all that is below them, from attached servers where it lacks
    /// them. Nothing is asked if there is nothing to fetch. Returns how many bytes came.
    ///
    /// # Errors
    /// [`Error::Missing`] of an object that no server has; or a server does not answer.
    pub async fn fetch(&self, objects: &[ObjectInfo]) -> Result<u64> {
        let MissingObjects { tops, trees, files, bytes } = self.below(objects).await?;
        // Files before trees are stored: a tree in the store has all that is below it there.
        let bytes = bytes + self.fetch_files(files.into_iter().collect()).await?;
        self.put_fetched(tops, &trees)?;
        Ok(bytes)
    }

    /// As [`Store::fetch`], but of a tree only its own bytes, which are kept beside the store.
    ///
    /// # Errors
    /// As for [`Store::fetch`].
    pub async fn fetch_each(&self, objects: &[ObjectInfo]) -> Result<u64> {
        let is_tree = |object: &&ObjectInfo| object.object_type == ObjectType::Tree;
        let trees: Vec<ObjectInfo> = objects.iter().filter(is_tree).copied().collect();
        let files = objects.iter().filter(|object| !is_tree(object));
        let files = files.map(|object| (object.digest.hash, object.object_type)).collect();
        Ok(self.fetch_trees(&trees).await? + self.fetch_files(files).await?)
    }

    /// The name of the first server that some of these objects have to be fetched from.
    ///
    /// # Errors
    /// The build root cannot be read.
    pub fn server_of(&self, objects: &[ObjectInfo]) -> Result<Option<&str>> {
        let Some(servers) = self.server_objects() else { return Ok(None) };
        for ObjectInfo { digest, object_type } in objects {
            if !self.is_here(&digest.hash, *object_type)?
                && let Some((server, _)) = servers.find((*object_type == ObjectType::Tree, digest.hash))
            {
                return Ok(Some(&servers.servers[server].name));
            }
        }
        Ok(None)
    }

    /// Brings the directories among objects, and those below, to this machine, without the files in them.
    async fn fetch_directories(&self, objects: &[ObjectInfo]) -> Result<()> {
        self.below(objects).await.map(drop)
    }

    /// As [`Store::fetch`], and waits for it.
    ///
    /// # Errors
    /// As for [`Store::fetch`].
    pub fn bring(&self, objects: &[ObjectInfo]) -> Result<()> {
        taut_service::wait(self.fetch(objects)).map(drop)
    }

    /// Brings the directories among objects, and those below, to this machine, without the files in them.
    ///
    /// # Errors
    /// As for [`Store::fetch`].
    pub fn bring_directories(&self, objects: &[ObjectInfo]) -> Result<()> {
        taut_service::wait(self.fetch_directories(objects))
    }

    /// What is to be fetched for some objects; all directories have been fetched.
    // Trees first, as a whole: only then all files are known, and can be asked for in one question.
    async fn below(&self, objects: &[ObjectInfo]) -> Result<MissingObjects> {
        if self.server_objects().is_none() {
            return Ok(MissingObjects::default());
        }
        let mut trees: HashMap<Hash, BTreeMap<Vec<u8>, TreeEntry>> = HashMap::new();
        let mut files: HashSet<(Hash, ObjectType)> = HashSet::new();
        let mut tops = Vec::new();
        let mut level: Vec<Hash> = Vec::new();
        let mut bytes = 0;
        for object in objects {
            if self.is_here(&object.digest.hash, object.object_type)? {
                continue;
            }
            match object.object_type {
                ObjectType::Tree => {
                    level.push(object.digest.hash);
                    tops.push(object.digest.hash);
                }
                object_type => drop(files.insert((object.digest.hash, object_type))),
            }
        }
        // Level by level: each takes one round trip, however many trees it has.
        while !level.is_empty() {
            // A tree that is below several others, at different depths, is asked for once.
            level.retain(|tree| !trees.contains_key(tree));
            // Sorted, so that questions to servers are the same in each run.
            level.sort_unstable();
            level.dedup();
            bytes += self.fetch_trees(&level.iter().map(of_tree).collect::<Vec<_>>()).await?;
            let mut below = Vec::new();
            for tree in level {
                let entries = self.read_tree(&tree)?.ok_or(Error::Missing(of_tree(&tree)))?;
                for entry in entries.values() {
                    if self.is_here(&entry.hash, entry.object_type)? {
                        continue;
                    }
                    match entry.object_type {
                        ObjectType::Tree => below.push(entry.hash),
                        object_type => drop(files.insert((entry.hash, object_type))),
                    }
                }
                trees.insert(tree, entries);
            }
            level = below;
        }
        Ok(MissingObjects { tops, trees, files, bytes })
    }

    /// Stores trees whose other contents are all here by now, each after those in it.
    fn put_fetched(
        &self,
        tops: Vec<Hash>,
        trees: &HashMap<Hash, BTreeMap<Vec<u8>, TreeEntry>>,
    ) -> Result<()> {
        let mut opened = HashSet::new();
        let mut steps: Vec<(Hash, bool)> = tops.into_iter().map(|tree| (tree, false)).collect();
        while let Some((tree, is_closed)) = steps.pop() {
            let Some(entries) = trees.get(&tree) else { continue };
            if is_closed {
                let encoded = self.read(&tree, ObjectType::Tree)?.ok_or(Error::Missing(of_tree(&tree)))?;
                self.put_tree_bytes(&encoded)?;
                continue;
            }
            if opened.insert(tree) {
                // Pushed before the ones in it, so popped after them.
                steps.push((tree, true));
                let below = entries.values().filter(|entry| entry.object_type == ObjectType::Tree);
                steps.extend(below.map(|entry| (entry.hash, false)));
            }
        }
        Ok(())
    }

    /// Brings the bytes of trees here that are neither in the store nor kept beside it; returns how many.
    pub(crate) async fn fetch_trees(&self, trees: &[ObjectInfo]) -> Result<u64> {
        let Some(servers) = self.server_objects() else { return Ok(0) };
        let mut wanted: HashMap<usize, ServerRequest> = HashMap::new();
        let mut buffers = Vec::new();
        for tree in trees {
            let hash = &tree.digest.hash;
            if self.is_here(hash, ObjectType::Tree)? || servers.has_kept(self, hash)? {
                continue;
            }
            let Some((server, size)) = servers.find((true, *hash)) else { continue };
            // In memory: a tree is small, and has to be read as a whole before it is of use.
            let buffer: Arc<Buffer> = Arc::default();
            let digest = Digest { hash: *hash, size: size.unwrap_or(0) };
            let name = self.name_at_servers(&digest, true);
            wanted.entry(server).or_default().push((*tree, name, buffer.clone()));
            buffers.push((*tree, server, buffer, size.is_none()));
        }
        let mut bytes = self.ask(servers, wanted).await?;
        for (tree, server, buffer, is_uncounted) in buffers {
            let encoded = buffer.take();
            if is_uncounted {
                bytes += servers.add_fetched(encoded.len() as u64);
            }
            servers.keep_tree(self, &tree.digest.hash, &encoded)?;
            match self.hash_function() {
                HashFunction::GitSha1 => self.note_entries(server, &encoded)?,
                // The server should have them; else it turns out when they are read.
                HashFunction::Sha256 => self.note_at_server(server, false, measured_entries(&encoded)),
            }
        }
        Ok(bytes)
    }

    async fn fetch_files(&self, files: Vec<(Hash, ObjectType)>) -> Result<u64> {
        let Some(servers) = self.server_objects() else { return Ok(0) };
        let mut wanted: HashMap<usize, ServerRequest> = HashMap::new();
        let mut coming: Vec<(usize, ObjectInfo, IncomingFile)> = Vec::new();
        let mut first = HashMap::new();
        for (hash, object_type) in files {
            let lost = Error::Missing(ObjectInfo { digest: Digest { hash, size: 0 }, object_type });
            let (server, size) = servers.find((false, hash)).ok_or(lost)?;
            // With either mode it is one blob: the other one is copied from it.
            if first.insert(hash, object_type).is_some() {
                continue;
            }
            let digest = Digest { hash, size: size.unwrap_or(0) };
            let object = ObjectInfo { digest, object_type };
            let is_executable = object_type == ObjectType::Executable;
            let kind = kind_of_file(is_executable);
            // Git's hash begins with the size. Where it is not known (an entry of a tree), the content is hashed when
            // it is complete.
            let one = match size {
                Some(size) => IncomingFile::Measured(Arc::new(self.incoming(size, is_executable))),
                None => {
                    let (store, file) = (self.clone(), Mutex::default());
                    IncomingFile::Unmeasured(Arc::new(Unmeasured { store, kind, file }))
                }
            };
            let name = self.name_at_servers(&digest, false);
            wanted.entry(server).or_default().push((object, name, one.receiver()));
            coming.push((server, object, one));
        }
        let mut bytes = self.ask(servers, wanted).await?;
        for (server, object, one) in coming {
            // The bytes were compared with the name already; this is the comparison of this side.
            match one.finish(&object.digest.hash)? {
                Some(uncounted) => bytes += servers.add_fetched(uncounted),
                None => return Err(Error::Damaged(object)),
            }
            if object.object_type == ObjectType::Symlink {
                let target = self.read(&object.digest.hash, ObjectType::Symlink)?.unwrap_or_default();
                if leads_outwards(&target) {
                    let (name, target) = (&servers.servers[server].name, String::from_utf8_lossy(&target));
                    let why = format!("server {name}: a link in a result leads outwards, to {target}");
                    return Err(Error::Remote(RemoteFault { why, call: None, is_of_trees: false }));
                }
            }
        }
        Ok(bytes)
    }

    /// Fetches blobs, and returns how many bytes came, without those of blobs of unknown size. What a server
    /// turns out not to have is forgotten. Then all other objects noted for that server are checked, so objects that
    /// were lost together are made again together.
    async fn ask(&self, servers: &ServerObjects, wanted: HashMap<usize, ServerRequest>) -> Result<u64> {
        let mut bytes = 0;
        for (number, wanted) in wanted {
            let server = &servers.servers[number];
            // Kept until the bytes count as fetched, so that the sum does not fall.
            let counting: Vec<Arc<Counting>> = (wanted.iter())
                .map(|(_, _, receiver)| Arc::new(servers.arriving.counting(receiver.clone())))
                .collect();
            let asked = (wanted.iter().zip(&counting))
                .map(|((_, name, _), receiver)| -> (Digest, Arc<dyn Receiver>) { (*name, receiver.clone()) })
                .collect();
            let is_tree = |(object, ..): &(ObjectInfo, _, _)| object.object_type == ObjectType::Tree;
            let is_of_trees = wanted.iter().any(is_tree);
            let answers = server.cas.get(asked).await;
            let answers = answers.map_err(|error| unanswered(server, &error, is_of_trees))?;
            let (mut lost, mut failed, mut wrong_again) = (Vec::new(), None, None);
            for ((object, name, _), answer) in wanted.iter().zip(answers) {
                match answer {
                    Ok(()) => {
                        servers.note_fetched(number, object, true);
                        bytes += servers.add_fetched(name.size);
                    }
                    Err(Unanswered::NotFound(_)) => lost.push(*object),
                    // A server that has something else under this name does not have it.
                    Err(Unanswered::Corrupt(_)) => {
                        lost.push(*object);
                        if servers.note_fetched(number, object, false) {
                            wrong_again = Some(*object);
                        }
                    }
                    Err(error) => failed = Some(error),
                }
            }
            // Before other failures: what is lost has to be forgotten, whatever else went wrong.
            if let Some(first) = lost.first() {
                let first = *first;
                self.forget_at_server(number, lost);
                // A server that has collected one object has mostly collected others: all are looked for now, not one
                // in each pass.
                self.verify_server_objects(number).await?;
                return Err(match wrong_again {
                    Some(object) => Error::WrongAtServer { server: server.name.clone(), object },
                    None => Error::Missing(first),
                });
            }
            if let Some(error) = failed {
                return Err(unanswered(server, &error, is_of_trees));
            }
        }
        Ok(bytes)
    }

    /// Looks for all objects at a server that were noted in earlier processes, and forgets those that it does not have.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn verify_server_objects(&self, number: usize) -> Result<()> {
        let Some(servers) = self.server_objects() else { return Ok(()) };
        let server = &servers.servers[number];
        let noted = self.unchecked(number);
        for some in noted.chunks(MAX_DIGESTS) {
            let name = |object: &ObjectInfo| {
                self.name_at_servers(&object.digest, object.object_type == ObjectType::Tree)
            };
            let missing = server.cas.missing(some.iter().map(name).collect()).await;
            let missing: HashSet<Digest> =
                missing.map_err(|error| unanswered(server, &error, false))?.into_iter().collect();
            let (gone, there): (Vec<ObjectInfo>, Vec<ObjectInfo>) =
                some.iter().partition(|object| missing.contains(&name(object)));
            // In compatible mode a directory may be there without what is in it.
            let has_all = |object: &ObjectInfo| {
                object.object_type != ObjectType::Tree || self.hash_function() == HashFunction::GitSha1
            };
            self.note_at_server(number, true, there.into_iter().filter(has_all));
            if !gone.is_empty() {
                self.forget_at_server(number, gone);
            }
        }
        Ok(())
    }

    /// Looks for everything below some trees at a server, since a tree does not prove it; forgets what is not there,
    /// with the trees above it. Brings the directories here.
    ///
    /// # Errors
    /// [`Error::Missing`] of a directory that is not there; or the server does not answer.
    pub async fn verify_below(&self, number: usize, trees: &[ObjectInfo]) -> Result<()> {
        let Some(servers) = self.server_objects() else { return Ok(()) };
        let server = &servers.servers[number];
        // The directories come here, since only their entries say what to look for.
        let all = self.below(trees).await?;
        let entries = all.trees.values().flat_map(BTreeMap::values);
        let mut objects: HashMap<Digest, ObjectInfo> = HashMap::new();
        for entry in entries {
            let object =
                ObjectInfo { digest: Digest { hash: entry.hash, size: 0 }, object_type: entry.object_type };
            let name = self.name_at_servers(&object.digest, object.object_type == ObjectType::Tree);
            objects.insert(name, object);
        }
        let names: Vec<Digest> = objects.keys().copied().collect();
        for some in names.chunks(MAX_DIGESTS) {
            let missing = server.cas.missing(some.to_vec()).await;
            let missing = missing.map_err(|error| unanswered(server, &error, false))?;
            if !missing.is_empty() {
                self.forget_at_server(number, missing.iter().filter_map(|name| objects.get(name)).copied());
            }
        }
        Ok(())
    }

    /// Brings one file here; whether that succeeded. Waits: for what is read one by one.
    pub(crate) fn fetch_blob(&self, hash: &Hash, object_type: ObjectType) -> Result<bool> {
        if !self.is_at_server(hash, object_type)? {
            return Ok(false);
        }
        let object = ObjectInfo { digest: Digest { hash: *hash, size: 0 }, object_type };
        match taut_service::wait(self.fetch(&[object])) {
            Ok(_) => Ok(true),
            Err(Error::Missing(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn of_tree(hash: &Hash) -> ObjectInfo {
    ObjectInfo { digest: Digest { hash: *hash, size: 0 }, object_type: ObjectType::Tree }
}

/// Whether a link leads out of the directory that it lies in.
fn leads_outwards(target: &[u8]) -> bool {
    // By the text alone: what is in the way of a link does not matter, since other links lead inwards, too.
    let mut depth = 0_i64;
    target.starts_with(b"/")
        || target.split(|byte| *byte == b'/').any(|part| {
            match part {
                b"" | b"." => {}
                b".." => depth -= 1,
                _ => depth += 1,
            }
            depth < 0
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_outwards_if_any_part_of_them_does() {
        for outwards in ["/a", "..", "../a", "a/../../b", "./.."] {
            assert!(leads_outwards(outwards.as_bytes()), "{outwards}");
        }
        for inwards in ["", "a", "a/..", "a/../b", "./a", "a//b"] {
            assert!(!leads_outwards(inwards.as_bytes()), "{inwards}");
        }
    }
}
