//! Failures of execution other than those of actions: a typed cause, and the first action that has no result because
//! of it.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    fs,
    future::Future,
    os::unix::{fs::symlink, net::UnixListener},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use taut_digest::{HashFunction, ObjectInfo, ObjectType};
use taut_engine::{Build, Engine, Fail, Options};
use taut_exec::{
    ArtifactKey, ArtifactRule, Built, Cause, DepfileInputs, Execution, ExecutionFailure, Executor, NoEvents,
    RunEnd, RunKey, RunResult, SourceProblem, Sources, StopSwitch, Undefined, register,
};
use taut_graph::{ActionGraph, GraphAction, LoadedGraph, LoadedGraphRule};
use taut_repos::{DirectoryRoot, Listing, Observation, Result as RootResult, Source, SourceRoot, Symlinks};
use taut_store::Store;
use taut_value::{ActionDescription, Artifact, Id, Map, Str, Tree, TreeOverlay, Value};
use tempfile::TempDir;

/// A directory in which the file `restless` changes whenever it is read.
struct Restless(DirectoryRoot);

impl SourceRoot for Restless {
    fn identity(&self) -> Vec<u8> {
        self.0.identity()
    }

    fn shown(&self, path: &str) -> PathBuf {
        self.0.shown(path)
    }

    fn directory(&self) -> Option<&Path> {
        self.0.directory()
    }

    fn list(&self, path: &str, ignore_special: bool) -> RootResult<Listing> {
        self.0.list(path, ignore_special)
    }

    fn is_file(&self, path: &Path) -> bool {
        self.0.is_file(path)
    }

    fn read(&self, path: &str) -> RootResult<Option<Vec<u8>>> {
        self.0.read(path)
    }

    fn source<'p>(&self, path: &'p str) -> RootResult<Source<'p>> {
        self.0.source(path)
    }

    fn observe(&self, path: &str, symlinks: Symlinks, read: &mut dyn FnMut()) -> RootResult<Observation> {
        let observed = self.0.observe(path, symlinks, read)?;
        Ok(Observation { is_steady: observed.is_steady && path != "restless", ..observed })
    }

    fn witness(&self, path: &str, symlinks: Symlinks) -> RootResult<Vec<u8>> {
        self.0.witness(path, symlinks)
    }

    fn holds(&self, path: &str, symlinks: Symlinks, witness: &[u8]) -> bool {
        self.0.holds(path, symlinks, witness)
    }
}

struct Only(Restless);

impl Sources for Only {
    fn root(&self, repository: &str) -> Option<&dyn SourceRoot> {
        repository.is_empty().then_some(&self.0)
    }
}

/// Makes an empty file for every output.
struct Touch(Store);

impl Executor for Touch {
    fn run<'e>(
        &'e self,
        key: &'e RunKey,
        _: Option<&'e DepfileInputs<'e>>,
        _: &'e dyn RunEnd,
    ) -> Pin<Box<dyn Future<Output = Result<RunResult, Fail>> + Send + 'e>> {
        Box::pin(async {
            let digest = self.0.put_blob(b"", false).unwrap();
            let empty = ObjectInfo { digest, object_type: ObjectType::File };
            let output = |path: &Str| (path.clone(), if *path == *LOST { lost_link() } else { empty });
            let outputs = key.action.outs.iter().map(output).collect();
            Ok(RunResult { run_as: Some(key.id), outputs, ..RunResult::default() })
        })
    }
}

/// An output that is a link whose object is lost when the action has ended.
const LOST: &str = "lost";

fn lost_link() -> ObjectInfo {
    let digest = taut_digest::Digest { hash: HashFunction::GitSha1.blob(b"target"), size: 6 };
    ObjectInfo { digest, object_type: ObjectType::Symlink }
}

struct World {
    root: TempDir,
    store: Store,
    defined: ActionGraph,
}

impl World {
    fn new() -> World {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("src")).unwrap();
        let store = Store::open(&root.path().join("build"), HashFunction::GitSha1).unwrap();
        World { root, store, defined: ActionGraph::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("src").join(name)
    }

    fn action(&mut self, input: Artifact) -> Id {
        self.action_for("out", input)
    }

    fn action_for(&mut self, output: &str, input: Artifact) -> Id {
        let mut action = ActionDescription::default();
        action.command = vec!["make".into()];
        action.outs = vec![output.into()];
        action.inputs = stage([("in", input)]);
        let id = action.id();
        let action = GraphAction { description: Arc::new(action), origins: Vec::new() };
        self.defined.actions.insert(id, action);
        id
    }

