//! The server that the words of a call name: before the command line is parsed, or to know that its address is not from
//! an rc file.

use std::ffi::OsString;

/// The server for execution that the words of a call name, if they do; empty if they turn execution by a server off.
pub(crate) fn server_of(words: &[OsString]) -> Option<String> {
    last_value(words, "--remote-execution-address", Some("-r"))
}

/// The last value of an option.
pub(crate) fn last_value(words: &[OsString], long: &str, short: Option<&str>) -> Option<String> {
    let mut words = words.iter().map(|word| word.to_string_lossy());
    let mut last = None;
    while let Some(word) = words.next() {
        let value = match word.strip_prefix(long) {
            Some("") => words.next().map(|value| value.into_owned()),
            Some(rest) => rest.strip_prefix('=').map(str::to_owned),
            None => match short.and_then(|short| word.strip_prefix(short)) {
                Some("") => words.next().map(|value| value.into_owned()),
                // The parser takes `-r=ADDRESS`, `-rADDRESS` and `-r ADDRESS`.
                rest => rest.map(|rest| rest.trim_start_matches('=').to_owned()),
            },
        };
        // As the parser: the last occurrence counts.
        last = value.or(last);
    }
    last
}
