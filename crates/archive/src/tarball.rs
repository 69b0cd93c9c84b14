//! Tar archives.

use std::io::{Read, Seek, SeekFrom};

use taut_digest::ObjectType;
use taut_git::ObjectSink;

use crate::{
    Error, Fault, Limits, Result, Unpacked, compression::decompress, layout::Layout, limits::Budget,
};

/// Reads a tar archive, compressed or not.
pub(crate) fn read(
    source: &mut (impl Read + Seek),
    limits: &Limits,
    sink: &mut dyn ObjectSink,
) -> Result<Unpacked> {
    let corrupt = |error: std::io::Error| Error::new(Fault::Corrupt(error.to_string()));
    let size = source.seek(SeekFrom::End(0)).map_err(corrupt)?;
    source.rewind().map_err(corrupt)?;
    let mut start = Vec::new();
    source.by_ref().take(512).read_to_end(&mut start).map_err(corrupt)?;
    source.rewind().map_err(corrupt)?;
    let mut budget = Budget::new(*limits, size);
    let reader = budget.count(decompress(&start, source)?);
    let mut layout = Layout::default();
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries().map_err(corrupt)? {
        let mut entry = entry.map_err(|error| budget.check().err().unwrap_or_else(|| corrupt(error)))?;
        budget.entry()?;
        let name = entry.path_bytes().into_owned();
        let executable = entry.header().mode().map_err(corrupt)? & 0o100 != 0;
        match entry.header().entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                let size = entry.size();
                let hash = sink.blob_from(size, &mut entry);
                let hash = hash.map_err(|error| Error::at(&name, Fault::Store(error)))?;
                let object_type = if executable { ObjectType::Executable } else { ObjectType::File };
                layout.object(&name, hash, object_type)?;
            }
            tar::EntryType::Directory => layout.directory(&name)?,
            tar::EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default();
                let hash = sink.blob(&target).map_err(|error| Error::at(&name, Fault::Store(error)))?;
                layout.object(&name, hash, ObjectType::Symlink)?;
            }
            tar::EntryType::Link => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                layout.hard_link(&name, &target)?;
            }
            tar::EntryType::XGlobalHeader => {}
            other => return Err(Error::at(&name, Fault::SpecialFile(format!("type {}", other.as_byte())))),
        }
    }
    layout.finish(sink)
}
