//! The guarantees of a build root (docs/store.md), one test each.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex},
};

use taut_digest::{Digest, HashFunction, ObjectInfo, ObjectType, TreeEntry};
use taut_proto::{ActionResult, OutputFile};
use taut_service::{Answer, Blob, Cas, Receiver};
use taut_store::{AddMode, Error, GcMode, ObjectServer, Store, gc};
use taut_sys::Dir;
use tempfile::TempDir;

fn root() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn open(root: &TempDir) -> Store {
    open_with(root, HashFunction::GitSha1)
}

fn open_with(root: &TempDir, function: HashFunction) -> Store {
    Store::open(root.path(), function).unwrap()
}

fn object(root: &TempDir, generation: usize, kind: &str, digest: &Digest) -> std::path::PathBuf {
    let hex = digest.hash.to_hex();
    let generation = format!("protocol-dependent/generation-{generation}/git-sha1/{kind}");
    root.path().join(generation).join(&hex[..2]).join(&hex[2..])
}

fn file(digest: Digest) -> ObjectInfo {
    ObjectInfo { digest, object_type: ObjectType::File }
}

fn tree_of(store: &Store, entries: &[(&str, &str)]) -> Digest {
    let entries: BTreeMap<&str, TreeEntry> = entries
        .iter()
        .map(|(name, content)| {
            let hash = store.put_blob(content.as_bytes(), false).unwrap().hash;
            (*name, TreeEntry { hash, object_type: ObjectType::File })
        })
        .collect();
    store.put_tree(&entries).unwrap()
}

#[test]
fn stored_files_are_read_only_and_dated_1970() {
    let root = root();
    let store = open(&root);
    for (executable, kind, mode) in [(false, "casf", 0o444), (true, "casx", 0o555)] {
        let digest = store.put_blob(b"content", executable).unwrap();
        let metadata = fs::metadata(object(&root, 0, kind, &digest)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, mode);
        assert_eq!(metadata.modified().unwrap(), std::time::UNIX_EPOCH);
    }
}

#[test]
fn asking_for_the_other_executable_bit_makes_a_copy() {
    let root = root();
    let store = open(&root);
    let digest = store.put_blob(b"tool", true).unwrap();
    assert!(store.contains(&digest.hash, ObjectType::File).unwrap());
    assert!(object(&root, 0, "casf", &digest).exists());
    assert_eq!(store.read(&digest.hash, ObjectType::File).unwrap().unwrap(), b"tool");
}

#[test]
fn a_damaged_object_is_never_returned() {
    let root = root();
    let store = open(&root);
    let digest = store.put_blob(b"good", false).unwrap();
    let path = object(&root, 0, "casf", &digest);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, b"evil").unwrap();
    assert_eq!(store.read(&digest.hash, ObjectType::File).unwrap(), None);
    store.put_blob(b"good", false).unwrap();
    assert_eq!(store.read(&digest.hash, ObjectType::File).unwrap().unwrap(), b"good");
}

#[test]
fn a_damaged_object_in_both_generations_is_replaced() {
    let root = root();
    let digest = open(&root).put_blob(b"good", false).unwrap();
    gc(root.path(), GcMode::Rotate, || {}).unwrap();
    let store = open(&root);
    assert!(store.contains(&digest.hash, ObjectType::File).unwrap(), "now a link in both");
    let path = object(&root, 1, "casf", &digest);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, b"evil").unwrap();
    assert_eq!(store.read(&digest.hash, ObjectType::File).unwrap(), None);
    store.put_blob(b"good", false).unwrap();
    assert_eq!(store.read(&digest.hash, ObjectType::File).unwrap().unwrap(), b"good");
}

#[test]
fn a_truncated_object_is_replaced_when_its_content_is_added_again() {
    let root = root();
    let digest = open(&root).put_blob(b"good", false).unwrap();
    let path = object(&root, 0, "casf", &digest);
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"").unwrap();
    open(&root).put_blob(b"good", false).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"good");
}

#[test]
fn a_tree_is_stored_only_after_its_children() {
    let root = root();
    let store = open(&root);
    let absent = TreeEntry { hash: HashFunction::GitSha1.blob(b"absent"), object_type: ObjectType::File };
    let result = store.put_tree(&BTreeMap::from([("a", absent)]));
    assert!(matches!(result, Err(Error::Missing(_))));
}

