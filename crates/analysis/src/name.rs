//! Names as descriptions and command lines write them.

use taut_expr::path::{is_non_upwards, join, normal_path};
use taut_repos::RepoConfig;
use taut_syntax::Node;
use taut_value::{EntityName, NamedTarget, ReferenceType, Str, Value};

/// Where a name is written, which relative names are relative to.
#[derive(Clone, Copy)]
pub struct NameContext<'c> {
    /// The repositories and their bindings.
    pub repositories: &'c RepoConfig,
    /// The repository in which the name is written.
    pub repository: &'c Str,
    /// The module in which the name is written.
    pub module: &'c str,
}

/// Reads a name from JSON.
///
/// # Errors
/// Why the text is no name.
pub fn parse_json_name(json: Node<'_>, context: NameContext<'_>) -> Result<NamedTarget, String> {
    parse_name(&taut_expr::json_to_value(json), context)
}

/// Reads a name: `"t"`, `["m","t"]`, `["./","m","t"]`, `["@","r","m","t"]`, `["FILE",null,"f"]` and the like.
///
/// # Errors
/// Why the value is no name.
pub fn parse_name(value: &Value, context: NameContext<'_>) -> Result<NamedTarget, String> {
    let syntax = |why: String| {
        let lines = if why.is_empty() { why } else { why + "\n" };
        format!("{lines}Syntactically invalid entity name: {}.", value.to_json())
    };
    let words = match value {
        Value::String(name) => {
            return Ok(NamedTarget::new(context.repository.clone(), context.module, name.clone()));
        }
        Value::Name(EntityName::Named(named)) => return Ok(named.clone()),
        Value::List(words) => words,
        _ => return Err(syntax(String::new())),
    };
    let text = |at: usize| words.get(at).and_then(Value::as_str).map(|word| word.as_str());
    let inside = |module: &str| {
        if is_non_upwards(module) {
            return Ok(());
        }
        Err(syntax(format!("Modules have to live inside their repository, but found {module:?}")))
    };
    if words.len() == 2
        && let (Some(module), Some(name)) = (text(0), text(1))
    {
        inside(module)?;
        return Ok(NamedTarget::new(context.repository.clone(), module, name));
    }
    match (text(0), words.len()) {
        (Some("./"), 3) => {
            let (Some(module), Some(name)) = (text(1), text(2)) else { return Err(syntax(String::new())) };
            let full = normal_path(&join(context.module, module));
            if full == ".." || full.starts_with("../") {
                return Err(syntax(format!("Relative module name {module:?} is outside of workspace")));
            }
            Ok(NamedTarget::new(context.repository.clone(), &full, name))
        }
        (Some(marker), 3) if ReferenceType::from_marker(marker).is_some() => {
            let here = match &words[1] {
                Value::Null => true,
                Value::String(module) => module.as_str() == "." || module.as_str() == context.module,
                _ => false,
            };
            if !here {
                let module = words[1].to_json();
                return Err(syntax(format!("Invalid module name {module} for file reference")));
            }
            let Some(name) = text(2) else { return Err(syntax(String::new())) };
            let named = NamedTarget::new(context.repository.clone(), context.module, name);
            Ok(named.with_reference(ReferenceType::from_marker(marker).expect("just checked")))
        }
        (Some("@"), 4) => {
            let (Some(local), Some(module), Some(name)) = (text(1), text(2), text(3)) else {
                return Err(syntax(String::new()));
            };
            let bindings = context.repositories.repositories.get(context.repository).map(|r| &r.bindings);
            let Some(global) = bindings.and_then(|bindings| bindings.get(local)) else {
                let known = bindings.into_iter().flat_map(|b| b.keys()).map(|name| name.as_str());
                let meant = taut_syntax::did_you_mean(local, known);
                let meant = meant.map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default();
                return Err(syntax(format!("Cannot resolve repository name {local}{meant}")));
            };
            inside(module)?;
            Ok(NamedTarget::new(global.clone(), module, name))
        }
        (Some("#"), _) => Err(syntax("Parsing anonymous target is not supported.".into())),
        _ => Err(syntax(String::new())),
    }
}
