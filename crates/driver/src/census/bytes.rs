//! A census as bytes. Damaged ones are none, or one that does no harm: whoever reads it checks a seal first.

use taut_engine::FileId;

use super::{Census, Counted, FLAGS, KINDS, Lists, Short, Stored};

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

fn take_short(from: &mut &[u8]) -> Option<Short> {
    let (short, rest) = from.split_first_chunk::<16>()?;
    *from = rest;
    Some(*short)
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
    /// All of it as bytes, with where the file of runs tells of the targets now.
    pub(crate) fn encode(&self, stored: &Stored) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.ids.len() * 32 + self.members() * 64);
        put(&mut out, self.ids.len() as u32);
        put(&mut out, self.members() as u32);
        out.extend(self.ids.as_flattened());
        out.extend(&self.kinds);
        self.parts.encode(&mut out);
        let mut begin = 0;
        for end in &self.key_ends {
            put(&mut out, end - begin);
            begin = *end;
        }
        out.extend(&self.keys);
        for Counted { hash, export, warns } in &self.counted {
            out.extend(hash);
            out.push(u8::from(export.is_some()) | u8::from(*warns) << 1);
            out.extend(export.iter().flatten());
        }
        self.dependencies.encode(&mut out);
        self.definitions.encode(&mut out);
        self.places.iter().for_each(|place| put(&mut out, *place));
        if let Some(FileId(file)) = &stored.file {
            out.extend(file);
            stored.places.iter().for_each(|place| put(&mut out, *place));
        }
        out
    }

    /// From the bytes that [`Census::encode`] made; `None` for all others.
    pub(crate) fn decode(mut from: &[u8]) -> Option<Census> {
        let from = &mut from;
        let (count, members) = (take_count(from)?, take_count(from)?);
        let ids = take_shorts(from, count)?;
        let (kinds, rest) = from.split_at_checked(count)?;
        let kinds = kinds.to_vec();
        *from = rest;
        if kinds.iter().any(|kind| kind & !FLAGS >= KINDS) {
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
        let mut counted = Vec::with_capacity(members);
        for _ in 0..members {
            let hash = take_short(from)?;
            let (bits, rest) = from.split_first().filter(|(bits, _)| **bits < 4)?;
            *from = rest;
            let export = if bits & 1 == 0 { None } else { Some(take_short(from)?) };
            counted.push(Counted { hash, export, warns: bits & 2 != 0 });
        }
        let dependencies = Lists::decode(from, members, members)?;
        let definitions = Lists::decode(from, members, count)?;
        let places = (0..definitions.items.len()).map(|_| take(from)).collect::<Option<Vec<u32>>>()?;
        let stored = if from.is_empty() {
            Stored::default()
        } else {
            let file = Some(FileId(take_short(from)?));
            Stored { file, places: (0..members).map(|_| take(from)).collect::<Option<Vec<u32>>>()? }
        };
        // Nothing is defined by nobody.
        let mut is_defined = vec![false; count];
        definitions.items.iter().for_each(|definition| is_defined[*definition as usize] = true);
        let is_sound = from.is_empty() && ids.is_sorted() && is_defined.iter().all(|is| *is);
        let census = Census {
            ids,
            kinds,
            parts,
            keys,
            key_ends,
            counted,
            dependencies,
            definitions,
            places,
            first: Vec::new(),
            stored,
        };
        is_sound.then(|| census.appoint())
    }
}
