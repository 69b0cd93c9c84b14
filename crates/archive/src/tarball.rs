//! Tar archives.
//!
//! What an entry of a type becomes is what just-mr 1.6 makes of it (`tests/golden`): types that are not known are
//! files, as POSIX says, volume labels and access control lists are skipped, a file whose name ends in a slash is a
//! directory.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use taut_digest::ObjectType;
use taut_git::ObjectSink;

use crate::{
    Error, Fault, Limits, Result, Unpacked,
    compression::{Compression, Decompressed},
    error::store,
    layout::Layout,
    limits::{Budget, CountingReader},
    sparse::Sparse,
    tar_header::{BLOCK, Extended, Header, Segment, has_magic, more_gnu_segments, number},
};

/// The largest name, link target or pax header in bytes.
// These are held in memory before anything is known about the entry; paths that a system takes have 4 KiB at most.
const MAX_EXTENDED_BYTES: u64 = 1 << 20;

/// The largest number of segments of a sparse file.
const MAX_SEGMENTS: usize = 1 << 20;

/// Reads a tar archive, compressed or not.
pub(crate) fn read(
    source: &mut (impl Read + Seek),
    limits: &Limits,
    sink: &mut dyn ObjectSink,
) -> Result<Unpacked> {
    let size = source.seek(SeekFrom::End(0)).map_err(corrupt)?;
    source.rewind().map_err(corrupt)?;
    let mut start = Vec::new();
    source.by_ref().take(BLOCK as u64).read_to_end(&mut start).map_err(corrupt)?;
    source.rewind().map_err(corrupt)?;
    let budget = Budget::new(limits, size);
    // A tar archive may begin with a name that looks like a magic number; a checksum that agrees is the stronger
    // sign.
    let is_tar = start.first_chunk().is_some_and(|block| Header::parse(block).is_some());
    let decompressed: Box<dyn Read + '_> = match Compression::of(&start) {
        Some(compression) if !is_tar => Box::new(Decompressed::new(compression, source).map_err(corrupt)?),
        _ => Box::new(source),
    };
    let stream = BufReader::with_capacity(1 << 16, budget.count(decompressed));
    let layout = Layout::new(limits);
    let mut archive = Archive { stream, budget, layout, sink, has_entries: false };
    match archive.read_all() {
        Ok(()) => archive.layout.finish(archive.sink),
        // What is read after the limit was exceeded is cut off, so the first error may be another one.
        Err(error) => Err(archive.budget.check().err().unwrap_or(error)),
    }
}

fn corrupt(error: io::Error) -> Error {
    Error::new(Fault::of_reader(&error.to_string()))
}

fn malformed(why: &str) -> Error {
    Error::new(Fault::Corrupt(why.to_owned()))
}

struct Archive<'a> {
    stream: BufReader<CountingReader<Box<dyn Read + 'a>>>,
    budget: Budget,
    layout: Layout,
    sink: &'a mut dyn ObjectSink,
    has_entries: bool,
}

