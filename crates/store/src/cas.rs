//! Objects by their hash: files, executables, trees.
//!
//! Stored files are read-only, and their modification time is 1970-01-01, so that a copy of one depends on its content
//! only. Plain files and executables are stored apart, since one inode has one mode; an object that is wanted with the
//! other mode is copied.

use std::collections::BTreeMap;

use taut_digest::{Digest, Hash, ObjectInfo, ObjectType, TreeEntry};
use taut_sys::{At, File, Stat, if_exists};

use crate::{
    Error, Result, Store,
    layout::{GENERATIONS, Kind},
};

/// What becomes of a file that is added to the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddMode {
    /// The file stays as it is.
    Copy,
    /// The same, of a source: where servers are attached, a small blob is written to the store only when it is read
    /// here.
    Later,
    /// The file may become the stored object itself: the caller guarantees that no process can write to it.
    Move,
}

/// Blobs up to this size are read at once; larger ones pass through a buffer.
// 1 MiB: nearly all sources and objects are smaller, and each thread may have one such buffer.
const READ_AT_ONCE: u64 = 1 << 20;

impl Store {
    /// Adds a blob. Its digest names it from now on, with the executable bit or without.
    ///
    /// # Errors
    /// The build root cannot be written to.
    pub fn put_blob(&self, content: &[u8], executable: bool) -> Result<Digest> {
        // The executable bit is not part of the hash: it selects the directory.
        let digest = Digest { hash: self.hash_function().blob(content), size: content.len() as u64 };
        self.put(kind_of_file(executable), &digest, content)?;
        Ok(digest)
    }

    /// Adds a directory, all entries of which have been added before.
    ///
    /// # Errors
    /// [`Error::Missing`] if an entry is not stored; else the build root cannot be written to.
    pub fn put_tree<N: AsRef<[u8]>>(&self, entries: &BTreeMap<N, TreeEntry>) -> Result<Digest> {
        self.put_encoded(&self.encode_tree(entries)?, entries)
    }

    /// Adds a directory by its bytes, as a git repository or a server has them, all entries of which have been added
    /// before. They may be others than those that [`Store::put_tree`] writes: git has written modes in several ways.
    ///
    /// # Errors
    /// [`Error::Unusable`] if the bytes are not a directory; else as for [`Store::put_tree`].
    pub fn put_tree_bytes(&self, encoded: &[u8]) -> Result<Digest> {
        let entries = self.decode_tree(encoded)?.map_err(|why| {
            let digest = Digest { hash: self.hash_function().tree(encoded), size: encoded.len() as u64 };
            Error::Unusable { tree: ObjectInfo { digest, object_type: ObjectType::Tree }, why }
        })?;
        self.put_encoded(encoded, &entries)
    }

    /// Adds a directory with these bytes and entries.
    fn put_encoded<N>(&self, encoded: &[u8], entries: &BTreeMap<N, TreeEntry>) -> Result<Digest> {
        let digest = Digest { hash: self.hash_function().tree(encoded), size: encoded.len() as u64 };
        // Known means present in the youngest generation, with all entries (docs/store.md, commit protocol).
        if self.is_known(Kind::Tree, &digest.hash) {
            return Ok(digest);
        }
        let mut is_all_here = true;
        for entry in entries.values() {
            if !self.is_here(&entry.hash, entry.object_type)? {
                if !self.is_at_server(&entry.hash, entry.object_type)? {
                    return Err(missing(entry));
                }
                is_all_here = false;
            }
        }
        match self.server_objects().filter(|_| !is_all_here) {
            // A tree in the store has all that is below it there.
            Some(servers) => servers.keep_tree(self, &digest.hash, encoded)?,
            None => self.put(Kind::Tree, &digest, encoded)?,
        }
        Ok(digest)
    }

    /// The digest that a directory would have, without adding it.
    ///
    /// # Errors
    /// In compatible mode, those of [`Store::put_tree`]: there a directory contains the sizes of its entries.
    pub fn tree_digest<N: AsRef<[u8]>>(&self, entries: &BTreeMap<N, TreeEntry>) -> Result<Digest> {
        Ok(self.tree_bytes(entries)?.0)
    }

