//! What analysis of a request came to, without its values: who was reached, by hash, and what each defines.
//!
//! A call after a change has to tell how much there is, and to find the definitions of the few actions that run.
//! Both follow from the values of all targets, but to read those costs more than everything else does. The census
//! says of each configured target under which hash it was counted, so that only those that came out differently
//! are looked into again; and of each definition, which target has it. It is never believed without being
//! compared: a hash that differs is counted anew, and a definition that is not where the census says is looked
//! for by analysis. Where the file of runs tells of a target, it says, too: a look there tells its hash.
//!
//! Rejected: to keep the summary with each target. A call would still have to ask for all of them.

mod bytes;
mod draft;

pub(crate) use draft::Draft;

use taut_engine::FileId;
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

/// How many kinds there are.
const KINDS: u8 = 4;

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

    fn range(&self, at: usize) -> std::ops::Range<usize> {
        let begin = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        begin..self.ends[at] as usize
    }

    fn get(&self, at: usize) -> &[u32] {
        &self.items[self.range(at)]
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

/// Who was reached, and what they define.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Census {
    /// Of the definitions, in order.
    ids: Vec<Short>,
    kinds: Vec<u8>,
    parts: Lists,
    /// By target.
    keys: Vec<u8>,
    key_ends: Vec<u32>,
    counted: Vec<Counted>,
    dependencies: Lists,
    definitions: Lists,
    /// The place of each of these definitions among the target's definitions of its kind.
    places: Vec<u32>,
    /// By definition: which of these it is, of the first target that has it.
    first: Vec<u32>,
    /// By target.
    stored: Stored,
}

/// Where the file of runs tells of targets.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Stored {
    pub(crate) file: Option<FileId>,
    /// By number of the target; [`NOWHERE`] if it is not known. Empty without a file.
    pub(crate) places: Vec<u32>,
}

