//! The library of rules in the binary: the files of `rules/`, as the git tree that they are.
//!
//! The tree has the id that git would give it. So results that were made with the rules are named by it, wherever
//! this binary runs, and another version of the rules is another tree.
//!
//! What this crate does not do: it reads no file when it runs, and does not interpret the rules.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use taut_digest::{Digest, Hash, HashFunction, ObjectInfo, ObjectType, TreeEntry, encode_git_tree};

// `TREE` and `FILES`, as `build.rs` has found them below `rules/`.
include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// The name by which repositories are bound to the rules, and the name of that repository.
pub const NAME: &str = "std";

/// The id of the git tree of all files, as 40 hexadecimal digits. Computes nothing.
pub fn tree() -> &'static str {
    TREE
}

/// A file or directory.
#[derive(Debug)]
pub struct Node {
    /// Its object.
    pub object: ObjectInfo,
    /// The entries of a directory, by name; empty for a file.
    pub entries: BTreeMap<&'static str, ObjectInfo>,
    /// The bytes of the object: of a file its content, of a directory its git tree.
    pub content: Vec<u8>,
}

/// What is at a path, which is normalised and relative to the top (""). `None` if there is nothing.
pub fn at(path: &str) -> Option<&'static Node> {
    NODES.by_path.get(path)
}

/// The bytes of an object of the tree; `None` if it is not one.
pub fn object(hash: &Hash, object_type: ObjectType) -> Option<&'static [u8]> {
    let node = &NODES.by_path[*NODES.by_hash.get(&(*hash, object_type == ObjectType::Tree))?];
    Some(&node.content)
}

struct Nodes {
    by_path: HashMap<&'static str, Node>,
    /// The path of one node for each object; whether it is a tree is part of the key.
    by_hash: HashMap<(Hash, bool), &'static str>,
}

// Hashed when they are needed first: a call that uses no rules pays nothing. The id of the whole is computed by the
// build script.
static NODES: LazyLock<Nodes> = LazyLock::new(|| {
    let mut by_path: HashMap<&'static str, Node> = HashMap::new();
    let mut directories: BTreeMap<&'static str, BTreeMap<&'static str, ObjectInfo>> = BTreeMap::new();
    // Also without any file, so that the top always has a node.
    directories.insert("", BTreeMap::new());
    for (path, is_executable, content) in FILES {
        let object_type = if *is_executable { ObjectType::Executable } else { ObjectType::File };
        let object = info(HashFunction::GitSha1.blob(content), content, object_type);
        by_path.insert(path, Node { object, entries: BTreeMap::new(), content: content.to_vec() });
        let (above, name) = split(path);
        directories.entry(above).or_default().insert(name, object);
        for above in above_all(above) {
            directories.entry(above).or_default();
        }
    }
    // Reversed, the order of the paths has each directory behind those that lie in it.
    while let Some((path, entries)) = directories.pop_last() {
        let of_tree: BTreeMap<&str, TreeEntry> = entries
            .iter()
            .map(|(name, entry)| {
                (*name, TreeEntry { hash: entry.digest.hash, object_type: entry.object_type })
            })
            .collect();
        // The same encoding as in the build script, which has computed the id of the whole with it.
        let content = encode_git_tree(&of_tree);
        let object = info(HashFunction::GitSha1.tree(&content), &content, ObjectType::Tree);
        if !path.is_empty() {
            let (above, name) = split(path);
            directories.entry(above).or_default().insert(name, object);
        }
        by_path.insert(path, Node { object, entries, content });
    }
    let by_hash = by_path
        .iter()
        .map(|(path, node)| ((node.object.digest.hash, node.object.object_type == ObjectType::Tree), *path));
    Nodes { by_hash: by_hash.collect(), by_path }
});

fn info(hash: Hash, content: &[u8], object_type: ObjectType) -> ObjectInfo {
    ObjectInfo { digest: Digest { hash, size: content.len() as u64 }, object_type }
}

/// The directory and the last component of a path.
fn split(path: &'static str) -> (&'static str, &'static str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// The directories above a directory, without the top.
fn above_all(path: &'static str) -> impl Iterator<Item = &'static str> {
    let above = |path: &&'static str| Some(split(path).0).filter(|above| !above.is_empty());
    std::iter::successors(Some(path).filter(|path| !path.is_empty()), above)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;

    #[test]
    fn the_tree_has_the_id_of_its_contents() {
        assert_eq!(at("").unwrap().object.digest.hash.to_hex(), tree());
    }

    #[test]
    fn every_object_below_the_tree_is_found_by_path_and_by_id() {
        let (mut open, mut files) = (vec![String::new()], 0);
        while let Some(path) = open.pop() {
            let node = at(&path).unwrap();
            let object = object(&node.object.digest.hash, node.object.object_type);
            assert_eq!(object, Some(&*node.content), "{path}");
            files += usize::from(node.object.object_type != ObjectType::Tree);
            let below =
                |name: &&str| if path.is_empty() { (*name).to_owned() } else { format!("{path}/{name}") };
            open.extend(node.entries.keys().map(below));
        }
        assert_eq!(files, FILES.len());
        assert!(at("python").is_some() && at("python/zip.py").is_some() && at("nothing").is_none());
    }

    /// The JSON object in a file.
    fn json(path: &str) -> Map<String, Value> {
        let node = at(path).unwrap_or_else(|| panic!("{path} is there"));
        serde_json::from_slice(&node.content).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The texts in a list, or the keys of a map.
    fn names(value: Option<&Value>) -> Vec<&str> {
        match value {
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            Some(Value::Object(all)) => all.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn every_rule_field_and_variable_is_documented() {
        let files = FILES.iter().map(|(path, ..)| *path).filter(|path| path.ends_with("RULES"));
        let mut missing = Vec::new();
        let mut count = 0;
        for path in files {
            for (name, rule) in json(path) {
                count += 1;
                let is_documented = |key: &str| rule.get(key).is_some_and(|doc| !names(Some(doc)).is_empty());
                let has_result = ["artifacts_doc", "runfiles_doc", "provides_doc"];
                if !is_documented("doc") || !has_result.iter().any(|key| is_documented(key)) {
                    missing.push(format!("{path}: {name}"));
                }
                let fields = ["target_fields", "string_fields", "config_fields", "implicit", "anonymous"];
                for (of, doc) in
                    fields.map(|of| (of, "field_doc")).into_iter().chain([("config_vars", "config_doc")])
                {
                    let documented = names(rule.get(doc));
                    let undocumented =
                        names(rule.get(of)).into_iter().filter(|name| !documented.contains(name));
                    missing.extend(undocumented.map(|field| format!("{path}: {name}: {field}")));
                }
                let has = [&fields[..], &["config_vars"]].concat();
                let all: Vec<&str> = has.iter().flat_map(|of| names(rule.get(*of))).collect();
                let documented = ["field_doc", "config_doc"].into_iter().flat_map(|doc| names(rule.get(doc)));
                let unknown = documented.filter(|name| !all.contains(name));
                missing.extend(unknown.map(|field| format!("{path}: {name}: {field} is not a field")));
            }
        }
        assert_eq!(missing, [""; 0]);
        assert!(count > 4);
    }
}
