//! `watch`: builds a target, then builds it again whenever something changes that it was made from.
//!
//! One session lives through all rounds (`round`), between which `notice` finds out what changed and `feedback`
//! whether taut did it itself.
//!
//! Between rounds garbage may be collected. What a session knows is worth nothing then, and the next round begins as
//! a first one does.

use std::{
    cell::Cell,
    collections::{BTreeSet, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use taut_driver::{
    Again, Analysed, KeyRef, Leaves, MAX_TRIES, Request, Session, SetupError, Signatures, Traces,
    event::{Event, Sink},
};
use taut_store::Store;
use taut_sys::watch::Watch;

use crate::{
    exit::Exit,
    interruption::Interruption,
    log::{Level, Log},
    options,
    reporting::{Reporting, warn_of_cache},
    reproduce::Reproduction,
    request,
    retry::LOST_OBJECTS,
    settings::{analysis_options, build_options},
    surroundings::{Name, build_root, build_root_option, open_store},
    text_file,
    voice::{BuildMessages, Of, count, seconds},
};

mod feedback;
mod notice;
mod pace;
mod paths;
mod round;

use feedback::Feedback;
use notice::Ways;
use pace::Pace;
use paths::what_changed;
use round::SoFar;

/// How many of a kind are named in one round.
const SHOWN: usize = 12;

/// Runs `watch`.
pub(crate) fn run(name: Name, o: &options::Watch, log: &Arc<Log>) -> Exit {
    // What the words mean depends on the path, whatever becomes of the directory.
    let here = std::env::current_dir().unwrap_or_else(|_| "/".into());
    let output = o.output_dir.as_ref().map(|directory| taut_sys::normal(&here.join(directory)));
    let watcher = Watcher { name, o, log, here, output, rounds: Cell::new(0) };
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
    /// The working directory in which the words were said.
    here: PathBuf,
    /// Where to install.
    output: Option<PathBuf>,
    /// How many rounds there were.
    rounds: Cell<usize>,
}

/// Events go to the messages and the event log of the present round.
struct Present(Mutex<(Arc<dyn BuildMessages>, Arc<Reporting>)>);

impl Present {
    fn messages(&self) -> Arc<dyn BuildMessages> {
        self.both().0
    }

    fn both(&self) -> (Arc<dyn BuildMessages>, Arc<Reporting>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sink for Present {
    fn event(&self, event: &Event<'_>) {
        let (messages, reporting) = self.both();
        messages.event(event);
        reporting.tell(event);
    }
}

/// What lives as long as the repositories stay what they are.
struct Held {
    request: Request,
    store: Store,
    present: Arc<Present>,
    session: Session,
    watch: Watch,
    leaves: Leaves,
    /// What leads to the roots, and to what says what the request is.
    ways: Ways,
    /// The roots that were there at some time.
    roots: HashSet<PathBuf>,
    /// What is waited for, as it was told.
    waits: Option<String>,
    /// Whether the next round has to look at everything.
    is_pending: bool,
    /// Directories and files that are links.
    links: BTreeSet<PathBuf>,
    /// The files that are to be watched, if they should be.
    files: BTreeSet<PathBuf>,
    /// What everything looked like when it was last looked at, where changes may not be told.
    seen: Signatures,
    /// When to look again there.
    next_look: Instant,
    /// Why changes may not be told, as it was told.
    unwatched: String,
    /// What the rounds came to.
    so_far: SoFar,
    pace: Pace,
    /// What is wrong with the words, as it was told.
    told_of_request: String,
    /// When the last round began.
    begin: SystemTime,
    /// Whether it came to wait for changes.
    is_settled: bool,
    /// The description of which it is known where it looks.
    noted: Option<Arc<Analysed>>,
}

/// Why the rounds with a session ended.
enum Over {
    /// The repositories are others now.
    Repositories(Box<Request>),
    /// Garbage was collected in the build root, before these paths changed.
    Collected(Vec<PathBuf>),
    /// Something was not in the store that was taken to be there; a new session makes it again. Or what to do if it was
    /// tried often enough.
    Lost(Box<dyn FnOnce() -> Exit>),
    Exit(Exit),
}

impl From<Exit> for Over {
    fn from(exit: Exit) -> Over {
        Over::Exit(exit)
    }
}

impl Watcher<'_> {
    fn run(&self) -> Result<Exit, Exit> {
        let build = &self.o.build;
        request::check(&build.common, &build.stores, &build.execution, self.log)?;
        let interruption = Interruption::watch(self.log);
        // How often in a row the first round found something lost.
        let mut lost = 0;
        let mut request = self.request().map_err(|error| request::tell(&error, self.log))?;
        if let Some(path) = &build.analysis.serve_errors_log {
            // There are no targets served by another machine, so none failed.
            text_file::write(path, "[]\n", self.log)?;
        }
        loop {
            self.log.voice().requested(&request, self.log);
            let mut held = self.hold(request)?;
            interruption.wakes(held.watch.waker());
            let over = interruption.ends(&held.session).map_err(Over::Exit);
            let over = over.and_then(|()| self.rounds(&mut held, &interruption));
            held.session.close();
            if held.is_settled || !matches!(over, Err(Over::Lost(_))) {
                lost = 0;
            }
            match over {
                Err(Over::Lost(stop)) if lost + 1 == MAX_TRIES => return Err(stop()),
                Err(Over::Lost(_)) => {
                    lost += 1;
                    self.log.say(Level::Warn, LOST_OBJECTS);
                }
                Err(Over::Exit(exit)) => return Err(exit),
                Err(Over::Repositories(new)) => {
                    held.request = *new;
                    self.log.say(Level::Info, "The repositories are described differently now.");
                }
                Ok(()) => {}
                Err(Over::Collected(paths)) => {
                    self.log.say(Level::Info, what_changed(&self.here, &paths));
                    let text = "Garbage was collected in the build root meanwhile: everything is looked at.";
                    self.log.say(Level::Info, text);
                }
            }
            request = held.request;
        }
    }

    /// What the words mean now.
    fn request(&self) -> Result<Request, SetupError> {
        let build = &self.o.build;
        let request =
            request::request_in(&self.here, &build.common, &build.analysis, &build.analysis.target)?;
        self.log.shows_texts_of(&request);
        Ok(request)
    }

    /// What one round says of its build.
    fn messages(&self, store: &Store, request: &Request) -> Arc<dyn BuildMessages> {
        let build = &self.o.build;
        let messages = self.log.voice().build(Of {
            log: self.log,
            store,
            build_root_option: build_root_option(&build.stores),
            build_root: build_root(self.name, &build.stores).unwrap_or_default(),
            shows_cached_output: build.results.show_cached_output,
            again: Reproduction::of_call(std::env::args()),
            is_rebuild: false,
            begin: Instant::now(),
        });
        messages.requested(&request.repositories, self.log.voice().name_of_request(request, self.log));
        messages
    }

    fn hold(&self, request: Request) -> Result<Held, Exit> {
        let build = &self.o.build;
        let store = open_store(self.name, &build.stores, self.log).ok_or(Exit::Environment)?;
        let messages = self.messages(&store, &request);
        let reporting = Arc::new(Reporting::of_round(!build.analysis.no_trace));
        let present = Arc::new(Present(Mutex::new((messages, reporting))));
        let events: Arc<dyn Sink> = present.clone();
        let options = build_options(&build.common, &build.execution, &build.results, false, self.log)?;
        let traces = if build.analysis.no_trace { Traces::none() } else { Traces::of(&store, &request) };
        let how = analysis_options(&build.common, &build.analysis);
        let session = Session::of_request(&request, how, &store, &traces, &options, &events);
        let watch = if self.o.poll { Watch::polling() } else { Watch::new() };
        let watch = watch.map_err(|error| {
            self.log.say(Level::Error, error.to_string());
            Exit::Environment
        })?;
        let feedback: Feedback =
            self.output.as_ref().map(|output| Feedback::new(&request, output)).unwrap_or_default();
        let (leaves, seen, noted) = Default::default();
        let (ways, roots, waits, links, files, unwatched) = Default::default();
        let is_pending = false;
        let begin = SystemTime::now();
        Ok(Held {
            request,
            store,
            present,
            session,
            watch,
            leaves,
            ways,
            roots,
            waits,
            is_pending,
            links,
            files,
            seen,
            next_look: Instant::now(),
            unwatched,
            so_far: SoFar { feedback, ..SoFar::default() },
            pace: Pace::default(),
            told_of_request: String::new(),
            begin,
            is_settled: false,
            noted,
        })
    }

    fn rounds(&self, held: &mut Held, interruption: &Interruption) -> Result<(), Over> {
        self.watch_ways(held);
        self.round(held, interruption, None)?;
        self.settle(held, interruption)?;
        held.is_settled = true;
        warn_of_cache(held.session.cache_warning(), self.log);
        self.tell_watched(held);
        loop {
            held.session.close_directories();
            held.store.pause().map_err(|error| self.lost(&error))?;
            let mut change = self.change(held, interruption)?;
            if change.is_of_ways {
                self.watch_ways(held);
            }
            if self.waits_for_root(held) {
                held.is_pending = true;
                continue;
            }
            if !self.renew(held)? && !change.matters {
                continue;
            }
            let is_description = |leaf: &KeyRef| leaf.rule() == "file";
            if matches!(&change.touched.again, Again::Only(leaves) if leaves.iter().any(is_description)) {
                held.so_far.feedback.forget_unstable();
            }
            if std::mem::take(&mut held.is_pending) {
                change.touched.again = Again::Everything;
            }
            let paths = change.touched.paths;
            if change.is_at_once {
                self.keep_pace(held, interruption, &paths)?;
            }
            if !held.store.resume().map_err(|error| self.lost(&error))? {
                return Err(Over::Collected(paths));
            }
            held.session.begin_again(&change.touched.again);
            self.round(held, interruption, Some(Some(&paths)))?;
            self.settle(held, interruption)?;
            warn_of_cache(held.session.cache_warning(), self.log);
            self.tell_watched(held);
        }
    }

    /// The build root cannot be used any more.
    fn lost(&self, error: &dyn std::fmt::Display) -> Exit {
        self.log.say(Level::Error, format!("Cannot use the build root any more: {error}"));
        Exit::Environment
    }

    /// The words may mean something else by now. If they mean nothing, that has been told, and what they meant
    /// before stays. Tells whether they mean something else.
    fn renew(&self, held: &mut Held) -> Result<bool, Over> {
        // What a target is called depends on the directory; while that is gone, it stays what it was.
        if held.ways.missing(&self.here).is_some() {
            return Ok(false);
        }
        let request = match self.request() {
            Ok(request) => request,
            Err(error) => {
                let text = format!("{:?}", error.problem);
                if held.told_of_request != text {
                    request::tell(&error, self.log);
                }
                held.told_of_request = text;
                return Ok(false);
            }
        };
        held.told_of_request.clear();
        if request.repositories.identity() != held.request.repositories.identity() {
            return Err(Over::Repositories(Box::new(request)));
        }
        let is_other = request.target_text() != held.request.target_text();
        held.request = request;
        Ok(is_other)
    }
}
