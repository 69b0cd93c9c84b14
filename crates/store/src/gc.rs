//! Garbage collection in two generations: an object that was not used between two collections is removed.
//!
//! Processes that use the build root hold a shared lock on it. The collector holds the lock exclusively while it splits
//! objects and renames directories: the older generation gets a name that marks it for removal, the younger becomes the
//! older. Removal takes longest, so it is done after that with the lock shared. Objects in use come back by uplinking
//! (`uplink.rs`).

use std::{ffi::OsString, os::unix::ffi::OsStrExt, path::Path};

use taut_digest::HashFunction;
use taut_sys::{At, Lock, if_exists};

use crate::{
    Result, Store,
    epoch_dirs::stale_epochs,
    layout::{EPHEMERAL, GENERATIONS, Kind, Layout, generation},
    pending::{NOTES_DIRECTORY, remove_left_behind},
};

/// What a collection does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GcMode {
    /// Clean up, split large objects, turn the generations.
    Rotate,
    /// Clean up and split large objects only.
    NoRotate,
    /// Remove all generations.
    All,
}

/// From this size on, in bytes, objects are split.
// Above the largest chunk (`MAX_CHUNK_BYTES`), so that an object of this size has several.
const SPLIT_MIN_BYTES: u64 = 3 * 1024 * 1024;

/// Collects garbage in a build root, for all hash functions. Waits until no other process uses the build root, and
/// calls `busy` before it waits.
///
/// # Errors
/// The lock cannot be had, or something cannot be renamed or removed. Of several failed removals the first is reported;
/// the others are tried all the same.
pub fn gc(build_root: &Path, mode: GcMode, busy: impl FnOnce()) -> Result<()> {
    let layout = Layout::open(build_root, HashFunction::GitSha1)?;
    // The lock is on a file beside the generations, which no collection removes.
    let lock = Lock::exclusive(layout.gc_lock(), busy)?;
    let mut to_remove: Vec<OsString> = leftovers(&layout)?;
    let mut set_aside = |at: At<'_>| -> Result<()> {
        if at.exists()? {
            // An earlier process with the same number may have left such a name.
            for number in to_remove.len().. {
                let name = OsString::from(format!("{REMOVAL_PREFIX}{}-{number}", std::process::id()));
                let to = layout.protocol().at(&name);
                if !to.exists()? {
                    // A rename takes constant time, so the exclusive lock is held briefly.
                    at.rename(to)?;
                    to_remove.push(name);
                    break;
                }
            }
        }
        Ok(())
    };
    match mode {
        GcMode::All => {
            for number in 0..GENERATIONS {
                set_aside(layout.protocol().at(&generation(number)))?;
            }
            set_aside(layout.taut_directory())?;
        }
        GcMode::NoRotate | GcMode::Rotate => {
            // The temporary files of calls that were killed. No other process is using the directory, since the lock is
            // exclusive.
            set_aside(layout.protocol().at(EPHEMERAL))?;
            for function in [HashFunction::GitSha1, HashFunction::Sha256] {
                compactify(&layout, function)?;
            }
            if mode == GcMode::Rotate {
                // From the oldest on, so that each name is free when the next younger generation takes it.
                for number in (0..GENERATIONS).rev() {
                    let name = generation(number);
                    let at = layout.protocol().at(&name);
                    if number + 1 == GENERATIONS {
                        set_aside(at)?;
                    } else if at.exists()? {
                        at.rename(layout.protocol().at(&generation(number + 1)))?;
                    }
                }
                // If the epoch directories cannot be listed, the objects are collected all the same.
                if let Some(own) = if_exists(layout.taut_directory().open_dir())? {
                    for name in stale_epochs(&layout).unwrap_or_default() {
                        set_aside(own.at(&name))?;
                    }
                }
            }
        }
    }
    // From here on builds may go on: what is left to do concerns only names that no build uses.
    lock.downgrade()?;
    // `downgrade` may let another collector in between; it finds names that are free, or marked for removal.
    let own = layout.taut_directory().open_dir();
    if let Ok(notes) = own.and_then(|own| own.at(NOTES_DIRECTORY).open_dir()) {
        // What cannot be removed now is found by the next installation.
        let _ = remove_left_behind(&notes);
    }
    // A failed removal does not keep the others from being tried.
    let removals = to_remove.iter().map(|name| layout.protocol().at(name).remove_all());
    let failed: Vec<_> = removals.filter_map(|removed| removed.err()).collect();
    failed.into_iter().next().map_or(Ok(()), |first| Err(first.into()))
}

/// The prefix of the names of what is to be removed.
// The reference's: either tool removes what the other left behind.
const REMOVAL_PREFIX: &str = "remove-me";

/// What earlier collections renamed but did not remove.
fn leftovers(layout: &Layout) -> Result<Vec<OsString>> {
    let names = layout.protocol().list()?.into_iter().map(|(name, _)| name);
    Ok(names.filter(|name| name.as_bytes().starts_with(REMOVAL_PREFIX.as_bytes())).collect())
}

/// Splits the large objects of the youngest generation.
fn compactify(layout: &Layout, function: HashFunction) -> Result<()> {
    let store = Store::open_unlocked(layout, function)?;
    for kind in [Kind::File, Kind::Executable, Kind::Tree] {
        // Collected first: splitting adds and removes objects in the directories that are listed.
        let mut large = Vec::new();
        store.each_object(0, kind, |hash, size| {
            if size >= SPLIT_MIN_BYTES {
                large.push(hash);
            }
        })?;
        for hash in large {
            if kind == Kind::Executable {
                // An executable is made from the plain file on demand; only the plain file is worth splitting.
                if store.is_whole(&hash, taut_digest::ObjectType::File)? {
                    if let Some(object) = store.object(0, kind, &hash)? {
                        object.at().remove_file()?;
                    }
                    store.split(Kind::File, &hash)?;
                }
            } else {
                store.split(kind, &hash)?;
            }
        }
    }
    Ok(())
}