    fn tree(&mut self, entries: Map) -> Tree {
        let tree = Tree::new(entries);
        self.defined.trees.insert(tree.id(), tree.clone());
        tree
    }

    fn begin(&mut self) -> Build {
        let execution = Arc::new(Execution {
            store: self.store.clone(),
            context: Vec::new(),
            sources: Arc::new(Only(Restless(DirectoryRoot::new(self.path(""))))),
            events: Arc::new(NoEvents),
            executor: Arc::new(Touch(self.store.clone())),
            properties: Vec::new(),
            timeout: Duration::from_secs(300),
            compare: false,
            depfiles: Arc::new(taut_exec::NoDepfiles),
            shared: None,
            stop: Arc::new(StopSwitch::new(true)),
            counters: Default::default(),
        });
        let (graph, hash_function) = (Arc::new(std::mem::take(&mut self.defined)), HashFunction::GitSha1);
        let builder = Engine::builder().interned::<taut_graph::Definition>();
        let engine = register(builder.rule(LoadedGraphRule { graph, hash_function }), &execution).build();
        let build = engine.begin().commit(Options { keep_going: true, ..Options::default() });
        build.get::<LoadedGraphRule>(LoadedGraph).unwrap();
        build
    }

    /// Fails to build an artifact.
    fn failure(&mut self, artifact: Artifact) -> ExecutionFailure {
        failure(&self.begin(), artifact)
    }
}

#[track_caller]
fn failure(build: &Build, artifact: Artifact) -> ExecutionFailure {
    let fail = build.get::<ArtifactRule>(ArtifactKey(artifact)).unwrap_err();
    fail.downcast_ref::<ExecutionFailure>().unwrap_or_else(|| panic!("{fail:?}")).clone()
}

fn stage<const N: usize>(entries: [(&str, Artifact); N]) -> Map {
    entries.into_iter().map(|(path, artifact)| (path, Value::artifact(artifact))).collect()
}

fn source(path: &str) -> Artifact {
    Artifact::Local { path: path.into(), repository: "".into() }
}

fn output(id: Id, path: &str) -> Artifact {
    Artifact::Action { id, path: path.into() }
}

#[test]
fn each_fault_of_a_source_has_its_own_cause() {
    let mut world = World::new();
    fs::write(world.path("restless"), "1").unwrap();
    let _socket = UnixListener::bind(world.path("socket")).unwrap();
    symlink("loop", world.path("loop")).unwrap();
    for (name, text) in [
        ("none", "no source file \"none\" in repository \"\"".to_owned()),
        ("socket", format!("source {} is neither a file nor a link", world.path("socket").display())),
        ("restless", format!("source {} keeps changing while it is read", world.path("restless").display())),
        ("loop/x", format!("source {} cannot be read: cannot open ", world.path("loop/x").display())),
    ] {
        let ExecutionFailure { cause, action } = world.failure(source(name));
        assert!(cause.to_string().starts_with(&text), "{cause}");
        let Cause::Source { path, why, .. } = &cause else { panic!("{cause:?}") };
        assert_eq!(path.as_str(), name);
        match why {
            SourceProblem::Absent => assert_eq!(name, "none"),
            SourceProblem::OtherKind => assert_eq!(name, "socket"),
            SourceProblem::Unsteady => assert_eq!(name, "restless"),
            SourceProblem::Unreadable(_) => assert_eq!(name, "loop/x"),
        }
        assert!(action.is_none() && !cause.is_lost() && !cause.is_undefined());
    }
}

#[test]
fn a_missing_definition_is_reported_as_undefined() {
    let mut world = World::new();
    let id = Id::of("nothing");
    let digest = taut_digest::Digest { hash: HashFunction::GitSha1.blob(b"nothing"), size: 7 };
    let object = ObjectInfo { digest, object_type: ObjectType::File };
    for (artifact, what) in [
        (output(id, "out"), Undefined::Action(id)),
        (Artifact::Tree(id), Undefined::Tree(id)),
        (Artifact::TreeOverlay(id), Undefined::Overlay(id)),
        (Artifact::Known(object), Undefined::Object(object)),
    ] {
        let cause = world.failure(artifact).cause;
        assert_eq!(cause, Cause::Undefined(what));
        assert!(cause.is_undefined());
    }
}

