//! The result of an export target as the text of an entry of the target-level cache, in the reference's format.
//!
//! Artifacts are known objects: what is cached is what was built, not how (*extensional* equality, docs/equality.md).
//! Provided data is a graph of values, each once under its id, so that what is shared is written once, and a graph of
//! nodes is never unfolded into a tree. As JSON cannot distinguish an artifact from a map that looks like one, the ids
//! of artifacts, nodes and results are listed. Ids are those of the values before artifacts were replaced; a reader
//! compares them and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use taut_digest::{Digest, Hash, ObjectInfo, ObjectType};
use taut_expr::json_to_value;
use taut_syntax::{Document, Kind, json::Node as Json, quoted};
use taut_value::{Artifact, Id, JsonMode, JsonWriter, Map, Node, Str, TargetResult, Value, deep};

/// The result of an export target, and the keys of the export targets below it.
#[derive(Clone, Debug)]
pub struct CachedTarget {
    /// The result; all artifacts in it are known.
    pub result: TargetResult,
    /// Whether the entry has `null` in place of the map of what it provides ([`crate::AnalysedTarget::provides_null`]).
    pub provides_null: bool,
    /// The keys of the entries that belong to it: of the export targets below it, and its own.
    pub implied: BTreeSet<Hash>,
}

/// The artifacts in a result: staged, and in what it provides. Each once, in a stable order.
pub fn artifacts_of(result: &TargetResult) -> Vec<Artifact> {
    let mut found = ArtifactCollector::default();
    let parts = [&result.artifacts, &result.runfiles, &result.provides];
    // In reverse, since the last one is taken first.
    let mut pending: Vec<Value> = parts.into_iter().rev().cloned().map(Value::Map).collect();
    while let Some(value) = pending.pop() {
        match value {
            Value::Artifact(artifact) if found.artifacts.insert((*artifact).clone()) => {
                found.in_order.push((*artifact).clone());
            }
            // By their ids, so that nothing that is shared is looked at twice.
            Value::List(list) if found.seen.insert(list.id()) => pending.extend(list.iter().rev().cloned()),
            Value::Map(map) if found.seen.insert(map.id()) => pending.extend(map.values().rev().cloned()),
            Value::Result(result) => {
                let parts = [&result.provides, &result.runfiles, &result.artifacts];
                pending.extend(parts.into_iter().cloned().map(Value::Map));
            }
            Value::Node(Node::Value(result)) => pending.push(Value::Result(result)),
            Value::Node(Node::Abstract(node)) => pending.push(Value::Map(node.target_fields.clone())),
            _ => {}
        }
    }
    found.in_order
}

#[derive(Default)]
struct ArtifactCollector {
    seen: HashSet<Id>,
    artifacts: HashSet<Artifact>,
    in_order: Vec<Artifact>,
}

/// A value of the graph; those below it by id.
enum Piece {
    Plain(Value),
    Artifact(ObjectInfo),
    List(Vec<Id>),
    Map(Vec<(Str, Id)>),
    Result { artifacts: Id, runfiles: Id, provides: Id },
    ValueNode(Id),
    AbstractNode { node_type: Str, string_fields: Id, target_fields: Id },
}

/// Collects the graph of a value.
struct Pieces<'k> {
    // Sorted by id: the keys of the object have to be in order, as the text is hashed.
    pieces: BTreeMap<Id, Option<Piece>>,
    artifacts: Vec<Id>,
    nodes: Vec<Id>,
    results: Vec<Id>,
    // A function, since what an artifact was built as is known to `driver`, and not here.
    known: &'k dyn Fn(&Artifact) -> Option<ObjectInfo>,
}