/// The place of what is in no file.
pub(crate) const NOWHERE: u32 = u32::MAX;

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
    pub(crate) fn counted(&self, member: u32) -> &Counted {
        &self.counted[member as usize]
    }

    /// The numbers of the targets that a target depends on.
    pub(crate) fn dependencies(&self, member: u32) -> &[u32] {
        self.dependencies.get(member as usize)
    }

    /// Where the file of runs tells of the targets.
    pub(crate) fn stored(&self) -> &Stored {
        &self.stored
    }

    fn find(&self, id: &Short) -> Option<usize> {
        self.ids.binary_search(id).ok()
    }

    /// Finds out who is the first to have what is defined.
    fn appoint(mut self) -> Census {
        self.first = vec![0; self.ids.len()];
        for (at, definition) in self.definitions.items.iter().enumerate().rev() {
            self.first[*definition as usize] = at as u32;
        }
        self
    }

    /// The key of a target that defines this, and the place of the definition there.
    pub(crate) fn owner(&self, id: &Short) -> Option<(&[u8], u32)> {
        let first = self.first[self.find(id)?];
        let member = self.definitions.ends.partition_point(|end| *end <= first);
        Some((self.key(member as u32), *self.places.get(first as usize)?))
    }

    /// Whether earlier runs of an action are believed; `None` if it is not known here.
    pub(crate) fn is_believed(&self, action: &Id) -> Option<bool> {
        Some(self.kinds[self.find(&short(&action.0))?] & UNBELIEVED == 0)
    }

    /// How much there is.
    pub(crate) fn counts(&self) -> Counts {
        let of = |kind: Kind| self.kinds.iter().filter(|byte| **byte & !FLAGS == kind as u8).count();
        let mut exports: Vec<Short> = self.counted.iter().filter_map(|counted| counted.export).collect();
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
        let nobody = Census::default();
        let mut draft = Draft::new(&nobody);
        draft.count(b"top".to_vec(), counted(1, None), [1, 2], vec![action(9, &[3, 200]), action(3, &[])]);
        draft.count(b"".to_vec(), counted(2, Some(7)), [2], vec![]);
        let tree = Definition { kind: Kind::Tree, id: [200; 16], ..action(4, &[4]) };
        let definitions = vec![tree, action(4, &[]), action(3, &[])];
        draft.count(b"low".to_vec(), counted(3, Some(7)), [], definitions);
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
        let nobody = Census::default();
        let mut draft = Draft::new(&nobody);
        draft.count(Vec::new(), counted(0, None), [], vec![action(1, &[2])]);
        assert!(!draft.finish().1);
    }

    /// Target `at` as it is if each defines what `defines` says. All but 0 refer to 0, and 9 to 7, too.
    fn definitions(at: u8, defines: &[Vec<u8>]) -> Vec<Definition> {
        let parts = |id: u8| match id {
            0 => &[][..],
            9 => &[7, 0],
            _ => &[0],
        };
        let define = |id: &u8| Definition { place: u32::from(at ^ *id), ..action(*id, parts(*id)) };
        defines[at as usize].iter().map(define).collect()
    }

    /// A census of these targets, whose numbers go down from the last one, taken as far as it goes from `old`.
    fn taken(old: &Census, defines: &[Vec<u8>], is_as_in_old: impl Fn(u8) -> bool) -> (Census, bool) {
        let mut draft = Draft::new(old);
        for at in (0..defines.len() as u8).rev() {
            let next = (at > 0).then(|| defines.len() as u32 - u32::from(at));
            let in_old = (0..old.members() as u32).find(|member| old.key(*member) == [at]);
            match in_old.filter(|_| is_as_in_old(at)) {
                Some(member) => draft.keep(member, next),
                None => draft.count(vec![at], counted(at, None), next, definitions(at, defines)),
            }
        }
        draft.finish()
    }

    #[test]
    fn a_census_taken_of_an_earlier_one_is_as_if_taken_anew() {
        // Which ids each target defines, before and after; in the last case, not all that something refers to.
        let cases: [[&[&[u8]]; 2]; 7] = [
            [&[&[0], &[1, 2], &[5]], &[&[0], &[1, 2], &[5]]],
            [&[&[0], &[1, 2], &[7]], &[&[0], &[1, 2], &[7], &[9, 0]]],
            [&[&[0], &[1, 2], &[7], &[9, 0]], &[&[0], &[1, 2], &[7]]],
            [&[&[0, 7], &[1, 2], &[7]], &[&[0, 3], &[1, 2], &[7]]],
            [&[&[0], &[1], &[2]], &[&[0], &[4], &[2, 6]]],
            [&[], &[&[2, 1], &[1, 0]]],
            [&[&[0], &[9], &[7]], &[&[1], &[9], &[8]]],
        ];
        let nobody = Census::default();
        for [before, after] in cases {
            let [before, after] =
                [before, after].map(|all| all.iter().map(|ids| ids.to_vec()).collect::<Vec<_>>());
            let (old, _) = taken(&nobody, &before, |_| false);
            let same = |at: u8| before.get(at as usize) == after.get(at as usize);
            let (anew, of_old) = (taken(&nobody, &after, |_| false), taken(&old, &after, same));
            assert_eq!(of_old, anew, "{before:?} {after:?}");
            assert_eq!(anew.1, after.iter().flatten().any(|id| *id == 0));
        }
    }

    #[test]
    fn a_census_survives_as_bytes_and_damage_does_not_hurt() {
        let nowhere = Stored::default();
        let stored = Stored { file: Some(FileId([5; 16])), places: vec![7, NOWHERE, 300] };
        let bytes = sample().encode(&stored);
        assert_eq!(Census::decode(&bytes), Some(Census { stored, ..sample() }));
        let whole = sample().encode(&nowhere);
        assert_eq!(Census::decode(&whole), Some(sample()));
        for end in (0..bytes.len()).filter(|end| *end != whole.len()) {
            assert_eq!(Census::decode(&bytes[..end]), None, "{end}");
        }
        for at in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            if let Some(census) = Census::decode(&damaged) {
                let _ = (census.counts(), census.owner(&[4; 16]));
                let needed = census.needed([[9; 16]].into_iter());
                let _ = census.actions_among(&needed);
            }
        }
    }
}
