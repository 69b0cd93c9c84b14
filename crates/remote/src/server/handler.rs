//! The methods of the server.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use taut_digest::{Digest, HashFunction, ObjectType, TreeEntry, decode_git_tree};
use taut_proto::{
    self as proto, ActionResult, Message,
    cache::*,
    execution::{
        CancelOperationRequest, Empty, ExecuteRequest, ExecutionCapabilities, Operation, WaitExecutionRequest,
    },
};
use taut_service::Memory;
use tokio_stream::StreamExt as _;
use tonic::{Code, Request, Response, Status as Failed, Streaming, body::Body, server::Grpc};
use tonic_prost::ProstCodec;
use tower_service::Service;

use super::{
    Calls, Offer,
    connection::ConnectionCuts,
    faults::{Fault, Override, ScriptedAnswer, mixed},
    operations::{Operations, ending_after},
};
use crate::{
    chunks,
    compression::{packed, unpacked},
    wire,
};

type Answer<T> = Result<T, Failed>;

#[derive(Clone)]
pub(crate) struct Handler(Arc<ServerState>);

struct ServerState {
    offer: Offer,
    memory: Arc<Memory>,
    calls: Arc<Calls>,
    cuts: Arc<ConnectionCuts>,
    /// The number of the next call.
    number: AtomicU64,
    /// The answers that are still to be given in the place of others.
    scripted: Mutex<Vec<ScriptedAnswer>>,
    operations: Operations,
    /// Streams that were cut while they were written, by name.
    partial: Mutex<HashMap<String, Vec<u8>>>,
}

impl Handler {
    pub(crate) fn new(
        offer: Offer,
        memory: Arc<Memory>,
        calls: Arc<Calls>,
        cuts: Arc<ConnectionCuts>,
    ) -> Handler {
        let (number, partial) = Default::default();
        let operations =
            Operations::new(&memory, offer.executes.clone().unwrap_or_default(), offer.simulated);
        let scripted = Mutex::new(offer.scripted.clone());
        Handler(Arc::new(ServerState { offer, memory, calls, cuts, number, scripted, operations, partial }))
    }
}

/// A function as a service.
struct Method<F>(F);

impl<Q, A, F, R> Service<Request<Q>> for Method<F>
where
    F: FnMut(Q) -> R,
    R: Future<Output = Answer<A>> + Send + 'static,
{
    type Response = Response<A>;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Answer<Response<A>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Answer<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let answer = (self.0)(request.into_inner());
        Box::pin(async { answer.await.map(Response::new) })
    }
}

type Answered = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

/// Answers a call with one question and one answer.
fn unary<Q, A>(
    state: Arc<ServerState>,
    request: http::Request<Body>,
    name: &'static str,
    method: impl FnOnce(&ServerState, Q, Call) -> Answer<A> + Copy + Send + 'static,
) -> Answered
where
    Q: Message + Default + 'static,
    A: Message + 'static,
{
    let answer = move |q: Q| {
        let state = state.clone();
        async move {
            let call = state.begin(name).await?;
            method(&state, q, call)
        }
    };
    answered(request, answer)
}

