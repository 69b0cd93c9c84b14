//! All targets that the modules of the main repository define, for calls that name none.
//!
//! Hidden directories are left out, and directories that are workspaces of their own: their targets are those of another
//! repository. Links to directories are not followed, so there is no way around in circles.

use std::{path::Path, sync::Arc};

use taut_repos::{Entry, Listing, Repository};
use taut_syntax::{Diagnostic, Location, json::Document, json::Kind};
use taut_value::NamedTarget;

use crate::{Request, SetupError, Targets};

/// What the directory of a workspace has (see [`crate::find_workspace_root`]).
const MARKERS: [&str; 3] = ["ROOT", "WORKSPACE", ".git"];

impl Request {
    /// The same request for all targets of the main repository, in the order of their names.
    ///
    /// # Errors
    /// A directory cannot be listed, a targets file is malformed, or there is no target.
    pub fn with_all_targets(mut self) -> Result<Request, SetupError> {
        let main = self.repositories.main.clone();
        let mut targets = Vec::new();
        let repository = &self.repositories.repositories[&main];
        for module in modules(repository)? {
            let place =
                taut_analysis::module_file(&repository.target_root, &module, &repository.target_file_name);
            let file: Arc<str> = place.full(&self.repositories.roots).to_string_lossy().into();
            let content = place
                .read(&self.repositories.roots)
                .map_err(|error| SetupError::from(Diagnostic::error(error.to_string())))?;
            let Some(content) = content else { continue };
            let document = Document::parse(file.clone(), content).map_err(Diagnostic::from)?;
            if document.root().kind() != Kind::Object {
                let problem = Diagnostic::error("A targets file is a JSON object");
                let place = Location::value(file, taut_syntax::JsonPath::root());
                return Err(problem.at(place).into());
            }
            let names = document.root().entries().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
            targets.extend(
                names.into_iter().map(|name| NamedTarget::new(main.clone(), module.as_str(), name.as_str())),
            );
        }
        targets.sort_by(|a, b| (&a.module, &a.name).cmp(&(&b.module, &b.name)));
        let none = || SetupError::from(Diagnostic::error("No module of the workspace defines a target"));
        self.targets = Targets::new(targets).ok_or_else(none)?;
        Ok(self)
    }
}

/// The directories with a targets file, each as a path from the root.
fn modules(repository: &Repository) -> Result<Vec<String>, SetupError> {
    let root = &repository.target_root.source;
    let (mut found, mut pending) = (Vec::new(), vec![String::new()]);
    while let Some(directory) = pending.pop() {
        let listing = root
            .list(&directory, true)
            .map_err(|error| SetupError::from(Diagnostic::error(error.to_string())))?;
        let Listing::Entries(entries) = listing else { continue };
        let has = |name: &str| entries.iter().any(|listed| listed.name.as_str() == name);
        if !directory.is_empty() && MARKERS.iter().any(|marker| has(marker)) {
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
        let below = entries.iter().filter(|listed| listed.entry == Entry::Directory);
        pending.extend(below.filter(|listed| !listed.name.starts_with('.')).map(|listed| path(&listed.name)));
    }
    Ok(found)
}
