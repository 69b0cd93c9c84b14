//! A large blob, written as a stream. After a cut the server says how much it has, and the stream goes on there:
//! plain, also if it was compressed before, since a position in a compressed stream says nothing about another one.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    io::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use taut_proto::cache::{QueryWriteStatusRequest, QueryWriteStatusResponse, WriteRequest, WriteResponse};
use taut_service::{Blob, Error, Result};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use crate::{
    call::{Failure, Link, Method, is_transient},
    capabilities::Capabilities,
    compression::LEVEL,
    read_stream::MIN_PROGRESS_BYTES,
    wire::{Form, write_name},
};

const WRITE: Method =
    Method { name: "ByteStream.Write", path: "/google.bytestream.ByteStream/Write", is_write: true };

const QUERY_PATH: &str = "/google.bytestream.ByteStream/QueryWriteStatus";

/// The bytes of one message: what a cut costs.
const PIECE_BYTES: usize = 256 << 10;

/// Blobs below this size are not worth a compressed stream.
const MIN_COMPRESSED_BYTES: u64 = 16 << 10;

/// Writes a blob.
pub(crate) async fn write(link: &Link, can: &Capabilities, blob: &Blob) -> Result<()> {
    let form = match can.has_zstd && blob.digest.size >= MIN_COMPRESSED_BYTES {
        true => Form::Zstd,
        false => Form::Plain,
    };
    // The name is the client's choice; with the same one the server may be asked how far the stream has come.
    let mut upload = Upload { blob, form, transfer: transfer_name(), furthest: 0, from: 0, is_first: true };
    loop {
        match link.tried(&WRITE, async || upload.attempt(link).await).await? {
            Some(AttemptEnd::Complete) => return Ok(()),
            Some(AttemptEnd::Partly) => {}
            None => {
                let why = "the server has no such method or instance".to_owned();
                return Err(Error::Final { call: WRITE.name, why });
            }
        }
    }
}

/// How an attempt ended that was not in vain.
enum AttemptEnd {
    Complete,
    /// There was a cut, but since the attempt before the server had got some of the blob: not counted as a failed
    /// attempt.
    Partly,
}

/// How far a blob has come.
struct Upload<'c> {
    blob: &'c Blob,
    form: Form,
    /// The name of the transfer.
    transfer: String,
    /// How much of the blob the server has had at most.
    furthest: u64,
    /// How much of the blob the server had when it was last asked.
    from: u64,
    is_first: bool,
}

impl Upload<'_> {
    async fn attempt(&mut self, link: &Link) -> std::result::Result<AttemptEnd, Failure> {
        let (begin, connection) = (Instant::now(), link.connection());
        let mut is_progress = false;
        if !std::mem::take(&mut self.is_first) {
            self.from = match self.form {
                Form::Plain => committed(link, self.blob, &self.transfer).await,
                // The server counts bytes of the compressed stream, and the one that is made now need not have the
                // same.
                Form::Zstd => 0,
            };
            self.form = Form::Plain;
            // Under the old name the server may still hold the stream that was cut, and refuse one that begins at 0
            // again.
            if self.from == 0 {
                self.transfer = transfer_name();
            }
            // More than ever: a server that now has more and now has less gets nowhere.
            is_progress = self.from >= self.furthest.saturating_add(MIN_PROGRESS_BYTES);
            self.furthest = self.furthest.max(self.from);
        }
        match attempt(link, self.form, self.blob, &self.transfer, self.from).await {
            Ok(()) => Ok(AttemptEnd::Complete),
            // Not counted as a failed attempt, since the server has more than before: a large blob on a bad link
            // gets through in the end.
            Err(Failure::Status(status)) if is_progress && is_transient(status.code()) => {
                link.count_failed(&WRITE, &status, connection, begin).map_err(Failure::Here)?;
                Ok(AttemptEnd::Partly)
            }
            Err(failure) => Err(failure),
        }
    }
}

/// A name that no other transfer has, in the form of a UUID.
fn transfer_name() -> String {
    let random = || RandomState::new().build_hasher().finish();
    // The digits at the places of version and variant are those of a random UUID (RFC 9562, 5.4), which the API asks
    // for.
    let hex = format!("{:016x}{:016x}", random(), random());
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// How many bytes of an earlier attempt the server has; 0 if it does not say.
async fn committed(link: &Link, blob: &Blob, transfer: &str) -> u64 {
    let resource_name = write_name(&link.instance, &blob.digest, Form::Plain, transfer);
    let asked = link.within(WRITE.name, link.patience.deadline, async {
        let codec = ProstCodec::<QueryWriteStatusRequest, QueryWriteStatusResponse>::default();
        let path = http::uri::PathAndQuery::from_static(QUERY_PATH);
        let request = Request::new(QueryWriteStatusRequest { resource_name });
        Ok(link.grpc().await?.unary(request, path, codec).await?.into_inner())
    });
    // If the question fails, the stream begins anew, which is always right.
    let answer = asked.await.unwrap_or_default();
    // A size of all, or of more, is not a place to go on from: only the answer to a write says that a blob is
    // stored.
    u64::try_from(answer.committed_size).ok().filter(|size| *size < blob.digest.size).unwrap_or(0)
}

/// One attempt, from an offset on.
async fn attempt(
    link: &Link,
    form: Form,
    blob: &Blob,
    transfer: &str,
    from: u64,
) -> std::result::Result<(), Failure> {
    // The stream of messages cannot report an error in gRPC's client, so the reason goes beside it.
    let broken = Arc::new(Mutex::new(None));
    let name = write_name(&link.instance, &blob.digest, form, transfer);
    let beat = SendProgress::default();
    let pieces = Pieces::new(form, blob.clone(), name, from, broken.clone(), beat.clone())?;
    let call = async {
        let codec = ProstCodec::<WriteRequest, WriteResponse>::default();
        let path = http::uri::PathAndQuery::from_static(WRITE.path);
        let request = Request::new(tokio_stream::iter(pieces));
        Ok(link.grpc().await?.client_streaming(request, path, codec).await?.into_inner())
    };
    let answer: std::result::Result<WriteResponse, Failure> =
        beat.while_it_goes(link.patience.deadline, call).await;
    // The stream of pieces ends when the blob cannot be read, and the server complains of that.
    // Before the answer: the server's complaint follows from this.
    if let Some(why) = broken.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(Failure::Here(Error::Local(why)));
    }
    let committed = answer?.committed_size;
    // A server that has the blob already may answer before all of it was sent: with its full size, or, for a
    // compressed stream, with -1. Of a compressed stream the number is one of compressed bytes, which is not known
    // here.
    if form == Form::Zstd || committed == blob.digest.size as i64 {
        return Ok(());
    }
    let text = format!("{committed} bytes of {} were taken", blob.digest.size);
    Err(Failure::Status(Status::aborted(text)))
}

