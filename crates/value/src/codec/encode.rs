//! Encoding of values. Numbers of shared parts are not written: the decoder counts them in the same order.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use taut_digest::ObjectInfo;

use crate::{
    AbstractNode, ActionDescription, AnonymousTarget, Artifact, EntityName, Id, List, Map, NamedTarget, Node,
    ReferenceType, Str, TargetResult, TreeOverlay, Value, deep,
};

/// Writes values.
pub struct Encoder {
    out: Vec<u8>,
    /// The number of bytes after which encoding fails.
    max_bytes: usize,
    /// The number of nodes, if unfolded, beyond which encoding a node fails.
    max_nodes: u32,
    /// The numbers of the texts and containers written so far; containers by their address.
    // By content, unlike containers: equal texts are mostly separate objects, and comparing them is cheap.
    texts: FxHashMap<Str, u64>,
    ids: FxHashMap<Id, u64>,
    // By address: comparing contents would need their ids, and what is shared is shared as an object.
    lists: FxHashMap<usize, (u64, List)>,
    maps: FxHashMap<usize, (u64, Map)>,
    results: FxHashMap<usize, (u64, TargetResult)>,
    nodes: FxHashMap<usize, (u64, Arc<AbstractNode>)>,
}

/// How deep values may be nested to be written: decoding must not overflow the stack of a process that has less of it.
const MAX_DEPTH: u32 = 10_000;

impl Default for Encoder {
    fn default() -> Self {
        Encoder::new()
    }
}

impl Encoder {
    /// An encoder without limits.
    pub fn new() -> Encoder {
        Encoder::limited(usize::MAX, u32::MAX)
    }

    /// An encoder with limits: soon after `max_bytes` bytes, or at a node that would be more than `max_nodes` nodes if
    /// nothing were shared, it stops, and the methods return `false`. A node is written with all nodes below it, so
    /// writing each node of a graph separately takes quadratic time.
    pub fn limited(max_bytes: usize, max_nodes: u32) -> Encoder {
        Encoder {
            // Most encodings here are keys and small values.
            out: Vec::with_capacity(max_bytes.min(512)),
            max_bytes,
            max_nodes,
            texts: FxHashMap::default(),
            ids: FxHashMap::default(),
            lists: FxHashMap::default(),
            maps: FxHashMap::default(),
            results: FxHashMap::default(),
            nodes: FxHashMap::default(),
        }
    }

    /// The bytes.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    /// A number.
    /// LEB128, as Protocol Buffers' varint: seven bits per byte, the lowest first.
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

    /// An id with its tag; or, if it was written before, the next tag and its number.
    // The tag itself has the bit, so a new id does not need the mark that new texts and containers have.
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
        // 20 or 32, by the hash function.
        self.out.push(hash.len() as u8);
        self.out.extend(hash);
        self.number(digest.size);
    }

    /// A text.
    pub fn text(&mut self, text: &Str) {
        // 0 marks a new text.
        if let Some(number) = self.texts.get(text) {
            return self.number(*number);
        }
        self.number(0);
        self.number(text.len() as u64);
        self.out.extend(text.as_bytes());
        self.texts.insert(text.clone(), self.texts.len() as u64 + 1);
    }

    /// Bytes that are not text, such as a path: their number, and the bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.out.extend(bytes);
    }

    /// Several texts.
    pub fn texts<'t>(&mut self, texts: impl IntoIterator<Item = &'t Str, IntoIter: ExactSizeIterator>) {
        let texts = texts.into_iter();
        self.number(texts.len() as u64);
        texts.for_each(|text| self.text(text));
    }

    /// A value. Returns `false` if it is nested too deeply or a limit was reached; then all bytes written are invalid.
    pub fn value(&mut self, value: &Value) -> bool {
        self.value_at(value, 0)
    }

    fn value_at(&mut self, value: &Value, depth: u32) -> bool {
        // Before each value only: a single long text may exceed the limit.
        if self.out.len() > self.max_bytes {
            return false;
        }
        match value {
            Value::Null => self.out.push(0),
            // The tags are specified in docs/store.md, and `Decoder::value` has the same ones.
            Value::Bool(truth) => self.out.push(1 + u8::from(*truth)),
            Value::Number(number) => {
                self.out.push(3);
                // As bits: 0.0 and -0.0 are different values.
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

    /// Writes the number of a container that was written before and returns true; otherwise writes the mark of a new
    /// one.
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
        if depth > MAX_DEPTH || !deep(|| list.iter().all(|item| self.value_at(item, depth + 1))) {
            return false;
        }
        let number = self.lists.len() as u64 + 1;
        // The clone keeps the list alive, so that its address is not used for another one while this encoder exists.
        // The same holds for the other containers.
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
        if depth > MAX_DEPTH || !deep(|| map.iter().all(&mut entry)) {
            return false;
        }
        self.maps.insert(address, (self.maps.len() as u64 + 1, map.clone()));
        true
    }

    /// The result of a target.
    pub fn result(&mut self, result: &TargetResult) -> bool {
        self.result_at(result, 0)
    }

    fn result_at(&mut self, result: &TargetResult, depth: u32) -> bool {
        // The maps are inside the shared allocation, so the address of the first one identifies it.
        let address = std::ptr::from_ref(&result.artifacts) as usize;
        let shared = self.results.get(&address).map(|(number, _)| *number);
        if self.known(shared) {
            return true;
        }
        let maps = [&result.artifacts, &result.runfiles, &result.provides];
        if depth > MAX_DEPTH || !deep(|| maps.into_iter().all(|map| self.map_at(map, depth + 1))) {
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
                if node.unfolded > self.max_nodes {
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
                if depth > MAX_DEPTH || !deep(|| maps.into_iter().all(|map| self.map_at(map, depth + 1))) {
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
        // Almost all actions have the default values of these fields: then they are only flags. Bits are compared, not
        // numbers, so that any number is read back exactly.
        let has_scale = action.timeout_scale.to_bits() != 1.0_f64.to_bits();
        let flags = [action.no_cache, has_scale, action.may_fail.is_some(), !action.cwd.is_empty()];
        self.out.push(flags.iter().rev().fold(0, |bits, flag| bits << 1 | u8::from(*flag)));
        // It follows from the other fields, but to compute it again would take the ids of all inputs.
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
