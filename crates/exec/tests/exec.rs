//! The guarantees of execution, one test each; each test runs real processes.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{fs, os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use taut_digest::{HashFunction, ObjectType};
use taut_engine::{Build, Engine, Fail, Options};
use taut_exec::{
    ActionFailure, ArtifactKey, ArtifactRule, Built, Execution, LocalExecutor, LocalSetup, NoEvents, Sources,
    StopSwitch, register,
};
use taut_graph::{ActionGraph, GraphAction, LoadedGraph, LoadedGraphRule};
use taut_repos::{DirectoryRoot, SourceRoot};
use taut_store::Store;
use taut_sys::Dir;
use taut_sys::process::{GRACE, HelperStart, Processes, helper_main_if_requested};
use taut_value::{ActionDescription, Artifact, Id, Map, Tree, TreeOverlay, Value};
use tempfile::TempDir;

struct Directory(DirectoryRoot);

impl Sources for Directory {
    fn root(&self, _: &str) -> Option<&dyn SourceRoot> {
        Some(&self.0)
    }
}

struct World {
    root: TempDir,
    defined: ActionGraph,
    keep_going: bool,
    jobs: usize,
    timeout: Option<Duration>,
}

/// The output `out` of an action.
fn output(id: Id) -> Artifact {
    Artifact::Action { id, path: "out".into() }
}

impl World {
    fn new() -> World {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("src")).unwrap();
        World { root, defined: ActionGraph::default(), keep_going: false, jobs: 2, timeout: None }
    }

    /// An action that runs a shell script and has the file `out` as its output.
    fn sh(&mut self, script: &str, inputs: &[(&str, Artifact)]) -> Id {
        self.action(script, inputs, |action| action.outs = vec!["out".into()])
    }

    fn action(
        &mut self,
        script: &str,
        inputs: &[(&str, Artifact)],
        more: impl FnOnce(&mut ActionDescription),
    ) -> Id {
        let mut action = ActionDescription::default();
        action.command = vec!["sh".into(), "-c".into(), script.into()];
        action.timeout_scale = 1.0;
        action.inputs =
            inputs.iter().map(|(path, artifact)| (*path, Value::artifact(artifact.clone()))).collect::<Map>();
        more(&mut action);
        let id = action.id();
        let action = GraphAction { description: Arc::new(action), origins: Vec::new() };
        self.defined.actions.insert(id, action);
        id
    }

    fn source(&self, name: &str, content: &str) -> Artifact {
        fs::write(self.root.path().join("src").join(name), content).unwrap();
        Artifact::Local { path: name.into(), repository: "".into() }
    }

    fn start(&mut self) -> (Store, Arc<Execution>, Build) {
        let store = Store::open(&self.root.path().join("build"), HashFunction::GitSha1).unwrap();
        let stop = Arc::new(StopSwitch::new(self.keep_going));
        let executor = LocalExecutor::new(LocalSetup {
            store: store.clone(),
            processes: Processes::new(HelperStart::this_program()),
            events: Arc::new(NoEvents),
            launcher: vec!["env".into(), "--".into()],
            timeout: self.timeout,
            grace: GRACE,
            jobs: self.jobs,
            stop: stop.clone(),
        });
        let execution = Arc::new(Execution {
            store: store.clone(),
            context: Vec::new(),
            sources: Arc::new(Directory(DirectoryRoot::new(self.root.path().join("src")))),
            events: Arc::new(NoEvents),
            executor: Arc::new(executor),
            properties: Vec::new(),
            timeout: Duration::from_secs(300),
            compare: false,
            depfiles: Arc::new(taut_exec::NoDepfiles),
            shared: None,
            stop,
            counters: Default::default(),
        });
        let (graph, hash_function) = (Arc::new(std::mem::take(&mut self.defined)), HashFunction::GitSha1);
        let builder = Engine::builder().interned::<taut_graph::Definition>();
        let builder = builder.rule(LoadedGraphRule { graph, hash_function });
        let engine = register(builder, &execution).build();
        let build = engine.begin().commit(Options { keep_going: true, ..Options::default() });
        build.get::<LoadedGraphRule>(LoadedGraph).unwrap();
        (store, execution, build)
    }

    fn build(&mut self, artifact: Artifact) -> (Store, Result<Built, Fail>) {
        let (store, _, build) = self.start();
        (store, build.get::<ArtifactRule>(ArtifactKey(artifact)))
    }

    fn text(&mut self, artifact: Artifact) -> String {
        let (store, built) = self.build(artifact);
        let info = built.unwrap_or_else(|fail| panic!("{fail}")).info;
        String::from_utf8(store.read(&info.digest.hash, info.object_type).unwrap().unwrap()).unwrap()
    }

    fn failure(&mut self, artifact: Artifact) -> ActionFailure {
        let fail = self.build(artifact).1.unwrap_err();
        fail.downcast_ref::<ActionFailure>().unwrap_or_else(|| panic!("{fail}")).clone()
    }
}

