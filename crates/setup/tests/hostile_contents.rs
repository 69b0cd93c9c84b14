//! A thousand set-ups of what was changed at random: archives of every format, objects and packs of git repositories,
//! and descriptions of repositories. None panics or hangs, changes a file outside of its build root, or leaves anything
//! behind when it fails. `TAUT_SOAK` multiplies the number.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc,
    time::Duration,
};

use taut_digest::HashFunction;
use taut_setup::{Cache, Description, Event, Observer, Options, Request, Root, Session};
use taut_store::Store;
use taut_syntax::Dialect;
use taut_testkit::{Rng, mutated, times};
use tempfile::TempDir;

/// How long a set-up may take before it counts as one that never ends.
const HANG: Duration = Duration::from_secs(300);

/// How many of each kind there are in one round.
const ARCHIVES: usize = 600;
const OBJECTS: usize = 100;
const DESCRIPTIONS: usize = 300;

struct Nothing;

impl Observer for Nothing {
    fn event(&self, _: Event<'_>) {}
}

/// Everything below a directory: files and links with what they contain.
fn all_below(top: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![top.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                found.insert(path, target.into_os_string().into_encoded_bytes());
            } else if path.is_dir() {
                found.insert(path.clone(), Vec::new());
                pending.push(path);
            } else {
                found.insert(path.clone(), fs::read(path).unwrap());
            }
        }
    }
    found
}

/// A directory with what a set-up reads, and beside it the build root.
struct World {
    top: TempDir,
}

impl World {
    fn new() -> World {
        let top = TempDir::new().unwrap();
        // Names that hostile entries lead to.
        for decoy in ["outside/etc/passwd", "outside/x", "x", "etc/passwd", "work/x"] {
            let path = top.path().join(decoy);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "decoy").unwrap();
        }
        World { top }
    }

    fn work(&self) -> PathBuf {
        self.top.path().join("work")
    }

    fn options(&self) -> Options {
        Options {
            distdirs: vec![self.work()],
            git: "git".into(),
            launcher: vec!["env".to_owned(), "--".to_owned()],
            jobs: 2,
            is_strict: true,
            // No system's or user's settings of git.
            environment: [("PATH", std::env::var_os("PATH").unwrap_or_default())]
                .into_iter()
                .chain([("HOME", self.top.path().as_os_str().to_owned())])
                .chain([("GIT_CONFIG_NOSYSTEM", "1".into())])
                .map(|(name, value)| (name.into(), value))
                .collect(),
            ..Options::default()
        }
    }

    /// Sets all repositories of a description up in a new build root, and checks what is there then; `is_alone` if it
    /// is a single one. Returns the roots if that succeeded.
    fn set_up(&self, description: &str, is_alone: bool, case: &str) -> Option<BTreeMap<String, Root>> {
        let file = self.work().join("repos.json");
        fs::write(&file, description).unwrap();
        let before = all_below(self.top.path());
        let build = TempDir::new().unwrap();
        let store = Store::open(build.path(), HashFunction::GitSha1).unwrap();
        let cache = Cache::open(build.path()).unwrap();
        let options = self.options();
        let session = Session::new(&options, &store, &cache, &Nothing);
        let read = Description::read(Dialect::Strict, &file, &self.work(), None);
        let request = Request { all: true, ..Request::default() };
        let roots = read.ok().and_then(|read| match session.set_up(&read, &request) {
            Ok(done) => Some(done.roots),
            Err(problems) => {
                for problem in problems.iter() {
                    assert!(!problem.message.is_empty(), "{case}");
                }
                assert!(!problems.is_empty(), "{case}");
                None
            }
        });
        drop(session);
        drop((cache, store));
        assert!(all_below(self.top.path()) == before, "{case}: files outside of the build root changed");
        let left = all_below(build.path());
        for path in left.keys().filter(|path| !path.is_dir()) {
            let inner = path.strip_prefix(build.path()).unwrap().to_string_lossy().into_owned();
            let is_temporary =
                ["tmp_", ".tmp", ".lock", "ephemeral/", "tmp/"].iter().any(|part| inner.contains(part));
            // The locks of the directories are files that stay.
            assert!(!is_temporary || inner.ends_with("gc.lock"), "{case}: left behind: {inner}");
            // Of the only repository nothing is there.
            let is_object = inner.contains("/git/objects/") || inner.contains("/casf/");
            assert!(!is_object || !is_alone || roots.is_some(), "{case}: left behind: {inner}");
        }
        roots
    }

    /// Whether a git repository of a build root or of this world is sound is for git to say.
    fn git(&self, directory: &Path, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(directory)
            .env("HOME", self.top.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

/// Changes a few places of a content.
fn damage(rng: &mut Rng, content: &mut Vec<u8>) {
    for _ in 0..=rng.below(3) {
        if content.is_empty() {
            return;
        }
        let at = rng.below(content.len());
        let end = (at + 1 + rng.below(40)).min(content.len());
        match rng.below(6) {
            0 => content.truncate(at),
            1 => content[at] ^= 1 << rng.below(8),
            2 => content[at] = *rng.pick(&[0, 0x7f, 0x80, 0xff, b'/', b'.', b'0']),
            3 => content[at..end].fill(*rng.pick(&[0, 0xff])),
            4 => drop(content.drain(at..end)),
            _ => content.splice(at..at, content[at..end].to_vec()).for_each(drop),
        }
    }
}

/// The archives of the tests of `archive`: good ones of every format, and hostile ones.
fn archives() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../archive/tests/golden");
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|ending| ending != "txt")).collect();
    paths.sort();
    paths
}

