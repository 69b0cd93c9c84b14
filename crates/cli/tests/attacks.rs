//! All code that writes, reads or removes files against a table of attacks (links, mounts, exchanged names): nothing
//! outside is touched, nothing hangs, and what can be built is built. A decoy directory represents the outside.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use taut_testkit::{ATTACKS, Attack, Decoy, Exchange, Tool, Workspace, can_mount, is_root, processed, times};

/// For how long a call may take on a loaded machine before it counts as one that hangs.
const LIMIT: &str = "120";

/// As what a call is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum User {
    /// As the user of the tests.
    Same,
    /// As an ordinary user, if the tests run as root.
    Ordinary,
}

const ORDINARY: u32 = 65_534;

struct Call {
    code: i32,
    text: String,
}

impl Call {
    /// Anything but a crash or a hang.
    #[track_caller]
    fn ends(self, what: &str) -> Call {
        let is_hang = self.code == 124;
        assert!(!is_hang && self.code < 101, "{what}: exit code {}\n{}", self.code, self.text);
        self
    }

    #[track_caller]
    fn succeeds(self, what: &str) -> Call {
        assert_eq!(self.code, 0, "{what}\n{}", self.text);
        self
    }
}

/// Calls taut in the workspace; with `mounts`, in a mount namespace of its own.
fn call<S: AsRef<OsStr>>(workspace: &Workspace, user: User, mounts: bool, words: &[S]) -> Call {
    let mut line: Vec<OsString> = ["timeout", "--signal=KILL", LIMIT].map(OsString::from).to_vec();
    if mounts {
        line.extend(["unshare", "--mount", "--propagation", "private"].map(OsString::from));
    }
    if user == User::Ordinary && is_root() {
        let id = |what: &str| OsString::from(format!("--{what}={ORDINARY}"));
        line.extend(["setpriv".into(), id("reuid"), id("regid"), "--clear-groups".into()]);
    }
    line.push(env!("CARGO_BIN_EXE_taut").into());
    line.extend(words.iter().map(|word| word.as_ref().to_owned()));
    let at = line.iter().position(|word| word.as_os_str() == words[0].as_ref()).expect("the subcommand");
    line.splice(at + 1..at + 1, ["--local-build-root".into(), workspace.build_root().into_os_string()]);
    if workspace.beside(OLD_KERNEL).exists() {
        line.insert(0, "TAUT_TEST_WITHOUT_OPENAT2=1".into());
    }
    let ran = Tool::at("/usr/bin/env").run(&workspace.root(), &line);
    // The signal of timeout comes as its own code where it is not the one that was asked for.
    let code = if ran.code == 137 { 124 } else { ran.code };
    Call { code, text: format!("{}{}", ran.stdout, ran.stderr) }
}

/// Beside a workspace: calls are made as on a kernel that has no `openat2`.
const OLD_KERNEL: &str = "old-kernel";

/// Makes the user of the calls the owner of everything beside the workspace.
fn hand_over(workspace: &Workspace, user: User) {
    let all = workspace.beside(".");
    let _ = fs::set_permissions(&all, fs::Permissions::from_mode(0o755));
    if user == User::Ordinary && is_root() {
        let owner = format!("{ORDINARY}:{ORDINARY}");
        let done = Command::new("chown").args(["-R", &owner]).arg(&all).status();
        assert!(done.is_ok_and(|status| status.success()));
    }
}

