//! Git tree objects: the encoding of a directory in native mode.
//!
//! Format: git's tree object (`gitformat-pack(5)`, `git mktree`): per entry `mode SP name NUL raw-id`,
//! sorted as if directory names ended in `/`.

use std::{collections::BTreeMap, fmt};

use crate::{Hash, ObjectType};

/// One entry of a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TreeEntry {
    /// Names the entry's content.
    pub hash: Hash,
    /// What it is.
    pub object_type: ObjectType,
}

/// Why bytes are no tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TreeError {
    /// The bytes end inside an entry.
    Truncated,
    /// A mode taut does not know, for instance a submodule.
    UnknownMode(String),
    /// A name that cannot be the name of a directory entry.
    BadName(String),
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TreeError::Truncated => f.write_str("git tree ends inside an entry"),
            TreeError::UnknownMode(mode) => write!(f, "git tree has an entry of mode {mode}"),
            TreeError::BadName(name) => write!(f, "git tree has an entry named {name:?}"),
        }
    }
}

impl std::error::Error for TreeError {}

/// Whether `name` can be the name of one directory entry: not empty, not `.` or `..`, no `/`, no NUL.
/// Nothing that fails this may ever be joined to a path.
pub fn validate_entry_name(name: &[u8]) -> bool {
    !name.is_empty() && name != b"." && name != b".." && !name.contains(&b'/') && !name.contains(&0)
}

/// Encodes a directory as a git tree object. Keys are entry names, which the caller has validated.
pub fn encode_git_tree<N: AsRef<[u8]>>(entries: &BTreeMap<N, TreeEntry>) -> Vec<u8> {
    let mut sorted: Vec<(&[u8], &TreeEntry)> =
        entries.iter().map(|(name, entry)| (name.as_ref(), entry)).collect();
    // git compares directory names as if they ended in `/` (`base_name_compare` in its sources); with plain order the
    // id of a tree that has `a` and `a.b` would differ.
    let key = |(name, entry): &(&[u8], &TreeEntry)| {
        let slash = (entry.object_type == ObjectType::Tree).then_some(b'/');
        name.iter().copied().chain(slash).collect::<Vec<u8>>()
    };
    sorted.sort_by_cached_key(key);
    let mut out = Vec::with_capacity(sorted.iter().map(|(name, _)| name.len() + 28).sum());
    for (name, entry) in sorted {
        out.extend_from_slice(match entry.object_type {
            ObjectType::File => b"100644",
            ObjectType::Executable => b"100755",
            ObjectType::Tree => b"40000",
            ObjectType::Symlink => b"120000",
        });
        out.push(b' ');
        out.extend_from_slice(name);
        out.push(0);
        out.extend_from_slice(entry.hash.as_bytes());
    }
    out
}

/// Reads a git tree object whose ids have `hash_len` bytes. Names are validated; the order
/// of the entries is not checked.
///
/// # Errors
/// The bytes are truncated, or an entry has an unknown mode or a name that [`validate_entry_name`] rejects.
pub fn decode_git_tree(mut bytes: &[u8], hash_len: usize) -> Result<BTreeMap<Vec<u8>, TreeEntry>, TreeError> {
    let mut entries = BTreeMap::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|&b| b == b' ').ok_or(TreeError::Truncated)?;
        let (mode, rest) = (&bytes[..space], &bytes[space + 1..]);
        let nul = rest.iter().position(|&b| b == 0).ok_or(TreeError::Truncated)?;
        let (name, rest) = (&rest[..nul], &rest[nul + 1..]);
        if rest.len() < hash_len {
            return Err(TreeError::Truncated);
        }
        let object_type = match mode {
            // git writes modes without leading zeros, and none but these; `100664` and `040000` are in old
            // repositories.
            b"100644" | b"100664" => ObjectType::File,
            b"100755" => ObjectType::Executable,
            b"40000" | b"040000" => ObjectType::Tree,
            b"120000" => ObjectType::Symlink,
            _ => return Err(TreeError::UnknownMode(String::from_utf8_lossy(mode).into_owned())),
        };
        if !validate_entry_name(name) {
            return Err(TreeError::BadName(String::from_utf8_lossy(name).into_owned()));
        }
        let hash = Hash::from_bytes(&rest[..hash_len]).ok_or(TreeError::Truncated)?;
        entries.insert(name.to_vec(), TreeEntry { hash, object_type });
        bytes = &rest[hash_len..];
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HashFunction;

    fn entry(content: &[u8], object_type: ObjectType) -> TreeEntry {
        TreeEntry { hash: HashFunction::GitSha1.blob(content), object_type }
    }

    #[test]
    fn directories_sort_as_if_their_name_ended_in_a_slash() {
        let empty = TreeEntry { hash: HashFunction::GitSha1.tree(b""), object_type: ObjectType::Tree };
        let entries = BTreeMap::from([
            ("a", empty),
            ("a.b", entry(b"x", ObjectType::File)),
            ("a0", entry(b"y", ObjectType::Executable)),
            ("l", entry(b"a.b", ObjectType::Symlink)),
        ]);
        let encoded = encode_git_tree(&entries);
        let text = String::from_utf8_lossy(&encoded);
        assert!(text.find("a.b").unwrap() < text.find("40000 a\0").unwrap());
        let decoded = decode_git_tree(&encoded, 20).unwrap();
        assert_eq!(decoded.len(), 4);
        assert_eq!(decoded[&b"a"[..]], empty);
    }

    #[test]
    fn names_that_could_escape_are_refused() {
        for name in ["", ".", "..", "a/b"] {
            let entries = BTreeMap::from([(name, entry(b"x", ObjectType::File))]);
            assert!(decode_git_tree(&encode_git_tree(&entries), 20).is_err(), "{name}");
        }
        assert_eq!(decode_git_tree(b"100644 a\0short", 20), Err(TreeError::Truncated));
        let submodule = b"160000 m\0aaaaaaaaaaaaaaaaaaaa";
        assert!(matches!(decode_git_tree(submodule, 20), Err(TreeError::UnknownMode(_))));
    }
}
