//! Names of objects of git trees where the store does not name contents as git does (compatible mode).
//!
//! Analysis names a file of a git tree by its content, as it names a file that the store has. For that it is read; and
//! the store, which lacks it at first, asks for it by this name. What a process has not read itself, since analysis was
//! replayed, is found by reading all files of the roots, once.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use taut_digest::{Digest, Hash, HashFunction, ObjectInfo, ObjectType};

use crate::{Entry, Listing, Result, RootError, Roots};

/// The objects that have such a name so far.
#[derive(Default)]
pub(crate) struct ContentNames(Mutex<NameTable>);

#[derive(Default)]
struct NameTable {
    /// By git's id.
    // Both directions: analysis asks by git's id, the store by the name that it was given.
    digests: HashMap<Hash, Digest>,
    /// By the name of the content: git's id and the type that it was read as.
    ids: HashMap<Hash, (Hash, ObjectType)>,
    /// Whether all files of all roots were read.
    is_complete: bool,
}

impl ContentNames {
    fn lock(&self) -> MutexGuard<'_, NameTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Roots {
    /// A file or link that a root knows by git's id, by the name that a function gives its content.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn named_by(&self, known: &ObjectInfo, function: HashFunction) -> Result<ObjectInfo> {
        let (id, object_type) = (known.digest.hash, known.object_type);
        if let Some(digest) = self.content_names.lock().digests.get(&id) {
            return Ok(ObjectInfo { digest: *digest, object_type });
        }
        // Not with the lock held: others may read other objects meanwhile.
        let content = self.object(&id, object_type)?;
        let content = content.ok_or_else(|| RootError::new(format!("object {id} is not there")))?;
        let digest = Digest { hash: function.blob(&content), size: content.len() as u64 };
        let mut state = self.content_names.lock();
        state.ids.insert(digest.hash, (id, object_type));
        state.digests.insert(id, digest);
        Ok(ObjectInfo { digest, object_type })
    }

    /// The content that [`Roots::named_by`] gives this name; `None` if no root has it.
    pub(crate) fn content_named(&self, name: &Hash) -> Result<Option<Vec<u8>>> {
        let known = |name| self.content_names.lock().ids.get(name).copied();
        let mut found = known(name);
        if found.is_none() && !self.content_names.lock().is_complete {
            // Outside of the lock, too: two threads may both read all, and get the same result.
            self.read_all_files()?;
            self.content_names.lock().is_complete = true;
            found = known(name);
        }
        found.map_or(Ok(None), |(id, object_type)| self.object(&id, object_type))
    }

    fn read_all_files(&self) -> Result<()> {
        // Many paths may lead to one object, and to one directory.
        let (mut seen, mut directories) = (HashSet::new(), HashSet::new());
        for root in self.with_known_objects() {
            let mut pending = vec![String::new()];
            while let Some(directory) = pending.pop() {
                // With its links; if one of them leads outwards, that directory is used without links only.
                let mut listing = root.list(&directory, false)?;
                if matches!(listing, Listing::Unreadable(_)) {
                    listing = root.list(&directory, true)?;
                }
                if let Some(id) = listing.id_of_all_below()
                    && !directories.insert((id, listing.itself().is_some()))
                {
                    continue;
                }
                let Listing::Entries(entries) = listing else { continue };
                for listed in entries.iter() {
                    match (listed.entry, &listed.known) {
                        (Entry::Directory, _) => pending.push(match directory.is_empty() {
                            true => listed.name.to_string(),
                            false => format!("{directory}/{}", listed.name),
                        }),
                        (_, Some(known)) if seen.insert(known.digest.hash) => {
                            self.named_by(known, HashFunction::Sha256)?;
                        }
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }
}
