//! Values as bytes, for what outlives the process.
//!
//! What is shared stays shared: a list, map, result or node is written where it first occurs and referred to
//! by number afterwards, so that a graph whose unfolding is exponential is as small here as in memory; so are texts
//! and the ids of definitions. The form is nobody's business but ours; whoever keeps bytes also keeps which program wrote them.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use taut_digest::{Digest, Hash, ObjectInfo, ObjectType};

use crate::{
    AbstractNode, ActionDescription, AnonymousTarget, Artifact, EntityName, Id, List, Map, NamedTarget, Node,
    ReferenceType, Str, TargetResult, Tree, TreeOverlay, Value, deep,
};

/// Writes values.
pub struct Encoder {
    out: Vec<u8>,
    /// After how many bytes to give up.
    longest: usize,
    /// At a node of how many nodes, unfolded, to give up.
    most_nodes: u32,
    /// Numbers of the texts and containers written so far; containers by their address.
    texts: FxHashMap<Str, u64>,
    ids: FxHashMap<Id, u64>,
    lists: FxHashMap<usize, (u64, List)>,
    maps: FxHashMap<usize, (u64, Map)>,
    results: FxHashMap<usize, (u64, TargetResult)>,
    nodes: FxHashMap<usize, (u64, Arc<AbstractNode>)>,
}

/// Reads values; every method gives `None` for bytes that no [`Encoder`] wrote.
pub struct Decoder<'b> {
    rest: &'b [u8],
    texts: Vec<Str>,
    ids: Vec<Id>,
    lists: Vec<List>,
    maps: Vec<Map>,
    results: Vec<TargetResult>,
    nodes: Vec<Arc<AbstractNode>>,
}

/// How deep values may be nested to be written: reading them again must not overflow the stack of a
/// process with less of it.
const DEPTH: u32 = 10_000;

impl Default for Encoder {
    fn default() -> Self {
        Encoder::new()
    }
}

impl Encoder {
    /// Nothing written yet.
    pub fn new() -> Encoder {
        Encoder::limited(usize::MAX, u32::MAX)
    }

