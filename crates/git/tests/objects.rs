//! Objects from all places where git keeps them, and from databases that are damaged.
//!
//! `packs/` has one repository as git 2.47.3 packs it, twice: with bases of deltas by offset (`ofs`) and by id (`ref`);
//! `objects.txt` has its objects as `git cat-file` describes them.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use taut_digest::Hash;
use taut_git::{Error, Header, Kind, Object, Repository};
use taut_testkit::{GitRepository, Rng};
use tempfile::TempDir;

fn id(hex: &str) -> Hash {
    Hash::from_hex(hex).unwrap()
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packs")
}

/// The objects of the packs: id, kind, size.
fn packed_objects() -> Vec<(Hash, Kind, u64)> {
    let kind = |word: &str| {
        [Kind::Blob, Kind::Tree, Kind::Commit, Kind::Tag]
            .into_iter()
            .find(|kind| kind.name() == word)
            .unwrap()
    };
    let object = |line: &str| match line.split(' ').collect::<Vec<_>>()[..] {
        [hex, word, size] => (id(hex), kind(word), size.parse().unwrap()),
        _ => panic!("{line}"),
    };
    fs::read_to_string(here().join("objects.txt")).unwrap().lines().map(object).collect()
}

/// A git directory with a pack.
fn with_pack(directory: &Path, pack: &[u8], index: &[u8]) -> Repository {
    let git = GitRepository::new(directory);
    fs::write(git.path().join("objects/pack/pack-1.pack"), pack).unwrap();
    fs::write(git.path().join("objects/pack/pack-1.idx"), index).unwrap();
    Repository::new(directory)
}

fn pack(name: &str) -> [Vec<u8>; 2] {
    ["pack", "idx"].map(|extension| fs::read(here().join(name).with_extension(extension)).unwrap())
}

fn blob(content: &[u8]) -> Option<Object> {
    Some(Object { kind: Kind::Blob, content: content.to_vec() })
}

#[test]
fn loose_objects_are_read_by_id() {
    let top = TempDir::new().unwrap();
    let git = GitRepository::new(top.path().join("bare.git"));
    let large = vec![b'x'; 200_000];
    let [one, two, empty] = [&b"one"[..], &large, b""].map(|content| git.blob(content));
    let tree = git.tree(&[("100644", b"f", &one)]);
    let commit = git.object("commit", format!("tree {tree}\n").as_bytes());
    let repository = Repository::new(git.path());
    assert_eq!(repository.read(&id(&one)), Ok(blob(b"one")));
    assert_eq!(repository.read(&id(&two)), Ok(blob(&large)));
    assert_eq!(repository.read(&id(&empty)), Ok(blob(b"")));
    assert_eq!(repository.header(&id(&two)), Ok(Some(Header { kind: Kind::Blob, size: 200_000 })));
    assert_eq!(repository.header(&id(&tree)).unwrap().unwrap().kind, Kind::Tree);
    assert_eq!(repository.read(&id(&commit)).unwrap().unwrap().kind, Kind::Commit);
    let absent = Hash::from_bytes(&[7; 20]).unwrap();
    assert_eq!((repository.header(&absent), repository.read(&absent)), (Ok(None), Ok(None)));
    // A hash of another function names nothing here.
    assert_eq!(repository.read(&Hash::from_bytes(&[7; 32]).unwrap()), Ok(None));
    // The empty tree need not be stored.
    let empty_tree = id("4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    assert_eq!(repository.header(&empty_tree), Ok(Some(Header { kind: Kind::Tree, size: 0 })));
    assert_eq!(repository.read(&empty_tree), Ok(Some(Object { kind: Kind::Tree, content: vec![] })));
    // What is added later is found, too.
    let late = git.blob("late");
    assert_eq!(repository.read(&id(&late)), Ok(blob(b"late")));
}

#[test]
fn packed_objects_are_read_through_their_deltas() {
    for name in ["ofs", "ref"] {
        let top = TempDir::new().unwrap();
        let [pack, index] = pack(name);
        let repository = with_pack(top.path(), &pack, &index);
        for (id, kind, size) in packed_objects() {
            assert_eq!(repository.header(&id), Ok(Some(Header { kind, size })), "{name}");
            let object = repository.read(&id).unwrap().unwrap();
            assert_eq!((object.kind, object.content.len() as u64), (kind, size), "{name}");
        }
    }
}

#[test]
fn several_threads_read_one_repository() {
    let top = TempDir::new().unwrap();
    let [pack, index] = pack("ofs");
    let repository = with_pack(top.path(), &pack, &index);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for (id, kind, _) in packed_objects() {
                    assert_eq!(repository.read(&id).unwrap().unwrap().kind, kind);
                }
            });
        }
    });
}

