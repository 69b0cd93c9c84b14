//! Large blobs in chunks, if the server supports it: if a blob differs little from an earlier one, only the new
//! chunks are transferred. Where chunks begin follows from the blob, so versions of a file have most of them in
//! common.
//!
//! Whatever fails, the blob goes as a stream, which needs none of this.

use std::io;

use taut_digest::{Digest, HashFunction, MAX_CHUNK_BYTES, first_chunk};
use taut_proto::cache::{SHA256, SpliceBlobRequest, SpliceBlobResponse, SplitBlobRequest, SplitBlobResponse};
use taut_service::{Error, Receiver, Result, Source};

use crate::{
    call::{Link, Method},
    wire,
};

const SPLIT: Method = Method {
    name: "SplitBlob",
    path: "/build.bazel.remote.execution.v2.ContentAddressableStorage/SplitBlob",
    // A write for what follows from a refusal: a server that does not split is still one to read from.
    is_write: true,
};

const SPLICE: Method = Method {
    name: "SpliceBlob",
    path: "/build.bazel.remote.execution.v2.ContentAddressableStorage/SpliceBlob",
    is_write: true,
};

/// No blob is taken in more chunks: what a server says of it is held in memory.
// A digest takes some 70 bytes, so a list of that length takes some 20 MiB.
const MAX_CHUNKS: usize = 1 << 18;

/// How many bytes of chunks are asked for at once.
// Each chunk is held until the ones before it were written, so this is the memory of one blob.
pub(crate) const WINDOW_BYTES: u64 = 16 << 20;

/// Where a chunk is in a blob.
#[derive(Clone, Copy)]
pub(crate) struct Chunk {
    pub(crate) digest: Digest,
    pub(crate) offset: u64,
}

/// The bytes of a chunk, read from the blob.
pub(crate) struct Part {
    pub(crate) whole: std::sync::Arc<dyn Source>,
    pub(crate) chunk: Chunk,
}

impl Source for Part {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.chunk.digest.size.saturating_sub(offset);
        let count = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.whole.read_at(self.chunk.offset + offset, &mut buffer[..count])
    }
}

/// The chunks of a blob, by what is in it.
pub(crate) fn of(source: &dyn Source, size: u64) -> io::Result<Vec<Chunk>> {
    let (mut chunks, mut buffer, mut offset, mut read) = (Vec::new(), Vec::new(), 0, 0_u64);
    loop {
        // As many as a chunk may have, or all that are left: the end of a chunk must not depend on the sizes of reads.
        while buffer.len() < MAX_CHUNK_BYTES && read < size {
            let before = buffer.len();
            // Four at once, so that fewer calls read the file; what is behind the first chunk stays in the buffer.
            let wanted = (4 * MAX_CHUNK_BYTES).min(usize::try_from(size - read).unwrap_or(usize::MAX));
            buffer.resize(before + wanted, 0);
            let count = source.read_at(read, &mut buffer[before..])?;
            buffer.truncate(before + count);
            // The file has become shorter since its size was taken: its digest is wrong by now, too.
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            read += count as u64;
        }
        let length = first_chunk(&buffer);
        if length == 0 {
            return Ok(chunks);
        }
        let digest = Digest { hash: HashFunction::Sha256.blob(&buffer[..length]), size: length as u64 };
        chunks.push(Chunk { digest, offset });
        offset += length as u64;
        buffer.drain(..length);
    }
}

/// The chunks that a server has of a blob; `None` if it has none, or says something else.
pub(crate) async fn split(link: &Link, digest: &Digest) -> Option<Vec<Digest>> {
    let request = SplitBlobRequest {
        instance_name: link.instance.clone(),
        blob_digest: Some(wire::digest(digest)),
        digest_function: SHA256,
    };
    let answer: SplitBlobResponse = link.unary(&SPLIT, &request, digest.size).await.ok()??;
    let chunks: Vec<Digest> = answer.chunk_digests.iter().filter_map(wire::parse).collect();
    // Sizes come from the server; a sum that wraps could agree by accident.
    let total = chunks.iter().map(|chunk| chunk.size).fold(0, u64::saturating_add);
    // The list is not trusted: a digest that cannot be read, one chunk, or sizes with another sum mean that the blob
    // goes as a stream.
    let is_good = chunks.len() == answer.chunk_digests.len() && (2..=MAX_CHUNKS).contains(&chunks.len());
    (is_good && total == digest.size && chunks.iter().all(|chunk| chunk.size > 0)).then_some(chunks)
}

/// Puts a blob together at the server.
pub(crate) async fn splice(link: &Link, digest: &Digest, chunks: &[Chunk]) -> Result<()> {
    let request = SpliceBlobRequest {
        instance_name: link.instance.clone(),
        blob_digest: Some(wire::digest(digest)),
        chunk_digests: chunks.iter().map(|chunk| wire::digest(&chunk.digest)).collect(),
        digest_function: SHA256,
    };
    let answer: Option<SpliceBlobResponse> = link.unary(&SPLICE, &request, digest.size).await?;
    let named = answer.and_then(|answer| wire::parse(&answer.blob_digest?));
    // The answer names what was put together: a server that has spliced other bytes must not count as having the
    // blob.
    if named == Some(*digest) { Ok(()) } else { Err(Error::NotFound(*digest)) }
}

/// A chunk that the receiver has, if it is that.
pub(crate) fn here(receiver: &dyn Receiver, chunk: &Digest) -> Option<Vec<u8>> {
    let bytes = receiver.chunk(chunk)?;
    // A chunk in the store may be damaged, as anything there; it is hashed before it counts.
    let is_right = bytes.len() as u64 == chunk.size && HashFunction::Sha256.blob(&bytes) == chunk.hash;
    is_right.then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_the_content_and_do_not_depend_on_how_it_is_read() {
        struct Slow(Vec<u8>);
        impl Source for Slow {
            fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
                let count = buffer.len().min(7_777);
                self.0.read_at(offset, &mut buffer[..count])
            }
        }
        let mut rng = taut_testkit::Rng::new(3);
        let bytes: Vec<u8> = (0..3_000_000).map(|_| rng.bits() as u8).collect();
        let size = bytes.len() as u64;
        let chunks = of(&bytes, size).unwrap();
        let slowly = of(&Slow(bytes.clone()), size).unwrap();
        assert!(chunks.iter().map(|chunk| chunk.digest).eq(slowly.iter().map(|chunk| chunk.digest)));
        let mut at = 0;
        for Chunk { digest, offset } in chunks {
            assert_eq!(offset, at);
            let part = &bytes[at as usize..(at + digest.size) as usize];
            assert_eq!(HashFunction::Sha256.blob(part), digest.hash);
            at += digest.size;
        }
        assert_eq!(at, size);
        assert!(of(&bytes, size + 1).is_err(), "it has become shorter");
    }
}
