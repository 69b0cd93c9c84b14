//! Sources as objects: from a path below a root into the store.
//!
//! If a root knows its objects (as a git tree does), the object is the artifact, and its content is read only if the
//! store lacks it. Otherwise files are read, and what was observed of them is left as evidence for the next build.

use taut_digest::{Hash, ObjectInfo, ObjectType, decode_git_tree};
use taut_engine::{Agreement, Cx, Fail};
use taut_repos::{Handover, LeafRead, Source, SourceFile, SourceRoot, Symlinks};
use taut_store::Take;
use taut_value::Str;

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
pub(crate) struct Taken {
    info: ObjectInfo,
    /// Whether the root names the object, which may not be in the store then.
    is_known: bool,
}

/// Sources that were read by a comparison and had changed, for the task that runs next.
pub(crate) type TakenSources = Handover<ArtifactKey, Taken>;

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
        let Taken { info, is_known } = taken?;
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

    fn take(&self, root: &dyn SourceRoot, location: &SourceLocation<'_>) -> Result<Taken, Fail> {
        let info = match root.source(location.path).map_err(|error| location.unreadable(error))? {
            Source::Absent => return Err(location.fail(SourceProblem::Absent)),
            Source::Known(info) => return Ok(Taken { info, is_known: true }),
            Source::Link(target) => {
                let digest = self.store.put_blob(&target, false).map_err(of_store)?;
                ObjectInfo { digest, object_type: ObjectType::Symlink }
            }
            Source::File(file) => self.take_file(&file, location)?,
            Source::Other => return Err(location.fail(SourceProblem::OtherKind)),
        };
        Ok(Taken { info, is_known: false })
    }

    fn take_file(&self, source: &SourceFile<'_>, location: &SourceLocation<'_>) -> Result<ObjectInfo, Fail> {
        let at = source.at();
        let unreadable = |error| location.unreadable(error);
        let file = at.open().map_err(unreadable)?;
        let is_executable = file.stat().map_err(unreadable)?.is_executable();
        let digest =
            self.store.put_open_file(file, at, is_executable, Take::Copy).map_err(|error| match error {
                taut_store::Error::Changed(_) => location.fail(SourceProblem::Unsteady),
                taut_store::Error::Sys(error) if error.path == at.path() => location.unreadable(error),
                error => of_store(error),
            })?;
        Ok(ObjectInfo { digest, object_type: type_of_file(is_executable) })
    }

    /// Stores an object that a root names, with all that is below it. A tree that is stored already is not read.
    fn ensure_stored(&self, root: &dyn SourceRoot, object: &ObjectInfo) -> Result<(), Fail> {
        let has = |hash: &Hash, kind| self.store.contains(hash, kind).map_err(of_store);
        // A tree is looked at a second time after what is below it was stored.
        let mut pending = vec![(object.digest.hash, object.object_type)];
        while let Some((hash, kind)) = pending.pop() {
            if has(&hash, kind)? {
                continue;
            }
            let wrong = |why: &dyn std::fmt::Display| {
                Cause::RootObject { hash, root: root.shown(""), why: why.to_string() }.fail()
            };
            let content = root.object(&hash, kind).map_err(|error| wrong(&error))?;
            let content = content.ok_or_else(|| wrong(&"it is not there"))?;
            // Children first, as the store requires: the tree is visited again when they are there.
            let stored = if kind == ObjectType::Tree {
                let entries = decode_git_tree(&content, hash.as_bytes().len()).map_err(|why| wrong(&why))?;
                let mut below = Vec::new();
                for entry in entries.values() {
                    if !has(&entry.hash, entry.object_type)? {
                        below.push((entry.hash, entry.object_type));
                    }
                }
                if !below.is_empty() {
                    pending.push((hash, kind));
                    pending.append(&mut below);
                    continue;
                }
                self.store.put_tree(&entries)
            } else {
                self.store.put_blob(&content, kind == ObjectType::Executable)
            };
            // The root's names are trusted for identity, but what is stored must match its name.
            if stored.map_err(of_store)?.hash != hash {
                return Err(wrong(&"its content has another name"));
            }
        }
        Ok(())
    }
}

fn type_of_file(is_executable: bool) -> ObjectType {
    if is_executable { ObjectType::Executable } else { ObjectType::File }
}
