//! `rebuild`: which actions have another result when they run again.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use taut_digest::ObjectInfo;
use taut_driver::{
    RunResult,
    event::{Action, Event, Sink},
};
use taut_value::{Id, JsonWriter, Str};

use crate::{
    exit::Exit,
    log::Log,
    report::object,
    text_file,
    voice::{self, Compared, Flaky},
};

/// Collects the results of comparisons.
pub(crate) struct Comparison {
    log: Arc<Log>,
    // Events come from several threads; the lock is held for one entry at a time.
    found: Mutex<ComparisonResults>,
}

#[derive(Default)]
struct ComparisonResults {
    compared: usize,
    flaky: BTreeMap<Id, BTreeMap<Str, OutputPair>>,
    flaky_and_tainted: usize,
    misses: BTreeSet<Id>,
}

/// An output of the action now, and in the cache.
struct OutputPair {
    rebuilt: ObjectInfo,
    cached: ObjectInfo,
}

impl Comparison {
    pub(crate) fn new(log: &Arc<Log>) -> Arc<Comparison> {
        Arc::new(Comparison { log: log.clone(), found: Mutex::default() })
    }

    fn found(&self) -> MutexGuard<'_, ComparisonResults> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The result of the comparison.
    pub(crate) fn figures(&self) -> Compared {
        let found = self.found();
        Compared {
            compared: found.compared,
            flaky: found.flaky.len(),
            flaky_and_tainted: found.flaky_and_tainted,
            misses: found.misses.len(),
        }
    }

    /// Writes what was found to a file, as JSON.
    pub(crate) fn dump(&self, path: &Path, log: &Log) -> Result<(), Exit> {
        let found = self.found();
        let mut writer = JsonWriter::pretty(2);
        writer.object(|w| {
            w.key("cache misses").strings(found.misses.iter().map(Id::to_hex));
            w.key("flaky actions").object(|w| {
                for (id, outputs) in &found.flaky {
                    w.key(&id.to_hex()).object(|w| {
                        for (path, OutputPair { rebuilt, cached }) in outputs {
                            w.key(path).object(|w| {
                                object(w.key("cached"), cached);
                                object(w.key("rebuilt"), rebuilt);
                            });
                        }
                    });
                }
            });
        });
        text_file::write(path, &writer.finish(), log)
    }
}

impl Sink for Comparison {
    fn event(&self, event: &Event<'_>) {
        if let Event::ActionCompared { action, again, cached } = event {
            self.compared(action, again, *cached);
        }
    }
}

impl Comparison {
    fn compared(&self, action: &Action<'_>, again: &RunResult, cached: Option<&RunResult>) {
        let (id, action) = (action.id, action.description);
        let mut found = self.found();
        let Some(cached) = cached else {
            // The reference counts what it cannot compare as a miss of the cache.
            found.misses.insert(*id);
            return;
        };
        found.compared += 1;
        let differing = again.outputs.iter().filter_map(|(path, rebuilt)| {
            // An output that only one of the two has cannot be compared.
            let cached = cached.outputs.get(path).filter(|cached| *cached != rebuilt)?;
            Some((path.clone(), OutputPair { rebuilt: *rebuilt, cached: *cached }))
        });
        let differing: BTreeMap<Str, OutputPair> = differing.collect();
        if differing.is_empty() {
            return;
        }
        // Results of these are not kept, or allowed to fail: that they differ is expected, and counted apart.
        let is_tainted = action.may_fail.is_some() || action.no_cache;
        let outputs =
            differing.iter().map(|(path, pair)| (path.clone(), pair.rebuilt, pair.cached)).collect();
        found.flaky_and_tainted += usize::from(is_tainted);
        found.flaky.insert(*id, differing);
        // The message may be slow to write, and other threads report their results meanwhile.
        drop(found);
        voice::of(&self.log).flaky(&Flaky { id, action, is_tainted, outputs }, &self.log);
    }
}
