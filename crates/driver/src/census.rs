//! What analysis of a request came to, without its values: who was reached, by hash, and what each defines.
//!
//! A call after a change has to tell how much there is, and to find the definitions of the few actions that run.
//! Both follow from the values of all targets, but to read those costs more than everything else does. The census
//! says of each configured target under which hash it was counted, so that only those that came out differently
//! are looked into again; and of each definition, which target has it. It is never believed without being
//! compared: a hash that differs is counted anew, and a definition that is not where the census says is looked
//! for by analysis.
//!
//! Rejected: to keep the summary with each target. A call would still have to ask for all of them.

use rustc_hash::FxHashMap;
use taut_value::Id;

/// Enough of an id, or of a hash, to tell it from all others.
pub(crate) type Short = [u8; 16];

/// The beginning of an id or of a hash; shorter ones end with zeros.
pub(crate) fn short(bytes: &[u8]) -> Short {
    let mut short = [0; 16];
    let len = bytes.len().min(16);
    short[..len].copy_from_slice(&bytes[..len]);
    short
}

/// What is defined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Kind {
    Action = 0,
    Tree = 1,
    Overlay = 2,
    Blob = 3,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Action, Kind::Tree, Kind::Overlay, Kind::Blob];
}

/// Set in the byte of a definition's kind: of an action whose earlier runs are not believed.
const UNBELIEVED: u8 = 1 << 7;

/// The same of an action that runs each time.
const EACH_TIME: u8 = 1 << 6;

const FLAGS: u8 = UNBELIEVED | EACH_TIME;

/// Lists of numbers, one after the other.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Lists {
    ends: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    fn push(&mut self, items: impl IntoIterator<Item = u32>) {
        self.items.extend(items);
        self.ends.push(self.items.len() as u32);
    }

    fn get(&self, at: usize) -> &[u32] {
        let begin = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        &self.items[begin..self.ends[at] as usize]
    }
}

/// A definition, and what it refers to.
pub(crate) struct Definition {
    pub(crate) kind: Kind,
    pub(crate) id: Short,
    pub(crate) is_believed: bool,
    pub(crate) runs_each_time: bool,
    /// Its place among the target's definitions of its kind.
    pub(crate) place: u32,
    /// The actions and trees among what it consists of.
    pub(crate) parts: Vec<Short>,
}

/// What is noted of a configured target by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Counted {
    /// The hash of all that it is.
    pub(crate) hash: Short,
    /// What tells export targets apart; `None` for all others.
    pub(crate) export: Option<Short>,
    /// Whether there is something to be told of it each time.
    pub(crate) warns: bool,
}

/// A census being taken.
#[derive(Default)]
pub(crate) struct Draft {
    keys: Vec<Vec<u8>>,
    hashes: Vec<Short>,
    exports: Vec<Option<Short>>,
    warns: Vec<bool>,
    dependencies: Lists,
    definitions: Lists,
    by_id: FxHashMap<Short, u32>,
    ids: Vec<Short>,
    kinds: Vec<u8>,
    owners: Vec<u32>,
    places: Vec<u32>,
    parts: Vec<Vec<Short>>,
}

impl Draft {
    /// Counts a configured target; they are numbered in this order. Dependencies are numbers, of later ones, too.
    pub(crate) fn add(
        &mut self,
        key: Vec<u8>,
        Counted { hash, export, warns }: Counted,
        dependencies: impl IntoIterator<Item = u32>,
        definitions: impl IntoIterator<Item = Definition>,
    ) {
        let owner = self.keys.len() as u32;
        self.keys.push(key);
        self.hashes.push(hash);
        self.exports.push(export);
        self.warns.push(warns);
        self.dependencies.push(dependencies);
        let mut own: Vec<u32> = Vec::new();
        for Definition { kind, id, is_believed, runs_each_time, place, parts } in definitions {
            let next = self.ids.len() as u32;
            let number = *self.by_id.entry(id).or_insert(next);
            if number == next {
                self.ids.push(id);
                let unbelieved = if is_believed { 0 } else { UNBELIEVED };
                self.kinds.push(kind as u8 | unbelieved | if runs_each_time { EACH_TIME } else { 0 });
                self.owners.push(owner);
                self.places.push(place);
                self.parts.push(parts);
            }
            own.push(number);
        }
        own.sort_unstable();
        own.dedup();
        self.definitions.push(own);
    }