fn an_action_sees_its_environment_and_nothing_else() {
    let mut world = World::new();
    let env: Map = [("A", Value::string("b c"))].into_iter().collect();
    let id =
        world.action("/usr/bin/env | grep -v ^PWD= | grep -v ^_= | grep -v ^SHLVL= > out", &[], |action| {
            action.outs = vec!["out".into()];
            action.env = env;
        });
    assert_eq!(world.text(output(id)), "A=b c\n");
}

fn outputs_of_one_action_are_inputs_of_the_next() {
    let mut world = World::new();
    let source = world.source("a.txt", "hello");
    let first = world.sh("tr a-z A-Z < in/a > out", &[("in/a", source)]);
    let second = world.sh("cat x y > out", &[("x", output(first)), ("y", output(first))]);
    assert_eq!(world.text(output(second)), "HELLOHELLO");
}

fn editing_an_input_changes_neither_the_store_nor_inputs_of_other_actions() {
    let mut world = World::new();
    let source = world.source("a.txt", "original");
    let first = world.sh("chmod u+w a; echo edited >> a; cp a out", &[("a", source.clone())]);
    let second = world.sh("cat first a > out", &[("first", output(first)), ("a", source)]);
    assert_eq!(world.text(output(second)), "originaledited\noriginal");
}

/// A world in which all actions run in one stage, one after another.
fn one_stage() -> World {
    World { jobs: 1, ..World::new() }
}

/// The environment of an action: names, kinds, modes, sizes and times of files, and contents.
const LIST: &str = "find . ! -name out -type f -printf '%p %m %s %T@\\n' | sort > out; \
    find . ! -name out ! -type f -printf '%p %y %m %l\\n' | sort >> out; find . -type f ! -name out | sort | xargs -r cat >> out";

fn an_action_finds_the_same_inputs_whatever_earlier_actions_did_in_its_stage() {
    let decoy = tempfile::tempdir().unwrap();
    fs::write(decoy.path().join("a"), "precious").unwrap();
    let outside = decoy.path().display();
    for before in [
        "true",
        "chmod u+w in/a; echo changed > in/a",
        "chmod u+w in/a; printf 1 > in/a; touch -d @0 in/a; chmod 444 in/a",
        "rm -f in/a; printf 1 > in/a; chmod 444 in/a; touch -d @0 in/a",
        &format!("rm -rf in; ln -s {outside} in"),
        "rm -rf in; mkdir in; mkdir -p in/a/b/c",
        "rm -f in/a; ln -s b in/a",
        "touch in/x y; mkdir -p in/sub/sub z; chmod 0 in/sub z",
        "chmod 500 in; chmod 0 in/a; chmod 700 .",
        "mv in/a in/c; mv in/b in/a; mv in/c in/b",
        &format!("ln in/a in/c; ln in/b {outside}/b; rm {outside}/b"),
        "mkfifo in/f; rm -r in/link; mkdir in/link",
    ] {
        let mut seen = Vec::new();
        for script in [before, "true"] {
            let mut world = one_stage();
            let (a, b) = (world.source("a", "1"), world.source("b", "2"));
            let link = world.sh("ln -s a out", &[]);
            let inputs =
                [("in/a", a.clone()), ("in/b", b.clone()), ("in/link", output(link)), ("c/d/e", b.clone())];
            let first = world.sh(&format!("{script}; echo > out"), &inputs);
            let more = [("first", output(first)), ("in/a", a), ("in/b", b), ("in/link", output(link))];
            let second = world.sh(LIST, &more);
            seen.push(world.text(output(second)));
        }
        assert_eq!(seen[0], seen[1], "{before}");
        assert_eq!(fs::read(decoy.path().join("a")).unwrap(), b"precious");
        assert!(seen[0].contains("./in/a 444 1 0.0000000000"), "{}", seen[0]);
    }
}

