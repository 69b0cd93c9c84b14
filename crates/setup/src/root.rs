//! The root of a repository in a ready configuration.

use std::path::PathBuf;

use taut_digest::Hash;
use taut_value::{Map, Value};

/// Where the contents of a repository are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Root {
    /// A directory.
    Directory {
        /// Its path.
        path: PathBuf,
        /// Whether special entries are ignored.
        ignore_special: bool,
    },
    /// A git tree.
    Tree {
        /// Its id.
        id: Hash,
        /// The repository that has it; `None` if it is absent.
        repository: Option<PathBuf>,
        /// Whether special entries are ignored.
        ignore_special: bool,
    },
    /// The artifacts of a target.
    Computed {
        /// The repository of the target.
        repository: String,
        /// Its module.
        module: String,
        /// Its name.
        name: String,
        /// Its configuration.
        config: Map,
        /// Whether only the id of the tree is needed.
        absent: bool,
    },
    /// The names of the files of a repository.
    TreeStructure {
        /// The repository.
        repository: String,
        /// Whether only the id of the tree is needed.
        absent: bool,
    },
}

impl Root {
    /// The root as a configuration has it (`just-repository-config(5)`).
    pub(crate) fn to_value(&self) -> Value {
        let text = |text: &str| Value::string(text);
        let pragma = |absent: bool| {
            // Left out if it is false, since the reference writes no default values.
            let pragma = || Value::Map(Map::from_entries(vec![("absent".into(), Value::Bool(true))]));
            absent.then(pragma)
        };
        match self {
            Root::Directory { path, ignore_special } => {
                let scheme = if *ignore_special { "file ignore-special" } else { "file" };
                Value::list([text(scheme), text(&path.to_string_lossy())])
            }
            Root::Tree { id, repository, ignore_special } => {
                let scheme = if *ignore_special { "git tree ignore-special" } else { "git tree" };
                let path = repository.iter().map(|path| text(&path.to_string_lossy()));
                Value::list([text(scheme), text(&id.to_hex())].into_iter().chain(path))
            }
            Root::Computed { repository, module, name, config, absent } => {
                let words = ["computed", repository, module, name].map(text);
                let config = Value::Map(config.clone());
                Value::list(words.into_iter().chain([config]).chain(pragma(*absent)))
            }
            Root::TreeStructure { repository, absent } => {
                let words = ["tree structure", repository].map(text);
                Value::list(words.into_iter().chain(pragma(*absent)))
            }
        }
    }
}
