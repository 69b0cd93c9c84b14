//! Where objects go that are made one by one: a repository, or nowhere if only their ids are wanted.

use std::io::{self, Read};

use taut_digest::{Hash, HashFunction};

use crate::{Error, MAX_OBJECT_SIZE, Result};

/// Takes blobs and trees, children before the trees that name them, and returns their ids.
pub trait ObjectSink {
    /// A blob with this content.
    ///
    /// # Errors
    /// It is too large, or cannot be written.
    fn blob(&mut self, content: &[u8]) -> Result<Hash>;

    /// A blob of the next `size` bytes of a stream, which are not all held in memory if they are many.
    ///
    /// # Errors
    /// As for [`ObjectSink::blob`]; and the stream fails or ends before ([`Error::Content`]).
    fn blob_from(&mut self, size: u64, content: &mut dyn Read) -> Result<Hash>;

    /// A tree in git's encoding, which the caller made valid.
    ///
    /// # Errors
    /// As for [`ObjectSink::blob`].
    fn tree(&mut self, encoded: &[u8]) -> Result<Hash>;
}

/// Computes ids and stores nothing.
#[derive(Default, Debug)]
pub struct HashOnly;

impl ObjectSink for HashOnly {
    fn blob(&mut self, content: &[u8]) -> Result<Hash> {
        check_size(content.len() as u64)?;
        Ok(HashFunction::GitSha1.blob(content))
    }

    fn blob_from(&mut self, size: u64, content: &mut dyn Read) -> Result<Hash> {
        check_size(size)?;
        let mut hasher = HashFunction::GitSha1.blob_hasher(size);
        for_each_piece(size, content, |piece| {
            hasher.update(piece);
            Ok(())
        })?;
        Ok(hasher.finish())
    }

    fn tree(&mut self, encoded: &[u8]) -> Result<Hash> {
        check_size(encoded.len() as u64)?;
        Ok(HashFunction::GitSha1.tree(encoded))
    }
}

/// Fails if a blob could not be read back.
// Checked when written: an object that is stored and later refused by `Repository::read` would be found too late.
pub(crate) fn check_size(size: u64) -> Result<()> {
    if size > MAX_OBJECT_SIZE as u64 { Err(Error::TooLarge { size }) } else { Ok(()) }
}

/// Reads exactly `size` bytes and hands them on in pieces.
pub(crate) fn for_each_piece(
    size: u64,
    content: &mut dyn Read,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    // Small blobs are most; they do not pay for 64 KiB of zeros.
    let mut buffer = vec![0; size.clamp(1, 1 << 16) as usize];
    let mut left = size;
    while left > 0 {
        let wanted = left.min(buffer.len() as u64) as usize;
        let read = match content.read(&mut buffer[..wanted]) {
            Ok(0) => return Err(ends_early(left)),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::Content { why: error.to_string() }),
        };
        take(&buffer[..read])?;
        left -= read as u64;
    }
    Ok(())
}

/// The whole of a blob of `size` bytes.
pub(crate) fn read_whole(size: u64, content: &mut dyn Read) -> Result<Vec<u8>> {
    // A stream that claims to be long and is not allocates no more than it has.
    let mut whole = Vec::with_capacity(size.min(1 << 20) as usize);
    match content.take(size).read_to_end(&mut whole) {
        Ok(read) if read as u64 == size => Ok(whole),
        Ok(read) => Err(ends_early(size - read as u64)),
        Err(error) => Err(Error::Content { why: error.to_string() }),
    }
}

fn ends_early(missing: u64) -> Error {
    Error::Content { why: format!("the content ends {missing} bytes early") }
}
