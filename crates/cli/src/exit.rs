//! Exit codes. Scripts depend on them, so they are a closed list. The code depends on what has to be
//! corrected: the sources, the description, the environment or the command line.

use taut_driver::event::Status;

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Everything requested is there.
    Success,
    /// The build failed, or what it should start from could not be set up.
    BuildFailure,
    /// There is a result, with artifacts that come from failed actions.
    FailedArtifacts,
    /// The description is wrong: analysis failed.
    AnalysisFailure,
    /// The environment is wrong: build root, options' values, missing objects, missing support.
    Environment,
    /// The command line is wrong.
    Syntax,
    /// A signal ended it.
    Signal(i32),
}

/// The meanings, for manual pages. A signal has no single number.
pub(crate) const MEANINGS: [(Exit, &str); 6] = [
    (Exit::Success, "Everything requested is there."),
    (Exit::BuildFailure, "The build or a test failed, or a repository could not be set up."),
    (Exit::FailedArtifacts, "There is a result, with artifacts that come from failed actions."),
    (Exit::AnalysisFailure, "The description is wrong."),
    (
        Exit::Environment,
        "The environment is wrong: the build root, the value of an option, a missing object.",
    ),
    (Exit::Syntax, "The command line is wrong."),
];

impl Exit {
    /// The status in events.
    pub(crate) fn status(self) -> Status {
        match self {
            Exit::Success => Status::Success,
            Exit::BuildFailure => Status::BuildFailed,
            Exit::FailedArtifacts => Status::FailedArtifacts,
            Exit::AnalysisFailure => Status::AnalysisFailed,
            Exit::Environment => Status::Environment,
            Exit::Syntax => Status::Syntax,
            Exit::Signal(number) => Status::Interrupted(number),
        }
    }

    /// The number that the process exits with.
    pub fn code(self) -> i32 {
        match self {
            Exit::Success => 0,
            Exit::BuildFailure => 1,
            Exit::FailedArtifacts => 2,
            // This one and the next two are the reference's numbers; that of a signal is what a shell gives.
            Exit::AnalysisFailure => 8,
            Exit::Environment => 16,
            Exit::Syntax => 32,
            Exit::Signal(number) => 128 + number,
        }
    }
}
