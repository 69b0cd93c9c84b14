//! What the fetches of a call know of servers: which of them do not answer.
//!
//! Without this, a server that is down costs all attempts, with their pauses and time limits, for each file that may be
//! there. So a fetch asks a server whose last request had no answer after the others, and a server that had no answer
//! for all attempts of some fetch once only. None is left out, and any answer, also one of a refusal, makes a server
//! like the others again: what fails for a moment, for one connection of several, changes the order at most.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::Cause;

/// The servers of a call. Clones are the same.
#[derive(Clone, Default, Debug)]
// Shared by all fetches of a call, which run in several threads: what one finds out saves the others its wait. The
// lock is held for one look or change.
pub struct Servers(Arc<Mutex<HashMap<String, ServerState>>>);

#[derive(Clone, Copy, Default, Debug)]
struct ServerState {
    /// How many requests had an answer.
    answers: u64,
    /// Whether the last request had none.
    is_silent: bool,
    /// Whether all attempts of a fetch had none, and no other request meanwhile or since.
    is_down: bool,
}

impl Servers {
    /// The server of a URL, for one fetch.
    pub(crate) fn of(&self, url: &str) -> Server {
        let name = server_of(url);
        let answers_before = name.as_ref().map_or(0, |name| self.state(name).answers);
        Server { servers: self.clone(), name, answers_before }
    }

    fn state(&self, name: &str) -> ServerState {
        self.lock().get(name).copied().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, ServerState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server as one fetch knows it.
pub(crate) struct Server {
    servers: Servers,
    /// `None` for a place on this machine.
    name: Option<String>,
    /// How many answers there were when the fetch began.
    answers_before: u64,
}

impl Server {
    /// Whether the last request had no answer.
    pub(crate) fn is_silent(&self) -> bool {
        self.name.as_ref().is_some_and(|name| self.servers.state(name).is_silent)
    }

    /// Whether all attempts of a fetch had no answer.
    pub(crate) fn is_down(&self) -> bool {
        self.name.as_ref().is_some_and(|name| self.servers.state(name).is_down)
    }

    /// How long it is waited for, if others are for the given time: less if it is down.
    pub(crate) fn patience(&self, usual: Duration) -> Duration {
        // Not skipped: it may have come back. With the default of 30 s that is 5 s, enough for a connection.
        if self.is_down() { usual / 6 } else { usual }
    }

    /// Notes how a request ended: `None` if it had what was wanted.
    pub(crate) fn note(&self, cause: Option<&Cause>) {
        let Some(name) = &self.name else { return };
        let Some(is_answer) = cause.map_or(Some(true), Cause::is_answer) else { return };
        let mut servers = self.servers.lock();
        let state = servers.entry(name.clone()).or_default();
        match is_answer {
            // One answer of any kind takes both marks away.
            true => *state = ServerState { answers: state.answers + 1, ..ServerState::default() },
            false => state.is_silent = true,
        }
    }

    /// Notes that all attempts of the fetch had no answer.
    pub(crate) fn note_down(&self) {
        let Some(name) = &self.name else { return };
        if let Some(state) = self.servers.lock().get_mut(name) {
            // The answer of another fetch says more: this one had the wrong moments, or asked for something difficult.
            state.is_down = state.answers == self.answers_before;
        }
    }
}

// The port counts, since two services of one host fail independently; the user does not.
/// The server of a URL: scheme, host and port, without a user. `HOST:PATH` is one for ssh, as git has it.
fn server_of(url: &str) -> Option<String> {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("file") => return None,
        Some(parts) => parts,
        // A path has a slash before any colon, if it has one.
        None => ("ssh", url.split_once(':').filter(|(host, _)| !host.contains('/'))?.0),
    };
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let host = authority.rsplit('@').next().unwrap_or_default();
    // Scheme and host are case-insensitive (RFC 3986, 6.2.2.1).
    Some(format!("{scheme}://{host}").to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_scheme_a_host_and_a_port() {
        for (url, server) in [
            ("https://Example.org/a?b", Some("https://example.org")),
            ("https://u:p@example.org:8443/a", Some("https://example.org:8443")),
            ("http://[::1]:80/a@b", Some("http://[::1]:80")),
            ("ssh://git@example.org/a", Some("ssh://example.org")),
            ("git@example.org:a/b", Some("ssh://example.org")),
            ("file:///a", None),
            ("/a:b", None),
            ("./a:b", None),
            ("a/b", None),
        ] {
            assert_eq!(server_of(url).as_deref(), server, "{url}");
        }
    }

    #[test]
    fn an_answer_makes_a_server_like_the_others_again() {
        let servers = Servers::default();
        let silence = Cause::Unreachable("no connection".to_owned());
        let [first, second] = [servers.of("http://h/a"), servers.of("http://h/b")];
        first.note(Some(&silence));
        assert!(second.is_silent() && !second.is_down());
        // What has another reason says nothing of the server.
        second.note(Some(&Cause::Cancelled));
        assert!(second.is_silent());
        first.note_down();
        assert!(second.is_down());
        assert!(!servers.of("https://h/a").is_silent() && !servers.of("http://h:8080/a").is_silent());
        second.note(Some(&Cause::Status(404)));
        assert!(!first.is_silent() && !first.is_down());
        // Another fetch had an answer while this one made its attempts.
        first.note(Some(&silence));
        first.note_down();
        assert!(!first.is_down());
        let later = servers.of("http://h/c");
        later.note(Some(&silence));
        later.note_down();
        assert!(first.is_down());
    }
}
