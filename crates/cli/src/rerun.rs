//! `--rerun ACTION`: runs one action again, to look into a failure: with its inputs in a new directory, which is left there,
//! with its environment, and with its output on standard output and error. No result is kept.

use std::{
    ffi::OsString,
    os::fd::AsFd,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use taut_driver::{Results, normal_path};
use taut_store::Store;
use taut_sys::{
    Dir,
    process::{Command, HelperStart, Processes, Streams},
};
use taut_value::{ActionDescription, Str};

use crate::{
    check_traces::block_on,
    exit::Exit,
    log::{Level, Log},
};

/// The program that looks a command up, as it is for actions.
const ENV: &str = "/usr/bin/env";

/// Runs an action with these inputs. The call fails if the action does.
///
/// # Errors
///
/// The exit code; the message was printed.
pub(crate) fn run(
    action: &ActionDescription,
    store: &Store,
    inputs: &Results,
    log: &Log,
) -> Result<Exit, Exit> {
    let failed = |error: &dyn std::fmt::Display| {
        log.say(Level::Error, format!("cannot run the action: {error}"));
        Exit::Environment
    };
    let (path, dir) = new_directory().map_err(|error| failed(&error))?;
    let installer = store.installer(&dir);
    for (place, built) in &inputs.artifacts {
        installer.install(&built.info, place.as_str()).map_err(|error| failed(&error))?;
    }
    let cwd = normal_path(&action.cwd);
    let above = |path: &Str| path.rsplit_once('/').map(|(above, _)| above.to_owned());
    let directories = action.out_dirs.iter().map(|path| path.to_string());
    let directories = directories.chain(action.outs.iter().filter_map(above)).chain([cwd.clone()]);
    for directory in directories.filter(|directory| directory != ".") {
        dir.make_all(&directory).map_err(|error| failed(&error))?;
    }
    let cwd = if cwd == "." { dir } else { dir.at(&cwd).open_dir().map_err(|error| failed(&error))? };
    let words = action.command.iter().map(|word| OsString::from(word.as_str()));
    let env = action.env.iter().map(|(name, value)| {
        (OsString::from(name.as_str()), OsString::from(value.as_str().map(Str::as_str).unwrap_or_default()))
    });
    let command = Command {
        args: ["env", "--"].into_iter().map(OsString::from).chain(words).collect(),
        env: env.collect(),
        ..Command::new(ENV)
    };
    let (out, err) = (std::io::stdout(), std::io::stderr());
    let streams = Streams { cwd: cwd.as_fd(), stdout: out.as_fd(), stderr: err.as_fd() };
    let processes = Processes::new(HelperStart::this_program().keep_umask());
    let running = processes.spawn(&command, streams).map_err(|error| failed(&error))?;
    let exit = block_on(running).map_err(|error| failed(&error))?;
    let (path, code) = (path.display(), exit.status.code().unwrap_or(1));
    log.say(Level::Info, format!("the action ended with exit code {code} in {path}"));
    Ok(if code == 0 { Exit::Success } else { Exit::BuildFailure })
}

/// A new directory for temporary files, closed to other users.
fn new_directory() -> taut_sys::Result<(PathBuf, Dir)> {
    let above = std::env::var_os("TMPDIR").filter(|path| !path.is_empty()).unwrap_or_else(|| "/tmp".into());
    let above = Dir::of_user(Path::new(&above))?;
    let mut number = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    loop {
        let name = format!("taut-rerun-{number:x}");
        match above.at(&name).make_private_dir() {
            Ok(dir) => return Ok((above.path().join(&name), dir)),
            Err(error) if error.is_exists() => number += 1,
            Err(error) => return Err(error),
        }
    }
}
