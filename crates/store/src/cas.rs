//! Contents by their hash: files, executables, trees.
//!
//! Stored files are read-only and carry the epoch as their modification time. Executables lie apart,
//! with the executable bits set; whoever asks for the other bit gets a copy made.

use std::{
    collections::BTreeMap,
    fs::{File, Metadata},
    path::{Path, PathBuf},
};

use taut_digest::{
    Digest, Hash, HashFunction, ObjectInfo, ObjectType, TreeEntry, decode_git_tree, encode_git_tree,
};
use taut_sys::fs;

use crate::{
    Error, Result, Store,
    layout::{GENERATIONS, Kind},
};

/// What becomes of a file that is added to the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Take {
    /// The file stays as it is.
    Copy,
    /// The file may become the stored object itself: the caller knows that nobody can write to it any more.
    Move,
}

/// Contents up to this size are read at once; larger ones pass through a buffer.
const READ_AT_ONCE: u64 = 1 << 20;

impl Store {
    /// Adds a content. Its digest names it from now on, with the executable bit or without.
    pub fn put_blob(&self, content: &[u8], executable: bool) -> Result<Digest> {
        let digest = Digest { hash: self.hash_function().blob(content), size: content.len() as u64 };
        self.put(kind_of_file(executable), &digest, content)?;
        Ok(digest)
    }

    /// Adds a directory, all entries of which have been added before; [`Error::Missing`] if one is not there.
    pub fn put_tree<N: AsRef<[u8]>>(&self, entries: &BTreeMap<N, TreeEntry>) -> Result<Digest> {
        let encoded = encode_git_tree(entries);
        let digest = Digest { hash: self.hash_function().tree(&encoded), size: encoded.len() as u64 };
        if self.is_known(Kind::Tree, &digest.hash) {
            return Ok(digest);
        }
        for entry in entries.values() {
            if !self.contains(&entry.hash, entry.object_type)? {
                let digest = Digest { hash: entry.hash, size: 0 };
                return Err(Error::Missing(ObjectInfo { digest, object_type: entry.object_type }));
            }
        }
        self.put(Kind::Tree, &digest, &encoded)?;
        Ok(digest)
    }

    /// The digest that a directory would have, without adding it.
    pub fn tree_digest<N: AsRef<[u8]>>(&self, entries: &BTreeMap<N, TreeEntry>) -> Digest {
        let encoded = encode_git_tree(entries);
        Digest { hash: self.hash_function().tree(&encoded), size: encoded.len() as u64 }
    }

    /// Adds the content of a regular file.
    pub fn put_file(&self, path: &Path, executable: bool, take: Take) -> Result<Digest> {
        let mut file = fs::open(path)?;
        let size = fs::fstat(&file, path)?.len();
        let kind = kind_of_file(executable);
        let hash = if size <= READ_AT_ONCE {
            let mut content = Vec::with_capacity(size as usize + 1);
            std::io::Read::read_to_end(&mut file, &mut content)
                .map_err(|source| taut_sys::Error::new("read", path, source))?;
            if take == Take::Copy || content.len() as u64 != size {
                return self.put_blob(&content, executable);
            }
            let hash = self.hash_function().blob(&content);
            self.small().keep(&hash, &content);
            hash
        } else {
            self.hash_large(&mut file, path, size)?.ok_or_else(|| changed(path))?
        };
        let digest = Digest { hash, size };
        if self.present(kind, &hash, Some(size))? {
            return Ok(digest);
        }
        match take {
            Take::Move => {
                fs::set_file_mode(&file, path, mode_of(kind))?;
                fs::set_file_mtime_epoch(&file, path)?;
                self.rename_into_place(path, kind, &hash)?;
            }
            Take::Copy => {
                let mut source = fs::open(path)?;
                let temporary = self.temporary_path();
                let mut target = fs::create_new(&temporary, mode_of(kind))?;
                fs::copy_contents(&mut source, &mut target, &temporary)?;
                drop(target);
                // The file may have changed since it was hashed; what is stored must be what is named.
                let mut written = fs::open(&temporary)?;
                if self.hash_large(&mut written, &temporary, size)? != Some(hash) {
                    fs::remove_file(&temporary)?;
                    return Err(changed(path));
                }
                fs::set_file_mtime_epoch(&written, &temporary)?;
                self.rename_into_place(&temporary, kind, &hash)?;
            }
        }
        Ok(digest)
    }

    /// The digest that a regular file's content has, without adding it.
    pub fn digest_of_file(&self, path: &Path) -> Result<Digest> {
        let size = fs::stat(path)?.len();
        Ok(Digest { hash: self.hash_file(path, size)?.ok_or_else(|| changed(path))?, size })
    }

    /// As [`Store::hash_large`].
    pub(crate) fn hash_file(&self, path: &Path, size: u64) -> Result<Option<Hash>> {
        self.hash_large(&mut fs::open(path)?, path, size)
    }

