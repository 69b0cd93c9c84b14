//! The definition of a root that is not named but computed from another repository of the configuration: the artifacts
//! of an export target, or the structure of a tree.

use std::{cmp::Ordering, fmt};

use taut_syntax::Location;
use taut_value::{Encoder, Str, quoted};

/// How a computed root is defined. Equal definitions are one root, whatever uses it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ComputedRoot {
    /// The global name of the repository that it is computed from.
    pub repository: Str,
    /// What is taken of it.
    pub taken: RootContent,
    /// Whether the root is wanted by its id only, since a service has its content.
    // A part of the definition, as in the reference: the same root wanted by its id only is another task of a
    // service.
    pub is_absent: bool,
}

/// What a computed root takes of a repository.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum RootContent {
    /// The artifacts of an export target.
    Artifacts {
        /// The module, as it is written.
        module: Str,
        /// The name.
        target: Str,
        /// The configuration, a JSON object in the form of the reference: compact, keys sorted.
        // A text and no value: the reference compares texts, in which `1` and `1.0` differ.
        configuration: String,
    },
    /// The tree of its workspace root, with empty files.
    Structure,
}

/// The reference's text for it in messages.
impl fmt::Display for ComputedRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let absent = if self.is_absent { ", {\"absent\": true}" } else { "" };
        let repository = quoted(&self.repository);
        match &self.taken {
            RootContent::Artifacts { module, target, configuration } => {
                let (module, target) = (quoted(module), quoted(target));
                write!(f, "([\"@\", {repository}, {module}, {target}{absent}], {configuration})")
            }
            RootContent::Structure => write!(f, "[\"tree structure\", {repository}{absent}]"),
        }
    }
}

impl ComputedRoot {
    /// The parts in the order in which the reference compares them.
    fn order(&self) -> (bool, [&str; 4], bool) {
        match &self.taken {
            RootContent::Artifacts { module, target, configuration } => {
                // Negated, since of two that are otherwise equal the absent one comes first.
                (false, [&self.repository, module, target, configuration], !self.is_absent)
            }
            RootContent::Structure => (true, [&self.repository, "", "", ""], !self.is_absent),
        }
    }

    /// As bytes in the encoding of [`Encoder`]: whether it is a structure; whether it is absent; the repository; then
    /// of artifacts module, target and the text of the configuration.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.bool(self.taken == RootContent::Structure);
        e.bool(self.is_absent);
        e.text(&self.repository);
        if let RootContent::Artifacts { module, target, configuration } = &self.taken {
            e.text(module);
            e.text(target);
            e.bytes(configuration.as_bytes());
        }
        e.finish()
    }
}

impl PartialOrd for ComputedRoot {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ComputedRoot {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

/// A computed root that was not computed yet: nothing of it can be read.
#[derive(Clone, Debug)]
pub struct UnresolvedRoot {
    /// Its definition.
    pub root: ComputedRoot,
    /// Where the configuration has it first.
    pub place: Location,
    /// Which root of which repository it is there.
    pub what: String,
}
