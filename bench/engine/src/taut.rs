//! The engine: the same steps as the peers, and what only it has.

use crate::cost::{Figures, in_use, often, once};
use crate::graph::{Graph, Shape, leaf_value};
use crate::rules::{builder, change, one_thread, root, world};
use crate::steps;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;
use taut_engine::Reason;

/// All steps, in memory.
pub fn measure(graph: &'static Graph, figures: &mut Figures) {
    let world = world(graph);
    let before = in_use();
    let engine = builder(graph, &world, 1).build();
    let (result, first) = once(|| root(graph, &engine.begin().commit(one_thread())));
    figures.add("first", first);
    figures.check("first", result);
    figures.add("bytes", (in_use() - before) as f64 / graph.tasks() as f64);
    let null = || root(graph, &engine.begin().commit(one_thread()));
    figures.add("null", often(null));
    steps::edits(graph, figures, |changes| change(graph, &engine, &world, changes).0);
    let count = |changes: &mut dyn Iterator<Item = steps::Change>| {
        change(graph, &engine, &world, changes).1.log().len() as f64
    };
    let leaf = graph.leaves / 2;
    figures.add("executed, one", count(&mut std::iter::once((leaf, leaf_value(leaf, u64::MAX)))));
    if graph.shape != Shape::Chain {
        let cut = leaf_value(leaf, u64::MAX) ^ 1;
        figures.add("executed, cut", count(&mut std::iter::once((leaf, cut))));
        let all = |leaf| (leaf, leaf_value(leaf, u64::MAX - 1));
        figures.add("executed, all", count(&mut (0..graph.leaves).map(all)));
    }
}

/// What the engine holds: with values, without, and after many changes that are not kept.
pub fn memory(graph: &'static Graph, figures: &mut Figures) {
    let world = world(graph);
    let before = in_use();
    let each = |bytes: usize| (bytes - before) as f64 / graph.tasks() as f64;
    let engine = builder(graph, &world, 1).build();
    root(graph, &engine.begin().commit(one_thread()));
    figures.add("with values", each(in_use()));
    engine.evict_values();
    figures.add("bytes", each(in_use()));
    for state in 1..=20 {
        let mut all = (0..graph.leaves).map(|leaf| (leaf, leaf_value(leaf, state)));
        change(graph, &engine, &world, &mut all);
    }
    engine.evict_values();
    figures.add("after twenty changes of everything", each(in_use()));
}

/// With a file: what it costs that the traces are on disk when the work is done, and how long they are there. If
/// `changes`, what more of them cost.
pub fn durable(graph: &'static Graph, figures: &mut Figures, dir: &Path, changes: bool) {
    let world = world(graph);
    let file = dir.join("taut");
    if file.exists() {
        fs::remove_file(&file).expect("removed");
    }
    let length = || fs::metadata(&file).map_or(0.0, |metadata| metadata.len() as f64);
    let engine = builder(graph, &world, 3).open(&file);
    let (result, first) = once(|| {
        let result = root(graph, &engine.begin().commit(one_thread()));
        engine.commit().expect("written");
        result
    });
    figures.add("first", first);
    figures.check("first", result);
    // A key here is a number of four bytes, which depends on the user and not on the engine.
    let keys = 4.0;
    figures.add("disk", length() / graph.tasks() as f64 - keys);
    fs::copy(&file, dir.join("taut.cold")).expect("a copy");
    if !changes {
        return;
    }
    // Each further run of every task.
    let before = length();
    let mut state = 1;
    let mut mass = || {
        state += 1;
        let mut all = (0..graph.leaves).map(|leaf| (leaf, leaf_value(leaf, state)));
        let executed = change(graph, &engine, &world, &mut all).1.log().len();
        engine.commit().expect("written");
        executed as f64
    };
    let (executed, all) = once(&mut mass);
    // 32 bytes of the new hash are allowed on top of what this says.
    figures.add("disk, each further run", (length() - before) / executed - 32.0);
    figures.add("per executed task", all / executed);
    // Ten runs: two leaves whose change is cut off at once.
    let (mut cpu, mut wall, mut bare_cpu, mut bare_wall) = (vec![], vec![], vec![], vec![]);
    let mut bare = fs::File::create(dir.join("bare")).expect("a file");
    for round in 0..30 {
        let two = [graph.leaves / 3, graph.leaves * 2 / 3];
        let mut changes = two.into_iter().map(|leaf| (leaf, leaf_value(leaf, state) ^ (round + 1)));
        let ran = change(graph, &engine, &world, &mut changes).1.log().len();
        // Two leaves, and the four tasks that read each.
        assert!(graph.shape == Shape::Random || ran == 10, "{ran} executed");
        let (before, start) = (length(), Instant::now());
        let (_, spent) = once(|| engine.commit().expect("written"));
        cpu.push(spent);
        wall.push(start.elapsed().as_nanos() as f64);
        let bytes = vec![round as u8; (length() - before).max(1.0) as usize];
        let start = Instant::now();
        let ((), spent) = once(|| {
            bare.write_all(&bytes).expect("written");
            // The comparison is with an append that reaches the disk.
            bare.sync_data().expect("synchronised");
        });
        bare_cpu.push(spent);
        bare_wall.push(start.elapsed().as_nanos() as f64);
    }
    for (name, samples) in
        [("commit", cpu), ("commit, wall", wall), ("append", bare_cpu), ("append, wall", bare_wall)]
    {
        figures.add(name, crate::cost::median(samples));
    }
}