impl Pieces<'_> {
    /// Adds a value, after noting it and before what is below it: the order of the lists is part of the format. `None`
    /// if an artifact is not known.
    fn add(&mut self, value: &Value) -> Option<Id> {
        let id = value.id();
        if self.pieces.contains_key(&id) {
            return Some(id);
        }
        // Before what is below is added: a value that contains itself cannot exist, but one that is shared is reached
        // again, and is then known.
        self.pieces.insert(id, None);
        // Recursion with a stack that grows: how deep values are nested is up to the rules.
        let piece = deep(|| self.piece(value, id))?;
        self.pieces.insert(id, Some(piece));
        Some(id)
    }

    fn piece(&mut self, value: &Value, id: Id) -> Option<Piece> {
        Some(match value {
            Value::Artifact(artifact) => {
                self.artifacts.push(id);
                Piece::Artifact((self.known)(artifact)?)
            }
            Value::List(list) => Piece::List(list.iter().map(|item| self.add(item)).collect::<Option<_>>()?),
            Value::Map(map) => Piece::Map(
                map.iter()
                    .map(|(key, value)| Some((key.clone(), self.add(value)?)))
                    .collect::<Option<_>>()?,
            ),
            Value::Result(result) => {
                self.results.push(id);
                let mut add = |part: &Map| self.add(&Value::Map(part.clone()));
                let artifacts = add(&result.artifacts)?;
                let runfiles = add(&result.runfiles)?;
                Piece::Result { artifacts, runfiles, provides: add(&result.provides)? }
            }
            Value::Node(Node::Value(result)) => {
                self.nodes.push(id);
                Piece::ValueNode(self.add(&Value::Result(result.clone()))?)
            }
            Value::Node(Node::Abstract(node)) => {
                self.nodes.push(id);
                let string_fields = self.add(&Value::Map(node.string_fields.clone()))?;
                let target_fields = self.add(&Value::Map(node.target_fields.clone()))?;
                Piece::AbstractNode { node_type: node.node_type.clone(), string_fields, target_fields }
            }
            plain => Piece::Plain(plain.clone()),
        })
    }
}

impl Piece {
    fn write(&self, w: &mut JsonWriter) {
        match self {
            Piece::Plain(value) => {
                w.value(value, JsonMode::All);
            }
            Piece::Artifact(info) => {
                Artifact::Known(*info).write_json(w);
            }
            Piece::List(items) => {
                w.strings(items.iter().map(Id::to_hex));
            }
            Piece::Map(entries) => {
                w.object(|w| {
                    for (key, id) in entries {
                        w.key(key).string(id.to_hex());
                    }
                });
            }
            Piece::Result { artifacts, runfiles, provides } => {
                w.object(|w| {
                    w.key("artifact_stage").string(artifacts.to_hex());
                    w.key("provides").string(provides.to_hex());
                    w.key("runfiles").string(runfiles.to_hex());
                });
            }
            Piece::ValueNode(result) => {
                w.object(|w| {
                    w.key("result").string(result.to_hex()).key("type").string("VALUE_NODE");
                });
            }
            Piece::AbstractNode { node_type, string_fields, target_fields } => {
                w.object(|w| {
                    w.key("node_type").string(node_type);
                    w.key("string_fields").string(string_fields.to_hex());
                    w.key("target_fields").string(target_fields.to_hex());
                    w.key("type").string("ABSTRACT_NODE");
                });
            }
        }
    }
}

/// The text of an entry. With `provides_null`, `null` takes the place of what the target provides. `known` returns the
/// object that an artifact was built as. `None` if it does not know one.
pub fn entry_text(
    result: &TargetResult,
    provides_null: bool,
    implied: &BTreeSet<Hash>,
    known: &dyn Fn(&Artifact) -> Option<ObjectInfo>,
) -> Option<String> {
    let objects = |stage: &Map| -> Option<Vec<(Str, ObjectInfo)>> {
        stage.iter().map(|(path, value)| Some((path.clone(), known(value.as_artifact()?)?))).collect()
    };
    // Before the graph is built: an artifact that has no object yet means that there will be no entry, whatever else is
    // in the result.
    let (artifacts, runfiles) = (objects(&result.artifacts)?, objects(&result.runfiles)?);
    let mut graph = Pieces {
        pieces: BTreeMap::new(),
        artifacts: Vec::new(),
        nodes: Vec::new(),
        results: Vec::new(),
        known,
    };
    let entry = match provides_null {
        true => graph.add(&Value::Null)?,
        false => graph.add(&Value::Map(result.provides.clone()))?,
    };
    let mut writer = JsonWriter::pretty(2);
    let stage = |w: &mut JsonWriter, objects: &[(Str, ObjectInfo)]| {
        w.object(|w| {
            for (path, info) in objects {
                Artifact::Known(*info).write_json(w.key(path));
            }
        });
    };
    writer.object(|w| {
        stage(w.key("artifacts"), &artifacts);
        // Left out if there are none: part of the reference's format, as all of this.
        if !implied.is_empty() {
            w.key("implied export targets").strings(implied.iter().map(Hash::to_hex));
        }
        w.key("provides").object(|w| {
            w.key("entry").string(entry.to_hex());
            w.key("nodes").object(|w| {
                // In the order of the ids, which is that of their digits, and so of the keys of the object.
                for (id, piece) in &graph.pieces {
                    if let Some(piece) = piece {
                        piece.write(w.key(&id.to_hex()));
                    }
                }
            });
            let ids = |ids: &[Id]| ids.iter().map(Id::to_hex).collect::<Vec<_>>();
            w.key("provided_artifacts").strings(ids(&graph.artifacts));
            w.key("provided_nodes").strings(ids(&graph.nodes));
            w.key("provided_results").strings(ids(&graph.results));
        });
        stage(w.key("runfiles"), &runfiles);
    });
    Some(writer.finish())
}

