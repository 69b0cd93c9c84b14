//! `watch`: builds a target, then builds it again whenever something changes that it was made from.
//!
//! One session lives through all rounds. Directories are watched before it is trusted that nothing in them
//! changes unnoticed: when a round has looked into new ones, all is looked at once more after they are watched.
//! Where the system may not tell of changes, everything is looked at from time to time.
//!
//! Between rounds nobody has to wait for us: garbage may be collected. What a session knows is nothing worth then, and
//! the next round begins as a first one does.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use taut_digest::ObjectInfo;
use taut_driver::graph::ActionGraph;
use taut_driver::{
    ActionFailure, ActionOutcome, Again, Analysis, Built, Done, Ended, Events, History, Leaves, Request,
    Results, Session, Signatures, Touched,
};
use taut_store::Store;
use taut_sys::watch::{Heard, Noticed, Watch, Woken};
use taut_value::{ActionDescription, EntityName, Id, Str};

use crate::{
    analyse,
    build::{LOST, TRIES, build_options, meaning, owner},
    diagnostics,
    exit::Exit,
    interruption::Interruption,
    log::{Level, Log},
    options,
    printer::Printer,
    recall,
    reproduce::Reproduction,
    request,
    results::{self, Undelivered},
    surroundings::{Name, open_store},
};

/// How often everything is looked at where changes may go unnoticed.
const LOOK: Duration = Duration::from_secs(2);

/// How many of a kind are named in one round.
const SHOWN: usize = 12;

/// Runs `watch`.
pub(crate) fn run(name: Name, o: &options::Watch, log: &Arc<Log>) -> Exit {
    Watcher { name, o, log }.run().unwrap_or_else(|exit| exit)
}

struct Watcher<'o> {
    name: Name,
    o: &'o options::Watch,
    log: &'o Arc<Log>,
}

/// What is told about actions goes to the printer of the present round.
struct Present(Mutex<Arc<Printer>>);

impl Present {
    fn printer(&self) -> Arc<Printer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Events for Present {
    fn finished(&self, id: &Id, action: &Arc<ActionDescription>, outcome: &ActionOutcome) {
        self.printer().finished(id, action, outcome);
    }

    fn failed(&self, failure: &ActionFailure) {
        self.printer().failed(failure);
    }
}

/// What lives as long as the repositories stay what they are.
struct Held {
    request: Request,
    store: Store,
    history: Option<History>,
    present: Arc<Present>,
    session: Session,
    watch: Watch,
    leaves: Leaves,
    /// What everything looked like when it was last looked at, where changes may not be told.
    seen: Signatures,
    /// What was wrong with the description in the last round.
    told: String,
    /// When the last round began.
    begin: SystemTime,
    /// The description.
    last: Option<Last>,
    /// Whether the last round built everything.
    is_built: bool,
    /// Whether it came to wait for changes.
    is_settled: bool,
    /// The description of which it is known where it looks.
    noted: Option<Arc<Analysis>>,
    /// What the last round that round that succeeded came to.
    results: HashMap<Str, ObjectInfo>,
}

/// The description as the last round had it that could analyse it.
#[derive(Clone)]
struct Last {
    analysis: Arc<Analysis>,
    graph: Arc<ActionGraph>,
    /// How many targets there are, source files aside.
    defined: usize,
}

impl Last {
    fn of(analysis: Arc<Analysis>) -> Last {
        let graph = Arc::new(analysis.graph());
        let defined = analysis.reached.iter().filter(|reached| reached.analysed.is_defined).count();
        Last { analysis, graph, defined }
    }

