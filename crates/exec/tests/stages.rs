//! Shared directories of inputs are tasks, built once. Actions are run by a fake executor.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use taut_digest::{Digest, Hash, HashFunction, ObjectInfo, ObjectType, TreeEntry};
use taut_engine::{Build, Engine, Fail, Options};
use taut_exec::{
    ActionFailure, ArtifactKey, ArtifactRule, Built, DepfileInputs, Execution, Executor, NoEvents, RunEnd,
    RunKey, RunResult, Sources, StopSwitch, register,
};
use taut_graph::{ActionGraph, GraphAction, LoadedGraph, LoadedGraphRule};
use taut_repos::{DirectoryRoot, SourceRoot};
use taut_store::Store;
use taut_value::{ActionDescription, Artifact, Id, Map, Str, Tree, Value};
use tempfile::TempDir;

struct Directory(DirectoryRoot);

impl Sources for Directory {
    fn root(&self, _: &str) -> Option<&dyn SourceRoot> {
        Some(&self.0)
    }
}

/// `same` has the same output whatever its inputs are, `fail` fails, all others output the digest of their run.
struct Fake {
    store: Store,
    ran: Arc<Mutex<Vec<Str>>>,
}

impl Executor for Fake {
    fn run<'e>(
        &'e self,
        key: &'e RunKey,
        _: Option<&'e DepfileInputs<'e>>,
        _: &'e dyn RunEnd,
    ) -> Pin<Box<dyn Future<Output = Result<RunResult, Fail>> + Send + 'e>> {
        Box::pin(async move {
            let word = key.action.command[0].clone();
            self.ran.lock().unwrap().push(word.clone());
            let content = if word == "same" { "same".to_owned() } else { key.digest.to_hex() };
            let digest = self.store.put_blob(content.as_bytes(), false).unwrap();
            let info = ObjectInfo { digest, object_type: ObjectType::File };
            let outputs = BTreeMap::from([("out".into(), info)]);
            Ok(RunResult {
                run_as: Some(key.id),
                outputs,
                exit_code: i32::from(word == "fail"),
                ..RunResult::default()
            })
        })
    }
}

struct World {
    root: TempDir,
    defined: ActionGraph,
}

/// What one process did.
struct Did {
    results: Vec<Result<Built, Fail>>,
    /// Rules and keys of the tasks that executed.
    tasks: Vec<String>,
    /// First words of the commands that ran.
    commands: Vec<Str>,
    store: Store,
}

impl Did {
    fn stages(&self) -> Vec<&str> {
        self.tasks.iter().filter_map(|task| task.strip_prefix("stage(")).collect()
    }
}

fn local(path: &str) -> Artifact {
    Artifact::Local { path: path.into(), repository: "".into() }
}

fn output(id: Id) -> Artifact {
    Artifact::Action { id, path: "out".into() }
}

impl World {
    fn new() -> World {
        World { root: tempfile::tempdir().unwrap(), defined: ActionGraph::default() }
    }

    fn write(&self, path: &str, content: &str) {
        let file = self.root.path().join("src").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }

    fn action(&mut self, word: &str, inputs: Map) -> Id {
        let mut action = ActionDescription::default();
        action.command = vec![word.into()];
        action.outs = vec!["out".into()];
        action.timeout_scale = 1.0;
        action.inputs = inputs;
        action.may_fail = (word == "fail").then(|| "it may".into());
        let id = action.id();
        let action = GraphAction { description: Arc::new(action), origins: Vec::new() };
        self.defined.actions.insert(id, action);
        id
    }

    /// Headers in `directories` directories, 16 in each.
    fn headers(&self, directories: usize) -> Vec<(Str, Value)> {
        let mut headers = Vec::new();
        for number in 0..16 * directories {
            let path = format!("include/d{:02}/h{number}.h", number / 16);
            self.write(&path, &path);
            headers.push((path.as_str().into(), Value::artifact(local(&path))));
        }
        headers
    }

    /// Actions on all the headers and a source of their own each.
    fn compilations(&mut self, count: usize, headers: &[(Str, Value)]) -> Vec<Artifact> {
        let compile = |number| {
            let source = format!("src/{number}.c");
            self.write(&source, &source);
            let own = (source.as_str().into(), Value::artifact(local(&source)));
            let inputs = headers.iter().cloned().chain([own]).collect();
            output(self.action("cc", inputs))
        };
        (0..count).map(compile).collect()
    }

    /// Runs a process that has the recorded state of the ones before.
    fn build(&self, wanted: &[Artifact]) -> Did {
        let (engine, store, ran) = self.process();
        let build = engine.begin().commit(Options { jobs: 4, ..Options::default() });
        let did = did(&build, wanted, store, &ran);
        engine.commit().unwrap();
        did
    }

