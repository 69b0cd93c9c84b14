//! A file of traces that says anything, under sums that are right: for those who test what becomes of it.
//!
//! Sums tell damage. What lies under a sound one was written by a program like this one, or by one with a mistake; it is
//! believed as far as it makes sense, and must not take this process down where it makes none.

use super::bytes::checksum;
use super::pages::BLOCK;
use super::snapshot::{COUNTS, Counts, HEADER, Header};

/// Gives whatever `bytes` say the sums that a file of traces has. Lengths are taken from them as far as they are that
/// long.
pub fn reseal(bytes: &mut [u8]) {
    let Some(head) = bytes.first_chunk::<HEADER>() else { return };
    let word = |at: usize| u64::from_le_bytes(*head[at..].first_chunk().expect("a word of the header"));
    let number = *head[16..].first_chunk().expect("a number in the header");
    let whole = (bytes.len() - HEADER) as u64;
    let hot = word(32).min(whole);
    let cold = word(40).min(whole - hot);
    let (snapshot, journal) = bytes[HEADER..].split_at_mut((hot + cold) as usize);
    let (hot_part, cold_part) = snapshot.split_at_mut(hot as usize);
    if let Some((body, sum)) = hot_part.split_last_chunk_mut::<8>() {
        seal_cold(body, cold_part);
        *sum = checksum(body).to_le_bytes();
    }
    let mut rest = journal;
    while let Some((length, after)) = rest.split_first_chunk_mut::<8>() {
        let Some((sum, after)) = after.split_first_chunk_mut::<8>() else { break };
        let given = u64::from_le_bytes(*length).min(after.len() as u64);
        *length = given.to_le_bytes();
        let (batch, after) = after.split_at_mut(given as usize);
        *sum = checksum(batch).to_le_bytes();
        rest = after;
    }
    bytes[..HEADER].copy_from_slice(&Header { number, hot, cold }.encode());
}

/// Puts the sums of the cold part's blocks where the hot part has them, if it can have them.
fn seal_cold(body: &mut [u8], cold: &[u8]) -> Option<()> {
    let counts = Counts::decode(body)?;
    let before: u64 = counts.hot()[..4].iter().sum();
    let mut at = COUNTS * 8 + usize::try_from(before).ok()?;
    let mut rest = cold;
    for length in counts.cold() {
        let section = rest.split_off(..usize::try_from(length).ok()?)?;
        for block in section.chunks(BLOCK) {
            body.get_mut(at..at + 8)?.copy_from_slice(&checksum(block).to_le_bytes());
            at += 8;
        }
    }
    Some(())
}