/// A text that is not an entry: why.
type Wrong = String;

fn known_object(json: Json<'_>) -> Result<ObjectInfo, Wrong> {
    let read = || {
        // Other types name definitions, which mean nothing in another build.
        if json.get("type")?.as_str()? != "KNOWN" {
            return None;
        }
        let data = json.get("data")?;
        let hash = Hash::from_hex(data.get("id")?.as_str()?).ok()?;
        let size = data.get("size")?.as_number().filter(|size| *size >= 0.0)? as u64;
        // One letter, as in the texts of artifacts in the reference: `f`, `x`, `t`, `l`.
        let object_type = ObjectType::from_letter(data.get("file_type")?.as_str()?.chars().next()?)?;
        Some(ObjectInfo { digest: Digest { hash, size }, object_type })
    };
    read().ok_or_else(|| format!("{} is not a known artifact", shown(json)))
}

/// The beginning of a JSON text, for messages.
fn shown(json: Json<'_>) -> String {
    beginning(json.source())
}

fn beginning(text: &str) -> String {
    const MAX_BYTES: usize = 80;
    match text.len() {
        0..=MAX_BYTES => text.to_owned(),
        _ => format!("{}…", &text[..text.floor_char_boundary(MAX_BYTES)]),
    }
}

fn no_value(id: &str) -> Wrong {
    format!("there is no value {}", beginning(id))
}

/// The kind of a value with its article, for messages.
fn of_kind(value: &Value) -> String {
    let name = value.type_name();
    let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {name}")
}

fn field<'d>(json: Json<'d>, name: &str) -> Result<Json<'d>, Wrong> {
    json.get(name).ok_or_else(|| format!("it has no {}", quoted(name)))
}

fn stage(json: Json<'_>) -> Result<Map, Wrong> {
    if json.kind() != Kind::Object {
        return Err(format!("{} is not a map of artifacts", shown(json)));
    }
    let entries = json
        .entries()
        .map(|(path, json)| Ok((Str::from(path), Value::artifact(Artifact::Known(known_object(json)?)))));
    Ok(Map::from_entries(entries.collect::<Result<_, Wrong>>()?))
}

fn implied(root: Json<'_>) -> Result<BTreeSet<Hash>, Wrong> {
    let keys = root.get("implied export targets").into_iter().flat_map(Json::items);
    let hash = |key: Json<'_>| key.as_str().and_then(|key| Hash::from_hex(key).ok());
    keys.map(|key| hash(key).ok_or_else(|| format!("{} is not the key of an entry", shown(key)))).collect()
}

fn parse(text: &[u8]) -> Result<Document, Wrong> {
    Document::parse("entry", text)
        .map_err(|error| format!("{}:{}: {}", error.line, error.column, error.message))
}

/// The objects that an entry refers to, and the keys that it implies, without the values in between.
///
/// # Errors
/// It is not an entry.
pub fn entry_references(text: &[u8]) -> Result<(Vec<ObjectInfo>, Vec<Hash>), String> {
    references(parse(text)?.root())
}

