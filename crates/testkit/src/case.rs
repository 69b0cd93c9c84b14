//! A small project and a request, as one JSON value.
//!
//! A JSON value rather than Rust structures, so that a case can be printed, stored, read back, and shrunk by a shrinker
//! that does not know the format: if it breaks the format, the value is no longer a case.

use std::{collections::HashMap, fs};

use serde_json::Value;

use crate::{GitRepository, Workspace};

/// `{"files": {PATH: {"json": …} | {"text": "…"} | {"exec": "…"} | {"link": "…"}},
///   "config": {…}, "target": [WORD, …]}`, and maybe `"base"`, a configuration below the other, `"repositories"`, a
/// repository configuration, and `"trees": {NAME: {PATH: …}}`, git trees with files as above, which roots of the
/// configuration name in place of an id: `["git tree", NAME]`, or `["git tree", NAME, null]` for one without a
/// repository.
#[derive(Debug, Clone, PartialEq)]
pub struct Case(pub Value);

impl Case {
    /// Writes the files into a new workspace; `None` if the value is not a case.
    #[must_use]
    pub fn write(&self) -> Option<Workspace> {
        self.0.get("config")?.as_object()?;
        self.target()?;
        let workspace = Workspace::new();
        write_files(&workspace, "", self.0.get("files")?)?;
        if let Some(base) = self.0.get("base") {
            workspace.file("base.json", base.to_string());
        }
        if let Some(repositories) = self.0.get("repositories") {
            let repository = GitRepository::new(workspace.beside("trees.git"));
            let mut ids = HashMap::new();
            for (name, files) in self.0.get("trees").and_then(Value::as_object).into_iter().flatten() {
                // Trees are directories beside the workspace; other paths might lead elsewhere.
                if name.contains('/') {
                    return None;
                }
                let place = format!("../trees/{name}/");
                write_files(&workspace, &place, files)?;
                let directory = workspace.root().join(&place);
                fs::create_dir_all(&directory).ok()?;
                ids.insert(name.as_str(), repository.snapshot(&directory));
            }
            let path = repository.path().to_str()?;
            let mut configuration = repositories.clone();
            let all = configuration.get_mut("repositories").and_then(Value::as_object_mut)?;
            // Every value of a repository may be a root. What is not a root of a tree is left as it is.
            for root in all.values_mut().filter_map(Value::as_object_mut).flat_map(|all| all.values_mut()) {
                name_tree(root, &ids, path);
            }
            workspace.file("repos.json", configuration.to_string());
        }
        Some(workspace)
    }

    /// The words of the command line for the requested target; `None` if the value is not a case.
    #[must_use]
    pub fn target(&self) -> Option<Vec<String>> {
        let words = self.0.get("target")?.as_array()?;
        words.iter().map(|word| word.as_str().map(str::to_owned)).collect()
    }

    /// The words of the command line for the configuration.
    #[must_use]
    pub fn config(&self) -> Vec<String> {
        let base = self.0.get("base").map(|_| ["-c".to_owned(), "base.json".to_owned()]);
        let config = ["-D".to_owned(), self.0["config"].to_string()];
        let repositories = self.0.get("repositories").map(|_| ["-C".to_owned(), "repos.json".to_owned()]);
        base.into_iter().flatten().chain(repositories.into_iter().flatten()).chain(config).collect()
    }
}

/// Writes files below a place in the workspace; `None` if the value does not describe files.
fn write_files(workspace: &Workspace, place: &str, files: &Value) -> Option<()> {
    for (path, file) in files.as_object()? {
        // A mutation may have made any path of it; none may lead out of the workspace.
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return None;
        }
        let path = format!("{place}{path}");
        let mut entries = file.as_object()?.iter();
        let (kind, content) = entries.next()?;
        match kind.as_str() {
            "json" => workspace.file(&path, content.to_string()),
            "text" => workspace.file(&path, content.as_str()?),
            "exec" => workspace.executable(&path, content.as_str()?),
            "link" if !content.as_str()?.is_empty() => workspace.link(&path, content.as_str()?),
            _ => return None,
        };
    }
    Some(())
}

/// Puts the id of a tree, and the path of its repository, in place of its name.
fn name_tree(root: &mut Value, ids: &HashMap<&str, String>, repository: &str) {
    let Some(items) = root.as_array_mut() else { return };
    let is_tree =
        matches!(items.first().and_then(Value::as_str), Some("git tree" | "git tree ignore-special"));
    let Some(id) = items.get(1).and_then(Value::as_str).and_then(|name| ids.get(name)).filter(|_| is_tree)
    else {
        return;
    };
    items[1] = id.clone().into();
    match items.len() {
        2 => items.push(repository.into()),
        _ => items.truncate(2),
    }
}
