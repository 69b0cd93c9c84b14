//! The target-level cache of a build root: entries are complete, and move up with all that they refer to. The texts
//! here are simple ones, since the store does not know those of results: a line `o OBJECT` or `i KEY` for each
//! reference.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use taut_digest::{Hash, HashFunction, ObjectInfo, ObjectType, TreeEntry};
use taut_store::{Error, Formats, GcMode, Lookup, References, Store, TargetCache, gc};
use tempfile::TempDir;

fn read(text: &[u8]) -> Option<References> {
    let mut references = References::default();
    for line in std::str::from_utf8(text).ok()?.lines() {
        match line.split_once(' ')? {
            ("o", object) => references.objects.push(object.parse().ok()?),
            ("i", key) => references.implied.push(Hash::from_hex(key).ok()?),
            _ => return None,
        }
    }
    Some(references)
}

/// The file with this content is what the key `of CONTENT` refers to.
fn read_key(text: &[u8]) -> Option<Hash> {
    Some(hash(std::str::from_utf8(text).ok()?.strip_prefix("of ")?))
}

const FORMATS: Formats = Formats { result: read, key: read_key };

struct Root(TempDir);

impl Root {
    fn new() -> Root {
        Root(tempfile::tempdir().unwrap())
    }

    fn store(&self) -> Store {
        Store::open(self.0.path(), HashFunction::GitSha1).unwrap()
    }

    fn cache(&self) -> TargetCache {
        TargetCache::new(&self.store(), "here".to_owned(), FORMATS)
    }

    fn entry(&self, generation: usize, key: &str) -> PathBuf {
        let (shard, hex) = (hash("here").to_hex(), hash(key).to_hex());
        let below = format!("protocol-dependent/generation-{generation}/git-sha1/tc/{shard}");
        self.0.path().join(below).join(&hex[..2]).join(&hex[2..])
    }

    fn lookup(&self, key: &str) -> Lookup {
        self.cache().lookup(&hash(key)).unwrap()
    }

    fn collect(&self) {
        gc(self.0.path(), GcMode::Rotate, || {}).unwrap();
    }
}

fn hash(text: &str) -> Hash {
    HashFunction::GitSha1.blob(text.as_bytes())
}

fn object(store: &Store, content: &str) -> ObjectInfo {
    let digest = store.put_blob(content.as_bytes(), false).unwrap();
    ObjectInfo { digest, object_type: ObjectType::File }
}

#[test]
fn an_entry_names_its_text_and_key_and_shard_are_objects() {
    let root = Root::new();
    let cache = root.cache();
    assert_eq!(root.lookup("key"), Lookup::Absent);
    let value = cache.put("key", None, &format!("o {}\n", object(&root.store(), "x"))).unwrap();
    assert_eq!(root.lookup("key"), Lookup::Entry(value));
    assert_eq!(fs::read_to_string(root.entry(0, "key")).unwrap(), value.to_string());
    for text in ["key", "here"] {
        assert_eq!(root.store().read(&hash(text), ObjectType::File).unwrap().unwrap(), text.as_bytes());
    }
    // Another shard has other entries.
    let elsewhere = TargetCache::new(&root.store(), "elsewhere".to_owned(), FORMATS);
    assert_eq!(elsewhere.lookup(&hash("key")).unwrap(), Lookup::Absent);
    // An entry is replaced.
    let other = cache.put("key", None, "").unwrap();
    assert_ne!(other, value);
    assert_eq!(root.lookup("key"), Lookup::Entry(other));
}

#[test]
fn the_texts_that_say_what_an_entry_is_for_move_up_with_it() {
    let root = Root::new();
    root.cache().put("of below", Some("below"), "").unwrap();
    let implies = format!("i {}\n", hash("of below").to_hex());
    root.cache().put("of top", Some("top"), &implies).unwrap();
    let texts = ["here", "of top", "top", "of below", "below"];
    for _ in 0..3 {
        root.collect();
        assert!(matches!(root.lookup("of top"), Lookup::Entry(_)));
    }
    // Of what was used after the last collection, this one removes nothing.
    root.collect();
    for text in texts {
        let file = root.store().read(&hash(text), ObjectType::File).unwrap();
        assert_eq!(file.as_deref(), Some(text.as_bytes()), "{text}");
    }
    // An entry is found without them.
    let root = Root::new();
    root.cache().put("of top", None, "").unwrap();
    root.collect();
    assert!(matches!(root.lookup("of top"), Lookup::Entry(_)));
}

#[test]
fn what_an_entry_refers_to_has_to_be_there_first() {
    let root = Root::new();
    let cache = root.cache();
    let missing = |text: &str| matches!(cache.put("key", None, text), Err(Error::Missing(_)));
    assert!(missing("o [4e3dffe834ac70600a7cb71fbc1f6a694c9d041f:12:f]\n"));
    let below = format!("i {}\n", hash("below").to_hex());
    assert!(missing(&below));
    assert!(matches!(cache.put("key", None, "garbage"), Err(Error::Refused { .. })));
    assert!(!root.entry(0, "key").exists());
    cache.put("below", None, "").unwrap();
    // Its own key may be among those that it implies.
    let own = format!("{below}i {}\n", hash("key").to_hex());
    assert!(cache.put("key", None, &own).is_ok());
}

