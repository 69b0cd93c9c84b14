//! Names of targets and files in descriptions and on command lines.

use taut_repos::RepoConfig;
use taut_syntax::{Diagnostic, NEXT_MESSAGE, Node, quoted, quoted_list};
use taut_value::path::{join, normal_path};
use taut_value::{EntityName, NamedTarget, ReferenceType, Str, Value};

use crate::whole_value::{whole, whole_as_read};

/// The location of a name, to which relative names are relative.
#[derive(Clone, Copy)]
pub struct NameContext<'c> {
    /// The repositories and their bindings.
    pub repositories: &'c RepoConfig,
    /// The repository in which the name is written.
    pub repository: &'c Str,
    /// The module in which the name is written.
    pub module: &'c str,
}

/// Why a value is not a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameError {
    /// What is wrong.
    pub problem: NameProblem,
    /// The value, as JSON.
    pub shown: String,
}

/// What is wrong with a value that is not a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NameProblem {
    /// It has none of the forms that names have.
    NoForm {
        /// The name that was probably meant.
        suggestion: Option<String>,
    },
    /// A relative module is outside of the workspace.
    Outside {
        /// The module as it is written.
        module: String,
    },
    /// A file is not in the current module.
    OtherModule {
        /// The module, as JSON.
        module: String,
    },
    /// The repository has no binding of this name.
    Unbound {
        /// The name.
        local: String,
        /// The name that was probably meant.
        suggestion: Option<String>,
        /// What can be done about it, if there is no suggestion.
        help: Option<String>,
    },
    /// An anonymous target, which cannot be written.
    Anonymous,
    /// A file, in place of a definition.
    File,
}

impl NameError {
    /// Whether the name has none of the forms that names have.
    pub fn has_no_form(&self) -> bool {
        matches!(self.problem, NameProblem::NoForm { .. })
    }

    /// What is wrong; one line.
    pub fn message(&self) -> String {
        match &self.problem {
            NameProblem::NoForm { .. } => invalid(&self.shown),
            NameProblem::Outside { module } => {
                format!("Relative module name {} is outside of workspace", quoted(module))
            }
            NameProblem::OtherModule { module } => {
                format!("Invalid module name {module} for file reference")
            }
            NameProblem::Unbound { local, .. } => format!("Cannot resolve repository name {local}"),
            NameProblem::Anonymous => "Parsing anonymous target is not supported.".to_owned(),
            NameProblem::File => format!("{} is a reference to a file, not to a definition", self.shown),
        }
    }

    /// What the reference says before its last message, if anything.
    fn cause_in_reference(&self) -> Option<String> {
        match &self.problem {
            NameProblem::NoForm { .. } => None,
            NameProblem::Outside { module } => {
                Some(format!("Relative module name {module} is outside of workspace"))
            }
            NameProblem::Anonymous => Some(format!(
                "{} Identifiers of anonymous targets should be obtained as FIELD value of anonymous fields",
                self.message()
            )),
            _ => Some(self.message()),
        }
    }

    /// What can be done about it.
    fn help(&self) -> Option<String> {
        match &self.problem {
            NameProblem::NoForm { suggestion: None } => Some(FORMS.to_owned()),
            NameProblem::OtherModule { .. } => {
                Some("a file is always in the current module: write null in place of the module".to_owned())
            }
            NameProblem::Unbound { help, .. } => help.clone(),
            _ => None,
        }
    }

    /// The last message of the reference, about the value that is not a name.
    pub fn in_reference(&self, value: &Value) -> String {
        invalid(&whole(value))
    }

    /// The error as a diagnostic.
    pub fn into_diagnostic(self, value: &Value) -> Diagnostic {
        let invalid = self.in_reference(value);
        self.with_last_message(invalid)
    }

    /// The error of a name that is read from a file.
    pub fn of_json(self, json: Node<'_>) -> Diagnostic {
        self.with_last_message(invalid(&whole_as_read(json)))
    }

    fn with_last_message(self, invalid: String) -> Diagnostic {
        let reference = match self.cause_in_reference() {
            None => invalid,
            Some(cause) => format!("{cause}{NEXT_MESSAGE}{invalid}"),
        };
        let (message, help) = (self.message(), self.help());
        let suggestion = match self.problem {
            NameProblem::Unbound { suggestion, .. } | NameProblem::NoForm { suggestion } => suggestion,
            _ => None,
        };
        let diagnostic = Diagnostic::error(message).reference(reference).suggest(suggestion);
        help.into_iter().fold(diagnostic, Diagnostic::help)
    }
}

impl std::fmt::Display for NameError {
    /// The reason, then the value; each on a line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.has_no_form() {
            writeln!(f, "{}", self.message())?;
        }
        f.write_str(&invalid(&self.shown))
    }
}

impl std::error::Error for NameError {}

fn invalid(shown: &str) -> String {
    format!("Syntactically invalid entity name: {shown}.")
}

