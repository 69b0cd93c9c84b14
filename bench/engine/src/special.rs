//! Two goals with graphs of their own: tasks that take time, on two threads, and files that have to be looked at.

use crate::cost::{Figures, often, once};
use crate::graph::mix;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use taut_engine::{Agreement, Cx, Engine, Fail, Hash, Options, Policy, Rule};

/// A task of twenty microseconds, in layers as elsewhere.
struct Busy {
    width: u32,
}

impl Rule for Busy {
    type Key = u32;
    type Value = u64;
    const NAME: &'static str = "busy";

    async fn value(&self, key: &u32, cx: Cx) -> Result<u64, Fail> {
        let mut sum = 0;
        if let Some(below) = key.checked_sub(self.width) {
            let layer = below / self.width * self.width;
            let reads = (0..4).map(|at| layer + (below + at) % self.width).collect();
            for value in cx.all::<Busy>(reads).await {
                sum = mix(sum, value?);
            }
        }
        let begin = Instant::now();
        // Busy, not asleep: threads share the processor.
        while begin.elapsed() < Duration::from_micros(20) {
            sum = std::hint::black_box(mix(sum, 1));
        }
        Ok(u64::from(*key))
    }
}

/// Wall time with one thread and with two.
pub fn parallel(tasks: usize, figures: &mut Figures) {
    let width = (tasks / 50) as u32;
    for (name, jobs) in [("one thread", 1), ("two threads", 2)] {
        let mut walls = Vec::new();
        // A new engine each time: a second build of the same one would find everything clean.
        for _ in 0..5 {
            let engine = Engine::builder().rule(Busy { width }).build();
            let build = engine.begin().commit(Options { jobs, ..Options::default() });
            let start = Instant::now();
            let last = build.all::<Busy>((width * 49)..(width * 50));
            walls.push(start.elapsed().as_nanos() as f64);
            assert!(last.into_iter().all(|value| value.is_ok()));
        }
        figures.add(name, crate::cost::median(walls));
    }
}

fn look(path: &Path) -> [u8; 32] {
    let metadata = fs::symlink_metadata(path).expect("it is there");
    let mut seen = [0; 32];
    seen[..8].copy_from_slice(&metadata.size().to_le_bytes());
    seen[8..16].copy_from_slice(&metadata.ino().to_le_bytes());
    seen[16..24].copy_from_slice(&metadata.mtime().to_le_bytes());
    // As much as a witness of a file has to have, compared as bytes.
    seen[24..].copy_from_slice(&metadata.ctime_nsec().to_le_bytes());
    seen
}

fn path(dir: &Path, file: u32) -> PathBuf {
    dir.join(format!("{:03}/{file:06}", file / 1000))
}

/// A file, taken for unchanged if its times are.
struct Source(PathBuf);

impl Rule for Source {
    type Key = u32;
    type Value = u64;
    const NAME: &'static str = "source";

    fn policy(&self, _: &u32) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, key: &u32, cx: Cx) -> Result<u64, Fail> {
        cx.witness(look(&path(&self.0, *key)));
        Ok(u64::from(*key))
    }

    fn content_hash(&self, _: &u32, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }

    fn agrees(&self, key: &u32, witness: &[u8], _: Hash) -> Agreement {
        if look(&path(&self.0, *key)) == witness { Agreement::Yes } else { Agreement::No }
    }
}

/// Reads ten files; the one above all reads everything.
struct Reader {
    files: u32,
}

impl Rule for Reader {
    type Key = u32;
    type Value = u64;
    const NAME: &'static str = "reader";

    async fn value(&self, key: &u32, cx: Cx) -> Result<u64, Fail> {
        let values = match *key {
            u32::MAX => cx.all::<Reader>((0..self.files / 10).collect()).await,
            key => cx.all::<Source>((key * 10..key * 10 + 10).collect()).await,
        };
        values.into_iter().try_fold(0, |sum, value| Ok(mix(sum, value?)))
    }

    fn content_hash(&self, _: &u32, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }
}

fn engine(files: u32, dir: &Path) -> Engine {
    Engine::builder().rule(Source(dir.join("files"))).rule(Reader { files }).open(&dir.join("traces"))
}

/// Writes files and builds above them; then how long a bare loop takes to look at them all.
pub fn files_prepare(files: u32, figures: &mut Figures, dir: &Path) {
    let below = dir.join("files");
    for file in 0..files {
        let path = path(&below, file);
        if file % 1000 == 0 {
            fs::create_dir_all(path.parent().expect("has one")).expect("a directory");
        }
        fs::write(path, b"x").expect("written");
    }
    let engine = engine(files, dir);
    engine.begin().commit(Options::default()).hash_of::<Reader>(u32::MAX).expect("no failure");
    engine.commit().expect("written");
    figures.add("files", f64::from(files));
}

/// What it costs to look at the files with a loop.
pub fn files_floor(files: u32, figures: &mut Figures, dir: &Path) {
    let below = dir.join("files");
    let sum = || {
        let all = (0..files).fold(0, |sum, file| sum ^ look(&path(&below, file))[8]);
        std::hint::black_box(all);
    };
    figures.add("loop", often(sum));
}

/// A process that begins, looks at all files, and has nothing to do.
pub fn files_cold(files: u32, figures: &mut Figures, dir: &Path) {
    let start = Instant::now();
    let (ran, cold) = once(|| {
        let engine = engine(files, dir);
        let build = engine.begin().commit(Options { jobs: 2, ..Options::default() });
        build.hash_of::<Reader>(u32::MAX).expect("no failure");
        let ran = build.log().len();
        std::mem::forget((build, engine));
        ran
    });
    figures.add("cold", cold);
    figures.add("cold, wall", start.elapsed().as_nanos() as f64);
    figures.add("executed", ran as f64);
}
