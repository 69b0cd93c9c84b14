//! Sources as objects: from a path below a root into the store.
//!
//! If a root knows its objects (as a git tree does), the object is the artifact, and its content is read only if the
//! store lacks it. Otherwise files are read, and what was observed of them is left as evidence for the next build.

use std::{cell::Cell, collections::BTreeMap, path::Path};

use taut_digest::{Hash, HashFunction, ObjectInfo, ObjectType, TreeEntry, decode_git_tree};
use taut_engine::{Agreement, Cx, Fail};
use taut_repos::{Handover, LeafRead, Source, SourceFile, SourceRoot, Symlinks, stays_inside};
use taut_store::AddMode;
use taut_value::{Artifact, Str};

use crate::{ArtifactKey, Built, Cause, Execution, SourceProblem};

/// The location of a source, for messages.
struct SourceLocation<'s> {
    root: Option<&'s dyn SourceRoot>,
    repository: &'s Str,
    path: &'s Str,
}

impl SourceLocation<'_> {
    fn fail(&self, why: SourceProblem) -> Fail {
        let (repository, path) = (self.repository.clone(), self.path.clone());
        let shown = self.root.map_or_else(|| path.as_str().into(), |root| root.shown(&path));
        Cause::Source { repository, path, shown, why }.fail()
    }

    fn unreadable(&self, why: impl std::fmt::Display) -> Fail {
        self.fail(SourceProblem::Unreadable(why.to_string()))
    }
}

fn of_store(error: taut_store::Error) -> Fail {
    Cause::of_store(error).fail()
}

fn built(info: ObjectInfo) -> Built {
    Built { info, failed: false }
}

/// A source as an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceObject {
    info: ObjectInfo,
    /// Whether the root names the object, which may not be in the store then.
    is_known: bool,
}

/// Sources that were read by a comparison and had changed, for the task that runs next.
pub(crate) type TakenSources = Handover<ArtifactKey, SourceObject>;

impl Execution {
    /// The source at a path, stored.
    pub(crate) fn source(
        &self,
        cx: &Cx,
        handover: (&TakenSources, &ArtifactKey),
        repository: &Str,
        path: &Str,
    ) -> Result<Built, Fail> {
        let root = self.sources.root(repository);
        let location = SourceLocation { root, repository, path };
        let root = root.ok_or_else(|| location.fail(SourceProblem::Absent))?;
        let take = || self.take(root, &location);
        let leaf_read = LeafRead { root, path, symlinks: Symlinks::NoFollow };
        let (taken, is_steady) =
            leaf_read.read_with_witness(cx, handover, take).map_err(|error| location.unreadable(error))?;
        // An error that was met while the file changed is reported as it is.
        if taken.is_ok() && !is_steady {
            return Err(location.fail(SourceProblem::Unsteady));
        }
        let SourceObject { info, is_known } = taken?;
        // The root named it without reading it, so the store may lack it.
        if is_known {
            self.ensure_stored(root, &info)?;
        }
        Ok(built(info))
    }

    /// Whether a source is as it was when the evidence was taken; `is_same` compares its present value. A file that has
    /// to be read for that is added to the store: if it has changed, it will be wanted there.
    pub(crate) fn source_agrees(
        &self,
        handover: (&TakenSources, &ArtifactKey),
        repository: &Str,
        path: &Str,
        witness: &[u8],
        is_same: impl FnOnce(&Built) -> bool,
    ) -> Agreement {
        let Some(root) = self.sources.root(repository) else { return Agreement::No };
        let location = SourceLocation { root: Some(root), repository, path };
        let take = || self.take(root, &location);
        let leaf_read = LeafRead { root, path, symlinks: Symlinks::NoFollow };
        leaf_read.agrees(witness, handover, take, |taken| is_same(&built(taken.info)))
    }

    /// The content of a source as it is now; `None` if it cannot be had.
    pub(crate) fn source_content(&self, artifact: &Artifact) -> Option<Vec<u8>> {
        let (path, repository) = match artifact {
            Artifact::Local { path, repository } => (path, repository),
            Artifact::Known(info) => {
                return self.sources.object(&info.digest.hash, info.object_type).ok().flatten();
            }
            _ => return None,
        };
        let root = self.sources.root(repository)?;
        match root.source(path).ok()? {
            Source::File(file) => file.at().read().ok(),
            Source::Known(info) => root.object(&info.digest.hash, info.object_type).ok().flatten(),
            _ => None,
        }
    }