    /// The census, and whether everything that something refers to is defined by somebody.
    pub(crate) fn finish(self) -> (Census, bool) {
        let mut is_whole = true;
        let mut order: Vec<u32> = (0..self.ids.len() as u32).collect();
        order.sort_unstable_by_key(|number| self.ids[*number as usize]);
        let mut place = vec![0_u32; order.len()];
        for (at, number) in order.iter().enumerate() {
            place[*number as usize] = at as u32;
        }
        let mut parts = Lists::default();
        for number in &order {
            let mut of_one = Vec::with_capacity(self.parts[*number as usize].len());
            for part in &self.parts[*number as usize] {
                let part = self.by_id.get(part);
                is_whole &= part.is_some();
                of_one.extend(part.map(|part| place[*part as usize]));
            }
            of_one.sort_unstable();
            of_one.dedup();
            parts.push(of_one);
        }
        let mut definitions = Lists::default();
        for member in 0..self.keys.len() {
            definitions.push(self.definitions.get(member).iter().map(|number| place[*number as usize]));
        }
        let mut keys = Vec::new();
        let mut key_ends = Vec::with_capacity(self.keys.len());
        for key in &self.keys {
            keys.extend(key);
            key_ends.push(keys.len() as u32);
        }
        let by_place = |all: &[u32]| order.iter().map(|number| all[*number as usize]).collect();
        let census = Census {
            ids: order.iter().map(|number| self.ids[*number as usize]).collect(),
            owners: by_place(&self.owners),
            places: by_place(&self.places),
            kinds: order.iter().map(|number| self.kinds[*number as usize]).collect(),
            parts,
            keys,
            key_ends,
            hashes: self.hashes,
            exports: self.exports,
            warns: self.warns,
            dependencies: self.dependencies,
            definitions,
        };
        (census, is_whole)
    }
}

/// Who was reached, and what they define.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Census {
    /// Of the definitions, in order.
    ids: Vec<Short>,
    /// By definition: a target that has it.
    owners: Vec<u32>,
    /// By definition: its place there.
    places: Vec<u32>,
    kinds: Vec<u8>,
    parts: Lists,
    /// By target.
    keys: Vec<u8>,
    key_ends: Vec<u32>,
    hashes: Vec<Short>,
    exports: Vec<Option<Short>>,
    warns: Vec<bool>,
    dependencies: Lists,
    definitions: Lists,
}

/// How much there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Actions, each once.
    pub actions: usize,
    /// Trees.
    pub trees: usize,
    /// Overlays of trees.
    pub overlays: usize,
    /// Contents that the description holds.
    pub blobs: usize,
    /// Export targets.
    pub exports: usize,
    /// Actions that run in every build.
    pub run_each_time: usize,
}

impl Census {
    /// How many configured targets were reached.
    pub(crate) fn members(&self) -> usize {
        self.key_ends.len()
    }

    /// The key of a target.
    pub(crate) fn key(&self, member: u32) -> &[u8] {
        let member = member as usize;
        let begin = if member == 0 { 0 } else { self.key_ends[member - 1] as usize };
        &self.keys[begin..self.key_ends[member] as usize]
    }

    /// What was noted of a target.
    pub(crate) fn counted(&self, member: u32) -> Counted {
        let at = member as usize;
        Counted { hash: self.hashes[at], export: self.exports[at], warns: self.warns[at] }
    }

    pub(crate) fn dependencies(&self, member: u32) -> &[u32] {
        self.dependencies.get(member as usize)
    }

    /// What a target defines.
    pub(crate) fn definitions(&self, member: u32) -> impl Iterator<Item = Definition> {
        self.definitions.get(member as usize).iter().map(|number| {
            let at = *number as usize;
            Definition {
                kind: Kind::ALL[usize::from(self.kinds[at] & !FLAGS)],
                id: self.ids[at],
                is_believed: self.kinds[at] & UNBELIEVED == 0,
                runs_each_time: self.kinds[at] & EACH_TIME != 0,
                place: self.places[at],
                parts: self.parts.get(at).iter().map(|part| self.ids[*part as usize]).collect(),
            }
        })
    }

    fn find(&self, id: &Short) -> Option<usize> {
        self.ids.binary_search(id).ok()
    }

    /// The key of a target that defines this, and the place of the definition there.
    pub(crate) fn owner(&self, id: &Short) -> Option<(&[u8], u32)> {
        let at = self.find(id)?;
        Some((self.key(self.owners[at]), self.places[at]))
    }

    /// Whether earlier runs of an action are believed; `None` if it is not known here.
    pub(crate) fn is_believed(&self, action: &Id) -> Option<bool> {
        Some(self.kinds[self.find(&short(&action.0))?] & UNBELIEVED == 0)
    }

