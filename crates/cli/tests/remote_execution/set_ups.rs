//! Set-ups with a server: contents that it has are not fetched, and it can be given copies.

use std::{fs, path::Path, process::Command};

use taut_digest::HashFunction;
use taut_remote::server::Server;
use taut_testkit::{Tool, ToolResult, Workspace};

use super::{BOTH, golden::golden, start, taut};

/// The id that git has for the file at a path.
fn id(path: &Path) -> String {
    HashFunction::GitSha1.blob(&fs::read(path).unwrap()).to_hex()
}

/// Repositories whose network is not there: an archive, and a tree that a command makes.
fn project(archive: &str, tree: Option<&str>) -> Workspace {
    let workspace = Workspace::new();
    let tree = tree.map(|id| format!(r#", "made": {{"repository": {{"type": "git tree", "id": "{id}", "cmd": ["sh", "-c", "exit 1"]}}}}"#));
    workspace.file(
        "repos.json",
        format!(
            r#"{{"repositories": {{"archive": {{"repository": {{"type": "archive", "content": "{archive}",
              "fetch": "http://127.0.0.1:1/archive.tar", "subdir": "d"}}}}{},
              "": {{"repository": {{"type": "file", "path": "."}}, "bindings": {{"archive": "archive"}}}}}}}}"#,
            tree.unwrap_or_default()
        ),
    );
    workspace.file("ROOT", "");
    workspace
        .file("TARGETS", r#"{"all": {"type": "install", "files": {"text": ["@", "archive", "", "text"]}}}"#);
    workspace
}

/// A directory with an archive, which is what a directory of archives has.
fn distdir() -> Workspace {
    let beside = Workspace::new();
    beside.file("d/text", "text\n").file("d/TARGETS", "{}");
    let made = Command::new("tar").args(["-cf", "archive.tar", "d"]).current_dir(beside.root()).status();
    assert!(made.unwrap().success());
    beside
}

fn mr(workspace: &Workspace, words: &[&str]) -> ToolResult {
    let tool = Tool::at(env!("CARGO_BIN_EXE_taut")).called("just-mr");
    let root = workspace.build_root().to_string_lossy().into_owned();
    tool.run(&workspace.root(), [&["--norc", "--local-build-root", &root], words].concat())
}

fn server_words(server: &Server, naming: HashFunction) -> Vec<String> {
    let mut words = vec!["-r".to_owned(), server.address()];
    words.extend((naming == HashFunction::Sha256).then(|| "--compatible".to_owned()));
    words
}

#[test]
fn an_archive_that_was_backed_up_is_taken_from_the_server() {
    let (distdir, server) = (distdir(), start(BOTH[0], &[]));
    let archives = distdir.root().to_string_lossy().into_owned();
    let archive = id(&distdir.root().join("archive.tar"));
    let address = server.address();
    let first = project(&archive, None);
    // What is here needs no server; and without the option nothing is sent.
    mr(&first, &["-r", &address, "--distdir", &archives, "setup"]).exits(0);
    mr(&first, &["-r", &address, "fetch", "-o", "."]).exits(0);
    assert_eq!(server.total(), 0);
    mr(&first, &["-r", &address, "fetch", "-o", ".", "--backup-to-remote"]).exits(0);

    let second = project(&archive, None);
    let text = mr(&second, &["-r", &address, "fetch", "-o", "."]).exits(0).stderr;
    assert_eq!(id(&second.root().join("archive.tar")), archive, "{text}");
    // A build under the own name does that, too.
    let third = project(&archive, None);
    let out = third.beside("out").to_string_lossy().into_owned();
    third.run(&taut(), ["install", "-r", &address, "-o", &out, "all"]).exits(0);
    assert_eq!(fs::read_to_string(third.beside("out").join("text")).unwrap(), "text\n");
}

