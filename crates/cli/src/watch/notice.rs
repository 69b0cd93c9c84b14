//! Which changes start a round, and how they are noticed.
//!
//! A change between the read of a file and the watch of its directory would be missed. So, when a round has read new
//! directories, they are watched, and then everything is checked once more. The directories and links above the roots
//! are watched, too: the system reports nothing for a directory itself if one above it is moved or removed, or if a
//! link to it is replaced. Where the system may not report changes (network file systems, exhausted limits), everything
//! is checked every [`POLL_INTERVAL`].

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use taut_driver::{ChangedLeaves, Recheck, roots};
use taut_sys::watch::{Coverage, Interest, Missing, Noticed, Resolution, Unwatched, WakeReason, limit};

use super::{MAX_SHOWN, SessionEnd, WatchState, Watcher, paths::shown};
use crate::{exit::Exit, interruption::Interruption, log::Level, repositories};

/// How often everything is checked where the system may not report changes.
// A poll looks at each file that was read: often enough to follow edits, seldom enough to be no load.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// How often paths are resolved again that change while they are about to be watched.
// The bound keeps a path that is replaced all the time from holding up the call.
const MAX_RESOLUTIONS: usize = 20;

/// The paths to roots and other directories, with all directories and links above them.
#[derive(Default)]
pub(super) struct RootPaths {
    resolutions: BTreeMap<PathBuf, Resolution>,
    /// The directory entries on all of these paths.
    entries: BTreeSet<PathBuf>,
}

impl RootPaths {
    fn to(paths: &[PathBuf]) -> RootPaths {
        let resolutions: BTreeMap<PathBuf, Resolution> =
            paths.iter().map(|path| (path.clone(), Resolution::of(path))).collect();
        let entries = resolutions.values().flat_map(Resolution::entries).map(Path::to_owned).collect();
        RootPaths { resolutions, entries }
    }

    /// Why one of the paths leads to no directory, if that is so.
    pub(super) fn missing(&self, path: &Path) -> Option<&Missing> {
        self.resolutions.get(path).and_then(Resolution::missing)
    }
}

/// A change that was noticed.
pub(super) struct Change {
    pub(super) touched: ChangedLeaves,
    /// Whether it starts a round even if the command line still means the same request.
    pub(super) matters: bool,
    /// Whether roots may be other directories now.
    pub(super) may_move_roots: bool,
    /// Whether it was there without waiting: the last round may have made it.
    pub(super) is_at_once: bool,
}

