//! Failures of analysis: diagnostics as the outcome of a task.

use std::fmt;

use taut_engine::{Fail, Failure, Hash};
use taut_syntax::{Diagnostic, Diagnostics, Frame};
use taut_value::Id;

/// What is wrong with a description: at least one error.
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
        Some(Hash(Id::of(format!("{:?}", self.0)).0))
    }
}

/// The failure with one diagnostic.
pub(crate) fn fail(diagnostic: Diagnostic) -> Fail {
    Fail::task(Problem(diagnostic.into()))
}

/// The failure as seen from one step further out.
pub(crate) fn within(fail: Fail, frame: impl FnOnce() -> Frame) -> Fail {
    match fail.downcast_ref::<Problem>() {
        Some(Problem(diagnostics)) => Fail::task(Problem(diagnostics.within(&frame()))),
        None => fail,
    }
}

/// All values, or everything that is wrong: independent problems together, each once.
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
    // What is no problem of a description (a cycle, an unreadable disk) comes first and alone.
    if let Some(other) = fails.iter().find(|fail| fail.downcast_ref::<Problem>().is_none()) {
        return Err(other.clone());
    }
    if fails.len() == 1 || fails.iter().all(|fail| fail.same(&fails[0])) {
        return Err(fails.swap_remove(0));
    }
    let problems = fails.iter().filter_map(|fail| fail.downcast_ref::<Problem>());
    Err(Fail::task(Problem(Diagnostics::merge(problems.map(|problem| &problem.0)))))
}
