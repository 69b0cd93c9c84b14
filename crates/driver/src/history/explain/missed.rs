//! Why a remote cache had no result of an action: what differs from the nearest one that it knows; and differences in
//! words.

use taut_exec::{Difference, Nearest, Presence, Values, nearest};
use taut_syntax::{quoted, quoted_list};
use taut_value::Id;

use super::{Explainer, MAX_SHOWN, words::many};

/// How much of a word is shown where two differ.
const MAX_SHOWN_CHARS: usize = 60;

/// How much of a word is shown before the place where two differ.
const MAX_CHARS_BEFORE: usize = 20;

impl Explainer<'_> {
    /// Writes what a server knows in place of an action that it had no result of, if it was asked.
    pub(super) fn missed(&mut self, id: &Id) {
        let Some(logged) = self.record.named.get(id) else { return };
        let Some(missed) = logged.missed else { return };
        if logged.executed_by.is_some() {
            return self.missed_at_server(id, &missed, logged);
        }
        let had = match missed.is_incomplete {
            true => "had a result of it that could not be used: not all of it is there",
            false => "had no result of it",
        };
        // Questions ask no server that is not named: the answer then says how to do so.
        let Some(service) = self.from.cache else {
            self.say(format!(
                "  The remote cache {had}; --remote-cache ADDRESS compares it with the nearest action that is known there."
            ));
            return;
        };
        let name = &service.name;
        match nearest(service, self.from.store, &missed) {
            Err(why) => self.say(format!("  The remote cache {had}. Why is not known: {why}.")),
            Ok(None) => self.say(format!(
                "  The remote cache {had}. Why is not known: what the action was then is no longer stored here."
            )),
            Ok(Some(Nearest { has_result, is_known, differences })) => {
                // The cache is asked now, not at the time of the build: another machine may have
                // stored a result since.
                let now = if has_result && !missed.is_incomplete { " (it has one now)" } else { "" };
                let had = format!("  The remote cache {name} {had}{now}.");
                match differences {
                    Some(differences) if differences.is_empty() => self.say(format!(
                        "{had} It knows an action that differs in nothing but how its messages are written, as another \
                         version of taut does."
                    )),
                    Some(differences) => {
                        self.say(format!("{had} The nearest action that it knows differs from this one:"));
                        self.differences(&differences);
                    }
                    None if is_known && !has_result => self.say(format!(
                        "{had} It knows the same action, but the result is gone: the cache has removed it."
                    )),
                    None => self.say(format!("{had} It knows no other action with these outputs.")),
                }
            }
        }
    }

    pub(super) fn differences(&mut self, differences: &[Difference]) {
        let lines: Vec<String> = differences.iter().flat_map(in_words).collect();
        for line in lines.iter().take(MAX_SHOWN) {
            self.say(format!("    - {line}"));
        }
        if lines.len() > MAX_SHOWN {
            self.say(format!("    and {}.", many(lines.len() - MAX_SHOWN, "more difference")));
        }
    }
}

/// A difference in words. What comes from the cache may be anything, and is quoted.
fn in_words(difference: &Difference) -> Vec<String> {
    let set = |value: &Option<String>| {
        value.as_ref().map_or_else(|| "not set".to_owned(), |value| quoted(value).to_string())
    };
    let named = |what: &str, values: &Values| {
        let Values { name, here, there } = values;
        let (here, there) = match (here, there) {
            (Some(here), Some(there)) => {
                let [here, there] = excerpts(here, there);
                (Some(here), Some(there))
            }
            _ => (here.clone(), there.clone()),
        };
        vec![format!("{what} {} is {} here, {} there", bare(name), set(&here), set(&there))]
    };
    match difference {
        Difference::Variable(values) => named("the environment variable", values),
        Difference::Property(values) => named("the property", values),
        Difference::TimeLimit(Values { here, there, .. }) => {
            let seconds =
                |limit: &Option<String>| limit.as_ref().map_or("not set".to_owned(), |s| format!("{s} s"));
            vec![format!("the time limit is {} here, {} there", seconds(here), seconds(there))]
        }
        Difference::Machine(Values { name, here, there }) => {
            let what = if name == "launcher" { "the launcher" } else { "the kind of machine" };
            vec![format!("{what} is {} here, {} there", set(here), set(there))]
        }
        // By place only if the lengths are equal: one more word in front would make all places differ.
        Difference::Command { here, there } if here.len() == there.len() => {
            let words = here.iter().zip(there).enumerate().filter(|(_, (here, there))| here != there);
            let line = |(at, (here, there)): (usize, (&String, &String))| {
                let [here, there] = excerpts(here, there);
                format!("word {} of the command is {} here, {} there", at + 1, quoted(&here), quoted(&there))
            };
            words.map(line).collect()
        }
        Difference::Command { here, there } => {
            let only = |these: &[String], others: &[String]| -> Vec<String> {
                let words = these.iter().filter(|word| !others.contains(word));
                words.map(|word| excerpts(word, "")[0].clone()).collect()
            };
            let (mine, other) = (only(here, there), only(there, here));
            let mut lines = Vec::new();
            for (words, place) in [(mine, "here"), (other, "there")] {
                if !words.is_empty() {
                    lines.push(format!("the command has only {place} {}", quoted_list(&words)));
                }
            }
            if lines.is_empty() {
                lines.push("the command has the same words in another order or number".to_owned());
            }
            lines
        }
        Difference::Input { path, presence } => vec![match presence {
            Presence::Both => format!("the input {} has other content", bare(path)),
            Presence::Here => format!("the input {} is only here", bare(path)),
            Presence::There => format!("the input {} is only there", bare(path)),
        }],
        Difference::Unlisted { path } if path.is_empty() => {
            vec!["the inputs differ; which of them is not known, as no list of them is left".to_owned()]
        }
        Difference::Unlisted { path } => vec![format!(
            "something in the input directory {} differs; what is not known, as no list of it is left",
            bare(path)
        )],
    }
}

/// A name as it is, if it is one that cannot be taken for anything else; else in quotes.
pub(super) fn bare(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-+./@:,=".contains(c);
    if !name.is_empty() && name.chars().all(is_plain) { name.to_owned() } else { quoted(name).to_string() }
}

/// What is shown of two words: long ones around the place where they begin to differ.
fn excerpts(here: &str, there: &str) -> [String; 2] {
    // Counted in characters, since bytes of one character must not be separated.
    let same = here.chars().zip(there.chars()).take_while(|(a, b)| a == b).count();
    [here, there].map(|word| {
        let count = word.chars().count();
        if count <= MAX_SHOWN_CHARS {
            return word.to_owned();
        }
        // Near the end the excerpt is moved back, so that it always has its full length.
        let from = same.saturating_sub(MAX_CHARS_BEFORE).min(count - MAX_SHOWN_CHARS);
        let shown: String = word.chars().skip(from).take(MAX_SHOWN_CHARS).collect();
        let (before, after) =
            (if from > 0 { "…" } else { "" }, if from + MAX_SHOWN_CHARS < count { "…" } else { "" });
        format!("{before}{shown}{after}")
    })
}
