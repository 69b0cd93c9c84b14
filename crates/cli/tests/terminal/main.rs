//! What a terminal shows: calls are recorded on a pseudo-terminal, and what is on the screen at the end, and while an
//! action runs, is compared with `screens/*.txt`. `TAUT_BLESS=1` writes them.
//!
//! `<1;31>text<>` is text in a style. Times are shown as `N`. There are pictures as well (`*.svg`), with a dark and
//! with a light background.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

mod first_steps;

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, Signal, WaitOptions, kill_process, waitpid},
};
use taut_testkit::{
    Tool, Workspace,
    terminal::{self, Screen, THEMES, assert_readable},
};

/// A call on a terminal.
struct Recording {
    columns: u16,
    rows: u16,
    env: Vec<(&'static str, &'static str)>,
    /// Gets SIGINT when the display has shown this text, and this file is there.
    interrupted_at: Option<(&'static str, PathBuf)>,
    /// Gets SIGINT again when the display has shown this text.
    interrupted_again_at: Option<&'static str>,
    /// Becomes so narrow when the display has shown this text.
    narrowed_at: Option<(&'static str, u16)>,
}

/// What a terminal showed.
struct Shown {
    code: Option<i32>,
    /// Everything that was written.
    raw: String,
    columns: u16,
    rows: u16,
    /// From where on it was narrower, and how narrow.
    narrowed: Option<(usize, u16)>,
}

impl Shown {
    fn screen(&self) -> Screen {
        let screen = self.drawn();
        assert_readable(&screen);
        screen
    }

    /// The screen, in whatever colours.
    fn drawn(&self) -> Screen {
        let mut screen = Screen::new(self.columns.into(), self.rows.into());
        let (at, columns) = self.narrowed.unwrap_or((self.raw.len(), self.columns));
        screen.feed(&self.raw[..at]);
        screen.resize(columns.into());
        screen.feed(&self.raw[at..]);
        assert!(screen.unknown.is_empty(), "{:?}", screen.unknown);
        screen
    }

    /// What the screen showed with the tallest display.
    fn tallest_frame(&self) -> String {
        let mut screen = Screen::new(self.columns.into(), self.rows.into());
        screen.feed(self.until_tallest_frame());
        screen.text()
    }

    /// What was written until the tallest display was there, the last one of these, before it was erased.
    fn until_tallest_frame(&self) -> &str {
        let (mut lines, mut until) = (0, 0);
        // A frame is drawn line by line over the one before; then what is left of that is erased.
        for (end, erasure) in self.raw.match_indices("\x1b[J") {
            let mut screen = Screen::new(self.columns.into(), self.rows.into());
            screen.feed(&self.raw[..end + erasure.len()]);
            assert!(
                screen.height() <= usize::from(self.rows),
                "taller than the terminal:\n{}",
                screen.text()
            );
            let height = screen.text().lines().count();
            if height >= lines {
                (lines, until) = (height, end + erasure.len());
            }
        }
        &self.raw[..until]
    }
}

impl Recording {
    fn new(columns: u16) -> Recording {
        let env = vec![("TERM", "xterm-256color")];
        Recording {
            columns,
            rows: 24,
            env,
            interrupted_at: None,
            interrupted_again_at: None,
            narrowed_at: None,
        }
    }

    fn run(&self, workspace: &Workspace, words: &[&str]) -> Shown {
        let (terminal, end) = terminal::open(self.columns, self.rows).unwrap();
        let tool = Tool::at(env!("CARGO_BIN_EXE_taut")).called("taut");
        let mut command = tool.command(&workspace.root());
        // Lines are wrapped where they are in every directory.
        command.args([words[0], "--local-build-root", "../build-root", "-J", "2"]);
        command.args(&words[1..]).envs(self.env.iter().copied());
        let mut child = command.stderr(end).spawn().unwrap();
        // The end that it inherited is the only one left, so that reading ends with it.
        drop(command);
        let shown: Arc<Mutex<Vec<u8>>> = Arc::default();
        let reader = {
            let (mut terminal, shown) = (terminal.try_clone().unwrap(), shown.clone());
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                loop {
                    // Waits without the lock and reads under it: a thread that has the lock and finds nothing to read
                    // has seen all.
                    is_readable(&terminal, None);
                    let mut shown = shown.lock().unwrap();
                    match terminal.read(&mut buffer) {
                        Ok(read @ 1..) => shown.extend(&buffer[..read]),
                        _ => return,
                    }
                }
            })
        };
        let pid = Pid::from_child(&child);
        let mut narrowed = None;
        if let Some((text, columns)) = self.narrowed_at {
            until(|| has(&shown.lock().unwrap(), text));
            // Between two frames, when the terminal has shown all of the one before: what was drawn for the old width
            // must not be taken for something that was drawn for the new one.
            until(|| {
                kill_process(pid, Signal::STOP).unwrap();
                waitpid(Some(pid), WaitOptions::UNTRACED).unwrap();
                let mut shown = shown.lock().unwrap();
                if !is_readable(&terminal, Some(Duration::ZERO)) && shown.ends_with(b"\x1b[J") {
                    terminal::resize(&terminal, columns, self.rows).unwrap();
                    narrowed = Some((shown.len(), columns));
                    shown.push(b'\r');
                }
                kill_process(pid, Signal::CONT).unwrap();
                narrowed.is_some()
            });
        }
        if let Some((text, path)) = &self.interrupted_at {
            until(|| path.exists() && has(&shown.lock().unwrap(), text));
            kill_process(pid, Signal::INT).unwrap();
        }
        if let Some(text) = self.interrupted_again_at {
            until(|| has(&shown.lock().unwrap(), text));
            // Again and again: one that comes right after the first does not count.
            until(|| {
                let is_over = child.try_wait().unwrap().is_some();
                if !is_over {
                    kill_process(pid, Signal::INT).unwrap();
                }
                is_over
            });
        }
        let code = child.wait().unwrap().code();
        reader.join().unwrap();
        let raw = String::from_utf8(shown.lock().unwrap().clone()).unwrap();
        Shown { code, raw, columns: self.columns, rows: self.rows, narrowed }
    }
}

