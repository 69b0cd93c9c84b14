//! Objects that are written together: as one pack, or as loose objects if they are few.
//!
//! Nothing of a batch can be seen before [`Batch::finish`]; a batch that is dropped, or whose process is killed, leaves
//! no object. Objects that the repository has are not written again: what is there is complete, since trees get there
//! only together with or after what they name.

use std::io::Read;

use rustc_hash::FxHashSet;
use taut_digest::{Hash, HashFunction};

use crate::{
    Error, Kind, ObjectSink, Result, Writer,
    loose::write_loose,
    pack::PackWriter,
    repository::{ObjectSnapshot, hash_of},
    sink::{check_size, for_each_piece, read_whole},
};

/// Blobs up to this size in bytes are held in memory while they are written.
const MAX_IN_MEMORY: u64 = 4 << 20;

/// Batches with so many objects at most are written as loose objects.
// A pack costs two files and two syncs; every pack that is there costs each look-up a search in its index.
const MAX_LOOSE: usize = 8;

/// Writes objects that appear in the repository together.
pub struct Batch<'w> {
    writer: &'w Writer,
    /// The first objects, until it is clear that there are many.
    few: Vec<(Kind, Vec<u8>, Hash)>,
    pack: PackWriter<'w>,
    /// All that are in `few` or `pack`.
    written: FxHashSet<Hash>,
    /// Opened when the first object comes; what others write meanwhile is at worst written twice.
    present: Option<ObjectSnapshot>,
}

impl<'w> Batch<'w> {
    pub(crate) fn new(writer: &'w Writer) -> Batch<'w> {
        Batch {
            writer,
            few: Vec::new(),
            pack: PackWriter::new(writer.packs()),
            written: FxHashSet::default(),
            present: None,
        }
    }

    /// The writer that it is of.
    pub fn writer(&self) -> &'w Writer {
        self.writer
    }

    /// Whether an object is in this batch or in the repository, where it need not be written again.
    ///
    /// # Errors
    /// The repository is damaged.
    pub fn has(&mut self, id: &Hash) -> Result<bool> {
        if self.written.contains(id) {
            return Ok(true);
        }
        if self.writer.rewrites() {
            return Ok(false);
        }
        let present = match &self.present {
            Some(present) => present,
            None => self.present.insert(self.writer.repository().present()?),
        };
        Ok(present.contains(id))
    }

    /// An object of any kind, in git's encoding.
    ///
    /// # Errors
    /// As for [`ObjectSink::blob`].
    pub fn object(&mut self, kind: Kind, content: &[u8]) -> Result<Hash> {
        check_size(content.len() as u64)?;
        let id = hash_of(kind, content);
        if self.has(&id)? {
            return Ok(id);
        }
        // Once there is a pack everything goes into it: one batch is visible by one rename.
        if self.pack.is_empty() && self.few.len() < MAX_LOOSE && (content.len() as u64) < MAX_IN_MEMORY {
            self.few.push((kind, content.to_vec(), id));
        } else {
            self.use_pack()?;
            let added = self.pack.add(kind, content, id);
            added.map_err(|error| self.unwritable(error))?;
        }
        self.written.insert(id);
        Ok(id)
    }

    /// Writes all objects, and returns when they are in the repository.
    ///
    /// # Errors
    /// They cannot be written; then none of their trees is in the repository without what it names.
    pub fn finish(mut self) -> Result<()> {
        let writer = self.writer;
        let done = if self.pack.is_empty() {
            let few = std::mem::take(&mut self.few);
            // In the order in which they came, children first: killed in between, no tree is without what it names.
            few.iter().try_for_each(|(kind, content, id)| write_loose(writer.objects(), *kind, content, id))
        } else {
            self.pack.finish()
        };
        done.map_err(|error| writer.unwritable(error))
    }

    /// From now on objects go to the pack.
    fn use_pack(&mut self) -> Result<()> {
        for (kind, content, id) in std::mem::take(&mut self.few) {
            let added = self.pack.add(kind, &content, id);
            added.map_err(|error| self.unwritable(error))?;
        }
        Ok(())
    }

    fn unwritable(&self, error: taut_sys::Error) -> Error {
        self.writer.unwritable(error)
    }
}

impl ObjectSink for Batch<'_> {
    fn blob(&mut self, content: &[u8]) -> Result<Hash> {
        self.object(Kind::Blob, content)
    }

    fn blob_from(&mut self, size: u64, content: &mut dyn Read) -> Result<Hash> {
        check_size(size)?;
        if size < MAX_IN_MEMORY {
            return self.blob(&read_whole(size, content)?);
        }
        // A large blob is deflated while it is read; if the repository turns out to have it, it is taken back.
        self.use_pack()?;
        let mut hasher = HashFunction::GitSha1.blob_hasher(size);
        let mut open = self.pack.begin(Kind::Blob, size);
        let (pack, writer) = (&mut self.pack, self.writer);
        let read = for_each_piece(size, content, |piece| {
            hasher.update(piece);
            pack.piece(&mut open, piece).map_err(|error| writer.unwritable(error))
        });
        // After an error the id is that of a part, and is not used.
        let id = hasher.finish();
        let is_new = match &read {
            Ok(()) => !self.has(&id)?,
            Err(_) => false,
        };
        // Also after an error of the stream the pack is cut back, so that the batch can go on with other objects.
        let done = if is_new { self.pack.keep(open, id) } else { self.pack.take_back(open) };
        done.map_err(|error| self.unwritable(error))?;
        read?;
        if is_new {
            self.written.insert(id);
        }
        Ok(id)
    }

    fn tree(&mut self, encoded: &[u8]) -> Result<Hash> {
        self.object(Kind::Tree, encoded)
    }
}
