//! Archives that are read into trees.

use std::{io::Cursor, path::Path};

use taut_archive::{Kind, Limits, read};
use taut_digest::{Hash, parse_git_tree};
use taut_git::{HashOnly, ObjectSink, Result};

/// A sink that parses the trees that it is given.
struct Checked;

impl ObjectSink for Checked {
    fn blob(&mut self, content: &[u8]) -> Result<Hash> {
        HashOnly.blob(content)
    }

    fn blob_from(&mut self, size: u64, content: &mut dyn std::io::Read) -> Result<Hash> {
        HashOnly.blob_from(size, content)
    }

    fn tree(&mut self, encoded: &[u8]) -> Result<Hash> {
        parse_git_tree(encoded, 20).expect("a tree that git accepts");
        HashOnly.tree(encoded)
    }
}

/// Any bytes are an archive with valid trees, the same each time, or are refused with a reason.
pub(crate) fn archive(bytes: &[u8]) {
    // Low, so that a few bytes that would unpack to very many are refused quickly.
    let limits = Limits { bytes: 4 << 20, ..Limits::default() };
    for kind in [Kind::Tar, Kind::Zip] {
        let unpack = || read(&mut Cursor::new(bytes), kind, &limits, &mut Checked);
        match unpack() {
            // Unpacked twice: the result must not depend on the order of a hash table.
            Ok(unpacked) => assert_eq!(unpack(), Ok(unpacked)),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// The archives of the tests of `archive`.
pub(crate) fn archives() -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../archive/tests/golden");
    let mut files: Vec<_> =
        std::fs::read_dir(directory).expect("archives").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("an archive")).collect()
}
