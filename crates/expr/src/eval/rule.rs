//! The constructs of rules and fields: they use the host, and make definitions.

use std::rc::Rc;

use taut_syntax::{PathStep, did_you_mean, named, quoted};
use taut_value::{ActionDescription, Artifact, Map, Node, Str, TargetResult, Tree, TreeOverlay, Value, path};

use super::{Evaluated, Evaluator, Frame, argument::Argument, bounds, empty_list, plain, reference};
use crate::{Context, NoName, Offer, construct::Construct, error::EvalError, program::Op, stage};

fn empty_map() -> Value {
    Value::Map(Map::default())
}

/// The reason why paths must not lead outwards.
const OUTSIDE_HELP: &str = "an action sees and makes nothing outside of its own directory";

/// An error about a path that is both an artifact and a directory, with the entries that cause it.
fn overlapping(mut error: EvalError, stage: &Map, path: &str) -> EvalError {
    if !path::is_non_upwards(path) {
        let name = stage.keys().find(|key| path::normal_path(key) == path).map_or(path, |key| key.as_str());
        return error.help(format!("{} leads out of the directory", quoted(&name)));
    }
    let below = format!("{path}/");
    // Conflicts are found between normal paths, while an author looks for the paths as written.
    let normal = |key: &Str| path::normal_path(key);
    let at = stage.iter().find(|(key, _)| normal(key) == path);
    let inside = stage.iter().find(|(key, _)| normal(key).starts_with(&below));
    for (key, value) in at.into_iter().chain(inside) {
        error = error.involving(format!("{}", quoted(&key)), value);
    }
    error.help(format!("{} would be an artifact and a directory with other artifacts at once", quoted(&path)))
}

// The literal words of `may_fail` and `no_cache`, or why they are malformed: an error only if the
// construct is evaluated.
type Words = Result<Box<[Str]>, String>;

/// The outputs of an action: as a rule writes them, which its map of artifacts has as keys, and as actions have them.
struct Outputs {
    files: Vec<Str>,
    dirs: Vec<Str>,
    normal_files: Vec<Str>,
    normal_dirs: Vec<Str>,
}

