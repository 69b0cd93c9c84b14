//! Files with several names (hard links): a change through any of them starts a round.

use super::*;

/// Watches a file, a member of a tree and the targets file, all of which have other names in `pool`.
fn linked(more: &[&str]) -> (Workspace, PathBuf, Watching) {
    let workspace = Workspace::new();
    let targets =
        r#"{"all": {"type": "install", "files": {"in": "in"}, "dirs": [[["TREE", null, "t"], "t"]]}}"#;
    workspace.file("TARGETS", targets).file("in", "1\n").file("t/sub/member", "1\n");
    let pool = workspace.beside("pool");
    fs::create_dir(&pool).unwrap();
    for (name, file) in [("in", "in"), ("member", "t/sub/member"), ("targets", "TARGETS")] {
        fs::hard_link(workspace.root().join(file), pool.join(name)).unwrap();
    }
    let out = workspace.beside("out").display().to_string();
    let mut watching = Watching::start(&workspace, &[&["-o", &out], more].concat());
    watching.until("Interrupt to end.");
    (workspace, pool, watching)
}

fn changes_through_other_names_are_noticed(more: &[&str]) {
    let (workspace, pool, watching) = linked(more);
    let out = workspace.beside("out");
    for content in ["2\n", "3\n"] {
        fs::write(pool.join("in"), content).unwrap();
        becomes(&out.join("in"), content);
        fs::write(pool.join("member"), content).unwrap();
        becomes(&out.join("t/t/sub/member"), content);
    }
    let targets = r#"{"all": {"type": "install", "files": {"again": "in"}}}"#;
    fs::write(pool.join("targets"), targets).unwrap();
    becomes(&out.join("again"), "3\n");
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn a_change_through_another_name_is_noticed() {
    changes_through_other_names_are_noticed(&[]);
}

#[test]
fn a_change_through_another_name_is_noticed_with_polling() {
    changes_through_other_names_are_noticed(&["--poll"]);
}

#[test]
fn a_change_through_a_later_name_is_noticed() {
    let (workspace, pool, watching) = linked(&[]);
    let out = workspace.beside("out");
    // As editors do it: the file of that name is another one, without other names.
    workspace.file("new", "replaced\n");
    fs::rename(workspace.root().join("new"), workspace.root().join("in")).unwrap();
    becomes(&out.join("in"), "replaced\n");
    fs::hard_link(workspace.root().join("in"), pool.join("later")).unwrap();
    fs::write(pool.join("later"), "through a later name\n").unwrap();
    becomes(&out.join("in"), "through a later name\n");
    // And once more, for a file that has them from the beginning.
    fs::remove_file(workspace.root().join("in")).unwrap();
    fs::hard_link(pool.join("member"), workspace.root().join("in")).unwrap();
    becomes(&out.join("in"), "1\n");
    fs::write(pool.join("member"), "both\n").unwrap();
    becomes(&out.join("in"), "both\n");
    becomes(&out.join("t/t/sub/member"), "both\n");
    assert_eq!(watching.interrupt(), 130);
}
