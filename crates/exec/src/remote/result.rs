//! The result of an execution by a server, as that of a run: outputs are noted, not fetched; but each is checked to be
//! there, to be of the right kind, and where it belongs.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use taut_digest::{Digest, Hash, HashFunction, ObjectInfo, ObjectType, TreeEntry};
use taut_engine::Fail;
use taut_proto::{ActionResult, OutputSymlink};
use taut_service::{Buffer, Error, Executed, Receiver};
use taut_store::Result;
use taut_value::{Str, path::is_non_upwards};

use super::Transfers;
use crate::{
    ActualEntry, MissingOutput, RunKey, RunResult,
    message::rebased,
    shared::{ReceivedTree, TreeFault, standard::Node},
};

/// No directory is described by more bytes.
// It is decoded in memory; a quarter of a gibibyte is some millions of entries.
const MAX_TREE_BYTES: u64 = 256 << 20;

/// What is at the path of an output.
enum Output {
    File(ObjectInfo),
    /// In native mode the tree itself, else a `Tree` message.
    Directory(Digest),
    Link(String),
}

/// The outputs that a result has.
struct ResultOutputs {
    outputs: HashMap<String, Output>,
    /// Everything that has to be at the server besides what is in directories.
    objects: Vec<ObjectInfo>,
}

/// In compatible mode, the directories among outputs, by the digest of their message; or what is wrong with them.
type Trees = HashMap<Digest, std::result::Result<ReceivedTree, TreeFault>>;

fn of_file(digest: Digest) -> ObjectInfo {
    ObjectInfo { digest, object_type: ObjectType::File }
}

impl Transfers {
    /// The result as that of a run; `None` if something of it is not at the server, or it is malformed.
    pub(super) async fn taken(
        &self,
        server: usize,
        key: &RunKey,
        executed: &Executed,
    ) -> std::result::Result<Option<RunResult>, Fail> {
        let in_store = |error| self.failed_in_store(error);
        let result = &executed.result;
        let store = &self.store;
        // A malformed result counts as none: the action is executed once more without the server's cache.
        let Some(found) = self.found(result) else { return Ok(None) };
        let begin = Instant::now();
        let Some((trees, fetched_bytes)) = self.trees(server, &found).await? else { return Ok(None) };
        let downloading = if fetched_bytes > 0 { begin.elapsed() } else { Duration::ZERO };
        let mut objects = found.objects;
        for tree in trees.values().flatten() {
            objects.extend(tree.files().map(|(digest, executable)| ObjectInfo {
                digest,
                object_type: if executable { ObjectType::Executable } else { ObjectType::File },
            }));
        }
        // Of an action that was just executed the outputs are there; asking for them would cost a call per action.
        if executed.was_cached && !self.are_there(server, &objects).await? {
            return Ok(None);
        }
        store.note_at_server(server, true, objects);
        let streams =
            [(&result.stdout_digest, &result.stdout_raw), (&result.stderr_digest, &result.stderr_raw)];
        let mut digests = [None, None];
        for ((digest, raw), to) in streams.into_iter().zip(&mut digests) {
            *to = match digest.as_ref().and_then(|digest| store.from_wire(digest)) {
                Some(digest) if digest.size > 0 => Some(digest),
                // Servers may send short output inside of the message (`stdout_raw`), then without a digest.
                _ if raw.is_empty() => None,
                _ => Some(store.put_blob(raw, false).map_err(in_store)?),
            };
        }
        let [stdout, stderr] = digests;
        let executed_by = Some(self.worker(server, result));
        let (exit_code, timed_out) = (result.exit_code, executed.timed_out);
        let metadata = result.execution_metadata.clone().unwrap_or_default();
        let duration = between(&metadata.execution_started, &metadata.execution_completed);
        // Of another execution, if the result was known.
        let queued = between(&metadata.queued, &metadata.worker_start).filter(|_| !executed.was_cached);
        let (duration, queued) = (duration.unwrap_or_default(), queued.unwrap_or_default());
        let mut ran = RunResult {
            exit_code,
            timed_out,
            stdout,
            stderr,
            executed_by,
            at_server: key.depfile.is_some().then(|| Arc::new(result.clone())),
            fetched_bytes,
            downloading,
            duration,
            queued,
            ..RunResult::default()
        };
        if timed_out && ran.exit_code == 0 {
            ran.exit_code = 1;
        }
        self.add_outputs(key, &found.outputs, &trees, &mut ran).map_err(in_store)?;
        if ran.exit_code != 0 && key.action.may_fail.is_none() {
            // As for local actions: it may have stopped before it wrote them.
            ran.missing.clear();
            ran.invalid.clear();
        }
        Ok(Some(ran))
    }

