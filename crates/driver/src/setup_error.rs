//! Why a call cannot even start: the user's set-up is wrong, not the description.

use std::{fmt, sync::Arc};

use taut_syntax::{Diagnostic, Diagnostics};

/// Why a call cannot even start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetupError {
    /// What is wrong, and where.
    pub problem: Box<Diagnostic>,
    /// The text that the problem is about, if it is not in a file (an option, say), with the name that the problem has
    /// for it.
    pub inline: Option<(Arc<str>, Arc<str>)>,
    /// More that is wrong.
    pub others: Vec<Diagnostic>,
    /// What failed.
    pub failure: SetupFailure,
    /// Whether something that belongs to a root was found to be missing or damaged.
    pub has_lost_roots: bool,
}

/// What keeps a call from starting, by what failed and not by exit codes, whose numbers only `cli` has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetupFailure {
    /// The request cannot be understood.
    Request,
    /// Words that could be understood name nothing that is there.
    Names,
    /// Roots cannot be computed.
    Roots,
    /// The call was to end, or roots could not even be tried to compute; this was reported.
    Reported,
}

impl SetupError {
    /// Words name nothing that is there.
    pub(crate) fn of_names(problem: Diagnostic) -> SetupError {
        SetupError { failure: SetupFailure::Names, ..SetupError::from(problem) }
    }

    pub(crate) fn new(message: impl Into<String>) -> SetupError {
        Diagnostic::error(message).into()
    }

    /// The call is over, for a reason that was reported.
    pub fn reported() -> SetupError {
        SetupError { failure: SetupFailure::Reported, ..SetupError::new("") }
    }

    /// All that is wrong.
    pub fn problems(&self) -> Diagnostics {
        std::iter::once(&*self.problem).chain(&self.others).cloned().collect()
    }

    /// What is wrong; may have several lines.
    pub fn message(&self) -> &str {
        &self.problem.message
    }
}

impl From<Diagnostic> for SetupError {
    fn from(problem: Diagnostic) -> SetupError {
        SetupError {
            problem: Box::new(problem),
            inline: None,
            others: Vec::new(),
            failure: SetupFailure::Request,
            has_lost_roots: false,
        }
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for SetupError {}

/// The error that words name no target may be the outcome of a task, too.
impl taut_engine::Failure for SetupError {}
