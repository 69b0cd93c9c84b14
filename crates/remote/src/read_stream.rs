//! A large blob, read as a stream. After a cut it goes on where it was cut; a blob that turns out wrong is read
//! again from the beginning.

use std::{io::Write as _, time::Instant};

use taut_digest::{ContentHasher, Digest};
use taut_proto::cache::{ReadRequest, ReadResponse};
use taut_service::{Error, Receiver, Result};
use tonic::Request;
use tonic_prost::ProstCodec;

use crate::{
    call::{Failure, Link, Method},
    capabilities::Capabilities,
    wire::{Form, hasher, is_right, read_name},
};

pub(crate) const READ: Method =
    Method { name: "ByteStream.Read", path: "/google.bytestream.ByteStream/Read", is_write: false };

/// Blobs below this size are not worth a compressed stream.
// For less, a compressed stream costs a decoder and its window on both sides, and saves one message at most.
const MIN_COMPRESSED_BYTES: u64 = 16 << 10;

/// How far a transfer has come.
struct Progress<'r> {
    digest: &'r Digest,
    receiver: &'r dyn Receiver,
    hasher: ContentHasher,
    /// How many bytes the receiver has.
    at: u64,
    /// Whether something wrong came in an earlier attempt.
    was_wrong: bool,
}

impl Progress<'_> {
    fn begin(&mut self) -> std::result::Result<(), Failure> {
        // The receiver drops what it has; so the hash starts anew, too.
        self.receiver.begin().map_err(here)?;
        self.hasher = hasher(self.digest);
        self.at = 0;
        Ok(())
    }

    /// Begins anew with the next attempt.
    fn wrong(&mut self) -> Failure {
        self.was_wrong = true;
        match self.begin() {
            Ok(()) => Failure::Wrong(Error::Corrupt(*self.digest)),
            Err(failure) => failure,
        }
    }

    fn take(&mut self, bytes: &[u8]) -> std::result::Result<(), Failure> {
        // Before the receiver gets any of it: a server that sends without end must not fill a disk.
        if bytes.len() as u64 > self.digest.size - self.at {
            return Err(self.wrong());
        }
        self.receiver.piece(bytes).map_err(here)?;
        self.hasher.update(bytes);
        self.at += bytes.len() as u64;
        Ok(())
    }
}

fn here(error: std::io::Error) -> Failure {
    Failure::Here(Error::Local(error.to_string()))
}

/// Reads a blob.
pub(crate) async fn read(
    link: &Link,
    can: &Capabilities,
    digest: &Digest,
    receiver: &dyn Receiver,
) -> Result<()> {
    let form = match can.has_zstd && digest.size >= MIN_COMPRESSED_BYTES {
        true => Form::Zstd,
        false => Form::Plain,
    };
    let mut progress = Progress { digest, receiver, hasher: hasher(digest), at: 0, was_wrong: false };
    receiver.begin().map_err(|error| Error::Local(error.to_string()))?;
    // A stream that goes on after each cut may have as many attempts as it has pieces.
    while !link
        .tried(&READ, async || attempt(link, form, &mut progress).await)
        .await?
        .ok_or(Error::NotFound(*digest))?
    {}
    Ok(())
}

/// One attempt: from where the transfer has come to, to the end; or to a cut after which there was some progress.
/// Returns whether that was the end.
async fn attempt(link: &Link, form: Form, progress: &mut Progress<'_>) -> std::result::Result<bool, Failure> {
    let (before, begin, connection) = (progress.at, Instant::now(), link.connection());
    match pieces(link, form, progress).await {
        // Not counted as a failed attempt; unless the server may send the same wrong bytes again and again.
        Err(Failure::Status(status))
            if !progress.was_wrong && progress.at >= before.saturating_add(MIN_PROGRESS_BYTES) =>
        {
            link.count_failed(&READ, &status, connection, begin).map_err(Failure::Here)?;
            return Ok(false);
        }
        other => other?,
    }
    if progress.at < progress.digest.size {
        // The server says that this was all of it, so waiting for the server does not help. If there was some progress,
        // the next attempt goes on from here: there are proxies that end streams.
        return Err(match progress.at > before {
            true => Failure::Wrong(Error::Corrupt(*progress.digest)),
            false => progress.wrong(),
        });
    }
    // The hash runs over all attempts, so a server that was replaced between two of them cannot put two blobs
    // together.
    let hashed = std::mem::replace(&mut progress.hasher, hasher(progress.digest));
    if is_right(progress.digest, hashed) { Ok(true) } else { Err(progress.wrong()) }
}

/// So many bytes are progress, also when a stream is written: a server that sends single bytes and cuts is not waited
/// for for ever.
// As much as one message has that taut sends: a server that ends each stream after some messages still gets on.
pub(crate) const MIN_PROGRESS_BYTES: u64 = 256 << 10;

async fn pieces(link: &Link, form: Form, progress: &mut Progress<'_>) -> std::result::Result<(), Failure> {
    let deadline = link.patience.deadline;
    let request = ReadRequest {
        resource_name: read_name(&link.instance, progress.digest, form),
        // Of the blob itself, also where the stream is compressed.
        read_offset: progress.at as i64,
        // 0 means all, by the protocol.
        read_limit: 0,
    };
    let opened = link.within(READ.name, deadline, async {
        let codec = ProstCodec::<ReadRequest, ReadResponse>::default();
        let path = http::uri::PathAndQuery::from_static(READ.path);
        Ok(link.grpc().await?.server_streaming(Request::new(request), path, codec).await?.into_inner())
    });
    let mut stream = opened.await?;
    let mut decoder = match form {
        Form::Plain => None,
        Form::Zstd => Some(zstd::stream::write::Decoder::new(Unpacked::default()).map_err(here)?),
    };
    while let Some(piece) = link.within(READ.name, deadline, async { Ok(stream.message().await?) }).await? {
        let Some(decoder) = &mut decoder else {
            progress.take(&piece.data)?;
            continue;
        };
        // In small parts, so that `take` sees a stream that unpacks without end before memory is full of it.
        for part in piece.data.chunks(PACKED_BYTES) {
            // What is not zstd is wrong, whatever was right before.
            let written = decoder.write_all(part).and_then(|()| decoder.flush());
            let unpacked = std::mem::take(&mut decoder.get_mut().0);
            progress.take(&unpacked)?;
            if written.is_err() {
                return Err(progress.wrong());
            }
        }
    }
    Ok(())
}

/// How many packed bytes are unpacked at once: zstd may make 2,000 times as many of them.
const PACKED_BYTES: usize = 16 << 10;

#[derive(Default)]
struct Unpacked(Vec<u8>);

impl std::io::Write for Unpacked {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