#[test]
fn moved_files_become_the_stored_object_and_copied_ones_stay() {
    let root = root();
    let store = open(&root);
    for (take, stays) in [(AddMode::Copy, true), (AddMode::Move, false)] {
        let path = root.path().join("outside");
        fs::write(&path, format!("{take:?}")).unwrap();
        let dir = Dir::of_user(root.path()).unwrap();
        let digest = store.put_file(dir.at("outside"), false, take).unwrap();
        assert_eq!(path.exists(), stays);
        assert_eq!(fs::read(object(&root, 0, "casf", &digest)).unwrap(), format!("{take:?}").as_bytes());
    }
}

/// With the children, since a tree of compatible mode is a file among others, but is there only with all that is below.
#[test]
fn used_objects_survive_two_collections_and_unused_ones_are_removed() {
    for function in [HashFunction::GitSha1, HashFunction::Sha256] {
        objects_survive_while_they_are_used(function);
    }
}

fn objects_survive_while_they_are_used(function: HashFunction) {
    let root = root();
    let open = |root| open_with(root, function);
    let store = open(&root);
    let (tree, unused) =
        (tree_of(&store, &[("a", "1"), ("b", "2")]), store.put_blob(b"unused", false).unwrap());
    drop(store);
    gc(root.path(), GcMode::Rotate, || {}).unwrap();
    assert!(!root.path().join("protocol-dependent/generation-0").exists());
    assert!(open(&root).contains(&tree.hash, ObjectType::Tree).unwrap());
    gc(root.path(), GcMode::Rotate, || {}).unwrap();
    let store = open(&root);
    assert!(store.contains(&tree.hash, ObjectType::Tree).unwrap());
    for entry in store.read_tree(&tree.hash).unwrap().unwrap().values() {
        assert!(store.read(&entry.hash, ObjectType::File).unwrap().is_some());
    }
    assert!(!store.contains(&unused.hash, ObjectType::File).unwrap());
    drop(store);
    gc(root.path(), GcMode::All, || {}).unwrap();
    let left: Vec<_> = fs::read_dir(root.path().join("protocol-dependent")).unwrap().collect();
    assert_eq!(left.len(), 1, "only the lock is left");
}

#[test]
fn a_cached_action_is_a_hit_only_with_all_its_outputs_and_moves_up_with_them() {
    let root = root();
    let store = open(&root);
    let digest = store.put_blob(b"output", false).unwrap();
    let output =
        OutputFile { path: "out".into(), digest: Some(store.to_wire(&digest, false)), is_executable: false };
    let result = ActionResult { output_files: vec![output], ..Default::default() };
    let action = HashFunction::GitSha1.blob(b"the action");
    store.cache_action(&action, &result).unwrap();
    drop(store);
    for _ in 0..2 {
        gc(root.path(), GcMode::Rotate, || {}).unwrap();
        assert_eq!(open(&root).cached_action(&action).unwrap(), Some(result.clone()));
        assert!(object(&root, 0, "casf", &digest).exists());
    }
    fs::remove_file(object(&root, 0, "casf", &digest)).unwrap();
    gc(root.path(), GcMode::Rotate, || {}).unwrap();
    assert_eq!(open(&root).cached_action(&action).unwrap(), None);
}

#[test]
fn a_good_entry_of_the_older_generation_replaces_a_damaged_one() {
    let root = root();
    let store = open(&root);
    let action = HashFunction::GitSha1.blob(b"the action");
    store.cache_action(&action, &ActionResult::default()).unwrap();
    drop(store);
    let entry = |generation| object(&root, generation, "ac", &Digest { hash: action, size: 0 });
    let spoil: [&dyn Fn(); 2] =
        [&|| fs::write(entry(0), "garbage").unwrap(), &|| fs::create_dir(entry(0)).unwrap()];
    for spoil in spoil {
        gc(root.path(), GcMode::Rotate, || {}).unwrap();
        fs::create_dir_all(entry(0).parent().unwrap()).unwrap();
        spoil();
        assert_eq!(open(&root).cached_action(&action).unwrap(), Some(ActionResult::default()));
        assert_eq!(fs::read(entry(0)).unwrap(), fs::read(entry(1)).unwrap());
    }
}

