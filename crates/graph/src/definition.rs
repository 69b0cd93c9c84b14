//! Definitions of actions, trees and contents, as interned contents of the engine.
//!
//! An artifact refers to an action, a tree or a content by its id or hash; the definition is needed only where the
//! artifact is built. So definitions are interned: the engine's file has each of them once, as long as a kept run of a
//! target mentions it, and a build that runs five actions of ten thousand reads five definitions.

use std::sync::Arc;

use taut_digest::Hash as Digest;
use taut_engine::{Hash, Interned};
use taut_value::{ActionDescription, Artifact, Decoder, Encoder, Id, Str, Tree, TreeOverlay};

/// The kind of a definition. The discriminants are part of keys and encodings (docs/store.md).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Kind {
    /// An action.
    Action = 0,
    /// A tree composed of artifacts.
    Tree = 1,
    /// Trees merged over each other.
    Overlay = 2,
    /// A content that is part of a description.
    Blob = 3,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Action, Kind::Tree, Kind::Overlay, Kind::Blob];
}

/// Identifies a definition, as its [`Interned::hash`] does: the kind, as a byte, and the first 31 bytes of the id, or
/// of the hash of a blob, with zeros behind a shorter one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
// Cutting an id by one byte leaves 248 bits, which have no collisions either.
pub struct DefinitionKey(pub Hash);

impl DefinitionKey {
    fn new(kind: Kind, bytes: &[u8]) -> DefinitionKey {
        let mut name = [0; 32];
        name[0] = kind as u8;
        // 31 bytes, since the first one is the kind.
        let len = bytes.len().min(31);
        name[1..=len].copy_from_slice(&bytes[..len]);
        DefinitionKey(Hash(name))
    }

    /// The name of an action.
    pub fn action(id: &Id) -> DefinitionKey {
        DefinitionKey::new(Kind::Action, &id.0)
    }

    /// The name of a tree.
    pub fn tree(id: &Id) -> DefinitionKey {
        DefinitionKey::new(Kind::Tree, &id.0)
    }

    /// The name of an overlay of trees.
    pub fn overlay(id: &Id) -> DefinitionKey {
        DefinitionKey::new(Kind::Overlay, &id.0)
    }

    /// The name of a content, by its hash in the store.
    pub fn blob(hash: &Digest) -> DefinitionKey {
        DefinitionKey::new(Kind::Blob, hash.as_bytes())
    }

    /// The kind of definition; `None` if the key is malformed.
    pub fn kind(&self) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == self.0.0[0])
    }

    /// The definition that an artifact refers to, unless that is a source file or a known object.
    pub fn of_artifact(artifact: &Artifact) -> Option<DefinitionKey> {
        match artifact {
            Artifact::Action { id, .. } => Some(DefinitionKey::action(id)),
            Artifact::Tree(id) => Some(DefinitionKey::tree(id)),
            Artifact::TreeOverlay(id) => Some(DefinitionKey::overlay(id)),
            Artifact::Local { .. } | Artifact::Known(_) => None,
        }
    }
}

/// A definition.
#[derive(Clone, Debug)]
// `Arc` for actions: analysis and execution share them, and they are the largest.
pub enum Definition {
    /// An action.
    Action(Arc<ActionDescription>),
    /// A tree.
    Tree(Tree),
    /// An overlay of trees.
    Overlay(TreeOverlay),
    /// A content with its hash in the store.
    Blob(Digest, Str),
}

impl Definition {
    /// Its name.
    pub fn name(&self) -> DefinitionKey {
        match self {
            Definition::Action(action) => DefinitionKey::action(&action.id()),
            Definition::Tree(tree) => DefinitionKey::tree(&tree.id()),
            Definition::Overlay(overlay) => DefinitionKey::overlay(&overlay.id()),
            Definition::Blob(hash, _) => DefinitionKey::blob(hash),
        }
    }

    /// The action, if it is one.
    pub fn as_action(&self) -> Option<&Arc<ActionDescription>> {
        match self {
            Definition::Action(action) => Some(action),
            _ => None,
        }
    }

    /// The artifacts that it consists of.
    // Direct ones only: what these consist of is in definitions of their own.
    pub fn parts(&self) -> Vec<&Artifact> {
        match self {
            Definition::Action(action) => action.inputs.values().filter_map(|v| v.as_artifact()).collect(),
            Definition::Tree(tree) => tree.stage().values().filter_map(|v| v.as_artifact()).collect(),
            Definition::Overlay(overlay) => overlay.trees().iter().collect(),
            // An artifact names its content by the hash, so a blob has no parts.
            Definition::Blob(..) => Vec::new(),
        }
    }
}

impl Interned for Definition {
    const NAME: &'static str = "definition";

    fn hash(&self) -> Hash {
        self.name().0
    }

