//! The dumps of `analyse`, byte for byte as the reference writes them.
//!
//! Most are JSON as the reference's library indents it; the lists of targets and actions have line breaks of their own,
//! empty ones included.

use std::collections::{BTreeMap, HashMap, HashSet};

use taut_value::{
    AnonymousTarget, Artifact, EntityName, Id, JsonMode, JsonSize, JsonWriter, Map, Node, Str, TargetResult,
    Tree, Value, escape_into,
};

use crate::{Request, joined};
use crate::{full_analysis::Analysis, reached::ReachedTarget};

fn pretty(write: impl FnOnce(&mut JsonWriter)) -> String {
    let mut writer = JsonWriter::pretty(2);
    write(&mut writer);
    writer.finish() + "\n"
}

/// The longest text that a dump may have, in bytes.
// A value of some kilobytes may have an exponential text; the size is computed without writing it.
const MAX_DUMP_BYTES: u64 = 1 << 30;

const TOO_LONG: &str = "is longer than 1 GiB as text: parts that it shares would be written again and again";

/// A target as dumps name it.
fn in_full(target: &taut_analysis::ConfiguredTarget) -> String {
    format!("[{},{}]", target.name.to_json(), Value::Map(target.config.map().clone()).to_json())
}

/// Why what the targets of a request offer cannot be written as text, if it cannot: values share their parts, and a
/// text does not.
pub fn too_long_as_text(result: &TargetResult, request: &Request) -> Option<String> {
    result_is_too_long(result).then(|| format!("The result of target {} {TOO_LONG}", request.target_text()))
}

fn result_is_too_long(result: &TargetResult) -> bool {
    let mut sizes = JsonSize::default();
    let provides = sizes.of_map(&result.provides);
    provides.saturating_add(sizes.result(result)) > MAX_DUMP_BYTES
}

impl Analysis {
    /// Why dumps cannot be written, if they cannot.
    pub fn too_long_to_dump(&self) -> Option<String> {
        // One for all targets, so that what they share is measured once.
        let mut sizes = JsonSize::default();
        let mut all = self.reached.iter();
        let is_too_long = |reached: &&ReachedTarget| {
            let definition = match &reached.target.name {
                EntityName::Anonymous(target) => sizes.of_map(&target.rule_map).max(sizes.node(&target.node)),
                EntityName::Named(_) => 0,
            };
            sizes.of_map(reached.target.config.map()).max(definition) > MAX_DUMP_BYTES
        };
        match all.find(is_too_long) {
            Some(ReachedTarget { target, .. }) => {
                let name = target.name.to_json();
                Some(format!("The configuration or definition of target {name} {TOO_LONG}"))
            }
            None => result_is_too_long(&self.analysed.result).then(|| {
                let targets = joined(self.requested.iter().map(|of| of.target.to_string()));
                format!("The result of target {targets} {TOO_LONG}")
            }),
        }
    }

    /// `--dump-result`
    pub fn dump_result(&self) -> String {
        let mut writer = JsonWriter::compact();
        let result = &self.analysed.result;
        writer.object(|w| {
            w.key("artifacts").value(&Value::Map(result.artifacts.clone()), JsonMode::All);
            w.key("provides").value(&Value::Map(result.provides.clone()), JsonMode::AllButNodes);
            w.key("runfiles").value(&Value::Map(result.runfiles.clone()), JsonMode::All);
        });
        writer.finish() + "\n"
    }

    /// `--dump-provides`
    pub fn dump_provides(&self) -> String {
        pretty(|w| {
            w.value(&Value::Map(self.analysed.result.provides.clone()), JsonMode::AllButNodes);
        })
    }

    /// `--dump-vars`
    pub fn dump_vars(&self) -> String {
        let mut writer = JsonWriter::compact();
        writer.strings(self.analysed.vars.iter());
        writer.finish() + "\n"
    }

    /// `--dump-blobs`
    pub fn dump_blobs(&self) -> String {
        pretty(|w| {
            w.strings(self.analysed.defined.blobs.iter().filter_map(|hash| self.blob(hash)));
        })
    }

    /// `--dump-trees`
    pub fn dump_trees(&self) -> String {
        // The trees below a source tree are targets of their own to the reference.
        let own = |tree: &&Tree| {
            let result = Value::artifact(tree.artifact());
            self.analysed.is_defined || self.analysed.result.artifacts.values().any(|found| *found == result)
        };
        let own_trees = self.analysed.defined.trees.iter().filter_map(|id| self.tree(id));
        let trees: BTreeMap<_, _> = own_trees.filter(own).map(|tree| (tree.id(), tree)).collect();
        pretty(|w| {
            w.object(|w| {
                for (id, tree) in trees {
                    w.key(&id.to_hex()).value(&Value::Map(tree.stage().clone()), JsonMode::All);
                }
            });
        })
    }

