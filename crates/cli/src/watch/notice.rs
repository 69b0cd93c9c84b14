//! What changes are noticed, and by which means.
//!
//! Directories are watched before it is trusted that nothing in them changes unnoticed: when a round has looked into
//! new ones, all is looked at once more after they are watched. So is what leads to the roots, since a directory
//! that is moved, removed, or reached by a link that is set anew tells nothing of that itself. Where the system may not
//! tell of changes, everything is looked at from time to time.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use taut_driver::{Again, Touched, roots};
use taut_sys::watch::{Coverage, Interest, Missing, Noticed, Resolution, Unwatched, Woken, limit};

use super::{Held, Over, SHOWN, Watcher, paths::shown};
use crate::{exit::Exit, interruption::Interruption, log::Level};

/// How often everything is looked at where changes may go unnoticed.
const LOOK: Duration = Duration::from_secs(2);

/// How often ways are resolved again that change while they are about to be watched.
const TRIES: usize = 20;

/// What leads to directories.
#[derive(Default)]
pub(super) struct Ways {
    ways: BTreeMap<PathBuf, Resolution>,
    /// The entries on all of them.
    entries: BTreeSet<PathBuf>,
}

impl Ways {
    fn to(paths: &[PathBuf]) -> Ways {
        let ways: BTreeMap<PathBuf, Resolution> =
            paths.iter().map(|path| (path.clone(), Resolution::of(path))).collect();
        let entries = ways.values().flat_map(Resolution::entries).map(Path::to_owned).collect();
        Ways { ways, entries }
    }

    /// Why there is no directory at a path that one of them leads to.
    pub(super) fn missing(&self, path: &Path) -> Option<&Missing> {
        self.ways.get(path).and_then(Resolution::missing)
    }
}

/// What changed.
pub(super) struct Change {
    pub(super) touched: Touched,
    /// Whether it does if the words mean what they meant.
    pub(super) matters: bool,
    /// Whether it may have changed where roots are.
    pub(super) is_of_ways: bool,
    /// Whether it came before one could wait for it.
    pub(super) is_at_once: bool,
}