fn answered<Q, A, R>(request: http::Request<Body>, answer: impl FnMut(Q) -> R + Send + 'static) -> Answered
where
    Q: Message + Default + 'static,
    A: Message + 'static,
    R: Future<Output = Answer<A>> + Send + 'static,
{
    let codec = ProstCodec::<A, Q>::default();
    Box::pin(async move { Ok(Grpc::new(codec).unary(Method(answer), request).await) })
}

impl Service<http::Request<Body>> for Handler {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answered;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Answered {
        let state = self.0.clone();
        // By the method alone: no two of the services have methods of one name.
        let method = request.uri().path().rsplit('/').next().unwrap_or_default();
        if let Some(page) = state.page_of_proxy(method) {
            return Box::pin(async { Ok(page) });
        }
        match method {
            "GetCapabilities" => {
                unary(state, request, "GetCapabilities", |state, q, _| state.capabilities(&q))
            }
            "GetActionResult" => {
                unary(state, request, "GetActionResult", |state, q, call| state.look_up(&q, call))
            }
            "Execute" => {
                let execute = move |q: ExecuteRequest| {
                    let state = state.clone();
                    async move {
                        state.begin("Execute").await?;
                        state.check_instance(&q.instance_name)?;
                        let skips_cache = q.skip_cache_lookup && !state.offer.insists_on_cache;
                        let updates = state.operations.execute(parse(&q.action_digest)?, skips_cache).await;
                        updates.map(|updates| ending_after(updates, state.offer.ends_streams_after))
                    }
                };
                let codec = ProstCodec::<Operation, ExecuteRequest>::default();
                Box::pin(async move { Ok(Grpc::new(codec).server_streaming(Method(execute), request).await) })
            }
            "WaitExecution" => {
                let wait = move |q: WaitExecutionRequest| {
                    let state = state.clone();
                    async move {
                        state.begin("WaitExecution").await?;
                        state.operations.wait(&q.name).await
                    }
                };
                let codec = ProstCodec::<Operation, WaitExecutionRequest>::default();
                Box::pin(async move { Ok(Grpc::new(codec).server_streaming(Method(wait), request).await) })
            }
            "CancelOperation" => {
                unary(state, request, "CancelOperation", |_, _: CancelOperationRequest, _| Ok(Empty {}))
            }
            "UpdateActionResult" => unary(state, request, "UpdateActionResult", |state, q, _| state.store(q)),
            "FindMissingBlobs" => {
                unary(state, request, "FindMissingBlobs", |state, q, call| state.find_missing(&q, call))
            }
            "BatchReadBlobs" => {
                unary(state, request, "BatchReadBlobs", |state, q, call| state.batch_read(&q, call))
            }
            "BatchUpdateBlobs" => {
                unary(state, request, "BatchUpdateBlobs", |state, q, call| state.batch_update(&q, call))
            }
            "SplitBlob" => unary(state, request, "SplitBlob", |state, q, call| state.split(&q, call)),
            "SpliceBlob" => unary(state, request, "SpliceBlob", |state, q, _| state.splice(&q)),
            "QueryWriteStatus" => unary(state, request, "QueryWriteStatus", |state, q, _| state.written(&q)),
            "Read" => {
                let read = move |q: ReadRequest| {
                    let state = state.clone();
                    async move { state.begin("Read").await.and_then(|call| state.read(&q, call)) }
                };
                let codec = ProstCodec::<ReadResponse, ReadRequest>::default();
                Box::pin(async move { Ok(Grpc::new(codec).server_streaming(Method(read), request).await) })
            }
            "Write" => {
                let write = move |q: Streaming<WriteRequest>| {
                    let state = state.clone();
                    async move {
                        let call = state.begin("Write").await?;
                        state.write(q, call).await
                    }
                };
                let codec = ProstCodec::<WriteResponse, WriteRequest>::default();
                Box::pin(async move { Ok(Grpc::new(codec).client_streaming(Method(write), request).await) })
            }
            _ => Box::pin(async { Ok(Failed::unimplemented("no such method").into_http()) }),
        }
    }
}

/// What goes wrong in a call.
#[derive(Clone, Copy)]
struct Call {
    fault: Option<Fault>,
    random: u64,
}

impl Call {
    fn has(self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }
}

impl ServerState {
    /// Counts a call, and lets it fail if it has to.
    async fn begin(&self, name: &'static str) -> Answer<Call> {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
        // By the number of the call, so that a seed gives the same faults to the same sequence of calls.
        // Relaxed: only that each call has its own number matters.
        let (mut fault, random) = self.offer.faults.of_call(self.number.fetch_add(1, Relaxed));
        match self.scripted(name, |_| true) {
            Some(Override::Status(code, message)) => return Err(Failed::new(Code::from_i32(code), message)),
            Some(Override::Fault(scripted)) => fault = Some(scripted),
            // Of the latter the proxy has given one before, and this call got past it.
            None | Some(Override::Http(..)) => {}
        }
        match fault {
            Some(Fault::Unavailable) => return Err(Failed::unavailable("busy")),
            Some(Fault::Exhausted) => return Err(Failed::resource_exhausted("full")),
            Some(Fault::Internal) => return Err(Failed::internal("broken")),
            // A stream is read all the same: one that is not would hold up all others of its connection.
            Some(Fault::Hang) if name != "Write" => std::future::pending().await,
            Some(Fault::Slow) => tokio::time::sleep(Duration::from_millis(20 + random % 30)).await,
            // Few enough bytes to hit small answers, and enough to hit the middle of larger ones.
            Some(Fault::Cut) => self.cuts.cut_after(random % 2000),
            // Between two calls of a client, as a cache does that is full: a result whose blobs are gone.
            Some(Fault::Evicted) => {
                let blobs = self.memory.blobs();
                if !blobs.is_empty() {
                    self.memory.remove(&blobs[random as usize % blobs.len()]);
                }
            }
            _ => {}
        }
        Ok(Call { fault, random })
    }

    /// Takes the next scripted answer to a method, if it is one of these.
    fn scripted(&self, method: &str, is_wanted: impl Fn(&Override) -> bool) -> Option<Override> {
        let mut all = self.scripted.lock().unwrap_or_else(PoisonError::into_inner);
        let at = all.iter().position(|scripted| scripted.method == method && scripted.times != Some(0))?;
        let next = &mut all[at];
        if !is_wanted(&next.instead) {
            return None;
        }
        next.times = next.times.map(|times| times - 1);
        Some(next.instead.clone())
    }

    /// What a proxy answers in the place of this server.
    fn page_of_proxy(&self, method: &str) -> Option<http::Response<Body>> {
        match self.scripted(method, |instead| matches!(instead, Override::Http(..)))? {
            Override::Http(status, page) => {
                http::Response::builder().status(status).body(Body::new(page)).ok()
            }
            _ => None,
        }
    }

    fn check_instance(&self, name: &str) -> Answer<()> {
        if name == self.offer.instance { Ok(()) } else { Err(Failed::not_found("no such instance")) }
    }

    fn capabilities(&self, q: &GetCapabilitiesRequest) -> Answer<ServerCapabilities> {
        self.check_instance(&q.instance_name)?;
        let zstd: Vec<i32> = self.offer.has_zstd.then_some(ZSTD).into_iter().collect();
        let (low, high) = self.offer.versions;
        let version = |major, minor| Some(SemVer { major, minor });
        let cache = CacheCapabilities {
            digest_functions: self.offer.digest_functions.clone(),
            action_cache_update_capabilities: Some(ActionCacheUpdateCapabilities {
                update_enabled: self.offer.takes_results,
            }),
            max_batch_total_size_bytes: self.offer.max_batch_bytes,
            supported_compressors: zstd.clone(),
            supported_batch_update_compressors: zstd,
            blob_split_support: self.offer.has_chunks,
            blob_splice_support: self.offer.has_chunks,
        };
        Ok(ServerCapabilities {
            cache_capabilities: self.offer.is_cache.then_some(cache),
            execution_capabilities: self.offer.executes.as_ref().map(|_| ExecutionCapabilities {
                digest_function: self.offer.digest_functions[0],
                exec_enabled: true,
                digest_functions: self.offer.digest_functions.clone(),
            }),
            low_api_version: version(low, 0),
            high_api_version: version(high, 3),
        })
    }

    fn look_up(&self, q: &GetActionResultRequest, call: Call) -> Answer<ActionResult> {
        self.check_instance(&q.instance_name)?;
        let action = parse(&q.action_digest)?;
        let mut result =
            self.memory.result(&action.hash).ok_or_else(|| Failed::not_found("no such result"))?;
        if call.has(Fault::Mistaken) {
            let files = result.output_files.iter_mut().map(|file| &mut file.digest);
            let trees = result.output_directories.iter_mut().map(|tree| &mut tree.tree_digest);
            let streams = [&mut result.stdout_digest, &mut result.stderr_digest];
            for (at, digest) in files.chain(trees).chain(streams).flatten().enumerate() {
                match (call.random >> at) % 3 {
                    0 => digest.size_bytes += 1,
                    1 => digest.hash = HashFunction::Sha256.blob(digest.hash.as_bytes()).to_hex(),
                    _ => digest.size_bytes = i64::MAX,
                }
            }
        }
        Ok(result)
    }

    fn store(&self, q: UpdateActionResultRequest) -> Answer<ActionResult> {
        self.check_instance(&q.instance_name)?;
        if !self.offer.takes_results {
            return Err(Failed::permission_denied("results are not taken"));
        }
        let result = q.action_result.unwrap_or_default();
        self.memory.add_result(parse(&q.action_digest)?.hash, result.clone());
        Ok(result)
    }

    fn find_missing(&self, q: &FindMissingBlobsRequest, call: Call) -> Answer<FindMissingBlobsResponse> {
        self.check_instance(&q.instance_name)?;
        let is_missing = |digest: &&proto::Digest| {
            wire::parse(digest).is_none_or(|digest| self.memory.blob(&digest.hash).is_none())
        };
        // What makes no sense as a digest counts as missing; and the protocol promises no order.
        let mut missing: Vec<_> = q.blob_digests.iter().filter(is_missing).cloned().collect();
        shuffle(&mut missing, call);
        Ok(FindMissingBlobsResponse { missing_blob_digests: missing })
    }

    fn batch_read(&self, q: &BatchReadBlobsRequest, call: Call) -> Answer<BatchReadBlobsResponse> {
        self.check_instance(&q.instance_name)?;
        let one = |digest: &proto::Digest| {
            let parsed = wire::parse(digest);
            let blob = parsed.and_then(|digest| self.blob(&digest));
            let Some(blob) = blob else {
                let status = Some(Status { code: Code::NotFound as i32, ..Status::default() });
                return ReadBlob { digest: Some(digest.clone()), status, ..ReadBlob::default() };
            };
            let packed = match q.acceptable_compressors.contains(&ZSTD) && self.offer.has_zstd {
                true => packed(&blob),
                false => None,
            };
            // A blob may be sent as it is although compression was offered.
            let compressor = if packed.is_some() { ZSTD } else { 0 };
            let data = damaged(packed.unwrap_or_else(|| blob.to_vec()), call);
            ReadBlob { digest: Some(digest.clone()), data, status: Some(Status::default()), compressor }
        };
        let mut responses: Vec<_> = q.digests.iter().map(one).collect();
        shuffle(&mut responses, call);
        Ok(BatchReadBlobsResponse { responses })
    }

    fn blob(&self, digest: &Digest) -> Option<Arc<[u8]>> {
        let blob = self.memory.blob(&digest.hash)?;
        // Found by hash alone where the name has no size, as justbuild's server does it.
        (blob.len() as u64 == digest.size || wire::is_unmeasured(digest)).then_some(blob)
    }

    /// Whether bytes have the name, and all that they refer to is there: as justbuild's own server, this one takes no
    /// tree before its entries.
    fn takes(&self, digest: &Digest, bytes: &[u8]) -> bool {
        let is_tree = digest.hash.untagged().is_some_and(|(_, is_tree)| is_tree);
        let has = |entry: &TreeEntry| {
            self.memory.blob(&entry.hash.tagged(entry.object_type == ObjectType::Tree)).is_some()
        };
        let has_entries = || decode_git_tree(bytes, 20).is_ok_and(|entries| entries.values().all(has));
        self.memory.is_name_of(&digest.hash, bytes) && (!is_tree || has_entries())
    }

    fn batch_update(&self, q: &BatchUpdateBlobsRequest, call: Call) -> Answer<BatchUpdateBlobsResponse> {
        self.check_instance(&q.instance_name)?;
        let one = |blob: &UpdateBlob| {
            let digest = blob.digest.as_ref().and_then(wire::parse);
            let bytes = digest.and_then(|digest| match blob.compressor {
                ZSTD => unpacked(&blob.data, digest.size),
                _ => Some(blob.data.clone()),
            });
            let code = match digest.zip(bytes) {
                // Compared, as real servers do: a blob of another digest must not get in.
                Some((digest, bytes)) if self.takes(&digest, &bytes) => {
                    self.memory.insert(digest.hash, bytes);
                    Code::Ok
                }
                _ => Code::InvalidArgument,
            };
            let message = "wrong digest".to_owned();
            let status = Some(Status { code: code as i32, message, ..Status::default() });
            UpdatedBlob { digest: blob.digest.clone(), status }
        };
        let mut responses: Vec<_> = q.requests.iter().map(one).collect();
        shuffle(&mut responses, call);
        if call.has(Fault::NotTaken) {
            responses.clear();
        }
        Ok(BatchUpdateBlobsResponse { responses })
    }

    fn split(&self, q: &SplitBlobRequest, call: Call) -> Answer<SplitBlobResponse> {
        self.check_instance(&q.instance_name)?;
        let blob = self.blob(&parse(&q.blob_digest)?);
        let blob = blob.ok_or_else(|| Failed::not_found("no such blob"))?.to_vec();
        let chunks = chunks::of(&blob, blob.len() as u64);
        let chunks = chunks.map_err(|error| Failed::internal(error.to_string()))?;
        let part = |chunk: &chunks::Chunk| {
            let from = chunk.offset as usize;
            self.memory.add(blob[from..from + chunk.digest.size as usize].to_vec())
        };
        let mut chunk_digests: Vec<_> = chunks.iter().map(|chunk| wire::digest(&part(chunk))).collect();
        shuffle(&mut chunk_digests, call);
        if call.has(Fault::Mistaken) && chunk_digests.len() > 2 {
            // Of the right size, and another blob.
            chunk_digests.swap(0, 1);
        }
        Ok(SplitBlobResponse { chunk_digests })
    }

    fn splice(&self, q: &SpliceBlobRequest) -> Answer<SpliceBlobResponse> {
        self.check_instance(&q.instance_name)?;
        let digest = parse(&q.blob_digest)?;
        let mut blob = Vec::new();
        for chunk in &q.chunk_digests {
            let chunk = self.blob(&parse(&Some(chunk.clone()))?);
            blob.extend_from_slice(&chunk.ok_or_else(|| Failed::not_found("no such chunk"))?);
        }
        if HashFunction::Sha256.blob(&blob) != digest.hash {
            return Err(Failed::invalid_argument("wrong digest"));
        }
        self.memory.add(blob);
        Ok(SpliceBlobResponse { blob_digest: q.blob_digest.clone() })
    }

    /// The name of a stream without the instance.
    fn without_instance<'n>(&self, name: &'n str) -> Answer<&'n str> {
        let rest = match self.offer.instance.as_str() {
            "" => Some(name),
            instance => name.strip_prefix(instance).and_then(|rest| rest.strip_prefix('/')),
        };
        rest.ok_or_else(|| Failed::not_found("no such instance"))
    }

    fn read(&self, q: &ReadRequest, call: Call) -> Answer<Pieces> {
        let name = self.without_instance(&q.resource_name)?;
        let (is_packed, digest) =
            stream_name(name).ok_or_else(|| Failed::invalid_argument("no such name"))?;
        let blob = self.blob(&digest).ok_or_else(|| Failed::not_found("no such blob"))?;
        let from = usize::try_from(q.read_offset).unwrap_or(usize::MAX);
        let rest = blob.get(from..).ok_or_else(|| Failed::out_of_range("there is no such offset"))?;
        let rest = match is_packed {
            true => zstd::stream::encode_all(rest, 1).map_err(|_| Failed::internal("cannot pack"))?,
            false => rest.to_vec(),
        };
        let pieces: Vec<_> = damaged(rest, call)
            .chunks(64 << 10)
            .map(|data| Ok(ReadResponse { data: data.to_vec() }))
            .collect();
        Ok(tokio_stream::iter(pieces))
    }

    async fn write(&self, mut pieces: Streaming<WriteRequest>, call: Call) -> Answer<WriteResponse> {
        let (mut name, mut is_over) = (String::new(), false);
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            if name.is_empty() {
                name = self.without_instance(&piece.resource_name)?.to_owned();
            }
            // What came stays, also if the connection is cut: for the stream that goes on.
            let mut partial = self.partial();
            let bytes = partial.entry(name.clone()).or_default();
            if piece.write_offset != bytes.len() as i64 {
                return Err(Failed::invalid_argument("a stream goes on where it ended"));
            }
            bytes.extend(&piece.data);
            is_over = piece.finish_write;
            if call.has(Fault::Truncated) && bytes.len() as u64 > call.random % (1 << 22) {
                return Err(Failed::unavailable("interrupted"));
            }
        }
        if call.has(Fault::Hang) {
            std::future::pending::<()>().await;
        }
        // A stream that is complete is no longer open; one that fails from here on begins anew under another name.
        let bytes = self.partial().remove(&name).unwrap_or_default();
        let rest = name.strip_prefix("uploads/").and_then(|rest| rest.split_once('/'));
        let named = rest.and_then(|(_, rest)| stream_name(rest));
        let (is_packed, digest) = named.ok_or_else(|| Failed::invalid_argument("no such name"))?;
        let taken = bytes.len() as i64;
        if !is_over {
            return Err(Failed::invalid_argument("the stream is not complete"));
        }
        let blob = if is_packed { unpacked(&bytes, digest.size) } else { Some(bytes) };
        let blob = blob.filter(|blob| self.takes(&digest, blob));
        let blob = blob.ok_or_else(|| Failed::invalid_argument("wrong digest"))?;
        self.memory.insert(digest.hash, blob);
        Ok(WriteResponse { committed_size: taken - i64::from(call.has(Fault::NotTaken)) })
    }

    fn partial(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<u8>>> {
        self.partial.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self, q: &QueryWriteStatusRequest) -> Answer<QueryWriteStatusResponse> {
        let name = self.without_instance(&q.resource_name)?;
        let committed_size = self.partial().get(name).map_or(0, |bytes| bytes.len() as i64);
        // Always false: what is complete is in the memory, and no longer among the open streams.
        Ok(QueryWriteStatusResponse { committed_size, complete: false })
    }
}

