//! Messages as documents that are run: `diagnostics/*.md` has mistakes in descriptions and on the command line,
//! `messages/*.md` has builds. Adding a case needs no Rust.
//!
//! A file is about one theme; a heading of second level begins a case. Words are separated by blanks; single quotes
//! keep them together. Lines of a case with a meaning are these; everything else is for the reader:
//!
//! - `` `path` `` alone names the file whose content follows as a fenced block. A content that begins with `#!` makes
//!   the file executable.
//! - `` `path` → `target` `` is a symbolic link.
//! - `` `path` is removed `` removes a file or directory.
//! - `` `$ taut words…` exits with N: `` is a call, followed by a fenced block with what it prints.
//! - `` `sh` prepares: `` is followed by a shell script that is run at once, in the workspace: with `$OUT` and
//!   `$BUILD`, with Git's environment fixed, and without its output.
//!
//! Paths may begin with `$BUILD/` or `$OUT/`.
//!
//! In `diagnostics`, errors and warnings are shown (`--log-limit 1`), after standard output if the call is one of
//! `describe`, and all files of a case are written before its first call.
//!
//! In `messages`, all messages are shown, standard output below them after a line `stdout:`. A file or link that comes
//! after a call is written after it. There are more kinds of calls:
//!
//! - `` `$ just words…` `` is a call under that name, and so is `` `$ just-mr words…` ``, with nothing added to its
//!   words.
//! - In a case with a line `In both voices.` each call under the name `taut` is made under the name `just`, too, in a
//!   workspace of its own with the same files. If that prints something else (and the command is one of both),
//!   `` Under the name `just` it exits with N: `` is followed by it.
//! - `` `$ taut words…` interrupted after `TEXT` exits with N: `` gets SIGINT as soon as it has printed that text, or
//!   the file of that name exists in `$OUT`, or at that path in `$BUILD`.
//! - `` `$ taut words…` goes on after `TEXT`: `` still runs when the next calls are made, followed by what it has
//!   printed. Later, `` It prints `TEXT`: `` is followed by what it prints up to the line with that text, and
//!   `` It is interrupted and exits with N: `` by the rest.
//! - `` `$ taut words…` with `NAME=VALUE` exits with N: `` has a variable in its environment: `TAUT_TEST_FAULT` makes
//!   calls of the system fail, `TAUT_TEST_LIMIT` sets limits that otherwise only large data or long waits reach
//!   (`crates/sys/src/fault.rs`), and with `HOME=` the build root is not given either.
//!
//! A line `` `$NAME` is a … ``, and others that begin with such a name and a verb, are about servers: what they offer,
//! and what goes wrong with them or on the way. `servers.rs` has these sentences.
//!
//! `reference/*.md` has the messages of the reference in the situations of `diagnostics`, recorded, with the version.
//! Under the name `just` those of taut are the same, but for calls that are marked: the kinds of differences are in
//! docs/differences.md. The order of messages is not compared, since the reference analyses several targets at once.
//! `TAUT_REFERENCE=JUST TAUT_RECORD=1 cargo test -p taut --test diagnostics reference` records them again. With
//! `TAUT_JUST=JUST` that binary is called under the name `just` in `messages`, too: to see what it prints, not to bless
//! it.
//!
//! Lines about the state of a set-up are left out. A mark below a path of the test has three carets. Times are shown as
//! `N s`, the age of a call as `just now`, sizes of files as `N bytes`; `$ROOT` is the workspace, `$BUILD` the build
//! root, `$OUT` a directory beside them, `$BESIDE` the one that all are in.
//! `TAUT_BLESS=1 cargo test -p taut --test diagnostics` writes the present messages; then read them as the user of that
//! call would.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    cell::RefCell,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use taut_testkit::{Tool, Workspace};

mod machine;
mod normal;
mod running;
mod servers;

use running::Running;
use servers::Servers;