    /// The kind as a number, then the encoding of [`Encoder`]; of a blob, its hash as bytes and the text.
    fn encode(&self, out: &mut Vec<u8>) {
        let mut e = Encoder::new();
        // The kind is in the key, too, but `decode` gets the bytes only.
        e.number(self.name().0.0[0].into());
        let is_whole = match self {
            Definition::Action(action) => e.action(action),
            Definition::Tree(tree) => e.map(tree.stage()),
            Definition::Overlay(overlay) => {
                e.overlay(overlay);
                true
            }
            Definition::Blob(hash, content) => {
                e.bytes(hash.as_bytes());
                e.text(content);
                true
            }
        };
        // A definition that is nested too deeply to be written is missing for a later process, which then analyses its
        // target again.
        if is_whole {
            out.extend(e.finish());
        }
    }

    fn decode(bytes: &[u8]) -> Option<Definition> {
        let mut d = Decoder::new(bytes);
        let kind = d.number()?;
        let definition = match Kind::ALL.into_iter().find(|known| *known as u64 == kind)? {
            Kind::Action => Definition::Action(Arc::new(d.action()?)),
            Kind::Tree => Definition::Tree(d.tree()?),
            Kind::Overlay => Definition::Overlay(d.overlay()?),
            Kind::Blob => Definition::Blob(Digest::from_bytes(d.bytes()?)?, d.text()?),
        };
        // Left-over bytes mean damage: then the definition counts as missing.
        d.is_done().then_some(definition)
    }
}

#[cfg(test)]
mod tests {
    use taut_value::{Map, Value};

    use super::*;

    fn samples() -> Vec<Definition> {
        let mut action = ActionDescription::default();
        action.outs.push("o".into());
        action.command.push("true".into());
        let output = Artifact::Action { id: action.id(), path: "o".into() };
        let stage: Map = [("a", Value::artifact(output))].into_iter().collect();
        let tree = Tree::new(stage);
        let overlay = TreeOverlay::new(vec![tree.artifact()], true);
        vec![
            Definition::Action(Arc::new(action)),
            Definition::Tree(tree),
            Definition::Overlay(overlay),
            Definition::Blob(taut_digest::HashFunction::GitSha1.blob(b"text"), "text".into()),
        ]
    }

    #[test]
    fn a_definition_is_decoded_as_it_was_encoded() {
        for (definition, kind) in samples().iter().zip(Kind::ALL) {
            let mut bytes = Vec::new();
            definition.encode(&mut bytes);
            let read = Definition::decode(&bytes).unwrap();
            assert_eq!((read.name(), read.name().kind()), (definition.name(), Some(kind)));
            assert!((0..bytes.len()).all(|end| Definition::decode(&bytes[..end]).is_none()));
        }
    }

    #[test]
    fn definitions_are_written_as_specified() {
        let bytes_of = |definition: &Definition| {
            let mut bytes = Vec::new();
            definition.encode(&mut bytes);
            bytes
        };
        let samples = samples();
        let Definition::Action(action) = &samples[0] else { panic!("an action") };
        let id = action.id().0;
        // The timeout has a scale; a new id; one output, no directories, one word; the scale. Then three maps; those
        // that share memory are written once.
        let scale = action.timeout_scale.to_bits().to_le_bytes();
        let head = [&b"\x00\x02\x00"[..], &id, b"\x01\x00\x01o\x00\x01\x00\x04true", &scale].concat();
        assert_eq!(bytes_of(&samples[0])[..head.len()], head);
        let artifact = [&b"\x00\x01\x00\x01a\x05\x02"[..], &id, b"\x00\x01o"].concat();
        assert_eq!(bytes_of(&samples[1]), [&b"\x01"[..], &artifact].concat());
        let Definition::Tree(tree) = &samples[1] else { panic!("a tree") };
        assert_eq!(bytes_of(&samples[2]), [&b"\x02\x01\x01\x04"[..], &tree.id().0].concat());
        let hash = taut_digest::HashFunction::GitSha1.blob(b"text");
        assert_eq!(bytes_of(&samples[3]), [&b"\x03\x14"[..], hash.as_bytes(), b"\x00\x04text"].concat());
        assert_eq!(samples[3].name().0.0[..21], [&[3], hash.as_bytes()].concat());
    }

    #[test]
    fn artifacts_name_the_definitions_they_come_from() {
        let samples = samples();
        let of_tree = samples[1].parts();
        assert_eq!(DefinitionKey::of_artifact(of_tree[0]), Some(samples[0].name()));
        assert_eq!(DefinitionKey::of_artifact(samples[2].parts()[0]), Some(samples[1].name()));
        assert_eq!(
            DefinitionKey::of_artifact(&Artifact::Local { path: "p".into(), repository: "".into() }),
            None
        );
    }
}
