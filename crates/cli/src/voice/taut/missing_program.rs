//! Advice for an action whose program was not found: the program, the directories that were searched, and the field to
//! set.
//!
//! Actions have the environment that their target gives, and nothing else: a compiler that every shell of the user
//! finds may be missing in all of them. What compilers print then (`cannot execute 'cc1'`) does not mention that.

use taut_driver::RunResult;
use taut_value::{ActionDescription, Str};

/// What helps if an action has no `PATH`, and it is not known which program it misses.
const WITHOUT_PATH: &str =
    "help: actions see only the environment that their target gives; set PATH in the field \"env\"";

/// What helps if an action did not find a program that is looked up in `PATH`.
pub(super) fn hint(action: &ActionDescription, ran: &RunResult, printed: &[String]) -> Option<String> {
    let path =
        action.env.iter().find(|(name, _)| name.as_str() == "PATH").and_then(|(_, path)| path.as_str());
    let lines = || printed.iter().flat_map(|text| text.lines());
    // Any of the lines counts: a script goes on after one program that was not found, and may miss another one.
    let named = lines().filter_map(named_in).collect::<Vec<_>>();
    let first = action.command.first().map_or("", Str::as_str);
    let missing = match &ran.not_started {
        // The missing program may be a launcher, which is not looked up with the PATH of the action.
        Some(why) => why.contains(&format!("there is no program {first}")).then_some(first),
        None => named.iter().copied().find(|program| !program.contains('/')),
    };
    let missing = missing.filter(|program| !program.contains('/'));
    match (missing, path) {
        (Some(program), None) => {
            let why = format!("{program} was not found, since the action has no PATH");
            Some(format!("help: {why}: set it in the field \"env\""))
        }
        (Some(program), Some(path)) => {
            let why = format!("{program} was not found; the action has PATH={path}");
            let where_to = "the field \"env\" (for the rules in the box: -D PATH=DIRECTORIES)";
            Some(format!("help: {why}: install it, or change PATH in {where_to}"))
        }
        // Its outputs may be in a file. Where there is a PATH, more is known of the program that is missing.
        // The exit code of a shell that finds no program (POSIX, 2.8.2).
        (None, None) if named.is_empty() && ran.exit_code == 127 && !first.contains('/') => {
            Some(WITHOUT_PATH.to_owned())
        }
        (None, _) => None,
    }
}

/// The program that a line says was not found, as shells, `env` and compilers say it.
fn named_in(line: &str) -> Option<&str> {
    // `cannot execute 'cc1'`, `env: ‘sh’: No such file or directory`: the name is in quotation marks.
    let quoted = |rest: &'_ str| -> Option<usize> {
        let begin = rest.chars().next().filter(|c| "'‘`\"".contains(*c))?.len_utf8();
        rest[begin..].find(['\'', '’', '`', '"']).map(|end| begin + end)
    };
    for (before, behind) in [
        ("cannot execute ", ""),
        ("collect2: fatal error: cannot find ", ""),
        ("env: ", ": No such file or directory"),
        ("linker ", " not found"),
        ("unable to execute command: Executable ", " doesn't exist"),
    ] {
        let Some(rest) = line.find(before).map(|at| &line[at + before.len()..]) else { continue };
        if let Some(end) = quoted(rest) {
            let begin = rest.chars().next().map_or(0, char::len_utf8);
            let mut after = rest[end..].chars();
            after.next();
            if after.as_str().starts_with(behind) {
                return Some(&rest[begin..end]).filter(|program| is_name(program));
            }
        }
    }
    // `sh: 1: frob: not found`, `bash: line 1: frob: command not found`, `bash: frob: command not found`.
    let (front, is_of_bash) =
        match (line.strip_suffix(": command not found"), line.strip_suffix(": not found")) {
            (Some(front), _) => (front, true),
            (None, Some(front)) => (front, false),
            // `/bin/frob: cannot execute: required file not found`
            (None, None) => (line.split_once(": cannot execute: ")?.0, true),
        };
    let (before, program) = front.rsplit_once(": ").unwrap_or(("", front));
    // Other programs say of other things that they were not found.
    let counts = before.rsplit(' ').next().is_some_and(|number| number.parse::<u32>().is_ok());
    Some(program).filter(|program| is_name(program) && (is_of_bash || counts || before.ends_with("sh")))
}

fn is_name(program: &str) -> bool {
    !program.is_empty() && !program.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::named_in;

    #[test]
    fn what_shells_and_compilers_say_names_the_program() {
        for (line, program) in [
            ("sh: 1: frob: not found", Some("frob")),
            ("sh: frob: not found", Some("frob")),
            ("bash: line 1: /bin/frob: cannot execute: required file not found", Some("/bin/frob")),
            ("bash: frob: command not found", Some("frob")),
            ("env: 'sh': No such file or directory", Some("sh")),
            ("env: ‘sh’: No such file or directory", Some("sh")),
            ("/usr/bin/env: ‘python3’: No such file or directory", Some("python3")),
            ("gcc: fatal error: cannot execute 'cc1': execvp: No such file or directory", Some("cc1")),
            ("gcc: fatal error: cannot execute ‘as’: execvp: No such file or directory", Some("as")),
            ("collect2: fatal error: cannot find 'ld'", Some("ld")),
            ("error: linker `cc` not found", Some("cc")),
            ("clang: error: unable to execute command: Executable \"ld\" doesn't exist!", Some("ld")),
            ("all is well", None),
            ("the key of the table: not found", None),
            ("error 404: not found", None),
            ("cannot execute '", None),
            ("env: 'a file': No such file or directory", None),
            ("", None),
        ] {
            assert_eq!(named_in(line), program, "{line}");
        }
    }
}
