//! Whatever happens to the file of traces, the next process answers as a build from scratch does.
//!
//! Three ways to lose: the process is killed after any byte it wrote, any bit of the file flips, and pieces of other
//! versions of the file lie in it. A killed process loses the runs of its last commit at most. Runs here in
//! part; `TAUT_SOAK` multiplies the number of programs (up to 40 times), and so of kill points and flips.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use taut_engine::{Agreement, Cx, Engine, Fail, Failure, Hash, Options, Policy, Rule};

const LEAVES: u64 = 4;

/// Random numbers (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    }
}

/// A failure that outlives the process.
#[derive(Debug)]
struct Six(u64);

impl fmt::Display for Six {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} does not like six", self.0)
    }
}

impl Failure for Six {
    fn hash(&self) -> Option<Hash> {
        Some(Hash::from(self.0))
    }

    fn encode(&self) -> Option<Vec<u8>> {
        Some(self.0.to_le_bytes().to_vec())
    }
}

/// Reads two lower tasks, the second only if the first came to an odd number.
struct Task {
    world: Arc<Mutex<Vec<u64>>>,
    seed: u64,
}

impl Task {
    fn reads(&self, key: u64) -> [u64; 2] {
        let mut dice = Dice(self.seed << 8 | key);
        [dice.roll(key as usize) as u64, dice.roll(key as usize) as u64]
    }
}

impl Rule for Task {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "task";

    fn policy(&self, key: &u64) -> Policy {
        if *key < LEAVES { Policy::leaf() } else { Policy::constructive(2) }
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        if *key < LEAVES {
            let value = self.world.lock().unwrap()[*key as usize];
            cx.witness(value.to_le_bytes());
            return Ok(value);
        }
        let [first, second] = self.reads(*key);
        let mut sum = cx.get::<Task>(first).await?;
        if sum % 2 == 1 {
            sum += 2 * cx.get::<Task>(second).await?;
        }
        if sum % 7 == 6 { Err(Fail::task(Six(*key))) } else { Ok(sum % 50) }
    }

    fn content_hash(&self, _: &u64, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }

    fn agrees(&self, key: &u64, witness: &[u8], _: Hash) -> Agreement {
        match witness == self.world.lock().unwrap()[*key as usize].to_le_bytes() {
            true => Agreement::Yes,
            false => Agreement::No,
        }
    }

    fn encode_value(&self, _: &u64, value: &u64) -> Option<Vec<u8>> {
        Some(value.to_le_bytes().to_vec())
    }

    fn decode_value(&self, _: &u64, bytes: &[u8]) -> Option<u64> {
        bytes.try_into().ok().map(u64::from_le_bytes)
    }

    fn decode_failure(&self, bytes: &[u8]) -> Option<Arc<dyn Failure>> {
        bytes.try_into().ok().map(|bytes| Arc::new(Six(u64::from_le_bytes(bytes))) as _)
    }
}

const ROOT: u64 = 12;

/// A world in which one process after the other builds.
struct Scene {
    seed: u64,
    world: Arc<Mutex<Vec<u64>>>,
}

impl Scene {
    fn new(seed: u64) -> Scene {
        Scene { seed, world: Arc::new(Mutex::new(vec![1, 2, 3, 4])) }
    }

    fn engine(&self, file: Option<&Path>) -> Engine {
        let builder = Engine::builder().rule(Task { world: self.world.clone(), seed: self.seed });
        match file {
            Some(file) => builder.open(file),
            None => builder.build(),
        }
    }

    /// The answer, as text, and what ran.
    fn ask(&self, engine: &Engine) -> (String, BTreeSet<String>) {
        let build = engine.begin().scan().commit(Options { jobs: 1, ..Options::default() });
        let answer = build.get::<Task>(ROOT);
        (
            answer.map_or_else(|fail| fail.to_string(), |value| value.to_string()),
            build.ran().into_iter().collect(),
        )
    }

    /// The answer of a build from scratch.
    fn anew(&self) -> String {
        self.ask(&self.engine(None)).0
    }

    /// A process that finds these bytes: its answer must be right, and what it leaves behind must be, too.
    fn survives(&self, file: &Path, bytes: &[u8], how: &dyn Fn() -> String) -> BTreeSet<String> {
        fs::write(file, bytes).unwrap();
        let engine = self.engine(Some(file));
        let (answer, ran) = self.ask(&engine);
        assert_eq!(answer, self.anew(), "{}", how());
        engine.commit().unwrap();
        let is_damaged = engine.file_problem().is_some();
        drop(engine);
        let next = || {
            let engine = self.engine(Some(file));
            let (answer, ran) = self.ask(&engine);
            engine.commit().unwrap();
            assert_eq!(answer, self.anew(), "the process after: {}", how());
            assert_eq!(engine.file_problem(), None, "what was written is whole: {}", how());
            ran
        };
        let mut again = next();
        if is_damaged {
            // It had verified some tasks by the numbers in the file before it read the wrong part. These are in no file
            // now: the next process executes them once, and the one after it finds everything.
            again = next();
        }
        assert!(again.is_empty(), "what was written is there, but {again:?} ran: {}", how());
        ran
    }
}

