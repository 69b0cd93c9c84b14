//! Random graphs full of cycles: never a hang, and the same report on any number of threads.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use taut_engine::{Cx, Engine, Fail, Options, Rule};

/// Reads its successors in the graph, at once, and lists the cycles that are reported.
struct Reader(Arc<Vec<BTreeSet<u64>>>);

impl Rule for Reader {
    type Key = u64;
    type Value = Arc<BTreeSet<String>>;
    const NAME: &'static str = "R";

    async fn value(&self, key: &u64, cx: Cx) -> Result<Self::Value, Fail> {
        let mut cycles = BTreeSet::new();
        for read in cx.all::<Reader>(self.0[*key as usize].iter().copied().collect()).await {
            match read {
                Ok(more) => cycles.extend(more.iter().cloned()),
                Err(fail) => drop(cycles.insert(fail.to_string())),
            }
        }
        Ok(Arc::new(cycles))
    }
}

/// The outcome of the root on this number of threads.
fn outcome(graph: &Arc<Vec<BTreeSet<u64>>>, jobs: usize) -> Result<Arc<BTreeSet<String>>, String> {
    let engine = Engine::builder().rule(Reader(graph.clone())).build();
    let build = engine.begin().commit(Options { jobs, ..Options::default() });
    build.get::<Reader>(0).map_err(|fail| match fail {
        Fail::Cycle(cycle) => {
            let keys: Vec<u64> =
                cycle.keys().iter().map(|key| *key.downcast().expect("a key of R")).collect();
            for (at, key) in keys.iter().enumerate() {
                assert!(graph[*key as usize].contains(&keys[(at + 1) % keys.len()]), "{cycle} is a cycle");
            }
            assert_eq!(keys.iter().min(), keys.first(), "{cycle} begins with its least key");
            cycle.to_string()
        }
        other => panic!("{other:?} is not a cycle"),
    })
}

/// Whether a task reachable from 0 reaches itself.
fn has_cycle(graph: &[BTreeSet<u64>]) -> bool {
    let reach = |from: u64| {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(node) = open.pop() {
            open.extend(graph[node as usize].iter().filter(|next| seen.insert(**next)));
        }
        seen
    };
    let mut all = reach(0);
    all.insert(0);
    all.into_iter().any(|node| reach(node).contains(&node))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn cycles_are_found_where_there_are_some_and_reported_alike_on_any_number_of_threads(
        graph in (2..9u64).prop_flat_map(|n| {
            prop::collection::vec(prop::collection::btree_set(0..n, 0..3), n as usize)
        })
    ) {
        let graph = Arc::new(graph);
        let one = outcome(&graph, 1);
        let found = one.as_ref().map_or(true, |cycles| !cycles.is_empty());
        prop_assert_eq!(found, has_cycle(&graph));
        for jobs in [1, 2, 4] {
            prop_assert_eq!(&outcome(&graph, jobs), &one);
        }
    }
}
