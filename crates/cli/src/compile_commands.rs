//! `compile-commands`: how each C and C++ file is compiled, for editors and other tools.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use taut_digest::ID_DIGITS;
use taut_driver::{
    BuildFailure, BuildOptions, Built, Closure, ClosureClient, CommandsClient, CompileCommands, Diagnostics,
    Request, Session, Sink, Undelivered, install,
};
use taut_store::Store;
use taut_sys::Dir;
use taut_value::{JsonWriter, Str};

use crate::{
    call::{self, BuildCall, OpenCall, Product},
    diagnostics,
    environment::build_root,
    exit::Exit,
    log::{Level, Log},
    options,
    output_files::OutputFiles,
    profile::Profile,
    reporting::reported,
    request,
    results::undelivered,
    text_file,
    tool_name::Name,
    voice::count,
};

/// The directory of views in the build root.
const VIEWS_DIRECTORY: &str = "compile-commands";

/// The usual name of the file.
const FILE: &str = "compile_commands.json";

/// Runs `compile-commands`.
pub(crate) fn run(name: Name, o: &options::CompileCommands, log: &Arc<Log>) -> Exit {
    let profile = Profile::from_options(
        "compile-commands",
        &o.build.analysis,
        &o.build.execution,
        &o.build.stores,
        log,
    );
    reported("compile-commands", !o.build.analysis.no_trace, profile, log, |reporting| {
        let product = Some(Product { name: "the files that sources include", is_partial: true });
        run_command(o, BuildCall { name, o: &o.build, log, reporting, product })
    })
}

fn run_command(o: &options::CompileCommands, call: BuildCall<'_>) -> Result<Exit, Exit> {
    let (build, log) = (&o.build, call.log);
    request::check(&build.common, &build.stores, &build.execution, log)?;
    let (open, mut caller) = call.open(false)?;
    let sink = call::sinks([open.messages.clone() as Arc<dyn Sink>], &open.progress, call.reporting);
    // Whatever fails, the rest is of use.
    let options = BuildOptions { keep_going: true, ..open.options(None)? };
    let views = views(call.name, &build.stores)?;
    let mut running = Running { o, open: &open, views };
    let done = open.run(&options, &sink).compile_commands(&mut caller, &mut running);
    open.ended(done)
}

/// Where views are, as an absolute path.
///
/// # Errors
/// There is no build root; then no store can be opened, either, which was reported.
pub(crate) fn views(name: Name, stores: &options::Stores) -> Result<PathBuf, Exit> {
    build_root(name, stores).map(|root| root.join(VIEWS_DIRECTORY)).map_err(|_| Exit::Environment)
}

/// The root of the main repository; of one that is not a directory, the working directory.
fn workspace(request: &Request) -> PathBuf {
    let main = request.repositories.repositories.get(&request.repositories.main);
    let root = main.and_then(|main| main.workspace_root.directory()).map(Path::to_owned);
    root.unwrap_or_else(|| std::env::current_dir().unwrap_or_else(|_| "/".into()))
}

/// A call while it runs.
struct Running<'c> {
    o: &'c options::CompileCommands,
    open: &'c OpenCall<'c>,
    /// Where views are, as an absolute path.
    views: PathBuf,
}

impl Running<'_> {
    /// Where the file is to be.
    fn place(&self, request: &Request) -> PathBuf {
        // The root of the workspace is where editors and clang tools look for it.
        self.o.output.clone().unwrap_or_else(|| workspace(request).join(FILE))
    }
}

impl ClosureClient for Running<'_> {
    type Stop = Exit;

    // The commands of the rest are of use.
    const LEAVES_OUT: bool = true;

    fn left_out(&mut self, request: &Request, part: &Request, problems: &Diagnostics) {
        let BuildCall { o, log, .. } = self.open.call;
        request::report_left_out(problems, request, &o.analysis.target, log);
        let (all, left) = (request.targets.iter().len(), part.targets.iter().len());
        let are = if all - left == 1 { "is" } else { "are" };
        let text = format!("{} of {all} cannot be analysed and {are} left out", count(all - left, "target"));
        log.say(Level::Warn, text);
    }

    fn may_continue(&mut self, session: &Session) -> Result<(), Exit> {
        self.open.interruption.stop_on_signal(session)
    }

    fn analysis_failed(&mut self, request: &Request, problems: &Diagnostics) -> Exit {
        let BuildCall { o, log, .. } = self.open.call;
        request::report_problems(problems, request, &o.analysis.target, log)
    }

    fn built(&mut self, session: &Session, request: &Request, failure: Option<&BuildFailure>) {
        self.open.built(session, request, failure);
    }
}

