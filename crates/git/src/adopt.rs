//! Packs that `git` wrote into a temporary repository, taken over as they are.
//!
//! To move a pack costs nothing, however large it is. A repository that was fetched without the commits before has them
//! listed in its file `shallow` (`gitformat-shallow`); without these lines `git fsck` and `git gc` would miss parents.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    time::{Duration, SystemTime},
};

use taut_sys::{Dir, Links, Lock, if_exists};

use crate::{Result, Writer};

/// How long another process may hold the lock of the file `shallow`. An older lock was left by a killed process. git
/// holds it longer than one small write only during a transfer, and no transfer is made into this repository.
const MAX_LOCK_TIME: Duration = Duration::from_secs(10);

/// Held by each taut that writes the file `shallow`: the system releases it when the process ends.
const OWN_LOCK: &str = "taut-shallow";

impl Writer {
    /// Moves all packs of another repository on the same file system here, with its list of commits without parents.
    ///
    /// # Errors
    /// They cannot be moved.
    pub fn adopt_packs_of(&self, other: &Writer) -> Result<()> {
        let moved = self.adopt(other);
        // Also after an error: some packs may have been moved, and an open database has read the list of packs
        // before.
        self.repository().forget();
        moved.map_err(|error| self.unwritable(error))
    }

    fn adopt(&self, other: &Writer) -> taut_sys::Result<()> {
        // First the list: with lines too many nothing is wrong.
        if let Some(shallow) = if_exists(other.directory().at("shallow").read())? {
            self.add_shallow(&shallow)?;
        }
        // Moving one file after the other is enough: an interrupted call leaves packs without an index, which git
        // ignores.
        let (from, to) = (other.packs(), self.packs());
        let names = from.list()?;
        let with_extension = |extension: &'static [u8]| {
            names.iter().map(|(name, _)| name.as_os_str()).filter(move |name| {
                let name = name.as_bytes();
                name.starts_with(b"pack-") && name.ends_with(extension)
            })
        };
        // Readers find a pack by its index, so the index comes last.
        let in_order = [&b".pack"[..], b".rev", b".idx"].map(with_extension);
        for name in in_order.into_iter().flatten() {
            let name: &OsStr = name;
            // Packs are named by a hash of what they contain, so a file that is replaced had the same objects.
            from.at(name).rename(to.at(name))?;
        }
        Ok(())
    }

    /// Whether there are objects outside of packs.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn has_loose_objects(&self) -> Result<bool> {
        let names = self.objects().list().map_err(|error| self.unwritable(error))?;
        Ok(names.iter().any(|(name, _)| is_shard(name)))
    }

    /// How many bytes its objects have as they are stored: packs, and single objects.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn stored_bytes(&self) -> Result<u64> {
        let sum = || -> taut_sys::Result<u64> {
            let mut bytes = 0;
            for (name, _) in self.objects().list()? {
                let is_shard = is_shard(&name);
                if !is_shard && name != "pack" {
                    continue;
                }
                let directory = self.objects().sub(&name, Links::Refused)?;
                for (name, _) in directory.list()? {
                    if is_shard || name.as_bytes().ends_with(b".pack") {
                        bytes += directory.at(&name).lstat()?.size();
                    }
                }
            }
            Ok(bytes)
        };
        sum().map_err(|error| self.unwritable(error))
    }

    /// Adds lines to the file `shallow`. Its lock is the one that git uses: the file that replaces it. A process that
    /// is killed leaves it, and then git has every later fetch fail.
    fn add_shallow(&self, lines: &[u8]) -> taut_sys::Result<()> {
        use std::io::Write;

        let directory: &Dir = self.directory();
        // So a lock that is there belongs to no taut that runs.
        let _alone = Lock::exclusive(directory.at(OWN_LOCK), || {})?;
        let lock = directory.at("shallow.lock");
        let (mut waited, mut waited_for) = (Duration::ZERO, None);
        let mut file = loop {
            match lock.create_new(0o644) {
                Ok(file) => break file.into_std(),
                Err(error) if error.is_exists() => {}
                Err(error) => return Err(error),
            }
            let Some(found) = if_exists(lock.lstat())? else { continue };
            if waited_for != Some(found.identity()) {
                (waited, waited_for) = (Duration::ZERO, Some(found.identity()));
            }
            // By its own time, and, in case that is in the future, by that of the wait.
            let age = SystemTime::now().duration_since(found.modified()).unwrap_or_default();
            if age.max(waited) >= MAX_LOCK_TIME {
                if_exists(lock.remove_file())?;
                continue;
            }
            let pause = Duration::from_millis(20);
            std::thread::sleep(pause);
            waited += pause;
        };
        let written = (|| {
            // Read only under the lock, so lines that another process adds meanwhile are not lost.
            let present = if_exists(directory.at("shallow").read())?.unwrap_or_default();
            // Sorted and without duplicates: a commit that is fetched again adds no line.
            let ids: BTreeSet<&[u8]> = [&present, lines]
                .into_iter()
                .flat_map(|lines| lines.split(|&byte| byte == b'\n'))
                .filter(|line| !line.is_empty())
                .collect();
            let content: Vec<u8> = ids.iter().flat_map(|id| [id, &b"\n"[..]].concat()).collect();
            let written = file.write_all(&content).and_then(|()| file.sync_all());
            written.map_err(|error| taut_sys::Error::new("write", &lock.path(), error))?;
            lock.rename(directory.at("shallow"))
        })();
        written.inspect_err(|_| {
            // A lock that remained would block git and all later fetches.
            let _ = lock.remove_file();
        })
    }
}

/// Whether a directory of objects is one of single objects: the first two digits of their ids.
fn is_shard(name: &OsStr) -> bool {
    name.len() == 2 && name.as_bytes().iter().all(u8::is_ascii_hexdigit)
}
