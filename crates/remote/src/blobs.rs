//! Blobs in batches: which are missing, small ones read and put together. What a batch does not answer well goes by
//! a stream of its own, which has its attempts and its checks.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use taut_digest::{Digest, Hash, HashFunction};
use taut_proto::cache::{
    BatchReadBlobsRequest, BatchReadBlobsResponse, BatchUpdateBlobsRequest, BatchUpdateBlobsResponse,
    FindMissingBlobsRequest, FindMissingBlobsResponse, UpdateBlob, ZSTD,
};
use taut_service::{Blob, Buffer, Callers, Error, Receiver, Result};
use tokio::sync::oneshot;
use tonic::Code;

use crate::{
    batches::{BatchItem, Batches},
    call::{Link, Method},
    capabilities::Capabilities,
    chunks::{self, Chunk},
    compression::{packed, unpacked},
    read_stream,
    unmeasured::Unmeasured,
    wire, write_stream,
};

const FIND_MISSING: Method = Method {
    name: "FindMissingBlobs",
    path: "/build.bazel.remote.execution.v2.ContentAddressableStorage/FindMissingBlobs",
    is_write: false,
};

const READ: Method = Method {
    name: "BatchReadBlobs",
    path: "/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchReadBlobs",
    is_write: false,
};

const UPDATE: Method = Method {
    name: "BatchUpdateBlobs",
    path: "/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchUpdateBlobs",
    is_write: true,
};

/// Blobs below this size are not worth it to be split.
// The largest chunk that taut makes: of a smaller blob there may be one chunk only.
const MIN_SPLIT_BYTES: u64 = 1 << 20;

/// How many digests are in one question.
// A digest takes about 70 bytes, so the question stays below gRPC's limit for messages.
const MAX_DIGESTS: u64 = 10_000;

/// How many bytes of small blobs one caller has in memory at most.
// Answers to small blobs are held until the receiver takes them, in the order in which they were asked for.
const MAX_HELD_BYTES: u64 = 32 << 20;

/// What a blob counts in a batch beside its bytes.
// The digest, the status and the tags of one blob: many empty blobs would otherwise exceed the limit of a
// message.
const OVERHEAD_BYTES: u64 = 128;

fn weight(digest: &Digest) -> u64 {
    digest.size.saturating_add(OVERHEAD_BYTES)
}

/// The bytes of a small blob, or why there are none.
type Bytes = Result<Vec<u8>>;

/// The blobs of a server.
pub(crate) struct Blobs {
    link: Arc<Link>,
    can: Capabilities,
    missing: Batches<Digest, Result<bool>>,
    reads: Batches<Digest, Bytes>,
    writes: Batches<Blob, Result<()>>,
    unmeasured: Unmeasured,
}

impl Blobs {
    /// `callers`: those that are about to ask which blobs are missing, and to put them.
    pub(crate) fn new(link: &Arc<Link>, can: &Capabilities, callers: &Callers) -> Blobs {
        let limit = can.max_batch_bytes;
        let with = || (link.clone(), can.clone());
        let ((a, _), (b, of_b), (c, of_c)) = (with(), with(), with());
        Blobs {
            link: link.clone(),
            can: can.clone(),
            missing: Batches::start(
                MAX_DIGESTS,
                callers.clone(),
                |_| 1,
                move |batch| find_missing(a.clone(), batch),
            ),
            reads: Batches::start(
                limit,
                // Of those that get blobs it is not known beforehand.
                Callers::default(),
                weight,
                move |batch| read(b.clone(), of_b.clone(), batch),
            ),
            writes: Batches::start(
                limit,
                callers.clone(),
                |blob: &Blob| weight(&blob.digest),
                move |batch| update(c.clone(), of_c.clone(), batch),
            ),
            unmeasured: Unmeasured::default(),
        }
    }

    fn is_small(&self, digest: &Digest) -> bool {
        weight(digest) <= self.can.max_batch_bytes && !wire::is_unmeasured(digest)
    }

    /// The missing blobs, each once.
    pub(crate) async fn missing(&self, digests: Vec<Digest>) -> Result<Vec<Digest>> {
        let mut seen = HashSet::new();
        // All are asked before the first answer is awaited: so they are in the same batches, with those of other
        // callers.
        let digests: Vec<Digest> = digests.into_iter().filter(|digest| seen.insert(*digest)).collect();
        let answers = self.missing.ask(digests.iter().copied());
        let mut missing = Vec::new();
        for (digest, answer) in digests.into_iter().zip(answers) {
            if answered(answer).await? {
                missing.push(digest);
            }
        }
        Ok(missing)
    }

