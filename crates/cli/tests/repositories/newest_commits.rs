//! The newest commits of branches: `update`, and `repos --outdated`.

use crate::{
    project::{Project, has_git},
    server::Server,
    workspaces::TwoDependencies,
};

/// Several repositories may be directories of one commit.
#[test]
fn each_branch_is_asked_for_once_however_many_repositories_are_of_it() {
    if !has_git() {
        return;
    }
    let (project, server) = (Project::new(), Server::start());
    let newest = |name: &str| if name == "a" { "a".repeat(40) } else { "b".repeat(40) };
    for name in ["a", "b"] {
        let line = format!("{}\trefs/heads/main\n", newest(name));
        server.file(&format!("/{name}/info/refs?service=git-upload-pack"), line.as_bytes());
    }
    let repositories: Vec<String> = ["a1", "a2", "b1", "a3"]
        .iter()
        .map(|name| {
            let url = server.url(&format!("/{}", &name[..1]));
            let commit = "a".repeat(40);
            format!(
                r#""{name}": {{"repository": {{"type": "git", "repository": "{url}", "branch": "main",
                "commit": "{commit}", "subdir": "{name}"}}}}"#
            )
        })
        .collect();
    project.file("repos.json", format!(r#"{{"repositories": {{{}}}}}"#, repositories.join(",")));
    let asked = || server.asked().into_iter().filter(|path| path.contains("/info/refs")).count();
    let listed = project.taut(["repos", "--all", "--outdated", "--json"]).success().stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    for (name, outdated) in [("a1", false), ("a2", false), ("a3", false), ("b1", true)] {
        assert_eq!(listed[name]["outdated"], outdated, "{name}: {listed}");
    }
    assert_eq!(asked(), 2);
    let updated = project.taut(["update", "a1", "b1", "a3"]).success().stdout;
    let updated: serde_json::Value = serde_json::from_str(&updated).unwrap();
    for name in ["a1", "b1", "a3"] {
        let commit = &updated["repositories"][name]["repository"]["commit"];
        assert_eq!(commit, &newest(&name[..1]), "{updated}");
    }
    assert_eq!(asked(), 2);
}

#[test]
fn an_alias_has_no_commit_to_update() {
    if !has_git() {
        return;
    }
    let two = TwoDependencies::new();
    let lib = two.project.path("served.git").display().to_string();
    let commit = &two.commit;
    two.describe(&format!(
        r#"{{"repositories": {{"alias": {{"repository": "other"}}, "other": {{"repository": "lib"}}, "lib": {{"repository":
        {{"type": "git", "repository": "{lib}", "branch": "main", "commit": "{commit}"}}}}}}}}"#
    ));
    let answer = two.project.taut(["update", "alias"]);
    assert_eq!((answer.code, &*answer.stdout), (1, ""));
    answer.says(&["\"alias\" has no commit of its own", "repos.json:1:", "help: update \"lib\""]);
    two.project.taut(["update", "lib"]).success();
}

#[test]
fn the_newest_commit_is_also_that_of_a_tag_or_of_the_head() {
    if !has_git() {
        return;
    }
    let two = TwoDependencies::new();
    let lib = two.project.path("lib").display().to_string();
    let first = &two.commit;
    two.project.shell(
        "cd ../lib; echo more > more.txt; git add .; git commit -q -m two; git tag light
         git tag -a -m text annotated; git tag both; git branch both HEAD^",
    );
    let newest = two.project.shell("git -C ../lib rev-parse HEAD").stdout.trim().to_owned();
    for (branch, expected) in [("light", &newest), ("annotated", &newest), ("HEAD", &newest), ("both", first)]
    {
        let describe = |commit: &str| {
            two.describe(&format!(
                r#"{{"repositories": {{"lib": {{"repository":
                {{"type": "git", "repository": "{lib}", "branch": "{branch}", "commit": "{commit}"}}}}}}}}"#
            ));
        };
        describe(&"0".repeat(40));
        let updated = two.project.taut(["update", "lib"]).success().stdout;
        let updated: serde_json::Value = serde_json::from_str(&updated).unwrap();
        assert_eq!(updated["repositories"]["lib"]["repository"]["commit"], expected.as_str(), "{branch}");
        describe(expected);
        two.project.taut(["setup"]).success();
        let listed = two.project.taut(["repos", "--outdated", "--json"]).success().stdout;
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        assert_eq!(listed["lib"]["outdated"], false, "{branch}: {listed}");
    }
}
