//! Files below a directory as leaves: verified by `stat`, and by content only if that is not conclusive.
//!
//! Behind the feature `files`, for users of the library; needs Unix, for inodes and change times.
//!
//! The two-second rule is that of git's *racy* index entries: a file that was changed within a clock tick of the `stat`
//! may change again without the `stat` changing.
#![allow(clippy::disallowed_methods, reason = "taut itself looks at files through its crate sys")]

use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fs, thread};

use crate::{Agreement, Cx, Fail, Hash, Policy, Rule};

/// How long before the `stat` the last change of a file has to be for the witness to be trusted. Clocks of file systems
/// tick at up to two seconds; a second change of the same size within the tick of the first changes neither size nor
/// times.
const MIN_AGE: Duration = Duration::from_secs(2);

/// How often a file is read that changes while it is read, before that is an error.
// A file that is written without pause would otherwise keep the build from ending.
const MAX_READS: usize = 5;

/// The `stat` of a path: if it is the same later, the file is unchanged, and need not be read.
///
/// Size, times of modification and change, device, inode and mode; or that nothing is there. Links are followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatWitness {
    stat: Option<Stat>,
    /// Whether the last change was long enough before the `stat` that every later change is visible.
    is_firm: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stat {
    size: u64,
    /// Nanoseconds since 1970.
    modified: i128,
    changed: i128,
    device: u64,
    inode: u64,
    mode: u32,
}

impl Stat {
    fn is_file(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }
}

impl StatWitness {
    /// Takes the witness of a path. To be called before the content is read, so that a change in between makes it fail.
    ///
    /// # Errors
    /// `stat` fails, other than because there is nothing at the path.
    pub fn of(path: &Path) -> io::Result<StatWitness> {
        // The clock is read before the `stat`, so that a change after this moment never counts as an old one.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let trusted = now.saturating_sub(MIN_AGE).as_nanos() as i128;
        let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        let stat = match fs::metadata(path) {
            Ok(meta) => Some(Stat {
                size: meta.size(),
                modified: nanos(meta.mtime(), meta.mtime_nsec()),
                changed: nanos(meta.ctime(), meta.ctime_nsec()),
                device: meta.dev(),
                inode: meta.ino(),
                mode: meta.mode(),
            }),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
            Err(error) => return Err(error),
        };
        // Absence is firm: a file that appears has a `stat`, whatever its times are.
        let is_firm = stat.is_none_or(|stat| stat.modified < trusted && stat.changed < trusted);
        Ok(StatWitness { stat, is_firm })
    }

    /// Whether what is there `now` is certainly what was there then. `false` also if the file had just been changed
    /// when this witness was taken: then its content has to be compared.
    pub fn still_holds(&self, now: &StatWitness) -> bool {
        // Only the earlier witness has to be firm: it is the one that a change within the same tick may have followed.
        self.is_firm && self.stat == now.stat
    }

    /// As bytes, for [`Cx::witness`].
    pub fn encode(&self) -> Vec<u8> {
        // Fixed widths, little endian. Witnesses are compared after decoding, so another encoding would only cost one
        // reading of each file.
        let mut bytes = vec![u8::from(self.is_firm)];
        if let Some(Stat { size, modified, changed, device, inode, mode }) = self.stat {
            [size, device, inode].into_iter().for_each(|number| bytes.extend(number.to_le_bytes()));
            [modified, changed].into_iter().for_each(|time| bytes.extend(time.to_le_bytes()));
            bytes.extend(mode.to_le_bytes());
        }
        bytes
    }

    /// From the bytes that [`StatWitness::encode`] made; `None` for all others.
    pub fn decode(bytes: &[u8]) -> Option<StatWitness> {
        fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
            let (taken, rest) = from.split_first_chunk::<N>()?;
            *from = rest;
            Some(*taken)
        }
        let (firm, mut rest) = bytes.split_first()?;
        let stat = if rest.is_empty() {
            None
        } else {
            let rest = &mut rest;
            let [size, device, inode] = [take(rest)?, take(rest)?, take(rest)?].map(u64::from_le_bytes);
            let [modified, changed] = [take(rest)?, take(rest)?].map(i128::from_le_bytes);
            Some(Stat { size, modified, changed, device, inode, mode: u32::from_le_bytes(take(rest)?) })
        };
        (rest.is_empty() && *firm <= 1).then_some(StatWitness { stat, is_firm: *firm == 1 })
    }
}

