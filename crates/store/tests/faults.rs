//! A store on a full disk. Faults are injected process-wide, hence a test binary of its own.

use taut_digest::{HashFunction, ObjectType};
use taut_store::Store;

#[test]
fn a_full_disk_leaves_nothing_under_a_final_name() {
    const ENOSPC: i32 = 28;
    for nth in 1.. {
        let root = tempfile::tempdir().unwrap();
        let open = || Store::open(root.path(), HashFunction::GitSha1).unwrap();
        let store = open();
        taut_sys::fault::fail_nth(nth, ENOSPC);
        let result = store.put_blob(b"content", false);
        let calls = taut_sys::fault::calls();
        taut_sys::fault::fail_nth(0, 0);
        if calls < nth {
            break;
        }
        let hash = HashFunction::GitSha1.blob(b"content");
        let again = open();
        if result.is_err() && again.contains(&hash, ObjectType::File).unwrap() {
            assert_eq!(again.read(&hash, ObjectType::File).unwrap().unwrap(), b"content");
        }
        again.put_blob(b"content", false).unwrap();
    }
}
