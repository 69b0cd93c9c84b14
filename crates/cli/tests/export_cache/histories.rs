//! Random histories: pins change, entries and objects are lost or damaged, garbage is collected. Each build has the
//! result of one from nothing, and analysis finds what it finds without cached build state.

use std::fs;

use serde_json::json;
use taut_testkit::{Rng, Tool, times};

use crate::project::{Project, exports_found, files, taut};

/// The targets of a repository in a version; exported ones of the repository behind `next` are among their
/// dependencies.
fn targets(version: usize, has_next: bool) -> String {
    let next = if has_next { r#", ["@", "next", "", "e1"]"# } else { "" };
    let name = if version == 2 { "renamed" } else { "t1" };
    format!(
        r#"
{{ "t0": {{"type": "r", "name": ["t0"], "deps": ["s"]}}
, "e0": {{"type": "export", "target": "t0", "flexible_config": ["A"]}}
, "t1": {{"type": "r", "name": ["{name}"], "deps": ["e0", "s"{next}]}}
, "e1": {{"type": "export", "target": "t1", "flexible_config": ["A", "B"]}}
}}"#
    )
}

struct History {
    project: Project,
    /// The trees of each repository, by version.
    trees: Vec<Vec<String>>,
    pins: Vec<usize>,
    defines: &'static str,
}

const REPOSITORIES: [&str; 3] = ["a", "b", "c"];

impl History {
    fn new() -> History {
        let project = Project::new();
        let trees = (0..REPOSITORIES.len()).map(|repository| {
            let has_next = repository + 1 < REPOSITORIES.len();
            let tree = |version: usize| {
                let source = format!("{} {}\n", REPOSITORIES[repository], version % 2);
                project.tree(&[("TARGETS", &targets(version, has_next)), ("s", &source)])
            };
            (0..3).map(tree).collect()
        });
        let trees = trees.collect();
        let history = History { project, trees, pins: vec![0; REPOSITORIES.len()], defines: "{}" };
        history.configure();
        history.project.workspace.file("own", "own\n").file(
            "TARGETS",
            r#"
{ "all": {"type": "install", "dirs": [[["@", "a", "", "e1"], "a"], [["@", "c", "", "e0"], "c"], ["use", "use"]]}
, "use": {"type": "generic", "outs": ["use"], "cmds": ["LC_ALL=C; export LC_ALL; cat o-* t/* own >use"], "deps": [["@", "a", "", "e1"], ["@", "b", "", "e1"], "own"]}
}"#,
        );
        history
    }

    fn configure(&self) {
        let repository = |number: usize| {
            // The last one is bound to the first, so all are in one cycle.
            let next = REPOSITORIES[(number + 1) % REPOSITORIES.len()];
            let root = self.project.root(&self.trees[number][self.pins[number]]);
            (REPOSITORIES[number], json!({"workspace_root": root, "bindings": {"next": next}}))
        };
        self.project.configure(&(0..REPOSITORIES.len()).map(repository).collect::<Vec<_>>());
    }

    /// One thing that happens between builds; what it was.
    fn step(&mut self, rng: &mut Rng) -> String {
        let lose = |path: &std::path::Path, is_damaged: bool| {
            let _ = fs::remove_file(path);
            if is_damaged {
                fs::write(path, "damaged").unwrap();
            }
        };
        let one_of = |rng: &mut Rng, directory: &str| {
            let mut all = Vec::new();
            files(&self.project.store(0, directory), &mut |path| all.push(path.to_owned()));
            all.sort();
            (!all.is_empty()).then(|| all[rng.below(all.len())].clone())
        };
        match rng.below(10) {
            0..4 => {
                let repository = rng.below(REPOSITORIES.len());
                self.pins[repository] = rng.below(3);
                self.configure();
                format!("{} is pinned to {}", REPOSITORIES[repository], self.pins[repository])
            }
            4 => {
                let number = rng.below(3);
                self.project.workspace.file("own", format!("own {number}\n"));
                format!("own is {number}")
            }
            5 => {
                self.defines = ["{}", r#"{"A": 1}"#, r#"{"A": 1, "B": "b"}"#, r#"{"C": 1}"#][rng.below(4)];
                format!("configuration {}", self.defines)
            }
            6 => {
                self.project.workspace.run(&taut(), ["gc"]).exits(0);
                "collection".to_owned()
            }
            7 | 8 => match one_of(rng, "tc") {
                Some(entry) => {
                    let is_damaged = rng.chance(50);
                    lose(&entry, is_damaged);
                    format!("entry {} is lost, damaged: {is_damaged}", entry.display())
                }
                None => "nothing".to_owned(),
            },
            _ => {
                let kind = ["casf", "cast"][rng.below(2)];
                match one_of(rng, kind) {
                    Some(object) => {
                        lose(&object, false);
                        format!("object {} is lost", object.display())
                    }
                    None => "nothing".to_owned(),
                }
            }
        }
    }

    fn words<'w>(&'w self, words: &[&'w str]) -> Vec<&'w str> {
        [words, &["-C", "repos.json", "-D", self.defines, "all"]].concat()
    }
}

#[test]
fn builds_have_the_results_of_builds_from_nothing() {
    let just = || Tool::at(env!("CARGO_BIN_EXE_taut")).called("just");
    for seed in 0..times(2) as u64 {
        let mut rng = Rng::new(23 + seed);
        let mut history = History::new();
        let mut steps = Vec::new();
        for _ in 0..18 {
            steps.push(history.step(&mut rng));
            let workspace = &history.project.workspace;
            let analyse = |is_cached: bool| {
                let dumps = ["analyse", "--dump-result", "-", "--dump-export-targets", "exports"];
                let run = || workspace.run(&just(), history.words(&dumps)).exits(0);
                let ran = if is_cached { run() } else { history.project.without_state(run) };
                let exports = fs::read_to_string(workspace.root().join("exports")).unwrap();
                (exports_found(&ran).map(str::to_owned), ran.stdout, exports)
            };
            if rng.chance(50) {
                assert_eq!(analyse(true), analyse(false), "seed {seed}: {steps:#?}");
            }
            let built = workspace.run(&just(), history.words(&["build", "--dump-artifacts", "-"])).exits(0);
            let anew = workspace.beside("anew");
            let _ = fs::remove_dir_all(&anew);
            let words = history.words(&["build", "--dump-artifacts", "-"]);
            let mut command = just().command(&workspace.root());
            command.arg(words[0]).arg("--local-build-root").arg(&anew).args(&words[1..]);
            let from_nothing = command.output().unwrap();
            assert!(from_nothing.status.success(), "{}", String::from_utf8_lossy(&from_nothing.stderr));
            let expected = String::from_utf8(from_nothing.stdout).unwrap();
            assert_eq!(built.stdout, expected, "seed {seed}: {steps:#?}\n{}", built.stderr);
            // What is missing was written, so the next build finds all of it.
            let found = analyse(true);
            assert_eq!(found, analyse(false), "seed {seed}: {steps:#?}");
            assert!(found.0.is_some_and(|found| found.contains(" 0 uncached")), "seed {seed}: {steps:#?}");
        }
    }
}
