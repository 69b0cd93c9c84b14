//! A tree of objects in memory as a root, in place of a git tree. Every object is known by its digest, and reads are
//! counted.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use taut_digest::{Digest, Hash, HashFunction, ObjectInfo, ObjectType, TreeEntry, encode_git_tree};
use taut_repos::{Entry, Listed, Listing, Observation, Result, Source, SourceRoot, Symlinks};
use taut_value::Str;

const FUNCTION: HashFunction = HashFunction::GitSha1;

/// The entries of one tree.
#[derive(Default)]
struct Snapshot {
    /// By path; "" is the root.
    known: BTreeMap<String, ObjectInfo>,
    objects: HashMap<Hash, Vec<u8>>,
}

impl Snapshot {
    fn of(files: &BTreeMap<String, (ObjectType, Vec<u8>)>) -> Snapshot {
        let mut all = Snapshot::default();
        all.tree("", files);
        all
    }

    fn add(&mut self, path: &str, object_type: ObjectType, hash: Hash, content: Vec<u8>) -> TreeEntry {
        let digest = Digest { hash, size: content.len() as u64 };
        self.known.insert(path.to_owned(), ObjectInfo { digest, object_type });
        self.objects.insert(hash, content);
        TreeEntry { hash, object_type }
    }

    fn tree(&mut self, path: &str, files: &BTreeMap<String, (ObjectType, Vec<u8>)>) -> TreeEntry {
        let mut entries = BTreeMap::new();
        for (file, (object_type, content)) in files {
            let below = if path.is_empty() { Some(&**file) } else { strip(file, path) };
            let Some(below) = below else { continue };
            let name = below.split('/').next().unwrap().to_owned();
            let full = join(path, &name);
            let entry = match below == name {
                true => self.add(&full, *object_type, FUNCTION.blob(content), content.clone()),
                false if entries.contains_key(&name) => continue,
                false => self.tree(&full, files),
            };
            entries.insert(name, entry);
        }
        let encoded = encode_git_tree(&entries);
        self.add(path, ObjectType::Tree, FUNCTION.tree(&encoded), encoded)
    }

    /// The target of a link.
    fn followed(&self, path: &str) -> Option<&ObjectInfo> {
        let mut path = path.to_owned();
        loop {
            let info = self.known.get(&path)?;
            if info.object_type != ObjectType::Symlink {
                return Some(info);
            }
            let target = std::str::from_utf8(&self.objects[&info.digest.hash]).unwrap();
            path = join(path.rsplit_once('/').map_or("", |(above, _)| above), target);
        }
    }

    fn seen(&self, path: &str, symlinks: Symlinks) -> Vec<u8> {
        let info = if symlinks == Symlinks::Follow { self.followed(path) } else { self.known.get(path) };
        let info = info.map(|info| info.to_string().into_bytes()).unwrap_or_default();
        [&b"object"[..], &info].concat()
    }
}

fn strip<'f>(file: &'f str, directory: &str) -> Option<&'f str> {
    file.strip_prefix(directory)?.strip_prefix('/')
}

fn join(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") }
}

/// The root; its content can be replaced, as when another commit is pinned.
#[derive(Default)]
pub(crate) struct MemoryRoot {
    files: Mutex<BTreeMap<String, (ObjectType, Vec<u8>)>>,
    now: Mutex<Arc<Snapshot>>,
    reads: AtomicUsize,
}

impl MemoryRoot {
    pub(crate) fn put(&self, path: &str, file: Option<(ObjectType, Vec<u8>)>) {
        let mut files = self.files.lock().unwrap();
        match file {
            Some(file) => drop(files.insert(path.to_owned(), file)),
            None => drop(files.remove(path)),
        }
        *self.now.lock().unwrap() = Arc::new(Snapshot::of(&files));
    }

    /// How many objects were read so far.
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(SeqCst)
    }

    fn now(&self) -> Arc<Snapshot> {
        self.now.lock().unwrap().clone()
    }
}

impl SourceRoot for MemoryRoot {
    fn identity(&self) -> Vec<u8> {
        let now = self.now();
        [&[255], now.known[""].digest.hash.as_bytes()].concat()
    }

    fn shown(&self, path: &str) -> PathBuf {
        Path::new("memory").join(path)
    }

    fn directory(&self) -> Option<&Path> {
        None
    }

    fn list(&self, path: &str, ignore_special: bool) -> Result<Listing> {
        let now = self.now();
        if now.known.get(path).is_none_or(|info| info.object_type != ObjectType::Tree) {
            return Ok(Listing::Absent);
        }
        let mut entries = Vec::new();
        for (file, info) in now.known.iter().filter(|(file, _)| !file.is_empty()) {
            let name = if path.is_empty() { Some(&**file) } else { strip(file, path) };
            let Some(name) = name.filter(|name| !name.contains('/')) else { continue };
            let entry = match info.object_type {
                ObjectType::Tree => Entry::Directory,
                ObjectType::Symlink if ignore_special => continue,
                ObjectType::Symlink => Entry::Symlink,
                ObjectType::File | ObjectType::Executable => Entry::File,
            };
            entries.push(Listed { name: Str::from(name), entry, known: Some(Box::new(*info)) });
        }
        entries.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
        Ok(Listing::of(entries, None))
    }

    fn is_file(&self, path: &Path) -> bool {
        let now = self.now();
        let found = path.to_str().and_then(|path| now.followed(path));
        found.is_some_and(|info| info.object_type != ObjectType::Tree)
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let now = self.now();
        match now.followed(path).filter(|info| info.object_type != ObjectType::Tree) {
            Some(info) => self.object(&info.digest.hash, info.object_type),
            None => Ok(None),
        }
    }

    fn source<'p>(&self, path: &'p str) -> Result<Source<'p>> {
        Ok(self.now().known.get(path).map_or(Source::Absent, |info| Source::Known(*info)))
    }

    fn object(&self, hash: &Hash, _: ObjectType) -> Result<Option<Vec<u8>>> {
        self.reads.fetch_add(1, SeqCst);
        Ok(self.now().objects.get(hash).cloned())
    }

    fn observe(&self, path: &str, symlinks: Symlinks, read: &mut dyn FnMut()) -> Result<Observation> {
        let witness = Some(self.witness(path, symlinks)?);
        read();
        Ok(Observation { witness, is_steady: true })
    }

    fn witness(&self, path: &str, symlinks: Symlinks) -> Result<Vec<u8>> {
        Ok(self.now().seen(path, symlinks))
    }

    fn holds(&self, path: &str, symlinks: Symlinks, witness: &[u8]) -> bool {
        self.now().seen(path, symlinks) == witness
    }
}