    /// The outputs by path; `None` if a digest is malformed.
    fn found(&self, result: &ActionResult) -> Option<ResultOutputs> {
        let store = &self.store;
        let (mut outputs, mut objects) = (HashMap::new(), Vec::new());
        for file in &result.output_files {
            let object_type = if file.is_executable { ObjectType::Executable } else { ObjectType::File };
            let object = ObjectInfo { digest: store.from_wire(file.digest.as_ref()?)?, object_type };
            objects.push(object);
            outputs.insert(file.path.clone(), Output::File(object));
        }
        for directory in &result.output_directories {
            let digest = store.from_wire(directory.tree_digest.as_ref()?)?;
            if store.hash_function() == HashFunction::GitSha1 {
                objects.push(ObjectInfo { digest, object_type: ObjectType::Tree });
            }
            outputs.insert(directory.path.clone(), Output::Directory(digest));
        }
        // The first field replaces the two others since version 2.1; servers fill either or all.
        let links = result.output_symlinks.iter().chain(&result.output_file_symlinks);
        for OutputSymlink { path, target } in links.chain(&result.output_directory_symlinks) {
            outputs.insert(path.clone(), Output::Link(target.clone()));
        }
        for digest in [&result.stdout_digest, &result.stderr_digest].into_iter().flatten() {
            let digest = store.from_wire(digest)?;
            objects.extend((digest.size > 0).then(|| of_file(digest)));
        }
        Some(ResultOutputs { outputs, objects })
    }

    /// In compatible mode, the directories among the outputs, by the digest of their message; and how many bytes these
    /// have.
    async fn trees(
        &self,
        server: usize,
        found: &ResultOutputs,
    ) -> std::result::Result<Option<(Trees, u64)>, Fail> {
        let mut trees = Trees::new();
        let mut wanted: HashMap<Digest, Arc<Buffer>> = HashMap::new();
        if self.store.hash_function() == HashFunction::Sha256 {
            for output in found.outputs.values() {
                if let Output::Directory(digest) = output {
                    if digest.size > MAX_TREE_BYTES {
                        trees.insert(*digest, Err(TreeFault::TooLarge));
                        continue;
                    }
                    wanted.entry(*digest).or_default();
                }
            }
        }
        if wanted.is_empty() {
            return Ok(Some((trees, 0)));
        }
        let receivers = wanted.iter().map(|(digest, buffer)| (*digest, buffer.clone() as Arc<dyn Receiver>));
        let answers = self.endpoints[server].cas.get(receivers.collect()).await;
        for answer in answers.map_err(|error| self.failed(server, error))? {
            match answer {
                Err(Error::NotFound(_) | Error::Corrupt(_)) => return Ok(None),
                answer => answer.map_err(|error| self.failed(server, error))?,
            }
        }
        let bytes = wanted.keys().map(|digest| digest.size).sum();
        self.store.count_fetched(bytes);
        let received = wanted.into_iter();
        trees.extend(received.map(|(digest, buffer)| (digest, ReceivedTree::parse(&buffer.take()))));
        Ok(Some((trees, bytes)))
    }

    /// Whether objects of a known result are still at the server.
    async fn are_there(&self, server: usize, objects: &[ObjectInfo]) -> std::result::Result<bool, Fail> {
        let store = &self.store;
        if objects.iter().any(|object| store.is_incomplete(server, object)) {
            return Ok(false);
        }
        // A set, since many outputs may have equal contents.
        let asked: HashSet<Digest> = (objects.iter())
            .filter(|object| !store.is_checked(server, object))
            .map(|object| store.name_at_servers(&object.digest, object.object_type == ObjectType::Tree))
            .collect();
        if asked.is_empty() {
            return Ok(true);
        }
        let missing = self.endpoints[server].cas.missing(asked.into_iter().collect()).await;
        let missing: HashSet<Digest> =
            missing.map_err(|error| self.failed(server, error))?.into_iter().collect();
        let gone: Vec<ObjectInfo> = (objects.iter().copied())
            .filter(|object| {
                let is_tree = object.object_type == ObjectType::Tree;
                missing.contains(&store.name_at_servers(&object.digest, is_tree))
            })
            .collect();
        let is_complete = gone.is_empty();
        if !is_complete {
            store.forget_at_server(server, gone);
        }
        Ok(is_complete)
    }