impl Watcher<'_> {
    /// Waits for a change that may matter.
    pub(super) fn change(
        &self,
        state: &mut WatchState,
        interruption: &Interruption,
    ) -> Result<Change, SessionEnd> {
        let mut is_at_once = true;
        loop {
            // Changes that do not matter must not put off the next poll.
            let is_polling = !state.watch.unwatched().is_empty();
            let left = is_polling.then(|| state.next_poll.saturating_duration_since(Instant::now()));
            // Without waiting first: what the last round changed has been reported by now.
            let left = if is_at_once && !is_polling { Some(Duration::ZERO) } else { left };
            let woken = match left {
                Some(Duration::ZERO) if is_polling => WakeReason::Nothing,
                left => state.watch.wait(left).map_err(|error| {
                    self.log.say(Level::Error, error.to_string());
                    Exit::Environment
                })?,
            };
            // Before the reason of the wakeup is looked at, since a signal wakes the wait as well.
            interruption.check()?;
            match woken {
                WakeReason::ByWaker => {}
                WakeReason::Nothing if is_polling => {
                    let change = self.poll(state);
                    if !change.matters {
                        state.pace.rest();
                    }
                    return Ok(change);
                }
                WakeReason::Nothing => {}
                WakeReason::Changed(noticed) => {
                    if let Some(change) = self.relevant_change(state, noticed) {
                        return Ok(Change { is_at_once, ..change });
                    }
                }
            }
            // All that the last round changed would have been reported by now.
            state.pace.rest();
            is_at_once = false;
        }
    }

    /// What has to be read again; `None` if the change does not matter.
    fn relevant_change(&self, state: &mut WatchState, noticed: Noticed) -> Option<Change> {
        let came = noticed.paths.iter().filter(|(path, how)| how.entry && state.leaves.is_file(path));
        // A file that appears under a name that was read is another inode, and has no watch yet.
        state.files.extend(came.map(|(path, _)| path.clone()));
        let (made, mut noticed) = state.history.feedback.split(noticed);
        let request_files = self.request_files();
        let of_request: Vec<PathBuf> =
            noticed.paths.keys().filter(|path| request_files.contains(path)).cloned().collect();
        let is_on_root_path = noticed
            .paths
            .iter()
            .filter(|(path, how)| (how.entry || how.attributes) && state.root_paths.entries.contains(*path))
            .map(|(path, _)| path.clone());
        let on_root_paths: Vec<PathBuf> = is_on_root_path.collect();
        let is_other = !of_request.is_empty() || !on_root_paths.is_empty();
        // Looked up twice: here without what the installation made, to see whether there is another reason for a round.
        let others = state.leaves.touched(&noticed);
        if is_other || others.is_some() {
            noticed.merge(state.history.feedback.begin_anew());
        } else if state.history.feedback.is_stopped() {
            state.history.feedback.hold_back(made);
            return None;
        }
        noticed.merge(made);
        let touched = state.leaves.touched(&noticed);
        if touched.is_none() && !is_other {
            return None;
        }
        let mut touched =
            touched.unwrap_or(ChangedLeaves { again: Recheck::Only(Vec::new()), paths: Vec::new() });
        if let Some(others) = others {
            // The rest was changed by earlier rounds.
            touched.paths = others.paths;
        }
        // If events were lost, anything may have happened, also above the roots.
        let may_move_roots = !on_root_paths.is_empty() || noticed.lost;
        if may_move_roots {
            touched.again = Recheck::Everything;
        }
        touched.paths.extend(of_request.into_iter().chain(on_root_paths));
        touched.paths.sort();
        touched.paths.dedup();
        Some(Change { touched, matters: true, may_move_roots, is_at_once: false })
    }

    /// The files that define the request (repository configuration, `--config`), and what they are links to.
    fn request_files(&self) -> Vec<PathBuf> {
        let build = &self.o.build;
        let described = repositories::files(&build.common, &self.here);
        let named = described.iter().chain(&build.analysis.config);
        let named: Vec<PathBuf> = named.map(|path| taut_sys::normal(&self.here.join(path))).collect();
        let led_to = named.iter().filter_map(|path| taut_sys::canonical(path).ok());
        let led_to: Vec<PathBuf> = led_to.filter(|path| !named.contains(path)).collect();
        [named, led_to].concat()
    }

    /// Compares everything with the state at the last poll.
    fn poll(&self, state: &mut WatchState) -> Change {
        // Watches may be available again; what changed before they were set is found by this poll.
        state.watch.retry();
        self.watch_root_paths(state);
        if state.watch.is_empty() {
            self.watch_all(state);
        }
        let now = state.leaves.signatures();
        // Signatures and not contents: what is only touched starts a round that finds nothing to do.
        let paths = state.seen.differing(&now);
        state.seen = now;
        state.next_poll = Instant::now() + POLL_INTERVAL;
        let (left, others): (Vec<PathBuf>, Vec<PathBuf>) =
            paths.into_iter().partition(|path| state.history.feedback.left(path));
        let is_other = !others.is_empty();
        if is_other {
            state.history.feedback.begin_anew();
        }
        let matters = is_other || (!left.is_empty() && !state.history.feedback.is_stopped());
        let paths = if is_other { others } else { left };
        Change {
            touched: ChangedLeaves { again: Recheck::Everything, paths },
            matters,
            may_move_roots: false,
            is_at_once: true,
        }
    }

    /// Watches the directories and links above the roots, the files that define the request, and the targets of links
    /// among sources.
    pub(super) fn watch_root_paths(&self, state: &mut WatchState) {
        let mut ends = roots(&state.asked.repositories);
        ends.iter_mut().for_each(|root| *root = self.here.join(&*root));
        ends.extend(self.request_files());
        ends.push(self.here.clone());
        ends.extend(state.links.iter().cloned());
        state.watch.refresh();
        state.root_paths = RootPaths::to(&ends);
        // A path may change between its resolution and its watch, so both are repeated until they agree.
        for _ in 0..MAX_RESOLUTIONS {
            let directories: BTreeSet<&Path> =
                state.root_paths.entries.iter().filter_map(|entry| entry.parent()).collect();
            for directory in directories {
                state.watch.add(directory, Interest::Entries);
            }
            let now = RootPaths::to(&ends);
            let is_as_watched = now.resolutions == state.root_paths.resolutions;
            state.root_paths = now;
            if is_as_watched {
                break;
            }
        }
    }

    /// Whether a root that was there is gone; reports that. Nothing is built then: patterns would find no files, and
    /// installing would remove results.
    pub(super) fn waits_for_root(&self, state: &mut WatchState) -> bool {
        let mut waits = None;
        for root in state.leaves.roots() {
            match state.root_paths.missing(&self.here.join(root)) {
                None => {
                    // Only roots that were there are waited for: one that never was is an error of the description.
                    state.roots.insert(root.to_owned());
                }
                Some(missing) if state.roots.contains(root) => {
                    let (entry, why) = (missing.entry.display(), &missing.why);
                    waits.get_or_insert_with(|| {
                        format!(
                            "The root {} is gone: {entry} {why}. Waiting until it is there again.",
                            root.display()
                        )
                    });
                }
                Some(_) => {}
            }
        }
        if let Some(text) = waits.as_ref().filter(|text| state.waits.as_ref() != Some(*text)) {
            self.log.say(Level::Warn, text);
        }
        state.waits = waits;
        state.waits.is_some()
    }

    /// Watches everything that the rounds read; returns what was not watched before.
    fn watch_all(&self, state: &mut WatchState) -> HashSet<PathBuf> {
        let request_files = self.request_files();
        let mut new: HashSet<PathBuf> = HashSet::new();
        for directory in
            // Directories are watched and not files, since editors replace files by renaming; the names in a
            // directory stay valid.
            state.leaves.directories().chain(request_files.iter().filter_map(|file| file.parent()))
        {
            let coverage = state.watch.add(directory, Interest::Content);
            if coverage.is_some_and(|coverage| coverage != Coverage::Absent) {
                new.insert(directory.to_owned());
            }
        }
        // Directories first, in case there are not enough watches.
        let mut files = std::mem::take(&mut state.files);
        files.append(&mut state.leaves.new_files());
        // Watches that the system removed, for instance of a file that was replaced.
        files.append(&mut state.watch.dropped());
        for file in files {
            if state.leaves.is_file(&file) && state.watch.add_file(&file) {
                new.insert(file);
            }
        }
        for file in request_files {
            state.watch.add_file(&file);
        }
        new
    }

    /// Watches everything that the rounds read. What is new there may have changed before it was watched; then there is
    /// another round, which checks everything.
    pub(super) fn settle(
        &self,
        state: &mut WatchState,
        interruption: &Interruption,
    ) -> Result<(), SessionEnd> {
        loop {
            // The same description reads the same files; but a build that failed did not read all of them.
            let noted = state.history.last.clone();
            let is_noted = match (&noted, &state.noted) {
                (Some(now), Some(before)) => Arc::ptr_eq(now, before),
                _ => false,
            };
            if !is_noted || state.session.may_have_new_leaves() {
                state.noted = noted.filter(|_| state.history.is_built);
                if !state.leaves.note(&state.session, &state.asked.repositories) {
                    // Without its reads in the build state there is nothing to watch.
                    return Err(SessionEnd::Damaged);
                }
            }
            state.watch.retry();
            let new = self.watch_all(state);
            let before = state.links.len();
            let is_link = |path: &&PathBuf| taut_sys::Named::lstat(path).is_ok_and(|stat| stat.is_symlink());
            state.links.extend(new.iter().filter(is_link).cloned());
            state.links.extend(state.leaves.links().map(Path::to_owned));
            let has_links = state.links.len() > before;
            if has_links {
                self.watch_root_paths(state);
            }
            if !state.watch.unwatched().is_empty() {
                // What changed since the last poll is still to be noticed.
                state.seen.add_new(state.leaves.signatures());
            }
            let analysis = || state.session.whole_analysis(state.request.as_ref()?).ok();
            let repositories = &state.asked.repositories;
            if let Some(text) = state.history.feedback.check(&state.leaves, analysis, repositories, self) {
                self.log.say(Level::Warn, text);
            }
            if self.waits_for_root(state) {
                state.is_pending = true;
                return Ok(());
            }
            let feedback = &state.history.feedback;
            let known = |path: &Path| feedback.is_stopped() && feedback.left(path);
            // Only what was not watched during the round can have changed unnoticed.
            let is_changed = !new.is_empty() && state.leaves.changed_since(&new, state.begin, known);
            if !is_changed && !has_links {
                return Ok(());
            }
            let mut paths: Vec<PathBuf> = state.leaves.roots().map(Path::to_owned).collect();
            paths.sort();
            self.keep_pace(state, interruption, &paths)?;
            state.session.begin_round(&Recheck::Everything);
            self.round(state, interruption, Some(None))?;
        }
    }

    /// Waits before a round if several rounds in a row changed the same paths.
    pub(super) fn keep_pace(
        &self,
        state: &mut WatchState,
        interruption: &Interruption,
        paths: &[PathBuf],
    ) -> Result<(), SessionEnd> {
        let Some((pause, is_first)) = state.pace.step(paths) else { return Ok(()) };
        if is_first {
            let paths: Vec<String> =
                state.pace.paths().iter().take(MAX_SHOWN).map(|path| shown(&self.here, path)).collect();
            let text = format!(
                "Each of the last rounds changed what the target is made from ({}): an action writes there, or the \
                 build root, a log file or another output lies there.\n\
                 From now on rounds wait, longer each time, as long as that goes on.",
                paths.join(", ")
            );
            self.log.say(Level::Warn, text);
        }
        state.watch.pause(pause).map_err(|error| {
            self.log.say(Level::Error, error.to_string());
            Exit::Environment
        })?;
        Ok(interruption.check()?)
    }

    /// Reports how many directories are watched, and why the system may not report changes, if that is new.
    pub(super) fn report_watched(&self, state: &mut WatchState) {
        let why = state.watch.unwatched();
        if state.unwatched.as_ref() == Some(&why) {
            return;
        }
        let reasons: Vec<String> = why.iter().filter_map(reason).collect();
        if !reasons.is_empty() {
            let text = "Everything is checked every two seconds, as with --poll.";
            let text = format!("{}.\n{text}", reasons.join(";\n"));
            self.log.say(Level::Warn, text);
        }
        let polling = "checking everything every two seconds";
        let how = match (state.watch.len(), why.is_empty()) {
            (0, false) => format!("by {polling}"),
            (1, true) => "1 directory".to_owned(),
            (1, false) => format!("1 directory, and {polling}"),
            (many, true) => format!("{many} directories"),
            (many, false) => format!("{many} directories, and {polling}"),
        };
        self.log.say(Level::Info, format!("Watching {how}. Interrupt to end."));
        state.unwatched = Some(why);
    }
}

/// The message about why the system may not report changes.
fn reason(why: &Unwatched) -> Option<String> {
    let value = |name: &str| limit(name).map_or(String::new(), |value| format!(" = {value}"));
    Some(match why {
        Unwatched::ByRequest => return None,
        Unwatched::Instances => format!(
            "No inotify instance is left for this user (the limit is fs.inotify.max_user_instances{}, or \
             user.max_inotify_instances in a namespace)",
            value("max_user_instances")
        ),
        Unwatched::Watches => format!(
            "No inotify watch is left for this user (the limit is fs.inotify.max_user_watches{})",
            value("max_user_watches")
        ),
        Unwatched::Files => format!(
            "More files with several names are read than are watched one by one (an eighth of \
             fs.inotify.max_user_watches{})",
            value("max_user_watches")
        ),
        Unwatched::Remote => {
            "The system does not tell what other machines change in a network file system".into()
        }
        Unwatched::Permission => "Directories that may not be read cannot be watched".into(),
        Unwatched::Refused => "The system refuses to watch directories".into(),
    })
}
