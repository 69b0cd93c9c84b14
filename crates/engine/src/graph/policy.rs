//! What is kept of a task's runs, where its value lies, and whether it reads the outside world.
//!
//! [`Trace`] and [`Rebuild`] are the rebuilders of *Build Systems à la Carte* (verifying and constructive traces, dirty
//! bit by time); [`Deep`] is its deep constructive trace.

/// How a task is stored and verified; determined by its rule for each key ([`crate::Rule::policy`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Plain data, asked once for each task and kept with its node: the core branches on it without calling the rule.
pub struct Policy {
    /// How many past runs are kept; 0 means that the task executes in every build that requests it.
    // More than a few runs would only take room: each is verified in turn until one agrees.
    pub runs: u8,
    /// What a kept run consists of.
    pub trace: Trace,
    /// Where the value lies.
    pub store: Store,
    /// The task reads the outside world: [`crate::Begin::scan`] makes it stale.
    pub leaf: bool,
    /// How a kept run is found to agree with the present.
    pub rebuild: Rebuild,
    /// What the task reads follows from its key, not from values that it reads: all that a kept run read is settled at
    /// once, not group by group.
    pub fixed_reads: bool,
    /// Whether a kept run is verified by the leaves below it ([`Policy::deep`]).
    pub deep: Deep,
}

/// Whether a kept run is verified by the leaves below it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Deep {
    /// No: its reads decide.
    #[default]
    No,
    /// It is good if they are unchanged; where no run is, the reads of the runs decide ([`Policy::deep`]).
    First,
    /// It is good only if they are unchanged; where no run is, the task executes ([`Policy::only_by_leaves`]).
    Only,
}

/// How a kept run is found to agree with the present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebuild {
    /// What it read has the hashes it had then.
    Hashes,
    /// Nothing that it read is newer than what lies in the task's place ([`crate::Rule::modtime`]), as in `make`.
    /// Nothing is hashed; in return, a change that is given an old time is missed. What has no time is compared by
    /// hash.
    Times,
}

/// What is kept of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// The hashes of what was read and of the result. Only the latest value is kept.
    Verifying,
    /// The value too, for each kept run: switching back to an earlier state executes nothing.
    Constructive,
}

/// Where the value of a task lies, hence how it is found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// In memory, while there is memory.
    Memory,
    /// In a file: [`crate::Rule::curr`] finds what lies there, and it is used only if its hash is the recorded one. A
    /// value without a content hash cannot be verified, so it is made in every build that requests it.
    File,
    /// In a content-addressed store: [`crate::Rule::curr`] finds whether it is still there.
    Cas,
    /// Nowhere: every request executes the task and sees a result that equals no other.
    None,
}

impl Policy {
    /// Keeps the hashes of the last `runs` runs.
    pub const fn verifying(runs: u8) -> Policy {
        Policy {
            runs,
            trace: Trace::Verifying,
            store: Store::Memory,
            leaf: false,
            rebuild: Rebuild::Hashes,
            fixed_reads: false,
            deep: Deep::No,
        }
    }

    /// Keeps the hashes and the values of the last `runs` runs.
    pub const fn constructive(runs: u8) -> Policy {
        Policy { trace: Trace::Constructive, ..Policy::verifying(runs) }
    }

    /// Executes in every build that requests the task.
    pub const fn always() -> Policy {
        Policy::verifying(0)
    }

    /// A task that reads the outside world. Its result is valid until
    /// [`crate::Begin::changed`], [`crate::Begin::changed_all`] or [`crate::Begin::scan`] invalidates it.
    pub const fn leaf() -> Policy {
        Policy { leaf: true, ..Policy::verifying(1) }
    }

    /// Executes if something it read last time is newer than what lies in its place, or nothing lies there.
    pub const fn timestamps() -> Policy {
        Policy { store: Store::File, rebuild: Rebuild::Times, ..Policy::verifying(1) }
    }

    /// Keeps the hashes and the values of the last `runs` runs, and for each the leaves below it (*deep*): a run is
    /// good if all of them are unchanged, and then nothing in between is checked. Where no run is good by its leaves,
    /// its reads decide, as for other tasks.
    ///
    /// For few tasks, near the top, that are requested again and again: each keeps a list of all its leaves. The tasks
    /// in between must follow from the leaves. No leaves are kept of a task above one that always executes, is compared
    /// by times, or has a value set from outside; such a task is verified by its reads. A change that is declared of a
    /// task that is not a leaf, or another version of its rule, invalidates the leaf sets above: the tasks there are
    /// verified by their reads, once. What-if builds do not use leaf sets.
    pub const fn deep(runs: u8) -> Policy {
        Policy { deep: Deep::First, ..Policy::constructive(runs) }
    }

    /// The same for tasks whose value may depend on everything below them, not only on what they read: a kept run is
    /// good only if the leaves below it are unchanged. Where no run is, or none has leaves that could be kept
    /// (something below always executes, failed for now, or was declared; a rule in between has another version), the
    /// task executes: early cutoff by what it read does not apply to it. Where it then comes to the same hash, early
    /// cutoff applies to its dependents as usual. It is not clean from build to build either: each build that requests
    /// it compares the leaves. In a what-if build it is as in its latest run, or executes.
    ///
    /// Such a task, and no other, may collect from the closure of what it read ([`crate::Cx::collect`]).
    pub const fn only_by_leaves(self) -> Policy {
        Policy { deep: Deep::Only, ..self }
    }

    /// Whether kept runs are verified by the leaves below them.
    pub(crate) fn is_deep(self) -> bool {
        self.deep != Deep::No
    }

    /// Whether kept runs are verified in no other way.
    pub(crate) fn is_only_by_leaves(self) -> bool {
        self.deep == Deep::Only
    }

    /// The same for tasks whose reads follow from their key.
    pub const fn with_fixed_reads(self) -> Policy {
        Policy { fixed_reads: true, ..self }
    }

    /// The same with the value stored elsewhere.
    pub const fn stored(self, store: Store) -> Policy {
        Policy { store, ..self }
    }
}

impl Default for Policy {
    /// One verifying run, value in memory.
    fn default() -> Policy {
        Policy::verifying(1)
    }
}
