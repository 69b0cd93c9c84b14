//! Repositories that are made and written, read by taut and by the installed git.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    fs,
    io::Read,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use taut_digest::{Hash, HashFunction, ObjectType, TreeEntry};
use taut_git::{
    Error, HashOnly, Kind, Node, Object, ObjectSink, PathFault, Repository, SpecialFiles, TreeBuilder,
    Writer, import, remove_leftovers,
};
use taut_sys::Dir;
use taut_testkit::{Rng, files_below};
use tempfile::TempDir;

fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CEILING_DIRECTORIES", directory.parent().unwrap())
        .output()
        .expect("git is installed");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {text}");
    text.into_owned()
}

/// What `git fsck` has to say about a repository; dangling objects are none of its errors.
fn fsck(writer: &Writer) {
    let text = git(writer.path(), &["fsck", "--full", "--strict", "--no-dangling"]);
    let is_expected = |line: &str| line.starts_with("notice: ") || line.starts_with("Checking ");
    assert!(text.lines().all(is_expected), "{text}");
}

fn writer(top: &TempDir) -> Writer {
    Writer::open(&top.path().join("some/git")).unwrap()
}

fn id(hex: &str) -> Hash {
    Hash::from_hex(hex).unwrap()
}

#[test]
fn git_accepts_the_repository() {
    let top = TempDir::new().unwrap();
    let made = writer(&top);
    assert_eq!(git(made.path(), &["rev-parse", "--is-bare-repository"]), "true\n");
    fsck(&made);
    let before = files_below(made.path());
    // It is opened as it is the next time.
    writer(&top);
    assert_eq!(files_below(made.path()), before);
}

#[test]
fn few_objects_are_loose_and_many_are_a_pack() {
    let top = TempDir::new().unwrap();
    let writer = writer(&top);
    for count in [1_usize, 8, 9, 5000] {
        let mut batch = writer.batch();
        let contents: Vec<Vec<u8>> =
            (0..count).map(|n| format!("{count} {n}").repeat(1 + n % 100).into_bytes()).collect();
        let ids: Vec<Hash> = contents.iter().map(|content| batch.blob(content).unwrap()).collect();
        let packs = fs::read_dir(writer.path().join("objects/pack")).unwrap().count();
        batch.finish().unwrap();
        let is_pack = fs::read_dir(writer.path().join("objects/pack")).unwrap().count() > packs;
        assert_eq!(is_pack, count > 8, "{count}");
        writer.repository().forget();
        for (id, content) in ids.iter().zip(contents) {
            let object = writer.repository().read(id).unwrap();
            assert_eq!(object, Some(Object { kind: Kind::Blob, content }));
        }
    }
    fsck(&writer);
    // git's own check of packs and indices.
    let packs = fs::read_dir(writer.path().join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
    for pack in packs.filter(|path| path.extension().is_some_and(|extension| extension == "idx")) {
        git(writer.path(), &["verify-pack", pack.to_str().unwrap()]);
        assert_eq!(fs::metadata(&pack).unwrap().permissions().mode() & 0o222, 0);
    }
}

#[test]
fn large_contents_are_written_as_they_come() {
    let top = TempDir::new().unwrap();
    let writer = writer(&top);
    let mut rng = Rng::new(1);
    let noise: Vec<u8> = (0..5 << 20).map(|_| rng.bits() as u8).collect();
    let zeros = vec![0; 30 << 20];
    let mut batch = writer.batch();
    let mut ids = Vec::new();
    for content in [&noise, &zeros] {
        ids.push(batch.blob_from(content.len() as u64, &mut &content[..]).unwrap());
        batch.blob(b"between").unwrap();
    }
    // The same once more, from the batch; then a stream that ends early, and one that fails.
    assert_eq!(batch.blob_from(noise.len() as u64, &mut &noise[..]).unwrap(), ids[0]);
    let early = batch.blob_from(noise.len() as u64 + 1, &mut &noise[..]).unwrap_err();
    assert_eq!(early, Error::Content { why: "the content ends 1 bytes early".to_owned() });
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("broken"))
        }
    }
    let mut cut = (&noise[..]).chain(Fails);
    let failed = batch.blob_from(8 << 20, &mut cut).unwrap_err();
    assert_eq!(failed, Error::Content { why: "broken".to_owned() });
    let last = batch.blob(b"behind").unwrap();
    batch.finish().unwrap();
    writer.repository().forget();
    fsck(&writer);
    assert!(writer.repository().read(&ids[0]).unwrap().unwrap().content == noise);
    assert!(writer.repository().read(&ids[1]).unwrap().unwrap().content == zeros);
    assert_eq!(writer.repository().read(&last).unwrap().unwrap().content, b"behind");
    fsck(&writer);
    // What is there is not written again, also if it is found out only at the end.
    let before = files_below(writer.path());
    let mut batch = writer.batch();
    assert_eq!(batch.blob_from(zeros.len() as u64, &mut &zeros[..]).unwrap(), ids[1]);
    assert_eq!(batch.blob(b"between").unwrap(), HashFunction::GitSha1.blob(b"between"));
    batch.finish().unwrap();
    assert_eq!(files_below(writer.path()), before);
    assert!(matches!(
        writer.batch().blob_from((1 << 31) + 1, &mut std::io::empty()),
        Err(Error::TooLarge { size: 0x8000_0001 })
    ));
}

