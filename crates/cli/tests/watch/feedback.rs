//! An output directory among the sources: changes by others start rounds, and the rounds that changes by `watch` itself
//! start end.

use super::*;

fn start(workspace: &Workspace, out: &Path, more: &[&str]) -> Watching {
    Watching::start(workspace, &[&["-o", out.to_str().unwrap()], more].concat())
}

/// How often an action ran.
fn runs(watching: &Watching) -> usize {
    watching.all().matches("\n  ran ").count()
}

/// A tree that holds the directory into which an archive of it is installed.
fn archive_of_itself(workspace: &Workspace) {
    let target = r#"{"all": {"type": "generic", "outs": ["copy"], "deps": [["TREE", null, "."]],
      "cmds": ["find . -type f -exec cat {} + > ../all; mv ../all copy"]}}"#;
    workspace.file("TARGETS", target).file("data", "data\n");
}

#[test]
fn rounds_of_a_tree_that_contains_its_result_end() {
    let workspace = Workspace::new();
    let target = r#"{"all": {"type": "generic", "out_dirs": ["d"], "deps": [["TREE", null, "."]],
      "cmds": ["mkdir -p ../x/s; find . -type f > ../x/s/list; cat data > ../x/s/data; rm -rf d; mv ../x d"]}}"#;
    for more in [&[][..], &["--prune"], &["--poll"]] {
        workspace.file("TARGETS", target).file("data", "1\n");
        let out = workspace.root().join("dist");
        let mut watching = start(&workspace, &out, more);
        has(&watching.until("Interrupt to end."), "dist/d is installed by each round");
        workspace.file("data", "2\n");
        becomes(&out.join("d/s/data"), "2\n");
        workspace.file("data", "3\n");
        becomes(&out.join("d/s/data"), "3\n");
        assert!(runs(&watching) <= 8, "{}", watching.all());
        assert_eq!(watching.interrupt(), 130);
        fs::remove_dir_all(out).unwrap();
    }
}

