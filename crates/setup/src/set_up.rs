//! A set-up: from a description to a configuration whose roots all exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use taut_digest::Hash;
use taut_syntax::{Diagnostic, Diagnostics, Node, quoted};
use taut_sys::on_threads;

use crate::{
    cache::TreeMap,
    commits::{Checkout, TreeLocation},
    contents::{ContentRequest, broken},
    cycles::EndlessRoots,
    description::{Description, LAYERS},
    event::Event,
    output::{Parts, configuration},
    problem::{Problem, place},
    reachable::ReachedRepositories,
    root::Root,
    session::Session,
    source::{Directory, Source, SourceOf, Special},
    trees::own_key,
};

/// What is to be set up.
#[derive(Clone, Copy, Default, Debug)]
pub struct Request<'r> {
    /// The main repository, if it is not the one that the description names, or the first one.
    pub main: Option<&'r str>,
    /// Repositories that are set up beside the main one, with what they reach.
    pub others: &'r [String],
    /// Whether all repositories are set up, and not only those that the main one reaches.
    pub all: bool,
    /// Whether the root of the main repository is left out, so that each call finds it by its working directory.
    pub without_root: bool,
}

/// Repositories that are set up.
#[derive(Clone, Debug)]
pub struct SetUp {
    /// The text of the configuration.
    pub configuration: String,
    /// Its blob id; it is in the store.
    pub id: Hash,
    /// Its path in the store.
    pub path: PathBuf,
    /// The main repository; none in a description without repositories.
    pub main: Option<String>,
    /// The roots of the repositories, and of their layers.
    pub roots: BTreeMap<String, Root>,
    /// How many roots were there already.
    pub found: usize,
}

/// The root of a repository that is to be set up.
pub(crate) struct RootTask<'d> {
    pub(crate) name: String,
    pub(crate) of: SourceOf<'d>,
    checkout: Option<Checkout>,
}

/// What became of a task.
enum Outcome {
    Root(Root),
    Failed(Problem),
}

