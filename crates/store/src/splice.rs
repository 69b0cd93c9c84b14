//! Large objects in chunks: split by garbage collection, put together on demand.
//!
//! A split object is a list of the chunks it consists of, each a file of the CAS like any other. The list is
//! `[["<hash>",<size>],…]`, at least two entries; it lies under the object's own hash in a directory for large files or
//! large trees.

use taut_digest::{Digest, Hash, MAX_CHUNK_BYTES, ObjectType, first_chunk};
use taut_sys::{At, File, if_exists};

use crate::{
    Result, Store,
    cas::mode_of,
    layout::{GENERATIONS, Kind},
    temporary::Temporary,
};

impl Store {
    /// Puts a split object together and adds it to the youngest generation, where all that is below it has to be.
    /// Returns whether there was one, complete and undamaged.
    pub(crate) fn splice(&self, generation: usize, kind: Kind, hash: &Hash) -> Result<bool> {
        let Some(large) = kind.in_chunks() else { return Ok(false) };
        let Some(temporary) = self.put_together(generation, kind, hash)? else { return Ok(false) };
        self.commit(temporary, kind, hash)?;
        // After the object: a list in the youngest generation refers to chunks that `chunks` brought there.
        self.keep_list(generation, large, hash)?;
        Ok(true)
    }

    /// The bytes of a split object in a temporary file, checked against its name; `None` if it is absent, or
    /// incomplete or damaged. The chunks are in the youngest generation then.
    pub(crate) fn put_together(
        &self,
        generation: usize,
        kind: Kind,
        hash: &Hash,
    ) -> Result<Option<Temporary<'_>>> {
        let Some(large) = kind.in_chunks() else { return Ok(None) };
        let Some(list) = self.object(generation, large, hash)? else { return Ok(None) };
        let Some(chunks) = self.chunks(list.at())? else { return Ok(None) };
        let temporary = self.temporary()?;
        let mut target = temporary.create(mode_of(kind))?;
        for chunk in &chunks {
            let Some(source) = self.object(0, Kind::File, &chunk.hash)? else { return Ok(None) };
            target.copy_from(&mut source.at().open()?)?;
        }
        target.set_mtime_epoch()?;
        drop(target);
        // The chunks were compared by size only; the whole is checked against its name. If it does not match, the list
        // is at fault or a chunk is damaged: without the list the object counts as absent.
        if self.hash_of(kind, &mut temporary.at().open()?)? != Some(*hash) {
            if_exists(list.at().remove_file())?;
            return Ok(None);
        }
        Ok(Some(temporary))
    }

    /// The size of a file that is stored only in chunks, if all of them are present; they are then in the youngest
    /// generation.
    pub(crate) fn size_in_pieces(&self, hash: &Hash, object_type: ObjectType) -> Result<Option<u64>> {
        let kind = Kind::of(object_type);
        // Trees are read as a whole before they are of use, so their size in chunks is not asked for.
        if !matches!(kind, Kind::File | Kind::Executable) || self.is_known(kind, hash) {
            return Ok(None);
        }
        let mut splits = Vec::new();
        for generation in 0..GENERATIONS {
            if self.may_contain(generation, Kind::LargeFile)? {
                splits.push(generation);
            }
        }
        if splits.is_empty() {
            return Ok(None);
        }
        // If it is whole anywhere, that is used, and nothing has to be put together.
        for generation in 0..GENERATIONS {
            for kind in [Kind::File, Kind::Executable] {
                if let Some(object) = self.object(generation, kind, hash)?
                    && object.at().exists()?
                {
                    return Ok(None);
                }
            }
        }
        for generation in splits {
            let Some(list) = self.object(generation, Kind::LargeFile, hash)? else { continue };
            if let Some(chunks) = self.chunks(list.at())? {
                self.keep_list(generation, Kind::LargeFile, hash)?;
                return Ok(Some(chunks.iter().map(|chunk| chunk.size).sum()));
            }
        }
        Ok(None)
    }

    /// The entries of a list of chunks, if there is one and the chunks are all present. A damaged list is removed.
    fn chunks(&self, list: At<'_>) -> Result<Option<Vec<Digest>>> {
        let text = match list.read() {
            Err(error) if error.is_absent() => return Ok(None),
            Err(error) if error.is_other_kind() => Vec::new(),
            other => other?,
        };
        let Some(chunks) = parse(&text) else {
            list.remove_all()?;
            return Ok(None);
        };
        for chunk in &chunks {
            // Brings the chunk into the youngest generation, so that it lives as long as the list.
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
        let Some(list) = self.object(generation, large, hash)? else { return Ok(()) };
        let place = self.object_to_make(large, hash)?;
        Ok(list.at().hard_link(place.at()).or_else(ignore_exists)?)
    }

    /// Splits an object of the youngest generation, and replaces it by its chunks and their list.
    pub(crate) fn split(&self, kind: Kind, hash: &Hash) -> Result<()> {
        let Some(large) = kind.in_chunks() else { return Ok(()) };
        let Some(object) = self.object(0, kind, hash)? else { return Ok(()) };
        let chunks = self.put_chunks(object.at().open()?)?;
        // A list of one chunk would name the object itself.
        if chunks.len() < 2 {
            return Ok(());
        }
        // Chunks, then the list, then the removal: whenever the process dies, the object can be read in one way or the
        // other.
        let temporary = self.write_temporary(list_text(&chunks).as_bytes(), 0o444)?;
        self.commit(temporary, large, hash)?;
        self.forget(kind, hash);
        Ok(object.at().remove_file()?)
    }

    fn put_chunks(&self, mut file: File<'_>) -> Result<Vec<Digest>> {
        let mut chunks = Vec::new();
        let mut buffer = Vec::with_capacity(4 * MAX_CHUNK_BYTES);
        let mut ended = false;
        let mut at = 0;
        loop {
            // At least `MAX_CHUNK_BYTES` have to be in the buffer, or all that is left, for a boundary not to depend on
            // how the file is read. Four chunks of the largest size: the rest of the buffer is moved seldom.
            if buffer.len() - at < MAX_CHUNK_BYTES && !ended {
                buffer.drain(..at);
                at = 0;
                let wanted = (4 * MAX_CHUNK_BYTES - buffer.len()) as u64;
                let read = file.read_up_to(wanted)?;
                ended = (read.len() as u64) < wanted;
                buffer.extend(read);
            }
            match first_chunk(&buffer[at..]) {
                0 => return Ok(chunks),
                len => {
                    chunks.push(self.put_blob(&buffer[at..at + len], false)?);
                    at += len;
                }
            }
        }
    }
}

pub(crate) fn ignore_exists(error: taut_sys::Error) -> taut_sys::Result<()> {
    if error.is_exists() { Ok(()) } else { Err(error) }
}

fn list_text(chunks: &[Digest]) -> String {
    let entries: Vec<String> = chunks.iter().map(digest_text).collect();
    format!("[{}]", entries.join(","))
}

/// The compact JSON text `["<hash>",<size>]`.
pub(crate) fn digest_text(digest: &Digest) -> String {
    // By hand, byte for byte as the reference writes it: these two fields need no JSON library.
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
