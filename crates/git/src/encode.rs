//! Git's encodings of the objects that are written.
//!
//! Formats: `gitformat-pack(5)`; trees as in `taut_digest::encode_git_tree`, but with submodules.

use taut_digest::{Hash, ObjectType};

/// A name, the object, and its type; `None` for a commit of another repository.
pub(crate) type Entry<'n> = (&'n [u8], Hash, Option<ObjectType>);

/// The tree with these entries, whose names are valid and unique.
pub(crate) fn encode_tree(mut entries: Vec<Entry<'_>>) -> Vec<u8> {
    // Directories sort as if their names ended in `/`. Names differ, so the first difference is at the end of the
    // shorter one or before.
    entries.sort_by(|(a, _, a_type), (b, _, b_type)| {
        let common = a.len().min(b.len());
        let end = |name: &[u8], object_type: &Option<ObjectType>| match name.get(common) {
            Some(byte) => *byte,
            None if *object_type == Some(ObjectType::Tree) => b'/',
            None => 0,
        };
        a[..common].cmp(&b[..common]).then_with(|| end(a, a_type).cmp(&end(b, b_type)))
    });
    let mut out = Vec::with_capacity(entries.iter().map(|(name, ..)| name.len() + 28).sum());
    for (name, hash, object_type) in entries {
        out.extend_from_slice(match object_type {
            Some(ObjectType::File) => b"100644",
            Some(ObjectType::Executable) => b"100755",
            // git writes no leading zero; with one, each tree would have another id.
            Some(ObjectType::Tree) => b"40000",
            Some(ObjectType::Symlink) => b"120000",
            None => b"160000",
        });
        out.push(b' ');
        out.extend_from_slice(name);
        out.push(0);
        out.extend_from_slice(hash.as_bytes());
    }
    out
}
