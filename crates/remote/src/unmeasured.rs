//! Blobs whose size is not known: entries of git trees have none, and git's hash begins with it. Each is a stream of
//! its own, several at a time.

use std::{sync::Arc, time::Instant};

use taut_digest::Digest;
use taut_proto::cache::{ReadRequest, ReadResponse};
use taut_service::{Error, Receiver, Result};
use taut_sys::fault::limit;
use tokio::{
    sync::{Semaphore, oneshot},
    task::spawn_local,
};
use tonic::Request;
use tonic_prost::ProstCodec;

use crate::{
    call::{Failure, Link},
    capabilities::Capabilities,
    read_stream::{self, MIN_PROGRESS_BYTES, READ},
    wire::{Form, hasher, is_name_of, is_right, read_name},
};

/// How many are read at the same time.
// Times `MAX_HELD_BYTES` this bounds the memory; fewer would be slow for directories with many small files.
const STREAMS: usize = 32;

/// Larger blobs go to their receiver piece by piece, and are read from there to be hashed.
// Git hashes the length first, so bytes cannot be hashed as they come: they are held, or read back from the receiver.
const MAX_HELD_BYTES: usize = 16 << 20;

/// The largest directory: it is held in memory by those that read it.
// Millions of entries; as for the descriptions of directories in compatible mode.
const MAX_TREE_BYTES: u64 = 256 << 20;

/// The largest file.
// Larger than any output in practice; the limit keeps a server that sends without end from filling the disk.
const MAX_FILE_BYTES: u64 = 64 << 30;

/// How many bytes of a blob are taken.
fn max_bytes(digest: &Digest) -> u64 {
    match digest.hash.untagged() {
        Some((_, true)) => limit("tree-bytes", MAX_TREE_BYTES),
        _ => limit("file-bytes", MAX_FILE_BYTES),
    }
}

/// Reads blobs of unknown size, so many at a time that they fit into memory.
pub(crate) struct Unmeasured(Arc<Semaphore>);

impl Default for Unmeasured {
    fn default() -> Unmeasured {
        Unmeasured(Arc::new(Semaphore::new(STREAMS)))
    }
}

impl Unmeasured {
    /// Begins to read a blob.
    pub(crate) fn begin(
        &self,
        link: &Arc<Link>,
        can: &Capabilities,
        digest: &Digest,
        receiver: &Arc<dyn Receiver>,
        // Begun at once and awaited later: the caller begins all of them before it waits for the first.
    ) -> oneshot::Receiver<Result<()>> {
        let (link, can, digest, receiver) = (link.clone(), can.clone(), *digest, receiver.clone());
        let (streams, (sender, answer)) = (self.0.clone(), oneshot::channel());
        spawn_local(async move {
            // The semaphore is never closed.
            let _permit = streams.acquire().await;
            // A caller that no longer waits is passed over.
            let _ = sender.send(read(&link, &can, &digest, &receiver).await);
        });
        answer
    }
}

/// How far a transfer has come.
struct Unchecked<'r> {
    digest: &'r Digest,
    /// How many bytes are taken.
    most: u64,
    receiver: &'r Arc<dyn Receiver>,
    /// The bytes, as long as they are few.
    held: Vec<u8>,
    /// Whether the receiver has what came before those.
    is_passed_on: bool,
    /// How many bytes have come.
    at: u64,
    /// Whether something wrong came in an earlier attempt.
    was_wrong: bool,
}

impl Unchecked<'_> {
    /// Takes the next piece. Attempts that go on after a cut count together, so that cuts do not make it endless.
    fn take(&mut self, bytes: &[u8]) -> std::result::Result<(), Failure> {
        if bytes.len() as u64 > self.most - self.at {
            let (hash, most) = (self.digest.hash, self.most >> 20);
            let why = format!("blob {hash} of unknown size has more than {most} MiB");
            // Not tried again: the same bytes would come.
            return Err(Failure::Here(Error::Final { call: READ.name, why }));
        }
        self.keep(bytes).map_err(here)
    }

    fn keep(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.at += bytes.len() as u64;
        if !self.is_passed_on {
            self.held.extend_from_slice(bytes);
            if self.held.len() <= MAX_HELD_BYTES {
                return Ok(());
            }
            self.pass_on()
        } else {
            self.receiver.piece(bytes)
        }
    }

    fn pass_on(&mut self) -> std::io::Result<()> {
        self.receiver.begin()?;
        self.is_passed_on = true;
        self.receiver.piece(&std::mem::take(&mut self.held))
    }

    /// What came is not what the name says: the next attempt begins anew.
    fn wrong(&mut self) -> Failure {
        (self.held, self.is_passed_on, self.at, self.was_wrong) = (Vec::new(), false, 0, true);
        Failure::Wrong(Error::Corrupt(*self.digest))
    }

    /// Compares all that came with the name. `None` if the receiver cannot say what it has got.
    async fn is_right(&self) -> std::result::Result<Option<bool>, Failure> {
        if !self.is_passed_on {
            return Ok(Some(is_name_of(self.digest, &self.held)));
        }
        // Now the number of bytes is known, and with it what git hashes.
        let (digest, receiver) = (Digest { size: self.at, ..*self.digest }, self.receiver.clone());
        // Beside the network, which goes on meanwhile.
        let checked = tokio::task::spawn_blocking(move || {
            let mut hasher = hasher(&digest);
            let is_all = receiver.again(&mut |bytes| hasher.update(bytes))?;
            Ok(is_all.then(|| is_right(&digest, hasher)))
        });
        checked.await.map_err(|_| Failure::Here(Error::Off))?.map_err(here)
    }
}

