//! Which actions ever said anything when they ran: few, so that to tell again what was said, nobody has to look
//! at those that did not.
//!
//! The ids lie in a file beside the runs. They are there before the runs are, so that no kept run said something
//! of which nothing is known here; that an id is there means nothing but that its runs have to be looked at.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use taut_exec::{ActionOutcome, Events};
use taut_sys::fs;
use taut_value::{ActionDescription, Id};

/// Notes who says something.
#[derive(Default)]
pub(crate) struct Talkers {
    /// Where it is noted beyond the process, if anywhere.
    file: Option<PathBuf>,
    new: Mutex<HashSet<Id>>,
}

impl Events for Talkers {
    fn finished(&self, id: &Id, _: &Arc<ActionDescription>, outcome: &ActionOutcome) {
        if outcome.ran.stdout.is_some() || outcome.ran.stderr.is_some() {
            self.new.lock().unwrap_or_else(PoisonError::into_inner).insert(*id);
        }
    }
}

/// How the file begins: without it, nothing is known of the runs that are there.
const HEADER: &[u8; 32] = b"taut: ids of actions that speak.";

impl Talkers {
    /// The file that belongs to a file of runs.
    pub(crate) fn beside(runs: &Path) -> PathBuf {
        runs.with_extension("said")
    }

    /// `runs`: the file of the runs, if any.
    pub(crate) fn new(runs: Option<&Path>) -> Talkers {
        let file = runs.map(Talkers::beside);
        Talkers { file, new: Mutex::default() }
    }

    /// Who said something in earlier processes; `None` if that is not known.
    pub(crate) fn known(&self) -> Option<HashSet<Id>> {
        let file = self.file.as_ref()?;
        let Some(bytes) = fs::if_exists(fs::read(file)).ok()? else {
            let has_runs = fs::if_exists(fs::stat(&file.with_extension(""))).ok()?.is_some();
            return (!has_runs).then(HashSet::new);
        };
        let (ids, rest) = bytes.as_chunks::<32>();
        let is_sound = ids.first() == Some(HEADER) && rest.is_empty();
        // Two processes may have begun the file.
        is_sound.then(|| ids.iter().filter(|id| *id != HEADER).map(|id| Id(*id)).collect())
    }

    /// Keeps who said something; `false` if that is not possible.
    pub(crate) fn keep(&self) -> bool {
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = &self.file else { return true };
        let begins = fs::lstat(file).is_err();
        if new.is_empty() && !begins {
            return true;
        }
        let known = self.known();
        let mut bytes = if begins { HEADER.to_vec() } else { Vec::new() };
        for id in new.iter().filter(|id| known.as_ref().is_none_or(|known| !known.contains(id))) {
            bytes.extend(id.0);
        }
        let kept = match known {
            // In one piece, so that what several processes add does not mix.
            Some(_) if bytes.is_empty() => Ok(()),
            Some(_) => fs::append(file).and_then(|mut out| fs::write_all(&mut out, file, &bytes)),
            // What is cut off in the middle stays unknown: whoever reads it looks at everything.
            None => Ok(()),
        };
        if kept.is_ok() {
            new.clear();
        }
        kept.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(talkers: &Talkers, ids: &[&str]) {
        talkers.new.lock().unwrap().extend(ids.iter().map(Id::of));
        assert!(talkers.keep());
    }

    #[test]
    fn who_said_something_is_known_in_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let talkers = || Talkers::new(Some(&dir.path().join("runs")));
        assert_eq!(talkers().known(), Some(HashSet::new()));
        say(&talkers(), &["a", "b"]);
        say(&talkers(), &["b", "c"]);
        assert_eq!(talkers().known(), Some(["a", "b", "c"].iter().map(Id::of).collect()));
        assert_eq!(fs::read(&dir.path().join("runs.said")).unwrap().len(), 128);
        fs::remove_file(&dir.path().join("runs.said")).unwrap();
        let runs = dir.path().join("runs");
        fs::create(&runs).unwrap();
        assert_eq!(talkers().known(), None);
    }

    #[test]
    fn what_is_damaged_is_not_known() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("runs.said");
        let bytes = [HEADER, &[0; 8][..]].concat();
        fs::write_all(&mut fs::create(&file).unwrap(), &file, &bytes).unwrap();
        let talkers = Talkers::new(Some(&dir.path().join("runs")));
        assert_eq!(talkers.known(), None);
        say(&talkers, &["a"]);
        assert_eq!(talkers.known(), None);
    }
}
