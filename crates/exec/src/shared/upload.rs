//! Storing results, in a thread of its own: what gathered while it was busy goes in one batch.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use taut_digest::{Digest, Hash, ObjectInfo, ObjectType};
use taut_proto::{ActionResult, OutputDirectory, OutputFile, OutputSymlink};
use taut_service::{Blob, Error, wait};
use taut_value::{ActionDescription, Str};

use super::{
    CacheStep, Shared, StandardAction,
    in_chunks::SentFile,
    latest::{self, add_latest},
    packed::Packed,
    reads::Reads,
    standard::{Standard, to_wire},
};
use crate::{RunKey, RunResult, StopSwitch, message::rebased};

/// How many results go in one batch.
const MAX_BATCH: usize = 256;

/// How often it is checked whether the build was interrupted.
// Polled, since an interruption sets a flag and wakes nothing (`StopSwitch`).
const CHECK: Duration = Duration::from_millis(50);

/// A result to be stored.
struct Upload {
    action: Arc<ActionDescription>,
    inputs: Arc<[(Str, ObjectInfo)]>,
    described: StandardAction,
    ran: RunResult,
    reads: Option<Reads>,
}

pub(super) struct Uploads {
    shared: Arc<Shared>,
    stop: Arc<StopSwitch>,
    /// Where the thread takes results from; started with the first of them.
    queue: Mutex<Option<Sender<Upload>>>,
    open: Arc<PendingCount>,
}

/// How many results were added and not yet dealt with.
#[derive(Default)]
struct PendingCount {
    count: Mutex<usize>,
    is_zero: Condvar,
}