fn files_become_directories_and_the_reverse_from_action_to_action() {
    let mut world = one_stage();
    let (a, b) = (world.source("a", "1"), world.source("b", "2"));
    let first = world.sh("cat x/y z > out", &[("x/y", a.clone()), ("z", b.clone())]);
    let second =
        world.sh("cat first x z/y > out", &[("first", output(first)), ("x", b.clone()), ("z/y", a.clone())]);
    let third = world.sh("cat second y > out; ls >> out", &[("second", output(second)), ("y", a)]);
    assert_eq!(world.text(output(third)), "12211out\nsecond\ny\n");
}

fn an_output_below_a_link_to_the_outside_is_refused_and_the_link_is_named() {
    let mut world = World::new();
    let outside = world.root.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("out"), "precious").unwrap();
    let script = format!("rm -rf d; ln -s {} d", outside.display());
    let id = world.action(&script, &[], |action| action.outs = vec!["d/out".into()]);
    let failure = world.failure(Artifact::Action { id, path: "d/out".into() });
    let invalid = failure.ran.invalid.join("\n");
    assert!(invalid.contains("below the link d") && invalid.contains("outside"), "{invalid}");
    assert_eq!(fs::read(outside.join("out")).unwrap(), b"precious");
}

fn an_output_below_a_link_that_stays_inside_is_found() {
    let mut world = World::new();
    let script = "rmdir lib64; ln -s lib lib64; echo x > lib64/x.so";
    let id = world.action(script, &[], |action| action.outs = vec!["lib64/x.so".into(), "lib/x.so".into()]);
    assert_eq!(world.text(Artifact::Action { id, path: "lib64/x.so".into() }), "x\n");
}

fn after_a_failure_no_action_starts_and_results_of_running_ones_are_kept() {
    let mut world = World::new();
    let marker = world.root.path().join("marker");
    let slow = world.sh("sleep 0.5; echo slow > out", &[]);
    let bad = world.sh("sleep 0.1; exit 1", &[]);
    let next = world.sh(&format!("touch {}; cat in > out", marker.display()), &[("in", output(slow))]);
    for keep_going in [false, true] {
        world.keep_going = keep_going;
        let defined = ActionGraph { actions: world.defined.actions.clone(), ..ActionGraph::default() };
        let (_, execution, build) = world.start();
        world.defined = defined;
        let keys = [output(slow), output(bad), output(next)].map(ArtifactKey);
        let ends: Vec<bool> = build.all::<ArtifactRule>(keys).into_iter().map(|end| end.is_ok()).collect();
        assert!(!ends[1]);
        assert_eq!(ends[2], keep_going);
        assert_eq!(marker.exists(), keep_going);
        // The second time, the action that was running at the time of the failure is a cache hit.
        assert_eq!(execution.counters.cache_hits(), usize::from(keep_going));
    }
}

