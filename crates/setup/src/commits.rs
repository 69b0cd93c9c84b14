//! The roots of `git` and `git tree` repositories.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use taut_digest::{Hash, HashFunction, ObjectType};
use taut_fetch::{
    Cause,
    git::{CommitRequest, TreeCommand},
    without_password,
};
use taut_git::{Kind, Repository};
use taut_syntax::{Diagnostic, quoted};
use taut_sys::normal;
use taut_value::{Encoder, JsonWriter, path::normal_path};

use crate::{
    anchors::is_directory,
    cache::TreeMap,
    contents::{ContentRequest, broken, note_of},
    event::Event,
    locations::local_path,
    problem::Problem,
    server::object,
    session::Session,
    source::{Commit, MadeTree, Source},
    trees::{has_tree, no_directory, own_key},
};

/// The tree of a root, and the repository that has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TreeLocation {
    pub(crate) tree: Hash,
    pub(crate) repository: PathBuf,
}

/// A repository on this machine that may have a commit.
pub(crate) struct Checkout {
    pub(crate) path: PathBuf,
    /// The key of taut's own maps for what is in it.
    pub(crate) key: String,
}

/// The URL of a repository; a path is made absolute.
fn url_of(commit: &Commit, base: &Path) -> String {
    absolute_url(&commit.repository, base)
}

/// A URL; a path becomes absolute.
pub(crate) fn absolute_url(url: &str, base: &Path) -> String {
    // git would resolve a relative path against its working directory, which is a temporary one.
    match local_path(url) {
        Some(path) => normal(&base.join(path)).to_string_lossy().into_owned(),
        None => url.to_owned(),
    }
}

