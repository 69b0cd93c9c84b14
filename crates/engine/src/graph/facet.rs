//! Facets: the few aspects of a value that have hashes of their own.
//!
//! A version of a task has, besides the hash of the whole, a hash for each facet. A task that requested it by
//! [`crate::Cx::facets`] depends only on the facets that it read: if the task executes again and differs in other
//! facets, the recorded read still agrees (early cutoff by facet). That takes no task of its own, unlike a
//! [`crate::Part`]; in return there are at most 15, and the rule fixes what they are.

use std::sync::Arc;

use crate::Hash;

/// A set of facets of a value. The rule numbers them from 0 ([`crate::Rule::facets`]).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
// 16 bits: each read in memory and in the file has them, beside a task and a version.
pub struct Facets(pub(crate) u16);

impl Facets {
    /// How many facets a value can have.
    pub const MAX_COUNT: usize = 15;

    /// No facet: only that there is a value.
    pub const NONE: Facets = Facets(0);

    /// The value as a whole, whatever its facets are.
    // Bit 15 is of no facet, so the whole differs from all facets together: those need not cover the value.
    pub const WHOLE: Facets = Facets(u16::MAX);

    /// The facet of this number.
    ///
    /// # Panics
    /// There can be no such facet: the number is not below [`Facets::MAX_COUNT`].
    pub const fn of(number: usize) -> Facets {
        assert!(number < Facets::MAX_COUNT, "a value has at most 15 facets");
        Facets(1 << number)
    }

    /// For aspects that are identified by a name and are of any number (the entries of a map): the number, from `first`
    /// on, of the facet that this name shares with others.
    pub fn shared(first: usize, name: &str) -> usize {
        // FNV-1a, written out: the numbers are recorded in files, and a hasher of the standard library may change.
        let sum = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        first + ((sum ^ (sum >> 32)) % (Facets::MAX_COUNT - first) as u64) as usize
    }

    /// Both sets together.
    pub const fn and(self, other: Facets) -> Facets {
        Facets(self.0 | other.0)
    }

    /// Whether two versions with these facet hashes are the same for a reader of these facets; not if one lacks a hash.
    pub(crate) fn are_equal_in(self, a: &[u128], b: &[u128]) -> bool {
        let is_same = |number| matches!((a.get(number), b.get(number)), (Some(a), Some(b)) if a == b);
        // The whole is compared by its own version number, never by facets, which need not cover the value.
        self != Facets::WHOLE && self.numbers().all(is_same)
    }

    /// The numbers of the facets.
    fn numbers(self) -> impl Iterator<Item = usize> {
        (0..Facets::MAX_COUNT).filter(move |number| self.0 & (1 << number) != 0)
    }
}

/// The hashes of the facets of a version. Half a hash each: they are only compared within one task, and there are
/// many of them.
// Within one task, and of versions that the rule made: that two of them agree in 128 bits by chance is out of the
// question.
pub(crate) type FacetHashes = Arc<[u128]>;

pub(crate) fn facet_hashes(facets: &[Hash]) -> FacetHashes {
    let half = |hash: &Hash| u128::from_le_bytes(*hash.0.first_chunk().expect("a hash is longer"));
    facets.iter().map(half).collect()
}