fn with_one_job_nothing_starts_after_the_action_that_failed() {
    for keep_going in [false, true] {
        let mut world = World::new();
        (world.jobs, world.keep_going) = (1, keep_going);
        let markers: Vec<_> =
            (0..4).map(|number| world.root.path().join(format!("started{number}"))).collect();
        // By its exit code, by an output that is missing, and before its command is started.
        let mut failing: Vec<Artifact> = Vec::new();
        for (marker, end) in markers.iter().zip(["exit 1", "true"].into_iter().cycle()) {
            failing.push(output(world.sh(&format!("touch {}; {end}", marker.display()), &[])));
        }
        let file = world.source("file", "");
        for name in ["a", "b"] {
            let path = format!("file/{name}");
            let id = world.action("true", &[("file", file.clone())], |action| {
                action.outs = vec![path.as_str().into()];
            });
            failing.push(Artifact::Action { id, path: path.as_str().into() });
        }
        let (_, _, build) = world.start();
        let ends = build.all::<ArtifactRule>(failing.into_iter().map(ArtifactKey));
        let is_failure = |end: &&Result<Built, Fail>| {
            end.as_ref().is_err_and(|fail| fail.downcast_ref::<ActionFailure>().is_some())
        };
        let failed = ends.iter().filter(is_failure).count();
        let started = markers.iter().filter(|marker| marker.exists()).count();
        if keep_going {
            assert_eq!((failed, started), (6, 4));
        } else {
            assert!(failed == 1 && started <= 1, "{failed} failed, {started} started");
        }
    }
}

fn a_failing_action_is_reported_and_not_cached() {
    let mut world = World::new();
    for _ in 0..2 {
        let id = world.sh("echo oops >&2; touch out; exit 3", &[]);
        let failure = world.failure(output(id));
        assert_eq!(failure.ran.exit_code, 3);
        assert_eq!(failure.to_string(), "action returned non-zero exit code 3");
        assert!(failure.ran.stderr.is_some());
    }
}

fn a_signal_counts_as_128_and_its_number() {
    let mut world = World::new();
    let id = world.sh("kill -9 $$", &[]);
    assert_eq!(world.failure(output(id)).ran.exit_code, 137);
}

fn missing_outputs_fail_the_action() {
    let mut world = World::new();
    let id = world.sh("mkdir out", &[]);
    let failure = world.failure(output(id));
    assert_eq!(failure.ran.missing.iter().map(|output| output.path.as_str()).collect::<Vec<_>>(), ["out"]);
    assert!(failure.to_string().contains("action executed with missing outputs."));
}

fn links_that_lead_outwards_are_refused_as_outputs() {
    let mut world = World::new();
    let inner = world.sh("ln -s there out", &[]);
    assert_eq!(world.text(output(inner)), "there");
    let decoy = tempfile::tempdir().unwrap();
    for script in ["ln -s ../x out", &format!("ln -s {}/file out", decoy.path().display())] {
        let id = world.sh(script, &[]);
        assert!(world.failure(output(id)).to_string().contains("found invalid symlink at out"), "{script}");
    }
}

fn directories_that_are_too_deep_for_a_path_are_refused_as_outputs() {
    let mut world = World::new();
    let half = "d/".repeat(1_500);
    let id = world.action(&format!("mkdir -p out/{half} b/{half} && mv b out/{half}"), &[], |action| {
        action.out_dirs = vec!["out".into()];
    });
    let message = world.failure(Artifact::Action { id, path: "out".into() }).to_string();
    assert!(message.contains("found invalid output directory at out: a path below it"), "{message}");
    let id =
        world.action(&format!("mkdir -p out/{half}"), &[], |action| action.out_dirs = vec!["out".into()]);
    let built = world.build(Artifact::Action { id, path: "out".into() }).1;
    assert_eq!(built.unwrap().info.object_type, ObjectType::Tree);
}

