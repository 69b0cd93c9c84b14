//! The commands in the README and in the pages of `docs/` have the output that the pages show, so that the pages stay
//! true.
//!
//! In a page that is listed here, a fenced block with `file=PATH` in its info string is a file of the section's
//! project, and a block `console` is a dialogue: lines that begin with `$ ` are commands for a shell. What follows a
//! command is all of its standard output, and `! exit N` if it fails. In a block `console excerpt` it is lines that its
//! output, standard error included, has, in this order (white space at both ends apart; `…` matches any text). A
//! heading, of whatever level the page chooses, begins a new, empty workspace. `https://example.org` is a server with
//! the files in the directory `www` beside the workspace. Blocks in comments are run like others. A command that begins
//! with `CONTENT=` or `COMMIT=` is for readers only: it needs programs that a test does not depend on.
//!
//! `TAUT_CASES_TOOL=/path/to/just` runs the reference instead; it agrees on all pages except where taut's own messages
//! are shown, or something that only taut has.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use taut_testkit::Workspace;

/// A page, what begins its sections, and how many commands it has at least.
const PAGES: [(&str, &str, usize); 8] = [
    ("../README.md", "\n## ", 10),
    ("again.md", "\n# ", 14),
    ("equality.md", "\n## ", 10),
    ("init.md", "\n# ", 5),
    ("language.md", "\n#", 26),
    ("repositories.md", "\n# ", 30),
    ("rules.md", "\n## ", 30),
    ("testing.md", "\n# ", 5),
];

/// Whether the machine has what a section needs.
fn can_run(page: &str, title: &str) -> bool {
    match (page, title) {
        ("repositories.md", _) => Command::new("git").arg("version").output().is_ok(),
        ("../README.md", _) => are_installed(&["cc"]),
        ("rules.md", "Python") => are_installed(&["python3"]),
        ("rules.md", "Protocol buffers") => {
            let has = |program: &str, arguments: &[&str]| {
                Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
            };
            are_installed(&["python3", "protoc", "pkg-config"])
                && has("/usr/bin/pkg-config", &["--exists", "protobuf"])
                && has("python3", &["-c", "import google.protobuf"])
        }
        _ => true,
    }
}

/// Whether programs are in the directories in which the rules in the box look for them.
fn are_installed(programs: &[&str]) -> bool {
    let is_there = |program: &&str| {
        ["/usr/local/bin", "/usr/bin", "/bin"].iter().any(|path| Path::new(path).join(program).exists())
    };
    programs.iter().all(is_there)
}

/// The compiler that compiled this test, by a path that needs no environment; none if it is not found.
fn rustc() -> Option<PathBuf> {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().ok()?;
    Some(Path::new(std::str::from_utf8(&output.stdout).ok()?.trim_end()).join("bin/rustc"))
}

/// The server that pages speak of; a test has one of its own in its place.
const SERVER: &str = "https://example.org";

