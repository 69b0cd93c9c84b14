//! `cargo xtask engines`: the calls on the page about servers, against servers that exist.
//!
//! A server is started by a script of a directory that is given (`start-just.sh`, `start-casd.sh`,
//! `start-buildgrid.sh`, each with a port and a directory as arguments; they print the process to be ended, and
//! `stop.sh` ends it). The scripts are not part of this repository, since they obtain what they start from package
//! registries. A server that cannot be started is passed over, and named.
//!
//! Each call is made from two build roots: what the first one has executed, the second one has to find.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use taut_testkit::{Tool, Workspace, commands_of_page, listing};

use crate::cargo;

const USAGE: &str = "engines [SCRIPTS [DIR]]";

/// Sections of the page, and the script that starts the server.
const ENGINES: [(&str, &str); 3] = [
    ("just execute", "start-just.sh"),
    ("buildbox-casd", "start-casd.sh"),
    ("BuildGrid", "start-buildgrid.sh"),
];

/// Files, an executable, a tree with a link, more than one batch, and output; a link as an output is what not all
/// servers take.
const TARGETS: &str = r#"{
  "files": {"type": "generic", "outs": ["file", "program"], "deps": ["source"],
    "cmds": ["tr a-z A-Z < source > file", "printf '#!/bin/sh\\necho yes\\n' > program", "chmod +x program", "echo printed"]},
  "tree": {"type": "generic", "out_dirs": ["tree"], "deps": ["files"],
    "cmds": ["mkdir -p tree/a/b", "./program > tree/a/b/x", "ln -s a/b/x tree/l"]},
  "large": {"type": "generic", "outs": ["large"], "deps": ["source"], "cmds": ["head -c 5000000 /dev/zero > large", "cat source >> large"]},
  "all": {"type": "install", "dirs": [["files", "files"], ["tree", "tree"], ["large", "large"]]}
}"#;

/// How many actions these have.
const ACTIONS: &str = "3 actions";

/// A server that was started.
struct Engine<'s> {
    scripts: &'s Path,
    process: String,
    port: u16,
}

impl<'s> Engine<'s> {
    /// Starts one; the error is why that is not possible.
    fn start(scripts: &'s Path, script: &str, dir: &Path, environment: &[(&str, String)]) -> Result<Self> {
        // The port is free again when the server asks for it; another process could get it meanwhile, and the call
        // would fail.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(scripts.join(script));
        command.arg(port.to_string()).arg(dir).envs(environment.iter().map(|(name, value)| (name, value)));
        let output = command.output().with_context(|| format!("cannot start {script}"))?;
        let printed = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{script}: {}", printed.lines().last().unwrap_or("it says nothing"));
        let process = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(Engine { scripts, process, port })
    }
}

impl Drop for Engine<'_> {
    fn drop(&mut self) {
        let ended = Command::new(self.scripts.join("stop.sh")).arg(&self.process).status();
        if !ended.is_ok_and(|status| status.success()) {
            eprintln!("process {} was not ended", self.process);
        }
    }
}

/// Runs the calls of each section against its server.
///
/// # Errors
///
/// A call does not what the page says, or no server at all could be started.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let (scripts, dir) = match args {
        [] => (cargo::root().join("../shared/engines"), scratch.path().to_owned()),
        [scripts] => (PathBuf::from(scripts), scratch.path().to_owned()),
        [scripts, dir] => (PathBuf::from(scripts), PathBuf::from(dir)),
        _ => bail!("{USAGE}"),
    };
    let taut = Tool::at(cargo::taut(false)?);
    let page = fs::read_to_string(cargo::root().join("docs/remote.md"))?;
    let sections = commands_of_page(&page, "Set-up, server by server", "taut");
    // What a build here installs is what any server has to give.
    let expected = installed(&taut, &[])?;
    let (mut tried, mut failures) = (0, Vec::new());
    for (heading, script) in ENGINES {
        let section = sections.iter().find(|section| section.heading == heading);
        let section = section.with_context(|| format!("docs/remote.md has no commands for {heading}"))?;
        for command in &section.commands {
            let shown = format!("{heading}: taut {}", command.join(" "));
            let engine = match Engine::start(&scripts, script, &dir, &environment(command)) {
                Ok(engine) => engine,
                Err(why) => {
                    println!("{shown}\n    passed over: {why:#}");
                    continue;
                }
            };
            tried += 1;
            match check(&taut, command, &engine, &expected) {
                Ok(()) => println!("{shown}\n    ok"),
                Err(why) => {
                    println!("{shown}\n    FAILED: {why:#}");
                    failures.push(shown);
                }
            }
        }
    }
    ensure!(tried > 0, "no server could be started by the scripts in {}", scripts.display());
    ensure!(failures.is_empty(), "{} of {tried} calls failed", failures.len());
    Ok(())
}

/// A file about encryption for tests.
fn certificate(name: &str) -> String {
    cargo::root().join("crates/remote/tests/tls").join(name).display().to_string()
}

/// The variables by which a script starts the server that a call needs.
fn environment(command: &[String]) -> Vec<(&'static str, String)> {
    let has = |word: &str| command.iter().any(|of| of == word);
    let mut variables = Vec::new();
    if !has("--compatible") && !has("--remote-cache") {
        variables.push(("NATIVE", "1".to_owned()));
    }
    if has("--tls-ca-cert") {
        let files = [("TLS_CA", "ca.pem"), ("TLS_CERT", "server.pem"), ("TLS_KEY", "server.key")];
        variables.extend(files.map(|(name, file)| (name, certificate(file))));
    }
    variables
}

/// What a build with these options installs, and what it says.
fn installed(
    taut: &Tool,
    options: &[String],
) -> Result<(std::collections::BTreeMap<String, String>, String)> {
    let workspace = Workspace::new();
    // Another text in each run of this command, as a server may remember the one before.
    workspace.file("TARGETS", TARGETS).file("source", format!("{}\n", std::process::id()));
    let to = workspace.beside("installed");
    let mut words = vec!["install".to_owned(), "-o".to_owned(), to.display().to_string()];
    words.extend(options.iter().cloned());
    words.push("all".to_owned());
    let ran = workspace.run(taut, words);
    ensure!(ran.code == 0, "exit code {}: {}", ran.code, ran.stderr);
    Ok((listing(&to)?, ran.stderr))
}

fn check(
    taut: &Tool,
    command: &[String],
    engine: &Engine<'_>,
    expected: &(std::collections::BTreeMap<String, String>, String),
) -> Result<()> {
    let port = format!(":{}", engine.port);
    let named = |word: &String| match word {
        word if word.ends_with(".pem") || word.ends_with(".key") => certificate(word),
        word => word.replace(":8980", &port),
    };
    // Between the subcommand and the target.
    let options: Vec<String> = command[1..command.len() - 1].iter().map(named).collect();
    let has = |word: &str| options.iter().any(|of| of == word);
    // A call that only looks up follows one that stores.
    let mut storing = options.clone();
    if has("--remote-cache") && !has("--remote-cache-write") {
        storing.push("--remote-cache-write".to_owned());
    }
    let ran = if has("-r") { format!("{ACTIONS} run remotely") } else { format!("{ACTIONS} run") };
    let known = format!("{ACTIONS} from the remote cache");
    for (options, says) in [(&storing, [&ran, &known]), (&options, [&known, &known])] {
        let (files, text) = installed(taut, options)?;
        ensure!(files == expected.0, "what is installed is not what a build here makes");
        // The server may have the results of an earlier call on the page.
        ensure!(says.iter().any(|says| text.contains(says.as_str())), "it says {text:?}, not {says:?}");
    }
    Ok(())
}
