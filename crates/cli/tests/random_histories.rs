//! Random projects with random histories: after every step, a call with cached build state gives the same answer as one
//! without, and a repetition executes nothing (`--check-traces`).
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use taut_testkit::{Case, Rng, Tool, Workspace, random_case, times};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

/// A random project with several modules.
fn description(rng: &mut Rng) -> Value {
    loop {
        let Case(case) = random_case(rng);
        if case["files"].get("m/TARGETS").is_some() {
            return case;
        }
    }
}

const MODULES: [&str; 3] = ["TARGETS", "m/TARGETS", "m/n/TARGETS"];
const RULES: [&str; 6] = ["RULES", "EXPRESSIONS", "m/RULES", "m/EXPRESSIONS", "m/n/RULES", "m/n/EXPRESSIONS"];
const SOURCES: [&str; 7] = ["s.txt", "m/s.txt", "m/n/s.txt", "tree/x", "tree/sub/y", "tree/new", "m/tree/x"];

struct History {
    workspace: Workspace,
    rng: Rng,
    /// Several descriptions, whose modules replace each other.
    descriptions: Vec<Value>,
    /// The description whose target is built.
    present: usize,
    config: Value,
    steps: Vec<String>,
    branches: usize,
}

impl History {
    fn new(seed: u64) -> History {
        let mut rng = Rng::new(seed);
        let descriptions: Vec<Value> = (0..3).map(|_| description(&mut rng)).collect();
        let workspace = Case(descriptions[0].clone()).write().unwrap();
        let mut history = History {
            workspace,
            rng,
            descriptions,
            present: 0,
            config: serde_json::json!({}),
            steps: Vec::new(),
            branches: 0,
        };
        history.git(&["init", "-q"]);
        history.commit();
        history
    }

    fn git(&self, words: &[&str]) -> bool {
        let mut git = Command::new("git");
        git.current_dir(self.workspace.root()).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        git.args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=b0"]).args(words);
        git.env("HOME", self.workspace.root());
        git.output().is_ok_and(|output| output.status.success())
    }

    /// Commits everything to a new branch. Without git there are no branches.
    fn commit(&mut self) -> String {
        let name = format!("branch-{}", self.branches);
        if self.git(&["checkout", "-q", "-b", &name]) && self.git(&["add", "-A"]) {
            self.git(&["commit", "-q", "--allow-empty", "-m", "state"]);
            self.branches += 1;
        }
        format!("commit {name}")
    }

    fn pick(&mut self, names: &[&str]) -> (String, PathBuf) {
        let name = names[self.rng.below(names.len())];
        (name.to_owned(), self.workspace.root().join(name))
    }

    fn step(&mut self) {
        let done = match self.rng.below(24) {
            0..=3 => {
                let (name, _) = self.pick(&SOURCES);
                let content = format!("{}\n", self.rng.below(3));
                self.workspace.file(&name, content);
                format!("write {name}")
            }
            4 => {
                let (name, path) = self.pick(&SOURCES);
                let _ = fs::remove_file(path);
                format!("remove {name}")
            }
            5 | 6 => {
                let (name, path) = self.pick(&SOURCES);
                self.write_with_other_time(&name, &path)
            }
            7 => {
                let (name, path) = self.pick(&SOURCES);
                let mode = if self.rng.chance(50) { 0o755 } else { 0o644 };
                let _ = fs::set_permissions(path, fs::Permissions::from_mode(mode));
                format!("mode of {name}: {mode:o}")
            }
            8..=10 => {
                let (name, path) = self.pick(&MODULES);
                let from = self.rng.below(self.descriptions.len());
                match self.descriptions[from]["files"][&name].get("json") {
                    Some(targets) => drop(fs::write(path, targets.to_string())),
                    None => drop(fs::remove_file(path)),
                }
                format!("{name} of description {from}")
            }
            11 => {
                self.present = self.rng.below(self.descriptions.len());
                format!("the target of description {}", self.present)
            }
            12 => {
                let values = ["null", "\"a\"", "[\"a\", \"b\"]", "1"];
                let (x, y) = (values[self.rng.below(4)], values[self.rng.below(4)]);
                self.config = serde_json::from_str(&format!("{{\"X\": {x}, \"Y\": {y}}}")).unwrap();
                format!("configuration {}", self.config)
            }
            13 => {
                let (from, to) = (self.workspace.root().join("m"), self.workspace.root().join("moved"));
                if fs::rename(&from, &to).is_ok() {
                    "rename m to moved".to_owned()
                } else {
                    format!("rename moved to m: {}", fs::rename(&to, &from).is_ok())
                }
            }
            14 => self.commit(),
            15 | 16 => {
                let branch = format!("branch-{}", self.rng.below(self.branches.max(1)));
                format!("check out {branch}: {}", self.git(&["checkout", "-q", "-f", &branch]))
            }
            17 => self.tamper(),
            18 => {
                let (name, path) = self.pick(&RULES);
                let from = self.rng.below(self.descriptions.len());
                match self.descriptions[from]["files"].get(&name).and_then(|file| file.get("json")) {
                    Some(rules) => drop(fs::write(path, rules.to_string())),
                    None => drop(fs::remove_file(path)),
                }
                format!("{name} of description {from}")
            }
            19 => {
                let ((from, source), (to, target)) = (self.pick(&SOURCES), self.pick(&SOURCES));
                format!("rename {from} to {to}: {}", fs::rename(source, target).is_ok())
            }
            20 => {
                let (name, path) = self.pick(&MODULES);
                // Other bytes with the same meaning.
                let text = fs::read_to_string(&path).ok();
                let described = text.and_then(|text| serde_json::from_str::<Value>(&text).ok());
                let written = described.map(|json| fs::write(path, format!("{json:#}")).is_ok());
                format!("format {name}: {written:?}")
            }
            21 => self.damage(),
            22 => {
                let mut child = self.workspace.start(&taut(), self.words("build", &[]));
                std::thread::sleep(Duration::from_millis(self.rng.below(80) as u64));
                let _ = child.kill();
                let _ = child.wait();
                "kill -9 a build".to_owned()
            }
            _ => {
                self.workspace.run(&taut(), ["gc"]).exits(0);
                "gc".to_owned()
            }
        };
        self.steps.push(done);
    }