fn users() -> Vec<User> {
    if is_root() { vec![User::Same, User::Ordinary] } else { vec![User::Same] }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The words of an action that plants an attack at a place, seen from its directory.
fn planting(attack: &Attack, place: &str, decoy: &Decoy) -> String {
    // Where the shell runs does not matter: what it attacks may be its own directory.
    let at = format!("\"$P\"/{place}");
    let at = if place.is_empty() { "\"$P\"".to_owned() } else { at };
    let script = quoted(attack.script);
    format!(
        "P=$PWD; cd /; sh -c {script} sh {at} {} 2>/dev/null; true",
        quoted(&decoy.path().display().to_string())
    )
}

/// Names that an action can attack: its own directory, inputs, outputs, and what lies beside its directory.
const PLACES: &[&str] =
    &["", "in", "in/a", "d", "d/out", "out", "../root", "../stdout", "../stderr", "../spare", "..", "../.."];

fn hostile(user: User, mounts: bool, is_old_kernel: bool) {
    let decoy = Decoy::new();
    let rows = ATTACKS.iter().filter(|attack| attack.needs_mount == mounts);
    for attack in rows {
        let workspace = Workspace::new();
        workspace.file("in/a", "input a\n").file("b", "input b\n");
        if is_old_kernel {
            fs::write(workspace.beside(OLD_KERNEL), "").unwrap();
        }
        let mut targets = serde_json::Map::new();
        for (number, place) in PLACES.iter().enumerate() {
            let target = serde_json::json!({
                "type": "generic", "deps": ["b", ["TREE", null, "in"]], "outs": ["out", "d/out"],
                "cmds": ["echo out > out; echo out > d/out", planting(attack, place, &decoy)],
            });
            targets.insert(format!("hostile {number}"), target);
        }
        let good = serde_json::json!({
            "type": "generic", "deps": ["b", ["TREE", null, "in"]], "outs": ["good"],
            "cmds": ["cat in/a b > good; echo printed; echo printed >&2"],
        });
        targets.insert("good".to_owned(), good);
        workspace.file("TARGETS", serde_json::Value::Object(targets).to_string());
        hand_over(&workspace, user);
        for (number, place) in PLACES.iter().enumerate() {
            let what = format!("{} at {place:?} as {user:?}", attack.name);
            let target = format!("hostile {number}");
            call(&workspace, user, mounts, &["build", &target, "-J", "1"]).ends(&what);
            decoy.assert_untouched(&what);
            // An action in the same stage comes after it.
            call(&workspace, user, mounts, &["build", &target, "-J", "1", "--keep-going"]).ends(&what);
            decoy.assert_untouched(&what);
        }
        let what = format!("{} as {user:?}", attack.name);
        let shown = call(&workspace, user, false, &["build", "good", "-P", "good", "--log-limit", "0"])
            .succeeds(&what);
        assert!(shown.text.contains("input a\ninput b\n"), "{what}: {}", shown.text);
        call(&workspace, user, false, &["gc"]).ends(&what);
        call(&workspace, user, false, &["gc"]).ends(&what);
        decoy.assert_untouched(&what);
        call(&workspace, user, false, &["build", "good"]).succeeds(&what);
    }
}

#[test]
fn an_action_touches_nothing_outside_through_taut() {
    hostile(User::Same, false, false);
}

#[test]
fn an_action_of_an_ordinary_user_touches_nothing_outside_through_taut() {
    if is_root() {
        hostile(User::Ordinary, false, false);
    }
}

#[test]
fn what_an_action_mounts_is_not_entered() {
    if can_mount() {
        hostile(User::Same, true, false);
    }
}

#[test]
fn an_action_touches_nothing_outside_on_kernels_without_openat2() {
    hostile(User::Same, false, true);
    if can_mount() {
        hostile(User::Same, true, true);
    }
}

/// What an action does beside its directory is not a reason for others to fail.
#[test]
fn files_that_an_action_leaves_beside_its_directory_do_not_affect_later_actions() {
    let decoy = Decoy::new();
    let outside = decoy.path().display();
    for (number, script) in [
        "for i in $(seq 1 30); do mkdir ../root-$i; done; D=$PWD; cd /; rm -rf \"$D\"".to_owned(),
        format!("for f in ../spare/*; do rm -f $f; ln -s {outside}/file $f; done"),
        format!("for f in ../spare/*; do rm -f $f; ln {outside}/file $f; done"),
        "mkdir ../other; for f in ../spare/*; do ln $f ../other/; done".to_owned(),
        "rm -rf ../spare".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let workspace = Workspace::new();
        let mut targets = serde_json::Map::new();
        let action = |name: &str, deps: &[&str], script: &str| serde_json::json!({"type": "generic", "deps": deps, "outs": [name], "cmds": [script]});
        // Inputs that only some actions have make spare files, which others take.
        let before = ["a", "b", "c"];
        for name in before {
            workspace.file(name, name);
        }
        targets.insert("1".into(), action("1", &before, "cat a b c > 1"));
        targets.insert("2".into(), action("2", &["1"], &format!("cat 1 > 2; {script}")));
        for name in 3..7 {
            workspace.file(&format!("x{name}"), format!("x{name}"));
            let source = format!("x{name}");
            targets.insert(
                name.to_string(),
                action(&name.to_string(), &[&source, "a"], &format!("cat {source} a > {name}")),
            );
        }
        let files: serde_json::Map<String, serde_json::Value> =
            (3..7).map(|name| (name.to_string(), name.to_string().into())).collect();
        targets.insert("late".into(), serde_json::json!({"type": "install", "files": files}));
        targets.insert(
            "all".into(),
            serde_json::json!({"type": "install", "dirs": [["1", "."], ["2", "."], ["late", "."]]}),
        );
        workspace.file("TARGETS", serde_json::Value::Object(targets).to_string());
        let what = format!("script {number}: {script}");
        let out = workspace.beside("out");
        let words = ["install", "all", "-J", "1", "--keep-going", "-o"].map(OsString::from);
        let words = [&words[..], &[out.clone().into_os_string()]].concat();
        call(&workspace, User::Same, false, &words).ends(&what);
        decoy.assert_untouched(&what);
        let words = ["install", "late", "-o"].map(OsString::from);
        let words = [&words[..], &[out.clone().into_os_string()]].concat();
        let again = call(&workspace, User::Same, false, &words).succeeds(&what);
        assert!(processed(&again.text) == Some((4, 4)), "{what}: {}", again.text);
        assert_eq!(fs::read_to_string(out.join("5")).unwrap(), "x5a", "{what}");
    }
}

/// A target with a tree and a file in a directory.
const RESULT: &str = r#"{"t": {"type": "install", "files": {"sub/file": "f", "sub/deep/file": "f", "top": "f"}, "dirs": [["tree", "tree"]]},
 "tree": {"type": "tree", "deps": ["f", "g"]},
 "f": {"type": "generic", "outs": ["f"], "cmds": ["echo f > f"]},
 "g": {"type": "generic", "outs": ["g"], "cmds": ["echo g > g"]},
 "less": {"type": "install", "files": {"top": "f"}}}"#;

