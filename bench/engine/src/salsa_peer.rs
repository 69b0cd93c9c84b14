//! salsa: top-down, each revision verified from the root. Given every advantage: tasks are handles made before
//! the clock starts, so that it neither interns keys nor looks them up.

use crate::cost::{Figures, in_use, often, once};
use crate::graph::{Graph, Shape, leaf_value, mix};
use crate::steps;
use salsa::plumbing::{AsId, FromId};
use salsa::{DatabaseImpl, Setter};
use std::path::Path;
use std::sync::OnceLock;

/// A task. Only leaves use the value.
#[salsa::input(persist)]
struct Node {
    #[returns(copy)]
    value: u64,
}

/// The handles by number, and the numbers by handle.
// As arrays: a hash map in the tracked function would be measured, too.
struct Names {
    nodes: Vec<Node>,
    numbers: Vec<u32>,
}

static NAMES: OnceLock<Names> = OnceLock::new();

fn install(nodes: Vec<Node>) -> &'static Names {
    let index = |node: &Node| node.as_id().index() as usize;
    let mut numbers = vec![0; nodes.iter().map(index).max().expect("some") + 1];
    nodes.iter().enumerate().for_each(|(number, node)| numbers[index(node)] = number as u32);
    NAMES.get_or_init(|| Names { nodes, numbers })
}

#[salsa::tracked(returns(copy), persist)]
fn value(db: &dyn salsa::Database, node: Node) -> u64 {
    let (graph, names) = (Graph::get(), NAMES.get().expect("named first"));
    let task = names.numbers[node.as_id().index() as usize] as usize;
    let read = |read: usize| {
        let node = names.nodes[read];
        graph.seen(read, if read < graph.leaves { node.value(db) } else { value(db, node) })
    };
    if graph.shape == Shape::Chain {
        return mix(0, read(task - 1));
    }
    if task == graph.root {
        return graph.last_layer().fold(0, |sum, task| mix(sum, read(task)));
    }
    graph.reads(task).into_iter().fold(0, |sum, task| mix(sum, read(task as usize)))
}

/// All steps; leaves behind what `cold` loads, if a directory is given.
pub fn measure(graph: &'static Graph, figures: &mut Figures, dir: Option<&Path>) {
    let before = in_use();
    let mut db = DatabaseImpl::new();
    let nodes = (0..graph.tasks()).map(|task| Node::new(&db, leaf_value(task, 0))).collect();
    let names = install(nodes);
    // Some input that no task reads: writing it begins a revision.
    let unrelated = Node::new(&db, 0);
    let tables = (names.nodes.capacity() + names.numbers.capacity()) * 4;
    let root = names.nodes[graph.root];
    let (result, first) = once(|| value(&db, root));
    figures.add("first", first);
    figures.check("first", result);
    figures.add("bytes", (in_use() - before - tables) as f64 / graph.tasks() as f64);
    figures.add("same", often(|| value(&db, root)));
    let mut state = 0;
    let null = often(|| {
        state += 1;
        unrelated.set_value(&mut db).to(state);
        value(&db, root)
    });
    figures.add("null", null);
    if let Some(dir) = dir {
        let ids: Vec<u64> = names.nodes.iter().map(|node| node.as_id().as_bits()).collect();
        let (bytes, write) =
            once(|| rmp_serde::to_vec(&<dyn salsa::Database>::as_serialize(&mut db)).expect("serialises"));
        figures.add("write", write);
        figures.add("disk", bytes.len() as f64 / graph.tasks() as f64);
        std::fs::write(dir.join("salsa"), bytes).expect("written");
        std::fs::write(dir.join("ids"), rmp_serde::to_vec(&ids).expect("serialises")).expect("written");
        return;
    }
    steps::edits(graph, figures, |changes| {
        for (leaf, value) in changes {
            names.nodes[leaf].set_value(&mut db).to(value);
        }
        value(&db, root)
    });
}

/// A process that begins with what another one left: loads it, and asks for the root.
pub fn cold(graph: &'static Graph, figures: &mut Figures, dir: &Path) {
    let ids: Vec<u64> =
        rmp_serde::from_slice(&std::fs::read(dir.join("ids")).expect("written before")).expect("ids");
    let names = install(ids.into_iter().map(|id| Node::from_id(salsa::Id::from_bits(id))).collect());
    let (result, cold) = once(|| {
        let mut db = DatabaseImpl::new();
        let bytes = std::fs::read(dir.join("salsa")).expect("written before");
        let mut from = rmp_serde::Deserializer::from_read_ref(&bytes);
        <dyn salsa::Database>::deserialize(&mut db, &mut from).expect("deserialises");
        // As after any change of the world: a revision begins.
        let unrelated = Node::new(&db, 0);
        unrelated.set_value(&mut db).to(1);
        let result = value(&db, names.nodes[graph.root]);
        std::mem::forget(db);
        result
    });
    figures.add("cold", cold);
    figures.check("first", result);
}