    /// What is to be built: artifacts and, below them, runfiles; sorted by path.
    pub fn artifacts_to_build(&self) -> BTreeMap<Str, Artifact> {
        let result = &self.analysed.result;
        // Of equal paths the later entry counts: the artifact.
        let staged = result.runfiles.iter().chain(result.artifacts.iter());
        staged.filter_map(|(path, value)| Some((path.clone(), value.as_artifact()?.clone()))).collect()
    }

    /// `--dump-artifacts-to-build`
    pub fn dump_artifacts_to_build(&self) -> String {
        let artifacts = self.artifacts_to_build();
        // The reference writes null here, and not an empty object.
        if artifacts.is_empty() {
            return "null\n".to_owned();
        }
        pretty(|w| {
            w.object(|w| {
                for (path, artifact) in artifacts {
                    artifact.write_json(w.key(&path));
                }
            });
        })
    }

    /// `--dump-targets`, and with `exports` only `--dump-export-targets`.
    pub fn dump_targets(&self, exports: bool) -> String {
        // Repository, module, target, configurations: the levels of the reference's output, each
        // sorted by bytes.
        type Names = BTreeMap<String, BTreeMap<String, BTreeMap<String, Vec<String>>>>;
        let mut named = Names::new();
        let mut anonymous: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
        for ReachedTarget { target, analysed } in &self.reached {
            if !analysed.is_defined || (exports && analysed.export.is_none()) {
                continue;
            }
            let config = Value::Map(target.config.map().clone()).to_json();
            let configs = match &target.name {
                EntityName::Named(name) => {
                    let modules = named.entry(name.repository.to_string()).or_default();
                    let targets = modules.entry(name.module.to_string()).or_default();
                    targets.entry(name.name.to_string()).or_default()
                }
                EntityName::Anonymous(name) => {
                    let nodes = anonymous.entry(name.rule_map.id().to_hex()).or_default();
                    nodes.entry(name.node.id().to_hex()).or_default()
                }
            };
            configs.push(config);
        }
        let lists = |text: &mut String, indent, targets: &BTreeMap<String, Vec<String>>| {
            object(text, indent, targets, |text, _, configs| {
                // Configurations stay on one line, in the order of the reached targets.
                text.push_str(&format!("[{}]", configs.join(",")));
            });
        };
        // A part without entries is left out, as in the reference.
        let parts = [("#", !anonymous.is_empty()), ("@", !named.is_empty())];
        let parts = parts.into_iter().filter(|(_, is_there)| *is_there);
        let parts: BTreeMap<String, bool> = parts.map(|(mark, _)| (mark.to_owned(), mark == "#")).collect();
        let mut text = String::new();
        object(&mut text, 0, &parts, |text, indent, is_anonymous| {
            if *is_anonymous {
                object(text, indent, &anonymous, |text, indent, nodes| lists(text, indent, nodes));
            } else {
                object(text, indent, &named, |text, indent, modules| {
                    object(text, indent, modules, |text, indent, targets| lists(text, indent, targets));
                });
            }
        });
        text + "\n"
    }

    /// `--dump-nodes`: the nodes in what the target provides, and the nodes below them, by id.
    pub fn dump_nodes(&self) -> String {
        let provided = Value::Map(self.analysed.result.provides.clone());
        let mut writer = JsonWriter::compact();
        write_nodes(&mut writer, &nodes_in([provided]));
        objects_only(&writer.finish())
    }

    /// `--dump-anonymous`: the nodes and the rule maps that anonymous targets are made of, by id.
    pub fn dump_anonymous(&self) -> String {
        let names = self.reached.iter().filter(|reached| reached.analysed.is_defined);
        let targets: Vec<&AnonymousTarget> = names
            .filter_map(|reached| match &reached.target.name {
                EntityName::Anonymous(anonymous) => Some(anonymous),
                EntityName::Named(_) => None,
            })
            .collect();
        let nodes = nodes_in(targets.iter().map(|target| Value::Node(target.node.clone())));
        let rule_maps: BTreeMap<Id, &Map> =
            targets.iter().map(|target| (target.rule_map.id(), &target.rule_map)).collect();
        let mut writer = JsonWriter::compact();
        writer.object(|w| {
            write_nodes(w.key("nodes"), &nodes);
            w.key("rule_maps").object(|w| {
                for (id, map) in rule_maps {
                    w.key(&id.to_hex()).value(&Value::Map(map.clone()), JsonMode::All);
                }
            });
        });
        objects_only(&writer.finish())
    }

