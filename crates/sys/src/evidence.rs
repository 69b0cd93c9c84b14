//! Evidence that a file is unchanged, without reading it; and whether it was unchanged while it was read.
//!
//! The evidence is the result of `stat`. It is conclusive only if every later change must alter it: a change within the
//! same tick of the file system's clock does not alter the change time, and a write through a mapping only does so when
//! its page was clean (`writeback.rs`). So a young file is either read after the clock has ticked, or its evidence is
//! marked as inconclusive and the file is read again by the next call. git has the same problem with its index ("racy
//! git", `Documentation/technical/racy-git.txt`).

use std::time::Duration;

use rustix::{
    fs::StatFs,
    time::{ClockId, clock_getres, clock_gettime},
};

use crate::{At, Dir, Result, Stat, StatSignature, if_exists, writeback};

/// How much older than the present a change time has to be for the evidence to be conclusive: clocks of file systems
/// tick at up to two seconds (FAT), and a second change within one tick does not alter the change time.
const LOCAL_MARGIN_NANOS: i128 = 2_000_000_000;

/// As [`LOCAL_MARGIN_NANOS`], where the clock of another machine dates the changes: Kerberos tolerates five minutes of
/// difference between machines, so that is assumed here.
const REMOTE_MARGIN_NANOS: i128 = 300 * 1_000_000_000;

/// The age of the last change of a file from which on no page of it can be dirty: the kernel writes dirty pages back
/// after half a minute (`vm.dirty_expire_centisecs`). A write through a mapping to a page that is dirty already does
/// not date the file.
const MAX_DIRTY_AGE_NANOS: i128 = 60 * 1_000_000_000;

/// The age of its last change from which on what `stat` says of a file in a directory is conclusive, however it was
/// read: the clock of the file system has ticked, and no page is dirty. Where pages are written back before a file is
/// read, that is so earlier ([`Evidence::of_reading`]).
pub fn settled_age(directory: &Dir) -> Duration {
    let nanos = if directory.is_remote() { REMOTE_MARGIN_NANOS } else { MAX_DIRTY_AGE_NANOS };
    Duration::from_nanos(nanos as u64)
}

/// How often a path is read that changes while it is read.
// A file that is being written without pause, as a log, is read once more and has no evidence.
const MAX_ATTEMPTS: usize = 5;

/// The signature of a path, or its absence, and whether a later change must show in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Evidence {
    signature: Option<StatSignature>,
    is_conclusive: bool,
}

impl Evidence {
    /// Takes the evidence of a path; `at` is `None` where even its directory is absent. To be called before the content
    /// is read, so that a change in between invalidates the evidence. Follows a link if `follow`.
    ///
    /// # Errors
    /// The system refuses the call.
    pub fn gather(at: Option<At<'_>>, follow: bool) -> Result<Evidence> {
        let now = now();
        // The clock first: a change after this moment has a later date, or the same and then counts as racy.
        Ok(Self::from_signature(signature_of(at, follow)?, now, at))
    }

    /// The evidence for a signature that was taken after `now`.
    fn from_signature(signature: Option<StatSignature>, now: i128, at: Option<At<'_>>) -> Evidence {
        let is_conclusive = signature.is_none_or(|signature| {
            // The kind of file system matters only for files that changed within the larger margin: `statfs` is saved
            // for the others.
            !signature.is_racy(now - REMOTE_MARGIN_NANOS)
                || (!signature.is_racy(now - LOCAL_MARGIN_NANOS)
                    && !at.is_some_and(|at| at.dir().is_remote()))
        });
        Evidence { signature, is_conclusive }
    }

    /// Reads something of a path as a consistent whole: reading is repeated, a few times, if the path changed
    /// meanwhile.
    pub fn of_reading<T>(at: Option<At<'_>>, follow: bool, read: impl FnMut() -> T) -> Reading<T> {
        Self::of_reading_after(None, at, follow, read)
    }

