//! Headers of tar archives: the block of an entry, and the records about it in the blocks before.
//!
//! Formats: POSIX `pax` (ustar and pax interchange), `tar.h` of GNU tar (long names and links, sparse files).

use crate::{Error, Fault, Result};

/// The size of a block in bytes.
pub(crate) const BLOCK: usize = 512;

/// The header of an entry.
pub(crate) struct Header(tar::Header);

impl Header {
    /// The header in a block; `None` if its checksum is wrong.
    pub(crate) fn parse(block: &[u8; BLOCK]) -> Option<Header> {
        let mut header = tar::Header::new_old();
        header.as_mut_bytes().copy_from_slice(block);
        // A checksum that is not a number is a wrong one: the block is not a header.
        let written = header.cksum().ok()?;
        // The checksum counts its own field as blanks. Old implementations summed signed bytes.
        let bytes = || block[..148].iter().chain(b"        ").chain(&block[156..]);
        let unsigned: u32 = bytes().map(|&byte| u32::from(byte)).sum();
        let signed: i32 = bytes().map(|&byte| i32::from(byte as i8)).sum();
        (written == unsigned || i64::from(written) == i64::from(signed)).then_some(Header(header))
    }

    /// The type: a character.
    pub(crate) fn kind(&self) -> u8 {
        self.0.as_bytes()[156]
    }

    /// The name, with the prefix that ustar has.
    pub(crate) fn name(&self) -> Vec<u8> {
        self.0.path_bytes().into_owned()
    }

    /// The target of a link.
    pub(crate) fn link(&self) -> Vec<u8> {
        self.0.link_name_bytes().unwrap_or_default().into_owned()
    }

    /// The size of what follows in bytes, or what is wrong with it.
    pub(crate) fn size(&self) -> std::result::Result<u64, &'static str> {
        // The first byte of a binary number has a mark in its highest bit, and the sign in the next one.
        if self.0.as_bytes()[124] & 0xc0 == 0xc0 {
            return Err("the size of an entry is negative");
        }
        self.0.entry_size().map_err(|_| "the size of an entry is not a number")
    }

    /// Whether any user may execute it. A mode that is not a number counts as none.
    pub(crate) fn is_executable(&self) -> bool {
        self.0.mode().is_ok_and(|mode| mode & 0o111 != 0)
    }

    /// Of a sparse file in GNU's old format: its real size, the segments that are in the header, and whether blocks
    /// with more segments follow.
    pub(crate) fn gnu_sparse(&self) -> Option<(u64, Vec<Segment>, bool)> {
        let gnu = self.0.as_gnu()?;
        Some((gnu.real_size().ok()?, segments(&gnu.sparse)?, gnu.is_extended()))
    }
}

/// Whether a block has the magic number of a header, in one of the formats since ustar.
pub(crate) fn has_magic(block: &[u8; BLOCK]) -> bool {
    block[257..].starts_with(b"ustar")
}

/// A part of a sparse file that is in the archive; everything else is zeros.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Segment {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

// Unused slots are filled with zeros.
fn segments(headers: &[tar::GnuSparseHeader]) -> Option<Vec<Segment>> {
    let used = headers.iter().filter(|header| !header.is_empty());
    used.map(|header| Some(Segment { offset: header.offset().ok()?, length: header.length().ok()? }))
        .collect()
}

/// The segments in a block that follows the header of a sparse file, and whether another such block follows.
pub(crate) fn more_gnu_segments(block: &[u8; BLOCK]) -> Option<(Vec<Segment>, bool)> {
    let mut more = tar::GnuExtSparseHeader::new();
    more.as_mut_bytes().copy_from_slice(block);
    Some((segments(more.sparse())?, more.is_extended()))
}

/// The records about an entry in front of its header.
#[derive(Default, Debug)]
pub(crate) struct Extended {
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) sparse: PaxSparse,
    /// Whether there was a header in the pax format.
    pub(crate) is_pax: bool,
}

/// The pax records about a sparse file, in GNU's formats 0.0, 0.1 and 1.0.
#[derive(Default, Debug)]
pub(crate) struct PaxSparse {
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) real_size: Option<u64>,
    /// Numbers: offset and length of each segment.
    pub(crate) numbers: Vec<u64>,
    /// Whether the numbers are at the beginning of the content, in lines (format 1.0).
    pub(crate) is_in_content: bool,
}

impl Extended {
    /// Adds the records of a pax header: lines `LENGTH KEY=VALUE`, where the length is that of the whole line.
    pub(crate) fn add_pax(&mut self, mut records: &[u8]) -> Result<()> {
        let malformed = || Error::new(Fault::Corrupt("a pax header is malformed".to_owned()));
        self.is_pax = true;
        // Some writers fill the rest with zeros.
        while records.first().is_some_and(|&byte| byte != 0) {
            let blank = records.iter().position(|&byte| byte == b' ').ok_or_else(malformed)?;
            let length = number(&records[..blank]).ok_or_else(malformed)?;
            let length =
                usize::try_from(length).ok().filter(|&length| length <= records.len() && length > blank + 1);
            let (record, rest) = records.split_at(length.ok_or_else(malformed)?);
            records = rest;
            let record = record[blank + 1..].strip_suffix(b"\n").ok_or_else(malformed)?;
            let equals = record.iter().position(|&byte| byte == b'=').ok_or_else(malformed)?;
            self.add_record(&record[..equals], &record[equals + 1..]).ok_or_else(malformed)?;
        }
        Ok(())
    }

    fn add_record(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        // An empty value means that the record does not exist.
        let text = || Some(value.to_vec()).filter(|value| !value.is_empty());
        match key {
            b"path" => self.name = text(),
            b"linkpath" => self.link = text(),
            b"size" => self.size = Some(number(value)?),
            b"GNU.sparse.name" => self.sparse.name = text(),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.sparse.real_size = Some(number(value)?),
            // Format 0.0 repeats the two records for each segment in turn, so their order in the header is that of
            // the numbers.
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => self.sparse.numbers.push(number(value)?),
            // Format 0.1: one record with all numbers, which replaces those of 0.0 that a writer may have put before
            // it.
            b"GNU.sparse.map" => {
                let numbers = value.split(|&byte| byte == b',').map(number);
                self.sparse.numbers = numbers.collect::<Option<_>>()?;
            }
            b"GNU.sparse.major" => self.sparse.is_in_content = number(value)? == 1,
            // Owners, times and vendors' records: none of them is in a git tree.
            _ => {}
        }
        Some(())
    }
}

/// A decimal number.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    // `parse` would also accept a sign.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}
