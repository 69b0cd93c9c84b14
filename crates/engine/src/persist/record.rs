//! The file of traces: what it says, and how that becomes bytes.
//!
//! A header (what it is, a number that no other file has, how long it was at first), then batches, each with its length and checksum; a batch is what one commit adds, so a commit is
//! there as a whole or not at all. Tasks and versions have dense numbers in the file, in the order in which
//! they first occur; what a process calls them is its own business. Whatever follows the first batch that is
//! not sound is as if it were not there.

use std::collections::HashMap;
use std::sync::Arc;

use crate::facet::Looks;
use crate::intern::BuildMix;
use crate::{Facets, Hash};

/// Marks the file, and its format.
pub(crate) const MAGIC: &[u8; 16] = b"taut traces 0002";

/// Length of the header: [`MAGIC`], the file's number, and how long the file was when it was written anew.
pub(crate) const HEADER: usize = 40;

/// One read of a stored run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StoredEdge {
    pub(crate) dep: u32,
    pub(crate) seq: u32,
    /// Bit 0: the hash only. Bit 1: the group ends. Bit 2: [`StoredEdge::facets`] are not the whole.
    pub(crate) bits: u8,
    pub(crate) facets: Facets,
}

/// One run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct StoredRun {
    pub(crate) version: u32,
    pub(crate) seq: u32,
    pub(crate) edges: Arc<[StoredEdge]>,
    pub(crate) fail: Option<Arc<[u8]>>,
    pub(crate) value: Option<Arc<[u8]>>,
    pub(crate) witness: Option<Arc<[u8]>>,
}

/// One task.
#[derive(Debug)]
pub(crate) struct StoredNode {
    pub(crate) rule: u32,
    pub(crate) key: Arc<[u8]>,
    pub(crate) hashes: Vec<Hash>,
    /// By version, as far as they are known.
    pub(crate) facets: Vec<Option<Looks>>,
    /// Its kinship, if it was made by itself.
    pub(crate) kin: Option<u64>,
    /// Latest use first.
    pub(crate) runs: Vec<StoredRun>,
}

/// All that a file says.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) rules: Vec<String>,
    pub(crate) nodes: Vec<StoredNode>,
    /// By rule, then by key.
    index: Vec<HashMap<Arc<[u8]>, u32, BuildMix>>,
    /// The tasks that were asked for from outside, and the day of the last time.
    pub(crate) wanted: HashMap<u32, u32, BuildMix>,
    /// The tasks that nothing wanted was made from when the file was written anew, and the day when that was so
    /// for the first time.
    unwanted: HashMap<u32, u32, BuildMix>,
    /// By rule and kinship.
    kin: HashMap<(u32, u64), Vec<u32>, BuildMix>,
}

/// What becomes of one task's runs: those that stay, by their present place, and new ones.
pub(crate) enum Kept {
    Old(u32),
    New(StoredRun),
}

const RULE: u8 = 1;
const NODE: u8 = 2;
const HASH: u8 = 3;
const RUNS: u8 = 4;
const FACETS: u8 = 5;
const KIN: u8 = 6;
const WANTED: u8 = 7;
const UNWANTED: u8 = 8;

/// A batch being written; what it adds holds in [`Stored`] at once.
#[derive(Default)]
pub(crate) struct Batch(Vec<u8>);

fn number(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, u32::try_from(bytes.len()).expect("a record is shorter than 4 GiB"));
    out.extend(bytes);
}

fn optional(out: &mut Vec<u8>, content: Option<&[u8]>) {
    out.push(u8::from(content.is_some()));
    if let Some(content) = content {
        bytes(out, content);
    }
}

impl Stored {
    /// The number of a task.
    pub(crate) fn find(&self, rule: &str, key: &[u8]) -> Option<u32> {
        let rule = self.rules.iter().position(|known| known == rule)? as u32;
        self.index.get(rule as usize)?.get(key).copied()
    }