    /// As [`Evidence::of_reading`], unless the path must be as it was `then`: `None`, and nothing is read. One `stat`
    /// serves both to compare and to read.
    pub fn of_reading_unless<T>(
        then: Option<&Evidence>,
        at: Option<At<'_>>,
        follow: bool,
        read: impl FnMut() -> T,
    ) -> Option<Reading<T>> {
        let when = now();
        let first = signature_of(at, follow).ok().map(|signature| (when, signature));
        let holds =
            |then: &&Evidence| then.is_conclusive && first.is_some_and(|(_, now)| then.signature == now);
        match then.filter(holds) {
            Some(_) => None,
            None => Some(Self::of_reading_after(first, at, follow, read)),
        }
    }

    /// `first` is a signature that was just taken, and when.
    fn of_reading_after<T>(
        mut first: Option<(i128, Option<StatSignature>)>,
        at: Option<At<'_>>,
        follow: bool,
        mut read: impl FnMut() -> T,
    ) -> Reading<T> {
        for _ in 0..MAX_ATTEMPTS {
            // The order is: wait for a tick, start the write-back, read, `stat` again. A change at any point after the
            // first `stat` alters the second one, since the clock has ticked and pages are clean.
            let before = stable_signature(first.take(), at, follow);
            if let (Some(at), Ok(Some((when, Some(signature))))) = (at, &before) {
                start_recent_writeback(at, follow, signature, *when);
            }
            let content = read();
            // The second `stat` is taken after reading: if it equals the first, no change began or ended in between.
            match (before, signature_of(at, follow)) {
                (Ok(None), _) => {}
                (Ok(Some((_, then))), Ok(now)) if then != now => {}
                (before, after) => {
                    // If `stat` fails, the content counts all the same (an error of `read` says more), but without
                    // evidence.
                    let before = before.ok().flatten().filter(|_| after.is_ok());
                    let evidence = before.map(|(when, signature)| Self::from_signature(signature, when, at));
                    return Reading { content, evidence, is_steady: true };
                }
            }
        }
        Reading { content: read(), evidence: None, is_steady: false }
    }

    /// Whether the path must be as it was when the evidence was taken.
    pub fn still_holds(&self, at: Option<At<'_>>, follow: bool) -> bool {
        self.is_conclusive && signature_of(at, follow).is_ok_and(|now| self.signature == now)
    }

    /// Whether the path looks as it did when this process read it ([`Evidence::of_reading`]). Since the clock had
    /// ticked then, this holds for files that had just changed, too; a later process cannot rely on it.
    pub fn still_holds_in_process(&self, at: Option<At<'_>>, follow: bool) -> bool {
        signature_of(at, follow).is_ok_and(|now| self.signature == now)
    }

    /// As bytes: whether it is conclusive (0 or 1), and the signature, if anything was there (docs/store.md,
    /// *evidence*).
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.is_conclusive)];
        if let Some(s) = &self.signature {
            s.encode(&mut bytes);
        }
        bytes
    }

    /// From the bytes of [`Evidence::encode`].
    pub fn decode(bytes: &[u8]) -> Option<Evidence> {
        fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
            let (taken, rest) = from.split_first_chunk::<N>()?;
            *from = rest;
            Some(*taken)
        }
        let (conclusive, mut rest) = bytes.split_first()?;
        let signature = if rest.is_empty() {
            None
        } else {
            // In the order of `StatSignature::encode`.
            Some(StatSignature {
                size: u64::from_le_bytes(take(&mut rest)?),
                mtime: i128::from_le_bytes(take(&mut rest)?),
                ctime: i128::from_le_bytes(take(&mut rest)?),
                device: u64::from_le_bytes(take(&mut rest)?),
                inode: u64::from_le_bytes(take(&mut rest)?),
                mode: u32::from_le_bytes(take(&mut rest)?),
            })
        };
        (rest.is_empty() && *conclusive <= 1)
            .then_some(Evidence { signature, is_conclusive: *conclusive == 1 })
    }
}

/// The result of reading a path.
#[derive(Debug)]
pub struct Reading<T> {
    /// What `read` returned last.
    pub content: T,
    /// The evidence that belongs to it; `None` if it cannot be had.
    pub evidence: Option<Evidence>,
    /// Whether the path did not change while it was read.
    pub is_steady: bool,
}

