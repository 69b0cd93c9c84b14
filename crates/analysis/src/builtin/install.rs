//! `install`: artifacts of other targets at new paths.

use std::collections::HashMap;

use taut_engine::Fail;
use taut_expr::{Offer, stage::tree_conflict};
use taut_syntax::{Diagnostic, Kind, quoted};
use taut_value::{
    EntityName, Map, NamedTarget, Str, TargetResult, Value,
    path::{join, normal_path, unusable},
};

use crate::{
    AnalysedTarget,
    dependency::Dep,
    problem::{all_of_one, fail, settle},
    scope::Scope,
    whole_value::whole,
};

/// Paths to artifacts, with the dependency each comes from.
// A hash map for the many insertions; the sorted map of the result is made once at the end.
#[derive(Default)]
struct Stage(HashMap<Str, (Value, EntityName)>);

impl Stage {
    fn add(
        &mut self,
        scope: &Scope<'_>,
        field: &str,
        path: Str,
        artifact: &Value,
        from: &Dep,
        all: &[Dep],
    ) -> Result<(), Fail> {
        match self.0.get(&path) {
            Some((known, other)) if known != artifact => {
                let message =
                    format!("Staging conflict on path {} between {other} and {}", quoted(&path), from.name);
                let conflict = scope.written.conflict(field, message, other, &from.name);
                let between = [known, artifact];
                Err(fail(conflict.reference(staging_conflict(&path, between, all))))
            }
            Some(_) => Ok(()),
            None => {
                self.0.insert(path, (artifact.clone(), from.name.clone()));
                Ok(())
            }
        }
    }
}

pub(super) async fn install(mut scope: Scope<'_>) -> Result<AnalysedTarget, Fail> {
    let dep_names = scope.names("deps")?;
    let files = files(&scope)?;
    let dirs = dirs(&scope)?;
    // A target in several roles is requested once.
    let mut wanted: Vec<NamedTarget> = Vec::new();
    // A list beside the map, so that dependencies are asked for in the order of the definition, on which the order of
    // messages depends.
    let mut position: HashMap<NamedTarget, usize> = HashMap::new();
    let roles = || {
        dep_names.iter().chain(files.iter().map(|(_, name)| name)).chain(dirs.iter().map(|(name, _)| name))
    };
    for name in roles() {
        position.entry(name.clone()).or_insert_with(|| {
            wanted.push(name.clone());
            wanted.len() - 1
        });
    }
    let deps = scope.deps("deps", wanted).await?;
    // The declared dependencies are recorded once for each role, as the reference does.
    let requested = std::mem::take(&mut scope.dependencies.declared);
    scope.dependencies.declared = roles().map(|name| requested[position[name]].clone()).collect();
    let dep = |name: &NamedTarget| &deps[position[name]];

    let mut stage = Stage::default();
    // Runfiles of `deps` first, then `files`, then `dirs`: the order decides which role a conflict is
    // reported for.
    for name in &dep_names {
        for (path, artifact) in dep(name).runfiles().iter() {
            stage.add(&scope, "deps", path.clone(), artifact, dep(name), &deps)?;
        }
    }
    // A dependency that offers nothing at all is not a mistake of this target.
    let idle =
        dep_names.iter().map(dep).filter(|dep| dep.runfiles().is_empty() && !dep.artifacts().is_empty());
    let idle: Vec<Diagnostic> = idle.map(|dep| without_runfiles(&scope, dep)).collect();
    scope.warnings.extend(idle);
    let artifacts = all_of_one(files.iter().map(|(path, name)| only_artifact(&scope, path, dep(name))))?;
    for ((path, name), artifact) in files.iter().zip(artifacts) {
        // An error even if both are the same artifact.
        // `files` name single places on purpose, and the reference refuses them where anything is staged already.
        if let Some((_, other)) = stage.0.get(path) {
            let message = format!("Staging conflict for path {}", quoted(&path));
            let at = scope.written.entry.key_location(scope.written.entry.path().key("files").key(path));
            let note = format!("the runfiles of {other} have something there, too");
            let reference = format!("Staging conflict for path {path}");
            return Err(fail(Diagnostic::error(message).reference(reference).at(at).note(note)));
        }
        stage.add(&scope, "files", path.clone(), &artifact, dep(name), &deps)?;
    }
    for (name, directory) in &dirs {
        for (path, artifact) in dep(name).artifacts_over_runfiles().iter() {
            // Normalised here, since paths from different directories may become equal only then.
            let path = Str::from(normal_path(&join(directory, path)));
            let added = stage.add(&scope, "dirs", path.clone(), artifact, dep(name), &deps);
            added.map_err(|failure| naming_all(failure, &path, dirs.iter().map(|(n, dir)| (dep(n), dir))))?;
        }
    }
    let stage: Map = stage.0.into_iter().map(|(path, (artifact, _))| (path, artifact)).collect();
    // After all roles, since a path and one below it may come from different ones.
    if let Some(path) = tree_conflict(&stage) {
        let conflict = scope.written.subtree_conflict(
            format!("TREE conflict on subtree {}", quoted(&path)),
            &path,
            &deps,
        );
        return Err(fail(conflict.reference(format!("TREE conflict on subtree {path}"))));
    }
    scope.finish(TargetResult::of_artifacts(stage), &deps)
}

