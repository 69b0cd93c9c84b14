//! Several processes on one build root and workspace: no process waits for a build that runs, except `gc`.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    fs,
    io::Read as _,
    thread,
    time::{Duration, Instant},
};

use taut_testkit::{StartedTool, Tool, Workspace, processed};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

/// A build whose action runs until a file appears.
struct Running {
    workspace: Workspace,
    child: Option<StartedTool>,
}

impl Running {
    fn start() -> Running {
        let workspace = Workspace::new();
        let (began, go) = (workspace.beside("began"), workspace.beside("go"));
        let wait =
            format!("touch {}; while ! test -e {}; do sleep 0.02; done", began.display(), go.display());
        workspace.file("a.txt", "a\n").file(
            "TARGETS",
            format!(
                r#"{{"slow": {{"type": "generic", "outs": ["slow"], "deps": ["a.txt"], "cmds": ["{wait}; cat a.txt > slow"]}},
                     "fast": {{"type": "generic", "outs": ["fast"], "deps": ["a.txt"], "cmds": ["cat a.txt > fast"]}},
                     "other": {{"type": "generic", "outs": ["other"], "deps": ["fast"], "cmds": ["cat fast fast > other"]}}}}"#
            ),
        );
        workspace.run(&taut(), ["build", "fast"]).exits(0);
        let child = workspace.start(&taut(), ["build", "slow"]);
        let end = Instant::now() + Duration::from_secs(60);
        while !began.exists() {
            assert!(Instant::now() < end, "the action never began");
            thread::sleep(Duration::from_millis(5));
        }
        Running { workspace, child: Some(child) }
    }

    /// Lets the action end; returns what the build printed.
    fn ends(&mut self) -> String {
        let mut child = self.child.take().unwrap();
        assert_eq!(child.try_wait().unwrap(), None, "it still runs");
        fs::write(self.workspace.beside("go"), "").unwrap();
        assert!(child.wait().unwrap().success());
        let mut output = String::new();
        child.stderr.take().unwrap().read_to_string(&mut output).unwrap();
        output
    }
}

#[test]
fn calls_beside_a_running_build_do_not_wait_for_it() {
    let mut running = Running::start();
    let out = running.workspace.beside("out").display().to_string();
    for words in [
        &["build", "fast"][..],
        &["build", "other"],
        &["build", "fast", "--no-trace"],
        &["analyse", "slow"],
        &["describe", "slow"],
        &["explain", "fast"],
        &["what-if", "a.txt"],
        &["install", "other", "-o", &out],
        &["add-to-cas", "a.txt"],
        &["build", "other", "--check-traces"],
    ] {
        running.workspace.run(&taut(), words).exits(0);
    }
    let output = running.ends();
    assert!(processed(&output) == Some((1, 0)), "{output}");
    for (target, count) in [("slow", 1), ("fast", 1), ("other", 2)] {
        let again = running.workspace.run(&taut(), ["build", target, "--check-traces"]).exits(0);
        assert!(processed(&again.stderr) == Some((count, count)), "{}", again.stderr);
    }
}

#[test]
fn gc_waits_for_running_builds_and_blocks_no_new_ones() {
    let mut running = Running::start();
    let mut gc = running.workspace.start(&taut(), ["gc"]);
    // It reports that it waits before it does.
    let mut output = [0; 8];
    gc.stderr.as_mut().unwrap().read_exact(&mut output).unwrap();
    running.workspace.run(&taut(), ["build", "fast"]).exits(0);
    running.workspace.run(&taut(), ["analyse", "slow"]).exits(0);
    assert_eq!(gc.try_wait().unwrap(), None, "the build uses the objects that it would remove");
    running.ends();
    assert!(gc.wait().unwrap().success());
    for target in ["slow", "fast"] {
        let again = running.workspace.run(&taut(), ["build", target]).exits(0);
        assert!(processed(&again.stderr) == Some((1, 1)), "{}", again.stderr);
    }
}