fn references(root: Json<'_>) -> Result<(Vec<ObjectInfo>, Vec<Hash>), Wrong> {
    let mut objects = Vec::new();
    for part in ["artifacts", "runfiles"] {
        for (_, json) in field(root, part)?.entries() {
            objects.push(known_object(json)?);
        }
    }
    let provides = field(root, "provides")?;
    let nodes = field(provides, "nodes")?;
    for id in field(provides, "provided_artifacts")?.items() {
        // Only artifacts are looked up: an entry can be kept complete without building its values.
        let named = id.as_str().and_then(|id| nodes.get(id));
        objects.push(known_object(named.ok_or_else(|| no_value(&shown(id)))?)?);
    }
    Ok((objects, implied(root)?.into_iter().collect()))
}

/// What kind of value an object of the graph is.
#[derive(Clone, Copy)]
enum Listed {
    Artifact,
    Node,
    Result,
}

/// Reads the graph of values of an entry.
struct Values<'d> {
    nodes: Json<'d>,
    listed: HashMap<&'d str, Listed>,
    // A shared value is built once, so the graph costs its size, however often parts occur.
    read: HashMap<&'d str, Value>,
}

impl<'d> Values<'d> {
    fn json(&self, id: &str) -> Result<Json<'d>, Wrong> {
        self.nodes.get(id).ok_or_else(|| no_value(id))
    }

    /// The ids of what is directly below a value.
    fn below(&self, id: &str) -> Result<Vec<&'d str>, Wrong> {
        let json = self.json(id)?;
        let all: Vec<Json<'d>> = match (json.kind(), self.listed.get(id)) {
            (Kind::Object, Some(Listed::Artifact)) => Vec::new(),
            (Kind::Object, Some(Listed::Result)) => {
                vec![field(json, "artifact_stage")?, field(json, "runfiles")?, field(json, "provides")?]
            }
            (Kind::Object, Some(Listed::Node)) => match field(json, "type")?.as_str() {
                Some("VALUE_NODE") => vec![field(json, "result")?],
                Some("ABSTRACT_NODE") => vec![field(json, "string_fields")?, field(json, "target_fields")?],
                _ => return Err(format!("{} is not a node", shown(json))),
            },
            (Kind::Object, None) => json.entries().map(|(_, value)| value).collect(),
            (Kind::List, _) => json.items().collect(),
            _ => Vec::new(),
        };
        let text = |json: Json<'d>| json.as_str().ok_or_else(|| format!("{} is not an id", shown(json)));
        all.into_iter().map(text).collect()
    }

    /// The value of an id that is below another one, and so was read before.
    fn of(&self, id: Option<Json<'d>>) -> Result<Value, Wrong> {
        let read = id.and_then(|id| self.read.get(id.as_str()?)).cloned();
        read.ok_or_else(|| no_value(&id.map(shown).unwrap_or_default()))
    }

    fn map(&self, id: Option<Json<'d>>) -> Result<Map, Wrong> {
        match self.of(id)? {
            Value::Map(map) => Ok(map),
            other => Err(format!("there is {} in the place of a map", of_kind(&other))),
        }
    }

    fn value(&self, id: &str) -> Result<Value, Wrong> {
        let json = self.json(id)?;
        match (json.kind(), self.listed.get(id)) {
            (Kind::Object, Some(Listed::Artifact)) => {
                Ok(Value::artifact(Artifact::Known(known_object(json)?)))
            }
            (Kind::Object, Some(Listed::Result)) => {
                let map = |name| self.map(json.get(name));
                let (artifacts, runfiles) = (map("artifact_stage")?, map("runfiles")?);
                // Checked, since all that uses a result relies on it, and the entry may be written by another tool.
                if artifacts.values().chain(runfiles.values()).any(|value| value.as_artifact().is_none()) {
                    return Err(format!("{} stages something that is not an artifact", shown(json)));
                }
                Ok(Value::Result(TargetResult::new(artifacts, runfiles, map("provides")?)))
            }
            (Kind::Object, Some(Listed::Node)) => Ok(Value::Node(self.node(json)?)),
            (Kind::Object, None) => {
                let entries = json.entries().map(|(key, value)| Ok((Str::from(key), self.of(Some(value))?)));
                Ok(Value::Map(Map::from_entries(entries.collect::<Result<_, Wrong>>()?)))
            }
            (Kind::List, _) => {
                let items = json.items().map(|item| self.of(Some(item)));
                Ok(Value::List(items.collect::<Result<Vec<_>, Wrong>>()?.into()))
            }
            // Strings, numbers, booleans and null stand for themselves.
            _ => Ok(json_to_value(json)),
        }
    }

    fn node(&self, json: Json<'d>) -> Result<Node, Wrong> {
        if json.get("type").and_then(Json::as_str) == Some("VALUE_NODE") {
            return match self.of(json.get("result"))? {
                Value::Result(result) => Ok(Node::Value(result)),
                other => Err(format!("there is {} in the place of a result", of_kind(&other))),
            };
        }
        let node_type = json.get("node_type").and_then(Json::as_str);
        let node_type = node_type.ok_or_else(|| format!("{} has no type", shown(json)))?;
        let (string_fields, target_fields) =
            (self.map(json.get("string_fields"))?, self.map(json.get("target_fields"))?);
        let all_are = |fields: &Map, is: fn(&Value) -> bool| {
            fields.values().all(|list| list.as_list().is_some_and(|list| list.iter().all(is)))
        };
        // `Node::new_abstract` relies on this, and the entry may be written by another tool.
        let are_right = all_are(&string_fields, |value| value.as_str().is_some())
            && all_are(&target_fields, |value| value.as_node().is_some())
            && string_fields.keys().all(|field| !target_fields.contains_key(field));
        match are_right {
            true => Ok(Node::new_abstract(node_type.into(), string_fields, target_fields)),
            false => Err(format!("{} has wrong fields", shown(json))),
        }
    }

    /// The value of an id, with all below it. Without recursion: depth is data.
    fn read(&mut self, top: &'d str) -> Result<Value, Wrong> {
        // The values that are being read, each below the one before it, with what is to be read below it.
        let mut path = vec![(top, self.below(top)?.into_iter())];
        let mut open: HashSet<&'d str> = HashSet::from([top]);
        while let Some((id, below)) = path.last_mut() {
            let id = *id;
            match below.next() {
                Some(next) if self.read.contains_key(next) => {}
                Some(next) if !open.insert(next) => {
                    return Err(format!("the value {next} contains itself"));
                }
                Some(next) => path.push((next, self.below(next)?.into_iter())),
                None => {
                    let value = self.value(id)?;
                    self.read.insert(id, value);
                    // Only values that are being read can be part of a cycle; one that is complete may be shared.
                    open.remove(id);
                    path.pop();
                }
            }
        }
        self.read.get(top).cloned().ok_or_else(|| no_value(top))
    }
}

