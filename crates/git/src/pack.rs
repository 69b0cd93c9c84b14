//! A pack and its index, written object by object.
//!
//! Formats: `gitformat-pack(5)`, packs and indices of version 2. Objects are deflated one by one, without deltas: to
//! find deltas costs more than all other work, and contents of archives are read a few times at most.
//!
//! The number of objects is in the header of a pack and the hash of all bytes at its end, so the hash is computed when
//! the number is known. Up to [`MAX_IN_MEMORY`] bytes are held in memory; a larger pack is read back.

use std::{
    fs,
    io::{Read, Seek, SeekFrom, Write},
};

use flate2::{Compress, Compression, Crc, FlushCompress};
use sha1::{Digest, Sha1};
use taut_digest::Hash;
use taut_sys::Dir;

use crate::{Kind, temporary::Temporary};

/// How many bytes of a pack are held in memory before a part is written.
const MAX_IN_MEMORY: usize = 8 << 20;

/// A pack that is being written into a directory under a temporary name.
pub(crate) struct PackWriter<'d> {
    directory: &'d Dir,
    /// Bytes behind those in the file.
    buffer: Vec<u8>,
    file: Option<(Temporary<'d>, fs::File)>,
    /// How many bytes are in the file.
    in_file: u64,
    entries: Vec<IndexEntry>,
    compress: Compress,
}

struct IndexEntry {
    id: Hash,
    crc: u32,
    offset: u64,
}

/// An object whose content is being added piece by piece.
pub(crate) struct OpenObject {
    offset: u64,
    crc: Crc,
}

