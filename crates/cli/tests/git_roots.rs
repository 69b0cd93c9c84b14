//! Roots that are git trees: read from a repository without a checkout, with the results of the reference.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use taut_testkit::{GitRepository, Tool, ToolResult, Workspace, listing, processed};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

const TARGETS: &str = r#"
{ "all": {"type": "install", "dirs": [["act", "act"], ["tree", "t"], ["files", "f"], [["src", "glob"], "g"]]}
, "tree": {"type": "install", "files": {"tree": ["TREE", null, "src"]}}
, "whole": {"type": "install", "files": {"tree": ["TREE", null, "."]}}
, "nothing": {"type": "install", "files": {"tree": ["TREE", null, "nothing"]}}
, "plain": {"type": "install", "deps": ["src/main.c", "src/run.sh"]}
, "files":
  { "type": "install"
  , "deps": ["src/main.c", "src/run.sh", ["SYMLINK", null, "src/link"], ["FILE", null, "src/link"], ["SYMLINK", null, "src/main.c"], ["FILE", null, "src/to_directory"]]
  }
, "act":
  { "type": "generic"
  , "outs": ["out"]
  , "cmds": ["find . ! -name out | sort >out", "./src/run.sh >>out", "cat src/sub/deep/d >>out", "test -x src/run.sh", "! test -x src/sub/h.txt"]
  , "deps": ["src/run.sh", ["TREE", null, "src/sub"]]
  }
, "links": {"type": "generic", "outs": ["out"], "cmds": ["cat src/link >out", "readlink src/link >>out"], "deps": [["TREE", null, "src"]]}
, "outwards": {"type": "install", "deps": ["bad/f"]}
, "outwards tree": {"type": "install", "deps": [["TREE", null, "bad"]]}
, "submodule": {"type": "install", "deps": ["over/f"]}
, "submodule itself": {"type": "install", "deps": ["over/m"]}
, "submodule tree": {"type": "install", "deps": [["TREE", null, "over"]]}
, "not utf8": {"type": "install", "deps": ["odd/f"]}
, "not utf8 tree": {"type": "install", "deps": [["TREE", null, "odd"]]}
, "ruled": {"type": ["rules", "copy"], "srcs": ["src/main.c"]}
}
"#;

const RULES: &str = r#"
{ "copy":
  { "target_fields": ["srcs"]
  , "imports": {"copied": "copied"}
  , "expression": {"type": "CALL_EXPRESSION", "name": "copied"}
  }
}
"#;

const EXPRESSIONS: &str = r#"
{ "copied":
  { "vars": ["FIELD"]
  , "vars_doc": {}
  , "expression":
    { "type": "let*"
    , "bindings":
      [ [ "in"
        , { "type": "map_union"
          , "$1":
            { "type": "foreach"
            , "range": {"type": "FIELD", "name": "srcs"}
            , "body": {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}
            }
          }
        ]
      , [ "out"
        , {"type": "ACTION", "inputs": {"type": "var", "name": "in"}, "outs": ["copy"], "cmd": ["sh", "-c", "cat src/main.c >copy"]}
        ]
      ]
    , "body": {"type": "RESULT", "artifacts": {"type": "var", "name": "out"}}
    }
  }
}
"#;

/// A workspace whose file `repos.json` names trees of a repository beside it.
struct Project {
    workspace: Workspace,
    git: GitRepository,
}

impl Project {
    fn new() -> Project {
        let workspace = Workspace::new();
        let git = GitRepository::new(workspace.beside("repository.git"));
        Project { workspace, git }
    }

    /// The tree with the targets above.
    fn tree(&self) -> String {
        self.tree_with(true)
    }