/// Names in a directory that results are installed into.
const INSTALLED: &[&str] = &["sub", "sub/file", "sub/deep", "top", "tree", "tree/f"];

/// The calls that write below an output directory.
fn writers(out: &Path) -> Vec<Vec<OsString>> {
    let line = |words: &[&str]| -> Vec<OsString> {
        let mut line: Vec<OsString> = words.iter().map(OsString::from).collect();
        line.extend(["-o".into(), out.as_os_str().to_owned()]);
        line
    };
    vec![
        line(&["install", "t"]),
        line(&["install", "t", "--prune"]),
        line(&[
            "traverse",
            "-g",
            "../graph",
            "-a",
            r#"{"sub/file": {"type": "ACTION", "data": {"id": "f", "path": "f"}}}"#,
        ]),
    ]
}

fn installation(user: User) {
    let decoy = Decoy::new();
    for attack in ATTACKS.iter().filter(|attack| !attack.needs_mount) {
        let workspace = Workspace::new();
        workspace.file("TARGETS", RESULT);
        fs::write(
            workspace.beside("graph"),
            r#"{"actions": {"f": {"command": ["sh", "-c", "echo f > f"], "output": ["f"]}}, "blobs": [], "trees": {}}"#,
        )
        .unwrap();
        hand_over(&workspace, user);
        for (number, place) in INSTALLED.iter().enumerate() {
            let out = workspace.beside(&format!("out-{number}"));
            call(
                &workspace,
                user,
                false,
                &[OsStr::new("install"), OsStr::new("t"), OsStr::new("-o"), out.as_os_str()],
            )
            .succeeds("nothing is in the way");
            for words in writers(&out) {
                attack.plant(&out.join(place), &decoy);
                let what = format!("{words:?} with {} at {place:?} as {user:?}", attack.name);
                call(&workspace, user, false, &words).ends(&what);
                decoy.assert_untouched(&what);
            }
            // What is no longer part of the result is removed, and only that.
            let words = ["install", "less", "--prune", "-o"].map(OsString::from);
            let words = [&words[..], &[out.clone().into_os_string()]].concat();
            call(&workspace, user, false, &words).ends(attack.name);
            decoy.assert_untouched(attack.name);
            // A single object, at the name and in its place.
            let object = call(&workspace, user, false, &["add-to-cas", "TARGETS"]).succeeds(attack.name);
            let id = object.text.lines().next().unwrap_or_default().to_owned();
            attack.plant(&out.join(place), &decoy);
            let is_link_to_directory = fs::symlink_metadata(out.join(place))
                .is_ok_and(|meta| meta.is_symlink())
                && out.join(place).is_dir();
            if !is_link_to_directory {
                // A link that the user names is followed, as every tool does.
                let words =
                    [OsString::from("install-cas"), id.into(), "-o".into(), out.join(place).into_os_string()];
                call(&workspace, user, false, &words).ends(attack.name);
                decoy.assert_untouched(attack.name);
            }
        }
    }
}

