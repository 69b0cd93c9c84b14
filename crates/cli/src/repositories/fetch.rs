//! `fetch`: archives into a directory, trees into the build root, so that set-ups need no network afterwards.

use std::path::{Path, PathBuf};

use taut_setup::{Cache, Description, Options, Request, Session, weakly_canonical};
use taut_store::Store;

use super::Messages;
use crate::log::{Level, Log};
use crate::tool_name::Name;
use crate::voice;

/// What `fetch` needs.
pub(crate) struct Fetch<'f> {
    pub(crate) store: &'f Store,
    pub(crate) cache: &'f Cache,
    pub(crate) options: &'f Options,
    pub(crate) description: &'f Description,
    pub(crate) request: Request<'f>,
    /// The directory that the call names.
    pub(crate) directory: Option<&'f Path>,
    /// What is wrong with the settings about servers; an error once it is known what is to be fetched.
    pub(crate) wrong_about_servers: Option<String>,
    pub(crate) tool: &'f str,
    pub(crate) log: &'f Log,
}

/// Why nothing is fetched; it was reported.
pub(crate) enum NotFetched {
    /// It failed.
    Failed,
    /// The settings about servers are wrong.
    Servers,
}

impl Fetch<'_> {
    /// Fetches, and reports.
    ///
    /// # Errors
    /// The failure has been reported.
    pub(crate) fn run(&self) -> Result<(), NotFetched> {
        let Fetch { log, options, .. } = self;
        let voice = voice::of(log);
        voice.fetch_begins(log);
        let directory = self.directory().ok_or_else(|| {
            voice.no_fetch_directory(&options.distdirs, log);
            NotFetched::Failed
        })?;
        let messages = Messages::new(log, format!("While performing {} fetch:", self.tool)).of_fetch();
        let session = Session::new(options, self.store, self.cache, &messages);
        let mut request = self.request;
        // Without a main repository, the reference takes the first one here, whatever the description says.
        let as_reference = log.tool() == Name::Just;
        let first = self.description.names().ok().and_then(|names| names.first().copied());
        if as_reference && request.main.is_none() {
            request.main = first;
        }
        let failed = |problems| {
            messages.failed(&problems);
            NotFetched::Failed
        };
        if as_reference {
            self.description.repositories().map_err(|problem| failed((*problem).into()))?;
        }
        voice.fetching_to(&directory, log);
        let what = session.to_fetch(self.description, &request).map_err(failed)?;
        let plural = |number: usize, one: &str| match number {
            0 => None,
            1 => Some(format!("1 {one}")),
            many => Some(format!("{many} {one}s")),
        };
        let parts: Vec<String> = [plural(what.archives(), "archive"), plural(what.trees(), "git tree")]
            .into_iter()
            .flatten()
            .collect();
        voice.to_fetch(&parts, log);
        if let Some(text) = &self.wrong_about_servers {
            log.say(Level::Error, text);
            return Err(NotFetched::Servers);
        }
        messages.with_progress(&session, || session.fetch(&what, &directory)).map_err(failed)?;
        voice.fetch_completed(&parts, &directory, log);
        Ok(())
    }

    fn directory(&self) -> Option<PathBuf> {
        if let Some(directory) = self.directory {
            return Some(directory.to_owned());
        }
        let is_there = |path: &&PathBuf| taut_sys::Named::stat(path).is_ok_and(|stat| stat.is_dir());
        // Directories that do not exist are not made: which of them is meant is a guess then.
        self.options.distdirs.iter().find(is_there).map(|path| weakly_canonical(path))
    }
}
