//! Errors of the setup of a call: why there is no request.

use taut_driver::{SetupError, SetupFailure};

use crate::{
    diagnostics::report_with,
    exit::Exit,
    log::{Level, Log},
};

/// Reports why there is no request.
// The codes are those of the reference for the same errors.
pub(crate) fn report_error(error: &SetupError, log: &Log) -> Exit {
    report_with(&error.problems(), &error.inline, Level::Error, log);
    match error.failure {
        SetupFailure::Request => Exit::BuildFailure,
        SetupFailure::Names | SetupFailure::Roots => Exit::AnalysisFailure,
        SetupFailure::Reported => Exit::Environment,
    }
}
