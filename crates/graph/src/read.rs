//! Graphs from JSON text.
//!
//! Definitions are resolved in the order of their dependencies with an explicit stack, so the length of a chain of
//! actions is not limited by the stack of the thread.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use taut_digest::{Digest, Hash, ObjectInfo, ObjectType};
use taut_syntax::json::{Document, Kind as JsonKind, Node};
use taut_value::path::is_non_upwards;
use taut_value::{ActionDescription, Artifact, Id, Map, Str, Tree, TreeOverlay, Value};

use crate::{ActionGraph, GraphAction, Origin};
use taut_syntax::quoted;

/// Why a text is not a graph, or not a stage of one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GraphError {
    /// What is wrong and where; one line.
    pub message: String,
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for GraphError {}

type Result<T> = std::result::Result<T, GraphError>;

/// What a definition defines.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Kind {
    Action,
    Tree,
    Overlay,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Action => "action",
            Kind::Tree => "tree",
            Kind::Overlay => "tree overlay",
        }
    }
}

/// The ids of the definitions, by their keys in the file.
#[derive(Debug, Default)]
// By kind and key: an action and a tree may have the same key.
pub(super) struct Names(HashMap<(Kind, String), Id>);

// Line and column are computed here, in the error: a graph file may have millions of nodes.
fn wrong(node: Node<'_>, what: &str) -> GraphError {
    let (line, column) =
        taut_syntax::json::line_and_column(node.document().text(), node.span().start as usize);
    GraphError { message: format!("{}:{line}:{column}: {what}", node.document().label()) }
}

fn parse(label: &str, bytes: Vec<u8>) -> Result<Document> {
    Document::parse(label, bytes).map_err(|error| GraphError {
        message: format!("{label}:{}:{}: {}", error.line, error.column, error.message),
    })
}

fn object<'d>(node: Node<'d>, what: &str) -> Result<Node<'d>> {
    if node.kind() == JsonKind::Object {
        Ok(node)
    } else {
        Err(wrong(node, &format!("{what} must be an object")))
    }
}

fn text(node: Node<'_>, what: &str) -> Result<Str> {
    node.as_str().map(Str::from).ok_or_else(|| wrong(node, &format!("{what} must be a string")))
}

fn texts(node: Option<Node<'_>>, what: &str) -> Result<Vec<Str>> {
    let Some(node) = node else { return Ok(Vec::new()) };
    let items = node.as_list().ok_or_else(|| wrong(node, &format!("{what} must be a list of strings")))?;
    items.map(|item| text(item, &format!("each item of {what}"))).collect()
}

fn text_map(node: Option<Node<'_>>, what: &str) -> Result<Map> {
    let Some(node) = node else { return Ok(Map::default()) };
    let entries = object(node, what)?.entries();
    let read = entries.map(|(key, value)| {
        Ok((Str::from(key), Value::String(text(value, &format!("each value of {what}"))?)))
    });
    Ok(read.collect::<Result<Vec<_>>>()?.into_iter().collect())
}

/// The definition that an artifact description refers to, or the artifact itself if it refers to none.
enum Reference<'d> {
    Plain(Artifact),
    Defined { kind: Kind, key: &'d str, path: &'d str, node: Node<'d> },
}

