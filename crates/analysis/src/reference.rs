//! The reference's messages about the fields of targets, where they differ from ours.

use std::sync::Arc;

use taut_value::{EntityName, Value};

use crate::{rules::UserRule, vocabulary::Builtin, whole_value::whole};

/// The rule of a target.
#[derive(Clone)]
pub(crate) enum RuleKind {
    /// A built-in one.
    Builtin(Builtin),
    /// One of a rules file.
    User(Arc<UserRule>),
}

/// How a field of a user-defined rule is used.
#[derive(Clone, Copy, PartialEq)]
enum FieldUse {
    Strings,
    Config,
    Targets,
}

impl RuleKind {
    /// A target of the rule, as messages call it.
    pub(crate) fn of_target(&self) -> String {
        match self {
            RuleKind::Builtin(rule) => rule.kind_in_reference().to_owned(),
            RuleKind::User(rule) => format!("{} target", EntityName::Named(rule.name.clone()).to_json()),
        }
    }

    fn used(&self, field: &str) -> Option<FieldUse> {
        let RuleKind::User(rule) = self else { return None };
        let is_in = |fields: &[taut_value::Str]| fields.iter().any(|known| **known == *field);
        match () {
            () if is_in(&rule.config_fields) => Some(FieldUse::Config),
            () if is_in(&rule.string_fields) => Some(FieldUse::Strings),
            () if is_in(&rule.target_fields) => Some(FieldUse::Targets),
            () => None,
        }
    }

    /// The step of evaluating a field.
    pub(crate) fn evaluating(&self, field: &str) -> String {
        match (self, self.used(field), field) {
            (_, Some(FieldUse::Strings), _) => format!("While evaluating string field {field}:"),
            (_, Some(FieldUse::Config), _) => format!("While evaluating config field {field}:"),
            (_, Some(FieldUse::Targets), _) => format!("While evaluating target parameter {field}:"),
            (RuleKind::Builtin(Builtin::Configure), _, "target" | "config") => {
                format!("Evaluating '{field}' failed with error:")
            }
            // The names of two fields in the reference's messages are not those in targets files;
            // kept, as logs are compared.
            (_, _, "sh -c") => "While evaluating sh:".to_owned(),
            (_, _, "dirs") => "While evaluating deps:".to_owned(),
            _ => format!("While evaluating {field}:"),
        }
    }

    /// The step of reading a name in a field.
    pub(crate) fn parsing(&self, field: &str, name: &Value) -> String {
        let name = whole(name);
        match (self, field) {
            (RuleKind::User(_), _) => format!("Parsing entry {name} in target field {field} failed with:"),
            (_, "target") => format!("Parsing target name {name} failed with:"),
            _ => format!("Parsing dep entry {name} failed with:"),
        }
    }

    /// The message about a field of another type than expected; `item` is what is wrong in it, if that is a part.
    pub(crate) fn wrong_type(
        &self,
        name: &str,
        field: &str,
        value: &Value,
        item: Option<&Value>,
    ) -> Option<String> {
        // Whole, since the reference abbreviates no value in these messages.
        let found = whole(value);
        let entry = item.map_or_else(|| found.clone(), |item| format!("entry {}", whole(item)));
        // By use first: a user-defined rule may have a field with the name of one of a built-in rule.
        Some(match (self, self.used(field), field) {
            (_, _, "arguments_config" | "flexible_config") => match item {
                None => format!("Field {field} in {} {name} is not a list", self.of_target()),
                Some(_) => format!("List entry in {field} of {} {name} is not a string", self.of_target()),
            },
            (_, _, "tainted") => format!("tainted should evaluate to a list of strings, but got {found}"),
            (_, Some(FieldUse::Strings), _) => {
                format!("String field {field} should be a list of strings, but found {entry}")
            }
            (_, Some(FieldUse::Config), _) => {
                // Without a space, as the reference has it (`target_map.cpp`); so are the other mistakes in these
                // texts.
                format!("Config field {field} should evaluate to a list of strings, but got{found}")
            }
            (_, Some(FieldUse::Targets), _) => {
                format!("Target parameter {field} should evaluate to a list, but got {found}")
            }
            (_, _, "outs" | "out_dirs" | "cmds") => {
                format!("{field} has to evaluate to a list of strings, but found {entry}")
            }
            (_, _, "sh -c") => {
                let of = item.map(|item| format!("\nwith non-string entry {}", whole(item)));
                let of = of.unwrap_or_default();
                format!("sh has evaluate to list of strings or null, but found {found}{of}")
            }
            (_, _, "deps") => format!("Expected deps to evaluate to a list of targets, but found {found}"),
            (RuleKind::Builtin(Builtin::FileGen | Builtin::Symlink), _, "name" | "data") => {
                format!("{field} should evaluate to a string, but got {found}")
            }
            (_, _, "name") => format!("Expected name to evaluate to a string, but got {found}"),
            (_, _, "cwd") => format!("cwd has to evaluate to a string, but found {found}"),
            (_, _, "timeout scaling") => {
                format!("timeout scaling has evaluate to a number (or null for default), but found {found}")
            }
            (_, _, "env") => format!("env has to evaluate to map of strings, but found {entry}"),
            (_, _, "execution properties") => {
                format!(
                    "execution properties has to evaluate to a map (or null for default), but found {found}"
                )
            }
            (_, _, "fixed_config") => format!("fixed_config has to be a map, but found {found}"),
            (_, _, "files") => format!("Expected files to be a map of target expressions, but found {found}"),
            (_, _, "dirs") => match item {
                None => {
                    format!("Expected dirs to evaluate to a list of path-target pairs, but found {found}")
                }
                Some(_) => {
                    format!("Expected dirs to evaluate to a list of target-path pairs, but found {entry}")
                }
            },
            _ => return None,
        })
    }
}