#[test]
fn entries_move_up_with_all_that_they_refer_to() {
    let root = Root::new();
    let (store, cache) = (root.store(), root.cache());
    let leaf = object(&store, "in a tree");
    let entries = [("f", TreeEntry { hash: leaf.digest.hash, object_type: ObjectType::File })];
    let tree = store.put_tree(&entries.into_iter().collect()).unwrap();
    let tree = ObjectInfo { digest: tree, object_type: ObjectType::Tree };
    // A chain of so many that no recursion would survive it.
    const LENGTH: usize = 5_000;
    cache.put("0", None, &format!("o {tree}\n")).unwrap();
    for number in 1..LENGTH {
        cache
            .put(&number.to_string(), None, &format!("i {}\n", hash(&(number - 1).to_string()).to_hex()))
            .unwrap();
    }
    drop((store, cache));
    root.collect();
    let top = (LENGTH - 1).to_string();
    assert!(matches!(root.lookup(&top), Lookup::Entry(_)));
    for number in ["0", "1", &top] {
        assert!(root.entry(0, number).exists());
    }
    root.collect();
    assert!(matches!(root.lookup("0"), Lookup::Entry(_)));
    assert_eq!(root.store().read(&leaf.digest.hash, ObjectType::File).unwrap().unwrap(), b"in a tree");
    // One that lacks something anywhere below is absent, and is not brought up.
    fs::remove_file(root.entry(1, "7")).unwrap();
    assert_eq!(root.lookup(&top), Lookup::Absent);
    assert!(!root.entry(0, &top).exists());
    assert!(matches!(root.lookup("6"), Lookup::Entry(_)));
}

#[test]
fn entries_that_imply_each_other_end() {
    let root = Root::new();
    let cache = root.cache();
    let implies = |key: &str| format!("i {}\n", hash(key).to_hex());
    cache.put("a", None, "").unwrap();
    cache.put("b", None, &implies("a")).unwrap();
    cache.put("a", None, &implies("b")).unwrap();
    drop(cache);
    root.collect();
    assert!(matches!(root.lookup("a"), Lookup::Entry(_)));
    assert!(root.entry(0, "a").exists() && root.entry(0, "b").exists());
    assert!(!root.cache().remove_incomplete(&hash("a")).unwrap());
}

#[test]
fn what_is_no_entry_is_damaged_until_it_is_replaced() {
    let root = Root::new();
    let cache = root.cache();
    cache.put("key", None, "").unwrap();
    let place = root.entry(0, "key");
    let spoil: [&dyn Fn(); 4] = [
        &|| fs::write(&place, "[4e3dffe834ac70600a7cb71fbc1f6a694c9d041f:12:x]").unwrap(),
        &|| fs::write(&place, "garbage").unwrap(),
        &|| fs::create_dir(&place).unwrap(),
        &|| symlink("elsewhere", &place).unwrap(),
    ];
    for spoil in spoil {
        fs::remove_file(&place).unwrap();
        spoil();
        assert!(matches!(root.lookup("key"), Lookup::Damaged(_)));
        cache.put("key", None, "").unwrap();
        assert!(matches!(root.lookup("key"), Lookup::Entry(_)));
    }
    // The text is lost.
    let Lookup::Entry(value) = root.lookup("key") else { panic!() };
    let hex = value.digest.hash.to_hex();
    let text = root.0.path().join("protocol-dependent/generation-0/git-sha1/casf");
    fs::remove_file(text.join(&hex[..2]).join(&hex[2..])).unwrap();
    assert!(matches!(root.lookup("key"), Lookup::Damaged(_)));
}

#[test]
fn an_older_entry_is_found_with_its_objects_where_the_result_of_the_youngest_is_lost() {
    let root = Root::new();
    let (store, cache) = (root.store(), root.cache());
    let part = object(&store, "part");
    cache.put("key", None, &format!("o {part}\n")).unwrap();
    drop((store, cache));
    root.collect();
    let Lookup::Entry(value) = root.cache().put("key", None, "").map(Lookup::Entry).unwrap() else {
        panic!()
    };
    let file = |generation: usize, object: &ObjectInfo| {
        let hex = object.digest.hash.to_hex();
        let files = format!("protocol-dependent/generation-{generation}/git-sha1/casf");
        root.0.path().join(files).join(&hex[..2]).join(&hex[2..])
    };
    fs::remove_file(file(0, &value)).unwrap();
    let Lookup::Entry(older) = root.lookup("key") else { panic!("the older one is complete") };
    assert_ne!(older, value);
    for object in [&part, &older] {
        assert!(file(0, object).exists(), "{object}");
    }
    assert_eq!(fs::read(root.entry(0, "key")).unwrap(), fs::read(root.entry(1, "key")).unwrap());
    assert_eq!(root.lookup("key"), Lookup::Entry(older));
}

#[test]
fn incomplete_entries_are_removed_with_those_they_imply() {
    let root = Root::new();
    let (store, cache) = (root.store(), root.cache());
    let (kept, lost) = (object(&store, "kept"), object(&store, "lost"));
    cache.put("sound", None, &format!("o {kept}\n")).unwrap();
    cache.put("unsound", None, &format!("o {lost}\n")).unwrap();
    let implies = ["sound", "unsound"].map(|key| format!("i {}\n", hash(key).to_hex())).concat();
    cache.put("above", None, &format!("o {kept}\n{implies}")).unwrap();
    assert!(!cache.remove_incomplete(&hash("above")).unwrap());
    assert!(!cache.remove_incomplete(&hash("none")).unwrap());
    let hex = lost.digest.hash.to_hex();
    let file = root.0.path().join("protocol-dependent/generation-0/git-sha1/casf");
    fs::remove_file(file.join(&hex[..2]).join(&hex[2..])).unwrap();
    // Another process: this one has seen the object.
    assert!(root.cache().remove_incomplete(&hash("above")).unwrap());
    let is_there = ["sound", "unsound", "above"].map(|key| root.entry(0, key).exists());
    assert_eq!(is_there, [true, false, true]);
}
