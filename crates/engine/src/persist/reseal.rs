//! Gives arbitrary bytes the checksums of a file of traces, for tests.
//!
//! Checksums detect damage only. Content under a right checksum may still be wrong (written by a program with a bug),
//! and must not make this process panic. Tests that flip bits would otherwise never get past the checksums.

use super::bytes::checksum;
use super::pages::BLOCK_SIZE;
use super::snapshot::tasks::{self, TASKS_PER_CHUNK};
use super::snapshot::{CHUNK_ENTRY_SIZE, COUNT_FIELDS, Counts, HEADER_SIZE, Header};

/// Writes the checksums of a file of traces into `bytes`. Lengths of sections are taken from `bytes`, as far as they
/// are that long.
pub fn reseal(bytes: &mut [u8]) {
    let Some(head) = bytes.first_chunk::<HEADER_SIZE>() else { return };
    let word = |at: usize| u64::from_le_bytes(*head[at..].first_chunk().expect("a word of the header"));
    let number = *head[16..].first_chunk().expect("a number in the header");
    let whole = (bytes.len() - HEADER_SIZE) as u64;
    let table = word(32).min(whole);
    let rest = word(40).min(whole - table);
    let (snapshot, journal) = bytes[HEADER_SIZE..].split_at_mut((table + rest) as usize);
    let (table_part, rest_part) = snapshot.split_at_mut(table as usize);
    if let Some((body, sum)) = table_part.split_last_chunk_mut::<8>() {
        seal_rest(body, rest_part);
        *sum = checksum(body).to_le_bytes();
    }
    let mut batches = journal;
    while let Some((length, after)) = batches.split_first_chunk_mut::<8>() {
        let Some((sum, after)) = after.split_first_chunk_mut::<8>() else { break };
        // A batch whose length is beyond the end counts as cut short and is ignored. So the length is corrected, and
        // the content is read.
        let given = u64::from_le_bytes(*length).min(after.len() as u64);
        *length = given.to_le_bytes();
        let (batch, after) = after.split_at_mut(given as usize);
        *sum = checksum(batch).to_le_bytes();
        batches = after;
    }
    bytes[..HEADER_SIZE].copy_from_slice(&Header { number, table, rest }.encode());
}

/// Writes the checksums of all that follows the table, as far as there is room for them.
fn seal_rest(table: &mut [u8], rest: &mut [u8]) -> Option<()> {
    let counts = Counts::decode(table)?;
    let mut sections = table.get_mut(COUNT_FIELDS * 8..)?;
    for length in &counts.table()[..2] {
        sections.split_off_mut(..usize::try_from(*length).ok()?)?;
    }
    let [_, _, chunks, of_sums] = counts.table();
    let chunks = sections.split_off_mut(..usize::try_from(chunks).ok()?)?;
    let mut rest = rest;
    for (place, chunk) in chunks.as_chunks_mut::<CHUNK_ENTRY_SIZE>().0.iter_mut().enumerate() {
        let words = u32::from_le_bytes(*chunk.first_chunk()?);
        let tasks = counts.tasks.saturating_sub((place * TASKS_PER_CHUNK) as u64).min(TASKS_PER_CHUNK as u64);
        let length = tasks::entries(tasks) + u64::from(words) * 4;
        let section = rest.split_off_mut(..usize::try_from(length).ok()?)?;
        chunk[4..].copy_from_slice(&checksum(section).to_le_bytes());
    }
    let sums = rest.split_off_mut(..usize::try_from(counts.sums()).ok()?)?;
    let mut places = sums.as_chunks_mut::<8>().0.iter_mut();
    for length in counts.pages() {
        let section = rest.split_off_mut(..usize::try_from(length).ok()?)?;
        for (block, sum) in section.chunks(BLOCK_SIZE).zip(places.by_ref()) {
            *sum = checksum(block).to_le_bytes();
        }
    }
    let of_sums = sections.get_mut(..usize::try_from(of_sums).ok()?)?;
    for (block, sum) in sums.chunks(BLOCK_SIZE).zip(of_sums.as_chunks_mut::<8>().0) {
        *sum = checksum(block).to_le_bytes();
    }
    Some(())
}
