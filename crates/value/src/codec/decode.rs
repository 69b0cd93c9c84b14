//! Decoding of values from untrusted bytes: every count is checked against the number of bytes that are left.

use std::sync::Arc;

use taut_digest::{Digest, Hash, ObjectInfo, ObjectType};

use crate::{
    AbstractNode, ActionDescription, AnonymousTarget, Artifact, EntityName, Id, List, Map, NamedTarget, Node,
    ReferenceType, Str, TargetResult, Tree, TreeOverlay, Value, deep,
};

/// Reads values; every method returns `None` for bytes that no [`crate::Encoder`] wrote.
pub struct Decoder<'b> {
    rest: &'b [u8],
    texts: Vec<Str>,
    ids: Vec<Id>,
    lists: Vec<List>,
    maps: Vec<Map>,
    results: Vec<TargetResult>,
    nodes: Vec<Arc<AbstractNode>>,
}

impl<'b> Decoder<'b> {
    /// A decoder at the beginning of the bytes.
    pub fn new(bytes: &'b [u8]) -> Decoder<'b> {
        Decoder {
            rest: bytes,
            texts: Vec::new(),
            ids: Vec::new(),
            lists: Vec::new(),
            maps: Vec::new(),
            results: Vec::new(),
            nodes: Vec::new(),
        }
    }

    /// Whether all bytes were read.
    pub fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*array)
    }

    /// A number.
    /// LEB128, as Protocol Buffers' varint; at most ten bytes.
    pub fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        // Bits of the tenth byte beyond 64 are lost, which is harmless: encodings of numbers are not compared.
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// The number of items that follow; not more than there are bytes, since each item has at least one.
    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|count| *count <= self.rest.len())
    }

    /// A truth value.
    pub fn bool(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// An id.
    pub fn id(&mut self) -> Option<Id> {
        self.array().map(Id)
    }

    /// The id behind a tag of [`crate::Encoder::tagged_id`].
    fn id_by(&mut self, is_known: bool) -> Option<Id> {
        // Ids are numbered from 0: the tag has already shown whether an id or a number follows.
        if is_known {
            let number = self.number()?;
            return self.ids.get(usize::try_from(number).ok()?).copied();
        }
        let id = self.id()?;
        self.ids.push(id);
        Some(id)
    }

    /// An object.
    pub fn object(&mut self) -> Option<ObjectInfo> {
        let object_type = ObjectType::from_letter(char::from(self.byte()?))?;
        let len = usize::from(self.byte()?);
        let (hash, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        let hash = Hash::from_bytes(hash)?;
        let size = self.number()?;
        Some(ObjectInfo { digest: Digest { hash, size }, object_type })
    }

    /// A text.
    pub fn text(&mut self) -> Option<Str> {
        // 0: the text follows. Otherwise the number of an earlier one, from 1; the same for containers.
        if let Some(known) = self.number()?.checked_sub(1) {
            return self.texts.get(known as usize).cloned();
        }
        let len = self.count()?;
        let (text, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        let text: Str = std::str::from_utf8(text).ok()?.into();
        self.texts.push(text.clone());
        Some(text)
    }

    /// Bytes that are not text.
    pub fn bytes(&mut self) -> Option<&'b [u8]> {
        let len = self.count()?;
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }

    /// Several texts.
    pub fn texts(&mut self) -> Option<Vec<Str>> {
        let count = self.count()?;
        (0..count).map(|_| self.text()).collect()
    }

    /// A value.
    pub fn value(&mut self) -> Option<Value> {
        Some(match self.byte()? {
            0 => Value::Null,
            1 => Value::Bool(false),
            2 => Value::Bool(true),
            3 => Value::Number(f64::from_bits(u64::from_le_bytes(self.array()?))),
            4 => Value::String(self.text()?),
            5 => Value::artifact(self.artifact()?),
            6 => Value::Result(self.result()?),
            7 => Value::Node(self.node()?),
            8 => Value::Name(self.name()?),
            9 => Value::List(self.list()?),
            10 => Value::Map(self.map()?),
            _ => return None,
        })
    }

    fn list(&mut self) -> Option<List> {
        if let Some(known) = self.number()?.checked_sub(1) {
            return self.lists.get(known as usize).cloned();
        }
        let count = self.count()?;
        // The bytes are untrusted, so this may be nested as deeply as there are bytes: `deep` keeps that from
        // overflowing the stack.
        let items = deep(|| (0..count).map(|_| self.value()).collect::<Option<Vec<_>>>())?;
        let list = List::from(items);
        // A container is counted when it is complete, so after all that it contains, as `Encoder` does.
        self.lists.push(list.clone());
        Some(list)
    }

    /// A map.
    pub fn map(&mut self) -> Option<Map> {
        if let Some(known) = self.number()?.checked_sub(1) {
            return self.maps.get(known as usize).cloned();
        }
        let count = self.count()?;
        let entry = |_| Some((self.text()?, self.value()?));
        let entries = deep(|| (0..count).map(entry).collect::<Option<Vec<_>>>())?;
        // Written in order. It is checked again, since lookups in a map rely on it and damaged bytes may have any
        // order.
        let map = Map::from_entries(entries);
        self.maps.push(map.clone());
        Some(map)
    }

    /// The result of a target.
    pub fn result(&mut self) -> Option<TargetResult> {
        if let Some(known) = self.number()?.checked_sub(1) {
            return self.results.get(known as usize).cloned();
        }
        let (artifacts, runfiles, provides) = deep(|| Some((self.map()?, self.map()?, self.map()?)))?;
        let result = TargetResult::new(artifacts, runfiles, provides);
        self.results.push(result.clone());
        Some(result)
    }

    fn node(&mut self) -> Option<Node> {
        if !self.bool()? {
            return self.result().map(Node::Value);
        }
        if let Some(known) = self.number()?.checked_sub(1) {
            return self.nodes.get(known as usize).cloned().map(Node::Abstract);
        }
        let node_type = self.text()?;
        let (string_fields, target_fields) = deep(|| Some((self.map()?, self.map()?)))?;
        let node = Node::new_abstract(node_type, string_fields, target_fields);
        if let Node::Abstract(node) = &node {
            self.nodes.push(node.clone());
        }
        Some(node)
    }

    /// A named target.
    pub fn named(&mut self) -> Option<NamedTarget> {
        let reference = match self.byte()? {
            0 => ReferenceType::Target,
            1 => ReferenceType::File,
            2 => ReferenceType::Tree,
            3 => ReferenceType::Glob,
            4 => ReferenceType::Symlink,
            _ => return None,
        };
        // Written with their number, which is always three.
        let [repository, module, name] = self.texts()?.try_into().ok()?;
        // The module was normalised before it was written.
        Some(NamedTarget::from_parts(repository, module, name, reference))
    }

    /// The name of a target.
    pub fn name(&mut self) -> Option<EntityName> {
        Some(if self.bool()? {
            let (rule_map, node) = deep(|| Some((self.map()?, self.node()?)))?;
            EntityName::Anonymous(AnonymousTarget { rule_map, node })
        } else {
            EntityName::Named(self.named()?)
        })
    }

    /// An artifact.
    pub fn artifact(&mut self) -> Option<Artifact> {
        Some(match self.byte()? {
            0 => Artifact::Local { path: self.text()?, repository: self.text()? },
            1 => Artifact::Known(self.object()?),
            tag @ (2 | 3) => Artifact::Action { id: self.id_by(tag == 3)?, path: self.text()? },
            tag @ (4 | 5) => Artifact::Tree(self.id_by(tag == 5)?),
            tag @ (6 | 7) => Artifact::TreeOverlay(self.id_by(tag == 7)?),
            _ => return None,
        })
    }

    /// An action.
    pub fn action(&mut self) -> Option<ActionDescription> {
        // Other bits are not written: they mean damage.
        let flags = self.byte().filter(|flags| *flags < 16)?;
        let has = |place: u8| flags & 1 << place != 0;
        let is_known = self.bool()?;
        let id = self.id_by(is_known)?;
        let mut action = ActionDescription::default();
        action.outs = self.texts()?;
        action.out_dirs = self.texts()?;
        action.command = self.texts()?;
        action.no_cache = has(0);
        action.timeout_scale = if has(1) { f64::from_bits(u64::from_le_bytes(self.array()?)) } else { 1.0 };
        action.may_fail = if has(2) { Some(self.text()?) } else { None };
        action.cwd = if has(3) { self.text()? } else { Str::default() };
        action.env = self.map()?;
        action.execution_properties = self.map()?;
        action.inputs = self.map()?;
        // Not compared with the fields: that would cost the hashes that keeping the id saves.
        Some(action.with_id(id))
    }

    /// A tree, from its stage.
    pub fn tree(&mut self) -> Option<Tree> {
        self.map().map(Tree::new)
    }

    /// An overlay.
    pub fn overlay(&mut self) -> Option<TreeOverlay> {
        let disjoint = self.bool()?;
        let count = self.count()?;
        // `collect` reserves at most what the count says, which `count` bounds by the bytes that are left.
        let trees = (0..count).map(|_| self.artifact()).collect::<Option<_>>()?;
        Some(TreeOverlay::new(trees, disjoint))
    }
}
