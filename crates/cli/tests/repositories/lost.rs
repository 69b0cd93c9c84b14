//! Contents of repositories that are lost or damaged: of a repository of the user, and of that of the build root. A
//! build that needs them fetches them again; another build does not look for them.

use std::fs;

use taut_testkit::StartedTool;

use crate::project::{Answer, Project, has_git};

const WARNING: &str = "contents of repositories were lost or damaged: they are set up again";

/// A project with a repository of git, of which each target needs another file, and a root that is computed from it.
struct Lost {
    project: Project,
}

impl Lost {
    fn new() -> Lost {
        let project = Project::new();
        // The commit that is described is in the server's repository, and in the clone that is the checkout.
        project.shell(
            r#"mkdir ../lib; cd ../lib; git init -q -b main; mkdir d; echo 1 > d/one; echo 2 > d/two; echo 3 > d/three
               cat > TARGETS <<'END'
{"names": {"type": "export", "target": "made"}
,"made": {"type": "generic", "outs": ["TARGETS", "f"], "cmds": ["cp t TARGETS; cat d/one > f"], "deps": ["t", "d/one"]}}
END
               echo '{"x": {"type": "install", "files": {"x": "f"}}, "g": {"type": "file_gen", "name": "g", "data": "g"}}' > t
               git add .; git commit -q -m one
               git clone -q --bare . ../served.git; git clone -q . ../checkout"#,
        );
        let install = |file: &str| {
            let from = format!(r#"["@", "lib", "", "d/{file}"]"#);
            format!(r#""{file}": {{"type": "install", "files": {{"{file}": {from}}}}}"#)
        };
        project.file("TARGETS", format!("{{{}}}", ["one", "two", "three"].map(install).join(",\n")));
        Lost { project }
    }

    /// Describes the library by a URL; with a checkout, as in the file of checkout locations.
    fn describe(&self, more: &str) {
        let path = |name: &str| self.project.path(name).display().to_string();
        let commit = self.project.shell("git -C ../lib rev-parse HEAD").stdout;
        // A path would itself be the checkout; so the URL leads nowhere, and the mirror is a path.
        let url = "ssh://127.0.0.1:1/lib";
        let mirror = format!("file://{}", path("served.git"));
        self.project.file(
            "repos.json",
            format!(
                r#"{{"main": "main", "repositories":
{{ "main": {{"repository": {{"type": "file", "path": "."}}, "bindings": {{"lib": "lib"}}}}
, "computed": {{"repository": {{"type": "computed", "repo": "lib", "target": ["", "names"]}}}}
, "lib": {{"repository": {{"type": "git", "repository": "{url}", "mirrors": ["{mirror}"], "branch": "main", "commit": "{}"}}}}{more}
}}}}"#,
                commit.trim()
            ),
        );
        self.project.file(
            "locations.json",
            format!(r#"{{"checkouts": {{"git": {{"{url}": "{}"}}}}}}"#, path("checkout")),
        );
    }

    fn build(&self, words: &[&str]) -> Answer {
        self.project.taut([&["build"], words].concat())
    }

    /// A directory of the git repository of the build root.
    fn git(&self, name: &str) -> std::path::PathBuf {
        self.project.path("home/.cache/taut/repositories/generation-0/git").join(name)
    }

    /// Removes, or overwrites, the object of a file of the library, which is loose or in a pack.
    fn spoil(&self, file: &str, overwrites: bool) {
        let id = self.project.shell(&format!("git -C ../lib rev-parse HEAD:{file}")).stdout;
        let git = self.git("");
        let git = git.display();
        // All objects become loose ones, so that one of them can be lost alone.
        self.project.shell(&format!(
            "cd {git}; mkdir -p ../packs; if ls objects/pack/*.pack >/dev/null 2>&1; then mv objects/pack/* ../packs
             for pack in ../packs/*.pack; do git unpack-objects -q < $pack; done; fi; rm -rf ../packs"
        ));
        let (shard, rest) = id.trim().split_at(2);
        let object = self.git("objects").join(shard).join(rest);
        fs::remove_file(&object).unwrap();
        if overwrites {
            fs::write(&object, "no object").unwrap();
        }
    }
}

#[test]
fn a_commit_that_a_checkout_has_lost_is_fetched() {
    if !has_git() {
        return;
    }
    let lost = Lost::new();
    lost.describe("");
    let build = |target| lost.build(&[target, "-P", target, "--checkout-locations", "locations.json"]);
    let first = build("one").success();
    assert_eq!(first.stdout, "1\n");
    assert!(!first.stderr.contains("Fetched"), "{}", first.stderr);
    lost.project.shell("rm -rf ../checkout; git init -q ../checkout");
    // What is known needs no repository.
    assert!(!build("one").success().stderr.contains("lost"));
    let second = build("two").success();
    assert_eq!(second.stdout, "2\n");
    second.says(&[WARNING, "Fetched \"lib\" from /"]);
    assert_eq!(second.stderr.matches(WARNING).count(), 1);
    // From now on it is taken from the build root, and the checkout is not looked at.
    let third = build("three").success();
    assert!(!third.stderr.contains("lost") && !third.stderr.contains("Fetched"), "{}", third.stderr);
}

#[test]
fn what_the_build_root_has_lost_is_set_up_again() {
    if !has_git() {
        return;
    }
    let lost = Lost::new();
    lost.describe("");
    lost.build(&["one"]).success().says(&["Fetched \"lib\""]);
    // All of it, one file, and one that is damaged.
    fs::remove_dir_all(lost.git("")).unwrap();
    lost.build(&["two"]).success().says(&[WARNING, "Fetched \"lib\""]);
    lost.spoil("d/three", false);
    let answer = lost.build(&["three", "-P", "three"]).success();
    assert_eq!(answer.stdout, "3\n");
    answer.says(&[WARNING]);
    fs::remove_dir_all(lost.project.path("home/.cache/taut/protocol-dependent")).unwrap();
    lost.spoil("d/three", true);
    let answer = lost.build(&["three", "-P", "three"]).success();
    assert_eq!(answer.stdout, "3\n");
    answer.says(&[WARNING]);
    lost.project.shell(&format!("git -C {} fsck --full --strict", lost.git("").display()));
}

/// Packs that git wrote under one name may come again under another; then the damaged ones must not stay.
#[test]
fn damaged_packs_are_replaced() {
    if !has_git() {
        return;
    }
    for damage in ["truncate -s 40 $1.pack", "echo no index > $1.idx", "truncate -s 0 $1.pack"] {
        let lost = Lost::new();
        lost.describe("");
        lost.build(&["one"]).success();
        fs::remove_dir_all(lost.project.path("home/.cache/taut/protocol-dependent")).unwrap();
        let packs = lost.git("objects/pack");
        // Younger than those that come: a look-up takes it first.
        lost.project.shell(&format!(
            "cd {}; for file in pack-*; do chmod u+w $file; mv $file pack-{}.${{file##*.}}; done
             set -- pack-{1}; {damage}; touch -d '1 day' $1.*",
            packs.display(),
            "0".repeat(40)
        ));
        let answer = lost.build(&["two", "-P", "two"]).success();
        assert_eq!(answer.stdout, "2\n");
        answer.says(&[WARNING]);
        assert!(!lost.build(&["three"]).success().stderr.contains("lost"));
        let git = lost.git("");
        lost.project.shell(&format!("git -C {0} fsck --full --strict; git -C {0} gc -q", git.display()));
    }
}

#[test]
fn a_file_of_targets_that_is_lost_is_set_up_again() {
    if !has_git() {
        return;
    }
    for words in [&["build", "g"][..], &["analyse", "g"], &["install", "g", "-o", "../out"]] {
        let lost = Lost::new();
        lost.describe(r#", "user": {"repository": "computed"}"#);
        lost.project.taut(["build", "--main", "computed", "x"]).success();
        fs::remove_dir_all(lost.git("")).unwrap();
        let answer = lost.project.taut([words, &["--main", "computed"]].concat()).success();
        answer.says(&[WARNING]);
    }
}

#[test]
fn subcommands_that_read_roots_get_them_again() {
    if !has_git() {
        return;
    }
    for (words, target) in [
        (&["analyse"][..], "two"),
        (&["describe"], "@lib//:made"),
        (&["install", "-o", "../out"], "two"),
        (&["test"], "two"),
        (&["rebuild"], "two"),
        (&["compile-commands"], "two"),
    ] {
        let lost = Lost::new();
        lost.describe("");
        lost.build(&["one"]).success();
        fs::remove_dir_all(lost.git("")).unwrap();
        let words = [&words[..1], &[target], &words[1..]].concat();
        let answer = lost.project.taut(&words);
        assert_eq!(answer.stderr.matches(WARNING).count(), 1, "{words:?} {}", answer.stderr);
        // There are no tests among these targets.
        assert!(answer.code == 0 || words[0] == "test", "{words:?} {}", answer.stderr);
    }
}

#[test]
fn a_computed_tree_that_is_lost_is_computed_again() {
    if !has_git() {
        return;
    }
    let lost = Lost::new();
    lost.describe("");
    let build = |target: &str| lost.build(&["--main", "computed", target, "-P", target]);
    build("x").success();
    // Only what the target made: what it is made from is there, and all of it is in the target-level cache.
    lost.spoil("t", false);
    fs::remove_dir_all(lost.project.path("home/.cache/taut/protocol-dependent")).unwrap();
    let answer = build("g").success();
    assert_eq!(answer.stdout, "g");
    answer.says(&[WARNING]);
}

/// A structure is read from the trees of its repository when it is made, before anything is analysed.
#[test]
fn a_tree_structure_is_made_of_a_repository_that_is_set_up_again() {
    if !has_git() {
        return;
    }
    for words in [&["build", "x", "-P", "x"][..], &["analyse", "x"], &["install", "x", "-o", "../out"]] {
        for (what, spoils) in [("all", None), ("a tree", Some(false)), ("a damaged tree", Some(true))] {
            let lost = Lost::new();
            lost.describe(
                r#"
, "structure": {"repository": {"type": "tree structure", "repo": "lib"}, "target_root": "lib"}
, "shape": {"repository": {"type": "file", "path": "."}, "bindings": {"names": "structure", "lib": "lib"}}"#,
            );
            let x = |n: u8| {
                let text = format!(
                    r#"{{"x": {{"type": "generic", "outs": ["x"], "deps": [["@", "names", "", "d/one"]],
                        "cmds": ["wc -c < d/one > x; echo {n} >> x"]}}}}"#
                );
                lost.project.file("TARGETS", text);
            };
            x(1);
            lost.build(&["--main", "shape", "x"]).success();
            match spoils {
                None => fs::remove_dir_all(lost.git("")).unwrap(),
                Some(overwrites) => {
                    lost.spoil("d", overwrites);
                    fs::remove_dir_all(lost.project.path("home/.cache/taut/protocol-dependent")).unwrap();
                }
            }
            x(2);
            let answer = lost.project.taut([words, &["--main", "shape"]].concat());
            assert_eq!(answer.code, 0, "{what}, {words:?}: {}", answer.stderr);
            assert_eq!(answer.stderr.matches(WARNING).count(), 1, "{what}, {words:?}: {}", answer.stderr);
            if words[0] == "build" {
                assert_eq!(answer.stdout, "0\n2\n", "{what}");
            }
            // Once is enough.
            let again = lost.build(&["--main", "shape", "x"]).success();
            assert!(!again.stderr.contains("lost"), "{what}: {}", again.stderr);
        }
    }
}

#[test]
fn what_cannot_be_had_again_is_an_error_that_names_the_repository() {
    if !has_git() {
        return;
    }
    let lost = Lost::new();
    lost.describe("");
    lost.build(&["one"]).success();
    fs::remove_dir_all(lost.git("")).unwrap();
    fs::remove_dir_all(lost.project.path("served.git")).unwrap();
    let answer = lost.build(&["two"]);
    assert_eq!(answer.code, 1);
    answer.says(&[WARNING, "of repository \"lib\" cannot be fetched", "repos.json:4:"]);
}

/// Whether repositories of the build root could be collected now.
fn is_free(lost: &Lost) -> bool {
    let lock = lost.project.path("home/.cache/taut/repositories/gc.lock");
    fs::File::open(lock).unwrap().try_lock().is_ok()
}

/// Waits until something is so.
#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..600 {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{what}");
}

#[test]
fn an_idle_watch_lets_repositories_be_collected_and_sets_them_up_again() {
    if !has_git() {
        return;
    }
    let lost = Lost::new();
    lost.describe("");
    let mut command = std::process::Command::new(lost.project.path("bin/taut"));
    command.args(["watch", "one", "-o", "../out"]).current_dir(lost.project.work());
    command
        .env("HOME", lost.project.path("home"))
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null());
    let _watching = StartedTool::from(command.spawn().unwrap());
    let installed = |text: &str| {
        let out = lost.project.path("out/one");
        until(text, || fs::read_to_string(&out).is_ok_and(|found| found == text));
    };
    installed("1\n");
    until("the lock is released", || is_free(&lost));
    // Nothing is left of what was set up.
    lost.project.taut(["gc-repo"]).success();
    lost.project.taut(["gc-repo"]).success();
    assert!(!lost.git("").exists());
    lost.project.shell("sed -i 's,d/one,d/two,' TARGETS");
    installed("2\n");
    // Lost while it waits: the next round gets it again.
    until("the lock is released", || is_free(&lost));
    fs::remove_dir_all(lost.git("")).unwrap();
    lost.project.shell("sed -i 's,d/two,d/three,' TARGETS");
    installed("3\n");
}

#[test]
fn computed_trees_are_not_collected_while_a_build_uses_them() {
    if !has_git() {
        return;
    }
    let lost = Lost::new();
    let tree = lost.project.shell("git -C ../lib rev-parse 'HEAD^{tree}'").stdout;
    lost.project.file(
        "configuration.json",
        format!(
            r#"{{"main": "main", "repositories":
{{ "main": {{"workspace_root": ["file", "."], "bindings": {{"made": "made"}}}}
, "made": {{"workspace_root": ["computed", "lib", "", "names", {{}}]}}
, "lib": {{"workspace_root": ["git tree", "{}", "../lib"]}}
}}}}"#,
            tree.trim()
        ),
    );
    let top = lost.project.path("").display().to_string();
    lost.project.file(
        "TARGETS",
        format!(
            r#"{{"x": {{"type": "generic", "outs": ["y"], "deps": [["@", "made", "", "x"]], "cmds":
                ["touch {top}/begun; while test ! -e {top}/go; do sleep 0.05; done; cat x > y"]}}}}"#
        ),
    );
    let mut command = std::process::Command::new(lost.project.path("bin/taut"));
    command.args(["build", "-C", "configuration.json", "x"]).current_dir(lost.project.work());
    command.env("HOME", lost.project.path("home")).stderr(std::process::Stdio::piped());
    let building = command.spawn().unwrap();
    until("the action runs", || lost.project.path("begun").exists());
    assert!(!is_free(&lost), "the repositories can be collected");
    fs::write(lost.project.path("go"), "").unwrap();
    let output = building.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(is_free(&lost));
}
