//! What shells complete, and that the scripts for them work in these shells, where they are installed.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use taut_testkit::Workspace;

fn taut() -> &'static str {
    env!("CARGO_BIN_EXE_taut")
}

/// A workspace with three modules, one of which is malformed.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.file(
        "TARGETS",
        r#"{ "main": {"type": ["@", "std", "cc", "binary"], "srcs": ["main.c"]}, "": {"type": "install"}}"#,
    );
    workspace.file("main.c", "");
    workspace.file(
        "src/TARGETS",
        r#"{ "lua": {"type": "generic"}, "luac": {"type": "generic"}, "it's $1": {"type": "install"}}"#,
    );
    workspace.file("src/lapi.c", "");
    workspace.file("src/lib/TARGETS", r#"{"json": {"type": "install"}}"#);
    workspace.file("malformed/TARGETS", "{");
    workspace.file(".hidden/TARGETS", "{}");
    workspace
}

/// What is offered for words of a call, of which the last is at the cursor: without what it is.
fn offered(cwd: &Path, words: &[&str]) -> Vec<String> {
    let answer = Command::new(taut())
        .args(["complete-words", "zsh"])
        .args(words)
        .current_dir(cwd)
        .output()
        .expect("taut runs");
    assert!(answer.status.success() && answer.stderr.is_empty(), "{answer:?}");
    let lines = String::from_utf8(answer.stdout).expect("text");
    // The first line is for the shell.
    lines.lines().skip(1).map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn targets_are_offered_as_they_are_typed() {
    let workspace = workspace();
    let root = workspace.root();
    for (word, expected) in [
        ("m", &["main", "main.c", "malformed/", "malformed:"][..]),
        ("src", &["src/", "src:"]),
        ("src:", &["src:it's $1", "src:lua", "src:luac"]),
        ("src:l", &["src:lua", "src:luac"]),
        ("//src:luac", &["//src:luac"]),
        (":m", &[":main"]),
        ("src/l", &["src/lapi.c", "src/lib/", "src/lib:"]),
        ("src/lib:", &["src/lib:json"]),
        ("src/.", &["src/..."]),
        (".h", &[".hidden/", ".hidden:"]),
        ("malformed:", &[]),
        ("no/such:", &[]),
        ("no/such/x", &[]),
    ] {
        assert_eq!(offered(&root, &["build", word]), expected, "{word}");
    }
}

#[test]
fn in_a_module_its_targets_come_without_its_name() {
    let workspace = workspace();
    let cwd = workspace.root().join("src");
    assert_eq!(offered(&cwd, &["build", "l"]), ["lapi.c", "lib/", "lua", "luac"]);
    assert_eq!(offered(&cwd, &["build", "src:l"]), ["src:lua", "src:luac"]);
    assert_eq!(offered(&cwd, &["build", "./l"]), ["./lapi.c", "./lib/"]);
    assert_eq!(offered(&cwd.join("lib"), &["build", "-v", "main", "j"]), ["json"]);
}

#[test]
fn options_that_say_where_targets_are_count() {
    let workspace = workspace();
    workspace.file("other/ROOT", "");
    workspace.file("other/BUILD", r#"{"there": {"type": "install"}}"#);
    let root = workspace.root();
    let words = ["build", "-w", "other", "--target-file-name=BUILD", "th"];
    assert_eq!(offered(&root, &words), ["there"]);
}

#[test]
fn repositories_are_those_of_the_description() {
    let workspace = workspace();
    workspace.file(
        "repos.json",
        r#"{"repositories": {"main": {"repository": {"type": "file", "path": "."}}, "zlib": {"repository": "main"}}}"#,
    );
    let root = workspace.root();
    assert_eq!(offered(&root, &["build", "--main", ""]), ["main", "zlib"]);
    assert_eq!(offered(&root.join("src"), &["setup", "z"]), ["zlib"]);
    assert_eq!(offered(&root, &["update", "-C", "src/TARGETS", ""]), [""; 0]);
}

#[test]
fn targets_of_other_repositories_are_offered_by_the_names_that_the_main_one_has_for_them() {
    let workspace = workspace();
    workspace.file(
        "repos.json",
        r#"{"main": "main", "repositories": {
            "main": {"repository": {"type": "file", "path": "."}, "bindings": {"json": "the json", "zlib": "zlib", "alias": "alias"}},
            "the json": {"repository": {"type": "file", "path": "../json"}, "target_file_name": "BUILD"},
            "alias": {"repository": "the json"},
            "unbound": {"repository": {"type": "file", "path": "."}},
            "zlib": {"repository": {"type": "git", "repository": "r", "branch": "b", "commit": "c"}}}}"#,
    );
    let json = workspace.beside("json");
    fs::create_dir_all(json.join("src/deep")).expect("a directory");
    fs::write(json.join("BUILD"), r#"{"all": {"type": "install"}}"#).expect("written");
    fs::write(json.join("src/BUILD"), r#"{"parser": {"type": "install"}}"#).expect("written");
    let root = workspace.root();
    for (word, expected) in [
        ("@", &["@alias//", "@json//", "@zlib//"][..]),
        ("@js", &["@json//"]),
        ("@json//", &["@json//...", "@json//src/", "@json//src:"]),
        ("@json//:", &["@json//:all"]),
        ("@json//src:", &["@json//src:parser"]),
        ("@json//src/", &["@json//src/...", "@json//src/deep/"]),
        ("@alias//", &["@alias//...", "@alias//src/"]),
        ("@zlib//", &["@zlib//..."]),
        ("@unbound//", &["@unbound//..."]),
    ] {
        assert_eq!(offered(&root, &["build", word]), expected, "{word}");
    }
    // A ready configuration has other keys.
    let configuration = format!(
        r#"{{"main": "m", "repositories": {{"m": {{"workspace_root": ["file", "."], "bindings": {{"j": "j"}}}},
            "j": {{"workspace_root": ["file", "{}"], "target_file_name": "BUILD"}}}}}}"#,
        json.display()
    );
    workspace.file("ready.json", configuration);
    assert_eq!(offered(&root, &["build", "-C", "ready.json", "@j//src:p"]), ["@j//src:parser"]);
}

