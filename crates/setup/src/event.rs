//! What happens during a set-up, as it happens.

use taut_syntax::Diagnostic;

use crate::{cancellation::Cancellation, reachable::Remark};

/// A step of a set-up.
#[derive(Clone, Copy, Debug)]
pub enum Event<'e> {
    /// Something about the description that keeps nothing from being set up.
    Remark(&'e Remark),
    /// How many repositories there are to set up.
    Involved(usize),
    /// How many repositories have branches whose newest commits are about to be determined.
    Branches(usize),
    /// The number of repositories among them whose roots have to be made.
    Missing {
        /// How many are to be made.
        missing: usize,
        /// How many there are.
        involved: usize,
    },
    /// The root of a repository is being made.
    Begun {
        /// The repository.
        repository: &'e str,
        /// Its type.
        type_name: &'static str,
    },
    /// Something is fetched from a URL.
    Transfer {
        /// The repository that has begun.
        repository: &'e str,
        /// The URL, without a password.
        url: &'e str,
        /// How many bytes have come.
        bytes: u64,
        /// How many will come, if that is known.
        total: Option<u64>,
    },
    /// A URL failed, and is tried again.
    Retry {
        /// The repository.
        repository: &'e str,
        /// The URL, without a password.
        url: &'e str,
        /// Why it failed.
        cause: &'e str,
    },
    /// Something was fetched.
    Fetched {
        /// The repository.
        repository: &'e str,
        /// Where from: a URL without a password, or the path of an archive in a directory of archives.
        from: &'e str,
        /// Its size in bytes; of a commit, that of the objects that came.
        bytes: u64,
    },
    /// A command made a tree.
    Made {
        /// The repository.
        repository: &'e str,
        /// The command in one line.
        command: &'e str,
        /// How many bytes the files of the tree have.
        bytes: u64,
    },
    /// The root of a repository is there, or could not be made.
    Ended {
        /// The repository.
        repository: &'e str,
        /// Whether it is there.
        is_there: bool,
    },
    /// A warning about a repository.
    Warning(&'e Diagnostic),
}

/// Receives the steps of a set-up, from several threads.
// Called from the threads that do the work: an observer returns at once, or holds the set-up up.
pub trait Observer: Sync {
    /// Something happened.
    fn event(&self, event: Event<'_>);
}

/// Passes the progress of transfers for one repository on.
pub(crate) struct TransferOf<'o> {
    pub(crate) observer: &'o dyn Observer,
    pub(crate) cancellation: &'o Cancellation,
    pub(crate) repository: &'o str,
    /// The repository whose root is being made, or content is fetched.
    pub(crate) root_of: &'o str,
}

impl taut_fetch::Progress for TransferOf<'_> {
    fn update(&self, update: taut_fetch::Update<'_>) {
        let taut_fetch::Update { url, bytes, total } = update;
        // Here, at the border: no event ever has a password, whatever shows or stores it.
        let url = &taut_fetch::without_password(url);
        self.observer.event(Event::Transfer { repository: self.root_of, url, bytes, total });
    }

    fn retry(&self, url: &str, cause: &taut_fetch::Cause) {
        let (url, cause) = (&taut_fetch::without_password(url), cause.to_string());
        self.observer.event(Event::Retry { repository: self.repository, url, cause: &cause });
    }

    fn is_cancelled(&self) -> bool {
        self.cancellation.is_cancelled()
    }
}
