//! Zip archives.
//!
//! The central directory counts, in its order; local headers are used only to find the contents. Modes, kinds and names
//! with backslashes are taken as just-mr 1.6 takes them (`tests/golden`). Format: `APPNOTE.TXT` of PKWARE.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use taut_digest::ObjectType;
use taut_git::ObjectSink;
use zip::{
    CompressionMethod, System,
    read::{Config, ZipFile, ZipReadOptions},
    result::ZipError,
    unstable::read::ZipIterable,
};

use crate::{Error, Fault, Limits, Result, Unpacked, error::store, layout::Layout, limits::Budget};

/// The largest target of a symbolic link in bytes.
const MAX_TARGET: u64 = 1 << 16;

/// How an archive with entries begins: the signature of a local header.
const FIRST_HEADER: &[u8] = b"PK\x03\x04";

/// Reads a zip archive.
pub(crate) fn read(
    source: &mut (impl Read + Seek),
    limits: &Limits,
    sink: &mut dyn ObjectSink,
) -> Result<Unpacked> {
    let corrupt = |error: io::Error| Error::new(Fault::of_reader(&error.to_string()));
    let size = source.seek(SeekFrom::End(0)).map_err(corrupt)?;
    source.rewind().map_err(corrupt)?;
    let mut start = Vec::new();
    source.by_ref().take(4).read_to_end(&mut start).map_err(corrupt)?;
    source.rewind().map_err(corrupt)?;
    let mut budget = Budget::new(limits, size);
    let mut layout = Layout::new(limits);
    let mut archive =
        ZipIterable::try_new(BufReader::new(source), Config::default()).map_err(|error| match error {
            // So far the library has only looked for the central directory and its end.
            ZipError::InvalidArchive(_) if start == FIRST_HEADER => {
                Error::new(Fault::Corrupt("the list of its entries is missing".to_owned()))
            }
            ZipError::InvalidArchive(_) => Error::new(Fault::UnknownFormat),
            error => fault(error),
        })?;
    // First all of the directory, then the contents, mostly in the order of the file. `ZipArchive` of the library would
    // do the same, but keeps one entry for each name.
    let files = archive.files().map_err(fault)?;
    let mut entries = Vec::new();
    for entry in &mut *files {
        budget.entry()?;
        entries.push(entry.map_err(fault)?);
    }
    for entry in entries {
        let name = name(entry.name_raw());
        let file = entry.with_reader(files.reader_mut(), ZipReadOptions::new());
        let stored = file
            .map_err(|error| fault(error).of(&name))
            .and_then(|mut file| store_entry(&name, &mut file, &budget, &mut layout, sink));
        // The limit ends a reader with an error that the library reports as damage.
        stored.map_err(|error| budget.check().err().unwrap_or(error))?;
    }
    layout.finish(sink)
}

fn fault(error: ZipError) -> Error {
    Error::new(match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) | ZipError::InvalidPassword => {
            Fault::Encrypted
        }
        ZipError::Io(error) => Fault::of_reader(&error.to_string()),
        error => Fault::Corrupt(error.to_string()),
    })
}

/// The mode with the type of the file, as Unix has it.
fn unix_mode<R: Read>(file: &ZipFile<'_, R>) -> u32 {
    match file.system() {
        System::Unix => file.external_attributes() >> 16,
        // Bit 4 of the attributes of DOS: a directory.
        System::Dos if file.external_attributes() & 0x10 != 0 => 0o040755,
        _ => 0,
    }
}

/// The name as it is meant: some tools on Windows write backslashes, whatever the format says.
fn name(raw: &[u8]) -> Vec<u8> {
    let mut name = raw.to_vec();
    // A name with slashes follows the format, so a backslash in it is a character of the name.
    if !name.contains(&b'/') {
        name.iter_mut().filter(|byte| **byte == b'\\').for_each(|byte| *byte = b'/');
    }
    name
}

fn store_entry<R: Read>(
    name: &[u8],
    mut file: &mut ZipFile<'_, R>,
    budget: &Budget,
    layout: &mut Layout,
    sink: &mut dyn ObjectSink,
) -> Result<()> {
    if file.encrypted() {
        return Err(Error::at(name, Fault::Encrypted));
    }
    let (mode, size) = (unix_mode(file), file.size());
    let is_stored = file.compression() == CompressionMethod::Stored;
    // Readers that go by the one size and those that go by the other would see different contents.
    if is_stored && size != file.compressed_size() {
        return Err(Error::at(name, Fault::Corrupt("it has two sizes".to_owned())));
    }
    match mode & 0o170000 {
        // The only sign that archives without modes have.
        _ if name.ends_with(b"/") => layout.directory(name),
        0o040000 => layout.directory(name),
        0o120000 => {
            if size > MAX_TARGET {
                return Err(Error::at(name, Fault::BadTarget));
            }
            let mut target = Vec::new();
            let read = budget.count(&mut file).take(size + 1).read_to_end(&mut target);
            read.map_err(|error| Error::at(name, Fault::of_reader(&error.to_string())))?;
            if target.len() as u64 != size || target.is_empty() || target.contains(&0) {
                return Err(Error::at(name, Fault::BadTarget));
            }
            let hash = sink.blob(&target).map_err(|error| store(name, error))?;
            layout.object(name, hash, ObjectType::Symlink)
        }
        kind => {
            if let Some(special) = Fault::of_special(kind) {
                return Err(Error::at(name, special));
            }
            let mut content = budget.count(&mut file);
            let hash = sink.blob_from(size, &mut content).map_err(|error| store(name, error))?;
            // The end verifies the checksum.
            match content.read(&mut [0]) {
                Ok(0) => {}
                Ok(_) => {
                    return Err(Error::at(name, Fault::Corrupt("it is longer than its size".to_owned())));
                }
                Err(error) => return Err(Error::at(name, Fault::of_reader(&error.to_string()))),
            }
            let object_type = if mode & 0o111 == 0 { ObjectType::File } else { ObjectType::Executable };
            layout.object(name, hash, object_type)
        }
    }
}