/// The words of a call.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// What a line between blocks means.
enum Line<'l> {
    File(&'l str),
    Link(&'l str, &'l str),
    Removal(&'l str),
    /// The name of a server, and the sentence about it.
    Server(&'l str, &'l str),
    Script,
    Call(Call<'l>),
    /// The call that goes on prints this text.
    Prints(&'l str),
    /// The call that goes on is interrupted.
    End,
    /// The answer of the call before under the name `just`.
    OfJust,
    Text,
}

/// A call of the tool.
#[derive(Clone, Copy)]
struct Call<'l> {
    name: &'static str,
    words: &'l str,
    /// A text that it prints, or a file that it makes, before it is interrupted.
    interrupted_after: Option<&'l str>,
    /// The same, if it goes on then.
    goes_on_after: Option<&'l str>,
    /// A variable of its environment, as `NAME=VALUE`.
    variable: Option<&'l str>,
}

fn call<'l>(line: &'l str) -> Option<Call<'l>> {
    for name in ["taut", "just", "just-mr"] {
        let rest = line.strip_prefix("`$ ").and_then(|rest| rest.strip_prefix(name)?.strip_prefix(' '));
        let Some(rest) = rest else { continue };
        let (words, rest) = rest.split_once('`')?;
        let quoted = |rest: &'l str, before: &str| {
            rest.strip_prefix(before).and_then(|rest| rest.split_once('`')).unzip()
        };
        let (variable, after) = quoted(rest, " with `");
        let rest = after.unwrap_or(rest);
        let (interrupted_after, after) = quoted(rest, " interrupted after `");
        let rest = after.unwrap_or(rest);
        let (goes_on_after, _) = quoted(rest, " goes on after `");
        if goes_on_after.is_some() || rest.contains(" exits with ") {
            return Some(Call { name, words, interrupted_after, goes_on_after, variable });
        }
    }
    None
}

fn meaning(line: &str) -> Line<'_> {
    if let Some(call) = call(line) {
        return Line::Call(call);
    }
    if line == "`sh` prepares:" {
        return Line::Script;
    }
    if let Some(path) = line.strip_prefix('`').and_then(|rest| rest.strip_suffix("` is removed")) {
        return Line::Removal(path);
    }
    if let Some((name, rest)) = servers::sentence(line) {
        return Line::Server(name, rest);
    }
    if let Some(text) = line.strip_prefix("It prints `").and_then(|rest| rest.strip_suffix("`:")) {
        return Line::Prints(text);
    }
    if line.starts_with("It is interrupted and exits with ") {
        return Line::End;
    }
    if line.starts_with(OF_JUST) {
        return Line::OfJust;
    }
    let Some(inner) = line.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) else {
        return Line::Text;
    };
    match inner.split_once("` → `") {
        Some((path, target)) => Line::Link(path, target),
        None if inner.contains('`') => Line::Text,
        None => Line::File(inner),
    }
}

/// The line in a case whose calls are made under both names.
const IN_BOTH_VOICES: &str = "In both voices.";

/// The beginning of the line before what a call prints under the name `just`.
const OF_JUST: &str = "Under the name `just` it exits with ";

/// What a command that only taut has is answered with under the name `just`.
const NO_SUBCOMMAND: &str = "A subcommand is required";

/// A folder of documents.
#[derive(Clone, Copy, PartialEq)]
enum Folder {
    Diagnostics,
    Messages,
}

impl Folder {
    fn name(self) -> &'static str {
        match self {
            Folder::Diagnostics => "diagnostics",
            Folder::Messages => "messages",
        }
    }
}

/// The binary under a path of its own: what is recorded belongs to a program as it is, which another `cargo` may build
/// anew, or link to another name, while the documents are run.
struct Binary(tempfile::TempDir);

impl Binary {
    fn new() -> Binary {
        let directory = tempfile::Builder::new().prefix("taut-test-").tempdir().unwrap();
        // By another process: a test that starts one meanwhile would hand it the file open for writing, and a file that
        // is open for writing anywhere cannot be executed.
        let copy = directory.path().join("taut");
        assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_taut")).arg(copy).status().unwrap().success());
        Binary(directory)
    }

    fn called(&self, name: &'static str) -> Tool {
        if let Some(just) = std::env::var_os("TAUT_JUST").filter(|_| name == "just") {
            return Tool::at(just);
        }
        Tool::at(self.0.path().join("taut")).called(name)
    }
}

/// A case while it is run.
struct Case<'b> {
    folder: Folder,
    workspace: Workspace,
    binary: &'b Binary,
    servers: RefCell<Servers>,
}

/// The block that begins at a line, and the line behind it.
fn block(lines: &[&str], at: usize) -> Option<(String, usize)> {
    let begin = (at..lines.len()).find(|line| !lines[*line].is_empty())?;
    if !lines[begin].starts_with("```") {
        return None;
    }
    let end = (begin + 1..lines.len()).find(|line| *lines[*line] == *"```")?;
    let content: String = lines[begin + 1..end].iter().map(|line| format!("{line}\n")).collect();
    Some((content, end + 1))
}

