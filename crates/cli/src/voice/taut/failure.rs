//! A failed action in a few lines: where its target is defined, what failed and how, the command, what it printed, and
//! one command to run it again.

use std::{path::Path, time::Duration};

use taut_digest::ObjectInfo;
use taut_driver::{ActionFailure, MissingOutput, RunResult, event::Origin};
use taut_sys::Dir;
use taut_value::{ActionDescription, Id, Str};

use super::{
    MAX_NAMED, Messages, binary_as_script, cxx_modules, in_line, missing_file, missing_program,
    not_executable, output_of, shown_command,
};
use crate::{
    environment::with_hint,
    log::{Level, plain},
    output::Stream,
    voice::{command, exit_code, figures::some_of, place_of, time_limit},
};

/// A message about an action that failed, or failed as it may.
struct FailureMessage<'m> {
    level: Level,
    id: &'m Id,
    action: &'m ActionDescription,
    ran: &'m RunResult,
    /// The first line.
    head: String,
    /// Lines below the command.
    details: String,
    /// Lines below what was printed.
    hints: Vec<String>,
    /// The command that runs the action again.
    again: Option<String>,
}

/// How much of an output is searched for what an action misses.
// The first errors are the cause as a rule, and an output may be gigabytes.
const MAX_SEARCHED: usize = 64 << 10;

/// How an action ended: in a few words for the first line, and in lines of their own.
struct ActionEnding {
    words: String,
    details: Vec<String>,
}

impl ActionEnding {
    /// `limit`: the configured time limit.
    fn of(failure: &ActionFailure, limit: Option<Duration>) -> ActionEnding {
        let what = output_of(&failure.action);
        if let Some(error) = &failure.error {
            let details = error.why.lines().map(str::to_owned).collect();
            return ActionEnding { words: format!("action for {what} {}", error.phase), details };
        }
        let RunResult { exit_code: code, missing, invalid, .. } = &*failure.ran;
        let mut details: Vec<String> = Vec::new();
        let mut words = match &failure.action.may_fail {
            Some(message) if *code != 0 => {
                details.extend(why_not_started(&failure.ran));
                format!("{message} ({})", exit_code(*code))
            }
            _ => how_it_failed(&what, &failure.action, &failure.ran, limit, &mut details),
        };
        if !missing.is_empty() {
            if *code == 0 {
                let paths: Vec<_> = missing.iter().map(|output| in_line(&output.path)).collect();
                words = format!("the command succeeded, but did not create {}", some_of(&paths, MAX_NAMED));
            }
            // A line that only repeats the path that is named already says nothing new.
            let is_new = |output: &&MissingOutput| {
                *code != 0 || missing.len() > MAX_NAMED || output.to_string() != output.path.as_str()
            };
            details.extend(missing.iter().filter(is_new).map(|output| format!("missing: {output}")));
        } else if words.is_empty() {
            words = format!("building {what} failed: its outputs cannot be used");
        }
        details.extend(invalid.iter().flat_map(|text| text.lines()).map(str::to_owned));
        ActionEnding { words, details }
    }
}

/// How the command of an action ended; empty if it did well.
fn how_it_failed(
    what: &str,
    action: &ActionDescription,
    ran: &RunResult,
    limit: Option<Duration>,
    details: &mut Vec<String>,
) -> String {
    // Before the exit code, which is made up for a command that never ran.
    if let Some(why) = &ran.not_started {
        let mut lines = why.lines();
        let first = lines.next().unwrap_or_default();
        details.extend(lines.map(|line| line.trim().to_owned()));
        return format!("building {what} failed: the command could not be started: {first}");
    }
    if ran.timed_out {
        let limit = limit.map_or_else(|| "time limit".to_owned(), |limit| time_limit(limit, action));
        return format!("building {what} failed: it exceeded its {limit}");
    }
    match ran.exit_code {
        0 => String::new(),
        code => format!("building {what} failed ({})", exit_code(code)),
    }
}

/// Why the command was not started, if it was not; the exit code is made up then.
fn why_not_started(ran: &RunResult) -> Vec<String> {
    let why = ran.not_started.as_ref().map(|why| format!("the command could not be started: {why}"));
    why.iter().flat_map(|why| why.lines()).map(|line| line.trim().to_owned()).collect()
}

/// What helps if a command had no room for what it writes, since actions write below the build root.
fn hint_of_space(build_root: &Path) -> Option<String> {
    // A full disk may have a block or two left.
    const FULL_BELOW: u64 = 64 << 10;
    let free = match Dir::of_user(build_root).and_then(|directory| directory.free_space()) {
        // A file system that is full may have no answer for this, either.
        Err(error) if error.is_full() => 0,
        free => free.ok()?,
    };
    let root = build_root.display();
    (free < FULL_BELOW)
        .then(|| format!("help: the disk with the build root {root} is full ({free} bytes left)"))
}

