//! Under the name `taut`: a workspace with a description of repositories builds, and what was set up costs nothing.

use std::fs;

use crate::{
    project::{Answer, Project, has_git},
    server::Server,
};

const TARGETS: &str = r#"
{ "all":
  { "type": "generic"
  , "outs": ["all"]
  , "cmds": ["cat archive/a.txt lib/l.txt > all"]
  , "deps": ["archive/a.txt", "lib/l.txt"]
  }
, "archive/a.txt": {"type": "install", "files": {"archive/a.txt": ["@", "archive", "", "a.txt"]}}
, "lib/l.txt": {"type": "install", "files": {"lib/l.txt": ["@", "lib", "", "l.txt"]}}
}
"#;

/// A project with an archive from a server, and a repository of git that is reached by its URL.
pub(crate) struct TwoDependencies {
    pub(crate) project: Project,
    server: Server,
    pub(crate) commit: String,
}

impl TwoDependencies {
    pub(crate) fn new() -> TwoDependencies {
        let (project, server) = (Project::new(), Server::start());
        project.shell(
            "mkdir -p ../make/top ../lib; echo archive > ../make/top/a.txt; echo '{}' > ../make/top/TARGETS
             tar -C ../make -czf ../a.tgz top
             cd ../lib; git init -q -b main; echo lib > l.txt; echo '{}' > TARGETS; git add .; git commit -q -m one
             git clone -q --bare . ../served.git",
        );
        let commit = project.shell("git -C ../lib rev-parse HEAD").stdout.trim().to_owned();
        let new = TwoDependencies { project, server, commit };
        let archive = new.archive();
        new.server.file("/x/a.tgz", &archive);
        new.project.file("TARGETS", TARGETS);
        new.describe(&new.description());
        new
    }

    fn archive(&self) -> Vec<u8> {
        fs::read(self.project.path("a.tgz")).unwrap()
    }

    fn content(&self) -> String {
        self.project.shell("git hash-object --no-filters ../a.tgz").stdout.trim().to_owned()
    }

    fn description(&self) -> String {
        format!(
            r#"{{"main": "main", "repositories":
{{ "main": {{"repository": {{"type": "file", "path": "."}}, "bindings": {{"archive": "archive", "lib": "lib"}}}}
, "archive":
  {{"repository": {{"type": "archive", "content": "{}", "fetch": "{}", "subdir": "top"}}}}
, "lib":
  {{"repository": {{"type": "git", "repository": "file://{}", "branch": "main", "commit": "{}"}}}}
}}}}
"#,
            self.content(),
            self.server.url("/x/a.tgz"),
            self.project.path("lib.git").display(),
            self.commit
        )
    }

    pub(crate) fn describe(&self, text: &str) {
        self.project.file("repos.json", text);
    }

    /// Makes the repository of git reachable.
    fn serve_git(&self) {
        fs::rename(self.project.path("served.git"), self.project.path("lib.git")).unwrap();
    }

    /// Makes it unreachable.
    fn end_git(&self) {
        fs::rename(self.project.path("lib.git"), self.project.path("served.git")).unwrap();
    }

    fn build(&self) -> Answer {
        self.project.taut(["build", "all", "-P", "all"])
    }
}

#[test]
fn a_build_fetches_what_is_missing_and_a_later_one_needs_neither_network_nor_git() {
    if !has_git() {
        return;
    }
    let two = TwoDependencies::new();
    two.serve_git();
    let first = two.build().success();
    assert_eq!(first.stdout, "archive\nlib\n");
    first.says(&["Setting up 2 of 3 repositories.", "Fetched \"archive\" from http://127.0.0.1", " bytes."]);
    assert_eq!(two.server.asked(), ["/x/a.tgz"]);
    // The repository is a path, so the root is in it.
    let again = two.build().success();
    assert_eq!(again.stdout, "archive\nlib\n");
    assert!(!again.stderr.contains("Setting up"), "{}", again.stderr);
    assert_eq!(two.server.asked(), [""; 0]);
}

#[test]
fn a_null_build_opens_no_object_and_starts_no_process() {
    if !has_git() {
        return;
    }
    let two = TwoDependencies::new();
    two.serve_git();
    // By a mirror, so that the commit has to be fetched into the build root.
    let text = two.description().replace("\"file://", "\"ssh://127.0.0.1:1/x\", \"mirrors\": [\"file://");
    two.describe(&text.replace("lib.git\"", "lib.git\"]"));
    two.project.file("fails", "#!/bin/sh\necho called >> calls\nexit 1\n");
    let fetched = two.build().success();
    let line =
        fetched.stderr.lines().find(|line| line.starts_with("Fetched \"lib\" from /")).unwrap_or_default();
    // What came, as git stores it.
    assert!(line.ends_with(" bytes."), "{}", fetched.stderr);
    two.end_git();
    let repositories = two.project.path("home/.cache/taut/repositories/generation-0");
    fs::rename(repositories.join("git/objects"), repositories.join("objects")).unwrap();
    two.project.shell("chmod +x fails");
    let again = two.project.taut(["build", "all", "-P", "all", "--git", "./fails"]).success();
    assert_eq!(again.stdout, "archive\nlib\n");
    assert!(!two.project.work().join("calls").exists());
    assert_eq!(two.server.asked(), ["/x/a.tgz"]);
}

