//! The requests and responses of caches: capabilities, contents, results, streams of bytes.
//!
//! Tags are those of `build/bazel/remote/execution/v2/remote_execution.proto`, `build/bazel/semver/semver.proto`,
//! `google/bytestream/bytestream.proto` and `google/rpc/status.proto`. Nothing of this is stored.

use prost::Message;

use crate::{ActionResult, Digest};

/// `DigestFunction.Value.SHA1`, which justbuild's own server announces for git's ids.
pub const SHA1: i32 = 2;

/// `DigestFunction.Value.SHA256`.
pub const SHA256: i32 = 1;

/// `Compressor.Value.ZSTD`.
pub const ZSTD: i32 = 1;

/// How a single part of a batch went.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// A code of gRPC; 0 for success.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// For people.
    #[prost(string, tag = "2")]
    pub message: String,
    /// For programs.
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Any>,
}

/// A message with its type.
#[derive(Clone, PartialEq, Message)]
pub struct Any {
    /// What is behind the last `/` names the type.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// The message, encoded.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

impl Any {
    /// A message with its type.
    pub fn of(type_url: &str, message: &impl Message) -> Any {
        Any { type_url: type_url.to_owned(), value: message.encode_to_vec() }
    }

    /// The message, if it is of that type.
    pub fn get<M: Message + Default>(&self, type_url: &str) -> Option<M> {
        let name = |url: &str| url.rsplit('/').next().map(str::to_owned);
        // Only the name counts: what is before the last `/` may be any host (`any.proto`).
        if name(&self.type_url) != name(type_url) {
            return None;
        }
        M::decode(&self.value[..]).ok()
    }
}

/// What a server can do as one that executes.
#[derive(Clone, PartialEq, Message)]
pub struct ExecutionCapabilities {
    /// How it names blobs.
    #[prost(int32, tag = "1")]
    pub digest_function: i32,
    /// Whether it executes.
    #[prost(bool, tag = "2")]
    pub exec_enabled: bool,
    /// How it names blobs, if in several ways.
    #[prost(int32, repeated, tag = "5")]
    pub digest_functions: Vec<i32>,
}

/// Asks what a server can do.
#[derive(Clone, PartialEq, Message)]
pub struct GetCapabilitiesRequest {
    /// Which of several caches of the server.
    #[prost(string, tag = "1")]
    pub instance_name: String,
}

/// What a server can do.
#[derive(Clone, PartialEq, Message)]
pub struct ServerCapabilities {
    /// As a cache; absent if the server does not work as one.
    #[prost(message, optional, tag = "1")]
    pub cache_capabilities: Option<CacheCapabilities>,
    /// As one that executes; absent if it does not.
    #[prost(message, optional, tag = "2")]
    pub execution_capabilities: Option<ExecutionCapabilities>,
    // 3 is the place of the version in a form that is no longer used.
    /// The oldest version of the API that it speaks.
    #[prost(message, optional, tag = "4")]
    pub low_api_version: Option<SemVer>,
    /// The newest one.
    #[prost(message, optional, tag = "5")]
    pub high_api_version: Option<SemVer>,
}

/// A version.
#[derive(Clone, PartialEq, Message)]
pub struct SemVer {
    /// Changes when clients have to change.
    #[prost(int32, tag = "1")]
    pub major: i32,
    // Clients need neither the patch (3) nor the label of a prerelease (4).
    /// Changes when something is added.
    #[prost(int32, tag = "2")]
    pub minor: i32,
}

/// What a server can do as a cache.
#[derive(Clone, PartialEq, Message)]
pub struct CacheCapabilities {
    /// How contents may be named.
    #[prost(int32, repeated, tag = "1")]
    pub digest_functions: Vec<i32>,
    /// Whether results may be stored.
    #[prost(message, optional, tag = "2")]
    pub action_cache_update_capabilities: Option<ActionCacheUpdateCapabilities>,
    /// The most bytes of contents in one batch; 0 if the server does not say.
    #[prost(int64, tag = "4")]
    pub max_batch_total_size_bytes: i64,
    /// How streams may be compressed.
    #[prost(int32, repeated, tag = "6")]
    pub supported_compressors: Vec<i32>,
    /// How contents in batches that are put may be compressed.
    #[prost(int32, repeated, tag = "7")]
    pub supported_batch_update_compressors: Vec<i32>,
    // 8, the size of the largest content, is not read: a server that refuses one says so.
    /// Whether a content can be asked for in chunks; since 2.4.
    #[prost(bool, tag = "9")]
    pub blob_split_support: bool,
    /// Whether a content can be put as chunks; since 2.4.
    #[prost(bool, tag = "10")]
    pub blob_splice_support: bool,
}

/// Whether results may be stored.
#[derive(Clone, PartialEq, Message)]
pub struct ActionCacheUpdateCapabilities {
    /// Whether they may.
    #[prost(bool, tag = "1")]
    pub update_enabled: bool,
}

/// Asks for a result.
#[derive(Clone, PartialEq, Message)]
pub struct GetActionResultRequest {
    /// Which of several caches of the server.
    #[prost(string, tag = "1")]
    pub instance_name: String,
    /// Of the `Action` message.
    #[prost(message, optional, tag = "2")]
    pub action_digest: Option<Digest>,
    // 3 to 5 would put outputs into the answer; all contents are fetched and compared with their names.
    /// How digests are made.
    #[prost(int32, tag = "6")]
    pub digest_function: i32,
}

/// Stores a result.
#[derive(Clone, PartialEq, Message)]
pub struct UpdateActionResultRequest {
    /// Which of several caches of the server.
    #[prost(string, tag = "1")]
    pub instance_name: String,
    /// Of the `Action` message.
    #[prost(message, optional, tag = "2")]
    pub action_digest: Option<Digest>,
    /// The result.
    #[prost(message, optional, tag = "3")]
    pub action_result: Option<ActionResult>,
    // 4, how long the cache keeps it, is left to the server.
    /// How digests are made.
    #[prost(int32, tag = "5")]
    pub digest_function: i32,
}

/// Asks which contents are not there.
#[derive(Clone, PartialEq, Message)]
pub struct FindMissingBlobsRequest {
    /// Which of several caches of the server.
    #[prost(string, tag = "1")]
    pub instance_name: String,
    /// The contents.
    #[prost(message, repeated, tag = "2")]
    pub blob_digests: Vec<Digest>,
    /// How digests are made.
    #[prost(int32, tag = "3")]
    pub digest_function: i32,
}

/// The contents that are missing.
#[derive(Clone, PartialEq, Message)]
pub struct FindMissingBlobsResponse {
    // There is no field 1.
    /// In any order.
    #[prost(message, repeated, tag = "2")]
    pub missing_blob_digests: Vec<Digest>,
}

/// Asks for several contents.
#[derive(Clone, PartialEq, Message)]
pub struct BatchReadBlobsRequest {
    /// Which of several caches of the server.
    #[prost(string, tag = "1")]
    pub instance_name: String,
    /// The contents.
    #[prost(message, repeated, tag = "2")]
    pub digests: Vec<Digest>,
    /// How they may be compressed, beside not at all.
    #[prost(int32, repeated, tag = "3")]
    pub acceptable_compressors: Vec<i32>,
    /// How digests are made.
    #[prost(int32, tag = "4")]
    pub digest_function: i32,
}

/// Several contents.
#[derive(Clone, PartialEq, Message)]
pub struct BatchReadBlobsResponse {
    /// In any order.
    #[prost(message, repeated, tag = "1")]
    pub responses: Vec<ReadBlob>,
}

/// One of several contents.
#[derive(Clone, PartialEq, Message)]
pub struct ReadBlob {
    /// Its name.
    #[prost(message, optional, tag = "1")]
    pub digest: Option<Digest>,
    /// Its bytes, compressed or not.
    #[prost(bytes = "vec", tag = "2")]
    pub data: Vec<u8>,
    /// Whether it can be had.
    #[prost(message, optional, tag = "3")]
    pub status: Option<Status>,
    /// How it is compressed.
    #[prost(int32, tag = "4")]
    pub compressor: i32,
}

/// Puts several contents.
#[derive(Clone, PartialEq, Message)]
pub struct BatchUpdateBlobsRequest {
    /// Which of several caches of the server.
    #[prost(string, tag = "1")]
    pub instance_name: String,
    /// The contents.
    #[prost(message, repeated, tag = "2")]
    pub requests: Vec<UpdateBlob>,
    /// How digests are made.
    #[prost(int32, tag = "5")]
    pub digest_function: i32,
}

/// One of several contents that are put.
#[derive(Clone, PartialEq, Message)]
pub struct UpdateBlob {
    /// Its name.
    #[prost(message, optional, tag = "1")]
    pub digest: Option<Digest>,
    /// Its bytes, compressed or not.
    #[prost(bytes = "vec", tag = "2")]
    pub data: Vec<u8>,
    /// How it is compressed.
    #[prost(int32, tag = "3")]
    pub compressor: i32,
}

/// How they were taken.
#[derive(Clone, PartialEq, Message)]
pub struct BatchUpdateBlobsResponse {
    /// In any order.
    #[prost(message, repeated, tag = "1")]
    pub responses: Vec<UpdatedBlob>,
}

/// How one of several contents was taken.
#[derive(Clone, PartialEq, Message)]
pub struct UpdatedBlob {
    /// Its name.
    #[prost(message, optional, tag = "1")]
    pub digest: Option<Digest>,
    /// Whether it is there now.
    #[prost(message, optional, tag = "2")]
    pub status: Option<Status>,
}

/// Asks for a blob in chunks; each chunk is a blob of its own.
#[derive(Clone, PartialEq, Message)]
pub struct SplitBlobRequest {
    /// Which of several caches of the server.
    #[prost(string, tag = "1")]
    pub instance_name: String,
    /// The content.
    #[prost(message, optional, tag = "2")]
    pub blob_digest: Option<Digest>,
    /// How digests are made.
    #[prost(int32, tag = "3")]
    pub digest_function: i32,
}

/// The chunks of a content.
#[derive(Clone, PartialEq, Message)]
pub struct SplitBlobResponse {
    /// In the order of the content.
    #[prost(message, repeated, tag = "1")]
    pub chunk_digests: Vec<Digest>,
}

/// Puts a content together from chunks that are there.
#[derive(Clone, PartialEq, Message)]
pub struct SpliceBlobRequest {
    /// Which of several caches of the server.
    #[prost(string, tag = "1")]
    pub instance_name: String,
    /// The content; the server compares.
    #[prost(message, optional, tag = "2")]
    pub blob_digest: Option<Digest>,
    /// In the order of the content.
    #[prost(message, repeated, tag = "3")]
    pub chunk_digests: Vec<Digest>,
    /// How digests are made.
    #[prost(int32, tag = "4")]
    pub digest_function: i32,
}

/// The content is there.
#[derive(Clone, PartialEq, Message)]
pub struct SpliceBlobResponse {
    /// Its name.
    #[prost(message, optional, tag = "1")]
    pub blob_digest: Option<Digest>,
}

/// Asks for a stream of bytes.
#[derive(Clone, PartialEq, Message)]
pub struct ReadRequest {
    /// The content.
    #[prost(string, tag = "1")]
    pub resource_name: String,
    /// Where to begin.
    #[prost(int64, tag = "2")]
    pub read_offset: i64,
    /// The most bytes to send; 0 for all.
    #[prost(int64, tag = "3")]
    pub read_limit: i64,
}

/// A piece of the stream.
#[derive(Clone, PartialEq, Message)]
pub struct ReadResponse {
    // The protocol leaves a gap before 10, here and in `WriteRequest`.
    /// Its bytes.
    #[prost(bytes = "vec", tag = "10")]
    pub data: Vec<u8>,
}

/// A piece of a stream to be stored.
#[derive(Clone, PartialEq, Message)]
pub struct WriteRequest {
    /// The content and the name of the transfer; may be left out after the first piece.
    #[prost(string, tag = "1")]
    pub resource_name: String,
    /// Where the piece begins.
    #[prost(int64, tag = "2")]
    pub write_offset: i64,
    /// Whether it is the last one.
    #[prost(bool, tag = "3")]
    pub finish_write: bool,
    /// Its bytes.
    #[prost(bytes = "vec", tag = "10")]
    pub data: Vec<u8>,
}

/// How the stream was taken.
#[derive(Clone, PartialEq, Message)]
pub struct WriteResponse {
    /// How many bytes; all of the content also if it was there before, and -1 for a compressed one.
    #[prost(int64, tag = "1")]
    pub committed_size: i64,
}

/// Asks how much of a stream was taken.
#[derive(Clone, PartialEq, Message)]
pub struct QueryWriteStatusRequest {
    /// The content and the name of the transfer.
    #[prost(string, tag = "1")]
    pub resource_name: String,
}

/// How much of a stream was taken.
#[derive(Clone, PartialEq, Message)]
pub struct QueryWriteStatusResponse {
    /// How many bytes.
    #[prost(int64, tag = "1")]
    pub committed_size: i64,
    /// Whether the content is there.
    #[prost(bool, tag = "2")]
    pub complete: bool,
}
