//! `cargo xtask proto`: builds `examples/proto` with the real protoc.
//!
//! The tests of the command line show what *would* be done; here it is done. The tools are those of the machine if it
//! has them. Otherwise they come from the packages of the Debian or Ubuntu that this runs on, unpacked below `target`
//! with a package database of their own: nothing is installed, and no rights are needed. A tool that cannot be obtained
//! is a failure, never a silent pass.

use crate::realworld::processed;
use crate::{apt, cargo};
use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

// The names of Debian, which Ubuntu shares.
const PACKAGES: &[&str] = &["protobuf-compiler", "libprotobuf-dev", "python3-protobuf"];

/// Eight calls of protoc, seven of the compiler, two archives, the linker, the zip archive; one action runs both
/// programs; five look for tools (c++, ar, protoc, python3, pkg-config), and one asks pkg-config.
const ACTIONS: usize = 8 + 7 + 2 + 1 + 1 + 1 + 5 + 1;

/// The expected output of both programs for the data that either has written.
const EXPECTED_OUTPUT: &str = "Mill Lane: 17.0 m\nCorn Market: 24.0 m2\n";

/// Builds the example, runs the programs, and checks that a second build runs nothing.
///
/// # Errors
///
/// If the tools cannot be obtained, a step fails, or an action runs twice.
pub(crate) fn run() -> Result<()> {
    let taut = cargo::taut(false)?;
    let env = tools()?;
    let configuration = Value::Object(configuration(&env)?).to_string();
    let scratch = tempfile::tempdir()?;
    let out = scratch.path().join("out");
    let build = || -> Result<(usize, usize)> {
        let output = Command::new(&taut)
            .args(["install", "--plain-log", "--local-build-root"])
            .arg(scratch.path().join("build-root"))
            .args(["-D", &configuration, "-o"])
            .arg(&out)
            .current_dir(cargo::root().join("examples/proto"))
            .output()?;
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            bail!("taut exits with {}\n{log}", output.status);
        }
        processed(&log)
    };
    let expect = |what: &str, found: (usize, usize), expected: (usize, usize)| -> Result<()> {
        if found != expected {
            bail!("the {what} build: (actions, hits) are {found:?}, not {expected:?}");
        }
        Ok(())
    };
    expect("first", build()?, (ACTIONS, 0))?;
    for log in ["doc/cc to py.txt", "doc/py to cc.txt"] {
        let output = fs::read_to_string(out.join(log))?;
        if output != EXPECTED_OUTPUT {
            bail!("{log} is {output:?}");
        }
    }
    let programs: [(&str, Vec<PathBuf>); 2] =
        [("C++", vec![out.join("bin/town")]), ("Python", vec!["python3".into(), out.join("bin/town.pyz")])];
    for (writer, write) in &programs {
        // Each reads what each has written: both languages have to agree on the format, not only
        // each with itself.
        for (reader, read) in &programs {
            let file = scratch.path().join("town");
            call(write, "new", &file, &env)?;
            let output = call(read, "show", &file, &env)?;
            if output != EXPECTED_OUTPUT {
                bail!("of what {writer} wrote, {reader} prints {output:?}");
            }
            println!("{writer} to {reader}: {}", output.trim_end().replace('\n', ", "));
        }
    }
    // An action with an output that differs from run to run would show here.
    expect("second", build()?, (ACTIONS, ACTIONS))?;
    println!("{ACTIONS} actions, each ran once; no symbol and no path came twice; second build all hits");
    Ok(())
}

/// Runs an installed program; returns its output.
fn call(program: &[PathBuf], what: &str, file: &Path, env: &Map<String, Value>) -> Result<String> {
    let output = command(&program[0], env).args(&program[1..]).arg(what).arg(file).output()?;
    if !output.status.success() {
        bail!("{program:?} {what}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// A command in the environment of the actions. The shell finds it in the `PATH` of that environment.
fn command(program: &Path, env: &Map<String, Value>) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "exec \"$0\" \"$@\""]).arg(program).env_clear();
    // Without the environment of the developer, in which the tools might be found although the actions do not find
    // them.
    command.envs(env.iter().filter_map(|(name, value)| Some((name, value.as_str()?))));
    command
}

