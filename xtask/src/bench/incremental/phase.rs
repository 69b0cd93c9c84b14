//! What happens before a build is measured, and what it may cost.

use super::LARGE;

/// What happens before a build is measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Null,
    Touched,
    Source,
    Command,
    Added,
    Back,
    Configuration,
    Revision,
    Mended,
    Rule,
    First,
    Uncached,
    Checkout,
}

/// A bar: the most that taut may cost, as part of what the other costs.
pub(super) type Bar = (&'static str, f64);

impl Phase {
    pub(super) const ALL: [Self; 13] = [
        Self::Null,
        Self::Touched,
        Self::Source,
        Self::Command,
        Self::Added,
        Self::Back,
        Self::Configuration,
        Self::Revision,
        Self::Mended,
        Self::Rule,
        Self::First,
        Self::Uncached,
        Self::Checkout,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Touched => "touched",
            Self::Source => "source",
            Self::Command => "command",
            Self::Added => "added",
            Self::Back => "back",
            Self::Configuration => "config",
            Self::Revision => "revision",
            Self::Mended => "mended",
            Self::Rule => "rule",
            Self::First => "first",
            Self::Uncached => "uncached",
            Self::Checkout => "checkout",
        }
    }

    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Null => "nothing changed",
            Self::Touched => "a source has a new time and nothing else",
            Self::Source => "a source changed, and with it everything above it",
            Self::Command => "a command in the middle changed and comes to the same",
            Self::Added => "a target was added, and the last one needs it",
            Self::Back => "a source and a command are again what they were before the last build",
            Self::Configuration => "the configuration is again what it was before the last build",
            Self::Revision => "a tenth of the sources changed",
            Self::Mended => "a command that failed the last build was mended; actions that either build ran",
            Self::Rule => "the rule of all targets says the same in other words; a comment for ninja",
            Self::First => "from the call after an edit to the first action",
            Self::Uncached => "nothing changed, and the system has nothing of it in memory",
            Self::Checkout => "the same sources in a new directory, with the store that knows them",
        }
    }

    /// The bars at this many targets.
    pub(super) fn bars(self, size: usize) -> &'static [Bar] {
        match self {
            Self::Null if size >= LARGE => &[("ninja", 0.2), ("statx", 1.5)],
            Self::Null => &[("ninja", 0.5), ("n2", 0.5), ("just", 0.02)],
            Self::Touched => &[("null", 1.1)],
            Self::Source | Self::Command | Self::Added => &[("ninja", 1.0)],
            Self::Back | Self::Configuration => &[("null", 3.0)],
            Self::Checkout => &[("just", 0.2)],
            Self::Revision | Self::Mended | Self::Rule | Self::First | Self::Uncached => &[],
        }
    }

    /// Whether tools that know no configuration, or no store, have something to measure.
    pub(super) fn needs_store(self) -> bool {
        matches!(self, Self::Configuration | Self::Checkout)
    }
}
