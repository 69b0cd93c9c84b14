//! A server that is needed and cannot be used, as errors have it.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use taut_digest::ObjectInfo;
use taut_engine::Fail;
use taut_service::Error;
use taut_value::Artifact;

use crate::{Cause, ExecutionFailure};

/// What is wrong with a server that is needed.
// Equal if the reasons are: of many actions that meet one fault, the first says what was to be sent.
#[derive(Clone, Debug)]
pub struct ServerFault {
    /// The server and the reason.
    pub why: String,
    /// More of it, if it does not answer at all.
    // Boxed, since it is large and rare.
    pub unreached: Option<Box<Unreached>>,
}

/// A server that does not answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreached {
    /// The status by the numbers of gRPC.
    pub code: i32,
    /// The reason, without the server.
    pub why: String,
    /// Whether it has never answered in this call.
    pub is_new: bool,
    /// The first object that it was to get, as far as that is known.
    pub first: Option<Unsent>,
}

/// An object that a server was to get.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unsent {
    /// An artifact that no action makes.
    Input(Artifact, ObjectInfo),
    /// The directory of the inputs of an action.
    Directory(ObjectInfo),
    /// What was built, or named by the user.
    Result(ObjectInfo),
}

impl PartialEq for ServerFault {
    fn eq(&self, other: &Self) -> bool {
        self.why == other.why
    }
}

impl Eq for ServerFault {}

impl Hash for ServerFault {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.why.hash(state);
    }
}

impl ServerFault {
    fn with(&self, unreached: &Unreached, first: Option<Unsent>) -> Fail {
        let unreached = Some(Box::new(Unreached { first, ..unreached.clone() }));
        Cause::Server(ServerFault { why: self.why.clone(), unreached }).fail()
    }
}

impl From<String> for ServerFault {
    fn from(why: String) -> ServerFault {
        ServerFault { why, unreached: None }
    }
}

impl fmt::Display for ServerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

// Statuses by the numbers of gRPC.
const DEADLINE_EXCEEDED: i32 = 4;
const UNAVAILABLE: i32 = 14;

/// What is asked first of each server, in errors.
const FIRST_CALL: &str = "GetCapabilities";

/// What fails where a connection cannot even be tried, in errors.
const CONNECT: &str = "connect";

impl Unreached {
    /// Of an error of a call; `None` if the server has answered, or if it was asked for blobs: then nothing was to be
    /// sent.
    pub(crate) fn of(error: &Error) -> Option<Box<Unreached>> {
        let (code, why, is_new) = match error {
            Error::Transient { call: "BatchReadBlobs" | "ByteStream.Read", .. } => return None,
            Error::Transient { call, code: code @ (UNAVAILABLE | DEADLINE_EXCEEDED), why, .. } => {
                (*code, why, *call == FIRST_CALL)
            }
            Error::Final { call: CONNECT, why } => (UNAVAILABLE, why, true),
            _ => return None,
        };
        Some(Box::new(Unreached { code, why: why.clone(), is_new, first: None }))
    }
}

/// A failure to send a result that no action has made, with what that is; others as they are.
pub fn with_artifact(fail: Fail, artifact: impl FnOnce(&ObjectInfo) -> Option<Artifact>) -> Fail {
    let Some(ExecutionFailure { cause: Cause::Server(fault), action: None }) = fail.downcast_ref() else {
        return fail;
    };
    let Some(unreached @ Unreached { first: Some(Unsent::Result(object)), .. }) = fault.unreached.as_deref()
    else {
        return fail;
    };
    let Some(artifact @ (Artifact::Local { .. } | Artifact::Known(_))) = artifact(object) else {
        return fail;
    };
    fault.with(unreached, Some(Unsent::Input(artifact, *object)))
}

/// A failure with what a server that does not answer was to get, unless it has that already.
pub(crate) fn with_first(fail: Fail, first: impl FnOnce() -> Option<Unsent>) -> Fail {
    let Some(ExecutionFailure { cause: Cause::Server(fault), action: None }) = fail.downcast_ref() else {
        return fail;
    };
    match fault.unreached.as_deref() {
        Some(unreached @ Unreached { first: None, .. }) => fault.with(unreached, first()),
        _ => fail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_does_not_answer_is_unreached() {
        let of = |call, code| {
            let error = Error::Transient { call, attempts: 3, code, why: "off".to_owned() };
            Unreached::of(&error).map(|unreached| (unreached.code, unreached.is_new))
        };
        assert_eq!(of(FIRST_CALL, UNAVAILABLE), Some((14, true)));
        assert_eq!(of("FindMissingBlobs", DEADLINE_EXCEEDED), Some((4, false)));
        assert_eq!(of("BatchReadBlobs", UNAVAILABLE), None);
        let internal = 13;
        assert_eq!(of("FindMissingBlobs", internal), None);
        let refused = |call| Unreached::of(&Error::Final { call, why: String::new() });
        assert!(refused(CONNECT).is_some_and(|unreached| unreached.is_new));
        assert_eq!(refused("BatchUpdateBlobs"), None);
    }

    #[test]
    fn one_reason_is_one_cause_whatever_was_to_be_sent() {
        let fault = |code| {
            let unreached = Unreached { code, why: "off".to_owned(), is_new: true, first: None };
            let why = "server a: off".to_owned();
            Cause::Server(ServerFault { why, unreached: Some(Box::new(unreached)) })
        };
        assert_eq!(fault(4), fault(14));
        assert_ne!(fault(4), Cause::Server("server b: off".to_owned().into()));
    }
}