    /// Asks for blobs, so many at the same time that their bytes fit into memory.
    pub(crate) async fn get(&self, wanted: Vec<(Digest, Arc<dyn Receiver>)>) -> Vec<Result<()>> {
        let mut answers = Vec::with_capacity(wanted.len());
        let mut rest = &wanted[..];
        while !rest.is_empty() {
            // Blobs that are not small are streams, which hold one piece at a time, so they count nothing.
            let mut total = 0;
            let fits = |(digest, _): &&(Digest, Arc<dyn Receiver>)| {
                total += if self.is_small(digest) { digest.size } else { 0 };
                total <= MAX_HELD_BYTES
            };
            // None is larger than a batch, so there is at least one.
            let (now, later) = rest.split_at(rest.iter().take_while(fits).count().max(1));
            answers.extend(self.get_together(now).await);
            rest = later;
        }
        answers
    }

    /// Asks for all small ones together, then for the others one by one.
    async fn get_together(&self, wanted: &[(Digest, Arc<dyn Receiver>)]) -> Vec<Result<()>> {
        let is_small = |digest: &Digest| self.is_small(digest);
        let small = wanted.iter().map(|(digest, _)| *digest).filter(is_small);
        let mut small = self.reads.ask(small).into_iter();
        let unmeasured = wanted.iter().map(|(digest, receiver)| {
            wire::is_unmeasured(digest)
                .then(|| self.unmeasured.begin(&self.link, &self.can, digest, receiver))
        });
        let unmeasured: Vec<_> = unmeasured.collect();
        let mut answers = Vec::with_capacity(wanted.len());
        for ((digest, receiver), unmeasured) in wanted.iter().zip(unmeasured) {
            // Asked for together with the small ones, and awaited in the order of the caller.
            if let Some(answer) = unmeasured {
                answers.push(answered(answer).await);
                continue;
            }
            let bytes = match is_small(digest).then(|| small.next()).flatten() {
                Some(answer) => answered(answer).await,
                None => {
                    answers.push(self.get_large(digest, &**receiver).await);
                    continue;
                }
            };
            answers.push(match bytes {
                Ok(bytes) => (receiver.begin().and_then(|()| receiver.piece(&bytes)))
                    .map_err(|error| Error::Local(error.to_string())),
                // It may be there all the same, and right.
                Err(Error::Corrupt(_)) => read_stream::read(&self.link, &self.can, digest, &**receiver).await,
                Err(error) => Err(error),
            });
        }
        answers
    }

    /// Asks for chunks if some of them are here, otherwise for the whole.
    async fn get_large(&self, digest: &Digest, receiver: &dyn Receiver) -> Result<()> {
        let splits = self.can.splits && digest.size >= MIN_SPLIT_BYTES;
        let chunks = if splits { chunks::split(&self.link, digest).await } else { None }.unwrap_or_default();
        // A blob is never put together from a list alone: without one chunk that is here, the stream costs one
        // call and the chunks many.
        let done = match self.get_chunks(digest, &chunks, receiver).await {
            // As a stream, with attempts and checks of its own.
            None | Some(Err(Error::NotFound(_) | Error::Corrupt(_))) => {
                read_stream::read(&self.link, &self.can, digest, receiver).await
            }
            Some(done) => done,
        };
        if done.is_ok() {
            receiver.note_chunks(&chunks);
        }
        done
    }

