//! `generic`: an action written down in the target itself.

use std::collections::BTreeSet;

use taut_engine::Fail;
use taut_expr::{
    path::{is_non_upwards, normal_path},
    stage::{needs_directory, tree_conflict},
};
use taut_value::{ActionDescription, Artifact, Map, Str, TargetResult, Tree, Value};

use crate::{
    AnalysedTarget,
    scope::{Dep, Scope},
};

pub(super) async fn generic(mut scope: Scope<'_>) -> Result<AnalysedTarget, Fail> {
    let names = scope.names("deps")?;
    let deps = scope.deps("deps", names).await?;
    let outs = outputs(&scope, "outs", &deps)?;
    let out_dirs = outputs(&scope, "out_dirs", &deps)?;
    if outs.is_empty() && out_dirs.is_empty() {
        return Err(
            scope.wrong("outs", "At least one of \"outs\" and \"out_dirs\" must be specified for generic")
        );
    }
    if let Some(both) = outs.intersection(&out_dirs).next() {
        return Err(
            scope.wrong("outs", format!("outs and out_dirs must be disjoint, but both contain {both:?}"))
        );
    }
    let all: Map = outs.iter().chain(&out_dirs).map(|path| (path.clone(), Value::Null)).collect();
    if let Some(path) = tree_conflict(&all) {
        return Err(scope.wrong("outs", format!("outputs have a staging conflict on {path:?}")));
    }
    let command = command(&scope, &deps)?;
    let cwd = scope.field_with("cwd", || Value::string(""), &deps)?;
    let cwd = scope.string("cwd", cwd)?;
    if !is_non_upwards(&cwd) {
        return Err(
            scope.wrong("cwd", format!("cwd has to be a non-upwards relative path, but found {cwd:?}"))
        );
    }
    let env = string_map(&scope, "env", &deps)?;
    let timeout_scale = match scope.field_with("timeout scaling", || Value::Null, &deps)? {
        Value::Null => 1.0,
        Value::Number(scale) => scale,
        other => {
            let found = scope.shown(&other);
            return Err(scope
                .wrong("timeout scaling", format!("timeout scaling has to be a number, but found {found}")));
        }
    };
    let execution_properties = string_map(&scope, "execution properties", &deps)?;

    let runfiles = deps.iter().map(|dep| &dep.target.result.runfiles);
    let artifacts = deps.iter().map(|dep| &dep.target.result.artifacts);
    let mut inputs = union(runfiles.chain(artifacts));
    if let Some(path) = tree_conflict(&inputs) {
        return Err(scope.wrong("deps", format!("Input artifacts have staging conflict on {path:?}")));
    }
    if needs_directory(&inputs, &cwd) {
        let empty = scope.defined.tree(scope.workspace, Tree::new(Map::default()));
        inputs = inputs.union(&[(cwd.clone(), Value::Artifact(empty))].into_iter().collect());
    }
    let all: Vec<Str> = outs.iter().chain(&out_dirs).cloned().collect();
    let mut action = ActionDescription::default();
    action.outs.extend(outs);
    action.out_dirs.extend(out_dirs);
    action.command = command;
    action.cwd = cwd;
    action.env = env;
    action.timeout_scale = timeout_scale;
    action.execution_properties = execution_properties;
    action.inputs = inputs;
    let id = scope.defined.action(scope.workspace, action);
    let artifact = |path: Str| (path.clone(), Value::Artifact(Artifact::Action { id, path }));
    let stage = all.into_iter().map(artifact).collect();
    scope.finish(TargetResult::new(stage, Map::default(), Map::default()), &deps)
}

/// All maps together, later ones over earlier ones, without copying the union once for each.
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
    let normal = |path: Str| {
        if is_non_upwards(&path) {
            return Ok(normal_path(&path).into());
        }
        Err(scope.wrong(field, format!("{field} have to be non-upwards relative paths, but found {path:?}")))
    };
    scope.strings(field, Some(deps))?.into_iter().map(normal).collect()
}

fn command(scope: &Scope<'_>, deps: &[Dep]) -> Result<Vec<Str>, Fail> {
    let cmds = scope.strings("cmds", Some(deps))?;
    let mut shell = match scope.field_with("sh -c", || Value::Null, deps)? {
        Value::Null => Vec::new(),
        Value::List(list) => crate::scope::strings(&list)
            .ok_or_else(|| scope.wrong("sh -c", "Expected \"sh -c\" to be a list of strings"))?,
        other => {
            let found = scope.shown(&other);
            return Err(scope
                .wrong("sh -c", format!("Expected \"sh -c\" to be a list of strings, but found {found}")));
        }
    };
    if shell.is_empty() {
        shell = vec!["sh".into(), "-c".into()];
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
        Value::Null if field == "execution properties" => Ok(Map::default()),
        other => {
            let found = scope.shown(&other);
            Err(scope.wrong(field, format!("Expected {field} to be a map of strings, but found {found}")))
        }
    }
}
