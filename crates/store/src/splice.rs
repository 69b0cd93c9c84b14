//! Large objects in pieces: splitting them when garbage is collected, putting them together on demand.
//!
//! A split object is a list of the chunks it consists of, each a file of the CAS like any other. The
//! list is `[["<hash>",<size>],…]`, at least two entries; it lies under the object's own hash in a
//! directory for large files or large trees.

use std::{io::Read, path::Path};

use taut_digest::{Digest, Hash, ObjectType};
use taut_sys::fs;

use crate::{
    Result, Store,
    cas::mode_of,
    chunk,
    layout::{GENERATIONS, Kind},
};

impl Store {
    /// Puts a split object together; whether there was one, complete and undamaged.
    pub(crate) fn splice(&self, generation: usize, kind: Kind, hash: &Hash) -> Result<bool> {
        let large = match kind {
            Kind::File => Kind::LargeFile,
            Kind::Tree => Kind::LargeTree,
            _ => return Ok(false),
        };
        if !self.can_have(generation, large) {
            return Ok(false);
        }
        let list = self.layout().object(generation, large, hash);
        let Some(chunks) = self.chunks(&list)? else { return Ok(false) };
        let temporary = self.temporary_path();
        let mut target = fs::create_new(&temporary, mode_of(kind))?;
        let size = chunks.iter().map(|chunk| chunk.size).sum();
        for chunk in &chunks {
            let mut source = fs::open(&self.layout().object(0, Kind::File, &chunk.hash))?;
            fs::copy_contents(&mut source, &mut target, &temporary)?;
        }
        fs::set_file_mtime_epoch(&target, &temporary)?;
        drop(target);
        if self.hash_path(&temporary, kind, size)? != Some(*hash) {
            fs::remove_file(&temporary)?;
            fs::if_exists(fs::remove_file(&list))?;
            return Ok(false);
        }
        self.rename_into_place(&temporary, kind, hash)?;
        self.keep_list(generation, large, hash)?;
        Ok(true)
    }

    /// The size of a file that lies nowhere in one piece, but can be put together from chunks that are all
    /// there; in the youngest generation, then.
    pub(crate) fn size_in_pieces(&self, hash: &Hash, object_type: ObjectType) -> Result<Option<u64>> {
        let kind = Kind::of(object_type, self.hash_function());
        let splits = |generation: &usize| self.can_have(*generation, Kind::LargeFile);
        if !matches!(kind, Kind::File | Kind::Executable) || !(0..GENERATIONS).any(|at| splits(&at)) {
            return Ok(None);
        }
        if self.is_known(kind, hash) {
            return Ok(None);
        }
        for generation in 0..GENERATIONS {
            for kind in [Kind::File, Kind::Executable] {
                if fs::if_exists(fs::lstat(&self.layout().object(generation, kind, hash)))?.is_some() {
                    return Ok(None);
                }
            }
        }
        for generation in (0..GENERATIONS).filter(splits) {
            let list = self.layout().object(generation, Kind::LargeFile, hash);
            if let Some(chunks) = self.chunks(&list)? {
                self.keep_list(generation, Kind::LargeFile, hash)?;
                return Ok(Some(chunks.iter().map(|chunk| chunk.size).sum()));
            }
        }
        Ok(None)
    }

    /// What a list of chunks says, if there is one and the chunks are all there. A damaged list is removed.
    fn chunks(&self, list: &Path) -> Result<Option<Vec<Digest>>> {
        let Some(text) = fs::if_exists(fs::read(list))? else { return Ok(None) };
        let Some(chunks) = parse(&text) else {
            fs::if_exists(fs::remove_file(list))?;
            return Ok(None);
        };
        for chunk in &chunks {
            if !self.present(Kind::File, &chunk.hash, Some(chunk.size))? {
                return Ok(None);
            }
        }
        Ok(Some(chunks))
    }

    /// Gives the list of an older generation a name in the youngest.
    fn keep_list(&self, generation: usize, large: Kind, hash: &Hash) -> Result<()> {
        if generation == 0 {
            return Ok(());
        }
        let place = self.layout().object(0, large, hash);
        let list = self.layout().object(generation, large, hash);
        crate::cas::in_directory_of(&place, || fs::hard_link(&list, &place).or_else(exists_is_fine))
    }

    /// Splits an object of the youngest generation; it is replaced by its chunks and their list.
    pub(crate) fn split(&self, kind: Kind, hash: &Hash) -> Result<()> {
        let large = if kind == Kind::Tree { Kind::LargeTree } else { Kind::LargeFile };
        let path = self.layout().object(0, kind, hash);
        let chunks = self.put_chunks(&path)?;
        if chunks.len() < 2 {
            return Ok(());
        }
        let temporary = self.write_temporary(list_text(&chunks).as_bytes(), 0o444)?;
        self.rename_into_place(&temporary, large, hash)?;
        self.forget(kind, hash);
        Ok(fs::remove_file(&path)?)
    }

    fn put_chunks(&self, path: &Path) -> Result<Vec<Digest>> {
        let mut file = fs::open(path)?;
        let mut chunks = Vec::new();
        let mut buffer = Vec::with_capacity(4 * chunk::MAX);
        let mut ended = false;
        let mut at = 0;
        loop {
            if buffer.len() - at < chunk::MAX && !ended {
                buffer.drain(..at);
                at = 0;
                let wanted = (4 * chunk::MAX - buffer.len()) as u64;
                let read = (&mut file).take(wanted).read_to_end(&mut buffer);
                let read = read.map_err(|source| taut_sys::Error::new("read", path, source))?;
                ended = (read as u64) < wanted;
            }
            match chunk::first_chunk(&buffer[at..]) {
                0 => return Ok(chunks),
                len => {
                    chunks.push(self.put_blob(&buffer[at..at + len], false)?);
                    at += len;
                }
            }
        }
    }

    fn hash_path(&self, path: &Path, kind: Kind, size: u64) -> Result<Option<Hash>> {
        if kind == Kind::Tree {
            return Ok(Some(self.hash_function().tree(&fs::read(path)?)));
        }
        self.hash_file(path, size)
    }
}

pub(crate) fn exists_is_fine(error: taut_sys::Error) -> taut_sys::Result<()> {
    if error.is_exists() { Ok(()) } else { Err(error) }
}

fn list_text(chunks: &[Digest]) -> String {
    let entries: Vec<String> = chunks.iter().map(digest_text).collect();
    format!("[{}]", entries.join(","))
}

/// The compact JSON text `["<hash>",<size>]`.
pub(crate) fn digest_text(digest: &Digest) -> String {
    format!("[\"{}\",{}]", digest.hash, digest.size)
}

/// Reads what [`digest_text`] writes.
pub(crate) fn parse_digest(text: &str) -> Option<Digest> {
    let (hash, size) = text.trim().strip_prefix("[\"")?.strip_suffix(']')?.split_once("\",")?;
    Some(Digest { hash: Hash::from_hex(hash).ok()?, size: size.trim().parse().ok()? })
}

fn parse(text: &[u8]) -> Option<Vec<Digest>> {
    let inner = std::str::from_utf8(text).ok()?.trim().strip_prefix('[')?.strip_suffix(']')?;
    inner.split_inclusive(']').map(|entry| parse_digest(entry.trim_start_matches(','))).collect()
}
