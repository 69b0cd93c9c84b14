//! The phases: what happens before a build is measured.

/// A phase; in the order in which they are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
// The order is part of the method: a phase finds the copies as the phases before it have left them.
pub(super) enum Phase {
    Cold,
    Analysis,
    Source,
    Tenth,
    Null,
    Touched,
    Command,
    Added,
    Back,
    Configuration,
    Branch,
    Revision,
    Fixed,
    Rule,
    First,
    Uncached,
    Checkout,
}

impl Phase {
    pub(super) const ALL: [Self; 17] = [
        Self::Cold,
        Self::Analysis,
        Self::Source,
        Self::Tenth,
        Self::Null,
        Self::Touched,
        Self::Command,
        Self::Added,
        Self::Back,
        Self::Configuration,
        Self::Branch,
        Self::Revision,
        Self::Fixed,
        Self::Rule,
        Self::First,
        Self::Uncached,
        Self::Checkout,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Analysis => "analysis",
            Self::Source => "source",
            Self::Tenth => "tenth",
            Self::Null => "null",
            Self::Touched => "touched",
            Self::Command => "command",
            Self::Added => "added",
            Self::Back => "back",
            Self::Configuration => "config",
            Self::Branch => "branch",
            Self::Revision => "revision",
            Self::Fixed => "fixed",
            Self::Rule => "rule",
            Self::First => "first",
            Self::Uncached => "uncached",
            Self::Checkout => "checkout",
        }
    }

    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Cold => "everything, from the beginning",
            Self::Analysis => "analysis alone, from the beginning",
            Self::Source => "one source changed, for the first time since the cold build",
            Self::Tenth => "the same source changed for the tenth time, with a build after each change",
            Self::Null => "nothing changed",
            Self::Touched => "a source has a new time and nothing else",
            Self::Command => "a command in the middle changed and comes to the same",
            Self::Added => "a target was added to a module, and what is asked for needs it",
            Self::Back => "a source and a command are again what they were before the last build",
            Self::Configuration => "the configuration is again what it was before the last build",
            Self::Branch => "some sources are again what they were before the last build",
            Self::Revision => "a tenth of the sources changed",
            Self::Fixed => "a command that failed the last build was fixed; actions that either build ran",
            Self::Rule => "the rule of all targets says the same in other words; a comment for ninja",
            Self::First => "from the call after an edit to the first action",
            Self::Uncached => "nothing changed, and the system has nothing of it in memory",
            Self::Checkout => "the same sources in a new directory, with the store that knows them",
        }
    }

    /// Whether it is measured on new copies, in the series at the beginning of every round.
    pub(super) fn is_of_series(self) -> bool {
        matches!(self, Self::Cold | Self::Analysis | Self::Source | Self::Tenth)
    }

    /// Whether a build is so short that more rounds cost nothing.
    pub(super) fn is_short(self) -> bool {
        // Nothing runs in these, so a round takes as long as the tool itself.
        matches!(self, Self::Null | Self::Touched)
    }

    /// Whether tools without configurations, or without a store, cannot be measured.
    pub(super) fn needs_store(self) -> bool {
        // ninja and n2 know neither; they are left out, not counted as failing.
        matches!(self, Self::Configuration | Self::Checkout)
    }
}
