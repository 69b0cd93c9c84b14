//! The outcome of a script, and those of all tasks in a build from scratch.

use super::case::{Case, Kind, Task, What};
use super::model::{Model, Outcome};
use super::rules::{FAILED, OPAQUE, hash_is_value, is_nowhere, mix, note, summed};
use std::collections::{BTreeMap, BTreeSet};

/// Something that a script asked for.
pub(crate) struct Ask {
    pub(crate) dep: usize,
    /// A dependency, whatever comes of it.
    pub(crate) is_read: bool,
    pub(crate) recorded: bool,
    pub(crate) group: usize,
}

/// How a script is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// For the value, which is new.
    Value,
    /// For the hash, apart from the value.
    Apart,
    /// For a value whose hash is known: what it only depends on is not awaited.
    Again,
}

/// What a script comes to.
pub(crate) struct Played {
    /// What its function returns.
    pub(crate) returned: Outcome,
    /// What the task comes to, with what it only mentioned.
    pub(crate) outcome: Outcome,
    pub(crate) asks: Vec<Ask>,
    /// The contents that were mentioned.
    pub(crate) notes: Vec<u64>,
}

/// What a script asks.
pub(crate) enum Request<'r> {
    /// For a task's value (`true`), or its hash.
    Task(usize, bool),
    /// What lies below these tasks.
    Below(&'r [usize]),
}