/// Waits until something holds.
fn until(mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a text is among what was written.
fn has(shown: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(shown).contains(text)
}

/// Whether something can be read, or the end, within this time.
fn is_readable(terminal: &fs::File, time: Option<Duration>) -> bool {
    let mut polled = [PollFd::new(terminal, PollFlags::IN)];
    let time = time.map(|time| time.try_into().unwrap());
    // A signal may end the wait early; then nothing is there yet.
    poll(&mut polled, time.as_ref()).is_ok_and(|ready| ready > 0)
}

/// A text without what differs from call to call.
fn without_numbers(text: &str, workspace: &Workspace) -> String {
    without_times(&text.replace(&*workspace.root().to_string_lossy(), "$ROOT"))
}

/// A text with `N` for each time.
fn without_times(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find(|c: char| c.is_ascii_digit()) {
        out.push_str(&rest[..begin]);
        let number = &rest[begin..];
        let end =
            number.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).unwrap_or(number.len());
        let (number, after) = number.split_at(end);
        // Not the line and the column behind a path.
        let is_clock = number.contains(':') && !out.ends_with(':');
        let is_time = is_clock || (number.contains('.') && after.starts_with(" s"));
        out.push_str(if is_time { "N" } else { number });
        rest = after;
    }
    out + rest
}

#[track_caller]
fn check(name: &str, text: &str, workspace: &Workspace) {
    check_file(&format!("{name}.txt"), &without_numbers(text, workspace));
}

/// The pictures of what was shown, each call with its words and what it wrote.
#[track_caller]
fn check_pictures(name: &str, columns: u16, calls: &[(&str, &str)], workspace: &Workspace) {
    let mut screen = Screen::new(columns.into(), 100);
    for (words, written) in calls {
        screen.feed(&format!("$ {words}\r\n{}", without_numbers(written, workspace)));
    }
    assert_readable(&screen);
    for theme in &THEMES[..2] {
        check_file(&format!("{name}-{columns}-{}.svg", theme.name), &theme.picture(&screen));
    }
}

