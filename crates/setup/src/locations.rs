//! The file of checkout locations: repositories that are here already, mirrors of this site, preferred hosts.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use taut_syntax::{
    Diagnostic, Dialect, Document, Kind, Node,
    json::{reference_error, reference_type},
    quoted,
};
use taut_sys::Named;

use crate::{
    fields::{CHECKOUTS, LOCATIONS},
    misspelt,
    problem::{Problem, place},
    reachable::Remark,
};

/// The content of the file.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Locations {
    /// Git repositories that are here, by URL.
    pub checkouts: BTreeMap<String, PathBuf>,
    /// Mirrors that are tried before everything else, by URL.
    pub local_mirrors: BTreeMap<String, Vec<String>>,
    /// Hosts whose URLs are tried before those of others, in this order.
    pub preferred_hosts: Vec<String>,
    /// Variables that git and commands get from the environment, as well as those that a repository names.
    pub inherit_env: Vec<String>,
}

impl Locations {
    /// Reads the file, which is written in a dialect.
    ///
    /// # Errors
    /// It cannot be read, or has another form.
    pub fn read(dialect: Dialect, path: &Path, remarks: &mut Vec<Remark>) -> Result<Locations, Problem> {
        let shown = path.display();
        let step = format!("Parsing checkout locations file {shown} failed with error:");
        let content = Named::read(path).map_err(|error| {
            Diagnostic::error(format!("the checkout locations cannot be read: {error}"))
                .reference(reference_error(b""))
                .below(&step)
        })?;
        let document = Document::parse_as(dialect, path.to_string_lossy(), content.clone())
            .map_err(|error| Diagnostic::from(error).reference(reference_error(&content)).below(&step))?;
        let root = document.root();
        let wrong = |node: Node<'_>, what: &str| -> Problem {
            Diagnostic::error(what)
                .reference(format!(
                    // The words of the JSON library that the reference uses (nlohmann), which it passes on.
                    "[json.exception.type_error.306] cannot use value() with {}",
                    reference_type(node.kind())
                ))
                .below(&step)
                .at(place(node))
                .into()
        };
        if root.kind() != Kind::Object {
            return Err(wrong(root, "checkout locations are a JSON object"));
        }
        misspelt::keys(root, "the checkout locations", LOCATIONS.iter().copied(), remarks);
        let mut locations = Locations::default();
        let base = path.parent().unwrap_or(Path::new("/"));
        if let Some(checkouts) = root.get("checkouts") {
            // An error, while the values below are only ignored: this is where the reference stops, too.
            if checkouts.kind() != Kind::Object {
                return Err(wrong(
                    checkouts,
                    "\"checkouts\" is a map from version-control systems to locations",
                ));
            }
            misspelt::keys(checkouts, "\"checkouts\"", CHECKOUTS.iter().copied(), remarks);
            if let Some(git) = checkouts.get("git") {
                if git.kind() != Kind::Object {
                    remarks.push(Remark::ignored(
                        git,
                        "the checkouts of git are a map from URLs to paths".to_owned(),
                    ));
                }
                for (url, node) in git.entries() {
                    match node.as_str() {
                        Some(path) => {
                            locations.checkouts.insert(url.to_owned(), taut_sys::normal(&base.join(path)));
                        }
                        None => remarks.push(Remark::ignored(
                            node,
                            format!("the location of {} is a path, a string", quoted(url)),
                        )),
                    }
                }
            }
        }
        if let Some(mirrors) = root.get("local mirrors") {
            if mirrors.kind() != Kind::Object {
                remarks.push(Remark::ignored(
                    mirrors,
                    "\"local mirrors\" is a map from URLs to lists of URLs".to_owned(),
                ));
            }
            for (url, list) in mirrors.entries() {
                if let Some(list) = strings(list, remarks) {
                    locations.local_mirrors.insert(url.to_owned(), list);
                }
            }
        }
        if let Some(hosts) = root.get("preferred hostnames") {
            locations.preferred_hosts = strings(hosts, remarks).unwrap_or_default();
        }
        if let Some(variables) = root.get("extra inherit env") {
            locations.inherit_env = strings(variables, remarks).unwrap_or_default();
        }
        Ok(locations)
    }

    /// Where something is fetched from, in this order: mirrors of this site, then its URL and its mirrors, those of
    /// preferred hosts first.
    pub fn order(&self, url: &str, mirrors: &[String]) -> Vec<String> {
        let mut others: Vec<&str> = std::iter::once(url).chain(mirrors.iter().map(String::as_str)).collect();
        // Stable, so that URLs of one host, and of no preferred one, keep their order.
        others.sort_by_key(|url| {
            let position = host(url).and_then(|host| {
                self.preferred_hosts.iter().position(|preferred| preferred.eq_ignore_ascii_case(host))
            });
            position.unwrap_or(usize::MAX)
        });
        // By the URL of the description, not by those of its mirrors.
        let local = self.local_mirrors.get(url).into_iter().flatten().cloned();
        local.chain(others.into_iter().map(str::to_owned)).collect()
    }
}

