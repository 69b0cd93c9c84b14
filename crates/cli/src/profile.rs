//! `--profile`: what a call did, as JSON for other programs to read.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use taut_driver::{
    Backend, ResultSource, RunResult,
    event::{Call, Event, Failed, Finished, Sink},
};
use taut_value::{EntityName, Id, JsonMode, JsonWriter, Value};

use crate::{
    diagnostics,
    exit::Exit,
    log::Log,
    options::{Analysis, Execution, Stores},
    remote_execution::backend,
    text_file,
    tool_name::Name,
};

/// Collects what a call does.
pub(crate) struct Profile {
    path: PathBuf,
    subcommand: &'static str,
    words: Vec<String>,
    properties: BTreeMap<String, String>,
    backend: Backend,
    start: u64,
    seen: Mutex<ProfileData>,
}

#[derive(Default)]
struct ProfileData {
    // The keys are in the order of their names, as the reference's library writes objects.
    target: Option<(EntityName, taut_value::Map)>,
    errors: Vec<String>,
    build_start: Option<u64>,
    build_stop: Option<u64>,
    actions: BTreeMap<Id, Action>,
}

struct Action {
    cached: bool,
    ran: Arc<RunResult>,
}

/// Seconds since the epoch.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Profile {
    /// The profile, if the options have one.
    pub(crate) fn from_options(
        subcommand: &'static str,
        analysis: &Analysis,
        execution: &Execution,
        stores: &Stores,
        log: &Log,
    ) -> Option<Arc<Profile>> {
        let path = analysis.profile.clone()?;
        // A property without a colon is an error, which is reported elsewhere.
        let split = |property: &String| {
            property.split_once(':').map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        Some(Arc::new(Profile {
            path,
            subcommand,
            words: analysis.target.clone(),
            properties: execution.remote_execution_property.iter().filter_map(split).collect(),
            // What is wrong with these options is reported elsewhere.
            backend: backend(execution, stores, log).unwrap_or_default(),
            start: now(),
            seen: Mutex::default(),
        }))
    }

    fn seen(&self) -> MutexGuard<'_, ProfileData> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the profile of a call that ends like this.
    pub(crate) fn write(&self, exit: Exit, log: &Log) -> Result<(), Exit> {
        text_file::write(&self.path, &(self.to_json(exit, log.tool() == Name::Just) + "\n"), log)
    }

    /// `as_reference`: without what the reference's does not have.
    fn to_json(&self, exit: Exit, as_reference: bool) -> String {
        let seen = self.seen();
        let mut writer = JsonWriter::pretty(2);
        writer.object(|w| {
            if !seen.actions.is_empty() {
                w.key("actions").object(|w| {
                    for (id, action) in &seen.actions {
                        action.write(w.key(&id.to_hex()), as_reference);
                    }
                });
            }
            if !seen.errors.is_empty() {
                w.key("analysis errors").strings(&seen.errors);
            }
            if let Some(time) = seen.build_start {
                w.key("build start time").integer(time);
            }
            if let Some(time) = seen.build_stop {
                w.key("build stop time").integer(time);
            }
            // Keys are sorted by their names, as the reference's library writes objects; so target
            // and configuration are apart.
            if let Some((_, configuration)) = &seen.target {
                w.key("configuration").value(&Value::Map(configuration.clone()), JsonMode::All);
            }
            w.key("exit code").integer(exit.code());
            w.key("remote").object(|w| {
                if let Some(address) = &self.backend.address {
                    w.key("address").string(address);
                }
                w.key("dispatch").list(|w| {
                    for (properties, address) in &self.backend.dispatch {
                        w.list(|w| {
                            w.object(|w| {
                                for (name, value) in properties {
                                    w.key(name).string(value);
                                }
                            });
                            w.string(address);
                        });
                    }
                });
                w.key("properties").object(|w| {
                    for (name, value) in &self.properties {
                        w.key(name).string(value);
                    }
                });
            });
            w.key("start time").integer(self.start);
            w.key("stop time").integer(now());
            w.key("subcommand").string(self.subcommand);
            w.key("subcommand args").strings(&self.words);
            if let Some((target, _)) = &seen.target {
                target.write_json(w.key("target"));
            }
        });
        writer.finish()
    }

    fn note(&self, id: &Id, cached: bool, ran: &Arc<RunResult>) {
        self.seen().actions.insert(*id, Action { cached, ran: ran.clone() });
    }
}

impl Action {
    fn write(&self, w: &mut JsonWriter, as_reference: bool) {
        let ran = &self.ran;
        w.object(|w| {
            w.key("artifacts").object(|w| {
                for (path, info) in &ran.outputs {
                    w.key(path).string(info.digest.hash.to_hex());
                }
            });
            w.key("cached").bool(self.cached);
            if !as_reference && self.has_fetched() {
                w.key("downloading").number(ran.downloading.as_secs_f64());
            }
            // The time of a cached action is that of another call.
            if !self.cached {
                w.key("duration").number(ran.duration.as_secs_f64());
            }
            if let Some(server) = ran.executed_by.as_ref().filter(|_| !as_reference) {
                w.key("executed by").string(&**server);
            }
            if ran.exit_code != 0 {
                w.key("exit code").integer(ran.exit_code);
            }
            if !as_reference {
                self.write_transfer(w);
            }
            for (name, digest) in [("stderr", &ran.stderr), ("stdout", &ran.stdout)] {
                if let Some(digest) = digest {
                    w.key(name).string(digest.hash.to_hex());
                }
            }
            if !as_reference && !self.cached && ran.executed_by.is_some() {
                w.key("uploading").number(ran.uploading.as_secs_f64());
            }
        });
    }
}

impl Action {
    /// Whether the result came from a remote cache.
    fn is_from_remote(&self) -> bool {
        self.cached && self.ran.run_as.is_none() && self.ran.taken_from == ResultSource::RemoteCache
    }

    /// Whether something had to come from servers for it.
    fn has_fetched(&self) -> bool {
        self.is_from_remote() || (!self.cached && self.ran.fetched_bytes > 0)
    }

    /// Where the result comes from that was not made here, what passed for that, and what was waited for. Keys are in
    /// order among themselves and behind those before.
    fn write_transfer(&self, w: &mut JsonWriter) {
        let ran = &self.ran;
        if self.has_fetched() {
            w.key("fetched bytes").integer(ran.fetched_bytes);
        }
        if self.is_from_remote() {
            w.key("from").string("remote cache");
        }
        if !self.cached && ran.executed_by.is_some() {
            w.key("queued").number(ran.queued.as_secs_f64());
            w.key("sent bytes").integer(ran.sent_bytes);
        }
    }
}

impl Sink for Profile {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::CallBegan(Call { targets: Some(targets), configuration: Some(configuration), .. }) => {
                // The form has one target: of several it is the first.
                let target = EntityName::Named(targets.first().clone());
                self.seen().target = Some((target, (*configuration).clone()));
            }
            Event::AnalysisFailed(problems) => self.seen().errors = diagnostics::plain(problems),
            Event::BuildBegan { .. } => self.seen().build_start = Some(now()),
            Event::BuildFinished(_) => self.seen().build_stop = Some(now()),
            Event::ActionFinished(Finished { action, outcome, .. }) => {
                // By id, so that an action whose event comes again after a retry is one entry.
                self.note(action.id, outcome.cached, &outcome.ran);
            }
            Event::ActionFailed(Failed { failure, .. }) => self.note(&failure.id, false, &failure.ran),
            _ => {}
        }
    }
}
