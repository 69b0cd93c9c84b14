//! The roots of `file` repositories that are git trees: the tree of `HEAD` if the directory is part of a git
//! repository, else the tree of what is in the directory now.
//!
//! That of `HEAD` is found by the commit's id, without opening an object, once it was found before. A directory that is
//! imported is walked in each set-up; it is read again only if something in it changed.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::PoisonError,
    time::SystemTime,
};

use taut_digest::Hash;
use taut_git::{Enclosing, Head, Repository, SpecialFiles, enclosing, head, import};
use taut_syntax::{Diagnostic, quoted};
use taut_sys::{Dir, FileKind, Links, canonical, settled_age};
use taut_value::Encoder;

use crate::{
    cache::TreeMap,
    commits::TreeLocation,
    contents::{ContentRequest, broken},
    problem::Problem,
    session::Session,
    source::Directory,
    trees::own_key,
};

impl Session<'_> {
    /// The tree of a directory, which is imported if need be.
    pub(crate) fn directory(
        &self,
        directory: &Directory,
        wanted: &ContentRequest<'_>,
    ) -> Result<TreeLocation, Problem> {
        let of_git = |error: taut_git::Error| broken(wanted, error.to_string());
        // By its real path, since it is looked for in the tree of the repository by its path there. What is not there
        // is part of no repository: the import reports that nothing is there.
        let (enclosing, path) = match canonical(&directory.path) {
            Ok(path) => (enclosing(&path).map_err(|error| malformed(&error, &path, wanted))?, path),
            Err(_) => (Enclosing::default(), directory.path.clone()),
        };
        for error in &enclosing.passed_over {
            self.warn_of_no_repository(error, wanted);
        }
        let found = match enclosing.top {
            Some(top) => self.part_of(&top, &path, directory, wanted)?,
            None => {
                TreeLocation { tree: self.imported(&directory.path, wanted)?, repository: self.cache.git() }
            }
        };
        let Some(special) = directory.special else { return Ok(found) };
        // The tree of another repository is treated here.
        let is_treated = self.cache.get(0, TreeMap::Special(special), &found.tree.to_hex());
        let is_treated = matches!(is_treated, Ok(Some(tree)) if self.is_there(&self.cache.git(), &tree));
        if found.repository != self.cache.git() && !is_treated {
            // Only if it has to be read here: a treated tree that is known needs nothing of the original.
            self.take_over(&Repository::new(found.repository), &found.tree).map_err(of_git)?;
        }
        let of = format!("target {}", directory.path.display());
        let tree = self.treated(&found.tree, special, &of, wanted)?;
        Ok(TreeLocation { tree, repository: self.cache.git() })
    }

    /// Warns of a `.git` that is not a repository: what is in the directory is taken, or the commit of a repository
    /// further up.
    fn warn_of_no_repository(&self, error: &taut_git::Error, wanted: &ContentRequest<'_>) {
        let of = quoted(wanted.repository);
        let warning =
            Diagnostic::warning(format!("the directory of repository {of} is not taken from git: {error}"));
        self.warn(warning.reference("").at(wanted.url.clone()));
    }

    /// The tree of a directory of a commit `HEAD`.
    fn part_of(
        &self,
        top: &Path,
        path: &Path,
        directory: &Directory,
        wanted: &ContentRequest<'_>,
    ) -> Result<TreeLocation, Problem> {
        let of_git = |error: taut_git::Error| broken(wanted, error.to_string());
        let commit = match head(top).map_err(of_git)? {
            Head::Commit(commit) => commit,
            // The words of libgit2 are part of what the reference prints, error code included.
            Head::Unborn(branch) => {
                let shown = top.display();
                let message = format!("the repository {shown} has no commit yet, so there is no tree of it");
                let reference = format!(
                    "While running critical Git op GET_HEAD_ID for target {shown}:\nWhile doing get HEAD id Git op:\n\
                     Retrieving head commit in git repository {shown} failed with:\nerror code 4: reference '{branch}' not \
                     found"
                );
                return Err(about(directory, wanted, message, reference).into());
            }
        };
        let below = path.strip_prefix(top).unwrap_or(Path::new(""));
        let mut e = Encoder::new();
        // Commit and directory alone determine the tree; with the path, the entry also proves that this repository
        // has it.
        e.bytes(top.as_os_str().as_bytes());
        e.bytes(commit.as_bytes());
        e.bytes(below.as_os_str().as_bytes());
        let key = own_key(&e.finish());
        let repository = top.to_owned();
        // An entry that cannot be read is as good as none.
        let known = self.cache.get(0, TreeMap::Directory, &key).ok().flatten();
        if let Some(tree) = known.filter(|tree| self.is_there(top, tree)) {
            return Ok(TreeLocation { tree, repository });
        }
        let git = Repository::new(top);
        let whole = git.tree_of_commit(&commit).map_err(of_git)?.ok_or_else(|| {
            broken(wanted, format!("the repository {} lacks its HEAD, {}", top.display(), commit.to_hex()))
        })?;
        let tree = git.subtree(&whole, below.as_os_str().as_bytes()).map_err(of_git)?;
        let tree = tree.ok_or_else(|| {
            let below = below.display();
            let message = format!("the commit HEAD of {} has no directory {below}", top.display());
            let reference = format!(
                "While getting subtree from path:\nWhile going subtree hash retrieval from path:\nRetrieving subtree at \
                 {below} in git repository {} failed with:\nerror code 14: the path '{below}' does not exist in the given \
                 tree",
                top.display()
            );
            let problem = about(directory, wanted, message, reference);
            Problem::from(problem.help("commit it, or leave out \"to_git\""))
        })?;
        self.note(TreeMap::Directory, &key, &tree, wanted)?;
        Ok(TreeLocation { tree, repository })
    }

    /// The reference's warning that it imports a directory in each call that launches the build tool.
    fn warn_of_import(&self, path: &Path, wanted: &ContentRequest<'_>) {
        let Some(launches) = &self.options.launches else { return };
        // Once for repositories with the same directory.
        // Under a lock, since several threads set up repositories.
        if !self.warned.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned()) {
            return;
        }
        let of = quoted(wanted.repository);
        let shown = path.display();
        let text = format!(
            "Inefficient Git import of file path '{shown}'.\nPlease consider using 'just-mr setup' and '{launches}' \
             separately to cache the output."
        );
        let warning = Diagnostic::warning(text)
            .at(wanted.url.clone())
            .below(&format!("While setting the workspace root for repository {of} of type \"file\":"))
            .below(&format!("While setting up repository {of}:"));
        self.warn(warning);
    }

    /// The tree of what is in a directory now.
    fn imported(&self, path: &Path, wanted: &ContentRequest<'_>) -> Result<Hash, Problem> {
        let of_git = |error: taut_git::Error| broken(wanted, error.to_string());
        self.warn_of_import(path, wanted);
        let top = Dir::of_user(path).map_err(|error| {
            let shown = path.display();
            let problem = Diagnostic::error(format!(
                "the directory {shown} of repository {} cannot be opened: {error}",
                quoted(wanted.repository)
            ));
            let problem = problem
                .reference(format!("Failed to copy content from directory {shown}"))
                .after_message(&format!("source {shown} does not exist or is not a directory"))
                .once(&format!("import of {shown}"));
            Problem::from(problem.at(wanted.url.clone()))
        })?;
        // Taken before and after the import: only if both agree is the tree certainly that of the state.
        let before = state(&top).map_err(|error| broken(wanted, error.to_string()))?;
        if let Some(state) = &before
            && let Some(tree) = self.mapped(TreeMap::Directory, &state.key, wanted)?
        {
            return Ok(tree);
        }
        let writer = self.writer().map_err(of_git)?;
        let mut batch = writer.batch();
        let tree = import(&top, SpecialFiles::Refuse, &|_| true, &mut batch)
            .and_then(|tree| tree.write(&mut batch))
            .map_err(|error| {
                let problem = Diagnostic::error(format!(
                    "the directory of repository {} cannot become a git tree: {error}",
                    quoted(wanted.repository)
                ));
                let reference = format!("Failed to copy content from directory {}", path.display());
                Problem::from(problem.reference(reference).at(wanted.url.clone()))
            })?;
        batch.finish().map_err(of_git)?;
        let message = format!("Content of file {}", path.display());
        writer.keep_as_commit(&tree, &message).map_err(of_git)?;
        let after = state(&top).map_err(|error| broken(wanted, error.to_string()))?;
        if let (Some(before), Some(after)) = (before, after)
            // Three conditions: nothing changed while it was read, and nothing changed so shortly before that a
            // change in the same tick of the clock could go unnoticed.
            && before.key == after.key
            && before.is_conclusive
        {
            self.note(TreeMap::Directory, &after.key, &tree, wanted)?;
        }
        Ok(tree)
    }
}