impl PendingCount {
    fn count(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Uploads {
    pub(super) fn new(shared: &Arc<Shared>, stop: &Arc<StopSwitch>) -> Uploads {
        Uploads { shared: shared.clone(), stop: stop.clone(), queue: Mutex::default(), open: Arc::default() }
    }

    pub(super) fn add(&self, key: &RunKey, described: StandardAction, ran: &RunResult, reads: Option<Reads>) {
        let (action, inputs) = (key.action.clone(), key.inputs.clone());
        let upload = Upload { action, inputs, described, ran: ran.clone(), reads };
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = match &*queue {
            Some(sender) => sender,
            None => {
                let (sender, receiver) = channel();
                let (shared, open, stop) = (self.shared.clone(), self.open.clone(), self.stop.clone());
                let thread = std::thread::Builder::new().name("uploads".to_owned());
                if let Err(error) = thread.spawn(move || upload_all(&shared, &open, &stop, &receiver)) {
                    let why = Error::Local(taut_sys::in_words(&error));
                    self.shared.note_failure(&why, CacheStep::Storing);
                    self.shared.refuses.store(true, Relaxed);
                    return;
                }
                queue.insert(sender)
            }
        };
        // Before it is sent: the thread may have stored it, and counted down, when `send` returns.
        *self.open.count() += 1;
        if sender.send(upload).is_err() {
            // The thread has ended, which it does only by a panic.
            *self.open.count() = 0;
        }
    }

    /// Waits until all are stored, or the build is interrupted.
    pub(super) fn finish(&self) {
        let mut count = self.open.count();
        while *count > 0 && !self.stop.is_interrupted() {
            let waited = self.open.is_zero.wait_timeout(count, CHECK);
            count = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Releases those that wait for the thread, however it ends.
struct ReleaseOnDrop<'o>(&'o PendingCount);

impl Drop for ReleaseOnDrop<'_> {
    fn drop(&mut self) {
        *self.0.count() = 0;
        self.0.is_zero.notify_all();
    }
}

fn upload_all(shared: &Shared, open: &PendingCount, stop: &StopSwitch, queue: &Receiver<Upload>) {
    let _ending = ReleaseOnDrop(open);
    let (mut sent, mut build) = (Sent::default(), None);
    let refuse = |error: &Error| {
        shared.note_failure(error, CacheStep::Storing);
        shared.refuses.store(true, Relaxed);
    };
    // Ends when the sender is dropped with `Uploads`.
    while let Ok(first) = queue.recv() {
        let now = shared.builds.load(Relaxed);
        if build.replace(now) != Some(now) {
            // Since the build before, the server may have lost what it had, or may be another one.
            sent = Sent::default();
            // Before anything is sent.
            let _ = wait(shared.service.results.takes_results()).inspect_err(refuse);
        }
        // Never waits for a batch to fill: what came while the last one was stored is the next one.
        let mut batch = vec![first];
        batch.extend(queue.try_iter().take(MAX_BATCH - 1));
        let count = batch.len();
        if !shared.refuses.load(Relaxed)
            && !stop.is_interrupted()
            && let Err(error) = upload(shared, &mut sent, batch)
        {
            refuse(&error);
        }
        let mut left = open.count();
        *left = left.saturating_sub(count);
        drop(left);
        open.is_zero.notify_all();
    }
}

/// What was sent in this build, so that it is neither asked for nor sent again.
#[derive(Default)]
struct Sent {
    /// Blobs that are there.
    present: HashSet<Digest>,
    /// Trees whose directories are all there, or were passed over.
    directories: HashSet<Hash>,
}

/// Stores some results. An error concerns all results to come; a single one that cannot be stored is passed over.
fn upload(shared: &Shared, sent: &mut Sent, batch: Vec<Upload>) -> Result<(), Error> {
    let Some(standard) = shared.standard() else { return Ok(()) };
    let local = |error: taut_store::Error| Error::Local(error.to_string());
    let mut packed = Vec::new();
    for upload in batch {
        packed.extend(pack(shared, standard, sent, upload).map_err(local)?);
    }
    add_latest(shared, &mut packed)?;
    let present = &mut sent.present;
    let blobs: HashMap<Digest, Blob> = (packed.iter().flat_map(|packed| &packed.blobs))
        .filter(|blob| !present.contains(&blob.digest))
        .map(|blob| (blob.digest, blob.clone()))
        .collect();
    if !blobs.is_empty() {
        // Asking costs a hash per blob, sending its bytes; most blobs are there from earlier builds.
        let missing = wait(shared.service.cas.missing(blobs.keys().copied().collect()))?;
        let put = missing.iter().filter_map(|digest| blobs.get(digest)).cloned().collect::<Vec<_>>();
        let asked: Vec<Digest> = put.iter().map(|blob| blob.digest).collect();
        let answers = if put.is_empty() { Vec::new() } else { wait(shared.service.cas.put(put))? };
        let (mut refused, mut failed) = (HashSet::new(), None);
        for (digest, answer) in asked.iter().zip(answers) {
            match answer {
                Ok(()) => drop(shared.sent.fetch_add(digest.size, Relaxed)),
                // An object of this side that was lost meanwhile: only what refers to it cannot be stored.
                Err(Error::Local(_)) => drop(refused.insert(*digest)),
                // A question that another failure prevented is not the reason.
                Err(error) if failed.is_none() || failed == Some(Error::Off) => failed = Some(error),
                Err(_) => {}
            }
        }
        // Only now, so that what was sent is counted all the same.
        if let Some(error) = failed {
            return Err(error);
        }
        // Only after all answers: a blob that a failed call may not have brought must be sent again.
        present.extend(blobs.into_keys().filter(|digest| !refused.contains(digest)));
    }
    // Blobs first, results last: a result that others find must have all its blobs. The results all at once; each
    // waits for its answer only then.
    let stored: Vec<_> = (packed.into_iter())
        .filter(|packed| packed.blobs.iter().all(|blob| present.contains(&blob.digest)))
        .map(|packed| {
            let results = packed.results.into_iter();
            results.map(|(key, result)| shared.service.results.store(key, result)).collect::<Vec<_>>()
        })
        .collect();
    for results in stored {
        for answer in results {
            wait(answer)?;
        }
        shared.stored.fetch_add(1, Relaxed);
    }
    Ok(())
}

/// A result in the standard form; `None` if it has none, or something of it is lost by now.
fn pack(
    shared: &Shared,
    standard: &Standard,
    sent: &mut Sent,
    upload: Upload,
) -> taut_store::Result<Option<Packed>> {
    match try_pack(shared, standard, sent, upload) {
        Err(taut_store::Error::Missing(_)) => Ok(None),
        other => other,
    }
}

fn try_pack(
    shared: &Shared,
    standard: &Standard,
    sent: &mut Sent,
    upload: Upload,
) -> taut_store::Result<Option<Packed>> {
    let Upload { action, inputs, described, ran, reads } = upload;
    let mut packed = Packed::default();
    let mut result = ActionResult::default();
    for (path, object) in &ran.outputs {
        let path = rebased(path, &action.cwd);
        match object.object_type {
            ObjectType::Tree => {
                let Some(tree) = standard.whole_tree(&object.digest.hash)? else { return Ok(None) };
                let files = tree.files.iter().map(|(file, digest)| blob(shared, standard, file, *digest));
                packed.blobs.extend(files);
                tree.directories.into_iter().for_each(|directory| _ = packed.add(directory));
                let tree_digest = Some(to_wire(&packed.add(tree.message)));
                result.output_directories.push(OutputDirectory { path, tree_digest });
            }
            ObjectType::Symlink => {
                let missing = taut_store::Error::Missing(*object);
                let target = shared.store.read(&object.digest.hash, ObjectType::Symlink)?.ok_or(missing)?;
                let Ok(target) = String::from_utf8(target) else { return Ok(None) };
                result.output_symlinks.push(OutputSymlink { path, target });
            }
            object_type => {
                let missing = taut_store::Error::Missing(*object);
                let digest = standard.names.of_blob(object)?.ok_or(missing)?;
                packed.blobs.push(blob(shared, standard, object, digest));
                let (digest, is_executable) = (Some(to_wire(&digest)), object_type == ObjectType::Executable);
                result.output_files.push(OutputFile { path, digest, is_executable });
            }
        }
    }
    for (stream, to) in [(&ran.stdout, &mut result.stdout_digest), (&ran.stderr, &mut result.stderr_digest)] {
        if let Some(digest) = stream {
            let object = ObjectInfo { digest: *digest, object_type: ObjectType::File };
            let digest = standard.names.of_blob(&object)?.ok_or(taut_store::Error::Missing(object))?;
            packed.blobs.push(blob(shared, standard, &object, digest));
            *to = Some(to_wire(&digest));
        }
    }
    let directories = standard.directories(&inputs, &mut sent.directories)?;
    directories.into_iter().for_each(|directory| _ = packed.add(directory));
    packed.latest.push(latest::of_action(&action, described.action));
    described.messages.into_iter().for_each(|message| _ = packed.add(message));
    if let Some(reads) = reads {
        reads.pack(&result, &mut packed);
    }
    // Last: by the time it is found, all that it refers to is there.
    packed.results.push((described.action, result));
    Ok(Some(packed))
}

fn blob(shared: &Shared, standard: &Standard, object: &ObjectInfo, digest: Digest) -> Blob {
    let (source, names) = (shared.store.source(object), standard.names.clone());
    Blob { digest, source: Arc::new(SentFile { source, names, hash: object.digest.hash }) }
}
