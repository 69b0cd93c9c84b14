//! All targets that the modules below a directory define.
//!
//! Directories with hidden names are left out, and those that are workspaces of their own: their targets are those of
//! another repository. Links to directories are not followed, so there is no way around in circles. A target that cannot
//! be analysed in the configuration of the call is one of them: leaving it out would hide that.

use std::{path::Path, sync::Arc};

use taut_repos::{Entry, Listing, RepoConfig, Repository, WORKSPACE_MARKERS};
use taut_syntax::{
    Diagnostic, JsonPath, Location,
    json::{Document, Kind},
};
use taut_value::{NamedTarget, Str};

use crate::SetupError;

/// All targets of a module and of those below it.
pub(crate) struct Pattern {
    /// The global name of the repository.
    pub(crate) repository: Str,
    /// The module, which need not have a targets file itself.
    pub(crate) below: String,
}

impl Pattern {
    /// All targets of a repository.
    pub(crate) fn all(repository: &Str) -> Pattern {
        Pattern { repository: repository.clone(), below: String::new() }
    }

    /// The targets, in the order of modules and names.
    ///
    /// # Errors
    /// A directory cannot be listed, or a targets file cannot be read or is malformed.
    pub(crate) fn targets(&self, repositories: &RepoConfig) -> Result<Vec<NamedTarget>, SetupError> {
        let repository = &repositories.repositories[&self.repository];
        let mut targets = Vec::new();
        for module in modules(repository, &self.below)? {
            let place =
                taut_analysis::module_file(&repository.target_root, &module, &repository.target_file_name);
            let file: Arc<str> = place.full(&repositories.roots).to_string_lossy().into();
            let content =
                place.read(&repositories.roots).map_err(|error| SetupError::new(error.to_string()))?;
            let Some(content) = content else { continue };
            let document =
                Document::parse_as(repositories.dialect, file.clone(), content).map_err(Diagnostic::from)?;
            if document.root().kind() != Kind::Object {
                let problem = Diagnostic::error("A targets file is a JSON object");
                return Err(problem.at(Location::value(file, JsonPath::root())).into());
            }
            targets.extend(
                document
                    .root()
                    .entries()
                    .map(|(name, _)| NamedTarget::new(self.repository.clone(), module.as_str(), name)),
            );
        }
        targets.sort_by(|a, b| (&a.module, &a.name).cmp(&(&b.module, &b.name)));
        Ok(targets)
    }
}

/// The directories with a targets file, each as a path from the root.
fn modules(repository: &Repository, below: &str) -> Result<Vec<String>, SetupError> {
    let root = &repository.target_root.source;
    let (mut found, mut pending) = (Vec::new(), vec![below.to_owned()]);
    while let Some(directory) = pending.pop() {
        let listing = root.list(&directory, true).map_err(|error| SetupError::new(error.to_string()))?;
        let Listing::Entries(entries) = listing else { continue };
        let has = |name: &str| entries.iter().any(|listed| listed.name.as_str() == name);
        // What is asked for by name is looked at, whatever it is.
        if directory != below && WORKSPACE_MARKERS.iter().any(|marker| has(marker)) {
            continue;
        }
        let path = |name: &str| match directory.is_empty() {
            true => name.to_owned(),
            false => format!("{directory}/{name}"),
        };
        // A link to a file counts as a file here, too.
        if root.is_file(Path::new(&path(&repository.target_file_name))) {
            found.push(directory.clone());
        }
        let directories = entries.iter().filter(|listed| listed.entry == Entry::Directory);
        pending.extend(
            directories.filter(|listed| !listed.name.starts_with('.')).map(|listed| path(&listed.name)),
        );
    }
    Ok(found)
}
