//! Exit codes. Scripts depend on them, so they are a closed list; who has to act decides the code.

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Everything that was asked for is there.
    Success = 0,
    /// The build failed, or what it should start from could not be set up.
    BuildFailure = 1,
    /// There is a result, with artifacts that come from failed actions.
    FailedArtifacts = 2,
    /// The description is wrong: analysis failed.
    AnalysisFailure = 8,
    /// The surroundings are wrong: build root, options' values, missing objects, missing support.
    Environment = 16,
    /// The command line is wrong.
    Syntax = 32,
}

impl Exit {
    /// The number that the process exits with.
    pub fn code(self) -> i32 {
        self as i32
    }
}
