//! Blobs on their way: read piece by piece where they come from, written piece by piece where they go. Neither side
//! has to hold a large blob in memory, and a transfer that was cut goes on at the byte where it was cut.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use taut_digest::Digest;

/// Where bytes of a blob come from.
pub trait Source: Send + Sync {
    /// Reads bytes from an offset on; 0 at the end. Called in order of offsets, as a rule, but also again from any
    /// offset before.
    ///
    /// # Errors
    /// The blob can no longer be read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// The blob consists of these chunks, in this order: it was sent so, and later ones may have some in common with
    /// it.
    // Ignored unless an implementation can use it, here and in `Receiver`.
    fn note_chunks(&self, _: &[Digest]) {}
}

impl Source for Vec<u8> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(read_slice(self, offset, buffer))
    }
}

impl Source for Arc<[u8]> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(read_slice(self, offset, buffer))
    }
}

fn read_slice(bytes: &[u8], offset: u64, buffer: &mut [u8]) -> usize {
    // An offset behind the end reads nothing, as in a file.
    let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
    let count = rest.len().min(buffer.len());
    buffer[..count].copy_from_slice(&rest[..count]);
    count
}

/// A blob to be stored.
#[derive(Clone)]
pub struct Blob {
    /// Its name.
    pub digest: Digest,
    /// Its bytes.
    pub source: Arc<dyn Source>,
}

impl Blob {
    /// Reads all of it. Only for blobs that are known to be small.
    ///
    /// # Errors
    /// It cannot be read, or has another size by now.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let size = usize::try_from(self.digest.size).map_err(io::Error::other)?;
        // Allocated at once: the digest has the size, and the caller ensures that it is small.
        let (mut bytes, mut at) = (vec![0; size], 0);
        while at < size {
            match self.source.read_at(at as u64, &mut bytes[at..])? {
                // A file that was cut since it was hashed.
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => at += count,
            }
        }
        Ok(bytes)
    }
}

/// Where bytes of a blob go. One transfer calls it from one thread at a time.
pub trait Receiver: Send + Sync {
    /// A transfer begins; also when it begins anew, and what came before is void.
    ///
    /// # Errors
    /// Nothing can be written.
    fn begin(&self) -> io::Result<()>;

    /// The next bytes.
    ///
    /// # Errors
    /// They cannot be written.
    fn piece(&self, bytes: &[u8]) -> io::Result<()>;

    /// Passes on what has come, from the beginning: git's hash begins with the size, so a blob whose size is not
    /// known is hashed when all of it is here. Returns whether that is possible; if not, the blob comes a second
    /// time.
    ///
    /// # Errors
    /// It can no longer be read.
    fn again(&self, _: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        Ok(false)
    }

    /// A chunk that is here, so that it need not come. What is returned is compared with the digest.
    fn chunk(&self, _: &Digest) -> Option<Vec<u8>> {
        None
    }

    /// The blob that comes consists of these chunks, in this order.
    fn note_chunks(&self, _: &[Digest]) {}
}

/// Takes a blob in memory.
#[derive(Default)]
// A lock, since a transfer may go on in another thread than it began in.
pub struct Buffer(Mutex<Vec<u8>>);

impl Buffer {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What came.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.bytes())
    }
}

impl Receiver for Buffer {
    fn begin(&self) -> io::Result<()> {
        // What an earlier attempt brought is not to be mixed with this one.
        self.bytes().clear();
        Ok(())
    }

    fn piece(&self, bytes: &[u8]) -> io::Result<()> {
        self.bytes().extend_from_slice(bytes);
        Ok(())
    }

    fn again(&self, take: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        take(&self.bytes());
        Ok(true)
    }
}
