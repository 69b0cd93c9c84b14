//! A result from a shared cache: checked, fetched as a whole, and stored as if the action had run here.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use taut_digest::{Digest, Hash, ObjectInfo, ObjectType, TreeEntry};
use taut_proto::{self as proto, ActionResult};
use taut_service::{Buffer, Error, Receiver};
use taut_store::Result;
use taut_value::path::is_non_upwards;
use taut_value::{ActionDescription, Str};

use super::{
    CacheStep, Shared,
    in_chunks::ReceivedFile,
    message::NoResult,
    received_tree::ReceivedTree,
    standard::{Node, Standard, from_wire},
    total,
};
use crate::{Execution, ResultSource, RunKey, RunResult, Step, message::rebased};

/// No directory is described by more bytes.
const MAX_TREE_BYTES: u64 = 256 << 20;

/// The outputs of an action as a result has them. A [`Node::Directory`] is named by its `Tree` message.
type Outputs = BTreeMap<Str, Node>;

/// The objects of files, with the executable bit or without.
type Files = HashMap<(Digest, bool), ObjectInfo>;

impl Shared {
    /// The result of an action under a key, with everything in the store; else what the cache answered, if it did.
    pub(super) async fn result(
        &self,
        execution: &Execution,
        run: &RunKey,
        key: &Digest,
    ) -> Result<std::result::Result<RunResult, Option<NoResult>>> {
        Ok(match self.service.results.look_up(*key).await {
            Ok(Some(result)) => {
                execution.events.remote(&run.id, &run.action, &self.name, Step::Downloading);
                let begin = Instant::now();
                let ran = self.fetched(&run.action, &result).await?;
                let (had_by, downloading) = (Some(self.name.clone()), begin.elapsed());
                ran.map(|ran| RunResult { had_by, downloading, ..ran }).ok_or(Some(NoResult::Incomplete))
            }
            Ok(None) => Err(Some(NoResult::Unknown)),
            Err(error) => {
                self.note_failure(&error, CacheStep::LookUp);
                Err(None)
            }
        })
    }

    async fn fetched(&self, action: &ActionDescription, result: &ActionResult) -> Result<Option<RunResult>> {
        let Some(standard) = self.standard() else { return Ok(None) };
        // Checked before anything is fetched: a result that does not fit costs no transfer.
        let Some(outputs) = outputs_of(action, result) else { return Ok(None) };
        let streams = [&result.stdout_digest, &result.stderr_digest];
        let Some(streams) = streams.map(stream_of).into_iter().collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        // Trees first, since only they say which files are needed.
        let Some(trees) = self.trees(&outputs).await else { return Ok(None) };
        let files = outputs.values().filter_map(|node| match node {
            Node::File { digest, executable } => Some((*digest, *executable)),
            _ => None,
        });
        let files = files.chain(trees.values().flat_map(ReceivedTree::files));
        let files = files.chain(streams.iter().flatten().map(|digest| (*digest, false)));
        let Some((files, bytes)) = self.files(standard, files).await? else { return Ok(None) };
        let mut ran =
            RunResult { taken_from: ResultSource::RemoteCache, fetched_bytes: bytes, ..RunResult::default() };
        for (path, node) in outputs {
            let object = match node {
                // After all files: a tree may be in the store only with everything below it.
                Node::Directory(digest) => self.put_tree(&trees[&digest], &files)?,
                node => self.entry(&node, &files)?,
            };
            ran.outputs.insert(path, object);
        }
        let raw = [&result.stdout_raw, &result.stderr_raw];
        for ((stream, raw), to) in streams.iter().zip(raw).zip([&mut ran.stdout, &mut ran.stderr]) {
            *to = match stream {
                Some(digest) => files.get(&(*digest, false)).map(|object| object.digest),
                None if raw.is_empty() => None,
                None => Some(self.store.put_blob(raw, false)?),
            };
        }
        Ok(Some(ran))
    }

    /// The directories among the outputs, by the digest of their message; `None` if one is of no use.
    async fn trees(&self, outputs: &Outputs) -> Option<HashMap<Digest, ReceivedTree>> {
        let mut wanted: HashMap<Digest, Arc<Buffer>> = HashMap::new();
        for node in outputs.values() {
            if let Node::Directory(digest) = node {
                if digest.size > MAX_TREE_BYTES {
                    return None;
                }
                wanted.entry(*digest).or_default();
            }
        }
        let receivers = wanted.iter().map(|(digest, buffer)| (*digest, buffer.clone() as Arc<dyn Receiver>));
        self.get(receivers.collect()).await?;
        wanted
            .into_iter()
            .map(|(digest, buffer)| Some((digest, ReceivedTree::parse(&buffer.take()).ok()?)))
            .collect()
    }