impl Evaluator<'_> {
    /// Constructs that exist in some contexts only.
    pub(super) fn contextual(&mut self, f: Frame<'_>, construct: Construct, args: &[u32]) -> Evaluated {
        use Construct as C;
        let argument = |position: usize| Argument::of(construct, args, position);
        Ok(match construct {
            C::Field => return self.field(f, args),
            C::Outs | C::Runfiles => return self.paths_of_dependency(f, construct, args),
            // By methods and not by one map of all: each call of `Offer` records that this aspect was read.
            C::DepArtifacts => Value::Map(self.dependency(f, construct, args)?.artifacts().clone()),
            C::DepRunfiles => Value::Map(self.dependency(f, construct, args)?.runfiles().clone()),
            C::DepProvides => {
                let result = self.dependency(f, construct, args)?;
                let provider = self.need(f, construct, args, 2)?;
                match result.provided(self.string(f, argument(2), &provider)?) {
                    Some(value) => value.clone(),
                    None => return self.or(f, args[3], empty_list),
                }
            }
            C::Blob | C::Symlink => return self.blob_or_symlink(f, construct, args),
            C::Tree => {
                let entries = self.or(f, args[0], empty_map)?;
                Value::artifact(self.tree(f, argument(0), &entries)?)
            }
            C::TreeOverlay | C::DisjointTreeOverlay => return self.overlay(f, construct, args),
            C::ValueNode => match self.or(f, args[0], || Value::Null)? {
                Value::Result(result) => Value::Node(bounds::node(Node::Value(result))?),
                other => return Err(self.wrong_kind(f, argument(0), "a result", &other)),
            },
            C::AbstractNode => self.abstract_node(f, args)?,
            C::Result => self.result(f, args)?,
            other => unreachable!("{} is evaluated elsewhere", other.name()),
        })
    }

    /// A field of the target.
    fn field(&mut self, f: Frame<'_>, args: &[u32]) -> Evaluated {
        let name = self.need(f, Construct::Field, args, 0)?;
        let name = self.string(f, Argument::of(Construct::Field, args, 0), &name)?;
        if let Some(value) = self.host.field(name) {
            return Ok(value);
        }
        let mut error = EvalError::plain(format!("FIELD '{name}' unknown"));
        // There the reference has no quotation marks around the name.
        if self.host.context() == Context::Transition {
            error = error.reference(format!("FIELD {name} unknown"));
        }
        let names = self.host.field_names();
        let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
        error.data().suggestion = did_you_mean(name, names.iter().copied()).map(Into::into);
        if error.suggestion.is_none() {
            error = error.help(match names.as_slice() {
                [] => "there are no fields here".to_owned(),
                names => format!("FIELD can read the {}", named("field", names)),
            });
        }
        Err(error.at(self.place(f, args[0])))
    }

    /// The paths of the artifacts or runfiles of a target among the dependencies.
    fn paths_of_dependency(&mut self, f: Frame<'_>, construct: Construct, args: &[u32]) -> Evaluated {
        let argument = |position: usize| Argument::of(construct, args, position);
        let reference = self.need(f, construct, args, 0)?;
        let transition = self.or(f, args[1], empty_map)?;
        let transition = self.map(f, argument(1), &transition)?;
        let result = match self.host.reference(&reference, transition) {
            Ok(Some(result)) => result,
            Ok(None) => {
                let error = self.undeclared(f, args[0], &reference, transition);
                return Err(
                    error.help("only targets in \"deps\" (or a target field of the rule) can be asked")
                );
            }
            Err(NoName { message, reference: text }) => {
                let error = EvalError::plain(message).at(self.place(f, args[0]));
                let name = reference::shown(&reference);
                return Err(error.reference(format!("Parsing target name {name} failed with:\n{text}")));
            }
        };
        let stage = if construct == Construct::Outs { result.artifacts() } else { result.runfiles() };
        Ok(Value::List(stage.keys().cloned().map(Value::String).collect()))
    }

    /// A file with a content, or a link to a path.
    fn blob_or_symlink(&mut self, f: Frame<'_>, construct: Construct, args: &[u32]) -> Evaluated {
        let argument = Argument::of(construct, args, 0);
        let data = self.or(f, args[0], || Value::string(""))?;
        let data = self.string(f, argument, &data)?;
        if construct == Construct::Blob {
            return Ok(Value::artifact(self.host.define_blob(data)));
        }
        if !path::is_non_upwards(data) {
            let value = Value::String(data.clone());
            return Err(self.unsuitable_value(
                f,
                argument,
                "a relative path that does not lead upwards",
                &value,
            ));
        }
        Ok(Value::artifact(self.host.define_symlink(data)))
    }

    /// Trees over each other.
    fn overlay(&mut self, f: Frame<'_>, construct: Construct, args: &[u32]) -> Evaluated {
        let argument = Argument::of(construct, args, 0);
        let parts = self.or(f, args[0], empty_list)?;
        let parts = self.list_of(f, argument, "a list of stages", &parts, Some)?;
        let mut trees = Vec::with_capacity(parts.len());
        for (i, part) in parts.into_iter().enumerate() {
            let Argument { construct, node, .. } = argument;
            // If the list is written literally, an error is at the item, else at the whole argument.
            let node = match f.program.nodes.get(node as usize).map(|node| &node.op) {
                Some(Op::List(items)) => items[i],
                _ => node,
            };
            let name = format!("item {i} of $1");
            trees.push(self.tree(f, Argument { construct, name: &name, node }, part)?);
        }
        // Its parts were defined by `tree` above: a definition refers only to earlier ones.
        let overlay = TreeOverlay::new(trees, construct == Construct::DisjointTreeOverlay);
        let artifact = overlay.artifact();
        self.host.define_overlay(overlay);
        Ok(Value::artifact(artifact))
    }

    fn undeclared(&self, f: Frame<'_>, node: u32, reference: &Value, transition: &Map) -> EvalError {
        let message = format!(
            "Reference to undeclared dependency {} in transition {}",
            self.shown(reference),
            self.shown(&Value::Map(transition.clone()))
        );
        let text = format!(
            "Reference to undeclared dependency {} in transition {}",
            reference::shown(reference),
            reference::shown(&Value::Map(transition.clone()))
        );
        EvalError::plain(message).reference(text).at(self.place(f, node))
    }

    fn dependency(
        &mut self,
        f: Frame<'_>,
        construct: Construct,
        args: &[u32],
    ) -> Result<Rc<dyn Offer>, EvalError> {
        let reference = self.need(f, construct, args, 0)?;
        let argument = |position: usize| Argument::of(construct, args, position);
        let Value::Name(name) = &reference else {
            let error = self.wrong_kind(f, argument(0), "a target name", &reference);
            return Err(match &reference {
                Value::List(_) => error
                    .help("a field holds a list of names; ask each of them, for example with \"foreach\""),
                _ => error.help("names of targets are what FIELD gives for target fields"),
            });
        };
        let transition = self.or(f, args[1], empty_map)?;
        let transition = self.map(f, argument(1), &transition)?;
        match self.host.dependency(name, transition) {
            Some(result) => Ok(result),
            None if transition.is_empty() => Err(self.undeclared(f, args[0], &reference, transition)),
            None => {
                let error = self.undeclared(f, args[0], &reference, transition);
                Err(error.help(
                    "the transition has to be one that the rule's \"config_transitions\" give for the field",
                ))
            }
        }
    }

    /// A stage that can form a directory, normalised.
    fn stage(&self, f: Frame<'_>, argument: Argument<'_>, value: &Value) -> Result<Map, EvalError> {
        let map = self.artifacts(f, argument, value)?;
        // Scripts search messages for these words on one line.
        let what = argument.name;
        let conflict = |message: String| EvalError::plain(message).at(self.place(f, argument.node));
        let map =
            stage::normalise(map).map_err(|path| conflict(format!("{what} conflict on path {path}")))?;
        match stage::tree_conflict(&map) {
            None => Ok(map),
            Some(path) => {
                Err(overlapping(conflict(format!("{what} conflicts on subtree {path}")), &map, &path))
            }
        }
    }

    fn artifacts<'v>(
        &self,
        f: Frame<'_>,
        argument: Argument<'_>,
        value: &'v Value,
    ) -> Result<&'v Map, EvalError> {
        let map =
            self.map_of(f, argument, "a map of artifacts", value, |entry| entry.as_artifact().is_some());
        let map = map.map_err(|error| match value {
            Value::List(list) if list.iter().any(|item| matches!(item, Value::Name(_))) => error.help(
                "\"DEP_ARTIFACTS\" gives the artifacts of each name, and \"map_union\" makes one map of several",
            ),
            _ => error,
        })?;
        match map.keys().find(|path| self.host.is_extended() && path.contains('\0')) {
            None => Ok(map),
            Some(path) => {
                let place = self.place_of_item(f, argument.node, &PathStep::Key(path.as_str().into()));
                let shown = Value::String(path.clone()).to_json();
                let message = format!("{argument} has an artifact at {shown}, which has a NUL character");
                Err(EvalError::plain(message).at(place))
            }
        }
    }

    fn tree(&mut self, f: Frame<'_>, argument: Argument<'_>, value: &Value) -> Result<Artifact, EvalError> {
        let map = self.artifacts(f, argument, value)?;
        // Checked as written, as in the reference: of entries that are equal only when normalised, the first one
        // counts.
        if let Some(path) = stage::tree_conflict(map) {
            let error = EvalError::plain(format!("Tree conflicts on subtree {path} of {argument}"));
            let error =
                error.reference(format!("Tree conflicts on subtree {path} of {}", reference::tree(argument)));
            return Err(overlapping(error.at(self.place(f, argument.node)), map, &path));
        }
        let tree = Tree::new(stage::normalise_first(map));
        let artifact = tree.artifact();
        self.host.define_tree(tree);
        Ok(artifact)
    }

    fn result(&mut self, f: Frame<'_>, args: &[u32]) -> Evaluated {
        let argument = |position: usize| Argument::of(Construct::Result, args, position);
        let artifacts = self.or(f, args[0], empty_map)?;
        let runfiles = self.or(f, args[1], empty_map)?;
        let provides = self.or(f, args[2], empty_map)?;
        // All parts are evaluated before the first one is checked, so an error of evaluation is reported before a
        // conflict.
        let artifacts = self.stage(f, argument(0), &artifacts)?;
        let runfiles = self.stage(f, argument(1), &runfiles)?;
        let provides = self.map(f, argument(2), &provides)?;
        Ok(Value::Result(TargetResult::new(artifacts, runfiles, provides.clone())))
    }

    fn abstract_node(&mut self, f: Frame<'_>, args: &[u32]) -> Evaluated {
        let argument = |position: usize| Argument::of(Construct::AbstractNode, args, position);
        let node_type = self.or(f, args[0], || Value::Null)?;
        let node_type = self.string(f, argument(0), &node_type)?;
        let strings = self.or(f, args[1], empty_map)?;
        let strings = self.map(f, argument(1), &strings)?;
        let targets = self.or(f, args[2], empty_map)?;
        let targets = self.map(f, argument(2), &targets)?;
        let check = |position, map: &Map, expected: &str, is: fn(&Value) -> bool, other: Option<&Map>| {
            for (key, list) in map.iter() {
                let step = PathStep::Key(key.as_str().into());
                let Value::List(items) = list else {
                    let whole = Value::Map(map.clone());
                    return Err(self.wrong_item_kind(f, argument(position), expected, &whole, &step, list));
                };
                if let Some(item) = items.iter().find(|item| !is(item)) {
                    let whole = Value::Map(map.clone());
                    return Err(self.wrong_item_kind(f, argument(position), expected, &whole, &step, item));
                }
                if other.is_some_and(|other| other.contains_key(key)) {
                    let problem =
                        "string_fields and target_fields are not disjoint maps, found duplicate key";
                    return plain(format!("{problem}: {key}."));
                }
            }
            Ok(())
        };
        let of_strings = "a map of lists of strings";
        check(1, strings, of_strings, |v| v.as_str().is_some(), Some(targets))?;
        check(2, targets, "a map of lists of nodes", |v| v.as_node().is_some(), None)?;
        let node = Node::new_abstract(node_type.clone(), strings.clone(), targets.clone());
        Ok(Value::Node(bounds::node(node)?))
    }

    pub(super) fn action(
        &mut self,
        f: Frame<'_>,
        node: u32,
        args: &[u32],
        may_fail: &Words,
        no_cache: &Words,
    ) -> Evaluated {
        let &[inputs, _, _, cmd, cwd, env, fail_message, scaling, properties, depfile] = args else {
            unreachable!("ACTION has ten evaluated arguments")
        };
        // The arguments are evaluated and checked in the order of the reference: of several errors
        // the first is reported.
        let inputs = self.or(f, inputs, empty_map)?;
        let argument = |position: usize| Argument::of(Construct::Action, args, position);
        let inputs = self.stage(f, argument(0), &inputs)?;
        let outputs = self.outputs(f, args)?;
        let cmd = self.or(f, cmd, empty_list)?;
        // One string is a shell script in most build systems, and rarely the name of a program without arguments.
        let command = match &cmd {
            Value::String(_) => {
                let (error, shown) =
                    (self.wrong_kind(f, argument(3), "a list of strings", &cmd), self.shown(&cmd));
                let help =
                    format!("a program and its arguments; for a shell script: [\"sh\", \"-c\", {shown}]");
                return Err(error.help(help));
            }
            _ => self.strings(f, argument(3), &cmd)?,
        };
        if command.is_empty() {
            let error = EvalError::plain(format!("{} must not be an empty list", argument(3)));
            let error = error.reference("cmd must not be an empty list");
            return Err(error.at(self.place(f, args[3])));
        }
        let cwd = self.or(f, cwd, || Value::string(""))?;
        let cwd = self.string(f, argument(4), &cwd)?.clone();
        if !path::is_non_upwards(&cwd) {
            let value = Value::String(cwd);
            return Err(self
                .unsuitable_value(f, argument(4), "a non-upwards relative path", &value)
                .help(OUTSIDE_HELP));
        }
        // After the check, so the directory is inside.
        let inputs = self.with_directory(inputs, &cwd);
        let env = self.or(f, env, empty_map)?;
        let is_string = |value: &Value| value.as_str().is_some();
        let env = self.map_of(f, argument(5), "a map of strings", &env, is_string)?.clone();
        bounds::command(&command, &env)?;
        let may_fail = if self.tainted(f, node, "may_fail", may_fail)? {
            // Evaluated only if it is of use, so its errors do not come up otherwise.
            let message = self.or(f, fail_message, || Value::string("action failed"))?;
            Some(self.string(f, argument(6), &message)?.clone())
        } else {
            None
        };
        let no_cache = self.tainted(f, node, "no_cache", no_cache)?;
        let timeout_scale = match self.or(f, scaling, || Value::Number(1.0))? {
            Value::Number(number) => number,
            Value::Null => 1.0,
            other => return Err(self.wrong_kind(f, argument(7), "a number", &other)),
        };
        let execution_properties = match self.or(f, properties, empty_map)? {
            Value::Null => Map::default(),
            map => self.map_of(f, argument(8), "a map of strings", &map, is_string)?.clone(),
        };
        // The key means nothing in the reference's language, so there it is not even evaluated.
        let depfile = match self.host.is_extended() {
            true => self.depfile(f, argument(9), depfile, &outputs.normal_files)?,
            false => None,
        };
        let mut action = ActionDescription::default();
        action.outs = outputs.normal_files;
        action.out_dirs = outputs.normal_dirs;
        action.command = command;
        action.cwd = cwd;
        action.env = env;
        action.may_fail = may_fail;
        action.no_cache = no_cache;
        action.timeout_scale = timeout_scale;
        action.execution_properties = execution_properties;
        action.inputs = inputs;
        let id = self.host.define_action(action, depfile);
        // By the paths as written, in which a file's and a directory's are never equal.
        let output = |path: &Str| {
            let artifact = Artifact::Action { id, path: path::normal(path) };
            (path.clone(), Value::artifact(artifact))
        };
        Ok(Value::Map(outputs.files.iter().chain(&outputs.dirs).map(output).collect()))
    }

    /// Evaluates and checks the arguments of an action that name its outputs.
    fn outputs(&mut self, f: Frame<'_>, args: &[u32]) -> Result<Outputs, EvalError> {
        let argument = |position: usize| Argument::of(Construct::Action, args, position);
        let files = self.or(f, args[1], empty_list)?;
        let files = self.strings(f, argument(1), &files)?;
        let dirs = self.or(f, args[2], empty_list)?;
        let dirs = self.strings(f, argument(2), &dirs)?;
        // Sorted without duplicates: the order in which a rule lists outputs is not part of an action's identity.
        let (normal_files, normal_dirs) = (normal_paths(&files), normal_paths(&dirs));
        // Before the paths are checked one by one: that is the order of the reference's messages.
        check_disjoint(&normal_files, &normal_dirs)?;
        self.check_inside(f, argument(1), &files)?;
        self.check_inside(f, argument(2), &dirs)?;
        self.check_nul(f, argument(1), &files)?;
        self.check_nul(f, argument(2), &dirs)?;
        let is_extended = self.host.is_extended();
        if let Some(index) = files.iter().position(|file| is_extended && path::normal_path(file) == ".") {
            let (what, path) = (argument(1), Value::String(files[index].clone()).to_json());
            let place = self.place_of_item(f, what.node, &PathStep::Index(index as u32));
            let message =
                format!("{what} contains {path}, which is the directory of the action itself and no file");
            let help = "an output is \"\", for example, if a field from which its name is joined is not set";
            return Err(EvalError::plain(message).at(place).help(help));
        }
        Ok(Outputs { files, dirs, normal_files, normal_dirs })
    }

    /// Checks that no path has a character that none can have. The reference notices when it makes the file.
    fn check_nul(&self, f: Frame<'_>, what: Argument<'_>, paths: &[Str]) -> Result<(), EvalError> {
        let is_wrong = |path: &Str| self.host.is_extended() && path.contains('\0');
        let Some(index) = paths.iter().position(is_wrong) else { return Ok(()) };
        let path = Value::String(paths[index].clone()).to_json();
        let place = self.place_of_item(f, what.node, &PathStep::Index(index as u32));
        Err(EvalError::plain(format!("{what} contains {path}, which has a NUL character")).at(place))
    }

    /// Checks that no output lies outside of the directory of the action.
    fn check_inside(&self, f: Frame<'_>, outputs: Argument<'_>, paths: &[Str]) -> Result<(), EvalError> {
        let Some(index) = paths.iter().position(|path| !path::is_non_upwards(path)) else { return Ok(()) };
        let path = Value::String(paths[index].clone()).to_json();
        let place = self.place_of_item(f, outputs.node, &PathStep::Index(index as u32));
        let message =
            format!("{outputs} has to be a list of non-upwards relative paths, but contains {path}");
        Err(EvalError::plain(message).at(place).help(OUTSIDE_HELP))
    }

    /// The output that is the depfile; `None` if it is null.
    fn depfile(
        &mut self,
        f: Frame<'_>,
        argument: Argument<'_>,
        node: u32,
        outs: &[Str],
    ) -> Result<Option<Str>, EvalError> {
        let value = self.or(f, node, || Value::Null)?;
        if value == Value::Null {
            return Ok(None);
        }
        let path = path::normal(self.string(f, argument, &value)?);
        // They are normal and sorted (`outputs`).
        match outs.binary_search(&path) {
            Ok(_) => Ok(Some(path)),
            Err(_) => Err(self.unsuitable_value(f, argument, "one of the outs", &value)),
        }
    }

    /// Whether there are words, and the rule is tainted with all of them.
    fn tainted(&self, f: Frame<'_>, node: u32, what: &str, words: &Words) -> Result<bool, EvalError> {
        let words = words.as_ref().map_err(|message| self.malformed(f, node, what, message))?;
        // Only a tainted rule may let actions fail or run uncached, so that everything built with
        // one shows it.
        match words.iter().find(|word| !self.host.is_tainted_with(word)) {
            None => Ok(!words.is_empty()),
            Some(word) => {
                let word = Value::String(word.clone()).to_json();
                let error = format!("{what} contains entry {word} the rule is not tainted with");
                let help = format!("declare it in the rule: \"tainted\": [{word}]");
                Err(self.malformed(f, node, what, &error).help(help))
            }
        }
    }

    /// Adds the working directory to the inputs, if no entry implies it.
    fn with_directory(&mut self, inputs: Map, cwd: &Str) -> Map {
        if !stage::needs_directory(&inputs, cwd) {
            return inputs;
        }
        let tree = Tree::new(Map::default());
        let directory = [(cwd.clone(), Value::artifact(tree.artifact()))].into_iter().collect();
        self.host.define_tree(tree);
        inputs.union(&directory)
    }
}

/// Checks that an action has outputs, and none that is both a file and a directory.
fn check_disjoint(outs: &[Str], out_dirs: &[Str]) -> Result<(), EvalError> {
    if outs.is_empty() && out_dirs.is_empty() {
        return Err(EvalError::plain("either outs or out_dirs must be specified for ACTION"));
    }
    let both = outs.iter().filter(|out| out_dirs.binary_search(out).is_ok());
    let both: Vec<Value> = both.cloned().map(Value::String).collect();
    if both.is_empty() {
        return Ok(());
    }
    let both = Value::List(both.into()).to_json();
    let message = format!("outs and out_dirs for ACTION must be disjoint, but both contain {both}");
    let reference = format!("outs and out_dirs for ACTION must be disjoint. Found repeated entries:\n{both}");
    Err(EvalError::plain(message).reference(reference))
}

/// Normalised, sorted, each once.
pub(crate) fn normal_paths(paths: &[Str]) -> Vec<Str> {
    let mut normal: Vec<Str> = paths.iter().map(path::normal).collect();
    normal.sort();
    normal.dedup();
    normal
}
