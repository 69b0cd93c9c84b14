//! Failures of execution that are not caused by an action: a definition, a source file, an object or the store is not
//! as it has to be.
//!
//! Such a failure is raised without knowledge of actions; [`crate::ActionRule`] adds the first action between the
//! failure and the wanted artifact. Whether the build is tried again follows from the failures alone: see
//! [`Cause::is_undefined`] and [`Cause::is_lost`].

use std::{fmt, path::PathBuf, sync::Arc};

use taut_digest::{Hash, ObjectInfo};
use taut_engine::{Fail, Failure};
use taut_value::{ActionDescription, Id, Str, quoted};

use crate::{server_fault::ServerFault, trees::TreeError};

/// Something that has a definition.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Undefined {
    /// An action.
    Action(Id),
    /// A tree.
    Tree(Id),
    /// An overlay of trees.
    Overlay(Id),
    /// An object whose content is in the description.
    Object(ObjectInfo),
}

/// What is wrong with a source file.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum SourceProblem {
    /// It does not exist.
    Absent,
    /// It is a fifo, a directory, or something else that is neither a file nor a link.
    OtherKind,
    /// It changed each time while it was read.
    Unsteady,
    /// The system refuses to read it; its reason.
    Unreadable(String),
}

/// The reason of an [`ExecutionFailure`]. Equal reasons are one cause, however many artifacts it affects.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Cause {
    /// There is no such definition: cached build state or a git repository lost it, or a graph is not complete.
    Undefined(Undefined),
    /// An object that was expected in the store is absent or damaged. It counts as absent from now on.
    Lost(ObjectInfo),
    /// An action has no output at the path that is wanted from it.
    NoOutput {
        /// The action.
        action: Id,
        /// The path.
        path: Str,
    },
    /// A source file cannot be used.
    Source {
        /// The repository.
        repository: Str,
        /// The path in it.
        path: Str,
        /// Its location, for messages.
        shown: PathBuf,
        /// Why.
        why: SourceProblem,
    },
    /// An object that a root names cannot be read from it.
    RootObject {
        /// The object.
        hash: Hash,
        /// The location of the root, for messages; empty if it may be any root.
        root: PathBuf,
        /// Why.
        why: String,
    },
    /// The staged artifacts do not form a directory.
    Layout {
        /// The tree, for messages; empty for the inputs of an action.
        what: String,
        /// Why.
        why: String,
    },
    /// Trees of a disjoint overlay disagree.
    Conflict {
        /// The overlay.
        overlay: Id,
        /// Where they do.
        path: String,
    },
    /// The store cannot be read or written; the system's reason.
    Store(String),
    /// A server that is to execute actions cannot be used; it and the reason.
    Server(ServerFault),
    /// A defect of a rule: it panicked, or waits for itself.
    Fault(String),
}

impl Cause {
    /// The cause for an error of the store.
    pub(crate) fn of_store(error: taut_store::Error) -> Cause {
        match error {
            // The store has put a damaged object aside, so both are absent from now on, and made again in the same
            // way.
            taut_store::Error::Missing(object) | taut_store::Error::Damaged(object) => Cause::Lost(object),
            taut_store::Error::Remote(fault) => Cause::Server(fault.why.into()),
            error @ taut_store::Error::WrongAtServer { .. } => Cause::Server(error.to_string().into()),
            error => Cause::Store(error.to_string()),
        }
    }

    /// The cause for a tree `what` that cannot be built.
    pub(crate) fn of_tree(what: impl fmt::Display, error: TreeError) -> Cause {
        match error {
            TreeError::Store(error) => Cause::of_store(error),
            other => Cause::Layout { what: what.to_string(), why: other.to_string() },
        }
    }

    /// The failure with this cause. It is transient: not recorded, and another build tries again.
    pub(crate) fn fail(self) -> Fail {
        // All of these concern the state of the machine or of the description now, never what the key determines.
        Fail::transient(ExecutionFailure { cause: self, action: None })
    }

    /// Whether something is not defined, so that the description has to be read again.
    pub fn is_undefined(&self) -> bool {
        matches!(self, Cause::Undefined(_))
    }

    /// Whether an object is lost, which another build creates again.
    pub fn is_lost(&self) -> bool {
        matches!(self, Cause::Lost(_))
    }
}

