//! Messages as documents that are run: `diagnostics/*.md` has mistakes in descriptions and on the command line,
//! `messages/*.md` has builds. Adding a case needs no Rust.
//!
//! A file is about one theme; a heading of second level begins a case. In a case, a line that is just
//! `` `path` `` names the file whose content follows as a fenced block (`` `path` → `target` `` is a
//! symbolic link, a content that begins with `#!` makes the file executable), and a line
//! `` `$ taut words…` exits with N: `` is a call, followed by a fenced block with what it prints. Words are separated by
//! blanks; single quotes keep them together. Everything else is for the reader.
//!
//! A line `` `sh` prepares: `` is followed by a shell script that is run at once, in the workspace: with `$OUT` and `$BUILD`,
//! with Git's environment fixed, and without what it prints.
//!
//! In `diagnostics`, errors and warnings are shown (`--log-limit 1`), after standard output if the call is one of
//! `describe`, and all files of a case are there before its first call. In `messages`, all messages are shown, standard
//! output below them after a line `stdout:`; a file or link that comes after a call is written after it; `` `$ just words…` `` is a
//! call under that name; `` `$ taut words…` interrupted after `TEXT` exits with N: `` is one that gets SIGINT as soon as
//! it has printed that text, or the file of that name is there in `$OUT`, or at that path in `$BUILD`;
//! `` `$ taut words…` goes on after `TEXT`: `` is one that is still there when the next ones are made, followed by what it
//! has printed; later `` It prints `TEXT`: `` is followed by what it prints up to the line with that text, and
//! `` It is interrupted and exits with N: `` by the rest.
//! `` `$ taut words…` with `NAME=VALUE` exits with N: `` is one with a variable in its environment; a line that is just
//! `` `path` is removed `` removes a file or directory. Paths may begin with `$BUILD/` or `$OUT/`.
//!
//! `reference/*.md` has the messages of the reference in the situations of `diagnostics`, recorded, with the version. Under
//! the name `just` those of taut are the same, but for calls that are marked: the kinds of differences are in
//! docs/differences.md. The order of messages is not compared, since the reference analyses several targets at once.
//! `TAUT_REFERENCE=JUST TAUT_RECORD=1 cargo test -p taut --test diagnostics reference` records them again.
//!
//! Lines about the state of a set-up are left out. A
//! mark below a path of the test has three carets. Times are shown as `N s`, the age of a call as `just now`, sizes of files as `N bytes`; `$ROOT` is the workspace,
//! `$BUILD` the build root, `$OUT` a directory beside them. `TAUT_BLESS=1 cargo test -p taut --test diagnostics` writes the
//! present messages; then read them as the user of that call would.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    fmt::Write as _,
    fs,
    io::Read as _,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use taut_testkit::{Tool, Workspace, without_ages};

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
    Script,
    Call(Call<'l>),
    /// The call that goes on prints this text.
    Prints(&'l str),
    /// The call that goes on is interrupted.
    End,
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
    for name in ["taut", "just"] {
        let Some(rest) = line.strip_prefix("`$ ").and_then(|rest| rest.strip_prefix(name)) else { continue };
        let (words, rest) = rest.strip_prefix(' ')?.split_once('`')?;
        let quoted = |rest: &'l str, before: &str| {
            rest.strip_prefix(before).and_then(|rest| rest.split_once('`')).unzip()
        };
        let (variable, after) = quoted(rest, " with `");
        let (interrupted_after, after) = quoted(after.unwrap_or(rest), " interrupted after `");
        let (goes_on_after, _) = quoted(after.unwrap_or(rest), " goes on after `");
        if goes_on_after.is_some() || after.unwrap_or(rest).contains(" exits with ") {
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
    if let Some(text) = line.strip_prefix("It prints `").and_then(|rest| rest.strip_suffix("`:")) {
        return Line::Prints(text);
    }
    if line.starts_with("It is interrupted and exits with ") {
        return Line::End;
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

/// A case while it is run.
struct Case {
    folder: Folder,
    workspace: Workspace,
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

impl Case {
    /// A workspace with the files of a case: all of them, or those before its first call.
    fn new(folder: Folder, lines: &[&str]) -> Case {
        let case = Case { folder, workspace: Workspace::new() };
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
                self.prepare(&script);
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
            Line::Call(_) | Line::Prints(_) | Line::End | Line::Text => None,
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

    /// A text with the paths of the build root and of the directory beside the workspace.
    fn with_directories(&self, text: &str) -> String {
        let text = text.replace("$BUILD", &self.workspace.build_root().to_string_lossy());
        text.replace("$OUT", &self.workspace.beside("made").to_string_lossy())
    }

    /// The exit code and the messages.
    fn run(&self, call: &Call<'_>) -> (i32, String) {
        let tool = Tool::at(env!("CARGO_BIN_EXE_taut")).called(call.name);
        self.run_by(tool, call)
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
                let ran = self.workspace.run(&tool, &words);
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
        let takes_options = |word: &String| !word.starts_with('-') && word != "frobnicate";
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

    /// Output without what differs from run to run.
    fn normal(&self, output: &str) -> String {
        let workspace = &self.workspace;
        let output = output.replace(&*workspace.root().to_string_lossy(), "$ROOT");
        let output = output.replace(&*workspace.build_root().to_string_lossy(), "$BUILD");
        let output = output.replace(&*workspace.beside("out").to_string_lossy(), "$OUT");
        let output = output.replace(&*workspace.beside("made").to_string_lossy(), "$OUT");
        let made = workspace.beside("made");
        let targets = fs::read_to_string(workspace.root().join("TARGETS")).unwrap_or_default();
        let has_path = |path: &Path| targets.contains(&*path.to_string_lossy());
        let output = match has_path(&made) || has_path(&workspace.build_root()) {
            true => without_ids(&output),
            false => output,
        };
        let output = without_names_of_build_root(&without_widths(&without_states(&output)));
        without_sizes(&without_ages(&without_random_names(&without_times(&output))))
    }
}

/// How long a call is given to print a text; long, since a machine may be busy.
const MAX_WAIT: Duration = Duration::from_secs(120);

/// A call that has not ended.
struct Running {
    child: Child,
    /// What it has printed on standard error.
    output: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
    /// How many bytes of that were returned.
    returned: usize,
}

impl Running {
    /// Starts a call that is to print a text or make a file.
    fn start(case: &Case, tool: &Tool, words: &[String], text: &str) -> Running {
        if !text.starts_with("$BUILD") {
            let _ = fs::remove_file(case.workspace.beside("made").join(text));
        }
        let mut child = case.workspace.start(tool, words);
        let mut stderr = child.stderr.take().unwrap();
        let output: Arc<Mutex<Vec<u8>>> = Arc::default();
        let kept = output.clone();
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stderr.read(&mut buffer) {
                kept.lock().unwrap().extend(&buffer[..read]);
            }
        });
        Running { child, output, reader, returned: 0 }
    }

    /// Waits until it has printed a text or made a file; returns what it has printed until then: up to the end of the line
    /// with the text.
    fn printed(&mut self, case: &Case, text: &str) -> String {
        let made = case.workspace.beside("made").join(case.with_directories(text));
        let begin = Instant::now();
        loop {
            let is_made = made.exists();
            let output = String::from_utf8_lossy(&self.output.lock().unwrap()[self.returned..]).into_owned();
            let end = output.find(text).and_then(|begin| Some(begin + output[begin..].find('\n')? + 1));
            if is_made || end.is_some() {
                let printed = &output[..end.unwrap_or(output.len())];
                self.returned += printed.len();
                return printed.to_owned();
            }
            let goes_on = self.child.try_wait().unwrap().is_none() && begin.elapsed() < MAX_WAIT;
            if !goes_on {
                let _ = self.child.kill();
                panic!("it did not come to {text:?}: {output}");
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The exit code after SIGINT, and the rest of what it printed.
    fn interrupt(mut self) -> (i32, String) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let status = self.child.wait().unwrap();
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        self.reader.join().unwrap();
        let output = self.output.lock().unwrap();
        (code, String::from_utf8_lossy(&output[self.returned..]).into_owned())
    }
}

/// A text without the lines that say how far a set-up is: which there are depends on the time that it takes.
fn without_states(text: &str) -> String {
    let is_state = |line: &&str| line.contains(" set up; fetching ");
    text.split_inclusive('\n').filter(|line| !is_state(line)).collect()
}

/// A text with three carets below a path of the test in a line of a file: its length differs from machine to machine.
fn without_widths(text: &str) -> String {
    let mut has_path = false;
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let carets = line.trim_end().trim_start_matches([' ', '|']);
        let is_mark = !carets.is_empty() && carets.chars().all(|c| c == '^');
        match is_mark && has_path {
            true => out += &line.replace(carets, "^^^"),
            false => out += line,
        }
        has_path = ["$ROOT", "$OUT", "$BUILD"].iter().any(|path| line.contains(path));
    }
    out
}

/// A text with `N` in the names of temporary files, epochs and logs: hexadecimal numbers, joined by hyphens, of processes,
/// times and paths.
fn without_names_of_build_root(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_hexdigit() || c == '-';
    let mut out = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find(is_part) {
        let end = rest[begin..].find(|c| !is_part(c)).map_or(rest.len(), |end| begin + end);
        let (before, part) = (&rest[..begin], &rest[begin..end]);
        let inner = part.trim_matches('-');
        let digits = inner.chars().filter(char::is_ascii_hexdigit).count();
        out.push_str(before);
        match inner.contains('-') && digits >= MIN_DIGITS {
            true => out.push_str(&part.replace(inner, "N")),
            false => out.push_str(part),
        }
        rest = &rest[end..];
    }
    out + rest
}

/// How many hexadecimal digits such names have at least; dates have fewer.
const MIN_DIGITS: usize = 16;

/// A text without the hexadecimal numbers of directories in which actions are run again.
fn without_random_names(text: &str) -> String {
    let mut parts = text.split("/taut-rerun-");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out += "/taut-rerun-N";
        out += part.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    }
    out
}

/// A text with `%ID` for the ids of actions: those whose commands name a directory of the test differ from run to run.
fn without_ids(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_hexdigit());
        let is_id = part.len() - rest.len() >= 12;
        out += if is_id { "%ID" } else { "%" };
        out += if is_id { rest } else { part };
    }
    out
}

/// A text with `N bytes` for the size of files: some of the build root hold times.
fn without_sizes(text: &str) -> String {
    let mut words: Vec<&str> = text.split(' ').collect();
    for at in 2..words.len() {
        let is_size = words[at] == "in" && ["bytes", "KiB", "MiB"].contains(&words[at - 1]);
        if is_size && words[at + 2..].first().is_some_and(|word| word.starts_with("file")) {
            (words[at - 2], words[at - 1]) = ("N", "bytes");
        }
    }
    words.join(" ")
}

/// A text with `N s` for each time.
fn without_times(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find(|c: char| c.is_ascii_digit()) {
        out.push_str(&rest[..begin]);
        let number = &rest[begin..];
        let end =
            number.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).unwrap_or(number.len());
        let (number, after) = number.split_at(end);
        // A colon ends the place in a file; within a time it is between digits.
        let end = number.trim_end_matches(':').len();
        let (number, colons) = number.split_at(end);
        let is_of_seconds = after.starts_with(" s") && !after[2..].starts_with(char::is_alphabetic);
        let is_clock = number.contains(':') && out.ends_with(", ");
        let is_time =
            is_clock || (colons.is_empty() && is_of_seconds && (number.contains('.') || out.ends_with('(')));
        out.push_str(if is_time { "N" } else { number });
        out.push_str(colons);
        rest = after;
    }
    out + rest
}

/// The answer to a line that is followed by one: the line with the exit code, and the output.
fn answer(case: &Case, line: &str, running: &mut Option<Running>) -> (String, String) {
    let with_code = |code: i32| {
        let begin = line.split_once(" exits with ").map_or(line, |(begin, _)| begin);
        format!("{begin} exits with {code}:")
    };
    match meaning(line) {
        Line::Call(Call { goes_on_after: Some(text), name, .. }) => {
            assert!(running.is_none(), "{line}: another call goes on");
            let call = call(line).unwrap();
            let tool = Tool::at(env!("CARGO_BIN_EXE_taut")).called(name);
            let (tool, words) = case.with_usual_options(tool, &call);
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

/// The document with the present messages; counts its cases.
fn with_present_messages(folder: Folder, text: &str, count: &mut usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let headings = (0..lines.len()).filter(|line| lines[*line].starts_with("## "));
    let mut begins: Vec<usize> = headings.collect();
    *count += begins.len();
    let mut out: String = lines[..begins[0]].iter().map(|line| format!("{line}\n")).collect();
    begins.push(lines.len());
    for pair in begins.windows(2) {
        let lines = &lines[pair[0]..pair[1]];
        let case = Case::new(folder, lines);
        let (mut at, mut calls) = (0, 0);
        let mut running: Option<Running> = None;
        while at < lines.len() {
            let line = lines[at];
            at += 1;
            match meaning(line) {
                Line::Call(_) | Line::Prints(_) | Line::End => {
                    calls += 1;
                    let (line, output) = answer(&case, line, &mut running);
                    assert!(!output.contains("```"), "{line}");
                    // Output need not end with a line feed.
                    let feed = if output.is_empty() || output.ends_with('\n') { "" } else { "\n" };
                    let _ = write!(out, "{line}\n\n```\n{output}{feed}```\n");
                    if let Some((_, next)) = block(lines, at) {
                        at = next;
                    }
                    if lines.get(at).is_some_and(|line| !line.is_empty()) {
                        out.push('\n');
                    }
                }
                Line::Script => {
                    let (_, next) = block(lines, at).expect("a block with a script");
                    if calls > 0 && folder == Folder::Messages {
                        case.write(Line::Script, lines, at);
                    }
                    lines[at - 1..next].iter().for_each(|line| out.push_str(&format!("{line}\n")));
                    at = next;
                }
                Line::File(path) => {
                    let (_, next) = block(lines, at).unwrap_or_else(|| panic!("a block after {path}"));
                    if calls > 0 && folder == Folder::Messages {
                        case.write(Line::File(path), lines, at);
                    }
                    lines[at - 1..next].iter().for_each(|line| out.push_str(&format!("{line}\n")));
                    at = next;
                }
                Line::Removal(_) => {
                    case.write(meaning(line), lines, at);
                    out.push_str(&format!("{line}\n"));
                }
                Line::Link(..) => {
                    if calls > 0 && folder == Folder::Messages {
                        case.write(meaning(line), lines, at);
                    }
                    out.push_str(&format!("{line}\n"));
                }
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
    files.retain(|path| path.to_string_lossy().contains(&only));
    files.sort();
    let mut count = 0;
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let output = with_present_messages(folder, &text, &mut count);
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
    let (mut equal, mut count) = (0, 0);
    let mut files: Vec<_> =
        fs::read_dir(tests.join("diagnostics")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().contains(&only));
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
                    let case = Case::new(Folder::Diagnostics, &lines);
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
            let case = Case::new(Folder::Diagnostics, &lines);
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

#[test]
fn times_are_replaced() {
    assert_eq!(without_times("in 0.03 s: 5 actions, 1.5 sec, v1.2.3"), "in N s: 5 actions, 1.5 sec, v1.2.3");
    assert_eq!(without_times("a.c:1:12: x, 0:12; t (12 s)"), "a.c:1:12: x, N; t (N s)");
    assert_eq!(
        without_names_of_build_root(
            "cannot create b/tmp-13855-18ecb0764a0411af-0-1, d0/0491fd7e5bb6fa28c517, 2026-11-30"
        ),
        "cannot create b/tmp-N, d0/0491fd7e5bb6fa28c517, 2026-11-30"
    );
    assert_eq!(
        without_sizes("Freed 1.5 KiB in 2 files; 3 bytes in all"),
        "Freed N bytes in 2 files; 3 bytes in all"
    );
}
