//! A small project and a request, as one JSON value.
//!
//! A JSON value rather than Rust structures, so that a case can be printed, stored, read back, and shrunk by a shrinker
//! that does not know the format: if it breaks the format, the value is no longer a case.

use crate::Workspace;
use serde_json::Value;

/// `{"files": {PATH: {"json": …} | {"text": "…"} | {"exec": "…"} | {"link": "…"}},
///   "config": {…}, "target": [WORD, …]}`, and maybe `"base"`, a configuration below the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Case(pub Value);

impl Case {
    /// Writes the files into a new workspace; `None` if the value is not a case.
    #[must_use]
    pub fn write(&self) -> Option<Workspace> {
        self.0.get("config")?.as_object()?;
        self.target()?;
        let workspace = Workspace::new();
        for (path, file) in self.0.get("files")?.as_object()? {
            if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
                return None;
            }
            let mut entries = file.as_object()?.iter();
            let (kind, content) = entries.next()?;
            match kind.as_str() {
                "json" => workspace.file(path, content.to_string()),
                "text" => workspace.file(path, content.as_str()?),
                "exec" => workspace.executable(path, content.as_str()?),
                "link" if !content.as_str()?.is_empty() => workspace.link(path, content.as_str()?),
                _ => return None,
            };
        }
        if let Some(base) = self.0.get("base") {
            workspace.file("base.json", base.to_string());
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
        base.into_iter().flatten().chain(config).collect()
    }
}