/// The content of a file, and its witness.
struct Read {
    /// `None`: there is no regular file.
    content: Option<Vec<u8>>,
    witness: StatWitness,
}

/// Reads a file; again, if it changed meanwhile.
fn read(path: &Path) -> io::Result<Read> {
    for _ in 0..MAX_READS {
        let witness = StatWitness::of(path)?;
        let content = match witness.stat.filter(Stat::is_file).map(|_| fs::read(path)).transpose() {
            // The file was removed or replaced by a directory in between.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => continue,
            content => content?,
        };
        // The witness was taken before: a change while the content was read makes the two differ.
        if StatWitness::of(path)?.stat == witness.stat {
            return Ok(Read { content, witness });
        }
        thread::yield_now();
    }
    Err(io::Error::other("it keeps changing while it is read"))
}

/// A leaf for each file below a directory. The key is its path relative to the directory (without `..`: nothing outside
/// may be requested), the value its content; `None` if there is no regular file.
///
/// In a later process a file whose [`StatWitness`] holds is not opened. One that was touched, or that had just been
/// changed when it was read, is hashed: if its content is the same, no task runs, and the new witness is kept.
///
/// ```
/// use taut_engine::{Engine, Files, Hash, Options};
///
/// // With another hash function: a cryptographic one, where others may write the files.
/// let length = |content: &[u8]| Hash::from(content.len() as u64);
/// let engine = Engine::builder().rule(Files::hashed_by(env!("CARGO_MANIFEST_DIR"), length)).build();
/// let build = engine.begin().commit(Options::default());
/// assert!(build.get::<Files>("Cargo.toml".to_owned())?.is_some());
/// assert!(build.get::<Files>("src".to_owned())?.is_none());
/// # Ok::<(), taut_engine::Fail>(())
/// ```
pub struct Files {
    directory: PathBuf,
    hash: Box<HashOf>,
}

type HashOf = dyn Fn(&[u8]) -> Hash + Send + Sync;

impl Files {
    /// The files below a directory, compared by a hash of 128 bits. It has no collisions by accident, but can be
    /// attacked. With another version of the standard library it may differ: then the files count as changed.
    pub fn below(directory: impl Into<PathBuf>) -> Files {
        Files::hashed_by(directory, quick_hash)
    }

    /// The same, compared by another hash function.
    pub fn hashed_by(
        directory: impl Into<PathBuf>,
        hash: impl Fn(&[u8]) -> Hash + Send + Sync + 'static,
    ) -> Files {
        Files { directory: directory.into(), hash: Box::new(hash) }
    }

    fn hash_of(&self, content: Option<&[u8]>) -> Hash {
        content.map_or(Hash(*b"there is no regular file........"), &self.hash)
    }
}

fn quick_hash(content: &[u8]) -> Hash {
    // Twice, since `DefaultHasher` has 64 bits.
    let half = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(seed);
        hasher.write(content);
        hasher.finish().to_le_bytes()
    };
    let mut all = [0; 32];
    all[..8].copy_from_slice(&half(0));
    all[8..16].copy_from_slice(&half(1));
    Hash(all)
}

impl Rule for Files {
    type Key = String;
    type Value = Option<Arc<[u8]>>;
    const NAME: &'static str = "file";

    fn policy(&self, _: &String) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, name: &String, cx: Cx) -> Result<Option<Arc<[u8]>>, Fail> {
        let path = self.directory.join(name);
        let Read { content, witness } =
            read(&path).map_err(|error| Fail::transient(format!("{}: {error}", path.display())))?;
        cx.witness(witness.encode());
        Ok(content.map(Arc::from))
    }

    fn content_hash(&self, _: &String, content: &Option<Arc<[u8]>>) -> Option<Hash> {
        Some(self.hash_of(content.as_deref()))
    }

    fn agrees(&self, name: &String, witness: &[u8], hash: Hash) -> Agreement {
        let path = self.directory.join(name);
        let then = StatWitness::decode(witness);
        // The error is met again when the file is read, and becomes the failure of the task.
        let Ok(now) = StatWitness::of(&path) else { return Agreement::No };
        if then.is_some_and(|then| then.still_holds(&now)) {
            return Agreement::Yes;
        }
        match read(&path) {
            Ok(Read { content, witness }) if self.hash_of(content.as_deref()) == hash => {
                Agreement::YesBy(witness.encode())
            }
            _ => Agreement::No,
        }
    }
}