/// A process that begins with the file of another one.
pub fn cold(graph: &'static Graph, figures: &mut Figures, dir: &Path) {
    let world = world(graph);
    let file = dir.join("taut.cold");
    let ((result, ran), cold) = once(|| {
        let engine = builder(graph, &world, 3).open(&file);
        let build = engine.begin().commit(one_thread());
        let out = (root(graph, &build), build.log().len());
        // The process ends: it need not be taken apart.
        std::mem::forget((build, engine));
        out
    });
    figures.add("cold", cold);
    figures.check("first", result);
    figures.add("executed", ran as f64);
}

/// Back to an earlier state of which runs are kept.
pub fn branch(graph: &'static Graph, figures: &mut Figures) {
    let world = world(graph);
    let engine = builder(graph, &world, 2).build();
    let state = |state| {
        let mut all = (0..graph.leaves).map(|leaf| (leaf, leaf_value(leaf, state)));
        let (_, build) = change(graph, &engine, &world, &mut all);
        build.log().iter().filter(|ran| ran.reason != Reason::Changed).count() as f64
    };
    figures.add("A", state(0));
    figures.add("B", state(1));
    let (back, cost) = once(|| state(0));
    figures.add("A again", back);
    figures.add("cost", cost);
}

/// For random edits: how many executions name a first cause that is true.
pub fn explain(graph: &'static Graph, figures: &mut Figures) {
    let world = world(graph);
    let engine = builder(graph, &world, 1).build();
    root(graph, &engine.begin().commit(one_thread()));
    let (mut executed, mut explained) = (0, 0);
    for round in 1..20 {
        let mut some = (0..round).map(|at| {
            let leaf = (at * 7919 + round * 104_729) as usize % graph.leaves;
            (leaf, leaf_value(leaf, round))
        });
        let (_, build) = change(graph, &engine, &world, &mut some);
        let log = build.log();
        let ran: std::collections::HashSet<String> = log.iter().map(|ran| ran.key.to_string()).collect();
        for one in &log {
            executed += 1;
            explained += usize::from(match &one.reason {
                Reason::Changed => {
                    one.key.downcast::<u32>().is_some_and(|key| (*key as usize) < graph.leaves)
                }
                Reason::Read { dep, was, is } => was != is && ran.contains(&dep.to_string()),
                _ => false,
            });
        }
    }
    figures.add("executed", f64::from(executed));
    figures.add("explained", explained as f64);
}
