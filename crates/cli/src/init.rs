//! `init`: writes a small project from a template, or targets for sources that are there.

mod from_sources;
mod packages;
mod sources;
mod templates;

use std::path::{Component, Path, PathBuf};

use taut_sys::{Dir, if_exists};

use crate::{
    exit::Exit,
    options::Init,
    standard_streams::{eprint_error, print},
};
pub(crate) use templates::NAMES;

/// Runs `init`.
pub(crate) fn run(o: &Init) -> Exit {
    let directory = o.directory.clone().unwrap_or_else(|| ".".into());
    if o.from_sources {
        return from_sources::run(&directory);
    }
    // The parser takes no other name.
    let files = templates::files(&o.template);
    match write(&directory, files) {
        Ok(()) => print(report(o, &directory, files).as_bytes()),
        Err(text) => {
            eprint_error(&text);
            Exit::Environment
        }
    }
}

/// Writes all files, or none if one of them is there already.
fn write(directory: &Path, files: &[(&str, &str)]) -> Result<(), String> {
    let of_directory = |error: taut_sys::Error| error.to_string();
    // Looked at before the directory is made, so that a refusal leaves nothing.
    if let Some(open) = if_exists(Dir::of_user(directory)).map_err(of_directory)? {
        let mut present = Vec::new();
        for (path, _) in files {
            if open.at(*path).exists().map_err(of_directory)? {
                present.push(shown(directory, path));
            }
            // What is in the place of a directory.
            for above in Path::new(path).ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
                let found = if_exists(open.at(above).lstat()).map_err(of_directory)?;
                if found.is_some_and(|stat| !stat.is_dir()) {
                    present.push(shown(directory, &above.to_string_lossy()));
                }
            }
        }
        if !present.is_empty() {
            return Err(format!(
                "nothing is written, since these files exist: {}\nhelp: give another directory: taut init DIR",
                present.join(", ")
            ));
        }
    }
    let open = Dir::made_of_user(directory).map_err(of_directory)?;
    let mut written = Vec::new();
    for (path, content) in files {
        let made = || {
            if let Some((above, _)) = path.rsplit_once('/') {
                open.make_all(above)?;
            }
            // Fails if the file came into being since it was looked for.
            open.at(*path).create_new(0o644)?.write_all(content.as_bytes())
        };
        if let Err(error) = made() {
            let before = match written.is_empty() {
                true => String::new(),
                false => format!("\nWritten before that: {}", written.join(", ")),
            };
            return Err(format!("cannot write {}: {error}{before}", shown(directory, path)));
        }
        written.push(shown(directory, path));
    }
    Ok(())
}

/// The path of a file as the user would type it.
fn shown(directory: &Path, path: &str) -> String {
    let all: PathBuf = if directory == Path::new(".") { path.into() } else { directory.join(path) };
    all.display().to_string()
}

/// What was written, and the commands to go on with.
fn report(o: &Init, directory: &Path, files: &[(&str, &str)]) -> String {
    let mut text = String::from("Written:\n");
    for (path, _) in files {
        text += &format!("  {}\n", shown(directory, path));
    }
    text += "Next:\n";
    text += &change_directory(directory);
    let (run, more) = match o.template.as_str() {
        "python" => ("python3 out/bin/hello", ""),
        "rust" => ("out/bin/hello", RUSTC),
        _ => ("out/bin/hello", ""),
    };
    text += &format!("  taut test{more}\n  taut install -o out{more}\n  {run}\n");
    text
}

/// The compiler itself: the `rustc` of rustup needs an environment that actions do not have.
const RUSTC: &str = r#" -D RUSTC="$(rustup which rustc)""#;

/// The line that goes to the directory, if it is another one.
fn change_directory(directory: &Path) -> String {
    if directory == Path::new(".") {
        return String::new();
    }
    let path = if_leads_elsewhere(directory).unwrap_or_else(|| directory.to_owned());
    format!("  cd {}\n", quoted(&path.display().to_string()))
}

/// For shells, `link/..` is the directory of the link; for the system, it is the parent of the link's target. Where
/// that makes a difference, the path without `..`.
fn if_leads_elsewhere(directory: &Path) -> Option<PathBuf> {
    let is_upwards = |path: &Path| path.components().any(|part| part == Component::ParentDir);
    if !is_upwards(directory) {
        return None;
    }
    let real_path = |path: &Path| Dir::of_user(path).and_then(|dir| dir.real_path()).ok();
    let here = std::env::current_dir().ok()?;
    // The shell's own idea of where it is, with links; as it does, only if that is true.
    let of_shell = std::env::var_os("PWD").map(PathBuf::from).filter(|path| {
        path.is_absolute() && !is_upwards(path) && real_path(path).is_some_and(|path| path == here)
    });
    let mut path = PathBuf::new();
    for part in of_shell.unwrap_or(here).join(directory).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            part => path.push(part),
        }
    }
    let meant = real_path(directory)?;
    (real_path(&path).as_ref() != Some(&meant)).then_some(meant)
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    if word.starts_with('-') {
        return quoted(&format!("./{word}"));
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._+-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_a_shell_are_quoted_if_they_must_be() {
        for (word, expected) in
            [("a/b-1.c", "a/b-1.c"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("", "''"), ("-a", "./-a")]
        {
            assert_eq!(quoted(word), expected);
        }
    }
}
