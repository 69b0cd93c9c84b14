//! The directory of one script: what it finds there, how it is started and ended.

use super::{Kind, Outcome, Script};
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use taut_testkit::Tool;

/// The two programs that scripts call.
pub(super) struct Side {
    /// Names the directories of its runs.
    pub(super) name: &'static str,
    pub(super) just: PathBuf,
    pub(super) just_mr: PathBuf,
}

/// What all scripts share.
pub(super) struct Scripts {
    checkout: PathBuf,
    scratch: PathBuf,
    /// Builds what scripts need.
    builder: Tool,
    /// The configuration with the reference's repositories.
    repositories: PathBuf,
    /// Where programs are looked for.
    path: String,
    compatible: bool,
    limit: Duration,
}

/// Makes the archives that `create_test_archives` makes: the same tree, in the two formats.
// Directories are made anew under a random name, as scripts call it several times.
const ARCHIVES: &str = r"#!/bin/sh
set -eu
dir=$(mktemp -d ./archives.XXXXXX)
( cd $dir
  mkdir -p root/baz
  for at in root root/baz; do printf foo > $at/foo; printf bar > $at/bar; done
  ln -s baz root/baz_l; ln -s foo root/foo_l; ln -s ../foo_l root/baz/foo_l
  zip -qry ../zip_repo.zip root
  tar czf ../tgz_repo.tar.gz root )
rm -r $dir
";

impl Scripts {
    /// Prepares for the scripts of a checkout.
    pub(super) fn new(
        checkout: &Path,
        scratch: &Path,
        builder: &Path,
        compatible: bool,
        limit: Duration,
    ) -> Result<Self> {
        let root = |below: &str| json!(["file", checkout.join(below)]);
        let repositories = scratch.join("repositories.json");
        let config = json!({"main": "tests", "repositories": {
            "tests": {"workspace_root": root("test"), "bindings": {"src": "src", "rules": "rules"}},
            "src": {"workspace_root": ["file", checkout], "bindings": {"rules": "rules"}},
            "rules": {"workspace_root": root("rules")},
        }});
        fs::write(&repositories, config.to_string())?;
        // Scripts run with a home of their own, in which a version manager's python3 finds no version.
        let python = Command::new("python3")
            .args(["-c", "import os, sys; print(os.path.dirname(os.path.realpath(sys.executable)))"])
            .output()
            .context("the scripts need python3")?;
        let python = String::from_utf8(python.stdout)?.trim_end().to_owned();
        let path = format!("{python}:{}", std::env::var("PATH").unwrap_or_default());
        Ok(Self {
            checkout: checkout.to_owned(),
            scratch: scratch.to_owned(),
            builder: Tool::at(builder).called("just").with_env("PATH", &path),
            repositories,
            path,
            compatible,
            limit,
        })
    }

    /// Runs one script with the programs of one side. The directory is removed if it passes.
    pub(super) fn run(&self, script: &Script, side: &Side, server: Option<&Path>) -> Outcome {
        let place = self.scratch.join(side.name).join(&script.name);
        match self.stage(script, side, server, &place).and_then(|()| self.start(script, &place)) {
            Err(error) => Outcome::NotStarted(format!("{error:#}")),
            Ok(outcome) => {
                if outcome == Outcome::Passed {
                    // What a test took the permissions of stays until the whole directory goes.
                    let _ = fs::remove_dir_all(&place);
                }
                outcome
            }
        }
    }

    fn stage(&self, script: &Script, side: &Side, server: Option<&Path>, place: &Path) -> Result<()> {
        let work = place.join("work");
        fs::create_dir_all(work.join("bin"))?;
        // Before an action runs, the directories of its outputs are there.
        for directory in &script.writes {
            fs::create_dir_all(work.join(directory))?;
        }
        fs::copy(self.checkout.join("test/end-to-end").join(&script.name), place.join("test.sh"))?;
        for (name, program, tool) in
            [("just", &side.just, "tool-under-test"), ("just-mr", &side.just_mr, "mr-tool-under-test")]
        {
            let link = place.join("tools").join(name);
            fs::create_dir_all(place.join("tools"))?;
            symlink(program, &link)?;
            // A program knows by which name it was called. Servers are the reference's: what is tested is what calls
            // them.
            let servers = server.filter(|_| name == "just").map(|server| {
                format!("case \"$1\" in execute|serve) exec '{}' \"$@\";; esac\n", server.display())
            });
            let text =
                format!("#!/bin/sh\n{}exec '{}' \"$@\"\n", servers.unwrap_or_default(), link.display());
            executable(&work.join("bin").join(tool), &text)?;
        }
        for need in &script.needs {
            let words: Vec<&str> = match need {
                Value::String(name) => vec![name],
                list => list.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
            };
            match words[..] {
                // Already there, as the tool that is tested.
                ["", "tool-under-test" | "mr-tool-under-test"] => {}
                [.., "create_test_archives"] => {
                    fs::create_dir_all(work.join("src"))?;
                    executable(&work.join("src/create_test_archives"), ARCHIVES)?;
                }
                _ => self.build(&script.module, need, &work, place)?,
            }
        }
        for (number, served) in script.served.iter().enumerate() {
            self.build(&script.module, served, &place.join(format!("data/{number:010}")), place)?;
        }
        let runner = match script.kind {
            Kind::Plain => {
                fs::write(place.join("invocation"), "sh ../test.sh\n")?;
                "rules/shell/test/runner"
            }
            Kind::Remote => "test/end-to-end/with_remote_test_runner.py",
            Kind::Serve => {
                fs::create_dir_all(place.join("data"))?;
                "test/end-to-end/with_serve_test_runner.py"
            }
        };
        fs::copy(self.checkout.join(runner), place.join("runner"))?;
        if script.kind != Kind::Plain {
            fs::create_dir_all(place.join("staged/bin"))?;
            symlink(server.context("no server")?, place.join("staged/bin/just"))?;
        }
        Ok(())
    }

