//! How the reference's parser reads words where clap reads them otherwise.
//!
//! Scripts and wrappers compose command lines mechanically: an option with an empty value, a flag with a value,
//! a number with blanks around it. What such words mean is part of the command line that taut shares. They are
//! brought into a form that clap reads in the same way, before clap sees them.

use std::ffi::{OsStr, OsString};
use std::num::IntErrorKind;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use clap::{Arg, ArgAction, Command};
use taut_syntax::{quoted, with_and};

/// Words that have no normal form.
pub(super) enum NotNormal {
    /// Names after `--`, with others before it.
    Names(Vec<String>),
    /// A flag with a value that is neither true nor false.
    NoBoolean { option: String, value: String },
}

impl std::fmt::Display for NotNormal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotNormal::Names(names) => {
                let names: Vec<String> = names.iter().map(|name| quoted(name).to_string()).collect();
                write!(f, "names stand before or after --, not on both sides: {}", with_and(&names))
            }
            NotNormal::NoBoolean { option, value } => {
                write!(f, "{} is not a value of {option}, which is true or false", quoted(value))
            }
        }
    }
}

/// The words of a call in a form that means the same to clap: `--flag=true` is `--flag`, `-X=value` has the value
/// `=value`, `--option= value` is `--option value`, and names after `--` are names, but not if there were names before
/// it.
///
/// # Errors
///
/// Words that have none.
pub(super) fn normalized(words: &[OsString], command: &Command) -> Result<Vec<OsString>, NotNormal> {
    // The name of the tool and the subcommand.
    let mut meant: Vec<OsString> = words.iter().take(2).cloned().collect();
    let name = words.get(1).and_then(|word| word.to_str());
    // A subcommand that is missing or unknown is reported by clap.
    let Some(command) = name.and_then(|name| command.find_subcommand(name)) else {
        return Ok(words.to_vec());
    };
    let mut names = 0;
    let mut rest = words.get(2..).unwrap_or_default().iter();
    while let Some(word) = rest.next() {
        let bytes = word.as_bytes();
        if bytes == b"--" {
            if names > 0 && !rest.as_slice().is_empty() {
                return Err(NotNormal::Names(rest.map(|word| word.to_string_lossy().into_owned()).collect()));
            }
            meant.push(word.clone());
            meant.extend(rest.cloned());
            break;
        }
        // Bytes and not text: values are paths, which need not be UTF-8, and the names of options are ASCII.
        match bytes {
            [b'-', b'-', ..] => long_option(word, &mut rest, command, &mut meant)?,
            [b'-', letters @ ..] if !letters.is_empty() => {
                short_options(word, letters, &mut rest, command, &mut meant);
            }
            _ => {
                names += 1;
                meant.push(word.clone());
            }
        }
    }
    Ok(meant)
}

/// Adds a word that begins with `--` in its normal form, with the next word if that is its value.
fn long_option<'w>(
    word: &OsString,
    rest: &mut impl Iterator<Item = &'w OsString>,
    command: &Command,
    meant: &mut Vec<OsString>,
) -> Result<(), NotNormal> {
    let bytes = word.as_bytes();
    let option = &bytes[2..];
    let end = option.iter().position(|byte| *byte == b'=');
    let name = &option[..end.unwrap_or(option.len())];
    let arg = find(command, |arg| arg.get_long().is_some_and(|long| long.as_bytes() == name));
    match (arg, end) {
        (Some(arg), Some(end)) if !takes_value(arg) => {
            let flag = OsString::from_vec(bytes[..end + 2].to_vec());
            if is_set(&option[end + 1..]).ok_or_else(|| NotNormal::NoBoolean {
                option: flag.to_string_lossy().into_owned(),
                value: String::from_utf8_lossy(&option[end + 1..]).into_owned(),
            })? {
                meant.push(flag);
            } else {
                let short = arg.get_short().map(|letter| OsString::from(format!("-{letter}")));
                // The last word about a flag counts: `--flag --flag=false` is off.
                meant.retain(|word| *word != flag && Some(word) != short.as_ref());
            }
        }
        // With nothing after the sign the value is the next word.
        (Some(_), Some(end)) if end + 1 == option.len() => {
            meant.push(OsString::from_vec(bytes[..end + 2].to_vec()));
            meant.extend(rest.next().cloned());
        }
        (Some(arg), None) if takes_value(arg) => {
            meant.push(word.clone());
            meant.extend(rest.next().cloned());
        }
        _ => meant.push(word.clone()),
    }
    Ok(())
}

/// The same for a word that begins with one `-`, and its letters.
fn short_options<'w>(
    word: &OsString,
    letters: &[u8],
    rest: &mut impl Iterator<Item = &'w OsString>,
    command: &Command,
    meant: &mut Vec<OsString>,
) {
    let of_letter = |letter: u8| find(command, |arg| arg.get_short() == Some(char::from(letter)));
    // The first letter that takes a value ends the cluster: the rest of the word is that value.
    let value = letters.iter().position(|letter| of_letter(*letter).is_none_or(takes_value));
    let known = value.filter(|at| of_letter(letters[*at]).is_some());
    match known.map(|at| letters.split_at(at + 1)) {
        Some((_, [])) => {
            meant.push(word.clone());
            meant.extend(rest.next().cloned());
        }
        Some((options, value @ [b'=', ..])) => {
            meant.push(OsString::from_vec([b"-", options].concat()));
            meant.push(OsStr::from_bytes(value).to_owned());
        }
        _ => meant.push(word.clone()),
    }
}

