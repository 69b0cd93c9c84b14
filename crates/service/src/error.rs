//! Why there is no answer, so that the caller can tell what to do from the kind alone.

use std::fmt;

use taut_digest::Digest;

/// The result of asking.
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
// `Clone` and comparable, so texts in place of the errors of libraries: one failed call may answer many questions.
pub enum Error {
    /// The blob is not there.
    NotFound(Digest),
    /// It may work later; it was tried more than once.
    Transient {
        /// What was asked, in the words of the protocol.
        call: &'static str,
        /// How often.
        attempts: u32,
        /// The status of the last attempt by the numbers of gRPC.
        code: i32,
        /// How the last attempt failed.
        why: String,
    },
    /// It will not work.
    Final {
        /// What was asked, in the words of the protocol.
        call: &'static str,
        /// What is wrong.
        why: String,
    },
    /// An action was not executed, for a reason that concerns it alone.
    NotExecuted {
        /// The status by the numbers of gRPC.
        code: i32,
        /// Where the server says it.
        reported_in: ReportedIn,
        /// What is wrong.
        why: String,
    },
    /// An action was not executed, since some of its inputs are not there; which ones, as far as that is known.
    InputsMissing(Vec<Digest>),
    /// What came is not the blob of this digest.
    Corrupt(Digest),
    /// The blob could not be read or written on this side.
    Local(String),
    /// The service was given up, since an earlier call failed for good.
    Off,
}

/// Where in its answer a server says why it did not execute an action.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReportedIn {
    /// As the status of the call.
    Call,
    /// As the error of the operation.
    Operation,
    /// As the status of the response with which the operation has ended.
    Response,
    /// Nowhere: the operation has ended, and there is no response.
    Nothing,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotFound(digest) => write!(f, "blob {} is missing", digest.hash),
            Error::Transient { call, attempts: 1, why, .. } => write!(f, "{call}: {why}"),
            Error::Transient { call, attempts, why, .. } => {
                write!(f, "{call}: {why} (tried {attempts} times)")
            }
            Error::Final { call, why } => write!(f, "{call}: {why}"),
            Error::NotExecuted { why, .. } => write!(f, "Execute: {why}"),
            Error::InputsMissing(digests) => {
                f.write_str("Execute: ")?;
                match &digests[..] {
                    [digest] => write!(f, "input {} of the action is missing", digest.hash),
                    [digest, ..] => {
                        write!(
                            f,
                            "{} inputs of the action are missing, {} among them",
                            digests.len(),
                            digest.hash
                        )
                    }
                    [] => f.write_str("inputs of the action are missing"),
                }
            }
            Error::Corrupt(digest) => {
                write!(f, "a blob arrived that does not match its digest {}", digest.hash)
            }
            Error::Local(why) => f.write_str(why),
            Error::Off => f.write_str("cancelled"),
        }
    }
}

impl std::error::Error for Error {}
