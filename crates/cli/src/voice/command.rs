//! The command of an action in one line.

use taut_value::ActionDescription;

use crate::reproduce::quoted;

/// The command of an action as one would type it, in one line of at most `limit` characters. Of `sh -c SCRIPT` it is
/// the script. The end of a line is `⏎`, since nothing that a shell reads in place of it means the same everywhere;
/// what is too long lacks its middle.
pub(crate) fn in_one_line(action: &ActionDescription, limit: usize) -> String {
    one_line(&action.command.iter().map(|word| word.as_str()).collect::<Vec<_>>(), limit)
}

/// Words that decide only how a compiler's messages look.
const FOR_LOOKS: [&str; 1] = ["-fdiagnostics-color=always"];

/// The command of an action in one line, to be read below a message: without what only the looks of messages depend on,
/// which the rules in the box add to each call of a compiler.
pub(crate) fn to_read(action: &ActionDescription, limit: usize) -> String {
    let words = action.command.iter().map(|word| word.as_str()).filter(|word| !FOR_LOOKS.contains(word));
    one_line(&words.collect::<Vec<_>>(), limit)
}

fn one_line(words: &[&str], limit: usize) -> String {
    let text = match *words {
        // What is to be read is the script; the shell in front of it is nearly always the same.
        // sh, bash, dash, zsh: any shell.
        [shell, "-c", script] if shell.rsplit('/').next().is_some_and(|name| name.ends_with("sh")) => {
            if script.trim().is_empty() {
                format!("{shell} -c ''")
            } else {
                script.to_owned()
            }
        }
        // A script's last line feed says nothing.
        _ => words.iter().map(|word| quoted(word.trim_end_matches('\n'))).collect::<Vec<_>>().join(" "),
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let joined = lines.collect::<Vec<_>>().join(" ⏎ ");
    // Control characters would act on the terminal.
    let clean: String = joined.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    without_middle(&clean, limit)
}

/// If a word would be cut, at most so many of its bytes are left out together with the middle.
const MAX_PART_OF_WORD: usize = 16;

/// A text of at most `limit` characters, with `…` in place of its middle if it is longer.
fn without_middle(text: &str, limit: usize) -> String {
    let length = text.chars().count();
    if length <= limit {
        return text.to_owned();
    }
    let limit = limit.max(8);
    // More of the beginning than of the end: the program is there.
    let end = limit / 3;
    let begin: String = text.chars().take(limit - end - 1).collect();
    let rest: String = text.chars().skip(length - end).collect();
    // Between words, if there is such a place near.
    let begin = match begin.rfind(' ') {
        Some(blank) if begin.len() - blank <= MAX_PART_OF_WORD => &begin[..=blank],
        _ => &begin,
    };
    let rest = match rest.find(' ') {
        Some(blank) if blank <= MAX_PART_OF_WORD => &rest[blank..],
        _ => &rest,
    };
    format!("{begin}…{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(command: &[&str], limit: usize) -> String {
        let mut action = ActionDescription::default();
        action.command = command.iter().map(|word| (*word).into()).collect();
        in_one_line(&action, limit)
    }

    #[test]
    fn a_command_is_one_line() {
        assert_eq!(shown(&["cc", "-c", "a b.c"], 80), "cc -c 'a b.c'");
        assert_eq!(shown(&["sh", "-c", "cc -c a.c\nmv a b\n"], 80), "cc -c a.c ⏎ mv a b");
        assert_eq!(shown(&["/bin/bash", "-c", "x"], 80), "x");
        assert_eq!(shown(&["/bin/sh", "-c", "if true\n then exit 4; fi\n"], 80), "if true ⏎ then exit 4; fi");
        assert_eq!(shown(&["/bin/nosuchshell", "-c", "x\n"], 80), "/bin/nosuchshell -c x");
        assert_eq!(shown(&["sh", "-c", "\n"], 80), "sh -c ''");
        assert_eq!(shown(&["cc", "0123456789", "0123456789"], 16), "cc …56789");
        assert_eq!(shown(&["cc", "-a", "first.c", "-b", "second.c", "-o", "x"], 20), "cc -a … -o x");
        let words = ["a".repeat(30), "b".repeat(30)];
        let expected = format!("{}…{}", "a".repeat(19), "b".repeat(10));
        assert_eq!(shown(&words.each_ref().map(String::as_str), 30), expected);
    }

    #[test]
    fn a_command_to_read_has_no_words_about_colours() {
        let mut action = ActionDescription::default();
        action.command =
            ["cc", "-fdiagnostics-color=always", "-c", "a.c"].map(Into::into).into_iter().collect();
        assert_eq!(to_read(&action, 80), "cc -c a.c");
        assert_eq!(in_one_line(&action, 80), "cc -fdiagnostics-color=always -c a.c");
    }
}