impl<'b> Case<'b> {
    /// A workspace with the files of a case: all of them, or those before its first call.
    fn new(folder: Folder, lines: &[&str], binary: &'b Binary) -> Case<'b> {
        let case = Case { folder, workspace: Workspace::new(), binary, servers: RefCell::default() };
        fs::create_dir(case.workspace.beside("made")).unwrap();
        let mut at = 0;
        while at < lines.len() {
            let line = lines[at];
            at += 1;
            match meaning(line) {
                Line::Call(_) if folder == Folder::Messages => break,
                meaning => at = case.write(meaning, lines, at).unwrap_or(at),
            }
        }
        case
    }

    /// Writes the file that a line names; gives the line behind its block.
    fn write(&self, meaning: Line<'_>, lines: &[&str], at: usize) -> Option<usize> {
        let workspace = &self.workspace;
        match meaning {
            Line::File(path) => {
                let (content, next) = block(lines, at).unwrap_or_else(|| panic!("a block after {path}"));
                let content = content.replace("$ROOT", &workspace.root().to_string_lossy());
                let content = match self.folder {
                    Folder::Diagnostics => content,
                    Folder::Messages => self.with_directories(&content),
                };
                if path.starts_with('$') {
                    let path = PathBuf::from(self.with_directories(path));
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, content).unwrap();
                } else if content.starts_with("#!") {
                    workspace.executable(path, content);
                } else if let Some(directory) = path.strip_suffix('/') {
                    fs::create_dir_all(workspace.root().join(directory)).unwrap();
                } else if self.folder == Folder::Diagnostics {
                    // Some of the errors are about how a file ends.
                    workspace.file(path, content.trim_end_matches('\n'));
                } else {
                    workspace.file(path, content);
                }
                Some(next)
            }
            Line::Script => {
                let (script, next) = block(lines, at).expect("a block with a script");
                self.prepare(&self.servers.borrow().with_addresses(&script));
                Some(next)
            }
            Line::Link(path, target) => {
                workspace.link(&self.with_directories(path), target);
                None
            }
            Line::Removal(path) => {
                let path = workspace.root().join(self.with_directories(path));
                match path.is_dir() {
                    true => fs::remove_dir_all(path).unwrap(),
                    false => fs::remove_file(path).unwrap(),
                }
                None
            }
            Line::Server(name, rest) => {
                self.servers.borrow_mut().obey(name, rest, &workspace.beside("made"));
                None
            }
            Line::Call(_) | Line::Prints(_) | Line::End | Line::OfJust | Line::Text => None,
        }
    }

