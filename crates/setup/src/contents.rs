//! Files by their ids: where they are looked for, and how they come into the store.
//!
//! The order is the reference's: the store, the git repositories of this build root, directories of archives, and only
//! then a server of objects, if there is one, and the network, there mirrors of this site first.
//!
//! A file that is not in the store yet is a private file of this call first: it has its id, and what is wanted of it is
//! looked at, before it is added. So an archive that cannot be unpacked never gets there, however the call ends.

use std::{
    fs,
    io::{self, Read, Seek as _},
    sync::PoisonError,
};

use taut_digest::{Hash, HashFunction, ObjectType};
use taut_fetch::{Cause, Expected, Request, without_password};
use taut_git::{Kind, Repository};
use taut_store::AddMode;
use taut_syntax::{Diagnostic, Location, quoted};
use taut_sys::{At, Named, if_exists};

use crate::{
    event::Event,
    private_copy::{Origin, PrivateCopy},
    problem::Problem,
    server::object,
    session::Session,
    source::Content,
};

/// The repository that a content is for, and where the description says so.
#[derive(Clone, Debug)]
pub(crate) struct ContentRequest<'w> {
    /// The repository.
    pub(crate) repository: &'w str,
    /// The one whose root is being made: another one if that is of archives of others.
    pub(crate) root_of: &'w str,
    /// The place of what it is made from.
    pub(crate) place: Location,
    /// The place of its URL.
    pub(crate) url: Location,
    /// The place of the directory that its root is.
    pub(crate) subdir: Location,
    /// The id of the distdir that it is for, which the reference names in place of the content.
    pub(crate) distdir: Option<String>,
}

/// The names of what was copied here, and of what was downloaded.
const COPY: &str = "copy";
const DOWNLOAD: &str = "download";

/// What has to succeed with a file, which has its id, before it is added to the store.
pub(crate) type Inspect<'i> = dyn FnMut(&mut fs::File, &Origin) -> Result<(), Problem> + 'i;

