//! Verifies a download against the checksums and the id that its description gives.
//!
//! One pass over the file computes all hashes, since archives are large.

use std::{
    fs,
    io::{Read, Seek},
    path::Path,
};

use sha2::{Digest, Sha256, Sha512};
use taut_digest::{Hash, HashFunction};
use taut_sys::{fault, in_words};

use crate::Cause;

/// The hashes that a download must have; those that are absent are not checked.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Expected {
    /// Its id as a git blob: `content` of a description.
    pub blob: Option<Hash>,
    /// Its SHA-256, in hexadecimal of either case.
    pub sha256: Option<String>,
    /// Its SHA-512, in hexadecimal of either case.
    pub sha512: Option<String>,
}

// SHA-256 and SHA-512 come from descriptions; the id as a git blob is always computed, as it is what the download is
// stored under.
impl Expected {
    /// Reads a file from its beginning, and compares its hashes. Returns its id as a git blob.
    pub(crate) fn verify(&self, file: &mut fs::File, size: u64) -> Result<Hash, Cause> {
        let failed =
            |error: std::io::Error| Cause::File(format!("cannot read the download: {}", in_words(&error)));
        // After the transfer, not during it: in between, bytes may have been cut off and sent again.
        fault::point("read", Path::new("download")).and_then(|()| file.rewind()).map_err(failed)?;
        // Git's hash begins with the size, so the size has to be known before the first byte.
        let mut blob = HashFunction::GitSha1.blob_hasher(size);
        let mut sha256 = self.sha256.as_ref().map(|expected| (Sha256::new(), expected));
        let mut sha512 = self.sha512.as_ref().map(|expected| (Sha512::new(), expected));
        let mut buffer = vec![0; 1 << 17];
        loop {
            let read = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error)),
            };
            blob.update(&buffer[..read]);
            if let Some((hasher, _)) = &mut sha256 {
                hasher.update(&buffer[..read]);
            }
            if let Some((hasher, _)) = &mut sha512 {
                hasher.update(&buffer[..read]);
            }
        }
        // For the caller, which reads the open file: another process cannot replace that, unlike the name.
        file.rewind().map_err(failed)?;
        let blob = blob.finish();
        // First the checksums, as in the reference: of several hashes that differ, one is reported.
        if let Some((hasher, expected)) = sha256 {
            compare("SHA-256", expected, hex(&hasher.finalize()))?;
        }
        if let Some((hasher, expected)) = sha512 {
            compare("SHA-512", expected, hex(&hasher.finalize()))?;
        }
        if let Some(expected) = self.blob {
            compare("git blob id", &expected.to_hex(), blob.to_hex())?;
        }
        Ok(blob)
    }
}

fn compare(hash: &'static str, expected: &str, actual: String) -> Result<(), Cause> {
    // People copy checksums from pages, which write them in either case.
    if expected.eq_ignore_ascii_case(&actual) {
        return Ok(());
    }
    Err(Cause::Mismatch { hash, expected: expected.to_owned(), actual })
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
