//! An array that grows while others read it, indexed by dense numbers; elements never move.
//!
//! Two levels of chunks behind `OnceLock`, so that reading takes no lock and a build that touches ten
//! of a million nodes does not allocate a million slots. No `unsafe`: the price is one check per level.

use std::sync::OnceLock;

/// The number of elements of a chunk, as a power of two.
// 64 elements: a build that touches a few tasks initialises few slots, and one that touches all pays one allocation
// for 64.
const LOG2_CHUNK_SIZE: u32 = 6;
/// Level `i` holds `2^i` chunks; together they cover all `u32` indices.
// Levels that double, in place of one array of chunks: that one would have to be moved to grow, and readers take no
// lock.
const LEVELS: usize = 27;

type Chunk<T> = OnceLock<Box<[T; 1 << LOG2_CHUNK_SIZE]>>;

pub(crate) struct Table<T> {
    levels: [OnceLock<Box<[Chunk<T>]>>; LEVELS],
}

impl<T: Default> Table<T> {
    pub(crate) fn new() -> Table<T> {
        Table { levels: [const { OnceLock::new() }; LEVELS] }
    }

    fn place(index: u32) -> (usize, usize, usize) {
        // Level `i` begins at chunk `2^i - 1`, so with 1 added the highest bit is the level, the others the place in
        // it.
        let chunk = (index >> LOG2_CHUNK_SIZE) + 1;
        let level = 31 - chunk.leading_zeros();
        (level as usize, (chunk - (1 << level)) as usize, (index & ((1 << LOG2_CHUNK_SIZE) - 1)) as usize)
    }

    /// The element, made by `Default` on first access.
    #[inline]
    pub(crate) fn at(&self, index: u32) -> &T {
        let (level, chunk, offset) = Table::<T>::place(index);
        match self.levels[level].get().and_then(|chunks| chunks[chunk].get()) {
            Some(elements) => &elements[offset],
            // Two threads may come here at once: `OnceLock` makes one of them wait, so both get the same element.
            None => &self.make(level, chunk)[offset],
        }
    }

    #[cold]
    fn make(&self, level: usize, chunk: usize) -> &[T; 1 << LOG2_CHUNK_SIZE] {
        let chunks =
            self.levels[level].get_or_init(|| (0..1usize << level).map(|_| OnceLock::new()).collect());
        let elements = || (0..1 << LOG2_CHUNK_SIZE).map(|_| T::default()).collect::<Box<[T]>>();
        chunks[chunk].get_or_init(|| elements().try_into().ok().expect("as many elements as a chunk has"))
    }

    /// All elements of the chunks that were accessed, with their indices, ascending.
    pub(crate) fn seen(&self) -> impl Iterator<Item = (u32, &T)> {
        self.levels.iter().enumerate().flat_map(|(level, chunks)| {
            chunks.get().into_iter().flatten().enumerate().flat_map(move |(chunk, elements)| {
                let first = ((1u32 << level) - 1 + chunk as u32) << LOG2_CHUNK_SIZE;
                (elements.get().into_iter().flat_map(|elements| elements.iter()).enumerate())
                    .map(move |(offset, element)| (first + offset as u32, element))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::Table;

    #[test]
    fn every_index_has_its_own_place() {
        let table = Table::<AtomicU32>::new();
        let indices = [0, 1, 63, 64, 65, 191, 192, 1_000_000, 100_000_000];
        for index in indices {
            table.at(index).store(index + 1, Ordering::Relaxed);
        }
        for index in indices {
            assert_eq!(table.at(index).load(Ordering::Relaxed), index + 1);
        }
        let seen: Vec<u32> = (table.seen())
            .filter(|(_, at)| at.load(Ordering::Relaxed) != 0)
            .map(|(index, at)| {
                assert_eq!(at.load(Ordering::Relaxed), index + 1);
                index
            })
            .collect();
        assert_eq!(seen, indices);
    }
}
