//! Copies of objects in a store that names objects in another way.

use std::{
    collections::HashMap,
    io::{self, Read as _},
};

use taut_digest::{Digest, Hash, ObjectInfo, ObjectType, TreeEntry};
use taut_service::Receiver as _;

use crate::{Error, Result, Store, cas::missing};

impl Store {
    /// Copies an object with all that is below it from another store. Returns it under the name that it has here.
    ///
    /// # Errors
    /// Something of it is missing there, or a store cannot be read or written.
    pub fn copy_from(&self, from: &Store, object: &ObjectInfo) -> Result<ObjectInfo> {
        let entry =
            |object: &ObjectInfo| TreeEntry { hash: object.digest.hash, object_type: object.object_type };
        let mut names: HashMap<(Hash, ObjectType), Digest> = HashMap::new();
        // What is to be copied, the next one last; depth is data.
        let mut steps = vec![(entry(object), false)];
        while let Some((entry, is_open)) = steps.pop() {
            let key = (entry.hash, entry.object_type);
            if names.contains_key(&key) {
                continue;
            }
            let digest = match entry.object_type {
                ObjectType::Tree => {
                    let entries = from.read_tree(&entry.hash)?.ok_or_else(|| missing(&entry))?;
                    if !is_open {
                        // Pushed before its entries, so popped after them.
                        steps.push((entry, true));
                        steps.extend(entries.into_values().map(|below| (below, false)));
                        continue;
                    }
                    let renamed = entries.into_iter().map(|(name, below)| {
                        let hash =
                            names.get(&(below.hash, below.object_type)).map_or(below.hash, |it| it.hash);
                        (name, TreeEntry { hash, ..below })
                    });
                    self.put_tree(&renamed.collect())?
                }
                ObjectType::File => self.copy_file(from, &entry.hash)?.ok_or_else(|| missing(&entry))?,
                object_type => {
                    let bytes = from.read(&entry.hash, object_type)?.ok_or_else(|| missing(&entry))?;
                    self.put_blob(&bytes, object_type == ObjectType::Executable)?
                }
            };
            names.insert(key, digest);
        }
        let digest = names[&(object.digest.hash, object.object_type)];
        Ok(ObjectInfo { digest, object_type: object.object_type })
    }

    /// Copies a file piece by piece, since archives are large.
    fn copy_file(&self, from: &Store, hash: &Hash) -> Result<Option<Digest>> {
        let Some((mut file, size)) = from.open_file(hash)? else { return Ok(None) };
        let failed = |error: io::Error| Error::Transfer(error.to_string());
        let incoming = self.incoming(size, false);
        incoming.begin().map_err(failed)?;
        // 128 KiB.
        let mut buffer = vec![0; 1 << 17];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return incoming.finish(None),
                Ok(read) => incoming.piece(&buffer[..read]).map_err(failed)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use std::collections::BTreeMap;

    use taut_digest::HashFunction;

    use super::*;

    #[test]
    fn a_copy_has_the_same_contents_under_other_names() {
        let dir = tempfile::tempdir().unwrap();
        let [native, standard] = [HashFunction::GitSha1, HashFunction::Sha256]
            .map(|function| Store::open(dir.path(), function).unwrap());
        let file = |bytes: &[u8], object_type| TreeEntry {
            hash: native.put_blob(bytes, object_type == ObjectType::Executable).unwrap().hash,
            object_type,
        };
        let below = BTreeMap::from([
            ("file", file(b"text", ObjectType::File)),
            ("link", file(b"file", ObjectType::Symlink)),
            ("program", file(b"text", ObjectType::Executable)),
        ]);
        let below = TreeEntry { hash: native.put_tree(&below).unwrap().hash, object_type: ObjectType::Tree };
        let digest = native.put_tree(&BTreeMap::from([("again", below), ("below", below)])).unwrap();
        let copy =
            standard.copy_from(&native, &ObjectInfo { digest, object_type: ObjectType::Tree }).unwrap();
        let top = standard.read_tree(&copy.digest.hash).unwrap().unwrap();
        assert_eq!(top[&b"again"[..]], top[&b"below"[..]]);
        let found = standard.read_tree(&top[&b"below"[..]].hash).unwrap().unwrap();
        let read = |name: &str| {
            let entry = found[name.as_bytes()];
            (entry.object_type, standard.read(&entry.hash, entry.object_type).unwrap().unwrap())
        };
        assert_eq!(read("file"), (ObjectType::File, b"text".to_vec()));
        assert_eq!(read("link"), (ObjectType::Symlink, b"file".to_vec()));
        assert_eq!(read("program"), (ObjectType::Executable, b"text".to_vec()));
        let absent = ObjectInfo {
            digest: Digest { hash: HashFunction::GitSha1.blob(b"absent"), size: 6 },
            object_type: ObjectType::File,
        };
        assert!(matches!(standard.copy_from(&native, &absent), Err(Error::Missing(_))));
    }
}