    /// The hash of what is left to be read of a file; `None` if that turns out not to be `size` bytes.
    fn hash_large(&self, file: &mut File, path: &Path, size: u64) -> Result<Option<Hash>> {
        let mut hasher = self.hash_function().blob_hasher(size);
        let mut buffer = vec![0; READ_AT_ONCE as usize];
        let mut left = size;
        loop {
            match fs::read_some(file, path, &mut buffer)? {
                0 => return Ok((left == 0).then(|| hasher.finish())),
                n if n as u64 > left => return Ok(None),
                n => {
                    hasher.update(&buffer[..n]);
                    left -= n as u64;
                }
            }
        }
    }

    /// Whether an object can be had from this build root. What lies in the older generation moves up,
    /// with everything it refers to. A file that was split stays so until somebody wants its content.
    pub fn contains(&self, hash: &Hash, object_type: ObjectType) -> Result<bool> {
        Ok(self.size_in_pieces(hash, object_type)?.is_some() || self.is_whole(hash, object_type)?)
    }

    /// The same, and then it lies there in one piece.
    pub(crate) fn is_whole(&self, hash: &Hash, object_type: ObjectType) -> Result<bool> {
        let kind = Kind::of(object_type, self.hash_function());
        Ok(self.present(kind, hash, None)? || self.other_bit(kind, hash)?)
    }

    /// The content of a file, link or encoded tree, checked against its name; `None` if there is none,
    /// or only a damaged one, which is removed.
    pub fn read(&self, hash: &Hash, object_type: ObjectType) -> Result<Option<Vec<u8>>> {
        if !self.is_whole(hash, object_type)? {
            return Ok(None);
        }
        let kind = Kind::of(object_type, self.hash_function());
        let path = self.layout().object(0, kind, hash);
        let Some(content) = fs::if_exists(fs::read(&path))? else { return Ok(None) };
        let actual = match kind {
            Kind::Tree => self.hash_function().tree(&content),
            _ => self.hash_function().blob(&content),
        };
        if actual == *hash {
            return Ok(Some(content));
        }
        self.remove_damaged(kind, hash)?;
        Ok(None)
    }

    /// Copies the content of a file to the end of an open one, checked against its name; `false` if there
    /// is none, or only a damaged one, which is removed.
    pub(crate) fn copy_content(
        &self,
        hash: &Hash,
        object_type: ObjectType,
        to: &mut File,
        path: &Path,
    ) -> Result<bool> {
        if !self.is_whole(hash, object_type)? {
            return Ok(false);
        }
        if let Some(content) = self.small().get(hash) {
            fs::write_all(to, path, &content)?;
            return Ok(true);
        }
        let kind = Kind::of(object_type, self.hash_function());
        let place = self.layout().object(0, kind, hash);
        let Some(mut source) = fs::if_exists(fs::open(&place))? else { return Ok(false) };
        let size = fs::fstat(&source, &place)?.len();
        let mut hasher = self.hash_function().blob_hasher(size);
        let mut buffer = vec![0; size.clamp(1, READ_AT_ONCE) as usize];
        let (mut rest, mut last) = (size, 0);
        while rest > 0 {
            match fs::read_some(&mut source, &place, &mut buffer)? {
                0 => break,
                n => {
                    hasher.update(&buffer[..n]);
                    fs::write_all(to, path, &buffer[..n])?;
                    (rest, last) = (rest.saturating_sub(n as u64), n);
                }
            }
        }
        if hasher.finish() == *hash {
            if last as u64 == size {
                self.small().keep(hash, &buffer[..last]);
            }
            return Ok(true);
        }
        self.remove_damaged(kind, hash)?;
        Ok(false)
    }

    /// In all generations: the names are often links to one file, and none of them may come back.
    pub(crate) fn remove_damaged(&self, kind: Kind, hash: &Hash) -> Result<()> {
        self.forget(kind, hash);
        for generation in 0..GENERATIONS {
            fs::if_exists(fs::remove_all(&self.layout().object(generation, kind, hash)))?;
        }
        Ok(())
    }

    /// The entries of a tree; `None` if there is no such tree or it is damaged.
    ///
    /// # Errors
    /// [`Error::Unusable`] for a tree that is stored as its name says, and says something that nobody may follow.
    pub fn read_tree(&self, hash: &Hash) -> Result<Option<BTreeMap<Vec<u8>, TreeEntry>>> {
        let Some(encoded) = self.read(hash, ObjectType::Tree)? else { return Ok(None) };
        let digest = Digest { hash: *hash, size: encoded.len() as u64 };
        let tree = ObjectInfo { digest, object_type: ObjectType::Tree };
        let entries = decode_git_tree(&encoded, hash.as_bytes().len());
        entries.map(Some).map_err(|why| Error::Unusable { tree, why })
    }