    /// Gets a blob in chunks; `None` if none of them is here, so that it would cost more than a stream.
    async fn get_chunks(
        &self,
        digest: &Digest,
        chunks: &[Digest],
        receiver: &dyn Receiver,
    ) -> Option<Result<()>> {
        if !chunks.iter().any(|chunk| chunks::here(receiver, chunk).is_some()) {
            return None;
        }
        let failed = |error: std::io::Error| Some(Err(Error::Local(error.to_string())));
        if let Err(error) = receiver.begin() {
            return failed(error);
        }
        // Each chunk is checked where it comes from; the whole is, too, since the list of chunks is only what the
        // server says.
        let mut hasher = HashFunction::Sha256.blob_hasher(digest.size);
        let mut rest = chunks;
        while !rest.is_empty() {
            let mut total = 0;
            let fits = |chunk: &&Digest| {
                total += chunk.size;
                total <= chunks::WINDOW_BYTES
            };
            let (now, later) = rest.split_at(rest.iter().take_while(fits).count().max(1));
            // All chunks of a window are asked for before the first is awaited, so that they share batches.
            let asked: Vec<_> = (now.iter())
                .map(|chunk| match chunks::here(receiver, chunk) {
                    Some(bytes) => Ok(bytes),
                    None => Err((*chunk, self.is_small(chunk).then(|| self.reads.ask_one(*chunk)))),
                })
                .collect();
            for part in asked {
                let bytes = match part {
                    Ok(bytes) => Ok(bytes),
                    Err((_, Some(answer))) => answered(answer).await,
                    Err((chunk, None)) => self.get_alone(&chunk).await,
                };
                let bytes = match bytes {
                    Ok(bytes) => bytes,
                    Err(error) => return Some(Err(error)),
                };
                hasher.update(&bytes);
                if let Err(error) = receiver.piece(&bytes) {
                    return failed(error);
                }
            }
            rest = later;
        }
        Some(if hasher.finish() == digest.hash { Ok(()) } else { Err(Error::Corrupt(*digest)) })
    }

    /// A chunk that is larger than a batch.
    async fn get_alone(&self, chunk: &Digest) -> Bytes {
        // A server may cut chunks larger than what is held here: then the whole goes as a stream.
        if chunk.size > chunks::WINDOW_BYTES {
            return Err(Error::NotFound(*chunk));
        }
        let buffer = Buffer::default();
        read_stream::read(&self.link, &self.can, chunk, &buffer).await?;
        Ok(buffer.take())
    }

    /// The same for putting.
    pub(crate) async fn put(&self, blobs: Vec<Blob>) -> Vec<Result<()>> {
        let is_small = |blob: &&Blob| self.is_small(&blob.digest);
        let mut small = self.writes.ask(blobs.iter().filter(is_small).cloned()).into_iter();
        let mut answers = Vec::with_capacity(blobs.len());
        for blob in &blobs {
            answers.push(match is_small(&blob).then(|| small.next()).flatten() {
                Some(answer) => answered(answer).await,
                None => self.put_large(blob).await,
            });
        }
        answers
    }

    /// Puts blobs of which those of a level may refer to those before: in one batch, whose blobs a server takes
    /// in order, if they fit; else level by level.
    pub(crate) async fn put_levels(&self, levels: Vec<Vec<Blob>>) -> Result<()> {
        let weights = levels.iter().flatten().map(|blob| weight(&blob.digest));
        let total = weights.fold(0, u64::saturating_add);
        let levels = match total <= self.can.max_batch_bytes {
            // The order within a batch is the order in which justbuild's server stores, so that trees come after
            // their entries.
            true => vec![levels.into_iter().flatten().collect()],
            false => levels,
        };
        for level in levels {
            self.put(level).await.into_iter().collect::<Result<()>>()?;
        }
        Ok(())
    }

    /// Puts the chunks that are missing, or else the whole.
    async fn put_large(&self, blob: &Blob) -> Result<()> {
        if self.can.splices && blob.digest.size >= MIN_SPLIT_BYTES {
            let (source, size) = (blob.source.clone(), blob.digest.size);
            // Beside the network, which goes on meanwhile.
            let chunks = tokio::task::spawn_blocking(move || chunks::of(&*source, size)).await;
            let Ok(chunks) = chunks else { return Err(Error::Off) };
            let chunks = chunks.map_err(|error| Error::Local(error.to_string()))?;
            match self.put_chunks(blob, &chunks).await {
                // Whatever the server has against it.
                Err(Error::NotFound(_) | Error::Corrupt(_) | Error::Final { .. }) => {}
                done => return done,
            }
        }
        write_stream::write(&self.link, &self.can, blob).await
    }

