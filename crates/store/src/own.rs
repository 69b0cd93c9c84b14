//! What is kept beside the objects, and ages as they do.
//!
//! It lies beside the generations, whose layout is not ours to extend. A link in each of them that leads nowhere bears
//! the name of a directory: whoever turns the generations turns these, too, and what is found under another name
//! belongs to nobody. What is used moves up, as objects do, so what nobody used between two collections is gone after
//! the second.

use std::path::{Path, PathBuf};

use taut_sys::fs;

use crate::{
    Result, Store,
    layout::{GENERATIONS, Layout},
};

/// Begins the names of directories that belong to generations. What lasts has another kind of name.
const EPOCH: &[u8] = b"epoch-";

/// A directory of the youngest generation for one kind of thing, and the one before.
#[derive(Clone, Debug)]
pub struct OwnDirectory {
    path: PathBuf,
    older: Option<PathBuf>,
}

impl OwnDirectory {
    /// Where everything that is used lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the rest lies, if there can be any.
    pub fn older(&self) -> Option<&Path> {
        self.older.as_deref()
    }

    /// Moves up what only the older generation has under a name. Tells whether it did: then the objects that it is
    /// about may be in the older generation only.
    ///
    /// # Errors
    /// The build root cannot be written to.
    pub fn bring(&self, name: &str) -> Result<bool> {
        let Some(older) = &self.older else { return Ok(false) };
        let (from, to) = (older.join(name), self.path.join(name));
        if fs::if_exists(fs::lstat(&to))?.is_some() || fs::if_exists(fs::lstat(&from))?.is_none() {
            return Ok(false);
        }
        fs::create_dir_all(&self.path)?;
        // Somebody else may just have done so.
        Ok(fs::if_exists(fs::rename(&from, &to))?.is_some())
    }
}

impl Store {
    /// The directory of one kind of thing that is worth keeping only as long as objects are; it need not be there.
    ///
    /// # Errors
    /// The build root cannot be written to.
    pub fn own_directory(&self, kind: &str) -> Result<OwnDirectory> {
        let (layout, mark) = (self.layout(), self.layout().epoch(0));
        let name = match fs::if_exists(fs::read_link(&mark))? {
            Some(name) => name,
            None => {
                match fs::symlink(&PathBuf::from(format!("epoch-{}", self.nonce())), &mark) {
                    Err(error) if error.is_exists() => {}
                    other => other?,
                }
                let name = fs::read_link(&mark)?;
                // Others than we may have turned the generations.
                for path in forgotten(layout)? {
                    fs::remove_all(&path)?;
                }
                name
            }
        };
        let below = |name: &Path| layout.own().join(name.file_name().unwrap_or_default()).join(kind);
        let older = fs::if_exists(fs::read_link(&layout.epoch(1)))?.map(|name| below(&name));
        fs::create_dir_all(&layout.own().join(name.file_name().unwrap_or_default()))?;
        Ok(OwnDirectory { path: below(&name), older })
    }

    /// A directory for what is to be known whatever becomes of the objects, until all is forgotten.
    ///
    /// # Errors
    /// The build root cannot be written to.
    pub fn lasting_directory(&self, kind: &str) -> Result<PathBuf> {
        let directory = self.layout().own().join(kind);
        fs::create_dir_all(&directory)?;
        Ok(directory)
    }
}

/// The directories of generations that are gone.
pub(crate) fn forgotten(layout: &Layout) -> Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for generation in 0..GENERATIONS {
        names.extend(fs::if_exists(fs::read_link(&layout.epoch(generation)))?);
    }
    let found = fs::if_exists(fs::list(&layout.own()))?.unwrap_or_default().into_iter().map(|(name, _)| name);
    let gone = found.filter(|name| {
        name.as_encoded_bytes().starts_with(EPOCH) && !names.iter().any(|known| known.as_os_str() == name)
    });
    Ok(gone.map(|name| layout.own().join(name)).collect())
}