#[test]
fn a_set_up_that_fails_says_where_what_and_why() {
    if !has_git() {
        return;
    }
    let two = TwoDependencies::new();
    let wrong = two.description().replace(&two.content(), "0123456789012345678901234567890123456789");
    two.describe(
        &wrong.replace("\"subdir\"", &format!("\"mirrors\": [\"{}\"], \"subdir\"", two.server.url("/gone"))),
    );
    let answer = two.build();
    assert_eq!(answer.code, 1);
    answer.says(&[
        "\"a.tgz\" for repository \"archive\" cannot be fetched",
        "repos.json:4:",
        "/x/a.tgz: its git blob id is",
        "/gone: the server answered 404",
        "the commit",
        "of repository \"lib\" cannot be fetched",
        "repos.json:6:",
        "lib.git",
        "branch that should have it is \"main\"",
    ]);
    let left = two.project.shell("find ../home/.cache/taut -name '*download*' -o -name 'fetch-*'").stdout;
    assert_eq!(left, "", "nothing is left behind");
    // Corrected, it builds.
    two.serve_git();
    two.describe(&two.description());
    assert_eq!(two.build().success().stdout, "archive\nlib\n");
}

#[test]
fn archives_are_taken_from_directories_and_never_with_another_content() {
    if !has_git() {
        return;
    }
    let two = TwoDependencies::new();
    two.serve_git();
    two.project.shell("mkdir ../bad ../good; echo bad > ../bad/a.tgz; cp ../a.tgz ../good");
    let words = ["build", "all", "-P", "all", "--distdir", "../bad", "--distdir", "../good"];
    let answer = two.project.taut(words).success();
    answer.says(&["good/a.tgz"]);
    assert_eq!(two.server.asked(), [""; 0]);
}

