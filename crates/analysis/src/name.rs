//! Names of targets and files in descriptions and on command lines.

use taut_repos::RepoConfig;
use taut_syntax::{Diagnostic, NEXT_MESSAGE, Node, quoted, quoted_list};
use taut_value::path::{join, normal_path};
use taut_value::{EntityName, NamedTarget, ReferenceType, Str, Value};

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

/// Why a value is no name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameError {
    /// What is wrong; one line.
    pub message: String,
    /// The reference's message, if it is another one.
    pub reference: Option<String>,
    /// What was probably meant.
    pub suggestion: Option<String>,
    /// What can be done about it.
    pub help: Option<String>,
    /// The value, as JSON.
    pub shown: String,
}

impl NameError {
    /// Whether the name has none of the forms that names have.
    pub fn has_no_form(&self) -> bool {
        self.message == invalid(&self.shown)
    }

    /// The last message of the reference, about the value that is no name.
    pub fn in_reference(&self, value: &Value) -> String {
        const MAX_SHOWN_BYTES: usize = 1 << 16;
        invalid(&value.to_json_beyond(MAX_SHOWN_BYTES))
    }

    /// The error as a diagnostic.
    pub fn into_diagnostic(self, value: &Value) -> Diagnostic {
        let invalid = self.in_reference(value);
        self.with_last_message(invalid)
    }

    /// The error of a name that is read from a file, where whole numbers have no decimal point.
    pub fn of_json(self, value: &Value) -> Diagnostic {
        let shown = taut_expr::abbreviate(value, 1 << 16);
        self.with_last_message(invalid(&shown))
    }

    fn with_last_message(self, invalid: String) -> Diagnostic {
        let reference = match self.has_no_form() {
            true => invalid,
            false => {
                let help =
                    "Identifiers of anonymous targets should be obtained as FIELD value of anonymous fields";
                let is_anonymous = self.message.starts_with("Parsing anonymous");
                let help = if is_anonymous { format!(" {help}") } else { String::new() };
                let why = self.reference.as_deref().unwrap_or(&self.message);
                format!("{why}{help}{NEXT_MESSAGE}{invalid}")
            }
        };
        let diagnostic = Diagnostic::error(self.message).reference(reference).suggest(self.suggestion);
        self.help.into_iter().fold(diagnostic, Diagnostic::help)
    }
}

impl std::fmt::Display for NameError {
    /// The reason, then the value; each on a line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.has_no_form() {
            writeln!(f, "{}", self.message)?;
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
/// Why the text is no name.
pub fn parse_json_name(json: Node<'_>, context: NameContext<'_>) -> Result<NamedTarget, NameError> {
    parse_name(&taut_expr::json_to_value(json), context)
}

/// Reads a name: `"t"`, `["m","t"]`, `["./","m","t"]`, `["@","r","m","t"]`, `["FILE",null,"f"]` and the like.
///
/// # Errors
/// Why the value is no name.
pub fn parse_name(value: &Value, context: NameContext<'_>) -> Result<NamedTarget, NameError> {
    let syntax = |why: String| {
        let shown = taut_expr::abbreviate(value, 320);
        if why.is_empty() {
            let (message, help) = (invalid(&shown), Some(FORMS.to_owned()));
            return NameError { message, reference: None, suggestion: None, help, shown };
        }
        NameError { message: why, reference: None, suggestion: None, help: None, shown }
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
    // Before the markers: two words are module and name, even if the module is called `FILE` or `@`.
    if words.len() == 2
        && let (Some(module), Some(name)) = (text(0), text(1))
    {
        // A repository's root has no parent: "/m" and "../m" are "m".
        return Ok(NamedTarget::new(context.repository.clone(), module, name));
    }
    match (text(0), words.len()) {
        (Some("./"), 3) => {
            let (Some(module), Some(name)) = (text(1), text(2)) else { return Err(syntax(String::new())) };
            let full = normal_path(&join(context.module, module));
            // As in the reference, one step outwards leads to the root.
            if full.starts_with("../") {
                let mut error =
                    syntax(format!("Relative module name {} is outside of workspace", quoted(&module)));
                error.reference = Some(format!("Relative module name {module} is outside of workspace"));
                return Err(error);
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
                let mut error = syntax(format!("Invalid module name {module} for file reference"));
                error.help =
                    Some("a file is always one of the module at hand, for which null is written".into());
                return Err(error);
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
                let mut error = syntax(format!("Cannot resolve repository name {local}"));
                error.suggestion = meant.map(|meant| quoted_list(&["@", meant, module, name]));
                if meant.is_none() {
                    let known = bindings.into_iter().flat_map(|b| b.keys()).map(|name| name.as_str());
                    let known: Vec<&str> = known.collect();
                    let repository = context.repository.as_str();
                    error.help = Some(if context.repositories.repositories.contains_key(local) {
                        let local = quoted(&local);
                        format!(
                            "there is a repository {local}, which {} is not bound to; in the repository \
                             configuration: \"bindings\": {{{local}: {local}}}",
                            quoted(&repository)
                        )
                    } else if known.is_empty() {
                        format!(
                            "repository {} has no bindings; they are set in the repository configuration",
                            quoted(&repository)
                        )
                    } else {
                        format!(
                            "repository {} has the {}",
                            quoted(&repository),
                            taut_syntax::named("binding", &known)
                        )
                    });
                }
                return Err(error);
            };
            Ok(NamedTarget::new(global.clone(), module, name))
        }
        (Some("#"), _) => Err(syntax("Parsing anonymous target is not supported.".into())),
        _ => Err(syntax(String::new())),
    }
}
