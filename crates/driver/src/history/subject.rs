//! What a task is about, as logs and explanations name it, without a key of the engine.
//!
//! Tasks that differ only in how the engine divides its work (a module and its entries, an artifact and the action it
//! comes from) are distinguished here only as far as users distinguish them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use taut_analysis::rules::DefinitionName;
use taut_analysis::{CacheKey, ConfiguredTarget, EntryPart};
use taut_engine::KeyRef;
use taut_exec::{ActionKey, ArtifactKey, StageKey};
use taut_repos::{RepoConfig, Repository, Root, RootPath};
use taut_syntax::quoted;
use taut_sys::canonical;
use taut_value::{Artifact, EntityName, ID_PREFIX_DIGITS, Id, Str};

/// What a task is about.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Subject {
    /// A configured target.
    Target {
        /// The name, as JSON.
        name: Str,
        /// The configuration without variables that are null, as [`taut_value::Map::to_label`] has it.
        config: Str,
    },
    /// An action.
    Action(Id),
    /// An output of an action.
    Output {
        /// The action.
        action: Id,
        /// The output's path, as the action has it.
        path: Str,
    },
    /// A source file, by where it lies.
    Source(Str),
    /// A file of targets, rules or expressions.
    File(Str),
    /// What lies in a directory.
    Directory(Str),
    /// An entry of a file of targets, rules or expressions.
    Entry {
        /// The file, by where it lies.
        file: Str,
        /// The name in it.
        name: Str,
    },
    /// A rule, by its name as JSON.
    Rule(Str),
    /// An expression, by its name as JSON.
    Expression(Str),
    /// A tree that is put together, by its definition.
    Tree(Id),
    /// A directory among the inputs of actions or trees, by its definition.
    Inputs(Id),
    /// Something else.
    Other(Str),
}

/// Where a source file lies, if its root is a directory.
pub(crate) fn source_file(repositories: &RepoConfig, repository: &str, path: &str) -> Option<PathBuf> {
    let repository = repositories.repositories.get(repository)?;
    Some(repository.workspace_root.directory()?.join(path))
}

/// An absolute path as a root names it, if it leads below one by another name: roots are where the user named them, be
/// that by links, and so is the path.
pub(crate) fn below_roots(repositories: &RepoConfig, path: &Path) -> PathBuf {
    let all = repositories.repositories.values();
    // Repositories often share a root: each directory is resolved once.
    let roots: BTreeSet<&Path> = all.flat_map(Repository::roots).filter_map(Root::directory).collect();
    if roots.iter().any(|root| path.starts_with(root)) {
        return path.to_owned();
    }
    // Not the path itself: that may be a link which is meant.
    // From the bottom up: the lowest directory that exists is resolved, and what is missing below it is appended.
    let real = path.ancestors().skip(1).find_map(|above| {
        let rest = path.strip_prefix(above).ok()?;
        Some(canonical(above).ok()?.join(rest))
    });
    let real = real.unwrap_or_else(|| path.to_owned());
    let named = roots.iter().find_map(|root| {
        let rest = real.strip_prefix(canonical(root).ok()?).ok()?;
        Some(root.join(rest))
    });
    named.unwrap_or_else(|| path.to_owned())
}

fn text(path: &Path) -> Str {
    path.to_string_lossy().as_ref().into()
}

impl Subject {
    /// An artifact.
    pub(crate) fn of_artifact(artifact: &Artifact, repositories: &RepoConfig) -> Subject {
        match artifact {
            Artifact::Action { id, path } => Subject::Output { action: *id, path: path.clone() },
            Artifact::Local { path, repository } => match source_file(repositories, repository, path) {
                Some(file) => Subject::Source(text(&file)),
                None => Subject::Other(path.clone()),
            },
            Artifact::Tree(id) | Artifact::TreeOverlay(id) => Subject::Tree(*id),
            Artifact::Known(info) => Subject::Other(info.to_string().into()),
        }
    }

    /// What the task with this key is about.
    pub(crate) fn of(key: &KeyRef, repositories: &RepoConfig) -> Subject {
        let place = |place: &RootPath| -> Str { text(&place.full(&repositories.roots)) };
        if let Some(target) = key.downcast::<ConfiguredTarget>() {
            return Subject::target(target);
        }
        if let Some(ArtifactKey(artifact)) = key.downcast::<ArtifactKey>() {
            return Subject::of_artifact(artifact, repositories);
        }
        if let Some(ActionKey(id)) = key.downcast::<ActionKey>() {
            return Subject::Action(*id);
        }
        if let Some(stage) = key.downcast::<StageKey>() {
            return Subject::Inputs(stage.id());
        }
        if let Some((file, EntryPart(name))) = key.downcast::<(RootPath, EntryPart)>() {
            return Subject::Entry { file: place(file), name: name.clone() };
        }
        // After the pair of a path and a part above, which has a type of its own.
        if let Some(of) = key.downcast::<RootPath>() {
            return if key.rule() == "dir" {
                Subject::Directory(place(of))
            } else {
                Subject::File(place(of))
            };
        }
        if let Some(DefinitionName(name)) = key.downcast::<DefinitionName>() {
            let name = EntityName::Named(name.clone()).to_json().into();
            return if key.rule() == "rule" { Subject::Rule(name) } else { Subject::Expression(name) };
        }
        if let Some(key) = key.downcast::<CacheKey>() {
            let hash = key.0.hash.to_hex();
            return Subject::Other(format!("target-level cache entry {}", &hash[..ID_PREFIX_DIGITS]).into());
        }
        // Anything else no question names, and its whole key may be large.
        Subject::Other(format!("{} {}", key.rule(), &Id::of(key.bytes()).to_hex()[..ID_PREFIX_DIGITS]).into())
    }

    /// As messages name it where nothing more is known of it.
    pub(crate) fn in_words(&self) -> String {
        let short = |id: &Id| id.to_hex()[..ID_PREFIX_DIGITS].to_owned();
        match self {
            Subject::Target { name, config } if config.as_str() == "{}" => format!("target {name}"),
            Subject::Target { name, config } => format!("target [{name},{config}]"),
            Subject::Action(id) => format!("action %{}", short(id)),
            Subject::Output { action, path } => format!("output {path} %{}", short(action)),
            Subject::Source(path) | Subject::File(path) => format!("file {path}"),
            Subject::Directory(path) => format!("directory {path}"),
            Subject::Entry { file, name } => format!("entry {} of {file}", quoted(name)),
            Subject::Rule(name) => format!("rule {name}"),
            Subject::Expression(name) => format!("expression {name}"),
            Subject::Tree(id) => format!("tree {}", short(id)),
            Subject::Inputs(id) => format!("input directory {}", short(id)),
            Subject::Other(text) => text.to_string(),
        }
    }

    /// A configured target.
    pub(crate) fn target(target: &ConfiguredTarget) -> Subject {
        // A variable that is null and one that is not set mean the same to a target.
        let config = target.config.without_nulls().to_label();
        Subject::Target { name: target.name.to_json().into(), config: config.into() }
    }

    /// Whether the task only reads what is there, so that its execution needs no explanation.
    pub(crate) fn is_reading(&self) -> bool {
        matches!(
            self,
            Subject::File(_)
                | Subject::Directory(_)
                | Subject::Source(_)
                | Subject::Entry { .. }
                | Subject::Output { .. }
                | Subject::Tree(_)
                | Subject::Inputs(_)
        )
    }
}
