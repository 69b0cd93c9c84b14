//! The journal of the file: batches that were appended to the snapshot, each with its length and checksum.
//!
//! A batch is what one commit adds, so a commit is there as a whole or not at all, also if the process is killed while
//! it writes. What follows the first batch with a wrong checksum is ignored, and overwritten by the next commit. New
//! tasks and versions get the next numbers.

use super::bytes::{Reader, bytes, checksum, facet_hashes, number, put_facet_hashes};
use super::leaves::LeafSet;
use super::stored::{Change, Stored};
use super::stored_run::{StoredEdge, StoredRun};
use crate::graph::facet::FacetHashes;
use crate::sync::Arc;
use crate::{Facets, Hash};

/// The new list of a task's runs: those that stay, by their present place, and new ones.
pub(super) enum RunListItem {
    Old(u32),
    New(StoredRun),
}

// Part of the format (docs/engine.md): another meaning needs another `MAGIC`.
// From 1: a zero byte is not a record.
const RULE: u8 = 1;
const NODE: u8 = 2;
const HASH: u8 = 3;
const RUNS: u8 = 4;
const FACETS: u8 = 5;
const SHARE_KEY: u8 = 6;
const WANTED: u8 = 7;

/// How a run is written: an old one by its place; a new one; a new one with the same reads as one that stays.
const OLD: u8 = 0;
const NEW: u8 = 1;
const SAME: u8 = 2;

/// In one byte with the traits: which optional fields of a run follow.
const FAIL: u8 = 1 << 4;
const VALUE: u8 = 1 << 5;
const WITNESS: u8 = 1 << 6;
const LEAVES: u8 = 1 << 7;
const TRAITS: u8 = 0xf;

/// A batch being written; what is added to it is added to [`Stored`] at the same time.
#[derive(Default)]
pub(super) struct Batch(Vec<u8>);

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes to append to the file.
    pub(super) fn seal(self) -> Vec<u8> {
        // The length is outside the checksum: a wrong one leads to a batch whose checksum is wrong.
        let mut sealed = (self.0.len() as u64).to_le_bytes().to_vec();
        // One checksum for all records, not one each: a commit counts as a whole.
        sealed.extend(checksum(&self.0).to_le_bytes());
        sealed.extend(self.0);
        sealed
    }
}

/// The first batch, if its checksum is right, and what follows.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<8>()?;
    let (sum, rest) = rest.split_first_chunk::<8>()?;
    // A wrong length, one beyond the end of the file, and a wrong checksum look alike: as a batch that was cut short.
    // It and those behind it are lost, which costs executions.
    let (batch, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
    (checksum(batch) == u64::from_le_bytes(*sum)).then_some((batch, rest))
}

impl Stored {
    /// The place of a rule, which is added if it is new.
    pub(super) fn rule_place(&mut self, batch: &mut Batch, rule: &str) -> u16 {
        self.rule_named(rule).unwrap_or_else(|| {
            batch.0.push(RULE);
            bytes(&mut batch.0, rule.as_bytes());
            self.rules.push(rule.into());
            (self.rules.len() - 1) as u16
        })
    }

    /// The number of a task, which is added if it is new. `None`: the file is corrupt.
    pub(super) fn node(&mut self, batch: &mut Batch, rule: &str, key: &[u8]) -> Option<u32> {
        let rule = self.rule_place(batch, rule);
        if let Some(node) = self.find_of(rule, key) {
            return Some(node);
        }
        if self.is_damaged() {
            return None;
        }
        batch.0.push(NODE);
        number(&mut batch.0, rule.into());
        bytes(&mut batch.0, key);
        Some(self.add_node(rule, key.into()))
    }

    // Numbers are not written: the order of the records gives them, in each process the same.
    fn add_node(&mut self, rule: u16, key: Arc<[u8]>) -> u32 {
        let number = self.tasks();
        if self.index.len() <= rule as usize {
            self.index.resize_with(rule as usize + 1, Default::default);
        }
        self.index[rule as usize].insert(key.clone(), number);
        self.fresh.push((rule, key));
        number
    }

    fn change(&mut self, node: u32) -> &mut Change {
        self.changes.entry(node).or_default()
    }

    /// The number of a version of a task, which is added if it is new. `None`: the file is corrupt.
    pub(super) fn seq(&mut self, batch: &mut Batch, node: u32, hash: Hash) -> Option<u32> {
        if let Some(seq) = self.version_with(node, hash)? {
            return Some(seq);
        }
        // All batches were read under the lock on the file (`FileState::catch_up`), so no other process has given this
        // number.
        let next = self.versions(node);
        batch.0.push(HASH);
        number(&mut batch.0, node);
        batch.0.extend(hash.0);
        self.change(node).hashes.push(hash);
        Some(next)
    }