fn here(error: std::io::Error) -> Failure {
    Failure::Here(Error::Local(error.to_string()))
}

async fn read(link: &Link, can: &Capabilities, digest: &Digest, receiver: &Arc<dyn Receiver>) -> Result<()> {
    let (held, is_passed_on, at, was_wrong) = Default::default();
    let mut unchecked =
        Unchecked { digest, most: max_bytes(digest), receiver, held, is_passed_on, at, was_wrong };
    let end = loop {
        let end = link.tried(&READ, async || attempt(link, &mut unchecked).await).await?;
        match end.ok_or(Error::NotFound(*digest))? {
            // As for blobs of known size, a stream that goes on after each cut may have many attempts.
            End::Cut => {}
            end => break end,
        }
    };
    match end {
        // The receiver cannot be read back. With the size known by now, a second transfer hashes as it goes.
        End::Unknown => {
            read_stream::read(link, can, &Digest { size: unchecked.at, ..*digest }, &**receiver).await
        }
        _ if unchecked.is_passed_on => Ok(()),
        _ => unchecked.pass_on().map_err(|error| Error::Local(error.to_string())),
    }
}

/// How an attempt ended that did not fail.
enum End {
    /// All bytes are here, and right.
    Right,
    /// All bytes have come, and their number is known now; but they cannot be checked.
    Unknown,
    /// It was cut after some progress.
    Cut,
}

/// One attempt, from where the transfer has come to.
async fn attempt(link: &Link, unchecked: &mut Unchecked<'_>) -> std::result::Result<End, Failure> {
    let (before, begin, connection) = (unchecked.at, Instant::now(), link.connection());
    match pieces(link, unchecked).await {
        Err(Failure::Status(status))
            if !unchecked.was_wrong && unchecked.at >= before.saturating_add(MIN_PROGRESS_BYTES) =>
        {
            link.count_failed(&READ, &status, connection, begin).map_err(Failure::Here)?;
            return Ok(End::Cut);
        }
        other => other?,
    }
    match unchecked.is_right().await? {
        Some(true) => Ok(End::Right),
        Some(false) => Err(unchecked.wrong()),
        None => Ok(End::Unknown),
    }
}

async fn pieces(link: &Link, unchecked: &mut Unchecked<'_>) -> std::result::Result<(), Failure> {
    let deadline = link.patience.deadline;
    // Plain, since a compressed stream cannot go on at an offset that is counted in unpacked bytes without them being
    // counted here, too.
    let resource_name = read_name(&link.instance, unchecked.digest, Form::Plain);
    // Size 0 in the name: justbuild's server looks blobs up by hash alone.
    let request = ReadRequest { resource_name, read_offset: unchecked.at as i64, read_limit: 0 };
    let opened = link.within(READ.name, deadline, async {
        let codec = ProstCodec::<ReadRequest, ReadResponse>::default();
        let path = http::uri::PathAndQuery::from_static(READ.path);
        Ok(link.grpc().await?.server_streaming(Request::new(request), path, codec).await?.into_inner())
    });
    let mut stream = opened.await?;
    while let Some(piece) = link.within(READ.name, deadline, async { Ok(stream.message().await?) }).await? {
        unchecked.take(&piece.data)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use taut_digest::HashFunction;
    use taut_service::Buffer;

    use super::*;

    #[test]
    fn a_content_ends_at_the_largest_size_of_its_kind() {
        for (is_tree, most) in [(true, MAX_TREE_BYTES), (false, MAX_FILE_BYTES)] {
            let digest = Digest { hash: HashFunction::GitSha1.blob(b"x").tagged(is_tree), size: 0 };
            let receiver: Arc<dyn Receiver> = Arc::<Buffer>::default();
            let (held, is_passed_on, was_wrong) = Default::default();
            let mut unchecked = Unchecked {
                digest: &digest,
                most: max_bytes(&digest),
                receiver: &receiver,
                held,
                is_passed_on,
                at: most - 2,
                was_wrong,
            };
            assert!(unchecked.take(b"ab").is_ok());
            let Err(Failure::Here(Error::Final { why, .. })) = unchecked.take(b"c") else {
                panic!("more than {most} bytes are taken");
            };
            assert_eq!(why, format!("blob {} of unknown size has more than {} MiB", digest.hash, most >> 20));
            assert_eq!((unchecked.at, &unchecked.held[..]), (most, &b"ab"[..]), "none of it is kept");
        }
    }
}
