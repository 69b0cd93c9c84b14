//! The steps of `compile-commands`: analysis, the build of what sources include, then the delivery of the commands.
//! What cannot be built is left out, since the commands of the rest are of use.

use std::collections::HashSet;

use taut_value::Str;

use crate::{
    BuildFailure, Built, Closure, CompileCommands, Failed, Request, Results, Retry, Session, Undelivered,
    WantedArtifacts,
    closure_pass::{BuiltChoice, Chosen, ClosureClient, ClosurePass},
};

/// What the caller does at each step.
pub trait CommandsClient: ClosureClient {
    /// The result.
    type Done;

    /// The targets are known: finds the commands.
    ///
    /// # Errors
    /// Nothing is to be built for them.
    fn found(&mut self, request: &Request, all: &Closure) -> Result<CompileCommands, Self::Stop>;

    /// What the commands need is built, by its paths, except what failed. `is_sound`: nothing but actions failed.
    ///
    /// # Errors
    /// The results are not where they belong.
    fn deliver(
        &mut self,
        request: &Request,
        commands: &CompileCommands,
        built: &[(Str, Built)],
        is_sound: bool,
    ) -> Result<Self::Done, Undelivered<Self::Stop>>;
}

impl ClosurePass<'_> {
    /// # Errors
    /// The client stopped it, or it is to be tried again.
    pub(crate) fn compile_commands<C: CommandsClient>(
        &self,
        client: &mut C,
        request: &Request,
    ) -> Result<C::Done, Failed<C::Stop>> {
        let session = self.session;
        let BuiltChoice { what: commands, wanted, exports, built, part } =
            self.build(client, request, |client, closure| {
                let commands = client.found(request, closure)?;
                let wanted = commands.wanted();
                Ok(Chosen { what: commands, wanted, later_actions: 0 })
            })?;
        session.report_end(built.as_ref());
        let is_sound = built.as_ref().err().is_none_or(|failure| failure.unbuilt.is_empty());
        let artifacts = possible(session, wanted, built);
        let request = part.as_ref().unwrap_or(request);
        client.deliver(request, &commands, &artifacts, is_sound).map_err(|undelivered| match undelivered {
            Undelivered::Lost(stop) => {
                // What was taken from the target-level cache is analysed and built in the next try.
                session.remove_incomplete_entries(&exports);
                if self.is_last { Failed::Stopped(stop()) } else { Failed::Retry(Retry::Lost) }
            }
            Undelivered::Stopped(stop) => Failed::Stopped(stop),
        })
    }
}

impl Session {
    /// Builds what sources include, by its paths, and leaves out what cannot be built.
    pub fn build_included(&self, commands: &CompileCommands) -> Vec<(Str, Built)> {
        let wanted = commands.wanted();
        let built = self.build(&wanted);
        possible(self, wanted, built)
    }
}

/// The wanted artifacts that exist.
fn possible(
    session: &Session,
    mut wanted: WantedArtifacts,
    built: Result<Results, BuildFailure>,
) -> Vec<(Str, Built)> {
    let failure = match built {
        Ok(results) => return results.artifacts,
        Err(failure) => failure,
    };
    let not_built: HashSet<&Str> = failure.not_built.iter().map(|missing| &missing.path).collect();
    wanted.artifacts.retain(|(path, _)| !not_built.contains(path));
    // Everything is settled by now, so this runs nothing.
    session.build(&wanted).map(|results| results.artifacts).unwrap_or_default()
}