    /// Nothing written yet; soon after `longest` bytes, or at a node that would be more than `most_nodes` nodes
    /// were none shared, it gives up, and writing says `false`. All that is below a node is part of it, so to
    /// write each node of a graph is quadratic.
    pub fn limited(longest: usize, most_nodes: u32) -> Encoder {
        Encoder {
            out: Vec::with_capacity(longest.min(512)),
            longest,
            most_nodes,
            texts: FxHashMap::default(),
            ids: FxHashMap::default(),
            lists: FxHashMap::default(),
            maps: FxHashMap::default(),
            results: FxHashMap::default(),
            nodes: FxHashMap::default(),
        }
    }

    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    /// A number.
    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.out.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.out.push(number as u8);
    }

    /// A truth value.
    pub fn bool(&mut self, truth: bool) {
        self.out.push(u8::from(truth));
    }

    /// An id.
    pub fn id(&mut self, id: &Id) {
        self.out.extend(id.0);
    }

    /// An id by its tag and itself, or, if it was written before, by the tag that follows and its number.
    fn tagged_id(&mut self, tag: u8, id: &Id) {
        if let Some(number) = self.ids.get(id).copied() {
            self.out.push(tag + 1);
            return self.number(number);
        }
        self.out.push(tag);
        self.id(id);
        self.ids.insert(*id, self.ids.len() as u64);
    }

    /// An object.
    pub fn object(&mut self, info: &ObjectInfo) {
        let ObjectInfo { digest, object_type } = info;
        self.out.push(object_type.letter() as u8);
        let hash = digest.hash.as_bytes();
        self.out.push(hash.len() as u8);
        self.out.extend(hash);
        self.number(digest.size);
    }

    /// A text.
    pub fn text(&mut self, text: &Str) {
        // 0 says that a new one follows.
        if let Some(number) = self.texts.get(text) {
            return self.number(*number);
        }
        self.number(0);
        self.number(text.len() as u64);
        self.out.extend(text.as_bytes());
        self.texts.insert(text.clone(), self.texts.len() as u64 + 1);
    }

    /// Several texts.
    pub fn texts<'t>(&mut self, texts: impl IntoIterator<Item = &'t Str, IntoIter: ExactSizeIterator>) {
        let texts = texts.into_iter();
        self.number(texts.len() as u64);
        texts.for_each(|text| self.text(text));
    }

    /// A value; `false` if it is nested too deeply or the limit was reached, then nothing that was written
    /// counts.
    pub fn value(&mut self, value: &Value) -> bool {
        self.value_at(value, 0)
    }

    fn value_at(&mut self, value: &Value, depth: u32) -> bool {
        if self.out.len() > self.longest {
            return false;
        }
        match value {
            Value::Null => self.out.push(0),
            Value::Bool(truth) => self.out.push(1 + u8::from(*truth)),
            Value::Number(number) => {
                self.out.push(3);
                self.out.extend(number.to_bits().to_le_bytes());
            }
            Value::String(text) => {
                self.out.push(4);
                self.text(text);
            }
            Value::Artifact(artifact) => {
                self.out.push(5);
                self.artifact(artifact);
            }
            Value::Result(result) => {
                self.out.push(6);
                return self.result_at(result, depth);
            }
            Value::Node(node) => {
                self.out.push(7);
                return self.node_at(node, depth);
            }
            Value::Name(name) => {
                self.out.push(8);
                return self.name_at(name, depth);
            }
            Value::List(list) => {
                self.out.push(9);
                return self.list_at(list, depth);
            }
            Value::Map(map) => {
                self.out.push(10);
                return self.map_at(map, depth);
            }
        }
        true
    }

    /// Writes the number of a container that was written before; else says so and gives nothing.
    fn known(&mut self, number: Option<u64>) -> bool {
        self.number(number.unwrap_or(0));
        number.is_some()
    }

    fn list_at(&mut self, list: &List, depth: u32) -> bool {
        let address = list.address();
        let shared = self.lists.get(&address).map(|(number, _)| *number);
        if self.known(shared) {
            return true;
        }
        self.number(list.len() as u64);
        if depth > DEPTH || !deep(|| list.iter().all(|item| self.value_at(item, depth + 1))) {
            return false;
        }
        let number = self.lists.len() as u64 + 1;
        self.lists.insert(address, (number, list.clone()));
        true
    }

    /// A map.
    pub fn map(&mut self, map: &Map) -> bool {
        self.map_at(map, 0)
    }

    fn map_at(&mut self, map: &Map, depth: u32) -> bool {
        let address = map.address();
        let shared = self.maps.get(&address).map(|(number, _)| *number);
        if self.known(shared) {
            return true;
        }
        self.number(map.len() as u64);
        let mut entry = |(key, value): (&Str, &Value)| {
            self.text(key);
            self.value_at(value, depth + 1)
        };
        if depth > DEPTH || !deep(|| map.iter().all(&mut entry)) {
            return false;
        }
        self.maps.insert(address, (self.maps.len() as u64 + 1, map.clone()));
        true
    }

    /// What a target offers.
    pub fn result(&mut self, result: &TargetResult) -> bool {
        self.result_at(result, 0)
    }

    fn result_at(&mut self, result: &TargetResult, depth: u32) -> bool {
        let address = std::ptr::from_ref(&result.artifacts) as usize;
        let shared = self.results.get(&address).map(|(number, _)| *number);
        if self.known(shared) {
            return true;
        }
        let maps = [&result.artifacts, &result.runfiles, &result.provides];
        if depth > DEPTH || !deep(|| maps.into_iter().all(|map| self.map_at(map, depth + 1))) {
            return false;
        }
        self.results.insert(address, (self.results.len() as u64 + 1, result.clone()));
        true
    }

    fn node_at(&mut self, node: &Node, depth: u32) -> bool {
        match node {
            Node::Value(result) => {
                self.out.push(0);
                self.result_at(result, depth)
            }
            Node::Abstract(node) => {
                if node.unfolded > self.most_nodes {
                    return false;
                }
                self.out.push(1);
                let address = Arc::as_ptr(node) as usize;
                let shared = self.nodes.get(&address).map(|(number, _)| *number);
                if self.known(shared) {
                    return true;
                }
                self.text(&node.node_type);
                let maps = [&node.string_fields, &node.target_fields];
                if depth > DEPTH || !deep(|| maps.into_iter().all(|map| self.map_at(map, depth + 1))) {
                    return false;
                }
                self.nodes.insert(address, (self.nodes.len() as u64 + 1, node.clone()));
                true
            }
        }
    }

    /// A named target.
    pub fn named(&mut self, named: &NamedTarget) {
        self.out.push(match named.reference {
            ReferenceType::Target => 0,
            ReferenceType::File => 1,
            ReferenceType::Tree => 2,
            ReferenceType::Glob => 3,
            ReferenceType::Symlink => 4,
        });
        self.texts([&named.repository, &named.module, &named.name]);
    }

    /// The name of a target.
    pub fn name(&mut self, name: &EntityName) -> bool {
        self.name_at(name, 0)
    }

    fn name_at(&mut self, name: &EntityName, depth: u32) -> bool {
        match name {
            EntityName::Named(named) => {
                self.out.push(0);
                self.named(named);
                true
            }
            EntityName::Anonymous(AnonymousTarget { rule_map, node }) => {
                self.out.push(1);
                self.map_at(rule_map, depth + 1) && self.node_at(node, depth + 1)
            }
        }
    }

    /// An artifact.
    pub fn artifact(&mut self, artifact: &Artifact) {
        match artifact {
            Artifact::Local { path, repository } => {
                self.out.push(0);
                self.text(path);
                self.text(repository);
            }
            Artifact::Known(info) => {
                self.out.push(1);
                self.object(info);
            }
            Artifact::Action { id, path } => {
                self.tagged_id(2, id);
                self.text(path);
            }
            Artifact::Tree(id) => self.tagged_id(4, id),
            Artifact::TreeOverlay(id) => self.tagged_id(6, id),
        }
    }

    /// An action.
    pub fn action(&mut self, action: &ActionDescription) -> bool {
        let has_scale = action.timeout_scale.to_bits() != 1.0_f64.to_bits();
        let flags = [action.no_cache, has_scale, action.may_fail.is_some(), !action.cwd.is_empty()];
        self.out.push(flags.iter().rev().fold(0, |bits, flag| bits << 1 | u8::from(*flag)));
        self.tagged_id(0, &action.id());
        self.texts(&action.outs);
        self.texts(&action.out_dirs);
        self.texts(&action.command);
        if has_scale {
            self.out.extend(action.timeout_scale.to_bits().to_le_bytes());
        }
        action.may_fail.iter().for_each(|message| self.text(message));
        if !action.cwd.is_empty() {
            self.text(&action.cwd);
        }
        self.map(&action.env) && self.map(&action.execution_properties) && self.map(&action.inputs)
    }

    /// An overlay.
    pub fn overlay(&mut self, overlay: &TreeOverlay) {
        self.bool(overlay.disjoint());
        self.number(overlay.trees().len() as u64);
        overlay.trees().iter().for_each(|tree| self.artifact(tree));
    }
}

