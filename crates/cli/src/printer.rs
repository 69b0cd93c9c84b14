//! What actions say, and how they fail.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use taut_digest::{Digest, ObjectType};
use taut_driver::{ActionFailure, ActionOutcome, Events, Ran};
use taut_store::Store;
use taut_value::{ActionDescription, Id, JsonWriter};

use crate::{
    log::{Level, Log},
    recall::Output,
    report,
    reproduce::Reproduction,
};

/// Tells of actions as they end; failures are kept, to be told last.
pub(crate) struct Printer {
    log: Arc<Log>,
    store: Store,
    failures: Mutex<Vec<ActionFailure>>,
    outputs: Mutex<Vec<Output>>,
    /// What actions said before the call began anew.
    told: Mutex<Vec<Output>>,
}

impl Printer {
    pub(crate) fn new(log: &Arc<Log>, store: &Store) -> Arc<Printer> {
        Arc::new(Printer {
            log: log.clone(),
            store: store.clone(),
            failures: Mutex::default(),
            outputs: Mutex::default(),
            told: Mutex::default(),
        })
    }

    /// The call begins anew: failures are none of it, and what was told once is not told again.
    pub(crate) fn begin_anew(&self) {
        self.failures().clear();
        let said = std::mem::take(&mut *self.outputs.lock().unwrap_or_else(PoisonError::into_inner));
        self.told.lock().unwrap_or_else(PoisonError::into_inner).extend(said);
    }

    fn text(&self, digest: &Option<Digest>) -> String {
        let content =
            digest.and_then(|digest| self.store.read(&digest.hash, ObjectType::File).ok().flatten());
        content.map(|content| String::from_utf8_lossy(&content).into_owned()).unwrap_or_default()
    }

    /// What an action said.
    pub(crate) fn tell(&self, output: &Output) {
        if self.told.lock().unwrap_or_else(PoisonError::into_inner).contains(output) {
            return;
        }
        let (stdout, stderr) = (self.text(&output.stdout), self.text(&output.stderr));
        if let Some(text) = report::output_of_command(&output.command, &stdout, &stderr) {
            self.log.say_about(Level::Info, &output.name, text);
        }
    }

    fn output(&self, id: &Id, action: &ActionDescription, ran: &Ran) {
        if ran.stdout.is_none() && ran.stderr.is_none() {
            return;
        }
        let command = report::in_environment(&action.command, &action.env);
        let (stdout, stderr) = (ran.stdout, ran.stderr);
        let output = Output { name: format!("action:{id}"), command, stdout, stderr };
        self.tell(&output);
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner).push(output);
    }

    /// What all actions said, in the order of their names.
    pub(crate) fn outputs(&self) -> Vec<Output> {
        let mut outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        outputs.sort_by(|a, b| a.name.cmp(&b.name));
        outputs
    }

    fn failures(&self) -> MutexGuard<'_, Vec<ActionFailure>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many actions failed the build.
    pub(crate) fn count_of_failures(&self) -> usize {
        self.failures().len()
    }

    /// Each failed action: how it ended, who wanted it, how to see it again.
    pub(crate) fn tell_failures(&self, origins: impl Fn(&Id) -> Vec<String>, again: &Reproduction) {
        for failure in self.failures().iter() {
            let name = format!("action:{}", failure.id);
            let action = &failure.action;
            let message = match &action.may_fail {
                Some(message) if failure.ran.exit_code != 0 => {
                    let missing: Vec<String> =
                        failure.ran.missing.iter().map(|path| format!("\n - {path}")).collect();
                    format!(
                        "{message} (exit code {})\nMoreover action executed with missing outputs.{}",
                        failure.ran.exit_code,
                        missing.concat()
                    )
                }
                _ => failure.to_string(),
            };
            self.log.say_about(Level::Error, &name, message);
            let failed = report::failed_command(&action.command, &action.env, &origins(&failure.id));
            self.log.say_about(Level::Error, &name, failed);
            if let Some(text) = again.text(failure) {
                self.log.say_about(Level::Info, &name, text);
            }
        }
    }
}

impl Events for Printer {
    fn finished(&self, id: &Id, action: &Arc<ActionDescription>, outcome: &ActionOutcome) {
        self.output(id, action, &outcome.ran);
        if outcome.ran.exit_code != 0
            && let Some(message) = &action.may_fail
        {
            let mut text = format!("{message} (exit code {}); outputs:", outcome.ran.exit_code);
            for (path, info) in &outcome.ran.outputs {
                let mut quoted = JsonWriter::compact();
                quoted.string(path);
                text.push_str(&format!("\n - {} {info}", quoted.finish()));
            }
            self.log.say_about(Level::Warn, &format!("action:{id}"), text);
        }
    }

    fn failed(&self, failure: &ActionFailure) {
        self.output(&failure.id, &failure.action, &failure.ran);
        self.failures().push(failure.clone());
    }
}
