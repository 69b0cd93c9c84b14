//! What actions say, and how they fail.

use std::{
    borrow::Cow,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use taut_digest::Digest;
use taut_driver::{
    ActionFailure, MissingOutput, Ran,
    event::{Event, Failed, Finished, Sink},
};
use taut_store::Store;
use taut_value::{ActionDescription, Id, JsonWriter};

use crate::{
    log::{Level, Log},
    options::Stores,
    output::Stream,
    report,
    reproduce::{Reproduction, quoted},
    surroundings::{Name, build_root, with_hint},
};

/// What an action printed.
#[derive(Clone, PartialEq, Debug)]
struct Output {
    /// The action, as messages name it.
    name: String,
    /// Its command and environment, as messages show them.
    command: String,
    stdout: Option<Digest>,
    stderr: Option<Digest>,
}

/// Tells of actions as they end; failures are kept, to be told last.
pub(crate) struct Printer {
    log: Arc<Log>,
    store: Store,
    /// The command that shows all of an output, up to the object's name; none where all is always shown and every text
    /// is as the reference has it.
    to_see_all: Option<String>,
    build_root: PathBuf,
    failures: Mutex<Vec<ActionFailure>>,
    outputs: Mutex<Vec<Output>>,
    /// What actions said before the call began anew.
    told: Mutex<Vec<Output>>,
}

impl Printer {
    pub(crate) fn new(name: Name, stores: &Stores, log: &Arc<Log>, store: &Store) -> Arc<Printer> {
        let root = stores.local_build_root.as_ref();
        let root = root.map(|root| format!(" --local-build-root {}", quoted(&root.to_string_lossy())));
        let to_see_all = format!("taut install-cas{}", root.unwrap_or_default());
        Arc::new(Printer {
            log: log.clone(),
            store: store.clone(),
            to_see_all: (name == Name::Taut).then_some(to_see_all),
            build_root: build_root(name, stores).unwrap_or_default(),
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

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Whether texts are as the reference has them.
    pub(crate) fn is_as_reference(&self) -> bool {
        self.to_see_all.is_none()
    }

    /// An error, and what helps if the build root belongs to another user.
    pub(crate) fn with_hint(&self, error: String) -> String {
        if self.is_as_reference() { error } else { with_hint(error, &self.build_root) }
    }

    /// A command as it is shown.
    pub(crate) fn shown<'c>(&self, command: &'c str) -> Cow<'c, str> {
        if self.to_see_all.is_some() { report::shortened(command) } else { command.into() }
    }

    /// What an action printed.
    fn tell(&self, output: &Output) {
        if self.told.lock().unwrap_or_else(PoisonError::into_inner).contains(output) {
            return;
        }
        let stream = |digest| Stream::open(&self.store, digest);
        let (stdout, stderr) = (stream(&output.stdout), stream(&output.stderr));
        if stdout.is_none() && stderr.is_none() {
            return;
        }
        let command = self.shown(&output.command);
        let heads = report::heads_of_output(&command, stdout.is_some(), stderr.is_some());
        self.log.say_in_pieces(Level::Info, &output.name, |give| {
            for (head, stream) in [(&heads.0, stdout), (&heads.1, stderr)] {
                if let Some(stream) = stream {
                    give(head);
                    stream.show(self.to_see_all.as_deref(), give);
                }
            }
        });
    }

    /// Why the command of an action that may fail was not started, if that is so; the exit code is made up then.
    fn why_not_started(&self, ran: &Ran) -> String {
        let why = ran.not_started.as_ref().filter(|_| self.to_see_all.is_some());
        why.map(|why| format!("\naction could not be started: {why}")).unwrap_or_default()
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
                    let Ran { exit_code, missing, .. } = &*failure.ran;
                    let shown = |output: &MissingOutput| match self.to_see_all {
                        Some(_) => format!("\n - {output}"),
                        None => format!("\n - {}", output.path),
                    };
                    let missing: String = missing.iter().map(shown).collect();
                    let why = self.why_not_started(&failure.ran);
                    format!(
                        "{message} (exit code {exit_code}){why}\nMoreover action executed with missing outputs.{missing}"
                    )
                }
                _ if self.is_as_reference() => failure.as_reference(),
                _ => self.with_hint(failure.to_string()),
            };
            self.log.say_about(Level::Error, &name, message);
            let command = report::in_environment(&action.command, &action.env);
            let failed = report::failed_command(&self.shown(&command), &origins(&failure.id));
            self.log.say_about(Level::Error, &name, failed);
            if let Some((text, commands)) = again.text(failure) {
                self.log.say_with_block(Level::Info, &name, &text, &commands);
            }
        }
    }
}

impl Printer {
    fn finished(&self, Finished { action, outcome, .. }: &Finished<'_>) {
        let (id, action) = (action.id, action.description);
        self.output(id, action, &outcome.ran);
        if outcome.ran.exit_code != 0
            && let Some(message) = &action.may_fail
        {
            let why = self.why_not_started(&outcome.ran);
            let mut text = format!("{message} (exit code {}){why}; outputs:", outcome.ran.exit_code);
            for (path, info) in &outcome.ran.outputs {
                let mut quoted = JsonWriter::compact();
                quoted.string(path);
                text.push_str(&format!("\n - {} {info}", quoted.finish()));
            }
            self.log.say_about(Level::Warn, &format!("action:{id}"), text);
        }
    }

    fn failed(&self, Failed { failure, .. }: &Failed<'_>) {
        self.output(&failure.id, &failure.action, &failure.ran);
        self.failures().push((*failure).clone());
    }
}

impl Sink for Printer {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::ActionFinished(finished) => self.finished(finished),
            Event::ActionFailed(failed) => self.failed(failed),
            _ => {}
        }
    }
}
