//! Why a task has no value, and whether that may be recorded.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::{Cycle, Hash};

/// An error of a rule. Implement it for your error type: `impl Failure for MyError {}`.
pub trait Failure: Any + fmt::Debug + fmt::Display + Send + Sync {
    /// Hash by which dependents compare failures: equal hash means that they would see the same.
    /// `None`: every execution that fails counts as a new failure.
    fn hash(&self) -> Option<Hash> {
        None
    }

    /// As bytes, from which [`crate::Rule::decode_failure`] makes it again in another process. `None`: a run
    /// with this failure is not written to the file.
    fn encode(&self) -> Option<Vec<u8>> {
        None
    }
}

impl Failure for String {}

/// The outcome of a task that has no value. Cheap to clone; all dependents see the same object.
#[derive(Clone, Debug)]
pub enum Fail {
    /// Follows from what the task read: recorded, and replayed without executing while those inputs hold.
    Task(Arc<dyn Failure>),
    /// May go away by itself (a process, a network): never recorded, executed again in the next build.
    Transient(Arc<dyn Failure>),
    /// The build was cancelled, or stopped after another failure, before this task was done.
    Cancelled,
    /// The task waits for itself.
    Cycle(Arc<Cycle>),
}

impl Fail {
    /// A failure that follows from what the task read.
    pub fn task(failure: impl Failure) -> Fail {
        Fail::Task(Arc::new(failure))
    }

    /// A failure that may not happen again.
    pub fn transient(failure: impl Failure) -> Fail {
        Fail::Transient(Arc::new(failure))
    }

    /// The failure, if it is a `T`.
    pub fn downcast_ref<T: Failure>(&self) -> Option<&T> {
        match self {
            Fail::Task(failure) | Fail::Transient(failure) => (&**failure as &dyn Any).downcast_ref(),
            Fail::Cancelled | Fail::Cycle(_) => None,
        }
    }

    /// Whether a run with this outcome may be recorded.
    pub fn is_deterministic(&self) -> bool {
        matches!(self, Fail::Task(_))
    }

    /// Whether both are the same event: the same failure object, the same cycle, both cancelled.
    // By pointer: a failure need not be comparable, and all dependents get the same object.
    pub fn same(&self, other: &Fail) -> bool {
        match (self, other) {
            (Fail::Task(a), Fail::Task(b)) | (Fail::Transient(a), Fail::Transient(b)) => Arc::ptr_eq(a, b),
            (Fail::Cycle(a), Fail::Cycle(b)) => a == b,
            (Fail::Cancelled, Fail::Cancelled) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fail::Task(failure) | Fail::Transient(failure) => fmt::Display::fmt(failure, f),
            Fail::Cancelled => f.write_str("cancelled"),
            Fail::Cycle(cycle) => fmt::Display::fmt(cycle, f),
        }
    }
}

impl std::error::Error for Fail {}

/// A rule's code panicked. Transient: a panic does not follow from the inputs.
#[derive(Debug)]
pub struct Panicked {
    /// The message of the panic.
    pub message: String,
}

impl Panicked {
    pub(crate) fn new(payload: &(dyn Any + Send)) -> Panicked {
        let message = (payload.downcast_ref::<&str>().map(|text| text.to_string()))
            .or_else(|| payload.downcast_ref::<String>().cloned())
            // As the standard library prints a payload that is not text.
            .unwrap_or_else(|| "Box<dyn Any>".to_owned());
        Panicked { message }
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a task panicked: {}", self.message)
    }
}

impl Failure for Panicked {}

/// Calls user code that is not a future.
pub(crate) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Fail> {
    // Unwind safe: what was lent to the call, and may be half changed, is not used after a panic.
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| Fail::transient(Panicked::new(&*payload)))
}