/// Contents of all shapes, whole and in pieces, taken back in between.
#[test]
fn all_contents_are_read_back() {
    let top = TempDir::new().unwrap();
    let writer = writer(&top);
    let mut rng = Rng::new(7);
    let mut batch = writer.batch();
    let mut written = Vec::new();
    for round in 0..60 {
        let length = if round % 3 == 0 { (4 << 20) + rng.below(1 << 20) } else { rng.below(200_000) };
        let mut content = Vec::with_capacity(length);
        while content.len() < length {
            match rng.below(4) {
                0 => content.extend(rng.bits().to_le_bytes()),
                1 => content.resize(content.len() + rng.below(5000), rng.bits() as u8),
                2 if !content.is_empty() => {
                    let from = rng.below(content.len());
                    let to = content.len().min(from + rng.below(3000));
                    content.extend_from_within(from..to);
                }
                _ => content.extend((0..rng.below(300)).map(|_| b'a' + rng.below(20) as u8)),
            }
        }
        let size = content.len() as u64;
        if rng.chance(30) {
            batch.blob_from(size + 1, &mut &content[..]).unwrap_err();
        }
        written.push((batch.blob_from(size, &mut &content[..]).unwrap(), content));
    }
    batch.finish().unwrap();
    writer.repository().forget();
    for (id, content) in written {
        assert!(writer.repository().read(&id).unwrap().unwrap().content == content);
    }
    fsck(&writer);
}

#[test]
fn a_batch_that_is_dropped_leaves_nothing() {
    let top = TempDir::new().unwrap();
    let writer = writer(&top);
    let before = files_below(writer.path());
    let mut batch = writer.batch();
    for n in 0..100_u32 {
        batch.blob(&n.to_le_bytes()).unwrap();
    }
    let mut rng = Rng::new(1);
    // More than is held in memory.
    let noise: Vec<u8> = (0..20 << 20).map(|_| rng.bits() as u8).collect();
    batch.blob_from(noise.len() as u64, &mut &noise[..]).unwrap();
    assert_ne!(files_below(writer.path()), before);
    drop(batch);
    assert_eq!(files_below(writer.path()), before);
    let mut batch = writer.batch();
    batch.blob(b"few").unwrap();
    drop(batch);
    assert_eq!(files_below(writer.path()), before);
}

