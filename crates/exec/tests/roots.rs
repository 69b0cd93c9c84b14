//! The contract of every kind of root: the same cases for a directory, and for a tree of objects that are known by
//! their digests.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

#[path = "roots/memory.rs"]
mod memory;

use std::{
    fs,
    future::Future,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use memory::MemoryRoot;
use taut_digest::{Digest, HashFunction, ObjectInfo, ObjectType};
use taut_engine::{Build, Engine, Fail, Options};
use taut_exec::{
    ArtifactKey, ArtifactRule, Built, DepfileInputs, Execution, Executor, NoEvents, RunEnd, RunKey,
    RunResult, Sources, StopSwitch, register,
};
use taut_repos::{
    DirRule, DirectoryRoot, Entry, FileRule, Listing, Root, RootName, RootPath, Roots, SourceRoot, Symlinks,
};
use taut_store::Store;
use taut_value::Artifact;
use tempfile::TempDir;

/// A kind of root, and how tests change its content.
trait Kind {
    fn new(top: &Path) -> Self;
    fn root(&self) -> Arc<dyn SourceRoot>;
    fn file(&self, path: &str, content: &str, is_executable: bool);
    fn link(&self, path: &str, target: &str);
    fn remove(&self, path: &str);
}

struct OnDisk(std::path::PathBuf);

impl Kind for OnDisk {
    fn new(top: &Path) -> OnDisk {
        OnDisk(top.join("root"))
    }

    fn root(&self) -> Arc<dyn SourceRoot> {
        Arc::new(DirectoryRoot::new(&*self.0))
    }

    fn file(&self, path: &str, content: &str, is_executable: bool) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(if is_executable { 0o755 } else { 0o644 }))
            .unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        symlink(target, self.0.join(path)).unwrap();
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.0.join(path)).unwrap();
    }
}

struct InMemory(Arc<MemoryRoot>);

impl Kind for InMemory {
    fn new(_: &Path) -> InMemory {
        InMemory(Arc::default())
    }

    fn root(&self) -> Arc<dyn SourceRoot> {
        self.0.clone()
    }

    fn file(&self, path: &str, content: &str, is_executable: bool) {
        let object_type = if is_executable { ObjectType::Executable } else { ObjectType::File };
        self.0.put(path, Some((object_type, content.into())));
    }

    fn link(&self, path: &str, target: &str) {
        self.0.put(path, Some((ObjectType::Symlink, target.into())));
    }

    fn remove(&self, path: &str) {
        self.0.put(path, None);
    }
}

struct OneRoot(Arc<dyn SourceRoot>);

impl Sources for OneRoot {
    fn root(&self, repository: &str) -> Option<&dyn SourceRoot> {
        repository.is_empty().then_some(&*self.0)
    }
}

struct Nothing;

impl Executor for Nothing {
    fn run<'e>(
        &'e self,
        _: &'e RunKey,
        _: Option<&'e DepfileInputs<'e>>,
        _: &'e dyn RunEnd,
    ) -> Pin<Box<dyn Future<Output = Result<RunResult, Fail>> + Send + 'e>> {
        unreachable!("nothing defines an action")
    }
}

/// A root with some files, and an engine with its recorded state.
struct World<K> {
    _top: TempDir,
    kind: K,
    store: Store,
    engine: Engine,
    roots: Arc<Roots>,
    name: RootName,
}

