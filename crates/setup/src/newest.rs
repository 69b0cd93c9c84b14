//! The newest commits of branches, from their servers: several are asked at a time, each branch once.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use taut_digest::Hash;
use taut_fetch::{
    Cause,
    git::{Tagged, newest_commit},
};
use taut_sys::on_threads;

use crate::{commits::absolute_url, session::Session, source::Commit};

/// A branch at a server.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
// `inherit env` is part of it: with other variables, git may reach another server or have other rights.
pub(crate) struct Branch {
    pub(crate) url: String,
    name: String,
    inherit_env: Vec<String>,
}

impl Branch {
    /// The one that a commit is of, in a description whose paths are relative to `base`.
    pub(crate) fn of(commit: &Commit, base: &Path) -> Branch {
        Branch {
            url: absolute_url(&commit.repository, base),
            name: commit.branch.clone(),
            inherit_env: commit.inherit_env.clone(),
        }
    }
}

impl Session<'_> {
    /// The newest commit of each branch.
    ///
    /// # Errors
    /// There is no place for temporary files.
    pub(crate) fn newest(
        &self,
        branches: BTreeSet<Branch>,
    ) -> taut_store::Result<BTreeMap<Branch, Result<Hash, Cause>>> {
        if branches.is_empty() {
            return Ok(BTreeMap::new());
        }
        // `git` runs in an empty directory, which is not a repository with a configuration of its own.
        let directory = self.scratch("update")?;
        let branches: Vec<Branch> = branches.into_iter().collect();
        let found = Mutex::new(BTreeMap::new());
        let next = AtomicUsize::new(0);
        // A description with the id of a tag cannot be set up, but that is what the reference writes.
        let tagged = match self.options.is_strict {
            true => Tagged::Commit,
            false => Tagged::Itself,
        };
        on_threads(self.options.jobs.clamp(1, branches.len()), || {
            // Relaxed: it only numbers the branches.
            while let Some(branch) = branches.get(next.fetch_add(1, Relaxed)) {
                let programs = self.git_programs(&branch.inherit_env);
                let newest = newest_commit(&programs, &branch.url, &branch.name, tagged, &directory);
                found.lock().unwrap_or_else(PoisonError::into_inner).insert(branch.clone(), newest);
            }
        });
        Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}