    /// The same, with the bytes of the directory.
    ///
    /// # Errors
    /// As for [`Store::tree_digest`].
    pub fn tree_bytes<N: AsRef<[u8]>>(&self, entries: &BTreeMap<N, TreeEntry>) -> Result<(Digest, Vec<u8>)> {
        let encoded = self.encode_tree(entries)?;
        let digest = Digest { hash: self.hash_function().tree(&encoded), size: encoded.len() as u64 };
        Ok((digest, encoded))
    }

    /// Adds the content of the regular file at a place.
    ///
    /// # Errors
    /// There is no regular file, it cannot be read, it changes while it is read, or the build root cannot be written
    /// to.
    pub fn put_file(&self, at: At<'_>, executable: bool, take: AddMode) -> Result<Digest> {
        self.put_open_file(at.open()?, at, executable, take)
    }

    /// As [`Store::put_file`], of a file that is open.
    ///
    /// # Errors
    /// As for [`Store::put_file`].
    pub fn put_open_file(
        &self,
        mut file: File<'_>,
        at: At<'_>,
        executable: bool,
        take: AddMode,
    ) -> Result<Digest> {
        let is_later = take == AddMode::Later;
        let take = if is_later { AddMode::Copy } else { take };
        let stat = file.stat()?;
        // A file that has other names, or that belongs to another user, can still be written to by others: it is
        // copied.
        let take = if stat.links == 1 && stat.is_own() { take } else { AddMode::Copy };
        let size = stat.size();
        // The size may change while the file is read: it is only what the reads below are checked against.
        let kind = kind_of_file(executable);
        let hash = if size <= READ_AT_ONCE {
            // One byte more than may be there: a file that has grown beyond the limit is noticed.
            let content = file.read_up_to(READ_AT_ONCE + 1)?;
            // A file whose size differs by now is not moved: a process still writes to it.
            if take == AddMode::Copy || content.len() as u64 != size {
                if content.len() as u64 > READ_AT_ONCE {
                    return Err(changed(at));
                }
                return match is_later {
                    true => self.put_blob_later(&content, executable),
                    false => self.put_blob(&content, executable),
                };
            }
            let hash = self.hash_function().blob(&content);
            self.memory_cache().keep(&hash, &content);
            hash
        } else {
            self.hash_open(&mut file)?.ok_or_else(|| changed(at))?
        };
        let digest = Digest { hash, size };
        if self.present(kind, &hash, Some(size))? {
            return Ok(digest);
        }
        match take {
            AddMode::Move => {
                // Mode and time first, the name last: under its final name an object is complete.
                file.set_mode(mode_of(kind))?;
                file.set_mtime_epoch()?;
                drop(file);
                // The same file system: outputs of actions are below the build root.
                at.rename(self.object_to_make(kind, &hash)?.at())?;
                self.set_known(kind, &hash);
            }
            AddMode::Copy | AddMode::Later => {
                file.rewind()?;
                let temporary = self.temporary()?;
                let mut target = temporary.create(mode_of(kind))?;
                target.copy_from(&mut file)?;
                target.set_mtime_epoch()?;
                drop(target);
                // The file may have changed since it was hashed. So the copy is hashed again: what is stored must match
                // its name.
                let mut written = temporary.at().open()?;
                if written.stat()?.size() != size || self.hash_open(&mut written)? != Some(hash) {
                    return Err(changed(at));
                }
                drop(written);
                self.commit(temporary, kind, &hash)?;
            }
        }
        Ok(digest)
    }