impl<K: Kind> World<K> {
    fn new() -> World<K> {
        let top = tempfile::tempdir().unwrap();
        let kind = K::new(top.path());
        kind.file("TARGETS", "{}", false);
        kind.file("tool", "run", true);
        kind.file("d/one", "1", false);
        kind.file("d/two", "2", false);
        kind.file("d/sub/three", "3", false);
        kind.link("d/link", "one");
        kind.link("to-d", "d");
        let mut root = Root { source: kind.root(), name: RootName::default() };
        let mut roots = Roots::default();
        roots.add(&mut root);
        let (roots, name) = (Arc::new(roots), root.name);
        let store = Store::open(&top.path().join("build"), HashFunction::GitSha1).unwrap();
        let execution = Arc::new(Execution {
            store: store.clone(),
            context: Vec::new(),
            sources: Arc::new(OneRoot(root.source)),
            events: Arc::new(NoEvents),
            executor: Arc::new(Nothing),
            properties: Vec::new(),
            timeout: Duration::from_secs(300),
            compare: false,
            depfiles: Arc::new(taut_exec::NoDepfiles),
            shared: None,
            stop: Arc::new(StopSwitch::new(true)),
            counters: Default::default(),
        });
        let engine = Engine::builder().interned::<taut_graph::Definition>();
        let engine = engine.rule(DirRule(roots.clone())).rule(FileRule(roots.clone()));
        let engine = register(engine, &execution).build();
        World { _top: top, kind, store, engine, roots, name }
    }

    fn root(&self) -> &dyn SourceRoot {
        self.roots.get(self.name).unwrap()
    }

    fn place(&self, path: &str) -> RootPath {
        RootPath { root: self.name, path: path.into() }
    }

    fn begin(&self) -> Build {
        self.roots.forget();
        self.engine.begin().scan().commit(Options { keep_going: true, ..Options::default() })
    }

    fn read(&self, build: &Build, path: &str) -> Option<String> {
        let content = build.get::<FileRule>(self.place(path)).unwrap();
        content.map(|content| String::from_utf8(content.to_vec()).unwrap())
    }

    fn listed(&self, path: &str, ignore_special: bool) -> Option<Vec<(String, Entry)>> {
        match self.root().list(path, ignore_special).unwrap() {
            Listing::Entries(all) => {
                Some(all.iter().map(|listed| (listed.name.to_string(), listed.entry)).collect())
            }
            Listing::Absent => None,
            Listing::Unreadable(why) => panic!("{why}"),
        }
    }
}

fn artifact(build: &Build, path: &str) -> Result<Built, Fail> {
    let (path, repository) = (path.into(), "".into());
    build.get::<ArtifactRule>(ArtifactKey(Artifact::Local { path, repository }))
}

fn blob(content: &str, object_type: ObjectType) -> ObjectInfo {
    let hash = HashFunction::GitSha1.blob(content.as_bytes());
    ObjectInfo { digest: Digest { hash, size: content.len() as u64 }, object_type }
}

