//! `taut repos`: how far away what repositories are made from is.

use crate::project::{Project, has_git};

/// A root that is made from others is as far away as the farthest of them, over any number of steps.
#[test]
fn what_is_made_from_a_missing_repository_is_missing() {
    let project = Project::new();
    let names = |of: &str| format!(r#"{{"repository": {{"type": "tree structure", "repo": "{of}"}}}}"#);
    let computed = |of: &str| {
        format!(
            r#"{{"repository": {{"type": "computed", "repo": "{of}", "target": ["", "t"]}}, "bindings": {{"x": "file"}}}}"#
        )
    };
    let archive = format!(
        r#"{{"repository": {{"type": "archive", "content": "{}", "fetch": "http://127.0.0.1:1/a.tar"}}}}"#,
        "1".repeat(40)
    );
    let entries = [
        ("a names of b", names("b names of archive")),
        ("archive", archive),
        ("b names of archive", names("archive")),
        ("c names of d", names("d computed from b")),
        ("d computed from b", computed("b names of archive")),
        ("e names of f", names("f names of g")),
        ("f names of g", names("g computed from file")),
        ("file", r#"{"repository": {"type": "file", "path": "."}}"#.to_owned()),
        ("g computed from file", computed("file")),
        ("x names of y", names("y names of x")),
        ("y names of x", names("x names of y")),
    ];
    let entries = entries.iter().map(|(name, entry)| format!(r#""{name}": {entry}"#)).collect::<Vec<_>>();
    project.file("repos.json", format!(r#"{{"repositories": {{{}}}}}"#, entries.join(",\n")));
    let listed = project.taut(["repos", "--all", "--json"]).success().stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let with = |state: &str| {
        let all = listed.as_object().unwrap().iter();
        all.filter(|(_, of)| of["state"] == state).map(|(name, _)| name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(with("present"), ["file"]);
    assert_eq!(with("offline"), ["e names of f", "f names of g", "g computed from file"]);
    assert_eq!(with("missing").len(), 7, "{listed}");
}

/// Whether roots are made is asked for all of them together: one configuration, whatever the length of a chain.
#[test]
fn a_chain_of_roots_is_listed_with_one_question() {
    if !has_git() {
        return;
    }
    let project = Project::new();
    project.file("base/TARGETS", r#"{"": {"type": "export", "target": "TARGETS (installed)"}, "TARGETS (installed)": {"type": "install", "files": {"TARGETS": "TARGETS"}}}"#);
    let base = r#""0": {"repository": {"type": "file", "path": "base", "pragma": {"to_git": true}}}"#;
    let computed = (1..20).map(|number| {
        let below = number - 1;
        format!(
            r#""{number}": {{"repository": {{"type": "computed", "repo": "{below}", "target": ["", ""]}}}}"#
        )
    });
    let names = (20..40).map(|number| {
        let below = number - 1;
        format!(r#""{number}": {{"repository": {{"type": "tree structure", "repo": "{below}"}}}}"#)
    });
    let entries = [base.to_owned()].into_iter().chain(computed).chain(names).collect::<Vec<_>>().join(",\n");
    project.file("repos.json", format!(r#"{{"main": "39", "repositories": {{{entries}}}}}"#));
    let states = || {
        let listed = project.taut(["repos", "--json", "--local-build-root", "../root"]).success().stdout;
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        let mut of_all: Vec<String> = Vec::new();
        of_all
            .extend(listed.as_object().unwrap().values().map(|of| of["state"].as_str().unwrap().to_owned()));
        of_all.sort();
        of_all.dedup();
        of_all
    };
    let kept = || {
        let files = project.shell("find ../root/protocol-dependent/generation-0/git-sha1/casf -type f");
        files.stdout.lines().count()
    };
    project.taut(["build", "--local-build-root", "../root", "FILE", ".", "TARGETS"]).success();
    let before = kept();
    assert_eq!(states(), ["present"]);
    let added = kept() - before;
    assert!(added <= 1, "{added} contents were stored for a list");
    // One that is not known leaves those below it.
    project.shell("sed -i '/^\"19\"/s/\"\"]/\"other\"]/' repos.json");
    assert_eq!(states(), ["offline", "present"]);
}