/// Starts the write-back of a file that was changed lately, so that the next write through a mapping dates it.
fn start_recent_writeback(at: At<'_>, follow: bool, signature: &StatSignature, now: i128) {
    let is_file = signature.mode & 0o170_000 == 0o100_000;
    if is_file && signature.size > 0 && now - signature.ctime < MAX_DIRTY_AGE_NANOS {
        let file = if follow { at.open_followed() } else { at.open() };
        // A file that cannot be opened cannot be read either.
        let _ = file.map(writeback::start);
    }
}

/// The signature of what is there, if anything is.
fn signature_of(at: Option<At<'_>>, follow: bool) -> Result<Option<StatSignature>> {
    let Some(at) = at else { return Ok(None) };
    let found = if_exists(if follow { at.stat() } else { at.lstat() })?;
    Ok(found.map(|Stat { signature, .. }| signature))
}

/// A signature that every later change alters, and when it was taken. Waits until the clock that dates changes has
/// ticked since the last change; twice, because a change is dated when it begins, and may last into the next tick.
/// `None` if the path keeps changing. `first` is a signature that was just taken.
fn stable_signature(
    mut first: Option<(i128, Option<StatSignature>)>,
    at: Option<At<'_>>,
    follow: bool,
) -> Result<Option<(i128, Option<StatSignature>)>> {
    let tick = clock_getres(ClockId::RealtimeCoarse);
    // The coarse clock dates changes (`current_time` in the kernel's `fs/inode.c`); its tick is 1 to 10 ms, depending
    // on `CONFIG_HZ`.
    let tick = Duration::from_nanos(tick.tv_nsec.clamp(1_000_000, 10_000_000) as u64);
    for _ in 0..MAX_ATTEMPTS {
        let (when, signature) = match first.take() {
            Some(first) => first,
            None => (now(), signature_of(at, follow)?),
        };
        let age = signature.map(|signature| now() - signature.ctime);
        // A date far ahead comes from another clock: waiting does not help.
        if age.is_none_or(|age| age.unsigned_abs() > tick.as_nanos()) {
            return Ok(Some((when, signature)));
        }
        std::thread::sleep(tick);
    }
    Ok(None)
}

/// The time by the clock with which local file systems date changes, in nanoseconds since 1970.
fn now() -> i128 {
    let now = clock_gettime(ClockId::RealtimeCoarse);
    i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
}

/// Magic numbers (statfs(2)) of file systems that another machine or program may change without this kernel's
/// knowledge, with dates of another clock: NFS, SMB (two), CIFS, 9P, FUSE, Ceph, AFS, Coda; Lustre, GPFS, BeeGFS, GFS2,
/// OCFS2; shared folders of VirtualBox and VMware.
// A list of remote ones, not of local ones, so a new local file system works without a change here.
const REMOTE: [u32; 16] = [
    0x6969,
    0x517b,
    0xfe53_4d42,
    0xff53_4d42,
    0x0102_1997,
    0x6573_5546,
    0x00c3_6400,
    0x5346_414f,
    0x7375_7245,
    0x0bd0_0bd0,
    0x4750_4653,
    0x1983_0326,
    0x0116_1970,
    0x7461_636f,
    0x786f_4256,
    0xbacb_acbc,
];

