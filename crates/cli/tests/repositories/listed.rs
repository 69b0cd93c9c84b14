//! `taut repos`: how far away what repositories are made from is.

use crate::project::Project;

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
