//! Mistakes that the reference ignores silently: values of a wrong form are errors here, and keys that look misspelt
//! get a warning. Other unknown keys are comments.

use std::collections::BTreeSet;

use taut_syntax::{Diagnostic, Document, Kind, Node, did_you_mean, quoted};

use crate::{
    description::Description,
    fields::{DESCRIPTION_FIELDS, ENTRY, Fields, Form, PRAGMA, of_type},
    misspelt,
    problem::place,
    reachable::Remark,
    source::Special,
};

/// A check of repositories of a description.
struct Check<'d> {
    description: &'d Description,
    /// The repositories whose sources were looked at.
    // Several repositories may be made from one source; it is reported once.
    seen: BTreeSet<String>,
    /// Values that mean nothing.
    errors: Vec<Diagnostic>,
    /// Keys that look misspelt.
    remarks: Vec<Remark>,
}

impl Description {
    /// What is wrong with repositories that the reference passes over, and keys that look misspelt.
    pub fn check(&self, names: &BTreeSet<String>) -> (Vec<Diagnostic>, Vec<Remark>) {
        let mut check = Check::of(self);
        names.iter().for_each(|name| check.repository(name));
        (check.errors, check.remarks)
    }
}

impl<'d> Check<'d> {
    /// Begins with what is about no repository.
    fn of(description: &'d Description) -> Check<'d> {
        let document: &Document = description.document();
        let mut check = Check { description, seen: BTreeSet::new(), errors: vec![], remarks: vec![] };
        let twice = Diagnostic::of_duplicates(document, document.root().span());
        check.remarks.extend(twice.map(|finding| Remark { finding, is_detail: false }));
        check.keys(document.root(), "the description", DESCRIPTION_FIELDS);
        check
    }

    /// Looks at a repository, and at what it is made from.
    fn repository(&mut self, name: &str) {
        // Errors of these two are those of the set-up itself.
        let Ok(entry) = self.description.entry(name) else { return };
        let of = format!("repository {}", quoted(name));
        // Its unknown keys have warnings in any case.
        self.values(entry, &of, &ENTRY[1..]);
        let Ok((defining, source)) = self.description.resolve(name) else { return };
        // Errors of the source itself are those of the set-up; a second message would be about the same value.
        if !self.seen.insert(defining) || self.description.source(name).is_err() {
            return;
        }
        let fields = of_type(source.get("type").and_then(Node::as_str).unwrap_or_default());
        let of_source = format!("the source of {of}");
        self.keys(source, &of_source, fields);
        self.values(source, &of_source, fields);
        if let Some(pragma) = source.get("pragma").filter(|pragma| pragma.kind() == Kind::Object) {
            let of = format!("\"pragma\" of {of}");
            self.keys(pragma, &of, PRAGMA);
            self.values(pragma, &of, PRAGMA);
        }
    }

    fn keys(&mut self, object: Node<'_>, of: &str, fields: Fields) {
        misspelt::keys(object, of, fields.iter().map(|(key, _)| *key), &mut self.remarks);
    }

    fn values(&mut self, object: Node<'_>, of: &str, fields: Fields) {
        for (key, form) in fields {
            // As everywhere in the reference's descriptions, null counts as a missing value.
            let Some(value) = object.get(key).filter(|value| !value.is_null()) else { continue };
            let Some((wrong, what)) = wrong(value, *form) else { continue };
            let message = format!("{} of {of} is {}", quoted(key), form.words());
            // Without words under the reference's name, as the reference does not report it.
            let mut problem = Diagnostic::error(message).reference("").at(place(wrong));
            if let WrongValue::Special(word) = what {
                problem.message = format!("{} is not a word for \"special\" of {of}", quoted(word));
                let words = Special::ALL.map(Special::word);
                problem = problem.suggest(did_you_mean(word, words));
                problem =
                    problem.help(format!("words are {}", words.map(|of| quoted(of).to_string()).join(", ")));
            }
            self.errors.push(problem);
        }
    }
}

/// What is wrong with a value.
enum WrongValue<'d> {
    Form,
    Special(&'d str),
}

/// The part of a value that is not of a form, if one is not.
fn wrong<'d>(value: Node<'d>, form: Form) -> Option<(Node<'d>, WrongValue<'d>)> {
    let is_text = |node: &Node<'d>| node.as_str().is_some();
    let of_form = |is_right: bool| (!is_right).then_some((value, WrongValue::Form));
    match form {
        Form::Text | Form::Name => of_form(is_text(&value)),
        Form::Flag => of_form(value.as_bool().is_some()),
        Form::Object => of_form(value.kind() == Kind::Object),
        Form::Source => of_form(is_text(&value) || value.kind() == Kind::Object),
        Form::Command if value.as_list().is_some_and(|mut words| words.next().is_none()) => of_form(false),
        Form::Texts | Form::Command | Form::Target => match value.as_list() {
            None => of_form(false),
            Some(mut items) => items.find(|item| !is_text(item)).map(|item| (item, WrongValue::Form)),
        },
        Form::TextMap | Form::NameMap if value.kind() != Kind::Object => of_form(false),
        Form::TextMap | Form::NameMap => value
            .entries()
            .map(|(_, item)| item)
            .find(|item| !is_text(item))
            .map(|item| (item, WrongValue::Form)),
        Form::Special => match value.as_str() {
            None => of_form(false),
            Some(word) if Special::of_word(word).is_some() => None,
            Some(word) => Some((value, WrongValue::Special(word))),
        },
    }
}