/// A conflict in a directory. The message names two dependencies; if there are more, a note names all.
fn naming_all<'d>(failure: Fail, path: &str, dirs: impl Iterator<Item = (&'d Dep, &'d Str)>) -> Fail {
    let has = |(dep, directory): &(&Dep, &Str)| {
        let staged = dep.artifacts_over_runfiles();
        staged.keys().any(|inner| normal_path(&join(directory, inner)) == path)
    };
    let all: Vec<String> = dirs.filter(has).map(|(dep, _)| dep.name.to_string()).collect();
    settle(failure, |diagnostic| match all.len() {
        0..=2 => diagnostic,
        _ => diagnostic.note(format!("it is in {}", all.join(" and in "))),
    })
}

/// The reference's message about two artifacts at one path, with the dependencies that have them.
pub(super) fn staging_conflict(path: &str, between: [&Value; 2], deps: &[Dep]) -> String {
    let mut text = format!("Staging conflict on path {} between\n", quoted(&path));
    for artifact in between {
        text += &format!(" - {} from\n", artifact.to_json());
        for dep in deps {
            let name = dep.name.to_json();
            for (stage, what) in [(dep.artifacts(), "artifact"), (dep.runfiles(), "runfile")] {
                for (path, _) in stage.iter().filter(|(_, there)| *there == artifact) {
                    let path = Value::String(path.clone()).to_json();
                    text += &format!("    - {name}, {what} at {path}\n");
                }
            }
        }
    }
    text
}

/// A warning about a dependency whose artifacts are probably expected in the result. The reference has none.
fn without_runfiles(scope: &Scope<'_>, dep: &Dep) -> Diagnostic {
    let message = format!("{} contributes nothing: \"deps\" takes runfiles, and it has none", dep.name);
    let here = scope.written.named;
    let written = dep.name.as_named().and_then(|named| {
        let list = format!("{}, {}", quoted(&named.module), quoted(&named.name));
        if named.repository != here.repository {
            let bindings = &scope.workspace.repository(&here.repository).ok()?.bindings;
            let (local, _) = bindings.iter().find(|(_, global)| **global == named.repository)?;
            return Some(format!("[\"@\", {}, {list}]", quoted(local)));
        }
        Some(match named.module == here.module {
            true => Value::string(named.name.as_str()).to_json(),
            false => format!("[{list}]"),
        })
    });
    let written = written.unwrap_or_default();
    let at = dep.artifacts().keys().next().map(|path| path.as_str()).unwrap_or_default();
    Diagnostic::warning(message).reference("").at(scope.written.location_of_name("deps", &dep.name)).help(
        format!(
            "to place its artifacts: \"files\": {{{}: {written}}}, or \"dirs\": [[{written}, \".\"]]",
            quoted(at)
        ),
    )
}