    /// Runs a script in the workspace.
    fn prepare(&self, script: &str) {
        let workspace = &self.workspace;
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", script]).current_dir(workspace.root());
        shell.env("OUT", workspace.beside("made")).env("BUILD", workspace.build_root());
        shell.env("HOME", workspace.beside("made")).env("GIT_CONFIG_NOSYSTEM", "1");
        for role in ["AUTHOR", "COMMITTER"] {
            shell.env(format!("GIT_{role}_NAME"), "a").env(format!("GIT_{role}_EMAIL"), "a@example.org");
            shell.env(format!("GIT_{role}_DATE"), "2020-01-01T00:00:00Z");
        }
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            shell.env_remove(name);
        }
        let ran = shell.output().unwrap();
        assert!(ran.status.success(), "{script}\n{}", String::from_utf8_lossy(&ran.stderr));
    }

    /// A text with the paths of the build root and of the directory beside the workspace, and with the addresses of
    /// servers.
    fn with_directories(&self, text: &str) -> String {
        let text = self.servers.borrow().with_addresses(text);
        let text = text.replace("$BUILD", &self.workspace.build_root().to_string_lossy());
        text.replace("$OUT", &self.workspace.beside("made").to_string_lossy())
    }

    /// The exit code and the messages.
    fn run(&self, call: &Call<'_>) -> (i32, String) {
        self.run_by(self.binary.called(call.name), call)
    }

    /// The same of another tool.
    fn run_by(&self, tool: Tool, call: &Call<'_>) -> (i32, String) {
        let (tool, words) = self.with_usual_options(tool, call);
        let (code, output) = match call.interrupted_after {
            Some(text) => {
                let mut running = Running::start(self, &tool, &words, text);
                let printed = running.printed(self, text);
                let (code, rest) = running.interrupt();
                (code, printed + &rest)
            }
            None => {
                // The options of `just-mr` come before its subcommand.
                let ran = match call.name {
                    "just-mr" => tool.run(&self.workspace.root(), &words),
                    // Without a build root of its own, which is what such a call is about.
                    _ if call.variable == Some("HOME=") => tool.run(&self.workspace.root(), &words),
                    _ => self.workspace.run(&tool, &words),
                };
                let output = match self.folder {
                    Folder::Diagnostics if words[0] == "describe" => ran.stdout + &ran.stderr,
                    Folder::Messages if !ran.stdout.is_empty() => {
                        format!("{}stdout:\n{}", ran.stderr, ran.stdout)
                    }
                    _ => ran.stderr,
                };
                (ran.code, output)
            }
        };
        (code, self.normal(&output))
    }

    /// A call with the options of its folder: the tool in its environment, and all words.
    fn with_usual_options(&self, tool: Tool, call: &Call<'_>) -> (Tool, Vec<String>) {
        let workspace = &self.workspace;
        let out = workspace.beside("out").display().to_string();
        let mut words: Vec<String> =
            words(call.words).iter().map(|word| self.with_directories(&word.replace("$OUT", &out))).collect();
        let options: &[&str] = match self.folder {
            Folder::Diagnostics => &["1", "--log-limit", "--plain-log"],
            Folder::Messages => &["1", "-J"],
        };
        let takes_options =
            |word: &String| call.name != "just-mr" && !word.starts_with('-') && word != "frobnicate";
        let is_build = |word: &String| ["build", "install", "rebuild", "watch"].contains(&&**word);
        if words
            .first()
            .is_some_and(|word| takes_options(word) && (self.folder == Folder::Diagnostics || is_build(word)))
        {
            let is_given = words.iter().any(|word| word == "-J");
            options.iter().filter(|_| !is_given).for_each(|word| words.insert(1, (*word).to_owned()));
        }
        let mut tool = tool.with_env("TMPDIR", workspace.beside("made"));
        if let Some(variable) = call.variable {
            let (name, value) = variable.split_once('=').expect("NAME=VALUE");
            tool = tool.with_env(name.to_owned(), self.with_directories(value));
        }
        (tool, words)
    }
}

/// The answer to a line that is followed by one: the line with the exit code, and the output.
fn answer(case: &Case<'_>, line: &str, running: &mut Option<Running>) -> (String, String) {
    let with_code = |code: i32| {
        let begin = line.split_once(" exits with ").map_or(line, |(begin, _)| begin);
        format!("{begin} exits with {code}:")
    };
    match meaning(line) {
        Line::Call(Call { goes_on_after: Some(text), name, .. }) => {
            assert!(running.is_none(), "{line}: another call goes on");
            let call = call(line).unwrap();
            let (tool, words) = case.with_usual_options(case.binary.called(name), &call);
            let running = running.insert(Running::start(case, &tool, &words, text));
            (line.to_owned(), case.normal(&running.printed(case, text)))
        }
        Line::Call(call) => {
            let (code, output) = case.run(&call);
            (with_code(code), output)
        }
        Line::Prints(text) => {
            let running = running.as_mut().unwrap_or_else(|| panic!("{line}: no call goes on"));
            (line.to_owned(), case.normal(&running.printed(case, text)))
        }
        Line::End => {
            let running = running.take().unwrap_or_else(|| panic!("{line}: no call goes on"));
            let (code, output) = running.interrupt();
            (with_code(code), case.normal(&output))
        }
        _ => unreachable!("{line} has no answer"),
    }
}

/// A line with what is printed, as documents have it.
fn shown(line: &str, output: &str) -> String {
    assert!(!output.contains("```"), "{line}");
    // Output need not end with a line feed.
    let feed = if output.is_empty() || output.ends_with('\n') { "" } else { "\n" };
    format!("{line}\n\n```\n{output}{feed}```\n")
}

