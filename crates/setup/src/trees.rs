//! Trees of roots in the git repository of the build root: found, taken from an older generation, or made.

use std::{collections::HashSet, fs, path::Path};

use taut_archive::Limits;
use taut_digest::{Hash, HashFunction, ObjectType, TreeEntry, parse_git_tree};
use taut_fetch::without_password;
use taut_git::{Kind, LinkFault, ObjectSink, Repository, TreeBuilder};
use taut_syntax::{Diagnostic, did_you_mean, enumeration, quoted};
use taut_sys::fault::limit;
use taut_value::{Id, JsonWriter};

use crate::{
    cache::TreeMap,
    contents::{ContentRequest, Local, broken},
    private_copy::Origin,
    problem::Problem,
    session::Session,
    source::{Archive, ArchiveKind, Content, Distdir, Distfile, ForeignFile, Special, Subdir},
};

impl Session<'_> {
    /// The tree that a map has for a key. If only an older generation has it, it is copied to the youngest.
    ///
    /// # Errors
    /// A map or a repository cannot be read or written.
    pub(crate) fn mapped(
        &self,
        map: TreeMap,
        key: &str,
        wanted: &ContentRequest<'_>,
    ) -> Result<Option<Hash>, Problem> {
        let youngest = self.cache.get(0, map, key).map_err(|error| broken(wanted, error.to_string()))?;
        if let Some(tree) = youngest
            && self.is_there(&self.cache.git(), &tree)
        {
            return Ok(Some(tree));
        }
        for (number, path) in self.cache.older() {
            let Some(tree) = self.cache.get(number, map, key).ok().flatten() else { continue };
            // What an older generation lacks, or has damaged, is made again.
            if self.take_over(&Repository::new(path), &tree).is_ok() {
                self.note(map, key, &tree, wanted)?;
                return Ok(Some(tree));
            }
        }
        Ok(None)
    }

    /// Whether a repository has a tree that it should have; that is looked at only if something was found to be lost.
    pub(crate) fn is_there(&self, repository: &Path, tree: &Hash) -> bool {
        if !self.options.verifies {
            return true;
        }
        // What cannot be read is as good as lost.
        match self.writer() {
            Ok(own) if own.path() == repository => own.verify(tree).unwrap_or(false),
            _ => Repository::new(repository).is_intact(tree).unwrap_or(false),
        }
    }

    /// Writes an entry of a map; its tree must be in the git repository, and kept.
    pub(crate) fn note(
        &self,
        map: TreeMap,
        key: &str,
        tree: &Hash,
        wanted: &ContentRequest<'_>,
    ) -> Result<(), Problem> {
        self.cache.put(map, key, tree).map_err(|error| broken(wanted, error.to_string()))
    }

    /// Copies a tree into the git repository, and keeps it.
    pub(crate) fn take_over(&self, from: &Repository, tree: &Hash) -> taut_git::Result<()> {
        let writer = self.writer()?;
        let mut batch = writer.batch();
        // Copied with all that is below it, as an older generation may be removed at any time.
        batch.copy_tree(from, tree)?;
        batch.finish()?;
        writer.keep(Kind::Tree, tree)
    }

    /// The tree of an archive's directory.
    pub(crate) fn archive(
        &self,
        archive: &Archive,
        wanted: &ContentRequest<'_>,
    ) -> Result<Option<Hash>, Problem> {
        let (id, map) = (archive.content.id, TreeMap::Archive(archive.kind));
        // The whole archive is unpacked and noted, whatever directory is wanted: other repositories may want others
        // of it.
        let whole = self.alone_with(&other_of(&id), || -> Result<_, Problem> {
            if let Some(tree) = self.mapped(map, &id.to_hex(), wanted)? {
                return Ok(Some((tree, true)));
            }
            let Some(tree) = self.unpacked(archive, wanted)? else { return Ok(None) };
            self.note(map, &id.to_hex(), &tree, wanted)?;
            Ok(Some((tree, false)))
        })?;
        let Some((whole, is_mapped)) = whole else { return Ok(None) };
        let from = without_password(&archive.content.fetch);
        let tree = self.directory_of(&whole, &archive.subdir, &from, wanted, |tree| match is_mapped {
            true => "While getting subtree from tree:".to_owned(),
            false => format!("While getting subdir {} from tree {tree}:", archive.subdir.reference),
        })?;
        match archive.special {
            None => Ok(Some(tree)),
            Some(special) => {
                let of = format!("content {}", id.to_hex());
                self.treated(&tree, special, &of, wanted).map(Some)
            }
        }
    }

    /// The tree of a whole archive, which is in the store then; for a root that is absent, only if it is on this
    /// machine.
    fn unpacked(&self, archive: &Archive, wanted: &ContentRequest<'_>) -> Result<Option<Hash>, Problem> {
        let Archive { content, kind, .. } = archive;
        let mut tree = None;
        let mut inspect = |file: &mut fs::File, origin: &Origin| {
            tree = Some(self.unpack(file, origin, content, *kind, wanted)?);
            Ok(())
        };
        if !archive.absent || self.options.fetch_absent {
            self.ensure_inspected(content, wanted, &mut inspect)?;
        } else if !matches!(self.has_locally(content, wanted, &mut inspect)?, Local::Found) {
            return Ok(None);
        }
        if tree.is_some() {
            return Ok(tree);
        }
        // It was in the store.
        let opened = self.store.open_file(&content.id).map_err(|error| broken(wanted, error.to_string()))?;
        let Some((mut file, _)) = opened else {
            let id = content.id.to_hex();
            return Err(broken(wanted, format!("the content {id} was removed from the store")));
        };
        self.unpack(&mut file, &Origin::Earlier, content, *kind, wanted).map(Some)
    }

    /// Unpacks an archive, which is read from its beginning.
    fn unpack(
        &self,
        file: &mut fs::File,
        origin: &Origin,
        content: &Content,
        kind: ArchiveKind,
        wanted: &ContentRequest<'_>,
    ) -> Result<Hash, Problem> {
        let id = content.id.to_hex();
        let of_git = |error: taut_git::Error| broken(wanted, error.to_string());
        let writer = self.writer().map_err(of_git)?;
        let mut batch = writer.batch();
        let kind_of = match kind {
            ArchiveKind::Tar => taut_archive::Kind::Tar,
            ArchiveKind::Zip => taut_archive::Kind::Zip,
        };
        let usual = Limits::default();
        let limits = Limits {
            entries: limit("archive-entries", usual.entries),
            bytes: limit("archive-bytes", usual.bytes),
            ..usual
        };
        let unpacked = taut_archive::read(file, kind_of, &limits, &mut batch).map_err(|error| {
            let (name, of) = (quoted(&content.distfile), quoted(wanted.repository));
            let path = self.store.path_of(&content.id);
            Problem::from(
                Diagnostic::error(format!(
                    "the archive {name} of repository {of} cannot be unpacked: {error}"
                ))
                .reference(format!(
                    "Failed to extract archive {} from CAS with error:\n{error}",
                    path.display()
                ))
                .at(wanted.place.clone())
                .note(origin.note(content))
                .note(format!("its content has the id {id}")),
            )
        })?;
        // First the objects, then the commit that keeps them, then the entry of the map: a crash leaves only unused
        // objects.
        batch.finish().map_err(of_git)?;
        for warning in unpacked.warnings.iter().take(MAX_WARNINGS) {
            let of = quoted(wanted.repository);
            self.warn(
                Diagnostic::warning(format!("{}: {warning}", quoted(&content.distfile)))
                    .reference("")
                    .at(wanted.place.clone())
                    .note(format!("it is the archive of repository {of}")),
            );
        }
        let further = unpacked.warnings.len().saturating_sub(MAX_WARNINGS);
        if further > 0 {
            let name = quoted(&content.distfile);
            let warning = Diagnostic::warning(format!(
                "{name}: the archive has several entries of {further} more names; the last ones are used"
            ));
            self.warn(warning.reference("").at(wanted.place.clone()));
        }
        // The message of just-mr: it is part of the id of the commit, which both tools then have only once.
        let message = format!("Content of {} {id}", kind.word());
        writer.keep_as_commit(&unpacked.tree, &message).map_err(of_git)?;
        Ok(unpacked.tree)
    }

    pub(crate) fn warn(&self, warning: Diagnostic) {
        self.observer.event(crate::event::Event::Warning(&warning));
    }

    /// The tree of a directory of a tree of the git repository.
    pub(crate) fn directory_of(
        &self,
        tree: &Hash,
        subdir: &Subdir,
        from: &str,
        wanted: &ContentRequest<'_>,
        step: impl FnOnce(&str) -> String,
    ) -> Result<Hash, Problem> {
        if subdir.path == "." {
            return Ok(*tree);
        }
        let of_git = |error: taut_git::Error| broken(wanted, error.to_string());
        let writer = self.writer().map_err(of_git)?;
        let found = writer.repository().subtree(tree, subdir.path.as_bytes());
        found
            .map_err(of_git)?
            .ok_or_else(|| no_directory(writer.repository(), tree, subdir, from, wanted, step))
    }

    /// A tree whose special entries are treated; `of` is what the reference names it by.
    pub(crate) fn treated(
        &self,
        tree: &Hash,
        special: Special,
        of: &str,
        wanted: &ContentRequest<'_>,
    ) -> Result<Hash, Problem> {
        let (map, key) = (TreeMap::Special(special), tree.to_hex());
        if let Some(treated) = self.mapped(map, &key, wanted)? {
            return Ok(treated);
        }
        let of_git = |error: taut_git::Error| {
            let (repository, word) = (quoted(wanted.repository), quoted(special.word()));
            let why = match &error {
                taut_git::Error::Link { tree, link, fault: LinkFault::Outside(_) } => {
                    format!("ResolveSymlinks: symlink {link} is not confined to tree {}", tree.to_hex())
                }
                error => error.to_string(),
            };
            let message =
                format!("the links of repository {repository} cannot be treated as {word}: {error}");
            let problem = Diagnostic::error(message).at(wanted.place.clone());
            Problem::from(problem.reference(format!("While resolving symlinks for {of}:\n{why}")))
        };
        let writer = self.writer().map_err(of_git)?;
        let special = match special {
            Special::Ignore => taut_git::Special::Ignore,
            Special::ResolvePartially => taut_git::Special::ResolvePartially,
            Special::ResolveCompletely => taut_git::Special::ResolveCompletely,
        };
        let mut batch = writer.batch();
        let treated = batch.transform(tree, special).map_err(of_git)?;
        batch.finish().map_err(of_git)?;
        // The original tree is kept by itself; this one has other trees, which nothing else refers to.
        writer.keep(Kind::Tree, &treated).map_err(of_git)?;
        self.note(map, &key, &treated, wanted)?;
        Ok(treated)
    }

    /// The tree of one file.
    pub(crate) fn foreign_file(
        &self,
        file: &ForeignFile,
        wanted: &ContentRequest<'_>,
    ) -> Result<Hash, Problem> {
        let object_type = if file.executable { ObjectType::Executable } else { ObjectType::File };
        let (content, wanted_file) = (&file.content, wanted.clone());
        let files = [NamedFile { number: 0, name: &file.name, content, object_type, wanted: wanted_file }];
        let name = taut_value::quoted(&file.name);
        // Messages of commits are those of just-mr: they are part of the ids, which both tools then share.
        let message = format!("Content of foreign file at {name} {}", file.content.id.to_hex());
        self.files(&files, file.absent, wanted, message)
    }

    /// The tree of the archives of other repositories.
    pub(crate) fn distdir(&self, distdir: &Distdir, wanted: &ContentRequest<'_>) -> Result<Hash, Problem> {
        let mut files: Vec<_> = distdir
            .files
            .iter()
            .map(|(name, Distfile { number, repository, content, place, url })| {
                // What is wrong with an archive is wrong with the repository that has it.
                let (place, url) = (place.clone(), url.clone());
                let wanted = ContentRequest { repository, place, url, ..wanted.clone() };
                NamedFile { number: *number, name, content, object_type: ObjectType::File, wanted }
            })
            .collect();
        let id = id_of_files(&files);
        let message = format!("Content of distdir {id}");
        files.iter_mut().for_each(|file| file.wanted.distdir = Some(id.clone()));
        self.files(&files, distdir.absent, wanted, message)
    }

    /// The tree of some files, which is made unless the root is absent.
    fn files(
        &self,
        files: &[NamedFile<'_>],
        is_absent: bool,
        wanted: &ContentRequest<'_>,
        message: String,
    ) -> Result<Hash, Problem> {
        let of_git = |error: taut_git::Error| broken(wanted, error.to_string());
        let mut tree = TreeBuilder::new();
        for file in files {
            let entry = TreeEntry { hash: file.content.id, object_type: file.object_type };
            let put = tree.put(&[file.name.as_bytes()], entry);
            put.map_err(|error| broken(&file.wanted, error.to_string()))?;
        }
        if is_absent && !self.options.fetch_absent {
            // The ids of the files are in the description, so that of the tree needs no content.
            return tree.write(&mut taut_git::HashOnly).map_err(of_git);
        }
        let (map, key) = (TreeMap::Distfiles, id_of_files(files));
        // The map saves the look-up of each file; without it the tree would be made again from the store.
        if let Some(tree) = self.mapped(map, &key, wanted)? {
            return Ok(tree);
        }
        // Each content once, as the first in the description's list has it.
        let mut listed: Vec<&NamedFile<'_>> = files.iter().collect();
        listed.sort_by_key(|file| file.number);
        let mut seen = HashSet::new();
        let mut failed: Option<Problem> = None;
        for file in listed.into_iter().filter(|file| seen.insert(file.content.id)) {
            // All of them are tried, as each failure has a message in the reference.
            if let Err(problem) = self.ensure(file.content, &file.wanted) {
                failed = Some(match failed {
                    Some(first) => first.before_messages_of(&problem).into(),
                    None => problem,
                });
            }
        }
        if let Some(problem) = failed {
            return Err(problem);
        }
        let writer = self.writer().map_err(of_git)?;
        let mut batch = writer.batch();
        for NamedFile { content, wanted, .. } in files {
            let opened = self.store.open_file(&content.id);
            let Some((mut opened, size)) = opened.map_err(|error| broken(wanted, error.to_string()))? else {
                let why = format!("the content {} was removed from the store", content.id.to_hex());
                return Err(broken(wanted, why));
            };
            batch.blob_from(size, &mut opened).map_err(of_git)?;
        }
        let tree = tree.write(&mut batch).map_err(of_git)?;
        batch.finish().map_err(of_git)?;
        writer.keep_as_commit(&tree, &message).map_err(of_git)?;
        self.note(map, &key, &tree, wanted)?;
        Ok(tree)
    }
}

