//! `watch`: each round names what changed, executes what that invalidates, and nothing else.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use std::{fs, thread};

use taut_testkit::{Rng, StartedTool, Tool, Workspace, listing, processed, times};

mod database;
mod feedback;
mod hard_links;
mod polling;
mod roots;
mod services;

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

const TARGETS: &str = r#"{
  "all": {"type": "install", "files": {"shout": ["m", "shout"], "whisper": ["m", "whisper"], "texts": "texts", "v": "v"}},
  "texts": {"type": "generic", "outs": ["texts"], "deps": [["GLOB", null, "*.txt"]], "cmds": ["cat *.txt > texts"]},
  "v": {"type": "file_gen", "name": "v", "arguments_config": ["V"], "data": {"type": "var", "name": "V", "default": "none"}}
}"#;

const MODULE: &str = r#"{
  "shout": {"type": "generic", "outs": ["shout"], "deps": ["u.txt"], "cmds": ["tr a-z A-Z < u.txt > shout"]},
  "whisper": {"type": "generic", "outs": ["whisper"], "deps": ["shout"], "cmds": ["tr A-Z a-z < shout > whisper"]}
}"#;

fn project() -> Workspace {
    let workspace = Workspace::new();
    workspace.file("TARGETS", TARGETS).file("m/TARGETS", MODULE);
    workspace.file("a.txt", "a\n").file("m/u.txt", "u\n");
    workspace
}

/// A watching process, and its output.
struct Watching {
    child: StartedTool,
    output: Arc<(Mutex<String>, Condvar)>,
    /// How much of it was read by the test.
    seen: usize,
}

/// Long enough for the slowest machine; nothing waits that long unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

impl Watching {
    fn start(workspace: &Workspace, more: &[&str]) -> Watching {
        Watching::of(workspace.start(&taut(), [&["watch", "all", "--plain-log"], more].concat()))
    }

    /// The same in another directory, or of another root.
    fn elsewhere(workspace: &Workspace, here: &Path, words: &[&str]) -> Watching {
        let mut command = taut().command(here);
        command.args(["watch", "--plain-log", "--local-build-root"]).arg(workspace.build_root()).args(words);
        Watching::of(command.spawn().unwrap())
    }

