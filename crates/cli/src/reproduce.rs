//! How to see a failed action again: a command to copy.

use taut_value::Id;

/// How many digits of an id stand for an action.
const SHORT_ID: usize = 12;

/// What the command needs to know of the call.
pub(crate) struct Reproduction {
    /// The call, up to where options can be added, and the rest; none if it was of another kind.
    whole: Option<(Vec<String>, Vec<String>)>,
}

impl Reproduction {
    /// For a call of `build` or `install`; `words` begin with the tool's name.
    pub(crate) fn of_call(words: impl IntoIterator<Item = String>) -> Reproduction {
        let mut words: Vec<String> = words.into_iter().collect();
        let known = words.iter().position(|word| word == "build" || word == "install");
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

    /// The command that runs one action of the call alone, in one line.
    pub(crate) fn command(&self, id: &Id) -> Option<String> {
        let (words, rest) = self.whole.as_ref()?;
        let shown = |words: &[String]| words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        let mut digits = id.to_hex();
        digits.truncate(SHORT_ID);
        let rest = if rest.is_empty() { String::new() } else { format!(" {}", shown(rest)) };
        Some(format!("{} --rerun %{digits}{rest}", shown(words)))
    }
}

/// A word as a shell has to read it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+=./:,@%^".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_the_shell() {
        for (word, expected) in [("a/b=c", "a/b=c"), ("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'")] {
            assert_eq!(quoted(word), expected);
        }
    }

    #[test]
    fn the_command_is_the_call_with_the_action() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let id = Id::of("a");
        let digits = &id.to_hex()[..SHORT_ID];
        assert_eq!(
            Reproduction::of_call(words("taut build -D {} -- t")).command(&id),
            Some(format!("taut build -D '{{}}' --rerun %{digits} -- t"))
        );
        assert_eq!(Reproduction::of_call(words("taut traverse -g f")).command(&id), None);
    }
}