const FORMS: &str = "a name has one of these forms:
\"name\" (of this module)
[\"module\", \"name\"]
[\"./\", \"relative module\", \"name\"]
[\"@\", \"repository\", \"module\", \"name\"]
[\"FILE\", null, \"file\"], also with TREE, GLOB or SYMLINK";

/// Reads a name from JSON.
///
/// # Errors
/// Why the text is not a name.
pub fn parse_json_name(json: Node<'_>, context: NameContext<'_>) -> Result<NamedTarget, NameError> {
    parse_name(&taut_expr::json_to_value(json), context)
}

/// Reads a name: `"t"`, `["m","t"]`, `["./","m","t"]`, `["@","r","m","t"]`, `["FILE",null,"f"]` and the like.
///
/// # Errors
/// Why the value is not a name.
pub fn parse_name(value: &Value, context: NameContext<'_>) -> Result<NamedTarget, NameError> {
    let named = match value {
        // A string is always a name in the current module, whatever it contains: there is no syntax within names.
        Value::String(name) => Ok(NamedTarget::new(context.repository.clone(), context.module, name.clone())),
        // A value of an expression: it was resolved where it was written.
        Value::Name(EntityName::Named(named)) => Ok(named.clone()),
        Value::List(words) => name_in_list(words, context),
        _ => Err(NO_FORM),
    };
    named.map_err(|problem| NameError { problem, shown: taut_expr::abbreviate(value, 320) })
}

fn name_in_list(words: &[Value], context: NameContext<'_>) -> Result<NamedTarget, NameProblem> {
    let here = |module: &str, name: &str| NamedTarget::new(context.repository.clone(), module, name);
    let text = |at: usize| words.get(at).and_then(Value::as_str).map(|word| word.as_str());
    // Before the markers: two words are module and name, even if the module is called `FILE` or `@`.
    if words.len() == 2
        && let (Some(module), Some(name)) = (text(0), text(1))
    {
        // A repository's root has no parent: "/m" and "../m" are "m".
        return Ok(here(module, name));
    }
    let marker = text(0).ok_or(NO_FORM)?;
    match (marker, words.len(), ReferenceType::from_marker(marker)) {
        ("./", 3, _) => {
            let (Some(module), Some(name)) = (text(1), text(2)) else { return Err(NO_FORM) };
            let full = normal_path(&join(context.module, module));
            // As in the reference, one step outwards leads to the root.
            if full.starts_with("../") {
                return Err(NameProblem::Outside { module: module.to_owned() });
            }
            Ok(here(&full, name))
        }
        (_, 3, Some(reference)) => {
            let is_here = match &words[1] {
                // `null`, "." and the name of the current module are equivalent, as in the reference.
                Value::Null => true,
                Value::String(module) => module.as_str() == "." || module.as_str() == context.module,
                _ => false,
            };
            if !is_here {
                return Err(NameProblem::OtherModule { module: words[1].to_json() });
            }
            let name = text(2).ok_or(NO_FORM)?;
            Ok(here(context.module, name).with_reference(reference))
        }
        ("@", 4, _) => {
            let (Some(local), Some(module), Some(name)) = (text(1), text(2), text(3)) else {
                return Err(NO_FORM);
            };
            let repository = context.repositories.repositories.get(context.repository);
            // Global names are values, local ones depend on the place: names are resolved once, where they are read.
            let global = repository.and_then(|repository| repository.bindings.get(local));
            let global = global.ok_or_else(|| unbound(local, module, name, context))?;
            Ok(NamedTarget::new(global.clone(), module, name))
        }
        // An anonymous target is named by nodes, which are values and have no written form.
        ("#", ..) => Err(NameProblem::Anonymous),
        _ => {
            let words: Option<Vec<&str>> = (0..words.len()).map(text).collect();
            let suggestion = words.and_then(|words| match *words {
                [name] => Some(name.to_owned()),
                _ => with_repository(&words, context),
            });
            Err(NameProblem::NoForm { suggestion })
        }
    }
}

const NO_FORM: NameProblem = NameProblem::NoForm { suggestion: None };

/// The suggestion for three words that seem to name a target of another repository: without the mark `"@"`, or without
/// the module.
fn with_repository(words: &[&str], context: NameContext<'_>) -> Option<String> {
    let bindings = &context.repositories.repositories.get(context.repository)?.bindings;
    let (local, module, name) = match words {
        ["@", local, name] => (*local, "", *name),
        // As other build systems write it: `@repo//`.
        [local, module, name] => (local.trim_start_matches('@').trim_end_matches('/'), *module, *name),
        _ => return None,
    };
    bindings.contains_key(local).then(|| quoted_list(&["@", local, module, name]))
}

/// The error about an unbound local name of a repository, with the name that was probably meant or the existing
/// bindings.
fn unbound(local: &str, module: &str, name: &str, context: NameContext<'_>) -> NameProblem {
    let NameContext { repositories, repository, .. } = context;
    let bindings = repositories.repositories.get(repository).map(|repository| &repository.bindings);
    let known: Vec<&str> =
        bindings.into_iter().flat_map(|bindings| bindings.keys()).map(|name| name.as_str()).collect();
    let local_name = local.to_owned();
    if let Some(meant) = taut_syntax::did_you_mean(local, known.iter().copied()) {
        let suggestion = Some(quoted_list(&["@", meant, module, name]));
        return NameProblem::Unbound { local: local_name, suggestion, help: None };
    }
    let shown = repository.as_str();
    let shown = quoted(&shown);
    let help = if repositories.repositories.contains_key(local) {
        let local = quoted(&local);
        format!(
            "there is a repository {local}, which {shown} is not bound to; in the repository configuration: \
             \"bindings\": {{{local}: {local}}}"
        )
    } else if known.is_empty() {
        format!("repository {shown} has no bindings; they are set in the repository configuration")
    } else {
        format!("repository {shown} has the {}", taut_syntax::named("binding", &known))
    };
    NameProblem::Unbound { local: local_name, suggestion: None, help: Some(help) }
}