    /// Where the content of a file lies, to be read or copied, never to be given away.
    pub fn file_path(&self, hash: &Hash, executable: bool) -> Result<Option<PathBuf>> {
        let object_type = if executable { ObjectType::Executable } else { ObjectType::File };
        let kind = kind_of_file(executable);
        Ok(self.is_whole(hash, object_type)?.then(|| self.layout().object(0, kind, hash)))
    }

    /// The size in bytes of an object that is there.
    pub fn size(&self, hash: &Hash, object_type: ObjectType) -> Result<Option<u64>> {
        if let Some(size) = self.size_in_pieces(hash, object_type)? {
            return Ok(Some(size));
        }
        if !self.is_whole(hash, object_type)? {
            return Ok(None);
        }
        let kind = Kind::of(object_type, self.hash_function());
        Ok(fs::if_exists(fs::lstat(&self.layout().object(0, kind, hash)))?.map(|metadata| metadata.len()))
    }

    pub(crate) fn put(&self, kind: Kind, digest: &Digest, content: &[u8]) -> Result<()> {
        if self.present(kind, &digest.hash, Some(digest.size))? {
            return Ok(());
        }
        let temporary = self.write_temporary(content, mode_of(kind))?;
        self.rename_into_place(&temporary, kind, &digest.hash)
    }

    pub(crate) fn write_temporary(&self, content: &[u8], mode: u32) -> Result<PathBuf> {
        let temporary = self.temporary_path();
        let mut file = fs::create_new(&temporary, mode)?;
        let written = fs::write_all(&mut file, &temporary, content)
            .and_then(|()| fs::set_file_mtime_epoch(&file, &temporary));
        if let Err(error) = written {
            // Leave nothing behind on a full disk; the first error is the one to report.
            let _ = fs::remove_file(&temporary);
            return Err(error.into());
        }
        Ok(temporary)
    }

    pub(crate) fn rename_into_place(&self, from: &Path, kind: Kind, hash: &Hash) -> Result<()> {
        let place = self.layout().object(0, kind, hash);
        in_directory_of(&place, || fs::rename(from, &place)).inspect_err(|_| {
            // The first error is the one to report; an incomplete disk keeps at most this file.
            let _ = fs::remove_file(from);
        })?;
        self.set_known(kind, hash);
        Ok(())
    }

    /// Whether an object of exactly this kind is in the youngest generation, or could be brought there.
    /// A file of another size than `size` does not count.
    pub(crate) fn present(&self, kind: Kind, hash: &Hash, size: Option<u64>) -> Result<bool> {
        if self.is_known(kind, hash) {
            return Ok(true);
        }
        let right = |metadata: Metadata| metadata.is_file() && size.is_none_or(|size| size == metadata.len());
        let path = self.layout().object(0, kind, hash);
        if let Some(metadata) = fs::if_exists(fs::lstat(&path))? {
            if right(metadata) {
                self.set_known(kind, hash);
                return Ok(true);
            }
            fs::if_exists(fs::remove_all(&path))?;
        }
        self.uplink(kind, hash, size)
    }

    /// Makes an executable from a plain file of the same content, or the reverse.
    fn other_bit(&self, kind: Kind, hash: &Hash) -> Result<bool> {
        let other = match kind {
            Kind::File if self.hash_function() == HashFunction::GitSha1 => Kind::Executable,
            Kind::Executable => Kind::File,
            _ => return Ok(false),
        };
        if !self.present(other, hash, None)? {
            return Ok(false);
        }
        let path = self.layout().object(0, other, hash);
        let mut source = fs::open(&path)?;
        let temporary = self.temporary_path();
        let mut target = fs::create_new(&temporary, mode_of(kind))?;
        let size = fs::copy_contents(&mut source, &mut target, &temporary)?;
        if self.hash_file(&temporary, size)? != Some(*hash) {
            // A damaged one would be copied again whenever its copy is found to be damaged.
            fs::remove_file(&temporary)?;
            self.remove_damaged(other, hash)?;
            return Ok(false);
        }
        fs::set_file_mtime_epoch(&target, &temporary)?;
        self.rename_into_place(&temporary, kind, hash)?;
        Ok(true)
    }
}

fn changed(path: &Path) -> Error {
    let changed = std::io::Error::other("the file changed while it was being read");
    taut_sys::Error::new("store", path, changed).into()
}

pub(crate) fn kind_of_file(executable: bool) -> Kind {
    if executable { Kind::Executable } else { Kind::File }
}

pub(crate) fn mode_of(kind: Kind) -> u32 {
    if kind == Kind::Executable { 0o555 } else { 0o444 }
}

/// Runs an operation that puts something at `path`; makes the directory if that turns out to be missing.
pub(crate) fn in_directory_of(path: &Path, operation: impl Fn() -> taut_sys::Result<()>) -> Result<()> {
    match operation() {
        Err(error) if error.is_not_found() => {
            fs::create_dir_all(path.parent().expect("an object lies in a directory"))?;
            Ok(operation()?)
        }
        other => Ok(other?),
    }
}
