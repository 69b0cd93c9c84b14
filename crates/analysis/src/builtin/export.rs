//! `export` and `configure`: another target in another configuration.

use taut_engine::Fail;
use taut_syntax::{Diagnostics, Kind, quoted};
use taut_value::{EntityName, Map, Value};

use crate::{
    AnalysedTarget, CacheEntry, CacheEntryRule, CacheKey, Config, ConfiguredTarget, DefinitionNames,
    Dependencies, Export, RepositoryKeyRule, RepositoryName, StrSet, TargetRule, key_text,
    problem::{below, fail},
    scope::Scope,
    whole_value::whole,
};

fn missing(scope: &Scope<'_>, rule: &str) -> Fail {
    let help = "it names the target that is meant: \"target\": \"name\"";
    let problem = scope.written.problem("target", format!("{} needs the field \"target\"", quoted(&rule)));
    let (kind, name) = (scope.written.kind.of_target(), &scope.written.named.name);
    let reference = format!("Missing mandatory field target in {kind} {name}.");
    fail(problem.reference(reference).help(help))
}

/// A failure of a target as the reference reports it: in a configuration with other variables than the flexible ones,
/// it asks for the target in one without them first.
fn pruned_first(scope: &Scope<'_>, failure: Fail) -> Fail {
    let Ok(flexible) = scope.literal_strings("flexible_config") else { return failure };
    // If the fields are wrong, there is no second task, and the step that it would add to the message is added here.
    let config = scope.target.config.prune(&flexible.into_iter().collect());
    if config == scope.target.config {
        return failure;
    }
    let target = ConfiguredTarget { name: scope.target.name.clone(), config };
    below(failure, || {
        format!("While evaluating export target {}:", target.in_reference(scope.workspace.log_limit))
    })
}

/// The target in the configuration restricted to the flexible variables; shared by all configurations that agree on
/// them.
pub(super) async fn export(mut scope: Scope<'_>) -> Result<AnalysedTarget, Fail> {
    let target = scope.written.json("target").map(taut_expr::json_to_value);
    let target = target.ok_or_else(|| pruned_first(&scope, missing(&scope, "export")))?;
    let exported = scope.name("target", &target).map_err(|failure| pruned_first(&scope, failure))?;
    let flexible = scope.literal_strings("flexible_config")?;
    let vars: StrSet = flexible.iter().cloned().collect();
    let fixed = match scope.written.json("fixed_config").map(taut_expr::json_to_value) {
        None => Map::default(),
        Some(Value::Map(fixed)) => fixed,
        Some(other) => {
            return Err(pruned_first(&scope, scope.written.wrong_type("fixed_config", "a map", &other)));
        }
    };
    // After the types of both are known to be right, so that the more basic mistake is reported.
    if let Some(var) = flexible.iter().find(|var| fixed.contains_key(var)) {
        let message = format!("Variable {} is both fixed and flexible.", var.as_str());
        return Err(pruned_first(&scope, scope.written.wrong("fixed_config", message)));
    }
    let pruned = scope.target.config.prune(&vars);
    // Compared by content: asked for in the pruned configuration, the target goes on below.
    if pruned != scope.target.config {
        let key = ConfiguredTarget { name: scope.target.name.clone(), config: pruned };
        // The target in the pruned configuration is a task of its own, which all configurations that agree share.
        let shared = scope.cx.get::<TargetRule>(key).await?;
        // As a whole: its definitions are mentioned by the shared task, and reachable from here since that is read.
        return Ok((*shared).clone());
    }
    // Before the exported target is asked for: after a hit, nothing that it depends on is read.
    let cached = cache_key(&scope).await?;
    if let Some(key) = cached
        && let Some(entry) = scope.cx.get::<CacheEntryRule>(key).await?
    {
        return Ok(taken(&entry, key, vars));
    }
    let key = ConfiguredTarget { name: EntityName::Named(exported), config: pruned.update(&fixed) };
    scope.dependencies.declared.push(key.clone());
    let dep = scope.analyse("target", vec![key]).await?.remove(0);
    if !dep.tainted().is_empty() {
        let tainted = Value::list(dep.tainted().iter().cloned().map(Value::String)).to_json();
        let note = format!("{} is tainted with {tainted}", dep.name);
        return Err(fail(
            scope.written.problem("target", "Only untainted targets can be exported.").note(note),
        ));
    }
    let result = dep.result().clone();
    // A value that contains a name cannot be cached. It is refused even where the cache is not used.
    if !Value::Map(result.provides.clone()).is_name_free() {
        let message = "Only targets that provide no names can be exported.";
        let provided = Value::Map(result.provides.clone()).to_json();
        let reference = format!("Only cacheable values can be exported; but target provides {provided}");
        return Err(fail(scope.written.problem("target", message).reference(reference)));
    }
    let mut analysed = scope.finish_unchecked(result, vars);
    analysed.provides_null = dep.provides_null();
    analysed.export = Some(cached.map_or(Export::NotEligible, Export::Uncached));
    Ok(analysed)
}

