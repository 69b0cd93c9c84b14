//! A call that builds, from its options to the passes over its request: what `build`, `test` and `compile-commands`
//! have in common. Also the one place where the messages of a build and the sinks of its events are made, for every
//! subcommand.

use std::sync::Arc;

use taut_driver::{
    BuildFailure, BuildOptions, Caller, Request, Retry, Run, Session, SetupError, Sink, UnresolvedRequest,
};
use taut_store::Store;

use crate::{
    environment::open_store,
    exit::Exit,
    interruption::Interruption,
    log::Log,
    options,
    progress::Progress,
    remote_execution::{attach, compare_with},
    reporting::{Reporting, warn_of_cache},
    reproduce::Reproduction,
    request,
    root_options::RootOptions,
    roots::Roots,
    settings::{analysis_options, build_options},
    setup_error::report_error,
    tool_name::Name,
    voice::{self, BuildContext, BuildMessages},
};

/// The pattern for all targets of the workspace, from any directory of it.
const ALL: &str = "//...";

/// What a call makes from a request if it does not deliver the request itself: a compilation database, say.
#[derive(Clone, Copy)]
pub(crate) struct Product {
    /// What messages call it.
    pub(crate) name: &'static str,
    /// Whether it is of use without what cannot be built: then failed actions are warnings.
    pub(crate) is_partial: bool,
}

/// What a call that builds was given.
#[derive(Clone, Copy)]
pub(crate) struct BuildCall<'c> {
    pub(crate) name: Name,
    pub(crate) o: &'c options::Build,
    pub(crate) log: &'c Arc<Log>,
    pub(crate) reporting: &'c Reporting,
    /// Named by messages in place of the request. A call with a product is about all targets of the workspace if it
    /// names none.
    pub(crate) product: Option<Product>,
}

/// A call that has a store, and what reports on it.
pub(crate) struct OpenCall<'c> {
    pub(crate) call: BuildCall<'c>,
    pub(crate) store: Store,
    pub(crate) interruption: Interruption,
    pub(crate) messages: Arc<dyn BuildMessages>,
    pub(crate) progress: Arc<Progress>,
}

impl<'c> BuildCall<'c> {
    /// Reads the request, and opens the store. Gives the open call, and what reads the request for each pass.
    /// `is_rebuild`: whether actions with a known result are run again.
    ///
    /// # Errors
    /// The exit code; the errors have been reported.
    pub(crate) fn open(self, is_rebuild: bool) -> Result<(OpenCall<'c>, BuildCaller<'c>), Exit> {
        let BuildCall { name, o, log, reporting, .. } = self;
        let interruption = Interruption::watch(log);
        // As early as possible: a signal during the reading of the request has to end the log, too.
        interruption.finish_log_on_signal(&reporting.log);
        // Errors of the command line are reported before the build root is created.
        let of = RootOptions::of_build(name, o);
        let roots = Roots::new(of, Some(&interruption), log).reported_to(reporting);
        let first = Some(interruption.reported(self.request(&roots))?);
        let store = open_store(name, &o.stores, log).ok_or(Exit::Environment)?;
        // From here on events are written; those before are in the buffer of the log.
        reporting.keep_in(&store);
        let again = Reproduction::of_call(std::env::args());
        let context = BuildContext::of_call(&of, &o.results, &store, again);
        let is_partial = self.product.is_some_and(|product| product.is_partial);
        let messages = messages(BuildContext { is_rebuild, is_partial, ..context }, log, &interruption);
        let caller = BuildCaller { call: self, first, roots, messages: messages.clone() };
        Ok((OpenCall { call: self, store, interruption, messages, progress: Arc::default() }, caller))
    }

    fn request(&self, roots: &Roots<'_>) -> Result<UnresolvedRequest, Exit> {
        let BuildCall { o, log, product, .. } = *self;
        if product.is_some() && o.analysis.target.is_empty() {
            return request::quiet_request_for(&o.common, &o.analysis, &[ALL.to_owned()], roots, log);
        }
        request::request(&o.common, &o.analysis, roots, log)
    }
}