impl Session<'_> {
    /// Sets up repositories, and stores the configuration.
    ///
    /// # Errors
    /// What is wrong with the description or could not be had, of all repositories that failed.
    pub fn set_up(&self, description: &Description, request: &Request<'_>) -> Result<SetUp, Diagnostics> {
        let _running = self.cancellation.begin();
        let (main, given_main, reached) = self.begin(description, request)?;
        let without_root = main.as_deref().filter(|_| request.without_root);
        // Everything is parsed before anything is fetched: an error in the description costs no download. The reference
        // sets up what is described rightly, and reports the errors of both.
        let (tasks, mut problems) = tasks(self, description, &reached, without_root);
        if self.options.is_strict && !problems.is_empty() {
            return Err(problems.into_iter().collect());
        }
        let endless = EndlessRoots::of(tasks.iter().map(|task| (task.name.as_str(), &task.of)));
        // The reference sets up all others first, and then finds that these are still waited for.
        let (endless, waiting) = match self.options.is_strict {
            true => (endless.problems(), None),
            false => (Vec::new(), endless.reference()),
        };
        if !endless.is_empty() {
            return Err(endless.into_iter().collect());
        }
        // Of all repositories before any of them is made: one may know a URL or a name for a
        // content that another needs.
        tasks.iter().for_each(|task| self.note_contents(&task.of.source));
        let run = self.run(description, tasks);
        if !problems.is_empty() {
            problems.extend(run.err().iter().flat_map(|failed| failed.iter().cloned()));
            return Err(problems.into_iter().collect());
        }
        let (roots, found) = run?;
        if let Some(waiting) = waiting {
            return Err(waiting.into());
        }
        let parts = Parts {
            description,
            given_main: given_main.as_deref(),
            without_root,
            may_be_unknown: !self.options.is_strict,
            included: &reached.included,
            roots: &roots,
        };
        let configuration = configuration(&parts).map_err(one)?;
        // In the store as in the reference: the build gets the path of the configuration, not its text.
        let stored = self.store.put_blob(configuration.as_bytes(), false).map_err(|error| {
            one(Diagnostic::error(format!("the configuration cannot be stored: {error}")).into())
        })?;
        let (id, path) = (stored.hash, self.store.path_of(&stored.hash));
        Ok(SetUp { configuration, id, path, main, roots, found })
    }

    /// Says how much a set-up would be about, and does nothing.
    ///
    /// # Errors
    /// The description does not say what would be set up.
    pub fn announce(&self, description: &Description, request: &Request<'_>) -> Result<(), Diagnostics> {
        self.begin(description, request).map(drop)
    }

    fn begin(
        &self,
        description: &Description,
        request: &Request<'_>,
    ) -> Result<(Option<String>, Option<String>, ReachedRepositories), Diagnostics> {
        let begun = self.reach(description, request).map_err(one)?;
        self.observer.event(Event::Involved(begun.2.set_up.len()));
        Ok(begun)
    }

    /// The main repository, the same if it was given, and what it reaches.
    pub(crate) fn reach(
        &self,
        description: &Description,
        request: &Request<'_>,
    ) -> Result<(Option<String>, Option<String>, ReachedRepositories), Problem> {
        let given = request.main.map_or_else(|| description.main(), |main| Ok(Some(main)))?;
        let names = description.names()?;
        // As in the reference: without a name, the first in the order of bytes.
        let main = given.or(names.first().copied()).map(str::to_owned);
        // Distinguished since only a main repository that was given is written into the configuration.
        let given = given.map(str::to_owned);
        match &main {
            Some(main) if !request.all => {
                let (reached, remarks) =
                    ReachedRepositories::from_several(description, main, request.others)?;
                remarks.iter().for_each(|remark| self.observer.event(Event::Remark(remark)));
                Ok((Some(main.clone()), given, reached))
            }
            _ => Ok((main, given, ReachedRepositories::all(description)?)),
        }
    }

    /// The names of repositories that others refer to, and that are not described; under the reference's name only
    /// those of needed roots count.
    pub(crate) fn unknown(
        &self,
        description: &Description,
        reached: &ReachedRepositories,
    ) -> BTreeSet<String> {
        if !self.options.is_strict {
            return BTreeSet::new();
        }
        let is_unknown = |name: &&str| !description.describes(name) && !description.is_provided(name);
        let named = references(description, &reached.included).into_iter();
        named.filter_map(|(_, node)| node.as_str()).filter(is_unknown).map(str::to_owned).collect()
    }

    /// Mistakes that the reference ignores: names of repositories without a description, and values without a meaning.
    /// Keys that look misspelt are remarks.
    pub(crate) fn check(
        &self,
        description: &Description,
        reached: &ReachedRepositories,
        unknown: &BTreeSet<String>,
    ) -> Vec<Diagnostic> {
        if !self.options.is_strict {
            return Vec::new();
        }
        let (errors, remarks) = description.check(&reached.set_up);
        remarks.iter().for_each(|remark| self.observer.event(Event::Remark(remark)));
        let named = references(description, &reached.included).into_iter();
        let unknown = named.filter_map(|(from, node)| {
            let name = node.as_str().filter(|name| unknown.contains(*name))?;
            Some(named_by(*description.unknown(name), from, node))
        });
        unknown.chain(errors).collect()
    }

    /// The roots of all tasks, and how many of them were there already.
    fn run(
        &self,
        description: &Description,
        tasks: Vec<RootTask<'_>>,
    ) -> Result<(BTreeMap<String, Root>, usize), Diagnostics> {
        let mut roots = BTreeMap::new();
        let mut missing = Vec::new();
        // All look-ups first, in one thread: usually nothing is missing, and no thread is started.
        for task in tasks {
            match self.at_hand(&task).map_err(one)? {
                Some(root) => drop(roots.insert(task.name, root)),
                None => missing.push(task),
            }
        }
        let found = roots.len();
        if missing.is_empty() {
            return Ok((roots, found));
        }
        self.observer.event(Event::Missing { missing: missing.len(), involved: found + missing.len() });
        // One for each task, in their order: messages do not depend on which thread ended first.
        let outcomes: Vec<Mutex<Option<Outcome>>> = missing.iter().map(|_| Mutex::default()).collect();
        let work: Vec<_> = missing.iter().zip(&outcomes).collect();
        let next = AtomicUsize::new(0);
        // Threads, and no runtime: most of the time is spent in git, in unpacking, or waiting for a transfer.
        let threads = self.options.jobs.clamp(1, missing.len());
        on_threads(threads, || {
            // Relaxed: it only numbers the tasks; the end of the threads orders everything else.
            while let Some((task, slot)) = work.get(next.fetch_add(1, Relaxed)) {
                let outcome = self.make(description, task);
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
            }
        });
        let mut failed: Vec<Diagnostic> = Vec::new();
        // An archive of a distdir is that of another repository, whose error is the same.
        let is_same = |one: &Diagnostic, other: &Diagnostic| {
            (&one.message, &one.location, &one.notes) == (&other.message, &other.location, &other.notes)
        };
        for (task, outcome) in missing.into_iter().zip(outcomes) {
            match outcome.into_inner().unwrap_or_else(PoisonError::into_inner) {
                Some(Outcome::Root(root)) => drop(roots.insert(task.name, root)),
                Some(Outcome::Failed(problem))
                    if self.options.is_strict && failed.iter().any(|of| is_same(of, &problem)) => {}
                Some(Outcome::Failed(problem)) => failed.push(*problem),
                None => unreachable!("a thread panicked, and with it this one"),
            }
        }
        match failed.is_empty() {
            true => Ok((roots, found)),
            false => Err(failed.into_iter().collect()),
        }
    }

    /// The root of a task, if one look-up finds it.
    fn at_hand(&self, task: &RootTask<'_>) -> Result<Option<Root>, Problem> {
        let source = &task.of.source;
        match source {
            // Whether the directory exists is not checked: the build reports that, with the file that it needed.
            Source::File(Directory { path, special, to_git: false, .. }) => {
                let ignore_special = *special == Some(Special::Ignore);
                return Ok(Some(Root::Directory { path: path.clone(), ignore_special }));
            }
            Source::Computed(computed) => {
                // Computed by the build, which can analyse targets: the configuration only describes it.
                return Ok(Some(Root::Computed {
                    repository: computed.repository.clone(),
                    module: computed.module.clone(),
                    name: computed.name.clone(),
                    config: computed.config.clone(),
                    absent: computed.absent,
                }));
            }
            Source::TreeStructure(structure) => {
                return Ok(Some(Root::TreeStructure {
                    repository: structure.repository.clone(),
                    absent: structure.absent,
                }));
            }
            _ => {}
        }
        let Some(identity) = source.identity() else {
            return Ok(None);
        };
        // What is absent has a warning each time, and no root in this build root.
        if self.is_absent(source) {
            return Ok(None);
        }
        let failed = |error: taut_sys::Error| broken(&wanted(task), error.to_string());
        let get = |map, key: &str| self.cache.get(0, map, key).map_err(failed);
        let git = self.cache.git();
        let found =
            match &task.checkout {
                // Whether a repository still has the tree is not checked, unless something is lost: that would open it.
                // First the map of what the repository on this machine was found to lack.
                Some(Checkout { path, key }) => match get(TreeMap::NotCheckout, key)? {
                    Some(tree) => Some(TreeLocation { tree, repository: git }),
                    None => get(TreeMap::Checkout, key)?
                        .map(|tree| TreeLocation { tree, repository: path.clone() }),
                },
                None => get(TreeMap::Root, &own_key(&identity))?
                    .map(|tree| TreeLocation { tree, repository: git }),
            };
        let found = found.filter(|TreeLocation { tree, repository }| self.is_there(repository, tree));
        Ok(found.map(|found| self.root(source, found)))
    }

    fn is_absent(&self, source: &Source) -> bool {
        source.is_absent() && !self.options.fetch_absent
    }

    /// The root of a source by the tree that was found.
    fn root(&self, source: &Source, found: TreeLocation) -> Root {
        let ignore_special = match source {
            Source::Git(git) => git.ignore_special,
            Source::GitTree(tree) => tree.ignore_special,
            _ => false,
        };
        // A root without a repository is how a configuration writes an absent one.
        let repository = Some(found.repository).filter(|_| !self.is_absent(source));
        Root::Tree { id: found.tree, repository, ignore_special }
    }

    /// Makes the root of a task.
    fn make(&self, description: &Description, task: &RootTask<'_>) -> Outcome {
        let (repository, type_name) = (task.name.as_str(), task.of.source.type_name());
        // Checked for each task; those that run notice it in their transfers.
        if self.cancellation.is_cancelled() {
            return Outcome::Failed(broken(&wanted(task), "cancelled".to_owned()));
        }
        self.observer.event(Event::Begun { repository, type_name });
        let made = self.tree(description, task);
        self.observer.event(Event::Ended { repository, is_there: made.is_ok() });
        match made {
            Ok(root) => Outcome::Root(root),
            Err(problem) => Outcome::Failed(self.below_steps(*problem, task).into()),
        }
    }

    fn tree(&self, description: &Description, task: &RootTask<'_>) -> Result<Root, Problem> {
        let (source, wanted) = (&task.of.source, &wanted(task));
        let here = |tree| TreeLocation { tree, repository: self.cache.git() };
        let absent = |what: &str, id: &str| {
            let message = format!(
                "repository {} is absent, and the id of its tree is not known here",
                quoted(wanted.repository)
            );
            let reference = format!("Cannot create workspace root as absent for {what} {id}.");
            let problem = Diagnostic::error(message).reference(reference).at(wanted.place.clone());
            Problem::from(problem.help("set it up once with --fetch-absent"))
        };
        let found = match source {
            Source::File(directory) => self.directory(directory, wanted)?,
            Source::Git(commit) => {
                let found = self.commit(commit, task.checkout.as_ref(), description.base(), wanted)?;
                found.ok_or_else(|| absent("commit", &commit.commit.to_hex()))?
            }
            Source::GitTree(tree) => {
                if !self.is_absent(source) {
                    let step = format!("While ensuring git-tree {} is in Git cache:", tree.id.to_hex());
                    self.made_tree(tree, wanted).map_err(|problem| problem.below(&step))?;
                }
                here(tree.id)
            }
            Source::Archive(archive) => {
                let tree = self.archive(archive, wanted)?;
                here(tree.ok_or_else(|| absent("content", &archive.content.id.to_hex()))?)
            }
            Source::ForeignFile(file) => here(self.foreign_file(file, wanted)?),
            Source::Distdir(distdir) => here(self.distdir(distdir, wanted)?),
            Source::Computed(_) | Source::TreeStructure(_) => {
                unreachable!("what is computed is not a task of a set-up")
            }
        };
        // An absent root is not noted: its tree need not be here, and each call has the warning.
        if self.is_absent(source) {
            self.warn_of_absence(task, &found.tree);
        // Only for trees in the build root: those of other repositories are in the maps `Checkout` and `Directory`.
        } else if found.repository == self.cache.git()
            && task.checkout.is_none()
            && let Some(identity) = source.identity()
        {
            // Last, so that what the map says is there.
            self.note(TreeMap::Root, &own_key(&identity), &found.tree, wanted)?;
        }
        Ok(self.root(source, found))
    }

    /// A problem with the steps that the reference puts above it.
    fn below_steps(&self, problem: Diagnostic, task: &RootTask<'_>) -> Diagnostic {
        let name = quoted(&task.name);
        let (problem, step) = match task.of.source.type_name() {
            "foreign file" => {
                (problem, format!("While setting the workspace root for foreign-file repository {name}:"))
            }
            of => {
                let repository =
                    task.checkout.as_ref().map_or_else(|| self.cache.git(), |of| of.path.clone());
                let problem = match of {
                    "git" => problem
                        .below(&format!("While ensuring commit for repository {}:", repository.display())),
                    _ => problem,
                };
                let of = quoted(of);
                (problem, format!("While setting the workspace root for repository {name} of type {of}:"))
            }
        };
        problem.below(&step).below(&format!("While setting up repository {name}:"))
    }

    fn warn_of_absence(&self, task: &RootTask<'_>, tree: &Hash) {
        let suitable = match task.of.source {
            Source::Git(_) | Source::Distdir(_) | Source::ForeignFile(_) => "",
            _ => "suitable ",
        };
        let tree = tree.to_hex();
        let reference =
            format!("Workspace root {tree} marked absent but no {suitable}serve endpoint provided.");
        let warning = Diagnostic::warning(format!(
            "repository {} is absent: nothing that needs its files can be built here",
            quoted(&task.name)
        ));
        let warning = warning.reference(reference).at(task.of.place());
        self.warn(self.below_steps(warning, task));
    }
}

