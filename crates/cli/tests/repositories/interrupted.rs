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

/// Sources whose set-up does not end: an archive that arrives in part, an archive that never arrives, a commit, a
/// command.
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
        // It is not an obstacle for later set-ups either.
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

/// An archive that cannot be unpacked, as a file of the workspace, and a description with it.
fn with_unusable_archive(project: &Project, field: &str) -> String {
    project.shell(
        "mkdir d; head -c 300000 /dev/urandom > d/a; echo b > d/b; tar -czf whole.tgz d
         head -c 250000 whole.tgz > cut.tgz; rm -r d whole.tgz",
    );
    let id = project.shell("git hash-object --no-filters cut.tgz").stdout.trim().to_owned();
    let archive = format!(r#"{{"type": "archive", "content": "{id}", {field}}}"#);
    let repositories = format!(
        r#"{{"a": {{"repository": {archive}}}, "d": {{"repository": {{"type": "distdir", "repositories": ["a"]}}}}}}"#
    );
    project.file("repos.json", format!(r#"{{"repositories": {repositories}}}"#));
    id
}

/// All that a set-up keeps in a build root, but for the empty git repository.
fn kept(project: &Project, build_root: &str) -> Vec<String> {
    let find = format!(
        "cd {build_root}; find . -path '*/casf/*' -type f; find repositories -path '*/objects/*' -type f
         find repositories -name '*-map'; find . -path '*ephemeral/*/*'; find . -name 'tmp*' -o -name 'fetch-*'"
    );
    project.shell(&find).stdout.lines().map(str::to_owned).collect()
}

/// Wherever it comes from: the pin says which file it is, not that it is worth anything.
#[test]
fn of_an_archive_that_cannot_be_unpacked_nothing_is_kept() {
    if !has_git() {
        return;
    }
    for source in ["a server", "a directory of archives", "a git repository of the build root"] {
        let project = Project::new();
        let cut = project.path("work/cut.tgz").display().to_string();
        let id = match source {
            "a server" => with_unusable_archive(&project, &format!(r#""fetch": "file://{cut}""#)),
            _ => with_unusable_archive(&project, r#""fetch": "http://127.0.0.1:1/cut.tgz""#),
        };
        let mut words = vec!["setup", "--main", "a"];
        let git = "../home/.cache/taut/repositories/generation-0/git";
        match source {
            "a server" => {}
            "a directory of archives" => words.extend(["--distdir", "."]),
            _ => drop(project.shell(&format!(
                "git init -q --bare {git}; git -C {git} hash-object -w --no-filters $PWD/cut.tgz"
            ))),
        }
        // Twice: nothing of the first call changes the second.
        for _ in 0..2 {
            let failed = project.taut(&words);
            assert_eq!(failed.code, 1, "{source}");
            failed.says(&["cannot be unpacked", "it is truncated or corrupt"]);
            let mut kept = kept(&project, "../home/.cache/taut");
            kept.retain(|path| {
                !(source.starts_with("a git") && path.contains(&format!("objects/{}/", &id[..2])))
            });
            assert_eq!(kept, [""; 0], "{source}");
        }
        // What only wants the file, and does not open it, gets it; and what is in the store stays there.
        words[2] = "d";
        project.taut(&words).success();
        words[2] = "a";
        assert_eq!(project.taut(&words).code, 1);
        let in_store = format!("casf/{}/{}", &id[..2], &id[2..]);
        assert!(
            kept(&project, "../home/.cache/taut").iter().any(|path| path.ends_with(&in_store)),
            "{source}"
        );
        words[2] = "d";
        project.taut(&words).success();
    }
}

/// Its message has the path of the archive in the store.
#[test]
fn under_the_name_of_the_reference_an_archive_that_cannot_be_unpacked_stays_in_the_store() {
    let project = Project::new();
    let url = format!(r#""fetch": "file://{}""#, project.path("work/cut.tgz").display());
    let id = with_unusable_archive(&project, &url);
    let words = ["--norc", "--local-build-root", "../lbr", "--main", "a", "setup"];
    let failed = project.call("just-mr", &project.work(), words);
    assert_eq!(failed.code, 71);
    let in_store = format!("casf/{}/{}", &id[..2], &id[2..]);
    failed.says(&["Failed to extract archive", &in_store]);
    assert!(matches!(&kept(&project, "../lbr")[..], [one] if one.ends_with(&in_store)));
}

/// A killed process cannot remove the lock that git's list of commits without parents has.
#[test]
fn a_lock_that_a_killed_process_left_does_not_block_later_fetches() {
    if !has_git() {
        return;
    }
    let project = Project::new();
    project.shell(
        "git init -q -b main ../up; cd ../up; for n in 1 2; do echo $n > f; git add f
         git -c user.name=n -c user.email=e commit -q -m $n; done",
    );
    let commit = project.shell("git -C ../up rev-parse HEAD").stdout.trim().to_owned();
    // A commit that is fetched without those before it, from a server: the program in place of ssh runs what that would
    // run.
    project.shell(
        "cat > ../ssh <<'END'
#!/bin/sh
while test $# -gt 2; do shift; done
exec sh -c \"$2\"
END
         chmod +x ../ssh",
    );
    let repository = format!(
        r#""repository": "ssh://host{}", "branch": "main", "commit": "{commit}", "inherit env": ["GIT_SSH"]"#,
        project.path("up").display()
    );
    project.file(
        "repos.json",
        format!(r#"{{"repositories": {{"": {{"repository": {{"type": "git", {repository}}}}}}}}}"#),
    );
    let git = "../home/.cache/taut/repositories/generation-0/git";
    project.shell(&format!("git init -q --bare {git}; touch -d '1 hour ago' {git}/shallow.lock"));
    project.shell("GIT_SSH=$PWD/../ssh taut setup");
    let left = project.shell(&format!("ls {git}; cat {git}/shallow; git -C {git} fsck --strict")).stdout;
    assert!(left.contains(&commit) && !left.contains("shallow.lock"), "{left}");
    // Locks and temporary files that are in nothing's way here, but in that of just-mr and git, are removed by the
    // collection of garbage.
    let leave = format!(
        "cd {git}; touch packed-refs.lock refs/tags/x.lock objects/pack/tmp_pack_x; ls -R | grep -e lock -e tmp"
    );
    for collect in ["gc", "gc-repo"] {
        project.shell(&leave);
        project.taut([collect]).success();
        let left = project.shell("find ../home -name '*.lock' ! -name gc.lock -o -name 'tmp*'");
        assert_eq!(left.stdout, "", "{collect}");
    }
}
