//! The messages of the Remote Execution API that taut stores, hashes and exchanges with services.
//!
//! Tags are those of `build/bazel/remote/execution/v2/remote_execution.proto` (Remote Execution API 2.1)
//! and of `google.protobuf`'s well-known types; comments there define the meaning. Only fields that taut reads or
//! writes are here; unknown fields of messages written by other tools are skipped. Field numbers are part of hashes and
//! stored data: they never change.
//!
//! Encoding is canonical as long as the caller keeps the orders that the API demands (environment
//! variables, properties, outputs sorted), since `prost` writes fields by tag.

pub mod cache;
mod directory;
pub mod execution;

pub use directory::{Directory, DirectoryNode, FileNode, SymlinkNode, TreeBytes};
pub use prost::{DecodeError, Message};

// `google.protobuf.Duration`; `Timestamp` has the same two fields, and is read and written as this too.
/// Seconds and nanoseconds.
#[derive(Clone, PartialEq, Message)]
pub struct Duration {
    /// Whole seconds.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds on top.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// Identifies a blob.
#[derive(Clone, PartialEq, Message)]
pub struct Digest {
    /// Lower-case hexadecimal; in native mode with the two digits `62` (blob) or `74` (tree) in front.
    #[prost(string, tag = "1")]
    pub hash: String,
    /// Size in bytes.
    #[prost(int64, tag = "2")]
    pub size_bytes: i64,
}

/// Requirements on the executing platform.
#[derive(Clone, PartialEq, Message)]
pub struct Platform {
    /// Sorted by name, then value.
    #[prost(message, repeated, tag = "1")]
    pub properties: Vec<Property>,
}

/// One property of a platform, or of a node.
#[derive(Clone, PartialEq, Message)]
pub struct Property {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// The command of an action.
#[derive(Clone, PartialEq, Message)]
pub struct Command {
    /// The command line.
    #[prost(string, repeated, tag = "1")]
    pub arguments: Vec<String>,
    /// Sorted by name.
    #[prost(message, repeated, tag = "2")]
    pub environment_variables: Vec<EnvironmentVariable>,
    // Since 2.1 `output_paths` replaces these two; older servers read only these.
    /// Sorted.
    #[prost(string, repeated, tag = "3")]
    pub output_files: Vec<String>,
    /// Sorted.
    #[prost(string, repeated, tag = "4")]
    pub output_directories: Vec<String>,
    /// Requirements on the platform that runs the command.
    #[prost(message, optional, tag = "5")]
    pub platform: Option<Platform>,
    /// Below the input root; empty for the root itself.
    #[prost(string, tag = "6")]
    pub working_directory: String,
    /// Files and directories together, sorted; since 2.1.
    #[prost(string, repeated, tag = "7")]
    pub output_paths: Vec<String>,
}

/// One variable of a command's environment.
#[derive(Clone, PartialEq, Message)]
pub struct EnvironmentVariable {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// An action: its digest is the key of the action cache.
#[derive(Clone, PartialEq, Message)]
pub struct Action {
    /// Digest of the serialised [`Command`].
    #[prost(message, optional, tag = "1")]
    pub command_digest: Option<Digest>,
    /// Digest of the input root.
    #[prost(message, optional, tag = "2")]
    pub input_root_digest: Option<Digest>,
    // 3 to 5 and 8 are reserved in the protocol.
    /// Time limit.
    #[prost(message, optional, tag = "6")]
    pub timeout: Option<Duration>,
    /// Whether the result must not be cached.
    #[prost(bool, tag = "7")]
    pub do_not_cache: bool,
    /// Makes digests different of actions that are otherwise equal; since 2.1.
    #[prost(bytes = "vec", tag = "9")]
    pub salt: Vec<u8>,
    /// Requirements on the platform that runs the action; since 2.2 here as well as in the command.
    #[prost(message, optional, tag = "10")]
    pub platform: Option<Platform>,
}

/// What an action produced.
#[derive(Clone, PartialEq, Message)]
pub struct ActionResult {
    /// Sorted by path.
    #[prost(message, repeated, tag = "2")]
    pub output_files: Vec<OutputFile>,
    /// Sorted by path.
    #[prost(message, repeated, tag = "3")]
    pub output_directories: Vec<OutputDirectory>,
    /// The process's exit code.
    #[prost(int32, tag = "4")]
    pub exit_code: i32,
    /// The standard output, where it is not a blob.
    #[prost(bytes = "vec", tag = "5")]
    pub stdout_raw: Vec<u8>,
    /// The standard output, as a blob.
    #[prost(message, optional, tag = "6")]
    pub stdout_digest: Option<Digest>,
    /// The standard error, where it is not a blob.
    #[prost(bytes = "vec", tag = "7")]
    pub stderr_raw: Vec<u8>,
    /// The standard error, as a blob.
    #[prost(message, optional, tag = "8")]
    pub stderr_digest: Option<Digest>,
    /// The machine that executed it.
    #[prost(message, optional, tag = "9")]
    pub execution_metadata: Option<ExecutedActionMetadata>,
    /// Links to files, sorted by path.
    #[prost(message, repeated, tag = "10")]
    pub output_file_symlinks: Vec<OutputSymlink>,
    /// Links to directories, sorted by path.
    #[prost(message, repeated, tag = "11")]
    pub output_directory_symlinks: Vec<OutputSymlink>,
    /// Links of either kind, sorted by path.
    #[prost(message, repeated, tag = "12")]
    pub output_symlinks: Vec<OutputSymlink>,
}

/// A file that an action produced.
#[derive(Clone, PartialEq, Message)]
pub struct OutputFile {
    /// Relative to the working directory.
    #[prost(string, tag = "1")]
    pub path: String,
    /// Its content.
    #[prost(message, optional, tag = "2")]
    pub digest: Option<Digest>,
    /// Whether it is executable.
    #[prost(bool, tag = "4")]
    pub is_executable: bool,
}

/// A directory that an action produced.
#[derive(Clone, PartialEq, Message)]
pub struct OutputDirectory {
    /// Relative to the working directory.
    #[prost(string, tag = "1")]
    pub path: String,
    /// In native mode the git tree itself, else a serialised `Tree` message.
    #[prost(message, optional, tag = "3")]
    pub tree_digest: Option<Digest>,
}

/// A symbolic link that an action produced.
#[derive(Clone, PartialEq, Message)]
pub struct OutputSymlink {
    /// Relative to the working directory.
    #[prost(string, tag = "1")]
    pub path: String,
    /// The path it points to.
    #[prost(string, tag = "2")]
    pub target: String,
}

/// The machine that executed an action.
#[derive(Clone, PartialEq, Message)]
pub struct ExecutedActionMetadata {
    /// Name of the worker.
    #[prost(string, tag = "1")]
    pub worker: String,
    /// When the action was queued, since 1970.
    #[prost(message, optional, tag = "2")]
    pub queued: Option<Duration>,
    /// When the worker got it.
    #[prost(message, optional, tag = "3")]
    pub worker_start: Option<Duration>,
    /// When the command began.
    #[prost(message, optional, tag = "7")]
    pub execution_started: Option<Duration>,
    /// When it ended.
    #[prost(message, optional, tag = "8")]
    pub execution_completed: Option<Duration>,
}
