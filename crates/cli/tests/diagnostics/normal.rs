//! Output without what differs from run to run, and from machine to machine.

use std::{fs, path::Path};

use taut_testkit::without_ages;

use crate::{Case, machine::without_machine};

impl Case<'_> {
    /// Output without what differs from run to run.
    pub(crate) fn normal(&self, output: &str) -> String {
        let workspace = &self.workspace;
        let output = self.servers.borrow().without_addresses(output);
        let output = output.replace(&*workspace.root().to_string_lossy(), "$ROOT");
        let output = output.replace(&*workspace.build_root().to_string_lossy(), "$BUILD");
        let output = output.replace(&*workspace.beside("out").to_string_lossy(), "$OUT");
        let output = output.replace(&*workspace.beside("made").to_string_lossy(), "$OUT");
        // The directory that all of these are in.
        let output = output.replace(&*workspace.root().with_file_name("").to_string_lossy(), "$BESIDE/");
        let made = workspace.beside("made");
        let targets = fs::read_to_string(workspace.root().join("TARGETS")).unwrap_or_default();
        let has_path = |path: &Path| targets.contains(&*path.to_string_lossy());
        let output = match has_path(&made) || has_path(&workspace.build_root()) {
            true => without_ids(&output),
            false => output,
        };
        let output = without_names_of_build_root(&without_widths(&without_states(&output)));
        let output = without_ids_of_configurations(&without_ids_of_logs(&output));
        let output = without_machine(&output);
        without_sizes(&without_ages(&without_random_names(&without_times(&output))))
    }
}

/// A text without the lines about the progress of a set-up: their number depends on its duration.
fn without_states(text: &str) -> String {
    let states = ["repository set up", "repositories set up", "repository fetched", "repositories fetched"];
    let is_state = |line: &&str| states.iter().any(|state| line.contains(state));
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

/// A text with `N` in the names of temporary files, epochs and logs: hexadecimal numbers, joined by hyphens, of
/// processes, times and paths.
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

/// A text with `N` for the ids of logs that are kept as objects: they have times in them.
fn without_ids_of_logs(text: &str) -> String {
    let mut out = text.to_owned();
    for (before, after) in [(", log ", "\n"), ("Build failed, see ", " for details")] {
        let mut parts = out.split(before);
        let mut without = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let rest = part.trim_start_matches(|c: char| c.is_ascii_hexdigit());
            let is_id = part.len() > rest.len() && rest.starts_with(after);
            without += before;
            without += if is_id { "N" } else { "" };
            without += if is_id { rest } else { part };
        }
        out = without;
    }
    out
}

/// A text with `ID` for the configurations that set-ups print the paths of: they have paths in them.
fn without_ids_of_configurations(text: &str) -> String {
    let is_id = |c: char| c.is_ascii_hexdigit() || c == '/';
    let line = |line: &str| match line.split_once("/casf/") {
        Some((store, id)) if store.starts_with("$BUILD/") && id.trim_end().chars().all(is_id) => {
            format!("{store}/casf/ID\n")
        }
        _ => line.to_owned(),
    };
    text.split_inclusive('\n').map(line).collect()
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