    /// Adds the outputs that the action declares, or what is wrong with them.
    fn add_outputs(
        &self,
        key: &RunKey,
        found: &HashMap<String, Output>,
        trees: &Trees,
        ran: &mut RunResult,
    ) -> Result<()> {
        let action = &key.action;
        let outs = action.outs.iter().map(|path| (path, false));
        for (path, is_directory) in outs.chain(action.out_dirs.iter().map(|path| (path, true))) {
            let instead = match (found.get(&rebased(path, &action.cwd)), is_directory) {
                (Some(Output::File(object)), false) => {
                    self.add(path, *object, ran);
                    continue;
                }
                (Some(Output::Directory(digest)), true) => {
                    match trees.get(digest) {
                        None => {
                            let object = ObjectInfo { digest: *digest, object_type: ObjectType::Tree };
                            self.add(path, object, ran);
                        }
                        Some(Ok(tree)) => {
                            let object = self.directory(tree)?;
                            self.add(path, object, ran);
                        }
                        Some(Err(fault)) => {
                            // Trees in messages are the standard protocol's.
                            match fault {
                                TreeFault::Outwards { .. } => ran.leads_outwards = true,
                                _ => {
                                    let what = "found invalid output directory";
                                    ran.not_collected.get_or_insert((path.clone(), what, true));
                                }
                            }
                            ran.invalid.push(fault.at(path));
                        }
                    }
                    continue;
                }
                (Some(Output::Link(target)), _) if is_non_upwards(target) => {
                    let digest = self.store.put_blob(target.as_bytes(), false)?;
                    self.add(path, ObjectInfo { digest, object_type: ObjectType::Symlink }, ran);
                    continue;
                }
                (Some(Output::Link(target)), _) => {
                    if self.store.hash_function() == HashFunction::Sha256 {
                        ran.leads_outwards = true;
                    } else {
                        let what = "found invalid symlink";
                        ran.not_collected.get_or_insert((path.clone(), what, is_directory));
                    }
                    ran.invalid
                        .push(format!("found invalid symlink at {path}: it leads outwards, to {target}"));
                    continue;
                }
                // As for local actions: what was read is not known, and nothing else is wrong.
                (None, false) if key.depfile.as_ref() == Some(path) => {
                    let digest = self.store.put_blob(b"", false)?;
                    self.add(path, of_file(digest), ran);
                    continue;
                }
                (Some(Output::Directory(_)), false) => ActualEntry::Directory,
                (Some(Output::File(_)), true) => ActualEntry::File,
                (None, _) => ActualEntry::Nothing { similar: Vec::new() },
            };
            ran.missing.push(MissingOutput { path: path.clone(), found: instead });
        }
        Ok(())
    }

    fn add(&self, path: &Str, object: ObjectInfo, ran: &mut RunResult) {
        if ran.is_complete() {
            ran.outputs.insert(path.clone(), object);
        }
    }

    /// An output directory as a tree.
    fn directory(&self, tree: &ReceivedTree) -> Result<ObjectInfo> {
        let store = &self.store;
        let mut stored: HashMap<Hash, Digest> = HashMap::new();
        let mut last = None;
        for (name, nodes) in &tree.directories {
            let mut entries: BTreeMap<&str, TreeEntry> = BTreeMap::new();
            for (name, node) in nodes {
                let (hash, object_type) = match node {
                    Node::Directory(below) => (stored[&below.hash].hash, ObjectType::Tree),
                    Node::File { digest, executable: true } => (digest.hash, ObjectType::Executable),
                    Node::File { digest, executable: false } => (digest.hash, ObjectType::File),
                    Node::Link(target) => {
                        (store.put_blob(target.as_bytes(), false)?.hash, ObjectType::Symlink)
                    }
                };
                entries.insert(name, TreeEntry { hash, object_type });
            }
            let digest = store.put_tree(&entries)?;
            stored.insert(*name, digest);
            last = Some(digest);
        }
        // The one at the top comes last, and there always is one.
        let digest = last.expect("a tree has a directory");
        Ok(ObjectInfo { digest, object_type: ObjectType::Tree })
    }

    /// How messages name what executed an action.
    fn worker(&self, server: usize, result: &ActionResult) -> Arc<str> {
        let name = &self.endpoints[server].name;
        match &result.execution_metadata {
            Some(of) if !of.worker.is_empty() => format!("{name} ({})", of.worker).into(),
            _ => name.clone(),
        }
    }
}

/// The time between two moments, if the server says both.
fn between(
    begin: &Option<taut_proto::Duration>,
    end: &Option<taut_proto::Duration>,
) -> Option<std::time::Duration> {
    let nanos = |at: &Option<taut_proto::Duration>| {
        at.as_ref().map(|at| i128::from(at.seconds) * 1_000_000_000 + i128::from(at.nanos))
    };
    let took = nanos(end)? - nanos(begin)?;
    Some(std::time::Duration::from_nanos(u64::try_from(took).ok()?))
}
