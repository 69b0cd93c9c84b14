//! The constructs of rules and fields: what they ask of the host, and the definitions they make.

use taut_syntax::did_you_mean;
use taut_value::{ActionDescription, Artifact, Map, Node, Str, TargetResult, Tree, TreeOverlay, Value};

use super::{Evaluated, Evaluator, Frame, empty_list, plain, string_of};
use crate::{abbreviate, compile::wrong_type, construct::Construct, error::EvalError, path, stage};

fn empty_map() -> Value {
    Value::Map(Map::default())
}

type Words = Result<Box<[Str]>, String>;

impl Evaluator<'_> {
    /// Constructs that exist in some contexts only.
    pub(super) fn contextual(&mut self, f: Frame<'_>, construct: Construct, args: &[u32]) -> Evaluated {
        use Construct as C;
        Ok(match construct {
            C::Field => {
                let name = self.need(f, construct, args, 0)?;
                let Value::String(name) = &name else {
                    let found = self.shown(&name);
                    return plain(format!(
                        "FIELD argument 'name' should evaluate to a string, but got {found}"
                    ));
                };
                match self.host.field(name) {
                    Some(value) => value,
                    None => {
                        let mut error = EvalError::plain(format!("FIELD '{name}' unknown"));
                        let names = self.host.field_names();
                        let meant = did_you_mean(name, names.iter().map(|name| name.as_str()));
                        error.data().suggestion = meant.map(Into::into);
                        return Err(error);
                    }
                }
            }
            C::Outs | C::Runfiles => {
                let reference = self.need(f, construct, args, 0)?;
                let transition = self.or(f, args[1], empty_map)?;
                let transition = self.transition(&transition)?;
                let result = match self.host.reference(&reference, transition) {
                    Ok(Some(result)) => result,
                    Ok(None) => return Err(self.undeclared(&reference, transition)),
                    Err(why) => {
                        let name = self.shown(&reference);
                        return plain(format!("Parsing target name {name} failed with:\n{why}"));
                    }
                };
                let stage = if construct == C::Outs { &result.artifacts } else { &result.runfiles };
                Value::List(stage.keys().cloned().map(Value::String).collect())
            }
            C::DepArtifacts => Value::Map(self.dependency(f, construct, args)?.artifacts.clone()),
            C::DepRunfiles => Value::Map(self.dependency(f, construct, args)?.runfiles.clone()),
            C::DepProvides => {
                let result = self.dependency(f, construct, args)?;
                let provider = self.need(f, construct, args, 2)?;
                match result.provides.get(string_of(&provider)?) {
                    Some(value) => value.clone(),
                    None => return self.or(f, args[3], empty_list),
                }
            }
            C::Blob | C::Symlink => {
                let data = self.or(f, args[0], || Value::string(""))?;
                let name = construct.name();
                let Value::String(data) = &data else {
                    let found = self.shown(&data);
                    return plain(format!("{name} data has to be a string, but got {found}"));
                };
                if construct == C::Blob {
                    return Ok(Value::Artifact(self.host.define_blob(data)));
                }
                if !path::is_non_upwards(data) {
                    let found = Value::String(data.clone()).to_json();
                    return plain(format!("SYMLINK data has to be non-upwards relative, but got {found}"));
                }
                Value::Artifact(self.host.define_symlink(data))
            }
            C::Tree => {
                let entries = self.or(f, args[0], empty_map)?;
                Value::Artifact(self.tree("TREE argument", &entries)?)
            }
            C::TreeOverlay | C::DisjointTreeOverlay => {
                let parts = self.or(f, args[0], empty_list)?;
                let name = construct.name();
                let Value::List(parts) = &parts else {
                    let found = self.shown(&parts);
                    return plain(format!("{name} argument has to be a list of stages, but found {found}"));
                };
                let mut trees = Vec::with_capacity(parts.len());
                for (i, part) in parts.iter().enumerate() {
                    trees.push(self.tree(&format!("{name} argument entry {i}"), part)?);
                }
                let overlay = TreeOverlay::new(trees, construct == C::DisjointTreeOverlay);
                let artifact = overlay.artifact();
                self.host.define_overlay(overlay);
                Value::Artifact(artifact)
            }
            C::ValueNode => match self.or(f, args[0], || Value::Null)? {
                Value::Result(result) => Value::Node(Node::Value(result)),
                _ => return plain("argument '$1' for VALUE_NODE not a RESULT type."),
            },
            C::AbstractNode => self.abstract_node(f, args)?,
            C::Result => self.result(f, args)?,
            other => unreachable!("{} is evaluated elsewhere", other.name()),
        })
    }

    fn shown(&self, value: &Value) -> String {
        abbreviate(value, self.limit)
    }

    fn transition<'v>(&self, value: &'v Value) -> Result<&'v Map, EvalError> {
        value.as_map().ok_or_else(|| EvalError::plain(wrong_type("map", value.type_name())))
    }

    fn undeclared(&self, reference: &Value, transition: &Map) -> EvalError {
        EvalError::plain(format!(
            "Reference to undeclared dependency {} in transition {}",
            self.shown(reference),
            self.shown(&Value::Map(transition.clone()))
        ))
    }

    fn dependency(
        &mut self,
        f: Frame<'_>,
        construct: Construct,
        args: &[u32],
    ) -> Result<TargetResult, EvalError> {
        let reference = self.need(f, construct, args, 0)?;
        let Value::Name(name) = &reference else {
            return Err(EvalError::plain(format!("Not a target name: {}", self.shown(&reference))));
        };
        let transition = self.or(f, args[1], empty_map)?;
        let transition = self.transition(&transition)?;
        match self.host.dependency(name, transition) {
            Some(result) => Ok(result),
            None => Err(self.undeclared(&reference, transition)),
        }
    }

    /// Checks that a value is a map of artifacts.
    fn artifacts<'v>(&self, what: &str, value: &'v Value) -> Result<&'v Map, EvalError> {
        let problem = format!("{what} has to be a map of artifacts, but found");
        let Value::Map(map) = value else {
            return Err(EvalError::plain(format!("{problem} {}", self.shown(value))));
        };
        match map.iter().find(|(_, entry)| entry.as_artifact().is_none()) {
            None => Ok(map),
            Some((path, entry)) => {
                Err(EvalError::plain(format!("{problem} {} for {path}", self.shown(entry))))
            }
        }
    }

    /// A stage that could be laid out as a directory, normalised.
    fn stage(&self, what: &str, value: &Value) -> Result<Map, EvalError> {
        let map = self.artifacts(what, value)?;
        let map = stage::normalise(map)
            .map_err(|path| EvalError::plain(format!("{what} conflict on path {path}")))?;
        match stage::tree_conflict(&map) {
            None => Ok(map),
            Some(path) => Err(EvalError::plain(format!("{what} conflicts on subtree {path}"))),
        }
    }

    fn tree(&mut self, what: &str, value: &Value) -> Result<Artifact, EvalError> {
        let map = self.artifacts(what, value)?;
        // Checked as written: entries that meet only when normalised are accepted, the first one counts.
        if let Some(path) = stage::tree_conflict(map) {
            return Err(EvalError::plain(format!("Tree conflicts on subtree {path} of {what}")));
        }
        let entries = map.iter().rev().map(|(path, artifact)| (path::normal_path(path), artifact.clone()));
        let tree = Tree::new(entries.collect());
        let artifact = tree.artifact();
        self.host.define_tree(tree);
        Ok(artifact)
    }

    fn result(&mut self, f: Frame<'_>, args: &[u32]) -> Evaluated {
        let artifacts = self.or(f, args[0], empty_map)?;
        let runfiles = self.or(f, args[1], empty_map)?;
        let provides = self.or(f, args[2], empty_map)?;
        let artifacts = self.stage("artifacts", &artifacts)?;
        let runfiles = self.stage("runfiles", &runfiles)?;
        match provides {
            Value::Map(provides) => Ok(Value::Result(TargetResult::new(artifacts, runfiles, provides))),
            other => plain(format!("provides has to be a map, but found {}", self.shown(&other))),
        }
    }

    fn abstract_node(&mut self, f: Frame<'_>, args: &[u32]) -> Evaluated {
        let Value::String(node_type) = self.or(f, args[0], || Value::Null)? else {
            return plain("argument 'node_type' for ABSTRACT_NODE not a string.");
        };
        let Value::Map(strings) = self.or(f, args[1], empty_map)? else {
            return plain("argument 'string_fields' for ABSTRACT_NODE not a map.");
        };
        let Value::Map(targets) = self.or(f, args[2], empty_map)? else {
            return plain("argument 'target_fields' for ABSTRACT_NODE not a map.");
        };
        let check = |map: &Map, name: &str, kind: &str, is: fn(&Value) -> bool, other: Option<&Map>| {
            for (key, list) in map.iter() {
                let Value::List(list) = list else {
                    let problem = format!("value for key {key} in argument '{name}'");
                    return plain(format!("{problem} for ABSTRACT_NODE is not a list."));
                };
                if let Some(entry) = list.iter().find(|entry| !is(entry)) {
                    let problem = format!("list entry for {key} in argument '{name}' for ABSTRACT_NODE");
                    return plain(format!("{problem} is not a {kind}:\n{}", self.shown(entry)));
                }
                if other.is_some_and(|other| other.contains_key(key)) {
                    let problem =
                        "string_fields and target_fields are not disjoint maps, found duplicate key";
                    return plain(format!("{problem}: {key}."));
                }
            }
            Ok(())
        };
        check(&strings, "string_fields", "string", |v| v.as_str().is_some(), Some(&targets))?;
        check(&targets, "target_fields", "target node", |v| v.as_node().is_some(), None)?;
        Ok(Value::Node(Node::new_abstract(node_type, strings, targets)))
    }

    pub(super) fn action(
        &mut self,
        f: Frame<'_>,
        args: &[u32],
        may_fail: &Words,
        no_cache: &Words,
    ) -> Evaluated {
        let &[inputs, outs, out_dirs, cmd, cwd, env, fail_message, scaling, properties] = args else {
            unreachable!("ACTION has nine evaluated arguments")
        };
        let inputs = self.or(f, inputs, empty_map)?;
        let inputs = self.stage("inputs", &inputs)?;
        let outs = self.or(f, outs, empty_list)?;
        let outs = self.strings("outs", &outs)?;
        let out_dirs = self.or(f, out_dirs, empty_list)?;
        let out_dirs = self.strings("out_dirs", &out_dirs)?;
        if outs.is_empty() && out_dirs.is_empty() {
            return plain("either outs or out_dirs must be specified for ACTION");
        }
        let (normal_outs, normal_dirs) = (normal_paths(&outs), normal_paths(&out_dirs));
        let both = normal_outs.iter().filter(|out| normal_dirs.binary_search(out).is_ok());
        let both: Vec<Value> = both.cloned().map(Value::String).collect();
        if !both.is_empty() {
            let both = Value::List(both.into()).to_json();
            let problem = "outs and out_dirs for ACTION must be disjoint. Found repeated entries";
            return plain(format!("{problem}:\n{both}"));
        }
        for (what, paths) in [("outs", &outs), ("out_dirs", &out_dirs)] {
            if let Some(path) = paths.iter().find(|path| !path::is_non_upwards(path)) {
                let path = Value::String(path.clone()).to_json();
                return plain(format!(
                    "{what} has to be a list of non-upwards relative paths, but found {path}"
                ));
            }
        }
        let cmd = self.or(f, cmd, empty_list)?;
        let command = self.strings("cmd", &cmd)?;
        if command.is_empty() {
            return plain("cmd must not be an empty list");
        }
        let cwd = match self.or(f, cwd, || Value::string(""))? {
            Value::String(cwd) => cwd,
            other => return plain(format!("cwd has to be a string, but found {}", self.shown(&other))),
        };
        if !path::is_non_upwards(&cwd) {
            let found = Value::String(cwd).to_json();
            return plain(format!("cwd has to be a non-upwards relative path, but found {found}"));
        }
        let inputs = self.with_directory(inputs, &cwd);
        let env = match self.or(f, env, empty_map)? {
            Value::Map(map) if map.values().all(|value| value.as_str().is_some()) => map,
            other => {
                return plain(format!("env has to be a map of string, but found {}", self.shown(&other)));
            }
        };
        let may_fail = if self.tainted("may_fail", may_fail)? {
            match self.or(f, fail_message, || Value::string("action failed"))? {
                Value::String(message) => Some(message),
                other => {
                    let found = self.shown(&other);
                    return plain(format!("fail_message has to evaluate to a string, but got {found}"));
                }
            }
        } else {
            None
        };
        let no_cache = self.tainted("no_cache", no_cache)?;
        let timeout_scale = match self.or(f, scaling, || Value::Number(1.0))? {
            Value::Number(number) => number,
            Value::Null => 1.0,
            other => {
                let problem = "timeout scaling has to be number (or null for default), but found";
                return plain(format!("{problem} {}", self.shown(&other)));
            }
        };
        let execution_properties = match self.or(f, properties, empty_map)? {
            Value::Null => Map::default(),
            Value::Map(map) if map.values().all(|value| value.as_str().is_some()) => map,
            other => {
                let problem =
                    "execution properties has to be a map of strings (or null for empty), but found";
                return plain(format!("{problem} {}", self.shown(&other)));
            }
        };
        let mut action = ActionDescription::default();
        action.outs = normal_outs;
        action.out_dirs = normal_dirs;
        action.command = command;
        action.cwd = cwd;
        action.env = env;
        action.may_fail = may_fail;
        action.no_cache = no_cache;
        action.timeout_scale = timeout_scale;
        action.execution_properties = execution_properties;
        action.inputs = inputs;
        let id = self.host.define_action(action);
        // Under the names as written: a file's and a directory's never meet.
        let output = |path: &Str| {
            let artifact = Artifact::Action { id, path: path::normal_path(path).into() };
            (path.clone(), Value::Artifact(artifact))
        };
        Ok(Value::Map(outs.iter().chain(&out_dirs).map(output).collect()))
    }

    fn strings(&self, what: &str, value: &Value) -> Result<Vec<Str>, EvalError> {
        let strings =
            value.as_list().and_then(|list| list.iter().map(|item| item.as_str().cloned()).collect());
        strings.ok_or_else(|| {
            let found = self.shown(value);
            EvalError::plain(format!("{what} has to be a list of strings, but found {found}"))
        })
    }

    /// Whether there are words, all of which the rule is tainted with.
    fn tainted(&self, what: &str, words: &Words) -> Result<bool, EvalError> {
        let words = words.as_ref().map_err(EvalError::plain)?;
        match words.iter().find(|word| !self.host.is_tainted_with(word)) {
            None => Ok(!words.is_empty()),
            Some(word) => {
                let word = Value::String(word.clone()).to_json();
                Err(EvalError::plain(format!("{what} contains entry {word} the rule is not tainted with")))
            }
        }
    }

    /// Makes the working directory exist, if nothing else does.
    fn with_directory(&mut self, inputs: Map, cwd: &Str) -> Map {
        if !stage::needs_directory(&inputs, cwd) {
            return inputs;
        }
        let tree = Tree::new(Map::default());
        let directory = [(cwd.clone(), Value::Artifact(tree.artifact()))].into_iter().collect();
        self.host.define_tree(tree);
        inputs.union(&directory)
    }
}

/// Normalised, sorted, each once.
pub(crate) fn normal_paths(paths: &[Str]) -> Vec<Str> {
    let mut normal: Vec<Str> = paths.iter().map(|path| path::normal_path(path).into()).collect();
    normal.sort();
    normal.dedup();
    normal
}
