//! Errors of names whose module has no targets or rules file, or whose rules file does not define the rule.

use taut_engine::{Cx, Fail};
use taut_repos::{Entry, Listing, Root, RootPath};
use taut_syntax::{Diagnostic, did_you_mean, enumeration, named as listed, quoted, quoted_list};
use taut_value::{EntityName, NamedTarget, ReferenceType, Value};

use crate::{
    Workspace, foreign_names, module::if_missing, problem::settle, respelled::respelled, source,
    undefined_name, vocabulary::Builtin,
};

/// How the message begins about a module that is not there.
pub const NO_MODULE: &str = "There is no module ";

/// How the message begins about a rule that is not there.
pub const UNKNOWN_RULE: &str = "Unknown rule ";

/// The message about a file of targets of the root module that is not there.
pub const NO_TARGETS_FILE: &str = "There is no targets file";

/// How many names are listed at most.
const MAX_LISTED: usize = 12;

/// The error about a workspace whose directory is not there.
pub fn no_workspace_root(root: &Root) -> Diagnostic {
    let directory = root.source.shown("");
    Diagnostic::error("The workspace root does not exist")
        .note(format!("there is no directory {}", directory.display()))
}

/// The failure of a target whose module has no file of targets.
pub async fn missing_module(
    workspace: &Workspace,
    cx: &Cx,
    named: &NamedTarget,
    file: &RootPath,
    failure: Fail,
) -> Fail {
    let (module, name) = (named.module.as_str(), named.name.as_str());
    // Read for the message only, so what cannot be listed is passed over.
    // A read of the failure like any other, so a directory that appears invalidates the message.
    let listing = source::listing(workspace, cx, named, module).await.ok();
    let listing = listing.as_ref().map(|listing| &**listing.whole());
    let is_directory = matches!(listing, Some(Listing::Entries(_)));
    let is_absent = matches!(listing, Some(Listing::Absent));
    let entry = listing.and_then(|listing| listing.get(name));
    let has_file = matches!(entry, Some(Entry::File | Entry::Symlink));
    // A name in a root module that has no targets file may be that of another module, or of a target there.
    let (suggestion, other_module) = match module.is_empty() && !name.is_empty() {
        true => {
            let meant = undefined_name::suggested(workspace, cx, named).await.map(|meant| meant.written);
            (meant, undefined_name::if_module(workspace, cx, named).await)
        }
        false if is_absent => (undefined_name::in_similar_module(workspace, cx, named).await, None),
        false => (None, None),
    };
    if_missing(failure, file, |mut problem, meant| {
        let path = &workspace.shown_file(file, &named.repository);
        if module.is_empty() {
            if is_absent && let Ok(repository) = workspace.repository(&named.repository) {
                let absent = no_workspace_root(&repository.workspace_root);
                return Diagnostic { message: absent.message, notes: absent.notes, ..problem };
            }
            problem.message = NO_TARGETS_FILE.to_owned();
            if suggestion.is_some() {
                return problem.suggest(suggestion.clone());
            }
            if let Some(help) = &other_module {
                return problem.help(help.clone());
            }
            return problem.help("a file maps names to definitions: {\"name\": {\"type\": …}}");
        }
        problem.message = format!("{NO_MODULE}{}", quoted(module));
        // `["GLOB", "*.c"]`: two entries are always a module and a name in it.
        if is_absent && ReferenceType::from_marker(module).is_some() {
            let name = quoted(&name);
            return problem.suggest(Some(format!("[\"{module}\", null, {name}]")));
        }
        if let Some(meant) = meant {
            return problem.suggest(Some(quoted_list(&[meant.as_str(), name])));
        }
        match (is_directory, has_file) {
            (_, true) => {
                let full = format!("{module}/{name}");
                problem.help(format!(
                    "{full} is a file of the module above, where it is named {}; it is a file of module {} if {path} \
                     exists, even with nothing but {{}} in it",
                    quoted(&full),
                    quoted(module)
                ))
            }
            (true, false) => {
                problem.help(format!("directory {module} is there; a file {path} would make it a module"))
            }
            (false, false) => {
                problem.note(format!("there is no directory {module}")).suggest(suggestion.clone())
            }
        }
    })
}