    /// The number of a task, which is added if it is new.
    pub(crate) fn node(&mut self, batch: &mut Batch, rule: &str, key: &[u8]) -> u32 {
        let rule = match self.rules.iter().position(|known| known == rule) {
            Some(rule) => rule as u32,
            None => {
                batch.0.push(RULE);
                bytes(&mut batch.0, rule.as_bytes());
                self.rules.push(rule.to_owned());
                self.rules.len() as u32 - 1
            }
        };
        if let Some(node) = self.index.get(rule as usize).and_then(|keys| keys.get(key)) {
            return *node;
        }
        batch.0.push(NODE);
        number(&mut batch.0, rule);
        bytes(&mut batch.0, key);
        self.add_node(rule, key.into())
    }

    fn add_node(&mut self, rule: u32, key: Arc<[u8]>) -> u32 {
        let number = self.nodes.len() as u32;
        if self.index.len() <= rule as usize {
            self.index.resize_with(rule as usize + 1, HashMap::default);
        }
        self.index[rule as usize].insert(key.clone(), number);
        self.nodes.push(StoredNode {
            rule,
            key,
            hashes: Vec::new(),
            facets: Vec::new(),
            kin: None,
            runs: Vec::new(),
        });
        number
    }

    /// The number of a version of a task, which is added if it is new.
    pub(crate) fn seq(&mut self, batch: &mut Batch, node: u32, hash: Hash) -> u32 {
        let hashes = &mut self.nodes[node as usize].hashes;
        if let Some(at) = hashes.iter().rposition(|known| *known == hash) {
            return at as u32;
        }
        batch.0.push(HASH);
        number(&mut batch.0, node);
        batch.0.extend(hash.0);
        hashes.push(hash);
        hashes.len() as u32 - 1
    }

    /// Notes what the facets of a version look like.
    pub(crate) fn facets(&mut self, batch: &mut Batch, node: u32, seq: u32, looks: &Looks) {
        let known = &mut self.nodes[node as usize].facets;
        if known.get(seq as usize).is_some_and(Option::is_some) {
            return;
        }
        let out = &mut batch.0;
        out.push(FACETS);
        number(out, node);
        number(out, seq);
        number(out, looks.len() as u32);
        // Most facets of most values are empty.
        for look in &**looks {
            let bytes = look.to_le_bytes();
            out.push(u8::from(*look != 0));
            out.extend(if *look == 0 { &[] } else { &bytes[..] });
        }
        place(known, seq, looks.clone());
    }

    /// Notes that a task was asked for from outside on a day.
    pub(crate) fn want(&mut self, batch: &mut Batch, node: u32, day: u32) {
        if self.wanted.insert(node, day) != Some(day) {
            batch.0.push(WANTED);
            number(&mut batch.0, node);
            number(&mut batch.0, day);
        }
    }

    fn leave(&mut self, batch: &mut Batch, node: u32, day: u32) {
        self.unwanted.insert(node, day);
        batch.0.push(UNWANTED);
        number(&mut batch.0, node);
        number(&mut batch.0, day);
    }

    /// The tasks that those asked for since `day` are made from.
    fn wanted_since(&self, day: u32) -> Vec<bool> {
        let mut wanted = vec![false; self.nodes.len()];
        let roots = self.wanted.iter().filter(|(_, last)| **last >= day);
        let mut pending: Vec<u32> = roots.map(|(node, _)| *node).collect();
        while let Some(node) = pending.pop() {
            if !std::mem::replace(&mut wanted[node as usize], true) {
                let runs = self.nodes[node as usize].runs.iter();
                pending.extend(runs.flat_map(|run| run.edges.iter().map(|edge| edge.dep)));
            }
        }
        wanted
    }

    /// Notes the kinship of a task.
    pub(crate) fn kin(&mut self, batch: &mut Batch, node: u32, kin: u64) {
        if self.nodes[node as usize].kin.is_none() {
            batch.0.push(KIN);
            number(&mut batch.0, node);
            batch.0.extend(kin.to_le_bytes());
            self.add_kin(node, kin);
        }
    }