#[test]
fn repositories_may_have_one_archive_under_the_longest_name() {
    if !has_git() {
        return;
    }
    let project = Project::new();
    let name = "x".repeat(255);
    project.shell(&format!("mkdir ../dist ../fetched; head -c 3000000 /dev/zero > ../dist/{name}"));
    let content = project.shell(&format!("git hash-object --no-filters ../dist/{name}")).stdout;
    let of = |number: usize| {
        format!(
            r#""{number}": {{"repository": {{"type": "foreign file", "content": "{}", "distfile": "{name}",
                "fetch": "http://127.0.0.1:1/{name}", "name": "x"}}}}"#,
            content.trim()
        )
    };
    let all: Vec<String> = (0..16).map(of).collect();
    project.file("repos.json", format!(r#"{{"main": "0", "repositories": {{{}}}}}"#, all.join(", ")));
    let fetch = ["fetch", "-j", "16", "--all", "--distdir", "../dist", "-o", "../fetched"];
    project.taut(fetch).success().says(&["16 archives in "]);
    assert_eq!(project.shell("ls -A ../fetched").stdout.trim(), name);
    project.shell(&format!("cmp ../fetched/{name} ../dist/{name}"));
}

#[test]
fn repositories_are_listed_with_what_there_is_of_them() {
    if !has_git() {
        return;
    }
    let two = TwoDependencies::new();
    let list = || two.project.taut(["repos"]).success().stdout;
    let state = |list: &str, name: &str| {
        let line =
            list.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {list}"));
        line.split_whitespace().nth(3).unwrap().to_owned()
    };
    let before = list();
    assert_eq!(state(&before, "archive"), "missing");
    assert_eq!(state(&before, "lib"), "missing");
    assert_eq!(state(&before, "main"), "present");
    assert_eq!(two.server.asked(), [""; 0], "a list fetches nothing");
    two.serve_git();
    assert_eq!(state(&list(), "lib"), "offline");
    two.build().success();
    let after = list();
    assert_eq!(state(&after, "archive"), "present");
    assert!(after.contains(&two.commit[..10]), "{after}");
    two.project.shell(
        "git clone -q ../lib.git ../clone; cd ../clone; echo new > n; git add .; git commit -q -m two; git push -q",
    );
    let newest = two.project.shell("git -C ../clone rev-parse HEAD").stdout.trim().to_owned();
    let outdated = two.project.taut(["repos", "--outdated", "--json"]).success().stdout;
    let parsed: serde_json::Value = serde_json::from_str(&outdated).unwrap();
    assert_eq!(parsed["lib"]["newest"], newest.as_str());
    assert_eq!(parsed["lib"]["outdated"], true);
    assert_eq!(parsed["lib"]["pinned"], two.commit.as_str());
    assert_eq!(parsed["archive"]["outdated"], false);
    assert_eq!(parsed["archive"]["used by"], serde_json::json!(["main"]));
    let updated = two.project.taut(["update", "lib"]).success().stdout;
    assert!(updated.contains(&newest), "{updated}");
    two.describe(&updated);
    assert_eq!(two.build().success().stdout, "archive\nlib\n");
    assert!(!two.project.taut(["repos", "--outdated"]).success().stdout.contains("outdated"));
}

#[test]
fn content_decides_whether_a_file_is_a_description_or_a_configuration() {
    let project = Project::new();
    project.file("TARGETS", r#"{"x": {"type": "install", "files": {"x": "f"}}}"#);
    project.file("f", "here\n");
    project.file("other/f", "there\n");
    project.file("other/TARGETS", r#"{"x": {"type": "install", "files": {"x": "f"}}}"#);
    let configuration = r#"{"repositories": {"": {"workspace_root": ["file", "other"]}}}"#;
    let description = r#"{"repositories": {"": {"repository": {"type": "file", "path": "other"}}}}"#;
    project.file("configuration.json", configuration);
    project.file("description.json", description);
    let build = |words: &[&str]| project.taut([&["build", "x", "-P", "x"], words].concat()).success().stdout;
    assert_eq!(build(&[]), "here\n");
    assert_eq!(build(&["-C", "configuration.json"]), "there\n");
    assert_eq!(build(&["-C", "description.json"]), "there\n");
    project.file("etc/repos.json", description);
    assert_eq!(build(&[]), "there\n", "relative to the workspace, not to the file");
    project.file("repos.json", r#"{"repositories": {"": {"repository": {"type": "file", "path": "."}}}}"#);
    assert_eq!(build(&[]), "here\n", "the first in the order");
    // Under the name `just` no file is looked for, and none is set up.
    let just = project.call("just", &project.work(), ["build", "x", "-P", "x"]).success();
    assert_eq!(just.stdout, "here\n");
    project.file("repos.json", r#"{"something": "else"}"#);
    project.taut(["build", "x"]).success().says(&["describes no repositories; it is not used"]);
}

#[test]
fn a_main_repository_is_found_from_below_and_by_name() {
    let project = Project::new();
    project.file("m/TARGETS", r#"{"x": {"type": "install", "files": {"x": "f"}}}"#);
    project.file("m/f", "below\n");
    project.file("second/TARGETS", r#"{"x": {"type": "install", "files": {"x": "f"}}}"#);
    project.file("second/f", "second\n");
    project.file(
        "repos.json",
        r#"{"main": "a", "repositories":
           { "a": {"repository": {"type": "file", "path": "."}}
           , "b": {"repository": {"type": "file", "path": "second"}}}}"#,
    );
    let below = project.call("taut", &project.work().join("m"), ["build", "x", "-P", "x"]).success();
    assert_eq!(below.stdout, "below\n");
    let second = project.taut(["build", "--main", "b", "x", "-P", "x"]).success();
    assert_eq!(second.stdout, "second\n");
    let answer = project.taut(["build", "--main", "c", "x"]);
    assert_eq!(answer.code, 1);
    answer.says(&["there is no repository \"c\" in the description"]);
}

#[test]
fn collected_repositories_are_taken_from_the_old_generation() {
    if !has_git() {
        return;
    }
    let two = TwoDependencies::new();
    two.serve_git();
    two.build().success();
    two.end_git();
    two.server.asked();
    two.project.taut(["gc-repo"]).success();
    let answer = two.build();
    // The commit was in the repository that is gone; the archive is here.
    assert_eq!(answer.code, 1);
    assert!(!answer.stderr.contains("archive\" cannot"), "{}", answer.stderr);
    assert_eq!(two.server.asked(), [""; 0]);
    two.serve_git();
    assert_eq!(two.build().success().stdout, "archive\nlib\n");
    two.project.taut(["gc-repo", "--drop-only"]).success();
    assert_eq!(two.build().success().stdout, "archive\nlib\n");
    assert_eq!(two.server.asked(), [""; 0]);
}

#[test]
fn subcommands_about_repositories_print_what_they_are_for() {
    if !has_git() {
        return;
    }
    let two = TwoDependencies::new();
    two.serve_git();
    let path = two.project.taut(["setup"]).success().stdout;
    let configuration = fs::read_to_string(path.trim()).unwrap();
    assert!(configuration.contains("\"git tree\""), "{configuration}");
    let of_mr = two.project.call(
        "just-mr",
        &two.project.work(),
        ["--local-build-root", "../home/.cache/taut", "setup"],
    );
    assert_eq!(of_mr.success().stdout, path, "both names share what is set up");
    let path = two.project.taut(["setup-env"]).success().stdout;
    assert!(!fs::read_to_string(path.trim()).unwrap().contains("\"file\""));
    two.project.shell("mkdir ../fetched");
    two.project.taut(["fetch", "-o", "../fetched"]).success().says(&["1 archive in "]);
    assert_eq!(fs::read(two.project.path("fetched/a.tgz")).unwrap(), two.archive());
    let built = two.project.taut(["do", "build", "all", "-P", "all"]).success();
    assert_eq!(built.stdout, "archive\nlib\n");
    for word in ["setup", "fetch", "update", "repos", "gc-repo", "do"] {
        let answer = two.project.call("just", &two.project.work(), [word]);
        assert_eq!(answer.code, 32, "just {word}: {}", answer.stderr);
    }
    let answer = two.project.call("just", &two.project.work(), ["build", "--distdir", "x", "all"]);
    assert_eq!(answer.code, 32, "{}", answer.stderr);
}

#[test]
fn the_tool_launches_itself_as_the_build_tool() {
    if !has_git() {
        return;
    }
    let two = TwoDependencies::new();
    two.serve_git();
    let answer = two.project.call("just-mr", &two.project.work(), ["build", "all", "-P", "all"]).success();
    assert_eq!(answer.stdout, "archive\nlib\n");
    answer.says(&["INFO: Setup finished, exec [\"just\",\"build\",\"-C\","]);
}

#[test]
fn the_build_tool_is_just_for_just_mr_whatever_link_leads_to_it() {
    let project = Project::new();
    project.file("ROOT", "");
    project.file("TARGETS", r#"{"x": {"type": "file_gen", "name": "x", "data": "x"}}"#);
    project.file("repos.json", r#"{"repositories": {"": {"repository": {"type": "file", "path": "."}}}}"#);
    let link = project.path("home/just");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_taut"), &link).unwrap();
    let rc = serde_json::json!({"just": {"root": "home", "path": "just"}});
    project.file("../home/.just-mrrc", rc.to_string());
    let by_link = project.call("just-mr", &project.work(), ["build", "x"]).success();
    by_link.says(&["Setup finished, exec [\"just\",\"build\"", "INFO: Requested target is "]);
    let options = ["--just", env!("CARGO_BIN_EXE_taut"), "--norc", "build", "x"];
    project.call("just-mr", &project.work(), options).success().says(&["INFO: Requested target is "]);
}

#[test]
fn a_watch_sets_up_again_when_the_description_changes() {
    use std::{
        io::{BufRead as _, BufReader},
        process::{Command, Stdio},
        sync::mpsc,
        time::Duration,
    };

    let project = Project::new();
    for name in ["one", "two"] {
        project.file(&format!("{name}/TARGETS"), r#"{"x": {"type": "install", "files": {"x": "f"}}}"#);
        project.file(&format!("{name}/f"), name);
    }
    let describe = |name: &str| {
        let text =
            format!(r#"{{"repositories": {{"": {{"repository": {{"type": "file", "path": "{name}"}}}}}}}}"#);
        project.file("repos.json", text);
    };
    describe("one");
    let mut command = Command::new(project.path("bin/taut"));
    command.args(["watch", "x", "-o", "../out"]).current_dir(project.work());
    command.env("HOME", project.path("home")).stderr(Stdio::piped()).stdout(Stdio::null());
    let mut watching = command.spawn().unwrap();
    let (sender, lines) = mpsc::channel();
    let stderr = watching.stderr.take().unwrap();
    std::thread::spawn(move || {
        BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|l| sender.send(l))
    });
    let installed = |text: &str| {
        let mut seen = String::new();
        for _ in 0..300 {
            if fs::read_to_string(project.path("out/x")).is_ok_and(|found| found == text) {
                return;
            }
            seen.extend(lines.recv_timeout(Duration::from_millis(100)).map(|line| line + "\n"));
        }
        panic!("{text} is not installed:\n{seen}");
    };
    installed("one");
    // Watches are set when the round has ended.
    std::thread::sleep(Duration::from_millis(500));
    describe("two");
    installed("two");
    watching.kill().unwrap();
    watching.wait().unwrap();
}

#[test]
fn the_rules_in_the_binary_need_no_description() {
    let project = Project::new();
    project.file("TARGETS", r#"{"x": {"type": ["@", "std", "", "files"], "srcs": [["@", "lib", "", "x"]]}}"#);
    project.file("lib/TARGETS", r#"{"x": {"type": ["@", "rules", "", "files"], "srcs": ["f"]}}"#);
    project.file("lib/f", "in a library\n");
    let description = |described: &str| {
        format!(
            r#"{{"main": "main", "repositories":
               {{ "main": {{"repository": {{"type": "file", "path": "."}}, "bindings": {{"lib": "lib"}}}}
               , "lib":
                 {{ "repository": {{"type": "file", "path": "lib", "pragma": {{"to_git": true}}}}
                 , "bindings": {{"rules": "std"}}}}{described}}}}}"#
        )
    };
    project.file("repos.json", description(""));
    let built = project.taut(["build", "x", "-P", "f"]).success();
    assert_eq!(built.stdout, "in a library\n");
    project.taut(["repos"]).success();
    // A repository that is described by that name is meant, and has no such rule.
    project.file("own/TARGETS", "{}");
    project.file("own/RULES", "{}");
    project.file("repos.json", description(r#", "std": {"repository": {"type": "file", "path": "own"}}"#));
    assert_ne!(project.taut(["build", "x"]).code, 0);
}

#[test]
fn comments_are_read_in_all_files_of_a_set_up_and_by_just_mr_in_none() {
    let project = Project::new();
    project.file("TARGETS", r#"{"t": {"type": "install", "deps": [["@", "lib", "", "f"]]}}"#);
    project.file("lib/TARGETS", "{}");
    project.file("lib/f", "f\n");
    let files = [
        (
            "repos.json",
            r#"{"main": "m", "repositories": {"m": {"repository": {"type": "file", "path": "."}, "bindings": {"lib": "lib"}},
                "lib": {"repository": {"type": "file", "path": "lib"}}}}"#,
        ),
        ("rc.json", r#"{"checkout locations": {"root": "workspace", "path": "locations.json"}}"#),
        ("locations.json", r#"{"checkouts": {}}"#),
        ("absent.json", r#"["nothing"]"#),
    ];
    let options = ["--rc", "rc.json", "--absent", "absent.json"];
    let just_mr = || project.call("just-mr", &project.work(), [&options[..], &["setup"]].concat());
    let with_comments = |text: &str| format!("// {{\n{}", text.replace(':', "/* is */:").replace(']', ",]"));
    files.iter().for_each(|(name, text)| project.file(name, text));
    just_mr().success();
    for (name, text) in files {
        project.file(name, with_comments(text));
        assert!(just_mr().says(&[name, "parse error at line 1, column 1"]).code > 0);
        project.file(name, text);
    }
    files.iter().for_each(|(name, text)| project.file(name, with_comments(text)));
    project.taut([&["build"], &options[..], &["t"]].concat()).success();
    let of_home = project.path("home/.just-mrrc");
    fs::write(of_home, with_comments(r#"{"rc files": [{"root": "workspace", "path": "rc.json"}]}"#)).unwrap();
    project.taut(["build", "t"]).success();
}

#[test]
fn edits_of_a_directory_that_is_a_git_tree_are_seen_however_fast_they_follow_each_other() {
    let project = Project::new();
    project.file("TARGETS", r#"{"x": {"type": "install", "deps": [["@", "lib", "", "d/f"]]}}"#);
    project.file("lib/TARGETS", "{}");
    project.file(
        "repos.json",
        r#"{"main": "main", "repositories":
           { "main": {"repository": {"type": "file", "path": "."}, "bindings": {"lib": "lib"}}
           , "lib": {"repository": {"type": "file", "path": "lib", "pragma": {"to_git": true}}}}}"#,
    );
    // Of one size, in place, with the time of the one before; two contents in turn, so that each was imported already.
    for round in 0..12 {
        let content = ["one\n", "two\n"][round % 2];
        project.file("lib/d/f", content);
        project.shell("touch -t 202001010000 lib/d/f");
        let built = project.taut(["build", "x", "-P", "d/f"]).success();
        assert_eq!(built.stdout, content, "round {round}");
    }
}

/// What `repos` prints of each type: before anything is here, with all archives here, set up, and if only an older
/// generation has it.
#[test]
fn repositories_of_all_types_are_listed() {
    if !has_git() {
        return;
    }
    let project = Project::new();
    project.shell(
        "mkdir -p ../dist ../made/d ../other; echo x > ../made/x; echo y > ../made/d/y; echo z > ../other/z
         printf '{\"e\": {\"type\": \"export\", \"target\": \"x\"}}' > ../made/TARGETS
         tar -C .. -cf ../dist/a.tar made; echo foreign > ../dist/f
         cd ../made; git init -q -b main; git add .; git commit -q -m one; mkdir ../work/plain; cp -r d ../work/plain",
    );
    let id = |command: &str| project.shell(command).stdout.trim().to_owned();
    let (tar, file) =
        (id("git hash-object --no-filters ../dist/a.tar"), id("git hash-object --no-filters ../dist/f"));
    let (commit, tree) = (
        id("git -C ../made rev-parse HEAD"),
        id("git -C ../other init -q; git -C ../other add z; git -C ../other write-tree"),
    );
    let other = project.path("other").display().to_string();
    let made = project.path("made").display().to_string();
    let git = format!(
        r#"{{"type": "git", "repository": "ssh://127.0.0.1:1/r", "mirrors": ["ssh://127.0.0.1:1/m"], "branch": "main", "commit": "{commit}"}}"#
    );
    let sources = [
        (
            "a",
            format!(
                r#"{{"type": "archive", "content": "{tar}", "fetch": "http://127.0.0.1:1/a.tar", "subdir": "made"}}"#
            ),
        ),
        (
            "c",
            r#"{"type": "computed", "repo": "a", "target": ["", "e"], "config": {"MODE": "fast"}}"#
                .to_owned(),
        ),
        ("d", r#"{"type": "distdir", "repositories": ["a"]}"#.to_owned()),
        (
            "f",
            format!(
                r#"{{"type": "foreign file", "content": "{file}", "fetch": "http://127.0.0.1:1/f", "name": "f"}}"#
            ),
        ),
        ("g", git),
        ("n", r#"{"type": "tree structure", "repo": "g"}"#.to_owned()),
        ("p", r#"{"type": "file", "path": "plain", "pragma": {"to_git": true}}"#.to_owned()),
        ("t", format!(r#"{{"type": "git tree", "id": "{tree}", "cmd": ["sh", "-c", "cp {other}/z ."]}}"#)),
        (
            "u",
            format!(r#"{{"type": "file", "path": "{made}", "pragma": {{"absent": true, "to_git": true}}}}"#),
        ),
    ];
    let entries = sources.iter().map(|(name, source)| format!(r#""{name}": {{"repository": {source}}}"#));
    let bindings = sources.iter().map(|(name, _)| format!(r#""{name}": "{name}""#));
    let main = format!(
        r#""main": {{"repository": {{"type": "file", "path": "."}}, "bindings": {{{}}}}}"#,
        bindings.collect::<Vec<_>>().join(", ")
    );
    let all = [main].into_iter().chain(entries).collect::<Vec<_>>().join(",\n");
    project.file("repos.json", format!(r#"{{"main": "main", "repositories": {{{all}}}}}"#));
    let states = |words: &[&str]| {
        let list = project.taut([&["repos", "--json"], words].concat()).success().stdout;
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        let states =
            sources.iter().map(|(name, _)| format!("{name} {}", list[name]["state"].as_str().unwrap()));
        (states.collect::<Vec<_>>().join(", "), list)
    };
    let (before, list) = states(&[]);
    assert_eq!(
        before,
        "a missing, c missing, d missing, f missing, g missing, n missing, p present, t missing, u absent"
    );
    assert_eq!(list["a"]["pinned"], tar.as_str());
    assert_eq!(list["g"]["pinned"], commit.as_str());
    assert_eq!(list["t"]["pinned"], tree.as_str());
    assert_eq!(list["f"]["pinned"], file.as_str());
    assert_eq!(list["p"]["pinned"], serde_json::Value::Null);
    let distdir = id(&format!("printf '100644 blob {tar}\\ta.tar\\n' | git -C ../made mktree --missing"));
    assert_eq!(list["d"]["pinned"], distdir.as_str());
    assert_eq!(list["g"]["used by"], serde_json::json!(["main", "n"]));
    assert_eq!(list["a"]["used by"], serde_json::json!(["c", "d", "main"]));
    assert_eq!(list["t"]["from"], format!(r#"["sh", "-c", "cp {other}/z ."]"#));
    // With the archives in a directory and the commit in a checkout.
    project.file(
        "locations.json",
        format!(r#"{{"checkouts": {{"git": {{"ssh://127.0.0.1:1/r": "{made}"}}}}}}"#),
    );
    let here = ["--distdir", "../dist", "--checkout-locations", "locations.json"];
    assert_eq!(
        states(&here).0,
        "a offline, c offline, d offline, f offline, g offline, n offline, p present, t missing, u absent"
    );
    project
        .taut([&["setup"], &here[..]].concat())
        .success()
        .says(&["Made \"t\" by the command [\"sh\", \"-c\", \"cp ", ", 2 bytes."]);
    let set_up =
        "a present, c offline, d present, f present, g present, n offline, p present, t present, u absent";
    assert_eq!(states(&here).0, set_up);
    assert_eq!(states(&here).1["c"]["from"], r#"@a//:e {"MODE":"fast"}"#);
    // A build makes the roots that are made from other repositories, and the next one finds them.
    project.file("TARGETS", r#"{"m": {"type": "file_gen", "name": "m", "data": ""}}"#);
    project.taut([&["build", "m"], &here[..]].concat()).success();
    assert_eq!(states(&here).0, set_up.replace("c offline", "c present").replace("n offline", "n present"));
    // With another launcher its actions would be other ones; no action is run for the names of files.
    project.file("../home/rc", r#"{"local launcher": ["env", "-i"]}"#);
    let other = [&here[..], &["--rc", "../home/rc"]].concat();
    assert_eq!(states(&other).0, set_up.replace("n offline", "n present"));
    // Only an older generation has them.
    project.taut(["gc-repo"]).success();
    assert_eq!(states(&here).0, set_up.replace("present", "offline").replace("p offline", "p present"));
    project.taut([&["setup"], &here[..]].concat()).success();
    assert_eq!(states(&here).0, set_up);
}

/// What the rc file of just-mr says for the build tool holds for taut, too; the words of a call win.
#[test]
fn options_of_the_rc_file_are_those_of_the_call() {
    let project = Project::new();
    project.file("../home/launch", "#!/bin/sh\nexport FROM_LAUNCHER=yes\nexec \"$@\"\n");
    project.shell("chmod +x ../home/launch");
    project.file("TARGETS", r#"{"a": {"type": "generic", "outs": ["a"], "cmds": ["echo $FROM_LAUNCHER > a"]},
        "b": {"type": "configure", "arguments_config": ["V"], "target": "c", "config": {"type": "'", "$1": {}}},
        "c": {"type": "file_gen", "arguments_config": ["V"], "name": "c", "data": {"type": "var", "name": "V", "default": "none"}}}"#);
    project.file("config.json", r#"{"V": "of the file"}"#);
    let rc = format!(
        r#"{{ "local build root": {{"root": "home", "path": "root of rc"}}
           , "local launcher": ["{}"]
           , "just files": {{"config": [{{"root": "workspace", "path": "config.json"}}]}}
           , "just args": {{"build": ["--log-limit", "1"], "install": ["-o", "../out"]}}
           , "log files": [{{"root": "home", "path": "log"}}] }}"#,
        project.path("home/launch").display()
    );
    project.file("../home/.just-mrrc", &rc);
    let built = project.taut(["build", "a", "-P", "a"]).success();
    assert_eq!((&*built.stdout, &*built.stderr), ("yes\n", ""));
    assert!(project.path("home/root of rc/protocol-dependent").is_dir());
    assert!(!project.path("home/.cache").exists());
    assert!(project.path("home/log").is_file());
    assert_eq!(project.taut(["build", "c", "-P", "c"]).success().stdout, "of the file");
    project.taut(["install", "c"]).success();
    assert_eq!(fs::read_to_string(project.path("out/c")).unwrap(), "of the file");
    // Also for what sets up nothing.
    project.taut(["gc", "--all"]).success();
    let left = project.shell("find '../home/root of rc' -path '*/casf/*' -type f").stdout;
    assert_eq!(left, "");
    // Another build root, without it or by another one.
    for words in [&["gc", "--all"][..], &["gc-repo"], &["add-to-cas", "TARGETS"]] {
        project.taut([words, &["--norc"]].concat()).success();
        assert!(project.path("home/.cache/taut").is_dir(), "{words:?}");
        fs::remove_dir_all(project.path("home/.cache")).unwrap();
        project.file("rc", r#"{"local build root": {"root": "home", "path": "named"}}"#);
        project.taut([words, &["--rc", "rc"]].concat()).success();
        assert!(project.path("home/named").is_dir(), "{words:?}");
        fs::remove_dir_all(project.path("home/named")).unwrap();
    }
    let unknown = project.taut(["install-cas", "--norc", "0123456789012345678901234567890123456789"]);
    assert!(unknown.code == 16 && project.path("home/.cache/taut").is_dir(), "{unknown:?}");
    // A call wins, and --norc.
    let own = project.taut([
        "build",
        "a",
        "-P",
        "a",
        "--local-build-root",
        "../own",
        "-L",
        "[\"env\", \"FROM_LAUNCHER=call\"]",
    ]);
    assert_eq!(own.success().stdout, "call\n");
    assert!(project.path("own").is_dir());
    assert_eq!(project.taut(["build", "c", "-P", "c", "--norc"]).success().stdout, "none");
    assert!(project.path("home/.cache/taut").is_dir());
    // What taut does not use has a warning, and what is wrong is an error.
    project.file("../home/.just-mrrc", r#"{"remote serve": {"address": "h:2"}}"#);
    project.taut(["build", "c"]).success().says(&["\"remote serve\""]);
    project.file("../home/.just-mrrc", r#"{"local launcher": 1}"#);
    let wrong = project.taut(["build", "c"]);
    assert_eq!(wrong.code, 1);
    wrong.says(&[".just-mrrc:1:"]);
    // Under the other name the build tool reads no rc file.
    project.call("just", &project.work(), ["build", "c"]).success();
}

/// A description that nothing marks as that of a workspace is not passed over in silence.
#[test]
fn a_description_without_a_marker_of_the_workspace_is_named() {
    let project = Project::new();
    fs::remove_file(project.work().join("ROOT")).unwrap();
    project.file("repos.json", r#"{"repositories": {"": {"repository": {"type": "file", "path": "."}}}}"#);
    project.file("TARGETS", "{}");
    for (directory, file, marker) in [(".", "repos.json", "ROOT"), ("sub", "../repos.json", "../ROOT")] {
        let directory = project.work().join(directory);
        fs::create_dir_all(&directory).unwrap();
        for subcommand in ["build", "repos", "setup", "describe"] {
            let answer = project.call("taut", &directory, [subcommand]);
            assert_eq!(answer.code, 1, "{subcommand}");
            answer.says(&[
                &format!("{file} is not used: there is no ROOT"),
                &format!("create a file {marker},"),
            ]);
        }
    }
    project.taut(["repos", "-C", "repos.json"]).success();
}

#[test]
fn of_an_archive_with_many_entries_of_the_same_names_ten_are_shown() {
    let project = Project::new();
    project
        .shell("mkdir d; for n in 1 2 3 4 5 6 7 8 9 10 11 12; do echo > d/$n; done; tar -cf a.tar d/*; tar -rf a.tar d/*");
    let id = project.shell("git hash-object --no-filters a.tar").stdout;
    let archive = format!(
        r#"{{"type": "archive", "content": "{}", "fetch": "file://{}"}}"#,
        id.trim(),
        project.path("work/a.tar").display()
    );
    project.file("repos.json", format!(r#"{{"repositories": {{"": {{"repository": {archive}}}}}}}"#));
    let answer = project.taut(["setup"]).success();
    assert_eq!(
        answer.stderr.matches("the archive has several entries \"d/").count(),
        10,
        "{}",
        answer.stderr
    );
    answer.says(&[
        "warning: \"a.tar\": the archive has several entries of 2 more names; the last ones are used",
    ]);
}

#[test]
fn a_content_is_had_by_what_any_repository_says_of_it() {
    let two = TwoDependencies::new();
    let content = two.content();
    let good = two.server.url("/x/a.tgz");
    let describe = |sum: &str, other: &str| {
        two.describe(&format!(
            r#"{{"repositories": {{"a": {{"repository":
            {{"type": "archive", "content": "{content}", "fetch": "http://127.0.0.1:1/dead.tgz"{sum}}}}}, "b": {{"repository":
            {{"type": "archive", "content": "{content}", "fetch": "{other}"}}}}, "d": {{"repository":
            {{"type": "distdir", "repositories": ["a", "b"]}}}}}}}}"#
        ));
    };
    let words = ["setup", "--all", "--jobs", "1"];
    // It has to be what the repository itself says that it is.
    describe(&format!(r#", "sha256": "{}""#, "0".repeat(64)), &good);
    two.project.taut(words).says(&["\"a\" cannot be fetched"]);
    let two = TwoDependencies { project: Project::new(), ..two };
    let describe = |other: &str| {
        two.describe(&format!(
            r#"{{"repositories": {{"a": {{"repository":
            {{"type": "archive", "content": "{content}", "fetch": "http://127.0.0.1:1/dead.tgz"}}}}, "b": {{"repository":
            {{"type": "archive", "content": "{content}", "fetch": "{other}"}}}}, "d": {{"repository":
            {{"type": "distdir", "repositories": ["a", "b"]}}}}}}}}"#
        ));
    };
    describe("http://127.0.0.1:1/as_dead.tgz");
    let failed = two.project.taut(words);
    assert_eq!(failed.code, 1);
    failed.says(&["\"a\" cannot be fetched", "\"b\" cannot be fetched"]);
    describe(&good);
    let listed = two.project.taut(["repos", "--all"]).success().stdout;
    assert!(!listed.contains("present"), "{listed}");
    two.project.taut(words).success();
}
