//! The state that all rules of analysis share.

use taut_digest::HashFunction;
use taut_engine::Fail;
use taut_repos::{Place, RepoConfig, Repository, Root};
use taut_syntax::{Diagnostic, quoted};
use taut_value::NamedTarget;

use crate::{NameContext, problem::fail};

/// The repositories, and the options of analysis.
pub struct Workspace {
    /// All repositories.
    pub repositories: RepoConfig,
    /// The hash function of the store.
    pub hash_function: HashFunction,
    /// How long a value may be in messages, in bytes.
    pub log_limit: usize,
}

impl Workspace {
    pub(crate) fn repository(&self, name: &str) -> Result<&Repository, Fail> {
        self.repositories
            .repositories
            .get(name)
            .ok_or_else(|| fail(Diagnostic::error(format!("Unknown repository {}", quoted(&name)))))
    }

    pub(crate) fn names<'c>(&'c self, at: &'c NamedTarget) -> NameContext<'c> {
        NameContext { repositories: &self.repositories, repository: &at.repository, module: &at.module }
    }
}

/// The file of a module below one of a repository's roots.
pub fn module_file(root: &Root, module: &str, file: &str) -> Place {
    let path = if module.is_empty() { file.into() } else { format!("{module}/{file}").into() };
    Place { root: root.name, path }
}