impl CommandsClient for Running<'_> {
    type Done = Exit;

    fn found(&mut self, request: &Request, all: &Closure) -> Result<CompileCommands, Exit> {
        let log = self.open.call.log;
        // A place that is given was checked before the request was known.
        if self.o.output.is_none() {
            OutputFiles::default().check_one(&self.place(request), log)?;
        }
        let warnings = all.warnings(&request.repositories.roots);
        diagnostics::report(&warnings, Level::Warn, log);
        Ok(CompileCommands::of(all, &request.repositories, &self.views))
    }

    fn deliver(
        &mut self,
        request: &Request,
        commands: &CompileCommands,
        built: &[(Str, Built)],
        is_sound: bool,
    ) -> Result<Exit, Undelivered<Exit>> {
        let log = self.open.call.log;
        let database = Database { commands, request, store: &self.open.store, views: &self.views, log };
        // Before the file, so that a command never names a directory that is not complete.
        database.fill_views(built)?;
        let place = self.place(request);
        text_file::write_or_print(&place, &database.text(), log)?;
        if place.as_os_str() != "-" {
            log.say(Level::Info, database.summary(&place));
        }
        Ok(if is_sound { Exit::Success } else { Exit::BuildFailure })
    }
}

/// A compilation database.
pub(crate) struct Database<'d> {
    pub(crate) commands: &'d CompileCommands,
    pub(crate) request: &'d Request,
    pub(crate) store: &'d Store,
    /// Where views are, as an absolute path.
    pub(crate) views: &'d Path,
    pub(crate) log: &'d Arc<Log>,
}

impl Database<'_> {
    /// Installs what is built below the directories of views, and links sources there.
    ///
    /// # Errors
    /// They cannot be written, or an object is lost.
    pub(crate) fn fill_views(&self, built: &[(Str, Built)]) -> Result<(), Undelivered<Exit>> {
        let Database { commands, store, views, log, .. } = *self;
        if commands.views.is_empty() {
            return Ok(());
        }
        let message =
            |error: String| format!("cannot write generated files below {}: {error}", views.display());
        let failed = |error: taut_sys::Error| {
            log.say(Level::Error, message(error.to_string()));
            Exit::Environment
        };
        let directory = Dir::made_of_user(views).map_err(failed)?;
        let objects = built.iter().map(|(path, built)| (path.as_str(), built.info));
        // Nothing is pruned: an editor may still use a view of an earlier call, whose commands it has read.
        install(store, objects, &directory, VIEWS_DIRECTORY, false).map_err(|error| {
            let objects = built.iter().map(|(_, built)| &built.info);
            undelivered(&error, message(error.to_string()), Exit::Environment, store, objects, log)
        })?;
        for (view, links) in commands.views.iter().map(|(name, view)| (name, &view.links)) {
            for (path, target) in links {
                let place = format!("{view}/{path}");
                let (above, name) = place.rsplit_once('/').unwrap_or(("", &place));
                let above = directory.make_all(above).map_err(failed)?;
                match above.at(name).symlink(target) {
                    Err(error) if !error.is_exists() => return Err(failed(error).into()),
                    // The name of a view has the targets of its links: one that is there is this one.
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// How much is in the file, in a line; and what is not, in one more for each action if the call is verbose.
    pub(crate) fn summary(&self, file: &Path) -> String {
        let CompileCommands { commands, partial, .. } = self.commands;
        let mut text = format!("{}: {}", file.display(), count(commands.len(), "command"));
        if partial.is_empty() {
            return text;
        }
        let actions = count(partial.len(), "action");
        text += &format!("; {actions} that may compile cannot be read, or not as a whole");
        if !self.log.wants(Level::Debug) {
            return text + ": -v shows which";
        }
        for (id, target) in partial {
            let target = self.log.names().typed(&target.name, target.config.without_nulls().map());
            text += &format!("\n  {target}: %{}", &id.to_hex()[..ID_DIGITS]);
        }
        text
    }

    /// The text of the file.
    pub(crate) fn text(&self) -> String {
        let directory = workspace(self.request).to_string_lossy().into_owned();
        let mut w = JsonWriter::pretty(2);
        w.list(|w| {
            for command in &self.commands.commands {
                w.object(|w| {
                    // The list form of the format (clang's "JSON Compilation Database"), since it
                    // needs no quoting by rules of a shell.
                    w.key("arguments").strings(&command.arguments);
                    w.key("directory").string(&directory);
                    w.key("file").string(&command.file);
                });
            }
        });
        w.finish() + "\n"
    }
}