    fn of(child: impl Into<StartedTool>) -> Watching {
        let mut child = child.into();
        let output = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let (stderr, lines) = (child.stderr.take().unwrap(), output.clone());
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.0.lock().unwrap().push_str(&format!("{line}\n"));
                lines.1.notify_all();
            }
        });
        Watching { child, output, seen: 0 }
    }

    /// Waits for a text behind what was read; returns everything up to the end of its line.
    #[track_caller]
    fn until(&mut self, text: &str) -> String {
        let (end, mut output) = (Instant::now() + PATIENCE, self.output.0.lock().unwrap());
        loop {
            if let Some(at) = output[self.seen..].find(text)
                && let Some(line) = output[self.seen + at..].find('\n')
            {
                let upto = self.seen + at + line + 1;
                let new = output[self.seen..upto].to_owned();
                self.seen = upto;
                return new;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{text:?} was never printed:\n{output}");
            output = self.output.1.wait_timeout(output, left).unwrap().0;
        }
    }

    /// The counts of the next round that something changed for.
    #[track_caller]
    fn round(&mut self, changed: &str) -> String {
        if !changed.is_empty() {
            self.until(changed);
        }
        let line = self.until(" from cache, ");
        line.lines().last().unwrap().to_owned()
    }

    /// All output so far.
    fn all(&self) -> String {
        self.output.0.lock().unwrap().clone()
    }

    fn interrupt(mut self) -> i32 {
        let killed = std::process::Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(killed.unwrap().success());
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

#[track_caller]
fn has(line: &str, text: &str) {
    assert!(line.contains(text), "{text:?} is not in {line:?}");
}

#[test]
fn each_round_executes_only_what_the_change_invalidates() {
    let workspace = project();
    let out = workspace.beside("out");
    let out_words = out.display().to_string();
    let mut watching = Watching::start(&workspace, &["-o", &out_words]);
    has(&watching.round(""), "5 targets analysed, 3 actions of 3 run");
    watching.until("Interrupt to end.");
    assert_eq!(fs::read_to_string(out.join("shout")).unwrap(), "U\n");

    workspace.file("m/u.txt", "loud\n");
    has(&watching.round("m/u.txt changed."), "0 targets analysed, 2 actions of 3 run");
    watching.until("  shout\n");
    watching.until("  whisper\n");

    // Only touched.
    fs::File::options()
        .append(true)
        .open(workspace.root().join("m/u.txt"))
        .unwrap()
        .set_modified(std::time::SystemTime::now())
        .unwrap();
    has(&watching.round("m/u.txt changed."), "0 targets analysed, 0 actions of 3 run");
    assert_eq!(fs::read_to_string(out.join("shout")).unwrap(), "LOUD\n");

    // A file that a pattern finds comes, and goes.
    workspace.file("b.txt", "b\n");
    has(&watching.round("b.txt changed."), "1 action of 3 run");
    workspace.remove("b.txt");
    has(&watching.round("b.txt changed."), "0 actions of 3 run");

    // Formatting a file of targets does nothing, changing a definition does.
    workspace.file("m/TARGETS", MODULE.replace(": {", ":  {"));
    has(&watching.round("m/TARGETS changed."), "0 targets analysed, 0 actions of 3 run");
    workspace.file("m/TARGETS", MODULE.replace("tr A-Z a-z < shout", "cat shout"));
    has(&watching.round("m/TARGETS changed."), "1 action of 3 run");

    assert_eq!(watching.interrupt(), 130);
    let stages = workspace.build_root().join("protocol-dependent/generation-0/ephemeral/exec_root");
    assert_eq!(fs::read_dir(stages).map_or(0, Iterator::count), 0, "stages are removed");
    let later = workspace.run(&taut(), ["build", "all"]).exits(0);
    assert_eq!(processed(&later.stderr), Some((3, 3)));
    let why = workspace.run(&taut(), ["explain", "whisper"]).exits(0).stdout;
    has(&why, "Last build with work to do: watch :all");
    has(&why, "since the entry \"whisper\" of m/TARGETS changed");
}

#[test]
fn files_of_a_replayed_result_are_watched() {
    let workspace = project();
    workspace.run(&taut(), ["build", "all"]).exits(0);
    let mut watching = Watching::start(&workspace, &[]);
    watching.until("all is up to date (3 actions, ");
    watching.until("Watching 2 directories.");
    workspace.file("m/u.txt", "loud\n");
    has(&watching.round("m/u.txt changed."), "0 targets analysed, 2 actions of 3 run");
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn a_file_that_an_editor_renames_over_another_one_is_not_named() {
    let workspace = project();
    let mut watching = Watching::start(&workspace, &[]);
    watching.until("Watching 2 directories.");
    workspace.file("m/sedaMaQx", "loud\n");
    fs::rename(workspace.root().join("m/sedaMaQx"), workspace.root().join("m/u.txt")).unwrap();
    has(&watching.round("m/u.txt changed."), "2 actions of 3 run");
    assert!(!watching.all().contains("sedaMaQx"), "{}", watching.all());
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn failures_are_reported_and_end_when_they_are_fixed() {
    let workspace = project();
    let mut watching = Watching::start(&workspace, &[]);
    watching.until("Interrupt to end.");
    workspace.file("m/TARGETS", "{");
    watching.until("invalid JSON");
    watching.until("Analysis failed; waiting for a change.");
    workspace.file("m/TARGETS", MODULE.replace("tr A-Z a-z < shout", "false"));
    watching.until("failed (exit code 1)");
    watching.until("\n  failed m:whisper\n");
    watching.until("error: build of :all failed after ");
    workspace.file("m/TARGETS", MODULE);
    has(&watching.round("m/TARGETS changed."), "0 actions of 3 run");
    workspace.file("m/u.txt", "after all\n");
    has(&watching.round("m/u.txt changed."), "2 actions of 3 run");
    assert_eq!(watching.interrupt(), 130);
}

/// Waits until a file has this content.
#[track_caller]
fn becomes(path: &Path, content: &str) {
    let end = Instant::now() + PATIENCE;
    while fs::read_to_string(path).ok().as_deref() != Some(content) {
        assert!(Instant::now() < end, "{} never became {content:?}", path.display());
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn new_and_removed_directories_are_followed() {
    let workspace = project();
    let (module, away) = (workspace.root().join("m"), workspace.root().join("away"));
    let out = workspace.beside("out");
    let shout = out.join("shout");
    let mut watching = Watching::start(&workspace, &["-o", &out.display().to_string()]);
    watching.until("Interrupt to end.");
    fs::rename(&module, &away).unwrap();
    watching.until("there is no module \"m\"");
    watching.until("Analysis failed; waiting for a change.");
    fs::write(away.join("u.txt"), "from afar\n").unwrap();
    fs::rename(&away, &module).unwrap();
    becomes(&shout, "FROM AFAR\n");
    // From now on, that name has another watch.
    workspace.file("m/u.txt", "near\n");
    becomes(&shout, "NEAR\n");
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn modules_that_are_added_and_removed_belong_to_a_pattern() {
    let workspace = project();
    let out = workspace.beside("out");
    let mut watching =
        Watching::elsewhere(&workspace, &workspace.root(), &["m/...", "-o", out.to_str().unwrap()]);
    watching.until("Interrupt to end.");
    let added = r#"{"new": {"type": "file_gen", "name": "new", "data": "added"}}"#;
    workspace.file("m/deep/TARGETS", added);
    becomes(&out.join("new"), "added");
    workspace.file("m/deep/TARGETS", added.replace("added", "changed"));
    becomes(&out.join("new"), "changed");
    // Words that name nothing are reported, and may name something later.
    fs::rename(workspace.root().join("m"), workspace.root().join("away")).unwrap();
    watching.until("no module has a target that matches");
    watching.until("Nothing is built; waiting for a change.");
    fs::write(workspace.root().join("away/u.txt"), "back\n").unwrap();
    fs::rename(workspace.root().join("away"), workspace.root().join("m")).unwrap();
    becomes(&out.join("shout"), "BACK\n");
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn a_description_is_followed_through_links() {
    let workspace = project();
    let elsewhere = workspace.root().join("m/below");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("described"), MODULE).unwrap();
    std::os::unix::fs::symlink("described", elsewhere.join("second")).unwrap();
    workspace.remove("m/TARGETS");
    std::os::unix::fs::symlink("below/second", workspace.root().join("m/TARGETS")).unwrap();
    let mut watching = Watching::start(&workspace, &[]);
    watching.until("Interrupt to end.");
    fs::write(elsewhere.join("described"), MODULE.replace("u.txt > shout", "u.txt | rev > shout")).unwrap();
    has(&watching.round("described changed."), "3 targets analysed, 1 action of 3 run");
    fs::write(elsewhere.join("other"), MODULE).unwrap();
    fs::remove_file(elsewhere.join("second")).unwrap();
    std::os::unix::fs::symlink("other", elsewhere.join("second")).unwrap();
    has(&watching.round("second changed."), "0 targets analysed, 0 actions of 3 run");
    fs::write(elsewhere.join("other"), MODULE.replace("u.txt > shout", "u.txt | cat > shout")).unwrap();
    has(&watching.round("other changed."), "3 targets analysed, 1 action of 3 run");
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn missing_objects_below_a_result_are_made_again() {
    let workspace = project();
    let made = r#"{"all": {"type": "install", "files": {"made": "made", "v": "a.txt"}},
      "made": {"type": "generic", "out_dirs": ["made"], "cmds": ["mkdir -p made/a; yes | head -c 5000 > made/a/b"]}}"#;
    workspace.file("TARGETS", made);
    let (out, store) =
        (workspace.beside("out"), workspace.build_root().join("protocol-dependent/generation-0"));
    let mut watching = Watching::start(&workspace, &["-o", out.to_str().unwrap()]);
    watching.until("Interrupt to end.");
    // Too large for the memory cache, and only below a tree.
    let below = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let objects = below(&store.join("git-sha1/casf")).flat_map(|shard| below(&shard).collect::<Vec<_>>());
    let large = |object: &PathBuf| fs::metadata(object).unwrap().len() == 5000;
    objects.filter(large).for_each(|object| fs::remove_file(object).unwrap());
    fs::remove_file(out.join("made/a/b")).unwrap();
    workspace.file("a.txt", "other\n");
    watching.until("lost or damaged");
    has(&watching.round(""), "1 action of 1 run");
    watching.until("Interrupt to end.");
    becomes(&out.join("made/a/b"), &"y\n".repeat(2500));
    becomes(&out.join("v"), "other\n");
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn changes_of_the_files_that_define_the_request_are_followed() {
    let workspace = project();
    workspace.file("config.json", r#"{"V": "1"}"#);
    let root = workspace.root().display().to_string();
    let repositories = |file: &str| {
        format!(
            r#"{{"main": "r", "repositories": {{"r": {{"workspace_root": ["file", "{root}"], "target_file_name": "{file}"}}}}}}"#
        )
    };
    workspace.file("repos.json", repositories("TARGETS"));
    let mut watching = Watching::start(&workspace, &["-c", "config.json", "-C", "repos.json"]);
    watching.until("Interrupt to end.");
    workspace.file("config.json", r#"{"V": "2"}"#);
    watching.until("config.json changed.");
    watching.until("  v\n");
    workspace.file("OTHER", TARGETS.replace("cat *.txt", "cat *.txt *.txt"));
    workspace.file("m/OTHER", MODULE);
    workspace.file("repos.json", repositories("OTHER"));
    watching.until("The description of the repositories changed.");
    has(&watching.round(""), "1 action of 3 run");
    watching.until("Interrupt to end.");
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn with_poll_changes_are_found_by_polling() {
    let workspace = project();
    let mut watching = Watching::start(&workspace, &["--poll"]);
    watching.until("checking everything every two seconds");
    // The first poll follows at once; a file that is written meanwhile would be read half written.
    thread::sleep(Duration::from_millis(500));
    workspace.file("m/u.txt", "seen\n");
    has(&watching.round("m/u.txt changed."), "2 actions of 3 run");
    workspace.file("c.txt", "c\n");
    has(&watching.round(" changed."), "1 action of 3 run");
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn garbage_is_collected_beside_an_idle_watch_and_the_next_round_is_right() {
    let workspace = project();
    let out = workspace.beside("out");
    let mut watching = Watching::start(&workspace, &["-o", &out.display().to_string()]);
    watching.until("Interrupt to end.");
    let modes: [&[&str]; 4] = [&[], &["--no-rotate"], &[], &["--all"]];
    for (number, mode) in modes.into_iter().enumerate() {
        // Twice, so that no earlier object is left.
        for _ in 0..2 {
            workspace.run(&taut(), [&["gc"], mode].concat()).exits(0);
        }
        workspace.file("m/u.txt", format!("round {number}\n"));
        watching.until("m/u.txt changed.");
        watching.until("checking everything.");
        watching.until("  shout\n");
        watching.until("Interrupt to end.");
        becomes(&out.join("shout"), &format!("ROUND {number}\n"));
        becomes(&out.join("texts"), "a\n");
        workspace.file("m/u.txt", format!("again {number}\n"));
        has(&watching.round("m/u.txt changed."), "0 targets analysed, 2 actions of 3 run");
    }
    assert_eq!(watching.interrupt(), 130);
}

/// The project of the random edits: all files are read, whatever their names.
const RANDOM_TARGETS: &str = r#"{
  "all": {"type": "install", "files": {"tick": "tick", "texts": "texts", "made": ["m", "made"]}, "deps": ["trees"]},
  "trees": {"type": "install", "dirs": [[["TREE", null, "sub"], "t"]]},
  "texts": {"type": "generic", "outs": ["texts"], "deps": [["GLOB", null, "*.txt"]], "cmds": ["cat *.txt > texts"]}
}"#;

fn random_edit(workspace: &Workspace, rng: &mut Rng) -> String {
    let root = workspace.root();
    let pick = |rng: &mut Rng, names: &[&str]| names[rng.below(names.len())].to_owned();
    let file = |rng: &mut Rng| pick(rng, &["b.txt", "c.txt", "sub/x", "sub/d/y", "sub/e/f/z"]);
    let name = file(rng);
    let path = root.join(&name);
    match rng.below(9) {
        0..=2 => {
            workspace.file(&name, format!("{}\n", rng.below(4)));
            format!("write {name}")
        }
        3 => {
            let _ = fs::remove_file(path);
            format!("remove {name}")
        }
        4 => {
            // As editors do it: another file replaces it.
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(root.join(".new"), format!("{}\n", rng.below(4))).unwrap();
            fs::rename(root.join(".new"), path).unwrap();
            format!("replace {name}")
        }
        5 => {
            let other = file(rng);
            let _ = fs::create_dir_all(root.join(&other).parent().unwrap());
            format!("rename {name} to {other}: {}", fs::rename(path, root.join(&other)).is_ok())
        }
        6 => {
            let (from, to) =
                (pick(rng, &["sub/d", "sub/e", "sub/g"]), pick(rng, &["sub/d", "sub/g", "sub/e/f"]));
            format!("rename {from} to {to}: {}", fs::rename(root.join(&from), root.join(&to)).is_ok())
        }
        7 => {
            let gone = pick(rng, &["sub/d", "sub/e", "sub/g"]);
            let _ = fs::remove_dir_all(root.join(&gone));
            format!("remove {gone}")
        }
        _ => {
            let word = pick(rng, &["cat", "tac", "cat -n"]);
            let made = format!(
                r#"{{"made": {{"type": "generic", "outs": ["made"], "deps": ["u.txt"], "cmds": ["{word} u.txt > made"]}}}}"#
            );
            workspace.file("m/TARGETS", made);
            format!("{word} in m/TARGETS")
        }
    }
}

#[test]
fn after_random_edits_the_round_is_right() {
    let workspace = Workspace::new();
    workspace
        .file("TARGETS", RANDOM_TARGETS)
        .file("a.txt", "a\n")
        .file("m/u.txt", "u\nv\n")
        .file("sub/x", "x\n");
    workspace.file("tick", "start\n");
    let mut rng = Rng::new(11);
    workspace.file(
        "m/TARGETS",
        r#"{"made": {"type": "generic", "outs": ["made"], "deps": ["u.txt"], "cmds": ["cat u.txt > made"]}}"#,
    );
    let out = workspace.beside("out");
    let watching = Watching::start(&workspace, &["-o", &out.display().to_string(), "--prune"]);
    becomes(&out.join("tick"), "start\n");
    let mut edits = Vec::new();
    for round in 0..times(12) {
        for _ in 0..1 + rng.below(3) {
            edits.push(random_edit(&workspace, &mut rng));
        }
        // When this edit is installed, all earlier ones are.
        let tick = format!("{round}\n");
        workspace.file("tick", &tick);
        becomes(&out.join("tick"), &tick);
        let fresh = workspace.beside(&format!("fresh-{round}"));
        let words = ["install", "all", "--no-trace", "-o", &fresh.display().to_string()];
        workspace.run(&taut(), words).exits(0);
        // Files are pruned after others were installed.
        let end = Instant::now() + PATIENCE;
        while listing(&out).unwrap() != listing(&fresh).unwrap() {
            assert!(Instant::now() < end, "{edits:#?}\n{:#?}\n{:#?}", listing(&out), listing(&fresh));
            thread::sleep(Duration::from_millis(10));
        }
    }
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn when_the_event_queue_overflows_everything_is_checked() {
    let workspace = project();
    let out = workspace.beside("out");
    let watching = Watching::start(&workspace, &["-o", &out.display().to_string()]);
    becomes(&out.join("shout"), "U\n");
    let signal = |signal: &str| {
        let id = watching.child.id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &id]).status().unwrap().success());
    };
    // The stopped process reads no events, of which the system keeps some thousands.
    signal("-STOP");
    let most = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").ok();
    let most: usize = most.and_then(|text| text.trim().parse().ok()).unwrap_or(16_384);
    let many = most.min(40_000) / 2 + 100;
    let name = |number: usize| workspace.root().join(format!("m/not-read-{number}"));
    (0..many).for_each(|number| fs::write(name(number), "").unwrap());
    workspace.file("m/u.txt", "after all\n");
    signal("-CONT");
    becomes(&out.join("shout"), "AFTER ALL\n");
    workspace.file("m/u.txt", "again\n");
    becomes(&out.join("shout"), "AGAIN\n");
    assert_eq!(watching.interrupt(), 130);
}
