//! How far a fetch has got.

/// A state of one transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Update<'u> {
    /// The URL that is fetched from.
    pub url: &'u str,
    /// How many bytes there are so far; those of an earlier attempt that are still good are included.
    pub bytes: u64,
    /// How many bytes there will be, if the server says.
    pub total: Option<u64>,
}

/// Receives the state of transfers, from the thread that makes the transfer, every 64 KiB or so.
pub trait Progress: Sync {
    /// A transfer has got this far; the first call for a URL has no bytes.
    fn update(&self, update: Update<'_>);

    /// An attempt failed, and another one follows.
    fn retry(&self, _url: &str, _cause: &crate::Cause) {}

    /// Whether the fetch is no longer wanted; then it fails with [`crate::Cause::Cancelled`].
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Shows nothing, and never cancels.
#[derive(Clone, Copy, Default, Debug)]
pub struct Silent;

impl Progress for Silent {
    fn update(&self, _: Update<'_>) {}
}