    /// Damages a file of cached build state.
    fn damage(&mut self) -> String {
        let mut found = Vec::new();
        let mut open = vec![self.workspace.build_root().join("taut")];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() { open.push(path) } else { found.push(path) }
            }
        }
        found.sort();
        if found.is_empty() {
            return "nothing to damage".to_owned();
        }
        let path = &found[self.rng.below(found.len())];
        let mut bytes = fs::read(path).unwrap_or_default();
        match self.rng.below(3) {
            0 => bytes.truncate(self.rng.below(bytes.len().max(1))),
            1 if !bytes.is_empty() => {
                let at = self.rng.below(bytes.len());
                bytes[at] ^= 1 << self.rng.below(8);
            }
            _ => bytes.extend(b"more"),
        }
        let _ = fs::write(path, bytes);
        format!("damage {}", path.display())
    }

    /// Changes a content and sets another modification time, as if the clock had jumped.
    fn write_with_other_time(&mut self, name: &str, path: &Path) -> String {
        let before = fs::metadata(path).and_then(|metadata| metadata.modified());
        let day = Duration::from_secs(86_400);
        let (what, time) = match self.rng.below(4) {
            0 => ("the time it had", before.unwrap_or(SystemTime::UNIX_EPOCH)),
            1 => ("a time long ago", SystemTime::UNIX_EPOCH + day),
            2 => ("a time tomorrow", SystemTime::now() + day),
            _ => ("the time of another file", fs::metadata("/").and_then(|m| m.modified()).unwrap()),
        };
        self.workspace.file(name, format!("{}\n", self.rng.below(3)));
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(time).unwrap();
        format!("write {name} with {what}")
    }

    /// Overwrites an installed file, or removes an object from the store.
    fn tamper(&mut self) -> String {
        if self.rng.chance(50) {
            let path = self.workspace.beside("out");
            let Some(entry) = fs::read_dir(&path).into_iter().flatten().flatten().next() else {
                return "nothing to spoil".to_owned();
            };
            let _ = fs::write(entry.path(), "spoilt");
            return format!("spoil {}", entry.file_name().display());
        }
        let kind = ["ac", "casf", "casx", "cast"][self.rng.below(4)];
        let store = self.workspace.build_root().join("protocol-dependent/generation-0/git-sha1").join(kind);
        let shards = fs::read_dir(store).into_iter().flatten().flatten();
        let mut objects: Vec<PathBuf> = shards
            .flat_map(|shard| fs::read_dir(shard.path()).into_iter().flatten().flatten())
            .map(|entry| entry.path())
            .collect();
        objects.sort();
        if objects.is_empty() {
            return format!("nothing in {kind}");
        }
        let _ = fs::remove_file(&objects[self.rng.below(objects.len())]);
        format!("remove something from {kind}")
    }

    fn words(&self, subcommand: &str, more: &[&str]) -> Vec<String> {
        let target = self.descriptions[self.present]["target"].as_array().unwrap();
        let target = target.iter().map(|word| word.as_str().unwrap());
        let define = self.config.to_string();
        let words = [subcommand, "-D", &define, "--plain-log"].into_iter().chain(more.iter().copied());
        words.chain(target).map(str::to_owned).collect()
    }

    fn check(&self, subcommand: &str, more: &[&str]) {
        let more = [&["--check-traces"], more].concat();
        let ran = self.workspace.run(&taut(), self.words(subcommand, &more));
        let is_right = ran.stderr.contains("Cache check passed.");
        let (steps, call) = (&self.steps, self.words(subcommand, &more));
        assert!(is_right, "{steps:#?}\n{call:?}\n--- stdout\n{}--- stderr\n{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn after_random_steps_cached_build_state_is_right_and_a_repetition_executes_nothing() {
    let first = std::env::var("TAUT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    for seed in first..first + times(4) as u64 {
        let mut history = History::new(seed);
        let out = history.workspace.beside("out").display().to_string();
        for round in 0..10 {
            history.steps.push(format!("-- seed {seed}, round {round}"));
            for _ in 0..history.rng.below(4) {
                history.step();
            }
            match history.rng.below(6) {
                5 => history.check("describe", &[]),
                0 => history.check("analyse", &[]),
                1 => history.check("build", &["--keep-going", "--dump-artifacts", "-", "-s"]),
                2 => history.check("install", &["-o", &out]),
                _ => history.check("install", &["-o", &out, "--keep-going", "-s"]),
            }
        }
    }
}
