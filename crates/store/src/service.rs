//! A build root as a service: blobs are files, and results those of the action cache.

use std::{
    collections::HashSet,
    fs, io,
    os::unix::fs::FileExt as _,
    sync::{Arc, OnceLock},
};

use taut_digest::{Digest, Hash, HashFunction, ObjectInfo, ObjectType};
use taut_proto::ActionResult;
use taut_service::{ActionCache, Answer, Blob, Cas, Error, Receiver, Result, Source};

use crate::{Store, layout::Kind};

/// How many bytes are passed on at once.
// As `READ_AT_ONCE` of `cas.rs`.
const PIECE_BYTES: u64 = 1 << 20;

/// A stored object, opened when it is read. Not compared with its name: that is done where it
/// arrives.
struct Stored {
    store: Store,
    object: ObjectInfo,
    // Kept open: a transfer reads it piece by piece, and the object may be collected meanwhile only by name.
    file: OnceLock<fs::File>,
}

impl Stored {
    // Opened when it is read: many blobs may wait to be sent, and each open file takes a descriptor.
    fn open(&self) -> io::Result<&fs::File> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let ObjectInfo { digest, object_type } = &self.object;
        let opened = self.store.open_object(&digest.hash, *object_type).map_err(io::Error::other)?;
        let file =
            opened.ok_or_else(|| io::Error::other(format!("object {} is not in the store", self.object)))?;
        Ok(self.file.get_or_init(|| file))
    }

    fn unreadable(&self, error: io::Error) -> crate::Error {
        let ObjectInfo { digest, object_type } = &self.object;
        match self.store.object(0, Kind::of(*object_type), &digest.hash) {
            Ok(Some(object)) => taut_sys::Error::new("read", &object.at().path(), error).into(),
            Ok(None) => crate::Error::Missing(self.object),
            Err(other) => other,
        }
    }
}

impl Source for Stored {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let file = self.open()?;
        file.read_at(buffer, offset).map_err(|error| io::Error::other(self.unreadable(error)))
    }
}

impl Store {
    /// The bytes of an object, to be sent elsewhere.
    pub fn source(&self, object: &ObjectInfo) -> Arc<dyn Source> {
        Arc::new(Stored { store: self.clone(), object: *object, file: OnceLock::new() })
    }

    /// Opens an object, unchecked; `None` if it is not stored.
    fn open_object(&self, hash: &Hash, object_type: ObjectType) -> crate::Result<Option<fs::File>> {
        if !self.is_whole(hash, object_type)? {
            return Ok(None);
        }
        let kind = Kind::of(object_type);
        let Some(object) = self.object(0, kind, hash)? else { return Ok(None) };
        Ok(taut_sys::if_exists(object.at().open())?.map(taut_sys::File::into_std))
    }

    fn absent_ones(&self, digests: Vec<Digest>) -> Result<Vec<Digest>> {
        let (mut absent, mut seen) = (Vec::new(), HashSet::new());
        for digest in digests {
            if seen.insert(digest) && !self.contains(&digest.hash, ObjectType::File).map_err(local)? {
                absent.push(digest);
            }
        }
        Ok(absent)
    }

    fn give(&self, digest: &Digest, receiver: &dyn Receiver) -> Result<()> {
        // Opened by the function that compares the blob with its name.
        let opened = self.open_file(&digest.hash).map_err(local)?;
        let (file, _) = opened.filter(|(_, size)| *size == digest.size).ok_or(Error::NotFound(*digest))?;
        receiver.begin().map_err(local)?;
        pass_on(|at, buffer| file.read_at(buffer, at), digest.size, receiver)
    }

    fn take(&self, blob: &Blob) -> Result<()> {
        let Digest { hash, size } = blob.digest;
        let incoming = self.incoming(size, false);
        incoming.begin().map_err(local)?;
        pass_on(|at, buffer| blob.source.read_at(at, buffer), size, &incoming)?;
        // Compared with the name here; under another name nothing is added.
        let taken = incoming.finish(Some(&hash)).map_err(local)?;
        taken.map(drop).ok_or(Error::Corrupt(blob.digest))
    }
}

fn local(error: impl std::fmt::Display) -> Error {
    Error::Local(error.to_string())
}

/// Passes bytes on, up to a size or the end.
fn pass_on(
    read_at: impl Fn(u64, &mut [u8]) -> io::Result<usize>,
    size: u64,
    receiver: &dyn Receiver,
) -> Result<()> {
    let (mut at, mut buffer) = (0, vec![0; size.min(PIECE_BYTES) as usize]);
    while at < size {
        let count = read_at(at, &mut buffer).map_err(local)?;
        if count == 0 {
            // Shorter than its digest says.
            return Err(local(io::Error::from(io::ErrorKind::UnexpectedEof)));
        }
        receiver.piece(&buffer[..count]).map_err(local)?;
        at += count as u64;
    }
    Ok(())
}

fn ready<T: Send + 'static>(answer: Result<T>) -> Answer<'static, T> {
    // The disk answers before the future is polled: there is nothing to wait for.
    Box::pin(std::future::ready(answer))
}

impl Cas for Store {
    fn hash_function(&self) -> HashFunction {
        Store::hash_function(self)
    }

    fn missing(&self, digests: Vec<Digest>) -> Answer<'_, Vec<Digest>> {
        ready(self.absent_ones(digests))
    }

    fn get(&self, wanted: Vec<(Digest, Arc<dyn Receiver>)>) -> Answer<'_, Vec<Result<()>>> {
        ready(Ok(wanted.iter().map(|(digest, receiver)| self.give(digest, &**receiver)).collect()))
    }

    fn put(&self, blobs: Vec<Blob>) -> Answer<'_, Vec<Result<()>>> {
        ready(Ok(blobs.iter().map(|blob| self.take(blob)).collect()))
    }
}

impl ActionCache for Store {
    fn look_up(&self, action: Digest) -> Answer<'_, Option<ActionResult>> {
        ready(self.cached_action(&action.hash).map_err(local))
    }

    fn store(&self, action: Digest, result: ActionResult) -> Answer<'_, ()> {
        ready(self.cache_action(&action.hash, &result).map_err(local))
    }
}
