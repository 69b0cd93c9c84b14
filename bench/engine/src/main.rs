//! The engine beside its peers, on the same graphs, in one run: `cargo xtask bench engine` starts this.
//!
//! Each measurement is a process of its own (`engine-bench measure WHAT SHAPE SIZE DIR`), so that no memory and no
//! cache of one is there for another. Rounds are interleaved: each engine once, then each again; medians are
//! compared. Processor time is what counts, for machines are shared; only the goal about threads is about time
//! on the wall.

mod cost;
mod floor;
mod goals;
mod graph;
mod incremental;
mod lmdb;
mod plan;
mod results;
mod rules;
mod salsa_peer;
mod special;
mod steps;
mod taut;

use cost::Figures;
use graph::{Graph, Shape};
use std::path::Path;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["measure", what, shape, size, dir] => {
            measure(what, Shape::named(shape), size.parse().expect("a number"), Path::new(dir));
        }
        other => plan::run(other),
    }
}

/// One measurement, in this process.
fn measure(what: &str, shape: Shape, size: usize, dir: &Path) {
    let mut figures = Figures::default();
    let to = &mut figures;
    let graph = || Graph::install(shape, size);
    match what {
        "floor" => floor::measure(graph(), to),
        "salsa" => salsa_peer::measure(graph(), to, None),
        "salsa-write" => salsa_peer::measure(graph(), to, Some(dir)),
        "salsa-cold" => salsa_peer::cold(graph(), to, dir),
        "incremental" => incremental::measure(graph(), to),
        "lmdb-write" => lmdb::prepare(graph(), to, dir),
        "lmdb-cold" => lmdb::cold(graph(), to, dir),
        "taut" if shape == Shape::Chain => small_stack(|| taut::measure(graph(), to)),
        "taut" => taut::measure(graph(), to),
        "taut-memory" => taut::memory(graph(), to),
        "taut-durable" => taut::durable(graph(), to, dir, true),
        "taut-write" => taut::durable(graph(), to, dir, false),
        "taut-cold" => taut::cold(graph(), to, dir),
        "taut-branch" => taut::branch(graph(), to),
        "taut-explain" => taut::explain(graph(), to),
        "taut-parallel" => special::parallel(size, to),
        "files-write" => special::files_prepare(size as u32, to, dir),
        "files-loop" => special::files_floor(size as u32, to, dir),
        "taut-files" => special::files_cold(size as u32, to, dir),
        _ => panic!("no measurement {what:?}"),
    }
    figures.print();
}

/// On a stack of two megabytes, whatever the main thread has.
fn small_stack(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        // The stack that the standard library gives to threads: what needs more on a chain would need it for users,
        // too.
        thread.spawn_scoped(scope, work).expect("a thread").join().expect("no overflow");
    });
}
