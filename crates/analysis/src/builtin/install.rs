//! `install`: artifacts of other targets at places of one's own.

use std::collections::HashMap;

use taut_engine::Fail;
use taut_expr::{
    path::{join, normal_path},
    stage::tree_conflict,
};
use taut_syntax::{Diagnostic, Kind};
use taut_value::{Map, NamedTarget, Str, Value};

use super::{artifacts_over_runfiles, both};
use crate::{
    AnalysedTarget,
    problem::{all, fail, settle},
    scope::{Dep, Scope},
};

/// Path to artifact, and which dependency it comes from.
#[derive(Default)]
struct Stage(HashMap<Str, (Value, String)>);

impl Stage {
    fn add(
        &mut self,
        scope: &Scope<'_>,
        field: &str,
        path: Str,
        artifact: &Value,
        from: &Dep,
    ) -> Result<(), Fail> {
        let from = from.name.to_json();
        match self.0.get(&path) {
            Some((known, other)) if known != artifact => {
                Err(scope
                    .wrong(field, format!("Staging conflict on path {path:?} between {other} and {from}")))
            }
            Some(_) => Ok(()),
            None => {
                self.0.insert(path, (artifact.clone(), from));
                Ok(())
            }
        }
    }
}

pub(super) async fn install(mut scope: Scope<'_>) -> Result<AnalysedTarget, Fail> {
    let dep_names = scope.names("deps")?;
    let files = files(&scope)?;
    let dirs = dirs(&scope)?;
    // A target in several roles is asked for once.
    let mut wanted: Vec<NamedTarget> = Vec::new();
    let mut position: HashMap<NamedTarget, usize> = HashMap::new();
    for name in
        dep_names.iter().chain(files.iter().map(|(_, name)| name)).chain(dirs.iter().map(|(name, _)| name))
    {
        position.entry(name.clone()).or_insert_with(|| {
            wanted.push(name.clone());
            wanted.len() - 1
        });
    }
    let deps = scope.deps("deps", wanted).await?;
    // What depends on what is told for each role.
    let asked = std::mem::take(&mut scope.dependencies.declared);
    let roles =
        dep_names.iter().chain(files.iter().map(|(_, name)| name)).chain(dirs.iter().map(|(name, _)| name));
    scope.dependencies.declared = roles.map(|name| asked[position[name]].clone()).collect();
    let dep = |name: &NamedTarget| &deps[position[name]];

    let mut stage = Stage::default();
    for name in &dep_names {
        for (path, artifact) in dep(name).target.result.runfiles.iter() {
            stage.add(&scope, "deps", path.clone(), artifact, dep(name))?;
        }
    }
    for (path, name) in &files {
        let artifact = only_artifact(&scope, dep(name))?;
        if stage.0.contains_key(path) {
            return Err(scope.wrong("files", format!("Staging conflict for path {path:?}")));
        }
        stage.add(&scope, "files", path.clone(), &artifact, dep(name))?;
    }
    for (name, directory) in &dirs {
        for (path, artifact) in artifacts_over_runfiles(dep(name)).iter() {
            let path = Str::from(normal_path(&join(directory, path)));
            stage.add(&scope, "dirs", path.clone(), artifact, dep(name)).map_err(|failure| {
                let has = |(name, directory): &&(NamedTarget, Str)| {
                    let staged = artifacts_over_runfiles(dep(name));
                    staged.keys().any(|inner| normal_path(&join(directory, inner)) == *path)
                };
                let all: Vec<String> =
                    dirs.iter().filter(has).map(|(name, _)| dep(name).name.to_string()).collect();
                settle(failure, |diagnostic| diagnostic.note(format!("it is in {}", all.join(" and in "))))
            })?;
        }
    }
    let stage: Map = stage.0.into_iter().map(|(path, (artifact, _))| (path, artifact)).collect();
    if let Some(path) = tree_conflict(&stage) {
        let location = scope.entry.location(None);
        return Err(fail(Diagnostic::error(format!("TREE conflict on subtree {path:?}")).at(location)));
    }
    scope.finish(both(stage), &deps)
}

fn only_artifact(scope: &Scope<'_>, dep: &Dep) -> Result<Value, Fail> {
    let result = &dep.target.result;
    let from = if result.artifacts.is_empty() { &result.runfiles } else { &result.artifacts };
    let name = dep.name.to_json();
    match from.len() {
        1 => Ok(from.values().next().expect("one entry").clone()),
        0 => Err(scope.wrong("files", format!("No artifacts or runfiles for {name}"))),
        n => Err(scope.wrong("files", format!("Not precisely one entry for {name}, but {n}"))),
    }
}

/// `files`: literally a map from path to an expression for a name.
fn files(scope: &Scope<'_>) -> Result<Vec<(Str, NamedTarget)>, Fail> {
    let Some(json) = scope.json("files") else { return Ok(Vec::new()) };
    if json.kind() != Kind::Object {
        return Err(scope.wrong("files", format!("files has to be a map, but found {}", json.source())));
    }
    let entry = |(path, json): (&str, _)| {
        let at = scope.entry.path().key("files").key(path);
        let expr = taut_expr::Expr::compile_at(json, at);
        let value = taut_expr::evaluate(&expr, &scope.env, &Default::default(), &mut taut_expr::Pure);
        let value = value.map_err(|error| fail(error.into_diagnostic()))?;
        Ok((Str::from(path), scope.name("files", &value)?))
    };
    all(json.entries().map(entry))
}

/// `dirs`: a list of pairs of a name and a directory.
fn dirs(scope: &Scope<'_>) -> Result<Vec<(NamedTarget, Str)>, Fail> {
    let value = scope.field("dirs", || Value::list([]))?;
    let wrong = |found: &Value| {
        let found = scope.shown(found);
        scope.wrong(
            "dirs",
            format!("dirs has to be a list of pairs of a target name and a directory, but found {found}"),
        )
    };
    let list = value.as_list().ok_or_else(|| wrong(&value))?;
    all(list.iter().map(|pair| match pair.as_list().map(|pair| pair.as_slice()) {
        Some([name, Value::String(directory)]) => Ok((scope.name("dirs", name)?, directory.clone())),
        _ => Err(wrong(pair)),
    }))
}