#[test]
fn a_cause_is_reported_with_the_first_action_on_each_path() {
    let mut world = World::new();
    let tree = world.tree(stage([("x", source("none"))]));
    let (first, second) = (world.action(source("none")), world.action(tree.artifact()));
    let above = world.action(output(first, "out"));
    let build = world.begin();
    let met = |artifact| {
        let ExecutionFailure { cause, action } = failure(&build, artifact);
        (cause, action.map(|(id, action)| (id, action.outs.clone())))
    };
    let at = |id| Some((id, vec!["out".into()]));
    let (cause, action) = met(output(above, "out"));
    assert_eq!(action, at(first));
    assert_eq!(met(output(second, "out")), (cause.clone(), at(second)));
    assert_eq!(met(tree.artifact()), (cause, None));
}

#[test]
fn an_output_that_an_action_does_not_have_is_reported_with_the_action() {
    let mut world = World::new();
    fs::write(world.path("a"), "1").unwrap();
    let id = world.action(source("a"));
    let user = world.action(output(id, "other"));
    let met = world.failure(output(user, "out"));
    assert_eq!(met.cause, Cause::NoOutput { action: id, path: "other".into() });
    assert_eq!(met.action.unwrap().0, user);
}

#[test]
fn a_result_with_a_link_that_cannot_be_read_is_not_recorded() {
    let mut world = World::new();
    fs::write(world.path("a"), "1").unwrap();
    let id = world.action_for(LOST, source("a"));
    let cause = world.failure(output(id, LOST)).cause;
    assert_eq!(cause, Cause::Lost(lost_link()));
    assert!(!world.path("../build/protocol-dependent/generation-0/git-sha1/ac").exists());
}

#[test]
fn differing_trees_of_a_disjoint_overlay_are_a_conflict() {
    let mut world = World::new();
    fs::write(world.path("a"), "1").unwrap();
    fs::write(world.path("b"), "2").unwrap();
    let trees = ["a", "b"].map(|name| world.tree(stage([("d/x", source(name))])).artifact());
    let overlay = TreeOverlay::new(trees.to_vec(), true);
    world.defined.overlays.insert(overlay.id(), overlay.clone());
    let cause = world.failure(overlay.artifact()).cause;
    assert_eq!(cause, Cause::Conflict { overlay: overlay.id(), path: "d/x".into() });
}

impl World {
    /// Where the store keeps objects of a kind.
    fn objects(&self, kind: &str) -> PathBuf {
        self.root.path().join("build/protocol-dependent/generation-0/git-sha1").join(kind)
    }
}

#[test]
fn an_object_that_vanishes_before_it_is_used_is_lost() {
    let mut world = World::new();
    fs::write(world.path("a"), "1").unwrap();
    let trees = ["x", "y"].map(|name| world.tree(stage([(name, source("a"))])).artifact());
    let overlay = TreeOverlay::new(trees.to_vec(), false);
    world.defined.overlays.insert(overlay.id(), overlay.clone());
    let id = world.action(overlay.artifact());
    let build = world.begin();
    let Built { info, .. } = build.get::<ArtifactRule>(ArtifactKey(trees[1].clone())).unwrap();
    let hex = info.digest.hash.to_string();
    fs::remove_file(world.objects("cast").join(&hex[..2]).join(&hex[2..])).unwrap();
    let met = failure(&build, output(id, "out"));
    assert!(matches!(&met.cause, Cause::Lost(object) if object.digest.hash == info.digest.hash), "{met}");
    assert!(met.cause.is_lost() && !met.cause.is_undefined());
    assert_eq!(met.action.unwrap().0, id);
}

#[test]
fn an_unwritable_store_is_reported_and_is_not_a_lost_object() {
    let mut world = World::new();
    fs::write(world.path("a"), "1").unwrap();
    let _ = fs::remove_dir_all(world.objects("casf"));
    fs::create_dir_all(world.objects("")).unwrap();
    fs::write(world.objects("casf"), "no directory").unwrap();
    let id = world.action(source("a"));
    let met = world.failure(output(id, "out"));
    assert!(matches!(met.cause, Cause::Store(_)) && !met.cause.is_lost(), "{met}");
    assert!(met.to_string().starts_with("cannot use the store: "), "{met}");
    assert_eq!(met.action.unwrap().0, id);
}
