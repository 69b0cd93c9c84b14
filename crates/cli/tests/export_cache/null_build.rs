//! A build after no change, with hundreds of pinned repositories: it looks at the files of the main repository, and at
//! one entry of the cache for each export target.

use std::{collections::BTreeMap, fs, path::Path, thread, time::Duration};

use serde_json::{Value, json};

use crate::project::{Project, taut};

const REPOSITORIES: usize = 200;

/// How long ago a change has to be for evidence of it to be trusted.
const MARGIN: Duration = Duration::from_millis(2_300);

#[test]
fn a_null_build_looks_at_one_entry_for_each_pinned_repository() {
    let project = Project::new();
    let trees: Vec<String> = (0..REPOSITORIES)
        .map(|number| {
            let below = if number > 0 { r#", "deps": [["@", "below", "", "e"]]"# } else { "" };
            let targets = format!(
                r#"{{"t": {{"type": "generic", "outs": ["o{number}"], "cmds": ["echo {number} >o{number}"]{below}}},
                    "e": {{"type": "export", "target": "t"}}}}"#
            );
            let git = &project.git;
            git.tree(&[("100644", b"TARGETS", &git.blob(targets))])
        })
        .collect();
    let names: Vec<String> = (0..REPOSITORIES).map(|number| format!("r{number}")).collect();
    let repository = |number: usize| {
        let mut repository = json!({"workspace_root": project.root(&trees[number])});
        if number > 0 {
            repository["bindings"] = json!({"below": names[number - 1]});
        }
        repository
    };
    let all: Vec<(&str, Value)> =
        (0..REPOSITORIES).map(|number| (names[number].as_str(), repository(number))).collect();
    project.configure(&all);
    let dirs: Vec<Value> = names.iter().map(|name| json!([["@", name, "", "e"], name])).collect();
    let targets = json!({"all": {"type": "install", "deps": ["own"], "dirs": dirs}});
    project.workspace.file("own", "own\n").file("TARGETS", targets.to_string());
    thread::sleep(MARGIN);
    project.run(&taut(), &["build", "all"]).exits(0);
    // Entries appeared, so this is not a null build yet; nor does it run anything.
    let second = project.run(&taut(), &["build", "all"]).exits(0);
    assert!(second.stderr.contains("up to date (no actions, "), "{}", second.stderr);
    // Now no repository is needed.
    fs::rename(project.git.path(), project.workspace.beside("moved")).unwrap();
    let calls = project.workspace.beside("calls");
    // No process can be started: neither git nor the helper that would start actions.
    let watched = taut().with_env("TAUT_TEST_CALLS", &calls).with_env("TAUT_TEST_FAULT", "start@:2");
    let null = project.run(&watched, &["build", "all"]).exits(0);
    assert!(null.stderr.contains("up to date (no actions, "), "{}", null.stderr);

    let log = fs::read_to_string(calls).unwrap();
    let (top, cache) = (project.workspace.root(), project.store(0, "tc"));
    let objects = ["casf", "casx", "cast"].map(|kind| project.store(0, kind));
    let (mut files, mut entries): (BTreeMap<&Path, usize>, BTreeMap<&Path, usize>) = Default::default();
    for line in log.lines() {
        let (by, rest) = line.split_once(' ').unwrap();
        let (operation, path) = rest.split_once(' ').unwrap();
        let path = Path::new(path);
        // Of what was built only the entry in its directory is looked at.
        let is_object =
            path.parent().and_then(Path::parent).is_some_and(|kind| objects.contains(&kind.into()));
        assert!(!(is_object && operation == "open"), "{line}");
        assert!(!path.starts_with(project.git.path()), "{line}");
        if by == "name" && path.starts_with(&top) && path.file_name().is_some_and(|name| name != "ROOT") {
            *files.entry(path).or_default() += 1;
        }
        if by == "name" && path.parent().and_then(Path::parent).and_then(Path::parent) == Some(&cache) {
            *entries.entry(path).or_default() += 1;
        }
    }
    assert_eq!(entries.len(), REPOSITORIES);
    assert!(entries.values().all(|calls| *calls == 1), "{entries:?}");
    files.remove(&*top);
    let names: Vec<&str> = files.keys().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    // The directory is the home directory, too, where the options in front of the call's may be.
    assert_eq!(names, [".just-mrrc", "TARGETS", "own", "repos.json"]);
    assert!(files.values().all(|calls| *calls <= 2), "{files:?}");
}

#[test]
fn a_changed_pin_analyses_and_builds_only_what_it_reaches() {
    const CHAINS: usize = 20;
    const LENGTH: usize = 5;
    let project = Project::new();
    let name = |chain: usize, link: usize| format!("r{chain}-{link}");
    // Of each chain, a repository builds with the one below it.
    let configure = |changed: Option<(usize, usize)>| {
        let mut all: Vec<(String, Value)> = Vec::new();
        for chain in 0..CHAINS {
            for link in 0..LENGTH {
                let below = if link > 0 { r#", "deps": [["@", "below", "", "e"]]"# } else { "" };
                let content = match changed == Some((chain, link)) {
                    true => "changed",
                    false => "as it was",
                };
                let targets = format!(
                    r#"{{"t": {{"type": "generic", "outs": ["o{link}"], "cmds": ["cat o* >n 2>/dev/null; echo {chain} {link} {content} >>n; mv n o{link}"]{below}}},
                        "e": {{"type": "export", "target": "t"}}}}"#
                );
                let git = &project.git;
                let tree = git.tree(&[("100644", b"TARGETS", &git.blob(targets))]);
                let mut repository = json!({"workspace_root": project.root(&tree)});
                if link > 0 {
                    repository["bindings"] = json!({"below": name(chain, link - 1)});
                }
                all.push((name(chain, link), repository));
            }
        }
        let all: Vec<(&str, Value)> =
            all.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        project.configure(&all);
    };
    configure(None);
    let dirs: Vec<Value> = (0..CHAINS)
        .flat_map(|chain| (0..LENGTH).map(move |link| (chain, link)))
        .map(|(chain, link)| json!([["@", name(chain, link), "", "e"], name(chain, link)]))
        .collect();
    project.workspace.file("TARGETS", json!({"all": {"type": "install", "dirs": dirs}}).to_string());
    project.run(&taut(), &["build", "all"]).exits(0);
    project.run(&taut(), &["build", "all"]).exits(0);
    let analysed = || {
        let text = project.workspace.run(&taut(), ["explain"]).exits(0).stdout;
        let before = text.split_once(" targets analysed").unwrap_or_else(|| panic!("{text}")).0;
        before.rsplit([' ', '\n']).next().unwrap().parse::<usize>().unwrap_or_else(|_| panic!("{text}"))
    };
    for link in 0..LENGTH {
        // Another chain each time, so that no entry is there from before.
        configure(Some((link, link)));
        let changed = project.run(&taut(), &["build", "all"]).exits(0);
        // That of the pin and those above it: two targets of each, and the one that installs all.
        let reached = LENGTH - link;
        assert_eq!(analysed(), 2 * reached + 1, "link {link}: {}", changed.stderr);
        let actions = if reached == 1 { "1 action".to_owned() } else { format!("{reached} actions") };
        assert!(changed.stderr.contains(&actions), "link {link}: {}", changed.stderr);
        configure(None);
        project.run(&taut(), &["build", "all"]).exits(0);
    }
}