fn reference(node: Node<'_>) -> Result<Reference<'_>> {
    let field = |name: &str| {
        let found = node.get("data").and_then(|data| data.get(name));
        found.ok_or_else(|| wrong(node, &format!("the artifact's data lack the field {}", quoted(&name))))
    };
    let string = |name: &str| {
        let found = field(name)?;
        found.as_str().ok_or_else(|| wrong(found, &format!("{} must be a string", quoted(&name))))
    };
    let defined = |kind, path| Ok(Reference::Defined { kind, key: string("id")?, path, node });
    match object(node, "an artifact")?.get("type").and_then(Node::as_str) {
        Some("LOCAL") => Ok(Reference::Plain(Artifact::Local {
            path: string("path")?.into(),
            repository: string("repository")?.into(),
        })),
        Some("KNOWN") => {
            let hash = Hash::from_hex(string("id")?).map_err(|_| wrong(node, "\"id\" must be a hash"))?;
            let size = field("size")?.as_number().filter(|size| *size >= 0.0);
            let size = size.ok_or_else(|| wrong(node, "\"size\" must be a number"))? as u64;
            let mut letters = string("file_type")?.chars();
            let object_type = letters.next().and_then(ObjectType::from_letter);
            let object_type = object_type.ok_or_else(|| wrong(node, "\"file_type\" must be f, x, t or l"))?;
            Ok(Reference::Plain(Artifact::Known(ObjectInfo { digest: Digest { hash, size }, object_type })))
        }
        Some("ACTION") => defined(Kind::Action, string("path")?),
        Some("TREE") => defined(Kind::Tree, ""),
        Some("TREE_OVERLAY") => defined(Kind::Overlay, ""),
        _ => Err(wrong(node, "an artifact's type must be LOCAL, KNOWN, ACTION, TREE or TREE_OVERLAY")),
    }
}

impl Names {
    fn artifact(&self, node: Node<'_>) -> Result<Artifact> {
        match reference(node)? {
            Reference::Plain(artifact) => Ok(artifact),
            Reference::Defined { kind, key, path, node } => {
                let id = self.0.get(&(kind, key.to_owned())).copied();
                let id =
                    id.ok_or_else(|| wrong(node, &format!("there is no {} {}", kind.word(), quoted(&key))))?;
                Ok(match kind {
                    Kind::Action => Artifact::Action { id, path: path.into() },
                    Kind::Tree => Artifact::Tree(id),
                    Kind::Overlay => Artifact::TreeOverlay(id),
                })
            }
        }
    }

    fn stage(&self, node: Option<Node<'_>>, what: &str) -> Result<Map> {
        let Some(node) = node else { return Ok(Map::default()) };
        let entries = object(node, what)?.entries();
        let read = entries.map(|(path, node)| Ok((Str::from(path), Value::artifact(self.artifact(node)?))));
        Ok(read.collect::<Result<Vec<_>>>()?.into_iter().collect())
    }
}

/// The artifact descriptions that a definition contains.
fn parts<'d>(kind: Kind, node: Node<'d>) -> Vec<Node<'d>> {
    let (listed, staged) = match kind {
        Kind::Action => (None, node.get("input")),
        Kind::Tree => (None, Some(node)),
        Kind::Overlay => (node.get("trees"), None),
    };
    let listed = listed.into_iter().flat_map(|list| list.items().collect::<Vec<_>>());
    // Anything else is reported by `define`, which has the words for it.
    let staged = staged.filter(|stage| stage.kind() == JsonKind::Object);
    listed.chain(staged.into_iter().flat_map(|stage| stage.entries().map(|(_, node)| node))).collect()
}

