//! Things in words.

use taut_value::{ID_PREFIX_DIGITS, Id, Str};

use super::Explainer;
use crate::history::{Logged, Subject};
use taut_syntax::quoted;

/// An action by what a log has of it.
pub(super) fn logged_action(id: &Id, Logged { origin, outs, .. }: &Logged) -> String {
    let of = origin.as_ref().map(|(target, place)| format!(" ({target}#{place}{})", made(outs.iter())));
    format!("action %{}{}", &id.to_hex()[..ID_PREFIX_DIGITS], of.unwrap_or_default())
}

impl Explainer<'_> {
    pub(super) fn action_words(&self, id: &Id) -> String {
        let hex = id.to_hex();
        let short = &hex[..ID_PREFIX_DIGITS];
        if let Some(defined) = self.defined.get(id) {
            let outs = defined.action.outs.iter().chain(&defined.action.out_dirs);
            return format!("action %{short} ({}#{}{})", defined.name.to_json(), defined.place, made(outs));
        }
        let gone = if self.analysis.is_some() { ", which is no longer defined," } else { "" };
        let logged = self.record.named.get(id);
        match logged.and_then(|logged| Some((logged, logged.origin.as_ref()?))) {
            Some((logged, _)) => format!("{}{gone}", logged_action(id, logged)),
            None => format!("action %{short}{gone}"),
        }
    }

    pub(super) fn words(&self, subject: &Subject) -> String {
        match subject {
            Subject::Target { name, config } if config.as_str() == "{}" => format!("target {name}"),
            Subject::Target { name, config } => format!("target [{name},{config}]"),
            Subject::Action(id) => self.action_words(id),
            Subject::Output { action, path } => format!("{path}, made by {},", self.action_words(action)),
            Subject::Source(path) => format!("the source file {}", self.shown(path)),
            Subject::File(path) => format!("the file {}", self.shown(path)),
            Subject::Directory(path) => format!("what lies in the directory {}", self.shown(path)),
            Subject::Entry { file, name } => format!("the entry {} of {}", quoted(&name), self.shown(file)),
            Subject::Rule(name) => format!("rule {name}"),
            Subject::Expression(name) => format!("expression {name}"),
            Subject::Tree(id) => format!("tree {}", &id.to_hex()[..ID_PREFIX_DIGITS]),
            Subject::Inputs(_) => "a directory among the inputs".to_owned(),
            Subject::Other(text) => text.to_string(),
        }
    }

    pub(super) fn shown(&self, path: &str) -> String {
        taut_syntax::seen_from(path, &self.cwd.to_string_lossy())
    }
}

/// What an action makes, behind its origin.
fn made<'o>(mut outs: impl Iterator<Item = &'o Str>) -> String {
    let Some(first) = outs.next() else { return String::new() };
    match outs.count() {
        0 => format!(": {first}"),
        more => format!(": {first} and {more} more"),
    }
}

pub(super) fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A text in which object ids are cut to [`ID_PREFIX_DIGITS`] digits.
pub(super) fn short_ids(text: &str) -> String {
    // The digits of SHA-1, the shortest hash that ids are made of. Shorter numbers in a text are something else.
    const MIN_ID_DIGITS: usize = 40;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let digits = rest[begin..].bytes().take_while(u8::is_ascii_hexdigit).count();
        // By length alone: a text of a reason has no other numbers of 40 digits.
        let shown = if digits >= MIN_ID_DIGITS { ID_PREFIX_DIGITS } else { digits };
        out.push_str(&rest[..begin + shown]);
        rest = &rest[begin + digits..];
    }
    out + rest
}

pub(super) fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