impl Session<'_> {
    /// Gets a file into the store, if it is not there.
    ///
    /// # Errors
    /// It is nowhere, with everything that was tried.
    pub(crate) fn ensure(&self, content: &Content, wanted: &ContentRequest<'_>) -> Result<(), Problem> {
        self.ensure_inspected(content, wanted, &mut |_, _| Ok(()))
    }

    /// The same, if an inspection of the file succeeds. There is none of what was in the store before, or comes from a
    /// server of objects, whose way leads through the store.
    ///
    /// # Errors
    /// It is nowhere, or the inspection failed.
    pub(crate) fn ensure_inspected(
        &self,
        content: &Content,
        wanted: &ContentRequest<'_>,
        inspect: &mut Inspect<'_>,
    ) -> Result<(), Problem> {
        self.alone_with(&content.id, || match self.ensure_alone(content, wanted, inspect)? {
            Fetched::Done => Ok(()),
            // Others may know another URL, or another name in directories of archives.
            Fetched::Failed(problem) => {
                for other in self.described_otherwise(content) {
                    if let Fetched::Done = self.ensure_alone(&other, wanted, inspect)? {
                        return Ok(());
                    }
                }
                Err(problem)
            }
        })
    }

    /// Whether a file is in the store, in a git repository of the build root or in a directory of archives; then it is
    /// in the store afterwards, if its inspection succeeds.
    pub(crate) fn has_locally(
        &self,
        content: &Content,
        wanted: &ContentRequest<'_>,
        inspect: &mut Inspect<'_>,
    ) -> Result<Local, Problem> {
        let failed = |error: taut_store::Error| broken(wanted, error.to_string());
        if self.store.contains(&content.id, ObjectType::File).map_err(failed)? {
            return Ok(Local::Found);
        }
        if let Some(copy) = self.take_unusable(&content.id) {
            self.add(copy, content, wanted, inspect)?;
            return Ok(Local::Found);
        }
        if let Some(blob) = self.blob_of_git(&content.id)
            && let Some(copy) =
                self.copy_of(&mut &blob[..], blob.len() as u64, Origin::Earlier, content, wanted)?
        {
            self.add(copy, content, wanted, inspect)?;
            return Ok(Local::Found);
        }
        self.in_distdirs(content, wanted, inspect)
    }

    fn ensure_alone(
        &self,
        content: &Content,
        wanted: &ContentRequest<'_>,
        inspect: &mut Inspect<'_>,
    ) -> Result<Fetched, Problem> {
        // Also after waiting for the lock: another thread may have fetched the same content meanwhile.
        let other = match self.has_locally(content, wanted, inspect)? {
            Local::Found => return Ok(Fetched::Done),
            Local::Absent { other } => other,
        };
        if self.taken_from_server(&object(content.id, ObjectType::File), wanted) {
            return Ok(Fetched::Done);
        }
        let failed = |error: taut_store::Error| broken(wanted, error.to_string());
        let client = self.client().map_err(|cause| broken(wanted, cause.to_string()))?;
        let urls = self.options.locations.order(&content.fetch, &content.mirrors);
        let expected = Expected {
            blob: Some(content.id),
            sha256: content.sha256.clone(),
            sha512: content.sha512.clone(),
        };
        let directory = self.scratch("fetch").map_err(failed)?;
        let progress = self.progress_of(wanted.repository, wanted.root_of);
        let checksums = [&expected.sha256, &expected.sha512].map(|sum| sum.clone().unwrap_or_default());
        let what = (content.id, vec![urls.clone(), checksums.to_vec()]);
        let request = Request { urls: &urls, expected: &expected };
        let mut download = match self.unless_failed(what, || client.fetch(&request, &directory, &progress)) {
            Ok(download) => download,
            Err(error) => return Ok(Fetched::Failed(not_fetched(content, wanted, &error, &other))),
        };
        let (from, bytes) = (without_password(&download.url), download.size);
        self.observer.event(Event::Fetched { repository: wanted.repository, from: &from, bytes });
        // Its own handle, since the download has the file under another name.
        let file = download.file().and_then(|file| file.try_clone());
        let file = file.map_err(|error| broken(wanted, error.to_string()))?;
        let renamed = download.at().rename(directory.at(DOWNLOAD));
        renamed.map_err(|error| broken(wanted, error.to_string()))?;
        drop(download);
        let copy = PrivateCopy { directory, name: DOWNLOAD, file, origin: Origin::Url(from) };
        self.add(copy, content, wanted, inspect).map(|()| Fetched::Done)
    }

    /// A file that could not be used for what another repository wanted of it.
    fn take_unusable(&self, id: &Hash) -> Option<PrivateCopy> {
        self.unusable.lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    /// Adds a private file to the store, if its inspection succeeds.
    fn add(
        &self,
        mut copy: PrivateCopy,
        content: &Content,
        wanted: &ContentRequest<'_>,
        inspect: &mut Inspect<'_>,
    ) -> Result<(), Problem> {
        copy.file.rewind().map_err(|error| broken(wanted, error.to_string()))?;
        let inspected = inspect(&mut copy.file, &copy.origin);
        // The reference adds a file before it looks at it, and its messages have the path.
        if inspected.is_err() && !self.options.keeps_unusable {
            // Until the end of the set-up: others may want the same, and it is not fetched for each of them.
            let mut unusable = self.unusable.lock().unwrap_or_else(PoisonError::into_inner);
            unusable.insert(content.id, copy);
            return inspected;
        }
        // The store hashes it again: what it has is what its name says.
        // Moved, since the private copy has no other use: no second copy of a large archive.
        let added = self.store.put_file(copy.directory.at(copy.name), false, AddMode::Move);
        let digest = added.map_err(|error| broken(wanted, error.to_string()))?;
        // It has a name, by which another process could have changed it.
        if digest.hash != content.id {
            return Err(broken(wanted, "the file changed after it was verified".to_owned()));
        }
        inspected
    }

    /// A private copy of a file that has the id; `None` if it is another file.
    fn copy_of(
        &self,
        source: &mut dyn Read,
        size: u64,
        origin: Origin,
        content: &Content,
        wanted: &ContentRequest<'_>,
    ) -> Result<Option<PrivateCopy>, Problem> {
        let failed = |why: String| broken(wanted, why);
        let directory = self.scratch("fetch").map_err(|error| failed(error.to_string()))?;
        // 0600: no other user reads it before it is verified.
        let created = directory.at(COPY).create_new_for_update(0o600);
        let mut file = created.map_err(|error| failed(error.to_string()))?;
        // Git's hash begins with the size, so a file that grows or shrinks while it is read gets another id, and is
        // not taken.
        let mut hasher = HashFunction::GitSha1.blob_hasher(size);
        let (mut left, mut buffer) = (size, vec![0; 1 << 17]);
        loop {
            let piece = match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => &buffer[..read],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(failed(format!("{} cannot be read: {error}", quoted(&content.distfile))));
                }
            };
            // One that has grown has another id, which begins with the size.
            let Some(rest) = left.checked_sub(piece.len() as u64) else { return Ok(None) };
            left = rest;
            hasher.update(piece);
            file.write_all(piece).map_err(|error| failed(error.to_string()))?;
        }
        if left > 0 || hasher.finish() != content.id {
            return Ok(None);
        }
        let file = file.into_std();
        Ok(Some(PrivateCopy { directory, name: COPY, file, origin }))
    }

    /// A blob of the git repositories of the build root.
    fn blob_of_git(&self, id: &Hash) -> Option<Vec<u8>> {
        let blob = |repository: &Repository| {
            // A damaged repository is not a reason to fail: the content can be had elsewhere.
            let object = repository.read(id).ok().flatten()?;
            (object.kind == Kind::Blob).then_some(object.content)
        };
        let youngest = self.cache.has_git().then(|| Repository::new(self.cache.git()));
        let older = self.cache.older().map(|(_, path)| Repository::new(path));
        youngest.into_iter().chain(older).find_map(|repository| blob(&repository))
    }

    /// Looks for a file in the directories of archives. `other`: files of its name that have other content.
    fn in_distdirs(
        &self,
        content: &Content,
        wanted: &ContentRequest<'_>,
        inspect: &mut Inspect<'_>,
    ) -> Result<Local, Problem> {
        let mut other = Vec::new();
        // No file has such a name, and the system call would fail with an error that explains nothing.
        if content.distfile.is_empty() || content.distfile.contains('\0') {
            return Ok(Local::Absent { other });
        }
        for directory in &self.options.distdirs {
            let path = directory.join(&content.distfile);
            // A directory of archives that does not exist or cannot be read is one without the file.
            let Ok(named) = Named::of_user(&path) else { continue };
            let at = named.at();
            match hash_of(at) {
                // By content, not by name: names of archives say little, and a directory of archives is filled by
                // hand.
                Ok(Some(hash)) if hash == content.id => {}
                Ok(Some(_)) => {
                    other.push(format!("{} has other content", path.display()));
                    continue;
                }
                Ok(None) => continue,
                Err(error) => {
                    other.push(error.to_string());
                    continue;
                }
            }
            // A copy: the file belongs to the user, and may be changed in place later.
            let opened = at.open_followed().and_then(|file| Ok((file.stat()?.size(), file.into_std())));
            let (size, mut file) = opened.map_err(|error| broken(wanted, error.to_string()))?;
            let origin = Origin::Distdir(path.clone());
            if let Some(copy) = self.copy_of(&mut file, size, origin, content, wanted)? {
                let from = path.to_string_lossy();
                self.observer.event(Event::Fetched {
                    repository: wanted.repository,
                    from: &from,
                    bytes: size,
                });
                self.add(copy, content, wanted, inspect)?;
                return Ok(Local::Found);
            }
            other.push(format!("{} changed while it was read", path.display()));
        }
        Ok(Local::Absent { other })
    }
}