/// The strings of a list; another value is ignored, as in the reference, with a remark.
fn strings(node: Node<'_>, remarks: &mut Vec<Remark>) -> Option<Vec<String>> {
    let Some(items) = node.as_list() else {
        remarks.push(Remark::ignored(node, "a list of strings was expected here".to_owned()));
        return None;
    };
    if let Some(wrong) = items.clone().find(|item| item.as_str().is_none()) {
        remarks.push(Remark::ignored(wrong, "a string was expected here".to_owned()));
        return None;
    }
    Some(items.filter_map(|item| item.as_str().map(str::to_owned)).collect())
}

/// The host of a URL, `scheme://user@host:port/path` or `user@host:path`.
fn host(url: &str) -> Option<&str> {
    let (authority, is_scp) = match url.split_once("://") {
        Some((_, rest)) => (rest.split(['/', '?', '#']).next()?, false),
        None => (url.split_once(':')?.0, true),
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if is_scp {
        // A slash before the colon makes it a path for git.
        return (!host.contains('/')).then_some(host);
    }
    // IPv6 addresses are in brackets, and have colons.
    let host = match host.strip_prefix('[') {
        Some(address) => address.split(']').next()?,
        None => host.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

/// The path that a git URL means, if it is one of this machine: it begins with `/`, `./` or `file://`.
pub(crate) fn local_path(url: &str) -> Option<&str> {
    match url.strip_prefix("file://") {
        Some(path) => Some(path),
        None => (url.starts_with('/') || url.starts_with("./")).then_some(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_url_is_found() {
        for (url, found) in [
            ("https://example.org/a.tgz", Some("example.org")),
            ("https://me:secret@example.org:8080/a", Some("example.org")),
            ("http://[::1]:80/a", Some("::1")),
            ("git@example.org:team/project", Some("example.org")),
            ("example.org?x", None),
            ("file:///a/b", None),
            ("./a:b", None),
        ] {
            assert_eq!(host(url), found, "{url}");
        }
    }

    #[test]
    fn local_mirrors_come_first_and_preferred_hosts_before_others() {
        let locations = Locations {
            local_mirrors: BTreeMap::from([("http://a/x".to_owned(), vec!["file:///m".to_owned()])]),
            preferred_hosts: vec!["c".to_owned(), "b".to_owned()],
            ..Locations::default()
        };
        let mirrors = ["http://b/1", "http://d/x", "http://c/x", "http://b/2"].map(str::to_owned);
        assert_eq!(
            locations.order("http://a/x", &mirrors),
            ["file:///m", "http://c/x", "http://b/1", "http://b/2", "http://a/x", "http://d/x"]
        );
        assert_eq!(locations.order("http://z", &[]), ["http://z"]);
    }
}
