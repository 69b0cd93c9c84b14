//! Which targets are tests, of any rule.
//!
//! A target is a test if it is tainted with `test` and has an artifact named `result`, at whatever directory, that is
//! an output of an action of its own. These are the rules in the binary and justbuild's rule sets alike, and any others
//! that follow the convention. Suites and installed tests define no action, so they are not tests; those that they have
//! are among their dependencies. Several such actions of one target are the shards of one test.
//!
//! Rejected: the name of the rule, since rules are called whatever their authors like, and since an analysed target
//! does not say which rule made it.

use std::{collections::BTreeMap, sync::Arc};

use taut_analysis::{AnalysedTarget, ConfiguredTarget};
use taut_value::{ActionDescription, Artifact, Id, Str};

use crate::Closure;

/// What tests are tainted with.
const TAINT: &str = "test";

/// The artifact that says how a test ended.
const RESULT: &str = "result";

/// A test.
#[derive(Clone, Debug)]
pub struct Test {
    /// The target, with the variables that it depends on.
    pub target: ConfiguredTarget,
    /// The actions that make up the test, in the order of the paths of their results; at least one.
    pub shards: Vec<Shard>,
}

/// One action of a test.
#[derive(Clone, Debug)]
pub struct Shard {
    /// The action.
    pub id: Id,
    /// Its definition.
    pub action: Arc<ActionDescription>,
    /// The output that says how it ended.
    pub result: Str,
    /// The outputs with what it printed, if it has such: standard output, standard error.
    pub streams: [Option<Str>; 2],
}

/// The tests among all targets below a request, in the order of [`Closure::reached`].
pub fn tests(closure: &Closure) -> Vec<Test> {
    let mut tests = Vec::new();
    for reached in closure.reached.iter().filter(|reached| reached.analysed.is_defined) {
        let analysed = &reached.analysed;
        // In the order of their paths, which numbers them: a shorter one first, since `shard-10` comes after `shard-9`.
        let mut shards: BTreeMap<(usize, Str), Shard> = BTreeMap::new();
        for (path, id, output) in results(analysed) {
            let Some(action) = closure.action(id) else { continue };
            // One action may have several such artifacts, as when it is installed twice; it is one shard.
            if shards.values().any(|shard| shard.id == *id) {
                continue;
            }
            // Beside the result, since one action may have several such files.
            let beside = output.strip_suffix(RESULT).unwrap_or_default();
            let stream = |name: &str| {
                let wanted = format!("{beside}{name}");
                action.outs.iter().find(|out| out.as_str() == wanted).cloned()
            };
            let streams = [stream("stdout"), stream("stderr")];
            let shard = Shard { id: *id, action: action.clone(), result: output.clone(), streams };
            shards.insert((path.len(), path.clone()), shard);
        }
        if !shards.is_empty() {
            let target = ConfiguredTarget {
                name: reached.target.name.clone(),
                config: reached.target.config.without_nulls(),
            };
            tests.push(Test { target, shards: shards.into_values().collect() });
        }
    }
    tests
}

/// The results of a target that is a test, by their paths: the actions that make them, and what these call them.
pub(crate) fn results(analysed: &AnalysedTarget) -> impl Iterator<Item = (&Str, &Id, &Str)> {
    let is_test = analysed.tainted.iter().any(|taint| taint.as_str() == TAINT);
    let artifacts = is_test.then(|| analysed.result.artifacts.iter()).into_iter().flatten();
    artifacts.filter_map(|(path, value)| match value.as_artifact()? {
        Artifact::Action { id, path: output } => {
            (base(path) == RESULT && analysed.defined.actions.contains(id)).then_some((path, id, output))
        }
        _ => None,
    })
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
