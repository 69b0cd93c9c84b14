//! A worker: executes actions whose inputs are in memory as processes, and keeps their outputs there. In both
//! protocols, as far as tests need it.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use taut_digest::{Digest, Hash, HashFunction, ObjectType, TreeEntry, decode_git_tree, encode_git_tree};
use taut_proto::{
    self as proto, Action, ActionResult, Directory, DirectoryNode, ExecutedActionMetadata, FileNode, Message,
    OutputDirectory, OutputFile, OutputSymlink, SymlinkNode, TreeBytes,
};
use taut_service::{
    Answer, Blob, Cas, Error, Execute, Executed, Executor, Memory, Progress, Receiver, Result, Stage,
};

use crate::wire;

/// Executes actions.
pub struct Worker(pub Arc<Memory>);

/// A directory of its own for each execution, removed at the end.
struct Root(PathBuf);

impl Root {
    fn new() -> io::Result<Root> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        // Relaxed: only that no two get the same number matters.
        let name = format!("taut-worker-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let root = Root(std::env::temp_dir().join(name));
        fs::create_dir(&root.0)?;
        Ok(root)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // What an action left without permissions stays in the temporary directory.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Why an action cannot be executed.
enum NotExecuted {
    Missing(Digest),
    System(io::Error),
}

impl From<io::Error> for NotExecuted {
    fn from(error: io::Error) -> NotExecuted {
        NotExecuted::System(error)
    }
}

fn failed(refused: NotExecuted) -> Error {
    match refused {
        NotExecuted::Missing(digest) => Error::InputsMissing(vec![digest]),
        NotExecuted::System(error) => Error::Final { call: "Execute", why: error.to_string() },
    }
}

type WorkerResult<T> = std::result::Result<T, NotExecuted>;

impl Worker {
    fn is_native(&self) -> bool {
        self.0.hash_function() == HashFunction::GitSha1
    }

    fn bytes(&self, digest: &Digest) -> WorkerResult<Arc<[u8]>> {
        self.0.blob(&digest.hash).ok_or(NotExecuted::Missing(*digest))
    }

    fn parsed<M: Message + Default>(&self, digest: &Option<proto::Digest>) -> WorkerResult<(M, Digest)> {
        let digest = digest.as_ref().and_then(wire::parse);
        let digest = digest.ok_or_else(|| NotExecuted::System(io::Error::other("no digest")))?;
        let message = M::decode(&self.bytes(&digest)?[..]).map_err(io::Error::other)?;
        Ok((message, digest))
    }

    /// Adds a blob.
    fn add(&self, bytes: Vec<u8>, is_tree: bool) -> Digest {
        let function = self.0.hash_function();
        let hash = if is_tree { function.tree(&bytes) } else { function.blob(&bytes) };
        let hash = if self.is_native() { hash.tagged(is_tree) } else { hash };
        let digest = Digest { hash, size: bytes.len() as u64 };
        self.0.insert(hash, bytes);
        digest
    }

    /// What an action that runs no command has: each output file has its path as its content, and the name of the
    /// action.
    ///
    /// # Errors
    /// Something of the action is missing.
    pub fn pretend(&self, digest: &Digest) -> Result<ActionResult> {
        self.try_pretend(digest).map_err(failed)
    }

    fn try_pretend(&self, digest: &Digest) -> WorkerResult<ActionResult> {
        let (action, _): (Action, _) = self.parsed(&Some(wire::digest(digest)))?;
        let (command, _): (proto::Command, _) = self.parsed(&action.command_digest)?;
        let inputs = action.input_root_digest.as_ref().and_then(wire::parse);
        // Asked for although nothing reads it: a client has to have sent it.
        self.bytes(&inputs.ok_or_else(|| io::Error::other("no inputs"))?)?;
        let mut paths: Vec<&String> = command.output_files.iter().chain(&command.output_paths).collect();
        paths.sort_unstable();
        // `output_paths` repeats `output_files` for servers of version 2.1 and later.
        paths.dedup();
        let output = |path: &String| {
            let blob = self.add(format!("{path} of {}\n", digest.hash).into_bytes(), false);
            OutputFile { path: path.clone(), digest: Some(wire::digest(&blob)), is_executable: false }
        };
        let output_files = paths.into_iter().map(output).collect();
        let result = ActionResult { output_files, ..ActionResult::default() };
        self.0.add_result(digest.hash, result.clone());
        Ok(result)
    }

    /// Executes an action; what is wrong with its inputs is an error.
    ///
    /// # Errors
    /// [`Error::InputsMissing`], or the system refuses something.
    pub fn run(&self, action: &Digest) -> Result<ActionResult> {
        self.try_run(action).map_err(failed)
    }

    fn try_run(&self, digest: &Digest) -> WorkerResult<ActionResult> {
        let (action, _): (Action, _) = self.parsed(&Some(wire::digest(digest)))?;
        let (command, _): (proto::Command, _) = self.parsed(&action.command_digest)?;
        let root = Root::new()?;
        let inputs = action.input_root_digest.as_ref().and_then(wire::parse);
        let inputs = inputs.ok_or_else(|| io::Error::other("no inputs"))?;
        self.stage(&inputs, &root.0)?;
        let cwd = root.0.join(&command.working_directory);
        fs::create_dir_all(&cwd)?;
        let directories = command.output_directories.iter().map(|path| cwd.join(path));
        let parents = command.output_files.iter().chain(&command.output_paths);
        let parents = parents.filter_map(|path| cwd.join(path).parent().map(Path::to_owned));
        for directory in directories.chain(parents) {
            // The API demands that parents of outputs are there before the command runs.
            fs::create_dir_all(directory)?;
        }
        let mut process = Command::new(&command.arguments[0]);
        // An action has the environment of its command and nothing of the server's.
        process.args(&command.arguments[1..]).current_dir(&cwd).env_clear();
        process.envs(command.environment_variables.iter().map(|variable| (&variable.name, &variable.value)));
        let output = process.output()?;
        let mut result = ActionResult {
            // A process that a signal ended has no code of its own.
            exit_code: output.status.code().unwrap_or(137),
            stdout_digest: Some(wire::digest(&self.add(output.stdout, false))),
            stderr_digest: Some(wire::digest(&self.add(output.stderr, false))),
            execution_metadata: Some(ExecutedActionMetadata {
                worker: "worker-1".to_owned(),
                ..ExecutedActionMetadata::default()
            }),
            ..ActionResult::default()
        };
        let mut paths: Vec<&String> = Vec::new();
        paths.extend(&command.output_files);
        paths.extend(&command.output_directories);
        paths.extend(&command.output_paths);
        paths.sort_unstable();
        paths.dedup();
        for path in paths {
            self.collect(&cwd.join(path), path, &mut result)?;
        }
        // A failure is not kept: it may be one of the machine, so the next client has the action executed again.
        if result.exit_code == 0 && !action.do_not_cache {
            self.0.add_result(digest.hash, result.clone());
        }
        Ok(result)
    }

    /// Puts a directory of inputs at a place.
    fn stage(&self, tree: &Digest, at: &Path) -> WorkerResult<()> {
        let bytes = self.bytes(tree)?;
        if self.is_native() {
            for (name, TreeEntry { hash, object_type }) in
                decode_git_tree(&bytes, 20).map_err(|error| io::Error::other(error.to_string()))?
            {
                let to = at.join(String::from_utf8_lossy(&name).as_ref());
                // Entries of git trees have no sizes; blobs are found by hash alone.
                let below = Digest { hash: hash.tagged(object_type == ObjectType::Tree), size: 0 };
                match object_type {
                    ObjectType::Tree => {
                        fs::create_dir(&to)?;
                        self.stage(&below, &to)?;
                    }
                    ObjectType::Symlink => {
                        let target = self.bytes(&below)?;
                        std::os::unix::fs::symlink(String::from_utf8_lossy(&target).as_ref(), &to)?;
                    }
                    kind => self.stage_file(&below, kind == ObjectType::Executable, &to)?,
                }
            }
            return Ok(());
        }
        let directory = Directory::decode(&bytes[..]).map_err(io::Error::other)?;
        let digest = |digest: &Option<proto::Digest>| {
            digest.as_ref().and_then(wire::parse).ok_or_else(|| io::Error::other("no digest"))
        };
        for file in &directory.files {
            self.stage_file(&digest(&file.digest)?, file.is_executable, &at.join(&file.name))?;
        }
        for below in &directory.directories {
            fs::create_dir(at.join(&below.name))?;
            self.stage(&digest(&below.digest)?, &at.join(&below.name))?;
        }
        for link in &directory.symlinks {
            std::os::unix::fs::symlink(&link.target, at.join(&link.name))?;
        }
        Ok(())
    }

    fn stage_file(&self, digest: &Digest, is_executable: bool, to: &Path) -> WorkerResult<()> {
        let bytes = self.bytes(digest)?;
        match is_executable {
            false => fs::write(to, bytes)?,
            true => {
                // By a process of its own: a file that this one has open for writing is open in each process that
                // another thread starts at the same moment, too, and cannot be executed meanwhile.
                let beside = to.with_extension("being-written");
                fs::write(&beside, bytes)?;
                let copied = Command::new("cp").arg(&beside).arg(to).status()?;
                fs::remove_file(&beside)?;
                if !copied.success() {
                    return Err(io::Error::other("an executable file cannot be copied").into());
                }
            }
        }
        fs::set_permissions(to, fs::Permissions::from_mode(if is_executable { 0o555 } else { 0o444 }))?;
        Ok(())
    }

    /// Adds what is at the path of an output, if anything is.
    fn collect(&self, at: &Path, path: &str, result: &mut ActionResult) -> WorkerResult<()> {
        let path = path.to_owned();
        let Ok(found) = fs::symlink_metadata(at) else { return Ok(()) };
        if found.is_symlink() {
            let target = fs::read_link(at)?.to_string_lossy().into_owned();
            result.output_symlinks.push(OutputSymlink { path, target });
        } else if found.is_dir() {
            let digest = match self.is_native() {
                true => self.git_tree(at)?,
                false => {
                    let mut children = BTreeMap::new();
                    let root = self.directory(at, &mut children)?;
                    let children = children.into_values().collect();
                    self.add(TreeBytes { root, children }.encode_to_vec(), false)
                }
            };
            result
                .output_directories
                .push(OutputDirectory { path, tree_digest: Some(wire::digest(&digest)) });
        } else {
            let digest = Some(wire::digest(&self.add(fs::read(at)?, false)));
            let is_executable = found.permissions().mode() & 0o111 != 0;
            result.output_files.push(OutputFile { path, digest, is_executable });
        }
        Ok(())
    }

    fn git_tree(&self, at: &Path) -> WorkerResult<Digest> {
        let mut entries: BTreeMap<String, TreeEntry> = BTreeMap::new();
        for (name, path, found) in listed(at)? {
            let id = |digest: Digest| digest.hash.untagged().map_or(digest.hash, |(id, _)| id);
            let (hash, object_type): (Hash, _) = if found.is_symlink() {
                let target = fs::read_link(&path)?.to_string_lossy().into_owned();
                (id(self.add(target.into_bytes(), false)), ObjectType::Symlink)
            } else if found.is_dir() {
                (id(self.git_tree(&path)?), ObjectType::Tree)
            } else {
                let is_executable = found.permissions().mode() & 0o111 != 0;
                let kind = if is_executable { ObjectType::Executable } else { ObjectType::File };
                (id(self.add(fs::read(&path)?, false)), kind)
            };
            entries.insert(name, TreeEntry { hash, object_type });
        }
        Ok(self.add(encode_git_tree(&entries), true))
    }

    fn directory(&self, at: &Path, children: &mut BTreeMap<Hash, Vec<u8>>) -> WorkerResult<Vec<u8>> {
        let mut directory = Directory::default();
        for (name, path, found) in listed(at)? {
            if found.is_symlink() {
                let target = fs::read_link(&path)?.to_string_lossy().into_owned();
                directory.symlinks.push(SymlinkNode { name, target });
            } else if found.is_dir() {
                let below = self.directory(&path, children)?;
                let digest = self.add(below.clone(), false);
                children.insert(digest.hash, below);
                directory.directories.push(DirectoryNode { name, digest: Some(wire::digest(&digest)) });
            } else {
                let digest = Some(wire::digest(&self.add(fs::read(&path)?, false)));
                let is_executable = found.permissions().mode() & 0o111 != 0;
                directory.files.push(FileNode { name, digest, is_executable });
            }
        }
        Ok(directory.encode_to_vec())
    }
}

/// What is in a directory, by name.
fn listed(at: &Path) -> io::Result<Vec<(String, PathBuf, fs::Metadata)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(at)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let found = fs::symlink_metadata(&path)?;
        all.push((name, path, found));
    }
    // The protocol has entries of directories in the order of their names: else one blob would have several
    // digests.
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}

impl Cas for Worker {
    fn hash_function(&self) -> HashFunction {
        self.0.hash_function()
    }

    fn missing(&self, digests: Vec<Digest>) -> Answer<'_, Vec<Digest>> {
        self.0.missing(digests)
    }

    fn get(&self, wanted: Vec<(Digest, Arc<dyn Receiver>)>) -> Answer<'_, Vec<Result<()>>> {
        self.0.get(wanted)
    }

    fn put(&self, blobs: Vec<Blob>) -> Answer<'_, Vec<Result<()>>> {
        self.0.put(blobs)
    }
}

impl Executor for Worker {
    fn execute(&self, action: Execute, progress: Arc<dyn Progress>) -> Answer<'_, Executed> {
        let known = self.0.result(&action.action.hash).filter(|_| !action.skips_cache);
        if let Some(result) = known {
            let executed = Executed { result, was_cached: true, ..Executed::default() };
            return Box::pin(std::future::ready(Ok(executed)));
        }
        progress.stage(Stage::Running);
        let ran = self.run(&action.action);
        Box::pin(std::future::ready(ran.map(|result| Executed { result, ..Executed::default() })))
    }
}