    /// How many targets a round analysed, source files aside.
    fn count(&self, done: &Done) -> usize {
        if done.analysed.is_empty() {
            return 0;
        }
        let again: HashSet<&str> = done.analysed.iter().map(|(name, _)| name.as_str()).collect();
        let defined = self.analysis.reached.iter().filter(|reached| reached.analysed.is_defined);
        defined.filter(|reached| again.contains(reached.target.name.to_json().as_str())).count()
    }
}

/// Why the rounds with a session ended.
enum Over {
    /// The repositories are others now.
    Repositories,
    /// Garbage was collected in the build root, before these paths changed.
    Collected(Vec<PathBuf>),
    /// Something was not in the store that was taken to be there; who begins anew makes it again. In words.
    Lost(String),
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
        loop {
            let request = request::request(&build.common, &build.analysis, self.log)?;
            let mut held = self.hold(request)?;
            interruption.wakes(held.watch.waker());
            let over = interruption.ends(&held.session).map_err(Over::Exit);
            let over = over.and_then(|()| self.rounds(&mut held, &interruption));
            held.session.close();
            if held.is_settled || !matches!(over, Err(Over::Lost(_))) {
                lost = 0;
            }
            match over {
                Err(Over::Lost(text)) if lost + 1 == TRIES => {
                    self.log.say(Level::Error, text);
                    return Err(Exit::BuildFailure);
                }
                Err(Over::Lost(_)) => {
                    lost += 1;
                    self.log.say(Level::Warn, LOST);
                }
                Err(Over::Exit(exit)) => return Err(exit),
                Ok(()) | Err(Over::Repositories) => {
                    self.log.say(Level::Info, "The repositories are described differently now.");
                }
                Err(Over::Collected(paths)) => {
                    self.log.say(Level::Info, what_changed(&paths));
                    let text = "Garbage was collected in the build root meanwhile: everything is looked at.";
                    self.log.say(Level::Info, text);
                }
            }
        }
    }

    fn hold(&self, request: Request) -> Result<Held, Exit> {
        let build = &self.o.build;
        let store = open_store(self.name, &build.stores, self.log).ok_or(Exit::Environment)?;
        let present =
            Arc::new(Present(Mutex::new(Printer::new(Name::Taut, &self.o.build.stores, self.log, &store))));
        let events: Arc<dyn Events> = present.clone();
        let options = build_options(&build.common, &build.execution, &build.results, false, self.log)?;
        let runs = recall::runs(&request, &build.analysis, &store, &meaning(&options));
        let how = analyse::options(&build.common, &build.analysis);
        let session = Session::of_request(&request, how, &store, &runs, &options, &events);
        let watch = if self.o.look { Watch::deaf() } else { Watch::new() };
        let watch = watch.map_err(|error| {
            self.log.say(Level::Error, error.to_string());
            Exit::Environment
        })?;
        let history = History::of(&store, &request.repositories).ok();
        let (leaves, seen, told, last, noted, results) = Default::default();
        let is_built = false;
        let begin = SystemTime::now();
        Ok(Held {
            request,
            store,
            history,
            present,
            session,
            watch,
            leaves,
            seen,
            told,
            begin,
            last,
            is_built,
            is_settled: false,
            noted,
            results,
        })
    }

    fn rounds(&self, held: &mut Held, interruption: &Interruption) -> Result<(), Over> {
        self.round(held, interruption, None)?;
        self.settle(held, interruption)?;
        held.is_settled = true;
        recall::tell_trouble(held.session.trouble(), self.log);
        let deaf = if held.watch.is_deaf() {
            "; some cannot be, so everything is looked at every two seconds"
        } else {
            ""
        };
        self.log
            .say(Level::Info, format!("Watching {} directories{deaf}. Interrupt to end.", held.watch.len()));
        loop {
            held.store.rest().map_err(|error| self.lost(&error))?;
            let limit = held.watch.is_deaf().then_some(LOOK);
            let woken = held.watch.wait(limit).map_err(|error| {
                self.log.say(Level::Error, error.to_string());
                Exit::Environment
            })?;
            interruption.check()?;
            let is_look = woken == Woken::Nothing;
            let touched = match woken {
                Woken::ByWaker => continue,
                Woken::Nothing => Touched { again: Again::Everything, paths: self.look(held) },
                Woken::Changed(noticed) => match self.matters(held, &noticed) {
                    None => continue,
                    Some(touched) => touched,
                },
            };
            if !self.renew(held)? && is_look && touched.paths.is_empty() {
                continue;
            }
            if !held.store.resume().map_err(|error| self.lost(&error))? {
                return Err(Over::Collected(touched.paths));
            }
            held.session.begin_again(&touched.again);
            self.round(held, interruption, Some(Some(&touched.paths)))?;
            self.settle(held, interruption)?;
            recall::tell_trouble(held.session.trouble(), self.log);
        }
    }

    /// The build root cannot be used any more.
    fn lost(&self, error: &dyn std::fmt::Display) -> Exit {
        self.log.say(Level::Error, format!("Cannot use the build root any more: {error}"));
        Exit::Environment
    }