/// Some processes, one after the other; the file after each, and what the world was.
fn history(scene: &Scene, file: &Path, dice: &mut Dice) -> Vec<(Vec<u8>, Vec<u64>)> {
    let mut images = vec![(Vec::new(), scene.world.lock().unwrap().clone())];
    for _ in 0..4 {
        scene.world.lock().unwrap()[dice.roll(LEAVES as usize)] = dice.roll(9) as u64;
        let engine = scene.engine(Some(file));
        scene.ask(&engine);
        engine.commit().unwrap();
        images.push((fs::read(file).unwrap(), scene.world.lock().unwrap().clone()));
    }
    images
}

fn soak() -> u64 {
    let factor: u64 = std::env::var("TAUT_SOAK").map_or(1, |factor| factor.parse().expect("a number"));
    factor.min(40)
}

/// Prints how much was tried, for `cargo xtask soak`.
fn tried(what: &str, times: usize) {
    if let Some(directory) = std::env::var_os("TAUT_SOAK_REPORT") {
        fs::write(Path::new(&directory).join(what), times.to_string()).unwrap();
    }
}

#[test]
fn a_process_killed_after_any_byte_loses_at_most_its_last_commit() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("traces");
    let mut points = 0;
    for seed in 1..=soak() {
        let (scene, dice) = (Scene::new(seed), &mut Dice(seed));
        let images = history(&scene, &file, dice);
        for at in 1..images.len() {
            let ((before, was), (after, now)) = (&images[at - 1], &images[at]);
            let whole = after.starts_with(before);
            for length in 0..=after.len() {
                // Where the file was written anew, that is another file until it is whole.
                if (whole && length < before.len()) || (!whole && length != after.len()) {
                    continue;
                }
                points += 1;
                let how = || format!("seed {seed}, killed after {length} of {} bytes", after.len());
                // In the world of the commit before, all of that is known: if the last one is not whole, nothing
                // of it may run again.
                scene.world.lock().unwrap().clone_from(was);
                let ran = scene.survives(&file, &after[..length], &how);
                let is_half = length < after.len();
                assert!(at == 1 || !is_half || ran.is_empty(), "{ran:?} ran again, {}", how());
                scene.world.lock().unwrap().clone_from(now);
                scene.survives(&file, &after[..length], &how);
            }
        }
        fs::remove_file(&file).unwrap();
    }
    assert!(points > 500, "{points} points");
    tried("kill_points", points);
}

#[test]
fn a_flipped_bit_leads_to_no_wrong_result() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("traces");
    let mut flips = 0;
    for seed in 1..=soak() {
        let (scene, dice) = (Scene::new(seed), &mut Dice(seed));
        let (image, _) = history(&scene, &file, dice).pop().unwrap();
        for at in 0..image.len() {
            let bit = dice.roll(8);
            let mut bytes = image.clone();
            bytes[at] ^= 1 << bit;
            flips += 1;
            scene.survives(&file, &bytes, &|| format!("seed {seed}, bit {bit} of byte {at} flipped"));
        }
        fs::remove_file(&file).unwrap();
    }
    assert!(flips > 500, "{flips} flips");
    tried("byte_flips", flips);
}

#[test]
fn pieces_of_other_files_cost_time_at_most() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("traces");
    for seed in 1..=20 * soak() {
        let (scene, dice) = (Scene::new(seed), &mut Dice(seed));
        let images = history(&scene, &file, dice);
        let (other, _) =
            history(&Scene::new(seed + 1000), &directory.path().join("other"), dice).pop().unwrap();
        let (image, _) = images.last().unwrap();
        for _ in 0..20 {
            // A stretch of it is of another file, or of itself, or is not there at all.
            let mut bytes = image.clone();
            let from = if dice.roll(2) == 0 { &other } else { image };
            let length = dice.roll(from.len().min(bytes.len()) - 1) + 1;
            let (to, at) = (dice.roll(bytes.len() - length + 1), dice.roll(from.len() - length + 1));
            match dice.roll(4) {
                0 => drop(bytes.drain(to..to + length)),
                1 => bytes[to..to + length].fill(0),
                2 => drop(bytes.splice(to..to, from[at..at + length].iter().copied())),
                _ => bytes[to..to + length].copy_from_slice(&from[at..at + length]),
            }
            scene.survives(&file, &bytes, &|| format!("seed {seed}, {length} bytes from {at} to {to}"));
        }
        fs::remove_file(&file).unwrap();
        fs::remove_file(directory.path().join("other")).unwrap();
    }
}

/// A leaf.
struct Seen(Arc<Mutex<Vec<u64>>>);

impl Rule for Seen {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "seen";

