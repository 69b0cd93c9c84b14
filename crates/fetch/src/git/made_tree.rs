//! Trees that a command makes in an empty directory.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use taut_git::{HashOnly, Kind, ObjectSink, SpecialFiles, TreeBuilder, Writer, import};
use taut_sys::{Dir, Links};

use super::{
    Programs, TreeCommand,
    run::{Scratch, Watch, run as run_command, scratch_name},
};
use crate::{Cause, Error, Progress, Result, Tried};

/// How many lines of what a command prints are shown if it does not make the tree.
const MAX_LINES: usize = 40;

/// See [`super::tree_of_command`].
pub(super) fn run(
    programs: &Programs,
    request: &TreeCommand<'_>,
    into: &Writer,
    scratch: &Dir,
    progress: &dyn Progress,
) -> Result<()> {
    make_and_store(programs, request, into, scratch, progress).map_err(|cause| {
        let words: Vec<_> = request.command.iter().map(|word| word.to_string_lossy()).collect();
        Error { tried: vec![Tried { url: words.join(" "), attempts: 1, cause }] }
    })
}

fn make_and_store(
    programs: &Programs,
    request: &TreeCommand<'_>,
    into: &Writer,
    scratch: &Dir,
    progress: &dyn Progress,
) -> std::result::Result<(), Cause> {
    let name = scratch_name();
    let temporary = Scratch::make(scratch.at(&name))?;
    let printed: Mutex<Vec<String>> = Mutex::default();
    let line = |line: &str| {
        let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
        // The last lines say most about what went wrong.
        if printed.len() == MAX_LINES {
            printed.remove(0);
        }
        printed.push(line.trim_end().to_owned());
    };
    // No limit for silence: a command of a description may compute for long without printing.
    let watch = Watch { progress, line: &line, stall: None };
    run_command(programs, request.command, &[], &temporary.dir, &watch)?;
    // First only ids are computed: what else the command left, such as the history of a clone, is not stored.
    let all = import_all(&temporary.dir, &mut HashOnly)?;
    let Some(path) = all.find(&request.tree).map_err(Cause::Repository)? else {
        let printed = printed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let printed = match printed.is_empty() {
            true => String::new(),
            false => format!("; it printed\n{}", printed.join("\n")),
        };
        return Err(Cause::NotContained(format!(
            "tree {}: neither the directory in which the command ran nor one below is it{printed}",
            request.tree.to_hex()
        )));
    };
    let path: PathBuf = path.iter().map(|component| OsStr::from_bytes(component)).collect();
    let directory = if path.as_os_str().is_empty() {
        temporary.dir.try_clone()
    } else {
        temporary.dir.sub(&path, Links::Refused)
    };
    let directory = directory.map_err(|error| Cause::File(error.to_string()))?;
    let mut batch = into.batch();
    // Read a second time: a process that the command left behind could have changed it since.
    let tree = import_all(&directory, &mut batch)?.write(&mut batch).map_err(Cause::Repository)?;
    // Before `finish`, so nothing of a wrong tree is in the repository.
    if tree != request.tree {
        return Err(Cause::NotContained(format!("tree {} any more", request.tree.to_hex())));
    }
    batch.finish().map_err(Cause::Repository)?;
    into.keep(Kind::Tree, &tree).map_err(Cause::Repository)
}

/// All below a directory; `git` repositories are like anything else here.
fn import_all(top: &Dir, sink: &mut dyn ObjectSink) -> std::result::Result<TreeBuilder, Cause> {
    import(top, SpecialFiles::Refuse, &|_| true, sink).map_err(Cause::Repository)
}