#[test]
fn repositories_are_found_as_git_lays_them_out() {
    let top = TempDir::new().unwrap();
    let at = |path: &str| top.path().join(path);
    let git = GitRepository::new(at("work/.git"));
    let one = git.blob("one");
    let reads =
        |path: &str| assert_eq!(Repository::new(at(path)).read(&id(&one)), Ok(blob(b"one")), "{path}");
    reads("work");
    reads("work/.git");
    // A linked worktree.
    fs::create_dir_all(at("work/.git/worktrees/w")).unwrap();
    fs::write(at("work/.git/worktrees/w/HEAD"), "0").unwrap();
    fs::write(at("work/.git/worktrees/w/commondir"), "../..\n").unwrap();
    fs::create_dir(at("w")).unwrap();
    fs::write(at("w/.git"), format!("gitdir: {}\n", at("work/.git/worktrees/w").display())).unwrap();
    reads("w");
    reads("w/.git");
    // A submodule: its git directory lies elsewhere, by a relative path.
    fs::create_dir_all(at("over/sub")).unwrap();
    fs::write(at("over/sub/.git"), "gitdir: ../../work/.git\n").unwrap();
    reads("over/sub");
    // A link to a repository.
    std::os::unix::fs::symlink("work", at("link")).unwrap();
    reads("link");
    // Objects of another repository, by an absolute and by a relative path, through one more.
    let borrower = GitRepository::new(at("borrower.git"));
    fs::write(borrower.path().join("objects/info/alternates"), "../../work/.git/objects\n").unwrap();
    reads("borrower.git");
    let second = GitRepository::new(at("second.git"));
    let written = format!("{}\n", at("borrower.git/objects").display());
    fs::write(second.path().join("objects/info/alternates"), written).unwrap();
    reads("second.git");
}

#[test]
fn what_is_no_repository_is_an_error_that_says_why() {
    let top = TempDir::new().unwrap();
    let at = |path: &str| top.path().join(path);
    let why = |path: &str| match Repository::new(at(path)).read(&Hash::from_bytes(&[7; 20]).unwrap()) {
        Err(Error::NoRepository { path: named, why }) => {
            assert_eq!(named, at(path));
            why
        }
        other => panic!("{other:?}"),
    };
    fs::create_dir_all(at("plain/objects")).unwrap();
    fs::create_dir(at("dangling")).unwrap();
    fs::write(at("dangling/.git"), "gitdir: /nowhere\n").unwrap();
    fs::write(at("file"), "text").unwrap();
    assert_eq!(why("absent"), "it does not exist");
    assert!(why("plain").ends_with("has no HEAD"), "{}", why("plain"));
    assert_eq!(why("dangling"), "/nowhere has no HEAD");
    assert!(why("file").contains("does not lead to a git directory"), "{}", why("file"));
    let git = GitRepository::new(at("broken.git"));
    fs::remove_dir_all(git.path().join("objects")).unwrap();
    assert!(why("broken.git").ends_with("objects is not a directory"), "{}", why("broken.git"));
    // A cycle of alternates ends.
    let [a, b] = ["a.git", "b.git"].map(|name| GitRepository::new(at(name)));
    for (one, other) in [(&a, &b), (&b, &a)] {
        let written = format!("{}\n", other.path().join("objects").display());
        fs::write(one.path().join("objects/info/alternates"), written).unwrap();
    }
    let one = a.blob("one");
    let read = Repository::new(a.path()).read(&id(&one));
    assert!(read.is_err() || read == Ok(blob(b"one")), "{read:?}");
}

