//! Files that change while builds read them: a build succeeds, or fails with the reason, and the next build uses the
//! content that is there then. (That a mixture of two contents is never accepted depends on scheduling; it is tested in
//! `sys`, where contents are read.)
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    fs,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use taut_testkit::{Tool, Workspace};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

/// Writes contents over each other in a file, one after the other, without end.
struct Writer {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    fn start(path: PathBuf, contents: Vec<Vec<u8>>, pause: Duration) -> Writer {
        let ends = Arc::new(AtomicBool::new(false));
        let end = ends.clone();
        let thread = thread::spawn(move || {
            let file = fs::File::options().write(true).open(path).unwrap();
            for content in contents.iter().cycle() {
                file.write_all_at(content, 0).unwrap();
                thread::sleep(pause);
                if end.load(Relaxed) {
                    return;
                }
            }
        });
        Writer { ends, thread: Some(thread) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.ends.store(true, Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Whether a message is about a file that changed while it was read.
fn is_about_a_change(stderr: &str) -> bool {
    stderr.contains("keeps changing while it is read")
        || stderr.contains("the file changed while it was being read")
}

/// Builds beside a writer; then, when it has ended, once more.
fn beside_a_writer(workspace: &Workspace, name: &str, contents: Vec<Vec<u8>>, pause: u64) -> String {
    let writer = Writer::start(workspace.root().join(name), contents, Duration::from_millis(pause));
    for _ in 0..3 {
        let ran = workspace.run(&taut(), ["build", "all", "-P", "seen"]);
        let stderr = &ran.stderr[..ran.stderr.len().min(2_000)];
        assert!(
            ran.code == 0 || is_about_a_change(&ran.stderr) || ran.stderr.contains("Invalid JSON"),
            "{stderr}"
        );
    }
    drop(writer);
    workspace.run(&taut(), ["build", "all", "-P", "seen"]).exits(0).stdout
}

#[test]
fn after_a_source_changed_while_it_was_read_the_next_build_is_right() {
    let workspace = Workspace::new();
    // Which characters there are, each once.
    let command = "od -An -v -c -w1 source | sort -u | tr -d ' \\\\n' > seen";
    workspace.file(
        "TARGETS",
        format!(
            r#"{{"all": {{"type": "generic", "outs": ["seen"], "deps": ["source"], "cmds": ["{command}"]}}}}"#
        ),
    );
    for (size, pause) in [(20_000, 1), (1_100_000, 1)] {
        workspace.file("source", vec![b'0'; size]);
        let contents: Vec<Vec<u8>> = (b'a'..=b'h').map(|c| vec![c; size]).collect();
        let seen = beside_a_writer(&workspace, "source", contents, pause);
        let last = fs::read(workspace.root().join("source")).unwrap()[0] as char;
        assert_eq!(seen, last.to_string(), "{size}");
    }
}

#[test]
fn after_a_description_changed_while_it_was_read_the_next_build_is_right() {
    let workspace = Workspace::new();
    let version = |c: char| {
        let filling = c.to_string().repeat(30_000);
        format!(r#"{{"all": {{"type": "file_gen", "name": "seen", "data": "{filling}"}}}}"#)
    };
    workspace.file("TARGETS", version('0'));
    let contents = ('a'..='h').map(|c| version(c).into_bytes()).collect();
    let seen = beside_a_writer(&workspace, "TARGETS", contents, 1);
    let whole = fs::read_to_string(workspace.root().join("TARGETS")).unwrap();
    assert!(whole.contains(&seen));
}

/// A project whose first action changes the description; the second one depends on it. Files that changed recently are
/// read again, hence the wait.
fn changes_between_analysis_and_execution(next: impl Fn(&str) -> String) -> Workspace {
    let workspace = Workspace::new();
    let (next_file, targets) = (workspace.beside("next"), workspace.root().join("TARGETS"));
    let change = format!(
        "echo changing; if test -e {next}; then mv {next} {targets}; fi",
        next = next_file.display(),
        targets = targets.display(),
    );
    let first = format!(
        r#"{{"top": {{"type": "generic", "outs": ["other"], "outs": ["top"], "deps": ["below"], "cmds": ["cat below > top"]}},
            "below": {{"type": "generic", "outs": ["below"], "deps": ["source"], "cmds": ["cat source > below; {change}"]}}}}"#
    );
    workspace.file("TARGETS", &first).file("source", "one\n");
    thread::sleep(Duration::from_millis(2_100));
    assert_eq!(workspace.run(&taut(), ["build", "top", "-P", "top"]).exits(0).stdout, "one\n");
    workspace.file("source", "two\n");
    fs::write(next_file, next(&first)).unwrap();
    workspace
}

#[test]
fn a_build_uses_the_description_that_was_analysed_and_the_next_build_its_change() {
    let twice = |first: &str| first.replace("cat below >", "cat below below >");
    let workspace = changes_between_analysis_and_execution(twice);
    let ran = workspace.run(&taut(), ["build", "top", "-P", "top"]).exits(0);
    assert_eq!(ran.stdout, "two\n");
    assert!(!ran.stderr.contains("error: "), "{}", ran.stderr);
    let again = workspace.run(&taut(), ["build", "top", "-P", "top", "--check-traces"]).exits(0);
    assert_eq!(again.stdout, "two\ntwo\n");
}

#[test]
fn an_error_that_appears_in_a_description_during_a_build_is_reported_by_the_next_build() {
    let workspace = changes_between_analysis_and_execution(|_| r#"{"top": {"type": "nothing"}}"#.into());
    workspace.run(&taut(), ["build", "top"]).exits(0);
    let ran = workspace.run(&taut(), ["build", "top"]).exits(8);
    assert!(ran.stderr.contains("TARGETS:1:"), "{}", ran.stderr);
}
