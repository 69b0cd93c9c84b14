//! Damaged packs taken out of a repository that is to be repaired.
//!
//! The objects of a damaged pack can be had again; but as long as its index is there, a look-up may find them in it and
//! not where they were written anew, and `git gc` fails for good. What can still be read is written to another pack
//! first.

use std::{
    ffi::{OsStr, OsString},
    io::Read as _,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use sha1::{Digest as _, Sha1};
use taut_digest::Hash;
use taut_sys::if_exists;

use crate::{Result, Writer};

/// The length of an id, and of the checksums at the end of packs and indices.
const ID: usize = 20;

impl Writer {
    /// Removes packs if they or their indices are damaged; their intact objects stay in the repository.
    ///
    /// # Errors
    /// The repository cannot be read or written.
    pub fn remove_damaged_packs(&self) -> Result<()> {
        let unwritable = |error: taut_sys::Error| self.unwritable(error);
        for (name, _) in self.packs().list().map_err(unwritable)? {
            let Some(stem) = name.as_bytes().strip_suffix(b".idx") else { continue };
            let of = |extension: &[u8]| OsString::from_vec([stem, extension].concat());
            let index = self.read_pack_file(&name)?;
            let ids = index.as_deref().and_then(ids);
            // The index has the checksum of its pack before its own.
            let expected = index
                .as_deref()
                .and_then(|index| index.len().checked_sub(2 * ID).map(|at| &index[at..][..ID]));
            let own = self.checksum_of_pack(&of(b".pack"))?;
            if ids.is_some() && own.is_some() && own.as_ref().map(|own| &own[..]) == expected {
                continue;
            }
            let mut intact = self.batch();
            for id in ids.unwrap_or_default() {
                if let Ok(Some(object)) = self.repository().read(&id) {
                    intact.object(object.kind, &object.content)?;
                }
            }
            // Before the others are written: theirs may be a pack of the same name. Without an index it is not a pack
            // to git.
            for extension in [&b".idx"[..], b".rev", b".pack"] {
                if_exists(self.packs().at(&of(extension)).remove_file()).map_err(unwritable)?;
            }
            self.repository().forget();
            intact.finish()?;
            self.repository().forget();
        }
        Ok(())
    }

    /// The content of a file beside the packs; `None` if it cannot be read as a whole.
    fn read_pack_file(&self, name: &OsStr) -> Result<Option<Vec<u8>>> {
        if_exists(self.packs().at(name).read()).map_err(|error| self.unwritable(error))
    }

    /// The checksum of a pack, if it is the one at its end.
    fn checksum_of_pack(&self, name: &OsStr) -> Result<Option<[u8; ID]>> {
        let opened = if_exists(self.packs().at(name).open()).map_err(|error| self.unwritable(error))?;
        let Some(file) = opened else { return Ok(None) };
        let mut file = file.into_std();
        let (mut hasher, mut buffer) = (Sha1::new(), vec![0; 1 << 17]);
        // The last bytes that came are held back: at the end they are the checksum.
        let mut held: Vec<u8> = Vec::new();
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    held.extend_from_slice(&buffer[..read]);
                    let known = held.len().saturating_sub(ID);
                    hasher.update(&held[..known]);
                    held.drain(..known);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                // What cannot be read is damaged.
                Err(_) => return Ok(None),
            }
        }
        let own: [u8; ID] = hasher.finalize().into();
        Ok((held == own).then_some(own))
    }
}

/// The ids in an index of version 2 (`gitformat-pack(5)`), if its checksum is right.
fn ids(index: &[u8]) -> Option<Vec<Hash>> {
    // Behind the magic number, the version, and the fan-out table, whose last entry is the number of objects.
    const BEGIN: usize = 8 + 256 * 4;
    let content = index.len().checked_sub(ID)?;
    let own: [u8; ID] = Sha1::digest(&index[..content]).into();
    if index[content..] != own || !index.starts_with(b"\xfftOc\0\0\0\x02") {
        return None;
    }
    let count = u32::from_be_bytes(index.get(BEGIN - 4..BEGIN)?.try_into().ok()?) as usize;
    let all = index.get(BEGIN..BEGIN.checked_add(count.checked_mul(ID)?)?)?;
    Some(all.chunks_exact(ID).map(|id| Hash::sha1(id.try_into().expect("it is as long"))).collect())
}