impl Session<'_> {
    /// The repository on this machine for a commit: that of the checkout locations, or the URL itself if it is a path.
    pub(crate) fn checkout(&self, source: &Source, base: &Path) -> Option<Checkout> {
        let Source::Git(commit) = source else { return None };
        let url = url_of(commit, base);
        let path = match self.options.locations.checkouts.get(&url) {
            Some(path) => path.clone(),
            // As in the reference, a path that is not a URL is not normalised with what it is relative to.
            None => Some(base.join(normal_path(&url))).filter(|path| is_directory(path))?,
        };
        let mut e = Encoder::new();
        e.bytes(&source.identity()?);
        // With the path: another repository for the same URL may lack the commit.
        e.bytes(path.as_os_str().as_encoded_bytes());
        Some(Checkout { path, key: own_key(&e.finish()) })
    }

    /// The root of a directory of a commit; `None` if it is absent, and not here.
    pub(crate) fn commit(
        &self,
        commit: &Commit,
        checkout: Option<&Checkout>,
        base: &Path,
        wanted: &ContentRequest<'_>,
    ) -> Result<Option<TreeLocation>, Problem> {
        let (id, of_git) = (commit.commit, |error: taut_git::Error| broken(wanted, error.to_string()));
        let from = without_password(&commit.repository);
        if let Some(Checkout { path, key }) = checkout {
            let repository = Repository::new(path.clone());
            // If it does not have the commit, or is damaged, that may be elsewhere. If nothing has it, the error names
            // this repository, too.
            if let Ok(Some(tree)) = repository.tree_of_commit(&id)
                && self.is_there(path, &tree)
            {
                let subtree = repository.subtree(&tree, commit.subdir.path.as_bytes()).map_err(of_git)?;
                let tree = subtree.ok_or_else(|| {
                    no_directory(&repository, &tree, &commit.subdir, &from, wanted, of_commit)
                })?;
                // Noted under the path: the next set-up finds it without opening the repository.
                self.note(TreeMap::Checkout, key, &tree, wanted)?;
                return Ok(Some(TreeLocation { tree, repository: path.clone() }));
            }
        }
        // Several repositories may be directories of one commit: it is fetched once.
        let whole = self.alone_with(&id, || -> Result<_, Problem> {
            let key = id.to_hex();
            if let Some(tree) = self.mapped(TreeMap::Commit, &key, wanted)? {
                return Ok(Some(tree));
            }
            let Some(tree) = self.commit_anywhere(commit, checkout, base, wanted)? else { return Ok(None) };
            self.note(TreeMap::Commit, &key, &tree, wanted)?;
            Ok(Some(tree))
        })?;
        let Some(whole) = whole else { return Ok(None) };
        let tree = self.directory_of(&whole, &commit.subdir, &from, wanted, of_commit)?;
        if let Some(Checkout { key, .. }) = checkout {
            self.note(TreeMap::NotCheckout, key, &tree, wanted)?;
        }
        Ok(Some(TreeLocation { tree, repository: self.cache.git() }))
    }

    /// The tree of a commit that is not in the map of commits, in the git repository of the build root.
    fn commit_anywhere(
        &self,
        commit: &Commit,
        checkout: Option<&Checkout>,
        base: &Path,
        wanted: &ContentRequest<'_>,
    ) -> Result<Option<Hash>, Problem> {
        let id = commit.commit;
        // What just-mr fetched.
        if self.cache.has_git() {
            let repository = Repository::new(self.cache.git());
            if let Ok(Some(tree)) = repository.tree_of_commit(&id)
                // A commit can be there without all of its tree, for instance after a fetch that was interrupted.
                && repository.is_complete(&tree).unwrap_or(false)
                && self.is_there(repository.path(), &tree)
            {
                return Ok(Some(tree));
            }
        }
        // Copied, not referred to: what is used has to be in the youngest generation to survive the next collection.
        for (_, path) in self.cache.older() {
            let repository = Repository::new(path);
            if let Ok(Some(tree)) = repository.tree_of_commit(&id)
                && self.take_over(&repository, &tree).is_ok()
            {
                return Ok(Some(tree));
            }
        }
        // Only now: what is on this machine gives the id of the tree even for an absent root.
        if commit.absent && !self.options.fetch_absent {
            return Ok(None);
        }
        let failed = |error: String| broken(wanted, error);
        let writer = self.writer().map_err(|error| failed(error.to_string()))?;
        let order = self.options.locations.order(&url_of(commit, base), &commit.mirrors);
        let urls: Vec<String> = order.iter().map(|url| absolute_url(url, base)).collect();
        let programs = self.git_programs(&commit.inherit_env);
        let request = CommitRequest { urls: &urls, commit: id, branch: Some(&commit.branch) };
        let scratch = self.scratch("fetch").map_err(|error| failed(error.to_string()))?;
        let progress = self.progress_of(wanted.repository, wanted.root_of);
        let what = (id, vec![urls.clone(), vec![commit.branch.clone()], commit.inherit_env.clone()]);
        let fetch = || taut_fetch::git::fetch(&programs, &request, writer, &scratch, &progress);
        let fetched = self.unless_failed(what, fetch);
        let fetched = fetched.map_err(|error| not_fetched(commit, checkout, wanted, &error))?;
        let (from, bytes) = (&*without_password(&fetched.url), fetched.bytes);
        self.observer.event(Event::Fetched { repository: wanted.repository, from, bytes });
        Ok(Some(fetched.tree))
    }

    /// Gets the tree of a `git tree` repository into the git repository of the build root.
    pub(crate) fn made_tree(&self, tree: &MadeTree, wanted: &ContentRequest<'_>) -> Result<(), Problem> {
        self.alone_with(&tree.id, || self.made_tree_alone(tree, wanted))
    }

    fn made_tree_alone(&self, made: &MadeTree, wanted: &ContentRequest<'_>) -> Result<(), Problem> {
        let id = made.id;
        let failed = |error: String| broken(wanted, error);
        let writer = self.writer().map_err(|error| failed(error.to_string()))?;
        // git knows the empty tree by its id alone.
        if id == HashFunction::GitSha1.tree(b"") {
            // It is in every repository, without being stored.
            return Ok(());
        }
        let is_there = has_tree(writer.repository(), &id);
        // Kept again in any case: it may be there only as a part of another tree, or since a call that was
        // interrupted.
        if is_there
            && writer.repository().is_complete(&id).unwrap_or(false)
            && self.is_there(writer.path(), &id)
        {
            writer.keep(Kind::Tree, &id).map_err(|error| failed(error.to_string()))?;
            return Ok(());
        }
        for (_, path) in self.cache.older() {
            let repository = Repository::new(path);
            if has_tree(&repository, &id) && self.take_over(&repository, &id).is_ok() {
                return Ok(());
            }
        }
        // The store before the server, as a look-up there costs no round trip.
        if self.tree_from_store(&id, wanted)?
            || (self.taken_from_server(&object(id, ObjectType::Tree), wanted)
                && self.tree_from_store(&id, wanted)?)
        {
            return Ok(());
        }
        let own = made.env.iter().map(|(key, value)| (OsString::from(key), OsString::from(value)));
        let programs = self.command_programs(&made.inherit_env, own);
        let command: Vec<OsString> =
            self.options.launcher.iter().chain(&made.command).map(Into::into).collect();
        let scratch = self.scratch("git-tree").map_err(|error| failed(error.to_string()))?;
        let request = TreeCommand { command: &command, tree: id };
        let progress = self.progress_of(wanted.repository, wanted.root_of);
        let make = || taut_fetch::git::tree_of_command(&programs, &request, writer, &scratch, &progress);
        let variables = made.env.iter().flat_map(|(key, value)| [key.clone(), value.clone()]).collect();
        let what = (id, vec![made.command.clone(), variables, made.inherit_env.clone()]);
        let bytes = self.unless_failed(what, make).map_err(|error| self.not_made(made, wanted, error))?;
        let command = &*made.shown_command();
        self.observer.event(Event::Made { repository: wanted.repository, command, bytes });
        Ok(())
    }

    /// The error about a command that did not make its tree.
    fn not_made(&self, made: &MadeTree, wanted: &ContentRequest<'_>, error: taut_fetch::Error) -> Problem {
        let id = made.id.to_hex();
        // The words of the error begin with the command, which has a note of its own.
        let cause = error.tried.iter().map(|tried| tried.cause.to_string()).collect::<Vec<_>>().join("; ");
        let words: Vec<&String> = self.options.launcher.iter().chain(&made.command).collect();
        let no_tree = error.tried.iter().find_map(|tried| match &tried.cause {
            Cause::NoTree { made, failure, printed, .. } => Some((made, failure, printed)),
            _ => None,
        });
        let reference = match no_tree {
            Some((_, _, printed)) => {
                let mut json = JsonWriter::compact();
                json.strings(words);
                let output = match printed.is_empty() {
                    true => String::new(),
                    false => format!(".\nOutput of command:\n{printed}\n"),
                };
                format!("Executing {} did not create specified tree {id}{output}", json.finish())
            }
            None => error.to_string(),
        };
        let of = quoted(wanted.repository);
        let problem =
            Diagnostic::error(format!("the command of repository {of} did not make its tree: {cause}"))
                .reference(reference)
                .at(wanted.url.clone())
                .note(format!("the command is {}", made.shown_command()))
                .note(format!("the tree is {id}"));
        // Of a directory in which nothing was made there is nothing to say.
        let found = no_tree.filter(|(found, ..)| **found != HashFunction::GitSha1.tree(b""));
        match found {
            Some((found, failure, _)) => {
                let found = found.to_hex();
                let problem = problem.note(format!("the directory that it made is the tree {found}"));
                match failure {
                    None => {
                        problem.help(format!("if that is what it should make, write \"id\": \"{found}\""))
                    }
                    // What a command that failed leaves is hardly what it should make.
                    Some(_) => problem,
                }
            }
            None => problem,
        }
        .into()
    }

    /// Copies a tree from the store, if it has it.
    fn tree_from_store(&self, id: &Hash, wanted: &ContentRequest<'_>) -> Result<bool, Problem> {
        let failed = |error: String| broken(wanted, error);
        if !self.store.contains(id, ObjectType::Tree).map_err(|error| failed(error.to_string()))? {
            return Ok(false);
        }
        let writer = self.writer().map_err(|error| failed(error.to_string()))?;
        let mut batch = writer.batch();
        if !crate::store_trees::copy_tree(self.store, id, &mut batch).map_err(failed)? {
            return Ok(false);
        }
        batch.finish().map_err(|error| failed(error.to_string()))?;
        writer.keep(Kind::Tree, id).map_err(|error| failed(error.to_string()))?;
        Ok(true)
    }
}