impl Messages {
    /// A failed action.
    pub(super) fn show_failure(&self, failure: &ActionFailure) {
        let ActionEnding { words, details } = ActionEnding::of(failure, self.time_limit);
        let mut lines = details;
        lines.extend(self.details_of_id(&failure.id));
        let (place, target) = (self.place(&failure.id), self.target_of(&failure.id));
        self.show_message(FailureMessage {
            level: if self.is_partial { Level::Warn } else { Level::Error },
            id: &failure.id,
            action: &failure.action,
            ran: &failure.ran,
            head: format!("{place}{}", self.bold(&format!("{target}: {words}"))),
            details: with_hint(lines.join("\n"), &self.build_root),
            hints: self.hints(&failure.id, &failure.action, &failure.ran, &failure.inputs),
            again: self.again.command(&failure.id),
        });
    }

    /// An action that failed as it may.
    pub(super) fn show_tolerated(&self, id: &Id, action: &ActionDescription, ran: &RunResult) {
        let message = action.may_fail.as_ref().map_or("action failed", |message| message.as_str());
        let mut lines = why_not_started(ran);
        lines.extend(self.details_of_id(id));
        let (place, target) = (self.place(id), self.target_of(id));
        let head = format!("{target}: {message} ({})", exit_code(ran.exit_code));
        let head = format!("{place}{}", self.bold(&head));
        let (details, hints) = (lines.join("\n"), self.hints(id, action, ran, &[]));
        self.show_message(FailureMessage {
            level: Level::Warn,
            id,
            action,
            ran,
            head,
            details,
            hints,
            // It did what it may do, so there is nothing to look into.
            again: None,
        });
    }

    /// The file and line where the target of an action is defined, with a colon and a blank.
    fn place(&self, id: &Id) -> String {
        self.origin(id).and_then(|origin| self.place_of(&origin)).unwrap_or_default()
    }

    /// The same for a target.
    pub(super) fn place_of(&self, origin: &Origin) -> Option<String> {
        let repositories = self.state().repositories.clone()?;
        Some(format!("{}: ", place_of(origin, &repositories)?))
    }

    /// The beginnings of what an action printed, without colours, in which the cause is looked for.
    fn searched(&self, ran: &RunResult) -> Vec<String> {
        let beginning = |digest| {
            let out = Stream::open(&self.store, digest)?;
            Some(plain(&out.beginning(MAX_SEARCHED)).into_owned())
        };
        // Standard error first, since that is where tools report errors.
        [&ran.stderr, &ran.stdout].into_iter().filter_map(beginning).collect()
    }

    /// What can be done about the failure, by what the action printed. `inputs`: by path, as far as they are known.
    fn hints(
        &self,
        id: &Id,
        action: &ActionDescription,
        ran: &RunResult,
        inputs: &[(Str, ObjectInfo)],
    ) -> Vec<String> {
        let printed = self.searched(ran);
        // Of several explanations of the same lines the first: an interpreter that reads a compiled program says of
        // pieces of it that they are not commands.
        let of_printed = binary_as_script::hint(inputs, &printed, &self.store)
            .or_else(|| missing_program::hint(action, ran, &printed))
            .or_else(|| self.hint_of_input(id, action, &printed));
        let others = [cxx_modules::hint(&printed).map(str::to_owned), hint_of_space(&self.build_root)];
        of_printed.into_iter().chain(others.into_iter().flatten()).collect()
    }

    fn hint_of_input(&self, id: &Id, action: &ActionDescription, printed: &[String]) -> Option<String> {
        let repositories = self.state().repositories.clone()?;
        missing_file::hint(action, printed, &self.origin(id)?, &repositories)
            .or_else(|| not_executable::hint(action, printed, &repositories))
    }

    fn details_of_id(&self, id: &Id) -> Option<String> {
        self.log.wants(Level::Debug).then(|| format!("action {id}"))
    }

    fn show_message(&self, message: FailureMessage<'_>) {
        let FailureMessage { level, id, action, ran, head, details, hints, again } = message;
        let name = format!("action:{id}");
        // The collected form has the whole command and no colours; the shown one is cut to the width of the terminal.
        self.log.note(
            level,
            Some(&name),
            &plain(&format!("{head}\n{}", command::in_one_line(action, usize::MAX))),
        );
        // Opened before the log is locked: a store on a slow disk must not keep other messages waiting.
        let streams = [&ran.stdout, &ran.stderr].map(|digest| Stream::open_unless_blank(&self.store, digest));
        self.log.say_in_pieces(level, &name, |give| {
            give(&head);
            give(&format!("\n  {}", shown_command(action, &self.log)));
            details.lines().for_each(|line| give(&format!("\n  {line}")));
            for stream in streams.into_iter().flatten() {
                give("\n");
                self.give_output(stream, give);
            }
            hints.iter().for_each(|hint| give(&format!("\n  {hint}")));
            if let Some(again) = again {
                give(&format!("\n  reproduce: {again}"));
            }
        });
    }
}