impl Archive<'_> {
    fn read_all(&mut self) -> Result<()> {
        let mut extended = Extended::default();
        loop {
            let Some(block) = self.block()? else {
                // The blocks of zeros at the end may be missing.
                return if !self.has_entries {
                    Err(Error::new(Fault::UnknownFormat))
                } else if extended.is_pax || extended.name.is_some() || extended.link.is_some() {
                    Err(malformed("it ends before the entry that a header announces"))
                } else {
                    Ok(())
                };
            };
            // Two of them end an archive; one is enough here, as no header consists of zeros.
            if block == [0; BLOCK] {
                return self.drain();
            }
            let Some(header) = Header::parse(&block) else {
                let is_first = !self.has_entries && extended.name.is_none();
                // The magic number distinguishes a tar archive with a damaged first header from a file of another
                // format.
                let fault = if is_first && !has_magic(&block) {
                    Error::new(Fault::UnknownFormat)
                } else {
                    malformed("a header has a wrong checksum")
                };
                return Err(fault);
            };
            self.has_entries = true;
            self.budget.entry()?;
            let size = header.size().map_err(malformed)?;
            match header.kind() {
                // `X` is what Solaris wrote before the type was standardized.
                b'x' | b'X' => extended.add_pax(&self.extended(size)?)?,
                b'g' => {
                    let mut global = Extended::default();
                    global.add_pax(&self.extended(size)?)?;
                    // The global records that occur in practice (comments, times) are not used here. These three could
                    // not hold for all entries.
                    if global.name.is_some() || global.link.is_some() || global.size.is_some() {
                        return Err(malformed(
                            "a global pax header gives all entries one name, target or size",
                        ));
                    }
                }
                b'L' => extended.name = Some(until_null(self.extended(size)?)),
                b'K' => extended.link = Some(until_null(self.extended(size)?)),
                // The records apply to the next entry only.
                _ => self.entry(&header, size, std::mem::take(&mut extended))?,
            }
        }
    }

    /// Reads one entry.
    fn entry(&mut self, header: &Header, size: u64, extended: Extended) -> Result<()> {
        let is_pax = extended.is_pax;
        // The field of the header has 11 octal digits, so files of 8 GiB and more have their size in a record.
        let size = extended.size.unwrap_or(size);
        let name = extended.sparse.name.clone().or(extended.name.clone()).unwrap_or_else(|| header.name());
        let link = || extended.link.clone().unwrap_or_else(|| header.link());
        let at = |error: Error| error.of(&name);
        match header.kind() {
            b'V' | b'A' => self.skip(size).map_err(at),
            // `D` is a directory of GNU's incremental backups, whose content is a list of names.
            b'5' | b'D' => {
                self.layout.directory(&name)?;
                self.skip(size).map_err(at)
            }
            b'2' => {
                let target = link();
                if target.is_empty() || target.contains(&0) {
                    return Err(Error::at(&name, Fault::BadTarget));
                }
                let hash = self.sink.blob(&target).map_err(|error| store(&name, error))?;
                self.layout.object(&name, hash, ObjectType::Symlink)
            }
            // In the pax format, the content of a hard link may be repeated.
            b'1' if !(is_pax && size > 0) => self.layout.hard_link(&name, &link()),
            b'3' => Err(Error::at(&name, Fault::SpecialFile("a character device"))),
            b'4' => Err(Error::at(&name, Fault::SpecialFile("a block device"))),
            b'6' => Err(Error::at(&name, Fault::SpecialFile("a fifo"))),
            b'0' | 0 if name.ends_with(b"/") => {
                if size > 0 {
                    return Err(at(malformed("it is a directory and has content")));
                }
                self.layout.directory(&name)
            }
            _ => self.file(header, &name, size, &extended),
        }
    }

    /// Reads an entry with content.
    fn file(&mut self, header: &Header, name: &[u8], size: u64, extended: &Extended) -> Result<()> {
        let at = |error: Error| error.of(name);
        let object_type = if header.is_executable() { ObjectType::Executable } else { ObjectType::File };
        let (mut real_size, mut map) = (extended.sparse.real_size, None);
        if header.kind() == b'S' {
            let (size, segments) = self.gnu_segments(header).map_err(at)?;
            (real_size, map) = (Some(size), Some(segments));
        } else if real_size.is_some() && !extended.sparse.is_in_content {
            map = Some(in_pairs(&extended.sparse.numbers).ok_or_else(|| at(bad_map()))?);
        }
        // The sink cannot read past the entry, whatever a map of segments says.
        let mut content = (&mut self.stream).take(size);
        if real_size.is_some() && map.is_none() {
            map = Some(segments_in_content(&mut content).map_err(at)?);
        }
        let hash = match (map, real_size) {
            (Some(map), Some(real_size)) => {
                self.budget.claim(real_size)?;
                let sparse = Sparse::new(&mut content, map, real_size).ok_or_else(|| at(bad_map()));
                self.sink.blob_from(real_size, &mut sparse?)
            }
            _ => self.sink.blob_from(size, &mut content),
        };
        let hash = hash.map_err(|error| store(name, error))?;
        // Bytes that the map does not use are skipped: the next header follows after the size given in this one.
        let left = content.limit();
        self.skip_exactly(left).map_err(at)?;
        self.pad(size).map_err(at)?;
        self.layout.object(name, hash, object_type)
    }

    /// Real size and segments of a sparse file in GNU's old format.
    fn gnu_segments(&mut self, header: &Header) -> Result<(u64, Vec<Segment>)> {
        let (real_size, mut segments, mut has_more) = header.gnu_sparse().ok_or_else(bad_map)?;
        while has_more {
            let block = self.block()?.ok_or_else(bad_map)?;
            let (more, goes_on) = more_gnu_segments(&block).ok_or_else(bad_map)?;
            segments.extend(more);
            has_more = goes_on;
            // Checked in the loop: blocks that announce another one could go on without end.
            if segments.len() > MAX_SEGMENTS {
                return Err(bad_map());
            }
        }
        Ok((real_size, segments))
    }

    /// The next block; `None` at the end.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.stream.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(malformed("it ends inside a block")),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(corrupt(error)),
            }
        }
        Ok(Some(block))
    }

    /// The content of a header that describes the next one: a long name, or pax records.
    fn extended(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > MAX_EXTENDED_BYTES {
            return Err(malformed("a header for a long name or for pax records is too large"));
        }
        let mut content = vec![0; size as usize];
        self.stream.read_exact(&mut content).map_err(corrupt)?;
        self.pad(size)?;
        Ok(content)
    }

    fn skip(&mut self, size: u64) -> Result<()> {
        self.skip_exactly(size)?;
        self.pad(size)
    }

    /// Skips the padding of the last block of an entry.
    fn pad(&mut self, size: u64) -> Result<()> {
        // Modulo a power of two, so the wrapped negation is the distance to the next multiple.
        self.skip_exactly(size.wrapping_neg() % BLOCK as u64)
    }

    fn skip_exactly(&mut self, size: u64) -> Result<()> {
        let skipped = io::copy(&mut (&mut self.stream).take(size), &mut io::sink()).map_err(corrupt)?;
        if skipped < size { Err(malformed("it ends inside an entry")) } else { Ok(()) }
    }

    /// Reads to the end of the file, so that the checksum of the compression is verified. A file without entries is a
    /// tar archive only if it consists of zeros.
    fn drain(&mut self) -> Result<()> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) if !self.has_entries && buffer[..read].iter().any(|&byte| byte != 0) => {
                    return Err(Error::new(Fault::UnknownFormat));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(corrupt(error)),
            }
        }
    }
}

