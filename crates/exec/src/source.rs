//! Sources as objects: what lies at a path of a root, in the store.
//!
//! A root that knows its objects is trusted: the object is the artifact, and its content is brought into the store only
//! if it is not there. Of a root that does not, files are read, and what was seen of them is left as evidence.

use taut_digest::{Hash, ObjectInfo, ObjectType, decode_git_tree};
use taut_engine::{Agreement, Cx, Fail};
use taut_repos::{Handover, Look, Seen, Source, SourceFile, SourceRoot};
use taut_store::Take;
use taut_value::Str;

use crate::{ArtifactKey, Built, Cause, Execution, SourceProblem};

/// A source that cannot be used.
struct Place<'s> {
    root: Option<&'s dyn SourceRoot>,
    repository: &'s Str,
    path: &'s Str,
}

impl Place<'_> {
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

fn sound(info: ObjectInfo) -> Built {
    Built { info, failed: false }
}

/// What a source is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    info: ObjectInfo,
    /// Its root knows it as an object, which may not be in the store.
    is_known: bool,
}

/// Sources that were read to be compared and were different.
pub(crate) type TakenSources = Handover<ArtifactKey, Taken>;

impl Execution {
    /// The source at a path, in the store.
    pub(crate) fn source(
        &self,
        cx: &Cx,
        handover: (&TakenSources, &ArtifactKey),
        repository: &Str,
        path: &Str,
    ) -> Result<Built, Fail> {
        let root = self.sources.root(repository);
        let place = Place { root, repository, path };
        let root = root.ok_or_else(|| place.fail(SourceProblem::Absent))?;
        let take = || self.take(root, &place);
        let seen = Seen { root, path, look: Look::Itself };
        let (taken, is_steady) =
            seen.observed(cx, handover, take).map_err(|error| place.unreadable(error))?;
        if taken.is_ok() && !is_steady {
            return Err(place.fail(SourceProblem::Unsteady));
        }
        let Taken { info, is_known } = taken?;
        if is_known {
            self.bring(root, &info)?;
        }
        Ok(sound(info))
    }

    /// Whether a source is what it was when this evidence of it was left; `is_same` compares what it is now. What has to be
    /// read for that is added to the store: if it is another content, it is wanted there next.
    pub(crate) fn source_agrees(
        &self,
        handover: (&TakenSources, &ArtifactKey),
        repository: &Str,
        path: &Str,
        witness: &[u8],
        is_same: impl FnOnce(&Built) -> bool,
    ) -> Agreement {
        let Some(root) = self.sources.root(repository) else { return Agreement::No };
        let place = Place { root: Some(root), repository, path };
        let take = || self.take(root, &place);
        let seen = Seen { root, path, look: Look::Itself };
        seen.agrees(witness, handover, take, |taken| is_same(&sound(taken.info)))
    }

    fn take(&self, root: &dyn SourceRoot, place: &Place<'_>) -> Result<Taken, Fail> {
        let info = match root.source(place.path).map_err(|error| place.unreadable(error))? {
            Source::Absent => return Err(place.fail(SourceProblem::Absent)),
            Source::Known(info) => return Ok(Taken { info, is_known: true }),
            Source::Link(target) => {
                let digest = self.store.put_blob(&target, false).map_err(of_store)?;
                ObjectInfo { digest, object_type: ObjectType::Symlink }
            }
            Source::File(file) => self.take_file(&file, place)?,
            Source::Other => return Err(place.fail(SourceProblem::OtherKind)),
        };
        Ok(Taken { info, is_known: false })
    }

    fn take_file(&self, source: &SourceFile<'_>, place: &Place<'_>) -> Result<ObjectInfo, Fail> {
        let at = source.at();
        let unreadable = |error| place.unreadable(error);
        let file = at.open().map_err(unreadable)?;
        let is_executable = file.stat().map_err(unreadable)?.is_executable();
        let digest =
            self.store.put_open_file(file, at, is_executable, Take::Copy).map_err(|error| match error {
                taut_store::Error::Changed(_) => place.fail(SourceProblem::Unsteady),
                taut_store::Error::Sys(error) if error.path == at.path() => place.unreadable(error),
                error => of_store(error),
            })?;
        Ok(ObjectInfo { digest, object_type: type_of_file(is_executable) })
    }

    /// Sees to it that an object that a root knows is in the store, with all that is below it. Of a tree that is there,
    /// nothing is read.
    fn bring(&self, root: &dyn SourceRoot, object: &ObjectInfo) -> Result<(), Fail> {
        let has = |hash: &Hash, kind| self.store.contains(hash, kind).map_err(of_store);
        // A tree is looked at again once what is below it is there.
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