    /// `--dump-targets-graph`
    pub fn dump_targets_graph(&self) -> String {
        let graph: BTreeMap<String, &ReachedTarget> = (self.reached.iter())
            .filter(|reached| reached.analysed.is_defined)
            .map(|reached| (in_full(&reached.target), reached))
            .collect();
        let mut by_name: HashMap<String, Vec<&ReachedTarget>> = HashMap::new();
        for reached in graph.values() {
            by_name.entry(reached.target.name.to_json()).or_default().push(reached);
        }
        pretty(|w| {
            w.object(|w| {
                for (name, reached) in &graph {
                    let dependencies = &reached.analysed.dependencies;
                    // Only defined targets are nodes; each by the variables it depends on.
                    let nodes = |list: &[taut_analysis::ConfiguredTarget]| {
                        let known = list.iter().filter_map(|target| {
                            let found = by_name.get(&target.name.to_json())?.iter();
                            let mut found = found.filter(|reached| {
                                // A dependency is named by the configuration it was asked for in;
                                // its node has the part that it depends on.
                                target.config.prune(&reached.analysed.vars) == reached.target.config
                            });
                            Some(in_full(&found.next()?.target))
                        });
                        known.collect::<Vec<_>>()
                    };
                    w.key(name).object(|w| {
                        w.key("anonymous").strings(nodes(&dependencies.anonymous));
                        w.key("declared").strings(nodes(&dependencies.declared));
                        w.key("implicit").strings(nodes(&dependencies.implicit));
                    });
                }
            });
        })
    }
}

/// All nodes in the given values and below them, each once. Sharing is never unfolded.
fn nodes_in(values: impl IntoIterator<Item = Value>) -> BTreeMap<Id, Node> {
    let mut nodes = BTreeMap::new();
    let mut seen = HashSet::new();
    let mut pending: Vec<Value> = values.into_iter().collect();
    while let Some(value) = pending.pop() {
        match value {
            // By the id of the value, so parts that are equal are searched once, however often they occur.
            Value::List(list) if seen.insert(list.id()) => pending.extend(list.iter().cloned()),
            Value::Map(map) if seen.insert(map.id()) => pending.extend(map.values().cloned()),
            // Artifacts and runfiles hold no nodes.
            Value::Result(result) => pending.push(Value::Map(result.provides.clone())),
            Value::Node(node) if seen.insert(node.id()) => {
                pending.push(match &node {
                    Node::Abstract(inner) => Value::Map(inner.target_fields.clone()),
                    Node::Value(result) => Value::Result(result.clone()),
                });
                nodes.insert(node.id(), node);
            }
            _ => {}
        }
    }
    nodes
}

fn write_nodes(writer: &mut JsonWriter, nodes: &BTreeMap<Id, Node>) {
    writer.object(|w| {
        for (id, node) in nodes {
            w.key(&id.to_hex()).node(node);
        }
    });
}

/// Compact JSON text laid out so that objects that are in no list have one entry a line.
fn objects_only(compact: &str) -> String {
    let mut text = String::with_capacity(2 * compact.len());
    let (mut indent, mut lists, mut in_string, mut escaped) = (0, 0, false, false);
    let line = |text: &mut String, indent| {
        text.push('\n');
        text.extend(std::iter::repeat_n(' ', indent));
    };
    // A state machine over compact text: values in lists stay on one line, whatever they contain.
    for c in compact.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            text.push(c);
            continue;
        }
        match c {
            '"' => in_string = true,
            '[' => lists += 1,
            ']' => lists -= 1,
            '}' if lists == 0 => {
                indent -= 2;
                // The line that was begun for a first entry is taken back if no entry follows.
                let kept = text.trim_end_matches(' ').len();
                let empty = text[..kept].ends_with("{\n");
                if empty {
                    text.truncate(kept - 1);
                }
                line(&mut text, indent);
            }
            _ => {}
        }
        text.push(c);
        match c {
            ':' if lists == 0 => text.push(' '),
            ',' if lists == 0 => line(&mut text, indent),
            '{' if lists == 0 => {
                indent += 2;
                line(&mut text, indent);
            }
            _ => {}
        }
    }
    text + "\n"
}

/// Appends an object with one entry a line, its bracket on a line of its own even if it is empty.
fn object<V>(
    text: &mut String,
    indent: usize,
    entries: &BTreeMap<String, V>,
    value: impl Fn(&mut String, usize, &V),
) {
    text.push('{');
    for (place, (key, entry)) in entries.iter().enumerate() {
        text.push_str(if place == 0 { "\n" } else { ",\n" });
        text.extend(std::iter::repeat_n(' ', indent + 2));
        escape_into(key, text);
        text.push_str(": ");
        value(text, indent + 2, entry);
    }
    text.push('\n');
    text.extend(std::iter::repeat_n(' ', indent));
    text.push('}');
}
