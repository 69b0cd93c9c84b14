//! The messages while repositories are set up, fetched and updated, in both voices.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use taut_syntax::quoted;

use super::{figures::size, just::Just, taut::Taut};
use crate::log::{Level, Log};

/// How far a set-up is.
#[derive(Default)]
pub(crate) struct SetUpProgress {
    pub(crate) involved: usize,
    pub(crate) missing: usize,
    /// The number of repositories, missing or not.
    pub(crate) all: usize,
    /// Whether a message has named these numbers.
    pub(crate) is_announced: bool,
    /// Whether archives are fetched for later set-ups, and no root is made.
    pub(crate) is_fetch: bool,
    pub(crate) ended: usize,
    /// Transfers by repository: URL, bytes, and how many there will be.
    pub(crate) transfers: BTreeMap<String, (String, u64, Option<u64>)>,
    pub(crate) running: BTreeMap<String, &'static str>,
}

/// The texts about repositories that are set up, fetched or updated.
pub(crate) trait SetUpTexts {
    /// So many repositories are reached from the main one.
    fn involved(&self, number: usize, log: &Log);

    /// `missing` of `all` repositories are about to be set up.
    fn setting_up(&self, missing: usize, all: usize, log: &Log);

    /// A transfer failed, and is tried again.
    fn fetched_again(&self, repository: &str, url: &str, cause: &str, log: &Log);

    /// A transfer has ended.
    fn fetched(&self, repository: &str, from: &str, bytes: u64, log: &Log);

    /// A command has made a tree.
    fn made(&self, repository: &str, command: &str, bytes: u64, log: &Log);

    /// How far a set-up is, in one line.
    fn set_up_line(&self, now: &SetUpProgress) -> String;

    /// The same as lines that are drawn over each other. `None`: there is only the line.
    fn set_up_frame(&self, now: &SetUpProgress, rows: usize) -> Option<Vec<String>>;

    /// `fetch` begins.
    fn fetch_begins(&self, log: &Log);

    /// No directory to write archives to was named, and none of these exists.
    fn no_fetch_directory(&self, considered: &[PathBuf], log: &Log);

    /// The directory that archives are written to.
    fn fetching_to(&self, directory: &Path, log: &Log);

    /// What there is to fetch: numbers in words.
    fn to_fetch(&self, parts: &[String], log: &Log);

    /// All of that is in the directory.
    fn fetch_completed(&self, parts: &[String], directory: &Path, log: &Log);

    /// `update` begins.
    fn update_begins(&self, log: &Log);

    /// The newest commits for so many repositories are about to be determined.
    fn updating(&self, number: usize, log: &Log);

    /// `update` has ended for so many repositories, with or without success.
    fn update_ended(&self, number: usize, is_successful: bool, log: &Log);
}

impl SetUpTexts for Just {
    fn involved(&self, number: usize, log: &Log) {
        log.say(Level::Info, format!("Found {number} repositories involved"));
    }

    // The reference announces only how many are involved.
    fn setting_up(&self, _: usize, _: usize, _: &Log) {}

    fn fetched_again(&self, repository: &str, url: &str, cause: &str, log: &Log) {
        log.say(Level::Debug, again(repository, url, cause));
    }

    fn fetched(&self, repository: &str, from: &str, bytes: u64, log: &Log) {
        log.say(Level::Debug, transferred(repository, from, bytes));
    }

    fn made(&self, repository: &str, command: &str, bytes: u64, log: &Log) {
        log.say(Level::Debug, made(repository, command, bytes));
    }

    fn set_up_line(&self, now: &SetUpProgress) -> String {
        // Events of several threads: the counts need not fit to each other at each moment.
        let found = now.involved - now.missing.min(now.involved);
        let percent = match now.missing {
            0 => 100,
            missing => now.ended * 100 / missing,
        };
        // Always 0: these kinds are not set up here. The line keeps its form, which scripts parse.
        let mut line = format!("[{percent:3}%] 0 computed, 0 local, {found} cached, {} done", now.ended);
        if let Some(first) = now.running.keys().next() {
            let running = now.running.len();
            let others = if running > 1 { ", ..." } else { "" };
            line.push_str(&format!("; {running} fetches ({}{others})", quoted(first)));
        }
        line
    }

