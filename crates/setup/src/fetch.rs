//! Fetching what repositories are made from, for set-ups without a network: archives into a directory of archives,
//! trees into the git repository of the build root.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use taut_digest::ObjectType;
use taut_syntax::{Diagnostic, Diagnostics, quoted};
use taut_sys::{Dir, Named, on_threads};
use taut_value::path::{is_non_upwards, normal_path};

use crate::{
    contents::{ContentRequest, broken},
    description::Description,
    event::Event,
    parse::Reader,
    problem::Problem,
    server::object,
    session::Session,
    set_up::Request,
    source::{Archive, Content, ForeignFile, MadeTree, Source, SourceOf},
};

/// What there is to fetch.
pub struct ToFetch<'d> {
    // Sorted by name, so that order and messages are the same in each call.
    archives: BTreeMap<String, (Content, SourceOf<'d>)>,
    trees: BTreeMap<String, (MadeTree, SourceOf<'d>)>,
}

impl ToFetch<'_> {
    /// How many archives and files.
    pub fn archives(&self) -> usize {
        self.archives.len()
    }

    /// How many trees that commands make.
    pub fn trees(&self) -> usize {
        self.trees.len()
    }
}

impl Session<'_> {
    /// What the repositories of a request are made from that can be fetched.
    ///
    /// # Errors
    /// A repository is described wrongly.
    pub fn to_fetch<'d>(
        &self,
        description: &'d Description,
        request: &Request<'_>,
    ) -> Result<ToFetch<'d>, Diagnostics> {
        let one = |problem: Problem| -> Diagnostics { (*problem).into() };
        let (_, _, reached) = self.reach(description, request).map_err(one)?;
        let mut found = ToFetch { archives: BTreeMap::new(), trees: BTreeMap::new() };
        let mut problems: Vec<Diagnostic> = Vec::new();
        let unknown = self.unknown(description, &reached);
        for name in reached.included.iter().filter(|name| !unknown.contains(*name)) {
            let of = match description.source_for(name, Reader::Fetch) {
                Ok(of) => of,
                // The reference does not read what it has nothing to fetch of.
                Err(_) if !self.options.is_strict && !description.may_be_fetched(name) => continue,
                Err(problem) => {
                    problems.push(*problem);
                    continue;
                }
            };
            // Its files are not needed here, so neither is what they are made from.
            if of.source.is_absent() && !self.options.fetch_absent {
                continue;
            }
            self.note_contents(&of.source);
            match of.source.clone() {
                Source::Archive(Archive { content, .. })
                | Source::ForeignFile(ForeignFile { content, .. }) => {
                    found.archives.insert(name.clone(), (content, of));
                }
                // A `git tree` is fetched too: its command needs the network as a rule.
                Source::GitTree(tree) => drop(found.trees.insert(name.clone(), (tree, of))),
                _ => {}
            }
        }
        problems.extend(self.check(description, &reached, &unknown));
        if !self.options.is_strict {
            // The reference ends with the first.
            problems.truncate(1);
        }
        match problems.is_empty() {
            true => Ok(found),
            false => Err(problems.into_iter().collect()),
        }
    }

    /// Fetches what is to be fetched, archives into a directory, under the names that descriptions give them.
    ///
    /// # Errors
    /// What could not be fetched or written, of all repositories.
    pub fn fetch(&self, what: &ToFetch<'_>, directory: &Path) -> Result<(), Diagnostics> {
        let _running = self.cancellation.begin();
        enum FetchTask<'t> {
            Archive(&'t str, &'t Content, &'t SourceOf<'t>),
            Tree(&'t str, &'t MadeTree, &'t SourceOf<'t>),
        }
        let archives =
            what.archives.iter().map(|(name, (content, of))| FetchTask::Archive(name, content, of));
        let trees = what.trees.iter().map(|(name, (tree, of))| FetchTask::Tree(name, tree, of));
        let tasks: Vec<FetchTask<'_>> = archives.chain(trees).collect();
        self.observer.event(Event::Missing { missing: tasks.len(), involved: tasks.len() });
        let problems: Mutex<BTreeMap<String, Diagnostic>> = Mutex::default();
        let next = AtomicUsize::new(0);
        on_threads(self.options.jobs.min(tasks.len()), || {
            // Relaxed: it only numbers the tasks.
            while let Some(task) = tasks.get(next.fetch_add(1, Relaxed)) {
                let (repository, of) = match task {
                    FetchTask::Archive(name, _, of) | FetchTask::Tree(name, _, of) => (*name, *of),
                };
                let type_name = of.source.type_name();
                self.observer.event(Event::Begun { repository, type_name });
                let wanted = &wanted(repository, of);
                let done = match task {
                    FetchTask::Archive(_, content, _) => self.fetch_archive(content, directory, wanted),
                    FetchTask::Tree(_, tree, _) => self.fetch_tree(tree, wanted),
                };
                self.observer.event(Event::Ended { repository, is_there: done.is_ok() });
                if let Err(problem) = done {
                    let mut problems = problems.lock().unwrap_or_else(PoisonError::into_inner);
                    problems.insert(repository.to_owned(), *problem);
                }
            }
        });
        let problems = problems.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut problems: Vec<Diagnostic> = problems.into_values().collect();
        if !self.options.is_strict {
            // The reference fetches a content once, for whichever repository it is.
            let mut seen = HashSet::new();
            problems.retain(|problem| seen.insert(problem.reference_text().to_owned()));
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(problems.into_iter().collect()),
        }
    }

    fn fetch_tree(&self, tree: &MadeTree, wanted: &ContentRequest<'_>) -> Result<(), Problem> {
        self.made_tree(tree, wanted)?;
        if self.options.server.is_some() && self.options.backs_up {
            // It is in the git repository, and copies are made of what the store has.
            let writer = self.writer().map_err(|error| broken(wanted, error.to_string()))?;
            let taken = crate::store_trees::take(writer.repository(), self.store, &tree.id, ObjectType::Tree);
            taken.map_err(|why| broken(wanted, why))?;
            self.back_up(&object(tree.id, ObjectType::Tree), "tree", wanted);
        }
        Ok(())
    }

    fn fetch_archive(
        &self,
        content: &Content,
        directory: &Path,
        wanted: &ContentRequest<'_>,
    ) -> Result<(), Problem> {
        // By way of the store: there the content is verified, and found by later calls.
        self.ensure(content, wanted)?;
        self.back_up(&object(content.id, ObjectType::File), "content", wanted);
        let name = &content.distfile;
        let path = directory.join(name);
        let failed = |why: String, answer: Option<String>| {
            let message = format!(
                "the archive of repository {} cannot be written to {}: {why}",
                quoted(wanted.repository),
                path.display()
            );
            let reference =
                format!("Failed to copy content {} from CAS to {}", content.id.to_hex(), path.display());
            let mut problem = Diagnostic::error(message).reference(reference).at(wanted.place.clone());
            // The reference removes what is in the way first, and fails to for a directory.
            if Named::lstat(&path).is_ok_and(|found| found.is_dir()) {
                problem = problem.after_message(&format!("cannot remove file {}", path.display()));
            } else if let Some(answer) = answer {
                // And here it reports what its library does.
                let (from, to) = (self.store.path_of(&content.id), path.display());
                let from = from.display();
                let copying = format!(
                    "copying file from {from} to {to}:\nfilesystem error: cannot copy file: {answer} [{from}] [{to}]"
                );
                problem = problem.after_message(&copying);
            }
            Problem::from(problem)
        };
        let of_system = |error: &taut_sys::Error| failed(error.to_string(), Some(error.answer()));
        // The name comes from the description and must not lead out of the directory. Directories in it have to be
        // there, as with the reference.
        let is_in_directory = is_non_upwards(name) && !name.contains('\0');
        let inner = normal_path(name);
        if !is_in_directory || inner == "." || name.ends_with('/') {
            return Err(failed(format!("{} is not the name of a file in it", quoted(name)), None));
        }
        let opened = self.store.open_file(&content.id).map_err(|error| broken(wanted, error.to_string()))?;
        let Some((source, _)) = opened else {
            let why = format!("the content {} was removed from the store", content.id.to_hex());
            return Err(failed(why, None));
        };
        let into = Dir::of_user(directory).map_err(|error| of_system(&error))?;
        // Complete under another name first: a file that is cut is not taken for the archive. Of several repositories
        // with one archive, each writes its own. The name of the archive is not part of it, since that may be as long
        // as a name can be.
        static WRITTEN: AtomicUsize = AtomicUsize::new(0);
        let temporary = format!(".taut-{}-{}.tmp", std::process::id(), WRITTEN.fetch_add(1, Relaxed));
        let at = into.at(&temporary);
        let written = at.create_new(0o644).and_then(|target| {
            let mut target = target.into_std();
            let mut source = source;
            std::io::copy(&mut source, &mut target)
                .map_err(|error| taut_sys::Error::new("write", &at.path(), error))?;
            // A rename replaces an archive of the same name; the content has been verified, so nothing is lost.
            at.rename(into.at(inner.as_str()))
        });
        written.map_err(|error| {
            // The first error is the one to report.
            let _ = at.remove_file();
            of_system(&error)
        })
    }
}

fn wanted<'t>(repository: &'t str, of: &SourceOf<'_>) -> ContentRequest<'t> {
    let url = if matches!(of.source, Source::GitTree(_)) { "cmd" } else { "fetch" };
    let (url, subdir) = (of.field(url), of.field("subdir"));
    ContentRequest { repository, root_of: repository, place: of.place(), url, subdir, distdir: None }
}
