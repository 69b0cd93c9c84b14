//! Finding objects: by identifier, and by path below a tree.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use taut_digest::{Digest, Hash, HashFunction, ObjectInfo, ObjectType};
use taut_store::{Error, Store};
use taut_value::JsonWriter;
use taut_value::path::normal_path;

/// Reads an object identifier as users type it: brackets, size and type may be missing, only the
/// first letter of the type counts, and without a known one it is a file. None if the hash is not a hash.
pub fn parse_object_id(text: &str) -> Option<ObjectInfo> {
    let mut parts = parts_of_object_id(text);
    // The reference reads lower-case digits only.
    let hash = parts.next().filter(|hash| !hash.contains(|c: char| c.is_ascii_uppercase()))?;
    let hash = Hash::from_hex(hash).ok()?;
    // A wrong size is not an error: objects are found by their hash.
    let size = parts.next().and_then(|size| size.parse().ok()).unwrap_or(0);
    let letter = parts.next().and_then(|word| word.chars().next());
    let object_type = letter.and_then(ObjectType::from_letter).unwrap_or(ObjectType::File);
    Some(ObjectInfo { digest: Digest { hash, size }, object_type })
}

/// The hash, the size and the type in an object identifier, as far as they are there.
fn parts_of_object_id(text: &str) -> impl Iterator<Item = &str> {
    text.strip_prefix('[').unwrap_or(text).splitn(3, ':')
}

/// The size in an object identifier as it is written, which need not be a number; empty if there is none.
pub fn size_in_object_id(text: &str) -> &str {
    parts_of_object_id(text).nth(1).unwrap_or_default()
}

/// What was found on the way down a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PathLookup {
    /// The last object on the way: what lies at the path, if the way does not end before.
    pub object: ObjectInfo,
    /// Where the way ends before, if it does.
    pub ends: Option<PathEnd>,
}

/// Where a path ends that goes on with a name: at a tree without an entry of this name, or at an object that is not a
/// tree. As text it is the reference's sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PathEnd {
    /// The path of the last object, from where the way begins; empty if it is there.
    pub at: String,
    /// The name that cannot be followed.
    pub name: String,
    /// Whether the last object is a tree.
    pub is_tree: bool,
}

impl fmt::Display for PathEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PathEnd { at, name, is_tree } = self;
        match is_tree {
            true => write!(f, "Entry {name} not found at path '{at}'"),
            false => write!(f, "Non-tree found at path '{at}', cannot follow to '{name}'"),
        }
    }
}

/// Follows a path below an object. The path is normalised first and taken as one from the object, so that "/a" is
/// "a"; "." is not an entry of anything, hence the way ends where it begins.
///
/// # Errors
///
/// If the store cannot be read, or a tree on the way is missing or damaged.
pub fn below(store: &Store, object: ObjectInfo, path: &str) -> Result<PathLookup, Error> {
    let mut here = object;
    let mut way: Vec<&str> = Vec::new();
    let path = normal_path(path);
    for name in path.trim_start_matches('/').split('/') {
        let name = if name.is_empty() { "." } else { name };
        let is_tree = here.object_type == ObjectType::Tree;
        let entry = match is_tree {
            true => {
                let entries = store.read_tree(&here.digest.hash)?.ok_or(Error::Missing(here))?;
                entries.get(name.as_bytes()).copied()
            }
            false => None,
        };
        let Some(entry) = entry else {
            let end = PathEnd { at: way.join("/"), name: name.to_owned(), is_tree };
            return Ok(PathLookup { object: here, ends: Some(end) });
        };
        // Entries of trees have no sizes.
        let digest = Digest { hash: entry.hash, size: 0 };
        here = ObjectInfo { digest, object_type: entry.object_type };
        way.push(name);
    }
    Ok(PathLookup { object: here, ends: None })
}

/// A tree to be read by users: JSON, name to identifier; without sizes, which git's trees do not have, but in
/// compatible mode.
///
/// # Errors
///
/// If the tree is missing, damaged or unreadable.
pub fn listing(store: &Store, tree: ObjectInfo) -> Result<String, Error> {
    let entries = store.read_tree(&tree.digest.hash)?.ok_or(Error::Missing(tree))?;
    let mut sizes = BTreeMap::new();
    if store.hash_function() == HashFunction::Sha256 {
        // Entries need not be here.
        let measured = store.measured_tree(&tree.digest.hash)?;
        let measured: HashMap<Hash, u64> =
            measured.iter().map(|object| (object.digest.hash, object.digest.size)).collect();
        for (name, entry) in &entries {
            let size = match measured.get(&entry.hash) {
                Some(size) => Some(*size),
                // A link, whose target is in the directory.
                None => store.size(&entry.hash, entry.object_type)?,
            };
            sizes.extend(size.map(|size| (name, size)));
        }
    }
    let mut writer = JsonWriter::pretty(2);
    writer.object(|w| {
        for (name, entry) in &entries {
            let size = sizes.get(name).map(u64::to_string).unwrap_or_default();
            let id = format!("[{}:{size}:{}]", entry.hash, entry.object_type.letter());
            w.key(&String::from_utf8_lossy(name)).string(id);
        }
    });
    Ok(writer.finish() + "\n")
}

#[cfg(test)]
mod tests {
    use super::parse_object_id;

    #[test]
    fn identifiers_may_be_abridged() {
        let hash = "4e3dffe834ac70600a7cb71fbc1f6a694c9d041f";
        let read = |text: &str| parse_object_id(text).map(|object| object.to_string());
        for (text, full) in [
            (hash.to_owned(), format!("[{hash}:0:f]")),
            (format!("[{hash}:12:x]"), format!("[{hash}:12:x]")),
            (format!("{hash}::tree"), format!("[{hash}:0:t]")),
            (format!("{hash}:7"), format!("[{hash}:7:f]")),
        ] {
            assert_eq!(read(&text), Some(full), "{text}");
        }
        for text in ["deadbeef".to_owned(), hash.to_uppercase(), format!("{hash}]")] {
            assert_eq!(read(&text), None, "{text}");
        }
    }
}