    async fn put_chunks(&self, blob: &Blob, chunks: &[Chunk]) -> Result<()> {
        if chunks.len() < 2 {
            return Err(Error::NotFound(blob.digest));
        }
        // This is what splitting is for: of a blob that changed little, most chunks are there.
        let missing = self.missing(chunks.iter().map(|chunk| chunk.digest).collect()).await?;
        let missing: HashSet<Digest> = missing.into_iter().collect();
        let mut seen = HashSet::new();
        let wanted =
            // A blob may have the same chunk several times; it is put once.
            chunks.iter().filter(|chunk| missing.contains(&chunk.digest) && seen.insert(chunk.digest));
        let asked: Vec<_> = wanted
            .map(|chunk| {
                let source = Arc::new(chunks::Part { whole: blob.source.clone(), chunk: *chunk });
                let part = Blob { digest: chunk.digest, source };
                if self.is_small(&part.digest) { Ok(self.writes.ask_one(part)) } else { Err(part) }
            })
            .collect();
        for part in asked {
            match part {
                Ok(answer) => answered(answer).await?,
                Err(part) => write_stream::write(&self.link, &self.can, &part).await?,
            }
        }
        chunks::splice(&self.link, &blob.digest, chunks).await?;
        let chunks: Vec<Digest> = chunks.iter().map(|chunk| chunk.digest).collect();
        blob.source.note_chunks(&chunks);
        Ok(())
    }
}

/// An answer that never comes means that the network was shut down.
async fn answered<T>(answer: oneshot::Receiver<Result<T>>) -> Result<T> {
    answer.await.unwrap_or(Err(Error::Off))
}

/// What an answer is for a batch that has none.
fn no_such_call(method: &Method) -> Error {
    Error::Final { call: method.name, why: "the server has no such method or instance".to_owned() }
}

/// Answers; a caller that no longer waits is passed over.
fn answer<I, T>(asked: BatchItem<I, Result<T>>, with: Result<T>) {
    // Ignored: the receiver is gone because its caller is, and the answer is of use to no other.
    let _ = asked.1.send(with);
}

async fn find_missing(link: Arc<Link>, batch: Vec<BatchItem<Digest, Result<bool>>>) {
    // Several callers ask for the same blob, for example a common header: it is in the question once.
    let digests: HashSet<Digest> = batch.iter().map(|(digest, _)| *digest).collect();
    let request = FindMissingBlobsRequest {
        instance_name: link.instance.clone(),
        blob_digests: digests.iter().map(wire::digest).collect(),
        digest_function: link.digest_function,
    };
    let found: Result<Option<FindMissingBlobsResponse>> = link.unary(&FIND_MISSING, &request, 0).await;
    let missing = found.and_then(|found| found.ok_or_else(|| no_such_call(&FIND_MISSING)));
    // By hash: which size an answer has for an object whose size is not known is up to the server.
    let missing: Result<HashSet<Hash>> = missing.map(|found| {
        let names = found.missing_blob_digests.iter().filter_map(wire::parse);
        names.map(|digest| digest.hash).collect()
    });
    for asked in batch {
        let is_missing =
            missing.as_ref().map(|missing| missing.contains(&asked.0.hash)).map_err(Clone::clone);
        answer(asked, is_missing);
    }
}

async fn read(link: Arc<Link>, can: Capabilities, batch: Vec<BatchItem<Digest, Bytes>>) {
    // By digest: several callers may wait for one blob, which is asked for once, and a server may answer in any
    // order or leave some out. What it leaves out counts as damaged, and is tried as a stream.
    let mut wanted: BTreeMap<Digest, Bytes> =
        batch.iter().map(|(digest, _)| (*digest, Err(Error::Corrupt(*digest)))).collect();
    // A blob that is empty need not be asked for, and some servers do not have it.
    for (digest, bytes) in &mut wanted {
        if digest.size == 0 && wire::is_name_of(digest, b"") {
            *bytes = Ok(Vec::new());
        }
    }
    let open: Vec<Digest> =
        wanted.iter().filter(|(_, bytes)| bytes.is_err()).map(|(digest, _)| *digest).collect();
    if !open.is_empty() {
        let request = BatchReadBlobsRequest {
            instance_name: link.instance.clone(),
            digests: open.iter().map(wire::digest).collect(),
            acceptable_compressors: can.has_zstd.then_some(ZSTD).into_iter().collect(),
            digest_function: link.digest_function,
        };
        let size = open.iter().map(|digest| digest.size).sum();
        let found: Result<Option<BatchReadBlobsResponse>> = link.unary(&READ, &request, size).await;
        match found.and_then(|found| found.ok_or_else(|| no_such_call(&READ))) {
            Ok(found) => {
                for blob in found.responses {
                    let digest = blob.digest.as_ref().and_then(wire::parse);
                    let Some((digest, bytes)) =
                        digest.and_then(|digest| Some((digest, wanted.get_mut(&digest)?)))
                    else {
                        continue;
                    };
                    *bytes = match blob.status.map_or(0, |status| status.code) {
                        0 if blob.compressor == ZSTD => {
                            // What cannot be unpacked is checked as empty, and so counts as damaged.
                            checked(&digest, unpacked(&blob.data, digest.size).unwrap_or_default())
                        }
                        0 => checked(&digest, blob.data),
                        code if code == Code::NotFound as i32 => Err(Error::NotFound(digest)),
                        // Any other code is about this blob alone; as a stream it gets attempts of its own.
                        _ => Err(Error::Corrupt(digest)),
                    };
                }
            }
            Err(error) => open.iter().for_each(|digest| drop(wanted.insert(*digest, Err(error.clone())))),
        }
    }
    for asked in batch {
        let bytes = wanted[&asked.0].clone();
        answer(asked, bytes);
    }
}