impl fmt::Display for Undefined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Undefined::Object(object) => write!(f, "object {object} is neither defined nor in the store"),
            // The description is read again then, and what the call reports is that it changes.
            other => fmt::Debug::fmt(other, f),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Undefined(what) => what.fmt(f),
            Cause::Lost(object) => write!(f, "object {object} is lost: it is no longer in the store"),
            Cause::NoOutput { action, path } => {
                write!(f, "action {action} has no output {}", quoted(path))
            }
            Cause::Source { repository, path, shown, why } => match why {
                SourceProblem::Absent => {
                    write!(f, "no source file {} in repository {}", quoted(path), quoted(repository))
                }
                SourceProblem::OtherKind => {
                    write!(f, "source {} is neither a file nor a link", shown.display())
                }
                SourceProblem::Unsteady => {
                    write!(f, "source {} keeps changing while it is read", shown.display())
                }
                SourceProblem::Unreadable(why) => {
                    write!(f, "source {} cannot be read: {why}", shown.display())
                }
            },
            // Of an object that only its hash names it is not known which root had it.
            Cause::RootObject { hash, root, why } if root.as_os_str().is_empty() => {
                write!(f, "source object {hash}: {why}")
            }
            Cause::RootObject { hash, root, why } => {
                write!(f, "object {hash} of the root {}: {why}", root.display())
            }
            Cause::Layout { what, why } if what.is_empty() => f.write_str(why),
            Cause::Layout { what, why } => write!(f, "{what}: {why}"),
            Cause::Conflict { overlay, path } => {
                write!(
                    f,
                    "Naming conflict detected at path {} of disjoint tree overlay {overlay}",
                    quoted(path)
                )
            }
            Cause::Store(why) => write!(f, "cannot use the store: {why}"),
            Cause::Server(fault) => fault.fmt(f),
            Cause::Fault(why) => f.write_str(why),
        }
    }
}

/// A failure of execution that is not the failure of an action, which is an [`crate::ActionFailure`].
#[derive(Clone, Debug)]
pub struct ExecutionFailure {
    /// What is wrong.
    pub cause: Cause,
    /// The first action that has no result because of it; `None` if no action is affected but a wanted artifact
    /// directly.
    pub action: Option<(Id, Arc<ActionDescription>)>,
}

impl ExecutionFailure {
    /// The failure for dependents of an action, with the action added, if it is the first one that is affected.
    pub(crate) fn at(&self, id: &Id, action: &Arc<ActionDescription>) -> Option<Fail> {
        let at = || ExecutionFailure { cause: self.cause.clone(), action: Some((*id, action.clone())) };
        // The first action on the way up is the one that the user can do something about; those above are
        // consequences.
        self.action.is_none().then(|| Fail::transient(at()))
    }
}

impl fmt::Display for ExecutionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl Failure for ExecutionFailure {}

/// The priority of a failure among those of one dependent. A cancelled task is never the reason; that something is
/// undefined or lost has to reach the request, which is tried again because of it.
fn priority(fail: &Fail) -> u8 {
    match fail.downcast_ref::<ExecutionFailure>().map(|failure| &failure.cause) {
        Some(cause) if cause.is_undefined() => 3,
        Some(cause) if cause.is_lost() => 2,
        _ if matches!(fail, Fail::Cancelled) => 0,
        _ => 1,
    }
}

/// All values, or the failure with the highest priority; of several, the first.
pub(crate) fn all<T>(results: Vec<Result<T, Fail>>) -> Result<Vec<T>, Fail> {
    let mut values = Vec::with_capacity(results.len());
    let mut worst: Option<Fail> = None;
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(fail) if worst.as_ref().is_none_or(|worst| priority(worst) < priority(&fail)) => {
                worst = Some(fail);
            }
            Err(_) => {}
        }
    }
    worst.map_or(Ok(values), Err)
}

#[cfg(test)]
mod tests {
    use taut_digest::{Digest, HashFunction, ObjectType};

    use super::*;

    #[test]
    fn the_failure_that_causes_a_retry_has_priority() {
        let other = || Fail::transient("other".to_owned());
        let undefined = || Cause::Undefined(Undefined::Action(Id::of("a"))).fail();
        let digest = Digest { hash: HashFunction::GitSha1.blob(b""), size: 0 };
        let lost = || Cause::Lost(ObjectInfo { digest, object_type: ObjectType::File }).fail();
        let worst =
            |fails: Vec<Fail>| all::<()>(fails.into_iter().map(Err).collect()).unwrap_err().to_string();
        assert_eq!(worst(vec![Fail::Cancelled, other(), Fail::Cancelled]), "other");
        assert_eq!(worst(vec![other(), lost(), other()]), lost().to_string());
        assert_eq!(worst(vec![lost(), undefined(), lost()]), undefined().to_string());
        assert_eq!(all(vec![Ok(1), Ok(2)]).unwrap(), [1, 2]);
    }

    #[test]
    fn a_cause_keeps_the_first_action_that_is_affected() {
        let action = Arc::new(ActionDescription::default());
        let (first, second) = (Id::of("first"), Id::of("second"));
        let failure = ExecutionFailure { cause: Cause::Store("full".into()), action: None };
        let fail = failure.at(&first, &action).unwrap();
        let met = fail.downcast_ref::<ExecutionFailure>().unwrap();
        assert_eq!(met.action.as_ref().unwrap().0, first);
        assert!(met.at(&second, &action).is_none());
    }
}
