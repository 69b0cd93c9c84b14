//! The last line of a build: what was built or failed, in figures.

use std::{collections::HashSet, path::Path};

use taut_driver::{BuildFailure, Cause, MissingPath, Unbuilt};
use taut_value::{EntityName, Id, Map, Value};

use super::{MAX_NAMED, Messages, MessagesState, Taut};
use crate::{
    log::Level,
    voice::{
        ActionOrigins, Compared, Delivered, Voice as _, count,
        figures::{first_texts_of, size, some_of},
        seconds,
    },
};

impl Messages {
    /// What was built, and where it was installed.
    pub(super) fn say_built(&self, delivered: &Delivered<'_>) {
        let mut state = self.state();
        if let Some(traffic) = &mut state.traffic {
            // What was installed.
            traffic.fetched_bytes += self.store.take_fetched_bytes();
        }
        let (name, time) = (&state.name, seconds(self.begin.elapsed()));
        let mut figures = self.figures(&state);
        let installed = delivered.directory.map(|directory| {
            let here = std::env::current_dir().unwrap_or_default();
            let shown = match directory.strip_prefix(&here) {
                Ok(below) if below.as_os_str().is_empty() => Path::new("."),
                Ok(below) => below,
                Err(_) => directory,
            };
            let (all, shown) = (count(delivered.paths, "artifact"), shown.display());
            match delivered.written {
                0 => format!("nothing to install in {shown}"),
                // Unchanged files that are there already are not written again.
                written if written < delivered.paths => format!("installed {written} of {all} in {shown}"),
                _ => format!("installed {all} in {shown}"),
            }
        });
        let figures_are_empty = figures.is_empty();
        let mut line = if let Some(compared) = state.compared {
            format!("Rebuilt {name} in {time}: {}", comparison(compared))
        } else if figures.is_empty() {
            let actions = match state.processed {
                0 => "no actions".to_owned(),
                number => count(number, "action"),
            };
            let verb = if state.is_many { "are" } else { "is" };
            // A graph from a file has none.
            let targets = match state.targets {
                0 => String::new(),
                number => format!(", {}", count(number, "target")),
            };
            format!("{name} {verb} up to date ({actions}{targets}, {time})")
        } else {
            // After a retry, actions may have been counted in both tries.
            let rest = state.processed.saturating_sub(state.ran + state.cached);
            if rest > 0 {
                figures.push(format!("{rest} up to date"));
            }
            format!("Built {name} in {time}: {}", figures.join(", "))
        };
        if let Some(installed) = installed {
            line += &format!("; {installed}");
            let fetched = state.traffic.map_or(0, |traffic| traffic.fetched_bytes);
            if figures_are_empty && fetched > 0 {
                line += &format!(", {} fetched", size(fetched));
            }
        }
        if let Some(warnings) = self.known_warnings(&state) {
            line += &format!("; {warnings}");
        }
        self.log.say(Level::Info, line);
    }