    fn add_kin(&mut self, node: u32, kin: u64) {
        let known = &mut self.nodes[node as usize];
        known.kin = Some(kin);
        self.kin.entry((known.rule, kin)).or_default().push(node);
    }

    /// All tasks of a rule with this kinship that were made by themselves.
    pub(crate) fn all_kin(&self, rule: &str, kin: u64) -> &[u32] {
        let rule = self.rules.iter().position(|known| known == rule);
        rule.and_then(|rule| self.kin.get(&(rule as u32, kin))).map_or(&[], Vec::as_slice)
    }

    /// Sets the runs of a task.
    pub(crate) fn runs(&mut self, batch: &mut Batch, node: u32, kept: Vec<Kept>) {
        let out = &mut batch.0;
        out.push(RUNS);
        number(out, node);
        number(out, kept.len() as u32);
        for kept in &kept {
            match kept {
                Kept::Old(at) => {
                    out.push(0);
                    number(out, *at);
                }
                Kept::New(run) => {
                    out.push(1);
                    number(out, run.version);
                    number(out, run.seq);
                    number(out, run.edges.len() as u32);
                    for edge in &*run.edges {
                        number(out, edge.dep);
                        number(out, edge.seq);
                        out.push(edge.bits);
                        if edge.bits & 4 != 0 {
                            number(out, edge.facets.0.into());
                        }
                    }
                    optional(out, run.fail.as_deref());
                    optional(out, run.value.as_deref());
                    optional(out, run.witness.as_deref());
                }
            }
        }
        let old = std::mem::take(&mut self.nodes[node as usize].runs);
        let new = kept.into_iter().filter_map(|kept| match kept {
            Kept::Old(at) => old.get(at as usize).cloned(),
            Kept::New(run) => Some(run),
        });
        self.nodes[node as usize].runs = new.collect();
    }

    /// Reads batches; returns how many bytes of them are sound. `None`: one is whole and makes no sense, so
    /// that the file is not what it seems, and neither is what was read of it.
    pub(crate) fn read(&mut self, mut rest: &[u8]) -> Option<usize> {
        let whole = rest.len();
        while let Some((batch, after)) = split(rest) {
            self.apply(batch)?;
            rest = after;
        }
        Some(whole - rest.len())
    }

    fn apply(&mut self, batch: &[u8]) -> Option<()> {
        let mut reader = Reader(batch);
        while !reader.0.is_empty() {
            match reader.byte()? {
                RULE => {
                    let name = String::from_utf8(reader.bytes()?.to_vec()).ok()?;
                    self.rules.push(name);
                }
                NODE => {
                    let rule = reader.number()?;
                    self.rules.get(rule as usize)?;
                    let key = reader.bytes()?.into();
                    self.add_node(rule, key);
                }
                HASH => {
                    let node = reader.number()?;
                    let hash = Hash(*reader.take(32)?.first_chunk()?);
                    self.nodes.get_mut(node as usize)?.hashes.push(hash);
                }
                WANTED => {
                    let (node, day) = (reader.number()?, reader.number()?);
                    self.nodes.get(node as usize)?;
                    self.wanted.insert(node, day);
                }
                UNWANTED => {
                    let (node, day) = (reader.number()?, reader.number()?);
                    self.nodes.get(node as usize)?;
                    self.unwanted.insert(node, day);
                }
                KIN => {
                    let node = reader.number()?;
                    let kin = u64::from_le_bytes(*reader.take(8)?.first_chunk()?);
                    self.nodes.get(node as usize)?;
                    self.add_kin(node, kin);
                }
                FACETS => {
                    let (node, seq) = (reader.number()?, reader.number()?);
                    let looks: Option<Vec<u128>> = (0..reader.number()?).map(|_| reader.look()).collect();
                    let node = self.nodes.get_mut(node as usize)?;
                    if seq as usize >= node.hashes.len() {
                        return None;
                    }
                    place(&mut node.facets, seq, looks?.into());
                }
                RUNS => self.apply_runs(&mut reader)?,
                _ => return None,
            }
        }
        Some(())
    }