    /// How much there is.
    pub(crate) fn counts(&self) -> Counts {
        let of = |kind: Kind| self.kinds.iter().filter(|byte| **byte & !FLAGS == kind as u8).count();
        let mut exports: Vec<Short> = self.exports.iter().flatten().copied().collect();
        exports.sort_unstable();
        exports.dedup();
        Counts {
            actions: of(Kind::Action),
            trees: of(Kind::Tree),
            overlays: of(Kind::Overlay),
            blobs: of(Kind::Blob),
            exports: exports.len(),
            run_each_time: self.kinds.iter().filter(|kind| **kind & EACH_TIME != 0).count(),
        }
    }

    /// What is needed for these definitions: for each definition, whether it is.
    pub(crate) fn needed(&self, wanted: impl Iterator<Item = Short>) -> Vec<bool> {
        let mut is_needed = vec![false; self.ids.len()];
        let mut pending: Vec<usize> = wanted.filter_map(|id| self.find(&id)).collect();
        while let Some(at) = pending.pop() {
            if !std::mem::replace(&mut is_needed[at], true) {
                let parts = self.parts.get(at).iter().map(|part| *part as usize);
                pending.extend(parts.filter(|part| !is_needed[*part]));
            }
        }
        is_needed
    }

    /// How many actions there are among these definitions.
    pub(crate) fn actions_among(&self, needed: &[bool]) -> usize {
        let is_action = |at: usize| self.kinds[at] & !FLAGS == Kind::Action as u8;
        needed.iter().enumerate().filter(|(at, needed)| **needed && is_action(*at)).count()
    }

    /// Whether this is among these definitions.
    pub(crate) fn is_among(&self, needed: &[bool], id: &Short) -> bool {
        self.find(id).is_some_and(|at| needed[at])
    }
}

