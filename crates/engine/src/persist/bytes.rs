//! Numbers and frames as bytes, read back with all lengths checked; and the checksum that detects damage.

use crate::graph::facet::FacetHashes;
use crate::sync::Arc;

/// Appends a number, seven bits a byte.
pub(super) fn number(out: &mut Vec<u8>, mut number: u32) {
    // Unsigned LEB128: versions and counts are mostly one byte.
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends bytes with their length.
pub(super) fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, u32::try_from(bytes.len()).expect("a record is shorter than 4 GiB"));
    out.extend(bytes);
}

/// Reads what the functions above appended; `None` where the bytes cannot be that.
pub(super) struct Reader<'b>(pub(super) &'b [u8]);

impl<'b> Reader<'b> {
    pub(super) fn take(&mut self, len: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        let mut number = 0_u32;
        // Five bytes at most: no number here is longer.
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            // Bits of a fifth byte beyond 32 are lost; numbers are checked where they are used.
            number |= u32::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn bytes(&mut self) -> Option<&'b [u8]> {
        let len = self.number()?;
        self.take(len as usize)
    }
}

/// Appends the hashes of facets.
pub(super) fn put_facet_hashes(out: &mut Vec<u8>, facet_hashes: &FacetHashes) {
    number(out, facet_hashes.len() as u32);
    // Most facets of most values are empty.
    for hash in &**facet_hashes {
        let bytes = hash.to_le_bytes();
        out.push(u8::from(*hash != 0));
        out.extend(if *hash == 0 { &[] } else { &bytes[..] });
    }
}

/// Reads what [`put_facet_hashes`] appended.
pub(super) fn facet_hashes(reader: &mut Reader<'_>) -> Option<FacetHashes> {
    let count = reader.number()?;
    let facet_hashes = (0..count).map(|_| match reader.byte()? {
        0 => Some(0),
        1 => Some(u128::from_le_bytes(*reader.take(16)?.first_chunk()?)),
        _ => None,
    });
    facet_hashes.collect::<Option<Vec<u128>>>().map(Arc::from)
}

// The first constant of MurmurHash3's 64-bit finalizer. It is odd, so a multiplication loses nothing. The whole of
// `checksum` is part of the format: another function needs another `MAGIC`.
const MULTIPLIER: u64 = 0xff51_afd7_ed55_8ccd;

/// The checksum of the file's parts. It detects accidental damage, not manipulation. Four sums side by side, so that a
/// processor computes them in parallel: each multiplication depends only on the one of its own sum.
// Not a CRC: there is no instruction for one that the standard library reaches without `unsafe`, and a table costs
// more per byte.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    let stir = |sum: u64, word: u64| {
        let sum = (sum ^ word).wrapping_mul(MULTIPLIER);
        // A product carries bits upwards only; the shift brings the high ones down again.
        sum ^ (sum >> 32)
    };
    // The length is in the sum, since the last block is filled up with zeros. Different seeds, so that exchanged
    // words of a block are noticed.
    let mut sums = [0x9e37_79b9_7f4a_7c15 ^ bytes.len() as u64, 1, 2, 3];
    let (blocks, rest) = bytes.as_chunks::<32>();
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for (sum, word) in sums.iter_mut().zip(words) {
            *sum = stir(*sum, u64::from_le_bytes(*word));
        }
    }
    let mut last = [0; 32];
    last[..rest.len()].copy_from_slice(rest);
    let (words, _) = last.as_chunks::<8>();
    for (sum, word) in sums.iter_mut().zip(words) {
        *sum = stir(*sum, u64::from_le_bytes(*word));
    }
    sums.into_iter().fold(MULTIPLIER, stir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_changes_the_sum() {
        let bytes: Vec<u8> = (0..77).collect();
        let sum = checksum(&bytes);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert_ne!(checksum(&flipped), sum, "bit {bit} of byte {at}");
            }
        }
        assert_ne!(checksum(&bytes[..76]), sum);
        assert_ne!(checksum(&[0; 5]), checksum(&[0; 6]));
    }

    #[test]
    fn a_number_reads_back_and_a_truncated_one_is_rejected() {
        for wanted in [0, 1, 127, 128, 300, u32::MAX] {
            let mut out = Vec::new();
            number(&mut out, wanted);
            assert_eq!(Reader(&out).number(), Some(wanted));
            assert_eq!(Reader(&out[..out.len() - 1]).number(), None);
        }
    }
}