#[test]
fn large_objects_are_split_by_gc_and_put_together_on_demand() {
    let root = root();
    let content: Vec<u8> =
        (0..4_000_000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[3..].to_vec()).collect();
    let digest = open(&root).put_blob(&content, false).unwrap();
    gc(root.path(), GcMode::NoRotate, || {}).unwrap();
    assert!(!object(&root, 0, "casf", &digest).exists());
    assert!(object(&root, 0, "cas-large-f", &digest).exists());
    assert_eq!(open(&root).read(&digest.hash, ObjectType::File).unwrap().as_deref(), Some(&content[..]));
    gc(root.path(), GcMode::Rotate, || {}).unwrap();
    assert_eq!(open(&root).read(&digest.hash, ObjectType::File).unwrap().as_deref(), Some(&content[..]));
}

/// A tree that is large enough to be split, with one file under all names and another one under the last.
fn large_tree(store: &Store) -> (Digest, Digest) {
    let [many, last] = ["many", "last"].map(|text| store.put_blob(text.as_bytes(), false).unwrap());
    let name = |at: usize| format!("{at:0200}");
    let entry = |digest: &Digest| TreeEntry { hash: digest.hash, object_type: ObjectType::File };
    let entries: BTreeMap<String, TreeEntry> =
        (0..16_000).map(|at| (name(at), entry(if at == 15_999 { &last } else { &many }))).collect();
    (store.put_tree(&entries).unwrap(), last)
}

#[test]
fn a_split_tree_comes_into_the_youngest_generation_only_with_all_that_is_below_it() {
    let root = root();
    let (tree, last) = large_tree(&open(&root));
    gc(root.path(), GcMode::Rotate, || {}).unwrap();
    assert!(object(&root, 1, "cas-large-t", &tree).exists());
    assert!(!object(&root, 1, "cast", &tree).exists());
    fs::remove_file(object(&root, 1, "casf", &last)).unwrap();
    let store = open(&root);
    for _ in 0..2 {
        assert!(!store.contains(&tree.hash, ObjectType::Tree).unwrap());
        assert!(!object(&root, 0, "cast", &tree).exists());
    }
    store.put_blob(b"last", false).unwrap();
    assert!(store.contains(&tree.hash, ObjectType::Tree).unwrap());
    assert!(object(&root, 0, "cast", &tree).exists());
}

#[test]
fn a_split_tree_that_is_discarded_does_not_come_back() {
    let root = root();
    let (tree, last) = large_tree(&open(&root));
    gc(root.path(), GcMode::NoRotate, || {}).unwrap();
    let store = open(&root);
    let info = ObjectInfo { digest: tree, object_type: ObjectType::Tree };
    assert!(store.discard_unsound(&info).unwrap());
    fs::remove_file(object(&root, 0, "casf", &last)).unwrap();
    assert!(!open(&root).discard_unsound(&info).unwrap());
    assert!(!open(&root).contains(&tree.hash, ObjectType::Tree).unwrap());
    // Not even where all of it is there again: it is made anew then.
    open(&root).put_blob(b"last", false).unwrap();
    assert!(!open(&root).contains(&tree.hash, ObjectType::Tree).unwrap());
}

#[test]
fn a_tree_is_found_whose_directories_are_in_different_generations() {
    let root = root();
    let store = open(&root);
    let inner = tree_of(&store, &[("f", "content")]);
    let entry = TreeEntry { hash: inner.hash, object_type: ObjectType::Tree };
    let outer = store.put_tree(&BTreeMap::from([("d", entry)])).unwrap();
    drop(store);
    gc(root.path(), GcMode::Rotate, || {}).unwrap();
    // The older one is lost; another process makes it anew.
    fs::remove_file(object(&root, 1, "cast", &inner)).unwrap();
    assert_eq!(tree_of(&open(&root), &[("f", "content")]), inner);
    assert!(open(&root).contains(&outer.hash, ObjectType::Tree).unwrap());
    assert!(object(&root, 0, "cast", &outer).exists());
}

fn install(store: &Store, object: &ObjectInfo, out: &Path, name: &str) {
    store.installer(&Dir::of_user(out).unwrap()).install(object, name).unwrap();
}

