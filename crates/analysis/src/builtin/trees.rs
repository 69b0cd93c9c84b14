//! `tree`, `tree_overlay`, `disjoint_tree_overlay`: a stage as one artifact.

use taut_engine::Fail;
use taut_expr::{
    Offer,
    stage::{normalise_first, tree_conflict},
};
use taut_value::{Map, TargetResult, Tree, TreeOverlay, Value};

use super::install::staging_conflict;
use crate::{AnalysedTarget, problem::fail, scope::Scope};
use taut_syntax::quoted;

pub(super) async fn tree(mut scope: Scope<'_>) -> Result<AnalysedTarget, Fail> {
    let names = scope.names("deps")?;
    let name = scope.field("name", || Value::string(""))?;
    let name = scope.string("name", name)?;
    scope.check_path("name", &name, false)?;
    let deps = scope.deps("deps", names).await?;
    let mut stage = Map::default();
    for dep in &deps {
        let more = dep.artifacts_over_runfiles();
        // Artifacts that are defined alike may share a path (docs/equality.md).
        if let Some((path, _)) =
            more.iter().find(|(path, value)| stage.get(path).is_some_and(|other| other != *value))
        {
            let first = deps.iter().find(|dep| dep.artifacts_over_runfiles().contains_key(path));
            let first = first.map_or(&dep.name, |first| &first.name);
            let message =
                format!("Staging conflict on path {} between {first} and {}", quoted(&path), dep.name);
            let between = [stage.get(path), more.get(path)].map(|value| value.cloned().unwrap_or_default());
            let reference = staging_conflict(path, [&between[0], &between[1]], &deps);
            let conflict = scope.written.conflict("deps", message, first, &dep.name);
            return Err(fail(conflict.reference(reference)));
        }
        stage = stage.union(&more);
    }
    if let Some(path) = tree_conflict(&stage) {
        let conflict = scope.written.subtree_conflict(
            format!("TREE conflict on subtree {}", quoted(&path)),
            &path,
            &deps,
        );
        return Err(fail(conflict.reference(format!("TREE conflict on subtree {path}"))));
    }
    // Normalised as the reference does it, since the paths are part of the tree's id.
    let tree = Tree::new(normalise_first(&stage));
    let artifact = scope.defined.tree(scope.cx, tree);
    let stage = [(name, Value::artifact(artifact))].into_iter().collect();
    scope.finish(TargetResult::of_artifacts(stage), &deps)
}

pub(super) async fn overlay(mut scope: Scope<'_>, disjoint: bool) -> Result<AnalysedTarget, Fail> {
    let names = scope.names("deps")?;
    let name = scope.field("name", || Value::string(""))?;
    let name = scope.string("name", name)?;
    scope.check_path("name", &name, false)?;
    let deps = scope.deps("deps", names).await?;
    let mut trees = Vec::with_capacity(deps.len());
    for dep in &deps {
        // Whether the stage forms a directory is checked when the tree is built.
        let tree = Tree::new(normalise_first(dep.artifacts()));
        trees.push(scope.defined.tree(scope.cx, tree));
    }
    let artifact = scope.defined.overlay(scope.cx, TreeOverlay::new(trees, disjoint));
    let stage = [(name, Value::artifact(artifact))].into_iter().collect();
    scope.finish(TargetResult::of_artifacts(stage), &deps)
}
