//! What results depend on besides the content of files, as bytes: hashes of them name files that outlive a call, so
//! they are written by [`Encoder`] as specified here, and golden digests in the tests show when they change.

use std::path::Path;

use taut_digest::HashFunction;
use taut_repos::RepoConfig;
use taut_sys::Named;
use taut_value::{Encoder, Id};

use crate::{BuildOptions, RemoteExecution};

/// What results of actions depend on besides their definitions and inputs: the launcher (number of words, bytes of
/// each), whether there is a time limit and its seconds and nanoseconds, the properties (number, bytes of name and
/// value of each), the bytes of the name of the store's generation. If servers execute actions, then how many there are
/// and the bytes of the id of each, the number of the usual one (0 for none, else one more than its index), and for
/// each entry of the dispatch list the index of the server and the properties as above.
pub(crate) fn execution_context(options: &BuildOptions, generation: &[u8]) -> Vec<u8> {
    let BuildOptions { launcher, timeout, properties, remote_execution, .. } = options;
    let mut e = Encoder::new();
    // Numbers in front of lists and lengths in front of texts: no two settings have the same bytes.
    e.number(launcher.len() as u64);
    launcher.iter().for_each(|word| e.bytes(word.as_bytes()));
    e.bool(timeout.is_some());
    if let Some(timeout) = timeout {
        e.number(timeout.as_secs());
        e.number(timeout.subsec_nanos().into());
    }
    let add = |e: &mut Encoder, properties: &mut dyn ExactSizeIterator<Item = (&String, &String)>| {
        e.number(properties.len() as u64);
        for (name, value) in properties {
            e.bytes(name.as_bytes());
            e.bytes(value.as_bytes());
        }
    };
    add(&mut e, &mut properties.iter().map(|(name, value)| (name, value)));
    // After a garbage collection outputs may be gone, so actions are looked at again.
    e.bytes(generation);
    if let Some(RemoteExecution { endpoints, main, dispatch, .. }) = remote_execution {
        e.number(endpoints.len() as u64);
        endpoints.iter().for_each(|endpoint| e.bytes(endpoint.id.as_bytes()));
        e.number(main.map_or(0, |main| main as u64 + 1));
        e.number(dispatch.len() as u64);
        for (properties, endpoint) in dispatch {
            e.number(*endpoint as u64);
            add(&mut e, &mut properties.iter());
        }
    }
    e.finish()
}

impl BuildOptions {
    /// What computed roots depend on besides descriptions and sources, as bytes: launcher, time limit and properties,
    /// as for results of actions.
    pub fn root_context(&self) -> Vec<u8> {
        // Without the generation of the store: the trees of roots are kept elsewhere.
        execution_context(self, b"")
    }
}

/// Names the traces of this program for repositories of this shape, wherever the roots lie, and contents that are named
/// by this function: the hash of the program and the bytes of the shape. `None` if this program cannot be identified:
/// another one may compute other values.
pub(crate) fn shape_key(repositories: &RepoConfig, function: HashFunction) -> Option<Id> {
    // The first part ends where its last length says, so the concatenation is unambiguous.
    Some(Id::of([program()?, shape(repositories, function)].concat()))
}

/// Names what is recorded by this program, for whatever repositories: the hash of the program. `None` if it cannot be
/// identified.
pub(crate) fn program_key() -> Option<Id> {
    Some(Id::of(program()?))
}

/// The bytes of the shape of the configuration; in compatible mode, the bytes of the name of its directories.
fn shape(repositories: &RepoConfig, function: HashFunction) -> Vec<u8> {
    let mut e = Encoder::new();
    e.bytes(&repositories.shape());
    // Nothing is added for the usual function, so the names of its files stay what they are.
    if function != HashFunction::GitSha1 {
        e.bytes(function.layout_name().as_bytes());
    }
    e.finish()
}

/// The bytes of this program's version, and those of the signature of its file: a program that was built anew under the
/// same version must not replay the runs of the other one.
fn program() -> Option<Vec<u8>> {
    let mut signature = Vec::new();
    // The file that runs, even if another one has taken its path meanwhile.
    Named::stat(Path::new("/proc/self/exe")).ok()?.signature.encode(&mut signature);
    let mut e = Encoder::new();
    e.bytes(env!("CARGO_PKG_VERSION").as_bytes());
    e.bytes(&signature);
    Some(e.finish())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use taut_value::{Map, NamedTarget, Value};

    use super::*;
    use crate::Request;

    fn options() -> BuildOptions {
        BuildOptions {
            jobs: 1,
            launcher: vec!["env".to_owned(), "--".to_owned()],
            timeout: Some(Duration::from_millis(1_500)),
            grace: Duration::ZERO,
            properties: vec![("os".to_owned(), "linux".to_owned())],
            keep_going: false,
            compare: false,
            write_strategy: crate::WriteStrategy::Disable,
            remote_cache: None,
            remote_execution: None,
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

    #[test]
    fn keys_of_cached_build_state_have_golden_values() {
        assert_eq!(
            execution_context(&options(), b"g"),
            b"\x02\x03env\x02--\x01\x01\x80\xca\xb5\xee\x01\x01\x02os\x05linux\x01g"
        );
        let dispatch = vec![([("a".to_owned(), "b".to_owned())].into(), 0)];
        let remote = RemoteExecution { main: Some(1), dispatch, ..RemoteExecution::default() };
        let options = BuildOptions { remote_execution: Some(remote), ..options() };
        assert_eq!(
            execution_context(&options, b"g"),
            b"\x02\x03env\x02--\x01\x01\x80\xca\xb5\xee\x01\x01\x02os\x05linux\x01g\0\x02\x01\0\x01\x01a\x01b"
        );
        assert_eq!(
            Id::of(shape(&request().repositories, HashFunction::GitSha1)).to_hex(),
            "88420266dfd64d604627234a8a6c75cf6477c6fd5505df0d17c59959ae9ce234"
        );
    }

    #[test]
    fn owners_of_installed_files_have_golden_values() {
        assert_eq!(request().owner(), "ea886a6e7a8549b6a9e41f251f8601a87a52a24e7ec9d721f6b1af38d5b769b1");
    }

    #[test]
    fn adjacent_words_are_encoded_separately() {
        let with = |launcher: &[&str], properties: &[(&str, &str)]| {
            let launcher = launcher.iter().map(|word| (*word).to_owned()).collect();
            let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let properties = properties.iter().map(pair).collect();
            execution_context(&BuildOptions { launcher, properties, ..options() }, b"")
        };
        assert_ne!(with(&["a", "b"], &[]), with(&["a b"], &[]));
        assert_ne!(with(&["a"], &[("b", "c")]), with(&["a", "b"], &[("c", "")]));
        assert_ne!(with(&[], &[("ab", "c")]), with(&[], &[("a", "bc")]));
    }
}