/// Checks that edits are followed, each by few rounds.
#[track_caller]
fn edits_end(workspace: &Workspace, out: &Path, mut watching: Watching, is_polling: bool) {
    let output = watching.until("Interrupt to end.");
    has(&output, "the output directory dist is part of what the target is made from");
    has(&output, "dist/copy is installed by each round");
    has(&output, "(by tree .)");
    assert!(runs(&watching) <= 3, "{output}");
    for number in 0..4 {
        let (before, text) = (runs(&watching), format!("edit {number}"));
        // Another file, and one that is there.
        let name = if number % 2 == 0 { "data".to_owned() } else { format!("new-{number}") };
        workspace.file(&name, format!("{text}\n"));
        let end = Instant::now() + PATIENCE;
        while !fs::read_to_string(out.join("copy")).is_ok_and(|copy| copy.contains(&text)) {
            assert!(Instant::now() < end, "{text} is not followed:\n{}", watching.all());
            thread::sleep(Duration::from_millis(10));
        }
        assert!(runs(&watching) - before <= 2, "{}", watching.all());
    }
    let before = runs(&watching);
    workspace.file("last", "");
    // Alone: no change of the output directory is followed.
    watching.until(if is_polling { "src changed." } else { "last changed." });
    watching.until("New results");
    assert!(runs(&watching) - before <= 2, "{}", watching.all());
    assert_eq!(watching.all().matches("the output directory").count(), 1, "reported once");
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn a_result_that_is_part_of_itself_is_built_once_for_each_change() {
    let workspace = Workspace::new();
    archive_of_itself(&workspace);
    let out = workspace.root().join("dist");
    let watching = start(&workspace, &out, &[]);
    edits_end(&workspace, &out, watching, false);
}

#[test]
fn a_result_that_is_part_of_itself_is_built_once_for_each_change_with_polling() {
    let workspace = Workspace::new();
    archive_of_itself(&workspace);
    let out = workspace.root().join("dist");
    let watching = start(&workspace, &out, &["--poll"]);
    edits_end(&workspace, &out, watching, true);
}

#[test]
fn a_result_that_is_part_of_itself_is_built_once_for_each_change_through_a_link() {
    let workspace = Workspace::new();
    archive_of_itself(&workspace);
    std::os::unix::fs::symlink("src", workspace.beside("link")).unwrap();
    let out = workspace.root().join("dist");
    let root = workspace.beside("link").display().to_string();
    let watching = start(&workspace, &out, &["-w", &root]);
    edits_end(&workspace, &out, watching, false);
}

#[test]
fn a_pattern_that_finds_the_result_makes_no_endless_rounds() {
    let workspace = Workspace::new();
    let target = r#"{"all": {"type": "generic", "outs": ["all.txt"], "deps": [["GLOB", null, "*.txt"]],
      "cmds": ["cat *.txt > ../all; rm -f all.txt; mv ../all all.txt"]}}"#;
    workspace.file("TARGETS", target).file("a.txt", "a\n");
    let mut watching = start(&workspace, &workspace.root(), &[]);
    let output = watching.until("Interrupt to end.");
    has(&output, "all.txt is installed by each round and read by the next (by glob *.txt)");
    workspace.file("b.txt", "b\n");
    watching.until("b.txt changed.");
    watching.until("ran ");
    workspace.file("c.txt", "c\n");
    watching.until("c.txt changed.");
    watching.until("New results");
    assert!(runs(&watching) <= 6, "{}", watching.all());
    assert!(fs::read_to_string(workspace.root().join("all.txt")).unwrap().contains("c\n"));
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn a_result_that_another_part_reads_as_a_source_is_followed_until_it_is_stable() {
    let workspace = Workspace::new();
    let target = r#"{"all": {"type": "install", "files": {"gen.h": "gen", "use": "use"}},
      "gen": {"type": "generic", "outs": ["gen.h"], "deps": ["gen.in"], "cmds": ["tr a-z A-Z < gen.in > gen.h"]},
      "use": {"type": "generic", "outs": ["use"], "deps": [["FILE", null, "gen.h"]], "cmds": ["rev gen.h > use"]}}"#;
    workspace.file("TARGETS", target).file("gen.in", "abc\n").file("gen.h", "");
    let mut watching = start(&workspace, &workspace.root(), &[]);
    watching.until("Interrupt to end.");
    becomes(&workspace.root().join("use"), "CBA\n");
    for (content, result) in [("def\n", "FED\n"), ("ghi\n", "IHG\n")] {
        workspace.file("gen.in", content);
        becomes(&workspace.root().join("use"), result);
    }
    assert!(!watching.all().contains("the output directory"), "{}", watching.all());
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn an_output_directory_beside_what_is_read_causes_no_warning() {
    let workspace = project();
    let out = workspace.root().join("dist");
    let mut watching = start(&workspace, &out, &[]);
    watching.until("Interrupt to end.");
    workspace.file("m/u.txt", "loud\n");
    has(&watching.round("m/u.txt changed."), "2 actions of 3 run");
    becomes(&out.join("shout"), "LOUD\n");
    workspace.file("b.txt", "b\n");
    let output = watching.until("b.txt changed.");
    assert_eq!(output.matches("changed.").count(), 1, "{output}");
    assert!(!watching.all().contains("the output directory"), "{}", watching.all());
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn rounds_that_an_action_causes_are_slowed_down_and_reported() {
    let workspace = Workspace::new();
    let source = workspace.root().join("data").display().to_string();
    let target = r#"{"all": {"type": "install", "files": {"data": "writes", "other": "other"}},
      "writes": {"type": "generic", "outs": ["out"], "deps": ["data"], "cmds": ["cat data > out; echo x >> SOURCE"]}}"#;
    workspace.file("TARGETS", target.replace("SOURCE", &source)).file("data", "").file("other", "1\n");
    let out = workspace.beside("out");
    let mut watching = start(&workspace, &out, &[]);
    has(&watching.until("an action writes there"), "(data)");
    // An edit is followed as before, if later.
    workspace.file("other", "2\n");
    becomes(&out.join("other"), "2\n");
    assert!(runs(&watching) < 20, "{}", watching.all());
    // An interrupt ends it during a pause, too.
    assert_eq!(watching.interrupt(), 130);
}
