//! What an installation that was killed left in the user's directory, and its removal.
//!
//! A file is installed by a rename of a complete one, which needs a temporary name in the output directory. Before the
//! first such name a note is written below the build root, and locked as long as the process lives. If the lock of a
//! note is free, its process died. The next installation or garbage collection removes the names in it.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use taut_sys::{Dir, FileKind, Lock};

use crate::{Result, Store};

/// The directory of notes, below that of everything that only taut uses.
pub(crate) const NOTES_DIRECTORY: &str = "installing";

/// The prefix of all temporary names in directories of the user.
// Hidden in listings, and recognisable for people.
const TEMPORARY_PREFIX: &str = ".taut-tmp-";

/// A note; its file is removed when this is dropped.
pub(crate) struct Pending {
    notes: Dir,
    name: String,
    _lock: Lock,
}

impl Pending {
    /// Notes that temporary names of this store's process will be in a directory.
    pub(crate) fn begin(store: &Store, top: &Dir) -> Result<Pending> {
        let notes = store.lasting_directory(NOTES_DIRECTORY)?;
        remove_left_behind(&notes)?;
        // Locked before it has content: another process that finds the note either cannot lock it, or finds it empty,
        // which names nothing to remove. In the second case it removes the note, so another one is made: what would be
        // written into a new file of that name would not be under the lock.
        let (name, lock) = loop {
            let name = format!("{}-{}", store.nonce(), store.next_number());
            let lock = Lock::exclusive(notes.at(&name), || {})?;
            if lock.is_of(notes.at(&name))? {
                break (name, lock);
            }
        };
        let at = notes.at(&name);
        // Absolute, since it is read by a process with another working directory.
        let path = std::path::absolute(top.path()).unwrap_or_else(|_| top.path().to_owned());
        // A path contains no zero byte, so the last one separates the fields.
        let text = [path.as_os_str().as_bytes(), b"\0", prefix(store).as_bytes()].concat();
        at.append()?.write_all(&text)?;
        Ok(Pending { notes, name, _lock: lock })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // If this fails, the next process that lists the notes removes it.
        let _ = self.notes.at(&self.name).remove_file();
    }
}

fn prefix(store: &Store) -> String {
    format!("{TEMPORARY_PREFIX}{}-", store.nonce())
}

/// A temporary name in a directory of the user.
pub(crate) fn temporary_name(store: &Store) -> PathBuf {
    format!("{}{}", prefix(store), store.next_number()).into()
}

/// Removes the temporary files of processes that died from directories of the user.
pub(crate) fn remove_left_behind(notes: &Dir) -> Result<()> {
    for (name, _) in notes.list()? {
        // The lock is the proof that the process is gone: the kernel releases it however a process ends.
        let note = notes.at(&name);
        let Ok(Some(_lock)) = Lock::try_exclusive(note) else { continue };
        let text = note.read().unwrap_or_default();
        if let Some((path, prefix)) = parse(&text)
            && let Ok(top) = Dir::of_user(path)
        {
            for (left, kind) in top.list().unwrap_or_default() {
                let is_ours = left.as_bytes().starts_with(prefix) && kind != FileKind::Directory;
                if is_ours {
                    // A file that is gone or cannot be removed is left.
                    let _ = top.at(&left).remove_file();
                }
            }
        }
        // The note goes last: if this process dies before, the next one finds it again.
        let _ = note.remove_file();
    }
    Ok(())
}

/// The directory and the prefix of the names. A note that names anything but temporary names of installations is
/// ignored, so that a forged one cannot remove other files.
fn parse(text: &[u8]) -> Option<(&Path, &[u8])> {
    let end = text.iter().rposition(|byte| *byte == 0)?;
    let (path, prefix) = (&text[..end], &text[end + 1..]);
    let is_sound = path.starts_with(b"/")
        && prefix.starts_with(TEMPORARY_PREFIX.as_bytes())
        && prefix.len() > TEMPORARY_PREFIX.len();
    is_sound.then(|| (Path::new(OsStr::from_bytes(path)), prefix))
}
