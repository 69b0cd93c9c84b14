//! What a call is about: targets in a configuration, and the repositories that define them.

use std::sync::Arc;

use taut_repos::RepoConfig;
use taut_syntax::json::{Document, Kind, Node};
use taut_syntax::{Diagnostic, Diagnostics, quoted};
use taut_value::{Encoder, Id, Map};

use crate::{Targets, configured_text::configured_text, targets::joined_first};

/// What a call is about.
#[derive(Clone, Debug)]
pub struct Request {
    /// The repositories.
    pub repositories: RepoConfig,
    /// The targets.
    pub targets: Targets,
    /// Their configuration.
    pub configuration: Map,
}

/// The text of a file by its path in messages; `None` if it cannot be read.
pub type RootTexts = Arc<dyn Fn(&str) -> Option<Arc<str>> + Send + Sync>;

impl Request {
    /// Identifies the owner of installed results: the targets, in whatever configuration, and the main repository by
    /// its root.
    ///
    /// The hexadecimal hash of the number of targets, each of them, and the identity of the main repository's root of
    /// sources, as [`Encoder`] writes them.
    pub fn owner(&self) -> String {
        let repositories = &self.repositories;
        let main = repositories.repositories.get(&repositories.main);
        let mut e = Encoder::new();
        // Without the configuration: what is installed in another one replaces this.
        self.targets.encode(&mut e);
        // By the root, since two checkouts install into directories of their own.
        e.bytes(&main.map(|main| main.workspace_root.source.identity()).unwrap_or_default());
        Id::of(e.finish()).to_hex()
    }

    /// The targets file of a module of the targets' repository, if there is one that can be read. For messages only: it
    /// is read as it is now.
    fn targets_file(&self, module: &str) -> Option<Document> {
        let repository = self.repositories.repositories.get(&self.targets.first().repository)?;
        let file = taut_analysis::module_file(&repository.target_root, module, &repository.target_file_name);
        let dialect = self.repositories.dialect;
        Document::parse_as(dialect, "", file.read(&self.repositories.roots).ok()??).ok()
    }

    /// The names of the targets that a module of the targets' repository defines, if it has a file of targets.
    pub fn targets_of(&self, module: &str) -> Option<Vec<String>> {
        let document = self.targets_file(module)?;
        let root = document.root();
        (root.kind() == Kind::Object).then(|| root.entries().map(|(name, _)| name.to_owned()).collect())
    }

    /// The target of a module whose definition names an output: in `outs`, in `out_dirs`, or as the `name` of a file.
    pub fn target_with_output(&self, module: &str, output: &str) -> Option<String> {
        let document = self.targets_file(module)?;
        let is_named = |field: Node<'_>| match field.kind() {
            Kind::List => field.items().any(|item| item.as_str() == Some(output)),
            _ => field.as_str() == Some(output),
        };
        let root = document.root();
        if root.kind() != Kind::Object {
            return None;
        }
        let makes = |target: Node<'_>| {
            target.kind() == Kind::Object
                // As written: a name that an expression computes is not found, which only costs a hint.
                && ["outs", "out_dirs", "name"].iter().any(|field| target.get(field).is_some_and(is_named))
        };
        root.entries().find(|(_, target)| makes(*target)).map(|(name, _)| name.to_owned())
    }

    /// The texts of files in roots that are not directories, by their paths in messages.
    pub fn texts(&self) -> RootTexts {
        root_texts(&self.repositories)
    }

    /// The error that the root with the files of the first target is absent, if it is: only a service could describe
    /// it.
    pub fn targets_are_absent(&self) -> Option<Diagnostic> {
        let target = self.targets.first();
        let repository = self.repositories.repositories.get(&target.repository)?;
        let shown = repository.target_root.source.shown("");
        let message = format!(
            "The targets of repository {} are in a git tree that is not here: {}",
            quoted(&*target.repository),
            shown.display()
        );
        let reference = format!(
            "Root for target {} is absent but no serve endpoint was configured. Please provide --remote-serve-address \
             and retry.",
            taut_value::EntityName::Named(target.clone()).to_json()
        );
        let help = "name the git repository that has it: [\"git tree\", \"id\", \"path\"]";
        let problem = Diagnostic::error(message).reference(reference).help(help);
        Some(problem).filter(|_| repository.target_root.source.is_absent())
    }

    /// Whether something that belongs to a root was found to be missing or damaged.
    pub fn has_lost_roots(&self) -> bool {
        self.repositories.roots.has_lost()
    }

    /// What is wrong with roots themselves, if anything is: then nothing can be analysed that needs them.
    pub fn problems_of_roots(&self) -> Diagnostics {
        self.repositories.roots.check()
    }

    /// Targets and configuration as messages show them: `[name,configuration]` for each, of many for the first ones.
    pub fn target_text(&self) -> String {
        joined_first(self.targets.iter().map(|target| configured_text(target, &self.configuration)))
    }

    /// The first target and its configuration as messages show them.
    pub fn first_target_text(&self) -> String {
        configured_text(self.targets.first(), &self.configuration)
    }
}

/// The texts of files in roots that are not directories, by their paths in messages.
pub fn root_texts(repositories: &RepoConfig) -> RootTexts {
    let roots = repositories.roots.clone();
    Arc::new(move |file| roots.text(file))
}
