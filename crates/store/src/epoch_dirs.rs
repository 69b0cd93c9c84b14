//! Directories of taut's own files that have the same lifetime as the objects: event logs and the engine's files.
//!
//! The layout of the generations belongs to the reference, so these directories, the *epoch directories*, are elsewhere
//! in the build root. In each generation there is a dangling symbolic link whose target is the name of its epoch
//! directory. Whichever tool rotates the generations thereby rotates the links, and an epoch directory that no link
//! names is stale and removed. A file that is used moves up to the youngest epoch, as objects do; so a file that was
//! not used between two collections is gone after the second.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use taut_sys::{Dir, if_exists};

use crate::{
    Result, Store,
    layout::{GENERATIONS, Layout, epoch_link},
};

/// The prefix of the names of epoch directories. Directories that outlive generations have other names.
const EPOCH_PREFIX: &[u8] = b"epoch-";

/// A directory of the youngest epoch for one kind of file, and the one of the epoch before.
#[derive(Debug)]
pub struct EpochDir {
    dir: Dir,
    older: Option<Dir>,
    generation: OsString,
}

impl EpochDir {
    /// The directory in the youngest epoch, where files in use are.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The name of the youngest generation, which no other generation of this build root ever had.
    pub fn generation(&self) -> &OsStr {
        &self.generation
    }

    /// The directory in the older epoch, if there is any.
    pub fn older(&self) -> Option<&Dir> {
        self.older.as_ref()
    }

    /// Moves a file from the older epoch to the youngest, if only the older one has it. Returns whether it did: then
    /// the objects that the file refers to may be in the older generation only.
    ///
    /// # Errors
    /// The build root cannot be written to.
    pub fn move_up(&self, name: &str) -> Result<bool> {
        let Some(older) = &self.older else { return Ok(false) };
        let (from, to) = (older.at(name), self.dir.at(name));
        if to.exists()? || !from.exists()? {
            return Ok(false);
        }
        // Another process may have moved it between the checks and the rename.
        Ok(if_exists(from.rename(to))?.is_some())
    }
}

impl Store {
    /// The names of the youngest epoch and of the one before, if there is any.
    ///
    /// # Errors
    /// The build root cannot be written to.
    pub(crate) fn epochs(&self) -> Result<(OsString, Option<OsString>)> {
        let layout = self.layout();
        layout.taut_directory().make_dir_if_absent()?;
        let mark = epoch_link(0);
        let mark = layout.protocol().at(&mark);
        let name = match if_exists(mark.read_link())? {
            Some(name) => name,
            None => {
                // This makes the directory of the generation as well, in which the link is created. `symlink` is
                // atomic: of several processes one creates the link, and all read the same name back.
                self.ephemeral()?;
                // A link, not a file: creating one and giving it its content is one step.
                match mark.symlink(&PathBuf::from(format!("epoch-{}", self.nonce()))) {
                    Err(error) if error.is_exists() => {}
                    other => other?,
                }
                let name = mark.read_link()?;
                // Another tool may have rotated the generations, which leaves our directories behind.
                remove_stale_epochs(layout)?;
                name
            }
        };
        // Only the last component of the link's target counts: a link that was tampered with cannot lead elsewhere.
        let last = |name: PathBuf| name.file_name().unwrap_or_default().to_owned();
        // The reference rotates by renaming the whole generation, and the link with it.
        let older = if_exists(layout.protocol().at(&epoch_link(1)).read_link())?;
        Ok((last(name), older.map(last)))
    }

    /// The directory for one kind of file whose lifetime is that of objects.
    ///
    /// # Errors
    /// The build root cannot be written to.
    pub fn epoch_directory(&self, kind: &str) -> Result<EpochDir> {
        let own = self.layout().taut_directory().make_dir_if_absent()?;
        let (generation, older) = self.epochs()?;
        let below = |name: &OsStr| Path::new(name).join(kind);
        let older = match older {
            Some(name) => if_exists(own.at(&below(&name)).open_dir())?,
            None => None,
        };
        Ok(EpochDir { dir: own.make_all(&below(&generation))?, older, generation })
    }

    /// A directory for files that outlive the objects, until `gc --all`.
    ///
    /// # Errors
    /// The build root cannot be written to.
    pub fn lasting_directory(&self, kind: &str) -> Result<Dir> {
        Ok(self.layout().taut_directory().make_dir_if_absent()?.make_all(kind)?)
    }
}

/// The names of epoch directories that no longer belong to a generation.
pub(crate) fn stale_epochs(layout: &Layout) -> Result<Vec<std::ffi::OsString>> {
    let mut names = Vec::new();
    for generation in 0..GENERATIONS {
        names.extend(if_exists(layout.protocol().at(&epoch_link(generation)).read_link())?);
    }
    let own = if_exists(layout.taut_directory().open_dir())?;
    let found = own.map(|own| own.list()).transpose()?.unwrap_or_default();
    let gone = found.into_iter().map(|(name, _)| name).filter(|name| {
        name.as_encoded_bytes().starts_with(EPOCH_PREFIX)
            && !names.iter().any(|known| known.as_os_str() == name)
    });
    Ok(gone.collect())
}

fn remove_stale_epochs(layout: &Layout) -> Result<()> {
    let own = layout.taut_directory().open_dir()?;
    for name in stale_epochs(layout)? {
        own.at(&name).remove_all()?;
    }
    Ok(())
}
