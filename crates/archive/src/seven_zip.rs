//! 7z archives.
//!
//! Modes and links are those that the ports of 7-Zip to Unix write into the attributes. Format: `7zFormat.txt` of
//! 7-Zip.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use sevenz_rust2::{ArchiveEntry, ArchiveReader, Password};
use taut_digest::ObjectType;
use taut_git::ObjectSink;

use crate::{Error, Fault, Limits, Result, Unpacked, error::store, layout::Layout, limits::Budget};

// The signature in 7zFormat.txt of the LZMA SDK.
const MAGIC: &[u8] = b"7z\xbc\xaf\x27\x1c";

/// How much memory a decoder may need, in KiB.
// The archive chooses the size of the dictionary, up to 4 GiB; the presets of 7-Zip need much less than this.
const MAX_MEMORY: usize = 1 << 20;

/// The largest target of a symbolic link in bytes.
// It is held in memory, and the archive chooses its size; systems take 4 KiB at most.
const MAX_TARGET: u64 = 1 << 16;

fn corrupt(error: &io::Error) -> Error {
    Error::new(Fault::of_reader(&error.to_string()))
}

/// Whether a file begins as a 7z archive.
pub(crate) fn is_seven_zip(source: &mut (impl Read + Seek)) -> Result<bool> {
    let mut start = Vec::new();
    let read =
        source.rewind().and_then(|()| source.by_ref().take(MAGIC.len() as u64).read_to_end(&mut start));
    read.map_err(|error| corrupt(&error))?;
    Ok(start == MAGIC)
}

/// Reads a 7z archive.
pub(crate) fn read(
    source: &mut (impl Read + Seek),
    limits: &Limits,
    sink: &mut dyn ObjectSink,
) -> Result<Unpacked> {
    let size = source.seek(SeekFrom::End(0)).map_err(|error| corrupt(&error))?;
    source.rewind().map_err(|error| corrupt(&error))?;
    let mut budget = Budget::new(limits, size);
    let mut layout = Layout::new(limits);
    // No password: encrypted contents then fail with an error that says so.
    let opened = ArchiveReader::new_with_memory_limit(BufReader::new(source), Password::empty(), MAX_MEMORY);
    let mut archive = opened.map_err(|error| fault(&error))?;
    // Errors of entries pass through the library as text only.
    let mut failed = None;
    let read = archive.for_each_entries(|item, content| {
        let done = budget.entry().and_then(|()| entry(item, content, &budget, &mut layout, sink));
        done.map(|()| true).map_err(|error| {
            // A reader that was stopped by the limit looks like a damaged archive; the limit is the cause to report.
            let error = budget.check().err().unwrap_or(error);
            let text = error.to_string();
            failed = Some(error);
            sevenz_rust2::Error::Other(text.into())
        })
    });
    match (failed, read) {
        (Some(error), _) => Err(error),
        (None, Err(error)) => Err(fault(&error)),
        (None, Ok(())) => layout.finish(sink),
    }
}

fn fault(error: &sevenz_rust2::Error) -> Error {
    use sevenz_rust2::Error as Seven;

    Error::new(match error {
        Seven::PasswordRequired | Seven::MaybeBadPassword(_) => Fault::Encrypted,
        Seven::UnsupportedCompressionMethod(method) if method.contains("AES") => Fault::Encrypted,
        Seven::Io(error, _) => Fault::of_reader(&error.to_string()),
        Seven::UnsupportedCompressionMethod(method) => {
            Fault::Unsupported(format!("it is compressed by {}, which is not supported", method_name(method)))
        }
        Seven::MaxMemLimited { max_kb, .. } => {
            Fault::Unsupported(format!("to read it needs more memory than the limit of {max_kb} KiB"))
        }
        Seven::UnsupportedVersion { major, minor } => Fault::Unsupported(format!(
            "it has version {major}.{minor} of the 7z format, which is not supported"
        )),
        // The library shows its errors as names of its types.
        error => Fault::Corrupt(match error {
            Seven::ChecksumVerificationFailed | Seven::NextHeaderCrcMismatch => {
                "its content has another checksum than it says".to_owned()
            }
            Seven::BadTerminatedStreamsInfo(_)
            | Seven::BadTerminatedUnpackInfo
            | Seven::BadTerminatedPackInfo(_)
            | Seven::BadTerminatedSubStreamsInfo
            | Seven::BadTerminatedHeader(_) => "the list of its entries is damaged".to_owned(),
            Seven::Other(text) | Seven::Unsupported(text) => return Error::new(Fault::of_reader(text)),
            error => error.to_string(),
        }),
    })
}

/// The name of a compression method. For a method that the library does not know it gives a list of decimal numbers,
/// the bytes of its id: these are shown in hexadecimal, as in the documentation of 7-Zip.
fn method_name(method: &str) -> String {
    let list = method.strip_prefix('[').and_then(|list| list.strip_suffix(']'));
    let bytes = list.and_then(|list| list.split(", ").map(|byte| byte.parse::<u8>().ok()).collect());
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    bytes.map_or_else(|| method.to_owned(), |bytes| format!("method {}", hex(bytes)))
}

fn entry(
    item: &ArchiveEntry,
    content: &mut dyn Read,
    budget: &Budget,
    layout: &mut Layout,
    sink: &mut dyn ObjectSink,
) -> Result<()> {
    let name = item.name.as_bytes();
    // Bit 15: the upper half of the attributes is the mode that Unix has.
    let has_mode = item.has_windows_attributes && item.windows_attributes & 0x8000 != 0;
    let mode = if has_mode { item.windows_attributes >> 16 } else { 0 };
    // It belongs to an update of a directory that exists, and an archive becomes a new tree.
    if item.is_anti_item {
        return Err(Error::at(name, Fault::SpecialFile("an instruction to delete a file")));
    }
    match mode & 0o170000 {
        // First: archives from Windows have no mode.
        _ if item.is_directory => layout.directory(name),
        0o040000 => layout.directory(name),
        0o120000 => {
            let mut target = Vec::new();
            // One byte more than allowed, which distinguishes a target that is too long from one of the largest
            // length.
            let read = budget.count(content).take(MAX_TARGET + 1).read_to_end(&mut target);
            read.map_err(|error| corrupt(&error).of(name))?;
            if target.is_empty() || target.contains(&0) || target.len() as u64 > MAX_TARGET {
                return Err(Error::at(name, Fault::BadTarget));
            }
            let hash = sink.blob(&target).map_err(|error| store(name, error))?;
            layout.object(name, hash, ObjectType::Symlink)
        }
        kind => {
            if let Some(special) = Fault::of_special(kind) {
                return Err(Error::at(name, special));
            }
            // An empty file has no stream, so there is nothing to read for it.
            let size = if item.has_stream { item.size } else { 0 };
            let hash = sink.blob_from(size, &mut budget.count(content));
            let hash = hash.map_err(|error| store(name, error))?;
            let object_type = if mode & 0o111 == 0 { ObjectType::File } else { ObjectType::Executable };
            layout.object(name, hash, object_type)
        }
    }
}
