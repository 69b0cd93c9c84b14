//! The state that all rules of analysis share.

use taut_digest::{HashFunction, ObjectInfo};
use taut_engine::Fail;
use taut_repos::{EmbeddedRoot, RepoConfig, Repository, Root, RootPath, SourceRoot as _};
use taut_syntax::{Diagnostic, quoted};
use taut_value::NamedTarget;

use crate::{
    NameContext,
    problem::{fail, fail_unrecorded},
};

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

    /// A file of a repository as messages name it that have no place in it: those of the rules in the box as excerpts
    /// have them; those of a repository with a name together with that, since they are named from its root.
    pub(crate) fn shown_file(&self, file: &RootPath, repository: &str) -> String {
        let root = self.repositories.roots.get(file.root);
        match root.filter(|root| root.identity() == EmbeddedRoot.identity()) {
            Some(library) => library.shown(&file.path).display().to_string(),
            None if repository.is_empty() => file.path.to_string(),
            None => format!("{} of repository {}", file.path, quoted(&repository)),
        }
    }

    /// Whether the store names contents as git does, so that what a git tree has by its id is known by that.
    pub(crate) fn uses_ids_of_git(&self) -> bool {
        self.hash_function == HashFunction::GitSha1
    }

    /// An object that a root knows by git's id, as the store names it; a file or link, unless that is by git's id, too.
    pub(crate) fn in_store(&self, known: &ObjectInfo) -> Result<ObjectInfo, Fail> {
        if self.uses_ids_of_git() {
            return Ok(*known);
        }
        let renamed = self.repositories.roots.named_by(known, self.hash_function);
        // Not recorded: the repository may be repaired without a trace in what was read.
        renamed.map_err(|error| fail_unrecorded(Diagnostic::error(error.to_string())))
    }

    pub(crate) fn names<'c>(&'c self, at: &'c NamedTarget) -> NameContext<'c> {
        NameContext { repositories: &self.repositories, repository: &at.repository, module: &at.module }
    }
}

/// The file of a module below one of a repository's roots.
pub fn module_file(root: &Root, module: &str, file: &str) -> RootPath {
    // Without a slash in front: paths in a root are relative, and the root module has the empty one.
    let path = if module.is_empty() { file.into() } else { format!("{module}/{file}").into() };
    RootPath { root: root.name, path }
}
