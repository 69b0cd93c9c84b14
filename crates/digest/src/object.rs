//! What names one stored object: its digest and its type.

use std::{fmt, str::FromStr};

use crate::Hash;

/// Content hash and size, REAPI's `Digest`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Digest {
    /// The content's hash.
    pub hash: Hash,
    /// The content's size in bytes; for a tree, of its encoding.
    pub size: u64,
}

/// What kind of thing an object is when it is put into a directory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
// A link is a type, not a kind of file: in a tree it has a mode of its own, in the CAS it is a plain blob.
pub enum ObjectType {
    /// A regular file, `f`.
    File,
    /// A regular file with the executable bits set, `x`.
    Executable,
    /// A directory, `t`.
    Tree,
    /// A symbolic link, whose content is its target, `l`.
    Symlink,
}

impl ObjectType {
    /// The letter that represents the type in identifiers.
    pub fn letter(self) -> char {
        match self {
            ObjectType::File => 'f',
            ObjectType::Executable => 'x',
            ObjectType::Tree => 't',
            ObjectType::Symlink => 'l',
        }
    }

    /// The letter as text.
    pub fn as_str(self) -> &'static str {
        match self {
            ObjectType::File => "f",
            ObjectType::Executable => "x",
            ObjectType::Tree => "t",
            ObjectType::Symlink => "l",
        }
    }

    /// The type for a letter.
    pub fn from_letter(letter: char) -> Option<Self> {
        Some(match letter {
            'f' => ObjectType::File,
            'x' => ObjectType::Executable,
            't' => ObjectType::Tree,
            'l' => ObjectType::Symlink,
            _ => return None,
        })
    }
}

/// An object that can be put into a directory: digest and type. Prints as `[hash:size:type]`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectInfo {
    /// Names the content.
    pub digest: Digest,
    /// What it is.
    pub object_type: ObjectType,
}

impl fmt::Display for ObjectInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}:{}:{}]", self.digest.hash, self.digest.size, self.object_type.letter())
    }
}

impl fmt::Debug for ObjectInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ObjectInfo {
    type Err = ParseObjectInfoError;

    /// Reads the strict form `[hash:size:type]`, as target-cache entries contain it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        // No part may contain a colon, so splitting is enough.
        let mut parts = inner.ok_or(ParseObjectInfoError)?.split(':');
        let (Some(hash), Some(size), Some(letter), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ParseObjectInfoError);
        };
        let hash = Hash::from_hex(hash).map_err(|_| ParseObjectInfoError)?;
        let size = size.parse().map_err(|_| ParseObjectInfoError)?;
        let mut letters = letter.chars();
        let object_type = letters.next().and_then(ObjectType::from_letter);
        match (object_type, letters.next()) {
            (Some(object_type), None) => Ok(ObjectInfo { digest: Digest { hash, size }, object_type }),
            _ => Err(ParseObjectInfoError),
        }
    }
}

/// The text is not of the form `[hash:size:type]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
// Without a reason: the text is written by programs, and a wrong one counts as damaged.
pub struct ParseObjectInfoError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_print_and_parse() {
        let text = "[4e3dffe834ac70600a7cb71fbc1f6a694c9d041f:12:f]";
        let info: ObjectInfo = text.parse().unwrap();
        assert_eq!(info.to_string(), text);
        for bad in ["", "[]", "[4e:1:f]", "[4e3dffe834ac70600a7cb71fbc1f6a694c9d041f:12:q]"] {
            assert!(bad.parse::<ObjectInfo>().is_err(), "{bad}");
        }
    }
}