    /// The same, with or without directories that cannot be used.
    fn tree_with(&self, has_unusable: bool) -> String {
        let git = &self.git;
        let blob = |content: &str| git.blob(content);
        let file = blob("f\n");
        let deep = git.tree(&[("100644", b"d", &blob("deep\n"))]);
        let sub = git.tree(&[("40000", b"deep", &deep), ("100644", b"h.txt", &blob("hello\n"))]);
        let src = git.tree(&[
            ("100644", b".dot", &blob("dot\n")),
            ("100644", b"TARGETS", &blob(r#"{"glob": {"type": "install", "deps": [["GLOB", null, "*"]]}}"#)),
            ("120000", b"link", &blob("main.c")),
            ("100644", b"main.c", &blob("int main(void) {}\n")),
            ("100755", b"run.sh", &blob("#!/bin/sh\necho run\n")),
            ("40000", b"sub", &sub),
            ("120000", b"to_directory", &blob("sub")),
        ]);
        let bad = git.tree(&[("100644", b"f", &file), ("120000", b"up", &blob("../.."))]);
        let over = git.tree(&[("100644", b"f", &file), ("160000", b"m", &file)]);
        let odd = git.tree(&[("100644", b"f", &file), ("100644", b"\xff", &file)]);
        let rules =
            git.tree(&[("100644", b"RULES", &blob(RULES)), ("100644", b"EXPRESSIONS", &blob(EXPRESSIONS))]);
        let targets = blob(TARGETS);
        let mut entries: Vec<(&str, &[u8], &str)> = vec![
            ("100644", b"TARGETS", &targets),
            ("40000", b"odd", &odd),
            ("40000", b"rules", &rules),
            ("40000", b"src", &src),
        ];
        if has_unusable {
            entries.extend([("40000", &b"bad"[..], &*bad), ("40000", b"over", &over)]);
        }
        git.tree(&entries)
    }

    fn configure(&self, repositories: &str) {
        let path = self.git.path().to_str().unwrap();
        self.workspace.file("repos.json", repositories.replace("REPOSITORY", path));
    }

    fn run(&self, tool: &Tool, words: &[&str]) -> ToolResult {
        self.workspace.run(tool, words.iter().copied())
    }

    fn build(&self, target: &str) -> ToolResult {
        self.run(&taut(), &["build", "-C", "repos.json", target])
    }

    /// Whether the store has an object.
    fn stores(&self, directory: &str, id: &str) -> bool {
        let below = format!("protocol-dependent/generation-0/git-sha1/{directory}");
        self.workspace.build_root().join(below).join(&id[..2]).join(&id[2..]).exists()
    }
}

/// One repository, whose roots are a tree of the repository.
fn one(tree: &str) -> String {
    format!(r#"{{"repositories": {{"": {{"workspace_root": ["git tree", "{tree}", "REPOSITORY"]}}}}}}"#)
}

/// What a tool answers about targets of repositories of all kinds, with some more options: exit codes, and what the
/// dumps have.
fn transcript(tool: &Tool, options: &[&str]) -> String {
    let project = Project::new();
    let tree = project.tree();
    let git = |scheme: &str| format!(r#"["{scheme}", "{tree}", "REPOSITORY"]"#);
    let (root, ignoring) = (git("git tree"), git("git tree ignore-special"));
    let absent = format!(r#"["git tree", "{tree}"]"#);
    let usable = project.tree_with(false);
    project.configure(&format!(
        r#"{{"repositories":
        {{ "usable": {{"workspace_root": ["git tree", "{usable}", "REPOSITORY"]}}
        , "git": {{"workspace_root": {root}}}
        , "ignoring": {{"workspace_root": {ignoring}}}
        , "absent": {{"workspace_root": {absent}}}
        , "absent sources": {{"workspace_root": {absent}, "target_root": {root}}}
        , "absent targets": {{"workspace_root": {root}, "target_root": {absent}}}
        , "absent rules": {{"workspace_root": {root}, "rule_root": {absent}}}
        , "targets in a directory": {{"workspace_root": {root}, "target_root": ["file", "."]}}
        }}}}"#
    ));
    project
        .workspace
        .file("TARGETS", r#"{"tree": {"type": "install", "deps": [["TREE", null, "src"], "src/link"]}}"#);
    let targets = [
        "all",
        "tree",
        "whole",
        "nothing",
        "plain",
        "files",
        "act",
        "links",
        "outwards",
        "outwards tree",
        "submodule",
        "submodule itself",
        "submodule tree",
        "not utf8",
        "not utf8 tree",
        "ruled",
    ];
    let repositories = [
        "usable",
        "git",
        "ignoring",
        "absent",
        "absent sources",
        "absent targets",
        "absent rules",
        "targets in a directory",
    ];
    let mut out = String::new();
    for repository in repositories {
        for target in targets {
            // The reference aborts (1.6.5), in compatible mode wherever a directory has such a name.
            let has_such_names = repository == "ignoring" || !options.is_empty();
            if has_such_names && ["not utf8 tree", "whole"].contains(&target) {
                continue;
            }
            // A difference (docs/differences.md): the reference reads all that is below, to find what cannot be used.
            if target == "whole" && ["git", "absent rules", "targets in a directory"].contains(&repository) {
                continue;
            }
            let words = [&["-C", "repos.json", "--main", repository, "--log-limit", "0"], options].concat();
            let analysed = project.run(
                tool,
                &[
                    &["analyse"],
                    &words[..],
                    &[
                        "--dump-artifacts-to-build",
                        "-",
                        "--dump-graph",
                        "graph",
                        "--dump-result",
                        "result",
                        target,
                    ],
                ]
                .concat(),
            );
            writeln!(out, "=== {repository}: {target}: analyse exits with {}", analysed.code).unwrap();
            if analysed.code != 0 {
                continue;
            }
            out.push_str(&analysed.stdout);
            for file in ["graph", "result"] {
                out.push_str(&fs::read_to_string(project.workspace.root().join(file)).unwrap());
                out.push('\n');
            }
            let built =
                project.run(tool, &[&["build"], &words[..], &["--dump-artifacts", "-", target]].concat());
            writeln!(out, "--- build exits with {}", built.code).unwrap();
            if built.code == 0 {
                out.push_str(&built.stdout);
            }
        }
    }
    out
}

#[test]
fn targets_have_the_results_of_the_reference() {
    assert_as_recorded("transcript.txt", &[]);
}

#[test]
fn in_compatible_mode_targets_have_the_results_of_the_reference() {
    assert_as_recorded("transcript-compatible.txt", &["--compatible"]);
}

/// A file in `git_roots/` has the answers of the reference, version 1.6.5, with some more options. With
/// `TAUT_REFERENCE` it is compared with that, and with `TAUT_RECORD` written.
#[track_caller]
fn assert_as_recorded(file: &str, options: &[&str]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/git_roots").join(file);
    if let Some(reference) = Tool::reference() {
        let theirs = transcript(&reference, options);
        if std::env::var_os("TAUT_RECORD").is_some() {
            fs::write(&file, &theirs).unwrap();
        }
        assert!(theirs == fs::read_to_string(&file).unwrap(), "the reference answers otherwise:\n{theirs}");
    }
    let ours = transcript(&taut().called("just"), options);
    let theirs = fs::read_to_string(&file).unwrap();
    let differing = ours.lines().zip(theirs.lines()).position(|(ours, theirs)| ours != theirs);
    if let Some(at) = differing {
        let part =
            |text: &str| text.lines().skip(at.saturating_sub(8)).take(12).collect::<Vec<_>>().join("\n");
        panic!("line {}: taut has\n{}\n\nthe reference\n{}", at + 1, part(&ours), part(&theirs));
    }
    assert_eq!(ours, theirs);
}

#[test]
fn sources_are_installed_as_what_they_are() {
    let project = Project::new();
    project.configure(&one(&project.tree()));
    project.run(&taut(), &["install", "-C", "repos.json", "-o", "out", "all"]).exits(0);
    let installed = listing(&project.workspace.root().join("out")).unwrap();
    let paths: Vec<&str> =
        installed.keys().map(String::as_str).filter(|path| path.starts_with("g/")).collect();
    assert_eq!(paths, ["g/.dot", "g/TARGETS", "g/link", "g/main.c", "g/run.sh", "g/to_directory"]);
    let root = project.workspace.root();
    assert_eq!(fs::read_link(root.join("out/f/src/link")).unwrap(), PathBuf::from("main.c"));
    assert_eq!(fs::read_link(root.join("out/t/tree/to_directory")).unwrap(), PathBuf::from("sub"));
    assert_eq!(fs::read_to_string(root.join("out/t/tree/sub/deep/d")).unwrap(), "deep\n");
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o111;
    assert_ne!(mode("out/f/src/run.sh"), 0);
    assert_ne!(mode("out/t/tree/run.sh"), 0);
    assert_eq!(mode("out/t/tree/main.c"), 0);
}

/// Git has written modes of files with the permissions of the group, and of directories with a leading zero. The names
/// of such trees are those of their bytes.
#[test]
fn trees_with_modes_as_git_once_wrote_them_are_used_as_they_are() {
    for mode in [&[][..], &["--compatible"]] {
        let project = Project::new();
        let git = &project.git;
        let file = git.blob("file\n");
        let below = git.tree(&[("100664", b"plain", &file), ("100775", b"run", &file)]);
        let sub = git.tree(&[("040000", b"below", &below), ("100600", b"own", &file)]);
        let targets = git.blob(
            r#"{ "action": {"type": "generic", "outs": ["o"], "cmds": ["cat sub/below/plain sub/own > o; test -x sub/below/run"],
                            "deps": [["TREE", null, "sub"]]}
               , "tree": {"type": "install", "dirs": [[["TREE", null, "sub"], "at"]]}}"#,
        );
        let root = git.tree(&[("100644", b"TARGETS", &targets), ("40000", b"sub", &sub)]);
        project.configure(&one(&root));
        let call = |words: &[&str]| {
            project.run(&taut(), &[&words[..1], &["-C", "repos.json"], mode, &words[1..]].concat())
        };
        assert_eq!(call(&["build", "action", "-p"]).exits(0).stdout, "file\nfile\n");
        call(&["install", "tree", "-o", "out"]).exits(0);
        let installed = listing(&project.workspace.root().join("out/at/sub")).unwrap();
        assert_eq!(installed["below/run"], "file 755 file\n");
        assert_eq!(installed["below/plain"], "file 644 file\n");
        assert_eq!(installed["own"], "file 644 file\n");
        if mode.is_empty() {
            assert!(project.stores("cast", &sub) && project.stores("cast", &below));
        }
    }
}

#[test]
fn objects_are_stored_when_something_needs_them() {
    let project = Project::new();
    let tree = project.tree();
    project.configure(&one(&tree));
    let [main, deep] = ["int main(void) {}\n", "deep\n"].map(|content| project.git.blob(content));
    project.run(&taut(), &["analyse", "-C", "repos.json", "all"]).exits(0);
    assert!(!project.stores("casf", &main) && !project.stores("casf", &deep));
    project.build("plain").exits(0);
    assert!(project.stores("casf", &main) && !project.stores("casf", &deep));
    // A tree comes with everything below it.
    project.build("tree").exits(0);
    assert!(project.stores("casf", &deep));
}

#[test]
fn a_null_build_needs_no_repository() {
    let project = Project::new();
    project.configure(&one(&project.tree()));
    let first = project.build("all").exits(0);
    assert_eq!(processed(&first.stderr), Some((1, 0)), "{}", first.stderr);
    let moved = project.workspace.beside("moved.git");
    fs::rename(project.git.path(), &moved).unwrap();
    let second = project.build("all").exits(0);
    assert_eq!(processed(&second.stderr), Some((1, 1)), "{}", second.stderr);
    // The same tree of another repository is the same root.
    project.workspace.file("repos.json", {
        let text = fs::read_to_string(project.workspace.root().join("repos.json")).unwrap();
        text.replace(project.git.path().to_str().unwrap(), moved.to_str().unwrap())
    });
    let third = project.build("all").exits(0);
    assert!(third.stderr.contains("up to date"), "{}", third.stderr);
}

#[test]
fn another_tree_rebuilds_what_depends_on_what_differs() {
    let project = Project::new();
    let git = &project.git;
    let targets = r#"{"a": {"type": "generic", "outs": ["a"], "cmds": ["cat in/x > a"], "deps": [["TREE", null, "in"]]},
                      "b": {"type": "generic", "outs": ["b"], "cmds": ["cat y > b"], "deps": ["y"]},
                      "": {"type": "install", "deps": ["y"], "dirs": [["a", "."], ["b", "."]]}}"#;
    let tree = |x: &str, y: &str, other: &str| {
        let inputs = git.tree(&[("100644", b"x", &git.blob(x))]);
        git.tree(&[
            ("100644", b"TARGETS", &git.blob(targets)),
            ("40000", b"in", &inputs),
            ("100644", b"other", &git.blob(other)),
            ("100644", b"y", &git.blob(y)),
        ])
    };
    let builds = |tree: &str, expected| {
        project.configure(&one(tree));
        let ran = project.build("").exits(0);
        assert_eq!(processed(&ran.stderr), Some(expected), "{}", ran.stderr);
    };
    let first = tree("x", "y", "o");
    builds(&first, (2, 0));
    builds(&tree("x", "y", "another"), (2, 2));
    builds(&tree("x2", "y", "o"), (2, 1));
    builds(&tree("x2", "y2", "o"), (2, 1));
    builds(&first, (2, 2));
}

#[test]
fn directories_and_git_trees_can_be_mixed() {
    let project = Project::new();
    let tree = project.tree();
    project.configure(&format!(
        r#"{{"main": "main", "repositories":
        {{ "main": {{"workspace_root": ["file", "."], "bindings": {{"pinned": "pinned"}}}}
        , "pinned": {{"workspace_root": ["git tree", "{tree}", "REPOSITORY"]}}
        }}}}"#
    ));
    project.workspace.file("own.txt", "own\n").file(
        "TARGETS",
        r#"{"t": {"type": "generic", "outs": ["t"], "cmds": ["cat own.txt src/main.c src/sub/h.txt > t"],
                  "deps": ["own.txt", ["@", "pinned", "", "plain"], ["@", "pinned", "", "act"], ["TREE", null, "d"], ["@", "pinned", "", "sub"]]}}"#,
    );
    // The target of the other repository is not there: the message names the file in the tree.
    let failed = project.build("t").exits(8);
    assert!(failed.stderr.contains("\"sub\""), "{}", failed.stderr);
    project.workspace.file("d/x", "x").file(
        "TARGETS",
        r#"{"t": {"type": "generic", "outs": ["t"], "cmds": ["cat own.txt src/main.c tree/sub/h.txt > t"],
                  "deps": ["own.txt", ["@", "pinned", "", "plain"], ["@", "pinned", "", "tree"], ["TREE", null, "d"]]}}"#,
    );
    let built = project.run(&taut(), &["build", "-C", "repos.json", "t", "-P", "t"]).exits(0);
    assert_eq!(built.stdout, "own\nint main(void) {}\nhello\n");
    project.workspace.file("own.txt", "changed\n");
    let built = project.run(&taut(), &["build", "-C", "repos.json", "t", "-P", "t"]).exits(0);
    assert_eq!(built.stdout, "changed\nint main(void) {}\nhello\n");
}