/// How many warnings of an archive are shown.
const MAX_WARNINGS: usize = 10;

/// A file of a root.
struct NamedFile<'f> {
    /// Its place in the description's list.
    number: usize,
    /// Its name there.
    name: &'f str,
    content: &'f Content,
    /// Whether it is executable.
    object_type: ObjectType,
    /// The repository that it is of.
    wanted: ContentRequest<'f>,
}

/// The id of a list of files: the blob id of a JSON map from names to lists of the id and whether it is executable.
fn id_of_files(files: &[NamedFile<'_>]) -> String {
    let mut json = JsonWriter::compact();
    json.object(|json| {
        for file in files {
            json.key(file.name).list(|json| {
                // The text is hashed as just-mr writes it, so the keys of the map are the same for
                // both tools.
                json.string(file.content.id.to_hex()).bool(file.object_type == ObjectType::Executable);
            });
        }
    });
    HashFunction::GitSha1.blob(json.finish().as_bytes()).to_hex()
}

/// A hash for the lock of an archive's tree, other than that for the archive itself, since one is taken within the
/// other.
fn other_of(id: &Hash) -> Hash {
    HashFunction::GitSha1.blob(id.as_bytes())
}

/// The key of an entry of taut's own maps.
pub(crate) fn own_key(bytes: &[u8]) -> String {
    Id::of(bytes).to_hex()
}

/// The error for a directory that a tree of a repository does not have. `from`: where the contents are from. `step`:
/// what the reference does with the tree.
pub(crate) fn no_directory(
    repository: &Repository,
    tree: &Hash,
    subdir: &Subdir,
    from: &str,
    wanted: &ContentRequest<'_>,
    step: impl FnOnce(&str) -> String,
) -> Problem {
    let of = quoted(wanted.repository);
    let id = tree.to_hex();
    let Subdir { path: subdir, reference } = subdir;
    // What is there instead: of the part of the path that exists, as the name with the version often is the wrong one.
    let (mut above, mut here, mut wrong) = (String::new(), *tree, (subdir.as_str(), None));
    for name in subdir.split('/').filter(|name| !matches!(*name, "" | ".")) {
        match entry_of(repository, &here, name) {
            Some((below, Some(ObjectType::Tree))) => (above, here) = (format!("{above}{name}/"), below),
            other => {
                wrong = (name, other);
                break;
            }
        }
    }
    let (name, found) = wrong;
    let why = match found {
        None => "does not exist in the given tree",
        Some(_) => "exists but is not a tree",
    };
    let cause = format!(
        "Retrieving subtree at {reference} in git repository {} failed with:\nerror code 14: the path '{name}' {why}",
        repository.path().display()
    );
    let shown = quoted(subdir);
    let mut problem = Diagnostic::error(format!("the contents of repository {of} have no directory {shown}"))
        .reference(cause)
        .below(&step(&id))
        .at(wanted.subdir.clone());
    if let Some((_, object_type)) = found {
        let what = match object_type {
            Some(ObjectType::File | ObjectType::Executable) => "a file",
            Some(ObjectType::Symlink) => "a symbolic link",
            _ => "no directory",
        };
        problem = problem.note(format!("{} is {what}", quoted(&format!("{above}{name}"))));
    }
    problem = problem.note(format!("they are those of {from}")).note(format!("their tree is {id}"));
    let directories = directories_of(repository, &here);
    let paths: Vec<String> = directories.iter().map(|name| format!("{above}{name}")).collect();
    let problem = problem.suggest(did_you_mean(subdir, paths.iter().map(String::as_str)));
    let all = enumeration(&paths);
    match paths.len() {
        _ if problem.suggestion.is_some() => problem,
        0 => problem,
        1 => problem.note(format!("the only directory there is {all}")),
        _ => problem.note(format!("the directories there are {all}")),
    }
    .into()
}

/// An entry of a tree that can be read, with its type if it is one of taut's.
fn entry_of(repository: &Repository, tree: &Hash, name: &str) -> Option<(Hash, Option<ObjectType>)> {
    let object = repository.read(tree).ok().flatten()?;
    let entries = parse_git_tree(&object.content, 20).ok()?;
    let found = entries.iter().find(|entry| entry.name == name.as_bytes())?;
    Some((found.hash, found.object_type))
}

/// The names of the directories in a tree, as far as a message has room for them.
fn directories_of(repository: &Repository, tree: &Hash) -> Vec<String> {
    const MAX_SHOWN: usize = 12;
    let Ok(Some(object)) = repository.read(tree) else { return Vec::new() };
    let entries = parse_git_tree(&object.content, 20).unwrap_or_default();
    let directories = entries.iter().filter(|entry| entry.object_type == Some(ObjectType::Tree));
    directories.take(MAX_SHOWN).map(|entry| String::from_utf8_lossy(entry.name).into_owned()).collect()
}

/// Whether an object is a tree of a repository.
pub(crate) fn has_tree(repository: &Repository, tree: &Hash) -> bool {
    repository.header(tree).ok().flatten().is_some_and(|header| header.kind == Kind::Tree)
}
