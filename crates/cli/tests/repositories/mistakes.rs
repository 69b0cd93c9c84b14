//! Under the name `taut`: set-ups of what can never be there, or is of no use.

use std::fs;

use crate::{
    project::{Project, has_git},
    server::Server,
};

/// Roots that can never be there are an error of the description, before anything is fetched.
#[test]
fn roots_that_need_themselves_are_errors_of_the_description() {
    let (project, server) = (Project::new(), Server::start());
    let archive = format!(
        r#"{{"type": "archive", "content": "0123456789012345678901234567890123456789", "fetch": "{}"}}"#,
        server.url("/a.tgz")
    );
    let text = format!(
        r#"{{"main": "main", "repositories":
{{ "main": {{"repository": {{"type": "file", "path": "."}}, "bindings": {{"b": "b", "z": "z"}}}}
, "z": {{"repository": {archive}}}
, "b": {{"repository": {{"type": "computed", "repo": "c", "target": ["", "x"]}}}}
, "c": {{"repository": {{"type": "tree structure", "repo": "d"}}}}
, "d": {{"repository": {{"type": "computed", "repo": "b", "target": ["", "x"]}}}}
, "self": {{"repository": {{"type": "tree structure", "repo": "self"}}}}
, "leads there": {{"repository": {{"type": "tree structure", "repo": "self"}}}}
}}}}"#
    );
    project.file("repos.json", text);
    project.file("TARGETS", r#"{"x": {"type": "file_gen", "name": "x"}}"#);
    let cycle = [
        "error: the roots are computed from each other, 3 in a cycle",
        "--> repos.json:4:",
        "which needs the root of repository \"c\": repos.json:5:",
        "which needs the root of repository \"d\": repos.json:6:",
        "which needs the root of repository \"b\" again",
    ];
    for words in [&["setup"][..], &["setup-env"], &["build", "x"], &["analyse", "x"], &["setup", "d"]] {
        let failed = project.taut(words);
        assert_eq!((failed.code, &*failed.stdout), (1, ""), "{words:?}");
        failed.says(&cycle);
        assert!(!failed.stderr.contains("itself"), "{}", failed.stderr);
    }
    let all = project.taut(["setup", "--all"]);
    all.says(&cycle);
    all.says(&["error: the root is computed from itself", "--> repos.json:7:"]);
    assert_eq!((all.code, all.stderr.matches("error:").count()), (1, 2), "{}", all.stderr);
    let leading = project.taut(["setup", "leads there"]);
    leading.says(&["error: the root is computed from itself", "--> repos.json:7:"]);
    assert_eq!(leading.code, 1);
    assert_eq!(server.asked(), [""; 0]);
    // What does not need such a root is set up; the root of the main repository is left out here.
    project.taut(["setup-env", "self"]).success();
    project.taut(["fetch", "-o", ".", "self"]).success();
    project.taut(["repos", "--all"]).success();
}

