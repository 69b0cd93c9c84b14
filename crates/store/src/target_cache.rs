//! The target-level cache: results of export targets by the hash of what determines them.
//!
//! An entry lies below a directory of its *shard*, which is named by the hash of a description of where actions run,
//! and under its key. It is the text `[<hash>:<size>:f]`, which names a file of the CAS with the result as JSON. The
//! result refers to objects, and to other entries, which it *implies*. Only the crate that writes it knows its format;
//! here functions of the caller find the references ([`Formats`]). Key and description, and what the key refers to, are
//! files of the CAS, too.
//!
//! An entry of the youngest generation is complete: all of this is brought there before it, when it is written and when
//! it is found in the older generation. The texts by which a person can find out what an entry is for may be lost,
//! though: no build needs them.

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
    sync::OnceLock,
};

use taut_digest::{Digest, Hash, ObjectInfo, ObjectType};
use taut_sys::{At, Dir, FileKind, Identity, Links, if_exists};

use crate::{
    Error, Result, Store,
    layout::{GENERATIONS, Kind, generation, shard_and_name},
    splice::ignore_exists,
};

/// What the result of an export target refers to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct References {
    /// The objects in it.
    pub objects: Vec<ObjectInfo>,
    /// The keys of entries that are kept as long as it is: of the export targets below it. Its own may be among them.
    pub implied: Vec<Hash>,
}

/// How the texts of the cache are read.
// Functions, since the formats belong to a crate above (`analysis`).
#[derive(Clone, Copy)]
pub struct Formats {
    /// What the text of a result refers to; `None` if the text is not a result.
    pub result: fn(&[u8]) -> Option<References>,
    /// The file that the text of a key refers to, if there is one.
    pub key: fn(&[u8]) -> Option<Hash>,
}

/// What is found under a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lookup {
    /// Nothing, or nothing that is complete.
    Absent,
    /// An entry: the file with the result.
    Entry(ObjectInfo),
    /// Something that is not an entry: why.
    Damaged(&'static str),
}

const NO_ENTRY: Lookup = Lookup::Damaged("its file names no result");

/// The target-level cache of a store, for one shard.
pub struct TargetCache {
    store: Store,
    /// The text that describes where actions run.
    description: String,
    shard: Hash,
    formats: Formats,
    /// The directories of the shard that were opened so far, by generation; `None` for one that cannot come into being.
    // Looked up once: a null build reads one small file for each export target.
    dirs: [OnceLock<Option<Dir>>; GENERATIONS],
}

impl TargetCache {
    /// The cache of results of actions that run where `description` says.
    pub fn new(store: &Store, description: String, formats: Formats) -> TargetCache {
        // The shard is named by a blob of the CAS, so a person can find out what it is for.
        let shard = store.hash_function().blob(description.as_bytes());
        TargetCache { store: store.clone(), description, shard, formats, dirs: Default::default() }
    }

    /// Looks an entry up. An entry that is only in the older generation is linked into the youngest, with all that it
    /// refers to. If something of that is missing, the entry counts as absent.
    ///
    /// # Errors
    /// The build root cannot be read, or the entry cannot be linked into the youngest generation.
    pub fn lookup(&self, key: &Hash) -> Result<Lookup> {
        // A damaged entry is reported only if no older generation has a good one.
        let mut found = Lookup::Absent;
        match self.youngest(key)? {
            Lookup::Absent => {}
            Lookup::Entry(value) => return Ok(Lookup::Entry(value)),
            Lookup::Damaged(why) => found = Lookup::Damaged(why),
        }
        for generation in 1..GENERATIONS {
            match self.entry_in(generation, key)? {
                Lookup::Entry(value) if self.uplink(key)? => return Ok(Lookup::Entry(value)),
                Lookup::Damaged(why) => found = Lookup::Damaged(why),
                Lookup::Entry(_) | Lookup::Absent => {}
            }
        }
        Ok(found)
    }

    /// The text of a result; `None` if it is lost or damaged.
    ///
    /// # Errors
    /// The build root cannot be read.
    pub fn text(&self, value: &ObjectInfo) -> Result<Option<Vec<u8>>> {
        self.store.read(&value.digest.hash, ObjectType::File)
    }