    fn take(&self, root: &dyn SourceRoot, location: &SourceLocation<'_>) -> Result<SourceObject, Fail> {
        let info = match root.source(location.path).map_err(|error| location.unreadable(error))? {
            Source::Absent => return Err(location.fail(SourceProblem::Absent)),
            // A git tree names objects by the hash that the store uses in native mode, so nothing has to be read.
            Source::Known(info) if self.store.hash_function() == HashFunction::GitSha1 => {
                return Ok(SourceObject { info, is_known: true });
            }
            Source::Known(info) => self.take_renamed(root, &info, location)?,
            Source::Link(target) => {
                let digest = self.store.put_blob(&target, false).map_err(of_store)?;
                ObjectInfo { digest, object_type: ObjectType::Symlink }
            }
            Source::File(file) => self.take_file(&file, location)?,
            Source::Other => return Err(location.fail(SourceProblem::OtherKind)),
        };
        Ok(SourceObject { info, is_known: false })
    }

    /// Stores a file or link that a root knows by git's id, in compatible mode, where it has another name.
    fn take_renamed(
        &self,
        root: &dyn SourceRoot,
        known: &ObjectInfo,
        location: &SourceLocation<'_>,
    ) -> Result<ObjectInfo, Fail> {
        let object_type = known.object_type;
        if object_type == ObjectType::Tree {
            return Err(location.fail(SourceProblem::OtherKind));
        }
        // Read even if the store has it: only the content gives its SHA-256.
        let content = root.object(&known.digest.hash, object_type);
        let content = content.map_err(|error| location.unreadable(error))?;
        let content = content.ok_or_else(|| location.fail(SourceProblem::Absent))?;
        let digest =
            self.store.put_blob(&content, object_type == ObjectType::Executable).map_err(of_store)?;
        Ok(ObjectInfo { digest, object_type })
    }

    fn take_file(&self, source: &SourceFile<'_>, location: &SourceLocation<'_>) -> Result<ObjectInfo, Fail> {
        let at = source.at();
        let unreadable = |error| location.unreadable(error);
        let file = at.open().map_err(unreadable)?;
        // Of the open file, not of the name, which may lead to another one by now.
        let is_executable = file.stat().map_err(unreadable)?.is_executable();
        let digest =
            self.store.put_open_file(file, at, is_executable, AddMode::Later).map_err(
                |error| match error {
                    taut_store::Error::Changed(_) => location.fail(SourceProblem::Unsteady),
                    taut_store::Error::Sys(error) if error.path == at.path() => location.unreadable(error),
                    error => of_store(error),
                },
            )?;
        Ok(ObjectInfo { digest, object_type: type_of_file(is_executable) })
    }

    /// Stores an object that a root names, with all that is below it. A tree that is stored already is not read, and
    /// each object is read once.
    fn ensure_stored(&self, root: &dyn SourceRoot, object: &ObjectInfo) -> Result<(), Fail> {
        let read = |hash: &Hash, object_type| root.object(hash, object_type);
        self.store_object(object, &read, &root.shown("")).map(drop)
    }

    /// Stores an object that some root names, as [`Execution::ensure_stored`]. Whether there is one.
    pub(crate) fn store_known(&self, object: &ObjectInfo) -> Result<bool, Fail> {
        let first = self.sources.object(&object.digest.hash, object.object_type);
        if let Ok(None) = first {
            return Ok(false);
        }
        // The object itself was read already.
        let first = Cell::new(Some(first));
        let read = |hash: &Hash, object_type| match first.take() {
            Some(content) => content,
            None => self.sources.object(hash, object_type),
        };
        self.store_object(object, &read, Path::new("")).map(|()| true)
    }

