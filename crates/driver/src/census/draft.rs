//! A census being taken, mostly of who was in an earlier one.
//!
//! What is as it was counted then is copied by its numbers: no key is hashed, no definition looked up. Numbers of
//! definitions follow the order of their ids, so that of old and new ones, each in order, comes by merging.

use rustc_hash::FxHashMap;

use super::{Census, Counted, Definition, EACH_TIME, Lists, NOWHERE, Short, Stored, UNBELIEVED};

/// A census being taken.
pub(crate) struct Draft<'c> {
    old: &'c Census,
    members: Vec<Member>,
    dependencies: Lists,
    fresh: Vec<Fresh>,
}

enum Member {
    /// As it was in the earlier census, by its number there.
    Old(u32),
    /// By its place among the fresh.
    Fresh(u32),
}

/// Who was counted now.
struct Fresh {
    key: Vec<u8>,
    counted: Counted,
    definitions: Vec<Definition>,
}

/// A definition.
#[derive(Clone, Copy)]
enum Defined {
    /// By its number in the earlier census.
    Old(u32),
    /// By its place among the fresh.
    Fresh(u32),
}

/// Something that was not defined in the earlier census.
struct FreshDefinition<'d> {
    id: Short,
    kind: u8,
    parts: &'d [Short],
}

