//! From the words of a call of `just-mr` to its options and its subcommand, as the reference's parser reads them.
//!
//! Options come before the subcommand. The words behind a subcommand of the build tool are its own, whatever they are,
//! up to a `--`: what follows that is read as if it were in front. That is how the reference's parser reads them, so a
//! script that works with one works with the other.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

/// An option.
#[derive(Clone, Copy)]
pub(crate) struct Spec {
    /// The letter, if it has one.
    pub(crate) short: Option<char>,
    /// The name, empty if it has only a letter.
    pub(crate) long: &'static str,
    /// What its value is called, if it has one.
    pub(crate) value: Option<&'static str>,
    /// What it is for.
    pub(crate) help: &'static str,
}

/// A subcommand.
pub(crate) struct SubcommandSpec {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) kind: SubcommandKind,
}

/// What the words behind a subcommand are.
pub(crate) enum SubcommandKind {
    /// Options, and up to a number of names.
    Own { options: &'static [Spec], names: &'static str, max_names: usize },
    /// The words of the build tool.
    Forwarded,
}

/// An option with its value; flags have `true` or `false`.
pub(crate) type GivenOption = (Spec, OsString);

/// The words of a call, sorted.
pub(crate) struct SortedWords {
    /// The options in front of the subcommand.
    pub(crate) options: Vec<GivenOption>,
    pub(crate) subcommand: &'static SubcommandSpec,
    /// The options of the subcommand.
    pub(crate) own: Vec<GivenOption>,
    /// The names behind the subcommand, or the words of the build tool.
    pub(crate) names: Vec<OsString>,
}

/// Why there is nothing to do.
pub(crate) enum NotSorted {
    /// Help was asked for, about a subcommand or the whole.
    Help(Option<&'static SubcommandSpec>),
    /// The words are wrong; the reference's message.
    Wrong(String),
}

/// Sorts the words of a call, the name of the tool not included.
pub(crate) fn sort(
    words: &[OsString],
    options: &'static [Spec],
    subcommands: &'static [SubcommandSpec],
) -> Result<SortedWords, NotSorted> {
    let mut sorter = Sorter { options, given: Vec::new(), unexpected: Vec::new(), is_help: false };
    // A queue, as letters that are written together are put back in front.
    let mut rest = words.iter().cloned().collect::<std::collections::VecDeque<_>>();
    let mut subcommand: Option<&'static SubcommandSpec> = None;
    let (mut own, mut names, mut is_help_of_subcommand) = (Vec::new(), Vec::new(), false);
    // Behind `--` there are names only, which no option takes.
    let mut only_names = false;
    while let Some(word) = rest.pop_front() {
        // What follows is neither an option nor a subcommand, and so unexpected.
        if word == "--" && !only_names {
            only_names = true;
            // Shown with what follows it.
            if subcommand.is_some() && !rest.is_empty() {
                sorter.unexpected.push(word);
            }
            continue;
        }
        if !only_names && is_option(&word) {
            sorter.option(&word, &mut rest)?;
            continue;
        }
        let found = subcommands.iter().find(|found| word == found.name);
        let Some(found) = found.filter(|_| subcommand.is_none() && !only_names) else {
            sorter.unexpected.push(word);
            continue;
        };
        subcommand = Some(found);
        match found.kind {
            SubcommandKind::Forwarded => {
                // Not looked at: what is an option is up to the build tool.
                while let Some(word) = rest.pop_front() {
                    if word == "--" {
                        break;
                    }
                    names.push(word);
                }
            }
            SubcommandKind::Own { options, max_names, .. } => {
                let mut inner = Sorter { options, given: Vec::new(), unexpected: Vec::new(), is_help: false };
                let mut only_names = false;
                while let Some(word) = rest.pop_front() {
                    match word.as_bytes() {
                        b"--" => only_names = true,
                        _ if !only_names && is_option(&word) => inner.option(&word, &mut rest)?,
                        _ if names.len() < max_names => names.push(word),
                        _ => inner.unexpected.push(word),
                    }
                }
                is_help_of_subcommand = inner.is_help;
                own = inner.given;
                sorter.unexpected.append(&mut inner.unexpected);
            }
        }
    }
    if is_help_of_subcommand || sorter.is_help {
        let has_help = |found: &&SubcommandSpec| matches!(found.kind, SubcommandKind::Own { .. });
        return Err(NotSorted::Help(subcommand.filter(has_help)));
    }
    let Some(subcommand) = subcommand else {
        return Err(NotSorted::Wrong("A subcommand is required".to_owned()));
    };
    match &sorter.unexpected[..] {
        [] => Ok(SortedWords { options: sorter.given, subcommand, own, names }),
        unexpected => {
            let words: Vec<String> = unexpected.iter().map(|word| word.display().to_string()).collect();
            let (noun, verb) = if words.len() == 1 { ("argument", "was") } else { ("arguments", "were") };
            let words = words.join(" ");
            Err(NotSorted::Wrong(format!("The following {noun} {verb} not expected: {words}")))
        }
    }
}

/// Whether a word is an option: neither `-` alone nor what looks like a negative number.
fn is_option(word: &OsStr) -> bool {
    match word.as_bytes() {
        // `---` and `-- ` are names, as CLI11 reads them.
        [b'-', b'-', first, ..] => *first != b'-' && !first.is_ascii_whitespace(),
        [b'-', first, ..] => !first.is_ascii_digit() && *first != b'-' && !first.is_ascii_whitespace(),
        _ => false,
    }
}

struct Sorter {
    options: &'static [Spec],
    given: Vec<GivenOption>,
    unexpected: Vec<OsString>,
    is_help: bool,
}

const HELP: Spec =
    Spec { short: Some('h'), long: "help", value: None, help: "Print this help message and exit" };

impl Sorter {
    fn option(
        &mut self,
        word: &OsString,
        rest: &mut std::collections::VecDeque<OsString>,
    ) -> Result<(), NotSorted> {
        let bytes = word.as_bytes();
        // The name, and the value if it is in the same word.
        let (spec, value) = match bytes.strip_prefix(b"--") {
            Some(long) => {
                let end = long.iter().position(|byte| *byte == b'=').unwrap_or(long.len());
                // As in the reference, `--option=` has its value in the next word.
                let value = long.get(end + 1..).filter(|value| !value.is_empty()).map(<[u8]>::to_vec);
                (self.find(|spec| !spec.long.is_empty() && spec.long.as_bytes() == &long[..end]), value)
            }
            None => {
                let letter = char::from(bytes[1]);
                let value = Some(&bytes[2..]).filter(|value| !value.is_empty()).map(<[u8]>::to_vec);
                (self.find(|spec| spec.short == Some(letter)), value)
            }
        };
        let Some(spec) = spec else {
            self.unexpected.push(word.clone());
            return Ok(());
        };
        let Some(what) = spec.value else {
            let is_cluster = !bytes.starts_with(b"--");
            let value = match value {
                // Letters of flags may be written together.
                Some(letters) if is_cluster => {
                    rest.push_front(OsString::from_vec([b"-", &letters[..]].concat()));
                    "true".into()
                }
                Some(value) => OsString::from_vec(value),
                None => "true".into(),
            };
            if spec.long == HELP.long {
                self.is_help = true;
            } else {
                self.given.push((spec, value));
            }
            return Ok(());
        };
        // The next word is the value whatever it looks like, also if it begins with a dash.
        let value = value.map(OsString::from_vec).or_else(|| rest.pop_front());
        let Some(value) = value else {
            return Err(NotSorted::Wrong(format!("{}: 1 required {what} missing", shown(&spec))));
        };
        self.given.push((spec, value));
        Ok(())
    }