/// The document with the present messages; counts its cases.
fn with_present_messages(folder: Folder, text: &str, binary: &Binary, count: &mut usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let headings = (0..lines.len()).filter(|line| lines[*line].starts_with("## "));
    let mut begins: Vec<usize> = headings.collect();
    *count += begins.len();
    let mut out: String = lines[..begins[0]].iter().map(|line| format!("{line}\n")).collect();
    begins.push(lines.len());
    for pair in begins.windows(2) {
        let lines = &lines[pair[0]..pair[1]];
        let case = Case::new(folder, lines, binary);
        let of_just = lines.contains(&IN_BOTH_VOICES).then(|| Case::new(folder, lines, binary));
        let cases = || [Some(&case), of_just.as_ref()].into_iter().flatten();
        let (mut at, mut calls) = (0, 0);
        let mut running: Option<Running> = None;
        while at < lines.len() {
            let line = lines[at];
            at += 1;
            match meaning(line) {
                Line::Call(_) | Line::Prints(_) | Line::End => {
                    calls += 1;
                    let (answered, output) = answer(&case, line, &mut running);
                    out += &shown(&answered, &output);
                    if let (Some(case), Line::Call(call @ Call { name: "taut", .. })) =
                        (&of_just, meaning(line))
                    {
                        let (code, of_just) = case.run(&Call { name: "just", ..call });
                        let line = format!("{OF_JUST}{code}:");
                        let is_equal = of_just == output && answered.ends_with(&line[OF_JUST.len()..]);
                        if !is_equal && !of_just.starts_with(NO_SUBCOMMAND) {
                            out += &format!("\n{}", shown(&line, &of_just));
                        }
                    }
                    if let Some((_, next)) = block(lines, at) {
                        at = next;
                    }
                    let is_of_just = |line: &usize| matches!(meaning(lines[*line]), Line::OfJust);
                    let next = (at..lines.len()).find(|line| !lines[*line].is_empty());
                    if let Some((_, next)) = next.filter(is_of_just).and_then(|line| block(lines, line + 1)) {
                        at = next;
                    }
                    if lines.get(at).is_some_and(|line| !line.is_empty()) {
                        out.push('\n');
                    }
                }
                Line::Script => {
                    let (_, next) = block(lines, at).expect("a block with a script");
                    if calls > 0 && folder == Folder::Messages {
                        cases().for_each(|case| _ = case.write(Line::Script, lines, at));
                    }
                    lines[at - 1..next].iter().for_each(|line| out.push_str(&format!("{line}\n")));
                    at = next;
                }
                Line::File(path) => {
                    let (_, next) = block(lines, at).unwrap_or_else(|| panic!("a block after {path}"));
                    if calls > 0 && folder == Folder::Messages {
                        cases().for_each(|case| _ = case.write(Line::File(path), lines, at));
                    }
                    lines[at - 1..next].iter().for_each(|line| out.push_str(&format!("{line}\n")));
                    at = next;
                }
                Line::Removal(_) => {
                    cases().for_each(|case| _ = case.write(meaning(line), lines, at));
                    out.push_str(&format!("{line}\n"));
                }
                Line::Link(..) | Line::Server(..) => {
                    if calls > 0 && folder == Folder::Messages {
                        cases().for_each(|case| _ = case.write(meaning(line), lines, at));
                    }
                    out.push_str(&format!("{line}\n"));
                }
                Line::OfJust => panic!("{line}: the case is not in both voices"),
                Line::Text => out.push_str(&format!("{line}\n")),
            }
        }
        assert!(calls > 0, "{} has a call", lines[0]);
        assert!(running.is_none(), "the call in {} is not ended", lines[0]);
    }
    out
}

/// Runs the documents of a folder, of which there are at least `min_cases` cases.
fn check(folder: Folder, min_cases: usize) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder.name());
    let bless = std::env::var_os("TAUT_BLESS").is_some();
    let only = std::env::var("TAUT_ONLY").unwrap_or_default();
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| {
        path.extension().is_some_and(|kind| kind == "md") && path.to_string_lossy().contains(&only)
    });
    files.sort();
    let (mut count, binary) = (0, Binary::new());
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let output = with_present_messages(folder, &text, &binary, &mut count);
        if bless {
            fs::write(&path, output).unwrap();
        } else {
            expect_test::expect_file![path].assert_eq(&output);
        }
    }
    assert!(!only.is_empty() || count >= min_cases, "{count} cases");
}

/// What the reference says in one call.
struct Recorded {
    words: String,
    code: i32,
    output: String,
}

/// The messages of a log, sorted: a line that begins with a level begins one.
fn messages(output: &str) -> Vec<String> {
    let mut messages: Vec<String> = vec![String::new()];
    for line in output.lines() {
        if ["ERROR", "WARN", "INFO"].iter().any(|level| line.starts_with(level)) {
            messages.push(String::new());
        }
        let last = messages.last_mut().unwrap();
        last.push_str(line);
        last.push('\n');
    }
    messages.sort();
    messages
}

