//! What a call takes from its environment: the build root and its store.

use std::path::{Path, PathBuf};

use crate::log::{Level, Log};
use crate::options::Stores;
use crate::reproduce::quoted;
use crate::tool_name::Name;
use taut_digest::HashFunction;
use taut_store::Store;

/// The build root: the one given, else the name's place in the user's cache directory.
pub(crate) fn build_root(name: Name, options: &Stores) -> Result<PathBuf, String> {
    if let Some(path) = &options.local_build_root {
        // Absolute, since the processes that are started later have other working directories.
        return std::path::absolute(path).map_err(|error| format!("Cannot use the build root: {error}"));
    }
    match std::env::var_os("HOME").filter(|home| !home.is_empty()) {
        // By the name of the call: under the name `just` it is the usual place of the reference's build root.
        Some(home) => {
            let root = Path::new(&home).join(".cache").join(name.word());
            // Only the system's answer to a relative one in no working directory is an error, which then is that of
            // the path.
            Ok(std::path::absolute(&root).unwrap_or(root))
        }
        None => Err("Cannot determine the home directory; set HOME or give --local-build-root.".to_owned()),
    }
}

/// The words that give the build root, for a command line that is shown, with a blank in front.
pub(crate) fn build_root_option(options: &Stores) -> Option<String> {
    let root = options.local_build_root.as_ref()?;
    Some(format!(" --local-build-root {}", quoted(&root.to_string_lossy())))
}

/// Whether there is a build root. Queries do not create one.
pub(crate) fn build_root_exists(build_root: &Path) -> bool {
    taut_sys::Dir::of_user(build_root).is_ok()
}

/// How objects are named.
pub(crate) fn hash_function(options: &Stores) -> HashFunction {
    if options.server.compatible { HashFunction::Sha256 } else { HashFunction::GitSha1 }
}

/// Opens the store that the options name; if it cannot be opened, reports the error.
pub(crate) fn open_store(name: Name, options: &Stores, log: &Log) -> Option<Store> {
    if let Some(text) = not_supported(options) {
        log.say(Level::Error, text);
        return None;
    }
    let opened = build_root(name, options).and_then(|root| {
        Store::open(&root, hash_function(options))
            .map_err(|error| with_hint(format!("Cannot use the build root: {error}"), &root))
    });
    opened.map_err(|text| log.say(Level::Error, text)).ok()
}

/// An error, and what helps if it is about a part of the build root that belongs to another user, as after a call by
/// sudo.
pub(crate) fn with_hint(error: String, build_root: &Path) -> String {
    let root = build_root.display().to_string();
    // The line about the owner has a path only if it is another one than that of the error, which is the line before.
    let mut last = "";
    let mut is_foreign = |line| {
        let last = std::mem::replace(&mut last, line);
        line.contains(taut_sys::BELONGS_TO) && (line.contains(&root) || last.contains(&root))
    };
    if !error.lines().any(&mut is_foreign) {
        return error;
    }
    format!("{error}\nit helps to give all of {root} to one user, or to use another one (--local-build-root)")
}

/// The error for an option that is not supported yet, if there is one.
pub(crate) fn not_supported(options: &Stores) -> Option<String> {
    if let Some(address) = &options.remote_serve_address {
        return Some(format!("Target-serving services (-R {address}) are not supported yet."));
    }
    None
}

/// Whether a text has the form `HOST:PORT`.
pub(crate) fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for (text, good) in [("a:1", true), ("[::1]:8980", true), ("", false), ("a", false), (":1", false)] {
            assert_eq!(is_address(text), good, "{text}");
        }
    }
}
