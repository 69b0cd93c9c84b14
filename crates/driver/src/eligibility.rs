//! Warnings about export targets that are not eligible for the target-level cache where a user would expect them to be.

use std::collections::BTreeSet;

use taut_analysis::Export;
use taut_repos::{Obstacle, RepoConfig};
use taut_syntax::{Diagnostic, Diagnostics, quoted};
use taut_value::{EntityName, Str};

use crate::{Analysed, root_failure::TO_GIT_HELP};

impl Analysed {
    /// Warnings about repositories whose export targets are not eligible for caching although they are pinned, at least
    /// in part: the reason, and what makes them eligible.
    pub fn not_eligible_although_pinned(&self, config: &RepoConfig) -> Diagnostics {
        if self.exports.not_eligible == 0 {
            return Diagnostics::none();
        }
        let list = self.exports.list();
        let not_eligible = list.iter().filter(|(_, export)| *export == Export::NotEligible);
        let repositories: BTreeSet<&Str> = not_eligible
            .filter_map(|(target, _)| match &target.name {
                EntityName::Named(named) => Some(&named.repository),
                EntityName::Anonymous(_) => None,
            })
            .collect();
        // Of repositories without any pin nothing else is expected, so there is no warning.
        let is_pinned = |name: &&&Str| config.repositories.get(&***name).is_some_and(Obstacle::is_pinned);
        repositories.iter().filter(is_pinned).filter_map(|name| warning(config, name)).collect()
    }
}

fn warning(config: &RepoConfig, name: &str) -> Option<Diagnostic> {
    let Obstacle { bindings, repository, root, shown } = Obstacle::of(config, name)?;
    let root = format!("its {root} is the directory {}", shown.display());
    let reason = match &bindings[..] {
        [] => root,
        [binding] => {
            format!("its binding {} leads to repository {}, and {root}", quoted(binding), quoted(&repository))
        }
        path => {
            let path: Vec<String> = path.iter().map(|binding| quoted(binding).to_string()).collect();
            format!(
                "its bindings {} lead to repository {}, and {root}",
                path.join(" → "),
                quoted(&repository)
            )
        }
    };
    let message =
        format!("export targets of the pinned repository {} are not cached: {reason}", quoted(name));
    let help = match bindings.is_empty() {
        true => "they are cached if all roots are git trees: [\"git tree\", \"ID\", \"PATH\"]",
        false => {
            "they are cached if all roots of all repositories that its bindings reach are git trees: [\"git tree\", \
             \"ID\", \"PATH\"]"
        }
    };
    Some(Diagnostic::warning(message).help(help).help(TO_GIT_HELP))
}