/// The calls of a case in a file of recorded answers.
fn recorded(lines: &[&str]) -> Vec<Recorded> {
    let mut all = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        at += 1;
        let Some((words, rest)) =
            line.strip_prefix("`$ just ").and_then(|rest| rest.split_once("` exits with "))
        else {
            continue;
        };
        let code = rest.split([':', ',']).next().unwrap().parse().unwrap();
        let (output, next) = block(lines, at).unwrap_or_else(|| panic!("a block after {line}"));
        all.push(Recorded { words: words.to_owned(), code, output });
        at = next;
    }
    all
}

/// The lines of a document by case: the heading, and all up to the next one.
fn cases(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut cases: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            cases.push((heading, vec![line]));
        } else if let Some((_, lines)) = cases.last_mut() {
            lines.push(line);
        }
    }
    cases
}

/// Calls that the reference does not answer in the same way each time: it asks the network, or waits for what a killed
/// action has left.
fn is_unsteady(words: &str) -> bool {
    words.contains("-r localhost") || words.contains("--action-timeout")
}

#[test]
fn under_the_name_just_messages_are_those_of_the_reference() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let reference = std::env::var_os("TAUT_RECORD").map(|_| Tool::reference().expect("a reference"));
    let bless = reference.is_some() || std::env::var_os("TAUT_BLESS").is_some();
    let only = std::env::var("TAUT_ONLY").unwrap_or_default();
    let (mut equal, mut count, binary) = (0, 0, Binary::new());
    let mut files: Vec<_> =
        fs::read_dir(tests.join("diagnostics")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| {
        path.extension().is_some_and(|kind| kind == "md") && path.to_string_lossy().contains(&only)
    });
    files.sort();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let kept = tests.join("reference").join(&name);
        let known = fs::read_to_string(&kept).unwrap_or_default();
        let known = cases(&known);
        let mut out = format!("# What just 1.6.5 says in the situations of ../diagnostics/{name}\n");
        for (heading, lines) in cases(&text) {
            let calls: Vec<Call<'_>> = lines.iter().filter_map(|line| call(line)).collect();
            let answers = match &reference {
                Some(reference) => {
                    let case = Case::new(Folder::Diagnostics, &lines, &binary);
                    let answer = |call: &Call<'_>| {
                        let words = call.words.to_owned();
                        match is_unsteady(&words) {
                            true => Recorded { words, code: 0, output: "Not recorded.\n".into() },
                            false => {
                                let (code, output) = case.run_by(reference.clone(), call);
                                Recorded { words, code, output }
                            }
                        }
                    };
                    calls.iter().map(answer).collect()
                }
                None => {
                    let found = known.iter().find(|(known, _)| *known == heading);
                    found.map(|(_, lines)| recorded(lines)).unwrap_or_default()
                }
            };
            let case = Case::new(Folder::Diagnostics, &lines, &binary);
            let _ = write!(out, "\n## {heading}\n");
            for call in &calls {
                let (code, output) = case.run(&Call { name: "just", ..*call });
                let Some(answer) = answers.iter().find(|answer| answer.words == call.words) else {
                    panic!("no answer is recorded of {:?} in {name}, {heading}: see TAUT_RECORD", call.words);
                };
                count += 1;
                let is_equal = code == answer.code && messages(&output) == messages(&answer.output);
                equal += usize::from(is_equal);
                let mark = if is_equal { "" } else { ", taut differs" };
                let Recorded { words, code, output } = answer;
                let feed = if output.is_empty() || output.ends_with('\n') { "" } else { "\n" };
                let _ =
                    write!(out, "\n`$ just {words}` exits with {code}{mark}:\n\n```\n{output}{feed}```\n");
                if bless && !is_equal {
                    println!("differs: {name}, {heading}: just {words}");
                }
            }
        }
        if bless {
            fs::create_dir_all(kept.parent().unwrap()).unwrap();
            fs::write(&kept, out).unwrap();
        } else {
            expect_test::expect_file![kept].assert_eq(&out);
        }
    }
    println!("{equal} of {count} calls have the messages and the exit code of the reference");
}

#[test]
fn mistakes_are_answered_with_the_messages_in_the_documents() {
    check(Folder::Diagnostics, 100);
}

#[test]
fn builds_print_the_messages_in_the_documents() {
    check(Folder::Messages, 20);
}
