//! Git tree objects: the encoding of a directory in native mode.
//!
//! Format: git's tree object (`gitformat-pack(5)`, `git mktree`): per entry `mode SP name NUL raw-id`,
//! sorted as if directory names ended in `/`.

use std::{cmp::Ordering, collections::BTreeMap, fmt};

use crate::{Hash, ObjectType};

/// One entry of a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TreeEntry {
    /// Names the entry's content.
    pub hash: Hash,
    /// What it is.
    pub object_type: ObjectType,
}

/// Why bytes are not a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TreeError {
    /// The bytes end inside an entry.
    Truncated,
    /// A mode that git does not write.
    UnknownMode(String),
    /// A submodule, where none can be used.
    Submodule(String),
    /// A name that cannot be the name of a directory entry.
    BadName(String),
    /// Two entries of one name.
    Duplicate(String),
    /// An entry behind one that it should precede.
    Unsorted(String),
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TreeError::Truncated => f.write_str("git tree ends inside an entry"),
            TreeError::UnknownMode(mode) => write!(f, "git tree has an entry of mode {mode}"),
            TreeError::Submodule(name) => write!(f, "git tree has a submodule named {}", quoted(name)),
            TreeError::BadName(name) => write!(f, "git tree has an entry named {}", quoted(name)),
            TreeError::Duplicate(name) => write!(f, "git tree has two entries named {}", quoted(name)),
            TreeError::Unsorted(name) => {
                write!(f, "git tree is not sorted: {} is out of place", quoted(name))
            }
        }
    }
}

impl std::error::Error for TreeError {}

/// A name in quotes. Trees from outside may have names with line feeds and escape codes, which would change how the
/// message around them is shown.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.escape_debug())
}

/// Whether `name` can be the name of one directory entry: not empty, not `.` or `..`, no `/`, no NUL.
/// Nothing that fails this may ever be joined to a path.
// Bytes, not text: names in git trees and file systems need not be UTF-8.
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
        // Built once for each entry (`sort_by_cached_key`), not at each comparison.
        name.iter().copied().chain(slash).collect::<Vec<u8>>()
    };
    sorted.sort_by_cached_key(key);
    // Six bytes of mode, a blank, a zero byte, twenty of the id.
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

/// An entry of a git tree, as it is written there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawTreeEntry<'b> {
    /// Its name, which [`validate_entry_name`] accepts.
    pub name: &'b [u8],
    /// The object that it names.
    pub hash: Hash,
    /// The type of that object; `None` for a commit of another repository (a submodule).
    pub object_type: Option<ObjectType>,
}

/// Reads a git tree object whose ids have `hash_len` bytes. Names are validated and unique; entries are sorted as git
/// sorts them.
///
/// # Errors
/// The bytes are truncated or not sorted, or an entry has an unknown mode, a name that [`validate_entry_name`] rejects
/// or the name of another entry.
pub fn parse_git_tree(mut bytes: &[u8], hash_len: usize) -> Result<Vec<RawTreeEntry<'_>>, TreeError> {
    // Borrowed from the bytes, so that reading a large tree copies no names.
    let mut entries: Vec<RawTreeEntry<'_>> = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|&b| b == b' ').ok_or(TreeError::Truncated)?;
        let (mode, rest) = (&bytes[..space], &bytes[space + 1..]);
        let nul = rest.iter().position(|&b| b == 0).ok_or(TreeError::Truncated)?;
        let (name, rest) = (&rest[..nul], &rest[nul + 1..]);
        if rest.len() < hash_len {
            return Err(TreeError::Truncated);
        }
        let object_type = match mode {
            // git writes modes without leading zeros, and of files 100644 and 100755. Others, and `040000`, are in old
            // repositories; git takes such a file for an executable one if its owner may execute it (`canon_mode`).
            [b'1', b'0', b'0', owner @ b'0'..=b'7', b'0'..=b'7', b'0'..=b'7'] => match owner & 1 {
                0 => Some(ObjectType::File),
                _ => Some(ObjectType::Executable),
            },
            b"40000" | b"040000" => Some(ObjectType::Tree),
            b"120000" => Some(ObjectType::Symlink),
            // A commit: the object is in another repository.
            b"160000" => None,
            _ => return Err(TreeError::UnknownMode(text(mode))),
        };
        if !validate_entry_name(name) {
            return Err(TreeError::BadName(text(name)));
        }
        let hash = Hash::from_bytes(&rest[..hash_len]).ok_or(TreeError::Truncated)?;
        let entry = RawTreeEntry { name, hash, object_type };
        if let Some(last) = entries.last() {
            match sort_key(&entry).cmp(sort_key(last)) {
                // Refused, not sorted: git looks entries up by bisection, and the id is that of the bytes as they
                // are.
                Ordering::Less => return Err(TreeError::Unsorted(text(name))),
                Ordering::Equal => return Err(TreeError::Duplicate(text(name))),
                Ordering::Greater => {}
            }
        }
        entries.push(entry);
        bytes = &rest[hash_len..];
    }
    // A file and a directory of one name need not be neighbours.
    let mut names: Vec<&[u8]> = entries.iter().map(|entry| entry.name).collect();
    // `a`, `a.b`, and a directory `a` (sorted as `a/`) are in order, and two of them have one name.
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(TreeError::Duplicate(text(pair[0]))),
        None => Ok(entries),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The bytes by which git orders an entry: directories as if their names ended in `/`.