    /// What failed, and what is not built because of it.
    pub(super) fn say_failed(&self, failure: &BuildFailure, defined: &dyn ActionOrigins) {
        // Cloned: to find the targets of actions locks the state, too.
        let failed = self.state().failed.clone();
        // By target and action: the order of events differs from call to call if actions run at a time.
        let mut named: Vec<(String, Option<u64>, &String)> = failed
            .iter()
            .map(|(id, output)| {
                let name = self.name_in_summary(id, defined);
                (name, self.origin(id).map(|origin| origin.subtask), output)
            })
            .collect();
        named.sort_unstable();
        let named =
            named.into_iter().map(|(name, _, output)| format!("{name} ({output})")).collect::<Vec<_>>();
        // Before the state is locked below, for the same reason.
        let not_built = self.not_built(failure, &failed, defined);
        let state = self.state();
        let mut parts = Vec::new();
        if !named.is_empty() {
            let (number, named) = (count(named.len(), "action"), some_of(&named, MAX_NAMED));
            parts.push(format!("{number} failed: {named}"));
        }
        if !failure.unbuilt.is_empty() {
            let what = if failed.is_empty() { "error" } else { "other error" };
            parts.push(count(failure.unbuilt.len(), what));
        }
        let done = self.figures(&state);
        if !done.is_empty() {
            parts.push(done.join(", "));
        }
        parts.extend(not_built);
        let time = seconds(self.begin.elapsed());
        parts.extend(self.known_warnings(&state));
        let what = if self.is_rebuild { "rebuild" } else { "build" };
        let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join("; ")) };
        // A call that uses what is left (`compile-commands`) goes on after failed actions; errors of another
        // kind end it.
        if self.is_partial && failure.unbuilt.is_empty() {
            let text = format!("some of {} cannot be built, and are left out ({time}){parts}", state.name);
            return self.log.say(Level::Warn, text);
        }
        self.log.say(Level::Error, format!("{what} of {} failed after {time}{parts}", state.name));
    }

    /// How far an interrupted build was.
    pub(super) fn say_interrupted(&self) {
        let state = self.state();
        if state.total == 0 {
            return Taut.interrupted_early(&self.log);
        }
        let time = seconds(self.begin.elapsed());
        if let Some(tests) = state.tests.as_ref().and_then(|so_far| so_far()) {
            return self.log.say(Level::Info, format!("Interrupted after {time}: {tests}"));
        }
        // The event with the number of processed actions is sent at the end of the build, and an
        // interruption may come before.
        let done = state.processed.max(state.ran + state.cached);
        let done = format!("{done} of {} done", count(state.total, "action"));
        let failed = match state.failed.len() {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        let ended = match state.interrupted {
            0 => String::new(),
            1 => "; 1 running action stopped".to_owned(),
            many => format!("; {many} running actions stopped"),
        };
        self.log.say(Level::Info, format!("Interrupted after {time}: {done}{failed}{ended}"));
    }

    /// The target of an action as the last line names it, which has the configuration of the request already.
    fn name_in_summary(&self, id: &Id, defined: &dyn ActionOrigins) -> String {
        self.find(id, defined);
        let Some(origin) = self.origin(id) else { return self.target_of(id) };
        let configuration = self.state().configuration.clone();
        let name = self.log.names().origin_within(&origin, &configuration);
        // The name of an anonymous target is a hash, which nothing in the description shows.
        let dependent = match &origin.target {
            Value::Name(target @ EntityName::Anonymous(_)) => defined.named_dependent(target),
            _ => None,
        };
        match dependent {
            Some(dependent) => format!("{name} of {}", self.log.names().typed(&dependent, &Map::default())),
            None => name,
        }
    }

    /// What is not built: the targets that would have made what is wanted, and paths that no action makes. First what
    /// depends on something that failed, then what the build stopped before. What failed itself is not named again.
    fn not_built(
        &self,
        failure: &BuildFailure,
        failed: &[(Id, String)],
        defined: &dyn ActionOrigins,
    ) -> Vec<String> {
        let first_of = |unbuilt: &Unbuilt| unbuilt.actions.first().map(|(id, _)| *id);
        // What failed, or could not be made for a reason that is shown, is not listed once more as a consequence.
        let mut seen: HashSet<Id> = failed.iter().map(|(id, _)| *id).collect();
        seen.extend(failure.unbuilt.iter().filter_map(first_of));
        let mut named: HashSet<String> =
            failed.iter().map(|(id, _)| self.name_in_summary(id, defined)).collect();
        // Without a server or a store to write to, nothing could go on.
        let could_go_on = failure
            .unbuilt
            .iter()
            .all(|unbuilt| !matches!(unbuilt.cause, Cause::Server(_) | Cause::Store(_)));
        let mut parts = Vec::new();
        for is_stopped in [false, true] {
            let (mut names, mut more): (Vec<String>, usize) = Default::default();
            let missing =
                failure.not_built.iter().filter(|path| (path.is_stopped && could_go_on) == is_stopped);
            for MissingPath { path, maker, .. } in missing {
                if maker.is_some_and(|id| !seen.insert(id)) {
                    continue;
                }
                // To find a target may take a while.
                if names.len() > MAX_NAMED {
                    more += 1;
                    continue;
                }
                let name = match maker {
                    Some(id) => self.name_in_summary(id, defined),
                    None => path.to_string(),
                };
                if named.insert(name.clone()) {
                    names.push(name);
                }
            }
            if !names.is_empty() {
                let names = first_texts_of(&names, names.len() + more, MAX_NAMED);
                parts.push(match is_stopped {
                    false => format!("not built: {names}"),
                    true => format!("not started: {names} (--keep-going goes on after a failure)"),
                });
            }
        }
        parts
    }

    /// For the last line: the note that warnings were shown by an earlier call.
    fn known_warnings(&self, state: &MessagesState) -> Option<String> {
        let number = Some(state.known_warnings).filter(|number| *number > 0)?;
        Some(format!(
            "{} as before, -v shows {}",
            count(number, "warning"),
            if number == 1 { "it" } else { "them" }
        ))
    }

    /// Counts of what was done, for the last line.
    fn figures(&self, state: &MessagesState) -> Vec<String> {
        let mut figures = Vec::new();
        if state.ran > 0 {
            let at = match state.by_servers {
                0 => String::new(),
                all if all == state.ran => " remotely".to_owned(),
                some => format!(", {some} of them remotely"),
            };
            figures.push(format!("{} run{at}", count(state.ran, "action")));
        }
        for (number, cache) in [(state.cached - state.remote, "cache"), (state.remote, "the remote cache")] {
            if number > 0 {
                // The noun once: "3 actions run, 2 from cache".
                let what = if figures.is_empty() { count(number, "action") } else { number.to_string() };
                figures.push(format!("{what} from {cache}"));
            }
        }
        // By content: how much the network carried depends on what was compressed.
        let traffic = state.traffic.unwrap_or_default();
        for (bytes, verb) in [(traffic.fetched_bytes, "fetched"), (traffic.sent_bytes, "sent")] {
            if bytes > 0 && !figures.is_empty() {
                figures.push(format!("{} {verb}", size(bytes)));
            }
        }
        figures
    }
}

/// What a rebuild found.
fn comparison(found: Compared) -> String {
    let Compared { compared, flaky, flaky_and_tainted, misses } = found;
    let mut parts = Vec::new();
    if compared > 0 || misses == 0 {
        let compared = format!("{} run again and compared with the cache", count(compared, "action"));
        parts.push(match (flaky, flaky_and_tainted) {
            (0, _) => format!("{compared}, none differs"),
            (flaky, 0) => format!("{compared}, {flaky} gave another result"),
            (flaky, tainted) => {
                format!("{compared}, {flaky} gave another result ({tainted} of them tainted)")
            }
        });
    }
    if misses > 0 {
        parts.push(format!("{} run that the cache did not know", count(misses, "action")));
    }
    parts.join("; ")
}