    /// What is to be looked at again; `None` if what changed matters to nobody.
    fn matters(&self, held: &Held, noticed: &Noticed) -> Option<Touched> {
        let own = self.own_files();
        let of_request: Vec<PathBuf> =
            noticed.paths.keys().filter(|path| own.contains(path)).cloned().collect();
        match held.leaves.touched(noticed) {
            None if of_request.is_empty() => None,
            None => Some(Touched { again: Again::Only(Vec::new()), paths: of_request }),
            Some(mut touched) => {
                touched.paths.extend(of_request);
                Some(touched)
            }
        }
    }

    /// The files that say what the request is.
    fn own_files(&self) -> Vec<PathBuf> {
        let here = std::env::current_dir().unwrap_or_else(|_| "/".into());
        let build = &self.o.build;
        let named = build.common.repository_config.iter().chain(&build.analysis.config);
        named.map(|path| taut_sys::fs::normal(&here.join(path))).collect()
    }

    /// The words may mean something else by now. If they mean nothing, that has been told, and what they meant
    /// before stays. Tells whether they mean something else.
    fn renew(&self, held: &mut Held) -> Result<bool, Over> {
        let build = &self.o.build;
        let Ok(request) = request::quiet_request(&build.common, &build.analysis, self.log) else {
            return Ok(false);
        };
        if format!("{:?}", request.repositories) != format!("{:?}", held.request.repositories) {
            return Err(Over::Repositories);
        }
        let is_other = request.target_text() != held.request.target_text();
        held.request = request;
        Ok(is_other)
    }

    /// What looks different from when it was last looked at.
    fn look(&self, held: &mut Held) -> Vec<PathBuf> {
        let now = held.leaves.signatures();
        let differing = held.seen.differing(&now);
        held.seen = now;
        differing
    }

    /// Watches what the rounds looked into. Where that is new, something may have changed before it was
    /// watched; then everything is looked at again.
    fn settle(&self, held: &mut Held, interruption: &Interruption) -> Result<(), Over> {
        loop {
            // The same description looks where it looked before; but a build that failed did not look everywhere.
            let noted = held.last.as_ref().map(|last| last.analysis.clone());
            let is_noted = match (&noted, &held.noted) {
                (Some(now), Some(before)) => Arc::ptr_eq(now, before),
                _ => false,
            };
            if !is_noted || held.session.looked_around() {
                held.noted = noted.filter(|_| held.is_built);
                held.leaves.note(&held.session, &held.request.repositories);
            }
            let own = self.own_files();
            let mut new: HashSet<PathBuf> = HashSet::new();
            for directory in held.leaves.directories().chain(own.iter().filter_map(|file| file.parent())) {
                if held.watch.add(directory).is_some_and(|heard| heard != Heard::Absent) {
                    new.insert(directory.to_owned());
                }
            }
            if held.watch.is_deaf() {
                // What changed since the last look is still to be noticed.
                held.seen.learn(held.leaves.signatures());
            }
            if new.is_empty() || !held.leaves.changed_since(&new, held.begin) {
                return Ok(());
            }
            held.session.begin_again(&Again::Everything);
            self.round(held, interruption, Some(None))?;
        }
    }

