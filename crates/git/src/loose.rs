//! Loose objects: one file each.
//!
//! Format: `gitformat-pack(5)` and `gitrepository-layout(5)`: `objects/ab/cdef…` is the deflated header and content.

use std::io::Write;

use flate2::{Compression, write::ZlibEncoder};
use taut_digest::Hash;
use taut_sys::{Dir, Result};

use crate::{Kind, temporary::Temporary};

/// Writes an object that is not there. It is on the disk before it has its name.
pub(crate) fn write_loose(objects: &Dir, kind: Kind, content: &[u8], id: &Hash) -> Result<()> {
    let hex = id.to_hex();
    let (shard, rest) = hex.split_at(2);
    let (temporary, file) = Temporary::create(objects, "tmp_obj_")?;
    // Time counts more than size, since few objects of a batch are loose.
    let mut encoder = ZlibEncoder::new(file, Compression::fast());
    let written = encoder
        .write_all(format!("{} {}\0", kind.name(), content.len()).as_bytes())
        .and_then(|()| encoder.write_all(content))
        .and_then(|()| encoder.finish())
        .and_then(|file| file.sync_all());
    written.map_err(|error| temporary.error("write", error))?;
    // Only now: `git gc` removes empty shards, so one that was made before the content was written could be gone.
    let shard = objects.at(shard).make_dir_if_absent()?;
    temporary.rename_to(&shard, rest)
}