#[test]
fn what_a_killed_process_left_is_no_object() {
    let top = TempDir::new().unwrap();
    let writer = writer(&top);
    let pid = std::process::id();
    // Files under the names that this process will try, as a process of the same number in another container leaves
    // them.
    for name in ["pack/tmp_pack", "pack/tmp_idx", "tmp_obj"] {
        for number in 0..40 {
            let file = writer.path().join(format!("objects/{name}_{pid}_{number}"));
            fs::write(file, "cut").unwrap();
        }
    }
    let mut batch = writer.batch();
    let ids: Vec<Hash> = (0..20_u32).map(|n| batch.blob(&n.to_le_bytes()).unwrap()).collect();
    batch.finish().unwrap();
    writer.repository().forget();
    assert!(ids.iter().all(|id| writer.repository().read(id).unwrap().is_some()));
    fsck(&writer);
}

#[test]
fn trees_are_those_of_git() {
    let top = TempDir::new().unwrap();
    let writer = writer(&top);
    let work = top.path().join("work");
    fs::create_dir_all(work.join("d/e")).unwrap();
    fs::write(work.join("d/e/f"), "f").unwrap();
    fs::write(work.join("d.x"), "x").unwrap();
    fs::write(work.join("d-x"), "x").unwrap();
    fs::write(work.join("run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(work.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("d/e/f", work.join("link")).unwrap();
    symlink("/nowhere", work.join("d/dangling")).unwrap();
    git(&work, &["init", "-q"]);
    git(&work, &["add", "-A"]);
    let expected = git(&work, &["write-tree"]);
    let mut batch = writer.batch();
    let wanted = |name: &[u8]| name != b".git";
    let work_dir = Dir::of_user(&work).unwrap();
    let tree = import(&work_dir, SpecialFiles::Refuse, &wanted, &mut batch).unwrap();
    let made = tree.write(&mut batch).unwrap();
    batch.finish().unwrap();
    assert_eq!(made.to_hex(), expected.trim_end());
    writer.repository().forget();
    assert!(writer.repository().is_complete(&made).unwrap());
    let below = writer.repository().subtree(&made, b"./d//e/").unwrap().unwrap();
    assert_eq!(below.to_hex(), git(&work, &["rev-parse", &format!("{}:d/e", made.to_hex())]).trim_end());
    for none in ["x", "run", "d/e/f", "link", "d/..", "d/e/f/g"] {
        assert_eq!(writer.repository().subtree(&made, none.as_bytes()).unwrap(), None, "{none}");
    }
    assert_eq!(tree.find(&below).unwrap(), Some(vec![b"d".to_vec(), b"e".to_vec()]));
    assert_eq!(tree.find(&made).unwrap(), Some(Vec::new()));
    assert_eq!(tree.find(&id("4b825dc642cb6eb9a060e54bf8d69288fbee4904")).unwrap(), None);
    // Without special entries: no links.
    let ignored = import(&work_dir, SpecialFiles::Ignore, &wanted, &mut HashOnly).unwrap();
    assert_eq!(ignored.get(&["link"]), None);
    assert_eq!(ignored.get(&["d", "dangling"]), None);
    assert_eq!(ignored.get(&["d", "e"]), Some(Node::Directory));
    rustix_fifo(&work.join("d/fifo"));
    assert!(import(&work_dir, SpecialFiles::Ignore, &wanted, &mut HashOnly).is_ok());
    let error = import(&work_dir, SpecialFiles::Refuse, &wanted, &mut HashOnly).unwrap_err();
    assert!(error.to_string().contains("d/fifo is not a file"), "{error}");
}

fn rustix_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn paths_are_put_together_in_any_order() {
    let entry = |content: &[u8]| TreeEntry {
        hash: HashFunction::GitSha1.blob(content),
        object_type: ObjectType::File,
    };
    let mut tree = TreeBuilder::new();
    assert_eq!(tree.put(&["a", "b", "c"], entry(b"1")).unwrap(), None);
    assert_eq!(tree.put(&["a", "b", "c"], entry(b"2")).unwrap(), Some(Node::Object(entry(b"1"))));
    assert_eq!(tree.directory(&["a", "b"]).unwrap(), None);
    assert_eq!(tree.directory(&["a", "b", "c"]).unwrap(), Some(Node::Object(entry(b"2"))));
    assert_eq!(tree.put(&["a", "b"], entry(b"3")).unwrap(), Some(Node::Directory));
    let fault = |error: taut_git::Result<Option<Node>>| match error {
        Err(Error::Path { fault, .. }) => fault,
        other => panic!("{other:?}"),
    };
    assert_eq!(fault(tree.put(&["a", "b", "c"], entry(b"1"))), PathFault::Below(ObjectType::File));
    assert_eq!(fault(tree.directory(&["a", "b", "c", "d"])), PathFault::Below(ObjectType::File));
    for bad in ["", ".", "..", "x/y", "x\0"] {
        assert_eq!(fault(tree.put(&["a", bad], entry(b"1"))), PathFault::BadName, "{bad:?}");
        assert_eq!(fault(tree.put(&[bad, "a"], entry(b"1"))), PathFault::BadName, "{bad:?}");
    }
    assert_eq!(fault(tree.put::<&str>(&[], entry(b"1"))), PathFault::Empty);
    let mut same = TreeBuilder::new();
    same.put(&["a", "b"], entry(b"3")).unwrap();
    assert_eq!(tree.write(&mut HashOnly).unwrap(), same.write(&mut HashOnly).unwrap());
}

/// The ids are those of just-mr 1.6.5, from `git for-each-ref` in its cache after the set-up of an archive with the
/// blob id in the message, and of the tree that is kept as a tree.
#[test]
fn kept_trees_have_the_commits_and_tags_of_the_reference() {
    let top = TempDir::new().unwrap();
    let writer = writer(&top);
    let mut batch = writer.batch();
    let entry = |hash, object_type| TreeEntry { hash, object_type };
    let (file, executable, tree) = (ObjectType::File, ObjectType::Executable, ObjectType::Tree);
    let hi = batch.blob(b"hi\n").unwrap();
    let s = batch.blob(b"s\n").unwrap();
    let mut ignored = TreeBuilder::new();
    ignored.directory(&["empty"]).unwrap();
    ignored.put(&["hi"], entry(hi, executable)).unwrap();
    ignored.put(&["sub", "s"], entry(s, file)).unwrap();
    let ignored_tree = ignored.write(&mut batch).unwrap();
    assert_eq!(ignored_tree.to_hex(), "5ec8b7150715c9215324753d7682324b8cbfb99a");
    for (link, target) in [("l", &b"hi"[..]), ("out", b"../../etc")] {
        ignored.put(&[link], entry(batch.blob(target).unwrap(), ObjectType::Symlink)).unwrap();
    }
    let subdir = ignored.write(&mut batch).unwrap();
    let mut whole = TreeBuilder::new();
    whole.put(&["top"], entry(subdir, tree)).unwrap();
    let whole = whole.write(&mut batch).unwrap();
    assert_eq!(whole.to_hex(), "0cc282b056a583d88a2bee2e88e280288ab855cf");
    batch.finish().unwrap();
    let message = "Content of archive 81b0bd197db97d415ec2d47d8ca66c6c9681e9e4";
    assert!(!writer.is_kept(&ignored_tree).unwrap());
    let commit = writer.keep_as_commit(&whole, message).unwrap();
    assert_eq!(commit.to_hex(), "4c5a608bf19b075b892214d775f96bff09a017eb");
    writer.keep(Kind::Tree, &ignored_tree).unwrap();
    let tags = "2a05a716126ddf1b93919ad3eb17c0960c071ac6 tag\trefs/tags/keep-4c5a608bf19b075b892214d775f96bff09a017eb\n\
        c0309fc14d6b45acb6dff07818aeb93dc7f81920 tag\trefs/tags/keep-5ec8b7150715c9215324753d7682324b8cbfb99a\n";
    assert_eq!(git(writer.path(), &["for-each-ref"]), tags);
    fsck(&writer);
    assert_eq!(writer.repository().tree_of_commit(&commit).unwrap(), Some(whole));
    // Garbage collection by git moves tags and objects; nothing that is kept is lost, and nothing is written twice.
    git(writer.path(), &["gc", "-q", "--prune=now"]);
    writer.repository().forget();
    assert!(writer.is_kept(&ignored_tree).unwrap() && writer.is_kept(&commit).unwrap());
    assert!(writer.repository().is_complete(&whole).unwrap());
    let before = files_below(writer.path());
    writer.keep_as_commit(&whole, message).unwrap();
    writer.keep(Kind::Tree, &ignored_tree).unwrap();
    assert_eq!(files_below(writer.path()), before);
}

#[test]
fn trees_are_copied_with_all_below_them() {
    let top = TempDir::new().unwrap();
    let from = Writer::open(&top.path().join("from")).unwrap();
    let mut batch = from.batch();
    let mut tree = TreeBuilder::new();
    for n in 0..300_u32 {
        let hash = batch.blob(&(n % 250).to_le_bytes()).unwrap();
        let path = [format!("d{}", n % 7), format!("e{}", n % 11), n.to_string()];
        tree.put(&path, TreeEntry { hash, object_type: ObjectType::File }).unwrap();
    }
    let submodule = id("0123456789012345678901234567890123456789");
    tree.put_submodule(&["d0", "module"], submodule).unwrap();
    let whole = tree.write(&mut batch).unwrap();
    batch.finish().unwrap();
    let to = writer(&top);
    let mut batch = to.batch();
    batch.copy_tree(&Repository::new(from.path()), &whole).unwrap();
    batch.finish().unwrap();
    to.repository().forget();
    assert!(to.repository().is_complete(&whole).unwrap());
    fsck(&to);
    let before = files_below(to.path());
    let mut batch = to.batch();
    batch.copy_tree(from.repository(), &whole).unwrap();
    batch.finish().unwrap();
    assert_eq!(files_below(to.path()), before);
    // Something is missing: the error names it, and nothing is copied.
    let other = Writer::open(&top.path().join("other")).unwrap();
    let mut batch = other.batch();
    let entries = [TreeEntry { hash: submodule, object_type: ObjectType::File }];
    let mut broken = TreeBuilder::new();
    broken.put(&["missing"], entries[0]).unwrap();
    let broken = broken.write(&mut batch).unwrap();
    batch.finish().unwrap();
    assert!(!other.repository().is_complete(&broken).unwrap());
    let mut batch = to.batch();
    let error = batch.copy_tree(other.repository(), &broken).unwrap_err();
    assert_eq!(error, Error::Missing { path: other.path().to_owned(), id: submodule, kind: "blob" });
}

/// Threads that write the same and different objects, in writers of their own as processes have them.
#[test]
fn several_writers_do_not_disturb_each_other() {
    let top = TempDir::new().unwrap();
    let path = top.path().join("git");
    std::thread::scope(|scope| {
        for thread in 0..8_u32 {
            let path = &path;
            scope.spawn(move || {
                let writer = Writer::open(path).unwrap();
                for round in 0..20_u32 {
                    let mut batch = writer.batch();
                    let mut tree = TreeBuilder::new();
                    for n in 0..round * 2 {
                        let own = if n % 2 == 0 { thread } else { 0 };
                        let hash = batch.blob(format!("{own} {round} {n}").as_bytes()).unwrap();
                        let entry = TreeEntry { hash, object_type: ObjectType::File };
                        tree.put(&[n.to_string()], entry).unwrap();
                    }
                    let tree = tree.write(&mut batch).unwrap();
                    batch.finish().unwrap();
                    writer.keep_as_commit(&tree, &format!("round {round}")).unwrap();
                    writer.repository().forget();
                    assert!(writer.repository().is_complete(&tree).unwrap());
                }
            });
        }
    });
    fsck(&Writer::open(&path).unwrap());
}

#[test]
fn a_new_process_writes_no_object_again() {
    let top = TempDir::new().unwrap();
    for count in [3_u32, 100] {
        let write = |writer: &Writer| {
            let mut batch = writer.batch();
            for n in 0..count {
                batch.blob(&[count, n].map(u32::to_le_bytes).concat()).unwrap();
            }
            batch.finish().unwrap();
        };
        write(&writer(&top));
        let before = files_below(&top.path().join("some/git"));
        write(&writer(&top));
        assert_eq!(files_below(&top.path().join("some/git")), before, "{count}");
    }
}

/// More packs than were there when the repository was opened, and then one instead of all.
#[test]
fn an_open_repository_sees_what_others_add_and_collect() {
    let top = TempDir::new().unwrap();
    let writer = writer(&top);
    let reader = Repository::new(writer.path());
    let mut ids = Vec::new();
    for round in 0..100_u32 {
        let mut batch = writer.batch();
        let mut tree = TreeBuilder::new();
        for n in 0..10_u32 {
            let hash = batch.blob(format!("{round} {n}").as_bytes()).unwrap();
            tree.put(&[n.to_string()], TreeEntry { hash, object_type: ObjectType::File }).unwrap();
            ids.push(hash);
        }
        let tree = tree.write(&mut batch).unwrap();
        batch.finish().unwrap();
        writer.keep(Kind::Tree, &tree).unwrap();
        assert!(reader.read(&tree).unwrap().is_some(), "{round}");
    }
    git(writer.path(), &["gc", "-q"]);
    for id in ids {
        assert!(reader.read(&id).unwrap().is_some());
        assert!(reader.header(&id).unwrap().is_some());
    }
}

#[test]
fn a_place_that_cannot_be_a_repository_is_an_error() {
    let top = TempDir::new().unwrap();
    fs::write(top.path().join("file"), "").unwrap();
    let error = Writer::open(&top.path().join("file/git")).map(drop).unwrap_err();
    assert!(matches!(error, Error::Unwritable { .. }), "{error}");
}

/// The file of a loose object.
fn loose(top: &TempDir, id: &Hash) -> PathBuf {
    let hex = id.to_hex();
    writer(top).path().join("objects").join(&hex[..2]).join(&hex[2..])
}

/// A damaged pack is taken out, so that it hides nothing and `git gc` works; its objects that are intact stay.
#[test]
fn damaged_packs_are_removed_and_their_intact_objects_kept() {
    let write = |writer: &Writer| {
        let mut batch = writer.batch();
        let mut tree = TreeBuilder::new();
        for number in 0..30 {
            let content = format!("{number}").repeat(200);
            let hash = batch.blob(content.as_bytes()).unwrap();
            tree.put(&[format!("{number}")], TreeEntry { hash, object_type: ObjectType::File }).unwrap();
        }
        let tree = tree.write(&mut batch).unwrap();
        batch.finish().unwrap();
        writer.keep(Kind::Tree, &tree).unwrap();
        tree
    };
    let flip = |content: &mut Vec<u8>| {
        // In a file, of which there are thirty: they come last in packs of git.
        let at = content.len() * 9 / 10;
        content[at] ^= 0x55;
    };
    type Damage<'d> = &'d dyn Fn(&mut Vec<u8>);
    let cases: [(&str, Damage<'_>, std::ops::Range<usize>); 6] = [
        ("pack", &flip, 28..30),
        ("pack", &|content| content.truncate(content.len() / 2), 0..30),
        ("pack", &|content| content.clear(), 0..1),
        ("idx", &flip, 0..1),
        ("idx", &|content| content.truncate(100), 0..1),
        ("idx", &|content| content.clear(), 0..1),
    ];
    for (extension, damage, left) in cases {
        let top = TempDir::new().unwrap();
        let tree = write(&writer(&top));
        // The tag is in the same pack.
        git(writer(&top).path(), &["gc", "-q"]);
        let packs = writer(&top).path().join("objects/pack");
        let of = |extension: &str| {
            let paths = fs::read_dir(&packs).unwrap().map(|entry| entry.unwrap().path());
            paths.filter(|path| path.extension().is_some_and(|of| of == extension)).collect::<Vec<_>>()
        };
        let [path] = <[PathBuf; 1]>::try_from(of(extension)).unwrap();
        // Packs that are written anew must not take the place of this one by chance.
        for other in ["pack", "idx", "rev"] {
            for path in of(other) {
                fs::rename(&path, packs.join(format!("pack-{}.{other}", "0".repeat(40)))).unwrap();
            }
        }
        let path = packs
            .join(format!("pack-{}.{extension}", "0".repeat(40)))
            .with_extension(path.extension().unwrap());
        let mut content = fs::read(&path).unwrap();
        damage(&mut content);
        fs::remove_file(&path).unwrap();
        fs::write(&path, &content).unwrap();

        let repairing = writer(&top).rewriting(true);
        repairing.remove_damaged_packs().unwrap();
        assert!(!path.exists());
        let intact = (0..30).filter(|number| {
            let id = HashFunction::GitSha1.blob(format!("{number}").repeat(200).as_bytes());
            repairing.repository().read(&id).unwrap().is_some()
        });
        let intact = intact.count();
        assert!(left.contains(&intact), "{intact} {left:?}");
        assert_eq!(write(&repairing), tree);
        assert!(repairing.verify(&tree).unwrap());
        fsck(&repairing);
        git(repairing.path(), &["gc", "-q", "--prune=now"]);
        assert!(writer(&top).verify(&tree).unwrap());
        // What is intact stays as it is.
        let before = files_below(repairing.path());
        repairing.remove_damaged_packs().unwrap();
        assert_eq!(files_below(repairing.path()), before);
    }
}

#[test]
fn what_is_lost_or_damaged_is_found_and_can_be_written_again() {
    let top = TempDir::new().unwrap();
    let write = |writer: &Writer| {
        let mut batch = writer.batch();
        let [lost, damaged] = ["lost", "damaged"].map(|content| batch.blob(content.as_bytes()).unwrap());
        let mut tree = TreeBuilder::new();
        for (path, hash) in [("a/lost", lost), ("a/damaged", damaged)] {
            let components: Vec<&[u8]> = path.split('/').map(str::as_bytes).collect();
            tree.put(&components, TreeEntry { hash, object_type: ObjectType::File }).unwrap();
        }
        let tree = tree.write(&mut batch).unwrap();
        batch.finish().unwrap();
        [tree, lost, damaged]
    };
    let [tree, lost, damaged] = write(&writer(&top));
    assert!(writer(&top).verify(&tree).unwrap());
    fs::remove_file(loose(&top, &lost)).unwrap();
    fs::remove_file(loose(&top, &damaged)).unwrap();
    fs::write(loose(&top, &damaged), "no object").unwrap();
    assert!(!writer(&top).verify(&tree).unwrap());
    assert!(!loose(&top, &damaged).exists(), "it hides the one that is written again");
    // The trees are there, so an ordinary writer takes all below them for written.
    write(&writer(&top).rewriting(true));
    assert!(writer(&top).verify(&tree).unwrap());
    fsck(&writer(&top));
    // A link in place of a directory of objects leads nowhere.
    let outside = top.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let file = loose(&top, &damaged);
    fs::rename(&file, outside.join(file.file_name().unwrap())).unwrap();
    fs::write(outside.join(file.file_name().unwrap()), "no object").unwrap();
    fs::remove_dir_all(file.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&outside, file.parent().unwrap()).unwrap();
    assert!(!writer(&top).verify(&tree).unwrap_or(false));
    assert_eq!(fs::read_to_string(outside.join(file.file_name().unwrap())).unwrap(), "no object");
}

/// A fetched repository with a list of commits without parents.
fn fetched(top: &TempDir) -> Writer {
    let fetched = Writer::open(&top.path().join("fetched")).unwrap();
    fs::write(fetched.path().join("shallow"), "0123456789012345678901234567890123456789\n").unwrap();
    fetched
}

#[test]
fn a_lock_of_git_that_is_old_was_left_by_a_killed_process() {
    let top = TempDir::new().unwrap();
    let (own, fetched) = (writer(&top), fetched(&top));
    let lock = own.path().join("shallow.lock");
    fs::write(&lock, "").unwrap();
    let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    fs::File::options().write(true).open(&lock).unwrap().set_modified(hour_ago).unwrap();
    own.adopt_packs_of(&fetched).unwrap();
    assert!(!lock.exists());
    assert_eq!(
        fs::read(own.path().join("shallow")).unwrap(),
        fs::read(fetched.path().join("shallow")).unwrap()
    );
}

/// It is only old because it is slow: its process lives.
#[test]
fn a_list_that_another_process_is_writing_is_waited_for() {
    let top = TempDir::new().unwrap();
    let (own, fetched) = (writer(&top), fetched(&top));
    let directory = Dir::of_user(own.path()).unwrap();
    let held = taut_sys::Lock::exclusive(directory.at("taut-shallow"), || {}).unwrap();
    let lock = own.path().join("shallow.lock");
    fs::write(&lock, "").unwrap();
    let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    fs::File::options().write(true).open(&lock).unwrap().set_modified(hour_ago).unwrap();
    std::thread::scope(|scope| {
        let adopting = scope.spawn(|| own.adopt_packs_of(&fetched));
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(lock.exists() && !adopting.is_finished());
        fs::rename(&lock, own.path().join("shallow")).unwrap();
        drop(held);
        adopting.join().unwrap().unwrap();
    });
    assert!(own.path().join("shallow").metadata().unwrap().len() > 0);
}

#[test]
fn what_killed_processes_left_is_removed_and_nothing_else() {
    let top = TempDir::new().unwrap();
    let own = writer(&top);
    for content in ["one", "two"] {
        let mut batch = own.batch();
        let mut tree = TreeBuilder::new();
        let blob = batch.blob(content.as_bytes()).unwrap();
        tree.put(&[&b"f"[..]], TreeEntry { hash: blob, object_type: ObjectType::File }).unwrap();
        let tree = tree.write(&mut batch).unwrap();
        batch.finish().unwrap();
        own.keep(Kind::Tree, &tree).unwrap();
    }
    git(own.path(), &["repack", "-q", "-a", "-d"]);
    let before = files_below(own.path());
    let left = [
        "HEAD.lock",
        "config.lock",
        "index.lock",
        "packed-refs.lock",
        "shallow.lock",
        "tmp_file_1_0",
        "refs/heads/a.lock",
        "refs/tags/b/c.lock",
        "objects/tmp_obj_x",
        "objects/00/tmp_obj_y",
        "objects/info/commit-graph.lock",
        "objects/pack/tmp_pack_1_2",
        "objects/pack/.tmp-1-pack-2.idx",
        "objects/pack/pack-0.pack",
        "objects/pack/pack-0.rev",
    ];
    for name in left {
        let path = own.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    remove_leftovers(own.path()).unwrap();
    assert_eq!(files_below(own.path()), before);
    fsck(&own);
    // Where there is none, there is nothing to do.
    remove_leftovers(&top.path().join("nowhere")).unwrap();
}
