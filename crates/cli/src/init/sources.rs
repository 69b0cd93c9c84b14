//! The files of a directory for `init --from-sources`.
//!
//! What is not a source is left out: hidden files and directories, links, directories that tools made (those with a
//! `CACHEDIR.TAG`, and some by name). A directory below with a targets file is described already.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use taut_driver::WITHOUT_SPECIAL;
use taut_scan::SourceFile;
use taut_syntax::quoted;
use taut_sys::{Dir, FileKind, fault::limit, if_exists};

/// What was found.
#[derive(Default)]
pub(super) struct Sources {
    pub(super) files: Vec<SourceFile>,
    /// Directories in which a link leads outwards, so that none of their files can be a source.
    pub(super) unreadable: BTreeSet<String>,
    /// What is left out and might be missed, with the reason.
    pub(super) notes: Vec<String>,
}

/// The name of a targets file.
pub(super) const TARGETS: &str = "TARGETS";

/// Directories that tools make.
const GENERATED_DIRECTORIES: [&str; 4] = ["node_modules", "__pycache__", "CVS", "_build"];

/// So many bytes of a file decide; sources are not as long.
const MAX_BYTES: u64 = 4 << 20;

/// A tree with more files is not a single project.
const MAX_FILES: u64 = 200_000;

/// Reads all files below a directory.
pub(super) fn read(top: &Dir) -> taut_sys::Result<Sources> {
    let mut all = Sources::default();
    let mut left = vec![PathBuf::new()];
    let mut last_outwards = None;
    let max_files = limit("sources", MAX_FILES);
    while let Some(below) = left.pop() {
        let is_top = below.as_os_str().is_empty();
        let directory = if is_top { top.try_clone()? } else { top.sub(&below, taut_sys::Links::Refused)? };
        if if_exists(directory.at("CACHEDIR.TAG").lstat())?.is_some() {
            continue;
        }
        if !is_top && if_exists(directory.at(TARGETS).lstat())?.is_some() {
            all.notes.push(format!("{}: it has a file {TARGETS}, and is left as it is.", below.display()));
            continue;
        }
        let mut entries = directory.list()?;
        // Sorted, so that the proposal does not depend on the file system.
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (name, kind) in entries {
            let path = below.join(&name);
            let Some(text) = path.to_str().filter(|text| !text.contains(char::is_control)) else {
                let shown = path.to_string_lossy();
                all.notes.push(format!("{}: its name is not text, so it is left out.", quoted(&shown)));
                continue;
            };
            let is_hidden = name.to_string_lossy().starts_with('.');
            // Hidden or not: the whole directory is listed where one of its files is a source.
            if kind == FileKind::Symlink {
                let target = directory.at(&name).read_link()?;
                // The same rule as for listings of a root (`stays_inside` of `repos`).
                if !target.to_str().is_some_and(taut_value::path::is_non_upwards) {
                    let shown = below.to_string_lossy();
                    last_outwards = Some(all.notes.len());
                    all.notes.push(leads_outwards(text, &shown, &target.to_string_lossy()));
                    all.unreadable.insert(shown.into_owned());
                }
            }
            match kind {
                _ if is_hidden => {}
                FileKind::Directory if GENERATED_DIRECTORIES.iter().any(|made| name == *made) => {}
                FileKind::Directory => left.push(path),
                FileKind::File => all.files.push(file(&directory, Path::new(&name), text)?),
                FileKind::Symlink if taut_scan::is_read(text) => {
                    all.notes.push(format!("{text}: it is a symbolic link, which is not followed."));
                }
                FileKind::Symlink | FileKind::Special => {}
            }
            if all.files.len() as u64 > max_files {
                all.notes
                    .push(format!("There are more than {max_files} files: the others were not looked at."));
                return Ok(all.finish(last_outwards));
            }
        }
    }
    Ok(all.finish(last_outwards))
}

/// The warning that a link makes its directory unreadable.
fn leads_outwards(link: &str, directory: &str, target: &str) -> String {
    let directory = if directory.is_empty() { "the top directory" } else { directory };
    format!(
        "{link}: the symbolic link leads outwards, to {}, so no file of {directory} can be a source, and default has nothing \
         that needs one.",
        quoted(target)
    )
}

impl Sources {
    /// Says what to do about links that lead outwards, once for all of them, behind the note about the last one.
    fn finish(mut self, last: Option<usize>) -> Sources {
        if let Some(at) = last {
            self.notes[at] += &format!(
                " Remove such links, or have all links ignored, by this in a file repos.json:\n    {WITHOUT_SPECIAL}"
            );
        }
        self
    }
}

fn file(directory: &Dir, name: &Path, path: &str) -> taut_sys::Result<SourceFile> {
    let at = directory.at(name);
    let is_executable = at.lstat()?.is_executable();
    let content = if taut_scan::is_read(path) { at.open()?.read_up_to(MAX_BYTES)? } else { Vec::new() };
    Ok(SourceFile { path: path.to_owned(), is_executable, content })
}
