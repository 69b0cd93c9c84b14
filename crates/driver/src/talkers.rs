//! Which actions ever said anything when they ran: few, so that to tell again what was said, nobody has to look
//! at those that did not.
//!
//! The ids lie in a file beside the runs, under a seal. They are there before the runs are, so that no kept run said
//! something of which nothing is known here; that an id is there means nothing but that its runs have to be looked at.
//! Where the file is damaged or gone, the runs are worth nothing: they are removed, and all is found out anew.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use taut_exec::{ActionOutcome, Events};
use taut_sys::{Dir, Lock, if_exists};
use taut_value::{ActionDescription, Id};

use crate::{runs_file::RunsFile, trouble::Trouble};

/// Notes who says something.
#[derive(Default)]
pub(crate) struct Talkers {
    /// The file of runs that it is noted beside, if any.
    runs: Option<RunsFile>,
    trouble: Trouble,
    new: Mutex<HashSet<Id>>,
    /// Whether what earlier processes noted is lost.
    is_lost: AtomicBool,
}

impl Events for Talkers {
    fn finished(&self, id: &Id, _: &Arc<ActionDescription>, outcome: &ActionOutcome) {
        if outcome.ran.stdout.is_some() || outcome.ran.stderr.is_some() {
            self.new.lock().unwrap_or_else(PoisonError::into_inner).insert(*id);
        }
    }
}

/// How the file begins; then the seal of the ids, then these, in order.
const HEADER: &[u8; 32] = b"taut: ids of actions that speak2";

fn encode(ids: &HashSet<Id>) -> Vec<u8> {
    let mut sorted: Vec<[u8; 32]> = ids.iter().map(|id| id.0).collect();
    sorted.sort_unstable();
    let ids = sorted.as_flattened();
    [HEADER, &Id::of(ids).0, ids].concat()
}

fn decode(bytes: &[u8]) -> Option<HashSet<Id>> {
    let (header, rest) = bytes.split_first_chunk::<32>()?;
    let (seal, rest) = rest.split_first_chunk::<32>()?;
    let (ids, rest) = rest.as_chunks::<32>();
    let is_sound = header == HEADER && rest.is_empty() && Id::of(ids.as_flattened()).0 == *seal;
    is_sound.then(|| ids.iter().map(|id| Id(*id)).collect())
}

/// The name of the file that belongs to a file of runs.
pub(crate) fn beside(runs: &str) -> String {
    format!("{runs}.said")
}

/// What is noted beside a file of runs; nothing if that cannot be told.
pub(crate) fn read(directory: &Dir, runs: &str) -> Option<HashSet<Id>> {
    decode(&directory.at(&beside(runs)).read().ok()?)
}

/// Begins the file beside runs that are to come, with what is known of them. What others have noted meanwhile stays.
pub(crate) fn begin(directory: &Dir, runs: &str, known: HashSet<Id>) -> taut_sys::Result<()> {
    let _lock = lock(directory, runs)?;
    let before = read(directory, runs);
    let mut all = known;
    all.extend(before.iter().flatten());
    if before.is_some_and(|before| before.len() == all.len()) {
        return Ok(());
    }
    write(directory, runs, &all)
}

fn lock(directory: &Dir, runs: &str) -> taut_sys::Result<Lock> {
    Lock::exclusive(directory.at(&format!("{runs}.said-lock")), || {})
}

fn write(directory: &Dir, runs: &str, ids: &HashSet<Id>) -> taut_sys::Result<()> {
    directory.at(&beside(runs)).replace(&encode(ids))
}

impl Talkers {
    /// `runs`: the file of the runs, if any.
    pub(crate) fn new(runs: Option<&RunsFile>, trouble: &Trouble) -> Talkers {
        let (new, is_lost) = Default::default();
        Talkers { runs: runs.cloned(), trouble: trouble.clone(), new, is_lost }
    }

    /// Who said something in earlier processes; `None` if that is not known.
    pub(crate) fn known(&self) -> Option<HashSet<Id>> {
        let runs = self.runs.as_ref()?;
        if self.is_lost.load(SeqCst) {
            return None;
        }
        let said = beside(runs.name());
        let bytes = if_exists(runs.dir().at(&said).read()).map_err(|error| self.trouble.unreadable(error));
        let known = bytes.ok()?.as_deref().and_then(decode);
        if known.is_none() {
            self.lose(runs);
        }
        known
    }

    /// What is noted is not what anybody left.
    fn lose(&self, runs: &RunsFile) {
        self.is_lost.store(true, SeqCst);
        self.trouble.damaged("runs");
        // What is not there any more is as good as removed. In this order: no runs without who speaks in them.
        let _ = runs.dir().at(runs.name()).remove_file();
        let _ = runs.dir().at(&beside(runs.name())).remove_file();
    }

    /// Keeps who said something; `false` if that is not possible.
    pub(crate) fn keep(&self) -> bool {
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(runs) = &self.runs else { return true };
        if new.is_empty() || self.is_lost.load(SeqCst) {
            return !self.is_lost.load(SeqCst);
        }
        let keep = || {
            let _lock = lock(runs.dir(), runs.name())?;
            let Some(mut known) = self.known() else { return Ok(false) };
            let before = known.len();
            known.extend(new.iter());
            if known.len() > before {
                write(runs.dir(), runs.name(), &known)?;
            }
            Ok(true)
        };
        let kept = keep().unwrap_or_else(|error: taut_sys::Error| {
            self.trouble.unkept(error);
            false
        });
        if kept {
            new.clear();
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[&str]) -> HashSet<Id> {
        names.iter().map(Id::of).collect()
    }

    fn say(talkers: &Talkers, names: &[&str]) -> bool {
        talkers.new.lock().unwrap().extend(ids(names));
        talkers.keep()
    }

    #[test]
    fn who_said_something_is_known_in_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let runs = RunsFile::at(&dir, "runs");
        let talkers = || Talkers::new(Some(&runs), &Trouble::default());
        begin(runs.dir(), "runs", ids(&["x"])).unwrap();
        assert_eq!(talkers().known(), Some(ids(&["x"])));
        assert!(say(&talkers(), &["a", "b"]));
        assert!(say(&talkers(), &["b", "c"]));
        begin(runs.dir(), "runs", ids(&["y"])).unwrap();
        assert_eq!(talkers().known(), Some(ids(&["x", "y", "a", "b", "c"])));
        assert_eq!(runs.dir().at("runs.said").read().unwrap().len(), 7 * 32);
    }

    #[test]
    fn what_is_damaged_takes_the_runs_with_it() {
        let sound = encode(&ids(&["a", "b"]));
        let mut damages = vec![sound[..sound.len() - 32].to_vec(), sound[..40].to_vec(), Vec::new()];
        damages.extend((0..sound.len()).step_by(5).map(|at| {
            let mut bytes = sound.clone();
            bytes[at] ^= 4;
            bytes
        }));
        for bytes in damages {
            let dir = tempfile::tempdir().unwrap();
            let runs = RunsFile::at(&dir, "runs");
            runs.dir().at("runs").replace(b"").unwrap();
            runs.dir().at("runs.said").replace(&bytes).unwrap();
            let trouble = Trouble::default();
            let talkers = Talkers::new(Some(&runs), &trouble);
            assert_eq!(talkers.known(), None);
            assert!(!say(&talkers, &["c"]), "what this process knows is not all");
            assert!(trouble.take().is_some_and(|text| text.contains("was damaged")));
            assert!(["runs", "runs.said"].iter().all(|name| !runs.dir().at(*name).exists().unwrap()));
        }
    }
}