fn archive(name: &str, content: &[u8]) -> String {
    let id = HashFunction::GitSha1.blob(content).to_hex();
    let kind = if name.ends_with(".zip") || name.ends_with(".7z") { "zip" } else { "archive" };
    format!(
        r#"{{"repository": {{"type": "{kind}", "content": "{id}", "fetch": "http://127.0.0.1:1/{name}"}}}}"#
    )
}

/// Runs numbered cases in a thread of its own, so that one that panics or hangs is known by its number. A case says
/// whether the set-up succeeded; returns how many did.
fn run(kind: &'static str, count: usize, case: impl FnMut(usize) -> bool + Send + 'static) -> usize {
    let mut case = case;
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        for number in 0..count {
            let _ = send.send(case(number));
        }
    });
    let done = (0..count).map(|number| match receive.recv_timeout(HANG) {
        Ok(succeeded) => usize::from(succeeded),
        Err(_) => panic!("{kind} {number} panicked or does not end"),
    });
    done.sum()
}

#[test]
fn set_ups_of_changed_archives_stay_inside_and_leave_nothing_behind() {
    let count = times(ARCHIVES);
    let all = archives();
    let mut rng = Rng::new(31);
    let succeeded = run("archive", count, move |number| {
        let world = World::new();
        // Each in turn, so that none is left out.
        let path = &all[number % all.len()];
        let name = path.file_name().unwrap().to_str().unwrap();
        let mut content = fs::read(path).unwrap();
        // The first time as it is: many are hostile by themselves.
        if number >= all.len() {
            damage(&mut rng, &mut content);
        }
        fs::write(world.work().join(name), &content).unwrap();
        let text = format!(r#"{{"repositories": {{"a": {}}}}}"#, archive(name, &content));
        world.set_up(&text, true, &format!("{number}, {name}")).is_some()
    });
    assert!(succeeded > count / 20 && succeeded < count * 9 / 10, "{succeeded} of {count} succeeded");
}

#[test]
fn set_ups_from_changed_objects_and_packs_yield_the_same_tree_or_fail() {
    let count = times(OBJECTS);
    let mut rng = Rng::new(32);
    let succeeded = run("repository", count, move |number| {
        let world = World::new();
        let source = world.work().join("source");
        fs::create_dir_all(source.join("d/e")).unwrap();
        for file in 0..6 {
            fs::write(source.join(format!("d/f{file}")), format!("{file}\n").repeat(50 + file)).unwrap();
        }
        fs::write(source.join("d/e/x"), "x").unwrap();
        world.git(&source, &["init", "-q", "-b", "main", "."]);
        world.git(&source, &["add", "."]);
        world.git(&source, &["-c", "user.name=n", "-c", "user.email=e", "commit", "-q", "-m", "m"]);
        let commit = world.git(&source, &["rev-parse", "HEAD"]);
        let tree = world.git(&source, &["rev-parse", "HEAD:d"]);
        let is_packed = number % 2 == 1;
        if is_packed {
            world.git(&source, &["repack", "-qad"]);
        }
        let objects = all_below(&source.join(".git/objects")).into_keys();
        let objects: Vec<PathBuf> = objects.filter(|path| path.is_file()).collect();
        let changed = rng.pick(&objects);
        let mut content = fs::read(changed).unwrap();
        damage(&mut rng, &mut content);
        // Objects are read-only.
        fs::remove_file(changed).unwrap();
        fs::write(changed, content).unwrap();
        let text = format!(
            r#"{{"repositories": {{"g": {{"repository": {{"type": "git", "repository": "{}", "commit": "{commit}",
                "branch": "main", "subdir": "d"}}}}}}}}"#,
            source.display()
        );
        let roots = world.set_up(&text, true, &format!("{number}, {}", changed.display()));
        for root in roots.iter().flat_map(BTreeMap::values) {
            assert!(matches!(root, Root::Tree { id, .. } if id.to_hex() == tree), "{number}: {root:?}");
        }
        roots.is_some()
    });
    assert!(succeeded > 0 && succeeded < count, "{succeeded} of {count} succeeded");
}

