//! A tree as a tar archive, reproducibly: no times, no owners, entries in the order of their names.
//!
//! The format is ustar of POSIX.1 (the page of `pax`); a pax header carries what does not fit there (long names, big
//! files). Directories and links have all permission bits set because the reference writes them so, and equal archives
//! have equal digests.

use std::io::{self, Write};

use taut_digest::{Hash, ObjectInfo, ObjectType};
use taut_store::{Error, Store};

// A header is one block, and each content is filled up to whole ones.
const BLOCK_BYTES: usize = 512;

/// Writes a tree as an archive.
///
/// # Errors
///
/// The outer one if writing fails, the inner one if an object cannot be read.
pub fn write_archive(store: &Store, tree: ObjectInfo, out: &mut dyn Write) -> io::Result<Result<(), Error>> {
    // Entries yet to be written, the next one last.
    let mut pending: Vec<(Vec<u8>, Hash, ObjectType)> =
        vec![(Vec::new(), tree.digest.hash, ObjectType::Tree)];
    while let Some((name, hash, object_type)) = pending.pop() {
        if object_type == ObjectType::Tree {
            let entries = match store.read_tree(&hash) {
                Ok(Some(entries)) => entries,
                Ok(None) => return Ok(Err(Error::Missing(object(hash, object_type)))),
                Err(error) => return Ok(Err(error)),
            };
            if !name.is_empty() {
                // Type flags: 5 is a directory, 2 a symbolic link, 0 a file, `x` a pax header.
                header(out, &name, 0o7777, 0, b'5', b"")?;
            }
            // In reverse, since the last one pushed is written next.
            for (entry, found) in entries.iter().rev() {
                let mut path = [name.as_slice(), entry].concat();
                if found.object_type == ObjectType::Tree {
                    path.push(b'/');
                }
                pending.push((path, found.hash, found.object_type));
            }
            continue;
        }
        let content = match store.read(&hash, object_type) {
            Ok(Some(content)) => content,
            Ok(None) => return Ok(Err(Error::Missing(object(hash, object_type)))),
            Err(error) => return Ok(Err(error)),
        };
        if object_type == ObjectType::Symlink {
            header(out, &name, 0o7777, 0, b'2', &content)?;
            continue;
        }
        // As objects lie in the store: without permission to write.
        let mode = if object_type == ObjectType::Executable { 0o555 } else { 0o444 };
        header(out, &name, mode, content.len(), b'0', b"")?;
        out.write_all(&content)?;
        pad(out, content.len())?;
    }
    // Two blocks of zeros end an archive.
    out.write_all(&[0; 2 * BLOCK_BYTES])?;
    Ok(Ok(()))
}

fn object(hash: Hash, object_type: ObjectType) -> ObjectInfo {
    // The size is not known here; the store finds objects by their hashes.
    ObjectInfo { digest: taut_digest::Digest { hash, size: 0 }, object_type }
}

fn pad(out: &mut dyn Write, length: usize) -> io::Result<()> {
    out.write_all(&[0; BLOCK_BYTES][..length.next_multiple_of(BLOCK_BYTES) - length])
}

/// Writes the header block of an entry, and before it a pax header if it needs one.
fn header(out: &mut dyn Write, name: &[u8], mode: u32, size: usize, kind: u8, link: &[u8]) -> io::Result<()> {
    let split = split_name(name);
    let mut records = Vec::new();
    if split.is_none() {
        records.extend(pax_record("path", name));
    }
    // The field of the header has 100 bytes and needs no terminating zero.
    if link.len() > 100 {
        records.extend(pax_record("linkpath", link));
    }
    // What eleven octal digits cannot hold: 8 GiB and more.
    if size > 0o77_777_777_777 {
        records.extend(pax_record("size", size.to_string().as_bytes()));
    }
    if !records.is_empty() {
        out.write_all(&block((b"", b"PaxHeader"), 0o644, records.len(), b'x', b""))?;
        out.write_all(&records)?;
        pad(out, records.len())?;
    }
    let short = split.unwrap_or((b"", &name[..name.len().min(100)]));
    out.write_all(&block(short, mode, size, kind, &link[..link.len().min(100)]))?;
    Ok(())
}

/// Prefix and name as the header has them: at most 155 and 100 bytes, divided at a slash.
fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= 100 {
        return Some((b"", name));
    }
    let mut slashes = name.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(place, _)| place);
    slashes
        .rfind(|place| *place <= 155 && name.len() - place - 1 <= 100 && place + 1 < name.len())
        .map(|place| (&name[..place], &name[place + 1..]))
}

/// `length key=value\n`, where the length counts itself.
fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    // The digits that were added may have carried the length to one digit more.
    if length.to_string().len() + rest != length {
        length += 1;
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

fn block((prefix, name): (&[u8], &[u8]), mode: u32, size: usize, kind: u8, link: &[u8]) -> [u8; BLOCK_BYTES] {
    let mut block = [0; BLOCK_BYTES];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    // name, mode, uid, gid, size, mtime, chksum, typeflag, linkname, magic and version, devmajor, devminor, prefix.
    // How numbers are padded is left open by POSIX; these are the reference's bytes.
    put(0, name);
    put(100, format!("{mode:06o} \0").as_bytes());
    put(108, b"000000 \0");
    put(116, b"000000 \0");
    put(124, format!("{:011o} ", size.min(0o77_777_777_777)).as_bytes());
    put(136, b"00000000000 ");
    // The sum is taken with spaces in its own place.
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link);
    put(257, b"ustar\x0000");
    put(329, b"000000 \0");
    put(337, b"000000 \0");
    put(345, prefix);
    // The sum of all bytes as unsigned numbers, in six octal digits, a zero byte and a space.
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_divided_at_a_slash_or_carried_by_a_pax_header() {
        let long = [b"d".repeat(90), b"/".to_vec(), b"f".repeat(90)].concat();
        let (prefix, name) = split_name(&long).unwrap();
        assert_eq!((prefix.len(), name.len()), (90, 90));
        assert_eq!(split_name(&b"f".repeat(101)), None);
        assert_eq!(pax_record("path", b"ab"), b"11 path=ab\n");
        assert_eq!(pax_record("path", &b"a".repeat(90)).len(), 99);
        assert_eq!(pax_record("path", &b"a".repeat(91)).len(), 101);
    }
}
