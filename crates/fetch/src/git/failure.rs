//! Why `git fetch` failed, from what it printed: whether another attempt may succeed.
//!
//! git has one exit code for everything, so its words decide, and those of curl and ssh, which it passes on; they are
//! not translated, since the fetch runs in the locale `C`. What is not recognised is final, as a wrong guess would only
//! repeat a failure that lasts.

use crate::{Cause, error::status_may_pass};

/// Words of failures that last, though some are followed by words of the others: a server ends the connection after it
/// has refused something.
const WORDS_OF_LASTING_FAILURES: [&str; 15] = [
    "not our ref",
    "unadvertised object",
    "couldn't find remote ref",
    "remote error:",
    "Authentication failed",
    "could not read Username",
    "could not read Password",
    "Permission denied",
    "Host key verification failed",
    "does not appear to be a git repository",
    "certificate",
    "pack is corrupted",
    "bad line length",
    "protocol error",
    "inflate: data stream error",
];

/// Words of connections that were cut or not made, and of time-outs.
const WORDS_OF_PASSING_FAILURES: [&str; 12] = [
    "early EOF",
    "unexpected disconnect",
    "hung up unexpectedly",
    "Connection reset",
    "Connection closed by",
    "Operation timed out",
    "Operation too slow",
    "Empty reply from server",
    "Recv failure",
    "Send failure",
    "transfer closed with",
    "was not closed cleanly",
];

/// Words of connections that were not made; these may be, too, later.
const WORDS_OF_UNREACHABLE_SERVERS: [&str; 6] = [
    "Connection refused",
    "Connection timed out",
    "Failed to connect",
    "Could not connect",
    "Network is unreachable",
    "No route to host",
];

/// The cause of a command that failed, by what it printed; other causes stay.
pub(super) fn of(cause: Cause) -> Cause {
    match cause {
        Cause::Command(text) => by_text(text),
        other => other,
    }
}

fn by_text(text: String) -> Cause {
    let says = |words: &[&str]| words.iter().any(|words| text.contains(words));
    // The order decides: a status of HTTP says more than the words around it, and the words of refusals more than those
    // of the cut that follows them.
    match status(&text) {
        Some(status) if status_may_pass(status) => Cause::Connection(text),
        Some(_) => Cause::Command(text),
        None if says(&WORDS_OF_LASTING_FAILURES) => Cause::Command(text),
        None if text.contains("Could not resolve host") => Cause::UnknownHost(text),
        None if says(&WORDS_OF_UNREACHABLE_SERVERS) => Cause::Unreachable(text),
        None if says(&WORDS_OF_PASSING_FAILURES) => Cause::Connection(text),
        None => Cause::Command(text),
    }
}

/// The status of a server, in the words of curl: `The requested URL returned error: 503`.
fn status(text: &str) -> Option<u16> {
    let (_, after) = text.split_once("The requested URL returned error: ")?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_connections_may_pass_and_refusals_last() {
        for text in [
            "error: RPC failed; curl 18 transfer closed with outstanding read data remaining\nfatal: early EOF",
            "fetch-pack: unexpected disconnect while reading sideband packet",
            "fatal: unable to access 'http://h/r/': The requested URL returned error: 503",
            "kex_exchange_identification: Connection closed by remote host",
            "fatal: unable to access 'https://h/': Operation too slow. Less than 1 bytes/sec transferred",
        ] {
            assert!(matches!(by_text(text.to_owned()), Cause::Connection(_)), "{text}");
        }
        for text in [
            "fatal: unable to access 'https://h/r/': Failed to connect to h port 443: Connection refused",
            "ssh: connect to host h port 22: Connection timed out\nfatal: Could not read from remote repository.",
        ] {
            assert!(matches!(by_text(text.to_owned()), Cause::Unreachable(_)), "{text}");
        }
        for text in [
            "fatal: unable to access 'https://h/r/': Could not resolve host: h",
            "ssh: Could not resolve hostname h: Name or service not known",
        ] {
            assert!(matches!(by_text(text.to_owned()), Cause::UnknownHost(_)), "{text}");
        }
        for text in [
            "fatal: git upload-pack: not our ref 01\nfatal: the remote end hung up unexpectedly",
            "fatal: couldn't find remote ref side",
            "remote: Repository not found.\nfatal: Authentication failed for 'https://h/r/'",
            "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            "fatal: unable to access 'http://h/r/': The requested URL returned error: 404",
            "error: RPC failed; HTTP 403 curl 22 The requested URL returned error: 403\nfatal: early EOF",
            "fatal: unable to access 'https://h/': SSL certificate problem: self-signed certificate",
            "something that no version of git prints",
            "",
        ] {
            assert!(matches!(by_text(text.to_owned()), Cause::Command(_)), "{text}");
        }
    }
}
