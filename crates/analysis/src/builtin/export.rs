//! `export` and `configure`: another target in another configuration.

use taut_engine::Fail;
use taut_syntax::Kind;
use taut_value::{EntityName, Map, Value};

use crate::{AnalysedTarget, Config, ConfiguredTarget, StrSet, TargetRule, scope::Scope};

/// The target in the configuration that is left of the variables declared flexible; shared by all
/// configurations that agree on them.
pub(super) async fn export(mut scope: Scope<'_>) -> Result<AnalysedTarget, Fail> {
    let target = scope.json("target").map(taut_expr::json_to_value).unwrap_or_default();
    let exported = scope.name("target", &target)?;
    let flexible = scope.literal_strings("flexible_config")?;
    let vars: StrSet = flexible.iter().cloned().collect();
    let fixed = match scope.json("fixed_config").map(taut_expr::json_to_value) {
        None => Map::default(),
        Some(Value::Map(fixed)) => fixed,
        Some(other) => {
            let found = other.to_json();
            return Err(
                scope.wrong("fixed_config", format!("fixed_config has to be a map, but found {found}"))
            );
        }
    };
    if let Some(var) = flexible.iter().find(|var| fixed.contains_key(var)) {
        let message = format!("Variable {} is both fixed and flexible.", var.as_str());
        return Err(scope.wrong("fixed_config", message));
    }
    let pruned = scope.target.config.prune(&vars);
    if pruned != scope.target.config {
        let key = ConfiguredTarget { name: scope.target.name.clone(), config: pruned };
        let shared = scope.cx.get::<TargetRule>(key).await?;
        return Ok((*shared).clone());
    }
    let key = ConfiguredTarget { name: EntityName::Named(exported), config: pruned.update(&fixed) };
    scope.dependencies.declared.push(key.clone());
    let dep = scope.analyse("target", vec![key]).await?.remove(0);
    if !dep.target.tainted.is_empty() {
        return Err(scope.wrong("target", "Only untainted targets can be exported."));
    }
    let result = dep.target.result.clone();
    if !Value::Map(result.provides.clone()).is_name_free() {
        return Err(scope.wrong("target", "Only targets that provide no names can be exported."));
    }
    let mut analysed = scope.finish_unchecked(result, vars);
    analysed.is_export = true;
    Ok(analysed)
}

/// A target in this target's configuration with some variables set anew.
pub(super) async fn configure(mut scope: Scope<'_>) -> Result<AnalysedTarget, Fail> {
    let name = scope.field("target", || Value::Null)?;
    let configured = scope.name("target", &name)?;
    let changes = match scope.json("config") {
        None => Map::default(),
        Some(json) if json.kind() != Kind::Object => {
            return Err(scope.wrong("config", format!("config has to be a map, but found {}", json.source())));
        }
        Some(_) => match scope.field("config", || Value::Null)? {
            Value::Map(changes) => changes,
            other => {
                let found = scope.shown(&other);
                return Err(
                    scope.wrong("config", format!("config has to evaluate to a map, but found {found}"))
                );
            }
        },
    };
    let config: Config = scope.target.config.update(&changes);
    let key = ConfiguredTarget { name: EntityName::Named(configured), config };
    scope.dependencies.declared.push(key.clone());
    let deps = scope.analyse("target", vec![key]).await?;
    let vars = scope.own_vars.union(&deps[0].target.vars.without(&changes));
    let result = deps[0].target.result.clone();
    scope.finish_with(result, vars, deps.iter())
}
