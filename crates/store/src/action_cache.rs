//! Results of actions by the digest of the action.
//! An entry is the text `["<hash>",<size>]`, which names a file of the CAS that holds the serialised `ActionResult`
//! (Remote Execution API v2, `build.bazel.remote.execution.v2`). In native mode each hash inside a message is preceded
//! by two hexadecimal digits, `62` for blobs and `74` for trees, as the reference sends them over the wire.

use crate::{
    Result, Store,
    layout::{GENERATIONS, Kind},
    splice::{digest_text, parse_digest},
};
use taut_digest::{Digest, Hash, HashFunction, ObjectType};
use taut_proto::{ActionResult, Message};

impl Store {
    /// The result of an action, if it is cached and every object that it refers to is present in this build root.
    ///
    /// # Errors
    /// The build root cannot be read, or the entry cannot be linked into the youngest generation.
    pub fn cached_action(&self, action: &Hash) -> Result<Option<ActionResult>> {
        for generation in 0..GENERATIONS {
            // A damaged entry, a damaged result or one whose outputs are lost is a cache miss, not an error: the action
            // runs again and overwrites it.
            let Some(text) = self.read_small(generation, Kind::ActionCache, action)? else { continue };
            let Some(digest) = std::str::from_utf8(&text).ok().and_then(parse_digest) else { continue };
            let Some(encoded) = self.read(&digest.hash, ObjectType::File)? else { continue };
            let Ok(result) = ActionResult::decode(&encoded[..]) else { continue };
            if !self.has_all_of(&result)? {
                continue;
            }
            // `has_all_of` has brought the outputs up; the entry follows last, so that an entry never outlives its
            // objects.
            if generation != 0 {
                // What the youngest generation has is not an entry that counts, and must not keep this one from it.
                match self.object(0, Kind::ActionCache, action)? {
                    Some(other) if other.at().exists()? => self.put_entry(action, &digest)?,
                    _ => drop(self.uplink(Kind::ActionCache, action, None)?),
                }
            }
            return Ok(Some(result));
        }
        Ok(None)
    }

    /// Caches the result of an action. All that it refers to must have been stored before.
    ///
    /// # Errors
    /// The build root cannot be written to.
    pub fn cache_action(&self, action: &Hash, result: &ActionResult) -> Result<()> {
        // The result is an object first; the entry that names it comes last.
        let digest = self.put_blob(&result.encode_to_vec(), false)?;
        self.put_entry(action, &digest)
    }

    fn put_entry(&self, action: &Hash, digest: &Digest) -> Result<()> {
        let temporary = self.write_temporary(digest_text(digest).as_bytes(), 0o444)?;
        self.commit(temporary, Kind::ActionCache, action)
    }

    fn has_all_of(&self, result: &ActionResult) -> Result<bool> {
        let files = result.output_files.iter().map(|file| {
            let object_type = if file.is_executable { ObjectType::Executable } else { ObjectType::File };
            (file.digest.as_ref(), object_type)
        });
        let directories =
            result.output_directories.iter().map(|dir| (dir.tree_digest.as_ref(), ObjectType::Tree));
        let streams = [&result.stdout_digest, &result.stderr_digest].into_iter().flatten();
        let streams = streams.map(|digest| (Some(digest), ObjectType::File));
        for (digest, object_type) in files.chain(directories).chain(streams) {
            // A malformed digest means that the entry was written by another program or damaged: a miss.
            let Some(digest) = digest.and_then(|digest| self.from_wire(digest)) else { return Ok(false) };
            if !self.contains(&digest.hash, object_type)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A digest as messages carry it.
    pub fn to_wire(&self, digest: &Digest, is_tree: bool) -> taut_proto::Digest {
        let tag = match self.hash_function() {
            // In ASCII `t` for trees and `b` for blobs.
            HashFunction::GitSha1 if is_tree => "74",
            HashFunction::GitSha1 => "62",
            HashFunction::Sha256 => "",
        };
        taut_proto::Digest { hash: format!("{tag}{}", digest.hash), size_bytes: digest.size as i64 }
    }

    /// The digest that a message carries; `None` if it is not in the form that this store's hash function has.
    pub fn from_wire(&self, digest: &taut_proto::Digest) -> Option<Digest> {
        let hex = match self.hash_function() {
            // Either tag is accepted: which of the two fits is known by the field of the message, not by the hash.
            HashFunction::GitSha1 => {
                digest.hash.strip_prefix("62").or_else(|| digest.hash.strip_prefix("74"))?
            }
            HashFunction::Sha256 => &digest.hash,
        };
        Some(Digest { hash: Hash::from_hex(hex).ok()?, size: digest.size_bytes.try_into().ok()? })
    }
}
