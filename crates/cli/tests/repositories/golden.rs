//! Under the name `just-mr`, messages, exit codes, configurations and calls of the build tool are those of just-mr
//! 1.6.5.
//!
//! `just_mr/NAME.sh` is a script, and `NAME.out` what it prints with that tool; `prelude.sh` has the functions of all
//! scripts. A new case needs no Rust. `TAUT_RECORD_JUST_MR=/path/to/just-mr` records all answers anew with that binary.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/repositories/just_mr")
}

/// What a script prints with a tool, without what differs from call to call.
fn answer(script: &Path, tool: &Path) -> String {
    let scratch = tempfile::Builder::new().prefix("taut-test-").tempdir().unwrap();
    let dir = scratch.path().canonicalize().unwrap();
    for name in ["bin", "home", "w"] {
        fs::create_dir(dir.join(name)).unwrap();
    }
    symlink(tool, dir.join("bin/just-mr")).unwrap();
    fs::write(
        dir.join("bin/just"),
        "#!/bin/sh\nfor word in \"$@\"; do printf '[%s]\\n' \"$word\"; done\nexit 3\n",
    )
    .unwrap();
    fs::set_permissions(dir.join("bin/just"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(". \"$PRELUDE\"; . \"$SCRIPT\"").current_dir(dir.join("w"));
    let path = format!("{}:{}", dir.join("bin").display(), std::env::var("PATH").unwrap_or_default());
    shell.env("PATH", path).env("HOME", dir.join("home")).env("D", &dir).env("SCRIPT", script);
    shell.env("PRELUDE", directory().join("prelude.sh")).env("GIT_CONFIG_NOSYSTEM", "1").env("TZ", "UTC");
    for role in ["AUTHOR", "COMMITTER"] {
        shell.env(format!("GIT_{role}_NAME"), "a").env(format!("GIT_{role}_EMAIL"), "a@example.org");
        shell.env(format!("GIT_{role}_DATE"), "2020-01-01T00:00:00Z");
    }
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        shell.env_remove(name);
    }
    let output = shell.output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    normal(&text.replace(&*dir.to_string_lossy(), "$D"))
}

/// A text with placeholders for what depends on the directory of the test: ids of configurations.
fn normal(text: &str) -> String {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    // Under this name taut colours messages only on terminals; the reference does so everywhere.
    let mut text = text.to_owned();
    while let Some(begin) = text.find("\u{1b}[") {
        let end = text[begin..].find('m').map_or(text.len(), |end| begin + end + 1);
        text.replace_range(begin..end, "");
    }
    let mut out = String::new();
    let mut rest = &*text;
    while let Some((before, after)) = rest.split_once("/casf/") {
        out.push_str(before);
        out.push_str("/casf/");
        rest = after;
        let shard = after.get(..2).filter(|shard| is_hex(shard));
        let name = after.get(3..41).filter(|name| is_hex(name));
        if let (Some(_), Some(_), Some("/")) = (shard, name, after.get(2..3)) {
            out.push_str("ID");
            rest = &after[41..];
        }
    }
    out + rest
}

fn scripts() -> Vec<PathBuf> {
    let entries = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let is_script = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "sh") && !path.ends_with("prelude.sh")
    };
    let mut scripts: Vec<PathBuf> = entries.filter(is_script).collect();
    scripts.sort();
    assert!(scripts.len() >= 8, "the cases are in {}", directory().display());
    scripts
}

#[test]
fn answers_are_those_of_the_reference() {
    if Command::new("git").arg("--version").output().is_err() {
        return;
    }
    let record = std::env::var_os("TAUT_RECORD_JUST_MR").map(PathBuf::from);
    let mut wrong = String::new();
    for script in scripts() {
        let expected_file = script.with_extension("out");
        if let Some(tool) = &record {
            fs::write(&expected_file, answer(&script, tool)).unwrap();
        }
        let expected = fs::read_to_string(&expected_file).unwrap_or_default();
        let actual = answer(&script, Path::new(env!("CARGO_BIN_EXE_taut")));
        if expected != actual {
            let name = script.file_name().unwrap().to_string_lossy().into_owned();
            wrong.push_str(&format!("== {name}\n{}", difference(&expected, &actual)));
        }
    }
    assert!(wrong.is_empty(), "- just-mr 1.6.5, + taut\n{wrong}");
}

/// The lines that differ, with the call that they belong to.
fn difference(expected: &str, actual: &str) -> String {
    let (expected, actual): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    let mut text = String::new();
    let (mut i, mut j) = (0, 0);
    let mut call = "";
    while i < expected.len() || j < actual.len() {
        match (expected.get(i), actual.get(j)) {
            (Some(one), Some(other)) if one == other => {
                if one.starts_with("$ ") {
                    call = one;
                }
                (i, j) = (i + 1, j + 1);
                continue;
            }
            _ => {}
        }
        if !call.is_empty() {
            text.push_str(&format!("  {call}\n"));
            call = "";
        }
        // The next line that both have.
        let next = expected[i..].iter().enumerate().find_map(|(skipped, line)| {
            let found = actual[j..].iter().position(|other| other == line)?;
            Some((skipped, found))
        });
        let (gone, new) = next.unwrap_or((expected.len() - i, actual.len() - j));
        expected[i..i + gone].iter().for_each(|line| text.push_str(&format!("- {line}\n")));
        actual[j..j + new].iter().for_each(|line| text.push_str(&format!("+ {line}\n")));
        (i, j) = (i + gone, j + new);
    }
    text
}
