//! What is kept beside the objects, and ages as they do.
//!
//! It lies beside the generations, whose layout is not ours to extend. A link in each of them that leads nowhere bears
//! the name of a directory: whoever turns the generations turns these, too, and what is found under another name
//! belongs to nobody. What is used moves up, as objects do, so what nobody used between two collections is gone after
//! the second.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use taut_sys::{Dir, if_exists};

use crate::{
    Result, Store,
    layout::{GENERATIONS, Layout, epoch},
};

/// Begins the names of directories that belong to generations. What lasts has another kind of name.
const EPOCH: &[u8] = b"epoch-";

/// A directory of the youngest generation for one kind of thing, and the one before.
#[derive(Debug)]
pub struct OwnDirectory {
    dir: Dir,
    older: Option<Dir>,
    generation: OsString,
}

impl OwnDirectory {
    /// Where everything that is used lies.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// What tells the youngest generation from all others there were.
    pub fn generation(&self) -> &OsStr {
        &self.generation
    }

    /// Where the rest lies, if there is any.
    pub fn older(&self) -> Option<&Dir> {
        self.older.as_ref()
    }

    /// Moves up what only the older generation has under a name. Tells whether it did: then the objects that it is
    /// about may be in the older generation only.
    ///
    /// # Errors
    /// The build root cannot be written to.
    pub fn bring(&self, name: &str) -> Result<bool> {
        let Some(older) = &self.older else { return Ok(false) };
        let (from, to) = (older.at(name), self.dir.at(name));
        if to.exists()? || !from.exists()? {
            return Ok(false);
        }
        // Another process may just have done so.
        Ok(if_exists(from.rename(to))?.is_some())
    }
}

impl Store {
    /// The directory of one kind of thing that is worth keeping only as long as objects are.
    ///
    /// # Errors
    /// The build root cannot be written to.
    pub fn own_directory(&self, kind: &str) -> Result<OwnDirectory> {
        let layout = self.layout();
        let (own, mark) = (layout.own().make_dir_if_absent()?, epoch(0));
        let mark = layout.protocol().at(&mark);
        let name = match if_exists(mark.read_link())? {
            Some(name) => name,
            None => {
                // It makes the generation, too.
                self.ephemeral()?;
                match mark.symlink(&PathBuf::from(format!("epoch-{}", self.nonce()))) {
                    Err(error) if error.is_exists() => {}
                    other => other?,
                }
                let name = mark.read_link()?;
                // Others than we may have turned the generations.
                remove_forgotten(layout)?;
                name
            }
        };
        let below = |name: &Path| Path::new(name.file_name().unwrap_or_default()).join(kind);
        let older = match if_exists(layout.protocol().at(&epoch(1)).read_link())? {
            Some(name) => if_exists(own.at(&below(&name)).open_dir())?,
            None => None,
        };
        let generation = name.file_name().unwrap_or_default().to_owned();
        Ok(OwnDirectory { dir: own.make_all(&below(&name))?, older, generation })
    }

    /// A directory for what is to be known whatever becomes of the objects, until all is forgotten.
    ///
    /// # Errors
    /// The build root cannot be written to.
    pub fn lasting_directory(&self, kind: &str) -> Result<Dir> {
        Ok(self.layout().own().make_dir_if_absent()?.make_all(kind)?)
    }
}

/// The names below taut's own directory of generations that are gone.
pub(crate) fn forgotten(layout: &Layout) -> Result<Vec<std::ffi::OsString>> {
    let mut names = Vec::new();
    for generation in 0..GENERATIONS {
        names.extend(if_exists(layout.protocol().at(&epoch(generation)).read_link())?);
    }
    let own = if_exists(layout.own().open_dir())?;
    let found = own.map(|own| own.list()).transpose()?.unwrap_or_default();
    let gone = found.into_iter().map(|(name, _)| name).filter(|name| {
        name.as_encoded_bytes().starts_with(EPOCH) && !names.iter().any(|known| known.as_os_str() == name)
    });
    Ok(gone.collect())
}

fn remove_forgotten(layout: &Layout) -> Result<()> {
    let own = layout.own().open_dir()?;
    for name in forgotten(layout)? {
        own.at(&name).remove_all()?;
    }
    Ok(())
}
