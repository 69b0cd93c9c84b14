//! Unit tests of the file format: written and read back, byte by byte, damaged, and compacted.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use super::TraceRead;
use super::bytes::checksum;
use super::journal::{Batch, RunListItem};
use super::leaves::{LeafSet, Range};
use super::snapshot::{Counts, HEADER_SIZE, Header, Snapshot};
use super::snapshot_builder::{Image, RunFields, SnapshotBuilder};
use super::stored::Stored;
use super::stored_run::{StoredEdge, StoredRun};
use crate::sync::{Arc, Mutex, lock};
use crate::{Facets, Hash};
use std::fs::File;

/// The file's bytes.
fn bytes(image: &Image) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.write([7; 16], &mut bytes).unwrap();
    bytes
}

/// The content of such a file; `None` if it is rejected.
fn open(bytes: &[u8]) -> Option<Stored> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("traces");
    std::fs::write(&path, bytes).unwrap();
    let header = Header::decode(bytes.first_chunk()?)?;
    header.end().filter(|end| *end <= bytes.len() as u64)?;
    Some(Stored::new(Snapshot::open(Box::new(File::open(path).unwrap()), header)?))
}

fn edge(dep: u32, seq: u32, bits: u8) -> StoredEdge {
    StoredEdge { dep, seq, bits, facets: Facets::WHOLE }
}

fn run(seq: u32, edges: Vec<StoredEdge>) -> StoredRun {
    let (fail, value, witness, leaves) = (None, None, None, None);
    StoredRun { version: 3, seq, traits: 0, edges: edges.into(), fail, value, witness, leaves }
}

fn write(builder: &mut SnapshotBuilder, run: &StoredRun) {
    let (fail, value, witness) = (run.fail.as_deref(), run.value.as_deref(), run.witness.as_deref());
    let StoredRun { version, seq, traits, .. } = *run;
    let leaves = run.leaves.as_deref();
    builder.run(&RunFields { version, seq, traits, fail, value, witness, leaves }, &run.edges);
}

/// A leaf with a witness, a sum of it with two runs and a value, a failure that read a facet of the sum, and
/// a task that was only read. It has a run in every encoding.
fn all_kinds() -> (Image, Vec<(u32, Vec<StoredRun>)>) {
    let mut builder = SnapshotBuilder::default();
    let (rule, other) = (builder.rule("rule"), builder.rule("other"));
    let leaf = builder.task(rule, |key| key.extend(b"leaf"));
    let sum = builder.task(rule, |key| key.extend(b"sum"));
    let fails = builder.task(other, |key| key.extend(b"leaf"));
    let read = builder.task(other, |key| key.extend(b""));
    // The caller's numbers of versions are 10, 11, …
    assert_eq!([10, 11, 10].map(|version| builder.version(leaf, version)), [0, 1, 0]);
    assert_eq!([builder.version(sum, 20), builder.version(sum, 21), builder.version(fails, 30)], [0, 1, 0]);
    assert_eq!((300..600).map(|version| builder.version(read, version)).last(), Some(299));
    let blob = |text: &str| Some(Arc::from(text.as_bytes()));
    let seen = StoredRun { traits: StoredRun::LEAF, witness: blob("evidence"), ..run(0, vec![]) };
    let partial = StoredEdge { facets: Facets(5), ..edge(sum, 1, 4) };
    let ranges = vec![Range { first: leaf, count: 1, seq: 1 }, Range { first: read, count: 1, seq: 299 }];
    let below = LeafSet { rules: vec![(1, 3)], ranges };
    let mut runs = vec![
        (leaf, vec![seen]),
        (
            sum,
            vec![
                StoredRun { value: blob("value"), ..run(0, vec![edge(leaf, 0, 0), edge(read, 0, 2)]) },
                run(1, vec![edge(leaf, 1, 0), edge(read, 2, 2)]),
                run(1, vec![edge(leaf, 1, 0), edge(read, 299, 2)]),
                StoredRun {
                    traits: StoredRun::VERIFIED_BY_LEAVES,
                    leaves: Some(Arc::new(below)),
                    ..run(0, vec![edge(leaf, 0, 2), edge(read, 0, 2)])
                },
            ],
        ),
        (fails, vec![StoredRun { fail: blob("sorry"), ..run(0, vec![partial, edge(leaf, 1, 3)]) }]),
    ];
    // More than fit beside the rest in one word.
    let many = (0..5_000).map(|at| edge(leaf, 0, if at == 4_999 { 2 } else { 0 })).collect();
    runs[2].1.push(StoredRun { version: 9, ..run(0, many) });
    for (_, runs) in &runs {
        builder.begin_runs();
        runs.iter().for_each(|run| write(&mut builder, run));
    }
    builder.facet_hashes(sum, 1, &Arc::from([0, 5, u128::MAX]));
    builder.sibling(99, rule, sum);
    builder.sibling(99, rule, leaf);
    builder.sibling(7, other, fails);
    builder.want(sum, 1000);
    builder.note_unwanted(fails, 900);
    let image = builder.finish(|task, version| Some(Hash::from(u64::from(task * 1000 + version)))).unwrap();
    (image, runs)
}

