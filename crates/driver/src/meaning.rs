//! What results and reports depend on besides what files say, as bytes: names of what is kept between calls are hashes
//! of them, so they are written by [`Encoder`] as specified here, and golden digests tell when they change.

use std::{os::unix::ffi::OsStrExt, path::Path};

use taut_sys::Named;
use taut_value::{Encoder, Id};

use crate::{BuildOptions, DescribeOptions, Request};

/// What tasks and reports take for granted, but for the request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Meaning(Vec<u8>);

impl Meaning {
    /// What results of actions depend on, besides their definitions: 0, the launcher (number of words, bytes of each),
    /// whether there is a time limit and its seconds and nanoseconds, the properties (number, bytes of name and value
    /// of each).
    pub fn of_build(options: &BuildOptions) -> Meaning {
        let BuildOptions { launcher, timeout, properties, .. } = options;
        let mut e = Encoder::new();
        e.number(0);
        e.number(launcher.len() as u64);
        launcher.iter().for_each(|word| e.bytes(word.as_bytes()));
        e.bool(timeout.is_some());
        if let Some(timeout) = timeout {
            e.number(timeout.as_secs());
            e.number(timeout.subsec_nanos().into());
        }
        e.number(properties.len() as u64);
        for (name, value) in properties {
            e.bytes(name.as_bytes());
            e.bytes(value.as_bytes());
        }
        Meaning(e.finish())
    }

    /// What a description depends on: 1, whether a rule is described, whether programs read it.
    pub fn of_description(options: DescribeOptions) -> Meaning {
        let DescribeOptions { rule, json } = options;
        let mut e = Encoder::new();
        e.number(1);
        e.bool(rule);
        e.bool(json);
        Meaning(e.finish())
    }

    /// What the report of an analysis depends on: 2.
    pub fn of_analysis() -> Meaning {
        Meaning(vec![2])
    }

    /// The same, where messages show values up to a length: followed by whether one is given, and that or 0.
    pub fn with_log_limit(self, limit: Option<usize>) -> Meaning {
        let mut e = Encoder::new();
        e.bool(limit.is_some());
        e.number(limit.unwrap_or_default() as u64);
        Meaning([self.0, e.finish()].concat())
    }
}

/// How messages are shown, as far as texts that are kept depend on it.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'s> {
    /// Whether they have colours.
    pub color: bool,
    /// The working directory: files are named relative to it.
    pub here: &'s Path,
}

/// Names a request by everything that its report depends on, but for what leaves see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestKey(pub(crate) Id);

impl RequestKey {
    /// The key of the report of a request. `None` if it cannot be told which program this is: another one may come to
    /// other results.
    pub fn new(meaning: &Meaning, request: &Request, shown: Shown<'_>) -> Option<RequestKey> {
        Some(RequestKey(Id::of([program()?, report(meaning, request, shown)].concat())))
    }

    /// The key of all requests for which tasks take the same for granted, wherever the roots lie: the program, the
    /// meaning, the shape of the configuration.
    pub(crate) fn of_shape(meaning: &Meaning, request: &Request) -> Option<RequestKey> {
        Some(RequestKey(Id::of([program()?, shape(meaning, request)].concat())))
    }
}

/// The bytes of the meaning and the shape of the configuration.
fn shape(meaning: &Meaning, request: &Request) -> Vec<u8> {
    let mut e = Encoder::new();
    e.bytes(&meaning.0);
    e.bytes(&request.repositories.shape());
    e.finish()
}

/// The bytes of the meaning and of the configuration with its roots; the target and its configuration as messages show
/// them; whether there are colours; the bytes of the working directory.
fn report(meaning: &Meaning, request: &Request, shown: Shown<'_>) -> Vec<u8> {
    let mut e = Encoder::new();
    e.bytes(&meaning.0);
    e.bytes(&request.repositories.identity());
    e.bytes(request.target_text().as_bytes());
    e.bool(shown.color);
    e.bytes(shown.here.as_os_str().as_bytes());
    e.finish()
}

/// The bytes of this program's version, and those of the signature of its file.
fn program() -> Option<Vec<u8>> {
    let mut signature = Vec::new();
    Named::stat(Path::new("/proc/self/exe")).ok()?.signature.encode(&mut signature);
    let mut e = Encoder::new();
    e.bytes(env!("CARGO_PKG_VERSION").as_bytes());
    e.bytes(&signature);
    Some(e.finish())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use taut_repos::RepoConfig;
    use taut_value::{Map, NamedTarget, Value};

    use super::*;

    fn options() -> BuildOptions {
        BuildOptions {
            jobs: 1,
            launcher: vec!["env".to_owned(), "--".to_owned()],
            timeout: Some(Duration::from_millis(1_500)),
            grace: Duration::ZERO,
            properties: vec![("os".to_owned(), "linux".to_owned())],
            keep_going: false,
            compare: false,
        }
    }

    fn request() -> Request {
        let configuration: Map = [("V", Value::Bool(true))].into_iter().collect();
        Request {
            repositories: RepoConfig::default(),
            targets: NamedTarget::new("", "m", "t").into(),
            configuration,
        }
    }

    fn hex(bytes: Vec<u8>) -> String {
        Id::of(bytes).to_hex()
    }

    #[test]
    fn what_stands_for_a_request_stays_what_it_is() {
        let build = Meaning::of_build(&options()).with_log_limit(Some(100));
        let description =
            Meaning::of_description(DescribeOptions { rule: true, json: false }).with_log_limit(None);
        assert_eq!(build.0, b"\0\x02\x03env\x02--\x01\x01\x80\xca\xb5\xee\x01\x01\x02os\x05linux\x01\x64");
        assert_eq!(description.0, [1, 1, 0, 0, 0]);
        let shown = Shown { color: true, here: Path::new("/work") };
        assert_eq!(
            hex(shape(&build, &request())),
            "45515357c06b3ad9f4623d7f07a6a9818a964a3ba1d0e92522ef2c73afd1109b"
        );
        assert_eq!(
            hex(report(&build, &request(), shown)),
            "66ba6c49828a2bdf4f0f994b93c2ba3cce092eff3f449a2ecd9b09dcef13dff6"
        );
    }

    #[test]
    fn owners_of_installed_files_stay_what_they_are() {
        assert_eq!(request().owner(), "ea886a6e7a8549b6a9e41f251f8601a87a52a24e7ec9d721f6b1af38d5b769b1");
    }

    #[test]
    fn words_are_not_run_together() {
        let with = |launcher: &[&str], properties: &[(&str, &str)]| {
            let launcher = launcher.iter().map(|word| (*word).to_owned()).collect();
            let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let properties = properties.iter().map(pair).collect();
            Meaning::of_build(&BuildOptions { launcher, properties, ..options() })
        };
        assert_ne!(with(&["a", "b"], &[]), with(&["a b"], &[]));
        assert_ne!(with(&["a"], &[("b", "c")]), with(&["a", "b"], &[("c", "")]));
        assert_ne!(with(&[], &[("ab", "c")]), with(&[], &[("a", "bc")]));
    }
}
