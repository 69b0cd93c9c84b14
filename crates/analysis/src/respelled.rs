//! Suggestions in the form in which they replace the mistake.

use taut_syntax::{Diagnostic, Document, diagnostic::suggested};
use taut_value::Value;

/// A diagnostic with its suggestion in the form that replaces the written name. If an expression computes the name, the
/// suggestion becomes advice. The given suggestion is a name in the same module, a JSON list of module and name, or a
/// complete list that begins with "@".
pub(crate) fn respelled(mut diagnostic: Diagnostic, written: Option<Value>) -> Diagnostic {
    let Some(meant) = diagnostic.suggestion.take() else { return diagnostic };
    let spelt = match &written {
        Some(Value::String(_)) => Some(meant.clone()),
        Some(Value::List(list)) => in_place_of(list, &meant),
        _ => None,
    };
    match spelt {
        Some(spelt) => diagnostic.suggestion = Some(spelt),
        None => diagnostic.help.push(format!("did you mean {}?", suggested(&meant))),
    }
    diagnostic
}

/// A name as it is written in place of a list of words.
fn in_place_of(list: &[Value], meant: &str) -> Option<String> {
    let words = |words: &[&Value]| {
        let words: Vec<String> = words.iter().map(|word| word.to_json()).collect();
        format!("[{}]", words.join(", "))
    };
    let (name, kept) = list.split_last()?;
    name.as_str()?;
    let Some(document) = meant.starts_with('[').then(|| Document::parse("", meant.to_owned()).ok()) else {
        let meant = Value::string(meant);
        return Some(words(&kept.iter().chain([&meant]).collect::<Vec<_>>()));
    };
    let module_and_name = taut_expr::json_to_value(document?.root());
    let module_and_name = module_and_name.as_list()?;
    if module_and_name.first() == Some(&Value::string("@")) {
        return Some(meant.to_owned());
    }
    match kept.first()?.as_str()?.as_str() {
        "@" => Some(words(&list[..2].iter().chain(module_and_name.iter()).collect::<Vec<_>>())),
        // `FILE` and its like name no targets, so a target cannot take their place.
        marker if kept.len() > 1 && marker != "./" => None,
        _ => Some(words(&module_and_name.iter().collect::<Vec<_>>())),
    }
}