#[test]
fn installing_never_leaves_the_directory() {
    let root = root();
    let store = open(&root);
    let digest = store.put_blob(b"payload", false).unwrap();
    let outside = tempfile::tempdir().unwrap();
    let out = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), out.path().join("link")).unwrap();
    let absolute = outside.path().join("x").display().to_string();
    for name in ["../x", "a/../../x", &absolute, "link/x", "", "."] {
        let result = store.installer(&Dir::of_user(out.path()).unwrap()).install(&file(digest), name);
        assert!(matches!(result, Err(Error::Refused { .. })), "{name:?}");
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    // By the text alone: what is there under the name before `..` does not matter.
    install(&store, &file(digest), out.path(), "link/../x");
    install(&store, &file(digest), out.path(), "a/../b/../c/./d");
    assert_eq!(fs::read(out.path().join("x")).unwrap(), b"payload");
    assert_eq!(fs::read(out.path().join("c/d")).unwrap(), b"payload");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn installing_replaces_wrong_files_and_keeps_right_ones() {
    let root = root();
    let store = open(&root);
    let digest = store.put_blob(b"new", false).unwrap();
    let out = tempfile::tempdir().unwrap();
    let victim = out.path().join("victim");
    fs::write(&victim, "old").unwrap();
    std::os::unix::fs::symlink(&victim, out.path().join("d")).unwrap();
    install(&store, &file(digest), out.path(), "d");
    assert_eq!(fs::read(&victim).unwrap(), b"old", "the link is replaced, not followed");
    let installed = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::symlink_metadata(path).unwrap());
    let before = installed(&out.path().join("d"));
    install(&store, &file(digest), out.path(), "d");
    assert_eq!(installed(&out.path().join("d")), before);
    let tree = ObjectInfo { digest: tree_of(&store, &[("a", "1")]), object_type: ObjectType::Tree };
    install(&store, &tree, out.path(), "x/./t");
    assert_eq!(fs::read(out.path().join("x/t/a")).unwrap(), b"1");
}

#[test]
fn a_checked_out_file_is_never_a_name_of_the_stored_one() {
    let root = root();
    let store = open(&root);
    let digest = store.put_blob(b"input", false).unwrap();
    let staged = root.path().join("staged");
    let dir = Dir::of_user(root.path()).unwrap();
    store.stage(&digest.hash, ObjectType::File, dir.at("staged")).unwrap();
    fs::set_permissions(&staged, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&staged, b"edited").unwrap();
    assert_eq!(store.read(&digest.hash, ObjectType::File).unwrap().unwrap(), b"input");
}

#[test]
fn files_of_an_epoch_are_removed_with_its_generation() {
    let root = root();
    let kept = || open(&root).epoch_directory("kind").unwrap();
    let leave = |name: &str| {
        fs::write(kept().dir().path().join(name), name).unwrap();
    };
    leave("used");
    leave("unused");
    assert!(kept().older().is_none() && !kept().move_up("used").unwrap());
    for _ in 0..3 {
        gc(root.path(), GcMode::Rotate, || {}).unwrap();
        assert!(!kept().dir().path().join("used").exists());
        assert!(kept().move_up("used").unwrap());
        assert!(!kept().move_up("used").unwrap() && !kept().move_up("never there").unwrap());
        assert_eq!(fs::read(kept().dir().path().join("used")).unwrap(), b"used");
        gc(root.path(), GcMode::NoRotate, || {}).unwrap();
        assert!(!kept().move_up("used").unwrap(), "the generations were not rotated");
    }
    assert!(!kept().move_up("unused").unwrap());
    let own = root.path().join("taut");
    assert_eq!(fs::read_dir(&own).unwrap().count(), 2);
    // Another tool that removes the generations does not remove the epoch directories.
    for generation in [0, 1] {
        fs::remove_dir_all(root.path().join(format!("protocol-dependent/generation-{generation}"))).unwrap();
    }
    assert!(kept().older().is_none() && !kept().move_up("used").unwrap());
    assert_eq!(fs::read_dir(&own).unwrap().count(), 1);
}

