//! Content-defined chunking, so that large objects that differ little share most of their chunks.
//!
//! FastCDC, algorithm 2 of Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based
//! Storage Systems" (IEEE TPDS 2020). Sizes, masks and the gear table (the first 256 numbers of a 64-bit Mersenne
//! Twister seeded with 0) are those of the reference, so that both tools split a file at the same boundaries and share
//! the chunks.

use std::sync::LazyLock;

/// Sizes of chunks in bytes: boundaries are looked for behind the first `MIN_BYTES`, sparsely until `AVERAGE_BYTES`,
/// densely from there, and set at `MAX_CHUNK_BYTES`.
const MIN_BYTES: usize = 32 * 1024;
const AVERAGE_BYTES: usize = 128 * 1024;
/// No chunk is larger than this, in bytes.
pub const MAX_CHUNK_BYTES: usize = 1024 * 1024;
/// A boundary is where the fingerprint has zeros at these bits. 19 bits up to the average size make early boundaries
/// rare, 15 bits behind it make late ones likely: sizes gather around the average ("normalized chunking" of the paper).
const MASK_SMALL: u64 = 0x4444_d9f0_0353_0000;
const MASK_LARGE: u64 = 0x4444_d900_0353_0000;

// Computed, not written down: the generator with its standard test is easier to trust than 256 numbers.
static GEAR: LazyLock<[u64; 256]> = LazyLock::new(|| {
    let mut twister = MersenneTwister::new(0);
    std::array::from_fn(|_| twister.next())
});

/// The length of the first chunk of `data`, which holds at least [`MAX_CHUNK_BYTES`] bytes or all that are left.
pub fn first_chunk(data: &[u8]) -> usize {
    // No boundary lies before that: very small chunks would cost more than they save.
    if data.len() <= MIN_BYTES {
        return data.len();
    }
    let end = data.len().min(MAX_CHUNK_BYTES);
    let normal = AVERAGE_BYTES.min(end);
    // A gear hash: one shift, one addition and one look-up for each byte.
    let mut fingerprint = 0u64;
    for (at, &byte) in data[..end].iter().enumerate().skip(MIN_BYTES) {
        // The shift drops a byte's influence after 64 steps: the fingerprint depends on a window of 64 bytes, so that
        // boundaries move along with the content.
        fingerprint = (fingerprint << 1).wrapping_add(GEAR[byte as usize]);
        // In one loop; the paper's algorithm has two, with the same result.
        let mask = if at < normal { MASK_SMALL } else { MASK_LARGE };
        if fingerprint & mask == 0 {
            return at;
        }
    }
    end
}

/// MT19937-64 (Nishimura & Matsumoto, 2004).
struct MersenneTwister {
    state: [u64; 312],
    at: usize,
}

impl MersenneTwister {
    fn new(seed: u64) -> Self {
        let mut state = [seed; 312];
        for i in 1..312 {
            let last = state[i - 1];
            state[i] = (last ^ last >> 62).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(i as u64);
        }
        MersenneTwister { state, at: 312 }
    }

    fn next(&mut self) -> u64 {
        if self.at == 312 {
            self.twist();
        }
        let mut x = self.state[self.at];
        self.at += 1;
        x ^= x >> 29 & 0x5555_5555_5555_5555;
        x ^= x << 17 & 0x71d6_7fff_eda6_0000;
        x ^= x << 37 & 0xfff7_eee0_0000_0000;
        x ^ x >> 43
    }

    fn twist(&mut self) {
        // The upper 33 bits of a word; the other 31 come from the next one.
        const UPPER: u64 = !0 << 31;
        for i in 0..312 {
            let x = self.state[i] & UPPER | self.state[(i + 1) % 312] & !UPPER;
            let odd = if x & 1 == 1 { 0xb502_6f5a_a966_19e9 } else { 0 };
            // In place, as in the authors' code: words before `i` are of the new state already.
            self.state[i] = self.state[(i + 156) % 312] ^ x >> 1 ^ odd;
        }
        self.at = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The C++ standard fixes the 10000th number of the default-seeded generator.
    #[test]
    fn the_generator_is_the_standard_one() {
        let mut twister = MersenneTwister::new(5489);
        let last = (0..10_000).map(|_| twister.next()).last();
        assert_eq!(last, Some(9_981_545_732_273_789_042));
    }

    /// Boundaries that justbuild 1.6.5 chose when it split this content.
    #[test]
    fn boundaries_fall_where_the_reference_puts_them() {
        let mut x = 1u64;
        let data: Vec<u8> = std::iter::repeat_with(|| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (x >> 33) as u8
        })
        .take(5_000_000)
        .collect();
        let mut rest = &data[..];
        let mut sizes = Vec::new();
        while !rest.is_empty() {
            let len = first_chunk(rest);
            sizes.push(len);
            rest = &rest[len..];
        }
        assert_eq!(sizes[..6], [134_549, 51_115, 127_713, 193_932, 73_773, 74_470]);
        assert_eq!(sizes.iter().sum::<usize>(), 5_000_000);
        assert_eq!(sizes.len(), 34);
    }
}