/// The key of the target in the target-level cache; `None` if the content of its repository is not fixed.
async fn cache_key(scope: &Scope<'_>) -> Result<Option<CacheKey>, Fail> {
    let named = scope.written.named;
    let repository = RepositoryName(named.repository.clone());
    let repository = scope.cx.get::<RepositoryKeyRule>(repository).await?;
    // The reads of both the key and the entry are recorded, so this target is invalidated when either comes out
    // differently.
    let text = repository.and_then(|key| key_text(&key, named, &scope.target.config));
    Ok(text.map(|text| CacheKey::of(&text, scope.workspace.hash_function)))
}

/// The target as the cache has it. Its definition is not evaluated, so there are no warnings about that, and nothing
/// below it is analysed.
fn taken(entry: &CacheEntry, key: CacheKey, vars: StrSet) -> AnalysedTarget {
    AnalysedTarget {
        result: entry.target.result.clone(),
        defined: DefinitionNames::default(),
        vars,
        tainted: StrSet::empty(),
        dependencies: Dependencies::default(),
        warnings: Diagnostics::none(),
        is_defined: true,
        provides_null: entry.target.provides_null,
        export: Some(Export::Cached(key, entry.object)),
    }
}

/// A target in this target's configuration with some variables changed.
pub(super) async fn configure(mut scope: Scope<'_>) -> Result<AnalysedTarget, Fail> {
    if scope.written.json("target").is_none() {
        return Err(missing(&scope, "configure"));
    }
    let name = scope.field("target", || Value::Null)?;
    // Unlike in `export`, the name may be computed from the configuration.
    let configured = scope.name("target", &name)?;
    let changes = match scope.written.json("config") {
        None => Map::default(),
        Some(json) if json.kind() != Kind::Object => {
            let found = taut_expr::json_to_value(json);
            let message = format!(
                "\"config\" has to be an expression for a map, but is {}",
                scope.written.described(&found)
            );
            let reference = format!("eval_config has to be an expr, but found {}", whole(&found));
            return Err(fail(scope.written.problem("config", message).reference(reference)));
        }
        Some(_) => match scope.field("config", || Value::Null)? {
            Value::Map(changes) => changes,
            other => {
                let message =
                    format!("\"config\" has to be a map, but is {}", scope.written.described(&other));
                let reference = format!("'config' must evaluate to map, but found {}", whole(&other));
                return Err(fail(scope.written.problem("config", message).reference(reference)));
            }
        },
    };
    let config: Config = scope.target.config.update(&changes);
    let key = ConfiguredTarget { name: EntityName::Named(configured), config };
    scope.dependencies.declared.push(key.clone());
    let deps = scope.analyse("target", vec![key]).await?;
    // Variables that are set here have the same values whatever this target's configuration is.
    let vars = scope.own_vars.union(&deps[0].vars().without(&changes));
    let result = deps[0].result().clone();
    let analysed = scope.finish_with(result, vars, deps.iter())?;
    Ok(AnalysedTarget { provides_null: deps[0].provides_null(), ..analysed })
}
