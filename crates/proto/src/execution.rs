//! The requests and responses of services that execute actions.
//!
//! Tags are those of `build/bazel/remote/execution/v2/remote_execution.proto`, `google/longrunning/operations.proto`,
//! `google/protobuf/any.proto` and `google/rpc/error_details.proto`. Nothing of this is stored.

use prost::Message;

pub use crate::cache::{Any, ExecutionCapabilities};
use crate::{ActionResult, Digest, cache::Status};

/// `ExecutionStage.Value.QUEUED`.
pub const QUEUED: i32 = 2;
/// `ExecutionStage.Value.EXECUTING`.
pub const EXECUTING: i32 = 3;

/// The type of [`ExecuteResponse`] in an [`Any`].
pub const EXECUTE_RESPONSE: &str = "type.googleapis.com/build.bazel.remote.execution.v2.ExecuteResponse";
/// The type of [`ExecuteOperationMetadata`] in an [`Any`].
pub const EXECUTE_METADATA: &str =
    "type.googleapis.com/build.bazel.remote.execution.v2.ExecuteOperationMetadata";
/// The type of [`PreconditionFailure`] in an [`Any`].
pub const PRECONDITION_FAILURE: &str = "type.googleapis.com/google.rpc.PreconditionFailure";

/// Executes an action.
#[derive(Clone, PartialEq, Message)]
pub struct ExecuteRequest {
    /// Which of several parts of the server.
    #[prost(string, tag = "1")]
    pub instance_name: String,
    /// Whether the action is executed though its result is known.
    #[prost(bool, tag = "3")]
    pub skip_cache_lookup: bool,
    /// Of the `Action` message.
    #[prost(message, optional, tag = "6")]
    pub action_digest: Option<Digest>,
    // Priorities (7, 8) are left to the service.
    /// How digests are made.
    #[prost(int32, tag = "9")]
    pub digest_function: i32,
}

/// Goes on waiting for an execution.
#[derive(Clone, PartialEq, Message)]
pub struct WaitExecutionRequest {
    /// The name of the operation.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// Ends an execution.
#[derive(Clone, PartialEq, Message)]
pub struct CancelOperationRequest {
    /// The name of the operation.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// Nothing.
#[derive(Clone, PartialEq, Message)]
pub struct Empty {}

/// The state of an execution.
#[derive(Clone, PartialEq, Message)]
pub struct Operation {
    /// Its name at the server.
    #[prost(string, tag = "1")]
    pub name: String,
    /// How far it has come.
    #[prost(message, optional, tag = "2")]
    pub metadata: Option<Any>,
    /// Whether it is over; then there is either an error or a response.
    #[prost(bool, tag = "3")]
    pub done: bool,
    // In the protocol these two are a `oneof`, which is encoded in the same way.
    /// Why there is no response.
    #[prost(message, optional, tag = "4")]
    pub error: Option<Status>,
    /// An [`ExecuteResponse`].
    #[prost(message, optional, tag = "5")]
    pub response: Option<Any>,
}

/// How far an execution has come.
#[derive(Clone, PartialEq, Message)]
pub struct ExecuteOperationMetadata {
    /// 0 if the server does not say.
    #[prost(int32, tag = "1")]
    pub stage: i32,
}

/// How an execution ended.
#[derive(Clone, PartialEq, Message)]
pub struct ExecuteResponse {
    /// What the action produced; also with some errors.
    #[prost(message, optional, tag = "1")]
    pub result: Option<ActionResult>,
    /// Whether it was known before.
    #[prost(bool, tag = "2")]
    pub cached_result: bool,
    /// Whether the action was executed; nothing of the exit code.
    #[prost(message, optional, tag = "3")]
    pub status: Option<Status>,
    /// For people.
    #[prost(string, tag = "5")]
    pub message: String,
}

/// What has to be changed before a call can succeed.
#[derive(Clone, PartialEq, Message)]
pub struct PreconditionFailure {
    /// What is in the way.
    #[prost(message, repeated, tag = "1")]
    pub violations: Vec<Violation>,
}

/// One thing that is in the way of a call.
#[derive(Clone, PartialEq, Message)]
pub struct Violation {
    /// `MISSING` for a content that is not there.
    #[prost(string, tag = "1")]
    pub r#type: String,
    /// `blobs/HASH/SIZE` then.
    #[prost(string, tag = "2")]
    pub subject: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_only_for_what_its_type_says() {
        let message = ExecuteOperationMetadata { stage: QUEUED };
        let any = Any::of(EXECUTE_METADATA, &message);
        assert_eq!(any.get::<ExecuteOperationMetadata>(EXECUTE_METADATA), Some(message));
        assert_eq!(any.get::<ExecuteResponse>(EXECUTE_RESPONSE), None);
        let damaged = Any { value: vec![0xff], ..any };
        assert_eq!(damaged.get::<ExecuteOperationMetadata>(EXECUTE_METADATA), None);
    }
}
