//! How far the roots are that are computed before a request, at one moment.

use taut_driver::UnresolvedRoot;

/// What is shown of the progress of roots.
#[derive(Clone, Default)]
pub(crate) struct RootsProgress {
    /// How many were known.
    pub(crate) known: usize,
    /// How many targets were built.
    pub(crate) built: usize,
    /// The roots whose targets are being built.
    pub(crate) open: Vec<UnresolvedRoot>,
}