    /// Brings files into the store; `None` if one cannot be had. Returns also how many bytes came.
    async fn files(
        &self,
        standard: &Standard,
        files: impl Iterator<Item = (Digest, bool)>,
    ) -> Result<Option<(Files, u64)>> {
        let (mut here, mut incoming) = (Files::new(), HashMap::new());
        for (digest, executable) in files {
            let key = (digest, executable);
            if here.contains_key(&key) || incoming.contains_key(&key) {
                continue;
            }
            // It may be here from another action, or another build.
            // With the bit: the store keeps executable and plain files apart.
            match standard.names.blob(&digest, executable)? {
                Some(object) => drop(here.insert(key, object)),
                None => {
                    let file = self.store.incoming(digest.size, executable);
                    incoming.insert(key, Arc::new(ReceivedFile::new(file, &standard.names)));
                }
            }
        }
        let receivers = incoming.iter().map(|((digest, _), to)| (*digest, to.clone() as Arc<dyn Receiver>));
        if self.get(receivers.collect()).await.is_none() {
            return Ok(None);
        }
        let bytes = total(incoming.keys().map(|(digest, _)| *digest));
        for (key @ (digest, executable), incoming) in incoming {
            let Some(object) = incoming.finish()? else { return Ok(None) };
            let object_type = if executable { ObjectType::Executable } else { ObjectType::File };
            let object = ObjectInfo { digest: object, object_type };
            standard.names.add(&object, digest);
            here.insert(key, object);
        }
        Ok(Some((here, bytes)))
    }

    /// Gets blobs; `None` if not all of them can be had.
    pub(super) async fn get(&self, wanted: Vec<(Digest, Arc<dyn Receiver>)>) -> Option<()> {
        if wanted.is_empty() {
            return Some(());
        }
        let bytes = total(wanted.iter().map(|(digest, _)| *digest));
        let answers = match self.service.cas.get(wanted).await {
            Ok(answers) => answers,
            // A call that failed as a whole is one problem, not one for each blob.
            Err(error) => vec![Err(error)],
        };
        let failures: Vec<&Error> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
        failures.iter().for_each(|error| self.note_failure(error, CacheStep::LookUp));
        if failures.is_empty() {
            self.fetched.fetch_add(bytes, Relaxed);
        }
        failures.is_empty().then_some(())
    }

    /// The object of a file or link.
    fn entry(&self, node: &Node, files: &Files) -> Result<ObjectInfo> {
        Ok(match node {
            Node::File { digest, executable } => files[&(*digest, *executable)],
            Node::Link(target) => {
                let digest = self.store.put_blob(target.as_bytes(), false)?;
                ObjectInfo { digest, object_type: ObjectType::Symlink }
            }
            Node::Directory(_) => unreachable!("directories are made from those in them"),
        })
    }

    /// Stores the directories of a tree, each after those in it.
    fn put_tree(&self, tree: &ReceivedTree, files: &Files) -> Result<ObjectInfo> {
        let mut stored: HashMap<Hash, Digest> = HashMap::new();
        let mut last = None;
        for (name, nodes) in &tree.directories {
            let mut entries: BTreeMap<&str, TreeEntry> = BTreeMap::new();
            for (name, node) in nodes {
                let entry = match node {
                    Node::Directory(below) => {
                        TreeEntry { hash: stored[&below.hash].hash, object_type: ObjectType::Tree }
                    }
                    node => {
                        let object = self.entry(node, files)?;
                        TreeEntry { hash: object.digest.hash, object_type: object.object_type }
                    }
                };
                entries.insert(name, entry);
            }
            let digest = self.store.put_tree(&entries)?;
            stored.insert(*name, digest);
            last = Some(digest);
        }
        // The one at the top comes last, and there always is one.
        let digest = last.expect("a tree has a directory");
        Ok(ObjectInfo { digest, object_type: ObjectType::Tree })
    }
}

/// The digest of a stream; `Some(None)` if it is empty, `None` if it is malformed.
fn stream_of(digest: &Option<proto::Digest>) -> Option<Option<Digest>> {
    match digest {
        None => Some(None),
        Some(digest) => Some(Some(from_wire(digest)?).filter(|digest| digest.size > 0)),
    }
}

/// The outputs of an action from its result; `None` if it did not succeed, or does not have all of them in a form that
/// a local action could have left.
fn outputs_of(action: &ActionDescription, result: &ActionResult) -> Option<Outputs> {
    if result.exit_code != 0 {
        return None;
    }
    let mut found: HashMap<&str, Node> = HashMap::new();
    for file in &result.output_files {
        let digest = from_wire(file.digest.as_ref()?)?;
        found.insert(&file.path, Node::File { digest, executable: file.is_executable });
    }
    for directory in &result.output_directories {
        found.insert(&directory.path, Node::Directory(from_wire(directory.tree_digest.as_ref()?)?));
    }
    let links = result.output_symlinks.iter().chain(&result.output_file_symlinks);
    for link in links.chain(&result.output_directory_symlinks) {
        if !is_non_upwards(&link.target) {
            return None;
        }
        found.insert(&link.path, Node::Link(link.target.clone()));
    }
    let mut outputs = Outputs::new();
    for (paths, is_directory) in [(&action.outs, false), (&action.out_dirs, true)] {
        for path in paths {
            let node = found.get(rebased(path, &action.cwd).as_str())?;
            match (node, is_directory) {
                (Node::File { .. }, false) | (Node::Directory(_), true) | (Node::Link(_), _) => {
                    outputs.insert(path.clone(), node.clone());
                }
                _ => return None,
            }
        }
    }
    Some(outputs)
}
