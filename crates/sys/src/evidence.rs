//! What was seen of a path, for telling later, without reading it, that it is unchanged.

use std::path::Path;

use rustix::time::{ClockId, clock_gettime};

use crate::{Result, StatSignature, fs};

/// How much older than the present a change time has to be to be believed: clocks of file systems tick at
/// up to two seconds, and a change within the tick in which one looked leaves no trace in them.
const MARGIN: i128 = 2_000_000_000;

/// The signature of a path, or its absence, and whether a later change must show in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Evidence {
    signature: Option<StatSignature>,
    is_firm: bool,
}

impl Evidence {
    /// Looks at a path; to be called before its content is read, so that a change in between makes the
    /// evidence fail. Follows a link there, if told so.
    ///
    /// # Errors
    /// Whatever keeps one from knowing what is there.
    pub fn gather(path: &Path, follow: bool) -> Result<Evidence> {
        let now = clock_gettime(ClockId::RealtimeCoarse);
        let now = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
        let metadata = fs::if_exists(if follow { fs::stat(path) } else { fs::lstat(path) })?;
        let signature = metadata.map(|metadata| StatSignature::of(&metadata));
        let is_firm = signature.is_none_or(|signature| !signature.is_racy(now - MARGIN));
        Ok(Evidence { signature, is_firm })
    }

    /// Whether what is there now must be what was there then.
    pub fn shows_the_same_as(&self, now: &Evidence) -> bool {
        self.is_firm && self.signature == now.signature
    }

    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.is_firm)];
        if let Some(s) = &self.signature {
            bytes.extend(s.size.to_le_bytes());
            bytes.extend(s.mtime.to_le_bytes());
            bytes.extend(s.ctime.to_le_bytes());
            bytes.extend(s.device.to_le_bytes());
            bytes.extend(s.inode.to_le_bytes());
            bytes.extend(s.mode.to_le_bytes());
        }
        bytes
    }

    /// From the bytes that [`Evidence::encode`] made.
    pub fn decode(bytes: &[u8]) -> Option<Evidence> {
        fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
            let (taken, rest) = from.split_first_chunk::<N>()?;
            *from = rest;
            Some(*taken)
        }
        let (firm, mut rest) = bytes.split_first()?;
        let signature = if rest.is_empty() {
            None
        } else {
            Some(StatSignature {
                size: u64::from_le_bytes(take(&mut rest)?),
                mtime: i128::from_le_bytes(take(&mut rest)?),
                ctime: i128::from_le_bytes(take(&mut rest)?),
                device: u64::from_le_bytes(take(&mut rest)?),
                inode: u64::from_le_bytes(take(&mut rest)?),
                mode: u32::from_le_bytes(take(&mut rest)?),
            })
        };
        (rest.is_empty() && *firm <= 1).then_some(Evidence { signature, is_firm: *firm == 1 })
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn gather(path: &Path) -> Evidence {
        let evidence = Evidence::gather(path, true).unwrap();
        assert_eq!(Evidence::decode(&evidence.encode()), Some(evidence));
        evidence
    }

    #[test]
    fn what_has_just_changed_proves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("f");
        std::fs::write(&file, "1").unwrap();
        let evidence = gather(&file);
        assert!(!evidence.shows_the_same_as(&gather(&file)));
        // No call sets the change time: an old modification time does not help.
        let old = SystemTime::now() - Duration::from_secs(100);
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
        assert!(!gather(&file).shows_the_same_as(&gather(&file)));
    }

    #[test]
    fn absence_and_old_files_are_firm_evidence() {
        let directory = tempfile::tempdir().unwrap();
        let absent = gather(&directory.path().join("absent"));
        assert!(absent.shows_the_same_as(&absent));
        let old = gather(Path::new("/proc/self/exe"));
        assert!(!old.shows_the_same_as(&absent));
        assert!(!absent.shows_the_same_as(&old));
    }

    #[test]
    fn damaged_bytes_are_no_evidence() {
        let bytes = gather(Path::new("/")).encode();
        for end in 2..bytes.len() {
            assert_eq!(Evidence::decode(&bytes[..end]), None);
        }
        assert_eq!(Evidence::decode(&[]), None);
        assert_eq!(Evidence::decode(&[2]), None);
    }
}
