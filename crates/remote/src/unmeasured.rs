//! Contents whose size is not known: entries of git trees have none, and git's hash begins with it. Each is a stream of its
//! own, several at a time.

use std::sync::Arc;

use taut_digest::Digest;
use taut_proto::cache::{ReadRequest, ReadResponse};
use taut_service::{Error, Receiver, Result};
use tokio::{
    sync::{Semaphore, oneshot},
    task::spawn_local,
};
use tonic::Request;
use tonic_prost::ProstCodec;

use crate::{
    call::{Failure, Link},
    capabilities::Capabilities,
    read_stream::{self, READ},
    wire::{Form, is_name_of, read_name},
};

/// How many are read at the same time.
const STREAMS: usize = 32;

/// Larger contents are read twice: first for their size, then piece by piece.
const MAX_HELD_BYTES: u64 = 16 << 20;

/// Reads contents of unknown size, so many at a time that they fit into memory.
pub(crate) struct Unmeasured(Arc<Semaphore>);

impl Default for Unmeasured {
    fn default() -> Unmeasured {
        Unmeasured(Arc::new(Semaphore::new(STREAMS)))
    }
}

impl Unmeasured {
    /// Begins to read a content.
    pub(crate) fn begin(
        &self,
        link: &Arc<Link>,
        can: &Capabilities,
        digest: &Digest,
        receiver: &Arc<dyn Receiver>,
    ) -> oneshot::Receiver<Result<()>> {
        let (link, can, digest, receiver) = (link.clone(), can.clone(), *digest, receiver.clone());
        let (streams, (sender, answer)) = (self.0.clone(), oneshot::channel());
        spawn_local(async move {
            // The semaphore is never closed.
            let _permit = streams.acquire().await;
            // A caller that does not wait any more is passed over.
            let _ = sender.send(read(&link, &can, &digest, &*receiver).await);
        });
        answer
    }
}

async fn read(link: &Link, can: &Capabilities, digest: &Digest, receiver: &dyn Receiver) -> Result<()> {
    let here = |error: std::io::Error| Error::Local(error.to_string());
    let (bytes, size) =
        link.tried(&READ, async || attempt(link, digest).await).await?.ok_or(Error::NotFound(*digest))?;
    if size <= MAX_HELD_BYTES {
        return receiver.begin().and_then(|()| receiver.piece(&bytes)).map_err(here);
    }
    read_stream::read(link, can, &Digest { size, ..*digest }, receiver).await
}

/// The bytes, compared with the name, and how many there are; without the bytes if there are too many.
async fn attempt(link: &Link, digest: &Digest) -> std::result::Result<(Vec<u8>, u64), Failure> {
    let deadline = link.patience.deadline;
    let resource_name = read_name(&link.instance, digest, Form::Plain);
    let opened = link.within(READ.name, deadline, async {
        let codec = ProstCodec::<ReadRequest, ReadResponse>::default();
        let path = http::uri::PathAndQuery::from_static(READ.path);
        let request = Request::new(ReadRequest { resource_name, read_offset: 0, read_limit: 0 });
        Ok(link.grpc().await?.server_streaming(request, path, codec).await?.into_inner())
    });
    let mut stream = opened.await?;
    // Git's hash begins with the size, so a content that does not fit is only counted here, and hashed when it is read
    // again.
    let (mut bytes, mut size) = (Vec::new(), 0);
    while let Some(piece) = link.within(READ.name, deadline, async { Ok(stream.message().await?) }).await? {
        size += piece.data.len() as u64;
        match size <= MAX_HELD_BYTES {
            true => bytes.extend(piece.data),
            false => bytes = Vec::new(),
        }
    }
    if size <= MAX_HELD_BYTES && !is_name_of(digest, &bytes) {
        return Err(Failure::Wrong(Error::Corrupt(*digest)));
    }
    Ok((bytes, size))
}
