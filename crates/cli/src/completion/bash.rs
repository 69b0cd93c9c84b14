//! Completion in bash, which breaks words at colons and equals signs, and takes candidates as they are to be typed.

use std::path::Path;

use super::{
    Candidate,
    words::{Offer, ShellFallback, offer},
};

/// The answer for a line up to the cursor: the options of `compopt`, then candidates, one a line. `breaks`: the value
/// of `COMP_WORDBREAKS`.
pub fn answer(line: &str, breaks: &str, cwd: &Path) -> String {
    let Some((current, before)) =
        split(line).split_last().map(|(last, before)| (last.clone(), before.to_vec()))
    else {
        return String::new();
    };
    // The first word is the name of the tool.
    let Some((_, before)) = before.split_first() else { return String::new() };
    let before: Vec<&str> = before.iter().map(|word| &*word.meant).collect();
    let Offer { candidates, otherwise } = offer(&before, &current.meant, cwd);
    let mut options = match otherwise {
        ShellFallback::Nothing => "",
        ShellFallback::Files => "default",
        ShellFallback::Directories => "dirnames",
    }
    .to_owned();
    if let [only] = &candidates[..]
        && only.is_open()
    {
        options += " nospace";
    }
    // What bash has as the word begins behind the last such character, unless that is in quotes.
    let broken =
        // bash replaces only what is behind the last of these characters, so only that part of a candidate may be
        // offered.
        current.typed.rfind(|c| breaks.contains(c) && !matches!(c, '"' | '\'')).map_or(0, |at| at + 1);
    let mut answer = format!("{options}\n");
    for Candidate { text, .. } in &candidates {
        let typed = match current.quote {
            Some(_) => text.clone(),
            None => escaped(text).get(broken..).unwrap_or_default().to_owned(),
        };
        answer += &format!("{typed}\n");
    }
    answer
}

/// A word of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Word {
    /// As it is typed.
    typed: String,
    /// Without quotes.
    meant: String,
    /// The quotation mark that is still open.
    quote: Option<char>,
}

/// The words of a line; the last one is that at the cursor, which may be empty.
// The rules of quoting are those of bash(1), QUOTING; `$` and substitutions are taken literally, as nothing is
// expanded.
fn split(line: &str) -> Vec<Word> {
    let mut words = vec![Word::default()];
    let mut chars = line.trim_start().chars();
    while let Some(c) = chars.next() {
        let Some(word) = words.last_mut() else { break };
        if word.quote.is_none() && c.is_whitespace() {
            if !word.typed.is_empty() {
                words.push(Word::default());
            }
            continue;
        }
        word.typed.push(c);
        match (c, word.quote) {
            ('\'' | '"', None) => word.quote = Some(c),
            (c, Some(quote)) if c == quote => word.quote = None,
            ('\\', None | Some('"')) => {
                if let Some(escaped) = chars.next() {
                    word.typed.push(escaped);
                    word.meant.push(escaped);
                }
            }
            _ => word.meant.push(c),
        }
    }
    words
}

/// A word as it is typed without quotation marks.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() && !"_-+=./:,@%^".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use taut_testkit::Rng;

    use super::*;

    fn meant(line: &str) -> Vec<String> {
        split(line).into_iter().map(|word| word.meant).collect()
    }

    #[test]
    fn a_line_is_read_as_bash_reads_it() {
        assert_eq!(meant("taut build src:l"), ["taut", "build", "src:l"]);
        assert_eq!(meant(" taut  build "), ["taut", "build", ""]);
        assert_eq!(meant(r#"taut build a\ b "c d" 'e "f'"#), ["taut", "build", "a b", "c d", "e \"f"]);
        assert_eq!(split("taut 'a b").last().and_then(|word| word.quote), Some('\''));
        assert_eq!(meant(""), [""]);
        assert_eq!(meant("taut \\"), ["taut", ""]);
    }

    #[test]
    fn what_is_escaped_is_read_as_it_was() {
        let mut rng = Rng::new(1);
        for _ in 0..2000 {
            let word: String =
                (0..rng.below(9)).map(|_| *rng.pick(&['a', ' ', '\'', '"', '\\', '$', 'é', ':'])).collect();
            let Some(last) = split(&format!("taut {}", escaped(&word))).pop() else { panic!("no word") };
            assert_eq!((last.meant, last.quote), (word, None));
        }
    }

    #[test]
    fn candidates_begin_where_bash_breaks_the_word() {
        let line = |line| answer(line, " \t\n\"'><=;|&(:", Path::new("/"));
        assert_eq!(line("taut build --color=n"), "\nnever\n");
        assert_eq!(line("taut build \"--color=n"), "\n--color=never\n");
        assert_eq!(line("taut tes"), "\ntest\n");
        assert_eq!(line("taut build --log-file="), "default\n");
        assert_eq!(line("taut"), "");
        assert_eq!(line(""), "");
    }
}
