//! Garbage collection: two generations, and nothing that is in use is lost.
//!
//! Users of the build root hold a shared lock on it. The collector holds the lock alone while it splits
//! and renames: the older generation goes to a name of its own, the younger becomes the older. Removal,
//! which takes longest, happens after that, with the lock shared. Objects in use come back by uplinking.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

use taut_digest::{Hash, HashFunction};
use taut_sys::{FileKind, Lock, fs};

use crate::{
    Result, Store,
    layout::{GENERATIONS, Kind, Layout},
    own::forgotten,
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
    let layout = Layout::new(build_root, HashFunction::GitSha1);
    fs::create_dir_all(layout.protocol())?;
    let lock = Lock::exclusive(&layout.gc_lock(), busy)?;
    let mut doomed: Vec<_> = leftovers(&layout)?;
    let mut doom = |path: &Path| -> Result<()> {
        if fs::if_exists(fs::lstat(path))?.is_some() {
            let mut to = layout.protocol().to_owned();
            // A process of our number may have left some before.
            for number in doomed.len().. {
                to = layout.protocol().join(format!("remove-me{}-{number}", std::process::id()));
                if fs::if_exists(fs::lstat(&to))?.is_none() {
                    break;
                }
            }
            fs::rename(path, &to)?;
            doomed.push(to);
        }
        Ok(())
    };
    match mode {
        GcMode::All => {
            for generation in 0..GENERATIONS {
                doom(&layout.generation(generation))?;
            }
            doom(&layout.own())?;
        }
        GcMode::NoRotate | GcMode::Rotate => {
            doom(&layout.ephemeral())?;
            for function in [HashFunction::GitSha1, HashFunction::Sha256] {
                compactify(build_root, function)?;
            }
            if mode == GcMode::Rotate {
                for generation in (0..GENERATIONS).rev() {
                    let path = layout.generation(generation);
                    if generation + 1 == GENERATIONS {
                        doom(&path)?;
                    } else if fs::if_exists(fs::lstat(&path))?.is_some() {
                        fs::rename(&path, &layout.generation(generation + 1))?;
                    }
                }
                // What is in their way there is no reason to keep objects.
                for path in forgotten(&layout).unwrap_or_default() {
                    doom(&path)?;
                }
            }
        }
    }
    lock.downgrade()?;
    doomed.iter().try_for_each(|path| Ok(fs::remove_all(path)?))
}

/// What earlier collections did not get to remove.
fn leftovers(layout: &Layout) -> Result<Vec<std::path::PathBuf>> {
    let entries = fs::list(layout.protocol())?.into_iter();
    let ours = entries.filter(|(name, _)| name.as_bytes().starts_with(b"remove-me"));
    Ok(ours.map(|(name, _)| layout.protocol().join(name)).collect())
}

/// Splits the large objects of the youngest generation.
fn compactify(build_root: &Path, function: HashFunction) -> Result<()> {
    let layout = Layout::new(build_root, function);
    for kind in [Kind::File, Kind::Executable, Kind::Tree] {
        let mut large = Vec::new();
        each_object(&layout, kind, |hash, size| {
            if size >= SPLIT_FROM {
                large.push(hash);
            }
        })?;
        if large.is_empty() {
            continue;
        }
        let store = Store::open_unlocked(build_root, function)?;
        for hash in large {
            if kind == Kind::Executable {
                // Reconstructed from the plain file on demand; only that is worth splitting.
                if store.is_whole(&hash, taut_digest::ObjectType::File)? {
                    fs::remove_file(&layout.object(0, kind, &hash))?;
                    store.split(Kind::File, &hash)?;
                }
            } else {
                store.split(kind, &hash)?;
            }
        }
    }
    Ok(())
}

fn each_object(layout: &Layout, kind: Kind, mut visit: impl FnMut(Hash, u64)) -> Result<()> {
    let directory = layout.store(0, kind);
    for (shard, _) in fs::if_exists(fs::list(&directory))?.unwrap_or_default() {
        for (rest, entry) in fs::if_exists(fs::list(&directory.join(&shard)))?.unwrap_or_default() {
            let path = directory.join(&shard).join(&rest);
            let text = |part: &OsStr| part.to_str().map(str::to_owned);
            let name = text(&shard).zip(text(&rest)).map(|(shard, rest)| shard + &rest);
            let hash = name.and_then(|name| Hash::from_hex(&name).ok());
            if let (Some(hash), FileKind::File) = (hash, entry) {
                visit(hash, fs::lstat(&path)?.len());
            }
        }
    }
    Ok(())
}