    fn process(&self) -> (Engine, Store, Arc<Mutex<Vec<Str>>>) {
        let store = Store::open(&self.root.path().join("build"), HashFunction::GitSha1).unwrap();
        let ran = Arc::default();
        let execution = Arc::new(Execution {
            store: store.clone(),
            context: Vec::new(),
            sources: Arc::new(Directory(DirectoryRoot::new(self.root.path().join("src")))),
            events: Arc::new(NoEvents),
            executor: Arc::new(Fake { store: store.clone(), ran: Arc::clone(&ran) }),
            properties: Vec::new(),
            timeout: Duration::from_secs(300),
            compare: false,
            depfiles: Arc::new(taut_exec::NoDepfiles),
            shared: None,
            stop: Arc::new(StopSwitch::new(true)),
            counters: Default::default(),
        });
        let graph = ActionGraph {
            actions: self.defined.actions.clone(),
            trees: self.defined.trees.clone(),
            ..ActionGraph::default()
        };
        let (graph, hash_function) = (Arc::new(graph), HashFunction::GitSha1);
        let builder = Engine::builder().interned::<taut_graph::Definition>();
        let builder = builder.rule(LoadedGraphRule { graph, hash_function });
        let engine = register(builder, &execution).open(&self.root.path().join("traces"));
        (engine, store, ran)
    }
}

fn did(build: &Build, wanted: &[Artifact], store: Store, ran: &Mutex<Vec<Str>>) -> Did {
    build.get::<LoadedGraphRule>(LoadedGraph).unwrap();
    let results = build.all::<ArtifactRule>(wanted.iter().cloned().map(ArtifactKey));
    let log = build.log();
    let tasks = log.iter().filter(|ran| ran.key.rule() != "graph").map(|ran| ran.key.to_string()).collect();
    let commands = std::mem::take(&mut *ran.lock().unwrap());
    Did { results, tasks, commands, store }
}

#[test]
fn directories_shared_by_actions_are_built_once() {
    let mut world = World::new();
    let headers = world.headers(20);
    let wanted = world.compilations(50, &headers);
    let first = world.build(&wanted);
    assert!(first.results.iter().all(Result::is_ok));
    assert_eq!(first.commands.len(), 50);
    assert_eq!(first.stages().len(), 21, "{:?}", first.stages());
    let second = world.build(&wanted);
    assert_eq!(second.tasks, [""; 0]);
    assert_eq!(second.results.len(), 50);
}

#[test]
fn an_edit_of_a_header_rebuilds_the_directories_above_it_only() {
    let mut world = World::new();
    let headers = world.headers(20);
    let wanted = world.compilations(50, &headers);
    let before = world.build(&wanted);
    world.write("include/d07/h120.h", "edited");
    let after = world.build(&wanted);
    assert_eq!(after.stages().len(), 2, "{:?}", after.stages());
    assert_eq!(after.commands.len(), 50);
    let same = |(a, b): (&Result<Built, Fail>, &Result<Built, Fail>)| {
        a.as_ref().unwrap().info == b.as_ref().unwrap().info
    };
    assert!(!before.results.iter().zip(&after.results).any(same));
}

#[test]
fn an_edit_of_a_source_rebuilds_no_shared_directory() {
    let mut world = World::new();
    let headers = world.headers(20);
    let wanted = world.compilations(50, &headers);
    world.build(&wanted);
    world.write("src/3.c", "edited");
    let after = world.build(&wanted);
    assert_eq!((after.stages().len(), after.commands.len()), (0, 1));
}

#[test]
fn a_new_action_reuses_existing_shared_directories() {
    let mut world = World::new();
    let headers = world.headers(20);
    let wanted = world.compilations(2, &headers);
    world.build(&wanted);
    let more = world.compilations(3, &headers);
    let after = world.build(&more);
    assert_eq!((after.stages().len(), after.commands.len()), (0, 1));
}

#[test]
fn actions_are_cut_off_early_when_rebuilt_inputs_are_equal() {
    let mut world = World::new();
    world.write("version", "1");
    let inputs = [("version", Value::artifact(local("version")))].into_iter().collect();
    let generated = output(world.action("same", inputs));
    let mut headers = world.headers(20);
    headers.push(("include/d07/generated.h".into(), Value::artifact(generated)));
    let wanted = world.compilations(50, &headers);
    assert_eq!(world.build(&wanted).commands.len(), 51);
    world.write("version", "2");
    let after = world.build(&wanted);
    assert_eq!(after.commands, ["same"]);
    assert_eq!(after.stages(), [""; 0]);
}

#[test]
fn results_of_an_allowed_failure_are_marked_and_not_replayed() {
    let mut world = World::new();
    let failing = output(world.action("fail", Map::default()));
    let mut headers = world.headers(20);
    headers.push(("include/d07/generated.h".into(), Value::artifact(failing)));
    let wanted = world.compilations(1, &headers);
    for _ in 0..2 {
        let did = world.build(&wanted);
        assert!(did.results[0].as_ref().unwrap().failed);
        assert!(did.commands.contains(&"fail".into()));
    }
}