fn executable_bits_and_directories_are_kept() {
    let mut world = World::new();
    let id =
        world.action("mkdir d/sub; echo x > d/sub/f; chmod +x d/sub/f; ln -s sub/f d/l", &[], |action| {
            action.out_dirs = vec!["d".into()];
        });
    let (store, built) = world.build(Artifact::Action { id, path: "d".into() });
    let info = built.unwrap().info;
    assert_eq!(info.object_type, ObjectType::Tree);
    let out = world.root.path().join("installed");
    fs::create_dir(&out).unwrap();
    store.installer(&Dir::of_user(&out).unwrap()).install(&info, "d").unwrap();
    assert_eq!(fs::read(out.join("d/l")).unwrap(), b"x\n");
    assert_eq!(fs::metadata(out.join("d/sub/f")).unwrap().permissions().mode() & 0o777, 0o755);
}

fn equal_actions_run_once_even_if_they_are_defined_differently() {
    let mut world = World::new();
    let a = world.sh("echo same > out", &[]);
    let b = world.sh("printf 'same\\n' > out", &[]);
    let log = world.root.path().join("log");
    let script = format!("cat in >> {}; cat in in > out", log.display());
    let c = world.sh(&script, &[("in", output(a))]);
    let d = world.sh(&script, &[("in", output(b))]);
    assert_ne!(c, d);
    let (_, execution, build) = world.start();
    for built in build.all::<ArtifactRule>([ArtifactKey(output(c)), ArtifactKey(output(d))]) {
        built.unwrap();
    }
    assert_eq!(fs::read_to_string(log).unwrap(), "same\n");
    assert_eq!((execution.counters.processed(), execution.counters.cache_hits()), (4, 1));
}

fn an_action_that_may_fail_yields_outputs_marked_as_failed() {
    let mut world = World::new();
    let id = world.action("echo part > out; exit 1", &[], |action| {
        action.outs = vec!["out".into()];
        action.may_fail = Some("it may".into());
    });
    let next = world.sh("cat in > out", &[("in", output(id))]);
    let (_, built) = world.build(output(next));
    assert!(built.unwrap().failed);
}

fn a_time_limit_ends_the_action_and_its_children() {
    let mut world = World::new();
    world.timeout = Some(Duration::from_millis(300));
    let id = world.sh("sleep 100 & sleep 100; touch out", &[]);
    let failure = world.failure(output(id));
    assert!(failure.ran.timed_out);
    assert!(failure.to_string().contains("time limit"));
}

fn overlays_merge_directories_and_disjoint_ones_must_not_conflict() {
    let mut world = World::new();
    let (a, b) = (world.source("a", "1"), world.source("b", "2"));
    let tree = |entries: &[(&str, &Artifact)]| {
        Tree::new(
            entries.iter().map(|(path, artifact)| (*path, Value::artifact((*artifact).clone()))).collect(),
        )
    };
    let (low, high) = (tree(&[("d/x", &a), ("d/y", &a)]), tree(&[("d/y", &b), ("d/z", &b)]));
    for disjoint in [false, true] {
        let overlay = TreeOverlay::new(vec![low.artifact(), high.artifact()], disjoint);
        world.defined.trees.extend([(low.id(), low.clone()), (high.id(), high.clone())]);
        world.defined.overlays.insert(overlay.id(), overlay.clone());
        let (store, built) = world.build(overlay.artifact());
        if disjoint {
            assert!(built.unwrap_err().to_string().contains("Naming conflict detected at path \"d/y\""));
            continue;
        }
        let d = store.read_tree(&built.unwrap().info.digest.hash).unwrap().unwrap()[&b"d"[..]];
        let names: Vec<_> = store.read_tree(&d.hash).unwrap().unwrap().into_keys().collect();
        assert_eq!(names, [b"x", b"y", b"z"]);
    }
}