impl Watcher<'_> {
    /// Waits for a change.
    pub(super) fn change(&self, held: &mut Held, interruption: &Interruption) -> Result<Change, Over> {
        let mut is_at_once = true;
        loop {
            // Changes that do not matter must not put off the time to look.
            let is_polling = !held.watch.unwatched().is_empty();
            let left = is_polling.then(|| held.next_look.saturating_duration_since(Instant::now()));
            let left = if is_at_once && !is_polling { Some(Duration::ZERO) } else { left };
            let woken = match left {
                Some(Duration::ZERO) if is_polling => Woken::Nothing,
                left => held.watch.wait(left).map_err(|error| {
                    self.log.say(Level::Error, error.to_string());
                    Exit::Environment
                })?,
            };
            interruption.check()?;
            match woken {
                Woken::ByWaker => {}
                Woken::Nothing if is_polling => {
                    let change = self.look(held);
                    if !change.matters {
                        held.pace.rest();
                    }
                    return Ok(change);
                }
                Woken::Nothing => {}
                Woken::Changed(noticed) => {
                    if let Some(change) = self.what_matters(held, noticed) {
                        return Ok(Change { is_at_once, ..change });
                    }
                }
            }
            // All that the last round changed would have been told by now.
            held.pace.rest();
            is_at_once = false;
        }
    }

    /// What is to be looked at again; `None` if what changed does not matter.
    fn what_matters(&self, held: &mut Held, noticed: Noticed) -> Option<Change> {
        let came = noticed.paths.iter().filter(|(path, how)| how.entry && held.leaves.is_file(path));
        held.files.extend(came.map(|(path, _)| path.clone()));
        let (made, mut noticed) = held.so_far.feedback.split(noticed);
        let own = self.own_files();
        let of_request: Vec<PathBuf> =
            noticed.paths.keys().filter(|path| own.contains(path)).cloned().collect();
        let is_on_way = noticed
            .paths
            .iter()
            .filter(|(path, how)| (how.entry || how.attributes) && held.ways.entries.contains(*path))
            .map(|(path, _)| path.clone());
        let on_way: Vec<PathBuf> = is_on_way.collect();
        let is_other = !of_request.is_empty() || !on_way.is_empty();
        let others = held.leaves.touched(&noticed);
        if is_other || others.is_some() {
            noticed.merge(held.so_far.feedback.begin_anew());
        } else if held.so_far.feedback.is_stopped() {
            held.so_far.feedback.hold_back(made);
            return None;
        }
        noticed.merge(made);
        let touched = held.leaves.touched(&noticed);
        if touched.is_none() && !is_other {
            return None;
        }
        let mut touched = touched.unwrap_or(Touched { again: Again::Only(Vec::new()), paths: Vec::new() });
        if let Some(others) = others {
            // The rest is what earlier rounds did.
            touched.paths = others.paths;
        }
        let is_of_ways = !on_way.is_empty() || noticed.lost;
        if is_of_ways {
            touched.again = Again::Everything;
        }
        touched.paths.extend(of_request.into_iter().chain(on_way));
        touched.paths.sort();
        touched.paths.dedup();
        Some(Change { touched, matters: true, is_of_ways, is_at_once: false })
    }

    /// The files that say what the request is, and where links there lead.
    fn own_files(&self) -> Vec<PathBuf> {
        let build = &self.o.build;
        let named = build.common.repository_config.iter().chain(&build.analysis.config);
        let named: Vec<PathBuf> = named.map(|path| taut_sys::normal(&self.here.join(path))).collect();
        let led_to = named.iter().filter_map(|path| taut_sys::canonical(path).ok());
        let led_to: Vec<PathBuf> = led_to.filter(|path| !named.contains(path)).collect();
        [named, led_to].concat()
    }

    /// Finds what looks different from when it was last looked at.
    fn look(&self, held: &mut Held) -> Change {
        // There may be watches again; what changed before them is found now.
        held.watch.retry();
        self.watch_ways(held);
        if held.watch.is_empty() {
            self.watch_all(held);
        }
        let now = held.leaves.signatures();
        let paths = held.seen.differing(&now);
        held.seen = now;
        held.next_look = Instant::now() + LOOK;
        let (left, others): (Vec<PathBuf>, Vec<PathBuf>) =
            paths.into_iter().partition(|path| held.so_far.feedback.left(path));
        let is_other = !others.is_empty();
        if is_other {
            held.so_far.feedback.begin_anew();
        }
        let matters = is_other || (!left.is_empty() && !held.so_far.feedback.is_stopped());
        let paths = if is_other { others } else { left };
        Change {
            touched: Touched { again: Again::Everything, paths },
            matters,
            is_of_ways: false,
            is_at_once: true,
        }
    }

    /// Watches what leads to the roots, to what says what the request is, and to where links among sources lead.
    pub(super) fn watch_ways(&self, held: &mut Held) {
        let mut ends = roots(&held.request.repositories);
        ends.iter_mut().for_each(|root| *root = self.here.join(&*root));
        ends.extend(self.own_files());
        ends.push(self.here.clone());
        ends.extend(held.links.iter().cloned());
        held.watch.refresh();
        held.ways = Ways::to(&ends);
        for _ in 0..TRIES {
            let directories: BTreeSet<&Path> =
                held.ways.entries.iter().filter_map(|entry| entry.parent()).collect();
            for directory in directories {
                held.watch.add(directory, Interest::Entries);
            }
            let now = Ways::to(&ends);
            let is_as_watched = now.ways == held.ways.ways;
            held.ways = now;
            if is_as_watched {
                break;
            }
        }
    }

    /// Whether a root that was there is gone; tells so. Nothing is built then: what a pattern finds, or what is
    /// installed, would be made from nothing.
    pub(super) fn waits_for_root(&self, held: &mut Held) -> bool {
        let mut waits = None;
        for root in held.leaves.roots() {
            match held.ways.missing(&self.here.join(root)) {
                None => {
                    held.roots.insert(root.to_owned());
                }
                Some(missing) if held.roots.contains(root) => {
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
        if let Some(text) = waits.as_ref().filter(|text| held.waits.as_ref() != Some(*text)) {
            self.log.say(Level::Warn, text);
        }
        held.waits = waits;
        held.waits.is_some()
    }

    /// Watches what the rounds looked into; returns what was not watched before.
    fn watch_all(&self, held: &mut Held) -> HashSet<PathBuf> {
        let own = self.own_files();
        let mut new: HashSet<PathBuf> = HashSet::new();
        for directory in held.leaves.directories().chain(own.iter().filter_map(|file| file.parent())) {
            let coverage = held.watch.add(directory, Interest::Content);
            if coverage.is_some_and(|coverage| coverage != Coverage::Absent) {
                new.insert(directory.to_owned());
            }
        }
        // Directories first, should there not be enough watches.
        let mut files = std::mem::take(&mut held.files);
        files.append(&mut held.leaves.new_files());
        files.append(&mut held.watch.dropped());
        for file in files {
            if held.leaves.is_file(&file) && held.watch.add_file(&file) {
                new.insert(file);
            }
        }
        for file in own {
            held.watch.add_file(&file);
        }
        new
    }

    /// Watches what the rounds looked into. Where that is new, something may have changed before it was
    /// watched; then everything is looked at again.
    pub(super) fn settle(&self, held: &mut Held, interruption: &Interruption) -> Result<(), Over> {
        loop {
            // The same description looks where it looked before; but a build that failed did not look everywhere.
            let noted = held.so_far.last.clone();
            let is_noted = match (&noted, &held.noted) {
                (Some(now), Some(before)) => Arc::ptr_eq(now, before),
                _ => false,
            };
            if !is_noted || held.session.looked_around() {
                held.noted = noted.filter(|_| held.so_far.is_built);
                held.leaves.note(&held.session, &held.request.repositories);
            }
            held.watch.retry();
            let new = self.watch_all(held);
            let before = held.links.len();
            let is_link = |path: &&PathBuf| taut_sys::Named::lstat(path).is_ok_and(|stat| stat.is_symlink());
            held.links.extend(new.iter().filter(is_link).cloned());
            held.links.extend(held.leaves.links().map(Path::to_owned));
            let has_links = held.links.len() > before;
            if has_links {
                self.watch_ways(held);
            }
            if !held.watch.unwatched().is_empty() {
                // What changed since the last look is still to be noticed.
                held.seen.learn(held.leaves.signatures());
            }
            let analysis = || held.session.whole_analysis(&held.request).ok();
            if let Some(text) = held.so_far.feedback.check(&held.leaves, analysis, &held.request, &self.here)
            {
                self.log.say(Level::Warn, text);
            }
            if self.waits_for_root(held) {
                held.is_pending = true;
                return Ok(());
            }
            let feedback = &held.so_far.feedback;
            let known = |path: &Path| feedback.is_stopped() && feedback.left(path);
            let is_changed = !new.is_empty() && held.leaves.changed_since(&new, held.begin, known);
            if !is_changed && !has_links {
                return Ok(());
            }
            let mut paths: Vec<PathBuf> = held.leaves.roots().map(Path::to_owned).collect();
            paths.sort();
            self.keep_pace(held, interruption, &paths)?;
            held.session.begin_again(&Again::Everything);
            self.round(held, interruption, Some(None))?;
        }
    }

    /// Waits before a round that follows others which changed the same paths.
    pub(super) fn keep_pace(
        &self,
        held: &mut Held,
        interruption: &Interruption,
        paths: &[PathBuf],
    ) -> Result<(), Over> {
        let Some((pause, is_first)) = held.pace.step(paths) else { return Ok(()) };
        if is_first {
            let paths: Vec<String> =
                held.pace.paths().iter().take(SHOWN).map(|path| shown(&self.here, path)).collect();
            let text = format!(
                "Each of the last rounds changed what the target is made from ({}): an action writes there, or the \
                 build root, a log file or another output lies there.\n\
                 From now on rounds wait, longer each time, as long as that goes on.",
                paths.join(", ")
            );
            self.log.say(Level::Warn, text);
        }
        held.watch.pause(pause).map_err(|error| {
            self.log.say(Level::Error, error.to_string());
            Exit::Environment
        })?;
        Ok(interruption.check()?)
    }

    /// Tells how many directories are watched, and why changes may not be told, if it was not told before.
    pub(super) fn report_watched(&self, held: &mut Held) {
        let why = held.watch.unwatched();
        let in_words = format!("{why:?}");
        if held.unwatched == in_words {
            return;
        }
        held.unwatched = in_words;
        let reasons: Vec<String> = why.iter().filter_map(reason).collect();
        if !reasons.is_empty() {
            let text = "Changes are found by looking at everything every two seconds, as with --poll.";
            let text = format!("{}.\n{text}", reasons.join(";\n"));
            self.log.say(Level::Warn, text);
        }
        let polling = match why.is_empty() {
            true => "",
            false => "; some cannot be, so everything is looked at every two seconds",
        };
        let directories = match held.watch.len() {
            1 => "1 directory".to_owned(),
            many => format!("{many} directories"),
        };
        self.log.say(Level::Info, format!("Watching {directories}{polling}. Interrupt to end."));
    }
}

/// In words, why the system may not tell of changes.
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
        Unwatched::Permission => "A directory may not be read, and so not be watched".into(),
        Unwatched::Refused => "The system refuses to watch a directory".into(),
    })
}