#[track_caller]
fn check_file(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/terminal/screens").join(name);
    if std::env::var_os("TAUT_BLESS").is_some() {
        fs::write(path, text).unwrap();
    } else {
        expect_test::expect_file![path].assert_eq(text);
    }
}

/// Sizes of terminals that calls are recorded at.
const SIZES: [u16; 2] = [80, 200];

fn project() -> Workspace {
    let workspace = Workspace::new();
    workspace.file(
        "src/TARGETS",
        r#"{ "lib":
  { "type": "generic", "outs": ["lib.o"], "deps": ["lib.c"]
  , "cmds": ["printf 'lib.c:1:5: \\033[1;35mwarning:\\033[0m unused variable\\033[2K\\n' >&2", "cp lib.c lib.o"] }
, "x":
  { "type": "generic", "outs": ["x.o"], "deps": ["lib"]
  , "cmds": ["printf 'lib.c:2:1: \\033[1;31merror:\\033[0m expected a semicolon at the end of this declaration\\n' >&2", "test -e lib.o && test -e a-file-with-a-long-name-that-is-never-there && exit 0", "exit 1"] }
}"#,
    );
    workspace.file("src/lib.c", "int x;\n");
    workspace
}

#[test]
fn recordings_of_a_build_a_null_build_and_a_failure() {
    for columns in SIZES {
        let workspace = project();
        let recording = Recording::new(columns);
        let mut all = String::new();
        let mut calls = Vec::new();
        for (words, code) in [("taut build src:lib", 0), ("taut build src:lib", 0), ("taut build src:x", 1)] {
            let shown = recording.run(&workspace, &words.split(' ').skip(1).collect::<Vec<_>>());
            assert_eq!(shown.code, Some(code), "{}", shown.raw);
            all += &format!("$ {words}\n{}", shown.screen().text());
            calls.push((words, shown));
        }
        check(&format!("build-{columns}"), &all, &workspace);
        let calls: Vec<(&str, &str)> = calls.iter().map(|(words, shown)| (*words, &*shown.raw)).collect();
        check_pictures("build", columns, &calls, &workspace);
    }
}

#[test]
fn recordings_of_mistakes_in_a_description() {
    for columns in SIZES {
        let workspace = project();
        workspace.file(
            "TARGETS",
            r#"{ "": {"type": "install", "deps": ["app"], "dirs": [], "fles": {"a": "app"}}
, "app": {"type": "generic", "deps": [["src", "libb"]], "outs": ["app"], "cmds": ["cp lib.o app"]}
}"#,
        );
        let recording = Recording::new(columns);
        let shown = recording.run(&workspace, &["build"]);
        assert_eq!(shown.code, Some(8), "{}", shown.raw);
        check(&format!("mistake-{columns}"), &shown.screen().text(), &workspace);
        check_pictures("mistake", columns, &[("taut build", &shown.raw)], &workspace);
    }
}

/// What compilers print differs from version to version, so only what all of them have is compared.
#[test]
fn what_a_compiler_prints_has_its_colours_and_fits() {
    for columns in SIZES {
        let workspace = Workspace::new();
        workspace.file(
            "TARGETS",
            r#"{"prog": {"type": ["@", "std", "cc", "binary"], "name": ["prog"], "srcs": ["main.c"]}}"#,
        );
        workspace.file("main.c", "int main(void) { return undeclared_variable; }\n");
        let shown = Recording::new(columns).run(&workspace, &["build", "prog"]);
        assert_eq!(shown.code, Some(1), "{}", shown.raw);
        // The colours of the compiler are its own, and some cannot be read on every background.
        let screen = shown.drawn().text();
        let lines: Vec<&str> = screen.lines().collect();
        assert!(lines[0].starts_with("<1;31>error:<> TARGETS:1: <1>:prog: building "), "{screen}");
        // The command in one line, cut to the width.
        assert!(lines[1].starts_with("  cc ") && lines[1].chars().count() <= columns.into(), "{screen}");
        let of_compiler = lines.iter().find(|line| line.contains("main.c:1:")).unwrap();
        let word = of_compiler.find("error:").unwrap();
        assert!(of_compiler[..word].ends_with('>'), "the word has a style of its own: {screen}");
        // Messages are wrapped by the terminal.
        assert!(screen.replace('\n', "").contains("1 action failed: :prog (main.c.o)"), "{screen}");
    }
}