#[test]
fn roots_that_are_not_there_are_named_with_their_place() {
    let project = Project::new();
    let tree = project.tree();
    let commit = project.git.object("commit", format!("tree {tree}\n\n").as_bytes());
    let blob = project.git.blob("f\n");
    let none = "1".repeat(40);
    let (short, path) = (&tree[..39], project.git.path().to_str().unwrap().to_owned());
    let fails = |root: &str, code: i32, text: &str, place: &str| {
        project.configure(&format!("{{\"repositories\":\n{{\"m\": {{\"workspace_root\":\n{root}}}}}}}"));
        let failed = project.build("plain").exits(code);
        assert!(failed.stderr.contains(text), "{text} is not in\n{}", failed.stderr);
        assert!(failed.stderr.contains(place), "{place} is not in\n{}", failed.stderr);
        failed
    };
    let is_root = "it is the workspace_root of repository \"m\"";
    let id_place = format!("repos.json:3:{}", r#"["git tree", "#.len() + 1);
    let path_place = format!("repos.json:3:{}", r#"["git tree", "", "#.len() + 41);
    let git = |id: &str| format!(r#"["git tree", "{id}", "REPOSITORY"]"#);
    fails(&git(&none), 1, &format!("there is no tree {none} in the git repository {path}"), &id_place);
    fails(&git(&commit), 1, "is a commit, not a tree", &id_place);
    fails(&git(&commit), 1, &format!("git -C {path} rev-parse {commit}^{{tree}}"), is_root);
    fails(&git(&blob), 1, "is a blob, not a tree", &id_place);
    fails(&git(short), 1, "is not the id of a git tree", &id_place);
    fails(&git("HEAD"), 1, "is not the id of a git tree", &id_place);
    let nowhere = format!(r#"["git tree", "{tree}", "nowhere"]"#);
    fails(&nowhere, 1, "nowhere is not a git repository: it does not exist", &path_place);
    fails(&nowhere, 1, is_root, &path_place);
    let directory = format!(r#"["git tree", "{tree}", "."]"#);
    fails(&directory, 1, "has no HEAD", &path_place);
    fails(r#"["git tree"]"#, 1, "expects one or two string arguments", "repos.json:3:1");
    let absent = format!(r#"["git tree", "{tree}"]"#);
    fails(&absent, 8, "are in a git tree that is not here", "name the git repository that has it");
    // An absent root is not remembered.
    project.configure(&format!(r#"{{"repositories": {{"m": {{"workspace_root": {}}}}}}}"#, git(&tree)));
    project.build("plain").exits(0);
    // The empty tree need not be in the repository.
    let empty = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
    fails(&git(empty), 8, "there is no targets file", "");
}

#[test]
fn damaged_objects_are_errors_and_not_stored() {
    let project = Project::new();
    let git = &project.git;
    let good = git.blob("good");
    let (wrong, gone) = (git.blob("wrong"), git.blob("gone"));
    git.write(&wrong, b"blob 5\0other");
    let evil = git.object("tree", &[b"100644 ..\0".as_slice(), &[7; 20]].concat());
    let outwards = git.tree(&[("120000", b"passwd", &git.blob("/etc/passwd"))]);
    let unsorted =
        git.object("tree", &[b"100644 b\0".as_slice(), &[7; 20], b"100644 a\0", &[7; 20]].concat());
    let below = |id: &str| git.tree(&[("40000", b"below", id), ("100644", b"good", &good)]);
    let targets = r#"{"wrong": {"type": "install", "deps": ["wrong"]}, "good": {"type": "install", "deps": ["good"]},
        "evil": {"type": "install", "deps": [["TREE", null, "evil"]]},
        "outwards": {"type": "install", "deps": [["TREE", null, "outwards"]]},
        "unsorted": {"type": "install", "deps": [["TREE", null, "unsorted"]]},
        "listed": {"type": "install", "deps": ["evil/below/x"]}}"#;
    // `wrong` is also the name of a target: those are files of another directory.
    let targets = targets.replace("[\"wrong\"]", "[[\"FILE\", null, \"wrong\"]]");
    let targets = targets.replace("[\"good\"]", "[[\"FILE\", null, \"good\"]]");
    let tree = git.tree(&[
        ("100644", b"TARGETS", &git.blob(&targets)),
        ("40000", b"evil", &below(&evil)),
        ("100644", b"good", &good),
        ("40000", b"outwards", &below(&outwards)),
        ("40000", b"unsorted", &below(&unsorted)),
        ("100644", b"wrong", &wrong),
    ]);
    project.configure(&one(&tree));
    project.build("good").exits(0);
    let fails = |target: &str, code: i32, text: &str| {
        let failed = project.build(target).exits(code);
        assert!(failed.stderr.contains(text), "{text} is not in\n{}", failed.stderr);
    };
    fails("wrong", 1, "its content has another hash");
    assert!(!project.stores("casf", &wrong));
    fails("evil", 1, "git tree has an entry named \"..\" (below in tree ");
    fails("listed", 8, "git tree has an entry named \"..\"");
    fails("outwards", 1, "it is a link that leads outwards (to /etc/passwd) (below/passwd in tree ");
    fails("unsorted", 1, "git tree is not sorted: \"a\" is out of place");
    assert!(!project.stores("cast", &evil) && !project.stores("cast", &outwards));
    // An object that is missing from the repository, which can be added later.
    fs::remove_file(git.file(&gone)).unwrap();
    let tree = git.tree(&[
        ("100644", b"TARGETS", &git.blob(r#"{"t": {"type": "install", "deps": [["TREE", null, "d"]]}}"#)),
        ("40000", b"d", &below(&git.tree(&[("100644", b"gone", &gone)]))),
    ]);
    project.configure(&one(&tree));
    fails("t", 1, &format!("source object {gone}: it is not there (below/gone in tree "));
    git.blob("gone");
    project.build("t").exits(0);
}

#[test]
fn messages_show_the_lines_of_files_in_a_tree() {
    let project = Project::new();
    let git = &project.git;
    let tree = git.tree(&[("100644", b"TARGETS", &git.blob("{\"t\":\n {\"type\": \"instal\"}}"))]);
    project.configure(&one(&tree));
    let failed = project.build("t").exits(8);
    assert!(failed.stderr.contains(&format!("git tree {}/TARGETS:2:", &tree[..12])), "{}", failed.stderr);
    assert!(failed.stderr.contains(r#"{"type": "instal"}"#), "{}", failed.stderr);
}

/// Ten directories in each directory, twelve levels deep, with one file at each end: few objects, and 10^12 paths.
fn bomb(git: &GitRepository) -> String {
    let mut tree = git.tree(&[("100644", b"f", &git.blob("f\n"))]);
    for _ in 0..12 {
        let names: Vec<String> = (0..10).map(|name| name.to_string()).collect();
        let entries: Vec<_> = names.iter().map(|name| ("40000", name.as_bytes(), tree.as_str())).collect();
        tree = git.tree(&entries);
    }
    tree
}

/// Also where a tree is put together from its files: without its special entries, or with other names of contents.
#[test]
fn a_tree_with_far_more_paths_than_objects_is_analysed_by_its_objects() {
    let project = Project::new();
    let git = &project.git;
    let targets = r#"{"all": {"type": "install", "files": {"d": ["TREE", null, "d"]}}, "f": {"type": "install", "deps": ["one/f"]}
        , "act": {"type": "generic", "outs": ["o"], "cmds": ["echo > o"], "deps": [["TREE", null, "d"]]}}"#;
    let with = |bomb: &str, file: &str| {
        let one = git.tree(&[("100644", b"f", &git.blob(file))]);
        git.tree(&[
            ("100644", b"TARGETS", &git.blob(targets)),
            ("40000", b"d", bomb),
            ("40000", b"one", &one),
        ])
    };
    let tree = with(&bomb(git), "one\n");
    let special = one(&tree).replace("git tree", "git tree ignore-special");
    for (configuration, options) in [
        (one(&tree), &[][..]),
        (special.clone(), &[]),
        (one(&tree), &["--compatible"]),
        (special, &["--compatible"]),
    ] {
        project.configure(&configuration);
        let words = |subcommand, target| [&[subcommand, "-C", "repos.json"], options, &[target]].concat();
        let analysed = project.run(&taut(), &words("analyse", "all")).exits(0);
        assert!(analysed.stderr.contains("\"d\""), "{}", analysed.stderr);
        // The file is looked for among all files of the root, if another process has analysed the target.
        project.run(&taut(), &words("analyse", "f")).exits(0);
        let built = project.run(&taut(), &[&words("build", "f")[..], &["-P", "one/f"]].concat()).exits(0);
        assert_eq!(built.stdout, "one\n");
        // Files for all of the paths are not begun with for long.
        for (subcommand, target) in [("build", "act"), ("install", "all")] {
            let refused = [
                &words(subcommand, target)[..],
                &["-o", "../out"][..2 * usize::from(subcommand == "install")],
            ];
            let refused = project.run(&taut(), &refused.concat()).exits(1);
            let reason = "it has more than 16777216 files and directories";
            assert!(refused.stderr.contains(reason), "{}", refused.stderr);
        }
    }
}

/// Directories that are the same in one tree and differ in the next: the one that was not read counts, too.
#[test]
fn directories_that_were_the_same_may_differ_in_another_tree() {
    let project = Project::new();
    let git = &project.git;
    let targets = r#"{"all": {"type": "generic", "outs": ["out"], "cmds": ["cat d/a/e/x d/b/e/x > out"], "deps": [["TREE", null, "d"]]}}"#;
    let tree = |a: &str, b: &str| {
        let directory = |x: &str| git.tree(&[("40000", b"e", &git.tree(&[("100644", b"x", &git.blob(x))]))]);
        let both = git.tree(&[("40000", b"a", &directory(a)), ("40000", b"b", &directory(b))]);
        git.tree(&[("100644", b"TARGETS", &git.blob(targets)), ("40000", b"d", &both)])
    };
    for configuration in ["git tree", "git tree ignore-special"] {
        for (a, b) in [("1", "1"), ("1", "2"), ("2", "2"), ("2", "1"), ("1", "1")] {
            project.configure(&one(&tree(a, b)).replace("git tree", configuration));
            let built = project.run(&taut(), &["build", "-C", "repos.json", "all", "-P", "out"]).exits(0);
            assert_eq!(built.stdout, format!("{a}{b}"));
            let built =
                project.run(&taut(), &["build", "--compatible", "-C", "repos.json", "all", "-P", "out"]);
            assert_eq!(built.exits(0).stdout, format!("{a}{b}"));
        }
    }
}
