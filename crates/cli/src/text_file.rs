//! Texts for a file that the command line names, where `-` may be standard output.

use std::path::{Path, PathBuf};

use taut_sys::Named;

use crate::{
    exit::Exit,
    log::{Level, Log},
    standard_streams::print,
    voice,
};

/// Writes a text to a file, to one of the name `-` as well, as the reference does.
///
/// # Errors
///
/// The exit code; the errors have been reported.
pub(crate) fn write(path: &Path, text: &str, log: &Log) -> Result<(), Exit> {
    if path.as_os_str() == "-" && voice::of(log).has_own_warnings() {
        log.say(Level::Warn, "Writing a file named -; standard output is /dev/stdout here.");
    }
    let written = Named::of_user(path).and_then(|named| named.write(false)?.write_all(text.as_bytes()));
    written.map_err(|error| {
        voice::of(log).not_written(path, &error, log);
        Exit::Environment
    })
}

/// Writes a text to a file, or to standard output for `-`.
///
/// # Errors
///
/// The exit code; the errors have been reported.
pub(crate) fn write_or_print(path: &Path, text: &str, log: &Log) -> Result<(), Exit> {
    if path.as_os_str() != "-" {
        return write(path, text, log);
    }
    match print(text.as_bytes()) {
        Exit::Success => Ok(()),
        exit => Err(exit),
    }
}

/// Announces and writes a text, if a file is named for it; `-` is standard output.
///
/// # Errors
///
/// The exit code; the errors have been reported.
pub(crate) fn announce_and_write(
    path: &Option<PathBuf>,
    log: &Log,
    before_file: impl Fn(&Path) -> String,
    before_stdout: String,
    text: impl Fn() -> String,
) -> Result<(), Exit> {
    let Some(path) = path else { return Ok(()) };
    let announcement = if path.as_os_str() == "-" { before_stdout } else { before_file(path) };
    voice::of(log).dumping(&announcement, log);
    write_or_print(path, &text(), log)
}