fn malformed(error: &taut_git::Error, path: &Path, wanted: &ContentRequest<'_>) -> Problem {
    let taut_git::Error::Malformed { path: file } = error else { return broken(wanted, error.to_string()) };
    let reference = format!(
        "While getting repo root from path:\nRepository root search failed at path {} with:\nerror code 6: the `.git` file at \
         '{}' is malformed!",
        path.display(),
        file.display()
    );
    Diagnostic::error(error.to_string()).reference(reference).at(wanted.url.clone()).into()
}

fn about(
    directory: &Directory,
    wanted: &ContentRequest<'_>,
    message: String,
    reference: String,
) -> Diagnostic {
    let of = quoted(wanted.repository);
    Diagnostic::error(message).reference(reference).at(wanted.url.clone()).note(format!(
        "repository {of} is to be the tree of {}, which is part of it",
        directory.path.display()
    ))
}

/// The state of a directory with all that is in it.
struct DirectoryState {
    /// A hash of the names and of what `stat` says of each.
    key: String,
    /// Whether equal states are equal contents: nothing changed so lately that it could have changed once more since.
    is_conclusive: bool,
}

/// Looks at everything in a directory; `None` where the file system does not date all writes.
fn state(top: &Dir) -> taut_sys::Result<Option<DirectoryState>> {
    // For example some network file systems, or writes through a mapping: there only the content counts.
    if !top.dates_all_writes() {
        return Ok(None);
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut is_conclusive = true;
    let mut e = Encoder::new();
    // A stack of paths and not recursion: the depth is what users have on disk, and open directories are bounded.
    let mut todo: Vec<PathBuf> = vec![PathBuf::new()];
    while let Some(path) = todo.pop() {
        let opened;
        let directory = match path.as_os_str().is_empty() {
            true => top,
            false => {
                opened = top.sub(&path, Links::Refused)?;
                &opened
            }
        };
        // A later change of a file that changed shortly before may leave no trace; then it is imported again the next
        // time.
        let limit = now.saturating_sub(settled_age(directory)).as_nanos() as i128;
        let mut entries: Vec<(OsString, FileKind)> = directory.list()?;
        // The order of a listing is that of the file system, and may differ between calls.
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        e.number(entries.len() as u64);
        for (name, kind) in entries {
            let stat = directory.at(&name).lstat()?;
            e.bytes(name.as_bytes());
            let mut signature = Vec::new();
            // The listing says what is in a directory; its times change with what is not imported.
            if kind == FileKind::Directory {
                todo.push(path.join(&name));
            } else {
                stat.signature.encode(&mut signature);
                is_conclusive &= !stat.signature.is_racy(limit);
            }
            e.bytes(&signature);
        }
    }
    Ok(Some(DirectoryState { key: own_key(&e.finish()), is_conclusive }))
}