    /// Records the hashes of the facets of a version.
    pub(super) fn note_facet_hashes(
        &mut self,
        batch: &mut Batch,
        node: u32,
        seq: u32,
        facet_hashes: &FacetHashes,
    ) -> Option<()> {
        if self.facets(node)?.get(seq as usize).is_some_and(Option::is_some) {
            return Some(());
        }
        let out = &mut batch.0;
        out.push(FACETS);
        number(out, node);
        number(out, seq);
        put_facet_hashes(out, facet_hashes);
        self.change(node).facet_hashes.push((seq, facet_hashes.clone()));
        Some(())
    }

    /// Records that a task was requested from outside, and when.
    pub(super) fn want(&mut self, batch: &mut Batch, node: u32, time: u32) {
        if self.wanted_at(node) != Some(time) {
            self.wanted.insert(node, time);
            batch.0.push(WANTED);
            number(&mut batch.0, node);
            number(&mut batch.0, time);
        }
    }

    /// Records the share key of a task.
    pub(super) fn note_sibling(&mut self, batch: &mut Batch, node: u32, share_key: u64) -> Option<()> {
        let rule = self.rule(node)?;
        let name = self.rules.get(rule as usize)?.clone();
        if self.siblings(&name, share_key)?.contains(&node) {
            return Some(());
        }
        batch.0.push(SHARE_KEY);
        number(&mut batch.0, node);
        batch.0.extend(share_key.to_le_bytes());
        self.add_sibling(node, rule, share_key);
        Some(())
    }

    fn add_sibling(&mut self, node: u32, rule: u16, share_key: u64) {
        self.change(node).share_key = Some(share_key);
        self.siblings.entry((rule, share_key)).or_default().push(node);
    }

    /// Sets the runs of a task, which were `old`.
    pub(super) fn set_runs(
        &mut self,
        batch: &mut Batch,
        node: u32,
        old: &[StoredRun],
        kept: Vec<RunListItem>,
    ) {
        let out = &mut batch.0;
        out.push(RUNS);
        number(out, node);
        number(out, kept.len() as u32);
        for kept in &kept {
            match kept {
                RunListItem::Old(at) => {
                    out.push(OLD);
                    number(out, *at);
                }
                RunListItem::New(run) => put_run(out, run, old),
            }
        }
        let new = kept.into_iter().filter_map(|kept| match kept {
            RunListItem::Old(at) => old.get(at as usize).cloned(),
            RunListItem::New(run) => Some(run),
        });
        let new = new.collect();
        // As a reader of the batch would get it: a compaction is made from this content, without reading the batch.
        self.change(node).runs = Some(new);
    }

    /// Reads batches; returns the length of those with right checksums. `None`: one has a right checksum and content
    /// that cannot be, so the file is corrupt, and nothing that was read of it counts.
    pub(super) fn read(&mut self, mut rest: &[u8]) -> Option<usize> {
        let whole = rest.len();
        // Stops at the first batch that is cut short, which a killed process leaves behind. `read_to` stays before it,
        // so the next commit cuts it off.
        while let Some((batch, after)) = split(rest) {
            self.apply(batch)?;
            rest = after;
        }
        Some(whole - rest.len())
    }

    /// Applies the records of a batch, in order: each refers only to rules, tasks and versions of records before it.
    fn apply(&mut self, batch: &[u8]) -> Option<()> {
        let mut reader = Reader(batch);
        while !reader.0.is_empty() {
            match reader.byte()? {
                RULE => {
                    let name = std::str::from_utf8(reader.bytes()?).ok()?;
                    self.rules.push(name.into());
                }
                NODE => {
                    let rule = u16::try_from(reader.number()?).ok()?;
                    self.rules.get(rule as usize)?;
                    let key = reader.bytes()?.into();
                    self.add_node(rule, key);
                }
                HASH => {
                    let node = self.known(&mut reader)?;
                    let hash = Hash(*reader.take(32)?.first_chunk()?);
                    self.change(node).hashes.push(hash);
                }
                WANTED => {
                    let (node, time) = (self.known(&mut reader)?, reader.number()?);
                    self.wanted.insert(node, time);
                }
                SHARE_KEY => {
                    let node = self.known(&mut reader)?;
                    let share_key = u64::from_le_bytes(*reader.take(8)?.first_chunk()?);
                    let rule = self.rule(node)?;
                    self.add_sibling(node, rule, share_key);
                }
                FACETS => {
                    let (node, seq) = (self.known(&mut reader)?, reader.number()?);
                    let facet_hashes = facet_hashes(&mut reader)?;
                    (seq < self.versions(node)).then_some(())?;
                    self.change(node).facet_hashes.push((seq, facet_hashes));
                }
                RUNS => self.apply_runs(&mut reader)?,
                // The checksum is right, so this is not a write that was cut short: the file counts as corrupt.
                _ => return None,
            }
        }
        Some(())
    }