pub(super) fn graph(label: &str, bytes: Vec<u8>) -> Result<(ActionGraph, Names)> {
    let document = parse(label, bytes)?;
    let root = object(document.root(), "an action graph")?;
    let mut definitions: BTreeMap<(usize, &str), (Kind, Node<'_>)> = BTreeMap::new();
    let sections = [(Kind::Action, "actions"), (Kind::Tree, "trees"), (Kind::Overlay, "tree_overlays")];
    // By section and key, so that of several errors the same one is reported whatever the order in the file is.
    for (order, (kind, section)) in sections.into_iter().enumerate() {
        let Some(node) = root.get(section) else { continue };
        for (key, definition) in object(node, section)?.entries() {
            definitions.insert((order, key), (kind, object(definition, "a definition")?));
        }
    }
    // A second index: the first one is in the order of reports, and resolving jumps about.
    let by_name: HashMap<(Kind, &str), Node<'_>> =
        definitions.iter().map(|((_, key), (kind, node))| ((*kind, *key), *node)).collect();

    let mut graph = ActionGraph::default();
    graph.blobs.extend(texts(root.get("blobs"), "\"blobs\"")?);
    let mut names = Names::default();
    // The definitions that are being resolved, each needed by the one before it.
    let mut open: Vec<(Kind, &str)> = Vec::new();
    // Nothing is removed from it: what has a name already is no longer open.
    let mut is_open: HashSet<(Kind, &str)> = HashSet::new();
    for ((_, key), (kind, _)) in &definitions {
        open.push((*kind, key));
        while let Some(&(kind, key)) = open.last() {
            if names.0.contains_key(&(kind, key.to_owned())) {
                open.pop();
                continue;
            }
            // A definition is visited twice: first its parts are pushed, and when they are resolved, it is defined.
            let node = by_name[&(kind, key)];
            let first_visit = is_open.insert((kind, key));
            let mut has_pending = false;
            if first_visit {
                for part in parts(kind, node) {
                    let Reference::Defined { kind, key, node, .. } = reference(part)? else { continue };
                    // Visited, and not resolved yet: so it is on the way to here. What was only pushed lies beside
                    // that way.
                    if is_open.contains(&(kind, key)) && !names.0.contains_key(&(kind, key.to_owned())) {
                        return Err(wrong(node, &format!("{} {} needs itself", kind.word(), quoted(&key))));
                    }
                    // An unknown one is reported by `define`, at its place.
                    if by_name.contains_key(&(kind, key)) && !names.0.contains_key(&(kind, key.to_owned())) {
                        open.push((kind, key));
                        has_pending = true;
                    }
                }
            }
            if !has_pending {
                let id = define(&mut graph, &names, kind, node)?;
                names.0.insert((kind, key.to_owned()), id);
                open.pop();
            }
        }
    }
    Ok((graph, names))
}

fn define(graph: &mut ActionGraph, names: &Names, kind: Kind, node: Node<'_>) -> Result<Id> {
    match kind {
        Kind::Action => {
            let description = Arc::new(action(names, node)?);
            let id = description.id();
            let origins = origins(node)?;
            let known = graph.actions.entry(id).or_insert(GraphAction { description, origins: Vec::new() });
            // Two keys of one file can have equal definitions: they are one action with the origins of both.
            known.origins.extend(origins);
            Ok(id)
        }
        Kind::Tree => {
            let tree = Tree::new(names.stage(Some(node), "a tree")?);
            let id = tree.id();
            graph.trees.insert(id, tree);
            Ok(id)
        }
        Kind::Overlay => {
            let trees = node.get("trees").and_then(Node::as_list);
            let trees = trees.ok_or_else(|| wrong(node, "an overlay needs a list \"trees\""))?;
            let trees = trees.map(|tree| names.artifact(tree)).collect::<Result<Vec<_>>>()?;
            let disjoint = node.get("disjoint").and_then(Node::as_bool).unwrap_or(false);
            let overlay = TreeOverlay::new(trees, disjoint);
            let id = overlay.id();
            graph.overlays.insert(id, overlay);
            Ok(id)
        }
    }
}

fn action(names: &Names, node: Node<'_>) -> Result<ActionDescription> {
    // Checked as in analysis: a graph may come from anywhere, and actions must write nothing outside of their
    // directory.
    let inside = |field: &str| -> Result<Vec<Str>> {
        let paths = texts(node.get(field), &format!("{}", quoted(&field)))?;
        if let Some(at) = paths.iter().position(|path| !is_non_upwards(path)) {
            let item = node.get(field).and_then(|list| list.item(at)).unwrap_or(node);
            let what =
                format!("{} has to be a list of non-upwards relative paths, but contains", quoted(&field));
            return Err(wrong(item, &format!("{what} {}", quoted(&paths[at]))));
        }
        Ok(paths)
    };
    let mut outs = inside("output")?;
    let mut out_dirs = inside("output_dirs")?;
    // As they are written, which is also how they are named: the reference knows the same output by two spellings.
    let mut seen = HashSet::new();
    if let Some(again) = outs.iter().chain(&out_dirs).find(|path| !seen.insert(*path)) {
        let what = "\"output\" and \"output_dirs\" have to name each output once, but contain";
        return Err(wrong(node, &format!("{what} {} twice", quoted(again))));
    }
    // The id is computed from sorted paths, so a file with another order means the same action.
    outs.sort();
    out_dirs.sort();
    if outs.is_empty() && out_dirs.is_empty() {
        return Err(wrong(node, "an action needs an output"));
    }
    let command = texts(node.get("command"), "\"command\"")?;
    if command.is_empty() {
        return Err(wrong(node, "an action needs a command"));
    }
    let flag = |name: &str| match node.get(name) {
        None => Ok(false),
        Some(node) => {
            node.as_bool().ok_or_else(|| wrong(node, &format!("{} must be true or false", quoted(&name))))
        }
    };
    let scale = match node.get("timeout scaling") {
        // As analysis has it for an action that does not say.
        None => 1.0,
        Some(node) => node.as_number().ok_or_else(|| wrong(node, "\"timeout scaling\" must be a number"))?,
    };
    let may_fail = node.get("may_fail").filter(|node| !node.is_null());
    let mut action = ActionDescription::default();
    action.outs = outs;
    action.out_dirs = out_dirs;
    action.command = command;
    if let Some(node) = node.get("cwd") {
        action.cwd = text(node, "\"cwd\"")?;
        if !is_non_upwards(&action.cwd) {
            let what = "\"cwd\" has to be a non-upwards relative path, but is";
            return Err(wrong(node, &format!("{what} {}", quoted(&action.cwd))));
        }
    }
    action.env = text_map(node.get("env"), "\"env\"")?;
    action.may_fail = may_fail.map(|message| text(message, "\"may_fail\"")).transpose()?;
    action.no_cache = flag("no_cache")?;
    action.timeout_scale = scale;
    action.execution_properties = text_map(node.get("execution properties"), "\"execution properties\"")?;
    action.inputs = names.stage(node.get("input"), "\"input\"")?;
    Ok(action)
}

fn origins(node: Node<'_>) -> Result<Vec<Origin>> {
    let Some(origins) = node.get("origins").and_then(Node::as_list) else { return Ok(Vec::new()) };
    origins
        .map(|origin| {
            // Origins are for messages only, so all but the name have defaults, and nothing is checked.
            let config = origin.get("config").map(taut_expr::json_to_value);
            let config = config.as_ref().and_then(Value::as_map).cloned().unwrap_or_default();
            let subtask = origin.get("subtask").and_then(Node::as_number).unwrap_or(0.0) as u64;
            let target = origin.get("target").ok_or_else(|| wrong(origin, "an origin needs a \"target\""))?;
            Ok(Origin { target: taut_expr::json_to_value(target), subtask, config })
        })
        .collect()
}

pub(super) fn stage(names: &Names, label: &str, bytes: Vec<u8>) -> Result<Vec<(Str, Artifact)>> {
    let document = parse(label, bytes)?;
    let entries = object(document.root(), "the artifacts to build")?.entries();
    entries.map(|(path, node)| Ok((Str::from(path), names.artifact(node)?))).collect()
}