impl<'b> Decoder<'b> {
    /// Reads from the beginning of the bytes.
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

    /// Whether everything was read.
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
    pub fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// How many things follow; no more than there are bytes.
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

    /// What [`Encoder::tagged_id`] wrote after a tag.
    fn id_by(&mut self, is_known: bool) -> Option<Id> {
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
        let items = deep(|| (0..count).map(|_| self.value()).collect::<Option<Vec<_>>>())?;
        let list = List::from(items);
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
        let map = Map::from_entries(entries);
        self.maps.push(map.clone());
        Some(map)
    }

    /// What a target offers.
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
        let [repository, module, name] = self.texts()?.try_into().ok()?;
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
        let trees = (0..count).map(|_| self.artifact()).collect::<Option<_>>()?;
        Some(TreeOverlay::new(trees, disjoint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(value: &Value) -> Value {
        let mut encoder = Encoder::new();
        assert!(encoder.value(value));
        let bytes = encoder.finish();
        for end in 0..bytes.len() {
            let mut decoder = Decoder::new(&bytes[..end]);
            assert!(decoder.value().is_none() || !decoder.is_done() || end == bytes.len(), "cut at {end}");
        }
        let mut decoder = Decoder::new(&bytes);
        let value = decoder.value().expect("what was written");
        assert!(decoder.is_done());
        value
    }

    fn sample() -> Value {
        let named = NamedTarget::new("r", "m", "n").with_reference(ReferenceType::Glob);
        let info = "[4e3dffe834ac70600a7cb71fbc1f6a694c9d041f:12:x]".parse().unwrap();
        let artifacts = [
            Artifact::Local { path: "p".into(), repository: "r".into() },
            Artifact::Known(info),
            Artifact::Action { id: Id::of("a"), path: "o".into() },
            Artifact::Tree(Id::of("t")),
            Artifact::TreeOverlay(Id::of("o")),
        ];
        let artifacts: Map =
            artifacts.into_iter().enumerate().map(|(at, a)| (at.to_string(), Value::artifact(a))).collect();
        let result = TargetResult::new(artifacts.clone(), Map::default(), artifacts.clone());
        let fields: Map = [("f", Value::list([Value::string("x")]))].into_iter().collect();
        let nodes: Map =
            [("d", Value::list([Value::Node(Node::Value(result.clone()))]))].into_iter().collect();
        let node = Node::new_abstract("type".into(), fields.clone(), nodes);
        let anonymous = AnonymousTarget { rule_map: fields, node: node.clone() };
        Value::list([
            Value::Null,
            Value::Bool(true),
            Value::Bool(false),
            Value::Number(-0.5),
            Value::string("text"),
            Value::string("text"),
            Value::Map(artifacts),
            Value::Result(result),
            Value::Node(node.clone()),
            Value::Node(node),
            Value::Name(EntityName::Named(named)),
            Value::Name(EntityName::Anonymous(anonymous)),
            Value::list([]),
            Value::list([]),
            Value::Map(Map::default()),
        ])
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        assert_eq!(round_trip(&sample()), sample());
    }

    #[test]
    fn sharing_survives() {
        let mut value = Value::string("leaf");
        let mut node = Node::new_abstract("n".into(), Map::default(), Map::default());
        for _ in 0..60 {
            value = Value::list([value.clone(), value]);
            let children = Value::list([Value::Node(node.clone()), Value::Node(node.clone())]);
            node = Node::new_abstract("n".into(), Map::default(), [("c", children)].into_iter().collect());
        }
        let both = Value::list([value, Value::Node(node)]);
        let mut encoder = Encoder::new();
        assert!(encoder.value(&both));
        let bytes = encoder.finish();
        assert!(bytes.len() < 3_000, "{}", bytes.len());
        assert_eq!(Decoder::new(&bytes).value().unwrap(), both);
    }

    #[test]
    fn what_is_too_long_or_has_too_many_nodes_is_not_written() {
        let long = Value::list((0..1_000).map(|n| Value::string(n.to_string())));
        assert!(!Encoder::limited(100, 0).value(&long));
        assert!(Encoder::limited(10_000, 0).value(&long));
        let node = |below: Vec<Value>| {
            let below = [("c", Value::list(below))].into_iter().collect();
            Value::Node(Node::new_abstract("n".into(), Map::default(), below))
        };
        let one = node(vec![]);
        let two = node(vec![one.clone(), one]);
        assert!(!Encoder::limited(10_000, 2).value(&two));
        assert!(Encoder::limited(10_000, 3).value(&two));
    }

    #[test]
    fn what_is_too_deep_is_not_written() {
        let mut value = Value::Null;
        for _ in 0..100_000 {
            value = Value::list([value]);
        }
        assert!(!Encoder::new().value(&value));
    }

    #[test]
    fn damaged_bytes_hurt_nobody() {
        let mut encoder = Encoder::new();
        assert!(encoder.value(&sample()));
        let bytes = encoder.finish();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                let _ = Decoder::new(&damaged).value();
            }
        }
    }
}