/// All of the above, asked for.
fn matches(stored: &Stored, runs: &[(u32, Vec<StoredRun>)]) -> Option<()> {
    let key = |task| {
        let mut key = Vec::new();
        stored.key(task, &mut key).map(|()| key)
    };
    assert_eq!((stored.tasks(), stored.rules().len()), (4, 2));
    for (task, rule, name, bytes) in
        [(0, 0, "rule", &b"leaf"[..]), (1, 0, "rule", b"sum"), (2, 1, "other", b"leaf"), (3, 1, "other", b"")]
    {
        assert_eq!((stored.rule(task)?, key(task)?), (rule, bytes.to_vec()));
        let found = stored.find(name, bytes);
        if found.is_none() && stored.is_damaged() {
            return None;
        }
        assert_eq!(found, Some(task));
    }
    assert_eq!((0..4).map(|task| stored.versions(task)).collect::<Vec<_>>(), [2, 2, 1, 300]);
    for (task, seq, number) in [(0, 0, 10), (0, 1, 11), (1, 1, 1021), (2, 0, 2030), (3, 299, 3599)] {
        assert_eq!(stored.hash(task, seq)?, Hash::from(number));
    }
    assert_eq!(stored.hash(0, 2), None);
    for (task, runs) in runs {
        assert_eq!(stored.runs(*task)?, *runs, "task {task}");
    }
    assert_eq!((stored.runs(3)?, stored.has_runs(3), stored.has_runs(0)), (vec![], false, true));
    let facet_hashes = stored.facets(1)?;
    assert_eq!(
        (facet_hashes.len(), facet_hashes[1].as_ref().unwrap()[..].to_vec()),
        (2, vec![0, 5, u128::MAX])
    );
    assert_eq!(stored.siblings("rule", 99)?, [1, 0]);
    assert_eq!((stored.siblings("other", 7)?, stored.siblings("other", 99)?), (vec![2], vec![]));
    assert_eq!((stored.wanted_at(1)?, stored.wanted_at(0)), (1000, None));
    Some(())
}

#[test]
fn a_written_file_reads_back() {
    let (image, runs) = all_kinds();
    let stored = open(&bytes(&image)).unwrap();
    assert_eq!(matches(&stored, &runs), Some(()));
    assert_eq!((stored.find("rule", b"sun"), stored.find("none", b"sum")), (None, None));
    assert!(!stored.is_damaged());
}

#[test]
fn a_flipped_bit_never_gives_a_wrong_answer() {
    let (image, runs) = all_kinds();
    let whole = bytes(&image);
    for at in (0..whole.len()).filter(|at| *at < 2_000 || at % 211 == 0 || *at > whole.len() - 1_000) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        let read = open(&bytes).map(|stored| (matches(&stored, &runs), stored.is_damaged()));
        assert!(matches!(read, None | Some((None, true)) | Some((Some(()), false))), "byte {at}: {read:?}");
    }
}

#[test]
fn a_truncated_file_is_rejected() {
    let whole = bytes(&all_kinds().0);
    assert!((0..whole.len()).filter(|at| at % 61 == 0 || *at < 200).all(|at| open(&whole[..at]).is_none()));
}