/// Counts pieces that were sent, so that a stream as a whole needs no deadline: it has failed when none was sent for a
/// while.
#[derive(Clone, Default)]
// Not the answer but the sending shows whether a long upload lives: a server says nothing before the end.
struct SendProgress(Arc<std::sync::atomic::AtomicU64>);

impl SendProgress {
    fn count(&self) -> u64 {
        // Relaxed: the number is compared with an earlier one of the same counter, and nothing else is read by it.
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }

    async fn while_it_goes<T>(
        &self,
        deadline: std::time::Duration,
        call: impl Future<Output = std::result::Result<T, Failure>>,
    ) -> std::result::Result<T, Failure> {
        let mut call = std::pin::pin!(call);
        loop {
            let before = self.count();
            match tokio::time::timeout(deadline, call.as_mut()).await {
                Ok(answer) => return answer,
                Err(_) if self.count() != before => {}
                Err(_) => {
                    let text = format!("nothing was taken for {} s", deadline.as_secs_f32());
                    return Err(Failure::Status(Status::deadline_exceeded(text)));
                }
            }
        }
    }
}

/// The messages of a stream, made as they are sent.
struct Pieces {
    blob: Blob,
    name: String,
    /// Where the next bytes of the blob are.
    at: u64,
    /// Where the next bytes of the stream belong.
    offset: u64,
    encoder: Option<zstd::stream::write::Encoder<'static, Vec<u8>>>,
    is_over: bool,
    broken: Arc<Mutex<Option<String>>>,
    beat: SendProgress,
}

impl Pieces {
    fn new(
        form: Form,
        blob: Blob,
        name: String,
        from: u64,
        broken: Arc<Mutex<Option<String>>>,
        beat: SendProgress,
    ) -> std::result::Result<Pieces, Failure> {
        let here = |error: std::io::Error| Failure::Here(Error::Local(error.to_string()));
        let encoder = match form {
            Form::Plain => None,
            Form::Zstd => Some(zstd::stream::write::Encoder::new(Vec::new(), LEVEL).map_err(here)?),
        };
        Ok(Pieces { blob, name, at: from, offset: from, encoder, is_over: false, broken, beat })
    }

    /// The next bytes of the blob; empty at the end.
    fn bytes(&mut self) -> std::io::Result<Vec<u8>> {
        let left = self.blob.digest.size - self.at;
        let mut bytes = vec![0; left.min(PIECE_BYTES as u64) as usize];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.blob.source.read_at(self.at, &mut bytes[filled..])? {
                // A file that was cut since it was hashed.
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                count => {
                    filled += count;
                    self.at += count as u64;
                }
            }
        }
        Ok(bytes)
    }

    fn piece(&mut self) -> std::io::Result<Vec<u8>> {
        let Some(mut encoder) = self.encoder.take() else {
            let bytes = self.bytes()?;
            self.is_over = self.at == self.blob.digest.size;
            return Ok(bytes);
        };
        loop {
            let bytes = self.bytes()?;
            encoder.write_all(&bytes)?;
            if self.at == self.blob.digest.size {
                self.is_over = true;
                return encoder.finish();
            }
            // Each piece has some bytes: the encoder keeps back what it has not finished.
            if !encoder.get_ref().is_empty() {
                let packed = std::mem::take(encoder.get_mut());
                self.encoder = Some(encoder);
                return Ok(packed);
            }
        }
    }
}

impl Iterator for Pieces {
    type Item = WriteRequest;

    fn next(&mut self) -> Option<WriteRequest> {
        if self.is_over {
            return None;
        }
        // Relaxed: only that it changes counts, and nothing is read because of it.
        self.beat.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match self.piece() {
            Ok(data) => {
                let write_offset = self.offset as i64;
                self.offset += data.len() as u64;
                let (resource_name, finish_write) = (self.name.clone(), self.is_over);
                Some(WriteRequest { resource_name, write_offset, finish_write, data })
            }
            Err(error) => {
                // What could not be read ends the stream; the reason is what the call returns.
                self.is_over = true;
                *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
                None
            }
        }
    }
}
