//! The ready configuration (`just-repository-config(5)`), byte for byte as just-mr 1.6 writes it.

use std::collections::{BTreeMap, BTreeSet};

use taut_expr::json_to_value;
use taut_syntax::{Diagnostic, quoted};
use taut_value::{Map, Value};

use crate::{
    description::{Description, LAYERS, TAKEN_OVER},
    problem::{Problem, place, text},
    root::Root,
};

/// What a configuration is made of.
pub(crate) struct Parts<'p> {
    pub(crate) description: &'p Description,
    /// The name of the main repository, if it was given, by the description or by the caller.
    pub(crate) given_main: Option<&'p str>,
    /// The main repository whose root is left out, to be found by the working directory of each call.
    pub(crate) without_root: Option<&'p str>,
    /// Whether that may be one that is not described, as in the reference.
    pub(crate) may_be_unknown: bool,
    /// The repositories of the configuration.
    pub(crate) included: &'p BTreeSet<String>,
    /// The roots of all that were set up.
    pub(crate) roots: &'p BTreeMap<String, Root>,
}

/// The text of the configuration.
///
/// # Errors
/// A layer of a repository is not a name.
pub(crate) fn configuration(parts: &Parts<'_>) -> Result<String, Problem> {
    let mut repositories = Vec::new();
    for name in parts.included {
        repositories.push((name.as_str().into(), repository(parts, name)?));
    }
    let mut all = Vec::new();
    if let Some(main) = parts.given_main {
        all.push(("main".into(), Value::string(main)));
    }
    if !repositories.is_empty() {
        all.push(("repositories".into(), Value::Map(Map::from_entries(repositories))));
    }
    // Without anything it is the value that was never assigned in the reference.
    if all.is_empty() {
        return Ok("null".to_owned());
    }
    Ok(Value::Map(Map::from_entries(all)).to_json_pretty(2))
}

fn repository(parts: &Parts<'_>, name: &str) -> Result<Value, Problem> {
    if parts.may_be_unknown && parts.without_root == Some(name) && !parts.description.describes(name) {
        return Ok(Value::Map(Map::default()));
    }
    let entry = parts.description.entry(name)?;
    let mut fields = Vec::new();
    // The order of insertion does not matter: maps are written sorted, as in the reference.
    for key in TAKEN_OVER {
        if let Some(value) = entry.get(key).filter(|value| !value.is_null()) {
            fields.push((key.into(), json_to_value(value)));
        }
    }
    // Each layer that is not written is derived from the workspace root by the build, so all four are left out
    // together.
    if parts.without_root != Some(name) {
        for key in LAYERS {
            let Some(value) = entry.get(key).filter(|value| !value.is_null()) else { continue };
            let Some(layer) = value.as_str() else {
                let reference = format!(
                    "While populating fields for repository {name}:\nExpected value for key {} to be a string, but found {}",
                    quoted(key),
                    text(value)
                );
                let message =
                    format!("{} of repository {} is the name of a repository", quoted(key), quoted(name));
                return Err(Diagnostic::error(message).reference(reference).at(place(value)).into());
            };
            // A layer that is the main repository's root is left out as well, and then follows the root that the call
            // finds.
            if parts.without_root != Some(layer)
                && let Some(root) = parts.roots.get(layer)
            {
                fields.push((key.into(), root.to_value()));
            }
        }
        if let Some(root) = parts.roots.get(name) {
            fields.push(("workspace_root".into(), root.to_value()));
        }
    }
    Ok(Value::Map(Map::from_entries(fields)))
}