#[test]
fn failures_list_inputs_of_shared_directories_one_by_one() {
    let mut world = World::new();
    let mut inputs = world.headers(20);
    let tree = Tree::new([("x", Value::artifact(local("include/d00/h0.h")))].into_iter().collect());
    world.defined.trees.insert(tree.id(), tree.clone());
    inputs.push(("include/d00/tree".into(), Value::artifact(tree.artifact())));
    inputs.push(("main".into(), Value::artifact(local("include/d00/h0.h"))));
    let mut action = ActionDescription::default();
    action.command = vec!["fail".into()];
    action.outs = vec!["out".into()];
    action.inputs = inputs.into_iter().collect();
    let (id, action) = (action.id(), Arc::new(action));
    world.defined.actions.insert(id, GraphAction { description: action.clone(), origins: Vec::new() });
    let did = world.build(&[output(id)]);
    let fail = did.results[0].as_ref().unwrap_err();
    let found = &fail.downcast_ref::<ActionFailure>().unwrap_or_else(|| panic!("{fail}")).inputs;
    assert!(found.iter().map(|(path, _)| path).eq(action.inputs.keys()));
    let wanted: Vec<Artifact> =
        action.inputs.values().map(|value| value.as_artifact().unwrap().clone()).collect();
    let alone = world.build(&wanted);
    for ((path, info), result) in found.iter().zip(&alone.results) {
        assert_eq!(*info, result.as_ref().unwrap().info, "{path}");
    }
}

/// The tree as its definition has it, directory by directory.
fn naive(store: &Store, stage: &BTreeMap<String, ObjectInfo>) -> Digest {
    let mut entries: BTreeMap<String, TreeEntry> = BTreeMap::new();
    let mut below: BTreeMap<String, BTreeMap<String, ObjectInfo>> = BTreeMap::new();
    for (path, info) in stage {
        match path.split_once('/') {
            Some((name, rest)) => {
                below.entry(name.to_owned()).or_default().insert(rest.to_owned(), *info);
            }
            None => {
                let entry = TreeEntry { hash: info.digest.hash, object_type: info.object_type };
                entries.insert(path.clone(), entry);
            }
        }
    }
    for (name, stage) in below {
        let hash = naive(store, &stage).hash;
        entries.insert(name, TreeEntry { hash, object_type: ObjectType::Tree });
    }
    store.tree_digest(&entries).unwrap()
}

/// The paths of all files in a stored tree.
fn files(store: &Store, tree: Hash) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut pending = vec![(String::new(), tree)];
    while let Some((above, tree)) = pending.pop() {
        for (name, entry) in store.read_tree(&tree).unwrap().unwrap() {
            let path = above.clone() + std::str::from_utf8(&name).unwrap();
            if entry.object_type == ObjectType::Tree {
                pending.push((path + "/", entry.hash));
            } else {
                assert!(store.contains(&entry.hash, entry.object_type).unwrap());
                found.insert(path);
            }
        }
    }
    found
}

/// A tree has the same id as without splitting, and is stored with everything below it.
#[test]
fn trees_are_the_same_however_they_are_split() {
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % below
    };
    let mut world = World::new();
    let store = Store::open(&world.root.path().join("build"), HashFunction::GitSha1).unwrap();
    let mut expected = Vec::new();
    for round in 0..10 {
        let mut stage: BTreeMap<String, ObjectInfo> = BTreeMap::new();
        for number in 0..1 + random(400) {
            // Few names, so that directories are large, small, and nested; files have names of their own.
            let depth = random(6);
            let mut path: String =
                (0..depth).map(|_| ["a/", "b/", "a.b/", "é/"][random(2 + round % 3)]).collect();
            path.push_str(&format!("{}{number}", ["f", "a", "b."][random(3)]));
            let object_type = if random(5) == 0 { ObjectType::Executable } else { ObjectType::File };
            let executable = object_type == ObjectType::Executable;
            let digest = store.put_blob(random(50).to_string().as_bytes(), executable).unwrap();
            stage.insert(path, ObjectInfo { digest, object_type });
        }
        let known =
            |(path, info): (&String, &ObjectInfo)| (path.clone(), Value::artifact(Artifact::Known(*info)));
        let tree = Tree::new(stage.iter().map(known).collect());
        world.defined.trees.insert(tree.id(), tree.clone());
        expected.push((tree.artifact(), naive(&store, &stage), stage));
    }
    let wanted: Vec<Artifact> = expected.iter().map(|(artifact, ..)| artifact.clone()).collect();
    let did = world.build(&wanted);
    assert!(did.stages().len() > 10);
    for ((_, digest, stage), result) in expected.iter().zip(&did.results) {
        let info = result.as_ref().unwrap_or_else(|fail| panic!("{fail}")).info;
        assert_eq!(info.digest, *digest);
        assert_eq!(files(&did.store, info.digest.hash), stage.keys().cloned().collect());
    }
}