    /// Adds an entry: the text of its key, that of the file that the key refers to, and that of the result. Replaces
    /// one that is there.
    ///
    /// # Errors
    /// [`Error::Missing`] if something that it refers to is not there; else the build root cannot be written to.
    pub fn put(&self, key: &str, of_key: Option<&str>, text: &str) -> Result<ObjectInfo> {
        let unreadable = || Error::Refused { path: key.to_owned(), reason: "unreadable".into() };
        let references = (self.formats.result)(text.as_bytes()).ok_or_else(unreadable)?;
        // Looking an object up brings it into the youngest generation, where it has to be before the entry is.
        for object in &references.objects {
            if !self.has(object)? {
                return Err(Error::Missing(*object));
            }
        }
        let put = |text: &str| self.store.put_blob(text.as_bytes(), false);
        put(&self.description)?;
        of_key.map(put).transpose()?;
        let key = put(key)?.hash;
        for implied in references.implied.iter().filter(|implied| **implied != key) {
            if !matches!(self.lookup(implied)?, Lookup::Entry(_)) {
                return Err(Error::Missing(file(Digest { hash: *implied, size: 0 })));
            }
        }
        let value = file(put(text)?);
        // The entry that names all of this comes last.
        let temporary = self.store.write_temporary(value.to_string().as_bytes(), 0o444)?;
        let (shard, name) = shard_and_name(&key);
        let dir = self.store.layout().protocol().make_all(&format!("{}/{shard:02x}", self.path(0)))?;
        temporary.rename(dir.at(&name))?;
        Ok(value)
    }

    /// Removes an entry, and entries that it implies, if they cannot be read, or have a missing object. Returns whether
    /// there was any.
    ///
    /// # Errors
    /// The build root cannot be read or written to.
    pub fn remove_incomplete(&self, key: &Hash) -> Result<bool> {
        let mut has_removed = false;
        // Entries may imply each other, so each is looked at once.
        let (mut pending, mut seen) = (vec![*key], HashSet::from([*key]));
        while let Some(key) = pending.pop() {
            let is_complete = match self.lookup(&key)? {
                Lookup::Entry(value) => match self.references(&value)? {
                    Some(References { objects, implied }) => {
                        pending.extend(implied.into_iter().filter(|implied| seen.insert(*implied)));
                        self.has_all(&objects)?
                    }
                    None => false,
                },
                Lookup::Absent => true,
                Lookup::Damaged(_) => false,
            };
            if !is_complete {
                has_removed = true;
                for generation in 0..GENERATIONS {
                    if let Some(dir) = self.dir(generation)? {
                        at(dir, &place(&key)).remove_all()?;
                    }
                }
            }
        }
        Ok(has_removed)
    }

    /// Puts those objects together that the result under a key refers to and that garbage collection has split; what is
    /// lost stays lost.
    ///
    /// # Errors
    /// The build root cannot be read or written to.
    pub fn put_together(&self, key: &Hash) -> Result<()> {
        let Lookup::Entry(value) = self.lookup(key)? else { return Ok(()) };
        for object in self.references(&value)?.iter().flat_map(|references| &references.objects) {
            self.store.is_whole(&object.digest.hash, object.object_type)?;
        }
        Ok(())
    }

