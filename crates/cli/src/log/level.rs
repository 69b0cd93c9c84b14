//! How important messages are.

/// How important a message is; the number is what `--log-limit` compares with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Why there is no result.
    Error,
    /// What is probably not wanted.
    Warn,
    /// What happened.
    Info,
    /// The progress of the call.
    Progress,
    /// Durations and amounts.
    Performance,
    /// For the analysis of a problem: commands, figures.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    const ALL: [Level; 7] = [
        Level::Error,
        Level::Warn,
        Level::Info,
        Level::Progress,
        Level::Performance,
        Level::Debug,
        Level::Trace,
    ];

    pub(crate) fn from_number(number: u64) -> Level {
        // A larger number means everything, as in the reference.
        Level::ALL[number.min(6) as usize]
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Level::Error => "ERROR",
            Level::Warn => "WARN",
            Level::Info => "INFO",
            Level::Progress => "PROG",
            Level::Performance => "PERF",
            Level::Debug => "DEBUG",
            Level::Trace => "TRACE",
        }
    }
}