fn only_artifact(scope: &Scope<'_>, path: &Str, dep: &Dep) -> Result<Value, Fail> {
    // As in the reference, runfiles stand in where a target has no artifacts.
    let from = if dep.artifacts().is_empty() { dep.runfiles() } else { dep.artifacts() };
    let name = dep.name.to_json();
    let wrong = |message: String, reference: &str| {
        let in_file = scope.written.entry.path().key("files").key(path);
        let at = scope.written.entry.value_location(in_file);
        let help = "\"files\" takes single artifacts; \"deps\" and \"dirs\" take all of a target";
        let reference = format!("{reference} for {name} to be staged to {path}");
        fail(Diagnostic::error(message).reference(reference).at(at).help(help))
    };
    match from.len() {
        1 => Ok(from.values().next().expect("one entry").clone()),
        0 => Err(wrong(format!("No artifacts or runfiles for {name}"), "No artifacts or runfiles")),
        n => {
            const MAX_SHOWN_PATHS: usize = 5;
            let mut paths: Vec<String> =
                from.keys().take(MAX_SHOWN_PATHS).map(|path| quoted(path).to_string()).collect();
            paths.extend((n > MAX_SHOWN_PATHS).then(|| "…".to_owned()));
            let paths = paths.join(", ");
            let message = format!("Not precisely one entry for {name}, but {n}: {paths}");
            Err(wrong(message, "Not precisely one entry"))
        }
    }
}

/// `files`: literally a map from path to an expression for a name.
fn files(scope: &Scope<'_>) -> Result<Vec<(Str, NamedTarget)>, Fail> {
    let Some(json) = scope.written.json("files") else { return Ok(Vec::new()) };
    if json.kind() != Kind::Object {
        let found = taut_expr::json_to_value(json);
        let failure = scope.written.wrong_type("files", "a map from paths to target names", &found);
        return Err(settle(failure, |problem| problem.help("for example: {\"bin/program\": \"program\"}")));
    }
    let is_extended = scope.workspace.repositories.dialect.is_extended();
    let entry = |(path, json): (&str, _)| {
        let at = scope.written.entry.path().key("files").key(path);
        if let Some(why) = unusable(path, true).filter(|_| is_extended) {
            let shown = Value::string(path).to_json();
            let message = format!("\"files\" has a file at {shown}, which {why}");
            return Err(fail(Diagnostic::error(message).at(scope.written.entry.key_location(at))));
        }
        let expr = taut_expr::Expr::compile_at(json, at);
        let value = taut_expr::evaluate(&expr, &scope.env, &Default::default(), &mut taut_expr::Pure);
        let value = value.map_err(|error| {
            fail(error.into_diagnostic().below(&format!("While evaluating files entry for {path}:")))
        })?;
        let step = || format!("Parsing file entry {} for key {path} failed with:", whole(&value));
        Ok((Str::from(path), scope.name_in("files", &value, step)?))
    };
    all_of_one(json.entries().map(entry))
}

/// `dirs`: a list of pairs of a name and a directory.
fn dirs(scope: &Scope<'_>) -> Result<Vec<(NamedTarget, Str)>, Fail> {
    let value = scope.field("dirs", || Value::list([]))?;
    const EXPECTED_PAIRS: &str = "a list of pairs of a target name and a directory";
    let wrong = |found: &Value| {
        let message =
            format!("\"dirs\" has to be {EXPECTED_PAIRS}, but contains {}", scope.written.shown(found));
        let problem = scope.written.problem_with("dirs", found, message);
        fail(scope.written.of_type(problem, "dirs", &value, Some(found)))
    };
    let list = value.as_list().ok_or_else(|| scope.written.wrong_type("dirs", EXPECTED_PAIRS, &value))?;
    all_of_one(list.iter().map(|pair| match pair.as_list().map(|pair| pair.as_slice()) {
        Some([name, Value::String(directory)]) => {
            let step = || format!("Parsing dir entry {} for path {directory} failed with:", whole(name));
            let name = scope.name_in("dirs", name, step)?;
            scope.check_path("dirs", directory, false)?;
            Ok((name, directory.clone()))
        }
        _ => Err(wrong(pair)),
    }))
}
