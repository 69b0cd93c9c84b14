//! Garbage collection: two generations, and nothing that is in use is lost.
//!
//! Users of the build root hold a shared lock on it. The collector holds the lock alone while it splits
//! and renames: the older generation goes to a name of its own, the younger becomes the older. Removal,
//! which takes longest, happens after that, with the lock shared. Objects in use come back by uplinking.

use std::{ffi::OsString, os::unix::ffi::OsStrExt, path::Path};

use taut_digest::HashFunction;
use taut_sys::{At, Lock, if_exists};

use crate::{
    Result, Store,
    layout::{EPHEMERAL, GENERATIONS, Kind, Layout, generation},
    own::forgotten,
    pending::remove_left_behind,
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
const SPLIT_FROM: u64 = 3 * 1024 * 1024;

/// Collects garbage in a build root, for all hash functions. Waits until nobody uses the build root, and calls
/// `busy` if somebody does.
pub fn gc(build_root: &Path, mode: GcMode, busy: impl FnOnce()) -> Result<()> {
    let layout = Layout::open(build_root, HashFunction::GitSha1)?;
    let lock = Lock::exclusive(layout.gc_lock(), busy)?;
    let mut doomed: Vec<OsString> = leftovers(&layout)?;
    let mut doom = |at: At<'_>| -> Result<()> {
        if at.exists()? {
            // A process of our number may have left some before.
            for number in doomed.len().. {
                let name = OsString::from(format!("{DOOMED}{}-{number}", std::process::id()));
                let to = layout.protocol().at(&name);
                if !to.exists()? {
                    at.rename(to)?;
                    doomed.push(name);
                    break;
                }
            }
        }
        Ok(())
    };
    match mode {
        GcMode::All => {
            for number in 0..GENERATIONS {
                doom(layout.protocol().at(&generation(number)))?;
            }
            doom(layout.own())?;
        }
        GcMode::NoRotate | GcMode::Rotate => {
            doom(layout.protocol().at(EPHEMERAL))?;
            for function in [HashFunction::GitSha1, HashFunction::Sha256] {
                compactify(&layout, function)?;
            }
            if mode == GcMode::Rotate {
                for number in (0..GENERATIONS).rev() {
                    let name = generation(number);
                    let at = layout.protocol().at(&name);
                    if number + 1 == GENERATIONS {
                        doom(at)?;
                    } else if at.exists()? {
                        at.rename(layout.protocol().at(&generation(number + 1)))?;
                    }
                }
                // What is in their way is no reason to keep objects.
                if let Some(own) = if_exists(layout.own().open_dir())? {
                    for name in forgotten(&layout).unwrap_or_default() {
                        doom(own.at(&name))?;
                    }
                }
            }
        }
    }
    lock.downgrade()?;
    // What keeps one thing from being removed keeps nothing else from it.
    let notes = layout.own().dir().sub("taut/installing", taut_sys::Links::Refused);
    let notes = notes.map_err(crate::Error::from).and_then(|notes| remove_left_behind(&notes));
    drop(notes);
    let removals = doomed.iter().map(|name| layout.protocol().at(name).remove_all());
    let failed: Vec<_> = removals.filter_map(|removed| removed.err()).collect();
    failed.into_iter().next().map_or(Ok(()), |first| Err(first.into()))
}

/// Begins the names of what is to be removed.
const DOOMED: &str = "remove-me";

/// What earlier collections did not get to remove.
fn leftovers(layout: &Layout) -> Result<Vec<OsString>> {
    let names = layout.protocol().list()?.into_iter().map(|(name, _)| name);
    Ok(names.filter(|name| name.as_bytes().starts_with(DOOMED.as_bytes())).collect())
}

/// Splits the large objects of the youngest generation.
fn compactify(layout: &Layout, function: HashFunction) -> Result<()> {
    let store = Store::open_unlocked(layout, function)?;
    for kind in [Kind::File, Kind::Executable, Kind::Tree] {
        let mut large = Vec::new();
        store.each_object(0, kind, |hash, size| {
            if size >= SPLIT_FROM {
                large.push(hash);
            }
        })?;
        for hash in large {
            if kind == Kind::Executable {
                // Reconstructed from the plain file on demand; only that is worth splitting.
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
