//! Names of repositories, of the description in the workspace.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use taut_driver::find_workspace_root;
use taut_syntax::json::{Dialect, Document, Kind, Node};
use taut_sys::Named;

use super::Candidate;

/// A description of repositories, or a ready configuration.
pub(super) struct Description {
    document: Document,
    /// What its paths are relative to.
    top: PathBuf,
    /// The name of the main repository, if an option gives it.
    main: Option<String>,
}

impl Description {
    /// The description that the options of a call name, or that of the workspace of `cwd`. Rc files are not read.
    pub(super) fn of(cwd: &Path, values: &BTreeMap<&str, String>) -> Option<Description> {
        let root = match values.get("workspace_root") {
            Some(root) => Some(cwd.join(root)),
            None => find_workspace_root(cwd).ok(),
        };
        let usual = ["repos.json", "etc/repos.json"].into_iter();
        let places = match values.get("repository_config") {
            Some(path) => vec![cwd.join(path)],
            None => root.iter().flat_map(|root| usual.clone().map(|path| root.join(path))).collect(),
        };
        // The first that can be read, as a set-up takes the first that exists.
        let content = places.iter().find_map(|path| Named::read(path).ok())?;
        let document = Document::parse_as(Dialect::Extended, "", content).ok()?;
        let top = root.unwrap_or_else(|| cwd.to_owned());
        Some(Description { document, top, main: values.get("main").cloned() })
    }

    fn entries(&self) -> impl Iterator<Item = (&str, Node<'_>)> {
        let repositories = self.document.root().get("repositories");
        let repositories = repositories.filter(|repositories| repositories.kind() == Kind::Object);
        repositories.into_iter().flat_map(|repositories| repositories.entries())
    }

    /// All repositories, each with its type (`git`, `archive`); another name of a repository has no type.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let named =
            |(name, entry): (&str, Node<'_>)| Candidate::new(name, made_from(entry).unwrap_or_default());
        self.entries().map(named).collect()
    }

    /// The local names in the main repository, each with the name of the repository.
    pub(super) fn bindings(&self) -> Vec<(String, String)> {
        let written =
            self.main.as_deref().or_else(|| self.document.root().get("main").and_then(Node::as_str));
        let main = match written {
            Some(main) => self.entries().find(|(name, _)| *name == main),
            // The first one in byte order, as for a build.
            None => self.entries().min_by_key(|(name, _)| *name),
        };
        let bindings = main.and_then(|(_, main)| main.get("bindings"));
        let bindings = bindings.filter(|bindings| bindings.kind() == Kind::Object);
        let all = bindings.into_iter().flat_map(|bindings| bindings.entries());
        all.filter_map(|(local, name)| Some((local.to_owned(), name.as_str()?.to_owned()))).collect()
    }

    /// The directory with the targets of a repository and the name of targets files, if it is a directory.
    pub(super) fn directory(&self, name: &str) -> Option<(PathBuf, String)> {
        // A name may stand for another name. A cycle of names is reported elsewhere.
        const MAX_NAMES: usize = 32;
        let entry = |name: &str| self.entries().find(|(known, _)| *known == name).map(|(_, entry)| entry);
        let first = entry(name)?;
        let file = first.get("target_file_name").and_then(Node::as_str).unwrap_or("TARGETS").to_owned();
        let mut at = match first.get("target_root") {
            Some(root) if root.as_str().is_some() => entry(root.as_str()?)?,
            _ => first,
        };
        for _ in 0..MAX_NAMES {
            let root = at.get("repository").or_else(|| at.get("workspace_root"))?;
            if let Some(other) = root.as_str() {
                at = entry(other)?;
                continue;
            }
            // A description has an object, a ready configuration a list.
            let path = match made_from(at) {
                Some("file") => root.get("path")?.as_str()?,
                Some(_) => return None,
                None => match root.as_list()?.filter_map(Node::as_str).collect::<Vec<_>>()[..] {
                    ["file", path] => path,
                    _ => return None,
                },
            };
            return Some((self.top.join(path), file));
        }
        None
    }
}

fn made_from(entry: Node<'_>) -> Option<&str> {
    let repository = entry.get("repository").filter(|repository| repository.kind() == Kind::Object)?;
    repository.get("type").and_then(Node::as_str)
}