/// Whether another machine may change files there.
pub(crate) fn is_remote(on: &StatFs) -> bool {
    REMOTE.contains(&(on.f_type as u32))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use std::{
        path::Path,
        time::{Duration, SystemTime},
    };

    use super::*;
    use crate::Named;

    fn named(path: &Path) -> Named {
        Named::of_user(path).unwrap()
    }

    fn gather(path: &Path) -> Evidence {
        let evidence = Evidence::gather(Some(named(path).at()), true).unwrap();
        assert_eq!(Evidence::decode(&evidence.encode()), Some(evidence));
        evidence
    }

    #[test]
    fn evidence_of_a_file_that_has_just_changed_is_inconclusive() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("f");
        std::fs::write(&file, "1").unwrap();
        assert!(!gather(&file).still_holds(Some(named(&file).at()), true));
        // No call sets the change time: an old modification time does not help.
        let old = SystemTime::now() - Duration::from_secs(100);
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
        assert!(!gather(&file).still_holds(Some(named(&file).at()), true));
    }

    #[test]
    fn evidence_of_absence_and_of_old_files_is_conclusive() {
        let directory = tempfile::tempdir().unwrap();
        let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let absent = directory.path().join("absent");
        let (nothing, something) = (gather(&absent), gather(&old));
        assert!(nothing.still_holds(Some(named(&absent).at()), true));
        assert!(something.still_holds(Some(named(&old).at()), true));
        assert!(!something.still_holds(Some(named(&absent).at()), true));
        assert!(!nothing.still_holds(Some(named(&old).at()), true));
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("f");
        std::fs::write(&file, "0").unwrap();
        let changes = |times: usize| {
            let mut reads = 0;
            let reading = Evidence::of_reading(Some(named(&file).at()), true, || {
                let content = std::fs::read_to_string(&file).unwrap();
                reads += 1;
                if reads <= times {
                    // The same size, and in the tick of the change before, unless the reader waited for the next one.
                    std::fs::write(&file, (reads % 10).to_string()).unwrap();
                }
                content
            });
            assert_eq!(
                (reading.is_steady, reading.evidence.is_some()),
                (times < MAX_ATTEMPTS, times < MAX_ATTEMPTS)
            );
            (reads, reading.content)
        };
        assert_eq!(changes(0), (1, "0".to_owned()));
        assert_eq!(changes(2), (3, "2".to_owned()));
        assert_eq!(changes(MAX_ATTEMPTS).0, MAX_ATTEMPTS + 1);
    }

    #[test]
    fn an_unchanged_file_is_not_read() {
        let old = named(&Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
        let then = Evidence::gather(Some(old.at()), true).unwrap();
        let mut reads = 0;
        let mut read = |then: Option<&Evidence>| {
            let reading = Evidence::of_reading_unless(then, Some(old.at()), true, || reads += 1);
            reading.map(|reading| (reading.evidence, reading.is_steady))
        };
        assert_eq!(read(Some(&then)), None);
        assert_eq!(read(None), Some((Some(then), true)));
        assert_eq!(read(Some(&Evidence { is_conclusive: false, ..then })), Some((Some(then), true)));
        assert_eq!(reads, 2);
    }

    #[test]
    fn a_file_that_appears_while_it_is_read_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("f");
        let mut reads = 0;
        let reading = Evidence::of_reading(Some(named(&file).at()), true, || {
            reads += 1;
            let found = std::fs::read_to_string(&file).ok();
            if reads == 1 {
                std::fs::write(&file, "new").unwrap();
            }
            found
        });
        assert_eq!((reads, reading.content.as_deref(), reading.is_steady), (2, Some("new"), true));
    }

    #[test]
    fn the_bytes_are_as_specified() {
        let (size, mtime, ctime, device, inode, mode) = (1, 2, -3, 4, 5, 6);
        let signature = StatSignature { size, mtime, ctime, device, inode, mode };
        let there = Evidence { signature: Some(signature), is_conclusive: true }.encode();
        let mut wanted = vec![1];
        wanted.extend([1, 0, 0, 0, 0, 0, 0, 0]);
        wanted.extend([2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        wanted.extend([0xfd].into_iter().chain([0xff; 15]));
        wanted.extend([4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0]);
        assert_eq!(there, wanted);
        assert_eq!(Evidence { signature: None, is_conclusive: false }.encode(), [0]);
    }

    #[test]
    fn damaged_bytes_do_not_decode_as_evidence() {
        let bytes = gather(Path::new("/")).encode();
        for end in 2..bytes.len() {
            assert_eq!(Evidence::decode(&bytes[..end]), None);
        }
        assert_eq!(Evidence::decode(&[]), None);
        assert_eq!(Evidence::decode(&[2]), None);
    }
}