#[test]
fn actions_are_those_of_the_last_build_of_this_workspace() {
    let tool = taut_testkit::Tool::at(taut());
    let (workspace, other) = (Workspace::new(), Workspace::new());
    let build_root = workspace.build_root().display().to_string();
    for (workspace, text) in [(&workspace, "one"), (&other, "two")] {
        let targets = format!(
            r#"{{"{text}": {{"type": "generic", "outs": ["{text}"], "cmds": ["echo {text} > {text}"]}}}}"#
        );
        workspace.file("TARGETS", targets);
        tool.run(&workspace.root(), ["build", "--local-build-root", &build_root, text]).exits(0);
    }
    // Many more builds of the other one, whose logs are newer.
    for number in 0..20 {
        let targets =
            format!(r#"{{"two": {{"type": "generic", "outs": ["two"], "cmds": ["echo {number} > two"]}}}}"#);
        other.file("TARGETS", targets);
        tool.run(&other.root(), ["build", "--local-build-root", &build_root, "two"]).exits(0);
    }
    for (workspace, text) in [(&workspace, "one"), (&other, "two")] {
        let root = workspace.root();
        let ask = |words: &[&str]| {
            offered(&root, &[&words[..1], &["--local-build-root", &build_root], &words[1..]].concat())
        };
        let [action] = &ask(&["explain", "%"])[..] else { panic!("{:?}", ask(&["explain", "%"])) };
        assert_eq!(ask(&["build", "--rerun", ""]), [action.as_str()]);
        assert_eq!(ask(&["build", "%"]), [""; 0]);
        let words = ["build", "--local-build-root", &build_root, text, "--rerun", action];
        let rerun = tool.run(&root, words);
        assert_eq!(rerun.code, 0, "{}", rerun.stderr);
    }
    assert_eq!(offered(&workspace.root(), &["explain", "--local-build-root", "none", "%"]), [""; 0]);
}

#[test]
fn help_is_about_a_command() {
    let workspace = workspace();
    assert_eq!(offered(&workspace.root(), &["help", "inst"]), ["install", "install-cas"]);
}

#[test]
fn where_nothing_can_be_offered_nothing_is_printed() {
    let outside = tempfile::tempdir().expect("a directory");
    let workspace = workspace();
    for (cwd, words) in [
        (outside.path(), &["build", "x"][..]),
        (&workspace.root(), &["no-such-command", ""]),
        (&workspace.root(), &["build", "--no-such-option="]),
        (&workspace.root(), &["version", ""]),
        (&workspace.root(), &["help", "build", ""]),
        (&workspace.root(), &[]),
    ] {
        assert_eq!(offered(cwd, words), [""; 0], "{words:?}");
    }
}

/// The text that `completions` prints for a shell, in a file of its own.
fn script(shell: &str, directory: &Path) -> std::path::PathBuf {
    let output = Command::new(taut()).args(["completions", shell]).output().expect("taut runs");
    assert!(output.status.success());
    let path = directory.join(shell);
    fs::write(&path, output.stdout).expect("written");
    path
}

/// Whether a shell is installed.
fn is_installed(shell: &str) -> bool {
    let status = Command::new(shell).args(["-c", "exit 0"]).stdin(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

#[test]
fn scripts_have_no_syntax_error() {
    let directory = tempfile::tempdir().expect("a directory");
    for shell in ["bash", "fish", "zsh"] {
        let script = script(shell, directory.path());
        if is_installed(shell) {
            let output = Command::new(shell).arg("-n").arg(script).output().expect("a shell");
            assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        }
    }
}

/// Runs lines in a shell that has read the script, with `taut` on the search path.
fn in_shell(shell: &str, options: &[&str], workspace: &Workspace, lines: &str) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    std::os::unix::fs::symlink(taut(), directory.path().join("taut")).expect("a link");
    let script = script(shell, directory.path());
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new(shell)
        .args(options)
        .arg("-c")
        .arg(format!("source {}\n{lines}", script.display()))
        .env("PATH", path)
        .env("HOME", directory.path())
        .current_dir(workspace.root())
        .output()
        .expect("a shell");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn bash_completes_targets_of_the_module_that_is_named() {
    if !is_installed("bash") {
        return;
    }
    let workspace = workspace();
    // As bash calls the function; it breaks words at colons and equals signs, and inserts what is behind them.
    let complete = |line: &str| {
        let lines = format!(
            "COMP_LINE={}; COMP_POINT=${{#COMP_LINE}}; read -ra COMP_WORDS <<< \"${{COMP_LINE//:/ : }}\"\n\
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _taut taut; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            quoted(line)
        );
        in_shell("bash", &["--norc", "--noprofile"], &workspace, &lines)
    };
    assert_eq!(complete("taut build src:lu"), "lua\nluac\n");
    assert_eq!(complete("taut build src:i"), "it\\'s\\ \\$1\n");
    assert_eq!(complete("taut build 'src:i"), "src:it's $1\n");
    assert_eq!(complete("taut build src"), "src/\nsrc:\n");
    assert_eq!(complete("taut build --color=ne"), "never\n");
    assert_eq!(complete("taut inst"), "install\ninstall-cas\n");
    let defined = in_shell("bash", &["--norc"], &workspace, "complete -p taut");
    assert_eq!(defined, "complete -F _taut taut\n");
}

#[test]
fn fish_completes_targets_of_the_module_that_is_named() {
    if !is_installed("fish") {
        return;
    }
    let workspace = workspace();
    let complete =
        |line: &str| in_shell("fish", &["--no-config"], &workspace, &format!("complete -C {}", quoted(line)));
    assert_eq!(complete("taut build src:lu"), "src:lua\tgeneric\nsrc:luac\tgeneric\n");
    assert_eq!(complete("taut build m"), "main\tcc binary\nmain.c\tfile\nmalformed/\nmalformed:\tmodule\n");
    assert_eq!(
        complete("taut expl"),
        "explain\tShow why something ran in the last build with work to do, or why it did not\n"
    );
}

/// An interactive zsh in a terminal of another one. It is read up to a mark before each step, so nothing depends on
/// time.
const IN_ZSH: &str = r#"
cat > $HOME/.zshenv << 'END'
setopt no_global_rcs
END
cat > $HOME/.zshrc << 'END'
PS1= LISTMAX=1000
autoload -Uz compinit
compinit -u -D
source <(taut completions zsh)
zle-line-init() { print "<ready>" }
zle -N zle-line-init
show() { print -r -- "<line ${BUFFER}>"; exit }
zle -N show
bindkey '^X' show
END
zmodload zsh/zpty
zpty shell 'stty rows 50 cols 100; exec zsh -i'
zpty -r shell begin '*<ready>*'
zpty -w -n shell "$line"$'\t\t\C-x'
zpty -r shell output '*<line *>*'
print -r -- "$output"
"#;

#[test]
fn zsh_completes_in_a_terminal() {
    // A small installation may lack the modules and functions for that.
    let needs = "zmodload zsh/zpty && zmodload zsh/zle && autoload -Uz +X compinit";
    let needed = Command::new("zsh").args(["-f", "-c", needs]).stdin(Stdio::null()).output();
    if !needed.is_ok_and(|output| output.status.success()) {
        return;
    }
    let workspace = workspace();
    let complete = |line: &str| {
        let output = in_shell("zsh", &["-f"], &workspace, &format!("line={}\n{IN_ZSH}", quoted(line)));
        let (list, line) = output.rsplit_once("<line ").expect("a line");
        (list.to_owned(), line.split_once('>').expect("its end").0.to_owned())
    };
    for (typed, expected) in [
        ("taut build src/lib:", "taut build src/lib:json "),
        ("taut build src:lu", "taut build src:lua"),
        ("taut build src:i", "taut build src:it\\'s\\ \\$1 "),
        ("taut build --color=ne", "taut build --color=never "),
        ("taut expl", "taut explain "),
        ("taut help expl", "taut help explain "),
        ("taut init --template py", "taut init --template python "),
        // Each of the two tab keys adds a directory.
        ("taut install -o sr", "taut install -o src/lib/"),
    ] {
        assert_eq!(complete(typed).1, expected, "{typed}");
    }
    let (list, _) = complete("taut build src:");
    assert!(list.contains("src:luac  -- generic"), "{list}");
    assert!(!list.contains("main"), "{list}");
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('"', "\\\"").replace('$', "\\$"))
}