    /// Whether an object can be in pieces.
    ///
    /// # Errors
    /// The build root cannot be read.
    pub fn has_split(&self) -> Result<bool> {
        for generation in 0..GENERATIONS {
            for kind in [Kind::LargeFile, Kind::LargeTree] {
                if self.store.may_contain(generation, kind)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The directory of the shard, below [`crate::layout::Layout::protocol`].
    fn path(&self, number: usize) -> String {
        let layout = self.store.hash_function().layout_name();
        format!("{}/{layout}/tc/{}", generation(number), self.shard)
    }

    fn dir(&self, number: usize) -> Result<Option<&Dir>> {
        let of_generation = &self.dirs[number];
        if let Some(known) = of_generation.get() {
            return Ok(known.as_ref());
        }
        let dir = if_exists(self.store.layout().protocol().sub(&self.path(number), Links::Refused))?;
        // Only a collection, which the lock keeps away, makes a directory of an older generation.
        let is_final = dir.is_some() || number > 0;
        Ok(if is_final { of_generation.get_or_init(|| dir).as_ref() } else { None })
    }

    fn entry_in(&self, generation: usize, key: &Hash) -> Result<Lookup> {
        let Some(dir) = self.dir(generation)? else { return Ok(Lookup::Absent) };
        // In one call of the system, since a build looks up many.
        let text = match at(dir, &place(key)).open_of_mount().and_then(|mut file| file.read_all()) {
            Ok(text) => text,
            Err(error) if error.is_absent() => return Ok(Lookup::Absent),
            Err(error) if error.is_other_kind() => return Ok(NO_ENTRY),
            Err(error) => return Err(error.into()),
        };
        let value = std::str::from_utf8(&text).ok().and_then(|text| text.parse::<ObjectInfo>().ok());
        Ok(value.filter(|value| value.object_type == ObjectType::File).map_or(NO_ENTRY, Lookup::Entry))
    }

    /// What the youngest generation has. An entry there is complete, except that the file with its result may be lost.
    fn youngest(&self, key: &Hash) -> Result<Lookup> {
        Ok(match self.entry_in(0, key)? {
            Lookup::Entry(value) if !self.has(&value)? => Lookup::Damaged("the file with its result is lost"),
            other => other,
        })
    }

    fn references(&self, value: &ObjectInfo) -> Result<Option<References>> {
        Ok(self.text(value)?.and_then(|text| (self.formats.result)(&text)))
    }

    fn has(&self, object: &ObjectInfo) -> Result<bool> {
        self.store.contains(&object.digest.hash, object.object_type)
    }

    fn has_all(&self, objects: &[ObjectInfo]) -> Result<bool> {
        for object in objects {
            if !self.has(object)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Brings an entry and all that it refers to into the youngest generation, the entry last. Returns whether all of
    /// it was there. Without recursion: how many entries imply each other is data.
    fn uplink(&self, key: &Hash) -> Result<bool> {
        enum LinkStep {
            Open(Hash),
            Close(Hash),
        }
        let mut steps = vec![LinkStep::Open(*key)];
        let mut seen: HashSet<Hash> = HashSet::new();
        // Entries may imply each other: unlike trees, they may form cycles.
        while let Some(step) = steps.pop() {
            match step {
                LinkStep::Close(key) => self.link(&key)?,
                // One that is open already is closed later: entries that imply each other are linked together.
                LinkStep::Open(key) if !seen.insert(key) => {}
                LinkStep::Open(key) => {
                    if matches!(self.youngest(&key)?, Lookup::Entry(_)) {
                        continue;
                    }
                    // Lazily: the next generation is read only if the one before has none.
                    let mut older = (1..GENERATIONS).map(|generation| self.entry_in(generation, &key));
                    let value = older.find_map(|found| match found {
                        Ok(Lookup::Entry(value)) => Some(Ok(value)),
                        Ok(_) => None,
                        Err(error) => Some(Err(error)),
                    });
                    let Some(value) = value.transpose()? else { return Ok(false) };
                    let Some(references) = self.references(&value)? else { return Ok(false) };
                    if !self.has_all(&references.objects)? {
                        return Ok(false);
                    }
                    // Pushed before what it implies, so popped after that.
                    steps.push(LinkStep::Close(key));
                    steps.extend(references.implied.into_iter().map(LinkStep::Open));
                }
            }
        }
        Ok(true)
    }

    /// Brings the texts of a shard and a key into the youngest generation.
    fn bring_texts(&self, key: &Hash) -> Result<()> {
        self.store.put_blob(self.description.as_bytes(), false)?;
        // Looking a file up brings it there.
        let of_key = self.store.read(key, ObjectType::File)?.and_then(|text| (self.formats.key)(&text));
        for file in [Some(*key), of_key].into_iter().flatten() {
            self.store.contains(&file, ObjectType::File)?;
        }
        Ok(())
    }

    /// Links an entry of an older generation into the youngest.
    fn link(&self, key: &Hash) -> Result<()> {
        self.bring_texts(key)?;
        let (shard, name) = shard_and_name(key);
        let dir = self.store.layout().protocol().make_all(&format!("{}/{shard:02x}", self.path(0)))?;
        for generation in 1..GENERATIONS {
            let Some(older) = self.dir(generation)? else { continue };
            let (place, new) = (place(key), dir.at(&name));
            // What is there is no entry: a valid one is not linked again.
            if new.exists()? && !matches!(self.youngest(key)?, Lookup::Entry(_)) {
                new.remove_all()?;
            }
            if if_exists(at(older, &place).hard_link(new).or_else(ignore_exists))?.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Store {
    /// All entries of the youngest generation, in all shards, by the paths below its directory of them; with what
    /// distinguishes each from one that replaces it.
    ///
    /// # Errors
    /// The build root cannot be read.
    pub fn target_cache_entries(&self) -> Result<BTreeMap<PathBuf, Identity>> {
        let layout = self.hash_function().layout_name();
        let path = format!("{}/{layout}/tc", generation(0));
        let mut entries = BTreeMap::new();
        let Some(top) = if_exists(self.layout().protocol().sub(&path, Links::Refused))? else {
            return Ok(entries);
        };
        let mut pending = vec![(PathBuf::new(), top)];
        while let Some((path, dir)) = pending.pop() {
            for (name, kind) in dir.list()? {
                let (path, at) = (path.join(&name), dir.at(&name));
                match kind {
                    FileKind::Directory => pending.extend(if_exists(at.open_dir())?.map(|dir| (path, dir))),
                    _ => entries.extend(if_exists(at.lstat())?.map(|stat| (path, stat.identity()))),
                }
            }
        }
        Ok(entries)
    }
}

/// The path of an entry in its shard.
fn place(key: &Hash) -> String {
    let (shard, name) = shard_and_name(key);
    format!("{shard:02x}/{name}")
}

fn at<'d>(dir: &'d Dir, place: &'d str) -> At<'d> {
    dir.at(place)
}

fn file(digest: Digest) -> ObjectInfo {
    ObjectInfo { digest, object_type: ObjectType::File }
}
