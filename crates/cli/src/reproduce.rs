//! Commands that repeat a failed action, to be copied from the message about the failure.

use taut_driver::ActionFailure;
use taut_value::{ActionDescription, Id};

/// How many digits of its id identify an action in a command line.
const ID_DIGITS: usize = 12;

/// The call, in the parts of which the commands are made.
pub(crate) struct Reproduction {
    /// The call with everything that selects the target, up to where options can be added, and the rest;
    /// none if the target was not selected by a call of that kind.
    call: Option<(Vec<String>, Vec<String>)>,
    /// The call that can run one of its actions alone, in the same two parts: as it is, or as `build` takes it.
    whole: Option<(Vec<String>, Vec<String>)>,
}

/// The options that `rebuild` and `watch` have and `build` does not, and whether each has a value.
const OPTIONS_OF_OTHERS: [(&str, bool); 7] = [
    ("--vs", true),
    ("--dump-flaky", true),
    ("-o", true),
    ("--output-dir", true),
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
        let of_others = words.iter().position(|word| word == "rebuild" || word == "watch");
        let known = words.iter().position(|word| word == "build" || word == "install");
        if let Some(subcommand) = of_others.filter(|of_others| known.is_none_or(|known| *of_others < known)) {
            let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
            let rest = words.split_off(end);
            words[subcommand] = "build".to_owned();
            return Reproduction { call: None, whole: Some((without_options_of_others(words), rest)) };
        }
        let Some(subcommand) = known else { return Reproduction::none() };
        let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
        let rest = words.split_off(end);
        let whole = Some((words.clone(), rest.clone()));
        words[subcommand] = "install".to_owned();
        Reproduction { call: Some((words, rest)), whole }
    }

    /// For calls that cannot be repeated to install the inputs of an action.
    pub(crate) fn none() -> Reproduction {
        Reproduction { call: None, whole: None }
    }

    /// The command that runs one action of the call alone, in one line.
    pub(crate) fn command(&self, id: &Id) -> Option<String> {
        let (words, rest) = self.whole.as_ref()?;
        let shown = |words: &[String]| words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        let mut digits = id.to_hex();
        digits.truncate(ID_DIGITS);
        let rest = if rest.is_empty() { String::new() } else { format!(" {}", shown(rest)) };
        Some(format!("{} --rerun %{digits}{rest}", shown(words)))
    }

    /// A line that introduces the commands, and these: they make a directory that is the user's alone, install the
    /// inputs there and run the action.
    pub(crate) fn text(&self, failure: &ActionFailure) -> Option<(String, String)> {
        let (call, rest) = self.call.as_ref()?;
        let words = |words: &[String]| words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        let id = &failure.id;
        let mut commands =
            format!("dir=$(mktemp -d) && {} --request-action-input %{id} -o \"$dir\"", words(call));
        if !rest.is_empty() {
            commands += &format!(" {}", words(rest));
        }
        let run = in_directory(&failure.action);
        if run.len() > MAX_COMMAND {
            let more = "it is too long to be shown here; --dump-graph FILE writes it";
            return Some((format!("To see its inputs; {more}:"), commands));
        }
        Some(("To run it by hand:".to_owned(), format!("{commands} &&\n({run})")))
    }
}

/// The longest command that is shown, in bytes.
const MAX_COMMAND: usize = 64 << 10;

/// Runs the action's command where its inputs are.
fn in_directory(action: &ActionDescription) -> String {
    let mut text = "cd \"$dir\"".to_owned();
    let above = |path: &taut_value::Str| path.rsplit_once('/').map(|(above, _)| above.to_owned());
    let directories = action.out_dirs.iter().map(|path| path.to_string());
    let mut directories: Vec<String> = directories.chain(action.outs.iter().filter_map(above)).collect();
    let cwd = taut_driver::normal_path(&action.cwd);
    directories.push(cwd.clone());
    directories.retain(|path| path != ".");
    directories.sort();
    directories.dedup();
    if !directories.is_empty() {
        let quoted: Vec<String> = directories.iter().map(|path| quoted(path)).collect();
        text.push_str(&format!(" && mkdir -p {}", quoted.join(" ")));
    }
    if cwd != "." {
        text.push_str(&format!(" && cd {}", quoted(&cwd)));
    }
    text.push_str(" && env -i");
    for (name, value) in action.env.iter() {
        let value = value.as_str().map(|value| value.as_str()).unwrap_or_default();
        text.push_str(&format!(" {}", quoted(&format!("{name}={value}"))));
    }
    for word in &action.command {
        text.push_str(&format!(" {}", quoted(word)));
    }
    text
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
    fn the_call_becomes_one_that_installs() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let Some((call, rest)) = Reproduction::of_call(words("taut build -D {} -- t")).call else { panic!() };
        assert_eq!((call, rest), (words("taut install -D {}"), words("-- t")));
        assert!(Reproduction::of_call(words("taut traverse -g f")).call.is_none());
        for call in [
            "taut rebuild --vs local --dump-flaky=f -J 2 -- t",
            "taut watch -o out --prune -J 2 -- t",
            "taut watch -oout --output-dir=x --poll -J 2 -- t",
        ] {
            let again = Reproduction::of_call(words(call));
            assert_eq!(again.whole, Some((words("taut build -J 2"), words("-- t"))), "{call}");
            assert!(again.call.is_none(), "{call}");
        }
    }

    #[test]
    fn the_command_runs_in_its_environment_and_directories() {
        let mut action = ActionDescription::default();
        action.command = vec!["sh".into(), "-c".into(), "echo $A > out/x".into()];
        action.env = [("A", taut_value::Value::string("b c"))].into_iter().collect();
        action.outs = vec!["w/out/x".into()];
        action.cwd = "w".into();
        assert_eq!(
            in_directory(&action),
            "cd \"$dir\" && mkdir -p w w/out && cd w && env -i 'A=b c' sh -c 'echo $A > out/x'"
        );
    }
}
