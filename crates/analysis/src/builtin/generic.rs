//! `generic`: an action that is part of the target's definition.

use std::collections::BTreeSet;

use taut_engine::Fail;
use taut_expr::{
    MAX_STRING_BYTES, Offer,
    stage::{needs_directory, tree_conflict},
};
use taut_syntax::{Diagnostic, quoted};
use taut_value::{
    ActionDescription, Artifact, Map, Str, TargetResult, Tree, Value,
    path::{is_non_upwards, normal_path},
};

use crate::{
    AnalysedTarget,
    dependency::Dep,
    problem::{fail, settle},
    scope::Scope,
    whole_value::whole,
};

pub(super) async fn generic(mut scope: Scope<'_>) -> Result<AnalysedTarget, Fail> {
    // Dependencies first, since all other fields may ask for their `outs` and `runfiles`.
    let names = scope.names("deps")?;
    let deps = scope.deps("deps", names).await?;
    let outs = outputs(&scope, "outs", &deps)?;
    let out_dirs = outputs(&scope, "out_dirs", &deps)?;
    check_outputs(&scope, &outs, &out_dirs)?;
    let command = command(&scope, &deps)?;
    let cwd = scope.field_with("cwd", || Value::string(""), &deps)?;
    let cwd = scope.string("cwd", cwd)?;
    if !is_non_upwards(&cwd) {
        let message = format!("\"cwd\" has to be a non-upwards relative path, but is {}", quoted(&cwd));
        let problem = scope.written.problem("cwd", message).help(OUTSIDE_HELP);
        let found = quoted(&cwd);
        return Err(fail(
            problem
                .reference(format!("cwd has to evaluate to a non-upwards relative path, but found {found}")),
        ));
    }
    let env = string_map(&scope, "env", &deps)?;
    let timeout_scale = match scope.field_with("timeout scaling", || Value::Null, &deps)? {
        // The neutral factor: the action is then the same as one without the field.
        Value::Null => 1.0,
        Value::Number(scale) => scale,
        other => {
            return Err(scope.written.wrong_type("timeout scaling", "a number", &other));
        }
    };
    let execution_properties = string_map(&scope, "execution properties", &deps)?;

    let runfiles = deps.iter().map(Dep::runfiles);
    let artifacts = deps.iter().map(Dep::artifacts);
    // Later ones win: an artifact of any dependency counts before a runfile of any.
    let mut inputs = union(runfiles.chain(artifacts));
    if let Some(path) = tree_conflict(&inputs) {
        let message = format!("Input artifacts have staging conflict on {}", quoted(&path));
        return Err(fail(scope.written.subtree_conflict(message, &path, &deps)));
    }
    // The command cannot start in a directory that does not exist. An empty tree as input is the only way in which the
    // definition of an action can demand a directory.
    if needs_directory(&inputs, &cwd) {
        let empty = scope.defined.tree(scope.cx, Tree::new(Map::default()));
        inputs = inputs.union(&[(cwd.clone(), Value::artifact(empty))].into_iter().collect());
    }
    let all: Vec<Str> = outs.iter().chain(&out_dirs).cloned().collect();
    let mut action = ActionDescription::default();
    // From sets, so sorted and unique, which the definition of an action requires.
    action.outs.extend(outs);
    action.out_dirs.extend(out_dirs);
    action.command = command;
    action.cwd = cwd;
    action.env = env;
    action.timeout_scale = timeout_scale;
    action.execution_properties = execution_properties;
    action.inputs = inputs;
    let id = scope.defined.action(scope.cx, action);
    let artifact = |path: Str| (path.clone(), Value::artifact(Artifact::Action { id, path }));
    let stage = all.into_iter().map(artifact).collect();
    scope.finish(TargetResult::new(stage, Map::default(), Map::default()), &deps)
}

const OUTSIDE_HELP: &str = "an action sees and makes nothing outside of its own directory";

/// Checks that the outputs are ones that an action can make.
fn check_outputs(scope: &Scope<'_>, outs: &BTreeSet<Str>, out_dirs: &BTreeSet<Str>) -> Result<(), Fail> {
    // Found in the extended dialect only, so the order of the reference's errors is not affected.
    if let Some(problem) = no_file(scope, outs) {
        return Err(fail(problem));
    }
    if outs.is_empty() && out_dirs.is_empty() {
        let message = "At least one of \"outs\" and \"out_dirs\" must be specified for generic";
        let problem = scope.written.problem("outs", message);
        let reference = "At least one of \"outs\" and \"out_dirs\" must be specified for \"generic\"";
        return Err(fail(problem.reference(reference).help("they say what the commands make")));
    }
    if let Some(both) = outs.intersection(out_dirs).next() {
        let message = format!("outs and out_dirs must be disjoint, but both contain {}", quoted(&both));
        let all = Value::list(outs.intersection(out_dirs).cloned().map(Value::String)).to_json();
        let reference =
            format!("outs and out_dirs for generic must be disjoint. Found repeated entries:\n{all}");
        let problem = scope.written.problem_with("outs", &Value::String(both.clone()), message);
        return Err(fail(problem.reference(reference)));
    }
    // `tree_conflict` looks at paths only, so any value will do.
    let all: Map = outs.iter().chain(out_dirs).map(|path| (path.clone(), Value::Null)).collect();
    if let Some(path) = tree_conflict(&all) {
        let message = format!("outputs have a staging conflict on {}", quoted(&path));
        let problem = scope.written.problem_with("outs", &Value::string(path.to_string()), message);
        let problem = problem.reference(format!("artifacts have staging conflicts on {}", quoted(&path)));
        return Err(fail(problem.help(format!("{} would be a file and a directory at once", quoted(&path)))));
    }
    Ok(())
}