fn bad_map() -> Error {
    malformed("the map of a sparse file is malformed")
}

/// Offsets and lengths.
fn in_pairs(numbers: &[u64]) -> Option<Vec<Segment>> {
    let (pairs, []) = numbers.as_chunks() else { return None };
    Some(pairs.iter().map(|&[offset, length]| Segment { offset, length }).collect())
}

/// The map at the beginning of the content of a sparse file in GNU's format 1.0: lines with the number of segments,
/// then offset and length of each, filled to a whole block.
fn segments_in_content(content: &mut impl Read) -> Result<Vec<Segment>> {
    let mut block = [0; BLOCK];
    let mut position = BLOCK;
    let mut line = Vec::new();
    let mut next = || -> Result<u64> {
        line.clear();
        loop {
            if position == BLOCK {
                content.read_exact(&mut block).map_err(corrupt)?;
                position = 0;
            }
            let byte = block[position];
            position += 1;
            match byte {
                b'\n' => return number(&line).ok_or_else(bad_map),
                // As many digits as the largest number of 64 bits has.
                _ if line.len() == 20 => return Err(bad_map()),
                byte => line.push(byte),
            }
        }
    };
    let count = usize::try_from(next()?).ok().filter(|&count| count <= MAX_SEGMENTS).ok_or_else(bad_map)?;
    (0..count).map(|_| Ok(Segment { offset: next()?, length: next()? })).collect()
}

/// A name that ends at the first null character.
fn until_null(mut name: Vec<u8>) -> Vec<u8> {
    let length = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    name.truncate(length);
    name
}