    fn apply_runs(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let node = reader.number()?;
        let versions = self.nodes.get(node as usize)?.hashes.len() as u32;
        let mut runs = Vec::new();
        for _ in 0..reader.number()? {
            if reader.byte()? == 0 {
                let at = reader.number()?;
                runs.push(self.nodes[node as usize].runs.get(at as usize)?.clone());
                continue;
            }
            let (version, seq) = (reader.number()?, reader.number()?);
            if seq >= versions {
                return None;
            }
            let mut edges = Vec::new();
            for _ in 0..reader.number()? {
                let (dep, seq, bits) = (reader.number()?, reader.number()?, reader.byte()?);
                let facets = if bits & 4 == 0 { u16::MAX } else { reader.number()?.try_into().ok()? };
                let edge = StoredEdge { dep, seq, bits, facets: Facets(facets) };
                if edge.seq as usize >= self.nodes.get(edge.dep as usize)?.hashes.len() {
                    return None;
                }
                edges.push(edge);
            }
            let (fail, value, witness) = (reader.optional()?, reader.optional()?, reader.optional()?);
            runs.push(StoredRun { version, seq, edges: edges.into(), fail, value, witness });
        }
        self.nodes[node as usize].runs = runs;
        Some(())
    }

    /// A file of what is known now, and nothing that was replaced: only tasks that have runs, and those
    /// that runs mention; and nothing of which it was found `days` ago, and again today, that nothing wanted in
    /// as many days is made from it.
    pub(crate) fn compact(&self, today: u32, days: u32) -> (Stored, Vec<u8>) {
        let since = today.saturating_sub(days);
        let wanted = self.wanted_since(since);
        let unwanted_since = |node: u32| self.unwanted.get(&node).copied().unwrap_or(today);
        let is_kept = |node: usize| wanted[node] || unwanted_since(node as u32) >= since;
        let (mut stored, mut batch) = (Stored::default(), Batch::default());
        let mut number_of = HashMap::new();
        let mut place = |stored: &mut Stored, batch: &mut Batch, node: u32, seq: u32| {
            let known = &self.nodes[node as usize];
            let rule = &self.rules[known.rule as usize];
            let new = *number_of.entry(node).or_insert_with(|| stored.node(batch, rule, &known.key));
            let version = stored.seq(batch, new, known.hashes[seq as usize]);
            if let Some(Some(looks)) = known.facets.get(seq as usize) {
                stored.facets(batch, new, version, looks);
            }
            (new, version)
        };
        for (node, known) in self.nodes.iter().enumerate().filter(|(node, _)| is_kept(*node)) {
            let mut kept = Vec::new();
            for run in &known.runs {
                let mut edges = Vec::with_capacity(run.edges.len());
                for edge in &*run.edges {
                    let (dep, seq) = place(&mut stored, &mut batch, edge.dep, edge.seq);
                    edges.push(StoredEdge { dep, seq, ..*edge });
                }
                let (_, seq) = place(&mut stored, &mut batch, node as u32, run.seq);
                kept.push(Kept::New(StoredRun { seq, edges: edges.into(), ..run.clone() }));
            }
            if let Some(run) = known.runs.first() {
                let (new, _) = place(&mut stored, &mut batch, node as u32, run.seq);
                stored.runs(&mut batch, new, kept);
                if let Some(kin) = known.kin {
                    stored.kin(&mut batch, new, kin);
                }
                if !wanted[node] {
                    stored.leave(&mut batch, new, unwanted_since(node as u32));
                }
                if let Some(day) = self.wanted.get(&(node as u32)) {
                    stored.want(&mut batch, new, *day);
                }
            }
        }
        (stored, batch.seal())
    }
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes to append to the file.
    pub(crate) fn seal(self) -> Vec<u8> {
        let mut sealed = (self.0.len() as u64).to_le_bytes().to_vec();
        sealed.extend(checksum(&self.0).to_le_bytes());
        sealed.extend(self.0);
        sealed
    }
}

/// The first batch, if it is sound, and what follows.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<8>()?;
    let (sum, rest) = rest.split_first_chunk::<8>()?;
    let (batch, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
    (checksum(batch) == u64::from_le_bytes(*sum)).then_some((batch, rest))
}

