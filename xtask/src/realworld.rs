//! `cargo xtask realworld`: builds a C library by other authors with taut.
//!
//! Oniguruma, a regular-expression library of some fifty source files that comes with test programs, is obtained as the
//! sources inside the crate `onig_sys`, through cargo's ordinary client. Nothing of it is kept in this repository,
//! which only describes how to build it. The build needs generated configuration, headers, sources that include
//! sources, an archive, several programs and tests that run.

use crate::cargo;
use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CRATE: &str = "onig_sys";
// Pinned, since the lists below name files of this version.
const VERSION: &str = "=69.9.3";

/// Sources that are not compiled by themselves: a generator, files that `unicode.c` includes, and the optional POSIX
/// interface.
const NOT_COMPILED: &[&str] = &[
    "mktable.c",
    "unicode_egcb_data.c",
    "unicode_fold_data.c",
    "unicode_property_data.c",
    "unicode_property_data_posix.c",
    "unicode_wb_data.c",
    "regposerr.c",
    "regposix.c",
];

/// The library's own tests; each prints a summary and fails if a case does.
const TESTS: &[&str] = &["test_back", "test_options", "test_regset", "test_syntax", "test_utf8"];

// Written out in place of a configure script: these hold on every system that taut supports.
const CONFIG: &str = "\
#define STDC_HEADERS 1
#define HAVE_ALLOCA_H 1
#define HAVE_INTTYPES_H 1
#define HAVE_STDINT_H 1
#define HAVE_SYS_TIME_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_UNISTD_H 1
#define SIZEOF_INT 4
#define SIZEOF_LONG __SIZEOF_LONG__
#define SIZEOF_LONG_LONG 8
#define SIZEOF_VOIDP __SIZEOF_POINTER__
";

/// Obtains the library, builds it, runs its tests, and checks that a second build runs nothing.
///
/// # Errors
///
/// If the registry is not available, a step fails, or the second build runs an action.
pub(crate) fn run() -> Result<()> {
    let taut = cargo::taut(false)?;
    let scratch = tempfile::tempdir()?;
    let sources = obtain(scratch.path())?.join("oniguruma");
    let work = scratch.path().join("work");
    let objects = describe(&sources, &work)?;
    let out = scratch.path().join("out");
    let build = || -> Result<String> {
        let output = Command::new(&taut)
            .args(["install", "--plain-log", "--local-build-root"])
            .arg(scratch.path().join("build-root"))
            .arg("-o")
            .arg(&out)
            .arg("all")
            .current_dir(&work)
            .output()?;
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            bail!("taut exits with {}\n{log}", output.status);
        }
        Ok(log)
    };
    let first = processed(&build()?)?;
    // A link and a run for each test, and the archive.
    let actions = objects + 2 * TESTS.len() + 1;
    if first != (actions, 0) {
        bail!("the first build should run {actions} actions: (actions, hits) are {first:?}");
    }
    for test in TESTS {
        // The tests print matches in many encodings.
        let log = fs::read(out.join(format!("{test}.log")))?;
        let log = String::from_utf8_lossy(&log);
        println!("{test}: {}", log.lines().rfind(|l| !l.is_empty()).unwrap_or("no summary"));
    }
    let second = processed(&build()?)?;
    if second != (actions, actions) {
        bail!("the second build should only hit: (actions, hits) are {second:?}");
    }
    println!("{objects} sources compiled, {} test programs run, second build all hits", TESTS.len());
    Ok(())
}