/// A test of each case for each kind.
macro_rules! for_each_kind {
    ($($case:ident),* $(,)?) => {
        mod directory {
            $(#[test] fn $case() { super::$case::<super::OnDisk>(&super::World::new()); })*
        }
        mod objects {
            $(#[test] fn $case() { super::$case::<super::InMemory>(&super::World::new()); })*
        }
    };
}

for_each_kind![
    directories_are_listed,
    files_are_read_through_links,
    sources_become_objects,
    what_is_no_source_fails,
    nothing_is_done_again_where_nothing_changed,
    a_change_invalidates_the_leaves_that_read_it,
    files_come_and_go,
    evidence_holds_until_something_changes,
    evidence_of_another_kind_proves_nothing,
    an_equal_root_is_the_same,
];

fn directories_are_listed<K: Kind>(world: &World<K>) {
    let names = |found: Option<Vec<(String, Entry)>>| found.unwrap();
    let owned = |all: &[(&str, Entry)]| -> Vec<(String, Entry)> {
        all.iter().map(|(name, entry)| ((*name).to_owned(), *entry)).collect()
    };
    let top =
        [("TARGETS", Entry::File), ("d", Entry::Directory), ("to-d", Entry::Symlink), ("tool", Entry::File)];
    assert_eq!(names(world.listed("", false)), owned(&top));
    let d = [("link", Entry::Symlink), ("one", Entry::File), ("sub", Entry::Directory), ("two", Entry::File)];
    assert_eq!(names(world.listed("d", false)), owned(&d));
    assert_eq!(names(world.listed("d", true)), owned(&d[1..]));
    for absent in ["none", "d/one", "to-d"] {
        assert_eq!(world.listed(absent, false), None, "{absent}");
    }
}

fn files_are_read_through_links<K: Kind>(world: &World<K>) {
    let build = world.begin();
    assert_eq!(world.read(&build, "d/one").as_deref(), Some("1"));
    assert_eq!(world.read(&build, "d/link").as_deref(), Some("1"));
    assert_eq!(world.read(&build, "none"), None);
    assert_eq!(world.read(&build, "none/below"), None);
    for (path, is_file) in
        [("TARGETS", true), ("d/link", true), ("d", false), ("to-d", false), ("none", false)]
    {
        assert_eq!(world.root().is_file(Path::new(path)), is_file, "{path}");
    }
}

fn sources_become_objects<K: Kind>(world: &World<K>) {
    let build = world.begin();
    for (path, content, object_type) in [
        ("d/one", "1", ObjectType::File),
        ("tool", "run", ObjectType::Executable),
        ("d/link", "one", ObjectType::Symlink),
    ] {
        let info = blob(content, object_type);
        assert_eq!(artifact(&build, path).unwrap(), Built { info, failed: false }, "{path}");
        let stored = world.store.read(&info.digest.hash, object_type).unwrap();
        assert_eq!(stored.as_deref(), Some(content.as_bytes()), "{path}");
    }
}

fn what_is_no_source_fails<K: Kind>(world: &World<K>) {
    let build = world.begin();
    for path in ["none", "none/below", "d/one/below"] {
        let error = artifact(&build, path).unwrap_err().to_string();
        assert_eq!(error, format!("no source file {path:?} in repository \"\""));
    }
    let (path, repository) = ("d/one".into(), "other".into());
    assert!(build.get::<ArtifactRule>(ArtifactKey(Artifact::Local { path, repository })).is_err());
}

/// All leaves of a small build.
fn look_at_all<K: Kind>(world: &World<K>) -> Vec<String> {
    let build = world.begin();
    build.get::<DirRule>(world.place("d")).unwrap();
    build.get::<DirRule>(world.place("none")).unwrap();
    world.read(&build, "TARGETS");
    world.read(&build, "d/link");
    artifact(&build, "d/one").unwrap();
    artifact(&build, "d/two").unwrap();
    build.log().iter().map(|ran| format!("{} {}", ran.key.rule(), shown(&ran.key))).collect()
}

fn shown(key: &taut_engine::KeyRef) -> String {
    match (key.downcast::<RootPath>(), key.downcast::<ArtifactKey>()) {
        (Some(place), _) => place.path.to_string(),
        (_, Some(ArtifactKey(Artifact::Local { path, .. }))) => path.to_string(),
        _ => String::new(),
    }
}

fn nothing_is_done_again_where_nothing_changed<K: Kind>(world: &World<K>) {
    assert_eq!(look_at_all(world).len(), 6);
    assert_eq!(look_at_all(world), [""; 0]);
    // Recreated with the same content.
    world.kind.file("d/one", "1", false);
    assert_eq!(look_at_all(world), [""; 0]);
}

fn a_change_invalidates_the_leaves_that_read_it<K: Kind>(world: &World<K>) {
    look_at_all(world);
    world.kind.file("d/one", "one", false);
    let again = look_at_all(world);
    // Where objects are known, the listing names them.
    let is_expected = |did: &String| matches!(&**did, "file d/link" | "artifact d/one" | "dir d");
    assert!(again.iter().all(is_expected), "{again:?}");
    assert!(again.contains(&"file d/link".to_owned()) && again.contains(&"artifact d/one".to_owned()));
    let build = world.begin();
    assert_eq!(world.read(&build, "d/link").as_deref(), Some("one"));
    assert_eq!(artifact(&build, "d/one").unwrap().info, blob("one", ObjectType::File));
}

fn files_come_and_go<K: Kind>(world: &World<K>) {
    look_at_all(world);
    world.kind.file("none/file", "now", false);
    assert_eq!(look_at_all(world), ["dir none"]);
    world.kind.remove("d/two");
    let build = world.begin();
    assert!(artifact(&build, "d/two").is_err());
    assert_eq!(world.listed("d", true).unwrap().len(), 2);
}

fn evidence_holds_until_something_changes<K: Kind>(world: &World<K>) {
    let root = world.root();
    for (path, symlinks) in
        [("d/one", Symlinks::NoFollow), ("d/link", Symlinks::Follow), ("none", Symlinks::NoFollow)]
    {
        let before = root.witness(path, symlinks).unwrap();
        let mut reads = 0;
        let observed = root.observe(path, symlinks, &mut || reads += 1).unwrap();
        assert!(observed.is_steady && observed.witness.is_some() && reads == 1, "{path}");
        let changed = if path == "none" { path } else { "d/one" };
        world.kind.file(changed, "changed", false);
        assert!(!root.holds(path, symlinks, &before), "{path}");
        assert_ne!(root.witness(path, symlinks).unwrap(), before, "{path}");
        world.kind.file("d/one", "1", false);
    }
}

fn evidence_of_another_kind_proves_nothing<K: Kind>(world: &World<K>) {
    for witness in [&b""[..], b"\x07", b"another root"] {
        assert!(!world.root().holds("d/one", Symlinks::NoFollow, witness));
        assert!(!world.root().holds("none", Symlinks::NoFollow, witness));
    }
}

fn an_equal_root_is_the_same<K: Kind>(world: &World<K>) {
    let mut roots = Roots::default();
    let mut add = |source: Arc<dyn SourceRoot>| {
        let mut root = Root { source, name: RootName { ignore_special: true, ..RootName::default() } };
        roots.add(&mut root);
        root.name
    };
    let (one, other) = (add(world.kind.root()), add(Arc::new(DirectoryRoot::new(Path::new("/elsewhere")))));
    assert_eq!([one.number, other.number], [0, 1]);
    assert_eq!(add(world.kind.root()), one);
}

#[test]
fn a_directory_of_known_objects_is_one_object_with_all_that_is_below() {
    let world: World<InMemory> = World::new();
    let info = artifact(&world.begin(), "d").unwrap().info;
    assert_eq!(info.object_type, ObjectType::Tree);
    let entries = world.store.read_tree(&info.digest.hash).unwrap().unwrap();
    let names: Vec<_> = entries.keys().map(|name| String::from_utf8_lossy(name)).collect();
    assert_eq!(names, ["link", "one", "sub", "two"]);
    let sub = world.store.read_tree(&entries[&b"sub"[..]].hash).unwrap().unwrap();
    assert!(world.store.contains(&sub[&b"three"[..]].hash, ObjectType::File).unwrap());
    // The listing names the same object.
    let Listing::Entries(top) = world.root().list("", false).unwrap() else { panic!("a listing") };
    let listed = top.iter().find(|listed| listed.name.as_str() == "d").unwrap();
    assert_eq!(listed.known.as_deref(), Some(&info));
}

#[test]
fn known_objects_are_read_once_and_only_if_the_store_lacks_them() {
    let world: World<InMemory> = World::new();
    world.store.put_blob(b"2", false).unwrap();
    let build = world.begin();
    artifact(&build, "d/two").unwrap();
    assert_eq!(world.kind.0.reads(), 0);
    artifact(&build, "d/one").unwrap();
    assert_eq!(world.kind.0.reads(), 1);
    // A tree: itself, and what is below it except the two files that are stored already.
    artifact(&build, "d").unwrap();
    let reads = world.kind.0.reads();
    world.kind.file("unrelated", "u", false);
    let build = world.begin();
    for path in ["d", "d/one", "d/two"] {
        artifact(&build, path).unwrap();
    }
    assert_eq!(world.kind.0.reads(), reads);
    assert!(build.log().is_empty());
}

#[test]
fn only_a_directory_has_a_path_on_disk() {
    let (on_disk, in_memory): (World<OnDisk>, World<InMemory>) = (World::new(), World::new());
    assert_eq!(on_disk.place("d/one").on_disk(&on_disk.roots), Some(on_disk.kind.0.join("d/one")));
    assert_eq!(in_memory.place("d/one").on_disk(&in_memory.roots), None);
    assert_eq!(&*in_memory.place("d/one").label(&in_memory.roots), "memory/d/one");
}