fn sort_key<'e>(entry: &'e RawTreeEntry<'_>) -> impl Iterator<Item = u8> + 'e {
    let slash = (entry.object_type == Some(ObjectType::Tree)).then_some(b'/');
    entry.name.iter().copied().chain(slash)
}

/// Reads a git tree object as [`parse_git_tree`] does, by name.
///
/// # Errors
/// As for [`parse_git_tree`]; and an entry is a submodule.
pub fn decode_git_tree(bytes: &[u8], hash_len: usize) -> Result<BTreeMap<Vec<u8>, TreeEntry>, TreeError> {
    let with_type = |entry: RawTreeEntry<'_>| {
        let object_type = entry.object_type.ok_or_else(|| TreeError::Submodule(text(entry.name)))?;
        Ok((entry.name.to_vec(), TreeEntry { hash: entry.hash, object_type }))
    };
    parse_git_tree(bytes, hash_len)?.into_iter().map(with_type).collect()
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
    fn entries_must_be_sorted_and_unique() {
        let tree = |entries: &[(&str, &str)]| -> Vec<u8> {
            let entry =
                |(mode, name): &(&str, &str)| format!("{mode} {name}\0aaaaaaaaaaaaaaaaaaaa").into_bytes();
            entries.iter().flat_map(entry).collect()
        };
        let (file, directory) = ("100644", "40000");
        let parse =
            |entries: &[(&str, &str)]| parse_git_tree(&tree(entries), 20).map(|entries| entries.len());
        assert_eq!(parse(&[(file, "a"), (file, "a.b"), (directory, "b"), ("160000", "m")]), Ok(4));
        assert_eq!(parse(&[(file, "b"), (file, "a")]), Err(TreeError::Unsorted("a".to_owned())));
        assert_eq!(parse(&[(directory, "a"), (file, "a.b")]), Err(TreeError::Unsorted("a.b".to_owned())));
        assert_eq!(parse(&[(file, "a"), (file, "a")]), Err(TreeError::Duplicate("a".to_owned())));
        let apart = [(file, "a"), (file, "a.b"), (directory, "a")];
        assert_eq!(parse(&apart), Err(TreeError::Duplicate("a".to_owned())));
        assert!(matches!(parse(&[("777777", "a")]), Err(TreeError::UnknownMode(_))));
        assert!(matches!(parse(&[("100888", "a")]), Err(TreeError::UnknownMode(_))));
        assert_eq!(parse(&[("100600", "a"), ("100664", "b"), ("100775", "c"), ("040000", "d")]), Ok(4));
    }

    #[test]
    fn names_that_could_escape_are_refused() {
        for name in ["", ".", "..", "a/b"] {
            let entries = BTreeMap::from([(name, entry(b"x", ObjectType::File))]);
            assert!(decode_git_tree(&encode_git_tree(&entries), 20).is_err(), "{name}");
        }
        assert_eq!(decode_git_tree(b"100644 a\0short", 20), Err(TreeError::Truncated));
        let submodule = b"160000 m\0aaaaaaaaaaaaaaaaaaaa";
        assert_eq!(decode_git_tree(submodule, 20), Err(TreeError::Submodule("m".to_owned())));
    }
}
