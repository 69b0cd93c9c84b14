//! The compilation database that `watch --compile-commands` keeps current.
//!
//! Which commands there are follows from analysis; what sources include is put in place whenever a round did anything.
//! The file is written only if it becomes another one, since editors read it again each time.

use std::sync::Arc;

use taut_driver::{Analysed, CompileCommands, RoundSummary};
use taut_sys::Named;

use super::{WatchState, Watcher};
use crate::{
    compile_commands::{Database, views},
    exit::Exit,
    results::give_up,
    text_file,
};

/// The commands of the last round whose analysis succeeded.
pub(super) struct Commands {
    of: Arc<Analysed>,
    all: CompileCommands,
}

impl Watcher<'_> {
    /// Brings the database up to date, if one is wanted, at the end of a round. Gives a message if the file is another
    /// one.
    ///
    /// # Errors
    /// It cannot be written. What cannot be built was reported by the round.
    pub(super) fn keep_database(&self, state: &mut WatchState) -> Result<Option<String>, Exit> {
        let (Some(file), Some(request), Some(analysed)) =
            (&self.o.compile_commands, &state.request, &state.history.last)
        else {
            return Ok(None);
        };
        if !state.history.reported_errors.is_empty() {
            // The commands of the description as it was are better than none.
            return Ok(None);
        }
        // The same analysis, not an equal one: then nothing was read anew.
        let is_current = |kept: &Commands| Arc::ptr_eq(&kept.of, analysed);
        let kept = state.history.commands.take().filter(is_current);
        if kept.is_some() && state.session.done() == RoundSummary::default() {
            state.history.commands = kept;
            return Ok(None);
        }
        let views = views(self.name, &self.o.build.stores)?;
        let all = match kept {
            // Scripts of the workspace may have changed, which the analysis does not depend on.
            Some(kept) if !kept.all.read_scripts => kept.all,
            _ => {
                // Its targets were analysed in this round, without an error.
                let Ok(closure) = state.session.closure(request) else { return Ok(None) };
                CompileCommands::of(&closure, &request.repositories, &views)
            }
        };
        let (session, store, log) = (&state.session, &state.store, self.log);
        let database = Database { commands: &all, request, store, views: &views, log };
        database.fill_views(&session.build_included(&all)).map_err(give_up)?;
        session.commit();
        let text = database.text();
        let path = self.here.join(file);
        let is_other = Named::read(&path).ok().as_deref() != Some(text.as_bytes());
        if is_other {
            text_file::write(&path, &text, log)?;
        }
        let message = database.summary(file);
        state.history.commands = Some(Commands { of: analysed.clone(), all });
        Ok(is_other.then_some(message))
    }
}
