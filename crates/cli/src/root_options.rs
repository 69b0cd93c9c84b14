//! The options that roots, and messages about builds, depend on. They have a file of their own since both need them,
//! and roots need messages.

use crate::{options, tool_name::Name};

/// The options that decide how roots are computed.
#[derive(Clone, Copy)]
pub(crate) struct RootOptions<'o> {
    pub(crate) name: Name,
    pub(crate) common: &'o options::Common,
    pub(crate) stores: &'o options::Stores,
    pub(crate) analysis: &'o options::Analysis,
    pub(crate) execution: &'o options::Execution,
}

impl<'o> RootOptions<'o> {
    /// The options of a call that builds.
    pub(crate) fn of_build(name: Name, o: &'o options::Build) -> RootOptions<'o> {
        let options::Build { common, stores, analysis, execution, .. } = o;
        RootOptions { name, common, stores, analysis, execution }
    }
}