    fn find(&self, is_it: impl Fn(&Spec) -> bool) -> Option<Spec> {
        [HELP].iter().chain(self.options).find(|spec| is_it(spec)).copied()
    }
}

/// An option as messages name it.
pub(crate) fn shown(spec: &Spec) -> String {
    match (spec.long, spec.short) {
        ("", Some(letter)) => format!("-{letter}"),
        (long, _) => format!("--{long}"),
    }
}

/// The help about the whole tool, or about one subcommand.
pub(crate) fn help(
    about: Option<&SubcommandSpec>,
    tool: &str,
    what_it_is: &str,
    options: &[Spec],
    subcommands: &[SubcommandSpec],
) -> String {
    let mut text = String::new();
    let mut line = |left: &str, right: &str| {
        text.push_str(&format!("  {left:<28}{right}\n"));
    };
    let left = |spec: &Spec| {
        let letter = spec.short.map(|letter| format!("-{letter}")).unwrap_or_default();
        let name = match (spec.long, spec.short) {
            ("", _) => letter,
            (long, Some(_)) => format!("{letter}, --{long}"),
            (long, None) => format!("--{long}"),
        };
        match spec.value {
            Some(value) => format!("{name} {value} "),
            None => format!("{name} "),
        }
    };
    match about {
        None => {
            for spec in [HELP].iter().chain(options) {
                line(&left(spec), spec.help);
            }
            let options = std::mem::take(&mut text);
            let mut line = |left: &str, right: &str| text.push_str(&format!("  {left:<28}{right}\n"));
            subcommands.iter().for_each(|found| line(found.name, found.help));
            format!(
                "{what_it_is}\n\n{tool} [OPTIONS] SUBCOMMAND\n\nOPTIONS:\n{options}\nSUBCOMMANDS:\n{text}"
            )
        }
        Some(found) => {
            let (specs, names): (&[Spec], &str) = match found.kind {
                SubcommandKind::Own { options, names, .. } => (options, names),
                SubcommandKind::Forwarded => (&[], " ARGS..."),
            };
            for spec in [HELP].iter().chain(specs) {
                line(&left(spec), spec.help);
            }
            format!("{}\n\n{tool} {} [OPTIONS]{names}\n\nOPTIONS:\n{text}", found.help, found.name)
        }
    }
}