#[test]
fn installation_touches_nothing_outside() {
    users().into_iter().for_each(installation);
}

#[test]
fn the_build_root_is_used_and_cleaned_up_beneath_itself() {
    let decoy = Decoy::new();
    let places = [
        "protocol-dependent/generation-0/ephemeral",
        "protocol-dependent/generation-0/ephemeral/exec_root",
        "protocol-dependent/generation-0/ephemeral/left",
        "protocol-dependent/generation-0/git-sha1/casf",
        "protocol-dependent/generation-0/git-sha1",
        "protocol-dependent/generation-0",
        "protocol-dependent/generation-1",
        "protocol-dependent/remove-me1-1",
        "protocol-dependent/gc.lock",
        "taut",
        "taut/installed",
        // Every file of the kind.
        "protocol-dependent/generation-0/git-sha1/casf/*",
        "protocol-dependent/generation-0/git-sha1/*/*/*",
        "protocol-dependent/generation-0/taut",
        "taut/installed/*",
        "taut/*/*",
        "taut/*/*/*",
        "taut/*/*/*/*",
    ];
    for attack in ATTACKS.iter().filter(|attack| !attack.needs_mount) {
        for place in places {
            let workspace = Workspace::new();
            workspace.file("TARGETS", RESULT);
            let what = format!("{} at {place:?}", attack.name);
            call(&workspace, User::Same, false, &["install", "t", "-o", "../before"]).succeeds(&what);
            for path in found(&workspace.build_root(), place) {
                attack.plant(&path, &decoy);
            }
            let out = workspace.beside("out").into_os_string();
            let install = [OsString::from("install"), "t".into(), "-o".into(), out];
            call(&workspace, User::Same, false, &install).ends(&what);
            decoy.assert_untouched(&what);
            call(&workspace, User::Same, false, &["gc"]).ends(&what);
            call(&workspace, User::Same, false, &["build", "t"]).ends(&what);
            call(&workspace, User::Same, false, &["gc", "--all"]).ends(&what);
            decoy.assert_untouched(&what);
        }
    }
}