fn shared_directories_are_staged_at_their_paths() {
    let mut world = one_stage();
    let mut inputs = Vec::new();
    for number in 0..20 {
        let source = world.source(&format!("{number:02}"), &number.to_string());
        inputs
            .extend(["a/b/", "a/c/", "a/", ""].map(|above| (format!("{above}{number:02}"), source.clone())));
    }
    let with = |more: &[(String, Artifact)]| -> Vec<(String, Artifact)> { [&inputs, more].concat() };
    let list = |world: &mut World, inputs: &[(String, Artifact)]| {
        let inputs: Vec<(&str, Artifact)> =
            inputs.iter().map(|(path, artifact)| (path.as_str(), artifact.clone())).collect();
        world.sh("find . -type f ! -name out | sort | xargs -n1 sh -c 'echo $0 $(cat $0)' > out", &inputs)
    };
    let first = list(&mut world, &inputs);
    let second = list(&mut world, &with(&[("a/first".into(), output(first))]));
    let text = world.text(output(second));
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.retain(|line| !line.starts_with("./a/first "));
    let mut expected: Vec<String> = inputs
        .iter()
        .map(|(path, _)| format!("./{path} {}", path[path.len() - 2..].parse::<u8>().unwrap()))
        .collect();
    expected.sort();
    lines.sort();
    assert_eq!(lines, expected);
}

/// A test harness of its own: this binary is also the process helper, which has to be alone in its process.
fn main() {
    helper_main_if_requested();
    let tests: &[(&str, fn())] = &[
        ("shared_directories_are_staged_at_their_paths", shared_directories_are_staged_at_their_paths),
        ("an_action_sees_its_environment_and_nothing_else", an_action_sees_its_environment_and_nothing_else),
        ("outputs_of_one_action_are_inputs_of_the_next", outputs_of_one_action_are_inputs_of_the_next),
        (
            "editing_an_input_changes_neither_the_store_nor_inputs_of_other_actions",
            editing_an_input_changes_neither_the_store_nor_inputs_of_other_actions,
        ),
        (
            "an_action_finds_the_same_inputs_whatever_earlier_actions_did_in_its_stage",
            an_action_finds_the_same_inputs_whatever_earlier_actions_did_in_its_stage,
        ),
        (
            "files_become_directories_and_the_reverse_from_action_to_action",
            files_become_directories_and_the_reverse_from_action_to_action,
        ),
        (
            "an_output_below_a_link_to_the_outside_is_refused_and_the_link_is_named",
            an_output_below_a_link_to_the_outside_is_refused_and_the_link_is_named,
        ),
        (
            "an_output_below_a_link_that_stays_inside_is_found",
            an_output_below_a_link_that_stays_inside_is_found,
        ),
        (
            "with_one_job_nothing_starts_after_the_action_that_failed",
            with_one_job_nothing_starts_after_the_action_that_failed,
        ),
        (
            "after_a_failure_no_action_starts_and_results_of_running_ones_are_kept",
            after_a_failure_no_action_starts_and_results_of_running_ones_are_kept,
        ),
        ("a_failing_action_is_reported_and_not_cached", a_failing_action_is_reported_and_not_cached),
        ("a_signal_counts_as_128_and_its_number", a_signal_counts_as_128_and_its_number),
        ("missing_outputs_fail_the_action", missing_outputs_fail_the_action),
        (
            "directories_that_are_too_deep_for_a_path_are_refused_as_outputs",
            directories_that_are_too_deep_for_a_path_are_refused_as_outputs,
        ),
        ("links_that_lead_outwards_are_refused_as_outputs", links_that_lead_outwards_are_refused_as_outputs),
        ("executable_bits_and_directories_are_kept", executable_bits_and_directories_are_kept),
        (
            "equal_actions_run_once_even_if_they_are_defined_differently",
            equal_actions_run_once_even_if_they_are_defined_differently,
        ),
        (
            "an_action_that_may_fail_yields_outputs_marked_as_failed",
            an_action_that_may_fail_yields_outputs_marked_as_failed,
        ),
        ("a_time_limit_ends_the_action_and_its_children", a_time_limit_ends_the_action_and_its_children),
        (
            "overlays_merge_directories_and_disjoint_ones_must_not_conflict",
            overlays_merge_directories_and_disjoint_ones_must_not_conflict,
        ),
    ];
    std::process::exit(taut_testkit::run_tests(tests));
}