#[test]
fn without_colour_nothing_is_coloured() {
    for columns in SIZES {
        for env in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            let workspace = project();
            let mut recording = Recording::new(columns);
            recording.env.push(env);
            let shown = recording.run(&workspace, &["build", "src:x"]);
            assert!(!shown.raw.contains('\x1b'), "{:?}", shown.raw);
            check(&format!("no-color-{columns}"), &shown.screen().text(), &workspace);
        }
    }
}

#[test]
fn colour_can_be_forced_where_nothing_else_moves() {
    let workspace = project();
    let mut recording = Recording::new(80);
    recording.env.extend([("TERM", "dumb"), ("CLICOLOR_FORCE", "1")]);
    let shown = recording.run(&workspace, &["build", "src:x"]);
    let is_colour =
        |code: &str| code.find(|c: char| c.is_ascii_alphabetic()).map(|end| &code[end..=end]) == Some("m");
    assert!(shown.raw.split("\x1b[").skip(1).all(is_colour), "{:?}", shown.raw);
    check("forced-color", &shown.screen().text(), &workspace);
}

/// A target whose action runs until it is ended, or for some seconds.
fn slow(workspace: &Workspace, seconds: u32) -> PathBuf {
    let started = workspace.beside("started");
    workspace.file(
        "TARGETS",
        format!(
            r#"{{"first": {{"type": "generic", "outs": ["first"], "cmds": ["touch first"]}},
 "slow": {{"type": "generic", "outs": ["a/file/with/quite/a/long/name/below/some/directories/slow.o"], "deps": ["first"],
           "cmds": ["touch {}; sleep {seconds}; touch a/file/with/quite/a/long/name/below/some/directories/slow.o"]}},
 "step": {{"type": "generic", "outs": ["step"], "deps": ["first"], "cmds": ["sleep 0.3; touch step"]}},
 "other": {{"type": "generic", "outs": ["other"], "deps": ["step"], "cmds": ["sleep {seconds}; touch other"]}},
 "all": {{"type": "install", "files": {{"s": "slow", "o": "other"}}}}}}"#,
            started.display()
        ),
    );
    started
}

#[test]
fn progress_is_shown_and_erased_at_the_end() {
    for columns in SIZES {
        let workspace = Workspace::new();
        slow(&workspace, 2);
        let shown = Recording::new(columns).run(&workspace, &["build", "all"]);
        assert_eq!(shown.code, Some(0), "{}", shown.raw);
        let frame = shown.tallest_frame();
        let longest = frame.lines().map(|line| line.chars().count()).max().unwrap_or_default();
        assert!(longest < columns.into(), "{frame}");
        let end = shown.screen().text();
        check(&format!("progress-{columns}"), &format!("{frame}--- at the end\n{end}"), &workspace);
        let written = shown.until_tallest_frame();
        check_pictures("progress", columns, &[("taut build all", written)], &workspace);
    }
}

#[test]
fn an_interrupted_build_leaves_one_line() {
    for columns in SIZES {
        let workspace = Workspace::new();
        let started = slow(&workspace, 60);
        let recording =
            Recording { interrupted_at: Some(("[2/4] 2 running", started)), ..Recording::new(columns) };
        let shown = recording.run(&workspace, &["build", "all"]);
        assert_eq!(shown.code, Some(130), "{}", shown.raw);
        check(&format!("interrupted-{columns}"), &shown.screen().text(), &workspace);
        check_pictures("interrupted", columns, &[("taut build all", &shown.raw)], &workspace);
    }
}

