//! Failures of analysis: diagnostics as the result of a task.

use std::{cell::Cell, fmt};

use taut_engine::{Fail, Failure, Hash};
use taut_syntax::{Diagnostic, Diagnostics, Note, diagnostic::suggested};

/// The errors of a description, at least one.
#[derive(Clone, Debug)]
pub struct Problem(pub Diagnostics);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&diagnostic.message)?;
        }
        Ok(())
    }
}

impl Failure for Problem {
    fn hash(&self) -> Option<Hash> {
        // Failures have hashes like values: a target that fails as before does not invalidate what
        // has read its failure.
        Some(Hash(self.0.id()))
    }
}

/// The failure with one diagnostic.
pub(crate) fn fail(diagnostic: Diagnostic) -> Fail {
    Fail::task(Problem(diagnostic.into()))
}

/// The failure with one diagnostic that does not follow from what was read, and so is not recorded.
pub(crate) fn fail_unrecorded(diagnostic: Diagnostic) -> Fail {
    Fail::transient(Problem(diagnostic.into()))
}

/// The failure with these diagnostics in place of its own. What does not follow from the reads of a task stays
/// unrecorded.
// A change to a message must not make a transient failure one that is recorded.
fn with(fail: &Fail, diagnostics: Diagnostics) -> Fail {
    let problem = Problem(diagnostics);
    if fail.is_deterministic() { Fail::task(problem) } else { Fail::transient(problem) }
}

/// The failure with a change to those of its diagnostics that are not attributed to a target yet: those of dependencies
/// are complete.
pub(crate) fn settle(fail: Fail, change: impl Fn(Diagnostic) -> Diagnostic) -> Fail {
    match fail.downcast_ref::<Problem>() {
        Some(Problem(diagnostics)) if diagnostics.is_unsettled() => with(&fail, diagnostics.settle(change)),
        _ => fail,
    }
}

/// The failure with one more line above the reference's texts: the step of analysis that failed.
pub fn below(fail: Fail, line: impl FnOnce() -> String) -> Fail {
    match fail.downcast_ref::<Problem>() {
        Some(Problem(diagnostics)) => with(&fail, diagnostics.below(&line())),
        None => fail,
    }
}

/// Marks the failure of something that the reference evaluates only once, and that several dependents share
/// ([`Diagnostic::once`]). `name` identifies it.
pub(crate) fn once(fail: Fail, name: impl FnOnce() -> String) -> Fail {
    match fail.downcast_ref::<Problem>() {
        Some(Problem(diagnostics)) if diagnostics.is_unsettled() => {
            let name = name();
            with(&fail, diagnostics.settle(|diagnostic| diagnostic.once(&name)))
        }
        _ => fail,
    }
}

/// The failure, with warnings that the reference gives before it.
pub(crate) fn after_warnings(fail: Fail, warnings: &[Diagnostic]) -> Fail {
    let is_first = Cell::new(true);
    // Warnings once, before the first error: in the reference they are written when they are found.
    settle(fail, |diagnostic| match is_first.replace(false) {
        true => diagnostic.after_warnings(warnings.iter()),
        false => diagnostic,
    })
}

/// As [`all`], for mistakes in one definition: the reference reports the first one only.
pub(crate) fn all_of_one<T>(results: impl IntoIterator<Item = Result<T, Fail>>) -> Result<Vec<T>, Fail> {
    let mut has_failed = false;
    all(results.into_iter().map(|result| {
        result.map_err(|failure| match std::mem::replace(&mut has_failed, true) {
            true => settle(failure, |diagnostic| diagnostic.reference("")),
            false => failure,
        })
    }))
}

/// The failure, with the warnings of the same target or rule as notes: one of them may be the cause.
pub(crate) fn beside<'w>(failure: Fail, warnings: impl IntoIterator<Item = &'w Diagnostic> + Clone) -> Fail {
    settle(failure, |diagnostic| {
        // The error itself may be about the same place.
        let at = diagnostic.location.clone();
        let others = warnings.clone().into_iter().filter(|warning| at.is_none() || warning.location != at);
        others.map(as_note).fold(diagnostic, Diagnostic::note)
    })
}

/// A warning as a note of an error that it may explain.
pub(crate) fn as_note(warning: &Diagnostic) -> Note {
    let meant = warning.suggestion.as_ref().map(|meant| format!("; did you mean {}?", suggested(meant)));
    let text = format!("{}{}", warning.message, meant.unwrap_or_default());
    match &warning.location {
        Some(location) => Note::at(text, location.clone()),
        None => text.into(),
    }
}

/// All values, or all errors: independent problems together, each once.
pub(crate) fn all<T>(results: impl IntoIterator<Item = Result<T, Fail>>) -> Result<Vec<T>, Fail> {
    let mut values = Vec::new();
    let mut fails = Vec::new();
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(fail) => fails.push(fail),
        }
    }
    if fails.is_empty() {
        return Ok(values);
    }
    // A failure that is not an error of a description (a cycle, an unreadable disk) comes first and alone.
    if let Some(other) = fails.iter().find(|fail| fail.downcast_ref::<Problem>().is_none()) {
        return Err(other.clone());
    }
    // Several fields may name one dependency that failed.
    if fails.len() == 1 || fails.iter().all(|fail| fail.same(&fails[0])) {
        return Err(fails.swap_remove(0));
    }
    let problems = fails.iter().filter_map(|fail| fail.downcast_ref::<Problem>());
    let merged = Problem(Diagnostics::merge(problems.map(|problem| &problem.0)));
    // One transient part is enough to look again in the next build.
    let is_recorded = fails.iter().all(Fail::is_deterministic);
    Err(if is_recorded { Fail::task(merged) } else { Fail::transient(merged) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_recorded_stays_unrecorded_whatever_is_added() {
        let added = |fail: Fail| {
            let fail = once(below(fail, || "While processing:".into()), || "name".into());
            all::<()>([Err(settle(fail, |diagnostic| diagnostic.note("a note")))]).unwrap_err()
        };
        assert!(!added(fail_unrecorded(Diagnostic::error("absent"))).is_deterministic());
        assert!(added(fail(Diagnostic::error("wrong"))).is_deterministic());
    }
}
