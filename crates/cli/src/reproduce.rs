//! The command that repeats a failed action, to be copied from the message about the failure.

use taut_digest::ID_DIGITS;
use taut_value::Id;

/// What the command takes of the call.
#[derive(Clone)]
pub(crate) struct Reproduction {
    /// The call that can run one of its actions alone, as it is or as `build` takes it, up to where options can be
    /// added, and the rest; none if it was of another kind.
    whole: Option<(Vec<String>, Vec<String>)>,
}

/// The options that `rebuild` and `watch` have and `build` does not, and whether each has a value.
// A list and not the parser's definition, since the other words stay as they were typed.
const OPTIONS_OF_OTHERS: [(&str, bool); 8] = [
    ("--vs", true),
    ("--dump-flaky", true),
    ("-o", true),
    ("--output-dir", true),
    ("--compile-commands", true),
    ("--prune", false),
    ("--poll", false),
    ("--look", false),
];

/// Words of a call of `rebuild` or `watch` without the options that `build` does not have.
fn without_options_of_others(words: Vec<String>) -> Vec<String> {
    let mut kept = Vec::with_capacity(words.len());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match OPTIONS_OF_OTHERS.iter().find(|(option, _)| word == *option) {
            // The next word is its value.
            Some((_, true)) => drop(words.next()),
            Some((_, false)) => {}
            None => {
                // `-oDIR` and `--vs=WHERE`: one word with its value.
                let has_value = |(option, has_value): &(&str, bool)| {
                    let value = word.strip_prefix(option).filter(|_| *has_value);
                    value.is_some_and(|value| value.starts_with('=') || !option.starts_with("--"))
                };
                if !OPTIONS_OF_OTHERS.iter().any(has_value) {
                    kept.push(word);
                }
            }
        }
    }
    kept
}

impl Reproduction {
    /// For a call of `build`, `install`, `rebuild` or `watch`; `words` begin with the tool's name.
    pub(crate) fn of_call(words: impl IntoIterator<Item = String>) -> Reproduction {
        let mut words: Vec<String> = words.into_iter().collect();
        // The subcommand is the first word of these; a target may have such a name, too.
        let of_others = words.iter().position(|word| word == "rebuild" || word == "watch");
        let known = words.iter().position(|word| word == "build" || word == "install");
        if let Some(subcommand) = of_others.filter(|of_others| known.is_none_or(|known| *of_others < known)) {
            let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
            let rest = words.split_off(end);
            words[subcommand] = "build".to_owned();
            return Reproduction { whole: Some((without_options_of_others(words), rest)) };
        }
        if known.is_none() {
            return Reproduction::none();
        }
        let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
        let rest = words.split_off(end);
        Reproduction { whole: Some((words, rest)) }
    }

    /// Where no call is known that could run an action.
    pub(crate) fn none() -> Reproduction {
        Reproduction { whole: None }
    }

    /// The tool as it was called, for other commands to be copied.
    pub(crate) fn tool(&self) -> String {
        let first = self.whole.as_ref().and_then(|(words, _)| words.first());
        first.map_or_else(|| "taut".to_owned(), |word| quoted(word))
    }

    /// The command that runs one action of the call alone, in one line.
    pub(crate) fn command(&self, id: &Id) -> Option<String> {
        let (words, rest) = self.whole.as_ref()?;
        let shown = |words: &[String]| words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        let mut digits = id.to_hex();
        // As many digits as messages show, which is enough for `--rerun`.
        digits.truncate(ID_DIGITS);
        let rest = if rest.is_empty() { String::new() } else { format!(" {}", shown(rest)) };
        Some(format!("{} --rerun %{digits}{rest}", shown(words)))
    }
}

/// A word as a shell has to read it.
pub(crate) fn quoted(word: &str) -> String {
    // Without `~` and `#`, which shells treat specially at the beginning of a word.
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+=./:,@%^".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn words_are_quoted_for_the_shell() {
        for (word, expected) in [("a/b=c", "a/b=c"), ("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'")] {
            assert_eq!(quoted(word), expected);
        }
    }

    #[test]
    fn all_options_that_only_rebuild_and_watch_have_are_known() {
        let all = crate::options::CommandLine::command();
        let build = all.find_subcommand("build").unwrap();
        for name in ["rebuild", "watch"] {
            for option in all.find_subcommand(name).unwrap().get_opts() {
                if build.get_opts().any(|known| known.get_id() == option.get_id()) {
                    continue;
                }
                let long = format!("--{}", option.get_long().unwrap());
                let known = OPTIONS_OF_OTHERS.iter().find(|(known, _)| *known == long);
                let has_value = option.get_action().takes_values();
                assert_eq!(known.map(|(_, has_value)| *has_value), Some(has_value), "{name} {long}");
            }
        }
    }

    #[test]
    fn the_command_is_the_call_with_the_action() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let id = Id::of("a");
        let digits = &id.to_hex()[..ID_DIGITS];
        assert_eq!(
            Reproduction::of_call(words("taut build -D {} -- t")).command(&id),
            Some(format!("taut build -D '{{}}' --rerun %{digits} -- t"))
        );
        assert_eq!(Reproduction::of_call(words("taut traverse -g f")).command(&id), None);
        for call in [
            "taut rebuild --vs local --dump-flaky=f -J 2 -- t",
            "taut watch -o out --prune -J 2 -- t",
            "taut watch -oout --output-dir=x --poll -J 2 -- t",
            "taut watch --compile-commands c.json -J 2 -- t",
        ] {
            let command = Reproduction::of_call(words(call)).command(&id);
            assert_eq!(command, Some(format!("taut build -J 2 --rerun %{digits} -- t")), "{call}");
        }
    }
}