    fn policy(&self, _: &u64) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        let value = self.0.lock().unwrap()[*key as usize];
        cx.witness(value.to_le_bytes());
        Ok(value)
    }

    fn content_hash(&self, _: &u64, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }

    fn agrees(&self, key: &u64, witness: &[u8], _: Hash) -> Agreement {
        match witness == self.0.lock().unwrap()[*key as usize].to_le_bytes() {
            true => Agreement::Yes,
            false => Agreement::No,
        }
    }
}

/// Twice a leaf.
struct Twice;

impl Rule for Twice {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "twice";

    fn policy(&self, _: &u64) -> Policy {
        Policy::constructive(2)
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        Ok(2 * cx.get::<Seen>(*key).await?)
    }

    fn content_hash(&self, _: &u64, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }

    fn encode_value(&self, _: &u64, value: &u64) -> Option<Vec<u8>> {
        Some(value.to_le_bytes().to_vec())
    }

    fn decode_value(&self, _: &u64, bytes: &[u8]) -> Option<u64> {
        bytes.try_into().ok().map(u64::from_le_bytes)
    }
}

/// The sum of this many of those, and how many leaves are below.
struct Request;

impl Rule for Request {
    type Key = u64;
    type Value = [u64; 2];
    const NAME: &'static str = "request";

    fn policy(&self, _: &u64) -> Policy {
        Policy::deep(2).only_by_leaves()
    }

    async fn value(&self, count: &u64, cx: Cx) -> Result<[u64; 2], Fail> {
        let mut sum = 0;
        for twice in cx.all::<Twice>((0..*count).collect()).await {
            sum += twice?;
        }
        let roots = (0..*count).map(|key| cx.task::<Twice>(key)).collect();
        let leaves = cx.collect::<Seen>(roots).await.ok_or(Fail::Cancelled)?;
        Ok([sum, leaves.len() as u64])
    }

    fn content_hash(&self, _: &u64, [sum, leaves]: &[u64; 2]) -> Option<Hash> {
        Some(Hash::from(sum.rotate_left(32) ^ leaves))
    }

    fn encode_value(&self, _: &u64, pair: &[u64; 2]) -> Option<Vec<u8>> {
        Some(pair.map(u64::to_le_bytes).as_flattened().to_vec())
    }

    fn decode_value(&self, _: &u64, bytes: &[u8]) -> Option<[u64; 2]> {
        let [a, b] = bytes.as_chunks::<8>().0.first_chunk()?;
        Some([u64::from_le_bytes(*a), u64::from_le_bytes(*b)])
    }
}

/// What only some builds read of the file may be damaged without notice; a build that does read it executes what is
/// not known then.
#[test]
fn damage_in_what_is_read_late_costs_time_at_most() {
    const COUNT: u64 = 1_300;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("traces");
    let world = Arc::new(Mutex::new((0..COUNT).collect::<Vec<u64>>()));
    let ask = || {
        let engine = Engine::builder().rule(Seen(world.clone())).rule(Twice).rule(Request).open(&file);
        let build = engine.begin().commit(Options { jobs: 1, ..Options::default() });
        let answer = build.get::<Request>(COUNT);
        let ran = build.ran().len();
        drop(build);
        engine.commit().unwrap();
        (answer.unwrap(), ran)
    };
    let answer = |changed: u64| [2 * ((0..COUNT).sum::<u64>() + changed), COUNT];
    assert_eq!(ask(), (answer(0), 2 * COUNT as usize + 1));
    assert_eq!(ask(), (answer(0), 0));
    let sound = fs::read(&file).unwrap();
    let length = |at: usize| u64::from_le_bytes(sound[at..at + 8].try_into().unwrap()) as usize;
    // The table, and the tasks: an entry of ten bytes each, their ends, and the runs.
    let (first, end) = (56, 56 + length(32) + 10 * (2 * COUNT as usize + 1 + 3) + 4 * length(56 + 16));
    assert!(end < 56 + length(32) + length(40));
    let (mut dice, mut silent) = (Dice(7), 0);
    for flip in 0..120 * soak() {
        let at = first + dice.roll(end - first);
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << dice.roll(8);
        fs::write(&file, &bytes).unwrap();
        // A build after no change, which reads no more than it needs, and one after a change.
        let (same, ran) = ask();
        assert_eq!(same, answer(0), "byte {at} of {end}, flip {flip}");
        silent += u64::from(ran == 0);
        world.lock().unwrap()[17] += 5;
        let (changed, ran) = ask();
        assert_eq!(changed, answer(5), "byte {at} of {end}, flip {flip}, after a change");
        assert!(ran == 3 || ran == 2 * COUNT as usize + 1, "{ran} tasks ran, byte {at}, flip {flip}");
        assert_eq!(ask(), (answer(5), 0));
        world.lock().unwrap()[17] -= 5;
    }
    assert!(silent > 0, "some of it is not read by a build after no change");
}