/// A file, and from where to where it was read.
struct Watched(File, Arc<Mutex<Vec<(u64, u64)>>>);

impl TraceRead for Watched {
    fn length(&mut self) -> std::io::Result<u64> {
        self.0.length()
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> std::io::Result<usize> {
        lock(&self.1).push((at, at + into.len() as u64));
        self.0.read_at(at, into)
    }
}

/// Many tasks, each of which read the one before; and the bytes of their chunks.
fn many(tasks: u32) -> (Vec<u8>, Vec<std::ops::Range<usize>>) {
    let mut builder = SnapshotBuilder::default();
    let rule = builder.rule("rule");
    for task in 0..tasks {
        builder.task(rule, |key| key.extend(task.to_le_bytes()));
        builder.version(task, 0);
    }
    for task in 0..tasks {
        builder.begin_runs();
        write(&mut builder, &run(0, task.checked_sub(1).map(|dep| edge(dep, 0, 2)).into_iter().collect()));
    }
    let bytes = bytes(&builder.finish(|task, _| Some(Hash::from(u64::from(task)))).unwrap());
    let mut at = HEADER_SIZE + Header::decode(bytes.first_chunk().unwrap()).unwrap().table as usize;
    let chunk = |first: u32| {
        // An entry of ten bytes each, one for the end, and two words each, but for the first task.
        let length = (tasks.min(first + 1024) - first) * 18 + 10 - if first == 0 { 4 } else { 0 };
        at += length as usize;
        at - length as usize..at
    };
    let chunks = (0..tasks).step_by(1024).map(chunk).collect();
    (bytes, chunks)
}

#[test]
fn chunks_are_read_on_demand_and_damage_elsewhere_is_not_noticed() {
    let (whole, chunks) = many(3 * 1024 + 7);
    assert_eq!(chunks.len(), 4);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("traces");
    let mut damaged = whole.clone();
    damaged[chunks[2].end - 1] ^= 4;
    std::fs::write(&path, &damaged).unwrap();
    let read = Arc::new(Mutex::new(Vec::new()));
    let file = Watched(File::open(&path).unwrap(), read.clone());
    let header = Header::decode(damaged.first_chunk().unwrap()).unwrap();
    let stored = Stored::new(Snapshot::open(Box::new(file), header).unwrap());
    let edges = |task: u32| vec![run(0, vec![edge(task - 1, 0, 2)])];
    assert_eq!(
        (stored.runs(1024), stored.runs(3 * 1024 + 6)),
        (Some(edges(1024)), Some(edges(3 * 1024 + 6)))
    );
    assert_eq!((stored.runs(2047), stored.runs(1)), (Some(edges(2047)), Some(edges(1))));
    assert_eq!(stored.rule(3 * 1024 + 7), None, "there is no such task");
    let parts = [HEADER_SIZE..chunks[0].start, chunks[1].clone(), chunks[3].clone(), chunks[0].clone()];
    let parts = parts.map(|part| (part.start as u64, part.end as u64));
    assert_eq!(*lock(&read), parts, "each once, as a whole");
    assert!(!stored.is_damaged());
    // A damaged chunk is rejected on every access; and from then on, so is what was not read before.
    assert_eq!((stored.rule(2048), stored.runs(2048), stored.versions(2048)), (None, None, 0));
    assert!(stored.is_damaged());
    assert_eq!(lock(&read).len(), 5, "it is not tried again");
}

#[test]
fn reading_all_chunks_notices_any_damage() {
    let (whole, chunks) = many(2 * 1024);
    let sound = open(&whole).unwrap();
    assert!(sound.read_all_tasks() && sound.read_all_tasks());
    for at in [chunks[0].start, chunks[1].start + 3, chunks[1].end - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        let stored = open(&damaged).unwrap();
        assert!(!stored.read_all_tasks() && stored.is_damaged(), "byte {at}");
    }
}

/// A leaf and a task that read it: the whole file, byte for byte.
#[test]
fn a_small_file_has_the_bytes_that_are_specified() {
    let mut builder = SnapshotBuilder::default();
    let rule = builder.rule("r");
    let leaf = builder.task(rule, |key| key.push(b'a'));
    let task = builder.task(rule, |key| key.push(b'b'));
    assert_eq!([leaf, task].map(|task| builder.version(task, 0)), [0, 0]);
    for run in [run(0, vec![]), run(0, vec![edge(leaf, 0, 2)])] {
        builder.begin_runs();
        write(&mut builder, &run);
    }
    let image = builder.finish(|task, _| Some(Hash::from(u64::from(task)))).unwrap();
    let bytes = bytes(&image);
    let words = |at: usize, count: usize| -> Vec<u64> {
        bytes[at..].as_chunks::<8>().0[..count].iter().map(|word| u64::from_le_bytes(*word)).collect()
    };
    assert_eq!(
        &bytes[..32],
        b"taut traces 0005\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07"
    );
    // The length of the table, that of the tasks and the pages, and the sum of the header.
    let (table, tasks, sums) = (96 + 2 + 4 + 12 + 8 + 8, 3 * 10 + 3 * 4, 5 * 8);
    assert_eq!(words(32, 2), [table, tasks + sums + 64 + 12 + 2 + 8 + 12]);
    // Two tasks, two versions, three words of runs, two bytes of keys, no blob, two bytes of names, one version of
    // a rule; nothing wanted or unwanted, no siblings, no facets; one bucket.
    assert_eq!(words(HEADER_SIZE, 12), [2, 2, 3, 2, 0, 2, 1, 0, 0, 0, 0, 1]);
    let rest = &bytes[HEADER_SIZE + 96..HEADER_SIZE + table as usize];
    assert_eq!(rest[..2], *b"\x01r", "the rule");
    assert_eq!(rest[2..6], [3, 0, 0, 0], "its version");
    let of_tasks = &bytes[HEADER_SIZE + table as usize..][..tasks as usize];
    assert_eq!(rest[6..10], [3, 0, 0, 0], "the words of the only chunk of tasks");
    assert_eq!(rest[10..18], checksum(of_tasks).to_le_bytes(), "its sum");
    let all_sums = &bytes[HEADER_SIZE + (table + tasks) as usize..][..sums as usize];
    assert_eq!(rest[18..26], checksum(all_sums).to_le_bytes(), "the sum of the sums of the blocks");
    assert_eq!(rest[26..], checksum(&bytes[HEADER_SIZE..HEADER_SIZE + table as usize - 8]).to_le_bytes());
    // By task where the runs begin, where the versions begin, the rule.
    assert_eq!(of_tasks[..10], [0; 10]);
    assert_eq!(of_tasks[10..20], [1, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
    assert_eq!(of_tasks[20..30], [3, 0, 0, 0, 2, 0, 0, 0, 0, 0]);
    // The leaf read nothing; the task read one, the leaf.
    assert_eq!(of_tasks[30..], [[0; 4], [1, 0, 0, 0], [0; 4]].concat());
    let pages = &bytes[HEADER_SIZE + (table + tasks + sums) as usize..];
    assert_eq!(all_sums[..8], checksum(&pages[..64]).to_le_bytes(), "the sum of the hashes");
    assert_eq!(pages[..64], [Hash::from(0).0, Hash::from(1).0].concat());
    assert_eq!(pages[64..78], *b"\0\0\0\0\x01\0\0\0\x02\0\0\0ab", "where the keys begin, and the keys");
    assert_eq!(pages[78..86], [0, 0, 0, 0, 2, 0, 0, 0], "the bucket, with both");
    assert_eq!((pages[86..90].to_vec(), pages[92..96].to_vec()), (vec![0; 4], vec![1, 0, 0, 0]));
}

/// Tasks 0 to 5, of which each but the first read the one before; 5 was wanted at 10, 2 at 40.
fn chain() -> Stored {
    let (mut stored, mut batch) = (Stored::default(), Batch::default());
    for task in 0..6_u32 {
        let node = stored.node(&mut batch, "rule", &task.to_le_bytes()).unwrap();
        let seq = stored.seq(&mut batch, node, Hash::from(u64::from(task))).unwrap();
        let edges = task.checked_sub(1).map(|dep| edge(dep, 0, 2)).into_iter().collect();
        stored.set_runs(&mut batch, node, &[], vec![RunListItem::New(run(seq, edges))]);
    }
    stored.want(&mut batch, 5, 10);
    stored.want(&mut batch, 2, 40);
    let (sealed, mut reread) = (batch.seal(), Stored::default());
    assert_eq!(reread.read(&sealed), Some(sealed.len()));
    assert_eq!(reread.read(&sealed[..sealed.len() - 1]), Some(0), "a torn batch is not there");
    reread
}

/// The tasks that have runs after the file was written anew.
fn left(stored: &mut Stored, now: u32) -> Vec<u8> {
    *stored = open(&bytes(&stored.compact(now, 30).unwrap())).unwrap();
    let tasks = (0..stored.tasks()).filter(|task| stored.has_runs(*task));
    let key = |task| {
        let mut key = Vec::new();
        stored.key(task, &mut key).unwrap();
        key[0]
    };
    tasks.map(key).collect()
}

#[test]
fn tasks_that_no_request_needs_are_removed_after_the_retention_time() {
    let mut stored = chain();
    assert_eq!(left(&mut stored, 40), [0, 1, 2, 3, 4, 5], "5 was wanted thirty seconds ago");
    assert_eq!(left(&mut stored, 41), [0, 1, 2, 3, 4, 5], "3, 4 and 5 are found to be unwanted");
    assert_eq!(left(&mut stored, 70), [0, 1, 2, 3, 4, 5]);
    assert_eq!(left(&mut stored, 72), [0, 1, 2], "thirty-one seconds later");
    assert_eq!(left(&mut stored, 73), [0, 1, 2], "the last ones are unwanted since the one before");
    assert_eq!(left(&mut stored, 110), []);
}

#[test]
fn tasks_requested_again_are_kept() {
    let mut stored = chain();
    left(&mut stored, 60);
    let mut batch = Batch::default();
    stored.want(&mut batch, 4, 80);
    assert_eq!(left(&mut stored, 100), [0, 1, 2, 3, 4]);
}

/// In a day of edits each build requests other tasks.
#[test]
fn the_file_keeps_the_tasks_of_a_bounded_number_of_requests() {
    let (mut stored, mut batch) = (Stored::default(), Batch::default());
    let chain = |stored: &mut Stored, batch: &mut Batch, build: u32, tasks: u32| {
        let mut below = None;
        for task in 0..tasks {
            let key = [build.to_le_bytes(), task.to_le_bytes()].concat();
            let node = stored.node(batch, "rule", &key).unwrap();
            let seq = stored.seq(batch, node, Hash::from(u64::from(task))).unwrap();
            let edges = below.map(|dep| edge(dep, 0, 2)).into_iter().collect();
            stored.set_runs(batch, node, &[], vec![RunListItem::New(run(seq, edges))]);
            below = Some(node);
        }
        stored.want(batch, below.unwrap(), 100 + build);
    };
    for build in 0..20 {
        chain(&mut stored, &mut batch, build, 2_000);
    }
    // A small one, which is not a measure of the others.
    chain(&mut stored, &mut batch, 20, 10);
    let mut builds: Vec<u8> = left(&mut stored, 125);
    assert_eq!(builds.len(), 4 * 2_000 + 10, "four large ones, and what goes beyond is not begun");
    builds.dedup();
    assert_eq!(builds, [16, 17, 18, 19, 20], "the latest");
}

#[test]
fn a_further_run_with_the_same_reads_takes_few_bytes() {
    let (mut stored, mut batch) = (chain(), Batch::default());
    let seq = stored.seq(&mut batch, 5, Hash::from(55)).unwrap();
    let dep = stored.seq(&mut batch, 4, Hash::from(44)).unwrap();
    let old = stored.runs(5).unwrap();
    let new = RunListItem::New(run(seq, vec![edge(4, dep, 2)]));
    stored.set_runs(&mut batch, 5, &old, vec![new, RunListItem::Old(0)]);
    let runs = stored.runs(5).unwrap();
    // A frame of sixteen bytes, two versions of two bytes and a hash, the run, the one that stays.
    assert_eq!(batch.seal().len(), 16 + 2 * (2 + 32) + 3 + 6 + 2);
    assert_eq!(runs, [run(1, vec![edge(4, 1, 2)]), run(0, vec![edge(4, 0, 2)])]);
    let image = stored.compact(40, 30).unwrap();
    assert_eq!(open(&bytes(&image)).unwrap().runs(5).unwrap().len(), 2);
}

/// Content that no program wrote, under checksums that are right: answers are arbitrary then, but nothing panics.
#[test]
fn numbers_are_validated_before_they_are_used() {
    let (image, _) = all_kinds();
    let whole = bytes(&image);
    let header = Header::decode(whole.first_chunk().unwrap()).unwrap();
    let tasks = HEADER_SIZE + header.table as usize;
    // Four entries and the end; the first runs; and the last words of the one of five thousand reads.
    let words = tasks + 5 * 10;
    let end = words + 4 * Counts::decode(&whole[HEADER_SIZE..]).unwrap().words as usize;
    let ask = |stored: &Stored| {
        for task in 0..stored.tasks().min(20) {
            let mut key = Vec::new();
            let _ =
                (stored.key(task, &mut key), stored.rule(task), stored.has_runs(task), stored.is_leaf(task));
            let _ = (stored.runs(task), stored.facets(task), stored.wanted_at(task), stored.value(task, 0));
            let seqs = [0, 1, stored.versions(task), u32::MAX];
            let _ = seqs.map(|seq| stored.hash(task, seq));
            let _ = stored.version_with(task, Hash::from(1));
            let _ = ["rule", "other"].map(|rule| (stored.find(rule, b"leaf"), stored.siblings(rule, 99)));
            if let Some((columns, (_, runs))) = stored.columns().and_then(|all| Some((all, all.task(task)?)))
            {
                for mut plain in [3, 9].into_iter().filter_map(|version| columns.plain(runs, version)) {
                    while let Some(Some((_, _, bits))) = plain.read() {
                        let _ = plain.facets(bits);
                        plain.pass(bits);
                    }
                }
            }
        }
        let _ = stored.compact(40, 30).map(|image| open(&bytes(&image)).map(|again| again.tasks()));
    };
    for at in (HEADER_SIZE..words + 300).step_by(2).chain(end - 200..end) {
        for value in [0, 0xff, whole[at] ^ 0x10] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            super::reseal(&mut bytes);
            if let Some(stored) = open(&bytes) {
                ask(&stored);
            }
        }
    }
}

#[test]
fn resealing_restores_the_checksums_of_any_content() {
    let sound = bytes(&all_kinds().0);
    let mut again = sound.clone();
    super::reseal(&mut again);
    assert!(again == sound);
    let header = Header::decode(sound.first_chunk().unwrap()).unwrap();
    let tasks = HEADER_SIZE + header.table as usize;
    for at in [16, tasks + 8, sound.len() - 8_000, sound.len() - 1] {
        let mut other = sound.clone();
        other[at] ^= 1;
        super::reseal(&mut other);
        let stored = open(&other).expect("the sums are right");
        (0..4).for_each(|task| {
            drop((stored.runs(task), stored.hashes(task), stored.key(task, &mut Vec::new())))
        });
        assert!(!stored.is_damaged(), "byte {at}");
    }
    // Too few bytes are left as they are.
    (0..sound.len()).step_by(97).for_each(|end| super::reseal(&mut sound[..end].to_vec()));
}

#[test]
fn numbers_out_of_range_under_valid_checksums_are_rejected() {
    let sound = bytes(&all_kinds().0);
    let mut hashes_read = 0;
    // The columns of tasks are near the beginning, the facets at the end.
    for at in (HEADER_SIZE + 96..HEADER_SIZE + 700).chain(sound.len() - 40..sound.len() - 4) {
        let mut other = sound.clone();
        other[at..at + 4].copy_from_slice(&(1_u32 << 28).to_le_bytes());
        super::reseal(&mut other);
        let Some(stored) = open(&other) else { continue };
        for task in 0..4 {
            assert!(stored.versions(task) <= 305, "byte {at}");
            assert!(stored.facets(task).is_none_or(|facets| facets.len() <= 305), "byte {at}");
            hashes_read += stored.hashes(task).map_or(0, |hashes| hashes.len());
        }
    }
    assert!(hashes_read > 0);
}