/// The words of a call, in the form of [`normalized`], for which the subcommand has no use, as the reference finds
/// them: unknown options, with their values if these are part of the word, and surplus names.
pub(super) fn unexpected(words: &[OsString], command: &Command) -> Vec<String> {
    let mut unexpected = Vec::new();
    // One for each argument without a dash, unless it is a list.
    let is_single = |arg: &Arg| matches!(arg.get_action(), ArgAction::Set);
    let mut free = match command.get_positionals().all(is_single) {
        true => command.get_positionals().count(),
        false => usize::MAX,
    };
    let mut rest = words.get(2..).unwrap_or_default().iter();
    while let Some(word) = rest.next() {
        let text = word.to_string_lossy();
        match word.as_bytes() {
            b"--" => break,
            [b'-', b'-', option @ ..] => {
                let end = option.iter().position(|byte| *byte == b'=');
                let name = &option[..end.unwrap_or(option.len())];
                match find(command, |arg| arg.get_long().is_some_and(|long| long.as_bytes() == name)) {
                    None => unexpected.push(text.into_owned()),
                    Some(arg) if takes_value(arg) && end.is_none() => drop(rest.next()),
                    Some(_) => {}
                }
            }
            [b'-', letters @ ..] if !letters.is_empty() => {
                for (at, letter) in letters.iter().enumerate() {
                    match find(command, |arg| arg.get_short() == Some(char::from(*letter))) {
                        Some(arg) if !takes_value(arg) => continue,
                        // The rest of the word is the value, or the next word.
                        Some(_) if at + 1 == letters.len() => drop(rest.next()),
                        Some(_) => {}
                        None => unexpected.push(format!("-{}", String::from_utf8_lossy(&letters[at..]))),
                    }
                    break;
                }
            }
            _ if free > 0 => free -= 1,
            _ => unexpected.push(text.into_owned()),
        }
    }
    unexpected
}

fn find(command: &Command, is_it: impl Fn(&Arg) -> bool) -> Option<&Arg> {
    command.get_arguments().find(|arg| !arg.is_positional() && is_it(arg))
}

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

fn is_set(value: &[u8]) -> Option<bool> {
    let value = std::str::from_utf8(value).ok()?.to_ascii_lowercase();
    match &value[..] {
        "" | "true" | "on" | "yes" | "enable" => Some(true),
        "false" | "off" | "no" | "disable" => Some(false),
        // A number counts as its sign says, as in CLI11.
        number => number.parse::<i64>().ok().map(|number| number > 0),
    }
}

const TOO_LARGE: &str = "the number is too large";

/// A number, as C writes them: blanks around it and a sign are allowed, `0x`, `0o`, `0b` and a plain `0` change the
/// base, `_` and `'` separate digits, and nothing at all is zero.
pub(super) fn number<N: TryFrom<u64>>(text: &str) -> Result<N, String> {
    let digits: String =
        text.trim_matches(|c: char| c.is_ascii_whitespace()).replace(['_', '\''], "").to_ascii_lowercase();
    let plain = digits.strip_prefix('+').unwrap_or(&digits);
    let (radix, digits) = match plain.get(..2) {
        Some("0x") => (16, &plain[2..]),
        Some("0o") => (8, &plain[2..]),
        Some("0b") => (2, &plain[2..]),
        // At least two characters, so a plain `0` is not an octal number without digits.
        Some(octal) if octal.starts_with('0') => (8, &plain[1..]),
        _ if plain.is_empty() && text.is_empty() => (10, "0"),
        _ => (10, plain),
    };
    if digits.starts_with('+') {
        return Err("a number is expected".to_owned());
    }
    let number = u64::from_str_radix(digits, radix).map_err(|error| match error.kind() {
        IntErrorKind::PosOverflow => TOO_LARGE.to_owned(),
        _ => "a number is expected".to_owned(),
    })?;
    N::try_from(number).map_err(|_| TOO_LARGE.to_owned())
}

#[cfg(test)]
mod tests {
    use super::number;

    /// What the reference takes, and what it refuses.
    #[test]
    fn numbers_are_read_as_the_reference_reads_them() {
        for (text, value) in [
            ("3", 3),
            ("+3", 3),
            ("1_0", 10),
            ("1'0", 10),
            ("0b11", 3),
            ("0o7", 7),
            ("010", 8),
            ("3 ", 3),
            (" 3", 3),
        ]
        .into_iter()
        .chain([("", 0), ("0X1F", 31), ("0", 0), ("00", 0)])
        {
            assert_eq!(number::<u64>(text), Ok(value), "{text:?}");
        }
        for text in ["-1", "-0", "1e1", "0x", "１", "x", "1.5", "++1", "99999999999999999999"] {
            assert!(number::<u64>(text).is_err(), "{text:?}");
        }
    }
}