    fn set_up_frame(&self, _: &SetUpProgress, _: usize) -> Option<Vec<String>> {
        None
    }

    fn fetch_begins(&self, log: &Log) {
        log.say(Level::Info, "Performing repositories fetch");
    }

    fn no_fetch_directory(&self, considered: &[PathBuf], log: &Log) {
        let considered: Vec<_> = considered.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        let mut json = taut_value::JsonWriter::compact();
        json.strings(&considered);
        log.say(Level::Error, format!("No directory found to fetch to, considered {}", json.finish()));
    }

    fn fetching_to(&self, directory: &Path, log: &Log) {
        log.say(Level::Info, format!("Fetching to {}", directory.display()));
    }

    fn to_fetch(&self, parts: &[String], log: &Log) {
        let text = match parts.is_empty() {
            true => "No fetch required".to_owned(),
            false => format!("Found {} to fetch", parts.join(" and ")),
        };
        log.say(Level::Info, text);
    }

    fn fetch_completed(&self, _: &[String], _: &Path, log: &Log) {
        log.say(Level::Info, "Fetch completed");
    }

    fn update_begins(&self, log: &Log) {
        log.say(Level::Info, "Performing repositories update");
    }

    fn updating(&self, number: usize, log: &Log) {
        let what = if number == 1 { "repository" } else { "repositories" };
        log.say(Level::Info, format!("Discovered {number} Git {what} to update"));
    }

    fn update_ended(&self, number: usize, is_successful: bool, log: &Log) {
        if number == 0 {
            log.say(Level::Info, "No update needed");
        } else if is_successful {
            log.say(Level::Info, "Update completed");
        }
    }
}

impl SetUpTexts for Taut {
    fn involved(&self, _: usize, _: &Log) {}

    fn setting_up(&self, missing: usize, all: usize, log: &Log) {
        log.say(Level::Info, format!("Setting up {missing} of {}.", number_of_repositories(all)));
    }

    fn fetched_again(&self, repository: &str, url: &str, cause: &str, log: &Log) {
        // A warning here: the call may take minutes because of it. The reference shows it at a
        // level that is off by default.
        log.say(Level::Warn, again(repository, url, cause));
    }

    fn fetched(&self, repository: &str, from: &str, bytes: u64, log: &Log) {
        log.say(Level::Info, transferred(repository, from, bytes));
    }

    fn made(&self, repository: &str, command: &str, bytes: u64, log: &Log) {
        log.say(Level::Info, made(repository, command, bytes));
    }

    fn set_up_line(&self, now: &SetUpProgress) -> String {
        const MAX_SHOWN: usize = 3;
        let running: Vec<String> = now
            .running
            .iter()
            .take(MAX_SHOWN)
            .map(|(name, type_name)| format!("{} {}", quoted(name), running(now, name, type_name)))
            .collect();
        let others = if now.running.len() > MAX_SHOWN { ", …" } else { "" };
        let now = ended(now);
        match running.is_empty() {
            true => now,
            false => format!("{now}; fetching {}{others}", running.join(", ")),
        }
    }

    fn set_up_frame(&self, now: &SetUpProgress, rows: usize) -> Option<Vec<String>> {
        let mut lines = vec![ended(now)];
        for (name, type_name) in &now.running {
            lines.push(format!("  {}: {}", quoted(name), running(now, name, type_name)));
        }
        // As many as the terminal has, less one for the cursor: lines that scroll away could not be drawn over.
        lines.truncate(rows.saturating_sub(1).max(1));
        Some(lines)
    }

    fn fetch_begins(&self, _: &Log) {}

    fn no_fetch_directory(&self, considered: &[PathBuf], log: &Log) {
        let considered: Vec<_> = considered.iter().map(|path| path.to_string_lossy()).collect();
        log.say(
            Level::Error,
            format!(
                "No directory to write archives to: -o DIR names one, otherwise it is the first of {} that exists.",
                considered.join(", ")
            ),
        );
    }

