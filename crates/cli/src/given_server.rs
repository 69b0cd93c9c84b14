//! What the words of a call name as a server, before the command line is read or where it is of interest that no rc
//! file did.

use std::ffi::OsString;

/// The server that executes, as the words of a call say, if they do; empty for none.
pub(crate) fn server_of(words: &[OsString]) -> Option<String> {
    last_value(words, "--remote-execution-address", Some("-r"))
}

/// The value of an option, where it is given last.
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