#[test]
fn damaged_objects_are_errors() {
    let top = TempDir::new().unwrap();
    let git = GitRepository::new(top.path());
    let repository = Repository::new(top.path());
    let damaged = |hex: &str| match repository.read(&id(hex)) {
        Err(Error::Damaged { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    let hex = |digit: &str| digit.repeat(40);
    git.write(&hex("1"), b"blob 3\0one");
    assert_eq!(damaged(&hex("1")), "its content has another hash");
    git.write(&hex("2"), b"blob 4\0one");
    git.write(&hex("3"), b"blob 99999999999999999999\0one");
    git.write(&hex("4"), b"blob 1099511627776\0one");
    git.write(&hex("5"), b"blub 3\0one");
    git.write(&hex("6"), b"");
    git.write(&hex("8"), b"blob 2\0one");
    for digit in ["2", "3", "4", "5", "6", "8"] {
        damaged(&hex(digit));
    }
    fs::create_dir_all(git.file(&hex("7")).parent().unwrap()).unwrap();
    fs::write(git.file(&hex("7")), "no zlib").unwrap();
    damaged(&hex("7"));
}

#[test]
fn no_memory_is_allocated_for_a_size_that_the_file_cannot_have() {
    let top = TempDir::new().unwrap();
    let git = GitRepository::new(top.path());
    let repository = Repository::new(top.path());
    let claim = "9".repeat(40);
    git.write(&claim, b"blob 2000000000\0one");
    match repository.read(&id(&claim)) {
        Err(Error::Damaged { why, .. }) => {
            assert!(why.starts_with("its header has a size of 2000000000 bytes, but its file has "), "{why}");
        }
        other => panic!("{other:?}"),
    }
    // Zeros are the content with the smallest files for their size.
    let zeros = vec![0; (64 << 20) + 1];
    let large = git.blob(&zeros);
    let read = repository.read(&id(&large)).unwrap().unwrap();
    assert!(read.content == zeros, "{} bytes", read.content.len());
}

/// Reads every object of the packs: what is read is right, or there is an error. Returns how many errors there are.
fn read_all(repository: &Repository) -> usize {
    let mut errors = 0;
    for (id, kind, size) in packed_objects() {
        // Headers are not compared with hashes, so their content may be wrong.
        let _ = repository.header(&id);
        match repository.read(&id) {
            Ok(Some(object)) => {
                assert_eq!((object.kind, object.content.len() as u64), (kind, size));
            }
            Ok(None) | Err(_) => errors += 1,
        }
    }
    errors
}

#[test]
fn deltas_that_depend_on_each_other_are_errors() {
    let [mut pack, index] = pack("ref");
    // The base of the first delta becomes one that depends on that delta.
    let base = id("0584687676c77864a4fc6be6fbb2ac6aaa33a581");
    let at = pack.windows(20).position(|bytes| bytes == base.as_bytes()).unwrap();
    pack[at..at + 20].copy_from_slice(id("1dcf7465a9e9bb549f2a2c456bcc329dc7449142").as_bytes());
    let top = TempDir::new().unwrap();
    let repository = with_pack(top.path(), &pack, &index);
    assert!(repository.read(&id("1dcf7465a9e9bb549f2a2c456bcc329dc7449142")).is_err());
    assert_eq!(read_all(&repository), 4);
}

#[test]
fn damaged_packs_never_give_wrong_objects() {
    let mut rng = Rng::new(1);
    let mut errors = 0;
    for round in 0..taut_testkit::times(200) {
        let name = ["ofs", "ref"][round % 2];
        let mut files = pack(name);
        // Most damage is to the pack, some to its index.
        let file = &mut files[usize::from(rng.below(4) == 0)];
        for _ in 0..=rng.below(3) {
            let at = rng.below(file.len());
            match rng.below(6) {
                0 => file.truncate(at),
                1 => file[at] ^= 1 << rng.below(8),
                2 => file[at] = 0xff,
                3 => file[at] = 0,
                4 => {
                    let end = (at + 1 + rng.below(40)).min(file.len());
                    file.drain(at..end);
                }
                _ => {
                    let byte = rng.below(256) as u8;
                    file[at..].iter_mut().take(8).for_each(|each| *each = byte);
                }
            }
            if file.is_empty() {
                break;
            }
        }
        let top = TempDir::new().unwrap();
        let [pack, index] = files;
        errors += read_all(&with_pack(top.path(), &pack, &index));
    }
    assert!(errors > 0);
}