/// Runs a script; `ask` gives the answers.
pub(crate) fn play(
    case: &Case,
    key: usize,
    task: &Task,
    how: How,
    ask: &mut dyn FnMut(Request<'_>) -> Outcome,
) -> Played {
    let (mut sum, mut asks, mut group, mut mentioned, mut notes) = (0, Vec::new(), 0, None, Vec::new());
    for step in &task.steps {
        if (step.conditional && sum % 2 == 1) || (step.what == What::Depend && how == How::Again) {
            continue;
        }
        if step.what == What::Mention {
            notes.extend(step.deps.iter().map(|dep| note(*dep, sum)));
            continue;
        }
        let mut is_leaf = true;
        for dep in &step.deps {
            group += usize::from(is_leaf && *dep >= case.leaves.len());
            is_leaf &= *dep < case.leaves.len();
            let by_hash = match step.what {
                What::Value | What::Start => how == How::Apart && hash_is_value(case, *dep),
                What::Hash | What::Depend | What::Collect => true,
                What::Order | What::Begun => false,
                What::Mention => unreachable!("it asks for nothing"),
            };
            // What is asked for one after the other is a group each.
            group += usize::from(step.what != What::Value || how == How::Apart);
            let result = ask(Request::Task(*dep, !by_hash));
            let failed = !matches!(result, Outcome::Value(_));
            let seen = match result {
                Outcome::Value(_) if step.what == What::Hash && !hash_is_value(case, *dep) => OPAQUE,
                Outcome::Value(value) => value,
                _ => FAILED,
            };
            match step.what {
                What::Depend => mentioned = mentioned.or(Some(result).filter(|_| failed)),
                What::Order | What::Begun | What::Collect => {}
                _ => sum = mix(sum, seen),
            }
            let is_read = !matches!(step.what, What::Order | What::Begun);
            asks.push(Ask { dep: *dep, is_read, recorded: is_read || failed, group });
        }
        group += 1;
        if step.what == What::Collect {
            match ask(Request::Below(&step.deps)) {
                Outcome::Value(below) => sum = mix(sum, below),
                failed => return Played { returned: failed, outcome: failed, asks, notes },
            }
        }
    }
    let result = sum % task.modulus;
    if task.fails && result == 0 {
        return Played { returned: Outcome::Failed(key), outcome: Outcome::Failed(key), asks, notes };
    }
    let returned = Outcome::Value(result);
    Played { returned, outcome: mentioned.unwrap_or(returned), asks, notes }
}

/// A build from scratch in this world, with some values set.
#[derive(Default)]
pub(crate) struct Anew {
    pub(crate) all: Vec<Outcome>,
    /// What each reads, in order.
    pub(crate) reads: Vec<Vec<usize>>,
    /// What each mentions.
    pub(crate) notes: Vec<Vec<u64>>,
}

impl Anew {
    pub(crate) fn of(case: &Case, leaves: &[Option<u64>], given: &BTreeMap<usize, u64>) -> Anew {
        let mut anew = Anew::default();
        for key in 0..leaves.len() + case.tasks.len() {
            let (mut reads, mut notes) = (Vec::new(), Vec::new());
            let given = given.get(&key).copied().map(Outcome::Value);
            let outcome = given.unwrap_or_else(|| match key.checked_sub(leaves.len()) {
                None => leaves[key].map_or(Outcome::Flaky, Outcome::Value),
                Some(at) => {
                    let task = &case.tasks[at];
                    let played =
                        play(case, key, task, How::Value, &mut |request| anew.answer(case, task, &request));
                    reads = played.asks.iter().filter(|ask| ask.recorded).map(|ask| ask.dep).collect();
                    notes = played.notes;
                    played.outcome
                }
            });
            anew.all.push(outcome);
            anew.reads.push(reads);
            anew.notes.push(notes);
        }
        anew
    }

    fn answer(&self, case: &Case, task: &Task, request: &Request<'_>) -> Outcome {
        match request {
            Request::Task(dep, _) => self.all[*dep],
            Request::Below(_) if !task.only => Outcome::Flaky,
            Request::Below(roots) => self.below(case, roots, &mut |_| ()),
        }
    }

    /// The closure of some tasks, as a number; `meet` is called for each task.
    pub(crate) fn below(&self, case: &Case, roots: &[usize], meet: &mut dyn FnMut(usize)) -> Outcome {
        let (mut tasks, mut notes, mut seen) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let mut next: Vec<usize> =
            roots.iter().rev().copied().filter(|root| !is_nowhere(case, *root)).collect();
        while let Some(key) = next.pop() {
            if !seen.insert(key) {
                continue;
            }
            meet(key);
            if key >= case.leaves.len() {
                tasks.push(key);
            }
            notes.extend(&self.notes[key]);
            next.extend(self.reads[key].iter().rev());
        }
        Outcome::Value(summed(tasks.into_iter(), &notes))
    }
}

/// The outcome of each task in a build from scratch in this world, with some values set.
pub(crate) fn wanted(case: &Case, leaves: &[Option<u64>], given: &BTreeMap<usize, u64>) -> Vec<Outcome> {
    Anew::of(case, leaves, given).all
}

/// What is needed to execute a task: its reads, and all other requests.
pub(crate) fn closures(case: &Case, model: &Model, root: usize) -> (BTreeSet<usize>, BTreeSet<usize>) {
    let anew = Anew::of(case, &model.leaves, &model.given);
    let (mut read, mut asked) = (BTreeSet::from([root]), BTreeSet::from([root]));
    for key in (case.leaves.len()..=root).rev().filter(|key| !model.given.contains_key(key)) {
        let task = &case.tasks[key - case.leaves.len()];
        let asks = play(case, key, task, How::Value, &mut |request| anew.answer(case, task, &request)).asks;
        if read.contains(&key) {
            // If a failure is only waited for, the run that saw it reads it, and a run that saw none does not.
            read.extend(asks.iter().filter(|ask| ask.is_read).map(|ask| ask.dep));
        }
        if asked.contains(&key) {
            asked.extend(asks.iter().map(|ask| ask.dep));
        }
    }
    (read, asked)
}

/// The contents that are mentioned by what a task is made from.
pub(crate) fn notes(case: &Case, model: &Model, root: usize) -> BTreeSet<u64> {
    let anew = Anew::of(case, &model.leaves, &model.given);
    let (read, _) = closures(case, model, root);
    let is_played = |key: &usize| *key >= case.leaves.len() && !model.given.contains_key(key);
    let played = read.into_iter().filter(is_played).map(|key| {
        let task = &case.tasks[key - case.leaves.len()];
        let how = if task.kind == Kind::Apart { How::Apart } else { How::Value };
        play(case, key, task, how, &mut |request| anew.answer(case, task, &request)).notes
    });
    played.flatten().collect()
}
