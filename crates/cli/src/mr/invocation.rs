//! The log of a call of the build tool that `just-mr` launches: a directory for each call.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use taut_digest::Hash;
use taut_setup::InvocationLog;
use taut_sys::{Dir, Named};
use taut_value::JsonWriter;

use super::launch::is_file_name;
use crate::{
    log::{Level, Log},
    utc::Utc,
};

/// The directory of a call, and when the call was made.
pub(crate) struct Invocation {
    pub(crate) directory: Option<PathBuf>,
    time: u64,
}

impl Invocation {
    /// Makes the directory of this call: below the project's, the time in UTC and a random number.
    ///
    /// # Errors
    /// The name of the project is not a name of a directory.
    pub(crate) fn begin(log_of: &InvocationLog, log: &Log) -> Result<Invocation, String> {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = since_epoch.as_secs();
        let project = log_of.project_id.as_deref().unwrap_or("unknown");
        if !is_file_name(project) {
            // Spelt as in the reference.
            return Err(format!("Invalid file name for poject id: {}", taut_value::quoted(project)));
        }
        let id = format!("{}-{}", utc(time), unique(since_epoch.as_nanos()));
        let above = log_of.directory.join(project);
        let directory = above.join(&id);
        // The last directory must be new: two calls never share one.
        let made = Dir::made_of_user(&above).and_then(|above| above.at(&id).make_dir());
        if made.is_err() {
            let shown = taut_value::quoted(&directory.to_string_lossy());
            log.say(Level::Warn, format!("Failed to create directory {shown} for invocation logging"));
            // Without a log the call goes on: the log is not part of what it is for.
            return Ok(Invocation { directory: None, time });
        }
        if let Some(message) = &log_of.message {
            log.say(Level::Info, format!("{message}{id}"));
        }
        log.say(Level::Info, format!("Invocation logged at {}", directory.display()));
        Ok(Invocation { directory: Some(directory), time })
    }

    /// Writes the file with the words of the call, its configuration and its context, if it is wanted.
    ///
    /// # Errors
    /// Its name is not a name of a file.
    pub(crate) fn describe(
        &self,
        log_of: &InvocationLog,
        words: &[OsString],
        configuration: Option<&Hash>,
        log: &Log,
    ) -> Result<(), String> {
        let (Some(directory), Some(name)) = (&self.directory, &log_of.metadata) else { return Ok(()) };
        if !is_file_name(name) {
            // Spelt as in the reference.
            return Err(format!("Invlaid file name for metadata file: {}", taut_value::quoted(name)));
        }
        let text = self.metadata(&log_of.context_variables, words, configuration);
        let path = directory.join(name);
        if write(&path, &text).is_err() {
            let shown = taut_value::quoted(&path.to_string_lossy());
            log.say(Level::Warn, format!("Failed to write metadata file {shown}."));
        }
        Ok(())
    }

    fn metadata(&self, variables: &[String], words: &[OsString], configuration: Option<&Hash>) -> String {
        let mut names: Vec<&String> = variables.iter().collect();
        names.sort();
        // JSON has each key once, and the reference sorts them.
        names.dedup();
        let mut json = JsonWriter::pretty(2);
        json.object(|json| {
            json.key("cmdline");
            json.strings(words.iter().map(|word| word.to_string_lossy().into_owned()));
            if let Some(id) = configuration {
                json.key("configuration").string(id.to_hex());
            }
            if !names.is_empty() {
                json.key("context").object(|json| {
                    for name in names {
                        json.key(name);
                        match std::env::var_os(name) {
                            Some(value) => json.string(value.to_string_lossy()),
                            None => json.null(),
                        };
                    }
                });
            }
            json.key("time").integer(self.time);
        });
        json.finish()
    }
}

fn write(path: &Path, text: &str) -> taut_sys::Result<()> {
    Named::of_user(path)?.write(false)?.write_all(text.as_bytes())
}

/// A time in seconds since the epoch as `2026-11-30-01:59:31`, in UTC.
fn utc(time: u64) -> String {
    let moment = Utc::at(time);
    format!("{}-{}", moment.date(), moment.time())
}

/// A number that no other call has, in the form of a UUID of version 4 (RFC 9562). Its bits are a hash of the time, of
/// the number of the process and of a random seed of the standard library.
fn unique(nanos: u128) -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let random = RandomState::new();
    // `RandomState` is seeded by the system once in a thread, and differs by a counter after that; time and process
    // make up for that.
    let part = |salt: u8| random.hash_one((nanos, std::process::id(), salt));
    let mut bytes = [0_u8; 16];
    bytes[..8].copy_from_slice(&part(0).to_le_bytes());
    bytes[8..].copy_from_slice(&part(1).to_le_bytes());
    // Version and variant, as the format demands.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::{unique, utc};

    #[test]
    fn times_are_shown_in_utc() {
        for (time, shown) in [
            (0, "1970-01-01-00:00:00"),
            (951_782_400, "2000-02-29-00:00:00"),
            (1_735_689_599, "2024-12-31-23:59:59"),
            (1_796_003_971, "2026-11-30-01:59:31"),
            (4_107_542_400, "2100-03-01-00:00:00"),
        ] {
            assert_eq!(utc(time), shown);
        }
    }

    #[test]
    fn unique_numbers_have_the_form_of_a_uuid_and_differ() {
        let (one, other) = (unique(1), unique(1));
        assert_ne!(one, other);
        let lengths: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(&one[14..15], "4");
    }
}
