//! Random programs and edits.

use proptest::prelude::*;

use crate::{Edit, Program, Restart, Script, Step};

fn script(below: usize) -> impl Strategy<Value = Script> {
    let step = (prop::collection::vec(0..below, 1..4), prop::bool::weighted(0.2), any::<bool>())
        .prop_map(|(reads, hash_only, conditional)| Step { reads, hash_only, conditional });
    (
        prop::collection::vec(step, 0..4),
        prop::sample::select(vec![2, 3, 5, 1000]),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.7),
        0..4u8,
        any::<bool>(),
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.25),
    )
        .prop_map(|(steps, modulus, fails, content_hash, runs, constructive, deep, only)| Script {
            steps,
            modulus,
            fails,
            content_hash,
            runs,
            constructive,
            deep,
            only,
        })
}

pub(crate) fn cases() -> impl Strategy<Value = (Program, Vec<Edit>)> {
    (1..4usize, 1..9usize).prop_flat_map(|(leaves, inner)| {
        let scripts: Vec<_> = (0..inner).map(|at| script(leaves + at)).collect();
        let restart = prop_oneof![
            6 => Just(None),
            3 => Just(Some(Restart::Clean)),
            1 => Just(Some(Restart::Version)),
            1 => Just(Some(Restart::Killed)),
            1 => (any::<usize>(), 0..8u8).prop_map(|(at, bit)| Some(Restart::Damaged { at, bit })),
            1 => any::<usize>().prop_map(|at| Some(Restart::Cut { at })),
        ];
        let edit = (
            prop::collection::vec((0..leaves, 0..4u64), 0..3),
            prop::bool::weighted(0.1),
            prop::bool::weighted(0.2),
            prop::bool::weighted(0.2),
            prop::bool::weighted(0.2),
            restart,
            0..leaves + inner,
            1..4usize,
        )
            .prop_map(|(leaves, all, scan, evict, release, restart, root, jobs)| Edit {
                leaves,
                all,
                scan,
                evict,
                release,
                restart,
                root,
                jobs,
            });
        let program = (prop::collection::vec(0..4u64, leaves), scripts)
            .prop_map(|(leaves, scripts)| Program { leaves, scripts });
        (program, prop::collection::vec(edit, 1..10))
    })
}