/// The error about an output that no action can make. The reference has no such check: there the action fails after it
/// has run.
fn no_file(scope: &Scope<'_>, outs: &BTreeSet<Str>) -> Option<Diagnostic> {
    let path = outs.iter().find(|path| path.as_str() == ".")?;
    if !scope.workspace.repositories.dialect.is_extended() {
        return None;
    }
    let spellings = [Value::string(""), Value::String(path.clone())];
    let whole = scope.written.location_of("outs", &Value::Null);
    let places = spellings.iter().map(|spelling| scope.written.location_of("outs", spelling));
    let place = places.into_iter().find(|place| *place != whole).unwrap_or(whole);
    let message = "\"outs\" contains the directory of the action itself, which is not a file";
    let help = "outs are files that the commands make; directories belong into \"out_dirs\"";
    Some(scope.written.problem("outs", message).at(place).help(help))
}

/// The union of all maps, later ones over earlier ones, without copying the union for each map.
fn union<'m>(maps: impl Iterator<Item = &'m Map>) -> Map {
    let mut filled: Vec<&Map> = maps.filter(|map| !map.is_empty()).collect();
    match filled.len() {
        0 => Map::default(),
        1 => filled.swap_remove(0).clone(),
        _ => Map::from_entries(
            filled.into_iter().flat_map(|map| map.iter().map(|(k, v)| (k.clone(), v.clone()))).collect(),
        ),
    }
}

fn outputs(scope: &Scope<'_>, field: &str, deps: &[Dep]) -> Result<BTreeSet<Str>, Fail> {
    let is_extended = scope.workspace.repositories.dialect.is_extended();
    let normal = |path: Str| {
        if is_extended && path.contains('\0') {
            scope.check_path(field, &path, false)?;
        }
        if is_non_upwards(&path) {
            return Ok(normal_path(&path).into());
        }
        let message = format!(
            "{} have to be non-upwards relative paths, but contain {}",
            quoted(&field),
            quoted(&path)
        );
        let reference = format!("artifacts have staging conflicts on {}", quoted(&normal_path(&path)));
        let problem = scope.written.problem_with(field, &Value::String(path), message).help(OUTSIDE_HELP);
        Err(fail(problem.reference(reference)))
    };
    scope.strings(field, Some(deps))?.into_iter().map(normal).collect()
}

fn command(scope: &Scope<'_>, deps: &[Dep]) -> Result<Vec<Str>, Fail> {
    let cmds = scope.strings("cmds", Some(deps))?;
    let mut shell = match scope.field_with("sh -c", || Value::Null, deps)? {
        Value::Null => Vec::new(),
        Value::List(list) => crate::strings::strings(&list)
            .ok_or_else(|| scope.written.not_strings("sh -c", &Value::List(list)))?,
        other => return Err(scope.written.not_strings("sh -c", &other)),
    };
    if shell.is_empty() {
        shell = vec!["sh".into(), "-c".into()];
    }
    // Saturating: the commands may share one text that is repeated more often than memory would allow.
    let length = cmds.iter().fold(0_u64, |sum, cmd| sum.saturating_add(cmd.len() as u64 + 1));
    // The script is not the value of an expression, but the same bound keeps it from filling the memory.
    if length > MAX_STRING_BYTES {
        let message =
            format!("\"cmds\" together would have {length} bytes; at most {MAX_STRING_BYTES} are possible");
        return Err(fail(scope.written.problem("cmds", message)));
    }
    let mut script = String::new();
    for cmd in &cmds {
        script.push_str(cmd);
        script.push('\n');
    }
    shell.push(script.into());
    Ok(shell)
}

fn string_map(scope: &Scope<'_>, field: &str, deps: &[Dep]) -> Result<Map, Fail> {
    match scope.field_with(field, || Value::Map(Map::default()), deps)? {
        Value::Map(map) if map.values().all(|value| value.as_str().is_some()) => Ok(map),
        // In the reference `null` is the default of this field, and an error for `env`.
        Value::Null if field == "execution properties" => Ok(Map::default()),
        Value::Map(map) => {
            let (key, bad) =
                map.iter().find(|(_, value)| value.as_str().is_none()).expect("one of them is not a string");
            let (kind, shown) = (taut_expr::kind_of(bad), scope.written.shown(bad));
            let message = format!(
                "{} has to be a map of strings, but contains {kind} at {}: {shown}",
                quoted(&field),
                quoted(&key)
            );
            let reference = match field {
                "env" => {
                    format!("env has to evaluate to map of strings, but found entry {}", whole(bad))
                }
                _ => format!(
                    "{field} has to evaluate to a map (or null for default), but found {} for key {}",
                    quoted(&key),
                    whole(bad)
                ),
            };
            Err(fail(scope.written.problem_with(field, bad, message).reference(reference)))
        }
        other => Err(settle(scope.written.wrong_type(field, "a map of strings", &other), |problem| {
            problem.help("a map is written as {\"type\": \"'\", \"$1\": {\"NAME\": \"value\", …}}")
        })),
    }
}
