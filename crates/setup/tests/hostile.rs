//! Descriptions that were changed at random: errors with places, and never a panic or an endless search.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{fs, path::Path};

use taut_setup::{Anchors, Description, Locations, RcFiles, ReachedRepositories, Source};
use taut_syntax::Dialect;
use taut_testkit::{Rng, mutated, times};

const DESCRIPTION: &str = r#"{"main": "a", "repositories":
{ "a": {"repository": {"type": "file", "path": ".", "pragma": {"to_git": true, "special": "ignore"}}, "bindings": {"b": "b", "c": "c"}, "target_root": "d"}
, "b": {"repository": {"type": "git", "repository": "u", "branch": "m", "commit": "0123456789012345678901234567890123456789", "mirrors": ["x"], "subdir": "s", "inherit env": ["E"]}}
, "c": {"repository": {"type": "archive", "content": "0123456789012345678901234567890123456789", "fetch": "u/a.tgz", "sha256": "0123456789012345678901234567890123456789012345678901234567890123"}, "bindings": {"a": "a", "g": "g"}}
, "d": {"repository": "c"}
, "e": {"repository": {"type": "distdir", "repositories": ["c", "d", "e"]}}
, "f": {"repository": {"type": "git tree", "id": "0123456789012345678901234567890123456789", "cmd": ["x"], "env": {"A": "b"}}}
, "g": {"repository": {"type": "computed", "repo": "h", "target": ["", "t"], "config": {"a": [1]}}}
, "h": {"repository": {"type": "tree structure", "repo": "g"}}
, "i": {"repository": {"type": "foreign file", "content": "0123456789012345678901234567890123456789", "fetch": "u", "name": "n", "executable": true}}
}}"#;

/// A text with parts of its JSON changed, or with a byte changed or cut off.
fn changed(rng: &mut Rng, text: &str) -> Vec<u8> {
    if rng.below(4) == 0 {
        let mut bytes = text.as_bytes().to_vec();
        let at = rng.below(bytes.len());
        match rng.below(2) {
            0 => bytes.truncate(at),
            _ => bytes[at] = rng.below(256) as u8,
        }
        return bytes;
    }
    let mut value = serde_json::from_str(text).unwrap();
    for _ in 0..=rng.below(3) {
        value = mutated(rng, &value);
    }
    value.to_string().into_bytes()
}

/// Asks for all that a description says.
fn read_all(path: &Path) {
    let Ok(description) = Description::read(Dialect::Strict, path, Path::new("/base"), None) else { return };
    let _ = description.main();
    let Ok(names) = description.names() else { return };
    for name in names.iter().map(|name| (*name).to_owned()).chain(["nowhere".to_owned()]) {
        match description.source(&name) {
            Ok(of) => {
                let source: &Source = &of.source;
                let _ = (source.identity(), source.referenced(), of.place());
            }
            Err(problem) => {
                assert!(problem.location.is_some(), "{}", problem.message);
                assert!(!problem.message.is_empty() && !problem.reference_text().is_empty());
            }
        }
        let _ = ReachedRepositories::from(&description, &name);
    }
}

#[test]
fn changed_descriptions_yield_errors_with_places() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("repos.json");
    let mut rng = Rng::new(7);
    for _ in 0..times(1000) {
        fs::write(&path, changed(&mut rng, DESCRIPTION)).unwrap();
        read_all(&path);
    }
    fs::write(&path, DESCRIPTION).unwrap();
    read_all(&path);
    let description = Description::read(Dialect::Strict, &path, Path::new("/base"), None).unwrap();
    for name in description.names().unwrap() {
        assert!(description.source(name).is_ok(), "{name}");
    }
    let (reached, _) = ReachedRepositories::from(&description, "a").unwrap();
    let included: Vec<&str> = reached.included.iter().map(String::as_str).collect();
    // `d` is only a layer.
    assert_eq!(included, ["a", "b", "c", "g", "h"]);
    assert!(reached.set_up.contains("d"));
}

/// Each suggestion looks at all names, so that a description of thousands of both would take minutes.
#[test]
fn the_first_hundred_unknown_names_get_suggestions() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("repos.json");
    fs::write(&path, DESCRIPTION).unwrap();
    let description = Description::read(Dialect::Strict, &path, Path::new("/base"), None).unwrap();
    let suggestion = |name: &str| description.entry(name).unwrap_err().suggestion;
    // One name counts once, however often it is used.
    assert!((0..150).all(|_| suggestion("A").as_deref() == Some("a")));
    (1..100).for_each(|number| drop(suggestion(&format!("unlike any of them {number}"))));
    assert_eq!((suggestion("A").as_deref(), suggestion("A ")), (Some("a"), None));
}

#[test]
fn changed_rc_files_and_locations_yield_errors() {
    const RC: &str = r#"{"rc files": [{"root": "home", "path": "other"}], "distdirs": [{"root": "system", "path": "x", "base": "b"}], "just args": {"build": ["a"]}, "log limit": 3, "remote execution": {"address": "x", "compatible": true}, "invocation log": {"directory": {"root": "home", "path": "l"}, "context variables": ["A"]}, "config lookup order": [{"root": "workspace", "path": "r"}]}"#;
    const LOCATIONS: &str = r#"{"checkouts": {"git": {"u": "/p"}}, "local mirrors": {"u": ["v"]}, "preferred hostnames": ["h"], "extra inherit env": ["E"]}"#;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let anchors =
        Anchors { home: directory.path().to_owned(), cwd: directory.path().to_owned(), ..Anchors::default() };
    let mut rng = Rng::new(8);
    for _ in 0..times(500) {
        fs::write(&path, changed(&mut rng, RC)).unwrap();
        let mut remarks = Vec::new();
        if let Ok(files) = RcFiles::read(Dialect::Strict, Some(&path), &anchors, &mut remarks) {
            let _ = files.settings(&anchors, &mut remarks);
            let dump: serde_json::Value = serde_json::from_str(&files.dump()).expect("JSON");
            assert!(dump.is_object());
        }
        fs::write(&path, changed(&mut rng, LOCATIONS)).unwrap();
        let _ = Locations::read(Dialect::Strict, &path, &mut remarks);
    }
}

/// The keys of taut's maps must not change from version to version without a reason: what they name would be made
/// again.
#[test]
fn the_identities_of_sources_are_stable() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("repos.json");
    fs::write(&path, DESCRIPTION).unwrap();
    let description = Description::read(Dialect::Strict, &path, Path::new("/base"), None).unwrap();
    let hex = |name: &str| {
        let identity = description.source(name).unwrap().source.identity();
        identity.map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    };
    let id = "0123456789012345678901234567890123456789";
    assert_eq!(hex("a"), None);
    assert_eq!(hex("b").unwrap(), format!("03{}14{id}01{}", "676974", "73"));
    assert_eq!(hex("c").unwrap(), format!("07{}14{id}01{}00", "61726368697665", "2e"));
    assert_eq!(hex("d"), hex("c"));
    assert_eq!(hex("f").unwrap(), format!("08{}14{id}", "6769742074726565"));
    assert_eq!(hex("g"), None);
    assert_eq!(hex("i").unwrap(), format!("0c{}14{id}01{}01", "666f726569676e2066696c65", "6e"));
}
