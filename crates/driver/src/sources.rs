//! The source files of a build: those of the roots of its repositories.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use taut_digest::{Hash, ObjectType};
use taut_exec::Sources;
use taut_repos::{RepoConfig, SourceRoot};
use taut_sys::canonical;

/// The roots of all repositories.
pub(crate) struct RootSources {
    repositories: RepoConfig,
    /// The roots that are directories, as they are named and without links.
    directories: OnceLock<Vec<PathBuf>>,
    /// Of directories that were asked about, whether sources are taken from them. Compilers read hundreds of headers in a
    /// few directories, and links on the way there are looked up once.
    known: Mutex<HashMap<PathBuf, bool>>,
}

impl RootSources {
    pub(crate) fn new(repositories: RepoConfig) -> RootSources {
        RootSources { repositories, directories: OnceLock::new(), known: Mutex::default() }
    }

    /// The roots, which may be open.
    pub(crate) fn roots(&self) -> Arc<taut_repos::Roots> {
        self.repositories.roots.clone()
    }

    fn directories(&self) -> &[PathBuf] {
        self.directories.get_or_init(|| {
            let mut all = crate::roots(&self.repositories);
            let without_links: Vec<PathBuf> = all.iter().filter_map(|root| canonical(root).ok()).collect();
            all.extend(without_links);
            // A root that is the whole system has the tool chain, too.
            all.retain(|root| root.parent().is_some());
            all.sort();
            all.dedup();
            all
        })
    }

    /// Whether a directory is one of a root, or below.
    fn is_below_a_root(&self, directory: &Path) -> bool {
        self.directories().iter().any(|root| {
            directory
                .strip_prefix(root)
                .is_ok_and(|below| !below.iter().any(|name| is_hidden(Path::new(name))))
        })
    }
}

/// Build roots and tool chains in a home directory are mostly hidden, and no sources.
fn is_hidden(name: &Path) -> bool {
    name.as_os_str().as_encoded_bytes().starts_with(b".")
}

impl Sources for RootSources {
    fn root(&self, repository: &str) -> Option<&dyn SourceRoot> {
        let found = self.repositories.repositories.get(repository);
        found.map(|repository| &*repository.workspace_root.source)
    }

    fn object(&self, hash: &Hash, object_type: ObjectType) -> taut_repos::Result<Option<Vec<u8>>> {
        self.repositories.roots.object(hash, object_type)
    }

    fn has(&self, path: &Path) -> bool {
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else { return false };
        if is_hidden(Path::new(name)) {
            return false;
        }
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(above) {
            return *known;
        }
        // Without the lock, since directories are looked up.
        let is_there = self.is_below_a_root(above)
            || canonical(above).is_ok_and(|without_links| self.is_below_a_root(&without_links));
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(above.to_owned(), is_there);
        is_there
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "tests set the scene")]
    fn files_of_a_root_are_its_sources_by_whatever_way() {
        let top = tempfile::tempdir().unwrap();
        let path = |name: &str| top.path().join(name);
        std::fs::create_dir_all(path("work/d")).unwrap();
        std::fs::create_dir_all(path("other")).unwrap();
        symlink("work", path("link")).unwrap();
        symlink("../other", path("work/out")).unwrap();
        let sources = RootSources {
            directories: OnceLock::from(vec![path("work")]),
            ..RootSources::new(RepoConfig::default())
        };
        for (name, is_source) in [
            ("work/a.h", true),
            ("work/d/a.h", true),
            ("link/a.h", true),
            ("link/d/../a.h", true),
            ("work/.a.h", false),
            ("link/.d/a.h", false),
            ("other/a.h", false),
            ("nothing/a.h", false),
        ] {
            assert_eq!(sources.has(&path(name)), is_source, "{name}");
        }
    }
}
