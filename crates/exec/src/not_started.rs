//! Why the system did not start a command: its error number alone is rarely enough to find the mistake.

use std::{
    ffi::{OsStr, OsString},
    io::{Error, ErrorKind},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use taut_sys::{Dir, Named, in_words, process::Command};

/// The longest word and the longest environment variable that Linux accepts, with its terminating byte
/// (`MAX_ARG_STRLEN`, 32 pages of 4 KiB; execve(2)).
const MAX_WORD_BYTES: usize = 128 << 10;

/// The reason for `errno`, the system's answer to the start of `command`.
pub(crate) fn reason(command: &Command, cwd: &Dir, errno: i32) -> String {
    let system = Error::from_raw_os_error(errno);
    let program = command.program.display();
    let detail = match system.kind() {
        ErrorKind::ArgumentListTooLong => too_long(command),
        ErrorKind::InvalidInput => has_nul(command),
        // ENOENT is also the answer where the script is there and its interpreter is not (execve(2)).
        ErrorKind::NotFound => match interpreter(cwd, &command.program) {
            None => format!("there is no program {program}"),
            Some(name) if !is_there(cwd, Path::new(OsStr::from_bytes(&name))) => {
                format!("{program} asks for the interpreter {}", String::from_utf8_lossy(&name))
            }
            Some(_) => format!("program {program}"),
        },
        _ => format!("program {program}"),
    };
    format!("{}\n{detail}", in_words(&system))
}

fn too_long(command: &Command) -> String {
    // `=` and the terminating byte count, too.
    let variable = |(name, value): &(OsString, OsString)| name.len() + value.len() + 2;
    let words = command.args.iter().map(|word| word.len() + 1);
    let longest = words.clone().max().unwrap_or_default();
    if longest > MAX_WORD_BYTES {
        return format!(
            "a word of the command has {} bytes; {} are possible",
            longest - 1,
            MAX_WORD_BYTES - 1
        );
    }
    // The system only reports `E2BIG`; which of its three limits was exceeded is found out here.
    let widest = command.env.iter().max_by_key(|entry| variable(entry));
    if let Some(entry) = widest.filter(|entry| variable(entry) > MAX_WORD_BYTES) {
        let (name, bytes) = (entry.0.display(), variable(entry) - 1);
        return format!(
            "variable {name} of the environment has {bytes} bytes; {} are possible",
            MAX_WORD_BYTES - 1
        );
    }
    let (count, variables) = (command.args.len(), command.env.len());
    let bytes: usize = words.sum::<usize>() + command.env.iter().map(variable).sum::<usize>();
    format!(
        "{count} words and {variables} variables have {bytes} bytes; ulimit -s bounds what is possible (a quarter of it)"
    )
}

fn has_nul(command: &Command) -> String {
    let all = command.args.iter().chain(command.env.iter().flat_map(|(name, value)| [name, value]));
    match all.filter(|text| text.as_bytes().contains(&0)).count() {
        0 => format!("program {}", command.program.display()),
        _ => "a word of the command or its environment has a NUL character".to_owned(),
    }
}

/// Whether a program exists, as seen from a directory.
fn is_there(cwd: &Dir, program: &Path) -> bool {
    match program.is_absolute() {
        true => Named::stat(program).is_ok(),
        false => cwd.at(program).stat().is_ok(),
    }
}

/// The interpreter in the first line of a script; empty for other programs, `None` if there is no file.
fn interpreter(cwd: &Dir, program: &Path) -> Option<Vec<u8>> {
    // A program that cannot be read counts as one without a first line.
    const MAX_LINE_BYTES: u64 = 256;
    let named = if program.is_absolute() { Some(Named::of_user(program).ok()?) } else { None };
    let at = named.as_ref().map_or_else(|| cwd.at(program), Named::at);
    // Linux reads 256 bytes of the first line (`BINPRM_BUF_SIZE`).
    let start = at.open_followed().ok()?.read_up_to(MAX_LINE_BYTES).unwrap_or_default();
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let words = line.strip_prefix(b"#!").unwrap_or_default().trim_ascii();
    Some(words.split(u8::is_ascii_whitespace).next().unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const E2BIG: i32 = 7;
    const ENOENT: i32 = 2;

    fn explained(command: &Command, errno: i32) -> String {
        reason(command, &Dir::of_user(Path::new("/")).unwrap(), errno)
    }

    #[test]
    fn arguments_that_are_too_long_are_reported_with_their_length() {
        let long = |length| "x".repeat(length);
        let word = Command::new("/bin/sh").args([long(140_000)]);
        assert!(
            explained(&word, E2BIG).ends_with("a word of the command has 140000 bytes; 131071 are possible")
        );
        let mut variable = Command::new("/bin/sh");
        variable.env.push(("V".into(), long(140_000).into()));
        let text = explained(&variable, E2BIG);
        assert!(
            text.ends_with("variable V of the environment has 140002 bytes; 131071 are possible"),
            "{text}"
        );
        let many = Command::new("/bin/sh").args(vec![long(1000); 3000]);
        let text = explained(&many, E2BIG);
        assert!(text.contains("3001 words and 0 variables have 3003008 bytes"), "{text}");
    }

    #[test]
    fn a_missing_program_and_a_missing_interpreter_are_distinguished() {
        let missing = Command::new("/nosuch/program");
        assert!(explained(&missing, ENOENT).ends_with("there is no program /nosuch/program"));
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("s");
        let script_file = Named::of_user(&script).unwrap();
        script_file.at().create_new(0o755).unwrap().write_all(b"#! /nosuch/python -u\nprint()\n").unwrap();
        let text = explained(&Command::new(&script), ENOENT);
        assert!(text.ends_with("s asks for the interpreter /nosuch/python"), "{text}");
    }
}