    fn fetching_to(&self, _: &Path, _: &Log) {}

    fn to_fetch(&self, parts: &[String], log: &Log) {
        if !parts.is_empty() {
            log.say(Level::Info, format!("Fetching {}.", parts.join(" and ")));
        }
    }

    fn fetch_completed(&self, parts: &[String], directory: &Path, log: &Log) {
        let text = match parts.is_empty() {
            true => "Nothing has to be fetched.".to_owned(),
            false => format!("{} in {}.", parts.join(" and "), directory.display()),
        };
        log.say(Level::Info, text);
    }

    fn update_begins(&self, _: &Log) {}

    fn updating(&self, _: usize, _: &Log) {}

    fn update_ended(&self, _: usize, _: bool, _: &Log) {}
}

fn again(repository: &str, url: &str, cause: &str) -> String {
    format!("{url}: {cause}; trying again, for repository {}", quoted(repository))
}

fn transferred(repository: &str, from: &str, bytes: u64) -> String {
    format!("Fetched {} from {from}, {}.", quoted(repository), size(bytes))
}

fn made(repository: &str, command: &str, bytes: u64) -> String {
    format!("Made {} by the command {}, {}.", quoted(repository), shortened(command), size(bytes))
}

/// A command, cut if it is long.
fn shortened(command: &str) -> String {
    const MAX_SHOWN: usize = 100;
    // By characters, so that none is cut in half.
    match command.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &command[..end]),
        None => command.to_owned(),
    }
}

/// How many are done.
fn ended(now: &SetUpProgress) -> String {
    let what = if now.is_fetch { "fetched" } else { "set up" };
    format!("{} of {} {what}", now.ended, number_of_repositories(now.missing))
}

/// What is known of a repository that is being fetched.
fn running(now: &SetUpProgress, name: &str, type_name: &str) -> String {
    match now.transfers.get(name) {
        Some((url, bytes, Some(total))) => format!("{} of {} from {url}", size(*bytes), size(*total)),
        // Git does not say how much comes in some ways of fetching.
        Some((url, 0, None)) => format!("from {url}"),
        Some((url, bytes, None)) => format!("{} from {url}", size(*bytes)),
        None => format!("({type_name})"),
    }
}

/// A number of repositories in words.
fn number_of_repositories(number: usize) -> String {
    format!("{number} repositor{}", if number == 1 { "y" } else { "ies" })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe gets a line from time to time; it has what the frames of a terminal have.
    #[test]
    fn the_line_about_progress_has_the_urls_and_how_much_is_there() {
        let transfers = [
            ("a", ("https://h/a.tgz", 1_200_000, Some(5_000_000))),
            ("d", ("http://h/dumb.git", 0, None)),
            ("g", ("ssh://h/g", 3_000, None)),
        ];
        let now = SetUpProgress {
            missing: 7,
            ended: 2,
            transfers: transfers
                .map(|(name, (url, bytes, total))| (name.to_owned(), (url.to_owned(), bytes, total)))
                .into(),
            running: [("a", "archive"), ("d", "git"), ("g", "git")].map(|(n, t)| (n.to_owned(), t)).into(),
            ..SetUpProgress::default()
        };
        assert_eq!(
            Taut.set_up_line(&now),
            "2 of 7 repositories set up; fetching \"a\" 1.1 MiB of 4.8 MiB from https://h/a.tgz, \
             \"d\" from http://h/dumb.git, \"g\" 2.9 KiB from ssh://h/g"
        );
        let mut now = SetUpProgress { is_fetch: true, transfers: BTreeMap::new(), ..now };
        now.running.insert("t".to_owned(), "git tree");
        assert_eq!(
            Taut.set_up_line(&now),
            "2 of 7 repositories fetched; fetching \"a\" (archive), \"d\" (git), \"g\" (git), …"
        );
        now.running.clear();
        assert_eq!(Taut.set_up_line(&now), "2 of 7 repositories fetched");
    }
}