/// Numbers as bytes: seven bits each, the lowest first.
fn put(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take(from: &mut &[u8]) -> Option<u32> {
    let mut number = 0_u32;
    for shift in (0..32).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= u32::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// How many things follow; no more than there are bytes.
fn take_count(from: &mut &[u8]) -> Option<usize> {
    take(from).map(|count| count as usize).filter(|count| *count <= from.len())
}

fn take_shorts(from: &mut &[u8], count: usize) -> Option<Vec<Short>> {
    let (shorts, rest) = from.split_at_checked(count.checked_mul(16)?)?;
    *from = rest;
    Some(shorts.as_chunks::<16>().0.to_vec())
}

impl Lists {
    /// Each list by its length and the steps from one item to the next, which are small in sorted ones.
    fn encode(&self, out: &mut Vec<u8>) {
        for at in 0..self.ends.len() {
            let items = self.get(at);
            put(out, items.len() as u32);
            let mut last = 0_u32;
            for item in items {
                let step = item.wrapping_sub(last).cast_signed();
                put(out, ((step << 1) ^ (step >> 31)).cast_unsigned());
                last = *item;
            }
        }
    }

    /// `count` lists of numbers below `limit`.
    fn decode(from: &mut &[u8], count: usize, limit: usize) -> Option<Lists> {
        let mut lists = Lists::default();
        for _ in 0..count {
            let mut last = 0_u32;
            for _ in 0..take_count(from)? {
                let step = take(from)?;
                let step = (step >> 1) ^ (step & 1).wrapping_neg();
                last = last.wrapping_add(step);
                lists.items.push(Some(last).filter(|item| (*item as usize) < limit)?);
            }
            lists.ends.push(lists.items.len() as u32);
        }
        Some(lists)
    }
}

impl Census {
    /// All of it as bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.ids.len() * 32 + self.members() * 64);
        put(&mut out, self.ids.len() as u32);
        put(&mut out, self.members() as u32);
        out.extend(self.ids.as_flattened());
        self.owners.iter().chain(&self.places).for_each(|number| put(&mut out, *number));
        out.extend(&self.kinds);
        self.parts.encode(&mut out);
        let mut begin = 0;
        for end in &self.key_ends {
            put(&mut out, end - begin);
            begin = *end;
        }
        out.extend(&self.keys);
        out.extend(self.hashes.as_flattened());
        for (export, warns) in self.exports.iter().zip(&self.warns) {
            out.push(u8::from(export.is_some()) | u8::from(*warns) << 1);
            out.extend(export.iter().flatten());
        }
        self.dependencies.encode(&mut out);
        self.definitions.encode(&mut out);
        out
    }

    /// From the bytes that [`Census::encode`] made; `None` for all others.
    pub(crate) fn decode(mut from: &[u8]) -> Option<Census> {
        let from = &mut from;
        let (count, members) = (take_count(from)?, take_count(from)?);
        let ids = take_shorts(from, count)?;
        let owner = |_| take(from).filter(|owner| (*owner as usize) < members);
        let owners = (0..count).map(owner).collect::<Option<Vec<u32>>>()?;
        let places = (0..count).map(|_| take(from)).collect::<Option<Vec<u32>>>()?;
        let (kinds, rest) = from.split_at_checked(count)?;
        let kinds = kinds.to_vec();
        *from = rest;
        if kinds.iter().any(|kind| usize::from(kind & !FLAGS) >= Kind::ALL.len()) {
            return None;
        }
        let parts = Lists::decode(from, count, count)?;
        let mut end = 0_u32;
        let mut key_ends = Vec::with_capacity(members);
        for _ in 0..members {
            end = end.checked_add(take(from)?)?;
            key_ends.push(end);
        }
        let (keys, rest) = from.split_at_checked(end as usize)?;
        let keys = keys.to_vec();
        *from = rest;
        let hashes = take_shorts(from, members)?;
        let (mut exports, mut warns) = (Vec::with_capacity(members), Vec::with_capacity(members));
        for _ in 0..members {
            let (bits, rest) = from.split_first().filter(|(bits, _)| **bits < 4)?;
            *from = rest;
            exports.push(if bits & 1 == 0 { None } else { take_shorts(from, 1)?.pop() });
            warns.push(bits & 2 != 0);
        }
        let dependencies = Lists::decode(from, members, members)?;
        let definitions = Lists::decode(from, members, count)?;
        let census = Census {
            ids,
            owners,
            places,
            kinds,
            parts,
            keys,
            key_ends,
            hashes,
            exports,
            warns,
            dependencies,
            definitions,
        };
        (from.is_empty() && census.ids.is_sorted()).then_some(census)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(id: u8, parts: &[u8]) -> Definition {
        let parts = parts.iter().map(|part| [*part; 16]).collect();
        let (id, is_believed) = ([id; 16], id != 3);
        Definition { kind: Kind::Action, id, is_believed, runs_each_time: !is_believed, place: 7, parts }
    }

    fn counted(hash: u8, export: Option<u8>) -> Counted {
        Counted { hash: [hash; 16], export: export.map(|export| [export; 16]), warns: hash == 2 }
    }

    fn sample() -> Census {
        let mut draft = Draft::default();
        draft.add(b"top".to_vec(), counted(1, None), [1, 2], [action(9, &[3, 200]), action(3, &[])]);
        draft.add(b"".to_vec(), counted(2, Some(7)), [2], []);
        let tree = Definition { kind: Kind::Tree, id: [200; 16], ..action(4, &[4]) };
        draft.add(b"low".to_vec(), counted(3, Some(7)), [], [tree, action(4, &[]), action(3, &[])]);
        let (census, is_whole) = draft.finish();
        assert!(is_whole);
        census
    }

    #[test]
    fn what_several_define_is_counted_once() {
        let expected = Counts { actions: 3, trees: 1, overlays: 0, blobs: 0, exports: 1, run_each_time: 1 };
        assert_eq!(sample().counts(), expected);
        assert_eq!(sample().owner(&[4; 16]), Some((&b"low"[..], 7)));
        assert_eq!(sample().owner(&[5; 16]), None);
        assert_eq!(sample().dependencies(0), [1, 2]);
        assert_eq!(sample().is_believed(&Id([3; 32])), Some(false));
        assert_eq!(sample().is_believed(&Id([4; 32])), Some(true));
        assert_eq!(sample().is_believed(&Id([5; 32])), None);
    }

    #[test]
    fn what_is_needed_is_what_definitions_lead_to() {
        let census = sample();
        let actions = |wanted: u8| {
            let needed = census.needed([[wanted; 16]].into_iter());
            (census.actions_among(&needed), census.is_among(&needed, &[4; 16]))
        };
        assert_eq!(actions(9), (3, true));
        assert_eq!(actions(200), (1, true));
        assert_eq!(actions(3), (1, false));
        assert_eq!(actions(77), (0, false));
    }

    #[test]
    fn a_census_is_not_whole_if_nobody_defines_something() {
        let mut draft = Draft::default();
        draft.add(Vec::new(), counted(0, None), [], [action(1, &[2])]);
        assert!(!draft.finish().1);
    }

    #[test]
    fn a_census_survives_as_bytes_and_damage_does_not_hurt() {
        let bytes = sample().encode();
        assert_eq!(Census::decode(&bytes), Some(sample()));
        for end in 0..bytes.len() {
            assert_eq!(Census::decode(&bytes[..end]), None, "{end}");
        }
        for at in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            if let Some(census) = Census::decode(&damaged) {
                let _ = census.counts();
                let _ = (0..census.members() as u32).map(|m| census.definitions(m).count()).sum::<usize>();
            }
        }
    }
}