    /// Builds a target, named as in a module below `end-to-end`, into a directory.
    fn build(&self, module: &str, target: &Value, into: &Path, place: &Path) -> Result<()> {
        let module = format!("end-to-end/{module}");
        let name = match target {
            Value::String(_) => json!([module, target]),
            // Names of files and relative names are relative to the module that they are written in.
            Value::Array(words) => match words.iter().map(Value::as_str).collect::<Vec<_>>()[..] {
                [Some("./"), Some(below), Some(name)] => json!([format!("{module}/{below}"), name]),
                [Some("TREE"), None, Some(name)] => {
                    copy_tree(&self.checkout.join("test").join(&module).join(name), &into.join(name))?;
                    return Ok(());
                }
                _ => target.clone(),
            },
            _ => bail!("an unknown form of a name: {target}"),
        };
        let words = name.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        let env = json!({"TEST_ENV": {"PATH": self.path}, "ENV": {"PATH": self.path}}).to_string();
        let mut call: Vec<String> = ["install", "--local-build-root"].map(str::to_owned).to_vec();
        call.push(place.join("build-root").to_string_lossy().into_owned());
        call.extend(["-L".to_owned(), json!(["env", format!("PATH={}", self.path)]).to_string()]);
        call.extend(["-C".to_owned(), self.repositories.to_string_lossy().into_owned()]);
        call.extend(["-D".to_owned(), env, "-o".to_owned(), into.to_string_lossy().into_owned()]);
        call.extend(words);
        let ran = self.builder.run(&self.checkout.join("test"), call);
        if ran.code != 0 {
            bail!("cannot build {target}: {}", ran.stderr);
        }
        Ok(())
    }

    fn start(&self, script: &Script, place: &Path) -> Result<Outcome> {
        let mut command = match script.kind {
            Kind::Plain => Command::new("sh"),
            Kind::Remote | Kind::Serve => Command::new("python3"),
        };
        let compatible = if self.compatible { "true" } else { "false" };
        command.arg("./runner");
        match script.kind {
            Kind::Plain => {}
            Kind::Remote => drop(command.args([compatible, "null"])),
            Kind::Serve => drop(command.args([compatible, "false"])),
        }
        // A home of its own: rc files and caches of the user would decide about results.
        command.current_dir(place).env_clear().env("PATH", &self.path).env("HOME", place);
        if self.compatible {
            command.env("COMPATIBLE", "YES");
        }
        let log = fs::File::create(place.join("log"))?;
        // A group of its own, so that what the script leaves running can be ended with it.
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let mut child = command.spawn()?;
        let outcome = wait(&mut child, self.limit);
        // What the script left running is in its process group.
        let group = rustix::process::Pid::from_child(&child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        child.wait()?;
        outcome
    }
}

/// Waits for the end of a process, at most this long.
fn wait(child: &mut Child, limit: Duration) -> Result<Outcome> {
    let start = Instant::now();
    loop {
        // The process stays a zombie, so its number, which names its group, is not used again.
        let options = rustix::process::WaitIdOptions::EXITED
            | rustix::process::WaitIdOptions::NOHANG
            | rustix::process::WaitIdOptions::NOWAIT;
        let id = rustix::process::WaitId::Pid(rustix::process::Pid::from_child(child));
        if let Some(status) = rustix::process::waitid(id, options)? {
            let passed = status.exit_status() == Some(0);
            return Ok(if passed { Outcome::Passed } else { Outcome::Failed });
        }
        if start.elapsed() > limit {
            return Ok(Outcome::TimedOut);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn executable(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        match entry.is_dir() {
            true => copy_tree(&entry, &to.join(name))?,
            false => drop(fs::copy(&entry, to.join(name))?),
        }
    }
    Ok(())
}
