//! The first calls of a new user, on a terminal: what the picture in the README shows.

use std::{
    fs,
    io::{self, Read as _},
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use super::{Screen, open, picture};

/// Where each call is made, below an empty directory, its words as they are typed, and the exit code.
const CALLS: [(&str, &str, i32); 6] = [
    ("", "taut init hello && cd hello", 0),
    ("hello", "taut test", 0),
    ("hello", "taut install -o out && out/bin/hello", 0),
    ("hello", "echo '/* A remark. */' >> greet.c && taut install -o out", 0),
    ("hello", "taut explain greet.c", 0),
    ("hello", "sed -i s/greet.c/gret.c/ TARGETS && taut build", 8),
];

const COLUMNS: u16 = 96;
// More rows than any call shows, so that no line leaves the screen while it may be drawn over.
const ROWS: u16 = 60;

/// What a terminal showed of the first calls of a new user.
pub struct FirstSteps {
    screen: Screen,
    /// The row at which each call begins.
    begins: Vec<usize>,
}

/// Makes the calls with a binary of taut, in a project that is removed again.
///
/// # Errors
///
/// The system refuses a directory, a process or a terminal, or a call ends in another way; the error has what was shown
/// then.
pub fn first_steps(taut: &Path) -> io::Result<FirstSteps> {
    let place = tempfile::tempdir()?;
    let (bin, home, work) = (place.path().join("bin"), place.path().join("home"), place.path().join("work"));
    [&bin, &home, &work].into_iter().try_for_each(fs::create_dir)?;
    symlink(std::path::absolute(taut)?, bin.join("taut"))?;
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let mut steps = FirstSteps { screen: Screen::new(COLUMNS.into(), ROWS.into()), begins: Vec::new() };
    for (directory, words, code) in CALLS {
        steps.begins.push(steps.screen.lines().len());
        steps.screen.feed(&format!("\x1b[1m$ {words}\x1b[0m\r\n"));
        // A terminal for each call: reading ends only when all copies of the other end are closed.
        let (mut terminal, end) = open(COLUMNS, ROWS)?;
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(words).current_dir(work.join(directory)).stdin(Stdio::null());
        shell.env_clear().env("PATH", &path).env("HOME", &home).env("TERM", "xterm-256color");
        shell.stdout(end.try_clone()?).stderr(end);
        let mut child = shell.spawn()?;
        // Its copies of the end are the only ones left, so that reading ends with it.
        drop(shell);
        // Read while the call runs: a terminal whose buffer is full stops what writes to it.
        let reader = thread::spawn(move || {
            let mut shown = Vec::new();
            // The system reports the end as an error.
            let _ = terminal.read_to_end(&mut shown);
            String::from_utf8_lossy(&shown).into_owned()
        });
        let status = child.wait()?;
        let shown = reader.join().unwrap_or_default();
        steps.screen.feed(&shown);
        if status.code() != Some(code) {
            return Err(io::Error::other(format!("{words}: {status}\n{shown}")));
        }
    }
    Ok(steps)
}

impl FirstSteps {
    /// What the terminal showed.
    #[must_use]
    pub fn screen(&self) -> &Screen {
        &self.screen
    }

    /// A picture of it, in which one call appears after the other.
    #[must_use]
    pub fn picture(&self) -> String {
        picture::of_calls(&self.screen, &self.begins)
    }
}
