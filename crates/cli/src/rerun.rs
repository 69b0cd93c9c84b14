//! `--rerun ACTION`: runs one action again, to look into a failure: with its inputs in a new directory, which is left
//! there, with its environment and time limit, and with its output on standard output and error. Outputs that it did
//! not create are a failure, as they are in a build. No result is kept.

use std::{
    ffi::OsString,
    os::fd::AsFd,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use taut_driver::{ActualEntry, MissingOutput, Results, normal_path};
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
    settings::USUAL_LAUNCHER,
    voice::{exit_code, time_limit},
};

/// The program that looks a command up, as it is for actions.
const ENV: &str = "/usr/bin/env";

/// Runs an action with these inputs. The call fails if the action does. `limit`: the time limit, before scaling.
///
/// # Errors
///
/// The exit code; the message was printed.
pub(crate) fn run(
    action: &ActionDescription,
    store: &Store,
    inputs: &Results,
    limit: Option<Duration>,
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
    // As for an action of a build: the directories of outputs are there before the command starts.
    let directories = directories.chain(action.outs.iter().filter_map(above)).chain([cwd.clone()]);
    for directory in directories.filter(|directory| directory != ".") {
        dir.make_all(&directory).map_err(|error| failed(&error))?;
    }
    let cwd = if cwd == "." { dir.try_clone() } else { dir.at(&cwd).open_dir() };
    let cwd = cwd.map_err(|error| failed(&error))?;
    let words = action.command.iter().map(|word| OsString::from(word.as_str()));
    let env = action.env.iter().map(|(name, value)| {
        (OsString::from(name.as_str()), OsString::from(value.as_str().map(Str::as_str).unwrap_or_default()))
    });
    let command = Command {
        args: USUAL_LAUNCHER.into_iter().map(OsString::from).chain(words).collect(),
        env: env.collect(),
        timeout: limit.map(|limit| action.time_limit(limit)),
        ..Command::new(ENV)
    };
    let (out, err) = (std::io::stdout(), std::io::stderr());
    let streams = Streams { cwd: cwd.as_fd(), stdout: out.as_fd(), stderr: err.as_fd() };
    // A person will look at the files, so they have the rights that the person's shell gives to files.
    let processes = Processes::new(HelperStart::this_program().keep_umask());
    let running = processes.spawn(&command, streams).map_err(|error| failed(&error))?;
    let exit = block_on(running).map_err(|error| failed(&error))?;
    let (path, code) = (path.display(), exit.status.code().unwrap_or(1));
    // After a failure missing outputs are expected, and would hide the reason.
    let missing = if code == 0 { missing_outputs(action, &dir) } else { Vec::new() };
    let what = match limit {
        Some(limit) if exit.timed_out => format!("the action exceeded its {}", time_limit(limit, action)),
        _ if code != 0 => format!("the action failed ({})", exit_code(code)),
        _ if missing.is_empty() => "the action succeeded".to_owned(),
        _ => "the action succeeded, but did not create all outputs".to_owned(),
    };
    let mut text = format!("{what}; its directory is kept: {path}");
    missing.iter().for_each(|output| text += &format!("\nmissing: {output}"));
    let succeeded = code == 0 && !exit.timed_out && missing.is_empty();
    log.say(if succeeded { Level::Info } else { Level::Error }, text);
    Ok(if succeeded { Exit::Success } else { Exit::BuildFailure })
}

/// The outputs that are not in the directory of an action that has ended.
fn missing_outputs(action: &ActionDescription, dir: &Dir) -> Vec<MissingOutput> {
    let files = action.outs.iter().map(|path| (path, false));
    let all = files.chain(action.out_dirs.iter().map(|path| (path, true)));
    let missing = all.filter_map(|(path, is_directory)| {
        let found = match dir.at(&normal_path(path)).lstat() {
            Ok(stat) if stat.is_dir() == is_directory => return None,
            Ok(_) if is_directory => ActualEntry::File,
            Ok(_) => ActualEntry::Directory,
            Err(_) => ActualEntry::Nothing { similar: Vec::new() },
        };
        Some(MissingOutput { path: path.clone(), found })
    });
    missing.collect()
}

/// A new directory for temporary files, closed to other users.
fn new_directory() -> taut_sys::Result<(PathBuf, Dir)> {
    let above = std::env::var_os("TMPDIR").filter(|path| !path.is_empty()).unwrap_or_else(|| "/tmp".into());
    let above = Dir::of_user(Path::new(&above))?;
    // Only a start for the search: what makes the directory this call's own is that it was created here.
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