/// A server that takes connections and never answers: the display says what is waited for, and nothing of that is left.
#[test]
fn a_server_that_is_silent_is_named_while_it_is_waited_for() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let workspace = Workspace::new();
    let started = slow(&workspace, 60);
    std::fs::write(&started, "").unwrap();
    for option in ["-r", "--remote-cache"] {
        let waiting = "to answer GetCapabilities (";
        let recording = Recording { interrupted_at: Some((waiting, started.clone())), ..Recording::new(100) };
        let shown = recording.run(&workspace, &["build", option, &address, "--max-attempts", "9", "all"]);
        assert_eq!(shown.code, Some(130), "{}", shown.raw);
        let line = shown.raw.lines().find(|line| line.contains(waiting)).unwrap_or_default();
        let line = &line[line.find("waiting for").unwrap_or_default()..];
        // How long it was when the display came to it depends on how busy the machine is.
        let line = line.split_once(waiting).map(|(before, _)| format!("{before}{waiting}3 s)\n"));
        check("waiting", &line.unwrap_or_default().replace(&address, "HOST:PORT"), &workspace);
        let end = shown.screen().text();
        assert!(!end.contains("waiting for"), "{end}");
    }
}

#[test]
fn a_build_that_is_interrupted_twice_leaves_no_display() {
    let workspace = Workspace::new();
    let started = workspace.beside("started");
    let targets = format!(
        r#"{{"t": {{"type": "generic", "outs": ["o"], "cmds": ["trap '' TERM; touch {}; sleep 60; sleep 60"]}}}}"#,
        started.display()
    );
    workspace.file("TARGETS", targets);
    let recording = Recording {
        interrupted_at: Some(("[0/1] 1 running", started)),
        interrupted_again_at: Some("interrupt again to kill them"),
        ..Recording::new(80)
    };
    let shown = recording.run(&workspace, &["build", "t", "--termination-grace", "60"]);
    assert_eq!(shown.code, Some(130), "{}", shown.raw);
    assert!(shown.tallest_frame().contains("1 running"), "{}", shown.raw);
    check("interrupted-twice", &shown.screen().text(), &workspace);
}

#[test]
fn progress_fits_a_small_terminal_and_one_that_becomes_narrower() {
    let workspace = Workspace::new();
    slow(&workspace, 3);
    let tiny = Recording { rows: 3, ..Recording::new(20) };
    let shown = tiny.run(&workspace, &["build", "all"]);
    assert!(shown.tallest_frame().lines().count() <= 2, "{}", shown.tallest_frame());
    assert_eq!(shown.screen().text().lines().count(), 2, "{}", shown.screen().text());

    let workspace = Workspace::new();
    slow(&workspace, 3);
    let narrowed = Recording { narrowed_at: Some((" 2 running", 30)), ..Recording::new(80) };
    let shown = narrowed.run(&workspace, &["build", "all"]);
    let end = shown.screen().text();
    assert!(end.starts_with("Built :all in ") && !end.contains("running"), "{end}");
}

#[test]
fn the_rest_of_a_build_is_estimated_from_earlier_calls() {
    let workspace = Workspace::new();
    slow(&workspace, 2);
    let recording = Recording::new(80);
    let first = recording.run(&workspace, &["build", "all"]);
    assert!(!first.raw.contains(" left"), "{}", first.raw);
    let text = fs::read_to_string(workspace.root().join("TARGETS")).unwrap();
    workspace.file(
        "TARGETS",
        text.replace("; touch other", "; touch  other").replace("; touch a/f", "; touch  a/f"),
    );
    let again = recording.run(&workspace, &["build", "all"]);
    // Not in the last frame: it may be overdue, and has no estimate then.
    assert!(again.raw.contains(" left"), "{}", again.raw);
    assert!(again.tallest_frame().starts_with("[0/2] 2 running, "), "{}", again.tallest_frame());
}
