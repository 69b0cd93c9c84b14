//! Trees that a command makes in an empty directory.

use std::{ffi::OsStr, io::Read, os::unix::ffi::OsStrExt, path::PathBuf};

use taut_digest::Hash;
use taut_git::{HashOnly, Kind, ObjectSink, SpecialFiles, TreeBuilder, Writer, import};
use taut_sys::{Dir, Links};

use super::{
    Programs, TreeCommand,
    run::{CommandWatch, Scratch, run as run_command, scratch_name},
};
use crate::{Cause, Error, Progress, Result, TriedUrl};

/// See [`super::tree_of_command`].
pub(super) fn run(
    programs: &Programs,
    request: &TreeCommand<'_>,
    into: &Writer,
    scratch: &Dir,
    progress: &dyn Progress,
) -> Result<u64> {
    make_and_store(programs, request, into, scratch, progress).map_err(|cause| {
        let words: Vec<_> = request.command.iter().map(|word| word.to_string_lossy()).collect();
        Error { tried: vec![TriedUrl { url: words.join(" "), attempts: 1, cause }] }
    })
}

fn make_and_store(
    programs: &Programs,
    request: &TreeCommand<'_>,
    into: &Writer,
    scratch: &Dir,
    progress: &dyn Progress,
) -> std::result::Result<u64, Cause> {
    let name = scratch_name();
    let temporary = Scratch::make(scratch.at(&name))?;
    // No limit for silence: a command of a description may compute for long without printing.
    let watch = CommandWatch { progress, line: &|_| (), stall: None };
    let ended = run_command(programs, request.command, &[], &temporary.dir, &watch)?;
    // First only ids are computed: what else the command left, such as the history of a clone, is not stored.
    let all = import_all(&temporary.dir, &mut HashOnly)?;
    let Some(path) = all.find(&request.tree).map_err(Cause::Repository)? else {
        // Only for the message: the id of what the command has made helps to write the right one into the
        // description.
        let made = all.write(&mut HashOnly).map_err(Cause::Repository)?;
        let (failure, printed) = (ended.failure(), ended.printed);
        return Err(Cause::NoTree { tree: request.tree, made, failure, printed });
    };
    let path: PathBuf = path.iter().map(|component| OsStr::from_bytes(component)).collect();
    let directory = if path.as_os_str().is_empty() {
        temporary.dir.try_clone()
    } else {
        temporary.dir.sub(&path, Links::Refused)
    };
    let directory = directory.map_err(|error| Cause::File(error.to_string()))?;
    let mut batch = into.batch();
    let mut counted = Counted { sink: &mut batch, bytes: 0 };
    // Read a second time: a process that the command left behind could have changed it since.
    let tree = import_all(&directory, &mut counted)?.write(&mut counted).map_err(Cause::Repository)?;
    let bytes = counted.bytes;
    // Before `finish`, so nothing of a wrong tree is in the repository.
    if tree != request.tree {
        return Err(Cause::NotContained(format!("tree {} when it is read again", request.tree.to_hex())));
    }
    batch.finish().map_err(Cause::Repository)?;
    into.keep(Kind::Tree, &tree).map_err(Cause::Repository)?;
    Ok(bytes)
}

/// All below a directory; `git` repositories are like anything else here.
fn import_all(top: &Dir, sink: &mut dyn ObjectSink) -> std::result::Result<TreeBuilder, Cause> {
    import(top, SpecialFiles::Refuse, &|_| true, sink).map_err(Cause::Repository)
}

/// Counts the bytes of files that go to a sink.
struct Counted<'s> {
    sink: &'s mut dyn ObjectSink,
    bytes: u64,
}

impl ObjectSink for Counted<'_> {
    fn blob(&mut self, content: &[u8]) -> taut_git::Result<Hash> {
        self.bytes += content.len() as u64;
        self.sink.blob(content)
    }

    fn blob_from(&mut self, size: u64, content: &mut dyn Read) -> taut_git::Result<Hash> {
        self.bytes += size;
        self.sink.blob_from(size, content)
    }

    fn tree(&mut self, encoded: &[u8]) -> taut_git::Result<Hash> {
        self.sink.tree(encoded)
    }
}
