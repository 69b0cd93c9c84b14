//! Links in trees, compared with what just-mr makes of them (`special.txt`).
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{fs, path::Path};

use taut_digest::{Hash, ObjectType, TreeEntry};
use taut_git::{Error, LinkFault, ObjectSink, Special, TreeBuilder, Writer};
use tempfile::TempDir;

fn components(path: &str) -> Vec<&[u8]> {
    path.split('/').map(str::as_bytes).collect()
}

/// A repository with the tree that lines describe.
fn tree(writer: &Writer, lines: &[&str]) -> Hash {
    let mut batch = writer.batch();
    let mut tree = TreeBuilder::new();
    for line in lines {
        let mut words = line.splitn(3, ' ');
        let (kind, path, content) = (words.next().unwrap(), words.next().unwrap(), words.next());
        let object_type = match kind {
            "file" => ObjectType::File,
            "executable" => ObjectType::Executable,
            "link" => ObjectType::Symlink,
            "directory" => {
                tree.directory(&components(path)).unwrap();
                continue;
            }
            _ => panic!("{line}"),
        };
        let hash = batch.blob(content.unwrap().as_bytes()).unwrap();
        tree.put(&components(path), TreeEntry { hash, object_type }).unwrap();
    }
    let id = tree.write(&mut batch).unwrap();
    batch.finish().unwrap();
    id
}

fn transform(writer: &Writer, tree: &Hash, special: Special) -> taut_git::Result<Hash> {
    let mut batch = writer.batch();
    let made = batch.transform(tree, special)?;
    batch.finish()?;
    writer.repository().forget();
    assert!(writer.repository().is_complete(&made).unwrap());
    Ok(made)
}

#[test]
fn trees_are_those_of_the_reference() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/special.txt")).unwrap();
    let top = TempDir::new().unwrap();
    let mut count = 0;
    for case in text.split("case ").skip(1) {
        let (name, lines) = case.split_once('\n').unwrap();
        let writer = Writer::open(&top.path().join(name)).unwrap();
        let (given, expected): (Vec<&str>, Vec<&str>) = lines.lines().partition(|line| {
            ["file", "executable", "link", "directory"].contains(&line.split(' ').next().unwrap())
        });
        let tree = tree(&writer, &given);
        for line in expected {
            let (word, expected) = line.split_once(' ').unwrap();
            let special = match word {
                "ignore" => Special::Ignore,
                "resolve-partially" => Special::ResolvePartially,
                "resolve-completely" => Special::ResolveCompletely,
                _ => panic!("{line}"),
            };
            match transform(&writer, &tree, special) {
                Ok(made) => assert_eq!(made.to_hex(), expected, "{name}: {word}"),
                Err(error) => assert_eq!(expected, "refused", "{name}: {word}: {error}"),
            }
            count += 1;
        }
    }
    assert!(count > 80);
}

#[test]
fn errors_name_the_link_and_its_target() {
    let top = TempDir::new().unwrap();
    let writer = Writer::open(&top.path().join("git")).unwrap();
    let fault = |lines: &[&str], special| match transform(&writer, &tree(&writer, lines), special) {
        Err(Error::Link { link, fault, .. }) => (link, fault),
        other => panic!("{other:?}"),
    };
    let complete = Special::ResolveCompletely;
    let link = |path: &str, fault| (path.to_owned(), fault);
    let dangling = |target: &str| LinkFault::Dangling(target.to_owned());
    let outside = |target: &str| LinkFault::Outside(target.to_owned());
    assert_eq!(fault(&["link a/l ../x"], complete), link("a/l", dangling("../x")));
    assert_eq!(fault(&["file f x", "link a/l ../f/y"], complete), link("a/l", dangling("../f/y")));
    assert_eq!(fault(&["link a/l ../../x"], Special::ResolvePartially), link("a/l", outside("../../x")));
    assert_eq!(fault(&["link l /x"], complete), link("l", outside("/x")));
    assert_eq!(
        fault(&["link s t", "link t s"], complete),
        link("t", LinkFault::Cycle(vec!["s".to_owned(), "t".to_owned()]))
    );
    let through = ["file r/f x", "link l r", "link d/s ../l/f"];
    assert_eq!(fault(&through, Special::ResolvePartially), link("d/s", dangling("../l/f")));
}

/// Chains, and directories that lead to each other in a row: neither stack nor time grows out of bounds.
#[test]
fn long_chains_and_shared_directories_are_resolved() {
    let top = TempDir::new().unwrap();
    let writer = Writer::open(&top.path().join("git")).unwrap();
    let mut lines = vec!["file f0 x".to_owned()];
    lines.extend((1..5000).map(|n| format!("link f{n} f{}", n - 1)));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let made = transform(&writer, &tree(&writer, &lines), Special::ResolveCompletely).unwrap();
    assert!(writer.repository().subtree(&made, b"").unwrap().is_some());
    // Each directory has the next one twice: unfolded, 2^60 files.
    let mut lines = vec!["file d60/f x".to_owned()];
    for n in 0..60 {
        lines.extend(["a", "b"].map(|name| format!("link d{n}/{name} ../d{}", n + 1)));
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    transform(&writer, &tree(&writer, &lines), Special::ResolveCompletely).unwrap();
}