/// All paths that a pattern with one star per component finds.
fn found(root: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut all = vec![root.to_owned()];
    for part in pattern.split('/') {
        all = all
            .into_iter()
            .flat_map(|path| match part {
                "*" => fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect(),
                name => vec![path.join(name)],
            })
            .collect();
    }
    all
}

#[test]
fn names_that_another_process_exchanges_lead_nowhere_outside() {
    let decoy = Decoy::new();
    let workspace = Workspace::new();
    let mut targets = serde_json::Map::new();
    for number in 0..40 {
        // The action itself would follow a link: what is exchanged gets its name when the action has done with it.
        let target = serde_json::json!({
            "type": "generic", "deps": [["TREE", null, "in"]], "outs": ["out", "d/out"],
            "cmds": [format!("echo {number} > out; cat in/a > d/out; mkdir -p tmp/y/z; echo > tmp/y/z/file; mv -T tmp x; true")],
        });
        targets.insert(format!("t{number}"), target);
    }
    let all: Vec<String> = (0..40).map(|number| format!("t{number}")).collect();
    let dirs: Vec<[String; 2]> = all.iter().map(|name| [name.clone(), format!("sub/{name}")]).collect();
    targets.insert("all".to_owned(), serde_json::json!({"type": "install", "dirs": dirs}));
    workspace.file("TARGETS", serde_json::Value::Object(targets).to_string()).file("in/a", "a\n");
    let out = workspace.beside("out");
    let install = ["install", "all", "--keep-going", "-o"].map(OsString::from);
    let install = [&install[..], &[out.clone().into_os_string()]].concat();
    let end = Instant::now() + Duration::from_secs(times(3) as u64);
    let mut exchanges = 0;
    let rounds = [
        (workspace.build_root(), "protocol-dependent/generation-0/ephemeral/exec_root/*/*/root"),
        (workspace.build_root(), "protocol-dependent/generation-0/ephemeral/exec_root/*/*/root/x"),
        (workspace.build_root(), "protocol-dependent/generation-0/ephemeral/exec_root/*/*"),
        (out, "sub"),
        (workspace.build_root(), "protocol-dependent/generation-0/git-sha1/casf/*"),
    ];
    for (root, pattern) in rounds.into_iter().cycle() {
        let exchange = Exchange::begin(&decoy, move || found(&root, pattern));
        for number in 0..3 {
            workspace.file("in/a", format!("{number} {exchanges}\n"));
            call(&workspace, User::Same, false, &install).ends(pattern);
        }
        call(&workspace, User::Same, false, &["gc"]).ends(pattern);
        exchanges += exchange.end();
        decoy.assert_untouched(pattern);
        if Instant::now() > end {
            break;
        }
    }
    assert!(exchanges > 0, "nothing was exchanged");
}

#[test]
fn what_a_killed_call_leaves_is_cleaned_up_beneath_the_build_root() {
    let decoy = Decoy::new();
    for attack in ATTACKS.iter().filter(|attack| !attack.needs_mount) {
        let workspace = Workspace::new();
        let script = planting(attack, "../..", &decoy) + "; " + &planting(attack, "in", &decoy);
        let target = serde_json::json!({
            "hostile": {"type": "generic", "deps": [["TREE", null, "in"]], "outs": ["out"],
                "cmds": [format!("{script}; touch {}; sleep 100", workspace.beside("runs").display())]},
            "good": {"type": "generic", "deps": [["TREE", null, "in"]], "outs": ["good"], "cmds": ["cat in/a > good"]},
        });
        workspace.file("in/a", "a\n").file("TARGETS", target.to_string());
        let tool = Tool::at(env!("CARGO_BIN_EXE_taut"));
        let mut child = workspace.start(&tool, ["build", "hostile"]);
        let end = Instant::now() + Duration::from_secs(60);
        while !workspace.beside("runs").exists() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        call(&workspace, User::Same, false, &["gc"]).ends(attack.name);
        decoy.assert_untouched(attack.name);
        call(&workspace, User::Same, false, &["build", "good"]).succeeds(attack.name);
    }
}
