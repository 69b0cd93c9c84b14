//! How directories are encoded: as git's tree objects, or, in compatible mode, as the `Directory` messages of the
//! Remote Execution API.
//!
//! A message has the size of each entry and the target of each link, which the objects themselves say. So what is
//! encoded has to be stored, and the targets of what is decoded are stored as blobs of their own, as the reference
//! does it.

use std::collections::BTreeMap;

use taut_digest::{
    Digest, Hash, HashFunction, ObjectInfo, ObjectType, TreeEntry, TreeError, decode_git_tree,
    encode_git_tree, validate_entry_name,
};
use taut_proto::{Digest as WireDigest, Directory, DirectoryNode, FileNode, Message, SymlinkNode};

use crate::{Result, Store, cas::missing};

/// The files and directories of a `Directory` message as objects, with their sizes; none if it is not such a message.
pub(crate) fn measured_entries(encoded: &[u8]) -> Vec<ObjectInfo> {
    let directory = Directory::decode(encoded).unwrap_or_default();
    let object = |digest: &Option<WireDigest>, object_type| {
        let digest = digest.as_ref()?;
        let (hash, size) = (Hash::from_hex(&digest.hash).ok()?, digest.size_bytes.try_into().ok()?);
        Some(ObjectInfo { digest: Digest { hash, size }, object_type })
    };
    let files = directory.files.iter().map(|node| {
        let executable = if node.is_executable { ObjectType::Executable } else { ObjectType::File };
        object(&node.digest, executable)
    });
    let directories = directory.directories.iter().map(|node| object(&node.digest, ObjectType::Tree));
    files.chain(directories).flatten().collect()
}

impl Store {
    /// The files and directories of a directory with their sizes, in compatible mode, where a directory says them: they
    /// are known although an entry may be nowhere. None in native mode.
    ///
    /// # Errors
    /// As for [`Store::read`].
    pub fn measured_tree(&self, hash: &Hash) -> Result<Vec<ObjectInfo>> {
        if self.hash_function() == HashFunction::GitSha1 {
            return Ok(Vec::new());
        }
        Ok(measured_entries(&self.read(hash, ObjectType::Tree)?.unwrap_or_default()))
    }

    /// The bytes of a directory. Names are those of directory entries.
    pub(crate) fn encode_tree<N: AsRef<[u8]>>(&self, entries: &BTreeMap<N, TreeEntry>) -> Result<Vec<u8>> {
        match self.hash_function() {
            // Git's encoding takes no look at the entries themselves, the other one takes their sizes.
            HashFunction::GitSha1 => Ok(encode_git_tree(entries)),
            HashFunction::Sha256 => Ok(self.directory_message(entries)?.encode_to_vec()),
        }
    }

    /// The entries of a directory by its bytes, which match its name; in compatible mode, targets of links are stored.
    /// The inner error: the bytes are not a directory that can be used.
    pub(crate) fn decode_tree(
        &self,
        encoded: &[u8],
    ) -> Result<std::result::Result<BTreeMap<Vec<u8>, TreeEntry>, TreeError>> {
        match self.hash_function() {
            HashFunction::GitSha1 => Ok(decode_git_tree(encoded, 20)),
            HashFunction::Sha256 => match Directory::decode(encoded) {
                Ok(directory) => self.entries(&directory),
                Err(_) => Ok(Err(TreeError::Truncated)),
            },
        }
    }

    fn directory_message<N: AsRef<[u8]>>(&self, entries: &BTreeMap<N, TreeEntry>) -> Result<Directory> {
        let mut directory = Directory::default();
        // By name, and so are the entries of each kind: the message is canonical.
        for (name, entry) in entries {
            // The protocol has texts (`string` of protobuf), so other bytes cannot be represented in compatible mode.
            let name = String::from_utf8_lossy(name.as_ref()).into_owned();
            if entry.object_type == ObjectType::Symlink {
                let target = self.read(&entry.hash, ObjectType::Symlink)?.ok_or_else(|| missing(entry))?;
                let target = String::from_utf8_lossy(&target).into_owned();
                directory.symlinks.push(SymlinkNode { name, target });
                continue;
            }
            let size = self.size(&entry.hash, entry.object_type)?.ok_or_else(|| missing(entry))?;
            let digest = Some(WireDigest { hash: entry.hash.to_hex(), size_bytes: size as i64 });
            match entry.object_type {
                ObjectType::Tree => directory.directories.push(DirectoryNode { name, digest }),
                object_type => {
                    let is_executable = object_type == ObjectType::Executable;
                    directory.files.push(FileNode { name, digest, is_executable });
                }
            }
        }
        Ok(directory)
    }

    fn entries(
        &self,
        directory: &Directory,
    ) -> Result<std::result::Result<BTreeMap<Vec<u8>, TreeEntry>, TreeError>> {
        let mut entries = BTreeMap::new();
        let hash = |digest: &Option<WireDigest>| Hash::from_hex(&digest.as_ref()?.hash).ok();
        let files = directory.files.iter().map(|node| {
            let executable = if node.is_executable { ObjectType::Executable } else { ObjectType::File };
            (&node.name, hash(&node.digest), executable)
        });
        let directories =
            (directory.directories.iter()).map(|node| (&node.name, hash(&node.digest), ObjectType::Tree));
        // First, and not lazily as the others: storing a target may fail.
        let mut links = Vec::new();
        for node in &directory.symlinks {
            // Stored, not only hashed: the entry that names it must not refer to something absent.
            let target = self.put_blob(node.target.as_bytes(), false)?;
            links.push((&node.name, Some(target.hash), ObjectType::Symlink));
        }
        for (name, hash, object_type) in files.chain(directories).chain(links) {
            if !validate_entry_name(name.as_bytes()) {
                return Ok(Err(TreeError::BadName(name.clone())));
            }
            let Some(hash) = hash else { return Ok(Err(TreeError::Truncated)) };
            if entries.insert(name.clone().into_bytes(), TreeEntry { hash, object_type }).is_some() {
                return Ok(Err(TreeError::Duplicate(name.clone())));
            }
        }
        Ok(Ok(entries))
    }
}