#[test]
fn an_incomplete_tree_is_discarded_and_a_sound_one_is_kept() {
    let root = root();
    let store = open(&root);
    let trees: Vec<Digest> = ["lost", "damaged", "sound"].map(|text| tree_of(&store, &[("f", text)])).into();
    let outer = |below: &Digest| {
        let entry = TreeEntry { hash: below.hash, object_type: ObjectType::Tree };
        store.put_tree(&BTreeMap::from([("d", entry)])).unwrap()
    };
    let outers: Vec<Digest> = trees.iter().map(outer).collect();
    let blob = |text: &str| object(&root, 0, "casf", &store.put_blob(text.as_bytes(), false).unwrap());
    fs::remove_file(blob("lost")).unwrap();
    let path = blob("damaged");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, "DAMAGED").unwrap();
    for store in [&store, &open(&root)] {
        for (at, outer) in outers.iter().enumerate() {
            let tree = ObjectInfo { digest: *outer, object_type: ObjectType::Tree };
            assert_eq!(store.discard_unsound(&tree).unwrap(), at == 2);
            for digest in [outer, &trees[at]] {
                assert_eq!(store.contains(&digest.hash, ObjectType::Tree).unwrap(), at == 2);
            }
        }
    }
}

#[test]
fn a_damaged_file_is_not_copied_for_the_other_executable_bit() {
    let root = root();
    let digest = open(&root).put_blob(b"good", false).unwrap();
    let path = object(&root, 0, "casf", &digest);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, b"evil").unwrap();
    assert!(!open(&root).contains(&digest.hash, ObjectType::Executable).unwrap());
    assert!(!path.exists());
}

#[test]
fn a_directory_in_the_place_of_an_object_is_no_object() {
    let root = root();
    let digest = open(&root).put_blob(b"good", false).unwrap();
    let path = object(&root, 0, "casf", &digest);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let store = open(&root);
    assert!(!store.contains(&digest.hash, ObjectType::File).unwrap());
    store.put_blob(b"good", false).unwrap();
    assert_eq!(store.read(&digest.hash, ObjectType::File).unwrap().unwrap(), b"good");
}

#[test]
fn temporary_files_of_a_killed_installation_are_removed_by_the_next_one_and_by_gc() {
    let root = root();
    let store = open(&root);
    let digest = store.put_blob(b"new", false).unwrap();
    let out = tempfile::tempdir().unwrap();
    let notes = root.path().join("taut/installing");
    fs::create_dir_all(&notes).unwrap();
    let note = |name: &str, prefix: &str| {
        fs::write(notes.join(name), format!("{}\0{prefix}", out.path().display())).unwrap();
    };
    let leave =
        |names: &[&str]| names.iter().for_each(|name| fs::write(out.path().join(name), "half").unwrap());
    let names = || -> Vec<String> {
        let entries = fs::read_dir(out.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    // One process is dead, one is alive, and two notes are malformed.
    note("dead", ".taut-tmp-dead-");
    note("alive", ".taut-tmp-alive-");
    note("nonsense", "");
    fs::write(notes.join("empty"), "").unwrap();
    let alive = Dir::of_user(&notes).unwrap();
    let lock = taut_sys::Lock::exclusive(alive.at("alive"), || {}).unwrap();
    leave(&[".taut-tmp-dead-1", ".taut-tmp-alive-1", ".taut-tmp-other-1", "mine"]);
    install(&store, &file(digest), out.path(), "installed");
    assert_eq!(names(), [".taut-tmp-alive-1", ".taut-tmp-other-1", "installed", "mine"]);
    drop((lock, store));
    gc(root.path(), GcMode::Rotate, || {}).unwrap();
    assert_eq!(names(), [".taut-tmp-other-1", "installed", "mine"]);
    assert_eq!(fs::read_dir(&notes).unwrap().count(), 0);
}

#[test]
fn a_build_root_is_a_service_like_others() {
    for function in [HashFunction::GitSha1, HashFunction::Sha256] {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), function).unwrap();
        taut_testkit::services::check(&store);
        // Nothing half-written is left of what was refused.
        let left = std::fs::read_dir(root.path().join("protocol-dependent/generation-0/ephemeral")).unwrap();
        assert_eq!(left.count(), 0);
    }
}

