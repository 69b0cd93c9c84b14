//! Conversion between results and messages of the action cache.

use std::collections::BTreeMap;

use taut_digest::{Digest, Hash, ObjectInfo, ObjectType};
use taut_proto::{ActionResult, OutputDirectory, OutputFile, OutputSymlink};
use taut_store::Store;
use taut_value::ActionDescription;

use crate::{RunResult, message::rebased};

/// The cached result in terms of the definition, if one with all outputs is cached.
pub(crate) fn cached_result(
    store: &Store,
    action: &ActionDescription,
    digest: &Hash,
) -> taut_store::Result<Option<RunResult>> {
    // A cached failure is not replayed: the action runs again.
    let Some(result) = store.cached_action(digest)?.filter(|result| result.exit_code == 0) else {
        return Ok(None);
    };
    let mut found: BTreeMap<&str, ObjectInfo> = BTreeMap::new();
    for file in &result.output_files {
        let object_type = if file.is_executable { ObjectType::Executable } else { ObjectType::File };
        let digest = file.digest.as_ref().and_then(|digest| store.from_wire(digest));
        found.extend(digest.map(|digest| (file.path.as_str(), ObjectInfo { digest, object_type })));
    }
    for directory in &result.output_directories {
        let digest = directory.tree_digest.as_ref().and_then(|digest| store.from_wire(digest));
        let info = digest.map(|digest| ObjectInfo { digest, object_type: ObjectType::Tree });
        found.extend(info.map(|info| (directory.path.as_str(), info)));
    }
    // In the protocol `output_symlinks` replaces the two fields by kind, which `as_message` fills: results with
    // either are read.
    let links = result.output_symlinks.iter().chain(&result.output_file_symlinks);
    for link in links.chain(&result.output_directory_symlinks) {
        // A message has the target of a link, not its object.
        let digest = store.put_blob(link.target.as_bytes(), false)?;
        found.insert(&link.path, ObjectInfo { digest, object_type: ObjectType::Symlink });
    }
    let mut outputs = BTreeMap::new();
    for path in action.outs.iter().chain(&action.out_dirs) {
        match found.get(rebased(path, &action.cwd).as_str()) {
            Some(info) => outputs.insert(path.clone(), *info),
            // A result without one of the outputs counts as absent; the next run replaces it.
            None => return Ok(None),
        };
    }
    let stream = |digest: &Option<taut_proto::Digest>| {
        // An empty stream counts as absent, as after a run.
        digest.as_ref().and_then(|digest| store.from_wire(digest)).filter(|digest| digest.size > 0)
    };
    let (stdout, stderr) = (stream(&result.stdout_digest), stream(&result.stderr_digest));
    Ok(Some(RunResult { outputs, stdout, stderr, ..RunResult::default() }))
}

/// The message for a result.
///
/// # Errors
/// The object of a link is lost (the message contains the link's target), or the store cannot be read.
pub(crate) fn as_message(
    store: &Store,
    action: &ActionDescription,
    ran: &RunResult,
) -> taut_store::Result<ActionResult> {
    let mut result = ActionResult { exit_code: ran.exit_code, ..ActionResult::default() };
    for (path, info) in &ran.outputs {
        let name = rebased(path, &action.cwd);
        match info.object_type {
            ObjectType::Tree => result
                .output_directories
                .push(OutputDirectory { path: name, tree_digest: Some(store.to_wire(&info.digest, true)) }),
            ObjectType::Symlink => {
                let target = store.read(&info.digest.hash, ObjectType::Symlink)?;
                // All links that are collected are text.
                let target = target.and_then(|target| String::from_utf8(target).ok());
                let target = target.ok_or(taut_store::Error::Missing(*info))?;
                let link = OutputSymlink { path: name, target };
                if action.out_dirs.contains(path) {
                    // By kind, in the older fields: in native mode the reference writes these, and both tools
                    // share the cache.
                    result.output_directory_symlinks.push(link);
                } else {
                    result.output_file_symlinks.push(link);
                }
            }
            object_type => result.output_files.push(OutputFile {
                path: name,
                digest: Some(store.to_wire(&info.digest, false)),
                is_executable: object_type == ObjectType::Executable,
            }),
        }
    }
    let stream = |digest: &Option<Digest>| digest.as_ref().map(|digest| store.to_wire(digest, false));
    result.stdout_digest = stream(&ran.stdout);
    result.stderr_digest = stream(&ran.stderr);
    Ok(result)
}
