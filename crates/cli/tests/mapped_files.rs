//! Files that are written through a mapping: their times do not always change.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use taut_testkit::{Tool, Workspace, is_root};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

fn has_python() -> bool {
    Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success())
}

fn is_in_memory(path: &Path) -> bool {
    let output = Command::new("stat").args(["-f", "-c", "%T"]).arg(path).output();
    let kind =
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    kind == "tmpfs" || kind.starts_with("overlay") || kind == "ramfs"
}

#[test]
fn a_source_that_stays_mapped_and_is_written_again_is_read_again() {
    let workspace = Workspace::new();
    if !has_python() || is_in_memory(&workspace.root()) {
        // File systems in memory do not change the times for such a write (docs/again.md).
        return;
    }
    workspace.file(
        "TARGETS",
        r#"{"o": {"type": "generic", "outs": ["o"], "deps": ["in"], "cmds": ["head -c 3 in > o"]}}"#,
    );
    let script = "import mmap, sys
open('in', 'wb').write(b'A' * 8192); f = open('in', 'r+b'); m = mmap.mmap(f.fileno(), 0)
for text in (b'1', b'2', b'3'):
    m[0:1] = text; print(flush=True); sys.stdin.readline()";
    let mut python = Command::new("python3")
        .args(["-c", script])
        .current_dir(workspace.root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut to, mut from) = (python.stdin.take().unwrap(), BufReader::new(python.stdout.take().unwrap()));
    for expected in ["1AA", "2AA", "3AA"] {
        from.read_line(&mut String::new()).unwrap();
        // Times are evidence only when they are old enough.
        std::thread::sleep(Duration::from_millis(2_300));
        let built = workspace.run(&taut(), ["build", "o", "-P", "o", "--log-limit", "0"]).exits(0);
        assert_eq!(built.stdout, expected);
        writeln!(to).unwrap();
    }
    assert!(python.wait().unwrap().success());
}

#[test]
fn an_input_that_an_action_of_root_writes_through_a_mapping_is_not_seen_by_the_next_one() {
    if !has_python() || !is_root() || !is_in_memory(Path::new("/dev/shm")) {
        return;
    }
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let workspace = Workspace::new();
    let script = "import mmap, os
m = mmap.mmap(os.open('s.txt', os.O_RDWR), 5, mmap.MAP_SHARED, 3); m[0:5]; m[0:4] = b'EVIL'; open('o', 'w')";
    let targets = serde_json::json!({
        "evil": {"type": "generic", "outs": ["o"], "deps": ["s.txt"], "env": {"type": "singleton_map", "key": "PATH", "value": "/usr/bin:/bin:/usr/local/bin"},
            "cmds": [format!("python3 -c \"{script}\"")]},
        "next": {"type": "generic", "outs": ["n"], "deps": ["s.txt", "evil"], "cmds": ["cat s.txt > n"]},
    });
    workspace.file("s.txt", "good\n").file("TARGETS", targets.to_string());
    let root = memory.path().join("root").display().to_string();
    let words = ["build", "next", "-J", "1", "-P", "n", "--log-limit", "0", "--local-build-root", &root];
    let ran = taut().run(&workspace.root(), words);
    fs::remove_dir_all(memory.path().join("root")).unwrap();
    assert_eq!(ran.exits(0).stdout, "good\n");
}