/// The values are those of justbuild 1.6.5.
#[test]
fn in_compatible_mode_directories_are_messages() {
    let root = root();
    let store = open_with(&root, HashFunction::Sha256);
    let entry = |hash, object_type| TreeEntry { hash, object_type };
    let target = store.put_blob(b"a", false).unwrap();
    let inner = store.put_blob(b"q\n", false).unwrap();
    let below = store.put_tree(&BTreeMap::from([("q", entry(inner.hash, ObjectType::File))])).unwrap();
    let entries = BTreeMap::from([
        ("a", entry(below.hash, ObjectType::Tree)),
        ("l", entry(target.hash, ObjectType::Symlink)),
    ]);
    let tree = store.put_tree(&entries).unwrap();
    assert_eq!(
        (tree.hash.to_hex().as_str(), tree.size),
        ("3bb1cdf6be063fa45915052f272b9953f04228b0a32ae7c774a058891e596ac8", 83)
    );
    let read = store.read_tree(&tree.hash).unwrap().unwrap();
    assert!(read.iter().map(|(name, entry)| (std::str::from_utf8(name).unwrap(), *entry)).eq(entries));
    // A tree without something below it is not added.
    let absent = entry(HashFunction::Sha256.blob(b"absent"), ObjectType::File);
    assert!(matches!(store.put_tree(&BTreeMap::from([("f", absent)])), Err(Error::Missing(_))));
}

#[test]
fn malformed_directories_are_refused() {
    let root = root();
    let store = open_with(&root, HashFunction::Sha256);
    let inner = store.put_blob(b"content", false).unwrap();
    let whole = BTreeMap::from([
        ("f", TreeEntry { hash: inner.hash, object_type: ObjectType::File }),
        ("x", TreeEntry { hash: inner.hash, object_type: ObjectType::Executable }),
        ("l", TreeEntry { hash: inner.hash, object_type: ObjectType::Symlink }),
    ]);
    let whole = store.put_tree(&whole).unwrap();
    let bytes = store.read(&whole.hash, ObjectType::File).unwrap().unwrap();
    let (mut good, mut refused) = (0, 0);
    for at in 0..bytes.len() {
        for change in [0x01, 0x20, 0x80] {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            let hash = store.put_blob(&changed, false).unwrap().hash;
            match store.read_tree(&hash) {
                Ok(Some(entries)) => {
                    good += 1;
                    assert!(entries.keys().all(|name| taut_digest::validate_entry_name(name)));
                }
                Err(Error::Unusable { .. }) => refused += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(good > 0 && refused > 0, "{good} {refused}");
}

/// A server that notes what counts as fetched while a blob comes.
struct Observed {
    store: Store,
    content: Vec<u8>,
    seen: Mutex<Vec<u64>>,
}

impl Cas for Observed {
    fn hash_function(&self) -> HashFunction {
        HashFunction::GitSha1
    }

    fn missing(&self, _: Vec<Digest>) -> Answer<'_, Vec<Digest>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn get(&self, wanted: Vec<(Digest, Arc<dyn Receiver>)>) -> Answer<'_, Vec<taut_service::Result<()>>> {
        let see = || self.seen.lock().unwrap().push(self.store.fetched_so_far());
        let (half, rest) = self.content.split_at(self.content.len() / 2);
        for (_, receiver) in &wanted {
            see();
            receiver.begin().unwrap();
            receiver.piece(half).unwrap();
            see();
            // As after a blob that was wrong.
            receiver.begin().unwrap();
            see();
            receiver.piece(half).unwrap();
            receiver.piece(rest).unwrap();
            see();
        }
        Box::pin(async move { Ok(wanted.iter().map(|_| Ok(())).collect()) })
    }

    fn put(&self, _: Vec<Blob>) -> Answer<'_, Vec<taut_service::Result<()>>> {
        unreachable!("nothing is sent")
    }
}

#[test]
fn bytes_count_as_fetched_while_they_come() {
    let root = root();
    let store = open(&root);
    let content = b"twelve bytes".to_vec();
    let digest = Digest { hash: HashFunction::GitSha1.blob(&content), size: 12 };
    let server = Arc::new(Observed { store: store.clone(), content, seen: Mutex::default() });
    let (id, name) = ("server".to_owned(), "server".to_owned());
    store.attach(vec![ObjectServer { id, name, cas: server.clone() }]).unwrap();
    store.note_at_server(0, true, [file(digest)]);
    store.bring(&[file(digest)]).unwrap();
    assert_eq!(*server.seen.lock().unwrap(), [0, 6, 0, 12]);
    // Once, and no longer when they were reported.
    assert_eq!((store.fetched_so_far(), store.take_fetched_bytes(), store.fetched_so_far()), (12, 12, 0));
}