impl OpenCall<'_> {
    /// How to build. `compare`: set if actions run again for comparison, with the value of `--vs`.
    ///
    /// # Errors
    /// The exit code; the errors have been reported.
    pub(crate) fn options(&self, compare: Option<Option<&str>>) -> Result<BuildOptions, Exit> {
        let BuildCall { o, log, .. } = self.call;
        let is_again = compare.is_some();
        let mut options = build_options(&o.common, (&o.execution, &o.stores), &o.results, is_again, log)?;
        if let Some(vs) = compare.flatten() {
            compare_with(&mut options, vs, &o.stores, log)?;
        }
        attach(&options, &self.store, log)?;
        Ok(options)
    }

    /// What the request is run with.
    pub(crate) fn run<'r>(&'r self, options: &'r BuildOptions, sink: &'r Arc<dyn Sink>) -> Run<'r> {
        let BuildCall { o, reporting, .. } = self.call;
        Run {
            store: &self.store,
            analysis: analysis_options(&o.common, &o.analysis, &o.stores),
            options,
            sink,
            is_cached: reporting.uses_state,
            reports_all_actions: false,
            is_of_root: false,
        }
    }

    /// Reports the failures, if any, in a build of targets that were chosen below the request.
    pub(crate) fn built(&self, session: &Session, request: &Request, failure: Option<&BuildFailure>) {
        let origins = session.origins_of_targets(request);
        self.messages.executed(&origins);
        if let Some(failure) = failure {
            self.messages.failed(failure, &origins);
        }
    }

    /// The call is over; if that is because of a signal, it is reported.
    pub(crate) fn ended(&self, done: Result<Exit, Exit>) -> Result<Exit, Exit> {
        self.interruption.reported(done)
    }
}

/// Reads the request of a call for each pass.
pub(crate) struct BuildCaller<'c> {
    call: BuildCall<'c>,
    /// What the call asks for, until it is run for the first time.
    first: Option<UnresolvedRequest>,
    /// Provides the roots of the request.
    roots: Roots<'c>,
    messages: Arc<dyn BuildMessages>,
}

impl Caller for BuildCaller<'_> {
    type Stop = Exit;

    fn request(&mut self) -> Result<UnresolvedRequest, Exit> {
        // Read again for each further try, since the configuration may have changed meanwhile.
        self.first.take().map_or_else(|| self.call.request(&self.roots), Ok)
    }

    fn repairs_roots(&self) -> bool {
        self.roots.repairs()
    }

    fn not_understood(&mut self, error: &SetupError) -> Exit {
        report_error(error, self.call.log)
    }

    fn requested(&mut self, request: &Request) {
        let BuildCall { log, reporting, product, .. } = self.call;
        voice::of(log).requested(request, log);
        reporting.requested(request);
        let name = product.map(|product| product.name.to_owned());
        let name = name.unwrap_or_else(|| voice::of(log).name_of_request(request, log));
        self.messages.requested(&request.repositories, name);
    }

    fn on_retry(&mut self, why: Retry, server: Option<&str>) {
        if why == Retry::LostRoots {
            self.roots.verify();
        }
        self.messages.on_retry(why, server);
    }

    fn warn_of_cache(&mut self, text: String) {
        warn_of_cache(Some(text), self.call.log);
    }
}

/// The messages about a build; a signal that ends the process is reported by them, too.
pub(crate) fn messages(
    of: BuildContext,
    log: &Arc<Log>,
    interruption: &Interruption,
) -> Arc<dyn BuildMessages> {
    let messages = voice::of(log).build(of, log.begin(), log);
    interruption.report_by(&messages);
    messages
}

/// All sinks of a build's events: those of its messages and progress, and those that every call has.
pub(crate) fn sinks(
    own: impl IntoIterator<Item = Arc<dyn Sink>>,
    progress: &Arc<Progress>,
    reporting: &Reporting,
) -> Arc<dyn Sink> {
    let mut all: Vec<Arc<dyn Sink>> = own.into_iter().collect();
    // After the messages: a line of progress must not come before the message about the same event.
    all.push(progress.clone());
    all.extend(reporting.sinks());
    Arc::new(all)
}
