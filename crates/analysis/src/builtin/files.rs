//! `file_gen` and `symlink`: content that is part of the target's definition.

use taut_digest::ObjectType;
use taut_engine::Fail;
use taut_value::path::is_non_upwards;
use taut_value::{Str, TargetResult, Value};

use crate::{AnalysedTarget, dependency::Dep, problem::fail, scope::Scope};

async fn name_and_data(scope: &mut Scope<'_>) -> Result<(Str, Str, Vec<Dep>), Fail> {
    let names = scope.names("deps")?;
    // Before the name and the data, which may ask for the outputs of these.
    let deps = scope.deps("deps", names).await?;
    let name = scope.field_with("name", || Value::string("out.txt"), &deps)?;
    let name = scope.string("name", name)?;
    scope.check_path("name", &name, true)?;
    let data = scope.field_with("data", || Value::string(""), &deps)?;
    Ok((name, scope.string("data", data)?, deps))
}

pub(super) async fn file_gen(mut scope: Scope<'_>) -> Result<AnalysedTarget, Fail> {
    let (name, data, deps) = name_and_data(&mut scope).await?;
    let artifact = scope.defined.blob(scope.workspace, scope.cx, &data, ObjectType::File);
    let stage = [(name, Value::artifact(artifact))].into_iter().collect();
    scope.finish(TargetResult::of_artifacts(stage), &deps)
}

pub(super) async fn symlink(mut scope: Scope<'_>) -> Result<AnalysedTarget, Fail> {
    let (name, data, deps) = name_and_data(&mut scope).await?;
    if !is_non_upwards(&data) {
        let reference = format!("data string {data} does not constitute a non-upwards symlink target path");
        let found = Value::String(data).to_json();
        let message = format!("symlink data has to be non-upwards relative, but is {found}");
        return Err(fail(scope.written.problem("data", message).reference(reference)));
    }
    let artifact = scope.defined.blob(scope.workspace, scope.cx, &data, ObjectType::Symlink);
    let stage = [(name, Value::artifact(artifact))].into_iter().collect();
    scope.finish(TargetResult::of_artifacts(stage), &deps)
}