/// The environment in which protoc, the C++ library and the Python library are found.
pub(crate) fn tools() -> Result<Map<String, Value>> {
    // The environment that the rules give to actions, so that what is found here is found there.
    let plain = environment(json!({"PATH": "/usr/bin:/bin"}));
    if complete(&plain) {
        println!("protoc: of this machine");
        return Ok(plain);
    }
    let place = cargo::root().join("target/proto-tools");
    let root = place.join("root");
    if !place.join("unpacked").exists() {
        println!("protoc: from the packages {}", PACKAGES.join(", "));
        apt::unpack(PACKAGES, &place, &root).with_context(|| {
            format!(
                "protoc, its C++ and Python libraries are not on this machine and cannot be obtained. This needs \
                 the network and apt-get, or the tools installed ({}). Without, leave `cargo xtask proto` out: \
                 `cargo xtask ci` checks the example as far as it goes without protoc.",
                PACKAGES.join(" ")
            )
        })?;
        // Written last: after an interruption all is fetched again.
        fs::write(place.join("unpacked"), "")?;
    }
    let library = libraries(&root)?.display().to_string();
    let env = environment(json!({
        "PATH": format!("{}:/usr/bin:/bin", root.join("usr/bin").display()),
        "LD_LIBRARY_PATH": library,
        "LIBRARY_PATH": library,
        "CPLUS_INCLUDE_PATH": root.join("usr/include"),
        "PKG_CONFIG_PATH": format!("{library}/pkgconfig"),
        "PYTHONPATH": root.join("usr/lib/python3/dist-packages"),
    }));
    if !complete(&env) {
        bail!("the tools in {} do not work; a C++ compiler and Python are needed, too", root.display());
    }
    Ok(env)
}

/// The variables of the rules in the box for an environment of [`tools`]. The rules set only `PATH` for actions, so for
/// unpacked tools `PATH` begins with scripts that call them with the whole environment.
fn configuration(env: &Map<String, Value>) -> Result<Map<String, Value>> {
    let Some(libraries) = env.get("LD_LIBRARY_PATH").and_then(Value::as_str) else {
        return Ok(env.clone());
    };
    let place = cargo::root().join("target/proto-tools");
    let scripts = place.join("bin");
    fs::create_dir_all(&scripts)?;
    let root = place.join("root/usr");
    // Not those of the compiler: pkg-config leaves directories out that they name.
    let variables: Vec<String> = ["LD_LIBRARY_PATH", "PKG_CONFIG_PATH", "PYTHONPATH"]
        .iter()
        .filter_map(|name| Some(format!("export {name}='{}'", env.get(*name)?.as_str()?)))
        .collect();
    let prefix = format!("--define-variable=prefix='{}'", root.display());
    for (name, call) in [
        ("protoc", format!("'{}'", root.join("bin/protoc").display())),
        ("python3", "/usr/bin/python3".to_owned()),
        ("pkg-config", format!("/usr/bin/pkg-config {prefix}")),
    ] {
        let script = scripts.join(name);
        fs::write(&script, format!("#!/bin/sh\n{}\nexec {call} \"$@\"\n", variables.join("\n")))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    }
    Ok(environment(json!({
        "PATH": format!("{}:/usr/bin:/bin", scripts.display()),
        "LDFLAGS": [format!("-Wl,-rpath,{libraries}")],
    })))
}

fn environment(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Whether an environment has all tools.
fn complete(env: &Map<String, Value>) -> bool {
    let works = |script: &str| {
        command(Path::new("sh"), env)
            .args(["-c", script])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    works("protoc --version")
        && works("echo '#include <google/protobuf/message.h>' | c++ -E -x c++ -")
        && works("python3 -c 'import google.protobuf'")
}

/// The directory of the libraries, whose name contains the architecture.
fn libraries(root: &Path) -> Result<PathBuf> {
    for entry in fs::read_dir(root.join("usr/lib"))? {
        let path = entry?.path();
        if path.join("libprotobuf.so").exists() {
            return Ok(path);
        }
    }
    bail!("no libprotobuf.so below {}", root.display())
}