/// `fetch` and `setup` under the name `taut` know the same server, by an option or an rc file.
#[test]
fn repositories_come_from_and_go_to_a_server_under_the_own_name() {
    let (distdir, server) = (distdir(), start(BOTH[0], &[]));
    let archives = distdir.root().to_string_lossy().into_owned();
    let archive = id(&distdir.root().join("archive.tar"));
    let address = server.address();
    let first = project(&archive, None);
    let text = first.run(&taut(), ["fetch", "--backup-to-remote", "-o", "."]).exits(16).stderr;
    golden("A backup without a server", &text);
    first
        .run(&taut(), ["fetch", "-r", &address, "--backup-to-remote", "--distdir", &archives, "-o", "."])
        .exits(0);

    let second = project(&archive, None);
    assert_ne!(second.run(&taut(), ["setup"]).code, 0, "there is no network");
    second.run(&taut(), ["setup", "-r", &address]).exits(0);
    let third = project(&archive, None);
    third.file("rc.json", format!(r#"{{"remote execution": {{"address": "{address}"}}}}"#));
    third.run(&taut(), ["fetch", "--rc", "rc.json", "-o", "."]).exits(0);
    assert_eq!(id(&third.root().join("archive.tar")), archive);
    let text = third.run(&taut(), ["setup", "-r", "nowhere"]).exits(1).stderr;
    assert!(text.contains("nowhere"), "{text}");
}

#[test]
fn a_tree_that_was_backed_up_is_taken_from_the_server() {
    let server = start(BOTH[0], &[]);
    let first = Workspace::new();
    first.file("d/a/text", "text\n").link("d/link", "a/text");
    let tree = first.run(&taut(), ["add-to-cas", "d"]).exits(0).stdout.trim().to_owned();
    let describe = |workspace: &Workspace| {
        workspace.file("ROOT", "").file(
            "repos.json",
            format!(
                r#"{{"repositories": {{"": {{"repository": {{"type": "git tree", "id": "{tree}", "cmd": ["false"]}}}}}}}}"#
            ),
        );
    };
    describe(&first);
    let address = server.address();
    mr(&first, &["-r", &address, "fetch", "-o", ".", "--backup-to-remote"]).exits(0);
    let second = Workspace::new();
    describe(&second);
    assert_ne!(mr(&second, &["setup"]).code, 0, "the command makes nothing");
    mr(&second, &["-r", &address, "setup"]).exits(0);
    second.run(&taut(), ["install-cas", &format!("{tree}::t"), "-o", "copy"]).exits(0);
    assert_eq!(fs::read_to_string(second.root().join("copy/link")).unwrap(), "text\n");
}

#[test]
fn a_standard_server_gets_copies_under_its_own_names() {
    let (distdir, server) = (distdir(), start(BOTH[1], &[]));
    let archives = distdir.root().to_string_lossy().into_owned();
    let file = distdir.root().join("archive.tar");
    let project = project(&id(&file), None);
    let words = server_words(&server, BOTH[1]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let call = [&words[..], &["--distdir", &archives, "fetch", "-o", ".", "--backup-to-remote"]].concat();
    mr(&project, &call).exits(0);
    let bytes = fs::read(&file).unwrap();
    let copy = server.memory().blob(&HashFunction::Sha256.blob(&bytes));
    assert_eq!(copy.as_deref(), Some(&bytes[..]));
}

#[test]
fn a_server_that_is_gone_costs_a_warning() {
    let distdir = distdir();
    let archives = distdir.root().to_string_lossy().into_owned();
    let archive = id(&distdir.root().join("archive.tar"));
    let gone = start(BOTH[0], &[]).address();
    let own = project(&archive, None);
    let call = ["-r", &gone, "--distdir", &archives, "fetch", "-o", ".", "--backup-to-remote"];
    let text = mr(&own, &call).exits(0).stderr;
    assert!(
        text.contains(&format!("Failed to back up content {archive} from local CAS to remote")),
        "{text}"
    );
    // What is nowhere else is looked for in the network all the same.
    let text = mr(&project(&archive, None), &["-r", &gone, "setup"]).exits(71).stderr;
    assert!(text.contains("Failed to obtain Capabilities"), "{text}");
    assert!(text.contains("http://127.0.0.1:1/archive.tar"), "{text}");
    let text = mr(&project(&archive, None), &["-r", "nowhere", "setup"]).exits(71).stderr;
    assert!(text.contains("Failed to set remote endpoint address \"nowhere\""), "{text}");
}