/// What became of a content that is wanted.
enum Fetched {
    /// It is in the store.
    Done,
    /// It is not here, and no URL has it.
    Failed(Problem),
}

/// Whether a content is on this machine.
pub(crate) enum Local {
    /// It is in the store now.
    Found,
    /// It is not.
    Absent {
        /// What was found in its place.
        other: Vec<String>,
    },
}

/// The id of the file at a place; `None` if it does not exist.
pub(crate) fn hash_of(at: At<'_>) -> taut_sys::Result<Option<Hash>> {
    let Some(file) = if_exists(at.open_followed())? else { return Ok(None) };
    // The size of the open file: the name may lead to another file by now.
    let size = file.stat()?.size();
    let mut hasher = HashFunction::GitSha1.blob_hasher(size);
    let (mut file, mut buffer) = (file.into_std(), vec![0; 1 << 17]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Some(hasher.finish())),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(taut_sys::Error::new("read", &at.path(), error)),
        }
    }
}

/// An error that the description is not the cause of.
pub(crate) fn broken(wanted: &ContentRequest<'_>, why: String) -> Problem {
    let message = format!("repository {} cannot be set up: {why}", quoted(wanted.repository));
    Diagnostic::error(message).reference(why).at(wanted.place.clone()).into()
}

/// What was tried at a URL, for a note.
pub(crate) fn note_of(tried: &taut_fetch::TriedUrl) -> String {
    let times = match tried.attempts {
        1 => String::new(),
        times => format!(" (tried {times} times)"),
    };
    format!("{}: {}{times}", tried.url, tried.cause)
}

/// The reference's words if what came from a URL has another hash. It tries no further URL then, and names the first.
fn found_other(content: &Content, cause: &Cause) -> Option<String> {
    let Cause::Mismatch { hash, expected, actual } = cause else { return None };
    let url = without_password(&content.fetch);
    Some(match *hash {
        "SHA-256" => format!("SHA256 mismatch for {url}: expected {expected}, got {actual}"),
        "SHA-512" => format!("SHA512 mismatch for {url}: expected {expected}, got {actual}"),
        _ => format!("Content {} was not found at given fetch location {url}", content.id.to_hex()),
    })
}

fn not_fetched(
    content: &Content,
    wanted: &ContentRequest<'_>,
    error: &taut_fetch::Error,
    other: &[String],
) -> Problem {
    let id = content.id.to_hex();
    let mut problem = Diagnostic::error(format!(
        "{} for repository {} cannot be fetched",
        quoted(&content.distfile),
        quoted(wanted.repository)
    ))
    .at(wanted.url.clone());
    let mut reference = format!("Failed to fetch a file with id {id} from provided remotes:");
    for tried in &error.tried {
        problem = problem.note(note_of(tried));
        reference.push_str(&format!("\n> {}", tried.url));
    }
    if let Some(found_other) = error.tried.iter().find_map(|tried| found_other(content, &tried.cause)) {
        reference = found_other;
    }
    for other in other {
        problem = problem.note(other.clone());
    }
    problem = problem.note(format!(
        "it was looked for by its id {id} in the store, and by its name {} in {}",
        quoted(&content.distfile),
        "the directories of archives (--distdir)"
    ));
    let step = match &wanted.distdir {
        Some(distdir) => format!("While fetching archives for distdir content {distdir}:"),
        None => format!("While ensuring content {id} is in CAS:"),
    };
    problem.reference(reference).below(&step).into()
}