    /// Stores an object with all that is below it; `read` reads objects.
    fn store_object(&self, object: &ObjectInfo, read: &ReadObject<'_>, root: &Path) -> Result<(), Fail> {
        // A stack in place of recursion: how deep a tree is nested is up to the description.
        let mut pending = vec![Pending::Object(object.digest.hash, object.object_type)];
        while let Some(next) = pending.pop() {
            let hash = *next.hash();
            self.store_next(next, read, &mut pending).map_err(|refused| match refused {
                NotStored::Store(error) => of_store(error),
                NotStored::Object(why) => {
                    let why = match path_below(&pending, &hash) {
                        path if path.is_empty() => why,
                        path => format!("{why} ({path} in tree {})", object.digest.hash),
                    };
                    Cause::RootObject { hash, root: root.to_owned(), why }.fail()
                }
            })?;
        }
        Ok(())
    }

    /// Stores an object, or adds to `pending` what has to be stored before it, and itself.
    fn store_next(
        &self,
        next: Pending,
        read: &ReadObject<'_>,
        pending: &mut Vec<Pending>,
    ) -> Result<(), NotStored> {
        let wrong = |why: &dyn std::fmt::Display| NotStored::Object(why.to_string());
        let (hash, stored) = match next {
            Pending::Object(hash, kind) => {
                // A stored tree has all that is below it in the store, so none of that is looked at.
                if self.store.contains(&hash, kind).map_err(NotStored::Store)? {
                    return Ok(());
                }
                let content = read(&hash, kind).map_err(|error| wrong(&error))?;
                let content = content.ok_or_else(|| wrong(&"it is not there"))?;
                if kind == ObjectType::Tree {
                    let entries =
                        decode_git_tree(&content, hash.as_bytes().len()).map_err(|error| wrong(&error))?;
                    let below = entries.values().map(|entry| Pending::Object(entry.hash, entry.object_type));
                    let below: Vec<Pending> = below.collect();
                    // Children first, as the store requires.
                    pending.push(Pending::Tree(hash, entries, content));
                    pending.extend(below);
                    return Ok(());
                }
                // As for outputs of actions: a link that leads out of its tree means something else wherever it is
                // staged.
                if kind == ObjectType::Symlink && !stays_inside(&content) {
                    let target = String::from_utf8_lossy(&content);
                    return Err(wrong(&format_args!("it is a link that leads outwards (to {target})")));
                }
                (hash, self.store.put_blob(&content, kind == ObjectType::Executable))
            }
            Pending::Tree(hash, _, content) => (hash, self.store.put_tree_bytes(&content)),
        };
        // The root's names are trusted for identity, but what is stored must match its name.
        match stored.map_err(NotStored::Store)?.hash == hash {
            true => Ok(()),
            false => Err(wrong(&"its content has another hash")),
        }
    }
}

/// Has the content of an object; `None` if it is not stored.
type ReadObject<'r> = dyn Fn(&Hash, ObjectType) -> taut_repos::Result<Option<Vec<u8>>> + 'r;

/// Why an object is not stored.
enum NotStored {
    /// The object cannot be used, and why.
    Object(String),
    /// The store cannot.
    Store(taut_store::Error),
}

/// The path of an object below the first of the trees that wait for it; empty if none does.
fn path_below(pending: &[Pending], hash: &Hash) -> String {
    let mut names = Vec::new();
    let mut hash = *hash;
    // The trees among what is pending are each below the one before.
    for above in pending.iter().rev() {
        if let Pending::Tree(tree, entries, _) = above {
            let name = entries.iter().find(|(_, entry)| entry.hash == hash).map(|(name, _)| name);
            names.extend(name.map(|name| String::from_utf8_lossy(name).into_owned()));
            hash = *tree;
        }
    }
    names.reverse();
    names.join("/")
}

/// What is still to be stored.
enum Pending {
    /// An object, unless it is stored.
    Object(Hash, ObjectType),
    /// A tree with its entries and bytes; what is below it comes before.
    Tree(Hash, BTreeMap<Vec<u8>, TreeEntry>, Vec<u8>),
}

impl Pending {
    fn hash(&self) -> &Hash {
        match self {
            Pending::Object(hash, _) | Pending::Tree(hash, ..) => hash,
        }
    }
}

fn type_of_file(is_executable: bool) -> ObjectType {
    if is_executable { ObjectType::Executable } else { ObjectType::File }
}
