//! The description of a computed root: `["computed", repository, module, target, configuration]` or
//! `["tree structure", repository]`, each optionally followed by an object with `"absent"`.

use taut_syntax::{Diagnostic, Kind, Node, quoted};

use crate::{
    ComputedRoot, ConfigError, RootContent, UnresolvedRoot, config_error::place, plain_json::plain_json,
};

// The reference calls the arguments in messages by other words than its manual page does.
/// What is at a place of the list, in our words and in those of the reference.
struct Argument {
    name: &'static str,
    reference: &'static str,
}

const REPOSITORY: Argument = Argument { name: "repository", reference: "root" };
const MODULE: Argument = Argument { name: "module", reference: "module" };
const TARGET: Argument = Argument { name: "target", reference: "name" };
const CONFIGURATION: Argument = Argument { name: "configuration", reference: "config" };

/// Reads the description of a root whose first item is the scheme.
pub(crate) fn parse(
    scheme: &str,
    root: Node<'_>,
    key: &str,
    repository: &str,
) -> Result<UnresolvedRoot, ConfigError> {
    let description = Parser { scheme, root, key, repository };
    let root = if scheme == "computed" { description.artifacts() } else { description.structure() }?;
    let what = format!("{key} of repository {}", quoted(repository));
    Ok(UnresolvedRoot { root, place: place(description.root), what })
}

struct Parser<'p> {
    scheme: &'p str,
    root: Node<'p>,
    key: &'p str,
    repository: &'p str,
}

impl Parser<'_> {
    fn artifacts(&self) -> Result<ComputedRoot, ConfigError> {
        const ARGUMENTS: &str = "[<scheme>, <root>, <module>, <name>, <config>]";
        // The length first, as in the reference: with a wrong one it says nothing about the items.
        self.check_length(5, ARGUMENTS)?;
        let (repository, module, target) =
            (self.text(1, &REPOSITORY)?, self.text(2, &MODULE)?, self.text(3, &TARGET)?);
        let configuration = self.object(4, &CONFIGURATION)?;
        let is_absent = self.is_absent(5, false)?;
        let configuration = plain_json(configuration);
        let taken = RootContent::Artifacts { module: module.into(), target: target.into(), configuration };
        Ok(ComputedRoot { repository: repository.into(), taken, is_absent })
    }

    fn structure(&self) -> Result<ComputedRoot, ConfigError> {
        self.check_length(2, "[<scheme>, <root>]")?;
        let repository = self.text(1, &REPOSITORY)?.into();
        Ok(ComputedRoot { repository, taken: RootContent::Structure, is_absent: self.is_absent(2, true)? })
    }

    /// The error that something is wrong with a part of the description.
    fn wrong(&self, at: Node<'_>, message: String, reference: String) -> ConfigError {
        let Parser { scheme, key, repository, .. } = self;
        let root = plain_json(self.root);
        // The blank is missing in the reference, too.
        let steps = format!(
            "While parsing {root} for {key} of repository{repository}:\nWhile parsing {scheme} root {root}:"
        );
        let problem = Diagnostic::error(message).at(place(at)).reference(format!("{steps}\n{reference}"));
        let problem = problem.note(format!("it is the {key} of repository {}", quoted(*repository)));
        problem.help(self.form()).into()
    }

    fn form(&self) -> &'static str {
        match self.scheme {
            "computed" => r#"["computed", "repository", "module", "target", {configuration}]"#,
            _ => r#"["tree structure", "repository"]"#,
        }
    }

    /// The list has so many items, and may have one more.
    fn check_length(&self, length: usize, arguments: &str) -> Result<(), ConfigError> {
        // The one more is the object with "absent".
        if (length..=length + 1).contains(&self.root.len()) {
            return Ok(());
        }
        let message = format!("a {} root has {} items, not {}", self.scheme, length, self.root.len());
        let shown = plain_json(self.root);
        let reference = format!(
            "The root has a wrong number of arguments: {shown}\nThe scheme requires {arguments} optionally followed by a \
             pragma object"
        );
        Err(self.wrong(self.root, message, reference))
    }

    fn item(&self, at: usize) -> Node<'_> {
        self.root.item(at).unwrap_or(self.root)
    }

    fn text(&self, at: usize, argument: &Argument) -> Result<&str, ConfigError> {
        let item = self.item(at);
        item.as_str().ok_or_else(|| {
            let message = format!("The {} of a {} root is a string", argument.name, self.scheme);
            let (name, shown) = (argument.reference, plain_json(item));
            let reference = format!("The root has a wrong type of <{name}>. Expected a string, got {shown}");
            self.wrong(item, message, reference)
        })
    }

    fn object(&self, at: usize, argument: &Argument) -> Result<Node<'_>, ConfigError> {
        let item = self.item(at);
        if item.kind() == Kind::Object {
            return Ok(item);
        }
        let message = format!("The {} of a {} root is an object", argument.name, self.scheme);
        let (name, shown) = (argument.reference, plain_json(item));
        let reference =
            format!("The root has a wrong type of <{name}>. Expected a plain json object, got {shown}");
        Err(self.wrong(item, message, reference))
    }

    /// Whether the last item says that the root is absent. `takes_null`: null means that it is not.
    // The reference accepts null in one of the two forms only.
    fn is_absent(&self, at: usize, takes_null: bool) -> Result<bool, ConfigError> {
        let Some(pragma) = self.root.item(at) else { return Ok(false) };
        if pragma.kind() != Kind::Object {
            let message =
                format!("The last item of a {} root is an object like {{\"absent\": true}}", self.scheme);
            let reference = format!(
                "The root has a wrong type of optional pragma argument. Expected a plain json object, got {}",
                plain_json(pragma)
            );
            return Err(self.wrong(pragma, message, reference));
        }
        match pragma.get("absent") {
            None => Ok(false),
            Some(absent) if absent.is_null() && takes_null => Ok(false),
            Some(absent) => absent.as_bool().ok_or_else(|| {
                let shown = plain_json(absent);
                let reference = format!("Expected pragma entry \"absent\" to be boolean, but found {shown}");
                self.wrong(absent, "\"absent\" is true or false".to_owned(), reference)
            }),
        }
    }
}
