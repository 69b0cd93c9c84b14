//! LMDB: only reading the traces, as a key-value store has them. 16 bytes of key, 32 of hash, 16 for each task
//! read; keys are digests, hence in no order. Nothing is verified: this is the cost of reading alone.

use crate::cost::{Figures, once};
use crate::graph::{FAN_IN, Graph, next};
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvOpenOptions};
use std::path::Path;

fn open(dir: &Path) -> Env {
    // SAFETY: no other process has or changes these files meanwhile.
    unsafe { EnvOpenOptions::new().map_size(4 << 30).open(dir) }.expect("opens")
}

fn digest(task: usize) -> [u8; 16] {
    let mut state = task as u64;
    let (high, low) = (next(&mut state), next(&mut state));
    // Random in place of hashed: as unordered, and cheaper to make.
    (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
}

/// Writes the traces; bytes on disk for each.
pub fn prepare(graph: &'static Graph, figures: &mut Figures, dir: &Path) {
    let dir = dir.join("lmdb");
    if dir.exists() {
        std::fs::remove_dir_all(&dir).expect("removed");
    }
    std::fs::create_dir_all(&dir).expect("a directory");
    let env = open(&dir);
    let txn = env.write_txn().expect("a transaction");
    let database: Database<Bytes, Bytes> = env
        .create_databases_and_commit(txn, |databases, txn| {
            databases.create_database(txn, None).map(CommitOrAbort::<_, ()>::Commit)
        })
        .expect("a database")
        .unwrap_commit();
    let mut txn = env.write_txn().expect("a transaction");
    for task in graph.leaves..graph.root {
        let mut record = Vec::with_capacity(32 + 16 * FAN_IN);
        record.extend([digest(task), digest(task + 1)].concat());
        graph.reads(task).iter().for_each(|read| record.extend(digest(*read as usize)));
        database.put(&mut txn, &digest(task), &record).expect("put");
    }
    txn.commit().expect("commits");
    let size = env.real_disk_size().expect("a size");
    figures.add("disk", size as f64 / (graph.root - graph.leaves) as f64);
}

/// Opens and reads everything.
pub fn cold(graph: &'static Graph, figures: &mut Figures, dir: &Path) {
    let (edges, cold) = once(|| {
        let env = open(&dir.join("lmdb"));
        let txn = env.read_txn().expect("a transaction");
        let database: Database<Bytes, Bytes> = env
            .open_databases_and_commit(txn, |databases, txn| {
                databases.open_database(txn, None).map(|found| match found {
                    Some(database) => CommitOrAbort::Commit(database),
                    None => CommitOrAbort::Abort(()),
                })
            })
            .expect("opens")
            .unwrap_commit();
        let txn = env.read_txn().expect("a transaction");
        let mut edges = 0_usize;
        for entry in database.iter(&txn).expect("iterates") {
            let (_, record) = entry.expect("an entry");
            for read in record[32..].chunks_exact(16) {
                edges += usize::from(std::hint::black_box(read[0]) != 0 || read.len() == 16);
            }
        }
        edges
    });
    assert_eq!(edges, (graph.root - graph.leaves) * FAN_IN);
    figures.add("cold", cold);
}
