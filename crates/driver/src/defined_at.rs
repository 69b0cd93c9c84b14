//! Where a target is defined, for messages about it: the file and the line of its name there.
//!
//! Events know targets, not places: a place is looked up in the file as it is now, when a message needs it, since that
//! is rare.

use std::path::PathBuf;

use taut_repos::RepoConfig;
use taut_syntax::json::{Document, line_and_column};
use taut_value::{NamedTarget, ReferenceType};

/// The place of a target's name in its target file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DefinedAt {
    /// The target file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u32,
}

/// Where a target is defined; `None` if that is not known, or the file does not define it any more.
pub fn defined_at(repositories: &RepoConfig, target: &NamedTarget) -> Option<DefinedAt> {
    if target.reference != ReferenceType::Target {
        return None;
    }
    let repository = repositories.repositories.get(&target.repository)?;
    let place =
        taut_analysis::module_file(&repository.target_root, &target.module, &repository.target_file_name);
    let content = place.read(&repositories.roots).ok()??;
    let document = Document::parse("", content).ok()?;
    let span = document.root().key_span(&target.name)?;
    let (line, _) = line_and_column(document.text(), span.start as usize);
    Some(DefinedAt { file: place.full(&repositories.roots), line })
}
