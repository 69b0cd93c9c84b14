//! `watch`: builds a target, then builds it again whenever something changes that it was made from.
//!
//! One session serves all rounds (`round`). Between them `notice` finds out what changed, and `feedback` whether taut
//! itself changed it.
//!
//! While `watch` waits, `gc` may run: the store is released between rounds. After that, objects that the session has
//! found in the store may be gone, so a new session begins.

use std::{
    cell::Cell,
    collections::{BTreeSet, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use taut_driver::{
    Analysed, KeyRef, Leaves, MAX_TRIES, Recheck, Request, Session, SetupError, Signatures, Traces,
    UnresolvedRequest,
    event::{Event, Sink},
};
use taut_store::Store;
use taut_sys::watch::{Unwatched, Watch};

use crate::{
    environment::open_store,
    exit::Exit,
    interruption::Interruption,
    log::{Level, Log},
    options,
    remote_execution::attach,
    reporting::{Reporting, warn_of_cache},
    repositories,
    reproduce::Reproduction,
    request,
    retry::{LOST_ROOTS, lost_objects},
    root_options::RootOptions,
    roots::Roots,
    settings::{analysis_options, build_options},
    text_file,
    tool_name::Name,
    voice::{self, BuildContext, BuildMessages, count, seconds},
};

mod database;
mod feedback;
mod notice;
mod pace;
mod paths;
mod round;

use feedback::Feedback;
use notice::RootPaths;
use pace::Pace;
use paths::what_changed;
use round::RoundHistory;

/// How many paths or actions are named in one message of a round.
const MAX_SHOWN: usize = 12;

/// Runs `watch`.
pub(crate) fn run(name: Name, o: &options::Watch, log: &Arc<Log>) -> Exit {
    // The request depends on this path, even if the directory is removed later.
    let here = std::env::current_dir().unwrap_or_else(|_| "/".into());
    let output = o.output_dir.as_ref().map(|directory| taut_sys::normal(&here.join(directory)));
    let watcher = Watcher {
        name,
        o,
        log,
        here,
        output,
        rounds: Cell::new(0),
        repairs_roots: Cell::new(false),
        verifies: Cell::new(false),
    };
    let begin = Instant::now();
    let exit = watcher.run().unwrap_or_else(|exit| exit);
    if matches!(exit, Exit::Signal(_)) {
        let rounds = count(watcher.rounds.get(), "build");
        log.say(Level::Info, format!("Stopped watching after {rounds} in {}", seconds(begin.elapsed())));
    }
    exit
}

struct Watcher<'o> {
    name: Name,
    o: &'o options::Watch,
    log: &'o Arc<Log>,
    /// The working directory at the beginning, to which the command line is relative.
    here: PathBuf,
    /// Where to install.
    output: Option<PathBuf>,
    /// How many rounds there were.
    rounds: Cell<usize>,
    /// Whether roots of the request can be made again, if something of them is lost.
    repairs_roots: Cell<bool>,
    /// Whether what is there of roots is looked at as a whole, since something was lost.
    verifies: Cell<bool>,
}

/// Events go to the messages and the event log of the present round.
// One sink for the life of a session, whose target changes: a session takes its sinks once.
struct CurrentRound(Mutex<(Arc<dyn BuildMessages>, Arc<Reporting>)>);

impl CurrentRound {
    fn messages(&self) -> Arc<dyn BuildMessages> {
        self.both().0
    }

    fn both(&self) -> (Arc<dyn BuildMessages>, Arc<Reporting>) {
        // Cloned, so that no lock is held while an event is written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sink for CurrentRound {
    fn event(&self, event: &Event<'_>) {
        let (messages, reporting) = self.both();
        messages.event(event);
        reporting.event(event);
    }
}

/// The state of watching one request, as long as the repositories stay the same.
struct WatchState {
    /// What the call asks for, as last read.
    asked: UnresolvedRequest,
    /// What that meant in the last round, if it meant anything.
    request: Option<Request>,
    store: Store,
    present: Arc<CurrentRound>,
    session: Session,
    watch: Watch,
    leaves: Leaves,
    /// The directories and links above the roots and above the files that define the request.
    root_paths: RootPaths,
    /// The roots that were there at some time.
    roots: HashSet<PathBuf>,
    /// The message about a missing root that is waited for.
    waits: Option<String>,
    /// Whether the next round has to check everything.
    is_pending: bool,
    /// Directories and files that are links.
    links: BTreeSet<PathBuf>,
    /// The files that are to be watched, if they should be.
    files: BTreeSet<PathBuf>,
    /// The state of all files at the last poll, where the system may not report changes.
    seen: Signatures,
    /// When to poll again.
    next_poll: Instant,
    /// The reasons why the system may not report changes, as last reported, if they were.
    unwatched: Option<BTreeSet<Unwatched>>,
    /// What the rounds so far found.
    history: RoundHistory,
    pace: Pace,
    /// The error of the request, as last reported.
    reported_request_error: Option<SetupError>,
    /// The error of the words of the command line, as last reported.
    reported_words_error: Option<SetupError>,
    /// When the last round began.
    begin: SystemTime,
    /// Whether it has waited for changes.
    is_settled: bool,
    /// The description whose reads are in `leaves`.
    noted: Option<Arc<Analysed>>,
}

impl WatchState {
    /// The changed paths that a message names: without the temporary files of editors, which no longer exist and were
    /// not read. If all are of this kind, all of them.
    fn relevant_paths(&self, paths: &[PathBuf]) -> Vec<PathBuf> {
        let is_of_interest =
            |path: &&PathBuf| self.leaves.is_file(path) || taut_sys::Named::lstat(path).is_ok();
        let named: Vec<PathBuf> = paths.iter().filter(is_of_interest).cloned().collect();
        if named.is_empty() { paths.to_vec() } else { named }
    }
}

/// Why a session ends.
enum SessionEnd {
    /// The repositories are described differently now.
    Repositories(Box<UnresolvedRequest>),
    /// Garbage was collected in the build root, before these paths changed.
    Collected(Vec<PathBuf>),
    /// Cached build state is damaged, so that it is not known what the build read.
    Damaged,
    /// Something of a root is lost, which is set up or computed again for a new session.
    LostRoots,
    /// An object is missing in the store; a new session makes it again. The function reports the error, for the last
    /// try.
    Lost(Box<dyn FnOnce() -> Exit>),
    Exit(Exit),
}

impl From<Exit> for SessionEnd {
    fn from(exit: Exit) -> SessionEnd {
        SessionEnd::Exit(exit)
    }
}

impl Watcher<'_> {
    fn run(&self) -> Result<Exit, Exit> {
        let build = &self.o.build;
        request::check(&build.common, &build.stores, &build.execution, self.log)?;
        // Before the first session, so that computing roots can be interrupted, too.
        let interruption = Interruption::watch(self.log);
        // How often in a row the first round found an object missing.
        let mut lost = 0;
        let mut uses_state = !build.analysis.no_trace;
        let roots = self.roots(&interruption);
        let mut asked = self.asked(&roots).map_err(|error| roots.report(&error))?;
        if let Some(path) = &build.analysis.serve_errors_log {
            // There are no targets served by another machine, so none failed.
            text_file::write(path, "[]\n", self.log)?;
        }
        loop {
            let mut state = self.open_session(asked, uses_state)?;
            interruption.wake_on_signal(state.watch.waker());
            let over = interruption.stop_on_signal(&state.session).map_err(SessionEnd::Exit);
            let over = over.and_then(|()| self.rounds(&mut state, &interruption));
            state.session.close();
            // Only tries that follow each other count: objects that are lost hours later are another incident.
            if state.is_settled || !matches!(over, Err(SessionEnd::Lost(_))) {
                lost = 0;
            }
            match over {
                Err(SessionEnd::Lost(stop)) if lost + 1 == MAX_TRIES => return Err(stop()),
                Err(SessionEnd::Lost(_)) => {
                    lost += 1;
                    self.log.say(Level::Warn, lost_objects(state.store.make_lost_again()));
                }
                Err(SessionEnd::Exit(exit)) => return Err(exit),
                Err(SessionEnd::Repositories(new)) => {
                    state.asked = *new;
                    self.log.say(Level::Info, "The description of the repositories changed.");
                }
                Ok(()) => {}
                Err(SessionEnd::LostRoots) => {
                    self.log.say(Level::Warn, LOST_ROOTS);
                    self.verifies.set(true);
                    let roots = self.roots(&interruption);
                    match self.asked(&roots) {
                        Ok(asked) => state.asked = asked,
                        // The next round reports what it lacks, and waits.
                        Err(error) => drop(roots.report(&error)),
                    }
                }
                Err(SessionEnd::Damaged) => {
                    uses_state = false;
                    self.log.say(Level::Warn, "Cached build state is corrupt; it is no longer used.");
                }
                Err(SessionEnd::Collected(paths)) => {
                    self.log.say(Level::Info, what_changed(&self.here, &state.relevant_paths(&paths)));
                    let text = "Garbage was collected in the build root meanwhile; checking everything.";
                    self.log.say(Level::Info, text);
                }
            }
            asked = state.asked;
        }
    }

    /// What computes the roots of a request.
    fn roots<'w>(&'w self, interruption: &'w Interruption) -> Roots<'w> {
        let of = RootOptions::of_build(self.name, &self.o.build);
        let roots = Roots::new(of, Some(interruption), self.log);
        if self.verifies.get() {
            roots.verify();
        }
        roots
    }

    /// What the command line asks for now.
    fn asked(&self, roots: &Roots<'_>) -> Result<UnresolvedRequest, SetupError> {
        let build = &self.o.build;
        let asked =
            request::request_in(&self.here, &build.common, &build.analysis, &build.analysis.target, roots)?;
        self.log.shows_texts_in(&asked.repositories);
        self.repairs_roots.set(roots.repairs());
        Ok(asked)
    }

    /// The messages of one round about its build.
    fn messages(&self, store: &Store) -> Arc<dyn BuildMessages> {
        let build = &self.o.build;
        let of = RootOptions::of_build(self.name, build);
        let again = Reproduction::of_call(std::env::args());
        let context = BuildContext::of_call(&of, &build.results, store, again);
        voice::of(self.log).build(context, Instant::now(), self.log)
    }

    /// Opens a session for what is asked for, with watches and messages. `uses_state`: with cached build state.
    fn open_session(&self, asked: UnresolvedRequest, uses_state: bool) -> Result<WatchState, Exit> {
        let build = &self.o.build;
        let store = open_store(self.name, &build.stores, self.log).ok_or(Exit::Environment)?;
        let messages = self.messages(&store);
        let reporting = Arc::new(Reporting::of_round(!build.analysis.no_trace));
        let present = Arc::new(CurrentRound(Mutex::new((messages, reporting))));
        let events: Arc<dyn Sink> = present.clone();
        let options =
            build_options(&build.common, (&build.execution, &build.stores), &build.results, false, self.log)?;
        attach(&options, &store, self.log)?;
        let traces = if uses_state { Traces::of(&store, &asked) } else { Traces::none() };
        let how = analysis_options(&build.common, &build.analysis, &build.stores);
        let session = Session::of(&asked.repositories, how, &store, &traces, &options, &events);
        let watch = if self.o.poll { Watch::polling() } else { Watch::new() };
        let watch = watch.map_err(|error| {
            self.log.say(Level::Error, error.to_string());
            Exit::Environment
        })?;
        let feedback: Feedback =
            self.output.as_ref().map(|output| Feedback::new(&asked.repositories, output)).unwrap_or_default();
        let (leaves, seen, noted) = Default::default();
        let (root_paths, roots, waits, links, files, unwatched) = Default::default();
        let is_pending = false;
        let begin = SystemTime::now();
        Ok(WatchState {
            asked,
            request: None,
            store,
            present,
            session,
            watch,
            leaves,
            root_paths,
            roots,
            waits,
            is_pending,
            links,
            files,
            seen,
            next_poll: Instant::now(),
            unwatched,
            history: RoundHistory { feedback, ..RoundHistory::default() },
            pace: Pace::default(),
            reported_request_error: None,
            reported_words_error: None,
            begin,
            is_settled: false,
            noted,
        })
    }

    fn rounds(&self, state: &mut WatchState, interruption: &Interruption) -> Result<(), SessionEnd> {
        self.watch_root_paths(state);
        self.round(state, interruption, None)?;
        self.settle(state, interruption)?;
        // The files that define the request are watched only now: they may have changed since the request was read.
        // Until the request is what it was when the watches were set.
        while self.renew(state, interruption)? {
            state.session.begin_round(&Recheck::Everything);
            self.round(state, interruption, Some(None))?;
            self.settle(state, interruption)?;
        }
        state.is_settled = true;
        warn_of_cache(state.session.cache_warning(), self.log);
        self.report_watched(state);
        loop {
            // Open directories would keep file systems from being unmounted while it waits.
            state.session.close_directories();
            // Without its lock, a `gc` need not wait for this process, which may run for days.
            state.store.pause().map_err(|error| self.lost(&error))?;
            // A `gc-repo` need not wait either. The request is read before the next round, and with it the roots are
            // set up.
            repositories::release();
            let mut change = self.change(state, interruption)?;
            if change.may_move_roots {
                self.watch_root_paths(state);
            }
            if self.waits_for_root(state) {
                state.is_pending = true;
                continue;
            }
            if !self.renew(state, interruption)? && !change.matters {
                continue;
            }
            // Leaves of the rule `file` are what descriptions are read from; sources of actions are leaves of another
            // rule.
            let is_description = |leaf: &KeyRef| leaf.rule() == "file";
            if matches!(&change.touched.again, Recheck::Only(leaves) if leaves.iter().any(is_description)) {
                state.history.feedback.forget_unstable();
            }
            if std::mem::take(&mut state.is_pending) {
                change.touched.again = Recheck::Everything;
            }
            let paths = change.touched.paths;
            if change.is_at_once {
                self.keep_pace(state, interruption, &paths)?;
            }
            // After a collection, what the session has in memory about the store is void.
            if !state.store.resume().map_err(|error| self.lost(&error))? {
                return Err(SessionEnd::Collected(paths));
            }
            state.session.begin_round(&change.touched.again);
            self.round(state, interruption, Some(Some(&paths)))?;
            self.settle(state, interruption)?;
            warn_of_cache(state.session.cache_warning(), self.log);
            self.report_watched(state);
        }
    }

    /// The build root can no longer be used.
    fn lost(&self, error: &dyn std::fmt::Display) -> Exit {
        self.log.say(Level::Error, format!("The build root can no longer be used: {error}"));
        Exit::Environment
    }

    /// Reads the request again, since the files that define it may have changed. Returns whether it is another one. An
    /// error is reported, and the request stays as it was.
    fn renew(&self, state: &mut WatchState, interruption: &Interruption) -> Result<bool, SessionEnd> {
        // The meaning of a target name depends on the working directory; while that is gone, the request stays as it
        // was.
        if state.root_paths.missing(&self.here).is_some() {
            return Ok(false);
        }
        let roots = self.roots(interruption);
        let asked = match self.asked(&roots) {
            Ok(asked) => asked,
            Err(error) => {
                interruption.check()?;
                // Each poll reads the request again: the same error is reported once.
                if state.reported_request_error.as_ref() != Some(&error) {
                    roots.report(&error);
                }
                state.reported_request_error = Some(error);
                return Ok(false);
            }
        };
        state.reported_request_error = None;
        // Keys of tasks have the numbers of roots, so a session cannot go on with other repositories.
        // By all of it, paths included: a moved root is another one to watch.
        if asked.repositories.identity() != state.asked.repositories.identity() {
            return Err(SessionEnd::Repositories(Box::new(asked)));
        }
        let is_other = !asked.is_same_question(&state.asked);
        state.asked = asked;
        Ok(is_other)
    }
}