    /// The hash of the rest of a file, taken as a file of its present size; `None` if its end is found at another
    /// offset, because the file changed meanwhile.
    pub(crate) fn hash_open(&self, file: &mut File<'_>) -> Result<Option<Hash>> {
        let size = file.stat()?.size();
        let mut hasher = self.hash_function().blob_hasher(size);
        let mut buffer = vec![0; size.clamp(1, READ_AT_ONCE) as usize];
        let mut left = size;
        loop {
            match file.read_some(&mut buffer)? {
                0 => return Ok((left == 0).then(|| hasher.finish())),
                // The file has grown. Git's hash begins with the size, so the hash would be that of no blob.
                n if n as u64 > left => return Ok(None),
                n => {
                    hasher.update(&buffer[..n]);
                    left -= n as u64;
                }
            }
        }
    }

    /// As `hash_open`, of an object of a kind.
    pub(crate) fn hash_of(&self, kind: Kind, file: &mut File<'_>) -> Result<Option<Hash>> {
        if kind == Kind::Tree {
            return Ok(Some(self.hash_function().tree(&file.read_all()?)));
        }
        self.hash_open(file)
    }

    /// The bytes stored under a name, unchecked; `None` if there is no regular file.
    pub(crate) fn read_small(&self, generation: usize, kind: Kind, hash: &Hash) -> Result<Option<Vec<u8>>> {
        let Some(object) = self.object(generation, kind, hash)? else { return Ok(None) };
        match object.at().read() {
            Ok(content) => Ok(Some(content)),
            // A directory, link or device in the place of an object counts as absent.
            Err(error) if error.is_absent() || error.is_other_kind() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether an object is present in this build root, or at an attached server. An object of the older generation is
    /// brought into the youngest one, with everything it refers to. A file that was split stays in chunks until its
    /// content is read.
    ///
    /// # Errors
    /// The build root cannot be read, or the object cannot be linked into the youngest generation.
    pub fn contains(&self, hash: &Hash, object_type: ObjectType) -> Result<bool> {
        let is_there = self.is_here(hash, object_type)? || self.is_at_server(hash, object_type)?;
        Ok(is_there && (object_type != ObjectType::Tree || !self.lacks_below(hash)?))
    }

    /// Whether an object is present in this build root itself.
    ///
    /// # Errors
    /// As for [`Store::contains`].
    pub fn is_here(&self, hash: &Hash, object_type: ObjectType) -> Result<bool> {
        Ok(self.size_in_pieces(hash, object_type)?.is_some() || self.is_whole_here(hash, object_type)?)
    }

    /// As [`Store::is_here`]; an object that was split is put together.
    pub(crate) fn is_whole_here(&self, hash: &Hash, object_type: ObjectType) -> Result<bool> {
        let kind = Kind::of(object_type);
        Ok(self.present(kind, hash, None)? || self.copy_with_other_mode(kind, hash)?)
    }

    /// The same; a file that is elsewhere is fetched.
    pub(crate) fn is_whole(&self, hash: &Hash, object_type: ObjectType) -> Result<bool> {
        if self.is_whole_here(hash, object_type)? {
            return Ok(true);
        }
        Ok(object_type != ObjectType::Tree
            && self.fetch_blob(hash, object_type)?
            && self.is_whole_here(hash, object_type)?)
    }

    /// The content of a file, link or encoded tree, checked against its name; `None` if there is nothing, or only a
    /// damaged one, which is removed.
    ///
    /// # Errors
    /// The build root cannot be read or written to.
    pub fn read(&self, hash: &Hash, object_type: ObjectType) -> Result<Option<Vec<u8>>> {
        if !self.is_whole(hash, object_type)? {
            return if object_type == ObjectType::Tree { self.tree_from_server(hash) } else { Ok(None) };
        }
        let kind = Kind::of(object_type);
        // In the youngest generation, where `is_whole` has brought it.
        let Some(content) = self.read_small(0, kind, hash)? else { return Ok(None) };
        let actual = match kind {
            Kind::Tree => self.hash_function().tree(&content),
            _ => self.hash_function().blob(&content),
        };
        // The content is hashed on every read: nothing that was changed on disk leaves the store.
        if actual == *hash {
            return Ok(Some(content));
        }
        self.remove_damaged(kind, hash)?;
        Ok(None)
    }

    /// As [`Store::read`], of a file that is on this machine, be it in memory only; else nothing is fetched or written.
    ///
    /// # Errors
    /// As for [`Store::read`].
    pub fn read_here(&self, hash: &Hash, object_type: ObjectType) -> Result<Option<Vec<u8>>> {
        if let Some(content) = self.withheld_content(hash, object_type) {
            return Ok(Some(content.to_vec()));
        }
        if self.is_here(hash, object_type)? { self.read(hash, object_type) } else { Ok(None) }
    }

    /// Opens the content of a plain file, checked against its name, with its size; `None` if there is nothing, or only
    /// a damaged one, which is removed.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open_file(&self, hash: &Hash) -> Result<Option<(std::fs::File, u64)>> {
        if !self.is_whole(hash, ObjectType::File)? {
            return Ok(None);
        }
        let Some(object) = self.object(0, Kind::File, hash)? else { return Ok(None) };
        let Some(mut file) = if_exists(object.at().open())? else { return Ok(None) };
        if self.hash_open(&mut file)? != Some(*hash) {
            self.remove_damaged(Kind::File, hash)?;
            return Ok(None);
        }
        file.rewind()?;
        let size = file.stat()?.size();
        Ok(Some((file.into_std(), size)))
    }

    /// Appends the content of a file to an open one, checked against its name, and returns its size in bytes; `None` if
    /// there is nothing, or only a damaged one, which is removed.
    pub(crate) fn copy_content(
        &self,
        hash: &Hash,
        object_type: ObjectType,
        to: &mut File<'_>,
    ) -> Result<Option<u64>> {
        self.each_piece(hash, object_type, |piece| Ok(to.write_all(piece)?))
    }

    /// Passes on the content of a file piece by piece, and returns its size in bytes; `None` if there is nothing, or
    /// what was passed on is damaged, and has been removed.
    pub(crate) fn each_piece(
        &self,
        hash: &Hash,
        object_type: ObjectType,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<Option<u64>> {
        if !self.is_whole(hash, object_type)? {
            return Ok(None);
        }
        if let Some(content) = self.memory_cache().get(hash) {
            // Checked when it was put there, and memory is not changed by others.
            take(&content)?;
            return Ok(Some(content.len() as u64));
        }
        let kind = Kind::of(object_type);
        let Some(object) = self.object(0, kind, hash)? else { return Ok(None) };
        let Some(mut source) = if_exists(object.at().open())? else { return Ok(None) };
        let size = source.stat()?.size();
        let mut hasher = self.hash_function().blob_hasher(size);
        let mut buffer = vec![0; size.clamp(1, READ_AT_ONCE) as usize];
        // Hashed while it is passed on, so that the content is read once. `last` is the length of the last piece: if it
        // is all of the content, the buffer holds it and it can be cached.
        let (mut rest, mut last) = (size, 0);
        while rest > 0 {
            match source.read_some(&mut buffer)? {
                0 => break,
                n => {
                    hasher.update(&buffer[..n]);
                    take(&buffer[..n])?;
                    (rest, last) = (rest.saturating_sub(n as u64), n);
                }
            }
        }
        if hasher.finish() == *hash {
            if last as u64 == size {
                self.memory_cache().keep(hash, &buffer[..last]);
            }
            return Ok(Some(size));
        }
        self.remove_damaged(kind, hash)?;
        Ok(None)
    }

    /// Removes an object from all generations: its names are often hard links to one inode, and a name that stays would
    /// be linked into the youngest generation again.
    pub(crate) fn remove_damaged(&self, kind: Kind, hash: &Hash) -> Result<()> {
        self.forget(kind, hash);
        for generation in 0..GENERATIONS {
            if let Some(object) = self.object(generation, kind, hash)? {
                object.at().remove_all()?;
            }
        }
        Ok(())
    }

    /// The entries of a tree; `None` if there is no such tree or it is damaged.
    ///
    /// # Errors
    /// [`Error::Unusable`] for a tree whose bytes match its name but hold an entry that cannot be a directory entry.
    pub fn read_tree(&self, hash: &Hash) -> Result<Option<BTreeMap<Vec<u8>, TreeEntry>>> {
        let Some(encoded) = self.read(hash, ObjectType::Tree)? else { return Ok(None) };
        let digest = Digest { hash: *hash, size: encoded.len() as u64 };
        let tree = ObjectInfo { digest, object_type: ObjectType::Tree };
        self.decode_tree(&encoded)?.map(Some).map_err(|why| Error::Unusable { tree, why })
    }

    /// The size in bytes of an object, if it is present.
    ///
    /// # Errors
    /// As for [`Store::contains`].
    pub fn size(&self, hash: &Hash, object_type: ObjectType) -> Result<Option<u64>> {
        if let Some(size) = self.size_in_pieces(hash, object_type)? {
            return Ok(Some(size));
        }
        if !self.is_whole_here(hash, object_type)? {
            return self.size_at_server(hash, object_type);
        }
        let kind = Kind::of(object_type);
        let Some(object) = self.object(0, kind, hash)? else { return Ok(None) };
        Ok(if_exists(object.at().lstat())?.map(|stat| stat.size()))
    }

    pub(crate) fn put(&self, kind: Kind, digest: &Digest, content: &[u8]) -> Result<()> {
        if self.present(kind, &digest.hash, Some(digest.size))? {
            return Ok(());
        }
        self.commit(self.write_temporary(content, mode_of(kind))?, kind, &digest.hash)
    }

    /// Whether an object of exactly this kind is in the youngest generation, or could be brought there. A file whose
    /// size is not `size` does not count: after a power loss it may be truncated.
    pub(crate) fn present(&self, kind: Kind, hash: &Hash, size: Option<u64>) -> Result<bool> {
        if self.is_known(kind, hash) {
            return Ok(true);
        }
        if self.write_withheld(kind, hash)? {
            return Ok(true);
        }
        let right = |stat: Stat| stat.is_file() && size.is_none_or(|size| size == stat.size());
        if let Some(object) = self.object(0, kind, hash)?
            && let Some(stat) = if_exists(object.at().lstat())?
        {
            if right(stat) {
                self.set_known(kind, hash);
                return Ok(true);
            }
            object.at().remove_all()?;
        }
        self.uplink(kind, hash, size)
    }

    /// Makes an executable from a plain file of the same content, or the reverse.
    // A copy, not a hard link: one inode has one mode.
    fn copy_with_other_mode(&self, kind: Kind, hash: &Hash) -> Result<bool> {
        let other = match kind {
            Kind::File => Kind::Executable,
            Kind::Executable => Kind::File,
            _ => return Ok(false),
        };
        if !self.present(other, hash, None)? {
            return Ok(false);
        }
        let Some(object) = self.object(0, other, hash)? else { return Ok(false) };
        let temporary = self.temporary()?;
        let mut target = temporary.create(mode_of(kind))?;
        target.copy_from(&mut object.at().open()?)?;
        target.set_mtime_epoch()?;
        drop(target);
        if self.hash_open(&mut temporary.at().open()?)? != Some(*hash) {
            // If the damaged object stayed, it would be copied again each time its copy is found to be damaged.
            self.remove_damaged(other, hash)?;
            return Ok(false);
        }
        self.commit(temporary, kind, hash)?;
        Ok(true)
    }
}

/// The error that an entry of a tree is not stored.
pub(crate) fn missing(entry: &TreeEntry) -> Error {
    let digest = Digest { hash: entry.hash, size: 0 };
    Error::Missing(ObjectInfo { digest, object_type: entry.object_type })
}

fn changed(at: At<'_>) -> Error {
    Error::Changed(at.path())
}

pub(crate) fn kind_of_file(executable: bool) -> Kind {
    if executable { Kind::Executable } else { Kind::File }
}

pub(crate) fn mode_of(kind: Kind) -> u32 {
    // Nothing may write: an object does not change once it has its name.
    if kind == Kind::Executable { 0o555 } else { 0o444 }
}