/// Reads the text of an entry.
///
/// # Errors
/// Why the text is not an entry.
pub fn read_entry(text: &[u8]) -> Result<CachedTarget, String> {
    let document = parse(text)?;
    let root = document.root();
    // So what can be read can be kept, too.
    references(root)?;
    let (artifacts, runfiles) = (stage(field(root, "artifacts")?)?, stage(field(root, "runfiles")?)?);
    let provides = field(root, "provides")?;
    let mut listed = HashMap::new();
    for (list, kind) in [
        ("provided_artifacts", Listed::Artifact),
        ("provided_nodes", Listed::Node),
        ("provided_results", Listed::Result),
    ] {
        listed.extend(field(provides, list)?.items().filter_map(|id| Some((id.as_str()?, kind))));
    }
    let mut values = Values { nodes: field(provides, "nodes")?, listed, read: HashMap::new() };
    let entry = field(provides, "entry")?;
    let entry = entry.as_str().ok_or_else(|| format!("{} is not an id", shown(entry)))?;
    let (provides, provides_null) = match values.read(entry)? {
        Value::Map(provides) => (provides, false),
        // What just 1.6.5 writes for a directory that is exported as a tree.
        Value::Null => (Map::default(), true),
        other => return Err(format!("it provides {}, not a map", of_kind(&other))),
    };
    let result = TargetResult::new(artifacts, runfiles, provides);
    Ok(CachedTarget { result, provides_null, implied: implied(root)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries that just 1.6.5 wrote, as it wrote them.
    const RECORDED: [&str; 4] = [
        include_str!("cached_target/graph.json"),
        include_str!("cached_target/nested.json"),
        include_str!("cached_target/source.json"),
        include_str!("cached_target/tree.json"),
    ];

    /// What was read is written in the same way, but for the ids: those of the reference are of values with actions.
    #[test]
    fn entries_of_the_reference_are_read_and_written_again() {
        for text in RECORDED {
            let read = read_entry(text.as_bytes()).unwrap();
            let known = |artifact: &Artifact| match artifact {
                Artifact::Known(info) => Some(*info),
                _ => None,
            };
            let written = entry_text(&read.result, read.provides_null, &read.implied, &known).unwrap();
            let again = read_entry(written.as_bytes()).unwrap();
            assert_eq!(again.provides_null, text == RECORDED[3]);
            if read.provides_null {
                assert_eq!(written, text.trim_end());
            }
            assert_eq!((&again.result, &again.implied), (&read.result, &read.implied));
            let mut objects = entry_references(text.as_bytes()).unwrap().0;
            objects.sort();
            objects.dedup();
            let mut found: Vec<ObjectInfo> = artifacts_of(&read.result).iter().filter_map(known).collect();
            found.sort();
            assert_eq!(objects, found);
            // Ids aside, the texts are of equal length.
            let of_nodes = |text: &str| text.matches("_NODE\"").count();
            assert_eq!(of_nodes(&written), of_nodes(text));
        }
    }

    #[test]
    fn shared_nodes_are_written_once() {
        let mut node = Node::Value(TargetResult::of_artifacts(Map::default()));
        for depth in 0..1000 {
            let below = Value::list([Value::Node(node.clone()), Value::Node(node)]);
            let name = Value::list([Value::string(format!("{depth}"))]);
            let (strings, nodes) = ([("name", name)], [("deps", below)]);
            node = Node::new_abstract("t".into(), strings.into_iter().collect(), nodes.into_iter().collect());
        }
        let provides: Map = [("node", Value::list([Value::Node(node)]))].into_iter().collect();
        let result = TargetResult::new(Map::default(), Map::default(), provides);
        let text = entry_text(&result, false, &BTreeSet::new(), &|_| None).unwrap();
        assert!(text.len() < 2_000_000, "{}", text.len());
        assert_eq!(read_entry(text.as_bytes()).unwrap().result, result);
    }

    #[test]
    fn what_is_no_entry_is_refused_with_the_reason() {
        let entry = |nodes: &str, lists: [&str; 3]| {
            let [artifacts, of_nodes, results] = lists;
            format!(
                r#"{{"artifacts": {{}}, "runfiles": {{}}, "provides": {{"entry": "e", "nodes": {nodes}, "provided_artifacts": [{artifacts}], "provided_nodes": [{of_nodes}], "provided_results": [{results}]}}}}"#
            )
        };
        let wrong = |text: String| read_entry(text.as_bytes()).unwrap_err();
        let plain = ["", "", ""];
        assert_eq!(wrong("{".into()), "1:1: this { is never closed");
        assert_eq!(wrong("{}".into()), "it has no \"artifacts\"");
        assert_eq!(wrong(entry("{}", plain)), "there is no value e");
        assert_eq!(wrong(entry(r#"{"e": {"x": "e"}}"#, plain)), "the value e contains itself");
        assert_eq!(
            wrong(entry(r#"{"e": {"x": "l"}, "l": ["m"], "m": ["l"]}"#, plain)),
            "the value l contains itself"
        );
        assert_eq!(wrong(entry(r#"{"e": []}"#, plain)), "it provides a list, not a map");
        assert_eq!(wrong(entry(r#"{"e": {"x": 1}}"#, plain)), "1 is not an id");
        let local = r#"{"e": {"x": "a"}, "a": {"type": "LOCAL", "data": {"path": "p", "repository": ""}}}"#;
        assert!(wrong(entry(local, ["\"a\"", "", ""])).ends_with("is not a known artifact"));
        let node = r#"{"e": {"x": "n"}, "n": {"type": "VALUE_NODE", "result": "e2"}, "e2": {}}"#;
        assert_eq!(wrong(entry(node, ["", "\"n\"", ""])), "there is a map in the place of a result");
        let staged = r#"{"e": {"x": "r"}, "r": {"artifact_stage": "s", "runfiles": "m", "provides": "m"}, "s": {"p": "m"}, "m": {}}"#;
        assert!(
            wrong(entry(staged, ["", "", "\"r\""])).ends_with("stages something that is not an artifact")
        );
    }
}
