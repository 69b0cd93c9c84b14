//! Names of targets (locational equality, docs/equality.md).
//!
//! Two named targets are the same if and only if repository, module, name and kind of reference are equal, which is
//! known before the target is read. An anonymous target has no name; it is identified by its rule map and its node.

use std::{
    hash::{Hash, Hasher},
    ops::Deref,
    sync::Arc,
};

use rustc_hash::FxHasher;

use crate::{Id, JsonWriter, Map, Node, Str};

/// The kind of a reference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ReferenceType {
    /// A target, or implicitly a source file if no target has the name.
    Target,
    /// Explicitly a source file.
    File,
    /// Explicitly a source directory.
    Tree,
    /// All source files of the module directory that match a pattern.
    Glob,
    /// Explicitly a source symlink.
    Symlink,
}

impl ReferenceType {
    /// All of them.
    pub const ALL: [ReferenceType; 5] = {
        use ReferenceType::*;
        [Target, File, Tree, Glob, Symlink]
    };

    /// The word that marks the reference in names; `None` for a plain target.
    pub fn marker(self) -> Option<&'static str> {
        match self {
            ReferenceType::Target => None,
            ReferenceType::File => Some("FILE"),
            ReferenceType::Tree => Some("TREE"),
            ReferenceType::Glob => Some("GLOB"),
            ReferenceType::Symlink => Some("SYMLINK"),
        }
    }

    /// The kind of reference for a marker.
    pub fn from_marker(marker: &str) -> Option<ReferenceType> {
        use ReferenceType::*;
        [File, Tree, Glob, Symlink].into_iter().find(|kind| kind.marker() == Some(marker))
    }
}

/// The name of a target that is defined in a module. Cheap to clone, since it is stored wherever the target is referred
/// to.
#[derive(Clone, PartialOrd, Ord, Debug)]
pub struct NamedTarget(Arc<NamedData>);

/// The parts of a [`NamedTarget`].
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NamedData {
    /// Global name of the repository.
    pub repository: Str,
    /// Normalised path of the module below the target root; "" for the root module.
    pub module: Str,
    /// Name within the module.
    pub name: Str,
    /// The kind of the reference.
    pub reference: ReferenceType,
    /// A hash of all parts, computed once, since names are looked up more often than made.
    hash: u64,
}

impl NamedTarget {
    /// A plain target name; the module is normalised.
    pub fn new(
        repository: impl Into<Str>,
        module: impl Into<Str> + AsRef<str>,
        name: impl Into<Str>,
    ) -> NamedTarget {
        // The usual case, in which no new text is made.
        let normal = is_normal_module_name(module.as_ref());
        let module = if normal { module.into() } else { normal_module_name(module.as_ref()).into() };
        NamedTarget::from_parts(repository.into(), module, name.into(), ReferenceType::Target)
    }

    pub(crate) fn from_parts(
        repository: Str,
        module: Str,
        name: Str,
        reference: ReferenceType,
    ) -> NamedTarget {
        // For tables in memory only; it is not part of an identity, and is not written.
        let mut hasher = FxHasher::default();
        (&repository, &module, &name, reference).hash(&mut hasher);
        let hash = hasher.finish();
        NamedTarget(Arc::new(NamedData { repository, module, name, reference, hash }))
    }

    /// The same name with another kind of reference.
    pub fn with_reference(self, reference: ReferenceType) -> NamedTarget {
        if self.reference == reference {
            return self;
        }
        let NamedData { repository, module, name, .. } = &*self.0;
        NamedTarget::from_parts(repository.clone(), module.clone(), name.clone(), reference)
    }
}

impl Deref for NamedTarget {
    type Target = NamedData;
    fn deref(&self) -> &NamedData {
        &self.0
    }
}

impl PartialEq for NamedTarget {
    fn eq(&self, other: &Self) -> bool {
        // Mostly decided by the address or the hash, without comparing texts.
        Arc::ptr_eq(&self.0, &other.0) || (self.hash == other.hash && self.0 == other.0)
    }
}

impl Eq for NamedTarget {}

impl Hash for NamedTarget {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// A target that is defined by rules by node type, and a node.
#[derive(Clone, Debug)]
pub struct AnonymousTarget {
    /// Node type to rule name.
    pub rule_map: Map,
    /// The node that the target is made from.
    pub node: Node,
}

impl PartialEq for AnonymousTarget {
    fn eq(&self, other: &Self) -> bool {
        self.rule_map == other.rule_map && self.node == other.node
    }
}

impl Eq for AnonymousTarget {}

/// The name of a target. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EntityName {
    /// Defined in a module.
    Named(NamedTarget),
    /// Defined by its structure.
    Anonymous(AnonymousTarget),
}

impl EntityName {
    /// The named target, unless the name is anonymous.
    pub fn as_named(&self) -> Option<&NamedTarget> {
        match self {
            EntityName::Named(named) => Some(named),
            EntityName::Anonymous(_) => None,
        }
    }

    /// Writes the name in the form of messages: `["@",repository,module,name]`, with the marker third for explicit
    /// references; `["#",rule map id,node id]` for anonymous targets.
    pub fn write_json<'w>(&self, writer: &'w mut JsonWriter) -> &'w mut JsonWriter {
        writer.list(|w| match self {
            EntityName::Named(named) => {
                let NamedData { repository, module, name, reference, .. } = &**named;
                w.string("@").string(repository);
                if let Some(marker) = reference.marker() {
                    w.string(marker);
                }
                w.string(module).string(name);
            }
            EntityName::Anonymous(target) => {
                w.string("#").hex(&target.rule_map.id().0).hex(&target.node.id().0);
            }
        })
    }

    /// Minimal JSON text of the name.
    pub fn to_json(&self) -> String {
        let mut writer = JsonWriter::compact();
        self.write_json(&mut writer);
        writer.finish()
    }

    /// An identity whose size does not depend on how deep an anonymous target's node is.
    pub fn id(&self) -> Id {
        let mut writer = JsonWriter::continuing(String::from("$"));
        self.write_json(&mut writer);
        Id::of(writer.finish())
    }
}

impl Hash for EntityName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            EntityName::Named(named) => named.hash(state),
            EntityName::Anonymous(target) => {
                target.rule_map.id().hash(state);
                target.node.id().hash(state);
            }
        }
    }
}

impl From<NamedTarget> for EntityName {
    fn from(named: NamedTarget) -> Self {
        EntityName::Named(named)
    }
}

impl std::fmt::Display for EntityName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_json())
    }
}

/// A module path in normal form: no empty, `.` or resolvable `..` components, no leading or trailing slash; upward
/// components at the start are dropped, as below `/`.
pub fn normal_module_name(module: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in module.split('/') {
        match part {
            "" | "." => {}
            // The reference normalises below `/`, where `..` leads nowhere (`normal_module_name`).
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn is_normal_module_name(module: &str) -> bool {
    module.is_empty() || module.split('/').all(|part| !matches!(part, "" | "." | ".."))
}
