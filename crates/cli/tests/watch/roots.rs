//! Roots that are removed or moved and come back, and links above them that change: `watch` waits, and then goes on.

use std::os::unix::fs::symlink;

use super::*;

/// A small project whose result is what is in `m/in`.
fn checkout(root: &Path, content: &str) {
    fs::create_dir_all(root.join("m")).unwrap();
    fs::write(root.join("ROOT"), "").unwrap();
    let target = r#"{"o": {"type": "generic", "outs": ["o"], "deps": ["in"], "cmds": ["cat in > o"]}}"#;
    fs::write(root.join("m/TARGETS"), target).unwrap();
    fs::write(root.join("m/in"), content).unwrap();
}

struct Case {
    workspace: Workspace,
    ws: PathBuf,
    out: PathBuf,
}

impl Case {
    fn new() -> Case {
        let workspace = Workspace::new();
        let (ws, out) = (workspace.beside("ws"), workspace.beside("out"));
        checkout(&ws, "start\n");
        Case { workspace, ws, out }
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.workspace.beside(name)
    }

    /// Watches and waits until everything is watched.
    fn watch(&self, here: &Path, words: &[&str]) -> Watching {
        let words = [&["-o", self.out.to_str().unwrap()], words].concat();
        let mut watching = Watching::elsewhere(&self.workspace, here, &words);
        watching.until("Interrupt to end.");
        watching
    }

    #[track_caller]
    fn becomes(&self, content: &str) {
        becomes(&self.out.join("o"), content);
    }

    /// Asserts that edits are noticed as before.
    #[track_caller]
    fn follows(&self, root: &Path, watching: Watching) {
        for content in ["edited\n", "edited again\n"] {
            fs::write(root.join("m/in"), content).unwrap();
            self.becomes(content);
        }
        assert_eq!(watching.interrupt(), 130);
    }
}

/// Ways to name the workspace: by option, by repository configuration, by the working directory.
fn for_each_way_to_name_it(check: impl Fn(&Case, &Path, &[&str])) {
    let case = Case::new();
    check(&case, Path::new("/"), &["-w", case.ws.to_str().unwrap(), "m", "o"]);
    let case = Case::new();
    check(&case, &case.ws, &["m", "o"]);
    let case = Case::new();
    check(&case, &case.ws.join("m"), &["o"]);
    let case = Case::new();
    let repositories = r#"{"main": "r", "repositories": {"r": {"workspace_root": ["file", "."]}}}"#;
    fs::write(case.ws.join("repos.json"), repositories).unwrap();
    check(&case, &case.ws, &["-C", "repos.json", "m", "o"]);
}

#[test]
fn a_root_that_is_moved_away_and_back_is_followed() {
    for_each_way_to_name_it(|case, here, words| {
        let mut watching = case.watch(here, words);
        let away = case.beside("away");
        fs::rename(&case.ws, &away).unwrap();
        let output = watching.until("Waiting until it is there again.");
        has(&output, &format!("the root {} is gone:", case.ws.display()));
        fs::write(away.join("m/in"), "from afar\n").unwrap();
        fs::rename(&away, &case.ws).unwrap();
        case.becomes("from afar\n");
        case.follows(&case.ws, watching);
    });
}

#[test]
fn a_root_that_is_removed_and_made_again_is_followed() {
    for_each_way_to_name_it(|case, here, words| {
        let repositories = fs::read(case.ws.join("repos.json")).ok();
        let mut watching = case.watch(here, words);
        fs::remove_dir_all(&case.ws).unwrap();
        watching.until("Waiting until it is there again.");
        checkout(&case.ws, "made again\n");
        if let Some(repositories) = repositories {
            fs::write(case.ws.join("repos.json"), repositories).unwrap();
        }
        case.becomes("made again\n");
        case.follows(&case.ws, watching);
    });
}

