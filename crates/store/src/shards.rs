//! The directories that objects lie in, held open.
//!
//! An object lies in a directory of its kind and generation, in one of 256 shards. Each shard is opened once, beneath
//! the directory above it and without following links; from then on an object is reached by one path component, even if
//! other processes rename the directories above. Only garbage collection changes that layout, which the lock keeps
//! away.

use std::{ops::Deref, sync::OnceLock};

use taut_digest::Hash;
use taut_sys::{At, CachedDir, Dir, FileKind, Links, if_exists};

use crate::{
    Result, Store,
    layout::{GENERATIONS, KIND_COUNT, Kind, shard_and_name},
};

/// All directories that were opened so far. `OnceLock` is enough: threads that race open the same directory, and one of
/// the descriptors is cached.
#[derive(Default)]
pub(crate) struct Shards([[OfKind; KIND_COUNT]; GENERATIONS]);

#[derive(Default)]
struct OfKind {
    dir: OnceLock<Dir>,
    // Behind a pointer, made when the first shard is opened: there are kinds and generations that a process never
    // touches.
    shards: OnceLock<Box<[OnceLock<CachedDir>; 256]>>,
    /// `false` once the directory was found absent, if only garbage collection creates it.
    // Negative answers, which `dir` cannot hold: most build roots have no split objects, and each look would be a
    // system call.
    there: OnceLock<bool>,
}

/// An open shard.
enum Shard<'s> {
    Cached(&'s Dir),
    /// Too many directories are open to keep this one.
    Uncached(Dir),
}

impl Deref for Shard<'_> {
    type Target = Dir;

    fn deref(&self) -> &Dir {
        match self {
            Shard::Cached(dir) => dir,
            Shard::Uncached(dir) => dir,
        }
    }
}

/// The location of an object: an open shard and a name in it.
pub(crate) struct Object<'s> {
    shard: Shard<'s>,
    name: String,
}

impl Object<'_> {
    pub(crate) fn at(&self) -> At<'_> {
        self.shard.at(&self.name)
    }
}

impl Store {
    /// The location of an object, if its shard exists.
    pub(crate) fn object(&self, generation: usize, kind: Kind, hash: &Hash) -> Result<Option<Object<'_>>> {
        let (number, name) = shard_and_name(hash);
        let Some(dir) = self.directory(generation, kind)? else { return Ok(None) };
        Ok(self.shard(generation, kind, dir, number, false)?.map(|shard| Object { shard, name }))
    }

    /// The location of a new object in the youngest generation; directories are made.
    pub(crate) fn object_to_make(&self, kind: Kind, hash: &Hash) -> Result<Object<'_>> {
        let (number, name) = shard_and_name(hash);
        let of_kind = &self.shards().0[0][kind as usize];
        let dir = match of_kind.dir.get() {
            Some(dir) => dir,
            None => {
                // Two threads may both make it, which is not an error; one of the two descriptors is dropped.
                let made = self.layout().protocol().make_all(&self.layout().store(0, kind))?;
                of_kind.dir.get_or_init(|| made)
            }
        };
        let shard = self.shard(0, kind, dir, number, true)?.expect("made if it was not there");
        Ok(Object { shard, name })
    }

    /// The directory of a kind in a generation, if it exists.
    pub(crate) fn directory(&self, generation: usize, kind: Kind) -> Result<Option<&Dir>> {
        let of_kind = &self.shards().0[generation][kind as usize];
        if let Some(dir) = of_kind.dir.get() {
            return Ok(Some(dir));
        }
        // Without the lock, in the collector itself, directories come and go: nothing is remembered.
        if self.is_locked() && of_kind.there.get() == Some(&false) {
            return Ok(None);
        }
        let path = self.layout().store(generation, kind);
        let opened = if_exists(self.layout().protocol().sub(&path, Links::Refused))?;
        if opened.is_none() && is_made_by_gc_only(generation, kind) {
            let _ = of_kind.there.set(false);
        }
        Ok(opened.map(|dir| of_kind.dir.get_or_init(|| dir)))
    }

    /// Whether there can be anything of a kind that only garbage collection makes: in an older generation, or split.
    /// The lock that is held keeps this from changing, so it is looked up once.
    pub(crate) fn may_contain(&self, generation: usize, kind: Kind) -> Result<bool> {
        Ok(!self.is_locked() || self.directory(generation, kind)?.is_some())
    }

    fn shard<'s>(
        &'s self,
        generation: usize,
        kind: Kind,
        dir: &'s Dir,
        number: u8,
        make: bool,
    ) -> Result<Option<Shard<'s>>> {
        let of_kind = &self.shards().0[generation][kind as usize];
        // By the first byte of a hash, so the number is an index.
        let shards = of_kind.shards.get_or_init(|| Box::new([const { OnceLock::new() }; 256]));
        let place = &shards[usize::from(number)];
        if let Some(cached) = place.get() {
            return Ok(Some(Shard::Cached(cached)));
        }
        let name = format!("{number:02x}");
        let at = dir.at(&name);
        let opened = if make { Some(at.make_dir_if_absent()?) } else { if_exists(at.open_dir())? };
        Ok(opened.map(|opened| match CachedDir::new(opened) {
            Ok(cached) => Shard::Cached(place.get_or_init(|| cached)),
            Err(opened) => Shard::Uncached(opened),
        }))
    }

    /// Calls `visit` with the hash and size of each object of a kind in a generation.
    pub(crate) fn each_object(
        &self,
        generation: usize,
        kind: Kind,
        mut visit: impl FnMut(Hash, u64),
    ) -> Result<()> {
        let Some(dir) = self.directory(generation, kind)? else { return Ok(()) };
        for (shard, _) in dir.list()? {
            let Some(open) = if_exists(dir.at(&shard).open_dir())? else { continue };
            for (rest, entry) in open.list()? {
                let name = shard.to_str().zip(rest.to_str()).map(|(shard, rest)| format!("{shard}{rest}"));
                let hash = name.and_then(|name| Hash::from_hex(&name).ok());
                // Other names are not objects, and left alone.
                if let (Some(hash), FileKind::File) = (hash, entry) {
                    visit(hash, open.at(&rest).lstat()?.size());
                }
            }
        }
        Ok(())
    }
}

/// Whether only garbage collection creates a directory.
fn is_made_by_gc_only(generation: usize, kind: Kind) -> bool {
    generation > 0 || matches!(kind, Kind::LargeFile | Kind::LargeTree)
}
