//! Finding objects: by identifier, and by path below a tree.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use taut_digest::{Digest, Hash, HashFunction, ObjectInfo, ObjectType};
use taut_store::{Error, Store};
use taut_value::JsonWriter;
use taut_value::path::normal_path;

/// Reads an object identifier as users type it: brackets, size and type may be missing, only the
/// first letter of the type counts, and without a known one it is a file. None if the hash is no hash.
pub fn parse_object_id(text: &str) -> Option<ObjectInfo> {
    let text = text.strip_prefix('[').unwrap_or(text);
    let mut parts = text.splitn(3, ':');
    let hash = parts.next().filter(|hash| !hash.contains(|c: char| c.is_ascii_uppercase()))?;
    let hash = Hash::from_hex(hash).ok()?;
    let size = parts.next().and_then(|size| size.parse().ok()).unwrap_or(0);
    let letter = parts.next().and_then(|word| word.chars().next());
    let object_type = letter.and_then(ObjectType::from_letter).unwrap_or(ObjectType::File);
    Some(ObjectInfo { digest: Digest { hash, size }, object_type })
}

/// What was found on the way down a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The last object on the way: what lies at the path, if the way does not end before.
    pub object: ObjectInfo,
    /// Why the way ends before, if it does; a sentence.
    pub ends: Option<String>,
}

/// Follows a path below an object. The path is normalised first and taken as one from the object, so that "/a" is
/// "a"; "." is no entry of anything, hence the way ends where it begins.
///
/// # Errors
///
/// If the store cannot be read, or a tree on the way is missing or damaged.
pub fn below(store: &Store, object: ObjectInfo, path: &str) -> Result<Found, Error> {
    let mut here = object;
    let mut way = PathBuf::new();
    let path = normal_path(path);
    for name in path.trim_start_matches('/').split('/') {
        let name = Path::new(if name.is_empty() { "." } else { name });
        let ends = |text: String| Ok(Found { object: here, ends: Some(text) });
        if here.object_type != ObjectType::Tree {
            return ends(format!(
                "Non-tree found at path '{}', cannot follow to '{}'",
                way.display(),
                name.display()
            ));
        }
        let entries = store.read_tree(&here.digest.hash)?.ok_or(Error::Missing(here))?;
        let Some(entry) = entries.get(name.as_os_str().as_encoded_bytes()) else {
            return ends(format!("Entry {} not found at path '{}'", name.display(), way.display()));
        };
        // Entries of trees have no sizes.
        let digest = Digest { hash: entry.hash, size: 0 };
        here = ObjectInfo { digest, object_type: entry.object_type };
        way.push(name);
    }
    Ok(Found { object: here, ends: None })
}

/// A tree to be read by users: JSON, name to identifier; without sizes, which git's trees do not have, but in compatible mode.
///
/// # Errors
///
/// If the tree is missing, damaged or unreadable.
pub fn listing(store: &Store, tree: ObjectInfo) -> Result<String, Error> {
    let entries = store.read_tree(&tree.digest.hash)?.ok_or(Error::Missing(tree))?;
    let mut sizes = BTreeMap::new();
    if store.hash_function() == HashFunction::Sha256 {
        for (name, entry) in &entries {
            let size = store.size(&entry.hash, entry.object_type)?;
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