#[allow(clippy::boxed_local, reason = "errors are boxed")]
fn one(problem: Problem) -> Diagnostics {
    (*problem).into()
}

fn wanted<'t>(task: &'t RootTask<'_>) -> ContentRequest<'t> {
    let url = match task.of.source {
        Source::File(_) => "path",
        Source::Git(_) => "repository",
        Source::GitTree(_) => "cmd",
        Source::Distdir(_) => "repositories",
        _ => "fetch",
    };
    ContentRequest {
        repository: &task.name,
        root_of: &task.name,
        place: task.of.place(),
        url: task.of.field(url),
        subdir: task.of.field("subdir"),
        distdir: None,
    }
}

/// Whether one look-up finds the root of a task.
pub(crate) fn at_hand_of(session: &Session<'_>, task: &RootTask<'_>) -> Result<bool, Problem> {
    Ok(session.at_hand(task)?.is_some())
}

/// The tasks of a set-up, and what is wrong with the description, of all repositories.
pub(crate) fn tasks<'d>(
    session: &Session<'_>,
    description: &'d Description,
    reached: &ReachedRepositories,
    without_root: Option<&str>,
) -> (Vec<RootTask<'d>>, Vec<Diagnostic>) {
    let mut tasks = Vec::new();
    let mut problems: Vec<Diagnostic> = Vec::new();
    let unknown = session.unknown(description, reached);
    for name in reached.set_up.iter().filter(|name| without_root != Some(name) && !unknown.contains(*name)) {
        match description.source(name) {
            Ok(of) => {
                let checkout = session.checkout(&of.source, description.base());
                tasks.push(RootTask { name: name.clone(), of, checkout });
            }
            Err(problem) => problems.push(at_reference(description, &reached.included, name, *problem)),
        }
    }
    problems.extend(session.check(description, reached, &unknown));
    (tasks, problems)
}