/// A rule or expression as messages name it: just by its name, if it is of the root module.
fn shown(name: &NamedTarget) -> String {
    match name.module.is_empty() && name.repository.is_empty() {
        true => quoted(&name.name).to_string(),
        false => EntityName::Named(name.clone()).to_json(),
    }
}

/// A kind of definition that targets and rules refer to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum DefinitionKind {
    /// In a file of rules.
    Rule,
    /// In a file of expressions.
    Expression,
}

impl DefinitionKind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            DefinitionKind::Rule => "rule",
            DefinitionKind::Expression => "expression",
        }
    }

    /// How the message begins about one that is not there.
    fn unknown(self) -> &'static str {
        match self {
            DefinitionKind::Rule => UNKNOWN_RULE,
            DefinitionKind::Expression => "Unknown expression ",
        }
    }

    /// What was probably meant by a name; else the names that need no file.
    fn named_like<'n>(
        self,
        problem: Diagnostic,
        workspace: &Workspace,
        name: &NamedTarget,
        others: impl Iterator<Item = &'n str>,
    ) -> Diagnostic {
        // Built-in rules are named without a module, like rules of the root module.
        let is_builtin = self == DefinitionKind::Rule && name.module.is_empty();
        let builtin: Vec<&str> =
            if is_builtin { Builtin::NAMES.map(|(name, _)| name).into() } else { vec![] };
        if let Some(meant) = did_you_mean(&name.name, others.chain(builtin.iter().copied())) {
            return problem.suggest(Some(meant));
        }
        if self == DefinitionKind::Rule {
            // Whether help was added is seen by the count: `with_meant` returns the problem unchanged where it knows
            // nothing.
            let advice = problem.help.len();
            let problem = foreign_names::with_meant(problem, workspace, name);
            if problem.suggestion.is_some() || problem.help.len() > advice || !is_builtin {
                return problem;
            }
            return problem.help(format!("the built-in rules are {}", enumeration(&builtin)));
        }
        problem
    }
}

/// The failure of a rule or expression whose file is not there.
pub fn definition_file(
    kind: DefinitionKind,
    name: &NamedTarget,
    workspace: &Workspace,
    file: &RootPath,
    failure: Fail,
) -> Fail {
    if_missing(failure, file, |mut problem, meant| {
        problem.message = format!("{}{}", kind.unknown(), shown(name));
        // The note about where the file was looked for says the same with a longer path.
        problem.notes.clear();
        let path = workspace.shown_file(file, &name.repository);
        let problem = problem.note(format!("there is no file {path}, which would define it"));
        match meant {
            Some(meant) => problem.suggest(Some(quoted_list(&[meant.as_str(), &name.name]))),
            None => kind.named_like(problem, workspace, name, [].into_iter()),
        }
    })
}

/// The error if a file does not have a rule or expression.
pub fn definition<'n>(
    kind: DefinitionKind,
    name: &NamedTarget,
    workspace: &Workspace,
    file: &RootPath,
    others: impl Iterator<Item = &'n str>,
) -> Diagnostic {
    let word = kind.word();
    let problem = Diagnostic::error(format!("{}{}", kind.unknown(), shown(name)));
    let problem = problem.reference(match kind {
        DefinitionKind::Rule => {
            let (name, module) = (Value::String(name.name.clone()), Value::String(name.module.clone()));
            format!("Cannot find {word} {} in {}", name.to_json(), module.to_json())
        }
        DefinitionKind::Expression => {
            format!("Cannot find {word} {}", EntityName::Named(name.clone()).to_json())
        }
    });
    let others: Vec<&str> = others.collect();
    let path = workspace.shown_file(file, &name.repository);
    let problem = problem.note(match others.len() {
        0 => format!("{path} defines no {word}s"),
        n if n <= MAX_LISTED => format!("{path} defines the {}", listed(word, &others)),
        n => format!("{path} defines {n} {word}s, none of this name"),
    });
    kind.named_like(problem, workspace, name, others.into_iter())
}

/// The failure of something that a value names: located at that value, with the suggestion as it has to be written
/// there.
pub fn named_at(failure: Fail, json: Option<taut_syntax::Node<'_>>, at: &taut_syntax::Location) -> Fail {
    settle(failure, |diagnostic| match diagnostic.location {
        Some(_) => diagnostic,
        None => respelled(diagnostic, json.map(taut_expr::json_to_value)).at(at.clone()),
    })
}