impl<'d> PackWriter<'d> {
    /// An empty pack; nothing is written yet.
    pub(crate) fn new(directory: &'d Dir) -> PackWriter<'d> {
        // The signature, and version 2.
        let mut buffer = b"PACK\0\0\0\x02".to_vec();
        // Room for the number of objects, which `finish` fills in.
        buffer.extend_from_slice(&[0; 4]);
        PackWriter { directory, buffer, file: None, in_file: 0, entries: Vec::new(), compress: compressor() }
    }

    /// Whether there is no object in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds an object as a whole.
    pub(crate) fn add(&mut self, kind: Kind, content: &[u8], id: Hash) -> taut_sys::Result<()> {
        let mut open = self.begin(kind, content.len() as u64);
        self.deflate(&mut open, content, FlushCompress::Finish)?;
        self.end(open, id);
        Ok(())
    }

    /// Begins an object of `size` bytes.
    pub(crate) fn begin(&mut self, kind: Kind, size: u64) -> OpenObject {
        // Type and size: four bits of the size in the first byte, then seven in each, the lowest first.
        let number: u8 = match kind {
            Kind::Commit => 1,
            Kind::Tree => 2,
            Kind::Blob => 3,
            Kind::Tag => 4,
        };
        let mut header = vec![number << 4 | (size & 15) as u8];
        let mut rest = size >> 4;
        while rest > 0 {
            *header.last_mut().expect("not empty") |= 0x80;
            header.push((rest & 127) as u8);
            rest >>= 7;
        }
        // The index has the position of the header and a checksum that covers header and deflated content.
        let offset = self.in_file + self.buffer.len() as u64;
        let mut crc = Crc::new();
        crc.update(&header);
        self.buffer.extend_from_slice(&header);
        self.compress.reset();
        OpenObject { offset, crc }
    }

    /// Adds the next piece of the content.
    pub(crate) fn piece(&mut self, open: &mut OpenObject, piece: &[u8]) -> taut_sys::Result<()> {
        self.deflate(open, piece, FlushCompress::None)
    }

    /// Ends the content of an object, and keeps it.
    pub(crate) fn keep(&mut self, mut open: OpenObject, id: Hash) -> taut_sys::Result<()> {
        self.deflate(&mut open, &[], FlushCompress::Finish)?;
        self.end(open, id);
        Ok(())
    }

    /// Takes an object back that was begun last.
    pub(crate) fn take_back(&mut self, open: OpenObject) -> taut_sys::Result<()> {
        // zlib-rs 0.6.8, reset in the middle of a block at this level, ends that block in the next stream.
        self.compress = compressor();
        match open.offset.checked_sub(self.in_file) {
            Some(in_buffer) => self.buffer.truncate(in_buffer as usize),
            // A part of the object was spilled: everything in memory belongs to it, since it was begun last.
            None => {
                self.buffer.clear();
                self.in_file = open.offset;
                if let Some((temporary, file)) = &mut self.file {
                    let cut = file
                        .set_len(open.offset)
                        .and_then(|()| file.seek(SeekFrom::Start(open.offset)).map(drop));
                    cut.map_err(|error| temporary.error("write", error))?;
                }
            }
        }
        Ok(())
    }

    /// Deflates input, as far as possible with this flush, behind what is there.
    fn deflate(
        &mut self,
        open: &mut OpenObject,
        mut input: &[u8],
        flush: FlushCompress,
    ) -> taut_sys::Result<()> {
        loop {
            let start = self.buffer.len();
            // Room for all of it as a rule: stored, it is longer by five bytes for each 16 KiB.
            self.buffer.reserve((input.len() + input.len() / 1000 + 64).min(1 << 20));
            let before = self.compress.total_in();
            let status = self.compress.compress_vec(input, &mut self.buffer, flush);
            let status =
                status.map_err(|error| taut_sys::Error::new("deflate", self.directory.path(), error))?;
            input = &input[(self.compress.total_in() - before) as usize..];
            open.crc.update(&self.buffer[start..]);
            let is_done = match flush {
                // The end of the input is not enough: the library may hold back output that had no room.
                FlushCompress::Finish => status == flate2::Status::StreamEnd,
                // Output room left over means that the library wants more input.
                _ => input.is_empty() && self.buffer.len() < self.buffer.capacity(),
            };
            if self.buffer.len() >= MAX_IN_MEMORY {
                self.spill()?;
            }
            if is_done {
                return Ok(());
            }
        }
    }

    fn end(&mut self, open: OpenObject, id: Hash) {
        self.entries.push(IndexEntry { id, crc: open.crc.sum(), offset: open.offset });
    }

    /// Writes what is in memory behind what is in the file.
    fn spill(&mut self) -> taut_sys::Result<()> {
        if self.file.is_none() {
            self.file = Some(Temporary::create(self.directory, "tmp_pack_")?);
        }
        let (temporary, file) = self.file.as_mut().expect("it was made above");
        file.write_all(&self.buffer).map_err(|error| temporary.error("write", error))?;
        self.in_file += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Completes the pack and gives pack and index their names. They are on the disk then: an index that was lost or
    /// cut by a power failure would make all its objects unreadable until it is removed by hand.
    pub(crate) fn finish(mut self) -> taut_sys::Result<()> {
        // The format has 32 bits for the number of objects.
        let count = u32::try_from(self.entries.len()).map_err(|_| {
            taut_sys::Error::new(
                "write",
                self.directory.path(),
                std::io::Error::from(std::io::ErrorKind::FileTooLarge),
            )
        })?;
        let hash = if self.file.is_none() {
            self.buffer[8..12].copy_from_slice(&count.to_be_bytes());
            <[u8; 20]>::from(Sha1::digest(&self.buffer))
        } else {
            // All bytes have to be in the file before the number is written and the hash is computed.
            self.spill()?;
            let (temporary, file) = self.file.as_mut().expect("checked above");
            hash_of_file(file, count).map_err(|error| temporary.error("write", error))?
        };
        self.buffer.extend_from_slice(&hash);
        self.spill()?;
        let (pack, file) = self.file.take().expect("something was spilled");
        // Before the rename: otherwise the name may be on the disk and the content not.
        file.sync_all().map_err(|error| pack.error("write", error))?;
        let (index, mut index_file) = Temporary::create(self.directory, "tmp_idx_")?;
        let encoded = self.encode_index(&hash);
        let written = index_file.write_all(&encoded).and_then(|()| index_file.sync_all());
        written.map_err(|error| index.error("write", error))?;
        // Readers find a pack by its index, so the index comes last. A pack with the same hash has the same content.
        let name = format!("pack-{}", Hash::sha1(hash).to_hex());
        pack.rename(&format!("{name}.pack"))?;
        index.rename(&format!("{name}.idx"))
    }

    fn encode_index(&mut self, pack_hash: &[u8; 20]) -> Vec<u8> {
        // The tables of the index are sorted by id, and readers use binary search; ids are unique within a batch.
        self.entries.sort_unstable_by_key(|entry| entry.id);
        // No index of version 1 begins with this magic number: there the fan-out table comes first, and this would be
        // a count of over four thousand million.
        let mut out = b"\xfftOc\0\0\0\x02".to_vec();
        // The fan-out table: for each first byte the number of objects up to there.
        let mut counts = [0_u32; 256];
        for entry in &self.entries {
            counts[entry.id.as_bytes()[0] as usize] += 1;
        }
        let mut sum = 0;
        for count in counts {
            sum += count;
            out.extend_from_slice(&sum.to_be_bytes());
        }
        for entry in &self.entries {
            out.extend_from_slice(entry.id.as_bytes());
        }
        for entry in &self.entries {
            out.extend_from_slice(&entry.crc.to_be_bytes());
        }
        let mut large: Vec<u64> = Vec::new();
        for entry in &self.entries {
            let offset = match u32::try_from(entry.offset) {
                Ok(small) if small < 1 << 31 => small,
                // The highest bit means that the rest is an index into the table of large offsets.
                _ => {
                    large.push(entry.offset);
                    1 << 31 | (large.len() - 1) as u32
                }
            };
            out.extend_from_slice(&offset.to_be_bytes());
        }
        for offset in large {
            out.extend_from_slice(&offset.to_be_bytes());
        }
        // The trailer: the hash of the pack binds the index to it, the second hash covers the index itself.
        out.extend_from_slice(pack_hash);
        let own_hash = Sha1::digest(&out);
        out.extend_from_slice(&own_hash);
        out
    }
}

/// Deflates with the fastest level: that is most of the time, and packs of a cache are not sent anywhere.
fn compressor() -> Compress {
    Compress::new(Compression::fast(), true)
}

/// Writes the number of objects into the header of a pack, and returns the hash of all bytes. The position is at the
/// end afterwards.
fn hash_of_file(file: &mut fs::File, count: u32) -> std::io::Result<[u8; 20]> {
    file.seek(SeekFrom::Start(8))?;
    file.write_all(&count.to_be_bytes())?;
    file.rewind()?;
    let mut hasher = Sha1::new();
    let mut buffer = vec![0; 1 << 17];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
