//! Every file operation of a write fails once: whatever happened, no tree is there without what it names, and the next
//! write succeeds.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use taut_digest::{Hash, ObjectType, TreeEntry};
use taut_git::{Kind, ObjectSink, Repository, Result, TreeBuilder, Writer};
use taut_sys::fault;
use tempfile::TempDir;

/// No space left on device.
const ENOSPC: i32 = 28;

/// Writes a tree of so many files and keeps it.
fn write(path: &std::path::Path, count: u32) -> Result<Hash> {
    let writer = Writer::open(path)?;
    let mut batch = writer.batch();
    let mut tree = TreeBuilder::new();
    for n in 0..count {
        let hash = batch.blob(&n.to_le_bytes())?;
        let path = [(n % 3).to_string(), n.to_string()];
        tree.put(&path, TreeEntry { hash, object_type: ObjectType::File })?;
    }
    let tree = tree.write(&mut batch)?;
    batch.finish()?;
    writer.keep(Kind::Tree, &tree)?;
    Ok(tree)
}

#[test]
fn a_write_that_fails_anywhere_leaves_nothing_incomplete() {
    // Loose objects, and a pack.
    for count in [3, 100] {
        let expected = write(&TempDir::new().unwrap().path().join("git"), count).unwrap();
        let mut failures = 0;
        for nth in 1.. {
            let top = TempDir::new().unwrap();
            let path = top.path().join("git");
            fault::fail_nth(nth, ENOSPC);
            let written = write(&path, count);
            let calls = fault::calls();
            fault::fail_nth(0, 0);
            if calls < nth {
                assert_eq!(written, Ok(expected));
                break;
            }
            failures += u32::from(written.is_err());
            if let Err(error) = written {
                assert!(!error.to_string().is_empty());
            }
            let reader = Repository::new(&path);
            if let Ok(Some(_)) = reader.read(&expected) {
                assert!(reader.is_complete(&expected).unwrap(), "{count} files, call {nth}");
            }
            assert_eq!(write(&path, count), Ok(expected), "{count} files, call {nth}");
            reader.forget();
            assert!(reader.is_complete(&expected).unwrap());
            assert!(Writer::open(&path).unwrap().is_kept(&expected).unwrap());
        }
        assert!(failures > 20, "{failures}");
    }
}