/// Each once, however many repositories are made from it, and an error says where it came from.
#[test]
fn an_archive_that_is_of_no_use_is_fetched_once() {
    if !has_git() {
        return;
    }
    let (project, server) = (Project::new(), Server::start());
    let good = "mkdir -p d/e; echo text > d/f; tar -czf good.tgz d; echo damaged > bad.tgz";
    project.shell(good);
    let id =
        |file: &str| project.shell(&format!("git hash-object --no-filters {file}")).stdout.trim().to_owned();
    let bad = fs::read(project.work().join("bad.tgz")).unwrap();
    let (unusable, other) =
        (server.file("/unusable.tgz", &bad), server.file("/other.tgz", b"another content"));
    let source = |id: &str, url: &str| {
        format!(r#"{{"repository": {{"type": "archive", "content": "{id}", "fetch": "{url}"}}}}"#)
    };
    let unusable = source(&id("bad.tgz"), &unusable);
    let other = source("0123456789012345678901234567890123456789", &other);
    let gone = source("1123456789012345678901234567890123456789", &server.url("/gone.tgz"));
    let command = r#"{"repository": {"type": "git tree", "id": "0123456789012345678901234567890123456789", "cmd": ["sh", "-c", "echo run >> $RUNS"], "inherit env": ["RUNS"]}}"#;
    let entries: Vec<String> = [("u", &*unusable), ("o", &*other), ("g", &*gone), ("c", command)]
        .iter()
        .flat_map(|(name, of)| ["1", "2"].map(|number| format!(r#""{name}{number}": {of}"#)))
        .collect();
    let text = format!(
        r#"{{"repositories": {{"d": {{"repository": {{"type": "distdir", "repositories": ["u1", "o1", "g2"]}}}}, {}}}}}"#,
        entries.join(", ")
    );
    project.file("repos.json", text);
    let mut setup = std::process::Command::new(project.path("bin/taut"));
    setup.args(["setup", "--all"]).current_dir(project.work()).env("RUNS", project.path("runs"));
    let failed = project.run(setup);
    assert_eq!(failed.code, 1);
    let mut asked = server.asked();
    asked.sort();
    assert_eq!(asked, ["/gone.tgz", "/other.tgz", "/unusable.tgz"]);
    assert_eq!(fs::read_to_string(project.path("runs")).unwrap(), "run\n");
    // An archive of a distdir has its error once.
    for error in ["for repository \"o1\" cannot be fetched", "of repository \"u2\" cannot be unpacked"] {
        assert_eq!(failed.stderr.matches(error).count(), 1, "{}", failed.stderr);
    }
    // Whether it came for one of them or for the distdir, which keeps archives as they are: the note has the URL.
    failed.says(&["/unusable.tgz\n         note: its content has the id"]);
}

/// An error about a content names where that is from, also if nothing else of the call does.
#[test]
fn errors_about_contents_name_their_origin() {
    if !has_git() {
        return;
    }
    let project = Project::new();
    project.shell(
        "mkdir -p d/e distdir; echo text > d/f; ln -s f d/l; tar -czf good.tgz d; echo bad > distdir/bad.tgz",
    );
    let id =
        |file: &str| project.shell(&format!("git hash-object --no-filters {file}")).stdout.trim().to_owned();
    let describe = |content: &str, url: &str, subdir: &str| {
        project.file(
            "repos.json",
            format!(
                r#"{{"repositories": {{"": {{"repository":
                  {{"type": "archive", "content": "{content}", "fetch": "{url}", "subdir": "{subdir}"}}}}}}}}"#
            ),
        );
    };
    let good = format!("file://{}/good.tgz", project.work().display());
    for (subdir, what) in [
        ("d/none", "the only directory there is d/e"),
        ("d/f", "\"d/f\" is a file"),
        ("d/l/x", "\"d/l\" is a symbolic link"),
        ("d/f/x/y", "\"d/f\" is a file"),
    ] {
        describe(&id("good.tgz"), &good, subdir);
        // The second time, nothing is fetched.
        for _ in 0..2 {
            let failed = project.taut(["setup", "-q"]);
            assert_eq!(failed.code, 1);
            let message = format!("the contents of repository \"\" have no directory \"{subdir}\"");
            failed.says(&[&message, what, &format!("they are those of {good}")]);
        }
    }
    describe(&id("distdir/bad.tgz"), "https://example.invalid/bad.tgz", ".");
    let failed = project.taut(["setup", "-q", "--distdir", "distdir"]);
    failed.says(&["cannot be unpacked", "it came from ", "work/distdir/bad.tgz"]);
    project.taut(["add-to-cas", "distdir/bad.tgz"]).success();
    let failed = project.taut(["setup", "-q"]);
    failed.says(&[
        "cannot be unpacked",
        "it was in the build root; its URL is https://example.invalid/bad.tgz",
    ]);
}

/// just-mr reports each archive of a distdir that cannot be had. Their order differs from call to call there, so no
/// recorded answer shows it.
#[test]
fn under_the_name_just_mr_each_missing_archive_of_a_distdir_is_reported() {
    let project = Project::new();
    let ids = ["1".repeat(40), "2".repeat(40)];
    let archive = |id: &String, name: &str| {
        let fetch = project.path("none").join(name);
        format!(
            r#"{{"repository": {{"type": "archive", "content": "{id}", "fetch": "file://{}"}}}}"#,
            fetch.display()
        )
    };
    let (a, b) = (archive(&ids[0], "a.tar"), archive(&ids[1], "b.tar"));
    let distdir = r#"{"repository": {"type": "distdir", "repositories": ["a", "b"]}}"#;
    project.file(
        "repos.json",
        format!(r#"{{"main": "d", "repositories": {{"a": {a}, "b": {b}, "d": {distdir}}}}}"#),
    );
    let words = ["--norc", "--local-build-root", "../root", "setup"];
    let answer = project.call("just-mr", &project.work(), words);
    assert_eq!(answer.code, 71, "{}", answer.stderr);
    for id in &ids {
        let line = format!("Failed to fetch a file with id {id} from provided remotes:");
        assert_eq!(answer.stderr.matches(&line).count(), 1, "{}", answer.stderr);
    }
    assert_eq!(
        answer.stderr.matches("While fetching archives for distdir content ").count(),
        2,
        "{}",
        answer.stderr
    );
}