/// An error about a repository that is not described, at the first place that names it.
fn at_reference(
    description: &Description,
    included: &BTreeSet<String>,
    name: &str,
    problem: Diagnostic,
) -> Diagnostic {
    if description.describes(name) {
        return problem;
    }
    match references(description, included).into_iter().find(|(_, node)| node.as_str() == Some(name)) {
        Some((from, node)) => named_by(problem, from, node),
        None => problem,
    }
}

/// The values by which repositories name others, each with the repository that has it.
fn references<'d>(description: &'d Description, included: &'d BTreeSet<String>) -> Vec<(&'d str, Node<'d>)> {
    let mut found = Vec::new();
    for from in included {
        let Ok(entry) = description.entry(from) else { continue };
        let bindings = entry.get("bindings");
        let bound = bindings.iter().flat_map(|bindings| bindings.entries()).map(|(_, node)| node);
        let layers = LAYERS.iter().filter_map(|layer| entry.get(layer));
        let named = entry.get("repository").and_then(|source| source.get("repo"));
        found.extend(bound.chain(layers).chain(named).map(|node| (from.as_str(), node)));
    }
    found
}

/// An error about a repository, at a place that names it.
fn named_by(mut problem: Diagnostic, from: &str, node: Node<'_>) -> Diagnostic {
    problem.location = Some(place(node));
    problem.note(format!("it is named by repository {}", quoted(from)))
}