/// Against accidents, not against people.
fn checksum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut sum = 0x9e37_79b9_7f4a_7c15 ^ bytes.len() as u64;
    let mut stir = |word: u64| {
        sum = (sum ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
        sum ^= sum >> 32;
    };
    words.iter().for_each(|word| stir(u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    stir(u64::from_le_bytes(last));
    sum
}

/// Notes the facets of a version.
fn place(known: &mut Vec<Option<Looks>>, seq: u32, looks: Looks) {
    if known.len() <= seq as usize {
        known.resize(seq as usize + 1, None);
    }
    known[seq as usize] = Some(looks);
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, len: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn number(&mut self) -> Option<u32> {
        let mut number = 0_u32;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            number |= u32::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn look(&mut self) -> Option<u128> {
        match self.byte()? {
            0 => Some(0),
            1 => Some(u128::from_le_bytes(*self.take(16)?.first_chunk()?)),
            _ => None,
        }
    }

    fn bytes(&mut self) -> Option<&'b [u8]> {
        let len = self.number()?;
        self.take(len as usize)
    }

    fn optional(&mut self) -> Option<Option<Arc<[u8]>>> {
        match self.byte()? {
            0 => Some(None),
            1 => Some(Some(self.bytes()?.into())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tasks 0 to 5, of which each but the first read the one before; 5 was wanted on day 10, 2 on day 40.
    fn file() -> Stored {
        let (mut stored, mut batch) = (Stored::default(), Batch::default());
        for task in 0..6_u32 {
            let node = stored.node(&mut batch, "rule", &task.to_le_bytes());
            let seq = stored.seq(&mut batch, node, Hash::from(u64::from(task)));
            let edge = |dep| StoredEdge { dep, seq: 0, bits: 2, facets: Facets::WHOLE };
            let edges: Vec<StoredEdge> = task.checked_sub(1).map(edge).into_iter().collect();
            let (fail, value, witness) = (None, None, None);
            let run = StoredRun { version: 0, seq, edges: edges.into(), fail, value, witness };
            stored.runs(&mut batch, node, vec![Kept::New(run)]);
        }
        stored.want(&mut batch, 5, 10);
        stored.want(&mut batch, 2, 40);
        reread(batch.seal())
    }

    fn reread(bytes: Vec<u8>) -> Stored {
        let mut stored = Stored::default();
        assert_eq!(stored.read(&bytes), Some(bytes.len()));
        stored
    }

    /// The tasks that have runs after the file was written anew.
    fn left(stored: &mut Stored, today: u32) -> Vec<u8> {
        let (kept, bytes) = stored.compact(today, 30);
        let tasks: Vec<u8> =
            kept.nodes.iter().filter(|node| !node.runs.is_empty()).map(|node| node.key[0]).collect();
        *stored = reread(bytes);
        tasks
    }

    #[test]
    fn what_nothing_wanted_is_made_from_goes_after_a_while() {
        let mut stored = file();
        assert_eq!(left(&mut stored, 40), [0, 1, 2, 3, 4, 5], "5 was wanted thirty days ago");
        assert_eq!(left(&mut stored, 41), [0, 1, 2, 3, 4, 5], "3, 4 and 5 are found to be unwanted");
        assert_eq!(left(&mut stored, 70), [0, 1, 2, 3, 4, 5]);
        assert_eq!(left(&mut stored, 72), [0, 1, 2, 3, 4, 5][..3], "thirty-one days later");
        assert_eq!(left(&mut stored, 73), [0, 1, 2], "the last ones are unwanted since yesterday");
        assert_eq!(left(&mut stored, 110), []);
    }

    #[test]
    fn what_is_wanted_again_stays() {
        let mut stored = file();
        left(&mut stored, 60);
        let mut batch = Batch::default();
        stored.want(&mut batch, 4, 80);
        assert_eq!(left(&mut stored, 100), [0, 1, 2, 3, 4]);
    }
}
