//! A set-up that a signal ends: it ends soon, whatever it waits for, and leaves nothing behind.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::project::{Project, has_git};

/// The URL of a server that sends the beginning of a file and then nothing, or nothing at all.
fn stalling_server(sends: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let mut line = String::new();
            let _ = BufReader::new(&stream).read_line(&mut line);
            if sends {
                let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
                let _ = stream.write_all(&[head.as_bytes(), &[b'x'; 100_000]].concat());
            }
            open.push(stream);
        }
    });
    format!("http://127.0.0.1:{port}")
}

/// What is in the directories for temporary files, but for the directories of kinds.
fn left(project: &Project) -> String {
    let find = "find ../home ../lbr -path '*ephemeral/*/*' -o -name 'download-*' -o -name 'tmp*' 2>/dev/null || true";
    project.shell(find).stdout
}

/// Sources whose set-up does not end: an archive of which a part comes, and one of which nothing does, a commit, a command.
fn endless_sources() -> [String; 4] {
    let archive = |url: &str| {
        format!(
            r#"{{"type": "archive", "content": "0123456789012345678901234567890123456789", "fetch": "{url}/a.tar"}}"#
        )
    };
    let id = "0123456789012345678901234567890123456789";
    [
        archive(&stalling_server(true)),
        archive(&stalling_server(false)),
        format!(
            r#"{{"type": "git", "repository": "{}/r.git", "branch": "main", "commit": "{id}"}}"#,
            stalling_server(false)
        ),
        format!(r#"{{"type": "git tree", "id": "{id}", "cmd": ["sh", "-c", "echo > begun; sleep 1000"]}}"#),
    ]
}

/// Starts a call whose set-up does not end, and waits until it is in the middle of it.
fn begun(project: &Project, name: &str, words: &[&str], source: &str) -> Child {
    project.file("repos.json", format!(r#"{{"repositories": {{"a": {{"repository": {source}}}}}}}"#));
    let mut command = Command::new(project.path("bin").join(name));
    command.args(words).current_dir(project.work()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("HOME", project.path("home"));
    let mut child = command.spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while left(project).is_empty() {
        assert!(Instant::now() < until && child.try_wait().unwrap().is_none(), "{name} {source}");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(200));
    child
}

/// Nothing can remove what a killed process had begun; the collection of garbage does.
#[test]
fn what_a_killed_set_up_leaves_is_removed_by_gc() {
    if !has_git() {
        return;
    }
    for source in endless_sources() {
        let project = Project::new();
        let mut child = begun(&project, "taut", &["setup"], &source);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_ne!(left(&project), "", "{source}");
        project.taut(["gc"]).success();
        assert_eq!(left(&project), "", "{source}");
        // It is no obstacle for later set-ups either.
        project.file(
            "repos.json",
            r#"{"repositories": {"": {"repository": {"type": "file", "path": ".",
            "pragma": {"to_git": true}}}}}"#,
        );
        project.taut(["setup"]).success();
    }
}

#[test]
fn a_set_up_that_a_signal_ends_leaves_nothing() {
    if !has_git() {
        return;
    }
    let sources = endless_sources();
    let calls = [
        ("taut", &["build"][..]),
        ("taut", &["setup"]),
        ("just-mr", &["--local-build-root", "../lbr", "build"]),
    ];
    for (number, source) in sources.iter().enumerate() {
        for (name, words) in calls {
            let project = Project::new();
            let child = begun(&project, name, words, source);
            let signal = if number % 2 == 0 { "-INT" } else { "-TERM" };
            let killed = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
            assert!(killed.success());
            let output = child.wait_with_output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            let expected = if number % 2 == 0 { 130 } else { 143 };
            assert_eq!(
                output.status.code(),
                Some(expected),
                "{name} {source} {:?} {stderr}",
                output.status.signal()
            );
            assert!(!stderr.contains("error") && !stderr.contains("ERROR"), "{name} {source}: {stderr}");
            assert_eq!(left(&project), "", "{name} {source}");
        }
    }
}

/// It is what was asked for, and another try needs no server; but nothing of what is in it is kept.
#[test]
fn of_an_archive_that_cannot_be_unpacked_only_the_archive_is_kept_until_gc() {
    let project = Project::new();
    project.shell(
        "mkdir d; head -c 300000 /dev/urandom > d/a; echo b > d/b; tar -czf whole.tgz d
         head -c 250000 whole.tgz > cut.tgz; rm -r d whole.tgz",
    );
    let id = project.shell("git hash-object --no-filters cut.tgz").stdout;
    let url = format!("file://{}", project.path("work/cut.tgz").display());
    project.file(
        "repos.json",
        format!(
            r#"{{"repositories": {{"": {{"repository": {{"type": "archive", "content": "{}", "fetch": "{url}"}}}}}}}}"#,
            id.trim()
        ),
    );
    let kept = "cd ../home/.cache/taut; find . -path '*/casf/*' -type f; find repositories -path '*/objects/*' -type f; \
                find repositories -name '*-map'; find . -name 'tmp*' -o -name 'fetch-*'";
    let failed = project.taut(["setup"]);
    assert_eq!(failed.code, 1);
    failed.says(&["cannot be unpacked"]);
    let lines: Vec<String> = project.shell(kept).stdout.lines().map(str::to_owned).collect();
    let shard = format!("casf/{}/{}", &id[..2], id[2..].trim());
    assert!(matches!(&lines[..], [one] if one.ends_with(&shard)), "{lines:?}");
    project.taut(["gc"]).success();
    project.taut(["gc"]).success();
    assert_eq!(project.shell(kept).stdout, "");
}