#[test]
fn a_checkout_that_replaces_a_root_is_built() {
    for_each_way_to_name_it(|case, here, words| {
        let other = case.beside("other");
        checkout(&other, "other\n");
        if let Ok(repositories) = fs::read(case.ws.join("repos.json")) {
            fs::write(other.join("repos.json"), repositories).unwrap();
        }
        let watching = case.watch(here, words);
        fs::rename(&case.ws, case.beside("old")).unwrap();
        fs::rename(&other, &case.ws).unwrap();
        case.becomes("other\n");
        // Changes in the first one no longer start a round.
        fs::write(case.beside("old/m/in"), "old\n").unwrap();
        case.follows(&case.ws, watching);
    });
}

#[test]
fn a_target_root_that_is_removed_and_made_again_is_followed() {
    let case = Case::new();
    let targets = |word: &str| {
        fs::create_dir_all(case.beside("targets/m")).unwrap();
        let target = format!(
            r#"{{"o": {{"type": "generic", "outs": ["o"], "deps": ["in"], "cmds": ["(echo {word}; cat in) > o"]}}}}"#
        );
        fs::write(case.beside("targets/m/TARGETS"), target).unwrap();
    };
    targets("one");
    let (ws, root) = (case.ws.display().to_string(), case.beside("targets"));
    let words = ["-w", &ws, "--target-root", root.to_str().unwrap(), "m", "o"];
    let mut watching = case.watch(Path::new("/"), &words);
    case.becomes("one\nstart\n");
    fs::remove_dir_all(&root).unwrap();
    watching.until(&format!("the root {} is gone", root.display()));
    targets("two");
    case.becomes("two\nstart\n");
    fs::rename(&root, case.beside("away")).unwrap();
    watching.until("Waiting until it is there again.");
    fs::rename(case.beside("away"), &root).unwrap();
    watching.until(" from cache, ");
    targets("three");
    case.becomes("three\nstart\n");
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn a_changed_link_above_a_root_is_followed() {
    // The link is the root, or above it, or leads to another link.
    for (link, to, root) in [("cur", "", "cur"), ("above", "..", "above/ws"), ("first", "", "second")] {
        let case = Case::new();
        let place = |version: &str| case.beside(version).join("ws");
        for version in ["v1", "v2", "v3"] {
            checkout(&place(version), &format!("{version}\n"));
        }
        let set = |version: &str| {
            let target = fs::canonicalize(place(version).join(to)).unwrap();
            symlink(target, case.beside("new-link")).unwrap();
            fs::rename(case.beside("new-link"), case.beside(link)).unwrap();
        };
        set("v1");
        if root == "second" {
            symlink("first", case.beside("second")).unwrap();
        }
        let root = case.beside(root);
        let watching = case.watch(Path::new("/"), &["-w", root.to_str().unwrap(), "m", "o"]);
        case.becomes("v1\n");
        set("v2");
        case.becomes("v2\n");
        fs::write(place("v2").join("m/in"), "edited behind the link\n").unwrap();
        case.becomes("edited behind the link\n");
        // The target of the link does not exist for a while.
        fs::remove_file(case.beside(link)).unwrap();
        set("v3");
        case.becomes("v3\n");
        case.follows(&root, watching);
    }
}

#[test]
fn nothing_is_installed_or_pruned_while_a_root_is_gone() {
    let case = Case::new();
    let globbed = r#"{"o": {"type": "install", "deps": [["GLOB", null, "*.txt"]]}}"#;
    fs::create_dir_all(case.beside("targets/m")).unwrap();
    fs::write(case.beside("targets/m/TARGETS"), globbed).unwrap();
    fs::write(case.ws.join("m/a.txt"), "a\n").unwrap();
    let (ws, targets) = (case.ws.display().to_string(), case.beside("targets").display().to_string());
    let words = ["--prune", "-w", &ws, "--target-root", &targets, "m", "o"];
    let mut watching = case.watch(Path::new("/"), &words);
    fs::rename(&case.ws, case.beside("away")).unwrap();
    watching.until("Waiting until it is there again.");
    assert_eq!(fs::read_to_string(case.out.join("a.txt")).unwrap(), "a\n");
    fs::write(case.beside("away/m/b.txt"), "b\n").unwrap();
    fs::rename(case.beside("away"), &case.ws).unwrap();
    becomes(&case.out.join("b.txt"), "b\n");
    becomes(&case.out.join("a.txt"), "a\n");
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn a_root_that_is_replaced_by_a_file_is_waited_for() {
    let case = Case::new();
    let mut watching = case.watch(Path::new("/"), &["-w", case.ws.to_str().unwrap(), "m", "o"]);
    fs::rename(&case.ws, case.beside("away")).unwrap();
    watching.until("does not exist. Waiting");
    fs::write(&case.ws, "").unwrap();
    watching.until("is not a directory. Waiting");
    fs::remove_file(&case.ws).unwrap();
    fs::rename(case.beside("away"), &case.ws).unwrap();
    case.follows(&case.ws, watching);
}

#[test]
fn a_root_that_does_not_exist_yet_is_followed() {
    let case = Case::new();
    let late = case.beside("late/root");
    let words = ["-o", case.out.to_str().unwrap(), "-w", late.to_str().unwrap(), "m", "o"];
    let mut watching = Watching::elsewhere(&case.workspace, Path::new("/"), &words);
    watching.until("Analysis failed; waiting for a change.");
    watching.until("Interrupt to end.");
    checkout(&case.beside("soon"), "late\n");
    fs::create_dir(case.beside("late")).unwrap();
    fs::rename(case.beside("soon"), &late).unwrap();
    case.becomes("late\n");
    case.follows(&late, watching);
}

#[test]
fn a_replaced_directory_within_a_root_is_followed() {
    let case = Case::new();
    fs::create_dir_all(case.ws.join("m/sub/below")).unwrap();
    fs::write(case.ws.join("m/sub/below/in"), "start\n").unwrap();
    let target = r#"{"o": {"type": "generic", "outs": ["o"], "deps": ["sub/below/in"], "cmds": ["cat sub/below/in > o"]}}"#;
    fs::write(case.ws.join("m/TARGETS"), target).unwrap();
    let watching = case.watch(&case.ws, &["m", "o"]);
    fs::create_dir_all(case.beside("new/below")).unwrap();
    fs::write(case.beside("new/below/in"), "new\n").unwrap();
    fs::rename(case.ws.join("m/sub"), case.beside("old")).unwrap();
    fs::rename(case.beside("new"), case.ws.join("m/sub")).unwrap();
    case.becomes("new\n");
    fs::write(case.ws.join("m/sub/below/in"), "newer\n").unwrap();
    case.becomes("newer\n");
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn a_configuration_file_is_followed_through_links() {
    let case = Case::new();
    let target = r#"{"o": {"type": "file_gen", "name": "o", "arguments_config": ["V"], "data": {"type": "var", "name": "V"}}}"#;
    fs::write(case.ws.join("m/TARGETS"), target).unwrap();
    fs::write(case.beside("one.json"), r#"{"V": "1"}"#).unwrap();
    symlink("one.json", case.beside("config.json")).unwrap();
    let config = case.beside("config.json").display().to_string();
    let watching = case.watch(&case.ws, &["-c", &config, "m", "o"]);
    case.becomes("1");
    fs::write(case.beside("one.json"), r#"{"V": "one"}"#).unwrap();
    case.becomes("one");
    fs::write(case.beside("two.json"), r#"{"V": "2"}"#).unwrap();
    symlink("two.json", case.beside("new")).unwrap();
    fs::rename(case.beside("new"), case.beside("config.json")).unwrap();
    case.becomes("2");
    fs::write(case.beside("two.json"), r#"{"V": "two"}"#).unwrap();
    case.becomes("two");
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn changed_links_above_a_module_are_followed() {
    let case = Case::new();
    for version in ["v1", "v2"] {
        fs::create_dir_all(case.beside(version)).unwrap();
        let target = format!(r#"{{"o": {{"type": "file_gen", "name": "o", "data": "{version}"}}}}"#);
        fs::write(case.beside(version).join("TARGETS"), target).unwrap();
    }
    let set = |link: PathBuf, target: &str| {
        symlink(target, case.beside("new-link")).unwrap();
        fs::rename(case.beside("new-link"), link).unwrap();
    };
    fs::create_dir_all(case.ws.join("file")).unwrap();
    set(case.beside("second"), "v1");
    set(case.beside("first"), "second");
    set(case.ws.join("directory"), "../first");
    set(case.ws.join("file/TARGETS"), "../../first/TARGETS");
    for module in ["directory", "file"] {
        set(case.beside("second"), "v1");
        let watching = case.watch(&case.ws, &[module, "o"]);
        case.becomes("v1");
        set(case.beside("second"), "v2");
        case.becomes("v2");
        let target = r#"{"o": {"type": "file_gen", "name": "o", "data": "edited"}}"#;
        fs::write(case.beside("v2/TARGETS"), target).unwrap();
        case.becomes("edited");
        fs::write(case.beside("v2/TARGETS"), target.replace("edited", "v2")).unwrap();
        assert_eq!(watching.interrupt(), 130);
    }
}

#[test]
fn a_mount_over_a_root_is_followed() {
    let case = Case::new();
    let script = r#"
        "$@" & watch=$!
        step() { until [ -e "$1" ]; do sleep 0.05; done; }
        step go; mount --bind other ws; step back
        # It is busy while a round goes on, which holds directories open.
        until umount ws 2>/dev/null; do sleep 0.05; done
        step stop; kill -TERM $watch; wait $watch"#;
    let namespaces = ["-Urmp", "--fork", "--kill-child"];
    // Where the system has no namespaces for users, nothing can be mounted.
    let mut probe = std::process::Command::new("unshare");
    probe.args(namespaces).args(["mount", "--bind"]).args([&case.ws, &case.ws]);
    if !probe.stderr(std::process::Stdio::null()).status().is_ok_and(|status| status.success()) {
        return;
    }
    let other = case.beside("other");
    checkout(&other, "mounted\n");
    let mut command = std::process::Command::new("unshare");
    command.args(namespaces).args(["sh", "-c", script, "sh"]).arg(taut().path());
    command.args(["watch", "--plain-log", "--local-build-root"]).arg(case.workspace.build_root());
    command.arg("-o").arg(&case.out).arg("-w").arg(&case.ws).args(["m", "o"]);
    command.current_dir(case.ws.parent().unwrap()).stderr(std::process::Stdio::piped());
    let mut watching = Watching::of(command.spawn().unwrap());
    watching.until("Interrupt to end.");
    case.becomes("start\n");
    fs::write(case.beside("go"), "").unwrap();
    case.becomes("mounted\n");
    fs::write(other.join("m/in"), "edited\n").unwrap();
    case.becomes("edited\n");
    fs::write(case.beside("back"), "").unwrap();
    case.becomes("start\n");
    fs::write(case.ws.join("m/in"), "edited below\n").unwrap();
    case.becomes("edited below\n");
    fs::write(case.beside("stop"), "").unwrap();
    assert!(watching.child.wait().is_ok());
}

#[test]
fn a_change_of_read_permission_is_followed() {
    use std::os::unix::fs::PermissionsExt as _;
    let case = Case::new();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let is_root = std::process::Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    // Permissions do not apply to root: then another user watches, with a copy of the program that it may run.
    let program = case.beside("program");
    let copied = std::process::Command::new("cp").arg(taut().path()).arg(&program).status();
    assert!(copied.unwrap().success());
    let base = case.ws.parent().unwrap();
    let mut command = std::process::Command::new(if is_root { "setpriv" } else { program.to_str().unwrap() });
    if is_root {
        mode(base, 0o777);
        mode(&program, 0o755);
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
    }
    command.args(["watch", "--plain-log", "--local-build-root"]).arg(case.workspace.build_root());
    command.arg("-o").arg(&case.out).args(["m", "o"]).current_dir(&case.ws);
    let mut watching = Watching::of(command.stderr(std::process::Stdio::piped()).spawn().unwrap());
    watching.until("Interrupt to end.");
    for (content, place) in [("one\n", case.ws.join("m")), ("two\n", case.ws.clone())] {
        mode(&place, 0o000);
        watching.until("Permission denied");
        watching.until("Analysis failed; waiting for a change.");
        mode(&place, 0o755);
        fs::write(case.ws.join("m/in"), content).unwrap();
        case.becomes(content);
    }
    assert_eq!(watching.interrupt(), 130);
}