    /// The number of an existing task.
    fn known(&self, reader: &mut Reader<'_>) -> Option<u32> {
        reader.number().filter(|node| *node < self.tasks())
    }

    fn apply_runs(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let node = self.known(reader)?;
        let versions = self.versions(node);
        // A reference to an earlier run means one of these: the list as it is after all records before this one.
        let old = self.runs(node)?;
        let mut runs = Vec::new();
        for _ in 0..reader.number()? {
            // Another kind than the three is read as `NEW`: only damage that the checksum misses could write one, and
            // all numbers are checked.
            let kind = reader.byte()?;
            if kind == OLD {
                runs.push(old.get(reader.number()? as usize)?.clone());
                continue;
            }
            let (flags, version, seq) = (reader.byte()?, reader.number()?, reader.number()?);
            // Other versions than those of records before this one do not exist yet.
            if seq >= versions {
                return None;
            }
            let mut edges = Vec::new();
            if kind == SAME {
                for edge in &*old.get(reader.number()? as usize)?.edges {
                    edges.push(StoredEdge { seq: reader.number()?, ..*edge });
                }
            } else {
                for _ in 0..reader.number()? {
                    let (dep, seq, bits) = (reader.number()?, reader.number()?, reader.byte()?);
                    let facets = if bits & StoredEdge::HAS_FACETS == 0 {
                        u16::MAX
                    } else {
                        reader.number()?.try_into().ok()?
                    };
                    edges.push(StoredEdge { dep, seq, bits, facets: Facets(facets) });
                }
            }
            // Whether such versions exist is checked where they are used: here it would mean reading the chunk of each
            // task.
            if edges.iter().any(|edge| edge.dep >= self.tasks()) {
                return None;
            }
            let mut blob = |bit| match flags & bit {
                0 => Some(None),
                _ => reader.bytes().map(|bytes| Some(Arc::from(bytes))),
            };
            let (fail, value, witness) = (blob(FAIL)?, blob(VALUE)?, blob(WITNESS)?);
            let leaves = match flags & LEAVES {
                0 => None,
                _ => Some(LeafSet::decode(reader.bytes()?, self.rules.len(), self.tasks())?.into()),
            };
            let (traits, edges) = (flags & TRAITS, edges.into());
            runs.push(StoredRun { version, seq, traits, edges, fail, value, witness, leaves });
        }
        self.change(node).runs = Some(runs);
        Some(())
    }
}

fn put_run(out: &mut Vec<u8>, run: &StoredRun, old: &[StoredRun]) {
    let reads_the_same = |old: &StoredRun| {
        old.edges.len() == run.edges.len()
            && old.edges.iter().zip(&*run.edges).all(|(a, b)| StoredEdge { seq: a.seq, ..*b } == *a)
    };
    // Most new runs of a task read the same tasks at other versions: then only the versions are written.
    let same = old.iter().position(reads_the_same).filter(|_| !run.edges.is_empty());
    out.push(if same.is_some() { SAME } else { NEW });
    let mut flags = run.traits;
    for (bit, blob) in [(FAIL, &run.fail), (VALUE, &run.value), (WITNESS, &run.witness)] {
        flags |= if blob.is_some() { bit } else { 0 };
    }
    flags |= if run.leaves.is_some() { LEAVES } else { 0 };
    out.push(flags);
    number(out, run.version);
    number(out, run.seq);
    if let Some(at) = same {
        number(out, at as u32);
        run.edges.iter().for_each(|edge| number(out, edge.seq));
    } else {
        number(out, run.edges.len() as u32);
        for edge in &*run.edges {
            number(out, edge.dep);
            number(out, edge.seq);
            out.push(edge.bits);
            if edge.has_facets() {
                number(out, edge.facets.0.into());
            }
        }
    }
    for blob in [&run.fail, &run.value, &run.witness].into_iter().flatten() {
        bytes(out, blob);
    }
    if let Some(leaves) = &run.leaves {
        bytes(out, &leaves.encode());
    }
}
