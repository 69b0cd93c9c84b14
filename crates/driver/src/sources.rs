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
    repositories: Arc<RepoConfig>,
    /// The roots that are directories, without links.
    directories: OnceLock<Vec<PathBuf>>,
    /// Paths without links: compilers read the same headers again and again.
    // Kept for a session: a changed link of the system is not noticed meanwhile, like changes of the system's files.
    real_paths: Mutex<HashMap<PathBuf, PathBuf>>,
}

impl RootSources {
    pub(crate) fn new(repositories: Arc<RepoConfig>) -> RootSources {
        RootSources { repositories, directories: OnceLock::new(), real_paths: Mutex::default() }
    }

    /// The roots, which may be open.
    pub(crate) fn roots(&self) -> Arc<taut_repos::Roots> {
        self.repositories.roots.clone()
    }

    fn directories(&self) -> &[PathBuf] {
        self.directories.get_or_init(|| {
            let all = crate::roots(&self.repositories);
            let mut all: Vec<PathBuf> = all.iter().filter_map(|root| canonical(root).ok()).collect();
            // A root that is the whole system, or all that is installed, has the tool chain, too.
            all.retain(|root| root.parent().is_some() && root != Path::new("/usr"));
            all
        })
    }
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
        self.directories().iter().any(|root| path.starts_with(root))
    }

    fn real_path(&self, path: &Path) -> Option<PathBuf> {
        let known = || self.real_paths.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(real) = known().get(path) {
            return Some(real.clone());
        }
        // Without the lock, since directories are looked up.
        let real = canonical(path).ok()?;
        known().insert(path.to_owned(), real.clone());
        Some(real)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "tests set the scene")]
    fn files_of_a_root_are_its_sources_by_their_paths_without_links() {
        let top = tempfile::tempdir().unwrap();
        let path = |name: &str| top.path().join(name);
        std::fs::create_dir_all(path("work/d")).unwrap();
        std::fs::create_dir_all(path("other")).unwrap();
        symlink("work", path("link")).unwrap();
        symlink("../other", path("work/out")).unwrap();
        for file in ["work/a.h", "work/d/a.h", "work/.a.h", "other/a.h"] {
            std::fs::write(path(file), "").unwrap();
        }
        let sources = RootSources {
            directories: OnceLock::from(vec![canonical(&path("work")).unwrap()]),
            ..RootSources::new(Arc::default())
        };
        for (name, is_source) in [
            ("work/a.h", true),
            ("work/.a.h", true),
            ("link/a.h", true),
            ("link/d/../a.h", true),
            ("work/out/a.h", false),
            ("other/a.h", false),
        ] {
            let real = sources.real_path(&path(name)).unwrap();
            assert_eq!(sources.has(&real), is_source, "{name}");
            assert_eq!(sources.real_path(&path(name)), Some(real));
        }
        assert_eq!(sources.real_path(&path("nothing/a.h")), None);
    }
}