/// The unpacked source package.
fn obtain(scratch: &Path) -> Result<PathBuf> {
    let dir = scratch.join("obtain");
    fs::create_dir_all(dir.join("src"))?;
    fs::write(dir.join("src/lib.rs"), "")?;
    let manifest = format!(
        // Without a workspace of its own, cargo would look for one above.
        "[package]\nname = \"obtain\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n\
         [dependencies]\n{CRATE} = {{ version = \"{VERSION}\", default-features = false }}\n"
    );
    fs::write(dir.join("Cargo.toml"), manifest)?;
    let output = cargo::cargo()
        // The sources as they were published; nothing of the package is compiled by cargo.
        .args(["vendor", "--quiet", "vendor"])
        .current_dir(&dir)
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("cannot obtain {CRATE}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(dir.join("vendor").join(CRATE))
}

/// Copies the needed files into `work` and writes a description; returns the number of objects.
fn describe(sources: &Path, work: &Path) -> Result<usize> {
    let names = copy(&sources.join("src"), &work.join("src"))?;
    copy(&sources.join("test"), &work.join("test"))?;
    fs::write(work.join("ROOT"), "")?;
    // Actions have no environment unless the target gives one; a compiler looks for its parts in `PATH`.
    let env = json!({"type": "'", "$1": {"PATH": "/usr/bin:/bin"}});
    let mut library = Map::new();
    let headers: Vec<&String> =
        names.iter().filter(|n| n.ends_with(".h") || NOT_COMPILED.contains(&n.as_str())).collect();
    library.insert("config.h".into(), json!({"type": "file_gen", "name": "config.h", "data": CONFIG}));
    library.insert("headers".into(), json!({"type": "install", "deps": headers}));
    let mut objects = Vec::new();
    let compiled = names.iter().filter(|n| n.ends_with(".c") && !NOT_COMPILED.contains(&n.as_str()));
    for source in compiled {
        let object = source.replace(".c", ".o");
        library.insert(
            object.clone(),
            json!({
                "type": "generic", "deps": ["headers", "config.h", source], "outs": [object],
                "cmds": [format!("cc -O1 -w -DHAVE_CONFIG_H -I. -c {source} -o {object}")], "env": env,
            }),
        );
        objects.push(object);
    }
    library.insert(
        "libonig.a".into(),
        json!({
            "type": "generic", "deps": objects, "outs": ["libonig.a"],
            // `D`: no times and owners, so that the archive is the same each time.
            "cmds": ["ar cqsD libonig.a *.o"], "env": env,
        }),
    );
    let mut tests = Map::new();
    let mut all = Map::new();
    for test in TESTS {
        let source = format!("{test}.c");
        tests.insert(
            (*test).to_owned(),
            json!({
                "type": "generic",
                "deps": [source, ["./", "../src", "headers"], ["src", "config.h"], ["src", "libonig.a"]],
                "outs": [test],
                "cmds": [format!("cc -O1 -w -I. {source} libonig.a -o {test}")], "env": env,
            }),
        );
        let log = format!("{test}.log");
        tests.insert(
            log.clone(),
            json!({
                "type": "generic", "deps": [test], "outs": [log], "cmds": [format!("./{test} > {log}")],
            }),
        );
        all.insert(log.clone(), json!(["test", log]));
    }
    all.insert("lib/libonig.a".into(), json!(["src", "libonig.a"]));
    all.insert("include/oniguruma.h".into(), json!(["src", "oniguruma.h"]));
    let all = json!({"all": {"type": "install", "files": all}});
    write(&work.join("src/TARGETS"), Value::Object(library))?;
    write(&work.join("test/TARGETS"), Value::Object(tests))?;
    write(&work.join("TARGETS"), all)?;
    Ok(objects.len())
}

fn write(path: &Path, targets: Value) -> Result<()> {
    Ok(fs::write(path, serde_json::to_string_pretty(&targets)?)?)
}

/// Copies the files of one directory; returns their names, sorted.
fn copy(from: &Path, to: &Path) -> Result<Vec<String>> {
    fs::create_dir_all(to)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    // The order of a directory differs from one machine to another, and the description should not.
    names.sort();
    Ok(names)
}

/// How many actions there were, and how many of them did not run: as taut says it, or by the line
/// `Processed N actions, M cache hits.` of the reference.
pub(crate) fn processed(log: &str) -> Result<(usize, usize)> {
    if let Some(figures) = taut_testkit::processed(log) {
        return Ok(figures);
    }
    let line = log
        .lines()
        .find_map(|line| line.split("Processed ").nth(1))
        .with_context(|| format!("no line on processed actions in\n{log}"))?;
    let numbers: Vec<usize> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        [actions, hits] => Ok((*actions, *hits)),
        _ => bail!("unexpected: {line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::processed;

    #[test]
    fn the_numbers_of_a_build_are_read_from_its_log() {
        let log = "INFO: Building x.\nINFO: Processed 12 actions, 3 cache hits.\n";
        assert_eq!(processed(log).unwrap(), (12, 3));
        assert!(processed("nothing").is_err());
    }
}