/// The bytes, if they are those of the digest.
fn checked(digest: &Digest, bytes: Vec<u8>) -> Bytes {
    let is_right = bytes.len() as u64 == digest.size && wire::is_name_of(digest, &bytes);
    if is_right { Ok(bytes) } else { Err(Error::Corrupt(*digest)) }
}

async fn update(link: Arc<Link>, can: Capabilities, batch: Vec<BatchItem<Blob, Result<()>>>) {
    // Read only now, so that what waits for its turn takes no memory.
    let mut answers: HashMap<Digest, Result<()>> = HashMap::new();
    let mut requests = Vec::new();
    let mut size = 0;
    for (blob, _) in &batch {
        if answers.contains_key(&blob.digest) {
            continue;
        }
        // What the server does not answer counts as refused. The reason is not shown: what is refused here is sent once
        // more as a stream.
        let refused = Err(Error::Final { call: UPDATE.name, why: String::new() });
        let read = blob.read().map_err(|error| Error::Local(error.to_string()));
        match read.and_then(|bytes| checked(&blob.digest, bytes)) {
            Ok(bytes) => {
                answers.insert(blob.digest, refused);
                let packed = if can.takes_zstd { packed(&bytes) } else { None };
                let compressor = if packed.is_some() { ZSTD } else { 0 };
                let data = packed.unwrap_or(bytes);
                size += data.len() as u64;
                requests.push(UpdateBlob { digest: Some(wire::digest(&blob.digest)), data, compressor });
            }
            Err(error) => drop(answers.insert(blob.digest, Err(error))),
        }
    }
    if !requests.is_empty() {
        let asked: Vec<Digest> =
            requests.iter().filter_map(|blob| wire::parse(blob.digest.as_ref()?)).collect();
        let request = BatchUpdateBlobsRequest {
            instance_name: link.instance.clone(),
            requests,
            digest_function: link.digest_function,
        };
        // The status of the call is about the batch; each blob has one of its own in the answer, so one may be
        // refused and the others stored.
        let done: Result<Option<BatchUpdateBlobsResponse>> = link.unary(&UPDATE, &request, size).await;
        match done.and_then(|done| done.ok_or_else(|| no_such_call(&UPDATE))) {
            Ok(done) => {
                for blob in done.responses {
                    let Some(digest) = blob.digest.as_ref().and_then(wire::parse) else { continue };
                    let status = blob.status.unwrap_or_default();
                    if status.code == 0 {
                        answers.insert(digest, Ok(()));
                    } else {
                        answers.insert(digest, Err(Error::Final { call: UPDATE.name, why: status.message }));
                    }
                }
            }
            Err(error) => asked.iter().for_each(|digest| drop(answers.insert(*digest, Err(error.clone())))),
        }
        // One by one, where a single blob was refused in a batch: with attempts of its own.
        for (blob, _) in &batch {
            if let Some(answer @ Err(Error::Final { .. })) = answers.get_mut(&blob.digest) {
                *answer = write_stream::write(&link, &can, blob).await;
            }
        }
    }
    for asked in batch {
        let done = answers.get(&asked.0.digest).cloned().unwrap_or(Err(Error::Off));
        answer(asked, done);
    }
}