/// What the reference does with the tree of a commit.
fn of_commit(_: &str) -> String {
    "While getting subtree from commit:".to_owned()
}

fn not_fetched(
    commit: &Commit,
    checkout: Option<&Checkout>,
    wanted: &ContentRequest<'_>,
    error: &taut_fetch::Error,
) -> Problem {
    let id = commit.commit.to_hex();
    let of = quoted(wanted.repository);
    let mut problem = Diagnostic::error(format!("the commit {id} of repository {of} cannot be fetched"))
        .at(wanted.url.clone());
    let branch = &commit.branch;
    let (mut causes, mut remotes) = (String::new(), String::new());
    for tried in &error.tried {
        problem = problem.note(note_of(tried));
        causes.push_str(&format!("While attempting fetch from URL {}:\n{}\n", tried.url, tried.cause));
        remotes.push_str(&format!("\n> {}", tried.url));
    }
    if let Some(Checkout { path, .. }) = checkout {
        problem = problem.note(match Repository::new(path.clone()).tree_of_commit(&commit.commit) {
            Ok(None) => format!("the repository {} does not have it", path.display()),
            Ok(Some(_)) => format!("the repository {} has it, but not all of its files", path.display()),
            Err(error) => error.to_string(),
        });
    }
    // The reference treats a repository on this machine as the only remote.
    let reference = match checkout {
        // The only one that the reference asks then.
        Some(Checkout { path, .. }) => {
            format!("Could not fetch commit {id} from branch {branch} for remote {}", path.display())
        }
        None => format!(
            "While trying to fetch from provided remotes:\n{causes}Fetch failed for the provided remotes{remotes}"
        ),
    };
    let branch = quoted(branch);
    problem.note(format!("the branch that should have it is {branch}")).reference(reference).into()
}