type Pieces = tokio_stream::Iter<std::vec::IntoIter<Answer<ReadResponse>>>;

fn parse(digest: &Option<proto::Digest>) -> Answer<Digest> {
    digest.as_ref().and_then(wire::parse).ok_or_else(|| Failed::invalid_argument("no digest"))
}

/// Whether a stream is compressed, and of which blob it is.
fn stream_name(name: &str) -> Option<(bool, Digest)> {
    let (is_packed, rest) = match name.strip_prefix("compressed-blobs/zstd/") {
        Some(rest) => (true, rest),
        None => (false, name.strip_prefix("blobs/")?),
    };
    let (hash, size) = rest.split_once('/')?;
    Some((is_packed, wire::parse(&proto::Digest { hash: hash.to_owned(), size_bytes: size.parse().ok()? })?))
}

fn damaged(mut bytes: Vec<u8>, call: Call) -> Vec<u8> {
    let at = call.random as usize % bytes.len().max(1);
    match call.fault {
        Some(Fault::Truncated) => bytes.truncate(at),
        // The highest three bits choose which bit of the byte.
        Some(Fault::Flipped) if !bytes.is_empty() => bytes[at] ^= 1 << (call.random >> 61),
        Some(Fault::Longer) => bytes.extend(mixed(call.random).to_le_bytes()),
        _ => {}
    }
    bytes
}

/// Reorders parts of an answer, and repeats one.
fn shuffle<T: Clone>(parts: &mut Vec<T>, call: Call) {
    if call.has(Fault::Shuffled) && !parts.is_empty() {
        let at = call.random as usize % parts.len();
        parts.rotate_left(at);
        parts.push(parts[at].clone());
    }
}