/// Serves the files below a directory by HTTP, as long as the process lives; returns the beginning of their URLs.
fn serve(directory: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines();
            let request = lines.next().and_then(Result::ok).unwrap_or_default();
            // The head ends with an empty line; there is no body.
            while lines.next().and_then(Result::ok).is_some_and(|line| !line.is_empty()) {}
            let path = request.split([' ', '?']).nth(1).unwrap_or_default();
            let (status, body) = match fs::read(directory.join(path.trim_start_matches('/'))) {
                Ok(content) => ("200 OK", content),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            let mut stream = &stream;
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    format!("http://{address}")
}

/// Exit code and output of a command.
struct Answer {
    exit: i32,
    stdout: String,
    stderr: String,
}

/// Runs a command for a shell in which the tool is called `taut`.
fn run(workspace: &Workspace, command: &str) -> Answer {
    let bin = workspace.beside("bin");
    if !bin.exists() {
        let tool = std::env::var_os("TAUT_CASES_TOOL").unwrap_or_else(|| env!("CARGO_BIN_EXE_taut").into());
        fs::create_dir(&bin).unwrap();
        symlink(tool, bin.join("taut")).unwrap();
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).current_dir(workspace.root());
    shell.env("PATH", path).env("HOME", workspace.build_root()).env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        shell.env(format!("GIT_{role}_NAME"), "a").env(format!("GIT_{role}_EMAIL"), "a@example.org");
    }
    shell.env("RUSTC", rustc().unwrap_or_default());
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        shell.env_remove(name);
    }
    let output = shell.output().unwrap();
    Answer {
        exit: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Whether a line is as expected; `…` matches any text.
fn matches(line: &str, expected: &str) -> bool {
    let mut parts = expected.trim().split('…');
    let Some(mut rest) = line.trim().strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    rest.is_empty() || last == Some("")
}

/// The output that a command should have printed and did not, if any.
fn missing(command: &str, expected: &[&str], answer: &Answer, excerpt: bool) -> Option<String> {
    let Answer { exit, stdout, stderr } = answer;
    let answer = || format!("exit {exit}\n{stdout}{stderr}");
    if !excerpt {
        let code = expected.iter().find_map(|line| line.strip_prefix("! exit ")).unwrap_or("0");
        let lines: Vec<&str> = expected.iter().copied().filter(|line| !line.starts_with("! exit ")).collect();
        // A file need not end with a newline; a console shows it on lines.
        let is_expected = stdout.trim_end() == lines.join("\n").trim_end() && exit.to_string() == code;
        return (!is_expected).then(|| format!("$ {command}\nsays instead\n{}", answer()));
    }
    let mut lines = stdout.lines();
    let absent = expected
        .iter()
        .filter(|line| !line.trim().is_empty())
        .find(|expected| !lines.any(|line| matches(line, expected)))?;
    Some(format!("$ {command}\nhas no line (or not there)\n{absent}\nbut says\n{}", answer()))
}

/// What is wrong in a dialogue, and how many commands it has.
fn dialogue(workspace: &Workspace, block: &str, excerpt: bool) -> (Vec<String>, usize) {
    let mut commands: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in block.lines() {
        // Shown to readers, and done by a block in a comment.
        if ["$ CONTENT=$(curl", "$ COMMIT=$(git ls-remote"].iter().any(|shown| line.starts_with(shown)) {
            continue;
        }
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command, Vec::new())),
            (None, Some((_, expected))) => expected.push(line),
            (None, None) => panic!("a dialogue begins with a command, not with {line}"),
        }
    }
    let wrong = commands.iter().filter_map(|(command, expected)| {
        let both = format!("({command}) 2>&1");
        missing(command, expected, &run(workspace, if excerpt { &both } else { command }), excerpt)
    });
    (wrong.collect(), commands.len())
}

#[test]
fn every_command_in_a_page_prints_what_the_page_shows() {
    for (page, heading, least) in PAGES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
        let text = fs::read_to_string(&path).unwrap();
        let (mut all, mut wrong) = (0, String::new());
        let mut is_whole = true;
        for section in text.split(heading) {
            let title = section.lines().next().unwrap_or_default().trim_start_matches(['#', ' ']);
            if !can_run(page, title) {
                is_whole = false;
                continue;
            }
            let workspace = Workspace::new();
            let server = serve(workspace.beside("www"));
            for block in section.split("```").skip(1).step_by(2) {
                let (info, content) = block.split_once('\n').unwrap_or((block, ""));
                let content = &content.replace(SERVER, &server);
                if let Some((_, file)) = info.split_once(" file=") {
                    workspace.file(file, content);
                }
                let mut words = info.split(' ');
                if words.next() != Some("console") {
                    continue;
                }
                let (found, commands) = dialogue(&workspace, content, words.next() == Some("excerpt"));
                all += commands;
                found.iter().for_each(|found| wrong += &format!("{page}, {title}:\n{found}\n"));
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
        assert!(all >= least || !is_whole, "{page} has only {all} commands");
    }
}

#[test]
fn an_ellipsis_matches_any_text() {
    for (line, expected, does) in [
        ("  a b", "a b", true),
        ("a b c", "a b", false),
        ("a b c", "a…", true),
        ("a b c", "…c", true),
        ("a b c d", "a…c", false),
        ("a b c", "a…b…c", true),
        ("x b c", "a…", false),
    ] {
        assert_eq!(matches(line, expected), does, "{line:?} and {expected:?}");
    }
}