    /// Builds, and tells what was done. `changed`: nothing for the first round, then the paths that changed, if
    /// that is why there is a round; other rounds are silent if there was nothing to do.
    fn round(
        &self,
        held: &mut Held,
        interruption: &Interruption,
        changed: Option<Option<&[PathBuf]>>,
    ) -> Result<(), Over> {
        let (log, begin) = (self.log, Instant::now());
        held.begin = SystemTime::now();
        held.is_built = false;
        let is_silent = changed == Some(None);
        *held.present.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Printer::new(Name::Taut, &self.o.build.stores, log, &held.store);
        if let Some(Some(paths)) = changed {
            log.say(Level::Info, what_changed(paths));
        }
        let note = |held: &Held, ended| {
            if let Some(history) = held.history.as_ref().filter(|_| !self.o.build.analysis.no_trace) {
                held.session.note(history, &held.request, "watch", ended);
            }
        };
        let analysis = match held
            .session
            .analyse_again(&held.request, held.last.as_ref().map(|last| last.analysis.clone()))
        {
            Ok(analysis) => analysis,
            Err(problems) => {
                note(held, Ended::InAnalysis);
                let told = format!("{problems:?}");
                if !is_silent || told != held.told {
                    diagnostics::tell(&problems, Level::Error, log);
                    log.say(Level::Info, "Analysis failed; waiting for a change.");
                }
                held.told = told;
                return Ok(interruption.check()?);
            }
        };
        held.told.clear();
        let last = match held.last.take().filter(|last| Arc::ptr_eq(&last.analysis, &analysis)) {
            Some(last) => last,
            None => {
                diagnostics::tell(&analysis.warnings(), Level::Warn, log);
                Last::of(analysis)
            }
        };
        let built = held.session.build_again(&last.analysis.wanted());
        held.is_built = built.is_ok();
        held.last = Some(last.clone());
        note(held, if built.is_ok() { Ended::Well } else { Ended::InExecution });
        interruption.check()?;
        let done = held.session.done();
        let analysed = last.count(&done);
        let (defined, graph) = (last.defined, &last.graph);
        if changed.is_none()
            || changed.is_some_and(|paths| paths.is_some())
            || !done.ran.is_empty()
            || analysed > 0
        {
            let mut text = format!(
                "{}: {} of {defined} analysed, {} of {} run, {} known to the action cache; {:.2} s.",
                EntityName::Named(held.request.target.clone()).to_json(),
                many(analysed, "target"),
                many(done.ran.len(), "action"),
                graph.actions.len(),
                done.cached,
                begin.elapsed().as_secs_f64(),
            );
            for id in done.ran.iter().take(SHOWN) {
                text.push_str(&format!("\n  ran {}", graph.first_origin(id)));
            }
            if done.ran.len() > SHOWN {
                text.push_str(&format!("\n  and {} more", done.ran.len() - SHOWN));
            }
            log.say(Level::Info, text);
        }
        match built {
            Ok(built) => self.tell_results(held, built),
            Err(failure) if failure.is_lost => {
                let all: Vec<String> = failure.others.into_iter().take(SHOWN).collect();
                Err(Over::Lost(all.join("\n")))
            }
            Err(failure) => {
                let printer = held.present.printer();
                let by_hand = Reproduction::of_call(std::env::args());
                printer.tell_failures(|id| graph.origins(id), &by_hand);
                let origins = |id: &_| last.analysis.origins_of_overlay(id);
                let (failed, keep_going) = (printer.count_of_failures(), self.o.build.results.keep_going);
                results::tell_failure(&failure, origins, failed, keep_going, log);
                Ok(())
            }
        }
    }

    /// Installs if asked to, and tells what is different from the round before.
    fn tell_results(&self, held: &mut Held, built: Results) -> Result<(), Over> {
        if let Some(directory) = &self.o.output_dir {
            let owner = owner(&held.request);
            let put = results::put(&held.store, &built, directory, &owner, self.o.prune, self.log);
            put.map_err(|undelivered| match undelivered {
                Undelivered::Lost(text) => Over::Lost(text),
                Undelivered::Failed(exit) => Over::Exit(exit),
            })?;
        }
        let is_new = |(path, built): &&(Str, Built)| held.results.get(path) != Some(&built.info);
        let new: Vec<String> = built
            .artifacts
            .iter()
            .filter(is_new)
            .map(|(path, built)| format!("\n  {path} {}", built.info))
            .collect();
        if !new.is_empty() {
            let more = new.len().saturating_sub(SHOWN);
            let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
            let shown: String = new.into_iter().take(SHOWN).collect();
            self.log.say(Level::Info, format!("New results:{shown}{more}"));
        }
        held.results = built.artifacts.into_iter().map(|(path, built)| (path, built.info)).collect();
        Ok(())
    }
}

fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn what_changed(paths: &[PathBuf]) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let shown = |path: &PathBuf| -> String {
        let below: &Path = path.strip_prefix(&here).unwrap_or(path);
        below.display().to_string()
    };
    let names: Vec<String> = paths.iter().take(SHOWN).map(shown).collect();
    match paths.len() {
        0 => "Something changed: everything is looked at.".to_owned(),
        n if n > SHOWN => format!("{} and {} more changed.", names.join(", "), n - SHOWN),
        _ => format!("{} changed.", names.join(", ")),
    }
}