#[test]
fn set_ups_of_changed_descriptions_stay_inside_and_leave_nothing_behind() {
    let count = times(DESCRIPTIONS);
    let mut rng = Rng::new(33);
    let paths = archives();
    let succeeded = run("description", count, move |number| {
        let world = World::new();
        fs::create_dir_all(world.work().join("files/d")).unwrap();
        fs::write(world.work().join("files/d/f"), "f").unwrap();
        let mut entries = vec![
            r#""f": {"repository": {"type": "file", "path": "files", "pragma": {"special": "ignore"}}, "bindings": {"a": "basic.tar.gz"}}"#.to_owned(),
            r#""s": {"repository": {"type": "file", "path": "../outside", "pragma": {"to_git": true}}, "target_root": "f"}"#.to_owned(),
            r#""alias": {"repository": "s"}"#.to_owned(),
            r#""d": {"repository": {"type": "distdir", "repositories": ["basic.tar.gz", "basic.zip"]}}"#.to_owned(),
        ];
        let mut foreign = String::new();
        for path in paths
            .iter()
            .filter(|path| path.file_stem().is_some_and(|stem| stem.to_string_lossy().starts_with("basic")))
        {
            let name = path.file_name().unwrap().to_str().unwrap();
            let content = fs::read(path).unwrap();
            fs::write(world.work().join(name), &content).unwrap();
            entries.push(format!(r#""{name}": {}"#, archive(name, &content)));
            let id = HashFunction::GitSha1.blob(&content).to_hex();
            foreign = format!(
                r#""ff": {{"repository": {{"type": "foreign file", "content": "{id}", "fetch": "http://127.0.0.1:1/{name}", "name": "../x", "executable": true}}}}"#
            );
        }
        // As it is, its name leads outside.
        if number % 2 == 0 {
            entries.push(foreign);
        } else {
            entries.push(foreign.replace("../x", "x"));
        }
        let good = format!(r#"{{"main": "f", "repositories": {{{}}}}}"#, entries.join(", "));
        let mut value: serde_json::Value = serde_json::from_str(&good).unwrap();
        for _ in 0..=rng.below(3) {
            value = mutated(&mut rng, &value);
        }
        let mut text = value.to_string().into_bytes();
        if rng.chance(15) {
            damage(&mut rng, &mut text);
        }
        world.set_up(&String::from_utf8_lossy(&text), false, &format!("{number}: {value}")).is_some()
    });
    assert!(succeeded > 0 && succeeded < count, "{succeeded} of {count} succeeded");
}

/// The numbers above are not lowered below what the statement says.
const _: () = assert!(ARCHIVES + OBJECTS + DESCRIPTIONS >= 1000);