impl<'c> Draft<'c> {
    /// `old`: an earlier census; an empty one will do.
    pub(crate) fn new(old: &'c Census) -> Draft<'c> {
        let (members, dependencies, fresh) = Default::default();
        Draft { old, members, dependencies, fresh }
    }

    /// Counts a target as in the earlier census. All are numbered in the order in which they are counted.
    /// Dependencies are such numbers, of later ones, too.
    pub(crate) fn keep(&mut self, member: u32, dependencies: impl IntoIterator<Item = u32>) {
        self.members.push(Member::Old(member));
        self.dependencies.push(dependencies);
    }

    /// Counts a target anew.
    pub(crate) fn count(
        &mut self,
        key: Vec<u8>,
        counted: Counted,
        dependencies: impl IntoIterator<Item = u32>,
        definitions: Vec<Definition>,
    ) {
        self.members.push(Member::Fresh(self.fresh.len() as u32));
        self.dependencies.push(dependencies);
        self.fresh.push(Fresh { key, counted, definitions });
    }

    /// The census, and whether everything that something refers to is defined by somebody.
    pub(crate) fn finish(self) -> (Census, bool) {
        let Draft { old, members, dependencies, fresh } = &self;
        let mut is_kept = vec![false; old.ids.len()];
        let mut keep = |definition: u32| is_kept[definition as usize] = true;
        let of_old = |member: u32| old.definitions.get(member as usize);
        for member in members {
            if let Member::Old(member) = member {
                of_old(*member).iter().for_each(|definition| keep(*definition));
            }
        }
        // What is fresh: by id, each once.
        let mut new: Vec<FreshDefinition<'_>> = Vec::new();
        let mut by_id: FxHashMap<Short, Defined> = FxHashMap::default();
        for Definition { kind, id, is_believed, runs_each_time, parts, .. } in
            fresh.iter().flat_map(|fresh| &fresh.definitions)
        {
            by_id.entry(*id).or_insert_with(|| match old.find(id) {
                Some(known) => {
                    keep(known as u32);
                    Defined::Old(known as u32)
                }
                None => {
                    let unbelieved = if *is_believed { 0 } else { UNBELIEVED };
                    let kind = *kind as u8 | unbelieved | if *runs_each_time { EACH_TIME } else { 0 };
                    new.push(FreshDefinition { id: *id, kind, parts });
                    Defined::Fresh(new.len() as u32 - 1)
                }
            });
        }
        let order = merged(old, &is_kept, &new);
        let (mut number_of_old, mut number_of_new) = (vec![NOWHERE; old.ids.len()], vec![0; new.len()]);
        for (number, defined) in order.iter().enumerate() {
            match defined {
                Defined::Old(at) => number_of_old[*at as usize] = number as u32,
                Defined::Fresh(at) => number_of_new[*at as usize] = number as u32,
            }
        }
        let number = |defined: &Defined| match defined {
            Defined::Old(at) => number_of_old[*at as usize],
            Defined::Fresh(at) => number_of_new[*at as usize],
        };
        let mut census = Census { dependencies: dependencies.clone(), ..Census::default() };
        let mut is_whole = true;
        for defined in &order {
            match defined {
                Defined::Old(at) => {
                    let at = *at as usize;
                    census.ids.push(old.ids[at]);
                    census.kinds.push(old.kinds[at]);
                    let parts = old.parts.get(at).iter().map(|part| number_of_old[*part as usize]);
                    census.parts.push(parts.filter(|part| {
                        is_whole &= *part != NOWHERE;
                        *part != NOWHERE
                    }));
                }
                Defined::Fresh(at) => {
                    let FreshDefinition { id, kind, parts } = &new[*at as usize];
                    census.ids.push(*id);
                    census.kinds.push(*kind);
                    // What is kept of the earlier census may be among them without being defined by anybody new.
                    let find = |part: &Short| {
                        let old = || old.find(part).map(|at| number_of_old[at]);
                        by_id.get(part).map(number).or_else(old).filter(|part| *part != NOWHERE)
                    };
                    let mut known: Vec<u32> = parts.iter().filter_map(find).collect();
                    is_whole &= known.len() == parts.len();
                    known.sort_unstable();
                    known.dedup();
                    census.parts.push(known);
                }
            }
        }
        for member in members {
            match member {
                Member::Old(member) => {
                    census.keys.extend(old.key(*member));
                    census.counted.push(*old.counted(*member));
                    let range = old.definitions.range(*member as usize);
                    census.places.extend(&old.places[range]);
                    census.definitions.push(of_old(*member).iter().map(|at| number_of_old[*at as usize]));
                }
                Member::Fresh(at) => {
                    let Fresh { key, counted, definitions, .. } = &fresh[*at as usize];
                    census.keys.extend(key);
                    census.counted.push(*counted);
                    let mut own: Vec<(u32, u32)> =
                        definitions.iter().map(|one| (number(&by_id[&one.id]), one.place)).collect();
                    own.sort_unstable();
                    own.dedup_by_key(|(number, _)| *number);
                    census.places.extend(own.iter().map(|(_, place)| *place));
                    census.definitions.push(own.iter().map(|(number, _)| *number));
                }
            }
            census.key_ends.push(census.keys.len() as u32);
        }
        census.stored = self.stored();
        (census.appoint(), is_whole)
    }

    /// Where the file of the earlier census tells of the targets.
    fn stored(&self) -> Stored {
        let Stored { file, places } = &self.old.stored;
        let place = |member: &Member| match member {
            Member::Old(member) => places.get(*member as usize).copied().unwrap_or(NOWHERE),
            Member::Fresh(_) => NOWHERE,
        };
        let places = if file.is_some() { self.members.iter().map(place).collect() } else { Vec::new() };
        Stored { file: *file, places }
    }
}

/// What is kept of the earlier census and what is new, in the order of ids.
fn merged(old: &Census, is_kept: &[bool], new: &[FreshDefinition<'_>]) -> Vec<Defined> {
    let mut fresh: Vec<u32> = (0..new.len() as u32).collect();
    fresh.sort_unstable_by_key(|at| new[*at as usize].id);
    let mut fresh = fresh.into_iter().peekable();
    let mut order = Vec::with_capacity(old.ids.len() + new.len());
    for (at, id) in old.ids.iter().enumerate().filter(|(at, _)| is_kept[*at]) {
        while let Some(before) = fresh.next_if(|fresh| new[*fresh as usize].id < *id) {
            order.push(Defined::Fresh(before));
        }
        order.push(Defined::Old(at as u32));
    }
    order.extend(fresh.map(Defined::Fresh));
    order
}
