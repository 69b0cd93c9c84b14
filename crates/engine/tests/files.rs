//! Files as leaves: what changed is noticed, however quickly and inconspicuously; what did not change is not opened
//! once its last change is old enough.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, SystemTime};

use taut_engine::{Cx, Engine, Fail, Files, Hash, Options, Policy, Rule, StatWitness};

/// The content of a file as text.
struct Text;

impl Rule for Text {
    type Key = String;
    type Value = Option<String>;
    const NAME: &'static str = "text";

    fn policy(&self, _: &String) -> Policy {
        Policy::constructive(1)
    }

    async fn value(&self, name: &String, cx: Cx) -> Result<Option<String>, Fail> {
        let content = cx.get::<Files>(name.clone()).await?;
        Ok(content.map(|content| String::from_utf8_lossy(&content).into_owned()))
    }

    fn content_hash(&self, _: &String, text: &Option<String>) -> Option<Hash> {
        Some(content_hash(text.as_deref().unwrap_or("none").as_bytes()))
    }

    fn encode_value(&self, _: &String, text: &Option<String>) -> Option<Vec<u8>> {
        text.clone().map(String::into_bytes)
    }

    fn decode_value(&self, _: &String, bytes: &[u8]) -> Option<Option<String>> {
        String::from_utf8(bytes.to_vec()).ok().map(Some)
    }
}

/// Content of a few bytes is its own hash.
fn content_hash(content: &[u8]) -> Hash {
    Hash::from_slice(content).unwrap()
}

struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Directory {
        Directory(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("f")
    }

    fn write(&self, content: &str) {
        fs::write(self.path(), content).unwrap();
    }

    /// What another process finds, how many tasks it runs, and how many contents it hashes.
    fn build(&self) -> (Option<String>, usize, usize) {
        let hashed = Arc::new(AtomicUsize::new(0));
        let count = hashed.clone();
        let hash = move |content: &[u8]| {
            count.fetch_add(1, Relaxed);
            content_hash(content)
        };
        let rules = Engine::builder().rule(Files::hashed_by(self.0.path(), hash)).rule(Text);
        let engine = rules.open(&self.0.path().join("traces"));
        let build = engine.begin().commit(Options { jobs: 1, ..Options::default() });
        let text = build.get::<Text>("f".to_owned()).unwrap();
        engine.commit().unwrap();
        (text, build.ran().len(), hashed.load(Relaxed))
    }

    /// The first build, long enough after the last change.
    fn built(content: &str) -> Directory {
        let directory = Directory::new();
        directory.write(content);
        settle();
        assert_eq!(directory.build(), (Some(content.to_owned()), 2, 1));
        assert_eq!(directory.build(), (Some(content.to_owned()), 0, 0));
        directory
    }
}

fn settle() {
    thread::sleep(Duration::from_millis(2_100));
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn witness(path: &Path) -> StatWitness {
    let witness = StatWitness::of(path).unwrap();
    let bytes = witness.encode();
    assert_eq!(StatWitness::decode(&bytes), Some(witness));
    assert_eq!(StatWitness::decode(&[&bytes[..], b"x"].concat()), None);
    assert_eq!(StatWitness::decode(&bytes[..bytes.len() - 1]).filter(|_| bytes.len() != 2), None);
    witness
}

#[test]
fn a_touched_file_is_hashed_once() {
    let directory = Directory::built("one");
    let file = fs::File::options().write(true).open(directory.path()).unwrap();
    file.set_modified(SystemTime::now()).unwrap();
    settle();
    assert_eq!(directory.build(), (text("one"), 0, 1));
    assert_eq!(directory.build(), (text("one"), 0, 0));
}

#[test]
fn changes_of_the_same_size_in_the_same_second_are_noticed() {
    let directory = Directory::new();
    for round in 0..30 {
        let now = ["one", "two"][round % 2];
        directory.write(now);
        assert_eq!(directory.build().0, text(now), "round {round}");
        assert!(!witness(&directory.path()).still_holds(&witness(&directory.path())));
    }
    // Just changed when it was read: its content is compared until its last change is old enough.
    assert_eq!(directory.build(), (text("two"), 0, 1));
    settle();
    assert_eq!(directory.build(), (text("two"), 0, 1));
    assert_eq!(directory.build(), (text("two"), 0, 0));
}

#[test]
fn a_change_with_an_old_modification_time_is_noticed() {
    let directory = Directory::built("one");
    let old = fs::metadata(directory.path()).unwrap().modified().unwrap();
    directory.write("two");
    fs::File::options().write(true).open(directory.path()).unwrap().set_modified(old).unwrap();
    assert!(!witness(&directory.path()).still_holds(&witness(&directory.path())));
    assert_eq!(directory.build().0, text("two"));
}

#[test]
fn a_file_in_the_place_of_another_is_noticed() {
    let directory = Directory::new();
    let other = directory.0.path().join("other");
    directory.write("one");
    fs::write(&other, "two").unwrap();
    let time = SystemTime::now() - Duration::from_secs(100);
    for path in [&other, &directory.path()] {
        fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }
    settle();
    assert_eq!(directory.build(), (text("one"), 2, 1));
    let before = witness(&directory.path());
    fs::rename(&other, directory.path()).unwrap();
    assert!(!before.still_holds(&witness(&directory.path())));
    assert_eq!(directory.build().0, text("two"));
}

#[test]
fn what_is_removed_and_made_again_is_noticed() {
    let directory = Directory::built("one");
    fs::remove_file(directory.path()).unwrap();
    assert_eq!(directory.build(), (None, 2, 0));
    // That nothing is there needs no time to be certain.
    assert!(witness(&directory.path()).still_holds(&witness(&directory.path())));
    directory.write("one");
    assert_eq!(directory.build().0, text("one"));
}

#[test]
fn what_became_a_directory_is_no_file() {
    let directory = Directory::built("one");
    fs::remove_file(directory.path()).unwrap();
    fs::create_dir(directory.path()).unwrap();
    assert_eq!(directory.build(), (None, 2, 0));
    fs::remove_dir(directory.path()).unwrap();
    directory.write("two");
    assert_eq!(directory.build().0, text("two"));
}

#[test]
fn another_mode_changes_no_content() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = Directory::built("one");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(directory.build(), (text("one"), 0, 1));
}
